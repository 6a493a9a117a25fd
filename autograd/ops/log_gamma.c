/* The logarithm of the gamma function, and its step of one half: in double, for the few parameters that it is asked of.
 * */
#include "ops.h"
#include "../../tensor/kernels/elementary.h"

/* From 10,000 on two terms of the expansion are exact, and the difference of two large numbers is not. */
static double half_step(double x)
{
    return x < 1e4 ? leat_lgamma64(x + 0.5) - leat_lgamma64(x) : 0.5 * leat_log64(x) - 0.125 / x;
}

static double half_step_slope(double x)
{
    return x < 1e4 ? leat_digamma64(x + 0.5) - leat_digamma64(x) : (0.5 + 0.125 / x) / x;
}

static leat_code gamma_shape(leat_call *c)
{
    c->out[0].shape = c->in[0].shape;
    return LEAT_OK;
}

static bool gamma_sample(leat_case *k, int i)
{
    static const double ranges[][2] = { { 0.25, 2 }, { 2, 40 }, { 11000, 12000 } };
    if (i >= 3)
        return false;
    k->n = 1;
    k->in[0] = leat_case_away(k, LEAT_SHAPE(3, 7), ranges[i][0], ranges[i][1], true);
    return true;
}

#define LOG_GAMMA(op, value, slope)                                                                                    \
    static void op##_forward(leat_call *c)                                                                             \
    {                                                                                                                  \
        for (int64_t i = 0, n = leat_shape_count(&c->in[0].shape); i < n; i++)                                         \
            c->out[0].data[i] = (leat_real)value((double)c->in[0].data[i]);                                            \
    }                                                                                                                  \
    static void op##_backward(leat_call *c)                                                                            \
    {                                                                                                                  \
        for (int64_t i = 0, n = leat_shape_count(&c->in[0].shape); i < n; i++)                                         \
            c->din[0].data[i] = (leat_real)((double)c->dout[0].data[i] * slope((double)c->in[0].data[i]));             \
    }                                                                                                                  \
    LEAT_OP_OF(op, gamma_shape, gamma_sample, .inputs = 1, .unread = LEAT_UNREAD_OUTPUTS);                             \
    leat_var leat_##op(leat_var x)                                                                                     \
    {                                                                                                                  \
        return leat_apply(&leat_op_##op, NULL, 0, 1, &x, NULL);                                                        \
    }

LOG_GAMMA(lgamma, leat_lgamma64, leat_digamma64)
LOG_GAMMA(lgamma_half, half_step, half_step_slope)
