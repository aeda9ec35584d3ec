#!/bin/sh
# On a Mac: builds softnet with Apple's SDK, runs its tests, then runs it on vmnet as root. Prints a table; please paste it
# into an issue, whatever it says. It changes two things that stay: the system's DHCP server
# leases for 611 s, and by MAC address.
#
#     tests/mac-smoke.sh          needs Xcode's command line tools, Homebrew's meson, ninja, pkgconf, jansson and cmocka,
#                                 and sudo; a minute. No VM that uses vmnet should run.
# shellcheck disable=SC2317   # functions that `step` calls
set -u
cd "$(dirname "$0")/.." || exit 1
out=build/mac-smoke

row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3" | tr -d '\r' >>"$out/table.md"; }

# A step and its command; the last line that it says is what was seen.
step() {
    what=$1
    shift
    if "$@" >"$out/step.log" 2>&1; then
        row "$what" ok "$(tail -n 1 "$out/step.log")"
    else
        row "$what" FAIL "$(tail -n 1 "$out/step.log")"
        cat "$out/step.log" >&2
    fi
}

builds() {
    rm -rf "$out/build"
    meson setup "$out/build" --werror -Dslirp=disabled -Dquic=disabled -Debpf=disabled && ninja -C "$out/build" softnet
}

passes_unit_tests() {
    ninja -C "$out/build" && meson test -C "$out/build" --no-rebuild --suite unit
}

# Homebrew's folder is the user's: what a set-user-id program loads must not be there.
loads_the_system_alone() {
    otool -L "$out/build/softnet" | sed 1d | grep -v '^[[:space:]]*/\(usr/lib\|System/Library\)/' && return 1
    echo "$(otool -L "$out/build/softnet" | sed 1d | wc -l) libraries, all of the system"
}

if [ "$(uname -s)" != Darwin ]; then
    echo "mac-smoke: this is for macOS; on Linux make macos-check says what can be said" >&2
    exit 2
fi
mkdir -p "$out"
{
    echo "macOS $(sw_vers -productVersion) ($(sw_vers -buildVersion)), $(uname -m), SDK $(xcrun --show-sdk-version)," \
        "softnet $(git describe --always --dirty 2>/dev/null)"
    echo
    echo '| step | result | seen |'
    echo '|---|---|---|'
} >"$out/table.md"
step "builds with Apple's SDK, warnings as errors" builds
step "unit tests" passes_unit_tests
step "loads libraries of the system alone" loads_the_system_alone
{
    cat "$out/table.md"
    printf '\nAs root:\n'
    sudo python3 tests/macos/smoke.py "$out/build/softnet"
} | tee "$out/report.md"
{
    printf '\nAs a user, with the entitlement (before macOS 26 softnet calls sudo, which may still know the password):\n'
    rm -f "$out/entitled" # a signed file that ran must not be written into: macOS kills what is started from it
    cp "$out/build/softnet" "$out/entitled"
    codesign --force --sign - --entitlements packaging/macos/softnet.entitlements "$out/entitled" 2>&1
    python3 tests/macos/smoke.py "$out/entitled"
} | tee "$out/user.md"
echo "The report is in $out/report.md and $out/user.md." >&2
! grep -q '| FAIL |' "$out/report.md"
