/* The checker on wide flows, on bases, and where rounding is large: what is wrong is found, what is right passes, and what
 * was not looked at is said. */
#include "support.h"

static const int64_t dims[] = { 2, 64, 65, 784 };
enum { DIMS = sizeof dims / sizeof *dims };

/* ---- log-determinants of wide flows ------------------------------------------------------------------------------ */

/* y = x exp(s) + t, whose log-derivative is wrong by number[0] in the first feature that moves. */
static leat_pair wrong_first(leat_pair right, double mistake)
{
    leat_var first = leat_slice(right.logdet, -1, 0, 1),
             rest = leat_slice(right.logdet, -1, 1, leat_var_size(right.logdet, -1) - 1);
    right.logdet = leat_concat(2, (leat_var[]){ leat_add_scalar(first, mistake), rest }, -1);
    return right;
}

static leat_pair wrong_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    return wrong_first(test_affine_forward(self, x, theta), self->number[0]);
}

static leat_pair wrong_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    return wrong_first(test_affine_inverse(self, y, theta), -self->number[0]);
}

static const leat_elementwise wrong = {
    .name = "wrong",
    .theta = { { "s", 1 }, { "t", 1 } },
    .forward = wrong_forward,
    .inverse = wrong_inverse,
    .number = { 0.01 },
};

static leat_flow *couplings(leat_model *m, int64_t dim, const leat_elementwise *last)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, dim));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, dim, i);
        leat_flow_add(f, leat_coupling(m, mask, i ? last : &test_affine, test_net(m, &mask, 0, 2)));
    }
    randomize(m, 0.1);
    return f;
}

Test(check_large, a_wrong_log_determinant_is_found_in_any_width)
{
    for (int i = 0; i < DIMS; i++) {
        for (int right = 0; right < 2; right++) {
            leat_model *m = test_model(0);
            leat_flow *f = couplings(m, dims[i], right ? &test_affine : &wrong);
            leat_flow_report r;
            bool ok = leat_flow_check(f, test_normal(1, 3, dims[i], 1), NULL, &r);
            cr_assert_eq(ok, right, "%lld features: %s", (long long)dims[i], r.reason);
            if (!right)
                assert_contains(r.reason, "layers.1 (coupling): the log-determinant is not that of the Jacobian");
            leat_model_free(m);
        }
    }
}

/* A conditioner that sees what it moves: the coupling's mask says otherwise. */
typedef struct leak {
    leat_transform transform;
    leat_mask mask;
} leak;

static leat_pair leak_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const leak *l = (const leak *)t;
    leat_var moved = leat_mask_moved(&l->mask, x), other = leat_flip(moved, 1, (int[]){ -1 });
    /* its inverse is exact for two that move: y = x + 0.5 flipped */
    leat_var y = inverse ? leat_mul_scalar(leat_sub(moved, leat_mul_scalar(other, 0.5)), 4.0 / 3)
                         : leat_add(moved, leat_mul_scalar(other, 0.5));
    double each = log(0.75) * (double)(l->mask.moved / 2);
    return (leat_pair){ leat_mask_merge(&l->mask, x, y),
                        leat_full(x.tape, LEAT_SHAPE(leat_var_size(x, 0)), inverse ? -each : each) };
}

static const leat_mask *leak_mask(const leat_transform *t)
{
    return &((const leak *)t)->mask;
}

static const leat_transform_type leak_type = { .module = { .name = "leak" }, .run = leak_run, .mask = leak_mask };

Test(check_large, a_conditioner_that_sees_what_it_moves_is_found)
{
    for (int i = 0; i < 3; i++) {
        int64_t dim = i == 0 ? 4 : i == 1 ? 64 : 80;
        leat_model *m = test_model(0);
        leat_flow *f = leat_flow_new(m, leat_normal(m, dim));
        leak *l = leat_module_new(m, &leak_type.module, sizeof *l);
        l->mask = leat_mask_halves(m, dim, 0);
        leat_flow_add(f, &l->transform);
        leat_flow_report r;
        cr_assert_not(leat_flow_check(f, test_normal(1, 3, dim, 1), NULL, &r), "%lld features", (long long)dim);
        assert_contains(r.reason, "the conditioner sees what it moves");
        leat_model_free(m);
    }
}

Test(check_large, what_was_not_looked_at_is_said)
{
    leat_model *m = test_model(0);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 1100));
    leat_flow_add(f, leat_lu_linear(m, 1100));
    leat_flow_report r;
    randomize(m, 0.001);
    cr_assert(leat_flow_check(f, test_normal(1, 2, 1100, 1), NULL, &r), "%s", r.reason);
    cr_assert_gt(r.unseen_count, 0);
    assert_contains(r.unseen, "layers.0: the Jacobian, of 1100 numbers a row");
    assert_contains(r.unseen, "base: whether its density integrates to 1");
    leat_model_free(m);
    m = test_model(0);
    f = couplings(m, 2, &test_affine);
    cr_assert(leat_flow_check(f, test_normal(1, 3, 2, 1), NULL, &r), "%s", r.reason);
    cr_assert_eq(r.unseen_count, 0, "%s", r.unseen);
    leat_model_free(m);
}

/* ---- bases ------------------------------------------------------------------------------------------------------- */

typedef struct odd {
    leat_base base;
    double plus, scale; /* of log p, and of what is drawn */
    bool column;        /* log p as [n,1] */
} odd;

static leat_var odd_log_prob(leat_base *b, leat_var z, leat_var context)
{
    (void)context;
    leat_var lp = leat_add_scalar(leat_normal_log_density(z), ((const odd *)b)->plus);
    return ((const odd *)b)->column ? leat_reshape(lp, LEAT_SHAPE(-1, 1)) : lp;
}

static leat_var odd_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    (void)context;
    return leat_mul_scalar(leat_randn(t, LEAT_SHAPE(n, b->dim)), temperature * ((const odd *)b)->scale);
}

static const leat_base_type odd_type = { .module = { .name = "odd" }, .log_prob = odd_log_prob, .sample = odd_sample };

static const struct {
    int64_t dim;
    double plus, scale;
    bool column;
    const char *says; /* NULL: it is right */
} odds[] = {
    { 1, 0, 1, false, NULL },
    { 3, 0, 1, false, NULL },
    { 784, 0, 1, false, NULL },
    { 1, 0.1, 1, false, "base (odd): the density integrates to 1.1" },
    { 2, -0.2, 1, false, "base (odd): the density integrates to 0.8" },
    { 1, 0, 1.1, false, "base (odd): draws do not follow the density" },
    { 65, 0, 1.05, false, "base (odd): draws do not follow the density" },
    { 784, 0, 0.95, false, "base (odd): draws do not follow the density" },
    { 2, 0, 1, true, "a log-density for each of" },
};

Test(check_large, bases_are_looked_at)
{
    for (size_t i = 0; i < sizeof odds / sizeof *odds; i++) {
        leat_model *m = test_model(0);
        odd *b = leat_module_new(m, &odd_type.module, sizeof *b);
        b->base.dim = odds[i].dim;
        b->plus = odds[i].plus;
        b->scale = odds[i].scale;
        b->column = odds[i].column;
        leat_flow *f = leat_flow_new(m, &b->base);
        leat_flow_add(f, leat_diagonal_scale(m, odds[i].dim));
        leat_flow_report r;
        bool ok = leat_flow_check(f, test_normal(1, 3, odds[i].dim, 1), NULL, &r);
        cr_assert_eq(ok, odds[i].says == NULL, "base %zu: %s", i, r.reason);
        if (odds[i].says)
            assert_contains(r.reason, odds[i].says);
        leat_model_free(m);
    }
}

/* ---- rounding ---------------------------------------------------------------------------------------------------- */

/* y = 3000 x: what rounding loses on the way back is small beside x, but forward(inverse(z)) shows it. */
Test(check_large, rounding_is_allowed_what_it_takes_and_no_more)
{
    for (int mistake = 0; mistake < 2; mistake++) {
        leat_model *m = test_model(0);
        leat_flow *f = leat_flow_new(m, leat_normal(m, 3));
        leat_elementwise e = test_affine;
        if (mistake) {
            e.forward = wrong_forward;
            e.inverse = wrong_inverse;
            e.number[0] = 0.05;
        }
        leat_mask mask = leat_mask_halves(m, 3, 0);
        leat_flow_add(f, leat_coupling(m, mask, &e, leat_linear_layer(m, 1, 4)));
        leat_flow_add(f, leat_diagonal_scale(m, 3));
        cr_assert_eq(leat_model_seal(m), LEAT_OK);
        leat_tensor bias = param_value(m, "layers.0.net.bias");
        bias.data[0] = 8;
        bias.data[1] = -8;
        leat_flow_report r;
        bool ok = leat_flow_check(f, test_normal(1, 20, 3, 1), NULL, &r);
        cr_assert_eq(ok, !mistake, "%s", r.reason);
        leat_model_free(m);
    }
}
