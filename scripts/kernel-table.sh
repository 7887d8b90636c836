#!/usr/bin/env bash
# Writes the table of docs/gpu.md that says what every kernel takes of a GPU: compiles them for sm_80, sm_90 and sm_100
# with NVRTC, on any machine.
. "$(dirname "$0")/lib.sh"
scripts/install-nvrtc.sh
STRIATE_STEPS=4 scripts/build.sh release kernel_table
build/release/tests/cuda/kernel_table | python3 scripts/kernel_table.py docs/gpu.md
