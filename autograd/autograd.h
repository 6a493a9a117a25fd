/*
 * leat/autograd: a tape that records operations and walks back over them (reverse-mode differentiation).
 *
 *     leat_tape *tape = leat_tape_new(NULL);
 *     leat_var x = leat_input(tape, data);                      a leaf whose gradient is wanted
 *     leat_var y = leat_sum(leat_square(leat_tanh(x)));         runs at once, and is recorded
 *     if (leat_backward(y) == LEAT_OK)
 *         use(leat_grad(x));                                    dy/dx
 *     else
 *         puts(leat_tape_errmsg(tape));
 *     leat_tape_reset(tape);                                    forgets the step, keeps the memory
 *
 * Variables   A leat_var is a small value, copied freely; the numbers live on its tape until the tape is reset. {0} is
 *             "absent": where a function says so, an optional input that is not there.
 * Errors      Sticky, on the tape: the first failure is kept, with the op, the shapes and the place in the model; what
 *             follows does nothing and gives failed variables. So a whole expression needs one check, at its end:
 *             leat_backward returns it, leat_tape_code tells it. A reset clears it. Only a broken contract (a NULL
 *             tape) is an assertion.
 * Stale       A variable from before a reset is refused (LEAT_ESTATE), never read.
 * NaN         Not looked for on the way. leat_backward and leat_tape_check look at the end result, and if it is not
 *             finite they search for the first op that made it so.
 * Gradients   At kinks they are PyTorch's: relu'(0) = 0.
 * Threads     A tape belongs to one thread at a time; it uses a pool inside. Tapes are independent of each other.
 */
#ifndef LEAT_AUTOGRAD_H
#define LEAT_AUTOGRAD_H

#include "../tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tape -------------------------------------------------------------------------------------------------------- */

typedef struct leat_tape leat_tape;

typedef struct leat_var {
    leat_tape *tape;
    uint32_t id, epoch; /* id 0: absent or failed */
} leat_var;

typedef struct leat_tape_opts {
    const leat_allocator *allocator; /* NULL: malloc */
    leat_pool *pool;                 /* NULL: the calling thread alone */
    uint64_t seed, stream;           /* of the tape's random numbers */
    bool values_only;                /* starts with recording off: no backward, less memory */
    bool evaluate;                   /* starts in evaluation mode (dropout off, running statistics) */
} leat_tape_opts;

LEAT_API leat_tape *leat_tape_new(const leat_tape_opts *o); /* NULL options: all defaults; NULL result: out of memory */
LEAT_API void leat_tape_free(leat_tape *t);                 /* NULL is allowed */

/* Forgets every node and any error; parameters' gradients stay. Memory is kept for the next step. Constant time. */
LEAT_API void leat_tape_reset(leat_tape *t);

LEAT_API leat_code leat_tape_code(const leat_tape *t);
LEAT_API const char *leat_tape_errmsg(const leat_tape *t); /* "" when all is well */
LEAT_API const leat_status *leat_tape_status(const leat_tape *t);

/* Records a failure (the first one stays) and gives a failed variable: for functions that are built from ops. The text
 * is put behind the place in the model. */
LEAT_API leat_var leat_tape_fail(leat_tape *t, leat_code code, const char *format, ...) LEAT_PRINTF(3, 4);

/* LEAT_OK if every element of v is finite. Otherwise the tape fails with LEAT_ENONFINITE, naming the first op, in the
 * order of creation, that gave a value that is not finite. */
LEAT_API leat_code leat_tape_check(leat_var v);

/* What ops ask the tape. Setting returns what was set before. */
LEAT_API bool leat_tape_recording(const leat_tape *t);
LEAT_API bool leat_tape_set_recording(leat_tape *t, bool recording);
LEAT_API bool leat_tape_training(const leat_tape *t);
LEAT_API bool leat_tape_set_training(leat_tape *t, bool training);
LEAT_API leat_rng *leat_tape_rng(leat_tape *t);
LEAT_API leat_pool *leat_tape_pool(leat_tape *t);
/* Memory that lasts until the tape's reset (or leat_tape_keep); NULL, and a failed tape, when there is none left. */
LEAT_API void *leat_tape_alloc(leat_tape *t, size_t bytes);

/* A place in a model, for messages: names joined with '.' from the outermost. A NULL or empty name adds nothing. The
 * structs must outlive the tape's step. Entering returns the place that was left; enter that again afterwards. */
typedef struct leat_scope {
    const char *name;
    const struct leat_scope *parent;
} leat_scope;

LEAT_API const leat_scope *leat_tape_enter(leat_tape *t, const leat_scope *scope);
LEAT_API const char *leat_scope_path(const leat_scope *s, char *text, size_t size); /* returns text */

/* Memory can be given back before the reset: keep lets go of everything made since the mark but for the n variables
 * given, which without recording it replaces by equal ones. While recording it lets go of the values alone that no
 * backward reads; what was made since the mark and is not given must not be looked at again (LEAT_ESTATE). */
typedef struct leat_tape_mark {
    leat_arena_mark memory;
    uint32_t nodes;
} leat_tape_mark;

LEAT_API leat_tape_mark leat_tape_save(const leat_tape *t);
LEAT_API void leat_tape_keep(leat_tape *t, leat_tape_mark mark, int n, leat_var **vars);

typedef struct leat_tape_stats {
    int64_t nodes;            /* of the current step */
    size_t bytes, peak_bytes; /* values, gradients and scratch: now, and the most at any time */
} leat_tape_stats;

LEAT_API leat_tape_stats leat_tape_get_stats(const leat_tape *t);

/* ---- leaves and values ------------------------------------------------------------------------------------------- */

LEAT_API leat_var leat_const(leat_tape *t, leat_tensor value);  /* copied; no gradient */
LEAT_API leat_var leat_borrow(leat_tape *t, leat_tensor value); /* not copied: must not change during the step */
LEAT_API leat_var leat_input(leat_tape *t, leat_tensor value);  /* copied; its gradient is kept, see leat_grad */
LEAT_API leat_var leat_scalar(leat_tape *t, double value);      /* constant of rank 0 */
LEAT_API leat_var leat_full(leat_tape *t, leat_shape shape, double value);
LEAT_API leat_var leat_randn(leat_tape *t, leat_shape shape); /* constant, N(0, 1) from the tape's random numbers */
LEAT_API leat_var leat_rand(leat_tape *t, leat_shape shape);  /* constant, uniform in (0, 1), likewise */
/* The same by a function of tensor.h, such as leat_rng_fill_logistic, which takes a number for each element. */
typedef void leat_fill_fn(leat_rng *r, leat_real *out, int64_t n);
LEAT_API leat_var leat_rand_by(leat_tape *t, leat_shape shape, leat_fill_fn *fill);

/* Rows that do not depend on each other's chance: of what is drawn from now on as [rows, ..], row r takes the numbers
 * from start[r] on of the tape's stream, what is drawn next those behind. Until called with rows = 0. `start` is
 * borrowed. */
LEAT_API void leat_tape_set_row_starts(leat_tape *t, int64_t rows, const uint64_t *start);

/* A constant of zeros that costs nothing: add, sub, sum, neg and mul_scalar step over it. leat_zeros_like takes the
 * shape of x. */
LEAT_API leat_var leat_zeros(leat_tape *t, leat_shape shape);
LEAT_API leat_var leat_zeros_like(leat_var x);

/* Storage that outlives the tape: a parameter's value and gradient. A use of it on a tape is a leaf; several uses in
 * one step share value and gradient. Backward overwrites the gradient if has_grad is false, adds to it otherwise. */
typedef struct leat_leaf {
    leat_scope scope; /* the parameter's own name, and what it belongs to */
    leat_shape shape;
    leat_real *value, *grad;
    bool has_grad;
    bool frozen; /* no gradient */
} leat_leaf;

LEAT_API leat_var leat_leaf_var(leat_tape *t, leat_leaf *leaf);

/* Shape and numbers; a failed variable has data NULL and shape []; data NULL, and a failed tape, if leat_tape_keep has
 * let go of them. The memory is the tape's. */
LEAT_API leat_tensor leat_value(leat_var v);
LEAT_API leat_shape leat_var_shape(leat_var v);
LEAT_API int64_t leat_var_size(leat_var v, int axis); /* negative axes count from the end; 0 if there is none */
LEAT_API double leat_item(leat_var v);                /* the one element; NaN if the variable failed or has several */
LEAT_API bool leat_ok(leat_var v);                    /* neither absent nor failed nor stale */
LEAT_API bool leat_is_absent(leat_var v);             /* {0} */

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* d loss / d leaf for every leaf, added to what the leaves hold. `loss` has one element. Activations' gradients are
 * freed on the way; the tape can be walked again. LEAT_ENONFINITE if the loss is not finite. After a failure no
 * parameter that the step used has a gradient. */
LEAT_API leat_code leat_backward(leat_var loss);

/* The same from any variable: the gradient of sum(cotangent * y); the shapes must be equal. */
LEAT_API leat_code leat_vjp(leat_var y, leat_tensor cotangent);

/* The gradient of a leat_input or a parameter's leaf; data NULL if backward did not reach it. */
LEAT_API leat_tensor leat_grad(leat_var v);

/* Empties the gradients of all leaves of the step, parameters' too. */
LEAT_API void leat_clear_grads(leat_tape *t);

/*
 * Checkpoints: memory for time (torch.utils.checkpoint). leat_checkpoint runs fn(tape, user, in, out) and gives its
 * results, as if it had been called directly, but of all that fn makes on the tape only the results stay. Backward runs
 * it again and walks back over what it makes then; so a step needs the memory of one such function at a time, for one
 * more forward pass of each.
 *
 *     static void block(leat_tape *t, void *user, const leat_var *in, leat_var *out)
 *     {
 *         out[0] = leat_forward(user, in[0]);
 *     }
 *     leat_checkpoint(tape, block, net, 1, &x, 1, &y);
 *
 * Values and gradients have the bits of a direct call; random numbers, mode and place in the model are the first run's.
 * What fn uses besides its inputs (`user`, parameters, variables made before) must last, and be the same, until backward
 * is done; if the second run gives other shapes or numbers, backward fails with LEAT_ESTATE. What fn changes (running
 * statistics) it must not change again while leat_tape_recomputing is true. Checkpoints may be nested. Inputs may be
 * absent; at most LEAT_MAX_INPUTS of them, and as many results. Without recording fn is called once, and its memory
 * given back.
 */
typedef void leat_block(leat_tape *t, void *user, const leat_var *in, leat_var *out);
LEAT_API leat_code leat_checkpoint(leat_tape *t, leat_block *fn, void *user, int inputs, const leat_var *in,
                                   int outputs, leat_var *out);

/* Whether a checkpoint's function is being run again. */
LEAT_API bool leat_tape_recomputing(const leat_tape *t);

/* ---- ops ---------------------------------------------------------------------------------------------------------
 * Inputs broadcast as in NumPy where a line says so. Axes may be negative: -1 is the last. g is the gradient of the
 * result. All fail with LEAT_ESHAPE when shapes do not fit, and LEAT_ENOMEM.
 */

/* ---- elementwise: NaN stays NaN, unless said ---- */
LEAT_API leat_var leat_neg(leat_var x);
LEAT_API leat_var leat_abs(leat_var x); /* gradient 0 at 0 */
LEAT_API leat_var leat_square(leat_var x);
LEAT_API leat_var leat_sqrt(leat_var x);
LEAT_API leat_var leat_rsqrt(leat_var x);      /* 1 / sqrt(x) */
LEAT_API leat_var leat_reciprocal(leat_var x); /* 1 / x */
LEAT_API leat_var leat_exp(leat_var x);
LEAT_API leat_var leat_expm1(leat_var x);            /* exp(x) - 1, exact near x = 0 */
LEAT_API leat_var leat_log(leat_var x);              /* the natural logarithm; log 0 = -inf, of a negative number NaN */
LEAT_API leat_var leat_log1p(leat_var x);            /* log(1 + x), exact near x = 0 */
LEAT_API leat_var leat_sin(leat_var x);              /* for any argument, however large */
LEAT_API leat_var leat_cos(leat_var x);              /* likewise */
LEAT_API leat_var leat_erf(leat_var x);              /* 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x */
LEAT_API leat_var leat_log_normal_cdf(leat_var x);   /* log P(N(0, 1) <= x), also where the probability underflows */
LEAT_API leat_var leat_log_normal_ratio(leat_var x); /* the logarithm of its derivative, log phi(x) - log Phi(x) */
LEAT_API leat_var leat_sinh(leat_var x);
LEAT_API leat_var leat_cosh(leat_var x);
LEAT_API leat_var leat_asinh(leat_var x); /* the inverse of sinh */
LEAT_API leat_var leat_tanh(leat_var x);

LEAT_API leat_var leat_relu(leat_var x);                     /* max(x, 0); gradient 0 at 0 */
LEAT_API leat_var leat_leaky_relu(leat_var x, double slope); /* x where x > 0, else slope x; gradient `slope` at 0 */
LEAT_API leat_var leat_elu(leat_var x, double alpha);        /* x where x > 0, else alpha (exp(x) - 1) */
LEAT_API leat_var leat_sigmoid(leat_var x);                  /* 1 / (1 + exp(-x)) */
LEAT_API leat_var leat_log_sigmoid(leat_var x);              /* log sigmoid(x) = -softplus(-x), without overflow */
LEAT_API leat_var leat_softplus(leat_var x);                 /* log(1 + exp(x)), without overflow */
LEAT_API leat_var leat_silu(leat_var x);                     /* x sigmoid(x); NaN at -inf, as in PyTorch */
LEAT_API leat_var leat_gelu(leat_var x);                     /* x Phi(x), Phi the distribution function of N(0, 1) */
LEAT_API leat_var leat_gelu_tanh(leat_var x); /* approximately: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
LEAT_API leat_var leat_softsign(leat_var x);  /* x / (1 + |x|); it and its gradient are NaN at infinities */
/* elu(x) and behind it elu(-x), alpha 1, along the last axis: [.., n] -> [.., 2 n] */
LEAT_API leat_var leat_concat_elu(leat_var x);
/* a sigmoid(b) of the halves a, b of the last axis (PyTorch's F.glu), [.., 2 n] -> [.., n], and + residual, which may be
 * absent. */
LEAT_API leat_var leat_glu(leat_var x, leat_var residual);
LEAT_API leat_var leat_activate(leat_var x, leat_activation f); /* one of them, by name */

LEAT_API leat_var leat_add_scalar(leat_var x, double c);
LEAT_API leat_var leat_sub_scalar(leat_var x, double c);
LEAT_API leat_var leat_rsub_scalar(double c, leat_var x); /* c - x */
LEAT_API leat_var leat_mul_scalar(leat_var x, double c);
LEAT_API leat_var leat_div_scalar(leat_var x, double c);
LEAT_API leat_var leat_rdiv_scalar(double c, leat_var x); /* c / x */
LEAT_API leat_var leat_pow_scalar(leat_var x, double c);  /* x^c; as C's pow; gradient 0 for c = 0 */
/* min(max(x, low), high), so high where low > high; gradient 1 where low <= x <= high, 0 elsewhere */
LEAT_API leat_var leat_clamp(leat_var x, double low, double high);

/* Of two inputs, which broadcast. */
LEAT_API leat_var leat_add(leat_var a, leat_var b);
LEAT_API leat_var leat_sub(leat_var a, leat_var b);
LEAT_API leat_var leat_mul(leat_var a, leat_var b);
LEAT_API leat_var leat_div(leat_var a, leat_var b);
/* a^b; special values as in C's pow. The gradient towards a is 0 where b = 0, that towards b where a = 0 <= b; for
 * negative a it is NaN. */
LEAT_API leat_var leat_pow(leat_var a, leat_var b);
/* log(exp(a) + exp(b)), without overflow; of -inf and -inf it is -inf, with gradient 0. */
LEAT_API leat_var leat_logaddexp(leat_var a, leat_var b);
/* The greater, the lesser; where equal, each gets half of the gradient; where one is NaN, both get all of it. */
LEAT_API leat_var leat_maximum(leat_var a, leat_var b);
LEAT_API leat_var leat_minimum(leat_var a, leat_var b);
/* 1 where it holds, else 0; no gradient. */
LEAT_API leat_var leat_eq(leat_var a, leat_var b);
LEAT_API leat_var leat_ne(leat_var a, leat_var b);
LEAT_API leat_var leat_lt(leat_var a, leat_var b);
LEAT_API leat_var leat_le(leat_var a, leat_var b);
LEAT_API leat_var leat_gt(leat_var a, leat_var b);
LEAT_API leat_var leat_ge(leat_var a, leat_var b);
/* Where cond is not 0, a, else b; broadcasting, all three. cond gets no gradient; the branch not taken gets 0 and
 * may hold anything, NaN included. */
LEAT_API leat_var leat_where(leat_var cond, leat_var a, leat_var b);

/* ---- matrices ----
 * Matrix product, torch.matmul: [m, k] x [k, n] -> [m, n]. A matrix b takes any a [.., k] -> [.., n], with a of rank
 * 1 -> [n]; a vector b [k] any a [.., k] -> [..]; of higher rank it is bmm. The order of summation is leat_gemm's. */
LEAT_API leat_var leat_matmul(leat_var a, leat_var b);
/* A product for each of a batch of matrices: [.., m, k] x [.., k, n] -> [.., m, n]. Leading axes broadcast; the
 * gradient of a matrix that serves several products is summed over them in row-major order, as one long product. */
LEAT_API leat_var leat_bmm(leat_var a, leat_var b);
/* Attention: softmax(q k^T / sqrt(width)) v for each of `heads` heads, the features cut into as many pieces of `width`
 * (Vaswani et al. 2017); q [batch, queries, features], k of the same features and v [batch, places, ..] -> [batch,
 * queries, those of v]. In tiles, never with all pairs in memory. `causal`: query i sees the places 0 .. i. In training
 * mode each weight goes through dropout, by batch heads queries places random numbers. */
LEAT_API leat_var leat_scaled_dot_product_attention(leat_var q, leat_var k, leat_var v, int heads, bool causal,
                                                    double dropout);
/* act(x w^T + bias): x [.., in], w [out, in] as PyTorch has it, bias [out] or absent -> [.., out]. */
LEAT_API leat_var leat_linear(leat_var x, leat_var w, leat_var bias, leat_activation act);
/* act(x * weight + bias): x [batch, height, width, in], weight [out, in, kh, kw] as PyTorch has it, bias [out] or absent
 * -> [batch, height', width', out], height' = (height + 2 padding - kh) / stride + 1 rounded down (cross-correlation).
 * Rows and columns of padding hold zeros, which are multiplied like all else. Every result: acc = 0; for the kernel's row,
 * its column, and in ascending acc = fma(x, weight, acc); then bias; then activation. */
typedef struct leat_conv2d_opts {
    int stride[2], padding[2]; /* of height and width; stride 0: 1 */
    leat_activation activation;
} leat_conv2d_opts;
LEAT_API leat_var leat_conv2d(leat_var x, leat_var weight, leat_var bias, const leat_conv2d_opts *o); /* NULL: zeros */
/* x [.., m, n] with zeros above (tril) or below (triu) the given diagonal; 0 is the main one, 1 the one above. */
LEAT_API leat_var leat_tril(leat_var x, int diagonal);
LEAT_API leat_var leat_triu(leat_var x, int diagonal);
/* The X of A X = B for triangular A [.., n, n] and B [.., n, k], one after the other; equal leading axes. Only the
 * triangle is read, and with `unit` not its diagonal, taken as ones. `transpose` solves A^T X = B. A zero on the
 * diagonal gives infinities. In double, rounded once. Gradients dB = A^-T g and dA = -dB X^T (Giles 2008, 2.3.1),
 * of which what was not read gets 0. */
LEAT_API leat_var leat_solve_triangular(leat_var a, leat_var b, bool upper, bool transpose, bool unit);
/* log|det a| of square matrices [.., n, n] -> [..], by LU with partial pivoting in double; a singular one has -inf.
 * `sign` (-1, 0 or 1, no gradient) may be NULL. Of [0, 0] the determinant is 1. Gradient g a^-T. Meant for n up to
 * some hundreds. */
LEAT_API leat_var leat_slogdet(leat_var a, leat_var *sign);
/* a^-1 of square matrices [.., n, n], likewise; of a singular one, infinities or NaN. Gradient -a^-T g a^-T. */
LEAT_API leat_var leat_inverse(leat_var a);

/* ---- reductions ----
 * Accumulated in double and rounded once. sum and mean of all elements -> []; see below for axes. The mean of
 * nothing is NaN. */
LEAT_API leat_var leat_sum(leat_var x);
LEAT_API leat_var leat_mean(leat_var x);
/* Over n axes, none twice; n = 0: over all. keep: sizes of 1 stay in place.
 * log sum exp, without overflow. Rows of -inf give -inf, and gradient 0 (where PyTorch gives NaN); over no elements
 * -inf. */
LEAT_API leat_var leat_logsumexp(leat_var x, int n, const int *axes, bool keep);
/* Greatest and least; equal ones share the gradient evenly; NaN wins, and makes the gradient of all NaN. Over no
 * elements: LEAT_ESHAPE. */
LEAT_API leat_var leat_amax(leat_var x, int n, const int *axes, bool keep);
LEAT_API leat_var leat_amin(leat_var x, int n, const int *axes, bool keep);
/* Product, in double, one factor after the other. The gradient of each is the product of the others, zeros or not.
 * Over no elements 1. */
LEAT_API leat_var leat_prod(leat_var x, int n, const int *axes, bool keep);
/* sum (x - mean)^2 / max(count - correction, 0), both sums in double; PyTorch's default correction is 1. A divisor
 * of 0 gives NaN where all are equal, else inf, and in the gradient NaN where x is the mean, else an infinity of the
 * sign of x - mean (PyTorch's sign varies). Over no elements NaN. */
LEAT_API leat_var leat_variance(leat_var x, int n, const int *axes, bool keep, double correction);
/* (x - mean) / sqrt(variance + eps) along the last axis: layer norm without its weight. variance =
 * sum (x - mean)^2 / count. */
LEAT_API leat_var leat_standardize_rows(leat_var x, double eps);

/* ---- along one axis ----
 * A scalar has no axis (PyTorch takes 0 and -1).
 * exp(x) / sum exp(x), and its logarithm, without overflow. Rows of -inf, and such that hold inf or NaN, give NaN,
 * as in PyTorch. */
LEAT_API leat_var leat_softmax(leat_var x, int axis);
LEAT_API leat_var leat_log_softmax(leat_var x, int axis);
/* y[.., j, ..] = x[.., 0, ..] + ... + x[.., j, ..], accumulated in double in that order. */
LEAT_API leat_var leat_cumsum(leat_var x, int axis);
/* The order along each of n axes reversed, none twice; n = 0 gives a copy. */
LEAT_API leat_var leat_flip(leat_var x, int n, const int *axes);
/* For each value [.., m] how many of the sorted numbers [.., k] of the same leading axes (or of one list [k]) are
 * less, or with `right` not greater: the place to insert it. With one list `values` may have any shape. No gradient.
 * Results are whole numbers in leat_real. A NaN belongs behind all; with NaN in a list the bisection steps over it
 * to what is behind, as PyTorch's does. */
LEAT_API leat_var leat_searchsorted(leat_var sorted, leat_var values, bool right);

/* ---- shape ----
 * reshape shares the numbers; one size may be -1, worked out from the rest. */
LEAT_API leat_var leat_reshape(leat_var x, leat_shape shape);
LEAT_API leat_var leat_broadcast_to(leat_var x, leat_shape shape);
/* Axis i of the result is axis order[i] of x; `order` has as many entries as x has axes, none twice. */
LEAT_API leat_var leat_permute(leat_var x, const int *order);
LEAT_API leat_var leat_slice(leat_var x, int axis, int64_t start, int64_t length);
LEAT_API leat_var leat_concat(int n, const leat_var *x, int axis);
/* `before` and `after` elements of `value` around an axis; negative counts cut off, at most what is there. */
LEAT_API leat_var leat_pad(leat_var x, int axis, int64_t before, int64_t after, double value);
/* As many copies along each axis as `times` says, one number for each axis of x; [.., a, b] -> [.., a b a b]. */
LEAT_API leat_var leat_repeat(leat_var x, const int64_t *times);
/* The same numbers, without gradient. */
LEAT_API leat_var leat_detach(leat_var x);

/* ---- indices ---- */
typedef struct leat_index {
    const int64_t *at;
    int64_t count;
} leat_index;

/* A list of slices along an axis, each index in 0 .. size-1 (LEAT_EARG otherwise); it is copied.
 * index_select  y[.., j, ..] = x[.., at[j], ..]; an index may occur often
 * index_copy    a copy of x in which slice at[j] is y's slice j; no index twice, LEAT_EARG otherwise
 * index_add     a copy of x to whose slice at[j] y's slice j is added, j ascending */
LEAT_API leat_var leat_index_select(leat_var x, int axis, leat_index index);
LEAT_API leat_var leat_index_copy(leat_var x, int axis, leat_index index, leat_var y);
LEAT_API leat_var leat_index_add(leat_var x, int axis, leat_index index, leat_var y);
/* An index of its own for every element: `index` holds whole numbers in 0 .. size-1 (LEAT_EARG otherwise), has as
 * many axes as x, and is no larger than it on the others; no gradient. y has the shape of index (PyTorch also takes
 * a larger one). A float holds whole numbers up to 2^24.
 * gather       y[.., j, ..] = x[.., index[.., j, ..], ..], shaped like index    (NumPy: take_along_axis)
 * scatter      a copy of x in which place index[.., j, ..] is y[.., j, ..]; of several the last, in row-major
 *              order, which alone gets the gradient (PyTorch gives it to all of them)
 * scatter_add  a copy of x to which they are added, in row-major order */
LEAT_API leat_var leat_gather(leat_var x, int axis, leat_var index);
LEAT_API leat_var leat_scatter(leat_var x, int axis, leat_var index, leat_var y);
LEAT_API leat_var leat_scatter_add(leat_var x, int axis, leat_var index, leat_var y);

/* ---- chance ----
 * In training mode each element is 0 with probability p, else x / (1 - p), by as many of the tape's random numbers
 * as x has elements; p = 0, and evaluation mode, give x itself and take none. What is dropped is 0 whatever it was,
 * NaN too. LEAT_EARG unless 0 <= p <= 1. */
LEAT_API leat_var leat_dropout(leat_var x, double p);

/* ---- densities ----
 * y = x exp(s) + t, all [batch, ..] of one shape; *logdet = sum of s over all axes but the first, [batch] (RealNVP,
 * equations 7 and 8), in double. The multiplication and the addition are one fma. `logdet` may be NULL. */
LEAT_API leat_var leat_affine_forward(leat_var x, leat_var s, leat_var t, leat_var *logdet);
/* Its inverse, x = (y - t) exp(-s); *logdet = -sum of s. */
LEAT_API leat_var leat_affine_inverse(leat_var y, leat_var s, leat_var t, leat_var *logdet);
/* The rational-quadratic spline (Durkan et al., "Neural spline flows", 2019, equations 4 to 8) from -bound to bound, of
 * K = 2 .. 64 bins, and its inverse. x: [batch, ..]; raw widths, heights: [batch, .., K]; raw slopes: [batch, .., K - 1]:
 *     width = 2 bound (least_width + (1 - K least_width) softmax(raw)), height likewise; slope = least_slope +
 *     softplus(raw), that of the knot behind each bin but the last; 1 at the ends, beyond which y = x (linear tails).
 * Raw slopes [batch, .., K], those of the knots before each bin: circular, the last slope is the first, and x is taken
 * some whole periods nearer, to -bound .. bound. *logdet, [batch], are the log-derivatives, summed in double over all
 * axes but the first. `clipped`, as zuko's, it is slope = exp(raw), and each raw number is first
 * raw / (1 + |raw| / c), c = -log(least_slope), of sizes half of that. LEAT_EARG unless bound > 0, 0 <= least,
 * K least_width < 1, K least_height < 1, and clipped 0 < least_slope < 1. */
typedef struct leat_spline {
    double bound, least_width, least_height, least_slope;
    bool clipped;
} leat_spline;
LEAT_API leat_var leat_rational_quadratic_forward(leat_var x, leat_var widths, leat_var heights, leat_var slopes,
                                                  const leat_spline *spline, leat_var *logdet);
LEAT_API leat_var leat_rational_quadratic_inverse(leat_var y, leat_var widths, leat_var heights, leat_var slopes,
                                                  const leat_spline *spline, leat_var *logdet);
/* The logit of a mixture of K = 1 .. 64 logistics (Ho et al., "Flow++", 2019), y = log F(x) - log(1 - F(x)), F = sum of
 * softmax(weights) sigmoid((x - means) exp(-log_scales)), and its inverse, which is searched for. x: [batch, ..], the
 * others [batch, .., K]; *logdet, [batch], are the log-derivatives as above. Neither tail saturates. Log-scales below -7
 * count as -7, as in the paper's code, above 40 as 40, with gradient 0; an x beyond 1e30 is not found, but that is. Where F
 * is flat, x is as uncertain as y's rounding over dy/dx. */
LEAT_API leat_var leat_logistic_mixture_forward(leat_var x, leat_var weights, leat_var means, leat_var log_scales,
                                                leat_var *logdet);
LEAT_API leat_var leat_logistic_mixture_inverse(leat_var y, leat_var weights, leat_var means, leat_var log_scales,
                                                leat_var *logdet);
/* The log-density of each row, [batch, ..] -> [batch], summed in double: of independent N(0, 1),
 * -sum x^2 / 2 - count log(2 pi) / 2, and standard logistics, -sum softplus(x) + softplus(-x). */
LEAT_API leat_var leat_normal_log_density(leat_var x);
LEAT_API leat_var leat_logistic_log_density(leat_var x);

/* log Gamma(x) for x > 0, and log Gamma(x + 1/2) - log Gamma(x), which stays exact for large x; NaN elsewhere. */
LEAT_API leat_var leat_lgamma(leat_var x);
LEAT_API leat_var leat_lgamma_half(leat_var x);

/* a [.., k, m] or b [.., n, k] instead, without a copy: q k^T is leat_bmm_t(q, k, false, true). */
LEAT_API leat_var leat_matmul_t(leat_var a, leat_var b, bool trans_a, bool trans_b);
LEAT_API leat_var leat_bmm_t(leat_var a, leat_var b, bool trans_a, bool trans_b);
LEAT_API leat_var leat_sum_features(leat_var x); /* over all axes but the first: [batch, ..] -> [batch] */
LEAT_API leat_var leat_sum_axes(leat_var x, int n, const int *axes, bool keep);
LEAT_API leat_var leat_mean_axes(leat_var x, int n, const int *axes, bool keep);
LEAT_API leat_var leat_transpose(leat_var x, int axis_a, int axis_b); /* the two change places */
LEAT_API leat_var leat_unsqueeze(leat_var x, int axis);               /* a new axis of size 1 at that place */
LEAT_API leat_var leat_squeeze(leat_var x, int axis);                 /* an axis of size 1 left out */
LEAT_API leat_var leat_stack(int n, const leat_var *x, int axis);     /* joined along a new axis */
/* n pieces along an axis: piece i has sizes[i], which add up to what there is. */
LEAT_API void leat_split_sizes(leat_var x, int axis, int n, const int64_t *sizes, leat_var *pieces);
/* Pieces of `size` along an axis, the last may be smaller; fails unless there are n of them. Of an empty axis there is
 * one, empty. */
LEAT_API void leat_split(leat_var x, int axis, int64_t size, int n, leat_var *pieces);

#ifdef __cplusplus
}
#endif

#include "op.h"
#include "gradcheck.h"

#endif
