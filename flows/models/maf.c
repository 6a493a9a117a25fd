/* MAF (Papamakarios et al. 2017): a chain of affine autoregressive transforms. */
#include "../flow_impl.h"

#include <string.h>

void leat_flow_add_between(leat_flow *f, int i, leat_between between)
{
    leat_model *m = leat_flow_model(f);
    int64_t dim = leat_flow_dim(f);
    if (between == LEAT_LU)
        leat_flow_add(f, leat_lu_linear(m, dim));
    else if (i > 0 && dim > 1)
        leat_flow_add(f, between == LEAT_PERMUTED ? leat_permutation(m, dim, NULL) : leat_reverse(m, dim));
}

leat_flow *leat_maf_new(leat_model *m, const leat_maf_opts *o)
{
    leat_made_opts made = { .features = o->dim, .context = o->context, .widths = { 1, 1 }, .hidden = { 128, 128 } };
    if (o->hidden[0])
        memcpy(made.hidden, o->hidden, sizeof made.hidden);
    made.activation = o->activation;
    leat_flow *flow = leat_flow_new(m, o->base ? o->base : leat_normal(m, o->dim));
    leat_flow_set_context(flow, o->context);
    for (int i = 0; i < (o->transforms ? o->transforms : 5); i++) {
        leat_flow_add_between(flow, i, o->between);
        leat_flow_add(flow, leat_autoregressive(m, leat_made(m, &made), &leat_bounded_affine));
    }
    return flow;
}
