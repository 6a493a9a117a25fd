/*
 * Slices along an axis, picked by a list of indices: index_select, index_copy, index_add.
 *
 * Everything is done by four moves between a `whole` tensor and the `part` that the list picks from it, each for a
 * range of the axes before the indexed one. The whole has the shape of input 0.
 */
#include "ops.h"

#include <assert.h>
#include <string.h>

typedef struct index_attributes {
    int axis;
    leat_index index;
} index_attributes;

static leat_index index_of(const leat_call *c)
{
    return ((const index_attributes *)c->attributes)->index;
}

static int axis_of(const leat_call *c)
{
    return leat_axis(((const index_attributes *)c->attributes)->axis, c->in[0].shape.rank);
}

/* ---- moves ------------------------------------------------------------------------------------------------------- */

typedef enum move_kind { TAKE, PUT, ADD, CLEAR } move_kind;

typedef struct move_job {
    move_kind move;
    leat_extent split; /* of the whole */
    leat_index index;
    leat_real *whole, *part;
} move_job;

/* Slices of single numbers, the last axis: `rows` of whole and part, which are size and count wide. */
static void move_numbers(const move_job *j, int64_t rows, leat_real *whole, leat_real *part)
{
    const int64_t *at = j->index.at, n = j->index.count, size = j->split.size;
    for (const leat_real *end = whole + rows * size; whole < end; whole += size, part += n) {
        switch (j->move) {
        case TAKE:
            for (int64_t i = 0; i < n; i++)
                part[i] = whole[at[i]];
            break;
        case PUT:
            for (int64_t i = 0; i < n; i++)
                whole[at[i]] = part[i];
            break;
        case ADD:
            for (int64_t i = 0; i < n; i++)
                whole[at[i]] += part[i];
            break;
        case CLEAR:
            for (int64_t i = 0; i < n; i++)
                whole[at[i]] = 0;
            break;
        }
    }
}

static void move_slices(const move_job *j, leat_real *whole, leat_real *part)
{
    int64_t inner = j->split.inner;
    size_t bytes = (size_t)inner * sizeof *whole;
    for (int64_t i = 0; i < j->index.count; i++) {
        leat_real *slice = whole + j->index.at[i] * inner;
        if (j->move == TAKE)
            memcpy(part + i * inner, slice, bytes);
        else if (j->move == PUT)
            memcpy(slice, part + i * inner, bytes);
        else if (j->move == ADD)
            leat_kernels_get()->accumulate(slice, part + i * inner, inner);
        else
            memset(slice, 0, bytes);
    }
}

static void move_range(void *arg, int64_t begin, int64_t end)
{
    const move_job *j = arg;
    int64_t whole_step = j->split.size * j->split.inner, part_step = j->index.count * j->split.inner;
    if (j->split.inner == 1) {
        move_numbers(j, end - begin, j->whole + begin * whole_step, j->part + begin * part_step);
        return;
    }
    for (int64_t i = begin; i < end; i++)
        move_slices(j, j->whole + i * whole_step, j->part + i * part_step);
}

static void run_move(const leat_call *c, move_kind move, leat_real *whole, leat_real *part)
{
    move_job j = { move, leat_extent_at(&c->in[0].shape, axis_of(c)), index_of(c), whole, part };
    leat_call_rows(c, j.split.outer, j.index.count * j.split.inner, move_range, &j);
}

static size_t whole_bytes(const leat_call *c)
{
    return (size_t)leat_shape_count(&c->in[0].shape) * sizeof(leat_real);
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static leat_code check_indices(leat_call *c)
{
    const index_attributes *a = c->attributes;
    leat_code code = leat_call_axis(c, a->axis, c->in[0].shape.rank);
    if (code)
        return code;
    int64_t size = c->in[0].shape.size[axis_of(c)];
    for (int64_t i = 0; i < a->index.count; i++) {
        if (a->index.at[i] < 0 || a->index.at[i] >= size)
            return leat_call_fail(c, LEAT_EARG, "index %lld of the list is %lld, axis %d has the size %lld",
                                  (long long)i, (long long)a->index.at[i], a->axis, (long long)size);
    }
    return LEAT_OK;
}

static leat_code check_part(leat_call *c)
{
    leat_shape part = c->in[0].shape;
    char text[LEAT_SHAPE_TEXT];
    part.size[axis_of(c)] = index_of(c).count;
    if (!leat_shape_equal(&part, &c->in[1].shape))
        return leat_call_fail(c, LEAT_ESHAPE, "the second should be %s, one slice for each index",
                              leat_shape_print(&part, text));
    return LEAT_OK;
}

static leat_code check_once(leat_call *c)
{
    leat_index index = index_of(c);
    leat_arena *scratch = leat_tape_scratch(c->tape);
    leat_arena_mark mark = leat_arena_save(scratch);
    bool *seen = leat_arena_zalloc(scratch, (size_t)c->in[0].shape.size[axis_of(c)]);
    leat_code code = seen ? LEAT_OK : leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
    for (int64_t i = 0; i < index.count && code == LEAT_OK; i++) {
        if (seen[index.at[i]])
            code = leat_call_fail(c, LEAT_EARG, "index %lld of the list is %lld, for the second time", (long long)i,
                                  (long long)index.at[i]);
        seen[index.at[i]] = true;
    }
    leat_arena_restore(scratch, mark);
    return code;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static bool index_sample(leat_case *k, int i, bool with_part, bool once)
{
    static const int64_t once_at[] = { 2, 0, 4, 1 }, often_at[] = { 1, 1, 0, 1 };
    static const struct {
        leat_shape shape;
        int axis;
        int64_t count;
    } samples[] = {
        { { 1, { 5 } }, 0, 4 },        { { 1, { 5 } }, 0, 1 },          { { 2, { 3, 5 } }, 1, 3 },
        { { 2, { 5, 7 } }, 0, 4 },     { { 2, { 5, 1 } }, -2, 4 },      { { 3, { 2, 5, 3 } }, 1, 4 },
        { { 3, { 2, 3, 8 } }, -1, 2 }, { { 4, { 2, 2, 5, 2 } }, 2, 3 }, { { 2, { 2, 5 } }, 1, 0 },
        { { 2, { 0, 5 } }, 1, 2 },     { { 2, { 5, 0 } }, 0, 2 },
    };
    index_attributes *a = leat_arena_alloc(k->arena, sizeof *a);
    if (!a || i >= (int)(sizeof samples / sizeof *samples))
        return false;
    *a = (index_attributes){ samples[i].axis, { once ? once_at : often_at, samples[i].count } };
    leat_shape part = samples[i].shape;
    part.size[leat_axis(a->axis, part.rank)] = a->index.count;
    k->n = with_part ? 2 : 1;
    k->in[0] = leat_case_normal(k, samples[i].shape);
    if (with_part)
        k->in[1] = leat_case_normal(k, part);
    k->attributes = a;
    k->attributes_size = sizeof *a;
    return true;
}

/* The op keeps a copy of the list on the tape. */
static leat_var apply_indexed(const leat_op *op, int axis, leat_index index, int n, const leat_var *in)
{
    leat_tape *t = in[0].tape;
    assert(t && index.count >= 0);
    int64_t *at = leat_tape_alloc(t, (size_t)index.count * sizeof *at);
    if (at && index.count)
        memcpy(at, index.at, (size_t)index.count * sizeof *at);
    index_attributes a = { axis, { at, index.count } };
    return leat_apply(op, &a, sizeof a, n, in, NULL);
}

/* ---- index_select
 * ------------------------------------------------------------------------------------------------------ */

static leat_code index_select_shape(leat_call *c)
{
    leat_code code = check_indices(c);
    if (code)
        return code;
    c->out[0].shape = c->in[0].shape;
    c->out[0].shape.size[axis_of(c)] = index_of(c).count;
    return LEAT_OK;
}

static void index_select_forward(leat_call *c)
{
    run_move(c, TAKE, c->in[0].data, c->out[0].data);
}

static void index_select_backward(leat_call *c)
{
    memset(c->din[0].data, 0, whole_bytes(c));
    run_move(c, ADD, c->din[0].data, c->dout[0].data);
}

static bool index_select_sample(leat_case *k, int i)
{
    return index_sample(k, i, false, i % 2);
}

LEAT_OP(index_select, .inputs = 1, .unread = LEAT_UNREAD_ALL);

leat_var leat_index_select(leat_var x, int axis, leat_index index)
{
    return apply_indexed(&leat_op_index_select, axis, index, 1, &x);
}

/* ---- index_copy -----------------------------------------------------------------------------------------------------
 * */

static leat_code index_copy_shape(leat_call *c)
{
    leat_code code = check_indices(c);
    if (!code)
        code = check_part(c);
    c->out[0].shape = c->in[0].shape;
    return code ? code : check_once(c);
}

static void index_copy_forward(leat_call *c)
{
    memcpy(c->out[0].data, c->in[0].data, whole_bytes(c));
    run_move(c, PUT, c->out[0].data, c->in[1].data);
}

static void index_copy_backward(leat_call *c)
{
    if (c->din[0].data) {
        memcpy(c->din[0].data, c->dout[0].data, whole_bytes(c));
        run_move(c, CLEAR, c->din[0].data, c->in[1].data);
    }
    if (c->din[1].data)
        run_move(c, TAKE, c->dout[0].data, c->din[1].data);
}

static bool index_copy_sample(leat_case *k, int i)
{
    return index_sample(k, i, true, true);
}

LEAT_OP(index_copy, .inputs = 2, .unread = LEAT_UNREAD_ALL);

leat_var leat_index_copy(leat_var x, int axis, leat_index index, leat_var y)
{
    return apply_indexed(&leat_op_index_copy, axis, index, 2, (leat_var[]){ x, y });
}

/* ---- index_add ------------------------------------------------------------------------------------------------- */

static leat_code index_add_shape(leat_call *c)
{
    leat_code code = check_indices(c);
    c->out[0].shape = c->in[0].shape;
    return code ? code : check_part(c);
}

static void index_add_forward(leat_call *c)
{
    memcpy(c->out[0].data, c->in[0].data, whole_bytes(c));
    run_move(c, ADD, c->out[0].data, c->in[1].data);
}

static void index_add_backward(leat_call *c)
{
    if (c->din[0].data)
        memcpy(c->din[0].data, c->dout[0].data, whole_bytes(c));
    if (c->din[1].data)
        run_move(c, TAKE, c->dout[0].data, c->din[1].data);
}

static bool index_add_sample(leat_case *k, int i)
{
    return index_sample(k, i, true, i % 2);
}

LEAT_OP(index_add, .inputs = 2, .unread = LEAT_UNREAD_ALL);

leat_var leat_index_add(leat_var x, int axis, leat_index index, leat_var y)
{
    return apply_indexed(&leat_op_index_add, axis, index, 2, (leat_var[]){ x, y });
}
