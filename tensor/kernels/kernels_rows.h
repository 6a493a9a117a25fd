/*
 * The kernels of row_kernels.h, over the vectors of simd.h; kernels_impl.h includes this once for each instruction set.
 *
 * Rows are often short (the bins of a spline, the features of a point), so whatever is done to single numbers is done
 * to many rows at a time, as many as stay in the cache; and then row by row what belongs to a row.
 */
#include "row_kernels.h"

#define ROW_CHUNK SUM_BLOCK /* numbers at a time */

static int64_t rows_at_once(int64_t left, int64_t n)
{
    int64_t most = n > 0 && n < ROW_CHUNK ? ROW_CHUNK / n : 1;
    return left < most ? left : most;
}

SIMD_INLINE vec load_up_to(const leat_real *p, int64_t n)
{
    return n >= VL ? v_load(p) : v_load_part(p, n);
}

SIMD_INLINE void store_up_to(leat_real *p, vec a, int64_t n)
{
    if (n >= VL)
        v_store(p, a);
    else
        v_store_part(p, a, n);
}

/* y = x - c, y = x + c and y = c x */
static void row_sub(const leat_real *x, leat_real c, leat_real *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += VL)
        store_up_to(y + i, v_sub(load_up_to(x + i, n - i), v_set(c)), n - i);
}

static void row_add(const leat_real *x, leat_real c, leat_real *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += VL)
        store_up_to(y + i, v_add(load_up_to(x + i, n - i), v_set(c)), n - i);
}

static void row_mul(const leat_real *x, leat_real c, leat_real *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += VL)
        store_up_to(y + i, v_mul(load_up_to(x + i, n - i), v_set(c)), n - i);
}

/* ---- sums over a row --------------------------------------------------------------------------------------------- */

/* The lanes of a block added up pairwise. Those from n on are 0 and need not be set. */
static double fold_lanes(double lane[SUM_LANES], int64_t n)
{
    if (n == 0)
        return 0;
    for (int64_t width = SUM_LANES / 2; width > 0; width /= 2) {
        for (int64_t j = 0; j < width && j + width < n; j++)
            lane[j] += lane[j + width];
        n = n < width ? n : width;
    }
    return lane[0];
}

/* The same as `sum`, without its overhead for short rows. */
static double row_sum(const leat_real *x, int64_t n)
{
    if (n >= SUM_LANES)
        return sum(x, n);
    double lane[SUM_LANES];
    for (int64_t j = 0; j < n; j++)
        lane[j] = 0 + (double)x[j];
    return fold_lanes(lane, n);
}

/* What is summed over a row of a: the product with b, the difference from `shift`, or its square. */
typedef enum terms { PRODUCTS, DIFFERENCES, SQUARES } terms;

SIMD_INLINE double terms_block(terms kind, const leat_real *a, double shift, const leat_real *b, int64_t n)
{
    double lane[SUM_LANES];
    int64_t i = 0;
    if (n >= SUM_LANES) {
        dvec acc[SUM_LANES / DL];
        for (int j = 0; j < SUM_LANES / DL; j++)
            acc[j] = d_set(0);
        for (; i <= n - SUM_LANES; i += SUM_LANES) {
            for (int j = 0; j < SUM_LANES / DL; j++) {
                dvec d = d_sub(d_load_real(a + i + j * DL), d_set(shift));
                dvec times = kind == PRODUCTS ? d_load_real(b + i + j * DL) : kind == SQUARES ? d : d_set(1);
                acc[j] = d_fma(d, times, acc[j]);
            }
        }
        for (int j = 0; j < SUM_LANES / DL; j++)
            d_store(lane + j * DL, acc[j]);
    }
    for (int64_t j = 0; i < n; i++, j++) {
        double d = (double)a[i] - shift, times = kind == PRODUCTS ? (double)b[i] : kind == SQUARES ? d : 1;
        lane[j] = fma(d, times, n >= SUM_LANES ? lane[j] : 0);
    }
    return fold_lanes(lane, n);
}

SIMD_INLINE double row_terms(terms kind, const leat_real *a, double shift, const leat_real *b, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n; i += SUM_BLOCK)
        total += terms_block(kind, a + i, shift, kind == PRODUCTS ? b + i : a, n - i < SUM_BLOCK ? n - i : SUM_BLOCK);
    return total;
}

static double row_dot(const leat_real *a, const leat_real *b, int64_t n)
{
    return row_terms(PRODUCTS, a, 0, b, n);
}

/* ---- least and greatest ------------------------------------------------------------------------------------------ */

static leat_real row_max(const leat_real *x, int64_t n)
{
    if (n >= 2 * VL)
        return max(x, n);
    leat_real largest = x[0];
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i]))
            return x[i];
        largest = x[i] > largest ? x[i] : largest;
    }
    return largest + 0;
}

static leat_real row_min(const leat_real *x, int64_t n)
{
    leat_real negative[ROW_CHUNK], least = (leat_real)INFINITY;
    for (int64_t begin = 0; begin < n; begin += ROW_CHUNK) {
        int64_t count = n - begin < ROW_CHUNK ? n - begin : ROW_CHUNK;
        row_mul(x + begin, -1, negative, count);
        leat_real here = -row_max(negative, count);
        if (isnan(here))
            return here;
        least = here < least ? here : least;
    }
    return least + 0;
}

/* ---- softmax ----------------------------------------------------------------------------------------------------- */

/* y = exp(x - top), where top is the greatest of each row. */
static void exp_rows(const leat_real *x, leat_real *y, leat_real *top, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++) {
        top[r] = row_max(x + r * n, n);
        row_sub(x + r * n, top[r], y + r * n, n);
    }
    for (int64_t i = 0; i < rows * n; i += VL)
        store_up_to(y + i, v_exp(load_up_to(y + i, rows * n - i)), rows * n - i);
}

static void softmax(const leat_real *x, leat_real *y, int64_t rows, int64_t n)
{
    leat_real top[ROW_CHUNK];
    for (int64_t done = 0, count; done < rows && n > 0; done += count, x += count * n, y += count * n) {
        count = rows_at_once(rows - done, n);
        exp_rows(x, y, top, count, n);
        for (int64_t r = 0; r < count; r++) {
            vec total = v_set((leat_real)row_sum(y + r * n, n));
            for (int64_t i = r * n; i < (r + 1) * n; i += VL)
                store_up_to(y + i, v_div(load_up_to(y + i, (r + 1) * n - i), total), (r + 1) * n - i);
        }
    }
}

static void softmax_backward(const leat_real *y, const leat_real *g, leat_real *dx, int64_t rows, int64_t n)
{
    for (; rows > 0; rows--, y += n, g += n, dx += n) {
        vec dot = v_set((leat_real)row_dot(g, y, n));
        for (int64_t i = 0; i < n; i += VL)
            store_up_to(dx + i, v_mul(load_up_to(y + i, n - i), v_sub(load_up_to(g + i, n - i), dot)), n - i);
    }
}

static void log_softmax(const leat_real *x, leat_real *y, int64_t rows, int64_t n)
{
    leat_real top[ROW_CHUNK];
    for (int64_t done = 0, count; done < rows && n > 0; done += count, x += count * n, y += count * n) {
        count = rows_at_once(rows - done, n);
        exp_rows(x, y, top, count, n);
        for (int64_t r = 0; r < count; r++) {
            leat_real log_total = (leat_real)leat_log64(row_sum(y + r * n, n));
            row_sub(x + r * n, top[r], y + r * n, n);
            row_sub(y + r * n, log_total, y + r * n, n);
        }
    }
}

static void log_softmax_backward(const leat_real *y, const leat_real *g, leat_real *dx, int64_t rows, int64_t n)
{
    for (int64_t i = 0; i < rows * n; i += VL)
        store_up_to(dx + i, v_exp(load_up_to(y + i, rows * n - i)), rows * n - i);
    for (; rows > 0; rows--, g += n, dx += n) {
        vec total = v_set((leat_real)row_sum(g, n));
        for (int64_t i = 0; i < n; i += VL)
            store_up_to(dx + i, v_fnma(load_up_to(dx + i, n - i), total, load_up_to(g + i, n - i)), n - i);
    }
}

/* ---- variance ---------------------------------------------------------------------------------------------------- */

/* The mean is found as the first number and the mean difference from it: of equal numbers it is that number. */
static void variance(const leat_real *x, int64_t rows, int64_t n, double divisor, double *mean, leat_real *out)
{
    for (int64_t r = 0; r < rows; r++, x += n) {
        double first = n > 0 ? (double)x[0] : 0;
        double middle = fma(row_terms(DIFFERENCES, x, first, NULL, n), 1 / (double)n, first);
        if (mean)
            mean[r] = middle;
        if (out)
            out[r] = (leat_real)(row_terms(SQUARES, x, middle, NULL, n) / divisor);
    }
}

/* SUM_COLUMNS vectors of columns. */
static void variance_wide(const leat_real *x, int64_t rows, int64_t stride, double divisor, double *mean,
                          leat_real *out)
{
    dvec middle[SUM_COLUMNS], acc[SUM_COLUMNS];
    double total[SUM_COLUMNS * DL];
    for (int c = 0; c < SUM_COLUMNS; c++)
        middle[c] = acc[c] = d_set(0);
    for (int64_t i = 0; i < rows; i++)
        for (int c = 0; c < SUM_COLUMNS; c++)
            acc[c] = d_add(acc[c], d_sub(d_load_real(x + i * stride + c * DL), d_load_real(x + c * DL)));
    for (int c = 0; c < SUM_COLUMNS && rows > 0; c++)
        middle[c] = d_fma(acc[c], d_set(1 / (double)rows), d_load_real(x + c * DL));
    for (int c = 0; c < SUM_COLUMNS && mean; c++)
        d_store(mean + c * DL, middle[c]);
    for (int c = 0; c < SUM_COLUMNS; c++)
        acc[c] = d_set(0);
    for (int64_t i = 0; i < rows && out; i++) {
        for (int c = 0; c < SUM_COLUMNS; c++) {
            dvec d = d_sub(d_load_real(x + i * stride + c * DL), middle[c]);
            acc[c] = d_fma(d, d, acc[c]);
        }
    }
    for (int c = 0; c < SUM_COLUMNS; c++)
        d_store(total + c * DL, acc[c]);
    for (int c = 0; c < SUM_COLUMNS * DL && out; c++)
        out[c] = (leat_real)(total[c] / divisor);
}

/* What is left: fewer columns. */
static void variance_narrow(const leat_real *x, int64_t rows, int64_t cols, int64_t stride, double divisor,
                            double *mean, leat_real *out)
{
    double middle[SUM_COLUMNS * DL] = { 0 }, total[SUM_COLUMNS * DL] = { 0 };
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < cols; c++)
            middle[c] += (double)x[i * stride + c] - (double)x[c];
    for (int64_t c = 0; c < cols && rows > 0; c++)
        middle[c] = fma(middle[c], 1 / (double)rows, (double)x[c]);
    for (int64_t c = 0; c < cols && mean; c++)
        mean[c] = middle[c];
    for (int64_t i = 0; i < rows && out; i++) {
        for (int64_t c = 0; c < cols; c++) {
            double d = (double)x[i * stride + c] - middle[c];
            total[c] = fma(d, d, total[c]);
        }
    }
    for (int64_t c = 0; c < cols && out; c++)
        out[c] = (leat_real)(total[c] / divisor);
}

static void variance_columns(const leat_real *x, int64_t rows, int64_t cols, int64_t stride, double divisor,
                             double *mean, leat_real *out)
{
    int64_t j = 0;
    for (; j <= cols - SUM_COLUMNS * DL; j += SUM_COLUMNS * DL)
        variance_wide(x + j, rows, stride, divisor, mean ? mean + j : NULL, out ? out + j : NULL);
    variance_narrow(x + j, rows, cols - j, stride, divisor, mean ? mean + j : NULL, out ? out + j : NULL);
}

/* ---- affine ------------------------------------------------------------------------------------------------------ */

static void affine_forward(const leat_real *x, const leat_real *s, const leat_real *t, leat_real *y, leat_real *logdet,
                           int64_t rows, int64_t n)
{
    for (int64_t done = 0, count; done < rows; done += count) {
        count = rows_at_once(rows - done, n);
        for (int64_t i = done * n, left = count * n; left > 0; i += VL, left -= VL)
            store_up_to(y + i, v_fma(load_up_to(x + i, left), v_exp(load_up_to(s + i, left)), load_up_to(t + i, left)),
                        left);
        for (int64_t r = done; r < done + count; r++)
            logdet[r] = (leat_real)row_sum(s + r * n, n);
    }
}

static void affine_inverse(const leat_real *x, const leat_real *s, const leat_real *t, leat_real *y, leat_real *logdet,
                           int64_t rows, int64_t n)
{
    for (int64_t done = 0, count; done < rows; done += count) {
        count = rows_at_once(rows - done, n);
        for (int64_t i = done * n, left = count * n; left > 0; i += VL, left -= VL) {
            vec scale = v_exp(v_neg(load_up_to(s + i, left)));
            store_up_to(y + i, v_mul(v_sub(load_up_to(x + i, left), load_up_to(t + i, left)), scale), left);
        }
        for (int64_t r = done; r < done + count; r++)
            logdet[r] = (leat_real)(0 - row_sum(s + r * n, n));
    }
}

/* dx = g exp(s), ds = g exp(s) x + h, dt = g */
static void affine_forward_backward(const leat_real *x, const leat_real *s, const leat_real *g, const leat_real *h,
                                    leat_real *dx, leat_real *ds, leat_real *dt, int64_t rows, int64_t n)
{
    for (int64_t done = 0, count; done < rows; done += count) {
        count = rows_at_once(rows - done, n);
        for (int64_t i = done * n, left = count * n; left > 0; i += VL, left -= VL) {
            vec grad = load_up_to(g + i, left), scaled = v_mul(grad, v_exp(load_up_to(s + i, left)));
            if (dx)
                store_up_to(dx + i, scaled, left);
            if (ds)
                store_up_to(ds + i, v_mul(scaled, load_up_to(x + i, left)), left);
            if (dt)
                store_up_to(dt + i, grad, left);
        }
        for (int64_t r = done; ds && r < done + count; r++)
            row_add(ds + r * n, h[r], ds + r * n, n);
    }
}

/* dx = g exp(-s), ds = -g y - h, dt = -g exp(-s) */
static void affine_inverse_backward(const leat_real *y, const leat_real *s, const leat_real *g, const leat_real *h,
                                    leat_real *dx, leat_real *ds, leat_real *dt, int64_t rows, int64_t n)
{
    for (int64_t done = 0, count; done < rows; done += count) {
        count = rows_at_once(rows - done, n);
        for (int64_t i = done * n, left = count * n; left > 0; i += VL, left -= VL) {
            vec grad = load_up_to(g + i, left), scaled = v_mul(grad, v_exp(v_neg(load_up_to(s + i, left))));
            if (dx)
                store_up_to(dx + i, scaled, left);
            if (ds)
                store_up_to(ds + i, v_neg(v_mul(grad, load_up_to(y + i, left))), left);
            if (dt)
                store_up_to(dt + i, v_neg(scaled), left);
        }
        for (int64_t r = done; ds && r < done + count; r++)
            row_sub(ds + r * n, h[r], ds + r * n, n);
    }
}

/* ---- densities --------------------------------------------------------------------------------------------------- */

#define HALF_LOG_2PI 0.91893853320467274178

static void normal_log_density(const leat_real *x, leat_real *out, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, x += n)
        out[r] = (leat_real)fma(-0.5, row_dot(x, x, n), -HALF_LOG_2PI * (double)n);
}

static void normal_log_density_backward(const leat_real *x, const leat_real *g, leat_real *dx, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, x += n, dx += n)
        row_mul(x, -g[r], dx, n);
}

/* softplus(x) + softplus(-x) = |x| + 2 log(1 + exp(-|x|)) */
static void softplus_both(const leat_real *x, leat_real *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += VL) {
        vec size = v_abs(load_up_to(x + i, n - i));
        store_up_to(y + i, v_fma(v_set(2), v_log1p_unit(v_exp(v_neg(size))), size), n - i);
    }
}

static void logistic_log_density(const leat_real *x, leat_real *out, int64_t rows, int64_t n)
{
    leat_real each[ROW_CHUNK];
    for (int64_t done = 0, count; done < rows; done += count, x += count * n) {
        count = rows_at_once(rows - done, n);
        if (n <= ROW_CHUNK)
            softplus_both(x, each, count * n);
        for (int64_t r = 0; r < count; r++) {
            double total = n <= ROW_CHUNK ? row_sum(each + r * n, n) : 0;
            for (int64_t i = 0, part; n > ROW_CHUNK && i < n; i += part) {
                part = n - i < ROW_CHUNK ? n - i : ROW_CHUNK;
                softplus_both(x + i, each, part);
                total += row_sum(each, part);
            }
            out[done + r] = (leat_real)(0 - total);
        }
    }
}

static void logistic_log_density_backward(const leat_real *x, const leat_real *g, leat_real *dx, int64_t rows,
                                          int64_t n)
{
    for (int64_t done = 0, count; done < rows; done += count) {
        count = rows_at_once(rows - done, n);
        for (int64_t i = done * n, left = count * n; left > 0; i += VL, left -= VL)
            store_up_to(dx + i, v_tanh(v_mul(load_up_to(x + i, left), v_set((leat_real)0.5))), left);
        for (int64_t r = done; r < done + count; r++)
            row_mul(dx + r * n, -g[r], dx + r * n, n);
    }
}

#include "kernels_attention.h"
#include "kernels_gates.h"
#include "kernels_map.h"
#include "kernels_mixture.h"
#include "kernels_spline.h"

static const leat_row_kernels row_kernels = {
    .min = row_min,
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .log_softmax = log_softmax,
    .log_softmax_backward = log_softmax_backward,
    .attention = attention,
    .attention_backward = attention_backward,
    .dropout = dropout,
    .concat_elu = concat_elu,
    .concat_elu_backward = concat_elu_backward,
    .glu = glu,
    .glu_backward = glu_backward,
    .variance = variance,
    .variance_columns = variance_columns,
    .affine_forward = affine_forward,
    .affine_inverse = affine_inverse,
    .affine_forward_backward = affine_forward_backward,
    .affine_inverse_backward = affine_inverse_backward,
    .normal_log_density = normal_log_density,
    .normal_log_density_backward = normal_log_density_backward,
    .logistic_log_density = logistic_log_density,
    .logistic_log_density_backward = logistic_log_density_backward,
    .rational_quadratic = rational_quadratic,
    .rational_quadratic_backward = rational_quadratic_backward,
    .logistic_mixture = logistic_mixture,
    .logistic_mixture_backward = logistic_mixture_backward,
};
