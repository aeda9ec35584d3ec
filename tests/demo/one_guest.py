"""Part 1: one hostile VM, with nothing but QEMU and softnet: no root, no bridge, no set-up.

    guest eth0 -- QEMU -- softnet -- slirp (DHCP and NAT, inside softnet) -- the demo's own network namespace

Slirp gives the guest 10.0.2.15 and is its gateway 10.0.2.2; what the guest sends to an address, softnet's slirp process
sends from here. So the addresses below are put on this namespace's loopback interface.
"""

import frames
import netns
import services
from vm import VM, qemu_name

GUEST_MAC, OTHER_MAC = "52:54:00:00:00:0a", "52:54:00:66:66:66"
GATEWAY = "10.0.2.2"
INTERNET = "1.1.1.1"            # a global address: a guest may reach these and, without a rule, no others. It is ours
NEIGHBOUR = "192.168.66.1"      # alone here, as this namespace has no way out. And one as on somebody's own LAN.
PAGE = b"a file from outside\n"
FRAMES = 10                     # of each attack


def attacks(lease):
    """(what the guest tries, the frames, the reasons for which softnet may drop them)"""
    me, nobody, numbers = GUEST_MAC, "10.0.2.99", range(FRAMES)
    return [
        ("send as another MAC", [frames.arp(frames.REQUEST, OTHER_MAC, lease, "00:00:00:00:00:00", GATEWAY)] * FRAMES,
         ["eth-src-spoof"]),
        ("answer ARP for the gateway", [frames.arp(frames.REPLY, me, GATEWAY, me, lease)] * FRAMES, ["arp-spa-spoof"]),
        ("send as another IP address",
         [frames.udp(me, "52:55:0a:00:02:02", nobody, INTERNET, 5000, 53, b"hello")] * FRAMES, ["ip4-src-spoof"]),
        ("play the DHCP server", [frames.offer(me, GATEWAY, OTHER_MAC, nobody, lease, at) for at in numbers],
         ["dhcp4-server-from-guest"]),
        ("take all DHCP leases", [frames.discover(me, f"52:54:00:66:66:{at:02x}", at) for at in numbers],
         ["dhcp4-chaddr", "rate-dhcp"]),
        ("play the IPv6 router", [frames.router_advertisement(me, "fe80::5054:ff:fe00:a", "fd00:bad::")] * FRAMES,
         ["ra-from-guest", "ip6-disabled"]),
        ("hide ARP in a VLAN tag", [frames.tagged_arp(7, me, lease, GATEWAY)] * FRAMES, ["ethertype-vlan"]),
    ]


def start(screen, network, image, softnet):
    guard = [softnet, "run", "-v", "--vm-mac-address", GUEST_MAC, "--uplink", "slirp", "--"]
    netdev = "dgram,id=n0,local.type=fd,local.str={fd}"
    screen.typed("host", f"softnet run -v --uplink slirp -- {qemu_name()} ... -netdev {netdev} "
                         "-device virtio-net-device,netdev=n0,mac={mac}")
    return VM(network, "guest", image, "{mac}", netdev, guard,
              on_line=screen.guard("softnet"), kind=services.Softnet)


def honest_work(screen, guest):
    screen.typed("guest", "udhcpc -i eth0")
    output = guest.run("udhcpc -i eth0 -n -q -t 10 -T 1 -s /bin/udhcpc.sh", 30)
    line = next(line for line in output.splitlines() if line.startswith("lease "))
    screen.output("guest", line)
    lease = line.split()[1].split("/")[0]
    screen.row("take a DHCP lease", "an address", f"got {lease}", lease.startswith("10.0.2."))
    fetch(screen, guest, "fetch a file over HTTP")
    return lease


def fetch(screen, guest, title):
    command = f"timeout 10 wget -q -O - http://{INTERNET}/file"
    screen.typed("guest", command)
    status, output = guest.try_run(command, 20)
    screen.output("guest", output)
    good = status == 0 and output == PAGE.decode().strip()
    screen.row(title, "arrives", "arrived" if good else f"status {status}", good)


def attack(screen, guest, title, forged, reasons):
    screen.say("")
    screen.say(f"  -- the guest tries to {title}")
    screen.typed("guest", f"rawframe send eth0 {forged[0][:60]}...   # {len(forged)} frames like it")
    before = guest.process.counters().dropped("guest", *reasons)
    screen.output("guest", guest.run(f"rawframe send eth0 {' '.join(forged)}"))

    def all_dropped(counters):
        return counters.dropped("guest", *reasons) - before >= len(forged)
    try:
        guest.process.wait_counters(all_dropped, 5)
    except netns.NetworkError:
        pass
    counters = guest.process.counters()
    dropped = counters.dropped("guest", *reasons) - before
    why = ", ".join(reason for reason in reasons if counters.dropped("guest", reason))
    screen.row(title, "dropped", f"{dropped} of {len(forged)} dropped: {why or 'no reason'}", dropped == len(forged))


def show_counters(screen, lines):
    """The report that softnet prints at its end: the lines between the last two that say "end"."""
    ends = [at for at, line in enumerate(lines) if line == "end"]
    report = lines[ends[-2] + 1:ends[-1]] if len(ends) > 1 else lines
    screen.output("softnet", "\n".join(line for line in report if not line.startswith("softnet: ")))


def one_guest(screen, image, softnet):
    screen.part("Part 1: one VM with no other network than softnet")
    with netns.Network() as network:
        for address in INTERNET, NEIGHBOUR:
            network.host.ip(f"address add {address}/32 dev lo")
        web = services.WebServer(network.host, "0.0.0.0", body=PAGE)
        guest = start(screen, network, image, softnet)
        version, mac = guest.boot()
        screen.output("guest", f"Linux {version} is up, MAC address {mac}")
        # So that its kernel sends nothing of its own accord that would be counted with the forged frames.
        guest.run("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        lease = honest_work(screen, guest)

        # What slirp answers to forged frames would come back here: a lease that it offers to another MAC, say.
        guest.run("rawframe listen eth0 >/tmp/seen &")
        for title, forged, reasons in attacks(lease):
            attack(screen, guest, title, forged, reasons)
        offers = int(guest.try_run("grep -c 00430044 /tmp/seen")[1])     # UDP ports 67 to 68
        screen.row("get answers to those DISCOVERs", "none", f"{offers} offers came back", offers == 0)

        screen.say("")
        screen.say("  -- the guest tries to reach a machine on the host's own LAN")
        command = f"timeout 2 wget -q -O - http://{NEIGHBOUR}/private"
        screen.typed("guest", command)
        status, _ = guest.try_run(command)
        reached = any(path == "/private" for _, path in web.requests)
        refused = guest.process.counters().dropped("guest", "dst-private")
        screen.row("reach a private address", "refused", "reached" if reached else f"refused: dst-private {refused}",
                   not reached and status != 0 and refused > 0)

        screen.say("")
        fetch(screen, guest, "go on with honest work")
        status = guest.power_off()
        screen.row("power the VM off", "softnet ends too", f"exit status {status}", status == 0)
        show_counters(screen, guest.process.output("err"))
        web.close()
