#!/bin/sh
# Does docs/troubleshooting.md speak of what exists? Reasons, events and options have a way of being renamed.
#
#     tests/troubleshooting.sh SOFTNET DOCUMENT

set -eu
softnet=${1:?usage: $0 SOFTNET DOCUMENT} document=${2:?usage: $0 SOFTNET DOCUMENT}
root=$(cd "$(dirname "$0")/.." && pwd)
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT

# Names with a dash in backticks, and what stands where softnet prints a reason or an event.
{
    sed 's/`[^`]*`/\n&\n/g' "$document" | sed -n 's/^`\([a-z0-9]*[a-z][a-z0-9]*\(-[a-z0-9]*\)\{1,\}\)`$/\1/p'
    sed -n 's/^ *has .*; drops [a-z0-9 /]*: \([a-z0-9-]*\)$/\1/p; s/^ .* \(from\|to\) the VM  *[0-9]*  \([a-z0-9-]*\)$/\2/p' "$document"
    sed 's/"\(reason\|event\)":"/\n@/g' "$document" | sed -n 's/^@\([a-z0-9-]*\)".*/\1/p'
} | sort -u >"$found/names"
grep -oE -e '--[a-z][a-z0-9-]*' "$document" | sort -u >"$found/options"

# The reasons; the events of docs/observability.md; and settings of other programs.
{
    awk '/^#define DROP_REASONS/ { inside = 1; next }
        inside && /^\tX\(/ { split($0, part, "\""); print part[2] }
        inside && !/\\$/ { exit }' "$root/core/wire/verdict.h"
    sed -n '/^## Events/,/^## Captures/s/^| \([a-z, -]*\) |.*/\1/p' "$root/docs/observability.md" | tr -d ' ' | tr ',' '\n'
    printf '%s\n' cloned-mac-address default-address-pools dhcp-ignore-clid dhcp-option-force
} | sort -u >"$found/known"
"$softnet" --help | grep -oE -e '--[a-z][a-z0-9-]*' | sort -u >"$found/real"

# An empty list would be a change of form, not a document without mistakes.
for list in names options known real; do
    [ "$(wc -l <"$found/$list")" -ge 20 ] || { echo "$0: only $(wc -l <"$found/$list") $list found" >&2; exit 1; }
done
unknown=$(comm -23 "$found/names" "$found/known"; comm -23 "$found/options" "$found/real")
[ -z "$unknown" ] && exit 0
echo "$document names what does not exist:" $unknown >&2
exit 1
