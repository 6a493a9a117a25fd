/*
 * Flows in files: safetensors that hold, besides the tensors, the description from which the flow is rebuilt.
 *
 * A description is a stranger's word. The flow that it tells must have exactly the file's tensors before any memory is
 * taken for parameters, so a small file cannot ask for much.
 */
#include "flow_json.h"
#include "../../nn/model.h"

#include <string.h>

/* ---- saving ------------------------------------------------------------------------------------------------------ */

typedef struct roots {
    const leat_flow *flow;
    int depth;
    const leat_module *other;
} roots;

static void enter_module(leat_visitor *v, leat_module *m)
{
    roots *r = v->user;
    if (r->depth++ == 0 && m != &r->flow->module && !r->other)
        r->other = m;
}

static void leave_module(leat_visitor *v, leat_module *m)
{
    (void)m;
    ((roots *)v->user)->depth--;
}

/* A file of a flow holds that flow and nothing else. */
static leat_code check_alone(const leat_flow *f, const char *path, leat_status *s)
{
    roots r = { .flow = f };
    leat_visitor v = { .user = &r, .enter = enter_module, .leave = leave_module };
    leat_visit_model(&v, f->module.model);
    if (f->module.parent || r.other)
        return leat_fail(s, LEAT_EARG, "%.300s: the model has parts outside the flow: '%.80s'", path,
                         r.other ? r.other->type->name : f->module.parent->type->name);
    return LEAT_OK;
}

static leat_code save_described(leat_flow *f, const char *path, int64_t count, const char *(*metadata)[2],
                                leat_arena *scratch, leat_status *s)
{
    leat_status why = { 0 };
    char *text = leat_flow_describe(f, scratch, &why);
    if (!text)
        return leat_fail(s, why.code, "%.200s: %.280s", path, why.message);
    const char *(*all)[2] = leat_arena_alloc(scratch, (size_t)(count + 1) * sizeof *all);
    if (!all)
        return leat_fail(s, LEAT_ENOMEM, "%.300s: out of memory for the metadata", path);
    all[0][0] = LEAT_FLOW_KEY;
    all[0][1] = text;
    for (int64_t i = 0; i < count; i++)
        memcpy(all[i + 1], metadata[i], sizeof *all);
    return leat_save(f->module.model, path, count + 1, all, s);
}

leat_code leat_flow_save(leat_flow *f, const char *path, int64_t metadata_count, const char *(*metadata)[2],
                         leat_status *s)
{
    if (!f)
        return leat_fail(s, LEAT_ESTATE, "%.300s: the flow is missing: its model could not be built", path);
    leat_code code = leat_model_seal(f->module.model);
    if (code)
        return leat_fail(s, code, "%s", leat_model_errmsg(f->module.model));
    code = check_alone(f, path, s);
    leat_arena scratch;
    leat_arena_init(&scratch, leat_model_arena(f->module.model)->allocator);
    if (!code)
        code = save_described(f, path, metadata ? metadata_count : 0, metadata, &scratch, s);
    leat_arena_free(&scratch);
    return code;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

/* Same names, same shapes; leat_load_tensors tells what differs, but only after the model has taken its memory. */
static leat_code check_tensors(leat_part_reader *r, leat_arena *scratch)
{
    leat_safetensors ours;
    char want[LEAT_SHAPE_TEXT], got[LEAT_SHAPE_TEXT];
    if (leat_model_list(r->model, scratch, &ours))
        return leat_fail(r->status, LEAT_ENOMEM, "%.300s: out of memory for the names of parameters", r->source);
    for (int64_t i = 0; i < ours.count; i++) {
        const leat_safetensors_entry *e = &ours.entries[i];
        const leat_tensor *theirs = leat_safetensors_find(r->file, e->name);
        if (!theirs)
            return leat_fail(r->status, LEAT_EFORMAT, "%.200s: there is no '%.200s', which the flow has", r->source,
                             e->name);
        if (!leat_shape_equal(&theirs->shape, &e->tensor.shape))
            return leat_fail(r->status, LEAT_ESHAPE, "%.150s: '%.150s' is %s; the flow's is %s", r->source, e->name,
                             leat_shape_print(&theirs->shape, got), leat_shape_print(&e->tensor.shape, want));
    }
    return LEAT_OK;
}

static leat_code keep_metadata(leat_part_reader *r, leat_flow_file *info)
{
    leat_arena *a = leat_model_arena(r->model);
    int64_t n = 0;
    const char *(*kept)[2] = leat_arena_alloc(a, (size_t)r->file->metadata_count * sizeof *kept);
    bool all = kept != NULL;
    for (int64_t i = 0; all && i < r->file->metadata_count; i++) {
        if (strcmp(r->file->metadata[i][0], LEAT_FLOW_KEY) == 0)
            continue;
        for (int k = 0; k < 2; k++)
            kept[n][k] = leat_arena_format(a, "%s", r->file->metadata[i][k]);
        all = kept[n][0] && kept[n][1];
        n++;
    }
    if (!all)
        return leat_fail(r->status, LEAT_ENOMEM, "%.300s: out of memory for the metadata", r->source);
    info->metadata_count = n;
    info->metadata = kept;
    return LEAT_OK;
}

static leat_flow *build(leat_part_reader *r, const leat_flow_load_opts *o, leat_arena *scratch, leat_flow_file *info)
{
    const char *text = leat_safetensors_metadata(r->file, LEAT_FLOW_KEY);
    if (!text)
        return leat_flow_infer(r, o, info->note, sizeof info->note);
    leat_json *top;
    leat_status why = { 0 };
    info->described = true;
    leat_part_count(r);
    if (leat_json_read(text, strlen(text), LEAT_FLOW_KEY, 0, scratch, &top, &why))
        return leat_part_fail(r, why.code, "%.200s", why.message);
    return leat_flow_read(r, top);
}

static leat_flow *load(leat_part_reader *r, const leat_flow_load_opts *o, leat_arena *scratch, leat_flow_file *info)
{
    leat_flow *flow = build(r, o, scratch, info);
    if (leat_model_code(r->model) && !r->status->code) {
        leat_code code = leat_model_code(r->model) == LEAT_ENOMEM ? LEAT_ENOMEM : LEAT_EFORMAT;
        leat_part_fail(r, code, "%.200s", leat_model_errmsg(r->model));
    }
    if (r->status->code || check_tensors(r, scratch) || leat_load_tensors(r->model, r->file, r->source, r->status) ||
        keep_metadata(r, info))
        return NULL;
    return flow;
}

leat_flow *leat_flow_load(const char *path, const leat_flow_load_opts *o, leat_flow_file *info, leat_status *s)
{
    static const leat_flow_load_opts defaults;
    leat_flow_file unwanted;
    leat_status own = { 0 };
    o = o ? o : &defaults;
    info = info ? info : &unwanted;
    *info = (leat_flow_file){ 0 };
    leat_arena scratch;
    leat_safetensors file;
    leat_flow *flow = NULL;
    leat_arena_init(&scratch, o->model.allocator);
    if (!leat_safetensors_read(path, &scratch, &file, &own)) {
        leat_model *m = leat_model_new(&o->model);
        leat_part_reader r = { .model = m, .file = &file, .source = path, .status = &own, .own = &o->own };
        if (m)
            flow = load(&r, o, &scratch, info);
        else
            leat_fail(&own, LEAT_ENOMEM, "%.300s: out of memory for a model", path);
        if (!flow)
            leat_model_free(m);
    }
    leat_arena_free(&scratch);
    if (own.code)
        leat_fail(s, own.code, "%s", own.message);
    return flow;
}
