/* Files that describe themselves: what is saved comes back as it was, and what makes no sense is refused by name. */
#include "model_folder.h"

TestSuite(files, .init = make_folder, .fini = drop_folder);

/* ---- there and back ---------------------------------------------------------------------------------------------- */

static leat_flow *paper(leat_model *m)
{
    leat_nice_opts o = leat_nice_paper(m, 4);
    memset(o.hidden, 0, sizeof o.hidden);
    o.hidden[0] = 9;
    return leat_nice_new(m, &o);
}

static leat_flow *conditional_realnvp(leat_model *m)
{
    return leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 4,
                                                     .couplings = 3,
                                                     .hidden = { 9, 5 },
                                                     .hidden_t = { 3 },
                                                     .context = 2,
                                                     .scale = LEAT_SCALE_LEARNED,
                                                     .base = leat_logistic(m, 4) });
}

static leat_flow *one_net_realnvp(leat_model *m)
{
    return leat_realnvp_new(
        m, &(leat_realnvp_opts){ .dim = 4, .couplings = 2, .hidden = { 9 }, .one_net = true, .masks = LEAT_HALVES });
}

static leat_flow *free_realnvp(leat_model *m)
{
    return leat_realnvp_new(
        m, &(leat_realnvp_opts){ .dim = 4, .couplings = 2, .hidden = { 9 }, .scale = LEAT_SCALE_FREE });
}

/* Every other part, and conditioners of every activation. */
static leat_flow *mixed(leat_model *m)
{
    leat_flow *flow = leat_flow_new(m, leat_diagonal_normal(m, 4));
    for (int f = 0; f <= LEAT_SOFTPLUS; f++) {
        leat_mask mask = leat_mask_of(m, 4, (leat_real[]){ 1, (leat_real)(f % 2), 0, (leat_real)(f % 2) });
        leat_module *net = leat_sequential(m);
        leat_sequential_add(net, leat_mlp(m, mask.kept, (int64_t[]){ 6, 0 }, 5, (leat_activation)f));
        leat_sequential_add(net, leat_linear_layer(m, 5, mask.moved));
        leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, net));
        leat_flow_add(flow, leat_permutation(m, 4, NULL));
    }
    leat_flow_add(flow, leat_reverse(m, 4));
    leat_flow_add(flow, leat_diagonal_scale(m, 4));
    return flow;
}

/* Conditioners of all the layers there are that take rows. */
static leat_flow *many_layers(leat_model *m)
{
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_flow_set_context(flow, 3);
    leat_mask mask = leat_mask_halves(m, 4, 1);
    leat_module *net = leat_sequential(m);
    leat_sequential_add(net, leat_weight_norm_linear(m, 5, 6));
    leat_sequential_add(net, leat_layer_norm(m, 6, &(leat_norm_opts){ .eps = 1e-3, .no_affine = true }));
    leat_sequential_add(net, leat_activation_layer(m, LEAT_GELU));
    leat_sequential_add(net, leat_dropout_layer(m, 0.125));
    leat_sequential_add(net, leat_batch_norm(m, 6, &(leat_norm_opts){ .momentum = 0.3 }));
    leat_sequential_add(net, leat_linear_layer(m, 6, 2));
    leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, net));
    leat_residual_opts o = { .in = 2, .hidden = 7, .out = 4, .context = 3, .blocks = 3, .activation = LEAT_TANH };
    leat_flow_add(flow, leat_coupling(m, leat_mask_halves(m, 4, 0), &leat_affine, leat_residual_mlp(m, &o)));
    return flow;
}

/* Standardized data; actnorm, batch norm and the LU map. */
static leat_flow *normalized(leat_model *m)
{
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_flow_set_context(flow, 2);
    leat_flow_standardize_by(flow, (double[]){ 1, 2, 3, 4 }, (double[]){ 4, 3, 2, 1 }, (double[]){ 0, 7 },
                             (double[]){ 2, 8 });
    leat_flow_add(flow, leat_actnorm(m, 4));
    leat_flow_add(flow, leat_lu_linear(m, 4));
    leat_flow_add(flow, leat_batch_norm_transform(m, 4, &(leat_norm_opts){ .eps = 0.25, .momentum = 0.5 }));
    leat_flow_add(flow, leat_standardizer(m, 4, NULL, (double[]){ 4, 3, 2, 1 }));
    return flow;
}

static leat_flow *bare(leat_model *m)
{
    return leat_flow_new(m, leat_normal(m, 4));
}

/* Autoregressive: MAF's bijector, and one of a constant of its own, in an order of its own, turned round. */
static leat_flow *autoregressive(leat_model *m)
{
    static const int64_t order[] = { 2, 0, 3, 1 };
    static leat_elementwise narrow;
    narrow = leat_bounded_affine;
    narrow.number[0] = 2;
    leat_made_opts made = { .features = 4, .widths = { 1, 1 }, .hidden = { 6 }, .order = order };
    leat_flow *flow =
        leat_maf_new(m, &(leat_maf_opts){ .dim = 4, .transforms = 2, .hidden = { 9 }, .between = LEAT_LU });
    leat_flow_add(flow, leat_inverse_of(m, leat_autoregressive(m, leat_made(m, &made), &narrow)));
    made.blocks = 2;
    leat_flow_add(flow, leat_autoregressive(m, leat_made(m, &made), &leat_softplus_affine));
    leat_flow_add(flow, leat_autoregressive(m, leat_made(m, &made), &leat_floored_affine));
    return flow;
}

static leat_flow *nsf(leat_model *m)
{
    return leat_nsf_new(m, &(leat_nsf_opts){ .dim = 4, .transforms = 2, .hidden = { 9 }, .bins = 3, .tail_bound = 4 });
}

static leat_flow *nsf_coupling(leat_model *m)
{
    return leat_nsf_new(m, &(leat_nsf_opts){ .dim = 4, .transforms = 2, .coupling = true, .between = LEAT_PERMUTED });
}

/* Images of 2 x 1, whose channels move each other by gated networks. */
static leat_flow *gated(leat_model *m)
{
    leat_gated_conv_opts o = { .in = 1,
                               .out = 2,
                               .context = 3,
                               .height = 2,
                               .width = 1,
                               .features = 6,
                               .blocks = 2,
                               .heads = 3,
                               .dropout = 0.25 },
                         plain = o;
    plain.features = 3;
    plain.no_attention = true;
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_flow_set_context(flow, 3);
    leat_flow_add(flow, leat_view(m, LEAT_SHAPE(4), LEAT_SHAPE(2, 1, 2)));
    for (int i = 0; i < 2; i++)
        leat_flow_add(flow,
                      leat_coupling(m, leat_mask_halves(m, 2, i), &leat_affine, leat_gated_conv(m, i ? &plain : &o)));
    leat_flow_add(flow, leat_view(m, LEAT_SHAPE(2, 1, 2), LEAT_SHAPE(4)));
    return flow;
}

/* A row of four as a sequence of two, whose conditioner attends. */
static leat_flow *attending(leat_model *m)
{
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_flow_add(flow, leat_view(m, LEAT_SHAPE(4), LEAT_SHAPE(2, 2)));
    for (int i = 0; i < 2; i++) {
        leat_module *net = leat_sequential(m);
        leat_sequential_add(net, leat_linear_layer(m, 1, 4));
        leat_sequential_add(net, leat_attention(m, &(leat_attention_opts){
                                                       .features = 4, .heads = 2, .causal = i == 1, .dropout = 0.5 }));
        leat_sequential_add(net, leat_linear_layer(m, 4, 1));
        leat_flow_add(flow, leat_coupling(m, leat_mask_halves(m, 2, i), &leat_additive, net));
    }
    leat_flow_add(flow, leat_view(m, LEAT_SHAPE(2, 2), LEAT_SHAPE(4)));
    return flow;
}

static leat_flow *(*const flows[])(leat_model *) = {
    paper, conditional_realnvp, one_net_realnvp, free_realnvp, mixed, bare, many_layers, normalized, autoregressive,
    nsf,   nsf_coupling,        gated,           attending,
};

static leat_flow *load(const char *from, leat_flow_file *info)
{
    leat_status s = { 0 };
    leat_flow *flow = leat_flow_load(from, &(leat_flow_load_opts){ .model = { .seed = 99, .threads = 1 } }, info, &s);
    cr_assert_not_null(flow, "%s", s.message);
    cr_assert_eq(s.code, LEAT_OK);
    return flow;
}

static void expect_same(leat_flow *a, leat_flow *b)
{
    cr_assert_eq(leat_model_hash(leat_flow_model(a)), leat_model_hash(leat_flow_model(b)));
    cr_assert_eq(leat_flow_context(a), leat_flow_context(b));
    cr_assert_eq(leat_flow_length(a), leat_flow_length(b));
    leat_flow *both[2] = { a, b };
    double scores[2][7];
    leat_tensor x = test_normal(1, 7, leat_flow_dim(a), 1), c = { 0 };
    if (leat_flow_context(a))
        c = test_normal(2, 7, leat_flow_context(a), 1);
    for (int k = 0; k < 2; k++) {
        leat_tape *tape = test_tape(leat_flow_model(both[k]));
        cr_assert_eq(leat_flow_score_given(both[k], tape, x, c, scores[k]), LEAT_OK, "%s", leat_tape_errmsg(tape));
    }
    cr_assert_eq(memcmp(scores[0], scores[1], sizeof scores[0]), 0);
}

Test(files, come_back_as_they_were)
{
    for (size_t i = 0; i < sizeof flows / sizeof *flows; i++) {
        leat_model *m = test_model(i);
        leat_flow *flow = flows[i](m), *back;
        randomize(m, 0.5);
        leat_status s = { 0 };
        leat_flow_file info;
        cr_assert_eq(leat_flow_save(flow, path, 0, NULL, &s), LEAT_OK, "flow %zu: %s", i, s.message);
        back = load(path, &info);
        cr_assert(info.described && info.note[0] == '\0' && info.metadata_count == 0);
        expect_same(flow, back);
        leat_arena *a = test_arena();
        cr_assert_str_eq(leat_flow_describe(flow, a, &s), leat_flow_describe(back, a, &s));
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
    }
}

Test(files, description_of_a_small_flow)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2, .couplings = 1, .hidden = { 3 } });
    leat_status s = { 0 };
    cr_assert_str_eq(
        leat_flow_describe(flow, test_arena(), &s),
        "{\"format\":2,\"dim\":2,\"context\":0,\"base\":\"normal\",\"layers\":[{\"type\":\"coupling\",\"dim\":2,"
        "\"elementwise\":\"affine\","
        "\"snet\":[{\"type\":\"linear\",\"in\":1,\"out\":3},\"relu\","
        "{\"type\":\"linear\",\"in\":3,\"out\":1},\"tanh\"],"
        "\"tnet\":[{\"type\":\"linear\",\"in\":1,\"out\":3},\"relu\","
        "{\"type\":\"linear\",\"in\":3,\"out\":1}]}]}");
    leat_model_free(m);
}

Test(files, other_metadata_is_handed_back)
{
    leat_model *m = test_model(0);
    leat_flow *flow = one_net_realnvp(m), *back;
    const char *pairs[][2] = { { "epochs", "12" }, { "data", "moons \"two\"" } };
    leat_flow_file info;
    leat_status s = { 0 };
    cr_assert_eq(leat_flow_save(flow, path, 2, pairs, &s), LEAT_OK, "%s", s.message);
    back = load(path, &info);
    cr_assert_eq(info.metadata_count, 2);
    for (int i = 0; i < 2; i++) {
        cr_assert_str_eq(info.metadata[i][0], pairs[i][0]);
        cr_assert_str_eq(info.metadata[i][1], pairs[i][1]);
    }
    leat_model_free(leat_flow_model(back));
    pairs[1][0] = "leat.flow";
    cr_assert_neq(leat_flow_save(flow, path, 2, pairs, &s), LEAT_OK);
    assert_contains(s.message, "key");
    leat_model_free(m);
}

/* ---- what a file cannot hold ------------------------------------------------------------------------------------- */

static leat_pair own_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    (void)t, (void)call;
    return (leat_pair){ x, leat_sum_features(leat_zeros_like(x)) };
}

static const leat_transform_type own_type = { .module = { .name = "my own" },
                                              .forward = own_forward,
                                              .inverse = own_forward };

static leat_var own_layer_forward(leat_module *m, leat_var x, leat_var context)
{
    (void)m, (void)context;
    return x;
}

static const leat_module_type own_layer_type = { .name = "my layer", .forward = own_layer_forward };

static void expect_unsaved(leat_flow *flow, const char *where, const char *what)
{
    leat_status s = { 0 };
    cr_assert_eq(leat_flow_save(flow, path, 0, NULL, &s), LEAT_EARG);
    assert_contains(s.message, path);
    assert_contains(s.message, where);
    assert_contains(s.message, what);
    cr_assert_neq(access(path, F_OK), 0);
    cr_assert_null(strchr(s.message, '\n'));
    leat_model_free(leat_flow_model(flow));
}

Test(files, parts_of_ones_own_are_refused)
{
    leat_model *m = test_model(0);
    leat_flow *flow = bare(m);
    leat_flow_add(flow, leat_reverse(m, 4));
    leat_flow_add(flow, leat_module_new(m, &own_type.module, sizeof(leat_transform)));
    expect_unsaved(flow, "layers.1", "'my own'");

    flow = bare(m = test_model(0));
    leat_mask mask = leat_mask_halves(m, 4, 0);
    leat_flow_add(flow, leat_coupling(m, mask, &test_affine, test_net(m, &mask, 0, 2)));
    expect_unsaved(flow, "layers.0", "'affine'"); /* of the name of the library's, and another */

    flow = bare(m = test_model(0));
    leat_module *net = leat_mlp(m, 2, (int64_t[]){ 3, 0 }, 2, LEAT_RELU);
    leat_sequential_add(net, leat_module_new(m, &own_layer_type, sizeof(leat_module)));
    leat_flow_add(flow, leat_coupling(m, leat_mask_halves(m, 4, 0), &leat_additive, net));
    expect_unsaved(flow, "layers.0.net.3", "'my layer'");

    flow = bare(m = test_model(0));
    leat_linear_layer(m, 2, 2);
    expect_unsaved(flow, "outside the flow", "'linear'");
}

Test(files, failed_models_are_not_saved)
{
    leat_model *m = test_model(0);
    leat_status s = { 0 }, other = { 0 };
    leat_flow *flow = bare(m);
    leat_flow_add(flow, leat_reverse(m, 0));
    cr_assert_eq(leat_flow_save(flow, path, 0, NULL, &s), LEAT_EARG);
    cr_assert_eq(leat_flow_save(NULL, path, 0, NULL, &other), LEAT_ESTATE);
    assert_contains(other.message, path);
    cr_assert_neq(access(path, F_OK), 0);
    leat_model_free(m);
}

/* ---- files of before --------------------------------------------------------------------------------------------- */

/* Written when transforms told no "dim" and their types' names had blanks; its scores stand in its metadata. */
Test(files, format_1_is_read)
{
    leat_flow_file info;
    leat_status s = { 0 };
    leat_flow *flow = leat_flow_load(LEAT_FIXTURES "/flows/format_1.safetensors", NULL, &info, &s);
    cr_assert_not_null(flow, "%s", s.message);
    leat_real x[3 * 4] = { 1, 2, 3, 4, 0.5, -1, 2.5, 9, -3, 0.25, 3.5, 1 }, c[3 * 2] = { 0, 1, 2, 3, -1, 0.5 };
    double scores[3];
    leat_tape *tape = test_tape(leat_flow_model(flow));
    leat_code code = leat_flow_score_given(flow, tape, (leat_tensor){ x, LEAT_SHAPE(3, 4) },
                                           (leat_tensor){ c, LEAT_SHAPE(3, 2) }, scores);
    cr_assert_eq(code, LEAT_OK, "%s", leat_tape_errmsg(tape));
    cr_assert_eq(info.metadata_count, 3);
    for (int i = 0; i < 3; i++) {
        double was = (double)(leat_real)atof(info.metadata[i][1]), off = fabs(scores[i] - was);
        cr_assert(off <= (sizeof(leat_real) == 4 ? 0 : 1e-5 * fabs(was)), "%s: %.9g, not %.9g", info.metadata[i][0],
                  scores[i], was);
    }
    leat_model_free(leat_flow_model(flow));
}
