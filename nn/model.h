/*
 * Private to nn: what a model is made of.
 *
 * Modules and parameters stand in lists, in order of creation. Once the model is sealed, the parameters' numbers stand
 * in two flat arrays in the same order, each parameter at a multiple of 16 numbers, the gaps filled with zeros: so
 * neighbouring parameters can be worked on in one run over the arrays, gaps included.
 */
#ifndef LEAT_MODEL_H
#define LEAT_MODEL_H

#include "nn.h"

enum {
    LEAT_FLAT_ALIGNMENT = 16, /* numbers */
    LEAT_NAME_SIZE = 512,     /* bytes of a full name with its zero byte, at most */
    LEAT_NORM_BLOCK = 4096,   /* numbers */
};

struct leat_model {
    leat_arena arena; /* it holds the model itself */
    leat_pool *pool;
    uint64_t seed, streams; /* streams: how many leat_model_stream has given out */
    leat_status status;
    bool sealed;
    leat_module *modules, *last_module;
    leat_param *params, *last_param;
    int param_count;
    int64_t flat; /* numbers in each flat array so far, gaps included */
    leat_real *values, *grads;
    double *block_sums;       /* one for every LEAT_NORM_BLOCK numbers, for leat_clip_grad_norm */
    struct model_part *parts; /* tapes, optimisers, fits */
};

/* Up to the next multiple of LEAT_FLAT_ALIGNMENT. */
static inline int64_t leat_flat_round(int64_t n)
{
    return (n + LEAT_FLAT_ALIGNMENT - 1) / LEAT_FLAT_ALIGNMENT * LEAT_FLAT_ALIGNMENT;
}

/* A status that leat_model_status looks at, too; it must last as long as the model. False when out of memory. */
bool leat_model_watch(leat_model *m, const leat_status *status);

/* Every parameter and buffer under its full name, in order of traversal; memory from the arena. Before the model is
 * sealed parameters have data NULL. LEAT_ENOMEM is the only failure. */
leat_code leat_model_list(leat_model *m, leat_arena *a, leat_safetensors *out);

/* The full name of a buffer; returns text. */
const char *leat_buffer_path(const leat_module *owner, const leat_buffer *b, char text[LEAT_NAME_SIZE]);

#endif
