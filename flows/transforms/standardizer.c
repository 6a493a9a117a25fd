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
            return leat_fail(status, LEAT_EFORMAT, "column %lld has mean %g and standard deviation %g", (long long)j,
                             mean, sd);
        sum += leat_log64(sd);
    }
    s->log_sd = sum;
    return LEAT_OK;
}

/* Features that only change their units do not count as moved. */
static void standardizer_trace_moved(const leat_transform *t, int64_t numbers, bool *moved)
{
    (void)t, (void)numbers, (void)moved;
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
    .trace_moved = standardizer_trace_moved,
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

/* ---- from data --------------------------------------------------------------------------------------------------- */

/* Mean and standard deviation of column j, in two passes, in double. */
static leat_code measure(leat_model *m, leat_tensor rows, int64_t j, const char *what, double *mean, double *sd)
{
    int64_t n = rows.shape.size[0], columns = rows.shape.size[1];
    double sum = 0, squares = 0;
    bool constant = true;
    for (int64_t i = 0; i < n; i++) {
        leat_real value = rows.data[i * columns + j];
        if (!isfinite(value))
            return leat_model_fail(m, LEAT_ENONFINITE, "%s: row %lld, column %lld is %g", what, (long long)i,
                                   (long long)j, (double)value);
        constant = constant && value == rows.data[j];
        sum += (double)value;
    }
    if (constant)
        return leat_model_fail(m, LEAT_EARG, "%s: column %lld is constant: each of %lld rows has %g", what,
                               (long long)j, (long long)n, n ? (double)rows.data[j] : 0);
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double from_mean = (double)rows.data[i * columns + j] - *mean;
        squares = fma(from_mean, from_mean, squares);
    }
    *sd = sqrt(squares / (double)n);
    return LEAT_OK;
}

static leat_code measure_all(leat_model *m, leat_tensor rows, int64_t dim, const char *what, double *mean, double *sd)
{
    char text[LEAT_SHAPE_TEXT];
    if (rows.shape.rank != 2 || rows.shape.size[1] != dim)
        return leat_model_fail(m, LEAT_ESHAPE, "%s to standardize by: [rows,%lld] is needed, not %s", what,
                               (long long)dim, leat_shape_print(&rows.shape, text));
    if (!mean || !sd)
        return leat_model_fail(m, LEAT_ENOMEM, "out of memory for the means of %lld columns", (long long)dim);
    for (int64_t j = 0; j < dim; j++) {
        if (measure(m, rows, j, what, &mean[j], &sd[j]))
            break;
    }
    return leat_model_code(m);
}

leat_code leat_flow_standardize(leat_flow *f, leat_tensor rows, leat_tensor context_rows)
{
    if (!f || leat_model_code(f->module.model))
        return f ? leat_model_code(f->module.model) : LEAT_ESTATE;
    leat_model *m = f->module.model;
    int64_t dim = leat_flow_dim(f), context = f->context;
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(m)->allocator);
    double *mean = leat_arena_alloc(&scratch, (size_t)dim * sizeof *mean),
           *sd = leat_arena_alloc(&scratch, (size_t)dim * sizeof *sd),
           *context_mean = leat_arena_alloc(&scratch, (size_t)context * sizeof *context_mean),
           *context_sd = leat_arena_alloc(&scratch, (size_t)context * sizeof *context_sd);
    leat_code code = measure_all(m, rows, dim, "data", mean, sd);
    if (!code && context)
        code = measure_all(m, context_rows, context, "context", context_mean, context_sd);
    if (!code)
        code = leat_flow_standardize_by(f, mean, sd, context_mean, context_sd);
    leat_arena_free(&scratch);
    return code;
}
