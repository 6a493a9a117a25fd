/*
 * leat inspect: what is in a model's file, for people as a tree, for programs as JSON.
 *
 * What a density and a sample cost is counted in multiply-adds: every matrix of the flow is used once for each, so they
 * are the numbers in matrices.
 */
#include "../common/options.h"
#include "../common/text.h"
#include "commands.h"
#include "trained.h"

#include <stdio.h>

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
} counting;

static void count_matrix(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    if (p->leaf.shape.rank == 2) {
        ((counting *)v)->multiplications += leat_shape_count(&p->leaf.shape);
    }
}

static int64_t cost(app_trained *m)
{
    counting c = { .visitor = { .param = count_matrix } };

    leat_visit_model(&c.visitor, m->model);
    return c.multiplications;
}

/* ---- for people -------------------------------------------------------------------------------------------------- */

static void print_names(const char *title, const char *const *names, int64_t count)
{
    if (names) {
        fputs(title, stdout);
        for (int64_t i = 0; i < count; i++) {
            printf("%s%s", i ? ", " : "", names[i]);
        }
        fputc('\n', stdout);
    }
}

static void print_tree(app_trained *m)
{
    const char *summary = leat_summary(m->model, &m->arena);
    int64_t dim = leat_flow_dim(m->flow), context = leat_flow_context(m->flow);

    printf("%lld feature%s", (long long)dim, dim == 1 ? "" : "s");
    printf(context > 0 ? ", given a context of %lld\n" : "\n", (long long)context);
    print_names("features    ", m->columns, dim);
    print_names("context     ", m->conditions, context);
    printf("parameters  %lld\n", (long long)leat_param_count(m->model));
    printf("a density   %lld multiply-adds a row\n", (long long)cost(m));
    printf("a sample    %lld multiply-adds\n", (long long)cost(m));
    if (m->record) {
        printf("training    %s\n", m->record);
    }
    printf("\n%s", summary ? summary : "");
}

/* ---- for programs ------------------------------------------------------------------------------------------------ */

typedef struct listing {
    leat_visitor visitor;
    app_text *out;
    const char *separator;
} listing;

static void add_string(app_text *out, const char *text)
{
    app_text_add(out, "\"", 1);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            app_text_format(out, "\\%c", *c);
        } else if (*c < 0x20) {
            app_text_format(out, "\\u%04x", *c);
        } else {
            app_text_add(out, c, 1);
        }
    }
    app_text_add(out, "\"", 1);
}

static void add_tensor(listing *l, const char *name, const leat_shape *shape, bool trained)
{
    app_text_format(l->out, "%s\n    {\"name\": ", l->separator);
    add_string(l->out, name);
    app_text_format(l->out, ", \"trained\": %s, \"shape\": [", trained ? "true" : "false");
    for (int i = 0; i < shape->rank; i++) {
        app_text_format(l->out, i ? ", %lld" : "%lld", (long long)shape->size[i]);
    }
    app_text_format(l->out, "]}");
    l->separator = ",";
}

static void add_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    char path[512];

    (void)owner;
    add_tensor((listing *)v, leat_param_path(p, path, sizeof path), &p->leaf.shape, true);
}

static void add_buffer(leat_visitor *v, leat_module *owner, leat_buffer *b)
{
    char place[400], path[512];

    leat_scope_path(&owner->scope, place, sizeof place);
    snprintf(path, sizeof path, "%s%s%s", place, place[0] ? "." : "", b->name);
    add_tensor((listing *)v, path, &b->value.shape, false);
}

static void add_names(app_text *out, const char *key, const char *const *names, int64_t count)
{
    app_text_format(out, "  \"%s\": ", key);
    for (int64_t i = 0; names && i < count; i++) {
        app_text_format(out, i ? ", " : "[");
        add_string(out, names[i]);
    }
    app_text_format(out, names ? "],\n" : "null,\n");
}

static leat_code print_json(app_trained *m)
{
    app_text out = app_text_new(&m->arena);
    listing l = { .visitor = { .param = add_param, .buffer = add_buffer }, .out = &out, .separator = "" };

    app_text_format(&out, "{\n  \"dim\": %lld,\n  \"context\": %lld,\n  \"layers\": %d,\n",
                    (long long)leat_flow_dim(m->flow), (long long)leat_flow_context(m->flow), leat_flow_length(m->flow));
    add_names(&out, "columns", m->columns, leat_flow_dim(m->flow));
    add_names(&out, "context_columns", m->conditions, leat_flow_context(m->flow));
    app_text_format(&out, "  \"parameters\": %lld,\n", (long long)leat_param_count(m->model));
    app_text_format(&out, "  \"multiply_adds\": {\"density\": %lld, \"sample\": %lld},\n", (long long)cost(m),
                    (long long)cost(m));
    app_text_format(&out, "  \"training\": %s,\n  \"tensors\": [", m->record ? m->record : "null");
    leat_visit_model(&l.visitor, m->model);
    app_text_format(&out, "\n  ]\n}\n");
    if (out.failed) {
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory");
    }
    fputs(out.bytes, stdout);
    return LEAT_OK;
}

int app_leat_inspect(int argc, char **argv)
{
    settings o;
    app_arguments rest;
    int exit_code = app_options_parse(&program, argc, argv, &o, &rest);
    app_trained m;

    if (exit_code >= 0) {
        return exit_code;
    }
    if (!app_trained_open(&m, program.name, rest.values[0], &o.open)) {
        if (o.json) {
            print_json(&m);
        } else {
            print_tree(&m);
        }
    }
    exit_code = m.status.code ? 0 : app_end_output(program.name);
    return app_trained_close(&m) || exit_code;
}
