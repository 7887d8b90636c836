#!/usr/bin/env bash
# What a project outside this one does with Striate: each case is a test of `ctest -C Package` (CMakeLists.txt).
#
#   cases.sh SOURCE BUILD CASE       results of the cases lie in BUILD/package-test
set -euo pipefail
source=$1 build=$2 case=$3
work=$build/package-test
prefix=$work/prefix
jobs=${STRIATE_JOBS:-$(nproc)}

say() { printf '%s\n' "$*"; }
fail() { say "failed: $*"; exit 1; }
torch() { sed -n 's/.*_striate_torch "\(.*\)".*/\1/p' "$prefix/lib/cmake/Striate/StriateTorch.cmake"; }

# examples FOLDER: what a user of the examples does, with their programs in FOLDER.
run_examples() {
  local programs=$1 out=$2
  rm -rf "$out"
  "$programs/chat/chat" "$work/tiny" "$work/world/held_out/000000.png" 'What is this?' 'And what is behind it?' >"$out.txt"
  [ "$(wc -l <"$out.txt")" -ge 2 ] || fail "two questions got $(wc -l <"$out.txt") answers"
  "$programs/train_region/train_region" "$work/tiny" "$work/world/train.json" "$work/world" "$out" | tee "$out.txt"
  grep -q '^step 20: loss [0-9.]*$' "$out.txt" || fail "20 steps do not end with their loss"
  "$prefix/bin/striate" inspect --model "$work/tiny" --adapter "$out"
}

installs() {
  rm -rf "$work"
  cmake --install "$build" --prefix "$prefix" >/dev/null
  "$prefix/bin/striate" --version
  for file in bin/striate include/striate/version.h lib/cmake/Striate/StriateConfig.cmake \
    share/bash-completion/completions/striate share/zsh/site-functions/_striate \
    share/man/man1/striate.1 share/man/man1/striate-data-check.1 share/striate/configs/llava-1.5-7b.toml; do
    [ -s "$prefix/$file" ] || fail "$file is not installed"
  done
  "$prefix/bin/striate" init --size tiny --out "$work/tiny"
  "$prefix/bin/striate" mini render --train 40 --held-out 4 --out "$work/world"
}

headers() {  # every installed header, with LibTorch and nlohmann/json alone
  cmake -S "$source/tests/package/headers" -B "$work/headers" -G Ninja "-DCMAKE_PREFIX_PATH=$prefix" >/dev/null
  cmake --build "$work/headers"
  ninja -C "$work/headers" -t deps >"$work/headers.txt"
  grep -q "$prefix/include/striate/version.h" "$work/headers.txt" || fail "the installed headers were not read"
  if grep -E '/usr/include/(spdlog|fmt|openssl|pcre2|png|jpeg|gif_lib|webp|sentencepiece|zlib|CLI)' "$work/headers.txt" ||
    grep -F "$source/src/" "$work/headers.txt"; then
    fail "a header reads what users need not have"
  fi
}

installed() {
  cmake -S "$source/examples" -B "$work/installed" -G Ninja "-DCMAKE_PREFIX_PATH=$prefix" >/dev/null
  cmake --build "$work/installed"
  [ ! -e "$work/installed/_deps" ] || fail "the sources were built although Striate is installed"
  run_examples "$work/installed" "$work/tuned-installed"
}

archive() {  # where it is unpacked, with nothing of this checkout on the way
  local file home=$work/elsewhere
  file=$(ls -t "$source"/build/package/striate-*.tar.gz | head -n 1)
  rm -rf "$home"
  mkdir -p "$home"
  tar -C "$home" --strip-components=1 -xf "$file"
  env -i PATH=/usr/bin:/bin STRIATE_TORCH=/nonexistent "$home/bin/striate" --version 2>"$work/refused.txt" &&
    fail "it started without a PyTorch"
  grep -q '^hint: ' "$work/refused.txt" || fail "no hint about the missing PyTorch"
  env -i PATH=/usr/bin:/bin "STRIATE_TORCH=$(torch)" "$home/bin/striate" inspect --model "$work/tiny"
  ldd "$home/libexec/striate/striate" | grep -F "libparquet.so" | grep -qF "$(realpath "$home")/" ||
    fail "the program does not use the Arrow that the archive carries"
  env -i PATH=/usr/bin:/bin "STRIATE_TORCH=$(torch)" "$home/bin/striate" data check --model "$work/tiny" \
    --data "$source/tests/tables/parquet/data"
  cmake -S "$source/examples/chat" -B "$work/unpacked" -G Ninja "-DCMAKE_PREFIX_PATH=$home" "-DSTRIATE_TORCH=$(torch)" >/dev/null
  cmake --build "$work/unpacked"
  ldd "$work/unpacked/chat" | grep -F "libsentencepiece.so.0 => $home/" || fail "the library does not use what the archive carries"
  "$work/unpacked/chat" "$work/tiny" "$work/world/held_out/000001.png" 'What is this?'
}

fetched() {
  cmake -S "$source/examples" -B "$work/fetched" -G Ninja "-DFETCHCONTENT_SOURCE_DIR_STRIATE=$source" \
    "-DSTRIATE_TORCH=$(torch)" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1 -DCMAKE_UNITY_BUILD=ON \
    -DCMAKE_UNITY_BUILD_BATCH_SIZE=12 >/dev/null
  cmake --build "$work/fetched" -j "$jobs"
  run_examples "$work/fetched" "$work/tuned-fetched"
}

"$case"
