/* Rows on their way out of a command: to a file, or as text to standard output. */
#ifndef APPS_LEAT_OUTPUT_H
#define APPS_LEAT_OUTPUT_H

#include "trained.h"

/* Opens --out, "-" or NULL for standard output. */
leat_table_writer *app_output_open(app_trained *m, const char *out, const char *const *names, int64_t columns);

/* Commits the rows written, or discards them after a failure, and what had stood in the file stays. */
leat_code app_output_close(app_trained *m, leat_table_writer *w);

#endif
