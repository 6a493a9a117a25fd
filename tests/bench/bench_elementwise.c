/*
 * The elementwise ops, every line of their list: how near they are to what memory gives, and what the arithmetic alone
 * would give.
 *
 *     bench_elementwise [--smoke] [--threads N]        --smoke: everything once and small, to see that it runs
 *
 * Rates are the bytes of the arrays that are read and written, over time: two for y = f(x), more where the derivative
 * reads more. The peak is the better of copying and of a = b + s c, on the same arrays and threads, counted alike.
 * Times are the least of several rounds.
 */
#include "../../tensor/kernels/kernels.h"
#include "common.h"

static bool smoke;

typedef struct arrays {
    leat_real *a, *b, *y, *g, *d;
} arrays;

/* ---- what is measured -------------------------------------------------------------------------------------------- */

/* From `begin` to `end`; x stands at the beginning of the arrays. */
typedef void work_fn(int op, const arrays *x, int64_t begin, int64_t end);

static void copy(int op, const arrays *x, int64_t begin, int64_t end)
{
    (void)op;
    memcpy(x->d + begin, x->a + begin, (size_t)(end - begin) * sizeof(leat_real));
}

static void triad(int op, const arrays *x, int64_t begin, int64_t end)
{
    (void)op;
    leat_real *restrict d = x->d;
    const leat_real *restrict a = x->a, *restrict b = x->b;
    for (int64_t i = begin; i < end; i++)
        d[i] = a[i] + (leat_real)3 * b[i];
}

static const leat_constants constants = { (leat_real)0.5, (leat_real)1.5 };

static void unary_forward(int op, const arrays *x, int64_t begin, int64_t end)
{
    leat_kernels_get()->unary[op].forward(x->a + begin, x->d + begin, end - begin, constants);
}

static void unary_backward(int op, const arrays *x, int64_t begin, int64_t end)
{
    leat_kernels_get()->unary[op].backward(x->a + begin, x->y + begin, x->g + begin, x->d + begin, end - begin,
                                           constants);
}

static void binary_forward(int op, const arrays *x, int64_t begin, int64_t end)
{
    leat_kernels_get()->binary[op].forward(x->a + begin, 1, x->b + begin, 1, x->d + begin, end - begin);
}

/* Towards the second input, the dearer one. */
static void binary_backward(int op, const arrays *x, int64_t begin, int64_t end)
{
    leat_kernels_get()->binary[op].backward_b(x->a + begin, 1, x->b + begin, 1, x->y + begin, x->g + begin,
                                              x->d + begin, end - begin);
}

static void comparison_forward(int op, const arrays *x, int64_t begin, int64_t end)
{
    leat_kernels_get()->comparison[op](x->a + begin, 1, x->b + begin, 1, x->d + begin, end - begin);
}

/* Which arrays an expression of the list names, by its text: those it reads. */
static int arrays_in(const char *expression, const char *names)
{
    int count = 0;
    for (const char *name = names; *name; name++) {
        bool found = false;
        for (const char *p = expression; *p; p++) {
            bool starts = p == expression || strchr("( ,", p[-1]), ends = p[1] == '\0' || strchr("), ", p[1]);
            found |= *p == *name && starts && ends;
        }
        count += found;
    }
    return count;
}

static const struct row {
    const char *name;
    int op;
    work_fn *forward, *backward;
    const char *value, *dx;
} rows[] = {
#define UNARY(name, draws, value, dx, reads) { #name, LEAT_UNARY_##name, unary_forward, unary_backward, #value, #dx },
    LEAT_UNARY_LIST(UNARY)
#define BINARY(name, draws, value, da, db, reads)                                                                      \
    { #name, LEAT_BINARY_##name, binary_forward, binary_backward, #value, #db },
        LEAT_BINARY_LIST(BINARY)
#define COMPARISON(name, holds) { #name, LEAT_COMPARISON_##name, comparison_forward, NULL, #holds, NULL },
            LEAT_COMPARISON_LIST(COMPARISON)
};

/* ---- the clock --------------------------------------------------------------------------------------------------- */

typedef struct job {
    work_fn *work;
    int op;
    const arrays *x;
} job;

static void run_range(void *arg, int64_t begin, int64_t end)
{
    const job *j = arg;
    j->work(j->op, j->x, begin, end);
}

/* GB/s over `count` arrays of n numbers. */
static double rate(leat_pool *pool, work_fn *work, int op, const arrays *x, int64_t n, int count)
{
    job j = { work, op, x };
    double bytes = (double)count * (double)n * sizeof(leat_real), best = 1e9;
    int calls = smoke ? 1 : (int)(1e5 / (double)n) + 1, rounds = smoke ? 1 : n < 100000 ? 200 : 7;
    for (int round = 0; round < rounds; round++) {
        double start = now();
        for (int i = 0; i < calls; i++)
            leat_parallel_for(pool, n, 16384, run_range, &j);
        double t = (now() - start) / calls;
        best = t < best ? t : best;
    }
    return 1e-9 * bytes / best;
}

static double peak(leat_pool *pool, const arrays *x, int64_t n)
{
    double copied = rate(pool, copy, 0, x, n, 2), summed = rate(pool, triad, 0, x, n, 3);
    return copied > summed ? copied : summed;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static void print_row(const struct row *r, const arrays *x, int64_t few, int64_t many, leat_pool *const pools[2],
                      const double peaks[2])
{
    int forward = 1 + arrays_in(r->value, "xab"), backward = r->dx ? 1 + arrays_in(r->dx, "xyabg") : 0;
    printf("%-12s", r->name);
    for (int place = 0; place < 3; place++) {
        leat_pool *pool = pools[place == 2];
        int64_t n = place == 0 ? few : many;
        for (int back = 0; back < 2; back++) {
            work_fn *work = back ? r->backward : r->forward;
            if (!work) {
                printf(place ? "  %6s %6s" : "  %6s", "-", "");
                continue;
            }
            double gbs = rate(pool, work, r->op, x, n, back ? backward : forward);
            printf("  %6.1f", gbs);
            if (place)
                printf(" %4.0f %%", 100 * gbs / peaks[place - 1]);
        }
    }
    printf("\n");
    fflush(stdout);
}

static leat_real *numbers(int64_t n, uint64_t stream)
{
    leat_real *x = take(n, sizeof *x);
    leat_rng rng = leat_rng_new(0, stream);
    leat_rng_fill_uniform(&rng, x, n, 0.1, 2);
    return x;
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
        else
            die("usage: bench_elementwise [--smoke] [--threads N]");
    }
    /* An array of 64 MB, and one of which four fit into 256 KB. */
    const int64_t many = smoke ? 40000 : (64 << 20) / (int64_t)sizeof(leat_real);
    const int64_t few = (48 << 10) / (int64_t)sizeof(leat_real);
    leat_pool *pools[2] = { leat_pool_new(1, NULL), leat_pool_new(threads, NULL) };
    arrays x = { numbers(many, 1), numbers(many, 2), numbers(many, 3), numbers(many, 4), numbers(many, 5) };
    if (!pools[0] || !pools[1])
        die("out of memory");
    const double peaks[2] = { peak(pools[0], &x, many), peak(pools[1], &x, many) };
    print_cpu();
    printf("GB/s. Peak of the memory: %.1f with 1 thread, %.1f with %d; of the cache: %.1f\n\n", peaks[0], peaks[1],
           threads, peak(pools[0], &x, few));
    printf("%-12s  %14s  %29s  memory, %d threads\n", "", "cache, 1", "memory, 1 thread", threads);
    printf("%-12s  %6s  %6s", "", "forw.", "backw.");
    printf("  %13s  %13s  %13s  %13s\n", "forward", "backward", "forward", "backward");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        print_row(&rows[i], &x, few, many, pools, peaks);
    leat_pool_free(pools[0]);
    leat_pool_free(pools[1]);
    free(x.a), free(x.b), free(x.y), free(x.g), free(x.d);
    return 0;
}
