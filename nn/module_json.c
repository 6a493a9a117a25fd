/* Modules as JSON and back: see module_json.h. */
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

void leat_part_put_text(leat_part_writer *w, const char *key, const char *value)
{
    leat_json_key(&w->json, key);
    leat_json_put_text(&w->json, value);
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

static leat_module *read_linear(leat_part_reader *r, const leat_json *v)
{
    int64_t in = leat_part_size(r, v, "in", 0), out = leat_part_size(r, v, "out", 0);
    return in < 0 || out < 0 ? NULL : leat_linear_layer(r->model, in, out);
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

int64_t leat_part_largest(const leat_part_reader *r)
{
    int64_t most = 0;
    for (int64_t i = 0; i < r->file->count; i++) {
        int64_t count = leat_shape_count(&r->file->entries[i].tensor.shape);
        most = count > most ? count : most;
    }
    return most;
}

static bool read_number(leat_part_reader *r, const leat_json *v, const char *key, double *number)
{
    if (leat_json_number(leat_json_get(v, key), number))
        return true;
    leat_part_fail(r, LEAT_EFORMAT, "'%s' is not a number", key);
    return false;
}

static leat_module *read_weight_norm(leat_part_reader *r, const leat_json *v)
{
    int64_t in = leat_part_size(r, v, "in", 0), out = leat_part_size(r, v, "out", 0);
    return in < 0 || out < 0 ? NULL : leat_weight_norm_linear(r->model, in, out);
}

static leat_module *read_dropout(leat_part_reader *r, const leat_json *v)
{
    double p;
    return read_number(r, v, "p", &p) ? leat_dropout_layer(r->model, p) : NULL;
}

static leat_module *read_norm(leat_part_reader *r, const leat_json *v)
{
    leat_norm_opts o = { .no_affine = leat_part_flag(v, "no_affine") };
    int64_t features = leat_part_size(r, v, "features", 0);
    if (features < 0 || !read_number(r, v, "eps", &o.eps) || !read_number(r, v, "momentum", &o.momentum))
        return NULL;
    bool batch = strcmp(leat_part_type(r, v), "batch_norm") == 0;
    return (batch ? leat_batch_norm : leat_layer_norm)(r->model, features, &o);
}

static leat_module *read_embedding(leat_part_reader *r, const leat_json *v)
{
    int64_t count = leat_part_size(r, v, "count", 0), features = leat_part_size(r, v, "features", 0);
    return count < 0 || features < 0 ? NULL : leat_embedding(r->model, count, features);
}

static leat_module *read_attention(leat_part_reader *r, const leat_json *v)
{
    leat_attention_opts o = { .features = leat_part_size(r, v, "features", 1), .causal = leat_part_flag(v, "causal") };
    int64_t heads = leat_part_size(r, v, "heads", 1);
    if (o.features < 0 || heads < 0 || heads > INT32_MAX || !read_number(r, v, "dropout", &o.dropout))
        return NULL;
    o.heads = (int)heads;
    return leat_attention(r->model, &o);
}

static leat_module *read_residual(leat_part_reader *r, const leat_json *v)
{
    leat_residual_opts o = { .in = leat_part_size(r, v, "in", 0),
                             .hidden = leat_part_size(r, v, "hidden", 0),
                             .out = leat_part_size(r, v, "out", 0),
                             .context = leat_part_size(r, v, "context", 0),
                             .batch_norm = leat_part_flag(v, "batch_norm") };
    int64_t blocks = leat_part_size(r, v, "blocks", 1);
    if (r->status->code || !read_number(r, v, "dropout", &o.dropout) ||
        !leat_part_activation(r, v, "activation", &o.activation))
        return NULL;
    if (blocks > r->file->count) /* each has tensors */
        return leat_part_fail(r, LEAT_EFORMAT, "%lld blocks of a residual network have more tensors than the file",
                              (long long)blocks);
    o.blocks = (int)blocks;
    return leat_residual_mlp(r->model, &o);
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
    { "linear", read_linear },       { "weight_norm_linear", read_weight_norm },
    { "dropout", read_dropout },     { "layer_norm", read_norm },
    { "batch_norm", read_norm },     { "embedding", read_embedding },
    { "attention", read_attention }, { "residual_mlp", read_residual },
};

leat_module *leat_part_read(leat_part_reader *r, const leat_json *v)
{
    if (v && v->kind == LEAT_JSON_ARRAY)
        return read_sequential(r, v);
    leat_activation f;
    const char *type = leat_part_type(r, v);
    if (find_activation(type, &f))
        return leat_activation_layer(r->model, f);
    for (size_t i = 0; type && i < sizeof readers / sizeof *readers; i++) {
        if (strcmp(type, readers[i].type) == 0)
            return readers[i].read(r, v);
    }
    leat_module *part = type && r->other ? r->other(r, v, type) : NULL;
    if (part || !type || r->status->code)
        return part;
    return leat_part_fail(r, LEAT_EFORMAT, "this version does not know the part '%.80s'", type);
}
