/*
 * Training on images: their sets, and what is written of them.
 *
 * After every epoch loss.csv and samples.png, of the same latents each time; at the end the test set's bits per
 * dimension, and pictures: images that were encoded and decoded again, ways between pairs of them through the latent
 * space, and draws at growing temperatures.
 */
#include "../pictures/image_grid.h"
#include "datasets.h"
#include "streams.h"
#include "train_run.h"

#include "../../tensor/files/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- the data ---------------------------------------------------------------------------------------------------- */

/* train_glow has no options of tables. */
bool app_train_on_images(const app_train_job *job)
{
    const char *data = job->settings->train.data;
    return job->settings->model.kind == APP_GLOW || (!app_data_find(data) && app_path_is_images(data));
}

leat_code app_train_load_images(app_run *r)
{
    const app_train_settings *o = r->o;
    app_image_data *d = leat_arena_alloc(&r->arena, sizeof *d);
    if (!d)
        return leat_fail(&r->status, LEAT_ENOMEM, "out of memory for images");
    if (o->table.columns || o->context || o->bounds || o->integer || o->standardize || o->validation > 0)
        return leat_fail(&r->status, LEAT_EARG,
                         "%s: --columns, --context, --bounds, --integer, --standardize and "
                         "--validation are for tables, and these are images",
                         o->data);
    if (app_image_data_read(o->data, &r->job->settings->image, (uint64_t)o->seed, &r->arena, d, &r->status))
        return r->status.code;
    r->noise = (double)NAN;
    r->images = d;
    r->data.x = (leat_doubles){ NULL, d->all.count, app_image_size(&d->all) };
    r->classes = app_class_rows(d->all.labels, d->all.count, d->classes, &r->arena, &r->status);
    r->seconds = leat_arena_zalloc(&r->arena, (size_t)(o->epochs + 1) * sizeof *r->seconds);
    return r->seconds ? r->status.code : leat_fail(&r->status, LEAT_ENOMEM, "out of memory for losses");
}

/* ---- time of the epochs ------------------------------------------------------------------------------------------ */

/* What has passed since the last call is part of the epoch under way, or of that which has just ended. */
void app_train_mark_time(app_run *r, int64_t epoch)
{
    double now = app_progress_now();
    if (r->seconds && epoch <= r->o->epochs)
        r->seconds[epoch] += now - r->mark;
    r->mark = now;
}

/* For a checkpoint: the seconds of the epochs, a part of the last. */
const char *app_train_seconds_text(app_run *r, leat_status *s)
{
    leat_json_writer w = leat_json_writer_new(&r->arena);
    char *text;
    size_t size;
    int64_t epoch = leat_fit_get_state(r->fit).epoch;
    app_train_mark_time(r, epoch);
    leat_json_open(&w, '[');
    for (int64_t i = 0; i <= epoch && i <= r->o->epochs; i++)
        leat_json_put_number(&w, r->seconds[i]);
    leat_json_close(&w, ']');
    return leat_json_finish(&w, &text, &size, s) ? NULL : text;
}

leat_code app_train_read_seconds(app_run *r, const char *checkpoint)
{
    leat_safetensors file;
    leat_json *list;
    leat_arena scratch;
    leat_arena_init(&scratch, NULL);
    if (!leat_safetensors_read(checkpoint, &scratch, &file, &r->status)) {
        const char *text = leat_safetensors_metadata(&file, "seconds");
        int64_t i = 0;
        if (text && !leat_json_read(text, strlen(text), checkpoint, 0, &scratch, &list, &r->status))
            for (const leat_json *v = list->first; v && i <= r->o->epochs; v = v->next)
                leat_json_number(v, &r->seconds[i++]);
    }
    leat_arena_free(&scratch);
    return r->status.code;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

double app_train_bits(const app_run *r, double nats)
{
    return app_bits_per_dim(-nats, r->data.x.columns);
}

static leat_code write_losses(app_run *r, leat_status *s)
{
    static const char *const columns[] = { "epoch", "train", "validation", "seconds" };
    leat_fit_state state = leat_fit_get_state(r->fit);
    leat_table_writer *w =
        leat_table_create(r->paths.losses, &(leat_table_writer_opts){ .columns = 4, .names = columns }, s);
    for (int64_t i = 0; w && i < state.epoch; i++) {
        const leat_epoch_report *e = &state.history[i];
        const double row[] = { (double)e->epoch, app_train_bits(r, e->loss), app_train_bits(r, e->validation),
                               rint(1000 * r->seconds[i]) / 1000 };
        leat_table_append_doubles(w, row, 1, s);
    }
    return w ? leat_table_commit(w, s) : s->code;
}

/* The mean over the test set, a block at a time. */
static leat_code score_test(app_run *r, leat_bits *bits)
{
    enum { BLOCK = 1000 };
    const leat_images *m = &r->images->test;
    *bits = (leat_bits){ 0 };
    for (int64_t i = 0, n; i < m->count && !r->status.code; i += n) {
        leat_arena_mark mark = leat_arena_save(&r->arena);
        n = m->count - i < BLOCK ? m->count - i : BLOCK;
        leat_tensor x = app_image_rows(m, i, n, &r->arena, &r->status);
        const leat_bits_opts o = { .context = app_class_rows(m->labels ? m->labels + i : NULL, n, r->images->classes,
                                                             &r->arena, &r->status),
                                   .draws = r->job->settings->image.draws };
        leat_bits block;
        if (!r->status.code && leat_flow_bits(r->flow, r->tape, x, &o, &block))
            leat_fail(&r->status, leat_tape_code(r->tape), "scoring the test set: %s", leat_tape_errmsg(r->tape));
        if (!r->status.code)
            app_bits_add(bits, i, &block, n);
        leat_arena_restore(&r->arena, mark);
    }
    return r->status.code;
}

static void print_test(const app_run *r, const leat_bits *bits)
{
    const leat_images *m = &r->images->test;
    int64_t pad = r->images->pad;
    printf("Test: %.4f bits per dimension", bits->bits);
    if (r->job->settings->image.draws > 1)
        printf(", %.4f by importance weights", bits->weighted);
    if (pad > 0)
        printf(" of %d x %d pixels, %.4f of those inside of the border", m->height, m->width,
               bits->bits * (double)m->height * (double)m->width /
                   ((double)(m->height - 2 * pad) * (double)(m->width - 2 * pad)));
    printf(" (%lld images): ", (long long)m->count);
    app_bits_print(stdout, bits);
    printf("\n");
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

/* An empty picture of so many images. */
static leat_images picture_new(app_run *r, int64_t count, leat_status *s)
{
    leat_images m = r->images->all;
    m.count = count;
    m.pixels = leat_arena_zalloc(&r->arena, (size_t)(count * app_image_size(&m)));
    if (!m.pixels)
        leat_fail(s, LEAT_ENOMEM, "out of memory for a picture");
    return m;
}

/* Latents as images first .. of a picture. */
static leat_code decode(app_run *r, leat_tensor z, leat_tensor classes, leat_images *to, int64_t first, leat_status *s)
{
    leat_tensor x = leat_tensor_new(&r->arena, z.shape, s);
    if (x.data && leat_flow_decode(r->flow, r->tape, z, classes, x.data, NULL))
        return leat_fail(s, leat_tape_code(r->tape), "decoding: %s", leat_tape_errmsg(r->tape));
    if (x.data)
        app_pixels_from(x.data, leat_shape_count(&x.shape), to->pixels + first * app_image_size(to));
    return s->code;
}

/* Draws 0 .. n - 1, always of the same latents, behind `first` images; of a flow by class one class after the other. */
static leat_code draw(app_run *r, int64_t n, double temperature, leat_images *to, int64_t first, leat_status *s)
{
    leat_tensor x = leat_tensor_new(&r->arena, LEAT_SHAPE(n, r->data.x.columns), s);
    leat_tensor classes = app_class_rows(NULL, n, r->images->classes, &r->arena, s);
    if (!s->code && leat_flow_draw_rows(r->flow, r->tape, 0, n, temperature, classes, x.data))
        return leat_fail(s, leat_tape_code(r->tape), "drawing samples: %s", leat_tape_errmsg(r->tape));
    if (!s->code)
        app_pixels_from(x.data, leat_shape_count(&x.shape), to->pixels + first * app_image_size(to));
    return s->code;
}

enum { ACROSS = 10, MOST_SAMPLES = 100, WAYS = 8, STEPS = 9 };

/* By class, each has a column of its own. */
static int64_t columns_of(const app_run *r)
{
    return r->images->classes > 1 && r->images->classes <= 2 * ACROSS ? r->images->classes : ACROSS;
}

static leat_code write_samples(app_run *r, leat_status *s)
{
    int64_t n = r->o->draw < MOST_SAMPLES ? r->o->draw : MOST_SAMPLES;
    leat_images m = n > 0 ? picture_new(r, n, s) : r->images->all;
    if (n == 0 || s->code || draw(r, n, 1, &m, 0, s))
        return s->code;
    return app_image_grid_write(r->paths.png, &m, columns_of(r), s);
}

static leat_code write_temperatures(app_run *r, leat_status *s)
{
    static const double temperatures[] = { 0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1 };
    enum { ROWS = sizeof temperatures / sizeof *temperatures };
    int64_t across = columns_of(r);
    leat_images m = picture_new(r, ROWS * across, s);
    for (int i = 0; i < ROWS && !s->code; i++)
        draw(r, across, temperatures[i], &m, i * across, s);
    return s->code ? s->code : app_image_grid_write(r->paths.temperatures, &m, across, s);
}

/* The first images of the test set, at most so many, as latents. */
static leat_tensor encode(app_run *r, int64_t n, leat_tensor *classes, leat_status *s)
{
    const leat_images *m = &r->images->test;
    leat_tensor x = app_image_rows(m, 0, n, &r->arena, s), z = leat_tensor_new(&r->arena, x.shape, s);
    *classes = app_class_rows(m->labels, n, r->images->classes, &r->arena, s);
    if (!s->code && leat_flow_encode(r->flow, r->tape, x, *classes, z.data, NULL))
        leat_fail(s, leat_tape_code(r->tape), "encoding: %s", leat_tape_errmsg(r->tape));
    return z;
}

/* Rows of images, of what comes back, and of white where the two differ; how far they do at most is said. */
static leat_code write_reconstruction(app_run *r, leat_status *s)
{
    enum { ROWS = 4 };
    int64_t n = r->images->test.count < ROWS * ACROSS ? r->images->test.count : ROWS * ACROSS, size = r->data.x.columns;
    leat_images back = picture_new(r, n, s), all = picture_new(r, (n + ACROSS - 1) / ACROSS * 3 * ACROSS, s);
    leat_tensor classes, z = encode(r, n, &classes, s);
    int furthest = 0;
    if (s->code || decode(r, z, classes, &back, 0, s))
        return s->code;
    for (int64_t i = 0; i < n; i++) {
        uint8_t *to = all.pixels + (i / ACROSS * 3 * ACROSS + i % ACROSS) * size;
        const uint8_t *x = r->images->test.pixels + i * size, *y = back.pixels + i * size;
        memcpy(to, x, (size_t)size);
        memcpy(to + ACROSS * size, y, (size_t)size);
        for (int64_t j = 0; j < size; j++) {
            int apart = x[j] > y[j] ? x[j] - y[j] : y[j] - x[j];
            furthest = apart > furthest ? apart : furthest;
            to[2 * ACROSS * size + j] = apart ? 255 : 0;
        }
    }
    if (furthest >= 1 << (8 - r->job->settings->image.bits))
        app_say(r->job->program->name, "warning: images that are encoded and decoded come back up to %d of 255 away",
                furthest);
    return app_image_grid_write(r->paths.reconstruction, &all, ACROSS, s);
}

/* Straight ways from image 2k to image 2k + 1 of the test set through the latent space; of a flow by class, the first
 * half given the class of the one and the second that of the other. */
static leat_code write_interpolation(app_run *r, leat_status *s)
{
    int64_t pairs = r->images->test.count / 2 < WAYS ? r->images->test.count / 2 : WAYS, size = r->data.x.columns;
    int classes = r->images->classes;
    leat_images m = picture_new(r, pairs * STEPS, s);
    leat_tensor given, z = pairs ? encode(r, 2 * pairs, &given, s) : (leat_tensor){ 0 };
    leat_tensor between = leat_tensor_new(&r->arena, LEAT_SHAPE(pairs * STEPS, size), s);
    leat_tensor at =
        classes && pairs ? leat_tensor_new(&r->arena, LEAT_SHAPE(pairs * STEPS, classes), s) : (leat_tensor){ 0 };
    if (pairs == 0 || s->code)
        return s->code;
    for (int64_t i = 0; i < pairs * STEPS; i++) {
        const leat_real *from = z.data + i / STEPS * 2 * size, *to = from + size;
        leat_real part = (leat_real)(i % STEPS) / (STEPS - 1);
        for (int64_t j = 0; j < size; j++)
            between.data[i * size + j] = from[j] + part * (to[j] - from[j]);
        if (classes)
            memcpy(at.data + i * classes, given.data + (i / STEPS * 2 + i % STEPS / (STEPS / 2 + 1)) * classes,
                   (size_t)classes * sizeof *at.data);
    }
    return decode(r, between, at, &m, 0, s) ? s->code : app_image_grid_write(r->paths.interpolation, &m, STEPS, s);
}

/* ---- when -------------------------------------------------------------------------------------------------------- */

/* What cannot be written now may be at the end; it ends no run that took hours. */
void app_train_image_epoch(app_run *r)
{
    leat_status s = { 0 };
    leat_arena_mark mark = leat_arena_save(&r->arena);
    if (write_losses(r, &s) || leat_fit_use_best(r->fit, true) || write_samples(r, &s) ||
        leat_fit_use_best(r->fit, false))
        app_say(r->job->program->name, "warning: %s", s.code ? s.message : leat_fit_status(r->fit)->message);
    leat_arena_restore(&r->arena, mark);
}

leat_code app_train_finish_images(app_run *r)
{
    static leat_code (*const writers[])(app_run *, leat_status *) = { write_losses, write_samples, write_reconstruction,
                                                                      write_interpolation, write_temperatures };
    for (size_t i = 0; i < sizeof writers / sizeof *writers && !r->status.code; i++) {
        leat_arena_mark mark = leat_arena_save(&r->arena);
        writers[i](r, &r->status);
        leat_arena_restore(&r->arena, mark);
    }
    leat_bits bits;
    if (r->status.code || score_test(r, &bits))
        return r->status.code;
    r->test = bits.bits;
    if (!r->o->quiet)
        print_test(r, &bits);
    return app_train_write_model(r, r->paths.model, &r->status); /* which now tells it */
}
