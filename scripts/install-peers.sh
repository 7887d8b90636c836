#!/usr/bin/env bash
# Installs pinned Python packages in an environment of their own, for the comparisons and the benchmarks.
#
#   scripts/install-peers.sh [REQUIREMENTS [NAME]]      tests/peers/requirements.txt in .deps/peers; or another file
#                                                       in .deps/NAME
. "$(dirname "$0")/lib.sh"
requirements=$(given_path "${1:-$root/tests/peers/requirements.txt}")
requirements=${requirements#"$root/"}
name=${2:-peers}

# Made anew when the pins change. `complete`, written last, holds the pins that are installed.
install_peers() {
  local started=$SECONDS venv=$deps/$name index=() site
  if cmp -s "$requirements" "$venv/complete"; then
    say "[5/6] Peers: $(grep -c == "$requirements") pinned packages, all there"
    return
  fi
  say "[5/6] Peers: installing the pinned packages of $requirements in .deps/$name"
  mkdir -p "$deps"
  exec 9>"$deps/lock"
  flock 9
  rm -rf "$venv"
  python3 -m venv "$venv"
  if [ -e "$deps/torch/complete" ]; then  # ours, of the same Python: the gigabyte need not be there twice
    site=$("$deps/torch/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    say "$site" >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/striate-torch.pth"
  fi
  if grep -q ^llama-cpp-python "$requirements"; then
    say "      llama-cpp-python is built from source the first time: about seven minutes on two cores"
    # Its models here are tiny: what counts is how long it compiles (-O1: 13 minutes of processor time on an AVX2 machine).
    export CMAKE_ARGS="-DCMAKE_C_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS_RELEASE=-O1 ${CMAKE_ARGS:-}"
  fi
  [ -z "${STRIATE_TORCH_INDEX:-}" ] || index=(--extra-index-url "$STRIATE_TORCH_INDEX")
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input -q "${index[@]}" -r "$requirements" ||
    fail "pip could not install $requirements" "run again to go on"
  cp "$requirements" "$venv/complete"
  exec 9>&-
  say "[5/6] Peers: installed in $(seconds_since "$started")"
}
install_peers
