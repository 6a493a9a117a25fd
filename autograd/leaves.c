/* Leaves (constants, inputs, uses of parameters) and looking at what a variable holds. */
#include "tape.h"
#include "../tensor/kernels/kernels.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static leat_var leaf_new(leat_tape *t, leat_tensor value, bool copy)
{
    assert(t);
    if (t->status.code)
        return (leat_var){ .tape = t };
    int64_t count = leat_shape_count(&value.shape);
    char text[LEAT_SHAPE_TEXT];
    if (count < 0)
        return leat_tape_fail(t, LEAT_ENOMEM, "no memory could hold a tensor of shape %s",
                              leat_shape_print(&value.shape, text));
    if (copy) {
        leat_real *data = leat_tape_alloc(t, (size_t)count * sizeof(leat_real));
        if (!data)
            return (leat_var){ .tape = t };
        if (value.data && count)
            memcpy(data, value.data, (size_t)count * sizeof(leat_real));
        value.data = data;
    }
    leat_node *n = leat_tape_add(t);
    if (!n)
        return (leat_var){ .tape = t };
    n->value = value;
    return leat_tape_last(t);
}

leat_var leat_const(leat_tape *t, leat_tensor value)
{
    return leaf_new(t, value, true);
}

leat_var leat_borrow(leat_tape *t, leat_tensor value)
{
    return leaf_new(t, value, value.data == NULL); /* an empty tensor may have no data; its copy has an address */
}

leat_var leat_input(leat_tape *t, leat_tensor value)
{
    leat_var v = leaf_new(t, value, true);
    if (v.id && t->recording) {
        leat_node *n = leat_tape_node(t, v.id);
        n->needs_grad = n->is_input = true;
    }
    return v;
}

leat_var leat_full(leat_tape *t, leat_shape shape, double value)
{
    leat_var v = leaf_new(t, (leat_tensor){ .shape = shape }, true);
    if (v.id)
        leat_kernels_get()->fill(leat_tape_node(t, v.id)->value.data, leat_shape_count(&shape), (leat_real)value);
    return v;
}

leat_var leat_scalar(leat_tape *t, double value)
{
    return leat_full(t, leat_shape_of(0, NULL), value);
}

void leat_tape_set_row_starts(leat_tape *t, int64_t rows, const uint64_t *start)
{
    t->rows = rows;
    t->row_start = start;
    t->row_used = 0;
}

/* All rows at once where their numbers follow each other. */
static void fill_rows(leat_tape *t, leat_real *out, int64_t width, leat_fill_fn *fill)
{
    for (int64_t row = 0, next; row < t->rows; row = next) {
        leat_rng rng = t->rng;
        rng.position = t->row_start[row] + (uint64_t)t->row_used;
        for (next = row + 1; next < t->rows && t->row_start[next] - t->row_start[next - 1] == (uint64_t)width;)
            next++;
        fill(&rng, out + row * width, (next - row) * width);
    }
    t->row_used += width;
}

leat_var leat_rand_by(leat_tape *t, leat_shape shape, leat_fill_fn *fill)
{
    leat_var v = leaf_new(t, (leat_tensor){ .shape = shape }, true);
    leat_real *out = v.id ? leat_tape_node(t, v.id)->value.data : NULL;
    int64_t count = leat_shape_count(&shape);
    if (out && t->rows > 0 && shape.rank > 0 && shape.size[0] == t->rows)
        fill_rows(t, out, count / t->rows, fill);
    else if (out)
        fill(&t->rng, out, count);
    return v;
}

leat_var leat_randn(leat_tape *t, leat_shape shape)
{
    return leat_rand_by(t, shape, leat_rng_fill_normal);
}

static void fill_unit(leat_rng *r, leat_real *out, int64_t n)
{
    leat_rng_fill_uniform(r, out, n, 0, 1);
}

leat_var leat_rand(leat_tape *t, leat_shape shape)
{
    return leat_rand_by(t, shape, fill_unit);
}

leat_var leat_zeros(leat_tape *t, leat_shape shape)
{
    leat_var v = leaf_new(t, (leat_tensor){ .shape = shape }, false);
    if (v.id)
        leat_tape_node(t, v.id)->is_zeros = true;
    return v;
}

leat_var leat_zeros_like(leat_var x)
{
    return leat_node_of(x) ? leat_zeros(x.tape, leat_var_shape(x)) : (leat_var){ .tape = x.tape };
}

leat_var leat_leaf_var(leat_tape *t, leat_leaf *leaf)
{
    leat_var v = leaf_new(t, (leat_tensor){ leaf->value, leaf->shape }, false);
    if (v.id) {
        leat_node *n = leat_tape_node(t, v.id);
        n->leaf = leaf;
        n->scope = &leaf->scope;
        n->needs_grad = t->recording && !leaf->frozen;
    }
    return v;
}

/* ---- looking at variables ---------------------------------------------------------------------------------------- */

static leat_node *quiet_node(leat_var v)
{
    return leat_ok(v) ? leat_tape_node(v.tape, v.id) : NULL;
}

bool leat_ok(leat_var v)
{
    return v.tape && v.id && v.id <= v.tape->count && leat_tape_node(v.tape, v.id)->epoch == v.epoch;
}

bool leat_is_absent(leat_var v)
{
    return v.tape == NULL;
}

leat_tensor leat_value(leat_var v)
{
    leat_node *n = quiet_node(v);
    if (!n)
        return (leat_tensor){ 0 };
    leat_real *data = leat_node_data(v.tape, v.id);
    return (leat_tensor){ data, n->value.shape };
}

leat_shape leat_var_shape(leat_var v)
{
    leat_node *n = quiet_node(v);
    return n ? n->value.shape : leat_shape_of(0, NULL);
}

int64_t leat_var_size(leat_var v, int axis)
{
    leat_shape s = leat_var_shape(v);
    if (axis < 0)
        axis += s.rank;
    return axis >= 0 && axis < s.rank ? s.size[axis] : 0;
}

double leat_item(leat_var v)
{
    leat_tensor value = leat_value(v);
    return value.data && leat_shape_count(&value.shape) == 1 ? (double)value.data[0] : (double)NAN;
}

leat_tensor leat_grad(leat_var v)
{
    leat_node *n = quiet_node(v);
    if (!n)
        return (leat_tensor){ 0 };
    leat_real *grad = n->grad;
    if (n->leaf)
        grad = n->leaf->has_grad ? n->leaf->grad : NULL;
    return (leat_tensor){ grad, n->value.shape };
}
