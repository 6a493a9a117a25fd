#!/bin/sh
# NICE in its paper's size on Fashion-MNIST. Usage: nice.sh [IMAGES [OUT [OPTIONS...]]]
images=${1:-/usr/share/datasets/fashion-mnist} out=${2:-nice-fashion}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
exec train_nice --data "$images" --out "$out" --seed 1 --preset paper --batch 200 --epochs 20 --minutes 115 \
    --optimiser adam --lr 0.003 --schedule cosine --clip 100 --ema 0.999 --checkpoint-every 1 --draws 4 "$@"
