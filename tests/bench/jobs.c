/* See jobs.h. */
#include "jobs.h"

#include "common.h"
#include "products.h"

enum { POINTS = 10000, BATCH = 256, MILLION = 1000000, WARM = 3 };

static void check(leat_code code, const char *why)
{
    if (code)
        die(why);
}

/* ---- flows ------------------------------------------------------------------------------------------------------- */

static leat_flow *nice(leat_model *m)
{
    return leat_nice_new(m, &(leat_nice_opts){ .dim = 2 });
}

static leat_flow *realnvp(leat_model *m)
{
    return leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2 });
}

static leat_flow *nice_784(leat_model *m)
{
    leat_nice_opts paper = leat_nice_paper(m, 784);
    return leat_nice_new(m, &paper);
}

static leat_flow *realnvp_43(leat_model *m)
{
    return leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 43, .hidden = { 256, 256 } });
}

static leat_flow *nsf(leat_model *m)
{
    return leat_nsf_new(m, &(leat_nsf_opts){ .dim = 10 });
}

static leat_flow *glow(leat_model *m)
{
    return leat_glow_new(m, &(leat_glow_opts){ .height = 28, .width = 28, .levels = 2, .steps = 8, .hidden = 128 });
}

/* Biases that are not zero spread the components, as training does: else there is nothing to search for. */
static leat_flow *flowpp(leat_model *m)
{
    leat_flow *f = leat_flowpp_new(
        m, &(leat_flowpp_opts){ .height = 28, .width = 28, .features = 32, .blocks = 2, .uniform = true });
    if (f)
        leat_set_init(&leat_flow_layer(f, leat_flow_length(f) - 1)->module, "bias", leat_init_normal(0, 1));
    return f;
}

static leat_model *new_model(int threads)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .threads = threads });
    if (!m)
        die("out of memory");
    return m;
}

static leat_optim *new_adam(leat_model *m)
{
    return leat_adam_new(m, &(leat_adam_opts){ .lr = 1e-3 });
}

static leat_tape *sealed(leat_model *m)
{
    leat_tape *t = leat_model_tape(m, NULL);
    check(leat_model_seal(m), leat_model_errmsg(m));
    return t;
}

/* ---- training ---------------------------------------------------------------------------------------------------- */

static void train_step(leat_flow *f, leat_tape *t, leat_optim *adam, leat_tensor batch)
{
    leat_tape_reset(t);
    check(leat_backward(leat_neg(leat_mean(leat_flow_log_prob(f, leat_borrow(t, batch))))), leat_tape_errmsg(t));
    check(leat_optim_step(adam), leat_optim_status(adam)->message);
}

static leat_tensor random_rows(int64_t rows, int64_t columns)
{
    leat_tensor x = { take(rows * columns, sizeof(leat_real)), LEAT_SHAPE(rows, columns) };
    leat_rng rng = leat_rng_new(0, 1);
    leat_rng_fill_normal(&rng, x.data, rows * columns);
    return x;
}

/* Images, which a flow dequantizes. */
static leat_tensor random_bytes(int64_t rows, int64_t columns)
{
    leat_tensor x = { take(rows * columns, sizeof(leat_real)), LEAT_SHAPE(rows, columns) };
    leat_rng rng = leat_rng_new(0, 1);
    for (int64_t i = 0; i < rows * columns; i++)
        x.data[i] = (leat_real)leat_rng_below(&rng, 256);
    return x;
}

/* Two parabolas that look into each other: what the points are does not matter to the clock. */
static leat_tensor moons(void)
{
    leat_tensor x = { take(POINTS * 2, sizeof(leat_real)), LEAT_SHAPE(POINTS, 2) };
    leat_rng rng = leat_rng_new(0, 1);
    for (int64_t i = 0; i < POINTS; i++) {
        double t = 2 * leat_rng_uniform(&rng) - 1;
        double up = 1 - t * t, side = i % 2 ? 1 - t : t;
        x.data[2 * i] = (leat_real)(side + 0.05 * leat_rng_normal(&rng));
        x.data[2 * i + 1] = (leat_real)((i % 2 ? 0.5 - up : up) + 0.05 * leat_rng_normal(&rng));
    }
    return x;
}

static jobs_result train(leat_model *m, leat_flow *f, int epochs)
{
    leat_tensor x = moons(), batch;
    leat_optim *adam = new_adam(m);
    leat_batches *batches = leat_batches_new(m, x, &(leat_batches_opts){ .size = BATCH });
    leat_tape *t = sealed(m);
    products_start();
    double start = now();
    for (int epoch = 0; epoch < epochs; epoch++)
        while (leat_batches_next(batches, &batch))
            train_step(f, t, adam, batch);
    double seconds = now() - start;
    free(x.data);
    return (jobs_result){ seconds, products_stop(), leat_tape_get_stats(t).peak_bytes };
}

jobs_result jobs_steps(leat_model *m, leat_flow *f, int64_t rows, int steps)
{
    leat_optim *adam = new_adam(m);
    leat_tape *t = sealed(m);
    leat_tensor batch = (leat_flow_is_bound(f) ? random_bytes : random_rows)(rows, leat_flow_dim(f));
    double *seconds = take(steps, sizeof *seconds);
    double gflop = 0;
    for (int i = -WARM; i < steps; i++) {
        if (i == -1)
            products_start();
        if (i == 0)
            gflop = products_stop();
        double start = now();
        train_step(f, t, adam, batch);
        if (i >= 0)
            seconds[i] = now() - start;
    }
    jobs_result r = { median(seconds, steps), gflop, leat_tape_get_stats(t).peak_bytes };
    free(seconds);
    free(batch.data);
    return r;
}

/* ---- sampling and scoring ---------------------------------------------------------------------------------------- */

/* `times` draws of n points, all but the first `unmeasured` ones on the clock. */
static jobs_result draw(leat_model *m, leat_flow *f, int64_t n, int times, int unmeasured)
{
    leat_tape *t = sealed(m);
    leat_real *out = take(n * leat_flow_dim(f), sizeof *out);
    double *seconds = take(times, sizeof *seconds), gflop = 0;
    for (int i = 0; i < times; i++) {
        if (i == 0)
            products_start();
        double start = now();
        check(leat_flow_draw(f, t, n, 1, out), leat_tape_errmsg(t));
        seconds[i] = now() - start;
        if (i == 0)
            gflop = products_stop();
    }
    times -= unmeasured;
    jobs_result r = { median(seconds + unmeasured, times), gflop, leat_tape_get_stats(t).peak_bytes };
    free(out);
    free(seconds);
    return r;
}

static jobs_result score(leat_model *m, leat_flow *f, int64_t n)
{
    leat_tape *t = sealed(m);
    leat_tensor x = random_rows(n, 2);
    double *out = take(n, sizeof *out);
    products_start();
    double start = now();
    check(leat_flow_score(f, t, x, out), leat_tape_errmsg(t));
    jobs_result r = { now() - start, products_stop(), leat_tape_get_stats(t).peak_bytes };
    free(out);
    free(x.data);
    return r;
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

typedef enum work { TRAIN, STEP, IMAGES, DRAW_IMAGES, DRAW_ONE, DRAW_SOME, DRAW, SCORE, START } work;

static const struct job {
    const char *name;
    leat_flow *(*flow)(leat_model *m);
    work work;
    int steps;
} jobs[] = {
    { "nice_moons", nice, TRAIN, 0 },
    { "realnvp_moons", realnvp, TRAIN, 0 },
    { "nice_784", nice_784, STEP, 20 },
    { "realnvp_43", realnvp_43, STEP, 60 },
    { "sample_one", nice, DRAW_ONE, 0 },
    { "sample_million", nice, DRAW, 0 },
    { "score_million", nice, SCORE, 0 },
    { "start_up", nice, START, 0 },
    { "nsf_10", nsf, STEP, 60 },
    { "nsf_sample", nsf, DRAW_SOME, 0 },
    { "glow_28", glow, IMAGES, 10 },
    { "flowpp_28", flowpp, IMAGES, 10 },
    { "flowpp_sample", flowpp, DRAW_IMAGES, 0 },
};

int jobs_count(void)
{
    return sizeof jobs / sizeof *jobs;
}

const char *jobs_name(int job)
{
    return jobs[job].name;
}

bool jobs_is_step(int job)
{
    return jobs[job].work == STEP || jobs[job].work == IMAGES;
}

static jobs_result work_of(const struct job *j, leat_model *m, leat_flow *f, bool smoke)
{
    switch (j->work) {
    case TRAIN:
        return train(m, f, smoke ? 1 : 10);
    case STEP:
    case IMAGES:
        return jobs_steps(m, f, j->work == IMAGES ? BATCH / 4 : BATCH, smoke ? 1 : j->steps);
    case DRAW_IMAGES:
        return draw(m, f, smoke ? 2 : BATCH / 4, smoke ? 2 : 6, 1);
    case DRAW_ONE:
        return draw(m, f, 1, smoke ? 30 : 1020, 20);
    case DRAW_SOME:
        return draw(m, f, smoke ? POINTS / 100 : POINTS, smoke ? 2 : 6, 1);
    case DRAW:
        return draw(m, f, smoke ? MILLION / 100 : MILLION, 1, 0);
    case SCORE:
        return score(m, f, smoke ? MILLION / 100 : MILLION);
    case START:
        return draw(m, f, 1, 1, 0);
    }
    return (jobs_result){ 0 };
}

jobs_result jobs_run(int job, int threads, leat_recompute how, bool smoke)
{
    double start = now();
    leat_model *m = new_model(threads);
    leat_flow *f = jobs[job].flow(m);
    leat_flow_set_recompute(f, how);
    jobs_result r = work_of(&jobs[job], m, f, smoke);
    if (jobs[job].work == START)
        r.seconds = now() - start;
    leat_model_free(m);
    return r;
}
