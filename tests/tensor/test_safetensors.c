/* safetensors: files by PyTorch, round trips, the exact bytes written, and files that are not what they claim. */
#include "file_helpers.h"
#include "../../tensor/files/files.h"

#include <errno.h>

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

TestSuite(safetensors, .init = set_up, .fini = tear_down);

static leat_code parse(const void *data, size_t size, leat_safetensors *f, leat_status *s)
{
    bytes b = exactly(data, size);
    leat_code code = leat_safetensors_parse(b.data, b.size, "x", &scratch, &arena, f, s);
    free(b.data);
    cr_assert_eq(scratch.in_use, 0u);
    if (code) {
        cr_assert(f->count == 0 && f->entries == NULL && f->metadata_count == 0 && f->metadata == NULL);
        cr_assert_eq(arena.in_use, 0u);
    }
    return code;
}

static bool has_shape(const leat_tensor *t, leat_shape shape)
{
    return t && leat_shape_equal(&t->shape, &shape);
}

/* ---- PyTorch ----------------------------------------------------------------------------------------------------- */

/* In the order of make.py. */
static const char *const names[] = { "bool",   "int8",   "int16",    "int32",   "int64",   "uint8",  "uint16",
                                     "uint32", "uint64", "bfloat16", "float16", "float32", "float64" };
enum { NAMES = sizeof names / sizeof *names, NUMBERS = 12 };

Test(safetensors, every_dtype_as_pytorch_converts_it)
{
    char path[256];
    leat_safetensors f;
    leat_status s = { 0 };
    snprintf(path, sizeof path, FIXTURE("expected_torch_%s.bin"), REAL_TAG);
    bytes expected = slurp(path);
    cr_assert_eq(expected.size, NAMES * NUMBERS * sizeof(leat_real));
    cr_assert_eq(leat_safetensors_read(FIXTURE("torch.safetensors"), &arena, &f, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(f.count, NAMES + 3);
    for (size_t i = 0; i < NAMES; i++) {
        const leat_tensor *t = leat_safetensors_find(&f, names[i]);
        cr_assert(has_shape(t, LEAT_SHAPE(2, 3, 2)), "%s", names[i]);
        const leat_real *want = (const leat_real *)(const void *)expected.data + i * NUMBERS;
        for (int k = 0; k < NUMBERS; k++)
            cr_assert_eq(memcmp(&t->data[k], &want[k], sizeof *want), 0, "%s[%d]: %a, not %a", names[i], k,
                         (double)t->data[k], (double)want[k]);
    }
    free(expected.data);

    const leat_tensor *t = leat_safetensors_find(&f, "scalar");
    cr_assert(has_shape(t, leat_shape_of(0, NULL)) && t->data[0] == (leat_real)2.5);
    cr_assert(has_shape(leat_safetensors_find(&f, "empty"), LEAT_SHAPE(3, 0)));
    t = leat_safetensors_find(&f, "odd name \"\\ \xC3\xA9 \xF0\x9F\x98\x80\t");
    cr_assert(has_shape(t, LEAT_SHAPE(1, 2, 1, 3, 1, 1)) && t->data[5] == 5);
    cr_assert(leat_safetensors_find(&f, "none") == NULL);

    cr_assert_eq(f.metadata_count, 2);
    cr_assert_str_eq(leat_safetensors_metadata(&f, "model"), "nice");
    cr_assert_str_eq(leat_safetensors_metadata(&f, "note"), "line\nquote \" \xC3\xA9");
    cr_assert(leat_safetensors_metadata(&f, "none") == NULL);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static leat_tensor noise(leat_shape shape, unsigned seed)
{
    leat_tensor t = leat_tensor_new(&arena, shape, NULL);
    for (size_t i = 0; i < (size_t)leat_shape_count(&shape) * sizeof(leat_real); i++)
        ((unsigned char *)t.data)[i] = (unsigned char)((i + seed) * 2654435761u >> 11);
    return t;
}

Test(safetensors, round_trip_keeps_order_and_every_bit)
{
    leat_safetensors_entry entries[] = {
        { "z.weight", noise(LEAT_SHAPE(3, 5), 1), NULL },
        { "a.bias", noise(LEAT_SHAPE(7), 2), NULL },
        { "empty", noise(LEAT_SHAPE(0, 4), 3), NULL },
        { "\xC3\xA9\n\"\\", noise(leat_shape_of(0, NULL), 4), NULL },
        { "m", noise(LEAT_SHAPE(1, 2, 1, 2, 1, 3), 5), NULL },
        { "also empty", noise(LEAT_SHAPE(0), 6), NULL },
        { "", noise(LEAT_SHAPE(2), 7), NULL },
    };
    const char *metadata[][2] = { { "z", "" }, { "a", "{\"json\":[1,2]}\n" }, { "", "\x01" } };
    leat_safetensors f = { .count = 7, .entries = entries, .metadata_count = 3, .metadata = metadata }, back;
    leat_status s = { 0 };
    cr_assert_eq(leat_safetensors_write(in_folder("x"), &f, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_safetensors_read(in_folder("x"), &arena, &back, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(back.count, 7);
    for (int i = 0; i < 7; i++) {
        const leat_tensor *t = &entries[i].tensor, *b = &back.entries[i].tensor;
        cr_assert_str_eq(back.entries[i].name, entries[i].name);
        cr_assert(leat_shape_equal(&t->shape, &b->shape));
        cr_assert_eq(memcmp(t->data, b->data, (size_t)leat_shape_count(&t->shape) * sizeof(leat_real)), 0);
    }
    cr_assert_eq(back.metadata_count, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert_str_eq(back.metadata[i][0], metadata[i][0]);
        cr_assert_str_eq(back.metadata[i][1], metadata[i][1]);
    }
}

Test(safetensors, the_bytes_written)
{
    leat_real numbers[] = { 1, 2, 3 };
    leat_safetensors_entry entries[] = { { "w", { numbers, LEAT_SHAPE(1, 2) }, NULL },
                                         { "b", { numbers + 2, LEAT_SHAPE(1) }, NULL } };
    const char *metadata[][2] = { { "k", "v" } };
    leat_safetensors f = { .count = 2, .entries = entries, .metadata_count = 1, .metadata = metadata };
    const char *header =
        sizeof(leat_real) == 8
            ? "{\"__metadata__\":{\"k\":\"v\"},\"w\":{\"dtype\":\"F64\",\"shape\":[1,2],\"data_offsets\":[0,16]},"
              "\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[16,24]}}"
            : "{\"__metadata__\":{\"k\":\"v\"},\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
              "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}";
    cr_assert_eq(leat_safetensors_write(in_folder("x"), &f, NULL), LEAT_OK);
    bytes got = slurp(in_folder("x"));
    cr_assert_eq(got.size, 192 + sizeof numbers);
    cr_assert_eq(memcmp(got.data, "\xB8\0\0\0\0\0\0\0", 8), 0, "184 bytes of header");
    cr_assert_eq(memcmp(got.data + 8, header, strlen(header)), 0);
    for (size_t i = 8 + strlen(header); i < 192; i++)
        cr_assert_eq(got.data[i], ' ');
    cr_assert_eq(memcmp(got.data + 192, numbers, sizeof numbers), 0);
    free(got.data);
}

/* Names of all lengths, so that all lengths of padding occur. */
Test(safetensors, data_are_aligned)
{
    leat_real number = 7;
    char name[70] = "";
    for (int n = 0; n < 66; n++) {
        leat_safetensors_entry entry = { name, { &number, LEAT_SHAPE(1) }, NULL };
        leat_safetensors f = { .count = 1, .entries = &entry }, back;
        memset(name, 'n', (size_t)n);
        cr_assert_eq(leat_safetensors_write(in_folder("x"), &f, NULL), LEAT_OK);
        bytes got = slurp(in_folder("x"));
        cr_assert_eq((8u + (unsigned char)got.data[0] + 256u * (unsigned char)got.data[1]) % 64, 0u);
        cr_assert_eq(parse(got.data, got.size, &back, NULL), LEAT_OK);
        cr_assert_eq(back.entries[0].tensor.data[0], 7);
        free(got.data);
    }
}

Test(safetensors, nothing_at_all_is_a_file)
{
    leat_safetensors f = { 0 }, back = { .count = 9 };
    cr_assert_eq(leat_safetensors_write(in_folder("x"), &f, NULL), LEAT_OK);
    cr_assert_eq(leat_safetensors_read(in_folder("x"), &arena, &back, NULL), LEAT_OK);
    cr_assert_eq(back.count, 0);
    cr_assert_eq(back.metadata_count, 0);
}

Test(safetensors, writing_refuses_what_could_not_be_read)
{
    leat_real numbers[2] = { 0 };
    leat_safetensors_entry entries[] = { { "a", { numbers, LEAT_SHAPE(1) }, NULL },
                                         { "b", { numbers, LEAT_SHAPE(1) }, NULL } };
    const char *metadata[][2] = { { "k", "v" }, { "l", "v" } };
    leat_safetensors f = { .count = 2, .entries = entries, .metadata_count = 2, .metadata = metadata };
    const struct {
        const char *name;
        leat_shape shape;
        const char *key, *value;
        leat_code code;
        const char *reason;
    } cases[] = {
        { "a", LEAT_SHAPE(1), "l", "v", LEAT_ESTATE, "two tensors" },
        { "b", LEAT_SHAPE(1), "k", "v", LEAT_ESTATE, "two texts" },
        { "__metadata__", LEAT_SHAPE(1), "l", "v", LEAT_EARG, "__metadata__" },
        { "\xFF", LEAT_SHAPE(1), "l", "v", LEAT_EARG, "UTF-8" },
        { "b", LEAT_SHAPE(1), "\x80", "v", LEAT_EARG, "UTF-8" },
        { "b", LEAT_SHAPE(1), "l", "\xED\xA0\x80", LEAT_EARG, "UTF-8" },
        { "b", LEAT_SHAPE(-1), "l", "v", LEAT_ESHAPE, "tensor 'b'" },
        { "b", { .rank = 7 }, "l", "v", LEAT_ESHAPE, "tensor 'b'" },
    };
    cr_assert_eq(leat_file_write(in_folder("x"), "old", 3, NULL), LEAT_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_status s = { 0 };
        entries[1].name = cases[i].name;
        entries[1].tensor.shape = cases[i].shape;
        metadata[1][0] = cases[i].key;
        metadata[1][1] = cases[i].value;
        cr_assert_eq(leat_safetensors_write(in_folder("x"), &f, &s), cases[i].code);
        check_message(&s, in_folder("x"), cases[i].reason);
    }
    bytes old = slurp(in_folder("x"));
    cr_assert(old.size == 3 && memcmp(old.data, "old", 3) == 0);
    free(old.data);
    cr_assert_eq(files_in_folder(false), 1);
}

/* ---- hostile files ----------------------------------------------------------------------------------------------- */

#define W                          "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define ONE(dtype, shape, offsets) "{\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct {
    const char *header;
    size_t data;
    const char *place, *reason;
} headers[] = {
    { "[]", 0, "byte 8", "'{'" },
    { " {}", 0, "byte 8", "'{'" },
    { "{\"w\"}", 0, "byte 12", "expected ':'" },
    { "{}x", 0, "byte 10", "text after" },
    { "{}", 4, "byte 10", "4 bytes that belong to no tensor" },
    { W "}", 9, "byte 70", "1 bytes that belong to no tensor" },
    { W "}", 7, "tensor 'w'", "7 bytes of data" },
    { W ",\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", 16, "byte ", "second time" },
    { W ",\"v\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, "tensor 'v'", "overlap" },
    { W ",\"v\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "tensor 'v'", "overlap" },
    { W ",\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}", 16, "tensor 'v'", "a hole" },
    { W ",\"v\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}", 8, "tensor 'v'", "overlap" },
    { "{\"w\":[]}", 0, "tensor 'w'", "no object" },
    { "{\"w\":null}", 0, "tensor 'w'", "no object" },
    { "{\"w\":{}}", 0, "tensor 'w'", "'dtype'" },
    { "{\"w\":{\"dtype\":\"F32\"}}", 0, "tensor 'w'", "'shape'" },
    { "{\"w\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, "tensor 'w'", "'data_offsets'" },
    { "{\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"x\":1}}", 4, "tensor 'w'", "more than" },
    { ONE("1", "[]", "[0,4]"), 4, "tensor 'w'", "'dtype'" },
    { ONE("\"f32\"", "[]", "[0,4]"), 4, "tensor 'w'", "dtype 'f32' is not supported" },
    { ONE("\"F8_E4M3\"", "[]", "[0,1]"), 1, "tensor 'w'", "dtype 'F8_E4M3' is not supported" },
    { ONE("\"\\n\\u001b[31m\"", "[]", "[0,1]"), 1, "tensor 'w'", "dtype '??[31m' is not supported" },
    { ONE("\"F32\"", "{}", "[0,4]"), 4, "tensor 'w'", "'shape'" },
    { ONE("\"F32\"", "\"1\"", "[0,4]"), 4, "tensor 'w'", "'shape'" },
    { ONE("\"F32\"", "[1.0]", "[0,4]"), 4, "tensor 'w'", "(byte 37) is no count" },
    { ONE("\"F32\"", "[-1]", "[0,4]"), 4, "tensor 'w'", "is no count" },
    { ONE("\"F32\"", "[-1,-1]", "[0,4]"), 4, "tensor 'w'", "is no count" },
    { ONE("\"F32\"", "[true]", "[0,4]"), 4, "tensor 'w'", "is no count" },
    { ONE("\"F32\"", "[9223372036854775808]", "[0,4]"), 4, "tensor 'w'", "is no count" },
    { ONE("\"F32\"", "[1,1,1,1,1,1,1]", "[0,4]"), 4, "tensor 'w'", "rank 7" },
    { ONE("\"F32\"", "[9223372036854775807]", "[0,4]"), 4, "tensor 'w'", "no memory could" },
    { ONE("\"U8\"", "[4294967296,4294967296]", "[0,0]"), 0, "tensor 'w'", "no memory could" },
    { ONE("\"F64\"", "[1152921504606846975]", "[0,0]"), 0, "tensor 'w'", "0 bytes where" },
    { ONE("\"F32\"", "[2]", "[0,4]"), 4, "tensor 'w'", "4 bytes where shape [2] wants 2 numbers of 4" },
    { ONE("\"F32\"", "[1]", "[0,5]"), 5, "tensor 'w'", "5 bytes where" },
    { ONE("\"F32\"", "[]", "[0,0]"), 0, "tensor 'w'", "0 bytes where" },
    { ONE("\"F32\"", "[0]", "[0,4]"), 4, "tensor 'w'", "4 bytes where" },
    { ONE("\"F32\"", "[1]", "[4,8]"), 8, "tensor 'w'", "a hole" },
    { ONE("\"F32\"", "[1]", "{}"), 4, "tensor 'w'", "'data_offsets'" },
    { ONE("\"F32\"", "[1]", "[0,4,8]"), 4, "tensor 'w'", "'data_offsets'" },
    { ONE("\"F32\"", "[1]", "[0]"), 4, "tensor 'w'", "'data_offsets'" },
    { ONE("\"F32\"", "[1]", "[4,0]"), 4, "tensor 'w'", "no range" },
    { ONE("\"F32\"", "[1]", "[-4,0]"), 4, "tensor 'w'", "no range" },
    { ONE("\"F32\"", "[1]", "[0,8]"), 4, "tensor 'w'", "no range in the 4 bytes" },
    { ONE("\"F32\"", "[1]", "[0,18446744073709551615]"), 4, "tensor 'w'", "no range" },
    { ONE("\"F32\"", "[1]", "[0,\"4\"]"), 4, "tensor 'w'", "no range" },
    { ONE("\"F32\"", "[1]", "[0.0,4]"), 4, "tensor 'w'", "no range" },
    { "{\"__metadata__\":[]}", 0, "byte 24", "no object" },
    { "{\"__metadata__\":{\"a\":1}}", 0, "byte 29", "no text" },
    { "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "byte 37", "second time" },
    { "{\"a\\nb\":1}", 0, "tensor 'a?b'", "no object" },
};

static size_t put_file(char *file, const char *header, size_t data)
{
    size_t n = strlen(header);
    memset(file, 0, 8);
    file[0] = (char)(n & 0xFF);
    file[1] = (char)(n >> 8);
    memcpy(file + 8, header, n);
    memset(file + 8 + n, 0, data);
    return 8 + n + data;
}

Test(safetensors, refuses_headers_and_says_why)
{
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        char file[512];
        leat_safetensors f;
        leat_status s = { 0 };
        size_t size = put_file(file, headers[i].header, headers[i].data);
        cr_assert_eq(parse(file, size, &f, &s), LEAT_EFORMAT, "%s", headers[i].header);
        check_message(&s, headers[i].place, headers[i].reason);
        cr_assert_eq(strncmp(s.message, "x: ", 3), 0);
    }
}

Test(safetensors, long_names_leave_room_for_the_reason)
{
    char header[3000] = "{\"", file[3100];
    leat_safetensors f;
    leat_status s = { 0 };
    for (int i = 0; i < 1000; i++)
        strcat(header, "\xC3\xA9");
    strcat(header, "\":[]}");
    cr_assert_eq(parse(file, put_file(file, header, 0), &f, &s), LEAT_EFORMAT);
    check_message(&s, "\xC3\xA9...': no object", "x: tensor '");
}

Test(safetensors, refuses_lengths_of_the_header)
{
    static const struct {
        const char *data;
        size_t size;
        const char *reason;
    } files[] = {
        { "", 0, "0 bytes are too few" },
        { "\2\0\0\0\0\0\0", 7, "7 bytes are too few" },
        { "\0\0\0\0\0\0\0\0", 8, "does not begin with '{'" },
        { "\3\0\0\0\0\0\0\0{}", 10, "a header of 3 bytes where the file has 2 left" },
        { "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10, "a header of 18446744073709551615 bytes" },
        { "\xF8\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}", 10, "a header of 18446744073709551608 bytes" },
        { "\x02\0\0\0\0\0\0\x80{}", 10, "a header of 9223372036854775810 bytes" },
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        leat_safetensors f;
        leat_status s = { 0 };
        cr_assert_eq(parse(files[i].data, files[i].size, &f, &s), LEAT_EFORMAT);
        check_message(&s, "x: byte ", files[i].reason);
    }
}

/* Data in another order than the header's, and empty tensors between: legal, and in the order of the data. */
Test(safetensors, entries_come_in_the_order_of_the_data)
{
    static const char header[] = "{\"c\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]},"
                                 "\"e\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[3,3]},"
                                 "\"d\":{\"dtype\":\"F64\",\"shape\":[9,0],\"data_offsets\":[1,1]},"
                                 "\"a\":{\"data_offsets\":[0,1],\"shape\":[],\"dtype\":\"BOOL\"}}  \n";
    char file[512];
    leat_safetensors f;
    leat_status s = { 0 };
    size_t size = put_file(file, header, 3);
    memcpy(file + size - 3, "\xFF\x02\x03", 3);
    cr_assert_eq(parse(file, size, &f, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(f.count, 4);
    cr_assert_str_eq(f.entries[0].name, "a");
    cr_assert_str_eq(f.entries[1].name, "d");
    cr_assert_str_eq(f.entries[2].name, "c");
    cr_assert_str_eq(f.entries[3].name, "e");
    cr_assert_eq(f.entries[0].tensor.data[0], 1);
    cr_assert_eq(f.entries[2].tensor.data[0], 2);
    cr_assert_eq(f.entries[2].tensor.data[1], 3);
}

Test(safetensors, a_missing_file_is_named)
{
    leat_safetensors f = { .count = 3 };
    leat_status s = { 0 };
    cr_assert_eq(leat_safetensors_read(in_folder("none"), &arena, &f, &s), LEAT_EIO);
    check_message(&s, in_folder("none"), strerror(ENOENT));
    cr_assert_eq(f.count, 0);
}

Test(safetensors, truncated_or_extended_is_refused)
{
    bytes file = slurp(FIXTURE("tiny.safetensors"));
    leat_safetensors f;
    char longer[512] = { 0 };
    for (size_t n = 0; n < file.size; n++)
        cr_assert_eq(parse(file.data, n, &f, NULL), LEAT_EFORMAT, "%zu", n);
    memcpy(longer, file.data, file.size);
    for (size_t n = 1; n <= 64; n++)
        cr_assert_eq(parse(longer, file.size + n, &f, NULL), LEAT_EFORMAT, "%zu", n);
    cr_assert_eq(parse(file.data, file.size, &f, NULL), LEAT_OK);
    cr_assert_eq(f.entries[1].tensor.data[0], -1);
    free(file.data);
}

Test(safetensors, mutations_do_no_harm)
{
    bytes file = slurp(FIXTURE("tiny.safetensors"));
    for (size_t at = 0; at < file.size; at++) {
        char old = file.data[at];
        for (int value = 0; value < 256; value++) {
            leat_safetensors f;
            leat_status s = { 0 };
            file.data[at] = (char)value;
            if (parse(file.data, file.size, &f, &s))
                check_message(&s, "x: ", ": ");
            leat_arena_reset(&arena);
        }
        file.data[at] = old;
    }
    free(file.data);
}

Test(safetensors, out_of_memory_is_a_status)
{
    leat_safetensors_entry entries[] = { { "a", noise(LEAT_SHAPE(100, 100), 1), NULL },
                                         { "b", noise(LEAT_SHAPE(50000), 2), NULL } };
    const char *metadata[][2] = { { "k", "v" } };
    leat_safetensors f = { .count = 2, .entries = entries, .metadata_count = 1, .metadata = metadata };
    cr_assert_eq(leat_safetensors_write(in_folder("x"), &f, NULL), LEAT_OK);
    for (long limit = 0;; limit++) {
        countdown c = { .left = limit };
        leat_allocator allocator = countdown_allocator(&c);
        leat_arena a;
        leat_safetensors back;
        leat_status s = { 0 };
        leat_arena_init(&a, &allocator);
        leat_code code = leat_safetensors_read(in_folder("x"), &a, &back, &s);
        if (code) {
            cr_assert_eq(code, LEAT_ENOMEM);
            cr_assert_eq(a.in_use, 0u);
            cr_assert_eq(back.count, 0);
            check_message(&s, in_folder("x"), "out of memory");
        }
        leat_arena_free(&a);
        cr_assert_eq(c.live, 0);
        if (code == LEAT_OK) {
            cr_assert_geq(limit, 4);
            return;
        }
    }
}
