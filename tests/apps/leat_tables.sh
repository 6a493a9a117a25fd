#!/bin/sh
# Tables as people have them, through the commands of leat: what the first line is taken for, which columns are meant, and
# what is said of it. Usage: leat_tables.sh PROGRAM
. "$(dirname "$0")/program.sh"

# refuses WORDS ARGUMENTS...: exit 1 and the words on standard error
refuses() {
    words=$1
    shift
    run 1 "$@"
    grep -qF -- "$words" err || fail "$*: standard error lacks: $words"
}

# says WORDS: on standard error of the last run
says() {
    grep -qF -- "$1" err || fail "standard error lacks: $1"
}

silent() {
    [ ! -s err ] || fail "$1: something on standard error"
}

lines() { # COUNT WHY
    [ "$(wc -l <out)" -eq "$1" ] || fail "$2: $(wc -l <out) lines, wanted $1"
}

same() { # FILE FILE WHY
    cmp -s "$1" "$2" || fail "$3"
}

quick='--epochs 1 --couplings 2 --hidden 4 --model nice --quiet'

# ---- a header of numbers ----
printf '0,1\n5,0.5\n6,2.5\n7,-1.5\n' >numbers.csv
run 0 fit numbers.csv -o numbers.leat --header yes $quick
run 0 score numbers.leat numbers.csv
lines 3 "a header that the model knows"
cp out scores
printf '1,0\n0.5,5\n2.5,6\n-1.5,7\n' >swapped.csv
run 0 score numbers.leat swapped.csv
same out scores "columns called 1 and 0 are not matched by name"
printf 'x,1,0\nlong,0.5,5\nold,2.5,6\nred,-1.5,7\n' >more.csv
run 0 score numbers.leat more.csv
same out scores "columns called 1 and 0 are not found among others"
run 0 sample numbers.leat -n 5 -o drawn.csv
run 0 score numbers.leat drawn.csv
lines 5 "samples under a header of numbers"
for c in encode check; do run 0 $c numbers.leat swapped.csv; done
run 0 plot numbers.leat swapped.csv -o plot.svg
run 0 score numbers.leat numbers.csv --header no
lines 4 "--header no"
sed 1d numbers.csv >nameless.csv
run 0 score numbers.leat nameless.csv
same out scores "a table without a header"
refuses 'there is no column' score numbers.leat nameless.csv --header yes
run 0 encode numbers.leat numbers.csv -o latents.csv
run 0 decode numbers.leat latents.csv
lines 4 "decode"
run 0 decode numbers.leat latents.csv --header yes
lines 3 "decode --header yes"

# ---- what may be a header, and is not taken for one, is said ----
run 0 fit numbers.csv -o m.leat --epochs 1 --couplings 2 --hidden 4 --model nice
says 'warning: numbers.csv: its first line, 0, 1, .., was taken for numbers'
run 0 score m.leat numbers.csv
lines 4 "a first line of numbers"
says 'numbers.csv: its first line, 0, 1, ..'
printf '1990,1995,2000\n3,4,8\n1,7,2\n2,2,5\n' >years.csv
run 0 fit years.csv -o m.leat --epochs 1 --couplings 2 --hidden 4 --model nice
says 'its first line, of years, was taken for numbers'
run 0 score m.leat years.csv --header no
grep -q 'years, was' err && fail "--header no is warned of"
run 0 fit years.csv -o m.leat --header yes $quick
silent "fit --header yes --quiet"
run 0 score m.leat years.csv
lines 3 "years as names"

# ---- names that stand twice, and empty ones ----
for names in a,a,b ,, a,,b ,,c; do
    printf '%s\n1,2,9\n2,5,4\n3,1,6\n' "$names" >twice.csv
    run 0 fit twice.csv -o twice.leat --header yes $quick
    for c in score encode check; do run 0 $c twice.leat twice.csv --header yes; done
    run 0 plot twice.leat twice.csv -o plot.svg --header yes
    run 0 score twice.leat twice.csv --header yes
    lines 3 "names $names"
    cp out scores
    printf '1,2,9\n2,5,4\n3,1,6\n' >nameless.csv
    run 0 score twice.leat nameless.csv
    same out scores "names $names: other columns than without names"
done
printf 'a,a,b\n1,2,9\n2,5,4\n3,1,6\n' >twice.csv
run 0 fit twice.csv -o twice.leat $quick
run 0 score twice.leat twice.csv
cp out scores
printf 'b,a,a\n9,2,1\n4,5,2\n6,1,3\n' >turned.csv
refuses 'both called "a"' score twice.leat turned.csv
refuses 'as #2' score twice.leat turned.csv
run 0 score twice.leat turned.csv --columns '3,#2,1'
same out scores "--columns does not choose"
printf 'a,b,a\n1,9,2\n2,4,5\n3,6,1\n' >between.csv
run 0 fit between.csv -o given.leat --columns 1,3 --context 2 $quick
run 0 score given.leat between.csv
lines 3 "a context between two columns of one name"
run 0 fit twice.csv -o given.leat --context 1 $quick
refuses 'both called "a"' score given.leat twice.csv
run 0 score given.leat twice.csv --columns 2,3,1

# ---- names with commas ----
printf '"weight, kg",2,"say ""a"""\n7,1,2\n8,3,1\n6,2,7\n' >commas.csv
run 0 fit commas.csv -o commas.leat --columns '"weight, kg","2"' --context '"say ""a"""' --header yes $quick
run 0 score commas.leat commas.csv
lines 3 "names with commas"

[ $failures -eq 0 ] && echo "tables are read as they are meant"
exit $((failures > 0))
