/* The sticky status: the one place where a failure is recorded, and so the one place for a breakpoint. */
#include "tensor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A path of any length stands at the beginning of a message and the reason at its end, so what is left out is between. */
static void put_message(leat_status *s, const char *whole)
{
    enum { BEGINNING = 160 };
    size_t size = strlen(whole), begin = size < sizeof s->message ? size : BEGINNING;
    const char *rest = whole + begin;
    if (rest[0]) {
        while ((whole[begin] & 0xC0) == 0x80) /* inside of a character in UTF-8 */
            begin--;
        rest = whole + size - (sizeof s->message - sizeof "..." - BEGINNING);
        while ((rest[0] & 0xC0) == 0x80)
            rest++;
    }
    snprintf(s->message, sizeof s->message, "%.*s%s%s", (int)begin, whole, rest[0] ? "..." : "", rest);
}

leat_code leat_fail(leat_status *s, leat_code code, const char *format, ...)
{
    if (s && s->code == LEAT_OK) {
        va_list args;
        va_start(args, format);
        s->code = code;
        char whole[8192];
        vsnprintf(whole, sizeof whole, format, args);
        va_end(args);
        put_message(s, whole);
    }
    return code;
}
