/*
 * The state dict: saving and loading all parameters and buffers under their full names.
 *
 * Loading checks every name and shape before it writes a number. Then modules may still refuse what they read; in that
 * case the old numbers, of which a copy was kept, go back.
 */
#include "../tensor/files/files.h"
#include "model.h"

#include <string.h>

/* ---- listing ----------------------------------------------------------------------------------------------------- */

typedef struct lister {
    leat_arena *arena; /* NULL while counting */
    leat_safetensors *out;
    bool full;
} lister;

static void list_tensor(lister *l, const char *name, leat_tensor value, double *doubles)
{
    if (l->arena && !l->full) {
        leat_safetensors_entry *e = &l->out->entries[l->out->count];
        *e = (leat_safetensors_entry){ leat_arena_format(l->arena, "%s", name), value, doubles };
        l->full = e->name == NULL;
    }
    l->out->count++;
}

static void list_param(leat_visitor *v, leat_module *owner, leat_param *p)
{
    (void)owner;
    char text[LEAT_NAME_SIZE];
    list_tensor(v->user, leat_param_path(p, text, sizeof text), (leat_tensor){ p->leaf.value, p->leaf.shape }, NULL);
}

static void list_buffer(leat_visitor *v, leat_module *owner, leat_buffer *b)
{
    char text[LEAT_NAME_SIZE];
    list_tensor(v->user, leat_buffer_path(owner, b, text), b->value, b->doubles);
}

leat_code leat_model_list(leat_model *m, leat_arena *a, leat_safetensors *out)
{
    lister l = { .out = out };
    leat_visitor v = { .user = &l, .param = list_param, .buffer = list_buffer };
    *out = (leat_safetensors){ 0 };
    leat_visit_model(&v, m);
    out->entries = leat_arena_alloc(a, (size_t)out->count * sizeof *out->entries);
    if (!out->entries)
        return LEAT_ENOMEM;
    out->count = 0;
    l.arena = a;
    leat_visit_model(&v, m);
    l.full = l.full || !leat_safetensors_index(out, a);
    return l.full ? LEAT_ENOMEM : LEAT_OK;
}

/* ---- saving ------------------------------------------------------------------------------------------------------ */

leat_code leat_save(leat_model *m, const char *path, int64_t metadata_count, const char *(*metadata)[2], leat_status *s)
{
    leat_code code = leat_model_seal(m);
    if (code)
        return leat_fail(s, code, "%s", leat_model_errmsg(m));
    leat_arena scratch;
    leat_arena_init(&scratch, m->arena.allocator);
    leat_safetensors file;
    code = leat_model_list(m, &scratch, &file);
    if (code) {
        leat_fail(s, code, "%.300s: out of memory for the names of parameters", path);
    } else {
        file.metadata_count = metadata ? metadata_count : 0;
        file.metadata = metadata;
        code = leat_safetensors_write(path, &file, s);
    }
    leat_arena_free(&scratch);
    return code;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

/* Everything about one load: the model's tensors, what will be written into each, and copies of what is there. */
typedef struct load {
    leat_model *model;
    leat_safetensors file;
    const char *from;
    leat_arena scratch;
    leat_safetensors ours;
    leat_safetensors_entry *fresh, *old; /* the numbers of `ours` */
    leat_status *status;
} load;

/* Of tensors that share memory PyTorch's save_model writes one, and names it in the metadata under the others' names. */
static leat_code match_one(load *l, int64_t i, bool *used)
{
    const leat_safetensors_entry *ours = &l->ours.entries[i];
    char want[LEAT_SHAPE_TEXT], got[LEAT_SHAPE_TEXT];
    const leat_safetensors_entry *e = leat_safetensors_entry_of(&l->file, ours->name);
    const char *other = e ? NULL : leat_safetensors_metadata(&l->file, ours->name);
    if (other)
        e = leat_safetensors_entry_of(&l->file, other);
    if (!e)
        return leat_fail(l->status, LEAT_EFORMAT, "%.200s: there is no '%.200s', which the model has", l->from,
                         ours->name);
    const leat_tensor *theirs = &e->tensor;
    if (!leat_shape_equal(&theirs->shape, &ours->tensor.shape))
        return leat_fail(l->status, LEAT_ESHAPE, "%.150s: '%.150s' is %s; the model's is %s", l->from, ours->name,
                         leat_shape_print(&theirs->shape, got), leat_shape_print(&ours->tensor.shape, want));
    l->fresh[i] = *e;
    used[e - l->file.entries] = true;
    return LEAT_OK;
}

static leat_code match_all(load *l)
{
    bool *used = leat_arena_zalloc(&l->scratch, (size_t)l->file.count * sizeof *used);
    if (!used)
        return leat_fail(l->status, LEAT_ENOMEM, "%.300s: out of memory for the names of parameters", l->from);
    for (int64_t i = 0; i < l->ours.count; i++) {
        leat_code code = match_one(l, i, used);
        if (code)
            return code;
    }
    for (int64_t j = 0; j < l->file.count; j++) {
        if (!used[j])
            return leat_fail(l->status, LEAT_EFORMAT, "%.200s: '%.200s' is not in the model", l->from,
                             l->file.entries[j].name);
    }
    return LEAT_OK;
}

/* The numbers of one entry into the memory of another; in double, too, where that is wanted. */
static void copy_numbers(const leat_safetensors_entry *to, const leat_safetensors_entry *from)
{
    int64_t count = leat_shape_count(&to->tensor.shape);
    for (int64_t k = 0; to->doubles && to->doubles != from->doubles && k < count; k++)
        to->doubles[k] = from->doubles ? from->doubles[k] : (double)from->tensor.data[k];
    if (count)
        memcpy(to->tensor.data, from->tensor.data, (size_t)count * sizeof *to->tensor.data);
}

static leat_code keep_old(load *l)
{
    for (int64_t i = 0; i < l->ours.count; i++) {
        const leat_safetensors_entry *ours = &l->ours.entries[i];
        size_t count = (size_t)leat_shape_count(&ours->tensor.shape);
        leat_safetensors_entry *old = &l->old[i];
        *old = *ours;
        old->tensor.data = leat_arena_alloc(&l->scratch, count * sizeof *old->tensor.data);
        if (ours->doubles)
            old->doubles = leat_arena_alloc(&l->scratch, count * sizeof *old->doubles);
        if (!old->tensor.data || (ours->doubles && !old->doubles))
            return leat_fail(l->status, LEAT_ENOMEM, "%.300s: out of memory for a copy of the old values", l->from);
        copy_numbers(old, ours);
    }
    return LEAT_OK;
}

static void write_values(const load *l, const leat_safetensors_entry *values)
{
    for (int64_t i = 0; i < l->ours.count; i++)
        copy_numbers(&l->ours.entries[i], &values[i]);
}

static void tell_loaded(leat_visitor *v, leat_module *m)
{
    leat_status *s = v->user, own = { 0 };
    char text[LEAT_NAME_SIZE];
    leat_code code = s->code || !m->type->loaded ? LEAT_OK : m->type->loaded(m, &own);
    if (code) {
        leat_scope_path(&m->scope, text, sizeof text);
        leat_fail(s, code, "%.200s%s%.200s", text, text[0] ? ": " : "", own.message[0] ? own.message : m->type->name);
    }
}

/* Children hear of their new values before their parents. */
static leat_code tell_all(leat_model *m, leat_status *s)
{
    leat_visitor v = { .user = s, .leave = tell_loaded };
    leat_visit_model(&v, m);
    return s->code;
}

static leat_code exchange(load *l)
{
    leat_status refusal = { 0 }, again = { 0 };
    write_values(l, l->fresh);
    if (!tell_all(l->model, &refusal))
        return LEAT_OK;
    write_values(l, l->old);
    if (tell_all(l->model, &again)) /* parts that were rebuilt from the new values cannot be left so */
        leat_model_fail(l->model, again.code, "the old values could not be restored: %.300s", again.message);
    return leat_fail(l->status, refusal.code, "%.150s: %.300s", l->from, refusal.message);
}

leat_code leat_load_tensors(leat_model *m, const leat_safetensors *f, const char *from, leat_status *s)
{
    leat_code code = leat_model_seal(m);
    if (code)
        return leat_fail(s, code, "%s", leat_model_errmsg(m));
    load l = { .model = m, .file = *f, .from = from, .status = s };
    leat_arena_init(&l.scratch, m->arena.allocator);
    code = leat_model_list(m, &l.scratch, &l.ours);
    if (!code) {
        l.fresh = leat_arena_alloc(&l.scratch, (size_t)l.ours.count * sizeof *l.fresh);
        l.old = leat_arena_alloc(&l.scratch, (size_t)l.ours.count * sizeof *l.old);
    }
    bool indexed = f->by_name || leat_safetensors_index(&l.file, &l.scratch);
    if (!l.fresh || !l.old || !indexed)
        code = leat_fail(s, LEAT_ENOMEM, "%.300s: out of memory for the names of parameters", from);
    if (!code)
        code = match_all(&l);
    if (!code)
        code = keep_old(&l);
    if (!code)
        code = exchange(&l);
    leat_arena_free(&l.scratch);
    return code;
}

leat_code leat_load(leat_model *m, const char *path, leat_status *s)
{
    leat_code code = leat_model_seal(m);
    if (code)
        return leat_fail(s, code, "%s", leat_model_errmsg(m));
    leat_arena memory;
    leat_arena_init(&memory, m->arena.allocator);
    leat_safetensors file;
    code = leat_safetensors_read(path, &memory, &file, s);
    if (!code)
        code = leat_load_tensors(m, &file, path, s);
    leat_arena_free(&memory);
    return code;
}
