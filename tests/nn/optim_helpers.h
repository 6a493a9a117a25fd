/* What the tests of optimisers share: a table of optimisers with PyTorch's counterparts, and two bare parameters. */
#ifndef OPTIM_HELPERS_H
#define OPTIM_HELPERS_H

#include "nn_helpers.h"

#ifdef LEAT_DOUBLE
static const double in_a_pass UNUSED = 2e-15, in_a_step UNUSED = 2e-15, after_ten UNUSED = 1e-14;
#else
static const double in_a_pass UNUSED = 5e-7, in_a_step UNUSED = 5e-7, after_ten UNUSED = 1e-6;
#endif

/* ---- optimisers -------------------------------------------------------------------------------------------------- */

typedef enum kind { ADAM, ADAMW, ADAMAX, SGD, RMSPROP } kind;

/* Named as in fixtures/nn/make.py. */
static const struct optimiser {
    const char *name;
    kind kind;
    leat_adam_opts adam;
    leat_sgd_opts sgd;
    leat_rmsprop_opts rmsprop;
    int slots;
} optimisers[] UNUSED = {
    { "adam", ADAM, .adam = { .lr = 0.01 }, .slots = 2 },
    { "adam_decay", ADAM, .adam = { .lr = 0.003, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1 },
      .slots = 2 },
    { "adamw", ADAMW, .adam = { .lr = 0.003, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1 },
      .slots = 2 },
    { "adamax", ADAMAX, .slots = 2 },
    { "adamax_decay", ADAMAX, .adam = { .lr = 0.003, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1 },
      .slots = 2 },
    { "sgd", SGD, .sgd = { .lr = 0.05 } },
    { "sgd_decay", SGD, .sgd = { .lr = 0.05, .weight_decay = 0.1 } },
    { "sgd_momentum", SGD, .sgd = { .lr = 0.02, .momentum = 0.9 }, .slots = 1 },
    { "sgd_nesterov", SGD, .sgd = { .lr = 0.02, .momentum = 0.7, .weight_decay = 0.1, .nesterov = true }, .slots = 1 },
    { "rmsprop", RMSPROP, .rmsprop = { .lr = 0.002 }, .slots = 1 },
    { "rmsprop_momentum", RMSPROP, .rmsprop = { .lr = 0.002, .alpha = 0.9, .momentum = 0.8, .weight_decay = 0.1 },
      .slots = 2 },
    { "rmsprop_centered", RMSPROP, .rmsprop = { .lr = 0.002, .alpha = 0.95, .eps = 1e-4, .centered = true },
      .slots = 2 },
    { "rmsprop_both", RMSPROP, .rmsprop = { .lr = 0.002, .momentum = 0.5, .weight_decay = 0.1, .centered = true },
      .slots = 3 },
};
enum { OPTIMISERS = sizeof optimisers / sizeof *optimisers };

static inline leat_optim *optimiser_of(leat_model *m, const struct optimiser *o)
{
    switch (o->kind) {
    case ADAM:
        return leat_adam_new(m, &o->adam);
    case ADAMW:
        return leat_adamw_new(m, &o->adam);
    case ADAMAX:
        return leat_adamax_new(m, &o->adam);
    case SGD:
        return leat_sgd_new(m, &o->sgd);
    case RMSPROP:
        break;
    }
    return leat_rmsprop_new(m, &o->rmsprop);
}

static inline leat_optim *optimiser_new(leat_model *m, int which)
{
    leat_optim *o = optimiser_of(m, &optimisers[which]);
    cr_assert(o, "%s: %s", optimisers[which].name, leat_model_errmsg(m));
    return o;
}

/* ---- two parameters without layers around them ------------------------------------------------------------------- */

typedef struct pair {
    leat_model *model;
    leat_module *owner[2];
    leat_param *p[2]; /* a, b */
} pair;

static inline pair pair_new(int threads, int64_t a_rows, int64_t a_cols, int64_t b_size)
{
    pair x = { .model = leat_model_new(&(leat_model_opts){ .threads = threads }) };
    holder *h = holder_new(x.model, false), *other = holder_new(x.model, false);
    h->scale = leat_param_new(&h->module, "a", LEAT_SHAPE(a_rows, a_cols), leat_init_normal(0, 1));
    other->scale = leat_param_new(&other->module, "b", LEAT_SHAPE(b_size), leat_init_normal(0, 1));
    cr_assert_eq(leat_model_seal(x.model), LEAT_OK, "%s", leat_model_errmsg(x.model));
    x.owner[0] = &h->module, x.owner[1] = &other->module;
    x.p[0] = h->scale, x.p[1] = other->scale;
    return x;
}

static inline void give_grad(leat_param *p, const leat_real *grad)
{
    memcpy(p->leaf.grad, grad, (size_t)leat_shape_count(&p->leaf.shape) * sizeof *grad);
    p->leaf.has_grad = true;
}

/* ---- fixtures ---------------------------------------------------------------------------------------------------- */

/* Number i of the tensors of p's shape that the fixture holds as "prefix.a" or "prefix.b". */
static inline leat_tensor part(const leat_safetensors *f, const char *prefix, const leat_param *p, int64_t i)
{
    char text[64];
    snprintf(text, sizeof text, "%s.%s", prefix, p->leaf.scope.name);
    leat_tensor t = find_tensor(f, text);
    return (leat_tensor){ t.data + i * leat_shape_count(&p->leaf.shape), p->leaf.shape };
}

/* Ten steps from the fixture's start with its gradients, against the fixture's `name`. */
static inline void check_ten_steps(const pair *x, leat_optim *o, const leat_safetensors *f, const char *name)
{
    for (int k = 0; k < 2; k++)
        memcpy(x->p[k]->leaf.value, find_tensor(f, x->p[k]->leaf.scope.name).data,
               (size_t)leat_shape_count(&x->p[k]->leaf.shape) * sizeof(leat_real));
    for (int i = 0; i < 10; i++) {
        give_grad(x->p[0], part(f, "grad", x->p[0], i).data);
        if (i != 3 && i != 4)
            give_grad(x->p[1], part(f, "grad", x->p[1], i).data);
        cr_assert_eq(leat_optim_step(o), LEAT_OK, "%s", leat_optim_status(o)->message);
        for (int k = 0; k < 2; k++) {
            cr_assert(!x->p[k]->leaf.has_grad);
            check_close(name, x->p[k]->leaf.value, part(f, name, x->p[k], i), in_a_step);
        }
    }
}

#endif
