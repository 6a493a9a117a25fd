/*
 * Private to tensor and autograd: the table of kernels, one for each instruction set, chosen once per process.
 *
 * kernels_ref.c, kernels_avx2.c, kernels_avx512.c and kernels_neon.c all compile kernels_impl.h (element by element
 * work) and gemm_kernel.h, over the vector type that simd.h gives them. Every kernel writes the same bits in every set.
 * None of them allocates, and none is threaded: callers cut the work (leat_parallel_for).
 */
#ifndef LEAT_KERNELS_H
#define LEAT_KERNELS_H

#include "elementwise.h"
#include "../tensor.h"

/* The numbers of the elementwise ops: LEAT_UNARY_exp, LEAT_BINARY_add, LEAT_COMPARISON_eq, ... */
#define LEAT_ENUM_ROW(name, ...) LEAT_UNARY_##name,
enum { LEAT_UNARY_LIST(LEAT_ENUM_ROW) LEAT_UNARY_COUNT };
#undef LEAT_ENUM_ROW
#define LEAT_ENUM_ROW(name, ...) LEAT_BINARY_##name,
enum { LEAT_BINARY_LIST(LEAT_ENUM_ROW) LEAT_BINARY_COUNT };
#undef LEAT_ENUM_ROW
#define LEAT_ENUM_ROW(name, ...) LEAT_COMPARISON_##name,
enum { LEAT_COMPARISON_LIST(LEAT_ENUM_ROW) LEAT_COMPARISON_COUNT };
#undef LEAT_ENUM_ROW

/* Constants of an elementwise op, such as the c of x + c. */
typedef struct leat_constants {
    leat_real c0, c1;
} leat_constants;

/* The elementwise op that an activation is: its number, -1 for the identity and for what is no activation, and its
 * constants. */
typedef struct leat_activation_op {
    int unary;
    leat_constants k;
} leat_activation_op;

leat_activation_op leat_activation_op_of(leat_activation f);

/* y[i] = f(x[i]); dx[i] = g[i] * f'(x[i]), reading only those of x and y that the list names (the other may be NULL).
 * Output may be the same array as an input, not overlap it otherwise. */
typedef struct leat_unary_kernel {
    void (*forward)(const leat_real *x, leat_real *y, int64_t n, leat_constants k);
    void (*backward)(const leat_real *x, const leat_real *y, const leat_real *g, leat_real *dx, int64_t n,
                     leat_constants k);
} leat_unary_kernel;

/* Operand strides sa and sb are 1 or 0 (one value for all n); y, g, da and db have stride 1. Of a, b and y those that
 * the derivative does not read may be NULL. Output may be the same array as an input, as above. */
typedef void leat_binary_forward(const leat_real *a, int sa, const leat_real *b, int sb, leat_real *y, int64_t n);

typedef struct leat_binary_kernel {
    leat_binary_forward *forward;
    void (*backward_a)(const leat_real *a, int sa, const leat_real *b, int sb, const leat_real *y, const leat_real *g,
                       leat_real *da, int64_t n);
    void (*backward_b)(const leat_real *a, int sa, const leat_real *b, int sb, const leat_real *y, const leat_real *g,
                       leat_real *db, int64_t n);
} leat_binary_kernel;

/* The optimisers' kernels (kernels_optim.h), and how many arrays each remembers; ema averages, p towards g. */
#define LEAT_STEP_LIST(STEP)                                                                                           \
    STEP(sgd, 0)                                                                                                       \
    STEP(sgd_momentum, 1)                                                                                              \
    STEP(sgd_nesterov, 1)                                                                                              \
    STEP(adam, 2)                                                                                                      \
    STEP(adamw, 2)                                                                                                     \
    STEP(adamax, 2)                                                                                                    \
    STEP(rmsprop, 1)                                                                                                   \
    STEP(rmsprop_momentum, 2)                                                                                          \
    STEP(rmsprop_centered, 2)                                                                                          \
    STEP(rmsprop_centered_momentum, 3)                                                                                 \
    STEP(ema, 0)

#define LEAT_ENUM_ROW(name, ...) LEAT_STEP_##name,
enum { LEAT_STEP_LIST(LEAT_ENUM_ROW) LEAT_STEP_COUNT };
#undef LEAT_ENUM_ROW

enum { LEAT_STEP_STATES = 3 }; /* the most arrays that one remembers */

/* Each kernel reads those that its formula names. */
typedef struct leat_step_constants {
    leat_real lr, weight_decay, momentum, eps;
    leat_real beta1, beta2;             /* of RMSProp, beta2 is alpha */
    leat_real rest1, rest2;             /* 1 - beta1, 1 - beta2, subtracted in double: 1 - 0.999F is off by 1e-5 */
    leat_real correction1, correction2; /* 1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t) */
    leat_real shrink;                   /* lr weight_decay, for AdamW */
} leat_step_constants;

typedef void leat_step_kernel(leat_real *p, const leat_real *g, leat_real *const *state, int64_t n,
                              const leat_step_constants *k);

typedef struct leat_kernels {
    const char *isa;

    leat_unary_kernel unary[LEAT_UNARY_COUNT];
    leat_binary_kernel binary[LEAT_BINARY_COUNT];
    leat_binary_forward *comparison[LEAT_COMPARISON_COUNT];

    void (*fill)(leat_real *y, int64_t n, leat_real value);
    /* y += x */
    void (*accumulate)(leat_real *y, const leat_real *x, int64_t n);
    /* y = fma(-a, x, y), in double in both precisions */
    void (*subtract_scaled)(double *y, double a, const double *x, int64_t n);
    /* y = cond != 0 ? a : b; strides as in leat_binary_kernel */
    void (*where)(const leat_real *cond, int sc, const leat_real *a, int sa, const leat_real *b, int sb, leat_real *y,
                  int64_t n);

    /* leat_sum_contiguous */
    double (*sum)(const leat_real *x, int64_t n);
    /* out[j] = x[0][j] + x[1][j] + ... in that order, in double, then rounded; `cols` wide, rows `stride` apart.
     * Blocks of at most 64 columns keep the accumulators in registers or in a small array on the stack. */
    void (*sum_rows)(const leat_real *x, int64_t rows, int64_t cols, int64_t stride, leat_real *out);
    /* The largest of n > 0 values; NaN if there is one. A zero comes out as +0. */
    leat_real (*max)(const leat_real *x, int64_t n);
    /* log sum exp(x[i]), n > 0: m + log(sum exp(x - m)), the sum as in `sum`; m = -inf gives -inf, m = inf gives
     * inf. */
    leat_real (*logsumexp)(const leat_real *x, int64_t n);

    /* One step of an optimiser, in leat_real with explicit fma. Adam, in PyTorch's order: g += weight_decay * p;
     * m = beta1 m + rest1 g; v = beta2 v + rest2 g g; p -= lr correction1 m / (sqrt(v) correction2 + eps). */
    leat_step_kernel *step[LEAT_STEP_COUNT];

    /* What ops do to whole rows; see row_kernels.h. */
    const struct leat_row_kernels *rows;

    /* One packed block of a matrix product; see gemm_kernel.h. */
    const struct leat_gemm_kernel *gemm;
} leat_kernels;

extern const leat_kernels leat_kernels_ref;
#if defined(__x86_64__) && defined(__GNUC__)
#define LEAT_HAVE_X86_VECTORS 1
extern const leat_kernels leat_kernels_avx2, leat_kernels_avx512;
#endif
#if defined(__aarch64__) && defined(__ARM_NEON) && defined(__GNUC__)
#define LEAT_HAVE_NEON 1
extern const leat_kernels leat_kernels_neon;
#endif

/* The table in use: chosen at the first call, by the machine and LEAT_ISA. */
const leat_kernels *leat_kernels_get(void);

/* Every table that this machine can run, for tests; ends with NULL. */
LEAT_API const leat_kernels *const *leat_kernels_all(void);

#endif
