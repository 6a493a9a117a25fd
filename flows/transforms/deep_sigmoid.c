/* The deep sigmoidal flow (Huang et al. 2018) as an elementwise bijector: each layer is the logit of a mixture of
 * logistics, leat_logistic_mixture_forward, whose means are -b / a and scales 1 / a. */
#include "../flow_impl.h"

static leat_pair run(const leat_elementwise *e, leat_var x, const leat_var *theta, bool inverse)
{
    int64_t width = e->theta[0].width, layers = e->number[0] >= 1 && e->number[0] <= 64 ? (int64_t)e->number[0] : 1;
    int64_t units = width / layers;
    bool even = units * layers == width && e->theta[1].width == width && e->theta[2].width == width;
    leat_var group[3], logdet = { 0 };
    leat_pair h = { x, leat_zeros(x.tape, LEAT_SHAPE(leat_var_size(x, 0))) };
    if (!leat_elementwise_demand(e, x, even && (double)layers == e->number[0] && e->number[1] > 0))
        return leat_failed_pair(x);
    for (int64_t i = 0; i < layers; i++) {
        for (int g = 0; g < 3; g++)
            group[g] =
                leat_slice(leat_elementwise_axis(e, theta, g), -1, (inverse ? layers - 1 - i : i) * units, units);
        leat_var a = leat_add_scalar(leat_softplus(group[1]), e->number[1]);
        leat_var means = leat_neg(leat_div(group[2], a)), log_scales = leat_neg(leat_log(a));
        h.y = (inverse ? leat_logistic_mixture_inverse : leat_logistic_mixture_forward)(h.y, group[0], means,
                                                                                        log_scales, &logdet);
        h.logdet = leat_add(h.logdet, logdet);
    }
    return h;
}

static leat_pair forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    return run(self, x, theta, false);
}

static leat_pair inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    return run(self, y, theta, true);
}

const leat_elementwise leat_default_deep_sigmoid = {
    .name = "deep_sigmoid",
    .theta = { { "weights", 2 * 8 }, { "slopes", 2 * 8 }, { "shifts", 2 * 8 } },
    .forward = forward,
    .inverse = inverse,
    .number = { 2, 1e-3 }, /* layers, least slope */
};

const leat_elementwise *leat_deep_sigmoid(leat_model *m, int64_t layers, int64_t units)
{
    int64_t count = layers ? layers : 2, width = count * (units ? units : 8);
    leat_elementwise *e = leat_elementwise_copy(m, &leat_default_deep_sigmoid, width, (double)count);
    for (int g = 1; e && g < 3; g++)
        e->theta[g].width = width;
    return e;
}
