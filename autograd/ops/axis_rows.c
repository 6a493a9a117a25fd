/* Axes as a caller names them, and work on the rows along one, wherever in memory they lie. */
#include "ops.h"

#include <assert.h>

leat_code leat_call_axis(leat_call *c, int axis, int rank)
{
    if (axis < -rank || axis >= rank)
        return leat_call_fail(c, LEAT_ESHAPE, "axis %d of a tensor of rank %d", axis, rank);
    return LEAT_OK;
}

leat_axes leat_axes_of(int n, const int *axes)
{
    assert(n >= 0 && (n == 0 || axes));
    leat_axes a = { .n = n <= LEAT_MAX_RANK ? n : LEAT_MAX_RANK + 1 };
    for (int i = 0; i < a.n; i++)
        a.at[i] = axes[i];
    return a;
}

bool leat_axes_set(const leat_axes *axes, int rank, unsigned *set, int *wrong)
{
    *set = 0;
    for (int i = 0; i < axes->n; i++) {
        int axis = leat_axis(axes->at[i], rank);
        *wrong = axes->at[i];
        if (axis < 0 || axis >= rank || (*set >> axis & 1))
            return false;
        *set |= 1U << axis;
    }
    return true;
}

leat_code leat_call_axes(leat_call *c, const leat_axes *axes, int rank, unsigned *set)
{
    int wrong;
    if (leat_axes_set(axes, rank, set, &wrong))
        return LEAT_OK;
    leat_code code = leat_call_axis(c, wrong, rank);
    return code ? code : leat_call_fail(c, LEAT_ESHAPE, "axis %d is named twice", wrong);
}

leat_extent leat_extent_at(const leat_shape *s, int axis)
{
    axis = leat_axis(axis, s->rank);
    leat_extent split = { 1, s->size[axis], 1 };
    for (int i = 0; i < axis; i++)
        split.outer *= s->size[i];
    for (int i = axis + 1; i < s->rank; i++)
        split.inner *= s->size[i];
    return split;
}

void leat_call_rows(const leat_call *c, int64_t rows, int64_t width, leat_range_fn *fn, void *arg)
{
    leat_parallel_for(leat_tape_pool(c->tape), rows, LEAT_GRAIN / (width > 0 ? width : 1), fn, arg);
}

/* ---- rows along an axis ------------------------------------------------------------------------------------------ */

enum { TILE = 16 }; /* columns moved at a time, so that what is read stays in the cache */

/* [rows, cols] to [cols, rows] */
static void transpose(const leat_real *from, int64_t rows, int64_t cols, leat_real *to)
{
    for (int64_t begin = 0; begin < cols; begin += TILE) {
        int64_t end = begin + TILE < cols ? begin + TILE : cols;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = begin; j < end; j++)
                to[j * rows + i] = from[i * cols + j];
    }
}

typedef struct along_job {
    leat_extent e;
    const leat_real *a, *b;
    leat_real *out, *moved[3]; /* moved: room for a, b and out as contiguous rows */
    leat_rows_fn *fn;
} along_job;

static void contiguous_range(void *arg, int64_t begin, int64_t end)
{
    const along_job *j = arg;
    int64_t at = begin * j->e.size;
    j->fn(j->a + at, j->b ? j->b + at : NULL, j->out + at, end - begin, j->e.size);
}

static void moved_range(void *arg, int64_t begin, int64_t end)
{
    const along_job *j = arg;
    int64_t size = j->e.size, inner = j->e.inner;
    for (int64_t at = begin * size * inner; at < end * size * inner; at += size * inner) {
        leat_real *b = j->b ? j->moved[1] + at : NULL;
        transpose(j->a + at, size, inner, j->moved[0] + at);
        if (b)
            transpose(j->b + at, size, inner, b);
        j->fn(j->moved[0] + at, b, j->moved[2] + at, inner, size);
        transpose(j->moved[2] + at, inner, size, j->out + at);
    }
}

void leat_call_along(leat_call *c, const leat_shape *shape, int axis, const leat_real *a, const leat_real *b,
                     leat_real *out, leat_rows_fn *fn)
{
    along_job j = { .e = leat_extent_at(shape, axis), .a = a, .b = b, .out = out, .fn = fn };
    if (j.e.size == 0)
        return;
    if (j.e.inner == 1) {
        leat_call_rows(c, j.e.outer, j.e.size, contiguous_range, &j);
        return;
    }
    for (int i = 0; i < 3; i++) {
        if (i == 1 && !b)
            continue;
        j.moved[i] = leat_call_scratch(c, (size_t)leat_shape_count(shape) * sizeof(leat_real));
        if (!j.moved[i])
            return;
    }
    leat_call_rows(c, j.e.outer, j.e.size * j.e.inner, moved_range, &j);
}
