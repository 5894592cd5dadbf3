#!/bin/sh
# Trains the driver that ships, from nothing: about 60 GB of disk. Perception wants a GPU (a quarter of an hour on one
# H200; on two CPU cores six hours), the rest an evening on two CPU cores (docs/training.md).
#
# usage: scripts/train_nano.sh FOLDER     Run it again to go on where it was broken off.
set -eu
out=${1:?usage: scripts/train_nano.sh FOLDER}
cache=$out/cache
jobs=$(nproc)
mkdir -p "$out"

finished() { # RUN: goes on where it was broken off, and notes when it is done
    run=$out/$1
    shift
    [ -f "$run/done" ] && return
    "$@" --out "$run" --cache "$cache" --resume
    touch "$run/done"
}

planner() { # RUN INIT [options]
    run=$1 init=$2
    shift 2
    OMP_NUM_THREADS=1 finished "$run" torchrun --nproc-per-node 2 -m aln_p3_core train nano_planner \
        --data "$out/world" --data "$out/halts" --init "$out/$init/driver.safetensors" \
        --set data.scenes_limit=80 --set run.threads=1 --set optimizer.learning_rate=8e-4 "$@"
}

drive() { # RUN ROOT SEEDS: the driver drives, the expert says what it would do
    aln-p3 world drive --planner "$out/$1/driver.safetensors" --routes all --seeds "$3" --split train \
        --relabel expert --out "$out/$2" --jobs "$jobs"
}

for split in train:320 val:20 heldout:60; do
    aln-p3 world record --out "$out/world" --split "${split%:*}" --scenes "${split#*:}" --jobs "$jobs"
done
aln-p3 world record --out "$out/halts" --split train --scenes 110 --seed 9 --halts --no-language --jobs "$jobs"

finished perception aln-p3 train nano --data "$out/world" --set data.store=pixels --set data.workers="$jobs" \
    --set run.batch_size=32 --set stages.0.steps=2000 --set optimizer.learning_rate=8e-4 \
    --set optimizer.ema_decay=0.995 --set augmentation.photometric_probability=0.3
planner planner1 perception --set stages.0.steps=1600
drive planner1 dagger1 3
# What the present driver gets to counts twice.
planner planner2 perception --data "$out/dagger1" --set stages.0.steps=1600
drive planner2 dagger2 3
planner planner3 planner2 --data "$out/dagger1" --data "$out/dagger2" --data "$out/dagger2" --set stages.0.steps=1000
echo "$out/planner3/driver.safetensors"
