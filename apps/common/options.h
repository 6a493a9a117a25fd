/*
 * The command line of a program, read into its own struct by a table.
 *
 *     typedef struct settings {
 *         int64_t epochs;
 *         double lr;
 *         app_sizes hidden;
 *         int model;
 *         const char *data;
 *         bool quiet;
 *     } settings;
 *
 *     static const app_option table[] = {
 *         { "epochs", APP_INTEGER(settings, epochs), "10",      .min = 1, .help = "passes over the data" },
 *         { "lr",     APP_POSITIVE(settings, lr),    "0.001",   .help = "Adam's step size" },
 *         { "hidden", APP_SIZES(settings, hidden),   "128,128", .help = "widths of the hidden layers" },
 *         { "model",  APP_CHOICE(settings, model),   "nice",    .words = "nice|realnvp", .help = "which flow" },
 *         { "data",   APP_STRING(settings, data),    NULL,      .value = "FILE", .help = "train on this file" },
 *         { "quiet",  APP_FLAG(settings, quiet),     .help = "print no progress" },
 *     };
 *     static const app_program program = { "train_nice", "Trains NICE on two moons.", APP_TABLE(table) };
 *
 *     settings o;
 *     int exit_code = app_options_parse(&program, argc, argv, &o, NULL);
 *     if (exit_code >= 0) return exit_code;
 *
 * Options are written --name value or --name=value, or -n value where a row has a letter; of one given twice the last
 * counts. A default is a text, read the way a value is; a field with the default NULL is set to zero. --help and
 * --version need no row.
 */
#ifndef APPS_COMMON_OPTIONS_H
#define APPS_COMMON_OPTIONS_H

#include "../../tensor/tensor.h"

/* A list of sizes, "128,128"; a zero follows the last, so that .size is also a list that ends in 0. */
#define APP_MAX_SIZES 15
typedef struct app_sizes {
    int64_t count;
    int64_t size[APP_MAX_SIZES + 1];
} app_sizes;

typedef enum app_kind {
    APP_KIND_INTEGER,     /* int64_t; min .. max */
    APP_KIND_POSITIVE,    /* double, finite, above 0 */
    APP_KIND_NONNEGATIVE, /* double, finite, 0 or above */
    APP_KIND_STRING,      /* const char *; points into argv */
    APP_KIND_CHOICE,      /* int: which of `words` */
    APP_KIND_SIZES,       /* app_sizes; each at least 1 */
    APP_KIND_FLAG,        /* bool; takes no value */
} app_kind;

typedef struct app_option {
    const char *name; /* without the dashes */
    app_kind kind;
    size_t offset;
    const char *fallback; /* the default, as it would be typed */
    const char *help;     /* one line */
    const char *value;    /* what --help calls the value, "FILE"; NULL: by the kind */
    const char *words;    /* of a choice: "nice|realnvp"; of a number: a word that stands for -1, "auto" */
    int64_t min, max;     /* of an integer; a max of 0 is none */
    char letter;          /* its short form, -n; 0: none */
} app_option;

/* Kind and place of a field; compiling fails when the field's type is another. */
#define APP_FIELD(type, field, wanted) (offsetof(type, field) + 0 * sizeof(1 ? &((type *)0)->field : (wanted *)0))
#define APP_INTEGER(type, field)       APP_KIND_INTEGER, APP_FIELD(type, field, int64_t)
#define APP_POSITIVE(type, field)      APP_KIND_POSITIVE, APP_FIELD(type, field, double)
#define APP_NONNEGATIVE(type, field)   APP_KIND_NONNEGATIVE, APP_FIELD(type, field, double)
#define APP_STRING(type, field)        APP_KIND_STRING, APP_FIELD(type, field, const char *)
#define APP_CHOICE(type, field)        APP_KIND_CHOICE, APP_FIELD(type, field, int)
#define APP_SIZES(type, field)         APP_KIND_SIZES, APP_FIELD(type, field, app_sizes)
#define APP_FLAG(type, field)          APP_KIND_FLAG, APP_FIELD(type, field, bool)
#define APP_TABLE(table)               .options = (table), .option_count = (int)(sizeof(table) / sizeof *(table))

typedef struct app_program {
    const char *name;
    const char *summary; /* a sentence or two; lines are broken where it has newlines */
    const app_option *options;
    int option_count;
    const char *arguments; /* how --help writes the positional arguments, "MODEL [FILE]"; NULL: there are none */
    int min_arguments, max_arguments; /* how many of them; a max below the min is no limit */
} app_program;

/* What is not an option, in the order given; all that follows a "--" is. */
typedef struct app_arguments {
    int count;
    char **values; /* in argv, whose order changes */
} app_arguments;

/* Fills the program's struct. Returns -1 to go on, or the exit code: 0 when --help or --version was asked for and
 * printed to stdout, 2 when one line on stderr says what was wrong. `rest` may be NULL. */
int app_options_parse(const app_program *p, int argc, char **argv, void *settings, app_arguments *rest);

#endif
