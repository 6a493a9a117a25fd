/* PNG files of canvases. */
#ifndef APPS_COMMON_PNG_H
#define APPS_COMMON_PNG_H

#include "canvas.h"
#include "../common/text.h"

typedef enum app_png_colors {
    APP_PNG_EXACT,   /* every pixel as it is */
    APP_PNG_COMPACT, /* colours beyond 256 take on the nearest of 256: what a plot needs, at a third of the size */
} app_png_colors;

/* Appends the file to `out`, which also says whether memory ran out. Up to 256 colours are written with a palette. */
void app_png_encode(app_text *out, const app_canvas *c, app_png_colors colors);

#endif
