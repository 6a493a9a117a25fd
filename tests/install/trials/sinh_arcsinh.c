/* Sinh-arcsinh couplings (Jones & Pewsey, "Sinh-arcsinh distributions", 2009): skewness and weight of tails. */
#include "trial.h"

/* y = sinh(d asinh(x) + e), d = exp(tanh(theta)):  log|dy/dx| = log d + log cosh(d asinh(x) + e) - log(1 + x^2) / 2 */
static leat_pair bend(leat_var x, leat_var log_d, leat_var e)
{
    leat_var u = leat_add(leat_mul(leat_asinh(x), leat_exp(log_d)), e);
    leat_var log_cosh = leat_add_scalar(leat_logaddexp(u, leat_neg(u)), -log(2));
    leat_var log_root = leat_mul_scalar(leat_log1p(leat_square(x)), 0.5);
    return (leat_pair){ leat_sinh(u), leat_sub(leat_add(log_d, log_cosh), log_root) };
}

static leat_pair forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    return bend(x, leat_tanh(theta[0]), theta[1]);
}

static leat_pair inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    (void)self;
    leat_var log_d = leat_tanh(theta[0]);
    leat_var x = leat_sinh(leat_mul(leat_sub(leat_asinh(y), theta[1]), leat_exp(leat_neg(log_d))));
    return (leat_pair){ x, leat_neg(bend(x, log_d, theta[1]).logdet) };
}

static const leat_elementwise sinh_arcsinh = {
    .name = "sinh_arcsinh",
    .theta = { { "tail", 1 }, { "skew", 1 } },
    .forward = forward,
    .inverse = inverse,
};

static leat_flow *build(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_diagonal_normal(m, 3));
    for (int i = 0; i < 4; i++) {
        leat_mask mask = leat_mask_alternating(m, 3, i);
        leat_module *net = leat_mlp(m, mask.kept, (int64_t[]){ 16, 0 }, 2 * mask.moved, LEAT_TANH);
        leat_flow_add(f, leat_coupling(m, mask, &sinh_arcsinh, net));
        leat_flow_add(f, leat_actnorm(m, 3));
    }
    return f;
}

int main(void)
{
    const leat_elementwise *const mine[] = { &sinh_arcsinh, NULL };
    return trial(build, &(leat_own_parts){ .elementwises = mine });
}
