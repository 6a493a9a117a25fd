/*
 * The optimisers' common part: which stretches of the flat arrays a step works on, whether it may be taken at all, the
 * step itself, and what is remembered between steps.
 */
#include "optim.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static bool is_due(const leat_param *p)
{
    return p->leaf.has_grad && !p->leaf.frozen;
}

/* Whether the parameters can take a step together. */
static bool are_alike(const leat_optim *o, const leat_param *p, const leat_param *q)
{
    const leat_optim_param *a = &o->params[p->index], *b = &o->params[q->index];
    return a->steps == b->steps && a->group.lr == b->group.lr && a->group.weight_decay == b->group.weight_decay;
}

bool leat_run_find(leat_param *p, const leat_optim *o, leat_run *run)
{
    while (p && !is_due(p))
        p = p->next;
    if (!p)
        return false;
    *run = (leat_run){ .first = p, .begin = p->offset };
    const leat_param *last = p;
    for (p = p->next; p && is_due(p) && (!o || are_alike(o, run->first, p)); p = p->next)
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

/* ---- construction ------------------------------------------------------------------------------------------------ */

static bool is_number(double value)
{
    return value >= 0 && isfinite(value);
}

static bool options_fit(leat_model *m, const char *name, const leat_optim_options *o)
{
    const struct {
        const char *name;
        double value;
        bool below_1;
    } options[] = { { "lr", o->lr, false },      { "weight_decay", o->weight_decay, false },
                    { "beta1", o->beta1, true }, { "momentum", o->momentum, false },
                    { "beta2", o->beta2, true }, { "eps", o->eps, false } };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (!is_number(options[i].value))
            leat_model_fail(m, LEAT_EARG, "%s: %s is %g", name, options[i].name, options[i].value);
        else if (options[i].below_1 && options[i].value >= 1)
            leat_model_fail(m, LEAT_EARG, "%s: %s is %g, and must be below 1", name, options[i].name, options[i].value);
    }
    if (o->eps > 0 && (leat_real)o->eps == 0) /* 0 / 0 for numbers that never had a gradient */
        leat_model_fail(m, LEAT_EARG, "%s: eps is %g, which rounds to 0", name, o->eps);
    return leat_model_code(m) == LEAT_OK;
}

leat_optim *leat_optim_new(leat_model *m, const leat_optim_type *type, const leat_optim_options *options)
{
    if (leat_model_seal(m) || !options_fit(m, type->name, options))
        return NULL;
    leat_optim *o = leat_arena_zalloc(&m->arena, sizeof *o);
    leat_optim_param *params = leat_arena_zalloc(&m->arena, (size_t)m->param_count * sizeof *params);
    bool whole = o && params && leat_model_watch(m, &o->status);
    if (whole)
        *o = (leat_optim){ .type = type, .model = m, .options = *options, .factor = 1, .params = params };
    for (; whole && o->slots < LEAT_STEP_STATES && type->slots[o->slots]; o->slots++) {
        o->slot[o->slots] = leat_arena_zalloc(&m->arena, (size_t)m->flat * sizeof(leat_real));
        whole = o->slot[o->slots] != NULL;
    }
    if (!whole) {
        leat_model_fail(m, LEAT_ENOMEM, "%s: out of memory for %lld parameters", type->name,
                        (long long)leat_param_count(m));
        return NULL;
    }
    for (int i = 0; i < m->param_count; i++)
        params[i].power1 = params[i].power2 = 1;
    return o;
}

/* ---- learning rates ---------------------------------------------------------------------------------------------- */

void leat_optim_set_lr(leat_optim *o, double lr)
{
    if (o)
        o->options.lr = lr;
}

double leat_optim_lr(const leat_optim *o)
{
    return o ? o->options.lr : 0;
}

void leat_optim_set_factor(leat_optim *o, double factor)
{
    if (o)
        o->factor = factor;
}

typedef struct grouping {
    leat_optim *optim;
    leat_group group;
} grouping;

static void group_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    const grouping *g = v->user;
    g->optim->params[p->index].group = g->group;
}

void leat_optim_set_group(leat_optim *o, leat_module *part, const leat_group *g)
{
    if (!o || !part)
        return; /* their model has failed already */
    grouping to = { o, g ? *g : (leat_group){ 0 } };
    const char *name = o->type->name;
    if (part->model != o->model)
        leat_model_fail(o->model, LEAT_EARG, "%s: a group of another model's parameters", name);
    else if (!is_number(to.group.lr))
        leat_model_fail(o->model, LEAT_EARG, "%s: lr of a group is %g", name, to.group.lr);
    else if (!isfinite(to.group.weight_decay))
        leat_model_fail(o->model, LEAT_EARG, "%s: weight_decay of a group is %g", name, to.group.weight_decay);
    else
        leat_visit(&(leat_visitor){ .user = &to, .param = group_param }, part);
}

static double lr_of(const leat_optim *o, const leat_param *p)
{
    return leat_option_or(o->params[p->index].group.lr, o->options.lr) * o->factor;
}

static double weight_decay_of(const leat_optim *o, const leat_param *p)
{
    double own = o->params[p->index].group.weight_decay;
    return own < 0 ? 0 : leat_option_or(own, o->options.weight_decay);
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

static const leat_status missing = { LEAT_ESTATE, "the optimiser is missing: it could not be built" };

static leat_code check_rates(leat_optim *o)
{
    char text[LEAT_NAME_SIZE];
    if (!is_number(o->factor))
        return leat_fail(&o->status, LEAT_EARG, "a factor of %g for learning rates", o->factor);
    if (!is_number(o->options.lr * o->factor))
        return leat_fail(&o->status, LEAT_EARG, "a learning rate of %g", o->options.lr * o->factor);
    for (const leat_param *p = o->model->params; p; p = p->next) {
        if (!is_number(lr_of(o, p)))
            return leat_fail(&o->status, LEAT_EARG, "a learning rate of %g for %.400s", lr_of(o, p),
                             leat_param_path(p, text, sizeof text));
    }
    return LEAT_OK;
}

/* Clears the status, then looks at all that could speak against a step. */
static leat_code check_step(leat_optim *o)
{
    leat_model *m = o->model;
    o->status.code = LEAT_OK;
    o->status.message[0] = '\0';
    if (m->status.code)
        return leat_fail(&o->status, m->status.code, "%s", m->status.message);
    if (check_rates(o))
        return o->status.code;
    const leat_param *p = find_not_finite(m);
    if (!p)
        return LEAT_OK;
    char text[LEAT_NAME_SIZE];
    leat_zero_grad(m);
    return leat_fail(&o->status, LEAT_ENONFINITE, "the gradient of %.400s is not finite: the step was not taken",
                     leat_param_path(p, text, sizeof text));
}

typedef struct step_work {
    const leat_optim *optim;
    int64_t begin;
    leat_step_constants constants;
} step_work;

static void step_range(void *arg, int64_t begin, int64_t end)
{
    const step_work *w = arg;
    const leat_optim *o = w->optim;
    int64_t at = w->begin + begin;
    leat_real *state[LEAT_STEP_STATES] = { NULL };
    for (int i = 0; i < o->slots; i++)
        state[i] = o->slot[i] + at;
    leat_kernels_get()->step[o->type->kernel](o->model->values + at, o->model->grads + at, state, end - begin,
                                              &w->constants);
}

static void step_run(leat_optim *o, const leat_run *run)
{
    for (const leat_param *p = run->first; p != run->after; p = p->next) {
        leat_optim_param *own = &o->params[p->index];
        own->steps++;
        own->power1 *= o->options.beta1;
        own->power2 *= o->options.beta2;
    }
    const leat_optim_param *first = &o->params[run->first->index];
    leat_optim_moment moment = { lr_of(o, run->first), weight_decay_of(o, run->first), first->power1, first->power2 };
    step_work w = { o, run->begin, o->type->constants(&o->options, &moment) };
    leat_parallel_for(o->model->pool, run->end - run->begin, LEAT_OPTIM_GRAIN, step_range, &w);
}

leat_code leat_optim_step(leat_optim *o)
{
    if (!o)
        return missing.code;
    if (check_step(o))
        return o->status.code;
    leat_run run;
    for (leat_param *p = o->model->params; leat_run_find(p, o, &run); p = run.after)
        step_run(o, &run);
    leat_zero_grad(o->model);
    return LEAT_OK;
}

const leat_status *leat_optim_status(const leat_optim *o)
{
    return o ? &o->status : &missing;
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

int leat_optim_slots(const leat_optim *o)
{
    return o ? o->slots : 0;
}

leat_tensor leat_optim_slot(const leat_optim *o, int i, const char **name)
{
    bool there = i >= 0 && i < leat_optim_slots(o);
    if (name)
        *name = there ? o->type->slots[i] : NULL;
    return there ? (leat_tensor){ o->slot[i], LEAT_SHAPE(o->model->flat) } : (leat_tensor){ 0 };
}

int64_t leat_optim_steps(const leat_optim *o, const leat_param *p)
{
    assert(!o || !p || p->model == o->model);
    return o && p ? o->params[p->index].steps : 0;
}

/* base^n with the roundings of n steps. A product that stays as it is (at 0, or by rounding) stays so for good. */
static double power_after(double base, int64_t n)
{
    double power = 1;
    for (double next = power * base; n > 0 && next != power; n--) {
        power = next;
        next = power * base;
    }
    return power;
}

void leat_optim_set_steps(leat_optim *o, const leat_param *p, int64_t steps)
{
    if (!o || !p)
        return;
    assert(p->model == o->model);
    char text[LEAT_NAME_SIZE];
    if (steps < 0) {
        leat_model_fail(o->model, LEAT_EARG, "%s: %lld steps of %.400s", o->type->name, (long long)steps,
                        leat_param_path(p, text, sizeof text));
        return;
    }
    leat_optim_param *own = &o->params[p->index];
    for (int i = 0; i < o->model->param_count; i++) {
        if (o->params[i].steps == steps) { /* most have the same count: the powers are computed once */
            own->power1 = o->params[i].power1;
            own->power2 = o->params[i].power2;
            own->steps = steps;
            return;
        }
    }
    own->power1 = power_after(o->options.beta1, steps);
    own->power2 = power_after(o->options.beta2, steps);
    own->steps = steps;
}
