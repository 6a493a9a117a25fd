/* Between a plot and the file it is written to. */
#ifndef APPS_COMMON_PICTURE_H
#define APPS_COMMON_PICTURE_H

#include "plot.h"

/* What a side of 0 pixels means. */
static inline int app_plot_side(int pixels)
{
    return pixels > 0 ? pixels : 780;
}

/* Draws a plot with any painter. `scratch` gives the memory for points in pixels. */
leat_code app_panel_draw(const app_panel *panel, app_painter *painter, leat_arena *scratch, leat_status *s);

#endif
