#!/bin/bash
# memory.sh <leat> <failing_malloc.so>: every single allocation of a command fails once. Either the command says so and
# exits with 1, or what it writes is what it writes otherwise, to the byte.
set -u
leat=$(realpath "$1") failing=$(realpath -e "$2") || exit 1
temp=$(mktemp -d) && trap 'rm -rf "$temp"' EXIT
cd "$temp" || exit 1
failures=0

printf 'a,b,c\n1,2,0.5\n2,1,0.1\n3,5,0.7\n4,3,0.2\n0,1,0.9\n' >d.csv
printf 'c,b,a\n0.5,2,1\n0.1,1,2\n' >turned.csv
"$leat" fit d.csv -o m.leat --epochs 1 --hidden 4 --couplings 2 --quiet || exit 1

every_allocation() { # name, command... that writes to standard output
    local name=$1 n code runs=0 wrong=0
    shift
    "$@" >expected 2>usual || { echo "FAIL $name: it fails undisturbed"; failures=$((failures + 1)); return; }
    for ((n = 1; n < 2000; n++)); do
        FAIL_AT=$n LD_PRELOAD=$failing "$@" >got 2>said
        code=$?
        runs=$n
        if [ $code -eq 0 ]; then
            cmp -s expected got || { wrong=$((wrong + 1)); echo "     allocation $n: exit 0, and other output"; }
            cmp -s usual said && break # as undisturbed: so many allocations there are not
        elif [ $code -ne 1 ] || [ ! -s said ]; then
            wrong=$((wrong + 1))
            echo "     allocation $n: exit $code, $(head -c 200 said)"
        fi
    done
    if [ $wrong -eq 0 ] && [ $runs -gt 5 ]; then
        echo "ok   $name: $runs allocations"
    else
        echo "FAIL $name: $wrong of $runs allocations"
        failures=$((failures + 1))
    fi
}

every_allocation sample "$leat" sample m.leat -n 3
every_allocation score "$leat" score m.leat turned.csv
every_allocation encode "$leat" encode m.leat turned.csv
every_allocation inspect "$leat" inspect m.leat
[ "$failures" -eq 0 ]
