#!/usr/bin/env bash
# The tests of the rooms that need no LibTorch under AddressSanitizer and UndefinedBehaviorSanitizer: minutes, where
# `make test-debug` takes the better part of an hour for everything.
. "$(dirname "$0")/lib.sh"
rooms=(base tables report answers text image mini)
export STRIATE_STEPS=5
scripts/build.sh debug "${rooms[@]/#/test_}"

started=$SECONDS
results=$root/build/debug/sanitized.xml
rm -f "$results"
say "[5/5] Sanitizers: ${rooms[*]}"
status=0
ctest --preset debug -j "$(build_jobs)" -R "^($(IFS='|'; echo "${rooms[*]}"))\." --no-tests=error \
  --output-junit "$results" || status=$?
say "[5/5] Sanitizers: $(seconds_since "$started")"
python3 scripts/tally.py --label sanitized "$results" || status=1
exit "$status"
