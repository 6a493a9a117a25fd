/* The legend of a plot: a box of names, put where it hides the fewest points. */
#ifndef APPS_COMMON_LEGEND_H
#define APPS_COMMON_LEGEND_H

#include "plot.h"

enum { APP_LEGEND_ENTRIES = 16, APP_LEGEND_PLACES = 9 };

typedef struct app_legend {
    int count, font;
    struct {
        const char *label;
        app_mark mark;
        double size;
        app_color color;
    } entry[APP_LEGEND_ENTRIES];
    double left, top, room_x, room_y;  /* the axes' box */
    double width, height;              /* the legend's */
    int64_t hidden[APP_LEGEND_PLACES]; /* what it would hide at each of its places */
} app_legend;

/* The box of the axes in pixels. */
void app_legend_begin(app_legend *l, int font, double left, double top, double room_x, double room_y);

/* A NULL label is passed over. All are added before the first call of app_legend_avoid. */
void app_legend_add(app_legend *l, const char *label, app_mark mark, double size, app_color color);

/* Points, or a line through them, that should stay visible. */
void app_legend_avoid(app_legend *l, const double *xy, int64_t n, bool line);

void app_legend_draw(const app_legend *l, app_painter *p); /* nothing, without entries */

#endif
