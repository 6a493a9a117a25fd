/* Gaussianization flows (Meng et al. 2020): features made normal one by one, then mixed by a learned orthogonal map. */
#include "../flow_impl.h"

/* Nearly a standard normal, as a mixture: means from -2.5 to 2.5, weighted by a normal of the variance that those of the
 * mixture, exp(-1), lack. Feature by feature, in groups. */
static double *start(leat_model *m, int64_t dim, int64_t components)
{
    int64_t n = dim * components;
    double *values = leat_arena_alloc(leat_model_arena(m), 3 * (size_t)n * sizeof *values);
    for (int64_t i = 0; values && i < n; i++) {
        double mean = components > 1 ? 5 * (double)(i % components) / (double)(components - 1) - 2.5 : 0;
        values[i] = -mean * mean / (2 * (1 - 0.36787944117144233));
        values[n + i] = mean;
        values[2 * n + i] = components > 1 ? -0.5 : 0;
    }
    return values;
}

leat_flow *leat_gaussianization_new(leat_model *m, const leat_gaussianization_opts *o)
{
    int64_t components = o->components ? o->components : 8;
    const leat_elementwise *mixture = leat_normal_mixture(m, components);
    double *values = mixture && o->dim > 0 ? start(m, o->dim, components) : NULL;
    leat_flow *flow = leat_flow_new(m, o->base ? o->base : leat_normal(m, o->dim));
    leat_flow_set_context(flow, o->context);
    for (int i = 0; values && i < (o->layers ? o->layers : 6); i++) {
        leat_module *net = leat_linear_layer(m, o->context, 3 * components * o->dim);
        leat_set_init(net, "bias", leat_init_values(values));
        if (i > 0)
            leat_flow_add(flow, leat_householder(m, o->dim, o->reflections));
        leat_flow_add(flow, leat_coupling(m, leat_mask_none(m, o->dim), mixture, net));
    }
    return flow;
}
