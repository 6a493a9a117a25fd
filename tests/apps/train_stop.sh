#!/bin/sh
# Stopping a training program and going on: Ctrl-C, checkpoints, kill. Usage: train_stop.sh PROGRAM
. "$(dirname "$0")/program.sh"
name=$(basename "$program")
task='--points 500 --couplings 2 --hidden 12 --batch 50 --validation 0.2 --schedule exponential --seed 4 --threads 1'

same() { # DIR DIR
    for f in model.safetensors loss.csv samples.npy; do
        cmp -s "$1/$f" "$2/$f" || fail "$1/$f and $2/$f differ"
    done
}

refused() { # WORDS ARGUMENTS...
    words=$1
    shift
    run 1 "$@"
    grep -qF -- "$words" err || fail "standard error lacks: $words"
    [ "$(wc -l <err)" -eq 1 ] || fail "standard error is not one line"
    [ ! -s out ] || fail "training began"
}

# ---- 6 epochs at once, and 2 and 4; a run that is over is over ----
run 0 $task --epochs 6 --out whole
run 0 $task --epochs 2 --out parts --checkpoint-every 1
run 0 $task --epochs 6 --out parts --resume parts/checkpoint.safetensors --checkpoint-every 4
[ "$(head -n 1 out | cut -d, -f1)" = 'Epoch 3' ] || fail "it did not go on with epoch 3"
same whole parts
run 0 $task --epochs 6 --out again --resume parts/checkpoint.safetensors
[ ! -s out ] || fail "a run that was over trained again"
same whole again

# ---- Ctrl-C: a checkpoint, the command that goes on, exit 130; SIGTERM and SIGHUP likewise ----
long=200000
for signal in HUP INT TERM; do
    rm -rf 'stop ped'
    timeout -s $signal --preserve-status 2 "$program" $task --epochs $long --out 'stop ped' >out 2>err </dev/null
    got=$?
    [ $got -eq 130 ] || fail "SIG$signal: exit $got, wanted 130"
    [ "$(grep -vc ' steps took ' err)" -eq 1 ] || fail "standard error is not one line"
    grep -q "^$name: stopped at step [0-9]* of epoch [0-9]*; to go on: " err || fail "it does not say how to go on"
    [ -s 'stop ped/checkpoint.safetensors' ] || fail "no checkpoint"
    [ ! -e 'stop ped/model.safetensors' ] || fail "a stopped run wrote a model"
done
done_so_far=$(tail -n 1 out | sed 's/Epoch \([0-9]*\),.*/\1/')
[ -n "$done_so_far" ] || done_so_far=0
more=$((done_so_far + 3))
sed -n 's/.*; to go on: //p' err | sed "s/--epochs $long/--epochs $more/" >command
sh command >out 2>err </dev/null || fail "the command that it named fails"
run 0 $task --epochs $more --out straight
same straight 'stop ped'

# ---- what does not belong together ----
checkpoint=parts/checkpoint.safetensors
refused 'made with another batch: 50 there, 60 here' $task --batch 60 --epochs 8 --resume $checkpoint --out refused
refused 'made with another model' $task --hidden 13 --epochs 8 --resume $checkpoint --out refused
refused 'made with other data' $task --noise 0.1 --epochs 8 --resume $checkpoint --out refused
refused 'nowhere.safetensors' $task --epochs 8 --resume nowhere.safetensors --out refused
head -c 1000 $checkpoint >short.safetensors
refused 'short.safetensors' $task --epochs 8 --resume short.safetensors --out refused
[ ! -e refused ] || fail "a refused run wrote something"

# ---- killed while it saves after every epoch: a checkpoint is whole, and it goes on to the same end ----
run 0 $task --epochs 40 --out unkilled
rm -rf killed
run 0 $task --epochs 1 --out killed --checkpoint-every 1
for delay in 0.02 0.05 0.03 0.04 0.06 0.03; do
    timeout -s KILL $delay "$program" $task --epochs 40 --out killed --checkpoint-every 1 \
        --resume killed/checkpoint.safetensors >>out 2>err </dev/null
    run 0 $task --epochs 1 --resume killed/checkpoint.safetensors --out probe # reads it, and has nothing to do
done
run 0 $task --epochs 40 --out killed --checkpoint-every 1 --resume killed/checkpoint.safetensors
same unkilled killed

[ $failures -eq 0 ] && echo "$name stops and goes on"
exit $((failures > 0))
