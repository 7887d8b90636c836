#!/usr/bin/env bash
# The CPU loops that are not x86-64's, compiled for aarch64 without warnings. Skipped (77) where there is no cross compiler.
#
#   compile_for_arm.sh REPOSITORY
set -euo pipefail
cd "$1"
compiler=aarch64-linux-gnu-g++
if ! command -v "$compiler" >/dev/null; then
  echo "SKIPPED: $compiler is not installed (Debian: g++-aarch64-linux-gnu)"
  exit 77
fi
for source in portable_kernels dispatch; do
  "$compiler" -std=c++20 -Wall -Wextra -Werror -fsyntax-only -Isrc "src/striate/tensor/kernels/$source.cpp"
done
