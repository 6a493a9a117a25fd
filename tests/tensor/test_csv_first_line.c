/* What stands in front of a table's rows as text: comments, headers, and what is guessed of them. */
#include "file_helpers.h"
#include "../../tensor/files/table.h"

/* A text, the names that it has ("" for none), how many rows, and words of the note on it ("" for no note); or the words of
 * a refusal, with -1 rows. */
typedef struct first_line {
    const char *text, *names;
    int rows;
    const char *note;
    leat_table_opts opts;
} first_line;

static const char *const known[] = { "1", "0" };

static const first_line lines[] = {
    /* a header or data */
    { "a,b\n1,2\n3,4\n", "a|b", 2, "", { 0 } },
    { "1.5,2\n3,4\n", "", 2, "", { 0 } },
    { "0,1\n3,4\n", "", 2, "0, 1, ..", { 0 } },
    { "0\n1\n", "", 2, "", { 0 } },
    { "1,0\n3,4\n", "", 2, "", { 0 } },
    { "0,1\n3,4\n", "0|1", 1, "", { .header = LEAT_HEADER_YES } },
    { "0,1\n3,4\n", "", 2, "", { .header = LEAT_HEADER_NO } },
    { "0,1\n3,4\n", "0|1", 1, "", { .known_names = known, .known_count = 2 } },
    { "1,x,0\n3,4,5\n", "1|x|0", 1, "", { .known_names = known, .known_count = 2 } },
    { "\"0\",\"1\"\n3,4\n", "0|1", 1, "", { .known_names = known, .known_count = 2 } },
    { "0,2\n3,4\n", "", 2, "", { .known_names = known, .known_count = 2 } },
    { "0,1\n3,4\n", "", 2, "", { .known_names = known, .known_count = 2, .header = LEAT_HEADER_NO } },
    { "1999,2000,2005\n3,4,5\n", "", 2, "years", { 0 } },
    { "1999,1998\n3,4\n", "", 2, "", { 0 } },
    { "1999.5,2000\n3,4\n", "", 2, "", { 0 } },
    { ",0,1\n0,3,4\n1,5,6\n", "|0|1", 2, "", { 0 } },
    { ",0,2\n0,3,4\n", "line 1, column 1: \"\" is empty", -1, "", { 0 } },
    /* comments, as numpy.savetxt writes them */
    { "# a b\n1 2\n3 4\n", "a|b", 2, "", { 0 } },
    { "# a,b\n1,2\n3,4\n", "a|b", 2, "", { 0 } },
    { "#a,b\r\n1,2\r\n3,4\r\n", "a|b", 2, "", { 0 } },
    { "# a b\n1,2\n3,4\n", "a|b", 2, "comment", { 0 } },
    { "# \"a, x\",b\n1,2\n3,4\n", "a, x|b", 2, "", { 0 } },
    { "# a b c\n1 2\n3 4\n", "", 2, "", { 0 } },
    { "# made on a Friday\n# a b\n1 2\n3 4\n", "a|b", 2, "", { 0 } },
    { "# a b\n1 2\n3 4\n", "", 2, "", { .header = LEAT_HEADER_NO } },
    { "# a b\n1 2\n3 4\n", "a|b", 2, "", { .header = LEAT_HEADER_YES } },
    { "# made by hand\n0,1\n3,4\n", "0|1", 1, "", { .header = LEAT_HEADER_YES } },
    { "# made by hand\na,b\n3,4\n", "a|b", 1, "", { 0 } },
    { "# 5 6\n1 2\n3 4\n", "", 2, "", { 0 } },
    { "# 0 1\n1 2\n3 4\n", "0|1", 2, "", { .known_names = known, .known_count = 2 } },
    { "# x\n1\n2\n", "x", 2, "", { 0 } },
    { "# a whole sentence\n1\n2\n", "", 2, "", { 0 } },
    { "\xEF\xBB\xBF# a b\n1 2\n", "a|b", 1, "", { 0 } },
    { "a,b\n# one\n1,2\n  # two\n3,4\n# three", "a|b", 2, "", { 0 } },
    { "\"#a\",b\n1,2\n", "#a|b", 1, "", { 0 } },
    { "c,x\n#f00,1\n#0f0,2\n", "x", 2, "", { .columns = "x" } },
    { "# nothing\n", "there is nothing in it but comments", -1, "", { 0 } },
    { "# a\n1,2\n3,x\n", "line 3, column 2: \"x\"", -1, "", { 0 } },
    { "# a\n\n1,2\n", "line 2 is blank", -1, "", { 0 } },
    /* what stands between fields, and in numbers */
    { "a|b\n1|2\n", "a|b", 1, "", { .delimiter = '|' } },
    { "a,x:b\n1:2\n", "a,x|b", 1, "", { .delimiter = ':' } },
    { "a;x,b\n1,2\n", "a;x|b", 1, "", { .delimiter = ',' } },
    { "a b\n1  2\n", "a|b", 1, "", { .delimiter = ' ' } },
    { "\"a|x\"|b\n1|2\n", "a|x|b", 1, "", { .delimiter = '|' } },
    { "a,b\n1,2\n", "cannot stand between 'e'", -1, "", { .delimiter = 'e' } },
    { "a,b\n1,2\n", "cannot stand between ','", -1, "", { .delimiter = ',', .decimal = ',' } },
    { "a,b\n1,2\n", "decimal mark", -1, "", { .decimal = '\'' } },
    { "1;1.5\n2;1,000\n", "line 1, column 2: \"1.5\" is not a number", -1, "", { .decimal = ',' } },
    { "1;1,000,5\n", "\"1,000,5\" is not a number", -1, "", { .decimal = ',' } },
    { "1;1,5\n", "is not a number, or one with a decimal comma", -1, "", { 0 } },
    /* lines that end in CR alone */
    { "a,b\r1,2\r3,4\r", "line 1 ends in CR alone", -1, "", { 0 } },
    { "1 2\r3 4", "line 1 ends in CR alone", -1, "", { 0 } },
};

enum { LINES = sizeof lines / sizeof *lines };

static void join(const char *const *names, int64_t count, char out[64])
{
    *out = '\0';
    for (int64_t i = 0; names && i < count; i++)
        strcat(strcat(out, i ? "|" : ""), names[i]);
}

/* In every step the same. */
static void check_line(const first_line *l, size_t step)
{
    leat_status s = { 0 };
    leat_tensor block;
    int64_t rows = 0, n = 0;
    char names[64] = "";
    leat_table *t = leat_table_open_text(l->text, strlen(l->text), step, &l->opts, &s);

    if (t) {
        join(leat_table_names(t), leat_table_columns(t), names);
        while ((n = leat_table_next(t, 1, &block, &s)) > 0)
            rows += n;
    }
    if (l->rows < 0) {
        cr_assert(!t || n < 0, "taken, in steps of %zu: %s", step, l->text);
        check_message(&s, l->names, "");
    } else {
        cr_assert(t && n == 0, "%s in steps of %zu of %s", s.message, step, l->text);
        cr_assert_str_eq(names, l->names, "names %s in steps of %zu of %s", names, step, l->text);
        cr_assert_eq(rows, l->rows, "%lld rows in steps of %zu of %s", (long long)rows, step, l->text);
        const char *note = leat_table_note(t);
        cr_assert(*l->note ? note && strstr(note, l->note) : !note, "note %s on %s", note ? note : "", l->text);
    }
    leat_table_close(t);
}

Test(csv_first_line, what_it_is_taken_for)
{
    for (int i = 0; i < LINES; i++)
        for (size_t step = 1; step < 50; step += 3)
            check_line(&lines[i], step);
}

Test(csv_first_line, decimal_commas)
{
    static const char text[] = "x,y;z\n1,5;-,25\n\"3,\";+2,5e1\n4;1e2\n";
    static const leat_real expected[] = { (leat_real)1.5, (leat_real)-0.25, 3, 25, 4, 100 };
    leat_status s = { 0 };
    leat_tensor block;
    leat_table *t = leat_table_open_text(text, strlen(text), 7, &(leat_table_opts){ .decimal = ',' }, &s);

    cr_assert(t != NULL, "%s", s.message);
    cr_assert_str_eq(leat_table_names(t)[0], "x,y");
    cr_assert_eq(leat_table_next(t, 10, &block, &s), 3, "%s", s.message);
    cr_assert_arr_eq(block.data, expected, sizeof expected);
    leat_table_close(t);
}

/* A name that a comment would begin with comes back from a file. */
Test(csv_first_line, a_written_name_is_no_comment)
{
    const char *const names[] = { "#a", "b" };
    leat_real values[] = { 1, 2 };
    leat_tensor rows = { values, LEAT_SHAPE(1, 2) };
    const char *const *back;
    leat_arena a;
    leat_status s = { 0 };

    make_folder();
    leat_arena_init(&a, NULL);
    cr_assert_eq(leat_table_write(in_folder("x.csv"), names, &rows, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_table_read(in_folder("x.csv"), NULL, &a, &rows, &back, &s), LEAT_OK, "%s", s.message);
    cr_assert(back && strcmp(back[0], "#a") == 0);
    leat_arena_free(&a);
    remove_folder();
}

Test(csv_first_line, columns_by_place)
{
    static const char text[] = "1,1,2\n3,4,5\n";
    const leat_table_opts header = { .header = LEAT_HEADER_YES };
    leat_status s = { 0 };
    leat_tensor block;
    leat_table *t = leat_table_open_text(text, strlen(text), 99, &header, &s);

    cr_assert_eq(leat_table_select_places(t, (int64_t[]){ 3, 2 }, 2, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_table_select(t, "#2,#1", &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_table_next(t, 1, &block, &s), 1);
    cr_assert(block.shape.size[1] == 2 && block.data[0] == 4 && block.data[1] == 3);
    leat_table_close(t);
    t = leat_table_open_text(text, strlen(text), 99, &header, &s);
    cr_assert_eq(leat_table_select_places(t, (int64_t[]){ 4 }, 1, &s), LEAT_EARG);
    check_message(&s, "there is no column 4", "1 to 3");
    leat_table_close(t);
}
