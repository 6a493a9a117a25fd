/*
 * Private to simd.h: its section for AVX-512, 16 floats or 8 doubles. Comparisons yield one bit for each lane.
 */
#include <immintrin.h>

#define LEAT_SIMD_NAME "avx512"

#ifdef LEAT_SIMD_DOUBLE
#define VL            8
#define SIMD_F(op)    _mm512_##op##_pd
#define SIMD_I(op)    _mm512_##op##_epi64
#define SIMD_CMP_MASK _mm512_cmp_pd_mask
#define SIMD_TO_BITS  _mm512_castpd_si512
#define SIMD_TO_FLOAT _mm512_castsi512_pd
typedef __m512d vec;
typedef __mmask8 vmask;
SIMD_INLINE __m512i simd_set_bits(vreal_bits bits)
{
    return _mm512_set1_epi64((long long)bits);
}
#else
#define VL            16
#define SIMD_F(op)    _mm512_##op##_ps
#define SIMD_I(op)    _mm512_##op##_epi32
#define SIMD_CMP_MASK _mm512_cmp_ps_mask
#define SIMD_TO_BITS  _mm512_castps_si512
#define SIMD_TO_FLOAT _mm512_castsi512_ps
typedef __m512 vec;
typedef __mmask16 vmask;
SIMD_INLINE __m512i simd_set_bits(vreal_bits bits)
{
    return _mm512_set1_epi32((int)bits);
}
#endif
typedef __m512i vbits;

#include "simd_x86.h"

/* Without a branch, so that it is taken out of loops. */
SIMD_INLINE vmask simd_lanes_below(int64_t n)
{
    n = n < 0 ? 0 : n;
    return (vmask)((1U << (n < VL ? n : VL)) - 1);
}
SIMD_INLINE vec v_load_part(const vreal *p, int64_t n)
{
    return SIMD_F(maskz_loadu)(simd_lanes_below(n), p);
}
SIMD_INLINE void v_store_part(vreal *p, vec a, int64_t n)
{
    SIMD_F(mask_storeu)(p, simd_lanes_below(n), a);
}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* inside of gcc's macro for it at -O0 */
SIMD_INLINE vec v_rint(vec a)
{
    return SIMD_F(roundscale)(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#pragma GCC diagnostic pop

SIMD_INLINE vmask v_lt(vec a, vec b)
{
    return SIMD_CMP_MASK(a, b, _CMP_LT_OQ);
}
SIMD_INLINE vmask v_le(vec a, vec b)
{
    return SIMD_CMP_MASK(a, b, _CMP_LE_OQ);
}
SIMD_INLINE vmask v_eq(vec a, vec b)
{
    return SIMD_CMP_MASK(a, b, _CMP_EQ_OQ);
}
SIMD_INLINE vmask m_and(vmask a, vmask b)
{
    return (vmask)(a & b);
}
SIMD_INLINE vmask m_or(vmask a, vmask b)
{
    return (vmask)(a | b);
}
SIMD_INLINE vmask m_not(vmask a)
{
    return (vmask)~a;
}
SIMD_INLINE bool m_any(vmask a)
{
    return a != 0;
}
SIMD_INLINE vec v_select(vmask m, vec a, vec b)
{
    return SIMD_F(mask_blend)(m, b, a);
}

SIMD_INLINE vbits b_and(vbits a, vbits b)
{
    return _mm512_and_si512(a, b);
}
SIMD_INLINE vbits b_or(vbits a, vbits b)
{
    return _mm512_or_si512(a, b);
}
SIMD_INLINE vbits b_xor(vbits a, vbits b)
{
    return _mm512_xor_si512(a, b);
}
SIMD_INLINE vbits b_shl(vbits a, int count)
{
    return SIMD_I(sll)(a, _mm_cvtsi32_si128(count));
}
SIMD_INLINE vbits b_shr(vbits a, int count)
{
    return SIMD_I(srl)(a, _mm_cvtsi32_si128(count));
}

#define DL 8
typedef __m512d dvec;

SIMD_INLINE dvec d_set(double a)
{
    return _mm512_set1_pd(a);
}
SIMD_INLINE dvec d_add(dvec a, dvec b)
{
    return _mm512_add_pd(a, b);
}
SIMD_INLINE dvec d_sub(dvec a, dvec b)
{
    return _mm512_sub_pd(a, b);
}
SIMD_INLINE dvec d_fma(dvec a, dvec b, dvec c)
{
    return _mm512_fmadd_pd(a, b, c);
}
SIMD_INLINE dvec d_fnma(dvec a, dvec b, dvec c)
{
    return _mm512_fnmadd_pd(a, b, c);
}
SIMD_INLINE dvec d_load(const double *p)
{
    return _mm512_loadu_pd(p);
}
SIMD_INLINE void d_store(double *p, dvec a)
{
    _mm512_storeu_pd(p, a);
}
#ifdef LEAT_SIMD_DOUBLE
SIMD_INLINE dvec d_load_real(const vreal *p)
{
    return _mm512_loadu_pd(p);
}
SIMD_INLINE void d_store_real(vreal *p, dvec a)
{
    _mm512_storeu_pd(p, a);
}
#else
SIMD_INLINE dvec d_load_real(const vreal *p)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}
SIMD_INLINE void d_store_real(vreal *p, dvec a)
{
    _mm256_storeu_ps(p, _mm512_cvtpd_ps(a));
}
#endif
