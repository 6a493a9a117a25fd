/*
 * Whole files: read into an arena, and replaced in one step.
 *
 * A file is replaced by writing a new one in the same folder and renaming it, which POSIX does in one step: at any
 * moment, also after a crash, `path` is the old file or the new one. Where the system can do that, the new one has no
 * name until it is whole, so that whoever is killed leaves nothing behind. Symbolic links are followed, so that a link
 * stays one. What is no regular file (a pipe, /dev/stdout) cannot be replaced and is simply written to.
 */
#define _GNU_SOURCE /* O_TMPFILE */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef PATH_MAX
_Static_assert(LEAT_PATH >= PATH_MAX, "realpath needs that much room");
#endif

enum { FIRST_READ = 64 << 10, LARGEST_STEP = 1 << 30, MOST_NAMES = 10000, MOST_LINKS = 40 };

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

static bool write_bytes(int fd, const char *at, size_t left)
{
    while (left > 0) {
        ssize_t n = write(fd, at, left < LARGEST_STEP ? left : LARGEST_STEP);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            at += n;
            left -= (size_t)n;
        }
    }
    return true;
}

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* A new file in the folder of `path`, without a name; -1 where there is no such thing. */
static int open_nameless(const char *path, mode_t mode)
{
    int fd = -1;
#ifdef O_TMPFILE
    char folder[LEAT_PATH];
    snprintf(folder, sizeof folder, "%.*s.", (int)folder_length(path), path);
    if (access("/proc/self/fd", X_OK) == 0) /* by which it comes to its name */
        fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
#else
    (void)path, (void)mode;
#endif
    return fd;
}

/* A new file beside `path`. Its name tells processes apart; the counter tells threads apart, and passes over what a
 * killed process left behind. */
static int open_temporary(const char *path, mode_t mode, char name[LEAT_PATH])
{
    for (int i = 0; i < MOST_NAMES; i++) {
        int length = snprintf(name, LEAT_PATH, "%.*s.leat-%ld-%d", (int)folder_length(path), path, (long)getpid(), i);
        if (length >= LEAT_PATH) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* Gives a whole file that has no name the name `target`: by way of another, since no call replaces a file by one without
 * a name. That one follows from the target, and whoever finds it taken, by a writer who was killed or is at it now, moves
 * that whole file first. */
static bool put_in_place(int fd, const char *target)
{
    char self[40], name[LEAT_PATH];
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    for (const char *c = target; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    errno = ENAMETOOLONG;
    if (snprintf(name, sizeof name, "%.*s.leat-%016" PRIx64, (int)folder_length(target), target, hash) >= LEAT_PATH)
        return false;
    for (int i = 0; i < MOST_NAMES; i++) {
        bool linked = linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
        if (!linked && errno != EEXIST)
            return false;
        if (rename(name, target) == 0 || errno == ENOENT) { /* another one has moved it */
            if (linked)
                return true;
        } else {
            int cause = errno;
            unlink(name);
            errno = cause;
            return false;
        }
    }
    return false;
}

/* Follows symbolic links that lead to what does not exist yet. */
static bool follow_links(char target[LEAT_PATH])
{
    char link[LEAT_PATH], joined[LEAT_PATH];
    for (int i = 0; i < MOST_LINKS; i++) {
        ssize_t n = readlink(target, link, sizeof link - 1);
        if (n < 0)
            return errno == ENOENT;
        link[n] = '\0';
        int length =
            snprintf(joined, sizeof joined, "%.*s%s", link[0] == '/' ? 0 : (int)folder_length(target), target, link);
        if (length >= LEAT_PATH) {
            errno = ENAMETOOLONG;
            return false;
        }
        strcpy(target, joined);
    }
    errno = ELOOP;
    return false;
}

/* Makes the rename last. The new file is in place by now, so a system that cannot do this is no failure. */
static void sync_folder(const char *path)
{
    char folder[LEAT_PATH];
    snprintf(folder, sizeof folder, "%.*s.", (int)folder_length(path), path);
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static leat_code give_up(leat_file_out *f, leat_status *s)
{
    leat_code code = refuse(s, f->path, "write");
    leat_file_cancel(f);
    return code;
}

leat_code leat_file_begin(leat_file_out *f, const char *path, leat_status *s)
{
    struct stat st;
    const struct stat *old = NULL;
    *f = (leat_file_out){ .path = path, .fd = -1 };
    if (!realpath(path, f->target)) {
        if (errno != ENOENT || !path[0])
            return refuse(s, path, "write");
        snprintf(f->target, sizeof f->target, "%s", path);
        if (!follow_links(f->target))
            return refuse(s, path, "write");
    } else if (stat(f->target, &st) != 0) {
        return refuse(s, path, "write");
    } else if (!S_ISREG(st.st_mode)) {
        f->fd = open(f->target, O_WRONLY | O_CLOEXEC); /* of a folder the system says that it is one */
        return f->fd >= 0 ? LEAT_OK : refuse(s, path, "write");
    } else if (access(f->target, W_OK) != 0) {
        return refuse(s, path, "write");
    } else {
        old = &st;
    }
    mode_t mode = old ? old->st_mode & 0777 : 0666;
    f->fd = open_nameless(f->target, mode);
    if (f->fd < 0)
        f->fd = open_temporary(f->target, mode, f->temporary);
    if (f->fd < 0)
        return refuse(s, path, "write");
    f->replaces = true;
    return old && fchmod(f->fd, mode) != 0 ? give_up(f, s) : LEAT_OK;
}

leat_code leat_file_put(leat_file_out *f, const void *bytes, size_t size, leat_status *s)
{
    return write_bytes(f->fd, bytes, size) ? LEAT_OK : refuse(s, f->path, "write");
}

leat_code leat_file_rewind(leat_file_out *f, leat_status *s)
{
    return lseek(f->fd, 0, SEEK_SET) == 0 ? LEAT_OK : refuse(s, f->path, "write");
}

/* Some file systems have no fsync and say EINVAL; all other failures mean that the data may not be on the disk. */
leat_code leat_file_commit(leat_file_out *f, leat_status *s)
{
    bool nameless = f->replaces && !f->temporary[0];
    if (f->replaces && fsync(f->fd) != 0 && errno != EINVAL)
        return give_up(f, s);
    if (nameless && !put_in_place(f->fd, f->target))
        return give_up(f, s);
    bool closed = close(f->fd) == 0 || errno == EINTR || nameless;
    f->fd = -1;
    if (!closed || (f->temporary[0] && rename(f->temporary, f->target) != 0))
        return give_up(f, s);
    if (f->replaces)
        sync_folder(f->target);
    return LEAT_OK;
}

void leat_file_cancel(leat_file_out *f)
{
    if (f->fd >= 0)
        close(f->fd);
    if (f->temporary[0])
        unlink(f->temporary);
    f->fd = -1;
    f->replaces = false;
}

leat_code leat_file_write_parts(const char *path, const leat_bytes *parts, int64_t count, leat_status *s)
{
    leat_file_out f;
    leat_code code = leat_file_begin(&f, path, s);
    if (code)
        return code;
    for (int64_t i = 0; i < count; i++) {
        code = leat_file_put(&f, parts[i].data, parts[i].size, s);
        if (code) {
            leat_file_cancel(&f);
            return code;
        }
    }
    return leat_file_commit(&f, s);
}

leat_code leat_file_write(const char *path, const void *bytes, size_t size, leat_status *s)
{
    return leat_file_write_parts(path, &(leat_bytes){ bytes, size }, 1, s);
}
