/*
 * Private: blocks. A block is a node that stands for a range of nodes which the tape has let go of. On the way back the
 * range is made again at the end of the tape, walked back over, and let go of for good. What it reads from before, and
 * the parameters it uses, are the nodes and leaves of the first time, so their gradients add up in the same order as
 * without the block.
 */
#ifndef LEAT_BLOCK_H
#define LEAT_BLOCK_H

#include "tape.h"

enum { LEAT_OP_BLOCK = 1 << 16 };

typedef void leat_leaf_fn(void *user, leat_leaf *leaf);

/* A block's op. Its node's attributes live in the tape's memory and begin with a list of leaves. */
typedef struct leat_block_op {
    leat_op op; /* a name, and the flag LEAT_OP_BLOCK */
    /* hands the gradients of the outputs id, id + 1, .. (NULL: none) to what they were made from */
    bool (*backward)(leat_tape *t, uint32_t id);
    /* runs leat_tape_search on the range, made again; whether it found something, or failed */
    bool (*search)(leat_tape *t, uint32_t id);
    /* calls fn for the leaves that leat_block_drop was told not to list; NULL: there are none */
    void (*known_leaves)(const leat_node *n, leat_leaf_fn *fn, void *user);
} leat_block_op;

/* Leaves of nodes that are gone, so that their gradients can be emptied. */
typedef struct leat_leaves {
    struct leat_leaves *next;
    int64_t count;
    leat_leaf *at[];
} leat_leaves;

/* leat_tape_drop, but the leaves in the range that want gradients are added to the list, those apart that are `known` by
 * other means (NULL: none). False when out of memory. */
typedef bool leat_leaf_known(const void *user, const leat_leaf *leaf);
bool leat_block_drop(leat_tape *t, leat_tape_mark mark, leat_leaves **list, leat_leaf_known *known, const void *user);

/* A block's node, with one output for each value; each wants a gradient. */
bool leat_block_add(leat_tape *t, const leat_block_op *op, const void *attributes, int n, const leat_tensor *values,
                    leat_var **out);

/* Empties the gradients of the block's leaves. */
void leat_block_clear(const leat_node *n);

/* A copy of the numbers in scratch; the data of zeros without storage stay NULL. False when out of memory. */
bool leat_copy_out(leat_tape *t, const leat_node *n, leat_tensor *copy);

#endif
