/* leat/flows: transforms that mix the features of a row. Part of flows.h, which includes it. All work on [batch, ..,
 * dim], at every position alike, and are differentiable both ways; fewer features than one, or less than no reflections,
 * are refused (LEAT_EARG), and other rows fail the tape (LEAT_ESHAPE). Numerical inverses search as those of
 * leat_elementwise do, and fail as those do (LEAT_ENONFINITE). */
#ifndef LEAT_VECTOR_TRANSFORMS_H
#define LEAT_VECTOR_TRANSFORMS_H

#include "flows.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Householder reflections (Tomczak & Welling, "Improving variational auto-encoders using Householder flow", 2016):
 * y = H_K .. H_1 x, H_k = I - 2 v_k v_k^T / |v_k|^2, v_k the rows of `vectors` [reflections, dim], N(0, 1) at first; one of
 * zeros reflects nothing. reflections 0: dim, enough for any orthogonal map. Log-determinant 0. */
LEAT_API leat_transform *leat_householder(leat_model *m, int64_t dim, int64_t reflections);

/* Planar flow (Rezende & Mohamed, "Variational inference with normalizing flows", 2015, appendix A.1): with `w` and `u`
 * [dim], `bias` [1] and m = softplus(w.u),
 *
 *     y = x + v tanh(w.x + bias),    v = u + (m - 1 - w.u) w / |w|^2,
 *
 * so that w.v = m - 1 > -1, and y is invertible. Log-determinant log(1 + (m - 1) tanh'). The inverse searches for w.x, one
 * number a position, of which w.y is a growing function. */
LEAT_API leat_transform *leat_planar(leat_model *m, int64_t dim);

/* Radial flow (the same, A.2): y = x + beta (x - c) / (alpha + r), r = |x - c|, alpha = exp(`log_alpha`) and beta =
 * softplus(`raw_beta`) - alpha > -alpha, both [1]; `center` c [dim], N(0, 1) at first, when beta is 0. Log-determinant
 * (dim - 1) log(1 + beta / (alpha + r)) + log(1 + alpha beta / (alpha + r)^2). In the inverse r is the root of a
 * quadratic equation. */
LEAT_API leat_transform *leat_radial(leat_model *m, int64_t dim);

/* Sylvester flow with Householder reflections Q (van den Berg, Hasenclever, Tomczak & Welling, "Sylvester normalizing flows
 * for variational inference", 2018): y = x + Q^T R tanh(S Q x + bias), `orthogonal` Q a leat_householder, R and S upper
 * triangular: above their diagonals those of `r` and `s` [dim, dim], on them tanh of `r_diagonal` and `s_diagonal` [dim].
 * Log-determinant sum log(1 + R_ii S_ii tanh'_i). The inverse searches for one number of Q x after the other, the last
 * first. At first R is 0, so y = x. */
LEAT_API leat_transform *leat_sylvester(leat_model *m, int64_t dim, int64_t reflections);

/* Block neural autoregressive flow (De Cao, Titov & Aziz, "Block neural autoregressive flow", 2019), a gated residual block
 * of it: y = (1 - g) x + g f(x), g = sigmoid(`gate`), f a net with a layer of `hidden` (0: 8) tanh units for each feature.
 * Weights from features before are free, those to a feature's own units and from there to it are exp of what is learned, and
 * rows are as long as exp(scale). So y_j grows with x_j, onto all numbers, and depends on x_1 .. x_j. The inverse searches
 * for one feature after the other, with a pass of f for each step. */
LEAT_API leat_transform *leat_block_autoregressive(leat_model *m, int64_t dim, int64_t hidden);

#ifdef __cplusplus
}
#endif

#endif
