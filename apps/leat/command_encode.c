/* leat encode and leat decode: rows to latents and back, each row on its own. */
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
    APP_TABLE_OPTIONS(settings, table),
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

static leat_code map_block(app_trained *m, const app_rows *r, bool decode, leat_table_writer *w)
{
    leat_arena_mark mark = leat_arena_save(&m->arena);
    leat_tensor out = leat_tensor_new(&m->arena, r->x.shape, &m->status);

    if (out.data && (decode ? leat_flow_decode(m->flow, m->tape, r->x, r->context, out.data, NULL)
                            : leat_flow_encode(m->flow, m->tape, r->x, r->context, out.data, NULL))) {
        leat_fail(&m->status, leat_tape_code(m->tape), "rows from %lld: %s", (long long)r->first,
                  leat_tape_errmsg(m->tape));
    }
    if (!m->status.code) {
        leat_table_append(w, &out, &m->status);
    }
    leat_arena_restore(&m->arena, mark);
    return m->status.code;
}

static leat_code run(app_trained *m, const settings *o, const char *path, bool decode)
{
    leat_table_writer *w;
    app_rows r;

    if (app_rows_open(&r, m, path, decode ? APP_ROWS_LATENT : APP_ROWS_DATA, o->rows, &o->table)) {
        return m->status.code;
    }
    w = app_output_open(m, o->out, decode ? m->columns : NULL, leat_flow_dim(m->flow));
    if (w) {
        while (app_rows_next(&r) && !map_block(m, &r, decode, w)) {
        }
        app_output_close(m, w);
    }
    app_rows_close(&r);
    return m->status.code;
}

static int map(const app_program *program, int argc, char **argv, bool decode)
{
    settings o;
    app_arguments rest;
    int exit_code = app_options_parse(program, argc, argv, &o, &rest);
    app_trained m;

    if (exit_code >= 0) {
        return exit_code;
    }
    if (!app_trained_open(&m, program->name, rest.values[0], &o.open)) {
        run(&m, &o, rest.values[1], decode);
    }
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
