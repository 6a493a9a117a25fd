/* Private to nn: what layers share, and what a sequential must know of its children to run a linear layer and its
 * activation as one op. */
#ifndef LEAT_LAYERS_H
#define LEAT_LAYERS_H

#include "../nn.h"

/* The types that a file can hold, beside the activations; leat_part_read looks through them (module_json.c). */
extern const leat_module_type leat_linear_type, leat_masked_linear_type, leat_weight_norm_linear_type,
    leat_dropout_type, leat_layer_norm_type, leat_batch_norm_type, leat_conv_type, leat_embedding_type,
    leat_gated_conv_type, leat_attention_type, leat_residual_type, leat_residual_conv_type, leat_made_type,
    leat_sequential_type;

/* Of any kind: plain, masked, with weight norm. */
bool leat_is_linear(const leat_module *m);

/* f(x w^T + b), in the linear layer's scope. The model is sealed. */
leat_var leat_linear_with(leat_module *linear, leat_var x, leat_activation f);

/* Its w [out, in], masks and lengths applied, and b. */
void leat_linear_weights(leat_module *linear, leat_tape *t, leat_var *weight, leat_var *bias);

/* Whether the module is an activation layer; *f tells which. */
bool leat_is_activation(const leat_module *m, leat_activation *f);
bool leat_activation_exists(leat_activation f);

/* f(conv(x)), in the convolution's scope. The model is sealed. */
bool leat_is_conv(const leat_module *m);
leat_var leat_conv_with(leat_module *conv, leat_var x, leat_activation f);

/* g v / |v|, norms over all axes but the first; and g, a parameter `weight_g` that starts as those norms, of the one
 * owner's. */
leat_var leat_weight_of_norm(leat_var v, leat_var g);
leat_param *leat_norms_new(leat_module *owner, const leat_param *v);

/* A context [batch, n] at every position of x [batch, .., features], another one as it is; and x with the context behind
 * it along the last axis; x itself where there is none. */
leat_var leat_context_at(leat_var context, leat_var x);
leat_var leat_join_context(leat_var x, leat_var context);

/* Whether the input has so many features along its last axis, and the context `context_features`, 0: there is none. If
 * not, the tape has failed. */
bool leat_fits(const leat_module *m, leat_var x, int64_t features, leat_var context, int64_t context_features);

/* Actnorm: scale and shift of each feature, 0 until a batch has set them (Kingma & Dhariwal 2018, section 3.1). */
typedef struct leat_actnorm_parts {
    leat_param *log_scale, *bias; /* [features] */
    leat_buffer *initialized;     /* 0 or 1 */
} leat_actnorm_parts;
leat_actnorm_parts leat_actnorm_parts_new(leat_module *owner, int64_t features);
/* Whether the batch that a call is given is to set them. Seals the model. */
bool leat_actnorm_waits(const leat_actnorm_parts *a, leat_tape *t);
/* So that exp(log_scale) x + bias has mean 0 and variance 1; a batch of one row sets nothing. False if the tape fails. */
bool leat_actnorm_start(const leat_actnorm_parts *a, leat_var x);
leat_code leat_actnorm_loaded(const leat_actnorm_parts *a, leat_status *s);

/* Mean and variance (with n in the denominator) of every feature over all axes but the last, in two passes, in double,
 * in the tape's memory; false if there is none. */
bool leat_measure_features(leat_tape *t, leat_tensor x, double **mean, double **variance);

/* Whether n can be a number of features: least <= n <= 2^31, so that sums and products of two are no trouble. */
static inline bool leat_is_size(int64_t n, int64_t least)
{
    return n >= least && n <= (int64_t)1 << 31;
}

#endif
