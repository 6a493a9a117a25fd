/*
 * Plots: the axes are laid out from the data, then everything is handed to a painter.
 *
 * Sizes are those of matplotlib at 130 dots an inch: 18 pixels are 10 points.
 */
#include "picture.h"
#include "heat.h"
#include "legend.h"
#include "ticks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_STEPS = 9 };

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

/* Sizes in pixels. */
typedef struct sizes {
    int font, title_font, tick, gap, edge;
} sizes;

static const sizes normal_sizes = { 18, 22, 6, 7, 16 }, small_sizes = { 12, 14, 4, 4, 8 };

typedef struct frame {
    const app_plot *plot;
    sizes size;
    int left, top, width, height;
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

/* Whether a point lies within the ranges that the plot was given. */
static bool within(const app_plot *plot, const double xy[2])
{
    bool x = plot->x.low == plot->x.high || (xy[0] >= plot->x.low && xy[0] <= plot->x.high);
    bool y = plot->y.low == plot->y.high || (xy[1] >= plot->y.low && xy[1] <= plot->y.high);
    return x && y;
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

static void find_range(axis *a, app_range given)
{
    if (given.low < given.high) {
        a->low = given.low;
        a->high = given.high;
    } else {
        app_axis_range(&a->low, &a->high);
    }
}

static void find_ranges(frame *f)
{
    f->x.low = f->y.low = HUGE_VAL;
    f->x.high = f->y.high = -HUGE_VAL;
    for (int k = 0; k < f->plot->series_count; k++) {
        for (int64_t i = 0; i < point_count(&f->plot->series[k]); i++) {
            double xy[2];
            if (get_point(&f->plot->series[k], i, xy) && within(f->plot, xy)) {
                f->x.low = fmin(f->x.low, xy[0]);
                f->x.high = fmax(f->x.high, xy[0]);
                f->y.low = fmin(f->y.low, xy[1]);
                f->y.high = fmax(f->y.high, xy[1]);
            }
        }
    }
    find_range(&f->x, f->plot->x);
    find_range(&f->y, f->plot->y);
}

static double widest_label(const app_ticks *t, int font)
{
    double widest = 0;
    for (int i = 0; i < t->count; i++)
        widest = fmax(widest, app_text_width(t->label[i], font));
    return widest;
}

/* As many ticks as leave their labels room. */
static void choose_ticks(frame *f, double width, double height)
{
    int most = (int)fmax(2, fmin(MOST_STEPS, height / (3 * f->size.font)));
    f->y.ticks = app_ticks_choose(f->y.low, f->y.high, most);
    for (most = MOST_STEPS; most > 1; most--) {
        f->x.ticks = app_ticks_choose(f->x.low, f->x.high, most);
        if ((widest_label(&f->x.ticks, f->size.font) + f->size.font) * f->x.ticks.count <= width)
            break;
    }
}

static void lay_out(frame *f)
{
    const app_plot *p = f->plot;
    const sizes z = f->size;
    double left, right, top, bottom;
    find_ranges(f);
    choose_ticks(f, 0.85 * f->width, 0.85 * f->height);
    left = z.edge + widest_label(&f->y.ticks, z.font) + z.gap + z.tick + (p->y_label ? z.font + z.gap + 3 : 0);
    right = fmax(z.edge + 4, widest_label(&f->x.ticks, z.font) / 2 + 4);
    top = p->title ? z.edge + z.title_font + z.gap : f->y.ticks.exponent ? z.edge + z.font : z.edge + 4;
    bottom = z.edge + z.font + z.gap + z.tick + (p->x_label || f->x.ticks.exponent ? z.font + z.gap : 0);
    /* half pixels, so that lines one pixel wide are sharp */
    f->x.begin = f->left + floor(left) + 0.5;
    f->x.length = fmax(1, floor(f->width - left - right));
    f->y.begin = f->top + f->height - floor(bottom) - 0.5;
    f->y.length = -fmax(1, floor(f->height - top - bottom));
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */

static void draw_ticks(const frame *f, app_painter *p)
{
    const sizes z = f->size;
    for (int i = 0; i < f->x.ticks.count; i++) {
        double x = floor(to_pixel(&f->x, f->x.ticks.at[i])) + 0.5, y = f->y.begin;
        p->line(p, (double[]){ x, y, x, y + z.tick }, 2, 1, black);
        p->text(p, x, y + z.tick + z.gap + 0.75 * z.font, z.font, APP_MIDDLE, false, black, f->x.ticks.label[i]);
    }
    for (int i = 0; i < f->y.ticks.count; i++) {
        double x = f->x.begin, y = floor(to_pixel(&f->y, f->y.ticks.at[i])) + 0.5;
        p->line(p, (double[]){ x, y, x - z.tick, y }, 2, 1, black);
        p->text(p, x - z.tick - z.gap, y + 0.36 * z.font, z.font, APP_END, false, black, f->y.ticks.label[i]);
    }
}

static void draw_exponent(const app_ticks *t, app_painter *p, double x, double y, int font, app_anchor anchor)
{
    char text[16];
    if (t->exponent != 0) {
        snprintf(text, sizeof text, "1e%s%d", t->exponent < 0 ? "\xE2\x88\x92" : "", abs(t->exponent));
        p->text(p, x, y, font, anchor, false, black, text);
    }
}

static void draw_axes(const frame *f, app_painter *p)
{
    const app_plot *plot = f->plot;
    const sizes z = f->size;
    double low = f->top + f->height - z.edge; /* where the lowest text stands */
    double left = f->x.begin, right = left + f->x.length, bottom = f->y.begin, top = bottom + f->y.length;
    draw_ticks(f, p);
    draw_exponent(&f->x.ticks, p, right, low, z.font, APP_END);
    draw_exponent(&f->y.ticks, p, left, top - z.gap, z.font, APP_START);
    p->box(p, left, top, right - left, bottom - top, 0, none, black);
    if (plot->x_label)
        p->text(p, (left + right) / 2, low, z.font, APP_MIDDLE, false, black, plot->x_label);
    if (plot->y_label) {
        p->text(p, f->left + z.edge + 0.75 * z.font, (top + bottom) / 2, z.font, APP_MIDDLE, true, black,
                plot->y_label);
    }
    if (plot->title)
        p->text(p, (left + right) / 2, top - 10, z.title_font, APP_MIDDLE, false, black, plot->title);
}

static app_series with_defaults(const app_plot *plot, int k)
{
    app_series s = plot->series[k];
    if (!(s.color.alpha > 0)) {
        s.color = cycle[(size_t)k % (sizeof cycle / sizeof *cycle)];
        s.color.alpha = s.mark == APP_POINTS ? 0.5 : 1;
    }
    if (!(s.size > 0))
        s.size = s.mark == APP_POINTS ? 3.5 : 2.5;
    return s;
}

/* A series in pixels: stretches of points that can be drawn, each handed to the painter. */
static void draw_series(const frame *f, const app_series *s, app_painter *p, app_legend *legend, double *xy)
{
    int64_t n = point_count(s), run = 0;
    for (int64_t i = 0; i <= n; i++) {
        double at[2];
        bool drawn = i < n && get_point(s, i, at) && within(f->plot, at);
        if (drawn) {
            xy[2 * run] = to_pixel(&f->x, at[0]);
            xy[2 * run + 1] = to_pixel(&f->y, at[1]);
            run++;
        }
        if (run > 0 && (i == n || (!drawn && s->mark == APP_LINE))) {
            if (s->mark == APP_LINE)
                p->line(p, xy, run, s->size, s->color);
            else
                p->discs(p, xy, run, s->size, s->color);
            app_legend_avoid(legend, xy, run, s->mark == APP_LINE);
            run = 0;
        }
    }
}

static leat_code draw_all_series(const frame *f, app_painter *painter, app_legend *legend, leat_arena *scratch,
                                 leat_status *s)
{
    for (int k = 0; k < f->plot->series_count; k++) {
        app_series series = with_defaults(f->plot, k);
        leat_arena_mark mark = leat_arena_save(scratch);
        double *xy = leat_arena_alloc(scratch, 2 * sizeof *xy * (size_t)point_count(&series));
        if (!xy)
            return leat_fail(s, LEAT_ENOMEM, "plot: out of memory for %lld points", (long long)point_count(&series));
        draw_series(f, &series, painter, legend, xy);
        leat_arena_restore(scratch, mark);
    }
    return LEAT_OK;
}

leat_code app_panel_draw(const app_panel *panel, app_painter *painter, leat_arena *scratch, leat_status *s)
{
    const app_plot *plot = &panel->plot;
    frame f = { .plot = plot,
                .size = plot->small ? small_sizes : normal_sizes,
                .left = panel->left,
                .top = panel->top,
                .width = app_plot_side(plot->width),
                .height = app_plot_side(plot->height) };
    app_legend legend;
    leat_code code = check(plot, s);
    if (code != LEAT_OK)
        return code;
    lay_out(&f);
    app_legend_begin(&legend, f.size.font, f.x.begin, f.y.begin + f.y.length, f.x.length, -f.y.length);
    for (int k = 0; k < plot->series_count; k++) {
        app_series series = with_defaults(plot, k);
        app_legend_add(&legend, series.label, series.mark, series.size, series.color);
    }
    painter->box(painter, f.left, f.top, f.width, f.height, 0, white, none);
    if (plot->heat)
        app_heat_draw(plot->heat, painter, f.x.begin, f.y.begin + f.y.length, f.x.length, -f.y.length);
    code = draw_all_series(&f, painter, &legend, scratch, s);
    if (code == LEAT_OK) {
        draw_axes(&f, painter);
        app_legend_draw(&legend, painter);
    }
    return code;
}
