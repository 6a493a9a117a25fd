/* What the tests of files share: fixtures, a temporary folder, an allocator that fails at its n-th call. */
#ifndef LEAT_TESTS_FILE_HELPERS_H
#define LEAT_TESTS_FILE_HELPERS_H

#include "../../tensor/tensor.h"

#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURE(name) LEAT_FIXTURES "/tensor/" name
#define REAL_TAG      (sizeof(leat_real) == 8 ? "f64" : "f32")
#define UNUSED        __attribute__((unused))

typedef struct bytes {
    char *data;
    size_t size;
} bytes;

/* In a block of exactly that size, so that a read beyond it is seen by AddressSanitizer. */
UNUSED static bytes exactly(const void *data, size_t size)
{
    bytes b = { malloc(size), size };
    cr_assert(b.data != NULL || size == 0);
    if (size > 0)
        memcpy(b.data, data, size);
    return b;
}

UNUSED static bytes slurp(const char *path)
{
    static char buffer[1 << 20];
    FILE *f = fopen(path, "rb");
    cr_assert(f != NULL, "cannot open %s", path);
    size_t n = fread(buffer, 1, sizeof buffer, f);
    fclose(f);
    cr_assert_lt(n, sizeof buffer);
    return exactly(buffer, n);
}

UNUSED static void spill(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    cr_assert(f != NULL, "cannot open %s", path);
    cr_assert_eq(fwrite(data, 1, size, f), size);
    cr_assert_eq(fclose(f), 0);
}

/* A fresh folder, and the path of a file in it. */
static char folder[64];

UNUSED static void make_folder(void)
{
    strcpy(folder, "/tmp/leat-test-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
}

UNUSED static const char *in_folder(const char *name)
{
    static char path[4][700];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

/* Removes the files in the folder, if so told, and counts them. */
UNUSED static int files_in_folder(bool delete)
{
    DIR *dir = opendir(folder);
    int count = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        count++;
        if (delete)
            unlink(in_folder(e->d_name));
    }
    if (dir)
        closedir(dir);
    return count;
}

UNUSED static void remove_folder(void)
{
    files_in_folder(true);
    rmdir(folder);
}

/* Fails when `left` calls have succeeded; counts blocks not yet released. */
typedef struct countdown {
    long left, live, calls;
} countdown;

static void *countdown_allocate(void *user, size_t size)
{
    countdown *c = user;
    if (c->left-- <= 0)
        return NULL;
    c->calls++;
    void *block = malloc(size);
    c->live += block != NULL;
    return block;
}

static void countdown_release(void *user, void *block)
{
    countdown *c = user;
    c->live -= block != NULL;
    free(block);
}

UNUSED static leat_allocator countdown_allocator(countdown *c)
{
    return (leat_allocator){ countdown_allocate, countdown_release, c };
}

/* One line, not cut off, with all of the parts in it. */
UNUSED static void check_message(const leat_status *s, const char *part1, const char *part2)
{
    cr_assert_neq(s->code, LEAT_OK);
    cr_assert(strchr(s->message, '\n') == NULL, "%s", s->message);
    cr_assert(strstr(s->message, part1) != NULL, "no '%s' in: %s", part1, s->message);
    cr_assert(strstr(s->message, part2) != NULL, "no '%s' in: %s", part2, s->message);
}

#endif
