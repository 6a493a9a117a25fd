/* A two-level flow over images of 4 x 4 x 1: Glow's steps at every position, half of the features out on the way. */
#include "trial.h"

/* actnorm, a learned linear map, and an affine coupling that sees the other half of a position */
static leat_transform *step(leat_model *m, int64_t features, int i)
{
    leat_transform *chain = leat_chain(m);
    leat_mask mask = leat_mask_halves(m, features, i % 2);
    leat_module *net = leat_mlp(m, mask.kept, (int64_t[]){ 16, 0 }, 2 * mask.moved, LEAT_RELU);
    leat_sequential_add(net, leat_bounded_scale(m, mask.moved, true));
    leat_chain_add(chain, leat_actnorm(m, features));
    leat_chain_add(chain, leat_lu_linear(m, features));
    leat_chain_add(chain, leat_coupling(m, mask, &leat_affine, net));
    return chain;
}

static leat_transform *level(leat_model *m, leat_shape from, leat_shape to)
{
    leat_transform *chain = leat_chain(m);
    leat_chain_add(chain, leat_view(m, from, to));
    for (int i = 0; i < 3; i++)
        leat_chain_add(chain, step(m, to.size[to.rank - 1], i));
    return chain;
}

static leat_flow *build(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, 16));
    leat_mask prior = leat_mask_halves(m, 4, 0);
    leat_flow_add(f, level(m, LEAT_SHAPE(16), LEAT_SHAPE(4, 4)));
    leat_flow_add(f, leat_coupling(m, prior, &leat_affine, leat_linear_layer(m, prior.kept, 2 * prior.moved)));
    leat_transform *inner = level(m, LEAT_SHAPE(4, 2), LEAT_SHAPE(2, 4));
    leat_flow_add(f, leat_split_transform(m, LEAT_SHAPE(4, 4), 2, inner));
    return f;
}

int main(void)
{
    return trial(build, &(leat_own_parts){ 0 });
}
