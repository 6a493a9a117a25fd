/* Modules: making them, putting them together, walking over them, running them. */
#include "model.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Puts an item at the end of a list that knows its first and its last. */
#define APPEND(owner, first, last, next, item)                                                                         \
    do {                                                                                                               \
        if ((owner)->last)                                                                                             \
            (owner)->last->next = (item);                                                                              \
        else                                                                                                           \
            (owner)->first = (item);                                                                                   \
        (owner)->last = (item);                                                                                        \
    } while (0)

void *leat_module_new(leat_model *m, const leat_module_type *type, size_t size)
{
    if (!m)
        return NULL;
    leat_module *module = leat_arena_zalloc(&m->arena, size);
    if (!module) {
        leat_model_fail(m, LEAT_ENOMEM, "%s: out of memory for a module", type->name);
        return NULL;
    }
    module->type = type;
    module->model = m;
    APPEND(m, modules, last_module, next, module);
    return module;
}

/* The module's place and type, for messages. */
static const char *module_text(const leat_module *m, char text[LEAT_NAME_SIZE])
{
    leat_scope_path(&m->scope, text, LEAT_NAME_SIZE - 2);
    if (text[0])
        memcpy(text + strlen(text), ": ", 3);
    size_t used = strlen(text);
    snprintf(text + used, LEAT_NAME_SIZE - used, "%s", m->type->name);
    return text;
}

/* Why the child cannot become a part of the parent, or NULL. */
static const char *attach_refusal(const leat_module *parent, const leat_module *child)
{
    if (child->parent)
        return "has a parent already";
    if (child->model != parent->model)
        return "belongs to another model";
    if (parent->model->sealed)
        return "comes too late: the model is in use";
    for (const leat_module *m = parent; m; m = m->parent) {
        if (m == child)
            return "contains it";
    }
    return NULL;
}

void leat_attach(leat_module *parent, leat_module *child, const char *format, ...)
{
    char what[LEAT_NAME_SIZE], whose[LEAT_NAME_SIZE], name[LEAT_NAME_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (!parent || !child) {
        const leat_module *there = parent ? parent : child;
        if (there)
            leat_model_fail(there->model, LEAT_ESTATE, "%.300s: %s is missing: it could not be built",
                            module_text(there, whose), parent ? "a part of it" : "what it is a part of");
        return;
    }
    const char *refusal = attach_refusal(parent, child);
    if (refusal) {
        leat_model_fail(parent->model, LEAT_ESTATE, "%.150s: the part '%.60s' (%.150s) %s", module_text(parent, whose),
                        name, module_text(child, what), refusal);
        return;
    }
    child->scope.name = leat_arena_format(&parent->model->arena, "%s", name);
    if (!child->scope.name) {
        leat_model_fail(parent->model, LEAT_ENOMEM, "%.300s: out of memory for a name", module_text(parent, whose));
        return;
    }
    child->scope.parent = &parent->scope;
    child->parent = parent;
    APPEND(parent, children, last_child, next_sibling, child);
}

/* ---- parameters and buffers -------------------------------------------------------------------------------------- */

static const int64_t most_numbers = PTRDIFF_MAX / (int64_t)sizeof(leat_real) - LEAT_FLAT_ALIGNMENT;

/* Whether the module can get a parameter or buffer of that name and shape. */
static bool may_own(leat_module *owner, const char *name, const leat_shape *shape)
{
    char text[LEAT_NAME_SIZE], sizes[LEAT_SHAPE_TEXT];
    leat_model *m = owner->model;
    if (!name || !name[0])
        leat_model_fail(m, LEAT_EARG, "%.400s: a parameter or buffer without a name", module_text(owner, text));
    else if (m->sealed)
        leat_model_fail(m, LEAT_ESTATE, "%.300s: '%.80s' comes too late: the model is in use", module_text(owner, text),
                        name);
    else if (leat_shape_count(shape) < 0 || leat_shape_count(shape) > most_numbers - m->flat)
        leat_model_fail(m, LEAT_ENOMEM, "%.200s: no memory could hold '%.80s' of shape %s", module_text(owner, text),
                        name, leat_shape_print(shape, sizes));
    else
        return true;
    return false;
}

static void *no_memory(leat_module *owner, const char *name)
{
    char text[LEAT_NAME_SIZE];
    leat_model_fail(owner->model, LEAT_ENOMEM, "%.300s: out of memory for '%.80s'", module_text(owner, text), name);
    return NULL;
}

leat_param *leat_param_new(leat_module *owner, const char *name, leat_shape shape, leat_init init)
{
    if (!owner || !may_own(owner, name, &shape))
        return NULL;
    leat_model *m = owner->model;
    leat_param *p = leat_arena_zalloc(&m->arena, sizeof *p);
    const char *copy = leat_arena_format(&m->arena, "%s", name);
    if (!p || !copy)
        return no_memory(owner, name);
    p->leaf = (leat_leaf){ .scope = { copy, &owner->scope }, .shape = shape };
    p->init = init;
    p->model = m;
    p->offset = m->flat;
    m->flat += leat_flat_round(leat_shape_count(&shape));
    p->index = m->param_count++;
    APPEND(m, params, last_param, next, p);
    APPEND(owner, params, last_param, next_own, p);
    return p;
}

leat_buffer *leat_buffer_new(leat_module *owner, const char *name, leat_shape shape)
{
    if (!owner || !may_own(owner, name, &shape))
        return NULL;
    leat_arena *a = &owner->model->arena;
    leat_buffer *b = leat_arena_zalloc(a, sizeof *b);
    if (!b)
        return no_memory(owner, name);
    b->name = leat_arena_format(a, "%s", name);
    b->value.shape = shape;
    b->value.data = leat_arena_zalloc(a, (size_t)leat_shape_count(&shape) * sizeof(leat_real));
    if (!b->name || !b->value.data)
        return no_memory(owner, name);
    APPEND(owner, buffers, last_buffer, next_own, b);
    return b;
}

leat_buffer *leat_buffer_new_doubles(leat_module *owner, const char *name, leat_shape shape)
{
    leat_buffer *b = leat_buffer_new(owner, name, shape);
    if (b &&
        !(b->doubles = leat_arena_zalloc(&owner->model->arena, (size_t)leat_shape_count(&shape) * sizeof *b->doubles)))
        return no_memory(owner, name);
    return b;
}

const char *leat_param_path(const leat_param *p, char *text, size_t size)
{
    return leat_scope_path(&p->leaf.scope, text, size);
}

const char *leat_buffer_path(const leat_module *owner, const leat_buffer *b, char text[LEAT_NAME_SIZE])
{
    leat_scope scope = { b->name, &owner->scope };
    return leat_scope_path(&scope, text, LEAT_NAME_SIZE);
}

/* ---- traversal --------------------------------------------------------------------------------------------------- */

static void visit_own(leat_module *m, leat_visitor *v)
{
    for (leat_param *p = m->params; p; p = p->next_own)
        leat_visit_param(v, m, p);
    for (leat_buffer *b = m->buffers; b; b = b->next_own)
        leat_visit_buffer(v, m, b);
    for (leat_module *child = m->children; child; child = child->next_sibling)
        leat_visit(v, child);
}

void leat_visit(leat_visitor *v, leat_module *m)
{
    if (!m)
        return; /* a part that could not be built */
    if (v->enter)
        v->enter(v, m);
    (m->type->visit ? m->type->visit : visit_own)(m, v);
    if (v->leave)
        v->leave(v, m);
}

void leat_visit_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    if (p && v->param)
        v->param(v, owner, p);
}

void leat_visit_buffer(leat_visitor *v, leat_module *owner, leat_buffer *b)
{
    if (b && v->buffer)
        v->buffer(v, owner, b);
}

void leat_visit_model(leat_visitor *v, leat_model *m)
{
    for (leat_module *module = m->modules; module; module = module->next) {
        if (!module->parent)
            leat_visit(v, module);
    }
}

typedef struct search {
    const char *name;
    leat_param *found;
} search;

static void compare_path(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    char text[LEAT_NAME_SIZE];
    search *s = v->user;
    if (!s->found && strcmp(leat_param_path(p, text, sizeof text), s->name) == 0)
        s->found = p;
}

leat_param *leat_find_param(leat_model *m, const char *path)
{
    search s = { .name = path };
    leat_visitor v = { .user = &s, .param = compare_path };
    if (leat_model_seal(m))
        return NULL;
    leat_visit_model(&v, m);
    return s.found;
}

static void freeze_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    p->leaf.frozen = *(const bool *)v->user;
}

void leat_freeze(leat_module *m, bool frozen)
{
    leat_visitor v = { .user = &frozen, .param = freeze_param };
    leat_visit(&v, m);
}

typedef struct new_init {
    const char *name;
    leat_init init;
    bool used;
} new_init;

static void replace_init(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    new_init *n = v->user;
    if (strcmp(p->leaf.scope.name, n->name) != 0)
        return;
    p->init = n->init;
    n->used = true;
}

void leat_set_init(leat_module *m, const char *name, leat_init init)
{
    char text[LEAT_NAME_SIZE];
    new_init n = { .name = name, .init = init };
    leat_visitor v = { .user = &n, .param = replace_init };
    if (!m)
        return; /* its model has failed already */
    if (m->model->sealed) {
        leat_model_fail(m->model, LEAT_ESTATE, "%.300s: the initialiser of '%.80s' comes too late: the model is in use",
                        module_text(m, text), name);
        return;
    }
    leat_visit(&v, m);
    if (!n.used)
        leat_model_fail(m->model, LEAT_EARG, "%.300s: has no parameter '%.80s' to initialise", module_text(m, text),
                        name);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

leat_var leat_use(leat_tape *t, leat_param *p)
{
    if (!p)
        return leat_tape_fail(t, LEAT_ESTATE, "a parameter is missing: the model could not be built");
    leat_code code = leat_model_seal(p->model);
    if (code)
        return leat_tape_fail(t, code, "%s", leat_model_errmsg(p->model));
    return leat_leaf_var(t, &p->leaf);
}

leat_var leat_forward(leat_module *m, leat_var x)
{
    return leat_forward_with(m, x, (leat_var){ 0 });
}

leat_var leat_forward_with(leat_module *m, leat_var x, leat_var context)
{
    assert(x.tape && "the input is absent");
    leat_tape *t = x.tape;
    if (!m)
        return leat_tape_fail(t, LEAT_ESTATE, "a module is missing: the model could not be built");
    leat_code code = leat_model_seal(m->model);
    if (code)
        return leat_tape_fail(t, code, "%s", leat_model_errmsg(m->model));
    const leat_scope *was = leat_tape_enter(t, &m->scope);
    leat_var y = { .tape = t };
    if (m->type->forward)
        y = m->type->forward(m, x, context);
    else
        leat_tape_fail(t, LEAT_ESTATE, "%s is not a function", m->type->name);
    leat_tape_enter(t, was);
    return y;
}
