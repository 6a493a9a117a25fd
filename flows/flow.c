/* The flow: a base and a chain, what it asks of its inputs, log-densities and draws. */
#include "flow_impl.h"

static void flow_visit(leat_module *m, leat_visitor *v)
{
    leat_flow *f = (leat_flow *)m;
    if (f->context_input)
        leat_visit(v, &f->context_input->module);
    leat_visit(v, f->chain ? &f->chain->transform.module : NULL);
    leat_visit(v, f->base ? &f->base->module : NULL);
}

static const leat_module_type flow_type = { .name = "flow", .visit = flow_visit };

leat_flow *leat_flow_new(leat_model *m, leat_base *base)
{
    leat_flow *f = leat_module_new(m, &flow_type, sizeof *f);
    if (!f)
        return NULL;
    f->base = base;
    f->points = 16;
    leat_attach(&f->module, base ? &base->module : NULL, "base");
    f->chain = (leat_chain_parts *)leat_chain(m);
    leat_attach(&f->module, f->chain ? &f->chain->transform.module : NULL, "%s", "");
    return f->chain ? f : NULL;
}

void leat_flow_add(leat_flow *f, leat_transform *t)
{
    if (f) /* else the model has failed already */
        leat_chain_add(&f->chain->transform, t);
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

/* Every chain below recomputes on its own. */
static void set_recompute(leat_visitor *v, leat_module *m)
{
    if (m->type == &leat_chain_type.module)
        ((leat_chain_parts *)m)->recompute = *(const leat_recompute *)v->user;
}

void leat_flow_set_recompute(leat_flow *f, leat_recompute how)
{
    if (f && ((int)how < LEAT_RECOMPUTE_NONE || how > LEAT_RECOMPUTE_INVERT))
        leat_model_fail(f->module.model, LEAT_EARG, "there is no way %d to recompute", (int)how);
    else if (f)
        leat_visit(&(leat_visitor){ .user = &how, .enter = set_recompute }, &f->module);
}

int64_t leat_flow_context(const leat_flow *f)
{
    return f->context;
}

int64_t leat_flow_dim(const leat_flow *f)
{
    return f->base ? f->base->dim : 0;
}

bool leat_flow_is_bound(const leat_flow *f)
{
    return leat_transform_is_bound(&f->chain->transform);
}

int64_t leat_flow_numbers_per_row(const leat_flow *f, bool inverse)
{
    int64_t base = inverse && f->base ? leat_base_numbers(f->base) : 0;
    return base + leat_transform_numbers(&f->chain->transform, inverse);
}

int leat_flow_length(const leat_flow *f)
{
    return f->chain->length;
}

leat_transform *leat_flow_layer(const leat_flow *f, int i)
{
    return leat_chain_layer(&f->chain->transform, i);
}

leat_base *leat_flow_base(const leat_flow *f)
{
    return f->base;
}

leat_model *leat_flow_model(const leat_flow *f)
{
    return f->module.model;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

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

leat_var leat_flow_see_context(const leat_flow *f, const leat_flow_call *call)
{
    if (!f->context_input || leat_is_absent(call->context))
        return call->context;
    return leat_transform_forward(f->context_input, call->context,
                                  &(leat_flow_call){ .standardized = call->standardized })
        .y;
}

/* Rows on the outside are flat; z is of that kind too. */
static bool rows_fit(const leat_flow *f, leat_var x, leat_var context)
{
    char text[LEAT_SHAPE_TEXT];
    if (!flow_ready(f, x.tape) || !leat_check_features(x, leat_flow_dim(f), "a flow"))
        return false;
    leat_shape shape = leat_var_shape(x);
    if (shape.rank != 2)
        leat_tape_fail(x.tape, LEAT_ESHAPE, "a flow of %lld features is given %s, not [batch,%lld]",
                       (long long)leat_flow_dim(f), leat_shape_print(&shape, text), (long long)leat_flow_dim(f));
    return shape.rank == 2 && context_fits(f, x.tape, shape.size[0], context);
}

leat_pair leat_flow_run(leat_flow *f, leat_var x, const leat_flow_call *call, bool inverse)
{
    if (!rows_fit(f, x, call->context))
        return leat_failed_pair(x);
    leat_flow_call inner = *call;
    inner.context = leat_flow_see_context(f, call);
    leat_pair out = leat_transform_run(&f->chain->transform, x, &inner, inverse);
    if (!leat_tape_code(x.tape) && leat_var_shape(out.y).rank != 2)
        leat_tape_fail(x.tape, LEAT_ESHAPE, "the flow's last transform must give [batch,%lld]; a view makes it so",
                       (long long)leat_flow_dim(f));
    return leat_tape_code(x.tape) ? leat_failed_pair(x) : out;
}

leat_var leat_flow_run_log_prob(leat_flow *f, leat_var x, const leat_flow_call *call)
{
    leat_pair z = leat_flow_run(f, x, call, false);
    if (leat_tape_code(x.tape))
        return z.y;
    leat_var base = leat_base_log_prob(f->base, z.y, leat_flow_see_context(f, call));
    if (call->ledger && !leat_tape_code(x.tape))
        leat_ledger_add(call->ledger, LEAT_LEDGER_BASE, base);
    return leat_add(base, z.logdet);
}

static bool draws_fit(const leat_flow *f, leat_tape *t, int64_t n, leat_var context)
{
    if (n < 0)
        leat_tape_fail(t, LEAT_EARG, "%lld draws", (long long)n);
    return leat_tape_code(t) == LEAT_OK && context_fits(f, t, n, context);
}

leat_var leat_flow_run_sample(leat_flow *f, leat_tape *t, int64_t n, double temperature, const leat_flow_call *call)
{
    if (!flow_ready(f, t) || !draws_fit(f, t, n, call->context))
        return (leat_var){ .tape = t };
    leat_var z = leat_base_sample(f->base, t, n, temperature, leat_flow_see_context(f, call));
    return leat_flow_run(f, z, call, true).y;
}

/* ---- in the data's units ----------------------------------------------------------------------------------------- */

static leat_flow_call given(leat_var context)
{
    return (leat_flow_call){ .context = context };
}

leat_pair leat_flow_forward_given(leat_flow *f, leat_var x, leat_var context)
{
    leat_flow_call call = given(context);
    return leat_flow_run(f, x, &call, false);
}

leat_pair leat_flow_inverse_given(leat_flow *f, leat_var z, leat_var context)
{
    leat_flow_call call = given(context);
    return leat_flow_run(f, z, &call, true);
}

leat_var leat_flow_log_prob_given(leat_flow *f, leat_var x, leat_var context)
{
    leat_flow_call call = given(context);
    return leat_flow_run_log_prob(f, x, &call);
}

leat_var leat_flow_sample_given(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_var context)
{
    leat_flow_call call = given(context);
    return leat_flow_run_sample(f, t, n, temperature, &call);
}

leat_var leat_flow_sample_log_prob_given(leat_flow *f, leat_tape *t, int64_t n, leat_var context, leat_var *log_prob)
{
    *log_prob = (leat_var){ .tape = t };
    if (!flow_ready(f, t) || !draws_fit(f, t, n, context))
        return *log_prob;
    leat_flow_call call = given(context);
    leat_var seen = leat_flow_see_context(f, &call), z = leat_base_sample(f->base, t, n, 1, seen);
    leat_pair x = leat_flow_run(f, z, &call, true);
    if (leat_tape_code(t) == LEAT_OK)
        *log_prob = leat_sub(leat_base_log_prob(f->base, z, seen), x.logdet);
    return x.y;
}

leat_code leat_flow_trace(leat_flow *f, leat_var x, leat_var context, leat_pair *steps)
{
    if (!rows_fit(f, x, context))
        return leat_tape_code(x.tape);
    leat_flow_call call = given(context);
    call.context = leat_flow_see_context(f, &call);
    for (int k = 0; k < f->chain->length; k++)
        steps[k] = leat_transform_forward(f->chain->layers[k], k ? steps[k - 1].y : x, &call);
    return leat_tape_code(x.tape);
}

/* ---- without a context ------------------------------------------------------------------------------------------- */

leat_pair leat_flow_forward(leat_flow *f, leat_var x)
{
    return leat_flow_forward_given(f, x, (leat_var){ 0 });
}

leat_pair leat_flow_inverse(leat_flow *f, leat_var z)
{
    return leat_flow_inverse_given(f, z, (leat_var){ 0 });
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
