/* leat/autograd: the gradient checker. Part of autograd.h, which includes it. */
#ifndef LEAT_GRADCHECK_H
#define LEAT_GRADCHECK_H

#include "autograd.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Compares backward with central differences: <cotangent, f(x + h e) - f(x - h e)> / 2h for every element e, for a
 * random cotangent, h = cbrt(eps) * max(1, |x|), and where that disagrees with a four-point formula too. Passes only if
 * |a - n| <= atol + rtol * max(|a|, |n|) everywhere, so a NaN fails; also checked: that gradients add up (gradients are
 * filled with noise before), that backward gives the same bits twice, that inputs are left alone, and that not all
 * gradients are zero. Values that an op declares `unread` are NaN in its backward. Meant for leat64; with float expect
 * about 1e-2.
 */
typedef struct leat_gradcheck_opts {
    double rtol, atol; /* 0: 1e-7 and 1e-8 in double, 2e-2 and 1e-3 in float */
    uint64_t seed;
    bool may_vanish; /* the gradient is zero, and that is right */
} leat_gradcheck_opts;

typedef struct leat_gradcheck_report {
    bool ok;
    const char *reason; /* why not, in a few words; "" when ok */
    int input;          /* the worst element: of which input, and where in it */
    int64_t index;
    double analytic, numeric; /* its two gradients */
    double error;             /* |a - n| / (atol + rtol max(|a|, |n|)): at most 1 when ok */
    leat_status status;       /* what the tape said, if it failed */
} leat_gradcheck_report;

/* The function under test: builds one result from the inputs, the same each time. */
typedef leat_var leat_differentiable(leat_tape *t, int n, const leat_var *in, void *user);

LEAT_API bool leat_gradcheck(leat_differentiable *f, void *user, int n, const leat_tensor *in,
                             const leat_gradcheck_opts *o, leat_gradcheck_report *report);

/* Inputs for an op, drawn by its `sample`: fill in n, in[] and attributes, with memory from the arena. */
typedef struct leat_case {
    const leat_op *op;
    leat_arena *arena;
    leat_rng *rng;
    int n;
    leat_tensor in[LEAT_MAX_INPUTS]; /* data NULL: absent */
    const void *attributes;
    size_t attributes_size;
    bool may_vanish;
} leat_case;

/* For samplers: a tensor of N(0, 1) numbers, and one of numbers drawn uniformly with low <= |x| <= high, of random sign
 * or all positive: away from kinks and poles at 0. */
LEAT_API leat_tensor leat_case_normal(leat_case *k, leat_shape shape);
LEAT_API leat_tensor leat_case_away(leat_case *k, leat_shape shape, double low, double high, bool positive);

/* Checks the op on its case number i; false in *exists when there is none. All outputs are checked together. */
LEAT_API bool leat_gradcheck_op(const leat_op *op, int i, bool *exists, const leat_gradcheck_opts *o,
                                leat_gradcheck_report *report);

/* Every op of the library, ends with NULL. */
LEAT_API const leat_op *const *leat_ops(void);

#ifdef __cplusplus
}
#endif

#endif
