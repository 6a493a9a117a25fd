/*
 * RMSProp (Tieleman & Hinton 2012) as PyTorch has it: the gradient over the root of its mean square (centered: of its
 * variance), eps added outside of the root; with momentum these steps are accumulated as SGD does gradients.
 */
#include "optim.h"

/* alpha is the options' beta2. */
static leat_step_constants constants(const leat_optim_options *o, const leat_optim_moment *at)
{
    return (leat_step_constants){
        .lr = (leat_real)at->lr,
        .weight_decay = (leat_real)at->weight_decay,
        .momentum = (leat_real)o->momentum,
        .beta2 = (leat_real)o->beta2,
        .rest2 = (leat_real)(1 - o->beta2),
        .eps = (leat_real)o->eps,
    };
}

static const leat_optim_type types[2][2] = {
    /* [centered][with momentum] */
    {
        { "rmsprop", LEAT_STEP_rmsprop, { "square_avg" }, constants },
        { "rmsprop", LEAT_STEP_rmsprop_momentum, { "square_avg", "momentum_buffer" }, constants },
    },
    {
        { "rmsprop", LEAT_STEP_rmsprop_centered, { "square_avg", "grad_avg" }, constants },
        { "rmsprop", LEAT_STEP_rmsprop_centered_momentum, { "square_avg", "grad_avg", "momentum_buffer" }, constants },
    },
};

leat_optim *leat_rmsprop_new(leat_model *m, const leat_rmsprop_opts *o)
{
    leat_rmsprop_opts given = o ? *o : (leat_rmsprop_opts){ 0 };
    if (!(given.alpha >= 0 && given.alpha < 1)) {
        leat_model_fail(m, LEAT_EARG, "rmsprop: alpha is %g, and must be from 0 to below 1", given.alpha);
        return NULL;
    }
    return leat_optim_new(m, &types[given.centered][given.momentum != 0],
                          &(leat_optim_options){
                              .lr = leat_option_or(given.lr, 1e-2),
                              .beta2 = leat_option_or(given.alpha, 0.99),
                              .eps = leat_option_or(given.eps, 1e-8),
                              .weight_decay = given.weight_decay,
                              .momentum = given.momentum,
                          });
}
