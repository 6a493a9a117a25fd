/*
 * IDX, the format of MNIST: two zero bytes, the type of the numbers, the rank, the sizes (big-endian, 32 bits), the
 * numbers. Plain or compressed with gzip. Format: http://yann.lecun.com/exdb/mnist
 */
#include "images.h"
#include "inflate.h"

#include <string.h>

enum { BYTES = 8, MOST_RANK = 4, DEFLATE_MOST = 1032 /* bytes that one byte can become */ };

struct reader {
    const char *source, *at;
    size_t left;
    leat_inflate *inflate; /* NULL: the bytes are not compressed */
    leat_status *status;
};

static ssize_t give(void *user, void *out, size_t room)
{
    struct reader *r = user;
    size_t n = room < r->left ? room : r->left;
    memcpy(out, r->at, n);
    r->at += n;
    r->left -= n;
    return (ssize_t)n;
}

/* The next `size` bytes: how many there were, or -1. */
static ssize_t take(struct reader *r, uint8_t *out, size_t size)
{
    size_t done = 0;
    if (!r->inflate)
        return give(r, out, size);
    for (ssize_t n = 1; done < size && n > 0; done += (size_t)n) {
        n = leat_inflate_read(r->inflate, out + done, size - done);
        if (n < 0) {
            leat_fail(r->status, LEAT_EFORMAT, "%s: what gzip compressed %s", r->source, r->inflate->problem);
            return -1;
        }
    }
    return (ssize_t)done;
}

static bool refuse_end(struct reader *r, ssize_t n)
{
    if (n >= 0)
        leat_fail(r->status, LEAT_EFORMAT, "%s: the file ends before its sizes", r->source);
    return false;
}

static bool read_header(struct reader *r, leat_shape *shape)
{
    uint8_t b[4 * MOST_RANK];
    ssize_t n = take(r, b, 4);
    int rank = b[3];
    if (n < 4)
        return refuse_end(r, n);
    if (b[0] || b[1] || b[2] != BYTES || rank < 1 || rank > MOST_RANK) {
        leat_fail(r->status, LEAT_EFORMAT,
                  "%s: byte 0: it begins with %02x %02x %02x %02x, where an IDX file of bytes begins with 00 00 08 and "
                  "its rank, 01 to 04",
                  r->source, b[0], b[1], b[2], b[3]);
        return false;
    }
    n = take(r, b, 4 * (size_t)rank);
    if (n < 4 * rank)
        return refuse_end(r, n);
    shape->rank = rank;
    for (int i = 0; i < rank; i++)
        shape->size[i] = (int64_t)b[4 * i] << 24 | b[4 * i + 1] << 16 | b[4 * i + 2] << 8 | b[4 * i + 3];
    return true;
}

static bool refuse_size(struct reader *r, const leat_shape *shape, const char *what, uint64_t size)
{
    char text[LEAT_SHAPE_TEXT];
    leat_fail(r->status, LEAT_EFORMAT, "%s: %s %llu bytes of data where shape %s wants %lld", r->source, what,
              (unsigned long long)size, leat_shape_print(shape, text), (long long)leat_shape_count(shape));
    return false;
}

/* The size that the header claims is held against what the file can hold before memory is taken. */
static bool check_size(struct reader *r, size_t size, const leat_shape *shape)
{
    int64_t count = leat_shape_count(shape);
    char text[LEAT_SHAPE_TEXT];
    if (count < 0) {
        leat_fail(r->status, LEAT_EFORMAT, "%s: no memory could hold shape %s", r->source,
                  leat_shape_print(shape, text));
        return false;
    }
    if (!r->inflate)
        return (uint64_t)count == r->left || refuse_size(r, shape, "the file has", r->left);
    return (uint64_t)count / DEFLATE_MOST <= size ||
           refuse_size(r, shape, "the compressed file has at most", (uint64_t)size * DEFLATE_MOST);
}

static bool read_data(struct reader *r, const leat_shape *shape, uint8_t *data)
{
    uint8_t more;
    size_t count = (size_t)leat_shape_count(shape);
    ssize_t n = take(r, data, count);
    if (n >= 0 && (size_t)n < count)
        return refuse_size(r, shape, "the compressed file has", (uint64_t)n);
    n = n < 0 ? n : take(r, &more, 1);
    return n == 0 || (n > 0 && refuse_size(r, shape, "the compressed file has more than", count));
}

static leat_code parse(struct reader *r, size_t size, leat_arena *a, leat_shape *shape, uint8_t **data)
{
    leat_arena_mark mark = leat_arena_save(a);
    if (!read_header(r, shape) || !check_size(r, size, shape))
        return LEAT_EFORMAT;
    *data = leat_arena_alloc(a, (size_t)leat_shape_count(shape));
    if (!*data)
        return leat_fail(r->status, LEAT_ENOMEM, "%s: out of memory for %lld bytes", r->source,
                         (long long)leat_shape_count(shape));
    if (!read_data(r, shape, *data)) {
        *data = NULL;
        leat_arena_restore(a, mark);
        return LEAT_EFORMAT;
    }
    return LEAT_OK;
}

leat_code leat_idx_parse(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                         leat_shape *shape, uint8_t **data, leat_status *s)
{
    struct reader r = { .source = source, .at = bytes, .left = size, .status = s };
    leat_arena_mark mark = leat_arena_save(scratch);
    *data = NULL;
    if (size >= 2 && memcmp(bytes, "\x1F\x8B", 2) == 0) {
        r.inflate = leat_arena_alloc(scratch, sizeof *r.inflate);
        if (!r.inflate)
            return leat_fail(s, LEAT_ENOMEM, "%s: out of memory to read it", source);
        leat_inflate_begin(r.inflate, LEAT_INFLATE_GZIP, give, &r);
    }
    leat_code code = parse(&r, size, a, shape, data);
    leat_arena_restore(scratch, mark);
    return code;
}
