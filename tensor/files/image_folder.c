/*
 * Folders of images, one a file: names are listed and sorted, files are read one after the other and kept beside each
 * other, and become one array at the end, so that nothing is believed about images which were not read yet.
 */
#include "images.h"
#include "table.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct entry {
    struct entry *next;
    const uint8_t *pixels; /* once it is read */
    int channels;
    const char *name; /* the path's end */
    char path[];
};

struct listing {
    struct entry **entries; /* sorted */
    struct entry *last;     /* before they are sorted */
    int64_t count;
};

struct reader {
    leat_arena kept, scratch; /* names and images; one file */
    leat_images images;       /* sizes and count */
    const char *first;        /* the path of the first image */
    int64_t seen, most;       /* names in folders: so far, and how many there may be */
    leat_status *status;
};

static leat_code out_of_memory(struct reader *r, const char *path)
{
    return leat_fail(r->status, LEAT_ENOMEM, "%s: out of memory for the images in it", path);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static bool is_image(const char *name)
{
    static const char *const endings[] = { ".png", ".pgm", ".ppm", ".pnm" };
    for (int i = 0; i < 4; i++)
        if (leat_path_ends(name, endings[i]))
            return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct entry *const *)a)->name, (*(struct entry *const *)b)->name);
}

static leat_code sort(struct reader *r, const char *path, struct listing *l)
{
    l->entries = leat_arena_alloc(&r->kept, ((size_t)l->count + 1) * sizeof *l->entries);
    if (!l->entries)
        return out_of_memory(r, path);
    struct entry *e = l->last;
    for (int64_t i = 0; i < l->count; i++, e = e->next)
        l->entries[i] = e;
    qsort(l->entries, (size_t)l->count, sizeof *l->entries, by_name);
    return LEAT_OK;
}

static leat_code add(struct reader *r, const char *path, const char *name, struct listing *images,
                     struct listing *folders)
{
    size_t length = strlen(path), size = length + strlen(name) + 2;
    leat_arena_mark mark = leat_arena_save(&r->kept);
    struct stat st;
    if (name[0] == '.')
        return LEAT_OK;
    if (r->seen++ == r->most)
        return leat_fail(r->status, LEAT_ESHAPE,
                         "%s: there are more than %lld files, too many to read one by one (one .npy of bytes, "
                         "[n,height,width,channels], has no such limit)",
                         path, (long long)r->most);
    struct entry *e = leat_arena_alloc(&r->kept, sizeof *e + size);
    if (!e)
        return out_of_memory(r, path);
    memcpy(e->path, path, length);
    e->path[length] = '/';
    memcpy(e->path + length + 1, name, size - length - 1);
    e->name = e->path + length + 1;
    struct listing *l = is_image(name) ? images : stat(e->path, &st) == 0 && S_ISDIR(st.st_mode) ? folders : NULL;
    if (!l) {
        leat_arena_restore(&r->kept, mark);
        return LEAT_OK;
    }
    e->next = l->last;
    l->last = e;
    l->count++;
    return LEAT_OK;
}

/* What is in a folder, without names that begin with a point; what is neither image nor folder is passed over. */
static leat_code list(struct reader *r, const char *path, struct listing *images, struct listing *folders)
{
    leat_code code = LEAT_OK;
    DIR *dir = opendir(path);
    *images = *folders = (struct listing){ 0 };
    if (!dir)
        return leat_fail(r->status, LEAT_EIO, "%s: cannot open: %s", path, strerror(errno));
    errno = 0;
    for (struct dirent *e; !code && (e = readdir(dir)); errno = 0)
        code = add(r, path, e->d_name, images, folders);
    if (!code && errno)
        code = leat_fail(r->status, LEAT_EIO, "%s: cannot read: %s", path, strerror(errno));
    closedir(dir);
    if (!code)
        code = sort(r, path, images);
    return code ? code : sort(r, path, folders);
}

/* ---- images ------------------------------------------------------------------------------------------------------ */

static leat_code read_image(struct reader *r, struct entry *e)
{
    leat_images *all = &r->images, one;
    char *bytes;
    size_t size;
    leat_arena_reset(&r->scratch);
    leat_code code = leat_file_read(e->path, &r->scratch, &bytes, &size, r->status);
    if (!code)
        code = leat_images_parse(bytes, size, e->path, &r->scratch, &r->kept, &one, r->status);
    if (code)
        return code;
    if (one.count != 1)
        return leat_fail(r->status, LEAT_ESHAPE, "%s: it is an array of images, which is no PNG, PGM or PPM", e->path);
    if (all->count == 0) {
        *all = one;
        r->first = e->path;
    } else if (one.width != all->width || one.height != all->height) {
        return leat_fail(r->status, LEAT_ESHAPE,
                         "%s: it is %d pixels wide and %d high, and %s is %d wide and %d high: images of one size are "
                         "needed",
                         e->path, one.width, one.height, r->first, all->width, all->height);
    } else {
        all->count++;
        all->channels = one.channels > all->channels ? one.channels : all->channels;
    }
    e->pixels = one.pixels;
    e->channels = one.channels;
    return LEAT_OK;
}

static leat_code read_all(struct reader *r, const char *path, const struct listing *images)
{
    leat_code code = LEAT_OK;
    if (images->count == 0)
        return leat_fail(r->status, LEAT_EFORMAT, "%s: no image in it, a file named .png, .pgm, .ppm or .pnm", path);
    for (int64_t i = 0; !code && i < images->count; i++)
        code = read_image(r, images->entries[i]);
    return code;
}

/* The next image of the array; a grey one among colours repeats itself. */
static uint8_t *put(const leat_images *all, const struct entry *e, uint8_t *at)
{
    size_t size = (size_t)all->height * (size_t)all->width * (size_t)all->channels;
    if (e->channels == all->channels)
        memcpy(at, e->pixels, size);
    else
        for (size_t i = 0; i < size; i++)
            at[i] = e->pixels[i / 3];
    return at + size;
}

/* One array of all: `count` folders, each a class if there are `names`. */
static leat_code join(struct reader *r, const char *path, const struct listing *folders, int count,
                      struct entry *const *names, leat_arena *a, leat_images *out)
{
    leat_images all = r->images;
    int64_t label = 0;
    const char **class_names = NULL;
    all.pixels = leat_arena_alloc(a, (size_t)all.count * (size_t)all.height * (size_t)all.width * (size_t)all.channels);
    if (names) {
        all.labels = leat_arena_alloc(a, (size_t)all.count * sizeof *all.labels);
        all.class_names = class_names = leat_arena_zalloc(a, (size_t)count * sizeof *class_names);
        all.classes = count;
    }
    if (!all.pixels || (names && (!all.labels || !class_names)))
        return out_of_memory(r, path);
    uint8_t *at = all.pixels;
    for (int k = 0; k < count; k++) {
        for (int64_t i = 0; i < folders[k].count; i++) {
            at = put(&all, folders[k].entries[i], at);
            if (names)
                all.labels[label++] = k;
        }
        if (names && !(class_names[k] = leat_arena_format(a, "%s", names[k]->name)))
            return out_of_memory(r, path);
    }
    *out = all;
    return LEAT_OK;
}

static leat_code read_classes(struct reader *r, const char *path, const struct listing *classes, leat_arena *a,
                              leat_images *out)
{
    struct listing *folders, none;
    leat_code code = LEAT_OK;
    if (classes->count > LEAT_CLASSES_MOST)
        return leat_fail(r->status, LEAT_ESHAPE, "%s: %lld folders in it, where at most %d classes are read", path,
                         (long long)classes->count, LEAT_CLASSES_MOST);
    folders = leat_arena_alloc(&r->kept, (size_t)classes->count * sizeof *folders);
    if (!folders)
        return out_of_memory(r, path);
    for (int64_t k = 0; !code && k < classes->count; k++) {
        code = list(r, classes->entries[k]->path, &folders[k], &none);
        code = code ? code : read_all(r, classes->entries[k]->path, &folders[k]);
    }
    return code ? code : join(r, path, folders, (int)classes->count, classes->entries, a, out);
}

leat_code leat_images_read_folder(const char *path, int64_t most, leat_arena *a, leat_images *out, leat_status *s)
{
    struct reader r = { .most = most, .status = s };
    leat_arena_mark mark = leat_arena_save(a);
    struct listing images, folders;
    leat_arena_init(&r.kept, a->allocator);
    leat_arena_init(&r.scratch, a->allocator);
    leat_code code = list(&r, path, &images, &folders);
    if (!code && images.count == 0 && folders.count > 0) {
        code = read_classes(&r, path, &folders, a, out);
    } else if (!code) {
        code = read_all(&r, path, &images);
        code = code ? code : join(&r, path, &images, 1, NULL, a, out);
    }
    if (code)
        leat_arena_restore(a, mark);
    leat_arena_free(&r.kept);
    leat_arena_free(&r.scratch);
    return code;
}
