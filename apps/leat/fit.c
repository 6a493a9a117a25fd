/* leat fit: a model of a table, by the same run as the training programs'. */
#include "../common/models.h"
#include "../common/train.h"
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    app_train_settings train;
    app_model_settings model;
    const char *out;
} settings;

static const app_option table[] = {
    { "out", APP_STRING(settings, out), NULL, .value = "MODEL", .letter = 'o', .help = "the model's file" },
    { "model", APP_CHOICE(settings, model.kind), "realnvp", .words = "nice|realnvp", .help = "which flow" },
    APP_COUPLING_OPTIONS(settings, model),
    APP_NICE_OPTIONS(settings, model),
    APP_REALNVP_OPTIONS(settings, model),
    APP_FIT_OPTIONS(settings, train),
};

static const app_program program = {
    .name = "leat fit",
    .summary = "Fits a flow to the rows of a table, .csv or .npy, and writes the model.",
    APP_TABLE(table),
    .arguments = "DATA",
    .min_arguments = 1,
    .max_arguments = 1,
};

static leat_flow *build(leat_model *m, int64_t dim, int64_t context, const void *user)
{
    const settings *o = user;

    return app_model_build(m, dim, context, &o->model);
}

int app_leat_fit(int argc, char **argv)
{
    settings o = { 0 }; /* what its table leaves out is absent */
    app_arguments rest;
    char **typed = malloc((size_t)argc * sizeof *typed);
    int exit_code = -1;

    if (!typed) {
        fprintf(stderr, "%s: out of memory\n", program.name);
        return 1;
    }
    memcpy(typed, argv, (size_t)argc * sizeof *typed);
    exit_code = app_options_parse(&program, argc, argv, &o, &rest);
    if (exit_code < 0 && !o.out) {
        fprintf(stderr, "%s: -o says where the model goes (%s --help lists the options)\n", program.name, program.name);
        exit_code = 2;
    }
    if (exit_code < 0) {
        o.train.data = rest.values[0];
        exit_code = app_train(&(app_train_job){ .program = &program,
                                                .settings = &o,
                                                .train = &o.train,
                                                .build = build,
                                                .model_path = o.out,
                                                .command = program.name,
                                                .argc = argc,
                                                .argv = typed });
    }
    free(typed);
    return exit_code;
}
