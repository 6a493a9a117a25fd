/* Masks by index: which features a coupling keeps, taking either part out, and putting the moved part back. */
#include "../flow_impl.h"

#include <string.h>

/* Index lists from the mask's values; false if a value is neither 0 nor 1. */
static bool index_mask(leat_mask *mask)
{
    mask->kept = mask->moved = 0;
    for (int64_t j = 0; j < mask->dim; j++) {
        if (mask->values[j] == 1)
            mask->kept_index[mask->kept++] = j;
        else if (mask->values[j] == 0)
            mask->moved_index[mask->moved++] = j;
        else
            return false;
    }
    return true;
}

leat_mask leat_mask_of(leat_model *m, int64_t dim, const leat_real *values)
{
    leat_mask mask = { .model = m, .dim = dim };
    if (dim < 1) {
        leat_model_fail(m, LEAT_EARG, "a mask over %lld features", (long long)dim);
        mask.dim = 0;
        return mask;
    }
    leat_arena *a = leat_model_arena(m);
    leat_real *copy = leat_arena_alloc(a, (size_t)dim * sizeof *copy);
    mask.kept_index = leat_arena_alloc(a, (size_t)dim * sizeof(int64_t));
    mask.moved_index = leat_arena_alloc(a, (size_t)dim * sizeof(int64_t));
    if (!copy || !mask.kept_index || !mask.moved_index) {
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a mask over %lld features", (long long)dim);
        mask.dim = 0;
        return mask;
    }
    memcpy(copy, values, (size_t)dim * sizeof *copy);
    mask.values = copy;
    if (!index_mask(&mask))
        leat_model_fail(m, LEAT_EARG, "a mask holds ones (kept) and zeros (moved), nothing else");
    return mask;
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

leat_var leat_mask_kept(const leat_mask *mask, leat_var x)
{
    return leat_index_select(x, -1, (leat_index){ mask->kept_index, mask->kept });
}

leat_var leat_mask_moved(const leat_mask *mask, leat_var x)
{
    return leat_index_select(x, -1, (leat_index){ mask->moved_index, mask->moved });
}

leat_var leat_mask_merge(const leat_mask *mask, leat_var x, leat_var moved)
{
    return leat_index_copy(x, -1, (leat_index){ mask->moved_index, mask->moved }, moved);
}

leat_code leat_mask_set(leat_mask *mask, const leat_real *values, leat_status *s)
{
    int64_t kept = 0;
    for (int64_t j = 0; j < mask->dim; j++) {
        if (values[j] != 0 && values[j] != 1)
            return leat_fail(s, LEAT_EFORMAT, "the mask's feature %lld is %g, neither 0 nor 1", (long long)j,
                             (double)values[j]);
        kept += values[j] == 1;
    }
    if (kept != mask->kept)
        return leat_fail(s, LEAT_EFORMAT, "the mask keeps %lld features, and the model was built for %lld",
                         (long long)kept, (long long)mask->kept);
    memcpy(mask->values, values, (size_t)mask->dim * sizeof *values);
    index_mask(mask);
    return LEAT_OK;
}
