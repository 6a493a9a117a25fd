/* Flow++ (Ho et al. 2019) for tables: actnorms, linear maps and couplings by mixtures of logistics. */
#include "../flows.h"

leat_flow *leat_flowpp_table_new(leat_model *m, const leat_flowpp_table_opts *o)
{
    const leat_elementwise *e = leat_flowpp_mixture(m, o->components ? o->components : 8);
    if (!e)
        return NULL;
    leat_flow *flow = leat_flow_new(m, o->base ? o->base : leat_normal(m, o->dim));
    leat_flow_set_context(flow, o->context);
    for (int i = 0; i < (o->couplings ? o->couplings : 6); i++) {
        leat_mask mask = leat_mask_halves(m, o->dim, i % 2);
        leat_residual_opts net = { .in = mask.kept,
                                   .hidden = o->hidden ? o->hidden : 128,
                                   .out = mask.moved * leat_elementwise_width(e),
                                   .context = o->context,
                                   .blocks = o->blocks,
                                   .dropout = o->dropout };
        leat_flow_add(flow, leat_actnorm(m, o->dim));
        leat_flow_add(flow, leat_lu_linear(m, o->dim));
        leat_flow_add(flow, leat_coupling(m, mask, e, leat_residual_mlp(m, &net)));
    }
    return flow;
}
