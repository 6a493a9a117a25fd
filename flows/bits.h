/* leat/flows: bits per dimension of flows over bytes. Part of flows.h, which includes it. */
#ifndef LEAT_BITS_H
#define LEAT_BITS_H

#include "flows.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Bits per dimension: how many bits a flow needs for one number of a row of bytes,
 *
 *     bits = -log P(x) / (dim log 2),
 *
 * where P is the probability of its levels (leat_dequantize), of which a flow gives a lower bound log p(x, u) in the mean
 * over its chance u. So bits are an upper bound, whatever comes behind dequantisation: what scales data to [-1, 1] or by
 * a logit has its log-determinant in the sum like any other. With K draws of u for each row
 *
 *     bits      = -E[ 1/K sum_k log p(x, u_k) ] / (dim log 2)              the bound
 *     weighted  = -E[ log( 1/K sum_k p(x, u_k) ) ] / (dim log 2)           a closer one (Burda et al., "Importance
 *                                                                          weighted autoencoders", 2016)
 *
 * and the bound is a sum of parts: dequantisation, preprocessing (transforms without parameters, such as the logit),
 * each level (those between one split and the next) and the base. For example
 *
 *     leat_flow *f = leat_flow_new(m, leat_uniform_box(m, 1, (double[]){ -1 }, (double[]){ 1 }));      base
 *     leat_flow_add(f, leat_dequantize(m, 1, 8));                                                      (0, 1)
 *     leat_flow_add(f, leat_standardizer(m, 1, (double[]){ 0.5 }, (double[]){ 0.5 }));                 (-1, 1)
 *     leat_flow_add(f, leat_diagonal_scale(m, 1));        and log_scale set to -log 2                  (-1/2, 1/2)
 *
 * makes each of 256 levels as probable as any other but uses only half of the box, so that it needs 9 bits for a byte:
 * dequantisation 8 (256 levels on a length of 1), preprocessing -1 (the line is twice as long: the "7 -" of data in
 * [-1, 1]), level 0 +1 (half as long again), base +1 (its density is 1/2).
 */
enum { LEAT_MAX_LEVELS = 16 };

typedef struct leat_bits {
    double bits, weighted; /* means over rows; equal with one draw */
    double sd;             /* of the rows' bits; over the root of their number it is the mean's standard error */
    double dequantisation, preprocessing, base;
    double level[LEAT_MAX_LEVELS]; /* from the data on; the last one has what is beyond, too */
    int levels;
} leat_bits;

typedef struct leat_bits_opts {
    leat_tensor context;   /* for a conditional flow; data NULL: none */
    int64_t draws;         /* K, 0: 1 */
    double *rows;          /* [n], the bits of each row; may be NULL */
    double *weighted_rows; /* likewise */
} leat_bits_opts;

/* Of rows x [n, dim], n > 0; o may be NULL. Otherwise as leat_flow_score, which is the first draw. A flow that does not
 * dequantize has no bits (LEAT_EARG). A row of probability 0 needs infinitely many. */
LEAT_API leat_code leat_flow_bits(leat_flow *f, leat_tape *t, leat_tensor x, const leat_bits_opts *o, leat_bits *out);

#ifdef __cplusplus
}
#endif

#endif
