/*
 * Whole files: read into an arena, and replaced in one step.
 *
 * A file is replaced by writing a new one under a temporary name in the same folder and renaming it, which POSIX does
 * in one step: at any moment, also after a crash, `path` is the old file or the new one. Symbolic links are followed,
 * so that a link stays one. What is no regular file (a pipe, /dev/stdout) cannot be replaced and is simply written to.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

enum { FIRST_READ = 64 << 10, LARGEST_STEP = 1 << 30, MOST_NAMES = 10000 };

static leat_code refuse(leat_status *s, const char *path, const char *what)
{
    return leat_fail(s, LEAT_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct buffer {
    leat_arena *arena;
    char *bytes;
    size_t size, capacity;
};

static bool grow(struct buffer *b, size_t capacity)
{
    char *bytes = leat_arena_alloc(b->arena, capacity);
    if (!bytes)
        return false;
    if (b->size > 0)
        memcpy(bytes, b->bytes, b->size);
    b->bytes = bytes;
    b->capacity = capacity;
    return true;
}

/* The size that the system tells is a first guess: pipes and files in /proc have none, and a file may be growing. */
static leat_code read_all(int fd, const char *path, struct buffer *b, leat_status *s)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return refuse(s, path, "read");
    bool sized = S_ISREG(st.st_mode) && st.st_size > 0;
    size_t want = sized ? (size_t)st.st_size + 1 : FIRST_READ;

    for (;;) {
        if (b->size + 1 >= b->capacity && !grow(b, b->capacity ? 2 * b->capacity : want + 1))
            return leat_fail(s, LEAT_ENOMEM, "%s: out of memory for the file", path);
        size_t room = b->capacity - 1 - b->size;
        ssize_t n = read(fd, b->bytes + b->size, room < LARGEST_STEP ? room : LARGEST_STEP);
        if (n == 0)
            break;
        if (n > 0)
            b->size += (size_t)n;
        else if (errno != EINTR)
            return refuse(s, path, "read");
    }
    b->bytes[b->size] = '\0';
    return LEAT_OK;
}

leat_code leat_file_read(const char *path, leat_arena *a, char **bytes, size_t *size, leat_status *s)
{
    struct buffer b = { .arena = a };
    leat_arena_mark mark = leat_arena_save(a);

    *bytes = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return refuse(s, path, "open");
    leat_code code = read_all(fd, path, &b, s);
    close(fd);
    if (code) {
        leat_arena_restore(a, mark);
        return code;
    }
    *bytes = b.bytes;
    *size = b.size;
    return LEAT_OK;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static bool write_parts(int fd, const leat_bytes *parts, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const char *at = parts[i].data;
        for (size_t left = parts[i].size; left > 0;) {
            ssize_t n = write(fd, at, left < LARGEST_STEP ? left : LARGEST_STEP);
            if (n < 0 && errno != EINTR)
                return false;
            if (n > 0) {
                at += n;
                left -= (size_t)n;
            }
        }
    }
    return true;
}

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Opens a new file beside `path`. Its name tells processes apart; the counter tells threads apart, and passes over what
 * a killed process left behind. */
static int open_temporary(const char *path, mode_t mode, char name[PATH_MAX])
{
    for (int i = 0; i < MOST_NAMES; i++) {
        int length = snprintf(name, PATH_MAX, "%.*s.leat-%ld-%d", (int)folder_length(path), path, (long)getpid(), i);
        if (length >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* Makes the rename last. The new file is in place by now, so a system that cannot do this is no failure. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s.", (int)folder_length(path), path);
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* Some file systems have no fsync and say EINVAL; all other failures mean that the data may not be on the disk. */
static bool finish(int fd, bool sync)
{
    if (sync && fsync(fd) != 0 && errno != EINVAL) {
        int cause = errno;
        close(fd);
        errno = cause;
        return false;
    }
    return close(fd) == 0 || errno == EINTR;
}

static bool replace(const char *path, const struct stat *old, const leat_bytes *parts, int64_t count)
{
    char name[PATH_MAX];
    int fd = open_temporary(path, old ? old->st_mode & 0777 : 0666, name);
    if (fd < 0)
        return false;

    bool written = (!old || fchmod(fd, old->st_mode & 0777) == 0) && write_parts(fd, parts, count);
    int cause = errno;
    bool finished = finish(fd, written);
    if (written && finished && rename(name, path) == 0) {
        sync_folder(path);
        return true;
    }
    if (!written)
        errno = cause;
    cause = errno;
    unlink(name);
    errno = cause;
    return false;
}

static bool write_through(const char *path, const leat_bytes *parts, int64_t count)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool written = write_parts(fd, parts, count);
    int cause = errno;
    bool finished = finish(fd, false);
    if (!written)
        errno = cause;
    return written && finished;
}

leat_code leat_file_write_parts(const char *path, const leat_bytes *parts, int64_t count, leat_status *s)
{
    char target[PATH_MAX];
    struct stat old;
    bool done = false;

    if (!realpath(path, target)) {
        if (errno != ENOENT)
            return refuse(s, path, "write");
        done = replace(path, NULL, parts, count);
    } else if (stat(target, &old) == 0) {
        if (S_ISREG(old.st_mode))
            done = access(target, W_OK) == 0 && replace(target, &old, parts, count);
        else
            done = write_through(target, parts, count); /* of a folder the system says that it is one */
    }
    return done ? LEAT_OK : refuse(s, path, "write");
}

leat_code leat_file_write(const char *path, const void *bytes, size_t size, leat_status *s)
{
    return leat_file_write_parts(path, &(leat_bytes){ bytes, size }, 1, s);
}
