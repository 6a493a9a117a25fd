/*
 * Matrix products against the peak of the machine: GFLOP/s for each shape, for one thread and for more.
 *
 *     bench_gemm [--smoke] [--threads N]        --smoke: one short round of each, to see that it runs
 *
 * The peak is that of one tile whose operands stay in the first level cache, which keeps every fma unit busy. Times are
 * the least of many rounds.
 */
#include "../../tensor/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct shape {
    int64_t m, n, k;
    bool trans_a, trans_b;
    const char *what;
} shape;

static const shape shapes[] = {
    { 256, 128, 128, false, true, "linear forward" },
    { 256, 128, 128, false, false, "linear dX" },
    { 128, 128, 256, true, false, "linear dW" },
    { 256, 64, 64, false, true, "forward, 64" },
    { 256, 128, 1, false, true, "forward, 1 to 128" },
    { 256, 128, 2, false, true, "forward, 2 to 128" },
    { 256, 1, 128, false, true, "forward, 128 to 1" },
    { 256, 2, 128, false, true, "forward, 128 to 2" },
    { 256, 128, 1, false, false, "dX, 1 from 128" },
    { 256, 1, 128, false, false, "dX, 128 from 1" },
    { 1, 128, 256, true, false, "dW, 128 to 1" },
    { 2, 128, 256, true, false, "dW, 128 to 2" },
    { 128, 1, 256, true, false, "dW, 1 to 128" },
    { 128, 2, 256, true, false, "dW, 2 to 128" },
    { 1, 128, 256, false, false, "bias gradient" },
    { 1, 128, 128, false, true, "forward, one row" },
    { 256, 10, 128, false, true, "forward, 128 to 10" },
    { 200, 1000, 784, false, true, "forward, 784 to 1000" },
    { 200, 1000, 1000, false, true, "forward, 1000" },
    { 200, 1000, 1000, false, false, "dX, 1000" },
    { 1000, 1000, 200, true, false, "dW, 1000" },
    { 1024, 1024, 1024, false, false, "square" },
    { 1024, 1024, 1024, false, true, "square, B transposed" },
    { 1024, 1024, 1024, true, false, "square, A transposed" },
    { 8192, 64, 576, false, true, "3x3 convolution" },
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak(const leat_gemm_kernel *kernel)
{
    static leat_real a[32 * 256], b[64 * 256], c[32 * 64];
    leat_gemm_block g = { .m = kernel->rows,
                          .n = kernel->cols,
                          .k = 256,
                          .a_row = 256,
                          .a_col = 1,
                          .a_strip = kernel->rows * 256,
                          .b_row = kernel->cols,
                          .panel = kernel->cols,
                          .ldc = kernel->cols,
                          .a = a,
                          .b = b,
                          .c = c };
    double best = 1e9;
    for (int round = 0; round < 500; round++) {
        double start = now();
        for (int i = 0; i < 100; i++)
            kernel->block(&g);
        double t = now() - start;
        best = t < best ? t : best;
    }
    return 2.0 * 100 * (double)(g.m * g.n * g.k) / best * 1e-9;
}

static bool smoke;

static double measure(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g)
{
    double flops = 2.0 * (double)g->m * (double)g->n * (double)g->k, best = 1e9, total = 0;
    int calls = smoke ? 1 : (int)(2e7 / flops) + 1;
    if (calls > 200)
        calls = 200;
    for (int round = 0; round < (smoke ? 1 : 30) || (!smoke && total < 0.1 && round < 3000); round++) {
        double start = now();
        for (int i = 0; i < calls; i++)
            leat_gemm(pool, scratch, g);
        double t = (now() - start) / calls;
        total += t * calls;
        best = t < best ? t : best;
    }
    return best;
}

static leat_real *numbers(int64_t n)
{
    leat_real *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = (leat_real)((double)((i * 7919) % 1009) / 1009 - 0.5);
    return x;
}

int main(int argc, char **argv)
{
    int threads = leat_available_threads();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0)
            smoke = true;
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = atoi(argv[++i]);
    }
    leat_pool *pools[2] = { leat_pool_new(1, NULL), leat_pool_new(threads, NULL) };
    leat_real *a = numbers(8192 * 1024), *b = numbers(1024 * 1024), *c = numbers(8192 * 1024), *bias = numbers(1024);
    leat_arena scratch;
    leat_arena_init(&scratch, NULL);
    if (!pools[0] || !pools[1] || !a || !b || !c || !bias)
        return 1;
    double top = peak(leat_kernels_get()->gemm);
    printf("%s, %d-byte numbers, peak of one core %.1f GFLOP/s\n\n", leat_kernels_get()->isa, (int)sizeof(leat_real),
           top);
    printf("%-22s %16s    1 thread%*s %d threads\n", "", "m x n x k", 14, "", threads);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const shape *s = &shapes[i];
        leat_gemm_args g = { .trans_a = s->trans_a,
                             .trans_b = s->trans_b,
                             .m = s->m,
                             .n = s->n,
                             .k = s->k,
                             .lda = s->trans_a ? s->m : s->k,
                             .ldb = s->trans_b ? s->k : s->n,
                             .ldc = s->n,
                             .a = a,
                             .b = b,
                             .c = c };
        printf("%-22s %5d x %4d x %4d", s->what, (int)s->m, (int)s->n, (int)s->k);
        for (int p = 0; p < 2; p++) {
            double t = measure(pools[p], &scratch, &g);
            double rate = 2e-9 * (double)s->m * (double)s->n * (double)s->k / t;
            printf("  %8.2f us %6.1f %4.0f %%", 1e6 * t, rate, 100 * rate / (top * (p == 0 ? 1 : threads)));
        }
        printf("\n");
    }
    leat_arena_free(&scratch);
    leat_pool_free(pools[0]);
    leat_pool_free(pools[1]);
    free(a), free(b), free(c), free(bias);
    return 0;
}
