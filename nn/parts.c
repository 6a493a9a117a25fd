/* Modules as JSON and back: see parts.h. */
#include "model.h"
#include "parts.h"

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
    } else if (strcmp(m->type->name, "sequential") == 0) {
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

static leat_module *read_linear(leat_part_reader *r, const leat_json *v)
{
    int64_t in = leat_part_size(r, v, "in", 0), out = leat_part_size(r, v, "out", 0);
    return in < 0 || out < 0 ? NULL : leat_linear_layer(r->model, in, out);
}

static leat_module *read_activation(leat_part_reader *r, const leat_json *v)
{
    static const char *const names[] = { "identity", "relu", "tanh", "sigmoid", "softplus" };
    const char *type = leat_part_type(r, v);
    for (int i = 0; type && i < (int)(sizeof names / sizeof *names); i++) {
        if (strcmp(type, names[i]) == 0)
            return leat_activation_layer(r->model, (leat_activation)i);
    }
    return NULL;
}

static leat_module *read_sequential(leat_part_reader *r, const leat_json *v)
{
    leat_module *net = leat_sequential(r->model);
    for (const leat_json *child = v->first; child; child = child->next) {
        leat_module *part = leat_part_read(r, child);
        if (!part)
            return NULL;
        leat_sequential_add(net, part);
    }
    return net;
}

static const struct {
    const char *type;
    leat_module *(*read)(leat_part_reader *r, const leat_json *v);
} readers[] = {
    { "linear", read_linear },   { "identity", read_activation }, { "relu", read_activation },
    { "tanh", read_activation }, { "sigmoid", read_activation },  { "softplus", read_activation },
};

leat_module *leat_part_read(leat_part_reader *r, const leat_json *v)
{
    if (v && v->kind == LEAT_JSON_ARRAY)
        return read_sequential(r, v);
    const char *type = leat_part_type(r, v);
    for (size_t i = 0; type && i < sizeof readers / sizeof *readers; i++) {
        if (strcmp(type, readers[i].type) == 0)
            return readers[i].read(r, v);
    }
    leat_module *part = type && r->other ? r->other(r, v, type) : NULL;
    if (part || !type || r->status->code)
        return part;
    return leat_part_fail(r, LEAT_EFORMAT, "this version does not know the part '%.80s'", type);
}
