/*
 * The chain: transforms one after the other, itself a transform. Forward runs the layers first to last, inverse last to
 * first; log-determinants add up. Without recording, what a layer used is given back before the next one runs.
 */
#include "../flow_impl.h"

#include <string.h>

static leat_pair chain_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    leat_chain_parts *c = (leat_chain_parts *)t;
    if (c->recompute && leat_tape_recording(x.tape) && leat_ok(x))
        return leat_chain_recompute(c, x, call, inverse);
    leat_pair h = { x, leat_zero_logdet(x) };
    leat_tape_mark mark = leat_tape_save(x.tape);
    for (int i = 0; i < c->length; i++) {
        leat_pair step = leat_transform_run(c->layers[inverse ? c->length - 1 - i : i], h.y, call, inverse);
        h.y = step.y;
        h.logdet = leat_add(h.logdet, step.logdet);
        leat_tape_keep(x.tape, mark, 2, (leat_var *[]){ &h.y, &h.logdet });
    }
    return h;
}

/* ---- what its type says follows from its layers ------------------------------------------------------------------ */

static void chain_visit(leat_module *m, leat_visitor *v)
{
    const leat_chain_parts *c = (const leat_chain_parts *)m;
    for (int i = 0; i < c->length; i++)
        leat_visit(v, &c->layers[i]->module);
}

static void chain_trace_moved(const leat_transform *t, int64_t numbers, bool *moved)
{
    const leat_chain_parts *c = (const leat_chain_parts *)t;
    for (int i = 0; i < c->length; i++)
        leat_transform_trace(c->layers[i], numbers, moved);
}

/* One that rounds counts as unknown: its layers keep their own account of rounding (recompute.c). */
static leat_inverse_kind chain_inverse_kind(const leat_transform *t)
{
    const leat_chain_parts *c = (const leat_chain_parts *)t;
    for (int i = 0; i < c->length; i++) {
        if (leat_kind_of(c->layers[i]) != LEAT_INVERSE_EXACT)
            return LEAT_INVERSE_UNKNOWN;
    }
    return LEAT_INVERSE_EXACT;
}

static int64_t chain_numbers_per_row(const leat_transform *t, bool inverse)
{
    const leat_chain_parts *c = (const leat_chain_parts *)t;
    int64_t numbers = 0;
    for (int i = 0; i < c->length; i++)
        numbers += leat_transform_numbers(c->layers[i], inverse);
    return numbers;
}

static bool chain_is_bound(const leat_transform *t)
{
    const leat_chain_parts *c = (const leat_chain_parts *)t;
    for (int i = 0; i < c->length; i++) {
        if (leat_transform_is_bound(c->layers[i]))
            return true;
    }
    return false;
}

static bool chain_out_row(const leat_transform *t, leat_shape *row)
{
    const leat_chain_parts *c = (const leat_chain_parts *)t;
    for (int i = 0; i < c->length; i++) {
        if (!leat_transform_row(c->layers[i], row))
            return false;
    }
    return true;
}

static void chain_write(const leat_module *m, leat_part_writer *w)
{
    const leat_chain_parts *c = (const leat_chain_parts *)m;
    leat_json_key(&w->json, "layers");
    leat_json_open(&w->json, '[');
    for (int i = c->standardized; i < c->length; i++)
        leat_part_write(w, &c->layers[i]->module);
    leat_json_close(&w->json, ']');
}

static leat_module *chain_read(leat_part_reader *r, const leat_json *v)
{
    const leat_json *layers = leat_json_get(v, "layers");
    if (!layers || layers->kind != LEAT_JSON_ARRAY)
        return leat_part_fail(r, LEAT_EFORMAT, "a chain without a list of layers");
    leat_transform *chain = leat_chain(r->model);
    int i = 0;
    for (const leat_json *layer = layers->first; layer; layer = layer->next) {
        leat_transform *t = leat_part_transform(r, layer, "layers.%d", i++);
        if (!t)
            return NULL;
        leat_chain_add(chain, t);
    }
    return chain ? &chain->module : NULL;
}

const leat_transform_type leat_chain_type = {
    .module = { .name = "chain", .visit = chain_visit, .write = chain_write, .read = chain_read },
    .run = chain_run,
    .trace_moved = chain_trace_moved,
    .inverse_kind = chain_inverse_kind,
    .numbers_per_row = chain_numbers_per_row,
    .is_bound = chain_is_bound,
    .out_row = chain_out_row,
};

/* ---- building ---------------------------------------------------------------------------------------------------- */

leat_transform *leat_chain(leat_model *m)
{
    return leat_module_new(m, &leat_chain_type.module, sizeof(leat_chain_parts));
}

static leat_chain_parts *parts_of(leat_transform *chain)
{
    if (!chain || chain->module.type == &leat_chain_type.module)
        return (leat_chain_parts *)chain;
    leat_model_fail(chain->module.model, LEAT_EARG, "%s is not a chain", chain->module.type->name);
    return NULL;
}

static bool grow(leat_chain_parts *c)
{
    leat_model *m = c->transform.module.model;
    int capacity = c->capacity ? 2 * c->capacity : 16;
    leat_transform **layers = leat_arena_alloc(leat_model_arena(m), (size_t)capacity * sizeof *layers);
    if (!layers) {
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for %d transforms", capacity);
        return false;
    }
    if (c->length)
        memcpy(layers, c->layers, (size_t)c->length * sizeof *layers);
    c->layers = layers;
    c->capacity = capacity;
    return true;
}

void leat_chain_add(leat_transform *chain, leat_transform *t)
{
    leat_chain_parts *c = parts_of(chain);
    if (!c)
        return; /* the model has failed already */
    leat_attach(&chain->module, t ? &t->module : NULL, "layers.%d", c->length - c->standardized);
    if (t && (c->length < c->capacity || grow(c)))
        c->layers[c->length++] = t;
}

void leat_chain_standardize(leat_chain_parts *c, leat_transform *input)
{
    leat_attach(&c->transform.module, input ? &input->module : NULL, "input");
    if (!input || (c->length == c->capacity && !grow(c)))
        return;
    memmove(c->layers + 1, c->layers, (size_t)c->length++ * sizeof *c->layers);
    c->layers[0] = input;
    c->standardized = true;
}

int leat_chain_length(const leat_transform *chain)
{
    return chain && chain->module.type == &leat_chain_type.module ? ((const leat_chain_parts *)chain)->length : 0;
}

leat_transform *leat_chain_layer(const leat_transform *chain, int i)
{
    return i >= 0 && i < leat_chain_length(chain) ? ((const leat_chain_parts *)chain)->layers[i] : NULL;
}
