/* Images written as PNG, all in one and one a file, and read back. */
#include "../../apps/pictures/canvas.h"
#include "../../apps/pictures/image_grid.h"
#include "../tensor/file_helpers.h"

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

TestSuite(image_grid, .init = set_up, .fini = tear_down);

enum { COUNT = 11, HEIGHT = 3, WIDTH = 2 };
static uint8_t pixels[COUNT * HEIGHT * WIDTH * 3];

static leat_images make_images(int channels)
{
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    return (leat_images){ COUNT, HEIGHT, WIDTH, channels, pixels, NULL, 0, NULL };
}

static leat_images read_back(const char *name)
{
    leat_images m;
    leat_status s = { 0 };
    cr_assert_eq(leat_images_read(in_folder(name), &arena, &m, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(m.count, 1);
    return m;
}

Test(image_grid, rows_and_columns)
{
    for (int channels = 1; channels <= 3; channels += 2)
        for (int columns = 0; columns <= 3; columns += 3) {
            leat_images images = make_images(channels);
            leat_status s = { 0 };
            cr_assert_eq(app_image_grid_write(in_folder("x.png"), &images, columns, &s), LEAT_OK, "%s", s.message);
            leat_images m = read_back("x.png");
            int across = columns ? columns : 4, down = columns ? 4 : 3;
            cr_assert(m.width == across * (WIDTH + 1) + 1 && m.height == down * (HEIGHT + 1) + 1);
            cr_assert_eq(m.channels, channels);
            for (int y = 0; y < m.height; y++)
                for (int x = 0; x < m.width; x++) {
                    int i = y / (HEIGHT + 1) * across + x / (WIDTH + 1);
                    int row = y % (HEIGHT + 1) - 1, column = x % (WIDTH + 1) - 1;
                    bool inside = row >= 0 && column >= 0 && i < COUNT;
                    for (int c = 0; c < channels; c++)
                        cr_assert_eq(m.pixels[(y * m.width + x) * channels + c],
                                     inside ? pixels[((i * HEIGHT + row) * WIDTH + column) * channels + c] : 128,
                                     "%d, %d", y, x);
                }
        }
}

Test(image_grid, a_file_for_each)
{
    leat_images images = make_images(3);
    leat_status s = { 0 };
    cr_assert_eq(app_image_files_write(in_folder("x.png"), &images, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(files_in_folder(false), COUNT);
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        sprintf(name, "x-%02d.png", i + 1);
        leat_images m = read_back(name);
        cr_assert(m.width == WIDTH && m.height == HEIGHT && m.channels == 3);
        cr_assert_eq(memcmp(m.pixels, pixels + i * HEIGHT * WIDTH * 3, HEIGHT * WIDTH * 3), 0);
    }
}

Test(image_grid, refusals)
{
    static const struct {
        int64_t count, columns;
    } large[] = { { INT64_MAX / 8, 0 }, { 5462, 5462 }, { 4096, 1 }, { 1, INT64_MAX / 8 } };
    leat_images images = make_images(1);
    leat_status s = { 0 };
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        images.count = large[i].count;
        cr_assert_eq(app_image_grid_write(in_folder("x.png"), &images, large[i].columns, &s), LEAT_ESHAPE, "%zu", i);
        check_message(&s, "x.png: ", "are more than a picture of 16384 x 16384 pixels holds");
        s = (leat_status){ 0 };
    }
    images.count = 0;
    cr_assert_eq(app_image_grid_write(in_folder("x.png"), &images, 0, &s), LEAT_ESHAPE);
    check_message(&s, "x.png: ", "no images");
    s = (leat_status){ 0 };
    images.count = COUNT;
    cr_assert_eq(app_image_files_write(in_folder("none/x.png"), &images, &s), LEAT_EIO);
    check_message(&s, "none/x-01.png", "cannot write");
    cr_assert_eq(files_in_folder(false), 0);
}
