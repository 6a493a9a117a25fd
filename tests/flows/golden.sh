#!/bin/sh
# Training gives the same bits on every instruction set of this machine and with any number of threads.
# usage: golden.sh path-of-golden     (a set that the machine lacks falls back to one that it has, and is skipped)
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
exit $status
