/*
 * Private to autograd: broadcasting as a walk over runs that kernels can take, and its reverse, reduction over axes.
 */
#ifndef LEAT_BROADCAST_H
#define LEAT_BROADCAST_H

#include "../../tensor/tensor.h"

enum {
    LEAT_BROADCAST_OPERANDS = 3,
    LEAT_GRAIN = 16384, /* fewer numbers than this are not worth another thread */
};

/* n consecutive numbers of the output, from number `out` on. Operand k's are at in[k], in[k] + step[k], ...: one after
 * the other, or one for all. */
typedef struct leat_run {
    int64_t out, n;
    const leat_real *in[LEAT_BROADCAST_OPERANDS];
    int step[LEAT_BROADCAST_OPERANDS];
} leat_run;

typedef void leat_run_fn(void *arg, const leat_run *r);

/* Calls fn for runs that together cover the shape `out` once, in threads if it is large. The operands' shapes must
 * broadcast to it. Equal shapes, and single numbers, are one run. */
void leat_broadcast_walk(leat_pool *pool, const leat_shape *out, int operands, const leat_tensor *in, leat_run_fn *fn,
                         void *arg);

/* Copies x to `out`, broadcast to its shape. */
void leat_broadcast_copy(leat_pool *pool, leat_tensor x, leat_tensor out);

/* ---- reduction --------------------------------------------------------------------------------------------------- */

/* Numbers arranged as [outer, count, inner], to be reduced over the middle. */
typedef struct leat_reduction {
    int64_t outer, count, inner;
    const leat_real *x;
} leat_reduction;

/* Arranges a tensor for reduction over a set of axes (bit i: axis i), in its place, or, where that cannot be, permuted
 * into scratch. With `rows`, inner is 1: what is reduced is contiguous. LEAT_ENOMEM is the only failure. */
leat_code leat_reduction_of(leat_arena *scratch, const leat_real *x, const leat_shape *shape, unsigned axes, bool rows,
                            leat_reduction *r);

/* out[outer, inner] = the sums: in the order of leat_sum_contiguous where inner is 1, else one row after the other; in
 * double, rounded once. */
void leat_reduction_sum(leat_pool *pool, const leat_reduction *r, leat_real *out);

/* The reverse of broadcasting: dst [to] = src [from] summed over the axes along which `to` was broadcast to `from`.
 * Scratch is left as it was. LEAT_ENOMEM is the only failure. */
leat_code leat_sum_to_shape(leat_arena *scratch, const leat_real *src, const leat_shape *from, leat_real *dst,
                            const leat_shape *to);

#endif
