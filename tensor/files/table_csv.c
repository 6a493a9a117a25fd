/*
 * Tables as text: their rows. What stands in front of them is read in csv_first_line.c.
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
        if (length == LEAT_CSV_NO_LINE_END && *c->at == '#' && t->place[0] >= 0) { /* no number begins so */
            if (leat_csv_pass_comments(t, NULL))
                return -1;
            continue;
        }
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

static leat_code read_number(leat_table *t, const leat_csv_field *f, double *out)
{
    if (f->size == 0)
        return leat_csv_refuse(t, LEAT_EFORMAT, f, "is empty where a number is needed");
    if (!leat_csv_is_number(t, f, t->single, out)) {
        bool word = leat_csv_is_nonfinite(f);
        return leat_csv_refuse(t, word ? LEAT_ENONFINITE : LEAT_EFORMAT, f,
                               word ? "is not a finite number"
                               : !t->csv.comma && memchr(f->text, ',', f->size)
                                   ? "is not a number, or one with a decimal comma"
                                   : "is not a number");
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
        if (place >= 0 && !c->comma && read_plainly(c, t->single, &row[place], &last))
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

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static leat_code csv_begin(leat_table *t, const char *path)
{
    leat_csv *c = &t->csv;
    c->line = 1;
    if (path) {
        c->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
        if (c->fd < 0)
            return leat_fail(&t->status, LEAT_EIO, "%s: cannot open: %s", t->name, strerror(errno));
    }
    return leat_csv_make_room(t, path ? WINDOW : c->step) || leat_csv_begin(t) ? t->status.code : LEAT_OK;
}

static void csv_end(leat_table *t)
{
    if (t->csv.fd > STDIN_FILENO)
        close(t->csv.fd);
}

const leat_table_format leat_table_csv = { csv_begin, csv_skip, csv_read, csv_end };
