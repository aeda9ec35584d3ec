#!/bin/sh
# Builds the Debian package in a fresh root, runs lintian over it, installs it in another, uses it, removes and purges
# it. Needs root and debootstrap; a few minutes.
#
#     tests/package.sh [DISTRIBUTION]      bookworm unless told

set -eu

distribution=${1:-bookworm}
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/tests/root.sh"

base=$(base_system "$distribution")
version=$(sed -n "s/.*[ (]version: '\([^']*\)'.*/\1/p" "$top/meson.build" | head -n 1)

say "building the package on $distribution"
new_root build "$base"
"$top/packaging/dist.py" "$root/srv" >/dev/null
in_root '
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends build-essential lintian >/dev/null
    cd /srv && tar xzf softnet-*.tar.gz && cd softnet-*/
    apt-get -qq build-dep -y --no-install-recommends . >/dev/null
    dpkg-buildpackage -us -uc -b >/srv/build.log 2>&1 || { tail -n 30 /srv/build.log; exit 1; }
    lintian --fail-on warning,error --allow-root /srv/*.changes
'
mkdir -p "$store/packages"
rm -f "$store/packages/"*.deb
cp "$root/srv/softnet_$version"*.deb "$root/srv/softnet-libvirt_$version"*.deb "$store/packages/"
drop_root

say "installing, using, removing and purging it"
new_root use "$base"
cp "$store/packages/"*.deb "$root/srv/"
cp -r "$top/debian/tests" "$root/srv/tests"
in_root '
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends /srv/softnet_*.deb >/dev/null
    apt-get -qq install -y --no-install-recommends dnsmasq-base iproute2 busybox-static >/dev/null
    softnet --version
    getent passwd softnet >/dev/null
    echo "{\"cniVersion\": \"1.1.0\"}" | CNI_COMMAND=VERSION /usr/lib/cni/softnet-cni | grep -q supportedVersions
    test -e /usr/share/man/man8/softnet-cni.8.gz
    test ! -e /etc/libvirt
    apt-get -qq install -y --no-install-recommends /srv/softnet-libvirt_*.deb >/dev/null
    hook=/etc/libvirt/hooks/qemu.d/softnet
    test "$(readlink -f $hook)" = /usr/sbin/softnet-libvirt-hook
    test -e /usr/share/man/man8/softnet-libvirt-hook.8.gz
    echo "<domain><uuid>48169978-85d2-4153-a79b-3433a62465d1</uuid></domain>" | $hook plain start begin -
    apt-get -qq remove -y softnet-libvirt >/dev/null
    test ! -e $hook && test ! -L $hook
    cd /srv && tests/rules-mean-what-they-say && tests/guards-a-vm
    mkdir -p /etc/softnet && echo OPTIONS= >/etc/softnet/own.conf
    apt-get -qq remove -y softnet >/dev/null
    test ! -e /usr/bin/softnet
    test -e /etc/apparmor.d/usr.bin.softnet       # what an administrator may have changed stays until a purge
    apt-get -qq purge -y softnet >/dev/null
    test ! -e /etc/apparmor.d/usr.bin.softnet
    test ! -e /usr/lib/systemd/system/softnet@.service
    test -e /etc/softnet/own.conf                 # and what is theirs stays
'
drop_root
say "$distribution: the package was built, used, removed and purged"
