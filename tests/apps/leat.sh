#!/bin/sh
# leat as people use it: every command, what it prints and writes, how commands fit together, and how each refuses.
# Usage: leat.sh PROGRAM FIXTURES
fixtures=$(realpath "$2")
. "$(dirname "$0")/program.sh"

# refuses WORDS ARGUMENTS...: exit 1, one line that holds the words, nothing on standard output
refuses() {
    words=$1
    shift
    run 1 "$@"
    grep -qF -- "$words" err || fail "$*: standard error lacks: $words"
    [ "$(wc -l <err)" -eq 1 ] || fail "$*: standard error is not one line"
    [ ! -s out ] || fail "$*: something on standard output"
}

same() { # FILE FILE WHY
    cmp -s "$1" "$2" || fail "$3"
}

# ---- a table, and a model of it ----
awk 'BEGIN {
    srand(1); print "height,\"weight, kg\",age"
    for (i = 0; i < 900; i++) { a = rand() + rand() + rand() - 1.5; b = rand() + rand() - 1
        printf "%.4f,%.4f,%.3f\r\n", 170 + 20 * a, 70 + 15 * a + 10 * b, 40 + 25 * b * b + 4 * rand() }
}' >people.csv
quick='--epochs 3 --couplings 2 --hidden 16 --quiet'
run 0 fit people.csv -o people.leat --model realnvp $quick
[ -s people.leat ] || fail "fit wrote no model"
run 0 fit people.csv -o again.leat --model realnvp $quick --threads 3
same people.leat again.leat "the model depends on the threads"
run 0 fit people.csv -o nice.leat --model nice $quick

# ---- bases ----
for base in normal diagonal-normal logistic student-t generalized-normal mixture mixture:3; do
    run 0 fit people.csv -o base.leat --base $base $quick
    run 0 inspect base.leat
    grep -q "^base  *$(echo "$base" | sed 's/mixture.*/gaussian_mixture/; s/-/_/g')" out || fail "inspect does not show --base $base"
    run 0 check base.leat
    run 0 sample base.leat -n 20 -o based.csv
    run 0 score base.leat based.csv
done
run 0 fit people.csv -o base.leat --base mixture:3 $quick --threads 3
run 0 fit people.csv -o again.leat --base mixture:3 $quick --threads 1
same base.leat again.leat "the model with a mixture depends on the threads"
run 0 fit people.csv -o base.leat --base conditional-normal --context age $quick
run 0 sample base.leat --context people.csv
run 2 fit people.csv -o none.leat --base conditional-normal $quick
grep -q 'needs --context' err || fail "a conditional base without a context"
for base in norm student-t:2 mixture: mixture:0 mixture:x; do
    run 2 fit people.csv -o none.leat --base $base $quick
    grep -q -- '--base is' err || fail "--base $base is not refused with the names there are"
done
awk 'BEGIN { srand(3); print "thin,fat"
    for (i = 0; i < 2000; i++) { u = rand(); printf "%.6f,%.6f\n", rand() + rand() + rand(), (2 * u - 1) / sqrt(2 * u * (1 - u) + 1e-9) } }' >tails.csv
loud=$(echo "$quick" | sed 's/--quiet//')
run 0 fit tails.csv -o base.leat $loud
grep -q 'warning: .*tails of column 2 (fat) are heavier.*--base student-t' err || fail "heavy tails are not warned of"
run 0 fit tails.csv -o base.leat --base student-t $loud
grep -q 'tails' err && fail "tails are warned of under Student's t"
run 0 fit people.csv -o base.leat $loud
grep -q 'tails' err && fail "light tails are warned of"
cut -d, -f2 tails.csv >fat.csv
run 0 fit fat.csv -o base.leat --transforms 1 --hidden 4 --minutes 0.02
grep -q 'note: .*tails.*the base is student-t' err || fail "heavy tails do not choose the base"
run 0 inspect base.leat
grep -q 'student_t' out || fail "the base that heavy tails choose is not the model's"

# ---- score ----
run 0 score people.leat people.csv
cp out scores
[ "$(wc -l <scores)" -eq 900 ] || fail "score: not a value for each row"
grep -q '900 rows, mean log-likelihood' err || fail "score: no summary"
grep -q 'bits' err && fail "score: bits per dimension without --bin-width"
run 0 score people.leat people.csv --mean
awk '{ s += $1 } END { exit !(NR == 900) }' scores || fail "scores"
awk -v mean="$(cat out)" '{ s += $1 } END { d = s / NR - mean; exit !(d < 1e-9 && d > -1e-9) }' scores || fail "--mean is not the mean"
run 0 score people.leat people.csv --bin-width 0.1 --mean
awk -v mean="$(cat out)" '/bits per dimension/ { for (i = 1; i < NF; i++) if ($(i + 1) == "bits") bpd = $i }
    END { d = -(mean + 3 * log(0.1)) / (3 * log(2)) - bpd; exit !(d < 1e-4 && d > -1e-4) }' err || fail "bits per dimension"
run 0 score people.leat people.csv --top 5
[ "$(wc -l <out)" -eq 5 ] || fail "--top 5 prints not 5 rows"
awk '{ print NR - 1, $1 }' scores | sort -k2,2g -k1,1n | head -5 >least
same out least "--top does not give the least likely rows"
for part in 0:300 300:301 301:; do run 0 score people.leat people.csv --rows "$part"; cat out; done >parts
same parts scores "the parts of --rows are not the whole"
run 0 score people.leat people.csv --out scores.csv
[ "$(head -n 1 scores.csv)" = log_likelihood ] && [ ! -s out ] || fail "score --out"
run 0 score people.leat people.csv -o scores.npy
head -c 80 scores.npy | grep -q "<f8" || fail "scores are not float64"
"$program" score people.leat - <people.csv >out 2>err || fail "score from standard input"
same out scores "standard input scores otherwise"
"$program" score people.leat people.csv 2>err | head -n 1 >out || fail "score | head"
[ "$(wc -l <out)" -eq 1 ] || fail "score | head"
grep -qi 'pipe\|write' err && fail "a closed pipe is reported"

# ---- columns are matched by name ----
sed 's/\r$//' people.csv | awk -F, 'NR == 1 { print "name,age,height,\"weight, kg\"" } NR > 1 { print "x" NR "," $3 "," $1 "," $2 }' >named.csv
run 0 score people.leat named.csv
same out scores "columns are not matched by name"
sed 's/\r$//; 1d' people.csv >nameless.csv
run 0 score people.leat nameless.csv
same out scores "a table without names scores otherwise"

# ---- sample ----
run 0 sample people.leat -n 500 --seed 7
cp out drawn.csv
[ "$(head -n 1 drawn.csv)" = 'height,"weight, kg",age' ] && [ "$(wc -l <drawn.csv)" -eq 501 ] || fail "sample"
for part in 0:100 100:; do run 0 sample people.leat -n 500 --seed 7 --rows "$part"; sed 1d out; done >parts
sed 1d drawn.csv >whole
same parts whole "the parts of sample --rows are not the whole"
run 0 sample people.leat -n 500 --seed 7 --threads 3 -o threads.csv
same threads.csv drawn.csv "samples depend on the threads"
run 0 sample people.leat -n 500 --seed 8
cmp -s out drawn.csv && fail "the seed changes nothing"
run 0 sample people.leat -n 400 --temperature 0
[ "$(sed 1d out | sort -u | wc -l)" -eq 1 ] || fail "temperature 0 is not one point"
run 0 sample people.leat -n 3 --out three.npy
[ "$(wc -c <three.npy)" -eq $((128 + 3 * 3 * 8)) ] || fail "samples as .npy"

# ---- encode and decode ----
run 0 encode people.leat people.csv -o latents.npy
run 0 decode people.leat latents.npy -o back.csv
sed 's/\r$//' people.csv | paste -d, - back.csv | awk -F, 'NR > 1 { for (i = 1; i <= 3; i++) { d = $i - $(i + 3)
    if (d > 2e-3 || d < -2e-3) exit 1 } }' || fail "decode(encode(x)) is not x"
"$program" encode people.leat - <people.csv 2>err | "$program" decode people.leat - >out 2>err || fail "encode | decode"
[ "$(wc -l <out)" -eq 901 ] || fail "encode | decode"

# ---- a conditional flow ----
run 0 fit people.csv -o given.leat --model realnvp --context age $quick
run 0 score given.leat named.csv
[ "$(wc -l <out)" -eq 900 ] || fail "score of a conditional flow"
run 0 sample given.leat --context people.csv --seed 1
[ "$(head -n 1 out)" = 'height,"weight, kg"' ] && [ "$(wc -l <out)" -eq 901 ] || fail "sample --context"
refuses '--context' sample given.leat -n 5
refuses '--context' sample people.leat -n 5 --context people.csv

# ---- autoregressive models and splines: the same work, the same bits ----
for model in maf nsf nsf-coupling; do
    for between in reverse permute lu; do
        run 0 fit people.csv -o $model.leat --model $model --between $between --transforms 2 --hidden 16,12 --epochs 2 --quiet
        run 0 check $model.leat people.csv
        run 0 sample $model.leat -n 700 --seed 7 -o drawn-$model.csv
        run 0 sample $model.leat -n 700 --seed 7 --rows 300: --threads 3
        sed 1d out >parts
        tail -n 400 drawn-$model.csv >whole
        same parts whole "$model: the parts of sample --rows are not the whole"
        run 0 encode $model.leat people.csv -o latents.npy
        run 0 decode $model.leat latents.npy -o back.csv
        sed 's/\r$//' people.csv | paste -d, - back.csv | awk -F, 'NR > 1 { for (i = 1; i <= 3; i++) { d = $i - $(i + 3)
            if (d > 5e-3 || d < -5e-3) exit 1 } }' || fail "$model --between $between: decode(encode(x)) is not x"
    done
    run 0 inspect $model.leat
    kind=autoregressive
    [ $model != nsf-coupling ] || kind='coupling .*rational_quadratic'
    grep -q "$kind" out && grep -q "model $model" out && grep -q 'between lu' out || fail "inspect $model"
    [ "$(grep -c 'lu_linear' out)" -eq 2 ] || fail "$model --between lu: no LU maps"
    run 0 fit people.csv -o given-$model.leat --model $model --context age $quick
    run 0 sample given-$model.leat --context people.csv --seed 1
    [ "$(wc -l <out)" -eq 901 ] || fail "sample --context of $model"
done

run 0 fit people.csv -o nsf.leat --model nsf --transforms 1 --between reverse --bins 3 --tail-bound 2.5 $quick
run 0 inspect nsf.leat --json
grep -q '"name":"layers.0.made.net.2.weight","trained":true,"shape":\[24,16\]' out || fail "--bins"
grep -q '"tail-bound":2.5' out || fail "--tail-bound"
run 0 check nsf.leat people.csv
run 2 fit people.csv -o no.leat --model nsf --bins 1
run 2 fit people.csv -o no.leat --model nsf --tail-bound 0

run 0 fit people.csv -o flowpp.leat --model flowpp --context age --couplings 2 --hidden 16,16,16 --components 3 --epochs 3 --quiet
run 0 inspect flowpp.leat
grep -q 'flowpp_mixture, keeps 1, moves 1' out && grep -q 'components 3' out || fail "inspect flowpp"
run 0 inspect flowpp.leat --json
grep -q '"name":"layers.2.net.blocks.2.linear_layers.1.weight","trained":true,"shape":\[16,16\]' out || fail "flowpp's blocks"
run 0 fit people.csv -o flowpp.leat --model flowpp --couplings 4 --epochs 2 --quiet
run 0 check flowpp.leat people.csv
run 0 sample flowpp.leat -n 50 --seed 7
run 2 fit people.csv -o no.leat --model flowpp --components 65
refuses 'one width' fit people.csv -o no.leat --model flowpp --hidden 16,8 --quiet

run 0 fit people.csv -o glow.leat --model glow --couplings 2 --epochs 3 --quiet
run 0 inspect glow.leat
[ "$(grep -c 'actnorm' out)" -eq 2 ] && [ "$(grep -c 'lu_linear' out)" -eq 2 ] || fail "inspect glow"
run 0 check glow.leat people.csv

# ---- one column ----
cut -d, -f1 people.csv >one.csv
for options in '' '--model maf' '--context age'; do
    table=one.csv
    [ "$options" != '--context age' ] || table='people.csv --columns height'
    # shellcheck disable=SC2086
    run 0 fit $table -o one.leat --transforms 2 --epochs 12 --batch 64 --hidden 16 --lr 0.01 $options --quiet
    run 0 score one.leat people.csv --mean
    # height is 170 + 20 (a sum of three, less 1.5): of sd 10, and so of at most 3.72 nats
    awk '{ exit !($1 > -3.75 && $1 < -3.5) }' out || fail "one column, $options: $(cat out)"
    run 0 inspect one.leat
    model=nsf
    [ "$options" != '--model maf' ] || model=maf
    grep -q '^1 feature' out && grep -q "model $model" out || fail "inspect one column"
    [ "$options" = '--context age' ] && continue
    run 0 check one.leat one.csv
    run 0 sample one.leat -n 50 -o drawn-one.csv
    [ "$(wc -l <drawn-one.csv)" -eq 51 ] || fail "sample of one column"
    run 0 encode one.leat one.csv -o latents.npy
    run 0 decode one.leat latents.npy -o back.csv
    sed 's/\r$//' one.csv | paste -d, - back.csv | awk -F, 'NR > 1 { d = $1 - $2; if (d > 2e-3 || d < -2e-3) exit 1 }' ||
        fail "one column: decode(encode(x)) is not x"
    for f in one.png one.svg; do
        run 0 plot one.leat one.csv -o $f
        [ -s $f ] || fail "no $f"
    done
done
for model in nice realnvp nsf-coupling flowpp; do refuses 'two columns' fit one.csv -o no.leat --model $model; done
run 2 fit one.csv -o no.leat --model masked

# ---- inspect ----
run 0 inspect people.leat
grep -q 'height, "weight, kg", age' out && grep -q 'parameters' out && grep -q 'layers.0\|layers' out || fail "inspect"
run 0 inspect people.leat --json
grep -q '"name":"layers.0.snet.0.weight","trained":true,"shape":\[16,[12]\]' out || fail "inspect --json"
if command -v python3 >/dev/null; then
    python3 -c 'import json, sys
j = json.load(open("out"))
assert j["dim"] == 3 and j["columns"] == ["height", "weight, kg", "age"], j
assert j["parameters"] == sum(__import__("math").prod(t["shape"]) for t in j["tensors"] if t["trained"])
assert j["training"]["epochs"] == 3, j["training"]' 2>err || fail "inspect --json is not what it should be"
fi

# ---- check ----
run 0 check people.leat
grep -q '^ok$' out || fail "check"
run 0 check people.leat people.csv
run 0 check nice.leat
run 0 check given.leat people.csv

# ---- plot ----
run 0 fit people.csv -o two.leat --model realnvp --columns height,age $quick
run 0 plot two.leat named.csv --out two.png
run 0 plot two.leat -o two.svg --samples 50
run 0 plot people.leat people.csv -o corner.png
for f in two.png two.svg corner.png; do [ -s $f ] || fail "no $f"; done
run 2 plot two.leat
refuses '.png' plot two.leat --out two.gif

# ---- to PyTorch and back ----
run 0 import "$fixtures/flows/realnvp_odd.safetensors" --out imported.leat
grep -qi 'relu' err || fail "import does not say what it assumes"
run 0 sample imported.leat -n 20 -o points.csv
run 0 score imported.leat points.csv; cp out imported
run 0 score "$fixtures/flows/realnvp_odd.safetensors" points.csv
same out imported "a state_dict scores otherwise than what was imported from it"
run 0 export imported.leat --out exported.safetensors
run 0 score exported.safetensors points.csv
same out imported "what was exported scores otherwise"
run 0 import "$fixtures/flows/nice_odd.safetensors" --out nice_odd.leat
run 0 fit people.csv -o learned.leat --model realnvp --no-standardize --scale-map learned --lr 0.0001 $quick
run 0 fit people.csv -o free.leat --one-net --scale-map none --lr 0.0001 $quick
tail -n +2 people.csv >numbers.csv
for m in people nice learned free given; do # what fit makes goes to PyTorch, and comes back with the same scores
    run 0 score $m.leat people.csv; cp out there
    run 0 export $m.leat --out $m.safetensors
    run 0 import $m.safetensors --out back.leat
    run 0 score back.leat numbers.csv
    same out there "$m scores otherwise after export and import"
done
run 0 export "$fixtures/flows/export_one_net.safetensors" --python
same out "$fixtures/flows/export_one_net.py" "--python is not what PyTorch has run"
run 0 fit people.csv -o paper.leat --model nice --preset paper --hidden 8 --epochs 1 --quiet
refuses "the base is 'logistic'; PyTorch is given" export paper.leat --out no.safetensors
[ ! -e no.safetensors ] || fail "a refused export wrote a file"
printf 'PK\003\004xxxxxxxxxxxxxxxxxxxx' >weights.pt
refuses 'safetensors.torch' score weights.pt people.csv
refuses 'safetensors.torch' import weights.pt --out no.leat

# ---- bad input: one line, exit 1, what was there stays ----
echo old >old.csv
head -n 3 named.csv | sed '3s/,[^,]*$//' >ragged.csv
sed '3s/,[^,]*$/,x/' people.csv >letters.csv
printf 'height,age\n1,2\n' >missing.csv
refuses 'weight, kg' score people.leat missing.csv -o old.csv
refuses 'line 3' score people.leat ragged.csv -o old.csv
refuses 'line 3' score people.leat letters.csv -o old.csv
head -c 500 people.leat >short.leat
refuses 'short.leat' score short.leat people.csv -o old.csv
refuses 'none.leat' score none.leat people.csv -o old.csv
refuses 'people.csv' score people.csv people.csv -o old.csv
refuses 'none.csv' score people.leat none.csv -o old.csv
printf '1,2,3,4\n' >wide.csv
refuses '4 columns' score people.leat wide.csv -o old.csv
sed 's/"version": *[0-9]*/"version": 999/; s/\\"version\\": *[0-9]*/\\"version\\": 99/' people.leat >later.leat
cmp -s later.leat people.leat || refuses 'later.leat' score later.leat people.csv -o old.csv
[ "$(cat old.csv)" = old ] || fail "a refusal overwrote the output"
cp people.leat kept.leat
awk -F, 'NR == 1 { print "a,b" } NR > 1 { print $1 ",5" }' named.csv | sed 's/^x//' >constant.csv
refuses 'b' fit constant.csv -o kept.leat --model realnvp $quick
refuses 'line 3' fit letters.csv -o kept.leat --model realnvp $quick
refuses 'nothing' fit people.csv -o kept.leat --model realnvp --columns height,nothing $quick
same kept.leat people.leat "a refused fit overwrote the model"
refuses 'A:B' score people.leat people.csv --rows 5:2

# ---- what is chosen without advice, and by folds of the rows ----
awk 'BEGIN { srand(4); print "a,b,c"; for (i = 0; i < 60; i++) { x = rand(); print x "," x * x + rand() / 9 "," rand() } }' >small.csv
run 0 fit small.csv -o auto.leat --transforms 2 --hidden 8
grep -q 'weights decay' err || fail "few rows, and the weights do not decay"
grep -q 'weights averaged' err || fail "the weights are not averaged"
for out in folds again; do run 0 fit small.csv -o $out.leat --transforms 2 --hidden 8 --folds 3; done
[ "$(grep -c 'weight decay of [136]: a loss of' err)" -eq 3 ] || fail "three weight decays were not tried"
same folds.leat again.leat "what folds choose is not the same twice"
best=$(grep 'a loss of' err | sort -g -k 11 | sed 's/.*decay of //; s/:.*//;q')
run 0 inspect again.leat --json
grep -qE "weight.decay[^0-9]*$best\b" out || fail "the best weight decay is not the one that was used: $best"
run 0 fit people.csv -o wide.leat --model realnvp --couplings 2 --epochs 1 --folds 2
[ "$(grep -c 'hidden layers of .*: a loss of' err)" -eq 3 ] || fail "three widths were not tried"
run 0 fit people.csv -o wide.leat --model realnvp --couplings 2 --minutes 0.0001
[ "$(grep -c 'not to be judged in the time' err)" -eq 3 ] || fail "no time, and something was judged"
[ -s wide.leat ] || fail "no time, and no model"

# ---- wrong usage ----
run 2
run 2 frobnicate
run 2 score people.leat
run 2 sample people.leat
run 2 fit people.csv
run 2 score people.leat people.csv --top x
run 0 --help
grep -q inspect out || fail "--help"
run 0 --version
for c in fit score sample encode decode inspect check plot import export; do run 0 $c --help; grep -q "^Usage: leat $c" out || fail "$c --help"; done

[ $failures -eq 0 ] && echo "leat behaves"
exit $((failures > 0))
