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
PENDING(amax, (leat_var x, int n, const int *axes, bool keep), x)
PENDING(amin, (leat_var x, int n, const int *axes, bool keep), x)
PENDING(prod, (leat_var x, int n, const int *axes, bool keep), x)
PENDING(cumsum, (leat_var x, int axis), x)
PENDING(flip, (leat_var x, int n, const int *axes), x)
PENDING(searchsorted, (leat_var sorted, leat_var values, bool right), sorted)
PENDING(affine_forward, (leat_var x, leat_var s, leat_var t, leat_var *logdet), x)
PENDING(affine_inverse, (leat_var y, leat_var s, leat_var t, leat_var *logdet), y)
PENDING(normal_log_density, (leat_var x), x)
PENDING(logistic_log_density, (leat_var x), x)
