/*
 * Layer norm and batch norm. Both end in y = normalised * weight + bias.
 *
 * Batch norm's statistics are over all axes but the last. In training mode they are the batch's, and are part of what
 * is differentiated; the running ones move beside that, in double and rounded once: a function of the numbers they had
 * and the batch alone.
 */
#include "layers.h"
#include "../module_json.h"

#include <math.h>
#include <stdio.h>

typedef struct norm {
    leat_module module;
    leat_param *weight, *bias; /* NULL: without */
    leat_buffer *mean, *variance, *count;
    int64_t features;
    double eps, momentum;
} norm;

static leat_var affine(const norm *n, leat_var x)
{
    return n->weight ? leat_add(leat_mul(x, leat_use(x.tape, n->weight)), leat_use(x.tape, n->bias)) : x;
}

static leat_var layer_norm_forward(leat_module *m, leat_var x, leat_var context)
{
    const norm *n = (const norm *)m;
    if (!leat_fits(m, x, n->features, context, 0))
        return (leat_var){ .tape = x.tape };
    return affine(n, leat_standardize_rows(x, n->eps));
}

/* ---- batch norm -------------------------------------------------------------------------------------------------- */

static leat_var mean_of_rows(leat_var x, int64_t rows)
{
    static const int axes[LEAT_MAX_RANK] = { 0, 1, 2, 3, 4, 5 };
    int rank = leat_var_shape(x).rank; /* 0 if x failed */
    return leat_div_scalar(leat_sum_axes(x, rank ? rank - 1 : 0, axes, false), (double)rows);
}

/* running += momentum (of the batch - running) */
static void move(leat_buffer *running, leat_tensor batch, double factor, double momentum)
{
    for (int64_t i = 0; i < batch.shape.size[0]; i++) {
        double was = (double)running->value.data[i];
        running->value.data[i] = (leat_real)fma(momentum, factor * (double)batch.data[i] - was, was);
    }
}

static bool is_finite(leat_tensor t)
{
    bool finite = true;
    for (int64_t i = 0; i < leat_shape_count(&t.shape); i++)
        finite &= isfinite((double)t.data[i]) != 0;
    return finite;
}

/* The variance that moves is the unbiased one. */
static void update_running(norm *n, leat_var mean, leat_var variance, int64_t rows)
{
    leat_tensor batch_mean = leat_value(mean), batch_variance = leat_value(variance);
    if (!batch_mean.data || !batch_variance.data || !is_finite(batch_mean) || !is_finite(batch_variance))
        return;
    move(n->mean, batch_mean, 1, n->momentum);
    move(n->variance, batch_variance, (double)rows / (double)(rows - 1), n->momentum);
    n->count->value.data[0] += 1;
}

/* weight / sqrt(variance + eps), a number for each feature */
static leat_var scale_of(const norm *n, leat_var variance)
{
    leat_var deviation = leat_sqrt(leat_add_scalar(variance, n->eps));
    return n->weight ? leat_div(leat_use(variance.tape, n->weight), deviation) : leat_rdiv_scalar(1, deviation);
}

static leat_var batch_norm_forward(leat_module *m, leat_var x, leat_var context)
{
    norm *n = (norm *)m;
    leat_tape *t = x.tape;
    leat_shape shape = leat_var_shape(x);
    char text[LEAT_SHAPE_TEXT];
    if (!leat_fits(m, x, n->features, context, 0))
        return (leat_var){ .tape = t };
    int64_t rows = leat_shape_count(&shape) / n->features;
    leat_var centred, variance;
    if (!leat_ok(x))
        return leat_detach(x); /* fails, and says why */

    if (!leat_tape_training(t)) { /* copies: a later pass of the step may move them */
        centred = leat_sub(x, leat_const(t, n->mean->value));
        variance = leat_const(t, n->variance->value);
    } else if (rows < 2) {
        return leat_tape_fail(t, LEAT_ESHAPE, "batch_norm %s: training needs more than one row",
                              leat_shape_print(&shape, text));
    } else {
        leat_var mean = mean_of_rows(x, rows);
        centred = leat_sub(x, mean);
        variance = mean_of_rows(leat_square(centred), rows);
        if (!leat_tape_recomputing(t))
            update_running(n, mean, variance, rows);
    }
    leat_var y = leat_mul(centred, scale_of(n, variance));
    return n->bias ? leat_add(y, leat_use(t, n->bias)) : y;
}

static leat_code batch_norm_loaded(leat_module *m, leat_status *s)
{
    const norm *n = (const norm *)m;
    for (int64_t i = 0; i < n->features; i++) {
        double variance = (double)n->variance->value.data[i];
        if (!(variance >= 0))
            return leat_fail(s, LEAT_EFORMAT, "running_var holds %g", variance);
    }
    return LEAT_OK;
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

static void norm_describe(const leat_module *m, char *text, size_t size)
{
    snprintf(text, size, "%lld", (long long)((const norm *)m)->features);
}

static void norm_write(const leat_module *m, leat_part_writer *w)
{
    const norm *n = (const norm *)m;
    leat_part_put_int(w, "features", n->features);
    leat_part_put_number(w, "eps", n->eps);
    leat_part_put_number(w, "momentum", n->momentum);
    leat_part_put_bool(w, "no_affine", !n->weight);
}

typedef leat_module *norm_fn(leat_model *m, int64_t features, const leat_norm_opts *o);

static leat_module *norm_read(leat_part_reader *r, const leat_json *v, norm_fn *build)
{
    leat_norm_opts o = { .no_affine = leat_part_flag(v, "no_affine") };
    int64_t features = leat_part_size(r, v, "features", 0);
    if (features < 0 || !leat_part_number(r, v, "eps", &o.eps) || !leat_part_number(r, v, "momentum", &o.momentum))
        return NULL;
    return build(r->model, features, &o);
}

static leat_module *layer_norm_read(leat_part_reader *r, const leat_json *v)
{
    return norm_read(r, v, leat_layer_norm);
}

static leat_module *batch_norm_read(leat_part_reader *r, const leat_json *v)
{
    int64_t features = leat_part_size(r, v, "features", 0);
    return features >= 0 && leat_part_holds(r, LEAT_SHAPE(2, features)) ? norm_read(r, v, leat_batch_norm) : NULL;
}

const leat_module_type leat_layer_norm_type = {
    .name = "layer_norm",
    .forward = layer_norm_forward,
    .describe = norm_describe,
    .write = norm_write,
    .read = layer_norm_read,
};

const leat_module_type leat_batch_norm_type = {
    .name = "batch_norm",
    .forward = batch_norm_forward,
    .loaded = batch_norm_loaded,
    .describe = norm_describe,
    .write = norm_write,
    .read = batch_norm_read,
};

static norm *norm_new(leat_model *m, const leat_module_type *type, int64_t features, const leat_norm_opts *o)
{
    static const leat_norm_opts defaults;
    norm *n = leat_module_new(m, type, sizeof *n);
    if (!n)
        return NULL;
    if (!o)
        o = &defaults;
    n->features = features;
    n->eps = o->eps == 0 ? 1e-5 : o->eps;
    n->momentum = o->momentum == 0 ? 0.1 : o->momentum;
    if (!leat_is_size(features, 1))
        leat_model_fail(m, LEAT_EARG, "%s: %lld features", type->name, (long long)features);
    else if (!(n->eps > 0) || !isfinite(n->eps))
        leat_model_fail(m, LEAT_EARG, "%s: eps is %g", type->name, n->eps);
    else if (!(n->momentum > 0 && n->momentum <= 1))
        leat_model_fail(m, LEAT_EARG, "%s: momentum is %g, not in 0 .. 1", type->name, n->momentum);
    if (leat_model_code(m))
        return NULL;
    if (!o->no_affine) {
        n->weight = leat_param_new(&n->module, "weight", LEAT_SHAPE(features), leat_init_constant(1));
        n->bias = leat_param_new(&n->module, "bias", LEAT_SHAPE(features), leat_init_zeros());
    }
    return n;
}

leat_module *leat_layer_norm(leat_model *m, int64_t features, const leat_norm_opts *o)
{
    norm *n = norm_new(m, &leat_layer_norm_type, features, o);
    return n ? &n->module : NULL;
}

leat_module *leat_batch_norm(leat_model *m, int64_t features, const leat_norm_opts *o)
{
    norm *n = norm_new(m, &leat_batch_norm_type, features, o);
    if (!n)
        return NULL;
    n->mean = leat_buffer_new(&n->module, "running_mean", LEAT_SHAPE(features));
    n->variance = leat_buffer_new(&n->module, "running_var", LEAT_SHAPE(features));
    n->count = leat_buffer_new(&n->module, "num_batches_tracked", leat_shape_of(0, NULL));
    for (int64_t i = 0; n->variance && i < features; i++)
        n->variance->value.data[i] = 1;
    return &n->module;
}
