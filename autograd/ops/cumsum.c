/* Running sums along one axis; the gradient's run back from the end. */
#include "ops.h"

static int axis_of(const leat_call *c)
{
    return *(const int *)c->attributes;
}

static leat_code cumsum_shape(leat_call *c)
{
    c->out[0].shape = c->in[0].shape;
    return leat_call_axis(c, axis_of(c), c->in[0].shape.rank);
}

static void sums_from_first(const leat_real *x, const leat_real *none, leat_real *y, int64_t rows, int64_t n)
{
    (void)none;
    for (; rows > 0; rows--, x += n, y += n) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            y[i] = (leat_real)(sum += (double)x[i]);
    }
}

static void sums_from_last(const leat_real *g, const leat_real *none, leat_real *dx, int64_t rows, int64_t n)
{
    (void)none;
    for (; rows > 0; rows--, g += n, dx += n) {
        double sum = 0;
        for (int64_t i = n - 1; i >= 0; i--)
            dx[i] = (leat_real)(sum += (double)g[i]);
    }
}

static void cumsum_forward(leat_call *c)
{
    leat_call_along(c, &c->in[0].shape, axis_of(c), c->in[0].data, NULL, c->out[0].data, sums_from_first);
}

static void cumsum_backward(leat_call *c)
{
    leat_call_along(c, &c->in[0].shape, axis_of(c), c->dout[0].data, NULL, c->din[0].data, sums_from_last);
}

static bool cumsum_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape;
        int axis;
    } samples[] = {
        { { 1, { 1 } }, 0 },       { { 1, { 17 } }, -1 },     { { 2, { 5, 8 } }, 1 },       { { 2, { 7, 3 } }, 0 },
        { { 2, { 3, 1 } }, 1 },    { { 2, { 0, 3 } }, 1 },    { { 2, { 2, 0 } }, -1 },      { { 3, { 2, 3, 19 } }, -2 },
        { { 3, { 3, 4, 2 } }, 0 }, { { 3, { 2, 5, 3 } }, 2 }, { { 4, { 2, 3, 2, 3 } }, 1 },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    return leat_case_of_one(k, samples[i].shape, &samples[i].axis, sizeof samples[i].axis);
}

LEAT_OP(cumsum, .inputs = 1, .unread = LEAT_UNREAD_ALL);

leat_var leat_cumsum(leat_var x, int axis)
{
    return leat_apply(&leat_op_cumsum, &axis, sizeof axis, 1, &x, NULL);
}
