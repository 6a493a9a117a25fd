/* Neural spline flows (Durkan et al. 2019): a chain of rational-quadratic splines, autoregressive ones or couplings. */
#include "../flow_impl.h"

#include <string.h>

static leat_transform *autoregressive_spline(leat_model *m, const leat_nsf_opts *o, const int64_t *hidden,
                                             const leat_elementwise *spline)
{
    leat_made_opts made = { .features = o->dim, .context = o->context, .activation = o->activation };
    for (int g = 0; g < LEAT_MAX_GROUPS && spline->theta[g].name; g++)
        made.widths[g] = spline->theta[g].width;
    memcpy(made.hidden, hidden, sizeof made.hidden);
    return leat_autoregressive(m, leat_made(m, &made), spline);
}

static leat_transform *coupling_spline(leat_model *m, const leat_nsf_opts *o, const int64_t *hidden,
                                       const leat_elementwise *spline, int parity)
{
    leat_mask mask = leat_mask_alternating(m, o->dim, parity);
    int64_t out = mask.moved * leat_elementwise_width(spline);
    leat_activation f = o->activation ? o->activation : LEAT_RELU;
    return leat_coupling(m, mask, spline, leat_mlp(m, mask.kept + o->context, hidden, out, f));
}

leat_flow *leat_nsf_new(leat_model *m, const leat_nsf_opts *o)
{
    static const int64_t default_hidden[LEAT_MAX_HIDDEN] = { 128, 128 };
    const int64_t *hidden = o->hidden[0] ? o->hidden : default_hidden;
    const leat_elementwise *spline = leat_rational_quadratic(
        m, &(leat_rational_quadratic_opts){ .bins = o->bins, .bound = o->tail_bound, .clipped = true });
    if (!spline)
        return NULL;
    leat_flow *flow = leat_flow_new(m, o->base ? o->base : leat_normal(m, o->dim));
    leat_flow_set_context(flow, o->context);
    for (int i = 0; i < (o->transforms ? o->transforms : 5); i++) {
        bool in_a_pair = o->coupling && o->between != LEAT_LU; /* of couplings that change sides by their masks */
        if (!in_a_pair || (i % 2 == 0 && o->between == LEAT_PERMUTED))
            leat_flow_add_between(flow, i, o->between);
        leat_flow_add(flow, o->coupling ? coupling_spline(m, o, hidden, spline, i % 2)
                                        : autoregressive_spline(m, o, hidden, spline));
    }
    return flow;
}
