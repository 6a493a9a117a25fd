#!/bin/sh
# Glow on Fashion-MNIST. Usage: glow.sh [IMAGES [OUT [OPTIONS...]]]
images=${1:-/usr/share/datasets/fashion-mnist} out=${2:-glow-fashion}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
exec train_glow --data "$images" --out "$out" --seed 1 --levels 2 --steps 8 --logit 0.05 --width 128 --batch 16 --epochs 10 \
    --minutes 115 --optimiser adam --lr 0.001 --schedule warmup-cosine --clip 100 --ema 0.999 \
    --checkpoint-every 1 --draws 4 "$@"
