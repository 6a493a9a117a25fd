/* Plots as files: PNG or SVG, one plot or a page of several. */
#include "picture.h"
#include "png.h"

#include <string.h>
#include <strings.h>

typedef struct page {
    int width, height, count;
    const app_panel *panels;
} page;

static bool ends_in(const char *path, const char *suffix)
{
    size_t size = strlen(path), tail = strlen(suffix);
    return size > tail && strcasecmp(path + size - tail, suffix) == 0;
}

static leat_code draw_page(const page *p, app_painter *painter, leat_arena *scratch, leat_status *s)
{
    const app_color white = { 255, 255, 255, 1 }, none = { 0, 0, 0, 0 };
    leat_code code = LEAT_OK;
    if (p->count > 1)
        painter->box(painter, 0, 0, p->width, p->height, 0, white, none);
    for (int i = 0; i < p->count && code == LEAT_OK; i++)
        code = app_panel_draw(&p->panels[i], painter, scratch, s);
    return code;
}

static leat_code encode_png(const page *p, app_text *out, leat_status *s)
{
    app_canvas canvas;
    app_painter painter;
    leat_code code = app_canvas_new(out->arena, p->width, p->height, &canvas, s);
    if (code == LEAT_OK) {
        painter = app_painter_for_canvas(&canvas);
        code = draw_page(p, &painter, out->arena, s);
    }
    if (code == LEAT_OK)
        app_png_encode(out, &canvas, APP_PNG_COMPACT);
    return code;
}

static leat_code encode_svg(const page *p, app_text *out, leat_status *s)
{
    leat_arena points;
    app_painter painter = app_painter_for_svg(out, p->width, p->height);
    leat_code code;
    leat_arena_init(&points, NULL);
    code = draw_page(p, &painter, &points, s);
    app_svg_end(&painter);
    leat_arena_free(&points);
    return code;
}

static leat_code write_page(const char *path, const page *p, leat_status *s)
{
    bool png = ends_in(path, ".png");
    leat_arena scratch;
    app_text file;
    leat_code code;
    if (!png && !ends_in(path, ".svg"))
        return leat_fail(s, LEAT_EARG, "%s: its name says neither .png nor .svg, the pictures that are written", path);
    leat_arena_init(&scratch, NULL);
    file = app_text_new(&scratch);
    code = (png ? encode_png : encode_svg)(p, &file, s);
    if (code == LEAT_OK && file.failed)
        code = leat_fail(s, LEAT_ENOMEM, "%s: out of memory for its picture", path);
    if (code == LEAT_OK)
        code = leat_file_write(path, file.bytes, file.size, s);
    leat_arena_free(&scratch);
    return code;
}

leat_code app_plot_write(const char *path, const app_plot *plot, leat_status *s)
{
    const app_panel panel = { .plot = *plot };
    const page p = { app_plot_side(plot->width), app_plot_side(plot->height), 1, &panel };
    return write_page(path, &p, s);
}

leat_code app_page_write(const char *path, int width, int height, const app_panel *panels, int count, leat_status *s)
{
    const page p = { width, height, count, panels };
    return write_page(path, &p, s);
}
