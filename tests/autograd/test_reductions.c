/* Sums, means, log-sum-exp, extrema, products and variances, against plain loops: over any axes, in their order, of
 * nothing, of infinities, with ties and zeros. */
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

/* ---- extrema, products, variances -------------------------------------------------------------------------------- */

/* The axes of a mask (all for 0, none named), and the result's shape with these as 1. */
static int axes_of(const leat_shape *shape, int mask, int axes[4], leat_shape *kept)
{
    int n = 0;
    *kept = *shape;
    for (int axis = 0; axis < shape->rank; axis++) {
        if (mask >> axis & 1)
            axes[n++] = axis;
        if (mask == 0 || mask >> axis & 1)
            kept->size[axis] = 1;
    }
    return n;
}

/* Of numbers that occur several times: for each result its elements' extrema, product, sum and count. */
typedef struct moments {
    double greatest[256], least[256], prod[256], mean[256], variance[256], n[256];
} moments;

static void find_moments(leat_var x, const leat_shape *kept, moments *m)
{
    leat_shape shape = leat_var_shape(x);
    for (int64_t i = 0; i < leat_shape_count(kept); i++) {
        m->greatest[i] = -INF;
        m->least[i] = INF;
        m->prod[i] = 1;
        m->mean[i] = m->variance[i] = m->n[i] = 0;
    }
    for (int64_t i = 0; i < count(x); i++) {
        int64_t at = operand_at(&shape, i, kept);
        double value = (double)data(x)[i];
        m->greatest[at] = fmax(m->greatest[at], value);
        m->least[at] = fmin(m->least[at], value);
        m->prod[at] *= value;
        m->mean[at] += value;
        m->n[at]++;
    }
    for (int64_t i = 0; i < leat_shape_count(kept); i++)
        m->mean[i] /= m->n[i];
    for (int64_t i = 0; i < count(x); i++) {
        int64_t at = operand_at(&shape, i, kept);
        m->variance[at] += pow((double)data(x)[i] - m->mean[at], 2) / (m->n[at] - 0.5);
    }
}

static const leat_shape other_shapes[] = {
    { 4, { 2, 3, 2, 3 } }, { 3, { 4, 1, 5 } }, { 2, { 3, 70 } }, { 2, { 0, 3 } }
};

Test(reductions, others_over_any_axes)
{
    static moments m;
    for (int k = 0; k < 4 * 16; k++) {
        leat_shape shape = other_shapes[k / 16], kept;
        int axes[4], mask = k % 16 % (1 << shape.rank), n = axes_of(&shape, mask, axes, &kept);
        double x[256];
        for (int i = 0; i < 256; i++)
            x[i] = (i * 37 % 23 - 11) / 8.0;
        leat_tape_reset(tape);
        leat_var v = input(shape, x), flat = leat_variance(v, n, axes, false, 0.5);
        find_moments(v, &kept, &m);
        if (mask != 2 && shape.size[0] == 0) /* a reduction of nothing */
            continue;
        assert_numbers(leat_amax(v, n, axes, true), kept, m.greatest);
        assert_numbers(leat_amin(v, n, axes, true), kept, m.least);
        assert_numbers(leat_reshape(leat_amax(v, n, axes, false), kept), kept, m.greatest);
        leat_var prod = leat_prod(v, n, axes, true), variance = leat_variance(v, n, axes, true, 0.5);
        assert_shape(prod, kept);
        assert_shape(variance, kept);
        for (int64_t i = 0; i < count(prod); i++) {
            double product = m.prod[i], want = m.variance[i];
            cr_assert(fabs((double)data(prod)[i] - product) <= 4 * (double)EPS * fabs(product), "product, %d", k);
            cr_assert(fabs((double)data(variance)[i] - want) <= 8 * (double)EPS * want,
                      "variance, %d: %.17g, not %.17g", k, (double)data(variance)[i], want);
            cr_assert_eq(data(flat)[i], data(variance)[i]);
        }
    }
}

Test(reductions, equal_extrema_share_the_gradient)
{
    leat_shape s = LEAT_SHAPE(2, 4);
    leat_var x = input(s, NUMBERS(3, 1, 3, 1, 1, 5, 2, 1));
    assert_equal(gradient(leat_amax(x, AXES(1), false), NUMBERS(6, 9), x), NUMBERS(3, 0, 3, 0, 0, 9, 0, 0), 8);
    assert_equal(gradient(leat_amin(x, AXES(1), false), NUMBERS(6, 9), x), NUMBERS(0, 3, 0, 3, 4.5, 0, 0, 4.5), 8);
    assert_equal(gradient(leat_amin(x, 0, NULL, false), NULL, x), NUMBERS(0, 0.25, 0, 0.25, 0.25, 0, 0, 0.25), 8);
    assert_equal(gradient(leat_amax(x, AXES(0), true), NUMBERS(1, 1, 1, 4), x), NUMBERS(1, 0, 1, 2, 0, 1, 0, 2), 8);
}

static const struct {
    double x[3], greatest, least, d_greatest[3], d_least[3];
} extrema[] = {
    { { INF, 1, INF }, INF, 1, { 0.5, 0, 0.5 }, { 0, 1, 0 } },
    { { -INF, -INF, -INF }, -INF, -INF, { 1 / 3.0, 1 / 3.0, 1 / 3.0 }, { 1 / 3.0, 1 / 3.0, 1 / 3.0 } },
    { { -0.0, 0, -1 }, 0, -1, { 0.5, 0.5, 0 }, { 0, 0, 1 } },
    { { 1, NOT_A_NUMBER, 2 },
      NOT_A_NUMBER,
      NOT_A_NUMBER,
      { NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER },
      { NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER } },
};

Test(reductions, extrema_of_infinities_zeros_and_nan)
{
    for (int i = 0; i < (int)(sizeof extrema / sizeof *extrema); i++) {
        leat_var x = input(LEAT_SHAPE(3), extrema[i].x);
        leat_var greatest = leat_amax(x, AXES(0), false), least = leat_amin(x, AXES(0), false);
        assert_numbers(greatest, leat_shape_of(0, NULL), &extrema[i].greatest);
        assert_numbers(least, leat_shape_of(0, NULL), &extrema[i].least);
        assert_equal(gradient(greatest, NULL, x), extrema[i].d_greatest, 3);
        assert_equal(gradient(least, NULL, x), extrema[i].d_least, 3);
    }
    assert_shape(leat_amax(leat_randn(tape, LEAT_SHAPE(0, 3)), AXES(1), false), LEAT_SHAPE(0));
}

/* Longer than what the kernels take at a time. */
Test(reductions, long_rows)
{
    enum { LONG = 9000 };
    leat_var x = leat_randn(tape, LEAT_SHAPE(LONG)), low = leat_amin(x, AXES(0), false);
    leat_var high = leat_amax(x, AXES(0), false), y = leat_variance(x, AXES(0), false, 1);
    double least = INF, greatest = -INF, mean = 0, squares = 0;
    for (int i = 0; i < LONG; i++) {
        least = fmin(least, (double)data(x)[i]);
        greatest = fmax(greatest, (double)data(x)[i]);
        mean += (double)data(x)[i] / LONG;
    }
    for (int i = 0; i < LONG; i++)
        squares += ((double)data(x)[i] - mean) * ((double)data(x)[i] - mean);
    cr_assert_eq((double)data(low)[0], least);
    cr_assert_eq((double)data(high)[0], greatest);
    cr_assert_float_eq((double)data(y)[0], squares / (LONG - 1), (double)EPS + 64 * DBL_EPSILON);
}

static const struct {
    double x[4], prod, dx[4];
} products[] = {
    { { 2, 3, 4, 5 }, 120, { 60, 40, 30, 24 } },
    { { 2, 0, 4, 5 }, 0, { 0, 40, 0, 0 } },
    { { 2, 0, 4, 0 }, 0, { 0, 0, 0, 0 } },
    { { 2, -0.0, 0.5, 1 }, 0, { 0, 1, 0, 0 } },
    { { INF, 2, 1, 0 }, NOT_A_NUMBER, { 0, NOT_A_NUMBER, NOT_A_NUMBER, INF } },
};

Test(reductions, products_with_zeros)
{
    for (int i = 0; i < (int)(sizeof products / sizeof *products); i++) {
        leat_var x = input(LEAT_SHAPE(4), products[i].x), column = input(LEAT_SHAPE(4, 1), products[i].x);
        assert_numbers(leat_prod(x, AXES(0), false), leat_shape_of(0, NULL), &products[i].prod);
        assert_equal(gradient(leat_prod(x, AXES(0), true), NULL, x), products[i].dx, 4);
        leat_var ones = leat_full(tape, LEAT_SHAPE(4, 1), 1);
        leat_var two = leat_concat(2, (leat_var[]){ ones, column }, 1); /* along the first axis */
        assert_equal(gradient(leat_prod(two, AXES(0), false), NULL, column), products[i].dx, 4);
    }
    assert_numbers(leat_prod(leat_randn(tape, LEAT_SHAPE(3, 0)), AXES(1), false), LEAT_SHAPE(3), NUMBERS(1, 1, 1));
    assert_numbers(leat_prod(leat_randn(tape, LEAT_SHAPE(0, 2)), AXES(0), true), LEAT_SHAPE(1, 2), NUMBERS(1, 1));
    leat_var nothing = input(LEAT_SHAPE(0, 2), NULL);
    cr_assert_not_null(gradient(leat_prod(nothing, AXES(0), false), NULL, nothing));
    /* the product leaves the range, those of the others do not */
    double tiny = ldexp(1, sizeof(leat_real) == 4 ? -100 : -800);
    leat_var x = input(LEAT_SHAPE(2), NUMBERS(tiny, tiny));
    assert_equal(gradient(leat_prod(x, AXES(0), false), NULL, x), NUMBERS(tiny, tiny), 2);
}

static const struct {
    double x[2], correction, y, dx[2];
} variances[] = {
    { { 1, 2 }, 0, 0.25, { -0.5, 0.5 } },
    { { 1, 2 }, 1, 0.5, { -1, 1 } },
    { { 1, 2 }, 2, INF, { -INF, INF } },
    { { 1, 2 }, 3, INF, { -INF, INF } },
    { { 3, 3 }, 1, 0, { 0, 0 } },
    { { 3, 3 }, 2, NOT_A_NUMBER, { NOT_A_NUMBER, NOT_A_NUMBER } },
    { { INF, 1 }, 0, NOT_A_NUMBER, { NOT_A_NUMBER, NOT_A_NUMBER } },
    { { 1, NOT_A_NUMBER }, 0, NOT_A_NUMBER, { NOT_A_NUMBER, NOT_A_NUMBER } },
};

Test(reductions, variances_with_little_to_divide_by)
{
    for (int i = 0; i < (int)(sizeof variances / sizeof *variances); i++) {
        double c = variances[i].correction;
        leat_var x = input(LEAT_SHAPE(2), variances[i].x), column = input(LEAT_SHAPE(2, 1), variances[i].x);
        leat_var y = leat_variance(x, AXES(0), false, c);
        assert_numbers(y, leat_shape_of(0, NULL), &variances[i].y);
        assert_equal(gradient(y, NULL, x), variances[i].dx, 2);
        leat_var two = leat_concat(2, (leat_var[]){ column, column }, 1), both = leat_variance(two, AXES(0), false, c);
        assert_numbers(leat_slice(both, 0, 1, 1), LEAT_SHAPE(1), &variances[i].y);
    }
    leat_var nothing = leat_randn(tape, LEAT_SHAPE(2, 0)), one = integers(LEAT_SHAPE(2, 1));
    assert_numbers(leat_variance(nothing, AXES(1), false, 0), LEAT_SHAPE(2), NUMBERS(NOT_A_NUMBER, NOT_A_NUMBER));
    assert_numbers(leat_variance(nothing, AXES(1), false, -1), LEAT_SHAPE(2), NUMBERS(NOT_A_NUMBER, NOT_A_NUMBER));
    assert_numbers(leat_variance(one, AXES(1), false, 1), LEAT_SHAPE(2), NUMBERS(NOT_A_NUMBER, NOT_A_NUMBER));
    assert_numbers(leat_variance(one, AXES(1), false, 0), LEAT_SHAPE(2), NUMBERS(0, 0));
}

/* Of equal numbers exactly 0, of numbers far from 0 as good as of others. */
Test(reductions, variances_far_from_zero)
{
    for (int i = 0; i < 2; i++) {
        leat_shape s = i ? LEAT_SHAPE(77, 70) : LEAT_SHAPE(70, 77);
        leat_var same = leat_variance(leat_full(tape, s, 0.1), 1, (int[]){ 1 - i }, false, 0);
        for (int j = 0; j < 70; j++)
            cr_assert_eq(data(same)[j], 0);
    }
    leat_var x = leat_add_scalar(leat_full(tape, LEAT_SHAPE(1, 4), 0), 1 << 20);
    x = leat_add(x, input(LEAT_SHAPE(1, 4), NUMBERS(-1.5, -0.5, 0.5, 1.5)));
    assert_numbers(leat_variance(x, AXES(1), false, 0), LEAT_SHAPE(1), NUMBERS(1.25));
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

#define N(...) leat_randn(tape, LEAT_SHAPE(__VA_ARGS__))

#define REFUSALS(R)                                                                                                    \
    R(leat_amax(N(2, 0), AXES(1), false), "amax [2,0]: there is none among no elements")                               \
    R(leat_amin(N(0, 0), AXES(1), false), "amin [0,0]: there is none among no elements")                               \
    R(leat_amax(N(0), 0, NULL, false), "amax [0]: there is none among no elements")                                    \
    R(leat_amax(N(2, 3), AXES(2), false), "amax [2,3]: axis 2 of a tensor of rank 2")                                  \
    R(leat_amin(N(2, 3), AXES(0, 0), false), "amin [2,3]: axis 0 is named twice")                                      \
    R(leat_prod(N(2, 3), AXES(-3), false), "prod [2,3]: axis -3 of a tensor of rank 2")                                \
    R(leat_variance(N(2, 3), AXES(1, -1), false, 1), "variance [2,3]: axis -1 is named twice")

Test(reductions, refusals_say_the_op_the_shapes_and_the_reason)
{
    REFUSALS(CHECK_REFUSED)
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static leat_var reduce_all(leat_var x, int n, const int *axes)
{
    leat_var y = leat_variance(x, n, axes, true, 1),
             z = leat_mul(leat_amax(x, n, axes, true), leat_amin(x, n, axes, true));
    return leat_mul(leat_add(y, leat_prod(leat_add_scalar(leat_mul_scalar(x, 0.01), 1), n, axes, true)), z);
}

Test(reductions, threads_do_not_change_a_bit)
{
    enum { A = 40, B = 50, C = 45, ALL = A * B * C };
    static const int axes[][2] = { { 0, 1 }, { 2, 1 }, { 0, 2 }, { 1, 1 } };
    static leat_real x[ALL], y[ALL], dx[ALL];
    leat_rng rng = leat_rng_new(1, 2);
    leat_rng_fill_normal(&rng, x, ALL);
    for (int k = 0; k < 4; k++) {
        for (int threads = 1; threads <= 3; threads++) {
            leat_pool *pool = leat_pool_new(threads, NULL);
            leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool });
            leat_var in = leat_input(t, (leat_tensor){ x, LEAT_SHAPE(A, B, C) });
            leat_var out = reduce_all(in, axes[k][0] == axes[k][1] ? 1 : 2, axes[k]);
            cr_assert(leat_ok(out), "%s", leat_tape_errmsg(t));
            size_t bytes = (size_t)count(out) * sizeof *y;
            cr_assert_eq(leat_vjp(out, leat_value(out)), LEAT_OK);
            if (threads == 1) {
                memcpy(y, leat_value(out).data, bytes);
                memcpy(dx, leat_grad(in).data, sizeof dx);
            }
            cr_assert_eq(memcmp(y, leat_value(out).data, bytes), 0, "axes %d, %d threads", k, threads);
            cr_assert_eq(memcmp(dx, leat_grad(in).data, sizeof dx), 0, "gradient, axes %d, %d threads", k, threads);
            leat_tape_free(t);
            leat_pool_free(pool);
        }
    }
}
