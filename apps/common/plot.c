/*
 * Plots: the axes are laid out from the data, then everything is handed to a painter.
 *
 * Sizes are those of matplotlib at 130 dots an inch: 18 pixels are 10 points.
 */
#include "plot.h"
#include "legend.h"
#include "png.h"
#include "ticks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEFAULT_SIDE = 780, FONT = 18, TITLE_FONT = 22, TICK = 6, GAP = 7, EDGE = 16, MOST_STEPS = 9 };

static const app_color black = { 0, 0, 0, 1 }, white = { 255, 255, 255, 1 }, none = { 0, 0, 0, 0 };
static const app_color cycle[] = {
    { 0x1f, 0x77, 0xb4, 1 }, { 0xff, 0x7f, 0x0e, 1 }, { 0x2c, 0xa0, 0x2c, 1 }, { 0xd6, 0x27, 0x28, 1 },
    { 0x94, 0x67, 0xbd, 1 }, { 0x8c, 0x56, 0x4b, 1 }, { 0xe3, 0x77, 0xc2, 1 }, { 0x7f, 0x7f, 0x7f, 1 },
};

typedef struct axis {
    double low, high;     /* of the data's units */
    double begin, length; /* in pixels; the length of a vertical axis is negative */
    app_ticks ticks;
} axis;

typedef struct frame {
    const app_plot *plot;
    int width, height;
    axis x, y;
} frame;

static double to_pixel(const axis *a, double value)
{
    return a->begin + (value - a->low) / (a->high - a->low) * a->length;
}

/* The i-th point of a series; false when it cannot be drawn. */
static bool get_point(const app_series *s, int64_t i, double xy[2])
{
    int64_t columns = s->points.shape.size[1];
    const leat_real *row = s->points.data + i * columns;
    bool first_two = s->x == 0 && s->y == 0;

    xy[0] = columns == 1 ? (double)i : (double)row[first_two ? 0 : s->x];
    xy[1] = (double)row[columns > 1 && first_two ? 1 : s->y];
    return fabs(xy[0]) < 1e300 && fabs(xy[1]) < 1e300;
}

static int64_t point_count(const app_series *s)
{
    return s->points.shape.size[0];
}

static leat_code check(const app_plot *plot, leat_status *s)
{
    for (int k = 0; k < plot->series_count; k++) {
        const app_series *series = &plot->series[k];
        const leat_shape *shape = &series->points.shape;
        char text[LEAT_SHAPE_TEXT];

        if (shape->rank != 2 || shape->size[1] < 1 || series->x < 0 || series->x >= shape->size[1] || series->y < 0 ||
            series->y >= shape->size[1]) {
            return leat_fail(s, LEAT_ESHAPE, "plot: columns %d and %d of points of shape %s", series->x, series->y,
                             leat_shape_print(shape, text));
        }
    }
    return LEAT_OK;
}

/* ---- layout ------------------------------------------------------------------------------------------------------ */

static void find_ranges(frame *f)
{
    f->x.low = f->y.low = HUGE_VAL;
    f->x.high = f->y.high = -HUGE_VAL;
    for (int k = 0; k < f->plot->series_count; k++) {
        for (int64_t i = 0; i < point_count(&f->plot->series[k]); i++) {
            double xy[2];

            if (get_point(&f->plot->series[k], i, xy)) {
                f->x.low = fmin(f->x.low, xy[0]);
                f->x.high = fmax(f->x.high, xy[0]);
                f->y.low = fmin(f->y.low, xy[1]);
                f->y.high = fmax(f->y.high, xy[1]);
            }
        }
    }
    app_axis_range(&f->x.low, &f->x.high);
    app_axis_range(&f->y.low, &f->y.high);
}

static double widest_label(const app_ticks *t)
{
    double widest = 0;

    for (int i = 0; i < t->count; i++) {
        widest = fmax(widest, app_text_width(t->label[i], FONT));
    }
    return widest;
}

/* As many ticks as leave their labels room. */
static void choose_ticks(frame *f, double width, double height)
{
    int most = (int)fmax(2, fmin(MOST_STEPS, height / (3 * FONT)));

    f->y.ticks = app_ticks_choose(f->y.low, f->y.high, most);
    for (most = MOST_STEPS; most > 1; most--) {
        f->x.ticks = app_ticks_choose(f->x.low, f->x.high, most);
        if ((widest_label(&f->x.ticks) + FONT) * f->x.ticks.count <= width) {
            break;
        }
    }
}

static void lay_out(frame *f)
{
    const app_plot *p = f->plot;
    double left, right, top, bottom;

    f->width = p->width > 0 ? p->width : DEFAULT_SIDE;
    f->height = p->height > 0 ? p->height : DEFAULT_SIDE;
    find_ranges(f);
    choose_ticks(f, 0.85 * f->width, 0.85 * f->height);
    left = EDGE + widest_label(&f->y.ticks) + GAP + TICK + (p->y_label ? FONT + GAP + 3 : 0);
    right = fmax(EDGE + 4, widest_label(&f->x.ticks) / 2 + 4);
    top = p->title ? EDGE + TITLE_FONT + GAP : f->y.ticks.exponent ? EDGE + FONT : EDGE + 4;
    bottom = EDGE + FONT + GAP + TICK + (p->x_label || f->x.ticks.exponent ? FONT + GAP : 0);
    /* half pixels, so that lines one pixel wide are sharp */
    f->x.begin = floor(left) + 0.5;
    f->x.length = fmax(1, floor(f->width - left - right));
    f->y.begin = f->height - floor(bottom) - 0.5;
    f->y.length = -fmax(1, floor(f->height - top - bottom));
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

static void draw_ticks(const frame *f, app_painter *p)
{
    for (int i = 0; i < f->x.ticks.count; i++) {
        double x = floor(to_pixel(&f->x, f->x.ticks.at[i])) + 0.5, y = f->y.begin;

        p->line(p, (double[]){ x, y, x, y + TICK }, 2, 1, black);
        p->text(p, x, y + TICK + GAP + 0.75 * FONT, FONT, APP_MIDDLE, false, black, f->x.ticks.label[i]);
    }
    for (int i = 0; i < f->y.ticks.count; i++) {
        double x = f->x.begin, y = floor(to_pixel(&f->y, f->y.ticks.at[i])) + 0.5;

        p->line(p, (double[]){ x, y, x - TICK, y }, 2, 1, black);
        p->text(p, x - TICK - GAP, y + 0.36 * FONT, FONT, APP_END, false, black, f->y.ticks.label[i]);
    }
}

static void draw_exponent(const app_ticks *t, app_painter *p, double x, double y, app_anchor anchor)
{
    char text[16];

    if (t->exponent != 0) {
        snprintf(text, sizeof text, "1e%s%d", t->exponent < 0 ? "\xE2\x88\x92" : "", abs(t->exponent));
        p->text(p, x, y, FONT, anchor, false, black, text);
    }
}

static void draw_axes(const frame *f, app_painter *p)
{
    const app_plot *plot = f->plot;
    double left = f->x.begin, right = left + f->x.length, bottom = f->y.begin, top = bottom + f->y.length;

    draw_ticks(f, p);
    draw_exponent(&f->x.ticks, p, right, f->height - EDGE, APP_END);
    draw_exponent(&f->y.ticks, p, left, top - GAP, APP_START);
    p->box(p, left, top, right - left, bottom - top, 0, none, black);
    if (plot->x_label) {
        p->text(p, (left + right) / 2, f->height - EDGE, FONT, APP_MIDDLE, false, black, plot->x_label);
    }
    if (plot->y_label) {
        p->text(p, EDGE + 0.75 * FONT, (top + bottom) / 2, FONT, APP_MIDDLE, true, black, plot->y_label);
    }
    if (plot->title) {
        p->text(p, (left + right) / 2, top - 10, TITLE_FONT, APP_MIDDLE, false, black, plot->title);
    }
}

static app_series with_defaults(const app_plot *plot, int k)
{
    app_series s = plot->series[k];

    if (!(s.color.alpha > 0)) {
        s.color = cycle[(size_t)k % (sizeof cycle / sizeof *cycle)];
        s.color.alpha = s.mark == APP_POINTS ? 0.5 : 1;
    }
    if (!(s.size > 0)) {
        s.size = s.mark == APP_POINTS ? 3.5 : 2.5;
    }
    return s;
}

/* A series in pixels: stretches of points that can be drawn, each handed to the painter. */
static void draw_series(const frame *f, const app_series *s, app_painter *p, app_legend *legend, double *xy)
{
    int64_t n = point_count(s), run = 0;

    for (int64_t i = 0; i <= n; i++) {
        double at[2];
        bool drawn = i < n && get_point(s, i, at);

        if (drawn) {
            xy[2 * run] = to_pixel(&f->x, at[0]);
            xy[2 * run + 1] = to_pixel(&f->y, at[1]);
            run++;
        }
        if (run > 0 && (i == n || (!drawn && s->mark == APP_LINE))) {
            if (s->mark == APP_LINE) {
                p->line(p, xy, run, s->size, s->color);
            } else {
                p->discs(p, xy, run, s->size, s->color);
            }
            app_legend_avoid(legend, xy, run, s->mark == APP_LINE);
            run = 0;
        }
    }
}

leat_code app_plot_draw(const app_plot *plot, app_painter *painter, leat_arena *scratch, leat_status *s)
{
    frame f = { .plot = plot };
    app_legend legend;
    leat_code code = check(plot, s);

    if (code != LEAT_OK) {
        return code;
    }
    lay_out(&f);
    app_legend_begin(&legend, FONT, f.x.begin, f.y.begin + f.y.length, f.x.length, -f.y.length);
    for (int k = 0; k < plot->series_count; k++) {
        app_series series = with_defaults(plot, k);
        app_legend_add(&legend, series.label, series.mark, series.size, series.color);
    }
    painter->box(painter, 0, 0, f.width, f.height, 0, white, none);
    for (int k = 0; k < plot->series_count; k++) {
        app_series series = with_defaults(plot, k);
        leat_arena_mark mark = leat_arena_save(scratch);
        double *xy = leat_arena_alloc(scratch, 2 * sizeof *xy * (size_t)point_count(&series));

        if (!xy) {
            return leat_fail(s, LEAT_ENOMEM, "plot: out of memory for %lld points", (long long)point_count(&series));
        }
        draw_series(&f, &series, painter, &legend, xy);
        leat_arena_restore(scratch, mark);
    }
    draw_axes(&f, painter);
    app_legend_draw(&legend, painter);
    return LEAT_OK;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *suffix)
{
    size_t size = strlen(path), tail = strlen(suffix);

    return size > tail && strcasecmp(path + size - tail, suffix) == 0;
}

static leat_code encode_png(const app_plot *plot, int width, int height, app_text *out, leat_status *s)
{
    app_canvas canvas;
    app_painter painter;
    leat_code code = app_canvas_new(out->arena, width, height, &canvas, s);

    if (code == LEAT_OK) {
        painter = app_painter_for_canvas(&canvas);
        code = app_plot_draw(plot, &painter, out->arena, s);
    }
    if (code == LEAT_OK) {
        app_png_encode(out, &canvas, APP_PNG_COMPACT);
    }
    return code;
}

static leat_code encode_svg(const app_plot *plot, int width, int height, app_text *out, leat_status *s)
{
    leat_arena points;
    app_painter painter = app_painter_for_svg(out, width, height);
    leat_code code;

    leat_arena_init(&points, NULL);
    code = app_plot_draw(plot, &painter, &points, s);
    app_svg_end(&painter);
    leat_arena_free(&points);
    return code;
}

leat_code app_plot_write(const char *path, const app_plot *plot, leat_status *s)
{
    int width = plot->width > 0 ? plot->width : DEFAULT_SIDE, height = plot->height > 0 ? plot->height : DEFAULT_SIDE;
    bool png = ends_in(path, ".png");
    leat_arena scratch;
    app_text file;
    leat_code code;

    if (!png && !ends_in(path, ".svg")) {
        return leat_fail(s, LEAT_EARG, "%s: its name says neither .png nor .svg, the pictures that are written", path);
    }
    leat_arena_init(&scratch, NULL);
    file = app_text_new(&scratch);
    code = (png ? encode_png : encode_svg)(plot, width, height, &file, s);
    if (code == LEAT_OK && file.failed) {
        code = leat_fail(s, LEAT_ENOMEM, "%s: out of memory for its picture", path);
    }
    if (code == LEAT_OK) {
        code = leat_file_write(path, file.bytes, file.size, s);
    }
    leat_arena_free(&scratch);
    return code;
}
