/* A training program from its options to its exit code. Whatever can be refused is refused before training. */
#include "stop.h"
#include "streams.h"
#include "text.h"
#include "train_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- options that do not fit together ---------------------------------------------------------------------------- */

static int wrong_usage(const app_program *p, const char *what)
{
    fprintf(stderr, "%s: %s (--help lists the options)\n", p->name, what);
    return 2;
}

static int check_usage(const app_train_job *job, double *noise)
{
    const app_program *p = job->program;
    const app_training *all = job->settings;
    const app_train_settings *o = &all->train;
    bool images = job->model_path == NULL && o->data && app_train_on_images(job);
    const char *base = app_base_refuse(all->model.base, o->context != NULL);
    *noise = (double)NAN;
    if (o->noise && (!app_number_read(o->noise, strlen(o->noise), noise) || !(*noise >= 0) || isinf(*noise)))
        return wrong_usage(p, "--noise must be a number, 0 or above");
    if (base)
        return wrong_usage(p, base);
    if (!(o->validation < 1))
        return wrong_usage(p, "--validation must be below 1");
    if (!o->data)
        return wrong_usage(p, "--data says which images to train on");
    if (o->patience > 0 && o->validation == 0 && !images)
        return wrong_usage(p, "--patience needs --validation");
    if (o->standardize && o->no_standardize)
        return wrong_usage(p, "--standardize and --no-standardize exclude each other");
    if (o->no_standardize && (o->bounds || o->integer))
        return wrong_usage(p, "--bounds and --integer need standardizing");
    if (!(o->ema < 1))
        return wrong_usage(p, "--ema must be below 1");
    if (o->schedule == APP_SCHEDULE_WARMUP_COSINE && o->epochs >= 0 && o->warmup >= o->epochs)
        return wrong_usage(p, "--warmup must be less than --epochs");
    return -1;
}

/* ---- model and fit ----------------------------------------------------------------------------------------------- */

/* Schedules count steps; the program's numbers are epochs. */
static const leat_schedule *make_schedule(app_run *r, int64_t steps)
{
    const app_train_settings *o = r->o;
    int64_t warmup = o->warmup * steps, all = o->epochs * steps;
    double factor = o->lr_factor;
    leat_schedule *s = r->schedule;
    switch (o->schedule) {
    case APP_SCHEDULE_COSINE:
        s[0] = (leat_schedule){ LEAT_COSINE, .steps = all, .value = factor };
        return s;
    case APP_SCHEDULE_WARMUP:
        s[0] = (leat_schedule){ LEAT_WARMUP, .steps = warmup };
        return s;
    case APP_SCHEDULE_WARMUP_COSINE:
        s[0] = (leat_schedule){ LEAT_WARMUP, .steps = warmup };
        s[1] = (leat_schedule){ LEAT_COSINE, .steps = all - warmup, .value = factor };
        r->schedule_whole = (leat_schedule){ LEAT_THEN, .steps = warmup, .first = &s[0], .second = &s[1] };
        return &r->schedule_whole;
    case APP_SCHEDULE_STEP:
        s[0] = (leat_schedule){ LEAT_STEP, .steps = o->step_epochs * steps, .value = factor > 0 ? factor : 0.1 };
        return s;
    case APP_SCHEDULE_EXPONENTIAL:
        s[0] = (leat_schedule){ LEAT_STEP, .steps = steps, .value = factor > 0 ? factor : 0.95 };
        return s;
    default:
        return NULL;
    }
}

/* Whether --minutes are over when so many seconds more have passed. */
static bool time_is_up(app_run *r, double more)
{
    double limit = 60 * r->o->minutes;
    r->out_of_time = r->out_of_time || (limit > 0 && app_progress_now() - r->started + more > limit);
    return r->out_of_time;
}

/* After the first steps of a long run: how long it will take, by those but the first. A row that is scored takes about
 * a third of the time of one that is trained on. */
static void forecast(app_run *r, const leat_step_report *report)
{
    enum { STEPS = 20, WORTH_IT = 60 };
    const app_progress *p = &r->progress;
    int64_t done = p->done - p->skipped;
    char text[APP_TIME_TEXT];
    if (done == 1)
        r->first_step = app_progress_now();
    if (done != STEPS || r->o->quiet)
        return;
    leat_fit_state s = leat_fit_get_state(r->fit);
    double took = app_progress_now() - r->first_step, step = took / (STEPS - 1);
    double scored = (double)((r->o->epochs - s.epoch) * s.validation_rows) / (3 * (double)r->o->batch);
    double left = step * ((double)(p->total - p->done) + scored);
    if (left < WORTH_IT)
        return;
    app_progress_clear(&r->progress);
    app_say(r->job->program->name, "%d steps took %.1f seconds: the rest of %lld epochs of %lld steps takes about %s%s",
            STEPS - 1, took, (long long)r->o->epochs, (long long)report->steps, app_time_text(left, text),
            r->o->minutes > 0 && left > 60 * r->o->minutes ? ", and --minutes ends it before" : "");
}

static bool after_step(void *user, leat_fit *f, const leat_step_report *report)
{
    (void)f;
    app_run *r = user;
    app_progress_step(&r->progress, r->images ? app_train_bits(r, report->loss) : report->loss);
    forecast(r, report);
    return !app_stop_requested() && !time_is_up(r, 0);
}

/* A checkpoint that cannot be written ends no run that took hours. */
static void save_sometimes(app_run *r, int64_t epoch)
{
    leat_status s = { 0 };
    int64_t every = r->o->checkpoint_every;
    if (every > 0 && (epoch % every == 0 || leat_fit_get_state(r->fit).done) && app_train_write_checkpoint(r, &s))
        app_say(r->job->program->name, "the checkpoint was not saved: %s", s.message);
}

static void print_epoch(const app_run *r, const leat_epoch_report *report)
{
    double loss = r->images ? app_train_bits(r, report->loss) : report->loss;
    double validation = r->images ? app_train_bits(r, report->validation) : report->validation;
    printf("Epoch %lld, Loss: %.4f", (long long)report->epoch, loss);
    if (!isnan(report->validation))
        printf(", Validation: %.4f", validation);
    if (r->images)
        printf(" bits per dimension, %.0f s", r->seconds[report->epoch - 1]);
    printf("\n");
    fflush(stdout);
}

static bool after_epoch(void *user, leat_fit *f, const leat_epoch_report *report)
{
    app_run *r = user;
    double now = app_progress_now(), length = now - r->epoch_began;
    app_progress_clear(&r->progress);
    app_train_mark_time(r, report->epoch - 1);
    if (!r->o->quiet)
        print_epoch(r, report);
    if (r->images)
        app_train_image_epoch(r);
    r->mark = app_progress_now();
    save_sometimes(r, report->epoch);
    r->epoch_began = app_progress_now();
    return !app_stop_requested() && !(!leat_fit_get_state(f).done && time_is_up(r, length));
}

static leat_fit_opts fit_options(app_run *r)
{
    const app_train_settings *o = r->o;
    const app_image_data *m = r->images;
    return (leat_fit_opts){ .doubles = r->data.x,
                            .bytes = { m ? m->all.pixels : NULL, r->data.x.rows, r->data.x.columns },
                            .held_last = m ? m->held : r->held_last,
                            .context = r->classes,
                            .context_doubles = r->data.context,
                            .validation = o->validation,
                            .epochs = o->epochs,
                            .batch = o->batch,
                            .patience = o->patience,
                            .optimiser = (leat_fit_optimiser)o->optimiser,
                            .lr = o->lr,
                            .weight_decay = o->weight_decay,
                            .clip = o->clip,
                            .ema = o->ema,
                            .seed = (uint64_t)o->seed,
                            .on_step = after_step,
                            .on_epoch = after_epoch,
                            .user = r };
}

static leat_code make_fit(app_run *r)
{
    leat_fit_opts opts = fit_options(r);
    opts.schedule = make_schedule(r, leat_fit_steps(&opts));
    r->fit = leat_fit_new(r->flow, &opts);
    const leat_status *s = leat_fit_status(r->fit);
    return leat_fail(&r->status, s->code, "%s", s->message);
}

/* Which rows are held out, of which nothing may be known; NULL, and a failed model. */
static bool *find_held(app_run *r)
{
    leat_fit_opts opts = fit_options(r);
    bool *held = leat_arena_alloc(&r->arena, (size_t)r->data.x.rows * sizeof *held);
    if (held && !leat_fit_held(&opts, held))
        return held;
    leat_model_fail(r->model, LEAT_ENOMEM, "out of memory for the choice of rows");
    return NULL;
}

static void standardize(app_run *r, const bool *held)
{
    leat_flow_standardize_doubles(
        r->flow, r->data.x,
        &(leat_standardize_opts){ .context = r->data.context,
                                  .left_out = held,
                                  .lower = r->data.lower,
                                  .upper = r->data.upper,
                                  .whole = r->data.whole,
                                  .by_quartiles = app_base_is_heavy(r->job->settings->model.base) });
}

/* A base that was asked for starts where the untrained flow takes the data: at some thousands of rows, evenly chosen. */
static leat_code start_base(app_run *r, const bool *held)
{
    enum { MOST = 8192 };
    leat_doubles x = r->data.x, c = r->data.context, some = { .columns = x.columns }, given = { .columns = c.columns };
    int64_t step = x.rows / MOST + 1, most = x.rows / step + 1;
    leat_arena scratch;
    leat_arena_init(&scratch, NULL);
    some.data = leat_arena_alloc(&scratch, (size_t)(most * x.columns) * sizeof *some.data);
    given.data = c.data ? leat_arena_alloc(&scratch, (size_t)(most * c.columns) * sizeof *given.data) : NULL;
    leat_tensor z = leat_tensor_new(&scratch, LEAT_SHAPE(most, x.columns), NULL);
    bool ok = some.data && z.data && (!c.data || given.data);
    if (!ok)
        leat_model_fail(r->model, LEAT_ENOMEM, "out of memory for the start of the base");
    for (int64_t i = 0; ok && i < x.rows; i += step) {
        if (held[i])
            continue;
        memcpy(some.data + some.rows++ * x.columns, x.data + i * x.columns, (size_t)x.columns * sizeof *x.data);
        if (c.data)
            memcpy(given.data + given.rows++ * c.columns, c.data + i * c.columns, (size_t)c.columns * sizeof *c.data);
    }
    z.shape.size[0] = some.rows;
    leat_code code = leat_model_code(r->model);
    if (!code && (code = leat_flow_encode_doubles(r->flow, r->tape, some, given, z.data, NULL)))
        leat_model_fail(r->model, code, "%s", leat_tape_errmsg(r->tape));
    if (!code && some.rows)
        leat_base_start(leat_flow_base(r->flow), z);
    leat_arena_free(&scratch);
    return leat_model_code(r->model);
}

leat_code app_train_make(app_run *r)
{
    const app_train_settings *o = r->o;
    int64_t context = r->data.context.data ? r->data.context.columns : 0;
    r->model = leat_model_new(&(leat_model_opts){ .seed = (uint64_t)o->seed, .threads = (int)o->threads });
    if (!r->model)
        return leat_fail(&r->status, LEAT_ENOMEM, "out of memory for a model");
    r->flow = r->images ? app_image_model_build(r->model, r->job, &r->images->all, r->images->classes, &r->status)
                        : app_model_build(r->model, r->data.x.columns, context, &r->job->settings->model);
    if (r->status.code)
        return r->status.code;
    bool *held = r->images ? NULL : find_held(r);
    if (held && (o->standardize || (r->data.table && !o->no_standardize)))
        standardize(r, held);
    leat_flow_set_recompute(r->flow, (leat_recompute)o->recompute);
    r->tape = leat_model_tape(r->model, NULL);
    if (leat_model_seal(r->model) || (held && r->job->settings->model.base && start_base(r, held)))
        return leat_fail(&r->status, leat_model_code(r->model), "%s", leat_model_errmsg(r->model));
    if (make_fit(r))
        return r->status.code;
    if (o->resume && !leat_fit_resume(r->fit, o->resume, &r->status) && r->images)
        app_train_read_seconds(r, o->resume);
    return r->status.code;
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static void tell_early_stop(const app_run *r)
{
    leat_fit_state s = leat_fit_get_state(r->fit);
    if (s.out_of_patience && !r->o->quiet)
        fprintf(stderr, "no better validation loss for %lld epochs: stopped with the weights of epoch %lld\n",
                (long long)r->o->patience, (long long)s.best_epoch);
}

static leat_code train(app_run *r)
{
    struct timespec start, end;
    leat_fit_state s = leat_fit_get_state(r->fit);
    clock_gettime(CLOCK_MONOTONIC, &start);
    r->started = r->epoch_began = r->mark = app_progress_now();
    app_progress_start(&r->progress, r->o->epochs * s.steps, r->o->quiet);
    app_progress_skip(&r->progress, s.epoch * s.steps + s.step);
    app_stop_begin();
    leat_fit_run(r->fit);
    app_stop_end();
    app_progress_clear(&r->progress);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (getenv("LEAT_TIMING"))
        fprintf(stderr, "training seconds: %.3f\n",
                (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec));
    const leat_status *why = leat_fit_status(r->fit);
    return leat_fail(&r->status, why->code, "%s", why->message);
}

/* Stopped by a signal, or in time: false if there is no checkpoint now. */
static bool save_and_tell(app_run *r)
{
    leat_fit_state s = leat_fit_get_state(r->fit);
    const char *name = r->job->program->name;
    if (app_train_write_checkpoint(r, &r->status)) {
        app_say(name, "stopped, and the checkpoint was not saved: %s", r->status.message);
        return false;
    }
    const char *command =
        app_resume_command(&r->arena, r->job->command, r->job->argc, r->job->argv, r->paths.checkpoint);
    fprintf(stderr, "%s: stopped at step %lld of epoch %lld; to go on: %s\n", name, (long long)s.step,
            (long long)s.epoch + 1, command ? command : r->paths.checkpoint);
    return true;
}

/* The run failed: what weights there are go beside the model, which stays what it was. */
static void save_failed(app_run *r)
{
    leat_status saving = { 0 };
    const char *name = r->job->program->name;
    if (!leat_fit_get_state(r->fit).sound)
        app_say(name, "%s; nothing is saved", r->status.message);
    else if (app_train_write_model(r, r->paths.failed, &saving))
        app_say(name, "%s; and %s", r->status.message, saving.message);
    else
        app_say(name, "%s; the last weights with a finite loss are in %s", r->status.message, r->paths.failed);
}

/* The exit code. */
static int run(app_run *r, app_training *settings)
{
    if (app_train_on_images(r->job) && !r->job->model_path)
        app_train_load_images(r);
    else if (!app_train_load(r)) {
        app_train_choose(r, settings);
        if (r->job->settings->train.folds > 0 || (r->job->model_path && r->o->minutes > 0))
            app_train_search(r, settings);
    }
    if (!r->status.code && !app_train_make(r) && !app_train_prepare(r)) {
        for (const app_note *note = r->notes; note; note = note->next)
            app_say(r->job->program->name, "%s", note->line);
        if (train(r)) {
            save_failed(r);
            return 1;
        }
        leat_fit_state s = leat_fit_get_state(r->fit);
        if (s.stopped && !s.done) {
            if (!save_and_tell(r) || !r->out_of_time || app_stop_requested())
                return r->status.code ? 1 : APP_STOPPED;
            leat_fit_use_best(r->fit, true);
        }
        tell_early_stop(r);
        if (!app_train_write_model(r, r->paths.model, &r->status))
            app_train_write_results(r);
    }
    if (r->status.code)
        app_say(r->job->program->name, "%s", r->status.message);
    return r->status.code ? 1 : 0;
}

int app_train(const app_train_job *job)
{
    app_training settings = *job->settings; /* as they are chosen */
    app_train_job own = *job;
    own.settings = &settings;
    app_run r = { .job = &own, .o = &settings.train };
    int exit_code = check_usage(job, &r.noise);
    if (exit_code >= 0)
        return exit_code;
    leat_arena_init(&r.arena, NULL);
    exit_code = run(&r, &settings);
    leat_model_free(r.model);
    leat_arena_free(&r.arena);
    return exit_code;
}

int app_train_main(const app_program *program, int kind, int argc, char **argv)
{
    app_training o = { 0 };
    app_begin();
    int exit_code = app_options_parse(program, argc, argv, &o, NULL);
    o.model.kind = kind;
    if (exit_code < 0)
        exit_code = app_train(&(app_train_job){ .program = program, .settings = &o, .argc = argc, .argv = argv });
    return app_end(program->name, exit_code);
}
