/* Short training runs whose results must be the same bits everywhere: NICE, RealNVP, and a chain of what these two lack, on
 * the points of formulas.h; RealNVP, Glow and Flow++ over images, on bytes by chance. */
#ifndef LEAT_FLOWS_GOLDEN_H
#define LEAT_FLOWS_GOLDEN_H

#include "formulas.h"

enum { GOLDEN_ROWS = 250, GOLDEN_IMAGES = 19, GOLDEN_SIDE = 6 }; /* no multiple of any tile */

static inline leat_flow *golden_nice(leat_model *m)
{
    return leat_nice_new(m, &(leat_nice_opts){ .dim = 2, .couplings = 4, .hidden = { 100, 61 }, .scale = true });
}

static inline leat_flow *golden_realnvp(leat_model *m)
{
    return leat_realnvp_new(m, &(leat_realnvp_opts){ .dim = 2,
                                                     .couplings = 4,
                                                     .hidden = { 50, 61 },
                                                     .hidden_t = { 37 },
                                                     .scale = LEAT_SCALE_LEARNED,
                                                     .base = leat_logistic(m, 2) });
}

/* [batch, 1] -> [batch, 2], with norms, noise and an activation that needs erf. */
static inline leat_module *golden_net(leat_model *m)
{
    leat_module *net = leat_sequential(m);
    leat_sequential_add(net, leat_linear_layer(m, 1, 45));
    leat_sequential_add(net, leat_layer_norm(m, 45, NULL));
    leat_sequential_add(net, leat_activation_layer(m, LEAT_GELU));
    leat_sequential_add(net, leat_dropout_layer(m, 0.1));
    leat_sequential_add(net, leat_linear_layer(m, 45, 2));
    return net;
}

static inline leat_flow *golden_chain(leat_model *m)
{
    leat_flow *flow = leat_flow_new(m, leat_diagonal_normal(m, 2));
    leat_flow_add(flow, leat_actnorm(m, 2));
    for (int i = 0; i < 2; i++) {
        leat_flow_add(flow, leat_lu_linear(m, 2));
        leat_flow_add(flow, leat_coupling(m, leat_mask_alternating(m, 2, i), &leat_affine, golden_net(m)));
        leat_flow_add(flow, leat_batch_norm_transform(m, 2, NULL));
    }
    return flow;
}

static inline leat_flow *golden_realnvp_image(leat_model *m)
{
    leat_realnvp_image_opts o = { .height = GOLDEN_SIDE, .width = GOLDEN_SIDE, .blocks = 1, .hidden = 5 };
    return leat_realnvp_image_new(m, &o);
}

static inline leat_flow *golden_glow(leat_model *m)
{
    leat_glow_opts o = { .height = GOLDEN_SIDE, .width = GOLDEN_SIDE, .levels = 1, .steps = 2, .hidden = 17 };
    return leat_glow_new(m, &o);
}

static inline leat_flow *golden_flowpp(leat_model *m)
{
    leat_flowpp_opts o = { .height = GOLDEN_SIDE, .width = 4, .couplings = { 2, 1, 1 }, .features = 6, .blocks = 1 };
    o.heads = 2, o.components = 5, o.dropout = 0.2;
    o.noise.couplings = o.noise.blocks = 1, o.noise.features = 3;
    return leat_flowpp_new(m, &o);
}

/* As many rows as there are of that kind. */
static inline leat_tensor golden_batch(const leat_flow *flow, int step, leat_real *numbers)
{
    leat_rng rng = leat_rng_new(3, (uint64_t)step);
    if (!leat_flow_is_bound(flow)) {
        formula_batch((uint64_t)step, GOLDEN_ROWS, numbers);
        return (leat_tensor){ numbers, LEAT_SHAPE(GOLDEN_ROWS, 2) };
    }
    leat_tensor bytes = { numbers, LEAT_SHAPE(GOLDEN_IMAGES, leat_flow_dim(flow)) };
    for (int64_t i = 0; i < leat_shape_count(&bytes.shape); i++)
        numbers[i] = (leat_real)(leat_rng_next(&rng) >> 56);
    return bytes;
}

/* The hash of the trained model; 0, and the message on *s, if something failed. */
static inline uint64_t golden_train(leat_flow *build(leat_model *), int steps, int threads, leat_status *s)
{
    static leat_real numbers[GOLDEN_IMAGES * GOLDEN_SIDE * GOLDEN_SIDE];
    _Static_assert(sizeof numbers >= GOLDEN_ROWS * 2 * sizeof *numbers, "room for points");
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 1, .threads = threads });
    if (!m)
        return 0;
    leat_flow *flow = build(m);
    leat_optim *adam = leat_adam_new(m, NULL);
    leat_tape *tape = leat_model_tape(m, NULL);
    for (int step = 0; tape && step < steps; step++) {
        leat_tape_reset(tape);
        leat_var x = leat_borrow(tape, golden_batch(flow, step, numbers));
        leat_code code = leat_backward(leat_neg(leat_mean(leat_flow_log_prob(flow, x))));
        if (code)
            leat_fail(s, code, "%s", leat_tape_errmsg(tape));
        else if ((code = leat_optim_step(adam)))
            leat_fail(s, code, "%s", leat_optim_status(adam)->message);
    }
    leat_code code = leat_model_code(m);
    if (code)
        leat_fail(s, code, "%s", leat_model_errmsg(m));
    uint64_t hash = s->code ? 0 : leat_model_hash(m);
    leat_model_free(m);
    return hash;
}

/* One number for all of them. */
static inline uint64_t golden_run(int threads, leat_status *s)
{
    uint64_t nice = golden_train(golden_nice, 20, threads, s), realnvp = golden_train(golden_realnvp, 12, threads, s),
             chain = golden_train(golden_chain, 12, threads, s);
    return nice && realnvp && chain ? (nice * 3 + realnvp) * 3 + chain : 0;
}

static inline uint64_t golden_images(int threads, leat_status *s)
{
    uint64_t realnvp = golden_train(golden_realnvp_image, 3, threads, s),
             glow = golden_train(golden_glow, 3, threads, s), flowpp = golden_train(golden_flowpp, 3, threads, s);
    return realnvp && glow && flowpp ? (realnvp * 3 + glow) * 3 + flowpp : 0;
}

#endif
