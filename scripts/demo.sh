#!/usr/bin/env bash
# Sets up, builds the program, makes a tiny LLaVA-1.5 of random weights and asks it about a real photo.
. "$(dirname "$0")/lib.sh"
export STRIATE_STEPS=5
scripts/build.sh release striate

started=$SECONDS
striate=$root/build/release/apps/striate/striate
model=$root/build/demo/tiny-llava
photo=demo/coffee.jpg
question="What is in this picture?"

show() {  # prints a command as one would type it, then runs it
  local argument line="$ striate"
  for argument in "${@#"$root/"}"; do
    case $argument in
      *[[:space:]]*) line+=" '$argument'" ;;
      *) line+=" $argument" ;;
    esac
  done
  printf '\n%s\n' "$line"
  "$striate" "$@"
}

say "[5/5] Demo"
say
say "A LLaVA-1.5 with everything the published one has (vision tower, projector, decoder, tokenizer, conversation"
say "template), but tiny and of RANDOM WEIGHTS: it has learnt nothing. This shows that the program works, not that the"
say "model knows what is in the picture. A published checkpoint goes the same way: striate chat --model DIR."
rm -rf "$model"
mkdir -p "$(dirname "$model")"
show init --arch llava-1.5-7b --layers 4 --hidden 256 --heads 8 --mlp 688 --vocab 1502 --max-positions 2048 \
  --vision-layers 3 --vision-hidden 128 --vision-heads 4 --vision-mlp 512 \
  --tokenizer "$root/demo/tokenizer.model" --seed 1 --out "$model"
show inspect --model "$model"
show chat --model "$model" --image "$photo" --prompt "$question" --max-tokens 32 --temperature 1 --seed 1

say
say "The answer is nonsense, as it must be: the weights are random. The photo is demo/coffee.jpg (CC0)."
say "[5/5] Demo: $(seconds_since "$started")"
