#!/bin/bash
# symbols.sh <shared library> <static library>: what they ask of the C library, and what they show to the world.
#
#   - no function of libm but those whose result IEEE 754 fixes to the last bit, so that results are the same everywhere
#   - nothing that prints or ends the process (a failed assert is the caller's mistake, not data's)
#   - memory from malloc and free in tensor/arena.c alone
#   - every exported name begins with leat_
set -u
shared=$1 archive=$2
compiler=${CC:-cc}
failures=0

exact='fma fmaf sqrt sqrtf floor floorf ceil ceilf trunc truncf rint rintf nearbyint nearbyintf round roundf roundeven
roundevenf lrint lrintf llrint llrintf lround lroundf llround llroundf ldexp ldexpf scalbn scalbnf scalbln scalblnf frexp
frexpf logb logbf ilogb ilogbf modf modff fmod fmodf remainder remainderf fabs fabsf copysign copysignf nextafter
nextafterf finite finitef isinf isinff isnan isnanf __fpclassify __fpclassifyf __signbit __signbitf __finite __finitef
__isinf __isinff __isnan __isnanf'
loud='abort exit _exit _Exit quick_exit raise kill printf vprintf puts putchar putc fputc fputs fputc_unlocked
putchar_unlocked fprintf vfprintf dprintf vdprintf perror psignal fwrite err errx warn warnx syslog system stdout stderr
__printf_chk __fprintf_chk __vprintf_chk __vfprintf_chk __dprintf_chk _IO_putc _IO_puts'
heap='malloc calloc realloc reallocarray free aligned_alloc posix_memalign memalign valloc strdup strndup asprintf
vasprintf __asprintf_chk getline open_memstream'

lines() { tr -s ' \n' '\n\n' <<<"$*" | sort -u; }

refuse() { # what, names...
    if [ -n "${*:2}" ]; then
        echo "$1: ${*:2}"
        failures=$((failures + 1))
    fi
}

# Names, one a line, without their version.
undefined() { nm --undefined-only "$@" 2>/dev/null | awk 'NF >= 2 && $(NF - 1) ~ /^[Uw]$/ { sub(/@.*/, "", $NF); print $NF }'; }

inexact_names() { # of libm, but not fixed to the last bit
    nm -D --defined-only "$("$compiler" -print-file-name=libm.so.6)" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u |
        comm -23 - <(lines "$exact")
}

inexact=$(inexact_names)
for name in exp log1pf pow; do # this list is what the check rests on
    grep -qx "$name" <<<"$inexact" || refuse 'not in the list of libm' "$name"
done

uses=$(undefined -D "$shared" | sort -u)
count=$(wc -w <<<"$uses")
[ "$count" -gt 10 ] || refuse "$shared" "cannot be read ($count names)"
refuse "uses libm's" $(comm -12 <(echo "$uses") <(echo "$inexact"))
refuse 'prints or ends the process with' $(comm -12 <(echo "$uses") <(lines "$loud"))
refuse 'exports' $(nm -D --defined-only "$shared" | awk '$NF !~ /^(leat_|_)/ { print $NF }')
refuse 'has global names' $(nm --defined-only --extern-only "$archive" | awk 'NF == 3 && $NF !~ /^(leat_|_)/ { print $NF }')

memory=$(nm -A --undefined-only "$archive" |
    awk '{ sub(/@.*/, "", $NF); n = split($1, at, ":"); print $NF, at[n - 1] }' | sort -u | join - <(lines "$heap"))
grep -q ' tensor_arena\.c\.o$' <<<"$memory" || refuse "$archive" 'does not show who takes memory'
refuse 'takes memory outside of tensor/arena.c' $(grep -v ' tensor_arena\.c\.o$' <<<"$memory" | tr ' ' ':')

echo "$count undefined names looked at"
[ "$failures" -eq 0 ]
