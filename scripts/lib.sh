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
