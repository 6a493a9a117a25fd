/* Reading tables block by block, and whole. What is between bytes and numbers stands in csv.c and table_npy.c. */
#include "table.h"

#include <ctype.h>
#include <string.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_NUMBERS = 64 << 10, MOST_PARTS = 48, BLOCK_ROWS = 256 };

bool leat_path_ends(const char *path, const char *ending)
{
    size_t size = strlen(path), tail = strlen(ending);
    return size > tail && strcasecmp(path + size - tail, ending) == 0;
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static leat_code check_options(leat_table *t)
{
    const leat_table_opts *o = &t->opts;
    if (o->first_row < 0 || o->last_row < 0 || (o->last_row > 0 && o->last_row <= o->first_row))
        return leat_fail(&t->status, LEAT_EARG, "%s: there are no rows from %lld to before %lld", t->name,
                         (long long)o->first_row, (long long)o->last_row);
    if (o->decimal && o->decimal != '.' && o->decimal != ',')
        return leat_fail(&t->status, LEAT_EARG, "%s: a decimal mark is a point or a comma", t->name);
    if (o->delimiter &&
        (o->delimiter == o->decimal || isalnum((unsigned char)o->delimiter) || strchr("\"#+-.\r\n", o->delimiter)))
        return leat_fail(&t->status, LEAT_EARG, "%s: fields cannot stand between '%c'", t->name,
                         isprint((unsigned char)o->delimiter) ? o->delimiter : '?');
    return LEAT_OK;
}

bool leat_path_is_text(const char *path)
{
    return leat_path_ends(path, ".csv") || leat_path_ends(path, ".tsv") || leat_path_ends(path, ".txt") ||
           leat_path_ends(path, ".dat");
}

bool leat_path_is_table(const char *path)
{
    return leat_path_is_text(path) || leat_path_ends(path, ".npy") || leat_path_ends(path, ".gz");
}

static const leat_table_format *format_of(const char *path)
{
    struct stat st;
    if (leat_path_ends(path, ".npy"))
        return &leat_table_npy;
    if (leat_path_is_table(path) || strcmp(path, "-") == 0 ||
        (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return &leat_table_csv;
    return NULL;
}

static leat_table *table_new(const char *name, const leat_table_opts *opts, leat_status *s)
{
    leat_arena arena;
    leat_arena_init(&arena, opts ? opts->allocator : NULL);
    leat_table *t = leat_arena_zalloc(&arena, sizeof *t);
    char *copy = t ? leat_arena_format(&arena, "%s", name) : NULL;
    if (!copy) {
        leat_arena_free(&arena);
        leat_fail(s, LEAT_ENOMEM, "%s: out of memory for a table", name);
        return NULL;
    }
    t->arena = arena;
    t->name = copy;
    t->file_rows = -1;
    if (opts)
        t->opts = *opts;
    return t;
}

static leat_code report(const leat_table *t, leat_status *s)
{
    return t->status.code ? leat_fail(s, t->status.code, "%s", t->status.message) : LEAT_OK;
}

static leat_table *begin(leat_table *t, const char *path, leat_status *s)
{
    if (check_options(t) || t->format->begin(t, path) || leat_table_choose(t)) {
        report(t, s);
        leat_table_close(t);
        return NULL;
    }
    return t;
}

/* A file that is of a known kind, a model perhaps, is called by that and not by its name. */
static void refuse_name(const char *path, leat_status *s)
{
    char bytes[16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, bytes, sizeof bytes) : -1;
    const char *kind = n > 0 ? leat_file_kind(bytes, (size_t)n) : NULL;
    if (fd >= 0)
        close(fd);
    leat_fail(s, kind ? LEAT_EFORMAT : LEAT_EARG, "%s: %s", path,
              kind ? kind : "its name says none of .npy, .csv, .tsv, .txt, .dat and .gz, the files that are read");
}

leat_table *leat_table_open(const char *path, const leat_table_opts *opts, leat_status *s)
{
    const leat_table_format *format = format_of(path);
    if (!format) {
        refuse_name(path, s);
        return NULL;
    }
    leat_table *t = table_new(strcmp(path, "-") == 0 ? "standard input" : path, opts, s);
    if (!t)
        return NULL;
    t->format = format;
    if (format == &leat_table_npy)
        t->npy.fd = -1;
    else
        t->csv.fd = -1;
    return begin(t, path, s);
}

leat_table *leat_table_open_text(const char *bytes, size_t size, size_t step, const leat_table_opts *opts,
                                 leat_status *s)
{
    leat_table *t = table_new("text", opts, s);
    if (!t)
        return NULL;
    t->format = &leat_table_csv;
    t->csv = (leat_csv){ .fd = -1, .memory = bytes, .memory_size = size, .step = step };
    return begin(t, NULL, s);
}

void leat_table_close(leat_table *t)
{
    if (t) {
        leat_arena arena = t->arena; /* the table lies in it */
        t->format->end(t);
        leat_arena_free(&arena);
    }
}

static bool may_select(leat_table *t)
{
    if (t->skipped)
        leat_fail(&t->status, LEAT_ESTATE, "%s: columns are chosen before the first row is read", t->name);
    return !t->status.code;
}

leat_code leat_table_select(leat_table *t, const char *columns, leat_status *s)
{
    t->opts.columns = columns;
    if (may_select(t))
        leat_table_choose(t);
    return report(t, s);
}

leat_code leat_table_select_places(leat_table *t, const int64_t *places, int64_t count, leat_status *s)
{
    if (may_select(t))
        leat_table_choose_places(t, places, count);
    return report(t, s);
}

const char *leat_table_note(const leat_table *t)
{
    return t->note;
}

int64_t leat_table_columns(const leat_table *t)
{
    return t->columns;
}

int64_t leat_table_place(const leat_table *t, int64_t column)
{
    return t->chosen[column] + 1;
}

const char *const *leat_table_names(const leat_table *t)
{
    return t->names;
}

bool leat_table_latin1(const leat_table *t)
{
    return t->latin1;
}

int64_t leat_table_find(const leat_table *t, const char *name)
{
    for (int64_t i = 0; t->names && i < t->columns; i++)
        if (strcmp(t->names[i], name) == 0)
            return i;
    return -1;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* At most `rows` of the rows that are wanted, into `out`; -1 after a failure. */
static int64_t read_rows(leat_table *t, int64_t rows, double *out)
{
    if (!t->skipped && !t->status.code) {
        t->skipped = true;
        t->row = t->opts.first_row;
        t->format->skip(t, t->opts.first_row);
    }
    if (t->status.code)
        return -1;
    if (t->opts.last_row > 0 && rows > t->opts.last_row - t->row)
        rows = t->opts.last_row - t->row;
    int64_t count = rows > 0 ? t->format->read(t, rows, out) : 0;
    if (count > 0)
        t->row += count;
    return count;
}

/* Room for a block of so many rows. */
static double *make_block(leat_table *t, int64_t rows)
{
    if (rows > t->block_rows) {
        t->block = leat_arena_alloc(&t->arena, (size_t)rows * (size_t)t->columns * sizeof *t->block);
        t->block_rows = rows;
    }
    if (!t->block)
        leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory for a block of its rows", t->name);
    return t->block;
}

/* The same as leat_real, which no number may be beyond. */
static int64_t read_reals(leat_table *t, int64_t rows, leat_real *out)
{
    int64_t done = 0, count;
    t->single = sizeof *out < sizeof(double);
    do {
        int64_t most = rows - done < BLOCK_ROWS ? rows - done : BLOCK_ROWS;
        const double *block = make_block(t, most);
        count = block ? read_rows(t, most, t->block) : -1;
        for (int64_t i = 0; i < count * t->columns; i++)
            out[done * t->columns + i] = (leat_real)block[i];
        done += count;
        if (count < most)
            break;
    } while (done < rows);
    t->single = false;
    return count < 0 ? -1 : done;
}

static bool can_read(leat_table *t, int64_t most_rows)
{
    if (most_rows < 1)
        leat_fail(&t->status, LEAT_EARG, "%s: a block needs at least 1 row, not %lld", t->name, (long long)most_rows);
    else if ((size_t)most_rows > PTRDIFF_MAX / sizeof(double) / (size_t)t->columns)
        leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory for blocks of %lld rows", t->name, (long long)most_rows);
    return !t->status.code;
}

int64_t leat_table_next_doubles(leat_table *t, int64_t most_rows, leat_doubles *block, leat_status *s)
{
    *block = (leat_doubles){ 0 };
    int64_t count = can_read(t, most_rows) && make_block(t, most_rows) ? read_rows(t, most_rows, t->block) : -1;
    if (count >= 0)
        *block = (leat_doubles){ t->block, count, t->columns };
    report(t, s);
    return count;
}

int64_t leat_table_next(leat_table *t, int64_t most_rows, leat_tensor *block, leat_status *s)
{
    *block = (leat_tensor){ 0 };
    if (can_read(t, most_rows) && most_rows > t->reals_rows) {
        t->reals = leat_tensor_new(&t->arena, LEAT_SHAPE(most_rows, t->columns), &t->status).data;
        t->reals_rows = most_rows;
    }
    int64_t count = t->status.code ? -1 : read_reals(t, most_rows, t->reals);
    if (count >= 0)
        *block = (leat_tensor){ t->reals, LEAT_SHAPE(count, t->columns) };
    report(t, s);
    return count;
}

/* ---- whole tables ------------------------------------------------------------------------------------------------ */

/* Rows as they come, in parts of doubling size. */
typedef struct parts {
    leat_tensor part[MOST_PARTS];
    int count;
    int64_t rows;
} parts;

static leat_code read_parts(leat_table *t, leat_arena *scratch, parts *p)
{
    int64_t room = FIRST_NUMBERS / t->columns + 1;
    for (*p = (parts){ 0 }; p->count < MOST_PARTS; room *= 2) {
        leat_tensor *part = &p->part[p->count];
        *part = leat_tensor_new(scratch, LEAT_SHAPE(room, t->columns), &t->status);
        int64_t count = part->data ? read_reals(t, room, part->data) : -1;
        if (count < 0)
            return t->status.code;
        part->shape.size[0] = count;
        p->rows += count;
        p->count++;
        if (count < room)
            return LEAT_OK;
    }
    return leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory for its rows", t->name);
}

static leat_code read_unknown(leat_table *t, leat_arena *a, leat_tensor *out)
{
    leat_arena scratch;
    parts p;
    leat_arena_init(&scratch, a->allocator);
    if (read_parts(t, &scratch, &p) == LEAT_OK)
        *out = leat_tensor_new(a, LEAT_SHAPE(p.rows, t->columns), &t->status);
    leat_real *at = out->data;
    for (int i = 0; at && i < p.count; i++) {
        int64_t count = leat_shape_count(&p.part[i].shape);
        memcpy(at, p.part[i].data, (size_t)count * sizeof *at);
        at += count;
    }
    leat_arena_free(&scratch);
    return t->status.code;
}

static leat_code read_known(leat_table *t, leat_arena *a, leat_tensor *out)
{
    int64_t end = t->opts.last_row > 0 && t->opts.last_row < t->file_rows ? t->opts.last_row : t->file_rows;
    int64_t rows = end > t->opts.first_row ? end - t->opts.first_row : 0;
    *out = leat_tensor_new(a, LEAT_SHAPE(rows, t->columns), &t->status);
    if (out->data && rows > 0)
        read_reals(t, rows, out->data);
    return t->status.code;
}

static leat_code copy_names(leat_table *t, leat_arena *a, const char *const **out)
{
    *out = NULL;
    if (!t->names)
        return LEAT_OK;
    const char **names = leat_arena_alloc(a, (size_t)t->columns * sizeof *names);
    for (int64_t i = 0; names && i < t->columns; i++) {
        names[i] = leat_arena_format(a, "%s", t->names[i]);
        if (!names[i])
            names = NULL;
    }
    *out = names;
    return names ? LEAT_OK : leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory for the column names", t->name);
}

leat_code leat_table_read(const char *path, const leat_table_opts *opts, leat_arena *a, leat_tensor *out,
                          const char *const **names, leat_status *s)
{
    leat_arena_mark mark = leat_arena_save(a);
    leat_status why = { 0 };
    const char *const *unused;
    *out = (leat_tensor){ 0 };
    if (!names)
        names = &unused;
    *names = NULL;
    leat_table *t = leat_table_open(path, opts, &why);
    if (t && (t->file_rows >= 0 ? read_known(t, a, out) : read_unknown(t, a, out)) == LEAT_OK)
        copy_names(t, a, names);
    if (t)
        report(t, &why);
    leat_table_close(t);
    if (why.code == LEAT_OK)
        return LEAT_OK;
    *out = (leat_tensor){ 0 };
    *names = NULL;
    leat_arena_restore(a, mark);
    return leat_fail(s, why.code, "%s", why.message);
}
