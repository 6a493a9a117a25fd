/*
 * What "auto" stands for. Measured on tables from 178 to 10,000 rows: splines fit best; small tables want small nets and
 * small batches; the weights that are best on held-out rows are found within some thousand steps; a step size that
 * falls to 0 as a cosine gains more than it costs, and an average of the weights gains 0.003 to 0.05 nats more, of small
 * tables up to 1.6. Weights that decay gain where there are few rows for a column (2 to 4 nats on breast cancer and
 * digits), and where tails are heavy, whose far points are inputs of the nets (0.04 nats on five columns of Student's t
 * with 2 degrees, 0.2 with 1); elsewhere they cost.
 */
#include "streams.h"
#include "train_run.h"

#include <math.h>

enum {
    SMALL_TABLE = 2000,
    STEPS = 4000,
    MOST_EPOCHS = 100,
    LEAST_EPOCHS = 5,
    ROWS_FOR_TENTH = 100,
    ROWS_TO_HOLD = 20,
    FEW_ROWS = 100
};

static int64_t between(int64_t low, int64_t x, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static void choose_run(app_train_settings *o, int64_t rows, int64_t columns, bool heavy)
{
    bool all = o->epochs < 0, few = rows <= FEW_ROWS * columns;
    if (o->weight_decay < 0 && all && (few || heavy) && o->optimiser == LEAT_FIT_ADAM)
        o->optimiser = LEAT_FIT_ADAMW;
    if (o->weight_decay < 0)
        o->weight_decay = !all || o->optimiser != LEAT_FIT_ADAMW ? 0 : few ? 3 : heavy ? 1 : 0;
    if (o->validation < 0)
        o->validation = !all && o->patience <= 0 ? 0 : rows >= ROWS_FOR_TENTH ? 0.1 : rows >= ROWS_TO_HOLD ? 0.2 : 0;
    if (o->batch < 0)
        o->batch = all && rows < SMALL_TABLE ? 64 : 256;
    if (o->ema < 0)
        o->ema = all ? 0.999 : 0;
    int64_t trained = rows - (int64_t)rint(o->validation * (double)rows), steps = (trained + o->batch - 1) / o->batch;
    if (all)
        o->epochs = between(o->warmup + LEAST_EPOCHS, STEPS / (steps ? steps : 1), MOST_EPOCHS);
    if (o->patience < 0)
        o->patience = all && o->validation > 0 && o->epochs >= 10 ? between(10, o->epochs / 5, 20) : 0;
    if (all && o->schedule == APP_SCHEDULE_CONSTANT)
        o->schedule = APP_SCHEDULE_COSINE;
}

void app_train_choose(app_run *r, app_training *s)
{
    int64_t rows = r->data.x.rows, columns = r->data.x.columns;
    bool all = s->train.epochs < 0;
    int kind = app_model_kind(&s->model, columns);
    if (r->data.heavy)
        s->model.base = "student-t";
    choose_run(&s->train, rows, columns, app_base_is_heavy(s->model.base));
    if (all && rows < SMALL_TABLE && s->model.hidden.count == 0 && s->model.preset == 0)
        s->model.hidden = (app_sizes){ 2, { 64, 64 } };
    if (!all || s->train.quiet)
        return;
    app_say(r->job->program->name, "%lld rows of %lld column%s: %s, at most %lld epochs in batches of %lld%s%s%s",
            (long long)rows, (long long)columns, columns == 1 ? "" : "s",
            kind == APP_NSF       ? "autoregressive splines (nsf)"
            : kind == APP_REALNVP ? "affine couplings (realnvp)"
                                  : "the model that was asked for",
            (long long)s->train.epochs, (long long)s->train.batch,
            s->train.schedule == APP_SCHEDULE_COSINE ? ", cosine" : "", s->train.ema > 0 ? ", weights averaged" : "",
            s->train.weight_decay > 0 ? ", weights decay (adamw)" : "");
    if (s->train.patience > 0)
        app_say(
            r->job->program->name,
            "%g %% of the rows are held out; the weights that are best on them stay, and %lld epochs without better "
            "ones end the run",
            100 * s->train.validation, (long long)s->train.patience);
}
