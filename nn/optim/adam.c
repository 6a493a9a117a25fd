/*
 * Adam (Kingma & Ba 2015, algorithm 1), AdamW (Loshchilov & Hutter 2019) and AdaMax (Kingma & Ba, section 7.1), with
 * PyTorch's arithmetic. Every parameter has its own count of steps: one that has no gradient is left alone, and its
 * bias correction waits.
 */
#include "optim.h"

#include <math.h>

static leat_step_constants constants(const leat_optim_options *o, const leat_optim_moment *at)
{
    return (leat_step_constants){
        .lr = (leat_real)at->lr,
        .beta1 = (leat_real)o->beta1,
        .beta2 = (leat_real)o->beta2,
        .rest1 = (leat_real)(1 - o->beta1),
        .rest2 = (leat_real)(1 - o->beta2),
        .eps = (leat_real)o->eps,
        .weight_decay = (leat_real)at->weight_decay,
        .shrink = (leat_real)(at->lr * at->weight_decay),
        .correction1 = (leat_real)(1 / (1 - at->power1)),
        .correction2 = (leat_real)(1 / sqrt(1 - at->power2)),
    };
}

static const leat_optim_type adam = { "adam", LEAT_STEP_adam, { "exp_avg", "exp_avg_sq" }, constants };
static const leat_optim_type adamw = { "adamw", LEAT_STEP_adamw, { "exp_avg", "exp_avg_sq" }, constants };
static const leat_optim_type adamax = { "adamax", LEAT_STEP_adamax, { "exp_avg", "exp_inf" }, constants };

static leat_optim *make(leat_model *m, const leat_optim_type *type, const leat_adam_opts *o, double lr)
{
    leat_adam_opts given = o ? *o : (leat_adam_opts){ 0 };
    return leat_optim_new(m, type,
                          &(leat_optim_options){
                              .lr = leat_option_or(given.lr, lr),
                              .beta1 = leat_option_or(given.beta1, 0.9),
                              .beta2 = leat_option_or(given.beta2, 0.999),
                              .eps = leat_option_or(given.eps, 1e-8),
                              .weight_decay = given.weight_decay,
                          });
}

leat_optim *leat_adam_new(leat_model *m, const leat_adam_opts *o)
{
    return make(m, &adam, o, 1e-3);
}

leat_optim *leat_adamw_new(leat_model *m, const leat_adam_opts *o)
{
    return make(m, &adamw, o, 1e-3);
}

leat_optim *leat_adamax_new(leat_model *m, const leat_adam_opts *o)
{
    return make(m, &adamax, o, 2e-3);
}
