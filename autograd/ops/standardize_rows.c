/* standardize_rows: each row, along the last axis, to mean 0 and variance 1. A row stays in the cache for all its
 * passes. */
#include "ops.h"

#include <math.h>

typedef struct row_job {
    leat_call *c;
    leat_real *scratch; /* as large as x */
} row_job;

/* y = (x - mean) / s for one row; returns s = sqrt(variance + eps). `squares` is scratch. */
static double standardize_row(const leat_call *c, const leat_real *x, leat_real *y, leat_real *squares, int64_t n)
{
    const leat_kernels *k = leat_kernels_get();
    leat_real mean = (leat_real)(k->sum(x, n) / (double)n);
    k->binary[LEAT_BINARY_sub].forward(x, 1, &mean, 0, y, n);
    k->binary[LEAT_BINARY_mul].forward(y, 1, y, 1, squares, n);
    double s = sqrt(k->sum(squares, n) / (double)n + *(const double *)c->attributes);
    k->unary[LEAT_UNARY_mul_scalar].forward(y, y, n, (leat_constants){ (leat_real)(1 / s), 0 });
    return s;
}

static void forward_rows(void *arg, int64_t begin, int64_t end)
{
    const row_job *j = arg;
    int64_t n = leat_extent_at(&j->c->in[0].shape, -1).size;
    for (int64_t at = begin * n; at < end * n; at += n)
        standardize_row(j->c, j->c->in[0].data + at, j->c->out[0].data + at, j->scratch + at, n);
}

/* dx = (g - sum(g) / n - y sum(g y) / n) / s */
static void backward_rows(void *arg, int64_t begin, int64_t end)
{
    const row_job *j = arg;
    const leat_kernels *k = leat_kernels_get();
    int64_t n = leat_extent_at(&j->c->in[0].shape, -1).size;
    for (int64_t at = begin * n; at < end * n; at += n) {
        const leat_real *g = j->c->dout[0].data + at;
        leat_real *dx = j->c->din[0].data + at, *y = j->scratch + at;
        double s = standardize_row(j->c, j->c->in[0].data + at, y, dx, n);
        k->binary[LEAT_BINARY_mul].forward(g, 1, y, 1, dx, n);
        leat_constants factor = { (leat_real)(-k->sum(dx, n) / (double)n), 0 };
        leat_constants shift = { (leat_real)(-k->sum(g, n) / (double)n), 0 };
        k->unary[LEAT_UNARY_mul_scalar].forward(y, y, n, factor);
        k->binary[LEAT_BINARY_add].forward(g, 1, y, 1, dx, n);
        k->unary[LEAT_UNARY_add_scalar].forward(dx, dx, n, shift);
        k->unary[LEAT_UNARY_mul_scalar].forward(dx, dx, n, (leat_constants){ (leat_real)(1 / s), 0 });
    }
}

static leat_code standardize_rows_shape(leat_call *c)
{
    c->out[0].shape = c->in[0].shape;
    return c->in[0].shape.rank ? LEAT_OK : leat_call_fail(c, LEAT_ESHAPE, "the input has no feature axis");
}

static void run_rows(leat_call *c, leat_range_fn *fn)
{
    leat_extent x = leat_extent_at(&c->in[0].shape, -1);
    row_job j = { c, leat_call_scratch(c, (size_t)(x.outer * x.size) * sizeof(leat_real)) };
    if (j.scratch && x.size)
        leat_call_rows(c, x.outer, x.size, fn, &j);
}

static void standardize_rows_forward(leat_call *c)
{
    run_rows(c, forward_rows);
}

static void standardize_rows_backward(leat_call *c)
{
    run_rows(c, backward_rows);
}

static bool standardize_rows_sample(leat_case *k, int i)
{
    static const double eps[] = { 0.1, 1e-5, 2 };
    static const leat_shape shapes[] = { { 2, { 5, 3 } },  { 1, { 17 } },   { 3, { 2, 3, 4 } },
                                         { 2, { 1, 71 } }, { 2, { 0, 3 } }, { 2, { 3, 0 } } };
    k->n = 1;
    k->attributes = &eps[i % 3];
    k->attributes_size = sizeof *eps;
    if (i < 6)
        k->in[0] = leat_case_normal(k, shapes[i]);
    return i < 6;
}

LEAT_OP(standardize_rows, .inputs = 1, .unread = LEAT_UNREAD_OUTPUTS);

leat_var leat_standardize_rows(leat_var x, double eps)
{
    return leat_apply(&leat_op_standardize_rows, &eps, sizeof eps, 1, &x, NULL);
}
