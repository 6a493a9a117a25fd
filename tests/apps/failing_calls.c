/* The system call whose number LEAT_FAIL_AT gives fails, of those that leat itself makes on files, and later ones work
 * again; that it came so far is told by a byte on descriptor 9. Linked with --wrap of each. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

ssize_t __real_read(int fd, void *to, size_t size);
ssize_t __real_write(int fd, const void *from, size_t size);
int __real_open(const char *path, int flags, ...);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_close(int fd);
int __real_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags);

ssize_t __wrap_read(int fd, void *to, size_t size);
ssize_t __wrap_write(int fd, const void *from, size_t size);
int __wrap_open(const char *path, int flags, ...);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_close(int fd);
int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags);

static int fails(int cause)
{
    static long calls, fail_at = -1;

    if (fail_at < 0) {
        const char *text = getenv("LEAT_FAIL_AT");

        fail_at = text ? atol(text) : 0;
    }
    if (++calls != fail_at) {
        return 0;
    }
    if (__real_write(9, "!", 1) != 1) {
        _exit(99);
    }
    errno = cause;
    return 1;
}

ssize_t __wrap_read(int fd, void *to, size_t size)
{
    return fails(EIO) ? -1 : __real_read(fd, to, size);
}

ssize_t __wrap_write(int fd, const void *from, size_t size)
{
    return fails(ENOSPC) ? -1 : __real_write(fd, from, size);
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;

    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t); /* garbage is passed on where there is none, as the system does */
    va_end(rest);
    return fails(EMFILE) ? -1 : __real_open(path, flags, mode);
}

int __wrap_fsync(int fd)
{
    return fails(EIO) ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    return fails(EIO) ? -1 : __real_rename(from, to);
}

int __wrap_close(int fd)
{
    int code = __real_close(fd);

    return fails(EIO) ? -1 : code;
}

int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    return fails(EPERM) ? -1 : __real_linkat(from_folder, from, to_folder, to, flags);
}
