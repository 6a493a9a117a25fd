/* Elementwise bijectors, each by a line of a table: the checker at every scale, in couplings and autoregressive; equal and
 * lopsided parameters; gradients, files, training. Then what each is by its definition. */
#include "support.h"

#include <unistd.h>

/* Of this process, for both precisions are tested at once. */
static const char *file_name(void)
{
    static char name[60];
    snprintf(name, sizeof name, "/tmp/leat-bijectors-%ld.safetensors", (long)getpid());
    return name;
}

enum { LOGISTIC, NORMAL, FLOWPP, SIGMOID, SOS, BERNSTEIN, LINEAR, QUADRATIC, KINDS };

static const leat_elementwise *bijector_of(leat_model *m, int kind, int64_t size)
{
    return kind == LOGISTIC    ? leat_logistic_mixture(m, size)
           : kind == NORMAL    ? leat_normal_mixture(m, size)
           : kind == FLOWPP    ? leat_flowpp_mixture(m, size)
           : kind == SIGMOID   ? leat_deep_sigmoid(m, size == 1 ? 3 : 0, size)
           : kind == SOS       ? leat_sos_polynomial(m, size, size > 5 ? 2 : size, 0)
           : kind == BERNSTEIN ? leat_bernstein_polynomial(m, size == 1 ? 2 : size, size > 5 ? 3 : 0)
           : kind == LINEAR    ? leat_linear_spline(m, size == 1 ? 2 : size, size > 5 ? 3 : 0)
                               : leat_quadratic_spline(m, size == 1 ? 2 : size, size > 5 ? 3 : 0);
}

static double tolerance_of(int kind)
{
    return sizeof(leat_real) == 4 ? 1e-4 : kind >= LINEAR ? 1e-9 : 1e-8; /* the inverse is searched for */
}

/* Two couplings, or an autoregressive transform and one turned round. */
static leat_flow *flow_of(leat_model *m, const leat_elementwise *e, bool autoregressive, double scale)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, 3));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, 3, i);
        leat_made_opts o = { .features = 3, .hidden = { 7, 6 }, .activation = LEAT_TANH };
        for (int g = 0; e->theta[g].name; g++)
            o.widths[g] = e->theta[g].width;
        leat_transform *t = autoregressive
                                ? leat_autoregressive(m, leat_made(m, &o), e)
                                : leat_coupling(m, mask, e, test_net(m, &mask, 0, leat_elementwise_width(e)));
        leat_flow_add(f, autoregressive && i ? leat_inverse_of(m, t) : t);
    }
    randomize(m, scale);
    return f;
}

static leat_flow *mixture_flow(leat_model *m, int kind, int64_t components, double scale)
{
    return flow_of(m, bijector_of(m, kind, components), false, scale);
}

Test(bijectors, pass_the_checker)
{
    static const double scales[] = { 1e-3, 1, 1e3, 1e6 };
    static const int64_t sizes[] = { 0, 1, 4, 32 };
    for (int i = 0; i < 8 * KINDS; i++) {
        for (int s = 0; s < 4; s++) {
            if (i % 2 && sizes[i / 2 % 4] == 32)
                continue;
            leat_model *m = test_model(1);
            const leat_elementwise *e = bijector_of(m, i / 8, sizes[i / 2 % 4]);
            leat_flow *f = flow_of(m, e, i % 2, 0.5);
            leat_flow_report r;
            leat_flow_check_opts o = { .tolerance = tolerance_of(i / 8) };
            cr_assert(leat_flow_check(f, test_normal(7, 8, 3, scales[s]), &o, &r),
                      "%s, size %d, autoregressive %d, inputs times %g: %s", e->name, (int)sizes[i / 2 % 4], i % 2,
                      scales[s], r.reason);
            leat_model_free(m);
        }
    }
}

/* ---- parameters that are all equal, and such that one part is almost all ------------------------------------------ */

/* A transform of one feature, whatever its value, by those raw numbers. */
typedef struct by_itself {
    leat_transform transform;
    const leat_elementwise *e;
    double (*raw)(int64_t i);
} by_itself;

static double zeros(int64_t i)
{
    return 0 * (double)i;
}

static double lopsided(int64_t i)
{
    return i % 7 == 2 ? 12 : -12;
}

static double waves(int64_t i)
{
    return 1.5 * sin(7 * (double)i);
}

static double (*const raws[])(int64_t) = { zeros, lopsided, waves };

static leat_pair run_by_itself(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const by_itself *a = (const by_itself *)t;
    int64_t n = leat_var_size(x, 0);
    leat_var theta[LEAT_MAX_GROUPS];
    for (int g = 0; a->e->theta[g].name; g++) {
        int64_t width = a->e->theta[g].width;
        leat_tensor values =
            leat_tensor_new(test_arena(), width > 1 ? LEAT_SHAPE(n, 1, width) : LEAT_SHAPE(n, 1), NULL);
        for (int64_t i = 0; i < n * width; i++)
            values.data[i] = (leat_real)a->raw(i % width + 3 * g);
        theta[g] = leat_const(x.tape, values);
    }
    return leat_elementwise_run(a->e, x, theta, inverse);
}

static const leat_transform_type by_itself_type = { .module = { .name = "by_itself" }, .run = run_by_itself };

Test(bijectors, equal_and_lopsided_parameters)
{
    static const double far[] = { 0, 1e-3, -1e-3, 1, -1, 2.5, -4.999999, 5, -5, 5.000001, -6, 30, 1e3, -1e3 };
    enum { POINTS = sizeof far / sizeof *far };
    leat_tensor x = test_tensor(POINTS, 1);
    for (int i = 0; i < POINTS; i++)
        x.data[i] = (leat_real)far[i];
    for (int i = 3 * SIGMOID; i < 3 * KINDS; i++) {
        if (sizeof(leat_real) == 4 && i == 3 * SIGMOID + 1)
            continue; /* so flat between its steps that float loses x there */
        leat_model *m = test_model(0);
        by_itself *a = leat_module_new(m, &by_itself_type.module, sizeof *a);
        a->e = bijector_of(m, i / 3, 0);
        a->raw = raws[i % 3];
        leat_flow *f = leat_flow_new(m, leat_normal(m, 1));
        leat_flow_add(f, &a->transform);
        leat_flow_report r;
        leat_flow_check_opts o = { .tolerance = tolerance_of(i / 3), .jacobian_rows = POINTS };
        cr_assert(leat_flow_check(f, x, &o, &r), "%s, raw %d: %s", a->e->name, i % 3, r.reason);
        leat_tape *t = test_tape(m);
        leat_pair y = leat_flow_forward(f, leat_const(t, x));
        assert_tape(t);
        bool same = i / 3 >= BERNSTEIN && i % 3 == 0; /* then it changes nothing */
        for (int k = 0; k < POINTS && same; k++) {
            double off = fabs((double)leat_value(y.y).data[k] - far[k]) / fmax(1, fabs(far[k]));
            cr_assert(off <= (double)CLOSE && fabs((double)leat_value(y.logdet).data[k]) <= (double)CLOSE, "%s at %g",
                      a->e->name, far[k]);
        }
        leat_model_free(m);
    }
}

/* ---- what they are, by the definition ----------------------------------------------------------------------------- */

static double logit_of_sigmoids(double x, int64_t layer)
{
    double total = 0, below = 0, above = 0;
    for (int64_t i = 8 * layer; i < 8 * layer + 8; i++) {
        double w = exp(waves(i)), z = (1e-3 + log1p(exp(waves(i + 3)))) * x + waves(i + 6);
        total += w;
        below += w / (1 + exp(-z));
        above += w / (1 + exp(z));
    }
    return log(below / total) - log(above / total);
}

/* The integral by Simpson's rule, exact enough on 400 pieces. */
static double integral_of_squares(double x)
{
    double sum = 0;
    for (int i = 0; i <= 400; i++) {
        double mean = 0, u = x * i / 400 / 5;
        for (int64_t k = 0; k < 3; k++) {
            double p = 1;
            for (int64_t j = 4; j >= 0; j--)
                p += waves(5 * k + j) * pow(u, (double)j);
            mean += p * p / 3;
        }
        sum += (mean + 1e-3) * (i % 400 == 0 ? 1 : i % 2 ? 4 : 2);
    }
    return waves(3) + sum * x / 1200;
}

/* Parts of 10, raw numbers waves(from + i) + log(c_i), least 1e-3, from -5 on: knots [n + 1]. */
static void parts_by_definition(int64_t n, int64_t from, const double *c, double *knot)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += (c ? c[i] : 1) * exp(waves(from + i));
    knot[0] = -5;
    for (int64_t i = 0; i < n; i++)
        knot[i + 1] = knot[i] + 10 * (1e-3 + (1 - (double)n * 1e-3) * (c ? c[i] : 1) * exp(waves(from + i)) / total);
}

/* De Casteljau's. */
static double bernstein(double x)
{
    double c[17], s = (x + 5) / 10;
    parts_by_definition(16, 0, NULL, c);
    for (int n = 16; n > 0; n--) {
        for (int i = 0; i < n; i++)
            c[i] += s * (c[i + 1] - c[i]);
    }
    return c[0];
}

/* Knots and their slopes; of the linear one, `slope` is that of the bin behind. */
static void spline_by_definition(bool quadratic, double *x, double *y, double *slope)
{
    double c[8] = { 0 }, part[9];
    slope[0] = slope[8] = 1;
    if (!quadratic)
        parts_by_definition(8, 0, NULL, y);
    else
        parts_by_definition(8, 0, NULL, x);
    for (int i = 0; i <= 8 && !quadratic; i++)
        x[i] = -5 + 10 * i / 8.;
    for (int i = 0; i < 8 && !quadratic; i++)
        slope[i] = (y[i + 1] - y[i]) / (10 / 8.);
    for (int i = 0; i < 7; i++)
        c[i] = (x[i + 2] - x[i]) / 2;
    if (!quadratic)
        return;
    parts_by_definition(7, 3, c, part);
    y[0] = -5;
    for (int i = 0; i < 8; i++) {
        double area = 10 - (x[1] - x[0] + x[8] - x[7]) / 2;
        slope[i + 1] = i < 7 ? (part[i + 1] - part[i]) / 10 * area / c[i] : 1;
        y[i + 1] = y[i] + (x[i + 1] - x[i]) * (slope[i] + slope[i + 1]) / 2;
    }
}

static double by_definition(int kind, double at)
{
    double x[9], y[9], slope[9];
    if (kind < LINEAR)
        return kind == SIGMOID ? logit_of_sigmoids(logit_of_sigmoids(at, 0), 1)
               : kind == SOS   ? integral_of_squares(at)
                               : bernstein(at);
    spline_by_definition(kind == QUADRATIC, x, y, slope);
    int bin = 0;
    while (bin < 7 && at >= x[bin + 1])
        bin++;
    double into = at - x[bin], bent = kind == QUADRATIC ? (slope[bin + 1] - slope[bin]) / (x[bin + 1] - x[bin]) : 0;
    return y[bin] + into * (slope[bin] + bent * into / 2);
}

/* y and log-derivatives of [n, 1], by the raw numbers of a table. */
static void run_raw(int kind, double (*raw)(int64_t), bool inverse, leat_tensor x, double *y, double *slope)
{
    leat_model *m = test_model(0);
    by_itself b = { .e = bijector_of(m, kind, 0), .raw = raw };
    leat_tape *t = test_tape(m);
    leat_pair out = run_by_itself(&b.transform, leat_const(t, x), NULL, inverse);
    assert_tape(t);
    for (int64_t i = 0; i < x.shape.size[0]; i++) {
        y[i] = (double)leat_value(out.y).data[i];
        slope[i] = (double)leat_value(out.logdet).data[i];
    }
    leat_model_free(m);
}

Test(bijectors, are_what_their_definition_says)
{
    enum { POINTS = 101 };
    leat_tensor x = test_tensor(POINTS, 1);
    double y[POINTS], slope[POINTS];
    for (int i = 0; i < POINTS; i++)
        x.data[i] = (leat_real)((i - 50) / 10.);
    for (int kind = SIGMOID; kind < KINDS; kind++) {
        run_raw(kind, waves, false, x, y, slope);
        for (int i = 0; i < POINTS; i++) {
            double want = by_definition(kind, (double)x.data[i]), close = 100 * (double)CLOSE * fmax(1, fabs(want));
            cr_assert(fabs(y[i] - want) <= close, "%d, x = %g: %.17g, not %.17g", kind, (double)x.data[i], y[i], want);
        }
    }
}

/* At a knot y is the knot's, and the log-derivative that of a bin beside it, both ways; beyond the ends y = x to the bit. */
Test(bijectors, splines_at_knots_and_beyond)
{
    for (int i = 0; i < 4; i++) {
        double knot[2][9], steep[9], y[13], slope[13];
        bool quadratic = i / 2, inverse = i % 2;
        leat_tensor at = test_tensor(13, 1);
        spline_by_definition(quadratic, knot[0], knot[1], steep);
        for (int k = 0; k < 9; k++)
            at.data[k] = (leat_real)knot[inverse][k];
        at.data[9] = (leat_real)5.00001;
        at.data[10] = -1000;
        at.data[11] = (leat_real)INFINITY;
        at.data[12] = (leat_real)NAN;
        run_raw(quadratic ? QUADRATIC : LINEAR, waves, inverse, at, y, slope);
        for (int k = 0; k < 9; k++) {
            double is = exp(inverse ? -slope[k] : slope[k]);
            double off = fmin(fabs(is / steep[k] - 1), quadratic || k == 0 ? 1 : fabs(is / steep[k - 1] - 1));
            cr_assert(fabs(y[k] - knot[!inverse][k]) <= 1000 * (double)CLOSE, "%d, knot %d", i, k);
            cr_assert(off <= 1000 * (double)CLOSE, "%d, knot %d: slope %g", i, k, is);
        }
        for (int k = 9; k < 12; k++)
            cr_assert(y[k] == (double)at.data[k] && slope[k] == 0, "%d: %g", i, (double)at.data[k]);
        cr_assert(isnan(y[12]) && isnan(slope[12]));
    }
}

Test(bijectors, refuse_what_is_no_such_map)
{
    leat_model *m = test_model(0);
    const leat_elementwise *const wrong[] = {
        leat_linear_spline(m, 1, 0),      leat_linear_spline(m, 0, -1),        leat_linear_spline(m, 1000, 0),
        leat_quadratic_spline(m, 1, 0),   leat_quadratic_spline(m, 8, 1e300),  leat_sos_polynomial(m, 65, 0, 0),
        leat_sos_polynomial(m, 2, 64, 0), leat_bernstein_polynomial(m, 65, 0), leat_bernstein_polynomial(m, 1, 0),
        leat_deep_sigmoid(m, 65, 1),      leat_deep_sigmoid(m, 1, 65),         leat_sos_polynomial(m, 1, 1, -2),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        leat_tape *t = test_tape(m);
        by_itself b = { .e = wrong[i], .raw = waves };
        leat_pair out = run_by_itself(&b.transform, leat_const(t, test_tensor(2, 1)), NULL, false);
        cr_assert(!leat_ok(out.y) && leat_tape_code(t) != LEAT_OK, "%d", (int)i);
    }
    leat_elementwise own = *leat_bernstein_polynomial(m, 5, 0);
    for (int i = 0; i < 4; i++)
        own.number[i] = -1 - i;
    leat_tape *t = test_tape(m);
    by_itself b = { .e = &own, .raw = waves };
    run_by_itself(&b.transform, leat_const(t, test_tensor(2, 1)), NULL, false);
    assert_contains(leat_tape_errmsg(t), "has the constants -1, -2 and -3");
    leat_model_free(m);
}

/* y by the definition, where it can be had: of logistics logit F, of normals the y with Phi(y) = F. */
static void expect_mixture(int kind, int64_t components)
{
    const bool normal = kind == NORMAL;
    static const double weight[2] = { 0.3, -0.4 }, mean[2] = { -1, 2 }, log_scale[2] = { -0.5, 0.25 };
    leat_model *m = test_model(0);
    const leat_elementwise *e = bijector_of(m, kind, components);
    const double *const raw[3] = { weight, mean, log_scale };
    leat_tensor x = test_tensor(41, 1);
    leat_tape *t = test_tape(m);
    leat_var theta[3];
    for (int g = 0; g < 3; g++) {
        leat_shape shape = components > 1 ? LEAT_SHAPE(41, 1, components) : LEAT_SHAPE(41, 1);
        leat_tensor values = leat_tensor_new(test_arena(), shape, NULL);
        for (int64_t i = 0; i < 41 * components; i++)
            values.data[i] = (leat_real)raw[g][i % components];
        theta[g] = leat_const(t, values);
    }
    for (int i = 0; i < 41; i++)
        x.data[i] = (leat_real)((i - 20) / 8.);
    leat_pair out = e->forward(e, leat_const(t, x), theta);
    assert_tape(t);
    for (int i = 0; i < 41; i++) {
        double cdf = 0, rest = 0, density = 0, total = 0;
        for (int64_t k = 0; k < components; k++) {
            double z = ((double)x.data[i] - mean[k]) / exp(log_scale[k]);
            double below = normal ? erfc(-z / sqrt(2)) / 2 : 1 / (1 + exp(-z)),
                   above = normal ? erfc(z / sqrt(2)) / 2 : 1 / (1 + exp(z));
            cdf += exp(weight[k]) * below;
            rest += exp(weight[k]) * above;
            density += exp(weight[k] - log_scale[k]) * (normal ? exp(-z * z / 2) / sqrt(2 * acos(-1)) : below * above);
            total += exp(weight[k]);
        }
        double y = (double)leat_value(out.y).data[i], slope = (double)leat_value(out.logdet).data[i];
        double own = normal ? log(erfc(-y / sqrt(2)) / erfc(y / sqrt(2))) : y;
        double steep = normal ? exp(-y * y / 2) / sqrt(2 * acos(-1)) : cdf * rest / total / total;
        cr_assert(fabs(own - log(cdf / rest)) <= 10 * (double)CLOSE * fmax(1, fabs(own)), "x = %g", (double)x.data[i]);
        cr_assert(fabs(slope - log(density / total / steep)) <= 10 * (double)CLOSE, "x = %g", (double)x.data[i]);
    }
    leat_model_free(m);
}

Test(bijectors, is_what_the_distribution_function_says)
{
    for (int i = 0; i < 4; i++)
        expect_mixture(i / 2, 1 + i % 2);
}

typedef struct direction {
    const leat_elementwise *e;
    bool inverse;
} direction;

static leat_var run_direction(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n;
    const direction *d = user;
    leat_pair out = leat_elementwise_run(d->e, in[0], in + 1, d->inverse);
    return leat_add(leat_sum_features(leat_sin(out.y)), out.logdet);
}

/* Of the number and of all parameters, drawn or equal, within the bound and beyond. In float differences are taken so wide
 * that they reach over knots. */
Test(bijectors, gradients_are_those_of_differences)
{
    for (int i = 0; i < (sizeof(leat_real) == 8 ? 4 * KINDS : 0); i++) {
        leat_model *m = test_model(2);
        direction d = { bijector_of(m, i / 4, 4), i % 2 };
        leat_tensor in[1 + LEAT_MAX_GROUPS] = { test_normal(3, 6, 2, 1) };
        int n = 1;
        in[0].data[0] = 7;
        for (; d.e->theta[n - 1].name; n++) {
            int64_t width = d.e->theta[n - 1].width;
            in[n] = test_normal((uint64_t)n, 12, width, i & 2 ? 0 : 0.7);
            in[n].shape = width > 1 ? LEAT_SHAPE(6, 2, width) : LEAT_SHAPE(6, 2);
        }
        leat_gradcheck_report r;
        cr_assert(leat_gradcheck(run_direction, &d, n, in, NULL, &r), "%s, %d: %s %s: input %d, %g and %g", d.e->name,
                  i % 4, r.reason, r.status.message, r.input, r.analytic, r.numeric);
        leat_model_free(m);
    }
}

static void save_and_train(int kind)
{
    leat_status s = { 0 };
    leat_model *m = test_model(0);
    leat_flow *f = mixture_flow(m, kind, 5, 0.4);
    cr_assert_eq(leat_flow_save(f, file_name(), 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_flow *back = leat_flow_load(file_name(), NULL, NULL, &s);
    cr_assert_not_null(back, "%s", s.message);
    remove(file_name());
    leat_tensor x = test_normal(5, 64, 3, 1);
    double scores[2][64];
    cr_assert_eq(leat_flow_score(f, test_tape(m), x, scores[0]), LEAT_OK);
    cr_assert_eq(leat_flow_score(back, test_tape(leat_flow_model(back)), x, scores[1]), LEAT_OK);
    cr_assert_arr_eq(scores[0], scores[1], sizeof scores[0]);
    double gain = gain_by_training(f, x, 40);
    cr_assert_gt(gain, 0.3);
    leat_model_free(leat_flow_model(back));
    leat_model_free(m);
}

Test(bijectors, comes_back_from_a_file_and_trains)
{
    for (int kind = 0; kind < KINDS; kind++)
        save_and_train(kind);
}

/* What Flow++ has behind the mixture of logistics: y exp(tanh(s)) + t. */
Test(bijectors, flowpp_is_affine_behind)
{
    leat_model *m = test_model(0);
    const leat_elementwise *e = leat_flowpp_mixture(m, 2), *alone = leat_logistic_mixture(m, 2);
    leat_tape *t = test_tape(m);
    leat_var x = leat_const(t, test_normal(1, 9, 1, 2)), theta[5], scale;
    for (int g = 0; g < 5; g++) {
        leat_tensor values = test_normal(2 + (uint64_t)g, 9, g < 2 ? 1 : 2, 1);
        values.shape = g < 2 ? LEAT_SHAPE(9, 1) : LEAT_SHAPE(9, 1, 2);
        theta[g] = leat_const(t, values);
    }
    leat_pair out = e->forward(e, x, theta), inner = alone->forward(alone, x, theta + 2);
    scale = leat_tanh(theta[0]);
    assert_near(leat_value(out.y), leat_value(leat_add(leat_mul(inner.y, leat_exp(scale)), theta[1])), CLOSE, 1, "y");
    assert_near(leat_value(out.logdet), leat_value(leat_add(inner.logdet, leat_sum_features(scale))), CLOSE, 1,
                "logdet");
    leat_model_free(m);
}

Test(bijectors, refuses_less_than_no_components)
{
    leat_model *m = test_model(0);
    cr_assert_null(leat_logistic_mixture(m, -1));
    assert_contains(leat_model_errmsg(m), "a mixture of -1 components");
    leat_model_free(m);
}

Test(bijectors, refuses_more_than_there_is_room_for)
{
    leat_model *m = test_model(0);
    leat_flow *f = mixture_flow(m, FLOWPP, 65, 0.1);
    leat_tape *t = test_tape(m);
    leat_flow_log_prob(f, leat_const(t, test_normal(1, 4, 3, 1)));
    assert_contains(leat_tape_errmsg(t), "65 components, not 1 to 64");
    leat_model_free(m);
}
