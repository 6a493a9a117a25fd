/* Training that recomputes: the same bits with each transform's input kept, near ones by inverses. */
#include "recompute_support.h"

/* ---- a short training run ---------------------------------------------------------------------------------------- */

typedef leat_flow *builder(leat_model *m);

typedef struct outcome {
    uint64_t hash;
    double loss;
    leat_rng rng;
    size_t peak;
    int64_t nodes;
} outcome;

static outcome train(builder *build, leat_recompute how, int steps, int threads)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 3, .threads = threads });
    leat_flow *f = build(m);
    leat_flow_set_recompute(f, how);
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 0.01 });
    leat_tape *t = test_tape(m);
    leat_tensor x = rows_of(1, leat_flow_dim(f));
    outcome o = { 0 };
    for (int step = 0; step < steps; step++) {
        leat_tape_reset(t);
        leat_var loss = loss_of(f, t, x);
        o.loss = leat_item(loss);
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    }
    o.hash = leat_model_hash(m);
    o.rng = *leat_tape_rng(t);
    o.peak = leat_tape_get_stats(t).peak_bytes;
    o.nodes = leat_tape_get_stats(t).nodes;
    assert_model(m);
    leat_model_free(m);
    return o;
}

static const struct {
    const char *name;
    builder *build;
} flows[] = {
    { "nice", nice },       { "nice, reversed", nice_reversed },
    { "realnvp", realnvp }, { "conditional", conditional },
    { "mixed", mixed },     { "maf", maf },
    { "nsf", nsf },
};

enum { FLOWS = sizeof flows / sizeof *flows };

/* ---- the bits of an ordinary run --------------------------------------------------------------------------------- */

Test(recompute, forward_trains_to_the_same_bits)
{
    for (int i = 0; i < FLOWS; i++) {
        outcome plain = train(flows[i].build, LEAT_RECOMPUTE_NONE, 6, 1);
        for (int threads = 1; threads <= 3; threads += 2) {
            outcome o = train(flows[i].build, LEAT_RECOMPUTE_FORWARD, 6, threads);
            cr_assert_eq(o.hash, plain.hash, "%s", flows[i].name);
            cr_assert_eq(o.loss, plain.loss, "%s", flows[i].name);
            cr_assert_eq(memcmp(&o.rng, &plain.rng, sizeof o.rng), 0, "%s", flows[i].name);
            cr_assert_lt(o.nodes, plain.nodes, "%s", flows[i].name);
        }
    }
}

/* The loss of the first step is that of an ordinary one; what is learned from it differs by rounding. */
Test(recompute, invert_trains_to_near_ones)
{
    for (int i = 0; i < FLOWS; i++) {
        outcome plain = train(flows[i].build, LEAT_RECOMPUTE_NONE, 1, 1),
                o = train(flows[i].build, LEAT_RECOMPUTE_INVERT, 1, 1);
        cr_assert_eq(o.loss, plain.loss, "%s", flows[i].name);
        plain = train(flows[i].build, LEAT_RECOMPUTE_NONE, 6, 1);
        o = train(flows[i].build, LEAT_RECOMPUTE_INVERT, 6, 1);
        cr_assert_float_eq(o.loss, plain.loss, 100 * CLOSE, "%s: %.9g, not %.9g", flows[i].name, o.loss, plain.loss);
        cr_assert_eq(memcmp(&o.rng, &plain.rng, sizeof o.rng), 0, "%s", flows[i].name);
    }
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

typedef struct collected {
    leat_real *at;
    int64_t count;
} collected;

static void collect(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    collected *c = v->user;
    int64_t n = leat_shape_count(&p->leaf.shape);
    cr_assert(p->leaf.has_grad);
    memcpy(c->at + c->count, p->leaf.grad, (size_t)n * sizeof *c->at);
    c->count += n;
}

static collected gradients(leat_model *m)
{
    collected c = { leat_arena_alloc(test_arena(), (size_t)leat_param_count(m) * sizeof(leat_real)), 0 };
    leat_visitor v = { .user = &c, .param = collect };
    leat_visit_model(&v, m);
    return c;
}

static double distance(collected a, collected b)
{
    double squares = 0, all = 0;
    for (int64_t i = 0; i < a.count; i++) {
        squares += pow((double)a.at[i] - (double)b.at[i], 2);
        all += pow((double)a.at[i], 2);
    }
    return sqrt(squares / all);
}

/* How far gradients are from an ordinary step's, as a part of their norm. */
static double drift(int couplings, bool affine)
{
    leat_model *m = test_model(1);
    leat_realnvp_opts realnvp = { .dim = 8, .couplings = couplings, .hidden = { 64, 64 } };
    leat_nice_opts nice = { .dim = 8, .couplings = couplings, .hidden = { 64, 64 } };
    leat_flow *f = affine ? leat_realnvp_new(m, &realnvp) : leat_nice_new(m, &nice);
    leat_tape *t = test_tape(m);
    leat_tensor x = rows_of(5, 8);
    collected g[2];
    for (int i = 0; i < 2; i++) {
        leat_flow_set_recompute(f, i ? LEAT_RECOMPUTE_INVERT : LEAT_RECOMPUTE_NONE);
        leat_tape_reset(t);
        leat_var loss = loss_of(f, t, x);
        leat_clear_grads(t);
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        g[i] = gradients(m);
        leat_clear_grads(t);
    }
    leat_model_free(m);
    return distance(g[0], g[1]);
}

/* What flows.h says of it, with room for other weights; in units of rounding. Affine couplings, 64 of them and not yet
 * trained, stretch what was rounded. */
Test(recompute, gradients_by_inverses_drift_little)
{
    static const double limit[2][3] = { { 5, 5, 5 }, { 5, 10, 100 } };
    double unit = sizeof(leat_real) == 8 ? 0x1p-52 : 0x1p-23;
    for (int affine = 0; affine < 2; affine++) {
        for (int i = 0; i < 3; i++) {
            double d = drift(4 << 2 * i, affine);
            cr_assert_lt(d, limit[affine][i] * unit, "%d couplings: %.3g", 4 << 2 * i, d);
            cr_assert_gt(d, 0, "nothing was inverted");
        }
    }
}

/* Input and context get their gradients in the order of an ordinary step, whatever else uses them. */
static collected outer_gradients(leat_recompute how, bool sample)
{
    leat_model *m = test_model(1);
    leat_flow *f = conditional(m);
    leat_flow_set_recompute(f, how);
    leat_tape *t = test_tape(m);
    leat_var x = leat_input(t, rows_of(1, 3)), context = leat_input(t, rows_of(2, 2));
    leat_var early = leat_add(leat_tanh(x), leat_exp(leat_slice(x, -1, 1, 1))), seen = leat_sin(context);
    leat_pair z = sample ? leat_flow_inverse_given(f, early, seen) : leat_flow_forward_given(f, early, seen);
    leat_var late = leat_add(leat_mul(z.y, early), leat_slice(seen, -1, 0, 1));
    leat_var loss = leat_add(leat_mean(leat_square(late)), leat_mean(leat_mul(z.logdet, z.logdet)));
    cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
    collected c = { leat_arena_alloc(test_arena(), 10000 * sizeof(leat_real)), 5 * ROWS }, all = gradients(m);
    memcpy(c.at, leat_grad(x).data, 3 * ROWS * sizeof *c.at);
    memcpy(c.at + 3 * ROWS, leat_grad(context).data, 2 * ROWS * sizeof *c.at);
    memcpy(c.at + 5 * ROWS, all.at, (size_t)all.count * sizeof *c.at);
    c.count += all.count;
    leat_model_free(m);
    return c;
}

Test(recompute, gradients_of_input_and_context)
{
    for (int sample = 0; sample < 2; sample++) {
        collected plain = outer_gradients(LEAT_RECOMPUTE_NONE, sample);
        collected forward = outer_gradients(LEAT_RECOMPUTE_FORWARD, sample);
        collected invert = outer_gradients(LEAT_RECOMPUTE_INVERT, sample);
        cr_assert_eq(memcmp(plain.at, forward.at, (size_t)plain.count * sizeof *plain.at), 0);
        cr_assert_lt(distance(plain, invert), CLOSE);
    }
}

/* Of z and log-determinant one alone is used; and the tape is walked twice. */
Test(recompute, one_result_alone)
{
    for (int which = 0; which < 2; which++) {
        collected g[3];
        for (int how = 0; how < 3; how++) {
            leat_model *m = test_model(1);
            leat_flow *f = realnvp(m);
            leat_flow_set_recompute(f, (leat_recompute)how);
            leat_tape *t = test_tape(m);
            leat_pair z = leat_flow_forward(f, leat_const(t, rows_of(1, 3)));
            leat_var loss = leat_mean(leat_square(which ? z.logdet : z.y));
            for (int i = 0; i < 2; i++)
                cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
            g[how] = (collected){ leat_arena_alloc(test_arena(), 64 * sizeof(leat_real)), 0 };
            leat_param *p = leat_find_param(m, "layers.0.snet.0.weight");
            collect(&(leat_visitor){ .user = &g[how] }, NULL, p);
            leat_model_free(m);
        }
        cr_assert_eq(memcmp(g[0].at, g[1].at, (size_t)g[0].count * sizeof *g[0].at), 0);
        cr_assert_lt(distance(g[0], g[2]), CLOSE);
    }
}

/* A flow inside a checkpoint: a block in a block, whose parameters are still emptied by leat_clear_grads. */
static void flow_block(leat_tape *t, void *user, const leat_var *in, leat_var *out)
{
    (void)t;
    out[0] = leat_flow_log_prob(user, in[0]);
}

Test(recompute, a_flow_inside_a_checkpoint)
{
    collected g[3];
    for (int how = 0; how < 3; how++) {
        leat_model *m = test_model(1);
        leat_flow *f = nice(m);
        leat_flow_set_recompute(f, (leat_recompute)how);
        leat_tape *t = test_tape(m);
        leat_var x = leat_const(t, rows_of(1, 5)), y;
        if (how)
            leat_checkpoint(t, flow_block, f, 1, &x, 1, &y);
        else
            y = leat_flow_log_prob(f, x);
        cr_assert_eq(leat_backward(leat_mean(y)), LEAT_OK, "%s", leat_tape_errmsg(t));
        g[how] = gradients(m);
        leat_clear_grads(t);
        cr_assert_not(leat_find_param(m, "layers.2.net.0.weight")->leaf.has_grad);
        leat_model_free(m);
    }
    cr_assert_eq(memcmp(g[0].at, g[1].at, (size_t)g[0].count * sizeof *g[0].at), 0);
    cr_assert_lt(distance(g[0], g[2]), CLOSE);
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

Test(recompute, what_a_transform_changes_is_changed_once)
{
    leat_model *m = test_model(1);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 3));
    custom *c = custom_new(m, 3);
    leat_flow_add(f, leat_diagonal_scale(m, 3));
    leat_flow_add(f, &c->transform);
    leat_flow_set_recompute(f, LEAT_RECOMPUTE_FORWARD);
    leat_tape *t = test_tape(m);
    cr_assert_eq(step_once(f, t, 3), LEAT_OK, "%s", leat_tape_errmsg(t));
    cr_assert_eq(c->runs, 1);
    cr_assert_eq(c->all_runs, 2);
    leat_model_free(m);
}

/* A transform that gives other numbers the second time is found out, and no gradient is left. */
Test(recompute, other_numbers_are_refused)
{
    leat_model *m = test_model(1);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 3));
    custom *c = custom_new(m, 3);
    leat_flow_add(f, leat_diagonal_scale(m, 3));
    leat_flow_add(f, &c->transform);
    leat_flow_add(f, leat_diagonal_scale(m, 3));
    leat_flow_set_recompute(f, LEAT_RECOMPUTE_FORWARD);
    leat_tape *t = test_tape(m);
    c->factor = 0.01;
    cr_assert_eq(step_once(f, t, 3), LEAT_ESTATE);
    assert_contains(leat_tape_errmsg(t), "recomputing [64,3] gave other numbers than the first time");
    cr_assert_not(leat_find_param(m, "layers.2.log_scale")->leaf.has_grad);
    cr_assert_not(leat_tape_recomputing(t));
    c->factor = 0;
    cr_assert_eq(step_once(f, t, 3), LEAT_OK, "%s", leat_tape_errmsg(t));
    leat_model_free(m);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

Test(recompute, errors_name_the_place)
{
    leat_model *m = test_model(1);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 3));
    leat_mask mask = leat_mask_alternating(m, 3, 0);
    leat_flow_add(f, leat_diagonal_scale(m, 3));
    leat_flow_add(f, leat_coupling(m, mask, &leat_additive, leat_mlp(m, mask.kept, NULL, mask.moved + 1, LEAT_RELU)));
    leat_flow_set_recompute(f, LEAT_RECOMPUTE_FORWARD);
    leat_tape *t = test_tape(m);
    cr_assert_eq(step_once(f, t, 3), LEAT_ESHAPE);
    assert_contains(leat_tape_errmsg(t), "layers.1: additive moves 2 features");
    leat_model_free(m);
}

Test(recompute, values_that_are_not_finite_are_found_inside)
{
    for (int how = 0; how < 3; how++) {
        leat_model *m = test_model(1);
        leat_flow *f = realnvp(m);
        leat_flow_set_recompute(f, (leat_recompute)how);
        leat_tape *t = test_tape(m);
        param_value(m, "layers.3.tnet.2.bias").data[1] = (leat_real)NAN;
        cr_assert_eq(step_once(f, t, 3), LEAT_ENONFINITE);
        assert_contains(leat_tape_errmsg(t), "layers.3.tnet.2.bias: parameter [12] is the first value that is not");
        leat_model_free(m);
    }
}

Test(recompute, a_mode_that_there_is_not)
{
    leat_model *m = test_model(1);
    leat_flow *f = nice(m);
    leat_flow_set_recompute(NULL, LEAT_RECOMPUTE_FORWARD);
    leat_flow_set_recompute(f, (leat_recompute)3);
    cr_assert_eq(leat_model_code(m), LEAT_EARG);
    assert_contains(leat_model_errmsg(m), "there is no way 3 to recompute");
    leat_model_free(m);
}

/* Nothing to be learned, and nothing in the chain. */
Test(recompute, edges)
{
    for (int how = 0; how < 3; how++) {
        leat_model *m = test_model(1);
        leat_flow *empty = leat_flow_new(m, leat_normal(m, 2));
        leat_flow *fixed = leat_flow_new(m, leat_normal(m, 2));
        leat_flow_add(fixed, leat_reverse(m, 2));
        leat_flow_add(fixed, leat_reverse(m, 2));
        leat_flow_set_recompute(empty, (leat_recompute)how);
        leat_flow_set_recompute(fixed, (leat_recompute)how);
        leat_tape *t = test_tape(m);
        leat_tensor x = rows_of(1, 2);
        double losses[2];
        leat_flow *both[] = { empty, fixed };
        for (int i = 0; i < 2; i++) {
            leat_var in = leat_input(t, x), loss = leat_mean(leat_flow_log_prob(both[i], in));
            losses[i] = leat_item(loss);
            cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
            cr_assert_float_eq(leat_grad(in).data[1], -x.data[1] / ROWS, 1e-6);
            cr_assert_eq(leat_backward(leat_mean(leat_flow_log_prob(both[i], leat_const(t, x)))), LEAT_OK);
        }
        cr_assert_eq(losses[0], losses[1]);
        leat_model_free(m);
    }
}

/* ---- chains inside ----------------------------------------------------------------------------------------------- */

static leat_transform *coupling_of(leat_model *m, int parity)
{
    leat_mask mask = leat_mask_alternating(m, 4, parity);
    return leat_coupling(m, mask, &leat_affine, test_net(m, &mask, 0, 2));
}

/* Three deep, two of which end together, and an empty one. */
static leat_flow *deep(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, 4));
    leat_transform *outer = leat_chain(m), *middle = leat_chain(m), *inner = leat_chain(m);
    leat_chain_add(inner, coupling_of(m, 0));
    leat_chain_add(inner, leat_lu_linear(m, 4));
    leat_chain_add(middle, leat_diagonal_scale(m, 4));
    leat_chain_add(middle, inner);
    leat_chain_add(outer, middle);
    leat_chain_add(outer, coupling_of(m, 1));
    leat_flow_add(f, leat_diagonal_scale(m, 4));
    leat_flow_add(f, outer);
    leat_flow_add(f, leat_chain(m));
    leat_flow_add(f, coupling_of(m, 0));
    return f;
}

/* Both directions: log-densities of rows and of draws, and what is learned from them. */
Test(recompute, chains_inside_give_the_same_bits)
{
    uint64_t hashes[3];
    leat_real values[3][2 * ROWS];
    for (int how = 0; how < 3; how++) {
        leat_model *m = test_model(3);
        leat_flow *f = deep(m);
        randomize(m, 0.3);
        leat_flow_set_recompute(f, (leat_recompute)how);
        leat_optim *adam = leat_adam_new(m, NULL);
        leat_tape *t = test_tape(m);
        leat_var drawn, y = leat_flow_sample_log_prob(f, t, ROWS, &drawn);
        leat_var given = leat_flow_log_prob(f, leat_borrow(t, rows_of(1, 4)));
        assert_tape(t);
        memcpy(values[how], leat_value(drawn).data, sizeof values[how] / 2);
        memcpy(values[how] + ROWS, leat_value(given).data, sizeof values[how] / 2);
        leat_var loss = leat_add(leat_mean(leat_sub(drawn, given)), leat_mean(leat_square(y)));
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK);
        hashes[how] = leat_model_hash(m);
        cr_assert_arr_eq(values[how], values[0], sizeof values[0]);
        leat_model_free(m);
    }
    cr_assert_eq(hashes[LEAT_RECOMPUTE_FORWARD], hashes[LEAT_RECOMPUTE_NONE]);
}

/* However deep a layer is, it runs once more, and no more often. */
Test(recompute, a_layer_of_a_chain_inside_runs_again_once)
{
    leat_model *m = test_model(3);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 4));
    custom *c = custom_new(m, 4);
    leat_transform *chains[] = { leat_chain(m), leat_chain(m), &c->transform };
    for (int i = 1; i >= 0; i--)
        leat_chain_add(chains[i], chains[i + 1]);
    leat_flow_add(f, chains[0]);
    leat_flow_set_recompute(f, LEAT_RECOMPUTE_FORWARD);
    cr_assert_eq(step_once(f, test_tape(m), 4), LEAT_OK);
    cr_assert_eq(c->all_runs, 2);
    leat_model_free(m);
}
