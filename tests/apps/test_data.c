/* Data sets: two moons against scikit-learn's, shapes and moments of all toy sets. */
#include "../../apps/common/datasets.h"
#include "../tensor/file_helpers.h"

#include <math.h>

static leat_arena arena;

static void set_up(void)
{
    leat_arena_init(&arena, NULL);
}

static void tear_down(void)
{
    leat_arena_free(&arena);
}

TestSuite(data, .init = set_up, .fini = tear_down);

static bool has_shape(const leat_tensor *t, int64_t rows, int64_t columns)
{
    return t->shape.rank == 2 && t->shape.size[0] == rows && t->shape.size[1] == columns;
}

/* From sklearn.datasets.make_moons(n, shuffle=False), scikit-learn 1.9.1. */
typedef struct moon_point {
    int64_t n, row;
    double x, y;
} moon_point;

static const moon_point moons[] = {
    { 2, 0, 1, 0 },
    { 2, 1, 0, 0.5 },
    { 3, 0, 1, 0 },
    { 3, 1, 0, 0.5 },
    { 3, 2, 2, 0.49999999999999989 },
    { 7, 0, 1, 0 },
    { 7, 1, 6.123233995736766e-17, 1 },
    { 7, 2, -1, 1.2246467991473532e-16 },
    { 7, 3, 0, 0.5 },
    { 7, 4, 0.49999999999999989, -0.3660254037844386 },
    { 7, 5, 1.4999999999999998, -0.36602540378443871 },
    { 7, 6, 2, 0.49999999999999989 },
    { 1001, 1, 0.9999801816623203, 0.006295735270235843 },
    { 1001, 250, -0.00314788323160957, 0.9999950454033061 },
    { 1001, 499, -1, 1.2246467991473532e-16 },
    { 1001, 500, 0, 0.5 },
    { 1001, 501, 1.9739143862884667e-05, 0.49371685603444104 },
    { 1001, 777, 1.168833444712734, -0.48564459514899805 },
    { 1001, 1000, 2, 0.4999999999999999 },
};

Test(data, moons_are_scikit_learns)
{
    for (size_t i = 0; i < sizeof moons / sizeof *moons; i++) {
        const moon_point *m = &moons[i];
        leat_rng r = leat_rng_new(0, 0);
        leat_tensor t;
        leat_status s = { 0 };

        cr_assert_eq(app_data_moons_in_order(m->n, 0, &r, &arena, &t, &s), LEAT_OK, "%s", s.message);
        cr_assert(has_shape(&t, m->n, 2));
        cr_expect_leq(fabs((double)t.data[2 * m->row] - m->x), 1e-7);
        cr_expect_leq(fabs((double)t.data[2 * m->row + 1] - m->y), 1e-7);
    }
}

static int compare_rows(const void *a, const void *b)
{
    const leat_real *p = a, *q = b;
    return p[0] != q[0] ? (p[0] > q[0]) - (p[0] < q[0]) : (p[1] > q[1]) - (p[1] < q[1]);
}

Test(data, moons_are_shuffled_rows_of_the_ordered_ones)
{
    enum { N = 501 };
    leat_rng r1 = leat_rng_new(3, 1), r2 = leat_rng_new(3, 1), r3 = leat_rng_new(3, 1), r4 = leat_rng_new(4, 1);
    leat_tensor ordered, shuffled, again, other;
    leat_status s = { 0 };

    app_data_moons_in_order(N, 0.05, &r1, &arena, &ordered, &s);
    app_data_moons(N, 0.05, &r2, &arena, &shuffled, &s);
    app_data_moons(N, 0.05, &r3, &arena, &again, &s);
    app_data_moons(N, 0.05, &r4, &arena, &other, &s);
    cr_assert_eq(s.code, LEAT_OK);
    cr_assert_arr_eq(shuffled.data, again.data, 2 * N * sizeof(leat_real));
    cr_assert_arr_neq(shuffled.data, other.data, 2 * N * sizeof(leat_real));
    cr_assert_arr_neq(shuffled.data, ordered.data, 2 * N * sizeof(leat_real));
    qsort(ordered.data, N, 2 * sizeof(leat_real), compare_rows);
    qsort(shuffled.data, N, 2 * sizeof(leat_real), compare_rows);
    cr_assert_arr_eq(shuffled.data, ordered.data, 2 * N * sizeof(leat_real));
}

/* Both coordinates are scattered by the given standard deviation: 5 standard errors of an estimate from n values. */
Test(data, noise_has_its_standard_deviation)
{
    enum { N = 20000 };
    leat_rng r = leat_rng_new(7, 0), exact = leat_rng_new(7, 0);
    leat_tensor noisy, clean;
    leat_status s = { 0 };

    app_data_moons_in_order(N, 0.2, &r, &arena, &noisy, &s);
    app_data_moons_in_order(N, 0, &exact, &arena, &clean, &s);
    for (int column = 0; column < 2; column++) {
        double sum = 0, squares = 0;
        for (int i = column; i < 2 * N; i += 2) {
            double d = (double)noisy.data[i] - (double)clean.data[i];
            sum += d;
            squares += d * d;
        }
        cr_expect_lt(fabs(sum / N), 5 * 0.2 / sqrt(N));
        cr_expect_lt(fabs(sqrt(squares / N) - 0.2), 5 * 0.2 / sqrt(2.0 * N));
    }
    cr_assert_eq(r.position, exact.position, "the numbers drawn do not depend on the noise");
}

Test(data, moons_refused)
{
    static const struct {
        int64_t n;
        double noise;
    } bad[] = { { 0, 0 }, { -5, 0 }, { 10, -0.1 }, { 10, HUGE_VAL }, { 10, (double)NAN } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        leat_rng r = leat_rng_new(0, 0);
        leat_tensor t;
        leat_status s = { 0 };
        cr_expect_eq(app_data_moons(bad[i].n, bad[i].noise, &r, &arena, &t, &s), LEAT_EARG);
        cr_expect_null(t.data);
    }
}

/* ---- all the sets ------------------------------------------------------------------------------------------------ */

static const double pi = 3.14159265358979323846;

enum { SETS = 8, POINTS = 40000 };

/* Without noise: the exact mean and standard deviation of both coordinates, and the numbers that a row takes, not counting
 * the shuffle (n - 1, but for some more with a chance near 0). */
typedef struct set {
    const char *name;
    double mean[2], sd[2];
    int numbers;
    bool shuffled;
} set;

static const set sets[SETS] = {
    { "moons", { 0.5, 0.25 }, { 0.8660254, 0.4941559 }, 2, true },
    { "circles", { 0, 0 }, { 1.6770510, 1.6770510 }, 2, true },
    { "blobs", { 0, 0 }, { 2.000302, 2.000302 }, 3, false },
    { "pinwheel", { 0, 0 }, { 1.4832397, 1.4832397 }, 4, true },
    { "checkerboard", { 0, 0 }, { 2.3094011, 2.3094011 }, 5, false },
    { "spirals", { 0, 0 }, { 1.6073494, 1.5809600 }, 5, true },
    { "swiss-roll", { 0.4, 0.0424413 }, { 1.3246029, 1.3902416 }, 3, false },
    { "s-curve", { 0, 0 }, { 0.7071068, 1.3872322 }, 3, false },
};

static leat_tensor make(const char *name, int64_t n, double noise, leat_rng *r)
{
    leat_tensor t;
    leat_status s = { 0 };
    const app_data_set *found = app_data_find(name);
    cr_assert(found != NULL, "%s", name);
    cr_assert_eq(found->generate(n, noise, r, &arena, &t, &s), LEAT_OK, "%s", s.message);
    cr_assert(has_shape(&t, n, 2));
    return t;
}

static double mean_of(const leat_tensor *t, int column, double about, int power)
{
    double sum = 0;
    for (int64_t i = 0; i < t->shape.size[0]; i++)
        sum += pow((double)t->data[2 * i + column] - about, power);
    return sum / (double)t->shape.size[0];
}

/* Five standard errors of estimates from that many points. */
Test(data, sets_have_their_moments)
{
    for (int k = 0; k < SETS; k++) {
        leat_rng r = leat_rng_new(11, 0);
        leat_tensor t = make(sets[k].name, POINTS, 0, &r);
        for (int column = 0; column < 2; column++) {
            double mean = sets[k].mean[column], sd = sets[k].sd[column];
            double error = 5 * sd / sqrt(POINTS), got = sqrt(mean_of(&t, column, mean, 2));
            cr_expect_lt(fabs(mean_of(&t, column, 0, 1) - mean), error, "%s: mean %g", sets[k].name,
                         mean_of(&t, column, 0, 1));
            cr_expect_lt(fabs(got - sd), error, "%s: deviation %g, not %g", sets[k].name, got, sd);
        }
        int64_t more = (int64_t)r.position - (int64_t)sets[k].numbers * POINTS;
        cr_expect(sets[k].shuffled ? more >= POINTS - 1 && more < POINTS + 10 : more == 0, "%s: %lld numbers too many",
                  sets[k].name, (long long)more);
    }
}

/* Where the points of a set lie that has no noise: how far from it, 0 for those of random thickness. */
static double distance_from(const char *name, double x, double y)
{
    double radius = hypot(x, y), angle = atan2(y, x);
    if (strcmp(name, "moons") == 0)
        return fmin(fabs(radius - 1) + fmax(-y, 0), fabs(hypot(x - 1, y - 0.5) - 1) + fmax(y - 0.5, 0));
    if (strcmp(name, "circles") == 0)
        return fmin(fabs(radius - 3), fabs(radius - 1.5));
    if (strcmp(name, "blobs") == 0)
        return hypot(radius - 4 / 1.414, radius * remainder(angle, pi / 4));
    if (strcmp(name, "checkerboard") == 0)
        return fabs(x) < 4 && fabs(y) < 4 && fmod(floor(x / 2) + floor(y / 2) + 8, 2) == 0 ? 0 : 1;
    if (strcmp(name, "spirals") == 0) /* up to half a unit beside the curve, before the division by 3 */
        return radius <= pi + 0.5 * sqrt(2) / 3 ? 0 : 1;
    if (strcmp(name, "swiss-roll") == 0)
        return fabs(remainder(5 * radius - angle, 2 * pi)) + (radius < 0.3 * pi || radius > 0.9 * pi ? 1e-5 : 0);
    if (strcmp(name, "s-curve") == 0)
        return fabs(hypot(x, fabs(y) - 1) - 1);
    return 0;
}

Test(data, sets_lie_where_they_should)
{
    for (int k = 0; k < SETS; k++) {
        leat_rng r = leat_rng_new(12, 0);
        leat_tensor t = make(sets[k].name, 2000, 0, &r);
        for (int64_t i = 0; i < 2000; i++) {
            double x = (double)t.data[2 * i], y = (double)t.data[2 * i + 1];
            cr_assert_lt(distance_from(sets[k].name, x, y), 2e-5, "%s: %g, %g", sets[k].name, x, y);
        }
    }
}

/* Both arms of the spirals are the same turned round, all arms of the pinwheel turned by a fifth; the halves of the
 * checkerboard's squares are as full as each other. */
Test(data, sets_are_as_symmetric_as_they_should_be)
{
    leat_rng r = leat_rng_new(13, 0);
    leat_tensor board = make("checkerboard", POINTS, 0, &r), wheel = make("pinwheel", POINTS, 0, &r);
    int squares[4][4] = { { 0 } };
    double fifth[2] = { 0 }, second[2] = { 0 };

    for (int64_t i = 0; i < POINTS; i++) {
        squares[(int)floor((double)board.data[2 * i] / 2 + 2)][(int)floor((double)board.data[2 * i + 1] / 2 + 2)]++;
        double angle = atan2((double)wheel.data[2 * i + 1], (double)wheel.data[2 * i]);
        fifth[0] += cos(5 * angle);
        fifth[1] += sin(5 * angle);
        second[0] += cos(2 * angle);
        second[1] += sin(2 * angle);
    }
    for (int x = 0; x < 4; x++)
        for (int y = 0; y < 4; y++)
            cr_expect((x + y) % 2 ? squares[x][y] == 0 : abs(squares[x][y] - POINTS / 8) < 5 * 71,
                      "%d points in %d, %d", squares[x][y], x, y);
    cr_expect_gt(hypot(fifth[0], fifth[1]), 0.3 * POINTS);
    cr_expect_lt(hypot(second[0], second[1]), 5 * sqrt(POINTS));
}

Test(data, noise_is_added_to_every_set)
{
    for (int k = 0; k < SETS; k++) {
        leat_rng r1 = leat_rng_new(14, 0), r2 = r1, r3 = r1, r4 = leat_rng_new(15, 0);
        leat_tensor noisy = make(sets[k].name, 20000, 0.2, &r1), clean = make(sets[k].name, 20000, 0, &r2);
        leat_tensor again = make(sets[k].name, 20000, 0.2, &r3), other = make(sets[k].name, 20000, 0.2, &r4);
        double sum = 0, squares = 0;
        for (int i = 0; i < 40000; i++) {
            double d = (double)noisy.data[i] - (double)clean.data[i];
            sum += d;
            squares += d * d;
        }
        cr_expect_lt(fabs(sum / 40000), 5 * 0.2 / sqrt(40000));
        cr_expect_lt(fabs(sqrt(squares / 40000) - 0.2), 5 * 0.2 / sqrt(80000));
        cr_expect_eq(r1.position, r2.position);
        cr_expect_arr_eq(noisy.data, again.data, 40000 * sizeof(leat_real));
        cr_expect_arr_neq(noisy.data, other.data, 40000 * sizeof(leat_real));
    }
}

/* The first points of a set are like all others: rows are in random order. */
Test(data, rows_come_in_random_order)
{
    for (int k = 0; k < SETS; k++) {
        leat_rng r = leat_rng_new(16, 0);
        leat_tensor t = make(sets[k].name, POINTS, 0, &r), head = { t.data, LEAT_SHAPE(POINTS / 4, 2) };
        for (int column = 0; column < 2; column++)
            cr_expect_lt(fabs(mean_of(&head, column, 0, 1) - sets[k].mean[column]),
                         5 * sets[k].sd[column] / sqrt(POINTS / 4.0), "%s", sets[k].name);
    }
}

Test(data, sets_of_a_few_points_and_refusals)
{
    int count = 0;
    for (const app_data_set *p = app_data_sets; p->name; p++, count++) {
        leat_rng r = leat_rng_new(0, 0);
        leat_tensor t;
        leat_status s = { 0 };
        cr_assert_str_eq(p->name, sets[count].name);
        cr_assert(p->noise >= 0 && p->noise < 1);
        for (int64_t n = 1; n < 12; n++) {
            t = make(p->name, n, p->noise, &r);
            for (int64_t i = 0; i < 2 * n; i++)
                cr_assert(fabs((double)t.data[i]) < 8);
        }
        cr_expect_eq(p->generate(0, 0, &r, &arena, &t, &s), LEAT_EARG);
        cr_expect_null(t.data);
        s = (leat_status){ 0 };
        cr_expect_eq(p->generate(5, -0.1, &r, &arena, &t, &s), LEAT_EARG);
        check_message(&s, "not 5 and -0.1", "");
    }
    cr_assert_eq(count, SETS);
    cr_assert_null(app_data_find("moon"));
}
