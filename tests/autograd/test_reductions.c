/* Sums, means and log-sum-exp, against plain loops: over any axes, in their order, of nothing, of infinities. */
#include "support.h"

TestSuite(reductions, .init = setup, .fini = teardown);

/* Plain loops over all elements, into the result with sizes of 1 kept. */
static void reduce_plainly(leat_var x, const leat_shape *kept, double *sum, double *sum_exp)
{
    leat_shape shape = leat_var_shape(x);
    for (int64_t i = 0; i < leat_shape_count(kept); i++)
        sum[i] = sum_exp[i] = 0;
    for (int64_t i = 0; i < count(x); i++) {
        sum[operand_at(&shape, i, kept)] += (double)data(x)[i];
        sum_exp[operand_at(&shape, i, kept)] += exp((double)data(x)[i] - 50);
    }
}

static const leat_shape reduced_shapes[] = {
    { 4, { 2, 3, 4, 5 } }, { 4, { 3, 1, 2, 7 } }, { 3, { 70, 1, 3 } }, { 4, { 2, 2, 0, 3 } }
};

Test(reductions, reductions_over_any_axes)
{
    for (int k = 0; k < 4 * 16 * 2; k++) {
        leat_shape shape = reduced_shapes[k / 32], kept = shape, left = { 0 };
        int axes[4], n = 0, mask = k / 2 % (1 << shape.rank);
        int64_t each = 1;
        for (int axis = 0; axis < shape.rank; axis++) {
            if (mask == 0 || mask >> axis & 1) { /* naming none is naming all */
                axes[n] = n % 2 ? axis : axis - shape.rank;
                n += mask != 0;
                each *= shape.size[axis];
                kept.size[axis] = 1;
            } else {
                left.size[left.rank++] = shape.size[axis];
            }
        }
        leat_var x = integers(shape), sum = leat_sum_axes(x, n, axes, k % 2), mean = leat_mean_axes(x, n, axes, k % 2);
        leat_var lse = leat_logsumexp(x, n, axes, k % 2);
        double sums[256], sums_exp[256];
        reduce_plainly(x, &kept, sums, sums_exp);
        assert_numbers(sum, k % 2 ? kept : left, sums);
        assert_shape(lse, k % 2 ? kept : left);
        for (int64_t i = 0; i < leat_shape_count(&kept); i++) {
            double want = log(sums_exp[i]) + 50;
            cr_assert(each == 0 ? isinf(data(lse)[i]) && data(lse)[i] < 0
                                : fabs((double)data(lse)[i] - want) <= 4 * (double)EPS * fabs(want) + 1e-14,
                      "logsumexp, %d, %d: %.17g, not %.17g", k, (int)i, (double)data(lse)[i], want);
            sums[i] /= (double)each;
        }
        assert_numbers(mean, k % 2 ? kept : left, sums);
    }
}

Test(reductions, sums_keep_their_order)
{
    leat_var x = leat_randn(tape, LEAT_SHAPE(3, 5000));
    leat_var rows = leat_sum_axes(x, AXES(1), false), columns = leat_sum_axes(x, AXES(0), false);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(data(rows)[i], (leat_real)leat_sum_contiguous(data(x) + 5000 * i, 5000));
    for (int j = 0; j < 5000; j++)
        cr_assert_eq(data(columns)[j],
                     (leat_real)((double)data(x)[j] + (double)data(x)[5000 + j] + (double)data(x)[10000 + j]));
    cr_assert_eq(leat_item(leat_sum(x)), (double)(leat_real)leat_sum_contiguous(data(x), 15000));
    cr_assert_eq(leat_item(leat_mean(x)), (double)(leat_real)(leat_sum_contiguous(data(x), 15000) / 15000));
}

Test(reductions, sums_of_all_and_of_features)
{
    leat_var x = integers(LEAT_SHAPE(2, 3, 2)), row = integers(LEAT_SHAPE(4));
    assert_numbers(leat_sum(x), leat_shape_of(0, NULL), NUMBERS(-77));
    assert_numbers(leat_sum_features(x), LEAT_SHAPE(2), NUMBERS(-48, -29));
    cr_assert_eq(leat_sum_features(row).id, row.id);
    assert_numbers(leat_sum_features(leat_randn(tape, LEAT_SHAPE(2, 0, 3))), LEAT_SHAPE(2), NUMBERS(0, 0));
    assert_shape(leat_sum_features(leat_randn(tape, LEAT_SHAPE(0, 3))), LEAT_SHAPE(0));
    leat_var nothing = leat_randn(tape, LEAT_SHAPE(0));
    assert_numbers(leat_sum(nothing), leat_shape_of(0, NULL), NUMBERS(0));
    assert_numbers(leat_mean(nothing), leat_shape_of(0, NULL), NUMBERS(NOT_A_NUMBER));
    leat_var one = leat_scalar(tape, 3);
    assert_numbers(leat_sum(one), leat_shape_of(0, NULL), NUMBERS(3));
    assert_numbers(leat_mean(one), leat_shape_of(0, NULL), NUMBERS(3));
}

static const struct {
    double x[3], y, dx[3];
} logsumexps[] = {
    { { -INF, -INF, -INF }, -INF, { 0, 0, 0 } },
    { { -INF, 7, -INF }, 7, { 0, 1, 0 } },
    { { INF, 1, -INF }, INF, { NOT_A_NUMBER, 0, 0 } },
    { { 1000, -1000, -INF }, 1000, { 1, 0, 0 } },
    { { NOT_A_NUMBER, 1, 2 }, NOT_A_NUMBER, { NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER } },
};

Test(reductions, logsumexp_of_infinities)
{
    for (int i = 0; i < (int)(sizeof logsumexps / sizeof *logsumexps); i++) {
        leat_var x = input(LEAT_SHAPE(3), logsumexps[i].x), y = leat_logsumexp(x, AXES(0), false);
        assert_numbers(y, leat_shape_of(0, NULL), &logsumexps[i].y);
        assert_equal(gradient(y, NULL, x), logsumexps[i].dx, 3);
        leat_var wide = input(LEAT_SHAPE(3, 1), logsumexps[i].x); /* along the first axis, another walk */
        leat_var two = leat_concat(2, (leat_var[]){ wide, leat_zeros_like(wide) }, 1);
        assert_equal(gradient(leat_logsumexp(two, AXES(0), true), NULL, wide), logsumexps[i].dx, 3);
    }
}
