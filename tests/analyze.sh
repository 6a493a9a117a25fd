#!/bin/bash
# analyze.sh: gcc -fanalyzer, cppcheck and clang-tidy over all sources. Each must find nothing. Prints a line for each.
#
# The kernels for instruction sets are left out: one function is every kernel there, which takes an analyzer minutes,
# and macros over vectors are beyond cppcheck. gcc does without the C library's inline functions, of which bsearch is
# one. What cppcheck 2.10 gets wrong is in analyze.cppcheck; clang-tidy's list is .clang-tidy.
set -u
cd "$(dirname "$0")/.." || exit 1
temp=$(mktemp -d) && trap 'rm -rf "$temp"' EXIT
mapfile -t sources < <(find tensor autograd nn flows apps -name '*.c' ! -path '*/kernels/kernels_*' | sort)
failures=0

each() { # command: for every source, in parallel; what it prints is what it found
    printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -n "$1" "${@:2}"
}

check() { # name, command...
    local start=$SECONDS
    if "${@:2}" >"$temp/log" 2>&1 && ! grep -qE '(warning|error):' "$temp/log"; then
        echo "ok   $1: ${#sources[@]} files, $((SECONDS - start)) s"
    else
        echo "FAIL $1"
        grep -vE '^[0-9]+ warnings? generated' "$temp/log" | head -n 100 | sed 's/^/     /'
        failures=$((failures + 1))
    fi
}

check 'gcc -fanalyzer' each 1 gcc -std=gnu11 -O1 -D__NO_INLINE__ -I. -fanalyzer -o /dev/null -c
check 'cppcheck' cppcheck --quiet --std=c11 --enable=warning,performance -j "$(nproc)" -I. --error-exitcode=1 \
    --suppress=missingIncludeSystem --suppressions-list=tests/analyze.cppcheck "${sources[@]}"
check 'clang-tidy' each 8 sh -c 'clang-tidy --quiet "$@" -- -std=gnu11 -I.' sh
[ "$failures" -eq 0 ]
