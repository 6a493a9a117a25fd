/*
 * The kernels of kernels.h, over the vectors of simd.h. The .c file of each instruction set includes this once, after
 * defining LEAT_SIMD_KERNELS as the name of its table.
 *
 * Every loop runs over whole vectors and then once over the rest, with loads and stores of a part of a vector, so an
 * element's bits do not depend on where it stands. The elementwise kernels are made from the list in elementwise.h.
 */
#include "kernels.h"
#include "elementary.h"
#include "simd.h"
#include "vmath.h"
#include "vmath_erf.h"
#include "vmath_pow.h"
#include "vmath_trig.h"
#include "gemm_kernel.h"
#include "kernels_optim.h"

/* ---- elementwise, one input -------------------------------------------------------------------------------------- */

/* Expressions that do not use an argument leave it unread: a NULL stands for g, whose load the compiler then drops. */
#define UNARY_KERNEL(name, draws, value, derivative, reads)                                                            \
    SIMD_INLINE vec name##_value(vec x, vec c0, vec c1)                                                                \
    {                                                                                                                  \
        (void)c0, (void)c1;                                                                                            \
        return value;                                                                                                  \
    }                                                                                                                  \
    SIMD_INLINE vec name##_derivative(vec x, vec y, vec g, vec c0, vec c1)                                             \
    {                                                                                                                  \
        (void)x, (void)y, (void)c0, (void)c1;                                                                          \
        return derivative;                                                                                             \
    }                                                                                                                  \
    static void name##_forward(const leat_real *x, leat_real *y, int64_t n, leat_constants k)                          \
    {                                                                                                                  \
        const vec c0 = v_set(k.c0), c1 = v_set(k.c1);                                                                  \
        int64_t i = 0;                                                                                                 \
        for (; i <= n - VL; i += VL)                                                                                   \
            v_store(y + i, name##_value(v_load(x + i), c0, c1));                                                       \
        if (i < n)                                                                                                     \
            v_store_part(y + i, name##_value(v_load_part(x + i, n - i), c0, c1), n - i);                               \
    }                                                                                                                  \
    static void name##_backward(const leat_real *x, const leat_real *y, const leat_real *g, leat_real *dx, int64_t n,  \
                                leat_constants k)                                                                      \
    {                                                                                                                  \
        const vec c0 = v_set(k.c0), c1 = v_set(k.c1);                                                                  \
        x = x ? x : g;                                                                                                 \
        y = y ? y : g;                                                                                                 \
        int64_t i = 0;                                                                                                 \
        for (; i <= n - VL; i += VL)                                                                                   \
            v_store(dx + i, name##_derivative(v_load(x + i), v_load(y + i), v_load(g + i), c0, c1));                   \
        if (i < n)                                                                                                     \
            v_store_part(dx + i,                                                                                       \
                         name##_derivative(v_load_part(x + i, n - i), v_load_part(y + i, n - i),                       \
                                           v_load_part(g + i, n - i), c0, c1),                                         \
                         n - i);                                                                                       \
    }
LEAT_UNARY_LIST(UNARY_KERNEL)

/* ---- elementwise, two inputs ------------------------------------------------------------------------------------- */

/* An input of stride 1, or one value for all; the value is read before anything is written. */
typedef struct operand {
    const leat_real *p;
    int stride;
    vec value;
} operand;

SIMD_INLINE operand operand_of(const leat_real *p, int stride)
{
    return (operand){ p, stride, v_set(*p) };
}

SIMD_INLINE vec operand_load(operand o, int64_t i)
{
    return o.stride ? v_load(o.p + i) : o.value;
}

SIMD_INLINE vec operand_load_part(operand o, int64_t i, int64_t n)
{
    return o.stride ? v_load_part(o.p + i, n) : o.value;
}

/* The loop of a binary kernel for constant strides. */
#define BINARY_LOOP(function, expression)                                                                              \
    SIMD_INLINE void function##_loop(operand oa, operand ob, const leat_real *py, const leat_real *pg, leat_real *out, \
                                     int64_t n)                                                                        \
    {                                                                                                                  \
        int64_t i = 0;                                                                                                 \
        for (; i <= n - VL; i += VL) {                                                                                 \
            vec a = operand_load(oa, i), b = operand_load(ob, i), y = v_load(py + i), g = v_load(pg + i);              \
            (void)a, (void)b, (void)y, (void)g;                                                                        \
            v_store(out + i, expression);                                                                              \
        }                                                                                                              \
        if (i < n) {                                                                                                   \
            vec a = operand_load_part(oa, i, n - i), b = operand_load_part(ob, i, n - i);                              \
            vec y = v_load_part(py + i, n - i), g = v_load_part(pg + i, n - i);                                        \
            (void)a, (void)b, (void)y, (void)g;                                                                        \
            v_store_part(out + i, expression, n - i);                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    static void function##_strided(const leat_real *a, int sa, const leat_real *b, int sb, const leat_real *y,         \
                                   const leat_real *g, leat_real *out, int64_t n)                                      \
    {                                                                                                                  \
        if (n <= 0)                                                                                                    \
            return;                                                                                                    \
        if (sa && sb)                                                                                                  \
            function##_loop(operand_of(a, 1), operand_of(b, 1), y, g, out, n);                                         \
        else if (sa)                                                                                                   \
            function##_loop(operand_of(a, 1), operand_of(b, 0), y, g, out, n);                                         \
        else if (sb)                                                                                                   \
            function##_loop(operand_of(a, 0), operand_of(b, 1), y, g, out, n);                                         \
        else                                                                                                           \
            function##_loop(operand_of(a, 0), operand_of(b, 0), y, g, out, n);                                         \
    }

#define BINARY_BACKWARD(function)                                                                                      \
    static void function(const leat_real *a, int sa, const leat_real *b, int sb, const leat_real *y,                   \
                         const leat_real *g, leat_real *out, int64_t n)                                                \
    {                                                                                                                  \
        function##_strided(a ? a : g, a ? sa : 1, b ? b : g, b ? sb : 1, y ? y : g, g, out, n);                        \
    }

/* Forward, y and g stand in for what the expression does not read: the output itself. */
#define BINARY_FORWARD(name, value)                                                                                    \
    BINARY_LOOP(name##_forward, value)                                                                                 \
    static void name##_forward(const leat_real *a, int sa, const leat_real *b, int sb, leat_real *y, int64_t n)        \
    {                                                                                                                  \
        name##_forward_strided(a, sa, b, sb, y, y, y, n);                                                              \
    }

#define BINARY_KERNEL(name, draws, value, da, db, reads)                                                               \
    BINARY_FORWARD(name, value)                                                                                        \
    BINARY_LOOP(name##_backward_a, da)                                                                                 \
    BINARY_LOOP(name##_backward_b, db)                                                                                 \
    BINARY_BACKWARD(name##_backward_a)                                                                                 \
    BINARY_BACKWARD(name##_backward_b)
LEAT_BINARY_LIST(BINARY_KERNEL)

#define COMPARISON_KERNEL(name, holds) BINARY_FORWARD(name, v_select(holds, v_set(1), v_set(0)))
LEAT_COMPARISON_LIST(COMPARISON_KERNEL)

/* ---- elementwise, the others ------------------------------------------------------------------------------------- */

static void fill(leat_real *y, int64_t n, leat_real value)
{
    vec v = v_set(value);
    int64_t i = 0;
    for (; i <= n - VL; i += VL)
        v_store(y + i, v);
    if (i < n)
        v_store_part(y + i, v, n - i);
}

static void accumulate(leat_real *y, const leat_real *x, int64_t n)
{
    int64_t i = 0;
    for (; i <= n - VL; i += VL)
        v_store(y + i, v_add(v_load(y + i), v_load(x + i)));
    if (i < n)
        v_store_part(y + i, v_add(v_load_part(y + i, n - i), v_load_part(x + i, n - i)), n - i);
}

static void subtract_scaled(double *y, double a, const double *x, int64_t n)
{
    const dvec factor = d_set(a);
    int64_t i = 0;
    for (; i <= n - DL; i += DL)
        d_store(y + i, d_fnma(factor, d_load(x + i), d_load(y + i)));
    for (; i < n; i++)
        y[i] = fma(-a, x[i], y[i]);
}

static void where(const leat_real *cond, int sc, const leat_real *a, int sa, const leat_real *b, int sb, leat_real *y,
                  int64_t n)
{
    if (n <= 0)
        return;
    operand oc = operand_of(cond, sc), oa = operand_of(a, sa), ob = operand_of(b, sb);
    const vec zero = v_set(0);
    int64_t i = 0;
    for (; i <= n - VL; i += VL)
        v_store(y + i, v_select(v_eq(operand_load(oc, i), zero), operand_load(ob, i), operand_load(oa, i)));
    if (i < n)
        v_store_part(y + i,
                     v_select(v_eq(operand_load_part(oc, i, n - i), zero), operand_load_part(ob, i, n - i),
                              operand_load_part(oa, i, n - i)),
                     n - i);
}

/* ---- reductions -------------------------------------------------------------------------------------------------- */

#define SUM_LANES 16
#define SUM_BLOCK 4096

static double sum_block(const leat_real *x, int64_t n)
{
    dvec acc[SUM_LANES / DL];
    for (int j = 0; j < SUM_LANES / DL; j++)
        acc[j] = d_set(0);
    int64_t i = 0;
    for (; i <= n - SUM_LANES; i += SUM_LANES)
        for (int j = 0; j < SUM_LANES / DL; j++)
            acc[j] = d_add(acc[j], d_load_real(x + i + j * DL));

    double lane[SUM_LANES];
    for (int j = 0; j < SUM_LANES / DL; j++)
        d_store(lane + j * DL, acc[j]);
    for (int j = 0; i < n; i++, j++)
        lane[j] += (double)x[i];
    for (int width = SUM_LANES / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++)
            lane[j] += lane[j + width];
    return lane[0];
}

static double sum(const leat_real *x, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n; i += SUM_BLOCK)
        total += sum_block(x + i, n - i < SUM_BLOCK ? n - i : SUM_BLOCK);
    return total;
}

#define SUM_COLUMNS 8 /* vectors of accumulators at a time */

static void sum_rows(const leat_real *x, int64_t rows, int64_t cols, int64_t stride, leat_real *out)
{
    int64_t j = 0;
    for (; j <= cols - SUM_COLUMNS * DL; j += SUM_COLUMNS * DL) {
        dvec acc[SUM_COLUMNS];
        for (int c = 0; c < SUM_COLUMNS; c++)
            acc[c] = d_set(0);
        for (int64_t i = 0; i < rows; i++)
            for (int c = 0; c < SUM_COLUMNS; c++)
                acc[c] = d_add(acc[c], d_load_real(x + i * stride + j + c * DL));
        for (int c = 0; c < SUM_COLUMNS; c++)
            d_store_real(out + j + c * DL, acc[c]);
    }
    double acc[SUM_COLUMNS * DL] = { 0 };
    for (int64_t i = 0; i < rows && j < cols; i++)
        for (int64_t c = j; c < cols; c++)
            acc[c - j] += (double)x[i * stride + c];
    for (int64_t c = j; c < cols; c++)
        out[c] = (leat_real)acc[c - j];
}

static leat_real max(const leat_real *x, int64_t n)
{
    vec best = v_set((vreal)-INFINITY);
    vmask ordered = v_eq(best, best);
    int64_t i = 0;
    for (; i <= n - VL; i += VL) {
        vec v = v_load(x + i);
        best = v_max(v, best);
        ordered = m_and(ordered, v_eq(v, v));
    }
    leat_real lane[VL], largest = (leat_real)-INFINITY;
    v_store(lane, v_select(ordered, best, v_set((vreal)NAN)));
    for (int64_t j = 0; j < VL + n - i; j++) {
        leat_real value = j < VL ? lane[j] : x[i + j - VL];
        if (!(value <= largest))
            largest = value;
        if (isnan(value))
            return value;
    }
    return largest + 0;
}

static leat_real logsumexp(const leat_real *x, int64_t n)
{
    leat_real top = max(x, n), e[SUM_BLOCK];
    if (!isfinite(top))
        return top;
    const vec shift = v_set(top);
    double total = 0;
    for (int64_t begin = 0; begin < n; begin += SUM_BLOCK) {
        int64_t count = n - begin < SUM_BLOCK ? n - begin : SUM_BLOCK, i = 0;
        for (; i <= count - VL; i += VL)
            v_store(e + i, v_exp(v_sub(v_load(x + begin + i), shift)));
        if (i < count)
            v_store_part(e + i, v_exp(v_sub(v_load_part(x + begin + i, count - i), shift)), count - i);
        total += sum_block(e, count);
    }
    return (leat_real)((double)top + leat_log64(total));
}

#include "kernels_rows.h"

/* ---- the table --------------------------------------------------------------------------------------------------- */

#define UNARY_ROW(name, ...)      [LEAT_UNARY_##name] = { name##_forward, name##_backward },
#define BINARY_ROW(name, ...)     [LEAT_BINARY_##name] = { name##_forward, name##_backward_a, name##_backward_b },
#define COMPARISON_ROW(name, ...) [LEAT_COMPARISON_##name] = name##_forward,

const leat_kernels LEAT_SIMD_KERNELS = {
    .isa = LEAT_SIMD_NAME,
    .unary = { LEAT_UNARY_LIST(UNARY_ROW) },
    .binary = { LEAT_BINARY_LIST(BINARY_ROW) },
    .comparison = { LEAT_COMPARISON_LIST(COMPARISON_ROW) },
    .fill = fill,
    .accumulate = accumulate,
    .subtract_scaled = subtract_scaled,
    .where = where,
    .sum = sum,
    .sum_rows = sum_rows,
    .max = max,
    .logsumexp = logsumexp,
    .step = { LEAT_STEP_LIST(OPTIM_ROW) },
    .rows = &row_kernels,
    .gemm = &gemm_kernel,
};
