/* Images as programs take them: which sets there are, what is done to them before a flow sees them, and back. */
#ifndef APPS_COMMON_IMAGE_INPUT_H
#define APPS_COMMON_IMAGE_INPUT_H

#include "options.h"

#include <stdio.h>

#include "../../flows/flows.h"
#include "../../tensor/files/images.h"

typedef struct app_image_settings {
    const char *labels;
    int64_t pad, subset, bits, draws;
    int64_t levels, steps, width, blocks, heads; /* 0: the model's own */
    int permutation;
    bool additive, actnorm, uniform;
    double dropout, logit;
} app_image_settings;

/* clang-format off */
#define APP_IMAGE_OPTIONS(type, field)                                                                                 \
    { "labels", APP_STRING(type, field.labels), .value = "FILE|auto",                                                  \
      .help = "of images: learn them by class; auto: the labels or folders beside them" },                             \
    { "pad", APP_INTEGER(type, field.pad), "0", .max = 1024, .value = "N",                                             \
      .help = "of images: a border of N black pixels on every side" },                                                 \
    { "subset", APP_INTEGER(type, field.subset), "0", .value = "N",                                                    \
      .help = "of images: train on the first N, validate and test on a fifth of N; 0: all" },                          \
    { "bits", APP_INTEGER(type, field.bits), "8", .min = 1, .max = 8,                                                  \
      .help = "of images: levels of a pixel are reduced to so many bits" },                                            \
    { "draws", APP_INTEGER(type, field.draws), "1", .min = 1, .max = 10000,                                            \
      .help = "of images: how often each is dequantized for the test's bits per dimension" }
#define APP_LEVEL_OPTIONS(type, field, LEVELS, WIDTH)                                                                  \
    { "levels", APP_INTEGER(type, field.levels), LEVELS, .min = 1, .max = 16,                                          \
      .help = "of images: scales; half of the channels leave at each, and sides are halved" },                         \
    { "width", APP_INTEGER(type, field.width), WIDTH, .min = 1, .max = 65536,                                          \
      .help = "of images: features in the networks of couplings" }
/* clang-format on */

/* Whether a path is that of images: a folder, or a file that is named or begins like one of them. */
bool app_path_is_images(const char *path);

/* What a program trains on. */
typedef struct app_image_data {
    leat_images all;  /* training images, and behind them those for validation */
    int64_t held;     /* how many of them those are */
    leat_images test; /* of the same size */
    int classes;      /* to condition on, 0: not */
    int64_t pad;
} app_image_data;

leat_code app_image_data_read(const char *path, const app_image_settings *o, uint64_t seed, leat_arena *a,
                              app_image_data *out, leat_status *s);

/* With a border of so many black pixels. */
leat_code app_images_pad(leat_images *images, int64_t pad, leat_arena *a, leat_status *s);

static inline int64_t app_image_size(const leat_images *m)
{
    return (int64_t)m->height * m->width * m->channels;
}

/* Images first .. first + n - 1 as rows for a flow; from the arena, data NULL and a status. */
leat_tensor app_image_rows(const leat_images *m, int64_t first, int64_t n, leat_arena *a, leat_status *s);

/* One-hot rows of so many labels; `labels` NULL: 0, 1, .., again and again. */
leat_tensor app_class_rows(const int *labels, int64_t n, int classes, leat_arena *a, leat_status *s);

/* A flow's rows as bytes. */
void app_pixels_from(const leat_real *x, int64_t n, uint8_t *pixels);

/* The shape [height, width, channels] of the images that a flow is one of, as its first transforms tell: it dequantizes,
 * and views rows so. False, and rank 0: it is of something else. */
bool app_flow_is_of_images(const leat_flow *f, leat_shape *image);

/* Nats as bits per dimension. */
double app_bits_per_dim(double log_prob, int64_t dim);

/* Adds the means over n rows to those over `rows` others. */
void app_bits_add(leat_bits *all, int64_t rows, const leat_bits *more, int64_t n);

/* "dequantisation 8.0000, preprocessing 0.1000, level 0 ..., base ..." */
void app_bits_print(FILE *f, const leat_bits *b);

#endif
