/*
 * The elementwise ops: those of tensor/elementwise.h, and where.
 *
 * The lists give value, derivative and what gradient checks draw; the macros here make the op and the public function
 * of each line. Everything is cut into runs for the kernels. Two inputs broadcast; their gradients are written at the
 * output's shape, and leat sums them down.
 */
#include "ops.h"

#include <math.h>

/* ---- what gradient checks draw ----------------------------------------------------------------------------------- */

typedef leat_tensor draw_fn(leat_case *k, leat_shape shape, int input);

static leat_tensor draw_any(leat_case *k, leat_shape shape, int input)
{
    (void)input;
    return leat_case_normal(k, shape);
}

static leat_tensor draw_away(leat_case *k, leat_shape shape, int input)
{
    (void)input;
    leat_tensor x = leat_case_away(k, shape, 0.5, 2, false);
    if (x.data &&
        leat_shape_count(&shape) > 0) /* one is positive, so that relu's gradient does not vanish altogether */
        x.data[0] = (leat_real)fabs((double)x.data[0]);
    return x;
}

static leat_tensor draw_positive(leat_case *k, leat_shape shape, int input)
{
    (void)input;
    return leat_case_away(k, shape, 0.5, 2, true);
}

/* -2, -1, 0 or 1, and a fraction: from 0.05 to 0.45 for the first input, from 0.55 to 0.95 for the second. The first
 * number is between 0 and 1, so that not all are clamped. */
static leat_tensor draw_apart(leat_case *k, leat_shape shape, int input)
{
    leat_tensor x = leat_case_away(k, shape, 0.05 + 0.5 * input, 0.45 + 0.5 * input, true);
    for (int64_t i = 1; x.data && i < leat_shape_count(&shape); i++)
        x.data[i] += (leat_real)(leat_rng_next(k->rng) % 4) - 2;
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

static bool unary_sample(leat_case *k, int i, draw_fn *draw, int constants)
{
    if (i >= (int)(sizeof unary_shapes / sizeof *unary_shapes))
        return false;
    static const leat_constants one[] = { { (leat_real)1.25, 0 }, { (leat_real)-0.75, 0 }, { 3, 0 } },
                                ascending[] = { { -1, 1 }, { 0, 2 }, { (leat_real)-1.5, 1 } };
    k->n = 1;
    k->in[0] = draw(k, unary_shapes[i], 0);
    k->attributes = constants == 2 ? &ascending[i % 3] : &one[i % 3];
    k->attributes_size = sizeof one[0];
    return true;
}

/* The parameters of a public function, given in whatever order: GIVEN((double c, leat_var x)) is { .c0 = c, .x = x }.
 * CONSTANTS is how many of them are numbers. */
typedef struct given {
    leat_var x;
    double c0, c1;
} given;

#define FIRST_leat_var               .x =
#define FIRST_double                 .c0 =
#define SECOND_double                .c1 =
#define GIVEN_1(a)                   FIRST_##a
#define GIVEN_2(a, b)                FIRST_##a, FIRST_##b
#define GIVEN_3(a, b, c)             FIRST_##a, FIRST_##b, SECOND_##c
#define FOURTH(a, b, c, fourth, ...) fourth
#define GIVEN_OF(...)                FOURTH(__VA_ARGS__, GIVEN_3, GIVEN_2, GIVEN_1, )(__VA_ARGS__)
#define GIVEN(parameters)            ((given){ GIVEN_OF parameters })
#define CONSTANTS_OF(...)            FOURTH(__VA_ARGS__, 2, 1, 0, )
#define CONSTANTS(parameters)        CONSTANTS_OF parameters

/* Zeros without storage stay what they are. */
static bool keeps_zeros(int kernel, given in)
{
    return leat_is_zeros(in.x) && (kernel == LEAT_UNARY_neg || (kernel == LEAT_UNARY_mul_scalar && isfinite(in.c0)));
}

static leat_var unary_apply(const leat_op *op, int kernel, given in)
{
    leat_constants k = { (leat_real)in.c0, (leat_real)in.c1 };
    return keeps_zeros(kernel, in) ? in.x : leat_apply(op, &k, sizeof k, 1, &in.x, NULL);
}

#define UNARY(name_, draws, parameters, ...)                                                                           \
    static void name_##_forward(leat_call *c)                                                                          \
    {                                                                                                                  \
        unary_forward(c, LEAT_UNARY_##name_);                                                                          \
    }                                                                                                                  \
    static void name_##_backward(leat_call *c)                                                                         \
    {                                                                                                                  \
        unary_backward(c, LEAT_UNARY_##name_);                                                                         \
    }                                                                                                                  \
    static bool name_##_sample(leat_case *k, int i)                                                                    \
    {                                                                                                                  \
        return unary_sample(k, i, draw_##draws, CONSTANTS(parameters));                                                \
    }                                                                                                                  \
    const leat_op leat_op_##name_ = { .name = #name_,                                                                  \
                                      .inputs = 1,                                                                     \
                                      .shape = unary_shape,                                                            \
                                      .forward = name_##_forward,                                                      \
                                      .backward = name_##_backward,                                                    \
                                      .sample = name_##_sample };                                                      \
    leat_var leat_##name_ parameters                                                                                   \
    {                                                                                                                  \
        return unary_apply(&leat_op_##name_, LEAT_UNARY_##name_, GIVEN(parameters));                                   \
    }
LEAT_UNARY_LIST(UNARY)

/* ---- activations ------------------------------------------------------------------------------------------------- */

bool leat_unary_from_value(int kernel)
{
    enum { NONE, Y, X, XY };
#define READS_ROW(op, draws, parameters, value, dx, reads) [LEAT_UNARY_##op] = reads,
    static const int reads[] = { LEAT_UNARY_LIST(READS_ROW) };
#undef READS_ROW
    return reads[kernel] <= Y;
}

leat_var leat_activate(leat_var x, leat_activation f)
{
#define OP_ROW(op, ...) [LEAT_UNARY_##op] = &leat_op_##op,
    static const leat_op *const ops[] = { LEAT_UNARY_LIST(OP_ROW) };
#undef OP_ROW
    leat_activation_op op = leat_activation_op_of(f);
    if (op.unary >= 0)
        return leat_apply(ops[op.unary], &op.k, sizeof op.k, 1, &x, NULL);
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

static bool binary_sample(leat_case *k, int i, draw_fn *draw)
{
    if (i >= (int)(sizeof binary_shapes / sizeof *binary_shapes))
        return false;
    k->n = 2;
    k->in[0] = draw(k, binary_shapes[i][0], 0);
    k->in[1] = draw(k, binary_shapes[i][1], 1);
    return true;
}

/* Whether `zeros` holds zeros without storage that do not change the shape of x in a sum with it. */
static bool steps_over(leat_var zeros, leat_var x)
{
    if (!leat_is_zeros(zeros) || x.tape != zeros.tape || !leat_ok(x))
        return false;
    leat_shape shape = leat_var_shape(x), other = leat_var_shape(zeros), sum;
    return leat_shape_broadcast(&shape, &other, &sum) && leat_shape_equal(&shape, &sum);
}

static leat_var binary_apply(const leat_op *op, int kernel, leat_var a, leat_var b)
{
    bool sum = kernel == LEAT_BINARY_add, difference = kernel == LEAT_BINARY_sub;
    if ((sum || difference) && steps_over(b, a))
        return a;
    if ((sum || difference) && steps_over(a, b))
        return sum ? b : leat_neg(b);
    return leat_apply(op, NULL, 0, 2, (leat_var[]){ a, b }, NULL);
}

#define BINARY(name_, draws, ...)                                                                                      \
    static void name_##_forward(leat_call *c)                                                                          \
    {                                                                                                                  \
        walk_inputs(c, binary_forward_run, &(binary_job){ c, &leat_kernels_get()->binary[LEAT_BINARY_##name_] });      \
    }                                                                                                                  \
    static void name_##_backward(leat_call *c)                                                                         \
    {                                                                                                                  \
        walk_inputs(c, binary_backward_run, &(binary_job){ c, &leat_kernels_get()->binary[LEAT_BINARY_##name_] });     \
    }                                                                                                                  \
    static bool name_##_sample(leat_case *k, int i)                                                                    \
    {                                                                                                                  \
        return binary_sample(k, i, draw_##draws);                                                                      \
    }                                                                                                                  \
    const leat_op leat_op_##name_ = { .name = #name_,                                                                  \
                                      .inputs = 2,                                                                     \
                                      .flags = LEAT_OP_BROADCAST,                                                      \
                                      .shape = binary_shape,                                                           \
                                      .forward = name_##_forward,                                                      \
                                      .backward = name_##_backward,                                                    \
                                      .sample = name_##_sample };                                                      \
    leat_var leat_##name_(leat_var a, leat_var b)                                                                      \
    {                                                                                                                  \
        return binary_apply(&leat_op_##name_, LEAT_BINARY_##name_, a, b);                                              \
    }
LEAT_BINARY_LIST(BINARY)

/* ---- comparisons ------------------------------------------------------------------------------------------------- */

typedef struct comparison_job {
    leat_real *out;
    leat_binary_forward *kernel;
} comparison_job;

static void comparison_run(void *arg, const leat_run *r)
{
    const comparison_job *j = arg;
    j->kernel(r->in[0], r->step[0], r->in[1], r->step[1], j->out + r->out, r->n);
}

/* Some pairs are equal: small whole numbers. */
static bool comparison_sample(leat_case *k, int i)
{
    if (!binary_sample(k, i, draw_any))
        return false;
    for (int j = 0; j < 2; j++)
        for (int64_t at = 0; k->in[j].data && at < leat_shape_count(&k->in[j].shape); at++)
            k->in[j].data[at] = (leat_real)rint((double)k->in[j].data[at]);
    return true;
}

#define COMPARISON(name_, ...)                                                                                         \
    static void name_##_forward(leat_call *c)                                                                          \
    {                                                                                                                  \
        walk_inputs(c, comparison_run,                                                                                 \
                    &(comparison_job){ c->out[0].data, leat_kernels_get()->comparison[LEAT_COMPARISON_##name_] });     \
    }                                                                                                                  \
    const leat_op leat_op_##name_ = { .name = #name_,                                                                  \
                                      .inputs = 2,                                                                     \
                                      .no_grad = 3,                                                                    \
                                      .shape = binary_shape,                                                           \
                                      .forward = name_##_forward,                                                      \
                                      .sample = comparison_sample };                                                   \
    leat_var leat_##name_(leat_var a, leat_var b)                                                                      \
    {                                                                                                                  \
        return leat_apply(&leat_op_##name_, NULL, 0, 2, (leat_var[]){ a, b }, NULL);                                   \
    }
LEAT_COMPARISON_LIST(COMPARISON)

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
