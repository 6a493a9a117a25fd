/*
 * Private to simd.h: what AVX2 and AVX-512 write alike, by the macros SIMD_F, SIMD_I, SIMD_TO_BITS and SIMD_TO_FLOAT.
 */
SIMD_INLINE vec v_load(const vreal *p)
{
    return SIMD_F(loadu)(p);
}
SIMD_INLINE void v_store(vreal *p, vec a)
{
    SIMD_F(storeu)(p, a);
}
SIMD_INLINE vec v_set(vreal a)
{
    return SIMD_F(set1)(a);
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
    return SIMD_F(fmadd)(a, b, c);
}
SIMD_INLINE vec v_fnma(vec a, vec b, vec c)
{
    return SIMD_F(fnmadd)(a, b, c);
}
SIMD_INLINE vec v_min(vec a, vec b)
{
    return SIMD_F(min)(a, b);
}
SIMD_INLINE vec v_max(vec a, vec b)
{
    return SIMD_F(max)(a, b);
}
SIMD_INLINE vec v_sqrt(vec a)
{
    return SIMD_F(sqrt)(a);
}
SIMD_INLINE vbits v_bits(vec a)
{
    return SIMD_TO_BITS(a);
}
SIMD_INLINE vec v_from_bits(vbits a)
{
    return SIMD_TO_FLOAT(a);
}
SIMD_INLINE vbits b_set(vreal_bits a)
{
    return simd_set_bits(a);
}
SIMD_INLINE vbits b_add(vbits a, vbits b)
{
    return SIMD_I(add)(a, b);
}
