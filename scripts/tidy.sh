#!/usr/bin/env bash
# clang-tidy with the checks of .clang-tidy; a file passes when it has nothing to say.
#
#   scripts/tidy.sh                 over the library and the program
#   scripts/tidy.sh FILE...         over these files
#   scripts/tidy.sh --changed [N]   over those that differ from the main branch, or that the last commit changed where
#                                   this is the main branch; at most N (16), and it says how many more there are
. "$(dirname "$0")/lib.sh"
command -v clang-tidy >/dev/null || fail "clang-tidy is not installed" "apt-get install clang-tidy (Debian 12 has 14)"

# What the changes are counted from; nothing where git knows no earlier commit.
changed_since() {
  local base
  base=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null || true)
  if [ -z "$base" ] || [ "$base" = "$(git rev-parse HEAD)" ]; then
    base=$(git rev-parse --quiet --verify 'HEAD~1' || true)
  fi
  printf '%s\n' "$base"
}

skipped=()
case ${1:-} in
  --changed)
    most=${2:-16}
    base=$(changed_since 2>/dev/null)
    if [ -z "$base" ]; then
      say "SKIPPED: clang-tidy of changed files: there is no git history here to compare with"
      junit build/tidy.xml tidy "changed files" skipped
      exec python3 scripts/tally.py --label tidy build/tidy.xml
    fi
    mapfile -t files < <(git diff --name-only --diff-filter=d "$base" -- 'src/*.cpp' 'apps/*.cpp')
    skipped=("${files[@]:$most}")
    files=("${files[@]:0:$most}")
    say "clang-tidy: ${#files[@]} sources that differ from $(git log -1 --format='%h (%s)' "$base")"
    [ ${#skipped[@]} -eq 0 ] || say "SKIPPED: ${#skipped[@]} more: 'make tidy' looks at every source"
    ;;
  '') mapfile -d '' files < <(sources_matching 'src/*.cpp' 'apps/*.cpp') ;;
  *)
    files=()
    for file in "$@"; do
      file=$(realpath -ms "$(given_path "$file")")
      files+=("${file#"$root/"}")
    done
    ;;
esac

[ -e build/tidy/compile_commands.json ] || STRIATE_STEPS=4 scripts/setup.sh
# GCC's precompiled headers mean nothing to clang, and files are looked at one by one: a configuration of its own.
cmake --preset dev -B build/tidy -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON "-DSTRIATE_TORCH=${STRIATE_TORCH:-}" >/dev/null
mkdir -p build/tidy/logs
rm -f build/tidy/logs/*

# one FILE: a log of its own, which is printed where clang-tidy found something.
one() {
  local log=build/tidy/logs/${1//\//-}
  if clang-tidy -p build/tidy --quiet --warnings-as-errors='*' "$1" >"$log" 2>/dev/null; then rm "$log"; else cat "$log"; fi
}
export -f one
[ ${#files[@]} -eq 0 ] || printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(build_jobs)" bash -c 'one "$1"' one

cases=()
for file in "${files[@]}"; do
  cases+=("$file" "$([ -e "build/tidy/logs/${file//\//-}" ] && say failed || say passed)")
done
[ ${#skipped[@]} -eq 0 ] || cases+=("${#skipped[@]} more changed files" skipped)
[ ${#cases[@]} -gt 0 ] || cases=("no source changed" passed)
junit build/tidy.xml tidy "${cases[@]}"
exec python3 scripts/tally.py --label tidy build/tidy.xml
