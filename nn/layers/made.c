/*
 * MADE: a sequential of masked linear layers and activations; or a residual network of them, as wide in all hidden layers.
 *
 * Everything has a degree: a feature its place in the order, counted from 1; a context 0; an output of a feature that
 * of the feature; hidden units theirs in turn. A hidden unit reads what has at most its degree, an output what has less
 * than its own: so paths lead to an output from features before it, and from the context, alone (Germain et al. 2015,
 * equations 12 and 13).
 */
#include "layers.h"
#include "../module_json.h"

#include <stdio.h>

enum { MOST_BLOCKS = (LEAT_MAX_HIDDEN - 1) / 2 };

typedef struct made {
    leat_module module;
    leat_made_opts o;                               /* of which order is a copy */
    leat_module *net, *linear[LEAT_MAX_HIDDEN + 1]; /* a residual one has no net, and all widths in o.hidden */
    int64_t outputs;                                /* of a feature: the sum of widths */
    int layers;
    int64_t *seen[LEAT_MAX_HIDDEN + 2]; /* the largest degree that each input, and each unit of a layer, depends on */
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

/* Layer 0 gives the first sum; 1 and 2, 3 and 4, ... are blocks; the last one reads the sum of all. */
static leat_var run(const made *d, leat_var x, leat_var context)
{
    leat_activation f = d->o.activation;
    if (!d->o.blocks)
        return leat_forward_with(d->net, x, context);
    leat_var sum = leat_forward_with(d->linear[0], x, context);
    for (int k = 1; k < d->layers - 1; k += 2) {
        leat_var inner = leat_linear_with(d->linear[k], leat_activate(sum, f), f);
        sum = leat_add(sum, leat_forward(d->linear[k + 1], inner));
    }
    return leat_forward(d->linear[d->layers - 1], sum);
}

/* Whether a layer gives one of the sums. */
static bool is_sum(const made *d, int layer)
{
    return d->o.blocks && layer % 2 == 0;
}

static leat_var made_forward(leat_module *m, leat_var x, leat_var context)
{
    const made *d = (const made *)m;
    if (!leat_fits(m, x, d->o.features, context, d->o.context))
        return (leat_var){ .tape = x.tape };
    return run(d, x, context);
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
    for (int k = 0; k < d->layers; k++) {
        see(leat_linear_mask(d->linear[k]), d->seen[k], d->seen[k + 1]);
        for (int64_t i = 0; k > 0 && is_sum(d, k) && i < d->o.hidden[0]; i++)
            d->seen[k + 1][i] = d->seen[k + 1][i] > d->seen[k - 1][i] ? d->seen[k + 1][i] : d->seen[k - 1][i];
    }
    for (int64_t i = 0; i < d->outputs * d->o.features; i++) {
        int64_t seen = d->seen[d->layers][i];
        if (seen >= output_degree(d, i))
            return leat_fail(s, LEAT_EFORMAT, "the masks let output %lld see a feature at place %lld, its own is %lld",
                             (long long)i, (long long)seen - 1, (long long)output_degree(d, i) - 1);
    }
    return LEAT_OK;
}

/* ---- feature after feature --------------------------------------------------------------------------------------- */

/* What a pass over the features has so far: every unit is computed once, as soon as all that it depends on is there. A
 * sum steps over what is missing, which is 0 and has weights of 0, so it has the bits of a whole forward pass. */
typedef struct walk {
    const made *d;
    leat_var weight[LEAT_MAX_HIDDEN + 1], bias[LEAT_MAX_HIDDEN + 1];
    leat_tensor in[LEAT_MAX_HIDDEN + 1]; /* [rows, ..]: what each layer reads */
    leat_tensor sum[LEAT_MAX_HIDDEN];    /* what layers 0, 2, 4, ... give, where they are sums */
    int64_t *list;                       /* of units, at most as many as the widest layer has */
} walk;

static bool walk_begin(walk *w, leat_tape *t, int64_t rows, leat_var context)
{
    const made *d = w->d;
    int64_t most = d->outputs;
    for (int k = 0; k < d->layers && !leat_tape_recording(t); k++) {
        leat_linear_weights(d->linear[k], t, &w->weight[k], &w->bias[k]);
        leat_var zeros = leat_full(t, LEAT_SHAPE(rows, k ? d->o.hidden[k - 1] : d->o.features), 0);
        w->in[k] = leat_value(k ? zeros : leat_join_context(zeros, context));
        most = k && d->o.hidden[k - 1] > most ? d->o.hidden[k - 1] : most;
        if (k && is_sum(d, k - 1))
            w->sum[k - 1] = k < d->layers - 1 ? leat_value(leat_zeros_like(zeros)) : w->in[k];
    }
    w->list = leat_tape_alloc(t, (size_t)most * sizeof *w->list);
    return leat_tape_code(t) == LEAT_OK;
}

static void put_columns(leat_tensor to, const int64_t *columns, leat_tensor from)
{
    int64_t n = from.shape.size[1];
    for (int64_t i = 0; i < from.shape.size[0]; i++) {
        for (int64_t j = 0; j < n; j++)
            to.data[i * to.shape.size[1] + columns[j]] = from.data[i * n + j];
    }
}

static int64_t columns_of(const made *d, int64_t feature, int64_t *list)
{
    int64_t n = 0, at = 0;
    for (int g = 0; g < LEAT_MAX_GROUPS && d->o.widths[g]; g++) {
        for (int64_t i = 0; i < d->o.widths[g]; i++)
            list[n++] = at + feature * d->o.widths[g] + i;
        at += d->o.features * d->o.widths[g];
    }
    return n;
}

/* The units of layer k in the list. */
static leat_var some_units(walk *w, int k, int64_t n, leat_activation f)
{
    leat_var in = leat_borrow(w->weight[k].tape, w->in[k]);
    leat_index units = { w->list, n };
    return leat_linear(in, leat_index_select(w->weight[k], 0, units), leat_index_select(w->bias[k], 0, units), f);
}

/* Listed units of a hidden layer, and what the next one reads of them. */
static void walk_units(walk *w, int k, int64_t n)
{
    const made *d = w->d;
    bool sum = is_sum(d, k);
    leat_var y = some_units(w, k, n, sum ? LEAT_IDENTITY : d->o.activation);
    if (sum) {
        leat_var before = k ? leat_borrow(y.tape, w->sum[k - 2]) : (leat_var){ 0 };
        y = k ? leat_add(leat_index_select(before, -1, (leat_index){ w->list, n }), y) : y;
        leat_tensor units = leat_value(y);
        if (units.data)
            put_columns(w->sum[k], w->list, units);
        if (k == d->layers - 2)
            return;
        y = leat_activate(y, d->o.activation);
    }
    leat_tensor units = leat_value(y);
    if (units.data)
        put_columns(w->in[k + 1], w->list, units);
}

/* The columns of a feature, at that place in the order. */
static leat_var walk_next(walk *w, int64_t feature, int64_t place)
{
    const made *d = w->d;
    for (int k = 0; k < d->layers - 1; k++) {
        int64_t n = 0;
        for (int64_t i = 0; i < d->o.hidden[k]; i++) {
            if (d->seen[k + 1][i] == place)
                w->list[n++] = i;
        }
        if (n)
            walk_units(w, k, n);
    }
    return some_units(w, d->layers - 1, columns_of(d, feature, w->list), LEAT_IDENTITY);
}

/* The same by a whole pass, which can be recorded. */
static leat_var pass_next(walk *w, int64_t feature, leat_var known, leat_var context)
{
    leat_var all = run(w->d, known, context);
    return leat_index_select(all, -1, (leat_index){ w->list, columns_of(w->d, feature, w->list) });
}

/* x and context as [rows, ..]. */
static leat_var as_rows(leat_var x)
{
    leat_shape shape = leat_var_shape(x);
    int64_t last = shape.rank ? shape.size[shape.rank - 1] : 0, rows = 1;
    for (int i = 0; i < shape.rank - 1; i++)
        rows *= shape.size[i];
    return shape.rank == 2 || leat_is_absent(x) ? x : leat_reshape(x, LEAT_SHAPE(rows, last));
}

static bool is_column(leat_var x, int64_t rows)
{
    leat_shape shape = leat_var_shape(x), wanted = LEAT_SHAPE(rows, 1);
    char text[LEAT_SHAPE_TEXT];
    if (leat_ok(x) && !leat_shape_equal(&shape, &wanted))
        leat_tape_fail(x.tape, LEAT_ESHAPE, "a feature of %lld rows is given as %s", (long long)rows,
                       leat_shape_print(&shape, text));
    return leat_ok(x) && leat_tape_code(x.tape) == LEAT_OK;
}

/* While recording x is a variable that is made anew for each feature, otherwise it fills up where the first layer reads
 * it. */
static leat_var ancestral(const made *d, leat_var y, leat_var context, leat_made_step *step, void *user,
                          leat_var *carried)
{
    leat_tape *t = y.tape;
    int64_t rows = leat_var_size(y, 0);
    bool recording = leat_tape_recording(t);
    walk w = { .d = d };
    leat_var x = leat_zeros_like(y);
    if (!walk_begin(&w, t, rows, context))
        return (leat_var){ .tape = t };
    leat_tape_mark mark = leat_tape_save(t);
    for (int64_t place = 0, j; place < d->o.features; place++) {
        for (j = 0; d->o.order[j] != place;)
            j++;
        leat_var columns = recording ? pass_next(&w, j, x, context) : walk_next(&w, j, place);
        leat_var one = step(user, leat_slice(y, -1, j, 1), columns, carried);
        if (!is_column(one, rows))
            return (leat_var){ .tape = t };
        if (recording) {
            x = leat_index_copy(x, -1, (leat_index){ &j, 1 }, one);
        } else {
            put_columns(w.in[0], &j, leat_value(one));
            leat_tape_keep(t, mark, leat_ok(*carried), &carried);
        }
    }
    return recording ? x : leat_slice(leat_borrow(t, w.in[0]), -1, 0, d->o.features);
}

leat_var leat_made_ancestral(leat_module *m, leat_var y, leat_var context, leat_made_step *step, void *user,
                             leat_var *carried)
{
    const made *d = (const made *)m;
    const leat_scope *was = leat_tape_enter(y.tape, &m->scope);
    leat_var x = { .tape = y.tape };
    if (leat_fits(m, y, d->o.features, context, d->o.context))
        x = leat_reshape(ancestral(d, as_rows(y), as_rows(context), step, user, carried), leat_var_shape(y));
    leat_tape_enter(y.tape, was);
    return x;
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
    put_list(w, "hidden", d->o.blocks ? 1 : d->layers - 1, d->o.hidden);
    if (d->o.blocks)
        leat_part_put_int(w, "blocks", d->o.blocks);
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
    for (int i = 0; i < 2 * o->blocks; i++) {
        if (!leat_part_holds(r, LEAT_SHAPE(in, in)))
            return false;
    }
    for (int i = 0; i < LEAT_MAX_GROUPS; i++)
        outputs += o->widths[i];
    if (outputs > r->largest)
        return leat_part_fail(r, LEAT_EFORMAT, "%lld numbers for each feature are more than the file has",
                              (long long)outputs) != NULL;
    return leat_part_holds(r, LEAT_SHAPE(outputs * o->features, in));
}

static leat_module *made_read(leat_part_reader *r, const leat_json *v)
{
    const leat_json *list = leat_json_get(v, "order");
    leat_made_opts o = { .context = leat_part_size(r, v, "context", 0) };
    int64_t blocks = leat_json_get(v, "blocks") ? leat_part_size(r, v, "blocks", 1) : 0;
    o.blocks = blocks <= MOST_BLOCKS ? (int)blocks : MOST_BLOCKS + 1;
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(r->model)->allocator);
    int64_t most = list && list->kind == LEAT_JSON_ARRAY ? list->count : 0;
    int64_t *order = leat_arena_alloc(&scratch, (size_t)(most + 1) * sizeof *order);
    bool ok = order || leat_part_fail(r, LEAT_ENOMEM, "out of memory for an order");
    o.order = order;
    ok = ok && o.context >= 0 && blocks >= 0 && (o.features = read_list(r, v, "order", 0, most, order)) >= 0 &&
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
        if (o->blocks && o->hidden[i] != o->hidden[0])
            return leat_model_fail(m, LEAT_EARG, "made: %lld hidden units, and %lld in front of the blocks",
                                   (long long)o->hidden[i], (long long)o->hidden[0]);
    }
    if (o->blocks < 0 || o->blocks > MOST_BLOCKS || (o->blocks && !o->hidden[0]))
        return leat_model_fail(m, LEAT_EARG, "made: %d blocks of %lld units", o->blocks, (long long)o->hidden[0]);
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

/* Room for what the parts of a row can see, and that of the inputs; false, and a failed model, if there is none. */
static bool seen_new(made *d)
{
    leat_model *m = d->module.model;
    int64_t in = d->o.features + d->o.context;
    for (int k = 0; k <= d->layers; k++) {
        int64_t n = k == 0 ? in : k < d->layers ? d->o.hidden[k - 1] : d->outputs * d->o.features;
        d->seen[k] = leat_arena_alloc(leat_model_arena(m), (size_t)n * sizeof *d->seen[k]);
        if (!d->seen[k])
            return leat_model_fail(m, LEAT_ENOMEM, "made: out of memory for %lld degrees", (long long)n) == LEAT_OK;
    }
    for (int64_t i = 0; i < in; i++)
        d->seen[0][i] = input_degree(d, i);
    return true;
}

static void attach_residual(made *d, int layer)
{
    leat_module *linear = d->linear[layer];
    if (layer == 0 || layer == d->layers - 1) {
        leat_attach(&d->module, linear, layer ? "final_layer" : "initial_layer");
        return;
    }
    leat_attach(&d->module, linear, "blocks.%d.linear_layers.%d", (layer - 1) / 2, (layer - 1) % 2);
    if (is_sum(d, layer)) {
        leat_set_init(linear, "weight", leat_init_uniform(-1e-3, 1e-3));
        leat_set_init(linear, "bias", leat_init_uniform(-1e-3, 1e-3));
    }
}

const leat_made_opts *leat_made_options(const leat_module *m)
{
    return m && m->type == &leat_made_type ? &((const made *)m)->o : NULL;
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
    for (int i = 1; i <= 2 * o->blocks; i++)
        d->o.hidden[i] = o->hidden[0];
    if (!o->blocks) {
        d->net = leat_sequential(m);
        leat_attach(&d->module, d->net, "net");
    }
    while (d->layers < LEAT_MAX_HIDDEN && d->o.hidden[d->layers])
        d->layers++;
    d->layers++;
    int64_t in = o->features + o->context;
    for (int i = 0; i < d->layers; i++) {
        bool last = i == d->layers - 1;
        int64_t out = last ? d->outputs * o->features : d->o.hidden[i];
        d->linear[i] = leat_masked_linear(m, in, out);
        fill_mask(d, i, leat_linear_mask(d->linear[i]));
        if (o->blocks)
            attach_residual(d, i);
        else
            leat_sequential_add(d->net, d->linear[i]);
        if (!o->blocks && !last)
            leat_sequential_add(d->net, leat_activation_layer(m, d->o.activation));
        in = out;
    }
    if (!leat_model_code(m) && seen_new(d))
        made_loaded(&d->module, &(leat_status){ 0 });
    return &d->module;
}
