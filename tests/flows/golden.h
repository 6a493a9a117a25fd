/* Short training runs whose results must be the same bits everywhere: NICE and RealNVP on the points of formulas.h. */
#ifndef LEAT_FLOWS_GOLDEN_H
#define LEAT_FLOWS_GOLDEN_H

#include "formulas.h"

enum { GOLDEN_ROWS = 250 }; /* no multiple of any tile */

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
                                                     .base = LEAT_LOGISTIC });
}

/* The hash of the trained model; 0, and the message on *s, if something failed. */
static inline uint64_t golden_train(leat_flow *build(leat_model *), int steps, int threads, leat_status *s)
{
    static leat_real points[GOLDEN_ROWS * 2];
    leat_model *m = leat_model_new(&(leat_model_opts){ .seed = 1, .threads = threads });
    if (!m)
        return 0;
    leat_flow *flow = build(m);
    leat_optim *adam = leat_adam_new(m, NULL);
    leat_tape *tape = leat_model_tape(m, NULL);
    for (int step = 0; tape && step < steps; step++) {
        formula_batch((uint64_t)step, GOLDEN_ROWS, points);
        leat_tape_reset(tape);
        leat_var x = leat_borrow(tape, (leat_tensor){ points, LEAT_SHAPE(GOLDEN_ROWS, 2) });
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

/* One number for both. */
static inline uint64_t golden_run(int threads, leat_status *s)
{
    uint64_t nice = golden_train(golden_nice, 20, threads, s), realnvp = golden_train(golden_realnvp, 12, threads, s);
    return nice && realnvp ? nice * 3 + realnvp : 0;
}

#endif
