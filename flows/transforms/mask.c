/* Masks by index: which features a coupling keeps, taking either part out, and putting the moved part back. */
#include "../flow_impl.h"

#include <string.h>

struct leat_mask_parts {
    int64_t *kept, *moved; /* indices, ascending */
    leat_real values[];    /* [dim], 0 or 1 */
};

/* Index lists from the mask's values; false if a value is neither 0 nor 1. */
static bool index_mask(leat_mask *mask)
{
    struct leat_mask_parts *p = mask->parts;
    mask->kept = mask->moved = 0;
    for (int64_t j = 0; j < mask->dim; j++) {
        if (p->values[j] == 1)
            p->kept[mask->kept++] = j;
        else if (p->values[j] == 0)
            p->moved[mask->moved++] = j;
        else
            return false;
    }
    return true;
}

leat_mask leat_mask_of(leat_model *m, int64_t dim, const leat_real *values)
{
    leat_mask mask = { .model = m };
    if (dim < 1) {
        leat_model_fail(m, LEAT_EARG, "a mask over %lld features", (long long)dim);
        return mask;
    }
    leat_arena *a = leat_model_arena(m);
    struct leat_mask_parts *p = leat_arena_alloc(a, sizeof *p + (size_t)dim * sizeof *p->values);
    int64_t *index = leat_arena_alloc(a, 2 * (size_t)dim * sizeof *index);
    if (!p || !index) {
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a mask over %lld features", (long long)dim);
        return mask;
    }
    mask.dim = dim;
    mask.parts = p;
    p->kept = index;
    p->moved = index + dim;
    memcpy(p->values, values, (size_t)dim * sizeof *values);
    if (!index_mask(&mask))
        leat_model_fail(m, LEAT_EARG, "a mask holds ones (kept) and zeros (moved), nothing else");
    return mask;
}

leat_mask leat_mask_copy(const leat_mask *mask)
{
    return mask->dim ? leat_mask_of(mask->model, mask->dim, mask->parts->values) : *mask;
}

leat_buffer *leat_mask_buffer(const leat_mask *mask, leat_module *owner)
{
    leat_buffer *b = leat_buffer_new(owner, "mask", LEAT_SHAPE(mask->dim));
    if (b && mask->dim)
        memcpy(b->value.data, mask->parts->values, (size_t)mask->dim * sizeof(leat_real));
    return b;
}

/* values[j] = 1 where kept(j) */
static leat_mask mask_from(leat_model *m, int64_t dim, int64_t first, int64_t step, int64_t end)
{
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(m)->allocator);
    leat_real *values = dim > 0 ? leat_arena_zalloc(&scratch, (size_t)dim * sizeof *values) : NULL;
    for (int64_t j = first; values && j < end; j += step)
        values[j] = 1;
    if (dim > 0 && !values)
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a mask over %lld features", (long long)dim);
    leat_mask mask = leat_mask_of(m, values ? dim : 0, values);
    leat_arena_free(&scratch);
    return mask;
}

leat_mask leat_mask_alternating(leat_model *m, int64_t dim, int parity)
{
    return mask_from(m, dim, parity % 2 ? 0 : 1, 2, dim);
}

leat_mask leat_mask_halves(leat_model *m, int64_t dim, int parity)
{
    return parity % 2 ? mask_from(m, dim, dim / 2, 1, dim) : mask_from(m, dim, 0, 1, dim / 2);
}

leat_mask leat_mask_none(leat_model *m, int64_t dim)
{
    leat_real *zeros = dim > 0 ? leat_arena_zalloc(leat_model_arena(m), (size_t)dim * sizeof *zeros) : NULL;
    if (dim > 0 && !zeros)
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a mask over %lld features", (long long)dim);
    return leat_mask_of(m, zeros ? dim : 0, zeros);
}

/* ---- variables --------------------------------------------------------------------------------------------------- */

leat_var leat_mask_kept(const leat_mask *mask, leat_var x)
{
    return leat_index_select(x, -1, (leat_index){ mask->parts->kept, mask->kept });
}

leat_var leat_mask_moved(const leat_mask *mask, leat_var x)
{
    return leat_index_select(x, -1, (leat_index){ mask->parts->moved, mask->moved });
}

leat_var leat_mask_merge(const leat_mask *mask, leat_var x, leat_var moved)
{
    return leat_index_copy(x, -1, (leat_index){ mask->parts->moved, mask->moved }, moved);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

void leat_mask_take(const leat_mask *mask, leat_tensor rows, leat_real *moved)
{
    int64_t count = leat_shape_count(&rows.shape);
    for (int64_t row = 0; row < count; row += mask->dim) {
        for (int64_t j = 0; j < mask->moved; j++)
            *moved++ = rows.data[row + mask->parts->moved[j]];
    }
}

void leat_mask_put(const leat_mask *mask, leat_tensor rows, const leat_real *moved)
{
    int64_t count = leat_shape_count(&rows.shape);
    for (int64_t row = 0; row < count; row += mask->dim) {
        for (int64_t j = 0; j < mask->moved; j++)
            rows.data[row + mask->parts->moved[j]] = *moved++;
    }
}

bool leat_mask_keeps(const leat_mask *mask, leat_tensor a, leat_tensor b)
{
    int64_t count = leat_shape_count(&a.shape);
    for (int64_t row = 0; row < count; row += mask->dim) {
        for (int64_t j = 0; j < mask->kept; j++) {
            int64_t at = row + mask->parts->kept[j];
            if (memcmp(a.data + at, b.data + at, sizeof *a.data) != 0)
                return false;
        }
    }
    return true;
}

void leat_mask_trace(const leat_mask *mask, int64_t numbers, bool *moved)
{
    for (int64_t i = 0; i < numbers; i++)
        moved[i] = moved[i] || mask->parts->values[i % mask->dim] == 0;
}

leat_code leat_mask_set(leat_mask *mask, const leat_real *values, leat_status *s)
{
    int64_t kept = 0;
    for (int64_t j = 0; j < mask->dim; j++) {
        if (values[j] != 0 && values[j] != 1)
            return leat_fail(s, LEAT_EFORMAT, "the mask's feature %lld is %g, neither 0 nor 1", (long long)j + 1,
                             (double)values[j]);
        kept += values[j] == 1;
    }
    if (kept != mask->kept)
        return leat_fail(s, LEAT_EFORMAT, "the mask keeps %lld features, and the model was built for %lld",
                         (long long)kept, (long long)mask->kept);
    memcpy(mask->parts->values, values, (size_t)mask->dim * sizeof *values);
    index_mask(mask);
    return LEAT_OK;
}
