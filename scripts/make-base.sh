#!/usr/bin/env bash
# Makes the miniature base of mini/ from random weights: a decoder that has read, a vision tower that has seen, joined
# (mini/README.md says how they learn). Killed anywhere, the same command goes on. An hour or two of one core
# with bf16; without, more than three hours of two cores.
#
#   scripts/make-base.sh OUT       OUT/base is the model
#
#   STRIATE_BUILD=DIR   the program is here in place of build/release
#   THREADS=1           threads of each training; with another number, sums are rounded differently
. "$(dirname "$0")/lib.sh"
[ $# = 1 ] || fail "one folder is needed" "scripts/make-base.sh OUT"
striate=${STRIATE_BUILD:-$root/build/release}/apps/striate/striate
[ -x "$striate" ] || fail "$striate is missing" "run 'make build'"
out=$(given_path "$1")
mkdir -p "$out"

render=(mini render --grid 3 --digit-labels --held-out 0)
shape=(--arch bunny-llama3-8b --dtype fp32 --hidden 128 --heads 4 --kv-heads 4 --mlp 320 --rope-theta 1000
  --max-positions 512 --vision-layers 4 --vision-hidden 192 --vision-heads 6 --vision-mlp 768 --image-size 48
  --patch-size 16 --tokenizer mini/tokenizer)

# whole FOLDER COMMAND...: unless the folder is there, which these commands write whole or not at all.
whole() {
  [ -d "$out/$1" ] || { say "== $1"; "$striate" "${@:2}" --out "$out/$1"; }
}

# trained FOLDER FLAGS...: unless the run has ended.
trained() {
  [ ! -f "$out/$1/model.safetensors" ] || return 0
  say "== $1"
  "$striate" train "${@:2}" --threads "${THREADS:-1}" --resume --out "$out/$1"
}

# texts NAME FLAGS...: a world without pictures.
texts() { whole "texts-$1" "${render[@]}" --train 0 "${@:2}"; }

# joined NAME FILE...: texts of several worlds in one file.
joined() { [ -f "$out/$1.json" ] || (cd "$out" && python3 "$root/scripts/base_texts.py" "$1.json" "${@:2}"); }

# reads NAME MODEL DATA STEPS LR SCHEDULE WARMUP FLAGS...: a stage of the decoder.
reads() {
  trained "$1" --config mini/decoder.toml --model "$out/$2" --data "$out/$3" --steps "$4" --lr "$5" --schedule "$6" \
    --warmup-steps "$7" "${@:8}"
}

# What is hard to learn is a question about one thing that two words name, and then about two such things. These get stages
# in which little else is asked; everything is asked in the second stage and in the last four. Among one to three objects a
# guess finds the thing so often that a decoder stops learning to find it; among seven it does not.
texts lookup --seed 1 --max-objects 4 --questions 6 --text 60000 --families color,shape,size,position
texts every-kind --seed 1 --max-objects 4 --questions 8 --text 150000
texts places --seed 2 --max-objects 4 --questions 6 --text 80000 --families position,cell,relation,compare,count,multihop \
  --text-families sum,string,logic,facts
texts two-things --seed 3 --max-objects 3 --questions 4 --text 60000 --families position,relation,compare \
  --text-families sum,string --text-family-share 0.3
texts relation --seed 5 --max-objects 3 --questions 4 --text 90000 --families relation,compare --text-families sum \
  --text-family-share 0.15
texts compare --seed 8 --max-objects 3 --questions 4 --text 40000 --families compare --text-families sum \
  --text-family-share 0.2
texts again --seed 6 --max-objects 3 --questions 6 --text 90000 --text-family-share 0.4
texts position --seed 10 --max-objects 3 --questions 4 --text 30000 --families position,choice --text-families sum \
  --text-family-share 0.3
texts seven --seed 22 --max-objects 7 --questions 4 --text 40000 --families position --text-families sum \
  --text-family-share 0.3
texts more --seed 23 --max-objects 3 --questions 6 --text 80000 --text-family-share 0.4
texts three --seed 24 --max-objects 3 --questions 4 --text 40000 --families position --text-families sum \
  --text-family-share 0.4
joined mixed texts-again/text.json texts-compare/text.json:30000
joined reader texts-again/text.json texts-position/text.json
joined seven texts-seven/text.json:30000 texts-more/text.json:8000
joined last texts-more/text.json:60000 texts-seven/text.json:8000 texts-three/text.json:10000

whole reader-0 init "${shape[@]}" --layers 16 --embedding-std 0.3 --residual-scale 0.18 --seed 1
reads lookup reader-0 texts-lookup/text.json 500 1.5e-3 constant 100
reads every-kind lookup texts-every-kind/text.json 2000 1.5e-3 cosine 50
reads places every-kind texts-places/text.json 600 1.5e-3 constant 50
reads two-things places texts-two-things/text.json 600 1e-3 constant 20
reads relation two-things texts-relation/text.json 500 1.5e-3 constant 20
reads compare relation texts-compare/text.json 500 1.5e-3 constant 20
reads mixed compare mixed.json 1100 1e-3 cosine 30
reads reader mixed reader.json 800 8e-4 cosine 30
reads seven reader seven.json 450 1.2e-3 constant 30
reads last seven last.json 600 1e-3 cosine 30 --batch 32

whole pictures "${render[@]}" --seed 4 --max-objects 4 --train 60000
whole seer-0 init "${shape[@]}" --layers 3 --seed 2
trained seer --config mini/tower.toml --model "$out/seer-0" --data "$out/pictures/align.json" --images "$out/pictures"

python3 scripts/join_base.py "$out/last" "$out/seer" "$out/base"
sha256sum "$out/base/model.safetensors"
