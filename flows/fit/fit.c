/*
 * Fitting a flow to data: steps, epochs, early stopping.
 *
 * A fit stands at (epoch, step), and its batches stand there too. A callback may stop it behind any step; the next call
 * goes on from there. All that a step needs is taken at the beginning, so none allocates from the third on.
 */
#include "fit_impl.h"
#include "../../nn/model.h"

#include <math.h>
#include <string.h>

#define STREAM_BATCHES ((uint64_t)1 << 35)
#define STREAM_TAPE    (((uint64_t)1 << 36) + 1)

static const leat_status missing = { LEAT_ESTATE, "the fit is missing: it, or its flow, could not be built" };

/* ---- construction ------------------------------------------------------------------------------------------------ */

static leat_code check_number(leat_fit *f, const char *name, double value)
{
    if (value >= 0 && isfinite(value))
        return LEAT_OK;
    return leat_fail(&f->status, LEAT_EARG, "fit: %s is %g", name, value);
}

static leat_code check_options(leat_fit *f)
{
    leat_fit_opts *o = &f->o;
    if (o->batch == 0)
        o->batch = 256;
    if (o->batch < 1 || o->epochs < 0 || o->patience < 0)
        return leat_fail(&f->status, LEAT_EARG, "fit: %lld epochs, batches of %lld rows, a patience of %lld",
                         (long long)o->epochs, (long long)o->batch, (long long)o->patience);
    if (!(o->validation >= 0 && o->validation < 1))
        return leat_fail(&f->status, LEAT_EARG, "fit: a validation part of %g: it must be from 0 to below 1",
                         o->validation);
    if (o->held_last < 0 || (o->held_last > 0 && o->validation > 0))
        return leat_fail(&f->status, LEAT_EARG, "fit: %lld rows are held out, and a validation part of %g",
                         (long long)o->held_last, o->validation);
    if (o->patience > 0 && o->validation == 0 && o->held_last == 0)
        return leat_fail(&f->status, LEAT_EARG, "fit: a patience of %lld needs validation rows",
                         (long long)o->patience);
    if ((int)o->optimiser < LEAT_FIT_ADAM || (int)o->optimiser > LEAT_FIT_SGD)
        return leat_fail(&f->status, LEAT_EARG, "fit: there is no optimiser %d", (int)o->optimiser);
    if (check_number(f, "lr", o->lr) || check_number(f, "weight_decay", o->weight_decay))
        return f->status.code;
    if (!(o->ema >= 0 && o->ema < 1))
        return leat_fail(&f->status, LEAT_EARG, "fit: ema is %g, and must be from 0 to below 1", o->ema);
    return check_number(f, "clip", o->clip);
}

static leat_optim *make_optimiser(leat_model *m, const leat_fit_opts *o)
{
    leat_adam_opts adam = { .lr = o->lr, .weight_decay = o->weight_decay };
    if (o->optim)
        return o->optim;
    switch (o->optimiser) {
    case LEAT_FIT_ADAMW:
        return leat_adamw_new(m, &adam);
    case LEAT_FIT_ADAMAX:
        return leat_adamax_new(m, &adam);
    case LEAT_FIT_RMSPROP:
        return leat_rmsprop_new(m, &(leat_rmsprop_opts){ .lr = o->lr, .weight_decay = o->weight_decay });
    case LEAT_FIT_SGD:
        return leat_sgd_new(m, &(leat_sgd_opts){ .lr = o->lr, .weight_decay = o->weight_decay });
    case LEAT_FIT_ADAM:
        break;
    }
    return leat_adam_new(m, &adam);
}

/* Whether the weights at the end are others than those that are trained. */
static bool has_best(const leat_fit *f)
{
    return f->held.index || f->o.ema > 0;
}

/* The list of weights, and room for copies of them. */
static leat_code list_weights(leat_fit *f)
{
    leat_arena *a = leat_model_arena(f->model);
    leat_code code = leat_model_list(f->model, a, &f->live);
    for (int64_t i = 0; i < f->live.count && !code; i++)
        f->numbers += leat_shape_count(&f->live.entries[i].tensor.shape);
    if (!code) {
        f->best = has_best(f) ? leat_arena_alloc(a, (size_t)f->numbers * sizeof(leat_real)) : NULL;
        f->last = leat_arena_alloc(a, (size_t)f->numbers * sizeof(leat_real));
        code = f->last && (f->best || !has_best(f)) ? LEAT_OK : LEAT_ENOMEM;
    }
    return code ? leat_fail(&f->status, code, "fit: out of memory for copies of the weights") : LEAT_OK;
}

static leat_code make_parts(leat_fit *f)
{
    leat_model *m = f->model;
    const leat_fit_opts *o = &f->o;
    f->optim = make_optimiser(m, o);
    f->lr = leat_optim_lr(f->optim);
    f->ema = o->ema > 0 ? leat_ema_new(m, o->ema) : NULL;
    if (f->train.rows) /* of which only the order is asked */
        f->batches =
            leat_batches_new(m, (leat_tensor){ .shape = LEAT_SHAPE(f->train.rows, 0) },
                             &(leat_batches_opts){ .size = o->batch, .seed = o->seed, .stream = STREAM_BATCHES });
    f->tape = leat_model_tape(m, NULL);
    if (leat_model_code(m))
        return leat_fail(&f->status, leat_model_code(m), "%s", leat_model_errmsg(m));
    f->steps = f->batches ? leat_batches_per_epoch(f->batches) : o->steps;
    *leat_tape_rng(f->tape) = leat_rng_new(o->seed, STREAM_TAPE);
    return LEAT_OK;
}

leat_fit *leat_fit_new(leat_flow *flow, const leat_fit_opts *o)
{
    leat_model *m = flow ? leat_flow_model(flow) : NULL;
    leat_fit *f = m ? leat_arena_zalloc(leat_model_arena(m), sizeof *f) : NULL;
    if (!f)
        return NULL;
    f->model = m;
    f->flow = flow;
    f->o = *o;
    if (!leat_model_watch(m, &f->status))
        return NULL;
    if (leat_model_seal(m)) {
        leat_fail(&f->status, leat_model_code(m), "%s", leat_model_errmsg(m));
        return f;
    }
    if (!check_options(f) && !leat_fit_take_doubles(f) && !leat_fit_check_data(flow, &f->o, &f->status) &&
        !leat_fit_split(f) && !list_weights(f))
        make_parts(f);
    return f;
}

int64_t leat_fit_steps(const leat_fit_opts *o)
{
    if (!o->data.data && !o->doubles.data && !o->bytes.data)
        return o->steps;
    int64_t batch = o->batch > 0 ? o->batch : 256, rows = leat_fit_shape(o).size[0] - leat_fit_held_rows(o);
    return rows / batch + (rows % batch != 0);
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

void leat_fit_pack(const leat_fit *f, leat_real *to)
{
    for (int64_t i = 0; i < f->live.count; i++) {
        const leat_tensor *t = &f->live.entries[i].tensor;
        int64_t count = leat_shape_count(&t->shape);
        if (count)
            memcpy(to, t->data, (size_t)count * sizeof *to);
        to += count;
    }
}

/* Modules are told of their new values, as after a load from a file. */
static leat_code unpack(leat_fit *f, leat_real *from)
{
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(f->model)->allocator);
    leat_safetensors packed = { .count = f->live.count };
    packed.entries = leat_arena_alloc(&scratch, (size_t)packed.count * sizeof *packed.entries);
    leat_code code = LEAT_ENOMEM;
    if (packed.entries) {
        for (int64_t i = 0; i < packed.count; i++) {
            packed.entries[i] = f->live.entries[i];
            packed.entries[i].tensor.data = from;
            from += leat_shape_count(&packed.entries[i].tensor.shape);
        }
        code = leat_load_tensors(f->model, &packed, "fit", &f->status);
    } else {
        leat_fail(&f->status, code, "fit: out of memory for copies of the weights");
    }
    leat_arena_free(&scratch);
    return code;
}

leat_code leat_fit_use_best(leat_fit *f, bool best)
{
    if (!f)
        return missing.code;
    if (f->best_epoch == 0 || f->best_in_use == best)
        return LEAT_OK;
    if (best)
        leat_fit_pack(f, f->last);
    f->sound = false;
    leat_code code = unpack(f, best ? f->best : f->last);
    if (!code)
        f->best_in_use = best;
    return code;
}

/* The run has failed: in place of the last weights, which may be what it failed by, come the best, or those that were
 * sound when the epoch began. */
static leat_code bring_back(leat_fit *f)
{
    leat_real *back = f->best_epoch ? f->best : f->sound ? f->last : NULL;
    f->sound = back && !unpack(f, back);
    return f->status.code;
}

/* ---- epochs ------------------------------------------------------------------------------------------------------ */

/* What a step makes small. */
static leat_var cost_of(leat_fit *f, leat_var x, leat_var context)
{
    leat_flow_call call = { .context = context, .standardized = f->standardized };
    return f->o.loss ? f->o.loss(f->o.user, f->flow, f->tape, x, context)
                     : leat_neg(leat_mean(leat_flow_run_log_prob(f->flow, x, &call)));
}

static leat_var cost_of_rows(leat_fit *f, const int64_t *which, int64_t rows)
{
    leat_tensor x, context;
    leat_fit_take(f, &f->train, which, rows, &x, &context);
    return cost_of(f, x.data ? leat_borrow(f->tape, x) : (leat_var){ 0 },
                   context.data ? leat_borrow(f->tape, context) : (leat_var){ 0 });
}

leat_code leat_fit_check_weights(leat_fit *f, leat_status *s)
{
    leat_tape *t = f->tape;
    bool recording = leat_tape_set_recording(t, false), training = leat_tape_set_training(t, false);
    leat_rng was = *leat_tape_rng(t);
    leat_tape_reset(t);
    int64_t rows = f->train.rows < f->o.batch ? f->train.rows : f->o.batch;
    double loss = leat_item(cost_of_rows(f, NULL, rows));
    *leat_tape_rng(t) = was;
    leat_tape_set_recording(t, recording);
    leat_tape_set_training(t, training);
    if (leat_tape_code(t))
        return leat_fail(s, leat_tape_code(t), "%s", leat_tape_errmsg(t));
    return isfinite(loss) ? LEAT_OK : leat_fail(s, LEAT_ENONFINITE, "the loss with the last weights is %g", loss);
}

/* The average with less of the past at first. */
static void update_average(leat_fit *f)
{
    double n = (double)(f->epoch * f->steps + f->step), most = (1 + n) / (10 + n);
    leat_ema_set_decay(f->ema, f->o.ema < most ? f->o.ema : most);
    leat_ema_update(f->ema);
}

static leat_code take_step(leat_fit *f, leat_index batch, double *loss, leat_status *s)
{
    leat_tape *t = f->tape;
    leat_tape_reset(t);
    leat_var cost = cost_of_rows(f, batch.at, batch.count);
    *loss = leat_item(cost) - f->train.logdet;
    if (leat_backward(cost))
        return leat_fail(s, leat_tape_code(t), "%s", leat_tape_errmsg(t));
    if (f->step == 0 || !f->sound)
        leat_fit_pack(f, f->last);
    f->sound = true;
    if (f->o.clip > 0 || f->step + 1 == f->steps)
        f->grad_norm = leat_clip_grad_norm(f->model, f->o.clip > 0 ? f->o.clip : (double)INFINITY);
    double factor = leat_schedule_at(f->o.schedule, f->epoch * f->steps + f->step);
    if (f->o.schedule)
        leat_optim_set_factor(f->optim, factor);
    if (leat_optim_step(f->optim))
        return leat_fail(s, leat_optim_status(f->optim)->code, "%s", leat_optim_status(f->optim)->message);
    f->step_lr = leat_optim_lr(f->optim) * factor;
    if (f->ema)
        update_average(f);
    return LEAT_OK;
}

leat_code leat_fit_reserve(leat_fit *f, int64_t epochs)
{
    if (epochs <= f->history_capacity)
        return LEAT_OK;
    int64_t capacity = f->history_capacity ? 2 * f->history_capacity : 64;
    if (capacity < epochs)
        capacity = epochs;
    leat_epoch_report *larger = leat_arena_alloc(leat_model_arena(f->model), (size_t)capacity * sizeof *larger);
    if (!larger)
        return LEAT_ENOMEM;
    if (f->epoch)
        memcpy(larger, f->history, (size_t)f->epoch * sizeof *larger);
    f->history = larger;
    f->history_capacity = capacity;
    return LEAT_OK;
}

static bool is_better(const leat_fit *f, double validation)
{
    return !f->held.index
               ? has_best(f)
               : !isnan(validation) && (f->best_epoch == 0 || validation < f->history[f->best_epoch - 1].validation);
}

/* Looks at the weights that may become the best, the averages if there are any, and keeps them if they do. */
static leat_code judge(leat_fit *f, leat_epoch_report *r, leat_status *s)
{
    leat_ema_swap(f->ema);
    leat_code code = f->held.index ? leat_fit_validate(f, &r->validation, s)
                     : has_best(f) ? leat_fit_check_weights(f, s)
                                   : LEAT_OK;
    r->best = !code && is_better(f, r->validation);
    if (r->best)
        leat_fit_pack(f, f->best);
    leat_ema_swap(f->ema);
    return code;
}

/* All rows have been trained on: validates, and begins the next epoch. */
static leat_code finish_epoch(leat_fit *f, leat_epoch_report *r)
{
    leat_status why = { 0 };
    *r = (leat_epoch_report){ .epoch = f->epoch + 1,
                              .loss = f->total / (double)(f->batches ? f->train.rows : f->steps),
                              .validation = (double)NAN,
                              .lr = f->step_lr,
                              .grad_norm = f->grad_norm };
    if (leat_fit_reserve(f, f->epoch + 1))
        return leat_fail(&f->status, LEAT_ENOMEM, "fit: out of memory for %lld epochs", (long long)r->epoch);
    if (judge(f, r, &why))
        return leat_fail(&f->status, why.code, "stopped at the validation of epoch %lld: %.400s", (long long)r->epoch,
                         why.message);
    f->history[f->epoch++] = *r;
    f->step = 0;
    f->total = 0;
    if (r->best)
        f->best_epoch = f->epoch;
    f->stopped = f->o.on_epoch && !f->o.on_epoch(f->o.user, f, r);
    return LEAT_OK;
}

/* Without data a batch is empty, and there are `steps` of them. */
static bool next_batch(leat_fit *f, leat_index *batch)
{
    leat_tensor rows;
    bool more = f->batches ? leat_batches_next(f->batches, &rows) : f->step < f->steps;
    *batch = leat_batches_rows(f->batches);
    return more;
}

static leat_code run_epoch(leat_fit *f, leat_epoch_report *r)
{
    leat_index batch;
    double loss;
    leat_fit_dequantize(f);
    while (!f->stopped && next_batch(f, &batch)) {
        leat_status why = { 0 };
        if (take_step(f, batch, &loss, &why))
            return leat_fail(&f->status, why.code, "stopped at step %lld of epoch %lld: %.400s", (long long)f->step + 1,
                             (long long)f->epoch + 1, why.message);
        f->step++;
        f->total += loss * (double)(f->batches ? batch.count : 1);
        leat_step_report report = { f->epoch + 1, f->step, f->steps, loss, f->step_lr };
        f->stopped = f->o.on_step && !f->o.on_step(f->o.user, f, &report);
    }
    return f->stopped ? LEAT_OK : finish_epoch(f, r);
}

leat_code leat_fit_epoch(leat_fit *f, leat_epoch_report *r)
{
    leat_epoch_report own;
    if (!r)
        r = &own;
    *r = (leat_epoch_report){ 0 };
    if (!f)
        return missing.code;
    f->stopped = false;
    if (f->status.code || leat_fit_use_best(f, false))
        return f->status.code;
    return run_epoch(f, r) ? bring_back(f) : LEAT_OK;
}

leat_code leat_fit_run(leat_fit *f)
{
    if (!f)
        return missing.code;
    f->stopped = false;
    while (!f->status.code && !f->stopped && !leat_fit_get_state(f).done)
        leat_fit_epoch(f, NULL);
    leat_status why = { 0 };
    if (f->status.code || !leat_fit_get_state(f).done)
        return f->status.code;
    if (f->best_epoch > 0) /* their loss is finite */
        return leat_fit_use_best(f, true);
    if (!leat_fit_check_weights(f, &why))
        return LEAT_OK;
    leat_fail(&f->status, why.code, "stopped after epoch %lld: %s", (long long)f->epoch, why.message);
    return bring_back(f);
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

const leat_status *leat_fit_status(const leat_fit *f)
{
    return f ? &f->status : &missing;
}

leat_fit_state leat_fit_get_state(const leat_fit *f)
{
    if (!f)
        return (leat_fit_state){ .done = true };
    bool out_of_patience = f->o.patience > 0 && f->epoch - f->best_epoch >= f->o.patience;
    return (leat_fit_state){
        .rows = f->train.rows,
        .validation_rows = f->held.rows,
        .epoch = f->epoch,
        .step = f->step,
        .steps = f->steps,
        .best_epoch = f->best_epoch,
        .stopped = f->stopped,
        .sound = f->sound,
        .out_of_patience = out_of_patience,
        .done = f->epoch >= f->o.epochs || out_of_patience,
        .history = f->history,
    };
}
