#!/bin/sh
# The drop reasons as a document, from the one table that has them.
#
#     tests/reasons.sh                          prints docs/reasons.md
#     tests/reasons.sh --man                    prints the list of the man page's DIAGNOSTICS
#     tests/reasons.sh --check DOCUMENT [MAN]   fails when DOCUMENT is stale, or MAN lists other reasons

set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
table=$root/core/wire/verdict.h

# One line per reason: the name, a tab, the meaning.
reasons() {
    awk '/^#define DROP_REASONS/ { inside = 1; next }
        inside && /^\tX\(/ { split($0, part, "\""); print part[2] "\t" part[4] }
        inside && !/\\$/ { exit }' "$table"
}

document() {
    cat <<'END'
# Reasons

Every frame that does not pass has exactly one reason. The counters of `SIGUSR1` and `-v`, the man
page and this page take their names from one table, core/wire/verdict.h. `tests/reasons.sh` makes
this page from it. Names are stable: a name keeps its meaning. The direction is counted apart:
`guest` is what the guest sent, `uplink` what the network sent. docs/filter.md says which rule gives
which reason.

| reason | meaning |
|---|---|
END
    reasons | awk -F '\t' '{ print "| `" $1 "` | " $2 " |" }'
}

man_list() {
    reasons | awk -F '\t' '{ print ".It Li " $1; print toupper(substr($2, 1, 1)) substr($2, 2) "." }'
}

check_document() {
    document | cmp -s - "$1" && return 0
    echo "$1 is stale: tests/reasons.sh >docs/reasons.md" >&2
    return 1
}

# The .It lines between .Sh DIAGNOSTICS and the next section, in the order of the table.
check_man() {
    listed=$(awk '/^\.Sh/ { inside = $2 == "DIAGNOSTICS" } inside && /^\.It Li/ { print $3 }' "$1")
    [ "$listed" != "$(reasons | cut -f 1)" ] || return 0
    echo "$1: DIAGNOSTICS does not list the reasons of core/wire/verdict.h; tests/reasons.sh --man prints them" >&2
    return 1
}

case ${1:-} in
'') document ;;
--man) man_list ;;
--check)
    status=0
    check_document "${2:?usage: $0 --check DOCUMENT [MAN]}" || status=1
    [ -z "${3:-}" ] || check_man "$3" || status=1
    exit $status
    ;;
*) echo "usage: $0 [--man | --check DOCUMENT [MAN]]" >&2; exit 2 ;;
esac
