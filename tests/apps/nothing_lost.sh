#!/bin/sh
# What leat must not destroy, lose or hide: inputs, models of earlier runs, failures. Usage: nothing_lost.sh PROGRAM
. "$(dirname "$0")/program.sh"

# refuses WORDS ARGUMENTS...: exit 1 and one line that holds the words
refuses() {
    words=$1
    shift
    run 1 "$@"
    grep -qF -- "$words" err || fail "$*: standard error lacks: $words"
    [ "$(wc -l <err)" -eq 1 ] || fail "$*: standard error is not one line"
}

same() { # FILE FILE WHY
    cmp -s "$1" "$2" || fail "$3"
}

awk -v OFS=, 'BEGIN { srand(4); print "a,b,c"; for (i = 0; i < 300; i++) print rand(), rand() + rand(), rand() - rand() }' >d.csv
quick='--epochs 1 --couplings 2 --hidden 8 --quiet'
run 0 fit d.csv -o m.leat $quick
run 0 fit d.csv -o given.leat --context c $quick
run 0 fit d.csv -o two.leat --columns a,b $quick
run 0 fit d.csv -o plain.leat --no-standardize $quick
run 0 export plain.leat -o plain.safetensors
run 0 encode m.leat d.csv -o latents.csv
mkdir before
cp *.leat *.csv plain.safetensors before

# ---- an output that is an input, by any name ----
ln -s d.csv link.csv
ln -s "$PWD/m.leat" link.leat
ln d.csv hard.csv
ln m.leat hard.leat
for out in d.csv ./d.csv "$PWD/d.csv" before/../d.csv link.csv hard.csv; do
    refuses 'is the input d.csv' fit d.csv -o "$out" $quick
    refuses 'is the input d.csv' score m.leat d.csv -o "$out"
    refuses 'is the input d.csv' encode m.leat d.csv -o "$out"
    refuses 'is the input d.csv' sample given.leat --context d.csv -o "$out"
    refuses 'is the input d.csv' plot m.leat d.csv -o "$out"
done
refuses 'is the input latents.csv' decode m.leat latents.csv -o latents.csv
for out in m.leat ./m.leat link.leat hard.leat; do
    refuses 'is the input m.leat' score m.leat d.csv -o "$out"
    refuses 'is the input m.leat' sample m.leat -n 5 -o "$out"
    refuses 'is the input m.leat' plot m.leat d.csv -o "$out"
    refuses 'is the input m.leat' import m.leat -o "$out"
    refuses 'is the input m.leat' export m.leat -o "$out"
done
run 1 import plain.safetensors -o plain.safetensors
grep -q 'is the input plain.safetensors' err || fail "import overwrites its input"
"$program" encode m.leat d.csv >>d.csv 2>err && fail "a table is added to itself"
"$program" score m.leat - <d.csv >>d.csv 2>err && fail "scores are added to their table"
"$program" fit - -o d.csv $quick <d.csv 2>err && fail "a table from standard input is overwritten"
run 0 fit d.csv -o run.leat --checkpoint-every 1 $quick
run 0 fit d.csv -o run.leat --checkpoint-every 1 $quick --epochs 2 --resume run.leat.checkpoint.safetensors
refuses 'is the input run.leat.checkpoint.safetensors' \
    fit d.csv -o run.leat.checkpoint.safetensors $quick --epochs 3 --resume run.leat.checkpoint.safetensors
for f in before/*; do same "$f" "${f#before/}" "${f#before/} is no longer what it was"; done

# ---- a run that fails: the model of an earlier one stays, its weights go elsewhere and say so ----
for bad in '--lr 1e20' '--lr 1e20 --batch 1000' '--weight-decay 1e39' '--lr 100 --scale-map none --epochs 20'; do
    rm -f m.leat.failed.safetensors
    refuses 'm.leat.failed.safetensors' fit d.csv -o m.leat $quick $bad
    same before/m.leat m.leat "fit $bad overwrote a good model"
    run 0 score m.leat.failed.safetensors d.csv --mean
    grep -qi 'nan\|inf' out && fail "fit $bad: what it saved is not finite"
    grep -q 'the run that trained it failed: stopped' err || fail "a failed model does not say so"
done
printf '1e30,2\n2,3\n3,1\n' >extreme.csv
refuses 'nothing is saved' fit extreme.csv -o new.leat --no-standardize $quick
ls new.leat* >/dev/null 2>&1 && fail "a run without any sound weights wrote something"

# ---- names that are not UTF-8: told before the first epoch, and the model is saved ----
printf 'T_\260C,v\n1,2\n2,3\n3,1\n' >latin1.csv
cp latin1.csv "$(printf 'gr\374n.csv')"
run 0 fit latin1.csv -o latin1.leat --epochs 1 --couplings 2 --hidden 8
[ "$(grep -c 'Latin-1' err)" -eq 1 ] || fail "Latin-1 is not told once"
run 0 score latin1.leat latin1.csv
cp out wanted
printf 'v,T_\302\260C\n2,1\n3,2\n1,3\n' >utf8.csv
run 0 score latin1.leat utf8.csv
same wanted out "a name in UTF-8 is not the same in Latin-1"
run 0 fit "$(printf 'gr\374n.csv')" -o green.leat --epochs 1 --couplings 2 --hidden 8 --columns "$(printf 'v,T_\260C')"
[ "$(grep -c 'Latin-1' err)" -eq 1 ] || fail "Latin-1 in a file's name is not told once"
run 0 inspect green.leat --json
cp plain.safetensors "$(printf 'gr\374n.safetensors')"
run 0 import "$(printf 'gr\374n.safetensors')" -o imported.leat
grep -q 'Latin-1' err || fail "import does not tell of Latin-1"

# ---- what cannot be saved is told before the first epoch ----
long=$(printf '%0250d' 0)
refuses 'too long' fit d.csv -o "$long" --epochs 1000000 --couplings 2
mkdir folder
refuses 'irectory' fit d.csv -o folder --epochs 1000000 --couplings 2
refuses 'none/m.leat' fit d.csv -o none/m.leat --epochs 1000000 --couplings 2
refuses 'No such file' fit d.csv -o "$(printf '%0240d/%0240d/m.leat' 0 0)" --epochs 1000000 --couplings 2

# ---- what comes out and is not finite ----
awk -v OFS=, 'BEGIN { srand(5); for (i = 0; i < 50; i++) print 1000 * rand(), 1000 * rand() }' >wide.csv
run 0 fit wide.csv -o wide.leat $quick
printf '1,2\n4e38,-4e38\n0,0\n' >far.csv
for more in '' '-o made.csv'; do
    run 1 sample m.leat -n 7 --temperature 1e300 $more
    grep -q 'of 7 rows 7 came out' err || fail "samples that are not finite"
    run 1 decode wide.leat far.csv $more
    grep -q 'of 3 rows 1 came out' err || fail "decoded rows that are not finite"
    [ ! -e made.csv ] || fail "rows that are not finite are written"
done
head -n 1 d.csv >empty.csv
refuses 'no rows' score m.leat empty.csv --mean
[ ! -s out ] || fail "a mean of no rows"

# ---- standard output that is full ----
if [ -e /dev/full ]; then
    for words in 'score m.leat d.csv' 'score m.leat d.csv --mean' 'score m.leat d.csv --top 3' 'sample m.leat -n 5' \
        'encode m.leat d.csv' 'decode m.leat latents.csv' 'inspect m.leat' 'inspect m.leat --json' 'check m.leat' \
        'fit d.csv -o full.leat --epochs 1 --couplings 2' --help --version 'score --help' 'fit --version'; do
        "$program" $words >/dev/full 2>err </dev/null && fail "$words > /dev/full: exit 0"
        [ "$(grep -c 'standard output' err)" -eq 1 ] || fail "$words > /dev/full: not told once"
    done
fi

# ---- a model from a pipe, a FIFO and standard input ----
run 0 score m.leat d.csv
cp out wanted
cat m.leat | "$program" score - d.csv >out 2>err || fail "a model from standard input"
same wanted out "a model from standard input scores otherwise"
mkfifo pipe
cat m.leat >pipe &
run 0 score pipe d.csv
same wanted out "a model from a FIFO scores otherwise"
"$program" score - - <m.leat >out 2>err && fail "model and table from standard input"
grep -q 'both the model and the table' err || fail "model and table from standard input: $(cat err)"
printf 'PK\003\004xxxxxxxxxxxxxxxxxxxx' | "$program" inspect - >out 2>err && fail "a pickle from standard input"

# ---- control characters of a file do not reach a terminal ----
sed '1s/.*/abcdefghijkl,mnopqrstuvwx,c/' d.csv >dddddddddddd.csv
run 0 fit dddddddddddd.csv -o letters.leat $quick
LC_ALL=C sed 's/abcdefghijkl/\\\\u001b[2Jxx/; s/mnopqrstuvwx/x\\\\u009b\\\\nx/; s/dddddddddddd/\\\\u001b[31mx/' letters.leat >control.leat
[ "$(wc -c <control.leat)" -eq "$(wc -c <letters.leat)" ] || fail "the names are not as long as before"
for words in 'inspect control.leat' 'inspect control.leat --json' 'score control.leat d.csv' 'check control.leat' \
    'score control.leat latin1.csv'; do
    "$program" $words >out 2>err </dev/null
    LC_ALL=C tr -d '\n' <out | LC_ALL=C grep -q '[[:cntrl:]]' && fail "$words: a control character"
    LC_ALL=C tr -d '\n' <err | LC_ALL=C grep -q '[[:cntrl:]]' && fail "$words: a control character on standard error"
    grep -qF "$(printf '\302\233')" out err && fail "$words: a control character of Latin-1"
done
run 0 inspect control.leat
grep -qF '\x1b[2Jxx, x\x9b\x0ax, c' out || fail "control characters are not shown as such"

if command -v script >/dev/null; then
    script -qec "$program sample control.leat -n 2" /dev/null >out 2>err </dev/null || fail "sample to a terminal"
    LC_ALL=C tr -d '\r\n' <out | LC_ALL=C grep -q '[[:cntrl:]]' && fail "a control character reaches the terminal"
    [ "$(wc -l <out)" -ge 3 ] || fail "nothing reaches the terminal"
fi

# ---- rows so far out that numbers overflow have no density ----
printf '1e38,-1e38,1\n0.5,0.5,0\n3e38,3e38,3e38\n' >far.csv
for options in '--model nice' '--scale-map tanh' '--scale-map none'; do
    run 0 fit d.csv -o far.leat $quick $options
    run 0 score far.leat far.csv
    [ "$(grep -c '^-inf$' out)" -eq 2 ] || fail "$options: far rows score $(cat out)"
done

# ---- no temporary files of who is ended, and a limit of the size of files is an error ----
mkdir clean
for signal in INT TERM HUP KILL; do
    timeout -s $signal 0.5 "$program" sample m.leat -n 100000000000 -o clean/x.csv >out 2>err </dev/null
    [ -z "$(ls -A clean)" ] || fail "SIG$signal leaves something behind: $(ls -A clean)"
done
(ulimit -f 20; exec "$program" sample m.leat -n 100000 -o clean/x.csv) >out 2>err </dev/null
[ $? -eq 1 ] && grep -q 'clean/x.csv: .*large' err || fail "the limit of the size of files"
[ -z "$(ls -A clean)" ] || fail "SIGXFSZ leaves something behind"
(ulimit -f 20; exec "$program" fit d.csv -o clean/m.leat --epochs 1 --couplings 8 --hidden 64 --quiet) >out 2>err </dev/null
[ $? -eq 1 ] && grep -q 'clean/m.leat: .*large' err || fail "the limit of the size of files ends a training"
[ -z "$(ls -A clean)" ] || fail "SIGXFSZ leaves something of a training behind"

[ $failures -eq 0 ] && echo "nothing is lost"
exit $((failures > 0))
