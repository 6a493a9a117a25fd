/*
 * What stands in front of a table's rows as text: a byte order mark, comments, and a line that may be a header; and what
 * they tell: the separator, the number of columns, and their names.
 */
#include "csv.h"
#include "decimal.h"
#include "json.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* A decimal comma is a point for as long as the number is read, and then a point in it makes no sense. */
bool leat_csv_is_number(const leat_table *t, const leat_csv_field *f, bool single, double *x)
{
    char *comma = t->csv.comma ? memchr(f->text, ',', f->size) : NULL;
    if (f->size == 0 || (t->csv.comma && memchr(f->text, '.', f->size)))
        return false;
    if (comma)
        *comma = '.';
    size_t length = leat_decimal_parse(f->text, f->size, single, x);
    if (comma)
        *comma = ',';
    return length == f->size;
}

bool leat_csv_is_nonfinite(const leat_csv_field *f)
{
    static const char *const words[] = { "nan", "inf", "infinity" };
    size_t sign = f->size > 0 && (f->text[0] == '-' || f->text[0] == '+');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (f->size - sign == strlen(words[i]) && strncasecmp(f->text + sign, words[i], f->size - sign) == 0)
            return true;
    return false;
}

/* ---- comments ---------------------------------------------------------------------------------------------------- */

static leat_code keep_comment(leat_table *t, leat_csv_comment *last, const char *text, size_t size)
{
    if (size + 1 > last->capacity) {
        last->capacity = 2 * size + 1;
        last->text = leat_arena_alloc(&t->arena, last->capacity);
    }
    if (!last->text)
        return leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory to read it", t->name);
    memcpy(last->text, text, size);
    last->text[size] = '\n';
    last->size = size;
    return LEAT_OK;
}

/* A newline stands at the window's end, and no zero byte, which strspn may look for. */
static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

leat_code leat_csv_pass_comments(leat_table *t, leat_csv_comment *last)
{
    leat_csv *c = &t->csv;
    for (;;) {
        const char *p = skip_blanks(c->at);
        char *newline = *p == '#' ? memchr(p, '\n', (size_t)(c->end - p)) : NULL;
        bool cut = !c->ended && (p == c->end || (*p == '#' && !newline));
        if (cut && leat_csv_more(t))
            return t->status.code;
        if (cut)
            continue;
        if (*p != '#')
            return LEAT_OK;
        const char *end = newline ? newline : c->end, *text_end = end - (end[-1] == '\r');
        if (last && keep_comment(t, last, p + 1, (size_t)(text_end - (p + 1))))
            return t->status.code;
        c->at += end - c->at + (newline ? 1 : 0);
        c->line++;
    }
}

/* ---- a line of names --------------------------------------------------------------------------------------------- */

/* What the fields of a line look like. */
typedef struct line {
    int64_t columns;
    bool words, numbers;   /* some are not empty, some are numbers */
    bool counted, indexed; /* they are 0, 1, 2, ..; behind an empty one */
    bool years;            /* they are years, each later than the one before */
} line;

/* The line that begins at from->at. Moves nothing; false when the window is cut off or there is something to refuse. */
static bool survey(leat_table *t, const leat_csv *from, line *out, leat_csv_field *f)
{
    leat_csv probe = *from;
    double x, before = 1899;
    *out = (line){ .counted = true, .years = true };
    *f = (leat_csv_field){ 0 };
    for (t->csv.column = 0; !f->last; leat_csv_move_behind(&probe, f)) {
        t->csv.column++;
        if (!leat_csv_look(&probe, f) || f->problem)
            return false;
        bool number = leat_csv_is_number(t, f, false, &x);
        int64_t i = out->columns++ - (out->indexed ? 1 : 0);
        if (i == 0 && f->size == 0 && !f->quoted && !out->indexed) {
            out->indexed = true;
            continue;
        }
        out->numbers = out->numbers || number || leat_csv_is_nonfinite(f);
        out->words = out->words || f->size > 0;
        out->counted = out->counted && number && x == (double)i;
        out->years = out->years && number && x == floor(x) && x > before && x <= 2100;
        before = number ? x : before;
    }
    t->csv.column = 0;
    out->counted = out->counted && out->columns > 1;
    out->years = out->years && out->columns > 1 && !out->indexed;
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

/* The fields of a line that was surveyed, as names; moves behind it. */
static leat_code read_names(leat_table *t, leat_csv *c, int64_t columns, const char ***out)
{
    const char **names = leat_arena_alloc(&t->arena, (size_t)columns * sizeof *names);
    for (int64_t i = 0; names && i < columns; i++) {
        leat_csv_field f;
        leat_csv_look(c, &f);
        const char *name = copy_name(&t->arena, &f), *text = name ? leat_utf8_text(&t->arena, name) : NULL;
        t->latin1 = t->latin1 || text != name;
        names[i] = text;
        if (!text)
            names = NULL;
        leat_csv_move_behind(c, &f);
    }
    *out = names;
    return names ? LEAT_OK : leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory for the column names", t->name);
}

static bool has_name(const char **names, int64_t count, const char *wanted)
{
    for (int64_t i = 0; i < count; i++)
        if (strcmp(names[i], wanted) == 0)
            return true;
    return false;
}

/* Whether a line that was surveyed has all of the names that the caller knows. */
static bool has_known_names(leat_table *t, const leat_csv *from, const line *l)
{
    const leat_table_opts *o = &t->opts;
    leat_arena_mark mark = leat_arena_save(&t->arena);
    leat_csv probe = *from;
    const char **names;
    bool all = o->known_count > 0 && o->known_count <= l->columns && !read_names(t, &probe, l->columns, &names);
    for (int64_t i = 0; all && i < o->known_count; i++)
        all = has_name(names, l->columns, o->known_names[i]);
    leat_arena_restore(&t->arena, mark);
    return all;
}

static bool is_header(leat_table *t, const leat_csv *from, const line *l)
{
    return (l->words && !l->numbers) || (l->indexed && l->counted) || has_known_names(t, from, l);
}

/* ---- what is in front of the rows -------------------------------------------------------------------------------- */

/* Finds the separator in the first line, and where the line ends; NULL when the window does not hold all of it. A quote
 * opens where a field may begin, whatever the separator will be. */
static const char *find_separator(const leat_table *t, char *separator)
{
    const leat_csv *c = &t->csv;
    const char given[] = { t->opts.delimiter, '\0' };
    const char *order = *given ? given : c->comma ? ";\t" : ";,\t", *p;
    bool seen[3] = { false }, quoted = false, whole = false;
    char before = ' ';
    for (p = c->at; p < c->end; before = *p++) {
        const char *candidate = *p ? strchr(order, *p) : NULL;
        if (quoted) {
            if (*p == '"' && p[1] == '"')
                p++;
            else
                quoted = *p != '"';
        } else if (*p == '"') {
            quoted = before == ' ' || (before && strchr(order, before));
        } else if (candidate) {
            seen[candidate - order] = true;
        } else if (*p == '\n' || (*p == '\r' && p + 1 < c->end && p[1] != '\n')) {
            whole = true;
            break;
        }
    }
    *separator = *given ? *given : ' ';
    for (int i = 0; !*given && *separator == ' ' && order[i]; i++)
        *separator = seen[i] ? order[i] : ' ';
    return whole || c->ended ? p : NULL;
}

/* Takes the names from a comment, if it has as many fields as the first row and they look like names; a comment may have
 * another separator than the rows, if these have one. */
static leat_code read_comment(leat_table *t, const leat_csv_comment *last)
{
    const char order[] = { t->csv.separator, ';', ',', '\t', ' ', '\0' };
    leat_csv_field f;
    line l;
    for (const char *s = order; *s && (s == order || t->file_columns > 1); s++) {
        leat_csv c = { .at = last->text, .end = last->text + last->size, .ended = true, .separator = *s };
        if (!survey(t, &c, &l, &f) || l.columns != t->file_columns || !is_header(t, &c, &l))
            continue;
        if (s != order && *s != t->csv.separator)
            t->note = "the names of its columns were taken from the comment in front of them";
        return read_names(t, &c, l.columns, &t->file_names);
    }
    t->csv.column = 0;
    return LEAT_OK;
}

static leat_code read_header(leat_table *t, const line *l, const leat_csv_comment *last)
{
    const leat_csv *c = &t->csv;
    if (t->opts.header == LEAT_HEADER_NO)
        return LEAT_OK;
    bool header = is_header(t, c, l);
    if (!header && last->text && read_comment(t, last))
        return t->status.code;
    if (header || (t->opts.header == LEAT_HEADER_YES && !t->file_names))
        return read_names(t, &t->csv, l->columns, &t->file_names);
    if (!t->file_names && (l->counted || l->years))
        t->note = l->years ? "its first line, of years, was taken for numbers, not for names"
                           : "its first line, 0, 1, .., was taken for numbers, not for names";
    return t->status.code;
}

/* As many as tell what the file is; of a compressed file what is in it. */
static leat_code read_first_bytes(leat_table *t)
{
    leat_csv *c = &t->csv;
    do {
        if (leat_csv_more(t))
            return t->status.code;
    } while (!c->ended && c->end - c->at < 9);
    bool compressed = !c->inflate && c->end - c->at >= 2 && memcmp(c->at, "\x1F\x8B", 2) == 0;
    return compressed && leat_csv_decompress(t) == LEAT_OK ? read_first_bytes(t) : t->status.code;
}

leat_code leat_csv_begin(leat_table *t)
{
    leat_csv *c = &t->csv;
    leat_csv_comment last = { 0 };
    leat_csv_field f;
    const char *p;
    line l;
    if (read_first_bytes(t))
        return t->status.code;
    if (c->end - c->at >= 6 && memcmp(c->at, "\x93NUMPY", 6) == 0)
        return c->fd >= 0 && !leat_path_is_text(t->name)
                   ? leat_table_become_npy(t)
                   : leat_fail(&t->status, LEAT_EFORMAT, "%s: it is a .npy file, and its name must say so", t->name);
    const char *kind = leat_file_kind(c->at, (size_t)(c->end - c->at));
    if (kind)
        return leat_fail(&t->status, LEAT_EFORMAT, "%s: %s", t->name, kind);
    if (c->end - c->at >= 3 && memcmp(c->at, "\xEF\xBB\xBF", 3) == 0)
        c->at += 3;
    c->comma = t->opts.decimal == ',';
    if (leat_csv_pass_comments(t, &last))
        return t->status.code;
    while (!(p = find_separator(t, &c->separator)))
        if (leat_csv_more(t))
            return t->status.code;
    if (c->at == c->end)
        return leat_fail(&t->status, LEAT_EFORMAT, "%s: there is nothing in it%s", t->name,
                         last.text ? " but comments" : "");
    if (p < c->end && *p == '\r')
        return leat_fail(&t->status, LEAT_EFORMAT,
                         "%s: line %lld ends in CR alone, as on old Macs: every line must end in LF or CR LF", t->name,
                         (long long)c->line);
    if (leat_csv_line_end(c, skip_blanks(c->at)) >= 0)
        return leat_fail(&t->status, LEAT_EFORMAT, "%s: line %lld is blank", t->name, (long long)c->line);
    while (!survey(t, c, &l, &f))
        if (f.problem ? leat_csv_refuse(t, LEAT_EFORMAT, &f, f.problem) : leat_csv_more(t))
            return t->status.code;
    t->file_columns = l.columns;
    return read_header(t, &l, &last);
}
