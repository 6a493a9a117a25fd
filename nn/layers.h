/* Private to nn: what a sequential must know of its children to run a linear layer and its activation as one op. */
#ifndef LEAT_LAYERS_H
#define LEAT_LAYERS_H

#include "nn.h"

bool leat_is_linear(const leat_module *m);

/* f(x w^T + b), in the linear layer's scope. The model is sealed. */
leat_var leat_linear_with(leat_module *linear, leat_var x, leat_activation f);

/* Whether the module is an activation layer; *f tells which. */
bool leat_is_activation(const leat_module *m, leat_activation *f);

/* x with the context behind it along the last axis; x itself where there is no context. */
leat_var leat_join_context(leat_var x, leat_var context);

#endif
