/* Tables of numbers: writing them, and what there is to know of data. */
#include "file_helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

TestSuite(table_write, .init = make_folder, .fini = remove_folder);

static void check_text(const char *path, const char *expected)
{
    bytes b = slurp(path);
    cr_assert_eq(b.size, strlen(expected), "%.*s", (int)b.size, b.data);
    cr_assert_arr_eq(b.data, expected, b.size);
    free(b.data);
}

Test(table_write, written_text)
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

Test(table_write, doubles_in_npy_keep_their_bits)
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
Test(table_write, npy_in_pieces_is_npy)
{
    enum { N = 30000 };
    static leat_real values[3 * N];
    leat_tensor t = { values, LEAT_SHAPE(N, 3) };
    leat_status s = { 0 };
    for (int i = 0; i < 3 * N; i++)
        values[i] = (leat_real)i / 7;
    cr_assert_eq(leat_table_write(in_folder("x.npy"), NULL, &t, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_npy_write(in_folder("y.npy"), &t, &s), LEAT_OK);
    bytes x = slurp(in_folder("x.npy")), y = slurp(in_folder("y.npy"));
    cr_assert_eq(x.size, y.size);
    cr_assert_arr_eq(x.data, y.data, x.size);
    free(x.data);
    free(y.data);
}

Test(table_write, nothing_is_written_before_commit)
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

Test(table_write, writing_refuses_what_it_must)
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

Test(table_write, writes_to_standard_output)
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

Test(table_write, a_full_disk_leaves_the_old_file)
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

/* ---- what there is to know of data ------------------------------------------------------------------------------- */

Test(table_write, inspects_columns)
{
    enum { N = 400, WIDTH = 8 };
    static double data[N * WIDTH];
    leat_doubles t = { data, N, WIDTH };
    leat_column c[WIDTH];
    leat_status s = { 0 };

    for (int i = 0; i < N; i++) {
        double *row = data + i * WIDTH;
        row[0] = 7;                                                      /* constant */
        row[1] = (double)(i % 2 ? 1 : -1);                               /* two values */
        row[2] = (double)(i * 0.25 + 1000);                              /* all different */
        row[3] = (double)(i % 10 == 3 ? 0 : i + 1);                      /* zero in a tenth of the rows */
        row[4] = (double)(i % 11 == 3 ? -1 : i + 1);                     /* less than a tenth */
        row[5] = (double)(i % LEAT_FEW_VALUES);                          /* as many as are few */
        row[6] = (double)(i % (LEAT_FEW_VALUES + 1));                    /* one more */
        row[7] = (double)(i % 4 < 2 ? 3 : i % 4 == 2 ? -0.0 : i + 1000); /* half are 3 */
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

Test(table_write, inspects_few_rows)
{
    double data[] = { 1, 1, 2, 1, 3, 1 };
    leat_doubles t = { data, 3, 2 };
    leat_column c[2];
    leat_status s = { 0 };

    cr_assert_eq(leat_table_inspect(&t, c, NULL), LEAT_OK);
    cr_assert(!c[0].constant && !c[0].discrete && c[0].distinct == 3 && c[0].mean == 2);
    cr_assert(c[1].constant && c[1].discrete && c[1].common_rows == 0);
    t.rows = 0;
    cr_assert_eq(leat_table_inspect(&t, c, &s), LEAT_ESHAPE);
    check_message(&s, "[0,2]", "at least one row");
    t.rows = 3;
    data[3] = (double)NAN;
    s = (leat_status){ 0 };
    cr_assert_eq(leat_table_inspect(&t, c, &s), LEAT_ENONFINITE);
    check_message(&s, "row 2, column 2", "");
}

/* One column as NumPy's vectors are. */
Test(table_write, a_vector)
{
    double values[] = { 1, 2, 3 };
    leat_status s = { 0 };
    leat_table_writer *w = leat_table_create(
        in_folder("v.npy"), &(leat_table_writer_opts){ .columns = 1, .doubles = true, .vector = true }, &s);

    cr_assert(w && leat_table_append_doubles(w, values, 3, &s) == LEAT_OK && leat_table_commit(w, &s) == LEAT_OK, "%s",
              s.message);
    bytes b = slurp(in_folder("v.npy"));
    cr_assert_eq(b.size, 128 + sizeof values);
    cr_assert(strstr(b.data + 10, "'shape': (3,)") != NULL);
    cr_assert_arr_eq(b.data + 128, values, sizeof values);
    free(b.data);
    cr_assert_null(
        leat_table_create(in_folder("v.npy"), &(leat_table_writer_opts){ .columns = 2, .vector = true }, &s));
    check_message(&s, "2 columns are no vector", "");
}
