/* Heat maps and contour lines, by functions whose contours are known. */
#include <criterion/criterion.h>

#include "../../apps/pictures/heat.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 81 };

static leat_arena arena;
static double values[SIDE * SIDE];
static const app_range range = { -2, 2 };

static void setup(void)
{
    leat_arena_init(&arena, NULL);
}

static void teardown(void)
{
    leat_arena_free(&arena);
}

TestSuite(heat, .init = setup, .fini = teardown);

static double centre(int i)
{
    return range.low + (range.high - range.low) * (i + 0.5) / SIDE;
}

static app_heat heat_of(double (*f)(double x, double y))
{
    for (int row = 0; row < SIDE; row++) {
        for (int column = 0; column < SIDE; column++) {
            values[row * SIDE + column] = f(centre(column), centre(row));
        }
    }
    return (app_heat){ .value = values, .rows = SIDE, .columns = SIDE, .low = 0, .high = 1 };
}

static leat_tensor contour(const app_heat *h, double level, int *lines)
{
    leat_status s = { 0 };
    leat_tensor out;

    cr_assert_eq(app_contour(h, range, range, level, &arena, &out, &s), LEAT_OK, "%s", s.message);
    *lines = 0;
    for (int64_t i = 0; i < out.shape.size[0]; i++) {
        *lines += isnan(out.data[2 * i]) ? 1 : 0;
    }
    return out;
}

static double square_radius(double x, double y)
{
    return x * x + y * y;
}

static double saddle(double x, double y)
{
    return x * y;
}

static double plane(double x, double y)
{
    return x + 0.3 * y;
}

static double hole(double x, double y)
{
    return fabs(x) < 0.5 && fabs(y) < 0.5 ? (double)NAN : x * x + y * y;
}

/* One closed line, all of it at the radius, whose length is the circle's. */
Test(heat, a_circle_is_one_closed_line)
{
    app_heat h = heat_of(square_radius);
    int lines;
    leat_tensor c = contour(&h, 1.44, &lines);
    int64_t n = c.shape.size[0] - 1;
    double length = 0;

    cr_assert_eq(lines, 1);
    for (int64_t i = 0; i < n; i++) {
        double x = (double)c.data[2 * i], y = (double)c.data[2 * i + 1];

        cr_assert(fabs(hypot(x, y) - 1.2) < 1e-3, "%g", hypot(x, y));
        if (i > 0) {
            length += hypot(x - (double)c.data[2 * i - 2], y - (double)c.data[2 * i - 1]);
        }
    }
    cr_assert(c.data[0] == c.data[2 * n - 2] && c.data[1] == c.data[2 * n - 1]);
    cr_assert(fabs(length - 2 * 3.14159265 * 1.2) < 0.01, "%g", length);
}

Test(heat, a_plane_has_one_straight_line_to_both_borders)
{
    app_heat h = heat_of(plane);
    int lines;
    leat_tensor c = contour(&h, 0.5, &lines);
    int64_t n = c.shape.size[0] - 1;

    cr_assert_eq(lines, 1);
    for (int64_t i = 0; i < n; i++) {
        cr_assert(fabs(plane((double)c.data[2 * i], (double)c.data[2 * i + 1]) - 0.5) < 1e-5);
    }
    cr_assert(fabs(fabs((double)c.data[1]) - centre(SIDE - 1)) < 1e-5);
    cr_assert(fabs(fabs((double)c.data[2 * n - 1]) - centre(SIDE - 1)) < 1e-5);
}

Test(heat, hyperbolas_have_two_branches)
{
    app_heat h = heat_of(saddle);
    int lines;
    leat_tensor c = contour(&h, 0.25, &lines);

    cr_assert_eq(lines, 2);
    for (int64_t i = 0; i < c.shape.size[0]; i++) {
        cr_assert(isnan((double)c.data[2 * i]) ||
                  fabs((double)c.data[2 * i] * (double)c.data[2 * i + 1] - 0.25) < 2e-3);
    }
}

/* Two squares of opposite corners above the level: lines pass between them whichever way the middle says. */
Test(heat, in_a_saddle_the_middle_decides)
{
    const double low[4] = { 1, 0, 0, 1 }, high[4] = { 1, 0.4, 0.4, 1 };
    int lines;
    app_heat h = { .value = low, .rows = 2, .columns = 2, .low = 0, .high = 1 };
    leat_tensor c = contour(&h, 0.6, &lines);

    cr_assert_eq(lines, 2);
    for (int i = 0; i < 2; i++) { /* each line cuts off a corner that is above: both its ends are near that corner */
        double x = (double)(c.data[6 * i] + c.data[6 * i + 2]) / 2,
               y = (double)(c.data[6 * i + 1] + c.data[6 * i + 3]) / 2;

        cr_assert(x * y > 0, "line %d around a corner below", i);
    }
    h.value = high;
    c = contour(&h, 0.6, &lines);
    cr_assert_eq(lines, 2);
    for (int i = 0; i < 2; i++) {
        double x = (double)(c.data[6 * i] + c.data[6 * i + 2]) / 2,
               y = (double)(c.data[6 * i + 1] + c.data[6 * i + 3]) / 2;

        cr_assert(x * y < 0, "line %d around a corner above", i);
    }
}

Test(heat, what_is_not_finite_has_no_line)
{
    app_heat h = heat_of(hole);
    int lines;
    leat_tensor c = contour(&h, 0.1, &lines);

    cr_assert_eq(c.shape.size[0], 0);
    cr_assert_eq(lines, 0);
}

/* ---- the map ----------------------------------------------------------------------------------------------------- */

static app_canvas painted(const app_heat *h)
{
    leat_status s = { 0 };
    app_canvas canvas;
    app_painter painter;

    cr_assert_eq(app_canvas_new(&arena, 40, 40, &canvas, &s), LEAT_OK);
    painter = app_painter_for_canvas(&canvas);
    app_heat_draw(h, &painter, 4.5, 4.5, 32, 32);
    return canvas;
}

static int brightness(const app_canvas *c, int x, int y)
{
    const uint8_t *p = c->rgb + 3 * (y * c->width + x);

    return p[0] + p[1] + p[2];
}

/* Rows go up, the least value is white, more is darker, and values that are not finite are white. */
Test(heat, colours_darken_and_rows_go_up)
{
    const double v[4] = { 0, 0.5, (double)NAN, 1 };
    app_heat h = { .value = v, .rows = 2, .columns = 2, .low = 0, .high = 1 };
    app_canvas c = painted(&h);

    cr_assert_eq(brightness(&c, 10, 28), 3 * 255);
    cr_assert_eq(brightness(&c, 10, 10), 3 * 255);
    cr_assert(brightness(&c, 28, 28) < 3 * 255);
    cr_assert(brightness(&c, 28, 10) < brightness(&c, 28, 28));
    cr_assert_eq(brightness(&c, 38, 20), 3 * 255, "painted outside");
}

Test(heat, neighbouring_boxes_leave_no_seam)
{
    double v[49];
    app_heat h = { .value = v, .rows = 7, .columns = 7, .low = 0, .high = 1 };
    app_canvas c;

    for (int i = 0; i < 49; i++) {
        v[i] = i % 2 ? 1 : 0.97; /* both dark, and not one run */
    }
    c = painted(&h);
    for (int y = 6; y < 34; y++) {
        for (int x = 6; x < 34; x++) {
            cr_assert(brightness(&c, x, y) < 300, "at %d, %d: %d", x, y, brightness(&c, x, y));
        }
    }
}

Test(heat, a_page_has_its_panels_side_by_side)
{
    const app_heat h = heat_of(square_radius);
    const app_panel panels[] = {
        { .plot = { .width = 200, .height = 200, .heat = &h, .x = range, .y = range, .small = true, .title = "left" } },
        { .left = 200,
          .plot = { .width = 200,
                    .height = 200,
                    .heat = &h,
                    .x = range,
                    .y = range,
                    .small = true,
                    .title = "right" } },
    };
    leat_status s = { 0 };
    char *bytes, path[] = "/tmp/leat-page-XXXXXX.svg";
    size_t size;
    int fd = mkstemps(path, 4);

    cr_assert(fd >= 0);
    cr_assert_eq(app_page_write(path, 400, 200, panels, 2, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_file_read(path, &arena, &bytes, &size, &s), LEAT_OK);
    cr_assert(strstr(bytes, "width=\"400\" height=\"200\"") && strstr(bytes, ">left<") && strstr(bytes, ">right<"));
    close(fd);
    remove(path);
}
