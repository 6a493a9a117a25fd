/* Gradient descent, p -= lr (g + weight_decay p). */
#include "optim.h"

typedef struct sgd {
    leat_optim optim;
    double weight_decay;
} sgd;

typedef struct sgd_work {
    leat_real *p;
    const leat_real *g;
    leat_real lr, weight_decay;
} sgd_work;

/* Product and sum are rounded apart, which needs no fma and is the same everywhere. */
static void sgd_range(void *arg, int64_t begin, int64_t end)
{
    const sgd_work *w = arg;
    for (int64_t i = begin; i < end; i++) {
        leat_real g = w->g[i] + w->weight_decay * w->p[i];
        w->p[i] -= w->lr * g;
    }
}

static void update(leat_optim *o, const leat_run *run)
{
    const leat_model *m = o->model;
    sgd_work w = { m->values + run->begin, m->grads + run->begin, (leat_real)(o->lr * o->factor),
                   (leat_real)((const sgd *)o)->weight_decay };
    leat_parallel_for(m->pool, run->end - run->begin, LEAT_OPTIM_GRAIN, sgd_range, &w);
}

leat_optim *leat_sgd_new(leat_model *m, const leat_sgd_opts *o)
{
    leat_sgd_opts opts = o ? *o : (leat_sgd_opts){ 0 };
    opts.lr = opts.lr != 0 ? opts.lr : 1e-3;
    if (leat_model_seal(m) || !leat_check_option(m, "sgd", "lr", opts.lr) ||
        !leat_check_option(m, "sgd", "weight_decay", opts.weight_decay))
        return NULL;
    sgd *s = leat_optim_new(m, sizeof *s, opts.lr, update);
    if (!s)
        return NULL;
    s->weight_decay = opts.weight_decay;
    return &s->optim;
}
