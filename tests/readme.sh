#!/bin/bash
# readme.sh <build folder>: the C that README.md shows. Every block marked ```c that has a main is compiled against the
# static library and run; the others must compile, as they are or as the body of a function. Prints one line for each.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd) || exit 1
CC=${CC:-cc}
flags='-std=gnu11 -Wall -Wextra -Werror -Wno-unused'
temp=$(mktemp -d) && trap 'rm -rf "$temp"' EXIT
failures=0 blocks=0

mkdir -p "$temp/include/leat"
cp "$build/leat.h" "$temp/include/leat/"

awk -v temp="$temp" '
    /^ *```c *$/ { inside = 1; out = temp "/" ++n ".c"; printf "" > out; print NR > (out ".line"); next }
    /^ *```/     { inside = 0 }
    inside       { print > out }' "$root/README.md"

compile() { "$CC" $flags -I"$root" -I"$temp/include" "$@"; }

run() { # a block with a main
    compile "$1" -o "${1%.c}" "$build/libleat.a" -lm -pthread && (mkdir "${1%.c}.d" && cd "${1%.c}.d" && timeout 300 "${1%.c}")
}

# A piece of code: declarations and functions, or statements.
fragment() {
    local prelude='#include <leat/leat.h>\n#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n'
    { printf "$prelude"; cat "$1"; } >"${1%.c}_outer.c"
    { printf "$prelude"'void body(void);\nvoid body(void)\n{\n'; cat "$1"; printf '}\n'; } >"${1%.c}_inner.c"
    compile -fsyntax-only "${1%.c}_outer.c" || compile -fsyntax-only "${1%.c}_inner.c"
}

while IFS= read -r block; do
    blocks=$((blocks + 1))
    name="README.md:$(cat "$block.line")"
    how=fragment
    grep -q 'int main' "$block" && how=run
    if $how "$block" >"$temp/log" 2>&1; then
        echo "ok   $name ($how)"
    else
        echo "FAIL $name ($how)"
        sed 's/^/     /' "$temp/log"
        failures=$((failures + 1))
    fi
done < <(find "$temp" -maxdepth 1 -name '*.c' | sort -V)

echo "$blocks blocks, $failures failures"
[ "$blocks" -gt 0 ] && [ "$failures" -eq 0 ]
