/* What gated networks are made of, along the last axis: concat_elu, which doubles it, and glu, which halves it. */
#include "ops.h"
#include "../../tensor/kernels/row_kernels.h"

#include <string.h>

typedef struct gate_job {
    const leat_call *c;
    int64_t n; /* the shorter width */
} gate_job;

/* fn for rows of the two widths n and 2 n together. */
static void run_rows(const leat_call *c, const leat_shape *shorter, leat_range_fn *fn)
{
    leat_extent e = leat_extent_at(shorter, -1);
    leat_call_rows(c, e.outer, 3 * e.size, fn, &(gate_job){ c, e.size });
}

static bool gate_sample(leat_case *k, int i)
{
    static const leat_shape shapes[] = { { 2, { 5, 8 } },  { 1, { 34 } },   { 3, { 2, 3, 2 } },
                                         { 2, { 3, 70 } }, { 2, { 0, 4 } }, { 2, { 2, 0 } } };
    enum { COUNT = sizeof shapes / sizeof *shapes };
    bool residual = k->op == &leat_op_glu && i >= COUNT;
    if (i >= (k->op == &leat_op_glu ? 2 : 1) * COUNT)
        return false;
    leat_shape half = shapes[i % COUNT];
    half.size[half.rank - 1] /= 2;
    leat_case_of_one(k, shapes[i % COUNT], NULL, 0);
    k->n = k->op == &leat_op_glu ? 2 : 1;
    if (residual)
        k->in[1] = leat_case_normal(k, half);
    return true;
}

/* ---- concat_elu -------------------------------------------------------------------------------------------------- */

static leat_code concat_elu_shape(leat_call *c)
{
    const leat_shape *x = &c->in[0].shape;
    if (x->rank < 1)
        return leat_call_fail(c, LEAT_ESHAPE, "the input has no feature axis");
    c->out[0].shape = *x;
    c->out[0].shape.size[x->rank - 1] *= 2;
    return LEAT_OK;
}

static void concat_elu_rows(void *arg, int64_t begin, int64_t end)
{
    const gate_job *j = arg;
    leat_kernels_get()->rows->concat_elu(j->c->in[0].data + begin * j->n, j->c->out[0].data + 2 * begin * j->n,
                                         end - begin, j->n);
}

static void concat_elu_backward_rows(void *arg, int64_t begin, int64_t end)
{
    const gate_job *j = arg;
    int64_t at = 2 * begin * j->n;
    leat_kernels_get()->rows->concat_elu_backward(j->c->out[0].data + at, j->c->dout[0].data + at,
                                                  j->c->din[0].data + at / 2, end - begin, j->n);
}

static void concat_elu_forward(leat_call *c)
{
    run_rows(c, &c->in[0].shape, concat_elu_rows);
}

static void concat_elu_backward(leat_call *c)
{
    run_rows(c, &c->in[0].shape, concat_elu_backward_rows);
}

LEAT_OP_OF(concat_elu, concat_elu_shape, gate_sample, .inputs = 1, .unread = LEAT_UNREAD_INPUTS);

leat_var leat_concat_elu(leat_var x)
{
    return leat_apply(&leat_op_concat_elu, NULL, 0, 1, &x, NULL);
}

/* ---- glu --------------------------------------------------------------------------------------------------------- */

static leat_code glu_shape(leat_call *c)
{
    const leat_shape *ab = &c->in[0].shape;
    if (ab->rank < 1 || ab->size[ab->rank - 1] % 2)
        return leat_call_fail(c, LEAT_ESHAPE, "the last axis has no two halves");
    c->out[0].shape = *ab;
    c->out[0].shape.size[ab->rank - 1] /= 2;
    if (c->in[1].data && !leat_shape_equal(&c->in[1].shape, &c->out[0].shape))
        return leat_call_fail(c, LEAT_ESHAPE, "the residual has another shape than the result");
    return LEAT_OK;
}

static void glu_rows(void *arg, int64_t begin, int64_t end)
{
    const gate_job *j = arg;
    int64_t at = begin * j->n;
    const leat_real *x = j->c->in[1].data;
    leat_kernels_get()->rows->glu(j->c->in[0].data + 2 * at, x ? x + at : NULL, j->c->out[0].data + at, end - begin,
                                  j->n);
}

static void glu_backward_rows(void *arg, int64_t begin, int64_t end)
{
    const gate_job *j = arg;
    int64_t at = begin * j->n, count = (end - begin) * j->n;
    const leat_real *g = j->c->dout[0].data + at;
    if (j->c->din[0].data)
        leat_kernels_get()->rows->glu_backward(j->c->in[0].data + 2 * at, g, j->c->din[0].data + 2 * at, end - begin,
                                               j->n);
    if (j->c->din[1].data)
        memcpy(j->c->din[1].data + at, g, (size_t)count * sizeof *g);
}

static void glu_forward(leat_call *c)
{
    run_rows(c, &c->out[0].shape, glu_rows);
}

static void glu_backward(leat_call *c)
{
    run_rows(c, &c->out[0].shape, glu_backward_rows);
}

LEAT_OP_OF(glu, glu_shape, gate_sample, .inputs = 2, .optional = 1U << 1, .unread = LEAT_UNREAD_ALL & ~1U);

leat_var leat_glu(leat_var x, leat_var residual)
{
    return leat_apply(&leat_op_glu, NULL, 0, 2, (leat_var[]){ x, residual }, NULL);
}
