/*
 * The elementwise ops: against PyTorch (fixtures/autograd/make_elementwise.py), edges and kinks included, and where the
 * answers are exact.
 */
#include "support.h"

#include <stdio.h>

TestSuite(elementwise, .init = setup, .fini = teardown);

/* ---- against PyTorch --------------------------------------------------------------------------------------------- */

/* A gradient that is made from the value, such as tanh's g (1 - y^2), has y's rounding times g, which is below 4. */
#ifdef LEAT_DOUBLE
static const double relative = 1e-13, absolute = 1e-14;
#else
static const double relative = 1e-6, absolute = 4 * (double)EPS;
#endif

static const leat_op *op_named(const char *name)
{
    for (int i = 0; leat_ops()[i]; i++) {
        if (strcmp(leat_ops()[i]->name, name) == 0)
            return leat_ops()[i];
    }
    return NULL;
}

static leat_tensor fixture(const leat_safetensors *f, const char *op, const char *what)
{
    char name[100];
    snprintf(name, sizeof name, "%s.%s", op, what);
    const leat_tensor *t = leat_safetensors_find(f, name);
    return t ? *t : (leat_tensor){ 0 };
}

static void compare(const char *op, const char *what, leat_tensor x, leat_tensor got, leat_tensor want)
{
    cr_assert(got.data && leat_shape_equal(&got.shape, &want.shape), "%s has no %s", op, what);
    for (int64_t i = 0; i < leat_shape_count(&want.shape); i++) {
        double a = (double)got.data[i], b = (double)want.data[i];
        cr_assert((isnan(a) && isnan(b)) || a == b || fabs(a - b) <= absolute + relative * fabs(b),
                  "%s, %s, element %d at %.9g: %.17g, not %.17g", op, what, (int)i, (double)x.data[i], a, b);
    }
}

static void check_op(const leat_safetensors *f, const char *name)
{
    const leat_op *op = op_named(name);
    cr_assert_not_null(op, "there is no op %s", name);
    leat_tensor x = fixture(f, name, "x"), x2 = fixture(f, name, "x2"), c = fixture(f, name, "c");
    leat_tensor g = fixture(f, name, "g"), dx = fixture(f, name, "dx"), dx2 = fixture(f, name, "dx2");
    leat_var in[] = { leat_input(tape, x), x2.data ? leat_input(tape, x2) : (leat_var){ 0 } };
    leat_var y = leat_apply(op, c.data, 2 * sizeof(leat_real), op->inputs, in, NULL);
    cr_assert(leat_ok(y), "%s", leat_tape_errmsg(tape));
    compare(name, "y", x, leat_value(y), fixture(f, name, "y"));
    leat_code code = leat_vjp(y, g);
    cr_assert_eq(code, LEAT_OK, "%s", leat_tape_errmsg(tape));
    for (int i = 0; i < op->inputs; i++) {
        leat_tensor want = i ? dx2 : dx;
        if (want.data)
            compare(name, i ? "dx2" : "dx", x, leat_grad(in[i]), want);
        else
            cr_assert_null(leat_grad(in[i]).data, "%s has a gradient", name);
    }
    leat_tape_reset(tape);
}

Test(elementwise, is_what_pytorch_computes)
{
    leat_arena arena;
    leat_safetensors f;
    leat_status s = { 0 };
    leat_arena_init(&arena, NULL);
    cr_assert_eq(leat_safetensors_read(LEAT_FIXTURES "/autograd/elementwise.safetensors", &arena, &f, &s), LEAT_OK,
                 "%s", s.message);
    int ops = 0;
    for (int64_t i = 0; i < f.count; i++) {
        const char *name = f.entries[i].name, *dot = strrchr(name, '.');
        if (strcmp(dot, ".y") != 0)
            continue;
        char op[50];
        snprintf(op, sizeof op, "%.*s", (int)(dot - name), name);
        check_op(&f, op);
        ops++;
    }
    cr_assert_eq(ops, 45);
    leat_arena_free(&arena);
}

/* ---- exact values ------------------------------------------------------------------------------------------------ */

static const double six[] = { -2, -1, -0.5, 0, 1, 3 };
static const double ones[] = { 1, 1, 1, 1, 1, 1 };

static leat_var six_numbers(void)
{
    return input(LEAT_SHAPE(6), six);
}

static void check(leat_var y, leat_var x, const double *value, const double *dx)
{
    assert_numbers(y, LEAT_SHAPE(6), value);
    assert_equal(gradient(y, ones, x), dx, 6);
}

Test(elementwise, gradients_at_kinks)
{
    leat_var x = six_numbers();
    check(leat_abs(x), x, NUMBERS(2, 1, 0.5, 0, 1, 3), NUMBERS(-1, -1, -1, 0, 1, 1));
    check(leat_relu(x), x, NUMBERS(0, 0, 0, 0, 1, 3), NUMBERS(0, 0, 0, 0, 1, 1));
    check(leat_leaky_relu(x, 0.25), x, NUMBERS(-0.5, -0.25, -0.125, 0, 1, 3), NUMBERS(0.25, 0.25, 0.25, 0.25, 1, 1));
    check(leat_leaky_relu(x, -2), x, NUMBERS(4, 2, 1, 0, 1, 3), NUMBERS(-2, -2, -2, -2, 1, 1));
    check(leat_clamp(x, -1, 1), x, NUMBERS(-1, -1, -0.5, 0, 1, 1), NUMBERS(0, 1, 1, 1, 1, 0));
    check(leat_clamp(x, 1, -1), x, NUMBERS(-1, -1, -1, -1, -1, -1), NUMBERS(0, 0, 0, 0, 0, 0));
    check(leat_pow_scalar(x, 0), x, ones, NUMBERS(0, 0, 0, 0, 0, 0));
    check(leat_pow_scalar(x, 1), x, six, ones);
    check(leat_pow_scalar(x, 2), x, NUMBERS(4, 1, 0.25, 0, 1, 9), NUMBERS(-4, -2, -1, 0, 2, 6));
    check(leat_pow_scalar(x, 3), x, NUMBERS(-8, -1, -0.125, 0, 1, 27), NUMBERS(12, 3, 0.75, 0, 3, 27));
    check(leat_rsub_scalar(1, x), x, NUMBERS(3, 2, 1.5, 1, 0, -2), NUMBERS(-1, -1, -1, -1, -1, -1));
    check(leat_reciprocal(x), x, (double[]){ -0.5, -1, -2, INF, 1, (double)((leat_real)1 / 3) },
          (double[]){ -0.25, -1, -4, -INF, -1, -(double)(((leat_real)1 / 3) * ((leat_real)1 / 3)) });
    leat_var alpha = leat_elu(x, 2);
    cr_assert(data(alpha)[3] == 0 && data(alpha)[5] == 3);
    cr_assert_eq(gradient(alpha, ones, x)[3], 2);
}

Test(elementwise, equal_numbers_share_the_gradient)
{
    leat_var a = input(LEAT_SHAPE(4), NUMBERS(1, 2, NOT_A_NUMBER, 5));
    leat_var b = input(LEAT_SHAPE(4), NUMBERS(1, 3, 4, NOT_A_NUMBER));
    leat_var most = leat_maximum(a, b), least = leat_minimum(a, b);
    assert_numbers(most, LEAT_SHAPE(4), NUMBERS(1, 3, NOT_A_NUMBER, NOT_A_NUMBER));
    assert_numbers(least, LEAT_SHAPE(4), NUMBERS(1, 2, NOT_A_NUMBER, NOT_A_NUMBER));
    assert_equal(gradient(most, NUMBERS(2, 2, 2, 2), a), NUMBERS(1, 0, 2, 2), 4);
    assert_equal(gradient(most, NUMBERS(2, 2, 2, 2), b), NUMBERS(1, 2, 2, 2), 4);
    assert_equal(gradient(least, NUMBERS(2, 2, 2, 2), a), NUMBERS(1, 2, 2, 2), 4);
    assert_equal(gradient(least, NUMBERS(2, 2, 2, 2), b), NUMBERS(1, 0, 2, 2), 4);
}

Test(elementwise, comparisons_broadcast_and_have_no_gradient)
{
    leat_var a = input(LEAT_SHAPE(2, 1), NUMBERS(1, 2)), b = input(LEAT_SHAPE(3), NUMBERS(1, 2, NOT_A_NUMBER));
    leat_shape s = LEAT_SHAPE(2, 3);
    assert_numbers(leat_eq(a, b), s, NUMBERS(1, 0, 0, 0, 1, 0));
    assert_numbers(leat_ne(a, b), s, NUMBERS(0, 1, 1, 1, 0, 1));
    assert_numbers(leat_lt(a, b), s, NUMBERS(0, 1, 0, 0, 0, 0));
    assert_numbers(leat_le(a, b), s, NUMBERS(1, 1, 0, 0, 1, 0));
    assert_numbers(leat_gt(a, b), s, NUMBERS(0, 0, 0, 1, 0, 0));
    assert_numbers(leat_ge(a, b), s, NUMBERS(1, 0, 0, 1, 1, 0));
    leat_var loss = leat_sum(leat_add(leat_mul(leat_ge(a, b), a), a));
    cr_assert_eq(leat_backward(loss), LEAT_OK, "%s", leat_tape_errmsg(tape));
    assert_equal(leat_grad(a).data, NUMBERS(1 + 3, 2 + 3), 2);
    cr_assert_null(leat_grad(b).data);
}

/* Signs of zero, which comparisons with == do not tell. */
Test(elementwise, zeros_keep_their_sign)
{
    leat_var zero = input(LEAT_SHAPE(1), NUMBERS(-0.0));
    leat_var odd[] = { leat_sin(zero),       leat_erf(zero),       leat_expm1(zero),
                       leat_log1p(zero),     leat_tanh(zero),      leat_gelu(zero),
                       leat_silu(zero),      leat_sqrt(zero),      leat_leaky_relu(zero, 0.5),
                       leat_elu(zero, 0.5),  leat_rsqrt(zero),     leat_pow_scalar(zero, 3),
                       leat_gelu_tanh(zero), leat_reciprocal(zero) };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        cr_assert(signbit(data(odd[i])[0]), "function %d", (int)i);
    cr_assert_not(signbit(data(leat_abs(zero))[0]));
    cr_assert_not(signbit(data(leat_pow_scalar(zero, 2))[0]));
}

/* ---- activations ------------------------------------------------------------------------------------------------- */

#define ROW(NAME, op, constant) { #op, LEAT_##NAME },
static const struct {
    const char *op;
    leat_activation f;
} activations[] = { LEAT_ACTIVATIONS(ROW) };
enum { ACTIVATIONS = sizeof activations / sizeof *activations };

Test(elementwise, activations_have_their_constants)
{
    leat_var x = six_numbers();
    for (int i = 0; i < ACTIVATIONS; i++) {
        leat_real c[2] = { (leat_real)(activations[i].f == LEAT_LEAKY_RELU ? 0.01 : activations[i].f == LEAT_ELU), 0 };
        leat_var y = leat_activate(x, activations[i].f);
        leat_var by_name = leat_apply(op_named(activations[i].op), c, sizeof c, 1, &x, NULL);
        cr_assert_eq(memcmp(data(y), data(by_name), 6 * sizeof(leat_real)), 0, "%s", activations[i].op);
    }
}

/* A fused layer gives the same bits as its parts, and nearly the same gradients: it has them from the value. */
Test(elementwise, activations_of_a_linear_layer)
{
    leat_var w = leat_input(tape, leat_value(leat_randn(tape, LEAT_SHAPE(6, 5)))), absent = { 0 };
    leat_var x = leat_randn(tape, LEAT_SHAPE(7, 5));
    leat_real kept[30];
    for (int i = 0; i < ACTIVATIONS; i++) {
        leat_var y = leat_linear(x, w, absent, activations[i].f);
        leat_var parts = leat_activate(leat_matmul_t(x, w, false, true), activations[i].f);
        cr_assert_eq(memcmp(data(y), data(parts), 42 * sizeof(leat_real)), 0, "%s", activations[i].op);
        memcpy(kept, gradient(y, NULL, w), sizeof kept);
        const leat_real *other = gradient(parts, NULL, w);
        for (int j = 0; j < 30; j++)
            cr_assert_float_eq((double)kept[j], (double)other[j], 100 * (double)EPS, "%s", activations[i].op);
    }
}
