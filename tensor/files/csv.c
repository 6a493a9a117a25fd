/*
 * Fields of a table as text.
 *
 * A window moves over the file, field by field. What is not used yet is [at, end), and a newline stands at `end`, so
 * that most loops need no other bound; a field that runs into it is looked at again when more of the file is there.
 */
#include "csv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { LARGEST_FIELD = 8 << 20 };

/* ---- messages ---------------------------------------------------------------------------------------------------- */

/* Printable ASCII, cut to a readable length. */
static const char *excerpt(const char *text, size_t size, char out[48])
{
    size_t shown = size < 48 ? size : 44;
    for (size_t i = 0; i < shown; i++)
        out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    memcpy(out + shown, size > shown ? "..." : "", size > shown ? 4 : 1);
    return out;
}

leat_code leat_csv_refuse(leat_table *t, leat_code code, const leat_csv_field *f, const char *reason)
{
    const leat_csv *c = &t->csv;
    const char *name = t->file_names && c->column <= t->file_columns ? t->file_names[c->column - 1] : "";
    char shown[48], name_shown[LEAT_NAME_TEXT];
    return leat_fail(&t->status, code, "%s: line %lld, column %lld%s%s%s: \"%s\" %s", t->name, (long long)c->line,
                     (long long)c->column, *name ? " (" : "", leat_name_print(name, name_shown), *name ? ")" : "",
                     excerpt(f->text, f->size, shown), reason);
}

/* ---- the window -------------------------------------------------------------------------------------------------- */

leat_code leat_csv_make_room(leat_table *t, size_t capacity)
{
    leat_csv *c = &t->csv;
    size_t kept = c->window ? (size_t)(c->end - c->at) : 0;
    if (capacity > LARGEST_FIELD)
        return leat_fail(&t->status, LEAT_EFORMAT,
                         "%s: line %lld has a text of over %d MiB; is a closing quote missing?", t->name,
                         (long long)c->line, LARGEST_FIELD >> 20);
    char *window = leat_arena_alloc(&t->arena, capacity + 1);
    if (!window)
        return leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory to read it", t->name);
    if (kept > 0)
        memcpy(window, c->at, kept);
    c->window = c->at = window;
    c->end = window + kept;
    c->capacity = capacity;
    return LEAT_OK;
}

/* The file's bytes as they are. */
static ssize_t read_raw(void *csv, void *out, size_t room)
{
    leat_csv *c = csv;
    if (c->fd >= 0 && c->memory_size == 0) {
        ssize_t n;
        do
            n = read(c->fd, out, room);
        while (n < 0 && errno == EINTR);
        return n;
    }
    size_t n = c->step < room ? c->step : room;
    if (n > c->memory_size)
        n = c->memory_size;
    if (n > 0) {
        memcpy(out, c->memory, n);
        c->memory += n;
        c->memory_size -= n;
    }
    return (ssize_t)n;
}

leat_code leat_csv_decompress(leat_table *t)
{
    leat_csv *c = &t->csv;
    size_t size = (size_t)(c->end - c->at);
    char *held = leat_arena_alloc(&t->arena, size + c->memory_size);
    c->inflate = leat_arena_alloc(&t->arena, sizeof *c->inflate);
    if (!held || !c->inflate)
        return leat_fail(&t->status, LEAT_ENOMEM, "%s: out of memory to decompress it", t->name);
    memcpy(held, c->at, size);
    if (c->memory_size > 0)
        memcpy(held + size, c->memory, c->memory_size);
    c->memory = held;
    c->memory_size += size;
    c->step = c->fd >= 0 ? c->capacity : c->step;
    c->end = c->at = c->window;
    leat_inflate_begin(c->inflate, LEAT_INFLATE_GZIP, read_raw, c);
    return LEAT_OK;
}

/* Moves what is left to the front and reads on. */
leat_code leat_csv_more(leat_table *t)
{
    leat_csv *c = &t->csv;
    size_t kept = (size_t)(c->end - c->at);
    if (kept == c->capacity && leat_csv_make_room(t, 2 * c->capacity))
        return t->status.code;
    if (c->at > c->window && kept > 0)
        memmove(c->window, c->at, kept);
    c->at = c->window;
    c->end = c->window + kept;
    ssize_t n = (c->inflate ? leat_inflate_read(c->inflate, c->end, c->capacity - kept)
                            : read_raw(c, c->end, c->capacity - kept));
    if (n < 0 && c->inflate && c->inflate->problem)
        return leat_fail(&t->status, LEAT_EFORMAT, "%s: what gzip compressed %s", t->name, c->inflate->problem);
    if (n < 0)
        return leat_fail(&t->status, LEAT_EIO, "%s: cannot read: %s", t->name, strerror(errno));
    c->ended = n == 0;
    c->end += n;
    *c->end = '\n';
    return LEAT_OK;
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* The length of the line end at p, 0 for the end of the file; LEAT_CSV_CUT when the window ends too early to tell. */
int leat_csv_line_end(const leat_csv *c, const char *p)
{
    if (p == c->end)
        return c->ended ? 0 : LEAT_CSV_CUT;
    if (*p == '\n')
        return 1;
    if (*p != '\r')
        return LEAT_CSV_NO_LINE_END;
    if (p + 1 == c->end)
        return c->ended ? 1 : LEAT_CSV_CUT;
    return p[1] == '\n' ? 2 : LEAT_CSV_NO_LINE_END;
}

/* Ends a field at p, with a separator or a line end; false when the window is cut off. */
static bool finish(const leat_csv *c, const char *p, leat_csv_field *f)
{
    const char *behind = p;
    while (leat_csv_is_space(c, *behind))
        behind++;
    if (c->separator == ' ' || f->quoted)
        p = behind;
    int length = leat_csv_line_end(c, p);
    if (length == LEAT_CSV_CUT)
        return false;
    f->last = length >= 0;
    if (f->last) {
        f->next = p + length;
    } else if (c->separator == ' ') {
        f->next = p;
        f->problem =
            f->quoted && p == f->text + f->size + 1 ? "is followed by more text behind its closing quote" : NULL;
    } else {
        f->next = p + 1;
        f->problem = *p != c->separator ? "is followed by more text behind its closing quote" : NULL;
    }
    return true;
}

static bool look_quoted(const leat_csv *c, const char *begin, leat_csv_field *f)
{
    const char *p = begin;
    for (;; p += 2) {
        const char *quote = memchr(p, '"', (size_t)(c->end - p));
        if (!quote && c->ended) {
            const char *newline = memchr(begin, '\n', (size_t)(c->end - begin));
            size_t size = (size_t)((newline ? newline : c->end) - begin);
            *f = (leat_csv_field){ .text = begin, .size = size, .problem = "has no closing quote" };
            return true;
        }
        if (!quote)
            return false;
        p = quote;
        if (quote[1] != '"')
            break;
    }
    *f = (leat_csv_field){ .text = begin, .size = (size_t)(p - begin), .quoted = true };
    for (const char *q = begin; (q = memchr(q, '\n', (size_t)(p - q))); q++)
        f->newlines++;
    return finish(c, p + 1, f);
}

static bool look_plain(const leat_csv *c, const char *begin, leat_csv_field *f)
{
    const char *p = begin, *end;
    if (c->separator == ' ')
        while (*p != '\n' && *p != ' ' && *p != '\t')
            p++;
    else
        while (*p != '\n' && *p != c->separator)
            p++;
    end = p;
    if (*p == '\n' && end > begin && end[-1] == '\r')
        end--;
    while (end > begin && leat_csv_is_space(c, end[-1]))
        end--;
    *f = (leat_csv_field){ .text = begin, .size = (size_t)(end - begin) };
    return finish(c, p, f);
}

/* The field at c->at; false when the window is cut off. */
bool leat_csv_look(const leat_csv *c, leat_csv_field *f)
{
    const char *p = c->at;
    while (leat_csv_is_space(c, *p))
        p++;
    return *p == '"' ? look_quoted(c, p + 1, f) : look_plain(c, p, f);
}

/* The next field, with all of it in the window. */
leat_code leat_csv_next(leat_table *t, leat_csv_field *f)
{
    while (!leat_csv_look(&t->csv, f))
        if (leat_csv_more(t))
            return t->status.code;
    return f->problem ? leat_csv_refuse(t, LEAT_EFORMAT, f, f->problem) : LEAT_OK;
}
