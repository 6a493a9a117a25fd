/*
 * leat/flows: normalizing flows as ordinary model definitions.
 *
 * WHAT A FLOW IS
 *
 *     flow      = base distribution + a chain of transforms
 *     transform = forward: x -> z, log|det dz/dx|      inverse: z -> x, log|det dx/dz|
 *     coupling  = mask x conditioner x elementwise bijector
 *
 * Direction. Forward is data to latent, what training runs; inverse is latent to data, what sampling runs. Texts that
 * write f for latent to data (x = G(z) = f_K(... f_1(z))) have our inverse as their forward, so a log-determinant that
 * enters their likelihood with a minus enters ours with a plus: their -sum(s) of RealNVP is our +sum(s).
 *
 * The objective. The data have a density p_data, the model gives every x a density p. The distance
 *
 *     KL(p_data || p) = E_data[ log p_data(x) - log p(x) ]
 *
 * depends on the model through -E_data[ log p(x) ] alone, so making the distance small is making the mean
 * log-likelihood of the data large: the loss is leat_neg(leat_mean(leat_flow_log_prob(flow, x))), in nats.
 *
 * Change of variables. If z = f(x) is invertible and smooth and z has density p_Z, a small volume dx around x becomes a
 * volume |det J| dx around z, J = dz/dx, and holds the same probability: p(x) dx = p_Z(z) |det J| dx. So
 *
 *     log p(x) = log p_Z(f(x)) + log|det J(x)|.
 *
 * The chain. With h_0 = x, h_k = f_k(h_{k-1}) and h_K = z, the chain rule gives J = J_K ... J_2 J_1, each J_k =
 * dh_k/dh_{k-1} at its own h_{k-1}; determinants multiply and their logarithms add up:
 *
 *     log p(x) = log p_Z(h_K) + sum_k log|det J_k(h_{k-1})|.
 *
 * leat_flow_trace shows every h_k with its term. The inverse of f_k has Jacobian J_k^-1, so its log-determinant at h_k
 * is minus the forward one at h_{k-1}.
 *
 * The coupling (Dinh et al., "NICE", 2015, section 3.1). A mask keeps some features, x_1, and moves the others, x_2. A
 * conditioner reads the kept ones alone and gives the parameters theta of a scalar bijector e for every moved feature:
 *
 *     y_1 = x_1,    y_2 = e(x_2; theta(x_1))              x_1 = y_1,    x_2 = e^-1(y_2; theta(y_1))
 *
 * Since y_1 = x_1, the inverse computes the same theta and never has to invert the conditioner, which may be any
 * network. With kept features first the Jacobian is block triangular,
 *
 *     J = [      I                  0         ]
 *         [  d y_2/d x_1    diag(de/dx_2)     ],      log|det J| = sum over moved features of log|de/dx_2|,
 *
 * because moved feature j depends on itself and on x_1, on no other moved feature. If the conditioner saw what it
 * moves, neither the inverse nor the triangle would hold; leat_flow_check looks for just that. One coupling leaves the
 * kept features as they are, so couplings alternate their masks until each feature has been moved.
 *
 *     additive (NICE)    e(x; t) = x + t        log|de/dx| = 0: volume is preserved, and all of log p is in p_Z
 *     affine (RealNVP)   e(x; s, t) = x exp(s) + t        log|de/dx| = s
 */
#ifndef LEAT_FLOWS_H
#define LEAT_FLOWS_H

#include "../nn/nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A transformed variable, and the logarithm of how much the transform stretches: one number for each row ([batch]) from
 * transforms, one for each element, or for each row, from elementwise bijectors. */
typedef struct leat_pair {
    leat_var y, logdet;
} leat_pair;

typedef struct leat_base leat_base; /* bases.h */

/* ---- transforms -------------------------------------------------------------------------------------------------- */

typedef struct leat_transform leat_transform;

/* What a transform's call is given besides its input. Mode and random numbers are the tape's. */
typedef struct leat_flow_call {
    leat_var context;  /* [batch, features], or a map of the input's positions [batch, .., features]; absent: none */
    bool standardized; /* the flow's own standardizer lets x pass, in which it has been applied already */
    bool centred;      /* dequantize to the middle of each interval, as encoding does, and not by chance */
    int level;         /* how many splits are around */
    struct leat_ledger *ledger; /* of leat_flow_bits, which takes down log-determinants; NULL: nobody does */
} leat_flow_call;

/* What is known of a transform's inverse, for leat_flow_set_recompute. */
typedef enum leat_inverse_kind {
    LEAT_INVERSE_UNKNOWN = 0, /* there may be none, a numerical one, or another in training mode */
    LEAT_INVERSE_CLOSED,      /* a formula, the same in training and evaluation: x again but for rounding */
    LEAT_INVERSE_EXACT,       /* the very bits of x, in both directions: a permutation's */
} leat_inverse_kind;

/*
 * The outside of a flow is [batch, dim]. Inside, transforms work on [batch, .., features], rank 2 to 6, the feature axis
 * last, and what is one number for each feature counts once for each position. A transform may give another shape than it
 * takes, [batch, ..] too. The log-determinant is [batch]; an absent one, `return (leat_pair){ .y = y };`, is 0. One of
 * another shape fails the tape with the transform's place (LEAT_ESHAPE). Variables made inside are not kept beyond the
 * call: a chain lets go of the values among them that no backward reads (leat_tape_keep).
 *
 * `forward` and `inverse` are two functions, or `run` is one for both. All else may be left out.
 */
typedef struct leat_transform_type {
    leat_module_type module;
    leat_pair (*forward)(leat_transform *t, leat_var x, const leat_flow_call *call);
    leat_pair (*inverse)(leat_transform *t, leat_var z, const leat_flow_call *call);
    leat_pair (*run)(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse);
    /* For leat_flow_check, of a row of so many numbers. `moved[i]` tells whether number i has been changed by the
     * transforms so far; the transform adds what it changes, and reorders along if it permutes. NULL: it changes all. */
    void (*trace_moved)(const leat_transform *t, int64_t numbers, bool *moved);
    /* The mask of a coupling, whose Jacobian is then checked to be block triangular; NULL: not a coupling. */
    const struct leat_mask *(*mask)(const leat_transform *t);
    leat_inverse_kind (*inverse_kind)(const leat_transform *t); /* NULL: unknown */
    /* How many random numbers a row takes, by leat_rand, leat_randn or leat_rand_by of [batch, ..], in each direction;
     * NULL: none. In leat_flow_score and its kin they then depend on the row alone, as everything else does. */
    int64_t (*numbers_per_row)(const leat_transform *t, bool inverse);
    /* Whether the log-determinant is a bound on the true one, in the mean; NULL: it is exact. */
    bool (*is_bound)(const leat_transform *t);
    /* The one transform that this one wraps: of it is taken what the three before leave out. NULL: it wraps none. */
    leat_transform *(*inner)(const leat_transform *t);
    /* Makes the shape of a row (without the batch axis) that of a row after `forward`; false if it does not fit. NULL: it
     * stays. */
    bool (*out_row)(const leat_transform *t, leat_shape *row);
    /* For transforms of a known inverse that can do better than invert and then run: x holds the output; puts the input
     * in its place, in x's own memory, and runs forward (or `inverse`) from it. NULL: invert, then run. */
    leat_pair (*rebuild)(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse);
} leat_transform_type;

struct leat_transform {
    leat_module module; /* its type is a leat_transform_type */
};

LEAT_API leat_pair leat_transform_forward(leat_transform *t, leat_var x, const leat_flow_call *call);
LEAT_API leat_pair leat_transform_inverse(leat_transform *t, leat_var z, const leat_flow_call *call);
LEAT_API bool leat_transform_is_bound(const leat_transform *t);

/* Transforms one after the other, data side first: a transform itself, so a chain can stand in a chain, in a coupling,
 * under a split. Named layers.0, layers.1, ... below its own name. A layer that there is not is NULL. */
LEAT_API leat_transform *leat_chain(leat_model *m);
LEAT_API void leat_chain_add(leat_transform *chain, leat_transform *t);
LEAT_API int leat_chain_length(const leat_transform *chain);
LEAT_API leat_transform *leat_chain_layer(const leat_transform *chain, int i);

/* Another shape for the same numbers: rows `from`, such as LEAT_SHAPE(784), become rows `to`, LEAT_SHAPE(28, 28, 1). */
LEAT_API leat_transform *leat_view(leat_model *m, leat_shape from, leat_shape to);

/* Multi-scale models (RealNVP, section 3.6; Glow): of rows of that shape, [.., features], the first `features` of every
 * position go on through `inner`, usually a chain; the others go out. What comes out is [batch, numbers of a row]: first
 * what went out, then what inner made, so that a flow keeps all latents and one temperature acts on all. A learned prior
 * of what goes out is a coupling in front of the split, which keeps what goes on and moves the rest; without it that
 * leaves as it is. */
LEAT_API leat_transform *leat_split_transform(leat_model *m, leat_shape row, int64_t features, leat_transform *inner);

/* `of` turned round: forward is its inverse. `of` must keep the shape of a row. */
LEAT_API leat_transform *leat_inverse_of(leat_model *m, leat_transform *of);

/* y_j = x_order[j]; log-determinant 0. order is a permutation of 0 .. dim-1, copied; NULL: a random one, from the
 * model's seed. It is saved with the model, as the buffer `order`. */
LEAT_API leat_transform *leat_permutation(leat_model *m, int64_t dim, const int64_t *order);
LEAT_API leat_transform *leat_reverse(leat_model *m, int64_t dim); /* y_j = x_{dim-1-j} */

/* y = (x - mean) / sd for each feature; log-determinant -sum log sd. Both are buffers, `mean` and `sd`, kept and saved in
 * double; every sd must be positive. NULL: means of 0, sds of 1. */
LEAT_API leat_transform *leat_standardizer(leat_model *m, int64_t dim, const double *mean, const double *sd);

/* Actnorm (Kingma & Dhariwal, "Glow", 2018): y = exp(log_scale) x + bias, both learned, [dim]; log-determinant
 * sum log_scale. The first batch of at least two rows that runs forward in training mode sets them so that it comes out
 * with mean 0 and variance 1; LEAT_ENONFINITE if it is not finite. That this has happened is the buffer `initialized`,
 * saved with the model. Before it has, both are 0. */
LEAT_API leat_transform *leat_actnorm(leat_model *m, int64_t dim);

/* Batch norm as a transform (Papamakarios et al., "Masked autoregressive flow", 2017): y = (x - mean) / sqrt(variance +
 * eps) exp(log_gamma) + beta; log-determinant sum of log_gamma - log(variance + eps) / 2. In training mode mean and
 * variance are the batch's, are differentiated through, and move the buffers running_mean and running_var as PyTorch's
 * do; one row is LEAT_ESHAPE, and there is no inverse (LEAT_ESTATE). In evaluation mode they are those buffers. Of the
 * options, which may be NULL, eps and momentum count. A row's log-density in training mode depends on its batch. */
LEAT_API leat_transform *leat_batch_norm_transform(leat_model *m, int64_t dim, const leat_norm_opts *o);

/* y = W x + bias, W = P L (U + diag(exp(log_diagonal))): L unit lower triangular, its part below the diagonal in
 * `lower` [dim, dim]; U strictly upper, in `upper` [dim, dim]; P a random permutation, fixed, the buffer
 * permutation.order. At first W = P. Log-determinant sum log_diagonal; the inverse is two triangular solves (Glow,
 * section 3.2). */
LEAT_API leat_transform *leat_lu_linear(leat_model *m, int64_t dim);

/* y = exp(log_scale) x, log_scale [dim] learned and 0 at first; log-determinant sum log_scale (NICE, section 3.3). */
LEAT_API leat_transform *leat_diagonal_scale(leat_model *m, int64_t dim);

/* Reflections, planar, radial, Sylvester and block autoregressive flows are in vector_transforms.h. */

/* ---- couplings --------------------------------------------------------------------------------------------------- */

/* Which features, or positions of an image, a coupling keeps (1) and which it moves (0). Every coupling has a copy of its
 * own. By features, kept + moved = dim; by positions a conditioner sees and gives all features of each, kept = moved =
 * dim. */
typedef struct leat_mask {
    leat_model *model;
    int64_t dim, kept, moved;
    struct leat_mask_parts *parts;
} leat_mask;

/* Alternating: parity 0 keeps features 1, 3, 5, ...; 1 keeps 0, 2, 4, ... Halves: 0 keeps the first dim / 2; 1 the
 * others. None: keeps none and moves all, so that a coupling's parameters follow from the context alone. */
LEAT_API leat_mask leat_mask_alternating(leat_model *m, int64_t dim, int parity);
LEAT_API leat_mask leat_mask_halves(leat_model *m, int64_t dim, int parity);
LEAT_API leat_mask leat_mask_none(leat_model *m, int64_t dim);
LEAT_API leat_mask leat_mask_of(leat_model *m, int64_t dim, const leat_real *values); /* any zeros and ones, copied */

/* [batch, .., dim] -> [batch, .., kept] or [batch, .., moved]; by positions, [batch, height, width, dim] -> the same with
 * zeros where it is moved, and [batch, moved positions, dim]. */
LEAT_API leat_var leat_mask_kept(const leat_mask *mask, leat_var x);
LEAT_API leat_var leat_mask_moved(const leat_mask *mask, leat_var x);
/* x with its moved part replaced */
LEAT_API leat_var leat_mask_merge(const leat_mask *mask, leat_var x, leat_var moved);

/*
 * A monotone scalar map with parameters. For every moved scalar it names the groups of parameters it wants; each group
 * comes shaped like x ([batch, .., moved]), with its width behind that if the width is more than 1. forward and inverse
 * return log-derivatives shaped like x, which the coupling adds up, or their sums over each row ([batch]), for maps whose
 * op gives that; absent ones are 0. `self` gives the map its own constants: use `number`, or put the struct first in one
 * of yours. It is passed by pointer, is never copied, and lasts as long as the model; but a file that has other widths or
 * numbers of it is read into a copy of `size` bytes.
 *
 * `inverse` may be NULL if the map increases, maps onto all numbers that are asked for, and gives log-derivatives
 * shaped like x: then the coupling searches, Newton's steps safeguarded by a bracket, to 4 units of rounding of
 * max(1, |x|), and the result is differentiable like any other. LEAT_ENONFINITE if y is not finite, or no x within 2^64
 * of it gives it.
 */
typedef struct leat_elementwise {
    const char *name;
    struct {
        const char *name;
        int64_t width;
    } theta[LEAT_MAX_GROUPS]; /* ends with a NULL name */
    leat_pair (*forward)(const struct leat_elementwise *self, leat_var x, const leat_var *theta);
    leat_pair (*inverse)(const struct leat_elementwise *self, leat_var y, const leat_var *theta);
    double number[4]; /* constants of the map, such as a bound */
    size_t size;      /* of the struct that begins with this one, if it is more */
} leat_elementwise;

/* For transforms of your own, over `features` features. What a conditioner gives, [.., features * (sum of widths)], is
 * the groups one after the other, and each group feature by feature: theta[g] is [.., features], or [.., features,
 * width]. The second takes the columns of one group alone. False if the tape has failed. */
LEAT_API bool leat_elementwise_theta(const leat_elementwise *e, leat_var out, int64_t features,
                                     leat_var theta[LEAT_MAX_GROUPS]);
LEAT_API bool leat_elementwise_group(const leat_elementwise *e, int g, leat_var out, int64_t features, leat_var *theta);
LEAT_API int64_t leat_elementwise_width(const leat_elementwise *e); /* the sum of widths */

/* The inverse, or the numerical one; and either direction with the log-derivatives summed to [batch]. */
LEAT_API leat_pair leat_elementwise_inverse(const leat_elementwise *e, leat_var y, const leat_var *theta);
LEAT_API leat_pair leat_elementwise_run(const leat_elementwise *e, leat_var x, const leat_var *theta, bool inverse);

/* y = x + shift; log|dy/dx| = 0   (NICE, equation 8) */
extern LEAT_API const leat_elementwise leat_additive;

/* y = x exp(s) + t; log|dy/dx| = s, handed back as the sum over each row   (RealNVP, equations 7 and 8) */
extern LEAT_API const leat_elementwise leat_affine;

/* The same with a log-scale that no net makes large, a = c s / (c + |s|), c = number[0] = log 1000: y = x exp(a) + t. */
extern LEAT_API const leat_elementwise leat_bounded_affine;

/* The net maps [batch, .., kept (+ context)] to [batch, .., moved * (sum of widths)], as leat_elementwise_theta reads it;
 * it is named `net`. The mask is the buffer `mask`. A context [batch, features] is there at every position. */
LEAT_API leat_transform *leat_coupling(leat_model *m, leat_mask mask, const leat_elementwise *e, leat_module *net);

/* One net for each group, named after it: snet and tnet for groups s and t. */
LEAT_API leat_transform *leat_coupling_nets(leat_model *m, leat_mask mask, const leat_elementwise *e,
                                            leat_module *const *nets);

/* A transform, usually a chain, of the moved features, given the kept ones: they, and the context behind them, are its
 * context. Named `inner`. It must keep the shape of a row. */
LEAT_API leat_transform *leat_coupling_transform(leat_model *m, leat_mask mask, leat_transform *inner);

/*
 * Autoregressive (Papamakarios et al., "Masked autoregressive flow", 2017): with features in the order of the MADE,
 *
 *     y_j = e(x_j; theta_j(x_1 .. x_{j-1}, context)),      log|det dy/dx| = sum over j of log|de/dx_j|,
 *
 * since the Jacobian is triangular. Forward is one pass of the net. The inverse finds one feature after the other; it
 * computes each hidden unit once, so that a draw costs about as much as a density, but while recording (reverse KL) it
 * takes a pass for each feature, as leat_made_ancestral has it. The groups of the MADE are the bijector's, `widths` the
 * same: { 1, 1 } for leat_affine. It is named `made`. leat_inverse_of turns it round: inverse autoregressive flow, whose
 * draws can be recorded in one pass.
 */
LEAT_API leat_transform *leat_autoregressive(leat_model *m, leat_module *made, const leat_elementwise *e);

/* ---- flows ------------------------------------------------------------------------------------------------------- */

typedef struct leat_flow leat_flow;

LEAT_API leat_flow *leat_flow_new(leat_model *m, leat_base *base); /* the base is named `base` */
LEAT_API void leat_flow_add(leat_flow *f, leat_transform *t);      /* data side first; named layers.0, layers.1, ... */
/* Makes the flow conditional: every call is then given a context of so many features, and is refused without. At first
 * 0, no context. The conditioners must be made for it: their input is what the mask keeps, and the context behind
 * it. */
LEAT_API void leat_flow_set_context(leat_flow *f, int64_t features);
LEAT_API int64_t leat_flow_context(const leat_flow *f);

/* Puts a standardizer (leat_standardizer) before all other transforms, so that the flow takes data as they are, and
 * densities and draws are in the data's own units: input.mean and input.sd; layers.N keep their numbers. A context is
 * standardized likewise, by context.mean and context.sd. Mean and sd are those of the columns of the rows [n, dim] and
 * context_rows [n', features], with n or n' in the denominator; a column whose values are all equal is refused by its
 * number (LEAT_EARG), and so are values that are not finite (LEAT_ENONFINITE). After leat_flow_set_context, and before
 * the first use of the model, which fails as it does for other constructors. Rows in double lose nothing, whatever their
 * offset and unit, and may say more. The last form takes the numbers themselves, or NULL for 0 and 1. */
LEAT_API leat_code leat_flow_standardize(leat_flow *f, leat_tensor rows, leat_tensor context_rows);

/*
 * What else is known of data. A column between bounds is spread over the whole line before it is standardized, by
 * log(x - lower), -log(upper - x), or, with both, log(x - lower) - log(upper - x): no draw leaves them, outside the
 * density is 0 (the log-density -inf), and a number on a bound is refused, for there a density may be anything.
 *
 * A column of whole numbers is dequantized: k becomes a random number of [k, k + 1), a new one for each epoch of a fit,
 * so that the density's integral over there becomes the probability of k. Scores are that probability, a mean over
 * points of a fixed sequence (leat_flow_set_points); encoding takes the middle, and what is drawn or decoded is whole.
 * All this is what the functions of rows in double do; on a tape such a column holds the real numbers.
 */
typedef struct leat_standardize_opts {
    leat_doubles context;        /* rows of the context, for a conditional flow */
    const bool *left_out;        /* [rows], those that do not count; NULL: all do */
    const double *lower, *upper; /* [dim], or both NULL; -INFINITY, INFINITY: no bound; whole numbers may be on them */
    const bool *whole;           /* [dim]; NULL: no column is */
    /* For columns with heavy tails: mean and sd are those of a normal of their median and quartiles, which far rows do
     * not move. Not of the context, nor where half of the rows have one value. */
    bool by_quartiles;
} leat_standardize_opts;
LEAT_API leat_code leat_flow_standardize_doubles(leat_flow *f, leat_doubles rows, const leat_standardize_opts *o);

/* Over how many points a score of whole numbers is averaged, 16 at first; not saved with the model. */
LEAT_API void leat_flow_set_points(leat_flow *f, int64_t points);
LEAT_API leat_code leat_flow_standardize_by(leat_flow *f, const double *mean, const double *sd,
                                            const double *context_mean, const double *context_sd);

/* The units of a flow's data, as its standardizer has them: [columns] each. */
typedef struct leat_units {
    int64_t columns;
    const double *mean, *sd;     /* of the line over which bounds spread a column */
    const double *lower, *upper; /* bounds, -INFINITY and INFINITY where there is none; NULL: no column has any */
    const double *whole;         /* 1: whole numbers, whose upper bound is one beyond the largest; NULL: no column */
} leat_units;
LEAT_API bool leat_flow_units(const leat_flow *f, leat_units *u); /* false: it has no standardizer */
LEAT_API int64_t leat_flow_dim(const leat_flow *f);
LEAT_API int leat_flow_length(const leat_flow *f); /* how many transforms, a standardizer (the first) included */
LEAT_API leat_transform *leat_flow_layer(const leat_flow *f, int i);
LEAT_API leat_model *leat_flow_model(const leat_flow *f);
LEAT_API leat_base *leat_flow_base(const leat_flow *f);
LEAT_API bool leat_flow_is_bound(const leat_flow *f); /* log-densities are lower bounds, in the mean */

/*
 * Memory of training that hardly grows with depth. An ordinary step keeps what every transform makes on the way until
 * backward has used it. Otherwise only one transform's is there at a time, for one more forward pass of each:
 *
 *     LEAT_RECOMPUTE_FORWARD   keeps each transform's input (of a coupling, what it moves; of a permutation, nothing) and
 *                              runs the transform again. Values, gradients and what is trained are those of an ordinary
 *                              step, to the bit.
 *     LEAT_RECOMPUTE_INVERT    gets the input back from the output by the inverse, and keeps one input in sixteen, so that
 *                              rounding does not add up over more. Gradients are not the same bits. Inputs are kept, as
 *                              above, where the inverse is not a formula, or is not the same in training and evaluation
 *                              (batch norm).
 *
 * How far LEAT_RECOMPUTE_INVERT's gradients are from an ordinary step's, |difference| / |gradient|, in float, with two
 * hidden layers of 64, 2 and 8 features, before training and after 200 steps:
 *
 *     couplings         4              16             64
 *     NICE          2e-8 .. 1e-7   4e-8 .. 9e-8   4e-8 .. 1e-7
 *     RealNVP       5e-8 .. 2e-7   1e-7 .. 4e-7   2e-7 .. 2e-7, before training 2e-6 .. 2e-5
 *
 * Sampling and scoring without recording are as before. Of a transform of your own the input is kept unless its type has
 * inverse_kind; what leat_checkpoint asks of a function holds for it. The chains that are inside by then recompute
 * likewise. Not saved with the model.
 */
typedef enum leat_recompute {
    LEAT_RECOMPUTE_NONE = 0,
    LEAT_RECOMPUTE_FORWARD,
    LEAT_RECOMPUTE_INVERT,
} leat_recompute;

LEAT_API void leat_flow_set_recompute(leat_flow *f, leat_recompute how);

/* x, z: [batch, dim]. Each has a form with a context, [batch, features], for conditional flows p(x | context). All of
 * them are differentiable when the tape records; when it does not, memory is that of the largest transform. */
LEAT_API leat_pair leat_flow_forward(leat_flow *f, leat_var x); /* z and log|det dz/dx| */
LEAT_API leat_pair leat_flow_forward_given(leat_flow *f, leat_var x, leat_var context);
LEAT_API leat_pair leat_flow_inverse(leat_flow *f, leat_var z); /* x and log|det dx/dz| */
LEAT_API leat_pair leat_flow_inverse_given(leat_flow *f, leat_var z, leat_var context);
LEAT_API leat_var leat_flow_log_prob(leat_flow *f, leat_var x); /* [batch], nats */
LEAT_API leat_var leat_flow_log_prob_given(leat_flow *f, leat_var x, leat_var context);

/* n draws from the tape's random numbers, [n, dim]. With a context, row i is drawn given its row i. */
LEAT_API leat_var leat_flow_sample(leat_flow *f, leat_tape *t, int64_t n, double temperature);
LEAT_API leat_var leat_flow_sample_given(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_var context);

/* Draws at temperature 1 and their log-density [n], from one pass, differentiable: for reverse KL. */
LEAT_API leat_var leat_flow_sample_log_prob(leat_flow *f, leat_tape *t, int64_t n, leat_var *log_prob);
LEAT_API leat_var leat_flow_sample_log_prob_given(leat_flow *f, leat_tape *t, int64_t n, leat_var context,
                                                  leat_var *log_prob);

/* Every step of the forward chain: steps[k] = (h_{k+1}, log|det J_{k+1}|), leat_flow_length(f) of them. */
LEAT_API leat_code leat_flow_trace(leat_flow *f, leat_var x, leat_var context, leat_pair *steps);

/* Any number of rows, as many at a time as some megabytes hold, without recording and in evaluation mode; the tape is
 * reset on the way, and keeps its own modes and place in its random numbers. What a row gives depends on it alone, to the
 * bit, not on the rows beside it, chance in the transforms included. x and z are [n, dim]; a context is [n, features],
 * a row for each row, and (leat_tensor){ 0 } for flows without. Results that are not wanted may be NULL.
 *     score   the log-density of every row, in nats; -inf for a row so far out that numbers overflow on the way
 *     encode  data to latent: z [n, dim] and log|det dz/dx| [n]; bytes are in the middle of their intervals
 *     decode  latent to data: x [n, dim] and log|det dx/dz| [n] */
LEAT_API leat_code leat_flow_score(leat_flow *f, leat_tape *t, leat_tensor x, double *out);
LEAT_API leat_code leat_flow_score_given(leat_flow *f, leat_tape *t, leat_tensor x, leat_tensor context, double *out);
LEAT_API leat_code leat_flow_encode(leat_flow *f, leat_tape *t, leat_tensor x, leat_tensor context, leat_real *z,
                                    double *logdet);
LEAT_API leat_code leat_flow_decode(leat_flow *f, leat_tape *t, leat_tensor z, leat_tensor context, leat_real *x,
                                    double *logdet);

/* The same of rows in double, which go through the flow's standardizer in double, and come back so: seconds since 1970
 * keep their seconds. A context with data NULL: none. */
LEAT_API leat_code leat_flow_score_doubles(leat_flow *f, leat_tape *t, leat_doubles x, leat_doubles context,
                                           double *out);
LEAT_API leat_code leat_flow_encode_doubles(leat_flow *f, leat_tape *t, leat_doubles x, leat_doubles context,
                                            leat_real *z, double *logdet);
LEAT_API leat_code leat_flow_decode_doubles(leat_flow *f, leat_tape *t, leat_tensor z, leat_doubles context, double *x,
                                            double *logdet);

/* n draws, [n, dim], in the same way, from the tape's random numbers on from where they are. With a context, row i is
 * drawn given its row i. */
LEAT_API leat_code leat_flow_draw(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_real *out);
LEAT_API leat_code leat_flow_draw_given(leat_flow *f, leat_tape *t, int64_t n, double temperature, leat_tensor context,
                                        leat_real *out);

/* Rows first .. first + n - 1 of one endless table of draws: row i is a function of the tape's seed and stream, of i, and
 * of its row of the context (row i - first of what is given), so that any part can be drawn anywhere. */
LEAT_API leat_code leat_flow_draw_rows(leat_flow *f, leat_tape *t, int64_t first, int64_t n, double temperature,
                                       leat_tensor context, leat_real *out);
LEAT_API leat_code leat_flow_draw_rows_doubles(leat_flow *f, leat_tape *t, int64_t first, int64_t n, double temperature,
                                               leat_doubles context, double *out);

/* ---- checker ----------------------------------------------------------------------------------------------------- */

typedef struct leat_flow_check_opts {
    double tolerance;    /* 0: 1e-9 in double, 1e-4 in float; relative to max(1, magnitude) */
    leat_tensor context; /* data NULL: none */
    /* Rows in double in the place of x and context; then all is checked behind the flow's standardizer. */
    leat_doubles doubles, context_doubles;
    int64_t jacobian_rows; /* 0: 8; rows of x whose Jacobian is looked at */
} leat_flow_check_opts;

typedef struct leat_flow_report {
    bool ok;                  /* nothing that was looked at is wrong */
    char reason[760];         /* the first thing wrong, with the layer: "layers.2 (coupling): ..."; "" when ok */
    double round_trip;        /* max |inverse(forward(x)) - x| */
    double round_trip_latent; /* max |forward(inverse(z)) - z|, for z drawn from the base */
    double logdet_cancel;     /* max |log-determinant forward + inverse| */
    double logdet_jacobian;   /* max |log-determinant - log|det J||, J from autodiff, LU in double */
    double triangle;          /* max distance of a coupling's Jacobian from its block triangular form */
    int64_t never_moved;      /* a feature that no transform changes, or -1 */
    double base_draws;        /* how far draws are from the density, in standard errors; more than 6 is wrong */
    double base_integral;     /* of the base's density, estimated; NaN: not looked at */
    int unseen_count;         /* how many things were not looked at, */
    char unseen[600];         /* and which, as far as there is room: "layers.3: the Jacobian, ...; base: ..." */
} leat_flow_report;

/* Checks a flow on rows x [n, dim], n > 0, layer by layer and whole: round trips both ways, that log-determinants (one
 * that is absent is 0) cancel and equal those of the Jacobian, that no conditioner sees what it moves, that every
 * feature is moved, and that the base's draws follow its density, which integrates to 1. In evaluation mode. True if all
 * that was looked at is well; the report says the rest.
 *
 * Rounding may take more than the tolerance where the map is steep: as much as small changes of what goes in show, up to
 * a hundred tolerances. Above 64 numbers in a row the Jacobian is probed by products with random directions, which tell
 * the determinant of couplings, permutations and elementwise maps; other parts are looked at in one row, up to 1024
 * numbers. Beyond, and where a density of more than 4 dimensions integrates to, are not looked at. Of a transform whose
 * log-determinant is a bound only inverse(forward(x)) is looked at, and of the whole what stands behind it. */
LEAT_API bool leat_flow_check(leat_flow *f, leat_tensor x, const leat_flow_check_opts *o, leat_flow_report *r);

#ifdef __cplusplus
}
#endif

#include "bases.h"
#include "bijectors.h"
#include "bits.h"
#include "fitting.h"
#include "image_transforms.h"
#include "models.h"
#include "saving.h"
#include "vector_transforms.h"

#endif
