/* Layers: identity, dropout, embedding, layer norm, batch norm, weight norm. */
#include "layer_helpers.h"

TestSuite(layers, .init = setup, .fini = teardown);

static leat_var numbers(leat_shape shape, const double *x)
{
    leat_tensor t = leat_tensor_new(&arena, shape, NULL);
    for (int64_t i = 0; i < leat_shape_count(&shape); i++)
        t.data[i] = (leat_real)x[i];
    return leat_input(tape, t);
}

#define NUMBERS(...) ((const double[]){ __VA_ARGS__ })

/* ---- identity, dropout ------------------------------------------------------------------------------------------- */

Test(layers, identity_is_x)
{
    leat_module *identity = leat_identity_layer(model);
    for (int training = 0; training < 2; training++) {
        leat_tape_set_training(tape, training);
        leat_var x = numbers(LEAT_SHAPE(2), NUMBERS(3, -4));
        check_bits(leat_value(leat_forward(identity, x)).data, leat_value(x).data, 2, "identity");
    }
    leat_var x = numbers(LEAT_SHAPE(1), NUMBERS(1));
    check_tape_failed(leat_forward_with(identity, x, x), LEAT_ESTATE, "identity takes no context");
}

Test(layers, dropout_drops_in_training_only)
{
    leat_module *dropout = leat_dropout_layer(model, 0.25);
    leat_var x = leat_full(tape, LEAT_SHAPE(100, 100), 3);
    const leat_real *y = leat_value(leat_forward(dropout, x)).data;
    int zeros = 0;
    cr_assert(y, "%s", leat_tape_errmsg(tape));
    for (int i = 0; i < 10000; i++) {
        zeros += y[i] == 0;
        cr_assert(y[i] == 0 || y[i] == 4);
    }
    cr_assert(zeros > 2500 - 217 && zeros < 2500 + 217, "%d", zeros); /* five standard deviations */
    leat_tape_set_training(tape, false);
    check_bits(leat_value(leat_forward(dropout, x)).data, leat_value(x).data, 10000, "evaluation");
    check_tape_failed(leat_forward_with(dropout, x, x), LEAT_ESTATE, "dropout takes no context");
}

/* ---- embedding --------------------------------------------------------------------------------------------------- */

Test(layers, embedding_is_pytorch_s)
{
    leat_module *e = leat_embedding(model, 7, 3);
    load_case(model, &arena, &fixture, "embedding");
    check_case(e, tape, &arena, &fixture, "embedding");
    leat_tape_reset(tape);
    leat_var one = leat_forward(e, leat_scalar(tape, 4)); /* a scalar gives one row */
    cr_assert_eq(leat_var_shape(one).rank, 1);
    check_bits(leat_value(one).data, leat_find_param(model, "weight")->leaf.value + 12, 3, "row 4");
    leat_var none = leat_forward(e, leat_full(tape, LEAT_SHAPE(0, 2), 0));
    leat_shape shape = leat_var_shape(none), want = LEAT_SHAPE(0, 2, 3);
    cr_assert(leat_shape_equal(&shape, &want), "%s", leat_tape_errmsg(tape));
}

static const struct {
    double x;
    const char *text;
} no_rows[] = {
    { 7, "7" }, { -1, "-1" }, { 1.5, "1.5" }, { (double)NAN, "nan" }, { (double)INFINITY, "inf" }, { 1e30, "1e+30" },
};

Test(layers, embedding_refuses_what_is_no_row)
{
    leat_module *e = leat_embedding(model, 7, 3);
    char message[128];
    for (size_t i = 0; i < sizeof no_rows / sizeof *no_rows; i++) {
        leat_var y = leat_forward(e, numbers(LEAT_SHAPE(3), NUMBERS(0, no_rows[i].x, 1)));
        snprintf(message, sizeof message, "embedding: number 1 is %s, not one of 0 .. 6", no_rows[i].text);
        if (i == 5 && sizeof(leat_real) == 4) /* 1e30 is no float */
            snprintf(message, sizeof message, "embedding: number 1 is %g, not one of 0 .. 6", (double)(leat_real)1e30);
        check_tape_failed(y, LEAT_EARG, message);
    }
    check_tape_failed(leat_forward(e, leat_full(tape, LEAT_SHAPE(1, 1, 1, 1, 1, 1), 0)), LEAT_ESHAPE,
                      "embedding: an input of rank 6 leaves no axis for the features");
    leat_var stale = leat_scalar(tape, 0);
    leat_tape_reset(tape);
    cr_assert(!leat_ok(leat_forward(e, stale)));
    cr_assert_eq(leat_tape_code(tape), LEAT_ESTATE);
}

Test(layers, embedding_starts_normal)
{
    leat_embedding(model, 100, 100);
    const leat_real *w = leat_find_param(model, "weight")->leaf.value;
    double sum = 0, squares = 0;
    for (int i = 0; i < 10000; i++) {
        sum += (double)w[i];
        squares += (double)w[i] * (double)w[i];
    }
    cr_assert(fabs(sum) < 500 && fabs(squares - 10000) < 5 * sqrt(20000), "%g %g", sum, squares);
}

/* ---- layer norm -------------------------------------------------------------------------------------------------- */

Test(layers, layer_norm_is_pytorch_s)
{
    leat_module *norm = leat_layer_norm(model, 5, NULL);
    load_case(model, &arena, &fixture, "layer_norm");
    check_case(norm, tape, &arena, &fixture, "layer_norm");
    check_gradients(norm, 1, (leat_tensor[]){ make_data(&arena, LEAT_SHAPE(4, 5), 1) });
}

Test(layers, layer_norm_by_hand)
{
    leat_module *norm = leat_layer_norm(model, 4, &(leat_norm_opts){ .eps = 4, .no_affine = true });
    cr_assert_eq(leat_param_count(model), 0);
    leat_var y = leat_forward(norm, numbers(LEAT_SHAPE(2, 4), NUMBERS(1, 1, 1, 1, 96, 94, 106, 104)));
    const double want[] = { 0, 0, 0, 0, -4, -6, 6, 4 }; /* variance 26, s = sqrt(30) */
    for (int i = 0; i < 8; i++)
        cr_assert_float_eq((double)leat_value(y).data[i], want[i] / sqrt(30), 1e-6);
}

Test(layers, layer_norm_of_one_feature_is_its_bias)
{
    leat_module *norm = leat_layer_norm(model, 1, NULL);
    leat_find_param(model, "bias")->leaf.value[0] = 7;
    leat_var y = leat_forward(norm, numbers(LEAT_SHAPE(2, 1), NUMBERS(-5, 3)));
    cr_assert(leat_value(y).data[0] == 7 && leat_value(y).data[1] == 7);
    check_tape_failed(leat_forward(norm, numbers(LEAT_SHAPE(1, 3), NUMBERS(1, 2, 3))), LEAT_ESHAPE,
                      "layer_norm [1,3]: the layer takes 1 features");
    check_tape_failed(leat_forward(norm, leat_scalar(tape, 1)), LEAT_ESHAPE,
                      "layer_norm []: the layer takes 1 features");
}

/* ---- batch norm -------------------------------------------------------------------------------------------------- */

static leat_tensor buffer_of(const char *name)
{
    leat_status s = { 0 };
    leat_safetensors f;
    cr_assert_eq(leat_save(model, in_folder("state"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_eq(leat_safetensors_read(in_folder("state"), &arena, &f, &s), LEAT_OK, "%s", s.message);
    return find_tensor(&f, name);
}

Test(layers, batch_norm_is_pytorch_s)
{
    static const char *const names[] = { "running_mean", "running_var", "num_batches_tracked" };
    leat_module *norm = leat_batch_norm(model, 4, NULL);
    load_case(model, &arena, &fixture, "batch_norm");
    check_case(norm, tape, &arena, &fixture, "batch_norm");
    leat_safetensors after = case_part(&arena, &fixture, "batch_norm", "after");
    for (int i = 0; i < 3; i++)
        check_close(names[i], buffer_of(names[i]).data, find_tensor(&after, names[i]), layer_tolerance);
    cr_assert_eq(buffer_of("num_batches_tracked").data[0], 7);
    cr_assert_eq(buffer_of("num_batches_tracked").shape.rank, 0);
    leat_tape_reset(tape);
    leat_tape_set_training(tape, false);
    leat_zero_grad(model);
    load_case(model, &arena, &fixture, "batch_norm_eval");
    check_case(norm, tape, &arena, &fixture, "batch_norm_eval");
    cr_assert_eq(buffer_of("num_batches_tracked").data[0], 7);
    check_gradients(norm, 1, (leat_tensor[]){ make_data(&arena, LEAT_SHAPE(5, 4), 1) });
}

/* The same numbers as [rows, features], with the batch cut differently. */
Test(layers, batch_norm_is_over_all_axes_but_the_last)
{
    leat_module *norm = leat_batch_norm(model, 4, &(leat_norm_opts){ .momentum = 1, .no_affine = true });
    leat_tensor x = make_data(&arena, LEAT_SHAPE(6, 4), 3);
    leat_var flat = leat_forward(norm, leat_const(tape, x));
    leat_tensor mean = buffer_of("running_mean"), variance = buffer_of("running_var");
    x.shape = LEAT_SHAPE(2, 3, 4);
    leat_var cut = leat_forward(norm, leat_const(tape, x));
    cr_assert_eq(leat_var_shape(cut).rank, 3);
    check_bits(leat_value(flat).data, leat_value(cut).data, 24, "output");
    check_bits(mean.data, buffer_of("running_mean").data, 4, "running_mean");
    for (int j = 0; j < 4; j++) { /* momentum 1: the batch's own, unbiased */
        double sum = 0, squares = 0;
        for (int i = 0; i < 6; i++)
            sum += (double)x.data[4 * i + j];
        for (int i = 0; i < 6; i++)
            squares += pow((double)x.data[4 * i + j] - sum / 6, 2);
        cr_assert_float_eq((double)mean.data[j], sum / 6, 1e-6);
        cr_assert_float_eq((double)variance.data[j], squares / 5, 1e-6);
    }
}

Test(layers, batch_norm_moves_once_per_pass_in_training_mode)
{
    leat_module *norm = leat_batch_norm(model, 2, NULL);
    leat_var x = numbers(LEAT_SHAPE(2, 2), NUMBERS(0, 1, 4, 3));
    leat_var y = leat_sum(leat_forward(norm, x));
    cr_assert_eq(leat_backward(y), LEAT_OK, "%s", leat_tape_errmsg(tape));
    const leat_real *mean = buffer_of("running_mean").data, *variance = buffer_of("running_var").data;
    cr_assert(mean[0] == (leat_real)0.2 && mean[1] == (leat_real)0.2);
    cr_assert_float_eq((double)variance[0], 0.9 + 0.1 * 8, 1e-6);
    cr_assert_float_eq((double)variance[1], 0.9 + 0.1 * 2, 1e-6);

    uint64_t hash = leat_model_hash(model);
    leat_tape_set_training(tape, false);
    leat_var before = leat_forward(norm, x);
    cr_assert_eq(leat_model_hash(model), hash);
    leat_tape_set_training(tape, true);
    leat_forward(norm, x); /* moves; what was made before does not follow */
    cr_assert_neq(leat_model_hash(model), hash);
    leat_clear_grads(tape);
    cr_assert_eq(leat_backward(leat_sum(before)), LEAT_OK);
    for (int i = 0; i < 4; i++)
        cr_assert_float_eq((double)leat_grad(x).data[i], 1 / sqrt((double)variance[i % 2] + 1e-5), 1e-6);
    leat_tape_set_recording(tape, false);
    leat_forward(norm, x);
    cr_assert_eq(buffer_of("num_batches_tracked").data[0], 3);
}

Test(layers, batch_norm_refuses_one_row_in_training)
{
    leat_module *norm = leat_batch_norm(model, 2, NULL);
    uint64_t hash = leat_model_hash(model);
    check_tape_failed(leat_forward(norm, leat_full(tape, LEAT_SHAPE(1, 2), 1)), LEAT_ESHAPE,
                      "batch_norm [1,2]: training needs more than one row");
    check_tape_failed(leat_forward(norm, leat_full(tape, LEAT_SHAPE(2), 1)), LEAT_ESHAPE,
                      "batch_norm [2]: training needs more than one row");
    check_tape_failed(leat_forward(norm, leat_full(tape, LEAT_SHAPE(0, 2), 1)), LEAT_ESHAPE,
                      "batch_norm [0,2]: training needs more than one row");
    check_tape_failed(leat_forward(norm, leat_full(tape, LEAT_SHAPE(4, 1), 1)), LEAT_ESHAPE,
                      "batch_norm [4,1]: the layer takes 2 features");
    cr_assert_eq(leat_model_hash(model), hash);
    leat_tape_set_training(tape, false);
    cr_assert(leat_ok(leat_forward(norm, leat_full(tape, LEAT_SHAPE(1, 2), 1))));
}

Test(layers, batch_norm_keeps_its_statistics_from_what_is_not_finite)
{
    leat_module *norm = leat_batch_norm(model, 2, NULL);
    uint64_t hash = leat_model_hash(model);
    leat_var y = leat_forward(norm, numbers(LEAT_SHAPE(2, 2), NUMBERS(1, 2, (double)NAN, 4)));
    cr_assert(isnan((double)leat_value(y).data[0]));
    cr_assert_eq(leat_model_hash(model), hash);
    leat_forward(norm, numbers(LEAT_SHAPE(2, 2), NUMBERS(1, 2, 3, (double)INFINITY)));
    cr_assert_eq(leat_model_hash(model), hash);
}

Test(layers, batch_norm_refuses_a_negative_variance_from_a_file)
{
    leat_module *norm = leat_batch_norm(model, 4, NULL);
    leat_safetensors state = case_part(&arena, &fixture, "batch_norm", "state");
    leat_status s = { 0 };
    uint64_t hash = leat_model_hash(model);
    leat_safetensors_find(&state, "running_var")->data[2] = (leat_real)-0.5;
    cr_assert_eq(leat_load_tensors(model, &state, "file", &s), LEAT_EFORMAT);
    cr_assert_str_eq(s.message, "file: running_var holds -0.5");
    cr_assert_eq(leat_model_hash(model), hash);
    cr_assert(norm);
}

/* ---- weight norm ------------------------------------------------------------------------------------------------- */

Test(layers, weight_norm_is_pytorch_s)
{
    leat_module *linear = leat_weight_norm_linear(model, 4, 3);
    load_case(model, &arena, &fixture, "weight_norm");
    check_case(linear, tape, &arena, &fixture, "weight_norm");
    check_gradients(linear, 1, (leat_tensor[]){ make_data(&arena, LEAT_SHAPE(3, 4), 1) });
}

/* It starts as the plain layer does, whatever initialiser weight_v has, wherever it stands. */
Test(layers, weight_norm_starts_as_its_directions)
{
    leat_module *net = leat_sequential(model);
    leat_module *linear = leat_weight_norm_linear(model, 19, 5);
    leat_sequential_add(net, leat_linear_layer(model, 7, 19));
    leat_sequential_add(net, linear);
    leat_set_init(linear, "weight_v", leat_init_normal(1, 2));
    leat_param *v = leat_find_param(model, "1.weight_v"), *g = leat_find_param(model, "1.weight_g");
    cr_assert(v && g);
    leat_tensor x = make_data(&arena, LEAT_SHAPE(3, 19), 1);
    leat_var y = leat_forward(linear, leat_const(tape, x));
    leat_var want = leat_linear(leat_const(tape, x), leat_use(tape, v),
                                leat_use(tape, leat_find_param(model, "1.bias")), LEAT_IDENTITY);
    check_close("start", leat_value(y).data, leat_value(want), layer_tolerance);
    for (int i = 0; i < 5; i++) {
        double squares = 0;
        for (int j = 0; j < 19; j++)
            squares += pow((double)v->leaf.value[19 * i + j], 2);
        cr_assert_float_eq((double)g->leaf.value[i], sqrt(squares), 1e-6);
    }
}

Test(layers, weight_norm_does_not_feel_the_length_of_v)
{
    leat_module *linear = leat_weight_norm_linear(model, 4, 3);
    leat_tensor x = make_data(&arena, LEAT_SHAPE(3, 4), 1);
    leat_param *v = leat_find_param(model, "weight_v");
    leat_var before = leat_forward(linear, leat_const(tape, x));
    for (int i = 0; i < 12; i++)
        v->leaf.value[i] *= 4;
    leat_var after = leat_forward(linear, leat_const(tape, x));
    check_bits(leat_value(before).data, leat_value(after).data, 9, "four times as long");
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

enum { DROPOUT, EMBEDDING, LAYER_NORM, BATCH_NORM, WEIGHT_NORM };

static leat_module *layer_new(leat_model *m, int kind)
{
    switch (kind) {
    case DROPOUT:
        return leat_dropout_layer(m, 0.5);
    case EMBEDDING:
        return leat_embedding(m, 4, 4);
    case LAYER_NORM:
        return leat_layer_norm(m, 4, NULL);
    case BATCH_NORM:
        return leat_batch_norm(m, 4, NULL);
    default:
        return leat_weight_norm_linear(m, 4, 4);
    }
}

Test(layers, round_trips)
{
    leat_real rows[12] = { 1, 2, 0, 3, 1, 1, 2, 3, 0, 0, 0, 3 };
    leat_tensor x = make_data(&arena, LEAT_SHAPE(3, 4), 1);
    for (int kind = EMBEDDING; kind <= WEIGHT_NORM; kind++) {
        leat_model *m[2] = { leat_model_new(NULL), leat_model_new(&(leat_model_opts){ .seed = 1 }) };
        leat_module *layer[2] = { layer_new(m[0], kind), layer_new(m[1], kind) };
        leat_find_param(m[0], kind == WEIGHT_NORM ? "weight_g" : "weight")->leaf.value[1] = 3;
        if (kind == BATCH_NORM)
            leat_forward(layer[0], leat_const(leat_model_tape(m[0], NULL), x));
        leat_tensor in = x;
        if (kind == EMBEDDING)
            in.data = rows;
        check_round_trip(layer[0], layer[1], in, (leat_tensor){ 0 });
        leat_model_free(m[0]);
        leat_model_free(m[1]);
    }
}

/* In a place of a model, and with what is wrong of a layer that has a name. */
Test(layers, messages_name_the_place)
{
    leat_module *net = leat_sequential(model);
    leat_sequential_add(net, leat_identity_layer(model));
    leat_sequential_add(net, leat_batch_norm(model, 2, NULL));
    check_tape_failed(leat_forward(net, leat_full(tape, LEAT_SHAPE(4, 3), 1)), LEAT_ESHAPE,
                      "1: batch_norm [4,3]: the layer takes 2 features");
    check_tape_failed(leat_forward(net, leat_full(tape, LEAT_SHAPE(1, 2), 1)), LEAT_ESHAPE,
                      "1: batch_norm [1,2]: training needs more than one row");
}

Test(layers, summary_describes_them)
{
    leat_module *net = leat_sequential(model);
    for (int kind = DROPOUT; kind <= WEIGHT_NORM; kind++)
        leat_sequential_add(net, layer_new(model, kind));
    char *text = leat_summary(model, &arena);
    cr_assert_str_eq(text,
                     "(root)   sequential\n"
                     "0        dropout              p = 0.5\n"
                     "1        embedding            4 x 4     16\n"
                     "2        layer_norm           4          8\n"
                     "3        batch_norm           4          8\n"
                     "4        weight_norm_linear   4 -> 4    24\n"
                     "total                                   56\n",
                     "%s", text);
}

enum { BAD_P, P_NAN, NO_ROWS, BAD_FEATURES, BAD_LAYER, BAD_EPS, BAD_MOMENTUM, BAD_BATCH, BAD_WEIGHT, NOTHING_IN };
static const struct {
    int what;
    const char *text;
} refused[] = {
    { BAD_P, "dropout: a probability of 1.5" },
    { P_NAN, "dropout: a probability of nan" },
    { NO_ROWS, "embedding: 0 rows of 3 features" },
    { BAD_FEATURES, "embedding: 3 rows of -1 features" },
    { BAD_LAYER, "layer_norm: -2 features" },
    { BAD_EPS, "layer_norm: eps is -1" },
    { BAD_MOMENTUM, "batch_norm: momentum is 1.5, not in 0 .. 1" },
    { BAD_BATCH, "batch_norm: -1 features" },
    { BAD_WEIGHT, "weight_norm_linear: -1 -> 3 features" },
    { NOTHING_IN, "weight_norm_linear: 0 -> 3 features" },
};

static leat_module *build_refused(leat_model *m, int what)
{
    switch (what) {
    case BAD_P:
        return leat_dropout_layer(m, 1.5);
    case P_NAN:
        return leat_dropout_layer(m, (double)NAN);
    case NO_ROWS:
        return leat_embedding(m, 0, 3);
    case BAD_FEATURES:
        return leat_embedding(m, 3, -1);
    case BAD_LAYER:
        return leat_layer_norm(m, -2, NULL);
    case BAD_EPS:
        return leat_layer_norm(m, 2, &(leat_norm_opts){ .eps = -1 });
    case BAD_MOMENTUM:
        return leat_batch_norm(m, 2, &(leat_norm_opts){ .momentum = 1.5 });
    case BAD_BATCH:
        return leat_batch_norm(m, -1, NULL);
    case BAD_WEIGHT:
        return leat_weight_norm_linear(m, -1, 3);
    default:
        return leat_weight_norm_linear(m, 0, 3);
    }
}

Test(layers, options_that_make_no_sense)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = leat_model_new(NULL);
        cr_assert_null(build_refused(m, refused[i].what));
        CHECK_FAILED(m, LEAT_EARG, refused[i].text);
        leat_model_free(m);
    }
}

Test(layers, the_same_bits_on_any_number_of_threads)
{
    uint64_t hash[2];
    for (int i = 0; i < 2; i++) {
        leat_model *m = leat_model_new(&(leat_model_opts){ .threads = i ? 3 : 1 });
        leat_module *net = leat_sequential(m);
        leat_sequential_add(net, leat_weight_norm_linear(m, 30, 131));
        leat_sequential_add(net, leat_layer_norm(m, 131, NULL));
        leat_sequential_add(net, leat_batch_norm(m, 131, NULL));
        leat_optim *adam = leat_adam_new(m, NULL);
        leat_tape *t = leat_model_tape(m, NULL);
        for (int step = 0; step < 3; step++) {
            leat_tape_reset(t);
            leat_var y = leat_forward(net, leat_randn(t, LEAT_SHAPE(257, 30)));
            cr_assert_eq(leat_backward(leat_mean(leat_tanh(leat_sub_scalar(y, 0.3)))), LEAT_OK, "%s",
                         leat_tape_errmsg(t));
            cr_assert_eq(leat_optim_step(adam), LEAT_OK);
        }
        hash[i] = leat_model_hash(m);
        leat_model_free(m);
    }
    cr_assert_eq(hash[0], hash[1]);
}

static leat_module *build_large(leat_model *m)
{
    leat_module *net = leat_sequential(m);
    leat_sequential_add(net, leat_embedding(m, 1000, 300));
    leat_sequential_add(net, leat_layer_norm(m, 300, NULL));
    leat_sequential_add(net, leat_weight_norm_linear(m, 300, 400));
    leat_sequential_add(net, leat_batch_norm(m, 400, NULL));
    return net;
}

Test(layers, out_of_memory_is_a_status)
{
    check_out_of_memory(build_large, LEAT_SHAPE(900), 0);
}

/* ---- a module of one's own --------------------------------------------------------------------------------------- */

static const leat_module_type plain_type = { .name = "plain" };

static void count_one(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner, (void)p;
    ++*(int *)v->user;
}

/* Without a visit function a module reports what was made for it and attached to it. */
Test(layers, what_a_module_has_is_reported)
{
    leat_model *m = leat_model_new(NULL);
    leat_module *outer = leat_module_new(m, &plain_type, sizeof *outer),
                *inner = leat_module_new(m, &plain_type, sizeof *inner);
    leat_param_new(inner, "a", LEAT_SHAPE(2), leat_init_zeros());
    leat_param_new(inner, "b", LEAT_SHAPE(2), leat_init_zeros());
    leat_attach(outer, inner, "inner");
    int count = 0;
    leat_visit(&(leat_visitor){ .user = &count, .param = count_one }, outer);
    cr_assert_eq(count, 2);
    cr_assert_not_null(leat_find_param(m, "inner.b"));
    leat_model_free(m);
}
