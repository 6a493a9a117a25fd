/* leat plot: a picture of a trained flow. */
#include "../common/flow_rows.h"
#include "../common/options.h"
#include "commands.h"
#include "draw.h"
#include "output.h"
#include "table_rows.h"

#include <stdio.h>

typedef struct settings {
    app_trained_opts open;
    app_table_settings table;
    const char *out, *beside;
    int64_t samples, seed, across;
} settings;

static const app_option table[] = {
    { "out", APP_STRING(settings, out), NULL, .value = "FILE", .letter = 'o', .help = "the picture, .png or .svg" },
    { "samples", APP_INTEGER(settings, samples), "2000", .min = 1, .max = 1000000, .help = "how many to draw" },
    { "seed", APP_INTEGER(settings, seed), "0", .help = "of the samples" },
    { "beside", APP_STRING(settings, beside), NULL, .value = "MODEL,...",
      .help = "draw densities alone, of this model and of others of two features" },
    { "across", APP_INTEGER(settings, across), "3", .min = 1, .max = 20, .help = "with --beside: so many in a row" },
    APP_TABLE_OPTIONS(settings, table),
    APP_TRAINED_OPTIONS(settings, open),
};

static const app_program program = {
    .name = "leat plot",
    .summary =
        "Draws a model. Of two features: the density with contours, samples, and how a grid of the latent space\n"
        "bends through the layers; of more: each feature and each pair of the first seven, samples over data.",
    APP_TABLE(table),
    .arguments = "MODEL [DATA]",
    .min_arguments = 1,
    .max_arguments = 2,
};

int app_leat_plot(int argc, char **argv)
{
    settings o;
    app_arguments rest;
    int exit_code = app_options_parse(&program, argc, argv, &o, &rest);
    app_trained m;
    app_drawing drawing = { 0 };
    leat_doubles data = { 0 }, context;
    if (exit_code >= 0)
        return exit_code;
    if (!o.out) {
        fprintf(stderr, "%s: --out says where the picture goes (%s --help lists the options)\n", program.name,
                program.name);
        return 2;
    }
    o.open.seed = o.seed;
    drawing.out = o.out;
    drawing.samples = o.samples;
    drawing.beside = o.beside;
    drawing.across = o.across;
    if (!app_trained_open(&m, program.name, rest.values[0], &o.open) &&
        !app_output_allow(&m, o.out, rest.count > 1 ? rest.values[1] : NULL) &&
        (rest.count < 2 || !app_rows_all(&m, rest.values[1], APP_ROWS_DATA, &o.table, INT64_MAX, &data, &context))) {
        if (data.rows > 0)
            drawing.data = app_to_reals(&m.arena, data, data.rows, &m.status);
        if (!m.status.code)
            o.beside ? app_draw_beside(&m, &drawing, &o.open) : app_draw(&m, &drawing);
    }
    return app_trained_close(&m);
}
