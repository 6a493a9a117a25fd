/* Private to bases: what they share. */
#ifndef LEAT_BASE_IMPL_H
#define LEAT_BASE_IMPL_H

#include "../flow_impl.h"

/* size bytes for a struct that begins with a leat_base; NULL, and a failed model, for less than one feature. */
void *leat_base_new(leat_model *m, const leat_base_type *type, int64_t dim, size_t size);

/* Numbers of a base: a parameter, or a buffer. */
typedef struct leat_base_values {
    leat_param *learned;
    leat_buffer *fixed;
} leat_base_values;

/* The given ones, or their logarithms, for which they must be positive; NULL: by `init`, or 0 if fixed. */
leat_base_values leat_base_values_new(leat_base *b, const char *name, leat_shape shape, const double *given, bool logs,
                                      bool fixed, leat_init init);
leat_var leat_base_use(leat_tape *t, leat_base_values n);

#endif
