#!/bin/sh
# Trains the explainer of the driver that ships: about three hours on two CPU cores with AMX.
#
# usage: scripts/train_explainer.sh FOLDER     FOLDER/world and FOLDER/cache as scripts/train_nano.sh leaves them, or
# recorded here. Run it again to go on where it was broken off.
set -eu
out=${1:?usage: scripts/train_explainer.sh FOLDER}
mkdir -p "$out"

speak() { # RUN STEPS RATE [options]
    run=$1 steps=$2 rate=$3
    shift 3
    [ -f "$out/$run/done" ] && return
    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m aln_p3_core train nano_speak --data "$out/world" \
        --cache "$out/cache" --init nano --out "$out/$run" --resume --set run.threads=1 --set run.precision=bf16 \
        --set run.batch_size=16 --set texts.per_frame=3 --set stages.0.alignment=0 --set "stages.0.steps=$steps" \
        --set "optimizer.learning_rate=$rate" --set optimizer.warm_up_steps=15 --set optimizer.ema_decay=0.97 \
        --set data.scenes_limit=120 --set data.validation_samples=48 --set run.validate_every=130 \
        --set run.checkpoint_every=50 "$@"
    touch "$out/$run/done"
}

for split in train:120 val:20; do
    aln-p3 world record --out "$out/world" --split "${split%:*}" --scenes "${split#*:}" --jobs "$(nproc)"
done
# Short texts that say what a token holds: it learns to look (language.reading in the validation).
speak reading 300 1e-3 --set "texts.every_frame=[]" --set texts.shares.explanation=0.12 --set texts.shares.caption=0 \
    --set texts.shares.question=0 --set texts.shares.command=0.38 --set texts.shares.motion=0.25 \
    --set texts.shares.position=0.15 --set texts.shares.count=0.1 --set texts.shares.plan=0
# Then all of them.
speak words 600 7e-4 --init-explainer "$out/reading/last_explainer.safetensors" --set texts.shares.caption=0.3 \
    --set texts.shares.question=0.25 --set texts.shares.command=0.15 --set texts.shares.motion=0.15 \
    --set texts.shares.position=0.08 --set texts.shares.count=0.04 --set texts.shares.plan=0.03
# And more questions: of short answers it takes many.
speak questions 600 8e-4 --init-explainer "$out/words/last_explainer.safetensors" --set run.batch_size=12 \
    --set texts.per_frame=5 --set texts.shares.caption=0.13 --set texts.shares.question=0.55 \
    --set texts.shares.command=0.06 --set texts.shares.motion=0.1 --set texts.shares.position=0.08 \
    --set texts.shares.count=0.05 --set texts.shares.plan=0.03
# The last one: validation speaks in other words, and would choose an early one.
echo "$out/questions/last_explainer.safetensors"
