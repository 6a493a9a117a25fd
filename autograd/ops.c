/* The table of all ops, made from the list in ops.h, and the few functions that their files share. */
#include "ops.h"

const leat_op *const *leat_ops(void)
{
#define OP_ROW(name, ...) &leat_op_##name,
    static const leat_op *const table[] = { LEAT_ALL_OPS(OP_ROW) NULL };
#undef OP_ROW
    return table;
}

leat_code leat_call_axis(leat_call *c, int axis, int rank)
{
    if (axis < -rank || axis >= rank)
        return leat_call_fail(c, LEAT_ESHAPE, "axis %d of a tensor of rank %d", axis, rank);
    return LEAT_OK;
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
