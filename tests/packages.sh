#!/bin/sh
# The packages that ./demo and ./check need, by name, and the code that installs what is missing.
#
#     tests/packages.sh demo | check           install (root, or Homebrew), or print the line to type and exit 1
#     tests/packages.sh --list demo | check    print the names
#
# "check?" is a tool that some network tests use and some distributions lack: it is installed if it can be, and the
# tests that want it are skipped if it cannot.

set -eu

# needed by     Debian                Homebrew    what for; "-" means nothing to install there
packages='
demo,check      gcc                   -           the compiler; on macOS, Xcode has one
demo,check      libc6-dev             -
demo,check      make                  -
demo,check      meson                 meson
demo,check      ninja-build           ninja
demo,check      pkgconf               pkgconf
demo,check      libslirp-dev          libslirp    the uplink that needs no root
demo,check      libglib2.0-dev        -           slirp.pc wants it; libslirp-dev forgets to say so
demo,check      libjansson-dev        jansson     JSON, for live control
demo,check      libseccomp-dev        -           the filter of system calls
demo,check      nettle-dev            nettle      cryptography, for names in QUIC
check           libcmocka-dev         cmocka      unit tests
demo,check      python3               -
demo,check      qemu-system-x86@amd64 -           real guests
demo,check      qemu-system-arm@arm64 -
demo,check      cpio                  -           their initramfs
demo,check      xz-utils              -
demo,check      iproute2              -           networks made of namespaces
demo,check      dnsmasq-base          -           a real DHCP server
check           python3-pytest        -           network tests
check           python3-scapy         -
check           isc-dhcp-client       -           real DHCP clients; udhcpc comes with the guest
check           dhcpcd-base           -
check           systemd               -           for systemd-networkd alone
check           kea-dhcp4-server      -           a DHCP server that gives leases of seconds
check           kea-dhcp6-server      -
check           radvd                 -           a router of IPv6
check           keepalived            -           gateways that give way to each other, and addresses that move
check           iputils-ping          -
check           procps                -           ps(1), for the smoke test of a Mac
check           python3-prometheus-client -       reads the metrics as Prometheus does
check           tshark                -           reads the captures as operators do
check           clang                 llvm        eBPF: softnet attach, and the judge compared
check           libclang-rt-dev       -           its sanitizers, for the program for macOS and the fuzz targets
check           libblocksruntime-dev -        the program for macOS, with doubles of the frameworks of Apple
check           libbpf-dev            -           the same
check           libxml2-dev           -           the hook for libvirt
check           clang-format          clang-format  the suite lint
check           clang-tidy            -
check           cppcheck              cppcheck
check           mandoc                -           the man page; macOS has it
check           groff-base            groff       the man page, as Linux shows it
check           sudo                  -           softnet for macOS gets root by it
check           libcap2-bin           -           setcap(8), for a program with capabilities of its file
check?          dsniff                -           attacks with the tools that attackers use
check?          ettercap-text-only    -
check?          yersinia              -
check?          arp-scan              -
check?          hping3                -
check?          thc-ipv6              -
check?          ipv6toolkit           -
check?          bettercap             -
check?          bpftool               -           shows the programs that the kernel has
check?          passt                 -           an uplink that other people wrote
check?          libvirt-daemon        -           domains with the hook of softnet
check?          libvirt-daemon-driver-qemu -
check?          libvirt-clients       -
check?          nftables              -           ports that are closed until their guard stands
check?          qemu-utils            -           the disk of a domain with snapshots
check?          containernetworking-plugins - containers with the plug-in of softnet
check?          podman                -
check?          crun                  -
check?          python3-yaml          -           the form of what Kubernetes gets
check?          nginx-light           -           hosts with names, and those who call them
check?          openssl               -
check?          curl                  -
check?          bind9-dnsutils        -
check?          ngtcp2-client         -
check?          ngtcp2-server         -
check?          unbound               -
check?          gnutls-bin            -
check?          git                   -
check?          python3-pip           -
check?          caddy                 -
check?          iodine                -           tunnels in DNS
check?          dns2tcp               -
'

usage() { echo "usage: $0 [--list] demo | check" >&2; exit 2; }

# names SYSTEM VERB. name@architecture is for that architecture only.
names() {
    echo "$packages" | while read -r verbs debian brew _; do
        case ",$verbs," in *,"$2",*) ;; *) continue ;; esac
        if [ "$1" = brew ]; then name=$brew; else name=$debian; fi
        case $name in
        -) ;;
        *@*) [ "${name#*@}" != "$(dpkg --print-architecture)" ] || echo "${name%@*}" ;;
        *) echo "$name" ;;
        esac
    done
}

# missing_debian VERB
missing_debian() {
    for name in $(names debian "$1"); do
        case $(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null) in
        ii*) ;;
        *) echo "$name" ;;
        esac
    done
}

install_debian() {
    export DEBIAN_FRONTEND=noninteractive
    # A package may bring a server: wanted as a program, not as a service of this machine, with systemd or without.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
    fi
    log=$(mktemp)
    apt-get -qq update >"$log" 2>&1 </dev/null || { cat "$log" >&2; rm -f "$log"; echo "apt-get update failed" >&2; exit 1; }
    if [ $# -gt 0 ] && ! install_all "$@"; then
        cat "$log" >&2
        rm -f "$log"
        echo "could not install: $*" >&2
        exit 1
    fi
    for name in $optional; do
        install_all "$name" || echo "could not install $name: the tests that want it will be skipped"
    done
    rm -f "$log"
}

# All or none. One line for every tenth package, so that a user who waits sees that something happens.
install_all() {
    { apt-get install -y -q --no-install-recommends "$@" 2>&1 </dev/null || echo failed; } | tee "$log" |
        awk '/ newly installed/ { all = $3 } /^Setting up/ && ++done % 10 == 0 { print "  " done " of " all " packages"; fflush() }'
    [ "$(tail -n 1 "$log")" != failed ]
}

list=no
if [ "${1:-}" = --list ]; then
    list=yes
    shift
fi
verb=${1:-}
case $verb in demo | check) ;; *) usage ;; esac

case $(uname -s) in
Linux)
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "not a Debian system: install what corresponds to $(names debian "$verb" 2>/dev/null | tr '\n' ' ')" >&2
        exit 0
    fi
    [ $list = no ] || { names debian "$verb"; names debian "$verb?"; exit 0; }
    missing=$(missing_debian "$verb" | tr '\n' ' ')
    missing=${missing% }
    optional=$(missing_debian "$verb?" | tr '\n' ' ')
    optional=${optional% }
    if [ -z "$missing$optional" ]; then
        exit 0
    elif [ "$(id -u)" = 0 ]; then
        echo "installing with apt: $missing $optional"
        # shellcheck disable=SC2086   # names, to be split
        install_debian $missing
    elif [ -n "$missing" ]; then
        echo "packages are missing. Type: sudo apt-get install --no-install-recommends $missing"
        [ -z "$optional" ] || echo "and, for more network tests, as far as your distribution has them: $optional"
        exit 1
    else
        echo "not installed, so tests that want them will be skipped: $optional"
    fi
    ;;
Darwin)
    [ $list = no ] || { names brew "$verb"; exit 0; }
    command -v brew >/dev/null || { echo "needs Homebrew"; exit 1; }
    missing=
    for name in $(names brew "$verb"); do
        brew list --formula "$name" >/dev/null 2>&1 || missing="$missing $name"
    done
    if [ -n "$missing" ]; then
        echo "installing with brew:$missing"
        # shellcheck disable=SC2086   # names, to be split
        brew install --quiet $missing
    fi
    ;;
*)
    echo "no packages known for $(uname -s)" >&2
    exit 1
    ;;
esac
