/*
 * Standardizing: what brings every column of the data to mean 0 and standard deviation 1. A column with bounds is first
 * spread over the whole line,
 *
 *     y = log(x - lower)      y = -log(upper - x)      y = log(x - lower) - log(upper - x)
 *
 * Here are the transform on a tape and its file; units.c has what is done outside of a tape, in double.
 */
#include "../flow_impl.h"
#include "../../tensor/kernels/elementary.h"

#include <math.h>

/* ---- bounds on a tape -------------------------------------------------------------------------------------------- */

/* Numbers for each feature that make one formula of the four cases. */
enum { FREE, SIDE, BOTH, LOWER, UPPER, BASE, WIDTH, LOG_WIDTH, LINE_NUMBERS };

static leat_var line(const leat_standardizer_parts *s, leat_var x, int k)
{
    leat_tensor t = s->mean->value;
    t.data = s->line + k * t.shape.size[0];
    return leat_borrow(x.tape, t);
}

/* log|dy/dx| in terms of y: -y with a lower bound, y with an upper one, and with both softplus(y) + softplus(-y) - log of
 * their distance. */
static leat_var line_log_slope(const leat_standardizer_parts *s, leat_var y)
{
    leat_var both = leat_add(leat_softplus(y), leat_softplus(leat_neg(y)));
    return leat_sub(leat_mul(line(s, y, BOTH), leat_sub(both, line(s, y, LOG_WIDTH))), leat_mul(line(s, y, SIDE), y));
}

static leat_pair to_line(const leat_standardizer_parts *s, leat_var x)
{
    leat_var one = leat_scalar(x.tape, 1), free = line(s, x, FREE), lower = line(s, x, LOWER),
             upper = line(s, x, UPPER);
    leat_var both = line(s, x, BOTH), side = line(s, x, SIDE), zero = leat_scalar(x.tape, 0);
    leat_var has_lower = leat_gt(leat_add(both, side), zero), has_upper = leat_gt(leat_sub(both, side), zero);
    leat_var a = leat_where(has_lower, leat_sub(x, lower), one), b = leat_where(has_upper, leat_sub(upper, x), one);
    leat_var y = leat_add(leat_mul(free, x), leat_sub(leat_log(a), leat_log(b)));
    return (leat_pair){ y, leat_sum_features(line_log_slope(s, y)) };
}

static leat_pair from_line(const leat_standardizer_parts *s, leat_var y)
{
    leat_var side = line(s, y, SIDE), free = leat_mul(line(s, y, FREE), y);
    leat_var outer = leat_mul(side, leat_exp(leat_mul(side, y)));
    leat_var inner = leat_mul(line(s, y, WIDTH), leat_sigmoid(y));
    leat_var x = leat_add(leat_add(free, outer), leat_add(inner, line(s, y, BASE)));
    return (leat_pair){ x, leat_neg(leat_sum_features(line_log_slope(s, y))) };
}

/* From the buffers; false when they make no sense. */
static bool fill_line(leat_standardizer_parts *s)
{
    int64_t dim = s->mean->value.shape.size[0];
    for (int64_t j = 0; j < dim; j++) {
        double low = s->lower->doubles[j], high = s->upper->doubles[j];
        bool has_low = isfinite(low), has_high = isfinite(high);
        if (!(low < high) || (isinf(low) && low > 0) || (isinf(high) && high < 0))
            return false;
        double width = has_low && has_high ? high - low : 0;
        const double numbers[LINE_NUMBERS] = {
            [FREE] = !has_low && !has_high,
            [SIDE] = (double)(has_low && !has_high) - (double)(has_high && !has_low),
            [BOTH] = has_low && has_high,
            [LOWER] = has_low ? low : 0,
            [UPPER] = has_high ? high : 0,
            [BASE] = has_low    ? low
                     : has_high ? high
                                : 0,
            [WIDTH] = width,
            [LOG_WIDTH] = width > 0 ? leat_log64(width) : 0,
        };
        for (int k = 0; k < LINE_NUMBERS; k++)
            s->line[k * dim + j] = (leat_real)numbers[k];
    }
    return true;
}

/* ---- the transform ----------------------------------------------------------------------------------------------- */

static leat_pair standardizer_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    const leat_standardizer_parts *s = (const leat_standardizer_parts *)t;
    if (s->input && call->standardized)
        return (leat_pair){ .y = x };
    if (!leat_check_features(x, s->mean->value.shape.size[0], "a standardizer"))
        return leat_failed_pair(x);
    leat_var mean = leat_borrow(x.tape, s->mean->value), sd = leat_borrow(x.tape, s->sd->value);
    leat_pair out = { x, leat_logdet_of_features(leat_scalar(x.tape, -s->log_sd), x, inverse) }, bent = out;
    if (s->line && !inverse)
        bent = to_line(s, x);
    out.y = inverse ? leat_add(leat_mul(x, sd), mean) : leat_div(leat_sub(bent.y, mean), sd);
    if (s->line && inverse) {
        bent = from_line(s, out.y);
        out.y = bent.y;
    }
    if (s->line)
        out.logdet = leat_add(out.logdet, bent.logdet);
    return out;
}

static leat_code standardizer_loaded(leat_module *m, leat_status *status)
{
    leat_standardizer_parts *s = (leat_standardizer_parts *)m;
    int64_t dim = s->sd->value.shape.size[0];
    double sum = 0;
    for (int64_t j = 0; j < dim; j++) {
        double mean = s->mean->doubles[j], sd = s->sd->doubles[j];
        if (!(sd > 0) || !isfinite(sd) || !isfinite(mean))
            return leat_fail(status, LEAT_EFORMAT, "column %lld has mean %g and standard deviation %g",
                             (long long)j + 1, mean, sd);
        if (s->whole && s->whole->doubles[j] != 0 && s->whole->doubles[j] != 1)
            return leat_fail(status, LEAT_EFORMAT, "whole numbers of column %lld are told by %g, not by 0 or 1",
                             (long long)j + 1, s->whole->doubles[j]);
        sum += leat_log64(sd);
    }
    s->log_sd = sum;
    leat_units_prepare(s);
    return !s->line || fill_line(s) ? LEAT_OK
                                    : leat_fail(status, LEAT_EFORMAT, "a column with an upper bound below the lower");
}

static void standardizer_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_int(w, "dim", ((const leat_standardizer_parts *)m)->mean->value.shape.size[0]);
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

static leat_buffer *add_buffer(leat_standardizer_parts *s, const char *name, int64_t dim, const double *numbers,
                               double otherwise)
{
    leat_buffer *b = leat_buffer_new_doubles(&s->transform.module, name, LEAT_SHAPE(dim));
    for (int64_t j = 0; b && j < dim; j++) {
        b->doubles[j] = numbers ? numbers[j] : otherwise;
        b->value.data[j] = (leat_real)b->doubles[j];
    }
    return b;
}

leat_transform *leat_standardizer_of(leat_model *m, const leat_units *u)
{
    leat_standardizer_parts *s = leat_module_new(m, &leat_standardizer_type.module, sizeof *s);
    int64_t dim = u->columns;
    if (!leat_check_dim(s, m, dim, "a standardizer"))
        return NULL;
    s->mean = add_buffer(s, "mean", dim, u->mean, 0);
    s->sd = add_buffer(s, "sd", dim, u->sd, 1);
    if (u->lower || u->upper) {
        s->lower = add_buffer(s, "lower", dim, u->lower, -(double)INFINITY);
        s->upper = add_buffer(s, "upper", dim, u->upper, (double)INFINITY);
        s->line = leat_arena_zalloc(leat_model_arena(m), (size_t)(LINE_NUMBERS * dim) * sizeof *s->line);
    }
    if (u->whole)
        s->whole = add_buffer(s, "whole", dim, u->whole, 0);
    leat_status status = { 0 };
    if (leat_model_code(m) || ((u->lower || u->upper) && !s->line) ||
        standardizer_loaded(&s->transform.module, &status)) {
        leat_model_fail(m, status.code ? LEAT_EARG : LEAT_ENOMEM, "a standardizer: %s",
                        status.code ? status.message : "out of memory");
        return NULL;
    }
    return &s->transform;
}

leat_transform *leat_standardizer(leat_model *m, int64_t dim, const double *mean, const double *sd)
{
    return leat_standardizer_of(m, &(leat_units){ .columns = dim, .mean = mean, .sd = sd });
}
