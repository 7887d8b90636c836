#!/usr/bin/env bash
# clang-format over our sources: rewrites them, or with --check only says which differ (and fails).
. "$(dirname "$0")/lib.sh"
command -v clang-format >/dev/null || fail "clang-format is not installed" "apt-get install clang-format (Debian 12 has 14)"
mapfile -d '' files < <(sources_matching '*.h' '*.cpp' '*.cu' '*.cuh')
if [ "${1:-}" != --check ]; then
  clang-format -i "${files[@]}"
  exit
fi
status=0
clang-format --dry-run --Werror "${files[@]}" || status=1
[ "$status" = 0 ] || say "hint: 'make format' mends them"
junit build/format.xml format "${#files[@]} sources" "$([ "$status" = 0 ] && say passed || say failed)"
python3 scripts/tally.py --label format build/format.xml
