#!/bin/sh
# Builds the guest that the demo and the network tests boot: a Debian cloud kernel and an initramfs with busybox,
# the virtio network modules and rawframe. Nothing is installed and no root is needed: the packages are only unpacked.
#
#     tests/vm/image.sh DIRECTORY        leaves vmlinuz, initramfs and busybox there; does nothing if they are current
#
# Modules that the guest does not need, and that tests put into it beside softnet, are left in DIRECTORY/modules.

set -eu

say() { echo "image.sh: $*" >&2; }
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: image.sh DIRECTORY}

# Load order matters: virtio before virtio_ring is refused for unknown symbols.
modules="virtio_ring virtio virtio_mmio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net"
more_modules="veth cls_bpf sch_ingress"

case $(uname -m) in
x86_64) kernel=linux-image-cloud-amd64 ;;
aarch64) kernel=linux-image-cloud-arm64 ;;
*) say "no guest for $(uname -m): it needs a Debian cloud kernel, which exists for x86_64 and aarch64"; exit 1 ;;
esac
for tool in apt-get apt-cache dpkg-deb cc cpio xz gzip; do
    command -v $tool >/dev/null || { say "needs $tool (on Debian, ./demo and ./check install it)"; exit 1; }
done

current=$(cd "$here" && cat image.sh init udhcpc.sh rawframe.c | sha256sum)
if [ -s "$out/initramfs" ] && [ "$(cat "$out/made-from" 2>/dev/null)" = "$current" ]; then
    exit 0
fi

mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

# The metapackage names the newest real kernel package.
newest_kernel() { apt-cache depends "$kernel" 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }'; }
# A sandbox user could not write here; the archive's signatures are checked all the same.
download() {
    package=$(newest_kernel)
    [ -n "$package" ] && apt-get -qq -o APT::Sandbox::User=root download "$package" busybox-static >/dev/null 2>errors
}

if ! download; then
    # The package lists may be missing, or older than what the archive still holds.
    if [ "$(id -u)" != 0 ] || ! apt-get -qq update || ! download; then
        cat errors >&2 2>/dev/null || true
        say "cannot download the guest's kernel ($kernel) and busybox-static; try: sudo apt-get update"
        exit 1
    fi
fi

# Debian 13 has the modules below usr/.
dpkg-deb --fsys-tarfile linux-image-*.deb | tar -x --wildcards './boot/vmlinuz-*' \
    './*lib/modules/*/kernel/drivers/virtio/*' './*lib/modules/*/kernel/drivers/net/virtio_net*' \
    './*lib/modules/*/kernel/drivers/net/net_failover*' './*lib/modules/*/kernel/net/core/failover*' \
    './*lib/modules/*/kernel/drivers/net/veth*' './*lib/modules/*/kernel/net/sched/cls_bpf*' \
    './*lib/modules/*/kernel/net/sched/sch_ingress*'
dpkg-deb --fsys-tarfile busybox-static*.deb | tar -x --wildcards './*bin/busybox'

mkdir -p modules guest/bin guest/modules guest/proc guest/sys guest/dev guest/tmp
find . -path ./guest -prune -o -type f -path '*bin/busybox' -exec mv {} guest/bin/busybox \;
cc -std=c11 -Os -static -Wall -Wextra -o guest/bin/rawframe "$here/rawframe.c"
cp "$here/init" guest/init
cp "$here/udhcpc.sh" guest/bin/udhcpc.sh
chmod 755 guest/init guest/bin/*
# FOLDER MODULE: a kernel may have it built in, and newer Debian kernels compress them.
take_module() {
    find . -path ./guest -prune -o -path ./modules -prune -o -name "$2.ko*" -exec mv {} "$1/" \;
    if [ -e "$1/$2.ko.xz" ]; then
        xz -d "$1/$2.ko.xz"
    fi
}
for module in $modules; do
    take_module guest/modules "$module"
    if [ -e "guest/modules/$module.ko" ]; then
        echo "$module.ko" >>guest/modules/order
    fi
done
for module in $more_modules; do
    take_module modules "$module"
done

(cd guest && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1 >initramfs
mv boot/vmlinuz-* "$out/vmlinuz"
cp guest/bin/busybox "$out/busybox"
mv initramfs "$out/initramfs"
rm -rf "$out/modules"
mv modules "$out/modules"
echo "$current" >"$out/made-from"
say "built in $out: $(ls linux-image-*.deb)"
