#!/usr/bin/env bash
# Builds everything and runs every C++ test: units, the program from outside, parity with the goldens.
# The last line is "N passed, N failed, N skipped"; the exit status says whether all is well.
#
#   scripts/test.sh [PRESET] [CTEST ARGUMENT...]      such as: scripts/test.sh debug -R tensor
. "$(dirname "$0")/lib.sh"
preset=${1:-release}
[ $# -eq 0 ] || shift
export STRIATE_STEPS=5
scripts/build.sh "$preset"

started=$SECONDS
results=$root/build/$preset/ctest.xml
# ctest keeps its list of tests while the programs stay as they are; which tests there are depends on the data, too.
find "$root/build/$preset/tests" -name '*_tests.cmake' -delete
rm -f "$results"
say "[5/5] Tests"
status=0
ctest --preset "$preset" -j "$(build_jobs)" --no-tests=error --output-junit "$results" "$@" || status=$?
say "[5/5] Tests: $(seconds_since "$started")"
python3 scripts/tally.py --label tests "$results" || status=1
exit "$status"
