/*
 * The elementwise ops: those of tensor/kernels/elementwise.h, and where.
 *
 * An op's place in its table is its kernel's number. Everything is cut into runs for the kernels. Two inputs broadcast;
 * their gradients are written at the output's shape, and leat sums them down.
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

/* What backward can do without, by what the list says that it reads. */
enum { READS_NONE = LEAT_UNREAD_ALL, READS_X = LEAT_UNREAD_OUTPUTS, READS_Y = LEAT_UNREAD_INPUTS, READS_XY = 0 };

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

static void unary_forward(leat_call *c)
{
    unary_job j = { .kernel = &leat_kernels_get()->unary[c->op - leat_unary_ops],
                    .k = constants_of(c),
                    .x = c->in[0].data,
                    .out = c->out[0].data };
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

static void unary_backward(leat_call *c)
{
    leat_unary_backward(leat_tape_pool(c->tape), (int)(c->op - leat_unary_ops), constants_of(c), c->in[0].data,
                        c->out[0].data, c->dout[0].data, c->din[0].data, leat_shape_count(&c->out[0].shape));
}

static const leat_shape unary_shapes[] = { { 0, { 0 } },         { 1, { 1 } },     { 1, { 7 } },     { 1, { 8 } },
                                           { 1, { 9 } },         { 2, { 1, 15 } }, { 2, { 16, 1 } }, { 1, { 17 } },
                                           { 2, { 0, 3 } },      { 2, { 2, 0 } },  { 2, { 5, 3 } },  { 3, { 3, 1, 5 } },
                                           { 4, { 2, 2, 3, 3 } } };

static bool unary_sample(leat_case *k, int i)
{
    if (i >= (int)(sizeof unary_shapes / sizeof *unary_shapes))
        return false;
    static const leat_constants one[] = { { (leat_real)1.25, 0 }, { (leat_real)-0.75, 0 }, { 3, 0 } },
                                ascending[] = { { -1, 1 }, { 0, 2 }, { (leat_real)-1.5, 1 } };
#define DRAW_ROW(name, draws, ...) draw_##draws,
    static draw_fn *const draws[] = { LEAT_UNARY_LIST(DRAW_ROW) };
    draw_fn *draw = draws[k->op - leat_unary_ops];
    k->n = 1;
    k->in[0] = draw(k, unary_shapes[i], 0);
    k->attributes = draw == draw_apart ? &ascending[i % 3] : &one[i % 3];
    k->attributes_size = sizeof one[0];
    return true;
}

#define UNARY_ROW(name_, draws, value, dx, reads_)                                                                     \
    { .name = #name_,                                                                                                  \
      .inputs = 1,                                                                                                     \
      .shape = unary_shape,                                                                                            \
      .forward = unary_forward,                                                                                        \
      .backward = unary_backward,                                                                                      \
      .unread = READS_##reads_,                                                                                        \
      .sample = unary_sample },
const leat_op leat_unary_ops[] = { LEAT_UNARY_LIST(UNARY_ROW) };

static leat_var unary(int kernel, leat_var x, double c0, double c1)
{
    leat_constants k = { (leat_real)c0, (leat_real)c1 };
    /* Zeros without storage stay what they are. */
    if ((kernel == LEAT_UNARY_neg || (kernel == LEAT_UNARY_mul_scalar && isfinite(c0))) && leat_is_zeros(x))
        return x;
    return leat_apply(&leat_unary_ops[kernel], &k, sizeof k, 1, &x, NULL);
}

#define UNARY(name, parameters, c0, c1)                                                                                \
    leat_var leat_##name parameters                                                                                    \
    {                                                                                                                  \
        return unary(LEAT_UNARY_##name, x, c0, c1);                                                                    \
    }
#define PLAIN(name, ...) UNARY(name, (leat_var x), 0, 0)
LEAT_PLAIN_LIST(PLAIN)
UNARY(leaky_relu, (leat_var x, double slope), slope, 0)
UNARY(elu, (leat_var x, double alpha), alpha, 0)
UNARY(add_scalar, (leat_var x, double c), c, 0)
UNARY(sub_scalar, (leat_var x, double c), c, 0)
UNARY(rsub_scalar, (double c, leat_var x), c, 0)
UNARY(mul_scalar, (leat_var x, double c), c, 0)
UNARY(div_scalar, (leat_var x, double c), c, 0)
UNARY(rdiv_scalar, (double c, leat_var x), c, 0)
UNARY(pow_scalar, (leat_var x, double c), c, 0)
UNARY(clamp, (leat_var x, double low, double high), low, high)

/* ---- activations ------------------------------------------------------------------------------------------------- */

bool leat_unary_from_value(int kernel)
{
    return leat_unary_ops[kernel].unread & LEAT_UNREAD_INPUTS;
}

leat_var leat_activate(leat_var x, leat_activation f)
{
    leat_activation_op op = leat_activation_op_of(f);
    if (op.unary >= 0)
        return leat_apply(&leat_unary_ops[op.unary], &op.k, sizeof op.k, 1, &x, NULL);
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

static void binary_forward(leat_call *c)
{
    walk_inputs(c, binary_forward_run, &(binary_job){ c, &leat_kernels_get()->binary[c->op - leat_binary_ops] });
}

static void binary_backward(leat_call *c)
{
    walk_inputs(c, binary_backward_run, &(binary_job){ c, &leat_kernels_get()->binary[c->op - leat_binary_ops] });
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

static bool two_samples(leat_case *k, int i, draw_fn *draw)
{
    if (i >= (int)(sizeof binary_shapes / sizeof *binary_shapes))
        return false;
    k->n = 2;
    k->in[0] = draw(k, binary_shapes[i][0], 0);
    k->in[1] = draw(k, binary_shapes[i][1], 1);
    return true;
}

static bool binary_sample(leat_case *k, int i)
{
    static draw_fn *const draws[] = { LEAT_BINARY_LIST(DRAW_ROW) };
    return two_samples(k, i, draws[k->op - leat_binary_ops]);
}

#define BINARY_ROW(name_, draws, value, da, db, reads_)                                                                \
    { .name = #name_,                                                                                                  \
      .inputs = 2,                                                                                                     \
      .flags = LEAT_OP_BROADCAST,                                                                                      \
      .shape = binary_shape,                                                                                           \
      .forward = binary_forward,                                                                                       \
      .backward = binary_backward,                                                                                     \
      .unread = READS_##reads_,                                                                                        \
      .sample = binary_sample },
const leat_op leat_binary_ops[] = { LEAT_BINARY_LIST(BINARY_ROW) };

/* Whether `zeros` holds zeros without storage that do not change the shape of x in a sum with it. */
static bool steps_over(leat_var zeros, leat_var x)
{
    if (!leat_is_zeros(zeros) || x.tape != zeros.tape || !leat_ok(x))
        return false;
    leat_shape shape = leat_var_shape(x), other = leat_var_shape(zeros), sum;
    return leat_shape_broadcast(&shape, &other, &sum) && leat_shape_equal(&shape, &sum);
}

static leat_var binary(int kernel, leat_var a, leat_var b)
{
    bool sum = kernel == LEAT_BINARY_add, difference = kernel == LEAT_BINARY_sub;
    if ((sum || difference) && steps_over(b, a))
        return a;
    if ((sum || difference) && steps_over(a, b))
        return sum ? b : leat_neg(b);
    return leat_apply(&leat_binary_ops[kernel], NULL, 0, 2, (leat_var[]){ a, b }, NULL);
}

#define BINARY(name, ...)                                                                                              \
    leat_var leat_##name(leat_var a, leat_var b)                                                                       \
    {                                                                                                                  \
        return binary(LEAT_BINARY_##name, a, b);                                                                       \
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

static void comparison_forward(leat_call *c)
{
    leat_binary_forward *kernel = leat_kernels_get()->comparison[c->op - leat_comparison_ops];
    walk_inputs(c, comparison_run, &(comparison_job){ c->out[0].data, kernel });
}

/* Some pairs are equal: small whole numbers. */
static bool comparison_sample(leat_case *k, int i)
{
    if (!two_samples(k, i, draw_any))
        return false;
    for (int j = 0; j < 2; j++)
        for (int64_t at = 0; k->in[j].data && at < leat_shape_count(&k->in[j].shape); at++)
            k->in[j].data[at] = (leat_real)rint((double)k->in[j].data[at]);
    return true;
}

#define COMPARISON_ROW(name_, ...)                                                                                     \
    { .name = #name_,                                                                                                  \
      .inputs = 2,                                                                                                     \
      .no_grad = 3,                                                                                                    \
      .shape = binary_shape,                                                                                           \
      .forward = comparison_forward,                                                                                   \
      .sample = comparison_sample },
const leat_op leat_comparison_ops[] = { LEAT_COMPARISON_LIST(COMPARISON_ROW) };

#define COMPARISON(name, ...)                                                                                          \
    leat_var leat_##name(leat_var a, leat_var b)                                                                       \
    {                                                                                                                  \
        return leat_apply(&leat_comparison_ops[LEAT_COMPARISON_##name], NULL, 0, 2, (leat_var[]){ a, b }, NULL);       \
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

LEAT_OP(where, .inputs = 3, .flags = LEAT_OP_BROADCAST, .no_grad = 1, .unread = LEAT_UNREAD_ALL & ~1U);

leat_var leat_where(leat_var cond, leat_var a, leat_var b)
{
    return leat_apply(&leat_op_where, NULL, 0, 3, (leat_var[]){ cond, a, b }, NULL);
}
