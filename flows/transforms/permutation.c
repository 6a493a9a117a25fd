/* Linear bijections: permutations, reversal, and the learned diagonal scale. */
#include "../flow_impl.h"
#include "../../nn/module_json.h"

#include <stdio.h>
#include <string.h>

/* ---- permutation and reversal ------------------------------------------------------------------------------------ */

typedef struct permutation {
    leat_transform transform;
    leat_buffer *order_buffer; /* NULL for the reversal, whose order needs no saving */
    int64_t dim;
    int64_t *order, *inverse;
} permutation;

static leat_pair permute(const permutation *p, leat_var x, const int64_t *order)
{
    if (!leat_check_features(x, p->dim, "a permutation"))
        return (leat_pair){ { .tape = x.tape }, { .tape = x.tape } };
    return (leat_pair){ leat_index_select(x, -1, (leat_index){ order, p->dim }), leat_zero_logdet(x) };
}

static leat_pair permutation_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    (void)call;
    const permutation *p = (const permutation *)t;
    return permute(p, x, p->order);
}

static leat_pair permutation_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    (void)call;
    const permutation *p = (const permutation *)t;
    return permute(p, z, p->inverse);
}

static void permutation_visit(leat_module *m, leat_visitor *v)
{
    permutation *p = (permutation *)m;
    if (p->order_buffer)
        leat_visit_buffer(v, m, p->order_buffer);
}

/* The order's inverse, and so the proof that it is a permutation; `inverse` is written only if it is one. */
static bool invert_order(const int64_t *order, int64_t *inverse, int64_t dim, leat_arena *scratch)
{
    leat_arena_mark mark = leat_arena_save(scratch);
    int64_t *place = leat_arena_alloc(scratch, (size_t)dim * sizeof *place);
    bool ok = place != NULL;
    for (int64_t j = 0; ok && j < dim; j++)
        place[j] = -1;
    for (int64_t j = 0; ok && j < dim; j++) {
        ok = order[j] >= 0 && order[j] < dim && place[order[j]] < 0;
        if (ok)
            place[order[j]] = j;
    }
    if (ok)
        memcpy(inverse, place, (size_t)dim * sizeof *place);
    leat_arena_restore(scratch, mark);
    return ok;
}

static leat_code permutation_loaded(leat_module *m, leat_status *s)
{
    permutation *p = (permutation *)m;
    if (!p->order_buffer)
        return LEAT_OK;
    const leat_real *saved = p->order_buffer->value.data;
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(m->model)->allocator);
    int64_t *order = leat_arena_alloc(&scratch, (size_t)p->dim * sizeof *order);
    bool whole = order != NULL;
    for (int64_t j = 0; whole && j < p->dim; j++) {
        whole = saved[j] >= 0 && saved[j] < (leat_real)p->dim && saved[j] == (leat_real)(int64_t)saved[j];
        order[j] = whole ? (int64_t)saved[j] : 0;
    }
    leat_code code = LEAT_OK;
    if (whole && invert_order(order, p->inverse, p->dim, &scratch))
        memcpy(p->order, order, (size_t)p->dim * sizeof *order);
    else
        code = leat_fail(s, order ? LEAT_EFORMAT : LEAT_ENOMEM, "the order of %lld features is not a permutation",
                         (long long)p->dim);
    leat_arena_free(&scratch);
    return code;
}

static void permutation_trace_moved(const leat_transform *t, int64_t dim, bool *moved)
{
    const permutation *p = (const permutation *)t;
    /* y_j = x_order[j], in place: each cycle is walked once, from its smallest member */
    for (int64_t start = 0; start < dim; start++) {
        int64_t j = p->order[start];
        while (j > start)
            j = p->order[j];
        if (j < start)
            continue;
        bool first = moved[start];
        for (j = start; p->order[j] != start; j = p->order[j])
            moved[j] = moved[p->order[j]];
        moved[j] = first;
    }
}

static leat_inverse_kind permutation_inverse_kind(const leat_transform *t)
{
    (void)t;
    return LEAT_INVERSE_EXACT;
}

static const leat_transform_type permutation_type = {
    .module = { .name = "permutation",
                .visit = permutation_visit,
                .loaded = permutation_loaded,
                .write = leat_part_write_nothing },
    .forward = permutation_forward,
    .inverse = permutation_inverse,
    .trace_moved = permutation_trace_moved,
    .inverse_kind = permutation_inverse_kind,
};

static const leat_transform_type reverse_type = {
    .module = { .name = "reverse", .write = leat_part_write_nothing },
    .forward = permutation_forward,
    .inverse = permutation_inverse,
    .trace_moved = permutation_trace_moved,
    .inverse_kind = permutation_inverse_kind,
};

static permutation *permutation_new(leat_model *m, const leat_transform_type *type, int64_t dim)
{
    permutation *p = leat_module_new(m, &type->module, sizeof *p);
    if (!p)
        return NULL;
    if (dim < 1) {
        leat_model_fail(m, LEAT_EARG, "a permutation of %lld features", (long long)dim);
        return NULL;
    }
    p->dim = dim;
    p->order = leat_arena_alloc(leat_model_arena(m), (size_t)dim * sizeof *p->order);
    p->inverse = leat_arena_alloc(leat_model_arena(m), (size_t)dim * sizeof *p->inverse);
    if (p->order && p->inverse)
        return p;
    leat_model_fail(m, LEAT_ENOMEM, "out of memory for a permutation of %lld features", (long long)dim);
    return NULL;
}

leat_transform *leat_permutation(leat_model *m, int64_t dim, const int64_t *order)
{
    permutation *p = permutation_new(m, &permutation_type, dim);
    if (!p)
        return NULL;
    p->order_buffer = leat_buffer_new(&p->transform.module, "order", LEAT_SHAPE(dim));
    if (!p->order_buffer)
        return NULL;
    if (order) {
        memcpy(p->order, order, (size_t)dim * sizeof *order);
    } else {
        leat_rng rng = leat_model_stream(m);
        leat_rng_permutation(&rng, p->order, dim);
    }
    if (!invert_order(p->order, p->inverse, dim, leat_model_arena(m))) {
        leat_model_fail(m, LEAT_EARG, "the order of %lld features is not a permutation", (long long)dim);
        return NULL;
    }
    for (int64_t j = 0; j < dim; j++)
        p->order_buffer->value.data[j] = (leat_real)p->order[j];
    return &p->transform;
}

leat_transform *leat_reverse(leat_model *m, int64_t dim)
{
    permutation *p = permutation_new(m, &reverse_type, dim);
    if (!p)
        return NULL;
    for (int64_t j = 0; j < dim; j++)
        p->order[j] = p->inverse[j] = dim - 1 - j;
    return &p->transform;
}

/* ---- diagonal scale ---------------------------------------------------------------------------------------------- */

typedef struct diagonal_scale {
    leat_transform transform;
    leat_param *log_scale;
    int64_t dim;
} diagonal_scale;

static leat_pair scale(leat_transform *t, leat_var x, bool inverse)
{
    const diagonal_scale *d = (const diagonal_scale *)t;
    if (!leat_check_features(x, d->dim, "a diagonal scale"))
        return (leat_pair){ { .tape = x.tape }, { .tape = x.tape } };
    leat_var s = leat_use(x.tape, d->log_scale);
    if (inverse)
        s = leat_neg(s);
    leat_var per_row = leat_broadcast_to(leat_sum(s), LEAT_SHAPE(leat_var_size(x, 0)));
    return (leat_pair){ leat_mul(x, leat_exp(s)), per_row };
}

static leat_pair scale_forward(leat_transform *t, leat_var x, const leat_flow_call *call)
{
    (void)call;
    return scale(t, x, false);
}

static leat_pair scale_inverse(leat_transform *t, leat_var z, const leat_flow_call *call)
{
    (void)call;
    return scale(t, z, true);
}

static void scale_visit(leat_module *m, leat_visitor *v)
{
    leat_visit_param(v, m, ((diagonal_scale *)m)->log_scale);
}

static const leat_transform_type scale_type = {
    .module = { .name = "diagonal scale", .visit = scale_visit, .write = leat_part_write_nothing },
    .forward = scale_forward,
    .inverse = scale_inverse,
    .inverse_kind = leat_inverse_closed,
};

leat_transform *leat_diagonal_scale(leat_model *m, int64_t dim)
{
    diagonal_scale *d = leat_module_new(m, &scale_type.module, sizeof *d);
    if (!d)
        return NULL;
    if (dim < 1)
        leat_model_fail(m, LEAT_EARG, "a diagonal scale of %lld features", (long long)dim);
    d->dim = dim;
    d->log_scale = leat_param_new(&d->transform.module, "log_scale", LEAT_SHAPE(dim), leat_init_zeros());
    return &d->transform;
}
