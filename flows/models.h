/* leat/flows: whole models. Part of flows.h, which includes it. */
#ifndef LEAT_MODELS_H
#define LEAT_MODELS_H

#include "flows.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Definitions of some lines each, in models/. Options are those of the papers and of nflows and zuko, by their names. */

typedef enum leat_mask_kind { LEAT_ALTERNATING = 0, LEAT_HALVES } leat_mask_kind;

/* NICE (Dinh, Krueger & Bengio, "NICE: non-linear independent components estimation", 2015). */
typedef struct leat_nice_opts {
    int64_t dim;
    int couplings;                   /* 0: 6 */
    int64_t hidden[LEAT_MAX_HIDDEN]; /* of every conditioner; all 0: 128, 128 */
    int64_t context;                 /* features of the context, 0 for none */
    leat_mask_kind masks;
    leat_base *base; /* NULL: leat_normal */
    bool reverse;    /* reverse the features after every coupling, which swaps the masks' roles */
    bool scale;      /* ends with a learned diagonal scale */
    bool small_init; /* weights U(-0.01, 0.01), biases 0, instead of PyTorch's defaults */
    /* Rows are images of bytes, [height, width, channels]: they are dequantized in front. Rank 0: they are not. */
    leat_shape image;
    int bits; /* of a byte; 0: 8 */
} leat_nice_opts;

LEAT_API leat_flow *leat_nice_new(leat_model *m, const leat_nice_opts *o);

/* The paper's: 4 couplings of halves with reversal, 5 hidden layers of 1000, diagonal scale, logistic base, small
 * weights. */
LEAT_API leat_nice_opts leat_nice_paper(leat_model *m, int64_t dim);

/* How a coupling's scales are closed: s = tanh(SNET), s = scale * tanh(SNET) with a learned scale for each moved
 * feature (1 at first; the parameter `scale` of the net's last layer), or s = SNET. */
typedef enum leat_scale_map { LEAT_SCALE_TANH = 0, LEAT_SCALE_LEARNED, LEAT_SCALE_FREE } leat_scale_map;

/* RealNVP (Dinh, Sohl-Dickstein & Bengio, "Density estimation using Real NVP", 2017): affine couplings, each with two
 * nets of its kept features, SNET for log-scales and TNET for shifts: layers.N.mask, layers.N.snet, layers.N.tnet. */
typedef struct leat_realnvp_opts {
    int64_t dim;
    int couplings;                     /* 0: 6 */
    int64_t hidden[LEAT_MAX_HIDDEN];   /* of SNET and TNET; all 0: 128, 128 */
    int64_t hidden_t[LEAT_MAX_HIDDEN]; /* of TNET, if it has widths of its own */
    int64_t context;                   /* features of the context, 0 for none */
    leat_mask_kind masks;
    const leat_real *given_masks; /* [couplings, dim], zeros and ones, instead of `masks`; read during the call alone */
    leat_base *base;              /* NULL: leat_normal */
    leat_scale_map scale;
    bool one_net; /* one net for both, layers.N.net, of which s is the first half of the outputs */
    bool mixed;   /* before each coupling leat_actnorm and leat_lu_linear: a step of Glow, for rows of numbers */
} leat_realnvp_opts;

LEAT_API leat_flow *leat_realnvp_new(leat_model *m, const leat_realnvp_opts *o);

/*
 * RealNVP over images (the same, sections 3.4 to 3.6), of rows of bytes (leat_dequantize, leat_logit). A scale is three
 * couplings by checkerboards, a squeeze and three by halves of the channels, in networks of twice the features; half of
 * the channels, by LEAT_SQUEEZE_DIAGONAL, goes on to the next scale, which has twice as many again. The last one is four
 * couplings by checkerboards. Each is leat_affine with s = scale tanh(..), scale 0 at first by checkerboards and 1 by
 * channels, in one leat_residual_conv, and a norm of what it has moved.
 */
typedef struct leat_realnvp_image_opts {
    int64_t height, width; /* divisible by 2^(levels - 1) */
    int64_t channels;      /* 0: 1 */
    int levels;            /* scales; 0: 2, the paper's for CIFAR-10; 28 x 28 has up to 3 */
    int blocks;            /* of each residual network; 0: 4 */
    int64_t hidden;        /* features in those of the first checkerboards; 0: 32 */
    int bits;              /* of a number, 1 to 8; 0: 8 */
    double alpha;          /* of the logit; 0: 0.05 */
    int64_t context;       /* features of the context, 0 for none */
    leat_base *base;       /* NULL: leat_normal */
    bool actnorm;          /* leat_actnorm instead of leat_batch_norm_transform behind each coupling */
    bool continuous;       /* rows of real numbers, which need no dequantisation and no logit */
} leat_realnvp_image_opts;

LEAT_API leat_flow *leat_realnvp_image_new(leat_model *m, const leat_realnvp_image_opts *o);

/* What closes a net of scales, [batch, columns] -> the same: tanh of the first `bounded` columns, times the learned
 * parameter `scale` [bounded] if asked for; the other columns as they are. */
LEAT_API leat_module *leat_bounded_scale(leat_model *m, int64_t bounded, bool learned);

/* Glow (Kingma & Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", 2018), over rows of bytes of images
 * as image_transforms.h has them. Every level squeezes, runs its steps of flow (actnorm, 1x1 convolution, coupling by
 * leat_glow_net) and lets half of the channels out. What leaves is normal, with a mean and a deviation that a convolution
 * learns from what stays, and on top from the context and the border alone. The options' defaults are the paper's for
 * images of 32x32. A context, such as a class as a row of zeros and a one, is given to all couplings and priors. */
typedef struct leat_glow_opts {
    int64_t height, width; /* divisible by 2^levels */
    int64_t channels;      /* 0: 1 */
    int levels;            /* 0: 3 */
    int steps;             /* of each level; 0: 32 */
    int64_t hidden;        /* features in the networks of couplings; 0: 512 */
    int bits;              /* of a number, 1 to 8; 0: 8 */
    int64_t context;       /* features of the context, 0 for none */
    bool additive;         /* couplings by leat_additive instead of leat_sigmoid_affine */
    bool permuted;         /* fixed random permutations instead of 1x1 convolutions, */
    bool reversed;         /* or the channels' order turned round */
    bool plain_priors;     /* all that leaves is N(0, 1) */
    double alpha;          /* of a logit of the dequantized numbers, as RealNVP has it; 0: they stay in [0, 1) */
    bool continuous;       /* rows of real numbers, which need no dequantisation */
} leat_glow_opts;

LEAT_API leat_flow *leat_glow_new(leat_model *m, const leat_glow_opts *o);

/* What stands between the transforms of a flow whose transforms treat features unlike. */
typedef enum leat_between {
    LEAT_REVERSED = 0, /* leat_reverse; of couplings, whose masks alternate, nothing */
    LEAT_PERMUTED,     /* leat_permutation, a random one each time; of couplings between pairs that move all */
    LEAT_LU,           /* leat_lu_linear, in front of the first too */
} leat_between;

/* MAF (Papamakarios, Pavlakou & Murray, "Masked autoregressive flow for density estimation", 2017): autoregressive
 * transforms by leat_bounded_affine, layers.N.made. */
typedef struct leat_maf_opts {
    int64_t dim;
    int transforms;                  /* 0: 5 */
    int64_t hidden[LEAT_MAX_HIDDEN]; /* of every MADE; all 0: 128, 128 */
    int64_t context;                 /* features of the context, 0 for none */
    leat_activation activation;      /* LEAT_IDENTITY (0): ReLU */
    leat_between between;
    leat_base *base; /* NULL: leat_normal */
} leat_maf_opts;

LEAT_API leat_flow *leat_maf_new(leat_model *m, const leat_maf_opts *o);

/* NSF (Durkan, Bekasov, Murray & Papamakarios, "Neural spline flows", 2019): autoregressive transforms, or couplings, by
 * rational-quadratic splines, which are clipped, zuko's, and so start near y = x; layers.N.made or layers.N.net. Data
 * beyond the tail bound are left as they are, so that they should be standardized. */
typedef struct leat_nsf_opts {
    int64_t dim;
    int transforms;                  /* 0: 5 */
    int64_t hidden[LEAT_MAX_HIDDEN]; /* of every MADE or net; all 0: 128, 128 */
    int64_t context;                 /* features of the context, 0 for none */
    int64_t bins;                    /* 0: 8; 2 to 64 */
    double tail_bound;               /* 0: 5 */
    leat_activation activation;      /* LEAT_IDENTITY (0): ReLU */
    leat_between between;
    bool coupling;   /* couplings by alternating masks instead */
    leat_base *base; /* NULL: leat_normal */
} leat_nsf_opts;

LEAT_API leat_flow *leat_nsf_new(leat_model *m, const leat_nsf_opts *o);

/* Flow++ (Ho, Chen, Srinivas, Duan & Abbeel, "Flow++: improving flow-based generative models with variational
 * dequantization and architecture design", 2019) over rows of bytes of images, as image_transforms.h has them: variational
 * dequantisation, leat_logit, and couplings by leat_flowpp_mixture with leat_gated_conv, each behind an actnorm and a 1x1
 * convolution, between the two colours of a checkerboard, between halves of the channels of squeezed images, and between
 * colours of those. The defaults are the paper's for CIFAR-10, without its dropout of 0.2. */
typedef struct leat_flowpp_opts {
    int64_t height, width; /* divisible by 2 and by 4 */
    int64_t channels;      /* 0: 1 */
    int couplings[3];      /* by colours, by channels, by colours of the squeezed; all 0: 4, 2, 3 */
    int64_t features;      /* of the networks of couplings; 0: 96 */
    int blocks;            /* 0: 10 */
    int heads;             /* of their attention; 0: 4 */
    double dropout;        /* in them */
    int64_t components;    /* logistics in a mixture; 0: 32 */
    int bits;              /* of a number, 1 to 8; 0: 8 */
    int64_t context;       /* features of the context, 0 for none */
    struct {
        int couplings, blocks; /* of the flow that dequantizes; 0: 4, of 2 blocks */
        int64_t features;      /* of the image, that it is given; 0: 32 */
    } noise;
    bool uniform;    /* dequantisation by uniform numbers instead */
    bool continuous; /* rows of real numbers, which need no dequantisation and no logit */
} leat_flowpp_opts;

LEAT_API leat_flow *leat_flowpp_new(leat_model *m, const leat_flowpp_opts *o);

/* Flow++ for rows of numbers: couplings by leat_flowpp_mixture, which alternate halves, each behind an actnorm and a
 * learned linear map, with leat_residual_mlp as their nets. */
typedef struct leat_flowpp_table_opts {
    int64_t dim;
    int couplings;      /* 0: 6 */
    int64_t hidden;     /* 0: 128 */
    int blocks;         /* of every net; 0: 2 */
    int64_t components; /* 0: 8; 1 to 64 */
    int64_t context;    /* features of the context, 0 for none */
    double dropout;     /* in every block */
    leat_base *base;    /* NULL: leat_normal */
} leat_flowpp_table_opts;

LEAT_API leat_flow *leat_flowpp_table_new(leat_model *m, const leat_flowpp_table_opts *o);

/* Gaussianization flows (Meng, Song, Song & Ermon, "Gaussianization flows", 2020): leat_normal_mixture of every feature, its
 * parameters learned (layers.N.net, of the context if there is one), and leat_householder between. They start near y = x;
 * the paper starts from the data, which should be standardized here. */
typedef struct leat_gaussianization_opts {
    int64_t dim;
    int layers;          /* 0: 6 */
    int64_t components;  /* normals in a mixture; 0: 8 */
    int64_t reflections; /* 0: dim */
    int64_t context;     /* features of the context, 0 for none */
    leat_base *base;     /* NULL: leat_normal */
} leat_gaussianization_opts;

LEAT_API leat_flow *leat_gaussianization_new(leat_model *m, const leat_gaussianization_opts *o);

#ifdef __cplusplus
}
#endif

#endif
