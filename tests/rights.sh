#!/bin/sh
# Says in one line what stands in the way of the demo's networks, and ends with 1; silent if nothing does. It asks only
# what every system can answer: tests/network/netns.py asks the same again when it starts.
set -eu

if [ "$(uname -s)" != Linux ]; then
    echo "demo: needs Linux: its networks are made of Linux namespaces" >&2
    exit 1
fi
as_root='unshare --net --mount --pid --fork --kill-child true'
as_user='unshare --user --map-root-user --net --mount --pid --fork --kill-child true'
if ! { [ "$(id -u)" = 0 ] && $as_root 2>/dev/null; } && ! cause=$($as_user 2>&1); then
    echo "demo: cannot make namespaces ($cause): run it as root and not in a chroot or container that forbids them, or" \
        "permit user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone," \
        "kernel.apparmor_restrict_unprivileged_userns)" >&2
    exit 1
fi
if ! [ -r /dev/net/tun ] || ! [ -w /dev/net/tun ]; then
    echo "demo: cannot open /dev/net/tun: run it as root, or load the tun module and give the device its usual mode 0666" >&2
    exit 1
fi
