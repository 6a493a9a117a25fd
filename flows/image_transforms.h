/* leat/flows: transforms for images. Part of flows.h, which includes it. */
#ifndef LEAT_IMAGE_TRANSFORMS_H
#define LEAT_IMAGE_TRANSFORMS_H

#include "flows.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A flow over images takes rows [batch, height * width * channels] of bytes, 0 to 255 as real numbers, row by row of
 * pixels, the channels of a pixel side by side:
 *
 *     leat_flow_add(flow, leat_dequantize(m, 28 * 28, 8));                                  [batch, 784], in (0, 1)
 *     leat_flow_add(flow, leat_logit(m, 0.05));                                             [batch, 784], on the line
 *     leat_flow_add(flow, leat_view(m, LEAT_SHAPE(28 * 28), LEAT_SHAPE(28, 28, 1)));        [batch, 28, 28, 1]
 *     leat_flow_add(flow, leat_squeeze_transform(m, LEAT_SHAPE(28, 28, 1), LEAT_SQUEEZE_CHANNELS)); [batch, 14, 14, 4]
 *
 * What is one number for each feature is one for each channel here: leat_actnorm and leat_batch_norm_transform look at
 * all positions, leat_lu_linear is Glow's invertible 1x1 convolution, leat_split_transform splits channels.
 */

/* Uniform dequantisation, of rows [batch, dim] of bytes. A byte x has the level k = floor(x / 2^(8 - bits)), one of
 * 2^bits, which becomes a random number v = (k + u) / 2^bits, u uniform in (0, 1). Since
 *
 *     log P(k) = log E_u[ p(v) 2^(-bits dim) ] >= E_u[ log p(v) - bits dim log 2 ],
 *
 * the log-determinant is -bits dim log 2, and the log-density of a flow that begins so a lower bound, in the mean over u,
 * of the log-probability of its levels (leat_flow_is_bound). The inverse gives x = 2^(8 - bits) floor(2^bits v), clamped
 * to the levels that there are. Encoding takes u = 1/2, so that it can be decoded; it takes `dim` random numbers a row
 * otherwise. What is no byte is refused (LEAT_EARG), as are numbers of 0 .. 1: levels are those of bytes. 1 to 8 bits. */
LEAT_API leat_transform *leat_dequantize(leat_model *m, int64_t dim, int bits);

/* Variational dequantisation (Ho et al., "Flow++", 2019, section 3.1): u is drawn from a density q(u | x) that is learned
 * with the rest, as sigmoid(inner(eps)), eps of N(0, 1). The bound is then
 *
 *     log P(k) >= E_q[ log p(v) - bits dim log 2 - log q(u | x) ],   log q = log N(eps) - log|det dinner| - log sigmoid',
 *
 * the last two terms the log-determinant. `view`, without parameters, gives rows [batch, dim] the shape in which `inner`
 * works, and the image, x / 256 - 1/2, that of the input of `net`; what that makes (given the flow's context, if there is
 * one) is the context of `inner`, which keeps the shape. Encoding takes eps = 0. Named `view`, `net` and `inner`. */
LEAT_API leat_transform *leat_dequantize_by(leat_model *m, int64_t dim, int bits, leat_transform *view,
                                            leat_module *net, leat_transform *inner);

/* w = log(y / (1 - y)), y = alpha + (1 - 2 alpha) v, for v in (0, 1) at any rank (Dinh et al., "Real NVP", 2017, section
 * 4.1, with alpha = 0.05); 0 <= alpha < 1/2. Log-determinant sum softplus(w) + softplus(-w) + log(1 - 2 alpha). */
LEAT_API leat_transform *leat_logit(leat_model *m, double alpha);

/* In which order four pixels, (0,0) (0,1) (1,0) (1,1) of row and column in their block, become channels of one. */
typedef enum leat_squeeze_order {
    /* channel by channel, each with its four pixels in that order: RealNVP's, Glow's, PyTorch's pixel_unshuffle */
    LEAT_SQUEEZE_CHANNELS = 0,
    /* pixel by pixel, each with its channels, (0,0) (1,1) (0,1) (1,0): the first half of the channels is one diagonal of
     * the block, the white cells of a checkerboard. RealNVP's in front of a split */
    LEAT_SQUEEZE_DIAGONAL,
    /* no blocks but pairs in a row, first the one whose row + column is even: [h, w, c] becomes [h, w / 2, 2 c], the two
     * halves of the channels being the two colours of a checkerboard (Ho et al., "Flow++", 2019) */
    LEAT_SQUEEZE_CHECKERBOARD,
} leat_squeeze_order;

/* Pixels become channels: rows [h, w, c] become [h / 2, w / 2, 4 c]; log-determinant 0. Odd sides are refused
 * (LEAT_EARG). The second turns that round: `row` is what it gives. */
LEAT_API leat_transform *leat_squeeze_transform(leat_model *m, leat_shape row, leat_squeeze_order order);
LEAT_API leat_transform *leat_unsqueeze_transform(leat_model *m, leat_shape row, leat_squeeze_order order);

/* A checkerboard over rows [h, w, c]: position (i, j) is kept, with all its channels, if i + j + parity is odd. The
 * conditioner sees the whole image, [batch, h, w, c], with zeros where it is moved, and gives parameters for all
 * positions, [batch, h, w, c (sum of widths)], of which the moved ones count (RealNVP, section 3.4). In
 * leat_coupling_transform `inner` works on [batch, moved positions, c], and its context is the flow's alone. */
LEAT_API leat_mask leat_mask_checkerboard(leat_model *m, leat_shape row, int parity);

#ifdef __cplusplus
}
#endif

#endif
