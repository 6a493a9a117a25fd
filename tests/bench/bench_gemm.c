/*
 * Every matrix product that the jobs of jobs.h make, forward and backward, and large square ones: GFLOP/s and the share
 * of the machine's peak, with one thread and with N.
 *
 *     bench_gemm [--smoke] [--threads N] [--blas LIBRARY]
 *
 * --blas compares them with an OpenBLAS, whose products and leat's take turns: its time over leat's, and at the end the
 * least of these. Times are medians. Bias and activation are left out, since a BLAS has none. --smoke takes small parts
 * of the jobs, and does every product once, to see that it runs.
 */
#include "jobs.h"
#include "peak.h"
#include "products.h"

#include <dlfcn.h>

enum { MOST = 512, ROUNDS = 31 };

typedef struct shape {
    leat_gemm_args args;
    const char *job; /* the first that has it */
} shape;

static shape shapes[MOST];
static int count;
static bool smoke;

/* ---- the shapes -------------------------------------------------------------------------------------------------- */

static bool known(const leat_gemm_args *g)
{
    for (int i = 0; i < count; i++) {
        const leat_gemm_args *s = &shapes[i].args;
        if (s->m == g->m && s->n == g->n && s->k == g->k && s->trans_a == g->trans_a && s->trans_b == g->trans_b &&
            s->accumulate == g->accumulate)
            return true;
    }
    return false;
}

static void add_shape(leat_gemm_args g, const char *job)
{
    g.bias = NULL;
    g.activation = LEAT_IDENTITY;
    g.lda = g.trans_a ? g.m : g.k, g.ldb = g.trans_b ? g.k : g.n, g.ldc = g.n;
    if (count < MOST && !known(&g))
        shapes[count++] = (shape){ g, job };
}

static void find_shapes(void)
{
    for (int job = 0; job < jobs_count(); job++) {
        jobs_run(job, 1, LEAT_RECOMPUTE_NONE, smoke);
        for (int i = 0; i < products_count(); i++)
            add_shape(products_at(i)->args, jobs_name(job));
    }
    for (int trans = 0; trans < 3; trans++)
        add_shape((leat_gemm_args){ .m = 1024, .n = 1024, .k = 1024, .trans_a = trans == 2, .trans_b = trans == 1 },
                  "square");
}

/* ---- OpenBLAS ---------------------------------------------------------------------------------------------------- */

/* Its C interface, with indices of 32 bits, or of 64 where the names end so (SciPy's). */
typedef void gemm32(int order, int trans_a, int trans_b, int m, int n, int k, leat_real alpha, const leat_real *a,
                    int lda, const leat_real *b, int ldb, leat_real beta, leat_real *c, int ldc);
typedef void gemm64(int order, int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, leat_real alpha,
                    const leat_real *a, int64_t lda, const leat_real *b, int64_t ldb, leat_real beta, leat_real *c,
                    int64_t ldc);

static struct blas {
    gemm32 *gemm32;
    gemm64 *gemm64;
    void (*set_threads)(int threads);
} blas;

/* POSIX has dlsym give functions as pointers to data. */
static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol;
}

static void open_blas(const char *path)
{
    const char *gemm = sizeof(leat_real) == 4 ? "cblas_sgemm" : "cblas_dgemm";
    const char *scipy = sizeof(leat_real) == 4 ? "scipy_cblas_sgemm64_" : "scipy_cblas_dgemm64_";
    setenv("OPENBLAS_THREAD_TIMEOUT", "16", 0); /* its threads spin for 2^16 cycles, as leat's do, and not 2^28 */
    void *library = dlopen(path, RTLD_NOW);
    if (!library)
        die(dlerror());
    bool of_scipy =
        find(library, scipy, &blas.gemm64) && find(library, "scipy_openblas_set_num_threads64_", &blas.set_threads);
    if (!of_scipy &&
        (!find(library, gemm, &blas.gemm32) || !find(library, "openblas_set_num_threads", &blas.set_threads)))
        die("bench_gemm: the library is no OpenBLAS");
}

static void run_blas(const leat_gemm_args *g)
{
    enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };
    int ta = g->trans_a ? TRANSPOSED : PLAIN, tb = g->trans_b ? TRANSPOSED : PLAIN;
    leat_real beta = g->accumulate;
    if (blas.gemm64)
        blas.gemm64(ROW_MAJOR, ta, tb, g->m, g->n, g->k, 1, g->a, g->lda, g->b, g->ldb, beta, g->c, g->ldc);
    else
        blas.gemm32(ROW_MAJOR, ta, tb, (int)g->m, (int)g->n, (int)g->k, 1, g->a, (int)g->lda, g->b, (int)g->ldb, beta,
                    g->c, (int)g->ldc);
}

/* ---- the clock --------------------------------------------------------------------------------------------------- */

static void measure(leat_pool *pool, leat_arena *scratch, const leat_gemm_args *g, double *ours, double *theirs)
{
    double seconds[2][ROUNDS];
    int calls = smoke ? 1 : (int)(4e7 / (2.0 * (double)g->m * (double)g->n * (double)g->k)) + 1;
    int rounds = smoke ? 1 : ROUNDS;
    calls = calls > 300 ? 300 : calls;
    for (int round = 0; round < rounds; round++) {
        double start = now();
        for (int i = 0; i < calls; i++)
            leat_gemm(pool, scratch, g);
        seconds[0][round] = (now() - start) / calls;
        start = now();
        for (int i = 0; i < calls && blas.set_threads; i++)
            run_blas(g);
        seconds[1][round] = (now() - start) / calls;
    }
    *ours = median(seconds[0], rounds);
    *theirs = blas.set_threads ? median(seconds[1], rounds) : 0;
}

static leat_real *numbers(int64_t n)
{
    leat_real *x = take(n, sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (leat_real)((double)((i * 7919) % 1009) / 1009 - 0.5);
    return x;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static double print_table(int threads, double peak)
{
    int64_t room[3] = { 0 };
    for (int i = 0; i < count; i++) {
        const leat_gemm_args *g = &shapes[i].args;
        room[0] = most(room[0], g->m * g->k), room[1] = most(room[1], g->k * g->n),
        room[2] = most(room[2], g->m * g->n);
    }
    leat_real *a = numbers(room[0]), *b = numbers(room[1]), *c = numbers(room[2]);
    leat_pool *pool = leat_pool_new(threads, NULL);
    leat_arena scratch;
    leat_arena_init(&scratch, NULL);
    double least = 1e9;
    if (!pool)
        die("out of memory");
    if (blas.set_threads)
        blas.set_threads(threads);
    printf("\n%-15s %20s %7s %14s %8s %8s%s\n", "job", "m x n x k", "A, B", "threads: ", "GFLOP/s", "of peak",
           blas.set_threads ? "  OpenBLAS to leat" : "");
    for (int i = 0; i < count; i++) {
        leat_gemm_args *g = &shapes[i].args;
        double ours, theirs;
        g->a = a, g->b = b, g->c = c;
        measure(pool, &scratch, g, &ours, &theirs);
        double rate = 2e-9 * (double)g->m * (double)g->n * (double)g->k / ours;
        printf("%-15s %6d x %4d x %4d  %s, %s%s %3d %8.2f us %8.1f %6.0f %%", shapes[i].job, (int)g->m, (int)g->n,
               (int)g->k, g->trans_a ? "T" : "-", g->trans_b ? "T" : "-", g->accumulate ? " +" : "  ", threads,
               1e6 * ours, rate, 100 * rate / (peak * threads));
        if (blas.set_threads)
            printf("  %.2f", theirs / ours);
        printf("\n");
        fflush(stdout);
        least = blas.set_threads && theirs / ours < least ? theirs / ours : least;
    }
    leat_arena_free(&scratch);
    leat_pool_free(pool);
    free(a), free(b), free(c);
    return least;
}

int main(int argc, char **argv)
{
    int threads = leat_available_threads();
    for (int i = 1; i < argc; i++) {
        const char *value;
        if (strcmp(argv[i], "--smoke") == 0)
            smoke = true;
        else if ((value = option(argv, &i, "--threads")))
            threads = atoi(value);
        else if ((value = option(argv, &i, "--blas")))
            open_blas(value);
        else
            die("usage: bench_gemm [--smoke] [--threads N] [--blas LIBRARY]");
    }
    if (threads < 1)
        die("bench_gemm: --threads must be 1 or more");
    double peak = peak_gflops(smoke);
    print_cpu();
    printf("peak of one core %.1f GFLOP/s\n", peak);
    find_shapes();
    double least = print_table(1, peak);
    if (threads > 1) {
        double more = print_table(threads, peak);
        least = more < least ? more : least;
    }
    if (blas.set_threads)
        printf("\nthe least of OpenBLAS to leat: %.2f\n", least);
    return 0;
}
