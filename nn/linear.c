/* The linear layer, y = x w^T + b. Both start as PyTorch's do, U(-1/sqrt(in), 1/sqrt(in)). */
#include "layers.h"
#include "parts.h"

#include <math.h>
#include <stdio.h>

typedef struct linear {
    leat_module module;
    leat_param *weight, *bias;
    int64_t in, out;
} linear;

leat_var leat_join_context(leat_var x, leat_var context)
{
    return leat_is_absent(context) ? x : leat_concat(2, (leat_var[]){ x, context }, -1);
}

static leat_var linear_forward(leat_module *m, leat_var x, leat_var context)
{
    const linear *l = (const linear *)m;
    leat_tape *t = x.tape;
    return leat_linear(leat_join_context(x, context), leat_use(t, l->weight), leat_use(t, l->bias), LEAT_IDENTITY);
}

leat_var leat_linear_with(leat_module *m, leat_var x, leat_activation f)
{
    const linear *l = (const linear *)m;
    leat_tape *t = x.tape;
    const leat_scope *was = leat_tape_enter(t, &m->scope);
    leat_var y = leat_linear(x, leat_use(t, l->weight), leat_use(t, l->bias), f);
    leat_tape_enter(t, was);
    return y;
}

static void linear_visit(leat_module *m, leat_visitor *v)
{
    const linear *l = (const linear *)m;
    leat_visit_param(v, m, l->weight);
    leat_visit_param(v, m, l->bias);
}

static void linear_describe(const leat_module *m, char *text, size_t size)
{
    const linear *l = (const linear *)m;
    snprintf(text, size, "%lld -> %lld", (long long)l->in, (long long)l->out);
}

static void linear_write(const leat_module *m, leat_part_writer *w)
{
    const linear *l = (const linear *)m;
    leat_part_put_int(w, "in", l->in);
    leat_part_put_int(w, "out", l->out);
}

static const leat_module_type linear_type = {
    .name = "linear",
    .write = linear_write,
    .forward = linear_forward,
    .visit = linear_visit,
    .describe = linear_describe,
};

bool leat_is_linear(const leat_module *m)
{
    return m->type == &linear_type;
}

leat_module *leat_linear_layer(leat_model *m, int64_t in, int64_t out)
{
    linear *l = leat_module_new(m, &linear_type, sizeof *l);
    if (!l)
        return NULL;
    l->in = in;
    l->out = out;
    if (in < 0 || out < 0) {
        leat_model_fail(m, LEAT_EARG, "linear: %lld -> %lld features", (long long)in, (long long)out);
        return NULL;
    }
    double bound = in ? 1 / sqrt((double)in) : 0;
    leat_init init = leat_init_uniform(-bound, bound);
    l->weight = leat_param_new(&l->module, "weight", LEAT_SHAPE(out, in), init);
    l->bias = leat_param_new(&l->module, "bias", LEAT_SHAPE(out), init);
    return &l->module;
}
