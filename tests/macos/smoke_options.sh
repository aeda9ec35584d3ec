#!/bin/sh
# The smoke test runs where nobody of us looks: each option that it gives must be one that softnet has.
#
#     tests/macos/smoke_options.sh SOFTNET SMOKE_TEST
set -eu
options=$(grep -oE '"--[a-z-]+"' "$2" | tr -d '"' | sort -u)
[ -n "$options" ] || { echo "no options found in $2" >&2; exit 1; }
"$1" --help >/dev/null
for option in $options; do
    "$1" --help | grep -qE -- "(^|[ ,])$option( |\$)" || { echo "$2 gives $option, which softnet does not have" >&2; exit 1; }
done
