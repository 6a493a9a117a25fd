/* The variance over any set of axes: of contiguous rows, or of columns where they stand. */
#include "reductions.h"
#include "../../tensor/kernels/row_kernels.h"

#include <math.h>

/* By which the sum of squares is divided; of nothing the variance is NaN. */
static double divisor_of(const leat_call *c)
{
    const leat_reduce_attributes *a = c->attributes;
    double count = (double)leat_reduce_count(c), divisor = count - a->correction;
    return count == 0 ? (double)NAN : divisor < 0 ? 0 : divisor;
}

typedef struct variance_job {
    leat_reduction r;
    double divisor;
    double *mean; /* one of them is wanted, the other NULL */
    leat_real *out;
} variance_job;

/* Results begin .. end-1: of rows, or of columns, some of one block [count, inner] after the other. */
static void variance_range(void *arg, int64_t begin, int64_t end)
{
    const variance_job *j = arg;
    const int64_t count = j->r.count, inner = j->r.inner;
    for (int64_t i = begin, n; i < end; i += n) {
        int64_t block = i / inner, column = i % inner;
        const leat_real *x = j->r.x + block * count * inner + column;
        double *mean = j->mean ? j->mean + i : NULL;
        leat_real *out = j->out ? j->out + i : NULL;
        n = inner == 1 || inner - column > end - i ? end - i : inner - column;
        if (inner == 1)
            leat_kernels_get()->rows->variance(x, n, count, j->divisor, mean, out);
        else
            leat_kernels_get()->rows->variance_columns(x, count, n, inner, j->divisor, mean, out);
    }
}

static bool compute(leat_call *c, double *mean, leat_real *out)
{
    variance_job j = { .divisor = divisor_of(c), .mean = mean, .out = out };
    if (!leat_reduce_arrange(c, false, &j.r))
        return false;
    leat_call_rows(c, j.r.outer * j.r.inner, j.r.count, variance_range, &j);
    return true;
}

static void variance_forward(leat_call *c)
{
    compute(c, NULL, c->out[0].data);
}

/* dx = (x - mean) (2 g / divisor), where the mean is the sum of a number and of what its rounding left. */
static void variance_backward_run(void *arg, const leat_run *r)
{
    const leat_call *c = arg;
    const leat_binary_kernel *kernels = leat_kernels_get()->binary;
    leat_real *dx = c->din[0].data + r->out;
    kernels[LEAT_BINARY_sub].forward(c->in[0].data + r->out, 1, r->in[0], r->step[0], dx, r->n);
    kernels[LEAT_BINARY_sub].forward(dx, 1, r->in[1], r->step[1], dx, r->n);
    kernels[LEAT_BINARY_mul].forward(dx, 1, r->in[2], r->step[2], dx, r->n);
}

static void variance_backward(leat_call *c)
{
    int64_t results = leat_shape_count(&c->out[0].shape);
    double *mean = leat_call_scratch(c, (size_t)results * sizeof *mean), divisor = divisor_of(c);
    leat_real *kept = leat_call_scratch(c, 3 * (size_t)results * sizeof *kept);
    if (!mean || !kept || !compute(c, mean, NULL))
        return;
    leat_real *rest = kept + results, *scale = rest + results;
    for (int64_t i = 0; i < results; i++) {
        kept[i] = (leat_real)mean[i];
        rest[i] = (leat_real)(mean[i] - (double)kept[i]);
        scale[i] = (leat_real)(2 * (double)c->dout[0].data[i] / divisor);
    }
    leat_tensor operands[] = { leat_reduce_kept(c, kept), leat_reduce_kept(c, rest), leat_reduce_kept(c, scale) };
    leat_broadcast_walk(leat_tape_pool(c->tape), &c->in[0].shape, 3, operands, variance_backward_run, c);
}

static bool variance_sample(leat_case *k, int i)
{
    static const double corrections[] = { 0, 0.5, -1 };
    leat_reduce_attributes *a = leat_arena_alloc(k->arena, sizeof *a);
    if (!a || !leat_reduce_sample(k, i))
        return false;
    *a = *(const leat_reduce_attributes *)k->attributes;
    a->correction = corrections[i % 3];
    k->attributes = a;
    leat_call c = { .attributes = a, .in = { k->in[0] } };
    k->may_vanish = leat_reduce_count(&c) == 1;
    return true;
}

LEAT_OP_OF(variance, leat_reduce_shape, variance_sample, .inputs = 1, .unread = LEAT_UNREAD_OUTPUTS);

leat_var leat_variance(leat_var x, int n, const int *axes, bool keep, double correction)
{
    leat_reduce_attributes a = { leat_axes_of(n, axes), keep, correction };
    return leat_apply(&leat_op_variance, &a, sizeof a, 1, &x, NULL);
}
