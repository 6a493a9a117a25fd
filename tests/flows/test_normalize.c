/* Actnorm, batch norm and the LU linear map: what they compute, what they save, what they refuse. */
#include <stdlib.h>
#include <unistd.h>

#include "support.h"

static const leat_flow_call no_context;
static const int64_t dims[] = { 1, 2, 3, 7, 64 };
static const double scales[] = { 1e-3, 1, 1e3 };

static leat_transform *batch_norm(leat_model *m, int64_t dim)
{
    return leat_batch_norm_transform(m, dim, NULL);
}

static leat_transform *(*const makers[])(leat_model *, int64_t) = { leat_actnorm, batch_norm, leat_lu_linear };
static const char *const names[] = { "actnorm", "batch_norm", "lu_linear" };
enum { MAKERS = sizeof makers / sizeof *makers };

/* Running statistics that are not 0 and 1. */
static void set_buffer(leat_visitor *v, leat_module *owner, leat_buffer *b)
{
    (void)v, (void)owner;
    if (strncmp(b->name, "running", 7))
        return;
    for (int64_t j = 0; j < leat_shape_count(&b->value.shape); j++)
        b->value.data[j] = (leat_real)(0.5 + 0.1 * (double)(j % 5));
}

Test(normalize, pass_the_checker)
{
    for (int i = 0; i < MAKERS; i++) {
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
            leat_model *m = test_model(1);
            leat_flow *flow = leat_flow_new(m, leat_normal(m, dims[d]));
            leat_flow_add(flow, makers[i](m, dims[d]));
            assert_model(m);
            /* the factors of a larger LU with larger numbers are hard to solve by */
            randomize(m, i == 2 ? 0.5 / (double)(dims[d] + 3) : 0.5);
            leat_visitor v = { .buffer = set_buffer };
            leat_visit_model(&v, m);
            for (int s = 0; s < 3; s++) {
                leat_flow_report r;
                cr_assert(leat_flow_check(flow, test_normal(7, 6, dims[d], scales[s]), NULL, &r),
                          "%s, dim %lld, inputs times %g: %s", names[i], (long long)dims[d], scales[s], r.reason);
            }
            leat_model_free(m);
        }
    }
}

/* A variance next to eps, which then decides. */
Test(normalize, batch_norm_adds_eps)
{
    leat_model *m = test_model(1);
    leat_transform *t = leat_batch_norm_transform(m, 1, &(leat_norm_opts){ .eps = 3, .momentum = 0.1 });
    leat_tape *tape = leat_model_tape(m, NULL);
    leat_tensor x = { (leat_real[]){ -1, 1 }, LEAT_SHAPE(2, 1) };
    leat_pair y = leat_transform_forward(t, leat_const(tape, x), &no_context);
    assert_tape(tape);
    cr_assert_lt(fabs((double)leat_value(y.y).data[1] - 0.5), CLOSE); /* 1 / sqrt(1 + 3) */
    cr_assert_lt(fabs((double)leat_value(y.logdet).data[0] + log(2)), CLOSE);
    leat_model_free(m);
}

static leat_tensor offset_rows(uint64_t seed, int64_t n)
{
    leat_tensor x = test_normal(seed, n, 3, 1);
    for (int64_t i = 0; i < 3 * n; i++)
        x.data[i] = (leat_real)((double)x.data[i] * (i % 3 == 0 ? 5 : 0.2) + (double)(i % 3) - 1);
    return x;
}

/* Actnorm adds 1e-6 to standard deviations, which takes 1e-5 of the variance of a column with one of 0.2. */
static void expect_standard(leat_tensor y, double tolerance)
{
    int64_t n = y.shape.size[0];
    for (int64_t j = 0; j < 3; j++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)y.data[3 * i + j];
        for (int64_t i = 0; i < n; i++)
            squares += pow((double)y.data[3 * i + j] - sum / (double)n, 2);
        cr_assert(fabs(sum / (double)n) <= tolerance && fabs(squares / (double)n - 1) <= tolerance,
                  "column %lld: mean %g, variance %g", (long long)j, sum / (double)n, squares / (double)n);
    }
}

/* ---- actnorm ----------------------------------------------------------------------------------------------------- */

static leat_tensor run(leat_transform *t, leat_tensor x, bool training)
{
    leat_tape *tape = leat_model_tape(t->module.model, &(leat_tape_opts){ .evaluate = !training });
    leat_pair y = leat_transform_forward(t, leat_const(tape, x), &no_context);
    assert_tape(tape);
    return leat_value(y.y);
}

Test(normalize, actnorm_starts_from_its_first_batch)
{
    leat_model *m = test_model(0);
    leat_transform *t = leat_actnorm(m, 3);
    leat_tensor x = offset_rows(1, 50), other = offset_rows(2, 50);
    assert_near(run(t, x, false), x, 0, 1, "in evaluation mode"); /* nothing happens yet */
    leat_real row[3] = { 1, 2, 3 };
    run(t, (leat_tensor){ row, LEAT_SHAPE(1, 3) }, true); /* one row says nothing */
    assert_near(run(t, x, false), x, 0, 1, "after one row");
    expect_standard(run(t, x, true), 3e-5);
    uint64_t hash = leat_model_hash(m);
    run(t, other, true); /* only the first one counts */
    cr_assert_eq(leat_model_hash(m), hash);
    expect_standard(run(t, x, false), 3e-5);
    leat_model_free(m);
}

Test(normalize, actnorm_refuses_what_is_not_finite)
{
    leat_model *m = test_model(0);
    leat_transform *t = leat_actnorm(m, 3);
    leat_tensor x = offset_rows(1, 50);
    x.data[3 * 4 + 1] = (leat_real)INFINITY;
    leat_tape *tape = test_tape(m);
    leat_pair y = leat_transform_forward(t, leat_const(tape, x), &no_context);
    cr_assert_not(leat_ok(y.y));
    cr_assert_eq(leat_tape_code(tape), LEAT_ENONFINITE);
    assert_contains(leat_tape_errmsg(tape), "row 5 of its first batch, column 2 is inf");
    cr_assert_eq(param_value(m, "bias").data[0], 0);
    expect_standard(run(t, offset_rows(1, 50), true), 3e-5); /* and the next batch may come */
    leat_model_free(m);
}

Test(normalize, actnorm_of_a_constant_column_stays_finite)
{
    leat_model *m = test_model(0);
    leat_transform *t = leat_actnorm(m, 1);
    leat_real same[4] = { 2, 2, 2, 2 };
    leat_tensor y = run(t, (leat_tensor){ same, LEAT_SHAPE(4, 1) }, true);
    cr_assert(isfinite((double)y.data[0]) && fabs((double)y.data[0]) < 1);
    leat_model_free(m);
}

static char folder[] = "/tmp/leat-normalize-XXXXXX", path[100];

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model", folder);
}

static void drop_folder(void)
{
    unlink(path);
    cr_assert_eq(rmdir(folder), 0);
}

/* Actnorm and batch norm and LU in a flow with a coupling. */
static leat_flow *glow_like(leat_model *m)
{
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 3));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, 3, i);
        leat_flow_add(flow, leat_actnorm(m, 3));
        leat_flow_add(flow, leat_lu_linear(m, 3));
        leat_flow_add(flow, leat_coupling(m, mask, &leat_affine, test_net(m, &mask, 0, 2)));
        leat_flow_add(flow, leat_batch_norm_transform(m, 3, &(leat_norm_opts){ .eps = 1e-3, .momentum = 0.2 }));
    }
    return flow;
}

static void train_step(leat_flow *flow, leat_optim *sgd, uint64_t seed)
{
    leat_tape *tape = test_tape(leat_flow_model(flow));
    leat_var loss = leat_neg(leat_mean(leat_flow_log_prob(flow, leat_const(tape, offset_rows(seed, 40)))));
    cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(tape));
    cr_assert_eq(leat_optim_step(sgd), LEAT_OK, "%s", leat_optim_status(sgd)->message);
}

/* Save, load, and one more step of training: the same bits as without the stop. */
Test(normalize, a_stop_changes_no_bit, .init = make_folder, .fini = drop_folder)
{
    leat_status s = { 0 };
    leat_model *m = test_model(0);
    leat_flow *flow = glow_like(m);
    leat_optim *sgd = leat_sgd_new(m, &(leat_sgd_opts){ .lr = 1e-3 });
    train_step(flow, sgd, 1);
    cr_assert_eq(leat_flow_save(flow, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_flow *back = leat_flow_load(path, &(leat_flow_load_opts){ .model = { .seed = 8 } }, NULL, &s);
    cr_assert_not_null(back, "%s", s.message);
    leat_optim *other = leat_sgd_new(leat_flow_model(back), &(leat_sgd_opts){ .lr = 1e-3 });
    cr_assert_eq(leat_model_hash(m), leat_model_hash(leat_flow_model(back)));
    uint64_t before = leat_model_hash(m);
    train_step(flow, sgd, 2);
    train_step(back, other, 2);
    cr_assert_eq(leat_model_hash(m), leat_model_hash(leat_flow_model(back)));
    cr_assert_neq(leat_model_hash(m), before);
    leat_model_free(leat_flow_model(back));
    leat_model_free(m);
}

Test(normalize, flags_and_statistics_refused_after_load, .init = make_folder, .fini = drop_folder)
{
    static const struct {
        const char *name;
        double value;
        int maker;
    } bad[] = { { "initialized", 0.5, 0 },
                { "initialized", (double)NAN, 0 },
                { "running_var", -1, 1 },
                { "running_var", (double)NAN, 1 },
                { "running_mean", (double)INFINITY, 1 } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        leat_status s = { 0 };
        leat_model *m = test_model(0);
        makers[bad[i].maker](m, 2);
        uint64_t hash = leat_model_hash(m);
        leat_safetensors f;
        cr_assert_eq(leat_save(m, path, 0, NULL, &s), LEAT_OK);
        cr_assert_eq(leat_safetensors_read(path, test_arena(), &f, &s), LEAT_OK);
        leat_safetensors_find(&f, bad[i].name)->data[0] = (leat_real)bad[i].value;
        cr_assert_eq(leat_load_tensors(m, &f, "it", &s), LEAT_EFORMAT, "%zu", i);
        cr_assert_eq(leat_model_hash(m), hash);
        leat_model_free(m);
    }
}

/* ---- batch norm -------------------------------------------------------------------------------------------------- */

Test(normalize, batch_norm_by_the_batch_and_by_running_statistics)
{
    leat_model *m = test_model(0);
    leat_transform *t = leat_batch_norm_transform(m, 3, NULL);
    leat_tensor x = offset_rows(1, 50);
    expect_standard(run(t, x, true), 1e-3);
    /* one step of momentum 0.1 from 0 and 1 */
    double mean = 0, variance = 0;
    for (int i = 0; i < 50; i++)
        mean += (double)x.data[3 * i] / 50;
    for (int i = 0; i < 50; i++)
        variance += pow((double)x.data[3 * i] - mean, 2) / 49;
    double expected = ((double)x.data[0] - 0.1 * mean) / sqrt(0.9 + 0.1 * variance + 1e-5);
    cr_assert(fabs((double)run(t, x, false).data[0] - expected) < CLOSE * 10, "%g", expected);
    for (int i = 0; i < 200; i++)
        run(t, x, true);
    expect_standard(run(t, x, false), 0.05); /* the running variance is the unbiased one */
    leat_model_free(m);
}

static leat_var log_prob_in_training(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)n;
    leat_tape_set_training(t, true);
    return leat_flow_log_prob(user, in[0]);
}

/* Through the batch's own statistics too: of the sum of log-densities weighted by random numbers. */
Test(normalize, gradients)
{
    leat_model *m = test_model(0);
    leat_flow *flow = glow_like(m);
    randomize(m, 0.3);
    leat_tensor x = test_normal(1, 5, 3, 1);
    leat_tape *tape = test_tape(m);
    leat_flow_log_prob(flow, leat_const(tape, x)); /* actnorm starts here, and is a plain map from then on */
    assert_tape(tape);
    leat_gradcheck_report r;
    cr_assert(leat_gradcheck(log_prob_in_training, flow, 1, &x, NULL, &r), "%s %s: element %lld, %g and %g", r.reason,
              r.status.message, (long long)r.index, r.analytic, r.numeric);
    leat_model_free(m);
}

Test(normalize, batch_norm_refusals)
{
    leat_model *m = test_model(0);
    leat_transform *t = leat_batch_norm_transform(m, 3, NULL);
    leat_tape *tape = test_tape(m);
    leat_transform_forward(t, leat_const(tape, test_normal(1, 1, 3, 1)), &no_context);
    cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE);
    leat_tape_reset(tape);
    leat_transform_inverse(t, leat_const(tape, test_normal(1, 5, 3, 1)), &no_context);
    cr_assert_eq(leat_tape_code(tape), LEAT_ESTATE);
    assert_contains(leat_tape_errmsg(tape), "no inverse in training mode");
    leat_model_free(m);
    for (int i = 0; i < MAKERS; i++) {
        m = test_model(0);
        cr_assert_null(makers[i](m, 0));
        cr_assert_eq(leat_model_code(m), LEAT_EARG);
        leat_model_free(m);
    }
    static const leat_norm_opts bad[] = { { .eps = -1 }, { .eps = (double)NAN }, { .momentum = 1.5 } };
    for (int i = 0; i < 3; i++) {
        m = test_model(0);
        cr_assert_null(leat_batch_norm_transform(m, 2, &bad[i]));
        cr_assert_eq(leat_model_code(m), LEAT_EARG);
        leat_model_free(m);
    }
}

/* ---- LU ---------------------------------------------------------------------------------------------------------- */

/* W from its definition, entry by entry. */
Test(normalize, lu_is_its_equation)
{
    enum { D = 4 };
    leat_model *m = test_model(5);
    leat_transform *t = leat_lu_linear(m, D);
    leat_tensor first = test_normal(1, 6, D, 1), y = run(t, first, true);
    randomize(m, 0.4);
    leat_tensor lower = param_value(m, "lower"), upper = param_value(m, "upper"), d = param_value(m, "log_diagonal"),
                bias = param_value(m, "bias");
    leat_tensor x = test_normal(2, 6, D, 1), got = run(t, x, true);
    for (int r = 0; r < 6; r++) {
        double h[D], lh[D];
        for (int i = 0; i < D; i++) {
            h[i] = exp((double)d.data[i]) * (double)x.data[r * D + i];
            for (int j = i + 1; j < D; j++)
                h[i] += (double)upper.data[i * D + j] * (double)x.data[r * D + j];
        }
        for (int i = 0; i < D; i++) {
            lh[i] = h[i];
            for (int j = 0; j < i; j++)
                lh[i] += (double)lower.data[i * D + j] * h[j];
        }
        for (int i = 0; i < D; i++) { /* where feature i goes is seen from the map that was W = P */
            int from = 0;
            while (from < D && first.data[from] != y.data[i])
                from++;
            cr_assert(from < D);
            double expected = lh[from] + (double)bias.data[i];
            cr_assert(fabs((double)got.data[r * D + i] - expected) <= CLOSE * fmax(1, fabs(expected)));
        }
    }
    leat_model_free(m);
}
