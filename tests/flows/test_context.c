/* Conditional flows p(x | context): the context is used, carries gradient, can be learned from, and must be there. */
#include "support.h"

static const leat_var none;

static leat_flow *conditional(leat_model *m)
{
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = 3, .couplings = 4, .hidden = { 8, 6 }, .context = 2 });
    assert_model(m);
    randomize(m, 0.5);
    return flow;
}

Test(context, reaches_every_net)
{
    leat_model *m = test_model(0);
    conditional(m);
    for (int i = 0; i < 4; i++) {
        char path[100];
        snprintf(path, sizeof path, "layers.%d.net.0.weight", i);
        cr_assert_eq(param_value(m, path).shape.size[1], (i % 2 ? 2 : 1) + 2);
    }
    leat_model_free(m);
}

/* Row by row: what one row's context is does not change another row. */
Test(context, is_used_row_by_row)
{
    leat_model *m = test_model(0);
    leat_flow *flow = conditional(m);
    leat_tape *tape = test_tape(m);
    leat_tensor c = test_normal(2, 5, 2, 1), other = test_normal(2, 5, 2, 1);
    other.data[2 * 3] += 1;
    leat_var x = leat_const(tape, test_normal(1, 5, 3, 1));
    leat_tensor a = leat_value(leat_flow_log_prob_given(flow, x, leat_const(tape, c)));
    leat_tensor b = leat_value(leat_flow_log_prob_given(flow, x, leat_const(tape, other)));
    assert_tape(tape);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(a.data[i] == b.data[i], i != 3, "row %d", i);
    leat_model_free(m);
}

Test(context, both_directions)
{
    leat_model *m = test_model(0);
    leat_flow *flow = conditional(m);
    leat_tape *tape = test_tape(m);
    leat_tensor numbers = test_normal(1, 5, 3, 1);
    leat_var x = leat_const(tape, numbers), c = leat_const(tape, test_normal(2, 5, 2, 1));
    leat_pair z = leat_flow_forward_given(flow, x, c), back = leat_flow_inverse_given(flow, z.y, c);
    leat_pair steps[4];
    cr_assert_eq(leat_flow_trace(flow, x, c, steps), LEAT_OK, "%s", leat_tape_errmsg(tape));
    assert_near(leat_value(back.y), numbers, CLOSE, 1, "round trip");
    assert_near(leat_value(steps[3].y), leat_value(z.y), 0, 1, "trace");
    leat_model_free(m);
}

Test(context, draws)
{
    leat_model *m = test_model(0);
    leat_flow *flow = conditional(m);
    leat_tape *tape = test_tape(m), *other = test_tape(m);
    leat_tensor numbers = test_normal(2, 50, 2, 1);
    leat_var c = leat_const(tape, numbers), log_prob;
    leat_var x = leat_flow_sample_log_prob_given(flow, tape, 50, c, &log_prob);
    leat_var again = leat_flow_log_prob_given(flow, leat_const(tape, leat_value(x)), c);
    leat_var same = leat_flow_sample_given(flow, other, 50, 1, leat_const(other, numbers));
    assert_tape(tape);
    assert_tape(other);
    assert_near(leat_value(log_prob), leat_value(again), CLOSE, 1, "log_prob of the sample");
    assert_near(leat_value(same), leat_value(x), 0, 1, "sample");
    leat_model_free(m);
}

/* ---- gradients and training -------------------------------------------------------------------------------------- */

static leat_var log_prob_of(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t;
    (void)n;
    return leat_flow_log_prob_given(user, in[0], in[1]);
}

/* tanh nets: central differences do not like the kinks of relu */
Test(context, carries_gradient)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 3));
    leat_flow_set_context(flow, 2);
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, 3, i);
        leat_module *nets[2] = { test_net(m, &mask, 2, 1), test_net(m, &mask, 2, 1) };
        leat_flow_add(flow, leat_coupling_nets(m, mask, &test_affine, nets));
    }
    randomize(m, 0.5);
    leat_tensor in[2] = { test_normal(1, 4, 3, 1), test_normal(2, 4, 2, 1) };
    leat_gradcheck_report r;
    cr_assert(leat_gradcheck(log_prob_of, flow, 2, in, NULL, &r), "%s %s: input %d, element %lld, %g and %g", r.reason,
              r.status.message, r.input, (long long)r.index, r.analytic, r.numeric);
    leat_model_free(m);
}

/* x = (c, -c) + N(0, I): with c known the best mean log-likelihood is that of N(0, I), -log(2 pi) - 1 = -2.838;
 * with c ~ N(0, 4) unknown, the covariance I + 4 (1, -1)(1, -1)^T has determinant 9,
 * and it is log(9) / 2 = 1.1 less. */
static double train(int64_t context)
{
    leat_model *m = test_model(1);
    leat_flow *flow =
        leat_nice_new(m, &(leat_nice_opts){ .dim = 2, .couplings = 2, .hidden = { 32 }, .context = context });
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 1e-2 });
    leat_tape *tape = test_tape(m);
    double late = 0;
    for (int step = 0; step < 400; step++) {
        leat_tensor c = test_normal(1000 + (uint64_t)step, 256, 1, 2),
                    x = test_normal(5000 + (uint64_t)step, 256, 2, 1);
        for (int i = 0; i < 256; i++) {
            x.data[2 * i] += c.data[i];
            x.data[2 * i + 1] -= c.data[i];
        }
        leat_tape_reset(tape);
        leat_var given = context ? leat_const(tape, c) : none;
        leat_var loss = leat_neg(leat_mean(leat_flow_log_prob_given(flow, leat_const(tape, x), given)));
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(tape));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK, "%s", leat_optim_status(adam)->message);
        late += step >= 300 ? leat_item(loss) / 100 : 0;
    }
    leat_model_free(m);
    return late;
}

Test(context, can_be_learned_from)
{
    double known = train(1), unknown = train(0);
    cr_assert(known < 2.838 + 0.1, "%g with the context", known);
    cr_assert(unknown > 2.838 + 0.8, "%g without", unknown);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void expect_refusal(leat_tape *tape, leat_var v, const char *says)
{
    cr_assert_not(leat_ok(v));
    cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE, "%s", leat_tape_errmsg(tape));
    assert_contains(leat_tape_errmsg(tape), says);
}

Test(context, missing)
{
    leat_model *m = test_model(0);
    leat_flow *flow = conditional(m);
    leat_tape *tape = test_tape(m);
    leat_var log_prob = leat_flow_log_prob(flow, leat_const(tape, test_normal(1, 5, 3, 1)));
    expect_refusal(tape, log_prob, "context");
    leat_tape_reset(tape);
    expect_refusal(tape, leat_flow_sample(flow, tape, 5, 1), "context");
    leat_model_free(m);
}

Test(context, not_asked_for)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = 3, .couplings = 4, .hidden = { 8, 6 } });
    leat_tape *tape = test_tape(m);
    leat_var x = leat_const(tape, test_normal(1, 5, 3, 1)), c = leat_const(tape, test_normal(2, 5, 2, 1));
    expect_refusal(tape, leat_flow_log_prob_given(flow, x, c), "context");
    leat_model_free(m);
}

static const struct {
    int64_t rows, features;
    const char *says;
} misfits[] = { { 5, 3, "[5,3]" }, { 5, 1, "[5,1]" }, { 4, 2, "[4,2]" }, { 1, 2, "[1,2]" } };

Test(context, of_another_shape)
{
    leat_model *m = test_model(0);
    leat_flow *flow = conditional(m);
    for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++) {
        leat_tape *tape = test_tape(m);
        leat_var x = leat_const(tape, test_normal(1, 5, 3, 1));
        leat_var c = leat_const(tape, test_normal(2, misfits[i].rows, misfits[i].features, 1));
        expect_refusal(tape, leat_flow_log_prob_given(flow, x, c), misfits[i].says);
    }
    leat_model_free(m);
}

Test(context, draws_and_rows_that_differ)
{
    leat_model *m = test_model(0);
    leat_flow *flow = conditional(m);
    leat_tape *tape = test_tape(m);
    leat_var c = leat_const(tape, test_normal(2, 4, 2, 1));
    expect_refusal(tape, leat_flow_sample_given(flow, tape, 5, 1, c), "context");
    leat_model_free(m);
}
