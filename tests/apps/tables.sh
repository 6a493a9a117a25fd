#!/bin/sh
# Tables as strangers bring them: large offsets and tiny units, bounds, whole numbers, columns that follow from others,
# several draws for a row of a context. Each value that is wanted follows from how the table was made.
# Usage: tables.sh PROGRAM
. "$(dirname "$0")/program.sh"

says() { # WORDS: on standard error
    grep -qF -- "$1" err || fail "standard error lacks: $1"
}
near() { # VALUE WANTED DISTANCE WHAT
    awk -v a="$1" -v b="$2" -v d="$3" 'BEGIN { exit !(a - b <= d && b - a <= d) }' || fail "$4: $1, not $2"
}
column() { # FILE NUMBER: without its header
    sed 1d "$1" | cut -d, -f"$2"
}
normals='function n() { return sqrt(-2 * log(1 - rand())) * cos(6.283185307179586 * rand()) }'

# ---- times of a second's precision: an hour with two peaks, and a unit of 1e-300 ----
awk "$normals"' BEGIN { srand(1); print "time,tiny"
    for (i = 0; i < 4000; i++) printf "%.2f,%.6ge-300\n", 1.7e9 + (rand() < 0.5 ? 1000 : 1600) + 60 * n(), n() }' >times.csv
run 0 fit times.csv -o times.leat --epochs 20 --validation 0.1 --quiet
run 0 score times.leat times.csv --mean
# entropies: of the two peaks log 2 + log(60 sqrt(2 pi e)), of the other log(1e-300 sqrt(2 pi e))
near "$(cat out)" 683.15 0.2 "the density of times"
run 0 sample times.leat -n 400
cp out drawn
[ "$(column drawn 1 | sort -u | wc -l)" -ge 390 ] || fail "times are not drawn to the second"
run 0 sample times.leat -n 4000 -o drawn.csv
column drawn.csv 1 | awk '{ t = $1 - 1.7e9; peaks += (t > 850 && t < 1150) || (t > 1450 && t < 1750); between += t > 1250 && t < 1350 }
    END { exit !(peaks > 3400 && between < 250) }' || fail "two peaks are not seen as two"
run 0 encode times.leat times.csv --rows 0:50 -o latents.csv
run 0 decode times.leat latents.csv
column out 1 >back
column times.csv 1 | head -50 | paste -d, - back | awk -F, '{ d = $1 - $2; if (d > 0.01 || d < -0.01) bad++ } END { exit bad }' ||
    fail "times do not come back"
run 0 check times.leat times.csv
awk 'BEGIN { print "time"; for (t = -2000; t < 5000; t++) printf "%.1f\n", 1.7e9 + t + 0.5 }' >grid.csv
run 0 fit times.csv -o hour.leat --columns time --epochs 10 --validation 0.1 --quiet
run 0 score hour.leat grid.csv
near "$(awk '{ s += exp($1) } END { print s }' out)" 1 0.001 "the integral of the density of times"
printf 't,v\n1700000000,1\n1700000010,2\n1700000020,4\n' >three.csv
run 0 fit three.csv -o three.leat --epochs 1 --quiet
run 0 score three.leat three.csv
[ "$(sort -u out | wc -l)" -eq 3 ] || fail "rows ten seconds apart score the same"
"$program" inspect three.leat >out 2>err || fail inspect

# ---- the standardizer is fitted to the rows that are trained on ----
awk "$normals"' BEGIN { srand(2); for (i = 0; i < 300; i++) print n() "," n() }' >plain.csv
run 0 fit plain.csv -o all.leat --epochs 0 --quiet
run 0 fit plain.csv -o part.leat --epochs 0 --quiet --validation 0.5
run 0 score all.leat plain.csv --mean
cp out all
run 0 score part.leat plain.csv --mean
cmp -s out all && fail "rows that are held out count for the standardizer"

# ---- columns that follow from others ----
awk "$normals"' BEGIN { srand(3); print "a,b,copy,d,rest"
    for (i = 0; i < 300; i++) { a = int(1e4 * n()); b = int(1e4 * n()); d = int(1e4 * n())
        print a / 1e4 "," b / 1e4 "," a / 1e4 "," d / 1e4 "," (100000 - a - b - d) / 1e4 } }' >singular.csv
run 0 fit singular.csv -o s.leat --epochs 1
says 'column 3 (copy) follows from column 1 (a):'
says 'column 5 (rest) follows from columns 1 (a), 2 (b), 4 (d):'
run 0 fit singular.csv -o s.leat --epochs 1 --columns a,b,d
grep -q follows err && fail "columns that are free are said to follow from others"

# ---- bounds: log-normal and Beta(1/2, 1/2) columns, whose entropies are known ----
awk "$normals"' BEGIN { srand(4); print "price,share"; for (i = 0; i < 20000; i++) {
    s = sin(1.5707963267948966 * rand()); s = s * s; if (s <= 0 || s >= 1) s = 0.5
    printf "%.12g,%.15g\n", exp(n()), s } }' >edges.csv
run 0 fit edges.csv -o e.leat --epochs 1 --couplings 2 --hidden 8
says "--bounds 'price:0:,share:0:1'"
head -n 10001 edges.csv >first.csv
{ head -n 1 edges.csv && tail -n 10000 edges.csv; } >last.csv
run 0 fit first.csv -o e.leat --bounds price:0:,share:0:1 --model maf --transforms 2 --epochs 12 --validation 0.1 --quiet
run 0 score e.leat last.csv --mean
near "$(cat out)" -1.1774 0.05 "the density between bounds"
run 0 sample e.leat -n 20000 -o drawn.csv
sed 1d drawn.csv | awk -F, '!($1 > 0 && $2 > 0 && $2 < 1) { bad++ } END { exit bad > 0 }' || fail "draws beyond bounds"
run 0 score e.leat drawn.csv --mean
printf 'price,share\n1,0.5\n-1,0.5\n1,1\n' >beyond.csv
run 0 score e.leat beyond.csv
[ "$(grep -c '^-inf$' out)" -eq 2 ] || fail "the density beyond bounds is not 0"
run 0 check e.leat last.csv
run 1 export e.leat -o e.safetensors
says 'columns with bounds or of whole numbers'
run 1 fit beyond.csv -o no.leat --bounds price:0: --quiet
says 'row 2, column 1 is -1, not inside of its bounds'
run 1 fit edges.csv -o no.leat --bounds prices:0:
says "no column 'prices'"
run 1 fit edges.csv -o no.leat --bounds price:1:0
says 'not COLUMN:LOWER:UPPER'
run 2 fit edges.csv -o no.leat --bounds price:0: --no-standardize

# ---- whole numbers: Poisson(3), whose entropy is known ----
awk 'BEGIN { srand(5); print "count"; for (i = 0; i < 20000; i++) {
    k = 0; for (p = rand(); p > exp(-3); p *= rand()) k++; print k } }' >counts.csv
run 0 fit counts.csv -o c.leat --integer auto --epochs 12 --validation 0.1
grep -q 'few values' err && fail "whole numbers are said to be few values"
run 0 score c.leat counts.csv --mean
near "$(cat out)" -1.9315 0.03 "the probability of counts"
run 0 sample c.leat -n 5000 -o drawn.csv
sed 1d drawn.csv | grep -qv '^-*[0-9]*$' && fail "draws that are no counts"
near "$(column drawn.csv 1 | awk '{ s += $1 } END { print s / NR }')" 3 0.15 "the mean of counts"
awk 'BEGIN { print "count"; for (i = -9; i < 40; i++) print i }' >all.csv
run 0 score c.leat all.csv --points 64
near "$(awk '{ s += exp($1) } END { print s }' out)" 1 0.01 "the sum of all probabilities"
run 0 fit counts.csv -o again.leat --integer count --epochs 12 --validation 0.1 --threads 2 --quiet
run 0 score again.leat counts.csv --rows 0:50 -o again.csv
run 0 score c.leat counts.csv --rows 0:50 -o once.csv
cmp -s once.csv again.csv || fail "whole numbers depend on the threads"
run 1 fit plain.csv -o no.leat --integer 1 --quiet
says 'no whole number'

# ---- several draws for each row of a context ----
awk "$normals"' BEGIN { srand(6); print "c,x,y"; for (i = 0; i < 500; i++) { c = rand(); print c "," c + n() / 9 "," n() } }' >given.csv
run 0 fit given.csv -o g.leat --context c --epochs 2 --quiet
printf 'c\n0.1\n0.9\n' >two.csv
run 0 sample g.leat --context two.csv
[ "$(wc -l <out)" -eq 3 ] || fail "not a draw for each row"
run 0 sample g.leat --context two.csv --per-row 3 -n 6
[ "$(head -n 1 out)" = x,y,row ] && [ "$(column out 3 | tr '\n' ' ')" = '0 0 0 1 1 1 ' ] || fail "not three draws for each row"
run 1 sample g.leat --context two.csv -n 5
says '--per-row says how many'
run 1 sample g.leat --context two.csv -n 5 -o five.csv
[ ! -e five.csv ] || fail "a refused sample is written"
run 2 sample e.leat -n 5 --per-row 2

# ---- what is chosen where nothing is asked for, and densities side by side ----
run 0 fit plain.csv -o chosen.leat
says '300 rows of 2 columns: autoregressive splines (nsf), at most 100 epochs in batches of 64, cosine'
says '10 % of the rows are held out'
run 0 inspect chosen.leat
grep -q 'validation_rows 30,' out || fail "the rows that are held out are not a tenth"
run 0 fit moons -o moons.leat --epochs 1 --quiet
run 0 plot chosen.leat --beside moons.leat --out both.png
[ -s both.png ] || fail "no densities side by side"
run 1 plot moons.leat --beside times.leat,three.leat,s.leat --out no.png
says 'a density is drawn of two features'
cp moons.leat here.png
run 1 plot moons.leat --beside here.png --out ./here.png
says 'would be overwritten'
run 1 plot moons.leat --beside none.leat --out no.png
says 'none.leat: cannot open'

[ $failures -eq 0 ]
