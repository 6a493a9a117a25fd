/*
 * Private to tensor: copies B into panels for gemm_kernel.h, over the vectors of simd.h.
 *
 * A transposed B is turned in registers, a few columns of VL rows at a time. Where too few columns are left, they
 * overlap with those before, and rows that do not exist are read as copies of the last one: they land in lanes nobody
 * reads.
 */
#ifndef LEAT_GEMM_PACK_H
#define LEAT_GEMM_PACK_H

#include "simd.h"

/* VL rows: `step` apart, or, where they are not all there, by a list. */
typedef struct turn_rows {
    const vreal *first;
    int64_t step;
    const vreal *const *list;
} turn_rows;

SIMD_INLINE const vreal *turn_row(turn_rows r, int i)
{
    return r.list ? r.list[i] : r.first + i * r.step;
}

/* Columns at, at + 1, ... at + TURN - 1 of these rows: t[p] has column at + p of row i in lane i. A row gives 128
 * bits. */
#ifdef LEAT_SIMD_DOUBLE
#define TURN 2
#else
#define TURN 4
#endif
#if defined(LEAT_SIMD_AVX2) || defined(LEAT_SIMD_AVX512)
/* Every TURN-th row from `from` on, side by side. */
SIMD_INLINE vec turn_load(turn_rows r, int from, int64_t at)
{
#define UNIT(i) _mm_loadu_si128((const __m128i *)(const void *)(turn_row(r, from + (i)*TURN) + at))
#ifdef LEAT_SIMD_AVX512
    __m512i rows = _mm512_castsi128_si512(UNIT(0));
    rows = _mm512_inserti32x4(rows, UNIT(1), 1);
    rows = _mm512_inserti32x4(rows, UNIT(2), 2);
    return SIMD_TO_FLOAT(_mm512_inserti32x4(rows, UNIT(3), 3));
#else
    return SIMD_TO_FLOAT(_mm256_inserti128_si256(_mm256_castsi128_si256(UNIT(0)), UNIT(1), 1));
#endif
#undef UNIT
}

/* And back to rows that are `step` apart. */
SIMD_INLINE void turn_store(vreal *to, int64_t step, vec rows)
{
#define UNIT(i) (__m128i *)(void *)(to + (i)*TURN * step)
#ifdef LEAT_SIMD_AVX512
    _mm_storeu_si128(UNIT(0), _mm512_castsi512_si128(SIMD_TO_BITS(rows)));
    _mm_storeu_si128(UNIT(1), _mm512_extracti32x4_epi32(SIMD_TO_BITS(rows), 1));
    _mm_storeu_si128(UNIT(2), _mm512_extracti32x4_epi32(SIMD_TO_BITS(rows), 2));
    _mm_storeu_si128(UNIT(3), _mm512_extracti32x4_epi32(SIMD_TO_BITS(rows), 3));
#else
    _mm_storeu_si128(UNIT(0), _mm256_castsi256_si128(SIMD_TO_BITS(rows)));
    _mm_storeu_si128(UNIT(1), _mm256_extracti128_si256(SIMD_TO_BITS(rows), 1));
#endif
#undef UNIT
}

/* In each 128 bits, numbers that lie in rows come to lie in columns, or the other way round. */
SIMD_INLINE void turn_units(const vec *r, vec *t)
{
    vec low01 = SIMD_F(unpacklo)(r[0], r[1]), high01 = SIMD_F(unpackhi)(r[0], r[1]);
#ifdef LEAT_SIMD_DOUBLE
    t[0] = low01, t[1] = high01;
#else
    vec low23 = SIMD_F(unpacklo)(r[2], r[3]), high23 = SIMD_F(unpackhi)(r[2], r[3]);
    t[0] = SIMD_F(shuffle)(low01, low23, 0x44), t[1] = SIMD_F(shuffle)(low01, low23, 0xee);
    t[2] = SIMD_F(shuffle)(high01, high23, 0x44), t[3] = SIMD_F(shuffle)(high01, high23, 0xee);
#endif
}

SIMD_INLINE void turn(turn_rows r, int64_t at, vec *t)
{
    vec rows[TURN];
    for (int i = 0; i < TURN; i++)
        rows[i] = turn_load(r, i, at);
    turn_units(rows, t);
}

/* The way back: lane i of t[p] to column p of row i, of rows `step` apart. */
SIMD_INLINE void turn_back(const vec *t, vreal *to, int64_t step)
{
    vec rows[TURN];
    turn_units(t, rows);
    for (int i = 0; i < TURN; i++)
        turn_store(to + i * step, step, rows[i]);
}
#elif defined(LEAT_SIMD_NEON) && defined(LEAT_SIMD_DOUBLE)
SIMD_INLINE void turn(turn_rows r, int64_t at, vec *t)
{
    float64x2_t r0 = vld1q_f64(turn_row(r, 0) + at), r1 = vld1q_f64(turn_row(r, 1) + at);
    t[0] = vzip1q_f64(r0, r1), t[1] = vzip2q_f64(r0, r1);
}
#elif defined(LEAT_SIMD_NEON)
SIMD_INLINE void turn(turn_rows r, int64_t at, vec *t)
{
    float32x4_t r0 = vld1q_f32(turn_row(r, 0) + at), r1 = vld1q_f32(turn_row(r, 1) + at);
    float32x4_t r2 = vld1q_f32(turn_row(r, 2) + at), r3 = vld1q_f32(turn_row(r, 3) + at);
    float32x4_t even01 = vtrn1q_f32(r0, r1), odd01 = vtrn2q_f32(r0, r1); /* columns 0 and 2, 1 and 3 */
    float32x4_t even23 = vtrn1q_f32(r2, r3), odd23 = vtrn2q_f32(r2, r3);
    t[0] = vcombine_f32(vget_low_f32(even01), vget_low_f32(even23));
    t[1] = vcombine_f32(vget_low_f32(odd01), vget_low_f32(odd23));
    t[2] = vcombine_f32(vget_high_f32(even01), vget_high_f32(even23));
    t[3] = vcombine_f32(vget_high_f32(odd01), vget_high_f32(odd23));
}
#else
SIMD_INLINE void turn(turn_rows r, int64_t at, vec *t)
{
    for (int p = 0; p < TURN; p++) {
        vreal column[VL];
        for (int i = 0; i < VL; i++)
            column[i] = turn_row(r, i)[at + p];
        t[p] = v_load(column);
    }
}
#endif

#if !defined(LEAT_SIMD_AVX2) && !defined(LEAT_SIMD_AVX512)
SIMD_INLINE void turn_back(const vec *t, vreal *to, int64_t step)
{
    for (int p = 0; p < TURN; p++) {
        vreal column[VL];
        v_store(column, t[p]);
        for (int i = 0; i < VL; i++)
            to[i * step + p] = column[i];
    }
}
#endif

/* One column, where there are fewer than TURN. */
SIMD_INLINE vec turn_one(turn_rows r, int64_t at)
{
    vreal column[VL];
    for (int i = 0; i < VL; i++)
        column[i] = turn_row(r, i)[at];
    return v_load(column);
}

/* The first VL of the n rows at b; in place of those that are not there, the last one. */
SIMD_INLINE turn_rows turn_some(const leat_real *b, int64_t ldb, int64_t n, const vreal *list[VL])
{
    for (int64_t i = 0; i < VL; i++)
        list[i] = b + (i < n ? i : n - 1) * ldb;
    return (turn_rows){ .list = list };
}

#define PACK_COLUMN(q)                                                                                                 \
    if (q < TURN)                                                                                                      \
        v_store(out + (at + q) * panel, t[q]);

/* VL columns of a panel from the rows of the transposed matrix. */
SIMD_INLINE void pack_rows(turn_rows r, int64_t k, int64_t panel, leat_real *out)
{
    if (k < TURN) {
        for (int64_t p = 0; p < k; p++)
            v_store(out + p * panel, turn_one(r, p));
        return;
    }
#pragma GCC unroll 2
    for (int64_t p = 0; p < k; p += TURN) {
        int64_t at = p + TURN <= k ? p : k - TURN;
        vec t[4];
        turn(r, at, t);
        PACK_COLUMN(0)
        PACK_COLUMN(1)
        PACK_COLUMN(2)
        PACK_COLUMN(3)
    }
}

static void pack_strip(const leat_real *b, int64_t ldb, int64_t k, int64_t n, int64_t panel, leat_real *out)
{
    const vreal *list[VL];
    if (n >= VL)
        pack_rows((turn_rows){ b, ldb, NULL }, k, panel, out);
    else
        pack_rows(turn_some(b, ldb, n, list), k, panel, out);
}

static void gemm_pack_transposed(const leat_real *b, int64_t ldb, int64_t k, int64_t n, int64_t panel, leat_real *out)
{
    for (int64_t j = 0; j < n; j += VL)
        pack_strip(b + j * ldb, ldb, k, n - j, panel, out + j / panel * panel * k + j % panel);
}

enum { PACK_COLUMNS = 128, PACK_AHEAD = 8 };

/* One row of B, n numbers, into as many panels as they fill, which are `step` apart. `spill`: what lies behind a row of
 * a panel is written later. */
SIMD_INLINE void pack_row(const leat_real *from, int64_t n, int64_t panel, int64_t step, bool spill, leat_real *to)
{
    for (; n > 0; n -= panel, from += panel, to += step) {
        int64_t width = n < panel ? n : panel, j = 0;
        for (; j + VL <= width; j += VL)
            v_store(to + j, v_load(from + j));
        if (j < width && spill && j + VL <= n)
            v_store(to + j, v_load(from + j));
        else if (j < width)
            v_store_part(to + j, v_load_part(from + j, width - j), width - j);
    }
}

/* Several panels at a time, so that what is read of a row is long, and asked for some rows ahead: rows lie in pages of
 * their own, which the processor does not foresee. */
static void gemm_pack(const leat_real *b, int64_t ldb, int64_t k, int64_t n, int64_t panel, leat_real *out)
{
    const int64_t most = panel < PACK_COLUMNS ? PACK_COLUMNS / panel * panel : panel;
    for (int64_t first = 0; first < n; first += most, out += most * k) {
        int64_t width = n - first < most ? n - first : most;
        for (int64_t p = 0; p < k; p++) {
            const leat_real *from = b + p * ldb + first;
            for (int64_t j = 0; j < width && p + PACK_AHEAD < k; j += 64 / (int64_t)sizeof *b)
                __builtin_prefetch(from + PACK_AHEAD * ldb + j);
            pack_row(from, width, panel, panel * k, p + 1 < k, out + p * panel);
        }
    }
}

#endif
