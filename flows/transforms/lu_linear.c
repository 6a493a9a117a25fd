/*
 * A learned linear map, y = W x + bias with W = P L (U + diag(exp d)): L has ones on its diagonal, U is strictly upper,
 * P is a fixed permutation. Of such a W the determinant is known, and the inverse is two triangular solves (Kingma &
 * Dhariwal 2018, section 3.2). Rows are samples, so what multiplies them from the right is W's transpose.
 */
#include "../flow_impl.h"

typedef struct lu {
    leat_transform transform;
    leat_param *lower, *upper, *log_diagonal, *bias;
    leat_transform *permutation;
    int64_t dim;
} lu;

/* U + diag(exp d) */
static leat_var upper_of(const lu *l, leat_tape *t)
{
    leat_var diagonal = leat_exp(leat_use(t, l->log_diagonal));
    leat_real *ones = leat_tape_alloc(t, (size_t)(l->dim * l->dim) * sizeof *ones);
    if (!ones)
        return (leat_var){ .tape = t };
    for (int64_t i = 0; i < l->dim * l->dim; i++)
        ones[i] = i % (l->dim + 1) == 0;
    leat_var identity = leat_borrow(t, (leat_tensor){ ones, LEAT_SHAPE(l->dim, l->dim) });
    return leat_add(leat_triu(leat_use(t, l->upper), 1), leat_mul(identity, diagonal));
}

/* L without its ones, which are added by hand: x L^T = x + x (L - I)^T */
static leat_var lower_of(const lu *l, leat_tape *t)
{
    return leat_tril(leat_use(t, l->lower), -1);
}

/* The x of W x = h, for all positions of all rows at once. */
static leat_var solve(const lu *l, leat_var h)
{
    leat_shape shape = leat_var_shape(h);
    h = leat_transpose(shape.rank == 2 ? h : leat_reshape(h, LEAT_SHAPE(-1, l->dim)), 0, 1);
    h = leat_solve_triangular(lower_of(l, h.tape), h, false, false, true);
    h = leat_transpose(leat_solve_triangular(upper_of(l, h.tape), h, true, false, false), 0, 1);
    return shape.rank == 2 ? h : leat_reshape(h, shape);
}

static leat_pair lu_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    lu *l = (lu *)t;
    if (!leat_check_features(x, l->dim, "an LU linear map"))
        return leat_failed_pair(x);
    leat_var h = x, bias = leat_use(x.tape, l->bias);
    if (inverse) {
        h = solve(l, leat_transform_inverse(l->permutation, leat_sub(x, bias), call).y);
    } else {
        h = leat_matmul_t(x, upper_of(l, x.tape), false, true);
        h = leat_add(h, leat_matmul_t(h, lower_of(l, x.tape), false, true));
        h = leat_add(leat_transform_forward(l->permutation, h, call).y, bias);
    }
    return (leat_pair){ h, leat_logdet_of_features(leat_sum(leat_use(x.tape, l->log_diagonal)), x, inverse) };
}

static void lu_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_int(w, "dim", ((const lu *)m)->dim);
}

static leat_module *lu_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v);
    return dim > 0 && leat_read_tensor(r, "bias", dim) ? (leat_module *)leat_lu_linear(r->model, dim) : NULL;
}

const leat_transform_type leat_lu_linear_type = {
    .module = { .name = "lu_linear", .write = lu_write, .read = lu_read },
    .run = lu_run,
    .inverse_kind = leat_inverse_closed,
};

leat_transform *leat_lu_linear(leat_model *m, int64_t dim)
{
    lu *l = leat_module_new(m, &leat_lu_linear_type.module, sizeof *l);
    if (!leat_check_dim(l, m, dim, "an LU linear map"))
        return NULL;
    l->dim = dim;
    l->lower = leat_param_new(&l->transform.module, "lower", LEAT_SHAPE(dim, dim), leat_init_zeros());
    l->upper = leat_param_new(&l->transform.module, "upper", LEAT_SHAPE(dim, dim), leat_init_zeros());
    l->log_diagonal = leat_param_new(&l->transform.module, "log_diagonal", LEAT_SHAPE(dim), leat_init_zeros());
    l->bias = leat_param_new(&l->transform.module, "bias", LEAT_SHAPE(dim), leat_init_zeros());
    l->permutation = leat_permutation(m, dim, NULL);
    leat_attach(&l->transform.module, l->permutation ? &l->permutation->module : NULL, "permutation");
    return l->lower && l->upper && l->log_diagonal && l->bias && l->permutation ? &l->transform : NULL;
}
