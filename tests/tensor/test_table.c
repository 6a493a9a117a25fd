/* Tables of numbers in both formats: columns, rows, blocks, refusals. */
#include "file_helpers.h"
#include "../../tensor/files/table.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sys/stat.h>

static leat_arena arena;

static void set_up(void)
{
    make_folder();
    leat_arena_init(&arena, NULL);
}

static void tear_down(void)
{
    leat_arena_free(&arena);
    remove_folder();
}

TestSuite(table, .init = set_up, .fini = tear_down);

/* The number in row i, column j of the files below. */
static double number(int64_t i, int64_t j)
{
    return (double)(i * 8 + j) / 4 - 3;
}

enum { ROWS = 1000, COLUMNS = 5 };

static const char *const names[COLUMNS] = { "a", "b", "7", "c, d", "a" };

/* The same table in every format that is read. */
static const char *const files[] = { "x.csv", "x.tsv", "x.txt", "x.dat", "x.npy", "fortran.npy", "big.npy" };

enum { FILES = sizeof files / sizeof *files, NAMED = 4 /* of them have a header */ };

static void write_npy(const char *path, const char *descr, const char *order, bool fortran, bool big)
{
    static char file[128 + 8 * ROWS * COLUMNS];
    memset(file, ' ', 128);
    memcpy(file, "\x93NUMPY\1\0\x76\0", 10);
    int n = sprintf(file + 10, "{'descr': '%s', 'fortran_order': %s, 'shape': (%d, %d)}", descr, order, ROWS, COLUMNS);
    file[10 + n] = ' ';
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            double x = number(i, j);
            uint64_t bits;
            memcpy(&bits, &x, sizeof bits);
            bits = big ? __builtin_bswap64(bits) : bits;
            memcpy(file + 128 + 8 * (fortran ? j * ROWS + i : i * COLUMNS + j), &bits, sizeof bits);
        }
    spill(path, file, sizeof file);
}

static void write_files(void)
{
    static leat_real values[ROWS * COLUMNS];
    leat_tensor t = { values, LEAT_SHAPE(ROWS, COLUMNS) };

    for (int i = 0; i < ROWS * COLUMNS; i++)
        values[i] = (leat_real)number(i / COLUMNS, i % COLUMNS);
    for (int f = 0; f <= NAMED; f++) {
        leat_status s = { 0 };
        cr_assert_eq(leat_table_write(in_folder(files[f]), names, &t, &s), LEAT_OK, "%s", s.message);
    }
    write_npy(in_folder("fortran.npy"), "<f8", "True", true, false);
    write_npy(in_folder("big.npy"), ">f8", "False", false, true);
}

/* Reads `rows` at a time and compares with what must come. */
static void check_blocks(const char *path, const leat_table_opts *o, const int *columns, int count, int64_t first,
                         int64_t last, int64_t rows)
{
    leat_status s = { 0 };
    leat_tensor block;
    const leat_table_opts all = { .header = LEAT_HEADER_YES }; /* "7" is a number */
    leat_table *t = leat_table_open(path, o ? o : &all, &s);
    int64_t at = first, got;

    cr_assert(t != NULL, "%s", s.message);
    cr_assert_eq(leat_table_columns(t), count);
    while ((got = leat_table_next(t, rows, &block, &s)) > 0) {
        cr_assert(got == rows || at + got == last, "%s: %lld rows at %lld", path, (long long)got, (long long)at);
        cr_assert(block.shape.rank == 2 && block.shape.size[0] == got && block.shape.size[1] == count);
        for (int64_t i = 0; i < got; i++)
            for (int j = 0; j < count; j++)
                cr_assert_eq(block.data[i * count + j], (leat_real)number(at + i, columns[j]),
                             "%s: row %lld, column %d", path, (long long)(at + i), j);
        at += got;
    }
    cr_assert_eq(s.code, LEAT_OK, "%s", s.message);
    cr_assert_eq(at, last);
    leat_table_close(t);
}

Test(table, all_formats_give_the_same_blocks)
{
    static const int all[] = { 0, 1, 2, 3, 4 };
    write_files();
    for (int f = 0; f < FILES; f++) {
        static const int64_t blocks[] = { 1, 7, 999, 1000, 1001, 100000 };
        for (int b = 0; b < 6; b++)
            check_blocks(in_folder(files[f]), NULL, all, COLUMNS, 0, ROWS, blocks[b]);
    }
}

Test(table, a_range_of_rows)
{
    static const int all[] = { 0, 1, 2, 3, 4 };
    static const int64_t ranges[][4] = {
        /* asked for, given */
        { 0, 1, 0, 1 },           { 5, 0, 5, ROWS },       { 3, 17, 3, 17 },          { 999, 1000, 999, 1000 },
        { 990, 2000, 990, ROWS }, { 1000, 0, 1000, 1000 }, { 5000, 6000, 5000, 5000 }
    };
    write_files();
    for (int f = 0; f < FILES; f++)
        for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
            const leat_table_opts o = { .header = LEAT_HEADER_YES,
                                        .first_row = ranges[i][0],
                                        .last_row = ranges[i][1] };
            leat_tensor t;
            check_blocks(in_folder(files[f]), &o, all, COLUMNS, ranges[i][2], ranges[i][3], 4);
            cr_assert_eq(leat_table_read(in_folder(files[f]), &o, &arena, &t, NULL, NULL), LEAT_OK);
            cr_assert_eq(t.shape.size[0], ranges[i][3] - ranges[i][2]);
            if (t.shape.size[0] > 0)
                cr_assert_eq(t.data[0], (leat_real)number(ranges[i][2], 0));
        }
}

static const struct {
    const char *text;
    int count, columns[COLUMNS];
    bool by_name;
} choices[] = {
    { "1", 1, { 0 }, false },
    { "5,1", 2, { 4, 0 }, false },
    { "2-4", 3, { 1, 2, 3 }, false },
    { " 4- , 1", 3, { 3, 4, 0 }, false },
    { "1-5", 5, { 0, 1, 2, 3, 4 }, false },
    { "3-3,05", 2, { 2, 4 }, false },
    { "b", 1, { 1 }, true },
    { "7,b", 2, { 2, 1 }, true }, /* a name that is a number, and no number of a column */
    { "\"c, d\" , 1", 2, { 3, 0 }, true },
    { "\"b\",\"7\"", 2, { 1, 2 }, true },
};

Test(table, chosen_columns)
{
    write_files();
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        for (int f = 0; f < (choices[i].by_name ? NAMED : FILES); f++) {
            const leat_table_opts o = {
                .header = LEAT_HEADER_YES, .columns = choices[i].text, .first_row = 3, .last_row = 30
            };
            const char *const *got;
            leat_tensor t;
            check_blocks(in_folder(files[f]), &o, choices[i].columns, choices[i].count, 3, 30, 11);
            cr_assert_eq(leat_table_read(in_folder(files[f]), &o, &arena, &t, &got, NULL), LEAT_OK);
            cr_assert_eq(got != NULL, f < NAMED);
            for (int j = 0; got && j < choices[i].count; j++)
                cr_assert_str_eq(got[j], names[choices[i].columns[j]]);
        }
}

/* Names in Latin-1 become UTF-8, and are chosen by either text; UTF-8 stays as it is. */
Test(table, names_in_latin1)
{
    static const struct {
        const char *header, *choice;
        bool latin1;
    } cases[] = {
        { "T_\xB0"
          "C,v\n1,2\n",
          "T_\xC2\xB0"
          "C",
          true },
        { "T_\xB0"
          "C,v\n1,2\n",
          "T_\xB0"
          "C",
          true },
        { "T_\xC2\xB0"
          "C,v\n1,2\n",
          "T_\xB0"
          "C",
          false },
        { "\xFF,T_\xC2\xB0"
          "C\n2,1\n",
          "T_\xC2\xB0"
          "C",
          true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_status s = { 0 };
        leat_tensor block;
        leat_table_opts o = { .columns = cases[i].choice };
        leat_table *t = leat_table_open_text(cases[i].header, strlen(cases[i].header), 100, &o, &s);
        cr_assert_not_null(t, "%s", s.message);
        cr_expect_str_eq(leat_table_names(t)[0], "T_\xC2\xB0"
                                                 "C");
        cr_expect_eq(leat_table_latin1(t), cases[i].latin1);
        cr_assert_eq(leat_table_next(t, 1, &block, &s), 1);
        cr_expect_eq(block.data[0], (leat_real)1);
        leat_table_close(t);
    }
}

Test(table, positions_of_names)
{
    write_files();
    leat_table *t =
        leat_table_open(in_folder("x.csv"), &(leat_table_opts){ .header = LEAT_HEADER_YES, .columns = "7,b" }, NULL);
    cr_assert_eq(leat_table_find(t, "b"), 1);
    cr_assert_eq(leat_table_find(t, "7"), 0);
    cr_assert_eq(leat_table_find(t, "a"), -1);
    leat_table_close(t);
    t = leat_table_open(in_folder("x.npy"), NULL, NULL);
    cr_assert_eq(leat_table_find(t, "b"), -1);
    cr_assert_null(leat_table_names(t));
    leat_table_close(t);
    leat_table_close(NULL);
}

static const struct {
    const char *file, *columns;
    int64_t first, last;
    const char *part1, *part2;
} bad_options[] = {
    { "x.csv", "a", 0, 0, "columns 1 and 5 are both called \"a\"", "choose by number" },
    { "x.csv", "e", 0, 0, "there is no column \"e\": the columns are a, b, 7, \"c, d\", a", "" },
    { "x.npy", "b", 0, 0, "there is no column \"b\": there is no header with names", "" },
    { "x.csv", "\"1\"", 0, 0, "there is no column \"1\"", "" },
    { "x.csv", "b,7,b", 0, 0, "column 2 is chosen twice", "" },
    { "x.csv", "1-3,2", 0, 0, "column 2 is chosen twice", "" },
    { "x.csv", "6", 0, 0, "there is no column 6: they are 1 to 5", "" },
    { "x.csv", "0", 0, 0, "there is no column 0: they are 1 to 5", "" },
    { "x.csv", "4-6", 0, 0, "there is no column 4-6", "" },
    { "x.csv", "4-2", 0, 0, "there is no column 4-2", "" },
    { "x.csv", "99999999999999999999999", 0, 0, "there is no column 9999", "" },
    { "x.csv", "-2", 0, 0, "there is no column \"-2\"", "" },
    { "x.csv", "1-2-3", 0, 0, "there is no column \"1-2-3\"", "" },
    { "x.csv", "", 0, 0, "there is no column \"\"", "" },
    { "x.csv", "1,,2", 0, 0, "there is no column \"\"", "" },
    { "x.csv", "\"b", 0, 0, "quotes in the list of columns", "\"b" },
    { "x.csv", "\"b\"c", 0, 0, "quotes in the list of columns", "" },
    { "x.csv", NULL, 5, 5, "no rows from 5 to before 5", "" },
    { "x.csv", NULL, -1, 5, "no rows from -1", "" },
    { "x.npy", NULL, 0, -1, "no rows from 0 to before -1", "" },
};

Test(table, options_that_make_no_sense)
{
    write_files();
    for (size_t i = 0; i < sizeof bad_options / sizeof *bad_options; i++) {
        const leat_table_opts o = { .header = LEAT_HEADER_YES,
                                    .columns = bad_options[i].columns,
                                    .first_row = bad_options[i].first,
                                    .last_row = bad_options[i].last };
        leat_status s = { 0 };
        cr_expect_null(leat_table_open(in_folder(bad_options[i].file), &o, &s));
        cr_expect_eq(s.code, LEAT_EARG, "%s", s.message);
        check_message(&s, bad_options[i].part1, bad_options[i].part2);
        check_message(&s, in_folder(bad_options[i].file), "");
    }
}

/* A name goes before a number, also when it does not say which column is meant. */
Test(table, names_that_are_numbers_and_the_same)
{
    leat_status s = { 0 };
    spill(in_folder("a.csv"), "1,1\n2,3\n", 8);
    cr_assert_null(
        leat_table_open(in_folder("a.csv"), &(leat_table_opts){ .header = LEAT_HEADER_YES, .columns = "1" }, &s));
    check_message(&s, "columns 1 and 2 are both called \"1\"", "");
}

Test(table, a_failure_stays)
{
    leat_tensor block;
    leat_status s = { 0 }, again = { 0 };
    spill(in_folder("a.csv"), "1\n2\nx\n4\n", 8);
    leat_table *t = leat_table_open(in_folder("a.csv"), NULL, &s);
    cr_assert_eq(leat_table_next(t, 2, &block, &s), 2);
    cr_assert_eq(leat_table_next(t, 2, &block, &s), -1);
    cr_assert_null(block.data);
    cr_assert_eq(leat_table_next(t, 2, &block, &again), -1);
    cr_assert_str_eq(s.message, again.message);
    cr_assert_eq(leat_table_next(t, 2, &block, NULL), -1);
    leat_table_close(t);
    t = leat_table_open(in_folder("a.csv"), NULL, NULL);
    s = (leat_status){ 0 };
    cr_assert_eq(leat_table_next(t, 0, &block, &s), -1);
    check_message(&s, "at least 1 row", "");
    leat_table_close(t);
}

Test(table, skipped_rows_are_not_read_but_counted)
{
    static const char text[] = "x,y\nno,number\n\"here\n\nbut\",three,fields\n1,2\n3,oops\n";
    const leat_table_opts o = { .first_row = 2 };
    leat_tensor t;
    leat_status s = { 0 };

    spill(in_folder("a.csv"), text, sizeof text - 1);
    cr_assert_eq(leat_table_read(in_folder("a.csv"), &o, &arena, &t, NULL, &s), LEAT_EFORMAT);
    check_message(&s, "line 7, column 2 (y): \"oops\" is not a number", "");
    s = (leat_status){ 0 };
    cr_assert_eq(
        leat_table_read(in_folder("a.csv"), &(leat_table_opts){ .first_row = 2, .last_row = 3 }, &arena, &t, NULL, &s),
        LEAT_OK, "%s", s.message);
    cr_assert_eq(t.shape.size[0], 1);
    cr_assert_eq(t.data[1], 2);
    /* a row that the window does not hold, and a blank line among those passed over */
    spill(in_folder("b.csv"), "1\n\n2\n3\n", 7);
    cr_assert_eq(leat_table_read(in_folder("b.csv"), &o, &arena, &t, NULL, &s), LEAT_EFORMAT);
    check_message(&s, "line 2 is blank", "");
}

Test(table, npy_of_numbers_that_are_not_finite)
{
    leat_real values[8] = { 1, 2, 3, 4, 5, (leat_real)NAN, 7, (leat_real)HUGE_VAL };
    leat_tensor t = { values, LEAT_SHAPE(4, 2) }, back;
    leat_status s = { 0 };

    leat_npy_write(in_folder("nan.npy"), &t, NULL);
    cr_assert_eq(leat_table_read(in_folder("nan.npy"), NULL, &arena, &back, NULL, &s), LEAT_ENONFINITE);
    check_message(&s, "nan.npy: row 3, column 2: nan is not a finite number", "");
    cr_assert_eq(leat_table_read(in_folder("nan.npy"), &(leat_table_opts){ .columns = "1" }, &arena, &back, NULL, NULL),
                 LEAT_OK, "a column that is not read");
    s = (leat_status){ 0 };
    leat_table_read(in_folder("nan.npy"), &(leat_table_opts){ .columns = "2", .first_row = 3 }, &arena, &back, NULL,
                    &s);
    check_message(&s, "nan.npy: row 4, column 2: inf is not a finite number", "");
}

static void check_refused(const char *path, leat_code code, const char *part)
{
    leat_status s = { 0 };
    leat_arena a;
    leat_tensor t;
    leat_arena_init(&a, NULL);
    cr_expect_eq(leat_table_read(path, NULL, &a, &t, NULL, &s), code, "%s", s.message);
    cr_expect_eq(a.in_use, 0u);
    cr_expect_null(t.data);
    check_message(&s, path, part);
}

Test(table, files_that_are_no_tables)
{
    leat_real values[8] = { 0 };
    leat_tensor cube = { values, LEAT_SHAPE(2, 2, 2) }, narrow = { values, LEAT_SHAPE(4, 0) };

    leat_npy_write(in_folder("cube.npy"), &cube, NULL);
    leat_npy_write(in_folder("narrow.npy"), &narrow, NULL);
    spill(in_folder("text.npy"), "1,2\n", 4);
    spill(in_folder("a.xls"), "1,2\n", 4);
    cr_assert_eq(mkfifo(in_folder("pipe.npy"), 0600), 0);
    check_refused(in_folder("cube.npy"), LEAT_ESHAPE, "[2,2,2]");
    check_refused(in_folder("narrow.npy"), LEAT_ESHAPE, "[4,0]");
    check_refused(in_folder("text.npy"), LEAT_EFORMAT, "not a .npy file");
    check_refused(in_folder("a.xls"), LEAT_EARG, ".csv");
    check_refused(in_folder("none.npy"), LEAT_EIO, strerror(ENOENT));
    check_refused(in_folder("none.csv"), LEAT_EIO, strerror(ENOENT));
    check_refused(folder, LEAT_EARG, "none of .npy");
    cr_assert_eq(mkdir(in_folder("folder.csv"), 0700), 0);
    check_refused(in_folder("folder.csv"), LEAT_EIO, strerror(EISDIR));
    rmdir(in_folder("folder.csv"));
}

Test(table, endings_in_capitals_and_arrays_of_one_axis)
{
    leat_real values[] = { 1, 2, 3, 4, 5, 6 };
    leat_tensor line = { values, LEAT_SHAPE(6) }, t;

    spill(in_folder("a.CSV"), "1,2\n3,4\n5,6\n", 12);
    cr_assert_eq(leat_table_read(in_folder("a.CSV"), NULL, &arena, &t, NULL, NULL), LEAT_OK);
    cr_assert(t.shape.rank == 2 && t.shape.size[0] == 3 && t.shape.size[1] == 2);
    cr_assert_arr_eq(t.data, values, sizeof values);
    cr_assert_eq(leat_npy_write(in_folder("line.npy"), &line, NULL), LEAT_OK);
    cr_assert_eq(leat_table_read(in_folder("line.npy"), NULL, &arena, &t, NULL, NULL), LEAT_OK);
    cr_assert(t.shape.rank == 2 && t.shape.size[0] == 6 && t.shape.size[1] == 1);
    cr_assert_arr_eq(t.data, values, sizeof values);
}

Test(table, npy_without_rows)
{
    static const char header[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 1152921504606846975)}";
    char file[256];
    leat_tensor none = { (leat_real[1]){ 0 }, LEAT_SHAPE(0, 3) }, t;
    leat_status s = { 0 };

    leat_npy_write(in_folder("x.npy"), &none, NULL);
    cr_assert_eq(leat_table_read(in_folder("x.npy"), NULL, &arena, &t, NULL, NULL), LEAT_OK);
    cr_assert(leat_shape_equal(&t.shape, &none.shape));
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = sizeof header - 1;
    file[9] = 0;
    memcpy(file + 10, header, sizeof header - 1);
    spill(in_folder("x.npy"), file, 10 + sizeof header - 1);
    cr_assert_eq(leat_table_read(in_folder("x.npy"), NULL, &arena, &t, NULL, &s), LEAT_ENOMEM, "%s", s.message);
}

struct feed {
    int fd;
    const char *data;
    size_t size;
};

static void *feed_pipe(void *arg)
{
    struct feed *f = arg;
    while (f->size > 0) {
        ssize_t n = write(f->fd, f->data, f->size < 1000 ? f->size : 1000);
        if (n <= 0)
            break;
        f->data += n;
        f->size -= (size_t)n;
    }
    close(f->fd);
    return NULL;
}

/* What arrives on a descriptor, as standard input and under its name in /dev/fd. */
Test(table, reads_pipes)
{
    static const int all[] = { 0, 1, 2, 3, 4 };
    write_files();
    bytes file = slurp(in_folder("x.csv"));
    for (int standard = 0; standard < 2; standard++) {
        int ends[2], before = dup(STDIN_FILENO);
        pthread_t thread;
        char path[32];
        cr_assert_eq(pipe(ends), 0);
        struct feed f = { ends[1], file.data, file.size };
        cr_assert_eq(pthread_create(&thread, NULL, feed_pipe, &f), 0);
        snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
        if (standard)
            dup2(ends[0], STDIN_FILENO);
        check_blocks(standard ? "-" : path, NULL, all, COLUMNS, 0, ROWS, 13);
        if (before >= 0)
            dup2(before, STDIN_FILENO);
        pthread_join(thread, NULL);
        close(ends[0]);
    }
    free(file.data);
}

/* A table of 40 MB goes through some hundred kilobytes. */
Test(table, memory_does_not_grow_with_the_file)
{
    enum { MANY = 400000 };
    double row[10];
    leat_status s = { 0 };
    countdown c = { .left = 1000 };
    leat_allocator allocator = countdown_allocator(&c);
    leat_table_writer *w = leat_table_create(in_folder("big.csv"), &(leat_table_writer_opts){ .columns = 10 }, &s);

    for (int i = 0; i < MANY; i++) {
        for (int j = 0; j < 10; j++)
            row[j] = number(i, j) / 3;
        leat_table_append_doubles(w, row, 1, NULL);
    }
    cr_assert_eq(leat_table_commit(w, &s), LEAT_OK, "%s", s.message);
    leat_tensor block;
    leat_table *t = leat_table_open(in_folder("big.csv"), &(leat_table_opts){ .allocator = &allocator }, &s);
    int64_t rows = 0, got;
    while ((got = leat_table_next(t, 1024, &block, &s)) > 0) {
        cr_assert_eq(block.data[9], (leat_real)(number(rows, 9) / 3));
        rows += got;
    }
    cr_assert_eq(rows, MANY);
    cr_assert_lt(t->arena.peak, (size_t)1 << 20);
    leat_table_close(t);
    cr_assert_eq(c.live, 0);
}

Test(table, out_of_memory_at_every_call)
{
    write_files();
    for (int f = 0; f < FILES; f++)
        for (long n = 0;; n++) {
            countdown c = { .left = n };
            leat_allocator allocator = countdown_allocator(&c);
            const leat_table_opts o = { .header = LEAT_HEADER_YES, .columns = "1,2", .allocator = &allocator };
            const leat_table_writer_opts wo = { .columns = 2, .allocator = &allocator };
            const char *const *got;
            leat_arena a;
            leat_tensor t;
            leat_status s = { 0 };

            leat_arena_init(&a, &allocator);
            leat_code code = leat_table_read(in_folder(files[f]), &o, &a, &t, &got, &s);
            if (code) {
                cr_assert_eq(code, LEAT_ENOMEM, "%s", s.message);
                cr_assert_eq(a.in_use, 0u);
                check_message(&s, "out of memory", "");
            } else {
                leat_table_writer *w = leat_table_create(in_folder("w.csv"), &wo, &s);
                cr_assert_eq(w == NULL, s.code == LEAT_ENOMEM);
                code = s.code;
                leat_table_discard(w);
            }
            leat_arena_free(&a);
            cr_assert_eq(c.live, 0);
            if (code == LEAT_OK) {
                cr_assert_gt(n, 2);
                break;
            }
        }
}
