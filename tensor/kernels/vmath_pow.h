/*
 * Private to tensor: x^y over the vectors of simd.h.
 *
 * |x|^y = e^(y log |x|), where the logarithm is kept in two parts, as is its product with y: an error in the logarithm
 * grows by y log |x|, up to 745. With |x| = 2^k (1 + f), s = f / (2 + f) and z = s^2,
 *     log |x| = k ln 2 + 2s (1 + z (1/3 + z Q(z)))
 * of which only z Q(z) needs no second part. Special values are those of C's pow.
 */
#ifndef LEAT_VMATH_POW_H
#define LEAT_VMATH_POW_H

#include "vmath.h"

#ifdef LEAT_SIMD_DOUBLE
#define VM_THIRD     0x1.5555555555555p-2
#define VM_THIRD_LOW 0x1.5555555555555p-56
#else
#define VM_THIRD     0x1.555556p-2F
#define VM_THIRD_LOW -0x1.555556p-27F
#endif

/* A number in two parts, high + low. */
typedef struct vec_pair {
    vec high, low;
} vec_pair;

/* a + b for |a| >= |b|, or a = 0: what the sum loses is `low`. */
SIMD_INLINE vec_pair v_fast_two_sum(vec a, vec b)
{
    vec sum = v_add(a, b);
    return (vec_pair){ sum, v_sub(b, v_sub(sum, a)) };
}

SIMD_INLINE vec_pair v_pair_mul(vec_pair a, vec_pair b)
{
    vec high = v_mul(a.high, b.high);
    vec low = v_fma(a.high, b.high, v_neg(high));
    return (vec_pair){ high, v_add(low, v_fma(a.high, b.low, v_mul(a.low, b.high))) };
}

/* (atanh(s) / s - 1 - z/3) / z^2 for z <= (sqrt(2) - 1)^4. */
SIMD_INLINE vec v_pow_polynomial(vec z)
{
#ifdef LEAT_SIMD_DOUBLE
    vec q = v_set(0x1.eb20d2f188264p-5);
    q = v_fma(q, z, v_set(0x1.de318ea4f7321p-5));
    q = v_fma(q, z, v_set(0x1.1120c17ef812ap-4));
    q = v_fma(q, z, v_set(0x1.3b13626724432p-4));
    q = v_fma(q, z, v_set(0x1.745d18337a9ecp-4));
    q = v_fma(q, z, v_set(0x1.c71c71c57dff9p-4));
    q = v_fma(q, z, v_set(0x1.2492492493049p-3));
    return v_fma(q, z, v_set(0x1.9999999999996p-3));
#else
    vec q = v_set(0x1.dfa34cp-4F);
    q = v_fma(q, z, v_set(0x1.245278p-3F));
    return v_fma(q, z, v_set(0x1.999ap-3F));
#endif
}

/* log m for finite m > 0. */
SIMD_INLINE vec_pair v_log_pair(vec m)
{
    vec k, f;
    v_log_split(m, &k, &f);
    vec_pair d = v_fast_two_sum(v_set(2), f), s, z;
    vec inverse = v_div(v_set(1), d.high);
    s.high = v_mul(f, inverse);
    s.low = v_mul(v_fnma(s.high, d.low, v_fnma(s.high, d.high, f)), inverse);
    z = v_pair_mul(s, s);
    vec_pair u = v_fast_two_sum(v_set(VM_THIRD), v_mul(z.high, v_pow_polynomial(z.high)));
    u.low = v_add(u.low, v_set(VM_THIRD_LOW));
    vec_pair p = v_pair_mul(s, v_pair_mul(z, u));
    vec_pair half = v_fast_two_sum(s.high, p.high);
    half.low = v_add(half.low, v_add(s.low, p.low));
    vec_pair sum = v_fast_two_sum(v_mul(k, v_set(VM_LN2_HIGH)), v_add(half.high, half.high));
    vec low = v_fma(k, v_set(VM_LN2_LOW), v_add(half.low, half.low));
    return v_fast_two_sum(sum.high, v_add(sum.low, low));
}

SIMD_INLINE vec v_pow(vec x, vec y)
{
    const vec zero = v_set(0), one = v_set(1), infinity = v_set((vreal)INFINITY);
    vec m = v_abs(x);
    vec_pair log = v_log_pair(m);
    log.high = v_select(v_lt(m, infinity), log.high, m); /* inf and NaN */
    log.high = v_select(v_eq(m, zero), v_neg(infinity), log.high);
    vec high = v_mul(y, log.high);
    vec power = v_unscaled(v_exp_sum(high, v_fma(y, log.low, v_fma(y, log.high, v_neg(high)))));

    vec half_y = v_mul(y, v_set((vreal)0.5));
    vmask integer = v_eq(y, v_rint(y)), odd = m_and(integer, m_not(v_eq(half_y, v_rint(half_y))));
    vmask root = m_and(m_not(integer), m_and(v_lt(x, zero), v_lt(m, infinity))); /* of a negative number */
    power = v_select(m_and(v_eq(m, one), v_eq(y, y)), one, power);               /* also for infinite y */
    power = v_select(root, v_set((vreal)NAN), power);
    power = v_select(odd, v_copysign(power, x), power);
    return v_select(m_or(v_eq(y, zero), v_eq(x, one)), one, power);
}

/* Of x^y: d/dx = y x^(y-1), 0 where y = 0. */
SIMD_INLINE vec v_pow_slope(vec x, vec y)
{
    return v_select(v_eq(y, v_set(0)), v_set(0), v_mul(y, v_pow(x, v_sub(y, v_set(1)))));
}

/* d/dy = p log x for p = x^y; at x = 0 it is 0 if y >= 0. */
SIMD_INLINE vec v_pow_slope_exponent(vec x, vec y, vec p)
{
    vmask flat = m_and(v_eq(x, v_set(0)), v_ge(y, v_set(0)));
    return v_select(flat, v_set(0), v_mul(p, v_log(x)));
}

#endif
