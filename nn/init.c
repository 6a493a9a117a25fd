/* How parameters start. Element i comes from number i of the parameter's random stream. */
#include "nn.h"

#include <math.h>

static void fill_constant(leat_rng *rng, leat_tensor t, double a, double b)
{
    (void)rng, (void)b;
    int64_t n = leat_shape_count(&t.shape);
    for (int64_t i = 0; i < n; i++)
        t.data[i] = (leat_real)a;
}

static void fill_uniform(leat_rng *rng, leat_tensor t, double a, double b)
{
    leat_rng_fill_uniform(rng, t.data, leat_shape_count(&t.shape), a, b);
}

/* Rounded once, so that the float library starts from the double library's numbers, rounded. */
static void fill_normal(leat_rng *rng, leat_tensor t, double a, double b)
{
    int64_t n = leat_shape_count(&t.shape);
    for (int64_t i = 0; i < n; i++)
        t.data[i] = (leat_real)fma(b, leat_rng_normal(rng), a);
}

leat_init leat_init_zeros(void)
{
    return leat_init_constant(0);
}

leat_init leat_init_constant(double value)
{
    return (leat_init){ fill_constant, value, 0 };
}

leat_init leat_init_uniform(double low, double high)
{
    return (leat_init){ fill_uniform, low, high };
}

leat_init leat_init_normal(double mean, double sd)
{
    return (leat_init){ fill_normal, mean, sd };
}
