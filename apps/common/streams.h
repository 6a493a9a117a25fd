/* What a program says on its standard streams, where its results must not go, and what is none. */
#ifndef APPS_COMMON_STREAMS_H
#define APPS_COMMON_STREAMS_H

#include "../../tensor/tensor.h"

#include <stdio.h>

/* First thing in a program: a file that grows beyond a limit of the system is an error (EFBIG), and no signal. */
void app_begin(void);

/* Last thing in a program: what it printed is written. Returns the exit code, which becomes 1, with a line on standard
 * error, when that fails. A closed pipe is no failure. */
int app_end(const char *program, int exit_code);

/* A line on standard error, "program: text". */
void app_say(const char *program, const char *format, ...) LEAT_PRINTF(2, 3);

/* A text from a file, fit for a terminal: control characters, and what is not UTF-8, as \x1b. */
void app_put_text(FILE *f, const char *text);

/* Refuses a file for results ("-" or NULL: standard output) that is one of the inputs ("-": standard input; NULL: none),
 * by whatever name: links of both kinds are seen. To be asked before anything is opened for writing. */
leat_code app_refuse_input(const char *out, const char *const *inputs, int count, leat_status *s);

/* How many of the rows, [n, columns], have a number that is not finite. */
int64_t app_count_not_finite(leat_doubles rows);

#endif
