/*
 * leat score: the log-likelihood of every row, in nats.
 *
 * Rows are read, scored and written block by block, so memory does not grow with the table. Only --top keeps anything:
 * the least likely rows so far, in a heap with the most likely of them on top.
 */
#include "../common/flow_rows.h"
#include "../common/options.h"
#include "../pictures/image_grid.h"
#include "commands.h"
#include "output.h"
#include "table_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    app_trained_opts open;
    app_table_settings table;
    const char *out, *rows, *picture;
    bool mean;
    int64_t top, points, draws, iw;
    double bin_width;
} settings;

static const app_option table[] = {
    { "out", APP_STRING(settings, out), NULL, .value = "FILE", .letter = 'o',
      .help = "write the values here (.npy: float64) instead of to standard output" },
    { "mean", APP_FLAG(settings, mean), .help = "print the mean alone" },
    { "top", APP_INTEGER(settings, top), "0", .max = 10000000,
      .help = "print the N least likely rows, each with its number (from 0)" },
    { "picture", APP_STRING(settings, picture), NULL, .value = "FILE.png",
      .help = "of images: and show those of --top, row by row" },
    { "bin-width", APP_NONNEGATIVE(settings, bin_width), "0",
      .help = "of data rounded to steps of this width: tell bits per dimension too" },
    { "points", APP_INTEGER(settings, points), "16", .min = 1, .max = 1000000,
      .help = "of columns of whole numbers: average over so many points of each interval" },
    { "draws", APP_INTEGER(settings, draws), "1", .min = 1, .max = 1000000,
      .help = "of images: how often each is dequantized; the bound's mean over them" },
    { "iw", APP_INTEGER(settings, iw), "1", .min = 1, .max = 1000000,
      .help = "of images: a closer bound, by importance weights of so many" },
    { "seed", APP_INTEGER(settings, open.seed), "0", .help = "of images: of the dequantization" },
    { "rows", APP_STRING(settings, rows), NULL, .value = "A:B", .help = "only rows A .. B-1, counted from 0" },
    APP_TABLE_OR_IMAGE_OPTIONS(settings, table),
    APP_TRAINED_OPTIONS(settings, open),
};

static const app_program program = {
    .name = "leat score",
    .summary = "Log-likelihood of every row of a table under a model, in nats, one value a line.\n"
               "Of images: bits per dimension of each; of a folder with a training and a test set\n"
               "(as t10k-images-idx3-ubyte, also .gz), the test set is scored.",
    APP_TABLE(table),
    .arguments = "MODEL DATA",
    .min_arguments = 2,
    .max_arguments = 2,
};

typedef struct entry {
    double value;
    int64_t row;
} entry;

typedef struct scoring {
    const settings *o;
    app_trained m;
    leat_images images; /* all of them, for --picture */
    leat_bits bits;     /* means over the images so far */
    app_output out;     /* of --out; without a writer otherwise */
    double total, least;
    int64_t rows, least_row, infinite;
    entry *heap;
    int64_t heap_size;
} scoring;

/* Images are scored by bits per dimension, of which the most are the least likely. */
static double shown(const scoring *s, double score)
{
    return s->m.image.rank ? -score : score;
}

/* ---- the least likely rows --------------------------------------------------------------------------------------- */

/* Whether a comes behind b in the list: the more likely, or of equals the later. NaN comes first of all. */
static bool behind(const entry *a, const entry *b)
{
    if (isnan(a->value) || isnan(b->value))
        return isnan(a->value) && isnan(b->value) ? a->row > b->row : isnan(b->value);
    return a->value > b->value || (a->value == b->value && a->row > b->row);
}

static void swap(entry *a, entry *b)
{
    entry was = *a;
    *a = *b;
    *b = was;
}

static void sink(entry *heap, int64_t size, int64_t i)
{
    for (int64_t child = 2 * i + 1; child < size; child = 2 * i + 1) {
        child += child + 1 < size && behind(&heap[child + 1], &heap[child]) ? 1 : 0;
        if (!behind(&heap[child], &heap[i]))
            return;
        swap(&heap[child], &heap[i]);
        i = child;
    }
}

static void keep_least(scoring *s, entry e)
{
    if (s->heap_size < s->o->top) {
        int64_t i = s->heap_size++;
        s->heap[i] = e;
        for (; i > 0 && behind(&s->heap[i], &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
            swap(&s->heap[i], &s->heap[(i - 1) / 2]);
    } else if (behind(&s->heap[0], &e)) {
        s->heap[0] = e;
        sink(s->heap, s->heap_size, 0);
    }
}

/* Those of them that are in the list, in its order. */
static leat_code draw_least(scoring *s)
{
    app_trained *m = &s->m;
    leat_images least = s->images;
    size_t size = (size_t)app_image_size(&least);
    least.count = s->heap_size;
    least.pixels = leat_arena_alloc(&m->arena, (size_t)least.count * size);
    if (!least.pixels)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for a picture");
    for (int64_t i = 0; i < s->heap_size; i++)
        memcpy(least.pixels + (size_t)i * size, s->images.pixels + (size_t)s->heap[i].row * size, size);
    return app_image_grid_write(s->o->picture, &least, 0, &m->status);
}

static void print_least(scoring *s)
{
    for (int64_t n = s->heap_size; n > 1; n--) { /* heap sort: the front of the list ends in front */
        swap(&s->heap[0], &s->heap[n - 1]);
        sink(s->heap, n - 1, 0);
    }
    for (int64_t i = 0; i < s->heap_size; i++)
        printf("%lld %.17g\n", (long long)s->heap[i].row, shown(s, s->heap[i].value));
}

/* ---- scoring ----------------------------------------------------------------------------------------------------- */

static void note(scoring *s, double value, int64_t row)
{
    if (!(value >= s->least)) {
        s->least = value;
        s->least_row = row;
    }
    s->rows++;
    s->infinite += isfinite(value) ? 0 : 1;
    s->total += value;
    if (s->o->top > 0)
        keep_least(s, (entry){ value, row });
}

static void score_images(scoring *s, const app_rows *r, double *values)
{
    app_trained *m = &s->m;
    leat_arena_mark mark = leat_arena_save(&m->arena);
    leat_tensor x = app_to_reals(&m->arena, r->x, r->count, &m->status);
    leat_bits_opts o = { .draws = s->o->iw > 1 ? s->o->iw : s->o->draws };
    leat_bits bits;
    *(s->o->iw > 1 ? &o.weighted_rows : &o.rows) = values;
    if (r->context.data)
        o.context = app_to_reals(&m->arena, r->context, r->count, &m->status);
    if (!m->status.code && !leat_flow_bits(m->flow, m->tape, x, &o, &bits)) {
        app_bits_add(&s->bits, s->rows, &bits, r->count);
        for (int64_t i = 0; i < r->count; i++)
            values[i] = -values[i];
    }
    leat_arena_restore(&m->arena, mark);
}

static leat_code score_block(scoring *s, const app_rows *r, double *values)
{
    app_trained *m = &s->m;
    if (m->image.rank)
        score_images(s, r, values);
    else
        leat_flow_score_doubles(m->flow, m->tape, r->x, r->context, values);
    if (m->status.code || leat_tape_code(m->tape))
        return leat_fail(&m->status, leat_tape_code(m->tape), "%s", leat_tape_errmsg(m->tape));
    for (int64_t i = 0; i < r->count; i++) {
        note(s, values[i], r->first + i);
        values[i] = shown(s, values[i]);
        if (!s->out.writer && !s->o->mean && s->o->top == 0)
            printf("%.17g\n", values[i]);
    }
    return s->out.writer ? leat_table_append_doubles(s->out.writer, values, r->count, &m->status) : LEAT_OK;
}

static leat_code score_all(scoring *s, const char *path)
{
    app_trained *m = &s->m;
    double *values = NULL;
    int64_t capacity = 0;
    app_rows r;
    if (app_rows_open(&r, m, path, APP_ROWS_DATA, s->o->rows, &s->o->table))
        return m->status.code;
    s->images = r.images;
    while (app_rows_next(&r) && !ferror(stdout)) {
        if (r.count > capacity) {
            capacity = r.count;
            values = leat_arena_alloc(&m->arena, (size_t)capacity * sizeof *values);
        }
        if (!values) {
            leat_fail(&m->status, LEAT_ENOMEM, "out of memory");
            break;
        }
        if (m->status.code || score_block(s, &r, values))
            break;
    }
    app_rows_close(&r);
    return m->status.code;
}

static void tell(const scoring *s)
{
    double mean = s->total / (double)s->rows, dim = (double)leat_flow_dim(s->m.flow);
    if (s->rows == 0) {
        fprintf(stderr, "no rows\n");
        return;
    }
    if (s->m.image.rank) {
        fprintf(stderr, "%lld image%s, %.6g bits per dimension, most %.6g (image %lld): ", (long long)s->rows,
                s->rows == 1 ? "" : "s", shown(s, mean), shown(s, s->least), (long long)s->least_row);
        app_bits_print(stderr, &s->bits);
    } else {
        fprintf(stderr, "%lld row%s, mean log-likelihood %.6g nats, least %.6g (row %lld)", (long long)s->rows,
                s->rows == 1 ? "" : "s", mean, s->least, (long long)s->least_row);
    }
    if (s->o->bin_width > 0)
        fprintf(stderr, ", %.6g bits per dimension", -(mean + dim * log(s->o->bin_width)) / (dim * log(2)));
    if (s->infinite > 0)
        fprintf(stderr, ", %lld not finite", (long long)s->infinite);
    fputc('\n', stderr);
}

static leat_code run(scoring *s, const char *path)
{
    app_trained *m = &s->m;
    const char *const names[] = { m->image.rank ? "bits_per_dimension" : "log_likelihood" };
    const leat_table_writer_opts opts = { .columns = 1, .names = names, .doubles = true, .vector = true };
    if (s->o->top > 0 && !(s->heap = malloc((size_t)s->o->top * sizeof *s->heap)))
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for %lld rows", (long long)s->o->top);
    if (s->o->picture && (!m->image.rank || s->o->top == 0 || !app_path_is_images(path)))
        return leat_fail(&m->status, LEAT_EARG, "--picture shows the images of --top N, for a model of images");
    if (s->o->picture && app_output_allow(m, s->o->picture, path))
        return m->status.code;
    if (s->o->out ? app_output_open(&s->out, m, s->o->out, path, opts) : app_output_allow(m, NULL, path))
        return m->status.code;
    score_all(s, path);
    if (s->o->mean && s->rows == 0)
        leat_fail(&m->status, LEAT_EARG, "%s: no rows, and no mean of them", path);
    if (s->out.writer ? app_output_close(&s->out) : m->status.code)
        return m->status.code;
    if (s->o->top > 0)
        print_least(s);
    if (s->o->picture && draw_least(s))
        return m->status.code;
    if (s->o->mean)
        printf("%.17g\n", shown(s, s->total / (double)s->rows));
    return LEAT_OK;
}

int app_leat_score(int argc, char **argv)
{
    settings o;
    app_arguments rest;
    int exit_code = app_options_parse(&program, argc, argv, &o, &rest);
    scoring s = { .o = &o, .least = HUGE_VAL };
    if (exit_code >= 0)
        return exit_code;
    if (!app_trained_open(&s.m, program.name, rest.values[0], &o.open)) {
        leat_flow_set_points(s.m.flow, o.points);
        run(&s, rest.values[1]);
    }
    if (!s.m.status.code && fflush(stdout) == 0 && !ferror(stdout))
        tell(&s);
    free(s.heap);
    return app_trained_close(&s.m);
}
