#!/bin/bash
# A program that trains on images, and leat on what it made: what they write, the same bits by every way, refusals.
# Usage: images.sh PROGRAM LEAT
leat=$(realpath "$2")
. "$(dirname "$0")/program.sh"
name=$(basename "$program") trainer=$program
case $name in
train_nice) size='--couplings 2 --hidden 12' ;;
train_realnvp) size='--levels 3 --width 4 --blocks 1' ;;
train_glow) size='--levels 2 --steps 1 --width 4' ;;
train_flowpp) size='--couplings 1 --width 4 --blocks 1 --heads 2 --components 2' ;;
esac

# says WORDS: the last run's standard error is one line, and holds them
says() {
    grep -qF -- "$1" err || fail "standard error lacks: $1"
    [ "$(wc -l <err)" -eq 1 ] || fail "standard error is not one line"
}

# png FILE WIDTH HEIGHT
png() {
    [ "$(head -c 4 "$1" | od -An -tx1)" = ' 89 50 4e 47' ] || fail "$1 is no PNG"
    got=$(od -An -tu1 -j16 -N8 "$1" | awk '{ print $3 * 256 + $4, $7 * 256 + $8 }')
    [ "$got" = "$2 $3" ] || fail "$1 is of $got pixels, not $2 $3"
}

same() {
    cmp -s "$1" "$2" || fail "$1 and $2 differ${3:+: $3}"
}

# idx FILE SEED COUNT SIDE: grey images of bars, those with odd numbers upright; labels beside it
idx() {
    awk -v seed="$2" -v n="$3" -v side="$4" 'BEGIN { srand(seed)
        printf "\\000\\000\\010\\003\\000\\000\\000\\%03o\\000\\000\\000\\%03o\\000\\000\\000\\%03o", n, side, side
        for (i = 0; i < n; i++) { at = int(side * rand())
            for (y = 0; y < side; y++) for (x = 0; x < side; x++)
                printf "\\%03o", ((i % 2 ? x : y) == at ? 200 : 20) + int(40 * rand()) } }' >octal
    printf "$(cat octal)" >"$1"
    awk -v n="$3" 'BEGIN { printf "\\000\\000\\010\\001\\000\\000\\000\\%03o", n; for (i = 0; i < n; i++) printf "\\%03o", i % 2 }' >octal
    printf "$(cat octal)" >"$(sed 's/images-idx3/labels-idx1/' <<<"$1")"
}

mkdir set other
idx set/train-images-idx3-ubyte 1 60 8
idx set/t10k-images-idx3-ubyte 2 20 8
gzip -k set/t10k-images-idx3-ubyte && cp set/t10k-images-idx3-ubyte other/test-ubyte && rm set/t10k-images-idx3-ubyte
quick="$size --data set --batch 25 --epochs 2 --draw 30 --seed 5 --threads 1"

# ---- a run, and the same run in other ways ----
run 0 $quick --out first
grep -qE '^Epoch 2, Loss: [0-9.]+, Validation: [0-9.]+ bits per dimension, [0-9]+ s$' out || fail "no line for an epoch"
grep -qE '^Test: [0-9.]+ bits per dimension \(20 images\): dequantisation [0-9.]+, .* base' out || fail "no line for the test"
[ ! -s err ] || fail "something on standard error"
[ "$(head -n 1 first/loss.csv)" = epoch,train,validation,seconds ] && [ "$(wc -l <first/loss.csv)" -eq 3 ] || fail loss.csv
png first/samples.png 91 28 && png first/reconstruction.png 91 55 && png first/interpolation.png 82 73
png first/temperatures.png 91 73
run 0 $quick --out second --threads 3
for f in model.safetensors samples.png interpolation.png; do same first/$f second/$f 'by threads'; done
short="$quick --subset 10 --epochs 1 --draw 2"
run 0 $short --out short
LEAT_ISA=ref run 0 $short --out reference
same short/model.safetensors reference/model.safetensors 'by kernels'
run 0 $quick --recompute forward --out recomputed
same first/samples.png recomputed/samples.png 'by --recompute'
run 0 $quick --quiet --out quiet
[ ! -s out ] && [ ! -s err ] || fail "--quiet prints"
run 0 $quick --ema 0.9 --optimiser adamax --clip 1 --schedule warmup --out average
cmp -s first/model.safetensors average/model.safetensors && fail "--ema and the others change nothing"

# ---- stopped and gone on with: at the end of an epoch, in the middle of one, in time ----
losses() { cut -d, -f1-3 "$1/loss.csv"; }
run 0 $quick --epochs 3 --ema 0.9 --out whole
run 0 $quick --epochs 1 --ema 0.9 --checkpoint-every 1 --out parts
first=$(sed -n 2p parts/loss.csv)
run 0 $quick --epochs 3 --ema 0.9 --resume parts/checkpoint.safetensors --out parts
for f in model.safetensors samples.png interpolation.png; do same whole/$f parts/$f 'after a resume'; done
[ "$(losses whole)" = "$(losses parts)" ] || fail "losses after a resume"
[ "$(sed -n 2p parts/loss.csv)" = "$first" ] || fail "the seconds of the first epoch are lost"
run 0 $quick --epochs 3 --ema 0.9 --minutes 0.0000001 --out early
grep -q 'stopped at step 1 of epoch 1' err && [ -s early/model.safetensors ] || fail "--minutes does not end at once"
run 0 $quick --epochs 3 --ema 0.9 --resume early/checkpoint.safetensors --out early
same whole/model.safetensors early/model.safetensors 'after a resume in the first epoch'
: >out # of the run before
"$program" $quick --epochs 100000 --out stopped >out 2>err &
for _ in $(seq 600); do
    grep -q 'Epoch 2' out && break
    sleep 0.1
done
kill -TERM $!
wait $!
[ $? -eq 130 ] && [ -s stopped/checkpoint.safetensors ] && [ ! -e stopped/model.safetensors ] || fail "SIGTERM"
epochs=$(($(wc -l <out) + 1))
run 0 $quick --epochs $epochs --resume stopped/checkpoint.safetensors --out stopped
run 0 $quick --epochs $epochs --out unstopped
same stopped/model.safetensors unstopped/model.safetensors 'after SIGTERM'
run 0 $quick --epochs 100000 --minutes 0.02 --out timed
[ -s timed/checkpoint.safetensors ] && [ -s timed/temperatures.png ] || fail "--minutes does not end well"
forecast='the rest of 1000000 epochs of 2 steps takes about .*, and --minutes ends it before'
: >err
"$program" $quick --epochs 1000000 --minutes 5 --out forecast >out 2>err &
for _ in $(seq 600); do
    grep -q "$forecast" err && break
    sleep 0.1
done
kill -9 $!
wait $! 2>/dev/null
grep -q "$forecast" err || fail "no forecast"

# ---- by class, with a border, few bits, a part of them ----
run 0 $quick --labels auto --out classes
png classes/samples.png 19 136
run 0 $quick --pad 2 --out padded
grep -q 'of 12 x 12 pixels, .* inside of the border' out || fail "--pad is not told"
png padded/samples.png 131 40
run 0 $quick --bits 2 --subset 10 --out few
grep -q '(2 images)' out || fail "--subset does not hold for the test"

if [ "$name" = train_glow ]; then
    run 0 $short --permutation reverse --out reversed
    program=$leat run 0 inspect reversed/model.safetensors
    grep -v ^options out | grep -q reverse || fail '--permutation reverse'
fi

# ---- leat on images ----
program=$leat
run 0 inspect first/model.safetensors
grep -q '^images  *8 x 8 x 1' out || fail "inspect does not tell of images"
run 0 inspect first/model.safetensors --json
grep -q '"image":\[8,8,1\]' out || fail "inspect --json does not tell of images"
run 0 score first/model.safetensors set/t10k-images-idx3-ubyte.gz
cp out scores
[ "$(wc -l <scores)" -eq 20 ] || fail "score: not a value for each image"
run 0 score first/model.safetensors set
same out scores 'by the folder of the test set'
grep -q '20 images, .* bits per dimension' err || fail "score: no summary"
run 0 score first/model.safetensors set/t10k-images-idx3-ubyte.gz --mean
awk -v mean="$(cat out)" '{ s += $1 } END { d = s / NR - mean; exit !(d * d < 1e-18) }' scores || fail "--mean"
run 0 score first/model.safetensors set/t10k-images-idx3-ubyte.gz --top 3 --picture least.png
[ "$(awk '{ print NR - 1, $1 }' scores | sort -k2,2gr | head -n 3)" = "$(cat out)" ] || fail "--top: not the least likely"
png least.png 19 19
run 0 score first/model.safetensors other/test-ubyte --mean --draws 30
cp out drawn
run 0 score first/model.safetensors other/test-ubyte --mean --iw 30
awk -v bound="$(cat drawn)" '!($1 < bound)' out | grep -q . && fail "--iw is no closer bound"
run 0 score first/model.safetensors other/test-ubyte --mean --draws 30 --seed 1
cmp -s out drawn && fail "--seed changes nothing"
for rows in 0:7 7:; do run 0 score first/model.safetensors other/test-ubyte --rows $rows; cat out; done >parts.txt
same parts.txt scores 'by parts'
run 0 score classes/model.safetensors other/test-ubyte --labels set/t10k-labels-idx1-ubyte
cp out labelled
run 0 score classes/model.safetensors set
same out labelled 'by the labels of the folder'
run 0 sample first/model.safetensors -n 7 -o grid.png
png grid.png 28 28
run 0 sample first/model.safetensors -n 7 --across 7 -o strip.png
png strip.png 64 10
run 0 sample first/model.safetensors -n 10 -o one.png --each
png one-10.png 8 8
run 0 sample classes/model.safetensors -n 4 --class 1 -o ones.png
run 0 sample classes/model.safetensors -n 4 --class 0 -o zeros.png
cmp -s ones.png zeros.png && fail "--class changes nothing"
run 0 encode first/model.safetensors other/test-ubyte -o latents.csv
run 0 decode first/model.safetensors latents.csv -o back.csv
[ "$(wc -l <back.csv)" -ge 20 ] || fail "decode"

# refused WORDS ARGUMENTS...
refused() {
    words=$1
    shift
    run 1 "$@"
    says "$words"
    [ ! -s out ] || fail "$*: something on standard output"
}
refused '--labels says which class' score classes/model.safetensors other/test-ubyte
refused '(--pad 2)' score padded/model.safetensors other/test-ubyte
refused 'there is no class 2 of 2' sample classes/model.safetensors -n 4 --class 2
refused 'takes no --class' sample first/model.safetensors -n 4 --class 1
refused 'is the input other/test-ubyte' score first/model.safetensors other/test-ubyte --top 3 --picture other/test-ubyte
refused '--top N' score first/model.safetensors other/test-ubyte --picture least.png

# ---- bad images: one line, exit 1, and what stood there stands ----
program=$trainer
cp first/model.safetensors kept
bad() { # WORDS ARGUMENTS...
    words=$1
    shift
    run 1 $quick --out first "$@"
    says "$words"
    [ ! -s out ] || fail "$*: training began"
    same first/model.safetensors kept "$*"
}
mkdir sizes cut wrong few-labels
printf 'P2 8 8 255 %s' "$(seq 64)" >sizes/a.pgm && printf 'P2 8 9 255 %s' "$(seq 72)" >sizes/b.pgm
bad 'sizes/b.pgm' --data sizes
cp set/train* cut && head -c 200 set/t10k-images-idx3-ubyte.gz >cut/t10k-images-idx3-ubyte.gz && cp set/t10k-labels* cut
bad 'cut/t10k-images-idx3-ubyte.gz' --data cut
cp set/* wrong && printf '\001' | dd of=wrong/train-images-idx3-ubyte conv=notrunc 2>/dev/null
bad 'wrong/train-images-idx3-ubyte' --data wrong
cp set/* few-labels && cp set/t10k-labels-idx1-ubyte few-labels/train-labels-idx1-ubyte
bad '20 labels, and there are 60 images' --data few-labels
bad 'no labels beside' --data other/test-ubyte --labels auto
bad 'missing' --data missing
cp -r set within && run 1 $quick --data within --out within
says 'it is the folder of the images'
idx odd-images-idx3-ubyte 3 30 7
idx six-images-idx3-ubyte 3 30 6
case $name in
train_nice) run 0 $quick --data odd-images-idx3-ubyte --out odd ;;
train_flowpp) bad 'widths of 4; --pad 1' --data six-images-idx3-ubyte ;;
*)
    bad 'heights must be multiples of 4 and widths of 4' --data odd-images-idx3-ubyte
    bad '--pad 1 makes them 8 and 8' --data six-images-idx3-ubyte
    ;;
esac

[ $failures -eq 0 ] && echo "$name trains on images"
exit $((failures > 0))
