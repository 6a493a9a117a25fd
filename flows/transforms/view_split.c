/*
 * Transforms that change shapes: the view, and the split of multi-scale models.
 *
 * The split hands some features of every position to an inner transform and lets the others out as they are. What comes
 * out is one row: first what went out here, position after position, then what the inner transform made of the rest.
 */
#include "../flow_impl.h"

#include <stdio.h>
#include <string.h>

/* ---- view -------------------------------------------------------------------------------------------------------- */

typedef struct view {
    leat_transform transform;
    leat_shape from, to;
} view;

static leat_pair view_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const view *v = (const view *)t;
    if (!leat_check_row(x, inverse ? v->to : v->from, "a view"))
        return leat_failed_pair(x);
    return (leat_pair){ .y = leat_as_rows(x, inverse ? &v->from : &v->to) };
}

static bool view_out_row(const leat_transform *t, leat_shape *row)
{
    const view *v = (const view *)t;
    bool fits = leat_shape_equal(row, &v->from);
    *row = v->to;
    return fits;
}

static void view_describe(const leat_module *m, char *text, size_t size)
{
    char from[LEAT_SHAPE_TEXT], to[LEAT_SHAPE_TEXT];
    const view *v = (const view *)m;
    snprintf(text, size, "%s -> %s", leat_shape_print(&v->from, from), leat_shape_print(&v->to, to));
}

static void view_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_shape(w, "from", &((const view *)m)->from);
    leat_part_put_shape(w, "to", &((const view *)m)->to);
}

static leat_module *view_read(leat_part_reader *r, const leat_json *v)
{
    leat_shape from, to;
    if (!leat_part_shape(r, v, "from", &from) || !leat_part_shape(r, v, "to", &to))
        return NULL;
    leat_transform *t = leat_view(r->model, from, to);
    return t ? &t->module : NULL;
}

const leat_transform_type leat_view_type = {
    .module = { .name = "view", .describe = view_describe, .write = view_write, .read = view_read },
    .run = view_run,
    .trace_moved = leat_trace_nothing,
    .inverse_kind = leat_inverse_exact,
    .out_row = view_out_row,
};

/* A row's shape leaves room for the batch and has some numbers. */
static bool is_row(const leat_shape *row)
{
    return row->rank >= 1 && row->rank < LEAT_MAX_RANK && leat_shape_count(row) > 0;
}

leat_transform *leat_view(leat_model *m, leat_shape from, leat_shape to)
{
    char a[LEAT_SHAPE_TEXT], b[LEAT_SHAPE_TEXT];
    view *v = leat_module_new(m, &leat_view_type.module, sizeof *v);
    if (!v)
        return NULL;
    v->from = from;
    v->to = to;
    if (is_row(&from) && is_row(&to) && leat_shape_count(&from) == leat_shape_count(&to))
        return &v->transform;
    leat_model_fail(m, LEAT_EARG, "a view of rows %s as rows %s", leat_shape_print(&from, a), leat_shape_print(&to, b));
    return NULL;
}

/* ---- split ------------------------------------------------------------------------------------------------------- */

typedef struct split {
    leat_transform transform;
    leat_shape row;
    int64_t features; /* that go on */
    leat_transform *inner;
} split;

/* The shapes of what goes on and of what goes out. */
static leat_shape part_row(const split *s, bool inner)
{
    leat_shape row = s->row;
    int64_t *last = &row.size[row.rank - 1];
    *last = inner ? s->features : *last - s->features;
    return row;
}

static leat_var flat(leat_var x)
{
    leat_shape row = leat_row_of(x);
    row = LEAT_SHAPE(leat_shape_count(&row));
    return leat_as_rows(x, &row);
}

static leat_pair split_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    const split *s = (const split *)t;
    if (!leat_check_row(x, s->row, "a split"))
        return leat_failed_pair(x);
    int64_t features = s->row.size[s->row.rank - 1];
    leat_var out = leat_slice(x, -1, s->features, features - s->features);
    leat_flow_call deeper = *call;
    deeper.level++;
    leat_pair inner = leat_transform_forward(s->inner, leat_slice(x, -1, 0, s->features), &deeper);
    if (leat_tape_code(x.tape))
        return leat_failed_pair(x);
    return (leat_pair){ leat_concat(2, (leat_var[]){ flat(out), flat(inner.y) }, -1), inner.logdet };
}

static leat_pair split_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    const split *s = (const split *)t;
    leat_shape rest = part_row(s, false), inner = part_row(s, true);
    int64_t out = leat_shape_count(&rest), all = leat_shape_count(&s->row);
    if (!leat_check_row(z, LEAT_SHAPE(all), "a split's inverse"))
        return leat_failed_pair(z);
    if (!leat_transform_row(s->inner, &inner) || leat_shape_count(&inner) != all - out) {
        leat_tape_fail(z.tape, LEAT_ESHAPE, "the transform inside of a split does not fit its rows");
        return leat_failed_pair(z);
    }
    leat_var moved = leat_as_rows(leat_slice(z, -1, out, all - out), &inner);
    leat_flow_call deeper = *call;
    deeper.level++;
    leat_pair x = leat_transform_inverse(s->inner, moved, &deeper);
    if (leat_tape_code(z.tape))
        return leat_failed_pair(z);
    leat_var kept = leat_as_rows(leat_slice(z, -1, 0, out), &rest);
    return (leat_pair){ leat_concat(2, (leat_var[]){ x.y, kept }, -1), x.logdet };
}

/* What goes out is gathered in front. */
static void split_trace_moved(const leat_transform *t, int64_t numbers, bool *moved)
{
    const split *s = (const split *)t;
    int64_t features = s->row.size[s->row.rank - 1], positions = numbers / features, out = 0, on = 0;
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(t->module.model)->allocator);
    bool *inner = leat_arena_alloc(&scratch, (size_t)(positions * s->features) * sizeof *inner);
    for (int64_t i = 0; inner && i < numbers; i++) {
        if (i % features < s->features)
            inner[on++] = moved[i];
        else
            moved[out++] = moved[i];
    }
    if (inner) {
        leat_transform_trace(s->inner, on, inner);
        memcpy(moved + out, inner, (size_t)on * sizeof *inner);
    }
    leat_arena_free(&scratch);
}

static leat_transform *split_inner(const leat_transform *t)
{
    return ((const split *)t)->inner;
}

static bool split_out_row(const leat_transform *t, leat_shape *row)
{
    bool fits = leat_shape_equal(row, &((const split *)t)->row);
    *row = LEAT_SHAPE(leat_shape_count(row));
    return fits;
}

static void split_describe(const leat_module *m, char *text, size_t size)
{
    char row[LEAT_SHAPE_TEXT];
    const split *s = (const split *)m;
    snprintf(text, size, "%s, %lld features go on", leat_shape_print(&s->row, row), (long long)s->features);
}

static void split_write(const leat_module *m, leat_part_writer *w)
{
    const split *s = (const split *)m;
    leat_part_put_shape(w, "row", &s->row);
    leat_part_put_int(w, "features", s->features);
    leat_part_put_module(w, "inner", &s->inner->module);
}

static leat_module *split_read(leat_part_reader *r, const leat_json *v)
{
    leat_shape row;
    int64_t features = leat_part_size(r, v, "features", 1);
    if (features < 0 || !leat_part_shape(r, v, "row", &row))
        return NULL;
    leat_transform *inner = leat_part_inner(r, v, "inner");
    leat_transform *t = inner ? leat_split_transform(r->model, row, features, inner) : NULL;
    return t ? &t->module : NULL;
}

const leat_transform_type leat_split_type = {
    .module = { .name = "split", .describe = split_describe, .write = split_write, .read = split_read },
    .forward = split_forward,
    .inverse = split_inverse,
    .trace_moved = split_trace_moved,
    .inner = split_inner,
    .out_row = split_out_row,
};

leat_transform *leat_split_transform(leat_model *m, leat_shape row, int64_t features, leat_transform *inner)
{
    char text[LEAT_SHAPE_TEXT];
    split *s = leat_module_new(m, &leat_split_type.module, sizeof *s);
    if (!s)
        return NULL;
    *s = (split){ .transform = s->transform, .row = row, .features = features, .inner = inner };
    leat_attach(&s->transform.module, inner ? &inner->module : NULL, "inner");
    if (!is_row(&row) || features < 1 || features >= row.size[row.rank - 1])
        leat_model_fail(m, LEAT_EARG, "a split of rows %s of which %lld features go on", leat_shape_print(&row, text),
                        (long long)features);
    return leat_model_code(m) ? NULL : &s->transform;
}
