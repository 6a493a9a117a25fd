/*
 * The JSON reader: recursive descent over the bytes, one function for each production of RFC 8259.
 *
 * An unescaped string is never longer than its source with the quotes, so all strings go into one block as large as the
 * text. Members are chained as written, and sorted by key for look-ups and to find duplicates.
 */
#include "json.h"
#include "decimal.h"

#include <stdio.h>
#include <string.h>

struct reader {
    const char *text, *source;
    size_t size, at, base;
    char *strings; /* free room for the next string */
    int depth;
    leat_arena *arena;
    leat_status *status;
    leat_code code;
};

static bool refuse(struct reader *r, size_t at, const char *reason)
{
    r->code = leat_fail(r->status, LEAT_EFORMAT, "%s: byte %zu: %s", r->source, r->base + at, reason);
    return false;
}

static void *take(struct reader *r, size_t bytes)
{
    void *block = leat_arena_zalloc(r->arena, bytes);
    if (!block)
        r->code = leat_fail(r->status, LEAT_ENOMEM, "%s: out of memory for the JSON text", r->source);
    return block;
}

static int peek(const struct reader *r)
{
    return r->at < r->size ? (unsigned char)r->text[r->at] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct reader *r)
{
    while (r->at < r->size && memchr(" \t\n\r", r->text[r->at], 4))
        r->at++;
}

size_t leat_utf8_length(const char *text, size_t size)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t length = size == 0 ? 0 : c[0] < 0x80 ? 1 : c[0] < 0xC2 ? 0 : c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : 4;
    if (length == 0 || length > size || c[0] > 0xF4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((c[i] & 0xC0) != 0x80)
            return 0;
    }
    /* Refused: three and four bytes for what fits in fewer, surrogates, and what lies above U+10FFFF. */
    if ((c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] > 0x9F) || (c[0] == 0xF0 && c[1] < 0x90) ||
        (c[0] == 0xF4 && c[1] > 0x8F)) {
        return 0;
    }
    return length;
}

const char *leat_utf8_text(leat_arena *a, const char *text)
{
    size_t left = strlen(text), step = 1;
    for (const char *at = text; left > 0 && (step = leat_utf8_length(at, left)) > 0; left -= step)
        at += step;
    char *copy = left ? leat_arena_alloc(a, 2 * strlen(text) + 1) : NULL, *to = copy;
    for (const char *at = text; copy && *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c >= 0x80)
            *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(c < 0x80 ? c : 0x80 | (c & 0x3F));
    }
    if (copy)
        *to = '\0';
    return left ? copy : text;
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *to++ = (char)(0xE0 | c >> 12);
        } else {
            *to++ = (char)(0xF0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        }
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
    }
    *to++ = (char)(0x80 | (c & 0x3F));
    return to;
}

/* Four hexadecimal digits, or -1. */
static int32_t read_hex(struct reader *r)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *d = peek(r) > 0 ? strchr(digits, peek(r)) : NULL;
        if (!d)
            return -1;
        value = value * 16 + (int32_t)(d - digits) - (d - digits > 15 ? 6 : 0);
    }
    return value;
}

/* What follows a backslash and 'u'; characters above U+FFFF are two escapes, a high and a low surrogate. */
static char *read_unicode(struct reader *r, char *to)
{
    size_t begin = r->at - 2;
    int32_t c = read_hex(r), low;
    if (c < 0) {
        refuse(r, begin, "\\u needs four hexadecimal digits");
        return NULL;
    }
    if (c == 0) {
        refuse(r, begin, "zero character in a string");
        return NULL;
    }
    if (c >= 0xD800 && c <= 0xDFFF) {
        bool pair = c < 0xDC00 && r->at + 2 <= r->size && memcmp(r->text + r->at, "\\u", 2) == 0;
        r->at += pair ? 2 : 0;
        low = pair ? read_hex(r) : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            refuse(r, begin, "half of a surrogate pair");
            return NULL;
        }
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    return put_utf8(to, (uint32_t)c);
}

static char *read_escape(struct reader *r, char *to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    int c = peek(r);
    const char *found = c > 0 ? strchr(from, c) : NULL;
    r->at++;
    if (c == 'u')
        return read_unicode(r, to);
    if (!found) {
        refuse(r, r->at - 2, "unknown escape in a string");
        return NULL;
    }
    *to = into[found - from];
    return to + 1;
}

static bool read_string(struct reader *r, const char **text, int64_t *length)
{
    char *to = r->strings;
    size_t begin = r->at++;
    while (peek(r) != '"') {
        size_t step = leat_utf8_length(r->text + r->at, r->size - r->at);
        if (r->at == r->size)
            return refuse(r, begin, "string without an end");
        if (peek(r) < 0x20)
            return refuse(r, r->at, "control character in a string");
        if (step == 0)
            return refuse(r, r->at, "not UTF-8");
        if (peek(r) == '\\') {
            r->at++;
            to = read_escape(r, to);
            if (!to)
                return false;
            continue;
        }
        memcpy(to, r->text + r->at, step);
        to += step;
        r->at += step;
    }
    r->at++;
    *text = r->strings;
    *length = to - r->strings;
    *to++ = '\0';
    r->strings = to;
    return true;
}

/* ---- numbers and words ------------------------------------------------------------------------------------------- */

static bool read_digits(struct reader *r)
{
    size_t begin = r->at;
    while (is_digit(peek(r)))
        r->at++;
    return r->at > begin;
}

static bool as_integer(const char *text, size_t size, int64_t *out)
{
    bool negative = text[0] == '-';
    int64_t value = 0;
    for (size_t i = negative; i < size; i++) {
        int64_t digit = negative ? '0' - text[i] : text[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

static bool read_number(struct reader *r, leat_json *v)
{
    size_t begin = r->at;
    bool integer = true, good;
    r->at += peek(r) == '-';
    if (peek(r) == '0') {
        r->at++;
        good = !is_digit(peek(r));
    } else {
        good = read_digits(r);
    }
    if (good && peek(r) == '.') {
        integer = false;
        r->at++;
        good = read_digits(r);
    }
    if (good && (peek(r) == 'e' || peek(r) == 'E')) {
        integer = false;
        r->at++;
        r->at += peek(r) == '-' || peek(r) == '+';
        good = read_digits(r);
    }
    if (!good)
        return refuse(r, begin, "malformed number");
    v->kind = LEAT_JSON_NUMBER;
    v->number = leat_decimal_read(r->text + begin, r->at - begin);
    if (__builtin_isinf(v->number))
        return refuse(r, begin, "number out of range");
    v->is_integer = integer && as_integer(r->text + begin, r->at - begin, &v->integer);
    return true;
}

static bool read_word(struct reader *r, leat_json *v)
{
    static const struct {
        const char *word;
        leat_json_kind kind;
        bool value;
    } words[] = { { "null", LEAT_JSON_NULL, false },
                  { "false", LEAT_JSON_BOOL, false },
                  { "true", LEAT_JSON_BOOL, true } };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i].word);
        if (r->size - r->at >= length && memcmp(r->text + r->at, words[i].word, length) == 0) {
            v->kind = words[i].kind;
            v->boolean = words[i].value;
            r->at += length;
            return true;
        }
    }
    return refuse(r, r->at, r->at < r->size ? "unexpected character" : "unexpected end");
}

/* ---- arrays and objects ------------------------------------------------------------------------------------------ */

static void sift_down(const void **items, int64_t at, int64_t n, int (*compare)(const void *, const void *))
{
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        const void *parent = items[at];
        child += child + 1 < n && compare(items[child], items[child + 1]) < 0;
        if (compare(parent, items[child]) >= 0)
            return;
        items[at] = items[child];
        items[child] = parent;
    }
}

/* Heapsort: needs no memory, and no order of the input makes it slow. */
void leat_sort(const void **items, int64_t n, int (*compare)(const void *, const void *))
{
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sift_down(items, i, n, compare);
    for (int64_t last = n - 1; last > 0; last--) {
        const void *largest = items[0];
        items[0] = items[last];
        items[last] = largest;
        sift_down(items, 0, last, compare);
    }
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const leat_json *)a)->key, ((const leat_json *)b)->key);
}

static bool index_members(struct reader *r, leat_json *object)
{
    int64_t i = 0;
    const leat_json **sorted = take(r, (size_t)object->count * sizeof *sorted);
    if (!sorted)
        return false;
    for (const leat_json *m = object->first; m; m = m->next)
        sorted[i++] = m;
    leat_sort((const void **)sorted, object->count, compare_keys);
    for (i = 1; i < object->count; i++) {
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0) {
            size_t a = sorted[i - 1]->offset, b = sorted[i]->offset;
            return refuse(r, (a > b ? a : b) - r->base, "a key for the second time");
        }
    }
    object->sorted = sorted;
    return true;
}

static bool read_value(struct reader *r, leat_json *v);

static bool read_key(struct reader *r, leat_json *member)
{
    int64_t length;
    if (peek(r) != '"')
        return refuse(r, r->at, "expected a key in quotes");
    if (!read_string(r, &member->key, &length))
        return false;
    skip_space(r);
    if (peek(r) != ':')
        return refuse(r, r->at, "expected ':'");
    r->at++;
    return true;
}

static bool read_container(struct reader *r, leat_json *v)
{
    bool object = peek(r) == '{';
    int end = object ? '}' : ']';
    leat_json **link = &v->first;
    v->kind = object ? LEAT_JSON_OBJECT : LEAT_JSON_ARRAY;
    if (++r->depth > LEAT_JSON_DEPTH)
        return refuse(r, r->at, "nested too deeply");
    r->at++;
    skip_space(r);
    while (v->count > 0 || peek(r) != end) {
        leat_json *item = take(r, sizeof *item);
        if (!item)
            return false;
        skip_space(r);
        if ((object && !read_key(r, item)) || !read_value(r, item))
            return false;
        *link = item;
        link = &item->next;
        v->count++;
        if (peek(r) != ',')
            break;
        r->at++;
    }
    if (peek(r) != end)
        return refuse(r, r->at, object ? "expected ',' or '}'" : "expected ',' or ']'");
    r->at++;
    r->depth--;
    return !object || index_members(r, v);
}

/* A value and the white space around it. */
static bool read_value(struct reader *r, leat_json *v)
{
    bool good;
    skip_space(r);
    v->offset = r->base + r->at;
    if (peek(r) == '{' || peek(r) == '[') {
        good = read_container(r, v);
    } else if (peek(r) == '"') {
        v->kind = LEAT_JSON_STRING;
        good = read_string(r, &v->text, &v->count);
    } else if (peek(r) == '-' || is_digit(peek(r))) {
        good = read_number(r, v);
    } else {
        good = read_word(r, v);
    }
    skip_space(r);
    return good;
}

leat_code leat_json_read(const char *text, size_t size, const char *source, size_t base, leat_arena *a, leat_json **out,
                         leat_status *s)
{
    struct reader r = { .text = text, .size = size, .source = source, .base = base, .arena = a, .status = s };
    leat_arena_mark mark = leat_arena_save(a);
    *out = take(&r, sizeof **out);
    r.strings = *out ? take(&r, size + 1) : NULL;
    if (r.strings && read_value(&r, *out) && r.at < size)
        refuse(&r, r.at, "text after the end");
    if (r.code) {
        *out = NULL;
        leat_arena_restore(a, mark);
    }
    return r.code;
}

/* ---- access ------------------------------------------------------------------------------------------------------ */

const leat_json *leat_json_get(const leat_json *v, const char *key)
{
    int64_t low = 0, high = v && v->kind == LEAT_JSON_OBJECT ? v->count : 0;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = strcmp(key, v->sorted[middle]->key);
        if (order == 0)
            return v->sorted[middle];
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

bool leat_json_int(const leat_json *v, int64_t low, int64_t high, int64_t *out)
{
    if (!v || v->kind != LEAT_JSON_NUMBER || !v->is_integer || v->integer < low || v->integer > high)
        return false;
    *out = v->integer;
    return true;
}

bool leat_json_number(const leat_json *v, double *out)
{
    if (!v || v->kind != LEAT_JSON_NUMBER)
        return false;
    *out = v->number;
    return true;
}

bool leat_json_bool(const leat_json *v, bool *out)
{
    if (!v || v->kind != LEAT_JSON_BOOL)
        return false;
    *out = v->boolean;
    return true;
}

const char *leat_json_text(const leat_json *v)
{
    return v && v->kind == LEAT_JSON_STRING ? v->text : NULL;
}
