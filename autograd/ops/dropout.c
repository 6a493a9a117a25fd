/*
 * Dropout. What is dropped is a function of the place where the tape's random numbers stood at the call, which the op
 * keeps; so backward finds the same elements again without storing them.
 */
#include "ops.h"
#include "../../tensor/kernels/row_kernels.h"

#include <math.h>

typedef struct dropout_attributes {
    double p;
    leat_rng at; /* number i of it decides over element i */
} dropout_attributes;

static leat_code dropout_shape(leat_call *c)
{
    const dropout_attributes *a = c->attributes;
    c->out[0].shape = c->in[0].shape;
    if (!(a->p >= 0 && a->p <= 1))
        return leat_call_fail(c, LEAT_EARG, "the probability is %g, and must be in 0 .. 1", a->p);
    return LEAT_OK;
}

typedef struct dropout_job {
    const dropout_attributes *a;
    const leat_real *x;
    leat_real *y;
} dropout_job;

static void dropout_range(void *arg, int64_t begin, int64_t end)
{
    const dropout_job *j = arg;
    const leat_real scale = (leat_real)(1 / (1 - j->a->p)), *x = j->x + begin;
    leat_rng rng = j->a->at;
    rng.position += (uint64_t)begin;
    /* leat_rng_uniform, an odd multiple of 2^-53, is below p where the upper 52 bits of a number are below this */
    uint64_t below = (uint64_t)ceil(ldexp(j->a->p, 52) - 0.5);
    if (below == 0)
        leat_kernels_get()->unary[LEAT_UNARY_mul_scalar].forward(x, j->y + begin, end - begin,
                                                                 (leat_constants){ scale, 0 });
    else
        leat_kernels_get()->rows->dropout(x, j->y + begin, end - begin, scale, &rng, (below << 12) - 1);
}

/* x and y, or their gradients, which are the same function of each other. */
static void drop(const leat_call *c, const leat_real *x, leat_real *y)
{
    dropout_job j = { c->attributes, x, y };
    leat_call_rows(c, leat_shape_count(&c->in[0].shape), 1, dropout_range, &j);
}

static void dropout_forward(leat_call *c)
{
    drop(c, c->in[0].data, c->out[0].data);
}

static void dropout_backward(leat_call *c)
{
    drop(c, c->dout[0].data, c->din[0].data);
}

static bool dropout_sample(leat_case *k, int i)
{
    static const leat_shape shapes[] = { { 1, { 17 } }, { 2, { 5, 3 } }, { 3, { 2, 1, 9 } }, { 2, { 0, 3 } } };
    static const double p[] = { 0.5, 0.1, 0, 1 };
    if (i >= 16)
        return false;
    dropout_attributes *a = leat_arena_alloc(k->arena, sizeof *a);
    if (!a)
        return false;
    *a = (dropout_attributes){ p[i % 4], *k->rng };
    k->may_vanish = a->p == 1;
    return leat_case_of_one(k, shapes[i / 4], a, sizeof *a);
}

LEAT_OP(dropout, .inputs = 1, .unread = LEAT_UNREAD_ALL);

leat_var leat_dropout(leat_var x, double p)
{
    bool legal = p >= 0 && p <= 1;
    if (legal && leat_ok(x) && (p == 0 || !leat_tape_training(x.tape)))
        return x;
    leat_shape shape = leat_var_shape(x);
    dropout_attributes a = { p, *leat_tape_rng(x.tape) };
    leat_var y = leat_apply(&leat_op_dropout, &a, sizeof a, 1, &x, NULL);
    if (leat_ok(y))
        leat_tape_rng(x.tape)->position += (uint64_t)leat_shape_count(&shape);
    return y;
}
