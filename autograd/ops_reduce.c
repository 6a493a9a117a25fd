/*
 * Reductions over any set of axes: sum, mean, log-sum-exp.
 *
 * leat_reduction_of arranges the numbers so that what is reduced is contiguous; only sums can also take rows one after
 * the other, without moving anything. Gradients broadcast back.
 */
#include "ops.h"

#include <assert.h>
#include <math.h>

/* Of a longer list, the first LEAT_MAX_RANK + 1 cannot all be different axes. */
typedef struct reduce_attributes {
    int n, axes[LEAT_MAX_RANK + 1];
    bool keep;
} reduce_attributes;

/* The axes as a set (bit i: axis i). False, with the one that is wrong, if one does not exist or is named twice. */
static bool axes_of(const reduce_attributes *r, int rank, unsigned *set, int *wrong)
{
    *set = 0;
    for (int i = 0; i < r->n; i++) {
        int axis = leat_axis(r->axes[i], rank);
        *wrong = r->axes[i];
        if (axis < 0 || axis >= rank || (*set >> axis & 1))
            return false;
        *set |= 1U << axis;
    }
    return true;
}

static unsigned set_of(const leat_call *c)
{
    unsigned set;
    int wrong;
    axes_of(c->attributes, c->in[0].shape.rank, &set, &wrong);
    return set;
}

static leat_shape reduced(const leat_shape *s, unsigned set, bool keep)
{
    leat_shape out = { 0 };
    for (int i = 0; i < s->rank; i++) {
        if (!(set >> i & 1))
            out.size[out.rank++] = s->size[i];
        else if (keep)
            out.size[out.rank++] = 1;
    }
    return out;
}

static leat_code reduce_shape(leat_call *c)
{
    const reduce_attributes *r = c->attributes;
    unsigned set;
    int wrong;
    if (!axes_of(r, c->in[0].shape.rank, &set, &wrong)) {
        leat_code code = leat_call_axis(c, wrong, c->in[0].shape.rank);
        return code ? code : leat_call_fail(c, LEAT_ESHAPE, "axis %d is named twice", wrong);
    }
    c->out[0].shape = reduced(&c->in[0].shape, set, r->keep);
    return LEAT_OK;
}

/* How many numbers each result is made of. */
static int64_t reduced_count(const leat_call *c)
{
    unsigned set = set_of(c);
    int64_t count = 1;
    for (int i = 0; i < c->in[0].shape.rank; i++)
        count *= set >> i & 1 ? c->in[0].shape.size[i] : 1;
    return count;
}

static bool arrange(leat_call *c, bool rows, leat_reduction *r)
{
    leat_arena *scratch = leat_tape_scratch(c->tape);
    if (leat_reduction_of(scratch, c->in[0].data, &c->in[0].shape, set_of(c), rows, r) == LEAT_OK)
        return true;
    leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
    return false;
}

/* Numbers of the result's kind, with the sizes of 1 in place, so that they broadcast to the input's shape. */
static leat_tensor as_kept(const leat_call *c, leat_real *data)
{
    return (leat_tensor){ data, reduced(&c->in[0].shape, set_of(c), true) };
}

static leat_var reduce(const leat_op *op, leat_var x, int n, const int *axes, bool keep)
{
    assert(n >= 0 && (n == 0 || axes));
    reduce_attributes r = { .n = n <= LEAT_MAX_RANK ? n : LEAT_MAX_RANK + 1, .keep = keep };
    for (int i = 0; i < r.n; i++)
        r.axes[i] = axes[i];
    unsigned set;
    int wrong;
    if (op == &leat_op_sum && leat_is_zeros(x)) {
        leat_shape shape = leat_var_shape(x);
        if (axes_of(&r, shape.rank, &set, &wrong))
            return leat_zeros(x.tape, reduced(&shape, set, keep));
    }
    return leat_apply(op, &r, sizeof r, 1, &x, NULL);
}

static bool reduce_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape;
        reduce_attributes r;
    } samples[] = {
        { { 0, { 0 } }, { 0, { 0 }, false } },
        { { 1, { 1 } }, { 1, { 0 }, true } },
        { { 1, { 17 } }, { 1, { -1 }, false } },
        { { 2, { 9, 8 } }, { 1, { 1 }, true } },
        { { 2, { 8, 15 } }, { 1, { 0 }, false } },
        { { 2, { 3, 71 } }, { 1, { -2 }, true } },
        { { 2, { 3, 5 } }, { 0, { 0 }, false } },
        { { 2, { 3, 5 } }, { 2, { 1, 0 }, true } },
        { { 3, { 3, 4, 5 } }, { 1, { 1 }, false } },
        { { 3, { 3, 4, 5 } }, { 2, { 2, 0 }, true } },
        { { 3, { 2, 1, 7 } }, { 1, { 1 }, false } },
        { { 4, { 2, 3, 2, 3 } }, { 2, { 1, 3 }, false } },
        { { 4, { 2, 3, 2, 3 } }, { 2, { 0, 2 }, true } },
        { { 2, { 0, 3 } }, { 1, { 1 }, false } },
        { { 2, { 2, 0 } }, { 1, { 0 }, true } },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    k->n = 1;
    k->in[0] = leat_case_normal(k, samples[i].shape);
    k->attributes = &samples[i].r;
    k->attributes_size = sizeof samples[i].r;
    return true;
}

/* ---- sum --------------------------------------------------------------------------------------------------------- */

static void sum_forward(leat_call *c)
{
    leat_reduction r;
    if (arrange(c, false, &r))
        leat_reduction_sum(leat_tape_pool(c->tape), &r, c->out[0].data);
}

static void sum_backward(leat_call *c)
{
    leat_broadcast_copy(leat_tape_pool(c->tape), as_kept(c, c->dout[0].data), c->din[0]);
}

const leat_op leat_op_sum = {
    .name = "sum",
    .inputs = 1,
    .shape = reduce_shape,
    .forward = sum_forward,
    .backward = sum_backward,
    .sample = reduce_sample,
};

static const int all_axes[LEAT_MAX_RANK] = { 0, 1, 2, 3, 4, 5 };

leat_var leat_sum(leat_var x)
{
    return reduce(&leat_op_sum, x, leat_var_shape(x).rank, all_axes, false);
}

leat_var leat_sum_axes(leat_var x, int n, const int *axes, bool keep)
{
    return reduce(&leat_op_sum, x, n, axes, keep);
}

leat_var leat_sum_features(leat_var x)
{
    int rank = leat_var_shape(x).rank;
    if (leat_ok(x) && rank == 0)
        return leat_tape_fail(x.tape, LEAT_ESHAPE, "sum_features []: there is no batch axis");
    return rank == 1 ? x : reduce(&leat_op_sum, x, rank > 0 ? rank - 1 : 0, all_axes + 1, false);
}

/* ---- mean -------------------------------------------------------------------------------------------------------- */

typedef struct rows_job {
    leat_reduction r;
    leat_real *out;
} rows_job;

static void reduce_rows(leat_call *c, leat_range_fn *fn)
{
    rows_job job = { .out = c->out[0].data };
    if (arrange(c, true, &job.r))
        leat_call_rows(c, job.r.outer, job.r.count, fn, &job);
}

static void mean_range(void *arg, int64_t begin, int64_t end)
{
    const rows_job *j = arg;
    int64_t count = j->r.count;
    for (int64_t i = begin; i < end; i++)
        j->out[i] = (leat_real)(leat_kernels_get()->sum(j->r.x + i * count, count) / (double)count);
}

static void mean_forward(leat_call *c)
{
    reduce_rows(c, mean_range);
}

static void mean_backward(leat_call *c)
{
    int64_t count = leat_shape_count(&c->out[0].shape);
    leat_real *share = leat_call_scratch(c, (size_t)count * sizeof *share);
    if (!share)
        return;
    leat_constants k = { (leat_real)reduced_count(c), 0 };
    leat_kernels_get()->unary[LEAT_UNARY_div_scalar].forward(c->dout[0].data, share, count, k);
    leat_broadcast_copy(leat_tape_pool(c->tape), as_kept(c, share), c->din[0]);
}

const leat_op leat_op_mean = {
    .name = "mean",
    .inputs = 1,
    .shape = reduce_shape,
    .forward = mean_forward,
    .backward = mean_backward,
    .sample = reduce_sample,
};

leat_var leat_mean(leat_var x)
{
    return reduce(&leat_op_mean, x, leat_var_shape(x).rank, all_axes, false);
}

leat_var leat_mean_axes(leat_var x, int n, const int *axes, bool keep)
{
    return reduce(&leat_op_mean, x, n, axes, keep);
}

/* ---- logsumexp --------------------------------------------------------------------------------------------------- */

static void logsumexp_range(void *arg, int64_t begin, int64_t end)
{
    const rows_job *j = arg;
    int64_t count = j->r.count;
    for (int64_t i = begin; i < end; i++)
        j->out[i] = count ? leat_kernels_get()->logsumexp(j->r.x + i * count, count) : (leat_real)-INFINITY;
}

static void logsumexp_forward(leat_call *c)
{
    reduce_rows(c, logsumexp_range);
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
    leat_tensor operands[] = { as_kept(c, y), as_kept(c, c->dout[0].data) };
    leat_broadcast_walk(leat_tape_pool(c->tape), &c->in[0].shape, 2, operands, logsumexp_backward_run, c);
}

const leat_op leat_op_logsumexp = {
    .name = "logsumexp",
    .inputs = 1,
    .shape = reduce_shape,
    .forward = logsumexp_forward,
    .backward = logsumexp_backward,
    .sample = reduce_sample,
};

leat_var leat_logsumexp(leat_var x, int n, const int *axes, bool keep)
{
    return reduce(&leat_op_logsumexp, x, n, axes, keep);
}
