/* Reading images for a program, and images as a flow's rows. */
#include "image_input.h"

#include "../../tensor/files/table.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- which paths ------------------------------------------------------------------------------------------------- */

/* A .npy of bytes with more than two axes; tables have two at most. */
static bool is_npy_of_images(const char *path)
{
    char head[LEAT_NPY_HEADER];
    leat_npy_header h;
    leat_status s = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, head, sizeof head) : 0;
    if (fd >= 0)
        close(fd);
    return n > 0 && !leat_npy_parse_header(head, (size_t)n, INT64_MAX, path, &h, &s) && h.type == LEAT_DTYPE_U8 &&
           h.shape.rank > 2;
}

bool app_path_is_images(const char *path)
{
    static const char *const ends[] = { "ubyte", "ubyte.gz", ".idx", ".idx.gz", ".png", ".pgm", ".ppm", ".pnm" };
    struct stat st;
    bool there = stat(path, &st) == 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (leat_path_ends(path, ends[i]))
            return true;
    return there && (S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && is_npy_of_images(path)));
}

/* ---- sets -------------------------------------------------------------------------------------------------------- */

leat_code app_images_pad(leat_images *m, int64_t pad, leat_arena *a, leat_status *s)
{
    size_t row = (size_t)m->width * (size_t)m->channels, side = (size_t)pad * (size_t)m->channels;
    size_t height = (size_t)m->height + 2 * (size_t)pad, wide = row + 2 * side;
    if (pad == 0)
        return LEAT_OK;
    if (height > LEAT_IMAGE_LARGEST || (size_t)m->width + 2 * (size_t)pad > LEAT_IMAGE_LARGEST)
        return leat_fail(s, LEAT_ESHAPE, "images of %d x %d with a border of %lld are larger than %d pixels", m->height,
                         m->width, (long long)pad, LEAT_IMAGE_LARGEST);
    uint8_t *pixels = leat_arena_zalloc(a, (size_t)m->count * height * wide);
    if (!pixels)
        return leat_fail(s, LEAT_ENOMEM, "out of memory for a border around %lld images", (long long)m->count);
    for (int64_t i = 0; i < m->count; i++)
        for (size_t y = 0; y < (size_t)m->height; y++)
            memcpy(pixels + ((size_t)i * height + y + (size_t)pad) * wide + side,
                   m->pixels + ((size_t)i * (size_t)m->height + y) * row, row);
    m->pixels = pixels;
    m->height += 2 * (int)pad;
    m->width += 2 * (int)pad;
    return LEAT_OK;
}

static void keep_first(leat_images *m, int64_t most)
{
    m->count = m->count < most ? m->count : most;
}

/* Both sets in one, in place where one follows the other in memory. */
static leat_code join(const leat_images *first, const leat_images *second, leat_arena *a, leat_images *out,
                      leat_status *s)
{
    size_t size = (size_t)app_image_size(first), n = (size_t)first->count, m = (size_t)second->count;
    *out = *first;
    out->count += second->count;
    if (first->pixels + n * size == second->pixels)
        return LEAT_OK;
    out->pixels = leat_arena_alloc(a, (n + m) * size);
    out->labels = leat_arena_alloc(a, (n + m) * sizeof *out->labels);
    if (!out->pixels || !out->labels)
        return leat_fail(s, LEAT_ENOMEM, "out of memory for %lld images", (long long)out->count);
    memcpy(out->pixels, first->pixels, n * size);
    memcpy(out->pixels + n * size, second->pixels, m * size);
    if (first->labels) {
        memcpy(out->labels, first->labels, n * sizeof *out->labels);
        memcpy(out->labels + n, second->labels, m * sizeof *out->labels);
    } else {
        out->labels = NULL;
    }
    return LEAT_OK;
}

leat_code app_image_data_read(const char *path, const app_image_settings *o, uint64_t seed, leat_arena *a,
                              app_image_data *out, leat_status *s)
{
    bool own_labels = o->labels && strcmp(o->labels, "auto") != 0;
    const leat_image_sets_opts opts = { .labels = own_labels ? o->labels : NULL, .seed = seed };
    leat_image_sets sets;
    leat_code code = leat_image_sets_read(path, &opts, a, &sets, s);
    if (code)
        return code;
    if (o->labels && !sets.train.labels)
        return leat_fail(s, LEAT_EARG, "%s: there are no labels beside the images (--labels FILE)", path);
    if (o->subset > 0) {
        keep_first(&sets.train, o->subset);
        keep_first(&sets.validation, (o->subset + 4) / 5);
        keep_first(&sets.test, (o->subset + 4) / 5);
    }
    *out = (app_image_data){
        .test = sets.test, .held = sets.validation.count, .classes = o->labels ? sets.train.classes : 0, .pad = o->pad
    };
    if ((code = join(&sets.train, &sets.validation, a, &out->all, s)) ||
        (code = app_images_pad(&out->all, o->pad, a, s)))
        return code;
    return app_images_pad(&out->test, o->pad, a, s);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

leat_tensor app_image_rows(const leat_images *m, int64_t first, int64_t n, leat_arena *a, leat_status *s)
{
    int64_t size = app_image_size(m);
    leat_tensor rows = leat_tensor_new(a, LEAT_SHAPE(n, size), s);
    for (int64_t i = 0; rows.data && i < n * size; i++)
        rows.data[i] = (leat_real)m->pixels[first * size + i];
    return rows;
}

leat_tensor app_class_rows(const int *labels, int64_t n, int classes, leat_arena *a, leat_status *s)
{
    if (classes == 0)
        return (leat_tensor){ 0 };
    leat_tensor rows = leat_tensor_new(a, LEAT_SHAPE(n, classes), s);
    for (int64_t i = 0; rows.data && i < n; i++)
        for (int j = 0; j < classes; j++)
            rows.data[i * classes + j] = j == (labels ? labels[i] : (int)(i % classes));
    return rows;
}

void app_pixels_from(const leat_real *x, int64_t n, uint8_t *pixels)
{
    for (int64_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)rint(fmin(255, fmax(0, (double)x[i])));
}

/* Follows the shape of a row through a transform until it is an image's; false if it does not fit. */
static bool follow(const leat_transform *t, leat_shape *row)
{
    const leat_transform_type *type = (const leat_transform_type *)t->module.type;
    bool fits = true;
    if (strcmp(type->module.name, "chain") != 0)
        return !type->out_row || type->out_row(t, row);
    for (int i = 0; fits && i < leat_chain_length(t) && row->rank < 3; i++)
        fits = follow(leat_chain_layer(t, i), row);
    return fits;
}

bool app_flow_is_of_images(const leat_flow *f, leat_shape *image)
{
    *image = LEAT_SHAPE(leat_flow_dim(f));
    bool fits = leat_flow_is_bound(f);
    for (int i = 0; fits && i < leat_flow_length(f) && image->rank < 3; i++)
        fits = follow(leat_flow_layer(f, i), image);
    if (!fits || image->rank != 3)
        *image = (leat_shape){ 0 };
    return image->rank == 3;
}

double app_bits_per_dim(double log_prob, int64_t dim)
{
    return -log_prob / ((double)dim * log(2));
}

static void add_mean(double *mean, int64_t rows, double more, int64_t n)
{
    *mean = (*mean * (double)rows + more * (double)n) / (double)(rows + n);
}

void app_bits_add(leat_bits *all, int64_t rows, const leat_bits *more, int64_t n)
{
    add_mean(&all->bits, rows, more->bits, n);
    add_mean(&all->weighted, rows, more->weighted, n);
    add_mean(&all->dequantisation, rows, more->dequantisation, n);
    add_mean(&all->preprocessing, rows, more->preprocessing, n);
    add_mean(&all->base, rows, more->base, n);
    for (int i = 0; i < more->levels; i++)
        add_mean(&all->level[i], rows, more->level[i], n);
    all->levels = more->levels;
}

void app_bits_print(FILE *f, const leat_bits *b)
{
    fprintf(f, "dequantisation %.4f, preprocessing %.4f", b->dequantisation, b->preprocessing);
    for (int i = 0; i < b->levels; i++)
        fprintf(f, ", level %d %.4f", i, b->level[i]);
    fprintf(f, ", base %.4f", b->base);
}
