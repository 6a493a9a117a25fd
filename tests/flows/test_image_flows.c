/* Whole flows over images: right before and after training and from files, decoded, recomputed; what is forged or wrong
 * is found. */
#include "image_support.h"

#include "../../flows/flow_impl.h"
#include "../../nn/model.h"

static const leat_tensor none;

/* ---- whole flows ------------------------------------------------------------------------------------------------- */

static leat_transform *board(leat_model *m, leat_shape row, const leat_elementwise *e, int parity, int64_t context)
{
    leat_mask mask = leat_mask_checkerboard(m, row, parity);
    int64_t out = mask.moved * leat_elementwise_width(e);
    return leat_coupling(m, mask, e, whole(m, row.size[0], row.size[1], mask.kept + context, out));
}

/* Checkerboards of every kind of bijector, and batch norm of what they move. */
static leat_transform *boards(leat_model *m, leat_shape row, int64_t context)
{
    leat_transform *chain = leat_chain(m);
    leat_mask mask = leat_mask_checkerboard(m, row, 0);
    int64_t h = row.size[0], w = row.size[1];
    leat_chain_add(chain, leat_actnorm(m, row.size[2]));
    leat_chain_add(chain, board(m, row, &leat_affine, 0, context));
    leat_chain_add(chain, leat_coupling_transform(m, mask, leat_batch_norm_transform(m, mask.moved, NULL)));
    leat_chain_add(chain,
                   board(m, row, leat_rational_quadratic(m, &(leat_rational_quadratic_opts){ .bins = 3 }), 1, context));
    leat_module *nets[2];
    for (int k = 0; k < 2; k++)
        nets[k] = whole(m, h, w, mask.kept + context, mask.moved);
    leat_chain_add(chain, leat_coupling_nets(m, mask, &leat_affine, nets));
    leat_chain_add(chain, board(m, row, &leat_additive, 1, context));
    return chain;
}

/* Glow's step with a learned 1x1 convolution, squeezed; the prior of what goes out is learned from what goes on. */
static leat_transform *squeezed(leat_model *m, leat_shape row, leat_squeeze_order order, int64_t context)
{
    leat_transform *chain = leat_chain(m), *inner = leat_chain(m), *squeeze = leat_squeeze_transform(m, row, order);
    leat_chain_add(chain, squeeze);
    if (!squeeze || !leat_transform_row(squeeze, &row))
        return chain;
    int64_t features = row.size[2], on = features / 2, h = row.size[0], w = row.size[1];
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_halves(m, features, i);
        leat_chain_add(chain, leat_actnorm(m, features));
        leat_chain_add(chain, leat_lu_linear(m, features));
        leat_chain_add(chain,
                       leat_coupling(m, mask, &leat_affine, whole(m, h, w, mask.kept + context, 2 * mask.moved)));
    }
    leat_mask goes_on = leat_mask_halves(m, features, 0);
    leat_chain_add(chain,
                   leat_coupling(m, goes_on, &leat_affine, whole(m, h, w, goes_on.kept + context, 2 * goes_on.moved)));
    leat_chain_add(inner, boards(m, LEAT_SHAPE(h, w, on), context));
    leat_chain_add(chain, leat_split_transform(m, row, on, inner));
    return chain;
}

static const struct {
    leat_shape row;
    leat_squeeze_order order;
    int classes, bits;
} flows[] = {
    { { 3, { 4, 4, 2 } }, LEAT_SQUEEZE_CHANNELS, 0, 8 },
    { { 3, { 8, 6, 3 } }, LEAT_SQUEEZE_DIAGONAL, 0, 5 },
    { { 3, { 4, 4, 2 } }, LEAT_SQUEEZE_CHECKERBOARD, 3, 8 },
};
enum { FLOWS = sizeof flows / sizeof *flows };

/* With classes the base has a normal for each, and every conditioner sees the class. */
static leat_flow *flow_of(leat_model *m, int i)
{
    leat_shape row = flows[i].row;
    int64_t numbers = leat_shape_count(&row), classes = flows[i].classes;
    leat_flow *f = leat_flow_new(m, classes ? leat_class_normal(m, numbers, classes) : leat_normal(m, numbers));
    leat_flow_set_context(f, classes);
    leat_flow_add(f, leat_dequantize(m, numbers, flows[i].bits));
    leat_flow_add(f, leat_logit(m, 0.05));
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(numbers), row));
    leat_flow_add(f, boards(m, row, classes));
    leat_flow_add(f, squeezed(m, row, flows[i].order, classes));
    assert_model(m);
    randomize(m, 0.1);
    return f;
}

static leat_tensor classes_of(int i, int64_t rows)
{
    int64_t classes = flows[i].classes;
    leat_tensor c = classes ? test_tensor(rows, classes) : none;
    for (int64_t k = 0; k < rows * classes; k++)
        c.data[k] = k % classes == k / classes % classes;
    return c;
}

Test(image_flows, flows_are_right_before_and_after_training_and_loading)
{
    for (int i = 0; i < FLOWS; i++) {
        leat_model *m = test_model(0);
        leat_flow *f = flow_of(m, i);
        leat_tensor x = test_bytes(1, 12, leat_flow_dim(f)), c = classes_of(i, 12), few = c;
        leat_tensor some = { x.data, LEAT_SHAPE(3, leat_flow_dim(f)) };
        few.shape.size[0] = few.data ? 3 : 0;
        if (flows[i].bits < 8) /* all of them levels */
            for (int64_t k = 0; k < leat_shape_count(&x.shape); k++)
                x.data[k] = (leat_real)(8 * floor((double)x.data[k] / 8));
        expect_checked(f, some, few, "at first");
        train_on(f, x, c, 3);
        expect_checked(f, some, few, "trained");
        leat_flow *back = reloaded(f);
        expect_checked(back, some, few, "loaded");
        double a[12], b[12];
        cr_assert_eq(leat_flow_score_given(f, test_tape(m), x, c, a), LEAT_OK);
        cr_assert_eq(leat_flow_score_given(back, test_tape(leat_flow_model(back)), x, c, b), LEAT_OK);
        cr_assert_eq(memcmp(a, b, sizeof a), 0);
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
    }
}

Test(image_flows, decoding_gives_the_bytes_that_were_encoded)
{
    for (int i = 0; i < FLOWS; i++) {
        leat_model *m = test_model(0);
        leat_flow *f = flow_of(m, i);
        leat_tensor x = test_bytes(1, 20, leat_flow_dim(f)), c = classes_of(i, 20),
                    z = test_tensor(20, leat_flow_dim(f)), y = test_tensor(20, leat_flow_dim(f));
        leat_tape *t = test_tape(m);
        cr_assert_eq(leat_flow_encode(f, t, x, c, z.data, NULL), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_flow_decode(f, t, z, c, y.data, NULL), LEAT_OK, "%s", leat_tape_errmsg(t));
        double step = ldexp(1, 8 - flows[i].bits);
        for (int64_t k = 0; k < leat_shape_count(&x.shape); k++)
            cr_assert_eq((double)y.data[k], step * floor((double)x.data[k] / step), "flow %d, %g became %g", i,
                         (double)x.data[k], (double)y.data[k]);
        cr_assert_eq(leat_flow_draw_given(f, t, 20, 1, c, y.data), LEAT_OK, "%s", leat_tape_errmsg(t));
        for (int64_t k = 0; k < leat_shape_count(&y.shape); k++)
            cr_assert((double)y.data[k] >= 0 && (double)y.data[k] <= 255 && fmod((double)y.data[k], step) == 0);
        leat_model_free(m);
    }
}

/* Gradients when all activations are kept, and when inputs are kept or got back. */
Test(image_flows, recomputing_gives_the_same_gradients)
{
    for (int i = 0; i < FLOWS; i++) {
        leat_tensor grads[3];
        for (int how = 0; how < 3; how++) {
            leat_model *m = test_model(0);
            leat_flow *f = flow_of(m, i);
            leat_tensor x = test_bytes(1, 6, leat_flow_dim(f)), c = classes_of(i, 6);
            leat_flow_set_recompute(f, (leat_recompute)how);
            leat_tape *t = test_tape(m);
            leat_var given = c.data ? leat_const(t, c) : (leat_var){ 0 };
            cr_assert_eq(leat_backward(leat_mean(leat_flow_log_prob_given(f, leat_const(t, x), given))), LEAT_OK, "%s",
                         leat_tape_errmsg(t));
            grads[how] = test_tensor(1, m->flat);
            memcpy(grads[how].data, m->grads, (size_t)m->flat * sizeof(leat_real));
            leat_model_free(m);
        }
        cr_assert_gt(leat_shape_count(&grads[0].shape), 1000);
        cr_assert_eq(memcmp(grads[0].data, grads[1].data, (size_t)grads[0].shape.size[1] * sizeof(leat_real)), 0,
                     "flow %d", i);
        assert_near(grads[2], grads[0], 100 * CLOSE, 1, "by the inverse");
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* [4,4,1] by every kind of part for images. */
static leat_flow *filed(leat_model *m)
{
    leat_shape row = LEAT_SHAPE(4, 4, 1);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 16));
    leat_mask mask = leat_mask_checkerboard(m, row, 0);
    leat_flow_add(f, leat_dequantize(m, 16, 5));
    leat_flow_add(f, leat_logit(m, 0.125));
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(16), row));
    leat_flow_add(f,
                  leat_coupling(m, mask, &leat_additive, leat_conv_layer(m, &(leat_conv_opts){ .in = 1, .out = 1 })));
    leat_flow_add(f, leat_squeeze_transform(m, row, LEAT_SQUEEZE_DIAGONAL));
    leat_flow_add(f, leat_unsqueeze_transform(m, row, LEAT_SQUEEZE_DIAGONAL));
    leat_flow_add(f, leat_view(m, row, LEAT_SHAPE(16)));
    assert_model(m);
    return f;
}

static const struct {
    const char *from, *to, *says;
} forged[] = {
    { "\"bits\":5", "\"bits\":9", "bits, which are 1 to 8" },
    { "\"bits\":5", "\"bits\":0", "bits" },
    { "\"dim\":16,\"bits\"", "\"dim\":17,\"bits\"", "dequantisation of rows [17] is given rows [16]" },
    { "\"alpha\":0.125", "\"alpha\":0.5", "from 0 to below 1/2" },
    { "\"alpha\":0.125", "\"beta\":1", "'alpha' is not a number" },
    { "\"positions\":[4,4]", "\"positions\":[4,5]", "layers.3: the tensor 'mask' is not one of 20" },
    { "\"positions\":[4,4]", "\"positions\":[4,4,1]", "layers.3" },
    { "\"positions\":[4,4]", "\"positions\":[2147483647,2147483647]", "layers.3" },
    { "\"positions\":[4,4]", "\"positions\":[-4,-4]", "not a shape" },
    { "\"positions\":[4,4]", "\"positions\":4", "not a shape" },
    { "\"order\":\"diagonal\"", "\"order\":\"sideways\"", "'order' is none of a squeeze" },
    { "\"order\":\"diagonal\"", "\"odd\":1", "'order' is none of a squeeze" },
    { "\"row\":[4,4,1],\"order\"", "\"row\":[4,3,1],\"order\"", "both sides must be even" },
    { "\"row\":[4,4,1],\"order\"", "\"row\":[40000,40000,1],\"order\"", "more numbers than the flow has" },
};

Test(image_flows, forged_files_are_refused)
{
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        leat_model *m = test_model(0);
        const char *path = image_path("forged.safetensors");
        leat_status s = { 0 };
        cr_assert_eq(leat_flow_save(filed(m), path, 0, NULL, &s), LEAT_OK, "%s", s.message);
        leat_flow *back = leat_flow_load(path, NULL, NULL, &s);
        cr_assert_not_null(back, "%s", s.message);
        cr_assert_eq(leat_model_hash(leat_flow_model(back)), leat_model_hash(m));
        rewrite(path, forged[i].from, forged[i].to);
        leat_flow *read = leat_flow_load(path, NULL, NULL, &s);
        if (read) { /* of a right form, and a wrong size is told at its first use */
            leat_tape *t = test_tape(leat_flow_model(read));
            double score;
            leat_flow_score(read, t, test_bytes(1, 1, 16), &score);
            leat_fail(&s, leat_tape_code(t), "%s", leat_tape_errmsg(t));
            leat_model_free(leat_flow_model(read));
        }
        cr_assert_neq(s.code, LEAT_OK, "%zu was accepted", i);
        assert_contains(s.message, forged[i].says);
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
        unlink(path);
    }
}

/* ---- the checker behind what is a bound -------------------------------------------------------------------------- */

/* y = x exp(s) + t, whose log-derivative is a little too large. */
static leat_pair wrong_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    leat_pair out = test_affine_forward(self, x, theta);
    return (leat_pair){ out.y, leat_add_scalar(out.logdet, 1e-2) };
}

static leat_pair wrong_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    leat_pair out = test_affine_inverse(self, y, theta);
    return (leat_pair){ out.y, leat_sub_scalar(out.logdet, 1e-2) };
}

static const leat_elementwise wrong = {
    .name = "wrong", .theta = { { "s", 1 }, { "t", 1 } }, .forward = wrong_forward, .inverse = wrong_inverse
};

Test(image_flows, the_checker_looks_behind_dequantisation)
{
    for (int k = 0; k < 3; k++) { /* a right flow, one with a wrong coupling, and rows that are no bytes of 4 bits */
        leat_model *m = test_model(0);
        leat_flow *f = leat_flow_new(m, leat_normal(m, 8));
        leat_mask mask = leat_mask_halves(m, 2, 0), board = leat_mask_checkerboard(m, LEAT_SHAPE(2, 2, 2), 1);
        leat_flow_add(f, leat_dequantize(m, 8, k == 2 ? 4 : 8));
        leat_flow_add(f, leat_logit(m, 0.05));
        leat_flow_add(f, leat_view(m, LEAT_SHAPE(8), LEAT_SHAPE(2, 2, 2)));
        leat_flow_add(f, leat_coupling(m, board, k == 1 ? &wrong : &leat_affine, whole(m, 2, 2, 2, 4)));
        for (int i = 0; i < 2; i++) {
            mask = leat_mask_halves(m, 2, i);
            leat_flow_add(f, leat_coupling(m, mask, &leat_affine, whole(m, 2, 2, 1, 2)));
        }
        leat_flow_add(f, leat_view(m, LEAT_SHAPE(2, 2, 2), LEAT_SHAPE(8)));
        leat_flow_report r;
        bool ok = leat_flow_check(f, test_bytes(3, 4, 8), NULL, &r);
        assert_contains(r.unseen, "layers.0: more than inverse(forward(x))");
        cr_assert_eq(ok, k == 0, "%d: %s", k, r.reason);
        assert_contains(r.reason, k == 1   ? "layers.3 (coupling): the log-determinant is not that of the Jacobian"
                                  : k == 2 ? "layers.0 (dequantize): inverse(forward(x)) is not x"
                                           : "");
        leat_model_free(m);
    }
}

/* A checkerboard's net that looks at positions far off, or gives too few of them, is found out. */
Test(image_flows, nets_of_another_size_are_refused)
{
    leat_model *m = test_model(0);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 16));
    leat_mask mask = leat_mask_checkerboard(m, LEAT_SHAPE(4, 4, 1), 0);
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(16), LEAT_SHAPE(4, 4, 1)));
    leat_conv_opts smaller = { .in = 1, .out = 2, .kernel = { 3 } };
    leat_flow_add(f, leat_coupling(m, mask, &leat_affine, leat_conv_layer(m, &smaller)));
    leat_tape *t = test_tape(m);
    double score;
    cr_assert_eq(leat_flow_score(f, t, test_normal(1, 1, 16, 1), &score), LEAT_ESHAPE);
    assert_contains(leat_tape_errmsg(t), "layers.1: ");
    leat_model_free(m);
}
