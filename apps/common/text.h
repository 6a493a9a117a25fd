/* Text that grows in an arena, and numbers as text; both read and write a decimal point in every locale. */
#ifndef APPS_COMMON_TEXT_H
#define APPS_COMMON_TEXT_H

#include "../../tensor/tensor.h"

/* Bytes that grow at their end. Running out of memory is remembered, so that only the end has to be asked. */
typedef struct app_text {
    leat_arena *arena;
    char *bytes; /* ends in a zero byte that `size` does not count, once something was added */
    size_t size, capacity;
    bool failed;
} app_text;

app_text app_text_new(leat_arena *a);
void app_text_add(app_text *t, const void *bytes, size_t size);
void app_text_format(app_text *t, const char *format, ...) LEAT_PRINTF(2, 3);

/* A number as a person writes it (-12, .5, 1e-3, +4.) and nothing else, all of text[0 .. size). False when it is not
 * one. Beyond the range of double it is infinite. */
bool app_number_read(const char *text, size_t size, double *out);
bool app_integer_read(const char *text, size_t size, int64_t *out); /* false also beyond int64_t */

/* What a message quotes of a text it refuses: printable ASCII, cut to a readable length. Returns `out`. */
#define APP_EXCERPT 48
const char *app_excerpt(const char *text, size_t size, char out[APP_EXCERPT]);

#endif
