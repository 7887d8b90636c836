#!/usr/bin/env bash
# clang-tidy over the library and the program, with the checks of .clang-tidy.
#
#   scripts/tidy.sh [FILE...]
. "$(dirname "$0")/lib.sh"
command -v clang-tidy >/dev/null || fail "clang-tidy is not installed" "apt-get install clang-tidy (Debian 12 has 14)"
[ -e build/tidy/compile_commands.json ] || STRIATE_STEPS=4 scripts/setup.sh
# GCC's precompiled headers mean nothing to clang: a configuration of its own, without them.
cmake --preset release -B build/tidy -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON "-DSTRIATE_TORCH=${STRIATE_TORCH:-}" >/dev/null
if [ $# -gt 0 ]; then files=("$@"); else mapfile -t files < <(git ls-files 'src/*.cpp' 'apps/*.cpp'); fi
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(build_jobs)" clang-tidy -p build/tidy --quiet
