/*
 * What a plot is drawn with: a PNG's pixels or an SVG's elements, behind the same five calls.
 *
 * x goes right and y goes down, in pixels of the picture.
 */
#ifndef APPS_COMMON_PAINTER_H
#define APPS_COMMON_PAINTER_H

#include "canvas.h"
#include "font.h"
#include "../common/text.h"

typedef struct app_painter app_painter;

struct app_painter {
    /* A box with rounded corners and a border of one pixel; either colour may be invisible. */
    void (*box)(app_painter *p, double x, double y, double width, double height, double radius, app_color fill,
                app_color border);
    /* A line through n points; xy is x, y, x, y, ... */
    void (*line)(app_painter *p, const double *xy, int64_t n, double width, app_color color);
    /* n discs; where they overlap the colour deepens. */
    void (*discs)(app_painter *p, const double *xy, int64_t n, double radius, app_color color);
    /* A text whose baseline begins, has its middle or ends at (x, y); upwards when `upright`. */
    void (*text)(app_painter *p, double x, double y, double size, app_anchor anchor, bool upright, app_color color,
                 const char *text);
    app_canvas *canvas; /* of the first kind */
    app_text *svg;      /* of the second */
};

app_painter app_painter_for_canvas(app_canvas *c);

/* Begins an SVG document in `out`; app_svg_end completes it. */
app_painter app_painter_for_svg(app_text *out, int width, int height);
void app_svg_end(app_painter *p);

#endif
