/* Training, validation and test: sets as they are published, or split by a seed. */
#include "images.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_HELD_OUT = 10000 };

struct reader {
    const char *path;
    const leat_image_sets_opts *opts;
    leat_arena *arena;
    leat_status *status;
};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The path of train-images-idx3-ubyte or the like in the folder, also with .gz, and with a point as some unpack it. */
static bool find_idx(const struct reader *r, const char *set, const char *what, int rank, char path[LEAT_PATH])
{
    for (int i = 0; i < 4; i++) {
        int n = snprintf(path, LEAT_PATH, "%s/%s-%s%cidx%d-ubyte%s", r->path, set, what, "-."[i / 2], rank,
                         i % 2 ? ".gz" : "");
        if (n < LEAT_PATH && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static bool find_folder(const struct reader *r, const char *name, char path[LEAT_PATH])
{
    struct stat st;
    int n = snprintf(path, LEAT_PATH, "%s/%s", r->path, name);
    return n < LEAT_PATH && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* What is published as `set`, or nothing. */
static leat_code read_idx(const struct reader *r, const char *set, leat_images *out)
{
    char path[LEAT_PATH];
    leat_code code = find_idx(r, set, "images", 3, path) ? leat_images_read(path, r->arena, out, r->status) : LEAT_OK;
    return !code && find_idx(r, set, "labels", 1, path) ? leat_labels_read(path, r->arena, out, r->status) : code;
}

static leat_code read_sets(const struct reader *r, leat_image_sets *out)
{
    const char *labels = r->opts->labels;
    char path[LEAT_PATH];
    leat_code code = LEAT_OK;
    if (find_idx(r, "train", "images", 3, path)) {
        code = read_idx(r, "train", &out->train);
        code = code ? code : read_idx(r, "t10k", &out->test);
    } else if (find_folder(r, "test", path) && find_folder(r, "train", path)) {
        code = leat_images_read(path, r->arena, &out->train, r->status);
        find_folder(r, "test", path);
        code = code ? code : leat_images_read(path, r->arena, &out->test, r->status);
    } else {
        code = leat_images_read(r->path, r->arena, &out->train, r->status);
        return code || !labels ? code : leat_labels_read(labels, r->arena, &out->train, r->status);
    }
    return code || !labels ? code
                           : leat_fail(r->status, LEAT_EARG,
                                       "%s: labels are taken from the folder %s, which has sets of "
                                       "its own",
                                       labels, r->path);
}

/* Both sets have images of one size, and labels, and the same classes by name. */
static leat_code check_alike(const struct reader *r, leat_images *train, leat_images *test)
{
    int classes = train->classes > test->classes ? train->classes : test->classes;
    if (train->height != test->height || train->width != test->width || train->channels != test->channels)
        return leat_fail(r->status, LEAT_ESHAPE, "%s: images to train are [%d,%d,%d], and those to test are [%d,%d,%d]",
                         r->path, train->height, train->width, train->channels, test->height, test->width,
                         test->channels);
    bool alike = !train->labels == !test->labels && !train->class_names == !test->class_names &&
                 (!train->class_names || train->classes == test->classes);
    for (int i = 0; alike && train->class_names && i < classes; i++)
        alike = strcmp(train->class_names[i], test->class_names[i]) == 0;
    if (!alike)
        return leat_fail(r->status, LEAT_ESHAPE, "%s: images to train and to test do not have the same classes",
                         r->path);
    train->classes = test->classes = classes;
    return LEAT_OK;
}

/* ---- splitting --------------------------------------------------------------------------------------------------- */

static size_t image_size(const leat_images *m)
{
    return (size_t)m->height * (size_t)m->width * (size_t)m->channels;
}

static void shuffle(leat_images *m, uint64_t seed)
{
    leat_rng rng = leat_rng_new(seed, 0);
    size_t size = image_size(m);
    for (int64_t i = m->count - 1; i > 0; i--) {
        int64_t j = leat_rng_below(&rng, i + 1);
        uint8_t *p = m->pixels + (size_t)i * size, *q = m->pixels + (size_t)j * size, byte;
        for (size_t k = 0; k < size; k++)
            byte = p[k], p[k] = q[k], q[k] = byte;
        if (m->labels) {
            int label = m->labels[i];
            m->labels[i] = m->labels[j];
            m->labels[j] = label;
        }
    }
}

/* The last `count` images become a set of their own. */
static leat_images split_off(leat_images *from, int64_t count)
{
    leat_images last = *from;
    from->count -= count;
    last.count = count;
    last.pixels += (size_t)from->count * image_size(from);
    last.labels = from->labels ? from->labels + from->count : NULL;
    return last;
}

static int64_t share(int64_t wanted, int64_t count, int64_t parts)
{
    int64_t part = count / parts < MOST_HELD_OUT ? count / parts : MOST_HELD_OUT;
    return wanted > 0 ? wanted : part > 0 ? part : 1;
}

static leat_code split(const struct reader *r, bool published, leat_image_sets *out)
{
    int64_t count = out->train.count;
    int64_t test = out->own_test ? 0 : share(r->opts->test, count, 10);
    int64_t validation = share(r->opts->validation, count, out->own_test ? 6 : 10);
    if (test >= count || validation >= count - test)
        return leat_fail(r->status, LEAT_ESHAPE, "%s: of %lld images %lld cannot be for validation and %lld for test",
                         r->path, (long long)count, (long long)validation, (long long)test);
    if (!published || !out->own_test)
        shuffle(&out->train, r->opts->seed);
    if (!out->own_test)
        out->test = split_off(&out->train, test);
    out->validation = split_off(&out->train, validation);
    return LEAT_OK;
}

leat_code leat_test_images_read(const char *path, leat_arena *a, leat_images *out, leat_status *s)
{
    const struct reader r = { path, NULL, a, s };
    char found[LEAT_PATH];

    if (find_idx(&r, "t10k", "images", 3, found))
        return read_idx(&r, "t10k", out);
    bool sets = find_folder(&r, "train", found) && find_folder(&r, "test", found);
    return leat_images_read(sets ? found : path, a, out, s);
}

leat_code leat_image_sets_read(const char *path, const leat_image_sets_opts *opts, leat_arena *a, leat_image_sets *out,
                               leat_status *s)
{
    static const leat_image_sets_opts defaults;
    const struct reader r = { path, opts ? opts : &defaults, a, s };
    leat_arena_mark mark = leat_arena_save(a);
    char ignored[LEAT_PATH];
    *out = (leat_image_sets){ 0 };
    if (r.opts->validation < 0 || r.opts->test < 0)
        return leat_fail(s, LEAT_EARG, "%s: a set cannot have %lld images", path,
                         (long long)(r.opts->test < 0 ? r.opts->test : r.opts->validation));
    leat_code code = read_sets(&r, out);
    out->own_test = out->test.count > 0;
    if (!code && out->own_test)
        code = check_alike(&r, &out->train, &out->test);
    if (!code)
        code = split(&r, find_idx(&r, "train", "images", 3, ignored), out);
    if (code) {
        *out = (leat_image_sets){ 0 };
        leat_arena_restore(a, mark);
    }
    return code;
}
