/* The flow checker: it accepts the library's flows, and finds each kind of mistake in the layer that makes it. */
#include "support.h"
#include "../../nn/model.h"

static const int64_t dims[] = { 1, 2, 3, 7, 64 };
static const double scales[] = { 1e-3, 1, 1e3 };

static void accept(leat_flow *flow, leat_tensor context, const char *what)
{
    assert_model(leat_flow_model(flow));
    for (int s = 0; s < 3; s++) {
        leat_tensor x = test_normal(7, 6, leat_flow_dim(flow), scales[s]);
        leat_flow_report r;
        leat_flow_check_opts o = { .context = context };
        cr_assert(leat_flow_check(flow, x, &o, &r), "%s, dim %lld, inputs times %g: %s", what,
                  (long long)leat_flow_dim(flow), scales[s], r.reason);
        cr_assert(r.ok && r.reason[0] == 0 && r.never_moved == -1);
        for (leat_param *p = leat_flow_model(flow)->params; p; p = p->next)
            cr_assert(!p->leaf.has_grad, "%s: the checker has left a gradient", what);
#ifdef LEAT_DOUBLE
        double tolerance = 1e-9;
#else
        double tolerance = 1e-4;
#endif
        cr_assert(r.round_trip <= tolerance && r.round_trip_latent <= tolerance && r.logdet_cancel <= tolerance &&
                  r.logdet_jacobian <= tolerance && r.triangle <= tolerance);
    }
}

static const leat_nice_opts nices[] = {
    { .couplings = 6 },
    { .couplings = 4, .hidden = { 20, 10 }, .masks = LEAT_HALVES },
    { .couplings = 2, .hidden = { 20 }, .reverse = true },
    { .couplings = 3, .hidden = { 20 }, .masks = LEAT_HALVES, .reverse = true, .scale = true, .small_init = true },
};

Test(check, accepts_nice)
{
    for (size_t i = 0; i < sizeof nices / sizeof *nices; i++) {
        for (int d = 0; d < 5; d++) {
            leat_nice_opts o = nices[i];
            leat_model *m = test_model(i);
            o.dim = dims[d];
            o.base = i == 1 ? leat_logistic(m, o.dim) : NULL;
            accept(leat_nice_new(m, &o), (leat_tensor){ 0 }, "nice");
            leat_model_free(m);
        }
    }
}

/* The paper's widths take long to differentiate; narrower nets have the same layers. */
Test(check, accepts_the_paper)
{
    for (int d = 0; d < 5; d++) {
        leat_model *m = test_model(0);
        leat_nice_opts o = leat_nice_paper(m, dims[d]);
        for (int i = 0; i < 5; i++) {
            cr_assert_eq(o.hidden[i], 1000);
            o.hidden[i] = 30;
        }
        cr_assert_eq(o.hidden[5], 0);
        leat_flow *flow = leat_nice_new(m, &o);
        cr_assert_eq(leat_flow_length(flow), 4 + 4 + 1);
        randomize(m, 0.2);
        accept(flow, (leat_tensor){ 0 }, "paper");
        leat_model_free(m);
    }
}

Test(check, accepts_a_conditional_nice)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_nice_new(m, &(leat_nice_opts){ .dim = 3, .couplings = 4, .hidden = { 20 }, .context = 2 });
    accept(flow, test_normal(9, 6, 2, 1), "conditional nice");
    leat_model_free(m);
}

Test(check, accepts_linear_transforms)
{
    for (int d = 0; d < 5; d++) {
        for (int kind = 0; kind < 4; kind++) {
            leat_model *m = test_model(1);
            leat_flow *flow = leat_flow_new(m, kind % 2 ? leat_logistic(m, dims[d]) : leat_diagonal_normal(m, dims[d]));
            if (kind == 0 || kind == 3)
                leat_flow_add(flow, leat_permutation(m, dims[d], NULL));
            if (kind == 1 || kind == 3)
                leat_flow_add(flow, leat_reverse(m, dims[d]));
            leat_flow_add(flow, leat_diagonal_scale(m, dims[d]));
            randomize(m, 0.4);
            accept(flow, (leat_tensor){ 0 }, "linear");
            leat_model_free(m);
        }
    }
}

static leat_flow *mixed_chain(leat_model *m, int64_t dim)
{
    leat_flow *flow = leat_flow_new(m, leat_logistic(m, dim));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, dim, i), half = leat_mask_halves(m, dim, i);
        leat_module *nets[2] = { test_net(m, &mask, 0, 1), test_net(m, &mask, 0, 1) };
        leat_flow_add(flow, leat_permutation(m, dim, NULL));
        leat_flow_add(flow, leat_coupling_nets(m, mask, &test_affine, nets));
        leat_flow_add(flow, leat_coupling(m, half, &leat_additive, test_net(m, &half, 0, 1)));
        leat_flow_add(flow, leat_diagonal_scale(m, dim));
        leat_flow_add(flow, leat_reverse(m, dim));
        leat_flow_add(flow, leat_coupling(m, half, &test_affine, test_net(m, &half, 0, 2)));
    }
    randomize(m, 0.3);
    return flow;
}

Test(check, accepts_mixed_chains)
{
    for (int d = 0; d < 5; d++) {
        leat_model *m = test_model(2);
        accept(mixed_chain(m, dims[d]), (leat_tensor){ 0 }, "mixed");
        leat_model_free(m);
    }
}

Test(check, leaves_the_model_alone)
{
    leat_model *m = test_model(2);
    leat_flow *flow = mixed_chain(m, 7);
    uint64_t hash = leat_model_hash(m);
    accept(flow, (leat_tensor){ 0 }, "mixed");
    cr_assert_eq(leat_model_hash(m), hash);
    leat_model_free(m);
}

/* ---- wrong bijectors --------------------------------------------------------------------------------------------- */

/* Affine, but for one mistake, `number[0]` large. */
static leat_pair wrong_logdet_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    leat_pair y = test_affine_forward(self, x, theta);
    y.logdet = leat_mul_scalar(y.logdet, 1 + self->number[0]);
    return y;
}

static leat_pair wrong_logdet_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    leat_pair x = test_affine_inverse(self, y, theta);
    x.logdet = leat_mul_scalar(x.logdet, 1 + self->number[0]);
    return x;
}

static leat_pair wrong_sign_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    leat_pair x = test_affine_inverse(self, y, theta);
    x.logdet = leat_neg(x.logdet);
    return x;
}

static leat_pair wrong_value_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    leat_pair x = test_affine_inverse(self, y, theta);
    x.y = leat_mul_scalar(x.y, 1 + self->number[0]);
    return x;
}

static leat_pair nan_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    leat_pair y = test_affine_forward(self, x, theta);
    y.logdet = leat_mul_scalar(y.logdet, (double)NAN);
    return y;
}

#ifdef LEAT_DOUBLE
#define MISTAKE 1e-6
#else
#define MISTAKE 1e-2
#endif

/* The measure of the report that must show the mistake. */
typedef enum { ROUND_TRIP, CANCEL, JACOBIAN } measure;

static const struct {
    const char *what;
    leat_pair (*forward)(const leat_elementwise *, leat_var, const leat_var *);
    leat_pair (*inverse)(const leat_elementwise *, leat_var, const leat_var *);
    measure shown;
} wrong[] = {
    { "log-determinants of both directions", wrong_logdet_forward, wrong_logdet_inverse, JACOBIAN },
    { "log-determinant of forward", wrong_logdet_forward, test_affine_inverse, CANCEL },
    { "log-determinant of inverse", test_affine_forward, wrong_logdet_inverse, CANCEL },
    { "sign of the inverse's log-determinant", test_affine_forward, wrong_sign_inverse, CANCEL },
    { "inverse", test_affine_forward, wrong_value_inverse, ROUND_TRIP },
    { "NaN", nan_forward, test_affine_inverse, CANCEL },
};

static bool small(double x)
{
#ifdef LEAT_DOUBLE
    return x <= 1e-9;
#else
    return x <= 1e-4;
#endif
}

Test(check, refuses_wrong_bijectors)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        leat_model *m = test_model(0);
        leat_flow *flow = leat_flow_new(m, leat_normal(m, 3));
        leat_elementwise e = test_affine;
        e.forward = wrong[i].forward;
        e.inverse = wrong[i].inverse;
        e.number[0] = MISTAKE;
        for (int k = 0; k < 4; k++) {
            leat_mask mask = leat_mask_alternating(m, 3, k);
            leat_flow_add(flow, leat_coupling(m, mask, k == 2 ? &e : &test_affine, test_net(m, &mask, 0, 2)));
        }
        randomize(m, 0.5);
        leat_flow_report r;
        cr_assert_not(leat_flow_check(flow, test_normal(7, 6, 3, 1), NULL, &r), "accepted: %s", wrong[i].what);
        cr_assert_not(r.ok);
        cr_assert_eq(strncmp(r.reason, "layers.2 (coupling): ", 21), 0, "%s: %s", wrong[i].what, r.reason);
        double shown = wrong[i].shown == ROUND_TRIP ? r.round_trip
                       : wrong[i].shown == CANCEL   ? r.logdet_cancel
                                                    : r.logdet_jacobian;
        cr_assert_not(small(shown), "%s: %g", wrong[i].what, shown);
        cr_assert(small(r.triangle), "%s: %g", wrong[i].what, r.triangle);
        leat_model_free(m);
    }
}

/* A shear that the mask may not allow: feature `to` gets 0.3 times feature `from`. It is invertible, its determinant is
 * 1 and both directions are right; only the block triangular form may not be there. */
typedef struct shear {
    leat_transform transform;
    leat_mask mask;
    int from, to;
} shear;

static leat_pair shear_run(leat_transform *t, leat_var x, double factor)
{
    shear *s = (shear *)t;
    int64_t from = s->from, to = s->to;
    leat_var source = leat_index_select(x, 1, (leat_index){ &from, 1 });
    leat_var y = leat_index_add(x, 1, (leat_index){ &to, 1 }, leat_mul_scalar(source, factor));
    return (leat_pair){ y, leat_zeros(x.tape, LEAT_SHAPE(leat_var_size(x, 0))) };
}

static leat_pair shear_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    (void)call;
    return shear_run(t, x, 0.3);
}

static leat_pair shear_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    (void)call;
    return shear_run(t, z, -0.3);
}

static const leat_mask *shear_mask(const leat_transform *t)
{
    return &((const shear *)t)->mask;
}

static const leat_transform_type shear_type = {
    .module = { .name = "shear" },
    .forward = shear_forward,
    .inverse = shear_inverse,
    .mask = shear_mask,
};

static leat_flow *sheared(leat_model *m, int from, int to)
{
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 4));
    leat_mask mask = leat_mask_halves(m, 4, 0);
    leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, test_net(m, &mask, 0, 1)));
    shear *s = leat_module_new(m, &shear_type.module, sizeof *s);
    s->mask = mask;
    s->from = from;
    s->to = to;
    leat_flow_add(flow, &s->transform);
    return flow;
}

static const struct {
    int from, to;
    bool allowed;
} shears[] = {
    { 0, 2, true },                   /* kept moves moved: what a coupling does */
    { 3, 2, false },                  /* moved moves moved: the conditioner sees what it moves */
    { 2, 3, false }, { 3, 0, false }, /* moved moves kept */
    { 1, 0, false },                  /* kept moves kept */
};

Test(check, refuses_what_is_not_block_triangular)
{
    for (size_t i = 0; i < sizeof shears / sizeof *shears; i++) {
        leat_model *m = test_model(0);
        leat_flow *flow = sheared(m, shears[i].from, shears[i].to);
        leat_flow_report r;
        bool ok = leat_flow_check(flow, test_normal(7, 6, 4, 1), NULL, &r);
        cr_assert_eq(ok, shears[i].allowed, "shear %zu: %s", i, r.reason);
        if (!shears[i].allowed) {
            cr_assert_eq(strncmp(r.reason, "layers.1 (shear): ", 18), 0, "%s", r.reason);
            cr_assert(fabs(r.triangle - 0.3) < 1e-6, "%g", r.triangle);
        }
        cr_assert(small(r.round_trip) && small(r.round_trip_latent) && small(r.logdet_cancel) &&
                  small(r.logdet_jacobian));
        leat_model_free(m);
    }
}

/* ---- features that stay ------------------------------------------------------------------------------------------ */

static void expect_unmoved(leat_flow *flow, int64_t feature)
{
    leat_flow_report r;
    char text[40];
    snprintf(text, sizeof text, "feature %lld", (long long)feature + 1);
    cr_assert_not(leat_flow_check(flow, test_normal(7, 6, leat_flow_dim(flow), 1), NULL, &r));
    cr_assert_eq(r.never_moved, feature);
    assert_contains(r.reason, text);
    leat_model_free(leat_flow_model(flow));
}

static void add_additive(leat_flow *flow, int parity)
{
    leat_model *m = leat_flow_model(flow);
    leat_mask mask = leat_mask_alternating(m, leat_flow_dim(flow), parity);
    leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, test_net(m, &mask, 0, 1)));
}

static leat_flow *plain_flow(int64_t dim)
{
    leat_model *m = test_model(0);
    return leat_flow_new(m, leat_normal(m, dim));
}

Test(check, refuses_features_that_stay)
{
    leat_flow *flow = plain_flow(4);
    add_additive(flow, 0);
    add_additive(flow, 0);
    expect_unmoved(flow, 1);

    flow = plain_flow(4);
    add_additive(flow, 1);
    add_additive(flow, 1);
    expect_unmoved(flow, 0);

    expect_unmoved(plain_flow(2), 0);
}

/* A feature that was moved to another place is still where it was moved to. */
Test(check, follows_features_through_permutations)
{
    leat_flow *flow = plain_flow(4);
    add_additive(flow, 0); /* moves 0 and 2 */
    leat_flow_add(flow, leat_reverse(leat_flow_model(flow), 4));
    add_additive(flow, 0); /* 0 and 2 again, which were 3 and 1 */
    leat_flow_report r;
    cr_assert(leat_flow_check(flow, test_normal(7, 6, 4, 1), NULL, &r), "%s", r.reason);
    leat_model_free(leat_flow_model(flow));

    flow = plain_flow(4);
    add_additive(flow, 0);
    leat_flow_add(flow, leat_permutation(leat_flow_model(flow), 4, (int64_t[]){ 1, 2, 3, 0 }));
    add_additive(flow, 1); /* moves 1 and 3, where the moved ones have gone: 2 -> 1, 0 -> 3 */
    expect_unmoved(flow, 0);
}

/* ---- the checker's own input ------------------------------------------------------------------------------------- */

Test(check, refuses_rows_that_do_not_fit)
{
    leat_flow *flow = plain_flow(3);
    add_additive(flow, 0);
    add_additive(flow, 1);
    leat_flow_report r;
    cr_assert_not(leat_flow_check(flow, test_normal(7, 6, 2, 1), NULL, &r));
    assert_contains(r.reason, "[6,2]");
    leat_model_free(leat_flow_model(flow));
}

Test(check, a_tolerance_of_ones_own)
{
    leat_flow *flow = plain_flow(3);
    leat_model *m = leat_flow_model(flow);
    leat_elementwise e = test_affine;
    e.forward = wrong_logdet_forward;
    e.inverse = wrong_logdet_inverse;
    e.number[0] = 0.01;
    for (int k = 0; k < 2; k++) {
        leat_mask mask = leat_mask_alternating(m, 3, k);
        leat_flow_add(flow, leat_coupling(m, mask, &e, test_net(m, &mask, 0, 2)));
    }
    leat_flow_report r;
    cr_assert_not(leat_flow_check(flow, test_normal(7, 6, 3, 1), NULL, &r));
    cr_assert(leat_flow_check(flow, test_normal(7, 6, 3, 1), &(leat_flow_check_opts){ .tolerance = 0.5 }, &r), "%s",
              r.reason);
    leat_model_free(m);
}

Test(check, a_model_that_failed)
{
    leat_model *m = test_model(0);
    leat_flow *flow = leat_flow_new(m, leat_normal(m, 2));
    leat_flow_add(flow, leat_permutation(m, 2, (int64_t[]){ 0, 0 }));
    leat_flow_report r;
    cr_assert_not(leat_flow_check(flow, test_normal(7, 6, 2, 1), NULL, &r));
    assert_contains(r.reason, "permutation");
    leat_model_free(m);
}
