/* Ops that are declared and not built yet: each refuses. Delete a line when the op gets its file. */
#include "ops.h"

static leat_code refuse(leat_call *c)
{
    return leat_call_fail(c, LEAT_ESTATE, "not built yet");
}

#define PENDING(op, parameters, x) \
    const leat_op leat_op_##op = { .name = #op, .inputs = 1, .shape = refuse }; \
    leat_var leat_##op parameters { return leat_apply(&leat_op_##op, NULL, 0, 1, &x, NULL); }

/* clang-format off */
PENDING(solve_triangular, (leat_var a, leat_var b, bool upper, bool transpose, bool unit), a)
PENDING(slogdet, (leat_var a, leat_var *sign), a)
PENDING(inverse, (leat_var a), a)
