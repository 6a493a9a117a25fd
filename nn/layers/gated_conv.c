/* Flow++'s network over images (Ho et al. 2019, section 3.3): see images.h. What is 1x1 there is a linear layer here. */
#include "layers.h"
#include "../module_json.h"

#include <math.h>
#include <stdio.h>

typedef struct block {
    leat_module module;
    const leat_gated_conv_opts *o;
    leat_param *codes; /* the network's, or NULL: without attention */
    leat_module *conv, *context, *gate, *norm, *attention, *attention_gate, *attention_norm;
} block;

typedef struct gated_conv {
    leat_module module;
    leat_gated_conv_opts o;
    leat_param *codes;
    leat_module *in_conv, **blocks, *out_conv;
} gated_conv;

/* Of every position, to all others. */
static leat_var attend(const block *b, leat_var x)
{
    leat_var part[3], y = leat_forward(b->attention, leat_add(x, leat_use(x.tape, b->codes)));
    leat_shape shape = leat_var_shape(x);
    y = leat_reshape(y, LEAT_SHAPE(shape.size[0], shape.size[1] * shape.size[2], 3 * b->o->features));
    leat_split(y, -1, b->o->features, 3, part);
    y = leat_scaled_dot_product_attention(part[0], part[1], part[2], b->o->heads, false, 0);
    return leat_glu(leat_forward(b->attention_gate, leat_reshape(y, shape)), x);
}

/* The context has been through concat_elu. */
static leat_var block_forward(leat_module *m, leat_var x, leat_var context)
{
    const block *b = (const block *)m;
    leat_var y = leat_forward(b->conv, leat_concat_elu(x));
    if (b->context)
        y = leat_add(y, leat_forward(b->context, context));
    y = leat_concat_elu(y);
    if (b->o->dropout > 0)
        y = leat_dropout(y, b->o->dropout);
    x = leat_forward(b->norm, leat_glu(leat_forward(b->gate, y), x));
    return b->codes ? leat_forward(b->attention_norm, attend(b, x)) : x;
}

static leat_var gated_conv_forward(leat_module *m, leat_var x, leat_var context)
{
    const gated_conv *g = (const gated_conv *)m;
    const leat_gated_conv_opts *o = &g->o;
    leat_shape shape = leat_var_shape(x);
    char text[LEAT_SHAPE_TEXT];
    if (!leat_fits(m, x, o->in, context, o->context))
        return (leat_var){ .tape = x.tape };
    if (shape.rank != 4)
        return leat_tape_fail(x.tape, LEAT_ESHAPE, "gated_conv %s: not [batch, height, width, features]",
                              leat_shape_print(&shape, text));
    if (g->codes && (shape.size[1] != o->height || shape.size[2] != o->width))
        return leat_tape_fail(x.tape, LEAT_ESHAPE, "gated_conv %s: the images are not %lld x %lld",
                              leat_shape_print(&shape, text), (long long)o->height, (long long)o->width);
    if (o->context) {
        bool one = leat_var_shape(context).rank == 2; /* for all positions */
        context = leat_concat_elu(one ? leat_reshape(context, LEAT_SHAPE(shape.size[0], 1, 1, o->context)) : context);
    }
    x = leat_forward(g->in_conv, x);
    for (int i = 0; i < o->blocks; i++)
        x = leat_forward_with(g->blocks[i], x, context);
    return leat_forward(g->out_conv, leat_concat_elu(x));
}

static void gated_conv_describe(const leat_module *m, char *text, size_t size)
{
    const leat_gated_conv_opts *o = &((const gated_conv *)m)->o;
    snprintf(text, size, "%lld -> %lld, %d blocks of %lld", (long long)o->in, (long long)o->out, o->blocks,
             (long long)o->features);
}

static void gated_conv_write(const leat_module *m, leat_part_writer *w)
{
    const leat_gated_conv_opts *o = &((const gated_conv *)m)->o;
    leat_part_put_int(w, "in", o->in);
    leat_part_put_int(w, "out", o->out);
    leat_part_put_int(w, "context", o->context);
    leat_part_put_int(w, "height", o->height);
    leat_part_put_int(w, "width", o->width);
    leat_part_put_int(w, "features", o->features);
    leat_part_put_int(w, "blocks", o->blocks);
    leat_part_put_int(w, "heads", o->heads);
    leat_part_put_number(w, "dropout", o->dropout);
    leat_part_put_bool(w, "no_attention", o->no_attention);
}

static leat_module *gated_conv_read(leat_part_reader *r, const leat_json *v)
{
    leat_gated_conv_opts o = { .in = leat_part_size(r, v, "in", 1),
                               .out = leat_part_size(r, v, "out", 1),
                               .context = leat_part_size(r, v, "context", 0),
                               .height = leat_part_size(r, v, "height", 0),
                               .width = leat_part_size(r, v, "width", 0),
                               .features = leat_part_size(r, v, "features", 1),
                               .no_attention = leat_part_flag(v, "no_attention") };
    int64_t blocks = leat_part_size(r, v, "blocks", 1), heads = leat_part_size(r, v, "heads", 1);
    if (r->status->code || !leat_part_number(r, v, "dropout", &o.dropout))
        return NULL;
    if (blocks > r->file->count) /* each has tensors */
        return leat_part_fail(r, LEAT_EFORMAT, "%lld blocks of a gated network have more tensors than the file",
                              (long long)blocks);
    o.blocks = (int)blocks;
    o.heads = heads <= INT32_MAX ? (int)heads : -1;
    return leat_gated_conv(r->model, &o);
}

const leat_module_type leat_gated_conv_type = {
    .name = "gated_conv",
    .forward = gated_conv_forward,
    .describe = gated_conv_describe,
    .write = gated_conv_write,
    .read = gated_conv_read,
};

/* ---- building ---------------------------------------------------------------------------------------------------- */

/* A layer with weight norm over `fan_in` numbers, whose results begin with mean 0 and, of inputs with variance 1, the
 * standard deviation `scale`. */
static leat_module *started(leat_module *layer, int64_t fan_in, double scale)
{
    leat_set_init(layer, "weight_v", leat_init_normal(0, scale / sqrt((double)fan_in)));
    leat_set_init(layer, "bias", leat_init_zeros());
    return layer;
}

static leat_module *conv_3x3(leat_model *m, int64_t in, int64_t out, double scale)
{
    leat_conv_opts o = { .in = in, .out = out, .kernel = { 3 }, .padding = { 1, 1 }, .form = LEAT_CONV_WEIGHT_NORM };
    return started(leat_conv_layer(m, &o), 9 * in, scale);
}

static leat_module *conv_1x1(leat_model *m, int64_t in, int64_t out, double scale)
{
    return started(leat_weight_norm_linear(m, in, out), in, scale);
}

static const leat_module_type block_type = { .name = "gated_conv_block", .forward = block_forward };

static leat_module *block_new(const gated_conv *g)
{
    leat_model *m = g->module.model;
    int64_t n = g->o.features;
    block *b = leat_module_new(m, &block_type, sizeof *b);
    if (!b)
        return NULL;
    b->o = &g->o;
    b->codes = g->codes;
    leat_attach(&b->module, b->conv = conv_3x3(m, 2 * n, n, 1), "conv");
    if (g->o.context)
        leat_attach(&b->module, b->context = conv_1x1(m, 2 * g->o.context, n, 1), "context");
    leat_attach(&b->module, b->gate = conv_1x1(m, 2 * n, 2 * n, 0.1), "gate");
    leat_attach(&b->module, b->norm = leat_layer_norm(m, n, NULL), "norm");
    if (!b->codes)
        return &b->module;
    leat_attach(&b->module, b->attention = conv_1x1(m, n, 3 * n, 1), "attention");
    leat_attach(&b->module, b->attention_gate = conv_1x1(m, n, 2 * n, 0.1), "attention_gate");
    leat_attach(&b->module, b->attention_norm = leat_layer_norm(m, n, NULL), "attention_norm");
    return &b->module;
}

/* Fills in the defaults. */
static leat_code check(leat_model *m, leat_gated_conv_opts *o)
{
    o->features = o->features ? o->features : 96;
    o->blocks = o->blocks ? o->blocks : 10;
    o->heads = o->heads ? o->heads : 4;
    if (!leat_is_size(o->in, 1) || !leat_is_size(o->features, 1) || !leat_is_size(o->out, 1) ||
        !leat_is_size(o->context, 0))
        return leat_model_fail(m, LEAT_EARG, "gated_conv: %lld -> %lld -> %lld features, and %lld of a context",
                               (long long)o->in, (long long)o->features, (long long)o->out, (long long)o->context);
    if (o->blocks < 0)
        return leat_model_fail(m, LEAT_EARG, "gated_conv: %d blocks", o->blocks);
    if (!(o->dropout >= 0 && o->dropout <= 1))
        return leat_model_fail(m, LEAT_EARG, "gated_conv: a dropout probability of %g", o->dropout);
    if (!o->no_attention && (!leat_is_size(o->height, 1) || !leat_is_size(o->width, 1)))
        return leat_model_fail(m, LEAT_EARG, "gated_conv: attention over images of %lld x %lld", (long long)o->height,
                               (long long)o->width);
    if (!o->no_attention && (o->heads < 1 || o->features % o->heads))
        return leat_model_fail(m, LEAT_EARG, "gated_conv: %d heads do not divide %lld features", o->heads,
                               (long long)o->features);
    return leat_model_code(m);
}

leat_module *leat_gated_conv(leat_model *m, const leat_gated_conv_opts *o)
{
    gated_conv *g = leat_module_new(m, &leat_gated_conv_type, sizeof *g);
    if (!g)
        return NULL;
    g->o = *o;
    if (check(m, &g->o))
        return NULL;
    o = &g->o;
    g->blocks = leat_arena_zalloc(leat_model_arena(m), (size_t)o->blocks * sizeof *g->blocks);
    if (!g->blocks) {
        leat_model_fail(m, LEAT_ENOMEM, "gated_conv: out of memory for %d blocks", o->blocks);
        return NULL;
    }
    if (!o->no_attention)
        g->codes = leat_param_new(&g->module, "position", LEAT_SHAPE(o->height, o->width, o->features),
                                  leat_init_normal(0, 0.01));
    leat_attach(&g->module, g->in_conv = conv_3x3(m, o->in, o->features, 1), "in_conv");
    for (int i = 0; i < o->blocks && !leat_model_code(m); i++)
        leat_attach(&g->module, g->blocks[i] = block_new(g), "blocks.%d", i);
    leat_attach(&g->module, g->out_conv = conv_3x3(m, 2 * o->features, o->out, 0.1), "out_conv");
    return leat_model_code(m) ? NULL : &g->module;
}
