/* Fields of a table as text, and the window that moves over it. */
#ifndef LEAT_TENSOR_CSV_H
#define LEAT_TENSOR_CSV_H

#include "table.h"

typedef struct leat_csv_field {
    const char *text; /* without the quotes around it; a quote inside is still doubled */
    size_t size;
    const char *next; /* behind it and its separator or line end */
    bool quoted, last;
    int newlines;        /* inside of its quotes */
    const char *problem; /* or NULL */
} leat_csv_field;

/* White space that separates nothing. */
static inline bool leat_csv_is_space(const leat_csv *c, char x)
{
    return x == ' ' || (x == '\t' && c->separator != '\t');
}

/* Fails with file, line, column, its name, the text and the reason. */
leat_code leat_csv_refuse(leat_table *t, leat_code code, const leat_csv_field *f, const char *reason);

/* A window of that many bytes, with what is left of the one before; and the same window further on, or a larger one when
 * nothing in it is used up. */
leat_code leat_csv_make_room(leat_table *t, size_t capacity);
leat_code leat_csv_more(leat_table *t);

/* From what is not used yet on, the file is one that gzip compressed. */
leat_code leat_csv_decompress(leat_table *t);

/* The length of the line end at p, 0 for the end of the file; or that there is none, or that the window ends too early to
 * tell. */
enum { LEAT_CSV_NO_LINE_END = -2, LEAT_CSV_CUT = -1 };
int leat_csv_line_end(const leat_csv *c, const char *p);

/* The field at c->at; false when the window is cut off. */
bool leat_csv_look(const leat_csv *c, leat_csv_field *f);

/* The same with all of it in the window, and refused if there is a problem with it. */
leat_code leat_csv_next(leat_table *t, leat_csv_field *f);

/* Whether all of a field is a number, with the table's decimal mark; and whether it is nan or inf. */
bool leat_csv_is_number(const leat_table *t, const leat_csv_field *f, bool single, double *x);
bool leat_csv_is_nonfinite(const leat_csv_field *f);

/* Passes over lines that begin with '#'. `last`, unless NULL, gets the last of them, without the '#'. */
typedef struct leat_csv_comment {
    char *text; /* NULL: there was none; a newline stands behind it */
    size_t size, capacity;
} leat_csv_comment;
leat_code leat_csv_pass_comments(leat_table *t, leat_csv_comment *last);

/* What stands in front of the rows: byte order mark, comments, header; finds the separator and the number of columns. */
leat_code leat_csv_begin(leat_table *t);

static inline void leat_csv_move_behind(leat_csv *c, const leat_csv_field *f)
{
    c->at += f->next - c->at;
    c->line += f->newlines + f->last;
}

#endif
