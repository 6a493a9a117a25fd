/* The colours of a picture, and a picture in few colours. */
#ifndef APPS_COMMON_PALETTE_H
#define APPS_COMMON_PALETTE_H

#include "canvas.h"

typedef struct app_palette {
    int count; /* 0: the picture has more than 256 colours */
    uint8_t rgb[256][3];
    uint8_t *indices; /* one for each pixel */
} app_palette;

/* Finds the palette of a picture. One with more than 256 colours has none, unless they may be merged: then the most
 * frequent colours stay and every other takes on the nearest of them. False when out of memory. */
bool app_palette_find(const app_canvas *c, bool merge, leat_arena *a, app_palette *out);

#endif
