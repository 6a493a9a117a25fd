#!/bin/sh
# Training gives the same bits on every instruction set of this machine, with any number of threads, and in the static and
# the shared library.
# usage: golden.sh golden golden-with-the-shared-library     (a set that the machine lacks is skipped)
set -eu
golden=$1
expected=$(LEAT_ISA=ref "$golden" 1 2>/dev/null)
test -n "$expected"
status=0
for isa in ref avx2 avx512 neon; do
    used=$(LEAT_ISA=$isa "$golden" 1 2>&1 >/dev/null)
    if test "$used" != "$isa"; then
        echo "$isa: not on this machine"
        continue
    fi
    for threads in 1 2 3 8; do
        # the reference kernels are slow, and 3 threads of them say what 8 would
        if test "$isa" = ref && test "$threads" -ne 3; then
            continue
        fi
        hash=$(LEAT_ISA=$isa "$golden" $threads 2>/dev/null)
        echo "$isa, $threads threads: $hash"
        if test "$hash" != "$expected"; then
            echo "  differs from ref, 1 thread: $expected"
            status=1
        fi
    done
done
hash=$("$2" 2 2>/dev/null)
echo "shared library: $hash"
if test "$hash" != "$expected"; then
    echo "  differs from the static one: $expected"
    status=1
fi
exit $status
