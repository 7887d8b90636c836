#!/bin/sh
# Starts the striate of this archive with the LibTorch of a PyTorch that `pip install torch` made: the one that
# STRIATE_TORCH names (its torch folder, or the environment that holds it), else that of the active Python environment.
needed=@SERIES@
here=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)

refuse() {
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 2
}

# The torch folder in a folder that may be it, or an environment.
torch_in() {
  for folder in "$1" "$1"/torch "$1"/lib/python3*/site-packages/torch "$1"/lib/python3*/dist-packages/torch; do
    if [ -e "$folder/lib/libtorch_cpu.so" ]; then printf '%s\n' "$folder"; return; fi
  done
}

if [ -n "${STRIATE_TORCH:-}" ]; then
  torch=$(torch_in "$STRIATE_TORCH")
  [ -n "$torch" ] || refuse "STRIATE_TORCH names $STRIATE_TORCH, where there is no PyTorch" "name its torch folder, or the environment that holds it"
else
  torch=$(torch_in "${VIRTUAL_ENV:-${CONDA_PREFIX:-/nonexistent}}")
  if [ -z "$torch" ]; then
    torch=$(python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')" 2>/dev/null) || torch=
  fi
  [ -n "$torch" ] || refuse "no PyTorch found" "pip install 'torch==$needed.*' and activate its environment, or set STRIATE_TORCH to it"
fi
version=$(sed -n "s/^__version__ = '\([0-9]*\.[0-9]*\).*/\1/p" "$torch/version.py" 2>/dev/null)
[ -z "$version" ] || [ "$version" = "$needed" ] ||
  refuse "PyTorch $version in $torch: this striate was built with $needed" "pip install 'torch==$needed.*', or set STRIATE_TORCH to such a one"

LD_LIBRARY_PATH="$here/lib/striate:$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
exec "$here/libexec/striate/striate" "$@"
