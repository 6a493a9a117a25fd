/* The autoregressive transform: MADE x elementwise bijector, as a coupling is mask x conditioner x bijector. */
#include "../flow_impl.h"

#include <stdio.h>

typedef struct autoregressive {
    leat_transform transform;
    const leat_elementwise *e;
    leat_module *made;
    int64_t features;
} autoregressive;

/* x_j from y_j; the log-determinant is carried along. */
static leat_var invert_feature(void *user, leat_var y, leat_var columns, leat_var *logdet)
{
    const leat_elementwise *e = user;
    leat_var theta[LEAT_MAX_GROUPS];
    if (!leat_elementwise_theta(e, columns, 1, theta))
        return (leat_var){ .tape = y.tape };
    leat_pair x = leat_elementwise_run(e, y, theta, true);
    *logdet = leat_add(*logdet, x.logdet);
    return x.y;
}

static leat_pair autoregressive_inverse(leat_transform *t, leat_var y, const leat_flow_call *call)
{
    const autoregressive *a = (const autoregressive *)t;
    if (!leat_check_features(y, a->features, "an autoregressive transform"))
        return leat_failed_pair(y);
    leat_shape shape = leat_var_shape(y);
    shape.size[shape.rank - 1] = 1;
    leat_var logdet = leat_zeros(y.tape, LEAT_SHAPE(leat_shape_count(&shape)));
    leat_var x =
        leat_made_ancestral(a->made, y, leat_context_at(call->context, y), invert_feature, (void *)a->e, &logdet);
    return (leat_pair){ x, shape.rank == 2 ? logdet : leat_sum_features(leat_reshape(logdet, shape)) };
}

static leat_pair autoregressive_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    const autoregressive *a = (const autoregressive *)t;
    leat_var theta[LEAT_MAX_GROUPS];
    if (!leat_check_features(x, a->features, "an autoregressive transform") ||
        !leat_elementwise_theta(a->e, leat_forward_with(a->made, x, leat_context_at(call->context, x)), a->features,
                                theta))
        return leat_failed_pair(x);
    return leat_elementwise_run(a->e, x, theta, false);
}

static leat_inverse_kind autoregressive_inverse_kind(const leat_transform *t)
{
    return ((const autoregressive *)t)->e->inverse ? LEAT_INVERSE_CLOSED : LEAT_INVERSE_UNKNOWN;
}

static void autoregressive_describe(const leat_module *m, char *text, size_t size)
{
    const autoregressive *a = (const autoregressive *)m;
    snprintf(text, size, "%s, %lld features", a->e->name, (long long)a->features);
}

static void autoregressive_write(const leat_module *m, leat_part_writer *w)
{
    const autoregressive *a = (const autoregressive *)m;
    leat_elementwise_write(w, m, a->e);
    leat_part_put_module(w, "made", a->made);
}

static leat_module *autoregressive_read(leat_part_reader *r, const leat_json *v)
{
    const leat_elementwise *e = leat_elementwise_read(r, v);
    leat_module *made = e ? leat_part_module(r, v, "made") : NULL;
    return made ? (leat_module *)leat_autoregressive(r->model, made, e) : NULL;
}

const leat_transform_type leat_autoregressive_type = {
    .module = { .name = "autoregressive",
                .describe = autoregressive_describe,
                .write = autoregressive_write,
                .read = autoregressive_read },
    .forward = autoregressive_forward,
    .inverse = autoregressive_inverse,
    .inverse_kind = autoregressive_inverse_kind,
};

static bool same_groups(const leat_elementwise *e, const leat_made_opts *o)
{
    for (int g = 0; g < LEAT_MAX_GROUPS; g++) {
        if (o->widths[g] != (e->theta[g].name ? e->theta[g].width : 0))
            return false;
        if (!e->theta[g].name)
            break;
    }
    return true;
}

leat_transform *leat_autoregressive(leat_model *m, leat_module *made, const leat_elementwise *e)
{
    autoregressive *a = leat_module_new(m, &leat_autoregressive_type.module, sizeof *a);
    if (!a)
        return NULL;
    const leat_made_opts *o = leat_made_options(made);
    leat_attach(&a->transform.module, made, "made");
    if (!o || !same_groups(e, o)) {
        leat_model_fail(m, LEAT_EARG, "autoregressive: %s asks for a MADE with groups of its widths", e->name);
        return NULL;
    }
    a->e = e;
    a->made = made;
    a->features = o->features;
    return &a->transform;
}
