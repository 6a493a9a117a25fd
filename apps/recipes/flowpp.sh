#!/bin/sh
# Flow++ on Fashion-MNIST; with --uniform at the end the same without its dequantization.
# Usage: flowpp.sh [IMAGES [OUT [OPTIONS...]]]
images=${1:-/usr/share/datasets/fashion-mnist} out=${2:-flowpp-fashion}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
exec train_flowpp --data "$images" --out "$out" --seed 1 --width 32 --blocks 1 --components 8 --batch 16 --epochs 1 \
    --minutes 115 --optimiser adam --lr 0.001 --clip 1 --ema 0.999 \
    --checkpoint-every 1 --draws 4 "$@"
