/*
 * Linear layers, y = x w^T + b, of three kinds: w is a parameter; a parameter times a mask (for MADE); or put together
 * from the directions and lengths of its rows (weight norm). Parameters start as PyTorch's do, U(-1/sqrt(in),
 * 1/sqrt(in)).
 */
#include "layers.h"
#include "../module_json.h"

#include <math.h>
#include <stdio.h>

typedef struct linear {
    leat_module module;
    leat_param *weight, *bias; /* with weight norm, weight is weight_v */
    leat_param *lengths;       /* weight_g, or NULL */
    leat_buffer *mask;         /* or NULL */
    int64_t in, out;
} linear;

leat_var leat_context_at(leat_var context, leat_var x)
{
    leat_shape shape = leat_var_shape(x), at = leat_var_shape(context);
    if (leat_is_absent(context) || at.rank != 2 || shape.rank <= 2)
        return context;
    int64_t features = at.size[1];
    at = (leat_shape){ .rank = shape.rank, .size = { at.size[0], 1, 1, 1, 1, 1 } };
    at.size[shape.rank - 1] = shape.size[shape.rank - 1] = features;
    return leat_broadcast_to(leat_reshape(context, at), shape);
}

leat_var leat_join_context(leat_var x, leat_var context)
{
    return leat_is_absent(context) ? x : leat_concat(2, (leat_var[]){ x, leat_context_at(context, x) }, -1);
}

bool leat_fits(const leat_module *m, leat_var x, int64_t features, leat_var context, int64_t context_features)
{
    const char *name = m->type->name;
    leat_shape shape = leat_var_shape(x);
    char text[LEAT_SHAPE_TEXT];
    if (!leat_ok(x) || (!leat_is_absent(context) && !leat_ok(context))) {
        leat_zeros_like(leat_ok(x) ? context : x); /* says why, if it was not said already */
        return false;
    }
    if (shape.rank < 1 || shape.size[shape.rank - 1] != features)
        leat_tape_fail(x.tape, LEAT_ESHAPE, "%s %s: the layer takes %lld features", name,
                       leat_shape_print(&shape, text), (long long)features);
    else if (leat_is_absent(context) != (context_features == 0))
        leat_tape_fail(x.tape, LEAT_ESTATE, "%s %s", name, context_features ? "needs a context" : "takes no context");
    else if (context_features && leat_var_size(context, -1) != context_features)
        leat_tape_fail(x.tape, LEAT_ESHAPE, "%s: a context of %lld features, not %lld", name,
                       (long long)leat_var_size(context, -1), (long long)context_features);
    else
        return true;
    return false;
}

static leat_var weight_of(const linear *l, leat_tape *t)
{
    leat_var w = leat_use(t, l->weight);
    if (l->mask)
        return leat_mul(w, leat_borrow(t, l->mask->value));
    return l->lengths ? leat_weight_of_norm(w, leat_use(t, l->lengths)) : w;
}

void leat_linear_weights(leat_module *m, leat_tape *t, leat_var *weight, leat_var *bias)
{
    const linear *l = (const linear *)m;
    *weight = weight_of(l, t);
    *bias = leat_use(t, l->bias);
}

static leat_var linear_forward(leat_module *m, leat_var x, leat_var context)
{
    const linear *l = (const linear *)m;
    leat_tape *t = x.tape;
    return leat_linear(leat_join_context(x, context), weight_of(l, t), leat_use(t, l->bias), LEAT_IDENTITY);
}

leat_var leat_linear_with(leat_module *m, leat_var x, leat_activation f)
{
    const linear *l = (const linear *)m;
    leat_tape *t = x.tape;
    const leat_scope *was = leat_tape_enter(t, &m->scope);
    leat_var y = leat_linear(x, weight_of(l, t), leat_use(t, l->bias), f);
    leat_tape_enter(t, was);
    return y;
}

static leat_code linear_loaded(leat_module *m, leat_status *s)
{
    leat_tensor mask = leat_linear_mask(m);
    int64_t count = mask.data ? leat_shape_count(&mask.shape) : 0;
    for (int64_t i = 0; i < count; i++) {
        if (mask.data[i] != 0 && mask.data[i] != 1)
            return leat_fail(s, LEAT_EFORMAT, "the mask holds %g, neither 0 nor 1", (double)mask.data[i]);
    }
    return LEAT_OK;
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

typedef leat_module *linear_fn(leat_model *m, int64_t in, int64_t out);

static leat_module *read_sizes(leat_part_reader *r, const leat_json *v, linear_fn *build)
{
    int64_t in = leat_part_size(r, v, "in", 0), out = leat_part_size(r, v, "out", 0);
    return in < 0 || out < 0 ? NULL : build(r->model, in, out);
}

static leat_module *linear_read(leat_part_reader *r, const leat_json *v)
{
    return read_sizes(r, v, leat_linear_layer);
}

/* The mask is memory at once. */
static leat_module *masked_read(leat_part_reader *r, const leat_json *v)
{
    int64_t in = leat_part_size(r, v, "in", 0), out = leat_part_size(r, v, "out", 0);
    return in < 0 || out < 0 || !leat_part_holds(r, LEAT_SHAPE(out, in)) ? NULL : leat_masked_linear(r->model, in, out);
}

static leat_module *weight_norm_read(leat_part_reader *r, const leat_json *v)
{
    return read_sizes(r, v, leat_weight_norm_linear);
}

const leat_module_type leat_linear_type = {
    .name = "linear",
    .write = linear_write,
    .read = linear_read,
    .forward = linear_forward,
    .describe = linear_describe,
};

const leat_module_type leat_masked_linear_type = {
    .name = "masked_linear",
    .write = linear_write,
    .read = masked_read,
    .forward = linear_forward,
    .loaded = linear_loaded,
    .describe = linear_describe,
};

const leat_module_type leat_weight_norm_linear_type = {
    .name = "weight_norm_linear",
    .forward = linear_forward,
    .describe = linear_describe,
    .write = linear_write,
    .read = weight_norm_read,
};

bool leat_is_linear(const leat_module *m)
{
    return m->type->forward == linear_forward;
}

/* With weight and bias; NULL, and a failed model, if that cannot be. */
static linear *linear_new(leat_model *m, const leat_module_type *type, const char *weight, int64_t in, int64_t out)
{
    linear *l = leat_module_new(m, type, sizeof *l);
    if (!l)
        return NULL;
    l->in = in;
    l->out = out;
    if (in < 0 || out < 0 || (in == 0 && type == &leat_weight_norm_linear_type)) {
        leat_model_fail(m, LEAT_EARG, "%s: %lld -> %lld features", type->name, (long long)in, (long long)out);
        return NULL;
    }
    double bound = in ? 1 / sqrt((double)in) : 0;
    leat_init init = leat_init_uniform(-bound, bound);
    l->weight = leat_param_new(&l->module, weight, LEAT_SHAPE(out, in), init);
    l->bias = leat_param_new(&l->module, "bias", LEAT_SHAPE(out), init);
    return l;
}

leat_module *leat_linear_layer(leat_model *m, int64_t in, int64_t out)
{
    linear *l = linear_new(m, &leat_linear_type, "weight", in, out);
    return l ? &l->module : NULL;
}

/* ---- with a mask ------------------------------------------------------------------------------------------------- */

leat_module *leat_masked_linear(leat_model *m, int64_t in, int64_t out)
{
    linear *l = linear_new(m, &leat_masked_linear_type, "weight", in, out);
    if (!l)
        return NULL;
    l->mask = leat_buffer_new(&l->module, "mask", LEAT_SHAPE(out, in));
    return &l->module;
}

leat_tensor leat_linear_mask(const leat_module *m)
{
    const linear *l = (const linear *)m;
    return l && l->mask ? l->mask->value : (leat_tensor){ 0 };
}

/* ---- with weight norm -------------------------------------------------------------------------------------------- */

leat_var leat_weight_of_norm(leat_var v, leat_var g)
{
    static const int axes[] = { 1, 2, 3, 4, 5 };
    int rank = leat_var_shape(v).rank; /* 0 if v failed */
    leat_var norms = leat_sqrt(leat_sum_axes(leat_square(v), rank ? rank - 1 : 0, axes, true));
    return leat_mul(v, leat_div(g, norms));
}

/* The lengths of the rows of a matrix that begins `distance` numbers before `t` in the model's flat array, and has been
 * filled before it; so the product starts out as weight_v, whatever that starts as. */
static void fill_lengths(leat_rng *rng, leat_tensor t, double distance, double columns)
{
    (void)rng;
    const leat_real *v = t.data - (int64_t)distance;
    for (int64_t i = 0; i < t.shape.size[0]; i++) {
        double squares = 0;
        for (int64_t j = 0; j < (int64_t)columns; j++, v++)
            squares = fma((double)*v, (double)*v, squares);
        t.data[i] = (leat_real)sqrt(squares);
    }
}

leat_param *leat_norms_new(leat_module *owner, const leat_param *v)
{
    if (!v)
        return NULL;
    leat_shape shape = v->leaf.shape;
    int64_t numbers = leat_shape_count(&shape), rows = shape.size[0];
    for (int axis = 1; axis < shape.rank; axis++)
        shape.size[axis] = 1;
    leat_param *g = leat_param_new(owner, "weight_g", shape, leat_init_zeros());
    if (g)
        g->init = (leat_init){ .fill = fill_lengths,
                               .a = (double)(g->offset - v->offset),
                               .b = rows ? (double)(numbers / rows) : 0 };
    return g;
}

leat_module *leat_weight_norm_linear(leat_model *m, int64_t in, int64_t out)
{
    linear *l = linear_new(m, &leat_weight_norm_linear_type, "weight_v", in, out);
    if (!l)
        return NULL;
    l->lengths = leat_norms_new(&l->module, l->weight);
    return &l->module;
}
