/*
 * The residual network of nflows (Durkan et al. 2019, appendix B): full pre-activation blocks as in He et al. 2016,
 * whose outcome a context gates.
 */
#include "layers.h"
#include "../module_json.h"

#include <stdio.h>

/* What a block and its network agree on. */
typedef struct block_opts {
    int64_t features, context;
    leat_activation activation;
    double dropout;
    bool batch_norm;
} block_opts;

typedef struct block {
    leat_module module;
    block_opts o;
    leat_module *linear[2], *norm[2], *gate;
} block;

/* x + glu(linear(act(linear(act(x)))), gate(context)) */
static leat_var block_forward(leat_module *m, leat_var x, leat_var context)
{
    const block *b = (const block *)m;
    leat_activation f = b->o.activation;
    leat_var y = b->o.batch_norm ? leat_forward(b->norm[0], x) : x;
    y = leat_activate(y, f);
    if (b->o.batch_norm)
        y = leat_activate(leat_forward(b->norm[1], leat_forward(b->linear[0], y)), f);
    else
        y = leat_linear_with(b->linear[0], y, f);
    if (b->o.dropout > 0)
        y = leat_dropout(y, b->o.dropout);
    y = leat_forward(b->linear[1], y);
    if (b->gate)
        y = leat_mul(y, leat_linear_with(b->gate, context, LEAT_SIGMOID));
    return leat_add(x, y);
}

static void block_visit(leat_module *m, leat_visitor *v)
{
    const block *b = (const block *)m;
    for (int i = 0; i < 2; i++)
        leat_visit(v, b->norm[i]);
    leat_visit(v, b->gate);
    for (int i = 0; i < 2; i++)
        leat_visit(v, b->linear[i]);
}

static const leat_module_type block_type = { .name = "residual_block", .forward = block_forward, .visit = block_visit };

static leat_module *block_new(leat_model *m, const block_opts *o)
{
    block *b = leat_module_new(m, &block_type, sizeof *b);
    if (!b)
        return NULL;
    b->o = *o;
    for (int i = 0; i < 2; i++) {
        b->linear[i] = leat_linear_layer(m, o->features, o->features);
        leat_attach(&b->module, b->linear[i], "linear_layers.%d", i);
        if (!o->batch_norm)
            continue;
        b->norm[i] = leat_batch_norm(m, o->features, &(leat_norm_opts){ .eps = 1e-3 });
        leat_attach(&b->module, b->norm[i], "batch_norm_layers.%d", i);
    }
    leat_set_init(b->linear[1], "weight", leat_init_uniform(-1e-3, 1e-3));
    leat_set_init(b->linear[1], "bias", leat_init_uniform(-1e-3, 1e-3));
    if (o->context) {
        b->gate = leat_linear_layer(m, o->context, o->features);
        leat_attach(&b->module, b->gate, "context_layer");
    }
    return &b->module;
}

/* ---- the network ------------------------------------------------------------------------------------------------- */

typedef struct residual {
    leat_module module;
    leat_residual_opts o;
    leat_module *first, *last, **blocks;
} residual;

static leat_var residual_forward(leat_module *m, leat_var x, leat_var context)
{
    const residual *r = (const residual *)m;
    if (!leat_fits(m, x, r->o.in, context, r->o.context))
        return (leat_var){ .tape = x.tape };
    x = leat_forward_with(r->first, x, context);
    for (int i = 0; i < r->o.blocks; i++)
        x = leat_forward_with(r->blocks[i], x, context);
    return leat_forward(r->last, x);
}

static void residual_describe(const leat_module *m, char *text, size_t size)
{
    const leat_residual_opts *o = &((const residual *)m)->o;
    snprintf(text, size, "%lld -> %lld, %d blocks of %lld", (long long)o->in, (long long)o->out, o->blocks,
             (long long)o->hidden);
}

static void residual_write(const leat_module *m, leat_part_writer *w)
{
    const leat_residual_opts *o = &((const residual *)m)->o;
    leat_part_put_int(w, "in", o->in);
    leat_part_put_int(w, "hidden", o->hidden);
    leat_part_put_int(w, "out", o->out);
    leat_part_put_int(w, "context", o->context);
    leat_part_put_int(w, "blocks", o->blocks);
    leat_part_put_text(w, "activation", leat_activation_name(o->activation));
    leat_part_put_number(w, "dropout", o->dropout);
    leat_part_put_bool(w, "batch_norm", o->batch_norm);
}

static leat_module *residual_read(leat_part_reader *r, const leat_json *v)
{
    leat_residual_opts o = { .in = leat_part_size(r, v, "in", 0),
                             .hidden = leat_part_size(r, v, "hidden", 0),
                             .out = leat_part_size(r, v, "out", 0),
                             .context = leat_part_size(r, v, "context", 0),
                             .batch_norm = leat_part_flag(v, "batch_norm") };
    int64_t blocks = leat_part_size(r, v, "blocks", 1);
    if (r->status->code || !leat_part_number(r, v, "dropout", &o.dropout) ||
        !leat_part_activation(r, v, "activation", &o.activation))
        return NULL;
    if (4 * blocks > r->tensors) /* each has two weights and two biases, and what batch norms keep is memory at once */
        return leat_part_fail(r, LEAT_EFORMAT, "%lld blocks of a residual network have more tensors than the file",
                              (long long)blocks);
    r->tensors -= 4 * blocks;
    if (o.batch_norm && !leat_part_holds(r, LEAT_SHAPE(4 * blocks, o.hidden)))
        return NULL;
    o.blocks = (int)blocks;
    return leat_residual_mlp(r->model, &o);
}

const leat_module_type leat_residual_type = {
    .name = "residual_mlp",
    .forward = residual_forward,
    .describe = residual_describe,
    .write = residual_write,
    .read = residual_read,
};

/* Fills in the defaults. */
static leat_code check(leat_model *m, leat_residual_opts *o)
{
    o->blocks = o->blocks == 0 ? 2 : o->blocks;
    o->activation = o->activation == LEAT_IDENTITY ? LEAT_RELU : o->activation;
    if (!leat_is_size(o->in, 0) || !leat_is_size(o->hidden, 1) || !leat_is_size(o->out, 0) ||
        !leat_is_size(o->context, 0))
        return leat_model_fail(m, LEAT_EARG, "residual_mlp: %lld -> %lld -> %lld features, and %lld of a context",
                               (long long)o->in, (long long)o->hidden, (long long)o->out, (long long)o->context);
    if (o->blocks < 0)
        return leat_model_fail(m, LEAT_EARG, "residual_mlp: %d blocks", o->blocks);
    if (!leat_activation_exists(o->activation))
        return leat_model_fail(m, LEAT_EARG, "residual_mlp: there is no activation number %d", (int)o->activation);
    if (!(o->dropout >= 0 && o->dropout <= 1))
        return leat_model_fail(m, LEAT_EARG, "residual_mlp: a dropout probability of %g", o->dropout);
    return leat_model_code(m);
}

leat_module *leat_residual_mlp(leat_model *m, const leat_residual_opts *o)
{
    residual *r = leat_module_new(m, &leat_residual_type, sizeof *r);
    if (!r)
        return NULL;
    r->o = *o;
    if (check(m, &r->o))
        return NULL;
    r->blocks = leat_arena_zalloc(leat_model_arena(m), (size_t)r->o.blocks * sizeof *r->blocks);
    if (!r->blocks) {
        leat_model_fail(m, LEAT_ENOMEM, "residual_mlp: out of memory for %d blocks", r->o.blocks);
        return NULL;
    }
    r->first = leat_linear_layer(m, o->in + o->context, o->hidden);
    leat_attach(&r->module, r->first, "initial_layer");
    const block_opts of_block = { o->hidden, o->context, r->o.activation, o->dropout, o->batch_norm };
    for (int i = 0; i < r->o.blocks && !leat_model_code(m); i++) {
        r->blocks[i] = block_new(m, &of_block);
        leat_attach(&r->module, r->blocks[i], "blocks.%d", i);
    }
    r->last = leat_linear_layer(m, o->hidden, o->out);
    leat_attach(&r->module, r->last, "final_layer");
    return &r->module;
}
