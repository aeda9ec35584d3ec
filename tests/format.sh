#!/bin/sh
# Whether every C file is as clang-format writes it; with --write, makes it so. Versions differ in details, so only one
# decides: 77, meson's "skipped", where another one is installed or none.
version=14
cd "$(dirname "$0")/.." || exit 1
for program in clang-format-$version clang-format; do
    case $("$program" --version 2>/dev/null) in
    *"version $version."*) break ;;
    esac
    program=
done
[ "$program" ] || { echo "no clang-format of version $version" >&2; exit 77; }
[ "$1" = --write ] && arguments=-i || arguments="--dry-run -Werror"
# shellcheck disable=SC2086 # the arguments are words
find core system port softnet tests packaging -name '*.[ch]' -exec "$program" $arguments {} +
