/* The table of all ops, made from the list in ops.h. */
#include "ops.h"

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
