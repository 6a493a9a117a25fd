/* Transforms that mix the features of a row, by one table: the checker at every scale, gradients both ways, files,
 * training, refusals. */
#include "support.h"

#include "../../autograd/gradcheck.h"

#include <stdlib.h>
#include <unistd.h>

#ifdef LEAT_DOUBLE
#define CLOSED   1e-9
#define SEARCHED 1e-8
#else
#define CLOSED   1e-4
#define SEARCHED 1e-4
#endif

static const leat_flow_call no_context;

static leat_transform *reflections(leat_model *m, int64_t dim)
{
    return leat_householder(m, dim, 0);
}

static leat_transform *two_reflections(leat_model *m, int64_t dim)
{
    return leat_householder(m, dim, 2);
}

static leat_transform *sylvester(leat_model *m, int64_t dim)
{
    return leat_sylvester(m, dim, 0);
}

static leat_transform *block_autoregressive(leat_model *m, int64_t dim)
{
    return leat_block_autoregressive(m, dim, 5);
}

static const struct {
    const char *name;
    leat_transform *(*make)(leat_model *, int64_t dim);
    double tolerance, learns; /* what 60 steps take off the loss at least */
    int64_t most;             /* features to check in little time */
} kinds[] = {
    { "householder", reflections, CLOSED, 0.05, 64 },
    { "householder", two_reflections, CLOSED, 0.05, 64 },
    { "planar", leat_planar, SEARCHED, 0.05, 64 },
    { "radial", leat_radial, CLOSED, 0.05, 64 },
    { "sylvester", sylvester, SEARCHED, 0.05, 3 },
    { "block_autoregressive", block_autoregressive, SEARCHED, 0.05, 3 },
    { "coupling", NULL, SEARCHED, 0.05, 2 }, /* a whole Gaussianization flow */
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* A model with `count` of them; numbers are as they start, or random. */
static leat_flow *flow_of(leat_model *m, int kind, int64_t dim, int count, bool random)
{
    leat_gaussianization_opts o = { .dim = dim, .layers = count, .components = 4 };
    leat_flow *f = kinds[kind].make ? leat_flow_new(m, leat_normal(m, dim)) : leat_gaussianization_new(m, &o);
    for (int i = 0; kinds[kind].make && i < count; i++)
        leat_flow_add(f, kinds[kind].make(m, dim));
    assert_model(m);
    if (random)
        randomize(m, 0.5);
    return f;
}

Test(vector_transforms, pass_the_checker)
{
    static const int64_t dims[] = { 1, 2, 3, 7, 20 };
    static const double scales[] = { 1e-3, 1, 1e3 };
    for (int i = 0; i < 5 * 2 * KINDS; i++) {
        int kind = i / 10;
        int64_t dim = dims[i / 2 % 5];
        if (dim > kinds[kind].most)
            continue;
        leat_model *m = test_model(1);
        leat_flow *f = flow_of(m, kind, dim, kinds[kind].make ? 1 : 2, i % 2);
        leat_flow_check_opts o = { .tolerance = kinds[kind].tolerance };
        for (int s = 0; s < 3; s++) {
            leat_flow_report r;
            cr_assert(leat_flow_check(f, test_normal(7, 6, dim, scales[s]), &o, &r),
                      "%s, dim %lld, random %d, inputs times %g: %s", kinds[kind].name, (long long)dim, i % 2,
                      scales[s], r.reason);
        }
        leat_model_free(m);
    }
}

/* Mixed by orthogonal maps, a Gaussianization flow that starts at y = x would give the very density of its base. */
Test(vector_transforms, gaussianization_starts_near_its_base)
{
    leat_model *m = test_model(1);
    leat_flow *f = leat_gaussianization_new(m, &(leat_gaussianization_opts){ .dim = 3 });
    leat_tape *tape = test_tape(m);
    leat_var x = leat_const(tape, test_normal(7, 1000, 3, 1));
    leat_var off = leat_sub(leat_flow_log_prob(f, x), leat_base_log_prob(leat_flow_base(f), x, (leat_var){ 0 }));
    double mean = leat_item(leat_mean(off)), square = leat_item(leat_mean(leat_square(off)));
    assert_tape(tape);
    cr_assert(fabs(mean) < 0.01 && square < 0.08 * 0.08, "%g nats, mean square %g", mean, square);
    leat_model_free(m);
}

/* At every position of [batch, 2, 3, dim] what it is to a row, and the log-determinants add up. */
Test(vector_transforms, work_at_every_position)
{
    for (int kind = 0; kind < KINDS; kind++) {
        leat_model *m = test_model(1);
        leat_transform *t = leat_flow_layer(flow_of(m, kind, 4, 1, true), 0);
        for (int k = 0; k < 2; k++) {
            leat_tape *tape = test_tape(m);
            leat_var x = leat_const(tape, test_normal(3, 5 * 6, 4, 1));
            leat_pair (*run)(leat_transform *, leat_var, const leat_flow_call *) =
                k ? leat_transform_inverse : leat_transform_forward;
            leat_pair flat = run(t, x, &no_context);
            leat_pair deep = run(t, leat_reshape(x, LEAT_SHAPE(5, 2, 3, 4)), &no_context);
            leat_var back = leat_reshape(deep.y, LEAT_SHAPE(30, 4));
            leat_var sums = leat_sum_features(leat_reshape(flat.logdet, LEAT_SHAPE(5, 6)));
            assert_tape(tape);
            assert_near(leat_value(back), leat_value(flat.y), CLOSE, 1, kinds[kind].name);
            assert_near(leat_value(deep.logdet), leat_value(sums), CLOSE, 1, kinds[kind].name);
        }
        leat_model_free(m);
    }
}

typedef struct direction {
    leat_transform *t;
    bool inverse;
} direction;

static leat_var of_both(leat_tape *tape, int n, const leat_var *in, void *user)
{
    (void)tape, (void)n;
    const direction *d = user;
    leat_pair out = (d->inverse ? leat_transform_inverse : leat_transform_forward)(d->t, in[0], &no_context);
    leat_var sum = leat_sum(leat_sin(out.y));
    return leat_add(sum, leat_sum(leat_mul_scalar(out.logdet, 0.7)));
}

#ifdef LEAT_DOUBLE
typedef struct nudge {
    double by, slope; /* slope: of what has been differentiated, along the direction of the nudge */
} nudge;

static void nudge_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    nudge *n = v->user;
    for (int64_t i = 0; i < leat_shape_count(&p->leaf.shape); i++) {
        double along = (double)(i * 7 % 5 - 2) / 2 + 0.1;
        p->leaf.value[i] += (leat_real)(n->by * along);
        if (p->leaf.has_grad)
            n->slope += along * (double)p->leaf.grad[i];
    }
}

static double value_at(leat_model *m, direction *d, leat_tensor x, nudge *n)
{
    leat_tape *tape = test_tape(m);
    leat_visitor v = { .user = n, .param = nudge_param };
    if (n)
        leat_visit_model(&v, m);
    leat_var in = leat_const(tape, x), y = of_both(tape, 1, &in, d);
    if (!n)
        cr_assert_eq(leat_backward(y), LEAT_OK, "%s", leat_tape_errmsg(tape));
    return leat_item(y);
}
#endif

Test(vector_transforms, gradients)
{
    for (int i = 0; i < 2 * KINDS; i++) {
        leat_model *m = test_model(1);
        direction d = { leat_flow_layer(flow_of(m, i / 2, 3, 1, true), 0), i % 2 };
        leat_tensor x = test_normal(5, 4, 3, 1);
        leat_gradcheck_report r;
        cr_assert(leat_gradcheck(of_both, &d, 1, &x, NULL, &r), "%s, inverse %d: %s, element %lld: %g and %g",
                  kinds[i / 2].name, i % 2, r.reason, (long long)r.index, r.analytic, r.numeric);
#ifdef LEAT_DOUBLE
        /* of the parameters, all along one direction */
        double h = 1e-5;
        nudge none = { 0 }, up = { h, 0 }, down = { -2 * h, 0 };
        leat_visitor v = { .user = &none, .param = nudge_param };
        value_at(m, &d, x, NULL);
        leat_visit_model(&v, m);
        double above = value_at(m, &d, x, &up), numeric = (above - value_at(m, &d, x, &down)) / (2 * h);
        cr_assert(fabs(numeric - none.slope) <= 1e-7 * fmax(1, fabs(numeric)), "%s, inverse %d: %g and %g",
                  kinds[i / 2].name, i % 2, none.slope, numeric);
#endif
        leat_model_free(m);
    }
}

/* ---- files and training ------------------------------------------------------------------------------------------ */

static leat_tensor correlated(int64_t n)
{
    leat_tensor x = test_normal(9, n, 3, 1);
    for (int64_t i = 0; i < n; i++) {
        x.data[3 * i + 1] += x.data[3 * i] * x.data[3 * i];
        x.data[3 * i + 2] = (leat_real)(0.3 * (double)x.data[3 * i + 2] + 2 * (double)x.data[3 * i] + 1);
    }
    return x;
}

/* Reflections alone keep lengths: only with a diagonal scale behind do they learn. */
static void save_and_train(int kind)
{
    char path[] = "/tmp/leat-vector-XXXXXX";
    leat_status s = { 0 };
    leat_model *m = test_model(2);
    leat_flow *f = flow_of(m, kind, 3, 3, false);
    if (strcmp(kinds[kind].name, "householder") == 0)
        leat_flow_add(f, leat_diagonal_scale(m, 3));
    leat_tensor x = correlated(64);
    double scores[2][64];
    double gain = gain_by_training(f, x, 60);
    cr_assert_gt(gain, kinds[kind].learns, "%s gains %g", kinds[kind].name, gain);
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && close(fd) == 0);
    cr_assert_eq(leat_flow_save(f, path, 0, NULL, &s), LEAT_OK, "%s", s.message);
    leat_flow *back = leat_flow_load(path, NULL, NULL, &s);
    cr_assert_not_null(back, "%s", s.message);
    unlink(path);
    cr_assert_str_eq(leat_flow_layer(back, 0)->module.type->name, kinds[kind].name);
    cr_assert_eq(leat_flow_score(f, test_tape(m), x, scores[0]), LEAT_OK);
    cr_assert_eq(leat_flow_score(back, test_tape(leat_flow_model(back)), x, scores[1]), LEAT_OK);
    cr_assert_arr_eq(scores[0], scores[1], sizeof scores[0]);
    leat_model_free(leat_flow_model(back));
    leat_model_free(m);
}

Test(vector_transforms, train_and_come_back_from_a_file)
{
    for (int kind = 0; kind < KINDS; kind++)
        save_and_train(kind);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

Test(vector_transforms, refuse_what_makes_no_sense)
{
    for (int kind = 0; kinds[kind].make; kind++) {
        leat_model *m = test_model(0);
        leat_transform *t = leat_flow_layer(flow_of(m, kind, 3, 1, false), 0);
        for (int k = 0; k < 2; k++) {
            leat_tape *tape = test_tape(m);
            (k ? leat_transform_inverse : leat_transform_forward)(t, leat_zeros(tape, LEAT_SHAPE(6, 4)), &no_context);
            cr_assert_eq(leat_tape_code(tape), LEAT_ESHAPE);
            assert_contains(leat_tape_errmsg(tape), "[6,4], not [batch,3]");
        }
        leat_model *none = test_model(0);
        cr_assert_null(kinds[kind].make(none, 0));
        cr_assert_eq(leat_model_code(none), LEAT_EARG);
        leat_model_free(none);
        leat_model_free(m);
    }
    leat_model *m[3] = { test_model(0), test_model(0), test_model(0) };
    cr_assert_null(leat_householder(m[0], 3, -1));
    cr_assert_null(leat_sylvester(m[1], 3, -1));
    cr_assert_null(leat_block_autoregressive(m[2], 3, -1));
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(leat_model_code(m[i]), LEAT_EARG);
        leat_model_free(m[i]);
    }
}

/* A vector of zeros reflects nothing; e_2 turns the sign of the second feature. */
Test(vector_transforms, reflections_are_their_equation)
{
    leat_model *m = test_model(0);
    leat_transform *t = leat_householder(m, 3, 2);
    cr_assert_eq(leat_model_seal(m), LEAT_OK);
    const leat_real vectors[] = { 0, 0, 0, 0, 3, 0 };
    memcpy(param_value(m, "vectors").data, vectors, sizeof vectors);
    leat_tensor x = test_normal(1, 2, 3, 1), want = test_normal(1, 2, 3, 1);
    want.data[1] = -want.data[1];
    want.data[4] = -want.data[4];
    leat_tape *tape = test_tape(m);
    assert_near(leat_value(leat_transform_forward(t, leat_const(tape, x), &no_context).y), want, CLOSE, 1, "y");
    leat_model_free(m);
}
