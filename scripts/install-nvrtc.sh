#!/usr/bin/env bash
# Unpacks NVRTC, CUDA's compiler as a library, in .deps/nvrtc: tests compile the GPU kernels with it, on machines without
# a GPU, too. No driver and no toolkit is needed. Nothing else uses it.
. "$(dirname "$0")/lib.sh"

take_nvrtc() {
  mv "$1"/nvidia/cu13/lib/libnvrtc.so.13 "$1"/nvidia/cu13/lib/libnvrtc-builtins.so.* "$2/lib/"
  mv "$1"/nvidia_cuda_nvrtc-*.dist-info/licenses "$2/licenses"
}

install_nvrtc() {
  local started=$SECONDS
  if cmp -s scripts/nvrtc-wheel.txt "$deps/nvrtc/complete"; then
    say "NVRTC: in .deps/nvrtc"
    return
  fi
  unpack_wheel scripts/nvrtc-wheel.txt "$deps/nvrtc" take_nvrtc \
    "run again to go on; without it, the tests that need it are skipped"
  say "NVRTC: unpacked in .deps/nvrtc in $(seconds_since "$started")"
}
install_nvrtc
