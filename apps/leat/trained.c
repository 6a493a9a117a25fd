/* Opening a trained flow. */
#include "trained.h"

#include "../common/image_input.h"
#include "../common/streams.h"

#include "../../tensor/files/json.h"
#include "../../tensor/files/table.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

static const char *find(const leat_flow_file *f, const char *key)
{
    for (int64_t i = 0; i < f->metadata_count; i++)
        if (strcmp(f->metadata[i][0], key) == 0)
            return f->metadata[i][1];
    return NULL;
}

/* The record of the training, and a line on standard error if that failed. */
static leat_code read_record(app_trained *m, const leat_flow_file *f)
{
    const char *text = find(f, "training"), *failed;
    leat_status why = { 0 };
    if (text && leat_json_read(text, strlen(text), "training", 0, &m->arena, &m->record, &why))
        return leat_fail(&m->status, why.code, "%s: %s", m->path, why.message);
    failed = text ? leat_json_text(leat_json_get(m->record, "failed")) : NULL;
    if (failed)
        app_say(m->program, "warning: %s: the run that trained it failed: %s", m->path, failed);
    return LEAT_OK;
}

/* The list of `count` texts in JSON that stands under `key`: NULL only if nothing does. */
static leat_code read_names(app_trained *m, const leat_flow_file *f, const char *key, int64_t count,
                            const char *const **out)
{
    const char *text = find(f, key);
    const char **names = leat_arena_alloc(&m->arena, (size_t)count * sizeof *names);
    leat_status why = { 0 };
    leat_json *list = NULL;
    int64_t i = 0;
    if (!text || count == 0)
        return LEAT_OK;
    if (!names || leat_json_read(text, strlen(text), key, 0, &m->arena, &list, &why)) {
        return leat_fail(&m->status, names ? why.code : LEAT_ENOMEM, "%.200s: %.200s", m->path,
                         names ? why.message : "out of memory for the names of columns");
    }
    for (const leat_json *v = list->kind == LEAT_JSON_ARRAY ? list->first : NULL; v && i < count; v = v->next)
        i += (names[i] = leat_json_text(v)) ? 1 : 0;
    if (i != count || list->count != count) {
        return leat_fail(&m->status, LEAT_EFORMAT, "%.200s: its '%s' are not a list of %lld names", m->path, key,
                         (long long)count);
    }
    *out = names;
    return LEAT_OK;
}

/* ---- PyTorch's own files ----------------------------------------------------------------------------------------- */

/* torch.save writes a ZIP archive; before that it wrote a pickle, which begins with 0x80 and a version. A .npz is a ZIP
 * archive too, of .npy files. */
static bool is_pickle(const char *path)
{
    unsigned char head[4] = { 0 };
    struct stat st;
    bool regular = stat(path, &st) == 0 && S_ISREG(st.st_mode); /* a pipe can be read but once */
    int fd = regular && !leat_path_ends(path, ".npz") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    bool read_all = fd >= 0 && read(fd, head, sizeof head) == (ssize_t)sizeof head;
    if (fd >= 0)
        close(fd);
    return read_all && (memcmp(head, "PK\3\4", 4) == 0 || (head[0] == 0x80 && head[1] >= 2 && head[1] <= 5));
}

static leat_code refuse_pickle(app_trained *m)
{
    return leat_fail(&m->status, LEAT_EFORMAT,
                     "%.100s: a pickle of Python objects, which only Python can read: python3 -c \"import torch; from "
                     "safetensors.torch import save_file; save_file(torch.load('%.100s', weights_only=True), "
                     "'model.safetensors')\"",
                     m->path, m->path);
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

leat_code app_trained_open(app_trained *m, const char *program, const char *path, const app_trained_opts *o)
{
    const leat_flow_load_opts load = { .model = { .seed = (uint64_t)o->seed, .threads = (int)o->threads },
                                       .scale = (leat_scale_map)o->scale,
                                       .tail_bound = o->tail_bound };
    const leat_tape_opts tape = { .values_only = true, .evaluate = true };
    leat_flow_file file;
    leat_status why = { 0 };
    path = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    *m = (app_trained){ .program = program, .path = path };
    leat_arena_init(&m->arena, NULL);
    if (is_pickle(path))
        return refuse_pickle(m);
    m->flow = leat_flow_load(path, &load, &file, &why);
    if (!m->flow) {
        return leat_fail(&m->status, why.code, "%s%s", why.message,
                         leat_path_is_table(path) || leat_path_ends(path, ".npz")
                             ? " (by its name a table; the model comes first)"
                             : "");
    }
    m->model = leat_flow_model(m->flow);
    app_flow_is_of_images(m->flow, &m->image);
    m->tape = leat_model_tape(m->model, &tape);
    if (!m->tape)
        return leat_fail(&m->status, LEAT_ENOMEM, "out of memory for a tape");
    if (file.note[0])
        app_say(program, "%s: %s", path, file.note);
    if (!read_record(m, &file) && !read_names(m, &file, "columns", leat_flow_dim(m->flow), &m->columns))
        read_names(m, &file, "context_columns", leat_flow_context(m->flow), &m->conditions);
    return m->status.code;
}

int app_trained_close(app_trained *m)
{
    int exit_code = m->status.code ? 1 : 0;
    if (exit_code)
        app_say(m->program, "%s", m->status.message);
    leat_model_free(m->model);
    leat_arena_free(&m->arena);
    return exit_code;
}
