/* repeat: copies one behind the other. The op does so along a single axis; the function uses it for one after the other,
 * the last first, so that runs get long early. */
#include "ops.h"

#include <string.h>

typedef struct repeat_attributes {
    int axis;
    int64_t times;
} repeat_attributes;

/* A tensor as `rows` runs of `width` numbers; the result has each of them `times` times. */
typedef struct repeat_job {
    const leat_real *x;
    leat_real *out;
    int64_t rows, width, times;
} repeat_job;

static leat_code repeat_shape(leat_call *c)
{
    const repeat_attributes *a = c->attributes;
    int64_t *size = &c->out[0].shape.size[a->axis];
    c->out[0].shape = c->in[0].shape;
    if (a->times < 0)
        return leat_call_fail(c, LEAT_EARG, "%lld times along axis %d", (long long)a->times, a->axis);
    if (__builtin_mul_overflow(*size, a->times, size))
        return leat_call_fail(c, LEAT_ENOMEM, "%lld times along axis %d is too much", (long long)a->times, a->axis);
    return LEAT_OK;
}

static repeat_job job_of(const leat_call *c)
{
    const repeat_attributes *a = c->attributes;
    leat_extent e = leat_extent_at(&c->in[0].shape, a->axis);
    return (repeat_job){ c->in[0].data, c->out[0].data, e.outer, e.size * e.inner, a->times };
}

static void repeat_range(void *arg, int64_t begin, int64_t end)
{
    const repeat_job *j = arg;
    leat_real *out = j->out + begin * j->width * j->times;
    for (int64_t i = begin; i < end; i++) {
        if (j->width == 1)
            leat_kernels_get()->fill(out + (i - begin) * j->times, j->times, j->x[i]);
        for (int64_t copy = 0; copy < j->times && j->width > 1; copy++, out += j->width)
            memcpy(out, j->x + i * j->width, (size_t)j->width * sizeof *out);
    }
}

static void repeat_forward(leat_call *c)
{
    repeat_job j = job_of(c);
    if (leat_shape_count(&c->out[0].shape) > 0)
        leat_call_rows(c, j.rows, j.width * j.times, repeat_range, &j);
}

/* The sum over the copies. */
static void repeat_backward(leat_call *c)
{
    repeat_job j = job_of(c);
    leat_reduction r = { j.rows, j.times, j.width, c->dout[0].data };
    if (leat_shape_count(&c->out[0].shape) > 0)
        leat_reduction_sum(leat_tape_pool(c->tape), &r, c->din[0].data);
    else
        memset(c->din[0].data, 0, (size_t)(j.rows * j.width) * sizeof(leat_real));
}

static bool repeat_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape shape;
        repeat_attributes a;
    } samples[] = {
        { { 1, { 5 } }, { 0, 3 } },       { { 2, { 3, 1 } }, { 1, 20 } },    { { 2, { 3, 4 } }, { 0, 2 } },
        { { 3, { 2, 3, 2 } }, { 1, 4 } }, { { 3, { 2, 1, 70 } }, { 1, 3 } }, { { 2, { 1, 1 } }, { 0, 1 } },
        { { 2, { 0, 4 } }, { 1, 2 } },    { { 2, { 3, 2 } }, { 1, 0 } },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    k->may_vanish = samples[i].a.times == 0;
    return leat_case_of_one(k, samples[i].shape, &samples[i].a, sizeof samples[i].a);
}

LEAT_OP(repeat, .inputs = 1, .unread = LEAT_UNREAD_ALL);

leat_var leat_repeat(leat_var x, const int64_t *times)
{
    for (int axis = leat_var_shape(x).rank - 1; axis >= 0; axis--) {
        repeat_attributes a = { axis, times[axis] };
        if (a.times != 1)
            x = leat_apply(&leat_op_repeat, &a, sizeof a, 1, &x, NULL);
        if (!leat_ok(x))
            break;
    }
    return x;
}
