/* leat/flows: elementwise bijectors for couplings and autoregressive transforms. Part of flows.h, which includes it. */
#ifndef LEAT_BIJECTORS_H
#define LEAT_BIJECTORS_H

#include "flows.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The rational-quadratic spline (Durkan, Bekasov, Murray & Papamakarios, "Neural spline flows", 2019): from -bound to
 * bound it maps onto itself through bins whose widths and heights and the slopes between them are theta. Beyond, y = x,
 * and the slopes at the ends are 1: the paper's linear tails. Circular: the slopes at both ends are one, theta's first,
 * and x and y are angles, taken some whole periods of 2 bound nearer, to -bound .. bound.
 *
 * theta is raw, in nflows' terms: widths [bins] and heights [bins] are 2 bound (least + (1 - bins least) softmax(raw)),
 * slopes [bins - 1], circular [bins], are least_slope + softplus(raw). Bins and bound are zuko's if not given, the least
 * sizes nflows'. The tape fails (LEAT_EARG, LEAT_ESHAPE) if they fit no spline, see autograd.h. */
typedef struct leat_rational_quadratic_opts {
    int64_t bins;                                  /* 0: 8; 2 to 64 */
    double bound;                                  /* 0: 5 */
    double least_width, least_height, least_slope; /* 0: 1e-3 each; widths and heights as parts of 2 bound */
    bool circular;
} leat_rational_quadratic_opts;

/* For that model; NULL options: all defaults. */
LEAT_API const leat_elementwise *leat_rational_quadratic(leat_model *m, const leat_rational_quadratic_opts *o);

/* The logit of the distribution function of a mixture of logistics (Ho et al., "Flow++", 2019): y = log F - log(1 - F),
 * F = sum over `components` (0: 8) of softmax(weights) sigmoid((x - means) exp(-log_scales)); far out y is linear. theta
 * is weights, means and log_scales, each [components]. The inverse is searched for. */
LEAT_API const leat_elementwise *leat_logistic_mixture(leat_model *m, int64_t components);

#ifdef __cplusplus
}
#endif

#endif
