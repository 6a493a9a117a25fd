/*
 * MADE: a sequential of masked linear layers and activations.
 *
 * Everything has a degree: a feature its place in the order, counted from 1; a context 0; output k of a feature that of
 * the feature; hidden units theirs in turn. A hidden unit reads what has at most its degree, an output what has less
 * than its own: so paths lead to an output from features before it, and from the context, alone (Germain et al. 2015,
 * equations 12 and 13).
 */
#include "layers.h"

#include <stdio.h>

typedef struct made {
    leat_module module;
    leat_module *net, *linear[LEAT_MAX_HIDDEN + 1];
    int64_t features, outputs, context, *order;
    int layers;
} made;

static int64_t input_degree(const made *d, int64_t i)
{
    return i < d->features ? d->order[i] + 1 : 0;
}

/* From 1 on, but from 0 where that is of use: for a context, which the first output could not see otherwise, and for a
 * single feature. */
static int64_t hidden_degree(const made *d, int64_t i)
{
    int64_t low = d->context || d->features == 1 ? 0 : 1;
    return low + i % (d->features - low);
}

static int64_t output_degree(const made *d, int64_t i)
{
    return d->order[i % d->features] + 1;
}

static void fill_mask(const made *d, int layer, leat_tensor mask)
{
    bool last = layer == d->layers - 1;
    for (int64_t i = 0; mask.data && i < mask.shape.size[0]; i++) {
        int64_t degree = last ? output_degree(d, i) - 1 : hidden_degree(d, i);
        leat_real *row = mask.data + i * mask.shape.size[1];
        for (int64_t j = 0; j < mask.shape.size[1]; j++)
            row[j] = degree >= (layer ? hidden_degree(d, j) : input_degree(d, j));
    }
}

static leat_var made_forward(leat_module *m, leat_var x, leat_var context)
{
    const made *d = (const made *)m;
    if (!leat_fits(m, x, d->features, context, d->context))
        return (leat_var){ .tape = x.tape };
    return leat_forward_with(d->net, x, context);
}

static void made_visit(leat_module *m, leat_visitor *v)
{
    leat_visit(v, ((const made *)m)->net);
}

static void made_describe(const leat_module *m, char *text, size_t size)
{
    const made *d = (const made *)m;
    snprintf(text, size, "%lld -> %lld x %lld", (long long)d->features, (long long)d->outputs, (long long)d->features);
}

/* ---- masks from a file ------------------------------------------------------------------------------------------- */

/* The largest degree among the features that each unit of a layer can see, 0 for none, from those of what it reads. */
static void see(leat_tensor mask, const int64_t *before, int64_t *after)
{
    for (int64_t i = 0; i < mask.shape.size[0]; i++) {
        const leat_real *row = mask.data + i * mask.shape.size[1];
        after[i] = 0;
        for (int64_t j = 0; j < mask.shape.size[1]; j++) {
            if (row[j] != 0 && before[j] > after[i])
                after[i] = before[j];
        }
    }
}

/* Other masks than the module's own are fine, as long as no output sees its own feature or a later one. */
static leat_code made_loaded(leat_module *m, leat_status *s)
{
    const made *d = (const made *)m;
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(m->model)->allocator);
    int64_t *seen = leat_arena_alloc(&scratch, (size_t)(d->features + d->context) * sizeof *seen);
    for (int64_t i = 0; seen && i < d->features + d->context; i++)
        seen[i] = input_degree(d, i);
    for (int k = 0; seen && k < d->layers; k++) {
        leat_tensor mask = leat_linear_mask(d->linear[k]);
        int64_t *next = leat_arena_alloc(&scratch, (size_t)mask.shape.size[0] * sizeof *next);
        if (next)
            see(mask, seen, next);
        seen = next;
    }
    leat_code code = seen ? LEAT_OK : leat_fail(s, LEAT_ENOMEM, "out of memory to check the masks");
    for (int64_t i = 0; !code && i < d->outputs * d->features; i++) {
        if (seen[i] >= output_degree(d, i))
            code = leat_fail(s, LEAT_EFORMAT, "the masks let output %lld see a feature at place %lld, its own is %lld",
                             (long long)i, (long long)seen[i] - 1, (long long)output_degree(d, i) - 1);
    }
    leat_arena_free(&scratch);
    return code;
}

static const leat_module_type made_type = {
    .name = "made",
    .forward = made_forward,
    .visit = made_visit,
    .loaded = made_loaded,
    .describe = made_describe,
};

/* ---- building ---------------------------------------------------------------------------------------------------- */

static leat_code check(leat_model *m, const leat_made_opts *o)
{
    if (!leat_is_size(o->features, 1) || !leat_is_size(o->outputs, 0) || !leat_is_size(o->context, 0))
        return leat_model_fail(m, LEAT_EARG, "made: %lld features, %lld outputs for each, and %lld of a context",
                               (long long)o->features, (long long)o->outputs, (long long)o->context);
    if (!leat_activation_exists(o->activation))
        return leat_model_fail(m, LEAT_EARG, "made: there is no activation number %d", (int)o->activation);
    for (int i = 0; i < LEAT_MAX_HIDDEN && o->hidden[i]; i++) {
        if (!leat_is_size(o->hidden[i], 1))
            return leat_model_fail(m, LEAT_EARG, "made: %lld hidden units", (long long)o->hidden[i]);
    }
    return leat_model_code(m);
}

/* A copy of the order; NULL, and a failed model, if it is no permutation. */
static int64_t *order_new(leat_model *m, int64_t features, const int64_t *asked)
{
    int64_t *order = leat_arena_alloc(leat_model_arena(m), (size_t)features * sizeof *order);
    bool *taken = leat_arena_zalloc(leat_model_arena(m), (size_t)features * sizeof *taken);
    if (!order || !taken) {
        leat_model_fail(m, LEAT_ENOMEM, "made: out of memory for an order of %lld features", (long long)features);
        return NULL;
    }
    for (int64_t i = 0; i < features; i++) {
        int64_t place = order[i] = asked ? asked[i] : i;
        if (place < 0 || place >= features || taken[place]) {
            leat_model_fail(m, LEAT_EARG, "made: the order is no permutation: feature %lld has the place %lld%s",
                            (long long)i, (long long)place, place < 0 || place >= features ? "" : ", which is taken");
            return NULL;
        }
        taken[place] = true;
    }
    return order;
}

leat_module *leat_made(leat_model *m, const leat_made_opts *o)
{
    made *d = leat_module_new(m, &made_type, sizeof *d);
    if (!d || check(m, o))
        return NULL;
    d->features = o->features;
    d->outputs = o->outputs ? o->outputs : 1;
    d->context = o->context;
    d->order = order_new(m, o->features, o->order);
    if (!d->order)
        return NULL;
    d->net = leat_sequential(m);
    leat_attach(&d->module, d->net, "net");
    while (d->layers < LEAT_MAX_HIDDEN && o->hidden[d->layers])
        d->layers++;
    d->layers++;
    int64_t in = d->features + d->context;
    for (int i = 0; i < d->layers; i++) {
        bool last = i == d->layers - 1;
        int64_t out = last ? d->outputs * d->features : o->hidden[i];
        d->linear[i] = leat_masked_linear(m, in, out);
        fill_mask(d, i, leat_linear_mask(d->linear[i]));
        leat_sequential_add(d->net, d->linear[i]);
        if (!last)
            leat_sequential_add(d->net, leat_activation_layer(m, o->activation ? o->activation : LEAT_RELU));
        in = out;
    }
    return &d->module;
}
