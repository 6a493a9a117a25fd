/* RealNVP's residual network over images (Dinh et al. 2017): see images.h. */
#include "layers.h"
#include "../module_json.h"

#include <stdio.h>

/* A block: norm, ReLU, convolution, norm, ReLU, convolution; of the network itself: the first and the last. */
typedef struct pair {
    leat_module *in_norm, *in_conv, *out_norm, *out_conv;
} pair;

typedef struct block {
    leat_module module;
    pair layers;
} block;

typedef struct residual_conv {
    leat_module module;
    leat_residual_conv_opts o;
    pair ends;
    leat_module *in_skip, **blocks, **skips;
} residual_conv;

static leat_var norm_relu_conv(leat_module *norm, leat_module *conv, leat_var x)
{
    return leat_forward(conv, leat_relu(leat_forward(norm, x)));
}

static leat_var block_forward(leat_module *m, leat_var x, leat_var context)
{
    (void)context;
    const pair *p = &((const block *)m)->layers;
    return leat_add(x, norm_relu_conv(p->out_norm, p->out_conv, norm_relu_conv(p->in_norm, p->in_conv, x)));
}

static leat_var residual_conv_forward(leat_module *m, leat_var x, leat_var context)
{
    const residual_conv *r = (const residual_conv *)m;
    if (!leat_fits(m, x, r->o.in, context, r->o.context))
        return (leat_var){ .tape = x.tape };
    leat_var twice = leat_mul_scalar(leat_forward(r->ends.in_norm, x), 2);
    x = leat_relu(leat_concat(2, (leat_var[]){ twice, leat_neg(twice) }, -1));
    x = leat_forward_with(r->ends.in_conv, x, context);
    leat_var sum = leat_forward(r->in_skip, x);
    for (int i = 0; i < r->o.blocks; i++) {
        x = leat_forward(r->blocks[i], x);
        sum = leat_add(sum, leat_forward(r->skips[i], x));
    }
    return norm_relu_conv(r->ends.out_norm, r->ends.out_conv, sum);
}

static void residual_conv_describe(const leat_module *m, char *text, size_t size)
{
    const leat_residual_conv_opts *o = &((const residual_conv *)m)->o;
    snprintf(text, size, "%lld -> %lld, %d blocks of %lld", (long long)o->in, (long long)o->out, o->blocks,
             (long long)o->hidden);
}

static void residual_conv_write(const leat_module *m, leat_part_writer *w)
{
    const leat_residual_conv_opts *o = &((const residual_conv *)m)->o;
    leat_part_put_int(w, "in", o->in);
    leat_part_put_int(w, "hidden", o->hidden);
    leat_part_put_int(w, "out", o->out);
    leat_part_put_int(w, "context", o->context);
    leat_part_put_int(w, "blocks", o->blocks);
}

static leat_module *residual_conv_read(leat_part_reader *r, const leat_json *v)
{
    leat_residual_conv_opts o = { .in = leat_part_size(r, v, "in", 1),
                                  .hidden = leat_part_size(r, v, "hidden", 1),
                                  .out = leat_part_size(r, v, "out", 1),
                                  .context = leat_part_size(r, v, "context", 0) };
    int64_t blocks = leat_part_size(r, v, "blocks", 1);
    if (r->status->code)
        return NULL;
    if (blocks > r->file->count) /* each has tensors */
        return leat_part_fail(r, LEAT_EFORMAT, "%lld blocks of a residual network have more tensors than the file",
                              (long long)blocks);
    o.blocks = (int)blocks;
    return leat_residual_conv(r->model, &o);
}

const leat_module_type leat_residual_conv_type = {
    .name = "residual_conv",
    .forward = residual_conv_forward,
    .describe = residual_conv_describe,
    .write = residual_conv_write,
    .read = residual_conv_read,
};

static const leat_module_type block_type = { .name = "residual_conv_block", .forward = block_forward };

static leat_module *normed_conv(leat_module *owner, const char *name, int64_t in, int64_t out, int64_t kernel)
{
    leat_module *conv = leat_conv_layer(owner->model, &(leat_conv_opts){ .in = in,
                                                                         .out = out,
                                                                         .kernel = { kernel },
                                                                         .padding = { kernel / 2, kernel / 2 },
                                                                         .form = LEAT_CONV_WEIGHT_NORM });
    leat_attach(owner, conv, "%s", name);
    return conv;
}

static leat_module *norm_of(leat_module *owner, const char *name, int64_t features, bool no_affine)
{
    leat_module *norm = leat_batch_norm(owner->model, features, &(leat_norm_opts){ .no_affine = no_affine });
    leat_attach(owner, norm, "%s", name);
    return norm;
}

static leat_module *block_new(leat_model *m, int64_t features)
{
    block *b = leat_module_new(m, &block_type, sizeof *b);
    if (!b)
        return NULL;
    leat_module *owner = &b->module;
    b->layers.in_norm = norm_of(owner, "in_norm", features, false);
    b->layers.in_conv = normed_conv(owner, "in_conv", features, features, 3);
    b->layers.out_norm = norm_of(owner, "out_norm", features, false);
    b->layers.out_conv = normed_conv(owner, "out_conv", features, features, 3);
    return owner;
}

leat_module *leat_residual_conv(leat_model *m, const leat_residual_conv_opts *o)
{
    residual_conv *r = leat_module_new(m, &leat_residual_conv_type, sizeof *r);
    if (!r)
        return NULL;
    leat_module *owner = &r->module;
    r->o = *o;
    r->o.blocks = o->blocks ? o->blocks : 2;
    if (r->o.blocks < 0 || !leat_is_size(o->in, 1) || !leat_is_size(o->hidden, 1) || !leat_is_size(o->out, 1) ||
        !leat_is_size(o->context, 0)) {
        leat_model_fail(m, LEAT_EARG, "residual_conv: %lld -> %lld -> %lld features, %lld of a context, %d blocks",
                        (long long)o->in, (long long)o->hidden, (long long)o->out, (long long)o->context, o->blocks);
        return NULL;
    }
    r->blocks = leat_arena_zalloc(leat_model_arena(m), 2 * (size_t)r->o.blocks * sizeof *r->blocks);
    if (!r->blocks) {
        leat_model_fail(m, LEAT_ENOMEM, "residual_conv: out of memory for %d blocks", r->o.blocks);
        return NULL;
    }
    r->skips = r->blocks + r->o.blocks;
    r->ends.in_norm = norm_of(owner, "in_norm", o->in, true);
    r->ends.in_conv = normed_conv(owner, "in_conv", 2 * o->in + o->context, o->hidden, 3);
    r->in_skip = normed_conv(owner, "in_skip", o->hidden, o->hidden, 1);
    for (int i = 0; i < r->o.blocks && !leat_model_code(m); i++) {
        char name[32];
        r->blocks[i] = block_new(m, o->hidden);
        leat_attach(owner, r->blocks[i], "blocks.%d", i);
        snprintf(name, sizeof name, "skips.%d", i);
        r->skips[i] = normed_conv(owner, name, o->hidden, o->hidden, 1);
    }
    r->ends.out_norm = norm_of(owner, "out_norm", o->hidden, false);
    r->ends.out_conv = normed_conv(owner, "out_conv", o->hidden, o->out, 1);
    return owner;
}
