/* Couplings with bijectors of the test's own: groups of parameters, one net or several, names, gradients, messages. */
#include "support.h"

static const leat_flow_call no_context;

/* ---- a bijector with a wide group -------------------------------------------------------------------------------- */

/* Column k of a group of width 3, shaped like x. */
static leat_var column(leat_var group, int k)
{
    leat_shape shape = leat_var_shape(group);
    return leat_reshape(leat_slice(group, 2, k, 1), LEAT_SHAPE(shape.size[0], shape.size[1]));
}

/* y = exp(tanh(w0)) x + w1 + w2^2 + a;  log|dy/dx| = tanh(w0) */
static leat_pair toy_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    leat_var slope = leat_tanh(column(theta[1], 0));
    leat_var shift = leat_add(leat_add(column(theta[1], 1), leat_square(column(theta[1], 2))), theta[0]);
    return (leat_pair){ leat_add(leat_mul(x, leat_exp(slope)), shift), slope };
}

static leat_pair toy_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    (void)self;
    leat_var minus = leat_neg(leat_tanh(column(theta[1], 0)));
    leat_var shift = leat_add(leat_add(column(theta[1], 1), leat_square(column(theta[1], 2))), theta[0]);
    return (leat_pair){ leat_mul(leat_sub(y, shift), leat_exp(minus)), minus };
}

static const leat_elementwise toy = {
    .name = "toy",
    .theta = { { "a", 1 }, { "w", 3 } },
    .forward = toy_forward,
    .inverse = toy_inverse,
};

/* y = x + number[0] (p + 10 q0 + 100 q1 + 1000 r): which numbers of the conditioner arrive where */
static leat_pair probe_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    leat_shape shape = leat_var_shape(x), wide = leat_var_shape(theta[1]);
    for (int g = 0; g < 3; g += 2) {
        leat_shape narrow = leat_var_shape(theta[g]);
        cr_assert(leat_shape_equal(&shape, &narrow));
    }
    cr_assert(wide.rank == 3 && wide.size[0] == shape.size[0] && wide.size[1] == shape.size[1] && wide.size[2] == 2);
    leat_var sum = leat_add(theta[0], leat_mul_scalar(theta[2], 1000));
    for (int k = 0; k < 2; k++)
        sum = leat_add(sum, leat_mul_scalar(column(theta[1], k), k ? 100 : 10));
    return (leat_pair){ leat_add(x, leat_mul_scalar(sum, self->number[0])), leat_zeros_like(x) };
}

static const leat_elementwise probe = {
    .name = "probe",
    .theta = { { "p", 1 }, { "q", 2 }, { "r", 1 } },
    .forward = probe_forward,
    .inverse = probe_forward,
    .number = { 2 },
};

/* A linear layer that gives first, first + 1, ... whatever it is given. */
static void make_constant(leat_model *m, const char *name, int first)
{
    char path[2][50];
    snprintf(path[0], sizeof path[0], "%s.weight", name);
    snprintf(path[1], sizeof path[1], "%s.bias", name);
    leat_tensor weight = param_value(m, path[0]), bias = param_value(m, path[1]);
    memset(weight.data, 0, (size_t)leat_shape_count(&weight.shape) * sizeof(leat_real));
    for (int64_t i = 0; i < bias.shape.size[0]; i++)
        bias.data[i] = (leat_real)(first + (int)i);
}

/* Two features moved, so p has 2 numbers, q has 2 x 2, [moved, width], and r has 2: 1, 2, then 3 .. 6, then 7, 8. */
static void expect_probed(leat_model *m, leat_transform *t)
{
    leat_tape *tape = test_tape(m);
    leat_real zero[6] = { 0 };
    leat_var x = leat_const(tape, (leat_tensor){ zero, LEAT_SHAPE(2, 3) });
    leat_tensor y = leat_value(leat_transform_forward(t, x, &no_context).y);
    assert_tape(tape);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(y.data[3 * i], 2 * (1 + 30 + 400 + 7000));
        cr_assert_eq(y.data[3 * i + 1], 0);
        cr_assert_eq(y.data[3 * i + 2], 2 * (2 + 50 + 600 + 8000));
    }
}

Test(coupling, groups_come_one_after_the_other)
{
    leat_model *m = test_model(0);
    leat_mask mask = leat_mask_of(m, 3, (leat_real[]){ 0, 1, 0 });
    leat_transform *t = leat_coupling(m, mask, &probe, leat_linear_layer(m, 1, 8));
    make_constant(m, "net", 1);
    expect_probed(m, t);
    leat_model_free(m);
}

Test(coupling, one_net_for_each_group)
{
    leat_model *m = test_model(0);
    leat_mask mask = leat_mask_of(m, 3, (leat_real[]){ 0, 1, 0 });
    leat_module *nets[3] = { leat_linear_layer(m, 1, 2), leat_linear_layer(m, 1, 4), leat_linear_layer(m, 1, 2) };
    leat_transform *t = leat_coupling_nets(m, mask, &probe, nets);
    make_constant(m, "pnet", 1);
    make_constant(m, "qnet", 3);
    make_constant(m, "rnet", 7);
    expect_probed(m, t);
    leat_model_free(m);
}

/* y = x exp(s) + t by hand, s and t read from the nets themselves. */
Test(coupling, affine_by_hand)
{
    leat_model *m = test_model(3);
    leat_mask mask = leat_mask_halves(m, 4, 1);
    leat_module *nets[2] = { test_net(m, &mask, 0, 1), test_net(m, &mask, 0, 1) };
    leat_transform *layer = leat_coupling_nets(m, mask, &test_affine, nets);
    assert_model(m);
    leat_tape *tape = test_tape(m);
    leat_tensor x = test_normal(1, 5, 4, 1);
    leat_var kept = leat_mask_kept(&mask, leat_const(tape, x));
    leat_tensor s = leat_value(leat_forward(nets[0], kept)), t = leat_value(leat_forward(nets[1], kept));
    leat_pair out = leat_transform_forward(layer, leat_const(tape, x), &no_context);
    assert_tape(tape);
    for (int i = 0; i < 5; i++) {
        double logdet = 0;
        for (int j = 0; j < 4; j++) {
            double expected = (double)x.data[4 * i + j];
            if (j < 2) {
                expected = expected * exp((double)s.data[2 * i + j]) + (double)t.data[2 * i + j];
                logdet += (double)s.data[2 * i + j];
            }
            cr_assert(fabs((double)leat_value(out.y).data[4 * i + j] - expected) <= CLOSE * fmax(1, fabs(expected)));
        }
        cr_assert(fabs((double)leat_value(out.logdet).data[i] - logdet) <= CLOSE);
    }
    leat_model_free(m);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

typedef struct listing {
    leat_visitor visitor;
    char names[2000];
} listing;

static void list_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    char path[200], *names = ((listing *)v)->names;
    strncat(strncat(names, leat_param_path(p, path, sizeof path), 200), " ", 2);
}

Test(coupling, names_in_the_state_dict)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_diagonal_normal(m, 2));
    leat_mask mask = leat_mask_alternating(m, 2, 0);
    leat_module *nets[2] = { leat_mlp(m, 1, (int64_t[]){ 3, 0 }, 1, LEAT_RELU), leat_linear_layer(m, 1, 1) };
    leat_flow_add(flow, leat_reverse(m, 2));
    leat_flow_add(flow, leat_coupling_nets(m, mask, &test_affine, nets));
    leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, leat_linear_layer(m, 1, 1)));
    assert_model(m);
    listing l = { .visitor = { .param = list_param } };
    leat_visit_model(&l.visitor, m);
    cr_assert_str_eq(l.names, "layers.1.snet.0.weight layers.1.snet.0.bias layers.1.snet.2.weight layers.1.snet.2.bias "
                              "layers.1.tnet.weight layers.1.tnet.bias layers.2.net.weight layers.2.net.bias "
                              "base.loc base.log_scale ");
    leat_model_free(m);
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static leat_flow *mixed_flow(leat_model *m)
{
    leat_flow *flow = leat_flow_new(m, leat_diagonal_normal(m, 3));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, 3, i);
        leat_module *nets[2] = { test_net(m, &mask, 0, 1), test_net(m, &mask, 0, 1) };
        leat_flow_add(flow, leat_coupling_nets(m, mask, &test_affine, nets));
        leat_flow_add(flow, leat_coupling(m, mask, &toy, test_net(m, &mask, 0, 4)));
        leat_flow_add(flow, leat_reverse(m, 3));
    }
    leat_flow_add(flow, leat_diagonal_scale(m, 3));
    assert_model(m);
    randomize(m, 0.5);
    return flow;
}

static leat_var log_prob_of(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t;
    (void)n;
    return leat_flow_log_prob(user, in[0]);
}

static leat_var inverse_of(leat_tape *t, int n, const leat_var *in, void *user)
{
    (void)t;
    (void)n;
    leat_pair x = leat_flow_inverse(user, in[0]);
    return leat_add(leat_sum_features(leat_square(x.y)), x.logdet);
}

Test(coupling, gradient_of_the_input)
{
    leat_model *m = test_model(0);
    leat_flow *flow = mixed_flow(m);
    leat_tensor x = test_normal(1, 4, 3, 1);
    leat_gradcheck_report r;
    cr_assert(leat_gradcheck(log_prob_of, flow, 1, &x, NULL, &r), "%s %s: element %lld, %g and %g", r.reason,
              r.status.message, (long long)r.index, r.analytic, r.numeric);
    cr_assert(leat_gradcheck(inverse_of, flow, 1, &x, NULL, &r), "%s %s: element %lld, %g and %g", r.reason,
              r.status.message, (long long)r.index, r.analytic, r.numeric);
    leat_model_free(m);
}

#ifdef LEAT_DOUBLE
static double mean_log_prob(leat_flow *flow, leat_tape *tape, leat_tensor x)
{
    leat_tape_reset(tape);
    double mean = leat_item(leat_mean(leat_flow_log_prob(flow, leat_const(tape, x))));
    assert_tape(tape);
    return mean;
}

static void check_param(leat_visitor *v, leat_module *owner, leat_param *p);

typedef struct slopes {
    leat_visitor visitor;
    leat_flow *flow;
    leat_tape *tape;
    leat_tensor x;
    int checked;
} slopes;

static void check_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    slopes *s = (slopes *)v;
    int64_t n = leat_shape_count(&p->leaf.shape);
    char path[200];
    for (int64_t i = 0; i < n; i++) {
        double h = 1e-5, was = p->leaf.value[i];
        p->leaf.value[i] = was + h;
        double up = mean_log_prob(s->flow, s->tape, s->x);
        p->leaf.value[i] = was - h;
        double down = mean_log_prob(s->flow, s->tape, s->x);
        p->leaf.value[i] = was;
        double numeric = (up - down) / (2 * h);
        cr_assert(fabs(numeric - p->leaf.grad[i]) <= 1e-7 * fmax(1, fabs(numeric)), "%s[%lld]: %.10g, not %.10g",
                  leat_param_path(p, path, sizeof path), (long long)i, p->leaf.grad[i], numeric);
        s->checked++;
    }
}

Test(coupling, gradient_of_every_parameter)
{
    leat_model *m = test_model(0);
    leat_flow *flow = mixed_flow(m);
    slopes s = {
        .visitor = { .param = check_param }, .flow = flow, .tape = test_tape(m), .x = test_normal(1, 4, 3, 1)
    };
    leat_var loss = leat_mean(leat_flow_log_prob(flow, leat_const(s.tape, s.x)));
    cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(s.tape));
    leat_visit_model(&s.visitor, m);
    cr_assert_eq(s.checked, leat_param_count(m));
    leat_model_free(m);
}
#endif

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static const char *log_prob_fails(leat_flow *flow, int64_t rows)
{
    leat_tape *tape = test_tape(leat_flow_model(flow));
    cr_assert_not(leat_ok(leat_flow_log_prob(flow, leat_const(tape, test_normal(1, rows, leat_flow_dim(flow), 1)))));
    cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE, "%s", leat_tape_errmsg(tape));
    return leat_tape_errmsg(tape);
}

/* The third layer of the fourth coupling takes 5 numbers and gets 6. */
Test(coupling, message_says_where_and_both_shapes)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    for (int i = 0; i < 4; i++) {
        leat_mask mask = leat_mask_halves(m, 4, i);
        leat_module *net = leat_sequential(m);
        leat_sequential_add(net, leat_linear_layer(m, 2, 6));
        leat_sequential_add(net, leat_activation_layer(m, LEAT_RELU));
        leat_sequential_add(net, leat_linear_layer(m, i == 3 ? 5 : 6, 2));
        leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, net));
    }
    assert_model(m);
    const char *message = log_prob_fails(flow, 7);
    assert_contains(message, "layers.3.net.2: linear");
    assert_contains(message, "[7,6]");
    assert_contains(message, "[2,5]");
    leat_model_free(m);
}

Test(coupling, conditioner_of_the_wrong_width)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_mask mask = leat_mask_halves(m, 4, 0);
    leat_flow_add(flow, leat_reverse(m, 4));
    leat_flow_add(flow, leat_coupling(m, mask, &toy, leat_linear_layer(m, 2, 2)));
    assert_model(m);
    const char *message = log_prob_fails(flow, 7);
    assert_contains(message, "layers.1");
    assert_contains(message, "[batch,8]");
    assert_contains(message, "[7,2]");
    leat_model_free(m);
}

Test(coupling, net_of_another_width_for_a_group)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_mask mask = leat_mask_halves(m, 4, 0);
    leat_module *nets[2] = { leat_linear_layer(m, 2, 2), leat_linear_layer(m, 2, 3) };
    leat_flow_add(flow, leat_coupling_nets(m, mask, &test_affine, nets));
    assert_model(m);
    const char *message = log_prob_fails(flow, 7);
    assert_contains(message, "layers.0");
    assert_contains(message, "[batch,2]");
    assert_contains(message, "[7,3]");
    leat_model_free(m);
}

Test(coupling, missing_net)
{
    leat_model *m = test_model(0);
    leat_mask mask = leat_mask_halves(m, 4, 0);
    leat_coupling(m, mask, &leat_additive, NULL);
    cr_assert_neq(leat_model_code(m), LEAT_OK);
    leat_model_free(m);
}
