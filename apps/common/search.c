/*
 * Which of three settings finds the better density: how strongly weights decay where a table has few rows for a column,
 * or how wide the nets are. Each is fitted once for every fold of the rows, which it does not see, and judged by the
 * least loss on them, on average. The first is what is chosen without a search, and stays if none is better.
 */
#include "streams.h"
#include "train_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CANDIDATES = 3, ROWS_TO_FOLD = 20 };

static void propose(app_training *s, int i)
{
    static const double decay[CANDIDATES] = { 1, 1.0 / 3, 2 };
    static const int64_t width[CANDIDATES] = { 4, 8, 2 }; /* quarters */
    if (s->train.weight_decay > 0)
        s->train.weight_decay *= decay[i];
    else if (s->model.hidden.count == 0)
        s->model.hidden = (app_sizes){ 2, { 128, 128 } };
    for (int k = 0; s->train.weight_decay == 0 && k < s->model.hidden.count; k++)
        s->model.hidden.size[k] = (s->model.hidden.size[k] * width[i] + 3) / 4;
}

static void name_it(const app_training *s, char text[64])
{
    if (s->train.weight_decay > 0)
        snprintf(text, 64, "a weight decay of %g", s->train.weight_decay);
    else
        snprintf(text, 64, "hidden layers of %lld", (long long)s->model.hidden.size[0]);
}

/* The rows in that order, from the first on and round; NULL when out of memory, or if there are none. */
static double *turn(leat_doubles from, leat_arena *a, const int64_t *order, int64_t first)
{
    double *to = from.data ? leat_arena_alloc(a, (size_t)(from.rows * from.columns) * sizeof *to) : NULL;
    for (int64_t i = 0; to && i < from.rows; i++)
        memcpy(to + i * from.columns, from.data + order[(first + i) % from.rows] * from.columns,
               (size_t)from.columns * sizeof *to);
    return to;
}

/* The least loss on fold k, NaN if there is none. */
static double judge_fold(const app_run *r, app_training *s, const int64_t *order, int64_t k, double until)
{
    int64_t rows = r->data.x.rows, folds = s->train.folds;
    int64_t begin = folds > 1 ? k * rows / folds : 0, end = folds > 1 ? (k + 1) * rows / folds : (rows + 9) / 10;
    app_train_job job = *r->job;
    job.settings = s;
    app_run fold = { .job = &job, .o = &s->train, .data = r->data, .noise = r->noise, .held_last = end - begin };
    double loss = (double)NAN;
    leat_arena_init(&fold.arena, NULL);
    fold.started = fold.epoch_began = app_progress_now();
    s->train.minutes = until > 0 ? fmax(until - fold.started, 1e-3) / 60 : 0;
    fold.data.x.data = turn(r->data.x, &fold.arena, order, end);
    fold.data.context.data = turn(r->data.context, &fold.arena, order, end);
    if (fold.data.x.data && !fold.data.context.data == !r->data.context.data && !app_train_make(&fold) &&
        !leat_fit_run(fold.fit)) {
        leat_fit_state state = leat_fit_get_state(fold.fit);
        if (state.done && state.best_epoch > 0)
            loss = state.history[state.best_epoch - 1].validation;
    }
    leat_model_free(fold.model);
    leat_arena_free(&fold.arena);
    return loss;
}

static double judge(const app_run *r, const app_training *s, const int64_t *order, double until)
{
    app_training own = *s;
    double sum = 0;
    own.train.validation = 0;
    own.train.quiet = true;
    own.train.checkpoint_every = 0;
    own.train.resume = NULL;
    for (int64_t k = 0; k < s->train.folds && !isnan(sum); k++)
        sum += judge_fold(r, &own, order, k, until);
    return sum / (double)s->train.folds;
}

void app_train_search(app_run *r, app_training *s)
{
    int64_t rows = r->data.x.rows;
    const char *name = r->job->program->name;
    double best = (double)NAN, began = app_progress_now(), until = began + 30 * s->train.minutes;
    app_training chosen = *s;
    char text[64];
    int64_t *order = leat_arena_alloc(&r->arena, (size_t)rows * sizeof *order);
    s->train.folds = s->train.folds > 0 ? s->train.folds : 1;
    if (!order || rows < ROWS_TO_FOLD || s->train.folds > rows) {
        app_say(name, "%lld rows are too few to try anything on parts of them", (long long)rows);
        return;
    }
    leat_rng rng = leat_rng_new((uint64_t)s->train.seed, APP_STREAM_DATA);
    leat_rng_permutation(&rng, order, rows);
    for (int i = 0; i < CANDIDATES; i++) {
        app_training candidate = *s;
        propose(&candidate, i);
        double loss = judge(r, &candidate, order, s->train.minutes > 0 ? until : 0);
        name_it(&candidate, text);
        if (!s->train.quiet && !isnan(loss))
            app_say(name, "%s: a loss of %.4f on rows left out", text, loss);
        else if (!s->train.quiet)
            app_say(name, "%s: not to be judged in the time", text);
        if (loss < best || (isnan(best) && !isnan(loss))) {
            best = loss;
            chosen = candidate;
        }
    }
    s->model.hidden = chosen.model.hidden;
    s->train.weight_decay = chosen.train.weight_decay;
    if (s->train.minutes > 0) /* 0 would be no end */
        s->train.minutes = fmax(s->train.minutes - (app_progress_now() - began) / 60, 1e-6);
}
