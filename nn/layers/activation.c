/* Activations as layers, one type for each. */
#include "layers.h"
#include "../module_json.h"

static leat_var activation_forward(leat_module *m, leat_var x, leat_var context);

#define TYPE_ROW(NAME, op, constant)                                                                                   \
    [LEAT_##NAME] = { .name = #op, .forward = activation_forward, .write = leat_part_write_nothing },
static const leat_module_type types[] = {
    [LEAT_IDENTITY] = { .name = "identity", .forward = activation_forward, .write = leat_part_write_nothing },
    LEAT_ACTIVATIONS(TYPE_ROW)
};
enum { TYPES = sizeof types / sizeof *types };

bool leat_is_activation(const leat_module *m, leat_activation *f)
{
    for (int i = 0; i < TYPES; i++) {
        if (m->type == &types[i]) {
            *f = (leat_activation)i;
            return true;
        }
    }
    return false;
}

bool leat_activation_exists(leat_activation f)
{
    return (int)f >= 0 && (int)f < TYPES;
}

static leat_var activation_forward(leat_module *m, leat_var x, leat_var context)
{
    leat_activation f = LEAT_IDENTITY;
    if (!leat_is_absent(context))
        return leat_tape_fail(x.tape, LEAT_ESTATE, "%s takes no context", m->type->name);
    leat_is_activation(m, &f);
    return leat_activate(x, f);
}

leat_module *leat_activation_layer(leat_model *m, leat_activation f)
{
    if (!leat_activation_exists(f)) {
        leat_model_fail(m, LEAT_EARG, "there is no activation number %d", (int)f);
        return NULL;
    }
    return leat_module_new(m, &types[f], sizeof(leat_module));
}
