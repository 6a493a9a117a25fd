/*
 * Private to tensor: the error function, the normal distribution function, and gelu, over the vectors of simd.h.
 *
 *     erf      x + x P(x^2) for |x| < 1/2; beyond, 1 - erfc(|x|) with the sign of x
 *     erfc     e^(-a^2) E(a) for a >= 1/2, where E(a) = e^(a^2) erfc(a) is a polynomial in (a - k) / (a + k); a^2 is
 *              kept in two parts, so nothing is lost where it is large
 *     Phi      erfc(-x / sqrt 2) / 2, so that the left tail keeps its digits
 */
#ifndef LEAT_VMATH_ERF_H
#define LEAT_VMATH_ERF_H

#include "vmath.h"

#ifdef LEAT_SIMD_DOUBLE
#define VM_ERFC_CENTRE 4
#define VM_ERFC_END    28 /* erfc rounds to 0 from here on */
#else
#define VM_ERFC_CENTRE 3
#define VM_ERFC_END    14
#endif

/* erf(x) / x - 1 for z = x^2 <= 1/4. */
SIMD_INLINE vec v_erf_polynomial(vec z)
{
#ifdef LEAT_SIMD_DOUBLE
    vec q = v_set(-0x1.39ea2356f203dp-23);
    q = v_fma(q, z, v_set(0x1.b773dfb035439p-20));
    q = v_fma(q, z, v_set(-0x1.f4bb7be99b312p-17));
    q = v_fma(q, z, v_set(0x1.f9a2a546b2bd4p-14));
    q = v_fma(q, z, v_set(-0x1.c02db2380fbbdp-11));
    q = v_fma(q, z, v_set(0x1.565bcd0a97f52p-8));
    q = v_fma(q, z, v_set(-0x1.b82ce3127f47ap-6));
    q = v_fma(q, z, v_set(0x1.ce2f21a042b25p-4));
    q = v_fma(q, z, v_set(-0x1.812746b0379e6p-2));
    return v_fma(q, z, v_set(0x1.06eba8214db69p-3));
#else
    vec q = v_set(0x1.352f86p-8F);
    q = v_fma(q, z, v_set(-0x1.b6636ap-6F));
    q = v_fma(q, z, v_set(0x1.ce24f6p-4F));
    q = v_fma(q, z, v_set(-0x1.812732p-2F));
    return v_fma(q, z, v_set(0x1.06eba8p-3F));
#endif
}

/* e^(a^2) erfc(a) for 1/2 <= a <= VM_ERFC_END. */
SIMD_INLINE vec v_erfc_scaled(vec a)
{
    const vec centre = v_set(VM_ERFC_CENTRE);
    vec t = v_div(v_sub(a, centre), v_add(a, centre));
#ifdef LEAT_SIMD_DOUBLE
    vec q = v_set(0x1.a241b3d952365p-30);
    q = v_fma(q, t, v_set(-0x1.c8e7ee549839ap-30));
    q = v_fma(q, t, v_set(-0x1.fbe672202b431p-27));
    q = v_fma(q, t, v_set(0x1.a3077e7467248p-26));
    q = v_fma(q, t, v_set(0x1.9b8f8aabcb2a9p-24));
    q = v_fma(q, t, v_set(-0x1.30379e6c0a3f5p-22));
    q = v_fma(q, t, v_set(-0x1.b6a76bcc33964p-22));
    q = v_fma(q, t, v_set(0x1.8b28f2c5cd297p-19));
    q = v_fma(q, t, v_set(-0x1.fee917dc426b7p-20));
    q = v_fma(q, t, v_set(-0x1.7a6cf138e146cp-16));
    q = v_fma(q, t, v_set(0x1.4b47913982f5bp-14));
    q = v_fma(q, t, v_set(-0x1.6d19f9d47c4bep-16));
    q = v_fma(q, t, v_set(-0x1.a2f8fc581a6b4p-11));
    q = v_fma(q, t, v_set(0x1.0a17eb7d3b458p-8));
    q = v_fma(q, t, v_set(-0x1.a4ded413df2efp-7));
    q = v_fma(q, t, v_set(0x1.0066e10490591p-5));
    q = v_fma(q, t, v_set(-0x1.027d5744b7178p-4));
    q = v_fma(q, t, v_set(0x1.be502c36585c8p-4));
    q = v_fma(q, t, v_set(-0x1.506666f69e523p-3));
    q = v_fma(q, t, v_set(0x1.bff01a5f9085fp-3));
    q = v_fma(q, t, v_set(-0x1.094922737431ap-2));
    return v_fma(q, t, v_set(0x1.18932bf08e154p-3));
#else
    vec q = v_set(0x1.b50ff6p-15F);
    q = v_fma(q, t, v_set(0x1.04e7c8p-15F));
    q = v_fma(q, t, v_set(-0x1.34f094p-11F));
    q = v_fma(q, t, v_set(0x1.763bfep-11F));
    q = v_fma(q, t, v_set(0x1.179e94p-8F));
    q = v_fma(q, t, v_set(-0x1.8faa4p-6F));
    q = v_fma(q, t, v_set(0x1.258b76p-4F));
    q = v_fma(q, t, v_set(-0x1.336ff2p-3F));
    q = v_fma(q, t, v_set(0x1.f6ff1ep-3F));
    q = v_fma(q, t, v_set(-0x1.4e102cp-2F));
    return v_fma(q, t, v_set(0x1.6e9828p-3F));
#endif
}

/* e^(-x^2), the square in two parts. */
SIMD_INLINE vec v_bell(vec x)
{
    vec a = v_min(v_set(VM_ERFC_END), v_abs(x)), z = v_mul(a, a);
    return v_exp_sum(v_neg(z), v_fnma(a, a, z));
}

SIMD_INLINE vec v_erf(vec x)
{
    vec a = v_min(v_set(VM_ERFC_END), v_abs(x)); /* the order lets NaN pass */
    vec z = v_mul(a, a);
    vec near = v_fma(a, v_erf_polynomial(z), a);
    vec beyond = v_fnma(v_bell(a), v_erfc_scaled(a), v_set(1));
    return v_copysign(v_select(v_lt(a, v_set((vreal)0.5)), near, beyond), x);
}

/* Phi(x), the normal distribution function, and e^(-x^2 / 2). */
SIMD_INLINE vec v_normal_cdf(vec x, vec *bell)
{
    vec a = v_min(v_set((vreal)1.4142135623730951 * VM_ERFC_END), v_abs(x));
    vec scaled = v_mul(a, v_set((vreal)0.7071067811865476)), square = v_mul(a, a), minus_half = v_set((vreal)-0.5);
    *bell = v_exp_sum(v_mul(square, minus_half), v_mul(v_fma(a, a, v_neg(square)), minus_half));
    vec tail = v_mul(v_mul(*bell, v_set((vreal)0.5)), v_erfc_scaled(scaled));
    vec middle = v_copysign(v_fma(scaled, v_erf_polynomial(v_mul(scaled, scaled)), scaled), x);
    vec beyond = v_select(v_lt(x, v_set(0)), tail, v_sub(v_set(1), tail));
    return v_select(v_lt(scaled, v_set((vreal)0.5)), v_fma(middle, v_set((vreal)0.5), v_set((vreal)0.5)), beyond);
}

SIMD_INLINE vec v_gelu(vec x)
{
    vec bell;
    return v_mul(x, v_normal_cdf(x, &bell));
}

/* d/dx x Phi(x) = Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi) */
SIMD_INLINE vec v_gelu_slope(vec x)
{
    vec bell, phi = v_normal_cdf(x, &bell);
    return v_fma(v_mul(x, v_set((vreal)0.3989422804014327)), bell, phi);
}

#endif
