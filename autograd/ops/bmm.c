/*
 * Products of batches of matrices. The leading axes broadcast: every product of the batch knows where its factors
 * begin. Each gradient is a batch of products again; that of a factor which serves several products is accumulated from
 * one product to the next, in row-major order, which continues the sums of leat_gemm.
 */
#include "ops.h"

#include <string.h>

typedef struct bmm_attributes {
    bool trans_a, trans_b;
} bmm_attributes;

/* Matrices of one size in a row: where number i of the batch begins. */
typedef struct factor {
    const leat_real *data;
    int64_t rows, cols; /* as stored */
    bool trans;
    const int64_t *at;
} factor;

typedef struct bmm_parts {
    int64_t m, k, n, count; /* count: products */
    int64_t a_count, b_count;
    factor a, b, g;
} bmm_parts;

static factor transposed(factor f)
{
    f.trans = !f.trans;
    return f;
}

static leat_shape leading(const leat_shape *s)
{
    leat_shape lead = *s;
    lead.rank -= 2;
    return lead;
}

static leat_code bmm_shape(leat_call *c)
{
    const bmm_attributes *t = c->attributes;
    const leat_shape *a = &c->in[0].shape, *b = &c->in[1].shape;
    if (a->rank < 2 || b->rank < 2)
        return leat_call_fail(c, LEAT_ESHAPE, "the %s factor is no matrix", a->rank < 2 ? "first" : "second");
    int64_t m = a->size[a->rank - (t->trans_a ? 1 : 2)], k = a->size[a->rank - (t->trans_a ? 2 : 1)];
    int64_t n = b->size[b->rank - (t->trans_b ? 2 : 1)], other = b->size[b->rank - (t->trans_b ? 1 : 2)];
    if (k != other)
        return leat_call_fail(c, LEAT_ESHAPE, "inner sizes differ: %lld and %lld%s", (long long)k, (long long)other,
                              t->trans_a || t->trans_b ? ", after transposing" : "");
    leat_shape lead_a = leading(a), lead_b = leading(b), *out = &c->out[0].shape;
    if (!leat_shape_broadcast(&lead_a, &lead_b, out))
        return leat_call_fail(c, LEAT_ESHAPE, "the leading axes do not broadcast");
    out->size[out->rank++] = m;
    out->size[out->rank++] = n;
    return LEAT_OK;
}

/* Where each matrix of the batch [out] begins in an operand; NULL when out of memory. */
static int64_t *places(leat_call *c, const leat_shape *out, const leat_shape *operand, int64_t count)
{
    int64_t *at = leat_call_scratch(c, (size_t)count * sizeof *at);
    int64_t each = operand->size[operand->rank - 2] * operand->size[operand->rank - 1];
    for (int64_t i = 0; at && i < count; i++) {
        int64_t rest = i, stride = each;
        at[i] = 0;
        for (int back = 3; back <= operand->rank; back++) {
            int64_t size = out->size[out->rank - back], own = operand->size[operand->rank - back];
            at[i] += own == 1 ? 0 : rest % size * stride;
            stride *= own;
            rest /= size;
        }
    }
    return at;
}

static factor factor_of(leat_call *c, const leat_real *data, const leat_shape *s, bool trans, int64_t count)
{
    return (factor){ data, s->size[s->rank - 2], s->size[s->rank - 1], trans, places(c, &c->out[0].shape, s, count) };
}

/* Backward says where the gradient of the result is. With a single b, the rows of all matrices of a are those of one. */
static bool parts_of(leat_call *c, const leat_real *g, bmm_parts *p)
{
    const bmm_attributes *t = c->attributes;
    leat_shape lead = leading(&c->out[0].shape), lead_a = leading(&c->in[0].shape), lead_b = leading(&c->in[1].shape);
    *p = (bmm_parts){ .count = leat_shape_count(&lead),
                      .a_count = leat_shape_count(&lead_a),
                      .b_count = leat_shape_count(&lead_b) };
    p->a = factor_of(c, c->in[0].data, &c->in[0].shape, t->trans_a, p->count);
    p->b = factor_of(c, c->in[1].data, &c->in[1].shape, t->trans_b, p->count);
    p->g = factor_of(c, g, &c->out[0].shape, false, p->count);
    if (p->b_count == 1 && !t->trans_a && p->count > 0) {
        p->a.rows *= p->count;
        p->g.rows *= p->count;
        p->count = p->a_count = 1;
    }
    p->m = p->g.rows;
    p->n = p->g.cols;
    p->k = t->trans_a ? p->a.rows : p->a.cols;
    return p->a.at && p->b.at && p->g.at;
}

/* out [outputs, m, n] = a b, `count` of them in rounds; each round adds to the one before. */
static void products(leat_call *c, int64_t count, int64_t outputs, int64_t m, int64_t k, int64_t n, factor a, factor b,
                     leat_real *out)
{
    leat_gemm_args g = { .trans_a = a.trans,
                         .trans_b = b.trans,
                         .m = m,
                         .n = n,
                         .k = k,
                         .lda = a.cols,
                         .ldb = b.cols,
                         .ldc = n,
                         .a = a.data,
                         .b = b.data,
                         .c = out };
    if (count == 0)
        memset(out, 0, (size_t)(outputs * m * n) * sizeof *out);
    for (int64_t done = 0; done < count; done += outputs) {
        g.accumulate = done > 0;
        if (leat_gemm_batch(leat_tape_pool(c->tape), leat_tape_scratch(c->tape), &g, outputs, a.at + done,
                            b.at + done)) {
            leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
            return;
        }
    }
}

static void bmm_forward(leat_call *c)
{
    bmm_parts p;
    if (parts_of(c, NULL, &p))
        products(c, p.count, p.count, p.m, p.k, p.n, p.a, p.b, c->out[0].data);
}

/* The batch in another order: first the first product of every matrix of the `own` factor, then the second, ... */
static bool in_rounds(leat_call *c, const bmm_parts *p, const factor *own, int64_t own_count, factor *x, factor *y)
{
    int64_t *x_at = leat_call_scratch(c, (size_t)p->count * sizeof *x_at);
    int64_t *y_at = leat_call_scratch(c, (size_t)p->count * sizeof *y_at);
    int64_t *used = leat_call_scratch(c, (size_t)own_count * sizeof *used);
    if (!x_at || !y_at || !used)
        return false;
    memset(used, 0, (size_t)own_count * sizeof *used);
    int64_t each = own->rows * own->cols;
    for (int64_t i = 0; i < p->count && each > 0; i++) {
        int64_t matrix = own->at[i] / each, slot = used[matrix]++ * own_count + matrix;
        x_at[slot] = x->at[i];
        y_at[slot] = y->at[i];
    }
    x->at = x_at, y->at = y_at;
    return each > 0;
}

/* C = A B gives dA = G B^T and dB = A^T G. A factor that is stored transposed gets the transpose of that. */
static void bmm_backward(leat_call *c)
{
    bmm_parts p;
    if (!parts_of(c, c->dout[0].data, &p))
        return;
    leat_real *da = c->din[0].data, *db = c->din[1].data;
    factor g = p.g, b = p.b;
    if (da && in_rounds(c, &p, &p.a, p.a_count, &g, &b)) {
        if (p.a.trans)
            products(c, p.count, p.a_count, p.k, p.n, p.m, b, transposed(g), da);
        else
            products(c, p.count, p.a_count, p.m, p.n, p.k, g, transposed(b), da);
    }
    factor a = p.a;
    g = p.g;
    if (db && in_rounds(c, &p, &p.b, p.b_count, &g, &a)) {
        if (p.b.trans)
            products(c, p.count, p.b_count, p.n, p.m, p.k, transposed(g), a, db);
        else
            products(c, p.count, p.b_count, p.k, p.m, p.n, transposed(a), g, db);
    }
}

static bool bmm_sample(leat_case *k, int i)
{
    static const bmm_attributes transposes[] = { { false, false }, { false, true }, { true, false }, { true, true } };
    static const leat_shape samples[][2] = {
        { { 2, { 2, 3 } }, { 2, { 3, 4 } } },
        { { 3, { 2, 3, 4 } }, { 3, { 2, 4, 5 } } },
        { { 3, { 3, 2, 3 } }, { 2, { 3, 4 } } },
        { { 2, { 2, 3 } }, { 3, { 4, 3, 2 } } },
        { { 4, { 2, 1, 3, 2 } }, { 3, { 3, 2, 3 } } },
        { { 4, { 1, 3, 2, 2 } }, { 4, { 2, 1, 2, 1 } } },
        { { 3, { 1, 1, 1 } }, { 3, { 1, 1, 1 } } },
        { { 3, { 2, 9, 17 } }, { 3, { 1, 17, 7 } } },
        { { 3, { 2, 0, 3 } }, { 3, { 2, 3, 2 } } },
        { { 3, { 2, 2, 0 } }, { 3, { 1, 0, 3 } } },
        { { 3, { 0, 2, 3 } }, { 3, { 0, 3, 2 } } },
        { { 3, { 0, 2, 3 } }, { 3, { 1, 3, 2 } } },
        { { 6, { 2, 1, 1, 2, 2, 3 } }, { 6, { 1, 2, 1, 2, 3, 2 } } },
    };
    if (i >= 4 * (int)(sizeof samples / sizeof *samples))
        return false;
    k->n = 2;
    for (int j = 0; j < 2; j++) {
        leat_shape s = samples[i / 4][j];
        int64_t last = s.size[s.rank - 1];
        if (j ? transposes[i % 4].trans_b : transposes[i % 4].trans_a) {
            s.size[s.rank - 1] = s.size[s.rank - 2];
            s.size[s.rank - 2] = last;
        }
        k->in[j] = leat_case_normal(k, s);
    }
    k->attributes = &transposes[i % 4];
    k->attributes_size = sizeof transposes[0];
    return true;
}

LEAT_OP(bmm, .inputs = 2, .unread = LEAT_UNREAD_OUTPUTS);

leat_var leat_bmm(leat_var a, leat_var b)
{
    return leat_bmm_t(a, b, false, false);
}

leat_var leat_bmm_t(leat_var a, leat_var b, bool trans_a, bool trans_b)
{
    bmm_attributes t = { trans_a, trans_b };
    return leat_apply(&leat_op_bmm, &t, sizeof t, 2, (leat_var[]){ a, b }, NULL);
}
