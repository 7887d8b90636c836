#!/usr/bin/env bash
# What scripts/lib.sh promises to the scripts that use it, and what some of these promise: each case is a test
# (CMakeLists.txt).
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

paths_are_those_of_the_callers_folder() {
  mkdir -p "$work/with space"
  (
    cd "$work/with space"
    STRIATE_TORCH=venv STRIATE_BUILD=/build STRIATE_PEER_PYTHON=python3 bash -c '
      . "$1/scripts/lib.sh"
      given_path a/b
      given_path /c
      given_path ""
      say "$PWD|$STRIATE_TORCH|$STRIATE_BUILD|$STRIATE_PEER_PYTHON"
      env | sed -n "s/^STRIATE_TORCH=//p"' - "$source"
  ) >"$work/out"
  printf '%s\n' "$work/with space/a/b" /c "" "$source|$work/with space/venv|/build|python3" "$work/with space/venv" |
    diff - "$work/out" || fail "paths are not the caller's"
}

a_script_takes_its_folders_from_the_caller() {
  mkdir -p "$work/fake/apps/striate" "$work/model"
  printf '#!/bin/sh\nprintf "%%s\\n" "$*" >"%s/asked"\nexit 3\n' "$work" >"$work/fake/apps/striate/striate"
  chmod +x "$work/fake/apps/striate/striate"
  status=0
  (cd "$work" && STRIATE_BUILD=fake "$source/scripts/gate-base.sh" model out) || status=$?
  [ "$status" = 3 ] || fail "the program was not asked: status $status"
  grep -qF -- "--out $work/out/world" "$work/asked" || fail "$(cat "$work/asked")"
}

libraries_in_a_folder_with_a_space_are_found() {
  local library folder="$work/with space"
  library=$(shared_libraries_of "$BASH" | head -n 1)
  [ -n "$library" ] || fail "$BASH needs no library"
  mkdir -p "$folder"
  cp -L "$library" "$folder/"
  LD_LIBRARY_PATH=$folder shared_libraries_of "$BASH" >"$work/out"
  expect "$folder/$(basename "$library")" "$work/out"
}

# Nothing is downloaded: in place of pip, a script copies a wheel that is made here.
a_wheel_is_unpacked_once() {
  deps=$work/deps
  mkdir -p "$deps/torch/bin" "$work/wheel/pkg"
  say something >"$work/wheel/pkg/part"
  (cd "$work/wheel" && python3 -m zipfile -c "$work/pkg-1.whl" pkg)
  cat >"$deps/torch/bin/python" <<PYTHON
#!/bin/sh
case "\$*" in
  *"pip download"*) printf '%s\n' "\$*" >>"$work/calls"; for last; do :; done; cp "$work/pkg-1.whl" "\$last/" ;;
  *) exec python3 "\$@" ;;
esac
PYTHON
  chmod +x "$deps/torch/bin/python"
  say "pkg==1 --hash=sha256:0" >"$work/pin"
  take() { mv "$1/pkg/part" "$2/lib/"; }
  unpack_wheel "$work/pin" "$deps/pkg" take "no hint" --platform any
  unpack_wheel "$work/pin" "$deps/pkg" take "no hint" --platform any
  expect something "$deps/pkg/lib/part"
  cmp "$work/pin" "$deps/pkg/complete"
  [ ! -e "$deps/pkg/work" ] || fail "the unpacked wheel is left behind"
  [ "$(wc -l <"$work/calls")" = 1 ] || fail "downloaded more than once: $(cat "$work/calls")"
  grep -q -- "--platform any -r $work/pin" "$work/calls" || fail "$(cat "$work/calls")"
}

# metrics FIRST LAST: the lines of these steps.
metrics() { for ((step = $1; step <= $2; ++step)); do say "{\"step\": $step, \"loss\": $step.5}"; done; }

a_kill_that_shows_nothing_of_resuming_is_a_failure() {
  compared() { python3 "$source/scripts/real_data.py" compare "$work/before" "$work/run" >"$work/out" 2>&1; }
  mkdir "$work/run"
  say '{"steps": 10, "resumed_from_step": 4}' >"$work/run/run.json"
  metrics 1 7 >"$work/before"
  metrics 1 10 >"$work/run/metrics.jsonl"
  compared || fail "a run that was resumed is refused: $(cat "$work/out")"
  expect "killed after step 7, resumed after step 4: of 3 steps taken twice, 0 differ" "$work/out"
  metrics 1 10 >"$work/before"
  ! compared || fail "the run was not killed"
  metrics 1 4 >"$work/before"
  ! compared || fail "no step was taken twice"
  metrics 1 7 | sed 's/6.5/6.25/' >"$work/before"
  ! compared || fail "a loss differs"
  expect "error: resuming changed step 6" "$work/out"
  metrics 1 7 >"$work/before"
  say '{"steps": 10, "resumed_from_step": 0}' >"$work/run/run.json"
  ! compared || fail "the run began anew"
}

"$case"
