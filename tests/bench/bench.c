/*
 * How fast: elementwise kernels, and what a user of NICE waits for. Matrix products have bench_gemm.
 *
 *     bench [--smoke] [--threads N]        --smoke: everything once and small, to see that it runs
 */
#include "../../flows/flows.h"
#include "../../tensor/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool smoke;
static int threads;
static leat_arena arena;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *message)
{
    fprintf(stderr, "bench: %s\n", message);
    exit(1);
}

static void *take(size_t bytes)
{
    void *block = leat_arena_zalloc(&arena, bytes);
    if (!block)
        die("out of memory");
    return block;
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

/* How many arrays the derivative reads besides g. */
enum { READS_NONE = 0, READS_X = 1, READS_Y = 1, READS_XY = 2 };

#define UNARY_ROW(op, draws, parameters, value, dx, reads) { #op, READS_##reads },
static const struct {
    const char *name;
    int reads;
} unary[] = { LEAT_UNARY_LIST(UNARY_ROW) };
#define BINARY_ROW(op, ...) #op,
static const char *const binary[] = { LEAT_BINARY_LIST(BINARY_ROW) };

typedef struct arrays {
    leat_real *a, *b, *y, *g, *d;
} arrays;

static const leat_constants constants = { (leat_real)1.5, (leat_real)0.5 };

/* Kernel number `op` of the unary, then of the binary ones, forward or backward (of a binary one: towards a). */
static void call(int op, bool backward, const arrays *x, int64_t n)
{
    const leat_kernels *k = leat_kernels_get();
    if (op < LEAT_UNARY_COUNT) {
        if (backward)
            k->unary[op].backward(x->a, x->y, x->g, x->d, n, constants);
        else
            k->unary[op].forward(x->a, x->y, n, constants);
        return;
    }
    const leat_binary_kernel *two = &k->binary[op - LEAT_UNARY_COUNT];
    if (backward)
        two->backward_a(x->a, 1, x->b, 1, x->y, x->g, x->d, n);
    else
        two->forward(x->a, 1, x->b, 1, x->y, n);
}

/* Seconds of one call: the least of several rounds, each long enough for the clock. */
static double call_seconds(int op, bool backward, const arrays *x, int64_t n)
{
    double best = 1e9;
    int calls = (int)((smoke ? 20000 : 4000000) / n) + 1;
    for (int round = 0; round < (smoke ? 1 : 7); round++) {
        double start = now();
        for (int i = 0; i < calls; i++)
            call(op, backward, x, n);
        double t = (now() - start) / calls;
        best = t < best ? t : best;
    }
    return best;
}

static void elementwise(void)
{
    static const int64_t sizes[2] = { 2048, 4 << 20 };
    int64_t most = smoke ? sizes[0] : sizes[1];
    arrays x = { .a = take((size_t)most * sizeof(leat_real)),
                 .b = take((size_t)most * sizeof(leat_real)),
                 .y = take((size_t)most * sizeof(leat_real)),
                 .g = take((size_t)most * sizeof(leat_real)),
                 .d = take((size_t)most * sizeof(leat_real)) };
    leat_rng rng = leat_rng_new(0, 0);
    leat_rng_fill_uniform(&rng, x.a, most, 0.1, 2);
    leat_rng_fill_uniform(&rng, x.b, most, 0.1, 2);
    leat_rng_fill_uniform(&rng, x.g, most, -1, 1);

    printf("elementwise, %s, one thread: GB/s read and written (bytes over time)\n", leat_isa());
    printf("%-12s %14s %14s %14s %14s\n", "", "forward, cache", "backward", "forward, memory", "backward");
    for (int op = 0; op < LEAT_UNARY_COUNT + LEAT_BINARY_COUNT; op++) {
        bool one = op < LEAT_UNARY_COUNT;
        printf("%-12s", one ? unary[op].name : binary[op - LEAT_UNARY_COUNT]);
        for (int s = 0; s < (smoke ? 1 : 2); s++) {
            /* dx is written and g is read, besides what the derivative needs: none for sums, b for products */
            double arrays_forward = one ? 2 : 3,
                   arrays_backward = 2 + (one ? unary[op].reads : op - LEAT_UNARY_COUNT > 1);
            double bytes = (double)sizes[s] * sizeof(leat_real) * 1e-9;
            printf(" %14.1f", arrays_forward * bytes / call_seconds(op, false, &x, sizes[s]));
            printf(" %14.1f", arrays_backward * bytes / call_seconds(op, true, &x, sizes[s]));
        }
        printf("\n");
        fflush(stdout);
    }
}

/* ---- NICE -------------------------------------------------------------------------------------------------------- */

enum { POINTS = 10000, BATCH = 256 };

typedef struct job {
    leat_model *model;
    leat_flow *flow;
    leat_optim *adam;
    leat_tape *tape;
    leat_batches *batches;
} job;

/* Two parabolas that look into each other: what the points are does not matter to the clock. */
static leat_tensor points(void)
{
    leat_tensor x = { take(POINTS * 2 * sizeof(leat_real)), LEAT_SHAPE(POINTS, 2) };
    leat_rng rng = leat_rng_new(0, 1);
    for (int64_t i = 0; i < POINTS; i++) {
        double t = 2 * leat_rng_uniform(&rng) - 1;
        double up = 1 - t * t, side = i % 2 ? 1 - t : t;
        x.data[2 * i] = (leat_real)(side + 0.05 * leat_rng_normal(&rng));
        x.data[2 * i + 1] = (leat_real)((i % 2 ? 0.5 - up : up) + 0.05 * leat_rng_normal(&rng));
    }
    return x;
}

static job start_job(leat_tensor x, int with_threads)
{
    job j = { .model = leat_model_new(&(leat_model_opts){ .threads = with_threads }) };
    if (!j.model)
        die("out of memory");
    j.flow = leat_nice_new(j.model, &(leat_nice_opts){ .dim = 2 });
    j.adam = leat_adam_new(j.model, &(leat_adam_opts){ .lr = 1e-3 });
    j.tape = leat_model_tape(j.model, NULL);
    j.batches = leat_batches_new(j.model, x, &(leat_batches_opts){ .size = BATCH });
    if (leat_model_seal(j.model))
        die(leat_model_errmsg(j.model));
    return j;
}

static double train_step(job *j, leat_tensor batch)
{
    leat_tape_reset(j->tape);
    leat_var loss = leat_neg(leat_mean(leat_flow_log_prob(j->flow, leat_borrow(j->tape, batch))));
    if (leat_backward(loss))
        die(leat_tape_errmsg(j->tape));
    if (leat_optim_step(j->adam))
        die(leat_optim_status(j->adam)->message);
    return leat_item(loss);
}

static void row(const char *what, int with_threads, double value, const char *unit)
{
    printf("%-44s %7d %12.3f %s\n", what, with_threads, value, unit);
    fflush(stdout);
}

static void one_step(leat_tensor x, int with_threads)
{
    job j = start_job(x, with_threads);
    leat_tensor batch = { x.data, LEAT_SHAPE(BATCH, 2) };
    double best = 1e9;
    for (int i = 0; i < (smoke ? 5 : 300); i++) {
        double start = now();
        train_step(&j, batch);
        double t = now() - start;
        best = t < best ? t : best;
    }
    row("training step, 256 points", with_threads, 1e3 * best, "ms (best)");
    leat_model_free(j.model);
}

static void whole_job(leat_tensor x, int with_threads)
{
    job j = start_job(x, with_threads);
    double start = now(), loss = 0;
    leat_tensor batch;
    for (int epoch = 0; epoch < (smoke ? 1 : 10); epoch++) {
        loss = 0;
        while (leat_batches_next(j.batches, &batch))
            loss += train_step(&j, batch) * (double)batch.shape.size[0] / POINTS;
    }
    row(smoke ? "1 epoch of 10,000 points" : "10 epochs of 10,000 points", with_threads, now() - start, "s");
    printf("%-44s %7s %12.4f nats\n", "    loss of its last epoch", "", loss);
    leat_model_free(j.model);
}

static void sampling(leat_tensor x, int with_threads)
{
    job j = start_job(x, with_threads);
    int64_t n = smoke ? 10000 : 1000000;
    leat_arena_mark mark = leat_arena_save(&arena);
    leat_real *out = take((size_t)n * 2 * sizeof *out);
    double *scores = take((size_t)n * sizeof *scores), best = 1e9;
    for (int i = 0; i < (smoke ? 10 : 1000); i++) {
        double start = now();
        if (leat_flow_draw(j.flow, j.tape, 1, 1, out))
            die(leat_tape_errmsg(j.tape));
        double t = now() - start;
        best = t < best ? t : best;
    }
    row("draw 1 point", with_threads, 1e6 * best, "us (best)");
    double start = now();
    if (leat_flow_draw(j.flow, j.tape, n, 1, out))
        die(leat_tape_errmsg(j.tape));
    row(smoke ? "draw 10^4 points" : "draw 10^6 points", with_threads, now() - start, "s");
    start = now();
    if (leat_flow_score(j.flow, j.tape, (leat_tensor){ out, LEAT_SHAPE(n, 2) }, scores))
        die(leat_tape_errmsg(j.tape));
    row(smoke ? "score 10^4 points" : "score 10^6 points", with_threads, now() - start, "s");
    leat_arena_restore(&arena, mark);
    leat_model_free(j.model);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0)
            smoke = true;
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = atoi(argv[++i]);
        else
            die("usage: bench [--smoke] [--threads N]");
    }
    if (threads < 1)
        threads = leat_available_threads();
    leat_arena_init(&arena, NULL);
    elementwise();
    leat_tensor x = points();
    printf("\nNICE: 6 couplings, hidden 128 and 128, %s\n%-44s %7s\n", sizeof(leat_real) == 4 ? "float" : "double", "",
           "threads");
    for (int t = 1; t <= threads; t = t < threads && 2 * t > threads ? threads : 2 * t) {
        one_step(x, t);
        whole_job(x, t);
        sampling(x, t);
    }
    leat_arena_free(&arena);
    return 0;
}
