#!/bin/sh
# leat out of luck: whichever call of malloc or of the system fails, a command fails with one line, or what it writes is
# what it writes otherwise. Damaged names of columns are refused too.
# Usage: failing.sh PROGRAM, one of failing_malloc.c or failing_calls.c.
. "$(dirname "$0")/program.sh"

# starved ARGUMENTS...: in turn without its 1st, 2nd, ... call; the command may write into `made`
starved() {
    n=0
    rm -rf made*
    run 0 "$@"
    cp out wanted
    for f in made*; do
        [ ! -e "$f" ] || cp "$f" "wanted-$f"
    done
    while n=$((n + 1)); do
        rm -rf made*
        LEAT_FAIL_AT=$n "$program" "$@" >out 2>err </dev/null 9>mark
        got=$?
        [ -s mark ] || break
        case $got in
        0)
            cmp -s out wanted || fail "$*: other output without call $n, and exit 0"
            for f in made*; do
                [ ! -e "$f" ] || cmp -s "$f" "wanted-$f" || fail "$*: another $f without call $n, and exit 0"
            done
            ;;
        1)
            [ "$(grep -vc 'taken for granted' err)" -eq 1 ] || fail "$*: not one line without call $n"
            for f in made*; do
                [ ! -e "$f" ] || fail "$*: $f is written without call $n, and exit 1"
            done
            ;;
        *) fail "$*: exit $got without call $n" ;;
        esac
    done
    [ $n -gt 3 ] || fail "$*: only $n calls"
}

awk -v OFS=, 'BEGIN { srand(2); print "u,v,w"; for (i = 0; i < 200; i++) print rand(), rand() + rand(), rand() }' >d.csv
awk -F, '{ print $3, $1, $2 }' OFS=, d.csv >turned.csv
quick='--epochs 1 --couplings 2 --hidden 4 --quiet --threads 1'
run 0 fit d.csv -o m.leat $quick
run 0 fit d.csv -o given.leat --context w $quick
run 0 fit d.csv -o two.leat --columns u,v $quick
run 0 fit d.csv -o maf.leat --model maf --context w --transforms 2 $quick
for m in m given two maf; do [ -s $m.leat ] || fail "no $m.leat"; done

starved score m.leat turned.csv --threads 1
starved score given.leat turned.csv -o made.csv --threads 1
starved sample m.leat -n 20 --threads 1
starved sample given.leat --context turned.csv -o made.csv --threads 1
starved sample maf.leat --context turned.csv -o made.csv --threads 1
starved encode m.leat turned.csv -o made.csv --threads 1
starved inspect m.leat --threads 1
starved inspect m.leat --json --threads 1
starved plot m.leat turned.csv -o made.svg --samples 50 --threads 1
starved plot two.leat -o made.svg --samples 50 --threads 1
starved encode m.leat d.csv -o latents.csv --threads 1
starved decode m.leat latents.csv --threads 1
starved check m.leat --count 20 --threads 1
starved fit d.csv -o made.leat $quick
starved fit d.csv -o made.leat --context w --validation 0.2 $quick
starved fit d.csv -o made.leat --base mixture:3 --context w $quick
starved fit d.csv -o made.leat --base student-t $quick
run 0 fit d.csv -o begun.leat --checkpoint-every 1 $quick
starved fit d.csv -o made.leat --resume begun.leat.checkpoint.safetensors $quick --epochs 2
run 0 fit d.csv -o plain.leat --no-standardize $quick
starved export plain.leat -o made.safetensors --threads 1
run 0 export plain.leat -o plain.safetensors
starved import plain.safetensors -o made.leat --threads 1

# ---- names that are damaged are not names that are absent ----
names='"columns":"\[\\"u\\",\\"v\\",\\"w\\"'
for damage in '"columns":"{\\"u\\",\\"v\\",\\"w\\"' '"columns":"[\\"uvvvvvv\\",\\"w\\"' '"columns":"[\\"u\\",12345,\\"w\\"'; do
    LC_ALL=C sed "1s/$names/$damage/" m.leat >damaged.leat
    cmp -s m.leat damaged.leat && fail "$damage damages nothing"
    run 1 score damaged.leat turned.csv
    grep -q 'damaged.leat: .*columns' err || fail "the refusal does not say what is damaged"
    [ ! -s out ] || fail "scores under damaged names"
done

[ $failures -eq 0 ] && echo "leat bears bad luck"
exit $((failures > 0))
