/* leat fit: a model of a table, by the same run as the training programs'. */
#include "../common/train.h"
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const app_option table[] = {
    { "out", APP_STRING(app_training, train.out), NULL, .value = "MODEL", .letter = 'o', .help = "the model's file" },
    { "model", APP_CHOICE(app_training, model.kind), "auto", .words = APP_MODEL_WORDS,
      .help = "which flow; auto is nsf, and realnvp beyond 100 columns or with options of couplings" },
    APP_COUPLING_OPTIONS(app_training, model),
    APP_NICE_OPTIONS(app_training, model),
    APP_REALNVP_OPTIONS(app_training, model),
    APP_SPLINE_OPTIONS(app_training, model),
    APP_BASE_OPTIONS(app_training, model),
    { "folds", APP_INTEGER(app_training, train.folds), "0", .max = 1000,
      .help = "try three weight decays, or widths of the nets, on so many folds of the rows first, and take the best "
              "(with --minutes and 0: on a tenth of them)" },
    APP_FIT_OPTIONS(app_training, train, "auto", "auto", "auto", "auto", "auto"),
};

static const app_program program = {
    .name = "leat fit",
    .summary = "Fits a flow to the rows of a table, .csv or .npy, and writes the model.",
    APP_TABLE(table),
    .arguments = "DATA",
    .min_arguments = 1,
    .max_arguments = 1,
};

int app_leat_fit(int argc, char **argv)
{
    app_training o = { 0 }; /* data and what is drawn are no options here */
    app_arguments rest;
    char **typed = malloc((size_t)argc * sizeof *typed);
    int exit_code = -1;
    if (!typed) {
        fprintf(stderr, "%s: out of memory\n", program.name);
        return 1;
    }
    memcpy(typed, argv, (size_t)argc * sizeof *typed);
    exit_code = app_options_parse(&program, argc, argv, &o, &rest);
    if (exit_code < 0 && !o.train.out) {
        fprintf(stderr, "%s: -o says where the model goes (%s --help lists the options)\n", program.name, program.name);
        exit_code = 2;
    }
    if (exit_code < 0) {
        o.train.data = rest.values[0];
        o.train.points = 10000; /* of a named set */
        exit_code = app_train(&(app_train_job){ .program = &program,
                                                .settings = &o,
                                                .model_path = o.train.out,
                                                .command = program.name,
                                                .argc = argc,
                                                .argv = typed });
    }
    free(typed);
    return exit_code;
}
