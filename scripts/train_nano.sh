#!/bin/sh
# Trains the driver that ships, from nothing: about 40 GB of disk, an evening on two CPU cores (docs/training.md).
#
# usage: scripts/train_nano.sh FOLDER     Run it again to go on where it was broken off.
set -eu
out=${1:?usage: scripts/train_nano.sh FOLDER}
cache=$out/cache
mkdir -p "$out"

train() { # RECIPE RUN [options]
    recipe=$1 run=$out/$2
    shift 2
    [ -f "$run/done" ] && return
    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m aln_p3_core train "$recipe" --data "$out/world" --out "$run" \
        --cache "$cache" --set run.threads=1 --resume "$@"
    touch "$run/done"
}

drive() { # RUN ROOT SEEDS: the driver drives, the expert says what it would do
    aln-p3 world drive --planner "$out/$1/driver.safetensors" --routes all --seeds "$3" --split train \
        --relabel expert --out "$out/$2" --jobs 2
}

for split in train:320 val:20 heldout:60; do
    aln-p3 world record --out "$out/world" --split "${split%:*}" --scenes "${split#*:}" --jobs 2
done
aln-p3 world record --out "$out/world2" --split train --scenes 150 --seed 7 --no-language --jobs 2
more="--data $out/world2"
train nano perception --set stages.0.steps=1100
train nano_planner planner1 --init "$out/perception/driver.safetensors" --fresh planner $more
drive planner1 dagger1 3
more="$more --data $out/dagger1"
train nano_planner planner2 --init "$out/perception/driver.safetensors" --fresh planner $more
drive planner2 dagger2 2
# What the present driver gets to counts three times.
more="$more --data $out/dagger2 --data $out/dagger2 --data $out/dagger2"
train nano_planner planner3 --init "$out/planner2/driver.safetensors" $more \
    --set optimizer.learning_rate=5e-4 --set stages.0.steps=1200
echo "$out/planner3/driver.safetensors"
