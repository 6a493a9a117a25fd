/*
 * Private to tensor: copies B into panels for gemm_kernel.h, over the vectors of simd.h.
 *
 * A transposed B goes through squares of VL x VL numbers that are turned in registers. Where B has no whole square
 * left, squares overlap, and rows that do not exist are read as copies of the last one: they land in columns nobody
 * reads.
 */
#ifndef LEAT_GEMM_PACK_H
#define LEAT_GEMM_PACK_H

#include "simd.h"

/* out[p * ld_out + i] = row[i][at + p] for i, p < SQUARE: turned in registers of 256 bits where there are any. */
#if (defined(LEAT_SIMD_AVX2) || defined(LEAT_SIMD_AVX512)) && defined(LEAT_SIMD_DOUBLE)
#define SQUARE 4
static inline __m256d pack_halves(const double *low, const double *high)
{
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(low)), _mm_loadu_pd(high), 1);
}

static inline void pack_square(const double *const *row, int64_t at, double *out, int64_t ld_out)
{
#pragma GCC unroll 2
    for (int p = 0; p < SQUARE; p += 2) {
        __m256d r0 = pack_halves(row[0] + at + p, row[2] + at + p), r1 = pack_halves(row[1] + at + p, row[3] + at + p);
        _mm256_storeu_pd(out + p * ld_out, _mm256_unpacklo_pd(r0, r1));
        _mm256_storeu_pd(out + (p + 1) * ld_out, _mm256_unpackhi_pd(r0, r1));
    }
}
#elif defined(LEAT_SIMD_AVX2) || defined(LEAT_SIMD_AVX512)
#define SQUARE 8
static inline __m256 pack_halves(const float *low, const float *high)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
}

static inline void pack_square(const float *const *row, int64_t at, float *out, int64_t ld_out)
{
#pragma GCC unroll 2
    for (int p = 0; p < SQUARE; p += 4) {
        __m256 r0 = pack_halves(row[0] + at + p, row[4] + at + p), r1 = pack_halves(row[1] + at + p, row[5] + at + p);
        __m256 r2 = pack_halves(row[2] + at + p, row[6] + at + p), r3 = pack_halves(row[3] + at + p, row[7] + at + p);
        __m256 low01 = _mm256_unpacklo_ps(r0, r1), high01 = _mm256_unpackhi_ps(r0, r1);
        __m256 low23 = _mm256_unpacklo_ps(r2, r3), high23 = _mm256_unpackhi_ps(r2, r3);
        _mm256_storeu_ps(out + p * ld_out, _mm256_shuffle_ps(low01, low23, 0x44));
        _mm256_storeu_ps(out + (p + 1) * ld_out, _mm256_shuffle_ps(low01, low23, 0xee));
        _mm256_storeu_ps(out + (p + 2) * ld_out, _mm256_shuffle_ps(high01, high23, 0x44));
        _mm256_storeu_ps(out + (p + 3) * ld_out, _mm256_shuffle_ps(high01, high23, 0xee));
    }
}
#elif defined(LEAT_SIMD_NEON) && defined(LEAT_SIMD_DOUBLE)
#define SQUARE 2
static inline void pack_square(const double *const *row, int64_t at, double *out, int64_t ld_out)
{
    float64x2_t r0 = vld1q_f64(row[0] + at), r1 = vld1q_f64(row[1] + at);
    vst1q_f64(out, vzip1q_f64(r0, r1));
    vst1q_f64(out + ld_out, vzip2q_f64(r0, r1));
}
#elif defined(LEAT_SIMD_NEON)
#define SQUARE 4
static inline void pack_square(const float *const *row, int64_t at, float *out, int64_t ld_out)
{
    float32x4_t r0 = vld1q_f32(row[0] + at), r1 = vld1q_f32(row[1] + at);
    float32x4_t r2 = vld1q_f32(row[2] + at), r3 = vld1q_f32(row[3] + at);
    float32x4_t even01 = vtrn1q_f32(r0, r1), odd01 = vtrn2q_f32(r0, r1); /* columns 0 and 2, 1 and 3 */
    float32x4_t even23 = vtrn1q_f32(r2, r3), odd23 = vtrn2q_f32(r2, r3);
    vst1q_f32(out, vcombine_f32(vget_low_f32(even01), vget_low_f32(even23)));
    vst1q_f32(out + ld_out, vcombine_f32(vget_low_f32(odd01), vget_low_f32(odd23)));
    vst1q_f32(out + 2 * ld_out, vcombine_f32(vget_high_f32(even01), vget_high_f32(even23)));
    vst1q_f32(out + 3 * ld_out, vcombine_f32(vget_high_f32(odd01), vget_high_f32(odd23)));
}
#else
#define SQUARE (VL < 8 ? VL : VL / 2) /* half a wide vector, as on AVX-512 */
static inline void pack_square(const vreal *const *row, int64_t at, vreal *out, int64_t ld_out)
{
    for (int p = 0; p < SQUARE; p++)
        for (int i = 0; i < SQUARE; i++)
            out[p * ld_out + i] = row[i][at + p];
}
#endif

/* The same for i, p < VL. */
static inline void pack_turned(const vreal *const *row, int64_t at, vreal *out, int64_t ld_out)
{
    for (int p = 0; p < VL; p += SQUARE)
        for (int i = 0; i < VL; i += SQUARE)
            pack_square(row + i, at + p, out + p * ld_out + i, ld_out);
}

/* VL columns of a panel from `n` rows of the transposed matrix. */
static void pack_strip(const leat_real *b, int64_t ldb, int64_t k, int64_t n, int64_t panel, leat_real *out)
{
    const leat_real *row[VL];
    for (int64_t i = 0; i < VL; i++)
        row[i] = b + (i < n ? i : n - 1) * ldb;
    if (k < VL) {
        for (int64_t p = 0; p < k; p++)
            for (int i = 0; i < VL; i++)
                out[p * panel + i] = row[i][p];
        return;
    }
    for (int64_t p = 0; p < k; p += VL) {
        int64_t at = p + VL <= k ? p : k - VL;
        pack_turned(row, at, out + at * panel, panel);
    }
}

static void gemm_pack_transposed(const leat_real *b, int64_t ldb, int64_t k, int64_t n, int64_t panel, leat_real *out)
{
    for (int64_t j = 0; j < n; j += VL)
        pack_strip(b + j * ldb, ldb, k, n - j, panel, out + j / panel * panel * k + j % panel);
}

static void gemm_pack(const leat_real *b, int64_t ldb, int64_t k, int64_t n, int64_t panel, leat_real *out)
{
    for (int64_t first = 0; first < n; first += panel, out += panel * k) {
        int64_t width = n - first < panel ? n - first : panel;
        for (int64_t p = 0; p < k; p++) {
            const leat_real *from = b + p * ldb + first;
            leat_real *to = out + p * panel;
            int64_t j = 0;
            for (; j + VL <= width; j += VL)
                v_store(to + j, v_load(from + j));
            if (j < width)
                v_store(to + j, v_load_part(from + j, width - j));
        }
    }
}

#endif
