/* Layers over images: PyTorch's numbers, names and losses, first batches, borders, contexts, refusals. */
#include "layer_helpers.h"

static void setup_images(void)
{
    setup();
    fixture = read_fixture(&arena, "images.safetensors");
}

TestSuite(image_layers, .init = setup_images, .fini = teardown);

/* ---- as PyTorch -------------------------------------------------------------------------------------------------- */

static const leat_conv_opts convs[] = {
    { .in = 3, .out = 4, .kernel = { 3, 2 }, .stride = { 2, 1 }, .padding = { 1, 0 } },
    { .in = 2, .out = 3, .no_bias = true },
    { .in = 2, .out = 3, .kernel = { 3 }, .padding = { 1, 1 }, .form = LEAT_CONV_WEIGHT_NORM },
    { .in = 2, .out = 4, .kernel = { 3 }, .padding = { 1, 1 }, .form = LEAT_CONV_ACTNORM, .border = true },
    { .in = 5, .out = 2, .kernel = { 3 }, .padding = { 1, 1 }, .form = LEAT_CONV_ZEROS, .border = true },
    { .in = 5, .out = 2, .kernel = { 5 }, .padding = { 2, 2 }, .form = LEAT_CONV_ZEROS, .border = true },
};
enum { CONVS = sizeof convs / sizeof *convs, GLOW = CONVS, BATCH_NORM, RESIDUAL, RESIDUAL_EVAL, CASES };
static const char *const names[CASES] = {
    "conv",         "conv_no_bias", "conv_weight_norm", "conv_actnorm",  "conv_zeros_3",
    "conv_zeros_5", "glow_net",     "batch_norm",       "residual_conv", "residual_conv_eval",
};

static leat_module *case_net(leat_model *m, int k)
{
    if (k < CONVS)
        return leat_conv_layer(m, &convs[k]);
    if (k == GLOW)
        return leat_glow_net(m, 4, 5, 3);
    if (k == BATCH_NORM)
        return leat_batch_norm(m, 3, NULL);
    return leat_residual_conv(m, &(leat_residual_conv_opts){ .in = 2, .hidden = 4, .out = 3, .context = 1 });
}

Test(image_layers, layers_are_pytorch_s)
{
    for (int k = 0; k < CASES; k++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = case_net(m, k);
        cr_assert_eq(leat_model_code(m), LEAT_OK, "%s", leat_model_errmsg(m));
        load_case(m, &arena, &fixture, names[k]);
        check_case(net, leat_model_tape(m, &(leat_tape_opts){ .evaluate = k == RESIDUAL_EVAL }), &arena, &fixture,
                   names[k]);
        leat_model_free(m);
    }
}

static void check_state(leat_model *m, const char *name)
{
    leat_status s = { 0 };
    leat_safetensors after = case_part(&arena, &fixture, name, "after"), got;
    cr_assert_eq(leat_save(m, in_folder("m"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_safetensors_read(in_folder("m"), &arena, &got, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(got.count, after.count);
    for (int64_t i = 0; i < after.count; i++)
        check_close(after.entries[i].name, find_tensor(&got, after.entries[i].name).data, after.entries[i].tensor,
                    layer_tolerance);
}

Test(image_layers, batch_norms_move_as_pytorch_s)
{
    for (int k = BATCH_NORM; k <= RESIDUAL; k++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = case_net(m, k);
        load_case(m, &arena, &fixture, names[k]);
        leat_tape *t = leat_model_tape(m, NULL);
        leat_tensor c = case_tensor(&fixture, names[k], "context");
        leat_var context = c.data ? leat_const(t, c) : (leat_var){ 0 };
        leat_var y = leat_forward_with(net, leat_const(t, case_tensor(&fixture, names[k], "x")), context);
        cr_assert(leat_ok(y), "%s", leat_tape_errmsg(t));
        check_state(m, names[k]);
        leat_model_free(m);
    }
}

Test(image_layers, glow_s_network_learns_as_in_pytorch)
{
    leat_module *net = leat_glow_net(model, 2, 5, 3);
    load_case(model, &arena, &fixture, "glow_task");
    train_case(net, &fixture, "glow_task");
}

Test(image_layers, gradients_are_those_of_differences)
{
    leat_tensor context = make_data(&arena, LEAT_SHAPE(2, 3, 4, 1), 2);
    for (int k = 0; k < GLOW; k++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = case_net(m, k);
        leat_set_init(net, k == 2 ? "weight_v" : "weight", leat_init_uniform(-0.7, 0.7));
        leat_tape_set_training(leat_model_tape(m, NULL), false);
        if (convs[k].form == LEAT_CONV_ACTNORM) /* the first batch first */
            leat_forward(net, leat_const(leat_model_tape(m, NULL), make_data(&arena, LEAT_SHAPE(2, 3, 4, 2), 3)));
        check_gradients(net, 1, (leat_tensor[]){ make_data(&arena, LEAT_SHAPE(2, 3, 4, convs[k].in), 1) });
        leat_model_free(m);
    }
    if (sizeof(leat_real) != 8)
        return; /* the step of differences in float crosses kinks of ReLU */
    leat_module *net = case_net(model, RESIDUAL);
    check_gradients(net, 2, (leat_tensor[]){ make_data(&arena, LEAT_SHAPE(2, 3, 4, 2), 1), context });
}

/* ---- actnorm and zeros ------------------------------------------------------------------------------------------- */

Test(image_layers, the_first_batch_sets_actnorm)
{
    leat_module *net = leat_conv_layer(model, &convs[3]);
    load_case(model, &arena, &fixture, "conv_actnorm");
    cr_assert_eq(leat_model_seal(model), LEAT_OK);
    net->buffers->value.data[0] = 0;
    leat_tensor x = case_tensor(&fixture, "conv_first_batch", "x");
    uint64_t before = leat_model_hash(model);
    leat_tape_set_training(tape, false);
    cr_assert(leat_ok(leat_forward(net, leat_const(tape, x))));
    leat_tape_set_training(tape, true);
    leat_var one = leat_full(tape, LEAT_SHAPE(1, 1, 1, 2), 1); /* one row and position: nothing to be learned */
    cr_assert(leat_ok(leat_forward(net, one)), "%s", leat_tape_errmsg(tape));
    cr_assert_eq(leat_model_hash(model), before);
    leat_var first = leat_forward(net, leat_const(tape, x));
    cr_assert(leat_ok(first), "%s", leat_tape_errmsg(tape));
    check_close("first", leat_value(first).data, case_tensor(&fixture, "conv_first_batch", "out"), layer_tolerance);
    check_state(model, "conv_first_batch");
    before = leat_model_hash(model);
    leat_forward(net, leat_randn(tape, LEAT_SHAPE(2, 3, 3, 2)));
    cr_assert_eq(leat_model_hash(model), before);

    net->buffers->value.data[0] = (leat_real)0.5;
    leat_status s = { 0 };
    cr_assert_eq(leat_save(model, in_folder("half"), 0, NULL, &s), LEAT_OK);
    cr_assert_eq(leat_load(model, in_folder("half"), &s), LEAT_EFORMAT);
    cr_assert(strstr(s.message, "'initialized' is 0.5, neither 0 nor 1"), "%s", s.message);
}

Test(image_layers, a_first_batch_that_is_not_finite)
{
    leat_module *net = leat_glow_net(model, 1, 2, 1);
    leat_var x = leat_full(tape, LEAT_SHAPE(2, 2, 2, 1), (double)INFINITY);
    cr_assert(!leat_ok(leat_forward(net, x)));
    cr_assert_eq(leat_tape_code(tape), LEAT_ENONFINITE);
    cr_assert(starts_with(leat_tape_errmsg(tape), "0: actnorm: row 1 of its first batch, column 1 is "), "%s",
              leat_tape_errmsg(tape));
    cr_assert_eq(leat_tape_recording(tape), true);
}

Test(image_layers, glow_s_network_starts_as_zeros)
{
    leat_module *net = leat_glow_net(model, 3, 8, 2);
    leat_var y = leat_forward(net, leat_randn(tape, LEAT_SHAPE(2, 4, 3, 3)));
    cr_assert_eq(leat_backward(leat_sum(leat_add_scalar(y, 1))), LEAT_OK, "%s", leat_tape_errmsg(tape));
    for (int i = 0; i < 48; i++)
        cr_assert_eq(leat_value(y).data[i], 0);
    const leat_param *last = leat_find_param(model, "4.weight");
    double largest = 0;
    for (int64_t i = 0; i < leat_shape_count(&last->leaf.shape); i++)
        largest = fmax(largest, fabs((double)last->leaf.grad[i]));
    cr_assert_gt(largest, 0.1); /* and learns */
}

/* ---- alone and together ------------------------------------------------------------------------------------------ */

/* A context of rows stands at every position. */
Test(image_layers, a_context_of_rows_is_a_map_of_equals)
{
    leat_module *nets[] = { case_net(model, RESIDUAL), leat_glow_net(model, 3, 4, 2),
                            leat_conv_layer(model, &(leat_conv_opts){ .in = 3, .out = 2, .kernel = { 3 } }) };
    leat_set_init(nets[1], "weight", leat_init_normal(0, 1));
    leat_var x = leat_randn(tape, LEAT_SHAPE(2, 3, 4, 2)), c = leat_randn(tape, LEAT_SHAPE(2, 1));
    leat_var map = leat_broadcast_to(leat_reshape(c, LEAT_SHAPE(2, 1, 1, 1)), LEAT_SHAPE(2, 3, 4, 1));
    for (int i = 0; i < 3; i++) {
        leat_var a = leat_forward_with(nets[i], x, c), b = leat_forward_with(nets[i], x, map);
        cr_assert(leat_ok(a) && leat_ok(b), "%s", leat_tape_errmsg(tape));
        leat_shape shape = leat_var_shape(a);
        check_bits(leat_value(a).data, leat_value(b).data, leat_shape_count(&shape), "context");
        leat_var other = leat_forward_with(nets[i], x, leat_add_scalar(c, 1));
        cr_assert_neq(memcmp(leat_value(a).data, leat_value(other).data, sizeof(leat_real)), 0);
    }
}

/* In a sequential a convolution and the activation behind it are one op, with the same bits. */
Test(image_layers, activations_are_fused)
{
    for (int k = 0; k < CONVS; k++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_sequential(m), *conv = leat_conv_layer(m, &convs[k]);
        leat_sequential_add(net, conv);
        leat_sequential_add(net, leat_activation_layer(m, LEAT_RELU));
        leat_set_init(net, k == 2 ? "weight_v" : "weight", leat_init_normal(0, 1));
        leat_tape *t = leat_model_tape(m, NULL);
        leat_var x = leat_randn(t, LEAT_SHAPE(2, 5, 4, convs[k].in));
        leat_var got = leat_forward(net, x), want = leat_relu(leat_forward(conv, x));
        cr_assert(leat_ok(got) && leat_ok(want), "%s", leat_tape_errmsg(t));
        leat_shape shape = leat_var_shape(got);
        check_bits(leat_value(got).data, leat_value(want).data, leat_shape_count(&shape), names[k]);
        leat_model_free(m);
    }
}

Test(image_layers, weight_norm_starts_as_its_directions)
{
    leat_module *conv = leat_conv_layer(model, &convs[2]);
    leat_var x = leat_randn(tape, LEAT_SHAPE(2, 5, 4, 2)), y = leat_forward(conv, x);
    leat_var w = leat_use(tape, leat_find_param(model, "weight_v")), b = leat_use(tape, leat_find_param(model, "bias"));
    leat_var want = leat_conv2d(x, w, b, &(leat_conv2d_opts){ .padding = { 1, 1 } });
    cr_assert(leat_ok(y) && leat_ok(want), "%s", leat_tape_errmsg(tape));
    check_close("start", leat_value(y).data, leat_value(want), layer_tolerance);
}

Test(image_layers, round_trips)
{
    leat_tensor rows = make_data(&arena, LEAT_SHAPE(2, 1), 2), map = make_data(&arena, LEAT_SHAPE(2, 3, 4, 3), 3);
    for (int k = 0; k <= RESIDUAL; k++) {
        leat_model *m[2] = { leat_model_new(NULL), leat_model_new(&(leat_model_opts){ .seed = 1 }) };
        leat_module *net[2] = { case_net(m[0], k), case_net(m[1], k) };
        leat_tensor x = make_data(&arena, LEAT_SHAPE(2, 3, 4, k < CONVS ? convs[k].in : k == BATCH_NORM ? 3 : 2), 1);
        leat_tensor context = k == RESIDUAL ? rows : (leat_tensor){ 0 };
        if (k == GLOW) {
            x = make_data(&arena, LEAT_SHAPE(2, 3, 4, 1), 1);
            context = map;
        }
        leat_tape *t = leat_model_tape(m[0], NULL);
        leat_forward_with(net[0], leat_const(t, x), context.data ? leat_const(t, context) : (leat_var){ 0 });
        if (k < CONVS && convs[k].form == LEAT_CONV_ZEROS)
            leat_find_param(m[0], "weight")->leaf.value[1] = 3;
        check_round_trip(net[0], net[1], x, context);
        leat_model_free(m[0]);
        leat_model_free(m[1]);
    }
}

Test(image_layers, summary_describes_them)
{
    leat_conv_layer(model, &convs[0]);
    leat_module *glow = leat_sequential(model);
    leat_sequential_add(glow, leat_glow_net(model, 2, 3, 1));
    char *text = leat_summary(model, &arena);
    cr_assert_str_eq(text,
                     "(root)   conv         3 -> 4, 3x2, plain      76\n"
                     "(root)   sequential\n"
                     "0        sequential\n"
                     "0.0      conv         2 -> 3, 3x3, actnorm    87\n"
                     "0.1      relu\n"
                     "0.2      conv         3 -> 3, 1x1, actnorm    15\n"
                     "0.3      relu\n"
                     "0.4      conv         3 -> 1, 3x3, zeros      38\n"
                     "total                                        216\n",
                     "%s", text);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static const struct {
    leat_conv_opts o;
    const char *text;
} refused[] = {
    { { .in = 0, .out = 1 }, "conv: 0 -> 1 features, kernel 1x1, stride 1x1, padding 0x0" },
    { { .in = 1, .out = -1 }, "conv: 1 -> -1 features" },
    { { .in = 1, .out = 1, .kernel = { 3, -1 } }, "kernel 3x-1" },
    { { .in = 1, .out = 1, .stride = { -2 } }, "stride -2x-2" },
    { { .in = 1, .out = 1, .padding = { 0, -1 } }, "padding 0x-1" },
    { { .in = 1, .out = 1, .form = (leat_conv_form)9 }, "conv: there is no form number 9" },
    { { .in = 1, .out = 1, .form = LEAT_CONV_ACTNORM, .no_bias = true }, "conv: the form actnorm has a bias" },
};

Test(image_layers, options_that_make_no_sense)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = leat_model_new(NULL);
        cr_assert_null(leat_conv_layer(m, &refused[i].o));
        CHECK_FAILED(m, LEAT_EARG, refused[i].text);
        leat_model_free(m);
    }
    cr_assert_null(leat_residual_conv(model, &(leat_residual_conv_opts){ .in = 1, .hidden = 2, .out = 0 }));
    CHECK_FAILED(model, LEAT_EARG, "residual_conv: 1 -> 2 -> 0 features, 0 of a context, 0 blocks");
}

Test(image_layers, inputs_that_do_not_fit)
{
    leat_module *conv = leat_conv_layer(model, &convs[4]), *net = case_net(model, RESIDUAL);
    check_tape_failed(leat_forward(conv, leat_full(tape, LEAT_SHAPE(2, 3, 3, 4), 1)), LEAT_ESHAPE,
                      "conv [2,3,3,4]: the layer takes 5 features");
    check_tape_failed(leat_forward(conv, leat_full(tape, LEAT_SHAPE(2, 5), 1)), LEAT_ESHAPE,
                      "conv [2,5]: not [batch, height, width, features]");
    check_tape_failed(leat_forward(net, leat_full(tape, LEAT_SHAPE(2, 3, 3, 2), 1)), LEAT_ESTATE,
                      "residual_conv needs a context");
}

static leat_module *build_large(leat_model *m)
{
    leat_module *net = leat_sequential(m);
    leat_sequential_add(net, leat_glow_net(m, 3, 64, 2));
    leat_sequential_add(net, leat_residual_conv(m, &(leat_residual_conv_opts){ .in = 2, .hidden = 48, .out = 2 }));
    return net;
}

Test(image_layers, out_of_memory_is_a_status)
{
    check_out_of_memory(build_large, LEAT_SHAPE(4, 6, 6, 3), 0);
}
