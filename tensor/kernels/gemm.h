/*
 * Private to tensor: what gemm.c asks of an instruction set. gemm_kernel.h and gemm_pack.h make one of these for each.
 */
#ifndef LEAT_GEMM_H
#define LEAT_GEMM_H

#include "kernels.h"

/*
 * One block of a product, C [m, n] = A [m, k] B [k, n], with the order of leat_gemm.
 *
 * A is cut into strips of `strip` rows (at most the kernel's), a_strip numbers apart; row i of a strip has its element p
 * at i * a_row + p * a_col. So A may lie as the caller has it, or be packed. B is cut into panels of `panel` columns that
 * follow one another, b_panel numbers each; a panel is row-major with row stride b_row. A B that is not packed is one
 * panel that is at least n wide; for DOT_ROWS rows at most, it may be transposed, with b_row 1 and column stride b_col,
 * which is 1 otherwise.
 *
 * The sums may go over several segments of k steps each, one after the other: segment s begins at a_at[s] and b_at[s].
 * And there may be several lines of m rows: their A is a_line apart, their C c_line. So A or B may be an image.
 */
enum { DOT_ROWS = 2 };

typedef struct leat_gemm_block {
    int64_t m, n, k, strip, a_row, a_col, a_strip, b_row, b_col, panel, b_panel, ldc;
    int64_t segments, lines, a_line, c_line;
    const int64_t *a_at, *b_at;
    const leat_real *a, *b;
    leat_real *c;
    const leat_real *bias; /* added at the end, or NULL */
    bool load, relu;       /* start from C instead of 0; relu at the end */
} leat_gemm_block;

typedef struct leat_gemm_kernel {
    int rows, cols; /* the tile that is held in registers */
    int wide;       /* how wide panels are for products of one or two rows; a multiple of cols */
    int lanes;      /* of a vector */
    void (*block)(const leat_gemm_block *g);
    /* Panels of B [k, n], row stride ldb, and of the transpose of B [n, k]. The last panel may be filled in part. What
     * lies behind a row of the last panel, up to a vector, may be overwritten. pack takes panels of any width, so the
     * strips of a transposed A too. */
    void (*pack)(const leat_real *b, int64_t ldb, int64_t k, int64_t n, int64_t panel, leat_real *out);
    void (*pack_transposed)(const leat_real *b, int64_t ldb, int64_t k, int64_t n, int64_t panel, leat_real *out);
} leat_gemm_kernel;

/* leat_gemm with kernels of the caller's choice. */
LEAT_API leat_code leat_gemm_with(const leat_kernels *kernels, leat_pool *pool, leat_arena *scratch,
                                  const leat_gemm_args *g);

#endif
