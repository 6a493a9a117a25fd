/*
 * A picture in memory: red, green and blue bytes, drawn on with smooth edges.
 *
 * x goes right and y goes down from the upper left corner; the centre of the first pixel is (0.5, 0.5). Drawing outside
 * is cut off. Everything is computed with exactly rounded operations, so a picture is the same on every machine.
 */
#ifndef APPS_COMMON_CANVAS_H
#define APPS_COMMON_CANVAS_H

#include "../../tensor/tensor.h"

typedef struct app_color {
    uint8_t red, green, blue;
    double alpha; /* 0: invisible, 1: opaque */
} app_color;

typedef struct app_canvas {
    int width, height;
    uint8_t *rgb;  /* 3 bytes a pixel, row by row */
    uint8_t *mask; /* one byte a pixel; all zero between calls */
} app_canvas;

enum { APP_CANVAS_LARGEST = 16384 }; /* pixels in either direction */

leat_code app_canvas_new(leat_arena *a, int width, int height, app_canvas *out, leat_status *s); /* white */

/* A box with rounded corners, filled, and a border one pixel wide along its edge; either may be invisible. */
void app_canvas_box(app_canvas *c, double x, double y, double width, double height, double radius, app_color fill,
                    app_color border);
void app_canvas_disc(app_canvas *c, double x, double y, double radius, app_color color);

/* A line of n points with round ends and corners; xy is x, y, x, y, ... One colour deep where it crosses itself. */
void app_canvas_line(app_canvas *c, const double *xy, int64_t n, double width, app_color color);

/* The same in two steps, for shapes of many lines: mark them all, then paint once. */
void app_canvas_mark(app_canvas *c, const double *xy, int64_t n, double width);
void app_canvas_paint(app_canvas *c, app_color color);

#endif
