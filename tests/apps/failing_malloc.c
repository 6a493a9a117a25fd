/* malloc fails at the call whose number LEAT_FAIL_AT gives, and later ones work again; that it came so far is told by a
 * byte on descriptor 9. Linked with --wrap=malloc. */
#include <stdlib.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    static long calls, fail_at = -1;

    if (fail_at < 0) {
        const char *text = getenv("LEAT_FAIL_AT");

        fail_at = text ? atol(text) : 0;
    }
    if (++calls == fail_at) {
        if (write(9, "!", 1) != 1) {
            _exit(99);
        }
        return NULL;
    }
    return __real_malloc(size);
}
