/* Heat maps. Values are taken to 32 colours, so that a PNG keeps a palette, and an SVG has runs of one colour. */
#include "heat.h"

#include <math.h>

enum { COLORS = 32 };

/* From white over green-blue to dark blue, growing evenly darker. */
static app_color color_of(int level)
{
    static const double stops[][3] = {
        { 255, 255, 255 }, { 217, 240, 234 }, { 153, 214, 209 }, { 79, 173, 188 }, { 37, 120, 164 }, { 30, 66, 125 },
    };
    enum { LAST = sizeof stops / sizeof *stops - 1 };
    double at = (double)level * LAST / (COLORS - 1), rest;
    int i = (int)at < LAST ? (int)at : LAST - 1;
    app_color c = { .alpha = 1 };
    rest = at - i;
    c.red = (uint8_t)lrint(stops[i][0] + rest * (stops[i + 1][0] - stops[i][0]));
    c.green = (uint8_t)lrint(stops[i][1] + rest * (stops[i + 1][1] - stops[i][1]));
    c.blue = (uint8_t)lrint(stops[i][2] + rest * (stops[i + 1][2] - stops[i][2]));
    return c;
}

static int level_of(const app_heat *h, int row, int column)
{
    double v = h->value[(int64_t)row * h->columns + column], t = (v - h->low) / (h->high - h->low);
    return t > 0 ? (int)lrint(fmin(t, 1) * (COLORS - 1)) : 0; /* NaN too */
}

/* Boxes end at whole pixels, so that no seams show. */
void app_heat_draw(const app_heat *h, app_painter *p, double left, double top, double width, double height)
{
    const app_color none = { 0, 0, 0, 0 };
    for (int row = 0; row < h->rows; row++) {
        double upper = rint(top + height * (h->rows - 1 - row) / h->rows);
        double lower = rint(top + height * (h->rows - row) / h->rows);
        for (int first = 0, last; first < h->columns; first = last) {
            int level = level_of(h, row, first);
            double begin = rint(left + width * first / h->columns), end;
            for (last = first + 1; last < h->columns && level_of(h, row, last) == level; last++) {
            }
            end = rint(left + width * last / h->columns);
            if (level > 0 && end > begin && lower > upper)
                p->box(p, begin, upper, end - begin, lower - upper, 0, color_of(level), none);
        }
    }
}
