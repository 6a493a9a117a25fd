/*
 * PGM and PPM: "P5" (grey) or "P6" (red, green, blue), width, height, the largest value, one blank, the samples; or "P2"
 * and "P3", whose samples are decimal numbers. A '#' begins a comment up to the end of its line.
 * Format: http://netpbm.sourceforge.net/doc/pgm.html and ppm.html
 */
#include "images.h"

#include <string.h>

struct reader {
    const char *source;
    const uint8_t *bytes;
    size_t size, at;
    leat_status *status;
};

#define refuse(r, at, ...) leat_refuse_byte((r)->status, (r)->source, at, __VA_ARGS__)

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void pass_blanks(struct reader *r)
{
    for (bool comment = false; r->at < r->size; r->at++) {
        uint8_t c = r->bytes[r->at];
        comment = comment ? c != '\n' && c != '\r' : c == '#';
        if (!comment && !is_blank(c))
            return;
    }
}

static bool read_number(struct reader *r, const char *what, int most, int *out)
{
    pass_blanks(r);
    size_t begin = r->at;
    int value = 0;
    for (; r->at < r->size && r->bytes[r->at] >= '0' && r->bytes[r->at] <= '9' && value <= most; r->at++)
        value = 10 * value + r->bytes[r->at] - '0';
    if (r->at == begin)
        return refuse(r, begin, begin == r->size ? "the file ends before %s" : "expected %s", what);
    if (value > most)
        return refuse(r, begin, "%s is above %d", what, most);
    *out = value;
    return true;
}

static bool read_header(struct reader *r, leat_images *out, bool *plain, int *largest)
{
    int kind = r->size >= 2 && r->bytes[0] == 'P' ? r->bytes[1] : 0;
    if (kind != '2' && kind != '3' && kind != '5' && kind != '6')
        return refuse(r, 0, "it is no PGM or PPM, which begin with P2, P3, P5 or P6");
    r->at = 2;
    *plain = kind < '5';
    out->channels = kind == '2' || kind == '5' ? 1 : 3;
    if (!read_number(r, "the width", LEAT_IMAGE_LARGEST, &out->width) ||
        !read_number(r, "the height", LEAT_IMAGE_LARGEST, &out->height) ||
        !read_number(r, "the largest value", 255, largest))
        return false;
    if (out->width < 1 || out->height < 1 || *largest < 1)
        return refuse(r, r->at, "width, height and largest value are at least 1");
    if (!*plain && (r->at == r->size || !is_blank(r->bytes[r->at++])))
        return refuse(r, r->at, "expected a blank before the samples");
    return true;
}

/* A number takes a digit and a blank, but the last. */
static bool check_size(const struct reader *r, bool plain, size_t count)
{
    size_t left = r->size - r->at;
    if (plain ? count <= (left + 1) / 2 : count == left)
        return true;
    return refuse(r, r->at, "%zu bytes of samples where the size wants %s%zu", left, plain ? "at least " : "",
                  plain ? 2 * count - 1 : count);
}

static bool read_samples(struct reader *r, bool plain, int largest, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++) {
        int value = 0;
        if (plain && !read_number(r, "a sample", largest, &value))
            return false;
        if (!plain && (value = r->bytes[r->at++]) > largest)
            return refuse(r, r->at - 1, "the sample %d is above %d, the largest value", value, largest);
        out[i] = (uint8_t)((value * 255 + largest / 2) / largest);
    }
    pass_blanks(r);
    return !plain || r->at == r->size || refuse(r, r->at, "text behind the samples");
}

leat_code leat_pnm_parse(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                         leat_images *out, leat_status *s)
{
    struct reader r = { source, (const uint8_t *)bytes, size, 0, s };
    leat_arena_mark mark = leat_arena_save(a);
    bool plain = false;
    int largest = 1;
    (void)scratch;
    *out = (leat_images){ .count = 1 };
    if (!read_header(&r, out, &plain, &largest))
        return LEAT_EFORMAT;
    size_t count = (size_t)out->width * (size_t)out->height * (size_t)out->channels;
    if (!check_size(&r, plain, count))
        return LEAT_EFORMAT;
    out->pixels = leat_arena_alloc(a, count);
    if (!out->pixels)
        return leat_fail(s, LEAT_ENOMEM, "%s: out of memory for %zu bytes", source, count);
    if (!read_samples(&r, plain, largest, count, out->pixels)) {
        leat_arena_restore(a, mark);
        return LEAT_EFORMAT;
    }
    return LEAT_OK;
}
