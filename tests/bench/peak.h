/* The most that one core multiplies and adds: one tile whose operands stay in the first level cache, which keeps every
 * fma unit busy. */
#ifndef LEAT_BENCH_PEAK_H
#define LEAT_BENCH_PEAK_H

#include "../../tensor/kernels/gemm.h"
#include "common.h"

static inline double peak_gflops(bool smoke)
{
    static leat_real a[32 * 128], b[64 * 128], c[32 * 64];
    static const int64_t at = 0;
    const leat_gemm_kernel *kernel = leat_kernels_get()->gemm;
    leat_gemm_block g = { .m = kernel->rows,
                          .n = kernel->cols,
                          .k = 128,
                          .strip = kernel->rows,
                          .segments = 1,
                          .lines = 1,
                          .a_at = &at,
                          .b_at = &at,
                          .a_row = 128,
                          .a_col = 1,
                          .a_strip = kernel->rows * 128,
                          .b_row = kernel->cols,
                          .b_col = 1,
                          .panel = kernel->cols,
                          .ldc = kernel->cols,
                          .a = a,
                          .b = b,
                          .c = c };
    double best = 1e9;
    for (int round = 0; round < (smoke ? 50 : 500); round++) {
        double start = now();
        for (int i = 0; i < 100; i++)
            kernel->block(&g);
        double t = now() - start;
        best = t < best ? t : best;
    }
    return 2.0 * 100 * (double)(g.m * g.n * g.k) / best * 1e-9;
}

#endif
