/* The life of a tape: its memory, its nodes, its sticky error, the place in the model, giving memory back early. */
#include "tape.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

leat_tape *leat_tape_new(const leat_tape_opts *o)
{
    static const leat_tape_opts defaults;
    if (!o)
        o = &defaults;
    leat_arena home;
    leat_arena_init(&home, o->allocator);
    leat_tape *t = leat_arena_zalloc(&home, sizeof *t);
    if (!t)
        return NULL;
    t->home = home;
    leat_arena_init(&t->step, o->allocator);
    leat_arena_init(&t->grads, o->allocator);
    leat_arena_init(&t->scratch, o->allocator);
    t->pool = o->pool;
    t->rng = leat_rng_new(o->seed, o->stream);
    t->recording = !o->values_only;
    t->training = !o->evaluate;
    t->epoch = 1;
    return t;
}

void leat_tape_free(leat_tape *t)
{
    if (!t)
        return;
    leat_arena_free(&t->step);
    leat_arena_free(&t->grads);
    leat_arena_free(&t->scratch);
    leat_arena home = t->home; /* it holds the tape itself */
    leat_arena_free(&home);
}

void leat_tape_reset(leat_tape *t)
{
    t->count = 0;
    t->zeros = t->unread = 0;
    t->epoch++;
    t->status.code = LEAT_OK;
    t->status.message[0] = '\0';
    t->scope = NULL;
    leat_arena_reset(&t->step);
    leat_arena_reset(&t->grads);
    leat_arena_reset(&t->scratch);
    t->spare_values = t->spare_grads = NULL;
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

leat_code leat_tape_code(const leat_tape *t)
{
    return t->status.code;
}

const char *leat_tape_errmsg(const leat_tape *t)
{
    return t->status.message;
}

const leat_status *leat_tape_status(const leat_tape *t)
{
    return &t->status;
}

leat_var leat_tape_fail(leat_tape *t, leat_code code, const char *format, ...)
{
    assert(t);
    if (t->status.code == LEAT_OK) {
        char place[LEAT_PATH_TEXT], text[sizeof t->status.message];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        leat_fail(&t->status, code, "%s%s", leat_place(t->scope, place), text);
    }
    return (leat_var){ .tape = t };
}

/* ---- modes ------------------------------------------------------------------------------------------------------- */

bool leat_tape_recording(const leat_tape *t)
{
    return t->recording;
}

bool leat_tape_set_recording(leat_tape *t, bool recording)
{
    bool was = t->recording;
    t->recording = recording;
    return was;
}

bool leat_tape_training(const leat_tape *t)
{
    return t->training;
}

bool leat_tape_set_training(leat_tape *t, bool training)
{
    bool was = t->training;
    t->training = training;
    return was;
}

bool leat_tape_recomputing(const leat_tape *t)
{
    return t->recomputing;
}

leat_rng *leat_tape_rng(leat_tape *t)
{
    return &t->rng;
}

leat_pool *leat_tape_pool(leat_tape *t)
{
    return t->pool;
}

leat_arena *leat_tape_scratch(leat_tape *t)
{
    return &t->scratch;
}

void *leat_tape_alloc(leat_tape *t, size_t bytes)
{
    void *block = leat_arena_alloc(&t->step, bytes);
    if (!block)
        leat_tape_fail(t, LEAT_ENOMEM, "out of memory for %zu bytes", bytes);
    return block;
}

/* ---- the place in the model -------------------------------------------------------------------------------------- */

const leat_scope *leat_tape_enter(leat_tape *t, const leat_scope *scope)
{
    const leat_scope *was = t->scope;
    t->scope = scope;
    return was;
}

static size_t path_append(const leat_scope *s, char *text, size_t size)
{
    if (!s)
        return 0;
    size_t used = path_append(s->parent, text, size);
    if (!s->name || !s->name[0] || used + 1 >= size)
        return used;
    int n = snprintf(text + used, size - used, used ? ".%s" : "%s", s->name);
    size_t wanted = used + (size_t)(n > 0 ? n : 0);
    return wanted < size ? wanted : size - 1;
}

const char *leat_scope_path(const leat_scope *s, char *text, size_t size)
{
    if (size)
        text[0] = '\0';
    path_append(s, text, size);
    return text;
}

const char *leat_place(const leat_scope *s, char text[LEAT_PATH_TEXT])
{
    leat_scope_path(s, text, LEAT_PATH_TEXT - 2);
    if (text[0])
        memcpy(text + strlen(text), ": ", 3);
    return text;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static bool block_add(leat_tape *t)
{
    if (t->block_count == t->block_capacity) {
        uint32_t capacity = t->block_capacity ? 2 * t->block_capacity : 16;
        leat_node **blocks = leat_arena_alloc(&t->home, capacity * sizeof *blocks);
        if (!blocks)
            return false;
        if (t->block_count)
            memcpy(blocks, t->blocks, t->block_count * sizeof *blocks);
        t->blocks = blocks;
        t->block_capacity = capacity;
    }
    leat_node *block = leat_arena_alloc(&t->home, LEAT_NODE_BLOCK * sizeof *block);
    if (!block)
        return false;
    t->blocks[t->block_count++] = block;
    return true;
}

leat_node *leat_tape_add(leat_tape *t)
{
    if (t->count == t->block_count * LEAT_NODE_BLOCK && !block_add(t)) {
        leat_tape_fail(t, LEAT_ENOMEM, "out of memory for another node");
        return NULL;
    }
    leat_node *n = leat_tape_node(t, ++t->count);
    *n = (leat_node){ .epoch = t->epoch, .scope = t->scope };
    return n;
}

leat_var leat_tape_last(leat_tape *t)
{
    return (leat_var){ .tape = t, .id = t->count, .epoch = t->epoch };
}

leat_node *leat_node_of(leat_var v)
{
    leat_tape *t = v.tape;
    assert(t && "the variable is absent");
    if (t->status.code)
        return NULL;
    if (v.id == 0) {
        leat_tape_fail(t, LEAT_ESTATE, "a variable that failed before the tape's last reset is used again");
        return NULL;
    }
    leat_node *n = v.id <= t->count ? leat_tape_node(t, v.id) : NULL;
    if (!n || n->epoch != v.epoch) {
        leat_tape_fail(t, LEAT_ESTATE, "a stale variable: it was made before the tape was reset or let go of it");
        return NULL;
    }
    return n;
}

bool leat_node_kept(leat_tape *t, const leat_node *n)
{
    const leat_node *owner = leat_node_owner(t, n);
    if (owner->gone)
        leat_tape_fail(t, LEAT_ESTATE, "the value of %s is asked for, which was let go of: no backward reads it",
                       owner->op ? owner->op->name : "an op's further result");
    return !owner->gone;
}

leat_real *leat_node_data(leat_tape *t, uint32_t id)
{
    leat_node *n = leat_tape_node(t, id);
    if (!leat_node_kept(t, n))
        return NULL;
    if (n->is_zeros && !n->value.data) {
        size_t bytes = (size_t)leat_shape_count(&n->value.shape) * sizeof(leat_real);
        n->value.data = leat_tape_alloc(t, bytes);
        if (!n->value.data)
            return NULL;
        memset(n->value.data, 0, bytes);
        n->link = t->zeros;
        t->zeros = id;
    }
    return n->value.data;
}

bool leat_is_zeros(leat_var v)
{
    leat_node *n = v.id ? leat_node_of(v) : NULL;
    return n && n->is_zeros;
}

/* ---- giving memory back before the reset ------------------------------------------------------------------------- */

leat_tape_mark leat_tape_save(const leat_tape *t)
{
    return (leat_tape_mark){ leat_arena_save(&t->step), t->count };
}

/* Sizes are those of an arena's blocks, where a leat_spare always fits. */
static size_t block_bytes(size_t bytes)
{
    return bytes ? (bytes + 63) / 64 * 64 : 64;
}

void *leat_spare_take(leat_spare **list, leat_arena *arena, size_t bytes)
{
    bytes = block_bytes(bytes);
    while (*list && (*list)->bytes != bytes)
        list = &(*list)->other;
    leat_spare *first = *list;
    if (!first)
        return leat_arena_alloc(arena, bytes);
    if (first->same)
        first->same->other = first->other;
    *list = first->same ? first->same : first->other;
    return first;
}

void leat_spare_give(leat_spare **list, void *block, size_t bytes)
{
    leat_spare *given = block;
    bytes = block_bytes(bytes);
    while (*list && (*list)->bytes != bytes)
        list = &(*list)->other;
    *given = (leat_spare){ *list, *list ? (*list)->other : NULL, bytes };
    *list = given;
}

/* Zeros may have got their storage since the mark, older ones too: they get other storage when they need it again. What
 * is spare may be memory from behind the mark, and is forgotten. */
void leat_tape_drop(leat_tape *t, leat_tape_mark mark)
{
    for (; t->zeros; t->zeros = leat_tape_node(t, t->zeros)->link)
        leat_tape_node(t, t->zeros)->value.data = NULL;
    for (; t->unread > mark.nodes; t->unread = leat_tape_node(t, t->unread)->link)
        continue;
    t->spare_values = NULL;
    leat_arena_restore(&t->step, mark.memory);
    t->count = mark.nodes;
    t->epoch++;
}

leat_tape_stats leat_tape_get_stats(const leat_tape *t)
{
    return (leat_tape_stats){
        .nodes = t->count,
        .bytes = t->step.in_use + t->grads.in_use + t->scratch.in_use,
        .peak_bytes = t->step.peak + t->grads.peak + t->scratch.peak,
    };
}
