/* Pictures: checksums, compression (read back by a small inflater of the test's own), the file format, drawing. */
#include "../../apps/pictures/deflate.h"
#include "../../apps/pictures/font.h"
#include "../../apps/pictures/palette.h"
#include "../../apps/pictures/png.h"
#include "../../tensor/files/inflate.h"
#include "../tensor/file_helpers.h"

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

TestSuite(png, .init = set_up, .fini = tear_down);

/* ---- an inflater for one block with the fixed code --------------------------------------------------------------- */

typedef struct bit_source {
    const uint8_t *data;
    size_t size, at; /* at counts bits */
} bit_source;

static uint32_t take(bit_source *b, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++, b->at++) {
        cr_assert_lt(b->at / 8, b->size, "the stream ends too early");
        value |= (uint32_t)(b->data[b->at / 8] >> (b->at % 8) & 1) << i;
    }
    return value;
}

static uint32_t take_code(bit_source *b, int count)
{
    uint32_t value = 0;
    while (count-- > 0)
        value = value << 1 | take(b, 1);
    return value;
}

/* RFC 1951, 3.2.6: seven bits below 24 are 256 + code, eight are a literal or 280 and up, nine the rest. */
static uint32_t take_symbol(bit_source *b)
{
    uint32_t code = take_code(b, 7);
    if (code < 24)
        return 256 + code;
    code = code << 1 | take(b, 1);
    if (code >= 48 && code < 192)
        return code - 48;
    if (code >= 192 && code < 200)
        return code - 192 + 280;
    return (code << 1 | take(b, 1)) - 400 + 144;
}

/* Lengths and distances are counted up from their first class, as the RFC's tables are made. */
static size_t length_of(uint32_t symbol, bit_source *b)
{
    size_t base = 3;
    if (symbol == 285)
        return 258;
    for (uint32_t s = 257;; s++) {
        int extra = s < 265 ? 0 : (int)(s - 261) / 4;
        if (s == symbol)
            return base + take(b, extra);
        base += (size_t)1 << extra;
    }
}

static size_t distance_of(uint32_t code, bit_source *b)
{
    size_t base = 1;
    cr_assert_lt(code, 30);
    for (uint32_t c = 0;; c++) {
        int extra = c < 4 ? 0 : (int)(c - 2) / 2;
        if (c == code)
            return base + take(b, extra);
        base += (size_t)1 << extra;
    }
}

/* Checks the zlib frame around the block and returns what was packed, `size` bytes of it. */
static uint8_t *inflate(const uint8_t *data, size_t packed, size_t *size)
{
    enum { MOST = 1 << 22 };
    uint8_t *out = leat_arena_alloc(&arena, MOST);
    bit_source b = { data + 2, packed - 6, 0 };
    size_t n = 0;

    cr_assert_gt(packed, 6);
    cr_assert_eq(data[0] & 15, 8, "deflate");
    cr_assert_eq((data[0] * 256 + data[1]) % 31, 0, "header check");
    cr_assert_eq(take(&b, 1), 1, "the last block");
    cr_assert_eq(take(&b, 2), 1, "fixed code");
    for (uint32_t symbol = take_symbol(&b); symbol != 256; symbol = take_symbol(&b)) {
        if (symbol < 256) {
            out[n++] = (uint8_t)symbol;
            continue;
        }
        size_t length = length_of(symbol, &b), distance = distance_of(take_code(&b, 5), &b);
        cr_assert(distance <= n && distance <= 32768 && n + length < MOST, "distance %zu at %zu", distance, n);
        for (; length > 0; length--, n++)
            out[n] = out[n - distance];
    }
    cr_assert_eq((b.at + 7) / 8, b.size, "nothing behind the block");
    const uint8_t *sum = data + packed - 4;
    cr_assert_eq((uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3],
                 leat_adler32(out, n, 1));
    *size = n;
    return out;
}

/* ---- compression ------------------------------------------------------------------------------------------------- */

Test(png, checksums_of_known_texts)
{
    const uint8_t *digits = (const uint8_t *)"123456789";
    cr_assert_eq(leat_crc32(digits, 9, 0), 0xCBF43926u);
    cr_assert_eq(leat_crc32(digits + 4, 5, leat_crc32(digits, 4, 0)), 0xCBF43926u, "in two pieces");
    cr_assert_eq(leat_crc32((const uint8_t *)"IEND", 4, 0), 0xAE426082u);
    cr_assert_eq(leat_adler32((const uint8_t *)"Wikipedia", 9, 1), 0x11E60398u);
    cr_assert_eq(leat_adler32(NULL, 0, 1), 1u);
}

/* Three times "leat leat leat leat, a channel cut to carry water", packed by zlib 1.2.13 with its fixed code. */
static const uint8_t from_zlib[] = {
    0x78, 0x01, 0xcb, 0x49, 0x4d, 0x2c, 0x51, 0xc8, 0x41, 0x21, 0x74, 0x14, 0x12, 0x15, 0x92, 0x33, 0x12,
    0xf3, 0xf2, 0x52, 0x73, 0x14, 0x92, 0x4b, 0x4b, 0x14, 0x4a, 0xf2, 0x15, 0x92, 0x13, 0x8b, 0x8a, 0x2a,
    0x15, 0xca, 0x13, 0x4b, 0x52, 0x8b, 0x72, 0x68, 0xae, 0x01, 0x00, 0x29, 0x55, 0x34, 0xb4,
};

Test(png, the_inflater_reads_what_zlib_wrote)
{
    size_t size;
    const char *text = "leat leat leat leat, a channel cut to carry water"
                       "leat leat leat leat, a channel cut to carry water"
                       "leat leat leat leat, a channel cut to carry water";
    uint8_t *out = inflate(from_zlib, sizeof from_zlib, &size);
    cr_assert_eq(size, strlen(text));
    cr_assert_arr_eq(out, text, size);
}

enum { LONG = 200000 };

/* Kinds of data that reach different parts of the encoder. */
static void fill(int kind, uint8_t *data, size_t size)
{
    uint32_t x = 12345;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        switch (kind) {
        case 0: /* one long run */
            data[i] = 0;
            break;
        case 1: /* nothing repeats for long */
            data[i] = (uint8_t)(x >> 24);
            break;
        case 2: /* a period longer than a match, far back */
            data[i] = i < 30000 ? (uint8_t)(x >> 24) : data[i - 30000];
            break;
        case 3: /* few values, short matches at many distances */
            data[i] = (uint8_t)(x >> 30);
            break;
        default: /* repeats just beyond the window */
            data[i] = i < 32769 ? (uint8_t)(x >> 24) : data[i - 32769];
            break;
        }
    }
}

static void check_round_trip(const uint8_t *data, size_t size, size_t most)
{
    app_text packed = app_text_new(&arena);
    size_t back;
    app_zlib_compress(&packed, data, size);
    cr_assert_not(packed.failed);
    cr_assert_leq(packed.size, most);
    uint8_t *out = inflate((const uint8_t *)packed.bytes, packed.size, &back);
    cr_assert_eq(back, size);
    cr_assert_eq(memcmp(out, data, size), 0);
}

Test(png, compression_is_undone_by_inflating)
{
    static uint8_t data[LONG];
    /* runs of 258 at 13 bits each; random bytes at 9 bits; the copies nearly free; 2 bits of information in each */
    static const size_t most[] = { 1400, LONG * 9 / 8, 36000, LONG * 4 / 8, LONG * 9 / 8 };
    for (int kind = 0; kind < 5; kind++) {
        fill(kind, data, LONG);
        check_round_trip(data, LONG, most[kind]);
    }
}

Test(png, compression_of_short_data)
{
    static const char *const texts[] = { "",       "a",        "ab",
                                         "abc",    "aaa",      "aaaa",
                                         "abcabc", "abcdabcd", "aaaaaaaaaaaaaaaaaaaaa" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_round_trip((const uint8_t *)texts[i], strlen(texts[i]), 40);
    for (size_t n = 250; n < 270; n++) {
        uint8_t *run = leat_arena_zalloc(&arena, n);
        check_round_trip(run, n, 16);
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

typedef struct picture {
    uint32_t width, height;
    int type;
    uint8_t palette[256][3];
    uint32_t colors;
    uint8_t *pixels; /* without the filter bytes */
} picture;

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void decode_pixels(picture *out, const uint8_t *packed, size_t size)
{
    size_t plain, row = out->width * (out->type == 3 ? 1 : 3);
    uint8_t *data = inflate(packed, size, &plain);
    cr_assert_eq(plain, out->height * (row + 1));
    out->pixels = leat_arena_alloc(&arena, out->height * row);
    for (size_t y = 0; y < out->height; y++) {
        cr_assert_eq(data[y * (row + 1)], 0, "no filter");
        memcpy(out->pixels + y * row, data + y * (row + 1) + 1, row);
    }
}

static picture decode(const uint8_t *file, size_t size)
{
    picture out = { 0 };
    size_t at = 8;
    cr_assert_arr_eq(file, "\x89PNG\r\n\x1A\n", 8);
    while (at < size) {
        uint32_t length = u32(file + at);
        const uint8_t *type = file + at + 4, *data = type + 4;
        cr_assert_leq(at + 12 + length, size);
        cr_assert_eq(u32(data + length), leat_crc32(type, 4 + length, 0));
        if (memcmp(type, "IHDR", 4) == 0) {
            cr_assert_eq(length, 13);
            out.width = u32(data);
            out.height = u32(data + 4);
            cr_assert_eq(data[8], 8, "bits");
            out.type = data[9];
            cr_assert(data[10] == 0 && data[11] == 0 && data[12] == 0);
        } else if (memcmp(type, "PLTE", 4) == 0) {
            cr_assert(length % 3 == 0 && length <= 768);
            out.colors = length / 3;
            memcpy(out.palette, data, length);
        } else if (memcmp(type, "IDAT", 4) == 0) {
            decode_pixels(&out, data, length);
        } else {
            cr_assert_arr_eq(type, "IEND", 4);
            cr_assert_eq(length, 0);
            cr_assert_eq(at + 12, size, "IEND is the last");
        }
        at += 12 + length;
    }
    return out;
}

static picture encode_and_decode(const app_canvas *c, app_png_colors colors)
{
    app_text file = app_text_new(&arena);
    app_png_encode(&file, c, colors);
    cr_assert_not(file.failed);
    picture p = decode((const uint8_t *)file.bytes, file.size);
    cr_assert_eq((int)p.width, c->width);
    cr_assert_eq((int)p.height, c->height);
    return p;
}

static app_canvas new_canvas(int width, int height)
{
    app_canvas c;
    leat_status s = { 0 };
    cr_assert_eq(app_canvas_new(&arena, width, height, &c, &s), LEAT_OK, "%s", s.message);
    return c;
}

/* Pixel (x, y) has the colour (x, y, x + y). */
static app_canvas gradient(int width, int height)
{
    app_canvas c = new_canvas(width, height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(c.rgb + 3 * (y * width + x), (uint8_t[]){ (uint8_t)x, (uint8_t)y, (uint8_t)(x + y) }, 3);
    return c;
}

Test(png, few_colors_get_a_palette)
{
    app_canvas c = gradient(16, 16); /* exactly 256 colours */
    picture p = encode_and_decode(&c, APP_PNG_EXACT);
    cr_assert_eq(p.type, 3);
    cr_assert_eq(p.colors, 256);
    for (int i = 0; i < 256; i++)
        cr_assert_arr_eq(p.palette[p.pixels[i]], c.rgb + 3 * i, 3);
}

Test(png, many_colors_are_exact)
{
    app_canvas c = gradient(17, 16);
    picture p = encode_and_decode(&c, APP_PNG_EXACT);
    cr_assert_eq(p.type, 2);
    cr_assert_arr_eq(p.pixels, c.rgb, 3 * 17 * 16);
}

/* 4096 colours on a grid of steps of 4 in two channels: merged ones stay near, the frequent one stays exact. */
Test(png, many_colors_are_merged_into_near_ones)
{
    app_canvas c = gradient(64, 64);
    picture p;
    for (int i = 0; i < 64 * 32; i++)
        memcpy(c.rgb + 3 * i, (uint8_t[]){ 30, 50, 81 }, 3); /* one off a colour below */
    p = encode_and_decode(&c, APP_PNG_COMPACT);
    cr_assert_eq(p.type, 3);
    cr_assert_leq(p.colors, 256);
    for (int i = 0; i < 64 * 64; i++)
        for (int k = 0; k < 3; k++) {
            int d = abs(p.palette[p.pixels[i]][k] - c.rgb[3 * i + k]);
            cr_assert_leq(d, i < 64 * 32 ? 0 : 8);
        }
}

Test(png, out_of_memory_at_every_call)
{
    app_canvas c = gradient(40, 40);
    for (long n = 0;; n++) {
        countdown count = { .left = n };
        leat_allocator allocator = countdown_allocator(&count);
        leat_arena a;
        leat_arena_init(&a, &allocator);
        app_text file = app_text_new(&a);
        app_png_encode(&file, &c, APP_PNG_COMPACT);
        leat_arena_free(&a);
        cr_assert_eq(count.live, 0);
        if (!file.failed) {
            cr_assert_gt(n, 1);
            break;
        }
    }
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

static const app_color black = { 0, 0, 0, 1 };

/* How much ink is on a white canvas, in full pixels of black. */
static double ink(const app_canvas *c)
{
    double sum = 0;
    for (int i = 0; i < c->width * c->height; i++)
        sum += (255 - c->rgb[3 * i]) / 255.0;
    return sum;
}

Test(png, a_disc_has_its_area)
{
    for (double r = 2; r < 20; r += 1.7) {
        app_canvas c = new_canvas(60, 60);
        app_canvas_disc(&c, 30.3, 29.8, r, black);
        cr_expect_lt(fabs(ink(&c) / (3.14159265 * r * r) - 1), 0.02, "radius %g: %g", r, ink(&c));
    }
}

Test(png, a_line_has_its_area)
{
    app_canvas c = new_canvas(100, 100);
    app_canvas_line(&c, (double[]){ 20, 20, 80, 65 }, 2, 3, black);
    cr_assert_lt(fabs(ink(&c) / (3 * 75 + 3.14159265 * 1.5 * 1.5) - 1), 0.02, "%g", ink(&c));
}

Test(png, a_line_between_pixel_centres_is_sharp)
{
    app_canvas c = new_canvas(10, 10);
    app_canvas_line(&c, (double[]){ 2.5, 4.5, 7.5, 4.5 }, 2, 1, black);
    for (int y = 0; y < 10; y++)
        for (int x = 0; x < 10; x++)
            cr_assert_eq(c.rgb[3 * (10 * y + x)], y == 4 && x >= 2 && x <= 7 ? 0 : 255);
}

Test(png, alpha_mixes_and_deepens)
{
    app_canvas c = new_canvas(20, 20);
    const app_color half = { 200, 100, 0, 0.5 };
    app_canvas_disc(&c, 10, 10, 5, half);
    cr_assert_arr_eq(c.rgb + 3 * (20 * 10 + 10), ((uint8_t[]){ 228, 178, 128 }), 3);
    app_canvas_disc(&c, 10, 10, 5, half);
    cr_assert_arr_eq(c.rgb + 3 * (20 * 10 + 10), ((uint8_t[]){ 214, 139, 64 }), 3);
    app_canvas_line(&c, (double[]){ 0.5, 0.5, 9.5, 0.5, 0.5, 0.5 }, 3, 1, (app_color){ 0, 0, 0, 0.5 });
    cr_assert_eq(c.rgb[3 * 5], 128, "a line does not deepen where it runs over itself");
}

Test(png, drawing_outside_is_cut_off)
{
    app_canvas c = new_canvas(8, 8);
    static const double far[] = { -1e9, -5, 0, 4, 12, 1e9, 1e300 };
    const int n = sizeof far / sizeof *far;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++) {
            app_canvas_disc(&c, far[i], far[k], 3, black);
            app_canvas_box(&c, far[i], far[k], 5, 5, 1, black, black);
            app_canvas_text(&c, far[i], far[k], 10, APP_MIDDLE, i % 2, black, "gap");
        }
    for (int i = 0; i < 64; i++)
        cr_assert_eq(c.mask[i], 0);
}

Test(png, canvas_sizes)
{
    static const int bad[][2] = { { 0, 5 }, { 5, 0 }, { -1, 5 }, { APP_CANVAS_LARGEST + 1, 1 } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        app_canvas c;
        leat_status s = { 0 };
        cr_assert_eq(app_canvas_new(&arena, bad[i][0], bad[i][1], &c, &s), LEAT_EARG);
    }
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* Every character of ASCII has a glyph of its own that stays within its line and leaves ink. */
Test(png, the_font_covers_ascii)
{
    static uint8_t seen[96][60 * 60 * 3];
    for (int code = ' '; code <= '~'; code++) {
        app_canvas c = new_canvas(60, 60);
        char text[2] = { (char)code, '\0' };
        app_canvas_text(&c, 10, 40, 30, APP_START, false, black, text);
        cr_assert(code == ' ' ? ink(&c) == 0 : ink(&c) > 5, "%c", code);
        for (int i = 0; i < 60; i++) {
            cr_assert_eq(c.rgb[3 * (60 * 14 + i)], 255, "%c is too high", code);
            cr_assert_eq(c.rgb[3 * (60 * 50 + i)], 255, "%c is too low", code);
        }
        memcpy(seen[code - ' '], c.rgb, sizeof seen[0]);
        for (int other = 0; other < code - ' '; other++)
            cr_assert_neq(memcmp(seen[other], seen[code - ' '], sizeof seen[0]), 0, "%c is %c", code, other + ' ');
    }
}

Test(png, text_width_follows_size_and_anchor)
{
    cr_assert_float_eq(app_text_width("leat", 36), 2 * app_text_width("leat", 18), 1e-12);
    cr_assert_eq(app_text_width("", 18), 0);
    cr_assert_eq(app_text_width("\xE2\x88\x92", 100), 84, "the minus sign is one character");
    for (int anchor = APP_START; anchor <= APP_END; anchor++) {
        app_canvas c = new_canvas(200, 40);
        double left = 100 - anchor * app_text_width("leat", 20) / 2;
        app_canvas_text(&c, 100, 30, 20, (app_anchor)anchor, false, black, "leat");
        for (int x = 0; x < 200; x++)
            for (int y = 0; y < 40; y++)
                cr_assert(c.rgb[3 * (200 * y + x)] == 255 ||
                          (x > left - 1 && x < left + app_text_width("leat", 20) + 1));
    }
}

Test(png, characters_of_utf8)
{
    static const struct {
        const char *text;
        uint32_t code;
        int size;
    } cases[] = {
        { "A", 'A', 1 },
        { "\xC3\xA9", 0xE9, 2 },
        { "\xE2\x88\x92", 0x2212, 3 },
        { "\xF0\x9F\x8C\x8A", 0x1F30A, 4 },
        { "\x80", 0xFFFD, 1 },             /* a continuation without a beginning */
        { "\xC0\x80", 0xFFFD, 1 },         /* too long a form */
        { "\xE0\x80\x80", 0xFFFD, 1 },     /* the same */
        { "\xED\xA0\x80", 0xFFFD, 1 },     /* a surrogate */
        { "\xF4\x90\x80\x80", 0xFFFD, 1 }, /* beyond Unicode */
        { "\xE2\x88", 0xFFFD, 1 },         /* cut off */
        { "\xFF", 0xFFFD, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = cases[i].text;
        cr_expect_eq(app_next_character(&at), cases[i].code, "case %zu", i);
        cr_expect_eq(at - cases[i].text, cases[i].size, "case %zu", i);
    }
}
