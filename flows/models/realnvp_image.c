/* RealNVP over images (Dinh et al. 2017), section 3.6: scales of checkerboards, a squeeze, channel masks and a split. */
#include "../flows.h"

/* s = scale tanh(..) and t from the residual network, and a norm of what has been moved. */
static void add_coupling(leat_model *m, leat_transform *scale, const leat_realnvp_image_opts *o, leat_mask mask,
                         int64_t hidden, double start)
{
    leat_module *net = leat_sequential(m);
    leat_residual_conv_opts sizes = { mask.kept + o->context, hidden, 2 * mask.moved, .blocks = o->blocks };
    leat_sequential_add(net, leat_residual_conv(m, &sizes));
    leat_sequential_add(net, leat_bounded_scale(m, mask.moved, true));
    leat_set_init(net, "scale", leat_init_constant(start));
    leat_transform *norm = o->actnorm ? leat_actnorm(m, mask.moved)
                                      : leat_batch_norm_transform(m, mask.moved, &(leat_norm_opts){ .eps = 1e-4 });
    leat_chain_add(scale, leat_coupling(m, mask, &leat_affine, net));
    leat_chain_add(scale, leat_coupling_transform(m, mask, norm));
}

/* Half of the channels, a diagonal of every block of four pixels, goes on to the next scale; from the last all leave. */
static leat_transform *scale_of(leat_model *m, const leat_realnvp_image_opts *o, leat_shape row, int64_t hidden,
                                int levels)
{
    leat_transform *scale = leat_chain(m);
    bool last = levels <= 1 || leat_model_code(m);
    for (int i = 0; i < (last ? 4 : 3); i++)
        add_coupling(m, scale, o, leat_mask_checkerboard(m, row, i), hidden, 0);
    if (last) {
        leat_chain_add(scale, leat_view(m, row, LEAT_SHAPE(leat_shape_count(&row))));
        return scale;
    }
    int64_t channels = 4 * row.size[2], on = channels / 2;
    leat_shape coarse = LEAT_SHAPE(row.size[0] / 2, row.size[1] / 2, channels);
    leat_chain_add(scale, leat_squeeze_transform(m, row, LEAT_SQUEEZE_CHANNELS));
    for (int i = 0; i < 3; i++)
        add_coupling(m, scale, o, leat_mask_halves(m, channels, i), 2 * hidden, 1);
    leat_chain_add(scale, leat_unsqueeze_transform(m, row, LEAT_SQUEEZE_CHANNELS));
    leat_chain_add(scale, leat_squeeze_transform(m, row, LEAT_SQUEEZE_DIAGONAL));
    leat_transform *next = scale_of(m, o, LEAT_SHAPE(coarse.size[0], coarse.size[1], on), 2 * hidden, levels - 1);
    leat_chain_add(scale, leat_split_transform(m, coarse, on, next));
    return scale;
}

leat_flow *leat_realnvp_image_new(leat_model *m, const leat_realnvp_image_opts *options)
{
    leat_realnvp_image_opts o = *options;
    leat_shape row = LEAT_SHAPE(o.height, o.width, o.channels ? o.channels : 1);
    int64_t dim = leat_shape_count(&row);
    o.blocks = o.blocks ? o.blocks : 4;
    leat_flow *flow = leat_flow_new(m, o.base ? o.base : leat_normal(m, dim));
    leat_flow_set_context(flow, o.context);
    if (leat_model_code(m))
        return NULL;
    if (!o.continuous) {
        leat_flow_add(flow, leat_dequantize(m, dim, o.bits ? o.bits : 8));
        leat_flow_add(flow, leat_logit(m, o.alpha != 0 ? o.alpha : 0.05));
    }
    leat_flow_add(flow, leat_view(m, LEAT_SHAPE(dim), row));
    leat_flow_add(flow, scale_of(m, &o, row, o.hidden ? o.hidden : 32, o.levels ? o.levels : 2));
    return flow;
}
