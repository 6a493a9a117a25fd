/* Convolutions of images: against PyTorch, as a layer of the tape, and what they refuse. Their gradients are checked with
 * all ops' (test_gradients.c), the bits of kernels and threads in tests/tensor/test_convolution.c. */
#include "support.h"

#include <stdio.h>

TestSuite(conv, .init = setup, .fini = teardown);

#define N(...) leat_randn(tape, LEAT_SHAPE(__VA_ARGS__))
#define ABSENT ((leat_var){ 0 })

static const struct {
    const char *name;
    leat_conv2d_opts o;
} parity[] = {
    { "plain", { .stride = { 1, 1 } } },
    { "same", { .padding = { 1, 1 } } },
    { "thin", { .padding = { 1, 1 } } },
    { "strided", { .stride = { 2, 3 }, .padding = { 1, 0 } } },
    { "even", { .stride = { 2, 2 }, .padding = { 1, 1 } } },
    { "one", { .stride = { 1, 1 } } },
    { "one_strided", { .stride = { 2, 2 }, .padding = { 1, 1 } } },
    { "large_kernel", { .padding = { 2, 3 } } },
    { "rectified", { .padding = { 1, 1 }, .activation = LEAT_RELU } },
    { "tanh", { .padding = { 2, 2 }, .activation = LEAT_TANH } },
    { "silu", { .activation = LEAT_SILU } },
};

static leat_safetensors fixture(leat_arena *arena)
{
    leat_safetensors f;
    leat_status s = { 0 };
    cr_assert_eq(leat_safetensors_read(LEAT_FIXTURES "/autograd/conv.safetensors", arena, &f, &s), LEAT_OK, "%s",
                 s.message);
    return f;
}

static const leat_tensor *find(const leat_safetensors *f, const char *name, const char *what)
{
    char key[100];
    snprintf(key, sizeof key, "%s.%s", name, what);
    const leat_tensor *t = leat_safetensors_find(f, key);
    cr_assert_not_null(t, "%s", key);
    return t;
}

/* Within 1e-6 of the largest: the file has floats. */
static void assert_close(const leat_safetensors *f, const char *name, const char *what, leat_tensor got)
{
    const leat_tensor *want = find(f, name, what);
    cr_assert(leat_shape_equal(&got.shape, &want->shape), "%s.%s", name, what);
    double largest = 0;
    int64_t n = leat_shape_count(&want->shape);
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)want->data[i]));
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabs((double)got.data[i] - (double)want->data[i]) <= 1e-6 * largest, "%s.%s, %d: %.9g, not %.9g",
                  name, what, (int)i, (double)got.data[i], (double)want->data[i]);
}

Test(conv, as_pytorch)
{
    leat_arena arena;
    leat_arena_init(&arena, NULL);
    leat_safetensors f = fixture(&arena);
    for (int i = 0; i < (int)(sizeof parity / sizeof *parity); i++) {
        const char *name = parity[i].name;
        leat_tape_reset(tape);
        leat_var x = leat_input(tape, *find(&f, name, "x")), w = leat_input(tape, *find(&f, name, "weight"));
        leat_var bias = leat_input(tape, *find(&f, name, "bias")), y = leat_conv2d(x, w, bias, &parity[i].o);
        cr_assert(leat_ok(y), "%s: %s", name, leat_tape_errmsg(tape));
        assert_close(&f, name, "y", leat_value(y));
        cr_assert_eq(leat_vjp(y, *find(&f, name, "w")), LEAT_OK);
        assert_close(&f, name, "dx", leat_grad(x));
        assert_close(&f, name, "dweight", leat_grad(w));
        assert_close(&f, name, "dbias", leat_grad(bias));
    }
    leat_arena_free(&arena);
}

/* A kernel of one place is a linear layer over the channels, to the bit. */
Test(conv, of_one_place_is_linear)
{
    leat_var x = leat_input(tape, leat_value(N(2, 5, 3, 7))), w = leat_input(tape, leat_value(N(9, 7))), bias = N(9);
    leat_var square = leat_reshape(w, LEAT_SHAPE(9, 7, 1, 1));
    leat_var y = leat_conv2d(x, square, bias, &(leat_conv2d_opts){ .activation = LEAT_RELU });
    leat_var linear = leat_linear(x, w, bias, LEAT_RELU);
    cr_assert_eq(memcmp(data(y), data(linear), (size_t)count(y) * sizeof(leat_real)), 0);
    leat_real dx[2 * 5 * 3 * 7], dw[9 * 7];
    memcpy(dx, gradient(y, NULL, x), sizeof dx);
    memcpy(dw, leat_grad(w).data, sizeof dw);
    cr_assert_eq(memcmp(gradient(linear, NULL, x), dx, sizeof dx), 0);
    cr_assert_eq(memcmp(leat_grad(w).data, dw, sizeof dw), 0);
}

Test(conv, written_out)
{
    leat_var x = input(LEAT_SHAPE(1, 2, 3, 1), NUMBERS(1, 2, 3, 4, 5, 6));
    leat_var w = input(LEAT_SHAPE(1, 1, 2, 2), NUMBERS(1, 10, 100, 1000));
    assert_numbers(leat_conv2d(x, w, ABSENT, NULL), LEAT_SHAPE(1, 1, 2, 1), NUMBERS(5421, 6532));
    leat_var bias = input(LEAT_SHAPE(1), NUMBERS(-500));
    leat_var y = leat_conv2d(x, w, bias, &(leat_conv2d_opts){ { 1, 2 }, { 1, 1 }, LEAT_RELU });
    assert_numbers(y, LEAT_SHAPE(1, 3, 2, 1), NUMBERS(500, 2700, 3510, 6032, 0, 0));
    assert_equal(gradient(y, NULL, x), NUMBERS(1010, 101, 1010, 1000, 100, 1000), 6);
    assert_equal(leat_grad(w).data, NUMBERS(2, 4, 7, 14), 4);
    assert_equal(leat_grad(bias).data, NUMBERS(4), 1);
}

Test(conv, of_nothing)
{
    leat_var x = leat_input(tape, (leat_tensor){ NULL, LEAT_SHAPE(0, 4, 4, 2) }), w = integers(LEAT_SHAPE(3, 2, 3, 3));
    leat_var y = leat_conv2d(x, w, ABSENT, &(leat_conv2d_opts){ .padding = { 1, 1 } });
    assert_shape(y, LEAT_SHAPE(0, 4, 4, 3));
    const leat_real *dw = gradient(y, NULL, w);
    for (int i = 0; i < 54; i++)
        cr_assert_eq(dw[i], 0);
    /* no channel in: the bias alone */
    leat_var bias = input(LEAT_SHAPE(2), NUMBERS(3, -4));
    y = leat_conv2d(N(1, 1, 2, 0), N(2, 0, 1, 1), bias, NULL);
    assert_numbers(y, LEAT_SHAPE(1, 1, 2, 2), NUMBERS(3, -4, 3, -4));
}

/* The padding takes part: an infinite weight beside it makes NaN, everywhere alike. */
Test(conv, padding_is_multiplied)
{
    leat_var x = input(LEAT_SHAPE(1, 1, 2, 1), NUMBERS(1, 1));
    leat_var w = input(LEAT_SHAPE(1, 1, 1, 3), NUMBERS(INF, 1, 1));
    leat_var y = leat_conv2d(x, w, ABSENT, &(leat_conv2d_opts){ .padding = { 0, 1 } });
    assert_numbers(y, LEAT_SHAPE(1, 1, 2, 1), NUMBERS(NOT_A_NUMBER, INF));
}

#define LARGE (PTRDIFF_MAX / (int64_t)sizeof(leat_real))
#define EMPTY leat_const(tape, (leat_tensor){ NULL, LEAT_SHAPE(0, 3, 3, LARGE / 10) })

Test(conv, refusals)
{
    const leat_conv2d_opts backwards = { .stride = { 1, -2 } }, wide = { .padding = { 1, 1 } };
    leat_var none = ABSENT;
    assert_refused(leat_conv2d(N(4, 4, 2), N(3, 2, 3, 3), none, NULL), LEAT_ESHAPE,
                   "conv2d [4,4,2] x [3,2,3,3] x -: the input is not [batch, height, width, channels]");
    assert_refused(leat_conv2d(N(1, 4, 4, 2), N(3, 2), none, NULL), LEAT_ESHAPE,
                   "conv2d [1,4,4,2] x [3,2] x -: the weight is not [out, in, height, width]");
    assert_refused(leat_conv2d(N(1, 4, 4, 2), N(3, 2, 0, 1), none, NULL), LEAT_ESHAPE, "of at least one tap");
    assert_refused(leat_conv2d(N(1, 4, 4, 2), N(3, 4, 3, 3), none, NULL), LEAT_ESHAPE,
                   "conv2d [1,4,4,2] x [3,4,3,3] x -: the input has 2 channels, the weight takes 4");
    assert_refused(leat_conv2d(N(1, 4, 4, 2), N(3, 2, 3, 3), N(2), NULL), LEAT_ESHAPE,
                   "conv2d [1,4,4,2] x [3,2,3,3] x [2]: the bias is not [3], one for each output");
    assert_refused(leat_conv2d(N(1, 1, 4, 2), N(3, 2, 5, 3), none, &wide), LEAT_ESHAPE,
                   "the kernel is larger than the padded image, [1,3,6,2]");
    assert_refused(leat_conv2d(N(1, 4, 4, 2), N(3, 2, 3, 3), none, &backwards), LEAT_EARG,
                   "stride 1, -2 and padding 0, 0 must not be negative");
    assert_refused(leat_conv2d(EMPTY, leat_zeros(tape, LEAT_SHAPE(0, LARGE / 10, 1, 1)), none, &wide), LEAT_ENOMEM,
                   "no memory could hold the padded image");
}
