/*
 * The form of a NICE or RealNVP from the names and shapes of its tensors, as PyTorch saves them, and of zuko's and nflows'
 * flows as well (pytorch_names.c says what becomes of their names):
 *
 *     input.mean, input.sd [dim]                   a standardizer in front; context.mean, context.sd: of the context
 *     layers.N.mask [dim]                          ones where features are kept; [1, dim] will do
 *     layers.N.net.K.weight [out, in], .bias       one net: additive coupling (NICE), or affine if it gives two numbers
 *                                                  for each moved feature
 *     layers.N.snet.K.., layers.N.tnet.K..         two nets: affine coupling (RealNVP)
 *     layers.N.made.net.K.weight, .bias, .mask     autoregressive, affine (MAF) or, where it gives three numbers for each
 *                                                  bin and feature less one for each feature, splines (NSF)
 *     layers.N.order [dim]                         a permutation
 *     layers.N.lower, .upper [dim, dim], ..        a linear map
 *     .initial_layer, .blocks.B, .final_layer      below layers.N.net or layers.N.made: residual nets
 *
 * K counts linear layers and the activations between them: 0, 2, 4, ... What stands before the names of all (module.,
 * _orig_mod.) is left out. Which activation, which base and what closes the scales is nowhere in the tensors; of the
 * last leat's own exports have a word in the metadata.
 */
#include "flow_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct inference {
    leat_part_reader *r;
    const leat_flow_load_opts *opts;
    int64_t dim, context;       /* -1: not known yet */
    leat_scale_map scale, used; /* where no tensor tells; of the layers so far, for the note */
    bool affine, learned;       /* any layer is; the net seen last has a learned scale */
    bool masked, splines;       /* any layer is autoregressive; has splines */
    double bound;               /* of the splines */
    int between;                /* permutations and linear maps */
    leat_dialect dialect;
    leat_safetensors orders; /* of autoregressive layers */
    const leat_base *base;
    char prefix[100]; /* of all names in the file */
} inference;

static const leat_tensor *find(const inference *f, int layer, const char *rest)
{
    char name[160];
    snprintf(name, sizeof name, "layers.%d.%s", layer, rest);
    return leat_safetensors_find(f->r->file, name);
}

/* What says how a layer takes its features apart: a mask, a permutation, or an order of autoregression; a linear map does
 * not, and is told by its diagonal. */
static const leat_tensor *find_values(const inference *f, int layer)
{
    char name[100];
    const leat_tensor *values = find(f, layer, "mask");
    values = values ? values : find(f, layer, "order");
    values = values ? values : find(f, layer, "log_diagonal");
    snprintf(name, sizeof name, "layers.%d.order", layer);
    return values ? values : leat_safetensors_find(&f->orders, name);
}

static const leat_tensor *find_residual(const inference *f, int layer, const char *net, const char *part)
{
    char rest[100];
    snprintf(rest, sizeof rest, "%s.%s.weight", net, part);
    return find(f, layer, rest);
}

static const leat_tensor *find_linear(const inference *f, int layer, const char *net, int k)
{
    char rest[60];
    snprintf(rest, sizeof rest, "%s.%d.weight", net, k);
    return find(f, layer, rest);
}

/* The widths must lead from what the mask keeps (and the context) to what it moves, once or up to `groups` times. */
static leat_module *infer_net(inference *f, int layer, const char *net, const leat_mask *mask, int64_t groups,
                              int64_t *given)
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
    *given = width;
    if (width != mask->moved && width != groups * mask->moved)
        return leat_part_fail(f->r, LEAT_ESHAPE, "%s gives %lld numbers for %lld moved features", net, (long long)width,
                              (long long)mask->moved);
    char scale[60];
    snprintf(scale, sizeof scale, "%s.%d.scale", net, k - 1);
    f->learned = find(f, layer, scale) != NULL;
    return sequential;
}

/* What the last layer of a net gives feature by feature, group by group. */
static bool regroup(inference *f, int layer, const char *net, int64_t features, const leat_elementwise *e)
{
    const int64_t zuko[] = { 1, 0 }, splines[] = { 0, e->theta[0].width, 2 * e->theta[0].width };
    char linear[100];
    int k = 0;
    while (find_linear(f, layer, net, k + 2))
        k += 2;
    if (find_residual(f, layer, net, "final_layer"))
        snprintf(linear, sizeof linear, "layers.%d.%s.final_layer", layer, net);
    else
        snprintf(linear, sizeof linear, "layers.%d.%s.%d", layer, net, k);
    return leat_infer_regroup(f->r, linear, features, e, e == &leat_bounded_affine ? zuko : splines);
}

/* The bins of a spline with `given` numbers for each feature; 0: it is none. */
static int64_t bins_of(const inference *f, int64_t given)
{
    return f->dialect != LEAT_DIALECT_OWN && given > 2 && given % 3 == 2 ? (given + 1) / 3 : 0;
}

static const leat_elementwise *spline_of(inference *f, int64_t bins)
{
    bool zuko = f->dialect == LEAT_DIALECT_ZUKO;
    f->splines = true;
    f->bound = zuko ? 5 : f->opts->tail_bound > 0 ? f->opts->tail_bound : 1;
    return leat_rational_quadratic(f->r->model,
                                   &(leat_rational_quadratic_opts){ .bins = bins, .bound = f->bound, .clipped = zuko });
}

/* Whether `t` is a matrix [rows, columns]; -1: any number of rows, at least one. */
static bool is_matrix(inference *f, const char *net, const char *part, const leat_tensor *t, int64_t rows,
                      int64_t columns)
{
    if (t && t->shape.rank == 2 && t->shape.size[0] > 0 && (rows < 0 || t->shape.size[0] == rows) &&
        t->shape.size[1] == columns)
        return true;
    return leat_part_fail(f->r, LEAT_ESHAPE, "%s.%s.weight is no matrix of the size that its neighbours ask for", net,
                          part) != NULL;
}

/* The width of the hidden layers of a residual net of `in` inputs, how many blocks it has, and numbers it gives. */
static bool infer_residual(inference *f, int layer, const char *net, int64_t in, int64_t *hidden, int *blocks,
                           int64_t *given)
{
    const leat_tensor *first = find_residual(f, layer, net, "initial_layer");
    const leat_tensor *last = find_residual(f, layer, net, "final_layer"), *inner;
    char part[60];
    if (!is_matrix(f, net, "initial_layer", first, -1, in))
        return false;
    *hidden = first->shape.size[0];
    for (int k = 0;; k++) {
        snprintf(part, sizeof part, "blocks.%d.linear_layers.%d", k / 2, k % 2);
        inner = find_residual(f, layer, net, part);
        *blocks = k / 2;
        if (!inner && k > 0 && k % 2 == 0)
            break;
        if (!is_matrix(f, net, part, inner, *hidden, *hidden))
            return false;
    }
    *given = last && last->shape.rank == 2 ? last->shape.size[0] : 0;
    return is_matrix(f, net, "final_layer", last, -1, *hidden);
}

/* nflows' net gives all shifts and then all scales; or splines feature by feature, whose widths and heights it
 * divides by the root of its width. */
static leat_transform *infer_residual_coupling(inference *f, int layer, leat_mask mask)
{
    leat_model *m = f->r->model;
    leat_residual_opts o = { .in = mask.kept, .activation = f->opts->activation };
    if (!infer_residual(f, layer, "net", mask.kept, &o.hidden, &o.blocks, &o.out))
        return NULL;
    int64_t bins = mask.moved > 0 && o.out % mask.moved == 0 ? bins_of(f, o.out / mask.moved) : 0;
    if (o.out != mask.moved && o.out != 2 * mask.moved && !bins)
        return leat_part_fail(f->r, LEAT_ESHAPE, "net gives %lld numbers for %lld moved features", (long long)o.out,
                              (long long)mask.moved);
    o.batch_norm = find_residual(f, layer, "net", "blocks.0.batch_norm_layers.0") != NULL;
    const leat_elementwise *e = bins ? spline_of(f, bins) : o.out == mask.moved ? &leat_additive : &leat_floored_affine;
    if (bins && (!e || !regroup(f, layer, "net", mask.moved, e)))
        return NULL;
    if (bins) {
        char last[60];
        snprintf(last, sizeof last, "layers.%d.net.final_layer", layer);
        leat_infer_scale(f->r, last, 2 * bins * mask.moved, 1 / sqrt((double)o.hidden));
    }
    f->affine = f->affine || e == &leat_floored_affine;
    return leat_coupling(m, mask, e, leat_residual_mlp(m, &o));
}

/* s is the whole of what SNET gives, or the first half of what the one net of both does. */
static void close_scales(inference *f, leat_module *net, const leat_mask *mask, bool one_net)
{
    leat_scale_map scale = f->learned ? LEAT_SCALE_LEARNED : f->scale;
    if (scale == LEAT_SCALE_LEARNED || (scale == LEAT_SCALE_TANH && one_net))
        leat_sequential_add(net, leat_bounded_scale(f->r->model, mask->moved, scale == LEAT_SCALE_LEARNED));
    else if (scale == LEAT_SCALE_TANH)
        leat_sequential_add(net, leat_activation_layer(f->r->model, LEAT_TANH));
    f->used = scale == LEAT_SCALE_LEARNED ? scale : f->affine ? f->used : scale;
    f->affine = true;
}

static leat_transform *infer_layer(inference *f, int layer, const leat_tensor *values)
{
    leat_model *m = f->r->model;
    int64_t width = 0;
    if (values->shape.rank != 1 || values->shape.size[0] != f->dim || f->dim < 1)
        return leat_part_fail(f->r, LEAT_ESHAPE, "the mask is not one of %lld features", (long long)f->dim);
    leat_mask mask = leat_mask_of(m, f->dim, values->data);
    if (leat_model_code(m))
        return NULL;
    if (find_residual(f, layer, "net", "initial_layer"))
        return infer_residual_coupling(f, layer, mask);
    if (!find_linear(f, layer, "snet", 0)) {
        leat_module *net = infer_net(f, layer, "net", &mask, 2, &width);
        if (!net || width == mask.moved)
            return net ? leat_coupling(m, mask, &leat_additive, net) : NULL;
        if (f->dialect == LEAT_DIALECT_OWN)
            close_scales(f, net, &mask, true);
        else if (!regroup(f, layer, "net", mask.moved, &leat_bounded_affine))
            return NULL;
        f->affine = true;
        return leat_coupling(m, mask, f->dialect == LEAT_DIALECT_OWN ? &leat_affine : &leat_bounded_affine, net);
    }
    leat_module *snet = infer_net(f, layer, "snet", &mask, 1, &width);
    if (snet)
        close_scales(f, snet, &mask, false);
    leat_module *tnet = snet ? infer_net(f, layer, "tnet", &mask, 1, &width) : NULL;
    return tnet ? leat_coupling_nets(m, mask, &leat_affine, (leat_module *[]){ snet, tnet }) : NULL;
}

static leat_transform *infer_linear_map(inference *f, const leat_tensor *log_diagonal)
{
    f->between++;
    if (log_diagonal->shape.rank != 1 || log_diagonal->shape.size[0] != f->dim || f->dim < 1)
        return leat_part_fail(f->r, LEAT_ESHAPE, "the linear map is not one of %lld features", (long long)f->dim);
    return leat_lu_linear(f->r->model, f->dim);
}

static leat_transform *infer_permutation(inference *f, const leat_tensor *order)
{
    f->between++;
    if (order->shape.rank != 1 || order->shape.size[0] != f->dim || f->dim < 1)
        return leat_part_fail(f->r, LEAT_ESHAPE, "the permutation is not one of %lld features", (long long)f->dim);
    return leat_permutation(f->r->model, f->dim, NULL);
}

/* The widths of a MADE's layers, which follow each other; and the numbers that it gives for each feature, 0 if not as many
 * for each. */
static bool infer_made(inference *f, int layer, leat_made_opts *o, int64_t *given)
{
    int64_t width = -1;
    int k = 0;
    for (const leat_tensor *w; (w = find_linear(f, layer, "made.net", k)); k += 2) {
        if (w->shape.rank != 2 || k / 2 > LEAT_MAX_HIDDEN)
            return leat_part_fail(f->r, LEAT_ESHAPE, "net.%d.weight is not a matrix of one of %d layers", k,
                                  LEAT_MAX_HIDDEN + 1) != NULL;
        if (f->context < 0 && w->shape.size[1] >= f->dim)
            f->context = w->shape.size[1] - f->dim;
        int64_t in = k ? width : f->dim + (f->context > 0 ? f->context : 0);
        if (w->shape.size[1] != in)
            return leat_part_fail(f->r, LEAT_ESHAPE, "net.%d takes %lld numbers, and %lld come in", k,
                                  (long long)w->shape.size[1], (long long)in) != NULL;
        if (k)
            o->hidden[k / 2 - 1] = width;
        width = w->shape.size[0];
    }
    *given = width > 0 && width % f->dim == 0 ? width / f->dim : 0;
    return true;
}

static leat_transform *infer_autoregressive(inference *f, int layer, const leat_tensor *order)
{
    leat_model *m = f->r->model;
    leat_made_opts o = { .features = f->dim, .activation = f->opts->activation };
    if (order->shape.rank != 1 || order->shape.size[0] != f->dim || f->dim < 1)
        return leat_part_fail(f->r, LEAT_ESHAPE, "the order is not one of %lld features", (long long)f->dim);
    int64_t given = 0;
    bool residual = find_residual(f, layer, "made", "initial_layer") != NULL, zuko = f->dialect == LEAT_DIALECT_ZUKO;
    if (residual ? !infer_residual(f, layer, "made", f->dim, &o.hidden[0], &o.blocks, &given)
                 : !infer_made(f, layer, &o, &given))
        return NULL;
    given = residual && given % f->dim == 0 ? given / f->dim : residual ? 0 : given;
    int64_t bins = bins_of(f, given);
    if (given != 2 && !bins)
        return leat_part_fail(f->r, LEAT_ESHAPE, "the net gives neither two numbers for each feature nor 3 K - 1");
    const leat_elementwise *e = bins ? spline_of(f, bins) : zuko ? &leat_bounded_affine : &leat_softplus_affine;
    o.context = f->context;
    o.order = leat_infer_order(f->r, order, f->dim);
    if (!e || !o.order || !regroup(f, layer, residual ? "made" : "made.net", f->dim, e))
        return NULL;
    for (int g = 0; e->theta[g].name; g++)
        o.widths[g] = e->theta[g].width;
    f->masked = true;
    f->affine = f->affine || !bins;
    return leat_autoregressive(m, leat_made(m, &o), e);
}

/* ---- names and numbers of the file ------------------------------------------------------------------------------- */

/* The part of a name from "layers." on; NULL if it has none. */
static const char *layer_part(const char *name)
{
    for (const char *at = name; (at = strstr(at, "layers.")); at++) {
        if (at == name || at[-1] == '.')
            return at;
    }
    return NULL;
}

static bool cut_prefix(inference *f, const leat_safetensors *file)
{
    size_t n = 0;
    for (int64_t i = 0; i < file->count && !f->prefix[0]; i++) {
        const char *part = layer_part(file->entries[i].name);
        n = part ? (size_t)(part - file->entries[i].name) : 0;
        if (n >= sizeof f->prefix)
            return leat_part_fail(f->r, LEAT_EFORMAT, "the names have a prefix of %zu bytes", n) != NULL;
        memcpy(f->prefix, file->entries[i].name, n);
    }
    for (int64_t i = 0; i < file->count; i++) {
        if (strncmp(file->entries[i].name, f->prefix, n) != 0)
            return leat_part_fail(f->r, LEAT_EFORMAT, "'%.150s' is not under '%s', as other tensors are",
                                  file->entries[i].name, f->prefix) != NULL;
        file->entries[i].name += n;
    }
    return true;
}

/* The file as the rest of this reads it: names without a prefix, masks of rank 1; false if a number is not finite. */
static bool tidy(inference *f)
{
    if (!leat_infer_names(f->r, &f->dialect, &f->orders) || !cut_prefix(f, f->r->file))
        return false;
    f->context = f->dialect == LEAT_DIALECT_NFLOWS ? 0 : f->context;
    const leat_safetensors *file = f->r->file;
    for (int64_t i = 0; i < file->count; i++) {
        const char *name = file->entries[i].name;
        leat_tensor *t = &file->entries[i].tensor;
        size_t length = strlen(name);
        if (length > 5 && strcmp(name + length - 5, ".mask") == 0 && t->shape.rank == 2 && t->shape.size[0] == 1)
            t->shape = LEAT_SHAPE(t->shape.size[1]);
        for (int64_t k = 0; k < leat_shape_count(&t->shape); k++) {
            if (!isfinite(t->data[k]))
                return leat_part_fail(f->r, LEAT_ENONFINITE, "'%.150s' holds %g, its number %lld", name,
                                      (double)t->data[k], (long long)k + 1) != NULL;
        }
    }
    return true;
}

/* Of layers that count from 0 none may be missing. */
static bool layers_follow(inference *f, int layers)
{
    const leat_safetensors *file = f->r->file;
    for (int64_t i = 0; i < file->count; i++) {
        const char *part = layer_part(file->entries[i].name);
        long n = part == file->entries[i].name ? strtol(part + 7, NULL, 10) : -1;
        if (n > layers)
            return leat_part_fail(f->r, LEAT_EFORMAT, "layers.%d%s is missing, and there is layers.%ld", layers,
                                  find_linear(f, layers, "net", 0) || find_linear(f, layers, "snet", 0) ? ".mask" : "",
                                  n) != NULL;
    }
    return true;
}

/* What leat's export says of the scales, else what the caller does. */
static leat_scale_map scale_of(const inference *f)
{
    static const char *const words[] = { "tanh", "learned", "none" };
    const char *word = leat_safetensors_metadata(f->r->file, LEAT_SCALE_KEY);
    for (int i = 0; word && i < 3; i++) {
        if (strcmp(word, words[i]) == 0)
            return (leat_scale_map)i;
    }
    return f->opts->scale;
}

/* ---- the flow ---------------------------------------------------------------------------------------------------- */

static void write_note(const inference *f, int layers, char *note, size_t size)
{
    static const char *const scales[] = { "s = tanh(snet)", "s = scale * tanh(snet)", "s = snet" };
    leat_activation a = f->opts->activation ? f->opts->activation : LEAT_RELU;
    static const char *const whose[] = { "", "zuko ", "nflows " };
    char bins[60];
    snprintf(bins, sizeof bins, "bins within %g and %g", -f->bound, f->bound);
    const char *more = f->splines                          ? bins
                       : !f->affine                        ? NULL
                       : f->dialect == LEAT_DIALECT_ZUKO   ? "slopes between 1e-3 and 1e3"
                       : f->dialect == LEAT_DIALECT_NFLOWS ? "a least slope of 1e-3"
                                                           : scales[f->used];
    snprintf(
        note, size,
        "%s%s%s%s%s of %d %s by its tensors alone; taken for granted: %s between linear layers, a standard %s base%s%s",
        f->prefix[0] ? "without '" : "", f->prefix, f->prefix[0] ? "' before its names a " : "", whose[f->dialect],
        f->splines  ? "NSF"
        : f->masked ? "MAF"
        : f->affine ? "RealNVP"
                    : "NICE",
        layers - f->between, f->masked ? "transforms" : "couplings", a == LEAT_RELU ? "ReLU" : leat_activation_name(a),
        f->base->module.type->name, more ? ", " : "", more ? more : "");
}

/* The flow without layers, as soon as the first has told the context's size. */
static leat_flow *begin(inference *f)
{
    leat_base *base = (f->opts->base ? f->opts->base : leat_normal)(f->r->model, f->dim);
    leat_flow *flow = leat_flow_new(f->r->model, base);
    f->base = base;
    leat_flow_set_context(flow, f->context);
    if (flow && leat_safetensors_find(f->r->file, "input.mean"))
        leat_flow_standardize_by(flow, NULL, NULL, NULL, NULL);
    return flow;
}

leat_flow *leat_flow_infer(leat_part_reader *r, const leat_flow_load_opts *o, char *note, size_t size)
{
    inference f = { .r = r, .opts = o, .context = -1 };
    if (!leat_activation_name(o->activation) || (int)o->scale < 0 || o->scale > LEAT_SCALE_FREE)
        return leat_part_fail(r, LEAT_EARG, "there is no activation %d with scale map %d", (int)o->activation,
                              (int)o->scale);
    if (!tidy(&f))
        return NULL;
    const leat_tensor *values = find_values(&f, 0);
    if (!values && !layers_follow(&f, 0))
        return NULL;
    if (!values || !(find_linear(&f, 0, "snet", 0) || find_linear(&f, 0, "net", 0) ||
                     find_linear(&f, 0, "made.net", 0) || f.dialect == LEAT_DIALECT_NFLOWS))
        return leat_part_fail(
            r, LEAT_EFORMAT,
            "the file does not describe its model, and its tensors are not those of a NICE or RealNVP "
            "(layers.0.mask and layers.0.net.0.weight, or snet and tnet), or of a flow of zuko or nflows");
    f.scale = scale_of(&f);
    f.dim = values->shape.rank == 1 ? values->shape.size[0] : 0;
    leat_flow *flow = NULL;
    int layer = 0;
    for (; values; values = find_values(&f, ++layer)) {
        snprintf(r->place, sizeof r->place, "layers.%d", layer);
        leat_transform *t = find(&f, layer, "mask")           ? infer_layer(&f, layer, values)
                            : find(&f, layer, "order")        ? infer_permutation(&f, values)
                            : find(&f, layer, "log_diagonal") ? infer_linear_map(&f, values)
                                                              : infer_autoregressive(&f, layer, values);
        if (t && !layer)
            flow = begin(&f);
        if (!t || !flow)
            return NULL;
        leat_flow_add(flow, t);
    }
    r->place[0] = '\0';
    write_note(&f, layer, note, size);
    return layers_follow(&f, layer) ? flow : NULL;
}
