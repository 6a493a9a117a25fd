/*
 * The elementwise ops: those of tensor/elementwise.h, and where.
 *
 * Value and derivative stand there; a line here makes the op of it and says what numbers its gradient check draws, so
 * that no kink, pole or edge of its domain is near: any (N(0, 1)), away (from 0), positive.
 *
 * Everything is cut into runs for the kernels. Two inputs broadcast; their gradients are written at the output's shape,
 * and leat sums them down.
 */
#include "ops.h"

#include <math.h>

typedef enum draws { any, away, positive } draws;

static leat_tensor draw(leat_case *k, leat_shape shape, draws d)
{
    if (d == any)
        return leat_case_normal(k, shape);
    leat_tensor x = leat_case_away(k, shape, 0.5, 2, d == positive);
    if (x.data &&
        leat_shape_count(&shape) > 0) /* one is positive, so that relu's gradient does not vanish altogether */
        x.data[0] = (leat_real)fabs((double)x.data[0]);
    return x;
}

/* ---- one input --------------------------------------------------------------------------------------------------- */

typedef struct unary_job {
    const leat_unary_kernel *kernel;
    leat_constants k;
    const leat_real *x, *y, *g;
    leat_real *out;
} unary_job;

static leat_constants constants_of(const leat_call *c)
{
    return c->attributes ? *(const leat_constants *)c->attributes : (leat_constants){ 0 };
}

static leat_code unary_shape(leat_call *c)
{
    c->out[0].shape = c->in[0].shape;
    return LEAT_OK;
}

static void forward_range(void *arg, int64_t begin, int64_t end)
{
    const unary_job *j = arg;
    j->kernel->forward(j->x + begin, j->out + begin, end - begin, j->k);
}

static void unary_forward(leat_call *c, int kernel)
{
    unary_job j = {
        .kernel = &leat_kernels_get()->unary[kernel], .k = constants_of(c), .x = c->in[0].data, .out = c->out[0].data
    };
    leat_parallel_for(leat_tape_pool(c->tape), leat_shape_count(&c->out[0].shape), LEAT_GRAIN, forward_range, &j);
}

static void backward_range(void *arg, int64_t begin, int64_t end)
{
    const unary_job *j = arg;
    j->kernel->backward(j->x + begin, j->y + begin, j->g + begin, j->out + begin, end - begin, j->k);
}

void leat_unary_backward(leat_pool *pool, int kernel, leat_constants k, const leat_real *x, const leat_real *y,
                         const leat_real *g, leat_real *dx, int64_t n)
{
    unary_job j = { &leat_kernels_get()->unary[kernel], k, x, y, g, dx };
    leat_parallel_for(pool, n, LEAT_GRAIN, backward_range, &j);
}

static void unary_backward(leat_call *c, int kernel)
{
    leat_unary_backward(leat_tape_pool(c->tape), kernel, constants_of(c), c->in[0].data, c->out[0].data,
                        c->dout[0].data, c->din[0].data, leat_shape_count(&c->out[0].shape));
}

static const leat_shape unary_shapes[] = { { 0, { 0 } },         { 1, { 1 } },     { 1, { 7 } },     { 1, { 8 } },
                                           { 1, { 9 } },         { 2, { 1, 15 } }, { 2, { 16, 1 } }, { 1, { 17 } },
                                           { 2, { 0, 3 } },      { 2, { 2, 0 } },  { 2, { 5, 3 } },  { 3, { 3, 1, 5 } },
                                           { 4, { 2, 2, 3, 3 } } };

static bool unary_sample(leat_case *k, int i, draws d)
{
    if (i >= (int)(sizeof unary_shapes / sizeof *unary_shapes))
        return false;
    static const leat_constants constants[] = { { (leat_real)1.25, 0 }, { (leat_real)-0.75, 0 }, { 3, 0 } };
    k->n = 1;
    k->in[0] = draw(k, unary_shapes[i], d);
    k->attributes = &constants[i % 3];
    k->attributes_size = sizeof constants[0];
    return true;
}

/* An op of the list alone, and one with its public function of one argument. */
#define UNARY_OP(op, d)                                                                                                \
    static void op##_forward(leat_call *c)                                                                             \
    {                                                                                                                  \
        unary_forward(c, LEAT_UNARY_##op);                                                                             \
    }                                                                                                                  \
    static void op##_backward(leat_call *c)                                                                            \
    {                                                                                                                  \
        unary_backward(c, LEAT_UNARY_##op);                                                                            \
    }                                                                                                                  \
    static bool op##_sample(leat_case *k, int i)                                                                       \
    {                                                                                                                  \
        return unary_sample(k, i, d);                                                                                  \
    }                                                                                                                  \
    const leat_op leat_op_##op = { .name = #op,                                                                        \
                                   .inputs = 1,                                                                        \
                                   .shape = unary_shape,                                                               \
                                   .forward = op##_forward,                                                            \
                                   .backward = op##_backward,                                                          \
                                   .sample = op##_sample };

#define UNARY(op, d)                                                                                                   \
    UNARY_OP(op, d)                                                                                                    \
    leat_var leat_##op(leat_var x)                                                                                     \
    {                                                                                                                  \
        return leat_apply(&leat_op_##op, NULL, 0, 1, &x, NULL);                                                        \
    }

UNARY(exp, any)
UNARY(log, positive)
UNARY(tanh, any)
UNARY(sigmoid, any)
UNARY(softplus, any)
UNARY(relu, away)
UNARY(square, any)
UNARY(sqrt, positive)
UNARY_OP(neg, any)
UNARY_OP(add_scalar, any)
UNARY_OP(mul_scalar, any)
UNARY_OP(rsub_scalar, any)
UNARY_OP(div_scalar, any)
UNARY_OP(rdiv_scalar, away)

static leat_var with_constant(const leat_op *op, leat_var x, double c)
{
    leat_constants k = { (leat_real)c, 0 };
    return leat_apply(op, &k, sizeof k, 1, &x, NULL);
}

leat_var leat_neg(leat_var x)
{
    return leat_is_zeros(x) ? x : leat_apply(&leat_op_neg, NULL, 0, 1, &x, NULL);
}

leat_var leat_add_scalar(leat_var x, double c)
{
    return with_constant(&leat_op_add_scalar, x, c);
}

leat_var leat_sub_scalar(leat_var x, double c)
{
    return with_constant(&leat_op_add_scalar, x, -c);
}

leat_var leat_rsub_scalar(double c, leat_var x)
{
    return with_constant(&leat_op_rsub_scalar, x, c);
}

leat_var leat_mul_scalar(leat_var x, double c)
{
    return leat_is_zeros(x) && isfinite(c) ? x : with_constant(&leat_op_mul_scalar, x, c);
}

leat_var leat_div_scalar(leat_var x, double c)
{
    return with_constant(&leat_op_div_scalar, x, c);
}

leat_var leat_rdiv_scalar(double c, leat_var x)
{
    return with_constant(&leat_op_rdiv_scalar, x, c);
}

/* ---- activations ------------------------------------------------------------------------------------------------- */

int leat_activation_kernel(leat_activation f)
{
    switch (f) {
    case LEAT_RELU:
        return LEAT_UNARY_relu;
    case LEAT_TANH:
        return LEAT_UNARY_tanh;
    case LEAT_SIGMOID:
        return LEAT_UNARY_sigmoid;
    case LEAT_SOFTPLUS:
        return LEAT_UNARY_softplus;
    case LEAT_IDENTITY:
        break;
    }
    return -1;
}

bool leat_unary_from_value(int kernel)
{
    enum { NONE, Y, X, XY };
#define READS_ROW(op, value, derivative, reads) [LEAT_UNARY_##op] = reads,
    static const int reads[] = { LEAT_UNARY_LIST(READS_ROW) };
#undef READS_ROW
    return reads[kernel] <= Y;
}

leat_var leat_activate(leat_var x, leat_activation f)
{
#define OP_ROW(op, ...) [LEAT_UNARY_##op] = &leat_op_##op,
    static const leat_op *const ops[] = { LEAT_UNARY_LIST(OP_ROW) };
#undef OP_ROW
    int kernel = leat_activation_kernel(f);
    if (kernel >= 0)
        return leat_apply(ops[kernel], NULL, 0, 1, &x, NULL);
    return f == LEAT_IDENTITY ? x : leat_tape_fail(x.tape, LEAT_EARG, "activate: there is no activation %d", (int)f);
}

/* ---- two inputs -------------------------------------------------------------------------------------------------- */

static leat_code binary_shape(leat_call *c)
{
    if (!leat_shape_broadcast(&c->in[0].shape, &c->in[1].shape, &c->out[0].shape))
        return leat_call_fail(c, LEAT_ESHAPE, "the shapes do not broadcast");
    return LEAT_OK;
}

typedef struct binary_job {
    const leat_call *c;
    const leat_binary_kernel *kernel;
} binary_job;

static void binary_forward_run(void *arg, const leat_run *r)
{
    const binary_job *j = arg;
    j->kernel->forward(r->in[0], r->step[0], r->in[1], r->step[1], j->c->out[0].data + r->out, r->n);
}

static void binary_backward_run(void *arg, const leat_run *r)
{
    const binary_job *j = arg;
    const leat_real *y = j->c->out[0].data + r->out, *g = j->c->dout[0].data + r->out;
    leat_real *da = j->c->din[0].data, *db = j->c->din[1].data;
    if (da)
        j->kernel->backward_a(r->in[0], r->step[0], r->in[1], r->step[1], y, g, da + r->out, r->n);
    if (db)
        j->kernel->backward_b(r->in[0], r->step[0], r->in[1], r->step[1], y, g, db + r->out, r->n);
}

static void walk_inputs(const leat_call *c, leat_run_fn *fn, void *arg)
{
    leat_broadcast_walk(leat_tape_pool(c->tape), &c->out[0].shape, c->inputs, c->in, fn, arg);
}

static const leat_shape binary_shapes[][2] = {
    { { 0, { 0 } }, { 0, { 0 } } },
    { { 1, { 7 } }, { 1, { 7 } } },
    { { 2, { 3, 5 } }, { 0, { 0 } } },
    { { 1, { 1 } }, { 2, { 8, 2 } } },
    { { 2, { 3, 9 } }, { 1, { 9 } } },
    { { 1, { 15 } }, { 2, { 2, 15 } } },
    { { 2, { 16, 1 } }, { 2, { 1, 17 } } },
    { { 2, { 4, 1 } }, { 2, { 4, 3 } } },
    { { 3, { 2, 1, 3 } }, { 2, { 4, 1 } } },
    { { 4, { 2, 1, 3, 1 } }, { 4, { 1, 2, 1, 3 } } },
    { { 3, { 2, 3, 4 } }, { 3, { 2, 1, 4 } } },
    { { 4, { 2, 3, 1, 2 } }, { 1, { 2 } } },
    { { 2, { 0, 3 } }, { 1, { 3 } } },
    { { 2, { 2, 1 } }, { 2, { 2, 0 } } },
};

static bool binary_sample(leat_case *k, int i, draws d)
{
    if (i >= (int)(sizeof binary_shapes / sizeof *binary_shapes))
        return false;
    k->n = 2;
    k->in[0] = draw(k, binary_shapes[i][0], d);
    k->in[1] = draw(k, binary_shapes[i][1], d);
    return true;
}

#define BINARY_OP(op, d)                                                                                               \
    static void op##_forward(leat_call *c)                                                                             \
    {                                                                                                                  \
        binary_job j = { c, &leat_kernels_get()->binary[LEAT_BINARY_##op] };                                           \
        walk_inputs(c, binary_forward_run, &j);                                                                        \
    }                                                                                                                  \
    static void op##_backward(leat_call *c)                                                                            \
    {                                                                                                                  \
        binary_job j = { c, &leat_kernels_get()->binary[LEAT_BINARY_##op] };                                           \
        walk_inputs(c, binary_backward_run, &j);                                                                       \
    }                                                                                                                  \
    static bool op##_sample(leat_case *k, int i)                                                                       \
    {                                                                                                                  \
        return binary_sample(k, i, d);                                                                                 \
    }                                                                                                                  \
    const leat_op leat_op_##op = { .name = #op,                                                                        \
                                   .inputs = 2,                                                                        \
                                   .flags = LEAT_OP_BROADCAST,                                                         \
                                   .shape = binary_shape,                                                              \
                                   .forward = op##_forward,                                                            \
                                   .backward = op##_backward,                                                          \
                                   .sample = op##_sample };

#define BINARY(op, d)                                                                                                  \
    BINARY_OP(op, d)                                                                                                   \
    leat_var leat_##op(leat_var a, leat_var b)                                                                         \
    {                                                                                                                  \
        return leat_apply(&leat_op_##op, NULL, 0, 2, (leat_var[]){ a, b }, NULL);                                      \
    }

BINARY(mul, any)
BINARY(div, away)
BINARY_OP(add, any)
BINARY_OP(sub, any)

/* Whether `zeros` holds zeros without storage that do not change the shape of x in a sum with it. */
static bool steps_over(leat_var zeros, leat_var x)
{
    if (!leat_is_zeros(zeros) || x.tape != zeros.tape || !leat_ok(x))
        return false;
    leat_shape shape = leat_var_shape(x), other = leat_var_shape(zeros), sum;
    return leat_shape_broadcast(&shape, &other, &sum) && leat_shape_equal(&shape, &sum);
}

leat_var leat_add(leat_var a, leat_var b)
{
    if (steps_over(b, a))
        return a;
    if (steps_over(a, b))
        return b;
    return leat_apply(&leat_op_add, NULL, 0, 2, (leat_var[]){ a, b }, NULL);
}

leat_var leat_sub(leat_var a, leat_var b)
{
    if (steps_over(b, a))
        return a;
    if (steps_over(a, b))
        return leat_neg(b);
    return leat_apply(&leat_op_sub, NULL, 0, 2, (leat_var[]){ a, b }, NULL);
}

/* ---- where ------------------------------------------------------------------------------------------------------- */

static leat_code where_shape(leat_call *c)
{
    leat_shape branches;
    if (!leat_shape_broadcast(&c->in[1].shape, &c->in[2].shape, &branches) ||
        !leat_shape_broadcast(&c->in[0].shape, &branches, &c->out[0].shape))
        return leat_call_fail(c, LEAT_ESHAPE, "the shapes do not broadcast");
    return LEAT_OK;
}

static void where_forward_run(void *arg, const leat_run *r)
{
    const leat_call *c = arg;
    leat_kernels_get()->where(r->in[0], r->step[0], r->in[1], r->step[1], r->in[2], r->step[2], c->out[0].data + r->out,
                              r->n);
}

static void where_forward(leat_call *c)
{
    walk_inputs(c, where_forward_run, c);
}

static void where_backward_run(void *arg, const leat_run *r)
{
    const leat_call *c = arg;
    const leat_real zero = 0, *g = c->dout[0].data + r->out;
    leat_real *da = c->din[1].data, *db = c->din[2].data;
    if (da)
        leat_kernels_get()->where(r->in[0], r->step[0], g, 1, &zero, 0, da + r->out, r->n);
    if (db)
        leat_kernels_get()->where(r->in[0], r->step[0], &zero, 0, g, 1, db + r->out, r->n);
}

static void where_backward(leat_call *c)
{
    walk_inputs(c, where_backward_run, c);
}

static bool where_sample(leat_case *k, int i)
{
    int count = (int)(sizeof binary_shapes / sizeof *binary_shapes);
    if (i >= 2 * count)
        return false;
    const leat_shape *shapes = binary_shapes[i % count];
    k->n = 3;
    k->in[0] = leat_case_normal(k, shapes[i < count ? 0 : 1]);
    k->in[1] = leat_case_normal(k, shapes[i < count ? 1 : 0]);
    k->in[2] = leat_case_normal(k, shapes[i % 2]);
    for (int64_t j = 0; k->in[0].data && j < leat_shape_count(&k->in[0].shape); j++)
        k->in[0].data[j] = k->in[0].data[j] > 0 ? k->in[0].data[j] : 0;
    return true;
}

const leat_op leat_op_where = {
    .name = "where",
    .inputs = 3,
    .flags = LEAT_OP_BROADCAST,
    .no_grad = 1,
    .shape = where_shape,
    .forward = where_forward,
    .backward = where_backward,
    .sample = where_sample,
};

leat_var leat_where(leat_var cond, leat_var a, leat_var b)
{
    return leat_apply(&leat_op_where, NULL, 0, 3, (leat_var[]){ cond, a, b }, NULL);
}
