#!/bin/sh
# Runs a test program on the device that STRIATE_TEST_DEVICE names: on the pretend one where it names none.
export STRIATE_TEST_DEVICE="${STRIATE_TEST_DEVICE:-pretend}"
exec "$@"
