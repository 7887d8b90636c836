#!/usr/bin/env bash
# Unpacks NVRTC, CUDA's compiler as a library, in .deps/nvrtc: tests compile the GPU kernels with it, on machines without
# a GPU, too. No driver and no toolkit is needed. Nothing else uses it.
. "$(dirname "$0")/lib.sh"

install_nvrtc() {
  local started=$SECONDS folder=$deps/nvrtc work
  if cmp -s scripts/nvrtc-wheel.txt "$folder/complete"; then
    say "NVRTC: in .deps/nvrtc"
    return
  fi
  mkdir -p "$deps"
  exec 9>"$deps/lock"
  flock 9
  rm -rf "$folder"
  work=$folder/work
  mkdir -p "$work" "$folder/lib"
  python3 -m venv "$work/python" || fail "python3 -m venv failed" "Debian has it in the package python3-venv"
  "$work/python/bin/python" -m pip download --disable-pip-version-check --no-input -q --no-deps --require-hashes \
    --only-binary :all: -r scripts/nvrtc-wheel.txt -d "$work" ||
    fail "pip could not download NVRTC" "run again to go on; without it, the tests that need it are skipped"
  python3 -m zipfile -e "$work"/nvidia_cuda_nvrtc-*.whl "$work/wheel"
  mv "$work"/wheel/nvidia/cu13/lib/libnvrtc.so.13 "$work"/wheel/nvidia/cu13/lib/libnvrtc-builtins.so.* "$folder/lib/"
  mv "$work"/wheel/nvidia_cuda_nvrtc-*.dist-info/licenses "$folder/licenses"
  rm -rf "$work"
  cp scripts/nvrtc-wheel.txt "$folder/complete"
  exec 9>&-
  say "NVRTC: unpacked in .deps/nvrtc in $(seconds_since "$started")"
}
install_nvrtc
