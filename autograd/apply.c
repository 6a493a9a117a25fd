/* Running an op: checking its inputs, its shapes and its memory, then forward, then a node for every output. */
#include "tape.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

leat_code leat_call_fail(leat_call *c, leat_code code, const char *format, ...)
{
    if (c->tape->status.code)
        return c->tape->status.code;
    char shapes[4 * LEAT_SHAPE_TEXT] = "", one[LEAT_SHAPE_TEXT], reason[256];
    size_t used = 0;
    for (int i = 0; i < c->inputs && used < sizeof shapes; i++) {
        const char *text = c->in[i].data ? leat_shape_print(&c->in[i].shape, one) : "-";
        used += (size_t)snprintf(shapes + used, sizeof shapes - used, i ? " x %s" : " %s", text);
    }
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    leat_tape_fail(c->tape, code, "%s%.240s: %s", c->op->name, shapes, reason);
    return code;
}

void *leat_call_scratch(leat_call *c, size_t bytes)
{
    void *block = leat_arena_alloc(&c->tape->scratch, bytes);
    if (!block)
        leat_call_fail(c, LEAT_ENOMEM, "out of memory for %zu bytes of scratch", bytes);
    return block;
}

static leat_tape *tape_of(int n, const leat_var *in)
{
    for (int i = 0; i < n; i++) {
        if (in[i].tape)
            return in[i].tape;
    }
    return NULL;
}

/* Fills in the values; *needs_grad tells whether any input wants a gradient that the op can give. */
static bool take_inputs(leat_call *c, const leat_var *in, bool *needs_grad)
{
    const leat_op *op = c->op;
    *needs_grad = false;
    for (int i = 0; i < c->inputs; i++) {
        c->in[i] = (leat_tensor){ 0 };
        if (!in[i].tape && (op->optional >> i & 1))
            continue;
        if (!in[i].tape || in[i].tape != c->tape) {
            leat_tape_fail(c->tape, LEAT_ESTATE, "%s: input %d is %s", op->name, i,
                           in[i].tape ? "a variable of another tape" : "absent");
            return false;
        }
        leat_node *n = leat_node_of(in[i]);
        if (!n || !leat_node_data(c->tape, in[i].id))
            return false;
        c->in[i] = n->value;
        *needs_grad |= n->needs_grad && !(op->no_grad >> i & 1);
    }
    return true;
}

static bool make_outputs(leat_call *c, int outputs)
{
    char text[LEAT_SHAPE_TEXT];
    for (int i = 0; i < outputs; i++) {
        int64_t count = leat_shape_count(&c->out[i].shape);
        if (count < 0) {
            leat_call_fail(c, LEAT_ENOMEM, "no memory could hold the result's shape %s",
                           leat_shape_print(&c->out[i].shape, text));
            return false;
        }
        if (c->op->flags & LEAT_OP_VIEW)
            c->out[i].data = c->in[0].data;
        else if (!(c->out[i].data =
                       leat_spare_take(&c->tape->spare_values, &c->tape->step, (size_t)count * sizeof(leat_real)))) {
            leat_call_fail(c, LEAT_ENOMEM, "out of memory for a result of shape %s",
                           leat_shape_print(&c->out[i].shape, text));
            return false;
        }
    }
    return true;
}

/* What backward will want to know of the op, kept beside its first output's node. */
static bool record(leat_call *c, leat_node *first, size_t attributes_size, const leat_var *in)
{
    leat_tape *t = c->tape;
    uint32_t *ids = leat_tape_alloc(t, (size_t)c->inputs * sizeof *ids);
    void *attributes = attributes_size ? leat_tape_alloc(t, attributes_size) : NULL;
    if (!ids || (attributes_size && !attributes))
        return false;
    const unsigned unread = c->op->flags & LEAT_OP_VIEW ? LEAT_UNREAD_ALL : c->op->unread;
    for (int i = 0; i < c->inputs; i++) {
        ids[i] = in[i].tape ? in[i].id : 0;
        if (ids[i] && !(unread >> i & 1))
            leat_node_owner(t, leat_tape_node(t, ids[i]))->read = true;
    }
    if (attributes)
        memcpy(attributes, c->attributes, attributes_size);
    first->in = ids;
    first->attributes = attributes;
    first->inputs = (uint8_t)c->inputs;
    return true;
}

/* Where result i has its numbers from, and, where backward is to come, whether the op itself reads them then. */
static void place_result(leat_tape *t, leat_node *n, const leat_op *op, int i, leat_var first_in)
{
    if (op->flags & LEAT_OP_VIEW) {
        leat_node *in = leat_tape_node(t, first_in.id);
        n->link = leat_node_owner(t, in) == in ? first_in.id : in->link;
    } else if (n->needs_grad && op->unread & LEAT_UNREAD_OUT(i)) {
        n->link = t->unread;
        t->unread = t->count;
    }
}

leat_var leat_apply(const leat_op *op, const void *attributes, size_t attributes_size, int inputs, const leat_var *in,
                    leat_var *out)
{
    int outputs = op->outputs ? op->outputs : 1;
    leat_tape *t = tape_of(inputs, in);
    assert(t && "an op needs at least one variable");
    assert(inputs <= LEAT_MAX_INPUTS && outputs <= LEAT_MAX_OUTPUTS);
    assert(op->variadic ? inputs >= op->inputs : inputs == op->inputs);
    leat_var failed = { .tape = t };
    for (int i = 0; out && i < outputs; i++)
        out[i] = failed;
    if (t->status.code)
        return failed;

    leat_call c; /* large: only what is used gets filled in */
    c.tape = t;
    c.op = op;
    c.attributes = attributes;
    c.inputs = inputs;
    bool needs_grad;
    if (!take_inputs(&c, in, &needs_grad) || op->shape(&c) || !make_outputs(&c, outputs))
        return failed;
    if (!(op->flags & LEAT_OP_VIEW)) {
        leat_arena_mark scratch = leat_arena_save(&t->scratch);
        op->forward(&c);
        leat_arena_restore(&t->scratch, scratch);
    }
    needs_grad = needs_grad && t->recording && (op->backward || (op->flags & LEAT_OP_VIEW));

    leat_var made[LEAT_MAX_OUTPUTS];
    for (int i = 0; i < outputs && !t->status.code; i++) {
        leat_node *n = leat_tape_add(t);
        if (!n)
            return failed;
        made[i] = leat_tape_last(t);
        n->value = c.out[i];
        n->needs_grad = needs_grad;
        place_result(t, n, op, i, in[0]);
        if (i == 0) {
            n->op = op;
            n->outputs = (uint8_t)outputs;
            if (needs_grad && !record(&c, n, attributes_size, in))
                return failed;
        }
    }
    if (t->status.code) /* forward ran out of scratch, say */
        return failed;
    if (out)
        memcpy(out, made, (size_t)outputs * sizeof *out);
    return made[0];
}
