/*
 * The flow checker. The same three checks (round trips, cancelling log-determinants, Jacobian) run on every layer at
 * the points that reach it, and then on the flow as a whole; so the first failure names the layer it comes from.
 */
#include "../flow_impl.h"
#include "jacobian.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_JACOBIAN_DIM = 64 };

typedef struct check {
    leat_flow *flow;
    leat_transform *layer; /* what is being checked; NULL: the whole flow */
    leat_tape *tape;
    leat_arena *arena;
    leat_tensor context;
    double tolerance;
    int64_t jacobian_rows, dim;
    leat_flow_report *report;
} check;

static void complain(check *c, const char *format, ...) LEAT_PRINTF(2, 3);

/* Keeps the first complaint, with the layer in front. */
static void complain(check *c, const char *format, ...)
{
    if (!c->report->ok)
        return;
    c->report->ok = false;
    char place[96] = "the flow", text[120];
    if (c->layer) {
        char path[56];
        leat_scope_path(&c->layer->module.scope, path, sizeof path);
        snprintf(place, sizeof place, "%s (%.20s)", path, c->layer->module.type->name);
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(c->report->reason, sizeof c->report->reason, "%s: %.100s", place, text);
}

/* The larger of two, and NaN if either is. */
static double worse(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

/* Raises *worst to `error`, a NaN included; complains if it is over the tolerance. */
static void judge(check *c, double *worst, double error, const char *what)
{
    *worst = worse(*worst, error);
    if (!(error <= c->tolerance))
        complain(c, "%s: off by %.3g, tolerance %.3g", what, error, c->tolerance);
}

static leat_var context_of(check *c, int64_t rows)
{
    if (!c->context.data)
        return (leat_var){ 0 };
    leat_tensor part = c->context;
    part.shape.size[0] = rows;
    return leat_const(c->tape, part);
}

static leat_pair run(check *c, leat_var x, bool inverse)
{
    leat_var context = context_of(c, leat_var_size(x, 0));
    if (!c->layer)
        return inverse ? leat_flow_inverse_given(c->flow, x, context) : leat_flow_forward_given(c->flow, x, context);
    leat_flow_call call = { .context = leat_flow_see_context(c->flow, context) };
    return inverse ? leat_transform_inverse(c->layer, x, &call) : leat_transform_forward(c->layer, x, &call);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* max |a - b|, relative to the largest magnitude met in the row, x and z alike, but at least 1. */
static double row_distance(leat_tensor a, leat_tensor b, leat_tensor other)
{
    double worst = 0;
    int64_t rows = a.shape.size[0], dim = rows ? leat_shape_count(&a.shape) / rows : 0;
    for (int64_t r = 0; r < rows; r++) {
        double scale = 1;
        for (int64_t i = r * dim; i < (r + 1) * dim; i++)
            scale = larger(scale, larger(fabs((double)a.data[i]), fabs((double)other.data[i])));
        for (int64_t i = r * dim; i < (r + 1) * dim; i++) {
            worst = worse(worst, fabs((double)a.data[i] - (double)b.data[i]) / scale);
        }
    }
    return worst;
}

/* There and back again from `from`, on either side. */
static void check_round_trip(check *c, leat_tensor from, bool inverse_first)
{
    leat_tape_reset(c->tape);
    leat_tape_set_recording(c->tape, false);
    leat_var x = leat_const(c->tape, from);
    leat_pair there = run(c, x, inverse_first);
    leat_pair back = run(c, there.y, !inverse_first);
    if (leat_tape_code(c->tape)) {
        complain(c, "%.110s", leat_tape_errmsg(c->tape));
        return;
    }
    leat_tensor a = leat_value(there.logdet), b = leat_value(back.logdet);
    double *worst = inverse_first ? &c->report->round_trip_latent : &c->report->round_trip;
    judge(c, worst, row_distance(from, leat_value(back.y), leat_value(there.y)),
          inverse_first ? "forward(inverse(z)) is not z" : "inverse(forward(x)) is not x");
    for (int64_t r = 0; r < from.shape.size[0]; r++) {
        double sum = (double)a.data[r] + (double)b.data[r];
        judge(c, &c->report->logdet_cancel, fabs(sum) / larger(1, fabs((double)a.data[r])),
              "the log-determinants of forward and inverse do not cancel");
    }
}

/* Distance of one row's Jacobian from [I 0; * diag], kept features first. */
static double triangle_distance(const leat_mask *mask, const bool *moved, const double *j)
{
    double worst = 0;
    for (int64_t row = 0; row < mask->dim; row++) {
        for (int64_t column = 0; column < mask->dim; column++) {
            if (column == row ? !moved[row] : moved[column] || !moved[row])
                worst = worse(worst, fabs(j[row * mask->dim + column] - (column == row)));
        }
    }
    return worst;
}

static void check_jacobian(check *c, leat_tensor from)
{
    int64_t rows = from.shape.size[0] < c->jacobian_rows ? from.shape.size[0] : c->jacobian_rows;
    if (c->dim > MOST_JACOBIAN_DIM || rows == 0)
        return;
    from.shape.size[0] = rows;
    leat_arena_mark mark = leat_arena_save(c->arena);
    double *jacobian = leat_arena_alloc(c->arena, (size_t)(rows * c->dim * c->dim) * sizeof *jacobian);
    leat_tape_reset(c->tape);
    leat_tape_set_recording(c->tape, true);
    leat_var x = leat_input(c->tape, from);
    leat_pair z = run(c, x, false);
    if (!jacobian || leat_jacobian(z.y, x, jacobian)) {
        complain(c, "%.110s", jacobian ? leat_tape_errmsg(c->tape) : "out of memory for the Jacobian");
        return;
    }
    const leat_transform_type *type = c->layer ? (const leat_transform_type *)c->layer->module.type : NULL;
    leat_tensor logdet = leat_value(z.logdet);
    bool *moved = leat_arena_zalloc(c->arena, (size_t)c->dim);
    if (moved && type && type->mask && from.shape.rank == 2)
        leat_mask_trace(type->mask(c->layer), c->dim, moved);
    for (int64_t r = 0; r < rows; r++) {
        double *j = jacobian + r * c->dim * c->dim, said = (double)logdet.data[r];
        if (type && type->mask && moved && from.shape.rank == 2)
            judge(c, &c->report->triangle, triangle_distance(type->mask(c->layer), moved, j),
                  "the conditioner sees what it moves: the Jacobian is not block triangular");
        judge(c, &c->report->logdet_jacobian, fabs(said - leat_log_abs_det(j, c->dim)) / larger(1, fabs(said)),
              "the log-determinant is not that of the Jacobian");
    }
    leat_arena_restore(c->arena, mark);
}

static void check_moved(check *c)
{
    bool *moved = leat_arena_zalloc(c->arena, (size_t)c->dim);
    if (!moved) {
        complain(c, "out of memory");
        return;
    }
    leat_transform_trace(&c->flow->chain->transform, c->dim, moved);
    for (int64_t j = 0; j < c->dim && c->report->never_moved < 0; j++) {
        if (!moved[j])
            c->report->never_moved = j;
    }
    if (c->report->never_moved >= 0)
        complain(c, "latent feature %lld is never moved", (long long)c->report->never_moved);
}

/* A copy that outlives the tape's reset. */
static leat_tensor copy_value(check *c, leat_var v)
{
    leat_tensor from = leat_value(v), to = { .shape = from.shape };
    if (leat_tape_code(c->tape) == LEAT_OK)
        to = leat_tensor_new(c->arena, from.shape, NULL);
    if (to.data && from.data)
        memcpy(to.data, from.data, (size_t)leat_shape_count(&from.shape) * sizeof(leat_real));
    return to;
}

static void check_part(check *c, leat_transform *layer, leat_tensor x, leat_tensor z)
{
    c->layer = layer;
    check_round_trip(c, x, false);
    check_round_trip(c, z, true);
    check_jacobian(c, x);
}

static void check_all(check *c, leat_tensor x)
{
    leat_tape_set_recording(c->tape, false);
    leat_var context = leat_flow_see_context(c->flow, context_of(c, x.shape.size[0]));
    leat_tensor z = copy_value(c, leat_base_sample(c->flow->base, c->tape, x.shape.size[0], 1, context));
    leat_tensor h = x;
    for (int i = 0; i < leat_flow_length(c->flow) && z.data && h.data; i++) {
        c->layer = leat_flow_layer(c->flow, i);
        leat_tape_reset(c->tape);
        leat_tape_set_recording(c->tape, false);
        leat_tensor next = copy_value(c, run(c, leat_const(c->tape, h), false).y);
        z.shape = next.shape;
        check_part(c, c->layer, h, z);
        h = next;
    }
    c->layer = NULL;
    if (!z.data || !h.data) {
        complain(c, "%.110s", leat_tape_code(c->tape) ? leat_tape_errmsg(c->tape) : "out of memory");
        return;
    }
    check_part(c, NULL, x, z);
    check_moved(c);
}

bool leat_flow_check(leat_flow *f, leat_tensor x, const leat_flow_check_opts *o, leat_flow_report *r)
{
    static const leat_flow_check_opts defaults;
    if (!o)
        o = &defaults;
    *r = (leat_flow_report){ .ok = true, .never_moved = -1 };
    leat_model *model = f ? f->module.model : NULL;
    leat_arena arena;
    leat_arena_init(&arena, model ? leat_model_arena(model)->allocator : NULL);
    check c = { .flow = f,
                .arena = &arena,
                .context = o->context,
                .tolerance = o->tolerance > 0         ? o->tolerance
                             : sizeof(leat_real) == 8 ? 1e-9
                                                      : 1e-4,
                .jacobian_rows = o->jacobian_rows > 0 ? o->jacobian_rows : 8,
                .dim = f ? leat_flow_dim(f) : 0,
                .report = r };
    char shape[LEAT_SHAPE_TEXT];
    if (!model || leat_model_seal(model)) {
        complain(&c, "%.110s", model ? leat_model_errmsg(model) : "the flow is missing");
        return false;
    }
    if (x.shape.rank != 2 || x.shape.size[1] != c.dim) {
        complain(&c, "rows of %lld features are needed, not %s", (long long)c.dim, leat_shape_print(&x.shape, shape));
        return false;
    }
    c.tape = leat_tape_new(&(leat_tape_opts){ .allocator = arena.allocator,
                                              .pool = leat_model_pool(model),
                                              .seed = leat_model_seed(model),
                                              .evaluate = true });
    if (c.tape)
        check_all(&c, x);
    else
        complain(&c, "out of memory");
    leat_tape_free(c.tape);
    leat_arena_free(&arena);
    return r->ok;
}
