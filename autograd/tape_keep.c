/* leat_tape_keep: what was made since a mark is let go of, but for some variables and what a backward will read. */
#include "tape.h"

#include <assert.h>
#include <string.h>

/* Lets go of the numbers behind the mark that no backward reads, but for those of the variables. */
static void let_go(leat_tape *t, uint32_t after, int n, leat_var **vars)
{
    const leat_node *kept[LEAT_MAX_INPUTS] = { NULL };
    for (int i = 0; i < n; i++) {
        leat_node *node = vars[i]->tape ? leat_node_of(*vars[i]) : NULL;
        kept[i] = node ? leat_node_owner(t, node) : NULL;
    }
    for (uint32_t *at = &t->unread; *at > after;) {
        leat_node *node = leat_tape_node(t, *at);
        bool stays = false;
        for (int i = 0; i < n; i++)
            stays = stays || kept[i] == node;
        if (stays) {
            at = &node->link;
            continue;
        }
        *at = node->link;
        node->gone = !node->read;
        if (node->gone)
            leat_spare_give(&t->spare_values, node->value.data,
                            (size_t)leat_shape_count(&node->value.shape) * sizeof(leat_real));
    }
}

/* The kept numbers wait in scratch while the step's memory is rolled back, and then move in at its new end. */
void leat_tape_keep(leat_tape *t, leat_tape_mark mark, int n, leat_var **vars)
{
    assert(n >= 0 && n <= LEAT_MAX_INPUTS);
    if (t->status.code)
        return;
    if (t->recording) {
        let_go(t, mark.nodes, n, vars);
        return;
    }
    leat_arena_mark scratch = leat_arena_save(&t->scratch);
    leat_tensor kept[LEAT_MAX_INPUTS] = { { 0 } };
    bool moves[LEAT_MAX_INPUTS];
    for (int i = 0; i < n; i++) {
        const leat_node *node = vars[i]->tape ? leat_node_of(*vars[i]) : NULL;
        moves[i] = node && vars[i]->id > mark.nodes;
        if (!moves[i])
            continue;
        kept[i] = node->value;
        if (!leat_node_kept(t, node))
            return;
        if (node->value.data) {
            kept[i] = leat_tensor_new(&t->scratch, node->value.shape, &t->status);
            if (!kept[i].data)
                return;
            memcpy(kept[i].data, node->value.data, (size_t)leat_shape_count(&kept[i].shape) * sizeof(leat_real));
        }
    }
    leat_tape_drop(t, mark);
    for (int i = 0; i < n && !t->status.code; i++) {
        if (moves[i])
            *vars[i] = kept[i].data ? leat_const(t, kept[i]) : leat_zeros(t, kept[i].shape);
    }
    leat_arena_restore(&t->scratch, scratch);
}
