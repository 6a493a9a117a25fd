/* Rows on their way out. */
#include "output.h"

#include "../common/flow_rows.h"
#include "../common/streams.h"

#include <math.h>

leat_code app_output_allow(app_trained *m, const char *out, const char *table)
{
    return app_refuse_input(out, (const char *const[]){ m->path, table }, 2, &m->status);
}

leat_code app_output_open(app_output *w, app_trained *m, const char *out, const char *table,
                          const leat_table_writer_opts *o)
{
    *w = (app_output){ .m = m };
    if (!app_output_allow(m, out, table)) {
        w->writer = leat_table_create(out ? out : "-", o, &m->status);
    }
    return m->status.code;
}

static void count_row(app_output *w, bool finite)
{
    w->rows++;
    w->not_finite += finite ? 0 : 1;
}

leat_code app_output_append(app_output *w, const leat_tensor *rows)
{
    int64_t width = rows->shape.size[1];

    for (int64_t i = 0; i < rows->shape.size[0]; i++) {
        bool finite = true;

        for (int64_t j = 0; j < width; j++) {
            finite = finite && isfinite(rows->data[i * width + j]);
        }
        count_row(w, finite);
    }
    return leat_table_append(w->writer, rows, &w->m->status);
}

leat_code app_output_append_doubles(app_output *w, leat_doubles rows)
{
    for (int64_t i = 0; i < rows.rows; i++) {
        bool finite = true;

        for (int64_t j = 0; j < rows.columns; j++) {
            finite = finite && isfinite(rows.data[i * rows.columns + j]);
        }
        count_row(w, finite);
    }
    return app_flow_rows_append(w->writer, w->m->flow, rows, &w->m->status);
}

leat_code app_output_close(app_output *w)
{
    app_trained *m = w->m;

    if (w->not_finite > 0) {
        leat_fail(&m->status, LEAT_ENONFINITE, "%s: of %lld rows %lld came out with numbers that are not finite",
                  m->path, (long long)w->rows, (long long)w->not_finite);
    }
    if (m->status.code) {
        leat_table_discard(w->writer);
        return m->status.code;
    }
    return leat_table_commit(w->writer, &m->status);
}
