#!/usr/bin/env bash
# Compiles everything with clang, whose warnings differ from GCC's, and runs the quick tests of what came out.
. "$(dirname "$0")/lib.sh"
export STRIATE_STEPS=5
STRIATE_PACKAGES=scripts/packages-fuzz.txt scripts/build.sh clang

started=$SECONDS
results=$root/build/clang/quick.xml
rm -f "$results"
say "[5/5] Clang: quick tests"
status=0
ctest --preset clang -j "$(build_jobs)" -L quick --no-tests=error --output-junit "$results" || status=$?
say "[5/5] Clang: $(seconds_since "$started")"
python3 scripts/tally.py --label clang "$results" || status=1
exit "$status"
