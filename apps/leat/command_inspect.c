/*
 * leat inspect: what is in a model's file, for people as a tree, for programs as JSON.
 *
 * What a density and a sample cost is counted in multiply-adds: every matrix of the flow is used once for each, so they
 * are the numbers in matrices.
 */
#include "../common/options.h"
#include "../common/streams.h"
#include "commands.h"
#include "trained.h"

#include <stdio.h>
#include <string.h>

typedef struct settings {
    app_trained_opts open;
    bool json;
} settings;

static const app_option table[] = {
    { "json", APP_FLAG(settings, json), .help = "for programs" },
    APP_TRAINED_OPTIONS(settings, open),
};

static const app_program program = {
    .name = "leat inspect",
    .summary = "Shows the architecture of a model, its parameters, how it was trained, and what it costs.",
    APP_TABLE(table),
    .arguments = "MODEL",
    .min_arguments = 1,
    .max_arguments = 1,
};

typedef struct counting {
    leat_visitor visitor;
    int64_t multiplications;
    bool convolutions; /* which use theirs at every position */
} counting;

static void count_matrix(leat_visitor *v, leat_module *owner, leat_param *p)
{
    counting *c = (counting *)v;
    (void)owner;
    c->convolutions = c->convolutions || p->leaf.shape.rank == 4;
    if (p->leaf.shape.rank == 2)
        c->multiplications += leat_shape_count(&p->leaf.shape);
}

/* -1: not known. */
static int64_t cost(app_trained *m)
{
    counting c = { .visitor = { .param = count_matrix } };
    leat_visit_model(&c.visitor, m->model);
    return c.convolutions ? -1 : c.multiplications;
}

static void count_coupling(leat_visitor *v, leat_module *m)
{
    *(int64_t *)v->user += strcmp(m->type->name, "coupling") == 0 ? 1 : 0;
}

static void count_split(leat_visitor *v, leat_module *m)
{
    *(int64_t *)v->user += strcmp(m->type->name, "split") == 0 ? 1 : 0;
}

static int64_t count_parts(app_trained *m, void (*count_one)(leat_visitor *, leat_module *))
{
    int64_t count = 0;
    leat_visitor visitor = { .user = &count, .enter = count_one };
    leat_visit_model(&visitor, m->model);
    return count;
}

/* ---- for people -------------------------------------------------------------------------------------------------- */

static void print_names(const char *title, const char *const *names, int64_t count)
{
    if (names) {
        fputs(title, stdout);
        for (int64_t i = 0; i < count; i++) {
            const char *quote = strchr(names[i], ',') ? "\"" : "";
            printf("%s%s", i ? ", " : "", quote);
            app_put_text(stdout, names[i]);
            fputs(quote, stdout);
        }
        fputc('\n', stdout);
    }
}

/* What a record says, in one line; null, false and empty lists say nothing. */
static void print_members(const leat_json *record)
{
    const char *separator = "";
    for (const leat_json *v = record ? record->first : NULL; v; v = v->next) {
        bool list = v->kind == LEAT_JSON_ARRAY && v->count > 0;
        if (v->kind != LEAT_JSON_STRING && v->kind != LEAT_JSON_NUMBER && !list &&
            !(v->kind == LEAT_JSON_BOOL && v->boolean))
            continue;
        fputs(separator, stdout);
        app_put_text(stdout, v->key);
        if (v->kind == LEAT_JSON_STRING) {
            fputc(' ', stdout);
            app_put_text(stdout, v->text);
        } else if (v->kind == LEAT_JSON_NUMBER) {
            printf(" %g", v->number);
        }
        for (const leat_json *i = list ? v->first : NULL; i; i = i->next)
            printf("%c%g", i == v->first ? ' ' : ',', i->number);
        separator = ", ";
    }
}

static void print_record(app_trained *m)
{
    if (m->record && m->record->kind == LEAT_JSON_OBJECT) {
        fputs("training    ", stdout);
        print_members(m->record);
        fputs("\noptions     ", stdout);
        print_members(leat_json_get(m->record, "options"));
        fputc('\n', stdout);
    }
}

static leat_code print_tree(app_trained *m)
{
    const char *summary = leat_summary(m->model, &m->arena);
    int64_t dim = leat_flow_dim(m->flow), context = leat_flow_context(m->flow);
    printf("%lld feature%s", (long long)dim, dim == 1 ? "" : "s");
    printf(context > 0 ? ", given a context of %lld\n" : "\n", (long long)context);
    print_names("features    ", m->columns, dim);
    print_names("context     ", m->conditions, context);
    if (m->image.rank) {
        printf("images      %lld x %lld x %lld, bytes\n", (long long)m->image.size[0], (long long)m->image.size[1],
               (long long)m->image.size[2]);
        printf("latents     %lld, of %lld level%s\n", (long long)dim, (long long)count_parts(m, count_split) + 1,
               count_parts(m, count_split) ? "s" : "");
    }
    printf("couplings   %lld\n", (long long)count_parts(m, count_coupling));
    printf("parameters  %lld\n", (long long)leat_param_count(m->model));
    if (cost(m) >= 0) {
        printf("a density   %lld multiply-adds a row\n", (long long)cost(m));
        printf("a sample    %lld multiply-adds\n", (long long)cost(m));
    }
    print_record(m);
    if (!summary)
        return leat_fail(&m->status, LEAT_ENOMEM, "%s: out of memory for the summary", m->path);
    printf("\n%s", summary);
    return m->status.code;
}

/* ---- for programs ------------------------------------------------------------------------------------------------ */

typedef struct listing {
    leat_visitor visitor;
    leat_json_writer *json;
} listing;

static void put_tensor(listing *l, const char *name, const leat_shape *shape, bool trained)
{
    leat_json_open(l->json, '{');
    leat_json_key(l->json, "name");
    leat_json_put_text(l->json, name);
    leat_json_key(l->json, "trained");
    leat_json_put_bool(l->json, trained);
    leat_json_key(l->json, "shape");
    leat_json_open(l->json, '[');
    for (int i = 0; i < shape->rank; i++)
        leat_json_put_int(l->json, shape->size[i]);
    leat_json_close(l->json, ']');
    leat_json_close(l->json, '}');
}

static void put_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    char path[512];
    (void)owner;
    put_tensor((listing *)v, leat_param_path(p, path, sizeof path), &p->leaf.shape, true);
}

static void put_buffer(leat_visitor *v, leat_module *owner, leat_buffer *b)
{
    char place[400], path[512];
    leat_scope_path(&owner->scope, place, sizeof place);
    snprintf(path, sizeof path, "%s%s%s", place, place[0] ? "." : "", b->name);
    put_tensor((listing *)v, path, &b->value.shape, false);
}

static void put_int(leat_json_writer *w, const char *key, int64_t value)
{
    leat_json_key(w, key);
    leat_json_put_int(w, value);
}

static void put_names(leat_json_writer *w, const char *key, const char *const *names, int64_t count)
{
    leat_json_key(w, key);
    if (!names) {
        leat_json_put_null(w);
        return;
    }
    leat_json_open(w, '[');
    for (int64_t i = 0; i < count; i++)
        leat_json_put_text(w, names[i]);
    leat_json_close(w, ']');
}

/* A value that is JSON already. */
static void put_value(leat_json_writer *w, const leat_json *v)
{
    bool object = v && v->kind == LEAT_JSON_OBJECT;
    if (!v || v->kind == LEAT_JSON_NULL) {
        leat_json_put_null(w);
    } else if (v->kind == LEAT_JSON_BOOL) {
        leat_json_put_bool(w, v->boolean);
    } else if (v->kind == LEAT_JSON_STRING) {
        leat_json_put_text(w, v->text);
    } else if (v->kind == LEAT_JSON_NUMBER && v->is_integer) {
        leat_json_put_int(w, v->integer);
    } else if (v->kind == LEAT_JSON_NUMBER) {
        leat_json_put_number(w, v->number);
    } else {
        leat_json_open(w, object ? '{' : '[');
        for (const leat_json *i = v->first; i; i = i->next) {
            if (object)
                leat_json_key(w, i->key);
            put_value(w, i);
        }
        leat_json_close(w, object ? '}' : ']');
    }
}

static leat_code print_json(app_trained *m)
{
    leat_json_writer w = leat_json_writer_new(&m->arena);
    listing l = { .visitor = { .param = put_param, .buffer = put_buffer }, .json = &w };
    char *text;
    size_t size;
    leat_json_open(&w, '{');
    put_int(&w, "dim", leat_flow_dim(m->flow));
    put_int(&w, "context", leat_flow_context(m->flow));
    put_int(&w, "layers", leat_flow_length(m->flow));
    if (m->image.rank) {
        leat_json_key(&w, "image");
        leat_json_open(&w, '[');
        for (int i = 0; i < 3; i++)
            leat_json_put_int(&w, m->image.size[i]);
        leat_json_close(&w, ']');
        put_int(&w, "levels", count_parts(m, count_split) + 1);
    }
    put_names(&w, "columns", m->columns, leat_flow_dim(m->flow));
    put_names(&w, "context_columns", m->conditions, leat_flow_context(m->flow));
    put_int(&w, "couplings", count_parts(m, count_coupling));
    put_int(&w, "parameters", leat_param_count(m->model));
    if (cost(m) >= 0) {
        put_int(&w, "multiply_adds_of_density", cost(m));
        put_int(&w, "multiply_adds_of_sample", cost(m));
    }
    leat_json_key(&w, "training");
    put_value(&w, m->record);
    leat_json_key(&w, "tensors");
    leat_json_open(&w, '[');
    leat_visit_model(&l.visitor, m->model);
    leat_json_close(&w, ']');
    leat_json_close(&w, '}');
    if (leat_json_finish(&w, &text, &size, &m->status))
        return m->status.code;
    puts(text);
    return LEAT_OK;
}

int app_leat_inspect(int argc, char **argv)
{
    settings o = { 0 };
    app_arguments rest;
    int exit_code = app_options_parse(&program, argc, argv, &o, &rest);
    app_trained m;
    if (exit_code >= 0)
        return exit_code;
    if (!app_trained_open(&m, program.name, rest.values[0], &o.open)) {
        if (o.json)
            print_json(&m);
        else
            print_tree(&m);
    }
    return app_trained_close(&m);
}
