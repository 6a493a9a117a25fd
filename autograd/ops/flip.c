/* The order along several axes reversed: block by block, where a block is what the last axes of one kind hold. */
#include "ops.h"

#include <string.h>

static leat_code flip_shape(leat_call *c)
{
    unsigned set;
    c->out[0].shape = c->in[0].shape;
    return leat_call_axes(c, c->attributes, c->in[0].shape.rank, &set);
}

typedef struct flip_job {
    leat_shape shape; /* of the blocks: the axes before the last ones */
    unsigned set;
    int64_t width; /* of a block, which is reversed as a whole, or copied */
    bool reversed;
    const leat_real *x;
    leat_real *y;
} flip_job;

static void flip_range(void *arg, int64_t begin, int64_t end)
{
    const flip_job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        int64_t from = 0, stride = 1, rest = i;
        for (int axis = j->shape.rank - 1; axis >= 0; axis--) {
            int64_t size = j->shape.size[axis], at = rest % size;
            from += stride * (j->set >> axis & 1 ? size - 1 - at : at);
            rest /= size;
            stride *= size;
        }
        const leat_real *x = j->x + from * j->width;
        leat_real *y = j->y + i * j->width;
        if (!j->reversed)
            memcpy(y, x, (size_t)j->width * sizeof *y);
        for (int64_t k = 0; j->reversed && k < j->width; k++)
            y[k] = x[j->width - 1 - k];
    }
}

static void flip(const leat_call *c, const leat_real *x, leat_real *y)
{
    int wrong;
    flip_job j = { .shape = c->in[0].shape, .width = 1, .x = x, .y = y };
    leat_axes_set(c->attributes, j.shape.rank, &j.set, &wrong);
    j.reversed = j.shape.rank > 0 && (j.set >> (j.shape.rank - 1) & 1);
    while (j.shape.rank > 0 && (j.set >> (j.shape.rank - 1) & 1) == j.reversed)
        j.width *= j.shape.size[--j.shape.rank];
    leat_call_rows(c, leat_shape_count(&j.shape), j.width, flip_range, &j);
}

static void flip_forward(leat_call *c)
{
    flip(c, c->in[0].data, c->out[0].data);
}

static void flip_backward(leat_call *c)
{
    flip(c, c->dout[0].data, c->din[0].data);
}

static bool flip_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape;
        leat_axes axes;
    } samples[] = {
        { { 0, { 0 } }, { 0, { 0 } } },          { { 1, { 17 } }, { 1, { -1 } } },
        { { 1, { 1 } }, { 1, { 0 } } },          { { 2, { 5, 8 } }, { 1, { 0 } } },
        { { 2, { 5, 8 } }, { 2, { 1, 0 } } },    { { 2, { 3, 4 } }, { 0, { 0 } } },
        { { 2, { 0, 3 } }, { 1, { 1 } } },       { { 3, { 2, 3, 4 } }, { 1, { 1 } } },
        { { 3, { 2, 3, 4 } }, { 2, { 0, 2 } } }, { { 4, { 2, 3, 2, 3 } }, { 2, { 1, 3 } } },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    return leat_case_of_one(k, samples[i].shape, &samples[i].axes, sizeof samples[i].axes);
}

LEAT_OP(flip, .inputs = 1, .unread = LEAT_UNREAD_ALL);

leat_var leat_flip(leat_var x, int n, const int *axes)
{
    leat_axes a = leat_axes_of(n, axes);
    return leat_apply(&leat_op_flip, &a, sizeof a, 1, &x, NULL);
}
