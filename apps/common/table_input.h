/* How a table is read: the options of every program that reads one, and opening it so. */
#ifndef APPS_COMMON_TABLE_INPUT_H
#define APPS_COMMON_TABLE_INPUT_H

#include "options.h"

typedef struct app_table_settings {
    const char *columns, *delimiter, *decimal;
    int header;
    const char *labels; /* of images, which stand in the place of a table; NULL: those beside them, if any */
    int64_t pad;
} app_table_settings;

/* clang-format off */
#define APP_TABLE_OPTIONS(type, field)                                                                                 \
    { "columns", APP_STRING(type, field.columns), .value = "LIST",                                                     \
      .help = "of a table, in this order: names, numbers from 1, ranges (age,\"a, b\",3,5-7; #3: always a number)" },  \
    { "header", APP_CHOICE(type, field.header), "auto", .words = "auto|yes|no",                                        \
      .help = "whether the first line of a table is one of names" },                                                   \
    { "delimiter", APP_STRING(type, field.delimiter), .value = "C",                                                    \
      .help = "what stands between fields, or tab, or space; default: ; or , or tab or spaces, as the first line has" }, \
    { "decimal", APP_STRING(type, field.decimal), .value = "C", .help = "the decimal mark, a point or a comma" }
#define APP_TABLE_OR_IMAGE_OPTIONS(type, field)                                                                        \
    APP_TABLE_OPTIONS(type, field),                                                                                    \
    { "labels", APP_STRING(type, field.labels), .value = "FILE",                                                       \
      .help = "of images, for a model by class: which class each has" },                                               \
    { "pad", APP_INTEGER(type, field.pad), "0", .max = 1024, .help = "of images: a border of N black pixels" }
/* clang-format on */

/* Opens a table with these settings on top of `opts`, and says on standard error, in the program's name, what was guessed
 * about it; `program` NULL says nothing. */
leat_table *app_table_open(const char *program, const char *path, const app_table_settings *o, leat_table_opts opts,
                           leat_status *s);

#endif
