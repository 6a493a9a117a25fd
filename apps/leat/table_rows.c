/* Tables, matched with the columns of a flow. */
#include "table_rows.h"

#include "../common/text.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 8192 };

bool app_row_range(const char *text, int64_t *first, int64_t *last)
{
    const char *colon = text ? strchr(text, ':') : NULL;

    *first = *last = 0;
    if (!text || !*text) {
        return true;
    }
    if (!colon || (colon > text && !app_integer_read(text, (size_t)(colon - text), first)) ||
        (colon[1] && !app_integer_read(colon + 1, strlen(colon + 1), last))) {
        return false;
    }
    return *first >= 0 && (colon[1] ? *last > *first : true);
}

/* Names as leat_table_opts wants them: each in quotes. */
static void add_names(app_text *text, const char *const *names, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        app_text_format(text, text->size ? ",\"" : "\"");
        for (const char *c = names[i]; *c; c++) {
            app_text_add(text, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
        }
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

    if (known && !names) {
        leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the names of columns");
    }
    for (int64_t i = 0; names && i < r->features + r->conditions; i++) {
        names[i] = i < r->features ? m->columns[i] : m->conditions[i - r->features];
    }
    return names;
}

static int64_t count_name(const char *const *names, int64_t count, const char *name)
{
    int64_t found = 0;

    for (int64_t i = 0; i < count; i++) {
        found += strcmp(names[i], name) == 0 ? 1 : 0;
    }
    return found;
}

/* Finds the places of `count` names in a table that has each as often as they have, in their order. */
static bool find_in_order(const leat_table *t, const char *const *names, int64_t count, int64_t *places)
{
    const char *const *all = leat_table_names(t);
    int64_t found = 0;

    for (int64_t i = 0; i < leat_table_columns(t) && found < count; i++) {
        if (strcmp(all[i], names[found]) == 0) {
            places[found++] = i + 1;
        }
    }
    for (int64_t i = 0; i < count && found == count; i++) {
        if (count_name(all, leat_table_columns(t), names[i]) != count_name(names, count, names[i])) {
            return false;
        }
    }
    return found == count;
}

/* Chooses the columns by name, if both sides have names. */
static leat_code choose(app_rows *r, const char *const *names)
{
    app_trained *m = r->m;
    int64_t needs = r->features + r->conditions;
    int64_t *places = leat_arena_alloc(&m->arena, (size_t)needs * sizeof *places);
    app_text text = app_text_new(&m->arena);

    if (!names || !leat_table_names(r->table)) {
        return LEAT_OK;
    }
    if (places && find_in_order(r->table, names, r->features, places) &&
        find_in_order(r->table, names + r->features, r->conditions, places + r->features)) {
        return leat_table_select_places(r->table, places, needs, &m->status);
    }
    add_names(&text, names, needs);
    if (!places || text.failed) {
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for the names of columns");
    }
    return leat_table_select(r->table, text.bytes, &m->status);
}

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
    r->first = opts.first_row;
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
static bool split(app_rows *r, leat_tensor block)
{
    int64_t all = r->features + r->conditions;
    leat_tensor *parts[2] = { &r->x, &r->context };
    const int64_t begin[2] = { 0, r->features }, width[2] = { r->features, r->conditions };

    for (int k = 0; k < 2; k++) {
        if (width[k] == 0) {
            continue;
        }
        if (!parts[k]->data) {
            parts[k]->data = leat_arena_alloc(&r->m->arena, (size_t)(BLOCK * width[k]) * sizeof(leat_real));
        }
        if (!parts[k]->data) {
            leat_fail(&r->m->status, LEAT_ENOMEM, "out of memory for rows of a table");
            return false;
        }
        for (int64_t i = 0; i < r->count; i++) {
            memcpy(parts[k]->data + i * width[k], block.data + i * all + begin[k],
                   (size_t)width[k] * sizeof(leat_real));
        }
        parts[k]->shape = LEAT_SHAPE(r->count, width[k]);
    }
    return true;
}

bool app_rows_next(app_rows *r)
{
    leat_tensor block;
    int64_t n;

    r->first += r->count;
    r->count = 0;
    n = leat_table_next(r->table, BLOCK, &block, &r->m->status);
    if (n <= 0) {
        return false;
    }
    r->count = n;
    return split(r, block);
}

void app_rows_close(app_rows *r)
{
    leat_table_close(r->table);
    r->table = NULL;
}

leat_code app_rows_all(app_trained *m, const char *path, app_row_kind kind, const app_table_settings *o, leat_tensor *x,
                       leat_tensor *context)
{
    app_rows r;
    leat_tensor *parts[2] = { x, context };
    leat_real *grown[2] = { NULL, NULL };
    int64_t rows = 0, capacity = 0;

    *x = *context = (leat_tensor){ 0 };
    if (app_rows_open(&r, m, path, kind, NULL, o)) {
        return m->status.code;
    }
    while (app_rows_next(&r)) {
        const leat_tensor *block[2] = { &r.x, &r.context };
        const int64_t width[2] = { r.features, r.conditions };

        if (rows + r.count > capacity) {
            capacity = 2 * capacity > rows + r.count ? 2 * capacity : rows + r.count;
            for (int k = 0; k < 2; k++) {
                leat_real *more = leat_arena_alloc(&m->arena, (size_t)(capacity * width[k]) * sizeof *more);

                if (!more) {
                    leat_fail(&m->status, LEAT_ENOMEM, "%.300s: out of memory for its rows", path);
                    break;
                }
                if (rows > 0 && width[k] > 0) {
                    memcpy(more, grown[k], (size_t)(rows * width[k]) * sizeof *more);
                }
                grown[k] = more;
            }
        }
        for (int k = 0; k < 2 && !m->status.code; k++) {
            if (width[k] > 0) {
                memcpy(grown[k] + rows * width[k], block[k]->data, (size_t)(r.count * width[k]) * sizeof(leat_real));
            }
            *parts[k] = (leat_tensor){ width[k] > 0 ? grown[k] : NULL, LEAT_SHAPE(rows + r.count, width[k]) };
        }
        rows += r.count;
    }
    app_rows_close(&r);
    if (!m->status.code && rows == 0) {
        leat_fail(&m->status, LEAT_EFORMAT, "%.300s: has no rows", path);
    }
    return m->status.code;
}
