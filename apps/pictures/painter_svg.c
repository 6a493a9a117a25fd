/* Plots as SVG elements; text stays text. */
#include "painter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Hundredths of a pixel, without what need not be written: 12.5, 3. Made from whole numbers, so no locale matters. */
static void add_number(app_text *out, double x)
{
    long long hundredths = llrint(100 * x);
    char text[32];
    size_t size = (size_t)snprintf(text, sizeof text, "%s%lld.%02lld", hundredths < 0 ? "-" : "",
                                   llabs(hundredths) / 100, llabs(hundredths) % 100);
    while (text[size - 1] == '0')
        size--;
    size -= text[size - 1] == '.';
    app_text_add(out, text, size);
}

static void add_attribute(app_text *out, const char *name, double x)
{
    app_text_format(out, " %s=\"", name);
    add_number(out, x);
    app_text_add(out, "\"", 1);
}

/* name="#rrggbb", and the opacity where it is not full */
static void add_color(app_text *out, const char *name, app_color color)
{
    char opacity[32];
    if (color.alpha <= 0) {
        app_text_format(out, " %s=\"none\"", name);
        return;
    }
    app_text_format(out, " %s=\"#%02x%02x%02x\"", name, color.red, color.green, color.blue);
    if (color.alpha < 1) {
        snprintf(opacity, sizeof opacity, "%s-opacity", name);
        add_attribute(out, opacity, color.alpha);
    }
}

/* Text as XML may hold it. */
static void add_escaped(app_text *out, const char *text)
{
    static const char *const escapes[] = { ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;" };
    while (*text) {
        const char *begin = text;
        uint32_t c = app_next_character(&text);
        if (c < sizeof escapes / sizeof *escapes && escapes[c])
            app_text_add(out, escapes[c], strlen(escapes[c]));
        else if (c < 0x20 || c == 0xFFFD || c == 0xFFFE || c == 0xFFFF)
            app_text_add(out, "\xEF\xBF\xBD", 3);
        else
            app_text_add(out, begin, (size_t)(text - begin));
    }
}

static void write_box(app_painter *p, double x, double y, double width, double height, double radius, app_color fill,
                      app_color border)
{
    app_text_format(p->svg, "<rect");
    add_attribute(p->svg, "x", x);
    add_attribute(p->svg, "y", y);
    add_attribute(p->svg, "width", width);
    add_attribute(p->svg, "height", height);
    if (radius > 0)
        add_attribute(p->svg, "rx", radius);
    add_color(p->svg, "fill", fill);
    add_color(p->svg, "stroke", border);
    app_text_format(p->svg, "/>\n");
}

static void write_line(app_painter *p, const double *xy, int64_t n, double width, app_color color)
{
    app_text_format(p->svg, "<polyline fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"square\"");
    add_color(p->svg, "stroke", color);
    add_attribute(p->svg, "stroke-width", width);
    app_text_format(p->svg, " points=\"");
    for (int64_t i = 0; i < n; i++) {
        app_text_add(p->svg, " ", i > 0);
        add_number(p->svg, xy[2 * i]);
        app_text_add(p->svg, ",", 1);
        add_number(p->svg, xy[2 * i + 1]);
    }
    app_text_format(p->svg, "\"/>\n");
}

static void write_discs(app_painter *p, const double *xy, int64_t n, double radius, app_color color)
{
    app_text_format(p->svg, "<g");
    add_color(p->svg, "fill", color);
    app_text_format(p->svg, ">\n");
    for (int64_t i = 0; i < n; i++) {
        app_text_format(p->svg, "<circle");
        add_attribute(p->svg, "cx", xy[2 * i]);
        add_attribute(p->svg, "cy", xy[2 * i + 1]);
        add_attribute(p->svg, "r", radius);
        app_text_format(p->svg, "/>\n");
    }
    app_text_format(p->svg, "</g>\n");
}

static void write_text(app_painter *p, double x, double y, double size, app_anchor anchor, bool upright,
                       app_color color, const char *text)
{
    static const char *const anchors[] = { [APP_START] = "start", [APP_MIDDLE] = "middle", [APP_END] = "end" };
    app_text_format(p->svg, "<text text-anchor=\"%s\"", anchors[anchor]);
    add_attribute(p->svg, "x", x);
    add_attribute(p->svg, "y", y);
    add_attribute(p->svg, "font-size", size);
    add_color(p->svg, "fill", color);
    if (upright) {
        app_text_format(p->svg, " transform=\"rotate(-90 ");
        add_number(p->svg, x);
        app_text_add(p->svg, " ", 1);
        add_number(p->svg, y);
        app_text_format(p->svg, ")\"");
    }
    app_text_add(p->svg, ">", 1);
    add_escaped(p->svg, text);
    app_text_format(p->svg, "</text>\n");
}

app_painter app_painter_for_svg(app_text *out, int width, int height)
{
    app_text_format(out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
                    "font-family=\"DejaVu Sans, Verdana, Arial, Helvetica, sans-serif\">\n",
                    width, height, width, height);
    return (app_painter){ write_box, write_line, write_discs, write_text, NULL, out };
}

void app_svg_end(app_painter *p)
{
    app_text_format(p->svg, "</svg>\n");
}
