/*
 * Whether a base's draws follow its density, and whether that integrates to 1. For z drawn from a smooth density p on
 * all of R^dim, integration by parts gives Stein's identities E[d log p/dz_j] = 0 and E[(z_j - m_j) d log p/dz_j] = -1
 * for any constant m, which a wrong place, scale or shape breaks; they do not see a constant in log p. The integral is
 * the mean of p / q over draws of q, Cauchy kernels around draws of the base; in few dimensions alone.
 */
#include "../../tensor/kernels/elementary.h"
#include "check_impl.h"

#include <math.h>
#include <string.h>

enum { FEWEST = 1024, MOST = 16384, KERNELS = 64, INTEGRAL_DIM = 4, SIGMAS = 6 };

/* log p of z [n, dim], demanded to be [n]; the tape is reset. *x is z as an input of the tape, if it records. */
static leat_tensor log_prob(leat_check *c, leat_tensor z, bool recording, leat_var *x, leat_var *y)
{
    leat_tape_reset(c->tape);
    leat_tape_set_recording(c->tape, recording);
    *x = leat_input(c->tape, z);
    *y = leat_base_log_prob(c->flow->base, *x, leat_check_context(c, z.shape.size[0]));
    leat_shape got = leat_var_shape(*y), wanted = LEAT_SHAPE(z.shape.size[0]);
    char a[LEAT_SHAPE_TEXT], b[LEAT_SHAPE_TEXT];
    if (!leat_check_failed(c) && !leat_shape_equal(&got, &wanted))
        leat_check_complain(c, "the log-density is %s, not %s", leat_shape_print(&got, a),
                            leat_shape_print(&wanted, b));
    return leat_shape_equal(&got, &wanted) ? leat_value(*y) : (leat_tensor){ 0 };
}

static leat_tensor draw(leat_check *c, int64_t n)
{
    char a[LEAT_SHAPE_TEXT], b[LEAT_SHAPE_TEXT];
    leat_tape_reset(c->tape);
    leat_tape_set_recording(c->tape, false);
    leat_var z = leat_base_sample(c->flow->base, c->tape, n, 1, leat_check_context(c, n));
    leat_shape got = leat_var_shape(z), wanted = LEAT_SHAPE(n, leat_flow_dim(c->flow));
    if (leat_check_failed(c))
        return (leat_tensor){ 0 };
    if (leat_shape_equal(&got, &wanted))
        return leat_check_repeat(c, leat_value(z), n);
    leat_check_complain(c, "draws are %s, not %s", leat_shape_print(&got, a), leat_shape_print(&wanted, b));
    return (leat_tensor){ 0 };
}

/* |mean - expected| in standard errors. */
static double in_errors(double sum, double squares, int64_t n, double expected)
{
    double mean = sum / (double)n, variance = squares / (double)n - mean * mean, off = fabs(mean - expected);
    return off <= 1e-5 * larger(1, fabs(expected)) ? 0 : off / sqrt((variance > 0 ? variance : 0) / (double)n);
}

/* The farthest of Stein's identities, of each feature and of all together, from what it should be. */
static double stein(leat_check *c, leat_tensor z, leat_tensor g)
{
    int64_t n = z.shape.size[0], dim = z.shape.size[1];
    double worst = 0, *row = leat_check_alloc(c, (size_t)n * sizeof *row), all = 0, all_squares = 0;
    for (int64_t j = 0; row && j < dim; j++) {
        double mean = 0, a = 0, aa = 0, b = 0, bb = 0;
        for (int64_t r = 0; r < n; r++)
            mean += (double)z.data[r * dim + j] / (double)n;
        for (int64_t r = 0; r < n; r++) {
            double slope = g.data ? (double)g.data[r * dim + j] : 0,
                   product = slope * ((double)z.data[r * dim + j] - mean);
            a += slope;
            aa = fma(slope, slope, aa);
            b += product;
            bb = fma(product, product, bb);
            row[r] += product;
        }
        double t = in_errors(a, aa, n, 0), s = in_errors(b, bb, n, -1);
        worst = t > worst || isnan(t) ? t : worst;
        worst = s > worst || isnan(s) ? s : worst;
    }
    for (int64_t r = 0; row && r < n; r++) {
        all += row[r];
        all_squares = fma(row[r], row[r], all_squares);
    }
    double t = in_errors(all, all_squares, n, (double)-dim);
    return t > worst || isnan(t) ? t : worst;
}

/* Whether the density ends somewhere: then integration by parts has terms at the border. */
static bool has_border(leat_check *c, leat_tensor z)
{
    leat_var x, y;
    leat_tensor far = leat_check_repeat(c, z, z.shape.size[0] < 256 ? z.shape.size[0] : 256);
    for (int64_t i = 0; far.data && i < leat_shape_count(&far.shape); i++)
        far.data[i] *= 16;
    leat_tensor lp = far.data ? log_prob(c, far, false, &x, &y) : far;
    for (int64_t r = 0; lp.data && r < lp.shape.size[0]; r++) {
        if (!isfinite((double)lp.data[r]))
            return true;
    }
    return false;
}

/* Each row's density alone, for three rows. */
static void check_alone(leat_check *c, leat_tensor z, const double *lp)
{
    int64_t n = z.shape.size[0], dim = z.shape.size[1];
    leat_tensor context = c->context;
    for (int k = 0; k < 3; k++) {
        int64_t r = k * (n - 1) / 2;
        leat_tensor row = { z.data + r * dim, LEAT_SHAPE(1, dim) };
        leat_var x, y;
        if (context.data)
            c->context.data = context.data + r * context.shape.size[1];
        leat_tensor one = log_prob(c, row, false, &x, &y);
        c->context = context;
        if (one.data && !(fabs((double)one.data[0] - lp[r]) <= c->tolerance * larger(1, fabs(lp[r]))))
            leat_check_complain(c, "a row's log-density is %.6g among others and %.6g alone", lp[r],
                                (double)one.data[0]);
    }
}

static void check_draws(leat_check *c, int64_t n)
{
    leat_var x, y;
    leat_tensor z = draw(c, n);
    leat_tensor lp = z.data ? log_prob(c, z, true, &x, &y) : z, ones = { .shape = lp.shape };
    double *kept = leat_check_alloc(c, (size_t)n * sizeof *kept);
    if (lp.data)
        ones.data = leat_check_alloc(c, (size_t)n * sizeof *ones.data);
    if (!ones.data || !kept)
        return; /* and has complained */
    for (int64_t r = 0; r < n; r++) {
        kept[r] = (double)lp.data[r];
        ones.data[r] = 1;
        if (!isfinite(kept[r]))
            leat_check_complain(c, "the log-density of a draw is %g", kept[r]);
    }
    leat_tensor g = { 0 };
    if (leat_ok(y) && c->report->ok) {
        leat_vjp(y, ones);
        g = leat_grad(x);
    }
    if (!c->report->ok || leat_check_failed(c))
        return;
    double worst = stein(c, z, g);
    leat_clear_grads(c->tape);
    if (!c->report->ok)
        return;
    check_alone(c, z, kept);
    if (!(worst <= SIGMAS) && has_border(c, z))
        leat_check_unseen(c, "whether draws follow a density that ends somewhere");
    else {
        c->report->base_draws = worst;
        if (!(worst <= SIGMAS))
            leat_check_complain(c, "draws do not follow the density: %.3g standard errors apart, %d allowed", worst,
                                SIGMAS);
    }
}

/* The draws of q, and log q: a feature of a draw is a kernel's centre and `size` times a standard Cauchy number. */
static void cauchy_draws(const leat_check *c, leat_tensor centre, const double *size, leat_tensor z, double *log_q)
{
    leat_rng rng = leat_rng_new(leat_model_seed(leat_flow_model(c->flow)), 0x696e746567);
    int64_t dim = z.shape.size[1];
    double volume = KERNELS, inverse[INTEGRAL_DIM];
    for (int64_t j = 0; j < dim; j++) {
        inverse[j] = 1 / size[j];
        volume *= 3.14159265358979323846 * size[j];
    }
    for (int64_t r = 0; r < z.shape.size[0]; r++) {
        double sum = 0;
        for (int64_t j = 0; j < dim; j++) {
            double a = leat_rng_normal(&rng), b = leat_rng_normal(&rng);
            z.data[r * dim + j] = (leat_real)fma(size[j], a / b, (double)centre.data[r % KERNELS * dim + j]);
        }
        for (int64_t k = 0; k < KERNELS; k++) {
            double q = volume; /* one over the kernel's part of the density */
            for (int64_t j = 0; j < dim; j++) {
                double t = ((double)z.data[r * dim + j] - (double)centre.data[k * dim + j]) * inverse[j];
                q *= t * t + 1;
            }
            sum += 1 / q;
        }
        log_q[r] = leat_log64(sum);
    }
}

static void check_integral(leat_check *c, int64_t n)
{
    int64_t dim = leat_flow_dim(c->flow);
    leat_var x, y;
    leat_tensor centre = draw(c, KERNELS), z = { .shape = LEAT_SHAPE(n, dim) };
    double size[INTEGRAL_DIM] = { 0 }, *log_q = leat_check_alloc(c, (size_t)n * sizeof *log_q);
    z.data = leat_check_alloc(c, (size_t)(n * dim) * sizeof *z.data);
    if (!centre.data || !z.data || !log_q)
        return;
    for (int64_t i = 0; i < KERNELS * dim; i++) {
        double step = (double)centre.data[i] - (double)centre.data[(i + dim) % (KERNELS * dim)];
        size[i % dim] += fabs(step) / KERNELS;
    }
    cauchy_draws(c, centre, size, z, log_q);
    leat_tensor lp = log_prob(c, z, false, &x, &y), ratio = { .shape = lp.shape };
    ratio.data = lp.data ? leat_tape_alloc(c->tape, (size_t)n * sizeof(leat_real)) : NULL;
    if (leat_check_failed(c) || !ratio.data)
        return;
    for (int64_t r = 0; r < n; r++)
        ratio.data[r] = (leat_real)((double)lp.data[r] - log_q[r]);
    ratio = leat_value(leat_exp(leat_borrow(c->tape, ratio)));
    double sum = 0, squares = 0;
    for (int64_t r = 0; ratio.data && r < n; r++) {
        sum += (double)ratio.data[r];
        squares = fma((double)ratio.data[r], (double)ratio.data[r], squares);
    }
    double mean = sum / (double)n, error = sqrt(larger(0, squares / (double)n - mean * mean) / (double)n);
    if (leat_check_failed(c))
        return;
    c->report->base_integral = mean;
    if (!(fabs(mean - 1) <= SIGMAS * error + 1e-3))
        leat_check_complain(c, "the density integrates to %.4g, give or take %.2g", mean, error);
}

void leat_check_base(leat_check *c)
{
    leat_tensor context = c->context;
    int64_t dim = leat_flow_dim(c->flow), n = ((int64_t)1 << 20) / dim;
    n = n < FEWEST ? FEWEST : n > MOST ? MOST : n;
    c->part = &c->flow->base->module;
    leat_arena_mark mark = leat_arena_save(c->arena);
    if (context.data)
        c->context = leat_check_repeat(c, context, n);
    check_draws(c, n);
    leat_tensor first = context;
    if (context.data) {
        first.shape.size[0] = 1; /* the integral is that of one row's density */
        c->context = leat_check_repeat(c, first, n);
    }
    if (dim > INTEGRAL_DIM)
        leat_check_unseen(c, "whether its density integrates to 1, in more than 4 dimensions");
    else if (c->report->ok)
        check_integral(c, n);
    c->context = context;
    leat_arena_restore(c->arena, mark);
}
