/*
 * Private to tensor: the innermost loops of a matrix product, over the vectors of simd.h.
 *
 * A tile of C, a few rows by a few vectors, stays in registers while k runs; each step loads one row of B and
 * broadcasts one number of A for each row of the tile. Six rows by two vectors fill the sixteen registers of AVX2, by
 * four the thirty-two short ones of NEON, and twelve by two those of AVX-512, whose panels of B are too large for the
 * first level cache, and so are read as seldom as can be. One or two rows take more vectors each, as a chain of fma needs
 * about eight others beside it to hide its latency. The tiles are written by macros, since only variables with a name are
 * sure to be registers at -O2.
 */
#ifndef LEAT_GEMM_KERNEL_H
#define LEAT_GEMM_KERNEL_H

#include "gemm.h"
#include "gemm_pack.h"
#include "vmath.h"

#ifdef LEAT_SIMD_NEON
#define TILE_VECS 4
/* The rows of a step one after the other: all six numbers of A at once would push parts of C out of the registers. */
#define TILE_ORDER __asm__ volatile("" ::: "memory");
#else
#define TILE_VECS 2
#define TILE_ORDER
#endif
#if defined(LEAT_SIMD_AVX512) || defined(LEAT_SIMD_WIDE)
#define TILE_ROWS 12
#else
#define TILE_ROWS 6
#endif
#define TILE_COLS    (TILE_VECS * VL)
#define TILE_WIDE    (8 * VL)
#define AHEAD_STEPS  16 /* a tile that takes so many has its place in C fetched meanwhile */
#define NEAR_NUMBERS (int64_t)(16384 / sizeof(leat_real)) /* half of a small first level cache */

/* X(i, V) for every row i, and Y(i, v) for every vector v of row i. */
#define ROWS_1(X, V)  X(0, V)
#define ROWS_2(X, V)  ROWS_1(X, V) X(1, V)
#define ROWS_3(X, V)  ROWS_2(X, V) X(2, V)
#define ROWS_4(X, V)  ROWS_3(X, V) X(3, V)
#define ROWS_5(X, V)  ROWS_4(X, V) X(4, V)
#define ROWS_6(X, V)  ROWS_5(X, V) X(5, V)
#define ROWS_7(X, V)  ROWS_6(X, V) X(6, V)
#define ROWS_8(X, V)  ROWS_7(X, V) X(7, V)
#define ROWS_9(X, V)  ROWS_8(X, V) X(8, V)
#define ROWS_10(X, V) ROWS_9(X, V) X(9, V)
#define ROWS_11(X, V) ROWS_10(X, V) X(10, V)
#define ROWS_12(X, V) ROWS_11(X, V) X(11, V)
#define VECS_1(Y, i)  Y(i, 0)
#define VECS_2(Y, i)  VECS_1(Y, i) Y(i, 1)
#define VECS_3(Y, i)  VECS_2(Y, i) Y(i, 2)
#define VECS_4(Y, i)  VECS_3(Y, i) Y(i, 3)
#define VECS_8(Y, i)  VECS_4(Y, i) Y(i, 4) Y(i, 5) Y(i, 6) Y(i, 7)

/* Vector v behind p: all of it, or what the n columns of the tile leave of it. */
#define LOAD_FULL(p, v)     v_load((p) + (v)*VL)
#define STORE_FULL(p, v, x) v_store((p) + (v)*VL, x)
#define LOAD_PART(p, v)     v_load_part((p) + (v)*VL, n - (v)*VL)
#define STORE_PART(p, v, x) v_store_part((p) + (v)*VL, x, n - (v)*VL)

#define TILE_ZERO(i, v)  c##i##v = v_set(0);
#define TILE_AHEAD(i, v) __builtin_prefetch(to + (v)*VL, 1);
#define TILE_LOAD(i, v)  c##i##v = LOAD(from, v);
#define TILE_STORE(i, v) STORE(c, v, c##i##v);
#define TILE_B(i, v)     vec b##v = LOAD(b, v);
#define TILE_FMA(i, v)   c##i##v = v_fma(x##i, b##v, c##i##v);
#define TILE_BIAS(i, v)  c##i##v = v_add(c##i##v, LOAD(bias, v));
#define TILE_RELU(i, v)  c##i##v = v_relu(c##i##v);

#define DECLARE_VEC(i, v) vec c##i##v;
/* The number of A for row i: each row has a pointer of its own and all have one index, or, where that makes more than
 * there are registers, three rows share a pointer and there are three indices. */
#if TILE_ROWS == 12
#define A_ROW(i)   (a + i / 3 * 3 * a_row)
#define A_INDEX(i) at[i % 3]
#define A_STEP     at[0] += a_col, at[1] += a_col, at[2] += a_col
#else
#define A_ROW(i)   (a + i * a_row)
#define A_INDEX(i) at[0]
#define A_STEP     at[0] += a_col
#endif
#define DECLARE_ROW(i, V)                                                                                              \
    const leat_real *a##i = A_ROW(i);                                                                                  \
    V(DECLARE_VEC, i)
#define STEP_ROW(i, V)                                                                                                 \
    TILE_ORDER                                                                                                         \
    vec x##i = v_set(a##i[A_INDEX(i)]);                                                                                \
    V(TILE_FMA, i)
#define ZERO_ROW(i, V) V(TILE_ZERO, i)
#define AHEAD_ROW(i, V)                                                                                                \
    V(TILE_AHEAD, i)                                                                                                   \
    to += ldc;
#define LOAD_ROW(i, V)                                                                                                 \
    V(TILE_LOAD, i)                                                                                                    \
    from += ldc;
#define BIAS_ROW(i, V) V(TILE_BIAS, i)
#define RELU_ROW(i, V) V(TILE_RELU, i)
#define STORE_ROW(i, V)                                                                                                \
    V(TILE_STORE, i)                                                                                                   \
    c += ldc;

#define TILE(NAME, ROWS, VECS)                                                                                         \
    static void NAME(const leat_gemm_block *g, const leat_real *a, const leat_real *b, leat_real *c,                   \
                     const leat_real *bias, int64_t n)                                                                 \
    {                                                                                                                  \
        const int64_t ldc = g->ldc, k = g->k, a_row = g->a_row, a_col = g->a_col, b_row = g->b_row;                    \
        (void)n;                                                                                                       \
        ROWS(DECLARE_ROW, VECS)                                                                                        \
        if (g->load) {                                                                                                 \
            const leat_real *from = c;                                                                                 \
            ROWS(LOAD_ROW, VECS)                                                                                       \
        } else {                                                                                                       \
            ROWS(ZERO_ROW, VECS)                                                                                       \
        }                                                                                                              \
        if (!g->load && k * g->segments >= AHEAD_STEPS) {                                                              \
            const leat_real *to = c;                                                                                   \
            ROWS(AHEAD_ROW, VECS)                                                                                      \
        }                                                                                                              \
        const leat_real *const first = b;                                                                              \
        for (int64_t s = 0; s < g->segments; s++) {                                                                    \
            int64_t at[3] = { g->a_at[s], g->a_at[s] + a_row, g->a_at[s] + 2 * a_row };                                \
            b = first + g->b_at[s];                                                                                    \
            for (int64_t p = 0; p < k; p++, A_STEP, b += b_row) {                                                      \
                VECS(TILE_B, 0)                                                                                        \
                ROWS(STEP_ROW, VECS)                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
        if (bias) {                                                                                                    \
            ROWS(BIAS_ROW, VECS)                                                                                       \
        }                                                                                                              \
        if (g->relu) {                                                                                                 \
            ROWS(RELU_ROW, VECS)                                                                                       \
        }                                                                                                              \
        ROWS(STORE_ROW, VECS)                                                                                          \
    }

/* Tiles NAME_<rows>x<vecs> of every number of rows, and their row in the table below. */
#if TILE_ROWS == 12
#define EACH_ROWS(X, NAME, VECS)                                                                                       \
    EACH_ROWS_6(X, NAME, VECS)                                                                                         \
    X(NAME, 7, VECS) X(NAME, 8, VECS) X(NAME, 9, VECS) X(NAME, 10, VECS) X(NAME, 11, VECS) X(NAME, 12, VECS)
#else
#define EACH_ROWS EACH_ROWS_6
#endif
#define EACH_ROWS_6(X, NAME, VECS)                                                                                     \
    X(NAME, 1, VECS) X(NAME, 2, VECS) X(NAME, 3, VECS) X(NAME, 4, VECS) X(NAME, 5, VECS) X(NAME, 6, VECS)
#define TILE_OF(NAME, ROWS, VECS) TILE(NAME##_##ROWS##x##VECS, ROWS_##ROWS, VECS_##VECS)
#define NAME_OF(NAME, ROWS, VECS) NAME##_##ROWS##x##VECS,
#define TILES(NAME, VECS)         EACH_ROWS(TILE_OF, NAME, VECS)
#define TILE_ROW(NAME, VECS)                                                                                           \
    {                                                                                                                  \
        NULL, EACH_ROWS(NAME_OF, NAME, VECS)                                                                           \
    }

typedef void tile_fn(const leat_gemm_block *g, const leat_real *a, const leat_real *b, leat_real *c,
                     const leat_real *bias, int64_t n);

#define LOAD  LOAD_FULL
#define STORE STORE_FULL
TILES(tile, TILE_VECS)
TILE(tile_1x8, ROWS_1, VECS_8)
#if TILE_VECS < 4
TILE(tile_2x4, ROWS_2, VECS_4)
#endif
#undef LOAD
#undef STORE

#define LOAD  LOAD_PART
#define STORE STORE_PART
TILES(part, 1)
TILES(part, 2)
#if TILE_VECS == 4
TILES(part, 3)
TILES(part, 4)
#endif
#undef LOAD
#undef STORE

/* PART + v: all of v vectors and a part of one more, or all of it. */
enum { FULL, WIDE, PART };

static tile_fn *const tiles[][TILE_ROWS + 1] = {
    [FULL] = TILE_ROW(tile, TILE_VECS), [WIDE] = { NULL, tile_1x8, tile_2x4 },
    [PART] = TILE_ROW(part, 1),         [PART + 1] = TILE_ROW(part, 2),
#if TILE_VECS == 4
    [PART + 2] = TILE_ROW(part, 3),     [PART + 3] = TILE_ROW(part, 4),
#endif
};

/* The next strip, which its rows' own order does not foretell: each is short. */
static void gemm_ahead(const leat_gemm_block *g, const leat_real *a)
{
    for (int64_t i = 0; i < g->strip; i++)
        for (int64_t p = 0; p < g->k; p += 64 / (int64_t)sizeof *a)
            __builtin_prefetch(a + i * g->a_row + p);
}

/* The tiles of the columns j .. j + width and the rows `first` to `end` of the lines from `line` on; b is where these
 * columns begin. Returns the width, at most `left`. */
static int64_t gemm_column(const leat_gemm_block *g, int64_t line, int64_t lines, int64_t first, int64_t end,
                           const leat_real *b, int64_t j, int64_t left)
{
    int kind = left >= TILE_COLS ? FULL : PART + (int)((left - 1) / VL);
    int64_t width = left < TILE_COLS ? left : TILE_COLS;
    if (g->m <= 2 && left >= TILE_WIDE / g->m)
        kind = WIDE, width = TILE_WIDE / g->m;
    const bool ahead = j == 0 && g->segments == 1 && g->a_col == 1;
    const leat_real *bias = g->bias ? g->bias + j : NULL;
    for (; lines > 0; line++, lines--) {
        const leat_real *a = g->a + line * g->a_line + first / g->strip * g->a_strip;
        leat_real *c = g->c + line * g->c_line + first * g->ldc + j;
        for (int64_t i = first; i < end; i += g->strip, a += g->a_strip, c += g->strip * g->ldc) {
            if (ahead && end - i > g->strip)
                gemm_ahead(g, a + g->a_strip);
            tiles[kind][end - i < g->strip ? end - i : g->strip](g, a, b, c, bias, width);
        }
    }
    return width;
}

/* The product of a column of A and a row of B has no sums, and is a matter of writing C: whole rows one after the
 * other, with up to eight vectors of B at hand. */
#define OUTER_B(i, v)     const vec b##v = LOAD(b, v);
#define OUTER_PLAIN(i, v) STORE(c, v, v_fma(x, b##v, v_set(0)));
#define OUTER_LAYER(i, v) STORE(c, v, v_relu(v_add(v_fma(x, b##v, v_set(0)), LOAD(bias, v))));
#define OUTER_ANY(i, v)                                                                                                \
    vec c##v = v_fma(x, b##v, load ? LOAD(c, v) : v_set(0));                                                           \
    c##v = bias ? v_add(c##v, LOAD(bias, v)) : c##v;                                                                   \
    STORE(c, v, relu ? v_relu(c##v) : c##v);
#define OUTER_ROWS(ONE, VECS)                                                                                          \
    for (int64_t i = 0; i < m; i++, a += a_row, c += ldc) {                                                            \
        vec x = v_set(*a);                                                                                             \
        VECS(ONE, 0)                                                                                                   \
    }
#define OUTER(NAME, VECS)                                                                                              \
    static void NAME(const leat_gemm_block *g, const leat_real *b, leat_real *c, const leat_real *bias, int64_t n)     \
    {                                                                                                                  \
        const bool load = g->load, relu = g->relu;                                                                     \
        const int64_t m = g->m, a_row = g->a_row, ldc = g->ldc;                                                        \
        const leat_real *a = g->a;                                                                                     \
        (void)n;                                                                                                       \
        VECS(OUTER_B, 0)                                                                                               \
        if (!load && !bias && !relu) {                                                                                 \
            OUTER_ROWS(OUTER_PLAIN, VECS)                                                                              \
        } else if (!load && bias && relu) {                                                                            \
            OUTER_ROWS(OUTER_LAYER, VECS)                                                                              \
        } else {                                                                                                       \
            OUTER_ROWS(OUTER_ANY, VECS)                                                                                \
        }                                                                                                              \
    }
#define LOAD  LOAD_FULL
#define STORE STORE_FULL
OUTER(outer_8, VECS_8)
OUTER(outer_4, VECS_4)
OUTER(outer_2, VECS_2)
#undef LOAD
#undef STORE
#define LOAD  LOAD_PART
#define STORE STORE_PART
OUTER(outer_part, VECS_1)
#undef LOAD
#undef STORE

static void gemm_outer(const leat_gemm_block *g)
{
    for (int64_t j = 0, left = g->n; left > 0;) {
        int64_t vecs = left / VL, width = VL * (vecs >= 8 ? 8 : vecs >= 4 ? 4 : vecs >= 2 ? 2 : 1);
        width = width < left ? width : left;
        (vecs >= 8   ? outer_8
         : vecs >= 4 ? outer_4
         : vecs >= 2 ? outer_2
                     : outer_part)(g, g->b + j, g->c + j, g->bias ? g->bias + j : NULL, width);
        j += width, left -= width;
    }
}

/* One or two rows times a transposed B that lies where the caller has it: it is turned in registers and used at once.
 * Each sum waits for its own last step; those of two strips of VL columns, and the next ones, fill the time. */
#define DOT_START(i, v) vec c##i##v = load && i < rows ? LOAD(c + i * ldc, v) : v_set(0);
#define DOT_FMA(v, q, t)                                                                                               \
    if (q < TURN) {                                                                                                    \
        c0##v = v_fma(v_set(a[(p + q) * a_col]), t, c0##v);                                                            \
        c1##v = rows > 1 ? v_fma(v_set(a[a_row + (p + q) * a_col]), t, c1##v) : c1##v;                                 \
    }
#define DOT_STEP(i, v)                                                                                                 \
    {                                                                                                                  \
        vec t[4];                                                                                                      \
        turn(b##v, p, t);                                                                                              \
        DOT_FMA(v, 0, t[0])                                                                                            \
        DOT_FMA(v, 1, t[1])                                                                                            \
        DOT_FMA(v, 2, t[2])                                                                                            \
        DOT_FMA(v, 3, t[3])                                                                                            \
    }
#define DOT_STEP_ONE(i, v)                                                                                             \
    {                                                                                                                  \
        vec t = turn_one(b##v, p);                                                                                     \
        DOT_FMA(v, 0, t)                                                                                               \
    }
#define DOT_END(i, v)                                                                                                  \
    if (i < rows) {                                                                                                    \
        c##i##v = bias ? v_add(c##i##v, LOAD(bias, v)) : c##i##v;                                                      \
        STORE(c + i * ldc, v, relu ? v_relu(c##i##v) : c##i##v);                                                       \
    }
#define DOTS(NAME, ROWS, STRIPS, SOURCE)                                                                               \
    static void NAME(const leat_gemm_block *g, const leat_real *b, leat_real *c, const leat_real *bias, int64_t n)     \
    {                                                                                                                  \
        enum { rows = ROWS };                                                                                          \
        const bool load = g->load, relu = g->relu;                                                                     \
        const int64_t k = g->k, a_row = g->a_row, a_col = g->a_col, ldb = g->b_col, ldc = g->ldc;                      \
        const leat_real *a = g->a;                                                                                     \
        const vreal *list[VL];                                                                                         \
        (void)n, (void)list;                                                                                           \
        VECS_##STRIPS(SOURCE, 0) VECS_##STRIPS(DOT_START, 0) VECS_##STRIPS(DOT_START, 1) int64_t p = 0;                \
        for (; p + TURN <= k; p += TURN) {                                                                             \
            VECS_##STRIPS(DOT_STEP, 0)                                                                                 \
        }                                                                                                              \
        for (; p < k; p++) {                                                                                           \
            VECS_##STRIPS(DOT_STEP_ONE, 0)                                                                             \
        }                                                                                                              \
        VECS_##STRIPS(DOT_END, 0) VECS_##STRIPS(DOT_END, 1)                                                            \
    }
#define DOT_ALL(i, v)  const turn_rows b##v = { b + (v)*VL * ldb, ldb, NULL };
#define DOT_SOME(i, v) const turn_rows b##v = turn_some(b, ldb, n, list);
#define LOAD           LOAD_FULL
#define STORE          STORE_FULL
DOTS(dots_1x2, 1, 2, DOT_ALL)
DOTS(dots_2x2, 2, 2, DOT_ALL)
#undef LOAD
#undef STORE
#define LOAD  LOAD_PART
#define STORE STORE_PART
DOTS(dots_1x1, 1, 1, DOT_SOME)
DOTS(dots_2x1, 2, 1, DOT_SOME)
#undef LOAD
#undef STORE

static void gemm_dots(const leat_gemm_block *g)
{
    for (int64_t j = 0, left = g->n; left > 0;) {
        bool full = left >= 2 * VL;
        int64_t width = full ? 2 * VL : left < VL ? left : VL;
        (full ? (g->m == 1 ? dots_1x2 : dots_2x2) : (g->m == 1 ? dots_1x1 : dots_2x1))(
            g, g->b + j * g->b_col, g->c + j, g->bias ? g->bias + j : NULL, width);
        j += width, left -= width;
    }
}

/* A panel of B is kept near for all rows; where the whole of B is near, C is written in its own order. */
static void gemm_block(const leat_gemm_block *g)
{
    if (g->b_col != 1) {
        gemm_dots(g);
        return;
    }
    if (g->k == 1 && g->segments == 1 && g->lines == 1 && g->panel >= g->n && g->a_strip == TILE_ROWS * g->a_row) {
        gemm_outer(g);
        return;
    }
    bool near = g->n * g->k * g->segments <= NEAR_NUMBERS;
    int64_t height = near ? g->strip : g->m, lines = near ? 1 : g->lines;
    for (int64_t line = 0; line < g->lines; line += lines)
        for (int64_t i = 0; i < g->m; i += height) {
            int64_t end = g->m - i < height ? g->m : i + height;
            const leat_real *b = g->b;
            for (int64_t left = g->n; left > 0; left -= g->panel, b += g->b_panel)
                for (int64_t at = 0, width = left < g->panel ? left : g->panel; at < width;)
                    at += gemm_column(g, line, lines, i, end, b + at, g->n - left + at, width - at);
        }
}

static const leat_gemm_kernel gemm_kernel = {
    .rows = TILE_ROWS,
    .cols = TILE_COLS,
    .wide = TILE_WIDE,
    .lanes = VL,
    .block = gemm_block,
    .pack = gemm_pack,
    .pack_transposed = gemm_pack_transposed,
};

#endif
