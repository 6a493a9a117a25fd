/*
 * The model: what owns the modules, their memory, threads and tapes.
 *
 * Sealing checks the names, lays the parameters out one behind the other in the flat arrays and fills them, each from a
 * random stream of its own, so that a parameter's start depends on its number and on nothing else.
 */
#include "model.h"
#include "../tensor/files/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What can fail apart from the model itself. */
typedef struct model_part {
    const leat_status *status;
    leat_tape *tape; /* if it is one */
    struct model_part *next;
} model_part;

leat_model *leat_model_new(const leat_model_opts *o)
{
    static const leat_model_opts defaults;
    if (!o)
        o = &defaults;
    leat_arena arena;
    leat_arena_init(&arena, o->allocator);
    leat_model *m = leat_arena_zalloc(&arena, sizeof *m);
    leat_pool *pool = m ? leat_pool_new(o->threads, o->allocator) : NULL;
    if (!pool) {
        leat_arena_free(&arena);
        return NULL;
    }
    m->arena = arena;
    m->pool = pool;
    m->seed = o->seed;
    return m;
}

void leat_model_free(leat_model *m)
{
    if (!m)
        return;
    for (const model_part *p = m->parts; p; p = p->next) {
        if (p->tape)
            leat_tape_free(p->tape);
    }
    leat_pool_free(m->pool);
    leat_arena arena = m->arena; /* it holds the model itself */
    leat_arena_free(&arena);
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

leat_code leat_model_code(const leat_model *m)
{
    return m ? m->status.code : LEAT_ENOMEM;
}

const char *leat_model_errmsg(const leat_model *m)
{
    return m ? m->status.message : "out of memory for a model";
}

leat_code leat_model_fail(leat_model *m, leat_code code, const char *format, ...)
{
    if (!m)
        return LEAT_ENOMEM;
    char text[sizeof m->status.message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return leat_fail(&m->status, code, "%s", text);
}

static bool watch(leat_model *m, const leat_status *status, leat_tape *tape)
{
    model_part *p = leat_arena_alloc(&m->arena, sizeof *p);
    if (p) {
        *p = (model_part){ status, tape, m->parts };
        m->parts = p;
    }
    return p != NULL;
}

bool leat_model_watch(leat_model *m, const leat_status *status)
{
    return watch(m, status, NULL);
}

const leat_status *leat_model_status(const leat_model *m)
{
    static const leat_status missing = { LEAT_ENOMEM, "out of memory for a model" };
    if (!m || m->status.code)
        return m ? &m->status : &missing;
    const model_part *p = m->parts;
    while (p && !p->status->code)
        p = p->next;
    return p ? p->status : &m->status;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

leat_arena *leat_model_arena(leat_model *m)
{
    return &m->arena;
}

leat_pool *leat_model_pool(leat_model *m)
{
    return m->pool;
}

uint64_t leat_model_seed(const leat_model *m)
{
    return m->seed;
}

/* The seed's streams: parameters' starts from 0, building from 2^32, tapes from 2^33. */
static const uint64_t build_streams = (uint64_t)1 << 32, tape_streams = (uint64_t)1 << 33;

leat_rng leat_model_stream(leat_model *m)
{
    return leat_rng_new(m->seed, build_streams + m->streams++);
}

leat_tape *leat_model_tape(leat_model *m, const leat_tape_opts *o)
{
    if (!m)
        return NULL;
    leat_tape_opts opts = o ? *o : (leat_tape_opts){ 0 };
    opts.allocator = m->arena.allocator;
    opts.pool = m->pool;
    opts.seed = m->seed;
    opts.stream += tape_streams;
    leat_tape *tape = leat_tape_new(&opts);
    if (tape && !watch(m, leat_tape_status(tape), tape)) {
        leat_tape_free(tape);
        tape = NULL;
    }
    if (!tape)
        leat_model_fail(m, LEAT_ENOMEM, "out of memory for a tape");
    return tape;
}

int64_t leat_param_count(const leat_model *m)
{
    int64_t count = 0;
    for (const leat_param *p = m ? m->params : NULL; p; p = p->next)
        count += leat_shape_count(&p->leaf.shape);
    return count;
}

/* ---- sealing ----------------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static leat_code check_unique(leat_model *m, const leat_safetensors *all, leat_arena *scratch)
{
    const char **names = leat_arena_alloc(scratch, (size_t)all->count * sizeof *names);
    if (!names)
        return leat_model_fail(m, LEAT_ENOMEM, "out of memory for the names of parameters");
    for (int64_t i = 0; i < all->count; i++) {
        names[i] = all->entries[i].name;
        if (strlen(names[i]) >= LEAT_NAME_SIZE - 1)
            return leat_model_fail(m, LEAT_EARG, "%.80s...: a full name of more than %d bytes", names[i],
                                   LEAT_NAME_SIZE - 2);
    }
    leat_sort((const void **)names, all->count, compare_names);
    for (int64_t i = 1; i < all->count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            return leat_model_fail(m, LEAT_EARG,
                                   "%.400s: two parameters or buffers have this name; leat_attach gives modules names",
                                   names[i]);
    }
    return LEAT_OK;
}

static void mark_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    ((bool *)v->user)[p->index] = true;
}

/* A parameter that no visit reports would be trained and never saved. */
static leat_code check_reported(leat_model *m, leat_arena *scratch)
{
    bool *seen = leat_arena_zalloc(scratch, (size_t)m->param_count * sizeof *seen);
    if (!seen)
        return leat_model_fail(m, LEAT_ENOMEM, "out of memory for a list of parameters");
    leat_visitor v = { .user = seen, .param = mark_param };
    leat_visit_model(&v, m);
    char text[LEAT_NAME_SIZE];
    for (const leat_param *p = m->params; p; p = p->next) {
        if (!seen[p->index])
            return leat_model_fail(m, LEAT_ESTATE, "%.400s: the visit function of its module does not report it",
                                   leat_param_path(p, text, sizeof text));
    }
    return LEAT_OK;
}

static leat_code check_names(leat_model *m)
{
    leat_arena scratch;
    leat_arena_init(&scratch, m->arena.allocator);
    leat_safetensors all;
    leat_code code = leat_model_list(m, &scratch, &all);
    if (code)
        leat_model_fail(m, code, "out of memory for the names of parameters");
    else if (!check_unique(m, &all, &scratch))
        check_reported(m, &scratch);
    leat_arena_free(&scratch);
    return m->status.code;
}

static leat_code take_memory(leat_model *m)
{
    m->values = leat_arena_zalloc(&m->arena, (size_t)m->flat * sizeof(leat_real));
    m->grads = leat_arena_zalloc(&m->arena, (size_t)m->flat * sizeof(leat_real));
    m->block_sums = leat_arena_alloc(&m->arena, (size_t)(m->flat / LEAT_NORM_BLOCK + 1) * sizeof(double));
    if (!m->values || !m->grads || !m->block_sums)
        return leat_model_fail(m, LEAT_ENOMEM, "out of memory for %lld parameters", (long long)leat_param_count(m));
    return LEAT_OK;
}

static leat_code fill_param(leat_model *m, const leat_param *p, leat_arena *scratch)
{
    leat_tensor value = { p->leaf.value, p->leaf.shape };
    leat_rng rng = leat_rng_new(m->seed, (uint64_t)p->index);
    for (int64_t i = 0; p->init.values && i < leat_shape_count(&value.shape); i++)
        value.data[i] = (leat_real)p->init.values[i];
    if (p->init.values)
        return LEAT_OK;
    if (!p->init.try_fill) {
        p->init.fill(&rng, value, p->init.a, p->init.b);
        return LEAT_OK;
    }
    char text[LEAT_NAME_SIZE];
    leat_status s = { 0 };
    leat_code code = p->init.try_fill(&(leat_init_job){ &rng, scratch, &s }, value, p->init.a, p->init.b);
    leat_arena_reset(scratch);
    return code ? leat_model_fail(m, code, "%.300s: %s", leat_param_path(p, text, sizeof text), s.message) : LEAT_OK;
}

static leat_code fill_params(leat_model *m)
{
    leat_arena scratch;
    leat_arena_init(&scratch, m->arena.allocator);
    for (leat_param *p = m->params; p && !m->status.code; p = p->next) {
        p->leaf.value = m->values + p->offset;
        p->leaf.grad = m->grads + p->offset;
        fill_param(m, p, &scratch);
    }
    leat_arena_free(&scratch);
    return m->status.code;
}

leat_code leat_model_seal(leat_model *m)
{
    if (!m || m->sealed || m->status.code)
        return leat_model_code(m);
    if (check_names(m) || take_memory(m) || fill_params(m))
        return m->status.code;
    m->sealed = true;
    return LEAT_OK;
}

/* ---- hash -------------------------------------------------------------------------------------------------------- */

/* FNV-1a, 64 bits. */
static void hash_bytes(uint64_t *hash, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    uint64_t h = *hash;
    for (size_t i = 0; i < size; i++)
        h = (h ^ byte[i]) * 0x100000001b3;
    *hash = h;
}

static void hash_tensor(uint64_t *hash, const char *name, const leat_tensor *t)
{
    int64_t rank = t->shape.rank;
    hash_bytes(hash, name, strlen(name) + 1);
    hash_bytes(hash, &rank, sizeof rank);
    hash_bytes(hash, t->shape.size, (size_t)rank * sizeof t->shape.size[0]);
    hash_bytes(hash, t->data, (size_t)leat_shape_count(&t->shape) * sizeof(leat_real));
}

static void hash_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    char text[LEAT_NAME_SIZE];
    leat_tensor value = { p->leaf.value, p->leaf.shape };
    hash_tensor(v->user, leat_param_path(p, text, sizeof text), &value);
}

static void hash_buffer(leat_visitor *v, leat_module *owner, leat_buffer *b)
{
    char text[LEAT_NAME_SIZE];
    hash_tensor(v->user, leat_buffer_path(owner, b, text), &b->value);
}

uint64_t leat_model_hash(leat_model *m)
{
    uint64_t hash = 0xcbf29ce484222325;
    leat_visitor v = { .user = &hash, .param = hash_param, .buffer = hash_buffer };
    if (leat_model_seal(m))
        return 0;
    leat_visit_model(&v, m);
    return hash;
}
