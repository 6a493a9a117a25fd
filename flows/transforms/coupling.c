/*
 * The coupling: mask x conditioner x elementwise bijector. It knows none of the three closely: the mask takes features
 * out and puts them back, the conditioner is any module from kept features to parameters, the bijector any scalar map.
 */
#include "../flow_impl.h"
#include "../../nn/module_json.h"

#include <stdio.h>
#include <string.h>

typedef struct coupling {
    leat_transform transform;
    leat_mask mask;
    leat_buffer *mask_buffer;
    leat_elementwise e;
    int groups;
    bool one_net; /* nets[0] gives all groups, one after the other */
    leat_module *nets[LEAT_MAX_THETA];
} coupling;

/* One group of parameters, as the bijector wants it: [batch, moved] or [batch, moved, width]. */
static leat_var shape_group(const coupling *c, leat_var theta, int64_t width)
{
    if (width == 1)
        return theta;
    return leat_reshape(theta, LEAT_SHAPE(leat_var_size(theta, 0), c->mask.moved, width));
}

static bool conditioner_fits(const coupling *c, leat_var out, int64_t width)
{
    char text[LEAT_SHAPE_TEXT];
    leat_shape shape = leat_var_shape(out);
    if (!leat_ok(out) || (shape.rank == 2 && shape.size[1] == c->mask.moved * width))
        return leat_ok(out);
    leat_tape_fail(out.tape, LEAT_ESHAPE,
                   "%s coupling moves %lld features and needs [batch,%lld] from its conditioner, which gave %s",
                   c->e.name, (long long)c->mask.moved, (long long)(c->mask.moved * width),
                   leat_shape_print(&shape, text));
    return false;
}

/* theta[g] for every group from the kept features; false if the tape has failed. */
static bool condition(coupling *c, leat_var kept, leat_var context, leat_var theta[LEAT_MAX_THETA])
{
    if (!c->one_net) {
        for (int g = 0; g < c->groups; g++) {
            leat_var out = leat_forward_with(c->nets[g], kept, context);
            if (!conditioner_fits(c, out, c->e.theta[g].width))
                return false;
            theta[g] = shape_group(c, out, c->e.theta[g].width);
        }
        return true;
    }
    int64_t total = 0, at = 0;
    for (int g = 0; g < c->groups; g++)
        total += c->e.theta[g].width;
    leat_var out = leat_forward_with(c->nets[0], kept, context);
    if (!conditioner_fits(c, out, total))
        return false;
    for (int g = 0; g < c->groups; g++) {
        int64_t columns = c->mask.moved * c->e.theta[g].width;
        theta[g] = shape_group(c, c->groups == 1 ? out : leat_slice(out, -1, at, columns), c->e.theta[g].width);
        at += columns;
    }
    return true;
}

/* The bijector's log-derivatives as one number for each row, which they may be already. */
static leat_var sum_rows(leat_var logdet)
{
    return leat_ok(logdet) && leat_var_shape(logdet).rank == 1 ? logdet : leat_sum_features(logdet);
}

static leat_pair couple(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    coupling *c = (coupling *)t;
    leat_var theta[LEAT_MAX_THETA];
    leat_pair failed = { { .tape = x.tape }, { .tape = x.tape } };
    if (!leat_check_features(x, c->mask.dim, "a coupling"))
        return failed;
    leat_var kept = leat_mask_kept(&c->mask, x), moved = leat_mask_moved(&c->mask, x);
    if (!condition(c, kept, call->context, theta))
        return failed;
    leat_pair out = (inverse ? leat_elementwise_inverse : c->e.forward)(&c->e, moved, theta);
    return (leat_pair){ leat_mask_merge(&c->mask, x, out.y), sum_rows(out.logdet) };
}

static leat_pair coupling_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    return couple(t, x, call, false);
}

static leat_pair coupling_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    return couple(t, z, call, true);
}

static leat_inverse_kind coupling_inverse_kind(const leat_transform *t)
{
    return ((const coupling *)t)->e.inverse ? LEAT_INVERSE_CLOSED : LEAT_INVERSE_UNKNOWN;
}

/* Moves the features of x, which have been moved by theta, back to where they were, in place. */
static bool move_back(const coupling *c, leat_var x, const leat_var *theta, bool inverse)
{
    leat_tape_mark mark = leat_tape_save(x.tape);
    bool recording = leat_tape_set_recording(x.tape, false);
    leat_tensor to = leat_value(x);
    leat_var at = leat_mask_moved(&c->mask, x);
    leat_tensor from = leat_value((inverse ? c->e.forward : c->e.inverse)(&c->e, at, theta).y);
    bool ok = leat_tape_code(x.tape) == LEAT_OK;
    for (int64_t r = 0; r < to.shape.size[0] && ok; r++) {
        for (int64_t j = 0; j < c->mask.moved; j++)
            to.data[r * c->mask.dim + c->mask.moved_index[j]] = from.data[r * c->mask.moved + j];
    }
    leat_tape_keep(x.tape, mark, 0, NULL);
    leat_tape_set_recording(x.tape, recording);
    return ok;
}

/* The kept features are the input's already, so their parameters serve both ways. */
static leat_pair coupling_rebuild(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    coupling *c = (coupling *)t;
    leat_var theta[LEAT_MAX_THETA];
    leat_pair failed = { { .tape = x.tape }, { .tape = x.tape } };
    if (!leat_check_features(x, c->mask.dim, "a coupling") ||
        !condition(c, leat_mask_kept(&c->mask, x), call->context, theta) || !move_back(c, x, theta, inverse))
        return failed;
    leat_pair out = (inverse ? c->e.inverse : c->e.forward)(&c->e, leat_mask_moved(&c->mask, x), theta);
    return (leat_pair){ leat_mask_merge(&c->mask, x, out.y), sum_rows(out.logdet) };
}

static void coupling_visit(leat_module *m, leat_visitor *v)
{
    coupling *c = (coupling *)m;
    leat_visit_buffer(v, m, c->mask_buffer);
    for (int g = 0; g < (c->one_net ? 1 : c->groups); g++)
        leat_visit(v, c->nets[g]);
}

static leat_code coupling_loaded(leat_module *m, leat_status *s)
{
    coupling *c = (coupling *)m;
    return leat_mask_set(&c->mask, c->mask_buffer->value.data, s);
}

static void coupling_describe(const leat_module *m, char *text, size_t size)
{
    const coupling *c = (const coupling *)m;
    snprintf(text, size, "%s, keeps %lld, moves %lld", c->e.name, (long long)c->mask.kept, (long long)c->mask.moved);
}

/* {"elementwise":{"type":"affine"},"snet":[..],"tnet":[..]}; the mask is among the tensors */
static void coupling_write(const leat_module *m, leat_part_writer *w)
{
    const coupling *c = (const coupling *)m;
    leat_json_key(&w->json, "elementwise");
    leat_elementwise_write(w, m, &c->e);
    for (int g = 0; g < (c->one_net ? 1 : c->groups); g++) {
        leat_json_key(&w->json, c->nets[g]->scope.name);
        leat_part_write(w, c->nets[g]);
    }
}

static void coupling_trace_moved(const leat_transform *t, int64_t dim, bool *moved)
{
    const coupling *c = (const coupling *)t;
    (void)dim;
    for (int64_t j = 0; j < c->mask.moved; j++)
        moved[c->mask.moved_index[j]] = true;
}

static const leat_mask *coupling_mask(const leat_transform *t)
{
    return &((const coupling *)t)->mask;
}

static const leat_transform_type coupling_type = {
    .module = { .name = "coupling",
                .visit = coupling_visit,
                .loaded = coupling_loaded,
                .describe = coupling_describe,
                .write = coupling_write },
    .forward = coupling_forward,
    .inverse = coupling_inverse,
    .trace_moved = coupling_trace_moved,
    .mask = coupling_mask,
    .inverse_kind = coupling_inverse_kind,
    .rebuild = coupling_rebuild,
};

static coupling *coupling_new(leat_model *m, leat_mask mask, const leat_elementwise *e, bool one_net)
{
    coupling *c = leat_module_new(m, &coupling_type.module, sizeof *c);
    if (!c)
        return NULL;
    c->mask = mask;
    c->e = *e;
    c->one_net = one_net;
    while (c->groups < LEAT_MAX_THETA && e->theta[c->groups].name)
        c->groups++;
    c->mask_buffer = leat_buffer_new(&c->transform.module, "mask", LEAT_SHAPE(mask.dim));
    if (c->mask_buffer && mask.dim)
        memcpy(c->mask_buffer->value.data, mask.values, (size_t)mask.dim * sizeof(leat_real));
    return c;
}

leat_transform *leat_coupling(leat_model *m, leat_mask mask, leat_elementwise e, leat_module *net)
{
    coupling *c = coupling_new(m, mask, &e, true);
    if (!c)
        return NULL;
    c->nets[0] = net;
    leat_attach(&c->transform.module, net, "net");
    return &c->transform;
}

leat_transform *leat_coupling_nets(leat_model *m, leat_mask mask, leat_elementwise e, leat_module *const *nets)
{
    coupling *c = coupling_new(m, mask, &e, false);
    if (!c)
        return NULL;
    for (int g = 0; g < c->groups; g++) {
        c->nets[g] = nets[g];
        leat_attach(&c->transform.module, nets[g], "%snet", e.theta[g].name);
    }
    return &c->transform;
}
