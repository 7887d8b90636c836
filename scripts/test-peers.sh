#!/usr/bin/env bash
# Compares the program with living peers (transformers, tokenizers, Pillow, ...): tests/peers, in a pinned Python
# environment of its own, .deps/peers. The last line is "N passed, N failed, N skipped".
#
#   scripts/test-peers.sh [PYTEST ARGUMENT...]      such as: scripts/test-peers.sh -k images
. "$(dirname "$0")/lib.sh"
export STRIATE_STEPS=6
scripts/build.sh release striate image_probe weights_probe rows_probe answers_probe parity_test

scripts/install-peers.sh

# As many files at a time as there are cores. Each computes with one thread: the threads of OpenMP would wait for each other
# on the core that the file beside it needs.
jobs=$(build_jobs)  # before OMP_NUM_THREADS, which nproc believes
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

started=$SECONDS
results=$root/build/release/peers.xml
rm -f "$results"
say "[6/6] Peers: the comparisons"
status=0
"$deps/peers/bin/python" -m pytest -p no:cacheprovider -n "$jobs" --dist loadfile -v -rs --junitxml "$results" tests/peers "$@" || status=$?
say "[6/6] Peers: $(seconds_since "$started")"
python3 scripts/tally.py --label peers "$results" || status=1
exit "$status"
