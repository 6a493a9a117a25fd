/*
 * leat sample: new rows from a model. Row i is a function of the seed, of i and of its row of the context, so any part
 * of the rows can be drawn on its own.
 */
#include "../common/flow_rows.h"
#include "../common/options.h"
#include "../pictures/image_grid.h"
#include "commands.h"
#include "output.h"
#include "table_rows.h"

#include "../../tensor/files/table.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 8192, IMAGES = 256 };

typedef struct settings {
    app_trained_opts open;
    app_table_settings table;
    const char *out, *rows, *context;
    int64_t count, per_row, seed, class_of, across;
    double temperature;
    bool each;
} settings;

static const app_option table[] = {
    { "count", APP_INTEGER(settings, count), "0", .max = INT64_MAX / 1024, .letter = 'n',
      .help = "how many rows (with --context: --per-row for each of its rows)" },
    { "per-row", APP_INTEGER(settings, per_row), "1", .min = 1, .max = INT32_MAX,
      .help = "with --context: so many for each of its rows; a last column `row` tells which, from 0" },
    { "seed", APP_INTEGER(settings, seed), "0", .help = "of the random numbers" },
    { "temperature", APP_NONNEGATIVE(settings, temperature), "1",
      .help = "multiplies the standard deviation of the latents: below 1 keeps to the likely" },
    { "context", APP_STRING(settings, context), NULL, .value = "FILE",
      .help = "of a conditional flow: the table whose rows are drawn for, in their order" },
    { "rows", APP_STRING(settings, rows), NULL, .value = "A:B", .help = "of these rows only A .. B-1, counted from 0" },
    { "class", APP_INTEGER(settings, class_of), "any", .words = "any", .max = LEAT_CLASSES_MOST,
      .help = "of a model by class: draw this one, from 0; any: each in turn" },
    { "out", APP_STRING(settings, out), NULL, .value = "FILE", .letter = 'o',
      .help = ".csv or .npy; of images .png, a grid; without it CSV to standard output" },
    { "across", APP_INTEGER(settings, across), "0", .max = 1000,
      .help = "of images: so many beside each other in the grid; 0: about as many as below each other, or a class" },
    { "each", APP_FLAG(settings, each), .help = "of images: a .png for each, name-01.png and so on" },
    APP_TABLE_OPTIONS(settings, table),
    APP_TRAINED_OPTIONS(settings, open),
};

static const app_program program = {
    .name = "leat sample",
    .summary = "Draws rows from a model.",
    APP_TABLE(table),
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
};

typedef struct drawing {
    app_trained *m;
    const settings *o;
    app_output w;
    int64_t dim, width, given; /* width: of what is written; given: of a context */
    int64_t block;             /* rows at a time */
    double *drawn, *written;   /* the same unless there is a column `row` */
    double *context;
    leat_images images; /* so far, for a .png; pixels NULL: rows are written */
} drawing;

/* Draws first .. first + n - 1, with the context in d->context. */
static leat_code draw(drawing *d, int64_t first, int64_t n)
{
    app_trained *m = d->m;
    leat_doubles given = { d->given ? d->context : NULL, n, d->given };
    leat_tape_reset(m->tape);
    if (leat_flow_draw_rows_doubles(m->flow, m->tape, first, n, d->o->temperature, given, d->drawn)) {
        return leat_fail(&m->status, leat_tape_code(m->tape), "drawing rows from %lld: %s", (long long)first,
                         leat_tape_errmsg(m->tape));
    }
    for (int64_t i = 0; d->width > d->dim && i < n; i++) {
        memcpy(d->written + i * d->width, d->drawn + i * d->dim, (size_t)d->dim * sizeof *d->drawn);
        d->written[i * d->width + d->dim] = (double)((first + i) / d->o->per_row);
    }
    if (d->images.pixels) {
        for (int64_t i = 0; i < n * d->dim; i++)
            d->images.pixels[d->images.count * d->dim + i] = (uint8_t)d->drawn[i];
        d->images.count += n;
        return LEAT_OK;
    }
    return app_output_append_doubles(&d->w, (leat_doubles){ d->written, n, d->width });
}

/* All draws for the rows of a block of contexts. */
static leat_code draw_for_block(drawing *d, const app_rows *r)
{
    int64_t each = d->o->per_row, end = (r->first + r->count) * each;
    for (int64_t i = r->first * each, n; i < end && !d->m->status.code; i += n) {
        n = end - i < d->block ? end - i : d->block;
        for (int64_t k = 0; k < n; k++) {
            memcpy(d->context + k * d->given, r->context.data + ((i + k) / each - r->first) * d->given,
                   (size_t)d->given * sizeof *d->context);
        }
        draw(d, i, n);
    }
    return d->m->status.code;
}

/* That -n, if it is given, says the same. */
static leat_code check_count(drawing *d, int64_t rows, bool end)
{
    const settings *o = d->o;
    if (o->count == 0 || (end ? rows * o->per_row == o->count : rows <= o->count / o->per_row))
        return d->m->status.code;
    return leat_fail(&d->m->status, LEAT_EARG,
                     "-n %lld, where the context has %s%lld row%s and --per-row is %lld: --per-row says how many are "
                     "drawn for each",
                     (long long)o->count, end ? "" : "at least ", (long long)rows, rows == 1 ? "" : "s",
                     (long long)o->per_row);
}

static leat_code draw_for_context(drawing *d)
{
    app_trained *m = d->m;
    int64_t rows = 0;
    app_rows r;
    if (app_rows_open(&r, m, d->o->context, APP_ROWS_CONTEXT, d->o->rows, &d->o->table))
        return m->status.code;
    while (app_rows_next(&r) && !check_count(d, rows += r.count, false) && !draw_for_block(d, &r)) {
    }
    app_rows_close(&r);
    return check_count(d, rows, true);
}

/* One-hot rows, for which the next n are drawn. */
static void set_classes(drawing *d, int64_t first, int64_t n)
{
    int64_t wanted = d->o->class_of;
    for (int64_t i = 0; i < n * d->given; i++)
        d->context[i] = i % d->given == (wanted >= 0 ? wanted : (first + i / d->given) % d->given);
}

static leat_code draw_all(drawing *d)
{
    const settings *o = d->o;
    int64_t first, last;
    if (o->context)
        return draw_for_context(d);
    if (!app_row_range(o->rows, &first, &last)) {
        return leat_fail(&d->m->status, LEAT_EARG,
                         "--rows %.60s: rows are given as A:B, counted from 0, B not included", o->rows);
    }
    last = last > 0 && last < o->count ? last : o->count;
    for (int64_t i = first, n; i < last; i += n) {
        n = last - i < d->block ? last - i : d->block;
        set_classes(d, i, n);
        if (draw(d, i, n))
            break;
    }
    return d->m->status.code;
}

/* The names of what is written; NULL: none are known. */
static const char *const *name_columns(const drawing *d, const char **names)
{
    if (!d->m->columns || !names)
        return NULL;
    for (int64_t j = 0; j < d->width; j++)
        names[j] = j < d->dim ? d->m->columns[j] : "row";
    return names;
}

/* All at once, as pictures. */
static leat_code draw_images(drawing *d)
{
    app_trained *m = d->m;
    const settings *o = d->o;
    leat_images *images = &d->images;
    if (!m->image.rank || !o->out || !leat_path_ends(o->out, ".png") || o->context)
        return leat_fail(&m->status, LEAT_EARG, "--each is for a model of images, and -o NAME.png says where they go");
    *images = (leat_images){ .height = (int)m->image.size[0],
                             .width = (int)m->image.size[1],
                             .channels = (int)m->image.size[2],
                             .pixels = leat_arena_alloc(&m->arena, (size_t)(o->count * d->dim)) };
    if (!images->pixels)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for %lld images", (long long)o->count);
    if (app_output_allow(m, o->out, NULL) || draw_all(d))
        return m->status.code;
    int64_t across = o->across ? o->across : d->given > 1 && o->class_of < 0 ? d->given : 0;
    return o->each ? app_image_files_write(o->out, images, &m->status)
                   : app_image_grid_write(o->out, images, across, &m->status);
}

static leat_code run(app_trained *m, const settings *o)
{
    drawing d = { .m = m,
                  .o = o,
                  .dim = leat_flow_dim(m->flow),
                  .given = leat_flow_context(m->flow),
                  .block = m->image.rank ? IMAGES : BLOCK };
    leat_table_writer_opts opts = { .doubles = app_rows_are_doubles(m->flow) };
    const char **names;
    bool by_class = m->image.rank > 0 && d.given > 0 && !o->context;
    if (o->class_of >= 0 && (!by_class || o->class_of >= d.given)) {
        return leat_fail(&m->status, LEAT_EARG,
                         by_class ? "%s: there is no class %lld of %lld, counted from 0"
                                  : "%s: no model of images by class, it takes no --class",
                         m->path, (long long)o->class_of, (long long)d.given);
    }
    if (!by_class && (d.given > 0) != (o->context != NULL)) {
        return leat_fail(&m->status, LEAT_EARG,
                         d.given > 0 ? "%s: a conditional flow: --context says given what"
                                     : "%s: no conditional flow, it takes no --context",
                         m->path);
    }
    d.width = d.dim + (o->per_row > 1 ? 1 : 0);
    names = leat_arena_alloc(&m->arena, (size_t)d.width * sizeof *names);
    d.drawn = leat_arena_alloc(&m->arena, (size_t)(d.block * d.dim) * sizeof *d.drawn);
    d.written =
        d.width > d.dim ? leat_arena_alloc(&m->arena, (size_t)(d.block * d.width) * sizeof *d.written) : d.drawn;
    d.context = leat_arena_alloc(&m->arena, (size_t)(d.block * d.given) * sizeof *d.context);
    if (!names || !d.drawn || !d.written || !d.context)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for rows of %lld columns", (long long)d.width);
    if (o->each || (m->image.rank && o->out && leat_path_ends(o->out, ".png")))
        return draw_images(&d);
    opts.columns = d.width;
    opts.names = name_columns(&d, names);
    if (!app_output_open(&d.w, m, o->out, o->context, opts)) {
        draw_all(&d);
        app_output_close(&d.w);
    }
    return m->status.code;
}

int app_leat_sample(int argc, char **argv)
{
    settings o;
    app_arguments rest;
    int exit_code = app_options_parse(&program, argc, argv, &o, &rest);
    app_trained m;
    if (exit_code >= 0)
        return exit_code;
    if (o.count == 0 && !o.context) {
        fprintf(stderr, "%s: -n says how many rows (%s --help lists the options)\n", program.name, program.name);
        return 2;
    }
    if (o.per_row > 1 && !o.context) {
        fprintf(stderr, "%s: --per-row needs --context\n", program.name);
        return 2;
    }
    o.open.seed = o.seed;
    if (!app_trained_open(&m, program.name, rest.values[0], &o.open))
        run(&m, &o);
    return app_trained_close(&m);
}
