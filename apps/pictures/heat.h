/* Heat maps, and the contour lines over them. */
#ifndef APPS_COMMON_HEAT_H
#define APPS_COMMON_HEAT_H

#include "plot.h"

/* Draws the map into a box of pixels. */
void app_heat_draw(const app_heat *heat, app_painter *p, double left, double top, double width, double height);

/*
 * The lines along which a function has the value `level`, by marching squares on values at the centres of a heat map's
 * cells over the ranges x and y. The result is [n, 2], lines one after the other with a row of NaN behind each, as a
 * series of APP_LINE draws them. Cells with a corner that is not finite have no line.
 */
leat_code app_contour(const app_heat *heat, app_range x, app_range y, double level, leat_arena *a, leat_tensor *out,
                      leat_status *s);

#endif
