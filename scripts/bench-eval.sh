#!/usr/bin/env bash
# Measures `striate eval run` against one by one, transformers and lm-evaluation-harness (docs/performance.md).
#
#   scripts/bench-eval.sh [ARGUMENT OF bench/eval/run.py...]      such as: scripts/bench-eval.sh --json
. "$(dirname "$0")/lib.sh"
{  # standard output belongs to the results
  export STRIATE_STEPS=6
  scripts/build.sh release striate
  scripts/install-peers.sh
  say "[6/6] Measuring"
} >&2
cd "$called_from"
exec python3 "$root/bench/eval/run.py" "$@"
