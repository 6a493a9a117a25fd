/* Self-attention: PyTorch's numbers and names, what a place may see, its modes, its refusals. */
#include "layer_helpers.h"

TestSuite(attention, .init = setup, .fini = teardown);

static const struct {
    const char *name;
    leat_attention_opts o;
} cases[] = {
    { "attention", { .features = 6, .heads = 2 } },
    { "attention_causal", { .features = 6, .heads = 2, .causal = true } },
};

Test(attention, is_pytorch_s_multihead_attention)
{
    for (int i = 0; i < 2; i++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_attention(m, &cases[i].o);
        cr_assert_eq(leat_model_code(m), LEAT_OK, "%s", leat_model_errmsg(m));
        load_case(m, &arena, &fixture, cases[i].name);
        check_case(net, leat_model_tape(m, NULL), &arena, &fixture, cases[i].name);
        leat_model_free(m);
    }
}

Test(attention, learns_as_pytorch_does)
{
    for (int i = 0; i < 2; i++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_attention(m, &cases[i].o);
        load_case(m, &arena, &fixture, cases[i].name);
        train_case(net, &fixture, cases[i].name);
        leat_model_free(m);
    }
}

static const leat_attention_opts kinds[] = {
    { .features = 3 },
    { .features = 4, .heads = 4 },
    { .features = 6, .heads = 3, .causal = true },
    { .features = 1, .causal = true },
};

Test(attention, gradients_are_those_of_differences)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_attention(m, &kinds[i]);
        leat_set_init(net, "in_proj_bias", leat_init_uniform(-1, 1));
        check_gradients(net, 1, (leat_tensor[]){ make_data(&arena, LEAT_SHAPE(2, 3, kinds[i].features), 1) });
        leat_model_free(m);
    }
}

/* d y[0, i] / d x[0, j] is exactly zero for j > i, and is not for any other pair. */
Test(attention, causal_places_see_themselves_and_earlier_ones)
{
    enum { LENGTH = 5, WIDTH = 4 };
    for (int causal = 0; causal < 2; causal++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_attention(m, &(leat_attention_opts){ .features = WIDTH, .heads = 2, .causal = causal });
        leat_tape *t = leat_model_tape(m, NULL);
        leat_var x = leat_input(t, make_data(&arena, LEAT_SHAPE(2, LENGTH, WIDTH), 1)), y = leat_forward(net, x);
        for (int i = 0; i < LENGTH; i++) {
            leat_clear_grads(t);
            leat_var one = leat_slice(leat_slice(y, 0, 0, 1), 1, i, 1);
            leat_real cotangent[WIDTH] = { 1, (leat_real)0.5, 2, (leat_real)0.3 };
            cr_assert_eq(leat_vjp(one, (leat_tensor){ cotangent, LEAT_SHAPE(1, 1, WIDTH) }), LEAT_OK, "%s",
                         leat_tape_errmsg(t));
            for (int j = 0; j < 2 * LENGTH * WIDTH; j++) {
                bool seen = j < LENGTH * WIDTH && (!causal || j / WIDTH <= i);
                cr_assert_eq(leat_grad(x).data[j] != 0, seen, "output %d, input %d", i, j);
            }
        }
        leat_model_free(m);
    }
}

/* Scores so large that a mask of any small number would not do. */
Test(attention, causal_holds_for_large_scores)
{
    leat_module *net = leat_attention(model, &(leat_attention_opts){ .features = 2, .causal = true });
    leat_tensor x = make_data(&arena, LEAT_SHAPE(1, 3, 2), 1);
    leat_param *w = leat_find_param(model, "in_proj_weight");
    for (int i = 0; i < 8; i++)
        w->leaf.value[i] *= (leat_real)1e4;
    leat_var first = leat_forward(net, leat_const(tape, x));
    for (int i = 2; i < 6; i++)
        x.data[i] *= -1000;
    leat_var second = leat_forward(net, leat_const(tape, x));
    cr_assert(leat_ok(second), "%s", leat_tape_errmsg(tape));
    check_bits(leat_value(first).data, leat_value(second).data, 2, "the first place");
}

Test(attention, without_order_it_does_not_feel_any)
{
    leat_module *net = leat_attention(model, &(leat_attention_opts){ .features = 4, .heads = 2 });
    leat_tensor x = make_data(&arena, LEAT_SHAPE(1, 3, 4), 1);
    const int64_t turned[] = { 2, 0, 1 };
    leat_var v = leat_const(tape, x), y = leat_forward(net, v);
    leat_var z = leat_forward(net, leat_index_select(v, 1, (leat_index){ turned, 3 }));
    check_close("turned", leat_value(z).data, leat_value(leat_index_select(y, 1, (leat_index){ turned, 3 })),
                layer_tolerance);
}

Test(attention, empty_batches_and_single_places)
{
    leat_module *net = leat_attention(model, &(leat_attention_opts){ .features = 4, .heads = 2, .causal = true });
    leat_var none = leat_forward(net, leat_full(tape, LEAT_SHAPE(0, 3, 4), 1));
    leat_var empty = leat_forward(net, leat_full(tape, LEAT_SHAPE(3, 0, 4), 1));
    leat_var one = leat_forward(net, leat_full(tape, LEAT_SHAPE(2, 1, 4), 1));
    cr_assert(leat_ok(none) && leat_ok(empty) && leat_ok(one), "%s", leat_tape_errmsg(tape));
    cr_assert_eq(leat_backward(leat_add(leat_sum(one), leat_add(leat_sum(none), leat_sum(empty)))), LEAT_OK);
}

Test(attention, starts_as_pytorch_s)
{
    leat_attention(model, &(leat_attention_opts){ .features = 24, .heads = 4 });
    static const struct {
        const char *name;
        double bound;
    } starts[] = {
        { "in_proj_weight", 0.25 }, /* sqrt(6 / (24 + 72)) */
        { "in_proj_bias", 0 },
        { "out_proj.weight", 0.20412414523193150 }, /* 1 / sqrt(24) */
        { "out_proj.bias", 0 },
    };
    for (int i = 0; i < 4; i++) {
        leat_param *p = leat_find_param(model, starts[i].name);
        cr_assert(p, "%s", starts[i].name);
        double largest = 0;
        for (int64_t j = 0; j < leat_shape_count(&p->leaf.shape); j++)
            largest = fmax(largest, fabs((double)p->leaf.value[j]));
        cr_assert(largest <= starts[i].bound * (1 + 1e-7) && largest >= 0.98 * starts[i].bound, "%s: %g",
                  starts[i].name, largest);
    }
}

Test(attention, dropout_is_of_training)
{
    leat_attention_opts o = { .features = 4, .heads = 2, .dropout = 0.5 };
    leat_module *net = leat_attention(model, &o);
    leat_var x = leat_const(tape, make_data(&arena, LEAT_SHAPE(2, 6, 4), 1));
    leat_var first = leat_forward(net, x), second = leat_forward(net, x);
    cr_assert(leat_ok(second), "%s", leat_tape_errmsg(tape));
    cr_assert_neq(memcmp(leat_value(first).data, leat_value(second).data, 48 * sizeof(leat_real)), 0);
    leat_tape_set_training(tape, false);
    first = leat_forward(net, x), second = leat_forward(net, x);
    check_bits(leat_value(first).data, leat_value(second).data, 48, "evaluation");
}

Test(attention, round_trip_and_summary)
{
    leat_attention_opts o = { .features = 6, .heads = 3, .causal = true };
    leat_model *other = leat_model_new(&(leat_model_opts){ .seed = 5 });
    check_round_trip(leat_attention(model, &o), leat_attention(other, &o), make_data(&arena, LEAT_SHAPE(2, 4, 6), 1),
                     (leat_tensor){ 0 });
    leat_model_free(other);
    char *text = leat_summary(model, &arena);
    cr_assert_str_eq(text,
                     "(root)     attention   6, 3 heads, causal   126\n"
                     "out_proj   linear      6 -> 6                42\n"
                     "total                                       168\n",
                     "%s", text);
}

static const struct {
    leat_attention_opts o;
    const char *text;
} refused[] = {
    { { .features = 6, .heads = 4 }, "attention: 4 heads do not divide 6 features" },
    { { .features = 6, .heads = -2 }, "attention: -2 heads do not divide 6 features" },
    { { .features = 0, .heads = 1 }, "attention: 0 features" },
    { { .features = INT64_MAX, .heads = 1 }, "attention: 9223372036854775807 features" },
    { { .features = 6, .dropout = 2 }, "attention: a dropout probability of 2" },
    { { .features = 6, .dropout = -0.5 }, "attention: a dropout probability of -0.5" },
    { { .features = 6, .dropout = (double)NAN }, "attention: a dropout probability of nan" },
};

Test(attention, options_that_make_no_sense)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = leat_model_new(NULL);
        cr_assert_null(leat_attention(m, &refused[i].o));
        CHECK_FAILED(m, LEAT_EARG, refused[i].text);
        leat_model_free(m);
    }
}

Test(attention, inputs_that_do_not_fit)
{
    holder *h = holder_new(model, false);
    leat_module *net = leat_attention(model, &(leat_attention_opts){ .features = 4 });
    holder_add(h, net, "net");
    cr_assert(!leat_ok(leat_forward(&h->module, leat_full(tape, LEAT_SHAPE(2, 3, 5), 1))));
    cr_assert_str_eq(leat_tape_errmsg(tape), "net: attention [2,3,5]: the layer takes 4 features");
    leat_tape_reset(tape);
    cr_assert(!leat_ok(leat_forward(&h->module, leat_full(tape, LEAT_SHAPE(3, 4), 1))));
    cr_assert_str_eq(leat_tape_errmsg(tape), "net: attention [3,4]: not [batch, length, features]");
    leat_tape_reset(tape);
    leat_var x = leat_full(tape, LEAT_SHAPE(1, 3, 4), 1);
    cr_assert(!leat_ok(leat_forward_with(net, x, x)));
    cr_assert_str_eq(leat_tape_errmsg(tape), "net: attention takes no context");
}

static leat_module *build_large(leat_model *m)
{
    return leat_attention(m, &(leat_attention_opts){ .features = 300, .heads = 3, .causal = true, .dropout = 0.5 });
}

Test(attention, out_of_memory_is_a_status)
{
    check_out_of_memory(build_large, LEAT_SHAPE(4, 30, 300), 0);
}
