/* The rational-quadratic spline (Durkan et al. 2019) as an elementwise bijector. */
#include "../flow_impl.h"

typedef leat_var spline_op(leat_var x, leat_var widths, leat_var heights, leat_var slopes, const leat_spline *spline,
                           leat_var *logdet);

static leat_pair run_spline(spline_op *op, bool clipped, const leat_elementwise *e, leat_var x, const leat_var *theta)
{
    leat_spline s = { e->number[0], e->number[1], e->number[2], e->number[3], clipped };
    leat_var logdet, y = op(x, theta[0], theta[1], leat_elementwise_axis(e, theta, 2), &s, &logdet);
    return (leat_pair){ y, logdet };
}

#define SPLINE(function, op, clipped)                                                                                  \
    static leat_pair function(const leat_elementwise *self, leat_var x, const leat_var *theta)                         \
    {                                                                                                                  \
        return run_spline(op, clipped, self, x, theta);                                                                \
    }
SPLINE(forward, leat_rational_quadratic_forward, false)
SPLINE(inverse, leat_rational_quadratic_inverse, false)
SPLINE(clipped_forward, leat_rational_quadratic_forward, true)
SPLINE(clipped_inverse, leat_rational_quadratic_inverse, true)

const leat_elementwise leat_default_rational_quadratic = {
    .name = "rational_quadratic",
    .theta = { { "widths", 8 }, { "heights", 8 }, { "slopes", 7 } },
    .forward = forward,
    .inverse = inverse,
    .number = { 5, 1e-3, 1e-3, 1e-3 }, /* bound, least width, height and slope */
};

const leat_elementwise leat_default_clipped_rational_quadratic = {
    .name = "clipped_rational_quadratic",
    .theta = { { "widths", 8 }, { "heights", 8 }, { "slopes", 7 } },
    .forward = clipped_forward,
    .inverse = clipped_inverse,
    .number = { 5, 0, 0, 1e-3 },
};

const leat_elementwise *leat_rational_quadratic(leat_model *m, const leat_rational_quadratic_opts *o)
{
    leat_rational_quadratic_opts none = { 0 };
    o = o ? o : &none;
    leat_elementwise *e = leat_elementwise_copy(
        m, o->clipped ? &leat_default_clipped_rational_quadratic : &leat_default_rational_quadratic, o->bins, o->bound);
    if (!e)
        return NULL;
    e->theta[1].width = e->theta[0].width;
    e->theta[2].width = e->theta[0].width - !o->circular;
    const double given[] = { o->least_width, o->least_height, o->least_slope };
    for (int i = 0; i < 3; i++)
        e->number[1 + i] = given[i] != 0 ? given[i] : e->number[1 + i];
    return e;
}
