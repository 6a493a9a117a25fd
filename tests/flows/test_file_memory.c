/* What a file makes its reader allocate, at the most, is the multiple of its size that the headers tell: for each reader
 * the files that ask for most, at two sizes. */
#include "support.h"
#include "../../tensor/files/files.h"
#include "../../tensor/files/json.h"

#include <stdlib.h>
#include <unistd.h>

static size_t in_use, peak;

static void *count_allocate(void *user, size_t bytes)
{
    (void)user;
    size_t *block = malloc(sizeof(max_align_t) + bytes);
    if (!block)
        return NULL;
    *block = bytes;
    in_use += bytes;
    peak = in_use > peak ? in_use : peak;
    return (char *)block + sizeof(max_align_t);
}

static void count_release(void *user, void *block)
{
    (void)user;
    if (!block)
        return;
    size_t *begin = (size_t *)(void *)((char *)block - sizeof(max_align_t));
    in_use -= *begin;
    free(begin);
}

static const leat_allocator counting = { count_allocate, count_release, NULL };

/* ---- files ------------------------------------------------------------------------------------------------------- */

enum { JSON, SAFETENSORS, NPY, TABLE, FLOW };

#define EMPTY "\"%zu\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}"
#define DESCRIBED                                                                                                      \
    "{\"__metadata__\":{\"leat.flow\":\"{\\\"format\\\":1,\\\"dim\\\":2,\\\"context\\\":0,\\\"base\\\":\\"             \
    "\"normal\\\",\\\"layers\\\":["
#define NET DESCRIBED "{\\\"type\\\":\\\"coupling\\\",\\\"elementwise\\\":\\\"additive\\\",\\\"net\\\":["
#define NORM                                                                                                           \
    "{\\\"type\\\":\\\"batch_norm\\\",\\\"features\\\":%zu,\\\"eps\\\":1,\\\"momentum\\\":1,\\\"no_affine\\\":true}"
#define RESIDUAL                                                                                                       \
    "{\\\"type\\\":\\\"residual_mlp\\\",\\\"in\\\":1,\\\"hidden\\\":1,\\\"out\\\":1,\\\"context\\\":0,"                \
    "\\\"blocks\\\":%zu,\\\"dropout\\\":0,\\\"activation\\\":\\\"relu\\\"}"

/* A piece, in which %zu is 0, 1, ... or a quarter of the size, as often as fits into the size. Behind a description come
 * a mask and as many numbers as the size says. */
static const struct {
    const char *name;
    int reader;
    bool quarter;
    const char *before, *piece, *separator, *after;
    double most; /* bytes for a byte of the file */
} files[] = {
    { "numbers", JSON, false, "[", "0", ",", "]", 160 },
    { "lists", JSON, false, "[", "[]", ",", "]", 160 },
    { "members", JSON, false, "{", "\"%zx\":0", ",", "}", 160 },
    { "tensors", SAFETENSORS, false, "{", EMPTY, ",", "}", 160 },
    { "metadata", SAFETENSORS, false, "{\"__metadata__\":{", "\"%zx\":\"\"", ",", "}}", 160 },
    { "small integers", NPY, false, "", "", "", "", 1.2 + sizeof(leat_real) },
    { "fields", TABLE, false, "", "1", ",", "\n", 160 },
    { "names", TABLE, false, "", "a", ",", "\n", 160 },
    { "rows", TABLE, false, "", "1", "\n", "\n", 160 },
    { "empty fields", TABLE, false, "", ",", "", "\n", 160 },
    { "comments", TABLE, false, "", "#", "\n", "\n1\n", 160 },
    { "reversals", FLOW, false, DESCRIBED, "\\\"reverse\\\"", ",", "]}\"}", 160 },
    { "actnorms", FLOW, false, DESCRIBED, "\\\"actnorm\\\"", ",", "]}\"}", 160 },
    { "activations", FLOW, false, NET, "\\\"relu\\\"", ",", "]}]}\"}", 160 },
    { "batch norms", FLOW, true, NET, NORM, ",", "]}]}\"}", 160 },
    { "residual networks", FLOW, true, NET, RESIDUAL, ",", "]}]}\"}", 160 },
};

static FILE *file;
static char path[64];

static void put_list(size_t i, size_t size)
{
    fputs(files[i].before, file);
    for (size_t n = 0; (size_t)ftell(file) < size; n++) {
        fputs(n ? files[i].separator : "", file);
        fprintf(file, files[i].piece, files[i].quarter ? size / 4 : n);
    }
    fputs(files[i].after, file);
}

static void put_safetensors(size_t i, size_t size)
{
    uint64_t length = 0;
    float mask[2] = { 0, 1 };
    fwrite(&length, 8, 1, file);
    put_list(i, size);
    if (files[i].reader == FLOW)
        fprintf(file,
                ",\"layers.0.mask\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"x\":"
                "{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[8,%zu]}}",
                size, 8 + size);
    length = (uint64_t)ftell(file) - 8;
    rewind(file);
    fwrite(&length, 8, 1, file);
    fseek(file, 0, SEEK_END);
    if (files[i].reader == FLOW) {
        fwrite(mask, sizeof mask, 1, file);
        for (size_t k = 0; k < size; k++)
            fputc(0, file);
    }
}

static void put_npy(size_t size)
{
    char header[LEAT_NPY_HEADER + 1] = { 0 };
    leat_shape shape = LEAT_SHAPE((int64_t)size);
    size_t length = leat_npy_print_header(&shape, 4, header);
    char *type = strstr(header + 10, "<f4"); /* behind the magic, version and length */
    memcpy(type, "|u1", 3);
    fwrite(header, length, 1, file);
    for (size_t k = 0; k < size; k++)
        fputc(1, file);
}

/* Its size. */
static double make_file(size_t i, size_t size)
{
    snprintf(path, sizeof path, "/tmp/leat-memory-XXXXXX.%s", files[i].reader == NPY ? "npy" : "csv");
    file = fdopen(mkstemps(path, 4), "w");
    cr_assert(file);
    if (files[i].reader == SAFETENSORS || files[i].reader == FLOW)
        put_safetensors(i, size);
    else if (files[i].reader == NPY)
        put_npy(size);
    else
        put_list(i, size);
    double bytes = (double)ftell(file);
    cr_assert_eq(fclose(file), 0);
    return bytes;
}

static void read_it(int reader)
{
    leat_arena a, scratch;
    leat_status s = { 0 };
    leat_safetensors f;
    leat_tensor t;
    char *bytes;
    size_t size;
    leat_json *top;
    leat_arena_init(&a, &counting);
    leat_arena_init(&scratch, &counting);
    in_use = peak = 0;
    switch (reader) {
    case JSON:
        leat_file_read(path, &scratch, &bytes, &size, &s);
        leat_json_read(bytes, size, path, 0, &a, &top, &s);
        break;
    case SAFETENSORS:
        leat_safetensors_read(path, &a, &f, &s);
        break;
    case NPY:
        leat_npy_read(path, &a, &t, &s);
        break;
    case TABLE:
        leat_table_read(path, &(leat_table_opts){ .allocator = &counting }, &a, &t, NULL, &s);
        break;
    case FLOW: {
        leat_flow *flow = leat_flow_load(path, &(leat_flow_load_opts){ .model = { .allocator = &counting } }, NULL, &s);
        if (flow)
            leat_model_free(leat_flow_model(flow));
        break;
    }
    }
    leat_arena_free(&a);
    leat_arena_free(&scratch);
    cr_assert_eq(in_use, 0u);
}

Test(file_memory, is_a_multiple_of_the_file)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        for (size_t size = 30000; size <= 300000; size *= 10) {
            double bytes = make_file(i, size);
            read_it(files[i].reader);
            double most = files[i].most * bytes + (1 << 20), got = (double)peak;
            remove(path);
            cr_expect(got > bytes && got < most, "%s: %g bytes ask for %g", files[i].name, bytes, got);
        }
    }
}
