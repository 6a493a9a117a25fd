/*
 * Self-attention with several heads: softmax(q k^T / sqrt(width)) v for each, over features cut into heads of `width`.
 * q, k and v come from one product with in_proj_weight, whose rows are those of q, k, v one after the other.
 */
#include "layers.h"
#include "../module_json.h"

#include <math.h>
#include <stdio.h>

typedef struct attention {
    leat_module module;
    leat_param *weight, *bias;
    leat_module *out;
    leat_attention_opts o;
} attention;

static leat_var attention_forward(leat_module *m, leat_var x, leat_var context)
{
    const attention *a = (const attention *)m;
    leat_tape *t = x.tape;
    leat_shape shape = leat_var_shape(x);
    int64_t features = a->o.features;
    char text[LEAT_SHAPE_TEXT];
    if (!leat_fits(m, x, features, context, 0))
        return (leat_var){ .tape = t };
    if (leat_ok(x) && shape.rank != 3)
        return leat_tape_fail(t, LEAT_ESHAPE, "attention %s: not [batch, length, features]",
                              leat_shape_print(&shape, text));
    leat_var part[3], joint = leat_linear(x, leat_use(t, a->weight), leat_use(t, a->bias), LEAT_IDENTITY);
    leat_split(joint, -1, features, 3, part);
    leat_var y = leat_scaled_dot_product_attention(part[0], part[1], part[2], a->o.heads, a->o.causal, a->o.dropout);
    return leat_forward(a->out, y);
}

static void attention_describe(const leat_module *m, char *text, size_t size)
{
    const leat_attention_opts *o = &((const attention *)m)->o;
    snprintf(text, size, "%lld, %d heads%s", (long long)o->features, o->heads, o->causal ? ", causal" : "");
}

static void attention_write(const leat_module *m, leat_part_writer *w)
{
    const attention *a = (const attention *)m;
    leat_part_put_int(w, "features", a->o.features);
    leat_part_put_int(w, "heads", a->o.heads);
    leat_part_put_bool(w, "causal", a->o.causal);
    leat_part_put_number(w, "dropout", a->o.dropout);
}

static leat_module *attention_read(leat_part_reader *r, const leat_json *v)
{
    leat_attention_opts o = { .features = leat_part_size(r, v, "features", 1), .causal = leat_part_flag(v, "causal") };
    int64_t heads = leat_part_size(r, v, "heads", 1);
    if (o.features < 0 || heads < 0 || heads > INT32_MAX || !leat_part_number(r, v, "dropout", &o.dropout))
        return NULL;
    o.heads = (int)heads;
    return leat_attention(r->model, &o);
}

const leat_module_type leat_attention_type = {
    .name = "attention",
    .forward = attention_forward,
    .describe = attention_describe,
    .write = attention_write,
    .read = attention_read,
};

static leat_code check(leat_model *m, const leat_attention_opts *o)
{
    if (!leat_is_size(o->features, 1))
        return leat_model_fail(m, LEAT_EARG, "attention: %lld features", (long long)o->features);
    if (o->heads < 1 || o->features % o->heads)
        return leat_model_fail(m, LEAT_EARG, "attention: %d heads do not divide %lld features", o->heads,
                               (long long)o->features);
    if (!(o->dropout >= 0 && o->dropout <= 1))
        return leat_model_fail(m, LEAT_EARG, "attention: a dropout probability of %g", o->dropout);
    return leat_model_code(m);
}

/* PyTorch's start: in_proj_weight as one matrix by Xavier, biases 0. */
leat_module *leat_attention(leat_model *m, const leat_attention_opts *o)
{
    attention *a = leat_module_new(m, &leat_attention_type, sizeof *a);
    if (!a)
        return NULL;
    a->o = *o;
    a->o.heads = o->heads ? o->heads : 1;
    if (check(m, &a->o))
        return NULL;
    int64_t features = o->features;
    double bound = sqrt(6 / (4 * (double)features));
    a->weight = leat_param_new(&a->module, "in_proj_weight", LEAT_SHAPE(3 * features, features),
                               leat_init_uniform(-bound, bound));
    a->bias = leat_param_new(&a->module, "in_proj_bias", LEAT_SHAPE(3 * features), leat_init_zeros());
    a->out = leat_linear_layer(m, features, features);
    leat_attach(&a->module, a->out, "out_proj");
    leat_set_init(a->out, "bias", leat_init_zeros());
    return &a->module;
}
