/*
 * The columns of a table to train on, and what they hold: bounds, whole numbers, and what makes a density doubtful.
 * Messages call a column by its place in the file and its name.
 */
#ifndef APPS_COMMON_COLUMNS_H
#define APPS_COMMON_COLUMNS_H

#include "../../tensor/tensor.h"

#include <stddef.h>

typedef struct app_columns {
    const char *file;
    leat_doubles values;
    const char *const *names; /* NULL without a header */
    int64_t count, *places;   /* in the file, from 1 */
    /* for leat_standardize_opts; NULL: none */
    double *lower, *upper;
    bool *whole;
    bool heavy_base;   /* which takes any tails */
    bool chooses_base; /* where tails are heavy */
    bool heavy;        /* told: for that base, many rows whose columns mostly have far heavier tails than a normal's */
} app_columns;

/* From "price:0:,share:0:1", a column's name or place with its bounds, either of which may be left out; and from
 * "3,rooms" or "auto", which takes every column of nothing but whole numbers. NULL: none. */
leat_code app_columns_bounds(app_columns *c, const char *list, leat_arena *a, leat_status *s);
leat_code app_columns_whole(app_columns *c, const char *list, leat_arena *a, leat_status *s);

/* Refuses a constant column, and says (NULL: nothing) what else is doubtful, a line for each kind: a column that
 * numbers the rows, and, of data, values that many rows have, columns that are sums of multiples of others, columns
 * that seem to have bounds, and tails heavier than the base's. */
typedef void app_say_fn(void *user, const char *line);
leat_code app_columns_look(app_columns *c, bool context, app_say_fn *say, void *user, leat_status *s);

#endif
