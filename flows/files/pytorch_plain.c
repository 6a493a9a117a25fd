/*
 * Whether a flow is one of the two that a short PyTorch program defines: NICE, additive couplings with one net each, or
 * RealNVP, affine couplings with SNET closed by tanh and TNET. Its tensors then load there under the same names and
 * mean the same. The flow's description is what is looked at.
 */
#include "flow_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct plain {
    char *reason;
    size_t size;
    int layer;
} plain;

static bool refuse(plain *p, const char *format, ...) LEAT_PRINTF(2, 3);

static bool refuse(plain *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->reason, p->size, format, args);
    va_end(args);
    return false;
}

static const char *type_of(const leat_json *v)
{
    const char *type = leat_json_text(v);
    type = type ? type : leat_json_text(leat_json_get(v, "type"));
    return type ? type : "sequential";
}

static bool is_type(const leat_json *v, const char *type)
{
    return strcmp(type_of(v), type) == 0;
}

/* linear, relu, linear, ..., linear, and behind the last one tanh if `closed` */
static bool plain_net(plain *p, const leat_json *net, const char *name, bool closed)
{
    if (!net || net->kind != LEAT_JSON_ARRAY)
        return refuse(p, "layers.%d.%s is no sequence of linear layers", p->layer, name);
    int k = 0;
    for (const leat_json *v = net->first; v; v = v->next, k++) {
        bool behind = closed && !v->next && k;
        if (leat_part_flag(v, "learned"))
            return refuse(p, "layers.%d.%s.%d.scale", p->layer, name, k);
        if (!is_type(v, k % 2 == 0 ? "linear" : behind ? "tanh" : "relu"))
            return refuse(p, "layers.%d.%s.%d is '%s'", p->layer, name, k, type_of(v));
    }
    return k % 2 == (closed ? 0 : 1) ? true : refuse(p, "layers.%d.%s.%d is missing", p->layer, name, k);
}

static bool plain_layer(plain *p, const leat_json *v, bool affine)
{
    const leat_json *e = leat_json_get(v, "elementwise");
    if (!is_type(v, "coupling"))
        return refuse(p, "layers.%d is '%s'", p->layer, type_of(v));
    if (!is_type(e, affine ? "affine" : "additive"))
        return refuse(p, "layers.%d is '%s'", p->layer, type_of(e));
    if (!affine)
        return plain_net(p, leat_json_get(v, "net"), "net", false);
    if (leat_json_get(v, "net"))
        return refuse(p, "layers.%d.net", p->layer);
    return plain_net(p, leat_json_get(v, "snet"), "snet", true) &&
           plain_net(p, leat_json_get(v, "tnet"), "tnet", false);
}

static bool plain_flow(plain *p, const leat_json *top)
{
    const leat_json *layers = leat_json_get(top, "layers"), *base = leat_json_get(top, "base");
    if (leat_part_flag(top, "input"))
        return refuse(p, "input.mean");
    bool affine = layers->first && is_type(leat_json_get(layers->first, "elementwise"), "affine");
    for (const leat_json *v = layers->first; v; v = v->next, p->layer++) {
        if (!plain_layer(p, v, affine))
            return false;
    }
    int64_t context;
    if (leat_json_int(leat_json_get(top, "context"), 1, INT64_MAX, &context))
        return refuse(p, "a context of %lld features", (long long)context);
    if (is_type(base, "diagonal_normal"))
        return refuse(p, "base.loc");
    return is_type(base, "normal") ? true : refuse(p, "base is '%s'", type_of(base));
}

bool leat_flow_is_plain(leat_flow *f, char *reason, size_t size)
{
    char unwanted[1];
    plain p = { .reason = size ? reason : unwanted, .size = size ? size : sizeof unwanted };
    leat_status s = { 0 };
    leat_arena scratch;
    leat_json *top = NULL;
    leat_arena_init(&scratch, f ? leat_model_arena(f->module.model)->allocator : NULL);
    char *text = leat_flow_describe(f, &scratch, &s);
    p.reason[0] = '\0';
    bool ok = text && !leat_json_read(text, strlen(text), "", 0, &scratch, &top, &s);
    ok = ok ? plain_flow(&p, top) : refuse(&p, "%s", s.message);
    leat_arena_free(&scratch);
    return ok;
}
