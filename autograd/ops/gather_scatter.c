/*
 * Elements picked by an index of their own: gather, scatter, scatter_add.
 *
 * The tensors are seen as [outer, size, inner] around the axis. Tables say where each outer and each inner place of the
 * index begins in x, which may be larger there. Of places that differ in outer or inner none falls on another, so the
 * order of writing matters along the axis alone, and threads cut the outer ones.
 */
#include "ops.h"

#include <string.h>

typedef struct gather_attributes {
    int axis;
} gather_attributes;

typedef enum move_kind { TAKE, PUT, ADD, TAKE_LAST } move_kind;

typedef struct move_job {
    move_kind move;
    const leat_real *index;
    leat_real *x, *y;
    int64_t stride, outer, size, inner; /* stride: of the axis in x; the others of the index */
    const int64_t *outer_at, *inner_at;
} move_job;

static int axis_of(const leat_call *c)
{
    return leat_axis(((const gather_attributes *)c->attributes)->axis, c->in[0].shape.rank);
}

/* ---- moves ------------------------------------------------------------------------------------------------------- */

/* The numbers whose index is row `row` of [outer * size, inner]. */
static void move_row(const move_job *j, int64_t row)
{
    const leat_real *index = j->index + row * j->inner;
    leat_real *y = j->y + row * j->inner, *x = j->x + j->outer_at[row / j->size];
    for (int64_t i = 0; i < j->inner; i++) {
        leat_real *place = x + j->inner_at[i] + (int64_t)index[i] * j->stride;
        if (j->move == TAKE || j->move == TAKE_LAST)
            y[i] = *place;
        else
            *place = j->move == ADD ? *place + y[i] : y[i];
        if (j->move == TAKE_LAST)
            *place = 0;
    }
}

static void move_range(void *arg, int64_t begin, int64_t end)
{
    const move_job *j = arg;
    for (int64_t row = begin * j->size; row < end * j->size && j->move != TAKE_LAST; row++)
        move_row(j, row);
    for (int64_t row = end * j->size - 1; row >= begin * j->size && j->move == TAKE_LAST; row--)
        move_row(j, row);
}

/* Where the places of the index's axes first .. end - 1 are in x; NULL when out of memory. */
static int64_t *places(leat_call *c, int first, int end, int64_t *count)
{
    const leat_shape *x = &c->in[0].shape, *index = &c->in[1].shape;
    *count = 1;
    for (int axis = first; axis < end; axis++)
        *count *= index->size[axis];
    int64_t *at = leat_call_scratch(c, (size_t)*count * sizeof *at);
    for (int64_t i = 0; at && i < *count; i++) {
        int64_t rest = i, stride = 1;
        at[i] = 0;
        for (int axis = x->rank - 1; axis >= first; axis--) {
            if (axis < end) {
                at[i] += rest % index->size[axis] * stride;
                rest /= index->size[axis];
            }
            stride *= x->size[axis];
        }
    }
    return at;
}

static void run_move(leat_call *c, move_kind move, leat_real *x, leat_real *y)
{
    int axis = axis_of(c);
    leat_extent e = leat_extent_at(&c->in[0].shape, axis);
    move_job j = { .move = move, .index = c->in[1].data, .x = x, .y = y, .stride = e.inner };
    j.size = c->in[1].shape.size[axis];
    if (leat_shape_count(&c->in[1].shape) == 0)
        return;
    j.outer_at = places(c, 0, axis, &j.outer);
    j.inner_at = places(c, axis + 1, c->in[0].shape.rank, &j.inner);
    if (j.outer_at && j.inner_at)
        leat_call_rows(c, j.outer, j.size * j.inner, move_range, &j);
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static leat_code refuse_index(leat_call *c, int64_t i, int64_t size)
{
    leat_shape at = c->in[1].shape;
    char text[LEAT_SHAPE_TEXT];
    double value = (double)c->in[1].data[i];
    for (int axis = at.rank - 1; axis >= 0; axis--) {
        int64_t own = at.size[axis];
        at.size[axis] = i % own;
        i /= own;
    }
    return leat_call_fail(c, LEAT_EARG, "the index at %s is %.9g, axis %d has the size %lld",
                          leat_shape_print(&at, text), value, ((const gather_attributes *)c->attributes)->axis,
                          (long long)size);
}

static leat_code check_index(leat_call *c)
{
    const leat_shape *x = &c->in[0].shape, *index = &c->in[1].shape;
    leat_code code = leat_call_axis(c, ((const gather_attributes *)c->attributes)->axis, x->rank);
    if (code)
        return code;
    if (index->rank != x->rank)
        return leat_call_fail(c, LEAT_ESHAPE, "the index has rank %d, the first %d", index->rank, x->rank);
    for (int axis = 0; axis < x->rank; axis++) {
        if (axis != axis_of(c) && index->size[axis] > x->size[axis])
            return leat_call_fail(c, LEAT_ESHAPE, "the index is larger than the first on axis %d", axis);
    }
    int64_t size = x->size[axis_of(c)], count = leat_shape_count(index);
    for (int64_t i = 0; i < count; i++) {
        leat_real value = c->in[1].data[i];
        if (!(value >= 0 && (double)value < (double)size) || (leat_real)(int64_t)value != value)
            return refuse_index(c, i, size);
    }
    return LEAT_OK;
}

static leat_code scatter_shape(leat_call *c)
{
    char text[LEAT_SHAPE_TEXT];
    leat_code code = check_index(c);
    if (!code && !leat_shape_equal(&c->in[1].shape, &c->in[2].shape))
        code = leat_call_fail(c, LEAT_ESHAPE, "the third should be %s, a number for each index",
                              leat_shape_print(&c->in[1].shape, text));
    c->out[0].shape = c->in[0].shape;
    return code;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static bool gather_samples(leat_case *k, int i, bool with_y)
{
    static const struct {
        leat_shape x, index;
        gather_attributes a;
    } samples[] = {
        { { 1, { 5 } }, { 1, { 7 } }, { 0 } },
        { { 2, { 3, 5 } }, { 2, { 3, 1 } }, { -1 } },
        { { 2, { 3, 5 } }, { 2, { 2, 6 } }, { 1 } },
        { { 2, { 4, 3 } }, { 2, { 6, 2 } }, { 0 } },
        { { 3, { 3, 2, 3 } }, { 3, { 2, 5, 2 } }, { 1 } },
        { { 4, { 2, 3, 2, 3 } }, { 4, { 2, 2, 3, 2 } }, { -2 } },
        { { 1, { 1 } }, { 1, { 1 } }, { 0 } },
        { { 2, { 2, 5 } }, { 2, { 2, 0 } }, { 1 } },
        { { 2, { 0, 5 } }, { 2, { 0, 2 } }, { 1 } },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    k->n = with_y ? 3 : 2;
    k->in[0] = leat_case_normal(k, samples[i].x);
    k->in[1] = leat_case_normal(k, samples[i].index);
    if (with_y)
        k->in[2] = leat_case_normal(k, samples[i].index);
    int64_t size = samples[i].x.size[leat_axis(samples[i].a.axis, samples[i].x.rank)];
    for (int64_t j = 0; k->in[1].data && j < leat_shape_count(&samples[i].index); j++)
        k->in[1].data[j] = (leat_real)leat_rng_below(k->rng, size);
    k->attributes = &samples[i].a;
    k->attributes_size = sizeof samples[i].a;
    k->may_vanish = !with_y && leat_shape_count(&samples[i].index) == 0;
    return true;
}

static bool gather_sample(leat_case *k, int i)
{
    return gather_samples(k, i, false);
}

static bool scatter_sample(leat_case *k, int i)
{
    return gather_samples(k, i, true);
}

/* ---- gather ------------------------------------------------------------------------------------------------------ */

static leat_code gather_shape(leat_call *c)
{
    c->out[0].shape = c->in[1].shape;
    return check_index(c);
}

static size_t x_bytes(const leat_call *c)
{
    return (size_t)leat_shape_count(&c->in[0].shape) * sizeof(leat_real);
}

static void gather_forward(leat_call *c)
{
    run_move(c, TAKE, c->in[0].data, c->out[0].data);
}

static void gather_backward(leat_call *c)
{
    memset(c->din[0].data, 0, x_bytes(c));
    run_move(c, ADD, c->din[0].data, c->dout[0].data);
}

LEAT_OP(gather, .inputs = 2, .no_grad = 1U << 1, .unread = LEAT_UNREAD_ALL & ~(1U << 1));

leat_var leat_gather(leat_var x, int axis, leat_var index)
{
    gather_attributes a = { axis };
    return leat_apply(&leat_op_gather, &a, sizeof a, 2, (leat_var[]){ x, index }, NULL);
}

/* ---- scatter ----------------------------------------------------------------------------------------------------- */

static void scatter_forward(leat_call *c)
{
    memcpy(c->out[0].data, c->in[0].data, x_bytes(c));
    run_move(c, PUT, c->out[0].data, c->in[2].data);
}

/* From the last to the first, each y takes the gradient of its place and leaves 0: those that were overwritten find 0,
 * and what is left in the end is the gradient of x. */
static void scatter_backward(leat_call *c)
{
    size_t bytes = (size_t)leat_shape_count(&c->in[1].shape) * sizeof(leat_real);
    leat_real *left = c->din[0].data ? c->din[0].data : leat_call_scratch(c, x_bytes(c));
    leat_real *dy = c->din[2].data ? c->din[2].data : leat_call_scratch(c, bytes);
    if (!left || !dy)
        return;
    memcpy(left, c->dout[0].data, x_bytes(c));
    run_move(c, TAKE_LAST, left, dy);
}

/* ---- scatter_add ------------------------------------------------------------------------------------------------- */

static void scatter_add_forward(leat_call *c)
{
    memcpy(c->out[0].data, c->in[0].data, x_bytes(c));
    run_move(c, ADD, c->out[0].data, c->in[2].data);
}

static void scatter_add_backward(leat_call *c)
{
    if (c->din[0].data)
        memcpy(c->din[0].data, c->dout[0].data, x_bytes(c));
    if (c->din[2].data)
        run_move(c, TAKE, c->dout[0].data, c->din[2].data);
}

#define SCATTER(name_)                                                                                                 \
    LEAT_OP_OF(name_, scatter_shape, scatter_sample, .inputs = 3, .no_grad = 1U << 1,                                  \
               .unread = LEAT_UNREAD_ALL & ~(1U << 1));                                                                \
    leat_var leat_##name_(leat_var x, int axis, leat_var index, leat_var y)                                            \
    {                                                                                                                  \
        gather_attributes a = { axis };                                                                                \
        return leat_apply(&leat_op_##name_, &a, sizeof a, 3, (leat_var[]){ x, index, y }, NULL);                       \
    }

SCATTER(scatter)
SCATTER(scatter_add)
