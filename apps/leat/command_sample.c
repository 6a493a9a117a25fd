/*
 * leat sample: new rows from a model. Row i is a function of the seed, of i and of its row of the context, so any part
 * of the rows can be drawn on its own.
 */
#include "../common/options.h"
#include "commands.h"
#include "output.h"
#include "table_rows.h"

#include <stdio.h>

enum { BLOCK = 8192 };

typedef struct settings {
    app_trained_opts open;
    app_table_settings table;
    const char *out, *rows, *context;
    int64_t count, seed;
    double temperature;
} settings;

static const app_option table[] = {
    { "count", APP_INTEGER(settings, count), "0", .max = INT64_MAX / 1024, .letter = 'n',
      .help = "how many rows (with --context: as many as it has)" },
    { "seed", APP_INTEGER(settings, seed), "0", .help = "of the random numbers" },
    { "temperature", APP_NONNEGATIVE(settings, temperature), "1",
      .help = "multiplies the standard deviation of the latents: below 1 keeps to the likely" },
    { "context", APP_STRING(settings, context), NULL, .value = "FILE",
      .help = "of a conditional flow: the table whose row i row i is drawn for" },
    { "rows", APP_STRING(settings, rows), NULL, .value = "A:B", .help = "of these rows only A .. B-1, counted from 0" },
    { "out", APP_STRING(settings, out), NULL, .value = "FILE", .letter = 'o',
      .help = ".csv or .npy; without it CSV to standard output" },
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

static leat_code draw(app_trained *m, const settings *o, int64_t first, int64_t n, leat_tensor context,
                      leat_real *block, leat_table_writer *w)
{
    leat_tensor rows = { block, LEAT_SHAPE(n, leat_flow_dim(m->flow)) };

    if (leat_flow_draw_rows(m->flow, m->tape, first, n, o->temperature, context, block)) {
        return leat_fail(&m->status, leat_tape_code(m->tape), "drawing rows from %lld: %s", (long long)first,
                         leat_tape_errmsg(m->tape));
    }
    return leat_table_append(w, &rows, &m->status);
}

static leat_code draw_for_context(app_trained *m, const settings *o, leat_real *block, leat_table_writer *w)
{
    app_rows r;

    if (app_rows_open(&r, m, o->context, APP_ROWS_CONTEXT, o->rows, &o->table)) {
        return m->status.code;
    }
    while (app_rows_next(&r) && !draw(m, o, r.first, r.count, r.context, block, w)) {
    }
    app_rows_close(&r);
    return m->status.code;
}

static leat_code draw_all(app_trained *m, const settings *o, leat_real *block, leat_table_writer *w)
{
    int64_t first, last;

    if (o->context) {
        return draw_for_context(m, o, block, w);
    }
    if (!app_row_range(o->rows, &first, &last)) {
        return leat_fail(&m->status, LEAT_EARG, "--rows %.60s: rows are given as A:B, counted from 0, B not included",
                         o->rows);
    }
    last = last > 0 && last < o->count ? last : o->count;
    for (int64_t i = first; i < last; i += BLOCK) {
        int64_t n = last - i < BLOCK ? last - i : BLOCK;

        if (draw(m, o, i, n, (leat_tensor){ 0 }, block, w)) {
            break;
        }
    }
    return m->status.code;
}

static leat_code run(app_trained *m, const settings *o)
{
    bool conditional = leat_flow_context(m->flow) > 0;
    leat_real *block = leat_arena_alloc(&m->arena, (size_t)(BLOCK * leat_flow_dim(m->flow)) * sizeof *block);
    leat_table_writer *w;

    if (conditional != (o->context != NULL)) {
        return leat_fail(&m->status, LEAT_EARG,
                         conditional ? "%s: a conditional flow: --context says given what"
                                     : "%s: no conditional flow, it takes no --context",
                         m->path);
    }
    if (!block) {
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for rows of %lld columns",
                         (long long)leat_flow_dim(m->flow));
    }
    w = app_output_open(m, o->out, m->columns, leat_flow_dim(m->flow));
    if (w) {
        draw_all(m, o, block, w);
        app_output_close(m, w);
    }
    return m->status.code;
}

int app_leat_sample(int argc, char **argv)
{
    settings o;
    app_arguments rest;
    int exit_code = app_options_parse(&program, argc, argv, &o, &rest);
    app_trained m;

    if (exit_code >= 0) {
        return exit_code;
    }
    if (o.count == 0 && !o.context) {
        fprintf(stderr, "%s: -n says how many rows (%s --help lists the options)\n", program.name, program.name);
        return 2;
    }
    o.open.seed = o.seed;
    if (!app_trained_open(&m, program.name, rest.values[0], &o.open)) {
        run(&m, &o);
    }
    return app_trained_close(&m);
}
