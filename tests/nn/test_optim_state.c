/* Optimisers' groups and factor, what they remember and its restoring, averages of weights, clipping by value. */
#include "optim_helpers.h"

/* ---- groups ------------------------------------------------------------------------------------------------------ */

Test(optim_state, groups_are_pytorch_s)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    leat_safetensors f = read_fixture(&a, "optim.safetensors");
    for (int which = 0; which < 3; which++) {
        static const char *const names[] = { "groups_adam", "groups_adamw", "groups_sgd" };
        static const leat_group groups[] = { { 0.02, 0.3 }, { 0.02, -1 }, { 0, 0.3 } };
        pair x = pair_new(1, 5, 7, 3);
        leat_optim *o = which == 0   ? leat_adam_new(x.model, &(leat_adam_opts){ .lr = 0.005 })
                        : which == 1 ? leat_adamw_new(x.model, &(leat_adam_opts){ .lr = 0.005, .weight_decay = 0.2 })
                                     : leat_sgd_new(x.model, &(leat_sgd_opts){ .lr = 0.05, .momentum = 0.9 });
        leat_optim_set_group(o, x.owner[0], &groups[which]);
        check_ten_steps(&x, o, &f, names[which]);
        leat_model_free(x.model);
    }
    leat_arena_free(&a);
}

/* One step of plain descent with gradient 1 from 0: the effective learning rates. */
static void check_rates(const pair *x, leat_optim *o, double a, double b)
{
    const leat_real one[1] = { 1 };
    for (int k = 0; k < 2; k++) {
        x->p[k]->leaf.value[0] = 0;
        give_grad(x->p[k], one);
    }
    cr_assert_eq(leat_optim_step(o), LEAT_OK, "%s", leat_optim_status(o)->message);
    cr_assert_eq(x->p[0]->leaf.value[0], (leat_real)-a);
    cr_assert_eq(x->p[1]->leaf.value[0], (leat_real)-b);
}

Test(optim_state, factor_and_groups_together)
{
    pair x = pair_new(1, 1, 1, 1);
    leat_optim *o = leat_sgd_new(x.model, &(leat_sgd_opts){ .lr = 0.5 });
    check_rates(&x, o, 0.5, 0.5);
    leat_optim_set_group(o, x.owner[1], &(leat_group){ .lr = 2 });
    check_rates(&x, o, 0.5, 2);
    leat_optim_set_factor(o, 0.25);
    check_rates(&x, o, 0.125, 0.5);
    leat_optim_set_lr(o, 1); /* not the group's */
    check_rates(&x, o, 0.25, 0.5);
    cr_assert_eq(leat_optim_lr(o), 1);
    leat_optim_set_group(o, x.owner[1], &(leat_group){ .lr = 4 }); /* the last call counts */
    check_rates(&x, o, 0.25, 1);
    leat_optim_set_group(o, x.owner[1], NULL);
    check_rates(&x, o, 0.25, 0.25);
    leat_optim_set_factor(o, 0);
    check_rates(&x, o, 0, 0);
    leat_model_free(x.model);
}

Test(optim_state, a_group_holds_all_that_is_below_its_module)
{
    leat_model *m = leat_model_new(NULL);
    leat_module *net = leat_mlp(m, 2, (int64_t[]){ 3, 0 }, 1, LEAT_RELU);
    leat_module *other = leat_linear_layer(m, 1, 1);
    leat_optim *o = leat_sgd_new(m, &(leat_sgd_opts){ .lr = 0.5 });
    leat_optim_set_group(o, net, &(leat_group){ .lr = 2 });
    static const char *const names[] = { "0.weight", "0.bias", "2.weight", "2.bias", "weight", "bias" };
    static const leat_real ones[6] = { 1, 1, 1, 1, 1, 1 };
    for (int i = 0; i < 6; i++) {
        leat_param *p = leat_find_param(m, names[i]);
        memset(p->leaf.value, 0, (size_t)leat_shape_count(&p->leaf.shape) * sizeof(leat_real));
        give_grad(p, ones);
    }
    cr_assert_eq(leat_optim_step(o), LEAT_OK);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(leat_find_param(m, names[i])->leaf.value[0], (leat_real)(i < 4 ? -2 : -0.5), "%s", names[i]);
    (void)other;
    leat_model_free(m);
}

static const struct {
    leat_group group;
    const char *message;
} refused_groups[] = {
    { { .lr = -1 }, "adam: lr of a group is -1" },
    { { .lr = (double)NAN }, "adam: lr of a group is " },
    { { .lr = (double)INFINITY }, "adam: lr of a group is inf" },
    { { .weight_decay = (double)NAN }, "adam: weight_decay of a group is " },
    { { .weight_decay = (double)INFINITY }, "adam: weight_decay of a group is inf" },
};

Test(optim_state, groups_that_make_no_sense)
{
    for (size_t i = 0; i < sizeof refused_groups / sizeof *refused_groups; i++) {
        pair x = pair_new(1, 1, 1, 1);
        leat_optim *o = leat_adam_new(x.model, NULL);
        leat_optim_set_group(o, x.owner[0], &refused_groups[i].group);
        CHECK_FAILED(x.model, LEAT_EARG, refused_groups[i].message);
        cr_assert_eq(leat_optim_step(o), LEAT_EARG);
        leat_model_free(x.model);
    }
    pair x = pair_new(1, 1, 1, 1), other = pair_new(1, 1, 1, 1);
    leat_optim_set_group(leat_adam_new(x.model, NULL), other.owner[0], NULL);
    CHECK_FAILED(x.model, LEAT_EARG, "another model's");
    leat_model_free(x.model);
    leat_model_free(other.model);
}

Test(optim_state, factors_that_make_no_sense_stop_the_step)
{
    pair x = pair_new(1, 1, 1, 1);
    leat_optim *o = leat_adam_new(x.model, &(leat_adam_opts){ .lr = 1e200 });
    leat_optim_set_group(o, x.owner[1], &(leat_group){ .lr = 1e300 });
    static const struct {
        double lr, factor;
        const char *message;
    } refused[] = {
        { 1, -1, "a factor of -1 for learning rates" }, { 1, (double)NAN, "a factor of " },
        { -2, 0.5, "a learning rate of -1" },           { 1e200, 1e200, "a learning rate of inf" },
        { 1, 1e200, "a learning rate of inf for b" },
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        leat_optim_set_lr(o, refused[i].lr);
        leat_optim_set_factor(o, refused[i].factor);
        cr_assert_eq(leat_optim_step(o), LEAT_EARG);
        cr_assert(starts_with(leat_optim_status(o)->message, refused[i].message), "%s", leat_optim_status(o)->message);
    }
    leat_optim_set_lr(o, 1);
    leat_optim_set_factor(o, 1);
    cr_assert_eq(leat_optim_step(o), LEAT_OK);
    leat_model_free(x.model);
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

/* Gradients of which b has none in some steps, so that counts differ. */
static void take_steps(const pair *x, leat_optim *o, int from, int to)
{
    leat_real grad[40];
    for (int i = from; i < to; i++) {
        for (int k = 0; k < 2; k++) {
            leat_rng rng = leat_rng_new(5, (uint64_t)(2 * i + k));
            leat_rng_fill_normal(&rng, grad, leat_shape_count(&x->p[k]->leaf.shape));
            if (k == 0 || i % 3)
                give_grad(x->p[k], grad);
        }
        cr_assert_eq(leat_optim_step(o), LEAT_OK);
    }
}

static void restore(const pair *x, leat_optim *o, const pair *from, const leat_optim *saved)
{
    for (int k = 0; k < 2; k++) {
        memcpy(x->p[k]->leaf.value, from->p[k]->leaf.value,
               (size_t)leat_shape_count(&x->p[k]->leaf.shape) * sizeof(leat_real));
        leat_optim_set_steps(o, x->p[k], leat_optim_steps(saved, from->p[k]));
    }
    for (int i = 0; i < leat_optim_slots(o); i++) {
        leat_tensor to = leat_optim_slot(o, i, NULL), t = leat_optim_slot(saved, i, NULL);
        cr_assert(leat_shape_equal(&to.shape, &t.shape));
        memcpy(to.data, t.data, (size_t)leat_shape_count(&t.shape) * sizeof(leat_real));
    }
}

Test(optim_state, restored_optimisers_go_on_with_the_same_bits)
{
    for (int which = 0; which < OPTIMISERS; which++) {
        pair x = pair_new(1, 5, 8, 19), y = pair_new(1, 5, 8, 19);
        leat_optim *o = optimiser_new(x.model, which), *restored = optimiser_new(y.model, which);
        cr_assert_eq(leat_optim_slots(o), optimisers[which].slots);
        take_steps(&x, o, 0, 100);
        cr_assert_eq(leat_optim_steps(o, x.p[0]), 100);
        cr_assert_eq(leat_optim_steps(o, x.p[1]), 66);
        restore(&y, restored, &x, o);
        take_steps(&x, o, 100, 140);
        take_steps(&y, restored, 100, 140);
        cr_assert_eq(leat_model_hash(x.model), leat_model_hash(y.model), "%s", optimisers[which].name);
        cr_assert_eq(leat_optim_steps(restored, y.p[1]), leat_optim_steps(o, x.p[1]));
        leat_model_free(x.model);
        leat_model_free(y.model);
    }
}

/* Far along, where the powers of beta1 are as small as numbers get. */
Test(optim_state, counts_of_long_runs)
{
    pair x = pair_new(1, 1, 1, 1), y = pair_new(1, 1, 1, 1);
    leat_optim *o = leat_adam_new(x.model, NULL), *restored = leat_adam_new(y.model, NULL);
    take_steps(&x, o, 0, 9000);
    restore(&y, restored, &x, o);
    take_steps(&x, o, 9000, 9005);
    take_steps(&y, restored, 9000, 9005);
    cr_assert_eq(leat_model_hash(x.model), leat_model_hash(y.model));
    leat_optim_set_steps(restored, y.p[0], INT64_MAX - 10); /* at once */
    take_steps(&y, restored, 0, 3);
    cr_assert_eq(leat_optim_steps(restored, y.p[0]), INT64_MAX - 7);
    leat_optim_set_steps(restored, y.p[0], -1);
    CHECK_FAILED(y.model, LEAT_EARG, "adam: -1 steps of a");
    leat_model_free(x.model);
    leat_model_free(y.model);
}

/* Parameters of one count, whose powers of beta are computed once. */
Test(optim_state, counts_that_are_equal)
{
    pair x = pair_new(1, 1, 1, 1), y = pair_new(1, 1, 1, 1);
    leat_optim *o = leat_adam_new(x.model, NULL), *restored = leat_adam_new(y.model, NULL);
    const leat_real grad[1] = { 2 };
    for (int i = 0; i < 20; i++) {
        if (i == 17)
            restore(&y, restored, &x, o);
        for (int k = i < 17 ? 0 : 1; k < 2; k++) { /* then b alone: together they go by a's powers */
            give_grad(x.p[k], grad);
            if (i >= 17)
                give_grad(y.p[k], grad);
        }
        cr_assert_eq(leat_optim_step(o), LEAT_OK);
        if (i >= 17)
            cr_assert_eq(leat_optim_step(restored), LEAT_OK);
    }
    cr_assert_eq(leat_model_hash(x.model), leat_model_hash(y.model));
    leat_model_free(x.model);
    leat_model_free(y.model);
}

Test(optim_state, slots_have_pytorch_s_names)
{
    static const struct {
        const char *optimiser, *names[4];
    } slots[] = {
        { "adam", { "exp_avg", "exp_avg_sq" } },
        { "adamw", { "exp_avg", "exp_avg_sq" } },
        { "adamax", { "exp_avg", "exp_inf" } },
        { "sgd", { NULL } },
        { "sgd_nesterov", { "momentum_buffer" } },
        { "rmsprop_both", { "square_avg", "grad_avg", "momentum_buffer" } },
        { "rmsprop_momentum", { "square_avg", "momentum_buffer" } },
    };
    pair x = pair_new(1, 5, 7, 3);
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        int which = 0, k = 0;
        while (strcmp(optimisers[which].name, slots[i].optimiser) != 0)
            which++;
        leat_optim *o = optimiser_new(x.model, which);
        const char *name;
        for (; slots[i].names[k]; k++) {
            leat_tensor t = leat_optim_slot(o, k, &name);
            cr_assert_str_eq(name, slots[i].names[k]);
            cr_assert(t.shape.rank == 1 && t.shape.size[0] == 64 && t.data[0] == 0);
        }
        cr_assert_eq(leat_optim_slots(o), k);
        cr_assert_null(leat_optim_slot(o, k, &name).data);
        cr_assert_null(name);
        cr_assert_null(leat_optim_slot(o, -1, NULL).data);
    }
    leat_model_free(x.model);
}

/* ---- averages ---------------------------------------------------------------------------------------------------- */

Test(optim_state, ema_is_what_one_computes_by_hand)
{
    const double decay = 0.9;
    pair x = pair_new(1, 5, 8, 19);
    leat_optim *o = leat_sgd_new(x.model, &(leat_sgd_opts){ .lr = 0.1 });
    leat_ema *ema = leat_ema_new(x.model, decay);
    double want[59];
    for (int i = 0; i < 59; i++)
        want[i] = (double)(i < 40 ? x.p[0]->leaf.value[i] : x.p[1]->leaf.value[i - 40]);
    for (int step = 0; step < 20; step++) {
        take_steps(&x, o, step, step + 1);
        leat_ema_update(ema);
        for (int i = 0; i < 59; i++)
            want[i] += (1 - decay) * ((double)(i < 40 ? x.p[0]->leaf.value[i] : x.p[1]->leaf.value[i - 40]) - want[i]);
    }
    leat_tensor t = leat_ema_values(ema);
    cr_assert_eq(t.shape.size[0], 80); /* 40 and 19, each rounded up to 16 */
    uint64_t before = leat_model_hash(x.model);
    leat_ema_swap(ema);
    cr_assert_neq(leat_model_hash(x.model), before);
    for (int i = 0; i < 59; i++) {
        double got = (double)(i < 40 ? x.p[0]->leaf.value[i] : x.p[1]->leaf.value[i - 40]);
        cr_assert_float_eq(got, want[i], sizeof(leat_real) == 8 ? 1e-15 : 1e-6);
    }
    leat_ema_swap(ema);
    cr_assert_eq(leat_model_hash(x.model), before);
    leat_model_free(x.model);
}

/* Also restored: the values are all there is. */
Test(optim_state, ema_has_the_same_bits_on_any_number_of_threads)
{
    uint64_t hash[4];
    for (int threads = 1; threads <= 3; threads++) {
        pair x = pair_new(threads, 300, 100, 50001);
        leat_ema *ema = leat_ema_new(x.model, 0.99), *other = leat_ema_new(x.model, 0.99);
        for (int step = 0; step < 6; step++) {
            for (int64_t i = 0; i < 30000; i++)
                x.p[0]->leaf.value[i] *= (leat_real)0.7;
            leat_ema_update(ema);
            if (step < 3)
                leat_ema_update(other);
            if (step == 3)
                memcpy(leat_ema_values(other).data, leat_ema_values(ema).data,
                       (size_t)leat_ema_values(ema).shape.size[0] * sizeof(leat_real));
            if (step > 3)
                leat_ema_update(other);
        }
        leat_ema_swap(ema);
        hash[threads] = leat_model_hash(x.model);
        leat_ema_swap(ema);
        leat_ema_swap(other);
        cr_assert_eq(hash[threads], leat_model_hash(x.model));
        leat_model_free(x.model);
    }
    cr_assert(hash[1] == hash[2] && hash[1] == hash[3]);
}

Test(optim_state, ema_edges)
{
    pair x = pair_new(1, 1, 1, 1);
    leat_ema *still = leat_ema_new(x.model, 1);
    leat_real start = x.p[0]->leaf.value[0];
    x.p[0]->leaf.value[0] = 100;
    leat_ema_update(still);
    cr_assert_eq(leat_ema_values(still).data[0], start);
    leat_ema_swap(still);
    leat_ema_update(still);
    CHECK_FAILED(x.model, LEAT_ESTATE, "ema: an update while the average is in the parameters' place");
    leat_model_free(x.model);
    static const double refused[] = { -0.1, 1.1, (double)NAN };
    for (int i = 0; i < 3; i++) {
        leat_model *m = leat_model_new(NULL);
        cr_assert_null(leat_ema_new(m, refused[i]));
        CHECK_FAILED(m, LEAT_EARG, "ema: decay is ");
        leat_model_free(m);
    }
    leat_ema_update(NULL);
    leat_ema_swap(NULL);
    cr_assert_null(leat_ema_values(NULL).data);
    cr_assert_null(leat_ema_new(NULL, 0.9));
}

/* ---- clipping by value ------------------------------------------------------------------------------------------- */

Test(optim_state, clipping_by_value)
{
    pair x = pair_new(2, 1, 7, 1);
    leat_real inf = (leat_real)INFINITY, grad[7] = { -3, -0.5, 0, 0.5, 3, inf, -inf };
    static const leat_real want[7] = { (leat_real)-0.75, (leat_real)-0.5, 0, (leat_real)0.5, (leat_real)0.75,
                                       (leat_real)0.75,  (leat_real)-0.75 };
    give_grad(x.p[0], grad);
    x.p[1]->leaf.grad[0] = 5; /* no gradient: left alone */
    leat_clip_grad_value(x.model, 0.75);
    check_bits(x.p[0]->leaf.grad, want, 7, "clipped");
    cr_assert_eq(x.p[1]->leaf.grad[0], 5);
    grad[0] = (leat_real)NAN;
    give_grad(x.p[0], grad);
    leat_clip_grad_value(x.model, 0);
    cr_assert(isnan(x.p[0]->leaf.grad[0]) && x.p[0]->leaf.grad[4] == 0);
    cr_assert_eq(leat_model_code(x.model), LEAT_OK);
    leat_clip_grad_value(x.model, -1);
    CHECK_FAILED(x.model, LEAT_EARG, "leat_clip_grad_value: a bound of -1");
    leat_model_free(x.model);
}
