#!/bin/sh
# Multi-scale RealNVP on Fashion-MNIST. Usage: realnvp.sh [IMAGES [OUT [OPTIONS...]]]
images=${1:-/usr/share/datasets/fashion-mnist} out=${2:-realnvp-fashion}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
exec train_realnvp --data "$images" --out "$out" --seed 1 --levels 2 --width 16 --blocks 1 --batch 64 --epochs 6 \
    --minutes 115 --optimiser adam --lr 0.001 --schedule warmup-cosine --weight-decay 5e-5 --clip 100 --ema 0.999 \
    --checkpoint-every 1 --draws 4 "$@"
