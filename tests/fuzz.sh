#!/bin/bash
# fuzz.sh [seconds [target...]]: every entry of fuzz/, or those that are named, under libFuzzer with AddressSanitizer and
# UBSan, that long, from the fixtures, as many at once as there are processors. Needs clang. Prints one line for each:
# executions, and how many edges and features of the code they reached. What made one fail is left in the working folder.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
seconds=${1:-10}
temp=$(mktemp -d) && trap 'rm -rf "$temp"' EXIT
compile="clang -std=gnu11 -g -O1 -ffp-contract=off -fno-sanitize-recover=all -fsanitize=address,undefined,"

# Kernels, which take minutes to instrument, read no files.
(cd "$temp" && find "$root/tensor" -name '*.c' ! -path '*/kernels/*' | xargs -P "$(nproc)" -n 1 $compile'fuzzer-no-link' -c &&
    find "$root/tensor/kernels" -name '*.c' | xargs -P "$(nproc)" -n 1 clang -std=gnu11 -O0 -ffp-contract=off -c) || exit 1

fuzz() { # name
    local name=fuzz_$1 log=$temp/$1.log
    mkdir "$temp/$name.seeds"
    find "$root/tests/fixtures" -name "*.$1" -size -64k -exec cp -t "$temp/$name.seeds" {} +
    if $compile'fuzzer' "$root/tests/fuzz/$name.c" "$temp"/*.o -lm -pthread -o "$temp/$name" >"$log" 2>&1 &&
        "$temp/$name" -seed=1 -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 "$temp/$name.seeds" >"$log" 2>&1; then
        echo "ok   $name: $(grep -o 'Done.*' "$log"), $(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1)"
    else
        echo "FAIL $name"
        tail -n 40 "$log" | sed 's/^/     /'
    fi
}
export -f fuzz
export root seconds temp compile

targets=("${@:2}")
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets < <(ls "$root"/tests/fuzz/fuzz_*.c | sed 's/.*fuzz_//; s/\.c$//')
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz {}' | tee "$temp/said"
! grep -q '^FAIL' "$temp/said" && [ "$(grep -c '^ok' "$temp/said")" -eq "${#targets[@]}" ]
