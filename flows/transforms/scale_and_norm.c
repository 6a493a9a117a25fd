/*
 * Transforms that scale and shift every feature: actnorm, which looks at a batch once, batch norm, which does so at every
 * step of training, and the diagonal scale, which looks at none. What has been seen are buffers, saved with the model, so
 * that a model that was loaded goes on as if it had never stopped. Of tensors of a higher rank every position is a row.
 */
#include "../flow_impl.h"

#include <math.h>

/* [.., dim] scaled and shifted feature by feature: x exp(log_scale) + bias, or back; without a bias (absent) scaled. */
static leat_pair scale_and_shift(leat_var x, leat_var log_scale, leat_var bias, bool inverse)
{
    leat_var logdet = leat_logdet_of_features(leat_sum(log_scale), x, inverse);
    bool shifts = !leat_is_absent(bias);
    if (inverse)
        return (leat_pair){ leat_mul(shifts ? leat_sub(x, bias) : x, leat_exp(leat_neg(log_scale))), logdet };
    leat_var y = leat_mul(x, leat_exp(log_scale));
    return (leat_pair){ shifts ? leat_add(y, bias) : y, logdet };
}

/* ---- actnorm ----------------------------------------------------------------------------------------------------- */

typedef struct actnorm {
    leat_transform transform;
    leat_actnorm_parts parts;
    int64_t dim;
} actnorm;

static leat_pair actnorm_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const leat_actnorm_parts *a = &((actnorm *)t)->parts;
    if (!leat_check_features(x, ((actnorm *)t)->dim, "an actnorm") ||
        (!inverse && leat_actnorm_waits(a, x.tape) && !leat_actnorm_start(a, x)))
        return leat_failed_pair(x);
    return scale_and_shift(x, leat_use(x.tape, a->log_scale), leat_use(x.tape, a->bias), inverse);
}

static leat_code actnorm_loaded(leat_module *m, leat_status *s)
{
    return leat_actnorm_loaded(&((actnorm *)m)->parts, s);
}

static void actnorm_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_int(w, "dim", ((const actnorm *)m)->dim);
}

static leat_module *actnorm_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v);
    return dim > 0 ? (leat_module *)leat_actnorm(r->model, dim) : NULL;
}

const leat_transform_type leat_actnorm_type = {
    .module = { .name = "actnorm", .loaded = actnorm_loaded, .write = actnorm_write, .read = actnorm_read },
    .run = actnorm_run,
    .inverse_kind = leat_inverse_closed,
};

leat_transform *leat_actnorm(leat_model *m, int64_t dim)
{
    actnorm *a = leat_module_new(m, &leat_actnorm_type.module, sizeof *a);
    if (!leat_check_dim(a, m, dim, "an actnorm"))
        return NULL;
    a->dim = dim;
    a->parts = leat_actnorm_parts_new(&a->transform.module, dim);
    return a->parts.initialized ? &a->transform : NULL;
}

/* ---- batch norm -------------------------------------------------------------------------------------------------- */

typedef struct batch_norm {
    leat_transform transform;
    leat_param *log_gamma, *beta;
    leat_buffer *mean, *variance;
    int64_t dim;
    double eps, momentum;
} batch_norm;

/* running += momentum (of the batch - running); the variance that moves is the unbiased one, as in PyTorch */
static void move_running(batch_norm *b, leat_var x)
{
    leat_tensor batch = leat_value(x);
    double n = (double)(leat_shape_count(&batch.shape) / b->dim), *mean, *variance;
    if (!leat_measure_features(x.tape, batch, &mean, &variance))
        return;
    for (int64_t j = 0; j < b->dim; j++) {
        double was_mean = (double)b->mean->value.data[j], was_variance = (double)b->variance->value.data[j];
        if (!isfinite(mean[j]) || !isfinite(variance[j]))
            continue; /* the loss will tell */
        b->mean->value.data[j] = (leat_real)fma(b->momentum, mean[j] - was_mean, was_mean);
        b->variance->value.data[j] =
            (leat_real)fma(b->momentum, variance[j] * n / (n - 1) - was_variance, was_variance);
    }
}

/* y = (x - mean) / sqrt(variance + eps) exp(log_gamma) + beta, or back, with the statistics given. */
static leat_pair normalize(batch_norm *b, leat_var x, leat_var mean, leat_var variance, bool inverse)
{
    leat_var half_log = leat_mul_scalar(leat_log(leat_add_scalar(variance, b->eps)), 0.5);
    leat_var log_scale = leat_sub(leat_use(x.tape, b->log_gamma), half_log), beta = leat_use(x.tape, b->beta);
    if (inverse) {
        leat_pair out = scale_and_shift(x, log_scale, beta, true);
        return (leat_pair){ leat_add(out.y, mean), out.logdet };
    }
    return scale_and_shift(leat_sub(x, mean), log_scale, beta, false);
}

static leat_pair batch_norm_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    batch_norm *b = (batch_norm *)t;
    if (!leat_check_features(x, b->dim, "a batch norm"))
        return leat_failed_pair(x);
    if (!leat_tape_training(x.tape)) /* copies: a later pass of the step may move them */
        return normalize(b, x, leat_const(x.tape, b->mean->value), leat_const(x.tape, b->variance->value), inverse);
    leat_shape shape = leat_var_shape(x);
    if (inverse)
        leat_tape_fail(x.tape, LEAT_ESTATE, "a batch norm has no inverse in training mode: the batch is not known yet");
    else if (leat_shape_count(&shape) < 2 * b->dim)
        leat_tape_fail(x.tape, LEAT_ESHAPE, "a batch norm needs more than one row to train on");
    if (leat_tape_code(x.tape))
        return leat_failed_pair(x);
    static const int but_last[] = { 0, 1, 2, 3, 4 };
    leat_var mean = leat_mean_axes(x, shape.rank - 1, but_last, false);
    leat_var variance = leat_mean_axes(leat_square(leat_sub(x, mean)), shape.rank - 1, but_last, false);
    leat_pair out = normalize(b, x, mean, variance, false);
    if (!leat_tape_code(x.tape) && !leat_tape_recomputing(x.tape))
        move_running(b, x);
    return out;
}

static leat_code batch_norm_loaded(leat_module *m, leat_status *s)
{
    const batch_norm *b = (const batch_norm *)m;
    for (int64_t j = 0; j < b->dim; j++) {
        double variance = (double)b->variance->value.data[j];
        if (!(variance >= 0) || !isfinite(variance) || !isfinite((double)b->mean->value.data[j]))
            return leat_fail(s, LEAT_EFORMAT, "feature %lld has running variance %g and mean %g", (long long)j + 1,
                             variance, (double)b->mean->value.data[j]);
    }
    return LEAT_OK;
}

static void batch_norm_write(const leat_module *m, leat_part_writer *w)
{
    const batch_norm *b = (const batch_norm *)m;
    leat_part_put_int(w, "dim", b->dim);
    leat_part_put_number(w, "eps", b->eps);
    leat_part_put_number(w, "momentum", b->momentum);
}

static leat_module *batch_norm_read(leat_part_reader *r, const leat_json *v)
{
    leat_norm_opts o = { 0 };
    int64_t dim = leat_read_dim(r, v);
    if (dim < 0 || !leat_part_number(r, v, "eps", &o.eps) || !leat_part_number(r, v, "momentum", &o.momentum) ||
        !leat_read_tensor(r, "running_mean", dim))
        return NULL;
    return (leat_module *)leat_batch_norm_transform(r->model, dim, &o);
}

const leat_transform_type leat_batch_norm_transform_type = {
    .module = { .name = "batch_norm", .loaded = batch_norm_loaded, .write = batch_norm_write, .read = batch_norm_read },
    .run = batch_norm_run,
};

leat_transform *leat_batch_norm_transform(leat_model *m, int64_t dim, const leat_norm_opts *o)
{
    batch_norm *b = leat_module_new(m, &leat_batch_norm_transform_type.module, sizeof *b);
    if (!b)
        return NULL;
    b->dim = dim;
    b->eps = o && o->eps != 0 ? o->eps : 1e-5;
    b->momentum = o && o->momentum != 0 ? o->momentum : 0.1;
    if (dim < 1 || !(b->eps > 0) || !isfinite(b->eps) || !(b->momentum > 0 && b->momentum <= 1)) {
        leat_model_fail(m, LEAT_EARG, "a batch norm of %lld features, eps %g, momentum %g", (long long)dim, b->eps,
                        b->momentum);
        return NULL;
    }
    b->log_gamma = leat_param_new(&b->transform.module, "log_gamma", LEAT_SHAPE(dim), leat_init_zeros());
    b->beta = leat_param_new(&b->transform.module, "beta", LEAT_SHAPE(dim), leat_init_zeros());
    b->mean = leat_buffer_new(&b->transform.module, "running_mean", LEAT_SHAPE(dim));
    b->variance = leat_buffer_new(&b->transform.module, "running_var", LEAT_SHAPE(dim));
    if (!b->log_gamma || !b->beta || !b->mean || !b->variance)
        return NULL;
    for (int64_t j = 0; j < dim; j++)
        b->variance->value.data[j] = 1;
    return &b->transform;
}

/* ---- diagonal scale ---------------------------------------------------------------------------------------------- */

typedef struct diagonal_scale {
    leat_transform transform;
    leat_param *log_scale;
    int64_t dim;
} diagonal_scale;

static leat_pair scale_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const diagonal_scale *d = (const diagonal_scale *)t;
    if (!leat_check_features(x, d->dim, "a diagonal scale"))
        return leat_failed_pair(x);
    return scale_and_shift(x, leat_use(x.tape, d->log_scale), (leat_var){ 0 }, inverse);
}

static void scale_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_int(w, "dim", ((const diagonal_scale *)m)->dim);
}

static leat_module *scale_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v);
    return dim > 0 ? (leat_module *)leat_diagonal_scale(r->model, dim) : NULL;
}

const leat_transform_type leat_diagonal_scale_type = {
    .module = { .name = "diagonal_scale", .write = scale_write, .read = scale_read },
    .run = scale_run,
    .inverse_kind = leat_inverse_closed,
};

leat_transform *leat_diagonal_scale(leat_model *m, int64_t dim)
{
    diagonal_scale *d = leat_module_new(m, &leat_diagonal_scale_type.module, sizeof *d);
    if (!leat_check_dim(d, m, dim, "a diagonal scale"))
        return NULL;
    d->dim = dim;
    d->log_scale = leat_param_new(&d->transform.module, "log_scale", LEAT_SHAPE(dim), leat_init_zeros());
    return &d->transform;
}
