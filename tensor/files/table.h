/* What the reader of tables and its two formats share, and an entry that works on bytes in memory for the tests. */
#ifndef LEAT_TENSOR_TABLE_H
#define LEAT_TENSOR_TABLE_H

#include "files.h"
#include "inflate.h"

/* Where a text stands: a window of the file that moves on and keeps the field that is being read. */
typedef struct leat_csv {
    int fd;                      /* or -1; in front of what it gives stand bytes in memory: */
    const char *memory;          /* what is left of them, */
    size_t memory_size, step;    /* and how many come at a time */
    leat_inflate *inflate;       /* what they are compressed with; NULL: with nothing */
    char *window, *at, *end;     /* [at, end) is not used yet; a newline stands at `end` */
    size_t capacity;             /* of the window, without that newline */
    bool ended;                  /* nothing follows behind `end` */
    char separator;              /* ' ' means any run of spaces and tabs */
    bool comma;                  /* stands for the decimal point */
    int64_t line, column, blank; /* from 1; the first of the blank lines just passed over, or 0 */
} leat_csv;

typedef struct leat_npy {
    int fd;
    uint64_t begin; /* of the numbers in the file */
    leat_npy_header header;
    int64_t rows, row; /* all; the next one */
    char *raw;         /* of some rows as they stand in the file, and their numbers */
    double *numbers;
    int64_t raw_rows; /* how many these hold */
} leat_npy;

struct leat_table {
    leat_arena arena;
    const char *name; /* of the file, for messages */
    leat_status status;
    leat_table_opts opts;
    int64_t file_rows; /* -1: not known */
    int64_t file_columns, columns;
    const char **file_names, **names; /* of all columns, of the chosen ones */
    const char *note;                 /* leat_table_note */
    int64_t *chosen;                  /* for each that is read, its column in the file */
    int64_t *place;                   /* for each in the file, where it is read to, or -1 */
    bool latin1;                      /* a name was not UTF-8 */
    bool skipped;                     /* the rows before first_row */
    int64_t row;                      /* the next one */
    bool single;                      /* numbers are rounded to leat_real, and must not be beyond it */
    double *block;
    int64_t block_rows;
    leat_real *reals; /* the block for leat_table_next */
    int64_t reals_rows;
    const struct leat_table_format *format;
    union {
        leat_csv csv;
        leat_npy npy;
    };
};

/* begin: opens, finds out file_rows, file_columns and file_names. skip: rows that nobody wants. read: `rows` at most
 * into out, [rows, columns]; how many there were, -1 after a failure, whose reason is then in the table's status. */
typedef struct leat_table_format {
    leat_code (*begin)(leat_table *t, const char *path);
    leat_code (*skip)(leat_table *t, int64_t rows);
    int64_t (*read)(leat_table *t, int64_t rows, double *out);
    void (*end)(leat_table *t);
} leat_table_format;

extern const leat_table_format leat_table_csv, leat_table_npy;

/* Which columns: sets names, columns, chosen and place. */
leat_code leat_table_choose(leat_table *t);
leat_code leat_table_choose_places(leat_table *t, const int64_t *places, int64_t count);

/* leat_table_open for a text in memory that arrives `step` bytes at a time, in a window as small as that at first. */
leat_table *leat_table_open_text(const char *bytes, size_t size, size_t step, const leat_table_opts *opts,
                                 leat_status *s);

/* Goes over from text to the .npy that came instead, from a pipe or compressed. */
leat_code leat_table_become_npy(leat_table *t);

/* Whether a path is that of a table, by its name; and of one as text that is not compressed. */
bool leat_path_is_table(const char *path);
bool leat_path_is_text(const char *path);

/* What a file is that no table is read from, by its first bytes (nine tell all): a phrase, "it is ..."; or NULL. */
const char *leat_file_kind(const char *bytes, size_t size);

/* Whether a path ends so, in any case of letters. */
bool leat_path_ends(const char *path, const char *ending);

#endif
