/* What parts say of themselves, what they refuse on a tape, and layers that a description names but no model of the
 * library has: an embedding and a masked linear layer. */
#include "support.h"
#include "../../nn/model.h"

#include <unistd.h>

static const leat_tensor none;

/* Some of all kinds, on rows of four. */
static leat_flow *some_parts(leat_model *m)
{
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_made_opts made = { .features = 4, .widths = { 1, 1 }, .hidden = { 6 } };
    leat_module *scales = leat_sequential(m), *net = leat_mlp(m, 3, (int64_t[]){ 5, 0 }, 2, LEAT_RELU);
    leat_sequential_add(scales, net);
    leat_sequential_add(scales, leat_bounded_scale(m, 1, true));
    leat_flow_add(flow, leat_coupling(m, leat_mask_of(m, 4, (leat_real[]){ 1, 1, 1, 0 }), &leat_affine, scales));
    leat_flow_add(flow, leat_autoregressive(m, leat_made(m, &made), &leat_affine));
    leat_flow_add(flow, leat_view(m, LEAT_SHAPE(4), LEAT_SHAPE(2, 2)));
    leat_flow_add(flow, leat_split_transform(m, LEAT_SHAPE(2, 2), 1, leat_reverse(m, 1)));
    return flow;
}

Test(parts, say_what_they_are)
{
    static const char *const words[] = { "affine, keeps 3, moves 1", "1, learned", "affine, 4 features", "[4] -> [2,2]",
                                         "[2,2], 1 features go on" };
    leat_model *m = test_model(1);
    some_parts(m);
    assert_model(m);
    char *text = leat_summary(m, test_arena());
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        cr_assert(strstr(text, words[i]), "no '%s' in\n%s", words[i], text);
}

/* The options of a model reach its nets. */
Test(parts, models_take_their_activation)
{
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(1);
        leat_maf_opts maf = { .dim = 4, .transforms = 2, .hidden = { 6 }, .activation = LEAT_TANH };
        leat_nsf_opts nsf = { .dim = 4, .transforms = 2, .hidden = { 6 }, .activation = LEAT_TANH };
        leat_status s = { 0 };
        char *text = leat_flow_describe(k ? leat_nsf_new(m, &nsf) : leat_maf_new(m, &maf), test_arena(), &s);
        cr_assert(text && strstr(text, "tanh") && !strstr(text, "relu"), "%s%s", s.message, text ? text : "");
        leat_model_free(m);
    }
}

/* A transform alone, run on rows of the wrong width. */
static void expect_refusal(leat_transform *(*build)(leat_model *), leat_shape shape, bool inverse, const char *words)
{
    leat_model *m = test_model(1);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_transform *t = build(m);
    leat_flow_add(flow, t);
    leat_tape *tape = test_tape(m);
    leat_var x = leat_full(tape, shape, 0.5);
    leat_flow_call call = { 0 };
    leat_pair out = inverse ? leat_transform_inverse(t, x, &call) : leat_transform_forward(t, x, &call);
    cr_assert(!leat_ok(out.y) && !leat_ok(out.logdet), "%s", words);
    cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE);
    cr_assert(strstr(leat_tape_errmsg(tape), words), "%s, without '%s'", leat_tape_errmsg(tape), words);
    leat_model_free(m);
}

static leat_transform *a_split(leat_model *m)
{
    return leat_split_transform(m, LEAT_SHAPE(2, 2), 1, leat_reverse(m, 1));
}

static leat_transform *a_view(leat_model *m)
{
    return leat_view(m, LEAT_SHAPE(4), LEAT_SHAPE(2, 2));
}

static leat_transform *an_actnorm(leat_model *m)
{
    return leat_actnorm(m, 4);
}

static leat_transform *a_batch_norm(leat_model *m)
{
    return leat_batch_norm_transform(m, 4, NULL);
}

static leat_transform *a_coupling(leat_model *m)
{
    return leat_coupling(m, leat_mask_halves(m, 4, 0), &leat_additive, leat_linear_layer(m, 2, 2));
}

static leat_transform *a_maf(leat_model *m)
{
    return leat_autoregressive(m, leat_made(m, &(leat_made_opts){ .features = 4, .widths = { 1, 1 } }), &leat_affine);
}

Test(parts, refuse_rows_of_another_shape)
{
    static const struct {
        leat_transform *(*build)(leat_model *);
        const char *words;
    } kinds[] = {
        { a_split, "a split" },         { a_view, "a view" },         { an_actnorm, "actnorm" },
        { a_batch_norm, "batch norm" }, { a_coupling, "a coupling" }, { a_maf, "autoregressive" },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        expect_refusal(kinds[i].build, LEAT_SHAPE(3, 5), false, kinds[i].words);
        expect_refusal(kinds[i].build, LEAT_SHAPE(3, 5), true, kinds[i].words);
    }
}

/* Whole flows: the message tells what is given and what is needed. */
Test(parts, a_flow_refuses_rows_of_another_shape)
{
    leat_model *m = test_model(1);
    leat_flow *flow = some_parts(m);
    leat_tape *tape = test_tape(m);
    leat_var score = leat_flow_log_prob(flow, leat_full(tape, LEAT_SHAPE(3, 5), 0));
    cr_assert(!leat_ok(score));
    cr_assert(strstr(leat_tape_errmsg(tape), "4 features is given [3,5], not [batch,4]"), "%s", leat_tape_errmsg(tape));
}

/* Draws in double are those in float, in the data's units. */
Test(parts, draws_in_double)
{
    enum { ROWS = 50 };
    static const double mean[] = { 1, 2, -3, 4 }, sd[] = { 2, 3, 0.5, 1 };
    leat_model *m = test_model(1), *plain = test_model(1);
    leat_flow *flow = some_parts(m), *without = some_parts(plain);
    leat_flow_standardize_by(flow, mean, sd, NULL, NULL);
    leat_real z[4 * ROWS];
    double x[4 * ROWS], part[4 * 7];
    leat_tape *tape = test_tape(m), *other = test_tape(plain);
    cr_assert_eq(leat_flow_draw_rows_doubles(flow, tape, 0, ROWS, 0.5, (leat_doubles){ 0 }, x), LEAT_OK);
    cr_assert_eq(leat_flow_draw_rows(without, other, 0, ROWS, 0.5, none, z), LEAT_OK);
    for (int i = 0; i < 4 * ROWS; i++)
        cr_assert_lt(fabs(x[i] - (mean[i % 4] + sd[i % 4] * (double)z[i])), CLOSE, "number %d", i);
    cr_assert_eq(leat_flow_draw_rows_doubles(flow, tape, 20, 7, 0.5, (leat_doubles){ 0 }, part), LEAT_OK);
    cr_assert_eq(memcmp(part, x + 4 * 20, sizeof part), 0);

    /* A number that is none spoils its own row's score. */
    double scores[ROWS];
    x[4 * 9 + 2] = (double)NAN;
    cr_assert_eq(leat_flow_score_doubles(flow, tape, (leat_doubles){ x, ROWS, 4 }, (leat_doubles){ 0 }, scores),
                 LEAT_OK);
    for (int i = 0; i < ROWS; i++)
        cr_assert(i == 9 ? isnan(scores[i]) : isfinite(scores[i]), "row %d: %g", i, scores[i]);
}

/* An embedding of the context's whole numbers cannot follow a flow's rows, but a file may hold one. */
Test(parts, layers_of_a_file)
{
    char path[] = "/tmp/leat-parts-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && close(fd) == 0);
    leat_model *m = test_model(1);
    leat_module *net = leat_sequential(m);
    leat_sequential_add(net, leat_embedding(m, 3, 5));
    leat_sequential_add(net, leat_masked_linear(m, 5, 2));
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_flow_add(flow, leat_coupling(m, leat_mask_halves(m, 4, 0), &leat_additive, net));
    leat_status s = { 0 };
    cr_assert_eq(leat_flow_save(flow, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_flow *back = leat_flow_load(path, NULL, NULL, &s);
    cr_assert_not_null(back, "%s", s.message);
    cr_assert_eq(leat_model_hash(m), leat_model_hash(leat_flow_model(back)));
    cr_assert_str_eq(leat_flow_describe(flow, test_arena(), &s), leat_flow_describe(back, test_arena(), &s));
    cr_assert_str_eq(leat_flow_base(back)->module.type->name, "normal");
    leat_model_free(leat_flow_model(back));
    remove(path);
}
