#!/bin/sh
# Runs the README's two commands in a fresh, minimal Debian, as root and as a plain user. Needs root and debootstrap.
#
#     tests/fresh.sh DISTRIBUTION [demo|check|root|user]...     bookworm or trixie; both commands as both unless told
#
# The plain user has Debian's PATH for users, which lacks /usr/sbin. What they lack is installed by root, as ./demo and
# ./check tell them.

set -eu

usage() { echo "usage: $0 bookworm|trixie [demo|check|root|user]..." >&2; exit 2; }

distribution=${1:-}
[ -n "$distribution" ] || usage
shift
commands= users=
for word; do
    case $word in
    demo | check) commands="$commands $word" ;;
    root | user) users="$users $word" ;;
    *) usage ;;
    esac
done
: "${commands:=demo check}" "${users:=root user}"
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/tests/root.sh"

# shellcheck disable=SC2016 # both are run in there
as_root='cd /srv/softnet && CI=true "./$command"'
# shellcheck disable=SC2016
as_user='cd /srv/softnet && tests/packages.sh "$command" && chown -R user:user . &&
    exec setpriv --reuid user --regid user --init-groups env -i CI=true HOME=/home/user USER=user LANG=C.UTF-8 \
        PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games "./$command"'

base=$(base_system "$distribution")
failed=0
for user in $users; do
    new_root "$distribution-$user" "$base"
    printf 'user:x:1000:1000:,,,:/home/user:/bin/bash\n' >>"$root/etc/passwd"
    printf 'user:x:1000:\n' >>"$root/etc/group"
    mkdir -p "$root/home/user" "$root/srv/softnet"
    chown 1000:1000 "$root/home/user"
    git -C "$top" archive HEAD | tar -C "$root/srv/softnet" -x
    for command in $commands; do
        log=$store/$distribution-$user-$command.log
        started=$(date +%s)
        status=0
        if [ $user = root ]; then script=$as_root; else script=$as_user; fi
        in_root "command=$command; $script" >"$log" 2>&1 || status=$?
        echo "$distribution, $user: ./$command ended with $status after $(($(date +%s) - started)) s; $log"
        [ "$status" = 0 ] || { failed=1; tail -n 20 "$log"; }
    done
    drop_root
done
exit $failed
