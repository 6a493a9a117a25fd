/* Tables of numbers in both formats: columns, rows, blocks, writing, and what there is to know of data. */
#include "file_helpers.h"
#include "../../tensor/table.h"

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
    { "x.csv", "e", 0, 0, "there is no column \"e\": the columns are a, b, 7, c, d, a", "" },
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

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void check_text(const char *path, const char *expected)
{
    bytes b = slurp(path);
    cr_assert_eq(b.size, strlen(expected), "%.*s", (int)b.size, b.data);
    cr_assert_arr_eq(b.data, expected, b.size);
    free(b.data);
}

Test(table, written_text)
{
    static const char *const words[] = { "a", "b;c d", "" };
    const leat_table_writer_opts o = { .columns = 3, .names = words };
    leat_real reals[] = { 1, (leat_real)0.1, -2 };
    leat_tensor t = { reals, LEAT_SHAPE(1, 3) };
    static const double doubles[] = { 0.1, 1.0 / 3, 1e300, (double)NAN, HUGE_VAL, -HUGE_VAL };
    static const char *const expected[][2] = {
        { "a.csv", "a,\"b;c d\",\"\"\n1,0.1,-2\n0.1,0.3333333333333333,1e+300\nnan,inf,-inf\n" },
        { "a.tsv", "a\t\"b;c d\"\t\"\"\n1\t0.1\t-2\n0.1\t0.3333333333333333\t1e+300\nnan\tinf\t-inf\n" },
        { "a.txt", "a \"b;c d\" \"\"\n1 0.1 -2\n0.1 0.3333333333333333 1e+300\nnan inf -inf\n" },
    };
    for (int i = 0; i < 3; i++) {
        leat_status s = { 0 };
        leat_table_writer *w = leat_table_create(in_folder(expected[i][0]), &o, &s);
        cr_assert_eq(leat_table_append(w, &t, &s), LEAT_OK);
        cr_assert_eq(leat_table_append_doubles(w, doubles, 2, &s), LEAT_OK);
        cr_assert_eq(leat_table_append_doubles(w, doubles, 0, &s), LEAT_OK);
        cr_assert_eq(leat_table_commit(w, &s), LEAT_OK, "%s", s.message);
        check_text(in_folder(expected[i][0]), expected[i][1]);
    }
}

Test(table, doubles_in_npy_keep_their_bits)
{
    enum { N = 20000 };
    static double values[N];
    leat_real real = (leat_real)0.1;
    leat_status s = { 0 };
    for (int i = 0; i < N; i++)
        values[i] = sqrt(i);
    leat_table_writer *w =
        leat_table_create(in_folder("d.npy"), &(leat_table_writer_opts){ .columns = 2, .doubles = true }, &s);
    for (int i = 0; i < N; i += 500)
        cr_assert_eq(leat_table_append_doubles(w, values + i, 250, &s), LEAT_OK, "%s", s.message);
    leat_tensor last = { (leat_real[]){ real, real }, LEAT_SHAPE(1, 2) };
    cr_assert_eq(leat_table_append(w, &last, &s), LEAT_OK);
    cr_assert_eq(leat_table_commit(w, &s), LEAT_OK, "%s", s.message);
    bytes b = slurp(in_folder("d.npy"));
    cr_assert_eq(b.size, 128 + 8 * (N + 2));
    cr_assert(strstr(b.data + 10, "{'descr': '<f8', 'fortran_order': False, 'shape': (10001, 2), }") == b.data + 10);
    cr_assert_arr_eq(b.data + 128, values, sizeof values);
    double x = (double)real;
    cr_assert_arr_eq(b.data + 128 + sizeof values, &x, sizeof x);
    free(b.data);
}

/* Byte for byte what leat_npy_write writes. */
Test(table, npy_in_pieces_is_npy)
{
    write_files();
    leat_tensor t;
    leat_status s = { 0 };
    cr_assert_eq(leat_npy_read(in_folder("x.npy"), &arena, &t, &s), LEAT_OK);
    cr_assert_eq(leat_npy_write(in_folder("y.npy"), &t, &s), LEAT_OK);
    bytes x = slurp(in_folder("x.npy")), y = slurp(in_folder("y.npy"));
    cr_assert_eq(x.size, y.size);
    cr_assert_arr_eq(x.data, y.data, x.size);
    free(x.data);
    free(y.data);
}

Test(table, nothing_is_written_before_commit)
{
    leat_real one = 1;
    leat_tensor t = { &one, LEAT_SHAPE(1) };
    leat_status s = { 0 };
    spill(in_folder("a.csv"), "before\n", 7);
    leat_table_writer *w = leat_table_create(in_folder("a.csv"), &(leat_table_writer_opts){ .columns = 1 }, &s);
    for (int i = 0; i < 100000; i++)
        leat_table_append(w, &t, &s);
    check_text(in_folder("a.csv"), "before\n");
    leat_table_discard(w);
    check_text(in_folder("a.csv"), "before\n");
    cr_assert_eq(files_in_folder(false), 1);
    leat_table_discard(NULL);
    w = leat_table_create(in_folder("a.csv"), &(leat_table_writer_opts){ .columns = 1 }, &s);
    leat_table_append(w, &t, &s);
    cr_assert_eq(leat_table_commit(w, &s), LEAT_OK);
    check_text(in_folder("a.csv"), "1\n");
    cr_assert_eq(files_in_folder(false), 1);
}

Test(table, writing_refuses_what_it_must)
{
    leat_real two[2] = { 0 };
    leat_tensor t = { two, LEAT_SHAPE(1, 2) };
    leat_status s = { 0 };
    leat_table_writer *w = leat_table_create(in_folder("a.csv"), &(leat_table_writer_opts){ .columns = 3 }, &s);
    cr_assert_eq(leat_table_append(w, &t, &s), LEAT_ESHAPE);
    check_message(&s, in_folder("a.csv"), "[1,2] for a table of 3 columns");
    cr_assert_eq(leat_table_append_doubles(w, (double[]){ 1, 2, 3 }, 1, NULL), LEAT_ESHAPE, "it stays");
    s = (leat_status){ 0 };
    cr_assert_eq(leat_table_commit(w, &s), LEAT_ESHAPE);
    check_message(&s, in_folder("a.csv"), "[1,2]");
    cr_assert_eq(files_in_folder(false), 0);

    s = (leat_status){ 0 };
    cr_assert_null(leat_table_create(in_folder("a.xls"), &(leat_table_writer_opts){ .columns = 1 }, &s));
    check_message(&s, in_folder("a.xls"), ".csv");
    s = (leat_status){ 0 };
    cr_assert_null(leat_table_create(in_folder("a.csv"), &(leat_table_writer_opts){ 0 }, &s));
    check_message(&s, "at least 1 column", "");
    s = (leat_status){ 0 };
    cr_assert_null(leat_table_create(in_folder("none/a.csv"), &(leat_table_writer_opts){ .columns = 1 }, &s));
    check_message(&s, in_folder("none/a.csv"), strerror(ENOENT));
    cr_assert_eq(files_in_folder(false), 0);

    w = leat_table_create(in_folder("a.npy"), &(leat_table_writer_opts){ .columns = 1 }, NULL);
    s = (leat_status){ 0 };
    leat_code code = leat_table_append_doubles(w, (double[]){ 1 }, 1, &s);
    cr_assert_eq(code, sizeof(leat_real) == 8 ? LEAT_OK : LEAT_ESTATE);
    leat_table_discard(w);
    mkfifo(in_folder("pipe.npy"), 0600);
    int end = open(in_folder("pipe.npy"), O_RDWR);
    s = (leat_status){ 0 };
    cr_assert_null(leat_table_create(in_folder("pipe.npy"), &(leat_table_writer_opts){ .columns = 1 }, &s));
    check_message(&s, "regular file", "");
    close(end);
}

Test(table, writes_to_standard_output)
{
    int before = dup(STDOUT_FILENO), file = open(in_folder("out"), O_WRONLY | O_CREAT, 0600);
    leat_status s = { 0 };
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    leat_table_writer *w = leat_table_create("-", &(leat_table_writer_opts){ .columns = 2 }, &s);
    leat_table_append_doubles(w, (double[]){ 1, 0.25 }, 1, &s);
    leat_code code = leat_table_commit(w, &s);
    ssize_t open_still = write(STDOUT_FILENO, "end\n", 4);
    dup2(before, STDOUT_FILENO);
    close(file);
    cr_assert_eq(code, LEAT_OK, "%s", s.message);
    cr_assert_eq(open_still, 4);
    check_text(in_folder("out"), "1,0.25\nend\n");
}

Test(table, a_full_disk_leaves_the_old_file)
{
    int before = dup(STDOUT_FILENO), full = open("/dev/full", O_WRONLY);
    leat_status s = { 0 };
    if (full < 0)
        cr_skip_test("there is no /dev/full");
    leat_table_writer *w = leat_table_create("/dev/full", &(leat_table_writer_opts){ .columns = 1 }, &s);
    leat_table_append_doubles(w, (double[]){ 1 }, 1, &s);
    cr_assert_eq(leat_table_commit(w, &s), LEAT_EIO);
    check_message(&s, "/dev/full: cannot write", strerror(ENOSPC));
    fflush(stdout);
    dup2(full, STDOUT_FILENO);
    s = (leat_status){ 0 };
    w = leat_table_create("-", &(leat_table_writer_opts){ .columns = 1 }, &s);
    leat_table_append_doubles(w, (double[]){ 1 }, 1, &s);
    leat_code code = leat_table_commit(w, &s);
    dup2(before, STDOUT_FILENO);
    cr_assert_eq(code, LEAT_EIO);
    check_message(&s, "standard output: cannot write", "");
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

/* ---- what there is to know of data ------------------------------------------------------------------------------- */

Test(table, inspects_columns)
{
    enum { N = 400, WIDTH = 8 };
    static leat_real data[N * WIDTH];
    leat_tensor t = { data, LEAT_SHAPE(N, WIDTH) };
    leat_column c[WIDTH];
    leat_status s = { 0 };

    for (int i = 0; i < N; i++) {
        leat_real *row = data + i * WIDTH;
        row[0] = 7;                                                         /* constant */
        row[1] = (leat_real)(i % 2 ? 1 : -1);                               /* two values */
        row[2] = (leat_real)(i * 0.25 + 1000);                              /* all different */
        row[3] = (leat_real)(i % 10 == 3 ? 0 : i + 1);                      /* zero in a tenth of the rows */
        row[4] = (leat_real)(i % 11 == 3 ? -1 : i + 1);                     /* less than a tenth */
        row[5] = (leat_real)(i % LEAT_FEW_VALUES);                          /* as many as are few */
        row[6] = (leat_real)(i % (LEAT_FEW_VALUES + 1));                    /* one more */
        row[7] = (leat_real)(i % 4 < 2 ? 3 : i % 4 == 2 ? -0.0 : i + 1000); /* half are 3 */
    }
    cr_assert_eq(leat_table_inspect(&t, c, &s), LEAT_OK, "%s", s.message);
    static const struct {
        int64_t distinct, common_rows;
        double common;
        bool constant, discrete;
    } expected[WIDTH] = {
        { 1, 400, 7, true, true },  { 2, 200, -1, false, true }, { 21, 0, 0, false, false },
        { 21, 40, 0, false, true }, { 21, 0, 0, false, false },  { 20, 0, 0, false, true },
        { 21, 0, 0, false, false }, { 21, 200, 3, false, true },
    };
    for (int j = 0; j < WIDTH; j++) {
        cr_expect_eq(c[j].distinct, expected[j].distinct, "column %d: %lld", j, (long long)c[j].distinct);
        cr_expect_eq(c[j].common_rows, expected[j].common_rows, "column %d: %lld", j, (long long)c[j].common_rows);
        cr_expect_eq(c[j].common, expected[j].common, "column %d: %g", j, c[j].common);
        cr_expect_eq(c[j].constant, expected[j].constant, "column %d", j);
        cr_expect_eq(c[j].discrete, expected[j].discrete, "column %d", j);
    }
    cr_assert(c[0].min == 7 && c[0].max == 7 && c[0].mean == 7 && c[0].sd == 0);
    cr_assert(c[1].min == -1 && c[1].max == 1 && c[1].mean == 0 && c[1].sd == 1);
    cr_assert(c[2].min == 1000 && c[2].max == 1000 + 399 * 0.25 && c[2].mean == 1000 + 399 * 0.125);
    cr_assert_lt(fabs(c[2].sd - 0.25 * sqrt((400.0 * 400 - 1) / 12)), 1e-12);
}

Test(table, inspects_few_rows)
{
    leat_real data[] = { 1, 1, 2, 1, 3, 1 };
    leat_tensor t = { data, LEAT_SHAPE(3, 2) };
    leat_column c[2];
    leat_status s = { 0 };

    cr_assert_eq(leat_table_inspect(&t, c, NULL), LEAT_OK);
    cr_assert(!c[0].constant && !c[0].discrete && c[0].distinct == 3 && c[0].mean == 2);
    cr_assert(c[1].constant && c[1].discrete && c[1].common_rows == 0);
    t.shape = LEAT_SHAPE(0, 2);
    cr_assert_eq(leat_table_inspect(&t, c, &s), LEAT_ESHAPE);
    check_message(&s, "[0,2]", "at least one row");
    t.shape = LEAT_SHAPE(3, 2);
    data[3] = (leat_real)NAN;
    s = (leat_status){ 0 };
    cr_assert_eq(leat_table_inspect(&t, c, &s), LEAT_ENONFINITE);
    check_message(&s, "row 2, column 2", "");
}
