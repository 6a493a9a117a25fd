/* y = x exp(s) + t with its log-determinant, and its inverse: one pass each way (Dinh et al. 2017, equations 7 and 8). */
#include "ops.h"
#include "../../tensor/kernels/row_kernels.h"

static leat_code affine_shape(leat_call *c)
{
    const leat_shape *x = &c->in[0].shape;
    c->out[0].shape = *x;
    if (x->rank == 0)
        return leat_call_fail(c, LEAT_ESHAPE, "there is no batch axis");
    c->out[1].shape = leat_shape_of(1, x->size);
    if (!leat_shape_equal(x, &c->in[1].shape) || !leat_shape_equal(x, &c->in[2].shape))
        return leat_call_fail(c, LEAT_ESHAPE, "the three shapes differ");
    return LEAT_OK;
}

static bool affine_sample(leat_case *k, int i)
{
    static const leat_shape shapes[] = {
        { 1, { 1 } },       { 1, { 9 } },          { 2, { 5, 2 } }, { 2, { 3, 17 } },
        { 3, { 2, 3, 4 } }, { 4, { 2, 1, 3, 2 } }, { 2, { 0, 3 } }, { 2, { 3, 0 } },
    };
    if (i >= (int)(sizeof shapes / sizeof *shapes))
        return false;
    k->n = 3;
    for (int j = 0; j < 3; j++)
        k->in[j] = leat_case_normal(k, shapes[i]);
    return true;
}

/* The numbers of a row, and the input or output from some row on; NULL stays NULL. */
static int64_t width_of(const leat_call *c)
{
    return leat_extent_at(&c->in[0].shape, 0).inner;
}

static leat_real *from(leat_real *data, int64_t at)
{
    return data ? data + at : NULL;
}

/* `kept` is the value that the gradient reads besides s: the input of the one, the output of the other. */
#define AFFINE(op, kept, unread_)                                                                                      \
    static void op##_range(void *arg, int64_t begin, int64_t end)                                                      \
    {                                                                                                                  \
        const leat_call *c = arg;                                                                                      \
        int64_t n = width_of(c), at = begin * n;                                                                       \
        leat_kernels_get()->rows->op(c->in[0].data + at, c->in[1].data + at, c->in[2].data + at, c->out[0].data + at,  \
                                     c->out[1].data + begin, end - begin, n);                                          \
    }                                                                                                                  \
    static void op##_backward_range(void *arg, int64_t begin, int64_t end)                                             \
    {                                                                                                                  \
        const leat_call *c = arg;                                                                                      \
        int64_t n = width_of(c), at = begin * n;                                                                       \
        leat_kernels_get()->rows->op##_backward(c->kept.data + at, c->in[1].data + at, c->dout[0].data + at,           \
                                                c->dout[1].data + begin, from(c->din[0].data, at),                     \
                                                from(c->din[1].data, at), from(c->din[2].data, at), end - begin, n);   \
    }                                                                                                                  \
    static void op##_forward(leat_call *c)                                                                             \
    {                                                                                                                  \
        leat_call_rows(c, c->in[0].shape.size[0], width_of(c), op##_range, c);                                         \
    }                                                                                                                  \
    static void op##_backward(leat_call *c)                                                                            \
    {                                                                                                                  \
        leat_call_rows(c, c->in[0].shape.size[0], width_of(c), op##_backward_range, c);                                \
    }                                                                                                                  \
    LEAT_OP_OF(op, affine_shape, affine_sample, .inputs = 3, .outputs = 2, .unread = unread_);                         \
    leat_var leat_##op(leat_var x, leat_var s, leat_var t, leat_var *logdet)                                           \
    {                                                                                                                  \
        leat_var out[2];                                                                                               \
        leat_apply(&leat_op_##op, NULL, 0, 3, (leat_var[]){ x, s, t }, out);                                           \
        if (logdet)                                                                                                    \
            *logdet = out[1];                                                                                          \
        return out[0];                                                                                                 \
    }

AFFINE(affine_forward, in[0], LEAT_UNREAD_OUTPUTS | 1U << 2)
AFFINE(affine_inverse, out[0], LEAT_UNREAD_ALL & ~LEAT_UNREAD_OUT(0) & ~(1U << 1))
