/* Plots: steps and labels of the axes, the SVG's form, points that cannot be drawn, the legend's place, the files. */
#include "../../apps/common/datasets.h"
#include "../../apps/pictures/plot.h"
#include "../../apps/pictures/ticks.h"
#include "../tensor/file_helpers.h"

#include <ctype.h>
#include <math.h>

static leat_arena arena;

static void set_up(void)
{
    make_folder();
    leat_arena_init(&arena, NULL);
}

static void tear_down(void)
{
    leat_arena_free(&arena);
    remove_folder();
}

TestSuite(plot, .init = set_up, .fini = tear_down);

/* ---- ticks ------------------------------------------------------------------------------------------------------- */

#define MINUS "\xE2\x88\x92"

typedef struct tick_case {
    double low, high;
    int most, exponent;
    const char *labels; /* with spaces between them */
} tick_case;

static const tick_case tick_cases[] = {
    { -1.6, 2.3, 9, 0, MINUS "1.5 " MINUS "1.0 " MINUS "0.5 0.0 0.5 1.0 1.5 2.0" },
    { 0, 1, 9, 0, "0.0 0.2 0.4 0.6 0.8 1.0" },
    { 0, 0.9, 9, 0, "0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9" },
    { 0.55, 10.45, 9, 0, "2 4 6 8 10" },
    { 0, 21, 9, 0, "0.0 2.5 5.0 7.5 10.0 12.5 15.0 17.5 20.0" },
    { 1.94, 2.25, 9, 0, "1.95 2.00 2.05 2.10 2.15 2.20 2.25" },
    { -0.01, 0.01, 2, 0, MINUS "0.01 0.00 0.01" },
    { 0, 2.4, 3, 0, "0 1 2" },
    { 3, 97, 5, 0, "20 40 60 80" },
    { 99000, 99999, 3, 0, "99000 99500" },
    { 100000, 500000, 4, 5, "1 2 3 4 5" },
    { -3e7, 5e7, 4, 7, MINUS "2 0 2 4" },
    { 1e-5, 1e-4, 5, -4, "0.2 0.4 0.6 0.8 1.0" },
    { 1e30, 3e30, 4, 30, "1.0 1.5 2.0 2.5 3.0" },
};

Test(plot, ticks)
{
    for (size_t i = 0; i < sizeof tick_cases / sizeof *tick_cases; i++) {
        const tick_case *c = &tick_cases[i];
        app_ticks t = app_ticks_choose(c->low, c->high, c->most);
        char labels[400] = "";

        for (int k = 0; k < t.count; k++) {
            strcat(labels, k > 0 ? " " : "");
            strcat(labels, t.label[k]);
            cr_expect(t.at[k] >= c->low - 1e-9 * fabs(c->low) && t.at[k] <= c->high + 1e-9 * fabs(c->high));
        }
        cr_expect_str_eq(labels, c->labels);
        cr_expect_eq(t.exponent, c->exponent, "%g to %g: 10^%d", c->low, c->high, t.exponent);
    }
}

/* Whatever the range: at least one tick, no more than asked for, evenly spaced, labels that read back as their place.
 * */
Test(plot, ticks_of_many_ranges)
{
    leat_rng r = leat_rng_new(1, 0);
    for (int i = 0; i < 20000; i++) {
        double middle = leat_rng_normal(&r) * pow(10, 8 * leat_rng_normal(&r));
        double span = fmax(fabs(middle) * 1e-8, pow(10, 8 * leat_rng_normal(&r)));
        int most = 2 + (int)leat_rng_below(&r, 8);
        app_ticks t = app_ticks_choose(middle - span / 2, middle + span / 2, most);

        cr_assert(t.count >= 1 && t.count <= most + 1, "%g +- %g: %d ticks", middle, span / 2, t.count);
        for (int k = 0; k < t.count; k++) {
            bool negative = strncmp(t.label[k], MINUS, 3) == 0;
            double value = atof(t.label[k] + (negative ? 3 : 0)) * pow(10, t.exponent) * (negative ? -1 : 1);

            cr_assert_leq(fabs(value - t.at[k]), 1e-6 * span, "%g +- %g: %s at %g", middle, span / 2, t.label[k],
                          t.at[k]);
            if (k > 1)
                cr_assert_lt(fabs(t.at[k] - 2 * t.at[k - 1] + t.at[k - 2]), 1e-6 * span);
        }
    }
}

static const double ranges[][4] = {
    { 0, 10, -0.5, 10.5 },
    { 1, 1, 0.95, 1.05 },
    { -20, -20, -21, -19 },
    { 0, 0, -0.5, 0.5 },
    { HUGE_VAL, -HUGE_VAL, 0, 1 },
    { 1e9, 1e9 + 1e-3, 9.5e8 - 5e-5, 1.05e9 + 1.05e-3 }, /* below the resolution of labels */
};

Test(plot, axis_ranges)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        double low = ranges[i][0], high = ranges[i][1];
        app_axis_range(&low, &high);
        cr_expect_float_eq(low, ranges[i][2], 1e-12 * (1 + fabs(low)));
        cr_expect_float_eq(high, ranges[i][3], 1e-12 * (1 + fabs(high)));
    }
}

/* ---- SVG --------------------------------------------------------------------------------------------------------- */

/* The document as the file's text. */
static char *svg_of(const app_plot *plot)
{
    leat_status s = { 0 };
    cr_assert_eq(app_plot_write(in_folder("p.svg"), plot, &s), LEAT_OK, "%s", s.message);
    char *text;
    size_t size;
    cr_assert_eq(leat_file_read(in_folder("p.svg"), &arena, &text, &size, &s), LEAT_OK);
    return text;
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
        count++;
    return count;
}

/* Reads an entity or a plain character of XML. */
static const char *skip_character(const char *p)
{
    static const char *const entities[] = { "&amp;", "&lt;", "&gt;", "&quot;" };
    if (*p != '&') {
        cr_assert((unsigned char)*p >= 0x20 || *p == '\n', "control character %d", *p);
        return p + 1;
    }
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (strncmp(p, entities[i], strlen(entities[i])) == 0)
            return p + strlen(entities[i]);
    cr_assert_fail("a bare ampersand: %.20s", p);
    return p;
}

/* One tag at p, with its name pushed or popped; only what this writer uses is known. */
static const char *check_tag(const char *p, char stack[][16], int *depth)
{
    char name[16] = "";
    bool closing = p[1] == '/';
    size_t length = strspn(p += 1 + closing, "abcdefghijklmnopqrstuvwxyz");
    cr_assert(length > 0 && length < sizeof name);
    memcpy(name, p, length);
    p += length;
    if (closing) {
        cr_assert(*depth > 0 && strcmp(stack[--*depth], name) == 0, "</%s>", name);
        cr_assert_eq(*p, '>');
        return p + 1;
    }
    while (*p == ' ') {
        p += 1 + strspn(p + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789");
        cr_assert(p[0] == '=' && p[1] == '"', "attribute: %.20s", p);
        for (p += 2; *p != '"'; p = skip_character(p))
            cr_assert(*p != '<' && *p);
        p++;
    }
    if (*p == '/') {
        cr_assert_eq(p[1], '>');
        return p + 2;
    }
    cr_assert(*p == '>' && *depth < 8, "end of <%s: %.20s", name, p);
    strcpy(stack[(*depth)++], name);
    return p + 1;
}

static void check_well_formed(const char *svg)
{
    char stack[8][16];
    int depth = 0;
    const char *p = svg;
    while (*p)
        p = *p == '<' ? check_tag(p, stack, &depth) : skip_character(p);
    cr_assert_eq(depth, 0);
    cr_assert_null(strstr(svg, "nan"));
    cr_assert_null(strstr(svg, "inf"));
}

static leat_tensor table(leat_real *values, int64_t rows)
{
    return (leat_tensor){ values, LEAT_SHAPE(rows, 2) };
}

Test(plot, svg_text_is_escaped)
{
    app_plot plot = { .title = "a < b & \"c\" > d", .x_label = "\x01\xFF\xC3\xA9\n", .y_label = "" };
    char *svg = svg_of(&plot);
    check_well_formed(svg);
    cr_assert_not_null(strstr(svg, ">a &lt; b &amp; &quot;c&quot; &gt; d</text>"));
    cr_assert_not_null(strstr(svg, ">\xEF\xBF\xBD\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD</text>"));
}

#define NOT_A_NUMBER (leat_real) NAN
#define INFINITE     (leat_real) HUGE_VAL

Test(plot, points_that_are_not_finite_are_not_drawn)
{
    leat_real values[] = { 0, 0, NOT_A_NUMBER, 1, 1, 1, 2, INFINITE, -INFINITE, 3, 3, 3 };
    app_series series[] = { { .points = table(values, 6) } };
    app_plot plot = { .series = series, .series_count = 1 };
    char *svg = svg_of(&plot);
    check_well_formed(svg);
    cr_assert_eq(count_of(svg, "<circle"), 3);
    series[0].mark = APP_LINE;
    svg = svg_of(&plot);
    check_well_formed(svg);
    /* stretches of one, one and one point; the ticks are lines too */
    cr_assert_eq(count_of(svg, "stroke-width=\"2.5\""), 3);
}

Test(plot, odd_data_does_not_break_the_axes)
{
    static leat_real one[] = { 5, -7 }, same[] = { 2, 3, 2, 3, 2, 3 }, none[] = { NOT_A_NUMBER, INFINITE },
                     huge[] = { (leat_real)-3e38, (leat_real)3e38, (leat_real)3e38, (leat_real)-3e38 },
                     tiny[] = { (leat_real)1e-38, 0, (leat_real)2e-38, (leat_real)1e-40 };
    const leat_tensor cases[] = { table(one, 0),  table(one, 1),  table(same, 3),
                                  table(none, 1), table(huge, 2), table(tiny, 2) };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int mark = APP_POINTS; mark <= APP_LINE; mark++) {
            app_series series[] = { { .label = "data", .points = cases[i], .mark = (app_mark)mark } };
            app_plot plot = { .series = series, .series_count = 1, .title = "odd" };
            char *svg = svg_of(&plot);
            leat_status s = { 0 };
            check_well_formed(svg);
            cr_assert_geq(count_of(svg, "<text"), 4, "case %zu has numbers on its axes", i);
            cr_assert_eq(app_plot_write(in_folder("p.png"), &plot, &s), LEAT_OK);
        }
}

/* The extreme points keep the margin of 5 % of the data's range on each side, 1/22 of the axis. */
Test(plot, points_stand_where_the_axes_say)
{
    leat_real values[] = { 0, 0, 1, 1 };
    app_series series[] = { { .points = table(values, 2) } };
    app_plot plot = { .series = series, .series_count = 1 };
    char *svg = svg_of(&plot);
    double left, top, width, height, x, y;
    cr_assert_eq(sscanf(strstr(strstr(svg, "<rect") + 1, "<rect"),
                        "<rect x=\"%lf\" y=\"%lf\" width=\"%lf\" height=\"%lf\"", &left, &top, &width, &height),
                 4);
    cr_assert_eq(sscanf(strstr(svg, "<circle"), "<circle cx=\"%lf\" cy=\"%lf\"", &x, &y), 2);
    cr_assert_float_eq(x, left + width / 22, 0.006);
    cr_assert_float_eq(y, top + height - height / 22, 0.006);
    cr_assert_gt(left, 0);
    cr_assert_lt(left + width, 780);
    cr_assert_lt(top + height, 780);
}

Test(plot, columns_are_chosen)
{
    leat_real values[] = { 9, 0, 5, 9, 1, 6 };
    app_series series[] = { { .points = { values, LEAT_SHAPE(2, 3) }, .x = 2, .y = 1 } };
    app_plot plot = { .series = series, .series_count = 1 };
    char *svg = svg_of(&plot);
    cr_assert_not_null(strstr(svg, ">5.2</text>"));
    cr_assert_null(strstr(svg, ">9.0</text>"));
    series[0] = (app_series){ .points = { values, LEAT_SHAPE(6, 1) } };
    cr_assert_eq(count_of(svg_of(&plot), "<circle"), 6, "one column is drawn over the rows");
}

/* ---- legend ------------------------------------------------------------------------------------------------------ */

/* The middle of the legend's box, the last <rect>, as parts of the picture. */
static void find_legend(const char *svg, double *x, double *y)
{
    double left, top, width, height;
    const char *last = svg;
    for (const char *p = svg; (p = strstr(p, "<rect")); p++)
        last = p;
    cr_assert_eq(sscanf(last, "<rect x=\"%lf\" y=\"%lf\" width=\"%lf\" height=\"%lf\"", &left, &top, &width, &height),
                 4);
    *x = (left + width / 2) / 780;
    *y = (top + height / 2) / 780;
}

Test(plot, legend_hides_the_least)
{
    /* points fill all but one corner */
    static leat_real values[2000];
    for (int corner = 0; corner < 4; corner++) {
        int n = 0;
        double x, y;
        for (int i = 0; i < 30; i++)
            for (int k = 0; k < 30; k++)
                if ((i >= 15) != (corner & 1) || (k >= 15) != (corner >> 1)) {
                    values[2 * n] = (leat_real)i;
                    values[2 * n + 1] = (leat_real)k;
                    n++;
                }
        app_series series[] = { { .label = "Generated", .points = table(values, n) } };
        app_plot plot = { .series = series, .series_count = 1 };
        char *svg = svg_of(&plot);
        find_legend(svg, &x, &y);
        cr_expect_eq(x > 0.5, corner & 1, "corner %d: %g", corner, x);
        cr_expect_eq(y < 0.5, corner >> 1, "corner %d: %g", corner, y);
        cr_assert_not_null(strstr(svg, ">Generated</text>"));
    }
}

Test(plot, no_label_no_legend)
{
    leat_real values[] = { 0, 0, 1, 1 };
    app_series series[] = { { .points = table(values, 2) } };
    app_plot plot = { .series = series, .series_count = 1 };
    cr_assert_eq(count_of(svg_of(&plot), "<rect"), 2, "paper and axes");
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static app_plot moons(app_series series[2])
{
    leat_rng r = leat_rng_new(0, 0);
    leat_status s = { 0 };
    series[0] = (app_series){ .label = "Generated" };
    series[1] = (app_series){ .label = "Real Data" };
    app_data_moons(1000, 0.1, &r, &arena, &series[0].points, &s);
    app_data_moons(1000, 0.05, &r, &arena, &series[1].points, &s);
    cr_assert_eq(s.code, LEAT_OK, "%s", s.message);
    return (app_plot){ .series = series, .series_count = 2 };
}

Test(plot, the_notebooks_picture)
{
    app_series series[2];
    app_plot plot = moons(series);
    leat_status s = { 0 };
    char *svg = svg_of(&plot);
    check_well_formed(svg);
    cr_assert_eq(count_of(svg, "<circle"), 2002, "two of them in the legend");
    cr_assert_eq(count_of(svg, "fill=\"#1f77b4\" fill-opacity=\"0.5\""), 2);
    cr_assert_eq(count_of(svg, "fill=\"#ff7f0e\" fill-opacity=\"0.5\""), 2);
    cr_assert_eq(app_plot_write(in_folder("m.png"), &plot, &s), LEAT_OK, "%s", s.message);
    bytes png = slurp(in_folder("m.png"));
    cr_assert_lt(png.size, 60000);
    cr_assert_arr_eq(png.data + 16, "\x00\x00\x03\x0C\x00\x00\x03\x0C", 8, "780 x 780");
    cr_assert_eq(app_plot_write(in_folder("n.png"), &plot, &s), LEAT_OK);
    bytes again = slurp(in_folder("n.png"));
    cr_assert_eq(again.size, png.size);
    cr_assert_eq(memcmp(again.data, png.data, png.size), 0);
    free(png.data);
    free(again.data);
}

Test(plot, refusals)
{
    leat_real values[] = { 0, 0, 1, 1 };
    app_series series[] = { { .points = table(values, 2) } };
    app_plot plot = { .series = series, .series_count = 1 };
    leat_status s = { 0 };

    cr_assert_eq(app_plot_write(in_folder("a.gif"), &plot, &s), LEAT_EARG);
    check_message(&s, "a.gif", ".svg");
    series[0].x = 2;
    s = (leat_status){ 0 };
    cr_assert_eq(app_plot_write(in_folder("a.svg"), &plot, &s), LEAT_ESHAPE);
    check_message(&s, "columns 2 and 0", "[2,2]");
    series[0].x = 0;
    s = (leat_status){ 0 };
    cr_assert_eq(app_plot_write(in_folder("none/a.png"), &plot, &s), LEAT_EIO);
    check_message(&s, "none/a.png", "");
    s = (leat_status){ 0 };
    plot.width = 1 << 20;
    cr_assert_eq(app_plot_write(in_folder("a.png"), &plot, &s), LEAT_EARG);
    cr_assert_eq(files_in_folder(false), 0);
}

/* A picture too small for its margins is drawn all the same. */
Test(plot, tiny_pictures)
{
    app_series series[2];
    app_plot plot = moons(series);
    leat_status s = { 0 };
    plot.title = "title";
    for (int side = 1; side < 120; side += 17) {
        plot.width = plot.height = side;
        cr_assert_eq(app_plot_write(in_folder("t.png"), &plot, &s), LEAT_OK, "%s", s.message);
        check_well_formed(svg_of(&plot));
    }
}
