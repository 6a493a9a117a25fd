/* What optimisers share: which stretches of the flat arrays a step works on, and whether it may be taken at all. */
#include "optim.h"
#include "../tensor/kernels.h"

#include <math.h>
#include <stdatomic.h>

static bool is_due(const leat_param *p)
{
    return p->leaf.has_grad && !p->leaf.frozen;
}

bool leat_run_find(leat_param *p, const int64_t *steps, leat_run *run)
{
    while (p && !is_due(p))
        p = p->next;
    if (!p)
        return false;
    *run = (leat_run){ .first = p, .begin = p->offset };
    const leat_param *last = p;
    for (p = p->next; p && is_due(p) && (!steps || steps[p->index] == steps[run->first->index]); p = p->next)
        last = p;
    run->end = last->offset + leat_flat_round(leat_shape_count(&last->leaf.shape));
    run->after = p;
    return true;
}

void leat_zero_grad(leat_model *m)
{
    for (leat_param *p = m->params; p; p = p->next)
        p->leaf.has_grad = false;
}

/* ---- finite gradients -------------------------------------------------------------------------------------------- */

typedef struct finite_check {
    const leat_real *grads;
    atomic_bool suspicious;
} finite_check;

/* A sum is not finite if a term is not, or, in double, if it overflows. */
static void check_range(void *arg, int64_t begin, int64_t end)
{
    finite_check *c = arg;
    if (!isfinite(leat_kernels_get()->sum(c->grads + begin, end - begin)))
        atomic_store(&c->suspicious, true);
}

static bool all_finite(const leat_param *p)
{
    int64_t n = leat_shape_count(&p->leaf.shape);
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(p->leaf.grad[i]))
            return false;
    }
    return true;
}

/* The first parameter that is due and has a gradient that is not finite, or NULL. */
static const leat_param *find_not_finite(const leat_model *m)
{
    leat_run run;
    bool suspicious = false;
    for (leat_param *p = m->params; !suspicious && leat_run_find(p, NULL, &run); p = run.after) {
        finite_check c = { .grads = m->grads + run.begin };
        leat_parallel_for(m->pool, run.end - run.begin, LEAT_OPTIM_GRAIN, check_range, &c);
        suspicious = atomic_load(&c.suspicious);
    }
    if (!suspicious)
        return NULL;
    for (const leat_param *p = m->params; p; p = p->next) {
        if (is_due(p) && !all_finite(p))
            return p;
    }
    return NULL;
}

leat_code leat_step_begin(leat_model *m, double lr, leat_status *s)
{
    s->code = LEAT_OK;
    s->message[0] = '\0';
    if (m->status.code)
        return leat_fail(s, m->status.code, "%s", m->status.message);
    if (!(lr >= 0 && isfinite(lr)))
        return leat_fail(s, LEAT_EARG, "a learning rate of %g", lr);
    const leat_param *p = find_not_finite(m);
    if (p) {
        char text[LEAT_NAME_SIZE];
        leat_zero_grad(m);
        return leat_fail(s, LEAT_ENONFINITE, "the gradient of %.400s is not finite: the step was not taken",
                         leat_param_path(p, text, sizeof text));
    }
    return LEAT_OK;
}

/* ---- construction ------------------------------------------------------------------------------------------------ */

void *leat_optim_new(leat_model *m, size_t size, double lr, void (*update)(leat_optim *o, const leat_run *run))
{
    leat_optim *o = leat_arena_zalloc(&m->arena, size);
    int64_t *steps = leat_arena_zalloc(&m->arena, (size_t)m->param_count * sizeof *steps);
    if (!o || !steps) {
        leat_model_fail(m, LEAT_ENOMEM, "optimiser: out of memory for %lld parameters", (long long)leat_param_count(m));
        return NULL;
    }
    *o = (leat_optim){ .model = m, .lr = lr, .factor = 1, .steps = steps, .update = update };
    return o;
}

bool leat_check_option(leat_model *m, const char *optimiser, const char *name, double value)
{
    if (value >= 0 && isfinite(value))
        return true;
    leat_model_fail(m, LEAT_EARG, "%s: %s is %g", optimiser, name, value);
    return false;
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

static const leat_status missing = { LEAT_ESTATE, "the optimiser is missing: it could not be built" };

leat_code leat_optim_step(leat_optim *o)
{
    if (!o)
        return missing.code;
    leat_code code = leat_step_begin(o->model, o->lr * o->factor, &o->status);
    if (code)
        return code;
    leat_run run;
    for (leat_param *p = o->model->params; leat_run_find(p, o->steps, &run); p = run.after) {
        for (const leat_param *q = run.first; q != run.after; q = q->next)
            o->steps[q->index]++;
        o->update(o, &run);
    }
    leat_zero_grad(o->model);
    return LEAT_OK;
}

const leat_status *leat_optim_status(const leat_optim *o)
{
    return o ? &o->status : &missing;
}

void leat_optim_set_lr(leat_optim *o, double lr)
{
    if (o)
        o->lr = lr;
}

double leat_optim_lr(const leat_optim *o)
{
    return o ? o->lr : 0;
}

void leat_optim_set_factor(leat_optim *o, double factor)
{
    if (o)
        o->factor = factor;
}
