/* From bytes to the whole line: dequantisation, which fills the gaps between levels by chance, uniform or by a flow of its
 * own (Ho et al., "Flow++", 2019, section 3.1), and the logit. */
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

/* u is uniform, or sigmoid(inner(eps)) given net(image), in the shape that view gives to rows. */
typedef struct dequantize {
    leat_transform transform;
    int64_t dim, bits;
    leat_transform *view, *inner; /* NULL: uniform */
    leat_module *net;
} dequantize;

/* The levels of bytes, and the largest number below the end of each: rounding must not make the next level of it. */
static bool find_levels(const dequantize *d, leat_var x, leat_var *level, leat_var *last)
{
    leat_tensor from = leat_value(x), k = { .shape = from.shape }, below = k;
    int64_t count = leat_shape_count(&from.shape);
    double levels = ldexp(1, (int)d->bits);
    k.data = leat_tape_alloc(x.tape, 2 * (size_t)count * sizeof *k.data);
    below.data = k.data + (k.data ? count : 0);
    for (int64_t i = 0; k.data && i < count; i++) {
        double byte = (double)from.data[i];
        if (byte < 0 || byte > 255 || byte > floor(byte)) { /* a NaN is nobody's level, and stays one */
            leat_tape_fail(x.tape, LEAT_EARG, "row %lld, number %lld is %g, not a byte of 0 .. 255",
                           (long long)(i / d->dim) + 1, (long long)(i % d->dim) + 1, byte);
            return false;
        }
        k.data[i] = (leat_real)floor(byte * levels / 256);
        below.data[i] = (leat_real)(((double)k.data[i] + 1) / levels * (1 - (double)EPSILON));
    }
    *level = leat_borrow(x.tape, k);
    *last = leat_borrow(x.tape, below);
    return k.data != NULL;
}

/* -log of the derivative of the sigmoid at w. One after the other, since which is made first decides how gradients add
 * up, and the order of arguments is the compiler's choice. */
static leat_var flatness(leat_var w)
{
    leat_var below = leat_softplus(leat_neg(w));
    return leat_add(leat_softplus(w), below);
}

/* u by the inner flow, with log q(u | x) = log N(eps) - log|det ds/deps| - log sigmoid'(s): that, minus, in *bound. */
static leat_var draw(const dequantize *d, leat_var x, const leat_flow_call *call, leat_var *bound)
{
    leat_flow_call none = { 0 };
    leat_var centre = leat_add_scalar(leat_mul_scalar(x, 1. / 256), -0.5);
    leat_var image = leat_transform_run(d->view, centre, &none, false).y;
    leat_shape shape = leat_var_shape(image);
    leat_flow_call inner = { .context = leat_forward_with(d->net, image, call->context) };
    leat_var eps = call->centred ? leat_zeros(x.tape, shape) : leat_randn(x.tape, shape);
    leat_pair s = leat_transform_run(d->inner, eps, &inner, false);
    leat_var flat = leat_transform_run(d->view, s.y, &none, true).y;
    leat_var slopes = leat_neg(flatness(flat));
    *bound = leat_add(leat_sub(s.logdet, leat_normal_log_density(eps)), leat_sum_features(slopes));
    return leat_sigmoid(flat);
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
    double bits = (double)(d->bits * d->dim) * LOG_2;
    leat_var all = leat_full(x.tape, LEAT_SHAPE(shape.size[0]), inverse ? bits : -bits), level, last, bound = { 0 };
    if (inverse)
        return (leat_pair){ to_bytes(d->bits, x), all };
    if (!find_levels(d, x, &level, &last))
        return leat_failed_pair(x);
    leat_var u = d->inner        ? draw(d, x, call, &bound)
                 : call->centred ? leat_full(x.tape, shape, 0.5)
                                 : leat_rand(x.tape, shape);
    leat_var v = leat_minimum(leat_mul_scalar(leat_add(level, u), ldexp(1, -(int)d->bits)), last);
    return (leat_pair){ v, d->inner ? leat_add(all, bound) : all };
}

static int64_t dequantize_numbers(const leat_transform *t, bool inverse)
{
    const dequantize *d = (const dequantize *)t;
    return inverse ? 0 : d->dim + (d->inner ? leat_transform_numbers(d->inner, false) : 0);
}

static bool dequantize_is_bound(const leat_transform *t)
{
    (void)t;
    return true;
}

static void dequantize_describe(const leat_module *m, char *text, size_t size)
{
    const dequantize *d = (const dequantize *)m;
    snprintf(text, size, "%lld bits, %s", (long long)d->bits, d->inner ? "variational" : "uniform");
}

static void dequantize_write(const leat_module *m, leat_part_writer *w)
{
    const dequantize *d = (const dequantize *)m;
    leat_part_put_int(w, "dim", d->dim);
    leat_part_put_int(w, "bits", d->bits);
    if (!d->inner)
        return;
    leat_part_put_module(w, "view", &d->view->module);
    leat_part_put_module(w, "net", d->net);
    leat_part_put_module(w, "inner", &d->inner->module);
}

static leat_module *dequantize_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v), bits = leat_part_size(r, v, "bits", 1);
    bits = bits > 8 ? 9 : bits;
    if (dim < 1 || bits < 1)
        return NULL;
    if (!leat_json_get(v, "inner"))
        return (leat_module *)leat_dequantize(r->model, dim, (int)bits);
    leat_transform *view = leat_part_inner(r, v, "view"), *inner = view ? leat_part_inner(r, v, "inner") : NULL;
    leat_module *net = inner ? leat_part_module(r, v, "net") : NULL;
    return net ? (leat_module *)leat_dequantize_by(r->model, dim, (int)bits, view, net, inner) : NULL;
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

static dequantize *dequantize_new(leat_model *m, int64_t dim, int bits)
{
    dequantize *d = leat_module_new(m, &leat_dequantize_type.module, sizeof *d);
    if (!leat_check_dim(d, m, dim, "dequantisation"))
        return NULL;
    d->dim = dim;
    d->bits = bits;
    if (bits >= 1 && bits <= 8)
        return d;
    leat_model_fail(m, LEAT_EARG, "dequantisation of bytes to %d bits, which are 1 to 8", bits);
    return NULL;
}

leat_transform *leat_dequantize(leat_model *m, int64_t dim, int bits)
{
    return (leat_transform *)dequantize_new(m, dim, bits);
}

leat_transform *leat_dequantize_by(leat_model *m, int64_t dim, int bits, leat_transform *view, leat_module *net,
                                   leat_transform *inner)
{
    dequantize *d = dequantize_new(m, dim, bits);
    if (!d)
        return NULL;
    leat_attach(&d->transform.module, view ? &view->module : NULL, "view");
    leat_attach(&d->transform.module, net, "net");
    leat_attach(&d->transform.module, inner ? &inner->module : NULL, "inner");
    d->view = view;
    d->net = net;
    d->inner = inner;
    return leat_model_code(m) ? NULL : &d->transform;
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
    leat_var slopes = leat_add_scalar(flatness(w), leat_log64(share));
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
