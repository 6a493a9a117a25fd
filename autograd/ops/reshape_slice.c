/* The ops that only arrange numbers: reshape, detach, broadcast_to, slice, concat, split_sizes; and, made of them,
 * unsqueeze, squeeze, stack and split. */
#include "ops.h"

#include <assert.h>
#include <string.h>

/* ---- reshape ----------------------------------------------------------------------------------------------------- */

static leat_code reshape_shape(leat_call *c)
{
    const leat_shape *asked = c->attributes;
    leat_shape to = *asked;
    int64_t count = leat_shape_count(&c->in[0].shape);
    int open = -1;
    char text[LEAT_SHAPE_TEXT];
    for (int i = 0; i < to.rank && i < LEAT_MAX_RANK && open < 0; i++)
        open = to.size[i] == -1 ? i : -1;
    if (open >= 0) {
        to.size[open] = 1;
        int64_t rest = leat_shape_count(&to);
        to.size[open] = rest > 0 && count % rest == 0 ? count / rest : -1;
    }
    if (leat_shape_count(&to) != count)
        return leat_call_fail(c, LEAT_ESHAPE, "%lld numbers do not make %s", (long long)count,
                              leat_shape_print(asked, text));
    c->out[0].shape = to;
    return LEAT_OK;
}

static bool reshape_sample(leat_case *k, int i)
{
    static const leat_shape shapes[][2] = {
        { { 2, { 3, 4 } }, { 3, { 2, -1, 3 } } }, { { 0, { 0 } }, { 2, { 1, 1 } } },
        { { 1, { 7 } }, { 1, { -1 } } },          { { 3, { 1, 1, 1 } }, { 0, { 0 } } },
        { { 2, { 0, 4 } }, { 2, { -1, 2 } } },    { { 4, { 2, 1, 3, 1 } }, { 2, { 3, 2 } } },
    };
    if (i >= (int)(sizeof shapes / sizeof *shapes))
        return false;
    return leat_case_of_one(k, shapes[i][0], &shapes[i][1], sizeof shapes[i][1]);
}

const leat_op leat_op_reshape = {
    .name = "reshape", .inputs = 1, .flags = LEAT_OP_VIEW, .shape = reshape_shape, .sample = reshape_sample
};

leat_var leat_reshape(leat_var x, leat_shape shape)
{
    return leat_apply(&leat_op_reshape, &shape, sizeof shape, 1, &x, NULL);
}

/* ---- detach ------------------------------------------------------------------------------------------------------ */

static leat_code detach_shape(leat_call *c)
{
    c->out[0].shape = c->in[0].shape;
    return LEAT_OK;
}

static bool detach_sample(leat_case *k, int i)
{
    k->n = 1;
    k->in[0] = leat_case_normal(k, LEAT_SHAPE(3, 2));
    return i == 0;
}

const leat_op leat_op_detach = {
    .name = "detach", .inputs = 1, .flags = LEAT_OP_VIEW, .no_grad = 1, .shape = detach_shape, .sample = detach_sample
};

leat_var leat_detach(leat_var x)
{
    return leat_apply(&leat_op_detach, NULL, 0, 1, &x, NULL);
}

/* ---- broadcast_to ------------------------------------------------------------------------------------------------ */

static leat_code broadcast_to_shape(leat_call *c)
{
    const leat_shape *to = c->attributes;
    leat_shape both;
    char text[LEAT_SHAPE_TEXT];
    if (to->rank < 0 || to->rank > LEAT_MAX_RANK || !leat_shape_broadcast(&c->in[0].shape, to, &both) ||
        !leat_shape_equal(&both, to))
        return leat_call_fail(c, LEAT_ESHAPE, "it does not broadcast to %s", leat_shape_print(to, text));
    c->out[0].shape = *to;
    return LEAT_OK;
}

static void broadcast_to_forward(leat_call *c)
{
    leat_broadcast_copy(leat_tape_pool(c->tape), c->in[0], c->out[0]);
}

static void broadcast_to_backward(leat_call *c)
{
    memcpy(c->din[0].data, c->dout[0].data, (size_t)leat_shape_count(&c->out[0].shape) * sizeof(leat_real));
}

static bool broadcast_to_sample(leat_case *k, int i)
{
    static const leat_shape shapes[][2] = {
        { { 0, { 0 } }, { 2, { 2, 3 } } },       { { 1, { 5 } }, { 2, { 3, 5 } } },
        { { 2, { 4, 1 } }, { 2, { 4, 9 } } },    { { 3, { 2, 1, 3 } }, { 4, { 2, 2, 4, 3 } } },
        { { 2, { 1, 1 } }, { 2, { 1, 1 } } },    { { 1, { 1 } }, { 2, { 0, 3 } } },
        { { 2, { 1, 4 } }, { 3, { 2, 3, 4 } } },
    };
    if (i >= (int)(sizeof shapes / sizeof *shapes))
        return false;
    return leat_case_of_one(k, shapes[i][0], &shapes[i][1], sizeof shapes[i][1]);
}

LEAT_OP(broadcast_to, .inputs = 1, .flags = LEAT_OP_BROADCAST, .unread = LEAT_UNREAD_ALL);

leat_var leat_broadcast_to(leat_var x, leat_shape shape)
{
    return leat_apply(&leat_op_broadcast_to, &shape, sizeof shape, 1, &x, NULL);
}

/* ---- blocks of an axis: what slice and concat copy --------------------------------------------------------------- */

/* For each of `rows`, n numbers; the rows are from_stride and to_stride apart. */
typedef struct block_job {
    const leat_real *from;
    leat_real *to;
    int64_t from_stride, to_stride, n;
} block_job;

static void block_range(void *arg, int64_t begin, int64_t end)
{
    const block_job *j = arg;
    for (int64_t i = begin; i < end; i++)
        memcpy(j->to + i * j->to_stride, j->from + i * j->from_stride, (size_t)j->n * sizeof *j->to);
}

/* The slices of `whole` from place `at` on, as many as `part` has: from whole to part, or back. */
static void copy_block(const leat_call *c, int axis, leat_tensor whole, int64_t at, leat_tensor part, bool to_part)
{
    leat_extent w = leat_extent_at(&whole.shape, axis), p = leat_extent_at(&part.shape, axis);
    leat_real *inside = whole.data + at * w.inner;
    int64_t n = p.size * p.inner, stride = w.size * w.inner;
    block_job job =
        to_part ? (block_job){ inside, part.data, stride, n, n } : (block_job){ part.data, inside, n, stride, n };
    leat_call_rows(c, w.outer, n, block_range, &job);
}

/* ---- slice ------------------------------------------------------------------------------------------------------- */

typedef struct slice_attributes {
    int axis;
    int64_t start, length;
} slice_attributes;

static leat_code slice_shape(leat_call *c)
{
    const slice_attributes *s = c->attributes;
    leat_code code = leat_call_axis(c, s->axis, c->in[0].shape.rank);
    if (code)
        return code;
    int axis = leat_axis(s->axis, c->in[0].shape.rank);
    int64_t size = c->in[0].shape.size[axis];
    if (s->start < 0 || s->length < 0 || s->start > size || s->length > size - s->start)
        return leat_call_fail(c, LEAT_ESHAPE, "%lld from %lld on, but axis %d has the size %lld", (long long)s->length,
                              (long long)s->start, s->axis, (long long)size);
    c->out[0].shape = c->in[0].shape;
    c->out[0].shape.size[axis] = s->length;
    return LEAT_OK;
}

static void slice_forward(leat_call *c)
{
    const slice_attributes *s = c->attributes;
    copy_block(c, s->axis, c->in[0], s->start, c->out[0], true);
}

static void slice_backward(leat_call *c)
{
    const slice_attributes *s = c->attributes;
    memset(c->din[0].data, 0, (size_t)leat_shape_count(&c->in[0].shape) * sizeof(leat_real));
    copy_block(c, s->axis, c->din[0], s->start, c->dout[0], false);
}

static bool slice_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape;
        slice_attributes s;
    } samples[] = {
        { { 1, { 7 } }, { 0, 2, 3 } },       { { 2, { 3, 5 } }, { -1, 1, 3 } },      { { 2, { 5, 3 } }, { 0, 4, 1 } },
        { { 3, { 2, 5, 3 } }, { 1, 0, 2 } }, { { 3, { 2, 3, 4 } }, { -3, 0, 2 } },   { { 2, { 3, 4 } }, { 1, 4, 0 } },
        { { 2, { 0, 4 } }, { 1, 1, 2 } },    { { 4, { 2, 2, 3, 2 } }, { 2, 1, 2 } },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    return leat_case_of_one(k, samples[i].shape, &samples[i].s, sizeof samples[i].s);
}

LEAT_OP(slice, .inputs = 1, .unread = LEAT_UNREAD_ALL);

leat_var leat_slice(leat_var x, int axis, int64_t start, int64_t length)
{
    slice_attributes s = { axis, start, length };
    return leat_apply(&leat_op_slice, &s, sizeof s, 1, &x, NULL);
}

/* ---- concat ------------------------------------------------------------------------------------------------------ */

static leat_code concat_shape(leat_call *c)
{
    leat_shape *out = &c->out[0].shape;
    *out = c->in[0].shape;
    leat_code code = leat_call_axis(c, *(const int *)c->attributes, out->rank);
    if (code)
        return code;
    int axis = leat_axis(*(const int *)c->attributes, out->rank);
    for (int i = 1; i < c->inputs; i++) {
        leat_shape other = c->in[i].shape;
        int64_t more = other.size[axis];
        other.size[axis] = out->size[axis];
        if (!leat_shape_equal(&other, out))
            return leat_call_fail(c, LEAT_ESHAPE, "sizes differ elsewhere than on axis %d", axis);
        if (more > INT64_MAX - out->size[axis])
            return leat_call_fail(c, LEAT_ENOMEM, "the sizes on axis %d add up to too much", axis);
        out->size[axis] += more;
    }
    return LEAT_OK;
}

/* `parts` one behind the other along the axis; those without data are left out. */
static void copy_parts(const leat_call *c, int axis, leat_tensor whole, int n, const leat_tensor *parts, bool to_parts)
{
    axis = leat_axis(axis, whole.shape.rank);
    for (int64_t i = 0, at = 0; i < n; at += parts[i].shape.size[axis], i++) {
        if (parts[i].data)
            copy_block(c, axis, whole, at, parts[i], to_parts);
    }
}

static void concat_forward(leat_call *c)
{
    copy_parts(c, *(const int *)c->attributes, c->out[0], c->inputs, c->in, false);
}

static void concat_backward(leat_call *c)
{
    copy_parts(c, *(const int *)c->attributes, c->dout[0], c->inputs, c->din, true);
}

static bool concat_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape; /* but for the axis */
        int axis, n;
        int64_t sizes[LEAT_MAX_INPUTS];
    } samples[] = {
        { { 1, { 0 } }, 0, 2, { 3, 4 } },
        { { 2, { 5, 0 } }, -1, 3, { 1, 7, 2 } },
        { { 2, { 0, 3 } }, 0, 1, { 4 } },
        { { 3, { 2, 0, 3 } }, 1, 3, { 2, 0, 1 } },
        { { 3, { 2, 2, 0 } }, 2, 2, { 8, 9 } },
        { { 2, { 0, 0 } }, 1, 2, { 2, 3 } },
        { { 2, { 2, 0 } }, 1, LEAT_MAX_INPUTS, { 1, 2, 1, 1, 3, 1, 1, 0, 1, 1, 2, 1, 1, 1, 1, 1 } },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    k->n = samples[i].n;
    for (int j = 0; j < k->n; j++) {
        leat_shape shape = samples[i].shape;
        shape.size[leat_axis(samples[i].axis, shape.rank)] = samples[i].sizes[j];
        k->in[j] = leat_case_normal(k, shape);
    }
    k->attributes = &samples[i].axis;
    k->attributes_size = sizeof samples[i].axis;
    return true;
}

LEAT_OP(concat, .inputs = 1, .variadic = true, .unread = LEAT_UNREAD_ALL);

leat_var leat_concat(int n, const leat_var *x, int axis)
{
    assert(n > 0);
    if (n > LEAT_MAX_INPUTS)
        return leat_tape_fail(x[0].tape, LEAT_EARG, "concat: %d inputs, at most %d", n, LEAT_MAX_INPUTS);
    return leat_apply(&leat_op_concat, &axis, sizeof axis, n, x, NULL);
}

/* ---- split_sizes: concat turned round ---------------------------------------------------------------------------- */

typedef struct split_attributes {
    int axis;
    int64_t sizes[LEAT_MAX_OUTPUTS]; /* pieces that are not wanted have none */
} split_attributes;

static leat_code split_sizes_shape(leat_call *c)
{
    const split_attributes *s = c->attributes;
    leat_code code = leat_call_axis(c, s->axis, c->in[0].shape.rank);
    if (code)
        return code;
    int axis = leat_axis(s->axis, c->in[0].shape.rank);
    int64_t left = c->in[0].shape.size[axis];
    for (int i = 0; i < LEAT_MAX_OUTPUTS; i++) {
        c->out[i].shape = c->in[0].shape;
        c->out[i].shape.size[axis] = s->sizes[i];
        if (s->sizes[i] < 0 || s->sizes[i] > left)
            return leat_call_fail(c, LEAT_ESHAPE, "pieces that are not what axis %d holds", s->axis);
        left -= s->sizes[i];
    }
    return left ? leat_call_fail(c, LEAT_ESHAPE, "%lld are left on axis %d", (long long)left, s->axis) : LEAT_OK;
}

static void split_sizes_forward(leat_call *c)
{
    copy_parts(c, *(const int *)c->attributes, c->in[0], LEAT_MAX_OUTPUTS, c->out, true);
}

static void split_sizes_backward(leat_call *c)
{
    copy_parts(c, *(const int *)c->attributes, c->din[0], LEAT_MAX_OUTPUTS, c->dout, false);
}

static bool split_sizes_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape;
        split_attributes s;
    } samples[] = {
        { { 1, { 7 } }, { 0, { 3, 4 } } },          { { 2, { 3, 6 } }, { -1, { 1, 3, 2 } } },
        { { 2, { 5, 3 } }, { 0, { 0, 2, 0, 3 } } }, { { 3, { 2, 5, 3 } }, { 1, { 1, 1, 1, 2 } } },
        { { 2, { 0, 4 } }, { 1, { 1, 3 } } },       { { 3, { 2, 3, 4 } }, { -3, { 2 } } },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    return leat_case_of_one(k, samples[i].shape, &samples[i].s, sizeof samples[i].s);
}

LEAT_OP(split_sizes, .inputs = 1, .outputs = LEAT_MAX_OUTPUTS, .unread = LEAT_UNREAD_ALL);

void leat_split_sizes(leat_var x, int axis, int n, const int64_t *sizes, leat_var *pieces)
{
    split_attributes s = { .axis = axis };
    leat_var out[LEAT_MAX_OUTPUTS];
    int64_t at = 0;
    for (int i = 0; i < n && i < LEAT_MAX_OUTPUTS; i++)
        s.sizes[i] = sizes[i];
    if (n <= LEAT_MAX_OUTPUTS)
        leat_apply(&leat_op_split_sizes, &s, sizeof s, 1, &x, out);
    for (int i = 0; i < n; at += sizes[i], i++)
        pieces[i] = n <= LEAT_MAX_OUTPUTS ? out[i] : leat_slice(x, axis, at, sizes[i]);
}

/* A variable that has failed, or is of another step, goes to an op, which says so. */
static leat_var unsqueeze(const char *op, leat_var x, int axis)
{
    leat_shape shape = leat_var_shape(x), with = { .rank = shape.rank + 1 };
    char text[LEAT_SHAPE_TEXT];
    if (!leat_ok(x))
        return leat_reshape(x, shape);
    if (axis < -with.rank || axis >= with.rank || with.rank > LEAT_MAX_RANK)
        return leat_tape_fail(x.tape, LEAT_ESHAPE, "%s %s: axis %d of a result of rank %d, at most %d", op,
                              leat_shape_print(&shape, text), axis, with.rank, LEAT_MAX_RANK);
    axis = leat_axis(axis, with.rank);
    for (int i = 0; i < with.rank; i++)
        with.size[i] = i == axis ? 1 : shape.size[i < axis ? i : i - 1];
    return leat_reshape(x, with);
}

leat_var leat_unsqueeze(leat_var x, int axis)
{
    return unsqueeze("unsqueeze", x, axis);
}

leat_var leat_squeeze(leat_var x, int axis)
{
    leat_shape shape = leat_var_shape(x), without = { .rank = shape.rank - 1 };
    char text[LEAT_SHAPE_TEXT];
    if (!leat_ok(x))
        return leat_reshape(x, shape);
    if (axis < -shape.rank || axis >= shape.rank || leat_var_size(x, axis) != 1)
        return leat_tape_fail(x.tape, LEAT_ESHAPE, "squeeze %s: axis %d is not there, or its size not 1",
                              leat_shape_print(&shape, text), axis);
    axis = leat_axis(axis, shape.rank);
    for (int i = 0; i < without.rank; i++)
        without.size[i] = shape.size[i < axis ? i : i + 1];
    return leat_reshape(x, without);
}

leat_var leat_stack(int n, const leat_var *x, int axis)
{
    assert(n > 0);
    leat_shape shape = leat_var_shape(x[0]);
    leat_var with_axis[LEAT_MAX_INPUTS];
    char text[2][LEAT_SHAPE_TEXT];
    if (leat_ok(x[0]) && n > LEAT_MAX_INPUTS)
        return leat_tape_fail(x[0].tape, LEAT_EARG, "stack: %d inputs, at most %d", n, LEAT_MAX_INPUTS);
    for (int i = 0; i < n && i < LEAT_MAX_INPUTS; i++) {
        leat_shape other = leat_var_shape(x[i]);
        if (leat_ok(x[i]) && !leat_shape_equal(&other, &shape))
            return leat_tape_fail(x[0].tape, LEAT_ESHAPE, "stack %s x %s: the shapes differ",
                                  leat_shape_print(&shape, text[0]), leat_shape_print(&other, text[1]));
        with_axis[i] = unsqueeze("stack", x[i], axis);
        if (!leat_ok(with_axis[i]))
            return with_axis[i];
    }
    return leat_concat(n, with_axis, axis);
}

/* Refuses a split that does not make n pieces; of an empty axis there is one, empty. */
static bool check_split(leat_var x, int axis, int64_t size, int n)
{
    leat_shape shape = leat_var_shape(x);
    char text[LEAT_SHAPE_TEXT];
    leat_shape_print(&shape, text);
    if (axis < -shape.rank || axis >= shape.rank) {
        leat_tape_fail(x.tape, LEAT_ESHAPE, "split %s: axis %d of a tensor of rank %d", text, axis, shape.rank);
        return false;
    }
    int64_t whole = leat_var_size(x, axis), pieces = whole > 0 && size > 0 ? (whole - 1) / size + 1 : whole == 0;
    if (size < 0 || pieces != n)
        leat_tape_fail(x.tape, LEAT_ESHAPE, "split %s: %d pieces of %lld, but axis %d has the size %lld", text, n,
                       (long long)size, axis, (long long)whole);
    return size >= 0 && pieces == n;
}

void leat_split(leat_var x, int axis, int64_t size, int n, leat_var *pieces)
{
    bool refused = leat_ok(x) && !check_split(x, axis, size, n);
    int64_t whole = leat_var_size(x, axis), at = 0;
    for (int i = 0; i < n; i++) {
        int64_t length = whole - at < size ? whole - at : size;
        pieces[i] = refused ? (leat_var){ .tape = x.tape } : leat_slice(x, axis, at, length);
        at += length;
    }
}
