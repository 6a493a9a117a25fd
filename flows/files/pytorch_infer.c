/*
 * The form of a NICE or RealNVP from the names and shapes of its tensors, as PyTorch saves them:
 *
 *     layers.N.mask [dim]                          ones where features are kept
 *     layers.N.net.K.weight [out, in], .bias       one net: additive coupling (NICE)
 *     layers.N.snet.K.., layers.N.tnet.K..         two nets: affine coupling (RealNVP)
 *
 * K counts linear layers and the activations between them: 0, 2, 4, ... Which activation, which base and what closes
 * the scales is nowhere in the tensors.
 */
#include "flow_json.h"

#include <stdio.h>
#include <string.h>

typedef struct inference {
    leat_part_reader *r;
    const leat_flow_load_opts *opts;
    int64_t dim, context; /* -1: not known yet */
    bool affine, learned;
    const leat_base *base;
} inference;

static const leat_tensor *find(const inference *f, int layer, const char *rest)
{
    char name[100];
    snprintf(name, sizeof name, "layers.%d.%s", layer, rest);
    return leat_safetensors_find(f->r->file, name);
}

static const leat_tensor *find_linear(const inference *f, int layer, const char *net, int k)
{
    char rest[60];
    snprintf(rest, sizeof rest, "%s.%d.weight", net, k);
    return find(f, layer, rest);
}

/* The widths must lead from what the mask keeps (and the context) to what it moves. */
static leat_module *infer_net(inference *f, int layer, const char *net, const leat_mask *mask)
{
    leat_model *m = f->r->model;
    leat_module *sequential = leat_sequential(m);
    int64_t width = -1;
    int k = 0;
    for (const leat_tensor *w; (w = find_linear(f, layer, net, k)); k += 2) {
        if (w->shape.rank != 2)
            return leat_part_fail(f->r, LEAT_ESHAPE, "%s.%d.weight is not a matrix", net, k);
        if (k)
            leat_sequential_add(sequential,
                                leat_activation_layer(m, f->opts->activation ? f->opts->activation : LEAT_RELU));
        else if (f->context < 0)
            f->context = w->shape.size[1] - mask->kept;
        if (w->shape.size[1] != (k ? width : mask->kept + f->context))
            return leat_part_fail(f->r, LEAT_ESHAPE, "%s.%d takes %lld numbers, and %lld come in", net, k,
                                  (long long)w->shape.size[1], (long long)(k ? width : mask->kept + f->context));
        if (f->context < 0)
            return leat_part_fail(f->r, LEAT_ESHAPE, "%s.0 takes %lld numbers of %lld kept features", net,
                                  (long long)w->shape.size[1], (long long)mask->kept);
        width = w->shape.size[0];
        leat_sequential_add(sequential, leat_linear_layer(m, w->shape.size[1], width));
    }
    if (!k)
        return leat_part_fail(f->r, LEAT_EFORMAT, "there is no %s.0.weight", net);
    if (width != mask->moved)
        return leat_part_fail(f->r, LEAT_ESHAPE, "%s gives %lld numbers for %lld moved features", net, (long long)width,
                              (long long)mask->moved);
    char scale[60];
    snprintf(scale, sizeof scale, "%s.%d.scale", net, k - 1);
    f->learned = find(f, layer, scale) != NULL;
    return sequential;
}

static leat_transform *infer_affine(inference *f, int layer, leat_mask mask)
{
    leat_model *m = f->r->model;
    leat_module *snet = infer_net(f, layer, "snet", &mask);
    bool learned = f->learned;
    leat_module *tnet = snet ? infer_net(f, layer, "tnet", &mask) : NULL;
    if (!tnet)
        return NULL;
    if (learned || f->opts->scale == LEAT_SCALE_LEARNED)
        leat_sequential_add(snet, leat_bounded_scale(m, mask.moved, true));
    else if (f->opts->scale == LEAT_SCALE_TANH)
        leat_sequential_add(snet, leat_activation_layer(m, LEAT_TANH));
    f->learned = learned;
    return leat_coupling_nets(m, mask, &leat_affine, (leat_module *[]){ snet, tnet });
}

static leat_transform *infer_layer(inference *f, int layer, const leat_tensor *values)
{
    leat_model *m = f->r->model;
    if (values->shape.rank != 1 || values->shape.size[0] != f->dim || f->dim < 1)
        return leat_part_fail(f->r, LEAT_ESHAPE, "the mask is not one of %lld features", (long long)f->dim);
    leat_mask mask = leat_mask_of(m, f->dim, values->data);
    if (leat_model_code(m))
        return NULL;
    if (f->affine)
        return infer_affine(f, layer, mask);
    leat_module *net = infer_net(f, layer, "net", &mask);
    return net ? leat_coupling(m, mask, &leat_additive, net) : NULL;
}

static void write_note(const inference *f, int layers, char *note, size_t size)
{
    static const char *const scales[] = { "s = tanh(snet)", "s = scale * tanh(snet)", "s = snet" };
    leat_activation a = f->opts->activation ? f->opts->activation : LEAT_RELU;
    snprintf(
        note, size,
        "%s of %d couplings by its tensors alone; taken for granted: %s between linear layers, a standard %s base%s%s",
        f->affine ? "RealNVP" : "NICE", layers, a == LEAT_RELU ? "ReLU" : leat_activation_name(a),
        f->base->module.type->name, f->affine ? ", " : "",
        f->affine ? scales[f->learned ? LEAT_SCALE_LEARNED : f->opts->scale] : "");
}

leat_flow *leat_flow_infer(leat_part_reader *r, const leat_flow_load_opts *o, char *note, size_t size)
{
    inference f = { .r = r, .opts = o, .context = -1 };
    const leat_tensor *values = find(&f, 0, "mask");
    f.affine = find_linear(&f, 0, "snet", 0) != NULL;
    if (!values || !(f.affine || find_linear(&f, 0, "net", 0)))
        return leat_part_fail(
            r, LEAT_EFORMAT,
            "the file does not describe its model, and its tensors are not those of a NICE or RealNVP "
            "(layers.0.mask and layers.0.net.0.weight, or snet and tnet)");
    if (!leat_activation_name(o->activation) || (int)o->scale < 0 || o->scale > LEAT_SCALE_FREE)
        return leat_part_fail(r, LEAT_EARG, "there is no activation %d with scale map %d", (int)o->activation,
                              (int)o->scale);
    f.dim = values->shape.rank == 1 ? values->shape.size[0] : 0;
    leat_flow *flow = NULL;
    int layer = 0;
    bool learned = false;
    for (; values; values = find(&f, layer, "mask")) {
        snprintf(r->place, sizeof r->place, "layers.%d", layer);
        leat_transform *t = infer_layer(&f, layer, values);
        if (!t)
            return NULL;
        if (!layer) {
            leat_base *base = (o->base ? o->base : leat_normal)(r->model, f.dim);
            f.base = base;
            flow = leat_flow_new(r->model, base);
            if (!flow)
                return NULL;
            leat_flow_set_context(flow, f.context);
        }
        learned = learned || f.learned;
        leat_flow_add(flow, t);
        layer++;
    }
    r->place[0] = '\0';
    f.learned = learned;
    write_note(&f, layer, note, size);
    return flow;
}
