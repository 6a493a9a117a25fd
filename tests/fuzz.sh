#!/bin/bash
# fuzz.sh [seconds]: every entry of fuzz/ under libFuzzer with AddressSanitizer and UBSan, that long, from the fixtures.
# Needs clang. Prints one line for each; what made it fail is left in the working folder.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
seconds=${1:-10}
temp=$(mktemp -d) && trap 'rm -rf "$temp"' EXIT
failures=0
compile="clang -std=gnu11 -g -O1 -ffp-contract=off -fno-sanitize-recover=all -fsanitize=address,undefined,"

(cd "$temp" && find "$root/tensor" -name '*.c' | xargs -P "$(nproc)" -n 1 $compile'fuzzer-no-link' -c) || exit 1
for source in "$root"/tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    mkdir "$temp/$name.seeds"
    find "$root/tests/fixtures" -name "*.${name#fuzz_}" -size -64k -exec cp -t "$temp/$name.seeds" {} +
    if $compile'fuzzer' "$source" "$temp"/*.o -lm -pthread -o "$temp/$name" >"$temp/log" 2>&1 &&
        "$temp/$name" -seed=1 -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 "$temp/$name.seeds" >"$temp/log" 2>&1; then
        echo "ok   $name: $(grep -o 'Done.*' "$temp/log")"
    else
        echo "FAIL $name"
        tail -n 40 "$temp/log" | sed 's/^/     /'
        failures=$((failures + 1))
    fi
done
[ "$failures" -eq 0 ]
