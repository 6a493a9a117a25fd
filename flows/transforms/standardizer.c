/* Standardizing: fixed shifts and scales that bring every column of the data to mean 0 and standard deviation 1. */
#include "../flow_impl.h"
#include "../../tensor/kernels/elementary.h"

#include <math.h>

typedef struct standardizer {
    leat_transform transform;
    leat_buffer *mean, *sd;
    double log_sd; /* the sum of all log sd */
} standardizer;

static leat_pair standardizer_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const standardizer *s = (const standardizer *)t;
    if (!leat_check_features(x, s->mean->value.shape.size[0], "a standardizer"))
        return leat_failed_pair(x);
    leat_var mean = leat_borrow(x.tape, s->mean->value), sd = leat_borrow(x.tape, s->sd->value);
    leat_var logdet = leat_logdet_of_features(leat_scalar(x.tape, -s->log_sd), x, inverse);
    return (leat_pair){ inverse ? leat_add(leat_mul(x, sd), mean) : leat_div(leat_sub(x, mean), sd), logdet };
}

static leat_code standardizer_loaded(leat_module *m, leat_status *status)
{
    standardizer *s = (standardizer *)m;
    int64_t dim = s->sd->value.shape.size[0];
    double sum = 0;
    for (int64_t j = 0; j < dim; j++) {
        double mean = (double)s->mean->value.data[j], sd = (double)s->sd->value.data[j];
        if (!(sd > 0) || !isfinite(sd) || !isfinite(mean))
            return leat_fail(status, LEAT_EFORMAT, "column %lld has mean %g and standard deviation %g",
                             (long long)j + 1, mean, sd);
        sum += leat_log64(sd);
    }
    s->log_sd = sum;
    return LEAT_OK;
}

static void standardizer_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_int(w, "dim", ((const standardizer *)m)->mean->value.shape.size[0]);
}

static leat_module *standardizer_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v);
    return dim > 0 && leat_read_tensor(r, "mean", dim) ? (leat_module *)leat_standardizer(r->model, dim, NULL, NULL)
                                                       : NULL;
}

const leat_transform_type leat_standardizer_type = {
    .module = { .name = "standardize",
                .loaded = standardizer_loaded,
                .write = standardizer_write,
                .read = standardizer_read },
    .run = standardizer_run,
    .trace_moved = leat_trace_nothing, /* features that only change their units do not count as moved */
    .inverse_kind = leat_inverse_closed,
};

leat_transform *leat_standardizer(leat_model *m, int64_t dim, const double *mean, const double *sd)
{
    standardizer *s = leat_module_new(m, &leat_standardizer_type.module, sizeof *s);
    if (!leat_check_dim(s, m, dim, "a standardizer"))
        return NULL;
    s->mean = leat_buffer_new(&s->transform.module, "mean", LEAT_SHAPE(dim));
    s->sd = leat_buffer_new(&s->transform.module, "sd", LEAT_SHAPE(dim));
    if (!s->mean || !s->sd)
        return NULL;
    for (int64_t j = 0; j < dim; j++) {
        s->mean->value.data[j] = mean ? (leat_real)mean[j] : 0;
        s->sd->value.data[j] = sd ? (leat_real)sd[j] : 1;
    }
    leat_status status = { 0 };
    if (standardizer_loaded(&s->transform.module, &status)) {
        leat_model_fail(m, LEAT_EARG, "a standardizer: %s", status.message);
        return NULL;
    }
    return &s->transform;
}
