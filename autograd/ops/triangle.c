/* tril and triu: a triangle of every matrix, zeros elsewhere. The gradient goes through the same triangle. */
#include "ops.h"

#include <string.h>

typedef struct triangle_attributes {
    int diagonal;
} triangle_attributes;

typedef struct triangle_job {
    const leat_real *x;
    leat_real *out;
    int64_t rows, cols, diagonal;
    bool upper;
} triangle_job;

static void triangle_range(void *arg, int64_t begin, int64_t end)
{
    const triangle_job *j = arg;
    for (int64_t row = begin; row < end; row++) {
        const leat_real *x = j->x + row * j->cols;
        leat_real *out = j->out + row * j->cols;
        int64_t place = row % j->rows + j->diagonal + (j->upper ? 0 : 1); /* where the row's upper part begins */
        int64_t cut = place < 0 ? 0 : place > j->cols ? j->cols : place;
        int64_t kept = j->upper ? cut : 0, zero = j->upper ? 0 : cut;
        memcpy(out + kept, x + kept, (size_t)(j->upper ? j->cols - cut : cut) * sizeof *out);
        memset(out + zero, 0, (size_t)(j->upper ? cut : j->cols - cut) * sizeof *out);
    }
}

static void triangle_of(const leat_call *c, leat_tensor x, leat_real *out)
{
    const triangle_attributes *a = c->attributes;
    leat_extent last = leat_extent_at(&x.shape, -1);
    triangle_job job = { x.data, out, x.shape.size[x.shape.rank - 2], last.size, a->diagonal, c->op == &leat_op_triu };
    leat_call_rows(c, last.size ? last.outer : 0, last.size, triangle_range, &job);
}

static leat_code triangle_shape(leat_call *c)
{
    c->out[0].shape = c->in[0].shape;
    return c->in[0].shape.rank < 2 ? leat_call_fail(c, LEAT_ESHAPE, "it is no matrix") : LEAT_OK;
}

static void triangle_forward(leat_call *c)
{
    triangle_of(c, c->in[0], c->out[0].data);
}

static void triangle_backward(leat_call *c)
{
    triangle_of(c, c->dout[0], c->din[0].data);
}

static bool triangle_sample(leat_case *k, int i)
{
    static const leat_shape shapes[] = {
        { 2, { 4, 4 } }, { 2, { 3, 5 } }, { 3, { 2, 5, 3 } }, { 2, { 1, 1 } }, { 2, { 0, 3 } }, { 3, { 2, 3, 0 } },
    };
    static const triangle_attributes diagonals[] = { { 0 }, { 1 }, { -2 }, { 9 }, { -9 } };
    if (i >= 5 * (int)(sizeof shapes / sizeof *shapes))
        return false;
    k->may_vanish = true; /* a diagonal far away leaves all or nothing */
    return leat_case_of_one(k, shapes[i / 5], &diagonals[i % 5], sizeof diagonals[0]);
}

#define TRIANGLE(name_)                                                                                                \
    const leat_op leat_op_##name_ = {                                                                                  \
        .name = #name_,                                                                                                \
        .inputs = 1,                                                                                                   \
        .shape = triangle_shape,                                                                                       \
        .forward = triangle_forward,                                                                                   \
        .backward = triangle_backward,                                                                                 \
        .unread = LEAT_UNREAD_ALL,                                                                                     \
        .sample = triangle_sample,                                                                                     \
    };                                                                                                                 \
    leat_var leat_##name_(leat_var x, int diagonal)                                                                    \
    {                                                                                                                  \
        triangle_attributes a = { diagonal };                                                                          \
        return leat_apply(&leat_op_##name_, &a, sizeof a, 1, &x, NULL);                                                \
    }

TRIANGLE(tril)
TRIANGLE(triu)
