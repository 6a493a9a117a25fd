/*
 * PNG (ISO/IEC 15948): a signature and chunks, each of a length, four letters, data and a CRC. All chunks are checked
 * first; then the data of the IDAT chunks, one zlib stream, are read row by row. In front of each row stands the filter
 * that its bytes went through.
 */
#include "images.h"
#include "inflate.h"

#include <string.h>

enum { GREY = 0, COLOUR = 2, PALETTE = 3, GREY_ALPHA = 4, COLOUR_ALPHA = 6 };
enum { SIGNATURE = 8, FRAME = 12 /* a chunk's bytes beside its data */, MOST_PIXEL = 4, DEFLATE_MOST = 1032 };

struct chunk {
    size_t begin; /* of its length, in the file */
    const uint8_t *data;
    uint32_t size;
    char type[5];
};

struct reader {
    const char *source;
    const uint8_t *bytes;
    size_t size, at; /* the next chunk */
    leat_status *status;
    int width, height, depth, type;
    int samples, channels; /* of a pixel: in the file, in the image */
    uint8_t palette[256][4];
    int colours;
    size_t data, data_end; /* the IDAT chunks */
    uint64_t packed;       /* bytes in them */
    struct chunk part;     /* what is left of the one that is read */
};

#define refuse(r, at, ...) leat_refuse_byte((r)->status, (r)->source, at, __VA_ARGS__)

static uint32_t read_u32(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

static bool is(const struct chunk *c, const char *type)
{
    return memcmp(c->type, type, 4) == 0;
}

/* `check` the sum: not for the second time. */
static bool next_chunk(struct reader *r, bool check, struct chunk *c)
{
    const uint8_t *b = r->bytes + r->at;
    size_t left = r->size - r->at;
    if (left < FRAME)
        return refuse(r, r->at, "the file is cut off");
    *c = (struct chunk){ .begin = r->at, .data = b + 8, .size = read_u32(b) };
    for (int i = 0; i < 4; i++) {
        c->type[i] = (char)b[4 + i];
        if ((c->type[i] | 32) < 'a' || (c->type[i] | 32) > 'z')
            return refuse(r, r->at + 4, "no chunk begins so");
    }
    if (c->size > left - FRAME)
        return refuse(r, r->at, "the file is cut off: %s has %lu bytes, and %zu are left", c->type,
                      (unsigned long)c->size, left - FRAME);
    if (check && leat_crc32(b + 4, c->size + 4, 0) != read_u32(c->data + c->size))
        return refuse(r, r->at, "%s is damaged: its checksum is wrong", c->type);
    r->at += FRAME + c->size;
    return true;
}

static bool read_header(struct reader *r, const struct chunk *c)
{
    static const uint8_t samples[] = { [GREY] = 1, [COLOUR] = 3, [PALETTE] = 1, [GREY_ALPHA] = 2, [COLOUR_ALPHA] = 4 };
    const uint8_t *b = c->data;
    size_t at = c->begin + 8;
    if (c->size != 13)
        return refuse(r, c->begin, "IHDR has %lu bytes, and not 13", (unsigned long)c->size);
    uint32_t width = read_u32(b), height = read_u32(b + 4);
    if (width < 1 || height < 1 || width > LEAT_IMAGE_LARGEST || height > LEAT_IMAGE_LARGEST)
        return refuse(r, at, "%lu x %lu pixels, where 1 to %d a side are read", (unsigned long)width,
                      (unsigned long)height, LEAT_IMAGE_LARGEST);
    r->width = (int)width;
    r->height = (int)height;
    r->depth = b[8];
    r->type = b[9];
    r->samples = r->type < (int)sizeof samples ? samples[r->type] : 0;
    r->channels = r->type == COLOUR || r->type == COLOUR_ALPHA ? 3 : 1;
    bool few = r->depth == 1 || r->depth == 2 || r->depth == 4;
    if (r->samples == 0 ||
        !(r->depth == 8 || (r->depth == 16 && r->type != PALETTE) || (few && (r->type == GREY || r->type == PALETTE))))
        return refuse(r, at + 8, "%d bits of colour type %d are no PNG", r->depth, r->type);
    if (r->depth == 16)
        return refuse(r, at + 8, "16 bits a sample, where 8 and fewer are read");
    if (b[10] != 0 || b[11] != 0 || b[12] > 1)
        return refuse(r, at + 10, "compression %d, filter %d, interlace %d are no PNG", b[10], b[11], b[12]);
    return b[12] == 0 || refuse(r, at + 12, "it is interlaced, and only what is not can be read");
}

/* A palette of greys alone makes a grey image. */
static bool read_palette(struct reader *r, const struct chunk *c)
{
    bool grey = true;
    if (r->type == GREY || r->type == GREY_ALPHA || r->colours > 0 || r->packed > 0 || c->size == 0 ||
        c->size % 3 != 0 || c->size > 768)
        return refuse(r, c->begin, "a palette (PLTE) that makes no sense");
    r->colours = (int)c->size / 3;
    for (int i = 0; i < r->colours; i++) {
        memcpy(r->palette[i], c->data + 3 * i, 3);
        r->palette[i][3] = 255;
        grey = grey && r->palette[i][0] == r->palette[i][1] && r->palette[i][0] == r->palette[i][2];
    }
    if (r->type == PALETTE)
        r->channels = grey ? 1 : 3;
    return true;
}

static bool read_transparency(struct reader *r, const struct chunk *c)
{
    if (r->type != PALETTE)
        return refuse(r, c->begin, "a transparent colour (tRNS), and there is no background to show it on");
    if (c->size > (uint32_t)r->colours)
        return refuse(r, c->begin, "tRNS for %lu colours, and the palette has %d", (unsigned long)c->size, r->colours);
    for (uint32_t i = 0; i < c->size; i++)
        r->palette[i][3] = c->data[i];
    return true;
}

static bool take_data(struct reader *r, const struct chunk *c)
{
    if (r->data == 0)
        r->data = c->begin;
    else if (r->data_end != c->begin)
        return refuse(r, c->begin, "other chunks stand between those of the pixels (IDAT)");
    if (r->type == PALETTE && r->colours == 0)
        return refuse(r, c->begin, "no palette (PLTE) in front of the pixels");
    r->data_end = c->begin + FRAME + c->size;
    r->packed += c->size;
    return true;
}

static bool take_chunk(struct reader *r, const struct chunk *c)
{
    bool first = c->begin == SIGNATURE;
    if (is(c, "IHDR") != first)
        return refuse(r, c->begin, first ? "IHDR is not the first chunk" : "IHDR for the second time");
    if (first)
        return read_header(r, c);
    if (is(c, "PLTE"))
        return read_palette(r, c);
    if (is(c, "tRNS"))
        return read_transparency(r, c);
    if (is(c, "IDAT"))
        return take_data(r, c);
    bool needed = !(c->type[0] & 32); /* a capital: the image cannot be shown without it */
    return !needed || is(c, "IEND") || refuse(r, c->begin, "the chunk %s is not known", c->type);
}

static bool read_chunks(struct reader *r)
{
    struct chunk c;
    if (r->size < SIGNATURE || memcmp(r->bytes, "\x89PNG\r\n\x1A\n", SIGNATURE) != 0)
        return refuse(r, 0, "it is no PNG");
    r->at = SIGNATURE;
    do
        if (!next_chunk(r, true, &c) || !take_chunk(r, &c))
            return false;
    while (!is(&c, "IEND"));
    if (r->at < r->size)
        return refuse(r, r->at, "%zu bytes behind its end", r->size - r->at);
    return r->packed > 0 || refuse(r, c.begin, "no pixels (IDAT)");
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static ssize_t give(void *user, void *out, size_t room)
{
    struct reader *r = user;
    struct chunk *c = &r->part;
    while (c->size == 0)
        if (r->at == r->data_end || !next_chunk(r, false, c))
            return 0;
    size_t n = c->size < room ? c->size : room;
    memcpy(out, c->data, n);
    c->data += n;
    c->size -= (uint32_t)n;
    return (ssize_t)n;
}

/* The next `size` bytes of pixels, in row `y`. */
static bool take(struct reader *r, leat_inflate *z, int y, uint8_t *out, size_t size)
{
    for (ssize_t n; size > 0; out += n, size -= (size_t)n) {
        n = leat_inflate_read(z, out, size);
        if (n < 0)
            return refuse(r, r->data, "what the pixels are compressed to %s", z->problem);
        if (n == 0)
            return refuse(r, r->data, "the pixels end in row %d of %d", y + 1, r->height);
    }
    return true;
}

static uint8_t paeth(int left, int above, int corner)
{
    int to_left = above - corner, to_above = left - corner, to_corner = to_left + to_above;
    to_left = to_left < 0 ? -to_left : to_left;
    to_above = to_above < 0 ? -to_above : to_above;
    to_corner = to_corner < 0 ? -to_corner : to_corner;
    return (uint8_t)(to_left <= to_above && to_left <= to_corner ? left : to_above <= to_corner ? above : corner);
}

/* In front of both rows stand `step` zero bytes, as many as lie between a byte and that of the pixel to its left. */
static void unfilter(int filter, uint8_t *row, const uint8_t *above, size_t size, int step)
{
    const uint8_t *left = row - step, *corner = above - step;
    for (size_t i = 0; i < size; i++)
        row[i] = (uint8_t)(row[i] + (filter == 1   ? left[i]
                                     : filter == 2 ? above[i]
                                     : filter == 3 ? (left[i] + above[i]) / 2
                                     : filter == 4 ? paeth(left[i], above[i], corner[i])
                                                   : 0));
}

static int sample(const struct reader *r, const uint8_t *row, int i)
{
    int bit = i * r->depth;
    return row[bit / 8] >> (8 - r->depth - bit % 8) & ((1 << r->depth) - 1);
}

static bool put_row(const struct reader *r, const uint8_t *row, int y, uint8_t *out)
{
    int scale = 255 / ((1 << r->depth) - 1);
    for (int x = 0; x < r->width; x++) {
        uint8_t pixel[4];
        if (r->type == PALETTE) {
            int colour = sample(r, row, x);
            if (colour >= r->colours)
                return refuse(r, r->data, "row %d, column %d: colour %d of a palette of %d", y + 1, x + 1, colour + 1,
                              r->colours);
            memcpy(pixel, r->palette[colour], 4);
        } else {
            pixel[3] = 255;
            for (int k = 0; k < r->samples; k++)
                pixel[k] = (uint8_t)(sample(r, row, x * r->samples + k) * scale);
            if (r->type == GREY_ALPHA)
                pixel[3] = pixel[1];
        }
        if (pixel[3] != 255)
            return refuse(r, r->data,
                          "row %d, column %d: the pixel is not opaque, and there is no background to show "
                          "it on",
                          y + 1, x + 1);
        memcpy(out + x * r->channels, pixel, (size_t)r->channels);
    }
    return true;
}

static bool read_rows(struct reader *r, leat_inflate *z, uint8_t *rows, size_t row_size, uint8_t *pixels)
{
    int bits = r->samples * r->depth, step = bits < 8 ? 1 : bits / 8;
    uint8_t *row = rows + MOST_PIXEL, *above = row + MOST_PIXEL + row_size, *old, filter;
    memset(rows, 0, 2 * (MOST_PIXEL + row_size));
    for (int y = 0; y < r->height; y++) {
        if (!take(r, z, y, &filter, 1) || !take(r, z, y, row, row_size))
            return false;
        if (filter > 4)
            return refuse(r, r->data, "row %d: filter %d, and there are 0 to 4", y + 1, filter);
        unfilter(filter, row, above, row_size, step);
        if (!put_row(r, row, y, pixels + (size_t)y * (size_t)r->width * (size_t)r->channels))
            return false;
        old = above, above = row, row = old;
    }
    ssize_t more = leat_inflate_read(z, &filter, 1);
    if (more < 0)
        return refuse(r, r->data, "what the pixels are compressed to %s", z->problem);
    return more == 0 || refuse(r, r->data, "there are more pixels than %d rows of %d", r->height, r->width);
}

static leat_code read_pixels(struct reader *r, leat_arena *scratch, leat_arena *a, leat_images *out)
{
    size_t row_size = ((size_t)r->width * (size_t)(r->samples * r->depth) + 7) / 8;
    uint64_t all = (uint64_t)r->height * (row_size + 1);
    size_t size = (size_t)r->height * (size_t)r->width * (size_t)r->channels;
    if (all / DEFLATE_MOST > r->packed) {
        refuse(r, r->data, "%llu bytes of compressed pixels cannot hold %d x %d", (unsigned long long)r->packed,
               r->width, r->height);
        return LEAT_EFORMAT;
    }
    leat_inflate *z = leat_arena_alloc(scratch, sizeof *z);
    uint8_t *rows = leat_arena_alloc(scratch, 2 * (MOST_PIXEL + row_size));
    *out = (leat_images){ 1, r->height, r->width, r->channels, leat_arena_alloc(a, size), NULL, 0, NULL };
    if (!z || !rows || !out->pixels)
        return leat_fail(r->status, LEAT_ENOMEM, "%s: out of memory for %zu bytes", r->source, size);
    r->at = r->data;
    leat_inflate_begin(z, LEAT_INFLATE_ZLIB, give, r);
    return read_rows(r, z, rows, row_size, out->pixels) ? LEAT_OK : LEAT_EFORMAT;
}

leat_code leat_png_parse(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                         leat_images *out, leat_status *s)
{
    struct reader r = { .source = source, .bytes = (const uint8_t *)bytes, .size = size, .status = s };
    leat_arena_mark mark = leat_arena_save(a), scratch_mark = leat_arena_save(scratch);
    leat_code code = read_chunks(&r) ? read_pixels(&r, scratch, a, out) : LEAT_EFORMAT;
    leat_arena_restore(scratch, scratch_mark);
    if (code)
        leat_arena_restore(a, mark);
    return code;
}
