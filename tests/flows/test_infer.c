/* Flows from a PyTorch state_dict alone, by names and shapes, and which flows such a program could load. */
#include "model_folder.h"

TestSuite(infer, .init = make_folder, .fini = drop_folder);

static leat_flow *load(const char *from, leat_flow_load_opts o, leat_flow_file *info)
{
    leat_status s = { 0 };
    o.model.threads = 1;
    leat_flow *flow = leat_flow_load(from, &o, info, &s);
    cr_assert_not_null(flow, "%s", s.message);
    cr_assert_not(info->described);
    return flow;
}

/* ---- PyTorch's files --------------------------------------------------------------------------------------------- */

static const struct {
    const char *state, *expected, *note;
    int length;
    double bound;
} fixtures[] = {
    { "zuko_maf", "zuko_maf_expected", "zuko MAF of 3 transforms", 3, 0 },
    { "zuko_maf_random", "zuko_maf_random_expected", "slopes between 1e-3 and 1e3", 2, 0 },
    { "zuko_maf_passes", "zuko_maf_passes_expected", "zuko MAF of 2 transforms", 2, 0 },
    { "zuko_nsf", "zuko_nsf_expected", "zuko NSF of 2 transforms", 2, 0 },
    { "zuko_realnvp", "zuko_realnvp_expected", "zuko RealNVP of 4 couplings", 4, 0 },
    { "nflows_realnvp", "nflows_realnvp_expected", "nflows RealNVP of 4 couplings", 4, 0 },
    { "nflows_realnvp_norm", "nflows_realnvp_norm_expected", "a least slope of 1e-3", 2, 0 },
    { "nflows_nice", "nflows_nice_expected", "nflows NICE of 2 couplings", 2, 0 },
    { "nflows_maf", "nflows_maf_expected", "nflows MAF of 3 transforms", 6, 0 },
    { "nflows_maf_plain", "nflows_maf_plain_expected", "nflows MAF of 2 transforms", 4, 0 },
    { "nflows_nsf", "nflows_nsf_expected", "nflows NSF of 2 transforms", 5, 0 },
    { "nflows_nsf_plain", "nflows_nsf_plain_expected", "bins within -3 and 3", 3, 3 },
    { "nflows_nsf_coupling", "nflows_nsf_coupling_expected", "nflows NSF of 2 couplings", 4, 0 },
    { "nice_odd", "nice_odd_expected", "NICE of 6 couplings", 6, 0 },
    { "realnvp_odd", "realnvp_odd_expected", "RealNVP of 6 couplings", 6, 0 },
    { "nice", "nice_expected", "NICE of 4 couplings", 4, 0 },
};

Test(infer, pytorch_state_dicts)
{
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        char from[1000];
        snprintf(from, sizeof from, LEAT_FIXTURES "/flows/%s.safetensors", fixtures[i].state);
        leat_flow_file info;
        leat_flow *flow = load(from, (leat_flow_load_opts){ .tail_bound = fixtures[i].bound }, &info);
        leat_safetensors f = fixture(fixtures[i].expected);
        cr_assert_eq(leat_flow_length(flow), fixtures[i].length);
        assert_contains(info.note, fixtures[i].note);
        assert_contains(info.note, "ReLU between linear layers");
        assert_contains(info.note, "standard normal base");
        leat_tape *tape = test_tape(leat_flow_model(flow));
        leat_tape_set_training(tape, false);
        leat_var x = leat_const(tape, fixture_get(&f, "x")), context = { 0 };
        if (leat_flow_context(flow))
            context = leat_const(tape, fixture_get(&f, "context"));
        leat_var log_prob = leat_flow_log_prob_given(flow, x, context);
        leat_pair z = leat_flow_forward_given(flow, x, context), back = leat_flow_inverse_given(flow, z.y, context);
        assert_tape(tape);
        assert_near(leat_value(log_prob), fixture_get(&f, "log_prob"), CLOSE, 1, fixtures[i].state);
        assert_near(leat_value(back.y), fixture_get(&f, "x"), 100 * CLOSE, 1, fixtures[i].state);
        leat_model_free(leat_flow_model(flow));
    }
}

/* ---- leat's own, saved without a description --------------------------------------------------------------------- */

static const leat_realnvp_opts forms[] = {
    { .dim = 2 },
    { .dim = 7, .couplings = 3, .hidden = { 5, 6, 7 }, .hidden_t = { 4 }, .masks = LEAT_HALVES },
    { .dim = 3, .couplings = 2, .hidden = { 5 }, .context = 4 },
    { .dim = 3, .couplings = 2, .hidden = { 5 }, .scale = LEAT_SCALE_LEARNED },
    { .dim = 3, .couplings = 2, .hidden = { 5 }, .one_net = true },
    { .dim = 5, .couplings = 2, .hidden = { 5 }, .one_net = true, .scale = LEAT_SCALE_LEARNED, .context = 2 },
    { .dim = 3, .couplings = 2, .hidden = { 5 }, .scale = LEAT_SCALE_FREE },
};

static const char *const says[] = { "s = tanh(snet)",
                                    "s = tanh(snet)",
                                    "s = tanh(snet)",
                                    "s = scale * tanh(snet)",
                                    "s = tanh(snet)",
                                    "s = scale * tanh(snet)",
                                    "standard logistic base, s = snet" };

static void save_state(leat_flow *flow)
{
    leat_status s = { 0 };
    cr_assert_eq(leat_save(leat_flow_model(flow), path, 0, NULL, &s), LEAT_OK, "%s", s.message);
}

static void expect_same_scores(leat_flow *a, leat_flow *b)
{
    leat_flow *both[2] = { a, b };
    double scores[2][9];
    leat_tensor c = leat_flow_context(a) ? test_normal(2, 9, leat_flow_context(a), 1) : (leat_tensor){ 0 };
    for (int k = 0; k < 2; k++) {
        leat_tape *tape = test_tape(leat_flow_model(both[k]));
        leat_code code = leat_flow_score_given(both[k], tape, test_normal(1, 9, leat_flow_dim(a), 1), c, scores[k]);
        cr_assert_eq(code, LEAT_OK, "%s", leat_tape_errmsg(tape));
    }
    cr_assert_eq(memcmp(scores[0], scores[1], sizeof scores[0]), 0);
    cr_assert_eq(leat_model_hash(leat_flow_model(a)), leat_model_hash(leat_flow_model(b)));
}

Test(infer, realnvp_of_every_form)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        leat_model *m = test_model(i);
        bool logistic = i == sizeof forms / sizeof *forms - 1;
        leat_realnvp_opts o = forms[i];
        o.base = logistic ? leat_logistic(m, o.dim) : NULL;
        leat_flow *flow = leat_realnvp_new(m, &o);
        leat_flow_file info;
        if (i % 2)
            leat_flow_standardize_by(flow, (double[]){ 1, 2, 3, 4, 5, 6, 7 }, (double[]){ 7, 6, 5, 4, 3, 2, 1 },
                                     (double[]){ 3, 4 }, (double[]){ 2, 5 });
        randomize(m, 0.4);
        save_state(flow);
        /* a learned scale is found, whatever is asked for */
        leat_scale_map scale = forms[i].scale == LEAT_SCALE_FREE ? LEAT_SCALE_FREE : LEAT_SCALE_TANH;
        leat_flow *back =
            load(path, (leat_flow_load_opts){ .scale = scale, .base = logistic ? leat_logistic : NULL }, &info);
        assert_contains(info.note, says[i]);
        expect_same_scores(flow, back);
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
    }
}

Test(infer, nice_with_another_activation)
{
    leat_model *m = test_model(1);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 3));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, 3, i);
        leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, test_net(m, &mask, 0, 1)));
    }
    randomize(m, 0.4);
    save_state(flow);
    leat_flow_file info;
    leat_flow *back = load(path, (leat_flow_load_opts){ .activation = LEAT_TANH }, &info);
    assert_contains(info.note, "tanh between linear layers");
    cr_assert_null(strstr(info.note, "snet"));
    expect_same_scores(flow, back);
    leat_model_free(leat_flow_model(back));
    leat_model_free(m);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

typedef struct named {
    const char *name;
    int rank;
    int64_t size[2];
} named;

#define MASK(n)                                                                                                        \
    {                                                                                                                  \
        "layers." #n ".mask", 1,                                                                                       \
        {                                                                                                              \
            2                                                                                                          \
        }                                                                                                              \
    }
#define W(n, a, b)                                                                                                     \
    { n ".weight", 2, { a, b } },                                                                                      \
    {                                                                                                                  \
        n ".bias", 1,                                                                                                  \
        {                                                                                                              \
            a                                                                                                          \
        }                                                                                                              \
    }

#define ZUKO(n)   "transform.transforms." #n "."
#define NFLOWS(n) "_transform._transforms." #n "."
#define SIDES(n)                                                                                                       \
    { NFLOWS(n) "identity_features", 1, { 1 } },                                                                       \
    {                                                                                                                  \
        NFLOWS(n) "transform_features", 1,                                                                             \
        {                                                                                                              \
            1                                                                                                          \
        }                                                                                                              \
    }
#define LINEAR_MAP(n, entries, dim)                                                                                    \
    { NFLOWS(n) "lower_entries", 1, { entries } }, { NFLOWS(n) "upper_entries", 1, { entries } },                      \
        { NFLOWS(n) "unconstrained_upper_diag", 1, { 2 } },                                                            \
    {                                                                                                                  \
        NFLOWS(n) "bias", 1,                                                                                           \
        {                                                                                                              \
            dim                                                                                                        \
        }                                                                                                              \
    }
#define RESIDUAL(net, hidden, in, out)                                                                                 \
    { net "initial_layer.weight", 2, { hidden, in } },                                                                 \
        { net "blocks.0.linear_layers.0.weight", 2, { hidden, hidden } },                                              \
        { net "blocks.0.linear_layers.1.weight", 2, { hidden, hidden } },                                              \
    {                                                                                                                  \
        net "final_layer.weight", 2,                                                                                   \
        {                                                                                                              \
            out, hidden                                                                                                \
        }                                                                                                              \
    }
#define ORDER(n)                                                                                                       \
    {                                                                                                                  \
        ZUKO(n) "order", 1,                                                                                            \
        {                                                                                                              \
            2                                                                                                          \
        }                                                                                                              \
    }

static const struct {
    named tensors[8];
    const char *says;
} wrong[] = {
    { { { "weight", 1, { 2 } } }, "does not describe its model" },
    { { MASK(0) }, "does not describe its model" },
    { { W("layers.0.net.0", 1, 1) }, "does not describe its model" },
    { { { "layers.0.mask", 2, { 2, 2 } }, W("layers.0.net.0", 1, 1) }, "layers.0: the mask" },
    { { MASK(0), { "layers.0.net.0.weight", 1, { 1 } } }, "net.0.weight is not a matrix" },
    { { MASK(0), W("layers.0.net.0", 3, 1), W("layers.0.net.2", 1, 4) }, "net.2 takes 4 numbers, and 3 come in" },
    { { MASK(0), W("layers.0.net.0", 3, 1) }, "layers.0: net gives 3 numbers for 1 moved" },
    { { MASK(0), W("layers.0.net.0", 1, 0) }, "0 numbers of 1 kept" },
    { { MASK(0), W("layers.0.net.0", 1, 1), MASK(1) }, "layers.1: there is no net.0.weight" },
    { { MASK(0), W("layers.0.net.0", 1, 1), MASK(1), W("layers.1.net.0", 1, 2) }, "layers.1: net.0 takes 2" },
    { { MASK(0), W("layers.0.snet.0", 1, 1) }, "there is no tnet.0.weight" },
    { { MASK(0), W("layers.0.net.0", 1, 1), { "extra", 1, { 2 } } }, "'extra' is not in the model" },
    { { MASK(0), { "layers.0.net.0.weight", 2, { 1, 1 } } }, "no 'layers.0.net.0.bias'" },
    { { MASK(0), W("layers.0.net.0", 1, 1), MASK(2), W("layers.2.net.0", 1, 1) }, "layers.1 is missing, and there is" },
    { { MASK(1), W("layers.1.net.0", 1, 1) }, "layers.0 is missing, and there is layers.1" },
    { { MASK(0), W("layers.0.net.0", 1, 1), W("layers.1.net.0", 1, 1), MASK(2) }, "layers.1.mask is missing" },
    { { { "a.layers.0.mask", 1, { 2 } }, W("b.layers.0.net.0", 1, 1) }, "'b.layers.0.net.0.weight' is not under 'a.'" },
    { { MASK(0), W("layers.0.net.0", 1, 1), { "input.mean", 1, { 2 } } }, "no 'input.sd'" },
    { { ORDER(0), W(ZUKO(0) "hyper.0", 4, 2) }, "no 'layers.0.made.net.0.mask'" },
    { { ORDER(0) }, "does not describe its model" },
    { { ORDER(1), W(ZUKO(1) "hyper.0", 4, 2) }, "layers.0 is missing, and there is layers.1" },
    { { { ZUKO(0) "order", 1, { 3 } }, W(ZUKO(0) "hyper.0", 4, 2) }, "layers.0: net.0 takes 2 numbers, and 3 come" },
    { { { ZUKO(0) "order", 2, { 2, 1 } }, W(ZUKO(0) "hyper.0", 4, 2) }, "layers.0: the order is not one of" },
    { { ORDER(0), W(ZUKO(0) "hyper.0", 6, 2) }, "neither two numbers for each feature nor 3 K - 1" },
    { { ORDER(0), W(ZUKO(0) "hyper.0", 3, 2) }, "neither two numbers for each feature nor 3 K - 1" },
    { { ORDER(0), W(ZUKO(0) "hyper.0", 3, 2), W(ZUKO(0) "hyper.2", 4, 2) }, "net.2 takes 2 numbers, and 3 come in" },
    { { ORDER(0), { ZUKO(0) "hyper.0.weight", 1, { 4 } } }, "net.0.weight is not a matrix" },
    { { ORDER(0), W(ZUKO(0) "hyper.0", 4, 2), { "base.loc", 1, { 2 } } }, "'base.loc' is not all 0" },
    { { ORDER(0), W(ZUKO(0) "hyper.0", 4, 2), { "base.scale", 1, { 2 } } }, "'base.scale' is not all 1" },
    { { { ZUKO(0) "mask", 1, { 2 } }, W(ZUKO(0) "hyper.0", 3, 1) }, "layers.0: net gives 3 numbers for 1 moved" },
    { { { ZUKO(0) "mask", 1, { 2 } }, W(ZUKO(0) "hyper.0", 2, 1), { "base.low", 1, { 2 } } }, "'base.low' is not" },
    { { { "a." ZUKO(0) "mask", 1, { 2 } }, W(ZUKO(0) "hyper.0", 2, 1) }, "is not under 'a.'" },
    { { SIDES(0), RESIDUAL(NFLOWS(0) "transform_net.", 3, 1, 3) }, "net gives 3 numbers for 1 moved" },
    { { SIDES(0), RESIDUAL(NFLOWS(0) "transform_net.", 3, 2, 2) },
      "net.initial_layer.weight is no matrix of the size" },
    { { SIDES(0), { NFLOWS(0) "transform_net.initial_layer.weight", 2, { 3, 1 } } }, "net.blocks.0.linear_layers.0" },
    { { SIDES(0) }, "there is no net.0.weight" },
    { { { NFLOWS(0) "identity_features", 1, { 2 } } }, "does not describe its model" },
    { { { NFLOWS(0) "transform_features", 1, { 2 } } }, "does not describe its model" },
    { { { NFLOWS(0) "identity_features", 1, { 1 } }, { NFLOWS(0) "transform_features", 1, { 2 } } }, "ones (kept)" },
    { { { NFLOWS(0) "_permutation", 2, { 2, 1 } } }, "the permutation is not one of" },
    { { { NFLOWS(0) "_permutation", 1, { 2 } }, { NFLOWS(0) "autoregressive_net.x", 1, { 2 } } }, "made.x' is not" },
    { { RESIDUAL(NFLOWS(0) "autoregressive_net.", 3, 2, 4) }, "no 'layers.0.made.initial_layer.bias'" },
    { { RESIDUAL(NFLOWS(0) "autoregressive_net.", 3, 2, 5) }, "neither two numbers for each feature" },
    { { RESIDUAL(NFLOWS(0) "autoregressive_net.", 3, 2, 12) }, "neither two numbers for each feature" },
    { { SIDES(0), RESIDUAL(NFLOWS(0) "transform_net.", 3, 1, 4) }, "net gives 4 numbers for 1 moved" },
    { { LINEAR_MAP(0, 3, 2) }, "layers.0.lower" },
    { { LINEAR_MAP(0, 1, 0) }, "'layers.0.bias' is [0]" },
    { { { NFLOWS(0) "autoregressive_net.initial_layer.weight", 2, { 3, 2 } } }, "made.blocks.0.linear_layers.0" },
};

Test(infer, other_tensors_are_refused)
{
    static leat_real numbers[64] = { 1, 0 };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        leat_safetensors_entry entries[8];
        leat_safetensors f = { .entries = entries };
        for (; f.count < 8 && wrong[i].tensors[f.count].name; f.count++) {
            const named *t = &wrong[i].tensors[f.count];
            leat_real *from = numbers + (strstr(t->name, "identity_features") != NULL); /* 0, and 1 is moved */
            entries[f.count] = (leat_safetensors_entry){ t->name, { from, leat_shape_of(t->rank, t->size) }, NULL };
        }
        leat_status s = { 0 };
        cr_assert_eq(leat_safetensors_write(path, &f, &s), LEAT_OK, "%s", s.message);
        cr_assert_null(leat_flow_load(path, NULL, NULL, &s), "%zu is accepted", i);
        assert_contains(s.message, path);
        assert_contains(s.message, wrong[i].says);
    }
}

static const char *const prefixes[] = { "", "module.", "_orig_mod.module.", "model.", "ema.", "a.layers2." };

/* A file of one additive coupling of two features, its names behind a prefix, its mask [1, 2]. */
static leat_flow *load_prefixed(const char *prefix, leat_real bias, leat_flow_file *info, leat_status *s)
{
    leat_real mask[2] = { 1, 0 }, weight[1] = { 2 };
    leat_safetensors_entry entries[] = { { "layers.0.mask", { mask, LEAT_SHAPE(1, 2) }, NULL },
                                         { "layers.0.net.0.weight", { weight, LEAT_SHAPE(1, 1) }, NULL },
                                         { "layers.0.net.0.bias", { &bias, LEAT_SHAPE(1) }, NULL } };
    for (int i = 0; i < 3; i++)
        entries[i].name = leat_arena_format(test_arena(), "%s%s", prefix, entries[i].name);
    cr_assert_eq(leat_safetensors_write(path, &(leat_safetensors){ .count = 3, .entries = entries }, s), LEAT_OK);
    return leat_flow_load(path, NULL, info, s);
}

Test(infer, a_common_prefix_is_left_out_and_said)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        leat_status s = { 0 };
        leat_flow_file info;
        leat_flow *flow = load_prefixed(prefixes[i], 3, &info, &s);
        cr_assert_not_null(flow, "%s", s.message);
        char said[40];
        snprintf(said, sizeof said, "without '%s' before", prefixes[i]);
        cr_assert_eq(strstr(info.note, said) != NULL, prefixes[i][0] != '\0', "%s", info.note);
        leat_tensor x = { (leat_real[]){ 1, 1 }, LEAT_SHAPE(1, 2) };
        leat_pair z = leat_flow_forward(flow, leat_const(test_tape(leat_flow_model(flow)), x));
        assert_near(leat_value(z.y), (leat_tensor){ (leat_real[]){ 1, 6 }, LEAT_SHAPE(1, 2) }, 0, 0, "z");
        leat_model_free(leat_flow_model(flow));
    }
}

Test(infer, numbers_that_are_not_finite_are_refused)
{
    for (int i = 0; i < 2; i++) {
        leat_status s = { 0 };
        cr_assert_null(load_prefixed("", i ? (leat_real)INFINITY : (leat_real)NAN, NULL, &s));
        cr_assert_eq(s.code, LEAT_ENONFINITE);
        assert_contains(s.message, path);
        assert_contains(s.message, "'layers.0.net.0.bias' holds");
    }
}

/* What comes last in zuko's autoregressive layer, of two features: places 0 and 1, and masks that fit them. */
static leat_flow *load_zuko(const leat_real *order, const leat_real *mask, leat_status *s)
{
    leat_real numbers[8] = { 0 };
    leat_tensor matrix = { numbers, LEAT_SHAPE(4, 2) }, row = { numbers, LEAT_SHAPE(4) };
    leat_tensor places = { (leat_real *)order, LEAT_SHAPE(2) }, seen = { (leat_real *)mask, LEAT_SHAPE(4, 2) };
    leat_safetensors_entry entries[] = { { ZUKO(0) "order", places, NULL },
                                         { ZUKO(0) "hyper.0.weight", matrix, NULL },
                                         { ZUKO(0) "hyper.0.bias", row, NULL },
                                         { ZUKO(0) "hyper.0.mask", seen, NULL } };
    cr_assert_eq(leat_safetensors_write(path, &(leat_safetensors){ .count = 4, .entries = entries }, s), LEAT_OK);
    return leat_flow_load(path, NULL, NULL, s);
}

Test(infer, orders_and_masks_of_zuko)
{
    static const leat_real mask[] = { 0, 1, 0, 1, 0, 0, 0, 0 }; /* shift and scale of the first see the second */
    static const struct {
        leat_real order[2];
        const char *says;
    } orders[] = {
        { { 1, 0 }, NULL },
        { { 0, 1 }, "the masks let output 0 see a feature at place 1" },
        { { 1, 2 }, "layers.0: its order holds 2, and places are 0 to 1" },
        { { 0, -1 }, "its order holds -1" },
        { { (leat_real)0.5, 0 }, "its order holds 0.5" },
    };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        leat_status s = { 0 };
        leat_flow *flow = load_zuko(orders[i].order, mask, &s);
        cr_assert_eq(flow == NULL, orders[i].says != NULL, "%zu: %s", i, s.message);
        if (flow)
            leat_model_free(leat_flow_model(flow));
        else
            assert_contains(s.message, orders[i].says);
    }
}

static void *starve(void *user, size_t size)
{
    long *left = user;
    return (*left)-- > 0 ? malloc(size) : NULL;
}

static void give_back(void *user, void *block)
{
    (void)user;
    free(block);
}

static const char *const rivals[] = { "zuko_nsf", "nflows_realnvp", "nflows_maf", "nflows_nsf", "nflows_nsf_coupling" };

Test(infer, zuko_and_nflows_without_memory_are_a_status)
{
    int loaded = 0;
    for (long limit = 0; loaded < (int)(sizeof rivals / sizeof *rivals); limit++) {
        long left = limit;
        leat_allocator allocator = { starve, give_back, &left };
        leat_flow_load_opts o = { .model = { .threads = 1, .allocator = &allocator } };
        leat_status s = { 0 };
        char from[1000];
        snprintf(from, sizeof from, LEAT_FIXTURES "/flows/%s.safetensors", rivals[loaded]);
        leat_flow *flow = leat_flow_load(from, &o, NULL, &s);
        cr_assert_eq(s.code, flow ? LEAT_OK : LEAT_ENOMEM, "%ld: %s", limit, s.message);
        if (!flow) {
            assert_contains(s.message, "out of memory");
            continue;
        }
        leat_model_free(leat_flow_model(flow));
        loaded++;
        limit = 0;
    }
}

Test(infer, masks_of_a_half_are_refused)
{
    leat_real half[2] = { 1, (leat_real)0.5 };
    leat_safetensors_entry entries[] = { { "layers.0.mask", { half, LEAT_SHAPE(2) }, NULL },
                                         { "layers.0.net.0.weight", { half, LEAT_SHAPE(1, 1) }, NULL },
                                         { "layers.0.net.0.bias", { half, LEAT_SHAPE(1) }, NULL } };
    leat_status s = { 0 };
    cr_assert_eq(leat_safetensors_write(path, &(leat_safetensors){ .count = 3, .entries = entries }, &s), LEAT_OK);
    cr_assert_null(leat_flow_load(path, NULL, NULL, &s));
    cr_assert_eq(s.code, LEAT_EFORMAT);
    assert_contains(s.message, "ones (kept) and zeros (moved)");
}

/* ---- to PyTorch -------------------------------------------------------------------------------------------------- */

static void expect_export(leat_flow *flow, const char *reason)
{
    leat_status s[2] = { { 0 } };
    assert_model(leat_flow_model(flow));
    char *module = leat_flow_pytorch(flow, test_arena(), &s[0]);
    cr_assert_eq(module != NULL, reason == NULL, "%s", s[0].message);
    unlink(path);
    cr_assert_eq(leat_flow_save_pytorch(flow, path, &s[1]), reason ? LEAT_EARG : LEAT_OK, "%s", s[1].message);
    cr_assert_eq(access(path, F_OK) == 0, reason == NULL);
    for (int i = 0; reason && i < 2; i++)
        assert_contains(s[i].message, reason);
}

Test(infer, exports_come_back)
{
    static const leat_realnvp_opts own[] = {
        { .dim = 2, .scale = LEAT_SCALE_FREE },
        { .dim = 4, .couplings = 2, .hidden = { 5 }, .one_net = true, .scale = LEAT_SCALE_FREE, .context = 1 },
    };
    size_t n = sizeof forms / sizeof *forms;
    for (size_t i = 0; i < n + sizeof own / sizeof *own; i++) {
        leat_model *m = test_model(i);
        leat_flow *flow = leat_realnvp_new(m, i < n ? &forms[i] : &own[i - n]);
        if (i % 2)
            leat_flow_standardize_by(flow, (double[]){ 1, 2, 3, 4, 5, 6, 7 }, (double[]){ 7, 6, 5, 4, 3, 2, 1 },
                                     (double[]){ 3, 4 }, (double[]){ 2, 5 });
        randomize(m, 0.4);
        expect_export(flow, NULL);
        leat_flow_file info;
        leat_flow *back = load(path, (leat_flow_load_opts){ 0 }, &info);
        expect_same_scores(flow, back);
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
    }
}

Test(infer, what_cannot_go_to_pytorch_is_named)
{
    leat_model *m[4];
    for (int i = 0; i < 4; i++)
        m[i] = test_model(0);
    leat_realnvp_opts logistic = { .dim = 2, .base = leat_logistic(m[0], 2) };
    expect_export(leat_realnvp_new(m[0], &logistic), "the base is 'logistic'; PyTorch is given");
    expect_export(leat_nice_new(m[1], &(leat_nice_opts){ .dim = 3, .couplings = 2, .scale = true }),
                  "layers.2 is 'diagonal_scale', not a coupling");
    expect_export(leat_flow_new(m[2], leat_normal(m[2], 3)), "there are no layers");
    leat_flow *flow = leat_flow_new(m[3], leat_normal(m[3], 3));
    leat_mask mask = leat_mask_halves(m[3], 3, 0);
    leat_flow_add(flow, leat_coupling(m[3], mask, &leat_additive, test_net(m[3], &mask, 0, 1)));
    expect_export(flow, "layers.0.net.1 is 'tanh'");
    leat_status s = { 0 };
    cr_assert_null(leat_flow_pytorch(NULL, test_arena(), &s));
    cr_assert_eq(s.code, LEAT_ESTATE);
    for (int i = 0; i < 4; i++)
        leat_model_free(m[i]);
}

/* Weights that PyTorch saved and what its module made of them, as tests/fixtures/flows/make_export.py has both; and the
 * module's text, which is the one that was run there. */
static const char *const exported[] = { "export_tanh", "export_none", "export_learned", "export_one_net",
                                        "export_nice" };

static void expect_same_tensors(const leat_safetensors *a, const leat_safetensors *b)
{
    cr_assert_eq(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++)
        assert_near(fixture_get(b, a->entries[i].name), a->entries[i].tensor, 0, 1, a->entries[i].name);
}

Test(infer, the_modules_that_pytorch_has_run)
{
    for (size_t i = 0; i < sizeof exported / sizeof *exported; i++) {
        char from[1000], name[100], *text;
        leat_flow_file info;
        leat_status s = { 0 };
        size_t size;
        snprintf(from, sizeof from, LEAT_FIXTURES "/flows/%s.safetensors", exported[i]);
        leat_flow *flow = load(from, (leat_flow_load_opts){ 0 }, &info);
        snprintf(name, sizeof name, "%s_expected", exported[i]);
        leat_safetensors rows = fixture(name), written;
        leat_tape *tape = test_tape(leat_flow_model(flow));
        const leat_tensor *context = leat_safetensors_find(&rows, "context");
        leat_var given = context ? leat_const(tape, *context) : (leat_var){ 0 };
        leat_var log_prob = leat_flow_log_prob_given(flow, leat_const(tape, fixture_get(&rows, "x")), given);
        assert_tape(tape);
        assert_near(leat_value(log_prob), fixture_get(&rows, "log_prob"), CLOSE, 1, exported[i]);
        expect_export(flow, NULL);
        cr_assert_eq(leat_safetensors_read(path, test_arena(), &written, &s), LEAT_OK, "%s", s.message);
        leat_safetensors saved = fixture(exported[i]);
        expect_same_tensors(&saved, &written);
        snprintf(from, sizeof from, LEAT_FIXTURES "/flows/%s.py", exported[i]);
        cr_assert_eq(leat_file_read(from, test_arena(), &text, &size, &s), LEAT_OK, "%s", s.message);
        cr_assert_str_eq(leat_flow_pytorch(flow, test_arena(), &s), text);
        leat_model_free(leat_flow_model(flow));
    }
}
