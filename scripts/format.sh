#!/usr/bin/env bash
# clang-format over our sources: rewrites them, or with --check only says which differ (and fails).
. "$(dirname "$0")/lib.sh"
command -v clang-format >/dev/null || fail "clang-format is not installed" "apt-get install clang-format (Debian 12 has 14)"
mode=(-i)
[ "${1:-}" != --check ] || mode=(--dry-run --Werror)
git ls-files -z '*.h' '*.cpp' | xargs -0 clang-format "${mode[@]}"
