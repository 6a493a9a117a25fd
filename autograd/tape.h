/*
 * Private to autograd: what a tape is made of.
 *
 * Nodes stand in blocks that never move; a node's number is its place in order of creation, which is a topological
 * order, so backward is a loop from the last to the first. An op with several outputs makes consecutive nodes; the
 * first one stands for the op, and is reached last on the way back, when the gradients of all outputs are there.
 */
#ifndef LEAT_TAPE_H
#define LEAT_TAPE_H

#include "autograd.h"

typedef struct leat_node {
    const leat_op *op; /* NULL for leaves, and for further outputs of the node before */
    const void *attributes;
    const leat_scope *scope;
    leat_leaf *leaf; /* the parameter that this is a use of */
    const uint32_t *in;
    leat_tensor value; /* zeros without storage have data NULL until someone looks */
    leat_real *grad;
    uint32_t epoch, zeros_before; /* zeros_before: the zeros that got storage before these did */
    uint8_t inputs, outputs;      /* outputs: 0 for leaves and further outputs */
    bool needs_grad, is_input, is_zeros;
} leat_node;

enum { LEAT_NODE_BLOCK = 256, LEAT_GRAD_CLASSES = 256 };

struct leat_tape {
    leat_arena home; /* the tape itself and its node blocks */
    leat_arena step; /* values and attributes, until the reset */
    leat_arena grads, scratch;
    leat_pool *pool;
    leat_rng rng;
    bool recording, training, recomputing;
    bool hides; /* backward finds NaN in the place of what its op is declared not to read */
    leat_status status;
    const leat_scope *scope;
    leat_node **blocks;
    uint32_t block_count, block_capacity;
    uint32_t count, epoch;     /* nodes 1 .. count exist */
    uint32_t zeros;            /* the zeros that got storage last, or 0 */
    const uint64_t *row_start; /* where each row's random numbers begin, for that many rows; row_used: by all so far */
    int64_t rows, row_used;
    void *free_grads[LEAT_GRAD_CLASSES];
};

/* Node `id` of the tape, which must exist. */
static inline leat_node *leat_tape_node(const leat_tape *t, uint32_t id)
{
    return &t->blocks[(id - 1) / LEAT_NODE_BLOCK][(id - 1) % LEAT_NODE_BLOCK];
}

/* A new node at the end, zeroed but for epoch and scope; NULL, and a failed tape, when out of memory. */
leat_node *leat_tape_add(leat_tape *t);
leat_var leat_tape_last(leat_tape *t); /* the variable of the newest node */

/* The node of a variable, or NULL (after recording why on its tape) if it is failed or stale. */
leat_node *leat_node_of(leat_var v);

/* The numbers of node `id`; zeros without storage get some now. NULL when out of memory. */
leat_real *leat_node_data(leat_tape *t, uint32_t id);

/* Lets go of all nodes and memory since the mark, recording or not. */
void leat_tape_drop(leat_tape *t, leat_tape_mark mark);

/* Walks back from node `from` down to the one behind `after`. Gradients of activations are freed on the way. */
bool leat_tape_walk(leat_tape *t, uint32_t from, uint32_t after);

/* Adds to the gradient of a variable as an op would, if it wants one; false when out of memory. */
bool leat_tape_add_grad(leat_tape *t, leat_var v, const leat_real *grad);

/* Fails the tape with the first value that is not finite among nodes first .. last; false if there is none. */
bool leat_tape_search(leat_tape *t, uint32_t first, uint32_t last);

/* A variable that is a constant of zeros without storage. */
bool leat_is_zeros(leat_var v);

/* "layers.3.net.2: " in front of a message, or "". */
enum { LEAT_PATH_TEXT = 160 };
const char *leat_place(const leat_scope *s, char text[LEAT_PATH_TEXT]);

/* An arena for the time of one call. */
leat_arena *leat_tape_scratch(leat_tape *t);

/* Memory for gradients, given back in any order and used again. */
leat_real *leat_tape_take_grad(leat_tape *t, int64_t count);
void leat_tape_give_grad(leat_tape *t, leat_real *grad, int64_t count);

#endif
