/*
 * Matrix products, and the linear layer that is one with a bias and an activation in its epilogue. Every gradient is a
 * product again, with the transposes left to leat_gemm, so nothing is ever transposed in memory.
 */
#include "ops.h"

/* A matrix as it is stored, with row stride ld, and whether its transpose is meant. */
typedef struct factor {
    const leat_real *data;
    int64_t ld;
    bool trans;
} factor;

static factor transposed(factor f)
{
    f.trans = !f.trans;
    return f;
}

/* out [m, n] = a [m, k] b [k, n] */
static leat_gemm_args product(int64_t m, int64_t k, int64_t n, factor a, factor b, leat_real *out)
{
    return (leat_gemm_args){ .trans_a = a.trans,
                             .trans_b = b.trans,
                             .m = m,
                             .n = n,
                             .k = k,
                             .lda = a.ld,
                             .ldb = b.ld,
                             .ldc = n,
                             .a = a.data,
                             .b = b.data,
                             .c = out };
}

static void multiply(leat_call *c, int count, const leat_gemm_args *g)
{
    if (leat_gemm_several(leat_tape_pool(c->tape), leat_tape_scratch(c->tape), count, g))
        leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
}

/* Sizes that the samples use: m, k, n around the edges of tiles, and empty ones. */
static const int64_t samples[][3] = {
    { 2, 3, 4 },  { 1, 1, 1 },  { 7, 8, 9 }, { 15, 16, 17 }, { 6, 1, 16 },
    { 17, 9, 1 }, { 1, 33, 5 }, { 0, 3, 2 }, { 3, 0, 2 },    { 2, 3, 0 },
};
enum { SAMPLES = sizeof samples / sizeof *samples };

/* ---- matmul ------------------------------------------------------------------------------------------------------ */

typedef struct matmul_attributes {
    bool trans_a, trans_b;
} matmul_attributes;

/* C [m, n] = A [m, k] B [k, n]; all leading axes of A together are its rows. */
typedef struct matmul_parts {
    int64_t m, k, n;
    factor a, b;
} matmul_parts;

static matmul_parts parts_of(const leat_call *c)
{
    const matmul_attributes *t = c->attributes;
    leat_extent a = leat_extent_at(&c->in[0].shape, -1), b = leat_extent_at(&c->in[1].shape, -1);
    if (c->in[1].shape.rank == 1) /* a vector is a column */
        b = (leat_extent){ b.size, 1, 1 };
    return (matmul_parts){
        .m = t->trans_a ? a.size : a.outer,
        .k = t->trans_a ? a.outer : a.size,
        .n = t->trans_b ? b.outer : b.size,
        .a = { c->in[0].data, a.size, t->trans_a },
        .b = { c->in[1].data, b.size, t->trans_b },
    };
}

static leat_code matmul_shape(leat_call *c)
{
    const matmul_attributes *t = c->attributes;
    const leat_shape *a = &c->in[0].shape, *b = &c->in[1].shape;
    if (t->trans_a ? a->rank != 2 : a->rank < 1)
        return leat_call_fail(c, LEAT_ESHAPE, "the first factor is no matrix");
    if (t->trans_b ? b->rank != 2 : b->rank < 1 || b->rank > 2)
        return leat_call_fail(c, LEAT_ESHAPE, "the second factor is no matrix");
    matmul_parts p = parts_of(c);
    int64_t k = b->size[t->trans_b ? 1 : 0];
    if (p.k != k)
        return leat_call_fail(c, LEAT_ESHAPE, "inner sizes differ: %lld and %lld%s", (long long)p.k, (long long)k,
                              t->trans_a || t->trans_b ? ", after transposing" : "");
    c->out[0].shape = *a;
    if (t->trans_a)
        c->out[0].shape.size[0] = p.m;
    c->out[0].shape.size[a->rank - 1] = p.n;
    if (b->rank == 1)
        c->out[0].shape.rank--;
    return LEAT_OK;
}

static void matmul_forward(leat_call *c)
{
    matmul_parts p = parts_of(c);
    leat_gemm_args g = product(p.m, p.k, p.n, p.a, p.b, c->out[0].data);
    multiply(c, 1, &g);
}

/* C = A B gives dA = G B^T and dB = A^T G. A factor that is stored transposed gets the transpose of that. */
static void matmul_backward(leat_call *c)
{
    matmul_parts p = parts_of(c);
    factor g = { c->dout[0].data, p.n, false };
    leat_real *da = c->din[0].data, *db = c->din[1].data;
    leat_gemm_args products[2];
    int n = 0;
    if (da)
        products[n++] =
            p.a.trans ? product(p.k, p.n, p.m, p.b, transposed(g), da) : product(p.m, p.n, p.k, g, transposed(p.b), da);
    if (db)
        products[n++] =
            p.b.trans ? product(p.n, p.m, p.k, transposed(g), p.a, db) : product(p.k, p.m, p.n, transposed(p.a), g, db);
    multiply(c, n, products);
}

static bool matmul_sample(leat_case *k, int i)
{
    static const matmul_attributes transposes[] = {
        { false, false }, { false, true }, { true, false }, { true, true }
    };
    if (i > 4 * SAMPLES + 3)
        return false;
    const int64_t *size = samples[i / 4 % SAMPLES];
    const matmul_attributes *t = &transposes[i < 4 * SAMPLES ? i % 4 : 0];
    k->n = 2;
    k->in[0] = leat_case_normal(k, t->trans_a ? LEAT_SHAPE(size[1], size[0]) : LEAT_SHAPE(size[0], size[1]));
    k->in[1] = leat_case_normal(k, t->trans_b ? LEAT_SHAPE(size[2], size[1]) : LEAT_SHAPE(size[1], size[2]));
    if (i == 4 * SAMPLES || i == 4 * SAMPLES + 1)
        k->in[0] = leat_case_normal(k, LEAT_SHAPE(2, 3, size[1]));
    if (i == 4 * SAMPLES + 2)
        k->in[0] = leat_case_normal(k, LEAT_SHAPE(size[1]));
    if (i > 4 * SAMPLES)
        k->in[1] = leat_case_normal(k, LEAT_SHAPE(size[1]));
    k->attributes = t;
    k->attributes_size = sizeof *t;
    return true;
}

LEAT_OP(matmul, .inputs = 2, .unread = LEAT_UNREAD_OUTPUTS);

leat_var leat_matmul(leat_var a, leat_var b)
{
    return leat_matmul_t(a, b, false, false);
}

/* A vector times a batch of matrices: a row for each, whose axis goes again. */
static leat_var vector_times_batch(leat_var a, leat_var b, bool trans_b)
{
    leat_shape row = leat_var_shape(a), out;
    leat_var y = leat_bmm_t(leat_reshape(a, LEAT_SHAPE(1, row.size[0])), b, false, trans_b);
    out = leat_var_shape(y);
    if (leat_ok(y)) {
        out.size[out.rank - 2] = out.size[out.rank - 1];
        out.rank--;
    }
    return leat_reshape(y, out);
}

leat_var leat_matmul_t(leat_var a, leat_var b, bool trans_a, bool trans_b)
{
    int rank_a = leat_var_shape(a).rank, rank_b = leat_var_shape(b).rank;
    if (rank_b > 2 && rank_a == 1 && !trans_a)
        return vector_times_batch(a, b, trans_b);
    if (rank_b > 2 || (rank_a > 2 && trans_a))
        return leat_bmm_t(a, b, trans_a, trans_b);
    matmul_attributes t = { trans_a, trans_b };
    return leat_apply(&leat_op_matmul, &t, sizeof t, 2, (leat_var[]){ a, b }, NULL);
}

/* ---- linear ------------------------------------------------------------------------------------------------------ */

/* y [rows, out] = act(x [rows, in] w^T + bias), w stored [out, in]. */
typedef struct linear_parts {
    int64_t rows, in, out;
    factor x, w;
    leat_activation act;
} linear_parts;

static linear_parts linear_parts_of(const leat_call *c)
{
    leat_extent x = leat_extent_at(&c->in[0].shape, -1);
    return (linear_parts){
        .rows = x.outer,
        .in = x.size,
        .out = c->in[1].shape.size[0],
        .x = { c->in[0].data, x.size, false },
        .w = { c->in[1].data, x.size, false },
        .act = *(const leat_activation *)c->attributes,
    };
}

static leat_code linear_shape(leat_call *c)
{
    const leat_shape *x = &c->in[0].shape, *w = &c->in[1].shape, *bias = &c->in[2].shape;
    if (x->rank < 1)
        return leat_call_fail(c, LEAT_ESHAPE, "the input has no feature axis");
    if (w->rank != 2)
        return leat_call_fail(c, LEAT_ESHAPE, "the weight is no matrix");
    if (x->size[x->rank - 1] != w->size[1])
        return leat_call_fail(c, LEAT_ESHAPE, "the input has %lld features, the weight takes %lld",
                              (long long)x->size[x->rank - 1], (long long)w->size[1]);
    if (c->in[2].data && (bias->rank != 1 || bias->size[0] != w->size[0]))
        return leat_call_fail(c, LEAT_ESHAPE, "the bias is not [%lld], one for each output", (long long)w->size[0]);
    c->out[0].shape = *x;
    c->out[0].shape.size[x->rank - 1] = w->size[0];
    return LEAT_OK;
}

static void linear_forward(leat_call *c)
{
    linear_parts p = linear_parts_of(c);
    leat_gemm_args g = product(p.rows, p.in, p.out, p.x, transposed(p.w), c->out[0].data);
    g.bias = c->in[2].data;
    g.activation = p.act;
    multiply(c, 1, &g);
}

const leat_real *leat_call_before_activation(leat_call *c, leat_activation act)
{
    const leat_real *y = c->out[0].data, *g = c->dout[0].data;
    if (act == LEAT_IDENTITY)
        return g;
    int64_t count = leat_shape_count(&c->out[0].shape);
    leat_real *before = leat_call_scratch(c, (size_t)count * sizeof *before);
    leat_activation_op f = leat_activation_op_of(act);
    if (before)
        leat_unary_backward(leat_tape_pool(c->tape), f.unary, f.k, y, y, g, before, count);
    return before;
}

/* sum [1, n] of the rows of g [rows, n], as a product with ones; false when out of memory. */
static bool sum_of_rows(leat_call *c, int64_t rows, factor g, leat_real *sum, leat_gemm_args *out)
{
    leat_real *ones = leat_call_scratch(c, (size_t)rows * sizeof *ones);
    if (ones) {
        leat_kernels_get()->fill(ones, rows, 1);
        *out = product(1, rows, g.ld, (factor){ ones, rows, false }, g, sum);
    }
    return ones;
}

void leat_call_sum_rows(leat_call *c, int64_t rows, int64_t n, const leat_real *g, leat_real *sum)
{
    leat_gemm_args product;
    if (sum_of_rows(c, rows, (factor){ g, n, false }, sum, &product))
        multiply(c, 1, &product);
}

static void linear_backward(leat_call *c)
{
    linear_parts p = linear_parts_of(c);
    factor g = { leat_call_before_activation(c, p.act), p.out, false };
    if (!g.data)
        return;
    leat_gemm_args products[3];
    int n = 0;
    if (c->din[0].data)
        products[n++] = product(p.rows, p.out, p.in, g, p.w, c->din[0].data);
    if (c->din[1].data)
        products[n++] = product(p.out, p.rows, p.in, transposed(g), p.x, c->din[1].data);
    if (c->din[2].data && !sum_of_rows(c, p.rows, g, c->din[2].data, &products[n++]))
        return;
    multiply(c, n, products);
}

static bool linear_sample(leat_case *k, int i)
{
    static const leat_activation identity = LEAT_IDENTITY, acts[] = { LEAT_TANH, LEAT_SIGMOID, LEAT_RELU, LEAT_RELU };
    const leat_activation *act = k->op == &leat_op_linear ? &identity : &acts[i % 4];
    if (i > 4 * SAMPLES)
        return false;
    const int64_t *size = samples[i / 4 % SAMPLES];
    leat_shape out = LEAT_SHAPE(size[2]);
    k->n = 3;
    k->in[0] = leat_case_normal(k, i == 4 * SAMPLES ? LEAT_SHAPE(2, 3, size[1]) : LEAT_SHAPE(size[0], size[1]));
    k->in[1] = leat_case_away(k, LEAT_SHAPE(size[2], size[1]), 0.1, 0.5, false); /* or tanh is too steep */
    if (*act == LEAT_RELU) { /* so large that no sum is near the kink, and one is positive */
        k->in[2] = leat_case_away(k, out, 40, 60, false);
        if (k->in[2].data && size[2] > 0)
            k->in[2].data[0] = 50;
    } else if (i / 4 % 2 == 0)
        k->in[2] = leat_case_normal(k, out);
    k->attributes = act;
    k->attributes_size = sizeof *act;
    return true;
}

/* Two ops, of which only that with an activation reads its result on the way back. */
#define LINEAR(op, unread_)                                                                                            \
    const leat_op leat_op_##op = { .name = "linear",                                                                   \
                                   .inputs = 3,                                                                        \
                                   .optional = 1U << 2,                                                                \
                                   .shape = linear_shape,                                                              \
                                   .forward = linear_forward,                                                          \
                                   .backward = linear_backward,                                                        \
                                   .unread = unread_,                                                                  \
                                   .sample = linear_sample };

LINEAR(linear, 1U << 2 | LEAT_UNREAD_OUTPUTS)
LINEAR(linear_activated, 1U << 2)

leat_activation leat_fused_activation(leat_activation act)
{
    int kernel = leat_activation_op_of(act).unary;
    return kernel >= 0 && leat_unary_from_value(kernel) ? act : LEAT_IDENTITY;
}

leat_var leat_linear(leat_var x, leat_var w, leat_var bias, leat_activation act)
{
    leat_activation fused = leat_fused_activation(act);
    const leat_op *op = fused == LEAT_IDENTITY ? &leat_op_linear : &leat_op_linear_activated;
    leat_var y = leat_apply(op, &fused, sizeof fused, 3, (leat_var[]){ x, w, bias }, NULL);
    return fused == act ? y : leat_activate(y, act);
}
