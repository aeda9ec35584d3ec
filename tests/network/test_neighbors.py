"""What guests may do to the machines beside them, and what those may do to a guest, live.

    guest -- softnet -- tap u-NAME -- br0 -- eth0 gateway
                                       `---- eth0 neighbor, which has no guard
"""

import errno
import json
import pathlib
import platform
import re
import socket
import struct
import sys
import time

import pytest

import dhcp_peers
import ipv6_peers
import netns
import rawguest
import services
import vm
from capture import GATEWAY_MAC, watch  # noqa: F401
from conftest import needs

ONE_MAC = "52:54:00:00:00:0a"
INTERNET, NEIGHBOR_IP = "1.1.1.1", "192.168.77.99"
UNREACHABLE, PORT, TOO_BIG = 3, 3, 4
# RFC 903: a reverse request, in which both MAC addresses are the sender's and both IP addresses nobody's.
RARP = bytes.fromhex("ffffffffffff 52540000000a 8035 0001 0800 06 04 0003 52540000000a 00000000 52540000000a 00000000")


@pytest.mark.skipif(vm.qemu_path() is None, reason="no QEMU")
def test_qemu_announces_a_moved_guest(segment, softnet):
    """As it does behind a migration. The machine runs its firmware, and no guest: what speaks is QEMU."""
    program, machine, _ = vm.MACHINES[platform.machine()]
    wire = segment.gateway.wire("eth0")
    running = segment.start(
        [softnet, "run", "-v", "--vm-mac-address", ONE_MAC, "--uplink", "tap:u-vm,bridge=br0", "--", program, *machine,
         "-accel", "tcg", "-m", "64", "-nodefaults", "-no-user-config", "-nographic", "-monitor", "stdio",
         "-netdev", "dgram,id=n0,local.type=fd,local.str={fd}", "-device", "virtio-net-device,netdev=n0,mac={mac}"],
        name="qemu", kind=services.Softnet)
    running.wait_line("QEMU .* monitor", 30)
    running.write_line("announce_self")
    wire.wait_frame(lambda frame: frame[:42] == RARP, 10, "QEMU's announcement")
    assert running.counters().dropped("guest") == 0
    running.write_line("quit")
    assert running.wait() == 0
    wire.close()


def error_about(code, sender, sender_port, receiver, receiver_port):
    """An ICMP error about a datagram; if it is too big, 576 octets would not be."""
    datagram = rawguest.udp(GATEWAY_MAC, ONE_MAC, sender, receiver, sender_port, receiver_port, b"x" * 8)[14:]
    message = struct.pack("!BBHHH", UNREACHABLE, code, 0, 0, 576 if code == TOO_BIG else 0) + datagram
    return message[:2] + struct.pack("!H", rawguest.checksum(message)) + message[4:]


def udp_socket(namespace, address, port, peer):
    with namespace.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((address, port))
    client.connect(peer)
    return client


def path_mtu(namespace, to):
    match = re.search(r"mtu (\d+)", namespace.ip(f"route get {to} from {INTERNET}"))
    return int(match.group(1)) if match else None


def was_refused(client):
    return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_errors_about_others_stay_inside(segment, watch):  # noqa: F811
    """A server that talks to a neighbor is not told a word about it by the guest; about the guest it is."""
    guest = watch("guest", ONE_MAC)
    guest.lease()
    to_neighbor = udp_socket(segment.gateway, INTERNET, 5000, (NEIGHBOR_IP, 4000))
    to_guest = udp_socket(segment.gateway, INTERNET, 5001, (guest.address, 4000))
    wire = guest.namespace.wire("eth0")
    for code in PORT, TOO_BIG:
        wire.send(rawguest.ipv4(ONE_MAC, GATEWAY_MAC, guest.address, INTERNET, 1,
                                error_about(code, INTERNET, 5000, NEIGHBOR_IP, 4000)))
    guest.guard.wait_counters(lambda now: now.dropped("guest", "icmp-error-quote") == 2)
    assert not was_refused(to_neighbor) and path_mtu(segment.gateway, NEIGHBOR_IP) is None
    to_guest.send(b"is anybody there?")
    netns.wait_for(lambda: was_refused(to_guest), 5, "the guest's kernel to say that nobody listens")
    wire.send(rawguest.ipv4(ONE_MAC, GATEWAY_MAC, guest.address, INTERNET, 1,
                            error_about(TOO_BIG, INTERNET, 5001, guest.address, 4000)))
    netns.wait_for(lambda: path_mtu(segment.gateway, guest.address) == 576, 5, "the path MTU that the guest told")
    # And the other way round.
    from_guest = udp_socket(guest.namespace, guest.address, 4001, (INTERNET, 9))
    segment.gateway.wire("eth0").send(rawguest.ipv4(GATEWAY_MAC, ONE_MAC, INTERNET, guest.address, 1,
                                                    error_about(PORT, NEIGHBOR_IP, 4001, INTERNET, 9)))
    guest.guard.wait_counters(lambda now: now.dropped("uplink", "icmp-error-quote") == 1)
    from_guest.send(b"is anybody there?")
    netns.wait_for(lambda: was_refused(from_guest), 5, "the gateway's kernel to say that nobody listens")
    assert guest.dropped("icmp-error-quote") == 2
    for client in to_neighbor, to_guest, from_guest:
        client.close()


NEIGHBOR_MAC = "52:54:00:00:00:1f"
ROUNDS, ROUND = 10, 0.15        # s; in a round the guest asks and answers its gateway once: 20 a second are its right


@pytest.fixture
def flood(network):
    """Starts a flood from the neighbor; one at a time."""
    flooding = []

    def start(per_second, *frames):
        while flooding:
            flooding.pop().stop()
        script = pathlib.Path(__file__).parent / "flood.py"
        flooding.append(network.start([sys.executable, script, "eth0", str(per_second), *[frame.hex() for frame in frames]],
                                      network.neighbor, name=f"flood-{len(network.processes)}"))
        flooding[0].wait_line("flooding", 20)
    yield start
    while flooding:
        flooding.pop().stop()


def reaches(namespace, address, family="-4"):
    """One ping, with the neighbor's entry made anew."""
    namespace.ip(f"{family} neigh flush dev eth0")
    return "1 received" in namespace.run("ping", family, "-n", "-c", "1", "-W", "2", address, check=False)


def lost_in_the_queue(network):
    """Frames that the kernel had no place for any more, in front of the guard."""
    return sum(link["stats64"]["tx"]["dropped"] for link in json.loads(network.host.ip("-j -s link"))
               if link["ifname"].startswith("u-"))


def must_reach(network, there, guest, address, gateway, family, flooded):
    """Each round: the gateway reaches the guest, and the guest the gateway, as if nothing were going on. Few rounds may
    tell nothing: where this machine let the guard wait for so long that the queue in front of it was full."""
    reached, told_nothing = [], 0
    while len(reached) < ROUNDS:
        begin, lost = time.monotonic(), lost_in_the_queue(network)
        both = reaches(network.gateway, address, family), reaches(there, gateway, family)
        if both != (True, True) and lost_in_the_queue(network) > lost and told_nothing < ROUNDS / 2:
            told_nothing += 1
        else:
            reached.append(both)
        time.sleep(max(0, begin + ROUND - time.monotonic()))
    assert reached == [(True, True)] * ROUNDS, (flooded, reached, told_nothing, guest.counters())


def mdns_frame(mac, ip_frame):
    return bytes.fromhex("01005e0000fb") + rawguest.mac_bytes(mac) + ip_frame[12:]


def test_a_flood_starves_nobody(segment, watch, flood):  # noqa: F811
    """A neighbor asks the guest, by unicast and broadcast, and shouts to groups, as fast as it can."""
    segment.neighbor = segment.namespace("neighbor")
    segment.join(segment.neighbor, "eth0", "br0", "192.168.77.99/24", mac=NEIGHBOR_MAC)
    guest = watch("guest", ONE_MAC, "--allow=192.168.77.0/24", allow=("192.168.77.0/24",))
    guest.lease()
    floods = {
        "unicast ARP": (1000, rawguest.arp(NEIGHBOR_MAC, 1, "192.168.77.100", guest.address, ONE_MAC)),
        "broadcast ARP": (10000, rawguest.arp(NEIGHBOR_MAC, 1, "192.168.77.100", guest.address)),
        "mDNS": (30000, mdns_frame(NEIGHBOR_MAC, rawguest.udp(
            NEIGHBOR_MAC, NEIGHBOR_MAC, "192.168.77.99", "224.0.0.251", 5353, 5353, bytes(40)))),
    }
    for name, (per_second, frame) in floods.items():
        flood(per_second, frame)
        must_reach(segment, guest.namespace, guest.guard, guest.address, "192.168.77.1", "-4", name)
        assert guest.guard.counters().dropped("uplink", "rate-uplink") > 0, f"no flood of {name}"
    # Claims pass: what a client probes for, and announces.
    guest.namespace.run("arping", "-D", "-c", "2", "-I", "eth0", guest.address, check=False)
    assert guest.dropped("rate-arp") == 0, guest.guard.counters()


@needs("radvd")
def test_a_flood_starves_nobody_in_ipv6(routed, flood):
    routed.neighbor = routed.namespace("neighbor")
    routed.neighbor.set_ipv6(accept_ra=0)
    routed.join(routed.neighbor, "eth0", "br0", mac=NEIGHBOR_MAC)
    guest = ipv6_peers.Guest6(routed, "vm", "--allow", ipv6_peers.PREFIX)
    address = guest.wait_eui64()
    guest.wait_router()
    source = "fe80::64"
    message = struct.pack("!BBHI", 135, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, address) + b"\1\1" + \
        dhcp_peers.mac_bytes(NEIGHBOR_MAC)

    def solicitation(to, mac):
        return dhcp_peers.mac_bytes(mac) + dhcp_peers.mac_bytes(NEIGHBOR_MAC) + b"\x86\xdd" + ipv6_peers.packet(
            source, to, 58, ipv6_peers.with_checksum(source, to, 58, message, 2), 255)
    group = ipv6_peers.text(ipv6_peers.number("ff02::1:ff00:0") | ipv6_peers.number(address) & 0xFFFFFF)
    group_mac = "33:33:" + socket.inet_pton(socket.AF_INET6, group)[12:].hex(":")
    for per_second, frame in (1000, solicitation(address, guest.mac)), (10000, solicitation(group, group_mac)):
        flood(per_second, frame)
        must_reach(routed, guest.namespace, guest.guard, address, ipv6_peers.GATEWAY, "-6", frame[:6].hex())
        assert guest.guard.counters().dropped("uplink", "rate-uplink") > 0, "no flood"
        # Duplicate address detection of a new address, in the middle of it.
        new = ipv6_peers.text(ipv6_peers.number(ipv6_peers.PREFIX[:-3]) | 0x7777_0000_0000_0000 + per_second)
        guest.namespace.ip(f"address add {new}/64 dev eth0")
        netns.wait_for(lambda: new in guest.addresses(), 10, f"DAD of {new}")
        netns.wait_for(lambda: "1 received" in guest.ping(source=new, check=False), 10, f"an answer to {new}")
    assert guest.guard.counters().dropped("guest", "rate-nd", "ip6-src-unbound") == 0
