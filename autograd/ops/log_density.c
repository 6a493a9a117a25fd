/* Log-densities of rows: standard normals and standard logistics. */
#include "ops.h"
#include "../../tensor/kernels/row_kernels.h"

static leat_code density_shape(leat_call *c)
{
    if (c->in[0].shape.rank == 0)
        return leat_call_fail(c, LEAT_ESHAPE, "there is no batch axis");
    c->out[0].shape = leat_shape_of(1, c->in[0].shape.size);
    return LEAT_OK;
}

static bool density_sample(leat_case *k, int i)
{
    static const leat_shape shapes[] = {
        { 1, { 1 } },       { 1, { 9 } },    { 2, { 5, 2 } }, { 2, { 3, 35 } },
        { 3, { 2, 3, 4 } }, { 2, { 0, 3 } }, { 2, { 3, 0 } },
    };
    if (i >= (int)(sizeof shapes / sizeof *shapes))
        return false;
    k->n = 1;
    k->in[0] = leat_case_normal(k, shapes[i]);
    return true;
}

static int64_t width_of(const leat_call *c)
{
    return leat_extent_at(&c->in[0].shape, 0).inner;
}

#define DENSITY(op)                                                                                                    \
    static void op##_range(void *arg, int64_t begin, int64_t end)                                                      \
    {                                                                                                                  \
        const leat_call *c = arg;                                                                                      \
        int64_t n = width_of(c);                                                                                       \
        leat_kernels_get()->rows->op(c->in[0].data + begin * n, c->out[0].data + begin, end - begin, n);               \
    }                                                                                                                  \
    static void op##_backward_range(void *arg, int64_t begin, int64_t end)                                             \
    {                                                                                                                  \
        const leat_call *c = arg;                                                                                      \
        int64_t n = width_of(c);                                                                                       \
        leat_kernels_get()->rows->op##_backward(c->in[0].data + begin * n, c->dout[0].data + begin,                    \
                                                c->din[0].data + begin * n, end - begin, n);                           \
    }                                                                                                                  \
    static void op##_forward(leat_call *c)                                                                             \
    {                                                                                                                  \
        leat_call_rows(c, c->in[0].shape.size[0], width_of(c), op##_range, c);                                         \
    }                                                                                                                  \
    static void op##_backward(leat_call *c)                                                                            \
    {                                                                                                                  \
        leat_call_rows(c, c->in[0].shape.size[0], width_of(c), op##_backward_range, c);                                \
    }                                                                                                                  \
    LEAT_OP_OF(op, density_shape, density_sample, .inputs = 1, .unread = LEAT_UNREAD_OUTPUTS);                         \
    leat_var leat_##op(leat_var x)                                                                                     \
    {                                                                                                                  \
        return leat_apply(&leat_op_##op, NULL, 0, 1, &x, NULL);                                                        \
    }

DENSITY(normal_log_density)
DENSITY(logistic_log_density)
