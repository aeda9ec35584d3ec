# shellcheck shell=sh disable=SC2016,SC2154 # scripts are passed on in single quotes; `top` is set by who sources this
# Fresh, minimal Debian roots for tests/fresh.sh and tests/package.sh. To be sourced; `top` is the repository.
#
# Commands run as process 1 of a pid namespace with a root of their own, so that what they start ends with them. A chroot
# would not do: the kernel lets nobody in one make user namespaces. FRESH_MIRROR names a mirror, else it is apt's own.

store=$top/build/fresh
mkdir -p "$store"

say() { echo "$(basename "$0"): $*" >&2; }

[ "$(id -u)" = 0 ] || { say "needs root, to make a root file system"; exit 1; }
command -v debootstrap >/dev/null || { say "needs debootstrap"; exit 1; }

# shellcheck disable=SC2016 # apt fills it in
mirror=${FRESH_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v security | head -n 1)}
[ -n "$mirror" ] || { say "apt names no mirror: name one in FRESH_MIRROR"; exit 1; }

# base_system DISTRIBUTION: prints the archive of its minimal root, which is kept.
base_system() {
    if [ ! -s "$store/$1.tar" ]; then
        say "making a base system of $1"
        new=$(mktemp -d "$store/base.XXXXXX")
        if ! debootstrap --variant=minbase "$1" "$new/root" "$mirror" >"$store/debootstrap.log" 2>&1; then
            tail -n 5 "$store/debootstrap.log" >&2
            rm -rf "$new"
            return 1
        fi
        # `apt-get build-dep` reads these, too.
        echo "deb-src $mirror $1 main" >>"$new/root/etc/apt/sources.list"
        tar -C "$new/root" -cf "$store/$1.new" . && mv "$store/$1.new" "$store/$1.tar"
        rm -rf "$new"
    fi
    echo "$store/$1.tar"
}

# new_root NAME ARCHIVE: sets `root`, which lasts until drop_root or the end.
new_root() {
    root=$(mktemp -d "$store/$1.XXXXXX")
    trap drop_root EXIT
    trap 'exit 1' HUP INT TERM
    tar -C "$root" -xf "$2"
    chmod 755 "$root"
}

drop_root() {
    rm -rf "$root"
    trap - EXIT
}

enter='
set -eu
root=$1
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir -p "$root/dev/net" "$root/dev/pts" "$root/dev/shm"
while read -r node major minor; do # with the modes that udev gives them
    mknod -m 666 "$root/dev/$node" c "$major" "$minor"
done <<NODES
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
net/tun 10 200
NODES
mount -t devpts -o newinstance,ptmxmode=0666 pts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
chmod 1777 "$root/dev/shm"
mount -t tmpfs -o mode=755 run "$root/run"
cp /etc/resolv.conf "$root/etc/resolv.conf" || true
mkdir -p "$root/old"
cd "$root"
pivot_root . old
umount -l /old
export HOME=/root DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec sh -euc "$2"
'

# in_root SCRIPT: runs it in there, as root, in /. Its input is empty.
in_root() {
    unshare --mount --pid --fork --propagation private sh -c "$enter" sh "$root" "$1" </dev/null
}
