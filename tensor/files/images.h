/*
 * Images of bytes, read from files and folders.
 *
 * A path is one of these, told by what the file holds and not by its name:
 *
 *   IDX       as MNIST is published, plain or compressed with gzip: bytes, [n, height, width] or
 *             [n, height, width, channels]
 *   .npy      of bytes (uint8, in C order), of the same shapes
 *   PNG       8 bits a sample or fewer, grey, colour or palette, not interlaced. Samples of fewer bits are scaled to 255,
 *             a palette becomes grey if all its colours are, else red, green and blue. Alpha is dropped where all pixels
 *             are opaque, and else the file is refused: there is no background to show it on
 *   PGM, PPM  binary and plain (P2, P3, P5, P6), one image a file, scaled from a largest value up to 255
 *   a folder  of PNG, PGM and PPM images of one size (by their names: .png, .pgm, .ppm, .pnm), in the order of strcmp of
 *             their names; where some are grey and some are not, all become red, green and blue. Or a folder without
 *             images whose sub-folders are such folders, one for each class, in the order of their names
 *
 * Channels are one (grey) or three (red, green, blue). Readers trust nothing: sizes that a file claims are held against
 * how much it can hold before memory is taken, and each refusal names file, place and reason. Memory is from `a`, and
 * after a failure `a` is as it was.
 */
#ifndef LEAT_TENSOR_IMAGES_H
#define LEAT_TENSOR_IMAGES_H

#include "files.h"

typedef struct leat_images {
    int64_t count;
    int height, width, channels;
    uint8_t *pixels;                /* [count, height, width, channels] */
    int *labels;                    /* [count], from 0 to below `classes`; NULL: none */
    int classes;                    /* the largest label and one more */
    const char *const *class_names; /* [classes], of sub-folders; NULL: none */
} leat_images;

enum { LEAT_IMAGE_LARGEST = 65535, LEAT_CLASSES_MOST = 65536, LEAT_FOLDER_MOST = 500000 };

leat_code leat_images_read(const char *path, leat_arena *a, leat_images *out, leat_status *s);

/* Gives the images their labels: an IDX of bytes [n], plain or .gz, or a .npy of whole numbers [n]. LEAT_ESHAPE when there
 * are not as many as images. */
leat_code leat_labels_read(const char *path, leat_arena *a, leat_images *images, leat_status *s);

/* ---- training, validation and test ------------------------------------------------------------------------------- */

/*
 * A folder with train-images-idx3-ubyte, or the same with .gz (MNIST and Fashion-MNIST as they are published), is the
 * training set, and t10k-images-idx3-ubyte beside it the test set; labels come from train-labels-idx1-ubyte and
 * t10k-labels-idx1-ubyte if they are there. A folder with sub-folders `train` and `test` is both sets likewise. Validation
 * is the last 10,000 images of the training set or a sixth, if that is less.
 *
 * Any other path is one set: its images are put into an order that the seed tells; then the last tenth is for test, the
 * tenth before it for validation, each at most 10,000. So are those of `train`, which stand by classes perhaps, before
 * validation is taken from their end. Each set has at least one image, or all is refused.
 */
typedef struct leat_image_sets {
    leat_images train, validation, test;
    bool own_test; /* the test set is one of its own; false: it was split off by the seed */
} leat_image_sets;

typedef struct leat_image_sets_opts {
    const char *labels;       /* a path for leat_labels_read, where `path` is one set */
    int64_t validation, test; /* how many images; 0: as above */
    uint64_t seed;
} leat_image_sets_opts;

leat_code leat_image_sets_read(const char *path, const leat_image_sets_opts *opts, leat_arena *a, leat_image_sets *out,
                               leat_status *s);

/* The test set and its labels of a folder that has one, as above; of any other path all images. */
leat_code leat_test_images_read(const char *path, leat_arena *a, leat_images *out, leat_status *s);

/* ---- bytes in memory --------------------------------------------------------------------------------------------- */

/* What the readers do with a file's bytes. `source` names them in messages; `scratch` is used and left as it was. */
typedef leat_code leat_images_parser(const char *bytes, size_t size, const char *source, leat_arena *scratch,
                                     leat_arena *a, leat_images *out, leat_status *s);
leat_images_parser leat_images_parse; /* any of them, as the first bytes say */
leat_images_parser leat_png_parse, leat_pnm_parse;

/* An IDX of bytes of any rank up to 4. */
leat_code leat_idx_parse(const char *bytes, size_t size, const char *source, leat_arena *scratch, leat_arena *a,
                         leat_shape *shape, uint8_t **data, leat_status *s);

/* A folder of images or of such folders, of at most `most` files. */
leat_code leat_images_read_folder(const char *path, int64_t most, leat_arena *a, leat_images *out, leat_status *s);

#endif
