/* The files of a training program: the model with the record of its training, losses, samples, pictures, checkpoint. */
#include "../pictures/plot.h"
#include "train_run.h"

#include "../../tensor/files/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REAL_POINTS_SHOWN = 1000 };

/* ---- places ------------------------------------------------------------------------------------------------------ */

/* Makes a file beside `path` to see that one can. */
static leat_code probe(app_run *r, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return leat_fail(&r->status, LEAT_EIO, "%s: cannot write the model: it is a folder", path);
    const char *slash = strrchr(path, '/');
    const char *name =
        leat_arena_format(&r->arena, "%.*s.probe-%ld", slash ? (int)(slash - path) + 1 : 0, path, (long)getpid());
    if (!name)
        return leat_fail(&r->status, LEAT_ENOMEM, "out of memory");
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (fd < 0)
        return leat_fail(&r->status, LEAT_EIO, "%.*s: cannot write into the folder: %s",
                         slash ? (int)(slash - path) : 1, slash ? path : ".", strerror(errno));
    close(fd);
    unlink(name);
    return LEAT_OK;
}

static const char *in_folder(app_run *r, const char *name)
{
    return leat_arena_format(&r->arena, "%s/%s", r->o->out, name);
}

/* moons.safetensors -> moons.checkpoint.safetensors */
static const char *beside(app_run *r, const char *model)
{
    static const char suffix[] = ".safetensors";
    size_t size = strlen(model), tail = sizeof suffix - 1;
    bool has = size > tail && strcmp(model + size - tail, suffix) == 0;
    return leat_arena_format(&r->arena, "%.*s.checkpoint%s", (int)(has ? size - tail : size), model, suffix);
}

leat_code app_train_prepare(app_run *r)
{
    app_train_paths *p = &r->paths;
    if (r->job->model_path) {
        *p = (app_train_paths){ .model = r->job->model_path, .checkpoint = beside(r, r->job->model_path) };
        if (!p->checkpoint)
            return leat_fail(&r->status, LEAT_ENOMEM, "out of memory");
        return probe(r, p->model);
    }
    if (mkdir(r->o->out, 0777) && errno != EEXIST)
        return leat_fail(&r->status, LEAT_EIO, "%s: cannot make the folder: %s", r->o->out, strerror(errno));
    *p = (app_train_paths){ .model = in_folder(r, "model.safetensors"),
                            .checkpoint = in_folder(r, "checkpoint.safetensors"),
                            .losses = in_folder(r, "loss.csv"),
                            .samples = in_folder(r, "samples.npy"),
                            .png = in_folder(r, "samples.png"),
                            .svg = in_folder(r, "samples.svg") };
    if (!p->model || !p->checkpoint || !p->losses || !p->samples || !p->png || !p->svg)
        return leat_fail(&r->status, LEAT_ENOMEM, "out of memory");
    return probe(r, p->model);
}

/* ---- the record of the training ---------------------------------------------------------------------------------- */

/* What has no part in the result is left out, so that equal models are equal files. */
static bool is_recorded(const char *name)
{
    static const char *const left_out[] = { "quiet", "threads", "out", "resume", "checkpoint-every",
                                            "draw",  "noise" /* told apart */ };
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

static void put_option(leat_json_writer *w, const app_option *o, const void *settings)
{
    const char *field = (const char *)settings + o->offset;
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
            leat_json_put_text(w, text);
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
    leat_json_put_text(&w, r->o->data);
    put_number(&w, "noise", r->noise);
    put_losses(&w, &state);
    leat_json_key(&w, "failed");
    if (r->status.code)
        leat_json_put_text(&w, r->status.message);
    else
        leat_json_put_null(&w);
    leat_json_key(&w, "options");
    leat_json_open(&w, '{');
    for (int i = 0; i < p->option_count; i++) {
        if (is_recorded(p->options[i].name)) {
            leat_json_key(&w, p->options[i].name);
            put_option(&w, &p->options[i], r->job->settings);
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

enum { MOST_METADATA = 4 };
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
        count = add_pair(pairs, count, "columns", names_text(r, d->columns, d->x.shape.size[1], s));
    if (d->context_columns)
        count =
            add_pair(pairs, count, "context_columns", names_text(r, d->context_columns, d->context.shape.size[1], s));
    return count;
}

/* ---- model, losses, checkpoint ----------------------------------------------------------------------------------- */

static leat_code write_losses(app_run *r, leat_status *s)
{
    static const char *const columns[] = { "epoch", "loss", "validation" };
    leat_fit_state state = leat_fit_get_state(r->fit);
    int64_t width = state.validation_rows ? 3 : 2;
    leat_tensor losses = leat_tensor_new(&r->arena, LEAT_SHAPE(state.epoch, width), s);
    if (!losses.data)
        return LEAT_ENOMEM;
    for (int64_t i = 0; i < state.epoch; i++) {
        const leat_epoch_report *e = &state.history[i];
        const double row[] = { (double)e->epoch, e->loss, e->validation };
        for (int64_t j = 0; j < width; j++)
            losses.data[i * width + j] = (leat_real)row[j];
    }
    return leat_table_write(r->paths.losses, columns, &losses, s);
}

leat_code app_train_write_model(app_run *r, leat_status *s)
{
    text_pair pairs[MOST_METADATA];
    int64_t count = list_metadata(r, pairs, s);
    if (s->code)
        return s->code;
    leat_flow_save(r->flow, r->paths.model, count, pairs, s);
    if (r->paths.losses)
        write_losses(r, s);
    return s->code;
}

leat_code app_train_write_checkpoint(app_run *r, leat_status *s)
{
    text_pair pairs[MOST_METADATA];
    leat_arena_mark mark = leat_arena_save(&r->arena);
    int64_t count = list_metadata(r, pairs, s);
    if (!s->code)
        leat_fit_save(r->fit, r->paths.checkpoint, count, pairs, s);
    leat_arena_restore(&r->arena, mark);
    return s->code;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

/* Rows of both, side by side; the second may be missing. */
static void join(leat_real *out, const leat_tensor *a, const leat_tensor *b, int64_t rows)
{
    int64_t left = a->shape.size[1], right = b->data ? b->shape.size[1] : 0;
    for (int64_t i = 0; i < rows; i++, out += left + right) {
        memcpy(out, a->data + i * left, (size_t)left * sizeof *out);
        if (right)
            memcpy(out + left, b->data + i * right, (size_t)right * sizeof *out);
    }
}

/* Row i given the context of the data's row i, from the first again behind the last; both side by side. */
static leat_code draw_given(app_run *r, leat_tensor *out)
{
    leat_tensor all = r->data.context;
    int64_t n = r->o->draw, rows = all.shape.size[0], width = all.shape.size[1], dim = r->data.x.shape.size[1];
    leat_tensor x = leat_tensor_new(&r->arena, LEAT_SHAPE(n, dim), &r->status);
    leat_tensor given = leat_tensor_new(&r->arena, LEAT_SHAPE(n, width), &r->status);
    *out = leat_tensor_new(&r->arena, LEAT_SHAPE(n, dim + width), &r->status);
    if (r->status.code)
        return r->status.code;
    for (int64_t i = 0; i < n; i++)
        memcpy(given.data + i * width, all.data + i % rows * width, (size_t)width * sizeof(leat_real));
    if (leat_flow_draw_rows(r->flow, r->tape, 0, n, 1, given, x.data))
        return leat_fail(&r->status, leat_tape_code(r->tape), "drawing samples: %s", leat_tape_errmsg(r->tape));
    join(out->data, &x, &given, n);
    return LEAT_OK;
}

static leat_code draw_samples(app_run *r, leat_tensor *samples)
{
    if (r->data.context.data)
        return draw_given(r, samples);
    *samples = leat_tensor_new(&r->arena, LEAT_SHAPE(r->o->draw, r->data.x.shape.size[1]), &r->status);
    if (samples->data && leat_flow_draw(r->flow, r->tape, r->o->draw, 1, samples->data))
        leat_fail(&r->status, leat_tape_code(r->tape), "drawing samples: %s", leat_tape_errmsg(r->tape));
    return r->status.code;
}

/* The first rows of the data, with their context behind them. */
static leat_code real_points(app_run *r, leat_tensor *out)
{
    const leat_tensor *x = &r->data.x, *c = &r->data.context;
    int64_t rows = x->shape.size[0] < REAL_POINTS_SHOWN ? x->shape.size[0] : REAL_POINTS_SHOWN;
    int64_t width = x->shape.size[1] + (c->data ? c->shape.size[1] : 0);
    *out = leat_tensor_new(&r->arena, LEAT_SHAPE(rows, width), &r->status);
    if (out->data)
        join(out->data, x, c, rows);
    return r->status.code;
}

/* The notebook's scatter plot, of the first two features (or of a single one and the first of its context). */
static leat_code write_picture(app_run *r, leat_tensor samples)
{
    leat_tensor real;
    if (real_points(r, &real))
        return r->status.code;
    const app_series series[] = { { .label = "Generated", .points = samples },
                                  { .label = "Real Data", .points = real } };
    app_plot plot = { .series = series, .series_count = 2 };
    if (!app_plot_write(r->paths.png, &plot, &r->status) && !app_plot_write(r->paths.svg, &plot, &r->status) &&
        !r->o->quiet) {
        char full[PATH_MAX];
        fprintf(stderr, "%s\n", realpath(r->paths.png, full) ? full : r->paths.png);
    }
    return r->status.code;
}

leat_code app_train_write_samples(app_run *r)
{
    leat_tensor samples;
    if (!r->paths.samples)
        return LEAT_OK;
    if (draw_samples(r, &samples) || leat_npy_write(r->paths.samples, &samples, &r->status))
        return r->status.code;
    return write_picture(r, samples);
}
