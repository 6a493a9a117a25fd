/*
 * Gradient descent, p -= lr (g + weight_decay p), with momentum as PyTorch has it: b = momentum b + g takes the place
 * of g, or, with Nesterov's, g + momentum b.
 */
#include "optim.h"

static leat_step_constants constants(const leat_optim_options *o, const leat_optim_moment *at)
{
    return (leat_step_constants){
        .lr = (leat_real)at->lr,
        .weight_decay = (leat_real)at->weight_decay,
        .momentum = (leat_real)o->momentum,
    };
}

static const leat_optim_type plain = { "sgd", LEAT_STEP_sgd, { NULL }, constants };
static const leat_optim_type momentum = { "sgd", LEAT_STEP_sgd_momentum, { "momentum_buffer" }, constants };
static const leat_optim_type nesterov = { "sgd", LEAT_STEP_sgd_nesterov, { "momentum_buffer" }, constants };

leat_optim *leat_sgd_new(leat_model *m, const leat_sgd_opts *o)
{
    leat_sgd_opts given = o ? *o : (leat_sgd_opts){ 0 };
    if (given.nesterov && given.momentum == 0) {
        leat_model_fail(m, LEAT_EARG, "sgd: nesterov needs a momentum");
        return NULL;
    }
    return leat_optim_new(m,
                          given.nesterov        ? &nesterov
                          : given.momentum != 0 ? &momentum
                                                : &plain,
                          &(leat_optim_options){
                              .lr = leat_option_or(given.lr, 1e-3),
                              .weight_decay = given.weight_decay,
                              .momentum = given.momentum,
                          });
}
