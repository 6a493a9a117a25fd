/* Calling a transform inside its scope, and what transforms share. */
#include "../flow_impl.h"

#include <string.h>

bool leat_check_features(leat_var x, int64_t dim, const char *what)
{
    if (!leat_ok(x) || leat_tape_code(x.tape)) {
        leat_zeros_like(x); /* a stale or failed variable is reported by the tape itself */
        return false;
    }
    leat_shape shape = leat_var_shape(x);
    char text[LEAT_SHAPE_TEXT];
    if (shape.rank == 2 && shape.size[1] == dim)
        return true;
    leat_tape_fail(x.tape, LEAT_ESHAPE, "%s of %lld features is given %s, not [batch,%lld]", what, (long long)dim,
                   leat_shape_print(&shape, text), (long long)dim);
    return false;
}

leat_var leat_zero_logdet(leat_var x)
{
    return leat_ok(x) ? leat_zeros(x.tape, LEAT_SHAPE(leat_var_size(x, 0))) : (leat_var){ .tape = x.tape };
}

typedef leat_pair call_fn(leat_transform *t, leat_var x, const leat_flow_call *call);

static leat_pair run(leat_transform *t, call_fn *fn, leat_var x, const leat_flow_call *call)
{
    const leat_scope *was = leat_tape_enter(x.tape, &t->module.scope);
    leat_pair out = fn(t, x, call);
    leat_tape_enter(x.tape, was);
    return out;
}

leat_pair leat_transform_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    return run(t, ((const leat_transform_type *)t->module.type)->forward, x, call);
}

leat_pair leat_transform_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    return run(t, ((const leat_transform_type *)t->module.type)->inverse, z, call);
}

/* ---- for recomputing --------------------------------------------------------------------------------------------- */

leat_inverse_kind leat_inverse_closed(const leat_transform *t)
{
    (void)t;
    return LEAT_INVERSE_CLOSED;
}

static leat_pair invert_and_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    const leat_transform_type *type = (const leat_transform_type *)t->module.type;
    leat_tape_mark mark = leat_tape_save(x.tape);
    bool recording = leat_tape_set_recording(x.tape, false);
    leat_var back = (inverse ? type->forward : type->inverse)(t, x, call).y;
    leat_tensor from = leat_value(back), to = leat_value(x);
    if (leat_ok(back) && leat_shape_equal(&from.shape, &to.shape) && leat_shape_count(&to.shape))
        memcpy(to.data, from.data, (size_t)leat_shape_count(&to.shape) * sizeof(leat_real));
    leat_tape_keep(x.tape, mark, 0, NULL);
    leat_tape_set_recording(x.tape, recording);
    return (inverse ? type->inverse : type->forward)(t, x, call);
}

leat_pair leat_transform_rebuild(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    const leat_transform_type *type = (const leat_transform_type *)t->module.type;
    const leat_scope *was = leat_tape_enter(x.tape, &t->module.scope);
    leat_pair out = (type->rebuild ? type->rebuild : invert_and_run)(t, x, call, inverse);
    leat_tape_enter(x.tape, was);
    return out;
}
