/*
 * What the training programs share: their options, the loop over epochs, and the files they write.
 *
 * A program lists APP_TRAIN_OPTIONS among its own, builds its flow in a callback, and leaves the rest to app_train:
 *
 *     typedef struct settings { app_train_settings train; int64_t couplings; } settings;
 *     static const app_option table[] = { APP_TRAIN_OPTIONS(settings, train), { "couplings", ... } };
 *
 * Written into the folder --out: model.safetensors, loss.csv, and what was drawn: samples.npy, samples.png,
 * samples.svg.
 */
#ifndef APPS_COMMON_TRAIN_H
#define APPS_COMMON_TRAIN_H

#include "../../flows/flows.h"
#include "options.h"

typedef struct app_train_settings {
    const char *data, *out;
    int64_t points, epochs, batch, draw, seed, threads;
    double noise, lr;
    bool quiet;
} app_train_settings;

/* clang-format off */
#define APP_TRAIN_OPTIONS(type, field)                                                                                 \
    { "data", APP_STRING(type, field.data), "moons", .value = "moons|FILE",                                            \
      .help = "two moons, or the rows of a .npy or .csv file" },                                                       \
    { "points", APP_INTEGER(type, field.points), "10000", .min = 1, .help = "how many points of two moons to make" },  \
    { "noise", APP_NONNEGATIVE(type, field.noise), "0.05", .help = "standard deviation around the two moons" },        \
    { "epochs", APP_INTEGER(type, field.epochs), "10", .max = 1000000, .help = "passes over the data" },               \
    { "batch", APP_INTEGER(type, field.batch), "256", .min = 1, .help = "rows in a batch" },                           \
    { "lr", APP_POSITIVE(type, field.lr), "0.001", .help = "Adam's step size" },                                       \
    { "draw", APP_INTEGER(type, field.draw), "1000", .max = 100000000, .help = "samples to draw at the end" },         \
    { "seed", APP_INTEGER(type, field.seed), "0", .help = "of everything random" },                                    \
    { "threads", APP_INTEGER(type, field.threads), "0", .max = 1024,                                                   \
      .help = "0: the cores this process may use; no result depends on it" },                                          \
    { "quiet", APP_FLAG(type, field.quiet), .help = "print nothing but errors" }
/* clang-format on */

/* Builds the flow for data of `dim` features; `architecture` receives a line of JSON that describes it. */
typedef leat_flow *app_build_fn(leat_model *m, int64_t dim, const void *settings, char *architecture, size_t size);

/* The program from the options to the exit code. */
int app_train(const app_program *p, const app_train_settings *o, app_build_fn *build, const void *settings);

#endif
