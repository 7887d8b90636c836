#!/usr/bin/env bash
# Measures training steps against transformers + PEFT and against the floor under both (docs/performance.md).
#
#   scripts/bench-train-step.sh [ARGUMENT OF bench/train_step/run.py...]      such as: scripts/bench-train-step.sh --json
. "$(dirname "$0")/lib.sh"
{  # standard output belongs to the results
  export STRIATE_STEPS=6
  scripts/build.sh release striate bench_train_step
  scripts/install-peers.sh bench/peers/requirements.txt bench-peers
  say "[6/6] Measuring"
} >&2
cd "$called_from"
exec python3 "$root/bench/train_step/run.py" "$@"
