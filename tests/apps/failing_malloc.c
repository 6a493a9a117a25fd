/* Loaded in front of libc: the allocation number FAIL_AT fails, counted from 1. Without FAIL_AT none
 * does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

static long at = -1, count;

static int fails(void)
{
    if (at < 0) {
        const char *text = getenv("FAIL_AT");
        at = text ? atol(text) : 0;
    }
    return at > 0 && __sync_add_and_fetch(&count, 1) == at;
}

void *malloc(size_t size)
{
    static void *(*real)(size_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "malloc");
    if (!fails())
        return real(size);
    errno = ENOMEM;
    return NULL;
}
