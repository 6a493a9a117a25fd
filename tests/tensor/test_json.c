/* JSON: what is read, what is refused and where, and writing. */
#include "file_helpers.h"
#include "../../tensor/files/json.h"

#include <math.h>

static leat_arena arena;

static void set_up(void)
{
    leat_arena_init(&arena, NULL);
}

static void tear_down(void)
{
    leat_arena_free(&arena);
}

TestSuite(json, .init = set_up, .fini = tear_down);

static leat_code read_text(const char *text, size_t size, leat_json **out, leat_status *s)
{
    bytes b = exactly(text, size);
    leat_code code = leat_json_read(b.data, size, "x.json", 0, &arena, out, s);
    free(b.data);
    return code;
}

static const leat_json *good(const char *text)
{
    leat_json *v;
    leat_status s = { 0 };
    cr_assert_eq(read_text(text, strlen(text), &v, &s), LEAT_OK, "%s: %s", text, s.message);
    return v;
}

Test(json, reads_a_tree)
{
    const leat_json *top = good(" {\"dim\" : 2,\r\n\t\"hidden\":[128, -64],\"p\":{\"a\":null,\"b\":true,\"c\":false},"
                                "\"name\":\"nice\",\"rate\":1e-3, \"none\":[], \"empty\":{}} ");
    int64_t i;
    double x;
    bool b;
    cr_assert_eq(top->kind, LEAT_JSON_OBJECT);
    cr_assert_eq(top->count, 7);
    cr_assert(leat_json_int(leat_json_get(top, "dim"), 1, 2, &i) && i == 2);
    const leat_json *hidden = leat_json_get(top, "hidden");
    cr_assert_eq(hidden->kind, LEAT_JSON_ARRAY);
    cr_assert_eq(hidden->count, 2);
    cr_assert(leat_json_int(hidden->first, 128, 128, &i));
    cr_assert(leat_json_int(hidden->first->next, INT64_MIN, INT64_MAX, &i) && i == -64);
    cr_assert(hidden->first->next->next == NULL);
    const leat_json *p = leat_json_get(top, "p");
    cr_assert_eq(leat_json_get(p, "a")->kind, LEAT_JSON_NULL);
    cr_assert(leat_json_bool(leat_json_get(p, "b"), &b) && b);
    cr_assert(leat_json_bool(leat_json_get(p, "c"), &b) && !b);
    cr_assert_str_eq(leat_json_text(leat_json_get(top, "name")), "nice");
    cr_assert(leat_json_number(leat_json_get(top, "rate"), &x) && x == 1e-3);
    cr_assert_eq(leat_json_get(top, "none")->count, 0);
    cr_assert_eq(leat_json_get(top, "empty")->count, 0);
    cr_assert_eq(leat_json_get(top, "dim")->offset, 10u);
    cr_assert_str_eq(top->first->key, "dim");
    cr_assert_str_eq(top->first->next->key, "hidden");
}

Test(json, absent_and_of_another_kind)
{
    const leat_json *top = good("{\"a\":1.5,\"b\":\"x\",\"c\":[1]}");
    int64_t i;
    double x;
    bool b;
    cr_assert(leat_json_get(top, "d") == NULL);
    cr_assert(leat_json_get(NULL, "d") == NULL);
    cr_assert(leat_json_get(leat_json_get(top, "c"), "d") == NULL);
    cr_assert(!leat_json_int(NULL, 0, 1, &i) && !leat_json_int(leat_json_get(top, "a"), 0, 9, &i));
    cr_assert(!leat_json_int(good("3"), 4, 9, &i) && !leat_json_int(good("3"), 0, 2, &i));
    cr_assert(!leat_json_number(NULL, &x) && !leat_json_number(leat_json_get(top, "b"), &x));
    cr_assert(!leat_json_bool(NULL, &b) && !leat_json_bool(leat_json_get(top, "b"), &b));
    cr_assert(leat_json_text(NULL) == NULL && leat_json_text(leat_json_get(top, "a")) == NULL);
    cr_assert(leat_json_number(good("3"), &x) && x == 3.0);
}

Test(json, integers_to_the_last)
{
    static const struct {
        const char *text;
        bool integer;
        int64_t value;
    } cases[] = { { "0", true, 0 },
                  { "-0", true, 0 },
                  { "9223372036854775807", true, INT64_MAX },
                  { "-9223372036854775808", true, INT64_MIN },
                  { "9223372036854775808", false, 0 },
                  { "-9223372036854775809", false, 0 },
                  { "99999999999999999999999999999999", false, 0 },
                  { "1.0", false, 0 },
                  { "1e0", false, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t got = 0;
        bool is = leat_json_int(good(cases[i].text), INT64_MIN, INT64_MAX, &got);
        cr_assert_eq(is, cases[i].integer, "%s", cases[i].text);
        cr_assert_eq(got, cases[i].value, "%s", cases[i].text);
    }
    cr_assert(signbit(good("-0")->number));
}

Test(json, strings)
{
    static const struct {
        const char *text, *value;
    } cases[] = {
        { "\"\"", "" },
        { "\"a\\\"b\\\\c\\/d\\b\\f\\n\\r\\t\"", "a\"b\\c/d\b\f\n\r\t" },
        { "\"\\u0041\\u00e9\\u20AC\\uFFFF\\u0001\"", "A\xC3\xA9\xE2\x82\xAC\xEF\xBF\xBF\x01" },
        { "\"\\ud83d\\ude00\\uDBFF\\uDFFF\"", "\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF" },
        { "\"\x7F \xC2\x80 \xED\x9F\xBF \xEE\x80\x80 \xF0\x90\x80\x80 \xF4\x8F\xBF\xBF\"",
          "\x7F \xC2\x80 \xED\x9F\xBF \xEE\x80\x80 \xF0\x90\x80\x80 \xF4\x8F\xBF\xBF" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const leat_json *v = good(cases[i].text);
        cr_assert_str_eq(leat_json_text(v), cases[i].value);
        cr_assert_eq((size_t)v->count, strlen(cases[i].value));
    }
}

static const struct {
    const char *text;
    int at;
    const char *reason;
} bad[] = {
    { "", 0, "unexpected end" },
    { "  ", 2, "unexpected end" },
    { "\xEF\xBB\xBF{}", 0, "unexpected character" },
    { "{} x", 3, "text after the end" },
    { "1 2", 2, "text after the end" },
    { "nul", 0, "unexpected character" },
    { "nullx", 4, "text after" },
    { "True", 0, "unexpected character" },
    { "NaN", 0, "unexpected character" },
    { "Infinity", 0, "unexpected character" },
    { "-Infinity", 0, "malformed number" },
    { "'a'", 0, "unexpected character" },
    { "[1,]", 3, "unexpected character" },
    { "[,1]", 1, "unexpected character" },
    { "[1 2]", 3, "expected ',' or ']'" },
    { "[1", 2, "expected ',' or ']'" },
    { "[", 1, "unexpected end" },
    { "[}", 1, "unexpected character" },
    { "{", 1, "expected a key" },
    { "{1:2}", 1, "expected a key" },
    { "{\"a\"}", 4, "expected ':'" },
    { "{\"a\":}", 5, "unexpected character" },
    { "{\"a\":1,}", 7, "expected a key" },
    { "{\"a\":1 \"b\":2}", 7, "expected ',' or '}'" },
    { "{\"a\":1]", 6, "expected ',' or '}'" },
    { "{\"a\":1,\"b\":2,\"a\":3}", 17, "second time" },
    { "{\"a\":1,\"\\u0061\":3}", 16, "second time" },
    { "[/**/1]", 1, "unexpected character" },
    { "01", 0, "malformed number" },
    { "-", 0, "malformed number" },
    { "+1", 0, "unexpected character" },
    { ".5", 0, "unexpected character" },
    { "5.", 0, "malformed number" },
    { "5.e1", 0, "malformed number" },
    { "1e", 0, "malformed number" },
    { "1e+", 0, "malformed number" },
    { "0x10", 1, "text after" },
    { "1e999", 0, "out of range" },
    { "-1e999", 0, "out of range" },
    { "1e99999999999999999999999", 0, "out of range" },
    { "\"a", 0, "without an end" },
    { "\"a\\", 2, "unknown escape" },
    { "\"a\\\"", 0, "without an end" },
    { "\"\\x\"", 1, "unknown escape" },
    { "\"a\nb\"", 2, "control character" },
    { "\"\\u12\"", 1, "four hexadecimal" },
    { "\"\\u12g4\"", 1, "four hexadecimal" },
    { "\"\\u0000\"", 1, "zero character" },
    { "\"\\ud800\"", 1, "surrogate" },
    { "\"\\udc00\"", 1, "surrogate" },
    { "\"\\ud800\\ud800\"", 1, "surrogate" },
    { "\"\\ud800\\n\"", 1, "surrogate" },
    { "\"\\ud800\\u\"", 1, "surrogate" },
    { "\"\x80\"", 1, "UTF-8" },
    { "\"\xC0\x80\"", 1, "UTF-8" },
    { "\"\xC3\"", 1, "UTF-8" },
    { "\"\xE0\x9F\x80\"", 1, "UTF-8" },
    { "\"\xED\xA0\x80\"", 1, "UTF-8" },
    { "\"\xF0\x8F\x80\x80\"", 1, "UTF-8" },
    { "\"\xF4\x90\x80\x80\"", 1, "UTF-8" },
    { "\"\xF5\x80\x80\x80\"", 1, "UTF-8" },
    { "\"ab\xE2\x82", 3, "UTF-8" },
};

Test(json, refuses_and_says_where)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        leat_json *v;
        leat_status s = { 0 };
        char place[40];
        cr_assert_eq(read_text(bad[i].text, strlen(bad[i].text), &v, &s), LEAT_EFORMAT, "%s", bad[i].text);
        snprintf(place, sizeof place, "x.json: byte %d: ", bad[i].at);
        check_message(&s, place, bad[i].reason);
        cr_assert(v == NULL);
        cr_assert_eq(arena.in_use, 0u);
    }
}

Test(json, a_zero_byte_is_no_end)
{
    leat_json *v;
    cr_assert_eq(read_text("1\0", 2, &v, NULL), LEAT_EFORMAT);
    cr_assert_eq(read_text("\"a\0b\"", 5, &v, NULL), LEAT_EFORMAT);
    cr_assert_eq(read_text("\"\\\0\"", 4, &v, NULL), LEAT_EFORMAT);
    cr_assert_eq(read_text("\"\\u\0"
                           "000\"",
                           8, &v, NULL),
                 LEAT_EFORMAT);
    cr_assert_eq(read_text("\0", 1, &v, NULL), LEAT_EFORMAT);
}

Test(json, counts_bytes_from_the_base)
{
    leat_json *v;
    leat_status s = { 0 };
    cr_assert_eq(leat_json_read("[x]", 3, "f", 8, &arena, &v, &s), LEAT_EFORMAT);
    check_message(&s, "f: byte 9:", "unexpected");
    s = (leat_status){ 0 };
    cr_assert_eq(leat_json_read("{\"a\":1,\"a\":2}", 13, "f", 100, &arena, &v, &s), LEAT_EFORMAT);
    check_message(&s, "f: byte 111:", "second time");
}

Test(json, depth_has_a_limit)
{
    char text[2 * 100000];
    leat_json *v;
    leat_status s = { 0 };
    for (int depth = LEAT_JSON_DEPTH; depth <= LEAT_JSON_DEPTH + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        cr_assert_eq(read_text(text, 2 * (size_t)depth, &v, &s) == LEAT_OK, depth == LEAT_JSON_DEPTH);
    }
    check_message(&s, "byte 64", "too deeply");
    memset(text, '[', sizeof text);
    cr_assert_eq(read_text(text, sizeof text, &v, NULL), LEAT_EFORMAT);
    for (size_t i = 0; i + 5 <= sizeof text; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    cr_assert_eq(read_text(text, sizeof text, &v, NULL), LEAT_EFORMAT);
}

/* Ascending, descending and mixed keys; the sort must not be quadratic, or this takes minutes. */
Test(json, many_members)
{
    enum { COUNT = 200000 };
    char *text = malloc(COUNT * 24), key[16];
    for (int order = 0; order < 3; order++) {
        size_t n = 0;
        int64_t value;
        leat_json *v;
        for (int i = 0; i < COUNT; i++) {
            int k = order == 0 ? i : order == 1 ? COUNT - 1 - i : (int)((int64_t)i * 7919 % COUNT);
            n += (size_t)sprintf(text + n, "%c\"k%d\":%d", i ? ',' : '{', k, k);
        }
        text[n++] = '}';
        cr_assert_eq(read_text(text, n, &v, NULL), LEAT_OK);
        for (int k = 0; k < COUNT; k += 997) {
            sprintf(key, "k%d", k);
            cr_assert(leat_json_int(leat_json_get(v, key), k, k, &value));
        }
        cr_assert(leat_json_get(v, "k") == NULL && leat_json_get(v, "z") == NULL);
        leat_arena_reset(&arena);
    }
    free(text);
}

Test(json, truncated_anywhere_is_refused)
{
    static const char text[] = "{\"a\":[1.5e3,\"\\u00e9\xC3\xA9\"],\"b\":{\"c\":null,\"d\":true}}";
    leat_json *v;
    cr_assert_eq(read_text(text, sizeof text - 1, &v, NULL), LEAT_OK);
    for (size_t n = 0; n < sizeof text - 1; n++)
        cr_assert_eq(read_text(text, n, &v, NULL), LEAT_EFORMAT, "%zu", n);
}

Test(json, out_of_memory_is_a_status)
{
    static char text[100000];
    size_t n = 0;
    for (int i = 0; i < 5000; i++)
        n += (size_t)sprintf(text + n, "%c{\"a\":[%d]}", i ? ',' : '[', i);
    text[n++] = ']';
    for (long limit = 0;; limit++) {
        countdown c = { .left = limit };
        leat_allocator allocator = countdown_allocator(&c);
        leat_arena a;
        leat_json *v;
        leat_status s = { 0 };
        leat_arena_init(&a, &allocator);
        leat_code code = leat_json_read(text, n, "x.json", 0, &a, &v, &s);
        cr_assert_eq(code == LEAT_OK, v != NULL);
        if (code)
            check_message(&s, "x.json", "out of memory");
        leat_arena_free(&a);
        cr_assert_eq(c.live, 0);
        if (code == LEAT_OK) {
            cr_assert_gt(limit, 1);
            return;
        }
        cr_assert_eq(code, LEAT_ENOMEM);
    }
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

Test(json, writes_compact_text)
{
    leat_json_writer w = leat_json_writer_new(&arena);
    char *text;
    size_t size;
    leat_json_open(&w, '{');
    leat_json_key(&w, "a");
    leat_json_put_int(&w, INT64_MIN);
    leat_json_key(&w, "b\n");
    leat_json_open(&w, '[');
    leat_json_put_number(&w, 0.1);
    leat_json_put_bool(&w, true);
    leat_json_put_bool(&w, false);
    leat_json_put_null(&w);
    leat_json_open(&w, '[');
    leat_json_close(&w, ']');
    leat_json_open(&w, '{');
    leat_json_close(&w, '}');
    leat_json_put_text(&w, "\"\\\b\f\n\r\t\x01\x1F\x7F\xC2\x9B/\xC2\xA0\xC3\xA9");
    leat_json_close(&w, ']');
    leat_json_key(&w, "c");
    leat_json_put_text(&w, "");
    leat_json_close(&w, '}');
    cr_assert_eq(leat_json_finish(&w, &text, &size, NULL), LEAT_OK);
    cr_assert_str_eq(text, "{\"a\":-9223372036854775808,\"b\\n\":[0.1,true,false,null,[],{},"
                           "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\\u009b/\xC2\xA0\xC3\xA9\"],\"c\":\"\"}");
    cr_assert_eq(size, strlen(text));
    good(text);
}

Test(json, writing_fails_once_and_stays_failed)
{
    for (int i = 0; i < 3; i++) {
        leat_json_writer w = leat_json_writer_new(&arena);
        char *text;
        size_t size;
        leat_status s = { 0 };
        leat_json_open(&w, '[');
        if (i == 0)
            leat_json_put_text(&w, "\xFF");
        else
            leat_json_put_number(&w, i == 1 ? HUGE_VAL : (double)NAN);
        leat_json_put_int(&w, 1);
        leat_json_close(&w, ']');
        cr_assert_eq(leat_json_finish(&w, &text, &size, &s), i == 0 ? LEAT_EARG : LEAT_ENONFINITE);
        check_message(&s, "JSON", i == 0 ? "UTF-8" : "NaN");
        cr_assert(text == NULL && size == 0);
    }
}

Test(json, writing_out_of_memory_is_a_status)
{
    for (long limit = 0; limit < 20; limit++) {
        countdown c = { .left = limit };
        leat_allocator allocator = countdown_allocator(&c);
        leat_arena a;
        char *text;
        size_t size;
        leat_arena_init(&a, &allocator);
        leat_json_writer w = leat_json_writer_new(&a);
        leat_json_open(&w, '[');
        for (int i = 0; i < 100000; i++)
            leat_json_put_int(&w, i);
        leat_json_close(&w, ']');
        leat_code code = leat_json_finish(&w, &text, &size, NULL);
        cr_assert_eq(code, c.left < 0 ? LEAT_ENOMEM : LEAT_OK);
        cr_assert_eq(text != NULL, code == LEAT_OK);
        leat_arena_free(&a);
        cr_assert_eq(c.live, 0);
    }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

Test(json, sorts)
{
    static char texts[257][2];
    const void *items[257];
    for (int n = 0; n <= 257; n += n < 20 ? 1 : 79) {
        for (int i = 0; i < n; i++) {
            texts[i][0] = (char)('a' + i * 7 % 11);
            items[i] = texts[i];
        }
        leat_sort(items, n, compare_texts);
        for (int i = 1; i < n; i++)
            cr_assert_leq(strcmp(items[i - 1], items[i]), 0);
    }
}
