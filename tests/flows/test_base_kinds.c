/*
 * Bases with parameters, each of them: densities against formulas written out with libm, gradients against differences,
 * draws against distribution functions, the checker, files, and that rows do not depend on each other.
 */
#include <stdlib.h>
#include <unistd.h>

#include "support.h"

static const leat_tensor none;
static const double df[2] = { 1, 2 }, power[2] = { 1, 3.5 }, low[2] = { -1, 0.1 }, high[2] = { 3, 0.4 };
static const double weights[3] = { 1, 2, 5 }, means[6] = { -3, 0, 1, 2, 4, -1 }, scales[6] = { 0.5, 1, 2, 0.7, 1, 1.5 };

static leat_base *student(leat_model *m)
{
    return leat_student_t(m, 2, NULL);
}

static leat_base *student_given(leat_model *m)
{
    return leat_student_t(m, 2, df);
}

static leat_base *generalized(leat_model *m)
{
    return leat_generalized_normal(m, 2, NULL);
}

static leat_base *generalized_given(leat_model *m)
{
    return leat_generalized_normal(m, 2, power);
}

static leat_base *mixture(leat_model *m)
{
    return leat_gaussian_mixture(m,
                                 &(leat_gaussian_mixture_opts){
                                     .dim = 2, .components = 3, .weights = weights, .means = means, .scales = scales });
}

static leat_base *mixture_fixed(leat_model *m)
{
    return leat_gaussian_mixture(m, &(leat_gaussian_mixture_opts){ .dim = 2,
                                                                   .components = 3,
                                                                   .weights = weights,
                                                                   .means = means,
                                                                   .scales = scales,
                                                                   .fixed_weights = true,
                                                                   .fixed_means = true,
                                                                   .fixed_scales = true });
}

static leat_base *conditional(leat_model *m)
{
    return leat_conditional_normal(m, 2, leat_mlp(m, 3, (int64_t[]){ 5, 0 }, 4, LEAT_TANH));
}

static leat_base *of_classes(leat_model *m)
{
    return leat_class_normal(m, 2, 3);
}

static leat_base *box(leat_model *m)
{
    return leat_uniform_box(m, 2, low, high);
}

enum {
    STUDENT,
    STUDENT_GIVEN,
    GENERALIZED,
    GENERALIZED_GIVEN,
    MIXTURE,
    MIXTURE_FIXED,
    CONDITIONAL,
    ONE_HOT,
    NUMBERED,
    BOX,
    KINDS
};

static const struct kind {
    leat_base *(*make)(leat_model *m);
    int64_t context;
} kinds[KINDS] = {
    { student, 0 },       { student_given, 0 }, { generalized, 0 }, { generalized_given, 0 }, { mixture, 0 },
    { mixture_fixed, 0 }, { conditional, 3 },   { of_classes, 3 },  { of_classes, 1 },        { box, 0 },
};

static leat_tensor context_of(int kind, int64_t n)
{
    int64_t columns = kinds[kind].context;
    leat_tensor c = columns ? test_normal(21, n, columns, 1) : none;
    for (int64_t i = 0; i < n && (kind == ONE_HOT || kind == NUMBERED); i++) {
        for (int64_t k = 0; k < columns; k++)
            c.data[i * columns + k] = columns == 1 ? (leat_real)(i % 3) : i % 3 == k;
    }
    return c;
}

typedef struct params {
    int count;
    leat_param *param[8];
} params;

static void keep_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    params *all = v->user;
    all->param[all->count++] = p;
}

static params params_of(leat_model *m)
{
    params all = { 0 };
    leat_visitor v = { .user = &all, .param = keep_param };
    leat_visit_model(&v, m);
    return all;
}

/* A flow of the base alone, its parameters a little off where they start. */
static leat_flow *flow_with(leat_model *m, int kind, bool scaled)
{
    leat_flow *flow = leat_flow_new(m, kinds[kind].make(m));
    if (scaled)
        leat_flow_add(flow, leat_diagonal_scale(m, 2));
    leat_flow_set_context(flow, kinds[kind].context);
    cr_assert_eq(leat_model_seal(m), LEAT_OK, "kind %d: %s", kind, leat_model_errmsg(m));
    params all = params_of(m);
    leat_rng rng = leat_rng_new(8, 8);
    for (int p = 0; p < all.count && kind != MIXTURE; p++)
        for (int64_t i = 0; i < leat_shape_count(&all.param[p]->leaf.shape); i++)
            all.param[p]->leaf.value[i] += (leat_real)(0.25 * leat_rng_normal(&rng));
    return flow;
}

static leat_flow *flow_of(leat_model *m, int kind)
{
    return flow_with(m, kind, false);
}

static double *scores_of(leat_flow *flow, leat_tensor z, leat_tensor context)
{
    double *out = leat_arena_alloc(test_arena(), (size_t)z.shape.size[0] * sizeof *out);
    leat_tape *tape = test_tape(leat_flow_model(flow));
    cr_assert_eq(leat_flow_score_given(flow, tape, z, context, out), LEAT_OK, "%s", leat_tape_errmsg(tape));
    return out;
}

/* ---- densities --------------------------------------------------------------------------------------------------- */

static double at(leat_model *m, const char *name, int64_t i)
{
    return (double)param_value(m, name).data[i];
}

static double normal_log(double z, double loc, double log_scale)
{
    double eps = (z - loc) / exp(log_scale);
    return -0.5 * eps * eps - 0.5 * log(2 * M_PI) - log_scale;
}

static double student_log(double eps, double v)
{
    return lgamma((v + 1) / 2) - lgamma(v / 2) - 0.5 * log(M_PI * v) - (v + 1) / 2 * log1p(eps * eps / v);
}

static double generalized_log(double eps, double b)
{
    return log(b / 2) - lgamma(1 / b) - pow(fabs(eps), b);
}

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

/* ---- draws ------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { DRAWS = 40000 };

static leat_tensor draws_of(leat_flow *flow, int kind, double temperature)
{
    leat_tensor x = test_tensor(DRAWS, 2);
    leat_tape *tape = test_tape(leat_flow_model(flow));
    cr_assert_eq(leat_flow_draw_given(flow, tape, DRAWS, temperature, context_of(kind, DRAWS), x.data), LEAT_OK, "%s",
                 leat_tape_errmsg(tape));
    return x;
}

/* Kolmogorov's distance of column j, shifted and scaled back, from a distribution function: 1.95 / sqrt(n) in a
 * thousandth of cases. */
static void expect_distribution(leat_tensor x, int64_t j, double loc, double scale, double (*cdf)(double),
                                const char *what)
{
    double *sorted = leat_arena_alloc(test_arena(), DRAWS * sizeof *sorted), worst = 0;
    for (int64_t i = 0; i < DRAWS; i++)
        sorted[i] = ((double)x.data[2 * i + j] - loc) / scale;
    qsort(sorted, DRAWS, sizeof *sorted, by_value);
    for (int64_t i = 0; i < DRAWS; i++)
        worst = fmax(worst, fabs(cdf(sorted[i]) - ((double)i + 0.5) / DRAWS));
    cr_assert(worst <= 1.95 / sqrt(DRAWS), "%s: %g from the distribution function", what, worst);
}

static double cauchy_cdf(double x)
{
    return 0.5 + atan(x) / M_PI;
}

static double student2_cdf(double x)
{
    return 0.5 + 0.5 * x / sqrt(2 + x * x);
}

static double laplace_cdf(double x)
{
    return x < 0 ? 0.5 * exp(x) : 1 - 0.5 * exp(-x);
}

/* Simpson's rule on the density from 0 on. */
static double generalized_cdf(double x)
{
    double b = power[1], h = fabs(x) / 200, sum = 0;
    for (int i = 0; i <= 200; i++)
        sum += (i == 0 || i == 200 ? 1 : i % 2 ? 4 : 2) * exp(generalized_log(h * i, b));
    return 0.5 + (x < 0 ? -1 : 1) * sum * h / 3;
}

static double normal_cdf(double x)
{
    return 0.5 * erfc(-x / sqrt(2));
}

static double uniform_cdf(double x)
{
    return fmin(1, fmax(0, x));
}

static double mixture_cdf(double x)
{
    double sum = 0;
    for (int k = 0; k < 3; k++)
        sum += weights[k] / 8 * normal_cdf((x - means[2 * k]) / scales[2 * k]);
    return sum;
}

static double student_many_cdf(double x)
{
    return normal_cdf(x);
}

Test(base_kinds, draws_follow_their_distribution)
{
    for (int heat = 1; heat <= 3; heat += 2) {
        leat_model *m = test_model(4);
        leat_flow *t = flow_of(m, STUDENT_GIVEN);
        leat_tensor x = draws_of(t, STUDENT_GIVEN, heat);
        double loc[2], scale[2];
        for (int j = 0; j < 2; j++) {
            loc[j] = at(m, "base.loc", j);
            scale[j] = heat * exp(at(m, "base.log_scale", j));
        }
        expect_distribution(x, 0, loc[0], scale[0], cauchy_cdf, "Cauchy");
        expect_distribution(x, 1, loc[1], scale[1], student2_cdf, "t of 2");
        leat_model_free(m);

        m = test_model(4);
        leat_flow *g = flow_of(m, GENERALIZED_GIVEN);
        x = draws_of(g, GENERALIZED_GIVEN, heat);
        for (int j = 0; j < 2; j++) {
            loc[j] = at(m, "base.loc", j);
            scale[j] = heat * exp(at(m, "base.log_scale", j));
        }
        expect_distribution(x, 0, loc[0], scale[0], laplace_cdf, "Laplace");
        expect_distribution(x, 1, loc[1], scale[1], generalized_cdf, "power 3.5");
        leat_model_free(m);
    }
}

Test(base_kinds, draws_of_mixtures_and_boxes)
{
    leat_model *m = test_model(4);
    expect_distribution(draws_of(flow_of(m, MIXTURE), MIXTURE, 1), 0, 0, 1, mixture_cdf, "mixture");
    leat_model_free(m);
    m = test_model(4);
    leat_tensor x = draws_of(flow_of(m, BOX), BOX, 1);
    for (int j = 0; j < 2; j++)
        expect_distribution(x, j, low[j], high[j] - low[j], uniform_cdf, "box");
    for (int64_t i = 0; i < DRAWS; i++)
        for (int j = 0; j < 2; j++)
            cr_assert((double)x.data[2 * i + j] >= (double)(leat_real)low[j] &&
                      (double)x.data[2 * i + j] <= (double)(leat_real)high[j]);
    leat_model_free(m);
    m = test_model(4);
    leat_flow *many = leat_flow_new(m, leat_student_t(m, 2, (double[]){ 1e9, 1e15 }));
    x = draws_of(many, STUDENT_GIVEN, 1);
    for (int j = 0; j < 2; j++)
        expect_distribution(x, j, 0, 1, student_many_cdf, "t of many");
    leat_model_free(m);
}

/* Temperature 0: each component's own mean, in the proportion of the weights. */
Test(base_kinds, weights_of_a_mixture)
{
    leat_model *m = test_model(4);
    leat_tensor x = draws_of(flow_of(m, MIXTURE), MIXTURE, 0);
    int count[3] = { 0 };
    for (int64_t i = 0; i < DRAWS; i++)
        for (int k = 0; k < 3; k++)
            count[k] += x.data[2 * i] == (leat_real)means[2 * k] && x.data[2 * i + 1] == (leat_real)means[2 * k + 1];
    for (int k = 0; k < 3; k++) {
        double p = weights[k] / 8;
        cr_assert(fabs(count[k] / (double)DRAWS - p) <= 5 * sqrt(p * (1 - p) / DRAWS), "component %d: %d", k, count[k]);
    }
    leat_model_free(m);
}

Test(base_kinds, rows_depend_on_themselves_alone)
{
    for (int kind = 0; kind < KINDS; kind++) {
        leat_model *m = test_model(4);
        leat_flow *flow = flow_of(m, kind);
        leat_tape *tape = test_tape(m);
        leat_tensor context = context_of(kind, 3000), whole = test_tensor(3000, 2), part = test_tensor(7, 2);
        cr_assert_eq(leat_flow_draw_rows(flow, tape, 0, 3000, 1, context, whole.data), LEAT_OK, "kind %d: %s", kind,
                     leat_tape_errmsg(tape));
        leat_tensor few = context;
        few.shape.size[0] = 7;
        few.data += few.data ? 2046 * kinds[kind].context : 0;
        cr_assert_eq(leat_flow_draw_rows(flow, tape, 2046, 7, 1, few, part.data), LEAT_OK);
        cr_assert_eq(memcmp(part.data, whole.data + 2 * 2046, 14 * sizeof *part.data), 0, "draws, kind %d", kind);
        double *all = scores_of(flow, whole, context), *some = scores_of(flow, part, few);
        cr_assert_eq(memcmp(all + 2046, some, 7 * sizeof *all), 0, "scores, kind %d", kind);
        leat_model_free(m);
    }
}

/* ---- checker and files ------------------------------------------------------------------------------------------- */

Test(base_kinds, checker)
{
    for (int kind = 0; kind < KINDS; kind++) {
        leat_model *m = test_model(4);
        leat_flow *flow = flow_with(m, kind, true);
        leat_flow_report r;
        leat_tensor x = test_normal(5, 64, 2, 0.01);
        for (int64_t i = 0; i < 128; i++)
            x.data[i] += (leat_real)0.25; /* inside of the box */
        bool ok = leat_flow_check(flow, x, &(leat_flow_check_opts){ .context = context_of(kind, 64) }, &r);
        cr_assert(ok, "kind %d: %s", kind, r.reason);
        /* beside the checker's own six standard errors, which are wide where tails are Cauchy's */
        cr_assert(fabs(r.base_integral - 1) < (kind == STUDENT_GIVEN ? 0.25 : 0.05), "kind %d: %g", kind,
                  r.base_integral);
        cr_assert((strstr(r.unseen, "ends somewhere") != NULL) == (kind == BOX), "kind %d: %s", kind, r.unseen);
        leat_model_free(m);
    }
}

Test(base_kinds, in_files)
{
    char path[] = "/tmp/leat-bases-XXXXXX";
    cr_assert_geq(mkstemp(path), 0);
    for (int kind = 0; kind < KINDS; kind++) {
        leat_model *m = test_model(4);
        leat_flow *flow = flow_of(m, kind);
        leat_status s = { 0 };
        leat_tensor x = test_normal(5, 50, 2, 1), context = context_of(kind, 50);
        cr_assert_eq(leat_flow_save(flow, path, 0, NULL, &s), LEAT_OK, "kind %d: %s", kind, s.message);
        leat_flow *back =
            leat_flow_load(path, &(leat_flow_load_opts){ .model = { .seed = 4, .threads = 1 } }, NULL, &s);
        cr_assert_not_null(back, "kind %d: %s", kind, s.message);
        cr_assert_eq(leat_param_count(m), leat_param_count(leat_flow_model(back)));
        cr_assert_eq(memcmp(scores_of(flow, x, context), scores_of(back, x, context), 50 * sizeof(double)), 0,
                     "kind %d", kind);
        leat_tensor a = draws_of(flow, kind, 1), b = draws_of(back, kind, 1);
        cr_assert_eq(memcmp(a.data, b.data, 2 * DRAWS * sizeof *a.data), 0, "kind %d", kind);
        cr_assert_str_eq(leat_flow_describe(flow, test_arena(), &s), leat_flow_describe(back, test_arena(), &s));
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
    }
    unlink(path);
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

Test(base_kinds, starts_at_median_and_quartiles)
{
    leat_model *m = test_model(4);
    leat_tensor z = test_normal(5, 20001, 2, 1);
    for (int64_t i = 0; i < 20001; i++) { /* Cauchy about 7, and a column that half of the rows have in common */
        z.data[2 * i] = (leat_real)(7 + 0.01 * tan(M_PI * (normal_cdf((double)z.data[2 * i]) - 0.5)));
        z.data[2 * i + 1] = i % 5 ? 5 : z.data[2 * i + 1];
    }
    leat_base *base = leat_student_t(m, 2, NULL);
    cr_assert_eq(leat_base_start(base, z), LEAT_OK, "%s", leat_model_errmsg(m));
    cr_assert(fabs(at(m, "loc", 0) - 7) < 0.001 && fabs(exp(at(m, "log_scale", 0)) / 0.0135 - 1) < 0.05, "%g, %g",
              at(m, "loc", 0), at(m, "log_scale", 0));
    cr_assert(at(m, "loc", 1) == 5 && at(m, "log_scale", 1) == 0);
    leat_model_free(m);
}

Test(base_kinds, mixture_starts_at_clusters)
{
    leat_model *m = test_model(4);
    leat_base *base = leat_gaussian_mixture(m, &(leat_gaussian_mixture_opts){ .dim = 2, .components = 8 });
    leat_tensor z = test_normal(5, 4000, 2, 0.01);
    for (int64_t i = 0; i < 4000; i++) {
        z.data[2 * i] += (leat_real)cos(M_PI / 4 * (double)(i % 8));
        z.data[2 * i + 1] += (leat_real)sin(M_PI / 4 * (double)(i % 8));
    }
    cr_assert_eq(leat_base_start(base, z), LEAT_OK, "%s", leat_model_errmsg(m));
    bool seen[8] = { false };
    for (int k = 0; k < 8; k++) {
        double x = at(m, "loc", 2 * k), y = at(m, "loc", 2 * k + 1), turn = atan2(y, x) * 4 / M_PI;
        cr_assert(fabs(hypot(x, y) - 1) < 0.005 && fabs(turn - rint(turn)) < 0.02, "component %d: %g, %g", k, x, y);
        cr_assert(fabs(exp(at(m, "log_scale", 2 * k)) - 0.01) < 0.002);
        cr_assert(fabs(at(m, "logits", k) - at(m, "logits", 0)) < 0.01);
        seen[((int)rint(turn) + 8) % 8] = true;
    }
    for (int k = 0; k < 8; k++)
        cr_assert(seen[k], "no component at blob %d", k);
    leat_model_free(m);
}

/* ---- fits -------------------------------------------------------------------------------------------------------- */

enum { FIT_ROWS = 10000, FRESH_ROWS = 20000 };

/* Student's t of 2 degrees, by its quantile, or of 1; and the mean log-density of the rows. */
static leat_doubles student_rows(uint64_t seed, int degrees, int64_t rows, int64_t columns, double *truth)
{
    leat_doubles x = { leat_arena_alloc(test_arena(), (size_t)(rows * columns) * sizeof(double)), rows, columns };
    leat_rng rng = leat_rng_new(seed, 5);
    *truth = 0;
    for (int64_t i = 0; i < rows * columns; i++) {
        double u = leat_rng_uniform(&rng);
        x.data[i] = degrees == 1 ? tan(M_PI * (u - 0.5)) : (2 * u - 1) / sqrt(2 * u * (1 - u));
        *truth += student_log(x.data[i], degrees) / (double)rows;
    }
    return x;
}

static const int64_t cases[][2] = { { 2, 1 }, { 2, 5 }, { 1, 1 }, { 1, 5 } };

Test(base_kinds, student_fits_student)
{
    for (int k = 0; k < 4; k++) {
        double truth, *scores = leat_arena_alloc(test_arena(), FRESH_ROWS * sizeof *scores), mean = 0;
        int64_t columns = cases[k][1];
        leat_doubles x = student_rows(1, (int)cases[k][0], FIT_ROWS, columns, &truth);
        leat_doubles fresh = student_rows(2, (int)cases[k][0], FRESH_ROWS, columns, &truth), no_context = { 0 };
        leat_model *m = test_model(0);
        leat_flow *flow = leat_flow_new(m, leat_student_t(m, columns, NULL));
        leat_flow_standardize_doubles(flow, x, &(leat_standardize_opts){ .by_quartiles = true });
        leat_fit *fit = leat_fit_new(flow, &(leat_fit_opts){ .doubles = x, .epochs = 8, .lr = 0.01 });
        cr_assert_eq(leat_fit_run(fit), LEAT_OK, "%s", leat_fit_status(fit)->message);
        leat_tape *tape = test_tape(m);
        cr_assert_eq(leat_flow_score_doubles(flow, tape, fresh, no_context, scores), LEAT_OK);
        for (int64_t i = 0; i < FRESH_ROWS; i++)
            mean += scores[i] / FRESH_ROWS;
        cr_assert(truth - mean < 0.05, "%d degrees, %d columns: %g, truth %g", (int)cases[k][0], (int)columns, mean,
                  truth);
        leat_model_free(m);
    }
}

/* Eight blobs of sd 0.03 on the unit circle: draws farther than 4 sd from each are between them. */
Test(base_kinds, mixture_fits_distant_blobs)
{
    leat_tensor x = test_normal(5, 4000, 2, 0.03), drawn = test_tensor(20000, 2);
    for (int64_t i = 0; i < 4000; i++) {
        x.data[2 * i] += (leat_real)cos(M_PI / 4 * (double)(i % 8));
        x.data[2 * i + 1] += (leat_real)sin(M_PI / 4 * (double)(i % 8));
    }
    leat_model *m = test_model(1);
    leat_base *base = leat_gaussian_mixture(m, &(leat_gaussian_mixture_opts){ .dim = 2, .components = 8 });
    leat_flow *flow =
        leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2, .couplings = 2, .hidden = { 16 }, .base = base });
    leat_tape *tape = test_tape(m);
    leat_tensor z = test_tensor(4000, 2);
    cr_assert_eq(leat_flow_encode(flow, tape, x, none, z.data, NULL), LEAT_OK);
    cr_assert_eq(leat_base_start(base, z), LEAT_OK);
    leat_schedule warmup = { LEAT_WARMUP, .steps = 30 };
    leat_fit *fit = leat_fit_new(flow, &(leat_fit_opts){ .data = x, .epochs = 10, .lr = 1e-3, .schedule = &warmup });
    cr_assert_eq(leat_fit_run(fit), LEAT_OK, "%s", leat_fit_status(fit)->message);
    cr_assert_eq(leat_flow_draw(flow, tape, 20000, 1, drawn.data), LEAT_OK);
    int between = 0;
    for (int64_t i = 0; i < 20000; i++) {
        double nearest = 9;
        for (int k = 0; k < 8; k++)
            nearest = fmin(nearest, hypot((double)drawn.data[2 * i] - cos(M_PI / 4 * k),
                                          (double)drawn.data[2 * i + 1] - sin(M_PI / 4 * k)));
        between += nearest > 4 * 0.03;
    }
    cr_assert(between < 100, "%d of 20000 draws are between the blobs", between);
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
