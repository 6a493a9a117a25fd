/*
 * Reading and writing tables of numbers.
 *
 * The reader goes through the file once, field by field, without changing it. How many rows there can be is bounded by
 * the size of the file, so the table is allocated before the first row is read and cut to its length at the end.
 */
#include "csv.h"
#include "text.h"

#include <math.h>
#include <string.h>

typedef struct field {
    const char *text; /* without the quotes around it; a quote inside is still doubled */
    size_t size;
} field;

typedef struct reader {
    const char *path;
    const char *at, *end;       /* of what is left of the file */
    const char *cursor, *limit; /* of what is left of the line */
    int64_t line, column;       /* from 1 */
    char separator;             /* ' ' means any run of spaces and tabs */
    leat_status *status;
} reader;

/* White space that separates nothing. */
static bool is_space(const reader *r, char c)
{
    return c == ' ' || (c == '\t' && r->separator != '\t');
}

static leat_code refuse(const reader *r, const field *f, const char *reason)
{
    char shown[APP_EXCERPT];

    return leat_fail(r->status, LEAT_EFORMAT, "%s: line %lld, column %lld: \"%s\" %s", r->path, (long long)r->line,
                     (long long)r->column, app_excerpt(f->text, f->size, shown), reason);
}

/* ---- lines and fields -------------------------------------------------------------------------------------------- */

/* Takes the next line without the spaces at its end; false at the end of the file. */
static bool next_line(reader *r)
{
    const char *newline;

    if (r->at == r->end) {
        return false;
    }
    newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    r->cursor = r->at;
    r->limit = newline ? newline : r->end;
    r->at = newline ? newline + 1 : r->end;
    if (r->limit > r->cursor && r->limit[-1] == '\r') {
        r->limit--;
    }
    while (r->limit > r->cursor && is_space(r, r->limit[-1])) {
        r->limit--;
    }
    r->line++;
    r->column = 0;
    return true;
}

static char find_separator(const reader *r)
{
    static const char order[] = { ';', ',', '\t' };

    for (size_t i = 0; i < sizeof order; i++) {
        bool quoted = false;

        for (const char *c = r->cursor; c < r->limit; c++) {
            quoted = quoted != (*c == '"');
            if (!quoted && *c == order[i]) {
                return order[i];
            }
        }
    }
    return ' ';
}

static bool at_separator(const reader *r)
{
    return r->separator == ' ' ? is_space(r, *r->cursor) : *r->cursor == r->separator;
}

static void skip_space(reader *r)
{
    while (r->cursor < r->limit && is_space(r, *r->cursor)) {
        r->cursor++;
    }
}

/* The cursor is at the opening quote. */
static leat_code take_quoted(reader *r, field *f)
{
    const char *begin = r->cursor + 1;

    for (r->cursor = begin; r->cursor < r->limit; r->cursor++) {
        if (*r->cursor == '"') {
            if (r->cursor + 1 == r->limit || r->cursor[1] != '"') {
                break;
            }
            r->cursor++;
        }
    }
    *f = (field){ begin, (size_t)(r->cursor - begin) };
    if (r->cursor == r->limit) {
        return refuse(r, f, "has no closing quote on its line");
    }
    r->cursor++;
    if (r->separator != ' ') {
        skip_space(r);
    }
    if (r->cursor < r->limit && !at_separator(r)) {
        return refuse(r, f, "is followed by more text behind its closing quote");
    }
    return LEAT_OK;
}

static void take_plain(reader *r, field *f)
{
    const char *begin = r->cursor, *end;

    while (r->cursor < r->limit && !at_separator(r)) {
        r->cursor++;
    }
    end = r->cursor;
    while (end > begin && is_space(r, end[-1])) {
        end--;
    }
    *f = (field){ begin, (size_t)(end - begin) };
}

/* The next field of the line; *more says whether another follows. */
static leat_code next_field(reader *r, field *f, bool *more)
{
    leat_code code = LEAT_OK;

    r->column++;
    skip_space(r);
    if (r->cursor < r->limit && *r->cursor == '"') {
        code = take_quoted(r, f);
    } else {
        take_plain(r, f);
    }
    *more = r->cursor < r->limit;
    r->cursor += *more;
    return code;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* Counts the fields of a line that may be a header. */
static leat_code survey(reader r, int64_t *columns, bool *header)
{
    bool more = true, words = false, numbers = false;

    while (more) {
        field f;
        double x;
        leat_code code = next_field(&r, &f, &more);

        if (code != LEAT_OK) {
            return code;
        }
        numbers = numbers || app_number_read(f.text, f.size, &x) || app_is_nonfinite_word(f.text, f.size);
        words = words || f.size > 0;
    }
    *columns = r.column;
    *header = words && !numbers;
    return LEAT_OK;
}

static leat_code read_names(reader *r, leat_arena *a, int64_t columns, const char ***out)
{
    const char **names = leat_arena_alloc(a, (size_t)columns * sizeof *names);
    bool more;

    for (int64_t i = 0; names && i < columns; i++) {
        field f;
        char *name;

        next_field(r, &f, &more);
        name = leat_arena_alloc(a, f.size + 1);
        if (!name) {
            names = NULL;
            break;
        }
        names[i] = name;
        for (size_t k = 0; k < f.size; k++) {
            *name++ = f.text[k];
            k += f.text[k] == '"'; /* a doubled quote */
        }
        *name = '\0';
    }
    *out = names;
    return names ? LEAT_OK : leat_fail(r->status, LEAT_ENOMEM, "%s: out of memory for the column names", r->path);
}

static leat_code read_number(const reader *r, const field *f, leat_real *out)
{
    double x;

    if (f->size == 0) {
        return refuse(r, f, "is empty where a number is needed");
    }
    if (!app_number_read(f->text, f->size, &x)) {
        return refuse(r, f, app_is_nonfinite_word(f->text, f->size) ? "is not a finite number" : "is not a number");
    }
    *out = (leat_real)x;
    return isfinite(*out) ? LEAT_OK : refuse(r, f, "is too large a number");
}

static leat_code read_row(reader *r, int64_t columns, leat_real *row)
{
    bool more = true;

    while (more) {
        field f;
        leat_code code = next_field(r, &f, &more);

        if (code == LEAT_OK && r->column > columns) {
            return refuse(r, &f, "is one field more than the first line has");
        }
        if (code == LEAT_OK) {
            code = read_number(r, &f, &row[r->column - 1]);
        }
        if (code != LEAT_OK) {
            return code;
        }
    }
    if (r->column < columns) {
        return leat_fail(r->status, LEAT_EFORMAT, "%s: line %lld has %lld columns, the first line has %lld", r->path,
                         (long long)r->line, (long long)r->column, (long long)columns);
    }
    return LEAT_OK;
}

/* Rows until the end of the file; only blank lines may follow a blank line. */
static leat_code read_rows(reader *r, leat_tensor *t)
{
    int64_t columns = t->shape.size[1], rows = 0, blank = 0;

    while (next_line(r)) {
        leat_code code;

        if (r->cursor == r->limit) {
            blank = blank ? blank : r->line;
            continue;
        }
        if (blank) {
            return leat_fail(r->status, LEAT_EFORMAT, "%s: line %lld is blank, and rows follow", r->path,
                             (long long)blank);
        }
        code = read_row(r, columns, t->data + rows * columns);
        if (code != LEAT_OK) {
            return code;
        }
        rows++;
    }
    t->shape.size[0] = rows;
    return LEAT_OK;
}

static leat_code read_table(reader *r, leat_arena *a, app_csv *out)
{
    reader begin = *r;
    int64_t columns, most;
    bool header;
    leat_code code;

    if (!next_line(r) || r->cursor == r->limit) {
        return leat_fail(r->status, LEAT_EFORMAT, "%s: %s", r->path,
                         r->at == r->end ? "there is nothing in it" : "line 1 is blank");
    }
    r->separator = find_separator(r);
    code = survey(*r, &columns, &header);
    if (code == LEAT_OK && header) {
        code = read_names(r, a, columns, &out->names);
    }
    if (code != LEAT_OK) {
        return code;
    }
    if (!header) {
        char separator = r->separator;

        *r = begin;
        r->separator = separator;
    }
    /* a row takes two bytes for each column at least; only the last may end without a newline */
    most = (int64_t)(r->end - r->at) / (2 * columns) + 1;
    out->values = leat_tensor_new(a, LEAT_SHAPE(most, columns), r->status);
    return out->values.data ? read_rows(r, &out->values) : LEAT_ENOMEM;
}

leat_code app_csv_read(const char *path, leat_arena *a, app_csv *out, leat_status *s)
{
    leat_arena file;
    char *bytes;
    size_t size;
    leat_code code;

    *out = (app_csv){ 0 };
    leat_arena_init(&file, a->allocator);
    code = leat_file_read(path, &file, &bytes, &size, s);
    if (code == LEAT_OK) {
        size_t mark = size >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
        reader r = { .path = path, .at = bytes + mark, .end = bytes + size, .status = s };

        code = read_table(&r, a, out);
    }
    leat_arena_free(&file);
    return code;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void write_name(app_text *t, const char *name)
{
    if (!strpbrk(name, ",;\t\"\r\n ")) {
        app_text_add(t, name, strlen(name));
        return;
    }
    app_text_add(t, "\"", 1);
    for (; *name; name++) {
        app_text_add(t, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
    }
    app_text_add(t, "\"", 1);
}

static void write_number(app_text *t, leat_real x)
{
    const int most = sizeof(leat_real) == sizeof(double) ? 17 : 9;
    size_t before = t->size;

    for (int digits = most - 3; digits <= most; digits++) {
        double back;

        t->size = before;
        app_text_format(t, "%.*g", digits, (double)x);
        if (t->failed || !app_number_read(t->bytes + before, t->size - before, &back) || (leat_real)back == x) {
            return;
        }
    }
}

leat_code app_csv_write(const char *path, const char *const *names, const leat_tensor *values, leat_status *s)
{
    int64_t rows = values->shape.size[0], columns = values->shape.size[1];
    leat_arena scratch;
    app_text t;
    leat_code code;

    leat_arena_init(&scratch, NULL);
    t = app_text_new(&scratch);
    for (int64_t j = 0; names && j < columns; j++) {
        write_name(&t, names[j]);
        app_text_add(&t, j + 1 < columns ? "," : "\n", 1);
    }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            write_number(&t, values->data[i * columns + j]);
            app_text_add(&t, j + 1 < columns ? "," : "\n", 1);
        }
    }
    code = t.failed ? leat_fail(s, LEAT_ENOMEM, "%s: out of memory for its text", path)
                    : leat_file_write(path, t.bytes, t.size, s);
    leat_arena_free(&scratch);
    return code;
}
