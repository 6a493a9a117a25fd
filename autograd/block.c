/* Nodes that stand for a range of others (block.h): dropping the range, its leaves, the node. */
#include "block.h"

#include <string.h>

/* Calls fn for the leaves of a block; other nodes have none. */
static void each_leaf(const leat_node *n, leat_leaf_fn *fn, void *user)
{
    if (!n->op || !(n->op->flags & LEAT_OP_BLOCK))
        return;
    for (const leat_leaves *l = *(leat_leaves *const *)n->attributes; l; l = l->next) {
        for (int64_t i = 0; i < l->count; i++)
            fn(user, l->at[i]);
    }
    if (((const leat_block_op *)n->op)->known_leaves)
        ((const leat_block_op *)n->op)->known_leaves(n, fn, user);
}

/* A list under way: `at` NULL while it is only counted. */
typedef struct listing {
    leat_leaf_known *known;
    const void *user;
    leat_leaf **at;
    int64_t count;
} listing;

static void list_leaf(void *user, leat_leaf *leaf)
{
    listing *l = user;
    if (l->known && l->known(l->user, leaf))
        return;
    if (l->at)
        l->at[l->count] = leaf;
    l->count++;
}

/* The leaves behind the mark, those of nested blocks too. */
static int64_t list_leaves(const leat_tape *t, uint32_t after, listing l)
{
    for (uint32_t id = after + 1; id <= t->count; id++) {
        const leat_node *n = leat_tape_node(t, id);
        if (n->leaf && n->needs_grad)
            list_leaf(&l, n->leaf);
        each_leaf(n, list_leaf, &l);
    }
    return l.count;
}

bool leat_block_drop(leat_tape *t, leat_tape_mark mark, leat_leaves **list, leat_leaf_known *known, const void *user)
{
    leat_arena_mark scratch = leat_arena_save(&t->scratch);
    int64_t count = list_leaves(t, mark.nodes, (listing){ known, user, NULL, 0 });
    size_t bytes = (size_t)count * sizeof(leat_leaf *);
    leat_leaf **waiting = leat_arena_alloc(&t->scratch, bytes);
    if (!waiting) {
        leat_tape_fail(t, LEAT_ENOMEM, "out of memory for a list of %lld parameters", (long long)count);
        return false;
    }
    list_leaves(t, mark.nodes, (listing){ known, user, waiting, 0 });
    leat_tape_drop(t, mark);
    leat_leaves *more = count ? leat_tape_alloc(t, sizeof *more + bytes) : NULL;
    if (more) {
        *more = (leat_leaves){ *list, count };
        memcpy(more->at, waiting, bytes);
        *list = more;
    }
    leat_arena_restore(&t->scratch, scratch);
    return more || !count;
}

/* What the range will read when it is made again, of all that was made before, stays. */
bool leat_block_add(leat_tape *t, const leat_block_op *op, const void *attributes, int n, const leat_tensor *values,
                    leat_var **out)
{
    t->unread = 0;
    for (int i = 0; i < n; i++) {
        leat_node *node = leat_tape_add(t);
        if (!node)
            return false;
        *out[i] = leat_tape_last(t);
        node->value = values[i];
        node->needs_grad = true;
        if (i == 0) {
            node->op = &op->op;
            node->attributes = attributes;
            node->outputs = (uint8_t)n;
        }
    }
    return true;
}

static void empty_leaf(void *user, leat_leaf *leaf)
{
    (void)user;
    leaf->has_grad = false;
}

void leat_block_clear(const leat_node *n)
{
    each_leaf(n, empty_leaf, NULL);
}

bool leat_copy_out(leat_tape *t, const leat_node *n, leat_tensor *copy)
{
    *copy = n->value;
    if (!leat_node_kept(t, n) || !n->value.data)
        return t->status.code == LEAT_OK;
    *copy = leat_tensor_new(&t->scratch, n->value.shape, &t->status);
    if (copy->data)
        memcpy(copy->data, n->value.data, (size_t)leat_shape_count(&copy->shape) * sizeof(leat_real));
    return copy->data != NULL;
}
