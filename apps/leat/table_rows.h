/*
 * The rows of a table that belong to a trained flow: its features, and behind them the columns of its context.
 *
 * Columns that the settings choose are those of the flow, in its order. Else, where the flow knows the names of its
 * columns and the table has names, columns are matched by name, in any order, and further ones are passed over; where
 * names stand twice, by name and order, so that the table that a flow was fitted to is always matched. Otherwise the
 * table must have just the columns of the flow, in its order. A first line with all of the flow's names is a header,
 * numbers or not.
 *
 * For a flow of images, a folder (its test set, if it has one) or file of images is such a table too; the context is the class, one-hot.
 */
#ifndef APPS_LEAT_ROWS_H
#define APPS_LEAT_ROWS_H

#include "../common/image_input.h"
#include "../common/table_input.h"
#include "trained.h"

typedef enum app_row_kind {
    APP_ROWS_DATA,    /* features and context */
    APP_ROWS_CONTEXT, /* the context alone, for sampling */
    APP_ROWS_LATENT,  /* latents, which have no names, and the context */
} app_row_kind;

typedef struct app_rows {
    app_trained *m;
    leat_table *table;
    leat_images images;           /* instead of a table, for a flow of images; their number 0: a table */
    int64_t features, conditions; /* columns of either kind */
    int64_t count;                /* rows of the block; */
    int64_t first;                /* the number of its first row, from 0 */
    leat_doubles x, context;      /* the block, of features and conditions; data NULL: there are none of them */
} app_rows;

/* A part of the rows, "A:B", "A:" or ":B", counted from 0, B not included; NULL or "": all. */
bool app_row_range(const char *text, int64_t *first, int64_t *last);

leat_code app_rows_open(app_rows *r, app_trained *m, const char *path, app_row_kind kind, const char *range,
                        const app_table_settings *o);
bool app_rows_next(app_rows *r); /* false at the end, and after a failure, which m->status has */
void app_rows_close(app_rows *r);

/* The first `most` of them at once, in m's arena. */
leat_code app_rows_all(app_trained *m, const char *path, app_row_kind kind, const app_table_settings *o, int64_t most,
                       leat_doubles *x, leat_doubles *context);

#endif
