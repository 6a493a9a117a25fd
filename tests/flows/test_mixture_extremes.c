/*
 * The logit of a mixture of logistics where formulas break: far tails, narrow and wide scales, components far apart,
 * wild parameters; against the definition in long double.
 *
 * LEAT_SETS=10000000 tests/flows-test_mixture_extremes-leat --filter 'mixture_extremes/no_nan' looks at that many sets
 * of parameters: minutes.
 */
#include "support.h"

#include <stdlib.h>

enum { MOST = 32, ROWS = 400 };

typedef struct rows {
    int64_t n, components;
    leat_tensor x, theta[3];
} rows;

static rows rows_new(int64_t n, int64_t components)
{
    rows r = { .n = n, .components = components, .x = test_tensor(n, 1) };
    for (int g = 0; g < 3; g++)
        r.theta[g] = leat_tensor_new(test_arena(), LEAT_SHAPE(n, 1, components), NULL);
    return r;
}

static double between(leat_rng *rng, double low, double high)
{
    return low + (high - low) * leat_rng_uniform(rng);
}

/* y and log-derivatives, each x in a row of its own; grad: [x, weights, means, log_scales] or NULL. */
static void run(const rows *r, bool inverse, leat_tensor x, leat_real *y, leat_real *slope, leat_real *const *grad)
{
    leat_tape *t = leat_tape_new(NULL);
    leat_var in[4] = { leat_input(t, x) }, logdet;
    for (int g = 0; g < 3; g++)
        in[1 + g] = leat_input(t, r->theta[g]);
    leat_var out =
        (inverse ? leat_logistic_mixture_inverse : leat_logistic_mixture_forward)(in[0], in[1], in[2], in[3], &logdet);
    assert_tape(t);
    memcpy(y, leat_value(out).data, (size_t)r->n * sizeof *y);
    memcpy(slope, leat_value(logdet).data, (size_t)r->n * sizeof *y);
    if (grad) {
        cr_assert_eq(leat_backward(leat_add(leat_sum(out), leat_sum(logdet))), LEAT_OK, "%s", leat_tape_errmsg(t));
        for (int i = 0; i < 4; i++)
            memcpy(grad[i], leat_grad(in[i]).data, (size_t)(r->n * (i ? r->components : 1)) * sizeof *y);
    }
    leat_tape_free(t);
}

/* ---- against the definition -------------------------------------------------------------------------------------- */

static const struct {
    int64_t components;
    double apart, low, high; /* means between -apart and apart, log-scales */
} kinds[] = {
    { 1, 1e4, -7, 7 },  { 4, 1, -7, 7 },   { 4, 1e4, -7, 7 },  { 4, 1e4, -7, -6 },    { 32, 1, -7, 7 },
    { 32, 100, -7, 0 }, { 32, 1e4, 0, 7 }, { 32, 1e4, -7, 7 }, { 32, 1e4, -7, -6.9 },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static rows rows_of(int kind)
{
    rows r = rows_new(ROWS, kinds[kind].components);
    leat_rng rng = leat_rng_new(3, (uint64_t)kind);
    for (int64_t i = 0; i < r.n * r.components; i++) {
        r.theta[0].data[i] = (leat_real)between(&rng, -4, 4);
        r.theta[1].data[i] = (leat_real)between(&rng, -kinds[kind].apart, kinds[kind].apart);
        r.theta[2].data[i] = (leat_real)between(&rng, kinds[kind].low, kinds[kind].high);
    }
    for (int64_t i = 0; i < r.n; i++) {
        double near = (double)r.theta[1].data[i * r.components] + between(&rng, -3, 3);
        r.x.data[i] = (leat_real)(i % 3 == 0 ? between(&rng, -1e4, 1e4) : i % 3 == 1 ? near : between(&rng, -3, 3));
    }
    return r;
}

#ifdef LEAT_DOUBLE
static long double log_sum(const long double *v, int64_t n)
{
    long double top = v[0], total = 0;
    for (int64_t k = 1; k < n; k++)
        top = fmaxl(top, v[k]);
    for (int64_t k = 0; k < n; k++)
        total += expl(v[k] - top);
    return top + logl(total);
}

static long double log_sigmoid(long double z)
{
    return fminl(z, 0) - log1pl(expl(-fabsl(z)));
}

static void by_definition(const rows *r, int64_t i, double at, long double *y, long double *slope)
{
    int64_t n = r->components;
    long double weight[MOST] = { 0 }, left[MOST] = { 0 }, right[MOST] = { 0 }, density[MOST] = { 0 };
    for (int64_t k = 0; k < n; k++) {
        long double s = (long double)r->theta[2].data[i * n + k];
        long double z = ((long double)at - (long double)r->theta[1].data[i * n + k]) * expl(-s);
        weight[k] = (long double)r->theta[0].data[i * n + k];
        left[k] = weight[k] + log_sigmoid(z);
        right[k] = weight[k] + log_sigmoid(-z);
        density[k] = weight[k] - s + log_sigmoid(z) + log_sigmoid(-z);
    }
    long double below = log_sum(left, n), above = log_sum(right, n);
    *y = below - above;
    *slope = log_sum(density, n) - below - above + log_sum(weight, n);
}

Test(mixture_extremes, is_the_definition_everywhere)
{
    for (int kind = 0; kind < KINDS; kind++) {
        rows r = rows_of(kind);
        leat_real y[ROWS], slope[ROWS];
        run(&r, false, r.x, y, slope, NULL);
        for (int64_t i = 0; i < r.n; i++) {
            long double want, steep;
            by_definition(&r, i, r.x.data[i], &want, &steep);
            cr_assert(fabsl((long double)y[i] - want) <= 1e-13L * fmaxl(1, fabsl(want)),
                      "%d, x = %g: %.17g, not %.17Lg", kind, r.x.data[i], y[i], want);
            cr_assert(fabsl((long double)slope[i] - steep) <= 1e-9L * fmaxl(1, fabsl(steep)),
                      "%d, x = %g: slope %.17g, not %.17Lg", kind, r.x.data[i], slope[i], steep);
        }
    }
}
#define THERE 1e-12
#define UNIT  0x1p-52
#else
#define THERE 2e-6
#define UNIT  0x1p-23F
#endif

/* The root is within some units of rounding of what is found; that is x again where y's rounding lets it be; and
 * log-derivatives cancel. */
static void find_again(const rows *r, int kind, int64_t *steep)
{
    leat_tensor there = test_tensor(ROWS, 1), back = test_tensor(ROWS, 1), beside = test_tensor(ROWS, 1);
    leat_real slope[3][ROWS], y[2][ROWS];
    run(r, false, r->x, there.data, slope[0], NULL);
    run(r, true, there, back.data, slope[1], NULL);
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < ROWS; i++)
            beside.data[i] =
                back.data[i] + (leat_real)(side ? 4 : -4) * UNIT * (leat_real)fmax(1, fabs((double)back.data[i]));
        run(r, false, beside, y[side], slope[2], NULL);
    }
    run(r, false, back, beside.data, slope[2], NULL);
    for (int64_t i = 0; i < ROWS; i++) {
        double x = (double)r->x.data[i], want = (double)there.data[i], least = fmax(1, fabs(want));
        double off = fabs((double)back.data[i] - x), l = (double)slope[0][i];
        cr_assert((double)y[0][i] <= want + THERE * least && (double)y[1][i] >= want - THERE * least,
                  "%d, y = %g is not from %g to %g", kind, want, (double)y[0][i], (double)y[1][i]);
        cr_assert(fabs((double)(slope[1][i] + slope[2][i])) <= THERE * fmax(1, fabs((double)slope[1][i])));
        if (exp(-l) * least > 1e3)
            continue;
        ++*steep;
        cr_assert(off <= 1e3 * THERE * fmax(1, fabs(x)), "%d, x = %g: %g", kind, x, off);
        double bend = 3 * exp(7) * off; /* no log-derivative changes faster with x */
        cr_assert(fabs((double)slope[1][i] + l) <= 1e3 * THERE * fmax(1, fabs(l)) + bend);
    }
}

Test(mixture_extremes, the_inverse_finds_every_y)
{
    int64_t steep = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        rows r = rows_of(kind);
        find_again(&r, kind, &steep);
    }
    cr_assert_gt(steep, ROWS);
}

/* Logits of grey values, parameters as of a trained model. */
Test(mixture_extremes, images_come_back)
{
    rows r = rows_new(ROWS, 32);
    leat_rng rng = leat_rng_new(5, 5);
    leat_real y[ROWS], slope[ROWS];
    for (int64_t i = 0; i < r.n * r.components; i++) {
        r.theta[0].data[i] = (leat_real)leat_rng_normal(&rng);
        r.theta[1].data[i] = (leat_real)(2 * leat_rng_normal(&rng));
        r.theta[2].data[i] = (leat_real)between(&rng, -3, 1);
    }
    for (int64_t i = 0; i < r.n; i++) {
        double grey = 0.05 + 0.9 * (floor(between(&rng, 0, 256)) + leat_rng_uniform(&rng)) / 256;
        r.x.data[i] = (leat_real)log(grey / (1 - grey));
    }
    leat_tensor there = test_tensor(ROWS, 1);
    run(&r, false, r.x, there.data, slope, NULL);
    run(&r, true, there, y, slope, NULL);
    for (int64_t i = 0; i < r.n; i++)
        cr_assert(fabs((double)(y[i] - r.x.data[i])) <= (sizeof(leat_real) == 8 ? 1e-11 : 1e-4), "x = %g: %g",
                  (double)r.x.data[i], (double)(y[i] - r.x.data[i]));
}

/* y = (x - mean) / scale, the logistic's own logit, and back by one multiplication. */
Test(mixture_extremes, of_one_component_is_a_line)
{
    rows r = rows_of(0);
    leat_real y[ROWS], slope[ROWS];
    for (int inverse = 0; inverse < 2; inverse++) {
        run(&r, inverse, r.x, y, slope, NULL);
        for (int64_t i = 0; i < r.n; i++) {
            double mean = (double)r.theta[1].data[i], s = (double)r.theta[2].data[i], x = (double)r.x.data[i];
            double want = inverse ? mean + x * exp(s) : (x - mean) * exp(-s);
            cr_assert(fabs((double)y[i] - want) <= (double)CLOSE / 10 * fmax(1, fabs(want)), "%g: %g, not %g", x,
                      (double)y[i], want);
            cr_assert(fabs((double)slope[i] - (inverse ? s : -s)) <= (double)CLOSE);
        }
    }
}

/* ---- wild parameters ---------------------------------------------------------------------------------------------- */

static void draw_wild(rows *r, leat_rng *rng)
{
    for (int64_t i = 0; i < r->n; i++) {
        double apart = pow(10, between(rng, -4, 5)), heavy = pow(10, between(rng, -1, 2));
        for (int64_t k = i * r->components; k < (i + 1) * r->components; k++) {
            r->theta[0].data[k] = (leat_real)(heavy * leat_rng_normal(rng));
            r->theta[1].data[k] = (leat_real)(apart * leat_rng_normal(rng));
            r->theta[2].data[k] = (leat_real)between(rng, -20, 20);
        }
        r->x.data[i] = (leat_real)(pow(10, between(rng, -6, 6)) * leat_rng_normal(rng));
    }
}

Test(mixture_extremes, no_nan, .timeout = 3600)
{
    enum { SET = 1000 };
    static const int64_t components[] = { 1, 2, 3, 4, 8, 16, 31, 32 };
    static leat_real y[SET], slope[SET], grads[4][SET * MOST];
    const char *asked = getenv("LEAT_SETS");
    int64_t sets = asked ? atoll(asked) : 40 * SET;
    leat_real *const grad[] = { grads[0], grads[1], grads[2], grads[3] };
    rows all[8];
    for (int i = 0; i < 8; i++)
        all[i] = rows_new(SET, components[i]);
    leat_rng rng = leat_rng_new(9, 9);
    for (int64_t done = 0; done < sets; done += SET) {
        rows *r = &all[done / SET % 8];
        draw_wild(r, &rng);
        for (int inverse = 0; inverse < 2; inverse++) {
            run(r, inverse, r->x, y, slope, grad);
            for (int64_t i = 0; i < SET; i++) {
                cr_assert(isfinite(y[i]) && isfinite(slope[i]) && isfinite(grad[0][i]), "set %lld, inverse %d: %g, %g",
                          (long long)(done + i), inverse, (double)y[i], (double)slope[i]);
                for (int64_t k = i * r->components; k < (i + 1) * r->components; k++)
                    cr_assert(isfinite(grad[1][k]) && isfinite(grad[2][k]) && isfinite(grad[3][k]));
            }
        }
    }
}

/* A NaN in one parameter is one of that element, there and back, and the search ends. */
Test(mixture_extremes, nan_passes)
{
    for (int g = 0; g < 4; g++) {
        rows r = rows_of(7);
        leat_real y[ROWS], slope[ROWS];
        (g < 3 ? r.theta[g] : r.x).data[g < 3 ? 7 * 32 + 5 : 7] = (leat_real)NAN;
        for (int inverse = 0; inverse < 2; inverse++) {
            run(&r, inverse, r.x, y, slope, NULL);
            for (int64_t i = 0; i < ROWS; i++)
                cr_assert(isnan(y[i]) == (i == 7) && isnan(slope[i]) == (i == 7), "%d, row %d", g, (int)i);
        }
    }
}

/* Rows cut in other ways for other numbers of threads give the same bits. */
Test(mixture_extremes, threads)
{
    static leat_real got[4][4][ROWS * MOST];
    for (int threads = 1; threads <= 3; threads++) {
        rows r = rows_of(6);
        leat_pool *pool = leat_pool_new(threads, NULL);
        leat_tape *t = leat_tape_new(&(leat_tape_opts){ .pool = pool });
        leat_var theta[3], logdet;
        for (int g = 0; g < 3; g++)
            theta[g] = leat_input(t, r.theta[g]);
        leat_var y = leat_logistic_mixture_inverse(leat_const(t, r.x), theta[0], theta[1], theta[2], &logdet);
        cr_assert_eq(leat_backward(leat_add(leat_sum(y), leat_sum(logdet))), LEAT_OK, "%s", leat_tape_errmsg(t));
        memcpy(got[threads][3], leat_value(y).data, ROWS * sizeof(leat_real));
        for (int g = 0; g < 3; g++)
            memcpy(got[threads][g], leat_grad(theta[g]).data, sizeof got[0][0]);
        leat_tape_free(t);
        leat_pool_free(pool);
        cr_assert_eq(memcmp(got[threads], got[1], sizeof got[1]), 0, "%d threads", threads);
    }
}
