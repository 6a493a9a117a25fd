/* softmax, log_softmax, cumsum, flip and searchsorted: against plain loops along every axis, at their edges, what they
 * refuse, and that threads do not change a bit. */
#include "support.h"

TestSuite(axes, .init = setup, .fini = teardown);

static const leat_shape shapes[] = {
    { 1, { 9 } },       { 1, { 1 } },          { 2, { 3, 40 } }, { 2, { 7, 1 } },
    { 3, { 4, 5, 6 } }, { 4, { 2, 3, 2, 5 } }, { 2, { 0, 3 } },  { 2, { 3, 0 } },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* The numbers along an axis: where they begin and how far apart they are, for each of count(x) / size rows. */
typedef struct line {
    int64_t begin, step, n;
} line;

static line line_at(const leat_shape *s, int axis, int64_t row)
{
    line l = { .step = 1, .n = s->size[axis] };
    for (int i = axis + 1; i < s->rank; i++)
        l.step *= s->size[i];
    l.begin = row / l.step * l.step * l.n + row % l.step;
    return l;
}

static int64_t rows_along(const leat_shape *s, int axis)
{
    return s->size[axis] ? leat_shape_count(s) / s->size[axis] : 0;
}

typedef void check_fn(leat_shape s, int axis);

static void along_every_axis(check_fn *check)
{
    for (int k = 0; k < SHAPES; k++) {
        for (int axis = 0; axis < shapes[k].rank; axis++) {
            leat_tape_reset(tape);
            check(shapes[k], axis);
        }
    }
}

static void check_softmax(leat_shape s, int axis)
{
    leat_var x = leat_mul_scalar(integers(s), 0.125);
    leat_var y = leat_softmax(x, axis), logs = leat_log_softmax(x, axis - s.rank);
    assert_shape(y, s);
    assert_shape(logs, s);
    for (int64_t row = 0; row < rows_along(&s, axis); row++) {
        line l = line_at(&s, axis, row);
        double total = 0;
        for (int64_t i = 0; i < l.n; i++)
            total += exp((double)data(x)[l.begin + i * l.step]);
        for (int64_t i = 0; i < l.n; i++) {
            int64_t at = l.begin + i * l.step;
            double want = exp((double)data(x)[at]) / total, got = (double)data(y)[at], log_got = (double)data(logs)[at];
            cr_assert(fabs(got - want) <= 4 * (double)EPS * want, "%.17g, not %.17g", got, want);
            cr_assert(fabs(log_got - log(want)) <= 4 * (double)EPS * fabs(log(want)) + 4 * DBL_EPSILON,
                      "%.17g, not %.17g", log_got, log(want));
        }
    }
}

Test(axes, softmax_and_its_logarithm)
{
    along_every_axis(check_softmax);
}

static void check_cumsum(leat_shape s, int axis)
{
    double weights[256];
    for (int i = 0; i < 256; i++)
        weights[i] = i % 5 - 2;
    leat_var x = integers(s), y = leat_cumsum(x, axis);
    assert_shape(y, s);
    const leat_real *dx = gradient(y, weights, x);
    for (int64_t row = 0; row < rows_along(&s, axis); row++) {
        line l = line_at(&s, axis, row);
        double sum = 0, back = 0;
        for (int64_t i = 0; i < l.n; i++) {
            sum += (double)data(x)[l.begin + i * l.step];
            cr_assert_eq((double)data(y)[l.begin + i * l.step], sum);
        }
        for (int64_t i = l.n - 1; i >= 0; i--) {
            back += weights[l.begin + i * l.step];
            cr_assert_eq((double)dx[l.begin + i * l.step], back);
        }
    }
}

Test(axes, sums_so_far)
{
    along_every_axis(check_cumsum);
}

Test(axes, sums_so_far_are_exact_within)
{
    double tenth = (double)(leat_real)0.1;
    leat_var y = leat_cumsum(leat_full(tape, LEAT_SHAPE(1000), 0.1), 0);
    double sum = 0;
    for (int i = 0; i < 1000; i++) {
        sum += tenth;
        cr_assert_eq(data(y)[i], (leat_real)sum, "element %d", i);
    }
}

Test(axes, flipped_along_any_axes)
{
    leat_shape s = LEAT_SHAPE(3, 2, 4, 2);
    for (int mask = 0; mask < 16; mask++) {
        int axes[4], n = 0;
        for (int axis = 3; axis >= 0; axis--)
            if (mask >> axis & 1)
                axes[n++] = axis % 2 ? axis : axis - 4;
        leat_var x = integers(s), y = leat_flip(x, n, axes);
        assert_shape(y, s);
        for (int64_t i = 0; i < count(x); i++) {
            int64_t from = 0, stride = 1, rest = i;
            for (int axis = 3; axis >= 0; axis--) {
                int64_t at = rest % s.size[axis];
                from += stride * (mask >> axis & 1 ? s.size[axis] - 1 - at : at);
                rest /= s.size[axis];
                stride *= s.size[axis];
            }
            cr_assert_eq(data(y)[i], data(x)[from], "axes %d, element %d", mask, (int)i);
        }
        cr_assert_eq(memcmp(data(leat_flip(y, n, axes)), data(x), 48 * sizeof(leat_real)), 0, "twice is once");
    }
    assert_numbers(leat_flip(leat_scalar(tape, 3), 0, NULL), leat_shape_of(0, NULL), NUMBERS(3));
    assert_shape(leat_flip(leat_randn(tape, LEAT_SHAPE(2, 0)), AXES(0, 1)), LEAT_SHAPE(2, 0));
}

/* ---- edges ------------------------------------------------------------------------------------------------------- */

static const struct {
    double x[3], y[3], log_y[3];
} rows[] = {
    { { 1000, 1000, -INF }, { 0.5, 0.5, 0 }, { -0.69314718055994530942, -0.69314718055994530942, -INF } },
    { { -2000, -INF, -4000 }, { 1, 0, 0 }, { 0, -INF, -2000 } },
    { { -INF, -INF, -INF },
      { NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER },
      { NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER } },
    { { INF, 1, 2 }, { NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER }, { NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER } },
    { { 1, NOT_A_NUMBER, 2 },
      { NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER },
      { NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER } },
};

Test(axes, softmax_of_large_numbers_infinities_and_nan)
{
    for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
        leat_shape s = LEAT_SHAPE(3), column = LEAT_SHAPE(3, 1);
        assert_numbers(leat_softmax(input(s, rows[i].x), 0), s, rows[i].y);
        assert_numbers(leat_log_softmax(input(s, rows[i].x), 0), s, rows[i].log_y);
        assert_numbers(leat_softmax(input(column, rows[i].x), 0), column, rows[i].y);
    }
    leat_var x = input(LEAT_SHAPE(3), NUMBERS(-INF, 1, 1));
    assert_equal(gradient(leat_softmax(x, 0), NUMBERS(5, 1, 3), x), NUMBERS(0, -0.5, 0.5), 3);
    assert_equal(gradient(leat_log_softmax(x, 0), NUMBERS(0, 1, 3), x), NUMBERS(0, -1, 1), 3);
    assert_numbers(leat_softmax(integers(LEAT_SHAPE(3, 1)), 1), LEAT_SHAPE(3, 1), NUMBERS(1, 1, 1));
    assert_numbers(leat_log_softmax(integers(LEAT_SHAPE(3, 1)), 1), LEAT_SHAPE(3, 1), NUMBERS(0, 0, 0));
}

Test(axes, log_softmax_keeps_what_is_next_to_nothing)
{
    leat_var y = leat_log_softmax(input(LEAT_SHAPE(2), NUMBERS(0, -12)), 0);
    double want = -log1p(exp(-12));
    cr_assert_float_eq((double)data(y)[0], want, 4 * (double)EPS * fabs(want) + 1e-16);
}

/* Longer than what the kernels take at a time. */
Test(axes, softmax_of_a_long_row)
{
    enum { LONG = 9000 };
    leat_var x = leat_randn(tape, LEAT_SHAPE(2, LONG)), y = leat_softmax(x, 1), logs = leat_log_softmax(x, 1);
    for (int row = 0; row < 2; row++) {
        const leat_real *at = data(x) + row * LONG;
        double total = 0;
        for (int i = 0; i < LONG; i++)
            total += exp((double)at[i]);
        for (int i = 0; i < LONG; i++) {
            double want = exp((double)at[i]) / total, got = (double)data(y)[row * LONG + i];
            cr_assert(fabs(got - want) <= (4 * (double)EPS + 64 * DBL_EPSILON) * want, "element %d", i);
            cr_assert(fabs((double)data(logs)[row * LONG + i] - log(want)) <= (double)EPS * 16 + 64 * DBL_EPSILON);
        }
    }
}

Test(axes, the_place_to_insert_a_value)
{
    leat_shape s = LEAT_SHAPE(2, 4), k = LEAT_SHAPE(2, 3);
    leat_var lists = input(k, NUMBERS(1, 2, 2, -1, 0, 5)), values = input(s, NUMBERS(0, 2, 1, 9, -1, -1.5, 5, 4));
    assert_numbers(leat_searchsorted(lists, values, false), s, NUMBERS(0, 1, 0, 3, 0, 0, 2, 2));
    assert_numbers(leat_searchsorted(lists, values, true), s, NUMBERS(0, 3, 1, 3, 1, 0, 3, 2));
    leat_var list = input(LEAT_SHAPE(3), NUMBERS(1, 2, 2));
    assert_numbers(leat_searchsorted(list, values, false), s, NUMBERS(0, 1, 0, 3, 0, 0, 3, 3));
    assert_numbers(leat_searchsorted(list, leat_scalar(tape, 2), true), leat_shape_of(0, NULL), NUMBERS(3));
    assert_numbers(leat_searchsorted(leat_randn(tape, LEAT_SHAPE(0)), values, true), s,
                   NUMBERS(0, 0, 0, 0, 0, 0, 0, 0));
    assert_shape(leat_searchsorted(leat_randn(tape, LEAT_SHAPE(2, 3)), leat_randn(tape, LEAT_SHAPE(2, 0)), false),
                 LEAT_SHAPE(2, 0));
    leat_var odd = input(LEAT_SHAPE(4), NUMBERS(NOT_A_NUMBER, INF, -INF, 0));
    assert_numbers(leat_searchsorted(list, odd, false), LEAT_SHAPE(4), NUMBERS(3, 3, 0, 0));
    /* PyTorch's results for a list that ends with NaN */
    leat_var with_nan = input(LEAT_SHAPE(5), NUMBERS(1, 2, 2, 3, NOT_A_NUMBER));
    leat_var nine = input(LEAT_SHAPE(9), NUMBERS(0, 1, 2, 2.5, 3, 4, NOT_A_NUMBER, INF, -INF));
    assert_numbers(leat_searchsorted(with_nan, nine, false), LEAT_SHAPE(9), NUMBERS(0, 0, 1, 5, 5, 5, 5, 5, 0));
    assert_numbers(leat_searchsorted(with_nan, nine, true), LEAT_SHAPE(9), NUMBERS(0, 1, 5, 5, 5, 5, 5, 5, 0));
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

#define N(...) leat_randn(tape, LEAT_SHAPE(__VA_ARGS__))

#define REFUSALS(R)                                                                                                    \
    R(leat_softmax(N(2, 3), 2), "softmax [2,3]: axis 2 of a tensor of rank 2")                                         \
    R(leat_softmax(leat_scalar(tape, 1), 0), "softmax []: axis 0 of a tensor of rank 0")                               \
    R(leat_log_softmax(N(2, 3), -3), "log_softmax [2,3]: axis -3 of a tensor of rank 2")                               \
    R(leat_cumsum(N(2), 1), "cumsum [2]: axis 1 of a tensor of rank 1")                                                \
    R(leat_flip(N(2, 3), AXES(0, -2)), "flip [2,3]: axis -2 is named twice")                                           \
    R(leat_flip(N(2, 3), AXES(2)), "flip [2,3]: axis 2 of a tensor of rank 2")                                         \
    R(leat_searchsorted(N(2, 3), N(4), false), "searchsorted [2,3] x [4]: neither one list nor a list for each row")   \
    R(leat_searchsorted(N(2, 3), N(3, 4), false), "searchsorted [2,3] x [3,4]: neither one list nor")                  \
    R(leat_searchsorted(leat_scalar(tape, 1), N(4), false), "searchsorted [] x [4]: neither one list nor")

Test(axes, refusals_say_the_op_the_shapes_and_the_reason)
{
    REFUSALS(CHECK_REFUSED)
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

typedef leat_var function(leat_var x);

static leat_var last_axis(leat_var x)
{
    return leat_mul(leat_softmax(x, -1), leat_cumsum(leat_log_softmax(x, 1), -1));
}

static leat_var first_axis(leat_var x)
{
    return leat_mul(leat_softmax(x, 0), leat_cumsum(leat_log_softmax(x, 0), 0));
}

static leat_var middle_axis(leat_var x)
{
    leat_var y = leat_reshape(x, LEAT_SHAPE(40, 50, 45));
    y = leat_mul(leat_softmax(y, 1), leat_flip(leat_cumsum(leat_log_softmax(y, 1), 1), AXES(0, 2)));
    return leat_add(y, leat_searchsorted(leat_slice(leat_reshape(x, LEAT_SHAPE(-1)), 0, 0, 99), y, true));
}

static leat_var columns(leat_var x)
{
    int64_t at[90];
    for (int i = 0; i < 90; i++)
        at[i] = i * 7 % 90;
    leat_index index = { at, 90 };
    leat_var y = leat_index_select(x, 1, index);
    return leat_index_add(leat_index_copy(x, 1, index, leat_exp(y)), 1, index, y);
}

static leat_var halves(leat_var x)
{
    return leat_glu(leat_concat_elu(x), x);
}

Test(axes, threads_do_not_change_a_bit)
{
    function *const functions[] = { last_axis, first_axis, middle_axis, columns, halves };
    enum { ROWS = 1000, COLUMNS = 90, ALL = ROWS * COLUMNS };
    static leat_real y[3][ALL], dx[3][ALL], x[ALL];
    leat_rng rng = leat_rng_new(1, 2);
    leat_rng_fill_normal(&rng, x, ALL);
    for (int f = 0; f < 5; f++) {
        for (int i = 0; i < 3; i++) {
            leat_pool *pool = leat_pool_new(i + 1, NULL);
            leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool });
            leat_var in = leat_input(t, (leat_tensor){ x, LEAT_SHAPE(ROWS, COLUMNS) }), out = functions[f](in);
            cr_assert(leat_ok(out), "%s", leat_tape_errmsg(t));
            memcpy(y[i], leat_value(out).data, sizeof y[i]);
            cr_assert_eq(leat_vjp(out, (leat_tensor){ x, leat_var_shape(out) }), LEAT_OK);
            memcpy(dx[i], leat_grad(in).data, sizeof dx[i]);
            cr_assert_eq(memcmp(y[0], y[i], sizeof y[0]), 0, "function %d, %d threads", f, i + 1);
            cr_assert_eq(memcmp(dx[0], dx[i], sizeof dx[0]), 0, "gradient of function %d, %d threads", f, i + 1);
            leat_tape_free(t);
            leat_pool_free(pool);
        }
    }
}
