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

# What a caller names is seen from the folder that he called from, which `cd` has left.
called_from=$OLDPWD

# given_path PATH: a path of the caller's, as it is seen from anywhere; an empty one stays empty.
given_path() {
  case $1 in
    '' | /*) say "$1" ;;
    *) say "$called_from/$1" ;;
  esac
}

for variable in STRIATE_ARROW STRIATE_BUILD STRIATE_GOLDENS STRIATE_PACKAGES STRIATE_PREFIX_ARCHIVE STRIATE_TESTDATA \
  STRIATE_TOKENIZER STRIATE_TORCH STRIATE_VLMEVALKIT; do
  [ -z "${!variable:-}" ] || printf -v "$variable" %s "$(given_path "${!variable}")"
done
unset variable
# A command without a slash, such as python3, is looked up and is no path.
[[ ${STRIATE_PEER_PYTHON:-} != */* ]] || STRIATE_PEER_PYTHON=$(given_path "$STRIATE_PEER_PYTHON")

# shared_libraries_of FILE: those that it needs, one on each line; the C and C++ libraries of every system aside.
shared_libraries_of() {
  ldd "$1" | sed -n 's|^.* => \(/.*\) (0x[0-9a-f]*)$|\1|p' |
    grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv|libgcc_s|libstdc\+\+|ld-linux[^/]*)\.so' || true
}

# unpack_wheel PIN FOLDER TAKE HINT [PIP ARGUMENT...]: makes FOLDER of the one wheel that the file PIN names with its
# hashes. `TAKE WHEEL FOLDER`, a function, moves what stays out of the unpacked wheel; FOLDER/lib is there already.
# FOLDER/complete, written last, holds the pin. HINT says what to do where pip cannot download.
unpack_wheel() {
  local pin=$1 folder=$2 take=$3 hint=$4 work=$2/work python=$deps/torch/bin/python
  mkdir -p "$deps"
  exec 9>"$deps/lock"
  flock 9  # two at once: the second waits and finds it done
  if ! cmp -s "$pin" "$folder/complete"; then
    rm -rf "$folder"
    mkdir -p "$work" "$folder/lib"
    if [ ! -x "$python" ]; then
      python3 -m venv "$work/python" || fail "python3 -m venv failed" "Debian has it in the package python3-venv"
      python=$work/python/bin/python
    fi
    "$python" -m pip download --disable-pip-version-check --no-input -q --no-deps --require-hashes --only-binary :all: \
      "${@:5}" -r "$pin" -d "$work" || fail "pip could not download what $pin names" "$hint"
    "$python" -m zipfile -e "$work"/*.whl "$work/wheel"
    "$take" "$work/wheel" "$folder"
    rm -rf "$work"
    cp "$pin" "$folder/complete"
  fi
  exec 9>&-
}
