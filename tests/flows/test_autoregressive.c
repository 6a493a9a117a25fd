/* Autoregressive transforms: both directions of any bijector, in any order, with and without a context, at every
 * position, trained, from files; the inverse by one pass has the bits of the inverse by a pass for each feature. */
#include "support.h"

#include <unistd.h>

static const leat_tensor none;

static const char *path_of(const char *name)
{
    static char folder[] = "/tmp/leat-ar-XXXXXX", path[100];
    static bool made;
    if (!made)
        cr_assert_not_null(mkdtemp(folder));
    made = true;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- flows ------------------------------------------------------------------------------------------------------- */

/* y = x exp(s) + t + tanh(x), whose inverse is found by search: wider groups are a reshape more. */
static leat_pair bent_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    leat_var slope = leat_exp(leat_tanh(theta[0])), t = leat_tanh(x);
    leat_var shift = leat_sum_axes(theta[1], 1, (int[]){ -1 }, false);
    leat_var y = leat_add(leat_add(leat_mul(x, slope), shift), t);
    return (leat_pair){ y, leat_log(leat_add(slope, leat_rsub_scalar(1, leat_square(t)))) };
}

static const leat_elementwise bent = { .name = "bent", .theta = { { "s", 1 }, { "t", 3 } }, .forward = bent_forward };

enum { BIJECTORS = 9 };

/* Splines too, the first of one slope, and a mixture of logistics. */
static const leat_elementwise *bijector(leat_model *m, int i)
{
    static const leat_elementwise *const others[] = { &leat_additive,        &leat_affine,         &leat_bounded_affine,
                                                      &leat_softplus_affine, &leat_floored_affine, &bent };
    leat_rational_quadratic_opts spline = { .bins = i == 6 ? 2 : 5, .bound = 2 };
    return i < 6 ? others[i] : i < 8 ? leat_rational_quadratic(m, &spline) : leat_logistic_mixture(m, 3);
}

static const int64_t dims[] = { 1, 2, 3, 7, 64, 65 };
enum { DIMS = sizeof dims / sizeof *dims };

static leat_module *made_for(leat_model *m, const leat_elementwise *e, int64_t dim, int64_t context, uint64_t order)
{
    leat_made_opts o = { .features = dim, .context = context, .hidden = { 17, 12 }, .activation = LEAT_TANH };
    int64_t places[65];
    leat_rng rng = leat_rng_new(order, 3);
    leat_rng_permutation(&rng, places, dim);
    o.order = order ? places : NULL;
    for (int g = 0; e->theta[g].name; g++)
        o.widths[g] = e->theta[g].width;
    return leat_made(m, &o);
}

/* Two of them, the second turned round, with orders of their own. */
static leat_flow *two_of(leat_model *m, const leat_elementwise *e, int64_t dim, int64_t context)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, dim));
    leat_flow_set_context(f, context);
    leat_flow_add(f, leat_autoregressive(m, made_for(m, e, dim, context, 0), e));
    leat_flow_add(f, leat_inverse_of(m, leat_autoregressive(m, made_for(m, e, dim, context, 7), e)));
    assert_model(m);
    return f;
}

/* On [.., 3, 2, 4], the context at every position. */
static leat_flow *positions(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, 24));
    leat_flow_set_context(f, 2);
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(24), LEAT_SHAPE(3, 2, 4)));
    leat_flow_add(f, leat_autoregressive(m, made_for(m, &leat_affine, 4, 2, 5), &leat_affine));
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(3, 2, 4), LEAT_SHAPE(24)));
    assert_model(m);
    return f;
}

enum { MAF, NSF, NSF_COUPLING, MODELS };

static leat_flow *model_of(leat_model *m, int kind, int64_t dim, int64_t context, leat_between between)
{
    leat_maf_opts maf = { .dim = dim, .transforms = 3, .hidden = { 24, 20 }, .context = context };
    leat_nsf_opts nsf = { .dim = dim, .transforms = 3, .hidden = { 24, 20 }, .context = context, .bins = 4 };
    maf.between = nsf.between = between;
    maf.activation = nsf.activation = LEAT_TANH;
    nsf.coupling = kind == NSF_COUPLING;
    leat_flow *f = kind == MAF ? leat_maf_new(m, &maf) : leat_nsf_new(m, &nsf);
    assert_model(m);
    return f;
}

/* ---- the checker ------------------------------------------------------------------------------------------------- */

static void expect_right(leat_flow *f, double scale, double tolerance, const char *what)
{
    leat_flow_report r;
    leat_flow_check_opts o = { .tolerance = tolerance, .jacobian_rows = 2 };
    if (leat_flow_context(f))
        o.context = test_normal(9, 6, leat_flow_context(f), 1);
    bool ok = leat_flow_check(f, test_normal(7, 6, leat_flow_dim(f), scale), &o, &r);
    cr_assert(ok, "%s, %lld features, context %lld, inputs times %g: %s", what, (long long)leat_flow_dim(f),
              (long long)leat_flow_context(f), scale, r.reason);
    cr_assert_lt(r.never_moved, 0, "%s", what);
}

Test(autoregressive, passes_the_checker)
{
    for (int i = 0; i < BIJECTORS * DIMS; i++) {
        for (int64_t context = 0; context < 3; context += 2) {
            leat_model *m = test_model((uint64_t)i);
            const leat_elementwise *e = bijector(m, i / DIMS);
            leat_flow *f = two_of(m, e, dims[i % DIMS], context);
            randomize(m, 0.3);
            bool slow = dims[i % DIMS] > 10; /* at one scale; of those whose inverse is searched for, none */
            if (slow && (dims[i % DIMS] == 65) != (context > 0)) {
                leat_model_free(m);
                continue;
            }
            for (double scale = slow ? 1 : 1e-3; scale < (slow ? e->inverse ? 10 : 0 : 1e4); scale *= 1e3)
                expect_right(f, scale, e->inverse ? 0 : sizeof(leat_real) == 8 ? 1e-8 : 0, e->name);
            leat_model_free(m);
        }
    }
}

Test(autoregressive, passes_the_checker_at_every_position)
{
    leat_model *m = test_model(1);
    leat_flow *f = positions(m);
    randomize(m, 0.5);
    expect_right(f, 1, 0, "positions");
    leat_model_free(m);
}

/* 30 steps on rows of which each feature bends with the one before. */
static void train(leat_flow *f, int64_t context)
{
    leat_model *m = leat_flow_model(f);
    int64_t dim = leat_flow_dim(f);
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 5e-3 });
    leat_tape *t = test_tape(m);
    double first = 0, loss = 0;
    leat_tensor x = test_normal(1, 128, dim, 1), c = test_normal(2, 128, 2, 1);
    for (int64_t i = 0; i < 128 * dim; i++)
        x.data[i] = (leat_real)(0.3 * (double)x.data[i] + (i % dim ? pow((double)x.data[i - 1], 2) : 1));
    for (int step = 0; step < 30; step++) {
        leat_tape_reset(t);
        leat_var given = context ? leat_const(t, c) : (leat_var){ 0 };
        leat_var value = leat_neg(leat_mean(leat_flow_log_prob_given(f, leat_borrow(t, x), given)));
        loss = leat_item(value);
        first = step ? first : loss;
        cr_assert_eq(leat_backward(value), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    }
    cr_assert_lt(loss, first - 0.1);
}

Test(autoregressive, models_are_right_trained_and_loaded)
{
    for (int i = 0; i < 6 * MODELS; i++) {
        int kind = i / 6;
        int64_t context = i % 6 < 3 ? 0 : 2;
        leat_model *m = test_model((uint64_t)i);
        leat_flow *f = model_of(m, kind, i % 3 == 1 && kind != NSF_COUPLING ? 1 : 5, context, (leat_between)(i % 3));
        leat_status s = { 0 };
        double scores[2][40];
        leat_tensor x = test_normal(1, 40, leat_flow_dim(f), 1), c = context ? test_normal(2, 40, context, 1) : none;
        train(f, context);
        expect_right(f, 1, 0, "trained");
        cr_assert_eq(leat_flow_save(f, path_of("model"), 0, NULL, &s), LEAT_OK, "%s", s.message);
        leat_flow *back = leat_flow_load(path_of("model"), NULL, NULL, &s);
        cr_assert_not_null(back, "%s", s.message);
        expect_right(back, 1, 0, "loaded");
        cr_assert_eq(leat_flow_score_given(f, test_tape(m), x, c, scores[0]), LEAT_OK);
        cr_assert_eq(leat_flow_score_given(back, test_tape(leat_flow_model(back)), x, c, scores[1]), LEAT_OK);
        cr_assert_eq(memcmp(scores[0], scores[1], sizeof scores[0]), 0);
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
    }
}

/* ---- the inverse ------------------------------------------------------------------------------------------------- */

static void expect_same_bits(leat_tensor a, leat_tensor b, const char *what)
{
    cr_assert(leat_shape_equal(&a.shape, &b.shape) && a.data && b.data, "%s", what);
    for (int64_t i = 0; i < leat_shape_count(&a.shape); i++)
        cr_assert_eq(a.data[i], b.data[i], "%s[%lld]: %.17g, not %.17g", what, (long long)i, (double)b.data[i],
                     (double)a.data[i]);
}

static leat_pair invert(leat_flow *f, leat_tensor z, leat_tensor context, bool recording)
{
    leat_tape *t = leat_model_tape(leat_flow_model(f), &(leat_tape_opts){ .values_only = !recording });
    leat_var given = context.data ? leat_const(t, context) : (leat_var){ 0 };
    leat_pair x = leat_flow_inverse_given(f, leat_const(t, z), given);
    assert_tape(t);
    return x;
}

Test(autoregressive, one_pass_has_the_bits_of_many)
{
    for (int i = 0; i < BIJECTORS * DIMS + 1; i++) {
        leat_model *m = test_model((uint64_t)i);
        bool ranks = i == BIJECTORS * DIMS;
        leat_flow *f = ranks ? positions(m) : two_of(m, bijector(m, i / DIMS), dims[i % DIMS], i % 2 ? 2 : 0);
        int64_t context = leat_flow_context(f);
        randomize(m, 0.3);
        leat_tensor z = test_normal(1, 33, leat_flow_dim(f), 1), c = context ? test_normal(2, 33, context, 1) : none;
        leat_pair recorded = invert(f, z, c, true), plain = invert(f, z, c, false);
        expect_same_bits(leat_value(recorded.y), leat_value(plain.y), "x");
        expect_same_bits(leat_value(recorded.logdet), leat_value(plain.logdet), "log-determinant");
        leat_model_free(m);
    }
}

/* The hidden units of the MADE see other features than its own masks let them, as a file may have it. */
static void turn_units(leat_visitor *v, leat_module *owner, leat_buffer *b)
{
    (void)v, (void)owner;
    int64_t rows = b->value.shape.size[0], columns = b->value.shape.size[1];
    for (int64_t i = 0; rows == 17 && i < rows / 2; i++) { /* upside down */
        for (int64_t j = 0; j < columns; j++) {
            leat_real was = b->value.data[i * columns + j], *other = &b->value.data[(rows - 1 - i) * columns + j];
            b->value.data[i * columns + j] = *other;
            *other = was;
        }
    }
    for (int64_t i = 0; rows == 12 && i < rows; i++) /* the second layer reads them, and sees one of them no more */
        for (int64_t j = 0; j < columns / 2; j++) {
            leat_real was = b->value.data[i * columns + j], *other = &b->value.data[i * columns + columns - 1 - j];
            b->value.data[i * columns + j] = i == 3 ? 0 : *other;
            *other = was;
        }
}

Test(autoregressive, masks_of_a_file)
{
    leat_model *m = test_model(0), *other = test_model(1);
    two_of(m, &leat_affine, 7, 2);
    leat_flow *g = two_of(other, &leat_affine, 7, 2);
    leat_status s = { 0 };
    leat_safetensors file;
    randomize(m, 0.3);
    leat_visitor v = { .buffer = turn_units };
    leat_visit_model(&v, m);
    cr_assert_eq(leat_save(m, path_of("masks"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_safetensors_read(path_of("masks"), test_arena(), &file, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_load_tensors(other, &file, "masks", &s), LEAT_OK, "%s", s.message);
    leat_tensor z = test_normal(1, 9, 7, 1), c = test_normal(2, 9, 2, 1);
    expect_same_bits(leat_value(invert(g, z, c, true).y), leat_value(invert(g, z, c, false).y), "x");
    expect_right(g, 1, 0, "other masks");
    leat_model_free(other);
    leat_model_free(m);
}

/* Encoding and decoding by chunks of any size, and draws by their number. */
Test(autoregressive, a_row_depends_on_itself_alone)
{
    enum { ROWS = 2500, DIM = 5 };
    leat_model *m = test_model(3);
    leat_flow *f = two_of(m, &leat_bounded_affine, DIM, 2);
    randomize(m, 0.3);
    leat_tape *t = test_tape(m);
    leat_tensor z = test_normal(1, ROWS, DIM, 1), c = test_normal(2, ROWS, 2, 1), x = test_tensor(ROWS, DIM);
    cr_assert_eq(leat_flow_decode(f, t, z, c, x.data, NULL), LEAT_OK, "%s", leat_tape_errmsg(t));
    static const int64_t parts[][2] = { { 0, 1 }, { 17, 2 }, { 60, 9 }, { 2040, 100 }, { 2499, 1 } };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int64_t first = parts[i][0], n = parts[i][1];
        leat_tensor part = test_tensor(n, DIM), some = { z.data + first * DIM, LEAT_SHAPE(n, DIM) };
        leat_tensor given = { c.data + first * 2, LEAT_SHAPE(n, 2) };
        cr_assert_eq(leat_flow_decode(f, t, some, given, part.data, NULL), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(memcmp(part.data, x.data + first * DIM, (size_t)(n * DIM) * sizeof(leat_real)), 0, "part %zu", i);
    }
    leat_model_free(m);
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static leat_var both_ways(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n;
    leat_pair x = leat_flow_inverse_given(user, in[0], in[1]);
    return leat_add(leat_sum_features(leat_sin(x.y)), x.logdet);
}

static leat_var log_prob(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n;
    return leat_flow_log_prob_given(user, in[0], in[1]);
}

/* In float differences are taken so wide that they reach over a spline's knots, where log-derivatives have a kink. */
Test(autoregressive, gradients_are_those_of_differences)
{
    for (int i = 0; i < (sizeof(leat_real) == 8 ? BIJECTORS : 4); i++) {
        leat_model *m = test_model(2);
        const leat_elementwise *e = bijector(m, i);
        leat_flow *f = two_of(m, e, 3, 2);
        randomize(m, 0.5);
        leat_tensor in[2] = { test_normal(1, 4, 3, 1), test_normal(2, 4, 2, 1) };
        for (int k = 0; k < 2; k++) {
            leat_gradcheck_report r;
            cr_assert(leat_gradcheck(k ? both_ways : log_prob, f, 2, in, NULL, &r), "%s, %d: %s %s: %g and %g", e->name,
                      k, r.reason, r.status.message, r.analytic, r.numeric);
        }
        leat_model_free(m);
    }
}

/* ---- the bounded log-scale --------------------------------------------------------------------------------------- */

Test(autoregressive, a_bounded_scale_stays_between_its_bounds)
{
    leat_model *m = test_model(0);
    leat_tape *t = test_tape(m);
    leat_real s[] = { 0, (leat_real)0.01, 1, -50, (leat_real)1e30 }, zeros[5] = { 0 }, ones[] = { 1, 1, 1, 1, 1 };
    leat_var theta[] = { leat_const(t, (leat_tensor){ s, LEAT_SHAPE(5, 1) }),
                         leat_const(t, (leat_tensor){ zeros, LEAT_SHAPE(5, 1) }) };
    leat_var x = leat_const(t, (leat_tensor){ ones, LEAT_SHAPE(5, 1) });
    leat_tensor a = leat_value(leat_bounded_affine.forward(&leat_bounded_affine, x, theta).logdet);
    double c = log(1000);
    for (int i = 0; i < 5; i++) {
        double want = c * (double)s[i] / (c + fabs((double)s[i]));
        cr_assert_float_eq((double)a.data[i], want, CLOSE, "%g: %.17g, not %.17g", (double)s[i], (double)a.data[i],
                           want);
    }
    leat_model_free(m);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

Test(autoregressive, what_does_not_fit_is_refused)
{
    leat_model *m = test_model(0);
    leat_autoregressive(m, leat_linear_layer(m, 2, 4), &leat_affine);
    assert_contains(leat_model_errmsg(m), "affine asks for a MADE with groups of its widths");
    leat_model_free(m);
    for (int i = 0; i < 2; i++) { /* one group of two is not two of one; nor is one more */
        leat_made_opts o = { .features = 3, .widths = { 2 } };
        if (i)
            memcpy(o.widths, (int64_t[]){ 1, 1, 1 }, 3 * sizeof *o.widths);
        m = test_model(0);
        cr_assert_null(leat_autoregressive(m, leat_made(m, &o), &leat_affine));
        assert_contains(leat_model_errmsg(m), "affine asks for a MADE with groups of its widths");
        leat_model_free(m);
    }
    m = test_model(0);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 3));
    leat_flow_set_context(f, 1);
    leat_flow_add(f, leat_autoregressive(m, made_for(m, &leat_affine, 3, 0, 0), &leat_affine));
    leat_flow_add(f, leat_autoregressive(m, made_for(m, &leat_affine, 2, 1, 0), &leat_affine));
    leat_tape *t = leat_model_tape(m, &(leat_tape_opts){ .values_only = true });
    leat_flow_inverse_given(f, leat_full(t, LEAT_SHAPE(4, 3), 1), leat_full(t, LEAT_SHAPE(4, 1), 1));
    assert_contains(leat_tape_errmsg(t), "layers.1: an autoregressive transform of 2 features is given [4,3]");
    leat_tape_reset(t);
    leat_transform_inverse(leat_flow_layer(f, 0), leat_full(t, LEAT_SHAPE(4, 3), 1),
                           &(leat_flow_call){ .context = leat_full(t, LEAT_SHAPE(4, 1), 1) });
    assert_contains(leat_tape_errmsg(t), "layers.0.made: made takes no context");
    leat_model_free(m);
}
