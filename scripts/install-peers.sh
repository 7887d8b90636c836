#!/usr/bin/env bash
# Installs the pinned packages of tests/peers/requirements.txt in .deps/peers, for the comparisons and the benchmarks.
. "$(dirname "$0")/lib.sh"
requirements=$root/tests/peers/requirements.txt

# Made anew when the pins change. `complete`, written last, holds the pins that are installed.
install_peers() {
  local started=$SECONDS venv=$deps/peers index=() site
  if cmp -s "$requirements" "$venv/complete"; then
    say "[5/6] Peers: $(grep -c == "$requirements") pinned packages, all there"
    return
  fi
  say "[5/6] Peers: installing the pinned packages of tests/peers/requirements.txt in .deps/peers"
  mkdir -p "$deps"
  exec 9>"$deps/lock"
  flock 9
  rm -rf "$venv"
  python3 -m venv "$venv"
  if [ -e "$deps/torch/complete" ]; then  # ours, of the same Python: the gigabyte need not be there twice
    site=$("$deps/torch/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    say "$site" >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/striate-torch.pth"
  fi
  [ -z "${STRIATE_TORCH_INDEX:-}" ] || index=(--extra-index-url "$STRIATE_TORCH_INDEX")
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input -q "${index[@]}" -r "$requirements" ||
    fail "pip could not install tests/peers/requirements.txt" "run again to go on"
  cp "$requirements" "$venv/complete"
  exec 9>&-
  say "[5/6] Peers: installed in $(seconds_since "$started")"
}
install_peers
