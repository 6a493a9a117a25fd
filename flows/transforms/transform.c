/* Calling a transform inside its scope, what is asked of its type, and what transforms share. */
#include "../flow_impl.h"

#include <string.h>

static const leat_transform_type *type_of(const leat_transform *t)
{
    return (const leat_transform_type *)t->module.type;
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

bool leat_check_features(leat_var x, int64_t dim, const char *what)
{
    if (!leat_ok(x) || leat_tape_code(x.tape)) {
        leat_zeros_like(x); /* a stale or failed variable is reported by the tape itself */
        return false;
    }
    leat_shape shape = leat_var_shape(x);
    char text[LEAT_SHAPE_TEXT];
    if (shape.rank >= 2 && shape.size[shape.rank - 1] == dim)
        return true;
    leat_tape_fail(x.tape, LEAT_ESHAPE, "%s of %lld features is given %s, not [batch,%lld]", what, (long long)dim,
                   leat_shape_print(&shape, text), (long long)dim);
    return false;
}

bool leat_check_row(leat_var x, leat_shape row, const char *what)
{
    leat_shape is = leat_row_of(x);
    char want[LEAT_SHAPE_TEXT], got[LEAT_SHAPE_TEXT];
    if (!leat_ok(x) || leat_shape_equal(&is, &row))
        return leat_ok(x);
    leat_tape_fail(x.tape, LEAT_ESHAPE, "%s of rows %s is given rows %s", what, leat_shape_print(&row, want),
                   leat_shape_print(&is, got));
    return false;
}

bool leat_check_dim(const void *part, leat_model *m, int64_t dim, const char *what)
{
    if (part && dim < 1)
        leat_model_fail(m, LEAT_EARG, "%s of %lld features", what, (long long)dim);
    return part && dim >= 1;
}

leat_var leat_zero_logdet(leat_var x)
{
    return leat_ok(x) ? leat_zeros(x.tape, LEAT_SHAPE(leat_var_size(x, 0))) : (leat_var){ .tape = x.tape };
}

leat_var leat_logdet_of_features(leat_var sum, leat_var x, bool inverse)
{
    leat_shape shape = leat_var_shape(x);
    int64_t positions = 1;
    for (int i = 1; i < shape.rank - 1; i++)
        positions *= shape.size[i];
    if (inverse)
        sum = leat_neg(sum);
    if (positions != 1)
        sum = leat_mul_scalar(sum, (double)positions);
    return leat_broadcast_to(sum, LEAT_SHAPE(leat_var_size(x, 0)));
}

leat_shape leat_row_of(leat_var x)
{
    leat_shape shape = leat_var_shape(x);
    return leat_shape_of(shape.rank > 0 ? shape.rank - 1 : 0, shape.size + 1);
}

leat_var leat_as_rows(leat_var x, const leat_shape *row)
{
    leat_shape shape = { .rank = row->rank + 1, .size = { leat_var_size(x, 0) } };
    memcpy(shape.size + 1, row->size, (size_t)row->rank * sizeof *row->size);
    return leat_reshape(x, shape);
}

/* ---- calling ----------------------------------------------------------------------------------------------------- */

/* What a transform has given, an absent log-determinant taken as 0; a pair of another form fails the tape. */
static leat_pair checked(leat_pair out, leat_var x)
{
    char text[LEAT_SHAPE_TEXT];
    leat_tape *t = x.tape;
    if (leat_tape_code(t))
        return leat_failed_pair(x);
    if (leat_is_absent(out.logdet))
        out.logdet = leat_zero_logdet(x);
    if (leat_is_absent(out.y) || !leat_ok(out.y) || !leat_ok(out.logdet)) {
        leat_tape_fail(t, LEAT_ESTATE, "the transform gives no result, or a stale one");
        return leat_failed_pair(x);
    }
    leat_shape y = leat_var_shape(out.y), logdet = leat_var_shape(out.logdet), rows = LEAT_SHAPE(leat_var_size(x, 0));
    if (y.rank < 2 || y.size[0] != rows.size[0])
        leat_tape_fail(t, LEAT_ESHAPE, "of %lld rows the transform makes %s", (long long)rows.size[0],
                       leat_shape_print(&y, text));
    else if (!leat_shape_equal(&logdet, &rows))
        leat_tape_fail(t, LEAT_ESHAPE, "a log-determinant for each of %lld rows is needed, and the transform gives %s",
                       (long long)rows.size[0], leat_shape_print(&logdet, text));
    return leat_tape_code(t) ? leat_failed_pair(x) : out;
}

static leat_pair call_type(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    const leat_transform_type *type = type_of(t);
    if (type->run)
        return type->run(t, x, call, inverse);
    if (inverse ? type->inverse != NULL : type->forward != NULL)
        return (inverse ? type->inverse : type->forward)(t, x, call);
    leat_tape_fail(x.tape, LEAT_ESTATE, "the transform has no %s", inverse ? "inverse" : "forward");
    return leat_failed_pair(x);
}

leat_pair leat_transform_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    const leat_scope *was = leat_tape_enter(x.tape, &t->module.scope);
    bool notes = call->ledger && type_of(t) != &leat_chain_type && type_of(t) != &leat_split_type;
    leat_flow_call inside = *call;
    if (notes)
        inside.ledger = NULL; /* what is inside is part of this one */
    leat_pair out = checked(call_type(t, x, &inside, inverse), x);
    if (notes && !leat_tape_code(x.tape))
        leat_ledger_add_transform(call, t, out.logdet);
    leat_tape_enter(x.tape, was);
    return out;
}

leat_pair leat_transform_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    return leat_transform_run(t, x, call, false);
}

leat_pair leat_transform_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    return leat_transform_run(t, z, call, true);
}

/* ---- what the type says ------------------------------------------------------------------------------------------ */

leat_inverse_kind leat_kind_of(const leat_transform *t)
{
    if (type_of(t)->inverse_kind)
        return type_of(t)->inverse_kind(t);
    return type_of(t)->inner ? leat_kind_of(type_of(t)->inner(t)) : LEAT_INVERSE_UNKNOWN;
}

leat_inverse_kind leat_inverse_closed(const leat_transform *t)
{
    (void)t;
    return LEAT_INVERSE_CLOSED;
}

leat_inverse_kind leat_inverse_exact(const leat_transform *t)
{
    (void)t;
    return LEAT_INVERSE_EXACT;
}

int64_t leat_transform_numbers(const leat_transform *t, bool inverse)
{
    if (type_of(t)->numbers_per_row)
        return type_of(t)->numbers_per_row(t, inverse);
    return type_of(t)->inner ? leat_transform_numbers(type_of(t)->inner(t), inverse) : 0;
}

bool leat_transform_is_bound(const leat_transform *t)
{
    if (type_of(t)->is_bound)
        return type_of(t)->is_bound(t);
    return type_of(t)->inner && leat_transform_is_bound(type_of(t)->inner(t));
}

bool leat_transform_row(const leat_transform *t, leat_shape *row)
{
    return !type_of(t)->out_row || type_of(t)->out_row(t, row);
}

void leat_transform_trace(const leat_transform *t, int64_t numbers, bool *moved)
{
    if (type_of(t)->trace_moved)
        type_of(t)->trace_moved(t, numbers, moved);
    else
        memset(moved, true, (size_t)numbers * sizeof *moved);
}

void leat_trace_nothing(const leat_transform *t, int64_t numbers, bool *moved)
{
    (void)t, (void)numbers, (void)moved;
}

/* ---- for recomputing --------------------------------------------------------------------------------------------- */

static leat_pair invert_and_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    leat_tape_mark mark = leat_tape_save(x.tape);
    bool recording = leat_tape_set_recording(x.tape, false);
    leat_tensor from = leat_value(call_type(t, x, call, !inverse).y), to = leat_value(x);
    if (from.data && leat_shape_equal(&from.shape, &to.shape) && leat_shape_count(&to.shape))
        memcpy(to.data, from.data, (size_t)leat_shape_count(&to.shape) * sizeof(leat_real));
    leat_tape_keep(x.tape, mark, 0, NULL);
    leat_tape_set_recording(x.tape, recording);
    return call_type(t, x, call, inverse);
}

leat_pair leat_transform_rebuild(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    const leat_scope *was = leat_tape_enter(x.tape, &t->module.scope);
    leat_pair out = checked((type_of(t)->rebuild ? type_of(t)->rebuild : invert_and_run)(t, x, call, inverse), x);
    leat_tape_enter(x.tape, was);
    return out;
}

void leat_sized_write(const leat_module *m, leat_part_writer *w)
{
    const leat_sized_transform *s = (const leat_sized_transform *)m;
    leat_part_put_int(w, "dim", s->dim);
    if (s->size_name)
        leat_part_put_int(w, s->size_name, s->size);
}
