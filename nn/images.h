/* leat/nn: layers over images, [batch, height, width, features]. Part of nn.h, which includes it. */
#ifndef LEAT_IMAGES_H
#define LEAT_IMAGES_H

#include "nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a convolution's weight and bias are made of. In each form it runs as one op, with the activation behind it in a
 * sequential. */
typedef enum leat_conv_form {
    LEAT_CONV_PLAIN = 0,   /* weight and bias: PyTorch's Conv2d, and its initialiser */
    LEAT_CONV_WEIGHT_NORM, /* weight_g weight_v / |weight_v|, norms over all axes but the first (Salimans & Kingma 2016);
                              weight_g [out, 1, 1, 1] starts as those norms */
    LEAT_CONV_ACTNORM,     /* Glow's: exp(log_scale) conv(x) + bias, which the first batch in training mode sets so that
                              it comes out with mean 0 and variance 1, see leat_actnorm; weight N(0, 0.05^2) at first */
    LEAT_CONV_ZEROS,       /* Glow's last: exp(3 log_scale) (conv(x) + bias), all of them 0 at first */
} leat_conv_form;

typedef struct leat_conv_opts {
    int64_t in, out;    /* at least 1; with a border, in may be 0 */
    int64_t kernel[2];  /* height and width; 0: 1, and as high as wide */
    int64_t stride[2];  /* likewise */
    int64_t padding[2]; /* rows above and below, columns on both sides */
    leat_conv_form form;
    bool no_bias; /* plain or with weight norm */
    bool border;  /* the input gets one more feature, 1 where it is padded and 0 inside: weight [out, in + 1, ..] */
} leat_conv_opts;

/* [batch, height, width, in] -> [batch, .., .., out], as leat_conv2d; weight [out, in, kernel], bias [out], as PyTorch
 * has them. A context, [batch, n] or a map [batch, height, width, n], is joined to x: `in` counts its features. */
LEAT_API leat_module *leat_conv_layer(leat_model *m, const leat_conv_opts *o);

/* Glow's network (Kingma & Dhariwal 2018): 3x3 actnorm, ReLU, 1x1 actnorm, ReLU, 3x3 zeros, the 3x3 ones with borders; a
 * sequential, so 0.weight, 2.weight, 4.weight, .. */
LEAT_API leat_module *leat_glow_net(leat_model *m, int64_t in, int64_t hidden, int64_t out);

/* RealNVP's residual network (Dinh et al. 2017), all convolutions with weight norm, all norms batch norms:
 *
 *     h = in_conv(relu([2 in_norm(x), -2 in_norm(x)]) and the context), 3x3;  sum = in_skip(h), 1x1
 *     for each block:  h = h + out_conv(relu(out_norm(in_conv(relu(in_norm(h)))))), 3x3;  sum = sum + skips(h), 1x1
 *     out_conv(relu(out_norm(sum))), 1x1
 *
 * in_norm has no weight and bias. The context must come if, and only if, `context` is not 0. */
typedef struct leat_residual_conv_opts {
    int64_t in, hidden, out, context; /* context: features of it, 0 for none */
    int blocks;                       /* 0: 2 */
} leat_residual_conv_opts;
LEAT_API leat_module *leat_residual_conv(leat_model *m, const leat_residual_conv_opts *o);

/* Flow++'s network (Ho et al. 2019, section 3.3); every convolution and linear layer has weight norm:
 *
 *     x = in_conv(x), 3x3
 *     for each block:  h = conv(concat_elu(x)), 3x3, + context(concat_elu(the context)), 1x1
 *                      x = norm(x + glu(gate(dropout(concat_elu(h))))), 1x1
 *                      q, k, v = attention(x + position), 1x1;  h = softmax(q k^T / sqrt(features / heads)) v
 *                      x = attention_norm(x + glu(attention_gate(h))), 1x1
 *     out_conv(concat_elu(x)), 3x3
 *
 * with layer norms, glu(a, b) = a sigmoid(b), and attention among all positions of an image. `position` [height, width,
 * features] starts as N(0, 0.01^2), biases start as zeros, weights so that of inputs of variance 1 a layer's results have
 * the standard deviation 1, or, of gates and out_conv, 0.1. A context, [batch, n] or a map [batch, height, width, n], must come
 * if, and only if, `context` is not 0. Names: in_conv, blocks.N.conv, .context, .gate, .norm, .attention,
 * .attention_gate, .attention_norm, out_conv, each with weight_g, weight_v, bias, or weight, bias. */
typedef struct leat_gated_conv_opts {
    int64_t in, out, context; /* context: features of it, 0 for none */
    int64_t height, width;    /* of the images; without attention any */
    int64_t features;         /* 0: 96 */
    int blocks;               /* 0: 10 */
    int heads;                /* divides features; 0: 4 */
    double dropout;
    bool no_attention; /* and without the norm behind it */
} leat_gated_conv_opts;
LEAT_API leat_module *leat_gated_conv(leat_model *m, const leat_gated_conv_opts *o);

#ifdef __cplusplus
}
#endif

#endif
