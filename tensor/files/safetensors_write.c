/*
 * Writing safetensors. The bytes are a function of the tensors and texts alone: both stand in the order given, the
 * header is compact JSON padded with spaces so that the data begin at a multiple of 64, and the tensors follow each
 * other without padding, as the format demands.
 */
#include "files.h"
#include "json.h"

#include <string.h>

enum { ALIGNMENT = 64 };
static const size_t longest_header = 100000000; /* longer ones are refused by readers */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Whether all of the texts differ; `texts` is sorted on the way. */
static bool all_differ(const char **texts, int64_t n)
{
    leat_sort((const void **)texts, n, compare_texts);
    for (int64_t i = 1; i < n; i++)
        if (strcmp(texts[i - 1], texts[i]) == 0)
            return false;
    return true;
}

static leat_code check(const char *path, const leat_safetensors *f, leat_arena *scratch, leat_status *s)
{
    int64_t most = f->count > f->metadata_count ? f->count : f->metadata_count;
    const char **texts = leat_arena_alloc(scratch, (size_t)most * sizeof *texts);
    char text[LEAT_NAME_TEXT];
    if (!texts)
        return leat_fail(s, LEAT_ENOMEM, "%s: out of memory for the header", path);
    for (int64_t i = 0; i < f->count; i++) {
        texts[i] = f->entries[i].name;
        if (leat_shape_count(&f->entries[i].tensor.shape) < 0)
            return leat_fail(s, LEAT_ESHAPE, "%s: tensor '%s': no valid shape", path, leat_name_print(texts[i], text));
        if (strcmp(texts[i], "__metadata__") == 0)
            return leat_fail(s, LEAT_EARG, "%s: a tensor must not be called '__metadata__'", path);
    }
    if (!all_differ(texts, f->count))
        return leat_fail(s, LEAT_ESTATE, "%s: two tensors have the same name", path);
    for (int64_t i = 0; i < f->metadata_count; i++)
        texts[i] = f->metadata[i][0];
    if (!all_differ(texts, f->metadata_count))
        return leat_fail(s, LEAT_ESTATE, "%s: two texts of the metadata have the same key", path);
    return LEAT_OK;
}

static void put_metadata(leat_json_writer *w, const leat_safetensors *f)
{
    leat_json_key(w, "__metadata__");
    leat_json_open(w, '{');
    for (int64_t i = 0; i < f->metadata_count; i++) {
        leat_json_key(w, f->metadata[i][0]);
        leat_json_put_text(w, f->metadata[i][1]);
    }
    leat_json_close(w, '}');
}

static bool is_double(const leat_safetensors_entry *e)
{
    return e->doubles || sizeof(leat_real) == sizeof(double);
}

static size_t bytes_of(const leat_safetensors_entry *e)
{
    return (size_t)leat_shape_count(&e->tensor.shape) * (is_double(e) ? sizeof(double) : sizeof(leat_real));
}

/* Puts a tensor that begins at `offset` and returns where it ends. */
static int64_t put_tensor(leat_json_writer *w, const leat_safetensors_entry *e, int64_t offset)
{
    const leat_shape *shape = &e->tensor.shape;
    int64_t end = offset + (int64_t)bytes_of(e);
    leat_json_key(w, e->name);
    leat_json_open(w, '{');
    leat_json_key(w, "dtype");
    leat_json_put_text(w, is_double(e) ? "F64" : "F32");
    leat_json_key(w, "shape");
    leat_json_open(w, '[');
    for (int i = 0; i < shape->rank; i++)
        leat_json_put_int(w, shape->size[i]);
    leat_json_close(w, ']');
    leat_json_key(w, "data_offsets");
    leat_json_open(w, '[');
    leat_json_put_int(w, offset);
    leat_json_put_int(w, end);
    leat_json_close(w, ']');
    leat_json_close(w, '}');
    return end;
}

static leat_code print_header(const char *path, const leat_safetensors *f, leat_arena *scratch, leat_bytes *header,
                              leat_status *s)
{
    leat_json_writer w = leat_json_writer_new(scratch);
    int64_t offset = 0;
    char *text;
    leat_json_open(&w, '{');
    if (f->metadata_count > 0)
        put_metadata(&w, f);
    for (int64_t i = 0; i < f->count; i++)
        offset = put_tensor(&w, &f->entries[i], offset);
    leat_json_close(&w, '}');
    if (leat_json_finish(&w, &text, &header->size, NULL))
        return leat_fail(s, w.code, "%s: %s", path, w.reason);
    header->data = text;
    return LEAT_OK;
}

static leat_code write_file(const char *path, const leat_safetensors *f, leat_arena *scratch, leat_status *s)
{
    char length[8];
    leat_bytes header;
    leat_code code = check(path, f, scratch, s);
    if (!code)
        code = print_header(path, f, scratch, &header, s);
    if (code)
        return code;
    size_t padding = (ALIGNMENT - (8 + header.size) % ALIGNMENT) % ALIGNMENT, total = header.size + padding;
    if (total > longest_header)
        return leat_fail(s, LEAT_EARG, "%s: a header of %zu bytes, more than the format allows", path, total);
    leat_bytes *parts = leat_arena_alloc(scratch, (size_t)(f->count + 3) * sizeof *parts);
    if (!parts)
        return leat_fail(s, LEAT_ENOMEM, "%s: out of memory for the header", path);
    for (int i = 0; i < 8; i++)
        length[i] = (char)((uint64_t)total >> 8 * i & 0xFF);
    parts[0] = (leat_bytes){ length, sizeof length };
    parts[1] = header;
    parts[2] = (leat_bytes){ "                                                               ", padding };
    for (int64_t i = 0; i < f->count; i++) {
        const leat_safetensors_entry *e = &f->entries[i];
        parts[i + 3] = (leat_bytes){ e->doubles ? (const void *)e->doubles : e->tensor.data, bytes_of(e) };
    }
    return leat_file_write_parts(path, parts, f->count + 3, s);
}

leat_code leat_safetensors_write(const char *path, const leat_safetensors *f, leat_status *s)
{
    leat_arena scratch;
    leat_arena_init(&scratch, NULL);
    leat_code code = write_file(path, f, &scratch, s);
    leat_arena_free(&scratch);
    return code;
}
