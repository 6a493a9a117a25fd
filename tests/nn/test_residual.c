/* The residual network: nflows' numbers and names, its context, its modes, its refusals. */
#include "layer_helpers.h"

TestSuite(residual, .init = setup, .fini = teardown);

static const leat_residual_opts plain = { .in = 3, .hidden = 8, .out = 2, .activation = LEAT_TANH };
static const leat_residual_opts gated = { .in = 3, .hidden = 6, .out = 2, .context = 2, .blocks = 1 };
static const leat_residual_opts normed = { .in = 3, .hidden = 4, .out = 2, .batch_norm = true };

static const struct {
    const char *name;
    const leat_residual_opts *o;
    bool task;
} cases[] = {
    { "residual", &plain, true },
    { "residual_context", &gated, true },
    { "residual_norm", &normed, false },
};
enum { CASES = sizeof cases / sizeof *cases };

Test(residual, is_nflows_residual_net)
{
    for (int i = 0; i < CASES; i++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_residual_mlp(m, cases[i].o);
        cr_assert_eq(leat_model_code(m), LEAT_OK, "%s", leat_model_errmsg(m));
        load_case(m, &arena, &fixture, cases[i].name);
        check_case(net, leat_model_tape(m, NULL), &arena, &fixture, cases[i].name);
        leat_model_free(m);
    }
}

Test(residual, batch_norms_move_as_pytorch_s)
{
    leat_module *net = leat_residual_mlp(model, &normed);
    load_case(model, &arena, &fixture, "residual_norm");
    leat_forward(net, leat_const(tape, case_tensor(&fixture, "residual_norm", "x")));
    leat_status s = { 0 };
    leat_safetensors after = case_part(&arena, &fixture, "residual_norm", "after"), got;
    cr_assert_eq(leat_save(model, in_folder("m"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_safetensors_read(in_folder("m"), &arena, &got, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(got.count, after.count);
    for (int64_t i = 0; i < after.count; i++)
        check_close(after.entries[i].name, find_tensor(&got, after.entries[i].name).data, after.entries[i].tensor,
                    layer_tolerance);
}

Test(residual, learns_as_pytorch_does)
{
    for (int i = 0; i < CASES; i++) {
        if (!cases[i].task)
            continue;
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_residual_mlp(m, cases[i].o);
        load_case(m, &arena, &fixture, cases[i].name);
        train_case(net, &fixture, cases[i].name);
        leat_model_free(m);
    }
}

Test(residual, gradients_are_those_of_differences)
{
    leat_tensor in[] = { make_data(&arena, LEAT_SHAPE(4, 3), 1), make_data(&arena, LEAT_SHAPE(4, 2), 2) };
    for (int i = 0; i < CASES; i++) {
        leat_model *m = leat_model_new(NULL);
        leat_residual_opts o = *cases[i].o;
        o.activation = LEAT_SOFTPLUS; /* no kinks */
        leat_module *net = leat_residual_mlp(m, &o);
        leat_set_init(net, "weight", leat_init_uniform(-0.7, 0.7));
        if (o.batch_norm)
            leat_set_init(net, "weight", leat_init_uniform(0.5, 1.5));
        check_gradients(net, o.context ? 2 : 1, in);
        leat_model_free(m);
    }
}

Test(residual, starts_almost_as_a_linear_map)
{
    leat_residual_mlp(model, &plain);
    for (int i = 0; i < 2; i++) {
        char name[64];
        for (int bias = 0; bias < 2; bias++) {
            snprintf(name, sizeof name, "blocks.%d.linear_layers.1.%s", i, bias ? "bias" : "weight");
            leat_param *p = leat_find_param(model, name);
            double largest = 0;
            for (int64_t j = 0; j < leat_shape_count(&p->leaf.shape); j++)
                largest = fmax(largest, fabs((double)p->leaf.value[j]));
            cr_assert(largest > 2e-4 && largest <= 1e-3, "%s: %g", name, largest);
        }
    }
}

Test(residual, round_trip_and_summary)
{
    leat_residual_opts o = { .in = 2, .hidden = 3, .out = 1, .context = 1, .blocks = 1, .batch_norm = true };
    leat_model *other = leat_model_new(&(leat_model_opts){ .seed = 5 });
    check_round_trip(leat_residual_mlp(model, &o), leat_residual_mlp(other, &o), make_data(&arena, LEAT_SHAPE(4, 2), 1),
                     make_data(&arena, LEAT_SHAPE(4, 1), 2));
    leat_model_free(other);
    char *text = leat_summary(model, &arena);
    cr_assert_str_eq(text,
                     "(root)                         residual_mlp     2 -> 1, 1 blocks of 3\n"
                     "initial_layer                  linear           3 -> 3                  12\n"
                     "blocks.0                       residual_block\n"
                     "blocks.0.batch_norm_layers.0   batch_norm       3                        6\n"
                     "blocks.0.batch_norm_layers.1   batch_norm       3                        6\n"
                     "blocks.0.context_layer         linear           1 -> 3                   6\n"
                     "blocks.0.linear_layers.0       linear           3 -> 3                  12\n"
                     "blocks.0.linear_layers.1       linear           3 -> 3                  12\n"
                     "final_layer                    linear           3 -> 1                   4\n"
                     "total                                                                   58\n",
                     "%s", text);
}

Test(residual, dropout_is_of_training)
{
    leat_residual_opts o = { .in = 2, .hidden = 16, .out = 3, .blocks = 1, .dropout = 0.5 };
    leat_module *net = leat_residual_mlp(model, &o);
    leat_set_init(net, "weight", leat_init_uniform(-1, 1));
    leat_var x = leat_full(tape, LEAT_SHAPE(5, 2), 1);
    leat_var first = leat_forward(net, x), second = leat_forward(net, x);
    cr_assert(leat_ok(second), "%s", leat_tape_errmsg(tape));
    cr_assert_neq(memcmp(leat_value(first).data, leat_value(second).data, 15 * sizeof(leat_real)), 0);
    leat_tape_set_training(tape, false);
    first = leat_forward(net, x), second = leat_forward(net, x);
    check_bits(leat_value(first).data, leat_value(second).data, 15, "evaluation");
}

/* With dropout of everything a block's outcome is its second bias. */
Test(residual, dropout_stands_before_the_second_layer)
{
    leat_residual_opts o = { .in = 2, .hidden = 3, .out = 3, .blocks = 1, .dropout = 1 };
    leat_module *net = leat_residual_mlp(model, &o);
    leat_tensor x = make_data(&arena, LEAT_SHAPE(4, 2), 1);
    leat_var got = leat_forward(net, leat_const(tape, x));
    leat_var bias = leat_use(tape, leat_find_param(model, "blocks.0.linear_layers.1.bias"));
    leat_var h = leat_linear(leat_const(tape, x), leat_use(tape, leat_find_param(model, "initial_layer.weight")),
                             leat_use(tape, leat_find_param(model, "initial_layer.bias")), LEAT_IDENTITY);
    leat_var want = leat_linear(leat_add(h, bias), leat_use(tape, leat_find_param(model, "final_layer.weight")),
                                leat_use(tape, leat_find_param(model, "final_layer.bias")), LEAT_IDENTITY);
    cr_assert(leat_ok(got) && leat_ok(want), "%s", leat_tape_errmsg(tape));
    check_bits(leat_value(got).data, leat_value(want).data, 12, "all dropped");
}

static const struct {
    leat_residual_opts o;
    leat_code code;
    const char *text;
} refused[] = {
    { { .in = -1, .hidden = 3, .out = 1 }, LEAT_EARG, "residual_mlp: -1 -> 3 -> 1 features, and 0 of a context" },
    { { .in = 1, .hidden = 0, .out = 1 }, LEAT_EARG, "residual_mlp: 1 -> 0 -> 1 features" },
    { { .in = 1, .hidden = 3, .out = -1 }, LEAT_EARG, "residual_mlp: 1 -> 3 -> -1 features" },
    { { .in = 1, .hidden = 3, .out = 1, .context = -2 }, LEAT_EARG, "and -2 of a context" },
    { { .in = 1, .hidden = 3, .out = 1, .blocks = -2 }, LEAT_EARG, "residual_mlp: -2 blocks" },
    { { .in = 1, .hidden = 3, .out = 1, .dropout = -0.5 }, LEAT_EARG, "residual_mlp: a dropout probability of -0.5" },
    { { .in = 1, .hidden = 3, .out = 1, .dropout = (double)NAN }, LEAT_EARG, "a dropout probability of nan" },
    { { .in = 1, .hidden = 3, .out = 1, .activation = (leat_activation)99 }, LEAT_EARG, "no activation number 99" },
    { { .in = INT64_MAX, .hidden = 3, .out = 1, .context = 9 }, LEAT_EARG, "residual_mlp: 9223372036854775807 -> 3" },
};

Test(residual, options_that_make_no_sense)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = leat_model_new(NULL);
        cr_assert_null(leat_residual_mlp(m, &refused[i].o));
        CHECK_FAILED(m, refused[i].code, refused[i].text);
        leat_model_free(m);
    }
}

Test(residual, inputs_that_do_not_fit)
{
    holder *h = holder_new(model, false);
    leat_module *net = leat_residual_mlp(model, &gated), *without = leat_residual_mlp(model, &plain);
    holder_add(h, net, "net");
    holder_add(h, without, "without");
    static const struct {
        int net;
        int64_t features, context;
        leat_code code;
        const char *text;
    } wrong[] = {
        { 0, 4, 2, LEAT_ESHAPE, "net: residual_mlp [5,4]: the layer takes 3 features" },
        { 0, 3, 0, LEAT_ESTATE, "net: residual_mlp needs a context" },
        { 0, 3, 1, LEAT_ESHAPE, "net: residual_mlp: a context of 1 features, not 2" },
        { 1, 3, 2, LEAT_ESTATE, "without: residual_mlp takes no context" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        leat_var x = leat_full(tape, LEAT_SHAPE(5, wrong[i].features), 1), c = { 0 };
        if (wrong[i].context)
            c = leat_full(tape, LEAT_SHAPE(5, wrong[i].context), 1);
        cr_assert(!leat_ok(leat_forward_with(wrong[i].net ? without : net, x, c)));
        cr_assert_eq(leat_tape_code(tape), wrong[i].code);
        cr_assert_str_eq(leat_tape_errmsg(tape), wrong[i].text);
        leat_tape_reset(tape);
    }
}

static leat_module *build_large(leat_model *m)
{
    return leat_residual_mlp(
        m, &(leat_residual_opts){ .in = 900, .hidden = 300, .out = 400, .context = 50, .batch_norm = true });
}

Test(residual, out_of_memory_is_a_status)
{
    check_out_of_memory(build_large, LEAT_SHAPE(20, 900), 50);
}

/* A layer that fails in front of one that needs a context and is given none. */
Test(residual, input_that_has_failed)
{
    leat_module *net = leat_sequential(model);
    leat_sequential_add(net, leat_linear_layer(model, 5, 3));
    leat_sequential_add(
        net, leat_residual_mlp(model, &(leat_residual_opts){ .in = 3, .hidden = 4, .out = 2, .context = 1 }));
    leat_var y = leat_forward(net, leat_full(tape, LEAT_SHAPE(2, 4), 1));
    cr_assert_not(leat_ok(y));
    cr_assert(starts_with(leat_tape_errmsg(tape), "0: linear [2,4] x [3,5]"), "%s", leat_tape_errmsg(tape));
}
