/* Images of bytes in IDX and .npy, their labels; files that are not what they claim, and memory that runs out. */
#include "file_helpers.h"
#include "../../tensor/files/images.h"
#include "../../tensor/files/inflate.h"

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

TestSuite(images, .init = set_up, .fini = tear_down);

enum { ROOM = 1 << 16 };
static char file[ROOM], compressed[2 * ROOM];

/* An IDX of `count` bytes 0, 7, 14, ... behind the header of these sizes. */
static size_t put_idx(int type, int rank, const uint32_t *sizes, size_t count)
{
    size_t n = 4;
    memcpy(file, (char[]){ 0, 0, (char)type, (char)rank }, 4);
    for (int i = 0; i < rank; i++, n += 4)
        for (int k = 0; k < 4; k++)
            file[n + (size_t)k] = (char)(sizes[i] >> (24 - 8 * k) & 255);
    for (size_t i = 0; i < count; i++)
        file[n + i] = (char)(7 * i & 255);
    return n + count;
}

/* The same as gzip frames it, in a stored block. */
static size_t put_gzip(size_t size)
{
    uint32_t sum = leat_crc32(file, size, 0);
    char *c = compressed;
    memcpy(c, "\x1F\x8B\x08\0\0\0\0\0\0\x03\x01", 11);
    for (int k = 0; k < 2; k++) {
        c[11 + k] = (char)(size >> 8 * k & 255);
        c[13 + k] = (char)(~size >> 8 * k & 255);
    }
    memcpy(c + 15, file, size);
    for (int k = 0; k < 4; k++) {
        c[15 + size + (size_t)k] = (char)(sum >> 8 * k & 255);
        c[19 + size + (size_t)k] = (char)(size >> 8 * k & 255);
    }
    return size + 23;
}

/* In a block of its own, so that nothing beyond it can be read; and nothing is left behind. */
static leat_code parse(const void *data, size_t size, leat_images *out, leat_status *s)
{
    bytes b = exactly(data, size);
    leat_arena_reset(&arena);
    leat_code code = leat_images_parse(b.data, b.size, "x.idx", &scratch, &arena, out, s);
    free(b.data);
    cr_assert_eq(scratch.in_use, 0u);
    cr_assert_eq(code == LEAT_OK, out->pixels != NULL);
    if (code)
        cr_assert_eq(arena.in_use, 0u);
    return code;
}

static void expect_refusal(const void *data, size_t size, leat_code code, const char *reason)
{
    leat_images images;
    leat_status s = { 0 };
    cr_assert_eq(parse(data, size, &images, &s), code, "%d: %s", s.code, s.message);
    check_message(&s, "x.idx: ", reason);
}

/* ---- IDX --------------------------------------------------------------------------------------------------------- */

Test(images, idx_grey_and_colour_plain_and_compressed)
{
    static const uint32_t sizes[] = { 5, 4, 3, 3 };
    for (int rank = 3; rank <= 4; rank++) {
        size_t count = rank == 3 ? 60 : 180, size = put_idx(8, rank, sizes, count), packed = put_gzip(size);
        for (int zipped = 0; zipped < 2; zipped++) {
            leat_images images;
            leat_status s = { 0 };
            cr_assert_eq(parse(zipped ? compressed : file, zipped ? packed : size, &images, &s), LEAT_OK, "%s",
                         s.message);
            cr_assert_eq(images.count, 5);
            cr_assert(images.height == 4 && images.width == 3 && images.channels == (rank == 3 ? 1 : 3));
            cr_assert(images.labels == NULL && images.classes == 0);
            cr_assert_eq(memcmp(images.pixels, file + size - count, count), 0);
        }
    }
}

Test(images, idx_refusals)
{
    static const struct {
        int type, rank;
        uint32_t sizes[4];
        size_t data;
        leat_code code;
        const char *reason;
    } cases[] = {
        { 8, 3, { 2, 3, 3 }, 17, LEAT_EFORMAT, "the file has 17 bytes of data where shape [2,3,3] wants 18" },
        { 8, 3, { 2, 3, 3 }, 19, LEAT_EFORMAT, "the file has 19 bytes" },
        { 8, 3, { 60000, 28, 28 }, 100, LEAT_EFORMAT, "the file has 100 bytes of data where" },
        { 8, 4, { ~0u, ~0u, ~0u, ~0u }, 100, LEAT_EFORMAT, "no memory could hold" },
        { 8, 3, { 0, 3, 3 }, 0, LEAT_ESHAPE, "at least one image" },
        { 8, 3, { 2, 0, 3 }, 0, LEAT_ESHAPE, "at least one image" },
        { 8, 3, { 1, 1, 65536 }, 0, LEAT_EFORMAT, "the file has 0 bytes" },
        { 8, 1, { 18 }, 18, LEAT_ESHAPE, "its shape is [18], where [n,height,width]" },
        { 8, 4, { 1, 3, 3, 2 }, 18, LEAT_ESHAPE, "1 (grey) or 3" },
        { 8, 0, { 0 }, 0, LEAT_EFORMAT, "byte 0: it begins with 00 00 08 00" },
        { 8, 5, { 1 }, 64, LEAT_EFORMAT, "byte 0: it begins with 00 00 08 05" },
        { 13, 3, { 1, 2, 2 }, 16, LEAT_EFORMAT, "byte 0: it begins with 00 00 0d 03, where" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = put_idx(cases[i].type, cases[i].rank, cases[i].sizes, cases[i].data);
        expect_refusal(file, size, cases[i].code, cases[i].reason);
    }
    expect_refusal("", 0, LEAT_EFORMAT, "none of IDX");
    expect_refusal("x,y\n1,2\n", 8, LEAT_EFORMAT, "none of IDX");
}

/* The data stand between both checks: what the header claims, and where the stream ends. */
Test(images, compressed_idx_of_wrong_size)
{
    static const uint32_t right[] = { 2, 3, 3 }, huge[] = { 4000000, 100, 100 };
    size_t size = put_idx(8, 3, right, 17);
    expect_refusal(compressed, put_gzip(size), LEAT_EFORMAT, "the compressed file has 17 bytes of data");
    size = put_idx(8, 3, right, 19);
    expect_refusal(compressed, put_gzip(size), LEAT_EFORMAT, "the compressed file has more than 18 bytes");
    size = put_idx(8, 3, huge, 18);
    expect_refusal(compressed, put_gzip(size), LEAT_EFORMAT, "the compressed file has at most 58824 bytes of data");
    size = put_gzip(put_idx(8, 3, right, 18));
    compressed[size - 8] ^= 1;
    expect_refusal(compressed, size, LEAT_EFORMAT, "what gzip compressed is damaged: its checksum is wrong");
}

Test(images, truncated_or_extended_is_refused)
{
    static const uint32_t sizes[] = { 2, 3, 4 };
    size_t size = put_idx(8, 3, sizes, 24), packed = put_gzip(size);
    leat_images images;
    for (size_t n = 0; n < size; n++)
        cr_assert_eq(parse(file, n, &images, NULL), LEAT_EFORMAT, "%zu", n);
    for (size_t n = 0; n < packed; n++)
        cr_assert_eq(parse(compressed, n, &images, NULL), LEAT_EFORMAT, "%zu", n);
    expect_refusal(compressed, packed - 1, LEAT_EFORMAT, "what gzip compressed is cut off");
    expect_refusal(file, size + 1, LEAT_EFORMAT, "the file has 25 bytes");
    compressed[packed] = 1;
    expect_refusal(compressed, packed + 1, LEAT_EFORMAT, "is followed by what is no gzip");
}

/* ---- .npy -------------------------------------------------------------------------------------------------------- */

static size_t put_npy(const char *type, const char *order, const char *shape, size_t data)
{
    size_t n = (size_t)sprintf(file, "\x93NUMPY%c%c%c%c{'descr': '%s', 'fortran_order': %s, 'shape': %s}", 1, 0, 0, 0,
                               type, order, shape);
    n = 10 + strlen(file + 10);
    file[8] = (char)(n - 10);
    for (size_t i = 0; i < data; i++)
        file[n + i] = (char)(i * 11 & 255);
    return n + data;
}

Test(images, npy_of_bytes)
{
    leat_images images;
    leat_status s = { 0 };
    size_t size = put_npy("|u1", "False", "(2, 3, 4)", 24);
    cr_assert_eq(parse(file, size, &images, &s), LEAT_OK, "%s", s.message);
    cr_assert(images.count == 2 && images.height == 3 && images.width == 4 && images.channels == 1);
    cr_assert_eq(memcmp(images.pixels, file + size - 24, 24), 0);
    size = put_npy("|u1", "False", "(2, 1, 4, 3)", 24);
    cr_assert_eq(parse(file, size, &images, &s), LEAT_OK, "%s", s.message);
    cr_assert(images.count == 2 && images.height == 1 && images.width == 4 && images.channels == 3);

    expect_refusal(file, put_npy("<f4", "False", "(1, 2, 3)", 24), LEAT_EFORMAT, "no bytes");
    expect_refusal(file, put_npy("|u1", "True", "(2, 3, 4)", 24), LEAT_EFORMAT, "Fortran order");
    expect_refusal(file, put_npy("|u1", "False", "(2, 3, 4)", 23), LEAT_EFORMAT, "23 bytes of data where");
    expect_refusal(file, put_npy("|u1", "False", "(24,)", 24), LEAT_ESHAPE, "its shape is [24], where");
    expect_refusal(file, put_npy("|u1", "False", "(1, 3, 2, 4)", 24), LEAT_ESHAPE, "the last size, that of channels");
    expect_refusal(file, put_npy("|u1", "False", "(1, 65536, 1)", 0), LEAT_EFORMAT, "0 bytes of data where");
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

static leat_code read_labels(size_t size, leat_images *images, leat_status *s)
{
    spill(in_folder("labels"), file, size);
    *images = (leat_images){ .count = 3 };
    return leat_labels_read(in_folder("labels"), &arena, images, s);
}

Test(images, labels)
{
    static const uint32_t three = 3, four = 4, square[] = { 3, 1 };
    leat_images images;
    leat_status s = { 0 };

    cr_assert_eq(read_labels(put_idx(8, 1, &three, 3), &images, &s), LEAT_OK, "%s", s.message);
    cr_assert(images.labels[0] == 0 && images.labels[1] == 7 && images.labels[2] == 14 && images.classes == 15);
    size_t size = put_npy(">i8", "False", "(3,)", 24);
    memcpy(file + size - 24, "\0\0\0\0\0\0\xFF\xFF\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1", 24);
    cr_assert_eq(read_labels(size, &images, &s), LEAT_OK, "%s", s.message);
    cr_assert(images.labels[0] == 65535 && images.labels[1] == 0 && images.labels[2] == 257);
    cr_assert_eq(images.classes, 65536);

    file[size - 19] = 1; /* 2^16 and more in the first */
    cr_assert_eq(read_labels(size, &images, &s), LEAT_EFORMAT);
    check_message(&s, in_folder("labels"), "label 1 of 3 is 131071, and labels are whole numbers from 0 to 65535");
    s = (leat_status){ 0 };
    size = put_npy("<f4", "False", "(3,)", 12);
    memcpy(file + size - 12, &(float[]){ 0, 1, 1.5f }, 12);
    cr_assert_eq(read_labels(size, &images, &s), LEAT_EFORMAT);
    check_message(&s, in_folder("labels"), "label 3 of 3 is 1.5,");
    s = (leat_status){ 0 };
    cr_assert_eq(read_labels(put_idx(8, 1, &four, 4), &images, &s), LEAT_ESHAPE);
    check_message(&s, in_folder("labels"), "it has 4 labels, and there are 3 images");
    s = (leat_status){ 0 };
    cr_assert_eq(read_labels(put_idx(8, 2, square, 3), &images, &s), LEAT_ESHAPE);
    check_message(&s, in_folder("labels"), "its shape is [3,1], where labels are one number");
    cr_assert(images.labels == NULL && images.classes == 0);
    s = (leat_status){ 0 };
    cr_assert_eq(leat_labels_read(in_folder("none"), &arena, &images, &s), LEAT_EIO);
    check_message(&s, in_folder("none"), strerror(ENOENT));
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

Test(images, out_of_memory_is_a_status)
{
    static const uint32_t sizes[] = { 10, 60, 100 }, ten = 10;
    spill(in_folder("labels"), file, put_idx(8, 1, &ten, 10));
    size_t size = put_gzip(put_idx(8, 3, sizes, 60000));
    spill(in_folder("x.idx.gz"), compressed, size);
    for (long limit = 0;; limit++) {
        countdown c = { .left = limit };
        leat_allocator allocator = countdown_allocator(&c);
        leat_arena a;
        leat_images images = { 0 };
        leat_status s = { 0 };
        leat_arena_init(&a, &allocator);
        leat_code code = leat_images_read(in_folder("x.idx.gz"), &a, &images, &s);
        cr_assert_eq(code == LEAT_OK, images.pixels != NULL);
        cr_assert(!code || a.in_use == 0);
        if (!code)
            code = leat_labels_read(in_folder("labels"), &a, &images, &s);
        cr_assert_eq(code == LEAT_OK, images.labels != NULL);
        if (code) {
            cr_assert_eq(code, LEAT_ENOMEM, "%s", s.message);
            check_message(&s, folder, "out of memory");
        }
        leat_arena_free(&a);
        cr_assert_eq(c.live, 0);
        if (!code) {
            cr_assert_geq(limit, 4);
            return;
        }
    }
}
