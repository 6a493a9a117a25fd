/*
 * A font of strokes, in hundredths of the size.
 *
 * A glyph is a path of the pen's centre: "M x y" moves, "L x y" draws a line, "Q cx cy x y" a quadratic curve, "h x y"
 * a quarter of an ellipse that sets out horizontally and arrives vertically, "v x y" one that sets out vertically. The
 * pen is 9 wide. Its centre is at 0 on the baseline, at 46 on top of an x, at 64 on top of an H and at -21 below a p;
 * at small sizes these heights are moved so that the pen's edge there falls between two rows of pixels.
 */
#include "font.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct glyph {
    int advance;
    const char *path;
} glyph;

static const glyph ascii[] = {
    ['!'] = { 40, "M20 64L20 20M18 0L22 0L22 3L18 3L18 0" },
    ['"'] = { 46, "M15 64L15 44M31 64L31 44" },
    ['#'] = { 84, "M35 64L21 0M63 64L49 0M14 43L74 43M10 21L70 21" },
    ['$'] = { 64, "M50 53Q41 56 32 56h13 44Q13 33 32 30Q52 27 52 16v31 4Q20 4 12 9M32 70L32 -10" },
    ['%'] = { 95, "M9 48v24 64h39 48v24 32h9 48M56 16v71 32h86 16v71 0h56 16M68 64L27 0" },
    ['&'] = { 78, "M72 0L26 43Q19 50 23 57Q28 64 36 64Q43 64 48 60M30 40Q11 31 11 18v33 0Q60 0 66 32" },
    ['\''] = { 28, "M14 64L14 44" },
    ['('] = { 39, "M29 71Q13 51 13 28Q13 5 29 -15" },
    [')'] = { 39, "M10 71Q26 51 26 28Q26 5 10 -15" },
    ['*'] = { 50, "M25 66L25 34M11 58L39 42M39 58L11 42" },
    ['+'] = { 84, "M12 27L72 27M42 -3L42 57" },
    [','] = { 32, "M17 3L17 -2L13 -11" },
    ['-'] = { 36, "M7 23L29 23" },
    ['.'] = { 32, "M14 0L18 0L18 3L14 3L14 0" },
    ['/'] = { 34, "M31 66L3 -8" },
    ['0'] = { 64, "M10 32v32 64h54 32v32 0h10 32" },
    ['1'] = { 64, "M15 57L33 64L33 0M15 0L52 0" },
    ['2'] = { 64, "M11 58Q20 64 30 64h51 47Q51 38 41 29L11 0L54 0" },
    ['3'] = { 64, "M12 61Q20 64 29 64h50 48v31 34L22 34M31 34h53 17v28 0Q17 0 10 4" },
    ['4'] = { 64, "M42 0L42 64L8 18L57 18" },
    ['5'] = { 64, "M49 64L18 64L18 37Q24 40 30 40h53 20v29 0Q18 0 11 4" },
    ['6'] = { 64, "M50 61Q43 64 36 64h11 30L11 20v32 0h54 20v32 40h11 20" },
    ['7'] = { 64, "M10 64L54 64L24 0" },
    ['8'] = { 64, "M14 49v32 64h50 49v32 34h14 49M11 17v32 34h53 17v32 0h11 17" },
    ['9'] = { 64, "M14 3Q21 0 28 0h53 34L53 44v32 64h10 44v32 24h53 44" },
    [':'] = { 34, "M15 0L19 0L19 3L15 3L15 0M15 38L19 38L19 41L15 41L15 38" },
    [';'] = { 34, "M18 3L18 -2L14 -11M15 38L19 38L19 41L15 41L15 38" },
    ['<'] = { 84, "M72 52L12 27L72 2" },
    ['='] = { 84, "M12 37L72 37M12 18L72 18" },
    ['>'] = { 84, "M12 52L72 27L12 2" },
    ['?'] = { 53, "M10 59Q17 64 25 64h43 50Q43 43 35 37Q26 30 26 19M24 0L28 0L28 3L24 3L24 0" },
    ['@'] = { 100,
              "M76 -4Q64 -13 50 -13h9 27v50 68h91 29Q91 12 78 12Q68 12 68 22L68 45M68 28v50 45h32 28v50 11h68 28" },
    ['A'] = { 68, "M5 0L34 64L63 0M14 20L54 20" },
    ['B'] = { 69, "M15 0L15 64L36 64h54 49v36 34L15 34M36 34h58 17v36 0L15 0" },
    ['C'] = { 70, "M63 58Q54 64 43 64h10 32v43 0Q54 0 63 6" },
    ['D'] = { 77, "M15 0L15 64L33 64h67 32v33 0L15 0" },
    ['E'] = { 63, "M55 64L15 64L15 0L56 0M15 34L53 34" },
    ['F'] = { 58, "M51 64L15 64L15 0M15 34L47 34" },
    ['G'] = { 77, "M66 57Q56 64 44 64h10 32v44 0Q57 0 67 6L67 29L46 29" },
    ['H'] = { 75, "M15 0L15 64M60 0L60 64M15 34L60 34" },
    ['I'] = { 30, "M15 0L15 64" },
    ['J'] = { 30, "M15 64L15 3Q15 -15 -3 -15" },
    ['K'] = { 66, "M15 0L15 64M55 64L18 32L59 0" },
    ['L'] = { 56, "M15 64L15 0L53 0" },
    ['M'] = { 86, "M15 0L15 64L43 15L71 64L71 0" },
    ['N'] = { 75, "M15 0L15 64L60 0L60 64" },
    ['O'] = { 79, "M10 32v39 64h69 32v39 0h10 32" },
    ['P'] = { 60, "M15 0L15 64L33 64h53 46v33 28L15 28" },
    ['Q'] = { 79, "M10 32v39 64h69 32v39 0h10 32M44 4L59 -12" },
    ['R'] = { 70, "M15 0L15 64L35 64h55 47v35 30L15 30M35 30Q44 30 49 21L61 0" },
    ['S'] = { 64, "M52 60Q42 64 32 64h12 49Q12 37 32 33Q54 29 54 16v32 0Q20 0 10 5" },
    ['T'] = { 61, "M3 64L58 64M30 64L30 0" },
    ['U'] = { 73, "M14 64L14 23v37 0h59 23L59 64" },
    ['V'] = { 68, "M5 64L34 0L63 64" },
    ['W'] = { 99, "M7 64L28 0L50 64L71 0L92 64" },
    ['X'] = { 68, "M9 64L60 0M59 64L8 0" },
    ['Y'] = { 61, "M4 64L30 32L57 64M30 32L30 0" },
    ['Z'] = { 68, "M9 64L59 64L9 0L61 0" },
    ['['] = { 39, "M29 71L14 71L14 -13L29 -13" },
    ['\\'] = { 34, "M3 66L31 -8" },
    [']'] = { 39, "M10 71L25 71L25 -13L10 -13" },
    ['^'] = { 84, "M16 42L42 64L68 42" },
    ['_'] = { 50, "M0 -19L50 -19" },
    ['`'] = { 50, "M15 70L26 60" },
    ['a'] = { 61, "M12 42Q20 46 28 46h47 29L47 0M47 27L30 27h10 13v26 0h47 20" },
    ['b'] = { 64, "M14 0L14 68M14 23v33 46h54 23v33 0h14 23" },
    ['c'] = { 55, "M48 42Q41 46 33 46h10 23v33 0Q41 0 48 4" },
    ['d'] = { 64, "M50 0L50 68M50 23v31 46h10 23v31 0h50 23" },
    ['e'] = { 62, "M10 24L52 24v32 46h10 23v34 0Q43 0 50 4" },
    ['f'] = { 35, "M36 68L30 68h16 54L16 0M4 46L33 46" },
    ['g'] = { 64, "M50 46L50 1v30 -21Q20 -21 13 -17M50 23v31 46h10 23v31 0h50 23" },
    ['h'] = { 63, "M14 0L14 68M14 26v33 46h49 28L49 0" },
    ['i'] = { 28, "M14 0L14 46M13 64L15 64L15 66L13 66L13 64" },
    ['j'] = { 28, "M14 46L14 -5Q14 -21 0 -21M13 64L15 64L15 66L13 66L13 64" },
    ['k'] = { 58, "M14 0L14 68M47 46L17 23L51 0" },
    ['l'] = { 28, "M14 0L14 68" },
    ['m'] = { 97, "M14 0L14 46M14 27v32 46h48 28L48 0M48 27v66 46h83 28L83 0" },
    ['n'] = { 63, "M14 0L14 46M14 26v33 46h49 28L49 0" },
    ['o'] = { 61, "M10 23v31 46h51 23v31 0h10 23" },
    ['p'] = { 64, "M14 46L14 -21M14 23v33 46h54 23v33 0h14 23" },
    ['q'] = { 64, "M50 46L50 -21M50 23v31 46h10 23v31 0h50 23" },
    ['r'] = { 41, "M14 0L14 46M14 24v33 46L40 45" },
    ['s'] = { 52, "M43 43Q35 46 27 46h10 35Q10 27 26 23Q44 20 44 12v26 0Q16 0 9 4" },
    ['t'] = { 39, "M16 60L16 14v28 0L36 0M4 46L35 46" },
    ['u'] = { 63, "M14 46L14 18v30 0h49 20M49 46L49 0" },
    ['v'] = { 59, "M6 46L29 0L53 46" },
    ['w'] = { 82, "M7 46L24 0L41 46L58 0L75 46" },
    ['x'] = { 59, "M7 46L52 0M52 46L7 0" },
    ['y'] = { 59, "M6 46L30 -3M53 46L28 -12Q24 -21 13 -21L8 -21" },
    ['z'] = { 53, "M9 46L45 46L8 0L46 0" },
    ['{'] = { 64, "M50 71L44 71h32 60L32 40v18 28h32 16L32 -5v44 -15L50 -15" },
    ['|'] = { 34, "M17 72L17 -20" },
    ['}'] = { 64, "M14 71L20 71h32 60L32 40v46 28h32 16L32 -5v20 -15L14 -15" },
    ['~'] = { 84, "M11 23Q19 32 28 32Q36 32 43 27Q49 22 57 22Q65 22 73 31" },
};
static const glyph space = { 32, "" }, minus = { 84, "M12 27L72 27" }, unknown = { 60, "M10 0L50 0L50 64L10 64L10 0" };

enum { PEN = 9, X_HEIGHT = 46, CAP_HEIGHT = 64, DESCENDER = -21, CURVE_STEPS = 8, PATH_POINTS = 64 };

/* ---- characters -------------------------------------------------------------------------------------------------- */

uint32_t app_next_character(const char **text)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    const unsigned char *p = (const unsigned char *)*text;
    int more = p[0] < 0x80                   ? 0
               : p[0] >= 0xC2 && p[0] < 0xE0 ? 1
               : p[0] >= 0xE0 && p[0] < 0xF0 ? 2
               : p[0] >= 0xF0                ? 3
                                             : -1;
    uint32_t code = more <= 0 ? p[0] : p[0] & (0x3Fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            more = -1;
            break;
        }
        code = code << 6 | (p[i] & 0x3Fu);
    }
    if (more < 0 || code < least[more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
        *text += 1;
        return 0xFFFD;
    }
    *text += more + 1;
    return code;
}

static const glyph *find_glyph(uint32_t character)
{
    if (character == ' ' || character == 0xA0)
        return &space;
    if (character == 0x2212)
        return &minus;
    return character < sizeof ascii / sizeof *ascii && ascii[character].path ? &ascii[character] : &unknown;
}

double app_text_width(const char *text, double size)
{
    int width = 0;
    while (*text)
        width += find_glyph(app_next_character(&text))->advance;
    return width * size / 100;
}

/* ---- strokes ----------------------------------------------------------------------------------------------------- */

/* Where glyphs go: pixels = origin + x * right + height(y) * up, all of it at one size. */
typedef struct pen {
    app_canvas *canvas;
    double scale, width; /* pixels for a hundredth of the size; of the pen */
    double x, y;         /* the origin of the glyph */
    bool upright;
    double points[2 * PATH_POINTS];
    int count;
} pen;

/* The height in pixels of the pen's centre, between heights that are kept to whole rows. */
static double height(const pen *p, double y)
{
    double half = p->width / 2, base = half, middle = round((X_HEIGHT + PEN) * p->scale) - half,
           top = round((CAP_HEIGHT + PEN) * p->scale) - half, bottom = half - round(-DESCENDER * p->scale);
    if (y < DESCENDER)
        return bottom + (y - DESCENDER) * p->scale;
    if (y < 0)
        return base + y / DESCENDER * (bottom - base);
    if (y < X_HEIGHT)
        return base + y / X_HEIGHT * (middle - base);
    if (y < CAP_HEIGHT)
        return middle + (y - X_HEIGHT) / (CAP_HEIGHT - X_HEIGHT) * (top - middle);
    return top + (y - CAP_HEIGHT) * p->scale;
}

static void lift(pen *p)
{
    app_canvas_mark(p->canvas, p->points, p->count, p->width);
    p->count = 0;
}

static void draw_to(pen *p, double x, double y)
{
    double right = x * p->scale, up = height(p, y);
    if (p->count == PATH_POINTS)
        lift(p);
    p->points[2 * p->count] = p->x + (p->upright ? -up : right);
    p->points[2 * p->count + 1] = p->y - (p->upright ? right : up);
    p->count++;
}

/* A cubic curve in the glyph's own units. */
static void draw_curve(pen *p, const double *from, const double *c1, const double *c2, const double *to)
{
    for (int i = 1; i <= CURVE_STEPS; i++) {
        double t = (double)i / CURVE_STEPS, u = 1 - t, xy[2];
        for (int k = 0; k < 2; k++)
            xy[k] = u * u * u * from[k] + 3 * u * u * t * c1[k] + 3 * u * t * t * c2[k] + t * t * t * to[k];
        draw_to(p, xy[0], xy[1]);
    }
}

static void draw_glyph(pen *p, const char *path)
{
    const double round_arc = 0.5523; /* control points of the cubic that is nearest to a quarter of a circle */
    double at[2] = { 0, 0 };
    while (*path) {
        char command = *path++;
        double v[4], c1[2], c2[2], *to = v;
        for (int i = 0; i < (command == 'Q' ? 4 : 2); i++) {
            char *end;
            v[i] = (double)strtol(path, &end, 10);
            path = end;
        }
        if (command == 'M') {
            lift(p);
            draw_to(p, to[0], to[1]);
        } else if (command == 'L') {
            draw_to(p, to[0], to[1]);
        } else if (command == 'Q') {
            to = v + 2;
            for (int k = 0; k < 2; k++) {
                c1[k] = at[k] + 2.0 / 3 * (v[k] - at[k]);
                c2[k] = to[k] + 2.0 / 3 * (v[k] - to[k]);
            }
            draw_curve(p, at, c1, c2, to);
        } else {
            int first = command == 'h' ? 0 : 1, second = 1 - first;
            c1[first] = at[first] + round_arc * (to[first] - at[first]);
            c1[second] = at[second];
            c2[first] = to[first];
            c2[second] = to[second] - round_arc * (to[second] - at[second]);
            draw_curve(p, at, c1, c2, to);
        }
        at[0] = to[0];
        at[1] = to[1];
    }
    lift(p);
}

void app_canvas_text(app_canvas *c, double x, double y, double size, app_anchor anchor, bool upright, app_color color,
                     const char *text)
{
    double shift = app_text_width(text, size) * (anchor == APP_START ? 0 : anchor == APP_MIDDLE ? 0.5 : 1);
    pen p = { .canvas = c, .scale = size / 100, .width = fmax(1, PEN * size / 100), .upright = upright };
    /* the baseline lies between two rows of pixels (columns, of an upright text) */
    p.x = upright ? round(x) : x - shift;
    p.y = upright ? y + shift : round(y);
    while (*text) {
        const glyph *g = find_glyph(app_next_character(&text));
        draw_glyph(&p, g->path);
        p.x += upright ? 0 : g->advance * p.scale;
        p.y -= upright ? g->advance * p.scale : 0;
    }
    app_canvas_paint(c, color);
}
