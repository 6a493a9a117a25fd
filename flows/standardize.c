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
    if (f->input)
        leat_standardizer_be_input(f->input);
    leat_chain_standardize(f->chain, f->input);
    if (f->context) {
        f->context_input = leat_standardizer(m, f->context, context_mean, context_sd);
        if (f->context_input)
            leat_standardizer_be_input(f->context_input);
        leat_attach(&f->module, f->context_input ? &f->context_input->module : NULL, "context");
    }
    return leat_model_code(m);
}

typedef struct measuring {
    leat_model *model;
    const char *what;
    leat_doubles rows;
    const bool *left_out;
} measuring;

/* Mean and standard deviation of column j, from its first value on and as a part of its range, so that neither a large
 * offset nor a tiny unit loses anything. */
static leat_code measure(const measuring *m, int64_t j, double *mean, double *sd)
{
    const double *x = m->rows.data + j;
    int64_t columns = m->rows.columns, n = 0;
    double first = 0, range = 0, sum = 0, squares = 0;
    for (int64_t i = 0; i < m->rows.rows; i++) {
        double value = x[i * columns];
        if (!isfinite(value))
            return leat_model_fail(m->model, LEAT_ENONFINITE, "%s: row %lld, column %lld (from 1) is %g", m->what,
                                   (long long)i + 1, (long long)j + 1, value);
        if (m->left_out && m->left_out[i])
            continue;
        first = n++ ? first : value;
        double distance = fabs(value - first);
        range = distance > range ? distance : range;
    }
    if (!(range > 0))
        return leat_model_fail(m->model, LEAT_EARG, "%s: column %lld (from 1) is constant: each of %lld rows has %g",
                               m->what, (long long)j + 1, (long long)n, first);
    if (!isfinite(range))
        return leat_model_fail(m->model, LEAT_EARG, "%s: the range of column %lld (from 1) is beyond a double", m->what,
                               (long long)j + 1);
    for (int64_t i = 0; i < m->rows.rows; i++)
        sum += m->left_out && m->left_out[i] ? 0 : (x[i * columns] - first) / range;
    double centre = sum / (double)n;
    for (int64_t i = 0; i < m->rows.rows; i++) {
        double from_mean = (x[i * columns] - first) / range - centre;
        squares = m->left_out && m->left_out[i] ? squares : fma(from_mean, from_mean, squares);
    }
    *mean = fma(centre, range, first);
    *sd = sqrt(squares / (double)n) * range;
    return LEAT_OK;
}

static leat_code measure_all(const measuring *m, int64_t dim, double *mean, double *sd)
{
    if (!m->rows.data || m->rows.columns != dim)
        return leat_model_fail(m->model, LEAT_ESHAPE, "%s to standardize by: [rows,%lld] is needed, not [%lld,%lld]",
                               m->what, (long long)dim, (long long)m->rows.rows, (long long)m->rows.columns);
    if (!mean || !sd)
        return leat_model_fail(m->model, LEAT_ENOMEM, "out of memory for the means of %lld columns", (long long)dim);
    for (int64_t j = 0; j < dim; j++) {
        if (measure(m, j, &mean[j], &sd[j]))
            break;
    }
    return leat_model_code(m->model);
}

leat_code leat_flow_standardize_doubles(leat_flow *f, leat_doubles rows, leat_doubles context_rows,
                                        const bool *left_out)
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
    leat_code code = measure_all(&(measuring){ m, "data", rows, left_out }, dim, mean, sd);
    if (!code && context)
        code = measure_all(&(measuring){ m, "context", context_rows, left_out }, context, context_mean, context_sd);
    if (!code)
        code = leat_flow_standardize_by(f, mean, sd, context_mean, context_sd);
    leat_arena_free(&scratch);
    return code;
}

/* [rows, columns] in double; no data if it is something else or memory is short. */
static leat_doubles to_doubles(leat_arena *a, leat_tensor t)
{
    if (t.shape.rank != 2)
        return (leat_doubles){ .rows = t.shape.rank ? t.shape.size[0] : 0 };
    leat_doubles out = { .rows = t.shape.size[0], .columns = t.shape.size[1] };
    out.data = leat_arena_alloc(a, (size_t)(out.rows * out.columns) * sizeof *out.data);
    for (int64_t i = 0; out.data && t.data && i < out.rows * out.columns; i++)
        out.data[i] = (double)t.data[i];
    return out;
}

leat_code leat_flow_standardize(leat_flow *f, leat_tensor rows, leat_tensor context_rows)
{
    leat_arena scratch;
    leat_arena_init(&scratch, NULL);
    leat_code code =
        leat_flow_standardize_doubles(f, to_doubles(&scratch, rows), to_doubles(&scratch, context_rows), NULL);
    leat_arena_free(&scratch);
    return code;
}
