/*
 * scaled_dot_product_attention. Its second output, the logarithm of what each softmax divides by, lets backward make the
 * weights again, a tile at a time; what is dropped it finds again as dropout.c does.
 */
#include "ops.h"
#include "../../tensor/kernels/dot_product_attention.h"

#include <string.h>

typedef struct attention_attributes {
    int heads;
    bool causal;
    double dropout;
    leat_rng at;
} attention_attributes;

static leat_code attention_shape(leat_call *c)
{
    const attention_attributes *o = c->attributes;
    const leat_shape *q = &c->in[0].shape, *k = &c->in[1].shape, *v = &c->in[2].shape;
    if (q->rank != 3 || k->rank != 3 || v->rank != 3)
        return leat_call_fail(c, LEAT_ESHAPE, "not [batch, length, features], all three");
    if (q->size[0] != k->size[0] || k->size[0] != v->size[0] || k->size[1] != v->size[1] || q->size[2] != k->size[2])
        return leat_call_fail(c, LEAT_ESHAPE, "the sizes of query, key and value do not fit");
    if (k->size[1] == 0 && q->size[1] > 0)
        return leat_call_fail(c, LEAT_ESHAPE, "there is no place to attend to");
    for (int i = 1; i < 3; i++)
        if (o->heads < 1 || c->in[i].shape.size[2] < 1 || c->in[i].shape.size[2] % o->heads)
            return leat_call_fail(c, LEAT_ESHAPE, "%d heads do not divide %lld features", o->heads,
                                  (long long)c->in[i].shape.size[2]);
    if (!(o->dropout >= 0 && o->dropout <= 1))
        return leat_call_fail(c, LEAT_EARG, "the probability is %g, and must be in 0 .. 1", o->dropout);
    c->out[0].shape = LEAT_SHAPE(q->size[0], q->size[1], v->size[2]);
    c->out[1].shape = LEAT_SHAPE(q->size[0], o->heads, q->size[1]);
    return LEAT_OK;
}

static leat_attention_args args_of(const leat_call *c)
{
    const attention_attributes *o = c->attributes;
    const leat_shape *k = &c->in[1].shape;
    return (leat_attention_args){ .batch = k->size[0],
                                  .heads = o->heads,
                                  .queries = c->in[0].shape.size[1],
                                  .places = k->size[1],
                                  .width = k->size[2] / o->heads,
                                  .value_width = c->in[2].shape.size[2] / o->heads,
                                  .causal = o->causal,
                                  .dropout = o->dropout,
                                  .rng = o->at,
                                  .q = c->in[0].data,
                                  .k = c->in[1].data,
                                  .v = c->in[2].data,
                                  .out = c->out[0].data,
                                  .log_total = c->out[1].data,
                                  .dout = c->dout[0].data,
                                  .dlog_total = c->dout[1].data,
                                  .dq = c->din[0].data,
                                  .dk = c->din[1].data,
                                  .dv = c->din[2].data };
}

static void attention_forward(leat_call *c)
{
    leat_attention_args a = args_of(c);
    a.dout = NULL;
    if (leat_attention_forward(leat_tape_pool(c->tape), leat_tape_scratch(c->tape), &a))
        leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
}

static void attention_backward(leat_call *c)
{
    leat_attention_args a = args_of(c);
    if (leat_attention_backward(leat_tape_pool(c->tape), leat_tape_scratch(c->tape), &a))
        leat_call_fail(c, LEAT_ENOMEM, "out of memory for scratch");
}

static bool attention_sample(leat_case *k, int i)
{
    static const struct {
        int64_t batch, queries, places, width, value_width;
        int heads;
        bool causal;
        double dropout;
    } samples[] = {
        { 2, 3, 4, 2, 3, 2, false, 0 },   { 1, 1, 1, 1, 1, 1, false, 0 },   { 2, 5, 5, 3, 1, 1, true, 0 },
        { 1, 2, 100, 1, 2, 1, false, 0 }, { 1, 70, 3, 2, 1, 1, true, 0 },   { 1, 98, 98, 1, 1, 1, true, 0 },
        { 2, 4, 3, 2, 2, 3, false, 0.5 }, { 1, 3, 99, 1, 1, 2, true, 0.3 }, { 0, 2, 3, 1, 1, 1, false, 0 },
        { 2, 0, 0, 2, 2, 1, true, 0 },    { 2, 0, 3, 1, 2, 2, false, 0.5 }, { 1, 2, 3, 2, 2, 2, false, 1 },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    attention_attributes *o = leat_arena_alloc(k->arena, sizeof *o);
    if (!o)
        return false;
    int64_t batch = samples[i].batch, places = samples[i].places, heads = samples[i].heads;
    *o = (attention_attributes){ samples[i].heads, samples[i].causal, samples[i].dropout, *k->rng };
    k->attributes = o;
    k->attributes_size = sizeof *o;
    k->n = 3;
    k->in[0] = leat_case_normal(k, LEAT_SHAPE(batch, samples[i].queries, heads * samples[i].width));
    k->in[1] = leat_case_normal(k, LEAT_SHAPE(batch, places, heads * samples[i].width));
    k->in[2] = leat_case_normal(k, LEAT_SHAPE(batch, places, heads * samples[i].value_width));
    return true;
}

const leat_op leat_op_scaled_dot_product_attention = {
    .name = "scaled_dot_product_attention",
    .inputs = 3,
    .outputs = 2,
    .shape = attention_shape,
    .forward = attention_forward,
    .backward = attention_backward,
    .sample = attention_sample,
};

leat_var leat_scaled_dot_product_attention(leat_var q, leat_var k, leat_var v, int heads, bool causal, double dropout)
{
    bool drops = dropout != 0 && leat_tape_training(q.tape);
    attention_attributes o = { heads, causal, drops ? dropout : 0, *leat_tape_rng(q.tape) };
    leat_var out[2];
    leat_apply(&leat_op_scaled_dot_product_attention, &o, sizeof o, 3, (leat_var[]){ q, k, v }, out);
    if (drops && leat_ok(out[0]))
        leat_tape_rng(q.tape)->position +=
            (uint64_t)(leat_var_size(out[1], 0) * heads * leat_var_size(q, 1) * leat_var_size(k, 1));
    return out[0];
}
