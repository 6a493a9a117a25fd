/*
 * Reductions over any set of axes that sum: sum, mean, log-sum-exp.
 *
 * leat_reduction_of arranges the numbers so that what is reduced is contiguous; only sums can also take rows one after
 * the other, without moving anything. Gradients broadcast back.
 */
#include "reductions.h"

#include <math.h>

/* ---- sum --------------------------------------------------------------------------------------------------------- */

static void sum_forward(leat_call *c)
{
    leat_reduction r;
    if (leat_reduce_arrange(c, false, &r))
        leat_reduction_sum(leat_tape_pool(c->tape), &r, c->out[0].data);
}

static void sum_backward(leat_call *c)
{
    leat_broadcast_copy(leat_tape_pool(c->tape), leat_reduce_kept(c, c->dout[0].data), c->din[0]);
}

LEAT_OP_OF(sum, leat_reduce_shape, leat_reduce_sample, .inputs = 1, .unread = LEAT_UNREAD_ALL);

static const int all_axes[LEAT_MAX_RANK] = { 0, 1, 2, 3, 4, 5 };

static leat_var sum_over(leat_var x, int n, const int *axes, bool keep)
{
    leat_shape shape = leat_var_shape(x);
    leat_axes a = n > 0 ? leat_axes_of(n, axes) : leat_axes_of(shape.rank, all_axes);
    unsigned set;
    int wrong;
    if (leat_is_zeros(x) && leat_axes_set(&a, shape.rank, &set, &wrong))
        return leat_zeros(x.tape, leat_reduced_shape(&shape, set, keep));
    return leat_reduce(&leat_op_sum, x, n, axes, keep);
}

leat_var leat_sum(leat_var x)
{
    return sum_over(x, leat_var_shape(x).rank, all_axes, false);
}

leat_var leat_sum_axes(leat_var x, int n, const int *axes, bool keep)
{
    return sum_over(x, n, axes, keep);
}

leat_var leat_sum_features(leat_var x)
{
    int rank = leat_var_shape(x).rank;
    if (leat_ok(x) && rank == 0)
        return leat_tape_fail(x.tape, LEAT_ESHAPE, "sum_features []: there is no batch axis");
    return rank == 1 ? x : sum_over(x, rank > 0 ? rank - 1 : 0, all_axes + 1, false);
}

/* ---- mean -------------------------------------------------------------------------------------------------------- */

static void mean_range(void *arg, int64_t begin, int64_t end)
{
    const leat_reduce_job *j = arg;
    int64_t count = j->r.count;
    for (int64_t i = begin; i < end; i++)
        j->out[i] = (leat_real)(leat_kernels_get()->sum(j->r.x + i * count, count) / (double)count);
}

static void mean_forward(leat_call *c)
{
    leat_reduce_rows(c, mean_range);
}

static void mean_backward(leat_call *c)
{
    int64_t count = leat_shape_count(&c->out[0].shape);
    leat_real *share = leat_call_scratch(c, (size_t)count * sizeof *share);
    if (!share)
        return;
    leat_constants k = { (leat_real)leat_reduce_count(c), 0 };
    leat_kernels_get()->unary[LEAT_UNARY_div_scalar].forward(c->dout[0].data, share, count, k);
    leat_broadcast_copy(leat_tape_pool(c->tape), leat_reduce_kept(c, share), c->din[0]);
}

LEAT_OP_OF(mean, leat_reduce_shape, leat_reduce_sample, .inputs = 1, .unread = LEAT_UNREAD_ALL);

leat_var leat_mean(leat_var x)
{
    return leat_reduce(&leat_op_mean, x, leat_var_shape(x).rank, all_axes, false);
}

leat_var leat_mean_axes(leat_var x, int n, const int *axes, bool keep)
{
    return leat_reduce(&leat_op_mean, x, n, axes, keep);
}

/* ---- logsumexp --------------------------------------------------------------------------------------------------- */

static void logsumexp_range(void *arg, int64_t begin, int64_t end)
{
    const leat_reduce_job *j = arg;
    int64_t count = j->r.count;
    for (int64_t i = begin; i < end; i++)
        j->out[i] = count ? leat_kernels_get()->logsumexp(j->r.x + i * count, count) : (leat_real)-INFINITY;
}

static void logsumexp_forward(leat_call *c)
{
    leat_reduce_rows(c, logsumexp_range);
}

/* dx = g exp(x - y) */
static void logsumexp_backward_run(void *arg, const leat_run *r)
{
    const leat_call *c = arg;
    const leat_kernels *kernels = leat_kernels_get();
    leat_real *dx = c->din[0].data + r->out;
    kernels->binary[LEAT_BINARY_sub].forward(c->in[0].data + r->out, 1, r->in[0], r->step[0], dx, r->n);
    kernels->unary[LEAT_UNARY_exp].forward(dx, dx, r->n, (leat_constants){ 0 });
    kernels->binary[LEAT_BINARY_mul].forward(dx, 1, r->in[1], r->step[1], dx, r->n);
}

/* Where all of a row is -inf, x - y is taken as -inf too, by a y of +inf: a gradient of 0 instead of NaN. */
static void logsumexp_backward(leat_call *c)
{
    int64_t count = leat_shape_count(&c->out[0].shape);
    leat_real *y = leat_call_scratch(c, (size_t)count * sizeof *y);
    if (!y)
        return;
    for (int64_t i = 0; i < count; i++)
        y[i] = c->out[0].data[i] == (leat_real)-INFINITY ? (leat_real)INFINITY : c->out[0].data[i];
    leat_tensor operands[] = { leat_reduce_kept(c, y), leat_reduce_kept(c, c->dout[0].data) };
    leat_broadcast_walk(leat_tape_pool(c->tape), &c->in[0].shape, 2, operands, logsumexp_backward_run, c);
}

LEAT_OP_OF(logsumexp, leat_reduce_shape, leat_reduce_sample, .inputs = 1);

leat_var leat_logsumexp(leat_var x, int n, const int *axes, bool keep)
{
    return leat_reduce(&leat_op_logsumexp, x, n, axes, keep);
}
