/* The distribution function of a mixture of logistics, turned into numbers of any size by its logit, as an elementwise
 * bijector (Ho et al., "Flow++", 2019, section 3.2, without the affine map behind). */
#include "../flow_impl.h"

/* A group of one number comes without an axis of its own. */
static leat_var group(const leat_elementwise *e, const leat_var *theta, int g)
{
    return e->theta[g].width == 1 ? leat_unsqueeze(theta[g], -1) : theta[g];
}

static leat_var over_components(leat_var logs)
{
    return leat_logsumexp(logs, 1, (int[]){ -1 }, false);
}

/* With z = (x - mean) / scale of each component, p = sigmoid(z), F = sum of weight p, all in logarithms, so that neither
 * tail is lost: y = log F - log(1 - F), and dy/dx = f / F + f / (1 - F), in which every component counts as much as it
 * has part in F: f / F = sum of (weight p / F) (1 - p) / scale. */
static leat_pair mixture_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    leat_var weight = leat_log_softmax(group(self, theta, 0), -1), log_scale = group(self, theta, 2);
    leat_var z = leat_mul(leat_sub(leat_unsqueeze(x, -1), group(self, theta, 1)), leat_exp(leat_neg(log_scale)));
    leat_var below = leat_log_sigmoid(z), above = leat_log_sigmoid(leat_neg(z));
    leat_var left = leat_add(weight, below), right = leat_add(weight, above);
    leat_var rise = leat_add(leat_log_softmax(left, -1), leat_sub(above, log_scale));
    leat_var fall = leat_add(leat_log_softmax(right, -1), leat_sub(below, log_scale));
    return (leat_pair){ leat_sub(over_components(left), over_components(right)),
                        leat_logaddexp(over_components(rise), over_components(fall)) };
}

const leat_elementwise leat_default_logistic_mixture = {
    .name = "logistic_mixture",
    .theta = { { "weights", 8 }, { "means", 8 }, { "log_scales", 8 } },
    .forward = mixture_forward,
};

const leat_elementwise *leat_logistic_mixture(leat_model *m, int64_t components)
{
    leat_elementwise *e = leat_arena_alloc(leat_model_arena(m), sizeof *e);
    if (!e || components < 0) {
        leat_model_fail(m, e ? LEAT_EARG : LEAT_ENOMEM, "a mixture of %lld logistics", (long long)components);
        return NULL;
    }
    *e = leat_default_logistic_mixture;
    for (int g = 0; g < 3 && components; g++)
        e->theta[g].width = components;
    return e;
}
