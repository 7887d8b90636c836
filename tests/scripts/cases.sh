#!/usr/bin/env bash
# What scripts/lib.sh promises to the scripts that use it: each case is a test (CMakeLists.txt).
#
#   cases.sh SOURCE CASE
set -euo pipefail
source=$1 case=$2
. "$source/scripts/lib.sh"  # moves to SOURCE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# expect TEXT FILE: the file must have this line.
expect() { grep -qxF -- "$1" "$2" || fail "no line \"$1\" in: $(cat "$2")"; }

# tested LABEL PASSED FAILED: what a part of a run leaves behind; it fails where a test failed.
tested() {
  printf '{"passed": %s, "failed": %s, "skipped": 0}\n' "$2" "$3" >"$STRIATE_TALLY/$1.json"
  [ "$3" = 0 ]
}

breaks() { return 3; }

# run FILE COMMAND...: run_parts with its output in the file; the status in `status`.
run() {
  status=0
  (run_parts "${@:2}") >"$1" || status=$?
}

all_parts_are_added_up() {
  run "$work/out" "tested one 3 0" "tested two 4 0"
  [ "$status" = 0 ] || fail "two parts passed, and the status is $status"
  expect "7 passed, 0 failed, 0 skipped" "$work/out"
}

a_failed_part_does_not_end_the_run() {
  run "$work/out" "tested one 3 2" "tested two 4 0"
  [ "$status" != 0 ] || fail "a part failed, and the status is 0"
  expect "== tested one 3 2 failed" "$work/out"
  expect "7 passed, 2 failed, 0 skipped" "$work/out"
}

a_part_without_results_is_one_failure() {
  run "$work/out" "breaks" "tested two 4 0"
  [ "$status" != 0 ] || fail "a part broke, and the status is 0"
  expect "4 passed, 1 failed, 0 skipped" "$work/out"
}

no_part_begins_after_the_last_start() {
  SECONDS=100
  STRIATE_LAST_START=99 run "$work/out" "tested one 3 0"
  [ "$status" = 0 ] || fail "a part that is left out is no failure, and the status is $status"
  grep -q "^== 1/1: tested one 3 0 is left out: 10. s have passed" "$work/out" || fail "$(cat "$work/out")"
  expect "0 passed, 0 failed, 1 skipped" "$work/out"
  STRIATE_LAST_START=1000 run "$work/out" "tested one 3 0"
  expect "3 passed, 0 failed, 0 skipped" "$work/out"
}

"$case"
