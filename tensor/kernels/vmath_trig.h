/*
 * Private to tensor: sin and cos over the vectors of simd.h, for any argument.
 *
 * x = n pi/2 + r + w with |r| <= pi/4, where w is what r's rounding loses; then sin or cos of r + w, by n. pi/2 comes
 * in three parts: n times the first, taken from x, is exact, and what the second loses is kept. Beyond VM_TRIG_LARGE that
 * has too few digits, and such lanes go through leat_trig_reduce, one by one.
 */
#ifndef LEAT_VMATH_TRIG_H
#define LEAT_VMATH_TRIG_H

#include "trig_reduce.h"
#include "vmath.h"

#ifdef LEAT_SIMD_DOUBLE
#define VM_TRIG_LARGE  0x1p20
#define VM_TWO_OVER_PI 0x1.45f306dc9c883p-1
#define VM_HALF_PI_1   0x1.921fb54442d18p+0
#define VM_HALF_PI_2   0x1.1a62633145c07p-54
#define VM_HALF_PI_3   -0x1.f1976b7ed8fbcp-110
#else
#define VM_TRIG_LARGE  0x1p16F
#define VM_TWO_OVER_PI 0x1.45f306p-1F
#define VM_HALF_PI_1   0x1.921fb6p+0F
#define VM_HALF_PI_2   -0x1.777a5cp-25F
#define VM_HALF_PI_3   -0x1.ee59dap-50F
#endif

/* (sin r - r) / r^3 for z = r^2. */
SIMD_INLINE vec v_sin_polynomial(vec z)
{
#ifdef LEAT_SIMD_DOUBLE
    vec q = v_set(0x1.5d851016972f9p-33);
    q = v_fma(q, z, v_set(-0x1.ae5e3654a0f83p-26));
    q = v_fma(q, z, v_set(0x1.71de353abdce1p-19));
    q = v_fma(q, z, v_set(-0x1.a01a019bcb753p-13));
    q = v_fma(q, z, v_set(0x1.111111110f64ap-7));
    return v_fma(q, z, v_set(-0x1.5555555555547p-3));
#else
    vec q = v_set(0x1.6cc2c8p-19F);
    q = v_fma(q, z, v_set(-0x1.a00f4p-13F));
    q = v_fma(q, z, v_set(0x1.111108p-7F));
    return v_fma(q, z, v_set(-0x1.555556p-3F));
#endif
}

/* (cos r - 1 + r^2 / 2) / r^4. */
SIMD_INLINE vec v_cos_polynomial(vec z)
{
#ifdef LEAT_SIMD_DOUBLE
    vec q = v_set(-0x1.8f98a3dbacbb0p-37);
    q = v_fma(q, z, v_set(0x1.1ee9c10036febp-29));
    q = v_fma(q, z, v_set(-0x1.27e4f7c9faec8p-22));
    q = v_fma(q, z, v_set(0x1.a01a019c57d37p-16));
    q = v_fma(q, z, v_set(-0x1.6c16c16c14dd3p-10));
    return v_fma(q, z, v_set(0x1.555555555554ap-5));
#else
    vec q = v_set(0x1.99d8d6p-16F);
    q = v_fma(q, z, v_set(-0x1.6c0bf2p-10F));
    return v_fma(q, z, v_set(0x1.55554ap-5F));
#endif
}

/* The lanes of a that are large and finite, one by one; what the others get does not matter. */
static void trig_reduce_lanes(vec a, vec *n, vec *r, vec *w)
{
    vreal lane[VL], lane_n[VL], lane_r[VL], lane_w[VL];
    v_store(lane, a);
    for (int i = 0; i < VL; i++) {
        double high = 0, low = 0;
        bool large = lane[i] > VM_TRIG_LARGE && lane[i] < (vreal)INFINITY;
        lane_n[i] = (vreal)(large ? leat_trig_reduce((double)lane[i], &high, &low) : 0);
        lane_r[i] = (vreal)high;
        lane_w[i] = (vreal)(high - (double)lane_r[i] + low);
    }
    *n = v_load(lane_n);
    *r = v_load(lane_r);
    *w = v_load(lane_w);
}

/* For a >= 0. n is an integer, of which the last two bits matter. */
SIMD_INLINE void v_trig_reduced(vec a, vec *n, vec *r, vec *w)
{
    *n = v_rint(v_mul(a, v_set(VM_TWO_OVER_PI)));
    vec exact = v_fnma(*n, v_set(VM_HALF_PI_1), a);
    /* exact - second as a sum of two, whichever is larger; then what the product lost, and the third part. */
    vec second = v_mul(*n, v_set(VM_HALF_PI_2)), second_low = v_fma(*n, v_set(VM_HALF_PI_2), v_neg(second));
    *r = v_sub(exact, second);
    vec taken = v_sub(exact, *r);
    vec lost = v_sub(v_sub(exact, v_add(*r, taken)), v_sub(second, taken));
    *w = v_fnma(*n, v_set(VM_HALF_PI_3), v_sub(lost, second_low));
    vmask large = m_and(v_gt(a, v_set(VM_TRIG_LARGE)), v_lt(a, v_set((vreal)INFINITY)));
    if (m_any(large)) {
        vec large_n, large_r, large_w;
        trig_reduce_lanes(a, &large_n, &large_r, &large_w);
        *n = v_select(large, large_n, *n);
        *r = v_select(large, large_r, *r);
        *w = v_select(large, large_w, *w);
    }
}

/* sin((n + shift) pi/2 + r + w) of |x|. */
SIMD_INLINE vec v_sin_shifted(vec x, vreal shift)
{
    vec n, r, w;
    v_trig_reduced(v_abs(x), &n, &r, &w);
    n = v_add(n, v_set(shift));
    vec z = v_mul(r, r), half_z = v_mul(z, v_set((vreal)0.5)), one = v_set(1);
    vec sine = v_add(r, v_fma(v_mul(r, z), v_sin_polynomial(z), v_fnma(half_z, w, w)));
    /* 1 - z/2, the rounding of that difference, and the rest. */
    vec rest = v_fnma(r, w, v_mul(v_mul(z, z), v_cos_polynomial(z)));
    vec top = v_sub(one, half_z);
    vec cosine = v_add(top, v_add(v_sub(v_sub(one, top), half_z), rest));

    vec half_n = v_mul(n, v_set((vreal)0.5));
    vec y = v_select(v_eq(half_n, v_rint(half_n)), sine, cosine);
    vbits integer = v_bits(v_add(n, v_set(VM_ROUNDER)));
    vbits second_bit_as_sign = b_and(b_shl(integer, (int)(8 * sizeof(vreal)) - 2), b_set(V_SIGN_BIT));
    return v_from_bits(b_xor(v_bits(y), second_bit_as_sign));
}

SIMD_INLINE vec v_sin(vec x)
{
    vbits sign = b_and(v_bits(x), b_set(V_SIGN_BIT));
    return v_from_bits(b_xor(v_bits(v_sin_shifted(x, 0)), sign));
}

SIMD_INLINE vec v_cos(vec x)
{
    return v_sin_shifted(x, 1);
}

#endif
