/*
 * What the training programs share: their options, the data, the run, and the files it leaves.
 *
 * A program lists the options that it offers, of those here and in models.h, and leaves the rest to app_train_main:
 *
 *     static const app_option table[] = {
 *         APP_COUPLING_OPTIONS(app_training, model),
 *         APP_TRAIN_OPTIONS(app_training, train),
 *     };
 *
 * Written into a folder: model.safetensors (of a run that failed: model.failed.safetensors alone), loss.csv,
 * checkpoint.safetensors if asked for or stopped, and what was drawn: samples.npy, samples.png, samples.svg; of images
 * samples.png, reconstruction.png, interpolation.png, temperatures.png (train_images.c). Or, for a
 * program that is given the path of a model, the model alone, with its checkpoint beside it. The model file tells in
 * its metadata how it came about: `training` (JSON), and for a table with a header `columns` and `context_columns`
 * (JSON lists of names).
 */
#ifndef APPS_COMMON_TRAIN_H
#define APPS_COMMON_TRAIN_H

#include "image_input.h"
#include "models.h"
#include "table_input.h"

typedef struct app_train_settings {
    app_table_settings table;
    const char *data, *noise, *context, *bounds, *integer, *resume, *out;
    int optimiser, schedule, recompute;
    int64_t points, folds, epochs, batch, patience, warmup, step_epochs, checkpoint_every, draw, seed, threads;
    double validation, lr, weight_decay, clip, lr_factor, ema, minutes;
    bool standardize, no_standardize, quiet;
} app_train_settings;

enum {
    APP_SCHEDULE_CONSTANT,
    APP_SCHEDULE_COSINE,
    APP_SCHEDULE_WARMUP,
    APP_SCHEDULE_WARMUP_COSINE,
    APP_SCHEDULE_STEP,
    APP_SCHEDULE_EXPONENTIAL
};

/* clang-format off */
/* Of every program that fits a flow; data and places of results are its own, and five defaults. What is "auto" is chosen
 * from rows and columns (choose.c). */
#define APP_FIT_OPTIONS(type, field, EPOCHS, BATCH, HELD, PATIENCE, DECAY)                                                                                   \
    APP_TABLE_OPTIONS(type, field.table),                                                                               \
    { "context", APP_STRING(type, field.context), .value = "LIST",                                                     \
      .help = "columns to condition on, taken out of the data: p(x | context)" },                                      \
    { "bounds", APP_STRING(type, field.bounds), .value = "LIST",                                                       \
      .help = "edges of columns, price:0:,share:0:1; no draw goes beyond" },                                           \
    { "integer", APP_STRING(type, field.integer), .value = "LIST|auto",                                                \
      .help = "columns of whole numbers, which have probabilities; auto: all that look so" },                          \
    { "standardize", APP_FLAG(type, field.standardize),                                                                \
      .help = "learn on (x - mean) / sd; the default for tables" },                                                    \
    { "no-standardize", APP_FLAG(type, field.no_standardize), .help = "learn on the numbers as they are" },            \
    { "validation", APP_NONNEGATIVE(type, field.validation), HELD, .value = "FRACTION", .words = "auto",                                 \
      .help = "part of the rows to hold out; the weights with the best loss on them are kept" },                       \
    APP_RUN_OPTIONS(type, field, EPOCHS, BATCH, PATIENCE, DECAY)

/* Of every run, whatever its data are. */
#define APP_RUN_OPTIONS(type, field, EPOCHS, BATCH, PATIENCE, DECAY)                                                    \
    { "epochs", APP_INTEGER(type, field.epochs), EPOCHS, .max = 1000000, .words = "auto",\
      .help = "passes over the data, at most" },      \
    { "batch", APP_INTEGER(type, field.batch), BATCH, .min = 1, .words = "auto", .help = "rows in a batch" },                           \
    { "patience", APP_INTEGER(type, field.patience), PATIENCE, .words = "auto",                                                             \
      .help = "stop after so many epochs without a better validation loss; 0: never" },                                \
    { "optimiser", APP_CHOICE(type, field.optimiser), "adam", .words = "adam|adamw|adamax|rmsprop|sgd",                \
      .help = "how weights are changed" },                                                                             \
    { "lr", APP_POSITIVE(type, field.lr), "0.001", .help = "the optimiser's step size" },                              \
    { "schedule", APP_CHOICE(type, field.schedule), "constant",                                                        \
      .words = "constant|cosine|warmup|warmup-cosine|step|exponential", .help = "how --lr changes over the epochs" },         \
    { "lr-factor", APP_NONNEGATIVE(type, field.lr_factor), "0",                                                        \
      .help = "cosine: the end, as part of --lr; step: each step (0: 0.1); exponential: each epoch (0: 0.95)" },       \
    { "warmup", APP_INTEGER(type, field.warmup), "1", .help = "of warmup and warmup-cosine: epochs from 0 to --lr" },  \
    { "step-epochs", APP_INTEGER(type, field.step_epochs), "10", .min = 1, .help = "of step: epochs between steps" },  \
    { "weight-decay", APP_NONNEGATIVE(type, field.weight_decay), DECAY, .words = "auto", .help = "the optimiser's" },    \
    { "clip", APP_NONNEGATIVE(type, field.clip), "0", .help = "the most that the gradient's norm may be; 0: any" },    \
    { "ema", APP_NONNEGATIVE(type, field.ema), DECAY, .words = "auto",                                                 \
      .help = "decay of the weights' moving average, like 0.999, which then is the model; 0: none" },                  \
    { "minutes", APP_NONNEGATIVE(type, field.minutes), "0",                                                            \
      .help = "end the run in good time, with a checkpoint beside the model; 0: after --epochs" },                     \
    { "recompute", APP_CHOICE(type, field.recompute), "none", .words = "none|forward|invert",                          \
      .help = "spare memory for time, to the same bits, or to near ones by inverses" },                                \
    { "checkpoint-every", APP_INTEGER(type, field.checkpoint_every), "0", .value = "EPOCHS",                           \
      .help = "save all that it takes to go on; 0: only when stopped by Ctrl-C" },                                     \
    { "resume", APP_STRING(type, field.resume), .value = "FILE",                                                       \
      .help = "go on from a checkpoint, to the very bits of a run that never stopped" },                               \
    { "seed", APP_INTEGER(type, field.seed), "0", .help = "of everything random" },                                    \
    { "threads", APP_INTEGER(type, field.threads), "0", .max = 1024,                                                   \
      .help = "0: the cores this process may use; no result depends on it" },                                          \
    { "quiet", APP_FLAG(type, field.quiet), .help = "print nothing but errors" }

/* The data sets by name, and drawing at the end. */
#define APP_TRAIN_OPTIONS(type, field)                                                                                 \
    { "data", APP_STRING(type, field.data), "moons", .value = "NAME|FILE",                                             \
      .help = "moons, circles, blobs, pinwheel, checkerboard, spirals, swiss-roll, s-curve, a .csv or .npy file, or images" }, \
    { "points", APP_INTEGER(type, field.points), "10000", .min = 1, .help = "how many points of a named set to make" }, \
    { "noise", APP_STRING(type, field.noise), .value = "X",                                                            \
      .help = "of a named set: standard deviation (moons: 0.05; other sets have their own)" },                         \
    APP_FIT_OPTIONS(type, field, "10", "256", "0", "0", "0"),                                                                                      \
    { "draw", APP_INTEGER(type, field.draw), "1000", .max = 100000000,                                                 \
      .help = "samples to draw at the end; of images 100 at most, after each epoch" },                                 \
    APP_IMAGE_OPTIONS(app_training, image)

/* Of programs that train on images alone. */
#define APP_IMAGE_TRAIN_OPTIONS(type, field)                                                                           \
    { "data", APP_STRING(type, field.data), .value = "DIR|FILE",                                                       \
      .help = "images: a folder of them or of IDX files, plain or .gz, or one IDX or .npy of bytes" },                 \
    APP_RUN_OPTIONS(type, field, "10", "64", "0", "0"),                                                                     \
    { "draw", APP_INTEGER(type, field.draw), "100", .max = 100, .help = "samples to draw after each epoch" },          \
    APP_IMAGE_OPTIONS(app_training, image)
/* clang-format on */

/* Where the options of such a program are put. */
typedef struct app_training {
    app_train_settings train;
    app_model_settings model;
    app_image_settings image;
} app_training;

typedef struct app_train_job {
    const app_program *program;
    const app_training *settings;
    const char *model_path; /* NULL: everything goes into the folder train.out */
    const char *command;    /* how the program is called, in front of the arguments: "leat fit"; NULL: argv[0] */
    int argc;               /* the command line as it was typed, to tell how a stopped run goes on; a program with */
    char *const *argv;      /* arguments copies it before app_options_parse, which moves them */
} app_train_job;

/* Everything from the options on; returns the exit code: 0, 1 for an error, 2 for options that do not fit together, 130
 * when a signal stopped it (stop.h) and a checkpoint was saved. */
int app_train(const app_train_job *job);

/* The whole of a program that trains one kind of flow, APP_NICE or another, and takes no arguments but options. */
int app_train_main(const app_program *program, int kind, int argc, char **argv);

#endif
