/* Children one after the other. A linear layer, or a convolution, and the activation behind it run as one op, with the
 * same result. */
#include "layers.h"
#include "../module_json.h"

#include <string.h>

typedef struct sequential {
    leat_module module;
    leat_module **children;
    int count, capacity;
} sequential;

static leat_var sequential_forward(leat_module *m, leat_var x, leat_var context)
{
    const sequential *s = (const sequential *)m;
    leat_activation f;
    x = leat_join_context(x, context);
    for (int i = 0; i < s->count; i++) {
        leat_module *child = s->children[i];
        bool conv = leat_is_conv(child);
        if ((conv || leat_is_linear(child)) && i + 1 < s->count && leat_is_activation(s->children[i + 1], &f)) {
            x = (conv ? leat_conv_with : leat_linear_with)(child, x, f);
            i++;
        } else {
            x = leat_forward(child, x);
        }
    }
    return x;
}

static void sequential_write(const leat_module *m, leat_part_writer *w)
{
    const sequential *s = (const sequential *)m;
    leat_json_open(&w->json, '[');
    for (int i = 0; i < s->count; i++)
        leat_part_write(w, s->children[i]);
    leat_json_close(&w->json, ']');
}

static leat_module *sequential_read(leat_part_reader *r, const leat_json *v)
{
    leat_module *net = leat_sequential(r->model);
    for (const leat_json *child = v->first; child; child = child->next) {
        leat_module *part = leat_part_read(r, child);
        if (!part)
            return NULL;
        leat_sequential_add(net, part);
    }
    return net;
}

const leat_module_type leat_sequential_type = {
    .name = "sequential",
    .write = sequential_write,
    .read = sequential_read,
    .forward = sequential_forward,
};

leat_module *leat_sequential(leat_model *m)
{
    return leat_module_new(m, &leat_sequential_type, sizeof(sequential));
}

static bool grow(sequential *s)
{
    int capacity = s->capacity ? 2 * s->capacity : 8;
    leat_model *m = s->module.model;
    leat_module **children = leat_arena_alloc(leat_model_arena(m), (size_t)capacity * sizeof(leat_module *));
    if (!children) {
        leat_model_fail(m, LEAT_ENOMEM, "sequential: out of memory for %d children", capacity);
        return false;
    }
    if (s->count)
        memcpy(children, s->children, (size_t)s->count * sizeof(leat_module *));
    s->children = children;
    s->capacity = capacity;
    return true;
}

void leat_sequential_add(leat_module *m, leat_module *child)
{
    sequential *s = (sequential *)m;
    if (m && m->type != &leat_sequential_type) {
        leat_model_fail(m->model, LEAT_EARG, "%s is not a sequential", m->type->name);
        return;
    }
    leat_attach(m, child, "%d", s ? s->count : 0);
    if (!s || leat_model_code(m->model) || (s->count == s->capacity && !grow(s)))
        return;
    s->children[s->count++] = child;
}
