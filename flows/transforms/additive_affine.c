/* Elementwise bijectors: scalar monotone maps whose parameters a conditioner supplies. */
#include "../flows.h"

/* y = x + shift;  log|dy/dx| = 0   (Dinh et al. 2015, eq. 8) */
static leat_pair additive_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    return (leat_pair){ leat_add(x, theta[0]), leat_zeros_like(x) };
}

static leat_pair additive_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    (void)self;
    return (leat_pair){ leat_sub(y, theta[0]), leat_zeros_like(y) };
}

const leat_elementwise leat_additive = {
    .name = "additive",
    .theta = { { "shift", 1 } },
    .forward = additive_forward,
    .inverse = additive_inverse,
};

/* y = x exp(s) + t;  log|dy/dx| = s, here summed over each row   (Dinh et al. 2017, eq. 7 and 8) */
static leat_pair affine_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    leat_var logdet, y = leat_affine_forward(x, theta[0], theta[1], &logdet);
    return (leat_pair){ y, logdet };
}

static leat_pair affine_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    (void)self;
    leat_var logdet, x = leat_affine_inverse(y, theta[0], theta[1], &logdet);
    return (leat_pair){ x, logdet };
}

const leat_elementwise leat_affine = {
    .name = "affine",
    .theta = { { "s", 1 }, { "t", 1 } },
    .forward = affine_forward,
    .inverse = affine_inverse,
};
