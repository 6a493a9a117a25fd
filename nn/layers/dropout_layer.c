/* Layers without parameters: identity, dropout. */
#include "layers.h"
#include "../module_json.h"

#include <stdio.h>

leat_module *leat_identity_layer(leat_model *m)
{
    return leat_activation_layer(m, LEAT_IDENTITY);
}

typedef struct dropout {
    leat_module module;
    double p;
} dropout;

static leat_var dropout_forward(leat_module *m, leat_var x, leat_var context)
{
    if (!leat_is_absent(context))
        return leat_tape_fail(x.tape, LEAT_ESTATE, "dropout takes no context");
    return leat_dropout(x, ((const dropout *)m)->p);
}

static void dropout_describe(const leat_module *m, char *text, size_t size)
{
    snprintf(text, size, "p = %g", ((const dropout *)m)->p);
}

static void dropout_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_number(w, "p", ((const dropout *)m)->p);
}

static leat_module *dropout_read(leat_part_reader *r, const leat_json *v)
{
    double p;
    return leat_part_number(r, v, "p", &p) ? leat_dropout_layer(r->model, p) : NULL;
}

const leat_module_type leat_dropout_type = {
    .name = "dropout",
    .forward = dropout_forward,
    .describe = dropout_describe,
    .write = dropout_write,
    .read = dropout_read,
};

leat_module *leat_dropout_layer(leat_model *m, double p)
{
    dropout *d = leat_module_new(m, &leat_dropout_type, sizeof *d);
    if (!d)
        return NULL;
    d->p = p;
    if (!(p >= 0 && p <= 1)) {
        leat_model_fail(m, LEAT_EARG, "dropout: a probability of %g", p);
        return NULL;
    }
    return &d->module;
}
