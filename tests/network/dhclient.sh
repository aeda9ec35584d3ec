#!/bin/sh
# What dhclient calls when its lease changes: put the address and the route on the interface. The stock script would
# also write /etc/resolv.conf, which belongs to the host.
# shellcheck disable=SC2154      # dhclient sets the variables

case "$reason" in
BOUND | RENEW | REBIND | REBOOT)
    if [ -n "${old_ip_address:-}" ] && [ "$old_ip_address" != "$new_ip_address" ]; then
        ip -4 address flush dev "$interface"
    fi
    ip address replace "$new_ip_address/${new_subnet_mask:-255.255.255.0}" dev "$interface"
    for gateway in ${new_routers:-}; do
        ip route replace default via "$gateway" dev "$interface"
    done
    ;;
EXPIRE | FAIL | RELEASE | STOP)
    ip -4 address flush dev "$interface"
    ;;
PREINIT)
    ip link set "$interface" up
    ;;
BOUND6 | RENEW6 | REBIND6)
    if [ -n "${old_ip6_address:-}" ] && [ "$old_ip6_address" != "$new_ip6_address" ]; then
        ip -6 address delete "$old_ip6_address/128" dev "$interface"
    fi
    ip -6 address replace "$new_ip6_address/128" dev "$interface"
    # A status of 3 makes dhclient decline the address: somebody else has it.
    while state=$(ip -6 -o address show dev "$interface" to "$new_ip6_address"); do
        case $state in
        *dadfailed*)
            ip -6 address delete "$new_ip6_address/128" dev "$interface"
            exit 3
            ;;
        *tentative*) sleep 0.1 ;;
        *) break ;;
        esac
    done
    ;;
EXPIRE6 | RELEASE6 | STOP6)
    ip -6 address delete "$old_ip6_address/128" dev "$interface"
    ;;
esac
