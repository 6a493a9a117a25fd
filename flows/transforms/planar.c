/* Planar flow (Rezende & Mohamed 2015): along w.x it is a scalar map, whose inverse is searched for. */
#include "../flow_impl.h"

#include <math.h>

/* a + (m - 1) tanh(a + bias); its derivative 1 + (m - 1) (1 - tanh^2) = m + (1 - m) tanh^2. theta: m, bias. */
static leat_pair bend_forward(const leat_elementwise *self, leat_var a, const leat_var *theta)
{
    (void)self;
    leat_var m = theta[0], h = leat_tanh(leat_add(a, theta[1])), square = leat_square(h);
    leat_var slope = leat_add(m, leat_mul(leat_rsub_scalar(1, m), square));
    leat_var y = leat_add(a, leat_mul(leat_sub_scalar(m, 1), h));
    return (leat_pair){ y, leat_log(slope) };
}

static const leat_elementwise bend = { .name = "a planar flow", .forward = bend_forward };

typedef struct planar {
    leat_sized_transform sized;
    leat_param *w, *u, *bias;
} planar;

static leat_pair planar_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const planar *p = (const planar *)t;
    if (!leat_check_features(x, p->sized.dim, "a planar flow"))
        return leat_failed_pair(x);
    leat_var w = leat_use(x.tape, p->w), u = leat_use(x.tape, p->u), b = leat_use(x.tape, p->bias);
    leat_var product = leat_sum(leat_mul(w, u)), m = leat_softplus(product);
    leat_var square = leat_clamp(leat_sum(leat_square(w)), 0x1p-126, (double)INFINITY);
    leat_var v = leat_add(u, leat_mul(w, leat_div(leat_sub_scalar(leat_sub(m, product), 1), square)));
    leat_var theta[LEAT_MAX_GROUPS] = { m, b }, a = leat_matmul(x, leat_reshape(w, LEAT_SHAPE(p->sized.dim, 1)));
    leat_pair bent = inverse ? leat_elementwise_inverse(&bend, a, theta) : bend_forward(&bend, a, theta);
    leat_var step = leat_mul(leat_tanh(leat_add(inverse ? bent.y : a, b)), v);
    return (leat_pair){ inverse ? leat_sub(x, step) : leat_add(x, step), leat_sum_features(bent.logdet) };
}

static leat_module *planar_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v);
    return dim > 0 ? (leat_module *)leat_planar(r->model, dim) : NULL;
}

const leat_transform_type leat_planar_type = {
    .module = { .name = "planar", .write = leat_sized_write, .read = planar_read },
    .run = planar_run,
};

leat_transform *leat_planar(leat_model *m, int64_t dim)
{
    planar *p = leat_module_new(m, &leat_planar_type.module, sizeof *p);
    if (!leat_check_dim(p, m, dim, "a planar flow"))
        return NULL;
    leat_init unit = leat_init_normal(0, 1 / sqrt((double)dim));
    p->sized.dim = dim;
    p->w = leat_param_new(&p->sized.transform.module, "w", LEAT_SHAPE(dim), unit);
    p->u = leat_param_new(&p->sized.transform.module, "u", LEAT_SHAPE(dim), unit);
    p->bias = leat_param_new(&p->sized.transform.module, "bias", LEAT_SHAPE(1), leat_init_zeros());
    return &p->sized.transform;
}
