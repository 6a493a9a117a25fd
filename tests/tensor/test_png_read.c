/* PNG, PGM and PPM: every kind against pixels that are known, every refusal, every byte cut off or flipped. */
#include "file_helpers.h"
#include "../../tensor/files/images.h"
#include "../../tensor/files/inflate.h"

static leat_arena arena, scratch;

static void set_up(void)
{
    leat_arena_init(&arena, NULL);
    leat_arena_init(&scratch, NULL);
}

static void tear_down(void)
{
    leat_arena_free(&arena);
    leat_arena_free(&scratch);
}

TestSuite(png_read, .init = set_up, .fini = tear_down);

/* In a block of its own, so that nothing beyond it can be read; and nothing is left behind. */
static leat_code parse(const void *data, size_t size, leat_images *out, leat_status *s)
{
    bytes b = exactly(data, size);
    leat_arena_reset(&arena);
    leat_code code = leat_images_parse(b.data, b.size, "x", &scratch, &arena, out, s);
    free(b.data);
    cr_assert_eq(scratch.in_use, 0u);
    cr_assert_eq(code == LEAT_OK, out->pixels != NULL);
    if (code)
        cr_assert_eq(arena.in_use, 0u);
    return code;
}

static void expect_refusal(const void *data, size_t size, const char *place, const char *reason)
{
    leat_images images;
    leat_status s = { 0 };
    cr_assert_eq(parse(data, size, &images, &s), LEAT_EFORMAT, "%s", reason);
    check_message(&s, place, reason);
}

/* ---- PNG: a writer of its own ------------------------------------------------------------------------------------ */

static uint8_t png[4096];
static size_t png_size;

static void put_u32(uint8_t *at, uint32_t x)
{
    for (int k = 0; k < 4; k++)
        at[k] = (uint8_t)(x >> (24 - 8 * k));
}

static void put_chunk(const char *type, const void *data, size_t size)
{
    uint8_t *at = png + png_size;
    put_u32(at, (uint32_t)size);
    memcpy(at + 4, type, 4);
    memcpy(at + 8, data, size);
    put_u32(at + 8 + size, leat_crc32(at + 4, size + 4, 0));
    png_size += size + 12;
}

static void begin(uint32_t width, uint32_t height, int depth, int type, int interlace)
{
    uint8_t header[13] = { [8] = (uint8_t)depth, (uint8_t)type, 0, 0, (uint8_t)interlace };
    put_u32(header, width);
    put_u32(header + 4, height);
    memcpy(png, "\x89PNG\r\n\x1A\n", 8);
    png_size = 8;
    put_chunk("IHDR", header, 13);
}

/* Rows with their filters, in a zlib stream of one stored block. */
static size_t pack(const void *rows, size_t size, uint8_t out[1024])
{
    memcpy(out, "\x78\x01\x01", 3);
    memcpy(out + 3, (uint8_t[]){ (uint8_t)size, (uint8_t)(size >> 8), (uint8_t)~size, (uint8_t)(~size >> 8) }, 4);
    memcpy(out + 7, rows, size);
    put_u32(out + 7 + size, leat_adler32(rows, size, 1));
    return size + 11;
}

static void put_rows(const void *rows, size_t size)
{
    uint8_t packed[1024];
    put_chunk("IDAT", packed, pack(rows, size, packed));
}

static void end(void)
{
    put_chunk("IEND", "", 0);
}

/* Two rows of three grey pixels, the second one the first and one more. */
static void put_grey(void)
{
    begin(3, 2, 8, 0, 0);
    put_rows("\0\1\2\3\2\1\1\1", 8);
    end();
}

Test(png_read, what_the_writer_writes)
{
    leat_images images;
    leat_status s = { 0 };
    put_grey();
    cr_assert_eq(parse(png, png_size, &images, &s), LEAT_OK, "%s", s.message);
    cr_assert(images.count == 1 && images.height == 2 && images.width == 3 && images.channels == 1);
    cr_assert_eq(memcmp(images.pixels, "\1\2\3\2\3\4", 6), 0);
}

/* In the order of make.py. */
static const char *const names[] = {
    "grey1",    "grey2",    "grey4",  "grey8",       "colour8",       "palette1", "palette2",
    "palette4", "palette8", "greys4", "grey_alpha8", "colour_alpha8", "one",
};

Test(png_read, every_type_depth_and_filter)
{
    bytes expected = slurp(FIXTURE("images/expected_png.bin"));
    const uint8_t *at = (const uint8_t *)expected.data;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256];
        leat_images m;
        leat_status s = { 0 };
        snprintf(path, sizeof path, FIXTURE("images/%s.png"), names[i]);
        cr_assert_eq(leat_images_read(path, &arena, &m, &s), LEAT_OK, "%s", s.message);
        cr_assert(m.count == 1 && m.height == at[0] && m.width == at[1] && m.channels == at[2], "%s", names[i]);
        size_t size = (size_t)(m.height * m.width * m.channels);
        cr_assert_eq(memcmp(m.pixels, at + 3, size), 0, "%s", names[i]);
        at += 3 + size;
    }
    cr_assert_eq(at, (const uint8_t *)expected.data + expected.size);
    free(expected.data);
}

/* Left and corner, above and corner are as near to left + above - corner: left, and above, are taken. */
Test(png_read, ties_of_the_last_filter)
{
    leat_images m;
    leat_status s = { 0 };
    begin(2, 4, 8, 0, 0);
    put_rows("\0\12\13\4\376\0\0\12\10\4\1\0", 12);
    end();
    cr_assert_eq(parse(png, png_size, &m, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(memcmp(m.pixels, "\12\13\10\10\12\10\13\10", 8), 0);
}

/* ---- PNG: refusals ----------------------------------------------------------------------------------------------- */

static const struct {
    uint32_t width, height;
    int depth, type, interlace;
    const char *place, *reason;
} headers[] = {
    { 3, 2, 16, 0, 0, "x: byte 24: ", "16 bits a sample" },
    { 3, 2, 16, 6, 0, "x: byte 24: ", "16 bits a sample" },
    { 3, 2, 8, 0, 1, "x: byte 28: ", "interlaced" },
    { 3, 2, 8, 0, 2, "x: byte 26: ", "interlace 2 are no PNG" },
    { 0, 2, 8, 0, 0, "x: byte 16: ", "0 x 2 pixels" },
    { 3, 0, 8, 0, 0, "x: byte 16: ", "3 x 0 pixels" },
    { 65536, 1, 8, 0, 0, "x: byte 16: ", "65536 x 1 pixels, where 1 to 65535 a side are read" },
    { 1, ~0u, 8, 0, 0, "x: byte 16: ", "1 x 4294967295 pixels" },
    { 3, 2, 3, 0, 0, "x: byte 24: ", "3 bits of colour type 0 are no PNG" },
    { 3, 2, 0, 0, 0, "x: byte 24: ", "0 bits of" },
    { 3, 2, 4, 2, 0, "x: byte 24: ", "4 bits of colour type 2" },
    { 3, 2, 2, 4, 0, "x: byte 24: ", "2 bits of colour type 4" },
    { 3, 2, 16, 3, 0, "x: byte 24: ", "16 bits of colour type 3" },
    { 3, 2, 8, 1, 0, "x: byte 24: ", "colour type 1" },
    { 3, 2, 8, 5, 0, "x: byte 24: ", "colour type 5" },
    { 3, 2, 8, 7, 0, "x: byte 24: ", "colour type 7" },
    { 3, 2, 8, 255, 0, "x: byte 24: ", "colour type 255" },
    { 4, 2, 8, 0, 0, "x: byte 33: ", "the pixels end in row 2 of 2" },
    { 3, 3, 8, 0, 0, "x: byte 33: ", "the pixels end in row 3 of 3" },
    { 3, 1, 8, 0, 0, "x: byte 33: ", "more pixels than 1 rows of 3" },
    { 60000, 60000, 8, 0, 0, "x: byte 33: ", "19 bytes of compressed pixels cannot hold 60000 x 60000" },
};

Test(png_read, refuses_headers_and_says_why)
{
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        begin(headers[i].width, headers[i].height, headers[i].depth, headers[i].type, headers[i].interlace);
        put_rows("\0\1\2\3\2\1\1\1", 8);
        end();
        expect_refusal(png, png_size, headers[i].place, headers[i].reason);
    }
}

Test(png_read, refuses_chunks_that_do_not_fit)
{
    uint8_t packed[1024];
    size_t size = pack("\0\1\2\3\2\1\1\1", 8, packed);

    put_grey();
    put_chunk("tEXt", "", 0);
    expect_refusal(png, png_size, "x: byte 76: ", "12 bytes behind its end");
    begin(3, 2, 8, 0, 0);
    end();
    expect_refusal(png, png_size, "x: byte 33: ", "no pixels (IDAT)");
    begin(3, 2, 8, 0, 0);
    put_chunk("IHDR", png + 16, 13);
    expect_refusal(png, png_size, "x: byte 33: ", "IHDR for the second time");
    png_size = 8;
    put_chunk("tEXt", "a\0b", 3);
    expect_refusal(png, png_size, "x: byte 8: ", "IHDR is not the first chunk");
    png_size = 8;
    put_chunk("IHDR", "", 0);
    expect_refusal(png, png_size, "x: byte 8: ", "IHDR has 0 bytes");
    begin(3, 2, 8, 0, 0);
    put_chunk("ABCD", "", 0);
    expect_refusal(png, png_size, "x: byte 33: ", "the chunk ABCD is not known");
    begin(3, 2, 8, 0, 0);
    put_chunk("A1CD", "", 0);
    expect_refusal(png, png_size, "x: byte 37: ", "no chunk begins so");
    begin(3, 2, 8, 0, 0);
    put_chunk("IDAT", packed, 5);
    put_chunk("tEXt", "a\0b", 3);
    put_chunk("IDAT", packed + 5, size - 5);
    end();
    expect_refusal(png, png_size, "x: byte 65: ", "other chunks stand between");
    begin(3, 2, 8, 0, 0);
    put_chunk("IDAT", packed, size - 1);
    end();
    expect_refusal(png, png_size, "x: byte 33: ", "what the pixels are compressed to is cut off");
    packed[size - 1] ^= 1;
    begin(3, 2, 8, 0, 0);
    put_chunk("IDAT", packed, size);
    end();
    expect_refusal(png, png_size,
                   "x: byte 33: ", "what the pixels are compressed to is damaged: its checksum is wrong");
}

static void put_palette_image(const char *palette, size_t size, const char *alpha, size_t alphas)
{
    begin(3, 1, 8, 3, 0);
    if (palette)
        put_chunk("PLTE", palette, size);
    if (alpha)
        put_chunk("tRNS", alpha, alphas);
    put_rows("\0\0\1\0", 4);
    end();
}

Test(png_read, palettes_and_what_is_transparent)
{
    leat_images m;
    leat_status s = { 0 };

    put_palette_image("abcddd", 6, "\xFF\xFF", 2);
    cr_assert_eq(parse(png, png_size, &m, &s), LEAT_OK, "%s", s.message);
    cr_assert(m.channels == 3 && memcmp(m.pixels, "abcdddabc", 9) == 0);
    put_palette_image("aaabbbccc", 9, "\xFF\xFF\0", 3); /* of a colour that is not used */
    cr_assert_eq(parse(png, png_size, &m, &s), LEAT_OK, "%s", s.message);
    cr_assert(m.channels == 1 && memcmp(m.pixels, "aba", 3) == 0);

    put_palette_image("abcdef", 6, "\xFF\xFE", 2);
    expect_refusal(png, png_size, "x: byte ", "row 1, column 2: the pixel is not opaque");
    put_palette_image("abc", 3, NULL, 0);
    expect_refusal(png, png_size, "x: byte ", "row 1, column 2: colour 2 of a palette of 1");
    put_palette_image(NULL, 0, NULL, 0);
    expect_refusal(png, png_size, "x: byte 33: ", "no palette");
    put_palette_image("abcde", 5, NULL, 0);
    expect_refusal(png, png_size, "x: byte 33: ", "makes no sense");
    put_palette_image("", 0, NULL, 0);
    expect_refusal(png, png_size, "x: byte 33: ", "makes no sense");
    put_palette_image("abcdef", 6, "\xFF\xFF\xFF", 3);
    expect_refusal(png, png_size, "x: byte 51: ", "tRNS for 3 colours");
    put_palette_image(NULL, 0, "\xFF", 1);
    expect_refusal(png, png_size, "x: byte 33: ", "tRNS for 1 colours, and the palette has 0");
    begin(3, 2, 8, 0, 0);
    put_chunk("tRNS", "\0\0", 2);
    expect_refusal(png, png_size, "x: byte 33: ", "a transparent colour (tRNS)");
    begin(3, 2, 8, 0, 0);
    put_chunk("PLTE", "abc", 3);
    expect_refusal(png, png_size, "x: byte 33: ", "makes no sense");
    begin(1, 2, 8, 4, 0);
    put_rows("\0\7\xFF\0\7\x80", 6);
    end();
    expect_refusal(png, png_size, "x: byte ", "row 2, column 1: the pixel is not opaque");
    begin(1, 1, 8, 6, 0);
    put_rows("\0abc\0", 5);
    end();
    expect_refusal(png, png_size, "x: byte ", "row 1, column 1: the pixel is not opaque");
}

/* Signature, lengths and checksums cover every bit of a PNG. */
Test(png_read, truncated_extended_or_damaged_is_refused)
{
    for (int i = 0; i < 3; i++) {
        char path[256];
        leat_images m;
        snprintf(path, sizeof path, FIXTURE("images/%s.png"), names[4 * i]);
        bytes file = slurp(path);
        for (size_t n = 0; n < file.size; n++)
            cr_assert_eq(parse(file.data, n, &m, NULL), LEAT_EFORMAT, "%zu", n);
        for (size_t at = 0; at < file.size; at++)
            for (int bit = 0; bit < 8; bit++) {
                leat_status s = { 0 };
                file.data[at] = (char)(file.data[at] ^ 1 << bit);
                cr_assert_eq(parse(file.data, file.size, &m, &s), LEAT_EFORMAT, "byte %zu, bit %d", at, bit);
                check_message(&s, "x: byte ", ": ");
                file.data[at] = (char)(file.data[at] ^ 1 << bit);
            }
        char *longer = calloc(1, file.size + 1);
        memcpy(longer, file.data, file.size);
        expect_refusal(longer, file.size + 1, "x: byte ", "1 bytes behind its end");
        free(longer);
        free(file.data);
    }
}

/* ---- PGM and PPM ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    size_t extra; /* zero bytes that are part of it, behind the text */
    int height, width, channels;
    const char *pixels;
} good[] = {
    { "P2 3 2 255 1 2 3\n4 5 6", 0, 2, 3, 1, "\1\2\3\4\5\6" },
    { "P2\n#c\n3#d\r2\n#\n#\n3\n0 1 2 3#e\n3 3 # end", 0, 2, 3, 1, "\0\x55\xAA\xFF\xFF\xFF" },
    { "P2 1 1 1\n1", 0, 1, 1, 1, "\xFF" },
    { "P3\t1\v2\f255\r1 2 3 4 5 6\n\n", 0, 2, 1, 3, "\1\2\3\4\5\6" },
    { "P5 3 2 255\nabcdef", 0, 2, 3, 1, "abcdef" },
    { "P5 3 1 255 \n#a", 0, 1, 3, 1, "\n#a" },
    { "P5 2 1 200 \xC8\x64", 0, 1, 2, 1, "\xFF\x80" },
    { "P6 1 2 255\nabcdef", 0, 2, 1, 3, "abcdef" },
    { "P5 2 2 255\n", 4, 2, 2, 1, "\0\0\0\0" },
};

Test(png_read, pgm_and_ppm)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[64] = { 0 };
        leat_images m;
        leat_status s = { 0 };
        strcpy(text, good[i].text);
        cr_assert_eq(parse(text, strlen(text) + good[i].extra, &m, &s), LEAT_OK, "%s: %s", text, s.message);
        cr_assert(m.count == 1 && m.height == good[i].height && m.width == good[i].width, "%s", text);
        cr_assert_eq(m.channels, good[i].channels);
        cr_assert_eq(memcmp(m.pixels, good[i].pixels, (size_t)(m.height * m.width * m.channels)), 0, "%s", text);
    }
}

static const struct {
    const char *text, *place, *reason;
} bad[] = {
    { "P4 8 1 a", "byte 0: ", "it is no PGM or PPM" },
    { "P", "byte 0: ", "it is no PGM or PPM" },
    { "Price,Area\n1,2\n", "byte 0: ", "it is no PGM or PPM" },
    { "P5", "byte 2: ", "the file ends before the width" },
    { "P5 # 3 2 255", "byte 12: ", "the file ends before the width" },
    { "P5 3", "byte 4: ", "the file ends before the height" },
    { "P5 3 2 ", "byte 7: ", "the file ends before the largest value" },
    { "P5 x 2 255 ", "byte 3: ", "expected the width" },
    { "P5 -3 2 255 ", "byte 3: ", "expected the width" },
    { "P5 0 2 255 ", "byte 10: ", "at least 1" },
    { "P5 3 2 0 abcdef", "byte 8: ", "at least 1" },
    { "P5 65536 2 255 ", "byte 3: ", "the width is above 65535" },
    { "P5 3 99999999999999999999 255 ", "byte 5: ", "the height is above 65535" },
    { "P5 3 2 65535 abcdefghijkl", "byte 7: ", "the largest value is above 255" },
    { "P5 3 2 255", "byte 10: ", "expected a blank before the samples" },
    { "P5 3 2 255abcdef", "byte 11: ", "expected a blank before the samples" },
    { "P5 3 2 255 abcde", "byte 11: ", "5 bytes of samples where the size wants 6" },
    { "P5 3 2 255 abcdefg", "byte 11: ", "7 bytes of samples where the size wants 6" },
    { "P6 60000 60000 255 abc", "byte 19: ", "3 bytes of samples where the size wants 10800000000" },
    { "P5 3 1 100 abe", "byte 13: ", "the sample 101 is above 100" },
    { "P2 3 2 255 1 2 3 4 5", "byte 10: ", "10 bytes of samples where the size wants at least 11" },
    { "P2 60000 60000 255 1", "byte 18: ", "wants at least 7199999999" },
    { "P2 3 1 255 1 2#34 ", "byte 18: ", "the file ends before a sample" },
    { "P2 3 1 255 1 256 3", "byte 13: ", "a sample is above 255" },
    { "P2 3 1 255 1 2 a", "byte 15: ", "expected a sample" },
    { "P2 3 1 255 1 2 3 4", "byte 17: ", "text behind the samples" },
};

Test(png_read, pgm_and_ppm_that_are_none)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_refusal(bad[i].text, strlen(bad[i].text), bad[i].place, bad[i].reason);
}

Test(png_read, pgm_truncated_is_refused)
{
    for (int i = 0; i < 5; i += 4)
        for (size_t n = 0; n < strlen(good[i].text); n++) {
            leat_images m;
            cr_assert_eq(parse(good[i].text, n, &m, NULL), LEAT_EFORMAT, "%zu of %s", n, good[i].text);
        }
}
