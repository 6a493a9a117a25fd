/*
 * Adam (Kingma & Ba 2015, algorithm 1), with PyTorch's arithmetic and its own count of steps for every parameter: one
 * that has no gradient is left alone, and its bias correction waits.
 */
#include "optim.h"
#include "../tensor/kernels.h"

#include <math.h>

typedef struct adam {
    leat_optim optim;
    leat_adam_opts opts;
    leat_real *first, *second; /* moments, laid out like the parameters */
    double (*powers)[2];       /* beta1^steps and beta2^steps, by parameter */
} adam;

static bool options_fit(leat_model *m, leat_adam_opts *o)
{
    o->lr = o->lr != 0 ? o->lr : 1e-3;
    o->beta1 = o->beta1 != 0 ? o->beta1 : 0.9;
    o->beta2 = o->beta2 != 0 ? o->beta2 : 0.999;
    o->eps = o->eps != 0 ? o->eps : 1e-8;
    if (!leat_check_option(m, "adam", "lr", o->lr) || !leat_check_option(m, "adam", "beta1", o->beta1) ||
        !leat_check_option(m, "adam", "beta2", o->beta2) || !leat_check_option(m, "adam", "eps", o->eps) ||
        !leat_check_option(m, "adam", "weight_decay", o->weight_decay))
        return false;
    if (o->beta1 < 1 && o->beta2 < 1)
        return true;
    leat_model_fail(m, LEAT_EARG, "adam: beta1 is %g and beta2 is %g; both must be below 1", o->beta1, o->beta2);
    return false;
}

static void update(leat_optim *o, const leat_run *run);

leat_optim *leat_adam_new(leat_model *m, const leat_adam_opts *o)
{
    leat_adam_opts opts = o ? *o : (leat_adam_opts){ 0 };
    if (leat_model_seal(m) || !options_fit(m, &opts))
        return NULL;
    adam *a = leat_optim_new(m, sizeof *a, opts.lr, update);
    leat_real *first = leat_arena_zalloc(&m->arena, (size_t)m->flat * sizeof(leat_real));
    leat_real *second = leat_arena_zalloc(&m->arena, (size_t)m->flat * sizeof(leat_real));
    double(*powers)[2] = leat_arena_alloc(&m->arena, (size_t)m->param_count * sizeof *powers);
    if (!a || !first || !second || !powers) {
        leat_model_fail(m, LEAT_ENOMEM, "adam: out of memory for %lld parameters", (long long)leat_param_count(m));
        return NULL;
    }
    for (int i = 0; i < m->param_count; i++)
        powers[i][0] = powers[i][1] = 1;
    a->opts = opts;
    a->first = first;
    a->second = second;
    a->powers = powers;
    return &a->optim;
}

typedef struct adam_work {
    leat_real *p, *m, *v;
    const leat_real *g;
    leat_adam_constants constants;
} adam_work;

static void adam_range(void *arg, int64_t begin, int64_t end)
{
    const adam_work *w = arg;
    leat_kernels_get()->adam(w->p + begin, w->g + begin, w->m + begin, w->v + begin, end - begin, &w->constants);
}

static leat_adam_constants constants_at(const leat_adam_opts *o, const double powers[2])
{
    return (leat_adam_constants){
        .lr = (leat_real)o->lr,
        .beta1 = (leat_real)o->beta1,
        .beta2 = (leat_real)o->beta2,
        .rest1 = (leat_real)(1 - o->beta1),
        .rest2 = (leat_real)(1 - o->beta2),
        .eps = (leat_real)o->eps,
        .weight_decay = (leat_real)o->weight_decay,
        .correction1 = (leat_real)(1 / (1 - powers[0])),
        .correction2 = (leat_real)(1 / sqrt(1 - powers[1])),
    };
}

static void update(leat_optim *o, const leat_run *run)
{
    adam *a = (adam *)o;
    const leat_model *m = o->model;
    for (const leat_param *p = run->first; p != run->after; p = p->next) {
        a->powers[p->index][0] *= a->opts.beta1;
        a->powers[p->index][1] *= a->opts.beta2;
    }
    a->opts.lr = o->lr * o->factor;
    int64_t at = run->begin;
    adam_work w = { m->values + at, a->first + at, a->second + at, m->grads + at,
                    constants_at(&a->opts, a->powers[run->first->index]) };
    leat_parallel_for(m->pool, run->end - at, LEAT_OPTIM_GRAIN, adam_range, &w);
}
