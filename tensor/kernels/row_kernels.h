/*
 * Private to tensor and autograd: the kernels that work on rows, one table of them for each instruction set.
 *
 * x, y, g, dx and their kin are `rows` rows of n contiguous numbers, one behind the other; rows and n may be 0. What is
 * one number for each row is an array of `rows`. Sums over a row are in double, in the order of leat_sum_contiguous.
 * Results overlap nothing, unless said. kernels_rows.h makes the kernels.
 */
#ifndef LEAT_ROWS_H
#define LEAT_ROWS_H

#include "kernels.h"

enum { LEAT_SPLINE_BINS = 64 }; /* the most */

/* A rational-quadratic spline: along x and along y bin j begins at start[j] + scale (sum of the softmax before it), with
 * start[j] = j least - bound, and has the size least + scale softmax; slopes are least_slope + softplus, one for each
 * knot between bins and beyond the bound y = x (linear), or one more, and x repeats (circular). */
typedef struct leat_spline_constants {
    leat_real bound, least[2], scale[2], start[2][LEAT_SPLINE_BINS], least_slope;
    leat_real clip[2]; /* of sizes and of slopes: raw / (1 + clip |raw|) is taken for raw; then slopes are exp */
    int64_t bins, slopes;
    int linear; /* 1 or 0 */
    bool inverse;
} leat_spline_constants;

enum { LEAT_MIXTURE_COMPONENTS = 64 }; /* the most */

/* Log-scales beyond these count as these: a product of theirs is never out of range. */
#define LEAT_MIXTURE_NARROWEST (-7)
#define LEAT_MIXTURE_WIDEST    40

/* y = logit of a mixture of logistics, or, inverse, the x that gives y. */
typedef struct leat_mixture_constants {
    int64_t components;
    bool inverse;
} leat_mixture_constants;

/* Rows of a scalar map: x, y, g and dx are [rows, n], the groups of parameters and their gradients [rows, n, width],
 * logdet and h, its gradient, [rows]. Backward reads x, which of the inverse is what it gave, and leaves out what is
 * NULL. */
typedef struct leat_map_rows {
    const leat_real *x, *theta[3];
    leat_real *y, *logdet;
    const leat_real *g, *h;
    leat_real *dx, *dtheta[3];
} leat_map_rows;

/* With its own constants: a spline's theta is widths, heights and slopes, a mixture's weights, means and log-scales. */
typedef void leat_map_kernel(const void *constants, const leat_map_rows *r, int64_t rows, int64_t n);

typedef struct leat_row_kernels {
    /* The least of n > 0 values; NaN if there is one. A zero comes out as +0. */
    leat_real (*min)(const leat_real *x, int64_t n);

    /* y = exp(x - max) / sum exp(x - max); dx = y (g - sum(g y)) */
    void (*softmax)(const leat_real *x, leat_real *y, int64_t rows, int64_t n);
    void (*softmax_backward)(const leat_real *y, const leat_real *g, leat_real *dx, int64_t rows, int64_t n);
    /* y = (x - max) - log sum exp(x - max); dx = g - exp(y) sum(g) */
    void (*log_softmax)(const leat_real *x, leat_real *y, int64_t rows, int64_t n);
    void (*log_softmax_backward)(const leat_real *y, const leat_real *g, leat_real *dx, int64_t rows, int64_t n);

    /* Softmaxes down the n columns of `rows` scores, that go on from what came before: top grows to the greatest of a
     * column, shrink = exp(top before - top), x = exp(x - top), total = shrink total + sum x, one after the other. */
    void (*attention)(leat_real *x, int64_t rows, int64_t n, leat_real *top, leat_real *total, leat_real *shrink);
    /* x = exp(x - log_total), g = x (g - middle); the two are one number for each column */
    void (*attention_backward)(leat_real *x, leat_real *g, int64_t rows, int64_t n, const leat_real *log_total,
                               const leat_real *middle);

    /* y = x scale, or 0 where the random number, rng's next for each, is at most `last`. */
    void (*dropout)(const leat_real *x, leat_real *y, int64_t n, leat_real scale, const leat_rng *rng, uint64_t last);
    /* y [rows, 2 n] = elu(x), elu(-x); dx = g1 elu'(x) - g2 elu'(-x) */
    void (*concat_elu)(const leat_real *x, leat_real *y, int64_t rows, int64_t n);
    void (*concat_elu_backward)(const leat_real *y, const leat_real *g, leat_real *dx, int64_t rows, int64_t n);
    /* y [rows, n] = x + a sigmoid(b), of a row's halves a and b; x may be NULL. da = g sigmoid(b),
     * db = da a (1 - sigmoid(b)) */
    void (*glu)(const leat_real *ab, const leat_real *x, leat_real *y, int64_t rows, int64_t n);
    void (*glu_backward)(const leat_real *ab, const leat_real *g, leat_real *dab, int64_t rows, int64_t n);

    /* The mean and out = sum (x - mean)^2 / divisor, in double, out rounded once; one of them may be NULL. Of each row,
     * */
    void (*variance)(const leat_real *x, int64_t rows, int64_t n, double divisor, double *mean, leat_real *out);
    /* and of each of `cols` columns, whose rows are `stride` apart, one row after the other. */
    void (*variance_columns)(const leat_real *x, int64_t rows, int64_t cols, int64_t stride, double divisor,
                             double *mean, leat_real *out);

    /* y = x exp(s) + t and logdet = sum(s); y = (x - t) exp(-s) and logdet = -sum(s). */
    void (*affine_forward)(const leat_real *x, const leat_real *s, const leat_real *t, leat_real *y, leat_real *logdet,
                           int64_t rows, int64_t n);
    void (*affine_inverse)(const leat_real *x, const leat_real *s, const leat_real *t, leat_real *y, leat_real *logdet,
                           int64_t rows, int64_t n);
    /* Their gradients, from g of y and h of logdet; dx, ds and dt that are not wanted are NULL. Forward reads x, not y,
     * the inverse y, not x. */
    void (*affine_forward_backward)(const leat_real *x, const leat_real *s, const leat_real *g, const leat_real *h,
                                    leat_real *dx, leat_real *ds, leat_real *dt, int64_t rows, int64_t n);
    void (*affine_inverse_backward)(const leat_real *y, const leat_real *s, const leat_real *g, const leat_real *h,
                                    leat_real *dx, leat_real *ds, leat_real *dt, int64_t rows, int64_t n);

    /* out = -sum(x^2) / 2 - n log(2 pi) / 2; dx = -g x */
    void (*normal_log_density)(const leat_real *x, leat_real *out, int64_t rows, int64_t n);
    void (*normal_log_density_backward)(const leat_real *x, const leat_real *g, leat_real *dx, int64_t rows, int64_t n);
    /* out = -sum(|x| + 2 log(1 + exp(-|x|))); dx = -g tanh(x / 2) */
    void (*logistic_log_density)(const leat_real *x, leat_real *out, int64_t rows, int64_t n);
    void (*logistic_log_density_backward)(const leat_real *x, const leat_real *g, leat_real *dx, int64_t rows,
                                          int64_t n);

    leat_map_kernel *rational_quadratic, *rational_quadratic_backward;
    leat_map_kernel *logistic_mixture, *logistic_mixture_backward;
} leat_row_kernels;

#endif
