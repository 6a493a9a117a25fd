/* What the ops compute, against plain loops: values, shapes, kinks, special values; and that threads do not change a
 * bit. */
#include "support.h"

TestSuite(values, .init = setup, .fini = teardown);

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

static void assert_close(leat_var v, double (*f)(double), leat_var x)
{
    for (int64_t i = 0; i < count(x); i++) {
        double at = (double)data(x)[i], got = (double)data(v)[i], want = f(at);
        cr_assert(fabs(got - want) <= 4 * (double)EPS * fabs(want), "f(%.17g) = %.17g, not %.17g", at, got, want);
    }
}

static double sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

Test(values, functions)
{
    leat_var x = leat_randn(tape, LEAT_SHAPE(7, 19)), positive = leat_square(x);
    assert_shape(leat_exp(x), LEAT_SHAPE(7, 19));
    assert_close(leat_exp(x), exp, x);
    assert_close(leat_log(positive), log, positive);
    assert_close(leat_tanh(x), tanh, x);
    assert_close(leat_sigmoid(x), sigmoid, x);
    assert_close(leat_softplus(x), softplus, x);
    assert_close(leat_sqrt(positive), sqrt, positive);
}

static double lgamma_half(double x)
{
    return (double)(lgammal((long double)x + 0.5L) - lgammal((long double)x));
}

Test(values, log_gamma)
{
    leat_shape s = LEAT_SHAPE(8);
    leat_var x = input(s, NUMBERS(0.125, 0.5, 0.75, 3.25, 77, 9999, 10001, 3e7));
    for (int64_t i = 0; i < count(x); i++) {
        double at = (double)data(x)[i],
               got[2] = { (double)data(leat_lgamma(x))[i], (double)data(leat_lgamma_half(x))[i] };
        cr_assert(fabs(got[0] - lgamma(at)) <= 10 * (double)EPS * fmax(4, fabs(lgamma(at))), "%g: %.17g", at, got[0]);
        cr_assert(fabs(got[1] - lgamma_half(at)) <= 10 * (double)EPS * fmax(4, lgamma(at)), "%g: %.17g", at, got[1]);
    }
    /* the difference of two numbers of 180,000 */
    double large = (double)data(leat_lgamma_half(input(LEAT_SHAPE(1), NUMBERS(20000))))[0];
    cr_assert(fabs(large - lgamma_half(20000)) <= fmax(1e-12, 4 * (double)EPS * large));
    assert_numbers(leat_lgamma(input(LEAT_SHAPE(2), NUMBERS(0, -1))), LEAT_SHAPE(2),
                   NUMBERS(NOT_A_NUMBER, NOT_A_NUMBER));
}

Test(values, exact_functions)
{
    leat_shape s = LEAT_SHAPE(4);
    leat_var x = input(s, NUMBERS(-2, -0.5, 0, 3));
    assert_numbers(leat_neg(x), s, NUMBERS(2, 0.5, 0, -3));
    assert_numbers(leat_square(x), s, NUMBERS(4, 0.25, 0, 9));
    assert_numbers(leat_relu(x), s, NUMBERS(0, 0, 0, 3));
    assert_numbers(leat_add_scalar(x, 1.5), s, NUMBERS(-0.5, 1, 1.5, 4.5));
    assert_numbers(leat_sub_scalar(x, 1.5), s, NUMBERS(-3.5, -2, -1.5, 1.5));
    assert_numbers(leat_rsub_scalar(1.5, x), s, NUMBERS(3.5, 2, 1.5, -1.5));
    assert_numbers(leat_mul_scalar(x, -4), s, NUMBERS(8, 2, 0, -12));
    assert_numbers(leat_div_scalar(x, 4), s, NUMBERS(-0.5, -0.125, 0, 0.75));
    assert_numbers(leat_rdiv_scalar(6, x), s, NUMBERS(-3, -12, INF, 2));
    assert_numbers(leat_log(input(s, NUMBERS(0, 1, -1, INF))), s, NUMBERS(-INF, 0, NOT_A_NUMBER, INF));
    assert_numbers(leat_softplus(input(s, NUMBERS(-INF, -1e4, 1e4, NOT_A_NUMBER))), s,
                   NUMBERS(0, 0, 1e4, NOT_A_NUMBER));
}

Test(values, kinks_and_special_values)
{
    leat_shape s = LEAT_SHAPE(5);
    leat_var x = input(s, NUMBERS(0, -0.0, 1e-30, -1e-30, NOT_A_NUMBER)), y = leat_relu(x);
    assert_numbers(y, s, NUMBERS(0, 0, 1e-30, 0, NOT_A_NUMBER));
    assert_equal(gradient(y, NUMBERS(7, 7, 7, 7, 0), x), NUMBERS(0, 0, 7, 0, 0), 4);
    for (leat_activation f = LEAT_RELU; f <= LEAT_SOFTPLUS; f++)
        cr_assert(isnan(data(leat_activate(x, f))[4]), "NaN passes through activation %d", (int)f);
}

Test(values, activate_is_the_function_of_that_name)
{
    leat_var x = integers(LEAT_SHAPE(3, 5)), same = leat_activate(x, LEAT_IDENTITY);
    leat_var by_name[] = { leat_relu(x), leat_tanh(x), leat_sigmoid(x), leat_softplus(x) };
    cr_assert_eq(same.id, x.id);
    for (int i = 0; i < 4; i++) {
        leat_var y = leat_activate(x, (leat_activation)(LEAT_RELU + i));
        cr_assert_eq(memcmp(data(y), data(by_name[i]), 15 * sizeof(leat_real)), 0, "activation %d", i);
    }
}

/* Infinities are no trouble, and equal ones share the gradient, but for -inf, which gets none. */
Test(values, logaddexp)
{
    leat_shape s = LEAT_SHAPE(6);
    leat_var a = input(s, NUMBERS(-INF, -INF, INF, 1000, 0, -1000)),
             b = input(s, NUMBERS(-INF, 2, INF, 1000, -INF, -1001));
    leat_var y = leat_logaddexp(a, b);
    assert_numbers(leat_slice(y, 0, 0, 3), LEAT_SHAPE(3), NUMBERS(-INF, 2, INF));
    for (int i = 3; i < 6; i++) {
        double want = i == 3 ? 1000 + log(2) : i == 4 ? 0 : -1000 + log1p(exp(-1));
        cr_assert(fabs((double)data(y)[i] - want) <= 1000 * (double)EPS, "element %d", i);
    }
    const double *ones = NUMBERS(1, 1, 1, 1, 1, 1);
    assert_equal(gradient(y, ones, a), NUMBERS(0, 0, 0.5, 0.5, 1), 5);
    leat_clear_grads(tape);
    assert_equal(gradient(y, ones, b), NUMBERS(0, 1, 0.5, 0.5, 0), 5);
}

/* ---- broadcasting ------------------------------------------------------------------------------------------------ */

static const leat_shape shapes[][2] = {
    { { 0, { 0 } }, { 0, { 0 } } },
    { { 2, { 3, 5 } }, { 2, { 3, 5 } } },
    { { 2, { 3, 5 } }, { 0, { 0 } } },
    { { 1, { 17 } }, { 2, { 3, 1 } } },
    { { 2, { 9, 1 } }, { 2, { 1, 7 } } },
    { { 3, { 2, 1, 4 } }, { 3, { 1, 3, 4 } } },
    { { 4, { 2, 1, 3, 1 } }, { 4, { 1, 4, 1, 5 } } },
    { { 4, { 2, 3, 1, 4 } }, { 3, { 3, 2, 1 } } },
    { { 6, { 2, 1, 2, 1, 2, 1 } }, { 6, { 1, 2, 1, 2, 1, 3 } } },
    { { 2, { 0, 3 } }, { 1, { 3 } } },
    { { 3, { 2, 1, 5 } }, { 2, { 0, 1 } } },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

Test(values, arithmetic_broadcasts)
{
    for (int k = 0; k < 2 * SHAPES; k++) {
        leat_shape sa = shapes[k / 2][k % 2], sb = shapes[k / 2][1 - k % 2], out;
        leat_var a = leat_randn(tape, sa), b = leat_randn(tape, sb);
        cr_assert(leat_shape_broadcast(&sa, &sb, &out));
        leat_var sum = leat_add(a, b), difference = leat_sub(a, b), product = leat_mul(a, b), quotient = leat_div(a, b);
        assert_shape(sum, out);
        assert_shape(quotient, out);
        for (int64_t i = 0; i < leat_shape_count(&out); i++) {
            leat_real x = data(a)[operand_at(&out, i, &sa)], y = data(b)[operand_at(&out, i, &sb)];
            cr_assert(data(sum)[i] == x + y && data(difference)[i] == x - y && data(product)[i] == x * y &&
                          data(quotient)[i] == x / y,
                      "shapes %d, element %d", k, (int)i);
        }
        leat_var big = leat_broadcast_to(a, out);
        assert_shape(big, out);
        for (int64_t i = 0; i < leat_shape_count(&out); i++)
            cr_assert_eq(data(big)[i], data(a)[operand_at(&out, i, &sa)]);
    }
}

Test(values, where_broadcasts_all_three)
{
    for (int k = 0; k < 6 * SHAPES; k++) {
        int turn = k % 6;
        leat_shape three[3] = { shapes[k / 6][0], shapes[k / 6][1], { 0, { 0 } } }, out;
        leat_shape sc = three[turn % 3], sa = three[(turn + 1 + turn / 3) % 3], sb = three[(turn + 2 - turn / 3) % 3];
        cr_assert(leat_shape_broadcast(&three[0], &three[1], &out));
        leat_var cond = leat_relu(leat_randn(tape, sc)), a = leat_randn(tape, sa), b = leat_randn(tape, sb);
        leat_var y = leat_where(cond, a, b);
        assert_shape(y, out);
        for (int64_t i = 0; i < leat_shape_count(&out); i++)
            cr_assert_eq(data(y)[i], data(cond)[operand_at(&out, i, &sc)] != 0 ? data(a)[operand_at(&out, i, &sa)]
                                                                               : data(b)[operand_at(&out, i, &sb)]);
    }
}

/* The branch not taken gets exactly 0, whatever it holds and whatever the gradient is elsewhere. */
Test(values, where_hides_what_is_not_taken)
{
    leat_shape s = LEAT_SHAPE(4);
    leat_var cond = input(s, NUMBERS(1, 0, NOT_A_NUMBER, -2)); /* NaN is not 0 */
    leat_var a = input(s, NUMBERS(1, NOT_A_NUMBER, 3, 4)), b = input(s, NUMBERS(INF, 6, NOT_A_NUMBER, -INF));
    leat_var y = leat_where(cond, a, b);
    assert_numbers(y, s, NUMBERS(1, 6, 3, 4));
    leat_real g[] = { 2, 3, (leat_real)NAN, 5 };
    cr_assert_eq(leat_vjp(y, (leat_tensor){ g, s }), LEAT_OK);
    assert_equal(leat_grad(a).data, NUMBERS(2, 0, NOT_A_NUMBER, 5), 4);
    assert_equal(leat_grad(b).data, NUMBERS(0, 3, 0, 0), 4);
    cr_assert_null(leat_grad(cond).data);
}

Test(values, zeros_without_storage_stay_so)
{
    leat_var x = integers(LEAT_SHAPE(2, 3)), z = leat_zeros_like(x), row = leat_zeros(tape, LEAT_SHAPE(3));
    leat_var kept[] = { leat_neg(z),           leat_sum(z),      leat_sum_features(z),
                        leat_mul_scalar(z, 3), leat_add(z, z),   leat_sum_axes(z, AXES(0), true),
                        leat_add(z, row),      leat_add(row, z), leat_sub(z, row) };
    for (int i = 0; i < (int)(sizeof kept / sizeof *kept); i++)
        cr_assert(leat_is_zeros(kept[i]), "%d", i);
    cr_assert_eq(leat_add(row, x).id, x.id);
    cr_assert_eq(leat_sub(x, row).id, x.id);
    assert_numbers(leat_sub(z, x), LEAT_SHAPE(2, 3), NUMBERS(50, 13, -24, 40, 3, -34));
    assert_shape(leat_sum_axes(z, AXES(0), true), LEAT_SHAPE(1, 3));
    leat_var small = integers(LEAT_SHAPE(3)), grown = leat_add(small, z);
    assert_numbers(grown, LEAT_SHAPE(2, 3), NUMBERS(-50, -13, 24, -50, -13, 24));
    cr_assert(isnan(data(leat_mul_scalar(z, INF))[0]));
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

static leat_real product_at(const leat_real *a, int64_t a_step, const leat_real *b, int64_t b_step, int64_t k)
{
    leat_real sum = 0;
    for (int64_t p = 0; p < k; p++)
        sum = FMA(a[p * a_step], b[p * b_step], sum);
    return sum;
}

Test(values, matmul_in_every_transposition)
{
    enum { M = 5, K = 19, N = 7 };
    for (int i = 0; i < 4; i++) {
        bool ta = i & 1, tb = i & 2;
        leat_var a = leat_randn(tape, ta ? LEAT_SHAPE(K, M) : LEAT_SHAPE(M, K));
        leat_var b = leat_randn(tape, tb ? LEAT_SHAPE(N, K) : LEAT_SHAPE(K, N));
        leat_var c = leat_matmul_t(a, b, ta, tb);
        assert_shape(c, LEAT_SHAPE(M, N));
        for (int m = 0; m < M; m++) {
            for (int n = 0; n < N; n++)
                cr_assert_eq(data(c)[m * N + n], product_at(data(a) + (ta ? m : m * K), ta ? M : 1,
                                                            data(b) + (tb ? n * K : n), tb ? 1 : N, K));
        }
    }
}

Test(values, matmul_takes_leading_axes)
{
    leat_var a = leat_randn(tape, LEAT_SHAPE(2, 3, 4)), b = leat_randn(tape, LEAT_SHAPE(4, 5));
    leat_var flat = leat_matmul(leat_reshape(a, LEAT_SHAPE(6, 4)), b), c = leat_matmul(a, b);
    assert_shape(c, LEAT_SHAPE(2, 3, 5));
    cr_assert_eq(memcmp(data(c), data(flat), 30 * sizeof(leat_real)), 0);
    leat_var row = leat_matmul(leat_reshape(leat_slice(a, 0, 0, 1), LEAT_SHAPE(3, 4)), b);
    leat_var vector =
        leat_matmul(leat_reshape(leat_slice(leat_reshape(a, LEAT_SHAPE(6, 4)), 0, 0, 1), LEAT_SHAPE(4)), b);
    assert_shape(vector, LEAT_SHAPE(5));
    cr_assert_eq(memcmp(data(vector), data(row), 5 * sizeof(leat_real)), 0);
    assert_numbers(leat_matmul(leat_randn(tape, LEAT_SHAPE(2, 0)), leat_randn(tape, LEAT_SHAPE(0, 2))),
                   LEAT_SHAPE(2, 2), NUMBERS(0, 0, 0, 0));
}

Test(values, linear_is_its_parts)
{
    leat_var x = leat_randn(tape, LEAT_SHAPE(2, 4, 9)), w = leat_randn(tape, LEAT_SHAPE(17, 9));
    leat_var bias = leat_randn(tape, LEAT_SHAPE(17)), absent = { 0 };
    leat_var product = leat_matmul_t(x, w, false, true);
    for (int i = 0; i < 10; i++) {
        leat_activation f = (leat_activation)(i / 2);
        leat_var y = leat_linear(x, w, i % 2 ? bias : absent, f);
        leat_var parts = leat_activate(i % 2 ? leat_add(product, bias) : product, f);
        assert_shape(y, LEAT_SHAPE(2, 4, 17));
        cr_assert_eq(memcmp(data(y), data(parts), 8 * 17 * sizeof(leat_real)), 0, "activation %d", (int)f);
    }
    assert_shape(leat_linear(leat_randn(tape, LEAT_SHAPE(9)), w, bias, LEAT_TANH), LEAT_SHAPE(17));
    assert_numbers(leat_linear(leat_randn(tape, LEAT_SHAPE(2, 0)), leat_randn(tape, LEAT_SHAPE(2, 0)),
                               input(LEAT_SHAPE(2), NUMBERS(-3, 4)), LEAT_RELU),
                   LEAT_SHAPE(2, 2), NUMBERS(0, 4, 0, 4));
}

/* ---- arranging --------------------------------------------------------------------------------------------------- */

Test(values, reshape_and_detach_share_the_numbers)
{
    leat_var x = integers(LEAT_SHAPE(4, 6)), y = leat_reshape(x, LEAT_SHAPE(3, -1, 2)), z = leat_detach(y);
    assert_shape(y, LEAT_SHAPE(3, 4, 2));
    cr_assert_eq(data(y), data(x));
    cr_assert_eq(data(z), data(x));
    assert_shape(leat_reshape(leat_randn(tape, LEAT_SHAPE(0, 3)), LEAT_SHAPE(3, -1)), LEAT_SHAPE(3, 0));
    assert_shape(leat_reshape(leat_sum(x), LEAT_SHAPE(1, 1)), LEAT_SHAPE(1, 1));
    leat_var loss = leat_sum(leat_add(leat_mul(y, z), z)); /* only the first factor has a gradient */
    cr_assert_eq(leat_backward(loss), LEAT_OK);
    cr_assert_eq(memcmp(leat_grad(x).data, data(x), 24 * sizeof(leat_real)), 0);
    cr_assert_null(leat_grad(z).data);
}

Test(values, slice_and_concat)
{
    leat_var x = input(LEAT_SHAPE(2, 3, 2), NUMBERS(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    leat_var middle = leat_slice(x, 1, 1, 1), tail = leat_slice(x, -1, 1, 1), last = leat_slice(x, 0, 1, 1);
    assert_numbers(middle, LEAT_SHAPE(2, 1, 2), NUMBERS(2, 3, 8, 9));
    assert_numbers(tail, LEAT_SHAPE(2, 3, 1), NUMBERS(1, 3, 5, 7, 9, 11));
    assert_numbers(last, LEAT_SHAPE(1, 3, 2), NUMBERS(6, 7, 8, 9, 10, 11));
    assert_shape(leat_slice(x, 1, 3, 0), LEAT_SHAPE(2, 0, 2));
    assert_numbers(leat_concat(3, (leat_var[]){ middle, leat_slice(x, 1, 3, 0), x }, 1), LEAT_SHAPE(2, 4, 2),
                   NUMBERS(2, 3, 0, 1, 2, 3, 4, 5, 8, 9, 6, 7, 8, 9, 10, 11));
    assert_numbers(leat_concat(2, (leat_var[]){ x, tail }, -1), LEAT_SHAPE(2, 3, 3),
                   NUMBERS(0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 9, 10, 11, 11));
    assert_numbers(leat_concat(2, (leat_var[]){ last, last }, 0), LEAT_SHAPE(2, 3, 2),
                   NUMBERS(6, 7, 8, 9, 10, 11, 6, 7, 8, 9, 10, 11));
    assert_equal(gradient(middle, NULL, x), NUMBERS(0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0), 12);
    leat_var all[LEAT_MAX_INPUTS];
    for (int i = 0; i < LEAT_MAX_INPUTS; i++)
        all[i] = leat_full(tape, LEAT_SHAPE(1), i);
    leat_var joined = leat_concat(LEAT_MAX_INPUTS, all, 0);
    for (int i = 0; i < LEAT_MAX_INPUTS; i++)
        cr_assert_eq(data(joined)[i], (leat_real)i);
}

#define INDEX(...) ((leat_index){ (int64_t[]){ __VA_ARGS__ }, (int64_t)(sizeof((int64_t[]){ __VA_ARGS__ }) / 8) })

Test(values, index_select_and_index_copy)
{
    leat_var x = input(LEAT_SHAPE(2, 3), NUMBERS(0, 1, 2, 3, 4, 5)),
             y = input(LEAT_SHAPE(2, 2), NUMBERS(10, 20, 30, 40));
    leat_var row = input(LEAT_SHAPE(1, 3), NUMBERS(7, 8, 9));
    assert_numbers(leat_index_select(x, -1, INDEX(2, 0, 2)), LEAT_SHAPE(2, 3), NUMBERS(2, 0, 2, 5, 3, 5));
    assert_numbers(leat_index_select(x, 0, INDEX(1, 1, 0)), LEAT_SHAPE(3, 3), NUMBERS(3, 4, 5, 3, 4, 5, 0, 1, 2));
    assert_shape(leat_index_select(x, 1, (leat_index){ NULL, 0 }), LEAT_SHAPE(2, 0));
    assert_numbers(leat_index_copy(x, 1, INDEX(2, 0), y), LEAT_SHAPE(2, 3), NUMBERS(20, 1, 10, 40, 4, 30));
    assert_numbers(leat_index_copy(x, 0, INDEX(1), row), LEAT_SHAPE(2, 3), NUMBERS(0, 1, 2, 7, 8, 9));
    assert_numbers(leat_index_add(x, 1, INDEX(1, 1), y), LEAT_SHAPE(2, 3), NUMBERS(0, 31, 2, 3, 74, 5));
    assert_numbers(leat_index_add(x, 0, INDEX(0), row), LEAT_SHAPE(2, 3), NUMBERS(7, 9, 11, 3, 4, 5));
    assert_numbers(x, LEAT_SHAPE(2, 3), NUMBERS(0, 1, 2, 3, 4, 5));
    assert_equal(gradient(leat_index_select(x, -1, INDEX(2, 0, 2)), NUMBERS(1, 2, 3, 4, 5, 6), x),
                 NUMBERS(2, 0, 4, 5, 0, 10), 6);
    leat_var z = leat_index_copy(x, 1, INDEX(2, 0), y);
    assert_equal(gradient(z, NUMBERS(1, 2, 3, 4, 5, 6), x), NUMBERS(0, 2, 0, 0, 5, 0), 6);
    assert_equal(leat_grad(y).data, NUMBERS(3, 1, 6, 4), 4);
}

Test(values, the_list_of_indices_is_copied)
{
    int64_t at[] = { 0, 2 };
    leat_var x = input(LEAT_SHAPE(3), NUMBERS(1, 2, 3)), y = leat_index_select(x, 0, (leat_index){ at, 2 });
    at[0] = at[1] = 77;
    assert_equal(gradient(y, NULL, x), NUMBERS(1, 0, 1), 3);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

/* A gradient through every way to cut work, at sizes that are cut. */
static void long_way(leat_tape *t, leat_real *value, leat_real *grad, int64_t rows, int64_t columns)
{
    leat_var x = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(rows, columns))));
    leat_var column = leat_slice(x, 1, 3, 1), row = leat_slice(x, 0, 2, 1);
    leat_var y = leat_mul(leat_tanh(x), leat_add(column, leat_softplus(leat_mul(x, row))));
    y = leat_where(leat_relu(x), y, leat_broadcast_to(row, LEAT_SHAPE(rows, columns)));
    y = leat_concat(2, (leat_var[]){ y, leat_sub(leat_scalar(t, 1), y) }, 1);
    int64_t at[] = { 5, 1, 1, 0, columns };
    leat_var picked = leat_index_select(y, 1, (leat_index){ at, 5 });
    y = leat_index_add(y, 1, (leat_index){ at, 5 }, leat_exp(picked));
    y = leat_add(y, leat_logsumexp(y, AXES(1), true));
    y = leat_sub(y, leat_mean_axes(y, AXES(0), true));
    y = leat_mul(y, leat_sum_axes(y, AXES(1), true));
    leat_var w = leat_slice(y, 0, 0, 40);
    leat_var z = leat_linear(y, w, (leat_var){ 0 }, LEAT_SIGMOID);
    leat_var loss = leat_mean(leat_square(leat_sum_features(z)));
    cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
    memcpy(value, leat_value(z).data, (size_t)(rows * 40) * sizeof *value);
    memcpy(grad, leat_grad(x).data, (size_t)(rows * columns) * sizeof *grad);
}

Test(values, threads_do_not_change_a_bit)
{
    enum { ROWS = 700, COLUMNS = 90 };
    leat_arena arena;
    leat_arena_init(&arena, NULL);
    leat_real *value[2], *grad[2];
    for (int i = 0; i < 2; i++) {
        leat_pool *pool = leat_pool_new(i ? 3 : 1, NULL);
        leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool, .seed = 4 });
        value[i] = leat_arena_alloc(&arena, ROWS * 40 * sizeof(leat_real));
        grad[i] = leat_arena_alloc(&arena, ROWS * COLUMNS * sizeof(leat_real));
        long_way(t, value[i], grad[i], ROWS, COLUMNS);
        leat_tape_free(t);
        leat_pool_free(pool);
    }
    cr_assert_eq(memcmp(value[0], value[1], ROWS * 40 * sizeof(leat_real)), 0);
    cr_assert_eq(memcmp(grad[0], grad[1], ROWS * COLUMNS * sizeof(leat_real)), 0);
    leat_arena_free(&arena);
}

/* Rows that are longer than a thread's share. */
Test(values, threads_cut_rows_too)
{
    enum { COLUMNS = 20000 };
    leat_pool *pool = leat_pool_new(4, NULL);
    leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool });
    leat_var x = leat_randn(t, LEAT_SHAPE(3, COLUMNS)), column = leat_randn(t, LEAT_SHAPE(3, 1));
    leat_var row = leat_randn(t, LEAT_SHAPE(COLUMNS)), y = leat_add(leat_mul(x, column), row);
    for (int i = 0; i < 3 * COLUMNS; i++) {
        leat_real want = leat_value(x).data[i] * leat_value(column).data[i / COLUMNS];
        cr_assert_eq(leat_value(y).data[i], want + leat_value(row).data[i % COLUMNS], "element %d", i);
    }
    leat_tape_free(t);
    leat_pool_free(pool);
}
