/* The legend of a plot. Its places are tried in matplotlib's order, and the first of the best is taken. */
#include "legend.h"

#include <math.h>

enum { MARGIN = 10, PAD = 9, HANDLE = 34, SLACK = 6 };

void app_legend_begin(app_legend *l, int font, double left, double top, double room_x, double room_y)
{
    *l = (app_legend){ .font = font, .left = left, .top = top, .room_x = room_x, .room_y = room_y };
}

static double row_height(const app_legend *l)
{
    return 1.45 * l->font;
}

void app_legend_add(app_legend *l, const char *label, app_mark mark, double size, app_color color)
{
    if (label && l->count < APP_LEGEND_ENTRIES) {
        double width = 2 * PAD + HANDLE + app_text_width(label, l->font);
        l->entry[l->count].label = label;
        l->entry[l->count].mark = mark;
        l->entry[l->count].size = size;
        l->entry[l->count++].color = color;
        l->width = fmax(l->width, ceil(width));
        l->height = floor(l->count * row_height(l)) + PAD;
    }
}

/* The upper left corner at one of the places. */
static void place_at(const app_legend *l, int place, double *x, double *y)
{
    /* upper right, upper left, lower left, lower right, right, left, lower centre, upper centre, centre; in halves */
    static const int across[APP_LEGEND_PLACES] = { 2, 0, 0, 2, 2, 0, 1, 1, 1 };
    static const int down[APP_LEGEND_PLACES] = { 0, 0, 2, 2, 1, 1, 2, 0, 1 };
    *x = l->left + MARGIN + floor(across[place] * (l->room_x - l->width - 2 * MARGIN) / 2);
    *y = l->top + MARGIN + floor(down[place] * (l->room_y - l->height - 2 * MARGIN) / 2);
}

static void avoid_point(app_legend *l, double px, double py)
{
    for (int place = 0; place < APP_LEGEND_PLACES; place++) {
        double x, y;
        place_at(l, place, &x, &y);
        l->hidden[place] += px > x - SLACK && px < x + l->width + SLACK && py > y - SLACK && py < y + l->height + SLACK;
    }
}

void app_legend_avoid(app_legend *l, const double *xy, int64_t n, bool line)
{
    for (int64_t i = 0; i < n; i++) {
        const double *p = xy + 2 * i;
        double steps = line && i > 0 ? ceil(hypot(p[0] - p[-2], p[1] - p[-1]) / SLACK) : 1;
        for (double k = 0; k < steps; k++) { /* from this point back towards the one before */
            double t = k / steps;
            avoid_point(l, p[0] + (k > 0 ? t * (p[-2] - p[0]) : 0), p[1] + (k > 0 ? t * (p[-1] - p[1]) : 0));
        }
    }
}

void app_legend_draw(const app_legend *l, app_painter *p)
{
    const app_color black = { 0, 0, 0, 1 }, paper = { 255, 255, 255, 0.8 }, edge = { 0xcc, 0xcc, 0xcc, 1 };
    int best = 0;
    double x, y;
    if (l->count == 0)
        return;
    for (int place = 1; place < APP_LEGEND_PLACES; place++)
        best = l->hidden[place] < l->hidden[best] ? place : best;
    place_at(l, best, &x, &y);
    p->box(p, x, y, l->width, l->height, 4, paper, edge);
    for (int i = 0; i < l->count; i++) {
        double middle = y + PAD / 2.0 + (i + 0.5) * row_height(l), left = x + PAD, right = left + HANDLE - 10;
        if (l->entry[i].mark == APP_LINE)
            p->line(p, (double[]){ left, middle, right, middle }, 2, l->entry[i].size, l->entry[i].color);
        else
            p->discs(p, (double[]){ (left + right) / 2, middle }, 1, l->entry[i].size, l->entry[i].color);
        p->text(p, x + PAD + HANDLE, middle + 0.36 * l->font, l->font, APP_START, false, black, l->entry[i].label);
    }
}
