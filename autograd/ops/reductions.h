/*
 * Private to autograd: what reductions over any set of axes share.
 *
 * An op that reduces takes leat_reduce_attributes, and leat_reduce_shape and leat_reduce_sample as they are. Its
 * forward works on contiguous rows (leat_reduce_rows), its backward on the input's own layout, over which it broadcasts
 * numbers of the result's kind (leat_reduce_kept).
 */
#ifndef LEAT_REDUCE_H
#define LEAT_REDUCE_H

#include "ops.h"

typedef struct leat_reduce_attributes {
    leat_axes axes;
    bool keep;
    double correction; /* of the variance */
} leat_reduce_attributes;

/* The shape without the axes of the set, or with `keep` with sizes of 1 there. */
leat_shape leat_reduced_shape(const leat_shape *s, unsigned set, bool keep);

leat_code leat_reduce_shape(leat_call *c);
bool leat_reduce_sample(leat_case *k, int i);

/* Which axes (all, if none is named), and how many numbers each result is made of. */
unsigned leat_reduce_set(const leat_call *c);
int64_t leat_reduce_count(const leat_call *c);

/* The input arranged for reduction, as in leat_reduction_of; false, and a failed tape, when out of memory. */
bool leat_reduce_arrange(leat_call *c, bool rows, leat_reduction *r);

/* Forward: fn(a leat_reduce_job, begin, end) for results begin .. end-1, each of a contiguous row, in threads if they
 * are many. */
typedef struct leat_reduce_job {
    leat_reduction r;
    leat_real *out;
} leat_reduce_job;

void leat_reduce_rows(leat_call *c, leat_range_fn *fn);

/* Numbers of the result's kind, with the sizes of 1 in place, so that they broadcast to the input's shape. */
leat_tensor leat_reduce_kept(const leat_call *c, leat_real *data);

leat_var leat_reduce(const leat_op *op, leat_var x, int n, const int *axes, bool keep);

#endif
