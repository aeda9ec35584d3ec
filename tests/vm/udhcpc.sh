#!/bin/sh
# What udhcpc calls when its lease changes: put the address and the route on the interface, and nothing else.
# shellcheck disable=SC2154      # udhcpc sets the variables

case "$1" in
deconfig)
    ip -4 address flush dev "$interface" scope global
    ip link set "$interface" up
    ;;
bound | renew)
    ip address replace "$ip/${mask:-24}" dev "$interface"
    for gateway in $router; do
        ip route replace default via "$gateway" dev "$interface"
    done
    echo "lease $ip/${mask:-24} from ${serverid:-?} gateway ${router:-none} for ${lease:-?} s"
    ;;
nak)
    echo "lease refused by ${serverid:-?}"
    ;;
esac
