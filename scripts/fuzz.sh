#!/usr/bin/env bash
# Fuzzes every parser of outside files for a while (docs/reliability.md): libFuzzer with AddressSanitizer and
# UndefinedBehaviorSanitizer, each harness in fuzz/harnesses with its seeds in fuzz/seeds.
# The last line is "N passed, N failed, N skipped"; a harness fails when a parser does what no parser may.
#
#   scripts/fuzz.sh [HARNESS...]        such as: scripts/fuzz.sh gguf pictures
#   STRIATE_FUZZ_SECONDS=60             for each of them
#   STRIATE_FUZZ_JOBS=2                 so many at a time
. "$(dirname "$0")/lib.sh"
seconds=${STRIATE_FUZZ_SECONDS:-60}
jobs=${STRIATE_FUZZ_JOBS:-$(build_jobs)}
[[ $seconds =~ ^[1-9][0-9]*$ ]] ||
  fail "STRIATE_FUZZ_SECONDS is '$seconds'" "give whole seconds for each harness, such as 60"
mapfile -t all < <(cd fuzz/harnesses && printf '%s\n' *.cpp | sed 's/\.cpp$//')
for name in "$@"; do
  [ -e "fuzz/harnesses/$name.cpp" ] || fail "there is no harness '$name'" "there are: ${all[*]}"
done
if [ $# -gt 0 ]; then harnesses=("$@"); else harnesses=("${all[@]}"); fi

export STRIATE_STEPS=5
STRIATE_PACKAGES=scripts/packages-fuzz.txt scripts/build.sh fuzz "${harnesses[@]/#/fuzz_}"

# The harnesses' files live in memory where there is room for them.
scratch=$(mktemp -d -p /dev/shm striate-fuzz.XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export scratch seconds root

# Every input may take this long and this much memory, the sanitizers' share included.
export input_seconds=30 memory_mb=2048

# one HARNESS: runs it; its log is build/fuzz/logs/HARNESS.log, its findings go to build/fuzz/findings/HARNESS-...
one() {
  local name=$1 log=$root/build/fuzz/logs/$1.log dictionary=() started=$SECONDS
  mkdir -p "$scratch/$name" "$root/build/fuzz/corpus/$name"
  [ ! -e "$root/fuzz/dictionaries/$name.dict" ] || dictionary=("-dict=$root/fuzz/dictionaries/$name.dict")
  TMPDIR=$scratch/$name OMP_NUM_THREADS=1 UBSAN_OPTIONS=print_stacktrace=1 \
    "$root/build/fuzz/fuzz/fuzz_$name" "-max_total_time=$seconds" "-timeout=$input_seconds" "-rss_limit_mb=$memory_mb" \
    -max_len=16384 -print_final_stats=1 "${dictionary[@]}" "-artifact_prefix=$root/build/fuzz/findings/$name-" \
    "$root/build/fuzz/corpus/$name" "$root/fuzz/seeds/$name" >"$log" 2>&1
  printf '%s\n' "$?" >"$log.status"
  printf '%s\n' "$((SECONDS - started))" >"$log.seconds"
}
export -f one

mkdir -p build/fuzz/{corpus,findings,logs}
rm -f build/fuzz/logs/*
say "[5/5] Fuzzing: ${#harnesses[@]} parsers, $seconds s each, $jobs at a time"
printf '%s\0' "${harnesses[@]}" | xargs -0 -n 1 -P "$jobs" bash -c 'one "$1"' one

status=0
python3 scripts/fuzz_results.py build/fuzz "${harnesses[@]}" || status=1
python3 scripts/tally.py --label fuzz build/fuzz/fuzz.xml || status=1
exit "$status"
