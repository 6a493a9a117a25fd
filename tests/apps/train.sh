#!/bin/sh
# A training program as people use it: what it prints and writes, and how it refuses. Usage: train.sh PROGRAM
. "$(dirname "$0")/program.sh"
name=$(basename "$program")
quick='--points 600 --epochs 2 --couplings 2 --hidden 16'

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
for wish in 2 0 -1 1.5 many '' 99999999999999999999; do
    LEAT_NUM_THREADS=$wish run 0 $quick --out second
    case $wish in
    2 | 0) grep -q LEAT_NUM_THREADS err && fail "LEAT_NUM_THREADS=$wish is warned of" ;;
    *) grep -q 'LEAT_NUM_THREADS' err || fail "LEAT_NUM_THREADS=$wish is taken in silence" ;;
    esac
    cmp -s first/model.safetensors second/model.safetensors || fail "the model depends on LEAT_NUM_THREADS=$wish"
done
LEAT_ISA=ref run 0 $quick --out third
cmp -s first/model.safetensors third/model.safetensors || fail "the model depends on the kernels"
run 0 $quick --seed 1 --out fourth
cmp -s first/model.safetensors fourth/model.safetensors && fail "the seed changes nothing"
run 0 $quick --out quiet --quiet
[ ! -s out ] && [ ! -s err ] || fail "--quiet prints"

run 0 $quick --recompute forward --out fifth
cmp -s first/samples.npy fifth/samples.npy || fail "--recompute forward changes what is trained"
run 0 $quick --recompute invert --out sixth
has sixth/model.safetensors
run 2 --recompute backward; says 'backward'

# ---- untrained, other data, other architectures ----
run 0 --epochs 0 --points 50 --out untrained
has untrained/model.safetensors untrained/samples.npy untrained/samples.png
[ ! -s out ] || fail "--epochs 0 prints an epoch"
run 0 --epochs 1 --data first/samples.npy --couplings 2 --hidden 8 --out from-npy
printf 'a,b,c\n1,2,3\n4,5,6.5\n7,8,9\n' >table.csv
run 0 --epochs 1 --data table.csv --draw 5 --couplings 2 --hidden 8 --out from-csv
case $name in
train_nice)
    run 0 --preset paper --hidden 20,20 --epochs 1 --points 300 --out paper
    grep -qa 'reverse.*logistic\|logistic.*reverse' paper/model.safetensors || fail "no paper's architecture in the file"
    run 2 --preset papr; says 'papr'
    ;;
train_realnvp)
    for map in tanh learned none; do
        run 0 $quick --scale-map $map --out "map-$map"
        cmp -s first/samples.npy "map-$map/samples.npy" && [ $map != tanh ] && fail "--scale-map $map changes nothing"
    done
    grep -qa 'layers.0.snet.2.scale\|layers.0.snet.3.scale' map-learned/model.safetensors || fail "no learned scale"
    run 0 $quick --one-net --out one-net
    grep -qa 'layers.0.net.0.weight' one-net/model.safetensors || fail "--one-net makes two"
    run 2 --scale-map thanh; says 'thanh'
    ;;
esac
run 0 --epochs 1 --points 300 --draw 0 --hidden 8 --out no-draw

# ---- wrong usage: exit 2 and a hint ----
run 2 --batch 0; says '--batch'
run 2 --lr abc; says 'abc'
run 2 --lr -1; says '--lr'
run 2 --epoch 3; says '--epochs'
run 2 --hidden 12,x; says '12,x'
run 2 --points; says '--points'
run 2 stray; says 'stray'
run 2 --validation 1; says '--validation'
run 2 --patience 3; says '--validation'
run 2 --standardize --no-standardize; says '--no-standardize'
run 2 --schedule linear; says 'linear'
run 2 --schedule warmup-cosine --warmup 10; says '--warmup'
for threads in -1 1025 1.5 many ''; do
    run 2 --threads "$threads"; says '--threads'
done
run 2 --checkpoint-every -1; says '--checkpoint-every'

# ---- threads: as many as --threads says, or else LEAT_NUM_THREADS ----
# runs_in THREADS ARGUMENTS...: a run that would never end comes to have so many, and not more
runs_in() {
    wanted=$1 most=0
    shift
    "$program" --epochs 1000000 --quiet --out endless "$@" >out 2>err </dev/null &
    for _ in $(seq 300); do
        [ "$most" -lt "$wanted" ] || break
        sleep 0.1
        # shellcheck disable=SC2012
        most=$(ls /proc/$!/task | wc -l)
    done
    kill -9 $!
    wait $! 2>/dev/null
    [ "$most" -eq "$wanted" ] || fail "$*: $most threads, not $wanted"
}
if [ -d /proc/self/task ]; then
    runs_in 3 --threads 3
    LEAT_NUM_THREADS=2 runs_in 4 --threads 4
    LEAT_NUM_THREADS=3 runs_in 3
    LEAT_NUM_THREADS=3 runs_in 3 --threads 0
fi

# ---- bad data: exit 1 before training, with file, place and reason ----
# bad FILE WORDS OPTIONS...
bad() {
    file=$1 words=$2
    shift 2
    rm -rf bad-out
    run 1 --out bad-out --data "$file" "$@"
    says "$words"
    [ ! -e bad-out ] || fail "$file: something was written"
    [ ! -s out ] || fail "$file: training began"
}
bad missing.csv 'missing.csv'
printf '1,2\n3,x\n' >letters.csv; bad letters.csv 'line 2'
printf '1,2\n3\n' >ragged.csv; bad ragged.csv 'line 2'
printf '1\n2\n3\n' >one.csv; bad one.csv 'column'
printf '1,2\n3,nan\n5,6\n' >nan.csv; bad nan.csv 'line 2'
head -c 100 first/samples.npy >short.npy; bad short.npy 'short.npy'
echo text >text.npy; bad text.npy 'text.npy'
bad table.csv 'nosuch' --columns a,nosuch
bad table.csv 'nosuch' --context nosuch
bad table.csv '9' --columns 1,9
bad table.csv 'no columns besides the context' --context a,b,c
bad moons 'are for tables' --context 1
printf 'a,b,c\n1,2,3\n4,2,6.5\n7,2,9\n' >constant.csv; bad constant.csv 'column 2 (b) is constant'
printf '1,2\n3,2\n4,2\n' >unnamed.csv; bad unnamed.csv 'column 2 is constant'
printf 'a,b\n' >empty.csv; bad empty.csv 'no rows'
bad table.csv 'holds out no row' --validation 0.1

# ---- what stood there before a bad run still stands there ----
cp first/model.safetensors kept
run 1 --out first --data letters.csv; says 'line 2'
cmp -s first/model.safetensors kept || fail "a refused run overwrote the model"

# ---- tables: columns, context, standardizing, a warning ----
awk 'BEGIN { srand(3); print "name,x,y,c"; for (i = 0; i < 400; i++) { c = int(3 * rand())
    print "row" i "," 1000 + 50 * rand() + 20 * c "," rand() + rand() "," c } }' >people.csv
run 0 $quick --data people.csv --columns 2-4 --out all-three
grep -q 'warning: .*column 4 (c)' err || fail "no warning of few distinct values"
run 0 $quick --data people.csv --columns 2-4 --out all-three --quiet
[ ! -s err ] || fail "--quiet warns"
run 0 $quick --data people.csv --columns x,y,c --context c --out given
grep -q warning err && fail "a context is warned of"
has given/model.safetensors given/samples.npy given/samples.png
grep -qa '"columns":"\[\\"x\\",\\"y\\"\]"' given/model.safetensors || fail "no names of columns in the model"
grep -qa '"context_columns":"\[\\"c\\"\]"' given/model.safetensors || fail "no names of context columns in the model"
grep -qa '"training":"{\\"program\\":\\"'"$name" given/model.safetensors || fail "no record of the training"
grep -qa 'input.mean' given/model.safetensors || fail "a table is not standardized"
run 0 $quick --data people.csv --columns x --context c,y --out one-given
has one-given/samples.png
run 0 $quick --data people.csv --columns x,y --no-standardize --out plain
grep -qa 'input.mean' plain/model.safetensors && fail "--no-standardize standardizes"
run 0 $quick --standardize --out standard
grep -qa 'input.mean' standard/model.safetensors || fail "--standardize does not"

"$program" $quick --data - --columns x,y <people.csv --out piped >out 2>err || fail "no table from standard input"
run 0 $quick --data people.csv --columns x,y --out unpiped
cmp -s piped/samples.npy unpiped/samples.npy || fail "standard input is another table"

# ---- validation, patience, schedules, clip ----
run 0 $quick --validation 0.25 --out validated
grep -qE '^Epoch 2, Loss: [0-9.]+, Validation: [0-9.]+$' out || fail "no validation loss"
[ "$(head -n 1 validated/loss.csv)" = epoch,loss,validation ] || fail "loss.csv lacks the validation loss"
run 0 --points 60 --hidden 64 --batch 10 --epochs 200 --lr 0.02 --validation 0.5 --patience 3 --out patient
grep -q 'no better validation loss for 3 epochs' err || fail "patience does not stop"
[ "$(wc -l <patient/loss.csv)" -lt 200 ] || fail "patience has no effect"
for schedule in cosine 'warmup-cosine --warmup 1' 'step --step-epochs 1 --lr-factor 0.01' exponential; do
    # shellcheck disable=SC2086
    run 0 $quick --schedule $schedule --out scheduled
    cmp -s first/model.safetensors scheduled/model.safetensors && fail "--schedule $schedule changes nothing"
done
run 0 $quick --clip 0.001 --out clipped
cmp -s first/samples.npy clipped/samples.npy && fail "--clip changes nothing"
run 0 $quick --weight-decay 0.5 --optimiser adamw --out decayed
cmp -s first/samples.npy decayed/samples.npy && fail "--weight-decay changes nothing"

# ---- a folder that cannot be written ----
echo file >occupied
run 1 --out occupied $quick; says 'occupied'
run 1 --out missing/deeper $quick; says 'missing/deeper'
[ ! -s out ] || fail "training began although nothing can be written"

# ---- divergence: stops, names step, epoch and module, keeps finite weights, and all that was there ----
run 1 --lr 1e6 --points 2000 --epochs 5 --out diverged
says 'step'; says 'epoch'; says 'layers.'; says 'diverged/model.failed.safetensors'
has diverged/model.failed.safetensors
[ ! -e diverged/model.safetensors ] && [ ! -e diverged/loss.csv ] || fail "a run that failed wrote as if it had not"
cp -r first good
run 1 --lr 1e6 --points 2000 --epochs 5 --out good
for f in first/*; do cmp -s "$f" "good/${f#first/}" || fail "a run that failed changed ${f#first/}"; done
grep -qa 'failed\\":\\"stopped at step' good/model.failed.safetensors || fail "the failed model does not say so"

# ---- standard output that is full ----
if [ -e /dev/full ]; then
    for words in "$quick --out full" --help --version; do
        # shellcheck disable=SC2086
        "$program" $words >/dev/full 2>err </dev/null && fail "$words > /dev/full: exit 0"
        grep -q "^$name: standard output: " err || fail "$words > /dev/full is not told"
    done
    has full/model.safetensors
fi

# ---- help and version ----
run 0 --help
grep -q -- '--couplings' out || fail "--help lists no options"
run 0 --version
grep -q 'leat' out || fail "--version"

[ $failures -eq 0 ] && echo "$name behaves"
exit $((failures > 0))
