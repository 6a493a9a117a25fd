/* Images on a canvas, and that as PNG. */
#include "image_grid.h"
#include "png.h"

#include "../../tensor/files/table.h"

#include <string.h>

enum { BORDER = 128 };

static void put_image(app_canvas *c, const leat_images *m, int64_t i, int64_t left, int64_t top)
{
    const uint8_t *from = m->pixels + i * m->height * m->width * m->channels;
    for (int y = 0; y < m->height; y++) {
        uint8_t *to = c->rgb + 3 * ((top + y) * c->width + left);
        for (int k = 0; k < 3 * m->width; k++)
            to[k] = from[m->channels == 3 ? k : k / 3];
        from += m->width * m->channels;
    }
}

static leat_code write_canvas(const char *path, const app_canvas *c, leat_arena *a, leat_status *s)
{
    app_text out = app_text_new(a);
    app_png_encode(&out, c, APP_PNG_EXACT);
    return out.failed ? leat_fail(s, LEAT_ENOMEM, "%s: out of memory for the picture", path)
                      : leat_file_write(path, out.bytes, out.size, s);
}

/* Rows and columns of the images from `first` on, `border` pixels between and around them. */
static leat_code write_images(const char *path, const leat_images *m, int64_t first, int64_t count, int64_t columns,
                              int64_t border, leat_arena *a, leat_status *s)
{
    int64_t step_x = m->width + border, step_y = m->height + border, rows = (count + columns - 1) / columns;
    app_canvas canvas;
    if (rows > APP_CANVAS_LARGEST || columns > APP_CANVAS_LARGEST || rows * step_y + border > APP_CANVAS_LARGEST ||
        columns * step_x + border > APP_CANVAS_LARGEST) {
        return leat_fail(s, LEAT_ESHAPE,
                         "%s: %lld images of %d x %d pixels in %lld columns are more than a picture of %d x "
                         "%d pixels holds",
                         path, (long long)count, m->width, m->height, (long long)columns, APP_CANVAS_LARGEST,
                         APP_CANVAS_LARGEST);
    }
    if (app_canvas_new(a, (int)(columns * step_x + border), (int)(rows * step_y + border), &canvas, s))
        return LEAT_ENOMEM;
    memset(canvas.rgb, BORDER, 3 * (size_t)canvas.width * (size_t)canvas.height);
    for (int64_t i = 0; i < count; i++)
        put_image(&canvas, m, first + i, border + i % columns * step_x, border + i / columns * step_y);
    return write_canvas(path, &canvas, a, s);
}

leat_code app_image_grid_write(const char *path, const leat_images *images, int64_t columns, leat_status *s)
{
    leat_arena arena;
    if (images->count < 1)
        return leat_fail(s, LEAT_ESHAPE, "%s: there are no images to write", path);
    if (columns < 1)
        for (columns = 1; columns * columns < images->count && columns < APP_CANVAS_LARGEST;)
            columns++;
    leat_arena_init(&arena, NULL);
    leat_code code = write_images(path, images, 0, images->count, columns, 1, &arena, s);
    leat_arena_free(&arena);
    return code;
}

leat_code app_image_files_write(const char *path, const leat_images *images, leat_status *s)
{
    int stem = (int)strlen(path) - (leat_path_ends(path, ".png") ? 4 : 0), digits = 1;
    leat_code code = LEAT_OK;
    leat_arena arena;
    for (int64_t last = images->count; last > 9; last /= 10)
        digits++;
    leat_arena_init(&arena, NULL);
    for (int64_t i = 0; !code && i < images->count; i++) {
        leat_arena_reset(&arena);
        const char *name = leat_arena_format(&arena, "%.*s-%0*lld.png", stem, path, digits, (long long)i + 1);
        code = name ? write_images(name, images, i, 1, 1, 0, &arena, s)
                    : leat_fail(s, LEAT_ENOMEM, "%s: out of memory for the picture", path);
    }
    leat_arena_free(&arena);
    return code;
}
