/*
 * The way back: from the last node to the first, each op turning the gradients of its outputs into those of its inputs.
 *
 * An op writes its whole contribution to an input. The first contribution to a gradient goes straight to its place;
 * a later one goes to spare memory and is added. The gradient of an activation dies when its op has passed it on.
 */
#include "block.h"
#include "ops/broadcast.h"
#include "../tensor/kernels/kernels.h"

#include <math.h>
#include <string.h>

/* ---- memory of gradients ----------------------------------------------------------------------------------------- */

leat_real *leat_tape_take_grad(leat_tape *t, int64_t count)
{
    leat_real *grad = leat_spare_take(&t->spare_grads, &t->grads, (size_t)count * sizeof *grad);
    if (!grad)
        leat_tape_fail(t, LEAT_ENOMEM, "out of memory for a gradient of %lld numbers", (long long)count);
    return grad;
}

void leat_tape_give_grad(leat_tape *t, leat_real *grad, int64_t count)
{
    leat_spare_give(&t->spare_grads, grad, (size_t)count * sizeof *grad);
}

/* ---- one op ------------------------------------------------------------------------------------------------------ */

static int64_t node_count(const leat_node *n)
{
    return leat_shape_count(&n->value.shape);
}

/* The place of the node's gradient; *fresh: there is no contribution in it yet. It counts as filled from now on. */
static leat_real *claim_grad(leat_tape *t, leat_node *n, bool *fresh)
{
    if (n->leaf) {
        *fresh = !n->leaf->has_grad;
        n->leaf->has_grad = true;
        return n->leaf->grad;
    }
    *fresh = n->grad == NULL;
    if (*fresh)
        n->grad = leat_tape_take_grad(t, node_count(n));
    return n->grad;
}

/* Where an input's contribution goes: `write` is what the op fills (shape of the output while a broadcast is still to
 * be summed down), then it is reduced and added on its way to `place`. */
typedef struct target {
    leat_real *place, *write;
    bool fresh, reduce;
} target;

static bool prepare_target(leat_call *c, const leat_node *n, int i, leat_node *input, target *to)
{
    *to = (target){ 0 };
    c->din[i] = (leat_tensor){ .shape = c->in[i].shape };
    if (!input || !input->needs_grad || (n->op->no_grad >> i & 1))
        return true;
    to->place = claim_grad(c->tape, input, &to->fresh);
    if (!to->place)
        return false;
    if (n->op->flags & LEAT_OP_BROADCAST) {
        to->reduce = !leat_shape_equal(&c->in[i].shape, &c->out[0].shape);
        c->din[i].shape = c->out[0].shape;
    }
    to->write = to->place;
    if (!to->fresh || to->reduce)
        to->write = leat_call_scratch(c, (size_t)leat_shape_count(&c->din[i].shape) * sizeof(leat_real));
    c->din[i].data = to->write;
    return to->write != NULL;
}

static bool finish_target(leat_call *c, int i, const target *to)
{
    if (!to->place)
        return true;
    leat_real *contribution = to->write;
    int64_t count = leat_shape_count(&c->in[i].shape);
    if (to->reduce) {
        leat_real *sum = to->place;
        if (!to->fresh && !(sum = leat_call_scratch(c, (size_t)count * sizeof *sum)))
            return false;
        if (leat_sum_to_shape(&c->tape->scratch, to->write, &c->out[0].shape, sum, &c->in[i].shape)) {
            leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
            return false;
        }
        contribution = sum;
    }
    if (!to->fresh)
        leat_kernels_get()->accumulate(to->place, contribution, count);
    return true;
}

/* A view's gradient is the same numbers: handed over where nothing is there yet, added otherwise. */
static bool pass_view(leat_tape *t, leat_node *n)
{
    leat_node *input = leat_tape_node(t, n->in[0]);
    if (!input->needs_grad)
        return true;
    if (!input->leaf && !input->is_input && !input->grad) {
        input->grad = n->grad;
        n->grad = NULL;
        return true;
    }
    bool fresh;
    leat_real *place = claim_grad(t, input, &fresh);
    if (place && fresh)
        memcpy(place, n->grad, (size_t)node_count(n) * sizeof(leat_real));
    else if (place)
        leat_kernels_get()->accumulate(place, n->grad, node_count(n));
    return place != NULL;
}

/* NaN in the place of a value that the op says it does not read. */
static bool hide(leat_call *c, leat_tensor *x, bool unread)
{
    if (!c->tape->hides || !unread || !x->data)
        return true;
    size_t bytes = (size_t)leat_shape_count(&x->shape) * sizeof(leat_real);
    x->data = leat_call_scratch(c, bytes);
    return x->data && memset(x->data, 0xFF, bytes);
}

static bool take_dout(leat_call *c, uint32_t id, int outputs)
{
    for (int i = 0; i < outputs; i++) {
        leat_node *n = leat_tape_node(c->tape, id + (uint32_t)i);
        c->out[i] = n->value;
        if (!n->grad) {
            n->grad = leat_tape_take_grad(c->tape, node_count(n));
            if (!n->grad)
                return false;
            memset(n->grad, 0, (size_t)node_count(n) * sizeof(leat_real));
        }
        c->dout[i] = (leat_tensor){ n->grad, n->value.shape };
        if (!hide(c, &c->out[i], c->op->unread & LEAT_UNREAD_OUT(i)))
            return false;
    }
    return true;
}

static bool backward_op(leat_tape *t, uint32_t id)
{
    leat_node *n = leat_tape_node(t, id);
    if (n->op->flags & LEAT_OP_VIEW)
        return pass_view(t, n);
    if (n->op->flags & LEAT_OP_BLOCK)
        return ((const leat_block_op *)n->op)->backward(t, id);
    leat_call c;
    c.tape = t;
    c.op = n->op;
    c.attributes = n->attributes;
    c.inputs = n->inputs;
    if (!take_dout(&c, id, n->outputs))
        return false;
    target to[LEAT_MAX_INPUTS];
    for (int i = 0; i < c.inputs; i++) {
        leat_node *input = n->in[i] ? leat_tape_node(t, n->in[i]) : NULL;
        if (input && !leat_node_owner(t, input)->gone && !leat_node_data(t, n->in[i]))
            return false;
        c.in[i] = input ? input->value : (leat_tensor){ 0 };
        if (!prepare_target(&c, n, i, input, &to[i]) || !hide(&c, &c.in[i], n->op->unread >> i & 1))
            return false;
    }
    n->op->backward(&c);
    for (int i = 0; i < c.inputs; i++) {
        if (!finish_target(&c, i, &to[i]))
            return false;
    }
    return t->status.code == LEAT_OK;
}

static bool reached(const leat_tape *t, uint32_t id, int outputs)
{
    for (int i = 0; i < outputs; i++) {
        if (leat_tape_node(t, id + (uint32_t)i)->grad)
            return true;
    }
    return false;
}

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

static void drop_grads(leat_tape *t, uint32_t id, int outputs)
{
    for (int i = 0; i < outputs; i++) {
        leat_node *n = leat_tape_node(t, id + (uint32_t)i);
        if (n->grad)
            leat_tape_give_grad(t, n->grad, node_count(n));
        n->grad = NULL;
    }
}

bool leat_tape_walk(leat_tape *t, uint32_t from, uint32_t after)
{
    leat_arena_mark scratch = leat_arena_save(&t->scratch);
    /* `from` may be the second of several outputs; its op stands at the first */
    for (uint32_t id = from; id > after; id--) {
        const leat_node *n = leat_tape_node(t, id);
        if (!n->op || !n->needs_grad || !reached(t, id, n->outputs))
            continue;
        bool ok = backward_op(t, id);
        leat_arena_restore(&t->scratch, scratch);
        if (!ok)
            return false;
        drop_grads(t, id, n->outputs);
    }
    return true;
}

bool leat_tape_add_grad(leat_tape *t, leat_var v, const leat_real *grad)
{
    leat_node *n = leat_node_of(v);
    if (!n || !n->needs_grad)
        return n != NULL;
    bool fresh;
    leat_real *place = claim_grad(t, n, &fresh);
    if (place && fresh && node_count(n))
        memcpy(place, grad, (size_t)node_count(n) * sizeof(leat_real));
    else if (place)
        leat_kernels_get()->accumulate(place, grad, node_count(n));
    return place != NULL;
}

void leat_clear_grads(leat_tape *t)
{
    for (uint32_t id = 1; id <= t->count; id++) {
        leat_node *n = leat_tape_node(t, id);
        if (n->leaf)
            n->leaf->has_grad = false;
        if (n->op && n->op->flags & LEAT_OP_BLOCK)
            leat_block_clear(n);
        if (n->grad)
            leat_tape_give_grad(t, n->grad, node_count(n));
        n->grad = NULL;
    }
}

leat_code leat_vjp(leat_var y, leat_tensor cotangent)
{
    leat_node *n = leat_node_of(y);
    leat_tape *t = y.tape;
    char want[LEAT_SHAPE_TEXT], got[LEAT_SHAPE_TEXT];
    if (n && !leat_shape_equal(&n->value.shape, &cotangent.shape)) {
        leat_tape_fail(t, LEAT_ESHAPE, "vjp: the variable is %s, its cotangent %s",
                       leat_shape_print(&n->value.shape, want), leat_shape_print(&cotangent.shape, got));
    } else if (n && !n->needs_grad && !t->recording) {
        leat_tape_fail(t, LEAT_ESTATE, "backward: the tape is not recording");
    } else if (n && n->needs_grad) {
        if (leat_tape_add_grad(t, y, cotangent.data))
            leat_tape_walk(t, y.id, 0);
    }
    if (t->status.code)
        leat_clear_grads(t);
    return t->status.code;
}

leat_code leat_backward(leat_var loss)
{
    leat_node *n = leat_node_of(loss);
    leat_tape *t = loss.tape;
    char text[LEAT_SHAPE_TEXT];
    if (n && node_count(n) != 1)
        leat_tape_fail(t, LEAT_ESHAPE, "backward: the loss is %s, not one number",
                       leat_shape_print(&n->value.shape, text));
    else if (n)
        leat_tape_check(loss);
    if (t->status.code) {
        leat_clear_grads(t);
        return t->status.code;
    }
    leat_real one = 1;
    return leat_vjp(loss, (leat_tensor){ &one, n->value.shape });
}

/* ---- the first value that is not finite -------------------------------------------------------------------------- */

static int64_t first_nonfinite(const leat_node *n)
{
    int64_t count = n->value.data ? node_count(n) : 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(n->value.data[i]))
            return i;
    }
    return -1;
}

/* Makes the results of the op at node `id` again that were let go of: an op is a function of its inputs, which are
 * there, or have been made again before. */
static bool make_again(leat_tape *t, uint32_t id)
{
    leat_node *n = leat_tape_node(t, id);
    leat_call c = { .tape = t, .op = n->op, .attributes = n->attributes, .inputs = n->inputs };
    for (int i = 0; i < c.inputs; i++) {
        if (!n->in[i])
            continue;
        leat_node *input = leat_tape_node(t, n->in[i]);
        c.in[i] = (leat_tensor){ leat_node_data(t, n->in[i]), input->value.shape };
        if (!c.in[i].data)
            return false;
    }
    for (int i = 0; i < n->outputs; i++) {
        leat_node *out = leat_tape_node(t, id + (uint32_t)i);
        c.out[i] = out->value;
        c.out[i].data = leat_tape_alloc(t, (size_t)node_count(out) * sizeof(leat_real));
        if (!c.out[i].data)
            return false;
    }
    leat_arena_mark scratch = leat_arena_save(&t->scratch);
    n->op->forward(&c);
    leat_arena_restore(&t->scratch, scratch);
    for (int i = 0; i < n->outputs && !t->status.code; i++) {
        leat_tape_node(t, id + (uint32_t)i)->value = c.out[i];
        leat_tape_node(t, id + (uint32_t)i)->gone = false;
    }
    return t->status.code == LEAT_OK;
}

bool leat_tape_search(leat_tape *t, uint32_t first, uint32_t last)
{
    uint32_t op_id = 0; /* of the op that the node is an output of, if it is one */
    for (uint32_t id = first; id <= last; id++) {
        leat_node *n = leat_tape_node(t, id), *owner = leat_node_owner(t, n);
        if (n->op || (op_id && id - op_id >= leat_tape_node(t, op_id)->outputs))
            op_id = n->op ? id : 0;
        if (n->gone && !make_again(t, op_id))
            return true;
        n->value.data = owner->value.data; /* a view may be one of what was made again */
        int64_t at = first_nonfinite(n);
        if (at < 0)
            continue;
        const leat_op *op = op_id ? leat_tape_node(t, op_id)->op : NULL;
        if (op && op->flags & LEAT_OP_BLOCK && ((const leat_block_op *)op)->search(t, op_id))
            return true;
        const char *what = op ? op->name : n->leaf ? "parameter" : n->is_input ? "input" : "constant";
        const char *value = isnan(n->value.data[at]) ? "nan" : n->value.data[at] > 0 ? "inf" : "-inf";
        char place[LEAT_PATH_TEXT], shape[LEAT_SHAPE_TEXT];
        leat_fail(&t->status, LEAT_ENONFINITE, "%s%s %s is the first value that is not finite: %s at element %lld",
                  leat_place(n->scope, place), what, leat_shape_print(&n->value.shape, shape), value, (long long)at);
        return true;
    }
    return false;
}

leat_code leat_tape_check(leat_var v)
{
    leat_node *end = leat_node_of(v);
    leat_tape *t = v.tape;
    if (end && leat_node_kept(t, end) && first_nonfinite(end) >= 0)
        leat_tape_search(t, 1, t->count);
    return t->status.code;
}
