/*
 * Text that grows in an arena, and numbers as text.
 *
 * The C library reads and prints numbers with the decimal point of the locale, so its calls run in the "C" locale here.
 */
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

app_text app_text_new(leat_arena *a)
{
    return (app_text){ .arena = a };
}

/* Room for `more` bytes and the zero byte. */
static bool reserve(app_text *t, size_t more)
{
    if (t->failed || more > PTRDIFF_MAX / 4 || t->size > PTRDIFF_MAX / 4) {
        t->failed = true;
        return false;
    }
    if (t->size + more + 1 > t->capacity) {
        size_t capacity = 2 * (t->size + more) + 256;
        char *bytes = leat_arena_alloc(t->arena, capacity);
        if (!bytes) {
            t->failed = true;
            return false;
        }
        if (t->size > 0)
            memcpy(bytes, t->bytes, t->size);
        t->bytes = bytes;
        t->capacity = capacity;
    }
    return true;
}

void app_text_add(app_text *t, const void *bytes, size_t size)
{
    if (reserve(t, size)) {
        if (size > 0)
            memcpy(t->bytes + t->size, bytes, size);
        t->size += size;
        t->bytes[t->size] = '\0';
    }
}

static locale_t enter_c_locale(locale_t *c)
{
    *c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return uselocale(*c);
}

static void leave_c_locale(locale_t before, locale_t c)
{
    uselocale(before);
    if (c)
        freelocale(c);
}

void app_text_format(app_text *t, const char *format, ...)
{
    locale_t c, before = enter_c_locale(&c);
    va_list arguments;
    int length;
    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !reserve(t, (size_t)length)) {
        t->failed = true;
    } else {
        va_start(arguments, format);
        vsnprintf(t->bytes + t->size, (size_t)length + 1, format, arguments);
        va_end(arguments);
        t->size += (size_t)length;
    }
    leave_c_locale(before, c);
}

static size_t digits(const char *text, size_t size, size_t from)
{
    while (from < size && text[from] >= '0' && text[from] <= '9')
        from++;
    return from;
}

/* [sign] digits [. digits] [e [sign] digits], with a digit on at least one side of the point. */
static bool is_number(const char *text, size_t size)
{
    size_t begin = size > 0 && (text[0] == '-' || text[0] == '+'), at = digits(text, size, begin), count = at - begin;
    if (at < size && text[at] == '.') {
        size_t end = digits(text, size, at + 1);
        count += end - at - 1;
        at = end;
    }
    if (count == 0)
        return false;
    if (at < size && (text[at] == 'e' || text[at] == 'E')) {
        begin = at + 1;
        begin += begin < size && (text[begin] == '-' || text[begin] == '+');
        at = digits(text, size, begin);
        if (at == begin)
            return false;
    }
    return at == size;
}

bool app_number_read(const char *text, size_t size, double *out)
{
    char copy[512];
    locale_t c, before;
    if (!is_number(text, size) || size >= sizeof copy)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    before = enter_c_locale(&c);
    *out = strtod(copy, NULL);
    leave_c_locale(before, c);
    return true;
}

bool app_integer_read(const char *text, size_t size, int64_t *out)
{
    char copy[32];
    size_t begin = size > 0 && (text[0] == '-' || text[0] == '+');
    long long value;
    if (digits(text, size, begin) != size || begin == size || size >= sizeof copy)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    errno = 0;
    value = strtoll(copy, NULL, 10);
    if (errno != 0)
        return false;
    *out = value;
    return true;
}

const char *app_excerpt(const char *text, size_t size, char out[APP_EXCERPT])
{
    size_t shown = size < APP_EXCERPT - 1 ? size : APP_EXCERPT - 4;
    for (size_t i = 0; i < shown; i++)
        out[i] = isprint((unsigned char)text[i]) && (unsigned char)text[i] < 0x80 ? text[i] : '?';
    memcpy(out + shown, size > shown ? "..." : "", size > shown ? 4 : 1);
    return out;
}
