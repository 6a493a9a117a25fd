/*
 * A learned linear map, y = W x + bias with W = P L (U + diag(exp d)): L has ones on its diagonal, U is strictly upper,
 * P is a fixed permutation. Of such a W the determinant is known, and the inverse is two triangular solves (Kingma &
 * Dhariwal 2018, section 3.2). Rows are samples, so what multiplies them from the right is W's transpose.
 */
#include "../flow_impl.h"
#include "../../nn/module_json.h"

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

static leat_var log_det(const lu *l, leat_var x)
{
    return leat_broadcast_to(leat_sum(leat_use(x.tape, l->log_diagonal)), LEAT_SHAPE(leat_var_size(x, 0)));
}

static leat_pair lu_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    lu *l = (lu *)t;
    if (!leat_check_features(x, l->dim, "an LU linear map"))
        return (leat_pair){ { .tape = x.tape }, { .tape = x.tape } };
    leat_var h = leat_matmul_t(x, upper_of(l, x.tape), false, true);
    h = leat_add(h, leat_matmul_t(h, lower_of(l, x.tape), false, true));
    h = leat_transform_forward(l->permutation, h, call).y;
    return (leat_pair){ leat_add(h, leat_use(x.tape, l->bias)), log_det(l, x) };
}

static leat_pair lu_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    lu *l = (lu *)t;
    if (!leat_check_features(z, l->dim, "an LU linear map"))
        return (leat_pair){ { .tape = z.tape }, { .tape = z.tape } };
    leat_var h = leat_sub(z, leat_use(z.tape, l->bias));
    h = leat_transpose(leat_transform_inverse(l->permutation, h, call).y, 0, 1);
    h = leat_solve_triangular(lower_of(l, z.tape), h, false, false, true);
    h = leat_solve_triangular(upper_of(l, z.tape), h, true, false, false);
    return (leat_pair){ leat_transpose(h, 0, 1), leat_neg(log_det(l, z)) };
}

static void lu_visit(leat_module *m, leat_visitor *v)
{
    lu *l = (lu *)m;
    leat_visit_param(v, m, l->lower);
    leat_visit_param(v, m, l->upper);
    leat_visit_param(v, m, l->log_diagonal);
    leat_visit_param(v, m, l->bias);
    leat_visit(v, l->permutation ? &l->permutation->module : NULL);
}

static const leat_transform_type lu_type = {
    .module = { .name = "lu linear", .visit = lu_visit, .write = leat_part_write_nothing },
    .forward = lu_forward,
    .inverse = lu_inverse,
    .inverse_kind = leat_inverse_closed,
};

leat_transform *leat_lu_linear(leat_model *m, int64_t dim)
{
    lu *l = leat_module_new(m, &lu_type.module, sizeof *l);
    if (!l)
        return NULL;
    if (dim < 1) {
        leat_model_fail(m, LEAT_EARG, "an LU linear map of %lld features", (long long)dim);
        return NULL;
    }
    l->dim = dim;
    l->lower = leat_param_new(&l->transform.module, "lower", LEAT_SHAPE(dim, dim), leat_init_zeros());
    l->upper = leat_param_new(&l->transform.module, "upper", LEAT_SHAPE(dim, dim), leat_init_zeros());
    l->log_diagonal = leat_param_new(&l->transform.module, "log_diagonal", LEAT_SHAPE(dim), leat_init_zeros());
    l->bias = leat_param_new(&l->transform.module, "bias", LEAT_SHAPE(dim), leat_init_zeros());
    l->permutation = leat_permutation(m, dim, NULL);
    leat_attach(&l->transform.module, l->permutation ? &l->permutation->module : NULL, "permutation");
    return l->lower && l->upper && l->log_diagonal && l->bias && l->permutation ? &l->transform : NULL;
}
