/* leat encode and leat decode: rows to latents and back, each row on its own. */
#include "../common/flow_rows.h"
#include "../common/options.h"
#include "commands.h"
#include "output.h"
#include "table_rows.h"

#include <stdio.h>

typedef struct settings {
    app_trained_opts open;
    app_table_settings table;
    const char *out, *rows;
} settings;

static const app_option table[] = {
    { "out", APP_STRING(settings, out), NULL, .value = "FILE", .letter = 'o',
      .help = ".csv or .npy; without it CSV to standard output" },
    { "rows", APP_STRING(settings, rows), NULL, .value = "A:B", .help = "only rows A .. B-1, counted from 0" },
    APP_TABLE_OR_IMAGE_OPTIONS(settings, table),
    APP_TRAINED_OPTIONS(settings, open),
};

static const app_program encode_program = {
    .name = "leat encode",
    .summary = "Maps the rows of a table to their latents. The columns of a context are not written.",
    APP_TABLE(table),
    .arguments = "MODEL DATA",
    .min_arguments = 2,
    .max_arguments = 2,
};

static const app_program decode_program = {
    .name = "leat decode",
    .summary = "Maps latents back to rows of data. For a conditional flow the context stands behind the latents.",
    APP_TABLE(table),
    .arguments = "MODEL LATENTS",
    .min_arguments = 2,
    .max_arguments = 2,
};

static leat_code encode(app_trained *m, const app_rows *r, app_output *w)
{
    leat_tensor z = leat_tensor_new(&m->arena, LEAT_SHAPE(r->count, r->features), &m->status);
    if (!z.data || leat_flow_encode_doubles(m->flow, m->tape, r->x, r->context, z.data, NULL))
        return m->status.code;
    return app_output_append(w, &z);
}

static leat_code decode(app_trained *m, const app_rows *r, app_output *w)
{
    leat_tensor z = app_to_reals(&m->arena, r->x, r->count, &m->status);
    double *x = leat_arena_alloc(&m->arena, (size_t)(r->count * r->features) * sizeof *x);
    if (!z.data || !x)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for rows of a table");
    if (leat_flow_decode_doubles(m->flow, m->tape, z, r->context, x, NULL))
        return LEAT_OK;
    return app_output_append_doubles(w, (leat_doubles){ x, r->count, r->features });
}

static leat_code map_block(app_trained *m, const app_rows *r, bool inverse, app_output *w)
{
    leat_arena_mark mark = leat_arena_save(&m->arena);
    leat_tape_reset(m->tape);
    (inverse ? decode : encode)(m, r, w);
    if (!m->status.code && leat_tape_code(m->tape)) {
        leat_fail(&m->status, leat_tape_code(m->tape), "rows from %lld: %s", (long long)r->first,
                  leat_tape_errmsg(m->tape));
    }
    leat_arena_restore(&m->arena, mark);
    return m->status.code;
}

static leat_code run(app_trained *m, const settings *o, const char *path, bool inverse)
{
    const leat_table_writer_opts opts = { .columns = leat_flow_dim(m->flow),
                                          .names = inverse ? m->columns : NULL,
                                          .doubles = inverse && app_rows_are_doubles(m->flow) };
    app_output w;
    app_rows r;
    if (app_rows_open(&r, m, path, inverse ? APP_ROWS_LATENT : APP_ROWS_DATA, o->rows, &o->table))
        return m->status.code;
    if (!app_output_open(&w, m, o->out, path, opts)) {
        while (app_rows_next(&r) && !map_block(m, &r, inverse, &w)) {
        }
        app_output_close(&w);
    }
    app_rows_close(&r);
    return m->status.code;
}

static int map(const app_program *program, int argc, char **argv, bool inverse)
{
    settings o = { 0 };
    app_arguments rest;
    int exit_code = app_options_parse(program, argc, argv, &o, &rest);
    app_trained m;
    if (exit_code >= 0)
        return exit_code;
    if (!app_trained_open(&m, program->name, rest.values[0], &o.open))
        run(&m, &o, rest.values[1], inverse);
    return app_trained_close(&m);
}

int app_leat_encode(int argc, char **argv)
{
    return map(&encode_program, argc, argv, false);
}

int app_leat_decode(int argc, char **argv)
{
    return map(&decode_program, argc, argv, true);
}
