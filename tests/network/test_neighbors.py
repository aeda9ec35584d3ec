"""What guests may do to the machines beside them, and what those may do to a guest, live.

    guest -- softnet -- tap u-NAME -- br0 -- eth0 gateway
"""

import errno
import platform
import re
import socket
import struct

import pytest

import netns
import rawguest
import services
import vm
from capture import GATEWAY_MAC, watch  # noqa: F401

ONE_MAC = "52:54:00:00:00:0a"
INTERNET, NEIGHBOUR_IP = "1.1.1.1", "192.168.77.99"
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
    """A server that talks to a neighbour is not told a word about it by the guest; about the guest it is."""
    guest = watch("guest", ONE_MAC)
    guest.lease()
    to_neighbour = udp_socket(segment.gateway, INTERNET, 5000, (NEIGHBOUR_IP, 4000))
    to_guest = udp_socket(segment.gateway, INTERNET, 5001, (guest.address, 4000))
    wire = guest.namespace.wire("eth0")
    for code in PORT, TOO_BIG:
        wire.send(rawguest.ipv4(ONE_MAC, GATEWAY_MAC, guest.address, INTERNET, 1,
                                error_about(code, INTERNET, 5000, NEIGHBOUR_IP, 4000)))
    guest.guard.wait_counters(lambda now: now.dropped("guest", "icmp-error-quote") == 2)
    assert not was_refused(to_neighbour) and path_mtu(segment.gateway, NEIGHBOUR_IP) is None
    to_guest.send(b"is anybody there?")
    netns.wait_for(lambda: was_refused(to_guest), 5, "the guest's kernel to say that nobody listens")
    wire.send(rawguest.ipv4(ONE_MAC, GATEWAY_MAC, guest.address, INTERNET, 1,
                            error_about(TOO_BIG, INTERNET, 5001, guest.address, 4000)))
    netns.wait_for(lambda: path_mtu(segment.gateway, guest.address) == 576, 5, "the path MTU that the guest told")
    # And the other way round.
    from_guest = udp_socket(guest.namespace, guest.address, 4001, (INTERNET, 9))
    segment.gateway.wire("eth0").send(rawguest.ipv4(GATEWAY_MAC, ONE_MAC, INTERNET, guest.address, 1,
                                                    error_about(PORT, NEIGHBOUR_IP, 4001, INTERNET, 9)))
    guest.guard.wait_counters(lambda now: now.dropped("uplink", "icmp-error-quote") == 1)
    from_guest.send(b"is anybody there?")
    netns.wait_for(lambda: was_refused(from_guest), 5, "the gateway's kernel to say that nobody listens")
    assert guest.dropped("icmp-error-quote") == 2
    for client in to_neighbour, to_guest, from_guest:
        client.close()
