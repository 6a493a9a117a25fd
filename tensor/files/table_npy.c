/*
 * Tables in NumPy's .npy: rows are read where they stand, so that skipping costs nothing and Fortran order, where a block
 * of rows is a piece of every column, needs no more memory than C order.
 */
#include "csv.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 128 << 10, RAW_BYTES = 256 << 10 };

static leat_code read_at(leat_table *t, uint64_t offset, char *out, size_t size)
{
    while (size > 0) {
        ssize_t n = pread(t->npy.fd, out, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return leat_fail(&t->status, LEAT_EIO, "%s: cannot read: %s", t->name,
                             n < 0 ? strerror(errno) : "it has become shorter");
        out += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return LEAT_OK;
}

/* Memory for as many rows as fit RAW_BYTES, at least one. */
static leat_code make_buffers(leat_table *t)
{
    leat_npy *n = &t->npy;
    size_t width = leat_dtype_size(n->header.type);
    size_t row = n->header.fortran_order ? width : width * (size_t)t->file_columns;
    size_t numbers = n->header.fortran_order ? 1 : (size_t)t->file_columns;
    n->raw_rows = row < RAW_BYTES ? (int64_t)(RAW_BYTES / row) : 1;
    n->raw = leat_arena_alloc(&t->arena, (size_t)n->raw_rows * row);
    n->numbers = leat_arena_alloc(&t->arena, (size_t)n->raw_rows * numbers * sizeof *n->numbers);
    return n->raw && n->numbers ? LEAT_OK : leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory to read it", t->name);
}

static leat_code read_header(leat_table *t, uint64_t file_size)
{
    leat_npy *n = &t->npy;
    size_t size = file_size < HEADER_BYTES ? (size_t)file_size : HEADER_BYTES;
    char *bytes = leat_arena_alloc(&t->arena, size), text[LEAT_SHAPE_TEXT];
    if (!bytes)
        return leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory to read it", t->name);
    if (read_at(t, 0, bytes, size) || leat_npy_parse_header(bytes, size, file_size, t->name, &n->header, &t->status))
        return t->status.code;
    leat_shape *shape = &n->header.shape;
    if (shape->rank == 1)
        *shape = LEAT_SHAPE(shape->size[0], 1);
    if (shape->rank != 2 || shape->size[1] < 1)
        return leat_fail(&t->status, LEAT_ESHAPE, "%s: its shape is %s, where rows and at least one column are needed",
                         t->name, leat_shape_print(shape, text));
    if (shape->size[1] > PTRDIFF_MAX / 64) /* which a file without rows may claim */
        return leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory for its columns", t->name);
    n->rows = t->file_rows = shape->size[0];
    t->file_columns = shape->size[1];
    return LEAT_OK;
}

static leat_code begin_file(leat_table *t)
{
    struct stat st;
    if (t->npy.fd < 0 || fstat(t->npy.fd, &st) != 0)
        return leat_fail(&t->status, LEAT_EIO, "%s: cannot open: %s", t->name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return leat_fail(&t->status, LEAT_EIO, "%s: cannot read: it is no regular file", t->name);
    return read_header(t, (uint64_t)st.st_size) || make_buffers(t) ? t->status.code : LEAT_OK;
}

static leat_code npy_begin(leat_table *t, const char *path)
{
    t->npy.fd = open(path, O_RDONLY | O_CLOEXEC);
    return begin_file(t);
}

/* Into a file without a name, as rows are read where they stand; memory would have to hold all of it. */
leat_code leat_table_become_npy(leat_table *t)
{
    leat_csv *c = &t->csv;
    FILE *f = tmpfile();
    if (!f)
        return leat_fail(&t->status, LEAT_EIO, "%s: cannot make a temporary file: %s", t->name, strerror(errno));
    leat_file_out out = { .path = "a temporary file", .fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 0) };
    fclose(f);
    while (leat_file_put(&out, c->at, (size_t)(c->end - c->at), &t->status) == LEAT_OK && !c->ended) {
        c->at = c->end;
        if (leat_csv_more(t))
            break;
    }
    leat_table_csv.end(t);
    t->format = &leat_table_npy;
    t->npy = (leat_npy){ .fd = out.fd };
    return t->status.code ? t->status.code : begin_file(t);
}

static leat_code npy_skip(leat_table *t, int64_t rows)
{
    t->npy.row = rows < t->npy.rows ? rows : t->npy.rows;
    return LEAT_OK;
}

/* Puts `rows` numbers, one every `stride`, into a column of the output, from the file's row n->row on. */
static leat_code place(leat_table *t, const double *in, int64_t stride, int64_t rows, int64_t column, double *out)
{
    for (int64_t i = 0; i < rows; i++) {
        double x = t->single ? (double)(leat_real)in[i * stride] : in[i * stride];
        if (!isfinite(x)) {
            bool wider = t->npy.header.type == LEAT_DTYPE_F64 && t->single;
            return leat_fail(&t->status, LEAT_ENONFINITE, "%s: row %lld, column %lld: %s is not a finite number%s",
                             t->name, (long long)(t->npy.row + i + 1), (long long)t->chosen[column] + 1,
                             isnan(x) ? "nan"
                             : x > 0  ? "inf"
                                      : "-inf",
                             wider && !isnan(x) ? " (or was too large for a float)" : "");
        }
        out[i * t->columns + column] = x;
    }
    return LEAT_OK;
}

static leat_code read_fortran(leat_table *t, int64_t rows, double *out)
{
    leat_npy *n = &t->npy;
    size_t width = leat_dtype_size(n->header.type);
    for (int64_t j = 0; j < t->columns; j++) {
        uint64_t first = (uint64_t)t->chosen[j] * (uint64_t)n->rows + (uint64_t)n->row;
        if (read_at(t, n->header.begin + first * width, n->raw, (size_t)rows * width))
            return t->status.code;
        leat_convert_doubles(n->header.type, n->header.big_endian, n->raw, rows, n->numbers);
        if (place(t, n->numbers, 1, rows, j, out))
            return t->status.code;
    }
    return LEAT_OK;
}

static leat_code read_c(leat_table *t, int64_t rows, double *out)
{
    leat_npy *n = &t->npy;
    size_t row = leat_dtype_size(n->header.type) * (size_t)t->file_columns;
    if (read_at(t, n->header.begin + (uint64_t)n->row * row, n->raw, (size_t)rows * row))
        return t->status.code;
    leat_convert_doubles(n->header.type, n->header.big_endian, n->raw, rows * t->file_columns, n->numbers);
    for (int64_t j = 0; j < t->columns; j++)
        if (place(t, n->numbers + t->chosen[j], t->file_columns, rows, j, out))
            return t->status.code;
    return LEAT_OK;
}

static int64_t npy_read(leat_table *t, int64_t rows, double *out)
{
    leat_npy *n = &t->npy;
    if (rows > n->rows - n->row)
        rows = n->rows - n->row;
    for (int64_t done = 0, step; done < rows; done += step) {
        step = rows - done < n->raw_rows ? rows - done : n->raw_rows;
        if ((n->header.fortran_order ? read_fortran : read_c)(t, step, out + done * t->columns))
            return -1;
        n->row += step;
    }
    return rows;
}

static void npy_end(leat_table *t)
{
    if (t->npy.fd >= 0)
        close(t->npy.fd);
}

const leat_table_format leat_table_npy = { npy_begin, npy_skip, npy_read, npy_end };
