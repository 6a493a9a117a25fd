/* The rational-quadratic spline (Durkan et al., "Neural spline flows", 2019) with linear tails, of leat's ops alone; its
 * inverse is searched for. */
#include "trial.h"

enum { BINS = 6 };
static const double bound = 3, least = 1e-2;

/* Sizes that add up to 2 bound, none too small. */
static inline leat_var sizes(leat_var theta)
{
    leat_var part = leat_add_scalar(leat_mul_scalar(leat_softmax(theta, -1), 1 - BINS * least), least);
    return leat_mul_scalar(part, 2 * bound);
}

/* Where each bin begins. */
static inline leat_var begins(leat_var size)
{
    return leat_add_scalar(leat_sub(leat_cumsum(size, -1), size), -bound);
}

static inline leat_var pick(leat_var of_bins, leat_var bin, leat_var x)
{
    return leat_reshape(leat_gather(of_bins, -1, bin), leat_var_shape(x));
}

/* Equations 4 and 5 */
static inline leat_pair spline_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    leat_var w = sizes(theta[0]), h = sizes(theta[1]), at = begins(w), inside = leat_clamp(x, -bound, bound);
    leat_var slope = leat_pad(leat_add_scalar(leat_softplus(theta[2]), least), -1, 1, 1, 1);
    leat_var count = leat_searchsorted(at, leat_unsqueeze(inside, -1), true);
    leat_var bin = leat_clamp(leat_sub_scalar(count, 1), 0, BINS - 1);
    leat_var width = pick(w, bin, x), height = pick(h, bin, x), s = leat_div(height, width);
    leat_var d0 = pick(slope, bin, x), d1 = pick(slope, leat_add_scalar(bin, 1), x);
    leat_var t = leat_div(leat_sub(inside, pick(at, bin, x)), width), u = leat_rsub_scalar(1, t), tu = leat_mul(t, u);
    leat_var low = leat_add(s, leat_mul(leat_sub(leat_add(d0, d1), leat_mul_scalar(s, 2)), tu));
    leat_var up = leat_mul(height, leat_add(leat_mul(s, leat_square(t)), leat_mul(d0, tu)));
    leat_var y = leat_add(pick(begins(h), bin, x), leat_div(up, low));
    leat_var rise = leat_add(leat_add(leat_mul(d1, leat_square(t)), leat_mul_scalar(leat_mul(s, tu), 2)),
                             leat_mul(d0, leat_square(u)));
    leat_var log_slope =
        leat_sub(leat_add(leat_mul_scalar(leat_log(s), 2), leat_log(rise)), leat_mul_scalar(leat_log(low), 2));
    leat_var out = leat_gt(leat_abs(x), leat_full(x.tape, leat_shape_of(0, NULL), bound));
    return (leat_pair){ leat_where(out, x, y), leat_where(out, leat_zeros_like(x), log_slope) };
}

static const leat_elementwise spline = {
    .name = "spline",
    .theta = { { "widths", BINS }, { "heights", BINS }, { "slopes", BINS - 1 } },
    .forward = spline_forward,
};
