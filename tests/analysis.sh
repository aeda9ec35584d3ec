#!/bin/sh
# tests/analysis.sh BUILD-DIRECTORY: clang-tidy (.clang-tidy says what for) and cppcheck on what was compiled for the
# product. Neither may find anything. With SOFTNET_LONG, clang's path-sensitive analyzer as well: it takes minutes.
# Each version finds other things, so only one decides, as for the format: 77, meson's "skipped", where there is another.
version=14
cd "$(dirname "$0")/.." || exit 1
build=$1
clang-tidy --version | grep -q " version $version\." || { echo "no clang-tidy of version $version" >&2; exit 77; }
sources=$(sed -n 's|^ *"file": "\(.*\)",*$|\1|p' "$build/compile_commands.json" | sed 's|^\.\./||' |
    grep -E '^(core|system|port|softnet)/' | sort -u)
[ "$sources" ] || { echo "no sources in $build/compile_commands.json" >&2; exit 1; }
checks=${SOFTNET_LONG:+--checks=clang-analyzer-core.*,clang-analyzer-deadcode.*,clang-analyzer-unix.*}
status=0
# shellcheck disable=SC2086 # one argument at most
echo "$sources" | xargs -P 2 -n 8 clang-tidy -p "$build" --quiet $checks 2>/dev/null || status=1
# How values flow is followed once around, and with SOFTNET_LONG as often as cppcheck likes: that takes half as long again.
flow=--valueflow-max-iterations=1
[ -z "${SOFTNET_LONG:-}" ] || flow=
# An unknown macro, a broken tree of its own and a die() that it takes to return are trouble of cppcheck, not ours.
# shellcheck disable=SC2086 # file names, a word each
cppcheck -q -j 2 --error-exitcode=1 --enable=warning,portability --inline-suppr --max-configs=1 --std=c11 -I. \
    -D_GNU_SOURCE -D__linux__ --suppress=missingIncludeSystem --suppress=internalAstError --suppress=unknownMacro \
    --suppress=normalCheckLevelMaxBranches --suppress=nullPointerOutOfMemory $flow \
    $sources || status=1
exit $status
