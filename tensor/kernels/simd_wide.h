/*
 * Private to simd.h: a set as wide as AVX-512, 16 floats or 8 doubles, of plain arrays and loops. It is for tests: what
 * such a width does at the ends of rows and of tiles is then seen on every machine. Its functions are not inlined: as so
 * many scalars they would keep the compiler busy for minutes.
 */
#define LEAT_SIMD_NAME "wide"

#ifdef LEAT_SIMD_DOUBLE
#define VL         8
#define SIMD_F(op) op
#else
#define VL         16
#define SIMD_F(op) op##f
#endif
#define DL         8
#define SIMD_APART static __attribute__((noinline, unused))

typedef struct vec {
    vreal lane[VL];
} vec;
typedef struct vmask {
    bool lane[VL];
} vmask;
typedef struct vbits {
    vreal_bits lane[VL];
} vbits;
typedef struct dvec {
    double lane[DL];
} dvec;

/* A function whose result has `value` in each lane i. */
#define SIMD_LANES(type, name, parameters, value)                                                                      \
    SIMD_APART type name parameters                                                                                    \
    {                                                                                                                  \
        type y;                                                                                                        \
        for (int i = 0; i < (int)(sizeof y.lane / sizeof y.lane[0]); i++)                                              \
            y.lane[i] = value;                                                                                         \
        return y;                                                                                                      \
    }

SIMD_LANES(vec, v_load, (const vreal *p), p[i])
SIMD_LANES(vec, v_load_part, (const vreal *p, int64_t n), i < n ? p[i] : 0)
SIMD_LANES(vec, v_set, (vreal a), a)
SIMD_LANES(vec, v_add, (vec a, vec b), a.lane[i] + b.lane[i])
SIMD_LANES(vec, v_sub, (vec a, vec b), a.lane[i] - b.lane[i])
SIMD_LANES(vec, v_mul, (vec a, vec b), a.lane[i] * b.lane[i])
SIMD_LANES(vec, v_div, (vec a, vec b), a.lane[i] / b.lane[i])
SIMD_LANES(vec, v_fma, (vec a, vec b, vec c), SIMD_F(fma)(a.lane[i], b.lane[i], c.lane[i]))
SIMD_LANES(vec, v_fnma, (vec a, vec b, vec c), SIMD_F(fma)(-a.lane[i], b.lane[i], c.lane[i]))
SIMD_LANES(vec, v_min, (vec a, vec b), a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i])
SIMD_LANES(vec, v_max, (vec a, vec b), a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i])
SIMD_LANES(vec, v_sqrt, (vec a), SIMD_F(sqrt)(a.lane[i]))
SIMD_LANES(vec, v_rint, (vec a), SIMD_F(rint)(a.lane[i]))
SIMD_LANES(vec, v_select, (vmask m, vec a, vec b), m.lane[i] ? a.lane[i] : b.lane[i])

SIMD_LANES(vmask, v_lt, (vec a, vec b), a.lane[i] < b.lane[i])
SIMD_LANES(vmask, v_le, (vec a, vec b), a.lane[i] <= b.lane[i])
SIMD_LANES(vmask, v_eq, (vec a, vec b), a.lane[i] == b.lane[i])
SIMD_LANES(vmask, m_and, (vmask a, vmask b), a.lane[i] & b.lane[i])
SIMD_LANES(vmask, m_or, (vmask a, vmask b), a.lane[i] | b.lane[i])
SIMD_LANES(vmask, m_not, (vmask a), !a.lane[i])

SIMD_LANES(vbits, b_set, (vreal_bits a), a)
SIMD_LANES(vbits, b_add, (vbits a, vbits b), a.lane[i] + b.lane[i])
SIMD_LANES(vbits, b_and, (vbits a, vbits b), a.lane[i] & b.lane[i])
SIMD_LANES(vbits, b_or, (vbits a, vbits b), a.lane[i] | b.lane[i])
SIMD_LANES(vbits, b_xor, (vbits a, vbits b), a.lane[i] ^ b.lane[i])
SIMD_LANES(vbits, b_shl, (vbits a, int count), a.lane[i] << count)
SIMD_LANES(vbits, b_shr, (vbits a, int count), a.lane[i] >> count)

SIMD_LANES(dvec, d_set, (double a), a)
SIMD_LANES(dvec, d_add, (dvec a, dvec b), a.lane[i] + b.lane[i])
SIMD_LANES(dvec, d_sub, (dvec a, dvec b), a.lane[i] - b.lane[i])
SIMD_LANES(dvec, d_fma, (dvec a, dvec b, dvec c), fma(a.lane[i], b.lane[i], c.lane[i]))
SIMD_LANES(dvec, d_fnma, (dvec a, dvec b, dvec c), fma(-a.lane[i], b.lane[i], c.lane[i]))
SIMD_LANES(dvec, d_load, (const double *p), p[i])
SIMD_LANES(dvec, d_load_real, (const vreal *p), (double)p[i])

SIMD_APART void v_store_part(vreal *p, vec a, int64_t n)
{
    for (int i = 0; i < VL && i < n; i++)
        p[i] = a.lane[i];
}
SIMD_APART void v_store(vreal *p, vec a)
{
    v_store_part(p, a, VL);
}
SIMD_APART void d_store(double *p, dvec a)
{
    memcpy(p, a.lane, sizeof a.lane);
}
SIMD_APART void d_store_real(vreal *p, dvec a)
{
    for (int i = 0; i < DL; i++)
        p[i] = (vreal)a.lane[i];
}
SIMD_APART bool m_any(vmask a)
{
    for (int i = 0; i < VL; i++)
        if (a.lane[i])
            return true;
    return false;
}
SIMD_APART vbits v_bits(vec a)
{
    vbits y;
    memcpy(&y, &a, sizeof y);
    return y;
}
SIMD_APART vec v_from_bits(vbits a)
{
    vec y;
    memcpy(&y, &a, sizeof y);
    return y;
}
