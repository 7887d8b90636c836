#!/usr/bin/env bash
# The main job on real data, from a model of random weights: NLVR's pictures with short questions and BCCD's microscope
# photographs (docs/real-data.md). A decoder reads, a vision tower sees, each without the other; then aligns, tunes
# `uniform:25%` and `all` with the same seed and steps, ends the first of them with kill -9 half-way and resumes it, asks
# the held-out questions, and has PEFT answer them too.
#
#   scripts/real-data.sh DATA OUT      DATA: nlvr_qa_train.json, bccd_train.json, their ..._val.json and
#                                      the folders nlvr and bccd; OUT: a new folder
#
#   STRIATE_BUILD=DIR         programs are here in place of build/release
#   STRIATE_TOKENIZER=FILE    default: DATA/../tokenizers/llama2/tokenizer.model
#   STRIATE_PEER_PYTHON=FILE  a Python with transformers and PEFT (default .deps/peers, `make test-peers`)
#   STEPS=500                 optimiser steps of each tuning
#   BASE_ONLY=1               end when OUT has `base`, train.json and texts.json: what studies/nlvr.toml begins with
. "$(dirname "$0")/lib.sh"
[ $# = 2 ] || fail "two folders are needed" "scripts/real-data.sh DATA OUT"
data=$(realpath "$(given_path "$1")")
out=$(realpath -m "$(given_path "$2")")
build=${STRIATE_BUILD:-$root/build/release}
tokenizer=${STRIATE_TOKENIZER:-$data/../tokenizers/llama2/tokenizer.model}
python=${STRIATE_PEER_PYTHON:-$deps/peers/bin/python}
steps=${STEPS:-500}
[[ $steps =~ ^[1-9][0-9]+$ ]] && [ "$steps" -ge 50 ] ||
  fail "STEPS=$steps is not a whole number of at least 50" "a run of fewer steps cannot be killed half-way"
striate=$build/apps/striate/striate
probe=$build/tests/peers/answers_probe
needed=("$striate")
[ -n "${BASE_ONLY:-}" ] || needed+=("$probe")
for file in "${needed[@]}"; do [ -x "$file" ] || fail "$file is missing" "run 'make build'"; done
[ ! -e "$out" ] || fail "$out is there already" "name a new folder, or remove it"
mkdir -p "$out"
cd "$out"

step() { say "== $*" >&2; }

# Prints the command, then runs it with its output in LOG, and says how long it took and the most memory.
timed() {
  say "\$ $(basename "$2") ${*:3}" | sed "s|$data|DATA|g; s|$out/||g; s|$root/||g"
  python3 "$root/scripts/real_data.py" timed "$@"
}

step "The data: both kinds of pictures together; drawings in NLVR's manner, and such scenes as text"
python3 "$root/scripts/real_data.py" prepare "$data" .
python3 "$root/scripts/drawn_scenes.py" texts 24000 .
python3 "$root/scripts/drawn_scenes.py" pictures 20000 .

# init OUT FLAGS...: a model of random weights; all have one shape of tower.
init() {
  timed "init-$1.log" "$striate" init --arch llava-1.5-7b --hidden 128 --heads 4 --kv-heads 4 --mlp 352 \
    --vision-layers 4 --vision-hidden 256 --vision-heads 4 --vision-mlp 512 --image-size 224 --patch-size 28 \
    --dtype fp32 --seed 1 --out "$@"
  python3 "$root/scripts/real_data.py" stretch "$1"
}

step "A decoder that has read: questions about scenes told in letters; it sees no picture"
init random --layers 8 --tokenizer "$tokenizer"
timed reader.log "$striate" train --model random --stage pretrain --data texts.json --steps 1000 --batch 24 --lr 1.5e-3 \
  --warmup-ratio 0.05 --beta2 0.98 --save-every 0 --threads 1 --out reader

step "A vision tower that has seen: drawings, with a decoder that is thrown away"
init blank --layers 3 --tokenizer "$root/demo/mini_tokenizer.model"
timed seer.log "$striate" train --model blank --stage pretrain --tune-vision-tower --template plain --data drawn.json \
  --images . --steps 600 --batch 32 --lr 2e-3 --projector-lr 1e-3 --vision-tower-lr 1e-3 --beta2 0.98 --save-every 0 \
  --threads 1 --out seer
python3 "$root/scripts/real_data.py" join reader seer base
[ -z "${BASE_ONLY:-}" ] || exit 0

step "Align: the projector alone learns to hand pictures to the decoder"
timed align.log "$striate" train --model base --stage align --template vicuna_v1 --data train.json --images "$data" \
  --steps 100 --batch 32 --projector-lr 1e-3 --beta2 0.98 --save-every 0 --threads 1 --out aligned

tune() {
  timed "$1.log" "$striate" train --model base --projector aligned --stage tune --layers "$2" --lora-r 64 \
    --lora-alpha 128 --lora-dropout 0 --data train.json --images "$data" --steps "$steps" --batch 32 --lr 1.5e-3 \
    --projector-lr 1.5e-3 --warmup-ratio 0.05 --beta2 0.98 --seed 234 --save-every $((steps / 5)) --threads 1 --out "$1" "${@:3}"
}

# Ends the run of uniform:25% without warning between its second checkpoint and its third.
kill_half_way() {
  until [ "$(wc -l 2>/dev/null <uniform/metrics.jsonl || echo 0)" -ge $((steps * 56 / 100)) ]; do sleep 1; done
  kill -9 "$(pgrep -g 0 -f "^$striate train .*--out uniform")"  # of this script's processes alone
}

step "Tune uniform:25%, killed half-way, and all, at the same time on one thread each"
tune all all >all.txt &
all=$!
kill_half_way &
killer=$!
status=0
tune uniform uniform:25% || status=$?
kill "$killer" 2>/dev/null || true  # it waits for ever where the run ended by itself
[ "$status" = 137 ] ||
  fail "the run of uniform:25% was to be killed, and ended by itself with status $status" "see $out/uniform.log"
say "   killed, $(wc -l <uniform/metrics.jsonl) steps taken"
cp uniform/metrics.jsonl before-the-kill.jsonl
tune uniform uniform:25% --resume
wait $all
cat all.txt
python3 "$root/scripts/real_data.py" compare before-the-kill.jsonl uniform

step "Held-out questions, each alone with its picture"
for region in uniform all; do
  for set in nlvr_qa bccd; do
    "$probe" --model base --adapter $region --data "$data/${set}_val.json" --images "$data" --precision fp32 \
      --threads 1 --max-tokens 24 >$region-$set.jsonl
    say "$region, $set:"
    python3 "$root/scripts/real_data.py" score $region-$set.jsonl
  done
done
if [ -x "$python" ]; then
  step "The same questions through transformers and PEFT"
  for region in uniform all; do
    "$python" "$root/tests/peers/adapter_answers.py" --model base --adapter $region --answers $region-nlvr_qa.jsonl \
      --data "$data/nlvr_qa_val.json" --images "$data"
  done
else
  say "no PEFT: $python is missing"
fi
