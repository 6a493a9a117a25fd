/* Decompression: all kinds of blocks and frames, however bytes come and go, and every damage is noticed. */
#include "file_helpers.h"
#include "../../tensor/files/inflate.h"
#include "../../tensor/files/table.h"

#include <errno.h>

typedef struct supply {
    const uint8_t *bytes;
    size_t size, step;
    bool fails; /* at the end */
} supply;

static ssize_t give(void *user, void *out, size_t room)
{
    supply *s = user;
    size_t n = s->step < room ? s->step : room;

    n = n < s->size ? n : s->size;
    memcpy(out, s->bytes, n);
    s->bytes += n;
    s->size -= n;
    errno = EIO;
    return n == 0 && s->fails ? -1 : (ssize_t)n;
}

enum { MOST = 400000 };
static uint8_t out[MOST];
static leat_inflate z;

/* Decompresses all of it, `step` bytes in and `room` out at a time; how many bytes, or -1. */
static ssize_t unpack(leat_inflate_format format, const void *data, size_t size, size_t step, size_t room)
{
    supply s = { data, size, step, false };
    ssize_t all = 0, n;

    leat_inflate_begin(&z, format, give, &s);
    while ((n = leat_inflate_read(&z, out + all, room < MOST - (size_t)all ? room : MOST - (size_t)all)) > 0)
        all += n;
    return n < 0 ? -1 : all;
}

/* A table of 40 rows as gzip compresses it, in a block with codes of its own. */
static const uint8_t dynamic[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x1d, 0xcf, 0xc9, 0x91, 0xc4, 0x30, 0x0c, 0x43,
    0xd1, 0x3b, 0x63, 0x61, 0xb1, 0xb8, 0x58, 0x8b, 0x33, 0x9b, 0xc9, 0xbe, 0x3f, 0x7c, 0xc2, 0x45, 0x7c, 0x80,
    0xfe, 0xfc, 0xdf, 0xd2, 0x33, 0x32, 0xed, 0xf8, 0x13, 0xbb, 0xad, 0x1e, 0x7f, 0xa3, 0x97, 0x75, 0x79, 0x29,
    0x97, 0xaf, 0xb8, 0xd7, 0xaa, 0xbd, 0x32, 0x56, 0x5a, 0xbd, 0xde, 0xca, 0xf1, 0x13, 0xc5, 0xf3, 0xf4, 0xaa,
    0x38, 0xcb, 0xea, 0xf8, 0x7c, 0xe9, 0x37, 0xe6, 0xda, 0x05, 0x25, 0x4a, 0xe7, 0xe0, 0xdd, 0xa8, 0xe8, 0x1b,
    0x54, 0x25, 0xe3, 0xfb, 0x2b, 0x49, 0xa9, 0xf0, 0x0f, 0xa8, 0x5a, 0x0a, 0x55, 0x25, 0xd7, 0xab, 0xc5, 0x37,
    0xa3, 0x88, 0x17, 0x54, 0xf6, 0x46, 0x25, 0x13, 0x14, 0xfc, 0xe8, 0x18, 0xbc, 0x74, 0xad, 0x92, 0x42, 0x45,
    0x5f, 0x9a, 0x84, 0xce, 0xe6, 0xf9, 0xf2, 0x45, 0x45, 0x1f, 0xa1, 0xd2, 0x13, 0x55, 0x79, 0x18, 0xa5, 0x3f,
    0x30, 0x8a, 0xb8, 0xa8, 0x2a, 0x59, 0x62, 0xe1, 0xd9, 0xdc, 0xca, 0xcd, 0xb5, 0x5a, 0x46, 0x2c, 0x3c, 0xa3,
    0x47, 0xf9, 0x03, 0x84, 0x02, 0x7e, 0xcd, 0x3c, 0x01, 0x00, 0x00,
};

static size_t make_table(char text[1000])
{
    size_t n = (size_t)sprintf(text, "x,y\n");

    for (int i = 0; i < 40; i++)
        n += (size_t)sprintf(text + n, "%d,%.2f\n", i * 7 % 23, i * 37 % 101 / 8.);
    return n;
}

/* A file of two: one with an extra field, name, comment, checksum of the header and a block of the fixed code; and one
 * with a stored block. */
static const uint8_t members[] = {
    0x1F, 0x8B, 0x08, 0x1E, 0,    0,    0,    0,    0,    0x03, 0x03, 0,    'a',  'b',  'c',  'n',
    'a',  'm',  'e',  0,    'c',  'o',  'm',  'm',  'e',  'n',  't',  0,    0xAA, 0xBB, 0xAB, 0xD0,
    0xA9, 0xE4, 0x32, 0xD4, 0x31, 0xE2, 0x02, 0,    0x23, 0xDF, 0x72, 0,    0x08, 0,    0,    0, /* the second: */
    0x1F, 0x8B, 0x08, 0,    0,    0,    0,    0,    0,    0x03, 0x01, 0x04, 0,    0xFB, 0xFF, '3',
    ',',  '4',  '\n', 0x3E, 0x2D, 0x72, 0xA9, 0x04, 0,    0,    0,
};

static const uint8_t zlib[] = {
    0x78, 0x9C, 0xCB, 0x49, 0x4D, 0x2C, 0x51, 0xC8, 0x81, 0x11, 0x00, 0x26, 0xE7, 0x05, 0x33
};

Test(inflate, frames_in_steps)
{
    char table[1000];
    size_t size = make_table(table);
    static const size_t steps[] = { 1, 2, 7, 1000 };

    for (int i = 0; i < 16; i++) {
        size_t step = steps[i % 4], room = steps[i / 4];
        cr_assert_eq(unpack(LEAT_INFLATE_GZIP, dynamic, sizeof dynamic, step, room), (ssize_t)size, "%s", z.problem);
        cr_assert_arr_eq(out, table, size);
        cr_assert_eq(unpack(LEAT_INFLATE_RAW, dynamic + 10, sizeof dynamic - 18, step, room), (ssize_t)size);
        cr_assert_arr_eq(out, table, size);
    }
}

Test(inflate, several_members_and_zeros)
{
    uint8_t file[sizeof members + 20] = { 0 };

    memcpy(file, members, sizeof members);
    for (size_t step = 1; step < 60; step++)
        for (size_t zeros = 0; zeros < 20; zeros += 5) {
            cr_assert_eq(unpack(LEAT_INFLATE_GZIP, file, sizeof members + zeros, step, 3), 12, "%s", z.problem);
            cr_assert_arr_eq(out, "x,y\n1,2\n3,4\n", 12);
        }
    file[sizeof members] = 'x';
    cr_assert_eq(unpack(LEAT_INFLATE_GZIP, file, sizeof file, 99, 99), -1);
    cr_assert_str_eq(z.problem, "is followed by what is no gzip");
}

Test(inflate, cut_off_anywhere)
{
    for (size_t size = 0; size < sizeof members; size++) {
        bool whole = size == 48; /* the first of them */
        bytes part = exactly(members, size);
        cr_assert_eq(unpack(LEAT_INFLATE_GZIP, part.data, size, 5, 99), whole ? 8 : -1, "%zu bytes", size);
        cr_assert(whole || strstr(z.problem, size == 49 ? "no gzip" : "is cut off"), "%zu: %s", size, z.problem);
        free(part.data);
    }
    for (size_t size = 0; size < sizeof dynamic; size++) {
        cr_assert_eq(unpack(LEAT_INFLATE_GZIP, dynamic, size, 5, 99), -1);
        cr_assert_str_eq(z.problem, "is cut off");
    }
    for (size_t size = 0; size < sizeof zlib; size++)
        cr_assert_eq(unpack(LEAT_INFLATE_ZLIB, zlib, size, 5, 99), -1);
}

/* A bit that is not as it was, behind the ten bytes of the header, is found by the checksum if by nothing else; only
 * behind the block's end, up to the next byte, stand bits that nobody reads. */
Test(inflate, damaged_anywhere)
{
    uint8_t file[sizeof dynamic];

    for (size_t bit = 80; bit < 8 * sizeof dynamic; bit++) {
        memcpy(file, dynamic, sizeof dynamic);
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ssize_t n = unpack(LEAT_INFLATE_GZIP, file, sizeof file, 999, 999);
        cr_assert(n < 0 ? z.problem != NULL : bit / 8 == sizeof dynamic - 9, "bit %zu", bit);
    }
}

Test(inflate, zlib_frame)
{
    uint8_t file[sizeof zlib];

    cr_assert_eq(unpack(LEAT_INFLATE_ZLIB, zlib, sizeof zlib, 3, 5), 14, "%s", z.problem);
    cr_assert_arr_eq(out, "leat leat leat", 14);
    for (size_t bit = 0; bit < 8 * sizeof zlib; bit++) {
        memcpy(file, zlib, sizeof zlib);
        file[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ssize_t n = unpack(LEAT_INFLATE_ZLIB, file, sizeof file, 999, 999);
        cr_assert(n < 0 || (n == 14 && bit / 8 == sizeof zlib - 5), "bit %zu", bit);
    }
}

/* What no compressor writes. Blocks of the fixed code are written out as bits, the first one in the lowest place. */
static const struct wrong {
    const char *bytes;
    size_t size;
    const char *problem;
} wrongs[] = {
    { "\x07", 1, "a block is of no kind" },
    { "\x01\x01\0\xFE\xFE", 5, "the length of a block is wrong" },
    { "\x03\x02", 2, "a distance reaches in front" },  /* length 3, distance 1 */
    { "\x1B\x03", 2, "a length is of no kind" },       /* symbol 286 */
    { "\x63\x00\x3E", 3, "a distance is of no kind" }, /* a 0, length 3, distance class 31 */
    { "\xFD\xFF\xFF", 3, "too many words" },           /* 288 literals */
    { "\x05\xE0\x93\x24\x49\x92\x24\x49\x92\x00", 10, "too many words" },
    { "\x05\0\0\0\0\0\0\0", 8, "a word is of no code" }, /* no word for any length of a word */
    { "\x05\0\x04\0", 4, "too few words" },
};

Test(inflate, nonsense)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        cr_assert_eq(unpack(LEAT_INFLATE_RAW, wrongs[i].bytes, wrongs[i].size, 1, 99), -1, "case %zu", i);
        cr_expect(strstr(z.problem, wrongs[i].problem), "case %zu: %s", i, z.problem);
    }
    supply s = { dynamic, 40, 40, true };
    leat_inflate_begin(&z, LEAT_INFLATE_GZIP, give, &s);
    ssize_t n;
    while ((n = leat_inflate_read(&z, out, 5)) > 0) {
    }
    cr_assert(n == -1 && z.problem == NULL && errno == EIO, "a source that fails");
}

static void put_bits(uint8_t *to, size_t *at, uint32_t value, int count)
{
    for (int i = 0; i < count; i++, ++*at)
        to[*at / 8] |= (uint8_t)((value >> i & 1) << *at % 8);
}

/* Matches of the longest length at the farthest distance, all through the window and round its end. */
Test(inflate, far_matches)
{
    enum { FAR = 32768, TIMES = 1200 };
    static uint8_t file[5 + FAR + 4 * TIMES + 8], text[FAR];
    size_t at = 8 * (5 + FAR);
    leat_rng rng = leat_rng_new(0, 0);

    for (int i = 0; i < FAR; i++)
        text[i] = (uint8_t)(256 * leat_rng_uniform(&rng));
    memcpy(file, "\0\0\x80\xFF\x7F", 5); /* stored, not the last */
    memcpy(file + 5, text, FAR);
    put_bits(file, &at, 3, 3); /* the last, of the fixed code */
    for (int i = 0; i < TIMES; i++) {
        put_bits(file, &at, 0xA3, 8); /* length 258: 11000101, first bit first */
        put_bits(file, &at, 0x17, 5); /* distances from 24577: 11101, first bit first */
        put_bits(file, &at, 8191, 13);
    }
    put_bits(file, &at, 0, 7);
    for (size_t room = 1000; room < 100000; room *= 9) {
        ssize_t n = unpack(LEAT_INFLATE_RAW, file, (at + 7) / 8, 333, room);
        cr_assert_eq(n, FAR + 258 * TIMES, "%zd: %s", n, z.problem ? z.problem : "");
        for (ssize_t i = 0; i < n; i++)
            cr_assert_eq(out[i], text[i % FAR], "byte %zd", i);
    }
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void expect_same(leat_table *t, leat_table *plain)
{
    leat_tensor a, b;
    int64_t n;

    cr_assert(t && plain);
    cr_assert_str_eq(leat_table_names(t)[1], leat_table_names(plain)[1]);
    while ((n = leat_table_next(plain, 7, &a, NULL)) > 0) {
        cr_assert_eq(leat_table_next(t, 7, &b, NULL), n);
        cr_assert_arr_eq(a.data, b.data, (size_t)(n * a.shape.size[1]) * sizeof(leat_real));
    }
    cr_assert_eq(leat_table_next(t, 7, &b, NULL), 0);
    leat_table_close(t);
    leat_table_close(plain);
}

Test(inflate, tables)
{
    char text[1000];
    size_t size = make_table(text);
    leat_status s = { 0 };
    leat_tensor block;
    int64_t n;

    for (size_t step = 1; step < 200; step += 9)
        expect_same(leat_table_open_text((const char *)dynamic, sizeof dynamic, step, NULL, &s),
                    leat_table_open_text(text, size, step, NULL, &s));
    make_folder();
    spill(in_folder("x.csv.gz"), dynamic, sizeof dynamic);
    expect_same(leat_table_open(in_folder("x.csv.gz"), NULL, &s), leat_table_open_text(text, size, 99, NULL, &s));
    spill(in_folder("x.csv.gz"), dynamic, sizeof dynamic - 9);
    leat_table *t = leat_table_open(in_folder("x.csv.gz"), NULL, &s);
    while (t && (n = leat_table_next(t, 7, &block, &s)) > 0) {
    }
    check_message(&s, "x.csv.gz: what gzip compressed is cut off", "");
    leat_table_close(t);
    remove_folder();
}
