/*
 * Householder reflections, all of them at once: with the v_k, at unit length, as the rows of V,
 *
 *     H_1 .. H_K = I - V^T T V,     T^-1 = I / 2 + the part of V V^T above the diagonal
 *
 * (Joffrain et al., "Accumulating Householder transformations, revisited", 2006), and its transpose is H_K .. H_1.
 */
#include "../flow_impl.h"

#include <math.h>

typedef struct householder {
    leat_sized_transform sized; /* by its reflections */
    leat_param *vectors;
} householder;

static leat_pair householder_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const householder *h = (const householder *)t;
    if (!leat_check_features(x, h->sized.dim, "a Householder map"))
        return leat_failed_pair(x);
    leat_var v = leat_use(x.tape, h->vectors), rows = leat_reshape(x, LEAT_SHAPE(-1, h->sized.dim));
    leat_var squares = leat_sum_axes(leat_square(v), 1, (int[]){ -1 }, true);
    v = leat_mul(v, leat_rsqrt(leat_clamp(squares, 0x1p-126, (double)INFINITY)));
    leat_var twice = leat_mul_scalar(v, 2), products = leat_matmul_t(twice, v, false, true);
    leat_var along = leat_matmul_t(twice, rows, false, true);
    along = leat_solve_triangular(products, along, true, !inverse, true);
    leat_var y = leat_sub(rows, leat_matmul_t(along, v, true, false));
    return (leat_pair){ .y = leat_reshape(y, leat_var_shape(x)) };
}

static leat_module *householder_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v), reflections = leat_part_size(r, v, "reflections", 1);
    return dim > 0 && reflections > 0 ? (leat_module *)leat_householder(r->model, dim, reflections) : NULL;
}

const leat_transform_type leat_householder_type = {
    .module = { .name = "householder", .write = leat_sized_write, .read = householder_read },
    .run = householder_run,
    .inverse_kind = leat_inverse_closed,
};

leat_transform *leat_householder(leat_model *m, int64_t dim, int64_t reflections)
{
    householder *h = leat_module_new(m, &leat_householder_type.module, sizeof *h);
    if (!leat_check_dim(h, m, dim, "a Householder map"))
        return NULL;
    if (reflections < 0) {
        leat_model_fail(m, LEAT_EARG, "%lld Householder reflections", (long long)reflections);
        return NULL;
    }
    h->sized.dim = dim;
    h->sized.size = reflections ? reflections : dim;
    h->sized.size_name = "reflections";
    h->vectors =
        leat_param_new(&h->sized.transform.module, "vectors", LEAT_SHAPE(h->sized.size, dim), leat_init_normal(0, 1));
    return &h->sized.transform;
}
