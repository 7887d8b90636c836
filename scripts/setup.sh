#!/usr/bin/env bash
# Makes a Debian 12 machine ready to build: the Debian packages of scripts/packages.txt, a LibTorch, and Arrow.
# Does nothing that is done already, and picks up where it was interrupted.
#
#   STRIATE_TORCH=PATH        use this PyTorch (2.11 to 2.14)
#   STRIATE_TORCH_INDEX=URL   get PyTorch from this package index, such as https://download.pytorch.org/whl/cpu
#   STRIATE_TORCH_VERSION=V   another version than the one developed on
#   STRIATE_ARROW=PATH        use this Arrow (a pyarrow folder), and install none
#   STRIATE_PARQUET=OFF       build without Arrow: Parquet files are refused
#   STRIATE_PACKAGES=FILE     a list of more Debian packages (scripts/packages-fuzz.txt)
. "$(dirname "$0")/lib.sh"
torch_version=${STRIATE_TORCH_VERSION:-2.13.0}
steps=${STRIATE_STEPS:-2}

missing_packages() {
  local package status
  while read -r package; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || printf '%s\n' "$package"
  done < <(sed 's/#.*//; /^[[:space:]]*$/d' scripts/packages.txt ${STRIATE_PACKAGES:+"$STRIATE_PACKAGES"})
}

install_packages() {
  local started=$SECONDS missing as_root=()
  if ! command -v dpkg-query >/dev/null; then
    say "[1/$steps] Debian packages: this is not Debian, so what scripts/packages.txt lists must be here already"
    return
  fi
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} -eq 0 ]; then
    say "[1/$steps] Debian packages: all there"
    return
  fi
  say "[1/$steps] Debian packages: ${#missing[@]} missing (${missing[*]})"
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    else
      fail "Debian packages are missing, and this user may not install them" \
        "run: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    fi
  fi
  "${as_root[@]}" apt-get update -qq || fail "apt-get update failed" "is the network reachable?"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" ||
    fail "apt-get could not install the packages" \
      "see its messages above; the list is scripts/packages.txt${STRIATE_PACKAGES:+ with $STRIATE_PACKAGES}"
  say "[1/$steps] Debian packages: installed in $(seconds_since "$started")"
}

install_torch() {
  local started=$SECONDS found state venv=$deps/torch index=()
  found=$(locate_torch)
  IFS='|' read -r state where version kind <<<"$found"
  [ "$state" != refused ] || fail "$where" "name another PyTorch, or unset the variable: then one is installed in .deps/torch"
  if [ "$state" = found ]; then
    say "[2/$steps] LibTorch: $version ($kind) in $where"
    return
  fi
  say "[2/$steps] LibTorch: $where, so torch $torch_version is installed in .deps/torch"
  [ -z "${STRIATE_TORCH_INDEX:-}" ] || index=(--index-url "$STRIATE_TORCH_INDEX")
  if [ ${#index[@]} -eq 0 ] && ! [ -e /proc/driver/nvidia/version ]; then
    say "      (no NVIDIA driver here: STRIATE_TORCH_INDEX=https://download.pytorch.org/whl/cpu downloads less)"
  fi
  mkdir -p "$deps"
  exec 9>"$deps/lock"
  flock 9  # two makes at once: the second waits and finds it done
  if [ ! -e "$venv/complete" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv" || fail "python3 -m venv failed" "Debian has it in the package python3-venv"
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input "${index[@]}" "torch==$torch_version" ||
      fail "pip could not install torch $torch_version" \
        "run again to go on; STRIATE_TORCH_INDEX names another index, STRIATE_TORCH a PyTorch you have"
    say "torch==$torch_version" >"$venv/complete"
  fi
  exec 9>&-
  found=$(locate_torch)
  IFS='|' read -r state where version kind <<<"$found"
  [ "$state" = found ] || fail "$where"
  say "[2/$steps] LibTorch: $version ($kind), installed in $(seconds_since "$started")"
}

# Of the wheel only headers, two libraries and licences stay.
take_arrow() {
  mv "$1/pyarrow/include" "$2/include"
  mv "$1"/pyarrow/libarrow.so.*00 "$1"/pyarrow/libparquet.so.*00 "$2/lib/"
  mv "$1"/pyarrow-*.dist-info/licenses "$2/licenses"
}

install_arrow() {
  local started=$SECONDS
  if [ "${STRIATE_PARQUET:-ON}" = OFF ]; then
    say "[2/$steps] Arrow: left out (STRIATE_PARQUET=OFF)"
    return
  fi
  if [ -n "${STRIATE_ARROW:-}" ]; then
    say "[2/$steps] Arrow: $STRIATE_ARROW"
    return
  fi
  if cmp -s scripts/arrow-wheel.txt "$deps/arrow/complete"; then
    say "[2/$steps] Arrow: in .deps/arrow"
    return
  fi
  unpack_wheel scripts/arrow-wheel.txt "$deps/arrow" take_arrow \
    "run again to go on; STRIATE_ARROW names an Arrow that you have, STRIATE_PARQUET=OFF does without" \
    --platform "manylinux_2_28_$(uname -m)" --python-version 311 --implementation cp --abi cp311
  say "[2/$steps] Arrow: unpacked in .deps/arrow in $(seconds_since "$started")"
}

install_packages
install_torch
install_arrow
