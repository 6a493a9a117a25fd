#!/bin/sh
# A training that is killed at random moments, by SIGKILL, and goes on from its checkpoint, until it has been killed COUNT
# times: every run that comes to its end has the bits of one that was never killed, and no file is left behind.
# Usage: kills.sh PROGRAM [COUNT], a training program. Prints the counts.
. "$(dirname "$0")/program.sh"
count=${2:-1000}
task='--points 400 --epochs 30 --couplings 2 --hidden 12 --batch 50 --validation 0.2 --threads 1 --quiet --checkpoint-every 1'
run 0 $task --out whole
kills=0 ends=0 left=0
while [ "$kills" -lt "$count" ]; do
    rm -rf killed
    run 0 $task --epochs 0 --out killed
    while :; do
        delay=$(awk -v seed="$kills$ends" 'BEGIN { srand(seed); print 0.01 + 0.12 * rand() }')
        resume=
        [ ! -e killed/checkpoint.safetensors ] || resume='--resume killed/checkpoint.safetensors'
        timeout -s KILL "$delay" "$program" $task --out killed $resume >out 2>err </dev/null
        got=$?
        [ $got -eq 137 ] || break
        kills=$((kills + 1))
        left=$((left + $(ls -A killed | grep -c '^\.')))
    done
    [ $got -eq 0 ] || fail "exit $got after kill $kills"
    ends=$((ends + 1))
    [ "$(ls -A killed | grep -c '^\.')" -eq 0 ] || fail "after kill $kills there stays $(ls -A killed | grep '^\.')"
    for f in model.safetensors loss.csv samples.npy; do
        cmp -s whole/$f killed/$f || fail "after kill $kills: $f is not what it is without kills"
    done
done
echo "$kills kills, which left $left files behind until the next run; $ends runs that came to their end, $failures failures"
exit $((failures > 0))
