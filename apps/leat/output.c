/* Rows on their way out. */
#include "output.h"

#include "../common/flow_rows.h"
#include "../common/streams.h"

#include "../../tensor/files/files.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

leat_code app_output_allow(app_trained *m, const char *out, const char *table)
{
    return app_refuse_input(out, (const char *const[]){ m->path, table }, 2, &m->status);
}

/* A terminal is not told what control characters in names tell it. */
static leat_code clean_names(app_trained *m, leat_table_writer_opts *o)
{
    const char **shown = leat_arena_alloc(&m->arena, (size_t)o->columns * sizeof *shown);
    char *texts = leat_arena_alloc(&m->arena, (size_t)o->columns * LEAT_NAME_TEXT);
    if (!shown || !texts)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the names of columns");
    for (int64_t i = 0; i < o->columns; i++)
        shown[i] = leat_name_print(o->names[i], texts + i * LEAT_NAME_TEXT);
    o->names = shown;
    return LEAT_OK;
}

leat_code app_output_open(app_output *w, app_trained *m, const char *out, const char *table, leat_table_writer_opts o)
{
    *w = (app_output){ .m = m };
    out = out ? out : "-";
    if (app_output_allow(m, out, table) ||
        (o.names && strcmp(out, "-") == 0 && isatty(STDOUT_FILENO) && clean_names(m, &o)))
        return m->status.code;
    w->writer = leat_table_create(out, &o, &m->status);
    return m->status.code;
}

leat_code app_output_append(app_output *w, const leat_tensor *rows)
{
    int64_t width = rows->shape.size[1];
    w->rows += rows->shape.size[0];
    for (int64_t i = 0; i < rows->shape.size[0]; i++) {
        int64_t j = 0;
        while (j < width && isfinite(rows->data[i * width + j]))
            j++;
        w->not_finite += j < width ? 1 : 0;
    }
    return leat_table_append(w->writer, rows, &w->m->status);
}

leat_code app_output_append_doubles(app_output *w, leat_doubles rows)
{
    w->rows += rows.rows;
    w->not_finite += app_count_not_finite(rows);
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
