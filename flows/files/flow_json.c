/*
 * A flow as JSON and back:
 *
 *     {"format":1,"dim":2,"context":0,"input":true,"base":"normal",
 *      "layers":[{"type":"coupling","elementwise":"affine","snet":[{"type":"linear","in":1,"out":9},"relu",..],..},..]}
 *
 * Parts are written as nn/module_json.h has it. What stands in buffers (masks, orders) is not repeated: reading takes it from
 * the tensors of the same file. A new transform, base or elementwise bijector is a line in a table below.
 */
#include "flow_json.h"

#include <stdio.h>
#include <string.h>

/* ---- elementwise bijectors --------------------------------------------------------------------------------------- */

static const leat_elementwise *const elementwises[] = { &leat_additive, &leat_affine };
enum { ELEMENTWISES = sizeof elementwises / sizeof *elementwises };

static const leat_elementwise *find_elementwise(const char *name)
{
    for (int i = 0; i < ELEMENTWISES; i++) {
        if (strcmp(elementwises[i]->name, name) == 0)
            return elementwises[i];
    }
    return NULL;
}

static bool same_constants(const leat_elementwise *a, const leat_elementwise *b)
{
    bool same = memcmp(a->number, b->number, sizeof a->number) == 0;
    for (int g = 0; g < LEAT_MAX_THETA && b->theta[g].name; g++)
        same = same && a->theta[g].width == b->theta[g].width;
    return same;
}

/* "affine", or with constants other than the bijector's usual ones {"type":"spline","widths":[..],"numbers":[..]} */
void leat_elementwise_write(leat_part_writer *w, const leat_module *owner, const leat_elementwise *e)
{
    const leat_elementwise *known = find_elementwise(e->name);
    if (!known || known->forward != e->forward || known->inverse != e->inverse) {
        leat_part_refuse(w, owner, "a file cannot describe the elementwise bijector '%.80s'", e->name);
    } else if (same_constants(e, known)) {
        leat_json_put_text(&w->json, e->name);
    } else {
        leat_json_open(&w->json, '{');
        leat_json_key(&w->json, "type");
        leat_json_put_text(&w->json, e->name);
        leat_json_key(&w->json, "widths");
        leat_json_open(&w->json, '[');
        for (int g = 0; g < LEAT_MAX_THETA && e->theta[g].name; g++)
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
    for (int g = 0; g < LEAT_MAX_THETA && e->theta[g].name; g++, at = at->next) {
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

static bool read_elementwise(leat_part_reader *r, const leat_json *v, leat_elementwise *e)
{
    const char *type = leat_part_type(r, v);
    const leat_elementwise *known = type ? find_elementwise(type) : NULL;
    if (!known) {
        if (type)
            leat_part_fail(r, LEAT_EFORMAT, "this version does not know the elementwise bijector '%.80s'", type);
        return false;
    }
    *e = *known;
    if (v->kind == LEAT_JSON_STRING || read_constants(v, e))
        return true;
    leat_part_fail(r, LEAT_EFORMAT, "the constants of '%.80s' are not whole", type);
    return false;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void write_flow(leat_part_writer *w, const leat_flow *f)
{
    leat_json_open(&w->json, '{');
    leat_part_put_int(w, "format", LEAT_FLOW_FORMAT);
    leat_part_put_int(w, "dim", leat_flow_dim(f));
    leat_part_put_int(w, "context", f->context);
    leat_part_put_bool(w, "input", f->input != NULL);
    leat_json_key(&w->json, "base");
    leat_part_write(w, &f->base->module);
    leat_json_key(&w->json, "layers");
    leat_json_open(&w->json, '[');
    for (int i = f->input ? 1 : 0; i < f->length; i++)
        leat_part_write(w, &f->layers[i]->module);
    leat_json_close(&w->json, ']');
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

static const leat_tensor *own_tensor(leat_part_reader *r, const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "%s.%s", r->place, name);
    const leat_tensor *t = leat_safetensors_find(r->file, path);
    return t ? t : leat_part_fail(r, LEAT_EFORMAT, "there is no tensor '%s'", path);
}

static leat_transform *read_coupling(leat_part_reader *r, const leat_json *v, int64_t dim)
{
    leat_elementwise e;
    const leat_tensor *values = own_tensor(r, "mask");
    if (!values || !read_elementwise(r, leat_json_get(v, "elementwise"), &e))
        return NULL;
    if (values->shape.rank != 1 || values->shape.size[0] != dim)
        return leat_part_fail(r, LEAT_ESHAPE, "the mask is not one of %lld features", (long long)dim);
    leat_mask mask = leat_mask_of(r->model, dim, values->data);
    if (leat_json_get(v, "net")) {
        leat_module *net = leat_part_read(r, leat_json_get(v, "net"));
        return net ? leat_coupling(r->model, mask, e, net) : NULL;
    }
    leat_module *nets[LEAT_MAX_THETA];
    for (int g = 0; g < LEAT_MAX_THETA && e.theta[g].name; g++) {
        char key[80];
        snprintf(key, sizeof key, "%.70snet", e.theta[g].name);
        nets[g] = leat_part_read(r, leat_json_get(v, key));
        if (!nets[g])
            return NULL;
    }
    return leat_coupling_nets(r->model, mask, e, nets);
}

/* In any order: the tensors bring the right one. */
static leat_transform *read_permutation(leat_part_reader *r, const leat_json *v, int64_t dim)
{
    (void)v;
    const leat_tensor *order = own_tensor(r, "order"); /* it bounds dim by the size of the file */
    if (order && order->shape.rank == 1 && order->shape.size[0] == dim)
        return leat_permutation(r->model, dim, NULL);
    return order ? leat_part_fail(r, LEAT_ESHAPE, "the order is not one of %lld features", (long long)dim) : NULL;
}

static leat_transform *read_reverse(leat_part_reader *r, const leat_json *v, int64_t dim)
{
    (void)v;
    return leat_reverse(r->model, dim);
}

static leat_transform *read_scale(leat_part_reader *r, const leat_json *v, int64_t dim)
{
    (void)v;
    return leat_diagonal_scale(r->model, dim);
}

static leat_transform *read_actnorm(leat_part_reader *r, const leat_json *v, int64_t dim)
{
    (void)v;
    return leat_actnorm(r->model, dim);
}

static leat_transform *read_batch_norm(leat_part_reader *r, const leat_json *v, int64_t dim)
{
    leat_norm_opts o = { 0 };
    if (leat_json_number(leat_json_get(v, "eps"), &o.eps) &&
        leat_json_number(leat_json_get(v, "momentum"), &o.momentum))
        return leat_batch_norm_transform(r->model, dim, &o);
    return leat_part_fail(r, LEAT_EFORMAT, "a batch norm without 'eps' and 'momentum'");
}

static leat_transform *read_lu(leat_part_reader *r, const leat_json *v, int64_t dim)
{
    (void)v;
    return leat_lu_linear(r->model, dim);
}

static leat_transform *read_standardizer(leat_part_reader *r, const leat_json *v, int64_t dim)
{
    (void)v;
    return leat_standardizer(r->model, dim, NULL, NULL);
}

static const struct {
    const char *type;
    leat_transform *(*read)(leat_part_reader *r, const leat_json *v, int64_t dim);
} transforms[] = {
    { "coupling", read_coupling },    { "permutation", read_permutation },  { "reverse", read_reverse },
    { "diagonal scale", read_scale }, { "actnorm", read_actnorm },          { "batch norm", read_batch_norm },
    { "lu linear", read_lu },         { "standardize", read_standardizer },
};

static const struct {
    const char *type;
    leat_base *(*build)(leat_model *m, int64_t dim);
} bases[] = {
    { "normal", leat_normal },
    { "diagonal normal", leat_diagonal_normal },
    { "logistic", leat_logistic },
};

static leat_transform *read_transform(leat_part_reader *r, const leat_json *v, int64_t dim)
{
    const char *type = leat_part_type(r, v);
    for (size_t i = 0; type && i < sizeof transforms / sizeof *transforms; i++) {
        if (strcmp(type, transforms[i].type) == 0)
            return transforms[i].read(r, v, dim);
    }
    return type ? leat_part_fail(r, LEAT_EFORMAT, "this version does not know the transform '%.80s'", type) : NULL;
}

static leat_base *read_base(leat_part_reader *r, const leat_json *v, int64_t dim)
{
    const char *type = leat_part_type(r, v);
    for (size_t i = 0; type && i < sizeof bases / sizeof *bases; i++) {
        if (strcmp(type, bases[i].type) == 0)
            return bases[i].build(r->model, dim);
    }
    return type ? leat_part_fail(r, LEAT_EFORMAT, "this version does not know the base '%.80s'", type) : NULL;
}

/* Conditioners' layers that are the flows' own. */
static leat_module *read_layer(leat_part_reader *r, const leat_json *v, const char *type)
{
    if (strcmp(type, "bounded scale") != 0)
        return NULL;
    int64_t columns = leat_part_size(r, v, "columns", 0);
    return columns < 0 ? NULL : leat_bounded_scale(r->model, columns, leat_part_flag(v, "learned"));
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

/* Most parts have a tensor with a number for each feature; the few flows without one are small. */
static int64_t most_features(const leat_part_reader *r)
{
    int64_t most = leat_part_largest(r);
    return most > 65536 ? most : 65536;
}

/* A feature's mean and sd come with the tensors. */
static bool read_input(leat_part_reader *r, leat_flow *flow)
{
    snprintf(r->place, sizeof r->place, "input");
    const leat_tensor *mean = own_tensor(r, "mean"), *context = NULL;
    if (!mean || mean->shape.rank != 1 || mean->shape.size[0] != leat_flow_dim(flow))
        return mean &&
               leat_part_fail(r, LEAT_ESHAPE, "the mean is not one of %lld features", (long long)leat_flow_dim(flow));
    snprintf(r->place, sizeof r->place, "context");
    if (leat_flow_context(flow))
        context = own_tensor(r, "mean");
    if (leat_flow_context(flow) &&
        (!context || context->shape.rank != 1 || context->shape.size[0] != leat_flow_context(flow)))
        return context && leat_part_fail(r, LEAT_ESHAPE, "the mean is not one of %lld features",
                                         (long long)leat_flow_context(flow));
    leat_flow_standardize_by(flow, NULL, NULL, NULL, NULL);
    return true;
}

leat_flow *leat_flow_read(leat_part_reader *r, const leat_json *top)
{
    const leat_json *layers = leat_json_get(top, "layers");
    r->other = read_layer;
    if (!read_format(r, top))
        return NULL;
    int64_t dim = leat_part_size(r, top, "dim", 1), context = leat_part_size(r, top, "context", 0);
    if (dim < 0 || context < 0)
        return NULL;
    if (dim > most_features(r))
        return leat_part_fail(r, LEAT_EFORMAT, "a flow of %lld features has more numbers than the file",
                              (long long)dim);
    if (!layers || layers->kind != LEAT_JSON_ARRAY)
        return leat_part_fail(r, LEAT_EFORMAT, "'" LEAT_FLOW_KEY "' has no list of layers");
    snprintf(r->place, sizeof r->place, "base");
    leat_base *base = read_base(r, leat_json_get(top, "base"), dim);
    if (!base)
        return NULL;
    leat_flow *flow = leat_flow_new(r->model, base);
    leat_flow_set_context(flow, context);
    if (leat_part_flag(top, "input") && !read_input(r, flow))
        return NULL;
    int i = 0;
    for (const leat_json *v = layers->first; v && flow; v = v->next) {
        snprintf(r->place, sizeof r->place, "layers.%d", i++);
        leat_transform *t = read_transform(r, v, dim);
        if (!t)
            return NULL;
        leat_flow_add(flow, t);
    }
    r->place[0] = '\0';
    return flow;
}
