#!/usr/bin/env bash
# What takes longer than .ci/run: every test under the sanitizers, a build with clang, clang-tidy over every source, and
# the release archive. All run even when an earlier one fails; the last line adds them up.
. "$(dirname "$0")/lib.sh"
run_parts "make tidy-changed" "make test-debug" "make clang" "make tidy" "make package"
