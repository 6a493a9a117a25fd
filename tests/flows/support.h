/* What the tests of flows share: fixtures, drawn tensors, comparisons that say where they failed. */
#ifndef LEAT_FLOWS_SUPPORT_H
#define LEAT_FLOWS_SUPPORT_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../flows/flows.h"

/* How close is close: to numbers that PyTorch computed in float64, and to results of other ways to compute the same. */
#ifdef LEAT_DOUBLE
#define CLOSE 1e-11
#else
#define CLOSE 1e-5
#endif

/* One memory for a test's own tensors; Criterion runs each test in a process of its own. */
static inline leat_arena *test_arena(void)
{
    static leat_arena arena;
    static bool ready;
    if (!ready)
        leat_arena_init(&arena, NULL);
    ready = true;
    return &arena;
}

static inline leat_safetensors fixture(const char *name)
{
    char path[1000];
    leat_safetensors f;
    leat_status s = { 0 };
    snprintf(path, sizeof path, LEAT_FIXTURES "/flows/%s.safetensors", name);
    cr_assert_eq(leat_safetensors_read(path, test_arena(), &f, &s), LEAT_OK, "%s", s.message);
    return f;
}

static inline leat_tensor fixture_get(const leat_safetensors *f, const char *name)
{
    const leat_tensor *t = leat_safetensors_find(f, name);
    cr_assert_not_null(t, "no tensor %s in the fixture", name);
    return *t;
}

static inline leat_tensor test_tensor(int64_t rows, int64_t cols)
{
    leat_tensor t = leat_tensor_new(test_arena(), LEAT_SHAPE(rows, cols), NULL);
    cr_assert_not_null(t.data);
    return t;
}

/* N(0, scale^2) numbers, each seed its own. */
static inline leat_tensor test_normal(uint64_t seed, int64_t rows, int64_t cols, double scale)
{
    leat_tensor t = test_tensor(rows, cols);
    leat_rng rng = leat_rng_new(seed, 77);
    leat_rng_fill_normal(&rng, t.data, rows * cols);
    for (int64_t i = 0; i < rows * cols; i++)
        t.data[i] *= (leat_real)scale;
    return t;
}

/* All elements within tolerance, relative to the largest magnitude in `expected` (at least `least`). */
static inline void assert_near(leat_tensor got, leat_tensor expected, double tolerance, double least, const char *what)
{
    char a[LEAT_SHAPE_TEXT], b[LEAT_SHAPE_TEXT];
    cr_assert_not_null(got.data, "%s: nothing there", what);
    cr_assert(leat_shape_equal(&got.shape, &expected.shape), "%s: shape %s, not %s", what,
              leat_shape_print(&got.shape, a), leat_shape_print(&expected.shape, b));
    double scale = least;
    int64_t n = leat_shape_count(&expected.shape);
    for (int64_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)expected.data[i]));
    for (int64_t i = 0; i < n; i++) {
        double x = (double)got.data[i], y = (double)expected.data[i];
        cr_assert(fabs(x - y) <= tolerance * scale, "%s[%lld]: %.17g, not %.17g", what, (long long)i, x, y);
    }
}

static inline void assert_tape(const leat_tape *t)
{
    cr_assert_eq(leat_tape_code(t), LEAT_OK, "%s", leat_tape_errmsg(t));
}

static inline void assert_model(const leat_model *m)
{
    cr_assert_eq(leat_model_code(m), LEAT_OK, "%s", leat_model_errmsg(m));
}

static inline void assert_contains(const char *text, const char *part)
{
    cr_assert_not_null(strstr(text, part), "\"%s\" does not say \"%s\"", text, part);
}

static inline leat_tensor param_value(leat_model *m, const char *path)
{
    leat_param *p = leat_find_param(m, path);
    cr_assert_not_null(p, "no parameter %s", path);
    return (leat_tensor){ p->leaf.value, p->leaf.shape };
}

static inline leat_tensor param_grad(leat_model *m, const char *path)
{
    leat_param *p = leat_find_param(m, path);
    cr_assert_not_null(p, "no parameter %s", path);
    cr_assert(p->leaf.has_grad, "%s has no gradient", path);
    return (leat_tensor){ p->leaf.grad, p->leaf.shape };
}

/* Every parameter a new N(0, scale^2) number: models whose parts start at zero say little. */
static inline void fill_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    leat_rng rng = leat_rng_new(4711, (uint64_t)p->index);
    int64_t n = leat_shape_count(&p->leaf.shape);
    leat_rng_fill_normal(&rng, p->leaf.value, n);
    for (int64_t i = 0; i < n; i++)
        p->leaf.value[i] *= (leat_real) * (const double *)v->user;
}

static inline void randomize(leat_model *m, double scale)
{
    cr_assert_eq(leat_model_seal(m), LEAT_OK, "%s", leat_model_errmsg(m));
    leat_visitor v = { .user = &scale, .param = fill_param };
    leat_visit_model(&v, m);
}

static inline leat_model *test_model(uint64_t seed)
{
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = seed, .threads = 1 });
    cr_assert_not_null(m);
    return m;
}

static inline leat_tape *test_tape(leat_model *m)
{
    leat_tape *t = leat_model_tape(m, NULL);
    cr_assert_not_null(t, "%s", leat_model_errmsg(m));
    return t;
}

/* An mlp { 6, 5 } for a mask's conditioner. */
static inline leat_module *test_net(leat_model *m, const leat_mask *mask, int64_t context, int64_t width)
{
    return leat_mlp(m, mask->kept + context, (int64_t[]){ 6, 5, 0 }, mask->moved * width, LEAT_TANH);
}

/* y = x exp(s) + t;  log|dy/dx| = s: the smallest bijector with two groups and a slope. */
static inline leat_pair test_affine_forward(const leat_elementwise *self, leat_var x, const leat_var *theta)
{
    (void)self;
    return (leat_pair){ leat_add(leat_mul(x, leat_exp(theta[0])), theta[1]), theta[0] };
}

static inline leat_pair test_affine_inverse(const leat_elementwise *self, leat_var y, const leat_var *theta)
{
    (void)self;
    leat_var minus = leat_neg(theta[0]);
    return (leat_pair){ leat_mul(leat_sub(y, theta[1]), leat_exp(minus)), minus };
}

static const leat_elementwise test_affine __attribute__((unused)) = {
    .name = "affine",
    .theta = { { "s", 1 }, { "t", 1 } },
    .forward = test_affine_forward,
    .inverse = test_affine_inverse,
};

/* What so many steps of Adam at 0.01, each on all of x, take off the loss. */
static inline double gain_by_training(leat_flow *f, leat_tensor x, int steps)
{
    leat_optim *adam = leat_adam_new(leat_flow_model(f), &(leat_adam_opts){ .lr = 1e-2 });
    leat_tape *t = test_tape(leat_flow_model(f));
    double first = 0, last = 0;
    for (int step = 0; step < steps; step++) {
        leat_tape_reset(t);
        leat_var loss = leat_neg(leat_mean(leat_flow_log_prob(f, leat_const(t, x))));
        last = leat_item(loss);
        first = step ? first : last;
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(t));
        cr_assert_eq(leat_optim_step(adam), LEAT_OK);
    }
    return first - last;
}

#endif
