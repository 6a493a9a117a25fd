/* Flow++ over images (Ho et al. 2019): couplings between colours of a checkerboard, channels, and colours again. */
#include "../flows.h"

/* A part of the model: images [height, width, channels], the halves of whose channels move each other. */
typedef struct part {
    leat_shape row;
    int steps, blocks;
    int64_t context;
} part;

static void add_part(leat_model *m, leat_transform *chain, const leat_flowpp_opts *o, part p)
{
    int64_t channels = p.row.size[2];
    const leat_elementwise *e = leat_flowpp_mixture(m, o->components);
    for (int i = 0; i < p.steps && !leat_model_code(m); i++) {
        leat_mask mask = leat_mask_halves(m, channels, i % 2);
        leat_gated_conv_opts net = { .in = mask.kept,
                                     .out = mask.moved * leat_elementwise_width(e),
                                     .context = p.context,
                                     .height = p.row.size[0],
                                     .width = p.row.size[1],
                                     .features = o->features,
                                     .blocks = p.blocks,
                                     .heads = o->heads,
                                     .dropout = o->dropout };
        leat_chain_add(chain, leat_actnorm(m, channels));
        leat_chain_add(chain, leat_lu_linear(m, channels));
        leat_chain_add(chain, leat_coupling(m, mask, e, leat_gated_conv(m, &net)));
    }
}

/* Its own flow works on a checkerboard too, given features of the image. */
static leat_transform *dequantize(leat_model *m, const leat_flowpp_opts *o, leat_shape row, leat_shape colours)
{
    int64_t dim = leat_shape_count(&row), features = o->noise.features ? o->noise.features : 32;
    if (o->uniform)
        return leat_dequantize(m, dim, o->bits ? o->bits : 8);
    leat_transform *view = leat_chain(m), *inner = leat_chain(m);
    leat_chain_add(view, leat_view(m, LEAT_SHAPE(dim), row));
    leat_chain_add(view, leat_squeeze_transform(m, row, LEAT_SQUEEZE_CHECKERBOARD));
    leat_gated_conv_opts net = { .in = colours.size[2], .out = features, .context = o->context };
    net.features = features, net.blocks = 3, net.no_attention = true;
    part p = { colours, o->noise.couplings ? o->noise.couplings : 4, o->noise.blocks ? o->noise.blocks : 2, features };
    add_part(m, inner, o, p);
    return leat_dequantize_by(m, dim, o->bits ? o->bits : 8, view, leat_gated_conv(m, &net), inner);
}

leat_flow *leat_flowpp_new(leat_model *m, const leat_flowpp_opts *o)
{
    static const int paper[] = { 4, 2, 3 };
    const int *steps = o->couplings[0] || o->couplings[1] || o->couplings[2] ? o->couplings : paper;
    int64_t h = o->height, w = o->width, c = o->channels ? o->channels : 1;
    const leat_shape row = LEAT_SHAPE(h, w, c);
    int64_t dim = leat_shape_count(&row);
    if (dim < 1 || h % 2 || w % 4) {
        leat_model_fail(m, LEAT_EARG, "Flow++ over images of %lld x %lld, not divisible by 2 and by 4", (long long)h,
                        (long long)w);
        return NULL;
    }
    const leat_shape coarse = LEAT_SHAPE(h / 2, w / 2, 4 * c);
    const leat_shape colours[] = { LEAT_SHAPE(h, w / 2, 2 * c), LEAT_SHAPE(h / 2, w / 4, 8 * c) };
    leat_flow *flow = leat_flow_new(m, leat_normal(m, dim));
    leat_transform *body = leat_chain(m);
    leat_flow_set_context(flow, o->context);
    if (!o->continuous) {
        leat_flow_add(flow, dequantize(m, o, row, colours[0]));
        leat_flow_add(flow, leat_logit(m, 0.05));
    }
    leat_chain_add(body, leat_view(m, LEAT_SHAPE(dim), row));
    leat_chain_add(body, leat_squeeze_transform(m, row, LEAT_SQUEEZE_CHECKERBOARD));
    add_part(m, body, o, (part){ colours[0], steps[0], o->blocks, o->context });
    leat_chain_add(body, leat_unsqueeze_transform(m, row, LEAT_SQUEEZE_CHECKERBOARD));
    leat_chain_add(body, leat_squeeze_transform(m, row, LEAT_SQUEEZE_CHANNELS));
    add_part(m, body, o, (part){ coarse, steps[1], o->blocks, o->context });
    leat_chain_add(body, leat_squeeze_transform(m, coarse, LEAT_SQUEEZE_CHECKERBOARD));
    add_part(m, body, o, (part){ colours[1], steps[2], o->blocks, o->context });
    leat_chain_add(body, leat_view(m, colours[1], LEAT_SHAPE(dim)));
    leat_flow_add(flow, body);
    return flow;
}
