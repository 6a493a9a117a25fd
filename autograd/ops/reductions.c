/* What reductions over any set of axes share; see reductions.h. */
#include "reductions.h"

leat_shape leat_reduced_shape(const leat_shape *s, unsigned set, bool keep)
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

unsigned leat_reduce_set(const leat_call *c)
{
    const leat_reduce_attributes *a = c->attributes;
    unsigned set;
    int wrong;
    leat_axes_set(&a->axes, c->in[0].shape.rank, &set, &wrong);
    return a->axes.n > 0 ? set : (1U << c->in[0].shape.rank) - 1;
}

leat_code leat_reduce_shape(leat_call *c)
{
    const leat_reduce_attributes *a = c->attributes;
    unsigned set;
    leat_code code = leat_call_axes(c, &a->axes, c->in[0].shape.rank, &set);
    if (!code)
        c->out[0].shape = leat_reduced_shape(&c->in[0].shape, leat_reduce_set(c), a->keep);
    return code;
}

int64_t leat_reduce_count(const leat_call *c)
{
    unsigned set = leat_reduce_set(c);
    int64_t count = 1;
    for (int i = 0; i < c->in[0].shape.rank; i++)
        count *= set >> i & 1 ? c->in[0].shape.size[i] : 1;
    return count;
}

bool leat_reduce_arrange(leat_call *c, bool rows, leat_reduction *r)
{
    leat_arena *scratch = leat_tape_scratch(c->tape);
    if (leat_reduction_of(scratch, c->in[0].data, &c->in[0].shape, leat_reduce_set(c), rows, r) == LEAT_OK)
        return true;
    leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
    return false;
}

void leat_reduce_rows(leat_call *c, leat_range_fn *fn)
{
    leat_reduce_job job = { .out = c->out[0].data };
    if (leat_reduce_arrange(c, true, &job.r))
        leat_call_rows(c, job.r.outer, job.r.count, fn, &job);
}

leat_tensor leat_reduce_kept(const leat_call *c, leat_real *data)
{
    return (leat_tensor){ data, leat_reduced_shape(&c->in[0].shape, leat_reduce_set(c), true) };
}

leat_var leat_reduce(const leat_op *op, leat_var x, int n, const int *axes, bool keep)
{
    leat_reduce_attributes a = { .axes = leat_axes_of(n, axes), .keep = keep };
    return leat_apply(op, &a, sizeof a, 1, &x, NULL);
}

bool leat_reduce_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape;
        leat_reduce_attributes a;
    } samples[] = {
        { { 0, { 0 } }, { { 0, { 0 } }, false, 0 } },
        { { 1, { 1 } }, { { 1, { 0 } }, true, 0 } },
        { { 1, { 17 } }, { { 1, { -1 } }, false, 0 } },
        { { 2, { 9, 8 } }, { { 1, { 1 } }, true, 0 } },
        { { 2, { 8, 15 } }, { { 1, { 0 } }, false, 0 } },
        { { 2, { 3, 71 } }, { { 1, { -2 } }, true, 0 } },
        { { 2, { 3, 5 } }, { { 0, { 0 } }, false, 0 } },
        { { 2, { 3, 5 } }, { { 2, { 1, 0 } }, true, 0 } },
        { { 3, { 3, 4, 5 } }, { { 1, { 1 } }, false, 0 } },
        { { 3, { 3, 4, 5 } }, { { 2, { 2, 0 } }, true, 0 } },
        { { 3, { 2, 1, 7 } }, { { 1, { 1 } }, false, 0 } },
        { { 4, { 2, 3, 2, 3 } }, { { 2, { 1, 3 } }, false, 0 } },
        { { 4, { 2, 3, 2, 3 } }, { { 2, { 0, 2 } }, true, 0 } },
        { { 2, { 0, 3 } }, { { 1, { 1 } }, false, 0 } },
        { { 2, { 2, 0 } }, { { 1, { 0 } }, true, 0 } },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    return leat_case_of_one(k, samples[i].shape, &samples[i].a, sizeof samples[i].a);
}
