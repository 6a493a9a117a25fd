/* pad: more elements, or fewer, before and after an axis. */
#include "ops.h"

#include <string.h>

typedef struct pad_attributes {
    int axis;
    int64_t before, after;
    double value;
} pad_attributes;

static leat_code pad_shape(leat_call *c)
{
    const pad_attributes *p = c->attributes;
    leat_code code = leat_call_axis(c, p->axis, c->in[0].shape.rank);
    if (code)
        return code;
    int axis = leat_axis(p->axis, c->in[0].shape.rank);
    int64_t size = c->in[0].shape.size[axis], sum;
    if (__builtin_add_overflow(size, p->before, &sum) || __builtin_add_overflow(sum, p->after, &sum))
        return leat_call_fail(c, LEAT_ENOMEM, "%lld before and %lld after add up to too much", (long long)p->before,
                              (long long)p->after);
    if (p->before < -size || p->after < -size || sum < 0)
        return leat_call_fail(c, LEAT_ESHAPE, "%lld before and %lld after, but axis %d has the size %lld",
                              (long long)p->before, (long long)p->after, p->axis, (long long)size);
    c->out[0].shape = c->in[0].shape;
    c->out[0].shape.size[axis] = sum;
    return LEAT_OK;
}

/* Each of the rows of `to`: `before` of a value (cut off if negative), what is left of the row of `from`, `after`. */
typedef struct pad_job {
    const leat_real *from;
    leat_real *to, value;
    int64_t from_size, to_size, before, after;
} pad_job;

static void pad_range(void *arg, int64_t begin, int64_t end)
{
    const pad_job *j = arg;
    int64_t skip = j->before < 0 ? -j->before : 0, front = j->before < 0 ? 0 : j->before;
    int64_t back = j->after < 0 ? 0 : j->after, kept = j->to_size - front - back;
    for (int64_t i = begin; i < end; i++) {
        leat_real *to = j->to + i * j->to_size;
        leat_kernels_get()->fill(to, front, j->value);
        memcpy(to + front, j->from + i * j->from_size + skip, (size_t)kept * sizeof *to);
        leat_kernels_get()->fill(to + front + kept, back, j->value);
    }
}

static void pad_copy(const leat_call *c, leat_tensor from, leat_tensor to, int64_t before, int64_t after, double value)
{
    const pad_attributes *p = c->attributes;
    leat_extent f = leat_extent_at(&from.shape, p->axis), t = leat_extent_at(&to.shape, p->axis);
    pad_job job = { from.data,        to.data,          (leat_real)value, f.size * f.inner,
                    t.size * t.inner, before * f.inner, after * f.inner };
    leat_call_rows(c, job.to_size ? f.outer : 0, job.to_size, pad_range, &job);
}

static void pad_forward(leat_call *c)
{
    const pad_attributes *p = c->attributes;
    pad_copy(c, c->in[0], c->out[0], p->before, p->after, p->value);
}

/* What was added is cut off again, and what was cut off gets 0. */
static void pad_backward(leat_call *c)
{
    const pad_attributes *p = c->attributes;
    pad_copy(c, c->dout[0], c->din[0], -p->before, -p->after, 0);
}

static bool pad_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape;
        pad_attributes p;
    } samples[] = {
        { { 1, { 5 } }, { 0, 2, 3, 7 } },        { { 2, { 3, 4 } }, { -1, 0, 1, -2 } },
        { { 2, { 3, 4 } }, { 0, 2, 0, 1 } },     { { 3, { 2, 5, 3 } }, { 1, -2, 4, 0 } },
        { { 3, { 2, 5, 3 } }, { 1, 1, -3, 5 } }, { { 2, { 2, 7 } }, { 1, -3, -3, 0 } },
        { { 2, { 2, 3 } }, { 1, -1, -2, 0 } },   { { 2, { 2, 0 } }, { 1, 1, 2, 3 } },
        { { 2, { 0, 2 } }, { 1, 1, 2, 3 } },     { { 1, { 1 } }, { 0, 0, 0, 3 } },
        { { 2, { 3, 2 } }, { 1, -2, 2, 4 } },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    k->may_vanish = samples[i].p.before == -2 && samples[i].shape.size[1] == 2; /* all of it is cut off */
    return leat_case_of_one(k, samples[i].shape, &samples[i].p, sizeof samples[i].p);
}

LEAT_OP(pad, .inputs = 1, .unread = LEAT_UNREAD_ALL);

leat_var leat_pad(leat_var x, int axis, int64_t before, int64_t after, double value)
{
    pad_attributes p = { axis, before, after, value };
    return leat_apply(&leat_op_pad, &p, sizeof p, 1, &x, NULL);
}
