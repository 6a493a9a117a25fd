/* The same numbers as PyTorch: fixtures/flows/make.py says what each one holds. */
#include "formulas.h"
#include "support.h"

static const leat_flow_call no_context;

static void load_coupling(leat_model *m, const leat_safetensors *f)
{
    static const char *const names[] = { "net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        leat_tensor from = fixture_get(f, names[i]), to = param_value(m, names[i]);
        cr_assert(leat_shape_equal(&from.shape, &to.shape), "%s", names[i]);
        memcpy(to.data, from.data, (size_t)leat_shape_count(&to.shape) * sizeof(leat_real));
    }
}

static void compare_direction(leat_model *m, leat_transform *t, const leat_safetensors *f, const char *direction)
{
    static const char *const names[] = { "net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias" };
    bool forward = strcmp(direction, "forward") == 0;
    char key[100];
    leat_tape *tape = test_tape(m);
    leat_var x = leat_input(tape, fixture_get(f, forward ? "x" : "z"));
    leat_pair y = (forward ? leat_transform_forward : leat_transform_inverse)(t, x, &no_context);
    assert_near(leat_value(y.y), fixture_get(f, direction), CLOSE, 1, direction);
    assert_near(leat_value(y.logdet), (leat_tensor){ (leat_real[4]){ 0 }, LEAT_SHAPE(4) }, 0, 1, "log-determinant");

    leat_zero_grad(m);
    cr_assert_eq(leat_vjp(y.y, fixture_get(f, "cotangent")), LEAT_OK, "%s", leat_tape_errmsg(tape));
    snprintf(key, sizeof key, "%s.grad.input", direction);
    assert_near(leat_grad(x), fixture_get(f, key), CLOSE, 1, key);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(key, sizeof key, "%s.grad.%s", direction, names[i]);
        assert_near(param_grad(m, names[i]), fixture_get(f, key), CLOSE, 1, key);
    }
}

Test(parity, one_coupling)
{
    leat_safetensors f = fixture("coupling");
    leat_model *m = test_model(0);
    leat_mask mask = leat_mask_of(m, 5, fixture_get(&f, "mask").data);
    leat_module *net = leat_mlp(m, mask.kept, (int64_t[]){ 7, 0 }, mask.moved, LEAT_RELU);
    leat_transform *t = leat_coupling(m, mask, &leat_additive, net);
    assert_model(m);
    load_coupling(m, &f);
    compare_direction(m, t, &f, "forward");
    compare_direction(m, t, &f, "inverse");
    leat_model_free(m);
}

/* ---- a whole model ----------------------------------------------------------------------------------------------- */

static leat_flow *small_nice(leat_model *m)
{
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = 3, .couplings = 4, .hidden = { 8, 6 } });
    leat_status s = { 0 };
    leat_code code = leat_load(m, LEAT_FIXTURES "/flows/nice.safetensors", &s);
    cr_assert_eq(code, LEAT_OK, "%s", s.message);
    return flow;
}

static leat_var loss_of(leat_flow *flow, leat_tape *tape, leat_tensor x)
{
    return leat_neg(leat_mean(leat_flow_log_prob(flow, leat_const(tape, x))));
}

/* "grad.layers.0.net.2.bias" and the like: those of `f` that begin with `prefix` */
static void compare_parameters(leat_model *m, const leat_safetensors *f, const char *prefix, bool grads,
                               double tolerance)
{
    int compared = 0;
    for (int64_t i = 0; i < f->count; i++) {
        const leat_safetensors_entry *e = &f->entries[i];
        if (strncmp(e->name, prefix, strlen(prefix)))
            continue;
        const char *path = e->name + strlen(prefix);
        assert_near(grads ? param_grad(m, path) : param_value(m, path), e->tensor, tolerance, 0, e->name);
        compared++;
    }
    cr_assert_eq(compared, 4 * 6);
}

Test(parity, state_dict_and_log_prob)
{
    leat_safetensors f = fixture("nice_expected");
    leat_model *m = test_model(1);
    leat_flow *flow = small_nice(m);
    leat_tape *tape = test_tape(m);
    leat_var log_prob = leat_flow_log_prob(flow, leat_const(tape, fixture_get(&f, "x")));
    assert_near(leat_value(log_prob), fixture_get(&f, "log_prob"), CLOSE, 0, "log_prob");

    double scores[16];
    cr_assert_eq(leat_flow_score(flow, tape, fixture_get(&f, "x"), scores), LEAT_OK);
    for (int i = 0; i < 16; i++) {
        double expected = (double)fixture_get(&f, "log_prob").data[i];
        cr_assert(fabs(scores[i] - expected) <= CLOSE * fabs(expected), "row %d", i);
    }
    leat_model_free(m);
}

Test(parity, gradients)
{
    leat_safetensors f = fixture("nice_expected");
    leat_model *m = test_model(1);
    leat_flow *flow = small_nice(m);
    leat_tape *tape = test_tape(m);
    cr_assert_eq(leat_backward(loss_of(flow, tape, fixture_get(&f, "x"))), LEAT_OK, "%s", leat_tape_errmsg(tape));
    compare_parameters(m, &f, "grad.", true, CLOSE);
    leat_model_free(m);
}

Test(parity, three_steps_of_adam)
{
    leat_safetensors f = fixture("nice_expected");
    leat_model *m = test_model(1);
    leat_flow *flow = small_nice(m);
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 1e-2 });
    leat_tape *tape = test_tape(m);
    for (int step = 0; step < 3; step++) {
        leat_tape_reset(tape);
        cr_assert_eq(leat_backward(loss_of(flow, tape, fixture_get(&f, "x"))), LEAT_OK, "%s", leat_tape_errmsg(tape));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK, "%s", leat_optim_status(adam)->message);
    }
    compare_parameters(m, &f, "after.", false, CLOSE);
    leat_model_free(m);
}

/* The two-moons NICE of 6 couplings, hidden 128 and 128: 40 steps, from formulas. */
Test(parity, forty_losses)
{
    leat_safetensors f = fixture("losses");
    leat_tensor expected = fixture_get(&f, "losses");
    leat_model *m = test_model(0);
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = 2 });
    static const int64_t fan_in[3] = { 1, 128, 128 };
    for (int i = 0; i < 6 * 3; i++) {
        char path[2][100];
        snprintf(path[0], sizeof path[0], "layers.%d.net.%d.weight", i / 3, i % 3 * 2);
        snprintf(path[1], sizeof path[1], "layers.%d.net.%d.bias", i / 3, i % 3 * 2);
        for (int k = 0; k < 2; k++) {
            param_value(m, path[k]);
            formula_weights(leat_find_param(m, path[k]), (uint64_t)(2 * i + k), fan_in[i % 3]);
        }
    }
    leat_optim *adam = leat_adam_new(m, NULL);
    leat_tape *tape = test_tape(m);
    leat_tensor batch = test_tensor(256, 2);
    for (int step = 0; step < 40; step++) {
        formula_batch(1000 + (uint64_t)step, 256, batch.data);
        leat_tape_reset(tape);
        leat_var loss = loss_of(flow, tape, batch);
        double wanted = (double)expected.data[step];
#ifdef LEAT_DOUBLE
        double tolerance = 1e-9;
#else
        double tolerance = 1e-4;
#endif
        cr_assert(fabs(leat_item(loss) - wanted) <= tolerance * wanted, "step %d: %.17g, not %.17g", step,
                  leat_item(loss), wanted);
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(tape));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK, "%s", leat_optim_status(adam)->message);
    }
    leat_model_free(m);
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

static void compare_base(leat_base *base, leat_tape *tape, const leat_safetensors *f, const char *z, const char *name)
{
    char key[100];
    leat_var at = leat_input(tape, fixture_get(f, z));
    leat_var density = leat_base_log_prob(base, at, (leat_var){ 0 });
    snprintf(key, sizeof key, "%s.log_prob", name);
    assert_near(leat_value(density), fixture_get(f, key), CLOSE, 0, key);
    cr_assert_eq(leat_vjp(density, fixture_get(f, "weights")), LEAT_OK, "%s", leat_tape_errmsg(tape));
    snprintf(key, sizeof key, "%s.grad.z", name);
    assert_near(leat_grad(at), fixture_get(f, key), CLOSE, 0, key);
}

static void set_param(leat_model *m, const char *path, leat_tensor from)
{
    leat_tensor to = param_value(m, path);
    memcpy(to.data, from.data, (size_t)leat_shape_count(&to.shape) * sizeof(leat_real));
}

Test(parity, logistic)
{
    leat_safetensors f = fixture("pieces");
    leat_model *m = test_model(0);
    compare_base(leat_logistic(m, 3), test_tape(m), &f, "z", "logistic");
    leat_model_free(m);
}

Test(parity, diagonal_normal)
{
    leat_safetensors f = fixture("pieces");
    leat_model *m = test_model(0);
    leat_base *base = leat_diagonal_normal(m, 3);
    set_param(m, "loc", fixture_get(&f, "normal.loc"));
    set_param(m, "log_scale", fixture_get(&f, "normal.log_scale"));
    compare_base(base, test_tape(m), &f, "normal.z", "normal");
    assert_near(param_grad(m, "loc"), fixture_get(&f, "normal.grad.loc"), CLOSE, 0, "loc");
    assert_near(param_grad(m, "log_scale"), fixture_get(&f, "normal.grad.log_scale"), CLOSE, 0, "log_scale");
    leat_model_free(m);
}

static leat_var scale_objective(leat_tape *tape, leat_pair y, const leat_safetensors *f)
{
    leat_var stretched = leat_sum(leat_mul(y.y, leat_const(tape, fixture_get(f, "scale.cotangent"))));
    return leat_add(stretched, leat_sum(leat_mul(y.logdet, leat_const(tape, fixture_get(f, "weights")))));
}

Test(parity, diagonal_scale)
{
    leat_safetensors f = fixture("pieces");
    leat_model *m = test_model(0);
    leat_transform *t = leat_diagonal_scale(m, 3);
    set_param(m, "log_scale", fixture_get(&f, "normal.log_scale"));
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "scale.inverse" : "scale.forward";
        char key[4][100];
        static const char *const suffix[4] = { "", ".logdet", ".grad.input", ".grad.log_scale" };
        for (int i = 0; i < 4; i++)
            snprintf(key[i], sizeof key[i], "%s%s", name, suffix[i]);
        leat_tape *tape = test_tape(m);
        leat_var x = leat_input(tape, fixture_get(&f, "normal.z"));
        leat_pair y = (k ? leat_transform_inverse : leat_transform_forward)(t, x, &no_context);
        assert_near(leat_value(y.y), fixture_get(&f, key[0]), CLOSE, 0, key[0]);
        assert_near(leat_value(y.logdet), fixture_get(&f, key[1]), CLOSE, 0, key[1]);
        leat_zero_grad(m);
        cr_assert_eq(leat_backward(scale_objective(tape, y, &f)), LEAT_OK, "%s", leat_tape_errmsg(tape));
        assert_near(leat_grad(x), fixture_get(&f, key[2]), CLOSE, 0, key[2]);
        assert_near(param_grad(m, "log_scale"), fixture_get(&f, key[3]), CLOSE, 0, key[3]);
    }
    leat_model_free(m);
}
