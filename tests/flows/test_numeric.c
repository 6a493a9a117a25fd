/* The numerical inverse: as good as a closed one, differentiable, and a status where there is nothing to find. */
#include "support.h"

static const leat_flow_call no_context;

/* y = x exp(s) + a x^3 / (1 + x^2) + t, a = exp(theta) > 0: increasing, without a closed inverse. */
static leat_pair cubic_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    leat_var a = leat_exp(theta[1]), slope = leat_exp(leat_tanh(theta[0])), squared = leat_square(x);
    leat_var one = leat_add_scalar(squared, 1), part = leat_div(leat_mul(squared, x), one);
    /* d/dx x^3/(1 + x^2) = x^2 (x^2 + 3)/(1 + x^2)^2 */
    leat_var derivative = leat_div(leat_mul(squared, leat_add_scalar(squared, 3)), leat_square(one));
    leat_var y = leat_add(leat_add(leat_mul(x, slope), leat_mul(a, part)), theta[2]);
    return (leat_pair){ y, leat_log(leat_add(slope, leat_mul(a, derivative))) };
}

static const leat_elementwise cubic = { .name = "cubic",
                                        .theta = { { "s", 1 }, { "a", 1 }, { "t", 1 } },
                                        .forward = cubic_forward };

static leat_flow *flow_of(leat_model *m, const leat_elementwise *e, int64_t dim, int64_t groups)
{
    leat_flow *flow = leat_flow_new(m, leat_normal(m, dim));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, dim, i);
        leat_flow_add(flow, leat_coupling(m, mask, e, test_net(m, &mask, 0, groups)));
    }
    assert_model(m);
    randomize(m, 0.3);
    return flow;
}

static const double scales[] = { 1e-3, 1, 1e3 };

Test(numeric, passes_the_checker)
{
    static const int64_t dims[] = { 2, 3, 7, 64 };
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
        leat_model *m = test_model(0);
        leat_flow *flow = flow_of(m, &cubic, dims[d], 3);
        for (int s = 0; s < 3; s++) {
            leat_flow_report r;
            cr_assert(leat_flow_check(flow, test_normal(7, 6, dims[d], scales[s]), NULL, &r),
                      "dim %lld, inputs times %g: %s", (long long)dims[d], scales[s], r.reason);
        }
        leat_model_free(m);
    }
}

/* The affine map without its inverse against the affine map with it. */
Test(numeric, is_the_closed_inverse)
{
    leat_tensor back[2], logdet[2], z = test_normal(3, 200, 3, 30);
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(4);
        leat_elementwise e = leat_affine;
        e.inverse = k ? NULL : e.inverse;
        e.forward = test_affine_forward;
        leat_flow *flow = flow_of(m, &e, 3, 2);
        for (int recording = 0; recording < 2; recording++) {
            leat_tape *tape = leat_model_tape(m, &(leat_tape_opts){ .values_only = !recording });
            leat_pair x = leat_flow_inverse(flow, leat_const(tape, z));
            assert_tape(tape);
            if (recording && k) { /* the same bits, recorded or not */
                assert_near(leat_value(x.y), back[1], 0, 1, "recorded");
                continue;
            }
            back[k] = test_tensor(200, 3);
            logdet[k] = test_tensor(200, 1);
            logdet[k].shape = LEAT_SHAPE(200);
            memcpy(back[k].data, leat_value(x.y).data, 600 * sizeof(leat_real));
            memcpy(logdet[k].data, leat_value(x.logdet).data, 200 * sizeof(leat_real));
        }
        leat_model_free(m);
    }
    assert_near(back[1], back[0], CLOSE, 1, "x");
    assert_near(logdet[1], logdet[0], CLOSE, 1, "logdet");
}

/* A row's result does not depend on the others, although all are searched for at once. */
Test(numeric, rows_are_independent)
{
    leat_model *m = test_model(4);
    leat_flow *flow = flow_of(m, &cubic, 3, 3);
    leat_tape *tape = test_tape(m);
    leat_tensor z = test_normal(3, 50, 3, 10), x = test_tensor(50, 3), none = { 0 };
    z.data[0] = (leat_real)1e6;
    cr_assert_eq(leat_flow_decode(flow, tape, z, none, x.data, NULL), LEAT_OK, "%s", leat_tape_errmsg(tape));
    for (int i = 0; i < 50; i++) {
        leat_real row[3];
        leat_tensor one = { z.data + 3 * i, LEAT_SHAPE(1, 3) };
        cr_assert_eq(leat_flow_decode(flow, tape, one, none, row, NULL), LEAT_OK);
        cr_assert_eq(memcmp(row, x.data + 3 * i, sizeof row), 0, "row %d", i);
    }
    cr_assert_eq(leat_flow_decode(flow, tape, (leat_tensor){ NULL, LEAT_SHAPE(0, 3) }, none, NULL, NULL), LEAT_OK);
    leat_model_free(m);
}

static leat_var inverse_of(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t, (void)n;
    leat_pair x = leat_flow_inverse(user, in[0]);
    return leat_add(leat_sum_features(leat_square(x.y)), x.logdet);
}

Test(numeric, gradient_of_the_input)
{
    leat_model *m = test_model(0);
    leat_flow *flow = flow_of(m, &cubic, 3, 3);
    leat_tensor z = test_normal(1, 4, 3, 1);
    leat_gradcheck_report r;
    cr_assert(leat_gradcheck(inverse_of, flow, 1, &z, NULL, &r), "%s %s: element %lld, %g and %g", r.reason,
              r.status.message, (long long)r.index, r.analytic, r.numeric);
    leat_model_free(m);
}

/* Of the parameters: that of the closed inverse. */
Test(numeric, gradient_of_the_parameters)
{
    leat_tensor grad[2];
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(4);
        leat_elementwise e = leat_affine;
        e.inverse = k ? NULL : e.inverse;
        e.forward = test_affine_forward;
        leat_flow *flow = flow_of(m, &e, 3, 2);
        leat_tape *tape = test_tape(m);
        leat_var z = leat_const(tape, test_normal(3, 20, 3, 1));
        cr_assert_eq(leat_backward(leat_mean(inverse_of(tape, 1, &z, flow))), LEAT_OK, "%s", leat_tape_errmsg(tape));
        leat_tensor g = param_grad(m, "layers.0.net.2.weight");
        grad[k] = test_tensor(g.shape.size[0], g.shape.size[1]);
        memcpy(grad[k].data, g.data, (size_t)leat_shape_count(&g.shape) * sizeof(leat_real));
        leat_model_free(m);
    }
    assert_near(grad[1], grad[0], 10 * CLOSE, 1e-3, "gradient");
}

/* ---- where there is nothing to find ------------------------------------------------------------------------------ */

static leat_pair tanh_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    leat_var y = leat_tanh(leat_add(x, theta[0]));
    return (leat_pair){ y, leat_log(leat_rsub_scalar(1, leat_square(y))) };
}

static const leat_elementwise bounded = { .name = "bounded", .theta = { { "t", 1 } }, .forward = tanh_forward };

static leat_pair nan_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self, (void)theta;
    leat_var y = leat_add_scalar(leat_log(x), 5); /* nothing below 0 */
    return (leat_pair){ y, leat_neg(leat_log(x)) };
}

static const leat_elementwise half_line = { .name = "half line", .theta = { { "t", 1 } }, .forward = nan_forward };

static leat_pair summed_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    return (leat_pair){ leat_add(x, theta[0]), leat_sum_features(leat_mul_scalar(x, 0)) };
}

static const leat_elementwise summed = { .name = "summed", .theta = { { "t", 1 } }, .forward = summed_forward };

static void expect_refusal(const leat_elementwise *e, leat_real value, leat_code code, const char *says)
{
    for (int recording = 0; recording < 2; recording++) {
        leat_model *m = test_model(0);
        leat_mask mask = leat_mask_of(m, 2, (leat_real[]){ 0, 0 });
        leat_transform *t = leat_coupling(m, mask, e, leat_linear_layer(m, 0, 2));
        leat_tape *tape = leat_model_tape(m, &(leat_tape_opts){ .values_only = !recording });
        leat_tensor z = { (leat_real[]){ (leat_real)0.1, 0, 0, value }, LEAT_SHAPE(2, 2) };
        leat_pair x = leat_transform_inverse(t, leat_const(tape, z), &no_context);
        cr_assert_not(leat_ok(x.y) || leat_ok(x.logdet));
        cr_assert_eq(leat_tape_code(tape), code, "%s", leat_tape_errmsg(tape));
        assert_contains(leat_tape_errmsg(tape), says);
        cr_assert_eq(leat_tape_recording(tape), recording);
        leat_model_free(m);
    }
}

Test(numeric, refusals)
{
    expect_refusal(&bounded, (leat_real)1.5, LEAT_ENONFINITE, "bounded: row 2, column 2: no x reaches y = 1.5");
    expect_refusal(&bounded, (leat_real)-1.5, LEAT_ENONFINITE, "no x reaches y = -1.5");
    expect_refusal(&half_line, 1, LEAT_ENONFINITE, "not a number");
    expect_refusal(&bounded, (leat_real)NAN, LEAT_ENONFINITE, "nothing gives y = nan");
    expect_refusal(&bounded, (leat_real)INFINITY, LEAT_ENONFINITE, "nothing gives y = inf");
    expect_refusal(&summed, 1, LEAT_ESTATE, "summed has no inverse");
}

/* Near the ends of what it reaches the map is flat, and still inverted. */
Test(numeric, flat_ends)
{
    leat_model *m = test_model(0);
    leat_mask mask = leat_mask_of(m, 2, (leat_real[]){ 0, 0 });
    leat_transform *t = leat_coupling(m, mask, &bounded, leat_linear_layer(m, 0, 2));
    leat_tape *tape = test_tape(m);
    leat_tensor z = { (leat_real[]){ (leat_real)0.999, (leat_real)-0.999, 0, (leat_real)1e-6 }, LEAT_SHAPE(2, 2) };
    leat_pair x = leat_transform_inverse(t, leat_const(tape, z), &no_context);
    leat_pair again = leat_transform_forward(t, x.y, &no_context);
    assert_tape(tape);
    assert_near(leat_value(again.y), z, CLOSE, 1, "round trip");
    leat_model_free(m);
}
