/* Attention in tiles: the numbers and gradients of its formula, written with other ops, and dropout's; the same bits for any
 * number of threads; its memory; its refusals. */
#include "support.h"

TestSuite(scaled_dot_product, .init = setup, .fini = teardown);

typedef struct sizes {
    int64_t batch, queries, places, width, value_width;
    int heads;
    bool causal;
    double dropout;
} sizes;

static const sizes cases[] = {
    { 2, 5, 5, 3, 4, 2, false, 0 },     { 1, 200, 200, 24, 24, 1, false, 0 }, { 2, 130, 97, 7, 33, 3, false, 0 },
    { 1, 97, 193, 5, 2, 2, true, 0 },   { 1, 300, 300, 16, 8, 2, true, 0 },   { 3, 1, 96, 1, 1, 1, false, 0 },
    { 2, 65, 99, 4, 3, 2, false, 0.3 }, { 1, 130, 130, 8, 8, 1, true, 0.5 },  { 1, 40, 1, 2, 2, 1, false, 0.2 },
};
enum { CASES = sizeof cases / sizeof *cases };

/* [batch, length, heads width] -> [batch, heads, length, width] */
static leat_var heads_of(leat_var x, int heads)
{
    int64_t width = leat_var_size(x, 2) / heads;
    return leat_transpose(leat_reshape(x, LEAT_SHAPE(leat_var_size(x, 0), leat_var_size(x, 1), heads, width)), 1, 2);
}

/* The formula, all pairs at once. */
static leat_var composed(leat_var q, leat_var k, leat_var v, const sizes *s)
{
    leat_var scores = leat_bmm_t(leat_mul_scalar(heads_of(q, s->heads), 1 / sqrt((double)s->width)),
                                 heads_of(k, s->heads), false, true);
    leat_var seen = leat_tril(leat_full(q.tape, LEAT_SHAPE(s->queries, s->places), 1), 0);
    if (s->causal)
        scores = leat_where(seen, scores, leat_scalar(q.tape, -1e30));
    leat_var weights = leat_dropout(leat_softmax(scores, -1), s->dropout);
    leat_var y = leat_transpose(leat_bmm(weights, heads_of(v, s->heads)), 1, 2);
    return leat_reshape(y, LEAT_SHAPE(s->batch, s->queries, s->heads * s->value_width));
}

static leat_var tiled(leat_var q, leat_var k, leat_var v, const sizes *s)
{
    return leat_scaled_dot_product_attention(q, k, v, s->heads, s->causal, s->dropout);
}

typedef struct outcome {
    leat_tensor y, grad[3]; /* in the arena */
    uint64_t position;
} outcome;

static leat_tensor copy_of(leat_arena *a, leat_tensor t)
{
    leat_tensor copy = leat_tensor_new(a, t.shape, NULL);
    cr_assert(copy.data && t.data);
    memcpy(copy.data, t.data, (size_t)leat_shape_count(&t.shape) * sizeof *t.data);
    return copy;
}

static outcome run(leat_tape *t, leat_arena *a, const sizes *s,
                   leat_var (*f)(leat_var, leat_var, leat_var, const sizes *))
{
    leat_tape_reset(t);
    *leat_tape_rng(t) = leat_rng_new(3, 7);
    leat_var in[3], g;
    in[0] = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(s->batch, s->queries, s->heads * s->width))));
    in[1] = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(s->batch, s->places, s->heads * s->width))));
    in[2] = leat_input(t, leat_value(leat_randn(t, LEAT_SHAPE(s->batch, s->places, s->heads * s->value_width))));
    g = leat_randn(t, LEAT_SHAPE(s->batch, s->queries, s->heads * s->value_width));
    leat_var y = f(in[0], in[1], in[2], s);
    cr_assert_eq(leat_vjp(y, leat_value(g)), LEAT_OK, "%s", leat_tape_errmsg(t));
    outcome o = { .y = copy_of(a, leat_value(y)), .position = leat_tape_rng(t)->position };
    for (int i = 0; i < 3; i++)
        o.grad[i] = copy_of(a, leat_grad(in[i]));
    return o;
}

static void near(leat_tensor a, leat_tensor b, const char *what, int i)
{
    const double tolerance = sizeof(leat_real) == 8 ? 1e-13 : 2e-5;
    cr_assert(leat_shape_equal(&a.shape, &b.shape));
    for (int64_t j = 0; j < leat_shape_count(&a.shape); j++)
        cr_assert(fabs((double)a.data[j] - (double)b.data[j]) <= tolerance * fmax(1, fabs((double)b.data[j])),
                  "case %d, %s[%d]: %.17g, not %.17g", i, what, (int)j, (double)a.data[j], (double)b.data[j]);
}

Test(scaled_dot_product, is_the_formula)
{
    static const char *const names[] = { "dq", "dk", "dv" };
    leat_arena a;
    leat_arena_init(&a, NULL);
    for (int i = 0; i < CASES; i++) {
        outcome got = run(tape, &a, &cases[i], tiled), want = run(tape, &a, &cases[i], composed);
        near(got.y, want.y, "y", i);
        for (int j = 0; j < 3; j++)
            near(got.grad[j], want.grad[j], names[j], i);
        cr_assert_eq(got.position, want.position, "case %d takes other random numbers", i);
    }
    leat_arena_free(&a);
}

Test(scaled_dot_product, threads_give_the_same_bits)
{
    leat_arena a;
    leat_arena_init(&a, NULL);
    for (int threads = 2; threads <= 5; threads++) {
        leat_pool *pool = leat_pool_new(threads, NULL);
        leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool });
        for (int i = 0; i < CASES; i++) {
            outcome one = run(tape, &a, &cases[i], tiled), several = run(t, &a, &cases[i], tiled);
            for (int j = 0; j < 4; j++) {
                leat_tensor x = j ? one.grad[j - 1] : one.y, y = j ? several.grad[j - 1] : several.y;
                cr_assert_eq(memcmp(x.data, y.data, (size_t)leat_shape_count(&x.shape) * sizeof *x.data), 0);
            }
        }
        leat_tape_free(t);
        leat_pool_free(pool);
    }
    leat_arena_free(&a);
}

/* Of 784 places, all pairs are 614,656 numbers for each head; all that is needed is much less than for one of four. */
Test(scaled_dot_product, does_not_keep_all_pairs)
{
    leat_var x = leat_input(tape, leat_value(leat_randn(tape, LEAT_SHAPE(1, 784, 32))));
    leat_var y = leat_scaled_dot_product_attention(x, x, x, 4, false, 0.1);
    cr_assert_eq(leat_backward(leat_sum(leat_square(y))), LEAT_OK, "%s", leat_tape_errmsg(tape));
    cr_assert_lt(leat_tape_get_stats(tape).peak_bytes, 784 * 784 * sizeof(leat_real));
}

/* Scores beyond what exp can take, rising from tile to tile and falling. */
Test(scaled_dot_product, does_not_overflow)
{
    enum { N = 200 };
    double k[N], v[N];
    for (int sign = -1; sign <= 1; sign += 2) {
        for (int i = 0; i < N; i++)
            k[i] = sign * 100.0 * i, v[i] = i;
        leat_var y = leat_scaled_dot_product_attention(input(LEAT_SHAPE(1, 1, 1), (double[]){ 50 }),
                                                       input(LEAT_SHAPE(1, N, 1), k), input(LEAT_SHAPE(1, N, 1), v), 1,
                                                       false, 0);
        cr_assert_eq(leat_item(y), sign < 0 ? 0 : N - 1);
    }
}

Test(scaled_dot_product, refusals)
{
#define OF(...) leat_full(tape, LEAT_SHAPE(__VA_ARGS__), 1)
#define X       leat_full(tape, LEAT_SHAPE(2, 3, 4), 1)
    assert_refused(leat_scaled_dot_product_attention(X, X, OF(2, 4), 1, false, 0), LEAT_ESHAPE,
                   "not [batch, length, features]");
    assert_refused(leat_scaled_dot_product_attention(X, OF(2, 3, 2), X, 1, false, 0), LEAT_ESHAPE, "do not fit");
    assert_refused(leat_scaled_dot_product_attention(X, OF(1, 3, 4), X, 1, false, 0), LEAT_ESHAPE, "do not fit");
    assert_refused(leat_scaled_dot_product_attention(X, X, OF(2, 5, 4), 1, false, 0), LEAT_ESHAPE, "do not fit");
    assert_refused(leat_scaled_dot_product_attention(X, OF(2, 0, 4), OF(2, 0, 4), 1, false, 0), LEAT_ESHAPE,
                   "there is no place to attend to");
    assert_refused(leat_scaled_dot_product_attention(X, X, OF(2, 3, 6), 4, false, 0), LEAT_ESHAPE,
                   "4 heads do not divide 6 features");
    assert_refused(leat_scaled_dot_product_attention(X, X, X, 0, false, 0), LEAT_ESHAPE, "0 heads do not divide 4");
    assert_refused(leat_scaled_dot_product_attention(X, X, X, 1, false, 2), LEAT_EARG,
                   "the probability is 2, and must be in 0 .. 1");
}
