/* NICE (Dinh et al. 2015): a chain of additive couplings. */
#include "../flows.h"

leat_nice_opts leat_nice_paper(leat_model *m, int64_t dim)
{
    return (leat_nice_opts){ .dim = dim,
                             .couplings = 4,
                             .hidden = { 1000, 1000, 1000, 1000, 1000 },
                             .masks = LEAT_HALVES,
                             .base = leat_logistic(m, dim),
                             .reverse = true,
                             .scale = true,
                             .small_init = true };
}

leat_flow *leat_nice_new(leat_model *m, const leat_nice_opts *o)
{
    static const int64_t default_hidden[] = { 128, 128, 0 };
    const int64_t *hidden = o->hidden[0] ? o->hidden : default_hidden;
    int couplings = o->couplings ? o->couplings : 6;
    /* of an odd number of alternating features the reversal keeps every one on its side */
    bool reversal_swaps_roles = o->reverse && (o->masks == LEAT_HALVES || o->dim % 2 == 0);
    leat_flow *flow = leat_flow_new(m, o->base ? o->base : leat_normal(m, o->dim));
    leat_flow_set_context(flow, o->context);
    if (o->image.rank) { /* the views do nothing but tell of the images */
        leat_flow_add(flow, leat_dequantize(m, o->dim, o->bits ? o->bits : 8));
        leat_flow_add(flow, leat_view(m, LEAT_SHAPE(o->dim), o->image));
        leat_flow_add(flow, leat_view(m, o->image, LEAT_SHAPE(o->dim)));
    }
    for (int i = 0; i < couplings; i++) {
        int parity = reversal_swaps_roles ? 0 : i % 2;
        leat_mask mask =
            o->masks == LEAT_HALVES ? leat_mask_halves(m, o->dim, parity) : leat_mask_alternating(m, o->dim, parity);
        leat_module *net = leat_mlp(m, mask.kept + o->context, hidden, mask.moved, LEAT_RELU);
        if (o->small_init) {
            leat_set_init(net, "weight", leat_init_uniform(-0.01, 0.01));
            leat_set_init(net, "bias", leat_init_zeros());
        }
        leat_flow_add(flow, leat_coupling(m, mask, &leat_additive, net));
        if (o->reverse)
            leat_flow_add(flow, leat_reverse(m, o->dim));
    }
    if (o->scale)
        leat_flow_add(flow, leat_diagonal_scale(m, o->dim));
    return flow;
}
