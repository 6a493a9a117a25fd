/* .npy: every dtype against NumPy's own conversion, byte-exact writing, and files that are not what they claim. */
#include "file_helpers.h"
#include "../../tensor/files/convert.h"
#include "../../tensor/files/files.h"

#include <errno.h>
#include <math.h>

static leat_arena arena, scratch;

static void set_up(void)
{
    make_folder();
    leat_arena_init(&arena, NULL);
    leat_arena_init(&scratch, NULL);
}

static void tear_down(void)
{
    leat_arena_free(&arena);
    leat_arena_free(&scratch);
    remove_folder();
}

TestSuite(npy, .init = set_up, .fini = tear_down);

static leat_code parse(const void *data, size_t size, leat_tensor *t, leat_status *s)
{
    bytes b = exactly(data, size);
    leat_code code = leat_npy_parse(b.data, b.size, "x.npy", &scratch, &arena, t, s);
    free(b.data);
    cr_assert_eq(scratch.in_use, 0u);
    cr_assert_eq(code == LEAT_OK, t->data != NULL);
    if (code)
        cr_assert_eq(arena.in_use, 0u);
    return code;
}

static bool has_shape(const leat_tensor *t, leat_shape shape)
{
    return leat_shape_equal(&t->shape, &shape);
}

/* In the order of make.py. */
static const char *const names[] = {
    "f2_le", "f4_le", "f8_le", "i2_le",      "u2_le",      "i4_le", "u4_le", "i8_le", "u8_le",
    "f2_be", "f4_be", "f8_be", "i2_be",      "u2_be",      "i4_be", "u4_be", "i8_be", "u8_be",
    "i1",    "u1",    "b1",    "f4_fortran", "i2_fortran", "f8_v2", "f4_v3",
};
enum { NAMES = sizeof names / sizeof *names, NUMBERS = 12 };

Test(npy, every_dtype_as_numpy_converts_it)
{
    char path[256];
    snprintf(path, sizeof path, FIXTURE("expected_npy_%s.bin"), REAL_TAG);
    bytes expected = slurp(path);
    cr_assert_eq(expected.size, NAMES * NUMBERS * sizeof(leat_real));
    for (size_t i = 0; i < NAMES; i++) {
        leat_tensor t;
        leat_status s = { 0 };
        snprintf(path, sizeof path, FIXTURE("%s.npy"), names[i]);
        cr_assert_eq(leat_npy_read(path, &arena, &t, &s), LEAT_OK, "%s", s.message);
        cr_assert(has_shape(&t, LEAT_SHAPE(2, 3, 2)), "%s", names[i]);
        const leat_real *want = (const leat_real *)(const void *)expected.data + i * NUMBERS;
        for (int k = 0; k < NUMBERS; k++)
            cr_assert_eq(memcmp(&t.data[k], &want[k], sizeof *want), 0, "%s[%d]: %a, not %a", names[i], k,
                         (double)t.data[k], (double)want[k]);
    }
    free(expected.data);
}

Test(npy, all_halves_and_bfloats)
{
    for (unsigned i = 0; i < 0x10000; i++) {
        const char in[2] = { (char)(i & 0xFF), (char)(i >> 8) };
        double sign = i >> 15 ? -1 : 1, want;
        int exponent = i >> 10 & 0x1F, fraction = i & 0x3FF;
        leat_real x;
        leat_convert(LEAT_DTYPE_F16, false, in, 1, &x);
        if (exponent == 31)
            want = fraction ? (double)NAN : HUGE_VAL;
        else
            want = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        cr_assert(isnan(want) ? isnan(x) : (double)x == sign * want, "%04x: %a", i, (double)x);
        cr_assert_eq(!!signbit(x), i >> 15);

        leat_convert(LEAT_DTYPE_BF16, false, in, 1, &x);
        exponent = i >> 7 & 0xFF, fraction = i & 0x7F;
        if (exponent == 255)
            want = fraction ? (double)NAN : HUGE_VAL;
        else
            want = exponent ? ldexp(128 + fraction, exponent - 134) : ldexp(fraction, -133);
        cr_assert(isnan(want) ? isnan(x) : (double)x == sign * want, "%04x: %a", i, (double)x);
        cr_assert_eq(!!signbit(x), i >> 15);
    }
}

/* More than one block, and no block's multiple. */
Test(npy, long_arrays_of_either_byte_order)
{
    enum { N = 1000 };
    static char in[2][N * 4 + 1];
    static leat_real out[2][N];
    for (int i = 0; i < N; i++) {
        int32_t x = i * 65537 - 1000000;
        for (int b = 0; b < 4; b++) {
            in[0][1 + i * 4 + b] = (char)((uint32_t)x >> 8 * b & 0xFF);
            in[1][1 + i * 4 + 3 - b] = (char)((uint32_t)x >> 8 * b & 0xFF);
        }
    }
    leat_convert(LEAT_DTYPE_I32, false, in[0] + 1, N, out[0]);
    leat_convert(LEAT_DTYPE_I32, true, in[1] + 1, N, out[1]);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(out[0][i], (leat_real)(i * 65537 - 1000000));
        cr_assert_eq(out[1][i], out[0][i]);
    }
}

/* ---- round trips and writing ------------------------------------------------------------------------------------- */

static leat_tensor arange(leat_shape shape)
{
    leat_tensor t = leat_tensor_new(&arena, shape, NULL);
    for (int64_t i = 0; i < leat_shape_count(&shape); i++)
        t.data[i] = (leat_real)i;
    return t;
}

Test(npy, writes_what_numpy_writes)
{
    const leat_shape shapes[] = { leat_shape_of(0, NULL),
                                  LEAT_SHAPE(5),
                                  LEAT_SHAPE(2, 3),
                                  LEAT_SHAPE(0, 7),
                                  LEAT_SHAPE(1, 2, 1, 3, 1, 2),
                                  LEAT_SHAPE(12345, 0, 12345678901234) };
    for (int i = 0; i < 6; i++) {
        char path[256];
        leat_tensor t = arange(shapes[i]), back;
        snprintf(path, sizeof path, FIXTURE("written%d_f%d.npy"), i, (int)sizeof(leat_real));
        cr_assert_eq(leat_npy_write(in_folder("x.npy"), &t, NULL), LEAT_OK);
        bytes got = slurp(in_folder("x.npy")), want = slurp(path);
        cr_assert_eq(got.size, want.size, "%d", i);
        cr_assert_eq(memcmp(got.data, want.data, want.size), 0, "%d", i);
        free(got.data);
        free(want.data);

        cr_assert_eq(leat_npy_read(path, &arena, &back, NULL), LEAT_OK);
        cr_assert(leat_shape_equal(&back.shape, &shapes[i]));
        cr_assert_eq(memcmp(back.data, t.data, (size_t)leat_shape_count(&shapes[i]) * sizeof *t.data), 0);
    }
}

Test(npy, round_trip_keeps_every_bit)
{
    leat_tensor t = arange(LEAT_SHAPE(3, 1, 5, 7)), back;
    for (size_t i = 0; i < 105 * sizeof(leat_real); i++)
        ((unsigned char *)t.data)[i] = (unsigned char)(i * 2654435761u >> 11); /* NaN with a payload among them */
    memset(t.data, 0xFF, sizeof(leat_real));
    t.data[1] = (leat_real)-0.0;
    cr_assert_eq(leat_npy_write(in_folder("x.npy"), &t, NULL), LEAT_OK);
    cr_assert_eq(leat_npy_read(in_folder("x.npy"), &arena, &back, NULL), LEAT_OK);
    cr_assert(leat_shape_equal(&back.shape, &t.shape));
    cr_assert_eq(memcmp(back.data, t.data, 105 * sizeof(leat_real)), 0);
}

Test(npy, writing_refuses_what_it_must)
{
    leat_real number = 1;
    leat_tensor t = { &number, { .rank = 7 } };
    leat_status s = { 0 };
    cr_assert_eq(leat_npy_write(in_folder("x.npy"), &t, &s), LEAT_ESHAPE);
    check_message(&s, in_folder("x.npy"), "shape");
    t.shape = LEAT_SHAPE(-1);
    cr_assert_eq(leat_npy_write(in_folder("x.npy"), &t, NULL), LEAT_ESHAPE);
    t.shape = LEAT_SHAPE(1);
    cr_assert_eq(leat_npy_write(in_folder("none/x.npy"), &t, NULL), LEAT_EIO);
    cr_assert_eq(files_in_folder(false), 0);
}

/* ---- hostile files ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *header;
    size_t data;
    const char *reason;
} headers[] = {
    { "", 0, "expected '{'" },
    { "{}", 0, "lacks descr" },
    { "{'descr': '<f4'}", 0, "lacks fortran_order" },
    { "{'descr': '<f4', 'fortran_order': False}", 0, "lacks shape" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", 8, "expected '}'" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,) 'x': 1}", 8, "expected '}'" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }x", 8, "text behind" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", 8, "unknown key 'x'" },
    { "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8, "second time" },
    { "{'descr' '<f4', 'fortran_order': False, 'shape': (2,)}", 8, "expected ':'" },
    { "{descr: '<f4', 'fortran_order': False, 'shape': (2,)}", 8, "text in quotes" },
    { "{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}", 8, "'<f4, ' is not supported" },
    { "{'descr': '<f4", 8, "without an end" },
    { "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (2,)}", 8, "unexpected text" },
    { "{'descr': 'a very long text that no dtype has, ever', 'shape': (2,)}", 8, "unexpected text" },
    { "{'descr': '', 'fortran_order': False, 'shape': (2,)}", 8, "not supported" },
    { "{'descr': 'f4', 'fortran_order': False, 'shape': (2,)}", 8, "not supported" },
    { "{'descr': '<f', 'fortran_order': False, 'shape': (2,)}", 8, "not supported" },
    { "{'descr': '<f44', 'fortran_order': False, 'shape': (2,)}", 8, "not supported" },
    { "{'descr': '|f4', 'fortran_order': False, 'shape': (2,)}", 8, "not supported" },
    { "{'descr': '<f16', 'fortran_order': False, 'shape': (2,)}", 32, "not supported" },
    { "{'descr': '|V4', 'fortran_order': False, 'shape': (2,)}", 8, "not supported" },
    { "{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (2,)}", 8, "structured" },
    { "{'descr': 4, 'fortran_order': False, 'shape': (2,)}", 8, "text in quotes" },
    { "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", 8, "neither True nor False" },
    { "{'descr': '<f4', 'fortran_order': 'False', 'shape': (2,)}", 8, "neither True nor False" },
    { "{'descr': '<f4', 'fortran_order': Falsely, 'shape': (2,)}", 8, "expected '}'" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': [2]}", 8, "expected '('" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", 8, "expected ','" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", 8, "expected a size" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}", 8, "expected ','" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2 3)}", 8, "expected ','" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,)}", 8, "expected ','" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", 8, "negative size" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -2)}", 8, "negative size" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2", 8, "expected ','" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (", 8, "expected a size" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 2)}", 8, "rank above 6" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", 8, "out of range" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999999,)}", 8, "out of range" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,)}", 8, "no memory could" },
    { "{'descr': '|u1', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", 0, "no memory could" },
    { "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 0, "no memory could" },
    { "{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846975,)}", 8, "8 bytes of data where" },
    { "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,)}", 8, "8 bytes of data where" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 7, "7 bytes of data where shape [2] wants 2" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 9, "9 bytes of data where" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 12, "12 bytes of data where" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 0, "0 bytes of data where" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", 4, "4 bytes of data where" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 8, "8 bytes of data where shape [] wants 1" },
};

static size_t put_file(char *file, const char *header, size_t data)
{
    size_t n = strlen(header);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (char)n;
    file[9] = 0;
    memcpy(file + 10, header, n);
    memset(file + 10 + n, 0, data);
    return 10 + n + data;
}

Test(npy, refuses_headers_and_says_why)
{
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        char file[512];
        leat_tensor t;
        leat_status s = { 0 };
        size_t size = put_file(file, headers[i].header, headers[i].data);
        cr_assert_eq(parse(file, size, &t, &s), LEAT_EFORMAT, "%s", headers[i].header);
        check_message(&s, "x.npy: byte ", headers[i].reason);
    }
}

Test(npy, reads_headers_in_other_words)
{
    static const char *const others[] = {
        "{'descr': '<i2', 'fortran_order': False, 'shape': (3, 2)}",
        "{\"shape\":(3L,2L,),\"fortran_order\":False,\"descr\":\"=i2\"}  \n",
        " { 'shape' : ( 3 , 2 ) , 'descr' : '<i2' , 'fortran_order' : False , } ",
    };
    for (int i = 0; i < 3; i++) {
        char file[256];
        leat_tensor t;
        leat_status s = { 0 };
        size_t size = put_file(file, others[i], 12);
        file[size - 2] = 7;
        cr_assert_eq(parse(file, size, &t, &s), LEAT_OK, "%s", s.message);
        cr_assert(has_shape(&t, LEAT_SHAPE(3, 2)));
        cr_assert_eq(t.data[5], 7);
    }
}

Test(npy, refuses_what_numpy_cannot_mean_as_numbers)
{
    static const char *const files[][2] = {
        { FIXTURE("bad_object.npy"), "dtype '|O'" },   { FIXTURE("bad_structured.npy"), "structured" },
        { FIXTURE("bad_complex.npy"), "dtype '<c8'" }, { FIXTURE("bad_text.npy"), "dtype '<U2'" },
        { FIXTURE("bad_date.npy"), "dtype '<M8[D]'" }, { FIXTURE("bad_rank.npy"), "rank above 6" },
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        leat_tensor t;
        leat_status s = { 0 };
        cr_assert_eq(leat_npy_read(files[i][0], &arena, &t, &s), LEAT_EFORMAT);
        check_message(&s, files[i][0], files[i][1]);
    }
}

Test(npy, refuses_other_files)
{
    static const struct {
        const char *data;
        size_t size;
        const char *reason;
    } files[] = {
        { "", 0, "not a .npy file" },
        { "\x93NUMPX\1\0\0\0", 10, "not a .npy file" },
        { "PK\3\4 this is an .npz", 19, "not a .npy file" },
        { "\x93NUMPY\0\0\0\0", 10, "format version 0.0" },
        { "\x93NUMPY\4\0\0\0", 10, "format version 4.0" },
        { "\x93NUMPY\1\1\0\0", 10, "format version 1.1" },
        { "\x93NUMPY\1\0\1", 9, "ends before the header" },
        { "\x93NUMPY\2\0\1\0\0", 11, "ends before the header" },
        { "\x93NUMPY\1\0\xFF\xFF{}", 12, "a header of 65535 bytes where the file has 2 left" },
        { "\x93NUMPY\2\0\xFF\xFF\xFF\xFF{}", 14, "a header of 4294967295 bytes" },
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        leat_tensor t;
        leat_status s = { 0 };
        cr_assert_eq(parse(files[i].data, files[i].size, &t, &s), LEAT_EFORMAT);
        check_message(&s, "x.npy: byte ", files[i].reason);
    }
}

Test(npy, a_missing_file_is_named)
{
    leat_tensor t;
    leat_status s = { 0 };
    cr_assert_eq(leat_npy_read(in_folder("none.npy"), &arena, &t, &s), LEAT_EIO);
    check_message(&s, in_folder("none.npy"), strerror(ENOENT));
    cr_assert(t.data == NULL);
}

static const char *const small[] = { FIXTURE("f4_le.npy"), FIXTURE("i2_fortran.npy"), FIXTURE("f8_v2.npy") };

Test(npy, truncated_or_extended_is_refused)
{
    for (int i = 0; i < 3; i++) {
        bytes file = slurp(small[i]);
        leat_tensor t;
        for (size_t n = 0; n < file.size; n++)
            cr_assert_eq(parse(file.data, n, &t, NULL), LEAT_EFORMAT, "%zu", n);
        char *longer = calloc(1, file.size + 8);
        memcpy(longer, file.data, file.size);
        for (size_t n = 1; n <= 8; n++)
            cr_assert_eq(parse(longer, file.size + n, &t, NULL), LEAT_EFORMAT, "%zu", n);
        free(longer);
        free(file.data);
    }
}

Test(npy, mutations_do_no_harm)
{
    for (int i = 0; i < 3; i++) {
        bytes file = slurp(small[i]);
        for (size_t at = 0; at < file.size; at++) {
            char old = file.data[at];
            for (int value = 0; value < 256; value++) {
                leat_tensor t;
                leat_status s = { 0 };
                file.data[at] = (char)value;
                if (parse(file.data, file.size, &t, &s) == LEAT_OK)
                    cr_assert_leq(leat_shape_count(&t.shape), 96);
                else
                    check_message(&s, "x.npy", ": ");
                leat_arena_reset(&arena);
            }
            file.data[at] = old;
        }
        free(file.data);
    }
}

Test(npy, out_of_memory_is_a_status)
{
    enum { N = 20000 }; /* more than an arena's first piece */
    leat_tensor big = arange(LEAT_SHAPE(N / 2, 2)), t;
    cr_assert_eq(leat_npy_write(in_folder("x.npy"), &big, NULL), LEAT_OK);
    bytes file = slurp(in_folder("x.npy"));
    char *order = strstr(file.data + 10, "False,");
    memcpy(order, "True ,", 6); /* so that there is something to reorder, too */
    spill(in_folder("x.npy"), file.data, file.size);
    free(file.data);
    for (long limit = 0;; limit++) {
        countdown c = { .left = limit };
        leat_allocator allocator = countdown_allocator(&c);
        leat_arena a;
        leat_status s = { 0 };
        leat_arena_init(&a, &allocator);
        leat_code code = leat_npy_read(in_folder("x.npy"), &a, &t, &s);
        cr_assert_eq(code == LEAT_OK, t.data != NULL);
        if (code) {
            cr_assert_eq(code, LEAT_ENOMEM);
            cr_assert_eq(a.in_use, 0u);
            check_message(&s, in_folder("x.npy"), "out of memory");
        } else {
            cr_assert_eq(t.data[1], (leat_real)(N / 2));
        }
        leat_arena_free(&a);
        cr_assert_eq(c.live, 0);
        if (code == LEAT_OK) {
            cr_assert_geq(limit, 3);
            return;
        }
    }
}
