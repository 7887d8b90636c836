#!/usr/bin/env bash
# Builds, tests and measures on a machine with a GPU, in one command (docs/gpu.md#one-command-on-a-machine-with-a-gpu).
# What tells the most comes first, and each result is in the output folder as soon as it is there: a run that is cut
# off has told something.
#
#   scripts/gpu-check.sh [--minutes M] [--out DIR]     8 minutes; build/gpu-check
#
#   STRIATE_PREFIX_ARCHIVE=FILE   libraries that scripts/relocatable-prefix.sh collected; without it scripts/setup.sh
#                                 installs what is missing
#   STRIATE_TORCH=PATH            this PyTorch, a CUDA build
#   STRIATE_PEER_PYTHON=PATH      a Python with transformers and PEFT; without one Striate is measured alone
#   STRIATE_TEST_DEVICE=pretend   everything in miniature on the tests' pretend device, to try the command itself
. "$(dirname "$0")/lib.sh"
minutes=8
out=$root/build/gpu-check
while [ $# -gt 0 ]; do
  case $1 in
    --minutes) minutes=${2:-} && shift 2 || fail "--minutes needs a number" "such as --minutes 8" ;;
    --out) out=$(realpath -m "$(given_path "${2:-}")") && shift 2 || fail "--out needs a folder" "such as --out results" ;;
    *) fail "no option $1" "scripts/gpu-check.sh [--minutes M] [--out DIR]" ;;
  esac
done
[[ $minutes =~ ^[1-9][0-9]*$ ]] || fail "--minutes $minutes is not a whole number above 0" "such as --minutes 8"
device=${STRIATE_TEST_DEVICE:-cuda}
case $device in
  cuda) preset=cuda ;;
  pretend) preset=release ;;
  *) fail "STRIATE_TEST_DEVICE=$device is neither cuda nor pretend" "leave it out for a GPU" ;;
esac
export STRIATE_TEST_DEVICE=$device
build=$root/build/$preset
deadline=$((SECONDS + 60 * minutes))
failed=0

left() { say $((deadline - SECONDS)); }

# note PART STATUS SECONDS: a line of results.jsonl, and of the terminal.
note() {
  printf '{"part": "%s", "status": "%s", "seconds": %d}\n' "$1" "$2" "$3" >>"$out/results.jsonl"
  say "gpu-check: $1: $2, $3 s; $(left) s left"
  [[ $2 != failed* ]] || failed=1
}

# part NAME LEAST COMMAND...: its output goes to NAME.log, and JSON lines of standard output to NAME.jsonl as they come.
# Not begun with fewer than LEAST seconds left; ended when the time is over.
part() {
  local name=$1 least=$2 started=$SECONDS status=0
  shift 2
  if [ "$(left)" -lt "$least" ]; then
    note "$name" "skipped: it needs $least s" 0
    return 0
  fi
  set +e  # grep finds nothing where a part prints no JSON
  timeout --kill-after=10 "$(left)" bash -c '"$@"' "$name" "$@" 2>>"$out/$name.log" |
    tee -a "$out/$name.log" | grep --line-buffered '^{' >"$out/$name.jsonl"
  status=${PIPESTATUS[0]}
  set -e
  [ -s "$out/$name.jsonl" ] || rm -f "$out/$name.jsonl"
  case $status in
    0) note "$name" passed $((SECONDS - started)) ;;
    124 | 137) note "$name" "cut: out of time" $((SECONDS - started)) ;;
    *)
      note "$name" "failed: status $status" $((SECONDS - started))
      tail -n 5 "$out/$name.log" >&2
      ;;
  esac
}

# The prefix beside the build, where an archive brings one; its name there is whatever the archive calls it.
unpack_prefix() {
  local archive=$STRIATE_PREFIX_ARCHIVE folder=$deps/prefix
  [ -f "$archive" ] || fail "STRIATE_PREFIX_ARCHIVE=$archive: no such file" "make it with scripts/relocatable-prefix.sh DIR FILE"
  if [ ! -e "$folder/complete" ] || [ "$archive" -nt "$folder/complete" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    tar -C "$folder" --strip-components=1 -xf "$archive" || fail "$archive cannot be unpacked" "copy it again"
    [ -f "$folder/striate-prefix.cmake" ] || fail "$archive has no striate-prefix.cmake" "make it with scripts/relocatable-prefix.sh"
    touch "$folder/complete"
  fi
  say "$folder/striate-prefix.cmake"
}

# Configures and builds what the parts need, with every core.
build_all() {
  local prefix=() cache
  if [ -n "${STRIATE_PREFIX_ARCHIVE:-}" ]; then
    cache=$(unpack_prefix) || return 1
    prefix=(-C "$cache")
  else
    scripts/setup.sh || return 1
  fi
  cmake "${prefix[@]}" --preset "$preset" "-DSTRIATE_TORCH=${STRIATE_TORCH:-}" || return 1
  cmake --build "$build" -j "$(build_jobs)" --target "$@"
}

peer_python() {
  local python
  for python in "${STRIATE_PEER_PYTHON:-}" "$deps/bench-peers/bin/python" python3; do
    [ -n "$python" ] && "$python" -c 'import peft, torch, transformers' >/dev/null 2>&1 && say "$python" && return
  done
  return 0
}

about() {
  "$build/apps/striate/striate" --version
  nvidia-smi --query-gpu=name,memory.total,driver_version,clocks.max.sm,power.limit --format=csv 2>/dev/null || say "no nvidia-smi here"
}

export root deps preset build out
export -f say fail seconds_since build_jobs unpack_prefix build_all about

mkdir -p "$out"
rm -f "$out"/*.jsonl "$out"/*.log
if [ "$device" = cuda ] && ! [ -e /proc/driver/nvidia/version ]; then
  fail "no NVIDIA driver here" "STRIATE_TEST_DEVICE=pretend scripts/gpu-check.sh tries the command without a GPU"
fi

# The first build is of what the first parts need, and the tests follow when something has been measured.
part build 1 build_all striate test_cuda bench_train_step bench_generate bench_score
[ "$failed" = 0 ] || fail "the build failed" "see $out/build.log"
part machine 1 about
peers=$(peer_python)
if [ -n "$peers" ]; then peer=(--peer-python "$peers"); else peer=(--alone); fi

# The kernels against the CPU's loops, with the errors of each operator.
STRIATE_ERROR_REPORT=$out/errors.jsonl part kernels 5 "$build/tests/cuda/test_cuda" --gtest_filter='OnGpu.*'

model=$build/bench/llava-1.5-7b-32-layers
make_model() {
  [ -e "$model/config.json" ] || "$build/apps/striate/striate" init --arch llava-1.5-7b --dtype bf16 --seed 1 --out "$model"
}
export model
export -f make_model

common=(--build "$build" --device "$device" --json)
if [ "$device" = cuda ]; then
  part model 60 make_model  # one for all, 14 GB
  common+=(--checkpoint "$model")
  train=(python3 bench/train_step/run.py "${common[@]}" --compute bf16 --threads 8 --rounds 3 --steps 3)
  part train-step-16k 60 "${train[@]}" --shapes llava-7b-16k --regions uniform:8 --alone
  part build-tests 60 cmake --build "$build" -j "$(build_jobs)" --target device_tests
  part device-tests 30 ctest --test-dir "$build" -L device --output-on-failure
  part train-step 60 "${train[@]}" --shapes llava-7b --regions uniform:8,all --peer-compute bf16 --check-steps 0 "${peer[@]}"
  part train-step-fp8 60 "${train[@]}" --shapes llava-7b-16k --regions uniform:8 --alone --frozen-precision fp8
  part generate 45 python3 bench/generate/run.py "${common[@]}" --precision bf16 --peer-precision bf16 --threads 8 \
    --rounds 3 "${peer[@]}"
  part score 45 python3 bench/score/run.py "${common[@]}" --shapes llava-7b --precision bf16 --threads 8 --rounds 5 --speed-only
else
  part train-step-16k 5 python3 bench/train_step/run.py "${common[@]}" --compute bf16 --threads 1 --rounds 1 --steps 1 \
    --shapes miniature --regions uniform:4
  part build-tests 5 cmake --build "$build" -j "$(build_jobs)" --target device_tests
  part device-tests 5 ctest --test-dir "$build" -L device --output-on-failure
  part train-step 5 python3 bench/train_step/run.py "${common[@]}" --compute bf16 --threads 1 --rounds 1 --steps 1 \
    --shapes miniature --regions all
  part train-step-fp8 5 python3 bench/train_step/run.py "${common[@]}" --compute bf16 --threads 1 --rounds 1 --steps 1 \
    --shapes miniature --regions uniform:4 --alone --frozen-precision fp8
  part generate 5 python3 bench/generate/run.py "${common[@]}" --miniature --layers 2 --precision bf16 --threads 1 --rounds 1 --steps 4
  part score 5 python3 bench/score/run.py "${common[@]}" --shapes miniature --precision bf16 --threads 1 --rounds 1 --speed-only
fi
say "gpu-check: results are in $out"
exit "$failed"
