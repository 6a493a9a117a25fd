/* leat/flows: elementwise bijectors for couplings and autoregressive transforms. Part of flows.h, which includes it. */
#ifndef LEAT_BIJECTORS_H
#define LEAT_BIJECTORS_H

#include "flows.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = (x + t) sigmoid(r + 2); log|dy/dx| = log sigmoid(r + 2): Glow's, never steeper than 1 (Kingma & Dhariwal 2018). */
extern LEAT_API const leat_elementwise leat_sigmoid_affine;

/* nflows': y = x scale + t with a least scale of number[0] = 1e-3. softplus_affine (its MAF): scale = 1e-3 + softplus(s).
 * floored_affine (its RealNVP): scale = 1e-3 + sigmoid(s + 2); its groups are t and s, in this order. */
extern LEAT_API const leat_elementwise leat_softplus_affine, leat_floored_affine;

/* The rational-quadratic spline (Durkan, Bekasov, Murray & Papamakarios, "Neural spline flows", 2019): from -bound to
 * bound it maps onto itself through bins whose widths and heights and the slopes between them are theta. Beyond, y = x,
 * and the slopes at the ends are 1: the paper's linear tails. Circular: the slopes at both ends are one, theta's first,
 * and x and y are angles, taken some whole periods of 2 bound nearer, to -bound .. bound.
 *
 * theta is raw, in nflows' terms: widths [bins] and heights [bins] are 2 bound (least + (1 - bins least) softmax(raw)),
 * slopes [bins - 1], circular [bins], are least_slope + softplus(raw). Clipped it is in zuko's: of all raw numbers
 * raw / (1 + |raw| / c) is taken, c = -log(least_slope), for widths and heights half of that, and slopes are exp(raw); so
 * zeros give y = x. Bins and bound are zuko's if not given. The tape fails (LEAT_EARG, LEAT_ESHAPE) if the numbers fit no
 * spline, see autograd.h. */
typedef struct leat_rational_quadratic_opts {
    int64_t bins;        /* 0: 8; 2 to 64 */
    double bound;        /* 0: 5 */
    double least_width;  /* as a part of 2 bound; 0: 1e-3, nflows'; clipped 0, zuko's */
    double least_height; /* likewise */
    double least_slope;  /* 0: 1e-3 */
    bool circular, clipped;
} leat_rational_quadratic_opts;

/* For that model; NULL options: all defaults. */
LEAT_API const leat_elementwise *leat_rational_quadratic(leat_model *m, const leat_rational_quadratic_opts *o);

/* The logit of the distribution function of a mixture of logistics, leat_logistic_mixture_forward of autograd.h; far out
 * it is linear. theta is weights, means and log_scales, each [components], 0: 8; at most 64. */
LEAT_API const leat_elementwise *leat_logistic_mixture(leat_model *m, int64_t components);

/* Flow++'s (Ho et al., "Flow++", 2019, section 3.2): y = that exp(a) + t, a = tanh(s). theta is s, t, weights, means and
 * log_scales; components 0: 32. */
LEAT_API const leat_elementwise *leat_flowpp_mixture(leat_model *m, int64_t components);

/* Gaussianization (Meng, Song, Song & Ermon, "Gaussianization flows", 2020): y = Phi^-1(F), F the same of normals. Both
 * directions search, for a number whose logarithm of F or Phi is known, so far out neither is lost. */
LEAT_API const leat_elementwise *leat_normal_mixture(leat_model *m, int64_t components);

/*
 * Of those below a 0 asks for the default; the tape refuses what is no such map (one bin, a bound below 0): LEAT_EARG.
 *
 * Linear and quadratic splines (Mueller, McWilliams, Rousselle, Gross & Novak, "Neural importance sampling", 2019): from
 * -bound to bound, 0: 5, onto itself; beyond, y = x. Bins 0: 8, at least 2; least = number[1] = 1e-3. Inverse by formula.
 *     linear     bins of one width; theta: heights [bins], 2 bound (least + (1 - bins least) softmax(raw)). The slope jumps
 *                at knots, where it is that of the bin behind, and at the bound.
 *     quadratic  theta: widths [bins], likewise; slopes [bins - 1] at the inner knots, those at the ends are 1. With n =
 *                bins - 1, c half of the widths beside a knot, and S = 2 bound - (first + last width) / 2, the area that is
 *                left: slope = S (least + (1 - n least) softmax(raw + log c)) / c. Equal raw slopes: y = x.
 */
LEAT_API const leat_elementwise *leat_linear_spline(leat_model *m, int64_t bins, double bound);
LEAT_API const leat_elementwise *leat_quadratic_spline(leat_model *m, int64_t bins, double bound);

/* The sum-of-squares polynomial (Jaini, Selby & Yu, "Sum-of-squares polynomial flow", 2019), zuko's form: y = t + the
 * integral from 0 to x of least + mean over k of (1 + sum over j = 0 .. degree of a_kj (u / bound)^j)^2; beyond the bound
 * (0: 5) a line with the slope there. theta: coefficients [polynomials (degree + 1)], one polynomial after the other, t
 * [1]; polynomials 0: 3, degree 0: 4, at most 64 and 63; least = number[1] = 1e-3. Inverse by search. x has at most 4 axes. */
LEAT_API const leat_elementwise *leat_sos_polynomial(leat_model *m, int64_t polynomials, int64_t degree, double bound);

/* The Bernstein polynomial (Ramasinghe, Fernando, Khan & Barnes, "Robust normalizing flows using Bernstein-type
 * polynomials", 2021): from -bound to bound, 0: 5, onto itself, by coefficients that rise by 2 bound (least + (1 - degree
 * least) softmax(raw)); beyond, lines with the slopes there. Equal rises: y = x. theta: rises [degree], 0: 16, 2 to 64;
 * least = number[1] = 1e-3. Inverse by search. */
LEAT_API const leat_elementwise *leat_bernstein_polynomial(leat_model *m, int64_t degree, double bound);

/* The deep sigmoidal flow (Huang, Krueger, Lacoste & Courville, "Neural autoregressive flows", 2018): layers of y = logit(sum
 * over units of w sigmoid(a x + b)), w = softmax(raw), a = least + softplus(raw), of which more than exp(7) counts as that.
 * theta: weights, slopes and shifts, each [layers units], one layer after the other; layers 0: 2, units 0: 8, at most 64
 * each; least = number[1] = 1e-3. Far out it is linear. Its inverse is that of leat_logistic_mixture_inverse. */
LEAT_API const leat_elementwise *leat_deep_sigmoid(leat_model *m, int64_t layers, int64_t units);

#ifdef __cplusplus
}
#endif

#endif
