/* Text on canvases, in a font of strokes made for the labels of plots: ASCII and the minus sign. */
#ifndef APPS_COMMON_FONT_H
#define APPS_COMMON_FONT_H

#include "canvas.h"

typedef enum app_anchor { APP_START, APP_MIDDLE, APP_END } app_anchor;

/* How wide a UTF-8 text is at a size; `size` is the height of a line, in pixels. */
double app_text_width(const char *text, double size);

/* Draws a text whose baseline begins, has its middle or ends at (x, y); upwards when `upright`. Characters that the
 * font does not have are drawn as boxes. */
void app_canvas_text(app_canvas *c, double x, double y, double size, app_anchor anchor, bool upright, app_color color,
                     const char *text);

/* The next character of a UTF-8 text; moves *text past it. What is not UTF-8 is U+FFFD. */
uint32_t app_next_character(const char **text);

#endif
