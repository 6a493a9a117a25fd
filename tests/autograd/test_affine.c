/* The affine map of couplings with its inverse, and the log-densities of rows: exact values, edges, refusals, threads. */
#include "support.h"

TestSuite(affine, .init = setup, .fini = teardown);

static const leat_shape shapes[] = {
    { 1, { 9 } },          { 2, { 40, 1 } }, { 2, { 70, 2 } }, { 2, { 3, 70 } },   { 3, { 4, 5, 6 } },
    { 4, { 2, 3, 2, 5 } }, { 2, { 0, 3 } },  { 2, { 3, 0 } },  { 2, { 2, 9000 } },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void assert_close(leat_var v, int64_t i, double want)
{
    double got = (double)data(v)[i];
    cr_assert(fabs(got - want) <= (4 * (double)EPS + 64 * DBL_EPSILON) * fabs(want), "element %d: %.17g, not %.17g",
              (int)i, got, want);
}

/* y = fma(x, exp(s), t), where exp(s) is the library's; sums in the library's order. */
Test(affine, values)
{
    for (int k = 0; k < SHAPES; k++) {
        leat_tape_reset(tape);
        leat_shape shape = shapes[k], batch = LEAT_SHAPE(shape.size[0]);
        leat_var x = leat_randn(tape, shape), s = leat_randn(tape, shape), t = leat_randn(tape, shape), logdet, back;
        leat_var y = leat_affine_forward(x, s, t, &logdet), again = leat_affine_inverse(y, s, t, &back);
        leat_var e = leat_exp(s), inverse_e = leat_exp(leat_neg(s));
        assert_shape(y, shape);
        assert_shape(logdet, batch);
        assert_shape(again, shape);
        assert_shape(back, batch);
        for (int64_t i = 0; i < count(x); i++) {
            cr_assert_eq(data(y)[i], FMA(data(x)[i], data(e)[i], data(t)[i]), "forward, element %d", (int)i);
            cr_assert_eq(data(again)[i], (data(y)[i] - data(t)[i]) * data(inverse_e)[i], "inverse, element %d", (int)i);
        }
        int64_t width = batch.size[0] ? count(x) / batch.size[0] : 0;
        for (int64_t i = 0; i < batch.size[0]; i++) {
            cr_assert_eq(data(logdet)[i], (leat_real)leat_sum_contiguous(data(s) + i * width, width));
            cr_assert_eq(data(back)[i], -data(logdet)[i]);
        }
        leat_var alone = leat_affine_forward(x, s, t, NULL), inverse = leat_affine_inverse(y, s, t, NULL);
        for (int64_t i = 0; i < count(x); i++) {
            cr_assert_eq(data(alone)[i], data(y)[i]);
            cr_assert_eq(data(inverse)[i], data(again)[i]);
        }
    }
}

Test(affine, gradients)
{
    leat_shape shape = LEAT_SHAPE(2, 2), batch = LEAT_SHAPE(2);
    leat_var x = input(shape, NUMBERS(1, -2, 3, 0.5)), s = input(shape, NUMBERS(0, 0, 0, 0));
    leat_var t = input(shape, NUMBERS(5, 6, 7, 8)), logdet, w = input(shape, NUMBERS(2, 3, -1, 4));
    leat_var y = leat_affine_forward(x, s, t, &logdet), h = input(batch, NUMBERS(10, 20));
    leat_var loss = leat_add(leat_sum(leat_mul(y, w)), leat_sum(leat_mul(logdet, h)));
    cr_assert_eq(leat_backward(loss), LEAT_OK);
    assert_numbers(y, shape, NUMBERS(6, 4, 10, 8.5));
    assert_equal(leat_grad(x).data, NUMBERS(2, 3, -1, 4), 4);
    assert_equal(leat_grad(t).data, NUMBERS(2, 3, -1, 4), 4);
    assert_equal(leat_grad(s).data, NUMBERS(2 + 10, -6 + 10, -3 + 20, 2 + 20), 4);
    leat_clear_grads(tape);
    y = leat_affine_inverse(x, s, t, &logdet);
    loss = leat_add(leat_sum(leat_mul(y, w)), leat_sum(leat_mul(logdet, h)));
    cr_assert_eq(leat_backward(loss), LEAT_OK);
    assert_numbers(y, shape, NUMBERS(-4, -8, -4, -7.5));
    assert_equal(leat_grad(x).data, NUMBERS(2, 3, -1, 4), 4);
    assert_equal(leat_grad(t).data, NUMBERS(-2, -3, 1, -4), 4);
    assert_equal(leat_grad(s).data, NUMBERS(8 - 10, 24 - 10, -4 - 20, 30 - 20), 4);
}

/* The log-determinant alone asks nothing of x and t. */
Test(affine, gradient_of_the_log_determinant_alone)
{
    leat_shape shape = LEAT_SHAPE(2, 3);
    leat_var x = integers(shape), s = input(shape, NUMBERS(1, 2, 3, 4, 5, 6)), t = integers(shape), logdet;
    leat_affine_forward(x, s, t, &logdet);
    assert_numbers(logdet, LEAT_SHAPE(2), NUMBERS(6, 15));
    assert_equal(gradient(logdet, NUMBERS(2, 3), s), NUMBERS(2, 2, 2, 3, 3, 3), 6);
    assert_equal(leat_grad(x).data, NUMBERS(0, 0, 0, 0, 0, 0), 6);
    assert_equal(leat_grad(t).data, NUMBERS(0, 0, 0, 0, 0, 0), 6);
}

Test(affine, infinities_and_nan)
{
    leat_shape s = LEAT_SHAPE(1, 5);
    leat_var x = input(s, NUMBERS(INF, 0, 1, NOT_A_NUMBER, -INF)), zero = leat_zeros(tape, s), logdet;
    leat_var scale = input(s, NUMBERS(0, INF, -INF, 0, 1));
    assert_numbers(leat_affine_forward(x, zero, zero, &logdet), s, NUMBERS(INF, 0, 1, NOT_A_NUMBER, -INF));
    assert_numbers(logdet, LEAT_SHAPE(1), NUMBERS(0));
    assert_numbers(leat_affine_forward(x, scale, zero, &logdet), s, NUMBERS(INF, NOT_A_NUMBER, 0, NOT_A_NUMBER, -INF));
    assert_numbers(logdet, LEAT_SHAPE(1), NUMBERS(NOT_A_NUMBER));
}

/* ---- densities --------------------------------------------------------------------------------------------------- */

static double logistic_density(double x)
{
    return -(fabs(x) + 2 * log1p(exp(-fabs(x))));
}

Test(affine, log_densities)
{
    for (int k = 0; k < SHAPES; k++) {
        leat_tape_reset(tape);
        leat_shape batch = LEAT_SHAPE(shapes[k].size[0]);
        leat_var x = leat_mul_scalar(leat_randn(tape, shapes[k]), 3);
        leat_var normal = leat_normal_log_density(x), logistic = leat_logistic_log_density(x);
        assert_shape(normal, batch);
        assert_shape(logistic, batch);
        int64_t width = batch.size[0] ? count(x) / batch.size[0] : 0;
        for (int64_t i = 0; i < batch.size[0]; i++) {
            double sum = 0, squares = 0;
            for (int64_t j = i * width; j < (i + 1) * width; j++) {
                squares += (double)data(x)[j] * (double)data(x)[j];
                sum += logistic_density((double)data(x)[j]);
            }
            assert_close(normal, i, -0.5 * squares - 0.91893853320467274178 * (double)width);
            assert_close(logistic, i, sum);
        }
    }
}

Test(affine, log_densities_far_out)
{
    leat_shape s = LEAT_SHAPE(6);
    leat_var x = input(s, NUMBERS(0, 1000, -1000, INF, -INF, NOT_A_NUMBER));
    leat_var normal = leat_normal_log_density(x), logistic = leat_logistic_log_density(x);
    double zero = -0.91893853320467274178; /* -log(2 pi) / 2 */
    assert_numbers(normal, s, NUMBERS(zero, -5e5 + zero, -5e5 + zero, -INF, -INF, NOT_A_NUMBER));
    assert_numbers(logistic, s, NUMBERS(-2 * log(2), -1000, -1000, -INF, -INF, NOT_A_NUMBER));
    assert_equal(gradient(normal, NUMBERS(1, 2, 1, 1, 1, 1), x), NUMBERS(0, -2000, 1000, -INF, INF, NOT_A_NUMBER), 6);
    assert_equal(gradient(logistic, NUMBERS(1, 2, 1, 1, 1, 1), x), NUMBERS(0, -2, 1, -1, 1, NOT_A_NUMBER), 6);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

#define N(...) leat_randn(tape, LEAT_SHAPE(__VA_ARGS__))
#define ONE    leat_scalar(tape, 1)

#define REFUSALS(R)                                                                                                    \
    R(leat_affine_forward(N(2, 3), N(2, 3), N(3), &second), "affine_forward [2,3] x [2,3] x [3]: the three shapes")    \
    R(leat_affine_inverse(N(2, 3), N(2, 1), N(2, 3), &second), "affine_inverse [2,3] x [2,1] x [2,3]: the three")      \
    R(leat_affine_forward(ONE, ONE, ONE, &second), "affine_forward [] x [] x []: there is no batch axis")              \
    R((second = leat_normal_log_density(ONE)), "normal_log_density []: there is no batch axis")                        \
    R((second = leat_logistic_log_density(ONE)), "logistic_log_density []: there is no batch axis")

Test(affine, refusals_say_the_op_the_shapes_and_the_reason)
{
    leat_var second;
#define CHECK_BOTH_REFUSED(call, words)                                                                                \
    second = (leat_var){ 0 };                                                                                          \
    CHECK_REFUSED(call, words)                                                                                         \
    cr_assert(!leat_ok(second) && second.tape == tape, "the second result has failed too");
    REFUSALS(CHECK_BOTH_REFUSED)
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static leat_var flow(leat_var x, leat_var s, leat_var t)
{
    leat_var forward_logdet, logdet, y = leat_affine_forward(x, s, t, &forward_logdet);
    y = leat_affine_inverse(y, leat_neg(t), x, &logdet);
    logdet = leat_add(logdet, forward_logdet);
    return leat_add(logdet, leat_add(leat_normal_log_density(y), leat_logistic_log_density(y)));
}

Test(affine, threads_do_not_change_a_bit)
{
    enum { ROWS = 3000, COLUMNS = 30 };
    static leat_real y[ROWS], dx[3][ROWS * COLUMNS];
    for (int threads = 1; threads <= 3; threads++) {
        leat_pool *pool = leat_pool_new(threads, NULL);
        leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool, .seed = 3 });
        leat_var in[3];
        for (int i = 0; i < 3; i++)
            in[i] = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(ROWS, COLUMNS))));
        leat_var out = flow(in[0], in[1], in[2]);
        cr_assert_eq(leat_vjp(out, leat_value(out)), LEAT_OK);
        if (threads == 1)
            memcpy(y, leat_value(out).data, sizeof y);
        cr_assert_eq(memcmp(y, leat_value(out).data, sizeof y), 0, "%d threads", threads);
        for (int i = 0; i < 3; i++) {
            if (threads == 1)
                memcpy(dx[i], leat_grad(in[i]).data, sizeof dx[i]);
            cr_assert_eq(memcmp(dx[i], leat_grad(in[i]).data, sizeof dx[i]), 0, "gradient %d, %d threads", i, threads);
        }
        leat_tape_free(t);
        leat_pool_free(pool);
    }
}
