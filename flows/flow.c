/*
 * The chain. Forward runs the layers first to last, inverse last to first; log-determinants add up. Without recording,
 * what a layer used is given back before the next one runs.
 */
#include "flow_impl.h"

#include <string.h>

static void flow_visit(leat_module *m, leat_visitor *v)
{
    leat_flow *f = (leat_flow *)m;
    if (f->context_input)
        leat_visit(v, &f->context_input->module);
    for (int i = 0; i < f->length; i++)
        leat_visit(v, &f->layers[i]->module);
    if (f->base)
        leat_visit(v, &f->base->module);
}

static const leat_module_type flow_type = { .name = "flow", .visit = flow_visit };

leat_flow *leat_flow_new(leat_model *m, leat_base *base)
{
    leat_flow *f = leat_module_new(m, &flow_type, sizeof *f);
    if (!f)
        return NULL;
    f->base = base;
    leat_attach(&f->module, base ? &base->module : NULL, "base");
    return f;
}

static void put_layer(leat_flow *f, leat_transform *t, int at)
{
    if (f->length == f->capacity) {
        int capacity = f->capacity ? 2 * f->capacity : 16;
        leat_transform **layers =
            leat_arena_alloc(leat_model_arena(f->module.model), (size_t)capacity * sizeof *layers);
        if (!layers) {
            leat_model_fail(f->module.model, LEAT_ENOMEM, "out of memory for %d transforms", capacity);
            return;
        }
        if (f->length)
            memcpy(layers, f->layers, (size_t)f->length * sizeof *layers);
        f->layers = layers;
        f->capacity = capacity;
    }
    memmove(f->layers + at + 1, f->layers + at, (size_t)(f->length - at) * sizeof *f->layers);
    f->layers[at] = t;
    f->length++;
}

void leat_flow_add(leat_flow *f, leat_transform *t)
{
    if (!f)
        return; /* the model has failed already */
    leat_attach(&f->module, t ? &t->module : NULL, "layers.%d", f->length - (f->input ? 1 : 0));
    if (t)
        put_layer(f, t, f->length);
}

leat_code leat_flow_standardize_by(leat_flow *f, const double *mean, const double *sd, const double *context_mean,
                                   const double *context_sd)
{
    leat_model *m = f ? f->module.model : NULL;
    if (!f)
        return LEAT_ESTATE; /* the model has failed already */
    if (f->input)
        return leat_model_fail(m, LEAT_ESTATE, "the flow has a standardizer already");
    f->input = leat_standardizer(m, leat_flow_dim(f), mean, sd);
    leat_attach(&f->module, f->input ? &f->input->module : NULL, "input");
    if (f->input)
        put_layer(f, f->input, 0);
    if (f->context) {
        f->context_input = leat_standardizer(m, f->context, context_mean, context_sd);
        leat_attach(&f->module, f->context_input ? &f->context_input->module : NULL, "context");
    }
    return leat_model_code(m);
}

void leat_flow_set_context(leat_flow *f, int64_t features)
{
    if (f && features < 0)
        leat_model_fail(f->module.model, LEAT_EARG, "a context of %lld features", (long long)features);
    else if (f && f->context_input)
        leat_model_fail(f->module.model, LEAT_ESTATE, "the flow's context is standardized already");
    else if (f)
        f->context = features;
}

void leat_flow_set_recompute(leat_flow *f, leat_recompute how)
{
    if (f && ((int)how < LEAT_RECOMPUTE_NONE || how > LEAT_RECOMPUTE_INVERT))
        leat_model_fail(f->module.model, LEAT_EARG, "there is no way %d to recompute", (int)how);
    else if (f)
        f->recompute = how;
}

int64_t leat_flow_context(const leat_flow *f)
{
    return f->context;
}

int64_t leat_flow_dim(const leat_flow *f)
{
    return f->base ? f->base->dim : 0;
}

int64_t leat_flow_numbers_per_row(const leat_flow *f)
{
    if (!f || !f->base)
        return 0;
    const leat_base_type *type = (const leat_base_type *)f->base->module.type;
    return type->numbers_per_row ? type->numbers_per_row(f->base) : f->base->dim;
}

int leat_flow_length(const leat_flow *f)
{
    return f->length;
}

leat_transform *leat_flow_layer(const leat_flow *f, int i)
{
    return f->layers[i];
}

leat_model *leat_flow_model(const leat_flow *f)
{
    return f->module.model;
}

/* ---- the chain --------------------------------------------------------------------------------------------------- */

/* The model must stand before any of its parts is used. */
static bool flow_ready(const leat_flow *f, leat_tape *t)
{
    if (!f) {
        leat_tape_fail(t, LEAT_ESTATE, "the flow is missing: its model could not be built");
        return false;
    }
    leat_code code = leat_model_seal(f->module.model);
    if (code)
        leat_tape_fail(t, code, "%s", leat_model_errmsg(f->module.model));
    return code == LEAT_OK && leat_tape_code(t) == LEAT_OK;
}

/* A context of [rows, features] if the flow is conditional, else none. */
static bool context_fits(const leat_flow *f, leat_tape *t, int64_t rows, leat_var context)
{
    char text[LEAT_SHAPE_TEXT];
    if (leat_is_absent(context)) {
        if (f->context)
            leat_tape_fail(t, LEAT_ESHAPE, "the flow is conditional and is given no context of %lld features",
                           (long long)f->context);
        return f->context == 0;
    }
    leat_shape shape = leat_var_shape(context), wanted = LEAT_SHAPE(rows, f->context);
    if (f->context && (!leat_ok(context) || leat_shape_equal(&shape, &wanted)))
        return true; /* a failed or stale one is reported by the op that meets it */
    if (f->context)
        leat_tape_fail(t, LEAT_ESHAPE, "the flow is given a context of shape %s, not [%lld,%lld]",
                       leat_shape_print(&shape, text), (long long)rows, (long long)f->context);
    else
        leat_tape_fail(t, LEAT_ESHAPE, "the flow is not conditional and is given a context of shape %s",
                       leat_shape_print(&shape, text));
    return false;
}

static leat_pair failed_pair(leat_tape *t)
{
    return (leat_pair){ { .tape = t }, { .tape = t } };
}

leat_var leat_flow_see_context(const leat_flow *f, leat_var context)
{
    if (!f->context_input || leat_is_absent(context))
        return context;
    return leat_transform_forward(f->context_input, context, &(leat_flow_call){ 0 }).y;
}

static leat_pair run_chain(leat_flow *f, leat_var x, leat_var context, bool inverse)
{
    if (!flow_ready(f, x.tape) || !leat_check_features(x, leat_flow_dim(f), "a flow") ||
        !context_fits(f, x.tape, leat_var_size(x, 0), context))
        return failed_pair(x.tape);
    leat_flow_call call = { .context = leat_flow_see_context(f, context) };
    if (f->recompute && leat_tape_recording(x.tape))
        return leat_flow_recompute(f, x, &call, inverse);
    leat_pair h = { x, leat_zero_logdet(x) };
    leat_tape_mark mark = leat_tape_save(x.tape);
    for (int i = 0; i < f->length; i++) {
        leat_transform *layer = f->layers[inverse ? f->length - 1 - i : i];
        leat_pair step = (inverse ? leat_transform_inverse : leat_transform_forward)(layer, h.y, &call);
        h.y = step.y;
        h.logdet = leat_add(h.logdet, step.logdet);
        leat_tape_keep(x.tape, mark, 2, (leat_var *[]){ &h.y, &h.logdet });
    }
    return h;
}

leat_pair leat_flow_forward_given(leat_flow *f, leat_var x, leat_var context)
{
    return run_chain(f, x, context, false);
}

leat_pair leat_flow_inverse_given(leat_flow *f, leat_var z, leat_var context)
{
    return run_chain(f, z, context, true);
}

leat_var leat_flow_log_prob_given(leat_flow *f, leat_var x, leat_var context)
{
    leat_pair z = run_chain(f, x, context, false);
    if (leat_tape_code(x.tape))
        return z.y;
    return leat_add(leat_base_log_prob(f->base, z.y, leat_flow_see_context(f, context)), z.logdet);
}

static bool draws_fit(const leat_flow *f, leat_tape *t, int64_t n, leat_var context)
{
    if (n < 0)
        leat_tape_fail(t, LEAT_EARG, "%lld draws", (long long)n);
    return leat_tape_code(t) == LEAT_OK && context_fits(f, t, n, context);
}

leat_var leat_flow_sample_given(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    if (!flow_ready(f, t) || !draws_fit(f, t, n, context))
        return (leat_var){ .tape = t };
    leat_var z = leat_base_sample(f->base, t, n, temperature, leat_flow_see_context(f, context));
    return run_chain(f, z, context, true).y;
}

leat_var leat_flow_sample_log_prob_given(leat_flow *f, leat_tape *t, int64_t n, leat_var context, leat_var *log_prob)
{
    *log_prob = (leat_var){ .tape = t };
    if (!flow_ready(f, t) || !draws_fit(f, t, n, context))
        return *log_prob;
    leat_var seen = leat_flow_see_context(f, context), z = leat_base_sample(f->base, t, n, 1, seen);
    leat_pair x = run_chain(f, z, context, true);
    if (leat_tape_code(t) == LEAT_OK)
        *log_prob = leat_sub(leat_base_log_prob(f->base, z, seen), x.logdet);
    return x.y;
}

leat_code leat_flow_trace(leat_flow *f, leat_var x, leat_var context, leat_pair *steps)
{
    if (!flow_ready(f, x.tape) || !leat_check_features(x, leat_flow_dim(f), "a flow") ||
        !context_fits(f, x.tape, leat_var_size(x, 0), context))
        return leat_tape_code(x.tape);
    leat_flow_call call = { .context = leat_flow_see_context(f, context) };
    for (int k = 0; k < f->length; k++)
        steps[k] = leat_transform_forward(f->layers[k], k ? steps[k - 1].y : x, &call);
    return leat_tape_code(x.tape);
}

/* ---- without a context ------------------------------------------------------------------------------------------- */

leat_pair leat_flow_forward(leat_flow *f, leat_var x)
{
    return run_chain(f, x, (leat_var){ 0 }, false);
}

leat_pair leat_flow_inverse(leat_flow *f, leat_var z)
{
    return run_chain(f, z, (leat_var){ 0 }, true);
}

leat_var leat_flow_log_prob(leat_flow *f, leat_var x)
{
    return leat_flow_log_prob_given(f, x, (leat_var){ 0 });
}

leat_var leat_flow_sample(leat_flow *f, leat_tape *t, int64_t n, double temperature)
{
    return leat_flow_sample_given(f, t, n, temperature, (leat_var){ 0 });
}

leat_var leat_flow_sample_log_prob(leat_flow *f, leat_tape *t, int64_t n, leat_var *log_prob)
{
    return leat_flow_sample_log_prob_given(f, t, n, (leat_var){ 0 }, log_prob);
}
