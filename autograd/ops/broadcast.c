/*
 * Broadcasting and its reverse.
 *
 * Both first collapse the shape: axes of size 1 go, and neighbours that every operand treats alike (walks along, or
 * stays on the spot) become one. Most of what is left is a single axis, or one row after the other.
 */
#include "broadcast.h"
#include "../../tensor/kernels/kernels.h"

#include <string.h>

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

typedef struct walk {
    int rank, operands; /* collapsed; rank is at least 1 */
    int64_t size[LEAT_MAX_RANK], stride[LEAT_BROADCAST_OPERANDS][LEAT_MAX_RANK];
    const leat_tensor *in;
    leat_run_fn *fn;
    void *arg;
} walk;

/* How far apart neighbours along an axis of `out` are in an operand, whose axes are aligned at the end; 0 where it
 * stays on the spot. */
static int64_t stride_along(const leat_shape *operand, const leat_shape *out, int axis)
{
    int own = axis - (out->rank - operand->rank);
    if (own < 0 || operand->size[own] == 1)
        return 0;
    int64_t stride = 1;
    for (int i = own + 1; i < operand->rank; i++)
        stride *= operand->size[i];
    return stride;
}

static bool continues_last(const walk *w, const int64_t *stride, int64_t size)
{
    for (int k = 0; k < w->operands; k++) {
        if (w->stride[k][w->rank - 1] != stride[k] * size)
            return false;
    }
    return true;
}

static void collapse(walk *w, const leat_shape *out)
{
    for (int axis = 0; axis < out->rank; axis++) {
        int64_t size = out->size[axis], stride[LEAT_BROADCAST_OPERANDS];
        if (size == 1)
            continue;
        for (int k = 0; k < w->operands; k++)
            stride[k] = stride_along(&w->in[k].shape, out, axis);
        if (w->rank > 0 && continues_last(w, stride, size))
            w->size[w->rank - 1] *= size;
        else
            w->size[w->rank++] = size;
        for (int k = 0; k < w->operands; k++)
            w->stride[k][w->rank - 1] = stride[k];
    }
    if (w->rank == 0)
        w->size[w->rank++] = 1;
}

/* Where the operands of run number `index` begin, and its place along each axis. */
static void seek(const walk *w, int64_t run, int64_t *index, int64_t *start)
{
    for (int axis = w->rank - 2; axis >= 0; axis--) {
        index[axis] = run % w->size[axis];
        run /= w->size[axis];
        for (int k = 0; k < w->operands; k++)
            start[k] += index[axis] * w->stride[k][axis];
    }
}

static void next_run(const walk *w, int64_t *index, int64_t *start)
{
    for (int axis = w->rank - 2; axis >= 0; axis--) {
        bool wraps = ++index[axis] == w->size[axis];
        int64_t steps = wraps ? 1 - w->size[axis] : 1;
        for (int k = 0; k < w->operands; k++)
            start[k] += steps * w->stride[k][axis];
        if (!wraps)
            return;
        index[axis] = 0;
    }
}

static void walk_range(void *arg, int64_t begin, int64_t end)
{
    const walk *w = arg;
    int last = w->rank - 1;
    int64_t length = w->size[last], column = begin % length;
    int64_t index[LEAT_MAX_RANK] = { 0 }, start[LEAT_BROADCAST_OPERANDS] = { 0 };
    seek(w, begin / length, index, start);
    leat_run r = { .out = begin };
    for (int k = 0; k < w->operands; k++)
        r.step[k] = w->stride[k][last] != 0;
    while (r.out < end) {
        r.n = length - column < end - r.out ? length - column : end - r.out;
        for (int k = 0; k < w->operands; k++)
            r.in[k] = w->in[k].data + start[k] + (r.step[k] ? column : 0);
        w->fn(w->arg, &r);
        r.out += r.n;
        column = 0;
        next_run(w, index, start);
    }
}

void leat_broadcast_walk(leat_pool *pool, const leat_shape *out, int operands, const leat_tensor *in, leat_run_fn *fn,
                         void *arg)
{
    walk w = { .operands = operands, .in = in, .fn = fn, .arg = arg };
    collapse(&w, out);
    leat_parallel_for(pool, leat_shape_count(out), LEAT_GRAIN, walk_range, &w);
}

static void copy_run(void *arg, const leat_run *r)
{
    leat_real *out = (leat_real *)arg + r->out;
    if (r->step[0])
        memcpy(out, r->in[0], (size_t)r->n * sizeof *out);
    else
        leat_kernels_get()->fill(out, r->n, *r->in[0]);
}

void leat_broadcast_copy(leat_pool *pool, leat_tensor x, leat_tensor out)
{
    leat_broadcast_walk(pool, &out.shape, 1, &x, copy_run, out.data);
}

/* ---- reduction --------------------------------------------------------------------------------------------------- */

/* Neighbouring axes of one kind, reduced or kept, as one. */
typedef struct group {
    int64_t size, stride;
    bool reduced;
} group;

static int group_axes(const leat_shape *s, unsigned axes, group groups[LEAT_MAX_RANK])
{
    int n = 0;
    for (int axis = 0; axis < s->rank; axis++) {
        bool reduced = axes >> axis & 1;
        if (s->size[axis] == 1)
            continue;
        if (n > 0 && groups[n - 1].reduced == reduced)
            groups[n - 1].size *= s->size[axis];
        else
            groups[n++] = (group){ .size = s->size[axis], .reduced = reduced };
    }
    int64_t stride = 1;
    for (int i = n - 1; i >= 0; i--) {
        groups[i].stride = stride;
        stride *= groups[i].size;
    }
    return n;
}

/* Kept, reduced, kept, each perhaps missing: false if there is more. */
static bool in_place(const group *groups, int n, leat_reduction *r)
{
    int i = 0;
    r->outer = i < n && !groups[i].reduced ? groups[i++].size : 1;
    r->count = i < n && groups[i].reduced ? groups[i++].size : 1;
    r->inner = i < n && !groups[i].reduced ? groups[i++].size : 1;
    return i == n;
}

/* Copies numbers to `out` in the order of the groups as listed. */
static void permute(const leat_real *x, const group *groups, int n, leat_real *out)
{
    int64_t index[LEAT_MAX_RANK] = { 0 }, from = 0, runs = 1;
    for (int i = 0; i < n - 1; i++)
        runs *= groups[i].size;
    for (; runs > 0; runs--) {
        for (int64_t i = 0; i < groups[n - 1].size; i++)
            *out++ = x[from + i * groups[n - 1].stride];
        for (int i = n - 2; i >= 0; i--) {
            from += groups[i].stride;
            if (++index[i] < groups[i].size)
                break;
            from -= groups[i].size * groups[i].stride;
            index[i] = 0;
        }
    }
}

leat_code leat_reduction_of(leat_arena *scratch, const leat_real *x, const leat_shape *shape, unsigned axes, bool rows,
                            leat_reduction *r)
{
    group groups[LEAT_MAX_RANK], sorted[LEAT_MAX_RANK];
    int n = group_axes(shape, axes, groups), at = 0;
    r->x = x;
    if (in_place(groups, n, r) && (r->inner == 1 || !rows))
        return LEAT_OK;
    *r = (leat_reduction){ 1, 1, 1, NULL };
    for (int reduced = 0; reduced <= 1; reduced++) {
        for (int i = 0; i < n; i++) {
            if (groups[i].reduced != (bool)reduced)
                continue;
            sorted[at++] = groups[i];
            *(reduced ? &r->count : &r->outer) *= groups[i].size;
        }
    }
    leat_real *moved = leat_arena_alloc(scratch, (size_t)leat_shape_count(shape) * sizeof *moved);
    if (!moved)
        return LEAT_ENOMEM;
    permute(x, sorted, n, moved);
    r->x = moved;
    return LEAT_OK;
}

typedef struct sum_job {
    const leat_reduction *r;
    leat_real *out;
} sum_job;

static void sum_range(void *arg, int64_t begin, int64_t end)
{
    const sum_job *job = arg;
    const leat_reduction *r = job->r;
    const leat_kernels *kernels = leat_kernels_get();
    for (int64_t i = begin; i < end; i++) {
        const leat_real *x = r->x + i * r->count * r->inner;
        if (r->inner == 1)
            job->out[i] = (leat_real)kernels->sum(x, r->count);
        else
            kernels->sum_rows(x, r->count, r->inner, r->inner, job->out + i * r->inner);
    }
}

void leat_reduction_sum(leat_pool *pool, const leat_reduction *r, leat_real *out)
{
    int64_t width = r->count * r->inner;
    sum_job job = { r, out };
    if (r->count == 1)
        memcpy(out, r->x, (size_t)(r->outer * r->inner) * sizeof *out);
    else
        leat_parallel_for(pool, r->outer, LEAT_GRAIN / (width > 0 ? width : 1), sum_range, &job);
}

leat_code leat_sum_to_shape(leat_arena *scratch, const leat_real *src, const leat_shape *from, leat_real *dst,
                            const leat_shape *to)
{
    unsigned axes = 0;
    for (int axis = 0; axis < from->rank; axis++) {
        int own = axis - (from->rank - to->rank);
        if (own < 0 || to->size[own] == 1)
            axes |= 1U << axis;
    }
    leat_arena_mark mark = leat_arena_save(scratch);
    leat_reduction r;
    leat_code code = leat_reduction_of(scratch, src, from, axes, false, &r);
    if (code == LEAT_OK)
        leat_reduction_sum(NULL, &r, dst);
    leat_arena_restore(scratch, mark);
    return code;
}
