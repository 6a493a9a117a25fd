/*
 * The colours of a picture, and a picture in few colours.
 *
 * Colours are merged by going through them from the most to the least frequent: one is kept unless a kept one lies
 * within a distance, and the distance doubles until 256 suffice. So the main colours stay exact, and no pixel moves
 * farther than the distance.
 */
#include "palette.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 256 };

typedef struct color_use {
    uint32_t color; /* 0xRRGGBB */
    uint32_t uses;
    uint8_t index; /* in the palette */
} color_use;

static uint32_t pixel(const app_canvas *c, size_t i)
{
    const uint8_t *p = c->rgb + 3 * i;
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static int by_color(const void *a, const void *b)
{
    const uint32_t *p = a, *q = b;
    return (*p > *q) - (*p < *q);
}

static int by_use(const void *a, const void *b)
{
    const color_use *p = a, *q = b;
    return p->uses != q->uses ? (p->uses < q->uses) - (p->uses > q->uses) : by_color(&p->color, &q->color);
}

static int square_distance(uint32_t a, uint32_t b)
{
    int red = (int)(a >> 16) - (int)(b >> 16), green = (int)(a >> 8 & 255) - (int)(b >> 8 & 255),
        blue = (int)(a & 255) - (int)(b & 255);
    return red * red + green * green + blue * blue;
}

/* The distinct colours, ascending. */
static color_use *count_colors(const app_canvas *c, leat_arena *a, size_t *count)
{
    size_t pixels = (size_t)c->width * (size_t)c->height, n = 0;
    uint32_t *sorted = leat_arena_alloc(a, pixels * sizeof *sorted);
    color_use *colors;
    if (!sorted)
        return NULL;
    for (size_t i = 0; i < pixels; i++)
        sorted[i] = pixel(c, i);
    qsort(sorted, pixels, sizeof *sorted, by_color);
    for (size_t i = 0; i < pixels; i++)
        n += i == 0 || sorted[i] != sorted[i - 1];
    colors = leat_arena_zalloc(a, n * sizeof *colors);
    if (!colors)
        return NULL;
    n = 0;
    for (size_t i = 0; i < pixels; i++) {
        n += i == 0 || sorted[i] != sorted[i - 1];
        colors[n - 1].color = sorted[i];
        colors[n - 1].uses++;
    }
    *count = n;
    return colors;
}

/* Chooses colours with at least the given square distance between them; 0 when 256 do not suffice. */
static int choose(const color_use *frequent, size_t n, int square, uint32_t kept[MOST])
{
    int count = 0;
    for (size_t i = 0; i < n; i++) {
        int k = 0;
        while (k < count && square_distance(frequent[i].color, kept[k]) >= square)
            k++;
        if (k < count)
            continue;
        if (count == MOST)
            return 0;
        kept[count++] = frequent[i].color;
    }
    return count;
}

static bool reduce(app_palette *out, color_use *colors, size_t n, leat_arena *a)
{
    color_use *frequent = leat_arena_alloc(a, n * sizeof *frequent);
    uint32_t kept[MOST] = { 0 };
    if (!frequent)
        return false;
    memcpy(frequent, colors, n * sizeof *frequent);
    qsort(frequent, n, sizeof *frequent, by_use);
    for (int square = 1; out->count == 0; square *= 2)
        out->count = choose(frequent, n, square, kept);
    for (int k = 0; k < out->count; k++)
        memcpy(out->rgb[k], (uint8_t[]){ (uint8_t)(kept[k] >> 16), (uint8_t)(kept[k] >> 8), (uint8_t)kept[k] }, 3);
    for (size_t i = 0; i < n; i++) {
        int best = 0;
        for (int k = 1; k < out->count; k++)
            if (square_distance(colors[i].color, kept[k]) < square_distance(colors[i].color, kept[best]))
                best = k;
        colors[i].index = (uint8_t)best;
    }
    return true;
}

bool app_palette_find(const app_canvas *c, bool merge, leat_arena *a, app_palette *out)
{
    size_t pixels = (size_t)c->width * (size_t)c->height, n = 0;
    color_use *colors = count_colors(c, a, &n);
    *out = (app_palette){ 0 };
    if (!colors)
        return false;
    if (n > MOST && !merge)
        return true;
    out->indices = leat_arena_alloc(a, pixels);
    if (!out->indices || !reduce(out, colors, n, a))
        return false;
    for (size_t i = 0; i < pixels; i++) {
        uint32_t color = pixel(c, i);
        const color_use *found = bsearch(&color, colors, n, sizeof *colors, by_color);
        out->indices[i] = found->index;
    }
    return true;
}
