/* Actnorm's numbers, which a batch sets: of the flow's transform, and of convolutions that are followed by one. */
#include "layers.h"
#include "../../tensor/kernels/elementary.h"

#include <math.h>
#include <string.h>

bool leat_measure_features(leat_tape *t, leat_tensor x, double **mean, double **variance)
{
    int64_t count = leat_shape_count(&x.shape), features = x.shape.size[x.shape.rank - 1], n = count / features;
    double *sum = leat_tape_alloc(t, 2 * (size_t)features * sizeof *sum);
    if (!sum)
        return false;
    double *squares = memset(sum + features, 0, (size_t)features * sizeof *sum);
    memset(sum, 0, (size_t)features * sizeof *sum);
    for (const leat_real *row = x.data; row < x.data + count; row += features)
        for (int64_t j = 0; j < features; j++)
            sum[j] += (double)row[j];
    for (int64_t j = 0; j < features; j++)
        sum[j] /= (double)n;
    for (const leat_real *row = x.data; row < x.data + count; row += features) {
        for (int64_t j = 0; j < features; j++) {
            double from_mean = (double)row[j] - sum[j];
            squares[j] = fma(from_mean, from_mean, squares[j]);
        }
    }
    for (int64_t j = 0; j < features; j++)
        squares[j] /= (double)n;
    *mean = sum;
    *variance = squares;
    return true;
}

leat_actnorm_parts leat_actnorm_parts_new(leat_module *owner, int64_t features)
{
    leat_actnorm_parts a = { 0 };
    a.log_scale = leat_param_new(owner, "log_scale", LEAT_SHAPE(features), leat_init_zeros());
    a.bias = leat_param_new(owner, "bias", LEAT_SHAPE(features), leat_init_zeros());
    if (a.log_scale && a.bias)
        a.initialized = leat_buffer_new(owner, "initialized", leat_shape_of(0, NULL));
    return a;
}

bool leat_actnorm_waits(const leat_actnorm_parts *a, leat_tape *t)
{
    leat_use(t, a->log_scale); /* seals the model, so that there are values to set */
    return leat_tape_training(t) && !leat_tape_recomputing(t) && a->initialized->value.data[0] == 0;
}

/* A feature of equal values has no scale; 1e-6 keeps it finite. */
bool leat_actnorm_start(const leat_actnorm_parts *a, leat_var x)
{
    leat_tensor batch = leat_value(x);
    int64_t features = a->bias->leaf.shape.size[0], count = leat_shape_count(&batch.shape);
    if (!batch.data || count < 2 * features)
        return leat_ok(x); /* nothing to be learned from one row: the next batch will do it */
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite((double)batch.data[i])) {
            leat_tape_fail(x.tape, LEAT_ENONFINITE, "actnorm: row %lld of its first batch, column %lld is %g",
                           (long long)(i / features) + 1, (long long)(i % features) + 1, (double)batch.data[i]);
            return false;
        }
    }
    double *mean, *variance;
    if (!leat_measure_features(x.tape, batch, &mean, &variance))
        return false;
    for (int64_t j = 0; j < features; j++) {
        double scale = 1 / (sqrt(variance[j]) + 1e-6);
        a->log_scale->leaf.value[j] = (leat_real)leat_log64(scale);
        a->bias->leaf.value[j] = (leat_real)(-mean[j] * scale);
    }
    a->initialized->value.data[0] = 1;
    return true;
}

leat_code leat_actnorm_loaded(const leat_actnorm_parts *a, leat_status *s)
{
    double flag = (double)a->initialized->value.data[0];
    return flag == 0 || flag == 1 ? LEAT_OK : leat_fail(s, LEAT_EFORMAT, "'initialized' is %g, neither 0 nor 1", flag);
}
