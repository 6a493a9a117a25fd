/*
 * permute, and transpose that is one: axes in another order.
 *
 * The shape is collapsed first: axes of size 1 go, and neighbours that stay neighbours become one. If numbers that
 * follow one another still do so afterwards, runs are copied; else tiles, so that reading and writing both stay within
 * a few cache lines.
 */
#include "ops.h"

#include <string.h>

enum { TILE = 16 };

/* The result's axes, collapsed, and how far apart neighbours along each are in x. */
typedef struct permute_job {
    int rank, unit; /* the axis along which numbers follow one another in x; the others are counted without it */
    int64_t size[LEAT_MAX_RANK], stride[LEAT_MAX_RANK], step[LEAT_MAX_RANK]; /* step: in the result */
    int64_t strips;                                                          /* of TILE along that axis */
    const leat_real *x;
    leat_real *out;
} permute_job;

static void collapse(permute_job *j, const leat_shape *shape, const int *order)
{
    int64_t stride[LEAT_MAX_RANK], step = 1;
    for (int axis = shape->rank - 1; axis >= 0; axis--) {
        stride[axis] = step;
        step *= shape->size[axis];
    }
    for (int i = 0; i < shape->rank; i++) {
        int64_t size = shape->size[order[i]], own = stride[order[i]];
        if (size == 1)
            continue;
        bool continues = j->rank > 0 && j->stride[j->rank - 1] == own * size;
        int at = continues ? j->rank - 1 : j->rank++;
        j->size[at] = continues ? j->size[at] * size : size;
        j->stride[at] = own;
    }
    if (j->rank == 0)
        j->size[0] = j->stride[0] = j->rank = 1;
    step = 1;
    for (int i = j->rank - 1; i >= 0; i--) {
        j->step[i] = step;
        step *= j->size[i];
        if (j->stride[i] == 1)
            j->unit = i;
    }
}

/* Runs of the last axis, number begin .. end. */
static void copy_runs(void *arg, int64_t begin, int64_t end)
{
    const permute_job *j = arg;
    int64_t n = j->size[j->rank - 1], index[LEAT_MAX_RANK] = { 0 }, from = 0, rest = begin;
    for (int i = j->rank - 2; i >= 0; i--) {
        index[i] = rest % j->size[i];
        rest /= j->size[i];
        from += index[i] * j->stride[i];
    }
    for (int64_t run = begin; run < end; run++) {
        memcpy(j->out + run * n, j->x + from, (size_t)n * sizeof *j->out);
        for (int i = j->rank - 2; i >= 0; i--) {
            from += j->stride[i];
            if (++index[i] < j->size[i])
                break;
            from -= j->size[i] * j->stride[i];
            index[i] = 0;
        }
    }
}

/* out[i * step + k] = x[i + k * stride] for i < m, k < n: a transpose, tile by tile */
static void copy_strip(const leat_real *x, int64_t stride, leat_real *out, int64_t step, int64_t m, int64_t n)
{
    for (int64_t begin = 0; begin < n; begin += TILE) {
        int64_t end = begin + TILE < n ? begin + TILE : n;
        for (int64_t i = 0; i < m; i++)
            for (int64_t k = begin; k < end; k++)
                out[i * step + k] = x[i + k * stride];
    }
}

static void copy_strips(void *arg, int64_t begin, int64_t end)
{
    const permute_job *j = arg;
    int last = j->rank - 1;
    for (int64_t strip = begin; strip < end; strip++) {
        int64_t i = strip % j->strips * TILE, rest = strip / j->strips, m = j->size[j->unit] - i;
        int64_t from = i, to = i * j->step[j->unit];
        for (int axis = last - 1; axis >= 0; axis--) {
            if (axis == j->unit)
                continue;
            from += rest % j->size[axis] * j->stride[axis];
            to += rest % j->size[axis] * j->step[axis];
            rest /= j->size[axis];
        }
        copy_strip(j->x + from, j->stride[last], j->out + to, j->step[j->unit], m < TILE ? m : TILE, j->size[last]);
    }
}

static void permute_copy(const leat_call *c, leat_tensor x, const int *order, leat_real *out)
{
    permute_job j = { .x = x.data, .out = out };
    int64_t count = leat_shape_count(&x.shape);
    if (count == 0)
        return;
    collapse(&j, &x.shape, order);
    int64_t n = j.size[j.rank - 1], m = j.size[j.unit];
    j.strips = (m - 1) / TILE + 1;
    if (j.unit == j.rank - 1)
        leat_call_rows(c, count / n, n, copy_runs, &j);
    else
        leat_call_rows(c, count / n / m * j.strips, n * (m < TILE ? m : TILE), copy_strips, &j);
}

/* ---- the op ------------------------------------------------------------------------------------------------------ */

typedef struct permute_attributes {
    int order[LEAT_MAX_RANK];
} permute_attributes;

static leat_code permute_shape(leat_call *c)
{
    const permute_attributes *a = c->attributes;
    const leat_shape *x = &c->in[0].shape;
    unsigned seen = 0;
    c->out[0].shape = *x;
    for (int i = 0; i < x->rank; i++) {
        leat_code code = leat_call_axis(c, a->order[i], x->rank);
        if (code)
            return code;
        int axis = leat_axis(a->order[i], x->rank);
        if (seen >> axis & 1)
            return leat_call_fail(c, LEAT_ESHAPE, "axis %d is named twice", a->order[i]);
        seen |= 1U << axis;
        c->out[0].shape.size[i] = x->size[axis];
    }
    return LEAT_OK;
}

static void permute_forward(leat_call *c)
{
    const permute_attributes *a = c->attributes;
    int order[LEAT_MAX_RANK];
    for (int i = 0; i < c->in[0].shape.rank; i++)
        order[i] = leat_axis(a->order[i], c->in[0].shape.rank);
    permute_copy(c, c->in[0], order, c->out[0].data);
}

static void permute_backward(leat_call *c)
{
    const permute_attributes *a = c->attributes;
    int back[LEAT_MAX_RANK];
    for (int i = 0; i < c->in[0].shape.rank; i++)
        back[leat_axis(a->order[i], c->in[0].shape.rank)] = i;
    permute_copy(c, c->dout[0], back, c->din[0].data);
}

static bool permute_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape;
        permute_attributes a;
    } samples[] = {
        { { 0, { 0 } }, { { 0 } } },
        { { 1, { 5 } }, { { -1 } } },
        { { 2, { 3, 5 } }, { { 0, 1 } } },
        { { 2, { 17, 19 } }, { { 1, 0 } } },
        { { 2, { 1, 4 } }, { { 1, 0 } } },
        { { 3, { 2, 3, 4 } }, { { 2, 0, 1 } } },
        { { 3, { 2, 3, 4 } }, { { 1, 0, -1 } } },
        { { 3, { 3, 0, 2 } }, { { 2, 1, 0 } } },
        { { 4, { 2, 3, 2, 5 } }, { { 0, 2, 1, 3 } } },
        { { 4, { 2, 3, 1, 4 } }, { { 3, 2, 1, 0 } } },
        { { 5, { 2, 1, 3, 2, 2 } }, { { 4, 1, 0, 3, 2 } } },
        { { 6, { 2, 2, 2, 2, 2, 3 } }, { { 3, 5, 0, 2, 4, 1 } } },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    return leat_case_of_one(k, samples[i].shape, &samples[i].a, sizeof samples[i].a);
}

LEAT_OP(permute, .inputs = 1, .unread = LEAT_UNREAD_ALL);

leat_var leat_permute(leat_var x, const int *order)
{
    permute_attributes a = { { 0 } };
    int rank = leat_var_shape(x).rank;
    for (int i = 0; i < rank; i++)
        a.order[i] = order[i];
    return leat_apply(&leat_op_permute, &a, sizeof a, 1, &x, NULL);
}

leat_var leat_transpose(leat_var x, int axis_a, int axis_b)
{
    permute_attributes a = { { 0, 1, 2, 3, 4, 5 } };
    leat_shape shape = leat_var_shape(x);
    char text[LEAT_SHAPE_TEXT];
    int from[] = { axis_a, axis_b };
    for (int i = 0; i < 2 && leat_ok(x); i++) {
        if (from[i] < -shape.rank || from[i] >= shape.rank)
            return leat_tape_fail(x.tape, LEAT_ESHAPE, "transpose %s: axis %d of a tensor of rank %d",
                                  leat_shape_print(&shape, text), from[i], shape.rank);
    }
    if (leat_ok(x)) {
        axis_a = leat_axis(axis_a, shape.rank), axis_b = leat_axis(axis_b, shape.rank);
        a.order[axis_a] = axis_b, a.order[axis_b] = axis_a;
    }
    return leat_apply(&leat_op_permute, &a, sizeof a, 1, &x, NULL);
}
