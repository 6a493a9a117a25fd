/* Scalar maps with three groups of parameters for every element, their log-determinants, and their inverses, one pass
 * each way: the rational-quadratic spline (Durkan et al. 2019) and the logit of a mixture of logistics (Ho et al. 2019). */
#include "ops.h"
#include "../../tensor/kernels/elementary.h"
#include "../../tensor/kernels/row_kernels.h"

#include <math.h>

/* ---- what they share --------------------------------------------------------------------------------------------- */

static int64_t last_of(const leat_shape *s)
{
    return s->rank ? s->size[s->rank - 1] : 0;
}

/* Whether `theta` is x with one axis more behind it. */
static bool is_one_wider(const leat_shape *x, const leat_shape *theta)
{
    leat_shape front = *theta;
    front.rank--;
    return theta->rank == x->rank + 1 && leat_shape_equal(&front, x);
}

static leat_code map_shape(leat_call *c)
{
    const leat_shape *x = &c->in[0].shape;
    c->out[0].shape = *x;
    if (x->rank == 0)
        return leat_call_fail(c, LEAT_ESHAPE, "there is no batch axis");
    c->out[1].shape = leat_shape_of(1, x->size);
    for (int i = 1; i < 4; i++) {
        if (!is_one_wider(x, &c->in[i].shape))
            return leat_call_fail(c, LEAT_ESHAPE, "parameters are no rows for each element");
    }
    return LEAT_OK;
}

typedef struct map_job {
    const leat_call *call;
    const void *constants;
    leat_map_kernel *kernel;
    bool inverse, backward;
} map_job;

static int64_t width_of(const leat_call *c)
{
    return leat_extent_at(&c->in[0].shape, 0).inner;
}

static leat_real *from(leat_real *data, int64_t at)
{
    return data ? data + at : NULL;
}

static void map_range(void *arg, int64_t begin, int64_t end)
{
    const map_job *job = arg;
    const leat_call *c = job->call;
    int64_t n = width_of(c), at = begin * n;
    leat_map_rows r = { .x = (job->backward && job->inverse ? c->out[0].data : c->in[0].data) + at };
    for (int g = 0; g < 3; g++)
        r.theta[g] = c->in[1 + g].data + at * last_of(&c->in[1 + g].shape);
    if (job->backward) {
        r.g = c->dout[0].data + at;
        r.h = c->dout[1].data + begin;
        r.dx = from(c->din[0].data, at);
        for (int g = 0; g < 3; g++)
            r.dtheta[g] = from(c->din[1 + g].data, at * last_of(&c->in[1 + g].shape));
    } else {
        r.y = c->out[0].data + at;
        r.logdet = c->out[1].data + begin;
    }
    job->kernel(job->constants, &r, end - begin, n);
}

static void map_run(const leat_call *c, map_job job)
{
    job.call = c;
    leat_call_rows(c, c->in[0].shape.size[0], width_of(c) * 3 * last_of(&c->in[1].shape), map_range, &job);
}

#define MAP_OP(op, family, unread_)                                                                                    \
    const leat_op leat_op_##op = { .name = #op,                                                                        \
                                   .inputs = 4,                                                                        \
                                   .outputs = 2,                                                                       \
                                   .shape = family##_shape,                                                            \
                                   .forward = family##_forward,                                                        \
                                   .backward = family##_backward,                                                      \
                                   .unread = unread_,                                                                  \
                                   .sample = family##_sample };
#define MAP_INVERSE_UNREAD (1U | LEAT_UNREAD_OUT(1)) /* its gradients are those of the way there */

static leat_var map_apply(const leat_op *op, const void *attributes, size_t size, const leat_var in[4],
                          leat_var *logdet)
{
    leat_var out[2];
    leat_apply(op, attributes, size, 4, in, out);
    if (logdet)
        *logdet = out[1];
    return out[0];
}

/* ---- splines ----------------------------------------------------------------------------------------------------- */

static leat_code spline_shape(leat_call *c)
{
    const leat_spline *s = c->attributes;
    leat_code code = map_shape(c);
    if (code)
        return code;
    int64_t bins = last_of(&c->in[1].shape), slopes = last_of(&c->in[3].shape);
    if (bins != last_of(&c->in[2].shape) || (slopes != bins && slopes != bins - 1))
        return leat_call_fail(c, LEAT_ESHAPE, "as many heights as widths are needed, and as many slopes or one less");
    if (bins < 2 || bins > LEAT_SPLINE_BINS)
        return leat_call_fail(c, LEAT_ESHAPE, "%lld bins, not 2 to %d", (long long)bins, LEAT_SPLINE_BINS);
    if (!(s->bound > 0 && s->least_width >= 0 && s->least_height >= 0 && s->least_slope >= 0 &&
          s->least_width * (double)bins < 1 && s->least_height * (double)bins < 1 &&
          (!s->clipped || (s->least_slope > 0 && s->least_slope < 1))))
        return leat_call_fail(c, LEAT_EARG, "no spline of %lld bins has the bound %g and least sizes %g, %g and %g",
                              (long long)bins, s->bound, s->least_width, s->least_height, s->least_slope);
    return LEAT_OK;
}

/* Bins of about one size, and elements about their middles, some of them outside: the log-derivative has a kink at each
 * knot. */
static bool spline_sample(leat_case *k, int i)
{
    static const leat_spline splines[] = { { 2, 0.02, 0.01, 0.1, false }, { 2, 0, 0, 0.01, true } };
    static const struct {
        leat_shape x;
        int64_t bins, slopes;
    } samples[] = {
        { { 1, { 7 } }, 2, 1 },       { { 2, { 5, 3 } }, 8, 7 },  { { 2, { 5, 3 } }, 8, 8 }, { { 2, { 2, 17 } }, 3, 3 },
        { { 3, { 2, 2, 3 } }, 5, 4 }, { { 2, { 1, 33 } }, 4, 3 }, { { 2, { 0, 3 } }, 4, 3 }, { { 2, { 3, 0 } }, 4, 4 },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    int64_t bins = samples[i].bins;
    const leat_spline *spline = &splines[i % 2];
    leat_shape theta = samples[i].x;
    theta.rank++;
    k->n = 4;
    k->attributes = spline;
    k->attributes_size = sizeof *spline;
    k->in[0] = leat_case_away(k, samples[i].x, 0.05, 0.2, false);
    for (int64_t j = 0; k->in[0].data && j < leat_shape_count(&samples[i].x); j++) {
        double middle = (double)(j % (bins + 2)) - 0.5 + (double)k->in[0].data[j];
        k->in[0].data[j] = (leat_real)(spline->bound * (2 * middle / (double)bins - 1));
    }
    for (int j = 1; j < 4; j++) {
        theta.size[theta.rank - 1] = j < 3 ? bins : samples[i].slopes;
        k->in[j] = leat_case_normal(k, theta);
        for (int64_t at = 0; k->in[j].data && at < leat_shape_count(&theta); at++)
            k->in[j].data[at] *= (leat_real)(j < 3 ? 0.05 : 0.5);
    }
    return true;
}

static leat_spline_constants constants_of(const leat_call *c)
{
    const leat_spline *s = c->attributes;
    leat_spline_constants k = { .bins = last_of(&c->in[1].shape), .slopes = last_of(&c->in[3].shape) };
    const double least[2] = { s->least_width, s->least_height };
    for (int i = 0; i < 2; i++) {
        k.least[i] = (leat_real)(2 * s->bound * least[i]);
        for (int64_t j = 0; j < k.bins; j++)
            k.start[i][j] = (leat_real)fma((double)j, 2 * s->bound * least[i], -s->bound);
        k.scale[i] = (leat_real)(2 * s->bound * (1 - (double)k.bins * least[i]));
    }
    k.bound = (leat_real)s->bound;
    k.least_slope = (leat_real)s->least_slope;
    for (int i = 0; i < 2 && s->clipped; i++)
        k.clip[i] = (leat_real)((2 - i) / -leat_log64(s->least_slope));
    k.linear = k.slopes < k.bins;
    k.inverse = c->op == &leat_op_rational_quadratic_inverse;
    return k;
}

static void spline_forward(leat_call *c)
{
    leat_spline_constants k = constants_of(c);
    map_run(c, (map_job){ .constants = &k, .kernel = leat_kernels_get()->rows->rational_quadratic });
}

static void spline_backward(leat_call *c)
{
    leat_spline_constants k = constants_of(c);
    map_run(c, (map_job){ .constants = &k,
                          .kernel = leat_kernels_get()->rows->rational_quadratic_backward,
                          .inverse = k.inverse,
                          .backward = true });
}

#define SPLINE(op, unread)                                                                                             \
    MAP_OP(op, spline, unread)                                                                                         \
    leat_var leat_##op(leat_var x, leat_var widths, leat_var heights, leat_var slopes, const leat_spline *spline,      \
                       leat_var *logdet)                                                                               \
    {                                                                                                                  \
        return map_apply(&leat_op_##op, spline, sizeof *spline, (leat_var[]){ x, widths, heights, slopes }, logdet);   \
    }

SPLINE(rational_quadratic_forward, LEAT_UNREAD_OUTPUTS)
SPLINE(rational_quadratic_inverse, MAP_INVERSE_UNREAD)

/* ---- mixtures ---------------------------------------------------------------------------------------------------- */

static leat_code mixture_shape(leat_call *c)
{
    leat_code code = map_shape(c);
    int64_t components = last_of(&c->in[1].shape);
    if (code)
        return code;
    if (components != last_of(&c->in[2].shape) || components != last_of(&c->in[3].shape))
        return leat_call_fail(c, LEAT_ESHAPE, "as many means and log-scales as weights are needed");
    if (components < 1 || components > LEAT_MIXTURE_COMPONENTS)
        return leat_call_fail(c, LEAT_ESHAPE, "%lld components, not 1 to %d", (long long)components,
                              LEAT_MIXTURE_COMPONENTS);
    return LEAT_OK;
}

static bool mixture_sample(leat_case *k, int i)
{
    static const struct {
        leat_shape x;
        int64_t components;
    } samples[] = {
        { { 1, { 7 } }, 1 },      { { 2, { 5, 3 } }, 4 }, { { 2, { 2, 17 } }, 3 }, { { 3, { 2, 2, 3 } }, 5 },
        { { 2, { 1, 19 } }, 32 }, { { 2, { 0, 3 } }, 4 }, { { 2, { 3, 0 } }, 4 },
    };
    if (i >= (int)(sizeof samples / sizeof *samples))
        return false;
    leat_shape theta = samples[i].x;
    theta.size[theta.rank++] = samples[i].components;
    k->n = 4;
    k->in[0] = leat_case_normal(k, samples[i].x);
    for (int j = 1; j < 4; j++) {
        k->in[j] = leat_case_normal(k, theta);
        for (int64_t at = 0; k->in[j].data && at < leat_shape_count(&theta); at++)
            k->in[j].data[at] *= (leat_real)0.5; /* nowhere flat, so that differences of the inverse tell something */
    }
    return true;
}

static void mixture_forward(leat_call *c)
{
    leat_mixture_constants k = { last_of(&c->in[1].shape), c->op == &leat_op_logistic_mixture_inverse };
    map_run(c, (map_job){ .constants = &k, .kernel = leat_kernels_get()->rows->logistic_mixture });
}

static void mixture_backward(leat_call *c)
{
    leat_mixture_constants k = { last_of(&c->in[1].shape), c->op == &leat_op_logistic_mixture_inverse };
    map_run(c, (map_job){ .constants = &k,
                          .kernel = leat_kernels_get()->rows->logistic_mixture_backward,
                          .inverse = k.inverse,
                          .backward = true });
}

#define MIXTURE(op, unread)                                                                                            \
    MAP_OP(op, mixture, unread)                                                                                        \
    leat_var leat_##op(leat_var x, leat_var weights, leat_var means, leat_var log_scales, leat_var *logdet)            \
    {                                                                                                                  \
        return map_apply(&leat_op_##op, NULL, 0, (leat_var[]){ x, weights, means, log_scales }, logdet);               \
    }

MIXTURE(logistic_mixture_forward, LEAT_UNREAD_OUTPUTS)
MIXTURE(logistic_mixture_inverse, MAP_INVERSE_UNREAD)
