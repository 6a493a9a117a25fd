#!/bin/sh
# train_nice as people use it: what it prints and writes, and how it refuses. Usage: train_nice.sh PROGRAM
program=$(realpath "$1")
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0
quick='--points 600 --epochs 2 --couplings 2 --hidden 16'

fail() {
    echo "FAIL: $*"
    sed 's/^/    /' err | head -5
    failures=$((failures + 1))
}

# run WANTED_EXIT ARGUMENTS...: standard output in `out`, standard error in `err`
run() {
    wanted=$1
    shift
    "$program" "$@" >out 2>err </dev/null
    got=$?
    [ $got -eq "$wanted" ] || fail "$*: exit $got, wanted $wanted"
}

# says WORDS: the last run's standard error holds them, on its one line
says() {
    grep -qF -- "$1" err || fail "standard error lacks: $1"
    [ "$(wc -l <err)" -eq 1 ] || fail "standard error is not one line"
}

has() {
    for f; do
        [ -s "$f" ] || fail "$f is missing or empty"
    done
}

# ---- a run, and the same run again ----
run 0 $quick --out first
grep -qE '^Epoch 1, Loss: [0-9]+\.[0-9]{4}$' out || fail "no line for epoch 1"
[ "$(wc -l <out)" -eq 2 ] || fail "standard output is not a line for each epoch"
[ "$(tail -n 1 err)" = "$(realpath first)/samples.png" ] || fail "the last line does not name the picture"
has first/model.safetensors first/samples.npy first/samples.png first/samples.svg first/loss.csv
[ "$(head -n 1 first/loss.csv)" = epoch,loss ] && [ "$(wc -l <first/loss.csv)" -eq 3 ] || fail "loss.csv"
run 0 $quick --out=second --threads=3
cmp -s first/model.safetensors second/model.safetensors || fail "the model depends on --threads"
cmp -s first/samples.npy second/samples.npy || fail "the samples depend on --threads"
LEAT_ISA=ref run 0 $quick --out third
cmp -s first/model.safetensors third/model.safetensors || fail "the model depends on the kernels"
run 0 $quick --seed 1 --out fourth
cmp -s first/model.safetensors fourth/model.safetensors && fail "the seed changes nothing"
run 0 $quick --out quiet --quiet
[ ! -s out ] && [ ! -s err ] || fail "--quiet prints"

# ---- untrained, other data, the paper's architecture ----
run 0 --epochs 0 --points 50 --out untrained
has untrained/model.safetensors untrained/samples.npy untrained/samples.png
[ ! -s out ] || fail "--epochs 0 prints an epoch"
run 0 --epochs 1 --data first/samples.npy --couplings 2 --hidden 8 --out from-npy
printf 'a,b,c\n1,2,3\n4,5,6.5\n7,8,9\n' >table.csv
run 0 --epochs 1 --data table.csv --draw 5 --couplings 2 --hidden 8 --out from-csv
run 0 --preset paper --hidden 20,20 --epochs 1 --points 300 --out paper
grep -q 'reverse.*:true' paper/model.safetensors || fail "the paper's architecture is not in the file"
run 0 --epochs 1 --points 300 --draw 0 --hidden 8 --out no-draw

# ---- wrong usage: exit 2 and a hint ----
run 2 --batch 0; says '--batch'
run 2 --lr abc; says 'abc'
run 2 --lr -1; says '--lr'
run 2 --epoch 3; says '--epochs'
run 2 --preset papr; says 'papr'
run 2 --hidden 12,x; says '12,x'
run 2 --points; says '--points'
run 2 stray; says 'stray'

# ---- bad data: exit 1 before training, with file, place and reason ----
bad() {
    rm -rf bad-out
    run 1 --out bad-out --data "$1"
    says "$2"
    [ ! -e bad-out ] || fail "$1: something was written"
    [ ! -s out ] || fail "$1: training began"
}
bad missing.csv 'missing.csv'
printf '1,2\n3,x\n' >letters.csv; bad letters.csv 'line 2'
printf '1,2\n3\n' >ragged.csv; bad ragged.csv 'line 2'
printf '1\n2\n3\n' >one.csv; bad one.csv 'column'
printf '1,2\n3,nan\n5,6\n' >nan.csv; bad nan.csv 'line 2'
head -c 100 first/samples.npy >short.npy; bad short.npy 'short.npy'
echo text >text.npy; bad text.npy 'text.npy'

# ---- a folder that cannot be written ----
echo file >occupied
run 1 --out occupied $quick; says 'occupied'
run 1 --out missing/deeper $quick; says 'missing/deeper'
[ ! -s out ] || fail "training began although nothing can be written"

# ---- divergence: stops, names step, epoch and module, keeps finite weights ----
run 1 --lr 1e6 --points 2000 --epochs 5 --out diverged
says 'step'; says 'epoch'; says 'layers.'
has diverged/model.safetensors diverged/loss.csv

# ---- help and version ----
run 0 --help
grep -q -- '--couplings' out || fail "--help lists no options"
run 0 --version
grep -q 'leat' out || fail "--version"

[ $failures -eq 0 ] && echo "train_nice behaves"
exit $((failures > 0))
