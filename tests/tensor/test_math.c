/*
 * The elementary functions: a sample of what math_all.c checks in full, special values, and the double functions of
 * tensor/math.h.
 */
#include <criterion/criterion.h>

#include "../../tensor/kernels/elementary.h"
#include "math_reference.h"

#define CHUNK 1024

/* Runs the function of every instruction set over the numbers and returns the largest error. */
static double largest_error(const struct reference *r, const leat_real *x, int64_t n, leat_real *at)
{
    double worst = 0;
    leat_real y[CHUNK];
    for (const leat_kernels *const *set = leat_kernels_all(); *set; set++) {
        (*set)->unary[r->op].forward(x, y, n, (leat_constants){ 0, 0 });
        for (int64_t i = 0; i < n; i++) {
            double off = real_units_off(y[i], r->function((wide)x[i]));
            if (off > worst) {
                worst = off;
                *at = x[i];
            }
        }
    }
    return worst;
}

Test(math, within_few_units)
{
#ifdef LEAT_DOUBLE
    const uint64_t points = 300000;
    leat_rng rng = leat_rng_new(1, 0);
#else
    const uint64_t points = ((uint64_t)1 << 32) / 4099;
#endif
    for (int f = 0; f < REFERENCE_COUNT; f++) {
        leat_real x[CHUNK];
        for (uint64_t i = 0; i < points;) {
            int64_t n = 0;
            for (; n < CHUNK && i < points; n++, i++) {
#ifdef LEAT_DOUBLE
                x[n] = random_point(leat_rng_next(&rng), i);
#else
                uint32_t bits = (uint32_t)(i * 4099);
                memcpy(&x[n], &bits, sizeof bits);
#endif
            }
            leat_real at = 0;
            double worst = largest_error(&references[f], x, n, &at);
            cr_assert_leq(worst, references[f].limit, "%s: %g units off at %a", references[f].name, worst, (double)at);
        }
    }
}

/* Units that pow is off at most: the power of every instruction set, of CHUNK pairs. */
static double largest_power_error(const leat_real *x, const leat_real *y, leat_real at[2])
{
    double worst = 0;
    leat_real z[CHUNK];
    for (const leat_kernels *const *set = leat_kernels_all(); *set; set++) {
        (*set)->binary[LEAT_BINARY_pow].forward(x, 1, y, 1, z, CHUNK);
        for (int i = 0; i < CHUNK; i++) {
            double off = real_units_off(z[i], wide_pow((wide)x[i], (wide)y[i]));
            if (off > worst)
                worst = off, at[0] = x[i], at[1] = y[i];
        }
    }
    return worst;
}

Test(math, powers_within_two_units)
{
    leat_rng rng = leat_rng_new(4, 0);
    for (int block = 0; block < 500; block++) {
        leat_real x[CHUNK], y[CHUNK], at[2] = { 0, 0 };
        for (uint64_t i = 0; i < CHUNK; i++)
            random_powers(&rng, i, &x[i], &y[i]);
        double worst = largest_power_error(x, y, at);
        cr_assert_leq(worst, 2.0, "%g units off at %a ^ %a", worst, (double)at[0], (double)at[1]);
    }
}

/* Every pair of special values is what C's pow gives, sign of zero included. */
Test(math, powers_of_special_values)
{
    const double inf = (double)INFINITY;
    const double odd[] = { 0,      -0.0,    1,      -1,   2,     -2,    0.5, -0.5, 3,          -3,
                           0x1p24, -0x1p24, 0x1p53, 1e30, -1e30, 1e-30, inf, -inf, (double)NAN };
    enum { N = sizeof odd / sizeof *odd };
    for (const leat_kernels *const *set = leat_kernels_all(); *set; set++) {
        for (int i = 0; i < N * N; i++) {
            leat_real x = (leat_real)odd[i / N], y = (leat_real)odd[i % N], z;
            (*set)->binary[LEAT_BINARY_pow].forward(&x, 1, &y, 1, &z, 1);
            leat_real want = (leat_real)wide_pow((wide)x, (wide)y);
            cr_assert(real_units_off(z, (wide)want) <= 1 && (isnan(want) || signbit(z) == signbit(want)),
                      "%s: %g ^ %g = %g, not %g", (*set)->isa, (double)x, (double)y, (double)z, (double)want);
        }
    }
}

/* Where the answer is exact and easily got wrong. */
static const struct special {
    int op;
    double x, y;
} specials[] = {
    { LEAT_UNARY_exp, 0, 1 },
    { LEAT_UNARY_exp, -0.0, 1 },
    { LEAT_UNARY_exp, (double)INFINITY, (double)INFINITY },
    { LEAT_UNARY_exp, -(double)INFINITY, 0 },
    { LEAT_UNARY_exp, 1000, (double)INFINITY },
    { LEAT_UNARY_exp, -1000, 0 },
    { LEAT_UNARY_exp, (double)NAN, (double)NAN },
    { LEAT_UNARY_log, 1, 0 },
    { LEAT_UNARY_log, 0, -(double)INFINITY },
    { LEAT_UNARY_log, -0.0, -(double)INFINITY },
    { LEAT_UNARY_log, -1, (double)NAN },
    { LEAT_UNARY_log, -(double)INFINITY, (double)NAN },
    { LEAT_UNARY_log, (double)INFINITY, (double)INFINITY },
    { LEAT_UNARY_log, (double)NAN, (double)NAN },
    { LEAT_UNARY_tanh, 0, 0 },
    { LEAT_UNARY_tanh, -0.0, -0.0 },
    { LEAT_UNARY_tanh, (double)INFINITY, 1 },
    { LEAT_UNARY_tanh, -(double)INFINITY, -1 },
    { LEAT_UNARY_tanh, 50, 1 },
    { LEAT_UNARY_tanh, 0x1p-140, 0x1p-140 },
    { LEAT_UNARY_tanh, (double)NAN, (double)NAN },
    { LEAT_UNARY_sigmoid, 0, 0.5 },
    { LEAT_UNARY_sigmoid, (double)INFINITY, 1 },
    { LEAT_UNARY_sigmoid, -(double)INFINITY, 0 },
    { LEAT_UNARY_sigmoid, -1000, 0 },
    { LEAT_UNARY_sigmoid, (double)NAN, (double)NAN },
    { LEAT_UNARY_softplus, (double)INFINITY, (double)INFINITY },
    { LEAT_UNARY_softplus, -(double)INFINITY, 0 },
    { LEAT_UNARY_softplus, 100, 100 },
    { LEAT_UNARY_softplus, -1000, 0 },
    { LEAT_UNARY_softplus, (double)NAN, (double)NAN },
    { LEAT_UNARY_relu, -1, 0 },
    { LEAT_UNARY_relu, -(double)INFINITY, 0 },
    { LEAT_UNARY_relu, 2, 2 },
    { LEAT_UNARY_relu, (double)INFINITY, (double)INFINITY },
    { LEAT_UNARY_relu, (double)NAN, (double)NAN },
    { LEAT_UNARY_sqrt, 4, 2 },
    { LEAT_UNARY_sqrt, -1, (double)NAN },
};

Test(math, special_values)
{
    for (const leat_kernels *const *set = leat_kernels_all(); *set; set++) {
        for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
            leat_real x = (leat_real)specials[i].x, y;
            (*set)->unary[specials[i].op].forward(&x, &y, 1, (leat_constants){ 0, 0 });
            cr_assert(same_real(y, (leat_real)specials[i].y), "%s, row %zu: f(%g) = %g, not %g", (*set)->isa, i,
                      (double)x, (double)y, specials[i].y);
        }
    }
}

/* Value and derivative at which the answers are exact. */
Test(math, exact_values)
{
    static const struct {
        int op;
        double x, g, y, dx;
    } rows[] = {
        { LEAT_UNARY_neg, 3, 2, -3, -2 },
        { LEAT_UNARY_exp, 0, 5, 1, 5 },
        { LEAT_UNARY_log, 1, 6, 0, 6 },
        { LEAT_UNARY_tanh, 0, 7, 0, 7 },
        { LEAT_UNARY_sigmoid, 0, 8, 0.5, 2 },
        { LEAT_UNARY_relu, 4, 3, 4, 3 },
        { LEAT_UNARY_relu, -4, 3, 0, 0 },
        { LEAT_UNARY_relu, 0, 3, 0, 0 },
        { LEAT_UNARY_square, -3, 2, 9, -12 },
        { LEAT_UNARY_sqrt, 16, 8, 4, 1 },
        { LEAT_UNARY_add_scalar, 1, 5, 3, 5 },
        { LEAT_UNARY_mul_scalar, 3, 5, 6, 10 },
        { LEAT_UNARY_rdiv_scalar, 4, 8, 0.5, -1 },
    };
    for (const leat_kernels *const *set = leat_kernels_all(); *set; set++) {
        for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
            const leat_constants two = { 2, 0 };
            leat_real x = (leat_real)rows[i].x, gradient = (leat_real)rows[i].g, y, dx;
            (*set)->unary[rows[i].op].forward(&x, &y, 1, two);
            (*set)->unary[rows[i].op].backward(&x, &y, &gradient, &dx, 1, two);
            cr_assert_eq(y, (leat_real)rows[i].y, "%s, row %d", (*set)->isa, i);
            cr_assert_eq(dx, (leat_real)rows[i].dx, "%s, row %d", (*set)->isa, i);
        }
    }
}

Test(math, exp_overflows_at_the_right_number)
{
#ifdef LEAT_DOUBLE
    const leat_real top = 0x1.62e42fefa39efp+9, x[] = { nextafter(top, 0), top, nextafter(top, 1000) };
#else
    const leat_real top = 0x1.62e42ep+6F, x[] = { nextafterf(top, 0), top, nextafterf(top, 100) };
#endif
    leat_real y[3];
    for (const leat_kernels *const *set = leat_kernels_all(); *set; set++) {
        (*set)->unary[LEAT_UNARY_exp].forward(x, y, 3, (leat_constants){ 0, 0 });
        for (int i = 0; i < 3; i++)
            cr_assert_eq(isinf(y[i]), isinf((leat_real)wide_exp((wide)x[i])), "%s: exp(%a) = %a", (*set)->isa,
                         (double)x[i], (double)y[i]);
    }
}

static double double_units_off(double y, long double exact)
{
    return (double)units_off((long double)y, exact, DBL_MANT_DIG, DBL_MIN_EXP, DBL_MAX_EXP);
}

Test(math, double_functions_within_two_units)
{
    leat_rng rng = leat_rng_new(2, 0);
    for (uint64_t i = 0; i < 200000; i++) {
        double x = random_point(leat_rng_next(&rng), i);
        cr_assert_leq(double_units_off(leat_log64(x), logl((long double)x)), 2.0, "log at %a", x);
        cr_assert_leq(double_units_off(leat_log1p64(x), log1pl((long double)x)), 2.0, "log1p at %a", x);
    }
}

Test(math, cosine_within_one_unit)
{
    leat_rng rng = leat_rng_new(3, 0);
    for (int i = 0; i < 200000; i++) {
        double x = leat_rng_uniform(&rng) * (i % 2 ? 3.1415926535897931 : 1e5);
        double off = double_units_off(leat_cos64(x), cosl((long double)x));
        cr_assert_leq(off, 1.0, "cos at %a: %g units", x, off);
    }
    cr_assert_eq(leat_cos64(0), 1);
    cr_assert_eq(leat_cos64(0x1.921fb54442d18p+1), -1);
    cr_assert_eq(leat_cos64(0x1.921fb54442d18p+0),
                 0x1.1a62633145c07p-54); /* pi/2, rounded, is less than pi/2 by that */
    cr_assert_eq(leat_cos64(-1), leat_cos64(1));
    cr_assert(isnan(leat_cos64((double)INFINITY)) && isnan(leat_cos64((double)NAN)));
}

Test(math, log1p_special_values)
{
    cr_assert_eq(leat_log1p64(0), 0);
    cr_assert_eq(leat_log1p64(0x1p-1074), 0x1p-1074);
    cr_assert_eq(leat_log1p64(-1), -(double)INFINITY);
    cr_assert_eq(leat_log1p64((double)INFINITY), (double)INFINITY);
    cr_assert(isnan(leat_log1p64(-2)));
    cr_assert(isnan(leat_log1p64((double)NAN)));
}

/* The relative error of x as the quantile of p, by one step of Newton's method from x. */
static long double quantile_error(long double x, long double p)
{
    const long double root_half = 0.70710678118654752440L, density_at_0 = 0.39894228040143267794L;
    long double density = density_at_0 * expl(-0.5L * x * x), off;
    if (fabsl(p - 0.5L) < 0.25L)
        off = 0.5L * erfl(x * root_half) - (p - 0.5L);
    else if (p < 0.5L)
        off = 0.5L * erfcl(-x * root_half) - p;
    else
        off = 0.5L * erfcl(x * root_half) - (1 - p);
    return fabsl(off / density / x);
}

Test(math, normal_quantile)
{
    leat_rng rng = leat_rng_new(3, 0);
    for (int i = 0; i < 100000; i++) {
        double u = leat_rng_uniform(&rng), tiny = ldexp(u, -(int)(leat_rng_next(&rng) % 1000));
        const double p[] = { u, tiny, 1 - ldexp(u, -(i % 50)), 0.5 + tiny };
        for (int j = 0; j < 4; j++)
            if (p[j] != 0.5 && p[j] < 1)
                cr_assert_lt((double)quantile_error((long double)leat_normal_quantile64(p[j]), (long double)p[j]),
                             1e-15, "at %a", p[j]);
    }
    cr_assert_eq(leat_normal_quantile64(0.5), 0);
    cr_assert_float_eq(leat_normal_quantile64(0.975), 1.959963984540054, 1e-15);
    cr_assert_eq(leat_normal_quantile64(0.25), -leat_normal_quantile64(0.75));
    cr_assert_eq(leat_normal_quantile64(0), -(double)INFINITY);
    cr_assert_eq(leat_normal_quantile64(1), (double)INFINITY);
    cr_assert(isnan(leat_normal_quantile64(-0.1)));
    cr_assert(isnan(leat_normal_quantile64(1.1)));
    cr_assert(isnan(leat_normal_quantile64((double)NAN)));
}

/* Against libm's, and digamma against its recurrence and a value in closed form. */
Test(math, log_gamma)
{
    for (double x = 1e-8; x < 1e8; x *= 1.07) {
        double want = lgamma(x), step = leat_digamma64(x + 1) - leat_digamma64(x);
        cr_assert(fabs(leat_lgamma64(x) - want) <= 1e-14 * fmax(1, fabs(want)), "log gamma at %a", x);
        cr_assert(fabs(step - 1 / x) <= 1e-14 * fmax(fmax(1, 1 / x), leat_log64(x)), "digamma at %a", x);
    }
    cr_assert(fabs(leat_digamma64(1) + 0.57721566490153286061) <= 1e-15);
    cr_assert(fabs(leat_digamma64(0.5) + 1.96351002602142347944) <= 1e-15);
    cr_assert(isnan(leat_lgamma64(0)) && isnan(leat_digamma64(-1)) && isnan(leat_lgamma64((double)NAN)));
}
