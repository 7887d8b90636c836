#!/usr/bin/env bash
# Builds the program and shows the main job at small scale, from the base in mini/ (docs/mini.md), a small model whose
# decoder has read and never met a picture: a projector learns to hand pictures to it; then a quarter of its layers, evenly
# spread, its top quarter, and all of them are tuned, with the same data, steps and seed. All are asked the same held-out
# questions about pictures, and text tasks; layers outside the region are removed, and what is left is healed. Nothing is
# downloaded.
#
#   STRIATE_DEMO_STEPS=N   steps of each tuning; default 400, or 140 where the processor has no bf16, which is three times slower
. "$(dirname "$0")/lib.sh"
export STRIATE_STEPS=5
scripts/build.sh release striate

started=$SECONDS
striate=$root/build/release/apps/striate/striate
default_steps=140
! grep -qs avx512_bf16 /proc/cpuinfo || default_steps=400
steps=${STRIATE_DEMO_STEPS:-$default_steps}
base=mini/base
out=build/demo
world=$out/world
report=$out/report.html

typed() {  # the command as one would type it
  local argument line="$ striate"
  for argument in "$@"; do
    case $argument in
      *[[:space:]]*) line+=" '$argument'" ;;
      *) line+=" $argument" ;;
    esac
  done
  printf '\n%s\n' "$line"
}

show() { typed "$@"; "$striate" "$@"; }

# quiet NAME COMMAND...: runs it on one thread with its results in logs/NAME.txt and its progress beside it; both are shown
# where it fails.
quiet() {
  local began=$SECONDS log=$out/logs/$1.txt progress=$out/logs/$1.progress.txt
  typed "${@:2}" >"$log"
  if ! "$striate" "${@:2}" --threads 1 >>"$log" 2>"$progress"; then
    cat "$log" "$progress" >&2
    return 1
  fi
  say "  $1: $(seconds_since "$began")"
}

stage() { say; say "[5/5] Demo: $*"; }

rm -rf "$out"
mkdir -p "$out/logs"

stage "a world of small pictures, and thirteen kinds of questions about them"
show mini render --seed 7 --grid 3 --max-objects 3 --digit-labels --train 8000 --held-out 100 --test 400 \
  --held-out-questions 4 --questions 6 --text 12000 --out "$world"

stage "align: the projector alone learns to hand pictures to the base, which stays as it is"
show train --config demo/align.toml --steps $((steps * 3 / 2)) --model "$base" \
  --data "$world/train.json" --images "$world" --out "$out/aligned"

tune() {  # NAME LAYERS
  quiet "tune $1" train --config demo/tune.toml --steps "$steps" --layers "$2" --model "$base" --projector "$out/aligned" \
    --data "$world/train.json" --images "$world" --out "$out/$1"
}

# ask NAME MODEL...: the questions about pictures and those of the text tasks.
ask() {
  quiet "ask $1 about pictures" eval run "${@:2}" --benchmark mini --data "$world" --out "$out/answers/$1"
  quiet "ask $1 text tasks" eval run "${@:2}" --benchmark mini-text --data "$world" --out "$out/text/$1"
}

all_and_top() {
  tune all all
  ask all --model "$base" --adapter "$out/all"
  tune top top:25%
  ask top --model "$base" --adapter "$out/top"
}

uniform_and_pruning() {
  ask base --model "$base"
  ask aligned --model "$base" --projector "$out/aligned"
  tune uniform uniform:25%
  ask uniform --model "$base" --adapter "$out/uniform"
  quiet "score" score --model "$base" --adapter "$out/uniform" --data "$world/train.json" --images "$world" --samples 200 \
    --out "$out/scores.json" --report "$out/scores.html"
  quiet "prune 0-4" prune --model "$base" --adapter "$out/uniform" --region from-run --scores "$out/scores.json" \
    --sweep 0..4 --eval-benchmark mini --eval-data "$world" --eval-samples 600 --out "$out/sweep"
  quiet "prune 2" prune --model "$base" --adapter "$out/uniform" --region from-run --scores "$out/scores.json" --remove 2 \
    --out "$out/pruned"
  quiet "heal" heal --config demo/heal.toml --model "$out/pruned" --teacher "$base" --teacher-adapter "$out/uniform" \
    --data "$world/train.json" --images "$world" --out "$out/healed"
  ask pruned --model "$out/pruned"
  ask healed --model "$out/pruned" --adapter "$out/healed"
}

stage "tune uniform:25%, top:25% and all, ask each of them, score, prune and heal; two at a time, one thread each"
set -m  # a process group of its own
all_and_top &
lane=$!
set +m
trap 'kill -- "-$lane" 2>/dev/null || true' EXIT  # one lane that fails ends the other
uniform_and_pruning
wait "$lane"
trap - EXIT
sed -n '3,$p' "$out/logs/prune 0-4.txt"

stage "what it answers: questions about pictures, right in percent; the first is what the others are compared with"
show eval compare "$out/answers/all" "$out/answers/uniform" "$out/answers/top" "$out/answers/aligned" "$out/answers/base" \
  "$out/answers/pruned" "$out/answers/healed" --changed 0 --html "$report"

# score NAME pictures|text: the mean over the kinds, in percent.
score() {
  local benchmark=mini folder=answers
  [ "$2" = pictures ] || { benchmark=mini-text; folder=text; }
  "$striate" eval score --answers "$out/$folder/$1/$benchmark/answers.jsonl" --benchmark $benchmark --data "$world" \
    --draws 0 --json | grep -A 9 '"headline"' | sed -n 's/^ *"value": *\([0-9.eE+-]*\),*$/\1/p' | head -n 1
}

say
say "Right in percent, mean over the kinds, of $(grep -c '"id"' "$world/test.json") questions about pictures and of text tasks:"
printf '  %-44s %9s %9s\n' "" pictures text
while IFS='|' read -r name what; do
  printf '  %-44s %9.1f %9.1f\n' "$what" "$(score "$name" pictures)" "$(score "$name" text)"
done <<'END'
base|the base, its projector untrained
aligned|the projector alone trained
all|tuned: all 16 layers
uniform|tuned: 4 layers, evenly spread
top|tuned: the top 4 layers
pruned|evenly spread, without 2 other layers
healed|the same, healed
END

# One sentence from the numbers. A difference whose paired 95% interval holds 0 is called none.
sentence() {
  local interval
  interval=$("$striate" eval compare "$out/answers/top" "$out/answers/uniform" --changed 0 |
    sed -n 's/^ *run 2 - run 1 \([^ ]*\) points (95%: \([^ ]*\) to \([^)]*\)).*/\1 \2 \3/p')
  awk -v all="$(score all pictures)" -v uniform="$(score uniform pictures)" -v text="$(score base text)" \
    -v text_all="$(score all text)" -v text_uniform="$(score uniform text)" -v interval="$interval" '
    BEGIN {
      split(interval, difference, " ")
      verdict = difference[2] > 0 ? "more than" : difference[3] < 0 ? "less than" : "not distinguishably other than"
      printf "With one seed, a quarter of the layers, evenly spread, reaches %.1f%% of what all layers reach about pictures ", 100 * uniform / all
      printf "(%.1f and %.1f), %s the top quarter (by %s points, 95%%: %s to %s); ", uniform, all, verdict, difference[1], difference[2], difference[3]
      printf "of the text tasks it keeps %.1f%%, all layers %.1f%%.\n", 100 * text_uniform / text, 100 * text_all / text
    }'
}

say
sentence
say
say "Everything lies in $out: report.html (every question with each model's answer), scores.html, sweep/report.html,"
say "logs/ (each command with its output), and the runs. Ask one of them more:"
say "  ${striate#"$root/"} chat --model $base --adapter $out/uniform --image $world/test/000000.png"
say "A published model goes the same way: docs/training.md."
say "[5/5] Demo: $(seconds_since "$started"); the report is $report"
