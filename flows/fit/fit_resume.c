/* Resuming from a checkpoint (fit_state.c tells what is in it). All is checked before anything is changed. */
#include "fit_impl.h"
#include "../../nn/model.h"
#include "../../tensor/files/json.h"

#include <math.h>
#include <string.h>

/* A checkpoint that was read, and what it will become. */
typedef struct checkpoint {
    leat_fit *fit;
    const char *path;
    leat_arena arena;
    leat_safetensors file, weights;
    int64_t epoch, step, position, best_epoch;
    double total, lr, grad_norm;
    int64_t *steps; /* by parameter, in order of creation */
    leat_epoch_report *history;
    leat_real *best;
    const leat_real **slots, *average;
    leat_status *status;
} checkpoint;

static leat_code no_memory(const checkpoint *c)
{
    return leat_fail(c->status, LEAT_ENOMEM, "%.300s: out of memory for a checkpoint", c->path);
}

static leat_code damaged(const checkpoint *c, const char *what)
{
    return leat_fail(c->status, LEAT_EFORMAT, "%.300s: %s", c->path, what);
}

static leat_code check_same(checkpoint *c)
{
    leat_fit_text ours[LEAT_FIT_OPTIONS];
    const char *format = leat_safetensors_metadata(&c->file, "fit.format");
    if (!format)
        return damaged(c, "it is no checkpoint of a fit");
    if (strcmp(format, LEAT_FIT_FORMAT) != 0)
        return leat_fail(c->status, LEAT_EFORMAT,
                         "%.300s: a checkpoint of format %.40s; this library reads " LEAT_FIT_FORMAT, c->path, format);
    int64_t count = leat_fit_list_options(c->fit, &c->arena, ours);
    if (count == 0)
        return no_memory(c);
    for (int64_t i = 0; i < count; i++) {
        const char *theirs = leat_safetensors_metadata(&c->file, ours[i][0]);
        if (strcmp(ours[i][0], "fit.flow") == 0)
            continue; /* behind the tensors, which say more clearly what differs */
        if (theirs && strcmp(theirs, ours[i][1]) == 0)
            continue;
        if (strcmp(ours[i][0], "fit.data") == 0)
            return leat_fail(c->status, LEAT_EARG, "%.200s: made with other data: %.100s there, %.100s here", c->path,
                             theirs ? theirs : "nothing", ours[i][1]);
        return leat_fail(c->status, LEAT_EARG, "%.200s: made with another %s: %.100s there, %.100s here", c->path,
                         ours[i][0] + 4, theirs ? theirs : "none", ours[i][1]);
    }
    return LEAT_OK;
}

/* Another description of equal tensors: another base, say. */
static leat_code check_flow(checkpoint *c)
{
    leat_fit_text ours[LEAT_FIT_OPTIONS];
    int64_t count = leat_fit_list_options(c->fit, &c->arena, ours);
    for (int64_t i = 0; i < count; i++) {
        const char *theirs = leat_safetensors_metadata(&c->file, ours[i][0]);
        if (strcmp(ours[i][0], "fit.flow") == 0 && (!theirs || strcmp(theirs, ours[i][1]) != 0))
            return leat_fail(c->status, LEAT_EARG, "%.200s: made with another model, of the same shapes", c->path);
    }
    return count ? LEAT_OK : no_memory(c);
}

/* ---- its state ---- */

static bool get_number(const leat_json *v, double *out)
{
    if (v && v->kind == LEAT_JSON_NULL) {
        *out = (double)NAN;
        return true;
    }
    return leat_json_number(v, out);
}

static bool read_report(checkpoint *c, const leat_json *v, int64_t i)
{
    leat_epoch_report *r = &c->history[i];
    double number[4] = { 0 };
    int n = 0;
    if (v->kind != LEAT_JSON_ARRAY || v->count != 4)
        return false;
    for (const leat_json *x = v->first; x; x = x->next)
        if (!get_number(x, &number[n++]))
            return false;
    *r = (leat_epoch_report){
        .epoch = i + 1, .loss = number[0], .validation = number[1], .lr = number[2], .grad_norm = number[3]
    };
    if (isnan(r->validation) != !c->fit->held.index)
        return false;
    r->best = isnan(r->validation) ? c->fit->o.ema > 0
                                   : c->best_epoch == 0 || r->validation < c->history[c->best_epoch - 1].validation;
    if (r->best)
        c->best_epoch = i + 1;
    return true;
}

static leat_code read_lists(checkpoint *c, const leat_json *top)
{
    const leat_json *history = leat_json_get(top, "history"), *steps = leat_json_get(top, "steps");
    if (!history || history->kind != LEAT_JSON_ARRAY || history->count != c->epoch || !steps ||
        steps->kind != LEAT_JSON_ARRAY || steps->count != c->fit->model->param_count)
        return damaged(c, "fit.state: its lists have other lengths than they must");
    c->history = leat_arena_alloc(&c->arena, (size_t)c->epoch * sizeof *c->history);
    c->steps = leat_arena_alloc(&c->arena, (size_t)steps->count * sizeof *c->steps);
    if (!c->history || !c->steps)
        return no_memory(c);
    int64_t i = 0;
    for (const leat_json *v = history->first; v; v = v->next)
        if (!read_report(c, v, i++))
            return leat_fail(c->status, LEAT_EFORMAT, "%.300s: fit.state: epoch %lld makes no sense", c->path,
                             (long long)i);
    i = 0;
    for (const leat_json *v = steps->first; v; v = v->next)
        if (!leat_json_int(v, 0, INT64_MAX, &c->steps[i++]))
            return damaged(c, "fit.state: a count of steps makes no sense");
    return LEAT_OK;
}

static leat_code read_state(checkpoint *c)
{
    const char *text = leat_safetensors_metadata(&c->file, "fit.state");
    leat_json *top;
    if (!text)
        return damaged(c, "there is no fit.state");
    leat_code code = leat_json_read(text, strlen(text), c->path, 0, &c->arena, &top, c->status);
    if (code)
        return code;
    if (!leat_json_int(leat_json_get(top, "epoch"), 0, INT64_MAX - 1, &c->epoch) ||
        !leat_json_int(leat_json_get(top, "step"), 0, c->fit->steps, &c->step) ||
        !leat_json_int(leat_json_get(top, "random"), 0, INT64_MAX, &c->position) ||
        !leat_json_number(leat_json_get(top, "total"), &c->total) || !get_number(leat_json_get(top, "lr"), &c->lr) ||
        !get_number(leat_json_get(top, "grad_norm"), &c->grad_norm))
        return damaged(c, "fit.state: a number is missing or makes no sense");
    return read_lists(c, top);
}

/* ---- its tensors ---- */

static leat_code find_tensor(checkpoint *c, const char *prefix, const char *name, const leat_shape *shape,
                             const leat_real **data)
{
    char want[LEAT_SHAPE_TEXT], got[LEAT_SHAPE_TEXT];
    const char *full = leat_arena_format(&c->arena, "%s%s", prefix, name);
    if (!full)
        return no_memory(c);
    const leat_tensor *t = leat_safetensors_find(&c->file, full);
    if (!t)
        return leat_fail(c->status, LEAT_EFORMAT, "%.200s: made with another model: there is no '%.200s'", c->path,
                         full);
    if (!leat_shape_equal(&t->shape, shape))
        return leat_fail(c->status, LEAT_ESHAPE, "%.150s: made with another model: '%.150s' is %s there and %s here",
                         c->path, full, leat_shape_print(&t->shape, got), leat_shape_print(shape, want));
    *data = t->data;
    return LEAT_OK;
}

/* The weights under their own names, for leat_load_tensors. */
static leat_code find_weights(checkpoint *c)
{
    c->weights.entries = leat_arena_alloc(&c->arena, (size_t)c->file.count * sizeof *c->weights.entries);
    if (!c->weights.entries)
        return no_memory(c);
    for (int64_t i = 0; i < c->file.count; i++) {
        const leat_safetensors_entry *e = &c->file.entries[i];
        if (strncmp(e->name, "model.", 6) != 0)
            continue;
        if (!leat_safetensors_find(&c->fit->live, e->name + 6))
            return leat_fail(c->status, LEAT_EFORMAT, "%.200s: made with another model: this one has no '%.200s'",
                             c->path, e->name + 6);
        c->weights.entries[c->weights.count++] = (leat_safetensors_entry){ e->name + 6, e->tensor, e->doubles };
    }
    for (int64_t i = 0; i < c->fit->live.count; i++) {
        const leat_safetensors_entry *e = &c->fit->live.entries[i];
        const leat_real *data;
        leat_code code = find_tensor(c, "model.", e->name, &e->tensor.shape, &data);
        if (code)
            return code;
    }
    return LEAT_OK;
}

static leat_code find_best(checkpoint *c)
{
    const leat_fit *f = c->fit;
    if (c->best_epoch == 0)
        return LEAT_OK;
    c->best = leat_arena_alloc(&c->arena, (size_t)f->numbers * sizeof *c->best);
    leat_real *to = c->best;
    if (!to)
        return no_memory(c);
    for (int64_t i = 0; i < f->live.count; i++) {
        const leat_real *data = NULL;
        const leat_shape *shape = &f->live.entries[i].tensor.shape;
        leat_code code = find_tensor(c, "best.", f->live.entries[i].name, shape, &data);
        if (code)
            return code;
        int64_t count = leat_shape_count(shape);
        if (count)
            memcpy(to, data, (size_t)count * sizeof *to);
        to += count;
    }
    return LEAT_OK;
}

static leat_code find_slots(checkpoint *c)
{
    int slots = leat_optim_slots(c->fit->optim);
    c->slots = leat_arena_alloc(&c->arena, (size_t)slots * sizeof *c->slots);
    if (!c->slots)
        return no_memory(c);
    for (int i = 0; i < slots; i++) {
        const char *name;
        leat_tensor slot = leat_optim_slot(c->fit->optim, i, &name);
        leat_code code = find_tensor(c, "optim.", name, &slot.shape, &c->slots[i]);
        if (code)
            return code;
    }
    leat_tensor average = leat_ema_values(c->fit->ema);
    return c->fit->ema ? find_tensor(c, "optim.", LEAT_FIT_AVERAGE, &average.shape, &c->average) : LEAT_OK;
}

/* ---- taking it over ---- */

/* Nothing here can fail. */
static void take_over(checkpoint *c)
{
    leat_fit *f = c->fit;
    for (int i = 0; i < leat_optim_slots(f->optim); i++) {
        const char *name;
        leat_tensor slot = leat_optim_slot(f->optim, i, &name);
        int64_t count = leat_shape_count(&slot.shape);
        if (count)
            memcpy(slot.data, c->slots[i], (size_t)count * sizeof *slot.data);
    }
    leat_tensor average = leat_ema_values(f->ema);
    if (c->average && average.shape.size[0])
        memcpy(average.data, c->average, (size_t)average.shape.size[0] * sizeof *average.data);
    const int64_t *steps = c->steps;
    for (const leat_param *p = f->model->params; p; p = p->next)
        leat_optim_set_steps(f->optim, p, *steps++);
    if (c->best_epoch && f->numbers)
        memcpy(f->best, c->best, (size_t)f->numbers * sizeof *f->best);
    if (c->epoch)
        memcpy(f->history, c->history, (size_t)c->epoch * sizeof *f->history);
    leat_zero_grad(f->model);
    leat_tape_rng(f->tape)->position = (uint64_t)c->position;
    f->epoch = c->epoch;
    f->step = c->step;
    f->total = c->total;
    f->step_lr = c->lr;
    f->grad_norm = c->grad_norm;
    f->best_epoch = c->best_epoch;
    f->best_in_use = f->stopped = false;
    leat_batches_seek(f->batches, f->epoch, f->step);
}

static leat_code resume(checkpoint *c)
{
    leat_code code = leat_safetensors_read(c->path, &c->arena, &c->file, c->status);
    if (!code)
        code = check_same(c);
    if (!code)
        code = find_weights(c);
    if (!code)
        code = check_flow(c);
    if (!code)
        code = read_state(c);
    if (!code)
        code = find_best(c);
    if (!code)
        code = find_slots(c);
    if (!code && leat_fit_reserve(c->fit, c->epoch))
        code = no_memory(c);
    if (!code)
        code = leat_load_tensors(c->fit->model, &c->weights, c->path, c->status);
    if (!code)
        take_over(c);
    return code;
}

leat_code leat_fit_resume(leat_fit *f, const char *path, leat_status *s)
{
    const leat_status *own = leat_fit_status(f);
    if (own->code)
        return leat_fail(s, own->code, "%.300s: %.180s", path, own->message);
    checkpoint c = { .fit = f, .path = path, .status = s };
    leat_arena_init(&c.arena, leat_model_arena(f->model)->allocator);
    leat_code code = resume(&c);
    leat_arena_free(&c.arena);
    return code;
}
