#!/usr/bin/env bash
# Measures what scoring layers costs beside the plain forward pass, and its memory (docs/performance.md).
#
#   scripts/bench-score.sh [ARGUMENT OF bench/score/run.py...]      such as: scripts/bench-score.sh --json
. "$(dirname "$0")/lib.sh"
{  # standard output belongs to the results
  export STRIATE_STEPS=5
  scripts/build.sh release striate bench_score
  say "[5/5] Measuring"
} >&2
cd "$called_from"
exec python3 "$root/bench/score/run.py" "$@"
