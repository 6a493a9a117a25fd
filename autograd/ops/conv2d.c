/* 2-D convolution of images, channels last, with bias and activation in its epilogue (tensor/kernels/convolution.h). */
#include "ops.h"
#include "../../tensor/kernels/convolution.h"

static leat_conv conv_of(const leat_call *c)
{
    const leat_conv2d_opts *o = c->attributes;
    const int64_t *x = c->in[0].shape.size, *w = c->in[1].shape.size;
    leat_conv v = { .batch = x[0], .in = x[3], .out = w[0] };
    for (int i = 0; i < 2; i++) {
        v.size[i] = x[1 + i], v.kernel[i] = w[2 + i];
        v.stride[i] = o->stride[i] ? o->stride[i] : 1, v.padding[i] = o->padding[i];
        v.result[i] = (v.size[i] + 2 * v.padding[i] - v.kernel[i]) / v.stride[i] + 1;
    }
    return v;
}

static leat_code conv2d_shape(leat_call *c)
{
    const leat_conv2d_opts *o = c->attributes;
    const leat_shape *x = &c->in[0].shape, *w = &c->in[1].shape, *bias = &c->in[2].shape;
    if (x->rank != 4)
        return leat_call_fail(c, LEAT_ESHAPE, "the input is not [batch, height, width, channels]");
    if (w->rank != 4 || w->size[2] == 0 || w->size[3] == 0)
        return leat_call_fail(c, LEAT_ESHAPE, "the weight is not [out, in, height, width] of at least one tap");
    if (x->size[3] != w->size[1])
        return leat_call_fail(c, LEAT_ESHAPE, "the input has %lld channels, the weight takes %lld",
                              (long long)x->size[3], (long long)w->size[1]);
    if (c->in[2].data && (bias->rank != 1 || bias->size[0] != w->size[0]))
        return leat_call_fail(c, LEAT_ESHAPE, "the bias is not [%lld], one for each output", (long long)w->size[0]);
    if (o->stride[0] < 0 || o->stride[1] < 0 || o->padding[0] < 0 || o->padding[1] < 0)
        return leat_call_fail(c, LEAT_EARG, "stride %d, %d and padding %d, %d must not be negative", o->stride[0],
                              o->stride[1], o->padding[0], o->padding[1]);
    leat_conv v = conv_of(c);
    leat_shape padded = LEAT_SHAPE(v.batch, v.size[0] + 2 * v.padding[0], v.size[1] + 2 * v.padding[1], v.in);
    char text[LEAT_SHAPE_TEXT];
    if (padded.size[1] < v.kernel[0] || padded.size[2] < v.kernel[1])
        return leat_call_fail(c, LEAT_ESHAPE, "the kernel is larger than the padded image, %s",
                              leat_shape_print(&padded, text));
    if (leat_shape_count(&padded) < 0)
        return leat_call_fail(c, LEAT_ENOMEM, "no memory could hold the padded image, %s",
                              leat_shape_print(&padded, text));
    c->out[0].shape = LEAT_SHAPE(v.batch, v.result[0], v.result[1], v.out);
    return LEAT_OK;
}

static void conv2d_forward(leat_call *c)
{
    const leat_conv2d_opts *o = c->attributes;
    leat_conv v = conv_of(c);
    if (leat_conv_forward(leat_tape_pool(c->tape), leat_tape_scratch(c->tape), &v, c->in[0].data, c->in[1].data,
                          c->in[2].data, o->activation, c->out[0].data))
        leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
}

static void conv2d_backward(leat_call *c)
{
    const leat_conv2d_opts *o = c->attributes;
    leat_conv v = conv_of(c);
    leat_pool *pool = leat_tape_pool(c->tape);
    leat_arena *scratch = leat_tape_scratch(c->tape);
    const leat_real *dy = leat_call_before_activation(c, o->activation);
    leat_code code = LEAT_OK;
    if (dy && c->din[0].data)
        code = leat_conv_input_gradient(pool, scratch, &v, dy, c->in[1].data, c->din[0].data);
    if (dy && c->din[1].data && !code)
        code = leat_conv_weight_gradient(pool, scratch, &v, dy, c->in[0].data, c->din[1].data);
    if (code)
        leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
    else if (dy && c->din[2].data)
        leat_call_sum_rows(c, v.batch * v.result[0] * v.result[1], v.out, dy, c->din[2].data);
}

/* Odd sizes, every stride and padding, 1x1, a kernel larger than the image, none of each. */
static bool conv2d_sample(leat_case *k, int i)
{
    static const struct {
        int64_t batch, size[2], in, out, kernel[2];
        leat_conv2d_opts o;
    } samples[] = {
        { 2, { 5, 7 }, 3, 4, { 3, 3 }, { .padding = { 1, 1 } } },
        { 1, { 6, 5 }, 2, 5, { 3, 2 }, { { 2, 1 }, { 0, 1 }, LEAT_IDENTITY } },
        { 1, { 7, 8 }, 2, 3, { 3, 3 }, { { 2, 2 }, { 1, 1 }, LEAT_IDENTITY } },
        { 2, { 4, 3 }, 5, 2, { 1, 1 }, { { 0 }, { 0 }, LEAT_IDENTITY } },
        { 1, { 5, 4 }, 2, 3, { 1, 1 }, { { 2, 3 }, { 0 }, LEAT_IDENTITY } },
        { 1, { 3, 2 }, 2, 3, { 5, 5 }, { { 1, 2 }, { 2, 2 }, LEAT_IDENTITY } },
        { 1, { 2, 3 }, 1, 2, { 1, 2 }, { { 3, 1 }, { 2, 2 }, LEAT_IDENTITY } },
        { 0, { 4, 4 }, 2, 3, { 3, 3 }, { { 1, 1 }, { 1, 1 }, LEAT_IDENTITY } },
        { 2, { 3, 3 }, 0, 3, { 3, 3 }, { { 1, 1 }, { 1, 1 }, LEAT_IDENTITY } },
        { 2, { 3, 3 }, 2, 0, { 3, 3 }, { { 1, 1 }, { 1, 1 }, LEAT_IDENTITY } },
        { 1, { 1, 17 }, 17, 1, { 1, 3 }, { { 1, 1 }, { 0, 2 }, LEAT_IDENTITY } },
    };
    static leat_conv2d_opts o;
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    const int64_t *size = samples[i].size, *kernel = samples[i].kernel, in = samples[i].in, out = samples[i].out;
    o = samples[i].o;
    if (k->op == &leat_op_conv2d_activated)
        o.activation = LEAT_TANH;
    k->n = 3;
    k->in[0] = leat_case_normal(k, LEAT_SHAPE(samples[i].batch, size[0], size[1], in));
    k->in[1] = leat_case_away(k, LEAT_SHAPE(out, in, kernel[0], kernel[1]), 0.1, 0.3, false); /* or tanh is too steep */
    if (i % 3 != 1)
        k->in[2] = leat_case_normal(k, LEAT_SHAPE(out));
    k->attributes = &o;
    k->attributes_size = sizeof o;
    return true;
}

/* As of linear, only that with an activation reads its result on the way back. */
#define CONV2D(op, unread_)                                                                                            \
    const leat_op leat_op_##op = { .name = "conv2d",                                                                   \
                                   .inputs = 3,                                                                        \
                                   .optional = 1U << 2,                                                                \
                                   .shape = conv2d_shape,                                                              \
                                   .forward = conv2d_forward,                                                          \
                                   .backward = conv2d_backward,                                                        \
                                   .unread = unread_,                                                                  \
                                   .sample = conv2d_sample };

CONV2D(conv2d, 1U << 2 | LEAT_UNREAD_OUTPUTS)
CONV2D(conv2d_activated, 1U << 2)

leat_var leat_conv2d(leat_var x, leat_var weight, leat_var bias, const leat_conv2d_opts *o)
{
    leat_conv2d_opts own = o ? *o : (leat_conv2d_opts){ 0 };
    leat_activation act = own.activation;
    own.activation = leat_fused_activation(act);
    const leat_op *op = own.activation == LEAT_IDENTITY ? &leat_op_conv2d : &leat_op_conv2d_activated;
    leat_var y = leat_apply(op, &own, sizeof own, 3, (leat_var[]){ x, weight, bias }, NULL);
    return own.activation == act ? y : leat_activate(y, act);
}
