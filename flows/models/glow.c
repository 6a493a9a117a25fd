/* Glow (Kingma & Dhariwal 2018), figure 2: levels of a squeeze, steps of flow and a split. */
#include "../flows.h"

/* Actnorm, an invertible 1x1 convolution, and a coupling that moves the second half of the channels. */
static void add_step(leat_model *m, leat_transform *level, const leat_glow_opts *o, int64_t channels)
{
    const leat_elementwise *e = o->additive ? &leat_additive : &leat_sigmoid_affine;
    leat_mask mask = leat_mask_halves(m, channels, 0);
    leat_module *net = leat_glow_net(m, mask.kept + o->context, o->hidden, mask.moved * leat_elementwise_width(e));
    leat_chain_add(level, leat_actnorm(m, channels));
    leat_transform *fixed = o->reversed ? leat_reverse(m, channels) : NULL;
    fixed = o->permuted ? leat_permutation(m, channels, NULL) : fixed;
    leat_chain_add(level, fixed ? fixed : leat_lu_linear(m, channels));
    leat_chain_add(level, leat_coupling(m, mask, e, net));
}

/* What is moved leaves as (x - mean) exp(-log_sd), so that it is N(mean, sd^2) given what is kept. */
static leat_transform *prior(leat_model *m, const leat_glow_opts *o, leat_mask mask)
{
    leat_conv_opts conv = { .in = mask.kept + o->context, .out = 2 * mask.moved, .form = LEAT_CONV_ZEROS };
    conv.kernel[0] = 3, conv.padding[0] = conv.padding[1] = 1, conv.border = true;
    return leat_inverse_of(m, leat_coupling(m, mask, &leat_affine, leat_conv_layer(m, &conv)));
}

/* The first half of the channels goes on to the next level; on top all of them leave, and are given nothing. */
static leat_transform *level_of(leat_model *m, const leat_glow_opts *o, const int64_t image[3], int levels)
{
    int64_t channels = 4 * image[2], half[] = { image[0] / 2, image[1] / 2, channels / 2 };
    leat_shape row = LEAT_SHAPE(half[0], half[1], channels);
    leat_transform *level = leat_chain(m);
    leat_chain_add(level, leat_squeeze_transform(m, LEAT_SHAPE(image[0], image[1], image[2]), LEAT_SQUEEZE_CHANNELS));
    for (int i = 0; i < o->steps && !leat_model_code(m); i++)
        add_step(m, level, o, channels);
    bool top = levels == 1 || leat_model_code(m);
    if (!o->plain_priors)
        leat_chain_add(level, prior(m, o, top ? leat_mask_none(m, channels) : leat_mask_halves(m, channels, 0)));
    if (top)
        leat_chain_add(level, leat_view(m, row, LEAT_SHAPE(leat_shape_count(&row))));
    else
        leat_chain_add(level, leat_split_transform(m, row, half[2], level_of(m, o, half, levels - 1)));
    return level;
}

leat_flow *leat_glow_new(leat_model *m, const leat_glow_opts *options)
{
    leat_glow_opts o = *options;
    leat_shape row = LEAT_SHAPE(o.height, o.width, o.channels ? o.channels : 1);
    int64_t dim = leat_shape_count(&row);
    o.levels = o.levels ? o.levels : 3;
    o.steps = o.steps ? o.steps : 32;
    o.hidden = o.hidden ? o.hidden : 512;
    leat_flow *flow = leat_flow_new(m, leat_normal(m, dim));
    leat_flow_set_context(flow, o.context);
    if (leat_model_code(m))
        return NULL;
    if (!o.continuous)
        leat_flow_add(flow, leat_dequantize(m, dim, o.bits ? o.bits : 8));
    if (o.alpha != 0)
        leat_flow_add(flow, leat_logit(m, o.alpha));
    leat_flow_add(flow, leat_view(m, LEAT_SHAPE(dim), row));
    leat_flow_add(flow, level_of(m, &o, row.size, o.levels));
    return flow;
}
