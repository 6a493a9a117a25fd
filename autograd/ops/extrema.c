/* The greatest and the least over any set of axes. All elements that equal the result share its gradient evenly. */
#include "reductions.h"
#include "../../tensor/kernels/row_kernels.h"

static leat_code extremum_shape(leat_call *c)
{
    leat_code code = leat_reduce_shape(c);
    if (!code && leat_reduce_count(c) == 0)
        code = leat_call_fail(c, LEAT_ESHAPE, "there is none among no elements");
    return code;
}

static void mark_run(void *arg, const leat_run *r)
{
    const leat_call *c = arg;
    const leat_real *x = c->in[0].data + r->out;
    leat_real *dx = c->din[0].data + r->out;
    for (int64_t i = 0; i < r->n; i++)
        dx[i] = x[i] == r->in[0][i * r->step[0]];
}

static void share_run(void *arg, const leat_run *r)
{
    leat_real *dx = (leat_real *)arg + r->out;
    leat_kernels_get()->binary[LEAT_BINARY_mul].forward(dx, 1, r->in[0], r->step[0], dx, r->n);
}

/* dx is 1 where x is the result, and then g by the number of these. A NaN equals nothing: its 0 / 0 is NaN for all. */
static void extremum_backward(leat_call *c)
{
    leat_pool *pool = leat_tape_pool(c->tape);
    const leat_shape *shape = &c->in[0].shape;
    int64_t results = leat_shape_count(&c->out[0].shape);
    leat_real *share = leat_call_scratch(c, (size_t)results * sizeof *share);
    leat_tensor y = leat_reduce_kept(c, c->out[0].data), shares = leat_reduce_kept(c, share);
    leat_reduction r;
    if (!share)
        return;
    leat_broadcast_walk(pool, shape, 1, &y, mark_run, c);
    if (leat_reduction_of(leat_tape_scratch(c->tape), c->din[0].data, shape, leat_reduce_set(c), false, &r)) {
        leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
        return;
    }
    leat_reduction_sum(pool, &r, share);
    leat_kernels_get()->binary[LEAT_BINARY_div].forward(c->dout[0].data, 1, share, 1, share, results);
    leat_broadcast_walk(pool, shape, 1, &shares, share_run, c->din[0].data);
}

/* Halves of different whole numbers, which stay apart in whatever steps differences take. */
static bool extremum_sample(leat_case *k, int i)
{
    if (!leat_reduce_sample(k, i))
        return false;
    int64_t count = leat_shape_count(&k->in[0].shape);
    int64_t *order = leat_arena_alloc(k->arena, (size_t)count * sizeof *order);
    if (!order)
        return false;
    leat_rng_permutation(k->rng, order, count);
    for (int64_t j = 0; j < count; j++)
        k->in[0].data[j] = (leat_real)(0.5 * (double)(order[j] - count / 2));
    return true;
}

#define EXTREMUM(op, kernel)                                                                                           \
    static void op##_range(void *arg, int64_t begin, int64_t end)                                                      \
    {                                                                                                                  \
        const leat_reduce_job *j = arg;                                                                                \
        for (int64_t i = begin; i < end; i++)                                                                          \
            j->out[i] = leat_kernels_get()->kernel(j->r.x + i * j->r.count, j->r.count);                               \
    }                                                                                                                  \
    static void op##_forward(leat_call *c)                                                                             \
    {                                                                                                                  \
        leat_reduce_rows(c, op##_range);                                                                               \
    }                                                                                                                  \
    const leat_op leat_op_##op = { .name = #op,                                                                        \
                                   .inputs = 1,                                                                        \
                                   .shape = extremum_shape,                                                            \
                                   .forward = op##_forward,                                                            \
                                   .backward = extremum_backward,                                                      \
                                   .sample = extremum_sample };                                                        \
    leat_var leat_##op(leat_var x, int n, const int *axes, bool keep)                                                  \
    {                                                                                                                  \
        return leat_reduce(&leat_op_##op, x, n, axes, keep);                                                           \
    }

EXTREMUM(amax, max)
EXTREMUM(amin, rows->min)
