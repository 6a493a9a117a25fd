/*
 * Scatter and line plots over heat maps, alone or several on a page, as PNG and as SVG.
 *
 *     app_series series[] = {
 *         { .label = "Generated", .points = samples },
 *         { .label = "Real Data", .points = data },
 *     };
 *     app_plot plot = { .series = series, .series_count = 2, .title = "NICE on two moons" };
 *     if (app_plot_write("moons.png", &plot, &s) || app_plot_write("moons.svg", &plot, &s)) ...
 *
 * The axes fit the data, numbers stand at round steps, and the legend takes the corner or edge where it hides the
 * least.
 */
#ifndef APPS_COMMON_PLOT_H
#define APPS_COMMON_PLOT_H

#include "painter.h"

typedef enum app_mark { APP_POINTS, APP_LINE } app_mark;

/* One set of points. All but `points` may be left zero. Points that are not finite are not drawn; in a line they leave
 * a gap. */
typedef struct app_series {
    const char *label;  /* in the legend; NULL: not there */
    leat_tensor points; /* [n, columns], n may be 0; a single column is drawn over the numbers of its rows */
    int x, y;           /* which columns; both 0 means 0 and 1 */
    app_mark mark;
    double size;     /* radius of a point, width of a line, in pixels */
    app_color color; /* with an alpha of 0: the next of a fixed list, points at half their strength */
} app_series;

/* A function over the plot's ranges, as colours from white (low) to dark (high): rows from the least y up, each cell's
 * value that at its centre. */
typedef struct app_heat {
    const double *value; /* [rows, columns] */
    int rows, columns;
    double low, high; /* values beyond get the colour of the nearer one, and so does what is not finite */
} app_heat;

typedef struct app_range {
    double low, high; /* equal: fits the data */
} app_range;

typedef struct app_plot {
    const char *title, *x_label, *y_label; /* UTF-8; NULL: none */
    const app_series *series;
    int series_count;
    int width, height;    /* in pixels; 0: 780 */
    app_range x, y;       /* points outside a given range are not drawn; a heat map needs both */
    const app_heat *heat; /* under the series; NULL: none */
    bool small;           /* small text, few numbers along the axes: for one of many on a page */
} app_plot;

/* One plot of a page; its width and height are the plot's. */
typedef struct app_panel {
    int left, top;
    app_plot plot;
} app_panel;

/* Writes the plot as PNG or SVG, by the end of the name; all or nothing. */
leat_code app_plot_write(const char *path, const app_plot *plot, leat_status *s);
leat_code app_page_write(const char *path, int width, int height, const app_panel *panels, int count, leat_status *s);

#endif
