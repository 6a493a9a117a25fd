/*
 * MADE: a sequential of masked linear layers and activations.
 *
 * Everything has a degree: a feature its place in the order, counted from 1; a context 0; an output of a feature that
 * of the feature; hidden units theirs in turn. A hidden unit reads what has at most its degree, an output what has less
 * than its own: so paths lead to an output from features before it, and from the context, alone (Germain et al. 2015,
 * equations 12 and 13).
 */
#include "layers.h"
#include "../module_json.h"

#include <stdio.h>

typedef struct made {
    leat_module module;
    leat_made_opts o; /* of which order is a copy */
    leat_module *net, *linear[LEAT_MAX_HIDDEN + 1];
    int64_t outputs; /* of a feature: the sum of widths */
    int layers;
} made;

static int64_t input_degree(const made *d, int64_t i)
{
    return i < d->o.features ? d->o.order[i] + 1 : 0;
}

/* From 1 on, but from 0 where that is of use: for a context, which the first output could not see otherwise, and for a
 * single feature. */
static int64_t hidden_degree(const made *d, int64_t i)
{
    int64_t low = d->o.context || d->o.features == 1 ? 0 : 1;
    return low + i % (d->o.features - low);
}

/* Of column i: the groups stand one after the other, each with its width for every feature. */
static int64_t output_degree(const made *d, int64_t i)
{
    const int64_t *width = d->o.widths;
    for (; i >= d->o.features * *width; width++)
        i -= d->o.features * *width;
    return d->o.order[i / *width] + 1;
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
    if (!leat_fits(m, x, d->o.features, context, d->o.context))
        return (leat_var){ .tape = x.tape };
    return leat_forward_with(d->net, x, context);
}

static void made_describe(const leat_module *m, char *text, size_t size)
{
    const made *d = (const made *)m;
    snprintf(text, size, "%lld -> %lld x %lld", (long long)d->o.features, (long long)d->outputs,
             (long long)d->o.features);
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
    int64_t *seen = leat_arena_alloc(&scratch, (size_t)(d->o.features + d->o.context) * sizeof *seen);
    for (int64_t i = 0; seen && i < d->o.features + d->o.context; i++)
        seen[i] = input_degree(d, i);
    for (int k = 0; seen && k < d->layers; k++) {
        leat_tensor mask = leat_linear_mask(d->linear[k]);
        int64_t *next = leat_arena_alloc(&scratch, (size_t)mask.shape.size[0] * sizeof *next);
        if (next)
            see(mask, seen, next);
        seen = next;
    }
    leat_code code = seen ? LEAT_OK : leat_fail(s, LEAT_ENOMEM, "out of memory to check the masks");
    for (int64_t i = 0; !code && i < d->outputs * d->o.features; i++) {
        if (seen[i] >= output_degree(d, i))
            code = leat_fail(s, LEAT_EFORMAT, "the masks let output %lld see a feature at place %lld, its own is %lld",
                             (long long)i, (long long)seen[i] - 1, (long long)output_degree(d, i) - 1);
    }
    leat_arena_free(&scratch);
    return code;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void put_list(leat_part_writer *w, const char *key, int64_t count, const int64_t *list)
{
    leat_json_key(&w->json, key);
    leat_json_open(&w->json, '[');
    for (int64_t i = 0; i < count; i++)
        leat_json_put_int(&w->json, list[i]);
    leat_json_close(&w->json, ']');
}

static void made_write(const leat_module *m, leat_part_writer *w)
{
    const made *d = (const made *)m;
    int widths = 0;
    while (widths < LEAT_MAX_GROUPS && d->o.widths[widths])
        widths++;
    leat_part_put_int(w, "context", d->o.context);
    put_list(w, "order", d->o.features, d->o.order);
    put_list(w, "widths", widths, d->o.widths);
    put_list(w, "hidden", d->layers - 1, d->o.hidden);
    leat_part_put_text(w, "activation", leat_activation_name(d->o.activation));
}

/* Sizes from `low` to 2^31, `most` of them at most; how many there are, or -1 and a status. */
static int64_t read_list(leat_part_reader *r, const leat_json *v, const char *key, int64_t low, int64_t most,
                         int64_t *out)
{
    const leat_json *list = leat_json_get(v, key);
    bool ok = list && list->kind == LEAT_JSON_ARRAY && list->count <= most;
    int64_t n = 0;
    for (const leat_json *size = ok ? list->first : NULL; size && ok; size = size->next)
        ok = leat_json_int(size, low, (int64_t)1 << 31, &out[n++]);
    if (ok)
        return n;
    leat_part_fail(r, LEAT_EFORMAT, "'%s' is not a list of sizes", key);
    return -1;
}

/* The masks are memory at once, so the layers' shapes must be within what the file holds. */
static bool masks_fit(leat_part_reader *r, const leat_made_opts *o)
{
    int64_t in = o->features + o->context, outputs = 0;
    for (int i = 0; i < LEAT_MAX_HIDDEN && o->hidden[i]; in = o->hidden[i++]) {
        if (!leat_part_holds(r, LEAT_SHAPE(o->hidden[i], in)))
            return false;
    }
    for (int i = 0; i < LEAT_MAX_GROUPS; i++)
        outputs += o->widths[i];
    return outputs <= leat_part_largest(r) && leat_part_holds(r, LEAT_SHAPE(outputs * o->features, in));
}

static leat_module *made_read(leat_part_reader *r, const leat_json *v)
{
    const leat_json *list = leat_json_get(v, "order");
    leat_made_opts o = { .context = leat_part_size(r, v, "context", 0) };
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(r->model)->allocator);
    int64_t most = list && list->kind == LEAT_JSON_ARRAY ? list->count : 0;
    int64_t *order = leat_arena_alloc(&scratch, (size_t)(most + 1) * sizeof *order);
    bool ok = order || leat_part_fail(r, LEAT_ENOMEM, "out of memory for an order");
    o.order = order;
    ok = ok && o.context >= 0 && (o.features = read_list(r, v, "order", 0, most, order)) >= 0 &&
         read_list(r, v, "widths", 1, LEAT_MAX_GROUPS, o.widths) >= 0 &&
         read_list(r, v, "hidden", 1, LEAT_MAX_HIDDEN, o.hidden) >= 0 &&
         leat_part_activation(r, v, "activation", &o.activation) && masks_fit(r, &o);
    leat_module *net = ok ? leat_made(r->model, &o) : NULL;
    leat_arena_free(&scratch);
    return net;
}

const leat_module_type leat_made_type = {
    .name = "made",
    .forward = made_forward,
    .loaded = made_loaded,
    .describe = made_describe,
    .write = made_write,
    .read = made_read,
};

/* ---- building ---------------------------------------------------------------------------------------------------- */

static leat_code check(leat_model *m, const leat_made_opts *o)
{
    if (!leat_is_size(o->features, 1) || !leat_is_size(o->context, 0))
        return leat_model_fail(m, LEAT_EARG, "made: %lld features, and %lld of a context", (long long)o->features,
                               (long long)o->context);
    if (!leat_activation_exists(o->activation))
        return leat_model_fail(m, LEAT_EARG, "made: there is no activation number %d", (int)o->activation);
    for (int i = 0; i < LEAT_MAX_GROUPS && o->widths[i]; i++) {
        if (!leat_is_size(o->widths[i], 1))
            return leat_model_fail(m, LEAT_EARG, "made: a group of %lld numbers for each feature",
                                   (long long)o->widths[i]);
    }
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
    made *d = leat_module_new(m, &leat_made_type, sizeof *d);
    if (!d || check(m, o))
        return NULL;
    d->o = *o;
    d->o.activation = o->activation ? o->activation : LEAT_RELU;
    d->o.widths[0] = o->widths[0] ? o->widths[0] : 1;
    d->o.order = order_new(m, o->features, o->order);
    if (!d->o.order)
        return NULL;
    for (int i = 0; i < LEAT_MAX_GROUPS && d->o.widths[i]; i++)
        d->outputs += d->o.widths[i];
    d->net = leat_sequential(m);
    leat_attach(&d->module, d->net, "net");
    while (d->layers < LEAT_MAX_HIDDEN && o->hidden[d->layers])
        d->layers++;
    d->layers++;
    int64_t in = o->features + o->context;
    for (int i = 0; i < d->layers; i++) {
        bool last = i == d->layers - 1;
        int64_t out = last ? d->outputs * o->features : o->hidden[i];
        d->linear[i] = leat_masked_linear(m, in, out);
        fill_mask(d, i, leat_linear_mask(d->linear[i]));
        leat_sequential_add(d->net, d->linear[i]);
        if (!last)
            leat_sequential_add(d->net, leat_activation_layer(m, d->o.activation));
        in = out;
    }
    return &d->module;
}
