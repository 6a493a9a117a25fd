/*
 * The JSON writer: pieces are appended to a text in an arena that doubles when it is full. One flag decides about
 * commas: whether the last thing written was a complete value.
 */
#include "json.h"
#include "decimal.h"

#include <stdio.h>
#include <string.h>

static void fail(leat_json_writer *w, leat_code code, const char *reason)
{
    if (!w->code) {
        w->code = code;
        w->reason = reason;
    }
}

static void put(leat_json_writer *w, const char *bytes, size_t n)
{
    if (w->capacity - w->size < n) {
        size_t capacity = w->capacity < 256 ? 256 : w->capacity;
        char *grown;
        while (capacity - w->size < n)
            capacity *= 2;
        grown = w->code ? NULL : leat_arena_alloc(w->arena, capacity);
        if (!grown) {
            fail(w, LEAT_ENOMEM, "out of memory");
            return;
        }
        if (w->size > 0)
            memcpy(grown, w->bytes, w->size);
        w->bytes = grown;
        w->capacity = capacity;
    }
    memcpy(w->bytes + w->size, bytes, n);
    w->size += n;
}

static void put_comma(leat_json_writer *w)
{
    if (w->comma)
        put(w, ",", 1);
    w->comma = true;
}

static void put_quoted(leat_json_writer *w, const char *text)
{
    size_t left = strlen(text), step;
    put(w, "\"", 1);
    for (; left > 0; text += step, left -= step) {
        static const char from[] = "\"\\\b\f\n\r\t", into[] = "\"\\bfnrt";
        const char *found = strchr(from, *text);
        char escape[8];
        step = leat_utf8_length(text, left);
        if (step == 0) {
            fail(w, LEAT_EARG, "a text is not UTF-8");
            return;
        }
        if (found) {
            put(w, "\\", 1);
            put(w, into + (found - from), 1);
        } else if ((*text > 0 && *text < 0x20) || *text == 0x7F) {
            put(w, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*text));
        } else if (step == 2 && (unsigned char)text[0] == 0xC2 && (unsigned char)text[1] < 0xA0) { /* C1 */
            put(w, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)text[1]));
        } else {
            put(w, text, step);
        }
    }
    put(w, "\"", 1);
}

leat_json_writer leat_json_writer_new(leat_arena *a)
{
    return (leat_json_writer){ .arena = a };
}

void leat_json_open(leat_json_writer *w, char bracket)
{
    put_comma(w);
    put(w, &bracket, 1);
    w->comma = false;
}

void leat_json_close(leat_json_writer *w, char bracket)
{
    put(w, &bracket, 1);
    w->comma = true;
}

void leat_json_key(leat_json_writer *w, const char *key)
{
    put_comma(w);
    put_quoted(w, key);
    put(w, ":", 1);
    w->comma = false;
}

void leat_json_put_text(leat_json_writer *w, const char *text)
{
    put_comma(w);
    put_quoted(w, text);
}

void leat_json_put_int(leat_json_writer *w, int64_t value)
{
    char text[24];
    put_comma(w);
    put(w, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

void leat_json_put_number(leat_json_writer *w, double value)
{
    char text[LEAT_DECIMAL_TEXT];
    put_comma(w);
    if (!__builtin_isfinite(value)) {
        fail(w, LEAT_ENONFINITE, "JSON has no infinity and no NaN");
        return;
    }
    put(w, text, leat_decimal_print(value, text));
}

void leat_json_put_bool(leat_json_writer *w, bool value)
{
    put_comma(w);
    put(w, value ? "true" : "false", value ? 4 : 5);
}

void leat_json_put_null(leat_json_writer *w)
{
    put_comma(w);
    put(w, "null", 4);
}

leat_code leat_json_finish(leat_json_writer *w, char **text, size_t *size, leat_status *s)
{
    put(w, "", 1);
    if (w->code) {
        *text = NULL;
        *size = 0;
        return leat_fail(s, w->code, "JSON: %s", w->reason);
    }
    *text = w->bytes;
    *size = w->size - 1;
    return LEAT_OK;
}
