#!/usr/bin/env bash
# Measures generation against transformers and against what the machine can do (docs/performance.md).
#
#   scripts/bench-generate.sh [ARGUMENT OF bench/generate/run.py...]      such as: scripts/bench-generate.sh --json
. "$(dirname "$0")/lib.sh"
{  # standard output belongs to the results
  export STRIATE_STEPS=6
  scripts/build.sh release striate machine_rates bench_generate
  scripts/install-peers.sh
  say "[6/6] Measuring"
} >&2
cd "$called_from"
exec python3 "$root/bench/generate/run.py" "$@"
