/*
 * Reading safetensors: a 64-bit length, a header in JSON of that length, and the numbers.
 *
 *     {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
 *
 * Offsets count from the header's end. Nothing is believed: the tensors, sorted by their offsets, must cover the data
 * without a gap, and each must be as long as its shape says, before any memory is taken for them.
 */
#include "convert.h"
#include "files.h"
#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The format's own bound, so that a reader need not parse gigabytes of JSON. */
static const uint64_t longest_header = 100000000;

struct reader {
    const char *bytes, *source;
    size_t size, data; /* where the numbers begin */
    leat_arena *scratch, *arena;
    leat_status *status;
    leat_code code;
};

struct item {
    const leat_json *node;
    leat_dtype dtype;
    leat_shape shape;
    int64_t count, begin, end;
};

/* Refuses at a tensor or, when `name` is NULL, at a byte of the file. */
LEAT_PRINTF(4, 5) static bool refuse(struct reader *r, const char *name, size_t at, const char *format, ...)
{
    char reason[256], text[LEAT_NAME_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    if (name)
        r->code =
            leat_fail(r->status, LEAT_EFORMAT, "%s: tensor '%s': %s", r->source, leat_name_print(name, text), reason);
    else
        r->code = leat_fail(r->status, LEAT_EFORMAT, "%s: byte %zu: %s", r->source, at, reason);
    return false;
}

static void *take(struct reader *r, leat_arena *a, size_t bytes)
{
    void *block = leat_arena_alloc(a, bytes);
    if (!block)
        r->code = leat_fail(r->status, LEAT_ENOMEM, "%s: out of memory for the tensors", r->source);
    return block;
}

static const char *copy_text(struct reader *r, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = take(r, r->arena, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

const char *leat_name_print(const char *name, char text[LEAT_NAME_TEXT])
{
    size_t n = 0, left = strlen(name), step;
    for (; (step = leat_utf8_length(name, left)) > 0 && n + step <= 80; name += step, left -= step) {
        bool control = (unsigned char)name[0] < ' ' || name[0] == 0x7F ||
                       (step == 2 && (unsigned char)name[0] == 0xC2 && (unsigned char)name[1] < 0xA0);
        memcpy(text + n, control ? "?" : name, control ? 1 : step);
        n += control ? 1 : step;
    }
    strcpy(text + n, left > 0 ? "..." : "");
    return text;
}

/* ---- the header -------------------------------------------------------------------------------------------------- */

static bool read_header(struct reader *r, leat_json **header)
{
    const unsigned char *b = (const unsigned char *)r->bytes;
    uint64_t length = 0;
    if (r->size < 8)
        return refuse(r, NULL, 0, "%zu bytes are too few for the length of a header", r->size);
    for (int i = 0; i < 8; i++)
        length |= (uint64_t)b[i] << 8 * i;
    if (length > r->size - 8)
        return refuse(r, NULL, 0, "a header of %llu bytes where the file has %zu left", (unsigned long long)length,
                      r->size - 8);
    if (length > longest_header)
        return refuse(r, NULL, 0, "a header of %llu bytes, more than the format allows", (unsigned long long)length);
    if (length == 0 || r->bytes[8] != '{')
        return refuse(r, NULL, 8, "the header does not begin with '{'");
    r->data = 8 + (size_t)length;
    r->code = leat_json_read(r->bytes + 8, (size_t)length, r->source, 8, r->scratch, header, r->status);
    return r->code == LEAT_OK;
}

static bool read_metadata(struct reader *r, const leat_json *node, leat_safetensors *out)
{
    if (node->kind != LEAT_JSON_OBJECT)
        return refuse(r, NULL, node->offset, "__metadata__ is no object");
    if (node->count == 0)
        return true;
    out->metadata = take(r, r->arena, (size_t)node->count * sizeof *out->metadata);
    if (!out->metadata)
        return false;
    for (const leat_json *m = node->first; m; m = m->next, out->metadata_count++) {
        const char **pair = out->metadata[out->metadata_count];
        if (!leat_json_text(m))
            return refuse(r, NULL, m->offset, "a value in __metadata__ is no text");
        pair[0] = copy_text(r, m->key);
        pair[1] = copy_text(r, m->text);
        if (!pair[0] || !pair[1])
            return false;
    }
    return true;
}

static bool read_dtype(struct reader *r, const leat_json *node, struct item *t)
{
    static const struct {
        const char *name;
        leat_dtype type;
    } known[] = {
        { "F64", LEAT_DTYPE_F64 },   { "F32", LEAT_DTYPE_F32 }, { "F16", LEAT_DTYPE_F16 }, { "BF16", LEAT_DTYPE_BF16 },
        { "I64", LEAT_DTYPE_I64 },   { "I32", LEAT_DTYPE_I32 }, { "I16", LEAT_DTYPE_I16 }, { "I8", LEAT_DTYPE_I8 },
        { "U64", LEAT_DTYPE_U64 },   { "U32", LEAT_DTYPE_U32 }, { "U16", LEAT_DTYPE_U16 }, { "U8", LEAT_DTYPE_U8 },
        { "BOOL", LEAT_DTYPE_BOOL },
    };
    const char *name = leat_json_text(node);
    char text[LEAT_NAME_TEXT];
    if (!name)
        return refuse(r, t->node->key, 0, "no text 'dtype'");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) == 0) {
            t->dtype = known[i].type;
            return true;
        }
    }
    return refuse(r, t->node->key, 0, "dtype '%s' is not supported", leat_name_print(name, text));
}

static bool read_shape(struct reader *r, const leat_json *node, struct item *t)
{
    if (!node || node->kind != LEAT_JSON_ARRAY)
        return refuse(r, t->node->key, 0, "no list 'shape'");
    if (node->count > LEAT_MAX_RANK)
        return refuse(r, t->node->key, 0, "rank %lld, more than %d", (long long)node->count, LEAT_MAX_RANK);
    for (const leat_json *v = node->first; v; v = v->next)
        if (!leat_json_int(v, 0, INT64_MAX, &t->shape.size[t->shape.rank++]))
            return refuse(r, t->node->key, 0, "a size in the shape (byte %zu) is no count", v->offset);
    t->count = leat_shape_count(&t->shape);
    if (t->count < 0)
        return refuse(r, t->node->key, 0, "no memory could hold its shape");
    return true;
}

static bool read_offsets(struct reader *r, const leat_json *node, struct item *t)
{
    int64_t size = (int64_t)(r->size - r->data), width = (int64_t)leat_dtype_size(t->dtype), length;
    char text[LEAT_SHAPE_TEXT];
    if (!node || node->kind != LEAT_JSON_ARRAY || node->count != 2)
        return refuse(r, t->node->key, 0, "no pair 'data_offsets'");
    if (!leat_json_int(node->first, 0, size, &t->begin) || !leat_json_int(node->first->next, t->begin, size, &t->end))
        return refuse(r, t->node->key, 0, "data_offsets are no range in the %lld bytes of data", (long long)size);
    length = t->end - t->begin;
    if (length % width != 0 || length / width != t->count)
        return refuse(r, t->node->key, 0, "%lld bytes where shape %s wants %lld numbers of %lld bytes",
                      (long long)length, leat_shape_print(&t->shape, text), (long long)t->count, (long long)width);
    return true;
}

static bool read_item(struct reader *r, const leat_json *node, struct item *t)
{
    t->node = node;
    if (node->kind != LEAT_JSON_OBJECT)
        return refuse(r, node->key, 0, "no object");
    if (!read_dtype(r, leat_json_get(node, "dtype"), t) || !read_shape(r, leat_json_get(node, "shape"), t) ||
        !read_offsets(r, leat_json_get(node, "data_offsets"), t))
        return false;
    if (node->count != 3)
        return refuse(r, node->key, 0, "has more than dtype, shape and data_offsets");
    return true;
}

/* ---- the tensors ------------------------------------------------------------------------------------------------- */

/* By their place in the data; empty tensors of one place as the header has them. */
static int compare_places(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->node->offset < y->node->offset ? -1 : x->node->offset > y->node->offset;
}

static bool check_cover(struct reader *r, const struct item **items, int64_t count)
{
    int64_t at = 0, size = (int64_t)(r->size - r->data);
    for (int64_t i = 0; i < count; i++) {
        if (items[i]->begin != at)
            return refuse(r, items[i]->node->key, 0, "its data begin at offset %lld where %lld is next%s",
                          (long long)items[i]->begin, (long long)at,
                          items[i]->begin < at ? ": an overlap" : ": a hole");
        at = items[i]->end;
    }
    if (at != size)
        return refuse(r, NULL, r->data + (size_t)at, "%lld bytes that belong to no tensor", (long long)(size - at));
    return true;
}

static bool read_tensors(struct reader *r, const struct item **items, leat_safetensors *out)
{
    out->entries = take(r, r->arena, (size_t)out->count * sizeof *out->entries);
    for (int64_t i = 0; out->entries && i < out->count; i++) {
        const struct item *t = items[i];
        leat_safetensors_entry *e = &out->entries[i];
        e->name = copy_text(r, t->node->key);
        e->tensor.shape = t->shape;
        e->tensor.data = take(r, r->arena, (size_t)t->count * sizeof(leat_real));
        e->doubles = NULL;
        if (t->dtype == LEAT_DTYPE_F64 && t->dtype != LEAT_DTYPE_REAL &&
            !(e->doubles = take(r, r->arena, (size_t)t->count * sizeof(double))))
            return false;
        if (!e->name || !e->tensor.data)
            return false;
        if (e->doubles)
            leat_convert_doubles(t->dtype, false, r->bytes + r->data + t->begin, t->count, e->doubles);
        leat_convert(t->dtype, false, r->bytes + r->data + t->begin, t->count, e->tensor.data);
    }
    return out->entries != NULL;
}

static bool read_file(struct reader *r, leat_safetensors *out)
{
    leat_json *header;
    if (!read_header(r, &header))
        return false;
    struct item *items = leat_arena_zalloc(r->scratch, (size_t)header->count * sizeof *items);
    const struct item **sorted = take(r, r->scratch, (size_t)header->count * sizeof *sorted);
    if (!items || !sorted) {
        r->code = leat_fail(r->status, LEAT_ENOMEM, "%s: out of memory for the header", r->source);
        return false;
    }
    for (const leat_json *m = header->first; m; m = m->next) {
        if (strcmp(m->key, "__metadata__") == 0) {
            if (!read_metadata(r, m, out))
                return false;
            continue;
        }
        sorted[out->count] = &items[out->count];
        if (!read_item(r, m, &items[out->count++]))
            return false;
    }
    leat_sort((const void **)sorted, out->count, compare_places);
    if (!check_cover(r, sorted, out->count) || !read_tensors(r, sorted, out))
        return false;
    if (!leat_safetensors_index(out, r->arena))
        r->code = leat_fail(r->status, LEAT_ENOMEM, "%s: out of memory for the names", r->source);
    return r->code == LEAT_OK;
}

leat_code leat_safetensors_parse(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                                 leat_safetensors *out, leat_status *s)
{
    struct reader r = { .bytes = bytes, .source = source, .size = size, .scratch = scratch, .arena = a, .status = s };
    leat_arena_mark mark = leat_arena_save(a), scratch_mark = leat_arena_save(scratch);
    *out = (leat_safetensors){ 0 };
    if (!read_file(&r, out)) {
        *out = (leat_safetensors){ 0 };
        leat_arena_restore(a, mark);
    }
    leat_arena_restore(scratch, scratch_mark);
    return r.code;
}

leat_code leat_safetensors_read(const char *path, leat_arena *a, leat_safetensors *out, leat_status *s)
{
    leat_arena scratch;
    char *bytes;
    size_t size;
    *out = (leat_safetensors){ 0 };
    leat_arena_init(&scratch, a->allocator);
    leat_code code = leat_file_read(path, &scratch, &bytes, &size, s);
    if (!code)
        code = leat_safetensors_parse(bytes, size, path, &scratch, a, out, s);
    leat_arena_free(&scratch);
    return code;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Of entries and of metadata the first member is the name. */
static const char *name_of(const void *item)
{
    return *(const char *const *)item;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(name_of(a), name_of(b));
}

static const void **sort_names(const void *list, size_t size, int64_t count, leat_arena *a)
{
    const void **sorted = leat_arena_alloc(a, (size_t)count * sizeof *sorted);
    for (int64_t i = 0; sorted && i < count; i++)
        sorted[i] = (const char *)list + (size_t)i * size;
    if (sorted)
        leat_sort(sorted, count, compare_names);
    return sorted;
}

static const void *find_name(const void **sorted, const void *list, size_t size, int64_t count, const char *name)
{
    int64_t low = 0, high = count;
    for (; !sorted && low < count; low++) {
        const void *item = (const char *)list + (size_t)low * size;
        if (strcmp(name, name_of(item)) == 0)
            return item;
    }
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = strcmp(name, name_of(sorted[middle]));
        if (order == 0)
            return sorted[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool leat_safetensors_index(leat_safetensors *f, leat_arena *a)
{
    f->by_name = sort_names(f->entries, sizeof *f->entries, f->count, a);
    f->by_key = sort_names(f->metadata, sizeof *f->metadata, f->metadata_count, a);
    return f->by_name && f->by_key;
}

leat_safetensors_entry *leat_safetensors_entry_of(const leat_safetensors *f, const char *name)
{
    const leat_safetensors_entry *e = find_name(f->by_name, f->entries, sizeof *f->entries, f->count, name);
    return e ? f->entries + (e - f->entries) : NULL;
}

const leat_tensor *leat_safetensors_find(const leat_safetensors *f, const char *name)
{
    const leat_safetensors_entry *e = leat_safetensors_entry_of(f, name);
    return e ? &e->tensor : NULL;
}

const char *leat_safetensors_metadata(const leat_safetensors *f, const char *key)
{
    const char *const *pair = find_name(f->by_key, f->metadata, sizeof *f->metadata, f->metadata_count, key);
    return pair ? pair[1] : NULL;
}
