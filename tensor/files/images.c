/* Images and labels from files, told apart by their first bytes; arrays of them become images here. */
#include "images.h"

#include <string.h>
#include <sys/stat.h>

/* Says what an array of bytes is as images. */
static leat_code take_shape(const leat_shape *shape, const char *source, leat_images *out, leat_status *s)
{
    int64_t height = shape->size[1], width = shape->size[2], channels = shape->rank == 4 ? shape->size[3] : 1;
    char text[LEAT_SHAPE_TEXT];
    if (shape->rank != 3 && shape->rank != 4)
        return leat_fail(s, LEAT_ESHAPE,
                         "%s: its shape is %s, where [n,height,width] or [n,height,width,channels] is "
                         "needed",
                         source, leat_shape_print(shape, text));
    if (shape->size[0] < 1 || height < 1 || width < 1 || height > LEAT_IMAGE_LARGEST || width > LEAT_IMAGE_LARGEST)
        return leat_fail(s, LEAT_ESHAPE,
                         "%s: its shape is %s, where at least one image of 1 to %d pixels a side is "
                         "needed",
                         source, leat_shape_print(shape, text), LEAT_IMAGE_LARGEST);
    if (channels != 1 && channels != 3)
        return leat_fail(s, LEAT_ESHAPE,
                         "%s: its shape is %s, where the last size, that of channels, is 1 (grey) or 3 "
                         "(red, green, blue)",
                         source, leat_shape_print(shape, text));
    out->count = shape->size[0];
    out->height = (int)height;
    out->width = (int)width;
    out->channels = (int)channels;
    return LEAT_OK;
}

static leat_code parse_idx(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                           leat_images *out, leat_status *s)
{
    leat_arena_mark mark = leat_arena_save(a);
    leat_shape shape = { 0 };
    leat_code code = leat_idx_parse(bytes, size, source, scratch, a, &shape, &out->pixels, s);
    if (!code)
        code = take_shape(&shape, source, out, s);
    if (code)
        leat_arena_restore(a, mark);
    return code;
}

static leat_code parse_npy(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                           leat_images *out, leat_status *s)
{
    leat_npy_header h;
    leat_code code = leat_npy_parse_header(bytes, size, size, source, &h, s);
    (void)scratch;
    if (!code)
        code = take_shape(&h.shape, source, out, s);
    if (code)
        return code;
    if (h.type != LEAT_DTYPE_U8)
        return leat_fail(s, LEAT_EFORMAT, "%s: its numbers are no bytes, and images are of bytes (dtype uint8)",
                         source);
    if (h.fortran_order)
        return leat_fail(s, LEAT_EFORMAT, "%s: it is in Fortran order (np.ascontiguousarray puts it into C order)",
                         source);
    out->pixels = leat_arena_alloc(a, size - h.begin);
    if (!out->pixels)
        return leat_fail(s, LEAT_ENOMEM, "%s: out of memory for %zu bytes", source, size - h.begin);
    memcpy(out->pixels, bytes + h.begin, size - h.begin);
    return LEAT_OK;
}

static const struct kind {
    const char *magic;
    size_t size;
    leat_images_parser *parse;
} kinds[] = {
    { "\0\0", 2, parse_idx },         { "\x1F\x8B", 2, parse_idx }, { "\x93NUMPY", 6, parse_npy },
    { "\x89PNG", 4, leat_png_parse }, { "P", 1, leat_pnm_parse },
};

leat_code leat_images_parse(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                            leat_images *out, leat_status *s)
{
    *out = (leat_images){ 0 };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (size >= kinds[i].size && memcmp(bytes, kinds[i].magic, kinds[i].size) == 0) {
            leat_code code = kinds[i].parse(bytes, size, source, scratch, a, out, s);
            if (code)
                *out = (leat_images){ 0 };
            return code;
        }
    return leat_fail(s, LEAT_EFORMAT, "%s: byte 0: it is none of IDX (plain or .gz), .npy, PNG, PGM and PPM", source);
}

leat_code leat_images_read(const char *path, leat_arena *a, leat_images *out, leat_status *s)
{
    leat_arena scratch;
    struct stat st;
    char *bytes;
    size_t size;
    *out = (leat_images){ 0 };
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return leat_images_read_folder(path, LEAT_FOLDER_MOST, a, out, s);
    leat_arena_init(&scratch, a->allocator);
    leat_code code = leat_file_read(path, &scratch, &bytes, &size, s);
    if (!code)
        code = leat_images_parse(bytes, size, path, &scratch, a, out, s);
    leat_arena_free(&scratch);
    return code;
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

/* The numbers as doubles, which hold every label exactly, in `scratch`; `a` is left as it was. */
static leat_code parse_labels(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                              leat_shape *shape, double **labels, leat_status *s)
{
    uint8_t *data = NULL;
    leat_npy_header h = { .type = LEAT_DTYPE_U8 };
    bool npy = size >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0;
    leat_code code = npy ? leat_npy_parse_header(bytes, size, size, source, &h, s)
                         : leat_idx_parse(bytes, size, source, a, scratch, &h.shape, &data, s);
    if (code)
        return code;
    *shape = h.shape;
    int64_t count = leat_shape_count(shape);
    *labels = leat_arena_alloc(scratch, (size_t)count * sizeof **labels);
    if (!*labels)
        return leat_fail(s, LEAT_ENOMEM, "%s: out of memory for %lld labels", source, (long long)count);
    leat_convert_doubles(h.type, h.big_endian, npy ? bytes + h.begin : (const char *)data, count, *labels);
    return LEAT_OK;
}

static leat_code take_labels(const leat_shape *shape, const double *from, const char *source, leat_arena *a,
                             leat_images *images, leat_status *s)
{
    leat_arena_mark mark = leat_arena_save(a);
    char text[LEAT_SHAPE_TEXT];
    int largest = 0;
    if (shape->rank != 1)
        return leat_fail(s, LEAT_ESHAPE, "%s: its shape is %s, where labels are one number for each image", source,
                         leat_shape_print(shape, text));
    if (shape->size[0] != images->count)
        return leat_fail(s, LEAT_ESHAPE, "%s: it has %lld labels, and there are %lld images", source,
                         (long long)shape->size[0], (long long)images->count);
    int *labels = leat_arena_alloc(a, (size_t)images->count * sizeof *labels);
    if (!labels)
        return leat_fail(s, LEAT_ENOMEM, "%s: out of memory for %lld labels", source, (long long)images->count);
    for (int64_t i = 0; i < images->count; i++) {
        if (!(from[i] >= 0 && from[i] < LEAT_CLASSES_MOST && from[i] == (int)from[i])) {
            leat_arena_restore(a, mark);
            return leat_fail(s, LEAT_EFORMAT, "%s: label %lld of %lld is %g, and labels are whole numbers from 0 to %d",
                             source, (long long)i + 1, (long long)images->count, from[i], LEAT_CLASSES_MOST - 1);
        }
        labels[i] = (int)from[i];
        largest = labels[i] > largest ? labels[i] : largest;
    }
    images->labels = labels;
    images->classes = largest + 1;
    images->class_names = NULL;
    return LEAT_OK;
}

leat_code leat_labels_read(const char *path, leat_arena *a, leat_images *images, leat_status *s)
{
    leat_arena scratch;
    leat_shape shape;
    char *bytes;
    double *labels;
    size_t size;
    leat_arena_init(&scratch, a->allocator);
    leat_code code = leat_file_read(path, &scratch, &bytes, &size, s);
    if (!code)
        code = parse_labels(bytes, size, path, &scratch, a, &shape, &labels, s);
    if (!code)
        code = take_labels(&shape, labels, path, a, images, s);
    leat_arena_free(&scratch);
    return code;
}
