/* The files of a training program: the model with the record of its training, losses, samples, pictures, checkpoint. */
#include "../pictures/plot.h"
#include "flow_rows.h"
#include "streams.h"
#include "train_run.h"

#include "../../tensor/files/files.h"
#include "../../tensor/files/json.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { REAL_POINTS_SHOWN = 1000 };

/* ---- places ------------------------------------------------------------------------------------------------------ */

/* Begins to write every file, and none takes the place of what is there; then writes the model to nowhere. So whatever
 * can be wrong with a name or a text is told before the first epoch. */
static leat_code rehearse(app_run *r)
{
    const app_train_paths *p = &r->paths;
    const char *const outs[] = { p->model, p->failed,         p->losses,        p->samples,      p->png,
                                 p->svg,   p->reconstruction, p->interpolation, p->temperatures, p->checkpoint };
    const char *const inputs[] = { r->data.table || r->images ? r->o->data : NULL, r->o->resume };
    int count = (int)(sizeof outs / sizeof *outs);
    for (int i = 0; i < count; i++) { /* a checkpoint may take the place of that which it goes on from */
        if (outs[i] && app_refuse_input(outs[i], inputs, i + 1 < count ? 2 : 1, &r->status))
            return r->status.code;
    }
    for (int i = 0; i < count; i++) {
        struct stat st;
        leat_file_out f;
        if (!outs[i] || (stat(outs[i], &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
            continue; /* a pipe is opened once */
        if (leat_file_begin(&f, outs[i], &r->status))
            return r->status.code;
        leat_file_cancel(&f);
    }
    if (!app_train_write_model(r, "/dev/null", &r->status) && r->latin1 && !r->o->quiet)
        app_say(r->job->program->name, "warning: names that are not UTF-8 are taken as Latin-1");
    return r->status.code;
}

static const char *in_folder(app_run *r, const char *name)
{
    return leat_arena_format(&r->arena, "%s/%s", r->o->out, name);
}

/* moons.safetensors -> moons.checkpoint.safetensors */
static const char *beside(app_run *r, const char *model, const char *word)
{
    static const char suffix[] = ".safetensors";
    size_t size = strlen(model), tail = sizeof suffix - 1;
    bool has = size > tail && strcmp(model + size - tail, suffix) == 0;
    return leat_arena_format(&r->arena, "%.*s.%s%s", (int)(has ? size - tail : size), model, word, suffix);
}

leat_code app_train_prepare(app_run *r)
{
    app_train_paths *p = &r->paths;
    if (r->job->model_path) {
        p->model = r->job->model_path;
        p->checkpoint = beside(r, p->model, "checkpoint");
        p->failed = beside(r, p->model, "failed");
        return p->checkpoint && p->failed ? rehearse(r) : leat_fail(&r->status, LEAT_ENOMEM, "out of memory");
    }
    if (mkdir(r->o->out, 0777) && errno != EEXIST)
        return leat_fail(&r->status, LEAT_EIO, "%s: cannot make the folder: %s", r->o->out, strerror(errno));
    struct stat out, data;
    if (r->images && stat(r->o->out, &out) == 0 && stat(r->o->data, &data) == 0 && out.st_dev == data.st_dev &&
        out.st_ino == data.st_ino)
        return leat_fail(&r->status, LEAT_EARG, "%s: it is the folder of the images, among which results would lie",
                         r->o->out);
    *p = (app_train_paths){ .model = in_folder(r, "model.safetensors"),
                            .failed = in_folder(r, "model.failed.safetensors"),
                            .checkpoint = in_folder(r, "checkpoint.safetensors"),
                            .losses = in_folder(r, "loss.csv"),
                            .png = in_folder(r, "samples.png") };
    bool whole = p->model && p->failed && p->checkpoint && p->losses && p->png;
    if (r->images) {
        p->reconstruction = in_folder(r, "reconstruction.png");
        p->interpolation = in_folder(r, "interpolation.png");
        p->temperatures = in_folder(r, "temperatures.png");
        whole = whole && p->reconstruction && p->interpolation && p->temperatures;
    } else {
        p->samples = in_folder(r, "samples.npy");
        p->svg = in_folder(r, "samples.svg");
        whole = whole && p->samples && p->svg;
    }
    if (!whole)
        return leat_fail(&r->status, LEAT_ENOMEM, "out of memory");
    return rehearse(r);
}

/* ---- the record of the training ---------------------------------------------------------------------------------- */

/* What has no part in the result is left out, so that equal models are equal files. */
static bool is_recorded(const char *name)
{
    static const char *const left_out[] = {
        "quiet", "threads", "out", "resume", "checkpoint-every", "draw", "noise" /* told apart */, "minutes"
    };
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
        if (strcmp(name, left_out[i]) == 0)
            return false;
    return true;
}

static void put_words(leat_json_writer *w, const char *words, int choice)
{
    char word[40];
    while (choice-- > 0)
        words = strchr(words, '|') + 1;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(words, "|"), words);
    leat_json_put_text(w, word);
}

/* A text from the command line. */
static void put_text(app_run *r, leat_json_writer *w, const char *text)
{
    const char *utf8 = leat_utf8_text(&r->arena, text);
    r->latin1 = r->latin1 || utf8 != text;
    if (utf8)
        leat_json_put_text(w, utf8);
    else
        *w = (leat_json_writer){ .code = LEAT_ENOMEM, .reason = "out of memory" };
}

static void put_option(app_run *r, leat_json_writer *w, const app_option *o)
{
    const char *field = (const char *)r->job->settings + o->offset;
    const app_sizes *sizes = (const void *)field;
    const char *text = NULL;
    switch (o->kind) {
    case APP_KIND_INTEGER:
        if (o->fallback || *(const int64_t *)(const void *)field)
            leat_json_put_int(w, *(const int64_t *)(const void *)field);
        else
            leat_json_put_null(w); /* what was not given is the model's own */
        break;
    case APP_KIND_POSITIVE:
    case APP_KIND_NONNEGATIVE:
        leat_json_put_number(w, *(const double *)(const void *)field);
        break;
    case APP_KIND_STRING:
        memcpy(&text, field, sizeof text);
        if (text)
            put_text(r, w, text);
        else
            leat_json_put_null(w);
        break;
    case APP_KIND_CHOICE:
        put_words(w, o->words, *(const int *)(const void *)field);
        break;
    case APP_KIND_SIZES:
        leat_json_open(w, '[');
        for (int64_t i = 0; i < sizes->count; i++)
            leat_json_put_int(w, sizes->size[i]);
        leat_json_close(w, ']');
        break;
    case APP_KIND_FLAG:
        leat_json_put_bool(w, *(const bool *)(const void *)field);
        break;
    }
}

static void put_count(leat_json_writer *w, const char *key, int64_t n)
{
    leat_json_key(w, key);
    leat_json_put_int(w, n);
}

static void put_number(leat_json_writer *w, const char *key, double x)
{
    leat_json_key(w, key);
    if (isfinite(x))
        leat_json_put_number(w, x);
    else
        leat_json_put_null(w);
}

static void put_losses(leat_json_writer *w, const leat_fit_state *s)
{
    put_count(w, "rows", s->rows);
    put_count(w, "validation_rows", s->validation_rows);
    put_count(w, "epochs", s->epoch);
    if (s->epoch > 0) {
        put_number(w, "loss", s->history[s->epoch - 1].loss);
        put_number(w, "validation_loss", s->history[s->epoch - 1].validation);
    }
    if (s->best_epoch > 0) {
        put_count(w, "best_epoch", s->best_epoch);
        put_number(w, "best_validation_loss", s->history[s->best_epoch - 1].validation);
    }
}

static const char *finish_text(leat_json_writer *w, leat_status *s)
{
    char *text;
    size_t size;
    return leat_json_finish(w, &text, &size, s) ? NULL : text;
}

static const char *training_text(app_run *r, leat_status *s)
{
    const app_program *p = r->job->program;
    leat_fit_state state = leat_fit_get_state(r->fit);
    leat_json_writer w = leat_json_writer_new(&r->arena);
    leat_json_open(&w, '{');
    leat_json_key(&w, "program");
    leat_json_put_text(&w, p->name);
    leat_json_key(&w, "leat");
    leat_json_put_text(&w, LEAT_VERSION);
    leat_json_key(&w, "data");
    put_text(r, &w, r->o->data);
    put_number(&w, "noise", r->noise);
    leat_json_key(&w, "model");
    put_words(&w, APP_MODEL_WORDS, app_model_kind(&r->job->settings->model, r->data.x.columns));
    put_losses(&w, &state);
    if (r->test > 0)
        put_number(&w, "test_bits_per_dimension", r->test);
    leat_json_key(&w, "failed");
    if (r->status.code)
        put_text(r, &w, r->status.message);
    else
        leat_json_put_null(&w);
    leat_json_key(&w, "options");
    leat_json_open(&w, '{');
    for (int i = 0; i < p->option_count; i++) {
        if (is_recorded(p->options[i].name)) {
            leat_json_key(&w, p->options[i].name);
            put_option(r, &w, &p->options[i]);
        }
    }
    leat_json_close(&w, '}');
    leat_json_close(&w, '}');
    return finish_text(&w, s);
}

static const char *names_text(app_run *r, const char *const *names, int64_t count, leat_status *s)
{
    leat_json_writer w = leat_json_writer_new(&r->arena);
    leat_json_open(&w, '[');
    for (int64_t i = 0; i < count; i++)
        leat_json_put_text(&w, names[i]);
    leat_json_close(&w, ']');
    return finish_text(&w, s);
}

enum { MOST_METADATA = 5 };
typedef const char *text_pair[2];

static int64_t add_pair(text_pair *pairs, int64_t count, const char *key, const char *text)
{
    pairs[count][0] = key;
    pairs[count][1] = text;
    return count + 1;
}

/* How many; the status tells a failure. */
static int64_t list_metadata(app_run *r, text_pair pairs[MOST_METADATA], leat_status *s)
{
    const app_train_data *d = &r->data;
    int64_t count = add_pair(pairs, 0, "leat", LEAT_VERSION);
    count = add_pair(pairs, count, "training", training_text(r, s));
    if (d->columns)
        count = add_pair(pairs, count, "columns", names_text(r, d->columns, d->x.columns, s));
    if (d->context_columns)
        count = add_pair(pairs, count, "context_columns", names_text(r, d->context_columns, d->context.columns, s));
    return count;
}

/* ---- model, losses, checkpoint ----------------------------------------------------------------------------------- */

static leat_code write_losses(app_run *r)
{
    static const char *const columns[] = { "epoch", "loss", "validation" };
    leat_fit_state state = leat_fit_get_state(r->fit);
    int64_t width = state.validation_rows ? 3 : 2;
    leat_tensor losses = leat_tensor_new(&r->arena, LEAT_SHAPE(state.epoch, width), &r->status);
    if (!losses.data)
        return LEAT_ENOMEM;
    for (int64_t i = 0; i < state.epoch; i++) {
        const leat_epoch_report *e = &state.history[i];
        const double row[] = { (double)e->epoch, e->loss, e->validation };
        for (int64_t j = 0; j < width; j++)
            losses.data[i * width + j] = (leat_real)row[j];
    }
    return leat_table_write(r->paths.losses, columns, &losses, &r->status);
}

leat_code app_train_write_model(app_run *r, const char *path, leat_status *s)
{
    text_pair pairs[MOST_METADATA];
    int64_t count = list_metadata(r, pairs, s);
    if (s->code)
        return s->code;
    return leat_flow_save(r->flow, path, count, pairs, s);
}

leat_code app_train_write_checkpoint(app_run *r, leat_status *s)
{
    text_pair pairs[MOST_METADATA];
    leat_arena_mark mark = leat_arena_save(&r->arena);
    int64_t count = list_metadata(r, pairs, s);
    if (r->images && !s->code)
        count = add_pair(pairs, count, "seconds", app_train_seconds_text(r, s));
    if (!s->code)
        leat_fit_save(r->fit, r->paths.checkpoint, count, pairs, s);
    leat_arena_restore(&r->arena, mark);
    return s->code;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static leat_doubles doubles_new(app_run *r, int64_t rows, int64_t columns)
{
    leat_doubles d = { leat_arena_alloc(&r->arena, (size_t)(rows * columns) * sizeof(double)), rows, columns };
    if (!d.data)
        leat_fail(&r->status, LEAT_ENOMEM, "out of memory for samples");
    return d;
}

/* Rows of both, side by side, as many as `a` has; the second may be missing, and begins again behind its last row. */
static leat_doubles join(app_run *r, leat_doubles a, leat_doubles b)
{
    leat_doubles out = doubles_new(r, a.rows, a.columns + b.columns);
    for (int64_t i = 0; out.data && i < a.rows; i++) {
        double *row = out.data + i * out.columns;
        memcpy(row, a.data + i * a.columns, (size_t)a.columns * sizeof *row);
        if (b.data)
            memcpy(row + a.columns, b.data + i % b.rows * b.columns, (size_t)b.columns * sizeof *row);
    }
    return out;
}

/* Of a conditional flow row i is drawn given the context of the data's row i, from the first again behind the last, and
 * stands beside it. */
static leat_doubles draw_samples(app_run *r)
{
    leat_doubles x = doubles_new(r, r->o->draw, r->data.x.columns), context = r->data.context;
    if (context.data && x.data)
        context = join(r, (leat_doubles){ x.data, x.rows, 0 }, context);
    if (r->status.code || !x.data)
        return x;
    if (leat_flow_draw_rows_doubles(r->flow, r->tape, 0, x.rows, 1, context, x.data))
        leat_fail(&r->status, leat_tape_code(r->tape), "drawing samples: %s", leat_tape_errmsg(r->tape));
    return context.data ? join(r, x, context) : x;
}

static leat_code write_samples(app_run *r, leat_doubles samples)
{
    const leat_table_writer_opts opts = { .columns = samples.columns, .doubles = app_rows_are_doubles(r->flow) };
    leat_table_writer *w = leat_table_create(r->paths.samples, &opts, &r->status);
    if (w && app_flow_rows_append(w, r->flow, samples, &r->status)) {
        leat_table_discard(w);
        return r->status.code;
    }
    return w ? leat_table_commit(w, &r->status) : r->status.code;
}

/* The notebook's scatter plot, of the first two features (or of a single one and the first of its context). */
static leat_code write_picture(app_run *r, leat_doubles samples)
{
    leat_doubles first = r->data.x;
    first.rows = first.rows < REAL_POINTS_SHOWN ? first.rows : REAL_POINTS_SHOWN;
    leat_doubles real = join(r, first, r->data.context);
    if (r->status.code)
        return r->status.code;
    const app_series series[] = {
        { .label = "Generated", .points = app_to_reals(&r->arena, samples, samples.rows, &r->status) },
        { .label = "Real Data", .points = app_to_reals(&r->arena, real, real.rows, &r->status) },
    };
    if (r->status.code)
        return r->status.code;
    app_plot plot = { .series = series, .series_count = 2 };
    if (!app_plot_write(r->paths.png, &plot, &r->status) && !app_plot_write(r->paths.svg, &plot, &r->status) &&
        !r->o->quiet) {
        char full[PATH_MAX];
        fprintf(stderr, "%s\n", realpath(r->paths.png, full) ? full : r->paths.png);
    }
    return r->status.code;
}

leat_code app_train_write_results(app_run *r)
{
    if (!r->paths.losses)
        return LEAT_OK;
    if (r->images)
        return app_train_finish_images(r);
    if (write_losses(r))
        return r->status.code;
    leat_doubles samples = draw_samples(r);
    int64_t bad = r->status.code ? 0 : app_count_not_finite(samples);
    if (bad)
        leat_fail(&r->status, LEAT_ENONFINITE, "of %lld samples %lld have numbers that are not finite",
                  (long long)r->o->draw, (long long)bad);
    if (r->status.code || write_samples(r, samples))
        return r->status.code;
    return write_picture(r, samples);
}
