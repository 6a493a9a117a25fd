#!/bin/bash
# run.sh <build folder>: installs to a temporary place and uses leat from there as a stranger would. Prints one line for
# each check. CC and CXX name the compilers.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 1
CC=${CC:-cc} CXX=${CXX:-c++}
strict='-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wdouble-promotion -Werror'
temp=$(mktemp -d) && trap 'rm -rf "$temp"' EXIT
failures=0

check() { # name, command...
    if "${@:2}" >"$temp/log" 2>&1; then
        echo "ok   $1"
    else
        echo "FAIL $1"
        sed 's/^/     /' "$temp/log"
        failures=$((failures + 1))
    fi
}

refuse() { # name, a pattern in what it says, command...
    check "$1" bash -c '! "${@:2}" >"$0" 2>&1 && grep -q "$1" "$0"' "$temp/said" "${@:2}"
}

with() { # a pkg-config module, a command: runs it with that module's flags behind
    "${@:2}" $(pkg-config --cflags --libs "$1")
}

check 'meson install' meson install -C "$build" --no-rebuild --quiet --destdir "$temp/root"
prefix=$(dirname "$(dirname "$(find "$temp/root" -path '*/include/leat' -type d)")")
config=$(dirname "$(find "$temp/root" -name leat.pc)")
export PKG_CONFIG_PATH=$config LD_LIBRARY_PATH=${config%/pkgconfig}
# The .pc files speak of the place without the temporary folder in front.
export PKG_CONFIG_SYSROOT_DIR=$temp/root

headers='leat tensor/tensor autograd/autograd autograd/gradcheck autograd/op nn/images nn/nn nn/parts
    flows/flows flows/bases flows/bijectors flows/bits flows/fitting flows/image_transforms flows/models flows/saving flows/vector_transforms'
for header in $headers; do
    check "installed: $header.h" test -f "$prefix/include/leat/$header.h"
done
check 'nothing else is installed as a header' test "$(find "$prefix/include/leat" -type f | wc -l)" -eq "$(echo $headers | wc -w)"
for program in train_nice train_realnvp train_glow train_flowpp leat; do
    check "$program is installed" test -x "$prefix/bin/$program"
done

for module in leat leat64; do
    mkdir "$temp/$module"
    check "$module: compiles" with $module "$CC" -std=c11 $strict "$here/consumer.c" -o "$temp/$module/consumer"
    check "$module: is the shared library" bash -c "ldd '$temp/$module/consumer' | grep -q 'root.*/lib$module.so.0 '"
    check "$module: runs" "$temp/$module/consumer" "$temp/$module"
    check "$module: C++17" with $module "$CXX" -std=c++17 -Wall -Wextra -Werror "$here/consumer.cc" -o "$temp/$module/cxx"
    check "$module: C++17 runs" "$temp/$module/cxx"
    check "$module: the static library" "$CC" -std=c11 $(pkg-config --cflags $module) "$here/consumer.c" \
        -o "$temp/$module/static" "${config%/pkgconfig}/lib$module.a" -lm -pthread
    check "$module: the static library runs" "$temp/$module/static" "$temp/$module"
done

# Flows of a stranger's, each from its definition to a file and back; and the program of the guide.
for module in leat leat64; do
    for source in "$here"/trials/*.c; do
        name=$(basename "$source" .c)
        check "$module: trial $name compiles" with $module "$CC" -std=c11 -O1 -Wall -Wextra -Werror "$source" -lm \
            -o "$temp/$module/$name"
        check "$module: trial $name" bash -c "cd '$temp/$module' && timeout 120 ./$name"
    done
    awk '/^```c$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$here/../../flows/README.md" >"$temp/$module/guide.c"
    check "$module: the guide compiles" with $module "$CC" -std=c11 -O1 -Wall -Wextra -Werror "$temp/$module/guide.c" -lm \
        -o "$temp/$module/guide"
    check "$module: the guide" bash -c "cd '$temp/$module' && timeout 300 ./guide"
done

flags=$(pkg-config --cflags leat)
refuse 'a float program does not link with leat64' 'undefined reference.*leat_model_new_f32' \
    "$CC" $flags "$here/consumer.c" -o "$temp/wrong" -L"${config%/pkgconfig}" -lleat64
refuse 'a double program does not link with leat' 'undefined reference.*leat_model_new_f64' \
    "$CC" $flags -DLEAT_DOUBLE "$here/consumer.c" -o "$temp/wrong" -L"${config%/pkgconfig}" -lleat

# Without meson: the sources as they are, no flag for any one file.
mkdir "$temp/plain"
sed 's|<leat/leat.h>|"flows/flows.h"|' "$here/consumer.c" >"$temp/plain/consumer.c"
plainly() {
    (cd "$here/../.." && "$CC" -O2 -std=gnu11 -ffp-contract=off -I. "$@" "$temp/plain/consumer.c" \
        $(find tensor autograd nn flows -name '*.c') -lm -pthread)
}
for precision in leat leat64; do
    check "$precision without meson: compiles" plainly -o "$temp/plain/$precision" $([ $precision = leat ] || echo -DLEAT_DOUBLE)
    check "$precision without meson: runs" "$temp/plain/$precision" "$temp/plain"
    check "$precision without meson: the same model" cmp "$temp/plain/consumer.safetensors" "$temp/$precision/consumer.safetensors"
done

echo "$failures failures"
[ "$failures" -eq 0 ]
