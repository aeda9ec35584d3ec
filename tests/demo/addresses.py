"""How a guest of the demo gets its addresses: a lease by DHCP, and one of IPv6 by SLAAC."""

SETTINGS = "/proc/sys/net/ipv6/conf/eth0"


def take_lease(screen, guest):
    screen.typed(guest.name, "udhcpc -i eth0")
    output = guest.run("udhcpc -i eth0 -n -q -t 10 -T 1 -s /bin/udhcpc.sh", 30)
    lease = next(line for line in output.splitlines() if line.startswith("lease "))
    screen.output(guest.name, lease)
    return lease.split()[1].split("/")[0]


def start_ipv6(screen, guest):
    """Once more from its beginning, as udhcpc.sh has removed all addresses; and without the random pause at first. It
    goes on by itself: two seconds, in which the guest's kernel listens for others that have its addresses (DAD)."""
    screen.typed(guest.name, f"echo 0 >{SETTINGS}/disable_ipv6")
    guest.run(f"cd {SETTINGS}; echo 1 >disable_ipv6; echo 0 >router_solicitation_delay; echo 0 >disable_ipv6")


def wait_ipv6(screen, guest):
    """The address that the guest made of the router's prefix."""
    command = "ip -6 address show dev eth0 scope global"
    found = guest.run(f"for i in $(seq 150); do {command} | grep inet6 | grep -v tentative && exit 0; "
                      "sleep 0.1; done; exit 1", 40)
    screen.typed(guest.name, command)
    screen.output(guest.name, found.strip())
    return found.split()[1].split("/")[0]
