/* Private to flows: Jacobians by autodiff, and their determinants. */
#ifndef LEAT_JACOBIAN_H
#define LEAT_JACOBIAN_H

#include "../flows.h"

/* jacobian[row][i][j] = d y[row][i] / d x[row][j] for x, y [rows, dim], where row r of y depends on row r of x alone; x
 * is a leat_input of the tape. Takes dim walks back. */
leat_code leat_jacobian(leat_var y, leat_var x, double *jacobian);

/* log|det a| by elimination with partial pivoting; destroys a [n, n]. -inf if singular. */
double leat_log_abs_det(double *a, int64_t n);

#endif
