/*
 * What test_math.c and math_all.c measure with: the functions of tensor/vmath.h in the next wider type, by libm, and
 * the error of a result in units in the last place.
 */
#ifndef LEAT_TEST_MATH_REFERENCE_H
#define LEAT_TEST_MATH_REFERENCE_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "../../tensor/kernels.h"

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

static const struct reference {
    const char *name;
    int op;
    wide (*function)(wide);
} references[] = {
    { "exp", LEAT_UNARY_exp, wide_exp },
    { "log", LEAT_UNARY_log, wide_log },
    { "tanh", LEAT_UNARY_tanh, wide_tanh },
    { "sigmoid", LEAT_UNARY_sigmoid, wide_sigmoid },
    { "softplus", LEAT_UNARY_softplus, wide_softplus },
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

#endif
