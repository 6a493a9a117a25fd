/* The flow checker above 64 features, on ranks above 2, on bases, and on log-determinants that are absent or misshapen:
 * right parts pass at every scale, wrong ones are named. */
#include "support.h"

static const int64_t dims[] = { 2, 64, 65, 784 };
static const double scales[] = { 1e-3, 1, 1e3 };

/* y = exp(s_j) x with s_j between 0.3 and 0.8; wrong in one way. */
typedef enum { RIGHT, ABSENT, SCALAR, COLUMN, SIGN, FACTOR, ONE_FEATURE, MISTAKES } mistake;

typedef struct stretch {
    leat_transform transform;
    mistake wrong;
} stretch;

static leat_pair stretch_run(leat_transform *t, leat_var x, double sign)
{
    const stretch *s = (const stretch *)t;
    int64_t rows = leat_var_size(x, 0), dim = leat_var_size(x, -1), count = 1;
    leat_shape shape = leat_var_shape(x);
    for (int i = 1; i < shape.rank; i++)
        count *= shape.size[i];
    leat_tensor rates = leat_tensor_new(test_arena(), LEAT_SHAPE(dim), NULL);
    double logdet = 0;
    for (int64_t j = 0; j < dim; j++) {
        rates.data[j] = (leat_real)(sign * (0.3 + 0.5 * (double)(j % 7) / 7));
        logdet += (double)rates.data[j] * (double)(count / dim);
    }
    leat_pair y = { .y = leat_mul(x, leat_exp(leat_const(x.tape, rates))) };
    logdet *= s->wrong == SIGN ? -1 : s->wrong == FACTOR ? 1.001 : 1;
    logdet -= s->wrong == ONE_FEATURE ? (double)rates.data[1] : 0;
    if (s->wrong == SCALAR)
        y.logdet = leat_scalar(x.tape, logdet);
    else if (s->wrong == COLUMN)
        y.logdet = leat_full(x.tape, LEAT_SHAPE(rows, 1), logdet);
    else if (s->wrong != ABSENT)
        y.logdet = leat_full(x.tape, LEAT_SHAPE(rows), logdet);
    return y;
}

static leat_pair stretch_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    (void)call;
    return stretch_run(t, x, 1);
}

static leat_pair stretch_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    (void)call;
    return stretch_run(t, z, -1);
}

static const leat_transform_type stretch_type = {
    .module = { .name = "stretch" },
    .forward = stretch_forward,
    .inverse = stretch_inverse,
};

static void add_stretch(leat_flow *f, mistake wrong)
{
    stretch *s = leat_module_new(leat_flow_model(f), &stretch_type.module, sizeof *s);
    s->wrong = wrong;
    leat_flow_add(f, &s->transform);
}

static void add_coupling(leat_flow *f, int parity)
{
    leat_model *m = leat_flow_model(f);
    leat_mask mask = leat_mask_alternating(m, leat_flow_dim(f), parity);
    leat_flow_add(f, leat_coupling(m, mask, &test_affine, test_net(m, &mask, 0, 2)));
}

static leat_flow *new_flow(int64_t dim)
{
    leat_model *m = test_model(0);
    return leat_flow_new(m, leat_normal(m, dim));
}

/* Each mistake is in both directions alike, so that only the Jacobian tells. */
Test(check_wide, finds_a_wrong_logdet)
{
    for (int d = 0; d < 4; d++) {
        for (int wrong = RIGHT; wrong < MISTAKES; wrong++) {
            for (int s = 0; s < 3; s++) {
                if (dims[d] > 100 && scales[s] != 1)
                    continue; /* takes long */
                leat_flow *f = new_flow(dims[d]);
                leat_flow_report r;
                add_coupling(f, 0);
                add_stretch(f, (mistake)wrong);
                randomize(leat_flow_model(f), 0.1);
                bool ok = leat_flow_check(f, test_normal(7, 4, dims[d], scales[s]), NULL, &r);
                cr_assert_eq(ok, wrong == RIGHT, "dim %lld, mistake %d, scale %g: %s", (long long)dims[d], wrong,
                             scales[s], r.reason);
                if (wrong != RIGHT)
                    assert_contains(r.reason, "layers.1");
                cr_assert_eq(r.unseen_count, dims[d] > 4, "%s", r.unseen); /* the base's integral alone */
                leat_model_free(leat_flow_model(f));
            }
        }
    }
}

/* A shear keeps volume: without a log-determinant it is right. Wrong of a coupling: `to` and `from` are both moved. */
typedef struct shear {
    leat_transform transform;
    leat_mask mask;
    int64_t from, to;
} shear;

static leat_pair shear_run(leat_transform *t, leat_var x, double factor)
{
    const shear *s = (const shear *)t;
    leat_var source = leat_index_select(x, 1, (leat_index){ &s->from, 1 });
    return (leat_pair){ .y = leat_index_add(x, 1, (leat_index){ &s->to, 1 }, leat_mul_scalar(source, factor)) };
}

static leat_pair shear_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    (void)call;
    return shear_run(t, x, 0.01);
}

static leat_pair shear_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    (void)call;
    return shear_run(t, z, -0.01);
}

static const leat_mask *shear_mask(const leat_transform *t)
{
    return &((const shear *)t)->mask;
}

static const leat_transform_type shear_types[] = {
    { .module = { .name = "shear" }, .forward = shear_forward, .inverse = shear_inverse },
    { .module = { .name = "shear" }, .forward = shear_forward, .inverse = shear_inverse, .mask = shear_mask },
};

Test(check_wide, takes_an_absent_logdet_for_zero_and_finds_what_is_not_triangular)
{
    for (int d = 1; d < 4; d++) {
        for (int kind = 0; kind < 4; kind++) { /* no mask; kept to moved; moved to moved; kept to kept */
            leat_flow *f = new_flow(dims[d]);
            leat_model *m = leat_flow_model(f);
            leat_flow_report r;
            shear *s = leat_module_new(m, &shear_types[kind > 0].module, sizeof *s);
            s->mask = leat_mask_alternating(m, dims[d], 0); /* keeps 1, 3, ... */
            s->from = kind == 2 ? 4 : 5;
            s->to = kind == 3 ? 7 : 8;
            leat_flow_add(f, &s->transform);
            bool ok = leat_flow_check(f, test_normal(7, 4, dims[d], 1), NULL, &r);
            cr_assert_eq(ok, kind < 2, "dim %lld, kind %d: %s", (long long)dims[d], kind, r.reason);
            cr_assert_eq(r.triangle > 1e-3, kind >= 2, "%g", r.triangle);
            leat_model_free(m);
        }
    }
}

/* Above 1024 features a dense layer cannot be looked at, and the report says so; one entry a column can. */
Test(check_wide, says_what_it_did_not_look_at)
{
    enum { DIM = 1030 };
    for (int dense = 0; dense < 2; dense++) {
        leat_flow *f = new_flow(DIM);
        leat_model *m = leat_flow_model(f);
        leat_flow_report r;
        leat_flow_add(f, leat_permutation(m, DIM, NULL));
        if (dense)
            leat_flow_add(f, leat_lu_linear(m, DIM));
        add_stretch(f, RIGHT);
        if (dense)
            randomize(m, 0.002);
        cr_assert(leat_flow_check(f, test_normal(7, 2, DIM, 1), NULL, &r), "%s", r.reason);
        cr_assert_eq(r.unseen_count, dense ? 3 : 1, "%s", r.unseen);
        cr_assert_eq(strstr(r.unseen, "layers.1: the Jacobian") != NULL, dense == 1, "%s", r.unseen);
        leat_model_free(m);
    }
}

/* ---- other ranks ------------------------------------------------------------------------------------------------- */

/* [batch, dim] -> [batch, 2, dim / 4, 2], or back. */
typedef struct fold {
    leat_transform transform;
    bool unfold;
} fold;

static leat_pair fold_run(leat_var x, bool unfold)
{
    int64_t rows = leat_var_size(x, 0);
    return (leat_pair){ .y = leat_reshape(x, unfold ? LEAT_SHAPE(rows, -1) : LEAT_SHAPE(rows, 2, -1, 2)) };
}

static leat_pair fold_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    (void)call;
    return fold_run(x, ((const fold *)t)->unfold);
}

static leat_pair fold_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    (void)call;
    return fold_run(z, !((const fold *)t)->unfold);
}

static const leat_transform_type fold_type = {
    .module = { .name = "fold" },
    .forward = fold_forward,
    .inverse = fold_inverse,
};

Test(check_wide, any_rank_inside)
{
    static const int64_t sizes[] = { 8, 64, 784 };
    for (int d = 0; d < 3; d++) {
        for (int wrong = RIGHT; wrong < MISTAKES; wrong++) {
            leat_flow *f = new_flow(sizes[d]);
            leat_flow_report r;
            for (int k = 0; k < 2; k++) {
                fold *v = leat_module_new(leat_flow_model(f), &fold_type.module, sizeof *v);
                v->unfold = k == 1;
                leat_flow_add(f, &v->transform);
                if (k == 0)
                    add_stretch(f, (mistake)wrong);
            }
            bool ok = leat_flow_check(f, test_normal(7, 4, sizes[d], 1), NULL, &r);
            cr_assert_eq(ok, wrong == RIGHT, "dim %lld, mistake %d: %s", (long long)sizes[d], wrong, r.reason);
            if (wrong != RIGHT)
                assert_contains(r.reason, "layers.1");
            leat_model_free(leat_flow_model(f));
        }
    }
}

/* ---- bases ------------------------------------------------------------------------------------------------------- */

typedef enum { GOOD, UNNORMALISED, WIDE, SHIFTED, BASE_COLUMN, OF_THE_BATCH, BASES } base_mistake;

typedef struct own_base {
    leat_base base;
    base_mistake wrong;
} own_base;

static leat_var own_log_prob(leat_base *b, leat_var z, leat_var context)
{
    (void)context;
    leat_var lp = leat_normal_log_density(z);
    switch (((const own_base *)b)->wrong) {
    case UNNORMALISED:
        return leat_add_scalar(lp, 0.5);
    case BASE_COLUMN:
        return leat_reshape(lp, LEAT_SHAPE(leat_var_size(z, 0), 1));
    case OF_THE_BATCH:
        return leat_add(lp, leat_mul_scalar(leat_mean(z), 10));
    default:
        return lp;
    }
}

static leat_var own_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    (void)context;
    base_mistake wrong = ((const own_base *)b)->wrong;
    leat_var eps = leat_mul_scalar(leat_randn(t, LEAT_SHAPE(n, b->dim)), temperature * (wrong == WIDE ? 1.05 : 1));
    return wrong == SHIFTED ? leat_add_scalar(eps, 0.1) : eps;
}

static const leat_base_type own_type = {
    .module = { .name = "own" },
    .log_prob = own_log_prob,
    .sample = own_sample,
};

Test(check_wide, checks_bases)
{
    for (int d = 0; d < 4; d++) {
        for (int wrong = GOOD; wrong < BASES; wrong++) {
            leat_model *m = test_model(0);
            own_base *b = leat_module_new(m, &own_type.module, sizeof *b);
            b->base.dim = dims[d];
            b->wrong = (base_mistake)wrong;
            leat_flow *f = leat_flow_new(m, &b->base);
            leat_flow_report r;
            add_stretch(f, RIGHT);
            bool ok = leat_flow_check(f, test_normal(7, 4, dims[d], 1), NULL, &r);
            bool unseen = wrong == UNNORMALISED && dims[d] > 4;
            cr_assert_eq(ok, wrong == GOOD || unseen, "dim %lld, base %d: %s", (long long)dims[d], wrong, r.reason);
            if (!ok)
                cr_assert_eq(strncmp(r.reason, "base", 4), 0, "%s", r.reason);
            cr_assert_eq(strstr(r.unseen, "base: whether its density integrates to 1") != NULL, dims[d] > 4);
            leat_model_free(m);
        }
    }
}

Test(check_wide, accepts_the_bases)
{
    for (int d = 0; d < 4; d++) {
        for (int kind = 0; kind < 3; kind++) {
            leat_model *m = test_model(3);
            leat_base *b = kind == 0   ? leat_normal(m, dims[d])
                           : kind == 1 ? leat_logistic(m, dims[d])
                                       : leat_diagonal_normal(m, dims[d]);
            leat_flow *f = leat_flow_new(m, b);
            leat_flow_report r;
            add_stretch(f, RIGHT);
            randomize(m, 2);
            cr_assert(leat_flow_check(f, test_normal(7, 4, dims[d], 1), NULL, &r), "base %d: %s", kind, r.reason);
            leat_model_free(m);
        }
    }
}

/* ---- tolerances -------------------------------------------------------------------------------------------------- */

/* y = x^3 + 1e-4 x + 1: nearly flat at 0, so that its inverse loses most of a float there. */
static leat_pair cube_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)theta;
    leat_var slope = leat_add_scalar(leat_mul_scalar(leat_square(x), 3), self->number[0]);
    leat_var y = leat_mul(x, leat_add_scalar(leat_square(x), self->number[0]));
    return (leat_pair){ leat_add_scalar(y, 1), leat_log(slope) };
}

Test(check_wide, lets_tolerances_follow_the_slope)
{
    for (int wrong = 0; wrong < 2; wrong++) {
        leat_model *m = test_model(0);
        leat_flow *f = leat_flow_new(m, leat_normal(m, 3));
        leat_elementwise e = { .name = "cube", .theta = { { "t", 1 } }, .forward = cube_forward, .number = { 1e-4 } };
        for (int k = 0; k < 2; k++) {
            leat_mask mask = leat_mask_alternating(m, 3, k);
            leat_flow_add(f, leat_coupling(m, mask, &e, test_net(m, &mask, 0, 1)));
        }
        add_stretch(f, wrong ? FACTOR : RIGHT);
        leat_flow_report r;
        leat_tensor x = test_normal(7, 6, 3, 1e-2);
        bool ok = leat_flow_check(f, x, NULL, &r);
        cr_assert_eq(ok, !wrong, "%s", r.reason);
        cr_assert(sizeof(leat_real) == 8 || r.round_trip > 1e-4, "%g: not steep enough to test", r.round_trip);
        leat_model_free(m);
    }
}
