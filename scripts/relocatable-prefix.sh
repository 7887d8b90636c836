#!/usr/bin/env bash
# Gathers the libraries of scripts/packages.txt, all but LibTorch, in one folder that can be carried to a machine
# without a package manager (docs/gpu.md). Run it where the packages are installed ('make setup'); the other machine
# needs x86-64 Linux with a glibc and a g++ no older than this one's, cmake, ninja, and a PyTorch.
#
#   scripts/relocatable-prefix.sh DIR [ARCHIVE.tar.gz]
#
# There:  cmake -C DIR/striate-prefix.cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release
. "$(dirname "$0")/lib.sh"
[ $# -ge 1 ] || fail "no folder named" "scripts/relocatable-prefix.sh DIR [ARCHIVE.tar.gz]"
prefix=$(realpath -m "$(given_path "$1")")
archive=$(given_path "${2:-}")
command -v dpkg-query >/dev/null || fail "this is not Debian: the packages cannot be told apart" "run it where 'make setup' installed them"
[ ! -e "$prefix" ] || [ -z "$(ls -A "$prefix")" ] || fail "$prefix is there already" "name a new folder, or remove it"
triple=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch)

# The other machine's own, whatever it is.
is_toolchain() { [[ $1 =~ ^(libc6|libc-dev|linux-libc|gcc|g\+\+|cpp|libstdc|libgcc|python3|perl) ]]; }

# The -dev packages that `$@` are made of, themselves included.
declare -A chosen=()
choose() {
  local package=$1 needed
  is_toolchain "$package" && return
  [ -z "${chosen[$package]:-}" ] || return 0
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
    fail "$package is not installed" "run 'make setup' first"
  chosen[$package]=1
  [ "$package" != libgloo-dev ] || return 0  # its headers alone are used: the library is inside LibTorch
  for needed in $(dpkg-query -W -f='${Depends}' "$package" | tr ',' '\n' | sed 's/[|(:].*//; s/ //g'); do
    [[ $needed != *-dev ]] || choose "$needed"
  done
}

# copy FILE: to the same place under the prefix, as if that were /usr; links stay links. Headers that Debian keeps apart
# by architecture join the others: no compiler elsewhere looks for them there.
copy() {
  local file=$1 target=$prefix/${1#/usr/}
  target=${target/"$prefix/include/$triple/"/"$prefix/include/"}
  mkdir -p "${target%/*}"
  cp -a "$file" "$target"
}

# Headers, libraries, and what CMake and pkg-config know about them.
copy_package() {
  local package=$1 file
  while read -r file; do
    [ -f "$file" ] || [ -L "$file" ] || continue
    case $file in
      /usr/share/doc/* | /usr/share/man/* | /usr/bin/*) ;;
      /usr/lib/*.so* | /usr/lib/*.a) [ "$package" = libgloo-dev ] || copy "$file" ;;
      /usr/include/* | /usr/lib/* | /usr/share/cmake/* | /usr/share/pkgconfig/*) copy "$file" ;;
    esac
  done < <(dpkg -L "$package")
}

# The file itself, and the name that programs ask for: libz.so.1.2.13 and libz.so.1.
copy_library() {
  local library=$1 file soname
  file=$(realpath "$2")
  cp -n "$file" "$library/"
  soname=$(readelf -d "$file" | sed -n 's/.*Library soname: \[\(.*\)\]/\1/p')
  [ -z "$soname" ] || [ -e "$library/$soname" ] || ln -s "$(basename "$file")" "$library/$soname"
}

copy_shared_libraries() {
  local library=$prefix/lib/$triple name file needed
  for name in "$library"/*.so; do
    file=$(realpath "/usr/lib/$triple/$(basename "$name")")
    readelf -h "$file" >/dev/null 2>&1 || continue  # a text that names others
    ln -sfn "$(basename "$file")" "$name"
    copy_library "$library" "$file"
    while IFS= read -r needed; do copy_library "$library" "$needed"; done < <(shared_libraries_of "$file" 2>/dev/null)
  done
}

# Every .pc file names its own folder in place of /usr.
relocate_pkg_config() {
  local file
  while read -r file; do
    [ ! -L "$file" ] || continue
    local up
    up=$(realpath -m --relative-to="$(dirname "$file")" "$prefix")
    sed -i -E "s|^prefix *=.*|prefix=\${pcfiledir}/$up|; s|/usr/(lib\|include)|\${prefix}/\1|g" "$file"
  done < <(find "$prefix" -name '*.pc')
}

# pkg-config itself, which a bare machine lacks.
copy_pkg_config() {
  local tool needed
  tool=$(command -v pkgconf || command -v pkg-config) || fail "pkg-config is missing" "run 'make setup' first"
  tool=$(realpath "$tool")
  mkdir -p "$prefix/libexec" "$prefix/bin"
  cp "$tool" "$prefix/libexec/pkgconf"
  while IFS= read -r needed; do cp -L "$needed" "$prefix/libexec/"; done < <(shared_libraries_of "$tool")
  cat >"$prefix/bin/pkg-config" <<WRAPPER
#!/bin/sh
here=\$(CDPATH= cd -- "\$(dirname -- "\$0")/.." && pwd)
export PKG_CONFIG_LIBDIR="\$here/lib/$triple/pkgconfig:\$here/lib/pkgconfig:\$here/share/pkgconfig"
export LD_LIBRARY_PATH="\$here/libexec\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "\$here/libexec/pkgconf" "\$@"
WRAPPER
  chmod +x "$prefix/bin/pkg-config"
}

# Arrow, where setup.sh has unpacked it and STRIATE_PARQUET=OFF does not leave it out.
copy_arrow() {
  [ -e "$deps/arrow/complete" ] && [ "${STRIATE_PARQUET:-ON}" = ON ] || return 0
  cp -a "$deps/arrow" "$prefix/arrow"
}

# What cmake -C reads: where everything is, also on a machine that has no folder called after its architecture.
write_cmake_cache() {
  cat >"$prefix/striate-prefix.cmake" <<CACHE
# Made by scripts/relocatable-prefix.sh: cmake -C this file, from wherever the folder lies.
set(_prefix "\${CMAKE_CURRENT_LIST_DIR}")
set(CMAKE_PREFIX_PATH "\${_prefix}" CACHE STRING "")
set(CMAKE_INCLUDE_PATH "\${_prefix}/include" CACHE STRING "")
set(CMAKE_LIBRARY_PATH "\${_prefix}/lib/$triple" CACHE STRING "")
set(PKG_CONFIG_EXECUTABLE "\${_prefix}/bin/pkg-config" CACHE FILEPATH "")
if(EXISTS "\${_prefix}/arrow")
  set(STRIATE_ARROW "\${_prefix}/arrow" CACHE PATH "")
else()
  set(STRIATE_PARQUET OFF CACHE BOOL "")
endif()
file(GLOB _configs "\${_prefix}/lib/$triple/cmake/*/*onfig.cmake" "\${_prefix}/share/cmake/*/*onfig.cmake"
     "\${_prefix}/lib/cmake/*/*onfig.cmake")
foreach(_config IN LISTS _configs)
  get_filename_component(_folder "\${_config}" DIRECTORY)
  get_filename_component(_name "\${_folder}" NAME)
  set(\${_name}_DIR "\${_folder}" CACHE PATH "")
endforeach()
# Programs find the shared libraries, and those that these need: RPATH reaches both, RUNPATH the first alone.
set(CMAKE_EXE_LINKER_FLAGS "\"-Wl,-rpath-link,\${_prefix}/lib/$triple\" -Wl,--disable-new-dtags" CACHE STRING "")
set(CMAKE_BUILD_RPATH "\${_prefix}/lib/$triple" CACHE STRING "")
CACHE
}

started=$SECONDS
while read -r package; do choose "$package"; done < <(grep -E -- '-dev$' scripts/packages.txt)
mkdir -p "$prefix"
for package in "${!chosen[@]}"; do copy_package "$package"; done
copy_shared_libraries
relocate_pkg_config
copy_pkg_config
copy_arrow
write_cmake_cache
broken=$(find "$prefix" -xtype l)
[ -z "$broken" ] || fail "links that lead nowhere: $(head -3 <<<"$broken" | tr '\n' ' ')" "report it: a package is laid out in a new way"
say "$prefix: ${#chosen[@]} packages, $(du -sh "$prefix" | cut -f1), in $(seconds_since "$started")"
if [ -n "$archive" ]; then
  tar -C "$(dirname "$prefix")" -caf "$archive" "$(basename "$prefix")"
  say "$archive: $(du -h "$archive" | cut -f1)"
fi
