/* A flow that takes data as they are: a standardizer in front, and one for the context, by given numbers or by data. */
#include "flow_impl.h"

#include <math.h>

leat_code leat_flow_standardize_by(leat_flow *f, const double *mean, const double *sd, const double *context_mean,
                                   const double *context_sd)
{
    leat_model *m = f ? f->module.model : NULL;
    if (!f)
        return LEAT_ESTATE; /* the model has failed already */
    if (f->input)
        return leat_model_fail(m, LEAT_ESTATE, "the flow has a standardizer already");
    f->input = leat_standardizer(m, leat_flow_dim(f), mean, sd);
    leat_chain_standardize(f->chain, f->input);
    if (f->context) {
        f->context_input = leat_standardizer(m, f->context, context_mean, context_sd);
        leat_attach(&f->module, f->context_input ? &f->context_input->module : NULL, "context");
    }
    return leat_model_code(m);
}

/* Mean and standard deviation of column j, in two passes, in double. */
static leat_code measure(leat_model *m, leat_tensor rows, int64_t j, const char *what, double *mean, double *sd)
{
    int64_t n = rows.shape.size[0], columns = rows.shape.size[1];
    double sum = 0, squares = 0;
    bool constant = true;
    for (int64_t i = 0; i < n; i++) {
        leat_real value = rows.data[i * columns + j];
        if (!isfinite(value))
            return leat_model_fail(m, LEAT_ENONFINITE, "%s: row %lld, column %lld is %g", what, (long long)i + 1,
                                   (long long)j + 1, (double)value);
        constant = constant && value == rows.data[j];
        sum += (double)value;
    }
    if (constant)
        return leat_model_fail(m, LEAT_EARG, "%s: column %lld is constant: each of %lld rows has %g", what,
                               (long long)j + 1, (long long)n, n ? (double)rows.data[j] : 0);
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
