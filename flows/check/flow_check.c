/*
 * The flow checker. The same three checks (round trips, cancelling log-determinants, Jacobian) run on every layer at
 * the points that reach it, then on the flow as a whole, so that the first failure names the layer it comes from; and
 * the base's draws are held against its density. Inside, rows may have any shape: they are looked at flat.
 */
#include "check_impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NOISE_UNITS = 8, NOISE_TIMES = 8, MOST_ROUNDING = 100 };

void leat_check_complain(leat_check *c, const char *format, ...)
{
    leat_flow_report *r = c->report;
    char place[200] = "the flow", text[500];
    if (!r->ok)
        return;
    r->ok = false;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (c->part) {
        char path[150];
        leat_scope_path(&c->part->scope, path, sizeof path);
        place[0] = '\0';
        if (!path[0] || strncmp(text, path, strlen(path)) != 0)
            snprintf(place, sizeof place, "%s (%.40s)", path, c->part->type->name);
    }
    snprintf(r->reason, sizeof r->reason, "%s%s%s", place, place[0] ? ": " : "", text);
}

bool leat_check_failed(leat_check *c)
{
    if (leat_tape_code(c->tape))
        leat_check_complain(c, "%s", leat_tape_errmsg(c->tape));
    return leat_tape_code(c->tape) != LEAT_OK;
}

void leat_check_unseen(leat_check *c, const char *what)
{
    leat_flow_report *r = c->report;
    char path[150] = "the flow", item[300];
    if (c->part)
        leat_scope_path(&c->part->scope, path, sizeof path);
    size_t used = strlen(r->unseen);
    int n = snprintf(item, sizeof item, "%s%s: %s", used ? "; " : "", path, what);
    r->unseen_count++;
    if (n > 0 && used + (size_t)n < sizeof r->unseen)
        memcpy(r->unseen + used, item, (size_t)n + 1);
}

void leat_check_judge(leat_check *c, double *worst, double error, double rounding, const char *what)
{
    double most = MOST_ROUNDING * c->tolerance, allowed = rounding > c->tolerance ? rounding : c->tolerance;
    allowed = allowed < most ? allowed : most;
    *worst = error > *worst || isnan(error) ? error : *worst;
    if (error <= allowed)
        return;
    bool precision = sizeof(leat_real) == 4 && error <= rounding;
    leat_check_complain(c, "%s: off by %.3g, tolerance %.3g%s", what, error, allowed,
                        precision ? "; float's rounding alone does as much here, leat64 can tell" : "");
}

void *leat_check_alloc(leat_check *c, size_t bytes)
{
    void *block = leat_arena_zalloc(c->arena, bytes);
    if (!block)
        leat_check_complain(c, "out of memory");
    return block;
}

leat_tensor leat_check_repeat(leat_check *c, leat_tensor from, int64_t n)
{
    int64_t rows = from.shape.size[0], row = rows ? leat_shape_count(&from.shape) / rows : 0;
    leat_tensor to = { .shape = from.shape };
    to.shape.size[0] = n;
    to = from.data && rows ? leat_tensor_new(c->arena, to.shape, NULL) : (leat_tensor){ 0 };
    for (int64_t r = 0; to.data && r < n; r++)
        memcpy(to.data + r * row, from.data + r % rows * row, (size_t)row * sizeof(leat_real));
    if (!to.data && from.data)
        leat_check_complain(c, rows ? "out of memory" : "there are no rows");
    return to;
}

leat_var leat_check_context(leat_check *c, int64_t n)
{
    leat_tensor part = c->context;
    if (!part.data)
        return (leat_var){ 0 };
    part.shape.size[0] = n;
    return leat_flow_see_context(
        c->flow, &(leat_flow_call){ .context = leat_const(c->tape, part), .standardized = c->standardized });
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* The largest magnitude in a row, but at least 1. */
static double row_scale(leat_tensor t, int64_t r)
{
    int64_t row = leat_shape_count(&t.shape) / t.shape.size[0];
    double scale = 1;
    for (int64_t i = r * row; i < (r + 1) * row; i++)
        scale = larger(scale, fabs((double)t.data[i]));
    return scale;
}

static leat_var add_noise(leat_check *c, leat_var x)
{
    leat_tensor from = leat_value(x), to = from;
    int64_t count = from.data ? leat_shape_count(&from.shape) : 0;
    to.data = leat_tape_alloc(c->tape, (size_t)(count + 1) * sizeof(leat_real));
    if (!to.data || !count)
        return x;
    leat_rng_fill_normal(leat_tape_rng(c->tape), to.data, count);
    int64_t row = count / from.shape.size[0];
    double unit = NOISE_UNITS * (sizeof(leat_real) == 8 ? 0x1p-52 : 0x1p-23);
    for (int64_t r = 0; r < from.shape.size[0]; r++) {
        double scale = unit * row_scale(from, r);
        for (int64_t i = r * row; i < (r + 1) * row; i++)
            to.data[i] = (leat_real)fma(scale, (double)to.data[i], (double)from.data[i]);
    }
    return leat_borrow(c->tape, to);
}

/* What a transform must hand back: as many numbers for each row, and a log-determinant [batch] or none. */
static bool fits(leat_check *c, leat_var x, leat_pair out)
{
    if (leat_tape_code(c->tape))
        return false;
    leat_shape from = leat_var_shape(x), to = leat_var_shape(out.y), logdet = LEAT_SHAPE(from.size[0]), given = logdet;
    char a[LEAT_SHAPE_TEXT], b[LEAT_SHAPE_TEXT];
    if (!leat_ok(out.y) || to.rank < 2 || to.size[0] != from.size[0] ||
        leat_shape_count(&to) != leat_shape_count(&from))
        leat_tape_fail(c->tape, LEAT_ESHAPE, "%s becomes %s: as many rows, and numbers in a row, are needed",
                       leat_shape_print(&from, a), leat_ok(out.y) ? leat_shape_print(&to, b) : "nothing");
    if (!leat_is_absent(out.logdet))
        given = leat_var_shape(out.logdet);
    if (!leat_shape_equal(&given, &logdet))
        leat_tape_fail(c->tape, LEAT_ESHAPE, "the log-determinant is %s, not %s", leat_shape_print(&given, a),
                       leat_shape_print(&logdet, b));
    return leat_tape_code(c->tape) == LEAT_OK;
}

leat_pair leat_check_run(leat_check *c, leat_var x, bool inverse, bool noise)
{
    int64_t rows = leat_var_size(x, 0);
    leat_flow_call call = { .context = leat_check_context(c, rows), .standardized = c->standardized };
    leat_pair h = { x, leat_zeros(c->tape, LEAT_SHAPE(rows)) };
    for (int i = c->first; i < c->end; i++) {
        leat_transform *layer = leat_flow_layer(c->flow, inverse ? c->end - 1 - (i - c->first) : i);
        leat_var from = noise ? add_noise(c, h.y) : h.y;
        leat_pair out = (inverse ? leat_transform_inverse : leat_transform_forward)(layer, from, &call);
        if (!fits(c, from, out))
            break;
        h.y = out.y;
        h.logdet = leat_is_absent(out.logdet) ? h.logdet : leat_add(h.logdet, out.logdet);
    }
    return h;
}

/* ---- there and back again ---------------------------------------------------------------------------------------- */

/* max |a - b| in row r. */
static double row_distance(leat_tensor a, leat_tensor b, int64_t r)
{
    double worst = 0;
    int64_t row = leat_shape_count(&a.shape) / a.shape.size[0];
    for (int64_t i = r * row; i < (r + 1) * row; i++) {
        double apart = fabs((double)a.data[i] - (double)b.data[i]);
        worst = apart > worst || isnan(apart) ? apart : worst;
    }
    return worst;
}

typedef struct trip {
    leat_tensor from, there, back, logdet, logdet_back, noisy[2], noisy_logdet[2];
    bool known; /* what rounding does */
} trip;

/* Judges row r; only asks, and says nothing, if `ask`: true if it is over the tolerance. */
static bool judge_row(leat_check *c, const trip *t, int64_t r, bool inverse_first, bool ask)
{
    double scale = larger(row_scale(t->from, r), row_scale(t->there, r)), logdet = (double)t->logdet.data[r];
    double off = row_distance(t->from, t->back, r) / scale, rounding = 0, rounding_logdet = 0;
    double sum = fabs(logdet + (double)t->logdet_back.data[r]) / larger(1, fabs(logdet));
    if (ask)
        return !(off <= c->tolerance && sum <= c->tolerance);
    for (int k = 0; k < 2 && t->known; k++) {
        double apart = fabs((double)t->noisy_logdet[k].data[r] - (double)t->logdet_back.data[r]);
        rounding = larger(rounding, NOISE_TIMES * row_distance(t->noisy[k], t->back, r) / scale);
        rounding_logdet = larger(rounding_logdet, NOISE_TIMES * apart / larger(1, fabs(logdet)));
    }
    leat_check_judge(c, inverse_first ? &c->report->round_trip_latent : &c->report->round_trip, off, rounding,
                     inverse_first ? "forward(inverse(z)) is not z" : "inverse(forward(x)) is not x");
    leat_check_judge(c, &c->report->logdet_cancel, sum, rounding_logdet,
                     "the log-determinants of forward and inverse do not cancel");
    return false;
}

static void check_round_trip(leat_check *c, leat_tensor from, bool inverse_first, bool bound)
{
    leat_tape_reset(c->tape);
    leat_tape_set_recording(c->tape, false);
    leat_pair there = leat_check_run(c, leat_const(c->tape, from), inverse_first, false);
    leat_pair back = leat_check_run(c, there.y, !inverse_first, false);
    if (leat_check_failed(c))
        return;
    trip t = { .from = from,
               .there = leat_value(there.y),
               .back = leat_value(back.y),
               .logdet = leat_value(there.logdet),
               .logdet_back = leat_value(bound ? leat_neg(there.logdet) : back.logdet) }; /* nothing to cancel */
    bool doubtful = false;
    for (int64_t r = 0; r < from.shape.size[0]; r++)
        doubtful = doubtful || judge_row(c, &t, r, inverse_first, true);
    for (int k = 0; k < 2 && doubtful; k++) {
        leat_pair noisy = leat_check_run(c, there.y, !inverse_first, true);
        t.noisy[k] = leat_value(noisy.y);
        t.noisy_logdet[k] = leat_value(noisy.logdet);
    }
    if (leat_check_failed(c))
        return;
    t.known = doubtful;
    for (int64_t r = 0; r < from.shape.size[0]; r++)
        judge_row(c, &t, r, inverse_first, false);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void check_part(leat_check *c, const leat_module *part, int first, int end, leat_tensor x, leat_tensor z)
{
    c->part = part;
    c->first = first;
    c->end = end;
    bool bound = end == first + 1 && leat_transform_is_bound(leat_flow_layer(c->flow, first));
    check_round_trip(c, x, false, bound);
    if (bound) {
        leat_check_unseen(c, "more than inverse(forward(x)), of a transform whose log-determinant is a bound");
        return;
    }
    check_round_trip(c, z, true, false);
    leat_check_jacobian(c, x);
}

static void check_all(leat_check *c, leat_tensor x)
{
    int64_t rows = x.shape.size[0], dim = x.shape.size[1];
    bool *moved = leat_check_alloc(c, (size_t)dim);
    leat_check_base(c);
    leat_tape_reset(c->tape);
    leat_tape_set_recording(c->tape, false);
    c->part = &c->flow->base->module;
    leat_var draws = leat_base_sample(c->flow->base, c->tape, rows, 1, leat_check_context(c, rows));
    leat_tensor z = leat_check_repeat(c, leat_value(draws), rows), h = x;
    int begin = 0; /* of what is looked at as a whole, behind the last transform that is a bound */
    if (leat_check_failed(c) || !z.data || !moved)
        return;
    leat_shape outside = z.shape;
    for (int i = 0; i < leat_flow_length(c->flow) && h.data; i++) {
        leat_transform *layer = leat_flow_layer(c->flow, i);
        c->part = &layer->module;
        c->first = i;
        c->end = i + 1;
        leat_tape_reset(c->tape);
        leat_tape_set_recording(c->tape, false);
        leat_tensor next = leat_value(leat_check_run(c, leat_const(c->tape, h), false, false).y);
        if (leat_check_failed(c))
            return;
        next = leat_check_repeat(c, next, rows);
        z.shape = next.data ? next.shape : z.shape;
        check_part(c, &layer->module, i, i + 1, h, z);
        leat_transform_trace(layer, dim, moved);
        h = next;
        if (leat_transform_is_bound(layer)) {
            x = next;
            begin = i + 1;
        }
    }
    z.shape = outside;
    if (h.data && rows)
        check_part(c, NULL, begin, leat_flow_length(c->flow), x, z);
    for (int64_t j = 0; j < dim && c->report->never_moved < 0; j++)
        c->report->never_moved = moved[j] ? -1 : j;
    if (c->report->never_moved >= 0)
        leat_check_complain(c, "latent feature %lld is never moved", (long long)c->report->never_moved + 1);
}

/* Behind the standardizer, as leat_real; false when out of memory. */
static bool take_doubles(leat_check *c, const leat_doubles *d, const leat_transform *standardizer, leat_tensor *out)
{
    *out = leat_tensor_new(c->arena, LEAT_SHAPE(d->rows, d->columns), NULL);
    if (out->data)
        leat_units_apply(standardizer, d->data, d->rows, d->columns, &(leat_dequantizer){ .point = 0 }, out->data,
                         NULL);
    else
        leat_check_complain(c, "out of memory");
    return out->data != NULL;
}

/* Whether rows and contexts have the flow's columns. */
static bool rows_fit(leat_check *c, const leat_tensor *x)
{
    char shape[LEAT_SHAPE_TEXT];
    const leat_flow *f = c->flow;
    const leat_shape *given = &c->context.shape;
    if (x->shape.rank != 2 || x->shape.size[1] != leat_flow_dim(f) || x->shape.size[0] < 1)
        leat_check_complain(c, "rows of %lld features are needed, not %s", (long long)leat_flow_dim(f),
                            leat_shape_print(&x->shape, shape));
    else if (leat_flow_context(f) != (c->context.data ? given->size[given->rank ? given->rank - 1 : 0] : 0) ||
             (c->context.data && (given->rank != 2 || given->size[0] < x->shape.size[0])))
        leat_check_complain(c, "a context of %lld features is needed, for each row, not %s",
                            (long long)leat_flow_context(f), leat_shape_print(given, shape));
    return c->report->ok;
}

bool leat_flow_check(leat_flow *f, leat_tensor x, const leat_flow_check_opts *o, leat_flow_report *r)
{
    static const leat_flow_check_opts defaults;
    if (!o)
        o = &defaults;
    *r = (leat_flow_report){ .ok = true, .never_moved = -1, .base_integral = (double)NAN };
    leat_model *model = f ? leat_flow_model(f) : NULL;
    leat_arena arena;
    leat_arena_init(&arena, model ? leat_model_arena(model)->allocator : NULL);
    double tolerance = sizeof(leat_real) == 8 ? 1e-9 : 1e-4;
    leat_check c = { .flow = f,
                     .arena = &arena,
                     .context = o->context,
                     .tolerance = o->tolerance > 0 ? o->tolerance : tolerance,
                     .jacobian_rows = o->jacobian_rows > 0 ? o->jacobian_rows : 8,
                     .report = r };
    if (!model || leat_model_seal(model)) {
        leat_check_complain(&c, "%s", model ? leat_model_errmsg(model) : "the flow is missing");
        return false;
    }
    c.standardized = o->doubles.data != NULL;
    if ((c.standardized && !take_doubles(&c, &o->doubles, f->input, &x)) ||
        (o->context_doubles.data && !take_doubles(&c, &o->context_doubles, f->context_input, &c.context)) ||
        !rows_fit(&c, &x)) {
        leat_arena_free(&arena);
        return false;
    }
    c.tape = leat_tape_new(&(leat_tape_opts){ .allocator = arena.allocator,
                                              .pool = leat_model_pool(model),
                                              .seed = leat_model_seed(model),
                                              .evaluate = true });
    if (c.tape)
        check_all(&c, x);
    else
        leat_check_complain(&c, "out of memory");
    leat_tape_free(c.tape);
    leat_arena_free(&arena);
    return r->ok;
}
