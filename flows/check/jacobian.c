/* Jacobians by autodiff: one walk back for each output feature gives that row of every sample's matrix at once. */
#include "jacobian.h"
#include "../../tensor/kernels/elementary.h"

#include <math.h>
#include <string.h>

leat_code leat_jacobian(leat_var y, leat_var x, double *jacobian)
{
    leat_tape *t = y.tape;
    leat_tensor cotangent = { .shape = leat_var_shape(y) };
    int64_t rows = leat_var_size(y, 0), count = leat_shape_count(&cotangent.shape), dim = rows ? count / rows : 0;
    cotangent.data = leat_tape_alloc(t, (size_t)count * sizeof(leat_real));
    if (!cotangent.data)
        return leat_tape_code(t);
    for (int64_t i = 0; i < dim; i++) {
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t j = 0; j < dim; j++)
                cotangent.data[r * dim + j] = j == i;
        }
        leat_clear_grads(t);
        if (leat_vjp(y, cotangent))
            break;
        leat_tensor g = leat_grad(x);
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t j = 0; j < dim; j++)
                jacobian[(r * dim + i) * dim + j] = g.data ? (double)g.data[r * dim + j] : 0.0;
        }
    }
    leat_clear_grads(t);
    return leat_tape_code(t);
}

static void swap_rows(double *a, double *b, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        double keep = a[j];
        a[j] = b[j];
        b[j] = keep;
    }
}

double leat_log_abs_det(double *a, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < n; i++) {
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k]))
                pivot = i;
        }
        if (pivot != k)
            swap_rows(a + k * n, a + pivot * n, n);
        sum += leat_log64(fabs(a[k * n + k]));
        for (int64_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / a[k * n + k];
            for (int64_t j = k; j < n && factor != 0; j++)
                a[i * n + j] = fma(-factor, a[k * n + j], a[i * n + j]);
        }
    }
    return sum;
}
