/*
 * The kernels that work on rows: every instruction set against the reference, bit for bit, and nothing written outside
 * of the results.
 */
#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

#include "../../tensor/kernels/row_kernels.h"

#define LARGEST 12000
#define GUARD   16
#define CANARY  (leat_real)12345.678

/* Numbers with room around them. Off by one from any alignment. */
typedef struct guarded {
    leat_real memory[LARGEST + 2 * GUARD];
} guarded;

static guarded a, b, c, h, expected[3], got[3]; /* each test is a process of its own */

static leat_real *in(guarded *x)
{
    return x->memory + GUARD + 1;
}

/* Normal numbers, and, if `odd`, now and then one of the values that are easily got wrong. */
static void randomize(guarded *x, uint64_t stream, bool odd)
{
    static const double values[] = {
        0, -0.0, 1, -1, 1e-40, -1e-40, 1e30, 88.8, -103.5, 710, -745, (double)INFINITY, -(double)INFINITY, (double)NAN,
    };
    leat_rng r = leat_rng_new(12, stream);
    for (int i = 0; i < LARGEST + 2 * GUARD; i++) {
        uint64_t pick = leat_rng_next(&r) % 512;
        double normal = leat_rng_normal(&r) * (odd ? 3 : 1);
        x->memory[i] = (leat_real)(odd && pick < sizeof values / sizeof *values ? values[pick] : normal);
    }
}

/* Equal bits; any NaN equals any other. */
static int same(leat_real x, leat_real y)
{
    return memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y));
}

/* What a kernel writes: results shaped like the input, and some with one number for each row, or each column. */
typedef enum results { NONE, LIKE_X, PER_ROW, PER_COLUMN } results;

typedef void run_fn(const leat_row_kernels *k, int64_t rows, int64_t n, leat_real *const *out);

#define RUN(name, call)                                                                                                \
    static void name(const leat_row_kernels *k, int64_t rows, int64_t n, leat_real *const *out)                        \
    {                                                                                                                  \
        (void)n, (void)rows;                                                                                           \
        call;                                                                                                          \
    }
RUN(least, for (int64_t r = 0; n > 0 && r < rows; r++) out[0][r] = k->min(in(&a) + r * n, n))
RUN(softmax, k->softmax(in(&a), out[0], rows, n))
RUN(softmax_backward, k->softmax_backward(in(&a), in(&b), out[0], rows, n))
RUN(log_softmax, k->log_softmax(in(&a), out[0], rows, n))
RUN(log_softmax_backward, k->log_softmax_backward(in(&a), in(&b), out[0], rows, n))
/* Down the columns, in place: what comes before is h. */
RUN(attention, memcpy(out[0], in(&a), (size_t)(rows *n) * sizeof **out);
    memcpy(out[1], in(&h), (size_t)n * sizeof **out); memcpy(out[2], in(&h), (size_t)n * sizeof **out);
    k->attention(out[0], rows, n, out[1], out[2], in(&c)))
RUN(attention_backward, memcpy(out[0], in(&a), (size_t)(rows *n) * sizeof **out);
    memcpy(out[1], in(&b), (size_t)(rows *n) * sizeof **out);
    k->attention_backward(out[0], out[1], rows, n, in(&h), in(&c)))
RUN(dropout, leat_rng rng = leat_rng_new(7, 1ULL << 33 | 5); rng.position = (1ULL << 34) - 37;
    k->dropout(in(&a), out[0], rows *n, (leat_real)1.25, &rng, UINT64_MAX / 5); rng.position++;
    k->dropout(in(&a), out[1], rows *n, 2, &rng, UINT64_MAX / 2))
RUN(concat_elu, k->concat_elu(in(&a), out[0], rows, n / 2))
RUN(concat_elu_backward, k->concat_elu_backward(in(&a), in(&b), out[0], rows, n / 2))
RUN(glu, k->glu(in(&a), in(&b), out[0], rows, n / 2); k->glu(in(&b), NULL, out[1], rows, n / 2))
RUN(glu_backward, k->glu_backward(in(&a), in(&b), out[0], rows, n / 2))
static double means[LARGEST];
RUN(variance, k->variance(in(&a), rows, n, 7, means, out[0]))
RUN(mean_of_row, k->variance(in(&a), rows, n, 7, means, NULL);
    for (int64_t i = 0; i < rows; i++) out[0][i] = (leat_real)means[i])
RUN(variance_columns, k->variance_columns(in(&a), rows, n, n, 7, means, out[0]);
    for (int64_t i = 0; i < n; i++) out[1][i] = (leat_real)means[i])
RUN(variance_alone, k->variance_columns(in(&a), rows, n, n, 7, NULL, out[0]))
RUN(affine_forward, k->affine_forward(in(&a), in(&b), in(&c), out[0], out[1], rows, n))
RUN(affine_inverse, k->affine_inverse(in(&a), in(&b), in(&c), out[0], out[1], rows, n))
RUN(affine_forward_backward,
    k->affine_forward_backward(in(&a), in(&b), in(&c), in(&h), out[0], out[1], out[2], rows, n))
RUN(affine_inverse_backward,
    k->affine_inverse_backward(in(&a), in(&b), in(&c), in(&h), out[0], out[1], out[2], rows, n))
RUN(affine_of_s, k->affine_forward_backward(in(&a), in(&b), in(&c), in(&h), NULL, out[0], NULL, rows, n))
RUN(affine_of_x, k->affine_inverse_backward(in(&a), in(&b), in(&c), in(&h), out[0], NULL, out[1], rows, n))
RUN(normal, k->normal_log_density(in(&a), out[0], rows, n))
RUN(normal_backward, k->normal_log_density_backward(in(&a), in(&h), out[0], rows, n))
RUN(logistic, k->logistic_log_density(in(&a), out[0], rows, n))
RUN(logistic_backward, k->logistic_log_density_backward(in(&a), in(&h), out[0], rows, n))

/* Of four bins. */
#define STARTS                                                                                                         \
    {                                                                                                                  \
        { -2, -1.75, -1.5, -1.25 },                                                                                    \
        {                                                                                                              \
            -2, -1.875, -1.75, -1.625                                                                                  \
        }                                                                                                              \
    }
static const leat_spline_constants linear = { 2, { 0.25, 0.125 }, { 3, 3.5 }, STARTS, 0.125, { 0 }, 4, 3, 1, false },
                                   circular = {
                                       2, { 0.25, 0.125 }, { 3, 3.5 }, STARTS, 0.125, { 0.25, 0.125 }, 4, 4, 0, true
                                   };

/* Of whole rows as many as have their parameters in b; the rest of the result is 0. */
static void map(leat_map_kernel *kernel, const void *constants, int64_t last, bool backward, int64_t rows, int64_t n,
                leat_real *const *out)
{
    static leat_real d[3][LARGEST];
    int64_t most = n > 0 && rows > LARGEST / 4 / n ? LARGEST / 4 / n : rows;
    memset(out[0], 0, (size_t)(rows * n) * sizeof **out);
    memset(out[1], 0, (size_t)(backward ? rows * n : rows) * sizeof **out);
    leat_map_rows r = { .x = in(&a), .theta = { in(&b), in(&c), in(&b) + 7 }, .g = in(&c), .h = in(&h) };
    if (!backward) {
        r.y = out[0], r.logdet = out[1];
        kernel(constants, &r, most, n);
        return;
    }
    r.dx = out[0], r.dtheta[0] = d[0], r.dtheta[1] = d[1], r.dtheta[2] = d[2];
    kernel(constants, &r, most, n);
    for (int64_t i = 0; i < most * n; i++) /* all of them, as one number for each element */
        for (int64_t j = 0; j < 4; j++)
            out[1][i] += d[0][4 * i + j] + 3 * d[1][4 * i + j] + 5 * (j < last ? d[2][last * i + j] : 0);
}
RUN(spline_forward, map(k->rational_quadratic, &linear, 3, false, rows, n, out))
RUN(spline_inverse, map(k->rational_quadratic, &circular, 4, false, rows, n, out))
RUN(spline_forward_backward, map(k->rational_quadratic_backward, &linear, 3, true, rows, n, out))
RUN(spline_inverse_backward, map(k->rational_quadratic_backward, &circular, 4, true, rows, n, out))
static const leat_mixture_constants mixtures[] = { { 4, false }, { 4, true } };
RUN(mixture_forward, map(k->logistic_mixture, &mixtures[0], 4, false, rows, n, out))
RUN(mixture_inverse, map(k->logistic_mixture, &mixtures[1], 4, false, rows, n, out))
RUN(mixture_forward_backward, map(k->logistic_mixture_backward, &mixtures[0], 4, true, rows, n, out))
RUN(mixture_inverse_backward, map(k->logistic_mixture_backward, &mixtures[1], 4, true, rows, n, out))

static const struct {
    const char *name;
    run_fn *run;
    results results[3];
} kernels[] = {
    { "min", least, { PER_ROW } },
    { "softmax", softmax, { LIKE_X } },
    { "softmax_backward", softmax_backward, { LIKE_X } },
    { "log_softmax", log_softmax, { LIKE_X } },
    { "log_softmax_backward", log_softmax_backward, { LIKE_X } },
    { "attention", attention, { LIKE_X, PER_COLUMN, PER_COLUMN } },
    { "attention_backward", attention_backward, { LIKE_X, LIKE_X } },
    { "dropout", dropout, { LIKE_X, LIKE_X } },
    { "concat_elu", concat_elu, { LIKE_X } },
    { "concat_elu_backward", concat_elu_backward, { LIKE_X } },
    { "glu", glu, { LIKE_X, LIKE_X } },
    { "glu_backward", glu_backward, { LIKE_X } },
    { "variance", variance, { PER_ROW } },
    { "variance, the mean", mean_of_row, { PER_ROW } },
    { "variance_columns", variance_columns, { PER_COLUMN, PER_COLUMN } },
    { "variance_columns, no mean", variance_alone, { PER_COLUMN } },
    { "affine_forward", affine_forward, { LIKE_X, PER_ROW } },
    { "affine_inverse", affine_inverse, { LIKE_X, PER_ROW } },
    { "affine_forward_backward", affine_forward_backward, { LIKE_X, LIKE_X, LIKE_X } },
    { "affine_inverse_backward", affine_inverse_backward, { LIKE_X, LIKE_X, LIKE_X } },
    { "affine_forward_backward, ds", affine_of_s, { LIKE_X } },
    { "affine_inverse_backward, dx and dt", affine_of_x, { LIKE_X, LIKE_X } },
    { "normal_log_density", normal, { PER_ROW } },
    { "normal_log_density_backward", normal_backward, { LIKE_X } },
    { "logistic_log_density", logistic, { PER_ROW } },
    { "logistic_log_density_backward", logistic_backward, { LIKE_X } },
    { "rational_quadratic, linear", spline_forward, { LIKE_X, PER_ROW } },
    { "rational_quadratic, circular, inverse", spline_inverse, { LIKE_X, PER_ROW } },
    { "rational_quadratic_backward, linear", spline_forward_backward, { LIKE_X, LIKE_X } },
    { "rational_quadratic_backward, circular, inverse", spline_inverse_backward, { LIKE_X, LIKE_X } },
    { "logistic_mixture", mixture_forward, { LIKE_X, PER_ROW } },
    { "logistic_mixture, inverse", mixture_inverse, { LIKE_X, PER_ROW } },
    { "logistic_mixture_backward", mixture_forward_backward, { LIKE_X, LIKE_X } },
    { "logistic_mixture_backward, inverse", mixture_inverse_backward, { LIKE_X, LIKE_X } },
};
enum { KERNELS = sizeof kernels / sizeof *kernels };

static const int64_t sizes[][2] = {
    { 0, 5 },  { 5, 0 },   { 1, 1 },   { 70, 1 },   { 33, 2 },   { 5000, 2 }, { 21, 3 },    { 9, 7 },
    { 40, 8 }, { 13, 9 },  { 11, 15 }, { 12, 16 },  { 10, 17 },  { 300, 31 }, { 7, 33 },    { 5, 64 },
    { 5, 65 }, { 3, 129 }, { 4, 255 }, { 2, 4095 }, { 2, 4096 }, { 2, 4097 }, { 1, 10000 },
};

static int64_t written(results r, int64_t rows, int64_t n)
{
    return r == LIKE_X ? rows * n : r == PER_ROW ? rows : r == PER_COLUMN ? n : 0;
}

static void run_guarded(const leat_kernels *k, int which, int64_t rows, int64_t n, guarded out[3])
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < LARGEST + 2 * GUARD; j++)
            out[i].memory[j] = CANARY;
    kernels[which].run(k->rows, rows, n, (leat_real *[]){ in(&out[0]), in(&out[1]), in(&out[2]) });
}

static void check(int which, int64_t rows, int64_t n)
{
    run_guarded(&leat_kernels_ref, which, rows, n, expected);
    for (int i = 0; i < 3; i++) {
        int64_t count = written(kernels[which].results[i], rows, n);
        for (int64_t j = 0; j < LARGEST + 2 * GUARD; j++)
            cr_assert((j > GUARD && j <= GUARD + count) || same(expected[i].memory[j], CANARY),
                      "the reference's %s of %d x %d writes to %d", kernels[which].name, (int)rows, (int)n,
                      (int)(j - GUARD - 1));
    }
    for (const leat_kernels *const *set = leat_kernels_all(); *set; set++) {
        run_guarded(*set, which, rows, n, got);
        for (int i = 0; i < 3; i++)
            for (int64_t j = 0; j < LARGEST + 2 * GUARD; j++)
                cr_assert(same(expected[i].memory[j], got[i].memory[j]),
                          "%s, %s of %d x %d: result %d, %d is %a, not %a", (*set)->isa, kernels[which].name, (int)rows,
                          (int)n, i, (int)(j - GUARD - 1), (double)got[i].memory[j], (double)expected[i].memory[j]);
    }
}

static void check_all(bool odd)
{
    randomize(&a, 1, odd);
    randomize(&b, 2, odd);
    randomize(&c, 3, odd);
    randomize(&h, 4, odd);
    for (int which = 0; which < KERNELS; which++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            check(which, sizes[s][0], sizes[s][1]);
}

Test(rows, every_set_gives_the_bits_of_the_reference)
{
    check_all(false);
}

Test(rows, with_infinities_and_nan_too)
{
    check_all(true);
}

/* Rows stand for themselves: in company or alone, the same bits. */
Test(rows, do_not_depend_on_their_neighbours)
{
    randomize(&a, 1, false);
    randomize(&b, 2, false);
    randomize(&c, 3, false);
    randomize(&h, 4, false);
    const leat_row_kernels *k = leat_kernels_get()->rows;
    const int64_t rows = 300, n = 31;
    leat_real *out = in(&got[0]), *logdet = in(&got[1]), alone[31], one;
    k->softmax(in(&a), out, rows, n);
    k->affine_forward(in(&a), in(&b), in(&c), in(&expected[0]), logdet, rows, n);
    for (int64_t r = 0; r < rows; r++) {
        k->softmax(in(&a) + r * n, alone, 1, n);
        cr_assert_eq(memcmp(alone, out + r * n, sizeof alone), 0, "softmax, row %d", (int)r);
        k->affine_forward(in(&a) + r * n, in(&b) + r * n, in(&c) + r * n, alone, &one, 1, n);
        cr_assert_eq(memcmp(alone, in(&expected[0]) + r * n, sizeof alone), 0, "affine, row %d", (int)r);
        cr_assert_eq(one, logdet[r]);
        cr_assert_eq(one, (leat_real)leat_sum_contiguous(in(&b) + r * n, n), "the library's order");
    }
}
