/*
 * Private to autograd: the list of the ops, and what their files share.
 *
 * An op is one const leat_op with its shape, forward, backward and sample functions side by side, and below them the
 * public function that applies it. Where the functions are named after the op, as cumsum_forward, LEAT_OP says so.
 *
 *     an elementwise op      a line in tensor/kernels/elementwise.h
 *     any other op           a file like matmul.c, and its name in LEAT_OPS
 *
 * and a prototype in autograd.h. The table of leat_ops and the gradient checks follow from the lists. Backward is called
 * only if some input wants a gradient, so an op with one input need not ask. An op says in `unread` what its backward
 * does without; where an attribute decides that, there are two ops, as of linear.
 */
#ifndef LEAT_OPS_H
#define LEAT_OPS_H

#include "broadcast.h"
#include "../tape.h"
#include "../../tensor/kernels/kernels.h"

/* The ops that are no line in elementwise.h. */
/* clang-format off */
#define LEAT_OPS(OP) \
    OP(where) OP(matmul) OP(bmm) OP(linear) OP(linear_activated) OP(conv2d) OP(conv2d_activated) \
    OP(tril) OP(triu) OP(solve_triangular) OP(slogdet) OP(inverse) \
    OP(sum) OP(mean) OP(logsumexp) OP(amax) OP(amin) OP(prod) OP(variance) OP(standardize_rows) OP(softmax) \
    OP(log_softmax) OP(cumsum) OP(flip) OP(searchsorted) OP(reshape) OP(broadcast_to) OP(permute) OP(slice) \
    OP(concat) OP(split_sizes) OP(pad) OP(repeat) OP(detach) OP(index_select) OP(index_copy) OP(index_add) OP(gather) \
    OP(scatter) OP(scatter_add) OP(dropout) OP(concat_elu) OP(glu) OP(scaled_dot_product_attention) OP(affine_forward) OP(affine_inverse) OP(normal_log_density) \
    OP(logistic_log_density) OP(rational_quadratic_forward) OP(rational_quadratic_inverse) \
    OP(logistic_mixture_forward) OP(logistic_mixture_inverse) OP(lgamma) OP(lgamma_half)
/* clang-format on */

#define LEAT_DECLARE_OP(name) extern const leat_op leat_op_##name;
LEAT_OPS(LEAT_DECLARE_OP)
#undef LEAT_DECLARE_OP

/* The descriptor of an op with those functions of its own, and the fields that are left; or with another op's shape and
 * sample. */
#define LEAT_OP(op, ...) LEAT_OP_OF(op, op##_shape, op##_sample, __VA_ARGS__)
#define LEAT_OP_OF(op, shape_, sample_, ...)                                                                           \
    const leat_op leat_op_##op = { .name = #op,                                                                        \
                                   .shape = shape_,                                                                    \
                                   .forward = op##_forward,                                                            \
                                   .backward = op##_backward,                                                          \
                                   .sample = sample_,                                                                  \
                                   __VA_ARGS__ }

extern const leat_op leat_unary_ops[LEAT_UNARY_COUNT], leat_binary_ops[LEAT_BINARY_COUNT],
    leat_comparison_ops[LEAT_COMPARISON_COUNT];

/* ---- axes -------------------------------------------------------------------------------------------------------- */

/* Negative axes count from the end. */
static inline int leat_axis(int axis, int rank)
{
    return axis < 0 ? axis + rank : axis;
}

/* Refuses an axis that a tensor of that rank does not have. */
leat_code leat_call_axis(leat_call *c, int axis, int rank);

/* Several axes, as the caller names them. Of a longer list the first LEAT_MAX_RANK + 1 are kept: they cannot all be
 * different axes. */
typedef struct leat_axes {
    int n, at[LEAT_MAX_RANK + 1];
} leat_axes;

leat_axes leat_axes_of(int n, const int *axes);

/* The axes as a set (bit i: axis i). False, with the one that is wrong, if one does not exist or is named twice. */
bool leat_axes_set(const leat_axes *axes, int rank, unsigned *set, int *wrong);

/* Refuses what leat_axes_set does. */
leat_code leat_call_axes(leat_call *c, const leat_axes *axes, int rank, unsigned *set);

/* A shape as [outer, size, inner] around an axis, which must exist. */
typedef struct leat_extent {
    int64_t outer, size, inner;
} leat_extent;

leat_extent leat_extent_at(const leat_shape *s, int axis);

/* ---- cutting the work -------------------------------------------------------------------------------------------- */

/* fn(arg, begin, end) over `rows` rows of `width` numbers, in threads if they are many. */
void leat_call_rows(const leat_call *c, int64_t rows, int64_t width, leat_range_fn *fn, void *arg);

/* Rows along an axis: `rows` of n numbers each, one behind the other; b is NULL where there is but one operand. */
typedef void leat_rows_fn(const leat_real *a, const leat_real *b, leat_real *out, int64_t rows, int64_t n);

/* Calls fn for all rows along an axis of `shape`, in threads if they are many. Rows that are not contiguous are moved
 * together in scratch, and back. */
void leat_call_along(leat_call *c, const leat_shape *shape, int axis, const leat_real *a, const leat_real *b,
                     leat_real *out, leat_rows_fn *fn);

/* ---- samples ----------------------------------------------------------------------------------------------------- */

/* A case of one input of that shape, normal numbers, with attributes that stay where they are. */
static inline bool leat_case_of_one(leat_case *k, leat_shape shape, const void *attributes, size_t size)
{
    k->n = 1;
    k->in[0] = leat_case_normal(k, shape);
    k->attributes = attributes;
    k->attributes_size = size;
    return true;
}

/* ---- activations ------------------------------------------------------------------------------------------------- */

/* Whether an elementwise function's derivative needs no more than its value. */
bool leat_unary_from_value(int kernel);

/* dx = g f'(x) for n numbers, in threads if they are many. x may be anything readable if the derivative needs only
 * y. */
void leat_unary_backward(leat_pool *pool, int kernel, leat_constants k, const leat_real *x, const leat_real *y,
                         const leat_real *g, leat_real *dx, int64_t n);

/* The activation that an op can fuse: itself, if its derivative does without its input, which is not kept, or else the
 * identity. */
leat_activation leat_fused_activation(leat_activation act);

/* The gradient of what goes into the activation of out[0], from its value: NULL when out of memory. */
const leat_real *leat_call_before_activation(leat_call *c, leat_activation act);

/* sum[j] = g[0][j] + g[1][j] + ... in the order of a product of ones and g [rows, n]: the gradient of a bias. */
void leat_call_sum_rows(leat_call *c, int64_t rows, int64_t n, const leat_real *g, leat_real *sum);

#endif
