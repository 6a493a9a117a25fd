/*
 * Private to tensor and autograd: 2-D convolution of images [batch, height, width, in] with a weight
 * [out, in, kernel height, kernel width] (cross-correlation, as everybody's), and its gradients.
 *
 * The padding is zeros that take part in the sums like all other numbers. With result row Y, column X of an image and row
 * r, column c of the kernel, the order of every sum is
 *
 *     y       0; for r, c, in ascending fma(x, weight); then + bias; then the activation
 *     dx      0; for the (Y, X) that reach it ascending, row by row, those beyond the edges with dy = 0, then out
 *             ascending, fma(dy, weight)
 *     dw      0; for image, Y, X ascending fma(dy, x)
 *
 * so a result is a function of its place and nothing else.
 */
#ifndef LEAT_CONVOLUTION_H
#define LEAT_CONVOLUTION_H

#include "kernels.h"

typedef struct leat_conv {
    int64_t batch, in, out;
    int64_t size[2], kernel[2], result[2]; /* height and width; result = (size + 2 padding - kernel) / stride + 1 */
    int64_t stride[2], padding[2];
    const leat_kernels *kernels; /* NULL: those in use */
} leat_conv;

/* `scratch` and pool as for leat_gemm; LEAT_ENOMEM is the only failure. bias may be NULL. */
LEAT_API leat_code leat_conv_forward(leat_pool *pool, leat_arena *scratch, const leat_conv *v, const leat_real *x,
                                     const leat_real *weight, const leat_real *bias, leat_activation activation,
                                     leat_real *y);
LEAT_API leat_code leat_conv_input_gradient(leat_pool *pool, leat_arena *scratch, const leat_conv *v,
                                            const leat_real *dy, const leat_real *weight, leat_real *dx);
LEAT_API leat_code leat_conv_weight_gradient(leat_pool *pool, leat_arena *scratch, const leat_conv *v,
                                             const leat_real *dy, const leat_real *x, leat_real *dw);

#endif
