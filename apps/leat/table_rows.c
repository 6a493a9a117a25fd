/* Tables, matched with the columns of a flow. */
#include "table_rows.h"

#include "../common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 8192 };

bool app_row_range(const char *text, int64_t *first, int64_t *last)
{
    const char *colon = text ? strchr(text, ':') : NULL;
    *first = *last = 0;
    if (!text || !*text)
        return true;
    if (!colon || (colon > text && !app_integer_read(text, (size_t)(colon - text), first)) ||
        (colon[1] && !app_integer_read(colon + 1, strlen(colon + 1), last)))
        return false;
    return *first >= 0 && (colon[1] ? *last > *first : true);
}

/* Names as leat_table_opts wants them: each in quotes. */
static void add_names(app_text *text, const char *const *names, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        app_text_format(text, text->size ? ",\"" : "\"");
        for (const char *c = names[i]; *c; c++)
            app_text_add(text, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
        app_text_add(text, "\"", 1);
    }
}

/* The names of the columns that are read, of features and then of conditions; NULL if some are not known. */
static const char *const *find_names(const app_rows *r, app_row_kind kind)
{
    app_trained *m = r->m;
    bool known = kind != APP_ROWS_LATENT && (r->features == 0 || m->columns) && (r->conditions == 0 || m->conditions);
    const char **names =
        known ? leat_arena_alloc(&m->arena, (size_t)(r->features + r->conditions) * sizeof *names) : NULL;
    if (known && !names)
        leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the names of columns");
    for (int64_t i = 0; names && i < r->features + r->conditions; i++)
        names[i] = i < r->features ? m->columns[i] : m->conditions[i - r->features];
    return names;
}

static int64_t count_name(const char *const *names, int64_t count, const char *name)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++)
        found += strcmp(names[i], name) == 0 ? 1 : 0;
    return found;
}

/* Finds the places of `count` names in a table that has each as often as they have, in their order. */
static bool find_in_order(const leat_table *t, const char *const *names, int64_t count, int64_t *places)
{
    const char *const *all = leat_table_names(t);
    int64_t found = 0;
    for (int64_t i = 0; i < leat_table_columns(t) && found < count; i++)
        if (strcmp(all[i], names[found]) == 0)
            places[found++] = i + 1;
    for (int64_t i = 0; i < count && found == count; i++)
        if (count_name(all, leat_table_columns(t), names[i]) != count_name(names, count, names[i]))
            return false;
    return found == count;
}

/* Chooses the columns by name, if both sides have names. */
static leat_code choose(app_rows *r, const char *const *names)
{
    app_trained *m = r->m;
    int64_t needs = r->features + r->conditions;
    int64_t *places = leat_arena_alloc(&m->arena, (size_t)needs * sizeof *places);
    app_text text = app_text_new(&m->arena);
    if (!names || !leat_table_names(r->table))
        return LEAT_OK;
    if (places && find_in_order(r->table, names, r->features, places) &&
        find_in_order(r->table, names + r->features, r->conditions, places + r->features))
        return leat_table_select_places(r->table, places, needs, &m->status);
    add_names(&text, names, needs);
    if (!places || text.failed)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the names of columns");
    return leat_table_select(r->table, text.bytes, &m->status);
}

/* ---- images ------------------------------------------------------------------------------------------------------ */

static leat_code check_labels(app_rows *r, const char *path)
{
    app_trained *m = r->m;
    if (r->conditions == 0)
        return LEAT_OK;
    if (!r->images.labels) {
        return leat_fail(&m->status, LEAT_EARG, "%.300s: a model by class: --labels says which class each image has",
                         m->path);
    }
    return r->images.classes <= r->conditions
               ? LEAT_OK
               : leat_fail(&m->status, LEAT_EARG, "%.200s: a label is %d, where the classes of %.200s are 0 to %lld",
                           path, r->images.classes - 1, m->path, (long long)r->conditions - 1);
}

static leat_code check_size(app_rows *r, const char *path)
{
    const leat_images *i = &r->images;
    const int64_t *want = r->m->image.size;
    int64_t pad = (want[0] - i->height) / 2;
    char hint[40] = "";
    if (i->height == want[0] && i->width == want[1] && i->channels == want[2])
        return LEAT_OK;
    if (pad > 0 && i->height + 2 * pad == want[0] && i->width + 2 * pad == want[1] && i->channels == want[2])
        snprintf(hint, sizeof hint, " (--pad %lld)", (long long)pad);
    return leat_fail(
        &r->m->status, LEAT_ESHAPE, "%.200s: images of %d x %d x %d, where %.200s needs %lld x %lld x %lld%s", path,
        i->height, i->width, i->channels, r->m->path, (long long)want[0], (long long)want[1], (long long)want[2], hint);
}

static leat_code open_images(app_rows *r, const char *path, int64_t first, int64_t last, const app_table_settings *o)
{
    app_trained *m = r->m;
    leat_images *i = &r->images;
    if (leat_test_images_read(path, &m->arena, i, &m->status) ||
        (o->labels && leat_labels_read(o->labels, &m->arena, i, &m->status)) ||
        app_images_pad(i, o->pad, &m->arena, &m->status) || check_size(r, path))
        return m->status.code;
    last = last > 0 && last < i->count ? last : i->count;
    if (first >= last) {
        return leat_fail(&m->status, LEAT_EARG, "%.200s: there is no image %lld of %lld, counted from 0", path,
                         (long long)first, (long long)i->count);
    }
    i->count = last;
    return check_labels(r, path);
}

/* The next block of them, as rows of a table. */
static bool next_images(app_rows *r)
{
    enum { IMAGES = 512 };
    leat_arena *a = &r->m->arena;
    int64_t left = r->images.count - r->first, size = r->features, classes = r->conditions;
    r->count = left < IMAGES ? left : IMAGES;
    if (left <= 0)
        return false;
    if (!r->x.data) {
        r->x.data = leat_arena_alloc(a, (size_t)(IMAGES * size) * sizeof *r->x.data);
        r->context.data = leat_arena_alloc(a, (size_t)(IMAGES * classes) * sizeof *r->context.data);
    }
    if (!r->x.data || !r->context.data) {
        leat_fail(&r->m->status, LEAT_ENOMEM, "out of memory for images");
        return false;
    }
    for (int64_t i = 0; i < r->count * size; i++)
        r->x.data[i] = r->images.pixels[r->first * size + i];
    for (int64_t i = 0; i < r->count * classes; i++)
        r->context.data[i] = r->images.labels[r->first + i / classes] == i % classes;
    r->x = (leat_doubles){ r->x.data, r->count, size };
    r->context = (leat_doubles){ classes ? r->context.data : NULL, r->count, classes };
    return true;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

leat_code app_rows_open(app_rows *r, app_trained *m, const char *path, app_row_kind kind, const char *range,
                        const app_table_settings *o)
{
    leat_table_opts opts = { 0 };
    int64_t needs;
    *r = (app_rows){ .m = m,
                     .features = kind == APP_ROWS_CONTEXT ? 0 : leat_flow_dim(m->flow),
                     .conditions = leat_flow_context(m->flow) };
    if (!app_row_range(range, &opts.first_row, &opts.last_row)) {
        return leat_fail(&m->status, LEAT_EARG, "--rows %.60s: rows are given as A:B, counted from 0, B not included",
                         range);
    }
    if (strcmp(path, "-") == 0 && strcmp(m->path, "/dev/stdin") == 0)
        return leat_fail(&m->status, LEAT_EARG, "standard input cannot be both the model and the table");
    r->first = opts.first_row;
    if (m->image.rank && kind == APP_ROWS_DATA && app_path_is_images(path))
        return open_images(r, path, opts.first_row, opts.last_row, o);
    needs = r->features + r->conditions;
    opts.known_names = find_names(r, kind);
    opts.known_count = opts.known_names ? needs : 0;
    r->table = m->status.code ? NULL : app_table_open(m->program, path, o, opts, &m->status);
    if (!r->table || (!o->columns && choose(r, opts.known_names))) {
        app_rows_close(r);
        return m->status.code;
    }
    if (leat_table_columns(r->table) != needs) {
        leat_fail(&m->status, LEAT_ESHAPE, "%.200s: %lld columns, where %.200s needs %lld%s", path,
                  (long long)leat_table_columns(r->table), m->path, (long long)needs,
                  r->conditions > 0 && r->features > 0 ? ", its context behind its features" : "");
        app_rows_close(r);
    }
    return m->status.code;
}

/* Takes a block apart into features and context. */
static bool split(app_rows *r, leat_doubles block)
{
    leat_doubles *parts[2] = { &r->x, &r->context };
    const int64_t begin[2] = { 0, r->features }, width[2] = { r->features, r->conditions };
    for (int k = 0; k < 2; k++) {
        double *data = parts[k]->data;
        if (width[k] == 0)
            continue;
        if (!data && !(data = leat_arena_alloc(&r->m->arena, (size_t)(BLOCK * width[k]) * sizeof *data))) {
            leat_fail(&r->m->status, LEAT_ENOMEM, "out of memory for rows of a table");
            return false;
        }
        for (int64_t i = 0; i < r->count; i++)
            memcpy(data + i * width[k], block.data + i * block.columns + begin[k], (size_t)width[k] * sizeof *data);
        *parts[k] = (leat_doubles){ data, r->count, width[k] };
    }
    return true;
}

bool app_rows_next(app_rows *r)
{
    leat_doubles block;
    int64_t n;
    r->first += r->count;
    r->count = 0;
    if (r->images.count)
        return next_images(r);
    n = leat_table_next_doubles(r->table, BLOCK, &block, &r->m->status);
    if (n <= 0)
        return false;
    r->count = n;
    return split(r, block);
}

void app_rows_close(app_rows *r)
{
    leat_table_close(r->table);
    r->table = NULL;
}

/* Adds a block to what there is; room doubles. */
static bool gather(app_rows *r, leat_doubles *all, leat_doubles block, int64_t *room)
{
    size_t row = (size_t)block.columns * sizeof *block.data;
    if (all->rows + block.rows > *room && block.columns > 0) {
        double *data = leat_arena_alloc(&r->m->arena, (size_t)(*room = 2 * *room + block.rows) * row);
        if (!data) {
            leat_fail(&r->m->status, LEAT_ENOMEM, "out of memory for the rows of a table");
            return false;
        }
        if (all->rows > 0)
            memcpy(data, all->data, (size_t)all->rows * row);
        *all = (leat_doubles){ data, all->rows, block.columns };
    }
    if (block.columns > 0) {
        memcpy(all->data + all->rows * block.columns, block.data, (size_t)block.rows * row);
        all->rows += block.rows;
    }
    return true;
}

leat_code app_rows_all(app_trained *m, const char *path, app_row_kind kind, const app_table_settings *o, int64_t most,
                       leat_doubles *x, leat_doubles *context)
{
    int64_t room[2] = { 0 };
    app_rows r;
    *x = *context = (leat_doubles){ 0 };
    if (app_rows_open(&r, m, path, kind, NULL, o))
        return m->status.code;
    while (x->rows < most && app_rows_next(&r) && gather(&r, x, r.x, &room[0]) &&
           gather(&r, context, r.context, &room[1])) {
    }
    app_rows_close(&r);
    if (!m->status.code && x->rows == 0)
        leat_fail(&m->status, LEAT_EFORMAT, "%.300s: has no rows", path);
    x->rows = x->rows < most ? x->rows : most;
    context->rows = context->rows < most ? context->rows : most;
    return m->status.code;
}
