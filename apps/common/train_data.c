/* The data of a training program: made or read, divided into features and context, and looked at before it is used. */
#include "columns.h"
#include "datasets.h"
#include "streams.h"
#include "train_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_ROWS = 4096 };

static leat_code no_memory(app_run *r)
{
    return leat_fail(&r->status, LEAT_ENOMEM, "%s: out of memory for its rows", r->o->data);
}

/* ---- named sets -------------------------------------------------------------------------------------------------- */

static leat_code make_data(app_run *r, const app_data_set *set)
{
    const app_train_settings *o = r->o;
    if (o->table.columns || o->context || o->bounds || o->integer)
        return leat_fail(&r->status, LEAT_EARG, "%s: --columns, --context, --bounds and --integer are for tables",
                         o->data);
    leat_rng rng = leat_rng_new((uint64_t)o->seed, APP_STREAM_DATA);
    if (isnan(r->noise))
        r->noise = set->noise;
    leat_tensor x;
    if (set->generate(o->points, r->noise, &rng, &r->arena, &x, &r->status))
        return r->status.code;
    int64_t count = leat_shape_count(&x.shape);
    r->data.x = (leat_doubles){ NULL, x.shape.size[0], x.shape.size[1] };
    r->data.x.data = leat_arena_alloc(&r->arena, (size_t)count * sizeof(double));
    for (int64_t i = 0; r->data.x.data && i < count; i++)
        r->data.x.data[i] = (double)x.data[i];
    return r->data.x.data ? LEAT_OK : no_memory(r);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* Names and places, which belong to the table, copied. */
static leat_code copy_columns(app_run *r, const leat_table *t, app_columns *out)
{
    const char *const *names = leat_table_names(t);
    out->count = leat_table_columns(t);
    out->places = leat_arena_alloc(&r->arena, (size_t)out->count * sizeof *out->places);
    const char **copies = leat_arena_alloc(&r->arena, (size_t)out->count * sizeof *copies);
    if (!out->places || !copies)
        return no_memory(r);
    for (int64_t j = 0; j < out->count; j++) {
        out->places[j] = leat_table_place(t, j);
        if (names && !(copies[j] = leat_arena_format(&r->arena, "%s", names[j])))
            return no_memory(r);
    }
    out->names = names ? copies : NULL;
    return LEAT_OK;
}

/* Rows as they come, in parts of growing size. */
enum { MOST_PARTS = 64 };
typedef struct parts {
    leat_doubles part[MOST_PARTS];
    int count;
    int64_t rows;
} parts;

static leat_code read_parts(app_run *r, leat_table *t, int64_t width, leat_arena *scratch, parts *p)
{
    int64_t n, room = 0;
    leat_doubles block, *last = NULL;
    while ((n = leat_table_next_doubles(t, BLOCK_ROWS, &block, &r->status)) > 0) {
        if (!last || last->rows + n > room) {
            room = p->rows / 2 + BLOCK_ROWS;
            last = p->count < MOST_PARTS ? &p->part[p->count++] : NULL;
            double *data = leat_arena_alloc(scratch, (size_t)(room * width) * sizeof *data);
            if (!last || !data)
                return no_memory(r);
            *last = (leat_doubles){ data, 0, width };
        }
        memcpy(last->data + last->rows * width, block.data, (size_t)(n * width) * sizeof *block.data);
        last->rows += n;
        p->rows += n;
    }
    return r->status.code;
}

/* In one pass, so that a pipe can be read. */
static leat_code copy_rows(app_run *r, leat_table *t, app_columns *out)
{
    parts p = { .count = 0 };
    leat_arena scratch;
    leat_arena_init(&scratch, NULL);
    if (!read_parts(r, t, out->count, &scratch, &p)) {
        double *at = leat_arena_alloc(&r->arena, (size_t)(p.rows * out->count) * sizeof *at);
        out->values = (leat_doubles){ at, p.rows, out->count };
        for (int i = 0; at && i < p.count; at += p.part[i].rows * out->count, i++)
            memcpy(at, p.part[i].data, (size_t)(p.part[i].rows * out->count) * sizeof *at);
        if (!out->values.data)
            no_memory(r);
    }
    leat_arena_free(&scratch);
    return r->status.code;
}

static leat_code read_columns(app_run *r, const char *program, const char *list, app_columns *out)
{
    app_table_settings o = r->o->table;
    o.columns = list;
    leat_table *t = app_table_open(program, r->o->data, &o, (leat_table_opts){ 0 }, &r->status);
    if (t && !copy_columns(r, t, out))
        copy_rows(r, t, out);
    r->latin1 = r->latin1 || (t && leat_table_latin1(t));
    leat_table_close(t);
    return r->status.code;
}

/* Without the columns that are context. */
static leat_code take_out(app_run *r, app_columns *data, const app_columns *context)
{
    int64_t rows = data->values.rows, width = data->count, kept = 0;
    const char **names = leat_arena_alloc(&r->arena, (size_t)width * sizeof *names);
    int64_t *from = leat_arena_alloc(&r->arena, (size_t)width * sizeof *from);
    if (!names || !from)
        return no_memory(r);
    for (int64_t j = 0; j < width; j++) {
        bool taken = false;
        for (int64_t k = 0; k < context->count; k++)
            taken = taken || context->places[k] == data->places[j];
        if (taken)
            continue;
        data->places[kept] = data->places[j];
        if (data->names)
            names[kept] = data->names[j];
        from[kept++] = j;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < kept; j++) /* to the front: nothing is overwritten before it is read */
            data->values.data[i * kept + j] = data->values.data[i * width + from[j]];
    data->values.columns = kept;
    data->names = data->names ? names : NULL;
    data->count = kept;
    return LEAT_OK;
}

/* Said once nothing has been refused. */
static void keep_line(void *user, const char *line)
{
    app_run *r = user;
    app_note *note = r->o->quiet ? NULL : leat_arena_alloc(&r->arena, sizeof *note), **end = &r->notes;
    if (!note)
        return;
    *note = (app_note){ leat_arena_format(&r->arena, "%s", line), NULL };
    while (*end)
        end = &(*end)->next;
    *end = note->line ? note : NULL;
}

/* What the options say of columns, and what there is to say of them. */
static leat_code look_at(app_run *r, app_columns *c, bool context)
{
    if (!context && (app_columns_bounds(c, r->o->bounds, &r->arena, &r->status) ||
                     app_columns_whole(c, r->o->integer, &r->arena, &r->status)))
        return r->status.code;
    return app_columns_look(c, context, keep_line, r, &r->status);
}

static leat_code read_table(app_run *r)
{
    const app_train_settings *o = r->o;
    const app_model_settings *model = &r->job->settings->model;
    app_columns data = { .file = o->data,
                         .heavy_base = app_base_is_heavy(model->base),
                         .chooses_base = o->epochs < 0 && !model->base && model->kind == APP_AUTO },
                context = { .file = o->data };
    r->noise = (double)NAN; /* a table is as it is */
    if (o->context && strcmp(o->data, "-") == 0)
        return leat_fail(&r->status, LEAT_EARG, "--context reads the table twice, and standard input can be read once");
    if (read_columns(r, o->quiet ? NULL : r->job->program->name, o->table.columns, &data))
        return r->status.code;
    if (o->context && (read_columns(r, NULL, o->context, &context) || take_out(r, &data, &context)))
        return r->status.code;
    if (data.count == 0)
        return leat_fail(&r->status, LEAT_EARG, "%s: there are no columns besides the context", o->data);
    if (data.count + context.count < 2 && app_model_is_coupling(app_model_kind(model, data.count)))
        return leat_fail(&r->status, LEAT_EARG, "%s: a coupling needs at least two columns, and there is one", o->data);
    if (data.values.rows == 0)
        return leat_fail(&r->status, LEAT_EARG, "%s: the table has no rows", o->data);
    if (look_at(r, &data, false) || (o->context && !o->no_standardize && look_at(r, &context, true)))
        return r->status.code;
    r->data = (app_train_data){ .x = data.values,
                                .context = context.values,
                                .columns = data.names,
                                .lower = data.lower,
                                .upper = data.upper,
                                .whole = data.whole,
                                .heavy = data.heavy,
                                .context_columns = context.names,
                                .table = true };
    return LEAT_OK;
}

leat_code app_train_load(app_run *r)
{
    const app_data_set *set = app_data_find(r->o->data);
    return set ? make_data(r, set) : read_table(r);
}
