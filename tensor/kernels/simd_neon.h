/*
 * Private to simd.h: its section for NEON on 64-bit ARM, 4 floats or 2 doubles. Comparisons yield all bits of a lane.
 *
 * NEON's own minimum and maximum hand on NaN from either side, so v_min and v_max compare and select. There are no
 * masked loads; a part of a vector is loaded and stored lane by lane.
 */
#include <arm_neon.h>

#define LEAT_SIMD_NAME "neon"

#ifdef LEAT_SIMD_DOUBLE
#define VL            2
#define SIMD_F(op)    v##op##q_f64
#define SIMD_U(op)    v##op##q_u64
#define SIMD_LANE(op) v##op##q_lane_f64
#define SIMD_SET      vdupq_n_f64
#define SIMD_COUNT    vdupq_n_s64
#define SIMD_TO_BITS  vreinterpretq_u64_f64
#define SIMD_TO_FLOAT vreinterpretq_f64_u64
#define SIMD_TO_U32   vreinterpretq_u32_u64
typedef float64x2_t vec;
typedef uint64x2_t vmask;
typedef uint64x2_t vbits;
SIMD_INLINE vbits b_set(vreal_bits a)
{
    return vdupq_n_u64(a);
}
#else
#define VL            4
#define SIMD_F(op)    v##op##q_f32
#define SIMD_U(op)    v##op##q_u32
#define SIMD_LANE(op) v##op##q_lane_f32
#define SIMD_SET      vdupq_n_f32
#define SIMD_COUNT    vdupq_n_s32
#define SIMD_TO_BITS  vreinterpretq_u32_f32
#define SIMD_TO_FLOAT vreinterpretq_f32_u32
#define SIMD_TO_U32
typedef float32x4_t vec;
typedef uint32x4_t vmask;
typedef uint32x4_t vbits;
SIMD_INLINE vbits b_set(vreal_bits a)
{
    return vdupq_n_u32(a);
}
#endif

SIMD_INLINE vec v_load(const vreal *p)
{
    return SIMD_F(ld1)(p);
}
SIMD_INLINE void v_store(vreal *p, vec a)
{
    SIMD_F(st1)(p, a);
}
SIMD_INLINE vec v_set(vreal a)
{
    return SIMD_SET(a);
}
SIMD_INLINE vec v_load_part(const vreal *p, int64_t n)
{
    if (n >= VL)
        return v_load(p);
    vec a = v_set(0);
    if (n > 0)
        a = SIMD_LANE(ld1)(p, a, 0);
#if VL == 4
    if (n > 1)
        a = SIMD_LANE(ld1)(p + 1, a, 1);
    if (n > 2)
        a = SIMD_LANE(ld1)(p + 2, a, 2);
#endif
    return a;
}
SIMD_INLINE void v_store_part(vreal *p, vec a, int64_t n)
{
    if (n >= VL) {
        v_store(p, a);
        return;
    }
    if (n > 0)
        SIMD_LANE(st1)(p, a, 0);
#if VL == 4
    if (n > 1)
        SIMD_LANE(st1)(p + 1, a, 1);
    if (n > 2)
        SIMD_LANE(st1)(p + 2, a, 2);
#endif
}
SIMD_INLINE vec v_add(vec a, vec b)
{
    return SIMD_F(add)(a, b);
}
SIMD_INLINE vec v_sub(vec a, vec b)
{
    return SIMD_F(sub)(a, b);
}
SIMD_INLINE vec v_mul(vec a, vec b)
{
    return SIMD_F(mul)(a, b);
}
SIMD_INLINE vec v_div(vec a, vec b)
{
    return SIMD_F(div)(a, b);
}
SIMD_INLINE vec v_fma(vec a, vec b, vec c)
{
    return SIMD_F(fma)(c, a, b);
}
SIMD_INLINE vec v_fnma(vec a, vec b, vec c)
{
    return SIMD_F(fms)(c, a, b);
}
SIMD_INLINE vec v_sqrt(vec a)
{
    return SIMD_F(sqrt)(a);
}
SIMD_INLINE vec v_rint(vec a)
{
    return SIMD_F(rndn)(a);
}

SIMD_INLINE vmask v_lt(vec a, vec b)
{
    return SIMD_F(clt)(a, b);
}
SIMD_INLINE vmask v_le(vec a, vec b)
{
    return SIMD_F(cle)(a, b);
}
SIMD_INLINE vmask v_eq(vec a, vec b)
{
    return SIMD_F(ceq)(a, b);
}
SIMD_INLINE vmask m_and(vmask a, vmask b)
{
    return SIMD_U(and)(a, b);
}
SIMD_INLINE vmask m_or(vmask a, vmask b)
{
    return SIMD_U(orr)(a, b);
}
SIMD_INLINE vmask m_not(vmask a)
{
    return SIMD_U(eor)(a, b_set(~(vreal_bits)0));
}
SIMD_INLINE bool m_any(vmask a)
{
    return vmaxvq_u32(SIMD_TO_U32(a)) != 0;
}
SIMD_INLINE vec v_select(vmask m, vec a, vec b)
{
    return SIMD_F(bsl)(m, a, b);
}
SIMD_INLINE vec v_min(vec a, vec b)
{
    return v_select(v_lt(a, b), a, b);
}
SIMD_INLINE vec v_max(vec a, vec b)
{
    return v_select(v_lt(b, a), a, b);
}

SIMD_INLINE vbits v_bits(vec a)
{
    return SIMD_TO_BITS(a);
}
SIMD_INLINE vec v_from_bits(vbits a)
{
    return SIMD_TO_FLOAT(a);
}
SIMD_INLINE vbits b_add(vbits a, vbits b)
{
    return SIMD_U(add)(a, b);
}
SIMD_INLINE vbits b_and(vbits a, vbits b)
{
    return SIMD_U(and)(a, b);
}
SIMD_INLINE vbits b_or(vbits a, vbits b)
{
    return SIMD_U(orr)(a, b);
}
SIMD_INLINE vbits b_xor(vbits a, vbits b)
{
    return SIMD_U(eor)(a, b);
}
SIMD_INLINE vbits b_shl(vbits a, int count)
{
    return SIMD_U(shl)(a, SIMD_COUNT(count));
}
SIMD_INLINE vbits b_shr(vbits a, int count)
{
    return SIMD_U(shl)(a, SIMD_COUNT(-count));
}

#define DL 2
typedef float64x2_t dvec;

SIMD_INLINE dvec d_set(double a)
{
    return vdupq_n_f64(a);
}
SIMD_INLINE dvec d_add(dvec a, dvec b)
{
    return vaddq_f64(a, b);
}
SIMD_INLINE dvec d_sub(dvec a, dvec b)
{
    return vsubq_f64(a, b);
}
SIMD_INLINE dvec d_fma(dvec a, dvec b, dvec c)
{
    return vfmaq_f64(c, a, b);
}
SIMD_INLINE dvec d_fnma(dvec a, dvec b, dvec c)
{
    return vfmsq_f64(c, a, b);
}
SIMD_INLINE dvec d_load(const double *p)
{
    return vld1q_f64(p);
}
SIMD_INLINE void d_store(double *p, dvec a)
{
    vst1q_f64(p, a);
}
#ifdef LEAT_SIMD_DOUBLE
SIMD_INLINE dvec d_load_real(const vreal *p)
{
    return vld1q_f64(p);
}
SIMD_INLINE void d_store_real(vreal *p, dvec a)
{
    vst1q_f64(p, a);
}
#else
SIMD_INLINE dvec d_load_real(const vreal *p)
{
    return vcvt_f64_f32(vld1_f32(p));
}
SIMD_INLINE void d_store_real(vreal *p, dvec a)
{
    vst1_f32(p, vcvt_f32_f64(a));
}
#endif
