/* Base distributions against formulas written out with libm, and their draws against the moments they must have. */
#include "support.h"

static const leat_var none;

#ifdef LEAT_DOUBLE
#define ROUNDING 1e-14
#else
#define ROUNDING 1e-6
#endif

static double normal_by_hand(const leat_real *z, int64_t dim)
{
    double sum = 0;
    for (int64_t j = 0; j < dim; j++)
        sum += -0.5 * (double)z[j] * (double)z[j] - 0.5 * log(2 * M_PI);
    return sum;
}

/* log(e^-z / (1 + e^-z)^2), symmetric in z */
static double logistic_by_hand(const leat_real *z, int64_t dim)
{
    double sum = 0;
    for (int64_t j = 0; j < dim; j++) {
        double a = fabs((double)z[j]);
        sum += -a - 2 * log1p(exp(-a));
    }
    return sum;
}

static void compare(leat_base *base, double (*by_hand)(const leat_real *, int64_t), double scale)
{
    leat_tape *tape = test_tape(base->module.model);
    leat_tensor z = test_normal(3, 50, base->dim, scale);
    leat_tensor density = leat_value(leat_base_log_prob(base, leat_const(tape, z), none));
    cr_assert(density.shape.rank == 1 && density.shape.size[0] == 50, "%s", leat_tape_errmsg(tape));
    for (int64_t i = 0; i < 50; i++) {
        double expected = by_hand(z.data + i * base->dim, base->dim);
        cr_assert(fabs((double)density.data[i] - expected) <= 8 * ROUNDING * fabs(expected),
                  "dim %lld, row %lld: %.17g, not %.17g", (long long)base->dim, (long long)i, (double)density.data[i],
                  expected);
    }
}

static const double scales[] = { 1e-3, 1, 30, 1e3 };
static const int64_t dims[] = { 1, 2, 7, 64 };

Test(bases, normal_density)
{
    leat_model *m = test_model(0);
    for (int s = 0; s < 4; s++) {
        for (int d = 0; d < 4; d++)
            compare(leat_normal(m, dims[d]), normal_by_hand, scales[s]);
    }
    leat_model_free(m);
}

Test(bases, logistic_density)
{
    leat_model *m = test_model(0);
    for (int s = 0; s < 4; s++) {
        for (int d = 0; d < 4; d++)
            compare(leat_logistic(m, dims[d]), logistic_by_hand, scales[s]);
    }
    leat_model_free(m);
}

Test(bases, diagonal_normal_starts_as_standard)
{
    leat_model *m = test_model(0);
    compare(leat_diagonal_normal(m, 7), normal_by_hand, 1);
    cr_assert_eq(leat_param_count(m), 14);
    leat_model_free(m);
}

static const double loc[2] = { 3, -0.5 }, log_scale[2] = { -1, 0.75 };

static leat_base *shifted_normal(leat_model *m)
{
    leat_base *base = leat_diagonal_normal(m, 2);
    for (int j = 0; j < 2; j++) {
        param_value(m, "loc").data[j] = (leat_real)loc[j];
        param_value(m, "log_scale").data[j] = (leat_real)log_scale[j];
    }
    return base;
}

Test(bases, diagonal_normal_density)
{
    leat_model *m = test_model(0);
    leat_base *base = shifted_normal(m);
    leat_tape *tape = test_tape(m);
    leat_tensor z = test_normal(5, 20, 2, 2);
    leat_tensor density = leat_value(leat_base_log_prob(base, leat_const(tape, z), none));
    assert_tape(tape);
    for (int i = 0; i < 20; i++) {
        double expected = 0;
        for (int j = 0; j < 2; j++) {
            double eps = ((double)z.data[2 * i + j] - loc[j]) / exp(log_scale[j]);
            expected += -0.5 * eps * eps - 0.5 * log(2 * M_PI) - log_scale[j];
        }
        cr_assert(fabs((double)density.data[i] - expected) <= 20 * ROUNDING * fmax(1, fabs(expected)), "row %d", i);
    }
    leat_model_free(m);
}

/* ---- draws ------------------------------------------------------------------------------------------------------- */

/* Mean and variance of each feature within five standard errors; kurtosis is E[(x - mean)^4] / variance^2. */
static void assert_moments(leat_tensor x, int64_t j, double mean, double variance, double kurtosis)
{
    int64_t n = x.shape.size[0], dim = x.shape.size[1];
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        double e = (double)x.data[i * dim + j] - mean;
        sum += e;
        squares += e * e;
    }
    double off = fabs(sum / (double)n), spread = fabs(squares / (double)n - variance);
    cr_assert(off <= 5 * sqrt(variance / (double)n), "feature %lld: mean off by %g", (long long)j, off);
    cr_assert(spread <= 5 * variance * sqrt((kurtosis - 1) / (double)n), "feature %lld: variance off by %g",
              (long long)j, spread);
}

static const double temperatures[] = { 1, 0.5, 2 };

Test(bases, moments_of_draws)
{
    leat_model *m = test_model(0);
    leat_base *normal = leat_normal(m, 3), *logistic = leat_logistic(m, 3);
    leat_base *shifted = shifted_normal(m);
    for (int i = 0; i < 3; i++) {
        double heat = temperatures[i] * temperatures[i];
        leat_tape *tape = test_tape(m);
        leat_var drawn[3] = { leat_base_sample(normal, tape, 50000, temperatures[i], none),
                              leat_base_sample(logistic, tape, 50000, temperatures[i], none),
                              leat_base_sample(shifted, tape, 50000, temperatures[i], none) };
        assert_tape(tape);
        for (int j = 0; j < 3; j++) {
            assert_moments(leat_value(drawn[0]), j, 0, heat, 3);
            assert_moments(leat_value(drawn[1]), j, 0, heat * M_PI * M_PI / 3, 4.2);
        }
        for (int j = 0; j < 2; j++)
            assert_moments(leat_value(drawn[2]), j, loc[j], heat * exp(2 * log_scale[j]), 3);
    }
    leat_model_free(m);
}

Test(bases, temperature_zero_gives_the_centre)
{
    leat_model *m = test_model(0);
    leat_base *bases[3] = { leat_normal(m, 2), leat_logistic(m, 2), shifted_normal(m) };
    leat_tape *tape = test_tape(m);
    for (int b = 0; b < 3; b++) {
        leat_tensor x = leat_value(leat_base_sample(bases[b], tape, 4, 0, none));
        assert_tape(tape);
        for (int i = 0; i < 8; i++)
            cr_assert_eq(x.data[i], (leat_real)(b == 2 ? loc[i % 2] : 0));
    }
    leat_model_free(m);
}

Test(bases, temperature_scales_the_same_draws)
{
    leat_model *m = test_model(0);
    leat_base *bases[2] = { leat_normal(m, 2), leat_logistic(m, 2) };
    for (int b = 0; b < 2; b++) {
        leat_tape *one = test_tape(m), *other = test_tape(m);
        leat_tensor x = leat_value(leat_base_sample(bases[b], one, 100, 1, none));
        leat_tensor y = leat_value(leat_base_sample(bases[b], other, 100, 0.25, none));
        for (int i = 0; i < 200; i++)
            cr_assert_eq(y.data[i], x.data[i] / 4);
    }
    leat_model_free(m);
}

/* x = loc + exp(log_scale) eps: d sum(x) / d loc = n, d sum(x) / d log_scale = sum(x - loc) */
Test(bases, draws_are_differentiable)
{
    leat_model *m = test_model(0);
    leat_base *base = shifted_normal(m);
    leat_tape *tape = test_tape(m);
    leat_var x = leat_base_sample(base, tape, 100, 1, none);
    cr_assert_eq(leat_backward(leat_sum(x)), LEAT_OK, "%s", leat_tape_errmsg(tape));
    for (int j = 0; j < 2; j++) {
        double sum = 0;
        for (int i = 0; i < 100; i++)
            sum += (double)leat_value(x).data[2 * i + j] - loc[j];
        cr_assert_eq((double)param_grad(m, "loc").data[j], 100);
        double got = (double)param_grad(m, "log_scale").data[j];
        cr_assert(fabs(got - sum) <= 1000 * ROUNDING, "feature %d: %g, not %g", j, got, sum);
    }
    leat_model_free(m);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static const double bad_temperatures[] = { -1, -1e-300, (double)NAN };

Test(bases, temperatures_refused)
{
    leat_model *m = test_model(0);
    leat_base *base = leat_normal(m, 2);
    for (int i = 0; i < 3; i++) {
        leat_tape *tape = test_tape(m);
        cr_assert_not(leat_ok(leat_base_sample(base, tape, 4, bad_temperatures[i], none)));
        cr_assert_eq(leat_tape_code(tape), LEAT_EARG);
        assert_contains(leat_tape_errmsg(tape), "temperature");
    }
    leat_model_free(m);
}

Test(bases, shapes_refused)
{
    leat_model *m = test_model(0);
    leat_base *bases[3] = { leat_normal(m, 3), leat_logistic(m, 3), leat_diagonal_normal(m, 3) };
    for (int b = 0; b < 3; b++) {
        leat_tape *tape = test_tape(m);
        cr_assert_not(leat_ok(leat_base_log_prob(bases[b], leat_const(tape, test_normal(1, 5, 2, 1)), none)));
        cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE);
        assert_contains(leat_tape_errmsg(tape), "[5,2]");
        assert_contains(leat_tape_errmsg(tape), "3");
    }
    leat_model_free(m);
}

Test(bases, no_features_refused)
{
    for (int b = 0; b < 3; b++) {
        leat_model *m = test_model(0);
        (b == 0 ? leat_normal : b == 1 ? leat_logistic : leat_diagonal_normal)(m, 0);
        cr_assert_eq(leat_model_code(m), LEAT_EARG);
        leat_model_free(m);
    }
}

Test(bases, no_rows_are_fine)
{
    leat_model *m = test_model(0);
    leat_base *bases[2] = { leat_normal(m, 3), leat_logistic(m, 3) };
    leat_tape *tape = test_tape(m);
    for (int b = 0; b < 2; b++) {
        leat_var x = leat_base_sample(bases[b], tape, 0, 1, none);
        leat_var density = leat_base_log_prob(bases[b], x, none);
        assert_tape(tape);
        cr_assert_eq(leat_var_size(density, 0), 0);
    }
    leat_model_free(m);
}

Test(bases, starts_refused)
{
    const struct {
        leat_tensor rows;
        leat_code code;
        const char *words;
    } cases[] = {
        { test_normal(1, 4, 2, 1), LEAT_ESHAPE, "a base of 3 features starts from rows of them, not from [4,2]" },
        { test_normal(1, 0, 3, 1), LEAT_ESHAPE, "not from [0,3]" },
        { { test_normal(1, 4, 3, 1).data, LEAT_SHAPE(4, 3, 1) }, LEAT_ESHAPE, "not from [4,3,1]" },
        { test_normal(1, 4, 3, 1), LEAT_ENONFINITE, "starts from inf in row 3" },
    };
    cases[3].rows.data[7] = (leat_real)INFINITY;
    for (int i = 0; i < 4; i++) {
        leat_model *m = test_model(1);
        leat_base *base = leat_diagonal_normal(m, 3);
        cr_assert_eq(leat_base_start(base, cases[i].rows), cases[i].code, "%d", i);
        cr_assert(strstr(leat_model_errmsg(m), cases[i].words), "%d: %s", i, leat_model_errmsg(m));
        leat_model_free(m);
    }
    cr_assert_eq(leat_base_start(NULL, cases[0].rows), LEAT_ESTATE);
}
