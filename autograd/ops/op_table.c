/* The table of all ops, made from the list in ops.h, and the few functions that their files share. */
#include "ops.h"

#include <assert.h>

const leat_op *const *leat_ops(void)
{
#define UNARY(name, ...)      &leat_unary_ops[LEAT_UNARY_##name],
#define BINARY(name, ...)     &leat_binary_ops[LEAT_BINARY_##name],
#define COMPARISON(name, ...) &leat_comparison_ops[LEAT_COMPARISON_##name],
#define OTHER(name)           &leat_op_##name,
    static const leat_op *const table[] = { LEAT_UNARY_LIST(UNARY) LEAT_BINARY_LIST(BINARY)
                                                LEAT_COMPARISON_LIST(COMPARISON) LEAT_OPS(OTHER) NULL };
    return table;
}

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
