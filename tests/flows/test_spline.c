/* The rational-quadratic spline: the checker at every scale, knots, equal and lopsided bins, both ends, files, training. */
#include "support.h"

#include <unistd.h>

/* Of this process, for both precisions are tested at once. */
static const char *file_name(void)
{
    static char name[60];
    snprintf(name, sizeof name, "/tmp/leat-spline-%ld.safetensors", (long)getpid());
    return name;
}

#ifdef LEAT_DOUBLE
#define TOLERANCE       1e-9
#define CLOSE_GRADIENTS CLOSE
#else
#define TOLERANCE       1e-4
#define CLOSE_GRADIENTS 1e-4 /* knots are rounded to float, and steep bins magnify what x is off */
#endif

static const leat_rational_quadratic_opts options[] = {
    { 0 },
    { .bins = 2, .bound = 1 },
    { .bins = 12, .bound = 3, .least_width = 1e-2, .least_height = 2e-2, .least_slope = 0.1 },
    { .bins = 64, .bound = 100 },
    { .circular = true },
    { .bins = 5, .bound = 3.14159265, .circular = true },
    { .clipped = true },
    { .bins = 4, .bound = 2, .least_width = 0.01, .clipped = true, .least_slope = 1e-2 },
};
enum { OPTIONS = sizeof options / sizeof *options, NOT_CLIPPED = 6 };

static const double scales[] = { 1e-3, 1, 1e3, 1e8 };

static leat_flow *spline_flow(leat_model *m, const leat_rational_quadratic_opts *o, int64_t dim, double scale)
{
    const leat_elementwise *e = leat_rational_quadratic(m, o);
    leat_flow *f = leat_flow_new(m, leat_normal(m, dim));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, dim, i);
        leat_flow_add(f, leat_coupling(m, mask, e, test_net(m, &mask, 0, leat_elementwise_width(e))));
    }
    randomize(m, scale);
    return f;
}

/* ---- the whole flow ---------------------------------------------------------------------------------------------- */

Test(spline, passes_the_checker)
{
    for (int i = 0; i < OPTIONS; i++) {
        for (int s = 0; s < 4 && !options[i].circular; s++) {
            leat_model *m = test_model(1);
            leat_flow *f = spline_flow(m, &options[i], 5, 0.5);
            leat_flow_report r;
            cr_assert(leat_flow_check(f, test_normal(7, 8, 5, scales[s]), NULL, &r), "options %d, inputs times %g: %s",
                      i, scales[s], r.reason);
            leat_model_free(m);
        }
    }
}

/* Raw parameters for every element alike, as rows [n, features] that do not come from a net. */
static void constant_theta(leat_tape *t, const leat_elementwise *e, int64_t n, int64_t features,
                           double (*raw)(int group, int64_t bin), leat_var *theta)
{
    for (int g = 0; g < 3; g++) {
        int64_t width = e->theta[g].width;
        leat_shape shape = width > 1 ? LEAT_SHAPE(n, features, width) : LEAT_SHAPE(n, features);
        leat_tensor values = leat_tensor_new(test_arena(), shape, NULL);
        for (int64_t i = 0; i < n * features * width; i++)
            values.data[i] = (leat_real)raw(g, i % width);
        theta[g] = leat_input(t, values);
    }
}

static double equal_bins(int group, int64_t bin)
{
    (void)bin;
    return group == 2 ? log(exp(1 - 1e-3) - 1) : 0;
}

static double one_is_almost_all(int group, int64_t bin)
{
    return group == 2 ? (bin % 2 ? 4 : -4) : bin == (group == 0 ? 2 : 4) ? 40 : -40;
}

static double zeros(int group, int64_t bin)
{
    (void)group, (void)bin;
    return 0;
}

static double waves(int group, int64_t bin)
{
    return 1.5 * sin(7 * (double)bin + 3 * group);
}

static double (*const raws[])(int, int64_t) = { equal_bins, one_is_almost_all, waves };

/* y [1, n] and log-derivatives one by one, which the bijector sums: each x in a row of its own. */
static void run(const leat_elementwise *e, bool inverse, double (*raw)(int, int64_t), leat_tensor x, double *y,
                double *slope)
{
    leat_tape *t = leat_tape_new(NULL);
    leat_var theta[3];
    constant_theta(t, e, x.shape.size[0], 1, raw, theta);
    leat_pair out = (inverse ? e->inverse : e->forward)(e, leat_const(t, x), theta);
    assert_tape(t);
    for (int64_t i = 0; i < x.shape.size[0]; i++) {
        y[i] = (double)leat_value(out.y).data[i];
        slope[i] = (double)leat_value(out.logdet).data[i];
    }
    leat_tape_free(t);
}

/* Knots in double, by the definition: axis 0 x, 1 y. */
static void knots_of(const leat_elementwise *e, int axis, double (*raw)(int, int64_t), double *knot)
{
    int64_t bins = e->theta[0].width;
    double total = 0, bound = e->number[0], least = e->number[1 + axis];
    for (int64_t j = 0; j < bins; j++)
        total += exp(raw(axis, j));
    knot[0] = -bound;
    for (int64_t j = 0; j < bins; j++)
        knot[j + 1] = knot[j] + 2 * bound * (least + (1 - (double)bins * least) * exp(raw(axis, j)) / total);
}

/* At a knot y is the knot's, the log-derivative that of its slope; so it is on the way back. */
Test(spline, knots)
{
    for (int i = 0; i < NOT_CLIPPED; i++) {
        for (int k = 0; k < 3; k++) {
            leat_model *m = test_model(0);
            const leat_elementwise *e = leat_rational_quadratic(m, &options[i]);
            int64_t bins = e->theta[0].width;
            double knot[2][65], y[65], slope[65];
            leat_tensor at = test_tensor(bins + 1, 1);
            knots_of(e, 0, raws[k], knot[0]);
            knots_of(e, 1, raws[k], knot[1]);
            for (int inverse = 0; inverse < 2; inverse++) {
                for (int64_t j = 0; j <= bins; j++)
                    at.data[j] = (leat_real)knot[inverse][j];
                run(e, inverse, raws[k], at, y, slope);
                for (int64_t j = 0; j <= bins; j++) {
                    bool end = !options[i].circular && j % bins == 0;
                    double want =
                        end ? 0 : log(log1p(exp(raws[k](2, !options[i].circular ? j - 1 : j % bins))) + e->number[3]);
                    cr_assert(fabs(y[j] - knot[!inverse][j]) <= 100 * TOLERANCE * fabs(e->number[0]),
                              "%d, %d: knot %d, %g", i, k, (int)j, y[j] - knot[!inverse][j]);
                    cr_assert(fabs(slope[j] - (inverse ? -want : want)) <= 1e5 * TOLERANCE, "%d, %d: slope %d: %g, %g",
                              i, k, (int)j, slope[j], want);
                }
            }
            leat_model_free(m);
        }
    }
}

enum { POINTS = 4001 };

/* Whether the log-derivative of the way back is one that the spline has within some units of rounding of there. */
static void check_slopes(const leat_elementwise *e, double (*raw)(int, int64_t), const double *x, const double *steep,
                         const double *slope)
{
    static double y[POINTS], near[3][POINTS];
    leat_tensor at = test_tensor(POINTS, 1);
    for (int k = 0; k < 3; k++) {
        for (int j = 0; j < POINTS; j++)
            at.data[j] = (leat_real)(x[j] + (k - 1) * (double)CLOSE / 10 * e->number[0] * steep[j]);
        run(e, false, raw, at, y, near[k]);
    }
    for (int j = 0; j < POINTS; j++) {
        double low = fmin(fmin(near[0][j], near[1][j]), near[2][j]),
               high = fmax(fmax(near[0][j], near[1][j]), near[2][j]);
        cr_assert(slope[j] >= low - TOLERANCE && slope[j] <= high + TOLERANCE, "x = %g: %g, not %g to %g", x[j],
                  slope[j], low, high);
    }
}

/* There and back on a grid through all bins, ends and knots included; log-derivatives cancel, and y increases. */
Test(spline, round_trip)
{
    static double y[POINTS], back[POINTS], slope[2][POINTS], steep[POINTS];
    for (int i = 0; i < OPTIONS * 3; i++) {
        leat_model *m = test_model(0);
        const leat_elementwise *e = leat_rational_quadratic(m, &options[i / 3]);
        double bound = e->number[0];
        leat_tensor at = test_tensor(POINTS, 1), there = test_tensor(POINTS, 1);
        for (int j = 0; j < POINTS; j++)
            at.data[j] = (leat_real)(bound * (j - 2000) / 2000.);
        run(e, false, raws[i % 3], at, y, slope[0]);
        for (int j = 0; j < POINTS; j++)
            there.data[j] = (leat_real)y[j];
        run(e, true, raws[i % 3], there, back, slope[1]);
        for (int j = 0; j < POINTS; j++) {
            steep[j] = exp(fabs(slope[1][j]));
            slope[1][j] *= -1;
            double error = fabs(back[j] - (double)at.data[j]);
            cr_assert(error <= (double)CLOSE / 10 * bound * steep[j], "%d: x = %g, off by %g, slope %g", i,
                      (double)at.data[j], error, steep[j]);
            cr_assert(j == 0 || y[j] > y[j - 1] - (double)CLOSE / 100 * bound);
        }
        check_slopes(e, raws[i % 3], back, steep, slope[1]);
        leat_model_free(m);
    }
}

/* Beyond the bound nothing changes, to the bit; circular, one period further it is the same. */
Test(spline, outside)
{
    static const double far[] = { 5.0000005, -5.0000005, 1e3, -1e3, 1e30, (double)INFINITY, -(double)INFINITY };
    double y[7], slope[7], turned[2][7];
    leat_model *m = test_model(0);
    const leat_elementwise *linear = leat_rational_quadratic(m, NULL);
    const leat_elementwise *circular = leat_rational_quadratic(m, &options[4]);
    leat_tensor x = test_tensor(7, 1);
    for (int inverse = 0; inverse < 2; inverse++) {
        for (int i = 0; i < 7; i++)
            x.data[i] = (leat_real)far[i];
        run(linear, inverse, waves, x, y, slope);
        for (int i = 0; i < 7; i++)
            cr_assert(y[i] == (double)x.data[i] && slope[i] == 0, "%g gives %g, %g", far[i], y[i], slope[i]);
        for (int turn = 0; turn < 2; turn++) {
            for (int i = 0; i < 7; i++)
                x.data[i] = (leat_real)(i - 3.25 + (turn ? 10 * (i - 3) : 0));
            run(circular, inverse, waves, x, turned[turn], slope);
        }
        for (int i = 0; i < 7; i++)
            cr_assert(fabs(turned[0][i] - turned[1][i]) <= 100 * (double)CLOSE, "turn %d: %g, %g", i - 3, turned[0][i],
                      turned[1][i]);
    }
    x.data[0] = (leat_real)NAN;
    run(linear, false, waves, x, y, slope);
    cr_assert(isnan(y[0]) && isnan(slope[0]) && isfinite(y[1]));
    leat_model_free(m);
}

/* ---- nflows and zuko ------------------------------------------------------------------------------------------------------ */

static leat_tensor part(const leat_safetensors *f, const char *kind, const char *name, const char *suffix)
{
    char key[100];
    snprintf(key, sizeof key, "%s.%s%s", kind, name, suffix);
    return fixture_get(f, key);
}

/* As a tensor [n, 1, ..], so that each element has a log-derivative of its own. */
static leat_tensor one_by_one(leat_tensor t)
{
    leat_shape s = t.shape;
    int64_t n = s.size[0] * s.size[1];
    t.shape = s.rank == 3 ? LEAT_SHAPE(n, 1, s.size[2]) : LEAT_SHAPE(n, 1);
    return t;
}

static void compare_with_theirs(const leat_safetensors *f, const leat_rational_quadratic_opts *o, const char *kind,
                                bool inverse)
{
    static const char *const names[] = { "widths", "heights", "slopes" };
    const char *y = inverse ? "back" : "y";
    leat_model *m = test_model(0);
    const leat_elementwise *e = leat_rational_quadratic(m, o);
    leat_tape *t = test_tape(m);
    leat_var x = leat_input(t, one_by_one(part(f, kind, inverse ? "z" : "x", ""))), theta[3];
    for (int g = 0; g < 3; g++)
        theta[g] = leat_input(t, one_by_one(part(f, kind, names[g], "")));
    leat_pair out = (inverse ? e->inverse : e->forward)(e, x, theta);
    assert_tape(t);
    leat_tensor logdet = one_by_one(part(f, kind, inverse ? "back_logdet" : "logdet", "")),
                h = one_by_one(fixture_get(f, "h"));
    logdet.shape.rank = h.shape.rank = 1;
    assert_near(leat_value(out.y), one_by_one(part(f, kind, y, "")), CLOSE, 1, y);
    assert_near(leat_value(out.logdet), logdet, CLOSE, 1, "logdet");
    leat_var g = leat_mul(out.y, leat_const(t, one_by_one(fixture_get(f, "g"))));
    cr_assert_eq(leat_backward(leat_add(leat_sum(g), leat_sum(leat_mul(out.logdet, leat_const(t, h))))), LEAT_OK);
    assert_near(leat_grad(x), one_by_one(part(f, kind, y, ".grad.element")), CLOSE_GRADIENTS, 1, "element");
    for (int i = 0; i < 3; i++) {
        char key[50];
        snprintf(key, sizeof key, ".grad.%s", names[i]);
        assert_near(leat_grad(theta[i]), one_by_one(part(f, kind, y, key)), CLOSE_GRADIENTS, 1, key);
    }
    leat_model_free(m);
}

Test(spline, gives_what_nflows_and_zuko_give)
{
    leat_safetensors f = fixture("spline");
    for (int inverse = 0; inverse < 2; inverse++) {
        compare_with_theirs(&f, &(leat_rational_quadratic_opts){ .bound = 3 }, "linear", inverse);
        compare_with_theirs(&f, &(leat_rational_quadratic_opts){ .bound = 3, .clipped = true }, "clipped", inverse);
        compare_with_theirs(&f, &(leat_rational_quadratic_opts){ .bound = 3, .bins = 5, .circular = true }, "circular",
                            inverse);
    }
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

/* Values and gradients of 900 rows, all at once on some threads, or each row alone. */
static void run_rows(int threads, bool alone, leat_real *y, leat_real *logdet, leat_real *grad)
{
    enum { ROWS = 900, FEATURES = 7, BINS = 8 };
    leat_tensor x = test_normal(1, ROWS, FEATURES, 4), theta = test_normal(2, ROWS, FEATURES * 3 * BINS, 1);
    leat_pool *pool = leat_pool_new(threads, NULL);
    leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool });
    for (int64_t at = 0, rows = alone ? 1 : ROWS; at < ROWS; at += rows) {
        leat_tape_reset(t);
        leat_var group[3], sum;
        leat_var element = leat_const(t, (leat_tensor){ x.data + at * FEATURES, LEAT_SHAPE(rows, FEATURES) });
        leat_var all = leat_input(
            t, (leat_tensor){ theta.data + at * FEATURES * 3 * BINS, LEAT_SHAPE(rows, FEATURES * 3 * BINS) });
        for (int g = 0; g < 3; g++)
            group[g] = leat_reshape(leat_slice(all, 1, g * FEATURES * BINS, FEATURES * BINS),
                                    LEAT_SHAPE(rows, FEATURES, BINS));
        leat_spline s = { 5, 1e-3, 1e-3, 1e-3, false };
        leat_var out = leat_rational_quadratic_inverse(element, group[0], group[1], group[2], &s, &sum);
        cr_assert_eq(leat_backward(leat_add(leat_sum(out), leat_sum(sum))), LEAT_OK, "%s", leat_tape_errmsg(t));
        memcpy(y + at * FEATURES, leat_value(out).data, (size_t)(rows * FEATURES) * sizeof *y);
        memcpy(logdet + at, leat_value(sum).data, (size_t)rows * sizeof *y);
        memcpy(grad + at * FEATURES * 3 * BINS, leat_grad(all).data, (size_t)(rows * FEATURES * 3 * BINS) * sizeof *y);
    }
    leat_tape_free(t);
    leat_pool_free(pool);
}

Test(spline, rows_stand_for_themselves)
{
    static leat_real y[2][900 * 7], logdet[2][900], grad[2][900 * 7 * 24];
    run_rows(1, true, y[0], logdet[0], grad[0]);
    for (int threads = 1; threads <= 3; threads++) {
        run_rows(threads, false, y[1], logdet[1], grad[1]);
        cr_assert_eq(memcmp(y[0], y[1], sizeof y[0]), 0);
        cr_assert_eq(memcmp(logdet[0], logdet[1], sizeof logdet[0]), 0);
        cr_assert_eq(memcmp(grad[0], grad[1], sizeof grad[0]), 0);
    }
}

/* Zeros are the identity, clipped; else slopes are softplus(0), but at the ends. */
Test(spline, zeros)
{
    static double y[POINTS], slope[POINTS];
    leat_model *m = test_model(0);
    leat_tensor x = test_tensor(POINTS, 1);
    for (int j = 0; j < POINTS; j++)
        x.data[j] = (leat_real)(5 * (j - 2000) / 2000.);
    run(leat_rational_quadratic(m, &(leat_rational_quadratic_opts){ .clipped = true }), false, zeros, x, y, slope);
    for (int j = 0; j < POINTS; j++)
        cr_assert(fabs(y[j] - (double)x.data[j]) <= (double)CLOSE && fabs(slope[j]) <= (double)CLOSE, "x = %g",
                  (double)x.data[j]);
    run(leat_rational_quadratic(m, NULL), false, zeros, x, y, slope);
    cr_assert(fabs(slope[2000] - log(1e-3 + log(2))) <= (double)CLOSE && fabs(slope[0]) <= (double)CLOSE);
    leat_model_free(m);
}

/* ---- in a model -------------------------------------------------------------------------------------------------- */

Test(spline, trains)
{
    leat_model *m = test_model(3);
    leat_flow *f = spline_flow(m, NULL, 2, 0.3);
    leat_tensor x = test_normal(5, 256, 2, 1);
    for (int i = 0; i < 256; i++)
        x.data[2 * i + 1] = (leat_real)(sin(2 * (double)x.data[2 * i]) + 0.1 * (double)x.data[2 * i + 1]);
    double gain = gain_by_training(f, x, 60);
    cr_assert_gt(gain, 0.5);
    leat_flow_report r;
    x.shape.size[0] = 8;
    cr_assert(leat_flow_check(f, x, NULL, &r), "%s", r.reason);
    leat_model_free(m);
}

/* The file has bins, bound, least sizes and whether it is circular. */
Test(spline, comes_back_from_a_file)
{
    leat_tensor x = test_normal(5, 40, 4, 2);
    for (int i = 0; i < OPTIONS; i++) {
        double scores[2][40];
        leat_status s = { 0 };
        leat_model *m = test_model(0);
        leat_flow *f = spline_flow(m, &options[i], 4, 0.4);
        cr_assert_eq(leat_flow_save(f, file_name(), 0, NULL, &s), LEAT_OK, "%s", s.message);
        leat_flow *back = leat_flow_load(file_name(), NULL, NULL, &s);
        cr_assert_not_null(back, "%s", s.message);
        cr_assert_eq(leat_flow_score(f, test_tape(m), x, scores[0]), LEAT_OK);
        cr_assert_eq(leat_flow_score(back, test_tape(leat_flow_model(back)), x, scores[1]), LEAT_OK);
        cr_assert_arr_eq(scores[0], scores[1], sizeof scores[0]);
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
    }
    remove(file_name());
}

static const leat_rational_quadratic_opts refused[] = {
    { .bins = 65 },         { .bound = -1 },       { .bins = 10, .least_width = 0.1 },
    { .least_height = -1 }, { .least_slope = -1 }, { .clipped = true, .least_slope = 1 },
};

Test(spline, refuses_what_is_no_spline)
{
    static const char *const reasons[] = { "65 bins, not 2 to 64",
                                           "no spline of 8 bins has the bound -1",
                                           "no spline of 10 bins has the bound 5 and least sizes 0.1",
                                           "0.001, -1 and 0.001",
                                           "0.001, 0.001 and -1",
                                           "0, 0 and 1" };
    for (int i = 0; i < 6; i++) {
        leat_model *m = test_model(0);
        leat_flow *f = spline_flow(m, &refused[i], 3, 0.3);
        leat_tape *t = test_tape(m);
        cr_assert_not(leat_ok(leat_flow_log_prob(f, leat_const(t, test_normal(1, 4, 3, 1)))));
        assert_contains(leat_tape_errmsg(t), reasons[i]);
        leat_model_free(m);
    }
}
