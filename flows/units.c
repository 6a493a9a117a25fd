/*
 * The units of data, outside of a tape and in double: from what a table says to what a flow works on, and back.
 *
 * A column of whole numbers is dequantized: k stands for all of [k, k + 1), of which a number is taken, a random one or
 * the next of a sequence that fills the interval evenly in all columns at once (the additive recurrence of the
 * generalised golden ratio g, g^(d + 1) = g + 1, by steps of g^-1, g^-2, ..).
 */
#include "flow_impl.h"
#include "../tensor/kernels/elementary.h"

#include <math.h>
#include <stdlib.h>

void leat_units_prepare(leat_standardizer_parts *s)
{
    int64_t whole = 0;
    double g = 2;
    for (int64_t j = 0; s->whole && j < s->whole->value.shape.size[0]; j++)
        whole += s->whole->doubles[j] != 0;
    for (int i = 0; i < 60; i++) { /* Newton; the root lies between 1 and 2 */
        double power = 1;
        for (int64_t k = 0; k < whole; k++)
            power *= g;
        g -= (power * g - g - 1) / ((double)(whole + 1) * power - 1);
    }
    s->step = 1 / g;
}

/* x on the whole line; adds log|dy/dx|, which is -inf outside of the bounds. */
static double to_line(double x, double low, double high, double *log_slope)
{
    double above = isfinite(low) ? x - low : 1, below = isfinite(high) ? high - x : 1;
    if (!(above > 0) || !(below > 0)) {
        *log_slope = -(double)INFINITY;
        return 0;
    }
    double log_above = leat_log64(above), log_below = leat_log64(below);
    if (!isfinite(low) && !isfinite(high))
        return x;
    *log_slope -= log_above + log_below - (isfinite(low) && isfinite(high) ? leat_log64(high - low) : 0);
    return log_above - log_below;
}

/* And back, strictly inside of the bounds; adds log|dx/dy|. */
static double from_line(double y, double low, double high, double *log_slope)
{
    bool has_low = isfinite(low), has_high = isfinite(high);
    double x = y, e = leat_exp64(-fabs(y));
    if (has_low && has_high)
        x = y < 0 ? low + (high - low) * e / (1 + e) : high - (high - low) * e / (1 + e);
    else if (has_low || has_high)
        x = has_low ? low + leat_exp64(y) : high - leat_exp64(-y);
    if (has_low && has_high)
        *log_slope += leat_log64(high - low) - fabs(y) - 2 * leat_log1p64(e);
    else if (has_low || has_high)
        *log_slope += has_low ? y : -y;
    if (has_low && !(x > low))
        x = nextafter(low, (double)INFINITY);
    if (has_high && !(x < high))
        x = nextafter(high, -(double)INFINITY);
    return x;
}

static double of(const leat_buffer *b, int64_t j, double otherwise)
{
    return b ? b->doubles[j] : otherwise;
}

void leat_units_apply(const leat_transform *t, const double *x, int64_t rows, int64_t columns,
                      const leat_dequantizer *d, leat_real *y, double *logdet)
{
    const leat_standardizer_parts *s = (const leat_standardizer_parts *)t;
    for (int64_t i = 0; i < rows; i++, x += columns, y += columns) {
        double log_slope = s ? -s->log_sd : 0, step = 1;
        for (int64_t j = 0; j < columns; j++) {
            double v = x[j];
            if (s && of(s->whole, j, 0) != 0) {
                step *= s->step;
                double share = 0.5 + (double)d->point * step;
                v = floor(v) + (d->rng ? leat_rng_uniform(d->rng) : share - floor(share));
            }
            if (s && s->lower)
                v = to_line(v, s->lower->doubles[j], s->upper->doubles[j], &log_slope);
            y[j] = (leat_real)(s ? (v - s->mean->doubles[j]) / s->sd->doubles[j] : v);
        }
        if (logdet)
            logdet[i] = log_slope;
    }
}

void leat_units_undo(const leat_transform *t, const leat_real *y, int64_t rows, int64_t columns, double *x,
                     double *logdet)
{
    const leat_standardizer_parts *s = (const leat_standardizer_parts *)t;
    for (int64_t i = 0; i < rows; i++, x += columns, y += columns) {
        double log_slope = s ? s->log_sd : 0;
        for (int64_t j = 0; j < columns; j++) {
            double v = s ? fma((double)y[j], s->sd->doubles[j], s->mean->doubles[j]) : (double)y[j];
            if (s && s->lower)
                v = from_line(v, s->lower->doubles[j], s->upper->doubles[j], &log_slope);
            x[j] = s && of(s->whole, j, 0) != 0 ? floor(v) : v;
        }
        if (logdet)
            logdet[i] = log_slope;
    }
}

bool leat_flow_units(const leat_flow *f, leat_units *u)
{
    const leat_standardizer_parts *s = (const leat_standardizer_parts *)f->input;
    *u = (leat_units){ 0 };
    if (!s)
        return false;
    *u = (leat_units){ .columns = s->mean->value.shape.size[0],
                       .mean = s->mean->doubles,
                       .sd = s->sd->doubles,
                       .lower = s->lower ? s->lower->doubles : NULL,
                       .upper = s->upper ? s->upper->doubles : NULL,
                       .whole = s->whole ? s->whole->doubles : NULL };
    return true;
}

/* ---- by data ----------------------------------------------------------------------------------------------------- */

/* One column of them: on the line where it has bounds. */
typedef struct measuring {
    leat_model *model;
    const char *what;
    leat_doubles rows;
    const leat_standardize_opts *o;
    double *column; /* [rows] */
    bool is_context;
} measuring;

static leat_code refuse_bounds(const measuring *m, int64_t i, int64_t j)
{
    return leat_model_fail(m->model, LEAT_EARG, "%s: row %lld, column %lld is %g, not inside of its bounds, %g and %g",
                           m->what, (long long)i + 1, (long long)j + 1, m->rows.data[i * m->rows.columns + j],
                           m->o->lower[j], m->o->upper[j]);
}

static leat_code take_column(const measuring *m, int64_t j)
{
    const leat_standardize_opts *o = m->o;
    bool bounds = o->lower && !m->is_context, whole = o->whole && !m->is_context && o->whole[j];
    for (int64_t i = 0; i < m->rows.rows; i++) {
        double v = m->rows.data[i * m->rows.columns + j], log_slope = 0, share = 0.5 + (double)i * 0.6180339887498949;
        if (!isfinite(v))
            return leat_model_fail(m->model, LEAT_ENONFINITE, "%s: row %lld, column %lld is %g", m->what,
                                   (long long)i + 1, (long long)j + 1, v);
        if (whole && v != floor(v))
            return leat_model_fail(m->model, LEAT_EARG, "%s: row %lld, column %lld is %g, no whole number", m->what,
                                   (long long)i + 1, (long long)j + 1, v);
        v += whole ? share - floor(share) : 0;
        m->column[i] = bounds ? to_line(v, o->lower[j], o->upper[j] + (whole ? 1 : 0), &log_slope) : v;
        if (isinf(log_slope))
            return refuse_bounds(m, i, j);
    }
    return LEAT_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Those of the normal of the same median and quartiles, whose distance is 1.349 sd; m->column is sorted. */
static void measure_quartiles(const measuring *m, double *mean, double *sd)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->rows.rows; i++) {
        if (!m->o->left_out || !m->o->left_out[i])
            m->column[n++] = m->column[i];
    }
    qsort(m->column, (size_t)n, sizeof *m->column, by_value);
    double between = m->column[3 * n / 4] - m->column[n / 4];
    if (between > 0) {
        *mean = m->column[n / 2];
        *sd = between / 1.3489795003921635;
    }
}

/* Mean and standard deviation of column j, from its first value on and as a part of its range, so that neither a large
 * offset nor a tiny unit loses anything. */
static leat_code measure(const measuring *m, int64_t j, double *mean, double *sd)
{
    const bool *left_out = m->o->left_out;
    int64_t n = 0;
    double first = 0, range = 0, sum = 0, squares = 0;
    if (take_column(m, j))
        return leat_model_code(m->model);
    for (int64_t i = 0; i < m->rows.rows; i++) {
        if (left_out && left_out[i])
            continue;
        first = n++ ? first : m->column[i];
        double distance = fabs(m->column[i] - first);
        range = distance > range ? distance : range;
    }
    if (!(range > 0))
        return leat_model_fail(m->model, LEAT_EARG, "%s: column %lld is constant: each of %lld rows has %g", m->what,
                               (long long)j + 1, (long long)n, first);
    if (!isfinite(range))
        return leat_model_fail(m->model, LEAT_EARG, "%s: the range of column %lld is beyond a double", m->what,
                               (long long)j + 1);
    for (int64_t i = 0; i < m->rows.rows; i++)
        sum += left_out && left_out[i] ? 0 : (m->column[i] - first) / range;
    double centre = sum / (double)n;
    for (int64_t i = 0; i < m->rows.rows; i++) {
        double from_mean = (m->column[i] - first) / range - centre;
        squares = left_out && left_out[i] ? squares : fma(from_mean, from_mean, squares);
    }
    *mean = fma(centre, range, first);
    *sd = sqrt(squares / (double)n) * range;
    if (m->o->by_quartiles && !m->is_context)
        measure_quartiles(m, mean, sd);
    return LEAT_OK;
}

/* Both [columns], from the arena. */
static leat_code measure_all(measuring *m, int64_t columns, leat_arena *a, double **mean, double **sd)
{
    if (!m->rows.data || m->rows.columns != columns)
        return leat_model_fail(m->model, LEAT_ESHAPE, "%s to standardize by: [rows,%lld] is needed, not [%lld,%lld]",
                               m->what, (long long)columns, (long long)m->rows.rows, (long long)m->rows.columns);
    *mean = leat_arena_alloc(a, (size_t)columns * sizeof **mean);
    *sd = leat_arena_alloc(a, (size_t)columns * sizeof **sd);
    m->column = leat_arena_alloc(a, (size_t)m->rows.rows * sizeof *m->column);
    if (!*mean || !*sd || !m->column)
        return leat_model_fail(m->model, LEAT_ENOMEM, "out of memory for the means of %lld columns",
                               (long long)columns);
    for (int64_t j = 0; j < columns; j++) {
        if (measure(m, j, &(*mean)[j], &(*sd)[j]))
            break;
    }
    return leat_model_code(m->model);
}

/* The upper bound of a whole number is one that it may have. */
static leat_code take_kinds(leat_model *m, leat_units *u, const leat_standardize_opts *o, leat_arena *a)
{
    double *numbers = leat_arena_alloc(a, (size_t)(2 * u->columns) * sizeof *numbers);
    if (!numbers)
        return leat_model_fail(m, LEAT_ENOMEM, "out of memory for the bounds of columns");
    for (int64_t j = 0; j < u->columns; j++) {
        numbers[j] = o->whole && o->whole[j];
        numbers[u->columns + j] = (o->upper ? o->upper[j] : 0) + numbers[j];
    }
    u->lower = o->lower;
    u->upper = o->lower ? numbers + u->columns : NULL;
    u->whole = o->whole ? numbers : NULL;
    return LEAT_OK;
}

leat_code leat_flow_standardize_doubles(leat_flow *f, leat_doubles rows, const leat_standardize_opts *opts)
{
    if (!f || leat_model_code(f->module.model))
        return f ? leat_model_code(f->module.model) : LEAT_ESTATE;
    leat_model *m = f->module.model;
    leat_standardize_opts o = opts ? *opts : (leat_standardize_opts){ 0 };
    if (!o.lower != !o.upper)
        return leat_model_fail(m, LEAT_EARG, "bounds of data are given from below and from above, or not at all");
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(m)->allocator);
    leat_units u = { .columns = leat_flow_dim(f) }, c = { .columns = f->context };
    double *mean = NULL, *sd = NULL;
    measuring data = { m, "data", rows, &o, NULL, false }, context = { m, "context", o.context, &o, NULL, true };
    leat_code code = measure_all(&data, u.columns, &scratch, &mean, &sd);
    u.mean = mean;
    u.sd = sd;
    if (!code && c.columns) {
        code = measure_all(&context, c.columns, &scratch, &mean, &sd);
        c.mean = mean;
        c.sd = sd;
    }
    if (!code)
        code = take_kinds(m, &u, &o, &scratch);
    if (!code)
        code = leat_flow_set_units(f, &u, &c);
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
    leat_standardize_opts o = { .context = to_doubles(&scratch, context_rows) };
    leat_code code = leat_flow_standardize_doubles(f, to_doubles(&scratch, rows), &o);
    leat_arena_free(&scratch);
    return code;
}
