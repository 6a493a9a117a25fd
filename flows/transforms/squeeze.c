/* The squeeze: pixels of an image become channels of one pixel. It is one permutation of all the numbers of a row, in
 * whichever order, and another shape for them. */
#include "../flow_impl.h"

#include <stdio.h>
#include <string.h>

typedef struct squeeze {
    leat_transform transform;
    leat_shape fine, coarse;   /* of rows with more pixels, and with more channels */
    int64_t *coarsen, *refine; /* number i of the coarse row is number coarsen[i] of the fine one, and the reverse */
    leat_squeeze_order order;
    bool back; /* forward refines */
} squeeze;

static const char *const names[] = {
    [LEAT_SQUEEZE_CHANNELS] = "channels",
    [LEAT_SQUEEZE_DIAGONAL] = "diagonal",
    [LEAT_SQUEEZE_CHECKERBOARD] = "checkerboard",
};
enum { ORDERS = sizeof names / sizeof *names };

static leat_pair squeeze_run(leat_transform *t, leat_var x, const leat_flow_call *call, bool inverse)
{
    (void)call;
    const squeeze *s = (const squeeze *)t;
    bool coarsen = s->back == inverse;
    int64_t numbers = leat_shape_count(&s->fine);
    if (!leat_check_row(x, coarsen ? s->fine : s->coarse, "a squeeze"))
        return leat_failed_pair(x);
    leat_shape all = LEAT_SHAPE(numbers);
    leat_var flat =
        leat_index_select(leat_as_rows(x, &all), 1, (leat_index){ coarsen ? s->coarsen : s->refine, numbers });
    return (leat_pair){ .y = leat_as_rows(flat, coarsen ? &s->coarse : &s->fine) };
}

static bool squeeze_out_row(const leat_transform *t, leat_shape *row)
{
    const squeeze *s = (const squeeze *)t;
    bool fits = leat_shape_equal(row, s->back ? &s->coarse : &s->fine);
    *row = s->back ? s->fine : s->coarse;
    return fits;
}

static void squeeze_trace_moved(const leat_transform *t, int64_t numbers, bool *moved)
{
    const squeeze *s = (const squeeze *)t;
    leat_trace_order(s->back ? s->refine : s->coarsen, numbers, numbers, moved);
}

static void squeeze_describe(const leat_module *m, char *text, size_t size)
{
    const squeeze *s = (const squeeze *)m;
    char from[LEAT_SHAPE_TEXT], to[LEAT_SHAPE_TEXT];
    leat_shape_print(s->back ? &s->coarse : &s->fine, from);
    snprintf(text, size, "%s -> %s, %s", from, leat_shape_print(s->back ? &s->fine : &s->coarse, to), names[s->order]);
}

static void squeeze_write(const leat_module *m, leat_part_writer *w)
{
    const squeeze *s = (const squeeze *)m;
    leat_part_put_shape(w, "row", &s->fine);
    leat_part_put_text(w, "order", names[s->order]);
    leat_part_put_bool(w, "back", s->back);
}

static leat_module *squeeze_read(leat_part_reader *r, const leat_json *v)
{
    leat_shape row;
    const char *name = leat_json_text(leat_json_get(v, "order"));
    int order = 0;
    while (order < ORDERS && !(name && strcmp(name, names[order]) == 0))
        order++;
    if (order == ORDERS)
        return leat_part_fail(r, LEAT_EFORMAT, "'order' is none of a squeeze");
    if (!leat_part_shape(r, v, "row", &row))
        return NULL;
    if (leat_shape_count(&row) > r->features)
        return leat_part_fail(r, LEAT_EFORMAT, "a squeeze of more numbers than the flow has");
    return (leat_module *)(leat_part_flag(v, "back") ? leat_unsqueeze_transform : leat_squeeze_transform)(
        r->model, row, (leat_squeeze_order)order);
}

const leat_transform_type leat_squeeze_type = {
    .module = { .name = "squeeze", .describe = squeeze_describe, .write = squeeze_write, .read = squeeze_read },
    .run = squeeze_run,
    .trace_moved = squeeze_trace_moved,
    .inverse_kind = leat_inverse_exact,
    .out_row = squeeze_out_row,
};

/* Which number of the fine row is channel c of the coarse row's pixel (i, j). */
static int64_t source(const squeeze *s, int64_t i, int64_t j, int64_t c)
{
    static const int diagonal[][2] = { { 0, 0 }, { 1, 1 }, { 0, 1 }, { 1, 0 } };
    int64_t width = s->fine.size[1], channels = s->fine.size[2], place = c / channels, channel = c % channels;
    if (s->order == LEAT_SQUEEZE_CHECKERBOARD)
        return (i * width + 2 * j + (i + place) % 2) * channels + channel;
    if (s->order == LEAT_SQUEEZE_DIAGONAL)
        return ((2 * i + diagonal[place][0]) * width + 2 * j + diagonal[place][1]) * channels + channel;
    return ((2 * i + c % 4 / 2) * width + 2 * j + c % 2) * channels + c / 4;
}

static void refuse(leat_model *m, leat_shape row, bool pairs)
{
    char text[LEAT_SHAPE_TEXT];
    if (row.rank != 3 || leat_shape_count(&row) < 1) {
        leat_model_fail(m, LEAT_EARG, "a squeeze is of rows [height,width,channels], not %s",
                        leat_shape_print(&row, text));
        return;
    }
    int64_t h = row.size[0] + (!pairs && row.size[0] % 2), w = row.size[1] + row.size[1] % 2;
    leat_model_fail(m, LEAT_EARG, "a squeeze of rows %s: %s be even; padded to %lld x %lld they fit",
                    leat_shape_print(&row, text), pairs ? "the width must" : "both sides must", (long long)h,
                    (long long)w);
}

static leat_transform *squeeze_new(leat_model *m, leat_shape row, leat_squeeze_order order, bool back)
{
    squeeze *s = leat_module_new(m, &leat_squeeze_type.module, sizeof *s);
    int64_t numbers = leat_shape_count(&row), down = order == LEAT_SQUEEZE_CHECKERBOARD ? 1 : 2;
    if (!s)
        return NULL;
    if (row.rank != 3 || numbers < 1 || row.size[0] % down || row.size[1] % 2 || (int)order < 0 ||
        (int)order >= ORDERS) {
        refuse(m, row, down == 1);
        return NULL;
    }
    s->fine = row;
    s->coarse = LEAT_SHAPE(row.size[0] / down, row.size[1] / 2, row.size[2] * 2 * down);
    s->order = order;
    s->back = back;
    s->coarsen = leat_arena_alloc(leat_model_arena(m), 2 * (size_t)numbers * sizeof *s->coarsen);
    if (!s->coarsen) {
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a squeeze of %lld numbers", (long long)numbers);
        return NULL;
    }
    s->refine = s->coarsen + numbers;
    for (int64_t k = 0; k < numbers; k++) {
        int64_t channels = s->coarse.size[2], pixel = k / channels, width = s->coarse.size[1];
        s->coarsen[k] = source(s, pixel / width, pixel % width, k % channels);
        s->refine[s->coarsen[k]] = k;
    }
    return &s->transform;
}

leat_transform *leat_squeeze_transform(leat_model *m, leat_shape row, leat_squeeze_order order)
{
    return squeeze_new(m, row, order, false);
}

leat_transform *leat_unsqueeze_transform(leat_model *m, leat_shape row, leat_squeeze_order order)
{
    return squeeze_new(m, row, order, true);
}
