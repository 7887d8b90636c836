#!/usr/bin/env bash
# Installs Striate, makes the release archive, and builds the examples outside the tree: with the installed library, with
# that of the archive, and with the sources. Then runs them. The last line is "N passed, N failed, N skipped".
#
#   scripts/test-package.sh [CTEST ARGUMENT...]      such as: scripts/test-package.sh -R Installed
. "$(dirname "$0")/lib.sh"
scripts/package.sh

started=$SECONDS
results=$root/build/release/package.xml
rm -f "$results"
say "[5/5] Package: install, and two programs outside the tree"
status=0
ctest --preset release -C Package -L '^package$' --no-tests=error --output-junit "$results" "$@" || status=$?
say "[5/5] Package: $(seconds_since "$started")"
python3 scripts/tally.py --label package "$results" || status=1
exit "$status"
