/*
 * Private to tensor: exp, log, tanh and their kin over the vectors of simd.h, for float and for double. vmath_trig.h,
 * vmath_erf.h and vmath_pow.h have the rest.
 *
 * Each is within 2 units in the last place wherever the result is a normal number (tests/tensor/math_all.c looks at
 * every float); silu is within 3, and gelu within 7, at negative numbers;
 * log_normal_cdf, like gelu, within 7. They are right at infinities, zeros and NaN.
 * There are no tables: a range reduction, one polynomial fitted to have the least largest error on the reduced range,
 * and the way back. The operations are the same in every instruction set, so the bits are too; all multiply-adds are
 * explicit.
 *
 *     exp      e^x = 2^n e^r with n = rint(x / ln 2), |r| <= ln(2) / 2, and e^r = 1 + r + r^2 q(r)
 *     log      x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); with s = f / (2 + f) and z = s^2,
 *              log(1 + f) = 2 atanh(s) = 2s + s R(z) = f - (f^2/2 - s (f^2/2 + R(z)))
 *     expm1    2^n e^r - 1 from the parts of e^r - 1
 *     log1p    log u + c / u with u = 1 + x rounded, and c = 1 + x - u
 *     tanh     t / (t + 2) with t = e^(2|x|) - 1
 *     sigmoid  e^min(x, 0) / (1 + e^-|x|)
 *     softplus max(x, 0) + log(1 + e^-|x|)
 */
#ifndef LEAT_VMATH_H
#define LEAT_VMATH_H

#include "simd.h"

#ifdef LEAT_SIMD_DOUBLE
#define VM_MANTISSA   52
#define VM_BIAS       1023
#define VM_LOG2E      0x1.71547652b82fep+0
#define VM_LN2_HIGH   0x1.62e42fefa4p-1 /* short, so that n times it is exact */
#define VM_LN2_LOW    -0x1.8432a1b0e2634p-43
#define VM_EXP_LOW    -752 /* e^x and x e^x round to 0 here, */
#define VM_EXP_HIGH   710  /* e^x to infinity here */
#define VM_TANH_HIGH  40   /* tanh(x/2) rounds to 1 here */
#define VM_SQRT_HALF  0x3fe6a09e667f3bcdU
#define VM_MIN_NORMAL 0x1p-1022
#else
#define VM_MANTISSA   23
#define VM_BIAS       127
#define VM_LOG2E      0x1.715476p+0F
#define VM_LN2_HIGH   0x1.62e4p-1F
#define VM_LN2_LOW    0x1.7f7d1cp-20F
#define VM_EXP_LOW    -110
#define VM_EXP_HIGH   89
#define VM_TANH_HIGH  20
#define VM_SQRT_HALF  0x3f3504f3U
#define VM_MIN_NORMAL 0x1p-126F
#endif

#define VM_TWO_TO_MANTISSA ((vreal)((vreal_bits)1 << VM_MANTISSA))
#define VM_ONE_BITS        ((vreal_bits)VM_BIAS << VM_MANTISSA)
/* Adding this rounds to an integer, which then stands in the low bits of the sum. */
#define VM_ROUNDER ((vreal)1.5 * VM_TWO_TO_MANTISSA)

/* (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2. */
SIMD_INLINE vec v_exp_polynomial(vec r)
{
#ifdef LEAT_SIMD_DOUBLE
    vec q = v_set(0x1.1f7a933f043f0p-29);
    q = v_fma(q, r, v_set(0x1.af5f7d359a473p-26));
    q = v_fma(q, r, v_set(0x1.27e4d738c1e11p-22));
    q = v_fma(q, r, v_set(0x1.71ddf7e51b0e3p-19));
    q = v_fma(q, r, v_set(0x1.a01a01a861416p-16));
    q = v_fma(q, r, v_set(0x1.a01a01b011a2ep-13));
    q = v_fma(q, r, v_set(0x1.6c16c16c15f85p-10));
    q = v_fma(q, r, v_set(0x1.111111110f63dp-7));
    q = v_fma(q, r, v_set(0x1.5555555555556p-5));
    q = v_fma(q, r, v_set(0x1.5555555555559p-3));
#else
    vec q = v_set(0x1.a242a4p-13F);
    q = v_fma(q, r, v_set(0x1.6d3c92p-10F));
    q = v_fma(q, r, v_set(0x1.111004p-7F));
    q = v_fma(q, r, v_set(0x1.5554f6p-5F));
    q = v_fma(q, r, v_set(0x1.555556p-3F));
#endif
    return v_fma(q, r, v_set((vreal)0.5));
}

/* R(z) / z, where log((1 + s) / (1 - s)) = 2s + s R(s^2), for z <= (sqrt(2) - 1)^4. */
SIMD_INLINE vec v_log_polynomial(vec z)
{
#ifdef LEAT_SIMD_DOUBLE
    vec q = v_set(0x1.2f0e8cf09f7b0p-3);
    q = v_fma(q, z, v_set(0x1.39a0d8f9f53f0p-3));
    q = v_fma(q, z, v_set(0x1.74664766616bcp-3));
    q = v_fma(q, z, v_set(0x1.c71c51e115f99p-3));
    q = v_fma(q, z, v_set(0x1.2492494221a4ep-2));
    q = v_fma(q, z, v_set(0x1.999999997fa53p-2));
    return v_fma(q, z, v_set(0x1.5555555555593p-1));
#else
    vec q = v_set(0x1.31e15ap-2F);
    q = v_fma(q, z, v_set(0x1.995ed2p-2F));
    return v_fma(q, z, v_set(0x1.55557ap-1F));
#endif
}

/* 2^n for an integer n whose power is a normal number. */
SIMD_INLINE vec v_pow2(vec n)
{
    vec shifted = v_add(n, v_set(VM_ROUNDER + VM_BIAS));
    return v_from_bits(b_shl(v_bits(shifted), VM_MANTISSA));
}

/* x = n ln 2 + r with an integer n and |r| <= ln(2) / 2; r + w is e^(x - n ln 2) - 1 (w also mends the rounding of
 * r). */
SIMD_INLINE void v_exp_reduced(vec x, vec *n, vec *r, vec *w)
{
    *n = v_rint(v_mul(x, v_set(VM_LOG2E)));
    vec exact = v_fnma(*n, v_set(VM_LN2_HIGH), x);
    *r = v_fnma(*n, v_set(VM_LN2_LOW), exact);
    vec error = v_fnma(*n, v_set(VM_LN2_LOW), v_sub(exact, *r));
    *w = v_fma(v_mul(*r, *r), v_exp_polynomial(*r), error);
}

/* A product whose second factor is a power of 2, so that the first keeps its digits where the product is tiny. */
typedef struct vec_scaled {
    vec value, scale;
} vec_scaled;

SIMD_INLINE vec v_unscaled(vec_scaled a)
{
    return v_mul(a.value, a.scale);
}

/* y 2^n, which may not be a normal number, nor 2^n, so that comes in two halves; the first product is exact. */
SIMD_INLINE vec_scaled v_scaled(vec y, vec n)
{
    vec half = v_rint(v_mul(n, v_set((vreal)0.5)));
    return (vec_scaled){ v_mul(y, v_pow2(half)), v_pow2(v_sub(n, half)) };
}

SIMD_INLINE vec_scaled v_exp_scaled(vec x)
{
    /* The order of the operands lets NaN pass. */
    x = v_min(v_set(VM_EXP_HIGH), v_max(v_set(VM_EXP_LOW), x));
    vec n, r, w;
    v_exp_reduced(x, &n, &r, &w);
    return v_scaled(v_add(v_set(1), v_add(r, w)), n);
}

SIMD_INLINE vec v_exp(vec x)
{
    return v_unscaled(v_exp_scaled(x));
}

/* The same bits with less work, for VM_EXP_NORMAL <= x < 88: there e^x and 2^n are normal numbers. */
#define VM_EXP_NORMAL ((vreal)(2 - VM_BIAS) * (vreal)0.69)
SIMD_INLINE vec v_exp_normal(vec x)
{
    vec n, r, w;
    v_exp_reduced(x, &n, &r, &w);
    return v_mul(v_add(v_set(1), v_add(r, w)), v_pow2(n));
}

/* e^(high + low), where low is so small that its square is nothing; out of range, `low` is left out. */
SIMD_INLINE vec_scaled v_exp_sum(vec high, vec low)
{
    vec x = v_min(v_set(VM_EXP_HIGH), v_max(v_set(VM_EXP_LOW), high));
    low = v_select(v_eq(x, high), low, v_set(0));
    vec n, r, w;
    v_exp_reduced(x, &n, &r, &w);
    vec low_part = v_fma(low, v_add(r, w), low); /* low e^r */
    return v_scaled(v_add(v_set(1), v_add(r, v_add(w, low_part))), n);
}

/* With h = 2^(n - 1), so that it does not overflow: 2 (h - 1/2 + h (r + w)), the larger terms first, and what their sum
 * loses added to the smaller. */
SIMD_INLINE vec v_expm1(vec x)
{
    vec n, r, w;
    v_exp_reduced(v_min(v_set(VM_EXP_HIGH), v_max(v_set(-VM_TANH_HIGH), x)), &n, &r, &w);
    vec half = v_pow2(v_sub(n, v_set(1))), rest = v_sub(half, v_set((vreal)0.5));
    vec linear = v_mul(half, r), sum = v_add(rest, linear);
    vec large = v_max(v_abs(rest), v_abs(linear)); /* which of the two it is depends on n */
    vec lost = v_select(v_eq(large, v_abs(rest)), v_sub(linear, v_sub(sum, rest)), v_sub(rest, v_sub(sum, linear)));
    vec y = v_add(sum, v_fma(half, w, lost));
    return v_copysign(v_add(y, y), x);
}

/* k ln 2 + log(1 + f) + c for sqrt(1/2) <= 1 + f <= sqrt(2) and a small c. */
SIMD_INLINE vec v_log_reduced(vec f, vec k, vec c)
{
    vec s = v_div(f, v_add(v_set(2), f));
    vec z = v_mul(s, s);
    vec half_square = v_mul(v_mul(f, f), v_set((vreal)0.5));
    vec tail = v_fma(z, v_log_polynomial(z), half_square);
    tail = v_fma(s, tail, v_fma(k, v_set(VM_LN2_LOW), c));
    return v_fma(k, v_set(VM_LN2_HIGH), v_sub(f, v_sub(half_square, tail)));
}

/* x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for finite x > 0. */
SIMD_INLINE void v_log_split(vec x, vec *k, vec *f)
{
    vmask tiny = v_lt(x, v_set(VM_MIN_NORMAL));
    vec scaled = v_select(tiny, v_mul(x, v_set(VM_TWO_TO_MANTISSA)), x);

    /* Shift the exponent's step from 1 to sqrt(1/2), then take exponent and mantissa apart. */
    vbits shifted = b_add(v_bits(scaled), b_set(VM_ONE_BITS - VM_SQRT_HALF));
    vbits exponent = b_or(b_shr(shifted, VM_MANTISSA), v_bits(v_set(VM_TWO_TO_MANTISSA)));
    vbits mantissa = b_and(shifted, b_set(((vreal_bits)1 << VM_MANTISSA) - 1));
    vec offset = v_select(tiny, v_set(VM_TWO_TO_MANTISSA + VM_BIAS + VM_MANTISSA), v_set(VM_TWO_TO_MANTISSA + VM_BIAS));
    *k = v_sub(v_from_bits(exponent), offset);
    *f = v_sub(v_from_bits(b_add(mantissa, b_set(VM_SQRT_HALF))), v_set(1));
}

/* y where 0 < x < inf, else what a logarithm of x is. */
SIMD_INLINE vec v_log_special(vec x, vec y)
{
    const vec infinity = v_set((vreal)INFINITY);
    y = v_select(v_lt(x, infinity), y, x); /* inf and NaN */
    y = v_select(v_eq(x, v_set(0)), v_neg(infinity), y);
    return v_select(v_lt(x, v_set(0)), v_set((vreal)NAN), y);
}

SIMD_INLINE vec v_log(vec x)
{
    vec k, f;
    v_log_split(x, &k, &f);
    return v_log_special(x, v_log_reduced(f, k, v_set(0)));
}

/* log u for u = 1 + x, rounded, and the rest of 1 + x mended: log(u + c) = log u + c / u. */
SIMD_INLINE vec v_log1p(vec x)
{
    vec u = v_add(v_set(1), x), k, f;
    vec larger = v_select(v_lt(x, v_set(1)), v_set(1), x), smaller = v_select(v_lt(x, v_set(1)), x, v_set(1));
    vec lost = v_sub(smaller, v_sub(u, larger));
    v_log_split(u, &k, &f);
    vec y = v_log_special(u, v_log_reduced(f, k, v_div(lost, u)));
    return v_select(v_eq(x, v_set(0)), x, y); /* -0 */
}

/* log(1 + u) for 0 <= u <= 1. */
SIMD_INLINE vec v_log1p_unit(vec u)
{
    vmask large = v_gt(u, v_set((vreal)0.41421356));
    vec f = v_select(large, v_mul(v_sub(u, v_set(1)), v_set((vreal)0.5)), u);
    return v_log_reduced(f, v_select(large, v_set(1), v_set(0)), v_set(0));
}

/* For small t the sum t + 2 loses what the quotient needs; t/2 - t/2 (t / (t + 2)) is the same and keeps it. */
SIMD_INLINE vec v_tanh(vec x)
{
    vec a = v_abs(x);
    a = v_min(v_set(VM_TANH_HIGH), v_add(a, a));
    vec n, r, w;
    v_exp_reduced(a, &n, &r, &w);
    /* t = 2^n (1 + r + w) - 1, the larger terms first, and what their sum loses added to the smaller. */
    vec scale = v_pow2(n), scale_minus_1 = v_sub(scale, v_set(1));
    vec linear = v_mul(scale, r), sum = v_add(scale_minus_1, linear);
    vec lost = v_sub(linear, v_sub(sum, scale_minus_1));
    vec t = v_add(sum, v_fma(scale, w, lost));
    vec half = v_mul(t, v_set((vreal)0.5));
    vec quotient = v_div(t, v_add(t, v_set(2)));
    return v_copysign(v_select(v_lt(t, v_set(1)), v_fnma(half, quotient, half), quotient), x);
}

/* e^|x| / 2 and e^-|x| / 2, by the square of e^(|x| / 2), which does not overflow before the first does. */
SIMD_INLINE void v_half_exps(vec x, vec *up, vec *down)
{
    vec h = v_exp(v_mul(v_abs(x), v_set((vreal)0.5)));
    *up = v_mul(v_mul(h, v_set((vreal)0.5)), h);
    *down = v_div(v_set((vreal)0.25), *up);
}

SIMD_INLINE vec v_cosh(vec x)
{
    vec up, down;
    v_half_exps(x, &up, &down);
    return v_add(up, down);
}

/* Below 1 by e = e^|x| - 1, as (e + e / (e + 1)) / 2, which keeps its digits near 0. */
SIMD_INLINE vec v_sinh(vec x)
{
    vec up, down, e = v_expm1(v_abs(x));
    v_half_exps(x, &up, &down);
    vec small = v_mul(v_add(e, v_div(e, v_add(e, v_set(1)))), v_set((vreal)0.5));
    return v_copysign(v_select(v_lt(v_abs(x), v_set(1)), small, v_sub(up, down)), x);
}

/* sqrt(1 + x^2); from 2^28 on it is |x|. */
SIMD_INLINE vec v_hypot1(vec x)
{
    vec a = v_abs(x);
    return v_select(v_lt(a, v_set((vreal)0x1p28)), v_sqrt(v_fma(a, a, v_set(1))), a);
}

/* log(a + sqrt(1 + a^2)) = log1p(a + a^2 / (1 + sqrt(1 + a^2))) for a = |x|; from 2^60 on it is log a + log 2. */
SIMD_INLINE vec v_asinh(vec x)
{
    vec a = v_abs(x), more = v_div(v_mul(a, a), v_add(v_set(1), v_hypot1(a)));
    vmask large = v_ge(a, v_set((vreal)0x1p60));
    vec y = v_log1p(v_select(large, a, v_add(a, more)));
    return v_copysign(v_add(y, v_select(large, v_set((vreal)0.69314718055994531), v_set(0))), x);
}

/* With e = e^-|x|, and for x < -1 as e - e (e / (1 + e)), for the same reason as in tanh. */
SIMD_INLINE vec v_sigmoid(vec x)
{
    vec e = v_exp(v_neg(v_abs(x)));
    vec quotient = v_div(v_select(v_lt(x, v_set(0)), e, v_set(1)), v_add(v_set(1), e));
    return v_select(v_lt(x, v_set(-1)), v_fnma(e, quotient, e), quotient);
}

SIMD_INLINE vec v_softplus(vec x)
{
    return v_add(v_max(x, v_set(0)), v_log1p_unit(v_exp(v_neg(v_abs(x)))));
}

/* a - b, but 0 where they are equal infinities. */
SIMD_INLINE vec v_difference(vec a, vec b)
{
    return v_select(v_eq(a, b), v_set(0), v_sub(a, b));
}

/* -1, 0 or 1; of NaN 0, as PyTorch's sgn. */
SIMD_INLINE vec v_sign(vec x)
{
    return v_select(v_gt(x, v_set(0)), v_set(1), v_select(v_lt(x, v_set(0)), v_set(-1), v_set(0)));
}

/* Unlike v_max and v_min, NaN if either is. */
SIMD_INLINE vec v_maximum(vec a, vec b)
{
    return v_select(v_eq(a, a), v_max(a, b), a);
}
SIMD_INLINE vec v_minimum(vec a, vec b)
{
    return v_select(v_eq(a, a), v_min(a, b), a);
}

/* log(e^a + e^b), and of its gradient what a gets: e^a / (e^a + e^b), 0 where a is -inf. */
SIMD_INLINE vec v_logaddexp(vec a, vec b)
{
    return v_add(v_maximum(a, b), v_log1p_unit(v_exp(v_neg(v_abs(v_difference(a, b))))));
}
SIMD_INLINE vec v_logaddexp_share(vec a, vec b)
{
    return v_select(v_eq(a, v_set(-(vreal)INFINITY)), v_set(0), v_sigmoid(v_difference(a, b)));
}

/* Of the gradient of min(a, b), what a gets: 1 where a < b, 1/2 where they are equal, 1 where one is NaN, else 0. */
SIMD_INLINE vec v_share_of_less(vec a, vec b)
{
    return v_select(v_gt(a, b), v_set(0), v_select(v_eq(a, b), v_set((vreal)0.5), v_set(1)));
}

/* Not max(x, 0), because NaN must pass. */
SIMD_INLINE vec v_relu(vec x)
{
    return v_max(v_set(0), x); /* x where it is NaN */
}

/* x sigmoid(x); e^x is kept apart so that the product is right also where e^x alone has lost its digits. */
SIMD_INLINE vec v_silu(vec x)
{
    vec_scaled e = v_exp_scaled(v_neg(v_abs(x)));
    vec whole = v_unscaled(e), one = v_set(1);
    vmask negative = v_lt(x, v_set(0));
    vec y = v_div(v_mul(x, v_select(negative, e.value, one)), v_add(one, whole));
    y = v_mul(y, v_select(negative, e.scale, one));
    return v_select(v_lt(x, v_set(VM_EXP_LOW)), v_mul(x, whole), y);
}

/* d/dx x sigmoid(x) = s (1 + x (1 - s)) */
SIMD_INLINE vec v_silu_slope(vec x)
{
    vec s = v_sigmoid(x);
    return v_mul(s, v_fma(x, v_sub(v_set(1), s), v_set(1)));
}

/* 2 sqrt(2 / pi) (x + 0.044715 x^3): x/2 (1 + tanh(u)) = x sigmoid(2u), which loses nothing at negative x. There is no
 * need of a larger square, which might overflow. */
SIMD_INLINE vec v_gelu_tanh_argument(vec x)
{
    vec square = v_min(v_set(10000), v_mul(x, x));
    return v_mul(x, v_fma(v_set((vreal)0.07135481627260025), square, v_set((vreal)1.5957691216057308)));
}

/* s + x s (1 - s) 2u' */
SIMD_INLINE vec v_gelu_tanh_slope(vec x)
{
    vec square = v_min(v_set(10000), v_mul(x, x));
    vec inner = v_fma(v_set((vreal)0.21406444881780073), square, v_set((vreal)1.5957691216057308));
    vec s = v_sigmoid(v_gelu_tanh_argument(x));
    return v_fma(v_mul(x, v_mul(s, v_sub(v_set(1), s))), inner, s);
}

#endif
