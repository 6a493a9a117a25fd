/*
 * The coupling: mask x conditioner x elementwise bijector. It knows none of the three closely: the mask takes features
 * out and puts them back, the conditioner is any module from kept features to parameters, the bijector any scalar map.
 */
#include "../flow_impl.h"

#include <stdio.h>
#include <string.h>

/* A transform with a mask of its own, which a file may set. */
typedef struct masked {
    leat_transform transform;
    leat_mask mask;
    leat_buffer *buffer;
} masked;

static void *masked_new(leat_model *m, const leat_transform_type *type, const leat_mask *mask, size_t size)
{
    masked *t = leat_module_new(m, &type->module, size);
    if (!t)
        return NULL;
    t->mask = leat_mask_copy(mask);
    t->buffer = leat_mask_buffer(&t->mask, &t->transform.module);
    return t;
}

static leat_code masked_loaded(leat_module *m, leat_status *s)
{
    masked *t = (masked *)m;
    return leat_mask_set(&t->mask, t->buffer->value.data, s);
}

static void masked_trace_moved(const leat_transform *t, int64_t numbers, bool *moved)
{
    leat_mask_trace(&((const masked *)t)->mask, numbers, moved);
}

/* ---- with a bijector --------------------------------------------------------------------------------------------- */

typedef struct coupling {
    masked masked;
    const leat_elementwise *e;
    int groups;
    bool one_net; /* nets[0] gives all groups, one after the other */
    leat_module *nets[LEAT_MAX_GROUPS];
} coupling;

/* theta[g] for every group from the kept features; false if the tape has failed. */
static bool condition(coupling *c, leat_var kept, leat_var context, leat_var theta[LEAT_MAX_GROUPS])
{
    const leat_mask *mask = &c->masked.mask;
    context = leat_context_at(context, kept);
    if (c->one_net) {
        leat_var out = leat_mask_theta(mask, leat_forward_with(c->nets[0], kept, context));
        return leat_elementwise_theta(c->e, out, mask->moved, theta);
    }
    for (int g = 0; g < c->groups; g++) {
        leat_var out = leat_mask_theta(mask, leat_forward_with(c->nets[g], kept, context));
        if (!leat_elementwise_group(c->e, g, out, mask->moved, &theta[g]))
            return false;
    }
    return true;
}

static leat_pair coupling_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    coupling *c = (coupling *)t;
    leat_var theta[LEAT_MAX_GROUPS];
    if (!leat_mask_fits(&c->masked.mask, x))
        return leat_failed_pair(x);
    leat_var kept = leat_mask_kept(&c->masked.mask, x), moved = leat_mask_moved(&c->masked.mask, x);
    if (!condition(c, kept, call->context, theta))
        return leat_failed_pair(x);
    leat_pair out = leat_elementwise_run(c->e, moved, theta, inverse);
    return (leat_pair){ leat_mask_merge(&c->masked.mask, x, out.y), out.logdet };
}

static leat_inverse_kind coupling_inverse_kind(const leat_transform *t)
{
    return ((const coupling *)t)->e->inverse ? LEAT_INVERSE_CLOSED : LEAT_INVERSE_UNKNOWN;
}

/* Moves the features of x, which have been moved by theta, back to where they were, in place. */
static bool move_back(const coupling *c, leat_var x, const leat_var *theta, bool inverse)
{
    leat_tape_mark mark = leat_tape_save(x.tape);
    bool recording = leat_tape_set_recording(x.tape, false);
    leat_var at = leat_elementwise_run(c->e, leat_mask_moved(&c->masked.mask, x), theta, !inverse).y;
    bool ok = leat_tape_code(x.tape) == LEAT_OK;
    if (ok)
        leat_mask_put(&c->masked.mask, leat_value(x), leat_value(at).data);
    leat_tape_keep(x.tape, mark, 0, NULL);
    leat_tape_set_recording(x.tape, recording);
    return ok;
}

/* The kept features are the input's already, so their parameters serve both ways. */
static leat_pair coupling_rebuild(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    coupling *c = (coupling *)t;
    leat_var theta[LEAT_MAX_GROUPS];
    if (!leat_mask_fits(&c->masked.mask, x) ||
        !condition(c, leat_mask_kept(&c->masked.mask, x), call->context, theta) || !move_back(c, x, theta, inverse))
        return leat_failed_pair(x);
    leat_pair out = leat_elementwise_run(c->e, leat_mask_moved(&c->masked.mask, x), theta, inverse);
    return (leat_pair){ leat_mask_merge(&c->masked.mask, x, out.y), out.logdet };
}

static void coupling_describe(const leat_module *m, char *text, size_t size)
{
    const coupling *c = (const coupling *)m;
    int n = snprintf(text, size, "%s, ", c->e->name);
    if (n > 0 && (size_t)n < size)
        leat_mask_describe(&c->masked.mask, text + n, size - (size_t)n);
}

static void coupling_write(const leat_module *m, leat_part_writer *w)
{
    const coupling *c = (const coupling *)m;
    leat_mask_write(&c->masked.mask, w);
    leat_elementwise_write(w, m, c->e);
    for (int g = 0; g < (c->one_net ? 1 : c->groups); g++)
        leat_part_put_module(w, c->nets[g]->scope.name, c->nets[g]);
}

static leat_module *coupling_read(leat_part_reader *r, const leat_json *v)
{
    leat_mask mask;
    const leat_elementwise *e = leat_mask_read(r, v, &mask) ? leat_elementwise_read(r, v) : NULL;
    leat_module *nets[LEAT_MAX_GROUPS];
    if (!e)
        return NULL;
    if (leat_json_get(v, "net")) {
        nets[0] = leat_part_module(r, v, "net");
        return nets[0] ? (leat_module *)leat_coupling(r->model, mask, e, nets[0]) : NULL;
    }
    for (int g = 0; g < LEAT_MAX_GROUPS && e->theta[g].name; g++) {
        char key[80];
        snprintf(key, sizeof key, "%.70snet", e->theta[g].name);
        nets[g] = leat_part_module(r, v, key);
        if (!nets[g])
            return NULL;
    }
    return (leat_module *)leat_coupling_nets(r->model, mask, e, nets);
}

static const leat_mask *coupling_mask(const leat_transform *t)
{
    return &((const coupling *)t)->masked.mask;
}

const leat_transform_type leat_coupling_type = {
    .module = { .name = "coupling",
                .loaded = masked_loaded,
                .describe = coupling_describe,
                .write = coupling_write,
                .read = coupling_read },
    .run = coupling_run,
    .trace_moved = masked_trace_moved,
    .mask = coupling_mask,
    .inverse_kind = coupling_inverse_kind,
    .rebuild = coupling_rebuild,
};

static coupling *coupling_new(leat_model *m, const leat_mask *mask, const leat_elementwise *e, bool one_net)
{
    coupling *c = masked_new(m, &leat_coupling_type, mask, sizeof *c);
    if (!c)
        return NULL;
    c->e = e;
    c->one_net = one_net;
    while (c->groups < LEAT_MAX_GROUPS && e->theta[c->groups].name)
        c->groups++;
    return c;
}

leat_transform *leat_coupling(leat_model *m, leat_mask mask, const leat_elementwise *e, leat_module *net)
{
    coupling *c = coupling_new(m, &mask, e, true);
    if (!c)
        return NULL;
    c->nets[0] = net;
    leat_attach(&c->masked.transform.module, net, "net");
    return &c->masked.transform;
}

leat_transform *leat_coupling_nets(leat_model *m, leat_mask mask, const leat_elementwise *e, leat_module *const *nets)
{
    coupling *c = coupling_new(m, &mask, e, false);
    if (!c)
        return NULL;
    for (int g = 0; g < c->groups; g++) {
        c->nets[g] = nets[g];
        leat_attach(&c->masked.transform.module, nets[g], "%snet", e->theta[g].name);
    }
    return &c->masked.transform;
}

/* ---- with a transform in the bijector's place -------------------------------------------------------------------- */

typedef struct conditional {
    masked masked;
    leat_transform *inner;
} conditional;

static leat_pair conditional_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    conditional *c = (conditional *)t;
    if (!leat_mask_fits(&c->masked.mask, x))
        return leat_failed_pair(x);
    leat_var given = leat_mask_given(&c->masked.mask, x), context = call->context;
    if (!leat_is_absent(given) && !leat_is_absent(context))
        given = leat_concat(2, (leat_var[]){ given, leat_context_at(context, x) }, -1);
    leat_flow_call inner = { .context = leat_is_absent(given) ? context : given };
    leat_pair out = leat_transform_run(c->inner, leat_mask_moved(&c->masked.mask, x), &inner, inverse);
    if (leat_tape_code(x.tape))
        return leat_failed_pair(x);
    return (leat_pair){ leat_mask_merge(&c->masked.mask, x, out.y), out.logdet };
}

static void conditional_write(const leat_module *m, leat_part_writer *w)
{
    const conditional *c = (const conditional *)m;
    leat_mask_write(&c->masked.mask, w);
    leat_part_put_module(w, "inner", &c->inner->module);
}

static leat_module *conditional_read(leat_part_reader *r, const leat_json *v)
{
    leat_mask mask;
    leat_transform *inner = NULL;
    if (leat_mask_read(r, v, &mask))
        inner = leat_part_inner(r, v, "inner");
    return inner ? (leat_module *)leat_coupling_transform(r->model, mask, inner) : NULL;
}

static leat_transform *conditional_inner(const leat_transform *t)
{
    return ((const conditional *)t)->inner;
}

const leat_transform_type leat_conditional_type = {
    .module = { .name = "conditional", .loaded = masked_loaded, .write = conditional_write, .read = conditional_read },
    .run = conditional_run,
    .trace_moved = masked_trace_moved,
    .inner = conditional_inner,
};

leat_transform *leat_coupling_transform(leat_model *m, leat_mask mask, leat_transform *inner)
{
    conditional *c = masked_new(m, &leat_conditional_type, &mask, sizeof *c);
    if (!c)
        return NULL;
    c->inner = inner;
    leat_attach(&c->masked.transform.module, inner ? &inner->module : NULL, "inner");
    return inner ? &c->masked.transform : NULL;
}
