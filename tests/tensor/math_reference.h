/*
 * What test_math.c and math_all.c measure with: the functions of tensor/kernels/vmath.h in the next wider type, by libm, and
 * the error of a result in units in the last place.
 */
#ifndef LEAT_TEST_MATH_REFERENCE_H
#define LEAT_TEST_MATH_REFERENCE_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "../../tensor/kernels/kernels.h"

#ifdef LEAT_DOUBLE
typedef long double wide;
#define WIDE(function) function##l
#define REAL_MANT      DBL_MANT_DIG
#define REAL_MIN_EXP   DBL_MIN_EXP
#define REAL_MAX_EXP   DBL_MAX_EXP
#else
typedef double wide;
#define WIDE(function) function
#define REAL_MANT      FLT_MANT_DIG
#define REAL_MIN_EXP   FLT_MIN_EXP
#define REAL_MAX_EXP   FLT_MAX_EXP
#endif

static wide wide_exp(wide x)
{
    return WIDE(exp)(x);
}
static wide wide_log(wide x)
{
    return WIDE(log)(x);
}
static wide wide_tanh(wide x)
{
    return WIDE(tanh)(x);
}
static wide wide_sigmoid(wide x)
{
    wide e = WIDE(exp)(-WIDE(fabs)(x));
    return (x < 0 ? e : 1) / (1 + e);
}
static wide wide_softplus(wide x)
{
    return (x > 0 ? x : 0) + WIDE(log1p)(WIDE(exp)(-WIDE(fabs)(x)));
}
static wide wide_log_sigmoid(wide x)
{
    return -wide_softplus(-x);
}
static wide wide_expm1(wide x)
{
    return WIDE(expm1)(x);
}
static wide wide_log1p(wide x)
{
    return WIDE(log1p)(x);
}
static wide wide_sin(wide x)
{
    return WIDE(sin)(x);
}
static wide wide_cos(wide x)
{
    return WIDE(cos)(x);
}
static wide wide_sinh(wide x)
{
    return WIDE(sinh)(x);
}
static wide wide_cosh(wide x)
{
    return WIDE(cosh)(x);
}
static wide wide_asinh(wide x)
{
    return WIDE(asinh)(x);
}
static wide wide_erf(wide x)
{
    return WIDE(erf)(x);
}
/* log(erfc(a) / 2) as in gelu, below; further out by the series 1 - 1/x^2 + 3/x^4 - .. */
static wide wide_log_normal_cdf(wide x)
{
    const wide root = (wide)0.70710678118654752440L, root_low = (wide)(0.70710678118654752440L - (long double)root);
    if (x < -25) {
        long double v = (long double)x, z = 1 / (v * v), term = 1, sum = 1;
        for (int k = 1; k < 20; k++)
            sum += term *= -(2 * k - 1) * z;
        return (wide)(-v * v / 2 - logl(-v) - 0.91893853320467274178L + logl(sum));
    }
    wide size = WIDE(fabs)(x), a = size * root, lost = WIDE(fma)(size, root, -a) + size * root_low;
    wide mend = lost * (wide)1.12837916709551257390L * WIDE(exp)(-a * a);
    wide tail = (WIDE(erfc)(a) - (mend == mend ? mend : 0)) / 2;
    return x > 0 ? WIDE(log1p)(-tail) : WIDE(log)(tail);
}
static wide wide_silu(wide x)
{
    return isinf(x) && x < 0 ? (wide)NAN : x * wide_sigmoid(x);
}
/* x erfc(a) / 2 with a = -x / sqrt(2), whose rounding is mended: erfc's derivative is -2 / sqrt(pi) e^(-a^2). */
static wide wide_gelu(wide x)
{
    const wide root = (wide)0.70710678118654752440L, root_low = (wide)(0.70710678118654752440L - (long double)root);
    wide a = -x * root, lost = WIDE(fma)(-x, root, -a) - x * root_low;
    wide mend = lost * (wide)1.12837916709551257390L * WIDE(exp)(-a * a);
    return x / 2 * (WIDE(erfc)(a) - (mend == mend ? mend : 0));
}

/* `limit`: how many units off at most. The products have the errors of both factors. */
static const struct reference {
    const char *name;
    int op;
    wide (*function)(wide);
    double limit;
} references[] = {
    { "exp", LEAT_UNARY_exp, wide_exp, 2 },
    { "expm1", LEAT_UNARY_expm1, wide_expm1, 2 },
    { "log", LEAT_UNARY_log, wide_log, 2 },
    { "log1p", LEAT_UNARY_log1p, wide_log1p, 2 },
    { "tanh", LEAT_UNARY_tanh, wide_tanh, 2 },
    { "sinh", LEAT_UNARY_sinh, wide_sinh, 4 },
    { "cosh", LEAT_UNARY_cosh, wide_cosh, 4 },
    { "asinh", LEAT_UNARY_asinh, wide_asinh, 4 },
    { "sin", LEAT_UNARY_sin, wide_sin, 2 },
    { "cos", LEAT_UNARY_cos, wide_cos, 2 },
    { "erf", LEAT_UNARY_erf, wide_erf, 2 },
    { "log_normal_cdf", LEAT_UNARY_log_normal_cdf, wide_log_normal_cdf, 7 },
    { "sigmoid", LEAT_UNARY_sigmoid, wide_sigmoid, 2 },
    { "log_sigmoid", LEAT_UNARY_log_sigmoid, wide_log_sigmoid, 2 },
    { "softplus", LEAT_UNARY_softplus, wide_softplus, 2 },
    { "silu", LEAT_UNARY_silu, wide_silu, 3 },
    { "gelu", LEAT_UNARY_gelu, wide_gelu, 7 },
};
#define REFERENCE_COUNT (int)(sizeof references / sizeof references[0])

/* |y - exact| over the unit in the last place of `exact`, a number of `digits` bits that may be denormal. What is out
 * of range, infinity too, counts as the first power of 2 out of range; NaN and infinities in `exact` must be met. */
static inline long double units_off(long double y, long double exact, int digits, int min_exp, int max_exp)
{
    if (isnan(exact) || isinf(exact))
        return (isnan(exact) && isnan(y)) || y == exact ? 0 : (long double)INFINITY;
    if (isnan(y))
        return (long double)INFINITY;
    const long double limit = ldexpl(1, max_exp);
    y = fminl(fmaxl(y, -limit), limit);
    exact = fminl(fmaxl(exact, -limit), limit);
    int exponent;
    frexpl(exact, &exponent);
    return ldexpl(fabsl(y - exact), digits - (exponent < min_exp ? min_exp : exponent));
}

/* The same for leat_real and its next wider type. */
static inline double real_units_off(leat_real y, wide exact)
{
    return (double)units_off((long double)y, (long double)exact, REAL_MANT, REAL_MIN_EXP, REAL_MAX_EXP);
}

static inline int same_real(leat_real a, leat_real b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static inline wide wide_pow(wide x, wide y)
{
    return WIDE(pow)(x, y);
}

/* A number from 64 random bits: any bit pattern, any size from 2^-40 to 2^11, between -2 and 2, or near 1. */
static inline double random_point(uint64_t bits, uint64_t which)
{
    double u = (double)(bits >> 11) * 0x1p-53, sign = bits & 1 ? 1 : -1, any;
    switch (which % 4) {
    case 0:
        memcpy(&any, &bits, sizeof any);
        return any;
    case 1:
        return sign * ldexp(1 + u, (int)(bits >> 1 & 1023) % 51 - 40);
    case 2:
        return sign * 2 * u;
    default:
        return 1 + sign * u * ldexp(1, -(int)(bits >> 1 & 1023) % 30);
    }
}

/* Arguments of pow: anything; x near 1 and large y; results from the least to the greatest; small integers for y. */
static inline void random_powers(leat_rng *rng, uint64_t which, leat_real *x, leat_real *y)
{
    const double top = sizeof *x == 4 ? 88 : 709;
    double u = leat_rng_uniform(rng), v = 2 * leat_rng_uniform(rng) - 1, a, b;
    switch (which % 4) {
    case 0:
        a = random_point(leat_rng_next(rng), which / 4);
        b = random_point(leat_rng_next(rng), which / 8);
        break;
    case 1:
        a = 1 + v * ldexp(1, -(int)(u * 30));
        b = leat_rng_normal(rng) * ldexp(1, (int)(u * 30));
        break;
    case 2:
        a = exp(5 * leat_rng_normal(rng));
        b = v * top / log(a);
        break;
    default:
        a = 4 * v;
        b = floor(u * 41) - 20;
        break;
    }
    *x = (leat_real)a;
    *y = (leat_real)b;
}

#endif
