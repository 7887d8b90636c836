#!/usr/bin/env bash
# Configures and builds a preset (CMakePresets.json), after scripts/setup.sh.
#
#   scripts/build.sh PRESET [TARGET...]
. "$(dirname "$0")/lib.sh"
preset=${1:?usage: scripts/build.sh PRESET [TARGET...]}
shift
steps=${STRIATE_STEPS:-4}
STRIATE_STEPS=$steps scripts/setup.sh

started=$SECONDS
mkdir -p build
if ! cmake --preset "$preset" "-DSTRIATE_TORCH=${STRIATE_TORCH:-}" "-DSTRIATE_ARROW=${STRIATE_ARROW:-}" \
  "-DSTRIATE_PARQUET=${STRIATE_PARQUET:-ON}" >"build/$preset-configure.log" 2>&1; then
  cat "build/$preset-configure.log" >&2
  fail "cmake could not configure the preset $preset" "its log is build/$preset-configure.log"
fi
say "[3/$steps] Configure: preset $preset, $(seconds_since "$started")"

started=$SECONDS
jobs=$(build_jobs)
say "[4/$steps] Build: $jobs at a time"
export NINJA_STATUS="[4/$steps] [%f/%t, %e s] "
cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"} || fail "the build failed" "see the first error above"
say "[4/$steps] Build: done in $(seconds_since "$started")"
