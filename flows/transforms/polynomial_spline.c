/* Linear and quadratic splines (Mueller et al. 2019) as elementwise bijectors: the slope is constant in each bin, or a
 * line from knot to knot. Both are bins of width w from (x_k, y_k), with slopes l and r at their ends: where a = (x - x_k)
 * / w, the slope is s = l (1 - a) + r a, and y = y_k + w a (l + s) / 2. */
#include "../flow_impl.h"

typedef struct bins {
    leat_var x, y, width, left, right; /* knots [.., n + 1]; the others [.., n] */
} bins;

/* Knots of bins of those sizes. The last is the bound to the bit, so that no a is more than 1. */
static leat_var knots_of(leat_var sizes, double bound)
{
    leat_var ends = leat_slice(leat_cumsum(sizes, -1), -1, 0, leat_var_size(sizes, -1) - 1);
    return leat_pad(leat_pad(leat_add_scalar(ends, -bound), -1, 1, 0, -bound), -1, 0, 1, bound);
}

static leat_var sizes_of(leat_var knots)
{
    leat_var after = leat_pad(knots, -1, -1, 0, 0);
    return leat_sub(after, leat_pad(knots, -1, 0, -1, 0));
}

static leat_var pick(leat_var from, leat_var bin)
{
    return leat_squeeze(leat_gather(from, -1, bin), -1);
}

static leat_pair run(const bins *b, double bound, leat_var v, bool inverse)
{
    leat_var inside = leat_clamp(v, -bound, bound), knots = inverse ? b->y : b->x;
    leat_var bin = leat_searchsorted(leat_pad(knots, -1, -1, -1, 0), leat_unsqueeze(inside, -1), true);
    leat_var w = pick(b->width, bin), l = pick(b->left, bin), r = pick(b->right, bin);
    leat_var a = leat_div(leat_sub(inside, pick(knots, bin)), w), slope, out;
    if (inverse) { /* s^2 = l^2 + 2 (r - l) (y - y_k) / w, which rounding may make less than it is at both ends */
        leat_var bent = leat_mul(leat_sub(r, l), leat_mul_scalar(a, 2)), square = leat_add(leat_square(l), bent);
        leat_var least = leat_square(leat_minimum(l, r));
        slope = leat_sqrt(leat_where(leat_lt(square, least), least, square));
        out = leat_div(leat_mul_scalar(a, 2), leat_add(l, slope));
    } else {
        leat_var ahead = leat_mul(r, a);
        slope = leat_add(leat_mul(l, leat_rsub_scalar(1, a)), ahead);
        out = leat_mul(a, leat_mul_scalar(leat_add(l, slope), 0.5));
    }
    out = leat_add(pick(inverse ? b->x : b->y, bin), leat_mul(w, out));
    leat_var logdet = leat_log(slope), zero = leat_scalar(v.tape, 0);
    leat_var beyond = leat_gt(leat_abs(v), leat_scalar(v.tape, bound));
    return (leat_pair){ leat_where(beyond, v, out), leat_where(beyond, zero, inverse ? leat_neg(logdet) : logdet) };
}

/* The least part is number[1]. */
static bool fits(const leat_elementwise *e, leat_var x, int64_t n, bool sense)
{
    double bound = e->number[0], least = e->number[1];
    return leat_elementwise_demand(e, x,
                                   sense && n >= 2 && bound > 0 && bound < 1e30 && least >= 0 && (double)n * least < 1);
}

/* Bins of one width. */
static leat_pair linear(const leat_elementwise *e, leat_var x, const leat_var *theta, bool inverse)
{
    double bound = e->number[0], width = 2 * bound / (double)e->theta[0].width;
    if (!fits(e, x, e->theta[0].width, true))
        return leat_failed_pair(x);
    leat_var heights = leat_mul_scalar(leat_parts_of_one(theta[0], e->number[1]), 2 * bound);
    bins b = { .x = knots_of(leat_full(x.tape, leat_var_shape(heights), width), bound), .y = knots_of(heights, bound) };
    b.width = sizes_of(b.x);
    b.left = b.right = leat_div(sizes_of(b.y), b.width);
    return run(&b, bound, x, inverse);
}

/* The slopes of the ends are 1; each inner one has, by exp(raw) c, part in the area that those leave: 2 bound - (first
 * + last width) / 2; c is half of the widths beside it. */
static leat_pair quadratic(const leat_elementwise *e, leat_var x, const leat_var *theta, bool inverse)
{
    double bound = e->number[0];
    int64_t n = e->theta[0].width;
    if (!fits(e, x, n, e->theta[1].width == n - 1))
        return leat_failed_pair(x);
    bins b = { .x = knots_of(leat_mul_scalar(leat_parts_of_one(theta[0], e->number[1]), 2 * bound), bound) };
    b.width = sizes_of(b.x);
    leat_var half = leat_mul_scalar(b.width, 0.5), after = leat_pad(half, -1, -1, 0, 0);
    leat_var c = leat_add(leat_pad(half, -1, 0, -1, 0), after), first = leat_slice(half, -1, 0, 1);
    leat_var area = leat_rsub_scalar(2 * bound, leat_add(leat_slice(half, -1, n - 1, 1), first));
    leat_var raw = leat_add(leat_elementwise_axis(e, theta, 1), leat_log(c));
    leat_var slopes = leat_mul(leat_div(leat_parts_of_one(raw, e->number[1]), c), area);
    b.left = leat_pad(slopes, -1, 1, 0, 1);
    b.right = leat_pad(slopes, -1, 0, 1, 1);
    b.y = knots_of(leat_mul(half, leat_add(b.left, b.right)), bound);
    return run(&b, bound, x, inverse);
}

#define DIRECTION(function, map, inverse)                                                                              \
    static leat_pair function(const leat_elementwise *self, leat_var x, const leat_var *theta)                         \
    {                                                                                                                  \
        return map(self, x, theta, inverse);                                                                           \
    }
DIRECTION(linear_forward, linear, false)
DIRECTION(linear_inverse, linear, true)
DIRECTION(quadratic_forward, quadratic, false)
DIRECTION(quadratic_inverse, quadratic, true)

const leat_elementwise leat_default_linear_spline = { .name = "linear_spline",
                                                      .theta = { { "heights", 8 } },
                                                      .forward = linear_forward,
                                                      .inverse = linear_inverse,
                                                      .number = { 5, 1e-3 } };

const leat_elementwise leat_default_quadratic_spline = { .name = "quadratic_spline",
                                                         .theta = { { "widths", 8 }, { "slopes", 7 } },
                                                         .forward = quadratic_forward,
                                                         .inverse = quadratic_inverse,
                                                         .number = { 5, 1e-3 } };

const leat_elementwise *leat_linear_spline(leat_model *m, int64_t n, double bound)
{
    return leat_elementwise_copy(m, &leat_default_linear_spline, n, bound);
}

const leat_elementwise *leat_quadratic_spline(leat_model *m, int64_t n, double bound)
{
    leat_elementwise *e = leat_elementwise_copy(m, &leat_default_quadratic_spline, n, bound);
    if (e)
        e->theta[1].width = e->theta[0].width - 1;
    return e;
}
