/* Folders of images: their order, sizes, classes; sets as they are published, and splits by a seed. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "file_helpers.h"
#include "../../tensor/files/images.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>

static leat_arena arena;

static void set_up(void)
{
    make_folder();
    leat_arena_init(&arena, NULL);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void tear_down(void)
{
    leat_arena_free(&arena);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(image_folder, .init = set_up, .fini = tear_down);

static void make(const char *name)
{
    cr_assert_eq(mkdir(in_folder(name), 0777), 0, "%s", name);
}

/* An image of one value, grey ("P5") or coloured ("P6", whose blue is one more). */
static void put_image(const char *name, const char *kind, int width, int height, int value)
{
    char text[256];
    int n = sprintf(text, "%s %d %d 255\n", kind, width, height), step = kind[1] == '6' ? 3 : 1;
    for (int i = 0; i < width * height * step; i++)
        text[n++] = (char)(value + (i % 3 == 2 && step == 3));
    spill(in_folder(name), text, (size_t)n);
}

/* IDX of `count` images of 2 x 1, both bytes the number of the image and `first`; and as many labels, its remainder. */
static void put_set(const char *images, const char *labels, int count, int first)
{
    char file[1024] = { 0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1 };
    file[7] = (char)count;
    for (int i = 0; i < 2 * count; i++)
        file[16 + i] = (char)(first + i / 2);
    spill(in_folder(images), file, (size_t)(16 + 2 * count));
    file[3] = 1;
    for (int i = 0; i < count; i++)
        file[8 + i] = (char)((first + i) % 10);
    if (labels)
        spill(in_folder(labels), file, (size_t)(8 + count));
}

static void expect_refusal(const char *name, leat_code code, const char *part1, const char *part2)
{
    leat_images images;
    leat_status s = { 0 };
    cr_assert_eq(leat_images_read(in_folder(name), &arena, &images, &s), code, "%d: %s", s.code, s.message);
    check_message(&s, part1, part2);
    cr_assert(images.pixels == NULL && images.count == 0);
    cr_assert_eq(arena.in_use, 0u);
}

/* ---- one set ----------------------------------------------------------------------------------------------------- */

Test(image_folder, images_in_the_order_of_their_names)
{
    leat_images m;
    leat_status s = { 0 };
    make("x");
    put_image("x/b.PGM", "P5", 3, 2, 30);
    put_image("x/a10.pnm", "P5", 3, 2, 10);
    put_image("x/a2.pgm", "P5", 3, 2, 20);
    put_image("x/.hidden.pgm", "P5", 1, 1, 0);
    spill(in_folder("x/notes.txt"), "P5", 2);
    make("x/sub");
    cr_assert_eq(leat_images_read(in_folder("x"), &arena, &m, &s), LEAT_OK, "%s", s.message);
    cr_assert(m.count == 3 && m.height == 2 && m.width == 3 && m.channels == 1);
    cr_assert(m.labels == NULL && m.class_names == NULL && m.classes == 0);
    for (int i = 0; i < 18; i++)
        cr_assert_eq(m.pixels[i], 10 * (1 + i / 6), "%d: %d", i, m.pixels[i]);
}

Test(image_folder, grey_among_colours_becomes_colours)
{
    leat_images m;
    leat_status s = { 0 };
    make("x");
    put_image("x/a.pgm", "P5", 2, 1, 10);
    put_image("x/b.ppm", "P6", 2, 1, 20);
    spill(in_folder("x/c.pgm"), "P5 2 1 255\n\36\37", 13);
    cr_assert_eq(leat_images_read(in_folder("x"), &arena, &m, &s), LEAT_OK, "%s", s.message);
    cr_assert(m.count == 3 && m.height == 1 && m.width == 2 && m.channels == 3);
    cr_assert_eq(memcmp(m.pixels, "\12\12\12\12\12\12\24\24\25\24\24\25\36\36\36\37\37\37", 18), 0);
}

Test(image_folder, classes_are_sub_folders)
{
    leat_images m;
    leat_status s = { 0 };
    make("x");
    make("x/shoe");
    make("x/bag");
    make("x/.git");
    put_image("x/shoe/1.pgm", "P5", 1, 1, 1);
    put_image("x/bag/2.pgm", "P5", 1, 1, 2);
    put_image("x/bag/1.pgm", "P5", 1, 1, 3);
    cr_assert_eq(leat_images_read(in_folder("x"), &arena, &m, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(m.count, 3);
    cr_assert_eq(memcmp(m.pixels, "\3\2\1", 3), 0);
    cr_assert(m.labels[0] == 0 && m.labels[1] == 0 && m.labels[2] == 1 && m.classes == 2);
    cr_assert_str_eq(m.class_names[0], "bag");
    cr_assert_str_eq(m.class_names[1], "shoe");

    leat_arena_reset(&arena);
    make("x/coat");
    expect_refusal("x", LEAT_EFORMAT, "x/coat: ", "no image in it");
}

Test(image_folder, refusals)
{
    leat_images m;
    leat_status s = { 0 };
    make("x");
    expect_refusal("x", LEAT_EFORMAT, "/x: ", "no image in it, a file named .png, .pgm, .ppm or .pnm");
    put_image("x/a.pgm", "P5", 3, 2, 1);
    put_image("x/b.pgm", "P5", 3, 2, 1);
    put_image("x/c.pgm", "P5", 2, 3, 1);
    expect_refusal("x", LEAT_ESHAPE, "/x/c.pgm: it is 2 pixels wide and 3 high, and ", "/x/a.pgm is 3 wide and 2 high");
    spill(in_folder("x/b.pgm"), "P5 3 2 255\nabcde", 16);
    expect_refusal("x", LEAT_EFORMAT, "/x/b.pgm: byte 11: ", "5 bytes of samples");
    put_set("x/b.pgm", NULL, 2, 0);
    expect_refusal("x", LEAT_ESHAPE, "/x/b.pgm: ", "an array of images");
    cr_assert_eq(unlink(in_folder("x/b.pgm")), 0);
    make("x/b.pgm");
    expect_refusal("x", LEAT_EIO, "/x/b.pgm: ", strerror(EISDIR));
    expect_refusal("none", LEAT_EIO, "/none: ", strerror(ENOENT));

    for (int most = 2; most <= 3; most++) {
        cr_assert_eq(leat_images_read_folder(in_folder("x"), most, &arena, &m, &s), most == 2 ? LEAT_ESHAPE : LEAT_EIO);
        check_message(&s, "/x", most == 2 ? "there are more than 2 files, too many" : strerror(EISDIR));
        s = (leat_status){ 0 };
    }
}

/* ---- sets -------------------------------------------------------------------------------------------------------- */

static leat_code read_sets(const char *name, const leat_image_sets_opts *opts, leat_image_sets *m, leat_status *s)
{
    *s = (leat_status){ 0 };
    leat_code code = leat_image_sets_read(in_folder(name), opts, &arena, m, s);
    cr_assert(!code || (m->train.pixels == NULL && m->test.pixels == NULL && m->validation.pixels == NULL));
    return code;
}

/* Every image of put_set with its own label, each of `count` from `first` on once in all of the sets. */
static void check_sets(const leat_images *const *sets, int n, int count, int first)
{
    bool seen[256] = { false };
    for (int k = 0; k < n; k++)
        for (int64_t i = 0; i < sets[k]->count; i++) {
            int value = sets[k]->pixels[2 * i];
            cr_assert_eq(sets[k]->pixels[2 * i + 1], value);
            cr_assert_eq(sets[k]->labels[i], value % 10);
            cr_assert(value >= first && value < first + count && !seen[value]);
            seen[value] = true;
        }
    for (int i = first; i < first + count; i++)
        cr_assert(seen[i], "%d", i);
}

Test(image_folder, sets_as_published)
{
    leat_image_sets m;
    leat_status s;
    make("x");
    put_set("x/train-images-idx3-ubyte", "x/train-labels-idx1-ubyte", 30, 0);
    put_set("x/t10k-images.idx3-ubyte", "x/t10k-labels.idx1-ubyte", 5, 100);
    cr_assert_eq(read_sets("x", NULL, &m, &s), LEAT_OK, "%s", s.message);
    cr_assert(m.own_test && m.train.count == 25 && m.validation.count == 5 && m.test.count == 5);
    cr_assert(m.train.pixels[0] == 0 && m.validation.pixels[0] == 25 && m.test.pixels[0] == 100, "in their order");
    cr_assert(m.train.classes == 10 && m.test.classes == 10 && m.validation.classes == 10);
    check_sets((const leat_images *[]){ &m.train, &m.validation }, 2, 30, 0);
    check_sets((const leat_images *[]){ &m.test }, 1, 5, 100);

    cr_assert_eq(read_sets("x", &(leat_image_sets_opts){ .validation = 29 }, &m, &s), LEAT_OK);
    cr_assert(m.train.count == 1 && m.validation.count == 29 && m.test.count == 5);
    cr_assert_eq(read_sets("x", &(leat_image_sets_opts){ .validation = 30 }, &m, &s), LEAT_ESHAPE);
    check_message(&s, "/x: ", "of 30 images 30 cannot be for validation and 0 for test");
    cr_assert_eq(read_sets("x", &(leat_image_sets_opts){ .validation = -1 }, &m, &s), LEAT_EARG);
    check_message(&s, "/x: ", "a set cannot have -1 images");
    cr_assert_eq(read_sets("x", &(leat_image_sets_opts){ .labels = "labels.npy" }, &m, &s), LEAT_EARG);
    check_message(&s, "labels.npy: ", "sets of its own");

    cr_assert_eq(unlink(in_folder("x/t10k-labels.idx1-ubyte")), 0);
    cr_assert_eq(read_sets("x", NULL, &m, &s), LEAT_ESHAPE);
    check_message(&s, "/x: ", "do not have the same classes");
    put_set("x/other", "x/t10k-labels.idx1-ubyte", 6, 100);
    cr_assert_eq(read_sets("x", NULL, &m, &s), LEAT_ESHAPE);
    check_message(&s, "/x/t10k-labels.idx1-ubyte: ", "it has 6 labels, and there are 5 images");
}

Test(image_folder, sets_split_by_the_seed)
{
    leat_image_sets m, again, other;
    leat_status s;
    put_set("images.idx", "labels.idx", 60, 0);
    char labels[128];
    strcpy(labels, in_folder("labels.idx"));
    leat_image_sets_opts opts = { .labels = labels, .seed = 1 }, second = { .labels = labels, .seed = 2 };
    cr_assert_eq(read_sets("images.idx", &opts, &m, &s), LEAT_OK, "%s", s.message);
    cr_assert(!m.own_test && m.train.count == 48 && m.validation.count == 6 && m.test.count == 6);
    check_sets((const leat_images *[]){ &m.train, &m.validation, &m.test }, 3, 60, 0);
    cr_assert_eq(read_sets("images.idx", &opts, &again, &s), LEAT_OK);
    cr_assert_eq(memcmp(m.train.pixels, again.train.pixels, 120), 0);
    cr_assert_eq(read_sets("images.idx", &second, &other, &s), LEAT_OK);
    cr_assert_neq(memcmp(m.test.pixels, other.test.pixels, 12), 0);

    second.test = 20, second.validation = 39;
    cr_assert_eq(read_sets("images.idx", &second, &m, &s), LEAT_OK);
    cr_assert(m.train.count == 1 && m.validation.count == 39 && m.test.count == 20);
    second.test = INT64_MAX, second.validation = INT64_MAX;
    cr_assert_eq(read_sets("images.idx", &second, &m, &s), LEAT_ESHAPE);
    put_set("two.idx", NULL, 2, 0);
    cr_assert_eq(read_sets("two.idx", NULL, &m, &s), LEAT_ESHAPE);
    check_message(&s, "/two.idx: ", "of 2 images 1 cannot be for validation and 1 for test");
    make("x");
    put_set("x/train-images-idx3-ubyte", "x/train-labels-idx1-ubyte", 30, 0);
    cr_assert_eq(read_sets("x", NULL, &m, &s), LEAT_OK);
    cr_assert(!m.own_test && m.train.count == 24 && m.validation.count == 3 && m.test.count == 3);
    cr_assert(m.test.pixels[0] != 27 || m.test.pixels[2] != 28 || m.test.pixels[4] != 29, "in their order");
    check_sets((const leat_images *[]){ &m.train, &m.validation, &m.test }, 3, 30, 0);
}

Test(image_folder, sets_from_sub_folders)
{
    leat_image_sets m;
    leat_status s;
    char name[32];
    make("x");
    for (int set = 0; set < 2; set++) {
        make(set ? "x/test" : "x/train");
        for (int label = 0; label < 2; label++) {
            sprintf(name, "x/%s/%s", set ? "test" : "train", label ? "b" : "a");
            make(name);
            for (int i = 0; i < 6; i++) {
                sprintf(name, "x/%s/%s/%d.pgm", set ? "test" : "train", label ? "b" : "a", i);
                put_image(name, "P5", 2, 1, 100 * set + 10 * i + label);
            }
        }
    }
    cr_assert_eq(read_sets("x", NULL, &m, &s), LEAT_OK, "%s", s.message);
    cr_assert(m.own_test && m.train.count == 10 && m.validation.count == 2 && m.test.count == 12);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(m.train.pixels[2 * i] % 10, m.train.labels[i]);
    cr_assert_eq(m.test.pixels[22], 151);
    cr_assert_eq(rename(in_folder("x/test/b"), in_folder("x/test/c")), 0);
    cr_assert_eq(read_sets("x", NULL, &m, &s), LEAT_ESHAPE);
    check_message(&s, "/x: ", "do not have the same classes");
    make("x/test/d");
    put_image("x/test/d/1.pgm", "P5", 2, 1, 0);
    cr_assert_eq(read_sets("x", NULL, &m, &s), LEAT_ESHAPE);
    check_message(&s, "/x: ", "do not have the same classes");
    put_image("x/test/a.pgm", "P5", 3, 1, 0);
    cr_assert_eq(read_sets("x", NULL, &m, &s), LEAT_ESHAPE);
    check_message(&s, "/x: ", "images to train are [1,2,1], and those to test are [1,3,1]");
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

Test(image_folder, out_of_memory_is_a_status)
{
    char name[32];
    make("x");
    for (int label = 0; label < 2; label++) {
        sprintf(name, "x/%d", label);
        make(name);
        for (int i = 0; i < 2; i++) {
            sprintf(name, "x/%d/%d.png", label, i);
            bytes png = slurp(FIXTURE("images/palette8.png"));
            spill(in_folder(name), png.data, png.size);
            free(png.data);
        }
    }
    for (long limit = 0;; limit++) {
        countdown c = { .left = limit };
        leat_allocator allocator = countdown_allocator(&c);
        leat_arena a;
        leat_image_sets m;
        leat_status s = { 0 };
        leat_arena_init(&a, &allocator);
        leat_code code = leat_image_sets_read(in_folder("x"), NULL, &a, &m, &s);
        cr_assert_eq(code == LEAT_OK, m.train.pixels != NULL);
        if (code) {
            cr_assert_eq(code, LEAT_ENOMEM, "%s", s.message);
            cr_assert_eq(a.in_use, 0u);
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
