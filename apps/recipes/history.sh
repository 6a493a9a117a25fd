#!/bin/sh
# What each step of the history brought: four models of two tables, and their densities in one picture.
# Usage: history.sh [PICTURE]
models=''
for set in moons checkerboard; do
    for model in nice realnvp glow flowpp; do
        leat fit $set -o $set-$model.leat --model $model --epochs 60 --schedule cosine --validation 0.1 --quiet || exit 1
        models=$models,$set-$model.leat
    done
done
exec leat plot moons-nice.leat --out "${1:-history.png}" --across 4 --beside "${models#,moons-nice.leat,}"
