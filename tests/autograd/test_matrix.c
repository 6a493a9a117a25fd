/* Products of batches, triangles, triangular systems, determinants and inverses: against PyTorch, written out, and at
 * their edges. */
#include "support.h"

#include <stdio.h>

TestSuite(matrix, .init = setup, .fini = teardown);

#define N(...) leat_randn(tape, LEAT_SHAPE(__VA_ARGS__))
#define V(...) ((leat_var[]){ __VA_ARGS__ })

/* ---- PyTorch ----------------------------------------------------------------------------------------------------- */

static leat_var split_product(leat_var x)
{
    leat_var piece[3];
    leat_split(x, 1, 3, 3, piece);
    return leat_mul(piece[2], leat_slice(piece[0], 1, 0, 2));
}

#define PARITY(P)                                                                                                      \
    P(matmul_matrices, 2, leat_matmul(in[0], in[1]))                                                                   \
    P(matmul_vector_matrix, 2, leat_matmul(in[0], in[1]))                                                              \
    P(matmul_matrix_vector, 2, leat_matmul(in[0], in[1]))                                                              \
    P(matmul_vectors, 2, leat_matmul(in[0], in[1]))                                                                    \
    P(matmul_rows, 2, leat_matmul(in[0], in[1]))                                                                       \
    P(matmul_rows_vector, 2, leat_matmul(in[0], in[1]))                                                                \
    P(matmul_vector_batch, 2, leat_matmul(in[0], in[1]))                                                               \
    P(matmul_batch, 2, leat_matmul(in[0], in[1]))                                                                      \
    P(matmul_shared_first, 2, leat_matmul(in[0], in[1]))                                                               \
    P(matmul_broadcast, 2, leat_matmul(in[0], in[1]))                                                                  \
    P(matmul_broadcast_both, 2, leat_matmul(in[0], in[1]))                                                             \
    P(bmm_left, 2, leat_bmm_t(in[0], in[1], true, false))                                                              \
    P(bmm_right, 2, leat_matmul_t(in[0], in[1], false, true))                                                          \
    P(bmm_both, 2, leat_matmul_t(in[0], in[1], true, true))                                                            \
    P(tril, 1, leat_tril(in[0], 1))                                                                                    \
    P(triu, 1, leat_triu(in[0], -1))                                                                                   \
    P(solve0, 2, leat_solve_triangular(in[0], in[1], false, false, false))                                             \
    P(solve1, 2, leat_solve_triangular(in[0], in[1], true, false, false))                                              \
    P(solve2, 2, leat_solve_triangular(in[0], in[1], false, true, false))                                              \
    P(solve3, 2, leat_solve_triangular(in[0], in[1], true, true, false))                                               \
    P(solve4, 2, leat_solve_triangular(in[0], in[1], false, false, true))                                              \
    P(solve5, 2, leat_solve_triangular(in[0], in[1], true, false, true))                                               \
    P(solve6, 2, leat_solve_triangular(in[0], in[1], false, true, true))                                               \
    P(solve7, 2, leat_solve_triangular(in[0], in[1], true, true, true))                                                \
    P(slogdet, 1, leat_slogdet(in[0], NULL))                                                                           \
    P(inverse, 1, leat_inverse(in[0]))                                                                                 \
    P(permute, 1, leat_permute(in[0], ((const int[]){ 2, 0, -1, 1 })))                                                 \
    P(transpose, 1, leat_transpose(in[0], -1, 1))                                                                      \
    P(stack, 3, leat_stack(3, in, -2))                                                                                 \
    P(split, 1, split_product(in[0]))                                                                                  \
    P(pad, 1, leat_pad(in[0], 1, 2, -1, 0.5))                                                                          \
    P(repeat, 1, leat_repeat(in[0], (const int64_t[]){ 2, 1, 3 }))                                                     \
    P(gather, 2, leat_gather(in[0], 1, in[1]))                                                                         \
    P(scatter, 3, leat_scatter(in[0], -1, in[1], in[2]))                                                               \
    P(scatter_add, 3, leat_scatter_add(in[0], 0, in[1], in[2]))

static const struct {
    const char *name;
    int inputs;
} parity[] = {
#define ROW(name, inputs, ...) { #name, inputs },
    PARITY(ROW)
};

static leat_var parity_result(int index, const leat_var *in)
{
    int i = 0;
#define TRY(name, inputs, ...)                                                                                         \
    if (i++ == index)                                                                                                  \
        return __VA_ARGS__;
    PARITY(TRY)
    return in[0];
}

static const leat_tensor *find(const leat_safetensors *f, const char *name, const char *what, int i)
{
    char key[100];
    snprintf(key, sizeof key, i < 0 ? "%s.%s" : "%s.%s%d", name, what, i);
    return leat_safetensors_find(f, key);
}

/* Within 1e-6 of the largest number in float, 1e-14 in double. */
static void assert_close(const char *name, const char *what, const leat_real *got, const leat_tensor *want)
{
    int64_t n = leat_shape_count(&want->shape);
    double largest = 0, tolerance = sizeof(leat_real) == 4 ? 1e-6 : 1e-14;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)want->data[i]));
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabs((double)got[i] - (double)want->data[i]) <= tolerance * largest, "%s, %s %d: %.17g, not %.17g",
                  name, what, (int)i, (double)got[i], (double)want->data[i]);
}

Test(matrix, as_pytorch)
{
    leat_arena arena;
    leat_arena_init(&arena, NULL);
    leat_safetensors f;
    leat_status s = { 0 };
    cr_assert_eq(leat_safetensors_read(LEAT_FIXTURES "/autograd/matrix.safetensors", &arena, &f, &s), LEAT_OK, "%s",
                 s.message);
    for (int i = 0; i < (int)(sizeof parity / sizeof *parity); i++) {
        const char *name = parity[i].name;
        leat_var in[3];
        leat_tape_reset(tape);
        for (int j = 0; j < parity[i].inputs; j++)
            in[j] = leat_input(tape, *find(&f, name, "in", j));
        leat_var y = parity_result(i, in);
        cr_assert(leat_ok(y), "%s: %s", name, leat_tape_errmsg(tape));
        assert_shape(y, find(&f, name, "y", -1)->shape);
        assert_close(name, "element", data(y), find(&f, name, "y", -1));
        cr_assert_eq(leat_vjp(y, *find(&f, name, "w", -1)), LEAT_OK);
        for (int j = 0; j < parity[i].inputs; j++) {
            const leat_tensor *want = find(&f, name, "g", j);
            const leat_real *got = leat_grad(in[j]).data;
            cr_assert_eq(want == NULL, got == NULL, "%s, input %d", name, j);
            if (want)
                assert_close(name, "gradient", got, want);
        }
    }
    leat_var sign;
    leat_slogdet(leat_const(tape, *leat_safetensors_find(&f, "slogdet.in0")), &sign);
    assert_close("slogdet", "sign", data(sign), leat_safetensors_find(&f, "slogdet.sign"));
    leat_arena_free(&arena);
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

/* Every product of a batch has the bits of leat_gemm, whether or not the batch shares a factor. */
Test(matrix, a_batch_is_one_product_after_the_other)
{
    enum { B = 3, M = 7, K = 300, COLUMNS = 5 };
    leat_var a = N(B, M, K), b = N(B, K, COLUMNS), one = N(K, COLUMNS), left = N(M, K);
    leat_var each = leat_bmm(a, b), shared = leat_bmm(a, one), first = leat_bmm(left, b);
    leat_var turned = leat_bmm_t(leat_transpose(a, 1, 2), leat_transpose(b, -1, -2), true, true);
    size_t bytes = M * COLUMNS * sizeof(leat_real);
    for (int i = 0; i < B; i++) {
        leat_var ai = leat_reshape(leat_slice(a, 0, i, 1), LEAT_SHAPE(M, K));
        leat_var bi = leat_reshape(leat_slice(b, 0, i, 1), LEAT_SHAPE(K, COLUMNS));
        int64_t at = i * M * COLUMNS;
        cr_assert_eq(memcmp(data(each) + at, data(leat_matmul(ai, bi)), bytes), 0);
        cr_assert_eq(memcmp(data(turned) + at, data(leat_matmul(ai, bi)), bytes), 0);
        cr_assert_eq(memcmp(data(shared) + at, data(leat_matmul(ai, one)), bytes), 0);
        cr_assert_eq(memcmp(data(first) + at, data(leat_matmul(left, bi)), bytes), 0);
    }
}

/* The gradient of a shared factor is a single chain over all products, as if they were one. */
Test(matrix, gradient_of_a_shared_factor)
{
    leat_var a = leat_input(tape, leat_value(N(4, 3, 5))), b = leat_input(tape, leat_value(N(1, 5, 6)));
    leat_var x = leat_reshape(a, LEAT_SHAPE(12, 5)), w = N(4, 3, 6);
    leat_real want[30];
    gradient(leat_mul(leat_matmul(x, leat_reshape(b, LEAT_SHAPE(5, 6))), leat_reshape(w, LEAT_SHAPE(12, 6))), NULL, b);
    memcpy(want, leat_grad(b).data, sizeof want);
    cr_assert_eq(memcmp(gradient(leat_mul(leat_bmm(a, b), w), NULL, b), want, sizeof want), 0);
    leat_var at = leat_transpose(a, 1, 2); /* not the rows of one matrix any more */
    cr_assert_eq(memcmp(gradient(leat_mul(leat_bmm_t(at, b, true, false), w), NULL, b), want, sizeof want), 0);
    leat_var bt = leat_transpose(b, 1, 2), v = leat_bmm_t(bt, a, false, true);
    cr_assert_eq(memcmp(gradient(leat_mul(v, leat_transpose(w, 1, 2)), NULL, b), want, sizeof want), 0);
}

Test(matrix, products_of_nothing)
{
    assert_shape(leat_bmm(N(0, 2, 3), N(0, 3, 4)), LEAT_SHAPE(0, 2, 4));
    assert_shape(leat_bmm(N(2, 0, 3), N(1, 3, 4)), LEAT_SHAPE(2, 0, 4));
    assert_numbers(leat_bmm(N(2, 1, 0), N(2, 0, 2)), LEAT_SHAPE(2, 1, 2), NUMBERS(0, 0, 0, 0));
    leat_var a = integers(LEAT_SHAPE(1, 2, 1)), b = N(0, 1, 3), c = integers(LEAT_SHAPE(1, 3));
    leat_var y = leat_matmul(a, b);
    assert_shape(y, LEAT_SHAPE(0, 2, 3));
    assert_equal(gradient(y, NULL, a), NUMBERS(0, 0), 2);
    assert_equal(gradient(leat_matmul(N(0, 2, 1), c), NULL, c), NUMBERS(0, 0, 0), 3);
    assert_equal(gradient(leat_bmm(N(0, 2, 1), c), NULL, c), NUMBERS(0, 0, 0), 3);
    assert_numbers(leat_matmul(N(0), N(0)), leat_shape_of(0, NULL), NUMBERS(0));
    assert_numbers(leat_matmul(N(2, 0), N(0)), LEAT_SHAPE(2), NUMBERS(0, 0));
}

Test(matrix, vectors)
{
    leat_var v = input(LEAT_SHAPE(2), NUMBERS(3, 5)), m = input(LEAT_SHAPE(2, 2), NUMBERS(1, 2, 3, 4));
    assert_numbers(leat_matmul(v, v), leat_shape_of(0, NULL), NUMBERS(34));
    assert_equal(gradient(leat_matmul(v, v), NULL, v), NUMBERS(6, 10), 2);
    assert_numbers(leat_matmul(m, v), LEAT_SHAPE(2), NUMBERS(13, 29));
    assert_numbers(leat_matmul(v, m), LEAT_SHAPE(2), NUMBERS(18, 26));
    assert_numbers(leat_matmul_t(m, v, true, false), LEAT_SHAPE(2), NUMBERS(18, 26));
    leat_var batch = leat_stack(2, V(m, leat_neg(m)), 0);
    assert_numbers(leat_matmul(v, batch), LEAT_SHAPE(2, 2), NUMBERS(18, 26, -18, -26));
    assert_numbers(leat_matmul_t(v, batch, false, true), LEAT_SHAPE(2, 2), NUMBERS(13, 29, -13, -29));
    assert_numbers(leat_matmul(batch, v), LEAT_SHAPE(2, 2), NUMBERS(13, 29, -13, -29));
}

/* ---- triangles --------------------------------------------------------------------------------------------------- */

Test(matrix, triangles)
{
    leat_var x = input(LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    assert_numbers(leat_tril(x, 0), LEAT_SHAPE(2, 3), NUMBERS(1, 0, 0, 4, 5, 0));
    assert_numbers(leat_tril(x, 1), LEAT_SHAPE(2, 3), NUMBERS(1, 2, 0, 4, 5, 6));
    assert_numbers(leat_tril(x, -1), LEAT_SHAPE(2, 3), NUMBERS(0, 0, 0, 4, 0, 0));
    assert_numbers(leat_triu(x, 0), LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 0, 5, 6));
    assert_numbers(leat_triu(x, 2), LEAT_SHAPE(2, 3), NUMBERS(0, 0, 3, 0, 0, 0));
    assert_numbers(leat_triu(x, -1), LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    assert_numbers(leat_tril(x, INT32_MAX), LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    assert_numbers(leat_triu(x, INT32_MAX), LEAT_SHAPE(2, 3), NUMBERS(0, 0, 0, 0, 0, 0));
    assert_numbers(leat_tril(x, INT32_MIN), LEAT_SHAPE(2, 3), NUMBERS(0, 0, 0, 0, 0, 0));
    assert_numbers(leat_triu(x, INT32_MIN), LEAT_SHAPE(2, 3), NUMBERS(1, 2, 3, 4, 5, 6));
    leat_var nan = input(LEAT_SHAPE(2, 2), NUMBERS(1, NOT_A_NUMBER, INF, 2)); /* cut off, not multiplied */
    assert_numbers(leat_triu(leat_tril(nan, 0), 0), LEAT_SHAPE(2, 2), NUMBERS(1, 0, 0, 2));
    assert_shape(leat_tril(N(3, 0, 2), 0), LEAT_SHAPE(3, 0, 2));
    assert_shape(leat_triu(N(3, 2, 0), 0), LEAT_SHAPE(3, 2, 0));
}

/* ---- triangular systems ------------------------------------------------------------------------------------------ */

Test(matrix, solutions_and_what_is_read)
{
    const double nan = NOT_A_NUMBER;
    leat_var lower = input(LEAT_SHAPE(2, 2), NUMBERS(2, nan, 1, 4)), upper = leat_transpose(lower, 0, 1);
    leat_var unit = input(LEAT_SHAPE(2, 2), NUMBERS(nan, nan, 3, nan)), b = input(LEAT_SHAPE(2, 1), NUMBERS(6, 11));
    leat_var x = leat_solve_triangular(lower, b, false, false, false);
    assert_numbers(x, LEAT_SHAPE(2, 1), NUMBERS(3, 2));
    assert_equal(gradient(x, NULL, lower), NUMBERS(-1.125, 0, -0.75, -0.5), 4); /* db = 3/8, 1/4 */
    assert_equal(leat_grad(b).data, NUMBERS(0.375, 0.25), 2);
    assert_numbers(leat_solve_triangular(upper, b, true, true, false), LEAT_SHAPE(2, 1), NUMBERS(3, 2));
    assert_numbers(leat_solve_triangular(lower, b, false, true, false), LEAT_SHAPE(2, 1), NUMBERS(1.625, 2.75));
    assert_numbers(leat_solve_triangular(upper, b, true, false, false), LEAT_SHAPE(2, 1), NUMBERS(1.625, 2.75));
    x = leat_solve_triangular(unit, b, false, false, true);
    assert_numbers(x, LEAT_SHAPE(2, 1), NUMBERS(6, -7));
    assert_equal(gradient(x, NULL, unit), NUMBERS(0, 0, -6, 0), 4);
    assert_numbers(leat_solve_triangular(unit, b, false, true, true), LEAT_SHAPE(2, 1), NUMBERS(-27, 11));
    leat_var zero = input(LEAT_SHAPE(2, 2), NUMBERS(0, 9, 1, 1));
    assert_numbers(leat_solve_triangular(zero, b, false, false, false), LEAT_SHAPE(2, 1), NUMBERS(INF, -INF));
    assert_shape(leat_solve_triangular(N(0, 0), N(0, 3), true, false, false), LEAT_SHAPE(0, 3));
    assert_shape(leat_solve_triangular(N(2, 3, 3), N(2, 3, 0), true, false, false), LEAT_SHAPE(2, 3, 0));
}

/* Only A wants a gradient, or only B; A is its own right side. */
Test(matrix, gradients_of_one_side)
{
    leat_var a = input(LEAT_SHAPE(2, 2), NUMBERS(2, 0, 1, 4)), b = input(LEAT_SHAPE(2, 1), NUMBERS(6, 11));
    leat_var only_a = leat_solve_triangular(a, leat_detach(b), false, false, false);
    assert_equal(gradient(only_a, NULL, a), NUMBERS(-1.125, 0, -0.75, -0.5), 4);
    leat_var only_b = leat_solve_triangular(leat_detach(a), b, false, false, false);
    assert_equal(gradient(only_b, NULL, b), NUMBERS(0.375, 0.25), 2);
    leat_var itself = leat_solve_triangular(a, a, false, false, false); /* the identity, whatever the triangle is */
    assert_numbers(itself, LEAT_SHAPE(2, 2), NUMBERS(1, 0, 0, 1));
    assert_equal(gradient(itself, NUMBERS(1, 0, 3, 4), a), NUMBERS(0, -0.5, 0, 0),
                 4); /* above it a is only read as b */
}

/* ---- determinants and inverses ----------------------------------------------------------------------------------- */

Test(matrix, determinants)
{
    leat_var sign, a = input(LEAT_SHAPE(3, 2, 2), NUMBERS(0, 1, 1, 0, 1, 2, 2, 4, -1, 0, 5, -1));
    leat_var log_det = leat_slogdet(a, &sign);
    assert_numbers(log_det, LEAT_SHAPE(3), NUMBERS(0, -INF, 0)); /* an exchange; singular */
    assert_numbers(sign, LEAT_SHAPE(3), NUMBERS(-1, 0, 1));
    cr_assert_null(gradient(leat_mul(sign, sign), NULL, sign));
    leat_var regular = leat_concat(2, V(leat_slice(a, 0, 0, 1), leat_slice(a, 0, 2, 1)), 0);
    assert_equal(gradient(leat_slogdet(regular, NULL), NUMBERS(2, 3), a),
                 NUMBERS(0, 2, 2, 0, 0, 0, 0, 0, -3, -15, 0, -3), 12);
    assert_numbers(leat_slogdet(N(0, 0), &sign), leat_shape_of(0, NULL), NUMBERS(0)); /* log 1 */
    assert_numbers(sign, leat_shape_of(0, NULL), NUMBERS(1));
    assert_numbers(leat_slogdet(N(2, 0, 0), NULL), LEAT_SHAPE(2), NUMBERS(0, 0));
    assert_shape(leat_slogdet(N(0, 3, 3), &sign), LEAT_SHAPE(0));
    assert_numbers(leat_slogdet(leat_full(tape, LEAT_SHAPE(1, 1), -1), &sign), leat_shape_of(0, NULL), NUMBERS(0));
    assert_numbers(sign, leat_shape_of(0, NULL), NUMBERS(-1));
    /* singular in the first column, and zero altogether */
    assert_numbers(leat_slogdet(input(LEAT_SHAPE(3, 3), NUMBERS(0, 1, 2, 0, 3, 4, 0, 5, 6)), &sign),
                   leat_shape_of(0, NULL), NUMBERS(-INF));
    assert_numbers(sign, leat_shape_of(0, NULL), NUMBERS(0));
    assert_numbers(leat_slogdet(leat_zeros(tape, LEAT_SHAPE(3, 3)), &sign), leat_shape_of(0, NULL), NUMBERS(-INF));
    leat_var nan = leat_slogdet(input(LEAT_SHAPE(2, 2), NUMBERS(0, 1, NOT_A_NUMBER, 1)), &sign);
    assert_numbers(nan, leat_shape_of(0, NULL), NUMBERS(NOT_A_NUMBER));
    assert_numbers(sign, leat_shape_of(0, NULL), NUMBERS(NOT_A_NUMBER));
}

/* A determinant that no float holds, and one that takes double to get right. */
Test(matrix, determinants_beyond_the_range)
{
    enum { SIZE = 200 };
    leat_var diagonal = leat_mul_scalar(leat_tril(leat_triu(leat_full(tape, LEAT_SHAPE(SIZE, SIZE), 1), 0), 0), 1000);
    double want = SIZE * log(1000), got = (double)data(leat_slogdet(diagonal, NULL))[0];
    cr_assert(fabs(got - want) <= ((double)EPS + SIZE / 2 * DBL_EPSILON) * want, "%.17g, not %.17g", got, want);
    double small = ldexp(1, -20);
    leat_var close = input(LEAT_SHAPE(2, 2), NUMBERS(1, 1 + small, 1 - small, 1)); /* det = 2^-40 */
    got = (double)data(leat_slogdet(close, NULL))[0];
    cr_assert(fabs(got + 40 * log(2)) <= 64 * (double)EPS, "%.17g", got);
}

Test(matrix, inverses)
{
    leat_var a = input(LEAT_SHAPE(2, 2, 2), NUMBERS(0, 2, 4, 0, 1, 0, -3, 1)), y = leat_inverse(a);
    assert_numbers(y, LEAT_SHAPE(2, 2, 2), NUMBERS(0, 0.25, 0.5, 0, 1, 0, 3, 1));
    assert_equal(gradient(y, NUMBERS(1, 0, 0, 0, 0, 0, 1, 0), a), NUMBERS(0, 0, 0, -0.125, -3, -9, -1, -3), 8);
    assert_shape(leat_inverse(N(0, 0)), LEAT_SHAPE(0, 0));
    assert_shape(leat_inverse(N(3, 0, 0)), LEAT_SHAPE(3, 0, 0));
    assert_shape(leat_inverse(N(0, 2, 2)), LEAT_SHAPE(0, 2, 2));
    assert_numbers(leat_inverse(leat_full(tape, LEAT_SHAPE(1, 1), 4)), LEAT_SHAPE(1, 1), NUMBERS(0.25));
    leat_var singular = leat_inverse(input(LEAT_SHAPE(2, 2), NUMBERS(1, 2, 2, 4)));
    for (int i = 0; i < 4; i++)
        cr_assert_not(isfinite(data(singular)[i]));
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

Test(matrix, refusals)
{
    leat_var scalar = leat_scalar(tape, 1);
    assert_refused(leat_bmm(N(2, 3), scalar), LEAT_ESHAPE, "bmm [2,3] x []: the second factor is no matrix");
    assert_refused(leat_bmm(N(3), N(3, 2)), LEAT_ESHAPE, "bmm [3] x [3,2]: the first factor is no matrix");
    assert_refused(leat_bmm(N(2, 2, 3), N(2, 2, 3)), LEAT_ESHAPE, "bmm [2,2,3] x [2,2,3]: inner sizes differ: 3 and 2");
    assert_refused(leat_bmm_t(N(2, 2, 3), N(2, 3, 2), true, false), LEAT_ESHAPE,
                   "bmm [2,2,3] x [2,3,2]: inner sizes differ: 2 and 3, after transposing");
    assert_refused(leat_matmul(N(2, 2, 3), N(3, 3, 2)), LEAT_ESHAPE,
                   "bmm [2,2,3] x [3,3,2]: the leading axes do not broadcast");
    assert_refused(leat_matmul(N(3), N(2, 2, 3)), LEAT_ESHAPE, "bmm [1,3] x [2,2,3]: inner sizes differ: 3 and 2");
    assert_refused(leat_tril(N(3), 0), LEAT_ESHAPE, "tril [3]: it is no matrix");
    assert_refused(leat_triu(leat_scalar(tape, 1), 0), LEAT_ESHAPE, "triu []: it is no matrix");
    assert_refused(leat_solve_triangular(N(2, 3), N(2, 1), true, false, false), LEAT_ESHAPE,
                   "solve_triangular [2,3] x [2,1]: the first is no square matrix");
    assert_refused(leat_solve_triangular(N(2, 2), N(3, 1), true, false, false), LEAT_ESHAPE,
                   "solve_triangular [2,2] x [3,1]: the sizes differ elsewhere than on the last axis");
    assert_refused(leat_solve_triangular(N(2, 2), N(2), true, false, false), LEAT_ESHAPE,
                   "solve_triangular [2,2] x [2]: the sizes differ elsewhere than on the last axis");
    assert_refused(leat_solve_triangular(N(2, 2), N(5, 2, 1), true, false, false), LEAT_ESHAPE,
                   "solve_triangular [2,2] x [5,2,1]: the sizes differ elsewhere than on the last axis");
    assert_refused(leat_slogdet(N(2, 3), NULL), LEAT_ESHAPE, "slogdet [2,3]: it is no square matrix");
    leat_var sign = leat_scalar(tape, 1);
    leat_var log_det = leat_slogdet(N(3), &sign);
    cr_assert_not(leat_ok(sign));
    assert_refused(log_det, LEAT_ESHAPE, "slogdet [3]: it is no square matrix");
    assert_refused(leat_inverse(N(2, 3, 2)), LEAT_ESHAPE, "inverse [2,3,2]: it is no square matrix");
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { BATCH = 40, SIZE = 24, WIDE = 500, NUMBERS_OUT = BATCH * SIZE * SIZE + SIZE * WIDE + 64 * 300 * 2 };

static void all_of_them(leat_tape *t, leat_real *out)
{
    leat_var a = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(BATCH, SIZE, SIZE))));
    leat_var one = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(SIZE, SIZE))));
    leat_var large = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(2, 300, 64))));
    leat_var unit = leat_mul_scalar(leat_tril(one, -1), 0.1);
    leat_var y = leat_bmm_t(leat_inverse(a), leat_bmm(one, a), true, true);
    leat_var x = leat_solve_triangular(unit, leat_randn(t, LEAT_SHAPE(SIZE, WIDE)), false, true, true);
    leat_var z = leat_matmul_t(large, leat_permute(large, (const int[]){ 0, 1, 2 }), false, true);
    leat_var terms[] = { leat_sum(leat_tanh(y)), leat_sum(leat_square(x)), leat_sum(leat_slogdet(a, NULL)),
                         leat_mul_scalar(leat_sum(leat_square(z)), 1e-3) };
    cr_assert_eq(leat_backward(leat_sum(leat_stack(4, terms, 0))), LEAT_OK, "%s", leat_tape_errmsg(t));
    memcpy(out, leat_grad(a).data, BATCH * SIZE * SIZE * sizeof *out);
    memcpy(out += BATCH * SIZE * SIZE, leat_value(x).data, SIZE * WIDE * sizeof *out);
    memcpy(out += SIZE * WIDE, leat_grad(large).data, 64 * 300 * 2 * sizeof *out);
}

Test(matrix, threads_do_not_change_a_bit)
{
    static leat_real want[NUMBERS_OUT], got[NUMBERS_OUT];
    for (int threads = 1; threads <= 3; threads++) {
        leat_pool *pool = leat_pool_new(threads, NULL);
        leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool, .seed = 4 });
        all_of_them(t, threads == 1 ? want : got);
        cr_assert(threads == 1 || memcmp(want, got, sizeof want) == 0, "%d threads", threads);
        leat_tape_free(t);
        leat_pool_free(pool);
    }
}
