/*
 * Drawing with smooth edges.
 *
 * How much of a pixel a disc or a line covers is taken from the distance of the pixel's centre to the edge: all of it
 * half a pixel inside, nothing half a pixel outside. Lines collect the largest cover of their segments in a mask.
 */
#include "canvas.h"

#include <math.h>
#include <string.h>

leat_code app_canvas_new(leat_arena *a, int width, int height, app_canvas *out, leat_status *s)
{
    size_t pixels = (size_t)width * (size_t)height;
    *out = (app_canvas){ 0 };
    if (width < 1 || height < 1 || width > APP_CANVAS_LARGEST || height > APP_CANVAS_LARGEST) {
        return leat_fail(s, LEAT_EARG, "a picture of %d x %d pixels: each side is 1 to %d", width, height,
                         APP_CANVAS_LARGEST);
    }
    *out = (app_canvas){ width, height, leat_arena_alloc(a, 3 * pixels), leat_arena_zalloc(a, pixels) };
    if (!out->rgb || !out->mask)
        return leat_fail(s, LEAT_ENOMEM, "out of memory for a picture of %d x %d pixels", width, height);
    memset(out->rgb, 255, 3 * pixels);
    return LEAT_OK;
}

static uint8_t mix(uint8_t under, uint8_t over, double cover)
{
    return (uint8_t)(under + (over - under) * cover + 0.5);
}

static void blend(app_canvas *c, int x, int y, app_color color, double cover)
{
    uint8_t *p = c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x);
    cover *= color.alpha;
    p[0] = mix(p[0], color.red, cover);
    p[1] = mix(p[1], color.green, cover);
    p[2] = mix(p[2], color.blue, cover);
}

/* The pixels first .. last (possibly none) that the range low .. high touches, of 0 .. size - 1. */
static void pixel_range(double low, double high, int size, int *first, int *last)
{
    *first = (int)fmax(0, fmin(size, floor(low)));
    *last = (int)fmax(-1, fmin(size - 1, floor(high)));
}

static double clamp01(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* How far (x, y) is outside a box with rounded corners whose centre is the origin; negative inside. */
static double distance_to_box(double x, double y, double width, double height, double radius)
{
    double dx = fabs(x) - width / 2 + radius, dy = fabs(y) - height / 2 + radius;
    double ox = fmax(dx, 0), oy = fmax(dy, 0);
    return sqrt(ox * ox + oy * oy) + fmin(fmax(dx, dy), 0) - radius;
}

void app_canvas_box(app_canvas *c, double x, double y, double width, double height, double radius, app_color fill,
                    app_color border)
{
    int left, right, top, bottom;
    pixel_range(x - 1, x + width + 1, c->width, &left, &right);
    pixel_range(y - 1, y + height + 1, c->height, &top, &bottom);
    for (int j = top; j <= bottom; j++) {
        for (int i = left; i <= right; i++) {
            double d = distance_to_box(i + 0.5 - x - width / 2, j + 0.5 - y - height / 2, width, height, radius);
            blend(c, i, j, fill, clamp01(0.5 - d));
            blend(c, i, j, border, clamp01(1 - fabs(d)));
        }
    }
}

void app_canvas_disc(app_canvas *c, double x, double y, double radius, app_color color)
{
    int left, right, top, bottom;
    pixel_range(x - radius - 1, x + radius + 1, c->width, &left, &right);
    pixel_range(y - radius - 1, y + radius + 1, c->height, &top, &bottom);
    for (int j = top; j <= bottom; j++) {
        for (int i = left; i <= right; i++) {
            double dx = i + 0.5 - x, dy = j + 0.5 - y;
            blend(c, i, j, color, clamp01(radius + 0.5 - sqrt(dx * dx + dy * dy)));
        }
    }
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static double distance_to_segment(double x, double y, const double *a, const double *b)
{
    double ux = b[0] - a[0], uy = b[1] - a[1], square = ux * ux + uy * uy;
    double t = square > 0 ? clamp01(((x - a[0]) * ux + (y - a[1]) * uy) / square) : 0;
    double dx = x - a[0] - t * ux, dy = y - a[1] - t * uy;
    return sqrt(dx * dx + dy * dy);
}

static void mark_segment(app_canvas *c, const double *a, const double *b, double width)
{
    double reach = width / 2 + 1, most = width < 1 ? width : 1;
    int left, right, top, bottom;
    pixel_range(fmin(a[0], b[0]) - reach, fmax(a[0], b[0]) + reach, c->width, &left, &right);
    pixel_range(fmin(a[1], b[1]) - reach, fmax(a[1], b[1]) + reach, c->height, &top, &bottom);
    for (int j = top; j <= bottom; j++) {
        uint8_t *row = c->mask + (size_t)j * (size_t)c->width;
        for (int i = left; i <= right; i++) {
            double d = distance_to_segment(i + 0.5, j + 0.5, a, b);
            uint8_t cover = (uint8_t)(255 * fmin(clamp01(width / 2 + 0.5 - d), most) + 0.5);
            row[i] = cover > row[i] ? cover : row[i];
        }
    }
}

void app_canvas_mark(app_canvas *c, const double *xy, int64_t n, double width)
{
    if (n == 1)
        mark_segment(c, xy, xy, width);
    for (int64_t i = 1; i < n; i++)
        mark_segment(c, xy + 2 * i - 2, xy + 2 * i, width);
}

void app_canvas_paint(app_canvas *c, app_color color)
{
    for (int j = 0; j < c->height; j++) {
        uint8_t *row = c->mask + (size_t)j * (size_t)c->width;
        for (int i = 0; i < c->width; i++) {
            if (row[i] > 0) {
                blend(c, i, j, color, row[i] / 255.0);
                row[i] = 0;
            }
        }
    }
}

void app_canvas_line(app_canvas *c, const double *xy, int64_t n, double width, app_color color)
{
    app_canvas_mark(c, xy, n, width);
    app_canvas_paint(c, color);
}
