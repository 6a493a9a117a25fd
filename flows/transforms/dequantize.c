/* From bytes to the whole line: uniform dequantisation, which fills the gaps between levels by chance, and the logit. */
#include "../flow_impl.h"
#include "../../tensor/kernels/elementary.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#define LOG_2 0.69314718055994530942

#ifdef LEAT_DOUBLE
#define EPSILON DBL_EPSILON
#else
#define EPSILON FLT_EPSILON
#endif

/* ---- dequantisation ---------------------------------------------------------------------------------------------- */

typedef struct dequantize {
    leat_transform transform;
    int64_t dim, bits;
} dequantize;

/* v in the place of u, always below its level's end: rounding must not make the next level of it. */
static bool fill_levels(leat_tape *t, int64_t bits, leat_tensor x, leat_real *u)
{
    double levels = ldexp(1, (int)bits);
    for (int64_t i = 0; i < leat_shape_count(&x.shape); i++) {
        double byte = (double)x.data[i], k = floor(byte * levels / 256);
        if (byte < 0 || byte > 255 || byte != floor(byte)) { /* a NaN is nobody's level, and stays one */
            if (isnan(byte)) {
                u[i] = x.data[i];
                continue;
            }
            leat_tape_fail(t, LEAT_EARG, "row %lld, number %lld is %g, not a byte of 0 .. 255",
                           (long long)(i / x.shape.size[1]) + 1, (long long)(i % x.shape.size[1]) + 1, byte);
            return false;
        }
        double v = (k + (double)u[i]) / levels, end = (k + 1) / levels;
        u[i] = (leat_real)v < (leat_real)end ? (leat_real)v : (leat_real)(end * (1 - (double)EPSILON));
    }
    return true;
}

static leat_var to_bytes(int64_t bits, leat_var v)
{
    leat_tensor from = leat_value(v);
    int64_t count = leat_shape_count(&from.shape);
    leat_real *x = leat_tape_alloc(v.tape, (size_t)count * sizeof *x);
    double levels = ldexp(1, (int)bits);
    for (int64_t i = 0; x && i < count; i++) {
        double k = floor((double)from.data[i] * levels);
        k = k < 0 ? 0 : k > levels - 1 ? levels - 1 : k;
        x[i] = (leat_real)(k * 256 / levels);
    }
    return x ? leat_borrow(v.tape, (leat_tensor){ x, from.shape }) : (leat_var){ .tape = v.tape };
}

static leat_pair dequantize_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    const dequantize *d = (const dequantize *)t;
    leat_shape shape = leat_var_shape(x);
    if (!leat_check_row(x, LEAT_SHAPE(d->dim), "dequantisation"))
        return leat_failed_pair(x);
    double logdet = (double)(d->bits * d->dim) * LOG_2;
    leat_var out, all = leat_full(x.tape, LEAT_SHAPE(shape.size[0]), inverse ? logdet : -logdet);
    if (inverse) {
        out = to_bytes(d->bits, x);
    } else {
        out = call->centred ? leat_full(x.tape, shape, 0.5) : leat_rand(x.tape, shape);
        if (!leat_ok(out) || !fill_levels(x.tape, d->bits, leat_value(x), leat_value(out).data))
            return leat_failed_pair(x);
    }
    return (leat_pair){ out, all };
}

static int64_t dequantize_numbers(const leat_transform *t, bool inverse)
{
    return inverse ? 0 : ((const dequantize *)t)->dim;
}

static bool dequantize_is_bound(const leat_transform *t)
{
    (void)t;
    return true;
}

static void dequantize_describe(const leat_module *m, char *text, size_t size)
{
    snprintf(text, size, "%lld bits", (long long)((const dequantize *)m)->bits);
}

static void dequantize_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_int(w, "dim", ((const dequantize *)m)->dim);
    leat_part_put_int(w, "bits", ((const dequantize *)m)->bits);
}

static leat_module *dequantize_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v), bits = leat_part_size(r, v, "bits", 1);
    return dim > 0 && bits > 0 ? (leat_module *)leat_dequantize(r->model, dim, bits > 8 ? 9 : (int)bits) : NULL;
}

const leat_transform_type leat_dequantize_type = {
    .module = { .name = "dequantize",
                .describe = dequantize_describe,
                .write = dequantize_write,
                .read = dequantize_read },
    .run = dequantize_run,
    .trace_moved = leat_trace_nothing,
    .numbers_per_row = dequantize_numbers,
    .is_bound = dequantize_is_bound,
};

leat_transform *leat_dequantize(leat_model *m, int64_t dim, int bits)
{
    dequantize *d = leat_module_new(m, &leat_dequantize_type.module, sizeof *d);
    if (!leat_check_dim(d, m, dim, "dequantisation"))
        return NULL;
    d->dim = dim;
    d->bits = bits;
    if (bits >= 1 && bits <= 8)
        return &d->transform;
    leat_model_fail(m, LEAT_EARG, "dequantisation of bytes to %d bits, which are 1 to 8", bits);
    return NULL;
}

/* ---- logit ------------------------------------------------------------------------------------------------------- */

typedef struct logit {
    leat_transform transform;
    double alpha;
} logit;

/* log|dw/dv| = log(1 - 2 alpha) - log y - log(1 - y), where -log y = softplus(-w) and -log(1 - y) = softplus(w) */
static leat_pair logit_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    double alpha = ((const logit *)t)->alpha, share = 1 - 2 * alpha;
    leat_var w = x, y = leat_add_scalar(leat_mul_scalar(x, share), alpha);
    if (inverse)
        y = leat_mul_scalar(leat_sub_scalar(leat_sigmoid(x), alpha), 1 / share);
    else
        w = leat_sub(leat_log(y), leat_log(leat_rsub_scalar(1, y)));
    leat_var slopes = leat_add_scalar(leat_add(leat_softplus(w), leat_softplus(leat_neg(w))), leat_log64(share));
    leat_var logdet = leat_sum_features(slopes);
    return inverse ? (leat_pair){ y, leat_neg(logdet) } : (leat_pair){ w, logdet };
}

static void logit_describe(const leat_module *m, char *text, size_t size)
{
    snprintf(text, size, "alpha %g", ((const logit *)m)->alpha);
}

static void logit_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_number(w, "alpha", ((const logit *)m)->alpha);
}

static leat_module *logit_read(leat_part_reader *r, const leat_json *v)
{
    double alpha;
    return leat_part_number(r, v, "alpha", &alpha) ? (leat_module *)leat_logit(r->model, alpha) : NULL;
}

const leat_transform_type leat_logit_type = {
    .module = { .name = "logit", .describe = logit_describe, .write = logit_write, .read = logit_read },
    .run = logit_run,
    .trace_moved = leat_trace_nothing,
    .inverse_kind = leat_inverse_closed,
};

leat_transform *leat_logit(leat_model *m, double alpha)
{
    logit *l = leat_module_new(m, &leat_logit_type.module, sizeof *l);
    if (!l)
        return NULL;
    l->alpha = alpha;
    if (alpha >= 0 && alpha < 0.5)
        return &l->transform;
    leat_model_fail(m, LEAT_EARG, "a logit with alpha %g, which is from 0 to below 1/2", alpha);
    return NULL;
}
