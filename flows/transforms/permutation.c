/* Permutations of features, and their reversal. */
#include "../flow_impl.h"

#include <string.h>

typedef struct permutation {
    leat_transform transform;
    leat_buffer *order_buffer;
    int64_t dim;
    int64_t *order, *inverse;
} permutation;

static leat_pair permutation_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const permutation *p = (const permutation *)t;
    if (!leat_check_features(x, p->dim, "a permutation"))
        return leat_failed_pair(x);
    return (leat_pair){ .y = leat_index_select(x, -1, (leat_index){ inverse ? p->inverse : p->order, p->dim }) };
}

/* The order's inverse, and so the proof that it is a permutation; `inverse` is written only if it is one. LEAT_EARG if not,
 * LEAT_ENOMEM. */
static leat_code invert_order(const int64_t *order, int64_t *inverse, int64_t dim, leat_arena *scratch)
{
    leat_arena_mark mark = leat_arena_save(scratch);
    int64_t *place = leat_arena_alloc(scratch, (size_t)dim * sizeof *place);
    bool ok = place != NULL;
    if (!ok)
        return LEAT_ENOMEM;
    for (int64_t j = 0; j < dim; j++)
        place[j] = -1;
    for (int64_t j = 0; ok && j < dim; j++) {
        ok = order[j] >= 0 && order[j] < dim && place[order[j]] < 0;
        if (ok)
            place[order[j]] = j;
    }
    if (ok)
        memcpy(inverse, place, (size_t)dim * sizeof *place);
    leat_arena_restore(scratch, mark);
    return ok ? LEAT_OK : LEAT_EARG;
}

static leat_code permutation_loaded(leat_module *m, leat_status *s)
{
    permutation *p = (permutation *)m;
    const leat_real *saved = p->order_buffer->value.data;
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(m->model)->allocator);
    int64_t *order = leat_arena_alloc(&scratch, (size_t)p->dim * sizeof *order);
    bool whole = order != NULL;
    for (int64_t j = 0; whole && j < p->dim; j++) {
        whole = saved[j] >= 0 && saved[j] < (leat_real)p->dim && saved[j] == (leat_real)(int64_t)saved[j];
        order[j] = whole ? (int64_t)saved[j] : 0;
    }
    leat_code code = !order ? LEAT_ENOMEM : whole ? invert_order(order, p->inverse, p->dim, &scratch) : LEAT_EARG;
    if (!code)
        memcpy(p->order, order, (size_t)p->dim * sizeof *order);
    else if (code == LEAT_ENOMEM)
        leat_fail(s, code, "out of memory for a permutation of %lld features", (long long)p->dim);
    else
        code = leat_fail(s, LEAT_EFORMAT, "the order of %lld features is not a permutation", (long long)p->dim);
    leat_arena_free(&scratch);
    return code;
}

/* In place: each cycle is walked once, from its smallest member. */
void leat_trace_order(const int64_t *order, int64_t dim, int64_t numbers, bool *moved)
{
    for (int64_t i = 0; i < numbers; i++) {
        int64_t start = i % dim, j = order[start];
        bool *at = moved + (i - start), first = at[start];
        while (j > start)
            j = order[j];
        if (j < start)
            continue;
        for (j = start; order[j] != start; j = order[j])
            at[j] = at[order[j]];
        at[j] = first;
    }
}

static void permutation_trace_moved(const leat_transform *t, int64_t numbers, bool *moved)
{
    const permutation *p = (const permutation *)t;
    leat_trace_order(p->order, p->dim, numbers, moved);
}

static void permutation_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_int(w, "dim", ((const permutation *)m)->dim);
}

/* In any order: the tensors bring the right one. */
static leat_module *permutation_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v);
    return dim > 0 && leat_read_tensor(r, "order", dim) ? (leat_module *)leat_permutation(r->model, dim, NULL) : NULL;
}

const leat_transform_type leat_permutation_type = {
    .module = { .name = "permutation",
                .loaded = permutation_loaded,
                .write = permutation_write,
                .read = permutation_read },
    .run = permutation_run,
    .trace_moved = permutation_trace_moved,
    .inverse_kind = leat_inverse_exact,
};

leat_transform *leat_permutation(leat_model *m, int64_t dim, const int64_t *order)
{
    permutation *p = leat_module_new(m, &leat_permutation_type.module, sizeof *p);
    if (!leat_check_dim(p, m, dim, "a permutation"))
        return NULL;
    p->dim = dim;
    p->order = leat_arena_alloc(leat_model_arena(m), (size_t)dim * sizeof *p->order);
    p->inverse = leat_arena_alloc(leat_model_arena(m), (size_t)dim * sizeof *p->inverse);
    p->order_buffer = leat_buffer_new(&p->transform.module, "order", LEAT_SHAPE(dim));
    if (!p->order || !p->inverse || !p->order_buffer) {
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a permutation of %lld features", (long long)dim);
        return NULL;
    }
    if (order) {
        memcpy(p->order, order, (size_t)dim * sizeof *order);
    } else {
        leat_rng rng = leat_model_stream(m);
        leat_rng_permutation(&rng, p->order, dim);
    }
    leat_code code = invert_order(p->order, p->inverse, dim, leat_model_arena(m));
    if (code) {
        leat_model_fail(m, code,
                        code == LEAT_ENOMEM ? "out of memory for a permutation of %lld features"
                                            : "the order of %lld features is not a permutation",
                        (long long)dim);
        return NULL;
    }
    for (int64_t j = 0; j < dim; j++)
        p->order_buffer->value.data[j] = (leat_real)p->order[j];
    return &p->transform;
}

/* ---- reversal ---------------------------------------------------------------------------------------------------- */

typedef struct reverse {
    leat_transform transform;
    int64_t dim;
} reverse;

static leat_pair reverse_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call, (void)inverse;
    if (!leat_check_features(x, ((const reverse *)t)->dim, "a reversal"))
        return leat_failed_pair(x);
    return (leat_pair){ .y = leat_flip(x, 1, (int[]){ -1 }) };
}

static void reverse_trace_moved(const leat_transform *t, int64_t numbers, bool *moved)
{
    int64_t dim = ((const reverse *)t)->dim;
    for (int64_t i = 0; i < numbers; i++) {
        int64_t j = i % dim, other = i - j + dim - 1 - j;
        bool was = moved[i];
        if (i < other) {
            moved[i] = moved[other];
            moved[other] = was;
        }
    }
}

static void reverse_write(const leat_module *m, leat_part_writer *w)
{
    leat_part_put_int(w, "dim", ((const reverse *)m)->dim);
}

static leat_module *reverse_read(leat_part_reader *r, const leat_json *v)
{
    int64_t dim = leat_read_dim(r, v);
    return dim > 0 ? (leat_module *)leat_reverse(r->model, dim) : NULL;
}

const leat_transform_type leat_reverse_type = {
    .module = { .name = "reverse", .write = reverse_write, .read = reverse_read },
    .run = reverse_run,
    .trace_moved = reverse_trace_moved,
    .inverse_kind = leat_inverse_exact,
};

leat_transform *leat_reverse(leat_model *m, int64_t dim)
{
    reverse *r = leat_module_new(m, &leat_reverse_type.module, sizeof *r);
    if (!leat_check_dim(r, m, dim, "a reversal"))
        return NULL;
    r->dim = dim;
    return &r->transform;
}
