/* Flow++'s network: PyTorch's numbers, gradients, how it starts, the same bits however it is run, refusals. */
#include "layer_helpers.h"

#include <sys/wait.h>

static void setup_gated(void)
{
    setup();
    fixture = read_fixture(&arena, "gated.safetensors");
}

TestSuite(gated_conv, .init = setup_gated, .fini = teardown);

static const struct {
    const char *name;
    leat_gated_conv_opts o;
} cases[] = {
    { "map", { .in = 2, .out = 3, .context = 2, .height = 3, .width = 4, .features = 4, .blocks = 2, .heads = 2 } },
    { "vector", { .in = 1, .out = 2, .context = 2, .features = 3, .blocks = 1, .no_attention = true } },
    { "wide", { .in = 1, .out = 1, .height = 10, .width = 11, .features = 2, .blocks = 1, .heads = 1 } },
};
enum { CASES = sizeof cases / sizeof *cases };

Test(gated_conv, is_that_of_pytorch)
{
    for (int i = 0; i < CASES; i++) {
        leat_model *m = leat_model_new(NULL);
        leat_module *net = leat_gated_conv(m, &cases[i].o);
        cr_assert_eq(leat_model_code(m), LEAT_OK, "%s", leat_model_errmsg(m));
        load_case(m, &arena, &fixture, cases[i].name);
        check_case(net, leat_model_tape(m, NULL), &arena, &fixture, cases[i].name);
        leat_model_free(m);
    }
}

Test(gated_conv, gradients_are_those_of_differences)
{
    static const leat_gated_conv_opts o = {
        .in = 2, .out = 2, .context = 1, .height = 2, .width = 3, .features = 2, .blocks = 1, .heads = 2
    };
    leat_module *net = leat_gated_conv(model, &o);
    leat_set_init(net, "weight_v", leat_init_uniform(-1, 1));
    leat_set_init(net, "weight", leat_init_uniform(0.5, 1.5));
    leat_set_init(net, "bias", leat_init_uniform(-1, 1));
    check_gradients(
        net, 2,
        (leat_tensor[]){ make_data(&arena, LEAT_SHAPE(2, 2, 3, 2), 1), make_data(&arena, LEAT_SHAPE(2, 2, 3, 1), 2) });
}

static double deviation(leat_tensor t)
{
    double squares = 0;
    int64_t n = leat_shape_count(&t.shape);
    for (int64_t i = 0; i < n; i++)
        squares += (double)t.data[i] * (double)t.data[i];
    return sqrt(squares / (double)n);
}

/* concat_elu of N(0, 1) has the mean square (1 + 0.2615) / 2, E[(exp(-|x|) - 1)^2] being 0.2615. */
Test(gated_conv, starts_with_the_scales_that_it_says)
{
    leat_gated_conv_opts o = { .in = 3, .out = 50, .height = 8, .width = 8, .features = 64 };
    leat_module *net = leat_gated_conv(model, &o);
    leat_var y = leat_forward(net, leat_randn(tape, LEAT_SHAPE(4, 8, 8, 3)));
    cr_assert(leat_ok(y), "%s", leat_tape_errmsg(tape));
    double scale = deviation(leat_value(y));
    cr_assert(scale > 0.8 * 0.1 * sqrt(1.2615 / 2) && scale < 1.2 * 0.1 * sqrt(1.2615 / 2), "%g", scale);
    leat_param *position = leat_find_param(model, "position");
    scale = deviation((leat_tensor){ position->leaf.value, position->leaf.shape });
    cr_assert(scale > 0.0095 && scale < 0.0105, "%g", scale);
    leat_summary(model, &arena);
    cr_assert(leat_find_param(model, "blocks.9.attention_gate.weight_g"), "ten blocks");
    cr_assert_null(leat_find_param(model, "blocks.10.conv.bias"));
}

static const leat_gated_conv_opts noisy = {
    .in = 2, .out = 5, .context = 3, .height = 9, .width = 11, .features = 8, .blocks = 2, .heads = 2, .dropout = 0.3
};

static void run_net(leat_tape *t, void *net, const leat_var *in, leat_var *out)
{
    (void)t;
    out[0] = leat_forward_with(net, in[0], in[1]);
}

/* The model's hash after two steps of training, with some threads, directly or through a checkpoint. */
static uint64_t trained(int threads, bool checkpoint)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 3, .threads = threads });
    leat_module *net = leat_gated_conv(m, &noisy);
    leat_optim *adam = leat_adam_new(m, NULL);
    leat_tape *t = leat_model_tape(m, NULL);
    for (int step = 0; step < 2; step++) {
        leat_tape_reset(t);
        leat_var y, in[] = { leat_randn(t, LEAT_SHAPE(2, 9, 11, 2)), leat_randn(t, LEAT_SHAPE(2, 3)) };
        if (checkpoint)
            leat_checkpoint(t, run_net, net, 2, in, 1, &y);
        else
            run_net(t, net, in, &y);
        leat_var noise = leat_randn(t, leat_var_shape(y));
        cr_assert_eq(leat_backward(leat_mean(leat_square(leat_sub(y, noise)))), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    }
    uint64_t hash = leat_model_hash(m);
    leat_model_free(m);
    return hash;
}

Test(gated_conv, the_same_bits_with_threads_and_recompute)
{
    uint64_t once = trained(1, false);
    cr_assert_eq(trained(2, false), once);
    cr_assert_eq(trained(3, false), once);
    cr_assert_eq(trained(1, true), once);
    cr_assert_eq(trained(3, true), once);
}

/* The hash that a process of its own finds with a set of kernels; 0 if the machine lacks that. */
static uint64_t trained_with(const char *isa)
{
    int ends[2];
    uint64_t hash = 0;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        setenv("LEAT_ISA", isa, 1);
        hash = strcmp(leat_isa(), isa) == 0 ? trained(1, false) : 0;
        _exit(write(ends[1], &hash, sizeof hash) != sizeof hash);
    }
    cr_assert_eq(read(ends[0], &hash, sizeof hash), sizeof hash);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    return hash;
}

/* In a suite without set-up, as that uses kernels already. */
Test(gated_conv_kernels, every_set_gives_the_same_bits)
{
    static const char *const sets[] = { "avx2", "avx512", "neon" };
    uint64_t once = trained_with("ref");
    cr_assert_neq(once, 0);
    for (int i = 0; i < 3; i++) {
        uint64_t hash = trained_with(sets[i]);
        cr_assert(hash == 0 || hash == once, "%s", sets[i]);
    }
}

Test(gated_conv, dropout_is_of_training)
{
    leat_module *net = leat_gated_conv(model, &noisy);
    leat_var x = leat_randn(tape, LEAT_SHAPE(1, 9, 11, 2)), c = leat_randn(tape, LEAT_SHAPE(1, 3));
    leat_var first = leat_forward_with(net, x, c), second = leat_forward_with(net, x, c);
    cr_assert(leat_ok(second), "%s", leat_tape_errmsg(tape));
    cr_assert_neq(memcmp(leat_value(first).data, leat_value(second).data, 9 * 11 * 5 * sizeof(leat_real)), 0);
    leat_tape_set_training(tape, false);
    first = leat_forward_with(net, x, c), second = leat_forward_with(net, x, c);
    check_bits(leat_value(first).data, leat_value(second).data, 9 * 11 * 5, "evaluation");
}

Test(gated_conv, round_trip_and_summary)
{
    leat_model *other = leat_model_new(&(leat_model_opts){ .seed = 5 });
    check_round_trip(leat_gated_conv(model, &cases[0].o), leat_gated_conv(other, &cases[0].o),
                     make_data(&arena, LEAT_SHAPE(2, 3, 4, 2), 1), make_data(&arena, LEAT_SHAPE(2, 2), 2));
    leat_model_free(other);
    leat_model *small = leat_model_new(NULL);
    leat_gated_conv(small, &cases[1].o);
    char *text = leat_summary(small, &arena);
    cr_assert_str_eq(text,
                     "(root)             gated_conv           1 -> 2, 1 blocks of 3\n"
                     "in_conv            conv                 1 -> 3, 3x3, weight_norm    33\n"
                     "blocks.0           gated_conv_block\n"
                     "blocks.0.conv      conv                 6 -> 3, 3x3, weight_norm   168\n"
                     "blocks.0.context   weight_norm_linear   4 -> 3                      18\n"
                     "blocks.0.gate      weight_norm_linear   6 -> 6                      48\n"
                     "blocks.0.norm      layer_norm           3                            6\n"
                     "out_conv           conv                 6 -> 2, 3x3, weight_norm   112\n"
                     "total                                                              385\n",
                     "%s", text);
    leat_model_free(small);
}

static const struct {
    leat_gated_conv_opts o;
    const char *text;
} refused[] = {
    { { .in = 0, .out = 1 }, "gated_conv: 0 -> 96 -> 1 features, and 0 of a context" },
    { { .in = 1, .out = -1 }, "gated_conv: 1 -> 96 -> -1 features" },
    { { .in = 1, .out = 1, .features = -4 }, "gated_conv: 1 -> -4 -> 1 features" },
    { { .in = 1, .out = 1, .context = INT64_MIN }, "of a context" },
    { { .in = 1, .out = 1, .blocks = -1 }, "gated_conv: -1 blocks" },
    { { .in = 1, .out = 1, .dropout = (double)NAN }, "gated_conv: a dropout probability of nan" },
    { { .in = 1, .out = 1, .height = 3 }, "gated_conv: attention over images of 3 x 0" },
    { { .in = 1, .out = 1, .height = 3, .width = 3, .heads = 5 }, "gated_conv: 5 heads do not divide 96 features" },
    { { .in = 1, .out = 1, .height = 3, .width = 3, .heads = -1 }, "gated_conv: -1 heads do not divide 96 features" },
};

Test(gated_conv, options_that_make_no_sense)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = leat_model_new(NULL);
        cr_assert_null(leat_gated_conv(m, &refused[i].o));
        CHECK_FAILED(m, LEAT_EARG, refused[i].text);
        leat_model_free(m);
    }
}

Test(gated_conv, inputs_that_do_not_fit)
{
    leat_module *net = leat_gated_conv(model, &cases[0].o);
    static const struct {
        leat_shape x, context;
        leat_code code;
        const char *text;
    } wrong[] = {
        { { 4, { 1, 3, 4, 1 } }, { 2, { 1, 2 } }, LEAT_ESHAPE, "gated_conv [1,3,4,1]: the layer takes 2 features" },
        { { 3, { 3, 4, 2 } },
          { 2, { 3, 2 } },
          LEAT_ESHAPE,
          "gated_conv [3,4,2]: not [batch, height, width, features]" },
        { { 4, { 1, 4, 3, 2 } }, { 2, { 1, 2 } }, LEAT_ESHAPE, "gated_conv [1,4,3,2]: the images are not 3 x 4" },
        { { 4, { 1, 3, 4, 2 } }, { 2, { 1, 3 } }, LEAT_ESHAPE, "gated_conv: a context of 3 features, not 2" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_tape_failed(leat_forward_with(net, leat_full(tape, wrong[i].x, 1), leat_full(tape, wrong[i].context, 1)),
                          wrong[i].code, wrong[i].text);
    check_tape_failed(leat_forward(net, leat_full(tape, wrong[0].x, 1)), LEAT_ESHAPE,
                      "gated_conv [1,3,4,1]: the layer takes 2 features");
    check_tape_failed(leat_forward(net, leat_full(tape, wrong[3].x, 1)), LEAT_ESTATE, "gated_conv needs a context");
}

static leat_module *build_large(leat_model *m)
{
    return leat_gated_conv(
        m, &(leat_gated_conv_opts){ .in = 20, .out = 10, .height = 8, .width = 8, .features = 40, .blocks = 1 });
}

Test(gated_conv, out_of_memory_is_a_status)
{
    check_out_of_memory(build_large, LEAT_SHAPE(2, 8, 8, 20), 0);
}
