/*
 * solve_triangular: forward or back substitution in double, by blocks of columns of B, which are independent. The
 * gradients are those of Giles (2008), 2.3.1: dB = A^-T G, dA = -dB X^T, of which the triangle that was read is kept.
 */
#include "lu_factor.h"

enum { COLUMNS = 128 }; /* of B at a time */

typedef struct solve_attributes {
    bool upper, transpose, unit;
} solve_attributes;

/* op(A) X = B for one matrix after the other; op transposes or not. */
typedef struct solve_job {
    const leat_real *a, *b;
    leat_real *x;
    int64_t n, k, blocks;
    bool transpose;
    const solve_attributes *s;
} solve_job;

static leat_code solve_shape(leat_call *c)
{
    const leat_shape *a = &c->in[0].shape, *b = &c->in[1].shape;
    if (a->rank < 2 || a->size[a->rank - 1] != a->size[a->rank - 2])
        return leat_call_fail(c, LEAT_ESHAPE, "the first is no square matrix");
    leat_shape want = *b;
    if (b->rank == a->rank)
        want.size[b->rank - 1] = a->size[b->rank - 1];
    if (!leat_shape_equal(&want, a))
        return leat_call_fail(c, LEAT_ESHAPE, "the sizes differ elsewhere than on the last axis");
    c->out[0].shape = *b;
    return LEAT_OK;
}

/* A in double, then the block, are in the scratch. */
static void solve_block(void *arg, int64_t i, double *scratch)
{
    const solve_job *j = arg;
    int64_t n = j->n, matrix = i / j->blocks, first = i % j->blocks * COLUMNS;
    int64_t width = j->k - first < COLUMNS ? j->k - first : COLUMNS;
    const leat_real *b = j->b + matrix * n * j->k + first;
    leat_real *x = j->x + matrix * n * j->k + first;
    double *block = scratch + n * n;
    for (int64_t p = 0; p < n * n; p++)
        scratch[p] = (double)j->a[matrix * n * n + p];
    for (int64_t row = 0; row < n; row++)
        for (int64_t p = 0; p < width; p++)
            block[row * width + p] = (double)b[row * j->k + p];
    leat_triangle t = { scratch, j->transpose ? 1 : n, j->transpose ? n : 1, j->s->upper == j->transpose, j->s->unit };
    leat_triangle_solve(&t, n, block, width, width);
    for (int64_t row = 0; row < n; row++)
        for (int64_t p = 0; p < width; p++)
            x[row * j->k + p] = (leat_real)block[row * width + p];
}

static bool solve(leat_call *c, bool transpose, const leat_real *b, leat_real *x)
{
    leat_extent e = leat_extent_at(&c->in[1].shape, -1);
    int64_t n = leat_extent_at(&c->in[0].shape, -1).size, blocks = (e.size + COLUMNS - 1) / COLUMNS;
    solve_job j = { c->in[0].data, b, x, n, e.size, blocks, transpose, c->attributes };
    int64_t width = e.size < COLUMNS ? e.size : COLUMNS;
    double cost = 0.5 * (double)n * (double)n * (double)width;
    return leat_call_each(c, n ? e.outer / n * blocks : 0, cost, n * (n + width), solve_block, &j);
}

static void solve_forward(leat_call *c)
{
    const solve_attributes *s = c->attributes;
    solve(c, s->transpose, c->in[1].data, c->out[0].data);
}

/* da [count, n, n] = -dB X^T, or for A^T X = B its transpose, where A was read. */
static void gradient_of_a(leat_call *c, const leat_real *db, leat_real *da)
{
    const solve_attributes *s = c->attributes;
    leat_extent e = leat_extent_at(&c->in[1].shape, -1);
    int64_t n = leat_extent_at(&c->in[0].shape, -1).size, count = n ? e.outer / n : 0;
    int64_t *at = leat_call_scratch(c, (size_t)count * sizeof *at);
    const leat_real *x = c->out[0].data;
    leat_gemm_args g = { .trans_b = true,
                         .m = n,
                         .n = n,
                         .k = e.size,
                         .lda = e.size,
                         .ldb = e.size,
                         .ldc = n,
                         .a = s->transpose ? x : db,
                         .b = s->transpose ? db : x,
                         .c = da };
    for (int64_t i = 0; at && i < count; i++)
        at[i] = i * n * e.size;
    if (!at || leat_gemm_batch(leat_tape_pool(c->tape), leat_tape_scratch(c->tape), &g, count, at, at)) {
        leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
        return;
    }
    for (int64_t row = 0; row < count * n; row++) {
        for (int64_t j = 0, i = row % n; j < n; j++) {
            bool read = s->upper ? j > i : j < i;
            da[row * n + j] = read || (i == j && !s->unit) ? -da[row * n + j] : 0;
        }
    }
}

static void solve_backward(leat_call *c)
{
    const solve_attributes *s = c->attributes;
    leat_real *db = c->din[1].data;
    if (!db)
        db = leat_call_scratch(c, (size_t)leat_shape_count(&c->in[1].shape) * sizeof *db);
    if (db && solve(c, !s->transpose, c->dout[0].data, db) && c->din[0].data)
        gradient_of_a(c, db, c->din[0].data);
}

static bool solve_sample(leat_case *k, int i)
{
    static const solve_attributes kinds[] = {
        { false, false, false }, { true, false, false }, { false, true, false }, { true, true, false },
        { false, false, true },  { true, false, true },  { false, true, true },  { true, true, true },
    };
    static const leat_shape shapes[] = {
        { 2, { 3, 2 } }, { 2, { 1, 1 } },    { 2, { 5, 1 } }, { 3, { 2, 4, 3 } },    { 2, { 0, 3 } },
        { 2, { 3, 0 } }, { 3, { 0, 3, 2 } }, { 2, { 2, 7 } }, { 4, { 2, 2, 3, 2 } },
    };
    if (i >= 8 * (int)(sizeof shapes / sizeof *shapes))
        return false;
    leat_shape b = shapes[i / 8], a = b;
    int64_t n = a.size[a.rank - 1] = a.size[a.rank - 2];
    k->n = 2;
    k->in[0] = leat_case_away(k, a, 0.1, 1, false); /* what is not read may be anything */
    k->in[1] = leat_case_normal(k, b);
    for (int64_t j = 0; k->in[0].data && n && j < leat_shape_count(&a); j++)
        if (j % n == j / n % n)
            k->in[0].data[j] += k->in[0].data[j] < 0 ? -1 : 1;
    k->attributes = &kinds[i % 8];
    k->attributes_size = sizeof kinds[0];
    return true;
}

const leat_op leat_op_solve_triangular = {
    .name = "solve_triangular",
    .inputs = 2,
    .shape = solve_shape,
    .forward = solve_forward,
    .backward = solve_backward,
    .unread = 1U << 1,
    .sample = solve_sample,
};

leat_var leat_solve_triangular(leat_var a, leat_var b, bool upper, bool transpose, bool unit)
{
    solve_attributes s = { upper, transpose, unit };
    return leat_apply(&leat_op_solve_triangular, &s, sizeof s, 2, (leat_var[]){ a, b }, NULL);
}
