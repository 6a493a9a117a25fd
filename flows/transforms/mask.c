/*
 * Masks: which part of a row a coupling keeps, taking either part out, and putting the moved part back.
 *
 * A row is made of cells, of which a mask has a list of those it keeps and one of those it moves: its features, at every
 * position alike, or the positions of an image, with all features that are there.
 */
#include "../flow_impl.h"

#include <stdio.h>
#include <string.h>

struct leat_mask_parts {
    int64_t height, width, cells; /* height 0: the cells are features */
    leat_index kept, moved;       /* ascending */
    leat_real values[];           /* [cells], 0 or 1 */
};

static bool by_position(const leat_mask *mask)
{
    return mask->parts->height > 0;
}

/* Index lists from the mask's values; false if a value is neither 0 nor 1. */
static bool index_mask(leat_mask *mask)
{
    struct leat_mask_parts *p = mask->parts;
    int64_t *kept = (int64_t *)p->kept.at, *moved = (int64_t *)p->moved.at;
    p->kept.count = p->moved.count = 0;
    for (int64_t j = 0; j < p->cells; j++) {
        if (p->values[j] == 1)
            kept[p->kept.count++] = j;
        else if (p->values[j] == 0)
            moved[p->moved.count++] = j;
        else
            return false;
    }
    mask->kept = by_position(mask) ? mask->dim : p->kept.count;
    mask->moved = by_position(mask) ? mask->dim : p->moved.count;
    return true;
}

leat_mask leat_mask_over(leat_model *m, int64_t height, int64_t width, int64_t dim, const leat_real *values)
{
    leat_mask mask = { .model = m };
    if (dim < 1) {
        leat_model_fail(m, LEAT_EARG, "a mask over %lld features", (long long)dim);
        return mask;
    }
    int64_t cells = height ? height * width : dim;
    leat_arena *a = leat_model_arena(m);
    struct leat_mask_parts *p = leat_arena_alloc(a, sizeof *p + (size_t)cells * sizeof *p->values);
    int64_t *index = leat_arena_alloc(a, 2 * (size_t)cells * sizeof *index);
    if (!p || !index) {
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a mask over %lld places", (long long)cells);
        return mask;
    }
    *p = (struct leat_mask_parts){ height, width, cells, { index, 0 }, { index + cells, 0 } };
    mask.dim = dim;
    mask.parts = p;
    memcpy(p->values, values, (size_t)cells * sizeof *values);
    if (!index_mask(&mask))
        leat_model_fail(m, LEAT_EARG, "a mask holds ones (kept) and zeros (moved), nothing else");
    return mask;
}

leat_mask leat_mask_of(leat_model *m, int64_t dim, const leat_real *values)
{
    return leat_mask_over(m, 0, 0, dim, values);
}

leat_mask leat_mask_copy(const leat_mask *mask)
{
    const struct leat_mask_parts *p = mask->parts;
    return mask->dim ? leat_mask_over(mask->model, p->height, p->width, mask->dim, p->values) : *mask;
}

leat_buffer *leat_mask_buffer(const leat_mask *mask, leat_module *owner)
{
    int64_t cells = mask->dim ? mask->parts->cells : 0;
    leat_buffer *b = leat_buffer_new(owner, "mask", LEAT_SHAPE(cells));
    if (b && cells)
        memcpy(b->value.data, mask->parts->values, (size_t)cells * sizeof(leat_real));
    return b;
}

/* Kept are the white cells of a board of that width or, with halves, those of one half. */
static leat_mask mask_from(leat_model *m, int64_t height, int64_t width, int64_t dim, int parity, bool halves)
{
    int64_t cells = height ? height * width : dim;
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(m)->allocator);
    leat_real *values = cells > 0 ? leat_arena_alloc(&scratch, (size_t)cells * sizeof *values) : NULL;
    if (cells > 0 && !values)
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a mask over %lld places", (long long)cells);
    for (int64_t j = 0; values && j < cells; j++) {
        int64_t side = halves ? j >= cells / 2 : height ? j / width + j % width : j;
        values[j] = (side + parity) % 2 != (halves ? 1 : 0);
    }
    leat_mask mask = leat_mask_over(m, height, width, values ? dim : 0, values);
    leat_arena_free(&scratch);
    return mask;
}

leat_mask leat_mask_alternating(leat_model *m, int64_t dim, int parity)
{
    return mask_from(m, 0, 0, dim, parity, false);
}

leat_mask leat_mask_halves(leat_model *m, int64_t dim, int parity)
{
    return mask_from(m, 0, 0, dim, parity, true);
}

leat_mask leat_mask_checkerboard(leat_model *m, leat_shape row, int parity)
{
    char text[LEAT_SHAPE_TEXT];
    if (row.rank == 3 && leat_shape_count(&row) > 0)
        return mask_from(m, row.size[0], row.size[1], row.size[2], parity, false);
    leat_model_fail(m, LEAT_EARG, "a checkerboard is over rows [height,width,channels], not %s",
                    leat_shape_print(&row, text));
    return (leat_mask){ .model = m };
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

void leat_mask_write(const leat_mask *mask, leat_part_writer *w)
{
    const struct leat_mask_parts *p = mask->parts;
    leat_part_put_int(w, "dim", mask->dim);
    leat_shape positions = LEAT_SHAPE(p->height, p->width);
    if (by_position(mask))
        leat_part_put_shape(w, "positions", &positions);
}

bool leat_mask_read(leat_part_reader *r, const leat_json *v, leat_mask *mask)
{
    leat_shape at = LEAT_SHAPE(0, 0);
    int64_t dim = leat_read_dim(r, v);
    if (dim < 0 || (leat_json_get(v, "positions") && !leat_part_shape(r, v, "positions", &at)))
        return false;
    int64_t cells = at.rank == 2 ? leat_shape_count(&at) : -1;
    const leat_tensor *values = cells >= 0 ? leat_read_tensor(r, "mask", cells ? cells : dim) : NULL;
    if (values)
        *mask = leat_mask_over(r->model, cells ? at.size[0] : 0, at.size[1], dim, values->data);
    return values != NULL;
}

void leat_mask_describe(const leat_mask *mask, char *text, size_t size)
{
    const struct leat_mask_parts *p = mask->parts;
    int n = snprintf(text, size, "keeps %lld, moves %lld", (long long)p->kept.count, (long long)p->moved.count);
    if (by_position(mask) && n > 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, " of %lldx%lld positions", (long long)p->height, (long long)p->width);
}

leat_mask leat_mask_none(leat_model *m, int64_t dim)
{
    leat_real *zeros = dim > 0 ? leat_arena_zalloc(leat_model_arena(m), (size_t)dim * sizeof *zeros) : NULL;
    if (dim > 0 && !zeros)
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a mask over %lld features", (long long)dim);
    return leat_mask_of(m, zeros ? dim : 0, zeros);
}

/* ---- variables --------------------------------------------------------------------------------------------------- */

bool leat_mask_fits(const leat_mask *mask, leat_var x)
{
    const struct leat_mask_parts *p = mask->parts;
    return by_position(mask) ? leat_check_row(x, LEAT_SHAPE(p->height, p->width, mask->dim), "a coupling")
                             : leat_check_features(x, mask->dim, "a coupling");
}

/* [batch, height, width, n] -> [batch, cells, n] */
static leat_var in_cells(const leat_mask *mask, leat_var x)
{
    return leat_reshape(x, LEAT_SHAPE(leat_var_size(x, 0), mask->parts->cells, leat_var_size(x, -1)));
}

leat_var leat_mask_kept(const leat_mask *mask, leat_var x)
{
    const struct leat_mask_parts *p = mask->parts;
    if (!by_position(mask))
        return leat_index_select(x, -1, p->kept);
    return leat_mul(x, leat_borrow(x.tape, (leat_tensor){ mask->parts->values, LEAT_SHAPE(p->height, p->width, 1) }));
}

leat_var leat_mask_moved(const leat_mask *mask, leat_var x)
{
    return by_position(mask) ? leat_index_select(in_cells(mask, x), 1, mask->parts->moved)
                             : leat_index_select(x, -1, mask->parts->moved);
}

leat_var leat_mask_given(const leat_mask *mask, leat_var x)
{
    const leat_var nothing = { 0 };
    return by_position(mask) ? nothing : leat_mask_kept(mask, x);
}

leat_var leat_mask_theta(const leat_mask *mask, leat_var out)
{
    return by_position(mask) && leat_ok(out) ? leat_mask_moved(mask, out) : out;
}

leat_var leat_mask_merge(const leat_mask *mask, leat_var x, leat_var moved)
{
    if (!by_position(mask))
        return leat_index_copy(x, -1, mask->parts->moved, moved);
    return leat_reshape(leat_index_copy(in_cells(mask, x), 1, mask->parts->moved, moved), leat_var_shape(x));
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* How many numbers a cell has, and all cells together. */
static int64_t numbers_of(const leat_mask *mask)
{
    return by_position(mask) ? mask->dim : 1;
}

static int64_t stride_of(const leat_mask *mask)
{
    return mask->parts->cells * numbers_of(mask);
}

leat_shape leat_mask_moved_shape(const leat_mask *mask, leat_shape rows)
{
    if (by_position(mask))
        return LEAT_SHAPE(rows.size[0], mask->parts->moved.count, mask->dim);
    rows.size[rows.rank - 1] = mask->moved;
    return rows;
}

void leat_mask_take(const leat_mask *mask, leat_tensor rows, leat_real *moved)
{
    int64_t count = leat_shape_count(&rows.shape), n = numbers_of(mask);
    for (int64_t row = 0; row < count; row += stride_of(mask)) {
        for (int64_t j = 0; j < mask->parts->moved.count; j++, moved += n)
            memcpy(moved, rows.data + row + n * mask->parts->moved.at[j], (size_t)n * sizeof *moved);
    }
}

void leat_mask_put(const leat_mask *mask, leat_tensor rows, const leat_real *moved)
{
    int64_t count = leat_shape_count(&rows.shape), n = numbers_of(mask);
    for (int64_t row = 0; row < count; row += stride_of(mask)) {
        for (int64_t j = 0; j < mask->parts->moved.count; j++, moved += n)
            memcpy(rows.data + row + n * mask->parts->moved.at[j], moved, (size_t)n * sizeof *moved);
    }
}

bool leat_mask_keeps(const leat_mask *mask, leat_tensor a, leat_tensor b)
{
    int64_t count = leat_shape_count(&a.shape), n = numbers_of(mask);
    for (int64_t row = 0; row < count; row += stride_of(mask)) {
        for (int64_t j = 0; j < mask->parts->kept.count; j++) {
            int64_t at = row + n * mask->parts->kept.at[j];
            if (memcmp(a.data + at, b.data + at, (size_t)n * sizeof *a.data) != 0)
                return false;
        }
    }
    return true;
}

void leat_mask_trace(const leat_mask *mask, int64_t numbers, bool *moved)
{
    for (int64_t i = 0; i < numbers; i++)
        moved[i] = moved[i] || mask->parts->values[i / numbers_of(mask) % mask->parts->cells] == 0;
}

leat_code leat_mask_set(leat_mask *mask, const leat_real *values, leat_status *s)
{
    int64_t kept = 0, cells = mask->parts->cells;
    const char *what = by_position(mask) ? "position" : "feature";
    for (int64_t j = 0; j < cells; j++) {
        if (values[j] != 0 && values[j] != 1)
            return leat_fail(s, LEAT_EFORMAT, "the mask's %s %lld is %g, neither 0 nor 1", what, (long long)j + 1,
                             (double)values[j]);
        kept += values[j] == 1;
    }
    if (kept != mask->parts->kept.count)
        return leat_fail(s, LEAT_EFORMAT, "the mask keeps %lld %ss, and the model was built for %lld", (long long)kept,
                         what, (long long)mask->parts->kept.count);
    memcpy(mask->parts->values, values, (size_t)cells * sizeof *values);
    index_mask(mask);
    return LEAT_OK;
}
