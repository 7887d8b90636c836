#!/usr/bin/env bash
# Makes an archive that runs wherever it is unpacked (docs/install.md): the program, its completions and man pages, the
# library with its headers and CMake package, and the shared libraries that they need, all but LibTorch's. It needs a
# Linux with a glibc and a libstdc++ no older than this one's, and a PyTorch of the series that it was built with.
#
#   scripts/package.sh        the archive is build/package/striate-VERSION-linux-MACHINE.tar.gz
. "$(dirname "$0")/lib.sh"
export STRIATE_STEPS=5
scripts/build.sh release striate striate_library
started=$SECONDS

version=$(sed -n 's/^project(striate VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
name=striate-$version-linux-$(uname -m)
folder=$root/build/package/$name
IFS='|' read -r _ torch torch_version _ <<<"$(locate_torch)"
series=${torch_version%.*}

# The shared libraries that a file needs: neither the C and C++ libraries of every system nor those of PyTorch.
needs_of() {
  local file
  shared_libraries_of "$1" | while IFS= read -r file; do
    [[ $(realpath "$file") == "$(dirname "$(realpath "$torch")")"/* ]] || say "$file"
  done
}

# The licence of the Debian package that a file is of, or of Arrow.
copy_license() {
  local package beside
  beside=$(dirname "$1")/../licenses
  if [[ $1 == */libarrow.so* || $1 == */libparquet.so* ]] && [ -d "$beside" ]; then
    mkdir -p "$folder/share/doc/striate/licenses/arrow"
    cp "$beside"/* "$folder/share/doc/striate/licenses/arrow/"
    return
  fi
  package=$(dpkg-query -S "$1" 2>/dev/null || dpkg-query -S "${1#/usr}" 2>/dev/null || dpkg-query -S "/usr$1") ||
    fail "$1 is of no Debian package" "make the archive where 'make setup' installed what it needs"
  package=${package%%:*}
  cp "/usr/share/doc/$package/copyright" "$folder/share/doc/striate/licenses/$package"
}

say "[5/5] Package: $name"
rm -rf "$folder" "$folder.tar.gz"
cmake --install build/release --prefix "$folder" --strip >"$root/build/package.log" ||
  fail "cmake --install failed" "its log is build/package.log"

# The program starts through a script that finds LibTorch.
mkdir -p "$folder/libexec/striate" "$folder/lib/striate" "$folder/share/doc/striate/licenses"
mv "$folder/bin/striate" "$folder/libexec/striate/striate"
sed "s/@SERIES@/$series/" scripts/striate-launcher.sh >"$folder/bin/striate"
chmod 755 "$folder/bin/striate"

while IFS= read -r file; do
  cp -L "$file" "$folder/lib/striate/"
  copy_license "$(realpath "$file")"
done < <(for binary in "$folder/libexec/striate/striate" "$folder/lib/libstriate.so"; do needs_of "$binary"; done | sort -u)
cp -r /usr/include/nlohmann "$folder/include/"  # the library's headers include it
mkdir -p "$folder/share/cmake"
cp -r /usr/share/cmake/nlohmann_json "$folder/share/cmake/"
copy_license /usr/include/nlohmann/json.hpp
copy_license /usr/include/CLI/CLI.hpp
cp third_party/tomlplusplus/LICENSE "$folder/share/doc/striate/licenses/tomlplusplus"

# Nothing that is looked up names this machine. (Messages of LibTorch's assertions name its headers.)
rm "$folder/lib/cmake/Striate/StriateTorch.cmake"
cat >build/package/rpath.cmake <<CMAKE
file(RPATH_SET FILE "$folder/libexec/striate/striate" NEW_RPATH "\$ORIGIN/../../lib/striate")
file(RPATH_SET FILE "$(realpath "$folder/lib/libstriate.so")" NEW_RPATH "\$ORIGIN/striate")
CMAKE
cmake -P build/package/rpath.cmake >>"$root/build/package.log" 2>&1
left=$(grep -rlIF "$root" "$folder" || true)
[ -z "$left" ] || fail "these files name $root: $(tr '\n' ' ' <<<"$left")" "report it: the archive would not be relocatable"

moment=$(git log -1 --format=%ct 2>/dev/null || date +%s)
tar -C build/package --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$moment" -cf - "$name" | gzip -n9 >"$folder.tar.gz"
say "[5/5] Package: build/package/$name.tar.gz, $(du -h "$folder.tar.gz" | cut -f1), for PyTorch $series, in $(seconds_since "$started")"
