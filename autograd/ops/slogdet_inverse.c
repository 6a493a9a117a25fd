/*
 * slogdet and inverse of square matrices, in double, with the gradients of Giles, "An extended collection of matrix
 * derivative results for forward and reverse mode algorithmic differentiation" (2008), 2.2.3 and 2.2.4.
 */
#include "lu_factor.h"
#include "../../tensor/kernels/elementary.h"

#include <string.h>

/* What one matrix needs: itself and two more of its size, and the order of its rows. */
static int64_t room_for(int64_t n)
{
    return 3 * n * n + n;
}

static int64_t size_of(const leat_call *c)
{
    return leat_extent_at(&c->in[0].shape, -1).size;
}

static int64_t matrices(const leat_call *c)
{
    int64_t count = 1;
    for (int i = 0; i < c->in[0].shape.rank - 2; i++)
        count *= c->in[0].shape.size[i];
    return count;
}

static void each_matrix(leat_call *c, double cost, leat_each_fn *fn)
{
    int64_t n = size_of(c);
    leat_call_each(c, matrices(c), cost * (double)n * (double)n * (double)n, room_for(n), fn, c);
}

static leat_code check_square(leat_call *c)
{
    const leat_shape *a = &c->in[0].shape;
    if (a->rank < 2 || a->size[a->rank - 1] != a->size[a->rank - 2])
        return leat_call_fail(c, LEAT_ESHAPE, "it is no square matrix");
    return LEAT_OK;
}

static void to_double(const leat_real *x, int64_t count, double *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = (double)x[i];
}

static bool square_sample(leat_case *k, int i)
{
    static const leat_shape shapes[] = {
        { 2, { 1, 1 } },       { 2, { 2, 2 } }, { 2, { 5, 5 } },    { 3, { 3, 3, 3 } }, { 3, { 2, 4, 4 } },
        { 4, { 2, 1, 2, 2 } }, { 2, { 9, 9 } }, { 3, { 0, 2, 2 } }, { 2, { 0, 0 } },    { 5, { 1, 2, 1, 3, 3 } },
    };
    if (i >= (int)(sizeof shapes / sizeof *shapes))
        return false;
    int64_t n = shapes[i].size[shapes[i].rank - 1];
    k->n = 1;
    k->in[0] = leat_case_away(k, shapes[i], 0.1, 1, false);
    for (int64_t j = 0; k->in[0].data && n && j < leat_shape_count(&shapes[i]); j++)
        if (j % n == (j / n + 1) % n) /* large, off the diagonal, so that rows must be exchanged */
            k->in[0].data[j] += (leat_real)(k->in[0].data[j] < 0 ? -n : n);
    return true;
}

/* ---- slogdet ----------------------------------------------------------------------------------------------------- */

static leat_code slogdet_shape(leat_call *c)
{
    leat_code code = check_square(c);
    c->out[0].shape = c->in[0].shape;
    c->out[0].shape.rank -= 2;
    c->out[1].shape = c->out[0].shape;
    return code;
}

static void slogdet_one(void *arg, int64_t which, double *scratch)
{
    const leat_call *c = arg;
    int64_t n = size_of(c);
    to_double(c->in[0].data + which * n * n, n * n, scratch);
    double log_det = 0, sign = leat_lu(scratch, n, (int64_t *)(scratch + n * n));
    for (int64_t i = 0; i < n; i++) {
        double pivot = scratch[i * n + i];
        log_det += leat_log64(pivot < 0 ? -pivot : pivot);
        sign *= pivot > 0 ? 1 : pivot < 0 ? -1 : pivot; /* 0 and NaN are their own */
    }
    c->out[0].data[which] = (leat_real)log_det;
    c->out[1].data[which] = (leat_real)sign;
}

static void slogdet_forward(leat_call *c)
{
    each_matrix(c, 0.34, slogdet_one);
}

/* dA = g A^-T */
static void slogdet_backward_one(void *arg, int64_t which, double *scratch)
{
    const leat_call *c = arg;
    int64_t n = size_of(c), *order = (int64_t *)(scratch + 2 * n * n);
    double *inverse = scratch + n * n, g = (double)c->dout[0].data[which];
    leat_real *da = c->din[0].data + which * n * n;
    to_double(c->in[0].data + which * n * n, n * n, scratch);
    leat_lu(scratch, n, order);
    leat_lu_inverse(scratch, order, n, inverse);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            da[i * n + j] = (leat_real)(g * inverse[j * n + i]);
}

static void slogdet_backward(leat_call *c)
{
    each_matrix(c, 1.34, slogdet_backward_one);
}

LEAT_OP_OF(slogdet, slogdet_shape, square_sample, .inputs = 1, .outputs = 2, .unread = LEAT_UNREAD_OUTPUTS);

leat_var leat_slogdet(leat_var a, leat_var *sign)
{
    leat_var out[2];
    leat_apply(&leat_op_slogdet, NULL, 0, 1, &a, out);
    if (sign)
        *sign = leat_detach(out[1]);
    return out[0];
}

/* ---- inverse ----------------------------------------------------------------------------------------------------- */

static leat_code inverse_shape(leat_call *c)
{
    c->out[0].shape = c->in[0].shape;
    return check_square(c);
}

static void inverse_one(void *arg, int64_t which, double *scratch)
{
    const leat_call *c = arg;
    int64_t n = size_of(c), *order = (int64_t *)(scratch + 2 * n * n);
    double *inverse = scratch + n * n;
    to_double(c->in[0].data + which * n * n, n * n, scratch);
    leat_lu(scratch, n, order);
    leat_lu_inverse(scratch, order, n, inverse);
    for (int64_t i = 0; i < n * n; i++)
        c->out[0].data[which * n * n + i] = (leat_real)inverse[i];
}

static void inverse_forward(leat_call *c)
{
    each_matrix(c, 1.34, inverse_one);
}

/* out [n, n] = -a b */
static void minus_product(const double *a, const double *b, int64_t n, double *out)
{
    memset(out, 0, (size_t)(n * n) * sizeof *out);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++)
            leat_kernels_get()->subtract_scaled(out + i * n, a[i * n + k], b + k * n, n);
}

/* dA = -Y^T G Y^T for Y = A^-1 */
static void inverse_backward_one(void *arg, int64_t which, double *scratch)
{
    const leat_call *c = arg;
    int64_t n = size_of(c);
    double *y = scratch, *g = scratch + n * n, *product = scratch + 2 * n * n;
    const leat_real *inverse = c->out[0].data + which * n * n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            y[i * n + j] = (double)inverse[j * n + i];
    to_double(c->dout[0].data + which * n * n, n * n, g);
    minus_product(g, y, n, product);
    minus_product(y, product, n, g);
    for (int64_t i = 0; i < n * n; i++)
        c->din[0].data[which * n * n + i] = (leat_real)-g[i];
}

static void inverse_backward(leat_call *c)
{
    each_matrix(c, 2, inverse_backward_one);
}

LEAT_OP_OF(inverse, inverse_shape, square_sample, .inputs = 1, .unread = LEAT_UNREAD_INPUTS);

leat_var leat_inverse(leat_var a)
{
    return leat_apply(&leat_op_inverse, NULL, 0, 1, &a, NULL);
}
