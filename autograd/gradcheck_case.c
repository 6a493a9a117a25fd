/* Cases for the gradient checker: inputs drawn for an op by its sampler, and the op as a function of those that have a
 * gradient. */
#include "tape.h"

#include <string.h>

leat_tensor leat_case_normal(leat_case *k, leat_shape shape)
{
    leat_tensor t = leat_tensor_new(k->arena, shape, NULL);
    if (t.data)
        leat_rng_fill_normal(k->rng, t.data, leat_shape_count(&shape));
    return t;
}

leat_tensor leat_case_away(leat_case *k, leat_shape shape, double low, double high, bool positive)
{
    leat_tensor t = leat_tensor_new(k->arena, shape, NULL);
    for (int64_t i = 0; t.data && i < leat_shape_count(&shape); i++) {
        double x = low + (high - low) * leat_rng_uniform(k->rng);
        bool negative = leat_rng_uniform(k->rng) < 0.5;
        t.data[i] = (leat_real)(negative && !positive ? -x : x);
    }
    return t;
}

/* The inputs of a case, told apart: those that are varied, and constants. */
typedef struct op_case {
    leat_case k;
    int n, place[LEAT_MAX_INPUTS]; /* of the varied: where among the op's inputs */
    leat_tensor varied[LEAT_MAX_INPUTS];
    leat_tensor copies[LEAT_MAX_INPUTS]; /* of the constants; the others are empty */
} op_case;

static bool split_inputs(op_case *o)
{
    for (int i = 0; i < o->k.n; i++) {
        leat_tensor x = o->k.in[i];
        if (x.data && !(o->k.op->no_grad >> i & 1)) {
            o->place[o->n] = i;
            o->varied[o->n++] = x;
        } else if (x.data) {
            o->copies[i] = leat_tensor_new(o->k.arena, x.shape, NULL);
            if (!o->copies[i].data)
                return false;
            memcpy(o->copies[i].data, x.data, (size_t)leat_shape_count(&x.shape) * sizeof(leat_real));
        }
    }
    return true;
}

static leat_var apply_case(leat_tape *t, int n, const leat_var *varied, void *user)
{
    op_case *o = user;
    leat_var in[LEAT_MAX_INPUTS] = { { 0 } }, out[LEAT_MAX_OUTPUTS];
    for (int i = 0; i < n; i++)
        in[o->place[i]] = varied[i];
    for (int i = 0; i < o->k.n; i++) {
        if (o->copies[i].data)
            in[i] = leat_borrow(t, o->k.in[i]);
    }
    leat_apply(o->k.op, o->k.attributes, o->k.attributes_size, o->k.n, in, out);
    if (o->k.op->outputs <= 1)
        return out[0];
    for (int i = 0; i < o->k.op->outputs; i++)
        out[i] = leat_reshape(out[i], LEAT_SHAPE(-1));
    return leat_concat(o->k.op->outputs, out, 0);
}

static bool constants_untouched(const op_case *o)
{
    for (int i = 0; i < o->k.n; i++) {
        const leat_tensor *copy = &o->copies[i];
        size_t bytes = copy->data ? (size_t)leat_shape_count(&copy->shape) * sizeof(leat_real) : 0;
        if (bytes && memcmp(copy->data, o->k.in[i].data, bytes) != 0)
            return false;
    }
    return true;
}

static bool check_case(op_case *o, const leat_gradcheck_opts *opts, leat_gradcheck_report *report)
{
    leat_gradcheck_opts with = *opts;
    with.may_vanish |= o->k.may_vanish;
    if (!split_inputs(o)) {
        report->reason = "out of memory";
        return false;
    }
    leat_gradcheck(apply_case, o, o->n, o->varied, &with, report);
    if (report->input >= 0)
        report->input = o->place[report->input];
    if (report->ok && !constants_untouched(o)) {
        report->ok = false;
        report->reason = "a constant input was written to";
    }
    return report->ok;
}

bool leat_gradcheck_op(const leat_op *op, int i, bool *exists, const leat_gradcheck_opts *o,
                       leat_gradcheck_report *report)
{
    static const leat_gradcheck_opts defaults;
    leat_gradcheck_report ignored;
    if (!report)
        report = &ignored;
    if (!o)
        o = &defaults;
    *report = (leat_gradcheck_report){ .reason = "there is no such case", .input = -1 };
    leat_arena arena;
    leat_arena_init(&arena, NULL);
    leat_rng rng = leat_rng_new(o->seed, 3 + (uint64_t)i);
    op_case c = { .k = { .op = op, .arena = &arena, .rng = &rng } };
    *exists = op->sample && op->sample(&c.k, i);
    bool ok = *exists && check_case(&c, o, report);
    leat_arena_free(&arena);
    return ok;
}
