/* The rational-quadratic spline (Durkan et al. 2019) as an elementwise bijector. */
#include "../flow_impl.h"

typedef leat_var spline_op(leat_var x, leat_var widths, leat_var heights, leat_var slopes, const leat_spline *spline,
                           leat_var *logdet);

/* A group of one number, the slope between two bins, comes without an axis of its own. */
static leat_pair run_spline(spline_op *op, const leat_elementwise *e, leat_var x, const leat_var *theta)
{
    leat_spline s = { e->number[0], e->number[1], e->number[2], e->number[3] };
    leat_var slopes = e->theta[2].width == 1 ? leat_unsqueeze(theta[2], -1) : theta[2], logdet;
    leat_var y = op(x, theta[0], theta[1], slopes, &s, &logdet);
    return (leat_pair){ y, logdet };
}

static leat_pair spline_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    return run_spline(leat_rational_quadratic_forward, self, x, theta);
}

static leat_pair spline_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    return run_spline(leat_rational_quadratic_inverse, self, y, theta);
}

const leat_elementwise leat_default_rational_quadratic = {
    .name = "rational_quadratic",
    .theta = { { "widths", 8 }, { "heights", 8 }, { "slopes", 7 } },
    .forward = spline_forward,
    .inverse = spline_inverse,
    .number = { 5, 1e-3, 1e-3, 1e-3 }, /* bound, least width, height and slope */
};

const leat_elementwise *leat_rational_quadratic(leat_model *m, const leat_rational_quadratic_opts *o)
{
    leat_rational_quadratic_opts none = { 0 };
    leat_elementwise *e = leat_arena_alloc(leat_model_arena(m), sizeof *e);
    o = o ? o : &none;
    if (!e) {
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a spline");
        return NULL;
    }
    *e = leat_default_rational_quadratic;
    if (o->bins)
        e->theta[0].width = e->theta[1].width = o->bins;
    e->theta[2].width = e->theta[0].width - !o->circular;
    const double given[] = { o->bound, o->least_width, o->least_height, o->least_slope };
    for (int i = 0; i < 4; i++)
        e->number[i] = given[i] != 0 ? given[i] : e->number[i];
    return e;
}
