/*
 * NumPy's .npy: "\x93NUMPY", version, the length of a header, the header, the numbers. The header is a Python dict,
 *
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 *
 * padded with spaces and ended by a newline so that the numbers begin at a multiple of 64. The reader knows as much of
 * Python as such a dict needs. Format: numpy/lib/format.py and NEP 1.
 */
#include "convert.h"
#include "files.h"

#include <stdio.h>
#include <string.h>

static const char magic[6] = "\x93NUMPY";

struct reader {
    const char *bytes, *source;
    size_t end, at; /* the header is bytes[at .. end) */
    leat_status *status;
};

struct header {
    bool has_descr, has_order, has_shape;
    leat_npy_header npy;
};

#define refuse(r, at, ...) leat_refuse_byte((r)->status, (r)->source, at, __VA_ARGS__)

/* ---- the header's Python ----------------------------------------------------------------------------------------- */

/* The next character that is no white space, or -1. */
static int peek(struct reader *r)
{
    while (r->at < r->end && (r->bytes[r->at] == ' ' || r->bytes[r->at] == '\n'))
        r->at++;
    return r->at < r->end ? (unsigned char)r->bytes[r->at] : -1;
}

static bool expect(struct reader *r, char c)
{
    if (peek(r) != (unsigned char)c)
        return refuse(r, r->at, "expected '%c' in the header", c);
    r->at++;
    return true;
}

static bool accept_word(struct reader *r, const char *word)
{
    size_t length = strlen(word);
    peek(r);
    if (r->end - r->at < length || memcmp(r->bytes + r->at, word, length) != 0)
        return false;
    r->at += length;
    return true;
}

/* A string in either quotes, short and without escapes. */
static bool read_string(struct reader *r, char text[32])
{
    int quote = peek(r);
    size_t n = 0, begin = r->at;
    if (quote != '\'' && quote != '"')
        return refuse(r, begin, "expected a text in quotes");
    for (r->at++; r->at < r->end && r->bytes[r->at] != (char)quote; r->at++) {
        if (n == 31 || r->bytes[r->at] < ' ' || r->bytes[r->at] == '\\')
            return refuse(r, begin, "unexpected text in the header");
        text[n++] = r->bytes[r->at];
    }
    if (r->at == r->end)
        return refuse(r, begin, "text without an end");
    r->at++;
    text[n] = '\0';
    return true;
}

static bool read_descr(struct reader *r, struct header *h)
{
    static const struct {
        char name[3];
        leat_dtype type;
    } known[] = {
        { "f8", LEAT_DTYPE_F64 }, { "f4", LEAT_DTYPE_F32 }, { "f2", LEAT_DTYPE_F16 }, { "i8", LEAT_DTYPE_I64 },
        { "i4", LEAT_DTYPE_I32 }, { "i2", LEAT_DTYPE_I16 }, { "i1", LEAT_DTYPE_I8 },  { "u8", LEAT_DTYPE_U64 },
        { "u4", LEAT_DTYPE_U32 }, { "u2", LEAT_DTYPE_U16 }, { "u1", LEAT_DTYPE_U8 },  { "b1", LEAT_DTYPE_BOOL },
    };
    char text[32];
    int first = peek(r);
    size_t begin = r->at;
    if (first == '[' || first == '(')
        return refuse(r, begin, "structured arrays are not supported");
    if (!read_string(r, text))
        return false;
    for (size_t i = 0; text[0] && strchr("<>=|", text[0]) && i < sizeof known / sizeof *known; i++) {
        if (strcmp(text + 1, known[i].name) != 0)
            continue;
        if (text[0] == '|' && leat_dtype_size(known[i].type) > 1)
            break;
        h->npy.type = known[i].type;
        h->npy.big_endian = text[0] == '>';
        return true;
    }
    return refuse(r, begin, "dtype '%s' is not supported: floats, integers and booleans are", text);
}

static bool read_order(struct reader *r, struct header *h)
{
    h->npy.fortran_order = accept_word(r, "True");
    if (!h->npy.fortran_order && !accept_word(r, "False"))
        return refuse(r, r->at, "fortran_order is neither True nor False");
    return true;
}

/* One size; Python 2 wrote long integers as 3L. */
static bool read_size(struct reader *r, int64_t *size)
{
    if (peek(r) == '-')
        return refuse(r, r->at, "negative size in the shape");
    size_t begin = r->at;
    for (*size = 0; r->at < r->end && r->bytes[r->at] >= '0' && r->bytes[r->at] <= '9'; r->at++)
        if (__builtin_mul_overflow(*size, 10, size) || __builtin_add_overflow(*size, r->bytes[r->at] - '0', size))
            return refuse(r, begin, "size in the shape is out of range");
    if (r->at == begin)
        return refuse(r, begin, "expected a size in the shape");
    r->at += r->at < r->end && r->bytes[r->at] == 'L';
    return true;
}

/* A tuple: (), (3,), (3, 4), (3, 4, ). */
static bool read_shape(struct reader *r, struct header *h)
{
    leat_shape *shape = &h->npy.shape;
    if (!expect(r, '('))
        return false;
    while (peek(r) != ')') {
        if (shape->rank == LEAT_MAX_RANK)
            return refuse(r, r->at, "rank above %d", LEAT_MAX_RANK);
        if (!read_size(r, &shape->size[shape->rank++]))
            return false;
        bool comma = peek(r) == ',';
        r->at += comma;
        if (!comma && (shape->rank == 1 || peek(r) != ')'))
            return refuse(r, r->at, "expected ',' in the shape");
    }
    r->at++;
    return true;
}

static bool read_item(struct reader *r, struct header *h)
{
    char key[32];
    size_t begin = r->at;
    bool *seen;
    bool (*read)(struct reader *, struct header *);
    if (!read_string(r, key))
        return false;
    if (strcmp(key, "descr") == 0)
        seen = &h->has_descr, read = read_descr;
    else if (strcmp(key, "fortran_order") == 0)
        seen = &h->has_order, read = read_order;
    else if (strcmp(key, "shape") == 0)
        seen = &h->has_shape, read = read_shape;
    else
        return refuse(r, begin, "unknown key '%s' in the header", key);
    if (*seen)
        return refuse(r, begin, "key '%s' for the second time", key);
    *seen = true;
    return expect(r, ':') && read(r, h);
}

static bool read_header(struct reader *r, struct header *h)
{
    if (!expect(r, '{'))
        return false;
    while (peek(r) != '}') {
        if (!read_item(r, h))
            return false;
        if (peek(r) != ',')
            break;
        r->at++;
    }
    if (!expect(r, '}'))
        return false;
    if (peek(r) != -1)
        return refuse(r, r->at, "text behind the header");
    if (!h->has_descr || !h->has_order || !h->has_shape)
        return refuse(r, r->at, "the header lacks %s",
                      !h->has_descr   ? "descr"
                      : !h->has_order ? "fortran_order"
                                      : "shape");
    return true;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* Magic, version and the header's length; leaves the reader at the header. */
static bool read_prefix(struct reader *r, size_t size)
{
    const unsigned char *b = (const unsigned char *)r->bytes;
    if (size < 8 || memcmp(b, magic, sizeof magic) != 0)
        return refuse(r, 0, "not a .npy file");
    if (b[6] < 1 || b[6] > 3 || b[7] != 0)
        return refuse(r, 6, "format version %d.%d is not supported: 1.0 to 3.0 are", b[6], b[7]);
    r->at = b[6] == 1 ? 10 : 12;
    if (size < r->at)
        return refuse(r, size, "the file ends before the header");
    size_t length = b[8] | (size_t)b[9] << 8;
    if (b[6] > 1)
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > size - r->at)
        return refuse(r, 8, "a header of %zu bytes where the file has %zu left", length, size - r->at);
    r->end = r->at + length;
    return true;
}

/* Walks over the output in row-major order and takes from `in`, whose first index runs fastest. */
static void from_fortran_order(const leat_real *in, const leat_shape *shape, int64_t count, leat_real *out)
{
    int64_t stride[LEAT_MAX_RANK] = { 1 }, index[LEAT_MAX_RANK] = { 0 }, at = 0;
    for (int k = 1; k < shape->rank; k++)
        stride[k] = stride[k - 1] * shape->size[k - 1];
    for (int64_t i = 0; i < count; i++) {
        out[i] = in[at];
        for (int k = shape->rank - 1; k >= 0; k--) {
            at += stride[k];
            if (++index[k] < shape->size[k])
                break;
            at -= stride[k] * shape->size[k];
            index[k] = 0;
        }
    }
}

static leat_code read_numbers(const char *bytes, const char *source, const leat_npy_header *h, leat_arena *scratch,
                              leat_arena *a, leat_tensor *out, leat_status *s)
{
    leat_arena_mark mark = leat_arena_save(a);
    leat_arena_mark scratch_mark = leat_arena_save(scratch);
    int64_t count = leat_shape_count(&h->shape);
    leat_real *data = leat_arena_alloc(a, (size_t)count * sizeof *data);
    leat_real *linear = data && h->fortran_order ? leat_arena_alloc(scratch, (size_t)count * sizeof *data) : data;
    if (!linear) {
        leat_arena_restore(a, mark);
        return leat_fail(s, LEAT_ENOMEM, "%s: out of memory for %lld numbers", source, (long long)count);
    }
    leat_convert(h->type, h->big_endian, bytes + h->begin, count, linear);
    if (linear != data) {
        from_fortran_order(linear, &h->shape, count, data);
        leat_arena_restore(scratch, scratch_mark);
    }
    *out = (leat_tensor){ data, h->shape };
    return LEAT_OK;
}

leat_code leat_npy_parse_header(const char *bytes, size_t size, uint64_t file_size, const char *source,
                                leat_npy_header *out, leat_status *s)
{
    struct reader r = { .bytes = bytes, .source = source, .status = s };
    struct header h = { 0 };
    char text[LEAT_SHAPE_TEXT];
    if (!read_prefix(&r, size) || !read_header(&r, &h))
        return LEAT_EFORMAT;
    h.npy.begin = r.end;
    *out = h.npy;
    int64_t count = leat_shape_count(&out->shape);
    uint64_t width = leat_dtype_size(out->type), left = file_size - r.end;
    if (count < 0) {
        refuse(&r, r.end, "no memory could hold shape %s", leat_shape_print(&out->shape, text));
        return LEAT_EFORMAT;
    }
    if (left % width != 0 || left / width != (uint64_t)count) {
        refuse(&r, r.end, "%llu bytes of data where shape %s wants %lld numbers of %d bytes", (unsigned long long)left,
               leat_shape_print(&out->shape, text), (long long)count, (int)width);
        return LEAT_EFORMAT;
    }
    return LEAT_OK;
}

leat_code leat_npy_parse(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                         leat_tensor *out, leat_status *s)
{
    leat_npy_header h;
    *out = (leat_tensor){ 0 };
    leat_code code = leat_npy_parse_header(bytes, size, size, source, &h, s);
    return code ? code : read_numbers(bytes, source, &h, scratch, a, out, s);
}

leat_code leat_npy_read(const char *path, leat_arena *a, leat_tensor *out, leat_status *s)
{
    leat_arena scratch;
    char *bytes;
    size_t size;
    *out = (leat_tensor){ 0 };
    leat_arena_init(&scratch, a->allocator);
    leat_code code = leat_file_read(path, &scratch, &bytes, &size, s);
    if (!code)
        code = leat_npy_parse(bytes, size, path, &scratch, a, out, s);
    leat_arena_free(&scratch);
    return code;
}

/* Byte for byte what NumPy writes: it leaves room for the first size to grow to 21 digits, then pads to 64. */
size_t leat_npy_print_header(const leat_shape *shape, size_t width, char header[LEAT_NPY_HEADER])
{
    char first[32];
    size_t n = 10;
    memcpy(header, magic, sizeof magic);
    n += (size_t)sprintf(header + n, "{'descr': '<f%d', 'fortran_order': False, 'shape': (", (int)width);
    for (int i = 0; i < shape->rank; i++)
        n += (size_t)sprintf(header + n, "%s%lld", i ? ", " : "", (long long)shape->size[i]);
    n += (size_t)sprintf(header + n, shape->rank == 1 ? ",), }" : "), }");
    memset(header + n, ' ', LEAT_NPY_HEADER - n);
    if (shape->rank > 0)
        n += 21 - (size_t)snprintf(first, sizeof first, "%lld", (long long)shape->size[0]);
    n = ((n + 1) / 64 + 1) * 64;
    header[n - 1] = '\n';
    header[6] = 1;
    header[7] = 0;
    header[8] = (char)((n - 10) & 0xFF);
    header[9] = (char)((n - 10) >> 8);
    return n;
}

leat_code leat_npy_write(const char *path, const leat_tensor *t, leat_status *s)
{
    char header[LEAT_NPY_HEADER];
    int64_t count = leat_shape_count(&t->shape);
    if (count < 0)
        return leat_fail(s, LEAT_ESHAPE, "%s: the tensor to write has no valid shape", path);
    size_t n = leat_npy_print_header(&t->shape, sizeof(leat_real), header);
    const leat_bytes parts[] = { { header, n }, { t->data, (size_t)count * sizeof(leat_real) } };
    return leat_file_write_parts(path, parts, 2, s);
}
