/*
 * The picture of a flow of two features, in three parts: the density as a map with contour lines, each of which holds a
 * known share of the probability; samples beside the data; and the grid of the latent space on its way through the
 * layers.
 */
#include "../pictures/heat.h"
#include "draw.h"

#include <math.h>
#include <stdlib.h>

enum { SIDE = 780, CELLS = 192, CONTOURS = 6, FRAMES = 5, SHOWN = 2000 };
enum { LINES = 17, STOPS = 129 }; /* of the grid: lines in each direction, points on each */

static const app_color ink = { 0x1b, 0x2a, 0x49, 0.85 }, dots = { 0xff, 0x7f, 0x0e, 0.35 };
static const app_color along = { 0x1f, 0x77, 0xb4, 0.9 }, across = { 0xd6, 0x27, 0x28, 0.75 };

typedef struct plane {
    app_trained *m;
    const app_drawing *d;
    leat_tensor samples, shown; /* shown: the first rows of the data */
    app_range x, y;
    app_heat heat;
    app_series contours[CONTOURS + 1];
} plane;

/* ---- density ----------------------------------------------------------------------------------------------------- */

static int by_falling_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x < *y) - (*x > *y);
}

/* The levels above which lie the given shares of what the grid holds. */
static void find_levels(const double *density, int64_t n, double *sorted, double levels[CONTOURS])
{
    static const double shares[CONTOURS] = { 0.1, 0.3, 0.5, 0.7, 0.9, 0.98 };
    double total = 0, sum = 0;
    int found = 0;
    for (int64_t i = 0; i < n; i++) {
        sorted[i] = density[i];
        total += density[i];
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_falling_value);
    for (int64_t i = 0; i < n && found < CONTOURS; i++) {
        sum += sorted[i];
        while (found < CONTOURS && sum >= shares[found] * total)
            levels[found++] = sorted[i];
    }
    while (found < CONTOURS)
        levels[found++] = 0;
}

leat_code app_plane_density(app_trained *m, app_range x, app_range y, app_heat *heat)
{
    int64_t n = (int64_t)CELLS * CELLS;
    double *points = leat_arena_alloc(&m->arena, (size_t)(2 * n) * sizeof *points);
    double *density = leat_arena_alloc(&m->arena, (size_t)n * sizeof *density), highest = 0;
    if (!points || !density)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the density");
    for (int64_t i = 0; i < n; i++) {
        double column = (double)(i % CELLS) + 0.5, row = (double)(i / CELLS) + 0.5;
        points[2 * i] = x.low + (x.high - x.low) * column / CELLS;
        points[2 * i + 1] = y.low + (y.high - y.low) * row / CELLS;
    }
    if (leat_flow_score_doubles(m->flow, m->tape, (leat_doubles){ points, n, 2 }, (leat_doubles){ 0 }, density)) {
        return leat_fail(&m->status, leat_tape_code(m->tape), "%s: the density: %s", m->path,
                         leat_tape_errmsg(m->tape));
    }
    for (int64_t i = 0; i < n; i++) {
        density[i] = exp(density[i]);
        highest = density[i] > highest && isfinite(density[i]) ? density[i] : highest;
    }
    *heat = (app_heat){ density, CELLS, CELLS, 0, highest > 0 ? highest : 1 };
    return LEAT_OK;
}

static leat_code find_contours(plane *p)
{
    app_trained *m = p->m;
    double levels[CONTOURS], *sorted = leat_arena_alloc(&m->arena, (size_t)CELLS * CELLS * sizeof *sorted);
    if (!sorted)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the contours");
    find_levels(p->heat.value, (int64_t)CELLS * CELLS, sorted, levels);
    for (int k = 0; k < CONTOURS; k++) {
        p->contours[k] = (app_series){ .mark = APP_LINE, .size = 1.2, .color = ink };
        if (app_contour(&p->heat, p->x, p->y, levels[k], &m->arena, &p->contours[k].points, &m->status))
            return m->status.code;
    }
    return LEAT_OK;
}

/* ---- the grid ---------------------------------------------------------------------------------------------------- */

/* Lines at -2, -1.75, ..., 2 in both directions, one after the other. */
static leat_tensor latent_grid(app_trained *m)
{
    leat_tensor grid = leat_tensor_new(&m->arena, LEAT_SHAPE(2 * LINES * STOPS, 2), &m->status);
    for (int64_t i = 0; grid.data && i < 2 * LINES * STOPS; i++) {
        double line = -2 + 4.0 * (double)(i / STOPS % LINES) / (LINES - 1);
        double stop = -2 + 4.0 * (double)(i % STOPS) / (STOPS - 1);
        bool upright = i >= LINES * STOPS;
        grid.data[2 * i] = (leat_real)(upright ? line : stop);
        grid.data[2 * i + 1] = (leat_real)(upright ? stop : line);
    }
    return grid;
}

/* The grid after the last `undone` layers, from the latent side, copied; all of them end in the data's own units. */
static leat_code bend(app_trained *m, leat_tensor grid, int undone, leat_tensor *out)
{
    int length = leat_flow_length(m->flow);
    leat_flow_call call = { 0 };
    leat_var z;
    leat_tape_reset(m->tape);
    z = leat_borrow(m->tape, grid);
    if (undone == length)
        z = leat_flow_inverse(m->flow, z).y;
    for (int i = length - 1; undone < length && i >= length - undone; i--)
        z = leat_transform_inverse(leat_flow_layer(m->flow, i), z, &call).y;
    if (!leat_ok(z))
        return leat_fail(&m->status, leat_tape_code(m->tape), "%s: the grid: %s", m->path, leat_tape_errmsg(m->tape));
    *out = leat_tensor_new(&m->arena, grid.shape, &m->status);
    for (int64_t i = 0; out->data && i < leat_shape_count(&grid.shape); i++)
        out->data[i] = leat_value(z).data[i];
    return m->status.code;
}

/* A frame's series: every line of the grid on its own. */
static leat_code frame(app_trained *m, leat_tensor bent, app_plot *plot)
{
    app_series *lines = leat_arena_zalloc(&m->arena, 2 * LINES * sizeof *lines);
    if (!lines)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the grid");
    for (int i = 0; i < 2 * LINES; i++) {
        lines[i] = (app_series){ .points = { bent.data + 2 * i * STOPS, LEAT_SHAPE(STOPS, 2) },
                                 .mark = APP_LINE,
                                 .size = 0.9,
                                 .color = i < LINES ? along : across };
    }
    plot->series = lines;
    plot->series_count = 2 * LINES;
    return LEAT_OK;
}

static leat_code draw_frames(plane *p, app_panel panels[FRAMES])
{
    app_trained *m = p->m;
    leat_tensor grid = latent_grid(m), bent = { 0 };
    int length = leat_flow_length(m->flow);
    for (int k = 0; k < FRAMES && grid.data; k++) {
        int undone = (k * length + (FRAMES - 1) / 2) / (FRAMES - 1);
        const char *title = k == 0            ? "latent"
                            : undone < length ? leat_arena_format(&m->arena, "%d of %d layers", undone, length)
                                              : "data";
        if (!title)
            return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the grid");
        panels[k] = (app_panel){ .left = 2 * SIDE * k / FRAMES, .top = SIDE };
        panels[k].plot =
            (app_plot){ .title = title, .width = 2 * SIDE / FRAMES, .height = 2 * SIDE / FRAMES, .small = true };
        if (bend(m, grid, undone, &bent) || frame(m, bent, &panels[k].plot))
            return m->status.code;
    }
    return m->status.code;
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

leat_code app_draw_plane(app_trained *m, const app_drawing *d, leat_tensor samples)
{
    plane p = { .m = m, .d = d, .samples = samples, .shown = d->data };
    const leat_tensor tables[] = { samples, d->data };
    const char *x_label = m->columns ? m->columns[0] : NULL, *y_label = m->columns ? m->columns[1] : NULL;
    app_panel panels[2 + FRAMES] = { 0 };
    app_series both[2];
    p.x = app_range_of(m, tables, 2, 0, 0.004);
    p.y = app_range_of(m, tables, 2, 1, 0.004);
    if (p.shown.data && p.shown.shape.size[0] > SHOWN)
        p.shown.shape.size[0] = SHOWN;
    if (m->status.code || app_plane_density(m, p.x, p.y, &p.heat) || find_contours(&p) || draw_frames(&p, panels + 2))
        return m->status.code;
    p.contours[CONTOURS] = (app_series){ .label = "data", .points = p.shown, .size = 1.5, .color = dots };
    both[0] = (app_series){ .label = "samples", .points = samples, .size = 2 };
    both[1] = (app_series){ .label = "data", .points = p.shown, .size = 2 };
    panels[0].plot = (app_plot){ .title = "density",
                                 .heat = &p.heat,
                                 .x = p.x,
                                 .y = p.y,
                                 .series = p.contours,
                                 .series_count = CONTOURS + (p.shown.data ? 1 : 0),
                                 .x_label = x_label,
                                 .y_label = y_label };
    panels[1].left = SIDE;
    panels[1].plot = (app_plot){ .title = "samples",
                                 .x = p.x,
                                 .y = p.y,
                                 .series = both,
                                 .series_count = p.shown.data ? 2 : 1,
                                 .x_label = x_label,
                                 .y_label = y_label };
    return app_page_write(d->out, 2 * SIDE, SIDE + 2 * SIDE / FRAMES, panels, 2 + FRAMES, &m->status);
}
