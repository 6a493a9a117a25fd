/*
 * The picture of a flow of any other number of features: a corner plot. On the diagonal the distribution of each feature
 * alone, as a histogram's outline; below it every pair, samples against data. The first features are shown.
 */
#include "draw.h"

#include <math.h>

enum { MOST = 7, PANEL = 240, BINS = 40, SHOWN = 1000 };

static const app_color from_flow = { 0x1f, 0x77, 0xb4, 1 }, from_data = { 0xff, 0x7f, 0x0e, 1 };

typedef struct corner {
    app_trained *m;
    leat_tensor tables[2]; /* samples and data */
    app_range range[MOST];
    int features;
} corner;

static const char *label_of(const corner *c, int feature)
{
    const char *label =
        c->m->columns ? c->m->columns[feature] : leat_arena_format(&c->m->arena, "column %d", feature + 1);
    if (!label)
        leat_fail(&c->m->status, LEAT_ENOMEM, "out of memory for the picture");
    return label;
}

/* The outline of a histogram, scaled so that its area is 1. */
static leat_tensor histogram(corner *c, const leat_tensor *table, int feature)
{
    const app_range r = c->range[feature];
    int64_t counts[BINS] = { 0 }, n = table->shape.size[0], columns = table->shape.size[1];
    leat_tensor out = leat_tensor_new(&c->m->arena, LEAT_SHAPE(2 * BINS + 2, 2), &c->m->status);
    double width = (r.high - r.low) / BINS;
    if (!out.data)
        return out;
    for (int64_t i = 0; i < n; i++) {
        double bin = floor(((double)table->data[i * columns + feature] - r.low) / width);
        if (bin >= 0 && bin < BINS)
            counts[(int)bin]++;
    }
    for (int i = 0; i < 2 * BINS + 2; i++) { /* up or down at each border, along each bin */
        int border = i / 2, bin = i % 2 ? border : border - 1;
        double height = bin >= 0 && bin < BINS && n > 0 ? (double)counts[bin] / ((double)n * width) : 0;
        out.data[2 * i] = (leat_real)(r.low + border * width);
        out.data[2 * i + 1] = (leat_real)height;
    }
    return out;
}

/* One panel: feature `column` alone, or feature `row` over it. */
static leat_code add_panel(corner *c, int row, int column, app_panel *panel)
{
    app_series *series = leat_arena_zalloc(&c->m->arena, 2 * sizeof *series);
    int count = 0;
    if (!series)
        return leat_fail(&c->m->status, LEAT_ENOMEM, "out of memory for the picture");
    for (int k = 0; k < 2; k++) {
        leat_tensor t = c->tables[k];
        if (!t.data)
            continue;
        series[count] =
            (app_series){ .points = t, .x = column, .y = row, .size = 1, .color = k ? from_data : from_flow };
        if (row == column) {
            series[count].points = histogram(c, &t, row);
            series[count].x = series[count].y = 0;
            series[count].mark = APP_LINE;
            series[count].size = 1.5;
            series[count].label = row > 0 ? NULL : k ? "data" : "samples";
        } else {
            series[count].color.alpha = 0.4;
            series[count].points.shape.size[0] = t.shape.size[0] < SHOWN ? t.shape.size[0] : SHOWN;
        }
        count++;
    }
    *panel = (app_panel){ .left = column * PANEL, .top = row * PANEL };
    panel->plot = (app_plot){ .width = PANEL,
                              .height = PANEL,
                              .small = true,
                              .series = series,
                              .series_count = count,
                              .x = c->range[column],
                              .x_label = row == c->features - 1 ? label_of(c, column) : NULL,
                              .y_label = column == 0 && row > 0 ? label_of(c, row) : NULL };
    if (row != column)
        panel->plot.y = c->range[row];
    return c->m->status.code;
}

leat_code app_draw_corner(app_trained *m, const app_drawing *d, leat_tensor samples)
{
    corner c = { .m = m, .tables = { samples, d->data } };
    int64_t dim = leat_flow_dim(m->flow);
    app_panel *panels;
    int count = 0;
    c.features = dim < MOST ? (int)dim : MOST;
    panels = leat_arena_zalloc(&m->arena, (size_t)(c.features * c.features) * sizeof *panels);
    if (!panels)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the picture");
    for (int i = 0; i < c.features; i++)
        c.range[i] = app_range_of(m, c.tables, 2, i, 0.01);
    for (int row = 0; row < c.features; row++) {
        for (int column = 0; column <= row; column++)
            if (add_panel(&c, row, column, &panels[count++]))
                return m->status.code;
    }
    return app_page_write(d->out, c.features * PANEL, c.features * PANEL, panels, count, &m->status);
}
