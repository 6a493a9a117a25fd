/* The same numbers as PyTorch, values and gradients: fixtures/autograd/make_reduce.py says what each one holds. */
#include "support.h"

#include <stdio.h>

TestSuite(reduce_parity, .init = setup, .fini = teardown);

#ifdef LEAT_DOUBLE
#define CLOSE 1e-12
#else
#define CLOSE 1e-6
#endif

static leat_arena arena;

static leat_safetensors fixture(void)
{
    leat_safetensors f;
    leat_status s = { 0 };
    leat_arena_init(&arena, NULL);
    leat_code code = leat_safetensors_read(LEAT_FIXTURES "/autograd/reduce.safetensors", &arena, &f, &s);
    cr_assert_eq(code, LEAT_OK, "%s", s.message);
    return f;
}

static leat_tensor get(const leat_safetensors *f, const char *name, const char *what)
{
    char key[100];
    snprintf(key, sizeof key, "%s.%s", name, what);
    const leat_tensor *t = leat_safetensors_find(f, key);
    cr_assert_not_null(t, "%s", key);
    return *t;
}

/* Relative to each number, or to a tenth of the largest, where sums cancel. */
static void assert_near(leat_tensor got, leat_tensor want, const char *name, const char *what)
{
    char have[LEAT_SHAPE_TEXT], need[LEAT_SHAPE_TEXT];
    cr_assert(leat_shape_equal(&got.shape, &want.shape), "%s.%s: %s, not %s", name, what,
              leat_shape_print(&got.shape, have), leat_shape_print(&want.shape, need));
    double largest = 0;
    for (int64_t i = 0; i < leat_shape_count(&want.shape); i++)
        largest = fmax(largest, fabs((double)want.data[i]));
    for (int64_t i = 0; i < leat_shape_count(&want.shape); i++) {
        double x = (double)want.data[i], scale = fmax(fabs(x), 0.1 * largest);
        cr_assert(fabs((double)got.data[i] - x) <= CLOSE * scale, "%s.%s, element %d: %.9g, not %.9g", name, what,
                  (int)i, (double)got.data[i], x);
    }
}

typedef leat_var function(const leat_var *in, leat_var *second);

#define CASE(name, expression)                                                                                         \
    static leat_var name(const leat_var *in, leat_var *second)                                                         \
    {                                                                                                                  \
        (void)second;                                                                                                  \
        return expression;                                                                                             \
    }
CASE(amax, leat_amax(in[0], AXES(0, 2), false))
CASE(amin, leat_amin(in[0], AXES(1), false))
CASE(prod, leat_prod(in[0], AXES(1), false))
CASE(variance_rows, leat_variance(in[0], AXES(1, 2), false, 0))
CASE(variance_columns, leat_variance(in[0], AXES(0), false, 1))
CASE(softmax, leat_softmax(in[0], -1))
CASE(softmax_first, leat_softmax(in[0], 0))
CASE(log_softmax, leat_log_softmax(in[0], -1))
CASE(log_softmax_middle, leat_log_softmax(in[0], 1))
CASE(cumsum, leat_cumsum(in[0], 1))
CASE(flip, leat_flip(in[0], AXES(0, 2)))
CASE(affine_forward, leat_affine_forward(in[0], in[1], in[2], second))
CASE(affine_inverse, leat_affine_inverse(in[0], in[1], in[2], second))
CASE(normal_log_density, leat_normal_log_density(in[0]))
CASE(logistic_log_density, leat_logistic_log_density(in[0]))

static const struct {
    const char *name;
    function *f;
    int inputs;
} cases[] = {
    { "amax", amax, 1 },
    { "amin", amin, 1 },
    { "prod", prod, 1 },
    { "variance_rows", variance_rows, 1 },
    { "variance_columns", variance_columns, 1 },
    { "softmax", softmax, 1 },
    { "softmax_first", softmax_first, 1 },
    { "log_softmax", log_softmax, 1 },
    { "log_softmax_middle", log_softmax_middle, 1 },
    { "cumsum", cumsum, 1 },
    { "flip", flip, 1 },
    { "affine_forward", affine_forward, 3 },
    { "affine_inverse", affine_inverse, 3 },
    { "normal_log_density", normal_log_density, 1 },
    { "logistic_log_density", logistic_log_density, 1 },
};

Test(reduce_parity, values_and_gradients)
{
    static const char *const names[] = { "x", "s", "t" }, *const gradients[] = { "dx", "ds", "dt" };
    leat_safetensors f = fixture();
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        const char *name = cases[i].name;
        leat_tape_reset(tape);
        leat_var in[3], second = { 0 };
        for (int j = 0; j < cases[i].inputs; j++)
            in[j] = leat_input(tape, get(&f, name, names[j]));
        leat_var y = cases[i].f(in, &second);
        cr_assert(leat_ok(y), "%s", leat_tape_errmsg(tape));
        assert_near(leat_value(y), get(&f, name, "y"), name, "y");
        leat_var loss = leat_sum(leat_mul(y, leat_const(tape, get(&f, name, "w"))));
        if (!leat_is_absent(second)) {
            assert_near(leat_value(second), get(&f, name, "y2"), name, "y2");
            loss = leat_add(loss, leat_sum(leat_mul(second, leat_const(tape, get(&f, name, "w2")))));
        }
        cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(tape));
        for (int j = 0; j < cases[i].inputs; j++)
            assert_near(leat_grad(in[j]), get(&f, name, gradients[j]), name, gradients[j]);
    }
    leat_arena_free(&arena);
}

Test(reduce_parity, searchsorted)
{
    leat_safetensors f = fixture();
    leat_var sorted = leat_const(tape, get(&f, "searchsorted", "x"));
    leat_var values = leat_const(tape, get(&f, "searchsorted", "v"));
    leat_tensor left = leat_value(leat_searchsorted(sorted, values, false)), want = get(&f, "searchsorted", "left");
    leat_tensor right = leat_value(leat_searchsorted(sorted, values, true)), more = get(&f, "searchsorted", "right");
    for (int64_t i = 0; i < leat_shape_count(&want.shape); i++) {
        cr_assert_eq(left.data[i], want.data[i], "left, element %d", (int)i);
        cr_assert_eq(right.data[i], more.data[i], "right, element %d", (int)i);
    }
    leat_arena_free(&arena);
}
