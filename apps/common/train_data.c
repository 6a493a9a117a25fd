/* The data of a training program: made or read, divided into features and context, and looked at before it is used. */
#include "datasets.h"
#include "train_run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_ROWS = 4096 };

/* ---- named sets -------------------------------------------------------------------------------------------------- */

static leat_code make_data(app_run *r, const app_data_set *set)
{
    const app_train_settings *o = r->o;
    if (o->table.columns || o->context)
        return leat_fail(&r->status, LEAT_EARG, "%s: --columns and --context are for tables", o->data);
    leat_rng rng = leat_rng_new((uint64_t)o->seed, APP_STREAM_DATA);
    if (isnan(r->noise))
        r->noise = set->noise;
    return set->generate(o->points, r->noise, &rng, &r->arena, &r->data.x, &r->status);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

typedef struct columns {
    leat_tensor values;
    const char *const *names; /* NULL without a header */
    int64_t count, *places;   /* in the file, from 1 */
} columns;

static leat_code no_memory(app_run *r)
{
    return leat_fail(&r->status, LEAT_ENOMEM, "%s: out of memory for a table", r->o->data);
}

/* Names and places, which belong to the table, copied. */
static leat_code copy_columns(app_run *r, const leat_table *t, columns *out)
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

/* In one pass, so that a pipe can be read. */
static leat_code copy_rows(app_run *r, leat_table *t, columns *out)
{
    int64_t rows = 0, room = 0, width = out->count, n;
    leat_real *values = NULL;
    leat_tensor block;
    while ((n = leat_table_next(t, BLOCK_ROWS, &block, &r->status)) > 0) {
        if (rows + n > room) {
            room = 2 * room + BLOCK_ROWS;
            leat_shape shape = LEAT_SHAPE(room, width);
            leat_real *larger = leat_tensor_new(&r->arena, shape, &r->status).data;
            if (!larger)
                return r->status.code;
            if (rows)
                memcpy(larger, values, (size_t)(rows * width) * sizeof *values);
            values = larger;
        }
        memcpy(values + rows * width, block.data, (size_t)(n * width) * sizeof *values);
        rows += n;
    }
    out->values = (leat_tensor){ values, LEAT_SHAPE(rows, width) };
    return r->status.code;
}

static leat_code read_columns(app_run *r, const char *program, const char *list, columns *out)
{
    app_table_settings o = r->o->table;
    o.columns = list;
    leat_table *t = app_table_open(program, r->o->data, &o, (leat_table_opts){ 0 }, &r->status);
    if (t && !copy_columns(r, t, out))
        copy_rows(r, t, out);
    leat_table_close(t);
    return r->status.code;
}

/* Without the columns that are context. */
static leat_code take_out(app_run *r, columns *data, const columns *context)
{
    int64_t rows = data->values.shape.size[0], width = data->count, kept = 0;
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
    data->values.shape = LEAT_SHAPE(rows, kept);
    data->names = data->names ? names : NULL;
    data->count = kept;
    return LEAT_OK;
}

static const char *column_text(const columns *c, int64_t j, char text[100])
{
    if (c->names)
        snprintf(text, 100, "%lld (%.70s)", (long long)c->places[j], c->names[j]);
    else
        snprintf(text, 100, "%lld", (long long)c->places[j]);
    return text;
}

/* One line for all of them. */
static void warn(const app_run *r, const columns *c, const leat_column *about)
{
    char list[300] = "", text[100];
    size_t used = 0;
    int count = 0;
    for (int64_t j = 0; j < c->count; j++) {
        if (!about[j].discrete)
            continue;
        if (used < sizeof list - 110)
            used +=
                (size_t)snprintf(list + used, sizeof list - used, "%s%s", count ? ", " : "", column_text(c, j, text));
        else if (used < sizeof list - 4)
            used += (size_t)snprintf(list + used, sizeof list - used, ", ...");
        count++;
    }
    if (count && !r->o->quiet)
        fprintf(stderr,
                "%s: warning: %s: a few values fill column%s %s: their density has no bound, and the loss may fall "
                "without meaning\n",
                r->job->program->name, r->o->data, count > 1 ? "s" : "", list);
}

/* pandas writes the number of each row in front of it, and that column has no name. */
static void warn_of_index(const app_run *r, const columns *c)
{
    int64_t rows = c->values.shape.size[0], i = 0;
    if (r->o->quiet || !c->names || c->names[0][0] || c->places[0] != 1)
        return;
    while (i < rows && (double)c->values.data[i * c->count] == (double)i)
        i++;
    if (i == rows)
        fprintf(
            stderr,
            "%s: warning: %s: column 1 has no name and counts the rows, as an index that pandas writes (--columns 2- "
            "leaves it out)\n",
            r->job->program->name, r->o->data);
}

static leat_code look_at(app_run *r, const columns *c, bool context)
{
    char text[100];
    leat_column *about = leat_arena_alloc(&r->arena, (size_t)c->count * sizeof *about);
    if (!about)
        return no_memory(r);
    if (leat_table_inspect(&c->values, about, &r->status))
        return r->status.code;
    for (int64_t j = 0; j < c->count; j++) {
        if (about[j].constant)
            return leat_fail(&r->status, LEAT_EARG, "%.300s: column %s is constant, and %s", r->o->data,
                             column_text(c, j, text), context ? "a context of it tells nothing" : "has no density");
    }
    warn_of_index(r, c);
    if (!context)
        warn(r, c, about);
    return LEAT_OK;
}

static leat_code read_table(app_run *r)
{
    const app_train_settings *o = r->o;
    columns data = { 0 }, context = { 0 };
    r->noise = (double)NAN; /* a table is as it is */
    if (o->context && strcmp(o->data, "-") == 0)
        return leat_fail(&r->status, LEAT_EARG, "--context reads the table twice, and standard input can be read once");
    if (read_columns(r, o->quiet ? NULL : r->job->program->name, o->table.columns, &data))
        return r->status.code;
    if (o->context && (read_columns(r, NULL, o->context, &context) || take_out(r, &data, &context)))
        return r->status.code;
    if (data.count + context.count < 2 || data.count == 0)
        return leat_fail(&r->status, LEAT_EARG, "%s: a coupling needs at least two columns, and there %s", o->data,
                         data.count ? "is one" : "are none besides the context");
    if (data.values.shape.size[0] == 0)
        return leat_fail(&r->status, LEAT_EARG, "%s: the table has no rows", o->data);
    if (look_at(r, &data, false) || (o->context && !o->no_standardize && look_at(r, &context, true)))
        return r->status.code;
    r->data = (app_train_data){ .x = data.values,
                                .context = context.values,
                                .columns = data.names,
                                .context_columns = context.names,
                                .table = true };
    return LEAT_OK;
}

leat_code app_train_load(app_run *r)
{
    const app_data_set *set = app_data_find(r->o->data);
    return set ? make_data(r, set) : read_table(r);
}
