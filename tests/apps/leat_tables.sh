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

# ---- an index of pandas, constant columns ----
printf ',a,b\n0,1,2\n1,2,5\n2,3,1\n' >index.csv
run 0 fit index.csv -o m.leat --epochs 1 --couplings 2 --hidden 4 --model nice
says 'index.csv: column 1 has no name and counts the rows'
run 0 fit index.csv -o m.leat --columns 2- --epochs 1 --couplings 2 --hidden 4 --model nice
grep -q 'counts the rows' err && fail "an index that is left out is warned of"
printf ',a,b\n0,1,2\n2,2,5\n1,3,1\n' >other.csv
run 0 fit other.csv -o m.leat --epochs 1 --couplings 2 --hidden 4 --model nice
grep -q 'counts the rows' err && fail "a column that does not count rows is called an index"
printf 'a,b,"c, d"\n1,2,4\n2,5,4\n3,1,4\n' >constant.csv
refuses 'column 3 (c, d) is constant' fit constant.csv -o no.leat $quick
refuses 'column 3 (c, d) is constant' fit constant.csv -o no.leat --context '"c, d"' $quick

# ---- scores are a vector; couplings are counted ----
run 0 score twice.leat twice.csv -o scores.npy
head -c 128 scores.npy | grep -q "'shape': (3,)" || fail "scores have another shape than (3,)"
run 0 fit twice.csv -o m.leat --epochs 1 --model nice --hidden 4 --quiet
run 0 inspect m.leat
grep -q '^couplings   6$' out || fail "inspect does not count couplings"
grep -q 'couplings 0' out && fail "inspect tells couplings 0"
run 0 inspect m.leat --json
grep -q '"couplings":6' out || fail "inspect --json does not count couplings"

# ---- what other programs write ----
printf '1,2,9\n2,5,4\n3,1,6\n' >plain.csv
run 0 fit plain.csv -o m.leat $quick
run 0 score m.leat plain.csv
cp out scores
printf '# a b c\n1 2 9\n2 5 4\n# and\n3 1 6\n' >savetxt.txt
run 0 score m.leat savetxt.txt
same out scores "a table of numpy.savetxt"
run 0 fit savetxt.txt -o named.leat $quick
run 0 inspect named.leat
grep -q 'a, b, c' out || fail "the names in a comment are not those of the columns"
printf '1,0;2;9,0\n2,0;5;4\n3;1;6\n' >commas.txt
run 0 score m.leat commas.txt --decimal ,
same out scores "decimal commas"
refuses 'decimal comma' score m.leat commas.txt
printf '1|2|9\n2|5|4\n3|1|6\n' >bars.txt
run 0 score m.leat bars.txt --delimiter '|'
same out scores "--delimiter |"
tr '|' '\t' <bars.txt >tabs.txt
for d in tab '\t'; do run 0 score m.leat tabs.txt --delimiter "$d"; same out scores "--delimiter $d"; done
refuses 'delimiter' score m.leat bars.txt --delimiter '||'
refuses 'a point or a comma' score m.leat bars.txt --decimal ';'

# ---- compressed, and through a pipe ----
awk 'BEGIN { srand(3); for (i = 0; i < 30000; i++) printf "%.6f,%.3f,%d\n", rand(), 10 * rand(), 5 * rand() }' >long.csv
run 0 score m.leat long.csv
cp out long
gzip -9 <long.csv >long.csv.gz
gzip -1 <long.csv >fast.gz
for f in long.csv.gz fast.gz; do run 0 score m.leat $f; same out long "$f scores otherwise"; done
"$program" score m.leat - <long.csv.gz >out 2>err || fail "compressed standard input"
same out long "compressed standard input scores otherwise"
head -c 100000 long.csv.gz >cut.csv.gz
refuses 'cut off' score m.leat cut.csv.gz -o no.csv
[ ! -e no.csv ] || fail "a damaged file left scores"
run 0 encode m.leat long.csv -o long.npy
run 0 decode m.leat long.npy
cp out long
"$program" decode m.leat - <long.npy >out 2>err || fail ".npy on standard input"
same out long ".npy on standard input"
cat long.npy | "$program" decode m.leat - >out 2>err || fail ".npy through a pipe"
same out long ".npy through a pipe"
gzip <long.npy >long.npy.gz
run 0 decode m.leat long.npy.gz
same out long ".npy.gz"
gzip <long.npy | "$program" decode m.leat - --rows 29998: >out 2>err || fail "compressed .npy through a pipe"
lines 2 "compressed .npy through a pipe"
head -c 5000 long.npy | "$program" decode m.leat - >out 2>err && fail "half a .npy is taken"
says 'standard input'

# ---- files that are something else say what they are ----
printf '\377\376a\0,\0b\0\n\0' >wide.csv
refuses 'UTF-16' score m.leat wide.csv
printf 'a\0,\0b\0\n\0' >wide.csv
refuses 'UTF-16LE' score m.leat wide.csv
printf '\0a\0,\0b' >wide.csv
refuses 'UTF-16BE' score m.leat wide.csv
printf '\377\376\0\0a\0\0\0' >wide.csv
refuses 'UTF-32' score m.leat wide.csv
printf '1\0\0\0,\0\0\0' >wide.csv
refuses 'UTF-32LE' fit wide.csv -o no.leat
printf 'a,b,c\r1,2,9\r2,5,4\r' >mac.csv
refuses 'ends in CR alone' fit mac.csv -o no.leat
printf 'PK\003\004\024\0\0\0\0\0arr_0.npy' >arrays.npz
for c in score encode; do refuses 'ZIP archive' $c m.leat arrays.npz; done
run 1 score arrays.npz plain.csv
grep -q 'pickle' err && fail "a .npz is called a pickle"
says 'the model comes first'
cp arrays.npz arrays.csv
refuses 'ZIP archive' score m.leat arrays.csv

# ---- arguments that are swapped ----
refuses 'where a table is expected' score m.leat m.leat
refuses 'the model comes first' score plain.csv m.leat
refuses 'the model comes first' inspect long.npy
refuses 'where a table is expected' fit m.leat -o no.leat
"$program" score m.leat - <m.leat >out 2>err && fail "a model on standard input is taken for a table"
says 'where a table is expected'
refuses 'none.leat' score none.leat plain.csv

[ $failures -eq 0 ] && echo "tables are read as they are meant"
exit $((failures > 0))
