/*
 * JSON (RFC 8259): a strict reader into a tree that lives in an arena, and a writer into a growing text.
 *
 *     leat_json *top;
 *     if (leat_json_read(text, size, path, 0, &arena, &top, status)) ...
 *     int64_t dim;
 *     if (!leat_json_int(leat_json_get(top, "dim"), 1, 1 << 20, &dim)) ... absent, not an integer, or out of range
 *     for (const leat_json *v = leat_json_get(top, "hidden")->first; v; v = v->next) ...
 *
 * Stricter than it must be: duplicate keys, zero characters in texts, numbers beyond a double, and nesting deeper than
 * LEAT_JSON_DEPTH are refused.
 */
#ifndef LEAT_TENSOR_JSON_H
#define LEAT_TENSOR_JSON_H

#include "../tensor.h"

#define LEAT_JSON_DEPTH 64

typedef enum leat_json_kind {
    LEAT_JSON_NULL,
    LEAT_JSON_BOOL,
    LEAT_JSON_NUMBER,
    LEAT_JSON_STRING,
    LEAT_JSON_ARRAY,
    LEAT_JSON_OBJECT,
} leat_json_kind;

typedef struct leat_json {
    leat_json_kind kind;
    bool boolean, is_integer; /* is_integer: written without point and exponent, and within int64_t */
    size_t offset;            /* where the value begins in its text, plus the reader's `base` */
    const char *key;          /* of a member of an object; else NULL */
    struct leat_json *next;   /* the next element or member, as written */
    int64_t count;            /* elements or members; of a string its bytes */
    union {
        struct {
            double number;
            int64_t integer;
        };
        const char *text; /* UTF-8, ends in a zero byte and holds no other */
        struct {
            struct leat_json *first;
            const struct leat_json **sorted; /* members of an object by key */
        };
    };
} leat_json;

/* Messages read "source: byte N: reason", N counted from the text's begin plus `base`. The tree does not refer to the
 * text. After a failure the arena is as it was. */
leat_code leat_json_read(const char *text, size_t size, const char *source, size_t base, leat_arena *a, leat_json **out,
                         leat_status *s);

/* All of these take a NULL value for "absent". A member, or NULL when there is none or `v` is no object: */
const leat_json *leat_json_get(const leat_json *v, const char *key);
/* The value, if it is of that kind (and in low .. high): */
bool leat_json_int(const leat_json *v, int64_t low, int64_t high, int64_t *out);
bool leat_json_number(const leat_json *v, double *out);
bool leat_json_bool(const leat_json *v, bool *out);
const char *leat_json_text(const leat_json *v); /* NULL when it is no string */

/* A compact text, piece by piece; commas come by themselves. The first failure stays, and leat_json_finish reports it:
 * memory, a text that is not UTF-8, a number that is not finite. */
typedef struct leat_json_writer {
    leat_arena *arena;
    char *bytes;
    size_t size, capacity;
    bool comma;
    leat_code code;
    const char *reason;
} leat_json_writer;

leat_json_writer leat_json_writer_new(leat_arena *a);
void leat_json_open(leat_json_writer *w, char bracket);  /* '{' or '[' */
void leat_json_close(leat_json_writer *w, char bracket); /* '}' or ']' */
void leat_json_key(leat_json_writer *w, const char *key);
void leat_json_put_text(leat_json_writer *w, const char *text);
void leat_json_put_int(leat_json_writer *w, int64_t value);
void leat_json_put_number(leat_json_writer *w, double value); /* reads back as the same double */
void leat_json_put_bool(leat_json_writer *w, bool value);
void leat_json_put_null(leat_json_writer *w);
/* The text ends in a zero byte that `size` does not count. */
leat_code leat_json_finish(leat_json_writer *w, char **text, size_t *size, leat_status *s);

/* The length of the UTF-8 sequence at text[0 .. size), or 0 when there is none. */
size_t leat_utf8_length(const char *text, size_t size);

/* The text itself if it is UTF-8, or what it says in Latin-1, from the arena; NULL when out of memory. */
const char *leat_utf8_text(leat_arena *a, const char *text);

/* Sorts pointers in place, in O(n log n) whatever their order. */
void leat_sort(const void **items, int64_t n, int (*compare)(const void *, const void *));

#endif
