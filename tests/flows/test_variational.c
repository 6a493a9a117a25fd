/* Variational dequantisation: its density is one, bytes come back, all is trained, and chance is the same everywhere. */
#include "image_support.h"

enum { HEIGHT = 4, WIDTH = 4, CHANNELS = 1, CONTEXT = 3 };

static leat_module *net_of(leat_model *m, leat_shape coarse, int64_t in, int64_t out, double dropout)
{
    leat_module *net = whole(m, coarse.size[0], coarse.size[1], in, out);
    if (dropout > 0)
        leat_sequential_add(((whole_net *)net)->net, leat_dropout_layer(m, dropout));
    return net;
}

/* Couplings between the two colours of a checkerboard. */
static leat_transform *variational(leat_model *m, leat_shape row, int bits, int64_t given, double dropout)
{
    leat_shape coarse = LEAT_SHAPE(row.size[0], row.size[1] / 2, 2 * row.size[2]);
    int64_t channels = coarse.size[2], dim = leat_shape_count(&row);
    const leat_elementwise *e = leat_flowpp_mixture(m, 3);
    leat_transform *view = leat_chain(m), *inner = leat_chain(m);
    leat_chain_add(view, leat_view(m, LEAT_SHAPE(dim), row));
    leat_chain_add(view, leat_squeeze_transform(m, row, LEAT_SQUEEZE_CHECKERBOARD));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_halves(m, channels, i);
        leat_module *net = net_of(m, coarse, mask.kept + CONTEXT, mask.moved * leat_elementwise_width(e), dropout);
        leat_chain_add(inner, leat_coupling(m, mask, e, net));
    }
    return leat_dequantize_by(m, dim, bits, view, net_of(m, coarse, channels + given, CONTEXT, dropout), inner);
}

static leat_flow *flow_of(leat_model *m, int bits, bool uniform, double dropout)
{
    leat_shape row = LEAT_SHAPE(HEIGHT, WIDTH, CHANNELS);
    int64_t dim = leat_shape_count(&row);
    leat_flow *f = leat_flow_new(m, leat_normal(m, dim));
    leat_flow_add(f, uniform ? leat_dequantize(m, dim, bits) : variational(m, row, bits, 0, dropout));
    leat_flow_add(f, leat_logit(m, 0.05));
    leat_flow_add(f, leat_view(m, LEAT_SHAPE(dim), row));
    leat_flow_add(f, leat_actnorm(m, CHANNELS));
    leat_flow_add(f, leat_view(m, row, LEAT_SHAPE(dim)));
    return f;
}

/* Smooth images. */
static leat_tensor images(int64_t rows)
{
    leat_tensor x = test_bytes(3, rows, HEIGHT * WIDTH * CHANNELS);
    for (int64_t i = 0; i < leat_shape_count(&x.shape); i++)
        x.data[i] = (leat_real)floor(0.5 * (double)x.data[i] + (double)(8 * (i % 16)));
    return x;
}

/* The mean over q of 1 / q(u | x) where u is in a box is the box's volume; for two numbers, in standard errors. */
Test(variational, the_density_is_one)
{
    enum { DRAWS = 20000 };
    leat_model *m = test_model(3);
    leat_transform *d = variational(m, LEAT_SHAPE(1, 2, 1), 8, 0, 0);
    randomize(m, 0.3);
    leat_tensor x = test_tensor(DRAWS, 2);
    for (int64_t i = 0; i < 2 * DRAWS; i++)
        x.data[i] = (leat_real)(i % 2 ? 200 : 31);
    leat_tape *t = leat_model_tape(m, &(leat_tape_opts){ .values_only = true, .seed = 5 });
    leat_pair out = leat_transform_forward(d, leat_const(t, x), &(leat_flow_call){ 0 });
    assert_tape(t);
    double sum = 0, squares = 0, mean[2] = { 0 };
    for (int64_t i = 0; i < DRAWS; i++) {
        double one = exp((double)leat_value(out.logdet).data[i] + 16 * log(2));
        for (int j = 0; j < 2; j++) {
            double u = 256 * (double)leat_value(out.y).data[2 * i + j] - (double)x.data[2 * i + j];
            cr_assert(u >= 0 && u < 1, "draw %d: %g", (int)i, u);
            one = u > 0.1 && u < 0.9 ? one : 0;
            mean[j] += u / DRAWS;
        }
        sum += one / DRAWS;
        squares += one * one / DRAWS;
    }
    double error = sqrt((squares - sum * sum) / DRAWS);
    cr_assert_lt(error, 0.05);
    cr_assert_lt(fabs(sum - 0.64), 4 * error, "%g, by %g", sum, error);
    cr_assert_gt(fabs(mean[0] - 0.5) + fabs(mean[1] - 0.5), 0.02, "this is uniform");
    leat_model_free(m);
}

Test(variational, bytes_come_back)
{
    for (int bits = 1; bits <= 8; bits += 7) {
        leat_model *m = test_model(3);
        leat_flow *f = flow_of(m, bits, false, 0);
        randomize(m, 1);
        leat_tensor x = images(20), z = test_tensor(20, 16), back = test_tensor(20, 16);
        leat_tape *t = test_tape(m);
        cr_assert(leat_flow_is_bound(f));
        cr_assert_eq(leat_flow_encode(f, t, x, (leat_tensor){ 0 }, z.data, NULL), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_flow_decode(f, t, z, (leat_tensor){ 0 }, back.data, NULL), LEAT_OK);
        for (int64_t i = 0; i < leat_shape_count(&x.shape); i++)
            cr_assert_eq(back.data[i], bits == 8 ? x.data[i] : (leat_real)(x.data[i] < 128 ? 0 : 128));
        leat_flow_report r;
        cr_assert(bits < 8 || leat_flow_check(f, x, NULL, &r), "%s", r.reason);
        leat_model_free(m);
    }
}

/* A row's score depends on it alone, and a file gives the same. */
Test(variational, scores_are_of_rows_and_from_files)
{
    leat_model *m = test_model(3);
    leat_flow *f = flow_of(m, 8, false, 0);
    randomize(m, 1);
    leat_tensor x = images(9);
    double all[9], alone[9], again[9];
    const leat_tape_opts seed = { .seed = 5 };
    leat_tape *t = leat_tape_new(&seed), *other = leat_tape_new(&seed);
    cr_assert_eq(leat_flow_score(f, t, x, all), LEAT_OK, "%s", leat_tape_errmsg(t));
    for (int64_t i = 0; i < 9; i++)
        leat_flow_score(f, t, (leat_tensor){ x.data + 16 * i, LEAT_SHAPE(1, 16) }, alone + i);
    leat_flow *back = reloaded(f);
    leat_flow_score(back, other, x, again);
    cr_assert_arr_eq(all, alone, sizeof all);
    cr_assert_arr_eq(all, again, sizeof all);
    leat_tape_free(t);
    leat_tape_free(other);
    leat_model_free(leat_flow_model(back));
    leat_model_free(m);
}

static void see_gradient(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    double total = 0;
    for (int64_t i = 0; i < leat_shape_count(&p->leaf.shape); i++)
        total += fabs((double)p->leaf.grad[i]);
    cr_assert(p->leaf.has_grad && total > 0, "%s has no gradient", p->leaf.scope.name);
    ++*(int *)v->user;
}

static uint64_t train_with(leat_recompute how, leat_tensor x)
{
    leat_model *m = test_model(3);
    leat_flow *f = flow_of(m, 8, false, 0.3);
    leat_flow_set_recompute(f, how);
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 0.01 });
    leat_tape *t = leat_model_tape(m, &(leat_tape_opts){ .seed = 11 });
    int seen = 0;
    for (int i = 0; i < 5; i++) {
        leat_tape_reset(t);
        leat_var loss = leat_neg(leat_mean(leat_flow_log_prob(f, leat_const(t, x))));
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        if (i == 4)
            leat_visit_model(&(leat_visitor){ .user = &seen, .param = see_gradient }, m);
        cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    }
    cr_assert_gt(seen, 12);
    uint64_t hash = leat_model_hash(m);
    leat_model_free(m);
    return hash;
}

/* Noise and dropout are drawn again as they were. */
Test(variational, recompute_trains_the_same_bits)
{
    leat_tensor x = images(16);
    cr_assert_eq(train_with(LEAT_RECOMPUTE_FORWARD, x), train_with(LEAT_RECOMPUTE_NONE, x));
}

/* The bound is better than that of uniform numbers where the flow behind wants other ones than those. */
Test(variational, learns_what_the_flow_wants)
{
    leat_tensor x = test_tensor(64, 16);
    double bound[2] = { 0 }, score[64];
    for (int64_t i = 0; i < 64 * 16; i++)
        x.data[i] = 128; /* a normal density in (1/2, 1): uniform numbers have its corners */
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(3);
        leat_flow *f = flow_of(m, 1, !k, 0);
        train_on(f, x, (leat_tensor){ 0 }, 200);
        leat_tape *t = test_tape(m);
        cr_assert_eq(leat_flow_score(f, t, x, score), LEAT_OK, "%s", leat_tape_errmsg(t));
        for (int64_t i = 0; i < 64; i++)
            bound[k] += score[i] / 64;
        leat_model_free(m);
    }
    cr_assert_gt(bound[1], bound[0] + 1, "%g, of uniform numbers %g", bound[1], bound[0]);
}

/* A context of the flow is given to the net beside the image. */
Test(variational, is_given_the_flow_s_context)
{
    leat_model *m = test_model(3);
    leat_transform *d = variational(m, LEAT_SHAPE(2, 2, 1), 8, 2, 0);
    randomize(m, 1);
    leat_real context[2][1 * 2 * 2] = { { 0 }, { 1, 1, 0, 1 } };
    leat_real y[2][4];
    for (int k = 0; k < 2; k++) {
        leat_tape *t = leat_model_tape(m, &(leat_tape_opts){ .seed = 5 });
        leat_flow_call call = { .context = leat_const(t, (leat_tensor){ context[k], LEAT_SHAPE(1, 2, 1, 2) }) };
        leat_pair out = leat_transform_forward(d, leat_const(t, test_bytes(1, 1, 4)), &call);
        assert_tape(t);
        memcpy(y[k], leat_value(out.y).data, sizeof y[k]);
    }
    cr_assert_neq(memcmp(y[0], y[1], sizeof y[0]), 0);
    leat_model_free(m);
}

Test(variational, refuses)
{
    leat_model *m = test_model(3);
    cr_assert_null(variational(m, LEAT_SHAPE(2, 2, 1), 9, 0, 0));
    assert_contains(leat_model_errmsg(m), "to 9 bits");
    leat_model_free(m);
    m = test_model(3);
    cr_assert_null(leat_dequantize_by(m, 4, 8, NULL, NULL, NULL));
    cr_assert_neq(leat_model_code(m), LEAT_OK);
    leat_model_free(m);
}
