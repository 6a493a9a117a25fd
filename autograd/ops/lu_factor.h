/*
 * Private to autograd: small dense matrices in double, for solve_triangular, slogdet and inverse. Every sum is a chain of
 * fused multiply-adds in one order, so the bits depend on the matrix alone.
 */
#ifndef LEAT_LU_H
#define LEAT_LU_H

#include "ops.h"

/* Runs fn(arg, i, scratch) for every i < count, in threads if `cost` multiply-adds for each are many in all. The scratch
 * is `room` doubles, one of it for each thread. False, and a failed tape, when out of memory. */
typedef void leat_each_fn(void *arg, int64_t i, double *scratch);
bool leat_call_each(leat_call *c, int64_t count, double cost, int64_t room, leat_each_fn *fn, void *arg);

/* A triangular matrix as the solver reads it: element (i, j) is a[i * row + j * col]. */
typedef struct leat_triangle {
    const double *a;
    int64_t row, col;
    bool lower, unit;
} leat_triangle;

/* x [n, width] = T^-1 x, for T [n, n]; rows of x are `stride` apart. */
void leat_triangle_solve(const leat_triangle *t, int64_t n, double *x, int64_t width, int64_t stride);

/* P A = L U in place of a [n, n]: below the diagonal L, whose own diagonal is ones, the rest U. Row i of it is row
 * order[i] of A; by partial pivoting, of equal pivots the first. Returns the sign of P. A column without a pivot is left,
 * with a zero on U's diagonal. */
int leat_lu(double *a, int64_t n, int64_t *order);

/* x [n, n] = A^-1, from the two of leat_lu. */
void leat_lu_inverse(const double *lu, const int64_t *order, int64_t n, double *x);

#endif
