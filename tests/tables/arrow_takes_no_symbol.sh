#!/usr/bin/env bash
# Arrow's libraries carry libraries of their own (simdjson, OpenSSL, ...) and export their symbols. A symbol of the program
# that has one of these names would be taken from there, in another version than its header. None may be, except those of
# OpenSSL that hash (EVP_...): they are the same in all of OpenSSL 3. Skipped (77) without Arrow.
#
#   arrow_takes_no_symbol.sh PROGRAM
set -euo pipefail
program=$1
mapfile -t arrow < <(ldd "$program" | awk '/lib(arrow|parquet)\.so/ { print $3 }')
[ ${#arrow[@]} -gt 0 ] || { echo "SKIPPED: the program was built without Arrow"; exit 77; }
nm -D "$program" >/dev/null || { echo "nm cannot read $program"; exit 1; }
names() { awk "$1" | sed 's/@.*//' | sort -u; }
taken=$(comm -12 <(nm -D "$program" | names '$1 == "U" || $2 == "U" { print $NF }') \
  <(nm -D --defined-only "${arrow[@]}" | names 'NF >= 2 { print $NF }') | c++filt |
  grep -vE '^(EVP_|arrow::|parquet::|typeinfo|vtable|.*\bstd::)' || true)
[ -z "$taken" ] || { printf 'taken from Arrow:\n%s\n' "$taken"; exit 1; }
