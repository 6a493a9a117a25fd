/* Tables of numbers as text: what is read, what is refused and where, and what is written. */
#include "file_helpers.h"
#include "../../tensor/files/table.h"

#include <locale.h>

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

TestSuite(csv, .init = set_up, .fini = tear_down);

static bool has_shape(const leat_tensor *t, int64_t rows, int64_t columns)
{
    return t->shape.rank == 2 && t->shape.size[0] == rows && t->shape.size[1] == columns;
}

typedef struct table {
    leat_tensor values;
    const char *const *names;
} table;

static leat_code read_with(const char *text, size_t size, const leat_table_opts *o, table *out, leat_status *s)
{
    spill(in_folder("a.csv"), text, size);
    *s = (leat_status){ 0 };
    return leat_table_read(in_folder("a.csv"), o, &arena, &out->values, &out->names, s);
}

static leat_code read_bytes(const char *text, size_t size, table *out, leat_status *s)
{
    return read_with(text, size, NULL, out, s);
}

/* The same two rows of three numbers in many forms. */
typedef struct form {
    const char *text;
    const char *names[3]; /* NULL: no header */
} form;

static const form forms[] = {
    { "1,-2.5,3e2\n4,.5,+6.\n", { NULL } },
    { "1,-2.5,3e2\n4,.5,+6.", { NULL } },
    { "1,-2.5,3e2\r\n4,.5,+6.\r\n", { NULL } },
    { "\xEF\xBB\xBF"
      "1,-2.5,3E2\n4,.5,6\n",
      { NULL } },
    { "1,-2.5,3e+2\n4,.5,6\n\n  \n\n", { NULL } },
    { " 1 ,\t-2.5, 3e2 \n4,.5,6\n", { NULL } },
    { "1;-2.5;3e2\n4;.5;6\n", { NULL } },
    { "1\t-2.5\t3e2\n4\t.5\t6\n", { NULL } },
    { "1 -2.5 3e2\n4 .5 6\n", { NULL } },
    { "  1   -2.5   3e2  \n4  .5 \t 6\n", { NULL } },
    { "\"1\",\"-2.5\",3e2\n4,\".5\" ,\"6\"\n", { NULL } },
    { "1,-2.5,\"3e2\"\r\n4,.5,\"6\" \r\n\r\n \r\n", { NULL } },
    { "x,y,z\n1,-2.5,3e2\n4,.5,6\n", { "x", "y", "z" } },
    { "x,5\" y,\"z\"\n1,-2.5,3e2\n4,.5,6\n", { "x", "5\" y", "z" } },
    { "x,\"y\n\"\"w;\"\"\",\"z\"\n1,-2.5,3e2\n4,.5,6\n", { "x", "y\n\"w;\"", "z" } },
    { "\xEF\xBB\xBF\"a, b\",\"say \"\"hi\"\"\",\xC3\xA9\r\n1,-2.5,3e2\r\n4,.5,6\r\n",
      { "a, b", "say \"hi\"", "\xC3\xA9" } },
    { "x;y,w;z\n1;-2.5;3e2\n4;.5;6\n", { "x", "y,w", "z" } },
    { "\"x\" \"y y\" z\n1 -2.5 3e2\n4 .5 6\n", { "x", "y y", "z" } },
    { ",y,z\n1,-2.5,3e2\n4,.5,6\n", { "", "y", "z" } },
};

static void check_form(const form *f)
{
    static const leat_real expected[6] = { 1, (leat_real)-2.5, 300, 4, (leat_real)0.5, 6 };
    table t;
    leat_status s;

    cr_assert_eq(read_bytes(f->text, strlen(f->text), &t, &s), LEAT_OK, "%s in\n%s", s.message, f->text);
    cr_assert(has_shape(&t.values, 2, 3), "shape of\n%s", f->text);
    for (int i = 0; i < 6; i++)
        cr_expect_eq(t.values.data[i], expected[i], "value %d of\n%s", i, f->text);
    cr_assert_eq(t.names != NULL, f->names[0] != NULL, "header of\n%s", f->text);
    for (int i = 0; t.names && i < 3; i++)
        cr_expect_str_eq(t.names[i], f->names[i]);
}

Test(csv, forms)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        check_form(&forms[i]);
}

/* However the bytes come, and however many rows are asked for, it is the same table. */
Test(csv, forms_in_steps)
{
    static const leat_real expected[6] = { 1, (leat_real)-2.5, 300, 4, (leat_real)0.5, 6 };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        for (size_t step = 1; step < 40; step++) {
            leat_status s = { 0 };
            leat_tensor block;
            leat_table *t = leat_table_open_text(forms[i].text, strlen(forms[i].text), step, NULL, &s);

            cr_assert(t != NULL, "%s in steps of %zu in\n%s", s.message, step, forms[i].text);
            cr_assert_eq(leat_table_columns(t), 3);
            for (int row = 0; row < 2; row++) {
                cr_assert_eq(leat_table_next(t, 1, &block, &s), 1, "%s", s.message);
                cr_assert(has_shape(&block, 1, 3));
                cr_assert_arr_eq(block.data, expected + 3 * row, 3 * sizeof(leat_real));
            }
            cr_assert_eq(leat_table_next(t, 1, &block, &s), 0);
            cr_assert_eq(leat_table_next(t, 1, &block, &s), 0);
            cr_assert(has_shape(&block, 0, 3));
            for (int k = 0; forms[i].names[0] && k < 3; k++)
                cr_assert_str_eq(leat_table_names(t)[k], forms[i].names[k]);
            cr_assert_eq(s.code, LEAT_OK);
            leat_table_close(t);
        }
}

Test(csv, the_header_can_be_told)
{
    const leat_table_opts yes = { .header = LEAT_HEADER_YES }, no = { .header = LEAT_HEADER_NO };
    table t;
    leat_status s;

    cr_assert_eq(read_with("1,2\n3,4\n", 8, &yes, &t, &s), LEAT_OK);
    cr_assert(has_shape(&t.values, 1, 2));
    cr_assert_str_eq(t.names[1], "2");
    cr_assert_eq(read_with("1,2\n3,4\n", 8, &no, &t, &s), LEAT_OK);
    cr_assert(has_shape(&t.values, 2, 2) && t.names == NULL);
    cr_assert_eq(read_with("x,y\n3,4\n", 8, &no, &t, &s), LEAT_EFORMAT);
    check_message(&s, "line 1, column 1: \"x\" is not a number", "");
}

/* Text that nobody reads may be anything, even longer than the window. */
Test(csv, columns_that_are_not_chosen)
{
    enum { LONG = 700000 };
    static char text[LONG + 100];
    const leat_table_opts o = { .columns = "2" };
    table t;
    leat_status s;
    int n = sprintf(text, "note,x\n\"a, \"\"b\"\"\r\n\n,5\n\",7\nnan,8\n,9\n\"");

    memset(text + n, '\n', LONG);
    n += LONG;
    n += sprintf(text + n, "\",10\nc,zz\n");
    cr_assert_eq(read_with(text, (size_t)n, &o, &t, &s), LEAT_EFORMAT);
    check_message(&s, "line 700009, column 2 (x): \"zz\" is not a number", "");
    cr_assert_eq(read_with(text, (size_t)n - 5, &o, &t, &s), LEAT_OK, "%s", s.message);
    cr_assert(has_shape(&t.values, 4, 1));
    for (int i = 0; i < 4; i++)
        cr_assert_eq((double)t.values.data[i], 7 + i);
}

Test(csv, a_quote_left_open_does_not_take_all_memory)
{
    enum { SIZE = 40 << 20 };
    char *text = malloc(SIZE);
    table t;
    leat_status s;

    for (int i = 0; i < SIZE; i += 4)
        memcpy(text + i, "1,2\n", 4);
    text[6] = '"';
    cr_assert_eq(read_bytes(text, SIZE, &t, &s), LEAT_EFORMAT);
    check_message(&s, "line 2 has a text of over 8 MiB; is a closing quote missing?", "");
    free(text);
}

Test(csv, one_column_and_one_row)
{
    table t;
    leat_status s;
    cr_assert_eq(read_bytes("1\n2\n3\n", 6, &t, &s), LEAT_OK);
    cr_assert(has_shape(&t.values, 3, 1));
    cr_assert_eq(read_bytes("7", 1, &t, &s), LEAT_OK);
    cr_assert(has_shape(&t.values, 1, 1));
    cr_assert_eq(t.values.data[0], 7);
    cr_assert_eq(read_bytes("x,y\n", 4, &t, &s), LEAT_OK, "a header alone");
    cr_assert(has_shape(&t.values, 0, 2));
}

/* Rows as short as rows can be. */
Test(csv, many_rows)
{
    enum { ROWS = 50000 };
    static char text[2 * ROWS];
    table t;
    leat_status s;
    for (int i = 0; i < ROWS; i++) {
        text[2 * i] = (char)('0' + i % 10);
        text[2 * i + 1] = '\n';
    }
    for (size_t size = sizeof text - 1; size <= sizeof text; size++) {
        cr_assert_eq(read_bytes(text, size, &t, &s), LEAT_OK, "%s", s.message);
        cr_assert(has_shape(&t.values, ROWS, 1));
        for (int i = 0; i < ROWS; i++)
            cr_assert_eq(t.values.data[i], i % 10);
    }
}

/* `where` begins behind the file's name. */
typedef struct refusal {
    const char *text, *where;
} refusal;

static const refusal refusals[] = {
    { "", "there is nothing in it" },
    { "\xEF\xBB\xBF", "there is nothing in it" },
    { "\n1,2\n", "line 1 is blank" },
    { "1,2\n3\n", "line 2 has 1 columns, the first line has 2" },
    { "1,2\n3,4\n5,6,7\n", "line 3, column 3: \"7\" is one field more than the first line has" },
    { "x,y\n3\n", "line 2 has 1 columns, the first line has 2" },
    { "1,2\n3,\n", "line 2, column 2: \"\" is empty where a number is needed" },
    { "1,2\n,3\n", "line 2, column 1: \"\" is empty where a number is needed" },
    { "1,2,\n", "line 1, column 3: \"\" is empty where a number is needed" },
    { "1,2\n3,abc\n", "line 2, column 2: \"abc\" is not a number" },
    { "1,abc\n3,4\n", "line 1, column 2: \"abc\" is not a number" },
    { "x,y\na,b\n", "line 2, column 1 (x): \"a\" is not a number" },
    { "1,2\n3,4 5\n", "line 2, column 2: \"4 5\" is not a number" },
    { "1,2\n3,0x4\n", "line 2, column 2: \"0x4\" is not a number" },
    { "1,2\n3,1e\n", "line 2, column 2: \"1e\" is not a number" },
    { "1,2\n3,.\n", "line 2, column 2: \".\" is not a number" },
    { "1,2\n3,--4\n", "line 2, column 2: \"--4\" is not a number" },
    { "1;2\n3;1,5\n", "line 2, column 2: \"1,5\" is not a number, or one with a decimal comma" },
    { "1,2\n3,nan\n", "line 2, column 2: \"nan\" is not a finite number" },
    { "1,2\n-Inf,3\n", "line 2, column 1: \"-Inf\" is not a finite number" },
    { "inf,NaN\n", "line 1, column 1: \"inf\" is not a finite number" },
    { "1,2\n3,1e999\n", "line 2, column 2: \"1e999\" is too large a number" },
    { "1,2\n\n3,4\n", "line 2 is blank, and rows follow" },
    { "1,2\n3,\"4\n", "line 2, column 2: \"4\" has no closing quote" },
    { "1,2\n3,\"4\n5,6\n", "line 2, column 2: \"4\" has no closing quote" },
    { "x,\"y\nz\"\n1,2\n3,a\n", "line 4, column 2 (y?z): \"a\" is not a number" },
    { "x,y\n\"1\",\"\n2\"\n", "line 2, column 2 (y): \"?2\" is not a number" },
    { "1 2\n3 \"4\"5\n", "line 2, column 2: \"4\" is followed by more text behind its closing quote" },
    { "1,2\n3,4\r5,6\n", "line 2, column 2: \"4?5\" is not a number" },
    { "1,2\n3,4\"\n", "line 2, column 2: \"4\"\" is not a number" },
    { "1\t2\n\t3\n", "line 2, column 1: \"\" is empty where a number is needed" },
    { "1,2\n3,\"\"\n", "line 2, column 2: \"\" is empty where a number is needed" },
    { "\x93NUMPY\1", "it is a .npy file, and its name must say so" },
    { "1,2\n3,\"4\"5\n", "line 2, column 2: \"4\" is followed by more text behind its closing quote" },
    { "1,2\n3,\x01\x7F\xFF\n", "line 2, column 2: \"???\" is not a number" },
    { "1,2\n3,aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee\n",
      "line 2, column 2: \"aaaaaaaaaabbbbbbbbbbccccccccccdddddddddde"
      "eee...\" is not a number" },
};

/* All bytes at once, and in steps that cut every field in two. */
static void check_refusal_in_steps(const refusal *r)
{
    for (size_t step = 1; step < 20; step++) {
        leat_status s = { 0 };
        leat_tensor block;
        char expected[300];
        leat_table *t = leat_table_open_text(r->text, strlen(r->text), step, NULL, &s);

        while (t && leat_table_next(t, 1, &block, &s) > 0)
            cr_assert_neq(block.data, NULL);
        leat_table_close(t);
        snprintf(expected, sizeof expected, "text: %s", r->where);
        cr_expect_str_eq(s.message, expected, "step %zu: %s instead of %s", step, s.message, expected);
    }
}

Test(csv, refusals)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        char expected[300];
        table t;
        leat_status s;

        leat_code code = strstr(r->where, "finite") ? LEAT_ENONFINITE : LEAT_EFORMAT;

        cr_expect_eq(read_bytes(r->text, strlen(r->text), &t, &s), code, "%s", r->where);
        snprintf(expected, sizeof expected, "%s: %s", in_folder("a.csv"), r->where);
        cr_expect_str_eq(s.message, expected, "%s instead of %s", s.message, expected);
        cr_expect(t.values.data == NULL && t.names == NULL);
        check_refusal_in_steps(r);
    }
}

Test(csv, a_zero_byte_is_no_end_of_text)
{
    table t;
    leat_status s;
    cr_assert_eq(read_bytes("1,2\n3,4\0\n", 9, &t, &s), LEAT_EFORMAT);
    check_message(&s, "line 2, column 2", "\"4?\" is not a number");
}

Test(csv, beyond_float)
{
    table t;
    leat_status s;
    leat_code code = read_bytes("3e38\n4e38\n", 10, &t, &s);
    cr_assert_eq(code, sizeof(leat_real) == 4 ? LEAT_EFORMAT : LEAT_OK);
}

Test(csv, missing_file)
{
    table t;
    leat_status s = { 0 };
    cr_assert_eq(leat_table_read(in_folder("none.csv"), NULL, &arena, &t.values, &t.names, &s), LEAT_EIO);
    check_message(&s, "none.csv", "");
}

Test(csv, out_of_memory_at_every_call)
{
    const char *text = "x,y\n1,2\n3,4\n";
    spill(in_folder("a.csv"), text, strlen(text));
    for (long n = 0;; n++) {
        countdown c = { .left = n };
        leat_allocator allocator = countdown_allocator(&c);
        leat_arena a;
        table t;
        leat_status s = { 0 };

        leat_arena_init(&a, &allocator);
        leat_code code = leat_table_read(in_folder("a.csv"), &(leat_table_opts){ .allocator = &allocator }, &a,
                                         &t.values, &t.names, &s);
        leat_arena_free(&a);
        cr_assert_eq(c.live, 0);
        cr_assert(code == LEAT_OK || code == LEAT_ENOMEM, "%d %s", code, s.message);
        if (code == LEAT_OK) {
            cr_assert_gt(n, 1);
            break;
        }
    }
}

Test(csv, writes_what_reads_back)
{
    leat_real values[] = {
        1, (leat_real)2.2348, 2, (leat_real)-1e-30, 3, (leat_real)(1.0 / 3), 4, (leat_real)16777216
    };
    leat_tensor t = { values, LEAT_SHAPE(4, 2) };
    table back;
    leat_status s = { 0 };
    static const char *const names[] = { "epoch", "the \"loss\"" };

    cr_assert_eq(leat_table_write(in_folder("t.csv"), names, &t, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_table_read(in_folder("t.csv"), NULL, &arena, &back.values, &back.names, &s), LEAT_OK, "%s",
                 s.message);
    cr_assert(leat_shape_equal(&back.values.shape, &t.shape));
    cr_assert_arr_eq(back.values.data, values, sizeof values);
    cr_assert_str_eq(back.names[0], "epoch");
    cr_assert_str_eq(back.names[1], "the \"loss\"");
}

Test(csv, writes_few_digits)
{
    leat_real values[] = { 1, (leat_real)2.2348, 10, (leat_real)0.1 };
    leat_tensor t = { values, LEAT_SHAPE(2, 2) };
    leat_status s = { 0 };

    cr_assert_eq(leat_table_write(in_folder("t.csv"), (const char *const[]){ "epoch", "loss" }, &t, &s), LEAT_OK);
    bytes file = slurp(in_folder("t.csv"));
    cr_assert_eq(file.size, strlen("epoch,loss\n1,2.2348\n10,0.1\n"));
    cr_assert_arr_eq(file.data, "epoch,loss\n1,2.2348\n10,0.1\n", file.size);
    free(file.data);
}

/* A locale with a decimal comma, where the machine has one. */
Test(csv, the_locale_does_not_matter)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "fr_FR.utf8" };
    leat_real values[] = { (leat_real)1.5 };
    leat_tensor t = { values, LEAT_SHAPE(1, 1) };
    table back;
    leat_status s = { 0 };

    for (size_t i = 0; i < sizeof names / sizeof *names && !setlocale(LC_ALL, names[i]); i++) {
    }
    cr_assert_eq(leat_table_write(in_folder("t.csv"), NULL, &t, &s), LEAT_OK);
    bytes file = slurp(in_folder("t.csv"));
    cr_assert_arr_eq(file.data, "1.5\n", 4);
    cr_assert_eq(leat_table_read(in_folder("t.csv"), NULL, &arena, &back.values, &back.names, &s), LEAT_OK, "%s",
                 s.message);
    cr_assert_eq(back.values.data[0], (leat_real)1.5);
    free(file.data);
    setlocale(LC_ALL, "C");
}
