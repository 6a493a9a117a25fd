/* leat/flows: base distributions, the densities that a flow maps data to. Part of flows.h, which includes it. */
#ifndef LEAT_BASES_H
#define LEAT_BASES_H

#include "flows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_base_type {
    leat_module_type module;
    leat_var (*log_prob)(leat_base *b, leat_var z, leat_var context); /* [batch, dim] -> [batch] */
    leat_var (*sample)(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context); /* -> [n, dim] */
    /* How many random numbers a row takes, by leat_rand, leat_randn or leat_rand_by of [n, ..]; NULL: dim. Each row of
     * leat_flow_draw and its kin has its own, so that it does not depend on how many are drawn with it. */
    int64_t (*numbers_per_row)(const leat_base *b);
    leat_code (*start)(leat_base *b, leat_tensor z); /* of leat_base_start; NULL: it has nothing to place */
} leat_base_type;

struct leat_base {
    leat_module module; /* its type is a leat_base_type */
    int64_t dim;
};

/* Temperature multiplies the standard deviation (the scale, where there is none) of what is drawn around its centre; of a
 * mixture, that of each component around its own. Drawing is differentiable in the base's parameters, but for a mixture's
 * weights and the generalized normal's power, towards which draws have no gradient. */
LEAT_API leat_var leat_base_log_prob(leat_base *b, leat_var z, leat_var context);
LEAT_API leat_var leat_base_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context);

/* Places a base at rows of latents z [n, dim], such as leat_flow_encode makes of data, before training, which then starts
 * near its end: `loc` at each feature's median and the scale by its quartiles; a mixture's components by k-means. What is
 * fixed, and bases without such parameters, stay. Seals the model. LEAT_ESHAPE, LEAT_ENONFINITE. */
LEAT_API leat_code leat_base_start(leat_base *b, leat_tensor z);

/* N(0, I): log p(z) = -sum z^2 / 2 - dim log(2 pi) / 2. */
LEAT_API leat_base *leat_normal(leat_model *m, int64_t dim);

/* Independent standard logistics, NICE's prior: log p(z) = -sum softplus(z) + softplus(-z). */
LEAT_API leat_base *leat_logistic(leat_model *m, int64_t dim);

/* ---- of a place and a scale ----
 * Features are independent, eps = (z - loc) exp(-log_scale), log p(z) = sum log p(eps) - log_scale, with learned `loc`
 * and `log_scale` [dim], 0 at first (but for the generalized normal's). */

/* Normals. */
LEAT_API leat_base *leat_diagonal_normal(leat_model *m, int64_t dim);

/* Student's t with df degrees of freedom, a number for each feature: those given [dim], which stay, or with NULL learned
 * ones, 4 at first, as `log_df` [dim]. Tails fall as |z|^-(df + 1), so that data of heavy tails have a finite
 * log-likelihood under a flow that is affine far out (Jaini et al., "Tails of Lipschitz triangular flows", 2020).
 *
 *     log p(eps) = log Gamma((df + 1) / 2) - log Gamma(df / 2) - log(pi df) / 2 - (df + 1) / 2 log(1 + eps^2 / df)
 *
 * Drawn from two random numbers a feature (Bailey, "Polar generation of random variates with the t-distribution",
 * 1994). */
LEAT_API leat_base *leat_student_t(leat_model *m, int64_t dim, const double *df);

/* Generalized normals: log p(eps) = log(power / 2) - log Gamma(1 / power) - |eps|^power. Power 1 is Laplace's, 2 the
 * normal of standard deviation 1/sqrt(2), a large one nearly uniform on (-1, 1). Those given [dim], which stay, or with
 * NULL learned ones as `log_power` [dim]; at first a standard normal. Drawn from 17 random numbers a feature: a uniform
 * one times a root of a gamma variate by eight tries of Marsaglia & Tsang (2000), all of which fail once in 1e10. */
LEAT_API leat_base *leat_generalized_normal(leat_model *m, int64_t dim, const double *power);

/* Normals whose place and scale follow from the context: `net` maps it, [batch, features], to [batch, 2 dim], first loc,
 * then log_scale. */
LEAT_API leat_base *leat_conditional_normal(leat_model *m, int64_t dim, leat_module *net);

/* Normals with a loc and a log_scale of their own for each class, [classes, dim]; loc is N(0, 1) at first. The context is
 * the class: [batch, classes], of which the greatest says which (one-hot rows, standardized or not), or [batch, 1], a
 * whole number from 0 on, of a flow that leaves its context as it is. Anything else is refused (LEAT_EARG). */
LEAT_API leat_base *leat_class_normal(leat_model *m, int64_t dim, int64_t classes);

/* ---- mixture and box --------------------------------------------------------------------------------------------- */

/* A mixture of normals with diagonal covariance, p(z) = sum_k w_k prod_j N(z_j; mean_kj, scale_kj^2), as the parameters,
 * or the buffers if fixed, `logits` [K] (w = softmax), `loc` and `log_scale` [K, dim]. A draw takes dim + 1 random
 * numbers. */
typedef struct leat_gaussian_mixture_opts {
    int64_t dim, components;
    const double *weights; /* [K], above 0, in any unit; NULL: equal */
    const double *means;   /* [K, dim]; NULL: N(0, 1) numbers, or 0 if fixed */
    const double *scales;  /* [K, dim], standard deviations; NULL: 1 */
    bool fixed_weights, fixed_means, fixed_scales;
} leat_gaussian_mixture_opts;

LEAT_API leat_base *leat_gaussian_mixture(leat_model *m, const leat_gaussian_mixture_opts *o);

/* Uniform between low and high, both [dim], low < high: log p(z) = -sum log(high - low), and -inf outside. */
LEAT_API leat_base *leat_uniform_box(leat_model *m, int64_t dim, const double *low, const double *high);

#ifdef __cplusplus
}
#endif

#endif
