/* Writing tables row by row, as text or .npy, by way of a file that takes its place at the end. */
#include "decimal.h"
#include "table.h"

#include <string.h>
#include <unistd.h>

enum { BUFFER = 64 << 10, LONGEST_NUMBER = LEAT_DECIMAL_TEXT };

struct leat_table_writer {
    leat_arena arena;
    leat_status status;
    const char *path, *name; /* for messages */
    int64_t columns, rows;
    bool npy, doubles, vector, standard; /* standard output */
    char separator;
    leat_file_out file;
    size_t size; /* of what waits in the buffer */
    char buffer[BUFFER];
};

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

static leat_code flush(leat_table_writer *w)
{
    leat_code code = w->status.code ? w->status.code : leat_file_put(&w->file, w->buffer, w->size, &w->status);
    w->size = 0;
    return code;
}

static void put(leat_table_writer *w, const void *bytes, size_t size)
{
    for (const char *at = bytes; size > 0 && !w->status.code;) {
        size_t room = BUFFER - w->size, n = size < room ? size : room;
        memcpy(w->buffer + w->size, at, n);
        w->size += n;
        at += n;
        size -= n;
        if (w->size == BUFFER)
            flush(w);
    }
}

static void put_name(leat_table_writer *w, const char *name)
{
    if (*name && *name != '#' && !strpbrk(name, ",;\t\"\r\n ")) {
        put(w, name, strlen(name));
        return;
    }
    put(w, "\"", 1);
    for (; *name; name++)
        put(w, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
    put(w, "\"", 1);
}

static void put_header(leat_table_writer *w, const char *const *names)
{
    if (w->npy) {
        char header[LEAT_NPY_HEADER];
        leat_shape shape = w->vector ? LEAT_SHAPE(w->rows) : LEAT_SHAPE(w->rows, w->columns);
        put(w, header, leat_npy_print_header(&shape, w->doubles ? sizeof(double) : sizeof(leat_real), header));
        return;
    }
    for (int64_t j = 0; names && j < w->columns; j++) {
        put_name(w, names[j]);
        put(w, j + 1 < w->columns ? &w->separator : "\n", 1);
    }
}

static void put_text(leat_table_writer *w, double x, bool single, bool last)
{
    if (BUFFER - w->size < LONGEST_NUMBER + 1 && flush(w))
        return;
    w->size += leat_decimal_print_plain(x, single, w->buffer + w->size);
    w->buffer[w->size++] = last ? '\n' : w->separator;
}

/* ---- the writer -------------------------------------------------------------------------------------------------- */

static leat_code begin(leat_table_writer *w, const leat_table_writer_opts *o)
{
    bool tab = leat_path_ends(w->path, ".tsv"),
         space = leat_path_ends(w->path, ".txt") || leat_path_ends(w->path, ".dat");
    w->npy = leat_path_ends(w->path, ".npy");
    w->separator = tab ? '\t' : space ? ' ' : ',';
    if (o->columns < 1)
        return leat_fail(&w->status, LEAT_EARG, "%s: a table needs at least 1 column, not %lld", w->name,
                         (long long)o->columns);
    if (o->vector && o->columns != 1)
        return leat_fail(&w->status, LEAT_EARG, "%s: %lld columns are no vector", w->name, (long long)o->columns);
    if (w->standard)
        w->file = (leat_file_out){ .path = w->name, .fd = STDOUT_FILENO };
    else if (leat_file_begin(&w->file, w->path, &w->status))
        return w->status.code;
    bool known = w->npy || tab || space || leat_path_ends(w->path, ".csv");
    if (w->npy && !w->file.replaces)
        return leat_fail(&w->status, LEAT_EARG, "%s: a .npy can be written to a regular file alone", w->name);
    if (!known && w->file.replaces)
        return leat_fail(&w->status, LEAT_EARG,
                         "%s: its name says none of .npy, .csv, .tsv, .txt and .dat, the files that are written",
                         w->name);
    put_header(w, o->names);
    return w->status.code;
}

leat_table_writer *leat_table_create(const char *path, const leat_table_writer_opts *o, leat_status *s)
{
    leat_arena arena;
    leat_arena_init(&arena, o->allocator);
    leat_table_writer *w = leat_arena_alloc(&arena, sizeof *w);
    char *copy = w ? leat_arena_format(&arena, "%s", path) : NULL;
    if (!copy) {
        leat_arena_free(&arena);
        leat_fail(s, LEAT_ENOMEM, "%s: out of memory to write it", path);
        return NULL;
    }
    memset(w, 0, offsetof(leat_table_writer, buffer));
    w->arena = arena;
    w->path = copy;
    w->standard = strcmp(path, "-") == 0;
    w->name = w->standard ? "standard output" : copy;
    w->columns = o->columns;
    w->doubles = o->doubles;
    w->vector = o->vector;
    w->file.fd = -1;
    if (begin(w, o)) {
        leat_fail(s, w->status.code, "%s", w->status.message);
        leat_table_discard(w);
        return NULL;
    }
    return w;
}

static leat_code report(const leat_table_writer *w, leat_status *s)
{
    return w->status.code ? leat_fail(s, w->status.code, "%s", w->status.message) : LEAT_OK;
}

leat_code leat_table_append(leat_table_writer *w, const leat_tensor *values, leat_status *s)
{
    const leat_shape *shape = &values->shape;
    char text[LEAT_SHAPE_TEXT];
    bool fits = shape->rank == 2 ? shape->size[1] == w->columns : shape->rank == 1 && w->columns == 1;
    if (!fits)
        leat_fail(&w->status, LEAT_ESHAPE, "%s: rows of shape %s for a table of %lld columns", w->name,
                  leat_shape_print(shape, text), (long long)w->columns);
    int64_t count = w->status.code ? 0 : shape->size[0] * w->columns;
    if (w->npy && !(w->doubles && sizeof(leat_real) < sizeof(double)))
        put(w, values->data, (size_t)count * sizeof(leat_real));
    else
        for (int64_t i = 0; i < count; i++) {
            double x = (double)values->data[i];
            if (w->npy)
                put(w, &x, sizeof x);
            else
                put_text(w, x, sizeof(leat_real) < sizeof(double), (i + 1) % w->columns == 0);
        }
    w->rows += fits ? shape->size[0] : 0;
    return report(w, s);
}

leat_code leat_table_append_doubles(leat_table_writer *w, const double *values, int64_t rows, leat_status *s)
{
    if (w->npy && !w->doubles && sizeof(leat_real) < sizeof(double))
        leat_fail(&w->status, LEAT_ESTATE, "%s: doubles for a table that was not created for them", w->name);
    int64_t count = w->status.code ? 0 : rows * w->columns;
    if (w->npy)
        put(w, values, (size_t)count * sizeof *values);
    else
        for (int64_t i = 0; i < count; i++)
            put_text(w, values[i], false, (i + 1) % w->columns == 0);
    w->rows += rows;
    return report(w, s);
}

static void writer_free(leat_table_writer *w)
{
    leat_arena arena = w->arena; /* the writer lies in it */
    leat_arena_free(&arena);
}

leat_code leat_table_commit(leat_table_writer *w, leat_status *s)
{
    if (flush(w) == LEAT_OK && w->npy && leat_file_rewind(&w->file, &w->status) == LEAT_OK) {
        put_header(w, NULL); /* now with the number of rows */
        flush(w);
    }
    if (w->status.code) {
        leat_code code = report(w, s);
        leat_table_discard(w);
        return code;
    }
    leat_code code = w->standard ? LEAT_OK : leat_file_commit(&w->file, s);
    writer_free(w);
    return code;
}

void leat_table_discard(leat_table_writer *w)
{
    if (w) {
        if (!w->standard)
            leat_file_cancel(&w->file);
        writer_free(w);
    }
}

leat_code leat_table_write(const char *path, const char *const *names, const leat_tensor *values, leat_status *s)
{
    leat_table_writer_opts o = { .columns = values->shape.rank == 2 ? values->shape.size[1] : 1, .names = names };
    leat_status why = { 0 };
    leat_table_writer *w = leat_table_create(path, &o, &why);
    if (w && leat_table_append(w, values, &why) == LEAT_OK)
        return leat_table_commit(w, s);
    leat_table_discard(w);
    return leat_fail(s, why.code, "%s", why.message);
}
