/* Chains in chains, views, splits, transforms turned round and conditional ones: checked in both directions, from files,
 * with recomputation. */
#include "support.h"

#include <unistd.h>

enum { ROWS = 24 };

static const char *path_of(const char *name)
{
    static char folder[] = "/tmp/leat-chain-XXXXXX", path[100];
    static bool made;
    if (!made)
        cr_assert_not_null(mkdtemp(folder));
    made = true;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- flows ------------------------------------------------------------------------------------------------------- */

/* Glow's step on [.., features]. */
static leat_transform *step(leat_model *m, int64_t features, int parity, int64_t context)
{
    leat_transform *chain = leat_chain(m);
    leat_mask mask = leat_mask_halves(m, features, parity);
    leat_chain_add(chain, leat_actnorm(m, features));
    leat_chain_add(chain, leat_lu_linear(m, features));
    leat_chain_add(chain, leat_coupling(m, mask, &leat_affine, test_net(m, &mask, context, 2)));
    return chain;
}

/* What goes out at this level is moved by what goes on: a learned prior. */
static leat_transform *prior(leat_model *m, int64_t features)
{
    leat_mask mask = leat_mask_halves(m, features, 0);
    return leat_coupling(m, mask, &leat_affine, test_net(m, &mask, 0, 2));
}

/* [8,8,2] by halves of rows: [4,8,4], [2,8,4], [1,8,4]. */
static leat_transform *level(leat_model *m, leat_shape row, int levels)
{
    leat_transform *chain = leat_chain(m);
    leat_shape folded = LEAT_SHAPE(row.size[0] / 2, row.size[1], row.size[2] * 2);
    leat_chain_add(chain, leat_view(m, row, folded));
    for (int i = 0; i < 2; i++)
        leat_chain_add(chain, step(m, folded.size[2], i, 0));
    if (levels == 1)
        return chain;
    int64_t on = folded.size[2] / 2;
    leat_chain_add(chain, prior(m, folded.size[2]));
    leat_chain_add(chain, leat_split_transform(m, folded, on,
                                               level(m, LEAT_SHAPE(folded.size[0], folded.size[1], on), levels - 1)));
    return chain;
}

static leat_flow *three_levels(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, 128));
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(128), LEAT_SHAPE(8, 8, 2)));
    leat_flow_add(f, level(m, LEAT_SHAPE(8, 8, 2), 3));
    return f;
}

/* A chain in a chain in a coupling. */
static leat_flow *nested(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_diagonal_normal(m, 6));
    for (int i = 0; i < 2; i++) {
        leat_transform *inner = leat_chain(m);
        leat_chain_add(inner, step(m, 3, 0, 3));
        leat_chain_add(inner, leat_inverse_of(m, step(m, 3, 1, 3)));
        leat_chain_add(inner, leat_chain(m));
        leat_flow_add(f, leat_coupling_transform(m, leat_mask_alternating(m, 6, 0), inner));
        leat_flow_add(f, leat_reverse(m, 6));
    }
    return f;
}

/* The context stands at every position of the couplings inside. */
static leat_flow *conditional(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, 12));
    leat_flow_set_context(f, 2);
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(12), LEAT_SHAPE(3, 4)));
    leat_flow_add(f, step(m, 4, 0, 2));
    leat_mask mask = leat_mask_alternating(m, 4, 1);
    leat_flow_add(f, leat_coupling_transform(m, mask, step(m, 2, 0, 4)));
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(3, 4), LEAT_SHAPE(12)));
    leat_flow_standardize_by(f, NULL, NULL, (double[]){ 1, 2 }, (double[]){ 3, 4 });
    return f;
}

static leat_flow *positions(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_logistic(m, 12));
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(12), LEAT_SHAPE(2, 2, 3)));
    leat_flow_add(f, leat_permutation(m, 3, NULL));
    leat_flow_add(f, leat_batch_norm_transform(m, 3, NULL));
    leat_flow_add(f, leat_diagonal_scale(m, 3));
    leat_flow_add(f, leat_reverse(m, 3));
    leat_flow_add(f, leat_standardizer(m, 3, (double[]){ 1, 2, 3 }, (double[]){ 0.5, 2, 3 }));
    leat_flow_add(f, step(m, 3, 1, 0));
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(2, 2, 3), LEAT_SHAPE(12)));
    return f;
}

static leat_flow *(*const builders[])(leat_model *) = { three_levels, nested, conditional, positions };
enum { FLOWS = sizeof builders / sizeof *builders };

static leat_tensor given(const leat_flow *f, int64_t rows)
{
    return leat_flow_context(f) ? test_normal(2, rows, leat_flow_context(f), 1) : (leat_tensor){ 0 };
}

static leat_var loss_of(leat_flow *f, leat_tape *t)
{
    leat_tensor c = given(f, ROWS);
    leat_var context = c.data ? leat_const(t, c) : (leat_var){ 0 };
    return leat_neg(
        leat_mean(leat_flow_log_prob_given(f, leat_const(t, test_normal(1, ROWS, leat_flow_dim(f), 1)), context)));
}

static leat_optim *trained(leat_flow *f, int steps)
{
    leat_model *m = leat_flow_model(f);
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 0.01 });
    leat_tape *t = test_tape(m);
    for (int i = 0; i < steps; i++) {
        leat_tape_reset(t);
        cr_assert_eq(leat_backward(loss_of(f, t)), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    }
    return adam;
}

static void expect_checked(leat_flow *f, const char *when)
{
    leat_flow_report r;
    leat_flow_check_opts o = { .context = given(f, 4), .jacobian_rows = 2 };
    bool ok = leat_flow_check(f, test_normal(9, 4, leat_flow_dim(f), 1), &o, &r);
    cr_assert(ok, "%s: %s", when, r.reason);
    cr_assert_null(strstr(r.unseen, "Jacobian"), "%s: %s", when, r.unseen);
}

static leat_flow *reloaded(leat_flow *f)
{
    leat_status s = { 0 };
    const char *path = path_of("model.safetensors");
    cr_assert_eq(leat_flow_save(f, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_flow *back = leat_flow_load(path, NULL, NULL, &s);
    cr_assert_not_null(back, "%s", s.message);
    cr_assert_eq(leat_model_hash(leat_flow_model(back)), leat_model_hash(leat_flow_model(f)));
    return back;
}

Test(chain, is_right_before_and_after_training_and_loading)
{
    for (int i = 0; i < FLOWS; i++) {
        leat_model *m = test_model((uint64_t)i);
        leat_flow *f = builders[i](m);
        assert_model(m);
        randomize(m, 0.2);
        expect_checked(f, "at first");
        trained(f, 4);
        expect_checked(f, "trained");
        leat_flow *back = reloaded(f);
        expect_checked(back, "loaded");
        double a[ROWS], b[ROWS];
        leat_tensor x = test_normal(3, ROWS, leat_flow_dim(f), 1), c = given(f, ROWS);
        cr_assert_eq(leat_flow_score_given(f, test_tape(m), x, c, a), LEAT_OK);
        cr_assert_eq(leat_flow_score_given(back, test_tape(leat_flow_model(back)), x, c, b), LEAT_OK);
        cr_assert_eq(memcmp(a, b, sizeof a), 0);
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
    }
}

/* [32,2] as [16,4] in front of a chain. */
static leat_transform *inner_of(leat_model *m, leat_transform *chain)
{
    leat_transform *whole = leat_chain(m);
    leat_chain_add(whole, leat_view(m, LEAT_SHAPE(32, 2), LEAT_SHAPE(16, 4)));
    leat_chain_add(whole, chain);
    return whole;
}

/* y = x exp(s) + t, whose log-derivative is a little too large. */
static leat_pair wrong_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    leat_pair out = test_affine_forward(self, x, theta);
    return (leat_pair){ out.y, leat_add_scalar(out.logdet, 1e-3) };
}

static leat_pair wrong_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    leat_pair out = test_affine_inverse(self, y, theta);
    return (leat_pair){ out.y, leat_sub_scalar(out.logdet, 1e-3) };
}

/* At the third level of the split, where 32 numbers are left of 128. */
Test(chain, a_mistake_deep_inside_is_found)
{
    static const leat_elementwise wrong = {
        .name = "wrong",
        .theta = { { "s", 1 }, { "t", 1 } },
        .forward = wrong_forward,
        .inverse = wrong_inverse,
    };
    for (int right = 0; right < 2; right++) {
        leat_model *m = test_model(0);
        leat_flow *f = three_levels(m);
        leat_mask mask = leat_mask_halves(m, 2, 0);
        leat_transform *inner = leat_chain(m), *outer = leat_chain(m);
        leat_chain_add(inner, leat_coupling(m, mask, right ? &test_affine : &wrong, test_net(m, &mask, 0, 2)));
        leat_chain_add(outer, leat_split_transform(m, LEAT_SHAPE(16, 4), 2, inner));
        leat_flow_add(f, leat_view(m, LEAT_SHAPE(128), LEAT_SHAPE(32, 4)));
        leat_flow_add(f, leat_split_transform(m, LEAT_SHAPE(32, 4), 2, inner_of(m, outer)));
        randomize(m, 0.2);
        leat_flow_report r;
        bool ok = leat_flow_check(f, test_normal(9, 4, 128, 1), NULL, &r);
        cr_assert_eq(ok, right, "%s", r.reason);
        if (!right)
            assert_contains(r.reason, "the log-determinant is not that of the Jacobian");
        leat_model_free(m);
    }
}

/* ---- recomputation ----------------------------------------------------------------------------------------------- */

Test(chain, recomputes_to_the_same_bits)
{
    for (int i = 0; i < FLOWS; i++) {
        uint64_t hash[2];
        size_t peak[2];
        for (int k = 0; k < 2; k++) {
            leat_model *m = test_model(1);
            leat_flow *f = builders[i](m);
            leat_flow_set_recompute(f, k ? LEAT_RECOMPUTE_FORWARD : LEAT_RECOMPUTE_NONE);
            trained(f, 4);
            leat_tape *t = test_tape(m);
            cr_assert_eq(leat_backward(loss_of(f, t)), LEAT_OK, "%s", leat_tape_errmsg(t));
            hash[k] = leat_model_hash(m);
            peak[k] = leat_tape_get_stats(t).peak_bytes;
            leat_model_free(m);
        }
        cr_assert_eq(hash[0], hash[1], "flow %d", i);
        cr_assert(peak[1] < peak[0] || i > 0, "flow %d: %zu bytes, and %zu without", i, peak[1], peak[0]);
    }
}

Test(chain, inverts_to_near_ones)
{
    for (int i = 0; i < FLOWS; i++) {
        double loss[2];
        for (int k = 0; k < 2; k++) {
            leat_model *m = test_model(1);
            leat_flow *f = builders[i](m);
            leat_flow_set_recompute(f, k ? LEAT_RECOMPUTE_INVERT : LEAT_RECOMPUTE_NONE);
            trained(f, 5);
            leat_tape *t = test_tape(m);
            loss[k] = leat_item(loss_of(f, t));
            leat_model_free(m);
        }
        cr_assert_float_eq(loss[0], loss[1], 100 * CLOSE * fabs(loss[0]), "flow %d: %.9g, %.9g", i, loss[0], loss[1]);
    }
}

/* The gradient of what is drawn goes through a chain's inverse, block or not. */
Test(chain, draws_are_differentiable)
{
    for (int i = 0; i < FLOWS; i++) {
        uint64_t hash[2];
        for (int k = 0; k < 2; k++) {
            leat_model *m = test_model(1);
            leat_flow *f = builders[i](m);
            randomize(m, 0.1);
            leat_flow_set_recompute(f, k ? LEAT_RECOMPUTE_FORWARD : LEAT_RECOMPUTE_NONE);
            leat_optim *sgd = leat_sgd_new(m, &(leat_sgd_opts){ .lr = 0.01 });
            leat_tape *t = leat_model_tape(m, &(leat_tape_opts){ .evaluate = true });
            leat_tensor c = given(f, ROWS);
            leat_var log_prob, context = c.data ? leat_const(t, c) : (leat_var){ 0 };
            leat_var x = leat_flow_sample_log_prob_given(f, t, ROWS, context, &log_prob);
            leat_var loss = leat_add(leat_mean(log_prob), leat_mean(leat_square(x)));
            cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
            cr_assert_eq(leat_optim_step(sgd), LEAT_OK);
            hash[k] = leat_model_hash(m);
            leat_model_free(m);
        }
        cr_assert_eq(hash[0], hash[1], "flow %d", i);
    }
}

/* ---- names, and what does not fit -------------------------------------------------------------------------------- */

static void join_name(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    char name[100], *names = v->user;
    strcat(strcat(names, leat_param_path(p, name, sizeof name)), " ");
}

Test(chain, names_say_the_way)
{
    leat_model *m = test_model(0);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 4));
    leat_transform *outer = leat_chain(m), *inner = leat_chain(m);
    leat_chain_add(inner, leat_diagonal_scale(m, 2));
    leat_chain_add(outer, leat_split_transform(m, LEAT_SHAPE(4), 2, inner));
    leat_flow_add(f, leat_reverse(m, 4));
    leat_flow_add(f, outer);
    char names[200] = "";
    leat_visit_model(&(leat_visitor){ .user = names, .param = join_name }, m);
    cr_assert_str_eq(names, "layers.1.layers.0.inner.layers.0.log_scale ");
    const char *summary = leat_summary(m, test_arena());
    cr_assert_null(strstr(strstr(summary, "(root)") + 1, "(root)"), "%s",
                   summary); /* the flow's own chain has no name */
    cr_assert_eq(leat_chain_length(outer), 1);
    cr_assert_str_eq(leat_chain_layer(outer, 0)->module.type->name, "split");
    cr_assert_null(leat_chain_layer(outer, 1));
    leat_model_free(m);
}

Test(chain, what_does_not_fit_is_refused)
{
    static const struct {
        int64_t from[2], to[2];
        const char *says;
    } views[] = { { { 3, 2 }, { 2, 3 }, "rows [3,2] is given rows [6]" },
                  { { 6, 1 }, { 5, 1 }, "a view of rows [6,1] as rows [5,1]" } };
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        leat_model *m = test_model(0);
        leat_flow *f = leat_flow_new(m, leat_normal(m, 6));
        leat_flow_add(f, leat_view(m, LEAT_SHAPE(views[i].from[0], views[i].from[1]),
                                   LEAT_SHAPE(views[i].to[0], views[i].to[1])));
        leat_tape *t = test_tape(m);
        leat_flow_log_prob(f, leat_const(t, test_normal(1, 3, 6, 1)));
        assert_contains(leat_model_status(m)->message, views[i].says);
        leat_model_free(m);
    }
    leat_model *m = test_model(0);
    leat_split_transform(m, LEAT_SHAPE(4), 4, leat_chain(m));
    assert_contains(leat_model_errmsg(m), "a split of rows [4] of which 4 features go on");
    leat_model_free(m);
    m = test_model(0); /* with the batch in front it would be one axis more than there are */
    leat_view(m, LEAT_SHAPE(6), LEAT_SHAPE(1, 1, 1, 1, 2, 3));
    assert_contains(leat_model_errmsg(m), "a view of rows [6] as rows [1,1,1,1,2,3]");
    leat_model_free(m);
    m = test_model(0);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 6));
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(6), LEAT_SHAPE(3, 2)));
    leat_tape *t = test_tape(m);
    leat_flow_log_prob(f, leat_const(t, test_normal(1, 3, 6, 1)));
    assert_contains(leat_tape_errmsg(t), "the flow's last transform must give [batch,6]");
    leat_model_free(m);
}

/* ---- masks are nobody else's ------------------------------------------------------------------------------------- */

/* Two couplings of one mask, and a file of the same shapes with two others. */
Test(chain, couplings_of_one_mask_load_masks_of_their_own)
{
    leat_flow *flows[2];
    double scores[2][5];
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(0);
        leat_mask first = leat_mask_halves(m, 4, 0), second = k ? leat_mask_halves(m, 4, 1) : first;
        flows[k] = leat_flow_new(m, leat_normal(m, 4));
        leat_flow_add(flows[k], leat_coupling(m, first, &leat_affine, test_net(m, &first, 0, 2)));
        leat_flow_add(flows[k], leat_coupling(m, second, &leat_affine, test_net(m, &second, 0, 2)));
        randomize(m, 0.5);
    }
    leat_status s = { 0 };
    cr_assert_eq(leat_save(leat_flow_model(flows[1]), path_of("masks"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_load(leat_flow_model(flows[0]), path_of("masks"), &s), LEAT_OK, "%s", s.message);
    for (int k = 0; k < 2; k++)
        cr_assert_eq(
            leat_flow_score(flows[k], test_tape(leat_flow_model(flows[k])), test_normal(1, 5, 4, 1), scores[k]),
            LEAT_OK);
    cr_assert_eq(memcmp(scores[0], scores[1], sizeof scores[0]), 0);
}
