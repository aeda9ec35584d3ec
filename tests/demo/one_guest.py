"""Part 1: one hostile VM, with nothing but QEMU and softnet: no root, no bridge, no set-up.

    guest eth0 -- QEMU -- softnet -- slirp (DHCP, IPv6 router, NAT; inside softnet) -- the demo's own network namespace

Slirp gives the guest 10.0.2.15 and is its gateway 10.0.2.2, and in IPv6 it is the router fe80::2 of fd00:10:0:2::/64.
What the guest sends to an address, softnet's slirp process sends from here. So the addresses below are put on this
namespace's loopback interface.
"""

import frames
import frames6
import netns
import services
import why
from addresses import start_ipv6, take_lease, wait_ipv6
from vm import VM, qemu_name

GUEST_MAC, OTHER_MAC = "52:54:00:00:00:0a", "52:54:00:66:66:66"
GATEWAY, GATEWAY_MAC = "10.0.2.2", "52:55:0a:00:02:02"
ROUTER, ROUTER_MAC, PREFIX = "fe80::2", "52:56:00:00:00:02", "fd00:10:0:2:"
# Global addresses: a guest may reach these and, without a rule, no others. They are ours alone here, as this namespace
# has no way out. And two as on somebody's own LAN.
INTERNET, INTERNET6 = "1.1.1.1", "2606:4700:4700::1111"
NEIGHBOR, NEIGHBOR6 = "192.168.66.1", "fd66::1"
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
         [frames.udp(me, GATEWAY_MAC, nobody, INTERNET, 5000, 53, b"hello")] * FRAMES, ["ip4-src-spoof"]),
        ("play the DHCP server", [frames.offer(me, GATEWAY, OTHER_MAC, nobody, lease, at) for at in numbers],
         ["dhcp4-server-from-guest"]),
        ("take all DHCP leases", [frames.discover(me, f"52:54:00:66:66:{at:02x}", at) for at in numbers],
         ["dhcp4-chaddr", "rate-dhcp"]),
        ("hide ARP in a VLAN tag", [frames.tagged_arp(7, me, lease, GATEWAY)] * FRAMES, ["ethertype-vlan"]),
    ]


def attacks6():
    """As attacks(). Of the fragments two make one advertisement."""
    # Of another network: an address of its own network that nobody has the guest may take.
    me, nobody, rogue, numbers = GUEST_MAC, "fd00:bad::99", "fd00:bad::", range(FRAMES)
    fragments = [frames6.fragmented_router_advertisement(me, rogue, at) for at in range(FRAMES // 2)]
    return [
        ("send as another IPv6 address",
         [frames6.udp((me, ROUTER_MAC), (nobody, INTERNET6), 5000, 53, b"hello")] * FRAMES, ["ip6-src-unbound"]),
        ("answer for the IPv6 router", [frames6.neighbor_advertisement(me, ROUTER)] * FRAMES, ["nd-target-foreign"]),
        ("take the IPv6 router's address", [frames6.duplicate_address_detection(me, ROUTER)] * FRAMES,
         ["nd-target-reserved"]),
        ("play the IPv6 router", [frames6.router_advertisement(me, rogue)] * FRAMES, ["ra-from-guest"]),
        ("play it behind another header", [frames6.hidden_router_advertisement(me, rogue)] * FRAMES,
         ["ra-from-guest"]),
        ("play it in fragments", [frame for pair in fragments for frame in pair], ["ip6-fragment"]),
        ("play the DHCPv6 server", [frames6.dhcp_advertise(me, OTHER_MAC, nobody, at) for at in numbers],
         ["dhcp6-server-from-guest"]),
    ]


def start(screen, network, image, softnet, told):
    guard = [softnet, "run", "-v", "--vm-mac-address", GUEST_MAC, "--uplink", "slirp", *why.options(told), "--"]
    netdev = "dgram,id=n0,local.type=fd,local.str={fd}"
    screen.typed("host", f"softnet run -v --uplink slirp --name {why.NAME} --events ... --pcap ... -- {qemu_name()} "
                         f"... -netdev {netdev} -device virtio-net-device,netdev=n0,mac={{mac}}")
    return VM(network, "guest", image, "{mac}", netdev, guard,
              on_line=screen.guard("softnet"), kind=services.Softnet)


def honest_work(screen, guest):
    lease = take_lease(screen, guest)
    screen.row("take a DHCP lease", "an address", f"got {lease}", lease.startswith("10.0.2."))
    start_ipv6(screen, guest)
    fetch(screen, guest, "fetch a file over HTTP", INTERNET)
    address = wait_ipv6(screen, guest)
    screen.row("take an IPv6 address by SLAAC", "an address", f"got {address}", address.startswith(PREFIX))
    fetch(screen, guest, "fetch a file over IPv6", f"[{INTERNET6}]")
    return lease


def fetch(screen, guest, title, host):
    command = f"timeout 10 wget -q -O - http://{host}/file"
    screen.typed("guest", command)
    status, output = guest.try_run(command, 20)
    screen.output("guest", output)
    good = status == 0 and output == PAGE.decode().strip()
    screen.row(title, "arrives", "arrived" if good else f"status {status}", good)


def drops_of(guest, wanted, *reasons):
    """Wait until softnet has dropped `wanted` frames of the guest's for these reasons; returns how many it has."""
    def all_dropped(counters):
        return counters.dropped("guest", *reasons) >= wanted
    try:
        return guest.process.wait_counters(all_dropped, 5).dropped("guest", *reasons)
    except netns.NetworkError:
        return guest.process.counters().dropped("guest", *reasons)


def attack(screen, guest, title, forged, reasons):
    screen.say("")
    screen.say(f"  -- the guest tries to {title}")
    screen.typed("guest", f"rawframe send eth0 {forged[0][:60]}...   # {len(forged)} frames like it")
    before = guest.process.counters()
    screen.output("guest", guest.run(f"rawframe send eth0 {' '.join(forged)}"))
    drops_of(guest, before.dropped("guest", *reasons) + len(forged), *reasons)
    after = guest.process.counters()
    each = {reason: after.dropped("guest", reason) - before.dropped("guest", reason) for reason in reasons}
    dropped, why = sum(each.values()), ", ".join(reason for reason in reasons if each[reason])
    screen.row(title, "dropped", f"{dropped} of {len(forged)} dropped: {why or 'no reason'}", dropped == len(forged))


def reach_private(screen, guest, web, title, host):
    command = f"timeout 2 wget -q -O - http://{host}/private &"
    screen.typed("guest", command)
    before = guest.process.counters().dropped("guest", "dst-private")
    guest.run(command)
    refused = drops_of(guest, before + 1, "dst-private") - before
    reached = any(path == "/private" for _, path in web.requests)
    screen.row(title, "refused", "reached" if reached else f"refused: dst-private {refused}",
               not reached and refused > 0)


def show_counters(screen, lines):
    """The report that softnet prints at its end: the lines between the last two that say "end"."""
    ends = [at for at, line in enumerate(lines) if line == "end"]
    report = lines[ends[-2] + 1:ends[-1]] if len(ends) > 1 else lines
    screen.output("softnet", "\n".join(line for line in report if not line.startswith("softnet: ")))


def one_guest(screen, image, softnet):
    screen.part("Part 1: one VM with no other network than softnet")
    with netns.Network() as network:
        network.host.set_ipv6("lo", disable_ipv6=0)
        for address in f"{INTERNET}/32", f"{NEIGHBOR}/32", f"{INTERNET6}/128", f"{NEIGHBOR6}/128":
            network.host.ip(f"address add {address} dev lo")
        web = services.WebServer(network.host, "::", body=PAGE)     # IPv4 as well
        told = why.folder(network)
        guest = start(screen, network, image, softnet, told)
        version, mac = guest.boot()
        screen.output("guest", f"Linux {version} is up, MAC address {mac}")
        lease = honest_work(screen, guest)

        # What slirp answers to forged frames would come back here: a lease that it offers to another MAC, say.
        guest.run("rawframe listen eth0 >/tmp/seen &")
        all_attacks = attacks(lease) + attacks6()
        sent_for = {reasons[0]: forged[0] for _, forged, reasons in all_attacks}
        for title, forged, reasons in all_attacks:
            attack(screen, guest, title, forged, reasons)
        offers = int(guest.try_run("grep -c 00430044 /tmp/seen")[1])     # UDP ports 67 to 68
        screen.row("get answers to those DISCOVERs", "none", f"{offers} offers came back", offers == 0)

        screen.say("")
        screen.say("  -- the guest tries to reach a machine on the host's own LAN")
        reach_private(screen, guest, web, "reach a private address", NEIGHBOR)
        reach_private(screen, guest, web, "reach a private IPv6 address", f"[{NEIGHBOR6}]")

        reason, _ = why.ask(screen, guest, softnet)
        why.watch(screen, guest, softnet, reason, sent_for[reason])
        count = why.export(screen, guest, softnet, reason)

        screen.say("")
        fetch(screen, guest, "go on with honest work", INTERNET)
        fetch(screen, guest, "go on with honest work over IPv6", f"[{INTERNET6}]")
        status = guest.power_off()
        screen.row("power the VM off", "softnet ends too", f"exit status {status}", status == 0)
        why.look_back(screen, softnet, told, reason, count, sent_for[reason])
        show_counters(screen, guest.process.output("err"))
        web.close()
