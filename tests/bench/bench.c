/*
 * How fast: what a user of NICE waits for. Matrix products have bench_gemm, elementwise ops bench_elementwise.
 *
 *     bench [--smoke] [--threads N]        --smoke: everything once and small, to see that it runs
 */
#include "../../flows/flows.h"

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
    leat_tensor x = points();
    printf("NICE: 6 couplings, hidden 128 and 128, %s\n%-44s %7s\n", sizeof(leat_real) == 4 ? "float" : "double", "",
           "threads");
    for (int t = 1; t <= threads; t = t < threads && 2 * t > threads ? threads : 2 * t) {
        one_step(x, t);
        whole_job(x, t);
        sampling(x, t);
    }
    leat_arena_free(&arena);
    return 0;
}
