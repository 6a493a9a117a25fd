/* Gradient descent, p -= lr (g + weight_decay p). */
#include "optim.h"

struct leat_sgd {
    leat_model *model;
    leat_sgd_opts opts;
    leat_status status;
};

leat_sgd *leat_sgd_new(leat_model *m, const leat_sgd_opts *o)
{
    leat_sgd_opts opts = o ? *o : (leat_sgd_opts){ 0 };
    opts.lr = opts.lr != 0 ? opts.lr : 1e-3;
    if (leat_model_seal(m) || !leat_check_option(m, "sgd", "lr", opts.lr) ||
        !leat_check_option(m, "sgd", "weight_decay", opts.weight_decay))
        return NULL;
    leat_sgd *s = leat_arena_zalloc(&m->arena, sizeof *s);
    if (!s) {
        leat_model_fail(m, LEAT_ENOMEM, "sgd: out of memory");
        return NULL;
    }
    s->model = m;
    s->opts = opts;
    return s;
}

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

leat_code leat_sgd_step(leat_sgd *s)
{
    if (!s)
        return leat_no_optimiser()->code;
    leat_model *m = s->model;
    leat_code code = leat_step_begin(m, s->opts.lr, &s->status);
    if (code)
        return code;
    leat_run run;
    for (leat_param *p = m->params; leat_run_find(p, NULL, &run); p = run.after) {
        sgd_work w = { m->values + run.begin, m->grads + run.begin, (leat_real)s->opts.lr,
                       (leat_real)s->opts.weight_decay };
        leat_parallel_for(m->pool, run.end - run.begin, LEAT_OPTIM_GRAIN, sgd_range, &w);
    }
    leat_zero_grad(m);
    return LEAT_OK;
}

void leat_sgd_set_lr(leat_sgd *s, double lr)
{
    if (s)
        s->opts.lr = lr;
}

const leat_status *leat_sgd_status(const leat_sgd *s)
{
    return s ? &s->status : leat_no_optimiser();
}
