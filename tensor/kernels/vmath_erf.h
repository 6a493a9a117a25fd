/*
 * Private to tensor: the error function, the normal distribution function, and gelu, over the vectors of simd.h.
 *
 *     erf      x + x P(x^2) for |x| < 3/4; beyond, 1 - erfc(|x|) with the sign of x
 *     erfc     e^(-a^2) E(a) for a >= 1/2, where E(a) = e^(a^2) erfc(a) is a polynomial in (a - k) / (a + k), over
 *              a + k; a^2 is kept in two parts, so nothing is lost where it is large
 *     Phi      1/2 + erf(x / sqrt 2) / 2 in the middle; beyond, erfc(|x| / sqrt 2) / 2, so that the left tail keeps its
 *              digits
 */
#ifndef LEAT_VMATH_ERF_H
#define LEAT_VMATH_ERF_H

#include "vmath.h"

#ifdef LEAT_SIMD_DOUBLE
#define VM_ERFC_CENTRE 4
#define VM_ERFC_END    28 /* erfc rounds to 0 from here on */
#else
#define VM_ERFC_CENTRE 2
#define VM_ERFC_END    14
#endif

/* erf(x) / x - 1 for z = x^2 <= 9/16. */
SIMD_INLINE vec v_erf_polynomial(vec z)
{
#ifdef LEAT_SIMD_DOUBLE
    vec q = v_set(0x1.89dfaf9970cbep-27);
    q = v_fma(q, z, v_set(-0x1.56411ca32a5f9p-23));
    q = v_fma(q, z, v_set(0x1.b90ca88c482cbp-20));
    q = v_fma(q, z, v_set(-0x1.f4c5b149eb2d7p-17));
    q = v_fma(q, z, v_set(0x1.f9a2ad5cc8312p-14));
    q = v_fma(q, z, v_set(-0x1.c02db10ff8361p-11));
    q = v_fma(q, z, v_set(0x1.565bcd030e000p-8));
    q = v_fma(q, z, v_set(-0x1.b82ce312555a6p-6));
    q = v_fma(q, z, v_set(0x1.ce2f21a04246dp-4));
    q = v_fma(q, z, v_set(-0x1.812746b0379e0p-2));
    return v_fma(q, z, v_set(0x1.06eba8214db69p-3));
#else
    vec q = v_set(-0x1.61daa8p-11F);
    q = v_fma(q, z, v_set(0x1.4f2bep-8F));
    q = v_fma(q, z, v_set(-0x1.b7a882p-6F));
    q = v_fma(q, z, v_set(0x1.ce2ac6p-4F));
    q = v_fma(q, z, v_set(-0x1.81273ap-2F));
    return v_fma(q, z, v_set(0x1.06eba8p-3F));
#endif
}

/* e^(a^2) erfc(a) for 1/2 <= a <= VM_ERFC_END. */
SIMD_INLINE vec v_erfc_scaled(vec a)
{
    vec top = v_sub(a, v_set(VM_ERFC_CENTRE)), bottom = v_add(a, v_set(VM_ERFC_CENTRE));
    vec inverse = v_div(v_set(1), bottom), t = v_mul(top, inverse);
    t = v_fma(v_fnma(t, bottom, top), inverse, t); /* the rounding of both mended */
#ifdef LEAT_SIMD_DOUBLE
    vec q = v_set(-0x1.92eb25c48efb8p-27);
    q = v_fma(q, t, v_set(0x1.74ad353c47db6p-30));
    q = v_fma(q, t, v_set(0x1.fc155fa6f382cp-24));
    q = v_fma(q, t, v_set(-0x1.4742cb302294fp-24));
    q = v_fma(q, t, v_set(-0x1.c396ba60e7853p-21));
    q = v_fma(q, t, v_set(0x1.7e6e068bd567ap-20));
    q = v_fma(q, t, v_set(0x1.3adbd0c472bb6p-18));
    q = v_fma(q, t, v_set(-0x1.3c6fb2acea5dep-16));
    q = v_fma(q, t, v_set(-0x1.e7c91384e4707p-19));
    q = v_fma(q, t, v_set(0x1.72cdaed331c8cp-13));
    q = v_fma(q, t, v_set(-0x1.dd285354f70dbp-12));
    q = v_fma(q, t, v_set(-0x1.269b52a27e5a5p-12));
    q = v_fma(q, t, v_set(0x1.908f4742bb213p-8));
    q = v_fma(q, t, v_set(-0x1.b00c052c12b6cp-6));
    q = v_fma(q, t, v_set(0x1.38dbd2c8bc70bp-4));
    q = v_fma(q, t, v_set(-0x1.645fd8a4bc29bp-3));
    q = v_fma(q, t, v_set(0x1.52cac23710740p-2));
    q = v_fma(q, t, v_set(-0x1.14eacb1ad033ep-1));
    q = v_fma(q, t, v_set(0x1.8be202d26c6fap-1));
    q = v_fma(q, t, v_set(-0x1.f3fe31ecb49bfp-1));
    q = v_fma(q, t, v_set(0x1.18932bf08e154p+0));
#else
    vec q = v_set(0x1.d8ba1p-14F);
    q = v_fma(q, t, v_set(0x1.11909ep-14F));
    q = v_fma(q, t, v_set(-0x1.52ec46p-11F));
    q = v_fma(q, t, v_set(-0x1.bdaaa2p-11F));
    q = v_fma(q, t, v_set(0x1.9494a8p-9F));
    q = v_fma(q, t, v_set(0x1.a8c79cp-8F));
    q = v_fma(q, t, v_set(-0x1.606c8ep-6F));
    q = v_fma(q, t, v_set(-0x1.2a894ep-5F));
    q = v_fma(q, t, v_set(0x1.1e2deep-2F));
    q = v_fma(q, t, v_set(-0x1.5fd386p-1F));
    q = v_fma(q, t, v_set(0x1.058672p+0F));
#endif
    return v_mul(q, inverse);
}

/* e^(-x^2), the square in two parts. */
SIMD_INLINE vec v_bell(vec x)
{
    vec a = v_min(v_set(VM_ERFC_END), v_abs(x)); /* the order lets NaN pass */
    vec z = v_mul(a, a);
    return v_unscaled(v_exp_sum(v_neg(z), v_fnma(a, a, z)));
}

SIMD_INLINE vec v_erf(vec x)
{
    vec a = v_min(v_set(VM_ERFC_END), v_abs(x));
    vec near = v_fma(a, v_erf_polynomial(v_mul(a, a)), a);
    vec beyond = v_fnma(v_bell(a), v_erfc_scaled(a), v_set(1));
    return v_copysign(v_select(v_lt(a, v_set((vreal)0.75)), near, beyond), x);
}

/* Phi(x), the normal distribution function, and *bell = e^(-x^2 / 2). */
SIMD_INLINE vec_scaled v_normal_cdf(vec x, vec *bell)
{
    const vec half = v_set((vreal)0.5), one = v_set(1);
    vec a = v_min(v_set((vreal)1.4142135623730951 * VM_ERFC_END), v_abs(x));
    vec scaled = v_mul(a, v_set((vreal)0.7071067811865476)), square = v_mul(a, a);
    vec_scaled e = v_exp_sum(v_neg(v_mul(square, half)), v_mul(v_fnma(a, a, square), half));
    *bell = v_unscaled(e);
    vec tail = v_mul(v_mul(e.value, half), v_erfc_scaled(scaled));
    vec erf = v_copysign(v_fma(scaled, v_erf_polynomial(v_mul(scaled, scaled)), scaled), x);
    vmask middle = v_lt(scaled, half), left = m_and(v_lt(x, v_set(0)), m_not(middle));
    vec right = v_select(middle, v_fma(erf, half, half), v_fnma(tail, e.scale, one));
    return (vec_scaled){ v_select(left, tail, right), v_select(left, e.scale, one) };
}

/* e^(a^2) erfc(a) for a >= 1/2; far out 1 - z + 3 z^2 - 15 z^3 .. over a sqrt(pi), z = 1 / (2 a^2). */
SIMD_INLINE vec v_erfc_scaled_far(vec a)
{
    vec inverse = v_div(v_set(1), a), z = v_mul(v_mul(inverse, v_set((vreal)0.5)), inverse);
    vec q = v_set(10395);
    for (int i = 5; i >= 0; i--) {
        static const vreal c[] = { 1, -1, 3, -15, 105, -945 };
        q = v_fma(q, z, v_set(c[i]));
    }
    q = v_mul(v_mul(inverse, v_set((vreal)0.56418958354775629)), q);
    return v_select(v_gt(a, v_set(VM_ERFC_END)), q, v_erfc_scaled(v_min(v_set(VM_ERFC_END), a)));
}

/* The left tail of the normal distribution, x < 0 beyond the middle: Phi(x) = e^(-x^2 / 2) E / 2. */
SIMD_INLINE vmask v_normal_left(vec x, vec *scaled)
{
    *scaled = v_mul(v_abs(x), v_set((vreal)0.7071067811865476));
    return m_and(v_lt(x, v_set(0)), v_ge(*scaled, v_set((vreal)0.5)));
}

/* log Phi(x): on the left log(E / 2) - x^2 / 2, the square in two parts, on the right log1p(-Phi(-x)). */
SIMD_INLINE vec v_log_normal_cdf(vec x)
{
    const vec half = v_set((vreal)0.5);
    vec bell, scaled, tail = v_unscaled(v_normal_cdf(v_neg(v_abs(x)), &bell));
    vmask left = v_normal_left(x, &scaled);
    vec a = v_min(v_set((vreal)(sizeof(vreal) == 4 ? 1e18 : 1e150)), v_abs(x)), square = v_mul(a, a);
    vec of = v_select(left, v_mul(v_erfc_scaled_far(scaled), half), tail);
    vec rest = v_fma(v_fnma(a, a, square), half, v_log(of));
    vec below = v_select(left, v_fnma(square, half, rest), v_log(tail));
    below = v_select(v_lt(x, v_neg(a)), v_mul(v_mul(x, half), v_abs(x)), below);
    return v_select(v_gt(x, v_set(0)), v_log1p(v_neg(tail)), below);
}

/* Its derivative phi / Phi = e^(-x^2 / 2) / (sqrt(2 pi) Phi(x)), */
SIMD_INLINE vec v_log_normal_cdf_slope(vec x)
{
    vec bell, scaled, phi = v_unscaled(v_normal_cdf(x, &bell));
    vmask left = v_normal_left(x, &scaled);
    return v_select(left, v_div(v_set((vreal)0.7978845608028654), v_erfc_scaled_far(scaled)),
                    v_div(v_mul(v_set((vreal)0.3989422804014327), bell), phi));
}

/* and the logarithm of that, whose own derivative is -x - phi / Phi. */
SIMD_INLINE vec v_log_normal_ratio(vec x)
{
    vec scaled, log_density = v_fnma(v_mul(x, v_set((vreal)0.5)), x, v_set((vreal)-0.91893853320467274178));
    vmask left = v_normal_left(x, &scaled);
    return v_select(left, v_log(v_div(v_set((vreal)0.7978845608028654), v_erfc_scaled_far(scaled))),
                    v_sub(log_density, v_log_normal_cdf(x)));
}

SIMD_INLINE vec v_gelu(vec x)
{
    vec bell;
    vec_scaled phi = v_normal_cdf(x, &bell);
    vec y = v_mul(v_mul(x, phi.value), phi.scale);
    return v_select(v_lt(x, v_set((vreal)-1.4142135623730951 * VM_ERFC_END)), v_mul(x, v_unscaled(phi)), y);
}

/* d/dx x Phi(x) = Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi) */
SIMD_INLINE vec v_gelu_slope(vec x)
{
    vec bell, phi = v_unscaled(v_normal_cdf(x, &bell));
    return v_fma(v_mul(x, v_set((vreal)0.3989422804014327)), bell, phi);
}

#endif
