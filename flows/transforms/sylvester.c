/* Sylvester flow (van den Berg et al. 2018): with Q taken off on both sides its Jacobian is upper triangular. */
#include "../flow_impl.h"

#include <math.h>

typedef struct sylvester {
    leat_sized_transform sized; /* by its reflections */
    leat_transform *orthogonal;
    leat_param *r, *s, *r_diagonal, *s_diagonal, *bias;
} sylvester;

/* y = x + R h, h = tanh(S x + bias); dy_i/dx_i = 1 + R_ii S_ii (1 - h_i^2) = m + (1 - m) h_i^2 with m = 1 + R_ii S_ii. */
static leat_pair triangular(leat_transform *t, leat_var x)
{
    const sylvester *p = (const sylvester *)t;
    leat_var r = leat_triu(leat_use(x.tape, p->r), 1), s = leat_triu(leat_use(x.tape, p->s), 1);
    leat_var r_own = leat_tanh(leat_use(x.tape, p->r_diagonal)), s_own = leat_tanh(leat_use(x.tape, p->s_diagonal));
    leat_var seen = leat_linear(x, s, leat_use(x.tape, p->bias), LEAT_IDENTITY);
    leat_var h = leat_tanh(leat_add(seen, leat_mul(x, s_own))), y = leat_add(x, leat_mul(h, r_own));
    leat_var m = leat_add_scalar(leat_mul(r_own, s_own), 1), rest = leat_mul(leat_rsub_scalar(1, m), leat_square(h));
    y = leat_add(y, leat_matmul_t(h, r, false, true));
    return (leat_pair){ y, leat_log(leat_add(m, rest)) };
}

static leat_pair sylvester_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    const sylvester *p = (const sylvester *)t;
    if (!leat_check_features(x, p->sized.dim, "a Sylvester flow"))
        return leat_failed_pair(x);
    leat_var turned = leat_transform_forward(p->orthogonal, x, call).y;
    leat_pair out = leat_triangular_run(t, triangular, turned, inverse, true);
    return (leat_pair){ leat_transform_inverse(p->orthogonal, out.y, call).y, out.logdet };
}

static leat_module *sylvester_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v), reflections = leat_part_size(r, v, "reflections", 1);
    return dim > 0 && reflections > 0 ? (leat_module *)leat_sylvester(r->model, dim, reflections) : NULL;
}

const leat_transform_type leat_sylvester_type = {
    .module = { .name = "sylvester", .write = leat_sized_write, .read = sylvester_read },
    .run = sylvester_run,
};

leat_transform *leat_sylvester(leat_model *m, int64_t dim, int64_t reflections)
{
    sylvester *p = leat_module_new(m, &leat_sylvester_type.module, sizeof *p);
    if (!leat_check_dim(p, m, dim, "a Sylvester flow"))
        return NULL;
    leat_module *own = &p->sized.transform.module;
    p->sized.dim = dim;
    p->sized.size = reflections ? reflections : dim;
    p->sized.size_name = "reflections";
    p->orthogonal = leat_householder(m, dim, reflections);
    leat_attach(own, p->orthogonal ? &p->orthogonal->module : NULL, "orthogonal");
    p->r = leat_param_new(own, "r", LEAT_SHAPE(dim, dim), leat_init_zeros());
    p->s = leat_param_new(own, "s", LEAT_SHAPE(dim, dim), leat_init_normal(0, 1 / sqrt((double)dim)));
    p->r_diagonal = leat_param_new(own, "r_diagonal", LEAT_SHAPE(dim), leat_init_zeros());
    p->s_diagonal = leat_param_new(own, "s_diagonal", LEAT_SHAPE(dim), leat_init_normal(0, 1));
    p->bias = leat_param_new(own, "bias", LEAT_SHAPE(dim), leat_init_zeros());
    return p->orthogonal ? &p->sized.transform : NULL;
}
