/* Optimisers: PyTorch's numbers, skipped and frozen parameters, refused steps, clipping, threads. */
#include "nn_helpers.h"

#ifdef LEAT_DOUBLE
static const double in_a_pass = 2e-15, in_a_step = 2e-15, after_ten = 1e-14;
#else
static const double in_a_pass = 5e-7, in_a_step = 5e-7, after_ten = 1e-6;
#endif

enum { ADAM, ADAM_DECAY, SGD, SGD_DECAY, OPTIMISERS };
static const char *const optimiser_names[] = { "adam", "adam_decay", "sgd", "sgd_decay" };

typedef struct optimiser {
    leat_optim *adam;
    leat_optim *sgd;
} optimiser;

static optimiser optimiser_new(leat_model *m, int which)
{
    optimiser o = { 0 };
    if (which == ADAM)
        o.adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 0.01 });
    else if (which == ADAM_DECAY)
        o.adam = leat_adam_new(
            m, &(leat_adam_opts){ .lr = 0.003, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1 });
    else
        o.sgd = leat_sgd_new(m, &(leat_sgd_opts){ .lr = 0.05, .weight_decay = which == SGD_DECAY ? 0.1 : 0 });
    cr_assert_eq(leat_model_code(m), LEAT_OK, "%s", leat_model_errmsg(m));
    return o;
}

static leat_code optimiser_step(const optimiser *o)
{
    return o->adam ? leat_optim_step(o->adam) : leat_optim_step(o->sgd);
}

/* ---- optimisers alone -------------------------------------------------------------------------------------------- */

/* Two parameters without layers around them. */
static holder *two_params(leat_model *m, int64_t a_rows, int64_t a_cols, int64_t b_size, leat_param *p[2])
{
    holder *h = holder_new(m, false), *other = holder_new(m, false);
    h->scale = p[0] = leat_param_new(&h->module, "a", LEAT_SHAPE(a_rows, a_cols), leat_init_normal(0, 1));
    other->scale = p[1] = leat_param_new(&other->module, "b", LEAT_SHAPE(b_size), leat_init_normal(0, 1));
    cr_assert_eq(leat_model_seal(m), LEAT_OK, "%s", leat_model_errmsg(m));
    return h;
}

static void give_grad(leat_param *p, const leat_real *grad)
{
    memcpy(p->leaf.grad, grad, (size_t)leat_shape_count(&p->leaf.shape) * sizeof *grad);
    p->leaf.has_grad = true;
}

static leat_tensor part(const leat_safetensors *f, const char *prefix, const char *name, int64_t i, const leat_param *p)
{
    char text[64];
    snprintf(text, sizeof text, "%s.%s", prefix, name);
    leat_tensor t = find_tensor(f, text);
    return (leat_tensor){ t.data + i * leat_shape_count(&p->leaf.shape), p->leaf.shape };
}

static void check_alone(int which)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_safetensors f = read_fixture(&a, "optim.safetensors");
    leat_model *m = leat_model_new(NULL);
    leat_param *p[2];
    two_params(m, 5, 7, 3, p);
    memcpy(p[0]->leaf.value, find_tensor(&f, "a").data, 35 * sizeof(leat_real));
    memcpy(p[1]->leaf.value, find_tensor(&f, "b").data, 3 * sizeof(leat_real));
    optimiser o = optimiser_new(m, which);
    for (int i = 0; i < 10; i++) {
        give_grad(p[0], part(&f, "grad", "a", i, p[0]).data);
        if (i != 3 && i != 4)
            give_grad(p[1], part(&f, "grad", "b", i, p[1]).data);
        cr_assert_eq(optimiser_step(&o), LEAT_OK);
        cr_assert(!p[0]->leaf.has_grad && !p[1]->leaf.has_grad);
        check_close("a", p[0]->leaf.value, part(&f, optimiser_names[which], "a", i, p[0]), in_a_step);
        check_close("b", p[1]->leaf.value, part(&f, optimiser_names[which], "b", i, p[1]), in_a_step);
    }
    leat_model_free(m);
    leat_arena_free(&a);
}

Test(optim, steps_are_pytorch_s)
{
    for (int which = 0; which < OPTIMISERS; which++)
        check_alone(which);
}

Test(optim, gaps_stay_zero)
{
    leat_model *m = leat_model_new(NULL);
    leat_param *p[2];
    leat_real ones[35];
    for (int i = 0; i < 35; i++)
        ones[i] = 1;
    two_params(m, 5, 7, 3, p);
    for (int which = 0; which < OPTIMISERS; which++) {
        optimiser o = optimiser_new(m, which);
        give_grad(p[0], ones);
        give_grad(p[1], ones);
        leat_clip_grad_norm(m, 0.5);
        cr_assert_eq(optimiser_step(&o), LEAT_OK);
        for (int i = 35; i < 48; i++)
            cr_assert(p[0]->leaf.value[i] == 0 && p[0]->leaf.grad[i] == 0);
    }
    leat_model_free(m);
}

Test(optim, what_is_frozen_after_backward_is_left_alone)
{
    leat_model *m = leat_model_new(NULL);
    leat_param *p[2];
    leat_real grad[16], bad[1] = { (leat_real)NAN };
    for (int i = 0; i < 16; i++)
        grad[i] = 1;
    two_params(m, 1, 1, 16, p);
    for (int which = 0; which < OPTIMISERS; which++) {
        leat_real a = p[0]->leaf.value[0], b = p[1]->leaf.value[0];
        optimiser o = optimiser_new(m, which);
        give_grad(p[0], bad);
        give_grad(p[1], grad);
        p[0]->leaf.frozen = true;
        cr_assert_eq(leat_clip_grad_norm(m, 1), 4);
        cr_assert_eq(optimiser_step(&o), LEAT_OK);
        cr_assert(p[0]->leaf.value[0] == a && p[1]->leaf.value[0] != b);
        cr_assert(!p[0]->leaf.has_grad);
    }
    leat_model_free(m);
}

Test(optim, defaults_are_pytorch_s)
{
    leat_model *m = leat_model_new(NULL);
    leat_param *p[2];
    leat_real grad[4] = { 3, -4, 0, 1 };
    two_params(m, 2, 2, 1, p);
    leat_optim *a = leat_adam_new(m, NULL),
              *b = leat_adam_new(m, &(leat_adam_opts){ .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8 });
    leat_real start[4], after[4];
    memcpy(start, p[0]->leaf.value, sizeof start);
    give_grad(p[0], grad);
    cr_assert_eq(leat_optim_step(a), LEAT_OK);
    memcpy(after, p[0]->leaf.value, sizeof after);
    memcpy(p[0]->leaf.value, start, sizeof start);
    give_grad(p[0], grad);
    cr_assert_eq(leat_optim_step(b), LEAT_OK);
    check_bits(p[0]->leaf.value, after, 4, "default options");
    cr_assert(after[2] == start[2]);
    cr_assert_float_eq((double)(after[0] - start[0]), -1e-3, 1e-6); /* the first step has size lr */
    cr_assert_float_eq((double)(after[1] - start[1]), 1e-3, 1e-6);

    leat_optim *s = leat_sgd_new(m, NULL);
    memcpy(p[0]->leaf.value, start, sizeof start);
    give_grad(p[0], grad);
    cr_assert_eq(leat_optim_step(s), LEAT_OK);
    cr_assert_float_eq((double)(p[0]->leaf.value[0] - start[0]), -3e-3, 1e-6);
    leat_model_free(m);
}

Test(optim, learning_rates_can_change)
{
    leat_model *m = leat_model_new(NULL);
    leat_param *p[2];
    leat_real grad[1] = { 2 };
    two_params(m, 1, 1, 1, p);
    leat_optim *adam = leat_adam_new(m, NULL);
    leat_optim *sgd = leat_sgd_new(m, NULL);
    leat_real was = p[0]->leaf.value[0] = 1;
    leat_optim_set_lr(adam, 0);
    give_grad(p[0], grad);
    cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    cr_assert(p[0]->leaf.value[0] == was);
    leat_optim_set_lr(sgd, 0.25);
    give_grad(p[0], grad);
    cr_assert_eq(leat_optim_step(sgd), LEAT_OK);
    cr_assert(p[0]->leaf.value[0] == (leat_real)0.5);
    leat_optim_set_lr(adam, -1);
    leat_optim_set_lr(sgd, (double)NAN);
    give_grad(p[0], grad);
    cr_assert_eq(leat_optim_step(adam), LEAT_EARG);
    cr_assert_eq(leat_optim_step(sgd), LEAT_EARG);
    cr_assert_str_eq(leat_optim_status(adam)->message, "a learning rate of -1");
    cr_assert(p[0]->leaf.value[0] == (leat_real)0.5);
    leat_optim_set_lr(adam, 0.1); /* a refusal is of one step */
    cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    cr_assert_eq(leat_optim_status(adam)->code, LEAT_OK);
    leat_model_free(m);
}

Test(optim, options_that_make_no_sense)
{
    static const leat_adam_opts refused[] = {
        { .lr = -1 },     { .lr = (double)NAN }, { .beta1 = 1 },         { .beta2 = 1.5 },
        { .beta1 = -.5 }, { .eps = -1 },         { .weight_decay = -1 }, { .lr = (double)INFINITY },
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = leat_model_new(NULL);
        cr_assert_null(leat_adam_new(m, &refused[i]));
        CHECK_FAILED(m, LEAT_EARG, "adam: ");
        leat_model_free(m);
    }
    leat_model *m = leat_model_new(NULL);
    cr_assert_null(leat_sgd_new(m, &(leat_sgd_opts){ .weight_decay = -1 }));
    CHECK_FAILED(m, LEAT_EARG, "sgd: weight_decay is -1");
    leat_model_free(m);
}

static const double bad_values[] = { (double)NAN, (double)INFINITY, -(double)INFINITY };

Test(optim, a_gradient_that_is_not_finite_stops_the_step)
{
    leat_real grad[10000] = { 0 };
    for (int k = 0; k < 3; k++) {
        for (int at = 0; at < 10000; at += 3333) {
            leat_model *m = leat_model_new(&(leat_model_opts){ .threads = 3 });
            leat_param *p[2];
            two_params(m, 100, 100, 10000, p);
            leat_optim *adam = leat_adam_new(m, NULL);
            uint64_t hash = leat_model_hash(m);
            give_grad(p[0], grad);
            grad[at] = (leat_real)bad_values[k];
            give_grad(p[1], grad);
            grad[at] = 0;
            cr_assert_eq(leat_optim_step(adam), LEAT_ENONFINITE);
            cr_assert(strstr(leat_optim_status(adam)->message, "the gradient of b is not finite"), "%s",
                      leat_optim_status(adam)->message);
            cr_assert_eq(leat_model_hash(m), hash);
            cr_assert(!p[0]->leaf.has_grad && !p[1]->leaf.has_grad);
            grad[0] = 1;
            give_grad(p[0], grad);
            cr_assert_eq(leat_optim_step(adam), LEAT_OK); /* b's bad numbers are gone with its gradient */
            cr_assert_neq(leat_model_hash(m), hash);
            leat_model_free(m);
        }
    }
}

Test(optim, large_gradients_are_not_taken_for_infinite)
{
    leat_model *m = leat_model_new(NULL);
    leat_param *p[2];
    two_params(m, 2, 2, 1, p);
    leat_real big = sizeof(leat_real) == 8 ? (leat_real)1.7e308 : (leat_real)3.4e38, grad[4] = { big, big, big, big };
    leat_optim *sgd = leat_sgd_new(m, &(leat_sgd_opts){ .lr = 1e-30 });
    give_grad(p[0], grad);
    cr_assert_eq(leat_optim_step(sgd), LEAT_OK, "%s", leat_optim_status(sgd)->message);
    leat_model_free(m);
}

Test(optim, the_model_s_failure_stops_the_step)
{
    leat_model *m = leat_model_new(NULL);
    leat_param *p[2];
    two_params(m, 2, 2, 1, p);
    leat_optim *sgd = leat_sgd_new(m, NULL);
    leat_model_fail(m, LEAT_EARG, "a reason %d", 5);
    cr_assert_eq(leat_optim_step(sgd), LEAT_EARG);
    cr_assert_str_eq(leat_optim_status(sgd)->message, "a reason 5");
    leat_model_free(m);
}

/* ---- clipping ---------------------------------------------------------------------------------------------------- */

Test(optim, clipping_is_pytorch_s)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_safetensors f = read_fixture(&a, "optim.safetensors");
    leat_model *m = leat_model_new(NULL);
    leat_param *p[2];
    two_params(m, 5, 7, 3, p);
    double norm = (double)find_tensor(&f, "norm").data[0];
    leat_real before[35];
    give_grad(p[0], part(&f, "grad", "a", 0, p[0]).data);
    give_grad(p[1], part(&f, "grad", "b", 0, p[1]).data);
    memcpy(before, p[0]->leaf.grad, sizeof before);
    cr_assert_leq(fabs(leat_clip_grad_norm(m, norm * 1.01) - norm), in_a_pass * norm);
    check_bits(p[0]->leaf.grad, before, 35, "short gradients");
    cr_assert_leq(fabs(leat_clip_grad_norm(m, 1) - norm), in_a_pass * norm);
    check_close("a", p[0]->leaf.grad, find_tensor(&f, "clipped.a"), in_a_step);
    check_close("b", p[1]->leaf.grad, find_tensor(&f, "clipped.b"), in_a_step);
    cr_assert_leq(fabs(leat_clip_grad_norm(m, 1) - 1), 1e-6);

    p[0]->leaf.grad[3] = (leat_real)INFINITY; /* not scaled: the step names it */
    cr_assert_eq(leat_clip_grad_norm(m, 1), (double)INFINITY);
    cr_assert(p[0]->leaf.grad[3] == (leat_real)INFINITY);
    leat_zero_grad(m);
    cr_assert_eq(leat_clip_grad_norm(m, 1), 0);
    leat_model_free(m);
    leat_arena_free(&a);
}

/* A norm over whole and partial blocks of the sum. */
Test(optim, norms_of_many_numbers)
{
    static const int64_t sizes[] = { 4095, 4096, 4097, 8192, 30001 };
    static leat_real grad[30001];
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        leat_model *m = leat_model_new(&(leat_model_opts){ .threads = 2 });
        leat_param *p[2];
        two_params(m, 1, sizes[k], sizes[k], p);
        double squares = 0;
        for (int64_t i = 0; i < sizes[k]; i++) {
            grad[i] = (leat_real)(i % 13 - 5);
            squares += 2 * (double)grad[i] * (double)grad[i];
        }
        give_grad(p[0], grad);
        give_grad(p[1], grad);
        cr_assert_eq(leat_clip_grad_norm(m, 1e9), sqrt(squares)); /* whole numbers: exact in any order */
        leat_model_free(m);
    }
}

/* ---- training an MLP --------------------------------------------------------------------------------------------- */

static leat_var mlp_loss(leat_module *net, leat_tape *t, const leat_safetensors *f, leat_var *out)
{
    *out = leat_forward(net, leat_const(t, find_tensor(f, "x")));
    return leat_mean(leat_square(leat_sub(*out, leat_const(t, find_tensor(f, "y")))));
}

static const char *const mlp_names[] = { "0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias" };

static void check_training(int which, const leat_safetensors *want)
{
    leat_status s = { 0 };
    leat_model *m = leat_model_new(NULL);
    leat_module *net = leat_mlp(m, 3, (int64_t[]){ 8, 5, 0 }, 2, LEAT_RELU);
    cr_assert_eq(leat_load(m, fixture_path("mlp.safetensors"), &s), LEAT_OK, "%s", s.message);
    optimiser o = optimiser_new(m, which);
    leat_tape *t = leat_model_tape(m, NULL);
    char name[64];
    for (int step = 0; step < 10; step++) {
        leat_tape_reset(t);
        leat_var out, loss = mlp_loss(net, t, want, &out);
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        if (step == 0) {
            check_close("out", leat_value(out).data, find_tensor(want, "out"), in_a_pass);
            check_close("loss", leat_value(loss).data, find_tensor(want, "loss"), in_a_pass);
            for (int i = 0; i < 6; i++) {
                snprintf(name, sizeof name, "grad.%s", mlp_names[i]);
                check_close(name, leat_find_param(m, mlp_names[i])->leaf.grad, find_tensor(want, name), in_a_pass);
            }
        }
        cr_assert_eq(optimiser_step(&o), LEAT_OK);
    }
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "%s.%s", optimiser_names[which], mlp_names[i]);
        check_close(name, leat_find_param(m, mlp_names[i])->leaf.value, find_tensor(want, name), after_ten);
    }
    leat_model_free(m);
}

Test(optim, training_an_mlp_is_pytorch_s)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_safetensors want = read_fixture(&a, "mlp_expected.safetensors");
    for (int which = 0; which < OPTIMISERS; which++)
        check_training(which, &want);
    leat_arena_free(&a);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static uint64_t train_on(int threads, int which)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_tensor x = make_data(&a, LEAT_SHAPE(67, 19), 1), y = make_data(&a, LEAT_SHAPE(67, 3), 2);
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 9, .threads = threads });
    leat_module *net = leat_mlp(m, 19, (int64_t[]){ 201, 130, 0 }, 3, LEAT_TANH);
    optimiser o = optimiser_new(m, which);
    leat_batches *batches = leat_batches_new(m, x, &(leat_batches_opts){ .size = 32, .seed = 4 });
    leat_tape *t = leat_model_tape(m, NULL);
    leat_tensor batch;
    for (int step = 0; step < 8; step++) {
        leat_tape_reset(t);
        while (!leat_batches_next(batches, &batch))
            ;
        leat_var target = leat_index_select(leat_const(t, y), 0, leat_batches_rows(batches));
        leat_var out = leat_add(leat_forward(net, leat_const(t, batch)), leat_randn(t, leat_var_shape(target)));
        cr_assert_eq(leat_backward(leat_mean(leat_square(leat_sub(out, target)))), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_gt(leat_clip_grad_norm(m, 0.1), 0.1);
        cr_assert_eq(optimiser_step(&o), LEAT_OK);
    }
    uint64_t hash = leat_model_hash(m);
    leat_model_free(m);
    leat_arena_free(&a);
    return hash;
}

Test(optim, the_same_bits_on_any_number_of_threads)
{
    for (int which = 0; which < OPTIMISERS; which++) {
        uint64_t hash = train_on(1, which);
        cr_assert_eq(hash, train_on(1, which));
        cr_assert_eq(hash, train_on(2, which));
        cr_assert_eq(hash, train_on(3, which));
        cr_assert_eq(hash, train_on(8, which));
    }
}
