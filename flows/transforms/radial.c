/* Radial flow (Rezende & Mohamed 2015). With s = alpha + beta > 0, distances grow by (s + r) / (alpha + r), and all terms
 * of the logarithms are positive. */
#include "../flow_impl.h"

#include <math.h>

typedef struct radial {
    leat_sized_transform sized;
    leat_param *center, *log_alpha, *raw_beta;
} radial;

/* The root r > 0 of r (s + r) / (alpha + r) = far, that is of r^2 + b r - alpha far = 0 with b = s - far. */
static leat_var root(leat_var far, leat_var alpha, leat_var s)
{
    leat_var b = leat_sub(s, far), positive = leat_gt(b, leat_zeros_like(b)), product = leat_mul(alpha, far);
    leat_var half = leat_mul_scalar(leat_where(positive, b, leat_neg(b)), 0.5);
    leat_var larger = leat_add(half, leat_sqrt(leat_add(leat_square(half), product)));
    return leat_where(positive, leat_div(product, larger), larger);
}

static leat_pair radial_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const radial *p = (const radial *)t;
    if (!leat_check_features(x, p->sized.dim, "a radial flow"))
        return leat_failed_pair(x);
    leat_var c = leat_use(x.tape, p->center), alpha = leat_exp(leat_use(x.tape, p->log_alpha));
    leat_var s = leat_softplus(leat_use(x.tape, p->raw_beta)), from = leat_sub(x, c);
    leat_var squares = leat_sum_axes(leat_square(from), 1, (int[]){ -1 }, true);
    leat_var r = leat_sqrt(leat_clamp(squares, 0x1p-126, (double)INFINITY)); /* of the centre no gradient is NaN */
    if (inverse)
        r = root(r, alpha, s);
    leat_var below = leat_add(alpha, r), above = leat_add(s, r), log_below = leat_log(below);
    leat_var y = leat_add(c, leat_mul(from, inverse ? leat_div(below, above) : leat_div(above, below)));
    leat_var across = leat_mul_scalar(leat_sub(leat_log(above), log_below), (double)(p->sized.dim - 1));
    leat_var rest = leat_mul(r, leat_add(alpha, below)), steep = leat_mul(alpha, s); /* below^2 + alpha beta */
    steep = leat_add(steep, rest);
    leat_var along = leat_sub(leat_log(steep), leat_mul_scalar(log_below, 2));
    leat_var logdet = leat_sum_features(leat_add(across, along));
    return (leat_pair){ y, inverse ? leat_neg(logdet) : logdet };
}

static leat_module *radial_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v);
    return dim > 0 ? (leat_module *)leat_radial(r->model, dim) : NULL;
}

const leat_transform_type leat_radial_type = {
    .module = { .name = "radial", .write = leat_sized_write, .read = radial_read },
    .run = radial_run,
    .inverse_kind = leat_inverse_closed,
};

leat_transform *leat_radial(leat_model *m, int64_t dim)
{
    radial *p = leat_module_new(m, &leat_radial_type.module, sizeof *p);
    if (!leat_check_dim(p, m, dim, "a radial flow"))
        return NULL;
    p->sized.dim = dim;
    p->center = leat_param_new(&p->sized.transform.module, "center", LEAT_SHAPE(dim), leat_init_normal(0, 1));
    p->log_alpha = leat_param_new(&p->sized.transform.module, "log_alpha", LEAT_SHAPE(1), leat_init_zeros());
    /* softplus of log(e - 1) is 1 */
    p->raw_beta =
        leat_param_new(&p->sized.transform.module, "raw_beta", LEAT_SHAPE(1), leat_init_constant(0.541324854612918));
    return &p->sized.transform;
}
