#!/usr/bin/env bash
# What a miniature base must be able to do before experiments with it mean anything (mini/README.md), checked on any
# model: it answers questions about scenes told in words, and the text tasks, and every layer of it does something. Prints
# what holds and what does not; the status is 1 where something does not hold. Minutes of one core.
#
#   scripts/gate-base.sh [MODEL] [OUT]   default: mini/base, build/gate
#
#   STRIATE_BUILD=DIR   the program is here in place of build/release
. "$(dirname "$0")/lib.sh"
model=$(given_path "${1:-$root/mini/base}")
out=$(given_path "${2:-$root/build/gate}")
striate=${STRIATE_BUILD:-$root/build/release}/apps/striate/striate
[ -x "$striate" ] || fail "$striate is missing" "run 'make build'"
[ -d "$model" ] || fail "$model is missing" "name the folder of a model"
world=$out/world
[ -d "$world" ] || "$striate" mini render --seed 11 --grid 3 --max-objects 3 --digit-labels --train 0 --held-out 0 \
  --test 1 --text 40000 --questions 1 --out "$world"
exec python3 scripts/gate_base.py "$striate" "$model" "$world" "$out"
