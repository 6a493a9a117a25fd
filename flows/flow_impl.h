/* Private to flows: what a flow is made of. */
#ifndef LEAT_FLOW_H
#define LEAT_FLOW_H

#include "flows.h"

struct leat_flow {
    leat_module module;
    leat_base *base;
    leat_transform **layers; /* the standardizer, if there is one, is the first */
    int length, capacity;
    int64_t context;                       /* features, 0 for none */
    leat_transform *input, *context_input; /* standardizers; NULL: none */
    leat_recompute recompute;
};

/* The chain on a recording tape, keeping only what f->recompute says (recompute.c). */
leat_pair leat_flow_recompute(leat_flow *f, leat_var x, const leat_flow_call *call, bool inverse);

/* From x, which holds what the transform has made of its input, and which takes on that input: the transform, run
 * again. */
leat_pair leat_transform_rebuild(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse);

/* LEAT_INVERSE_CLOSED, for the types of which that is true. */
leat_inverse_kind leat_inverse_closed(const leat_transform *t);

/* What the parts of the flow see of a context: standardized, if the flow does that. */
leat_var leat_flow_see_context(const leat_flow *f, leat_var context);

/* A variable with the right number of features: [batch, dim]; fails the tape otherwise. */
bool leat_check_features(leat_var x, int64_t dim, const char *what);

/* Other features kept and moved, as many as before; the mask is unchanged if the values are refused. */
leat_code leat_mask_set(leat_mask *mask, const leat_real *values, leat_status *s);

/* How many of the tape's random numbers a draw of one row takes. */
int64_t leat_flow_numbers_per_row(const leat_flow *f);

/* A bijector as JSON, for files; refused if it is not the library's. `owner` is where it stands. */
void leat_elementwise_write(struct leat_part_writer *w, const leat_module *owner, const leat_elementwise *e);

/* The bijector's inverse, or the numerical one (numerical_inverse.c). */
leat_pair leat_elementwise_inverse(const leat_elementwise *e, leat_var y, const leat_var *theta);

/* Zeros of shape [batch], for a transform that keeps volume. */
leat_var leat_zero_logdet(leat_var x);

#endif
