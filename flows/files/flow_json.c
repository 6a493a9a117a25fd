/*
 * A flow as JSON and back:
 *
 *     {"format":2,"dim":2,"context":0,"input":true,"base":"normal",
 *      "layers":[{"type":"coupling","dim":2,"elementwise":"affine","snet":[{"type":"linear","in":1,"out":9},..],..},..]}
 *
 * Parts are written as nn/parts.h has it. What stands in buffers (masks, orders) is not repeated: reading takes it from
 * the tensors of the same file. Format 1 told no "dim" of a transform: it was the flow's.
 */
#include "flow_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <math.h>
#include <string.h>

/* Every transform, base and bijector that a file can hold, beside the caller's. */
static const leat_module_type *const transforms[] = {
    &leat_coupling_type.module,
    &leat_conditional_type.module,
    &leat_permutation_type.module,
    &leat_reverse_type.module,
    &leat_diagonal_scale_type.module,
    &leat_actnorm_type.module,
    &leat_lu_linear_type.module,
    &leat_standardizer_type.module,
    &leat_batch_norm_transform_type.module,
    &leat_chain_type.module,
    &leat_view_type.module,
    &leat_split_type.module,
    &leat_inverse_of_type.module,
    &leat_autoregressive_type.module,
    &leat_squeeze_type.module,
    &leat_dequantize_type.module,
    &leat_logit_type.module,
    &leat_householder_type.module,
    &leat_planar_type.module,
    &leat_radial_type.module,
    &leat_sylvester_type.module,
    &leat_block_autoregressive_type.module,
    NULL,
};
static const leat_module_type *const bases[] = {
    &leat_normal_type.module,
    &leat_diagonal_normal_type.module,
    &leat_logistic_type.module,
    &leat_student_t_type.module,
    &leat_generalized_normal_type.module,
    &leat_conditional_normal_type.module,
    &leat_class_normal_type.module,
    &leat_gaussian_mixture_type.module,
    &leat_uniform_box_type.module,
    NULL,
};
static const leat_elementwise *const elementwises[] = {
    &leat_additive,
    &leat_affine,
    &leat_bounded_affine,
    &leat_sigmoid_affine,
    &leat_softplus_affine,
    &leat_floored_affine,
    &leat_default_rational_quadratic,
    &leat_default_clipped_rational_quadratic,
    &leat_default_logistic_mixture,
    &leat_default_flowpp_mixture,
    &leat_default_normal_mixture,
    &leat_default_linear_spline,
    &leat_default_quadratic_spline,
    &leat_default_sos_polynomial,
    &leat_default_bernstein_polynomial,
    &leat_default_deep_sigmoid,
    NULL,
};

/* ---- elementwise bijectors --------------------------------------------------------------------------------------- */

static const leat_elementwise *find_elementwise(const leat_elementwise *const *list, const char *name)
{
    while (list && *list && !leat_part_is_name(name, (*list)->name))
        list++;
    return list ? *list : NULL;
}

static bool same_constants(const leat_elementwise *a, const leat_elementwise *b)
{
    bool same = memcmp(a->number, b->number, sizeof a->number) == 0;
    for (int g = 0; g < LEAT_MAX_GROUPS && b->theta[g].name; g++)
        same = same && a->theta[g].width == b->theta[g].width;
    return same;
}

/* "affine", or with constants other than the bijector's usual ones {"type":"spline","widths":[..],"numbers":[..]} */
void leat_elementwise_write(leat_part_writer *w, const leat_module *owner, const leat_elementwise *e)
{
    const leat_elementwise *known = find_elementwise(elementwises, e->name);
    leat_json_key(&w->json, "elementwise");
    if (known && (known->forward != e->forward || known->inverse != e->inverse)) {
        leat_part_refuse(w, owner, "the elementwise bijector '%.80s' has the name of another one of leat", e->name);
    } else if (known && same_constants(e, known)) {
        leat_json_put_text(&w->json, e->name);
    } else {
        leat_json_open(&w->json, '{');
        leat_part_put_text(w, "type", e->name);
        leat_json_key(&w->json, "widths");
        leat_json_open(&w->json, '[');
        for (int g = 0; g < LEAT_MAX_GROUPS && e->theta[g].name; g++)
            leat_json_put_int(&w->json, e->theta[g].width);
        leat_json_close(&w->json, ']');
        leat_json_key(&w->json, "numbers");
        leat_json_open(&w->json, '[');
        for (size_t i = 0; i < sizeof e->number / sizeof *e->number; i++)
            leat_json_put_number(&w->json, e->number[i]);
        leat_json_close(&w->json, ']');
        leat_json_close(&w->json, '}');
    }
}

static bool read_constants(const leat_json *v, leat_elementwise *e)
{
    const leat_json *widths = leat_json_get(v, "widths"), *numbers = leat_json_get(v, "numbers");
    if (!widths || widths->kind != LEAT_JSON_ARRAY || !numbers || numbers->kind != LEAT_JSON_ARRAY)
        return false;
    const leat_json *at = widths->first;
    for (int g = 0; g < LEAT_MAX_GROUPS && e->theta[g].name; g++, at = at->next) {
        if (!at || !leat_json_int(at, 1, 1 << 20, &e->theta[g].width))
            return false;
    }
    const leat_json *number = numbers->first;
    for (size_t i = 0; i < sizeof e->number / sizeof *e->number; i++, number = number->next) {
        if (!number || !leat_json_number(number, &e->number[i]))
            return false;
    }
    return !at && !number;
}

const leat_elementwise *leat_elementwise_read(leat_part_reader *r, const leat_json *owner)
{
    const leat_own_parts *own = r->own;
    const leat_json *v = leat_json_get(owner, "elementwise");
    const char *type = leat_part_type(r, v);
    const leat_elementwise *known = type ? find_elementwise(elementwises, type) : NULL;
    if (type && !known && own)
        known = find_elementwise(own->elementwises, type);
    if (!known)
        return type ? leat_part_fail(r, LEAT_EFORMAT, "this version does not know the elementwise bijector '%.80s'",
                                     type)
                    : NULL;
    if (v->kind == LEAT_JSON_STRING)
        return known;
    size_t size = known->size ? known->size : sizeof *known;
    leat_elementwise *e = leat_arena_alloc(leat_model_arena(r->model), size);
    if (!e)
        return leat_part_fail(r, LEAT_ENOMEM, "out of memory for '%.80s'", type);
    memcpy(e, known, size);
    if (read_constants(v, e))
        return same_constants(e, known) ? known : e;
    return leat_part_fail(r, LEAT_EFORMAT, "the constants of '%.80s' are not whole", type);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void write_flow(leat_part_writer *w, const leat_flow *f)
{
    leat_json_open(&w->json, '{');
    leat_part_put_int(w, "format", LEAT_FLOW_FORMAT);
    leat_part_put_int(w, "dim", leat_flow_dim(f));
    leat_part_put_int(w, "context", f->context);
    leat_part_put_bool(w, "input", f->input != NULL);
    leat_part_put_module(w, "base", &f->base->module);
    leat_chain_type.module.write(&f->chain->transform.module, w);
    leat_json_close(&w->json, '}');
}

char *leat_flow_describe(leat_flow *f, leat_arena *a, leat_status *s)
{
    leat_code code = f ? leat_model_seal(f->module.model) : LEAT_ESTATE;
    if (code) {
        leat_fail(s, code, "%s", f ? leat_model_errmsg(f->module.model) : "the flow is missing");
        return NULL;
    }
    char *text = NULL;
    size_t size;
    leat_part_writer w = { .json = leat_json_writer_new(a) };
    write_flow(&w, f);
    if (w.status.code)
        leat_fail(s, w.status.code, "%s", w.status.message);
    else
        leat_json_finish(&w.json, &text, &size, s);
    return text;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

int64_t leat_part_features(const leat_part_reader *r)
{
    return r->features;
}

/* Most parts have a tensor with a number for each feature; the few flows without one are small. */
static bool is_bounded(leat_part_reader *r, int64_t features)
{
    if (features <= (r->largest > 65536 ? r->largest : 65536))
        return true;
    leat_part_fail(r, LEAT_EFORMAT, "%lld features are more than the file has numbers", (long long)features);
    return false;
}

int64_t leat_read_dim(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_json_get(v, "dim") ? leat_part_size(r, v, "dim", 1) : r->features;
    return dim > 0 && is_bounded(r, dim) ? dim : -1;
}

const leat_tensor *leat_read_tensor(leat_part_reader *r, const char *name, int64_t features)
{
    char path[sizeof r->place + 40];
    snprintf(path, sizeof path, "%s.%.32s", r->place, name);
    const leat_tensor *t = leat_safetensors_find(r->file, path);
    if (!t)
        return leat_part_fail(r, LEAT_EFORMAT, "there is no tensor '%s'", path);
    if (t->shape.rank == 1 && t->shape.size[0] == features)
        return t;
    return leat_part_fail(r, LEAT_ESHAPE, "the tensor '%s' is not one of %lld features", name, (long long)features);
}

/* Its name stands in r->place for the time of the call. */
leat_transform *leat_part_transform(leat_part_reader *r, const leat_json *v, const char *format, ...)
{
    size_t was = strlen(r->place);
    int n = snprintf(r->place + was, sizeof r->place - was, "%s", was ? "." : "");
    va_list args;
    va_start(args, format);
    vsnprintf(r->place + was + n, sizeof r->place - was - (size_t)n, format, args);
    va_end(args);
    const leat_own_parts *own = r->own;
    const leat_module_type *const *const lists[] = { transforms, own ? own->transforms : NULL };
    const leat_module_type *type =
        v ? leat_part_find(r, v, "transform", 2, lists) : leat_part_fail(r, LEAT_EFORMAT, "the transform is missing");
    leat_module *t = type ? type->read(r, v) : NULL;
    if (type && !t && !r->status->code && !leat_model_code(r->model))
        leat_part_fail(r, LEAT_EFORMAT, "the %s could not be read", type->name);
    r->place[was] = '\0';
    return (leat_transform *)t;
}

leat_transform *leat_part_inner(leat_part_reader *r, const leat_json *v, const char *key)
{
    return leat_part_transform(r, leat_json_get(v, key), "%s", key);
}

static leat_base *read_base(leat_part_reader *r, const leat_json *v)
{
    const leat_own_parts *own = r->own;
    snprintf(r->place, sizeof r->place, "base");
    const leat_module_type *const *const lists[] = { bases, own ? own->bases : NULL };
    const leat_module_type *type = leat_part_find(r, v, "base", 2, lists);
    leat_base *base = type ? (leat_base *)type->read(r, v) : NULL;
    r->place[0] = '\0';
    return base;
}

static bool read_format(leat_part_reader *r, const leat_json *top)
{
    int64_t format;
    if (!leat_json_int(leat_json_get(top, "format"), 1, INT64_MAX, &format))
        leat_part_fail(r, LEAT_EFORMAT, "'" LEAT_FLOW_KEY "' does not describe a flow");
    else if (format > LEAT_FLOW_FORMAT)
        leat_part_fail(r, LEAT_EFORMAT, "the flow is described in format %lld, of a later version; this one reads %d",
                       (long long)format, LEAT_FLOW_FORMAT);
    return !r->status->code;
}

/* A feature's numbers come with the tensors. */
static bool read_input(leat_part_reader *r, leat_flow *flow)
{
    static const char *const kinds[] = { "lower", "upper", "whole" };
    int64_t dim = leat_flow_dim(flow), context = leat_flow_context(flow);
    leat_units units = { .columns = dim };
    const double **numbers[] = { &units.lower, &units.upper, &units.whole };
    snprintf(r->place, sizeof r->place, "input");
    bool ok = leat_read_tensor(r, "mean", dim) != NULL;
    for (int k = 0; ok && k < 3; k++) {
        char name[20];
        snprintf(name, sizeof name, "input.%s", kinds[k]);
        const leat_tensor *t = leat_safetensors_find(r->file, name);
        if (!t)
            continue;
        ok = leat_read_tensor(r, kinds[k], dim) != NULL;
        double *room = leat_arena_alloc(leat_model_arena(r->model), (size_t)dim * sizeof *room);
        for (int64_t j = 0; room && j < dim; j++)
            room[j] = k == 0 ? -(double)INFINITY : k == 1 ? (double)INFINITY : 0;
        *numbers[k] = room;
    }
    snprintf(r->place, sizeof r->place, "context");
    ok = ok && (!context || leat_read_tensor(r, "mean", context));
    r->place[0] = '\0';
    if (ok)
        leat_flow_set_units(flow, &units, &(leat_units){ .columns = context });
    return ok;
}

leat_flow *leat_flow_read(leat_part_reader *r, const leat_json *top)
{
    static const leat_module_type *const own_layers[] = { &leat_bounded_scale_type, NULL };
    const leat_own_parts *own = r->own;
    const leat_json *layers = leat_json_get(top, "layers");
    r->layers[0] = own_layers;
    r->layers[1] = own ? own->layers : NULL;
    if (!read_format(r, top))
        return NULL;
    int64_t dim = r->features = leat_part_size(r, top, "dim", 1), context = leat_part_size(r, top, "context", 0);
    if (dim < 0 || context < 0 || !is_bounded(r, dim) || !is_bounded(r, context))
        return NULL;
    if (!layers || layers->kind != LEAT_JSON_ARRAY)
        return leat_part_fail(r, LEAT_EFORMAT, "'" LEAT_FLOW_KEY "' has no list of layers");
    leat_base *base = read_base(r, leat_json_get(top, "base"));
    if (!base)
        return NULL;
    if (base->dim != dim)
        return leat_part_fail(r, LEAT_EFORMAT, "a base of %lld features for a flow of %lld", (long long)base->dim,
                              (long long)dim);
    leat_flow *flow = leat_flow_new(r->model, base);
    leat_flow_set_context(flow, context);
    if (leat_part_flag(top, "input") && !read_input(r, flow))
        return NULL;
    int i = 0;
    for (const leat_json *v = layers->first; v && flow; v = v->next) {
        leat_transform *t = leat_part_transform(r, v, "layers.%d", i++);
        if (!t)
            return NULL;
        leat_flow_add(flow, t);
    }
    return flow;
}
