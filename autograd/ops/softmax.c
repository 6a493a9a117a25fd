/* softmax and log_softmax along one axis. */
#include "ops.h"
#include "../../tensor/kernels/row_kernels.h"

static int axis_of(const leat_call *c)
{
    return *(const int *)c->attributes;
}

static leat_code softmax_shape(leat_call *c)
{
    c->out[0].shape = c->in[0].shape;
    return leat_call_axis(c, axis_of(c), c->in[0].shape.rank);
}

static bool softmax_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape;
        int axis;
    } samples[] = {
        { { 1, { 1 } }, 0 },         { { 1, { 17 } }, -1 },     { { 2, { 5, 8 } }, 1 },    { { 2, { 7, 3 } }, 0 },
        { { 2, { 3, 1 } }, 1 },      { { 2, { 1, 35 } }, -1 },  { { 2, { 0, 3 } }, 1 },    { { 2, { 2, 0 } }, 1 },
        { { 3, { 2, 3, 19 } }, -2 }, { { 3, { 3, 4, 2 } }, 0 }, { { 3, { 2, 5, 3 } }, 2 }, { { 4, { 2, 3, 2, 3 } }, 1 },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    k->may_vanish = samples[i].shape.size[leat_axis(samples[i].axis, samples[i].shape.rank)] == 1;
    return leat_case_of_one(k, samples[i].shape, &samples[i].axis, sizeof samples[i].axis);
}

#define ALONG(op)                                                                                                      \
    static void op##_rows(const leat_real *x, const leat_real *none, leat_real *y, int64_t rows, int64_t n)            \
    {                                                                                                                  \
        (void)none;                                                                                                    \
        leat_kernels_get()->rows->op(x, y, rows, n);                                                                   \
    }                                                                                                                  \
    static void op##_backward_rows(const leat_real *y, const leat_real *g, leat_real *dx, int64_t rows, int64_t n)     \
    {                                                                                                                  \
        leat_kernels_get()->rows->op##_backward(y, g, dx, rows, n);                                                    \
    }                                                                                                                  \
    static void op##_forward(leat_call *c)                                                                             \
    {                                                                                                                  \
        leat_call_along(c, &c->in[0].shape, axis_of(c), c->in[0].data, NULL, c->out[0].data, op##_rows);               \
    }                                                                                                                  \
    static void op##_backward(leat_call *c)                                                                            \
    {                                                                                                                  \
        leat_call_along(c, &c->in[0].shape, axis_of(c), c->out[0].data, c->dout[0].data, c->din[0].data,               \
                        op##_backward_rows);                                                                           \
    }                                                                                                                  \
    LEAT_OP_OF(op, softmax_shape, softmax_sample, .inputs = 1, .unread = LEAT_UNREAD_INPUTS);                          \
    leat_var leat_##op(leat_var x, int axis)                                                                           \
    {                                                                                                                  \
        return leat_apply(&leat_op_##op, &axis, sizeof axis, 1, &x, NULL);                                             \
    }

ALONG(softmax)
ALONG(log_softmax)
