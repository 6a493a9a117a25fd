/* What pictures of a flow share: the samples, and the ranges of axes. */
#include "draw.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

app_range app_range_of(app_trained *m, const leat_tensor *tables, int count, int64_t column, double left_out)
{
    leat_arena_mark mark = leat_arena_save(&m->arena);
    int64_t total = 0, n = 0, cut;
    app_range r = { 0, 1 };
    double *sorted, room;
    for (int k = 0; k < count; k++)
        total += tables[k].data ? tables[k].shape.size[0] : 0;
    sorted = leat_arena_alloc(&m->arena, (size_t)total * sizeof *sorted);
    if (!sorted)
        leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the range of an axis");
    for (int k = 0; k < count && sorted; k++) {
        for (int64_t i = 0; tables[k].data && i < tables[k].shape.size[0]; i++) {
            double x = (double)tables[k].data[i * tables[k].shape.size[1] + column];
            if (isfinite(x))
                sorted[n++] = x;
        }
    }
    if (n > 0) {
        qsort(sorted, (size_t)n, sizeof *sorted, by_value);
        cut = (int64_t)((double)n * left_out / 2);
        room = 0.06 * (sorted[n - 1 - cut] - sorted[cut]);
        room = room > 0 ? room : 0.5;
        r = (app_range){ sorted[cut] - room, sorted[n - 1 - cut] + room };
    }
    leat_arena_restore(&m->arena, mark);
    return r;
}

leat_code app_draw(app_trained *m, const app_drawing *d)
{
    int64_t dim = leat_flow_dim(m->flow);
    leat_tensor samples = leat_tensor_new(&m->arena, LEAT_SHAPE(d->samples, dim), &m->status);
    if (!samples.data)
        return m->status.code;
    if (leat_flow_context(m->flow) > 0) {
        return leat_fail(&m->status, LEAT_EARG,
                         "%s: a conditional flow has a picture for each context: draw from it "
                         "with leat sample, and plot those",
                         m->path);
    }
    if (leat_flow_draw(m->flow, m->tape, d->samples, 1, samples.data)) {
        return leat_fail(&m->status, leat_tape_code(m->tape), "%s: drawing samples: %s", m->path,
                         leat_tape_errmsg(m->tape));
    }
    return dim == 2 ? app_draw_plane(m, d, samples) : app_draw_corner(m, d, samples);
}
