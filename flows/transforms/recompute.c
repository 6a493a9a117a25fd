/*
 * The chain when memory is to be spared: one block (autograd/checkpoint.h) for all transforms, whose outputs are the
 * last y and the sum of the log-determinants. In between only what gives each transform's input back from its output
 * stays:
 *
 *     whole     the input
 *     moved     of a transform with a mask whose kept features have the same bits on both sides: the moved features
 *     invert    nothing, the transform's inverse gives the input
 *
 * Of transforms that round in their inverse every sixteenth has its input kept whole, so that rounding does not add up
 * over more. The first transform's input is the chain's own, and needs nothing. Backward goes from the last transform to
 * the first: input back, run again, walk back, let go.
 *
 * The layers of a chain inside count as the chain's own: as one transform it would be run again as a whole, and then once
 * more layer by layer. Only its log-determinants are added up by themselves, as an ordinary pass does.
 */
#include "../flow_impl.h"
#include "../../autograd/checkpoint.h"

#include <string.h>

typedef enum restoring { RESTORE_WHOLE, RESTORE_MOVED, RESTORE_INVERT } restoring;

enum { MOST_ROUNDED = 15 }; /* inverses one behind the other that round */

typedef struct stage {
    leat_tensor *kept; /* with its numbers behind it; NULL: nothing */
    uint64_t position; /* in the tape's random numbers, before it ran */
    uint8_t restore;   /* restoring */
    bool input_wants_grad;
} stage;

/* A transform that is no chain, and how many chains inside begin with it and end with it. */
typedef struct layer {
    leat_transform *transform;
    int begin, end;
} layer;

/* y and the sum so far, in memory that serves all of the pass; data NULL: not yet, or zeros. */
typedef struct state {
    leat_tensor y, sum;
    bool y_wants_grad, sum_wants_grad;
} state;

typedef struct chain {
    leat_leaves *leaves;
    leat_chain_parts *parts;
    leat_flow_call call;
    leat_var x;
    leat_moment then;
    leat_tensor z; /* the last y */
    const layer *layers;
    int length, first; /* first: before it, nothing wants a gradient */
    state *outside;    /* of the sums of chains that have begun and not ended, `depth` of them */
    int depth;
    int y_at, sum_at; /* which outputs of the block they are, or -1 */
    int rounded;      /* inverses that round since the last input that was kept whole */
    int64_t largest;  /* numbers in the largest y */
    bool inverse;
    stage *stages;
} chain;

/* How many there are; they are written where `to` is not NULL. */
static int flatten(const leat_chain_parts *p, layer *to)
{
    int n = 0;
    for (int i = 0; i < p->length; i++) {
        leat_transform *t = p->layers[i];
        bool nested = t->module.type == &leat_chain_type.module;
        int inside = nested ? flatten((const leat_chain_parts *)t, to ? to + n : NULL) : 1;
        if (to && !nested)
            to[n] = (layer){ .transform = t };
        if (to && nested && inside) {
            to[n].begin++;
            to[n + inside - 1].end++;
        }
        n += inside;
    }
    return n;
}

static const layer *layer_of(const chain *c, int k)
{
    return &c->layers[c->inverse ? c->length - 1 - k : k];
}

static leat_transform *transform_of(const chain *c, int k)
{
    return layer_of(c, k)->transform;
}

/* What came out of one transform as the input of the next: a variable of its own. */
static leat_var state_var(leat_tape *t, leat_tensor value, bool wants_grad)
{
    leat_var v = leat_borrow(t, value);
    if (v.id)
        leat_tape_node(t, v.id)->needs_grad = wants_grad;
    return v;
}

/* Transform k, and the sum with its log-determinant. */
static leat_pair run(const chain *c, int k, leat_var x, leat_var sum, bool rebuild)
{
    leat_transform *t = transform_of(c, k);
    leat_pair out = (rebuild ? leat_transform_rebuild : leat_transform_run)(t, x, &c->call, c->inverse);
    return (leat_pair){ out.y, leat_add(sum, out.logdet) };
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

/* The numbers in memory of the state's. */
static bool store(leat_tape *t, leat_tensor *to, leat_tensor from)
{
    int64_t count = leat_shape_count(&from.shape);
    if (!from.data) {
        *to = from;
        return true;
    }
    if (!to->data || leat_shape_count(&to->shape) < count)
        to->data = leat_tape_alloc(t, (size_t)count * sizeof(leat_real));
    to->shape = from.shape;
    if (to->data && count)
        memcpy(to->data, from.data, (size_t)count * sizeof(leat_real));
    return to->data != NULL;
}

static leat_real *kept_new(leat_tape *t, stage *s, leat_shape shape)
{
    size_t header = (sizeof(leat_tensor) + 63) / 64 * 64;
    s->kept = leat_tape_alloc(t, header + (size_t)leat_shape_count(&shape) * sizeof(leat_real));
    if (!s->kept)
        return NULL;
    *s->kept = (leat_tensor){ (leat_real *)((char *)s->kept + header), shape };
    return s->kept->data;
}

/* Keeps what will give transform k's input x back from its output y. */
static bool keep(chain *c, int k, leat_tensor x, leat_tensor y)
{
    stage *s = &c->stages[k];
    leat_tape *t = c->x.tape;
    const leat_transform *transform = transform_of(c, k);
    const leat_transform_type *type = (const leat_transform_type *)transform->module.type;
    const leat_mask *mask = type->mask ? type->mask(transform) : NULL;
    leat_inverse_kind kind = leat_kind_of(transform);
    bool same_shape = leat_shape_equal(&x.shape, &y.shape);
    bool rounds = kind == LEAT_INVERSE_CLOSED && c->parts->recompute == LEAT_RECOMPUTE_INVERT;
    if (same_shape && (kind == LEAT_INVERSE_EXACT || (rounds && c->rounded < MOST_ROUNDED))) {
        c->rounded += rounds;
        s->restore = RESTORE_INVERT;
        return true;
    }
    if (same_shape && mask && !rounds && leat_mask_keeps(mask, x, y)) {
        s->restore = RESTORE_MOVED;
        leat_real *to = kept_new(t, s, leat_mask_moved_shape(mask, x.shape));
        if (to)
            leat_mask_take(mask, x, to);
        return to != NULL;
    }
    s->restore = RESTORE_WHOLE;
    c->rounded = 0;
    leat_real *to = kept_new(t, s, x.shape);
    if (to && leat_shape_count(&x.shape))
        memcpy(to, x.data, (size_t)leat_shape_count(&x.shape) * sizeof *to);
    return to != NULL;
}

/* Runs transform k from the state. What it makes stays on the tape; the numbers of its results also go to scratch. */
static bool run_from(const chain *c, int k, const state *h, state *next)
{
    leat_tape *t = c->x.tape;
    leat_var x = k ? state_var(t, h->y, h->y_wants_grad) : c->x;
    leat_var sum = h->sum.data ? state_var(t, h->sum, h->sum_wants_grad) : leat_zero_logdet(x);
    leat_pair out = run(c, k, x, sum, false);
    const leat_node *y = leat_node_of(out.y), *logdet = y ? leat_node_of(out.logdet) : NULL;
    if (!logdet || !leat_node_data(t, out.y.id))
        return false;
    *next = (state){ .y_wants_grad = y->needs_grad, .sum_wants_grad = logdet->needs_grad };
    return leat_copy_out(t, y, &next->y) && leat_copy_out(t, logdet, &next->sum);
}

/* Whether a leaf is one of the transform's own parameters, which need no list. */
typedef struct leaf_search {
    const leat_leaf *leaf;
    bool found;
} leaf_search;

static void compare_leaf(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    leaf_search *s = v->user;
    s->found = s->found || &p->leaf == s->leaf;
}

static bool is_own(const void *transform, const leat_leaf *leaf)
{
    leaf_search s = { leaf, false };
    leat_visit(&(leat_visitor){ .user = &s, .param = compare_leaf }, (leat_module *)transform);
    return s.found;
}

/* Chains inside have sums of their own, from zero, which are added to those outside at their end. */
static void begin_sums(chain *c, int k, state *h)
{
    for (int n = c->inverse ? layer_of(c, k)->end : layer_of(c, k)->begin; n > 0; n--) {
        c->outside[c->depth++] = *h;
        h->sum = (leat_tensor){ 0 };
        h->sum_wants_grad = false;
    }
}

static void end_sums(chain *c, int k, state *h)
{
    for (int n = c->inverse ? layer_of(c, k)->begin : layer_of(c, k)->end; n > 0; n--) {
        state *outside = &c->outside[--c->depth];
        for (int64_t i = 0; h->sum.data && outside->sum.data && i < h->sum.shape.size[0]; i++)
            outside->sum.data[i] += h->sum.data[i];
        h->sum = outside->sum.data ? outside->sum : h->sum;
        h->sum_wants_grad |= outside->sum_wants_grad;
    }
}

static bool forward_stage(chain *c, int k, state *h)
{
    leat_tape *t = c->x.tape;
    state next;
    begin_sums(c, k, h);
    leat_arena_mark scratch = leat_arena_save(&t->scratch);
    leat_tape_mark mark = leat_tape_save(t);
    c->stages[k] = (stage){ .position = leat_tape_rng(t)->position, .input_wants_grad = h->y_wants_grad };
    bool ok = run_from(c, k, h, &next) && leat_block_drop(t, mark, &c->leaves, is_own, transform_of(c, k)) &&
              (!k || keep(c, k, h->y, next.y)) && store(t, &h->y, next.y) && store(t, &h->sum, next.sum);
    leat_arena_restore(&t->scratch, scratch);
    if (!ok)
        return false;
    h->y_wants_grad = next.y_wants_grad;
    h->sum_wants_grad = next.sum_wants_grad;
    if (c->first == k && !h->y_wants_grad && !h->sum_wants_grad)
        c->first++;
    int64_t count = leat_shape_count(&h->y.shape);
    c->largest = count > c->largest ? count : c->largest;
    end_sums(c, k, h);
    return true;
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

typedef struct way_back {
    const chain *c;
    leat_tape *tape;
    leat_tensor now;              /* the output of the transform that is next */
    bool exact;                   /* to the bit: no rounded inverse has given it */
    leat_real *y_grad, *sum_grad; /* of it, and of the sum; NULL: none */
    leat_real *room[2];
} way_back;

/* Memory for an input, other than that of the output; what is in it may be written to. */
static leat_tensor copy_now(way_back *w)
{
    leat_real **room = &w->room[w->room[0] && w->now.data == w->room[0]];
    int64_t count = leat_shape_count(&w->now.shape);
    if (!*room)
        *room = leat_tape_alloc(w->tape, (size_t)w->c->largest * sizeof **room);
    if (*room && count)
        memcpy(*room, w->now.data, (size_t)count * sizeof **room);
    return (leat_tensor){ *room, w->now.shape };
}

/* Transform k's input; if its inverse is to give it, still the output. */
static leat_tensor input_of(way_back *w, int k)
{
    const stage *s = &w->c->stages[k];
    if (s->restore == RESTORE_WHOLE)
        return *s->kept;
    leat_tensor x = copy_now(w);
    if (s->restore == RESTORE_INVERT || !x.data)
        return x;
    const leat_transform *t = transform_of(w->c, k);
    leat_mask_put(((const leat_transform_type *)t->module.type)->mask(t), x, s->kept->data);
    return x;
}

static void give_back(leat_tape *t, leat_real **grad, const leat_shape *shape)
{
    if (*grad)
        leat_tape_give_grad(t, *grad, leat_shape_count(shape));
    *grad = NULL;
}

static leat_real *take_grad(leat_tape *t, uint32_t id)
{
    leat_node *n = leat_tape_node(t, id);
    leat_real *grad = n->grad;
    n->grad = NULL;
    return grad;
}

/* Runs transform k again and hands the gradients on to its input and parameters. */
static bool hand_on(way_back *w, int k, leat_var x, uint32_t after)
{
    leat_tape *t = w->tape;
    bool rebuild = k > 0 && w->c->stages[k].restore == RESTORE_INVERT;
    leat_pair out = run(w->c, k, x, leat_zero_logdet(x), rebuild);
    bool exact = w->exact && (!rebuild || leat_kind_of(transform_of(w->c, k)) == LEAT_INVERSE_EXACT);
    leat_shape now = leat_var_shape(out.y);
    if (t->status.code || (exact && !leat_rerun_equals(t, out.y, &w->now)))
        return false;
    if (!leat_shape_equal(&now, &w->now.shape))
        return leat_tape_fail(t, LEAT_ESTATE, "recomputing gave another shape than the first time"), false;
    if (w->y_grad && !leat_tape_add_grad(t, out.y, w->y_grad))
        return false;
    w->exact = exact || (k > 0 && w->c->stages[k].restore == RESTORE_WHOLE);
    give_back(t, &w->y_grad, &w->now.shape);
    if (w->sum_grad && !leat_tape_add_grad(t, out.logdet, w->sum_grad))
        return false;
    return leat_tape_walk(t, t->count, after);
}

static bool backward_stage(way_back *w, int k)
{
    leat_tape *t = w->tape;
    const chain *c = w->c;
    leat_tensor value = k ? input_of(w, k) : leat_value(c->x);
    if (!value.data)
        return false;
    leat_moment then = c->then;
    then.rng.position = c->stages[k].position;
    leat_rerun r = leat_rerun_begin(t, &then);
    leat_var x = k ? state_var(t, value, c->stages[k].input_wants_grad) : c->x;
    bool ok = leat_ok(x) && hand_on(w, k, x, r.mark.nodes);
    if (k && ok)
        w->y_grad = take_grad(t, x.id);
    w->now = value;
    leat_rerun_end(&r);
    return ok;
}

static bool chain_backward(leat_tape *t, uint32_t id)
{
    const chain *c = leat_tape_node(t, id)->attributes;
    way_back w = { .c = c, .tape = t, .now = c->z, .exact = true };
    leat_shape rows = LEAT_SHAPE(0);
    if (c->y_at >= 0)
        w.y_grad = take_grad(t, id + (uint32_t)c->y_at);
    if (c->sum_at >= 0) {
        rows = leat_tape_node(t, id + (uint32_t)c->sum_at)->value.shape;
        w.sum_grad = take_grad(t, id + (uint32_t)c->sum_at);
    }
    leat_rerun r = leat_rerun_begin(t, &c->then);
    bool ok = true;
    for (int k = c->length - 1; ok && k >= c->first && (w.y_grad || w.sum_grad); k--)
        ok = backward_stage(&w, k);
    give_back(t, &w.sum_grad, &rows);
    leat_rerun_end(&r);
    return ok;
}

/* Forward once more, to find the first value that is not finite. */
static bool chain_search(leat_tape *t, uint32_t id)
{
    const chain *c = leat_tape_node(t, id)->attributes;
    leat_rerun all = leat_rerun_begin(t, &c->then);
    state h = { 0 }, next;
    bool found = false;
    for (int k = 0; k < c->length && !found; k++) {
        leat_arena_mark scratch = leat_arena_save(&t->scratch);
        leat_tape_mark mark = leat_tape_save(t);
        leat_tape_rng(t)->position = c->stages[k].position;
        found = !run_from(c, k, &h, &next) || leat_tape_search(t, mark.nodes + 1, t->count);
        leat_tape_drop(t, mark);
        found = found || !store(t, &h.y, next.y) || !store(t, &h.sum, next.sum);
        leat_arena_restore(&t->scratch, scratch);
    }
    leat_rerun_end(&all);
    return found;
}

typedef struct leaf_call {
    leat_leaf_fn *fn;
    void *user;
} leaf_call;

static void call_leaf(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    const leaf_call *call = v->user;
    if (!p->leaf.frozen)
        call->fn(call->user, &p->leaf);
}

static void own_leaves(const leat_node *n, leat_leaf_fn *fn, void *user)
{
    const chain *c = n->attributes;
    leat_visitor v = { .user = &(leaf_call){ fn, user }, .param = call_leaf };
    for (int k = 0; k < c->length; k++)
        leat_visit(&v, &transform_of(c, k)->module);
}

static const leat_block_op chain_op = {
    .op = { .name = "flow", .flags = LEAT_OP_BLOCK },
    .backward = chain_backward,
    .search = chain_search,
    .known_leaves = own_leaves,
};

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static chain *chain_new(leat_chain_parts *p, leat_var x, const leat_flow_call *call, bool inverse)
{
    leat_tape *t = x.tape;
    size_t length = (size_t)flatten(p, NULL);
    chain *c = leat_tape_alloc(t, sizeof *c);
    stage *stages = leat_tape_alloc(t, length * sizeof *stages);
    layer *layers = leat_tape_alloc(t, length * sizeof *layers);
    if (!c || !stages || !layers)
        return NULL;
    flatten(p, layers);
    size_t depth = 0;
    for (size_t k = 0; k < length; k++)
        depth += (size_t)layers[k].begin;
    state *outside = depth ? leat_tape_alloc(t, depth * sizeof *outside) : NULL;
    if (depth && !outside)
        return NULL;
    *c = (chain){ .parts = p,
                  .call = *call,
                  .x = x,
                  .then = leat_tape_moment(t),
                  .layers = layers,
                  .length = (int)length,
                  .outside = outside,
                  .y_at = -1,
                  .sum_at = -1,
                  .inverse = inverse,
                  .stages = stages };
    return c;
}

/* The last state as variables: outputs of the block where they want a gradient. */
static leat_pair finish(chain *c, const state *h)
{
    leat_tape *t = c->x.tape;
    leat_pair out;
    leat_tensor values[2];
    leat_var *block[2];
    int n = 0;
    c->z = h->y;
    if (h->y_wants_grad) {
        values[n] = h->y;
        block[n] = &out.y;
        c->y_at = n++;
    } else {
        out.y = leat_borrow(t, h->y);
    }
    if (h->sum_wants_grad) {
        values[n] = h->sum;
        block[n] = &out.logdet;
        c->sum_at = n++;
    } else {
        out.logdet = h->sum.data ? leat_borrow(t, h->sum) : leat_zeros(t, h->sum.shape);
    }
    if (!t->status.code && leat_block_add(t, &chain_op, c, n, values, block))
        return out;
    return (leat_pair){ { .tape = t }, { .tape = t } };
}

leat_pair leat_chain_recompute(leat_chain_parts *p, leat_var x, const leat_flow_call *call, bool inverse)
{
    leat_tape *t = x.tape;
    leat_pair failed = { { .tape = t }, { .tape = t } };
    if (!flatten(p, NULL))
        return (leat_pair){ x, leat_zero_logdet(x) };
    chain *c = chain_new(p, x, call, inverse);
    if (!c)
        return failed;
    state h = { .y_wants_grad = leat_tape_node(t, x.id)->needs_grad };
    for (int k = 0; k < c->length; k++) {
        if (!forward_stage(c, k, &h))
            return failed;
    }
    return finish(c, &h);
}
