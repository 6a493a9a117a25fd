/* The sticky status: the one place where a failure is recorded, and so the one place for a breakpoint. */
#include "tensor.h"

#include <stdarg.h>
#include <stdio.h>

leat_code leat_fail(leat_status *s, leat_code code, const char *format, ...)
{
    if (s && s->code == LEAT_OK) {
        va_list args;
        va_start(args, format);
        s->code = code;
        vsnprintf(s->message, sizeof s->message, format, args);
        va_end(args);
    }
    return code;
}
