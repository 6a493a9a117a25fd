/* Plots in pixels. */
#include "painter.h"

#include <math.h>

static void draw_box(app_painter *p, double x, double y, double width, double height, double radius, app_color fill,
                     app_color border)
{
    app_canvas_box(p->canvas, x, y, width, height, radius, fill, border);
}

static void draw_line(app_painter *p, const double *xy, int64_t n, double width, app_color color)
{
    app_canvas_line(p->canvas, xy, n, width, color);
}

/* Centres are moved to quarters of a pixel: nobody sees it, and discs that look alike pack well. */
static void draw_discs(app_painter *p, const double *xy, int64_t n, double radius, app_color color)
{
    for (int64_t i = 0; i < n; i++)
        app_canvas_disc(p->canvas, rint(4 * xy[2 * i]) / 4, rint(4 * xy[2 * i + 1]) / 4, radius, color);
}

static void draw_text(app_painter *p, double x, double y, double size, app_anchor anchor, bool upright, app_color color,
                      const char *text)
{
    app_canvas_text(p->canvas, x, y, size, anchor, upright, color, text);
}

app_painter app_painter_for_canvas(app_canvas *c)
{
    return (app_painter){ draw_box, draw_line, draw_discs, draw_text, c, NULL };
}
