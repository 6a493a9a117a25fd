/* Rows on their way out of a command: to a file, or as text to standard output. */
#ifndef APPS_LEAT_OUTPUT_H
#define APPS_LEAT_OUTPUT_H

#include "trained.h"

typedef struct app_output {
    app_trained *m;
    leat_table_writer *writer;
    int64_t rows, not_finite; /* written so far; of them, those with a number that is not finite */
} app_output;

/* Refuses a place for results that is the model itself or the table (NULL: none). */
leat_code app_output_allow(app_trained *m, const char *out, const char *table);

/* Opens --out, "-" or NULL for standard output, if that is allowed. */
leat_code app_output_open(app_output *w, app_trained *m, const char *out, const char *table, leat_table_writer_opts o);
leat_code app_output_append(app_output *w, const leat_tensor *rows);
leat_code app_output_append_doubles(app_output *w, leat_doubles rows); /* in the flow's units (flow_rows.h) */

/* Commits the rows written, or discards them after a failure, and what had stood in the file stays. Rows that are not
 * finite are a failure. */
leat_code app_output_close(app_output *w);

#endif
