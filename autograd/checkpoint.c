/*
 * Checkpoints, and what every block does to run again (checkpoint.h).
 *
 * The first run records as usual, so that it takes the way that it takes without a checkpoint, and it is known which
 * results want a gradient; then the range is dropped, but for copies of the results.
 */
#include "checkpoint.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- running again ----------------------------------------------------------------------------------------------- */

leat_moment leat_tape_moment(const leat_tape *t)
{
    return (leat_moment){ t->rng, t->scope, t->training };
}

static void go_to(leat_tape *t, const leat_moment *m)
{
    t->rng = m->rng;
    t->scope = m->scope;
    t->training = m->training;
}

leat_rerun leat_rerun_begin(leat_tape *t, const leat_moment *then)
{
    leat_rerun r = { .tape = t,
                     .mark = leat_tape_save(t),
                     .scratch = leat_arena_save(&t->scratch),
                     .was = leat_tape_moment(t),
                     .recording = t->recording,
                     .recomputing = t->recomputing };
    go_to(t, then);
    t->recording = t->recomputing = true;
    return r;
}

void leat_rerun_end(leat_rerun *r)
{
    leat_tape *t = r->tape;
    for (uint32_t id = r->mark.nodes + 1; id <= t->count; id++) {
        leat_node *n = leat_tape_node(t, id);
        if (n->grad)
            leat_tape_give_grad(t, n->grad, leat_shape_count(&n->value.shape));
    }
    leat_tape_drop(t, r->mark);
    leat_arena_restore(&t->scratch, r->scratch);
    go_to(t, &r->was);
    t->recording = r->recording;
    t->recomputing = r->recomputing;
}

static bool same_numbers(const leat_real *a, const leat_real *b, int64_t n)
{
    if (n == 0 || memcmp(a, b, (size_t)n * sizeof *a) == 0)
        return true;
    for (int64_t i = 0; i < n; i++) {
        if (a[i] != b[i] && !(isnan(a[i]) && isnan(b[i])))
            return false;
    }
    return true;
}

bool leat_rerun_equals(leat_tape *t, leat_var v, const leat_tensor *first)
{
    const leat_node *n = leat_node_of(v);
    const leat_real *numbers = n ? leat_node_data(t, v.id) : NULL;
    if (!numbers)
        return false;
    char was[LEAT_SHAPE_TEXT], now[LEAT_SHAPE_TEXT];
    if (!leat_shape_equal(&n->value.shape, &first->shape))
        leat_tape_fail(t, LEAT_ESTATE, "recomputing gave %s, and %s the first time",
                       leat_shape_print(&n->value.shape, now), leat_shape_print(&first->shape, was));
    else if (!same_numbers(numbers, first->data, leat_shape_count(&first->shape)))
        leat_tape_fail(t, LEAT_ESTATE,
                       "recomputing %s gave other numbers than the first time: what it depends on "
                       "has changed",
                       leat_shape_print(&first->shape, was));
    return t->status.code == LEAT_OK;
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------- */

typedef struct checkpoint {
    leat_leaves *leaves;
    leat_block *fn;
    void *user;
    leat_moment then;
    leat_var *in;
    int kept, place[LEAT_MAX_INPUTS]; /* which results are outputs of the block */
} checkpoint;

/* The function's results: all absent, but for what it sets. */
static bool run(leat_tape *t, const checkpoint *c, leat_var *out)
{
    memset(out, 0, LEAT_MAX_INPUTS * sizeof *out);
    c->fn(t, c->user, c->in, out);
    return t->status.code == LEAT_OK;
}

static bool checkpoint_backward(leat_tape *t, uint32_t id)
{
    const checkpoint *c = leat_tape_node(t, id)->attributes;
    leat_var out[LEAT_MAX_INPUTS];
    leat_rerun r = leat_rerun_begin(t, &c->then);
    bool ok = run(t, c, out);
    for (int i = 0; i < c->kept && ok; i++) {
        leat_node *first = leat_tape_node(t, id + (uint32_t)i);
        ok = leat_rerun_equals(t, out[c->place[i]], &first->value);
        if (!ok || !first->grad)
            continue;
        ok = leat_tape_add_grad(t, out[c->place[i]], first->grad);
        leat_tape_give_grad(t, first->grad, leat_shape_count(&first->value.shape));
        first->grad = NULL;
    }
    ok = ok && leat_tape_walk(t, t->count, r.mark.nodes);
    leat_rerun_end(&r);
    return ok;
}

static bool checkpoint_search(leat_tape *t, uint32_t id)
{
    const checkpoint *c = leat_tape_node(t, id)->attributes;
    leat_var out[LEAT_MAX_INPUTS];
    leat_rerun r = leat_rerun_begin(t, &c->then);
    bool found = !run(t, c, out) || leat_tape_search(t, r.mark.nodes + 1, t->count);
    leat_rerun_end(&r);
    return found;
}

static const leat_block_op checkpoint_op = {
    .op = { .name = "checkpoint", .flags = LEAT_OP_BLOCK },
    .backward = checkpoint_backward,
    .search = checkpoint_search,
};

/* A result of the first run: what is to become of it once the range is gone. */
typedef struct result {
    leat_var *out;
    leat_tensor value;
    leat_leaf *leaf; /* of a parameter that is itself a result */
    int same_as;     /* an earlier result, or -1 */
    bool moves, wants_grad;
} result;

/* Results that were made in the range move out of it; others (inputs, say) are what they are. */
static bool look_at(leat_tape *t, uint32_t after, int n, leat_var *made, result *results)
{
    for (int i = 0; i < n; i++) {
        result *r = &results[i];
        *r = (result){ .out = &made[i], .same_as = -1 };
        const leat_node *node = made[i].tape ? leat_node_of(made[i]) : NULL;
        if (made[i].tape && !node)
            return false;
        if (!node || made[i].id <= after)
            continue;
        for (int j = 0; j < i && r->same_as < 0; j++)
            r->same_as = made[j].tape && made[j].id == made[i].id ? j : -1;
        r->moves = r->same_as < 0;
        r->wants_grad = node->needs_grad;
        r->leaf = node->leaf;
        if (r->moves && !r->leaf && !leat_copy_out(t, node, &r->value))
            return false;
    }
    return true;
}

/* The results again, behind the mark: outputs of the block, or constants. */
static bool put_back(leat_tape *t, checkpoint *c, int n, result *results)
{
    leat_tensor values[LEAT_MAX_INPUTS];
    leat_var *block[LEAT_MAX_INPUTS];
    for (int i = 0; i < n; i++) {
        result *r = &results[i];
        if (r->moves && r->leaf) {
            *r->out = leat_leaf_var(t, r->leaf);
        } else if (r->moves && r->wants_grad) {
            size_t bytes = (size_t)leat_shape_count(&r->value.shape) * sizeof(leat_real);
            leat_tensor *value = &values[c->kept];
            *value = (leat_tensor){ leat_tape_alloc(t, bytes), r->value.shape };
            if (!value->data)
                return false;
            memcpy(value->data, r->value.data, bytes);
            block[c->kept] = r->out;
            c->place[c->kept++] = i;
        } else if (r->moves) {
            *r->out = r->value.data ? leat_const(t, r->value) : leat_zeros(t, r->value.shape);
        }
    }
    if (t->status.code || !leat_block_add(t, &checkpoint_op, c, c->kept, values, block))
        return false;
    for (int i = 0; i < n; i++) {
        if (results[i].same_as >= 0)
            *results[i].out = *results[results[i].same_as].out;
    }
    return true;
}

static checkpoint *checkpoint_new(leat_tape *t, leat_block *fn, void *user, int inputs, const leat_var *in)
{
    checkpoint *c = leat_tape_alloc(t, sizeof *c);
    leat_var *copies = leat_tape_alloc(t, (size_t)inputs * sizeof *copies);
    if (!c || !copies)
        return NULL;
    for (int i = 0; i < inputs; i++)
        copies[i] = in[i];
    *c = (checkpoint){ .fn = fn, .user = user, .then = leat_tape_moment(t), .in = copies };
    return c;
}

static bool run_first(leat_tape *t, checkpoint *c, int outputs, leat_var *made)
{
    result results[LEAT_MAX_INPUTS];
    leat_arena_mark scratch = leat_arena_save(&t->scratch);
    leat_tape_mark mark = leat_tape_save(t);
    bool ok = run(t, c, made) && look_at(t, mark.nodes, outputs, made, results) &&
              leat_block_drop(t, mark, &c->leaves, NULL, NULL) && put_back(t, c, outputs, results);
    leat_arena_restore(&t->scratch, scratch);
    return ok;
}

leat_code leat_checkpoint(leat_tape *t, leat_block *fn, void *user, int inputs, const leat_var *in, int outputs,
                          leat_var *out)
{
    assert(t && inputs >= 0 && inputs <= LEAT_MAX_INPUTS && outputs >= 0 && outputs <= LEAT_MAX_INPUTS);
    leat_var made[LEAT_MAX_INPUTS], *kept[LEAT_MAX_INPUTS];
    bool ok = false;
    if (t->status.code == LEAT_OK) {
        bool recording = t->recording;
        leat_tape_mark mark = leat_tape_save(t);
        checkpoint *c = checkpoint_new(t, fn, user, inputs, in);
        ok = c && (recording ? run_first(t, c, outputs, made) : run(t, c, made));
        for (int i = 0; i < outputs; i++)
            kept[i] = &made[i];
        if (ok && !recording)
            leat_tape_keep(t, mark, outputs, kept);
        ok = ok && t->status.code == LEAT_OK;
    }
    for (int i = 0; i < outputs; i++)
        out[i] = ok ? made[i] : (leat_var){ .tape = t };
    return t->status.code;
}
