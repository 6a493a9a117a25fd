/*
 * The product over any set of axes, in double, one factor after the other.
 *
 * The gradient of a factor is the product of those before it and of those behind it; so it is right with zeros too.
 */
#include "reductions.h"

/* Result i is made of x[start[i] + step[0]], x[start[i] + step[1]], ... */
typedef struct prod_job {
    int64_t count, *start, *step;
    const leat_real *x, *g;
    leat_real *out;
    double *before; /* backward: for each number of x the product of the factors before it */
} prod_job;

/* Where the n elements along the axes of a set are, relative to the first; row-major. */
static int64_t *offsets(leat_call *c, unsigned set, int64_t n)
{
    const leat_shape *s = &c->in[0].shape;
    int64_t *out = leat_call_scratch(c, (size_t)n * sizeof *out), done = 1, stride = 1;
    if (out && n > 0)
        out[0] = 0;
    for (int axis = s->rank - 1; out && n > 0 && axis >= 0; stride *= s->size[axis--]) {
        int64_t next = set >> axis & 1 ? done * s->size[axis] : done;
        for (int64_t i = done; i < next; i++)
            out[i] = out[i - done] + stride;
        done = next;
    }
    return out;
}

static bool prod_job_of(leat_call *c, prod_job *j)
{
    *j = (prod_job){ .count = leat_reduce_count(c), .x = c->in[0].data, .g = c->dout[0].data };
    j->step = offsets(c, leat_reduce_set(c), j->count);
    j->start = offsets(c, ~leat_reduce_set(c), leat_shape_count(&c->out[0].shape));
    return j->step && j->start;
}

static void prod_range(void *arg, int64_t begin, int64_t end)
{
    const prod_job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        double product = 1;
        for (int64_t k = 0; k < j->count; k++)
            product *= (double)j->x[j->start[i] + j->step[k]];
        j->out[i] = (leat_real)product;
    }
}

static void prod_forward(leat_call *c)
{
    prod_job j;
    if (!prod_job_of(c, &j))
        return;
    j.out = c->out[0].data;
    leat_call_rows(c, leat_shape_count(&c->out[0].shape), j.count, prod_range, &j);
}

static void prod_backward_range(void *arg, int64_t begin, int64_t end)
{
    const prod_job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        double before = 1, behind = (double)j->g[i];
        for (int64_t k = 0; k < j->count; k++) {
            int64_t at = j->start[i] + j->step[k];
            j->before[at] = before;
            before *= (double)j->x[at];
        }
        for (int64_t k = j->count - 1; k >= 0; k--) {
            int64_t at = j->start[i] + j->step[k];
            j->out[at] = (leat_real)(j->before[at] * behind);
            behind *= (double)j->x[at];
        }
    }
}

static void prod_backward(leat_call *c)
{
    prod_job j;
    if (!prod_job_of(c, &j))
        return;
    j.out = c->din[0].data;
    j.before = leat_call_scratch(c, (size_t)leat_shape_count(&c->in[0].shape) * sizeof *j.before);
    if (j.before)
        leat_call_rows(c, leat_shape_count(&c->out[0].shape), j.count, prod_backward_range, &j);
}

LEAT_OP_OF(prod, leat_reduce_shape, leat_reduce_sample, .inputs = 1, .unread = LEAT_UNREAD_OUTPUTS);

leat_var leat_prod(leat_var x, int n, const int *axes, bool keep)
{
    return leat_reduce(&leat_op_prod, x, n, axes, keep);
}
