/* RealNVP (Dinh et al. 2017): a chain of affine couplings. */
#include "../flows.h"

static leat_mask mask_of(leat_model *m, const leat_realnvp_opts *o, int i)
{
    if (o->given_masks)
        return leat_mask_of(m, o->dim, o->given_masks + i * o->dim);
    return o->masks == LEAT_HALVES ? leat_mask_halves(m, o->dim, i % 2) : leat_mask_alternating(m, o->dim, i % 2);
}

/* The net with its scales, the first `moved` columns of what it gives, closed as asked. */
static leat_module *close_scales(leat_model *m, leat_module *net, int64_t moved, const leat_realnvp_opts *o)
{
    if (o->scale == LEAT_SCALE_LEARNED || (o->scale == LEAT_SCALE_TANH && o->one_net))
        leat_sequential_add(net, leat_bounded_scale(m, moved, o->scale == LEAT_SCALE_LEARNED));
    else if (o->scale == LEAT_SCALE_TANH)
        leat_sequential_add(net, leat_activation_layer(m, LEAT_TANH));
    return net;
}

leat_flow *leat_realnvp_new(leat_model *m, const leat_realnvp_opts *o)
{
    static const int64_t default_hidden[] = { 128, 128, 0 };
    const int64_t *hidden = o->hidden[0] ? o->hidden : default_hidden;
    const int64_t *hidden_t = o->hidden_t[0] ? o->hidden_t : hidden;
    int couplings = o->couplings ? o->couplings : 6;
    leat_flow *flow = leat_flow_new(m, o->base ? o->base : leat_normal(m, o->dim));
    leat_flow_set_context(flow, o->context);
    for (int i = 0; i < couplings; i++) {
        leat_mask mask = mask_of(m, o, i);
        int64_t seen = mask.kept + o->context;
        if (o->mixed) {
            leat_flow_add(flow, leat_actnorm(m, o->dim));
            leat_flow_add(flow, leat_lu_linear(m, o->dim));
        }
        if (o->one_net) {
            leat_module *net = leat_mlp(m, seen, hidden, 2 * mask.moved, LEAT_RELU);
            leat_flow_add(flow, leat_coupling(m, mask, &leat_affine, close_scales(m, net, mask.moved, o)));
        } else {
            leat_module *snet = close_scales(m, leat_mlp(m, seen, hidden, mask.moved, LEAT_RELU), mask.moved, o);
            leat_module *tnet = leat_mlp(m, seen, hidden_t, mask.moved, LEAT_RELU);
            leat_flow_add(flow, leat_coupling_nets(m, mask, &leat_affine, (leat_module *[]){ snet, tnet }));
        }
    }
    return flow;
}
