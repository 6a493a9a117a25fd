/* The bases beyond the normal ones: draws, the checker, files, where they start at data, and fits. */
#include "base_kinds.h"

/* ---- draws ------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { DRAWS = 80000 };

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

Test(base_draws, draws_follow_their_distribution)
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

Test(base_draws, draws_of_mixtures_and_boxes)
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
Test(base_draws, weights_of_a_mixture)
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

Test(base_draws, rows_depend_on_themselves_alone)
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

Test(base_draws, checker)
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

Test(base_draws, in_files)
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

Test(base_draws, starts_at_median_and_quartiles)
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

/* In whatever unit the rows come. */
static void expect_start_at_clusters(double unit)
{
    leat_model *m = test_model(4);
    leat_base *base = leat_gaussian_mixture(m, &(leat_gaussian_mixture_opts){ .dim = 2, .components = 8 });
    leat_tensor z = test_normal(5, 4000, 2, 0.01 * unit);
    for (int64_t i = 0; i < 4000; i++) {
        z.data[2 * i] += (leat_real)(unit * cos(M_PI / 4 * (double)(i % 8)));
        z.data[2 * i + 1] += (leat_real)(unit * sin(M_PI / 4 * (double)(i % 8)));
    }
    cr_assert_eq(leat_base_start(base, z), LEAT_OK, "%s", leat_model_errmsg(m));
    bool seen[8] = { false };
    for (int k = 0; k < 8; k++) {
        double x = at(m, "loc", 2 * k) / unit, y = at(m, "loc", 2 * k + 1) / unit, turn = atan2(y, x) * 4 / M_PI;
        cr_assert(fabs(hypot(x, y) - 1) < 0.005 && fabs(turn - rint(turn)) < 0.02, "component %d: %g, %g", k, x, y);
        cr_assert(fabs(exp(at(m, "log_scale", 2 * k)) / unit - 0.01) < 0.002);
        cr_assert(fabs(at(m, "logits", k) - at(m, "logits", 0)) < 0.01);
        seen[((int)rint(turn) + 8) % 8] = true;
    }
    for (int k = 0; k < 8; k++)
        cr_assert(seen[k], "no component at blob %d", k);
    leat_model_free(m);
}

Test(base_draws, mixture_starts_at_clusters)
{
    expect_start_at_clusters(1);
    expect_start_at_clusters(1.0 / 1024);
    expect_start_at_clusters(1024);
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

Test(base_draws, student_fits_student)
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
Test(base_draws, mixture_fits_distant_blobs)
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
