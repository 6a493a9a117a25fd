/*
 * Matrix products against a triple loop in the promised order, bit for bit: every kernel table, several pool sizes,
 * every way to cut and to turn the work. Gaps between rows hold NaN in the inputs and must keep their bits in the
 * output.
 */
#include "../../tensor/kernels/gemm.h"
#include "numbers.h"

#include <math.h>
#include <stdio.h>

typedef struct product_case {
    int64_t m, n, k;
    int64_t gap_a, gap_b, gap_c; /* how much longer than needed the rows are */
    bool trans_a, trans_b, accumulate, bias;
    leat_activation activation;
} product_case;

TestSuite(gemm, .init = set_up, .fini = tear_down);

static size_t count_of(int64_t rows, int64_t cols, int64_t stride)
{
    return rows > 0 && cols > 0 ? (size_t)((rows - 1) * stride + cols) : 0;
}

/* A matrix with NaN in its gaps; the last row has no gap. */
static leat_real *matrix(int64_t rows, int64_t cols, int64_t stride)
{
    size_t count = count_of(rows, cols, stride);
    leat_real *x = guarded(count);
    for (size_t i = 0; i < count; i++)
        x[i] = (int64_t)i % stride < cols ? number() : (leat_real)NAN;
    return x;
}

static void naive(const leat_gemm_args *g)
{
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            leat_real sum = g->accumulate ? g->c[i * g->ldc + j] : 0;
            for (int64_t p = 0; p < g->k; p++) {
                leat_real a = g->a[g->trans_a ? p * g->lda + i : i * g->lda + p];
                leat_real b = g->b[g->trans_b ? j * g->ldb + p : p * g->ldb + j];
#ifdef LEAT_DOUBLE
                sum = fma(a, b, sum);
#else
                sum = fmaf(a, b, sum);
#endif
            }
            if (g->bias)
                sum = sum + g->bias[j];
            g->c[i * g->ldc + j] = sum;
        }
    static const int op[] = { -1, LEAT_UNARY_relu, LEAT_UNARY_tanh, LEAT_UNARY_sigmoid, LEAT_UNARY_softplus };
    for (int64_t i = 0; g->activation != LEAT_IDENTITY && i < g->m * g->n; i++) {
        leat_real *c = g->c + i / g->n * g->ldc + i % g->n;
        leat_kernels_all()[0]->unary[op[g->activation]].forward(c, c, 1, (leat_constants){ 0 });
    }
}

static const char *describe(const product_case *t, const char *isa, int threads)
{
    static char text[200];
    snprintf(text, sizeof text, "[%d,%d] from %d%s%s%s%s act %d gaps %d %d %d, %s, %d threads", (int)t->m, (int)t->n,
             (int)t->k, t->trans_a ? " A^T" : "", t->trans_b ? " B^T" : "", t->accumulate ? " +=" : "",
             t->bias ? " bias" : "", (int)t->activation, (int)t->gap_a, (int)t->gap_b, (int)t->gap_c, isa, threads);
    return text;
}

static void check(const product_case *t)
{
    leat_gemm_args g = { .trans_a = t->trans_a,
                         .trans_b = t->trans_b,
                         .accumulate = t->accumulate,
                         .activation = t->activation,
                         .m = t->m,
                         .n = t->n,
                         .k = t->k };
    int64_t a_cols = t->trans_a ? t->m : t->k, b_cols = t->trans_b ? t->k : t->n;
    g.lda = a_cols + t->gap_a, g.ldb = b_cols + t->gap_b, g.ldc = t->n + t->gap_c;
    int64_t a_rows = t->trans_a ? t->k : t->m, b_rows = t->trans_b ? t->n : t->k;
    leat_real *a = matrix(a_rows, a_cols, g.lda), *b = matrix(b_rows, b_cols, g.ldb), *bias = matrix(1, t->n, t->n + 1);
    leat_real *before = matrix(t->m, t->n, g.ldc);
    size_t count = count_of(t->m, t->n, g.ldc), bytes = count * sizeof *a;
    leat_real *c = guarded(count), *expected = guarded(count);
    memcpy(expected, before, bytes);
    g.a = a, g.b = b, g.bias = t->bias ? bias : NULL, g.c = expected;
    naive(&g);

    g.c = c;
    for (const leat_kernels *const *kernels = leat_kernels_all(); *kernels; kernels++)
        for (int i = 0; i < POOLS; i++) {
            memcpy(c, before, bytes);
            cr_assert_eq(leat_gemm_with(*kernels, pools[i], &scratch, &g), LEAT_OK);
            cr_assert(memcmp(c, expected, bytes) == 0, "%s", describe(t, (*kernels)->isa, pool_sizes[i]));
            cr_assert_eq(scratch.in_use, 0);
        }
    release(a, count_of(a_rows, a_cols, g.lda)), release(b, count_of(b_rows, b_cols, g.ldb));
    release(bias, (size_t)t->n), release(before, count), release(expected, count), release(c, count);
}

/* The same sizes with every transpose, in four manners: plain, accumulating, with bias and relu, with bias and tanh. */
static void check_manners(int64_t m, int64_t n, int64_t k, int64_t gap)
{
    for (int bit = 0; bit < 16; bit++) {
        int manner = bit / 4;
        check(&(product_case){ m, n, k, gap, gap, gap, bit & 1, bit & 2, manner == 1, manner >= 2,
                               manner == 2   ? LEAT_RELU
                               : manner == 3 ? LEAT_TANH
                                             : LEAT_IDENTITY });
    }
}

Test(gemm, small_sizes)
{
    static const int sizes[] = { 0, 1, 2, 3, 5, 6, 7 };
    for (int i = 0; i < 7 * 7 * 7; i++)
        check_manners(sizes[i % 7], sizes[i / 7 % 7], sizes[i / 49], i % 3);
}

Test(gemm, sampled_sizes)
{
    static const int sizes[] = { 0, 1, 2, 3, 5, 6, 7, 15, 16, 17, 31, 33, 64, 100, 129, 260 };
    for (int i = 0; i < 700;) {
        product_case t = { .m = sizes[bits() % 16], .n = sizes[bits() % 16], .k = sizes[bits() % 16] };
        t.gap_a = (int64_t)bits() % 4, t.gap_b = (int64_t)bits() % 4, t.gap_c = (int64_t)bits() % 4;
        t.trans_a = bits() % 2, t.trans_b = bits() % 2, t.accumulate = bits() % 4 == 0;
        if (!t.accumulate) {
            t.bias = bits() % 2;
            t.activation = (leat_activation)(bits() % 5);
        }
        if (t.m * t.n * t.k > 600000)
            continue;
        check(&t);
        i++;
    }
}

/* Every number of columns around the tiles, with few and with many rows, and the other way round. */
Test(gemm, tile_edges)
{
    for (int64_t size = 1; size <= 67; size++)
        for (int trans = 0; trans < 4; trans++) {
            check(&(product_case){ 8, size, 9, 0, 1, 1, trans & 1, trans & 2, false, true, LEAT_RELU });
            check(&(product_case){ size, 8, 9, 0, 1, 1, trans & 1, trans & 2, false, true, LEAT_RELU });
            check(&(product_case){ 1, size, 9, 0, 1, 1, trans & 1, trans & 2, false, true, LEAT_RELU });
            check(&(product_case){ 2, size, 9, 0, 1, 1, trans & 1, trans & 2, true, false, LEAT_IDENTITY });
            check(&(product_case){ 30, size, 9, 0, 1, 1, trans & 1, trans & 2, true, false, LEAT_IDENTITY });
        }
}

/* One or a few columns, or rows, or a short k: the shapes that are computed in a turned or unpacked way. */
Test(gemm, thin_shapes)
{
    static const int thin[] = { 1, 2, 3, 4, 7 };
    for (int i = 0; i < 5; i++)
        for (int gap = 0; gap < 2; gap++) {
            check_manners(131, thin[i], 70, gap);
            check_manners(thin[i], 131, 70, gap);
            check_manners(67, 35, thin[i], gap);
            check_manners(300, thin[i], thin[4 - i], gap);
        }
}

/* Sums over more than one block of k go through C in memory. */
Test(gemm, long_sums)
{
    static const int depths[] = { 255, 256, 257, 512, 513, 800 };
    for (int i = 0; i < 6; i++) {
        check_manners(13, 18, depths[i], i % 2);
        check_manners(40, 1, depths[i], i % 2);
    }
}

/* More rows and columns than one block, and enough work for eight threads. */
Test(gemm, large_shapes)
{
    check(&(product_case){ 256, 128, 128, .trans_b = true, .bias = true, .activation = LEAT_RELU });
    check(&(product_case){ 256, 128, 128, .activation = LEAT_RELU });
    check(&(product_case){ 128, 128, 256, .trans_a = true, .accumulate = true });
    check(&(product_case){ 300, 1100, 20, .trans_b = true, .bias = true, .activation = LEAT_SIGMOID });
    check(&(product_case){ 150, 300, 300, .trans_a = true, .gap_a = 3, .gap_c = 1 });
    check(&(product_case){ 3000, 3, 90, .bias = true, .activation = LEAT_SOFTPLUS });
    check(&(product_case){ 5, 3000, 90, .trans_b = true, .bias = true, .activation = LEAT_TANH });
    check(&(product_case){ 16, 7, 20000, .trans_a = true, .bias = true, .activation = LEAT_RELU });
    check(&(product_case){ 260, 260, 129, 1, 2, 3, true, true, false, true, LEAT_RELU });
    check(&(product_case){ 700, 33, 257, 1, 2, 3, false, false, true, false, LEAT_IDENTITY });
}

Test(gemm, empty_operands_are_not_touched)
{
    leat_real c[6] = { 1, 2, 3, 4, 5, 6 }, bias[3] = { -1, 0, 7 };
    leat_gemm_args g = { .m = 2, .n = 3, .ldc = 3, .c = c, .accumulate = true };
    cr_assert_eq(leat_gemm(NULL, &scratch, &g), LEAT_OK);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(c[i], (leat_real)(i + 1));
    g.accumulate = false, g.bias = bias, g.activation = LEAT_RELU;
    cr_assert_eq(leat_gemm(NULL, &scratch, &g), LEAT_OK);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(c[i], i % 3 == 2 ? 7 : 0);
    cr_assert_eq(leat_gemm(NULL, &scratch, &(leat_gemm_args){ .n = 3, .k = 4 }), LEAT_OK);
    cr_assert_eq(leat_gemm(NULL, &scratch, &(leat_gemm_args){ .m = 3, .k = 4 }), LEAT_OK);
}

/* A NaN reaches every output that depends on it, through relu too, and no other. */
Test(gemm, nan_stays_in_its_row)
{
    enum { M = 40, N = 21, K = 30 };
    static leat_real a[M * K], b[K * N], c[M * N];
    for (int i = 0; i < M * K; i++)
        a[i] = i == 17 * K + 4 ? (leat_real)NAN : 1;
    for (int i = 0; i < K * N; i++)
        b[i] = 1;
    for (const leat_kernels *const *kernels = leat_kernels_all(); *kernels; kernels++) {
        leat_gemm_args g = {
            .activation = LEAT_RELU, .m = M, .n = N, .k = K, .lda = K, .ldb = N, .ldc = N, .a = a, .b = b, .c = c
        };
        leat_gemm_with(*kernels, NULL, &scratch, &g);
        for (int i = 0; i < M * N; i++)
            cr_assert(i / N == 17 ? isnan(c[i]) : c[i] == K);
    }
}

/* The products of a batch, factors in any order and several times, against one after the other. */
static void check_batch(int64_t m, int64_t n, int64_t k, bool trans_a, bool trans_b, bool accumulate, int64_t count)
{
    enum { ROOM = 40000 };
    static leat_real a[ROOM], b[ROOM], start[3 * ROOM], want[3 * ROOM], got[3 * ROOM];
    int64_t a_at[50], b_at[50], size = count * m * n;
    cr_assert(m * k <= ROOM / 4 && k * n <= ROOM / 4 && size <= 3 * ROOM && count <= 50);
    for (int i = 0; i < ROOM; i++)
        a[i] = number(), b[i] = number();
    for (int64_t i = 0; i < 3 * ROOM; i++)
        start[i] = number();
    for (int i = 0; i < count; i++)
        a_at[i] = i * 3 % 4 * m * k, b_at[i] = i / 2 % 4 * k * n;
    leat_gemm_args g = { .trans_a = trans_a, .trans_b = trans_b, .accumulate = accumulate, .m = m, .n = n, .k = k };
    g.lda = trans_a ? m : k, g.ldb = trans_b ? k : n, g.ldc = n;
    memcpy(want, start, sizeof want);
    for (int i = 0; i < count; i++) {
        g.a = a + a_at[i], g.b = b + b_at[i], g.c = want + i * m * n;
        cr_assert_eq(leat_gemm(NULL, &scratch, &g), LEAT_OK);
    }
    g.a = a, g.b = b, g.c = got;
    for (int i = 0; i < POOLS; i++) {
        memcpy(got, start, sizeof got);
        cr_assert_eq(leat_gemm_batch(pools[i], &scratch, &g, count, a_at, b_at), LEAT_OK);
        cr_assert_eq(memcmp(got, want, sizeof got), 0, "%d products, %d %d %d, %d threads", (int)count, (int)m, (int)n,
                     (int)k, pool_sizes[i]);
        cr_assert_eq(scratch.in_use, 0);
    }
}

Test(gemm, batches)
{
    static const int64_t sizes[][4] = { { 3, 2, 5, 7 },     { 1, 1, 1, 50 },   { 40, 40, 30, 50 },
                                        { 90, 100, 90, 3 }, { 90, 2, 100, 5 }, { 90, 90, 90, 1 },
                                        { 4, 5, 0, 6 },     { 5, 4, 3, 0 },    { 0, 4, 3, 2 } };
    for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++)
        for (int flags = 0; flags < 8; flags++)
            check_batch(sizes[i][0], sizes[i][1], sizes[i][2], flags & 1, flags & 2, flags & 4, sizes[i][3]);
}

/* Products of all kinds at once, empty ones among them, against one after the other. */
Test(gemm, several)
{
    enum { SIDE = 300, ROOM = SIDE * SIDE, MOST = 9 };
    static const int64_t sizes[MOST][3] = { { 256, 128, 128 }, { 128, 100, 256 }, { 1, 128, 256 },
                                            { 0, 5, 5 },       { 256, 1, 128 },   { 300, 300, 40 },
                                            { 7, 5, 0 },       { 3, 2, 1 },       { 40, 300, 300 } };
    static leat_real a[ROOM], b[ROOM], start[ROOM], want[MOST][ROOM], got[MOST][ROOM];
    leat_gemm_args g[MOST];
    for (int i = 0; i < ROOM; i++)
        a[i] = number(), b[i] = number(), start[i] = number();
    for (int flags = 0; flags < 8; flags++) {
        for (int i = 0; i < MOST; i++) {
            int64_t m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
            bool trans_a = flags & 1, trans_b = flags & 2, accumulate = flags & 4;
            g[i] = (leat_gemm_args){
                trans_a, trans_b, accumulate, LEAT_IDENTITY, m,      n, k, trans_a ? m : k, trans_b ? k : n,
                n,       a,       b,          NULL,          want[i]
            };
            memcpy(want[i], start, sizeof start);
            cr_assert_eq(leat_gemm(NULL, &scratch, &g[i]), LEAT_OK);
        }
        for (int i = 0; i < POOLS; i++) {
            for (int j = 0; j < MOST; j++) {
                g[j].c = got[j];
                memcpy(got[j], start, sizeof start);
            }
            cr_assert_eq(leat_gemm_several(pools[i], &scratch, MOST, g), LEAT_OK);
            cr_assert_eq(memcmp(got, want, sizeof got), 0, "%d threads, kind %d", pool_sizes[i], flags);
            cr_assert_eq(leat_gemm_several(pools[i], &scratch, 0, g), LEAT_OK);
            cr_assert_eq(scratch.in_use, 0);
        }
    }
}

static void *no_memory(void *user, size_t size)
{
    (void)user, (void)size;
    return NULL;
}

static void release_nothing(void *user, void *block)
{
    (void)user, (void)block;
}

Test(gemm, out_of_memory)
{
    static leat_real a[64 * 64], c[64 * 64];
    c[5] = 42;
    leat_arena none;
    leat_arena_init(&none, &(leat_allocator){ no_memory, release_nothing, NULL });
    leat_gemm_args g = {
        .trans_b = true, .m = 64, .n = 64, .k = 64, .lda = 64, .ldb = 64, .ldc = 64, .a = a, .b = a, .c = c
    };
    cr_assert_eq(leat_gemm(NULL, &none, &g), LEAT_ENOMEM);
    cr_assert_eq(leat_gemm_several(NULL, &none, 1, &g), LEAT_ENOMEM);
    cr_assert_eq(leat_gemm_batch(NULL, &none, &g, 1, (int64_t[]){ 0 }, (int64_t[]){ 0 }), LEAT_ENOMEM);
    cr_assert_eq(c[5], 42);
    leat_arena_free(&none);
}
