/* Optimisers: PyTorch's numbers, skipped and frozen parameters, refused steps, clipping, threads. */
#include "optim_helpers.h"

/* ---- optimisers alone -------------------------------------------------------------------------------------------- */

Test(optim, steps_are_pytorch_s)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_safetensors f = read_fixture(&a, "optim.safetensors");
    for (int which = 0; which < OPTIMISERS; which++) {
        pair x = pair_new(1, 5, 7, 3);
        check_ten_steps(&x, optimiser_new(x.model, which), &f, optimisers[which].name);
        leat_model_free(x.model);
    }
    leat_arena_free(&a);
}

Test(optim, gaps_stay_zero)
{
    pair x = pair_new(1, 5, 7, 3);
    leat_model *m = x.model;
    leat_param **p = x.p;
    leat_real ones[35];
    for (int i = 0; i < 35; i++)
        ones[i] = 1;
    for (int which = 0; which < OPTIMISERS; which++) {
        leat_optim *o = optimiser_new(m, which);
        give_grad(p[0], ones);
        give_grad(p[1], ones);
        leat_clip_grad_norm(m, 0.5);
        cr_assert_eq(leat_optim_step(o), LEAT_OK);
        for (int i = 35; i < 48; i++)
            cr_assert(p[0]->leaf.value[i] == 0 && p[0]->leaf.grad[i] == 0);
    }
    leat_model_free(m);
}

Test(optim, what_is_frozen_after_backward_is_left_alone)
{
    pair x = pair_new(1, 1, 1, 16);
    leat_model *m = x.model;
    leat_param **p = x.p;
    leat_real grad[16], bad[1] = { (leat_real)NAN };
    for (int i = 0; i < 16; i++)
        grad[i] = 1;
    for (int which = 0; which < OPTIMISERS; which++) {
        leat_real a = p[0]->leaf.value[0], b = p[1]->leaf.value[0];
        leat_optim *o = optimiser_new(m, which);
        give_grad(p[0], bad);
        give_grad(p[1], grad);
        p[0]->leaf.frozen = true;
        cr_assert_eq(leat_clip_grad_norm(m, 1), 4);
        cr_assert_eq(leat_optim_step(o), LEAT_OK);
        cr_assert(p[0]->leaf.value[0] == a && p[1]->leaf.value[0] != b);
        cr_assert(!p[0]->leaf.has_grad);
    }
    leat_model_free(m);
}

Test(optim, defaults_are_pytorch_s)
{
    pair x = pair_new(1, 2, 2, 1);
    leat_model *m = x.model;
    leat_param **p = x.p;
    leat_real grad[4] = { 3, -4, 0, 1 };
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
    pair x = pair_new(1, 1, 1, 1);
    leat_model *m = x.model;
    leat_param **p = x.p;
    leat_real grad[1] = { 2 };
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

static const struct {
    struct optimiser o;
    const char *message;
} refused[] = {
    { { .kind = ADAM, .adam = { .lr = -1 } }, "adam: lr is -1" },
    { { .kind = ADAM, .adam = { .lr = (double)NAN } }, "adam: lr is " },
    { { .kind = ADAM, .adam = { .lr = (double)INFINITY } }, "adam: lr is inf" },
    { { .kind = ADAM, .adam = { .beta1 = 1 } }, "adam: beta1 is 1, and must be below 1" },
    { { .kind = ADAM, .adam = { .beta2 = 1.5 } }, "adam: beta2 is 1.5, and must be below 1" },
    { { .kind = ADAM, .adam = { .beta1 = -.5 } }, "adam: beta1 is -0.5" },
    { { .kind = ADAM, .adam = { .eps = -1 } }, "adam: eps is -1" },
    { { .kind = ADAM, .adam = { .eps = sizeof(leat_real) == 8 ? -1 : 1e-60 } }, "adam: eps is " },
    { { .kind = ADAM, .adam = { .weight_decay = -1 } }, "adam: weight_decay is -1" },
    { { .kind = ADAMW, .adam = { .weight_decay = -1 } }, "adamw: weight_decay is -1" },
    { { .kind = ADAMAX, .adam = { .beta2 = 2 } }, "adamax: beta2 is 2" },
    { { .kind = SGD, .sgd = { .weight_decay = -1 } }, "sgd: weight_decay is -1" },
    { { .kind = SGD, .sgd = { .momentum = -1 } }, "sgd: momentum is -1" },
    { { .kind = SGD, .sgd = { .momentum = (double)NAN } }, "sgd: momentum is " },
    { { .kind = SGD, .sgd = { .nesterov = true } }, "sgd: nesterov needs a momentum" },
    { { .kind = RMSPROP, .rmsprop = { .alpha = 1 } }, "rmsprop: alpha is 1, and must be from 0 to below 1" },
    { { .kind = RMSPROP, .rmsprop = { .alpha = (double)NAN } }, "rmsprop: alpha is " },
    { { .kind = RMSPROP, .rmsprop = { .momentum = -2 } }, "rmsprop: momentum is -2" },
    { { .kind = RMSPROP, .rmsprop = { .eps = -2 } }, "rmsprop: eps is -2" },
};

Test(optim, options_that_make_no_sense)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_model *m = leat_model_new(NULL);
        cr_assert_null(optimiser_of(m, &refused[i].o), "%s", refused[i].message);
        CHECK_FAILED(m, LEAT_EARG, refused[i].message);
        leat_model_free(m);
    }
}

Test(optim, what_could_not_be_built_says_so)
{
    cr_assert_eq(leat_optim_step(NULL), LEAT_ESTATE);
    cr_assert(strstr(leat_optim_status(NULL)->message, "could not be built"));
    leat_optim_set_lr(NULL, 1);
    leat_optim_set_factor(NULL, 1);
    leat_optim_set_group(NULL, NULL, NULL);
    leat_optim_set_steps(NULL, NULL, 1);
    cr_assert_eq(leat_optim_lr(NULL), 0);
    cr_assert_eq(leat_optim_slots(NULL), 0);
    cr_assert_eq(leat_optim_steps(NULL, NULL), 0);
    cr_assert_null(leat_optim_slot(NULL, 0, NULL).data);
    for (int which = 0; which < OPTIMISERS; which++)
        cr_assert_null(optimiser_of(NULL, &optimisers[which]));
}

/* The variance is 0 then, and may come out below. */
Test(optim, centered_rmsprop_stands_a_constant_gradient)
{
    pair x = pair_new(1, 1, 7, 1);
    leat_optim *o = leat_rmsprop_new(x.model, &(leat_rmsprop_opts){ .lr = 1e-9, .alpha = 0.5, .centered = true });
    const leat_real grad[7] = { 1, (leat_real)0.1, (leat_real)0.3, (leat_real)0.7, 3, 5, 11 };
    for (int i = 0; i < 2000; i++) {
        give_grad(x.p[0], grad);
        cr_assert_eq(leat_optim_step(o), LEAT_OK);
    }
    for (int i = 0; i < 7; i++)
        cr_assert(isfinite(x.p[0]->leaf.value[i]), "%d: %g", i, (double)x.p[0]->leaf.value[i]);
    leat_model_free(x.model);
}

static const double bad_values[] = { (double)NAN, (double)INFINITY, -(double)INFINITY };

Test(optim, a_gradient_that_is_not_finite_stops_the_step)
{
    leat_real grad[10000] = { 0 };
    for (int k = 0; k < 3; k++) {
        for (int at = 0; at < 10000; at += 3333) {
            pair x = pair_new(3, 100, 100, 10000);
            leat_model *m = x.model;
            leat_param **p = x.p;
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
    pair x = pair_new(1, 2, 2, 1);
    leat_model *m = x.model;
    leat_param **p = x.p;
    leat_real big = sizeof(leat_real) == 8 ? (leat_real)1.7e308 : (leat_real)3.4e38, grad[4] = { big, big, big, big };
    leat_optim *sgd = leat_sgd_new(m, &(leat_sgd_opts){ .lr = 1e-30 });
    give_grad(p[0], grad);
    cr_assert_eq(leat_optim_step(sgd), LEAT_OK, "%s", leat_optim_status(sgd)->message);
    leat_model_free(m);
}

Test(optim, the_model_s_failure_stops_the_step)
{
    pair x = pair_new(1, 2, 2, 1);
    leat_model *m = x.model;
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
    pair x = pair_new(1, 5, 7, 3);
    leat_model *m = x.model;
    leat_param **p = x.p;
    double norm = (double)find_tensor(&f, "norm").data[0];
    leat_real before[35];
    give_grad(p[0], part(&f, "grad", p[0], 0).data);
    give_grad(p[1], part(&f, "grad", p[1], 0).data);
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
        pair x = pair_new(2, 1, sizes[k], sizes[k]);
        leat_model *m = x.model;
        leat_param **p = x.p;
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
    leat_optim *o = optimiser_new(m, which);
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
        cr_assert_eq(leat_optim_step(o), LEAT_OK);
    }
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "%s.%s", optimisers[which].name, mlp_names[i]);
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
    leat_optim *o = optimiser_new(m, which);
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
        cr_assert_eq(leat_optim_step(o), LEAT_OK);
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
