#!/bin/sh
# The system calls that each process may make as a document, from the one table that has them.
#
#     tests/calls.sh                    prints docs/system-calls.md
#     tests/calls.sh --check DOCUMENT   fails when DOCUMENT is stale

set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
table=$root/system/sandbox/calls.h

# One line per call: its name, a tab, the letters of those who may make it.
calls() {
    awk '/^#define SYSTEM_CALLS/ { inside = 1; next }
        inside && /^\tX\(/ { split($0, part, "\""); sub(/^, /, "", part[3]); sub(/\).*/, "", part[3]); print part[2] "\t" part[3] }
        inside && !/\\$/ { exit }' "$table"
}

document() {
    cat <<'END'
# System calls

What each process of softnet may ask of the kernel when it has started. Any other call ends the
process, with a line that names the call. docs/threat-model.md says what that is good for.
system/sandbox/calls.h is the table, and `tests/calls.sh` makes this page from it.
tests/network/test_sandbox.py puts other calls into running processes, and none may be made.

The processes are the guard; softnet-run, which keeps the command of `softnet run`; softnet-rules,
which reads long lists of rules and has the same few calls; softnet-keeper, which keeps the worker
of slirp; softnet-slirp, that worker; and softnet-files, which writes the guard's files. A worker
starts with its keeper's rights, so the keeper has both. Calls with a star are looked at more
closely:

- `connect`, and `socket` for AF_UNIX: only a guard that has a path as a port, or sends its events
  to syslog, because the program at the other end may be started again.
  softnet-keeper connects for its worker, if the address is none of the host's loopback.
- `socket`: the guard may also use rtnetlink. The worker may use TCP, UDP and ICMP, and datagrams of
  AF_UNIX, with which libc asks for the number of an interface. softnet-run may use none.
- `sendto`, `sendmsg`, `sendmmsg`: by the worker not to make a connection (MSG_FASTOPEN).
- `mmap`, `mprotect`: no memory that can be run.
- `ioctl`: whether a stream is a terminal; for the guard also which frames its tap gives it whole;
  for the worker what libslirp asks of its sockets.
- `kill`, `tgkill`: only the process itself, and what the guard has started for its port.
  softnet-run may also signal its command. softnet-keeper may signal its workers, whose numbers
  nobody knows before.
- `clone`: no namespaces.

Some calls have several names, because processors and versions of libc differ.

| call | guard | softnet-run | softnet-keeper | softnet-slirp | softnet-files |
|---|---|---|---|---|---|
END
    calls | awk -F '\t' 'function yes(letter) { return index($2, letter) ? "yes" : "" }
        { star = $1 ~ /^(socket|connect|sendto|sendmsg|sendmmsg|mmap2?|mprotect|ioctl|kill|tgkill|clone)$/ ? " \\*" : ""
          line = "| `" $1 "`" star " | " yes("G") " | " yes("C") " | " yes("K") " | " yes("W") " | " yes("F") " |"
          gsub(/\|  \|/, "| |", line); gsub(/\|  \|/, "| |", line); print line }'
}

case ${1:-} in
'') document ;;
--check)
    document | cmp -s - "${2:?usage: $0 --check DOCUMENT}" && exit 0
    echo "$2 is stale: tests/calls.sh >docs/system-calls.md" >&2
    exit 1
    ;;
*) echo "usage: $0 [--check DOCUMENT]" >&2; exit 2 ;;
esac
