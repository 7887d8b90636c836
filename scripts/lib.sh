# Shared by the scripts of this folder; to be sourced. Sets `root` and moves there.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
deps=$root/.deps

say() { printf '%s\n' "$*"; }

# fail MESSAGE [HINT]: one line that says what, one that says what to do.
fail() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

seconds_since() { printf '%d s' $((SECONDS - $1)); }

# locate_torch: found|DIR|VERSION|CPU, absent|WHY or refused|WHY
locate_torch() { cmake "-DSTRIATE_TORCH=${STRIATE_TORCH:-}" -P cmake/LocateLibTorch.cmake; }

# How many compilers may run at once: one per core, and 1.5 GB of free memory for each.
build_jobs() {
  local cores available jobs
  [ -z "${STRIATE_JOBS:-}" ] || { printf '%s\n' "$STRIATE_JOBS"; return; }
  cores=$(nproc)
  available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
  jobs=$((available / 1500))
  [ "$jobs" -le "$cores" ] || jobs=$cores
  [ "$jobs" -ge 1 ] || jobs=1
  printf '%s\n' "$jobs"
}

# sources_matching PATTERN...: files of the repository, with zero bytes between; where git knows none (an unpacked
# archive), those that are there.
sources_matching() {
  if git ls-files -z -- "$@" 2>/dev/null | grep -qz .; then
    git ls-files -z -- "$@"
  else
    local pattern tests=()
    for pattern in "$@"; do tests+=(-o -path "./*${pattern#\*}"); done
    find . \( -name build -o -name .deps -o -name third_party \) -prune -o -type f \( "${tests[@]:1}" \) -print0
  fi
}

# junit FILE SUITE [CASE passed|failed|skipped]...: the results as JUnit, for scripts/tally.py.
junit() {
  local file=$1 suite=$2
  shift 2
  mkdir -p "$(dirname "$file")"
  {
    say "<testsuite name=\"$suite\">"
    while [ $# -gt 0 ]; do
      case $2 in
        passed) say "<testcase classname=\"$suite\" name=\"$1\"/>" ;;
        *) say "<testcase classname=\"$suite\" name=\"$1\"><${2/failed/failure}/></testcase>" ;;
      esac
      shift 2
    done
    say "</testsuite>"
  } >"$file"
}

# run_parts COMMAND...: such as "make test", one after another, each even when an earlier one failed. Says how long each took;
# the last line adds up what they tested, and the status says whether all is well.
# STRIATE_LAST_START=3900: no part begins when so many seconds have passed; one that does not counts as skipped.
run_parts() {
  local part started before status=0 number=0 last_start=${STRIATE_LAST_START:-}
  STRIATE_TALLY=$(mktemp -d)
  export STRIATE_TALLY
  trap 'rm -rf "$STRIATE_TALLY"' EXIT
  for part in "$@"; do
    number=$((number + 1))
    started=$SECONDS
    if [ -n "$last_start" ] && [ "$started" -gt "$last_start" ]; then
      say "== $number/$#: $part is left out: $(seconds_since 0) have passed, and no part begins after $last_start s"
      say '{"passed": 0, "failed": 0, "skipped": 1}' >"$STRIATE_TALLY/part-$number.json"
      continue
    fi
    say "== $number/$#: $part"
    before=$(ls "$STRIATE_TALLY" | wc -l)
    if ! $part; then
      status=1
      say "== $part failed"
      # What ends before it has results, such as a build, counts as one failure.
      [ "$(ls "$STRIATE_TALLY" | wc -l)" -gt "$before" ] ||
        say '{"passed": 0, "failed": 1, "skipped": 0}' >"$STRIATE_TALLY/part-$number.json"
    fi
    say "== $number/$#: $part took $(seconds_since "$started")"
  done
  python3 scripts/tally.py --sum "$STRIATE_TALLY" || status=1
  return "$status"
}
