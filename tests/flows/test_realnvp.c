/* RealNVP: the flow checker over its options, the same numbers as PyTorch, names, the density against draws. */
#include "support.h"

static const int64_t dims[] = { 2, 3, 7, 64 };
static const double scales[] = { 1e-3, 1, 1e3 };

/* The first `count` scales: without a bound on s, exp(s) overflows for inputs of 1e3, as it must. */
static void expect_checked(leat_flow *flow, leat_tensor context, int count, const char *what)
{
    for (int s = 0; s < count; s++) {
        leat_tensor x = test_normal(7, 6, leat_flow_dim(flow), scales[s]);
        leat_flow_report r;
        cr_assert(leat_flow_check(flow, x, &(leat_flow_check_opts){ .context = context }, &r),
                  "%s, dim %lld, inputs times %g: %s", what, (long long)leat_flow_dim(flow), scales[s], r.reason);
        cr_assert(r.ok && r.never_moved == -1);
    }
}

/* A coupling's Jacobian holds x ds/dx, so that with inputs of 1e3 the product of many is so badly conditioned that in
 * float its determinant is off by more than 1e-4. Two of them show every branch. */
enum { MANY = sizeof(leat_real) == 8 ? 6 : 2, SOME = sizeof(leat_real) == 8 ? 3 : 2 };

static const leat_realnvp_opts variants[] = {
    { .couplings = MANY },
    { .couplings = SOME, .hidden = { 20, 10 }, .hidden_t = { 5 }, .masks = LEAT_HALVES },
    { .couplings = SOME, .hidden = { 20 }, .scale = LEAT_SCALE_LEARNED },
    { .couplings = SOME, .hidden = { 20 }, .scale = LEAT_SCALE_FREE },
    { .couplings = SOME, .hidden = { 20, 9 }, .one_net = true },
    { .couplings = SOME, .hidden = { 20 }, .one_net = true, .scale = LEAT_SCALE_LEARNED },
    { .couplings = SOME, .hidden = { 20 }, .one_net = true, .scale = LEAT_SCALE_FREE },
};
enum { VARIANTS = sizeof variants / sizeof *variants };

Test(realnvp, passes_the_checker)
{
    for (size_t i = 0; i < VARIANTS; i++) {
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
            leat_realnvp_opts o = variants[i];
            char what[40];
            o.dim = dims[d];
            snprintf(what, sizeof what, "variant %zu", i);
            leat_model *m = test_model(i);
            o.base = i == 1 ? leat_logistic(m, o.dim) : NULL;
            expect_checked(leat_realnvp_new(m, &o), (leat_tensor){ 0 }, o.scale == LEAT_SCALE_FREE ? 2 : 3, what);
            leat_model_free(m);
        }
    }
}

Test(realnvp, passes_the_checker_with_a_context)
{
    for (size_t i = 0; i < VARIANTS; i++) {
        leat_realnvp_opts o = variants[i];
        o.dim = 3;
        o.context = 2;
        leat_model *m = test_model(i);
        expect_checked(leat_realnvp_new(m, &o), test_normal(9, 6, 2, 1), o.scale == LEAT_SCALE_FREE ? 2 : 3,
                       "with context");
        leat_model_free(m);
    }
}

/* Of one feature a mask can only move all of it, and the nets then read nothing but the context. */
Test(realnvp, of_one_feature)
{
    leat_model *m = test_model(0);
    leat_real moves[2] = { 0, 0 };
    leat_flow *flow = leat_realnvp_new(
        m, &(leat_realnvp_opts){ .dim = 1, .couplings = 2, .hidden = { 6 }, .context = 2, .given_masks = moves });
    expect_checked(flow, test_normal(9, 6, 2, 1), 3, "one feature");
    leat_model_free(m);
}

/* y_moved = x exp(s) + t with s and t from the nets, layer by layer: the equation, by hand. */
Test(realnvp, is_its_equation)
{
    leat_model *m = test_model(3);
    leat_flow *flow = leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2, .couplings = 1, .hidden = { 4 } });
    randomize(m, 0.5);
    leat_tensor w1 = param_value(m, "layers.0.snet.0.weight"), b1 = param_value(m, "layers.0.snet.0.bias"),
                w2 = param_value(m, "layers.0.snet.2.weight"), b2 = param_value(m, "layers.0.snet.2.bias"),
                v1 = param_value(m, "layers.0.tnet.0.weight"), c1 = param_value(m, "layers.0.tnet.0.bias"),
                v2 = param_value(m, "layers.0.tnet.2.weight"), c2 = param_value(m, "layers.0.tnet.2.bias");
    leat_tensor x = test_normal(1, 9, 2, 1);
    leat_tape *tape = test_tape(m);
    leat_pair z = leat_flow_forward(flow, leat_const(tape, x));
    assert_tape(tape);
    for (int i = 0; i < 9; i++) {
        double kept = (double)x.data[2 * i + 1], s = (double)b2.data[0], t = (double)c2.data[0];
        for (int j = 0; j < 4; j++) {
            s += (double)w2.data[j] * fmax(0, (double)w1.data[j] * kept + (double)b1.data[j]);
            t += (double)v2.data[j] * fmax(0, (double)v1.data[j] * kept + (double)c1.data[j]);
        }
        s = tanh(s);
        double moved = (double)x.data[2 * i] * exp(s) + t;
        cr_assert(fabs((double)leat_value(z.y).data[2 * i] - moved) <= CLOSE * fmax(1, fabs(moved)));
        cr_assert_eq(leat_value(z.y).data[2 * i + 1], x.data[2 * i + 1]);
        cr_assert(fabs((double)leat_value(z.logdet).data[i] - s) <= CLOSE);
    }
    leat_model_free(m);
}

/* ---- the log-derivatives' shape ---------------------------------------------------------------------------------- */

/* The test's affine map gives a log-derivative for each element, the library's a sum for each row. */
Test(realnvp, log_derivatives_may_be_summed_already)
{
    leat_tensor logdet[2];
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(3);
        leat_flow *flow = leat_flow_new(m, leat_normal(m, 5));
        leat_mask mask = leat_mask_halves(m, 5, 0);
        leat_flow_add(flow, leat_coupling(m, mask, k ? &leat_affine : &test_affine, test_net(m, &mask, 0, 2)));
        leat_tape *tape = test_tape(m);
        logdet[k] = test_tensor(4, 1);
        logdet[k].shape = LEAT_SHAPE(4);
        leat_tensor got = leat_value(leat_flow_forward(flow, leat_const(tape, test_normal(1, 4, 5, 1))).logdet);
        assert_tape(tape);
        cr_assert(leat_shape_equal(&got.shape, &logdet[k].shape));
        memcpy(logdet[k].data, got.data, 4 * sizeof(leat_real));
        leat_model_free(m);
    }
    assert_near(logdet[1], logdet[0], CLOSE, 1, "summed");
}

/* ---- names and starts -------------------------------------------------------------------------------------------- */

typedef struct listing {
    leat_visitor visitor;
    char names[2000];
} listing;

static void list_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    char path[200], shape[LEAT_SHAPE_TEXT], *names = ((listing *)v)->names;
    strncat(names, leat_param_path(p, path, sizeof path), 200);
    strncat(strncat(names, leat_shape_print(&p->leaf.shape, shape), 100), " ", 2);
}

static const struct {
    leat_realnvp_opts opts;
    const char *names;
} named[] = {
    { { .dim = 3, .couplings = 1, .hidden = { 4, 5 }, .hidden_t = { 6 } },
      "layers.0.snet.0.weight[4,1] layers.0.snet.0.bias[4] layers.0.snet.2.weight[5,4] layers.0.snet.2.bias[5] "
      "layers.0.snet.4.weight[2,5] layers.0.snet.4.bias[2] layers.0.tnet.0.weight[6,1] layers.0.tnet.0.bias[6] "
      "layers.0.tnet.2.weight[2,6] layers.0.tnet.2.bias[2] " },
    { { .dim = 3, .couplings = 1, .hidden = { 4 }, .scale = LEAT_SCALE_LEARNED, .context = 2 },
      "layers.0.snet.0.weight[4,3] layers.0.snet.0.bias[4] layers.0.snet.2.weight[2,4] layers.0.snet.2.bias[2] "
      "layers.0.snet.3.scale[2] layers.0.tnet.0.weight[4,3] layers.0.tnet.0.bias[4] layers.0.tnet.2.weight[2,4] "
      "layers.0.tnet.2.bias[2] " },
    { { .dim = 3, .couplings = 1, .hidden = { 4 }, .scale = LEAT_SCALE_LEARNED, .one_net = true },
      "layers.0.net.0.weight[4,1] layers.0.net.0.bias[4] layers.0.net.2.weight[4,4] layers.0.net.2.bias[4] "
      "layers.0.net.3.scale[2] " },
};

Test(realnvp, names_and_shapes)
{
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        leat_model *m = test_model(0);
        leat_realnvp_new(m, &named[i].opts);
        assert_model(m);
        listing l = { .visitor = { .param = list_param } };
        leat_visit_model(&l.visitor, m);
        cr_assert_str_eq(l.names, named[i].names);
        leat_model_free(m);
    }
}

static void check_start(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    char path[200];
    int64_t *fan_in = v->user, n = leat_shape_count(&p->leaf.shape);
    if (p->leaf.shape.rank == 2)
        *fan_in = p->leaf.shape.size[1]; /* a bias goes by the weight before it */
    double bound = 1 / sqrt((double)*fan_in), most = 0, mean = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)p->leaf.value[i]));
        mean += (double)p->leaf.value[i] / (double)n;
    }
    leat_param_path(p, path, sizeof path);
    cr_assert(most <= bound * (1 + 1e-6), "%s: %g", path, most);
    cr_assert(n < 100 || (most > 0.9 * bound && fabs(mean) < 0.3 * bound), "%s: at most %g, mean %g", path, most, mean);
}

/* U(-1/sqrt(in), 1/sqrt(in)) throughout, and the default sizes are the reference's: 6 couplings, hidden 128, 128. */
Test(realnvp, starts_as_pytorch_does)
{
    leat_model *m = test_model(0);
    leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2 });
    cr_assert_eq(leat_model_seal(m), LEAT_OK, "%s", leat_model_errmsg(m));
    cr_assert_eq(leat_param_count(m), 6 * 2 * ((1 + 1) * 128 + (128 + 1) * 128 + 128 + 1));
    int64_t fan_in = 0;
    leat_visitor v = { .user = &fan_in, .param = check_start };
    leat_visit_model(&v, m);
    leat_model_free(m);
}

/* A learned scale of 1 changes nothing, and one of 2 doubles s. */
Test(realnvp, learned_scale)
{
    leat_tensor x = test_normal(1, 6, 3, 1), logdet[2];
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(5);
        leat_realnvp_opts o = { .dim = 3, .couplings = 1, .hidden = { 4 }, .one_net = k };
        leat_flow *flow[2];
        leat_model *other = test_model(5);
        flow[0] = leat_realnvp_new(other, &o);
        o.scale = LEAT_SCALE_LEARNED;
        flow[1] = leat_realnvp_new(m, &o);
        const char *path = k ? "layers.0.net.3.scale" : "layers.0.snet.3.scale";
        leat_tensor scale = param_value(m, path);
        cr_assert(scale.data[0] == 1 && scale.data[1] == 1);
        for (int doubled = 0; doubled < 2; doubled++) {
            scale.data[0] = scale.data[1] = (leat_real)(1 + doubled);
            for (int f = 0; f < 2; f++) {
                leat_tape *tape = test_tape(leat_flow_model(flow[f]));
                logdet[f] = leat_value(leat_flow_forward(flow[f], leat_const(tape, x)).logdet);
                assert_tape(tape);
            }
            if (k) /* parameters are drawn in the order of creation, which is the same here */
                cr_assert_eq(leat_param_count(m), leat_param_count(other) + 2);
            for (int i = 0; i < 6 && k; i++)
                cr_assert(fabs((double)logdet[1].data[i] - (1 + doubled) * (double)logdet[0].data[i]) <= CLOSE);
        }
        leat_model_free(m);
        leat_model_free(other);
    }
}

/* ---- PyTorch ----------------------------------------------------------------------------------------------------- */

enum { COUPLINGS = 6, DIM = 5, ROWS = 12 };

static leat_flow *fixture_flow(leat_model *m, bool affine)
{
    const char *name = affine ? "realnvp_odd" : "nice_odd";
    leat_safetensors f = fixture(name);
    leat_real masks[COUPLINGS][DIM];
    char path[100];
    for (int i = 0; i < COUPLINGS; i++) {
        snprintf(path, sizeof path, "layers.%d.mask", i);
        memcpy(masks[i], fixture_get(&f, path).data, sizeof masks[i]);
    }
    leat_flow *flow = NULL;
    if (affine) {
        flow = leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = DIM,
                                                         .couplings = COUPLINGS,
                                                         .hidden = { 7, 4, 6 },
                                                         .hidden_t = { 5, 8, 3 },
                                                         .given_masks = &masks[0][0] });
    } else {
        flow = leat_flow_new(m, leat_normal(m, DIM));
        for (int i = 0; i < COUPLINGS; i++) {
            leat_mask mask = leat_mask_of(m, DIM, masks[i]);
            leat_module *net = leat_mlp(m, mask.kept, (int64_t[]){ 7, 4, 6, 0 }, mask.moved, LEAT_RELU);
            leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, net));
        }
    }
    leat_status s = { 0 };
    cr_assert_eq(leat_load_tensors(m, &f, name, &s), LEAT_OK, "%s", s.message);
    return flow;
}

Test(realnvp, same_numbers_as_pytorch)
{
    for (int affine = 0; affine < 2; affine++) {
        leat_safetensors f = fixture(affine ? "realnvp_odd_expected" : "nice_odd_expected");
        leat_model *m = test_model(1);
        leat_flow *flow = fixture_flow(m, affine);
        leat_tape *tape = test_tape(m);
        leat_var x = leat_input(tape, fixture_get(&f, "x")), log_prob = leat_flow_log_prob(flow, x);
        leat_pair z = leat_flow_forward(flow, x),
                  back = leat_flow_inverse(flow, leat_const(tape, fixture_get(&f, "latent")));
        assert_near(leat_value(log_prob), fixture_get(&f, "log_prob"), CLOSE, 1, "log_prob");
        assert_near(leat_value(z.y), fixture_get(&f, "z"), CLOSE, 1, "z");
        assert_near(leat_value(z.logdet), fixture_get(&f, "logdet"), CLOSE, 1, "logdet");
        assert_near(leat_value(back.y), fixture_get(&f, "decoded"), CLOSE, 1, "decoded");
        assert_near(leat_value(back.logdet), fixture_get(&f, "decoded_logdet"), CLOSE, 1, "decoded_logdet");
        cr_assert_eq(leat_backward(leat_neg(leat_mean(log_prob))), LEAT_OK, "%s", leat_tape_errmsg(tape));
        int compared = 0;
        for (int64_t i = 0; i < f.count; i++) {
            const leat_safetensors_entry *e = &f.entries[i];
            if (strncmp(e->name, "grad.layers", 11))
                continue;
            assert_near(param_grad(m, e->name + 5), e->tensor, 10 * CLOSE, 0, e->name);
            compared++;
        }
        cr_assert_eq(compared, COUPLINGS * 8 * (affine ? 2 : 1));
        assert_near(leat_grad(x), fixture_get(&f, "grad.x"), 10 * CLOSE, 0, "grad.x");
        leat_model_free(m);
    }
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static const struct {
    leat_realnvp_opts opts;
    const char *says;
} refused[] = {
    { { .dim = 0 }, "0 features" },
    { { .dim = 2, .couplings = 1, .given_masks = (const leat_real[]){ 1, (leat_real)0.5 } }, "mask" },
    { { .dim = 2, .context = -1 }, "context" },
    { { .dim = 2, .hidden = { -3 } }, "-3" },
};

Test(realnvp, refusals)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = test_model(0);
        leat_realnvp_new(m, &refused[i].opts);
        cr_assert_eq(leat_model_code(m), LEAT_EARG, "options %zu", i);
        assert_contains(leat_model_errmsg(m), refused[i].says);
        leat_model_free(m);
    }
}

/* The first columns, and they alone. */
Test(realnvp, bounded_scale_closes_the_first_columns)
{
    leat_model *m = test_model(0);
    leat_module *layer = leat_bounded_scale(m, 2, true);
    leat_tape *tape = test_tape(m);
    leat_tensor x = test_normal(1, 4, 5, 1), y = leat_value(leat_forward(layer, leat_const(tape, x)));
    assert_tape(tape);
    for (int i = 0; i < 4 * 5; i++) {
        double want = i % 5 < 2 ? tanh((double)x.data[i]) : (double)x.data[i];
        cr_assert_lt(fabs((double)y.data[i] - want), CLOSE, "row %d, column %d", i / 5, i % 5);
    }
    leat_model_free(m);
}

Test(realnvp, bounded_scale_refuses)
{
    leat_model *m = test_model(0);
    leat_module *layer = leat_bounded_scale(m, 3, true);
    leat_tape *tape = test_tape(m);
    cr_assert_not(leat_ok(leat_forward(layer, leat_const(tape, test_normal(1, 4, 2, 1)))));
    cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE);
    assert_contains(leat_tape_errmsg(tape), "[4,2]");
    cr_assert_null(leat_bounded_scale(m, -1, false));
    cr_assert_eq(leat_model_code(m), LEAT_EARG);
    leat_model_free(m);
}
