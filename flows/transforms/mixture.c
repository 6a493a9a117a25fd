/* Distribution functions of mixtures, of logistics and of normals, as elementwise bijectors: with F in logarithms,
 * neither tail is lost. What both have is x -> logit F(x) = log F - log(1 - F). Of logistics that is the map, an op; Flow++
 * (Ho et al. 2019, section 3.2) has an affine map behind it. Of normals y is the number whose own logit Phi(y) it is. */
#include "../flow_impl.h"

/* ---- logistics --------------------------------------------------------------------------------------------------- */

/* Weights, means and log-scales are the groups from `first` on. */
static leat_pair run_logistic(const leat_elementwise *e, int first, leat_var x, const leat_var *theta, bool inverse)
{
    leat_var logdet = { 0 }, t[3];
    for (int g = 0; g < 3; g++)
        t[g] = leat_elementwise_axis(e, theta, first + g);
    leat_var y =
        (inverse ? leat_logistic_mixture_inverse : leat_logistic_mixture_forward)(x, t[0], t[1], t[2], &logdet);
    return (leat_pair){ y, logdet };
}

static leat_pair logistic_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    return run_logistic(self, 0, x, theta, false);
}

static leat_pair logistic_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    return run_logistic(self, 0, y, theta, true);
}

/* y = logit F(x) exp(a) + t, a = tanh(s);  log|dy/dx| = log|d logit F/dx| + a */
static leat_pair flowpp_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    leat_pair logit = run_logistic(self, 2, x, theta, false);
    leat_var logdet, y = leat_affine_forward(logit.y, leat_tanh(theta[0]), theta[1], &logdet);
    return (leat_pair){ y, leat_add(logit.logdet, logdet) };
}

static leat_pair flowpp_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    leat_var logdet, logit = leat_affine_inverse(y, leat_tanh(theta[0]), theta[1], &logdet);
    leat_pair x = run_logistic(self, 2, logit, theta, true);
    return (leat_pair){ x.y, leat_add(x.logdet, logdet) };
}

/* ---- normals: two maps, one of them turned round ----------------------------------------------------------------- */

static leat_var over_components(leat_var logs)
{
    return leat_logsumexp(logs, 1, (int[]){ -1 }, false);
}

/* log P(z), log(1 - P(z)), and the logarithms of p / P and p / (1 - P), of one standard component. */
typedef struct component {
    leat_var below, above, rise, fall;
} component;

static component normal(leat_var z)
{
    leat_var minus = leat_neg(z);
    return (component){ leat_log_normal_cdf(z), leat_log_normal_cdf(minus), leat_log_normal_ratio(z),
                        leat_log_normal_ratio(minus) };
}

/* y = logit F(x), dy/dx = f / F + f / (1 - F), in which each component counts as much as it has part in F: f / F = sum of
 * (weight P / F) (p / P) / scale. */
static leat_pair mixture_logit(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    leat_var weight = leat_log_softmax(leat_elementwise_axis(self, theta, 0), -1),
             log_scale = leat_elementwise_axis(self, theta, 2);
    leat_var z =
        leat_mul(leat_sub(leat_unsqueeze(x, -1), leat_elementwise_axis(self, theta, 1)), leat_exp(leat_neg(log_scale)));
    component c = normal(z);
    leat_var left = leat_add(weight, c.below), right = leat_add(weight, c.above);
    leat_var rise = leat_add(leat_log_softmax(left, -1), leat_sub(c.rise, log_scale));
    leat_var fall = leat_add(leat_log_softmax(right, -1), leat_sub(c.fall, log_scale));
    return (leat_pair){ leat_sub(over_components(left), over_components(right)),
                        leat_logaddexp(over_components(rise), over_components(fall)) };
}

static leat_pair standard_logit(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self, (void)theta;
    component c = normal(x);
    return (leat_pair){ leat_sub(c.below, c.above), leat_logaddexp(c.rise, c.fall) };
}

/* The second map's inverse of what the first one gives. */
static leat_pair then_back(leat_pair first, const leat_elementwise *second, const leat_var *theta)
{
    leat_pair back = leat_elementwise_inverse(second, first.y, theta);
    return (leat_pair){ back.y, leat_add(first.logdet, back.logdet) };
}

static leat_pair normal_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    static const leat_elementwise standard = { .name = "the normal distribution", .forward = standard_logit };
    return then_back(mixture_logit(self, x, theta), &standard, NULL);
}

static leat_pair normal_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    leat_elementwise mixture = *self;
    mixture.forward = mixture_logit;
    mixture.inverse = NULL;
    return then_back(standard_logit(self, y, theta), &mixture, theta);
}

/* ---- to be had ---------------------------------------------------------------------------------------------------- */

const leat_elementwise leat_default_logistic_mixture = {
    .name = "logistic_mixture",
    .theta = { { "weights", 8 }, { "means", 8 }, { "log_scales", 8 } },
    .forward = logistic_forward,
    .inverse = logistic_inverse,
};

const leat_elementwise leat_default_flowpp_mixture = {
    .name = "flowpp_mixture",
    .theta = { { "s", 1 }, { "t", 1 }, { "weights", 32 }, { "means", 32 }, { "log_scales", 32 } },
    .forward = flowpp_forward,
    .inverse = flowpp_inverse,
};

const leat_elementwise leat_default_normal_mixture = {
    .name = "normal_mixture",
    .theta = { { "weights", 8 }, { "means", 8 }, { "log_scales", 8 } },
    .forward = normal_forward,
    .inverse = normal_inverse,
};

static const leat_elementwise *mixture_of(leat_model *m, const leat_elementwise *of, int64_t components)
{
    leat_elementwise *e = leat_elementwise_copy(m, of, 0, 0);
    if (components < 0) {
        leat_model_fail(m, LEAT_EARG, "a mixture of %lld components", (long long)components);
        return NULL;
    }
    for (int g = of == &leat_default_flowpp_mixture ? 2 : 0; e && e->theta[g].name && components; g++)
        e->theta[g].width = components;
    return e;
}

const leat_elementwise *leat_logistic_mixture(leat_model *m, int64_t components)
{
    return mixture_of(m, &leat_default_logistic_mixture, components);
}

const leat_elementwise *leat_flowpp_mixture(leat_model *m, int64_t components)
{
    return mixture_of(m, &leat_default_flowpp_mixture, components);
}

const leat_elementwise *leat_normal_mixture(leat_model *m, int64_t components)
{
    return mixture_of(m, &leat_default_normal_mixture, components);
}
