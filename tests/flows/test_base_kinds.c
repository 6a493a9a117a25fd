/*
 * Bases with parameters, each of them: densities against formulas written out with libm, gradients against differences,
 * draws against distribution functions, the checker, files, and that rows do not depend on each other.
 */
#include "base_kinds.h"

/* ---- densities --------------------------------------------------------------------------------------------------- */

static double mixture_by_hand(const leat_real *z)
{
    double sum = 0;
    for (int k = 0; k < 3; k++) {
        double log_p = log(weights[k] / 8);
        for (int j = 0; j < 2; j++)
            log_p += normal_log((double)z[j], means[2 * k + j], log(scales[2 * k + j]));
        sum += exp(log_p);
    }
    return log(sum);
}

static double by_hand(leat_model *m, int kind, const leat_real *z, const leat_real *context, int64_t row)
{
    double sum = 0;
    if (kind == MIXTURE || kind == MIXTURE_FIXED)
        return mixture_by_hand(z);
    for (int j = 0; j < 2; j++) {
        double x = (double)z[j];
        if (kind == BOX) {
            sum += x >= low[j] && x <= high[j] ? -log(high[j] - low[j]) : -(double)INFINITY;
        } else if (kind == CONDITIONAL) {
            double out[2] = { at(m, "base.net.2.bias", j), at(m, "base.net.2.bias", 2 + j) };
            for (int h = 0; h < 5; h++) {
                double a = at(m, "base.net.0.bias", h);
                for (int i = 0; i < 3; i++)
                    a += at(m, "base.net.0.weight", 3 * h + i) * (double)context[i];
                for (int k = 0; k < 2; k++)
                    out[k] += tanh(a) * at(m, "base.net.2.weight", 5 * (2 * k + j) + h);
            }
            sum += normal_log(x, out[0], out[1]);
        } else {
            int64_t cell = kind == ONE_HOT || kind == NUMBERED ? 2 * (row % 3) + j : j;
            double log_scale = at(m, "base.log_scale", cell), eps = (x - at(m, "base.loc", cell)) / exp(log_scale);
            sum += kind == ONE_HOT || kind == NUMBERED ? normal_log(eps, 0, 0)
                   : kind == STUDENT                   ? student_log(eps, exp(at(m, "base.log_df", j)))
                   : kind == STUDENT_GIVEN             ? student_log(eps, df[j])
                   : kind == GENERALIZED               ? generalized_log(eps, exp(at(m, "base.log_power", j)))
                                                       : generalized_log(eps, power[j]);
            sum -= log_scale;
        }
    }
    return sum;
}

static const double spreads[] = { 1e-3, 1, 30, 1e4 };

Test(base_kinds, densities)
{
    for (int kind = 0; kind < KINDS; kind++) {
        leat_model *m = test_model(3);
        leat_flow *flow = flow_of(m, kind);
        for (int s = 0; s < 4; s++) {
            leat_tensor z = test_normal(5, 60, 2, spreads[s]), context = context_of(kind, 60);
            double *got = scores_of(flow, z, context);
            for (int64_t i = 0; i < 60; i++) {
                double want = by_hand(m, kind, z.data + 2 * i, context.data ? context.data + 3 * i : NULL, i);
                if (kind == MIXTURE || kind == MIXTURE_FIXED)
                    want = isinf(want) ? got[i] : want; /* the sum by hand ends at exp(-745) */
                cr_assert(got[i] == want || fabs(got[i] - want) <= 10 * CLOSE * fmax(1, fabs(want)),
                          "kind %d, spread %g, row %d: %.17g, not %.17g", kind, spreads[s], (int)i, got[i], want);
            }
        }
        leat_model_free(m);
    }
}

/* Far from every component, where each density by itself is 0. */
Test(base_kinds, mixture_far_out)
{
    leat_model *m = test_model(3);
    leat_flow *flow = flow_of(m, MIXTURE);
    leat_tensor z = test_tensor(1, 2);
    z.data[0] = 1000;
    z.data[1] = 0;
    double got = scores_of(flow, z, none)[0];
    double want = log(2. / 8) + normal_log(1000, 1, log(2)) + normal_log(0, 2, log(0.7));
    cr_assert(fabs(got - want) <= 10 * CLOSE * fabs(want), "%.17g, not %.17g", got, want);
    leat_model_free(m);
}

/* With many degrees of freedom the t is a normal; the constant must not drown in log Gamma of large numbers. */
Test(base_kinds, student_of_many_degrees)
{
    static const double degrees[] = { 1e3, 1e6, 1e12, 1e25 };
    for (int i = 0; i < 4; i++) {
        leat_model *m = test_model(3);
        leat_base *base = leat_student_t(m, 2, (double[]){ degrees[i], degrees[i] });
        leat_flow *flow = leat_flow_new(m, base);
        leat_tensor z = test_normal(5, 60, 2, 1);
        double *got = scores_of(flow, z, none);
        for (int64_t k = 0; k < 60; k++) {
            double want = normal_log((double)z.data[2 * k], 0, 0) + normal_log((double)z.data[2 * k + 1], 0, 0);
            cr_assert(fabs(got[k] - want) <= 2 * CLOSE * fmax(1, fabs(want)) + 100 / degrees[i],
                      "%g degrees: %.17g, not %.17g", degrees[i], got[k], want);
        }
        leat_model_free(m);
    }
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static double weighted_log_prob(leat_flow *flow, leat_tensor z, leat_tensor context, bool backward)
{
    leat_tape *tape = test_tape(leat_flow_model(flow));
    leat_var given = context.data ? leat_const(tape, context) : (leat_var){ 0 };
    leat_var y = leat_flow_log_prob_given(flow, leat_const(tape, z), given);
    leat_tensor w = test_normal(31, 1, z.shape.size[0], 1);
    w.shape = leat_var_shape(y);
    leat_var sum = leat_sum(leat_mul(y, leat_const(tape, w)));
    double value = leat_item(sum);
    if (backward)
        cr_assert_eq(leat_backward(sum), LEAT_OK, "%s", leat_tape_errmsg(tape));
    return value;
}

#ifdef LEAT_DOUBLE
Test(base_kinds, gradients_of_parameters)
{
    for (int kind = 0; kind < BOX; kind++) {
        leat_model *m = test_model(3);
        leat_flow *flow = flow_of(m, kind);
        leat_tensor z = test_normal(5, 20, 2, 2), context = context_of(kind, 20);
        if (kind != MIXTURE_FIXED)
            weighted_log_prob(flow, z, context, true);
        params all = params_of(m);
        cr_assert((all.count == 0) == (kind == MIXTURE_FIXED));
        for (int p = 0; p < all.count; p++) {
            leat_leaf *leaf = &all.param[p]->leaf;
            cr_assert(leaf->has_grad);
            for (int64_t i = 0; i < leat_shape_count(&leaf->shape); i++) {
                double was = leaf->value[i], h = 1e-5, f[2];
                for (int k = 0; k < 2; k++) {
                    leaf->value[i] = was + (k ? -h : h);
                    f[k] = weighted_log_prob(flow, z, context, false);
                }
                leaf->value[i] = was;
                double slope = (f[0] - f[1]) / (2 * h);
                cr_assert(fabs(slope - leaf->grad[i]) <= 1e-6 * fmax(1, fabs(slope)),
                          "kind %d, %s %d: %.12g, not %.12g", kind, leaf->scope.name, (int)i, leaf->grad[i], slope);
            }
        }
        leat_model_free(m);
    }
}
#endif

static leat_var log_prob_of(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t;
    return leat_flow_log_prob_given(user, in[0], n > 1 ? in[1] : (leat_var){ 0 });
}

Test(base_kinds, gradients_of_rows)
{
    for (int kind = 0; kind <= CONDITIONAL; kind++) {
        leat_model *m = test_model(3);
        leat_flow *flow = flow_of(m, kind);
        leat_tensor in[2] = { test_normal(5, 4, 2, 1), context_of(kind, 4) };
        leat_gradcheck_report r;
        cr_assert(leat_gradcheck(log_prob_of, flow, kind == CONDITIONAL ? 2 : 1, in, NULL, &r),
                  "kind %d: %s %s: %g and %g", kind, r.reason, r.status.message, r.analytic, r.numeric);
        leat_model_free(m);
    }
}

/* At the centre of a generalized normal that has a tip there. */
Test(base_kinds, no_nan_at_the_tip)
{
    leat_model *m = test_model(3);
    leat_flow *flow = leat_flow_new(m, leat_generalized_normal(m, 2, NULL));
    leat_model_seal(m);
    for (int j = 0; j < 2; j++)
        param_value(m, "base.log_power").data[j] = (leat_real)log(0.5);
    weighted_log_prob(flow, test_tensor(3, 2), none, true);
    for (int j = 0; j < 2; j++)
        cr_assert(isfinite(param_grad(m, "base.log_power").data[j]) && isfinite(param_grad(m, "base.loc").data[j]));
    leat_model_free(m);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

Test(base_kinds, wrong_numbers_refused)
{
    for (int i = 0; i < 7; i++) {
        leat_model *m = test_model(0);
        double bad[2] = { 1, i == 0 ? 0 : i == 1 ? -3 : (double)NAN };
        if (i < 3)
            leat_student_t(m, 2, bad);
        else if (i == 3)
            leat_generalized_normal(m, 2, bad);
        else if (i == 4)
            leat_uniform_box(m, 2, high, low);
        else if (i == 5)
            leat_gaussian_mixture(m, &(leat_gaussian_mixture_opts){ .dim = 2 });
        else
            leat_class_normal(m, 2, 0);
        cr_assert_eq(leat_model_code(m), LEAT_EARG, "case %d: %s", i, leat_model_errmsg(m));
        leat_model_free(m);
    }
}

Test(base_kinds, wrong_classes_refused)
{
    static const double wrong[] = { -1, 3, 0.5, (double)NAN };
    for (int i = 0; i < 5; i++) {
        leat_model *m = test_model(0);
        leat_flow *flow = flow_of(m, i == 4 ? ONE_HOT : NUMBERED);
        leat_tape *tape = test_tape(m);
        leat_tensor context = context_of(i == 4 ? ONE_HOT : NUMBERED, 2);
        context.data[0] = i == 4 ? 0 : (leat_real)wrong[i]; /* of one-hot rows: none is greatest */
        leat_flow_log_prob_given(flow, leat_const(tape, test_normal(1, 2, 2, 1)), leat_const(tape, context));
        cr_assert_eq(leat_tape_code(tape), LEAT_EARG, "case %d", i);
        assert_contains(leat_tape_errmsg(tape), "no class");
        leat_model_free(m);
    }
}

Test(base_kinds, a_context_is_needed)
{
    for (int kind = CONDITIONAL; kind <= NUMBERED; kind++) {
        leat_model *m = test_model(0);
        leat_base *base = kinds[kind].make(m);
        leat_tape *tape = test_tape(m);
        leat_base_log_prob(base, leat_const(tape, test_normal(1, 2, 2, 1)), (leat_var){ 0 });
        cr_assert_eq(leat_tape_code(tape), LEAT_ESTATE);
        assert_contains(leat_tape_errmsg(tape), "context");
        leat_model_free(m);
    }
}
