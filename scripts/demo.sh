#!/usr/bin/env bash
# Builds the program and shows the main job at small scale: from random weights to a model that answers questions about
# pictures, of which only a quarter of the decoder's layers was tuned to see; then what every layer does, and what is left
# without some of those outside that region. Everything is made here, nothing downloaded.
. "$(dirname "$0")/lib.sh"
export STRIATE_STEPS=5
scripts/build.sh release striate

started=$SECONDS
striate=$root/build/release/apps/striate/striate
out=build/demo
world=$out/world

show() {  # prints a command as one would type it, then runs it
  local argument line="$ striate"
  for argument in "$@"; do
    case $argument in
      *[[:space:]]*) line+=" '$argument'" ;;
      *) line+=" $argument" ;;
    esac
  done
  printf '\n%s\n' "$line"
  "$striate" "$@"
}

# field FILE KEY: the last value of "KEY": NUMBER in a file.
field() { sed -n "s/.*\"$2\": *\([0-9.eE+-]*\).*/\1/p" "$1" | tail -n 1; }

# loss_curve METRICS: the mean loss of every tenth of a run, as numbers and bars.
loss_curve() {
  sed -n 's/.*"loss":\([0-9.eE+-]*\),.*/\1/p' "$1" | grep -v '^$' | awk '
    { loss[NR] = $1 }
    END {
      for (part = 0; part < 10; ++part) {
        first = int(part * NR / 10) + 1; last = int((part + 1) * NR / 10); sum = 0
        for (i = first; i <= last; ++i) sum += loss[i]
        mean = last < first ? 0 : sum / (last - first + 1); if (part == 0) most = mean
        bar = ""; for (i = 0; i < 40 * mean / most; ++i) bar = bar "#"
        printf "  steps %4d-%-4d  %.3f  %s\n", first, last, mean, bar
      }
    }'
}

# accuracy METRICS first|last: share of held-out questions answered exactly, as a percentage.
accuracy() {
  grep -o '"eval_accuracy":[0-9.eE+-]*' "$1" | cut -d: -f2 | sed -n "$([ "$2" = first ] && printf 1p || printf '$p')" |
    awk '{ printf "%.1f%%", 100 * $1 }'
}

stage() { say; say "[5/5] Demo: $*"; }

rm -rf "$out"
mkdir -p "$out"

stage "a world of small pictures, and questions about them"
show mini render --seed 1 --grid 3 --max-objects 2 --labels 0 --large-only --families color,shape,count,exist \
  --questions 6 --train 4000 --held-out 250 --text 12000 --text-families none --out "$world"

stage "a LLaVA of random weights, tiny"
show init --arch llava-1.5-7b --dtype fp32 --seed 1 --layers 8 --hidden 96 --heads 4 --mlp 256 --max-positions 512 \
  --vision-layers 2 --vision-hidden 256 --vision-heads 4 --vision-mlp 512 --image-size 48 --patch-size 16 \
  --tokenizer demo/mini_tokenizer.model --out "$out/random"

stage "words: the decoder learns to answer questions about scenes told in words; it sees no picture"
show train --config demo/pretrain.toml --model "$out/random" --data "$world/text.json" --out "$out/base"

stage "align: the projector alone learns to hand pictures to that decoder, which stays as it is"
show train --config demo/align.toml --model "$out/base" --data "$world/train.json" --images "$world" \
  --eval-data "$world/held_out.json" --out "$out/aligned"

stage "tune: projector and a quarter of the layers, evenly spread; the other layers stay as they are"
show train --config demo/tune.toml --layers uniform:25% --model "$out/base" --projector "$out/aligned" \
  --data "$world/train.json" --images "$world" --eval-data "$world/held_out.json" --out "$out/tuned"

# first_questions FILE: for each family the first held-out picture, question and answer, tabs between them.
first_questions() {
  awk -F'"' '
    /"value"/ { value[++n] = $4 }
    /"id"/ { split($4, part, "-"); chosen = !(part[3] in seen); seen[part[3]] = 1; n = 0 }
    /"image"/ && chosen { sub(/^<image>\\n/, "", value[1]); print $4 "\t" value[1] "\t" value[2] }' "$1"
}

stage "ask it about held-out pictures"
while IFS=$'\t' read -r picture question answer; do
  show chat --model "$out/base" --adapter "$out/tuned" --image "$world/$picture" --prompt "$question" \
    --max-tokens 8 </dev/null
  say "(right: $answer)"
done < <(first_questions "$world/held_out.json")

stage "score: what each layer does to the stream, measured on the training questions"
show score --model "$out/base" --adapter "$out/tuned" --data "$world/train.json" --images "$world" --samples 200 \
  --out "$out/scores.json" --report "$out/scores.html"

stage "prune: what it costs to go without layers, outside the region and anywhere"
show prune --model "$out/base" --adapter "$out/tuned" --region from-run --scores "$out/scores.json" --sweep 0..4 \
  --eval-data "$world/held_out.json" --images "$world" --out "$out/sweep"

stage "write the model without two layers, merged into one folder, and heal it: a short tuning, taught by the whole one"
show prune --model "$out/base" --adapter "$out/tuned" --region from-run --scores "$out/scores.json" --remove 2 \
  --out "$out/pruned"
show heal --config demo/heal.toml --model "$out/pruned" --teacher "$out/base" --teacher-adapter "$out/tuned" \
  --data "$world/train.json" --images "$world" --eval-data "$world/held_out.json" --out "$out/healed"

say
say "Loss while tuning:"
loss_curve "$out/tuned/metrics.jsonl"
say
say "Held-out questions answered exactly (no picture, and no arrangement of objects, was ever trained on):"
say "  guessing each kind's commonest answer  $(awk "BEGIN { printf \"%.1f%%\", 100 * $(field "$world/world.json" held_out_majority) }")"
say "  base, before it saw a picture          $(accuracy "$out/aligned/metrics.jsonl" first)"
say "  aligned, before tuning                 $(accuracy "$out/tuned/metrics.jsonl" first)"
say "  tuned, a quarter of the layers         $(accuracy "$out/tuned/metrics.jsonl" last)"
say "  the same without two layers            $(accuracy "$out/healed/metrics.jsonl" first)"
say "  and healed                             $(accuracy "$out/healed/metrics.jsonl" last)"
say
say "Everything lies in $out: world/ (pictures and questions), base/ (the decoder), aligned/ (the projector), tuned/"
say "(the adapter, its projector, and metrics.jsonl), scores.html and sweep/report.html (open them), pruned/ (a whole"
say "model) and healed/ (an adapter for it). Ask it more:"
say "  ${striate#"$root/"} chat --model $out/base --adapter $out/tuned --image $world/held_out/000000.png"
say "A published model goes the same way: docs/training.md."
say "[5/5] Demo: $(seconds_since "$started")"
