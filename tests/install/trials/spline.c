/* Spline couplings. */
#include "spline.h"

static leat_flow *build(leat_model *m)
{
    leat_flow *f = leat_flow_new(m, leat_normal(m, 2));
    for (int i = 0; i < 2; i++) {
        leat_mask mask = leat_mask_alternating(m, 2, i);
        leat_module *net = leat_mlp(m, mask.kept, (int64_t[]){ 16, 0 }, (3 * BINS - 1) * mask.moved, LEAT_TANH);
        leat_flow_add(f, leat_coupling(m, mask, &spline, net));
    }
    return f;
}

int main(void)
{
    const leat_elementwise *const mine[] = { &spline, NULL };
    return trial(build, &(leat_own_parts){ .elementwises = mine });
}
