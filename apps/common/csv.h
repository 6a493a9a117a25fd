/* Tables of numbers as text: .csv files and their kin. */
#ifndef APPS_COMMON_CSV_H
#define APPS_COMMON_CSV_H

#include "../../tensor/tensor.h"

typedef struct app_csv {
    leat_tensor values; /* [rows, columns] */
    const char **names; /* of the columns, from a header line; NULL without one */
} app_csv;

/*
 * Reads a file of numbers. The first line is a header when none of its fields is a number and one is not empty. Fields
 * stand between commas, semicolons or tabs, whichever of them the first line has, else between runs of spaces. They may
 * be quoted ("" is a quote inside). Lines end in LF or CRLF; a UTF-8 byte order mark and blank lines at the end are
 * passed over. Numbers have a decimal point in every locale.
 *
 * Refused, with the file, the line and the column (both from 1), the text and the reason: rows of unequal length, empty
 * fields, what is no number, nan and inf, numbers beyond leat_real, blank lines between rows. A file without any line
 * is refused too; one with a header alone has no rows.
 */
leat_code app_csv_read(const char *path, leat_arena *a, app_csv *out, leat_status *s);

/* Writes a [rows, columns] table, all or nothing. `names` is one text for each column, or NULL for no header. Numbers
 * have the fewest digits that read back as the same leat_real. */
leat_code app_csv_write(const char *path, const char *const *names, const leat_tensor *values, leat_status *s);

#endif
