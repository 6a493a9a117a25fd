/*
 * Private to tensor: one vector type over whatever instruction set the including .c file names, and the same operations
 * with the same results, bit for bit, in each.
 *
 * The file that includes this defines LEAT_SIMD_AVX2, LEAT_SIMD_AVX512, LEAT_SIMD_NEON, LEAT_SIMD_WIDE (many lanes in
 * plain C, for tests) or nothing (the reference: one lane, plain C). It carries its target itself, so that no file needs
 * a compiler flag of its own: on x86 it includes <immintrin.h>, then says
 *     #pragma GCC target("avx2,fma")                                                                              gcc
 *     #pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function) ... pop            clang
 * and then includes this file. The elements are leat_real, or double if LEAT_SIMD_DOUBLE is defined.
 *
 *     vec, VL     a vector of VL elements (vreal)       vmask    what a comparison yields
 *     vbits       the elements' bits, as unsigned       dvec, DL a vector of DL doubles, whatever the precision
 *
 * v_load_part and v_store_part touch n < VL elements and no memory behind them; lanes not loaded are 0. v_min(a, b) is
 * a < b ? a : b and v_max(a, b) is a > b ? a : b, so b wins where one is NaN. Comparisons are false with NaN. A set
 * added here must keep all of this: where its own minimum treats NaN in another way, it compares and selects.
 */
#ifndef LEAT_SIMD_H
#define LEAT_SIMD_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "../tensor.h"

#if defined(LEAT_DOUBLE) && !defined(LEAT_SIMD_DOUBLE)
#define LEAT_SIMD_DOUBLE 1
#endif

/* Inlined without exception: a vector kept in a register is the point of all this. */
#define SIMD_INLINE static inline __attribute__((always_inline))

#ifdef LEAT_SIMD_DOUBLE
typedef double vreal;
typedef uint64_t vreal_bits;
#else
typedef float vreal;
typedef uint32_t vreal_bits;
#endif

#if defined(LEAT_SIMD_AVX512)
#include "simd_avx512.h"
#elif defined(LEAT_SIMD_NEON)
#include "simd_neon.h"
#elif defined(LEAT_SIMD_WIDE)
#include "simd_wide.h"
#elif defined(LEAT_SIMD_AVX2)
/* ---- AVX2 and FMA: 8 floats or 4 doubles ------------------------------------------------------------------------- */

#include <immintrin.h>

#define LEAT_SIMD_NAME "avx2"

#ifdef LEAT_SIMD_DOUBLE
#define VL            4
#define SIMD_F(op)    _mm256_##op##_pd
#define SIMD_I(op)    _mm256_##op##_epi64
#define SIMD_TO_BITS  _mm256_castpd_si256
#define SIMD_TO_FLOAT _mm256_castsi256_pd
typedef __m256d vec;
typedef __m256d vmask;
SIMD_INLINE __m256i simd_lanes_below(int64_t n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)n), _mm256_setr_epi64x(0, 1, 2, 3));
}
SIMD_INLINE __m256i simd_set_bits(vreal_bits bits)
{
    return _mm256_set1_epi64x((long long)bits);
}
#else
#define VL            8
#define SIMD_F(op)    _mm256_##op##_ps
#define SIMD_I(op)    _mm256_##op##_epi32
#define SIMD_TO_BITS  _mm256_castps_si256
#define SIMD_TO_FLOAT _mm256_castsi256_ps
typedef __m256 vec;
typedef __m256 vmask;
SIMD_INLINE __m256i simd_lanes_below(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
SIMD_INLINE __m256i simd_set_bits(vreal_bits bits)
{
    return _mm256_set1_epi32((int)bits);
}
#endif
typedef __m256i vbits;

#include "simd_x86.h"

SIMD_INLINE vec v_load_part(const vreal *p, int64_t n)
{
    return SIMD_F(maskload)(p, simd_lanes_below(n));
}
SIMD_INLINE void v_store_part(vreal *p, vec a, int64_t n)
{
    SIMD_F(maskstore)(p, simd_lanes_below(n), a);
}
SIMD_INLINE vec v_rint(vec a)
{
    return SIMD_F(round)(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

SIMD_INLINE vmask v_lt(vec a, vec b)
{
    return SIMD_F(cmp)(a, b, _CMP_LT_OQ);
}
SIMD_INLINE vmask v_le(vec a, vec b)
{
    return SIMD_F(cmp)(a, b, _CMP_LE_OQ);
}
SIMD_INLINE vmask v_eq(vec a, vec b)
{
    return SIMD_F(cmp)(a, b, _CMP_EQ_OQ);
}
SIMD_INLINE vmask m_and(vmask a, vmask b)
{
    return SIMD_F(and)(a, b);
}
SIMD_INLINE vmask m_or(vmask a, vmask b)
{
    return SIMD_F(or)(a, b);
}
SIMD_INLINE vmask m_not(vmask a)
{
    return SIMD_F(xor)(a, SIMD_TO_FLOAT(_mm256_set1_epi32(-1)));
}
SIMD_INLINE bool m_any(vmask a)
{
    return SIMD_F(movemask)(a) != 0;
}
SIMD_INLINE vec v_select(vmask m, vec a, vec b)
{
    return SIMD_F(blendv)(b, a, m);
}

SIMD_INLINE vbits b_and(vbits a, vbits b)
{
    return _mm256_and_si256(a, b);
}
SIMD_INLINE vbits b_or(vbits a, vbits b)
{
    return _mm256_or_si256(a, b);
}
SIMD_INLINE vbits b_xor(vbits a, vbits b)
{
    return _mm256_xor_si256(a, b);
}
SIMD_INLINE vbits b_shl(vbits a, int count)
{
    return SIMD_I(slli)(a, count);
}
SIMD_INLINE vbits b_shr(vbits a, int count)
{
    return SIMD_I(srli)(a, count);
}

#define DL 4
typedef __m256d dvec;

SIMD_INLINE dvec d_set(double a)
{
    return _mm256_set1_pd(a);
}
SIMD_INLINE dvec d_add(dvec a, dvec b)
{
    return _mm256_add_pd(a, b);
}
SIMD_INLINE dvec d_sub(dvec a, dvec b)
{
    return _mm256_sub_pd(a, b);
}
SIMD_INLINE dvec d_fma(dvec a, dvec b, dvec c)
{
    return _mm256_fmadd_pd(a, b, c);
}
SIMD_INLINE dvec d_fnma(dvec a, dvec b, dvec c)
{
    return _mm256_fnmadd_pd(a, b, c);
}
SIMD_INLINE dvec d_load(const double *p)
{
    return _mm256_loadu_pd(p);
}
SIMD_INLINE void d_store(double *p, dvec a)
{
    _mm256_storeu_pd(p, a);
}
#ifdef LEAT_SIMD_DOUBLE
SIMD_INLINE dvec d_load_real(const vreal *p)
{
    return _mm256_loadu_pd(p);
}
SIMD_INLINE void d_store_real(vreal *p, dvec a)
{
    _mm256_storeu_pd(p, a);
}
#else
SIMD_INLINE dvec d_load_real(const vreal *p)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}
SIMD_INLINE void d_store_real(vreal *p, dvec a)
{
    _mm_storeu_ps(p, _mm256_cvtpd_ps(a));
}
#endif

#else
/* ---- reference: one lane, plain C -------------------------------------------------------------------------------- */

#define LEAT_SIMD_NAME "ref"

#ifdef LEAT_SIMD_DOUBLE
#define SIMD_F(op) op
#else
#define SIMD_F(op) op##f
#endif
#define VL 1
typedef vreal vec;
typedef bool vmask;
typedef vreal_bits vbits;

SIMD_INLINE vec v_load(const vreal *p)
{
    return *p;
}
SIMD_INLINE void v_store(vreal *p, vec a)
{
    *p = a;
}
SIMD_INLINE vec v_load_part(const vreal *p, int64_t n)
{
    return n > 0 ? *p : 0;
}
SIMD_INLINE void v_store_part(vreal *p, vec a, int64_t n)
{
    if (n > 0)
        *p = a;
}
SIMD_INLINE vec v_set(vreal a)
{
    return a;
}
SIMD_INLINE vec v_add(vec a, vec b)
{
    return a + b;
}
SIMD_INLINE vec v_sub(vec a, vec b)
{
    return a - b;
}
SIMD_INLINE vec v_mul(vec a, vec b)
{
    return a * b;
}
SIMD_INLINE vec v_div(vec a, vec b)
{
    return a / b;
}
SIMD_INLINE vec v_fma(vec a, vec b, vec c)
{
    return SIMD_F(fma)(a, b, c);
}
SIMD_INLINE vec v_fnma(vec a, vec b, vec c)
{
    return SIMD_F(fma)(-a, b, c);
}
SIMD_INLINE vec v_min(vec a, vec b)
{
    return a < b ? a : b;
}
SIMD_INLINE vec v_max(vec a, vec b)
{
    return a > b ? a : b;
}
SIMD_INLINE vec v_sqrt(vec a)
{
    return SIMD_F(sqrt)(a);
}
SIMD_INLINE vec v_rint(vec a)
{
    return SIMD_F(rint)(a);
}

SIMD_INLINE vmask v_lt(vec a, vec b)
{
    return a < b;
}
SIMD_INLINE vmask v_le(vec a, vec b)
{
    return a <= b;
}
SIMD_INLINE vmask v_eq(vec a, vec b)
{
    return a == b;
}
SIMD_INLINE vmask m_and(vmask a, vmask b)
{
    return a & b;
}
SIMD_INLINE vmask m_or(vmask a, vmask b)
{
    return a | b;
}
SIMD_INLINE vmask m_not(vmask a)
{
    return !a;
}
SIMD_INLINE bool m_any(vmask a)
{
    return a;
}
SIMD_INLINE vec v_select(vmask m, vec a, vec b)
{
    return m ? a : b;
}

SIMD_INLINE vbits v_bits(vec a)
{
    vbits bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
SIMD_INLINE vec v_from_bits(vbits bits)
{
    vec a;
    memcpy(&a, &bits, sizeof a);
    return a;
}
SIMD_INLINE vbits b_set(vreal_bits a)
{
    return a;
}
SIMD_INLINE vbits b_add(vbits a, vbits b)
{
    return a + b;
}
SIMD_INLINE vbits b_and(vbits a, vbits b)
{
    return a & b;
}
SIMD_INLINE vbits b_or(vbits a, vbits b)
{
    return a | b;
}
SIMD_INLINE vbits b_xor(vbits a, vbits b)
{
    return a ^ b;
}
SIMD_INLINE vbits b_shl(vbits a, int count)
{
    return a << count;
}
SIMD_INLINE vbits b_shr(vbits a, int count)
{
    return a >> count;
}

#define DL 1
typedef double dvec;

SIMD_INLINE dvec d_set(double a)
{
    return a;
}
SIMD_INLINE dvec d_add(dvec a, dvec b)
{
    return a + b;
}
SIMD_INLINE dvec d_sub(dvec a, dvec b)
{
    return a - b;
}
SIMD_INLINE dvec d_fma(dvec a, dvec b, dvec c)
{
    return fma(a, b, c);
}
SIMD_INLINE dvec d_fnma(dvec a, dvec b, dvec c)
{
    return fma(-a, b, c);
}
SIMD_INLINE dvec d_load(const double *p)
{
    return *p;
}
SIMD_INLINE void d_store(double *p, dvec a)
{
    *p = a;
}
SIMD_INLINE dvec d_load_real(const vreal *p)
{
    return (double)*p;
}
SIMD_INLINE void d_store_real(vreal *p, dvec a)
{
    *p = (vreal)a;
}

#endif

/* ---- the same for every set -------------------------------------------------------------------------------------- */

#define V_SIGN_BIT ((vreal_bits)1 << (8 * sizeof(vreal) - 1))

SIMD_INLINE vmask v_gt(vec a, vec b)
{
    return v_lt(b, a);
}
SIMD_INLINE vmask v_ge(vec a, vec b)
{
    return v_le(b, a);
}
SIMD_INLINE vec v_neg(vec a)
{
    return v_from_bits(b_xor(v_bits(a), b_set(V_SIGN_BIT)));
}
SIMD_INLINE vec v_abs(vec a)
{
    return v_from_bits(b_and(v_bits(a), b_set(V_SIGN_BIT - 1)));
}
/* The magnitude of a with the sign of b. */
SIMD_INLINE vec v_copysign(vec a, vec b)
{
    return v_from_bits(b_or(b_and(v_bits(a), b_set(V_SIGN_BIT - 1)), b_and(v_bits(b), b_set(V_SIGN_BIT))));
}

#endif
