/*
 * Tables as text: the first line, which may be a header, and the rows.
 *
 * Numbers that are followed by a separator or a newline, nearly all, are read in place; everything else (quotes, spaces,
 * "\r\n", the window's end, mistakes) takes the way over leat_csv_look.
 */
#include "csv.h"
#include "decimal.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { WINDOW = 256 << 10 };

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* Goes to the next row: 1, or 0 at the end of the file, or -1 after a failure. Only blank lines may follow a blank
 * line. */
static int begin_row(leat_table *t)
{
    leat_csv *c = &t->csv;

    for (;;) {
        while (leat_csv_is_space(c, *c->at))
            c->at++;
        int length = leat_csv_line_end(c, c->at);
        if (length == LEAT_CSV_NO_LINE_END)
            break;
        if (length == LEAT_CSV_CUT) {
            if (leat_csv_more(t))
                return -1;
            continue;
        }
        if (length == 0)
            return 0;
        c->blank = c->blank ? c->blank : c->line;
        c->line++;
        c->at += length;
    }
    if (c->blank) {
        leat_fail(&t->status, LEAT_EFORMAT, "%s: line %lld is blank, and rows follow", t->name, (long long)c->blank);
        return -1;
    }
    c->column = 0;
    return 1;
}

static bool is_nonfinite_word(const char *text, size_t size)
{
    static const char *const words[] = { "nan", "inf", "infinity" };
    size_t sign = size > 0 && (text[0] == '-' || text[0] == '+');

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (size - sign == strlen(words[i]) && strncasecmp(text + sign, words[i], size - sign) == 0)
            return true;
    return false;
}

static leat_code read_number(leat_table *t, const leat_csv_field *f, double *out)
{
    if (f->size == 0)
        return leat_csv_refuse(t, LEAT_EFORMAT, f, "is empty where a number is needed");
    if (leat_decimal_parse(f->text, f->size, t->single, out) != f->size) {
        bool word = is_nonfinite_word(f->text, f->size);
        return leat_csv_refuse(t, word ? LEAT_ENONFINITE : LEAT_EFORMAT, f,
                               word ? "is not a finite number" : "is not a number");
    }
    return isfinite(*out) ? LEAT_OK : leat_csv_refuse(t, LEAT_EFORMAT, f, "is too large a number");
}

/* Reads a number that a separator or a newline follows at once; false when it is not that easy. */
static inline bool read_plainly(leat_csv *c, bool single, double *out, bool *last)
{
    double x;
    size_t length = leat_decimal_parse(c->at, (size_t)(c->end - c->at), single, &x);
    const char *p = c->at + length;

    if (length == 0 || p == c->end || !isfinite(x))
        return false;
    *last = *p == '\n';
    if (!*last && (*p != c->separator || (*p == ' ' && (unsigned char)p[1] <= ' ')))
        return false;
    *out = x;
    c->at += length + 1;
    c->line += *last;
    return true;
}

static leat_code read_row(leat_table *t, double *row)
{
    leat_csv *c = &t->csv;
    int64_t line = c->line;

    for (bool last = false; !last;) {
        int64_t place = c->column < t->file_columns ? t->place[c->column] : -1;
        leat_csv_field f;

        c->column++;
        if (place >= 0 && read_plainly(c, t->single, &row[place], &last))
            continue;
        if (leat_csv_next(t, &f))
            return t->status.code;
        if (c->column > t->file_columns)
            return leat_csv_refuse(t, LEAT_EFORMAT, &f, "is one field more than the first line has");
        if (place >= 0 && read_number(t, &f, &row[place]))
            return t->status.code;
        leat_csv_move_behind(c, &f);
        last = f.last;
    }
    if (c->column < t->file_columns)
        return leat_fail(&t->status, LEAT_EFORMAT, "%s: line %lld has %lld columns, the first line has %lld", t->name,
                         (long long)line, (long long)c->column, (long long)t->file_columns);
    return LEAT_OK;
}

static int64_t csv_read(leat_table *t, int64_t rows, double *out)
{
    for (int64_t i = 0; i < rows; i++) {
        int found = begin_row(t);
        if (found < 0 || (found > 0 && read_row(t, out + i * t->columns)))
            return -1;
        if (found == 0)
            return i;
    }
    return rows;
}

static leat_code csv_skip(leat_table *t, int64_t rows)
{
    leat_csv *c = &t->csv;

    for (; rows > 0; rows--) {
        if (begin_row(t) < 1)
            return t->status.code;
        char *newline = memchr(c->at, '\n', (size_t)(c->end - c->at));
        if (newline && !memchr(c->at, '"', (size_t)(newline - c->at))) {
            c->at = newline + 1;
            c->line++;
            continue;
        }
        for (leat_csv_field f = { 0 }; !f.last; leat_csv_move_behind(c, &f)) {
            c->column++;
            if (leat_csv_next(t, &f))
                return t->status.code;
        }
    }
    return LEAT_OK;
}

/* ---- the first line ---------------------------------------------------------------------------------------------- */

/* Finds the separator in the first line; false when the window does not hold all of it. A quote opens where a field may
 * begin, whatever the separator will be. */
static bool find_separator(const leat_csv *c, char *separator)
{
    static const char order[] = ";,\t";
    bool seen[3] = { false }, quoted = false, whole = false;
    char before = ' ';

    for (const char *p = c->at; p < c->end && !whole; before = *p++) {
        const char *candidate = strchr(order, *p);
        if (quoted) {
            if (*p == '"' && p[1] == '"')
                p++;
            else
                quoted = *p != '"';
        } else if (*p == '"') {
            quoted = before == ' ' || (before && strchr(order, before));
        } else if (*p && candidate) {
            seen[candidate - order] = true;
        } else {
            whole = *p == '\n';
        }
    }
    *separator = seen[0] ? ';' : seen[1] ? ',' : seen[2] ? '\t' : ' ';
    return whole || c->ended;
}

/* Counts the columns in the first line, and tells whether it looks like a header. Moves nothing; false when the window is
 * cut off or there is something to refuse. */
static bool survey(leat_table *t, bool *header, leat_csv_field *f)
{
    leat_csv probe = t->csv;
    bool words = false, numbers = false;
    double x;

    *f = (leat_csv_field){ 0 };
    for (t->csv.column = 0; !f->last; leat_csv_move_behind(&probe, f)) {
        t->csv.column++;
        if (!leat_csv_look(&probe, f) || f->problem)
            return false;
        numbers = numbers || is_nonfinite_word(f->text, f->size) ||
                  (f->size > 0 && leat_decimal_parse(f->text, f->size, false, &x) == f->size);
        words = words || f->size > 0;
    }
    t->file_columns = t->csv.column;
    t->csv.column = 0;
    *header = words && !numbers;
    return true;
}

static char *copy_name(leat_arena *a, const leat_csv_field *f)
{
    char *name = leat_arena_alloc(a, f->size + 1), *at = name;

    for (size_t i = 0; name && i < f->size; i++) {
        *at++ = f->text[i];
        i += f->quoted && f->text[i] == '"'; /* it is doubled */
    }
    if (name)
        *at = '\0';
    return name;
}

static leat_code read_names(leat_table *t)
{
    leat_csv *c = &t->csv;
    const char **names = leat_arena_alloc(&t->arena, (size_t)t->file_columns * sizeof *names);

    for (int64_t i = 0; names && i < t->file_columns; i++) {
        leat_csv_field f;

        c->column++;
        if (leat_csv_next(t, &f))
            return t->status.code;
        const char *name = copy_name(&t->arena, &f), *text = name ? leat_utf8_text(&t->arena, name) : NULL;
        t->latin1 = t->latin1 || text != name;
        names[i] = text;
        if (!text)
            names = NULL;
        leat_csv_move_behind(c, &f);
    }
    t->file_names = names;
    return names ? LEAT_OK : leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory for the column names", t->name);
}

static leat_code begin_text(leat_table *t)
{
    leat_csv *c = &t->csv;
    const char *p;
    bool header;
    leat_csv_field f;

    do {
        if (leat_csv_more(t))
            return t->status.code;
    } while (!c->ended && c->end - c->at < 6);
    if (c->end - c->at >= 6 && memcmp(c->at, "\x93NUMPY", 6) == 0)
        return leat_fail(&t->status, LEAT_EFORMAT, "%s: it is a .npy file, and its name must say so", t->name);
    if (c->end - c->at >= 3 && memcmp(c->at, "\xEF\xBB\xBF", 3) == 0)
        c->at += 3;
    while (!find_separator(c, &c->separator))
        if (leat_csv_more(t))
            return t->status.code;
    if (c->at == c->end)
        return leat_fail(&t->status, LEAT_EFORMAT, "%s: there is nothing in it", t->name);
    for (p = c->at; *p == ' ' || *p == '\t';)
        p++;
    if (leat_csv_line_end(c, p) >= 0)
        return leat_fail(&t->status, LEAT_EFORMAT, "%s: line 1 is blank", t->name);
    while (!survey(t, &header, &f))
        if (f.problem ? leat_csv_refuse(t, LEAT_EFORMAT, &f, f.problem) : leat_csv_more(t))
            return t->status.code;
    if (t->opts.header != LEAT_HEADER_AUTO)
        header = t->opts.header == LEAT_HEADER_YES;
    return header ? read_names(t) : LEAT_OK;
}

static leat_code csv_begin(leat_table *t, const char *path)
{
    leat_csv *c = &t->csv;

    c->line = 1;
    if (path) {
        c->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
        if (c->fd < 0)
            return leat_fail(&t->status, LEAT_EIO, "%s: cannot open: %s", t->name, strerror(errno));
    }
    return leat_csv_make_room(t, path ? WINDOW : c->step) || begin_text(t) ? t->status.code : LEAT_OK;
}

static void csv_end(leat_table *t)
{
    if (t->csv.fd > STDIN_FILENO)
        close(t->csv.fd);
}

const leat_table_format leat_table_csv = { csv_begin, csv_skip, csv_read, csv_end };
