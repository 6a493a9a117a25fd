/*
 * Private to tensor and autograd: attention, softmax(q k^T / sqrt(width)) v of every head, in tiles.
 */
#ifndef LEAT_DOT_PRODUCT_ATTENTION_H
#define LEAT_DOT_PRODUCT_ATTENTION_H

#include "../tensor.h"

/* q and out have `queries` rows for each of the batch, k and v `places`; a row holds the heads one after the other, each
 * `width` numbers of q and k, `value_width` of v and out. log_total, the logarithm of the sum that each softmax divides
 * by, is [batch, heads, queries]. Backward reads all these, and the gradients dout and dlog_total; of dq, dk and dv it
 * leaves out what is NULL. With `causal`, query i has the places 0 .. i. Number ((b heads + h) queries + i) places + j of
 * `rng` decides whether the weight of place j for query i is dropped, if dropout is above 0. */
typedef struct leat_attention_args {
    int64_t batch, heads, queries, places, width, value_width;
    bool causal;
    double dropout;
    leat_rng rng;
    const leat_real *q, *k, *v;
    leat_real *out, *log_total;
    const leat_real *dout, *dlog_total;
    leat_real *dq, *dk, *dv;
} leat_attention_args;

/* `scratch` is left as it was found; LEAT_ENOMEM is the only failure. */
leat_code leat_attention_forward(leat_pool *pool, leat_arena *scratch, const leat_attention_args *a);
leat_code leat_attention_backward(leat_pool *pool, leat_arena *scratch, const leat_attention_args *a);

#endif
