/* Data sets: two moons against scikit-learn's, and files. */
#include "../../apps/common/data.h"
#include "../tensor/file_helpers.h"

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

Test(data, loads_both_kinds_of_file)
{
    leat_real values[] = { 1, 2, 3, 4, 5, 6 };
    leat_tensor t = { values, LEAT_SHAPE(3, 2) }, back;
    leat_status s = { 0 };

    cr_assert_eq(leat_npy_write(in_folder("a.npy"), &t, &s), LEAT_OK);
    cr_assert_eq(app_data_load(in_folder("a.npy"), &arena, &back, &s), LEAT_OK, "%s", s.message);
    cr_assert(leat_shape_equal(&back.shape, &t.shape));
    cr_assert_arr_eq(back.data, values, sizeof values);
    spill(in_folder("a.CSV"), "1,2\n3,4\n5,6\n", 12);
    cr_assert_eq(app_data_load(in_folder("a.CSV"), &arena, &back, &s), LEAT_OK, "%s", s.message);
    cr_assert(leat_shape_equal(&back.shape, &t.shape));
    cr_assert_arr_eq(back.data, values, sizeof values);
    t.shape = LEAT_SHAPE(6);
    cr_assert_eq(leat_npy_write(in_folder("v.npy"), &t, &s), LEAT_OK);
    cr_assert_eq(app_data_load(in_folder("v.npy"), &arena, &back, &s), LEAT_OK, "%s", s.message);
    cr_assert(has_shape(&back, 6, 1));
}

static void check_refused(const char *path, leat_code code, const char *part)
{
    leat_tensor t = { .data = (leat_real *)&arena };
    leat_status s = { 0 };
    cr_expect_eq(app_data_load(path, &arena, &t, &s), code, "%s: %s", path, s.message);
    cr_expect_null(t.data);
    check_message(&s, path, part);
}

Test(data, refuses_files)
{
    leat_real values[8] = { 1, 2, 3, 4, 5, (leat_real)NAN, 7, 8 };
    leat_tensor t = { values, LEAT_SHAPE(4, 2) };

    leat_npy_write(in_folder("nan.npy"), &t, NULL);
    check_refused(in_folder("nan.npy"), LEAT_ENONFINITE, "row 3, column 2: nan is not a finite number");
    values[5] = (leat_real)-HUGE_VAL;
    leat_npy_write(in_folder("inf.npy"), &t, NULL);
    check_refused(in_folder("inf.npy"), LEAT_ENONFINITE, "row 3, column 2: -inf is not a finite number");
    t.shape = LEAT_SHAPE(2, 2, 2);
    leat_npy_write(in_folder("cube.npy"), &t, NULL);
    check_refused(in_folder("cube.npy"), LEAT_ESHAPE, "[2,2,2]");
    t.shape = LEAT_SHAPE(0, 2);
    leat_npy_write(in_folder("none.npy"), &t, NULL);
    check_refused(in_folder("none.npy"), LEAT_ESHAPE, "[0,2]");
    spill(in_folder("head.csv"), "x,y\n", 4);
    check_refused(in_folder("head.csv"), LEAT_ESHAPE, "[0,2]");
    spill(in_folder("bad.csv"), "x,y\n1,nan\n", 10);
    check_refused(in_folder("bad.csv"), LEAT_EFORMAT, "line 2, column 2");
    spill(in_folder("a.txt"), "1,2\n", 4);
    check_refused(in_folder("a.txt"), LEAT_EARG, ".csv");
    check_refused(in_folder("missing.npy"), LEAT_EIO, "missing.npy");
}
