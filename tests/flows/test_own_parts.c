/* Parts of one's own: bijectors that are extended, transforms that draw, log-determinants of a wrong shape, files. */
#include "support.h"

#include <unistd.h>

static const char *path_of(const char *name)
{
    static char folder[] = "/tmp/leat-own-XXXXXX", path[100];
    static bool made;
    if (!made)
        cr_assert_not_null(mkdtemp(folder));
    made = true;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- a bijector that is extended --------------------------------------------------------------------------------- */

/* y = factor x + t */
typedef struct stretch {
    leat_elementwise elementwise;
    double factor;
} stretch;

static leat_pair stretch_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    double factor = ((const stretch *)self)->factor;
    return (leat_pair){ leat_add(leat_mul_scalar(x, factor), theta[0]),
                        leat_add_scalar(leat_zeros_like(x), log(factor)) };
}

static const stretch by_42 = {
    .elementwise = { .name = "stretch", .theta = { { "t", 1 } }, .forward = stretch_forward, .size = sizeof(stretch) },
    .factor = 42,
};

static leat_flow *stretched(leat_model *m, const leat_elementwise *e)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, 2));
    leat_mask mask = leat_mask_halves(m, 2, 0);
    leat_flow_add(f, leat_coupling(m, mask, e, test_net(m, &mask, 0, 1)));
    assert_model(m);
    randomize(m, 0.3);
    return f;
}

Test(own, a_bijector_keeps_its_own_constants)
{
    leat_model *m = test_model(0);
    leat_flow *f = stretched(m, &by_42.elementwise);
    leat_tape *t = test_tape(m);
    leat_pair z = leat_flow_forward(f, leat_const(t, test_normal(1, 3, 2, 1)));
    for (int i = 0; i < 3; i++)
        cr_assert_float_eq((double)leat_value(z.logdet).data[i], log(42), CLOSE);
    leat_model_free(m);
}

Test(own, a_bijector_in_a_file)
{
    static const leat_elementwise *const mine[] = { &by_42.elementwise, NULL };
    stretch other = by_42; /* with a number of its own, which the file tells */
    other.elementwise.number[1] = 7;
    const leat_elementwise *kinds[] = { &by_42.elementwise, &other.elementwise };
    for (int k = 0; k < 2; k++) {
        leat_model *m = test_model(0);
        leat_flow *f = stretched(m, kinds[k]);
        leat_status s = { 0 };
        double scores[2][3];
        leat_tensor x = test_normal(1, 3, 2, 1);
        cr_assert_eq(leat_flow_save(f, path_of("own"), 0, NULL, &s), LEAT_OK, "%s", s.message);
        cr_assert_null(leat_flow_load(path_of("own"), NULL, NULL, &s));
        assert_contains(s.message, "does not know the elementwise bijector 'stretch'");
        s = (leat_status){ 0 };
        leat_flow *back =
            leat_flow_load(path_of("own"), &(leat_flow_load_opts){ .own = { .elementwises = mine } }, NULL, &s);
        cr_assert_not_null(back, "%s", s.message);
        cr_assert_eq(leat_flow_score(f, test_tape(m), x, scores[0]), LEAT_OK);
        cr_assert_eq(leat_flow_score(back, test_tape(leat_flow_model(back)), x, scores[1]), LEAT_OK);
        cr_assert_eq(memcmp(scores[0], scores[1], sizeof scores[0]), 0);
        leat_model_free(leat_flow_model(back));
        leat_model_free(m);
    }
}

/* ---- a transform that draws -------------------------------------------------------------------------------------- */

/* y = x + noise of the mode it is in, whose log-determinant the chance has part in, so that scores show it. */
typedef struct noise {
    leat_transform transform;
    int64_t dim;
} noise;

static leat_pair noise_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)t, (void)call;
    leat_var u = leat_rand(x.tape, leat_var_shape(x));
    leat_var y = inverse ? leat_sub(x, u) : leat_add(x, u);
    return (leat_pair){ y, leat_sum_features(u) };
}

static int64_t noise_numbers(const leat_transform *t, bool inverse)
{
    (void)inverse;
    return ((const noise *)t)->dim;
}

static bool noise_is_bound(const leat_transform *t)
{
    (void)t;
    return true;
}

static void noise_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_int(w, "dim", ((const noise *)m)->dim);
}

static leat_module *noise_read(leat_part_reader *r, const leat_json *v);

static const leat_transform_type noise_type = {
    .module = { .name = "noise", .write = noise_write, .read = noise_read },
    .run = noise_run,
    .numbers_per_row = noise_numbers,
    .is_bound = noise_is_bound,
};

static leat_transform *noise_new(leat_model *m, int64_t dim)
{
    noise *n = leat_module_new(m, &noise_type.module, sizeof *n);
    n->dim = dim;
    return &n->transform;
}

static leat_module *noise_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_part_size(r, v, "dim", 1);
    return dim > 0 ? &noise_new(leat_part_model(r), dim)->module : NULL;
}

static leat_flow *noisy(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, 3));
    leat_mask mask = leat_mask_alternating(m, 3, 0);
    leat_transform *chain = leat_chain(m);
    leat_flow_add(f, noise_new(m, 3));
    leat_flow_add(f, leat_coupling(m, mask, &leat_affine, test_net(m, &mask, 0, 2)));
    leat_chain_add(chain, noise_new(m, 3));
    leat_flow_add(f, chain);
    randomize(m, 0.3);
    return f;
}

Test(own, a_row_is_the_same_alone_and_among_many)
{
    enum { MANY = 5000 };
    leat_model *m = test_model(0);
    leat_flow *f = noisy(m);
    leat_tape *t = test_tape(m);
    leat_tensor x = test_normal(1, MANY, 3, 1), z = test_tensor(MANY, 3), none = { 0 };
    double *all = leat_arena_alloc(test_arena(), MANY * sizeof *all),
           *logdets = leat_arena_alloc(test_arena(), MANY * sizeof *all);
    cr_assert(leat_flow_is_bound(f));
    cr_assert_eq(leat_flow_score(f, t, x, all), LEAT_OK, "%s", leat_tape_errmsg(t));
    cr_assert_eq(leat_flow_encode(f, t, x, none, z.data, logdets), LEAT_OK);
    for (int64_t i = 0; i < MANY; i += 613) {
        leat_tensor row = { x.data + 3 * i, LEAT_SHAPE(1, 3) };
        double alone, logdet;
        leat_real latent[3];
        cr_assert_eq(leat_flow_score(f, t, row, &alone), LEAT_OK);
        cr_assert_eq(leat_flow_encode(f, t, row, none, latent, &logdet), LEAT_OK);
        cr_assert(alone == all[i] && logdet == logdets[i], "row %lld: %.9g, not %.9g", (long long)i, alone, all[i]);
        cr_assert_eq(memcmp(latent, z.data + 3 * i, sizeof latent), 0);
    }
    cr_assert_neq(logdets[0], logdets[1], "rows do not share their chance");
    leat_model_free(m);
}

Test(own, a_draw_is_the_same_alone_and_among_many)
{
    enum { MANY = 3000 };
    leat_model *m = test_model(0);
    leat_flow *f = noisy(m);
    leat_tape *t = test_tape(m);
    leat_tensor all = test_tensor(MANY, 3), none = { 0 };
    cr_assert_eq(leat_flow_draw_rows(f, t, 0, MANY, 1, none, all.data), LEAT_OK, "%s", leat_tape_errmsg(t));
    for (int64_t i = 0; i < MANY; i += 613) {
        leat_real row[2][3];
        cr_assert_eq(leat_flow_draw_rows(f, t, i, 2, 1, none, row[0]), LEAT_OK);
        cr_assert_eq(memcmp(row, all.data + 3 * i, sizeof row), 0, "row %lld", (long long)i);
    }
    leat_tensor on = test_tensor(MANY, 3);
    cr_assert_eq(leat_flow_draw(f, t, 100, 1, on.data), LEAT_OK);
    cr_assert_eq(leat_flow_draw(f, t, MANY - 100, 1, on.data + 300), LEAT_OK);
    cr_assert_eq(memcmp(on.data, all.data, MANY * 3 * sizeof *on.data), 0, "drawing goes on from where it was");
    leat_model_free(m);
}

Test(own, a_transform_in_a_file)
{
    static const leat_module_type *const mine[] = { &noise_type.module, NULL };
    leat_model *m = test_model(0);
    leat_flow *f = noisy(m);
    leat_status s = { 0 };
    cr_assert_eq(leat_flow_save(f, path_of("noisy"), 0, NULL, &s), LEAT_OK, "%s", s.message);
    cr_assert_null(leat_flow_load(path_of("noisy"), NULL, NULL, &s));
    assert_contains(s.message, "layers.0: this version does not know the transform 'noise'");
    s = (leat_status){ 0 };
    leat_flow *back =
        leat_flow_load(path_of("noisy"), &(leat_flow_load_opts){ .own = { .transforms = mine } }, NULL, &s);
    cr_assert_not_null(back, "%s", s.message);
    double a, b;
    leat_tensor x = test_normal(1, 1, 3, 1);
    cr_assert_eq(leat_flow_score(f, test_tape(m), x, &a), LEAT_OK);
    cr_assert_eq(leat_flow_score(back, test_tape(leat_flow_model(back)), x, &b), LEAT_OK);
    cr_assert_eq(a, b);
    leat_model_free(leat_flow_model(back));
    leat_model_free(m);
}

/* ---- log-determinants and log-densities of another shape --------------------------------------------------------- */

typedef struct shaped {
    leat_transform transform;
    int kind; /* 0: absent, 1: [batch,1], 2: a scalar, 3: shaped like x, 4: rows get lost */
} shaped;

static leat_pair shaped_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call, (void)inverse;
    leat_var zeros = leat_mul_scalar(x, 0);
    switch (((const shaped *)t)->kind) {
    case 0:
        return (leat_pair){ .y = leat_mul_scalar(x, 1) };
    case 1:
        return (leat_pair){ x, leat_slice(zeros, -1, 0, 1) };
    case 2:
        return (leat_pair){ x, leat_sum(zeros) };
    case 3:
        return (leat_pair){ x, zeros };
    }
    return (leat_pair){ leat_slice(x, 0, 0, 1), leat_sum_features(zeros) };
}

static const leat_transform_type shaped_type = { .module = { .name = "shaped" }, .run = shaped_run };

Test(own, log_determinants_are_one_for_each_row)
{
    static const char *const says[] = { NULL, "gives [30,1]", "gives []", "gives [30,2]",
                                        "of 30 rows the transform makes [1,2]" };
    for (int kind = 0; kind < 5; kind++) {
        for (int inverse = 0; inverse < 2; inverse++) {
            leat_model *m = test_model(0);
            leat_flow *f = leat_flow_new(m, leat_normal(m, 2));
            shaped *own = leat_module_new(m, &shaped_type.module, sizeof *own);
            own->kind = kind;
            leat_flow_add(f, leat_reverse(m, 2));
            leat_flow_add(f, &own->transform);
            leat_tape *t = test_tape(m);
            leat_var x = leat_const(t, test_normal(1, 30, 2, 1));
            leat_var got = inverse ? leat_flow_inverse(f, x).logdet : leat_flow_log_prob(f, x);
            if (says[kind]) {
                cr_assert_eq(leat_tape_code(t), LEAT_ESHAPE, "kind %d", kind);
                assert_contains(leat_tape_errmsg(t), "layers.1: ");
                assert_contains(leat_tape_errmsg(t), says[kind]);
                double scores[30];
                cr_assert_eq(leat_flow_score(f, t, test_normal(1, 30, 2, 1), scores), LEAT_ESHAPE);
            } else {
                assert_tape(t);
                cr_assert_eq(leat_var_size(got, 0), 30);
            }
            leat_model_free(m);
        }
    }
}

static leat_var column_log_prob(leat_base *b, leat_var z, leat_var context)
{
    (void)b, (void)context;
    return leat_slice(z, -1, 0, 1);
}

static leat_var column_sample(leat_base *b, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    (void)temperature, (void)context;
    return leat_randn(t, LEAT_SHAPE(n, b->dim));
}

static const leat_base_type column_type = { .module = { .name = "column" },
                                            .log_prob = column_log_prob,
                                            .sample = column_sample };

Test(own, log_densities_are_one_for_each_row)
{
    leat_model *m = test_model(0);
    leat_base *base = leat_module_new(m, &column_type.module, sizeof *base);
    base->dim = 2;
    leat_flow *f = leat_flow_new(m, base);
    leat_tape *t = test_tape(m);
    double scores[9];
    cr_assert_eq(leat_flow_score(f, t, test_normal(1, 9, 2, 1), scores), LEAT_ESHAPE);
    assert_contains(leat_tape_errmsg(t), "base: a log-density for each of 9 rows is needed, and the base gives [9,1]");
    leat_model_free(m);
}

/* ---- one question ------------------------------------------------------------------------------------------------ */

Test(own, the_model_knows_every_failure)
{
    leat_model *m = test_model(0);
    leat_flow *f = noisy(m);
    leat_optim *adam = leat_adam_new(m, &(leat_adam_opts){ .lr = 1e-3 });
    leat_tape *t = test_tape(m);
    cr_assert_eq(leat_model_status(m)->code, LEAT_OK);
    leat_flow_log_prob(f, leat_const(t, test_normal(1, 3, 2, 1)));
    assert_contains(leat_model_status(m)->message, "a flow of 3 features is given [3,2]");
    leat_tape_reset(t);
    cr_assert_eq(leat_model_status(m)->code, LEAT_OK);
    leat_optim_set_lr(adam, -1);
    leat_optim_step(adam);
    assert_contains(leat_model_status(m)->message, "a learning rate of -1");
    leat_optim_set_lr(adam, 1);
    cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    leat_fit_new(f, &(leat_fit_opts){ .data = test_normal(1, 3, 2, 1) });
    assert_contains(leat_model_status(m)->message, "fit: the data are [3,2]");
    leat_model_free(m);
}

/* ---- a loss of one's own ----------------------------------------------------------------------------------------- */

/* Reverse KL to a normal distribution around (3, -2), of which no data are known. */
static leat_var reverse_kl(void *user, leat_flow *f, leat_tape *t, leat_var x, leat_var context)
{
    (void)context;
    cr_assert(leat_is_absent(x));
    leat_var log_q, y = leat_flow_sample_log_prob(f, t, *(const int *)user, &log_q);
    leat_real centre[] = { 3, -2 };
    leat_var off = leat_sub(y, leat_const(t, (leat_tensor){ centre, LEAT_SHAPE(2) }));
    return leat_mean(leat_sub(log_q, leat_normal_log_density(off)));
}

Test(own, a_fit_without_data)
{
    leat_model *m = test_model(0);
    leat_flow *f = leat_flow_new(m, leat_normal(m, 2));
    int draws = 64;
    leat_flow_add(f, leat_lu_linear(m, 2));
    leat_fit *fit =
        leat_fit_new(f, &(leat_fit_opts){ .loss = reverse_kl, .user = &draws, .steps = 50, .epochs = 8, .lr = 0.05 });
    cr_assert_eq(leat_fit_run(fit), LEAT_OK, "%s", leat_model_status(m)->message);
    leat_fit_state s = leat_fit_get_state(fit);
    cr_assert_eq(s.steps, 50);
    cr_assert_lt(s.history[7].loss, 0.02, "%g", s.history[7].loss);
    cr_assert_gt(s.history[0].loss, 1);
    leat_fit *wrong = leat_fit_new(f, &(leat_fit_opts){ .loss = reverse_kl, .user = &draws });
    cr_assert_eq(leat_fit_run(wrong), LEAT_EARG);
    leat_model_free(m);
}
