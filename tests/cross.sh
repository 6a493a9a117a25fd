#!/bin/bash
# cross.sh <build folder>: leat on 64-bit ARM. Debian's cross compiler builds the library and the tests that need little,
# qemu runs them, and the training runs end with the bits of those of the build folder. Prints one line for each check.
# Needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user-static.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd) || exit 1
temp=$(mktemp -d) && trap 'rm -rf "$temp"' EXIT
failures=0
flags='-O2 -std=gnu11 -ffp-contract=off -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wdouble-promotion -Werror'
cd "$root" || exit 1

check() { # name, command...
    if "${@:2}" >"$temp/log" 2>&1; then
        echo "ok   $1"
    else
        echo "FAIL $1"
        tail -n 40 "$temp/log" | sed 's/^/     /'
        failures=$((failures + 1))
    fi
}

compile() { # a folder for the library, flags...
    mkdir "$1" && find tensor autograd nn flows -name '*.c' |
        xargs -P "$(nproc)" -I{} sh -c 'aarch64-linux-gnu-gcc '"$flags ${*:2}"' -c {} -o "$0/$(echo {} | tr / _).o"' "$1" &&
        aarch64-linux-gnu-ar rc "$1/libleat.a" "$1"/*.o
}

link() { # the same folder, a source, flags...
    aarch64-linux-gnu-gcc $flags "${@:3}" -Itests/cross "$2" "$1/libleat.a" -static -lm -pthread -o "$1/$(basename "$2" .c)"
}

golden() { # an instruction set, a program, what it must print
    local hash used
    hash=$(LEAT_ISA=$1 qemu-aarch64-static "$2" 2 2>"$temp/used") && used=$(cat "$temp/used")
    echo "$used: $hash, and here $3"
    [ "$used" = "$1" ] && [ -n "$hash" ] && [ "$hash" = "$3" ]
}

for library in leat leat64; do
    double=$([ $library = leat ] || echo -DLEAT_DOUBLE) out=$temp/$library
    check "$library: compiles" compile "$out" $double
    for source in tests/selftest.c tests/flows/golden.c tests/tensor/test_{cpu,gemm,kernels,kernels_optim,rows}.c; do
        check "$library: $source compiles" link "$out" "$source" $double
    done
    expected=$("$build/tests/golden-$library" 2 2>/dev/null)
    for isa in neon ref; do
        check "$library: training with $isa: $expected" golden $isa "$out/golden" "$expected"
    done
    for program in selftest test_cpu test_gemm test_kernels test_kernels_optim test_rows; do
        check "$library: $program" qemu-aarch64-static "$out/$program"
    done
done

echo "$failures failures"
[ "$failures" -eq 0 ]
