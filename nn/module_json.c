/* Modules as JSON and back: see module_json.h. */
#include "layers/layers.h"
#include "model.h"
#include "module_json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- writing ----------------------------------------------------------------------------------------------------- */

void leat_part_refuse(leat_part_writer *w, const leat_module *m, const char *format, ...)
{
    char path[LEAT_NAME_SIZE], text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    leat_scope_path(&m->scope, path, sizeof path);
    leat_fail(&w->status, LEAT_EARG, "%.200s%s%s", path, path[0] ? ": " : "", text);
}

void leat_part_write_nothing(const leat_module *m, leat_part_writer *w)
{
    (void)m, (void)w;
}

void leat_part_write(leat_part_writer *w, const leat_module *m)
{
    if (!m->type->write) {
        leat_part_refuse(w, m, "a file cannot describe a part of type '%.80s'", m->type->name);
    } else if (m->type->write == leat_part_write_nothing) {
        leat_json_put_text(&w->json, m->type->name);
    } else if (m->type == &leat_sequential_type) {
        m->type->write(m, w);
    } else {
        leat_json_open(&w->json, '{');
        leat_json_key(&w->json, "type");
        leat_json_put_text(&w->json, m->type->name);
        m->type->write(m, w);
        leat_json_close(&w->json, '}');
    }
}

void leat_part_put_int(leat_part_writer *w, const char *key, int64_t value)
{
    leat_json_key(&w->json, key);
    leat_json_put_int(&w->json, value);
}

void leat_part_put_bool(leat_part_writer *w, const char *key, bool value)
{
    if (!value)
        return;
    leat_json_key(&w->json, key);
    leat_json_put_bool(&w->json, true);
}

void leat_part_put_number(leat_part_writer *w, const char *key, double value)
{
    leat_json_key(&w->json, key);
    leat_json_put_number(&w->json, value);
}

void leat_part_put_text(leat_part_writer *w, const char *key, const char *value)
{
    leat_json_key(&w->json, key);
    leat_json_put_text(&w->json, value);
}

void leat_part_put_shape(leat_part_writer *w, const char *key, const leat_shape *shape)
{
    leat_json_key(&w->json, key);
    leat_json_open(&w->json, '[');
    for (int i = 0; i < shape->rank; i++)
        leat_json_put_int(&w->json, shape->size[i]);
    leat_json_close(&w->json, ']');
}

void leat_part_put_module(leat_part_writer *w, const char *key, const leat_module *m)
{
    leat_json_key(&w->json, key);
    leat_part_write(w, m);
}

#define NAME_ROW(NAME, op, constant) [LEAT_##NAME] = #op,
static const char *const activations[] = { [LEAT_IDENTITY] = "identity", LEAT_ACTIVATIONS(NAME_ROW) };
enum { ACTIVATIONS = sizeof activations / sizeof *activations };

const char *leat_activation_name(leat_activation f)
{
    return (int)f >= 0 && (int)f < ACTIVATIONS ? activations[f] : NULL;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

void *leat_part_fail(leat_part_reader *r, leat_code code, const char *format, ...)
{
    char text[250];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    leat_fail(r->status, code, "%.150s: %s%s%s", r->source, r->place, r->place[0] ? ": " : "", text);
    return NULL;
}

const char *leat_part_type(leat_part_reader *r, const leat_json *v)
{
    const char *type = leat_json_text(v);
    if (!type)
        type = leat_json_text(leat_json_get(v, "type"));
    return type ? type : leat_part_fail(r, LEAT_EFORMAT, "a part without a type");
}

int64_t leat_part_size(leat_part_reader *r, const leat_json *v, const char *key, int64_t low)
{
    int64_t size;
    if (leat_json_int(leat_json_get(v, key), low, (int64_t)1 << 31, &size))
        return size;
    leat_part_fail(r, LEAT_EFORMAT, "'%s' is not a size", key);
    return -1;
}

bool leat_part_flag(const leat_json *v, const char *key)
{
    bool flag = false;
    return leat_json_bool(leat_json_get(v, key), &flag) && flag;
}

static bool find_activation(const char *name, leat_activation *f)
{
    for (int i = 0; name && i < ACTIVATIONS; i++) {
        *f = (leat_activation)i;
        if (strcmp(name, activations[i]) == 0)
            return true;
    }
    return false;
}

bool leat_part_activation(leat_part_reader *r, const leat_json *v, const char *key, leat_activation *f)
{
    bool found = find_activation(leat_json_text(leat_json_get(v, key)), f);
    if (!found)
        leat_part_fail(r, LEAT_EFORMAT, "'%s' is not an activation", key);
    return found;
}

void leat_part_count(leat_part_reader *r)
{
    r->tensors = r->file->count;
    for (int64_t i = 0; i < r->file->count; i++) {
        int64_t count = leat_shape_count(&r->file->entries[i].tensor.shape);
        r->largest = count > r->largest ? count : r->largest;
        r->room += count;
    }
}

bool leat_part_holds(leat_part_reader *r, leat_shape shape)
{
    int64_t count = leat_shape_count(&shape);
    char text[LEAT_SHAPE_TEXT];
    if (count < 0 || count > r->room) {
        leat_part_fail(r, LEAT_EFORMAT, "%s numbers are more than the file has", leat_shape_print(&shape, text));
        return false;
    }
    r->room -= count;
    return true;
}

leat_model *leat_part_model(leat_part_reader *r)
{
    return r->model;
}

bool leat_part_number(leat_part_reader *r, const leat_json *v, const char *key, double *number)
{
    if (leat_json_number(leat_json_get(v, key), number))
        return true;
    leat_part_fail(r, LEAT_EFORMAT, "'%s' is not a number", key);
    return false;
}

bool leat_part_shape(leat_part_reader *r, const leat_json *v, const char *key, leat_shape *shape)
{
    const leat_json *list = leat_json_get(v, key);
    bool ok = list && list->kind == LEAT_JSON_ARRAY && list->count <= LEAT_MAX_RANK;
    *shape = (leat_shape){ 0 };
    for (const leat_json *size = ok ? list->first : NULL; size && ok; size = size->next)
        ok = leat_json_int(size, 0, (int64_t)1 << 31, &shape->size[shape->rank++]);
    if (ok && leat_shape_count(shape) >= 0)
        return true;
    leat_part_fail(r, LEAT_EFORMAT, "'%s' is not a shape", key);
    return false;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

static const leat_module_type *const layers[] = {
    &leat_linear_type,
    &leat_masked_linear_type,
    &leat_weight_norm_linear_type,
    &leat_dropout_type,
    &leat_layer_norm_type,
    &leat_batch_norm_type,
    &leat_conv_type,
    &leat_embedding_type,
    &leat_gated_conv_type,
    &leat_attention_type,
    &leat_residual_type,
    &leat_residual_conv_type,
    &leat_made_type,
    NULL,
};

bool leat_part_is_name(const char *type, const char *name)
{
    for (; *type && (*type == *name || (*type == ' ' && *name == '_')); type++)
        name++;
    return !*type && !*name;
}

const leat_module_type *leat_part_find(leat_part_reader *r, const leat_json *v, const char *kind, int n,
                                       const leat_module_type *const *const *lists)
{
    const char *type = leat_part_type(r, v);
    for (int k = 0; type && k < n; k++) {
        for (const leat_module_type *const *t = lists[k]; t && *t; t++) {
            if ((*t)->read && leat_part_is_name(type, (*t)->name))
                return *t;
        }
    }
    return type ? leat_part_fail(r, LEAT_EFORMAT, "this version does not know the %s '%.80s'", kind, type) : NULL;
}

leat_module *leat_part_read(leat_part_reader *r, const leat_json *v)
{
    leat_activation f;
    if (v && v->kind == LEAT_JSON_ARRAY)
        return leat_sequential_type.read(r, v);
    if (find_activation(leat_part_type(r, v), &f))
        return leat_activation_layer(r->model, f);
    const leat_module_type *const *const lists[] = { layers, r->layers[0], r->layers[1] };
    const leat_module_type *type = r->status->code ? NULL : leat_part_find(r, v, "part", 3, lists);
    return type ? type->read(r, v) : NULL;
}

leat_module *leat_part_module(leat_part_reader *r, const leat_json *v, const char *key)
{
    const leat_json *child = leat_json_get(v, key);
    return child ? leat_part_read(r, child) : leat_part_fail(r, LEAT_EFORMAT, "there is no '%s'", key);
}
