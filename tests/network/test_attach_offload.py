"""Frames that are not yet as they will be on the wire, at a tap with offloads as a hypervisor opens it: what their headers
say, and what the guest says beside them.

    the test, as a VM -- tap t-vm, guarded -- br0 -- gateway 192.168.77.1
"""

import errno
import fcntl
import os
import socket
import struct
import time

import pytest

import netns
import rawguest
import services
from netns import wait_for
from test_attach import GATEWAY, GATEWAY_MAC, MAC, loaded, why_not      # noqa: F401

pytestmark = [pytest.mark.together, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

GUEST, NEIGHBOR = "192.168.77.10", "192.168.77.66"
# linux/if_tun.h, linux/virtio_net.h, linux/ethtool.h
TUNSETIFF, TUNSETOFFLOAD, TAP_WITH_HEADER, ALL_OFFLOADS = 0x400454CA, 0x400454D0, 0x0002 | 0x1000 | 0x4000, 0x0F
NEEDS_CHECKSUM, CUT_AS_TCP4 = 1, 1
SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17


class Card:
    """The hypervisor's side of a tap: a frame, and what the guest's driver said of it."""

    def __init__(self, name):
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP_WITH_HEADER))
        fcntl.ioctl(self.fd, TUNSETOFFLOAD, ALL_OFFLOADS)

    def send(self, frame, flags=0, cut_as=0, headers=0, part=0, start=0, offset=0):
        """False: the kernel does not take it; newer ones do not believe everything either."""
        try:
            return os.write(self.fd, struct.pack("<BBHHHH", flags, cut_as, headers, part, start, offset) + frame) > 0
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return False

    def close(self):
        os.close(self.fd)


@pytest.fixture
def card(loaded, segment, softnet):     # noqa: F811
    card = Card("t-vm")
    segment.host.ip("link set t-vm master br0")
    segment.guard = segment.start([softnet, "attach", "t-vm", "--vm-mac-address", MAC, "--vm-ip", f"{GUEST}/24",
                                   "--allow", f"{GATEWAY}/32", "--gateway", GATEWAY, "--gateway-mac", GATEWAY_MAC, "-v"],
                                  kind=services.Softnet)
    segment.guard.wait_line("gateway MAC addresses", 60)
    segment.guard.counters()
    segment.host.ip("link set t-vm up")
    no_checksums("gateway-eth0")        # so that the bridge's port writes them, where it was told to
    segment.card, segment.far = card, segment.gateway.wire("eth0")
    wait_for(lambda: arrives(segment, rawguest.udp(MAC, GATEWAY_MAC, GUEST, GATEWAY, 4000, 5000, b"first")), 10, "the way")
    yield segment
    card.close()


def no_checksums(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        value = bytearray(struct.pack("II", ETHTOOL_STXCSUM, 0))
        address = (netns.ctypes.c_char * len(value)).from_buffer(value)
        request = struct.pack("16sP16x", port.encode(), netns.ctypes.addressof(address))
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)


def arrives(segment, frame, **said):
    segment.far.frames()
    return segment.card.send(frame, **said) and seen(segment)


def seen(segment):
    try:
        return segment.far.wait_frame(lambda f: f[6:12] == rawguest.mac_bytes(MAC), 1)
    except netns.NetworkError:
        return None


def refused(segment, reason, frame, side="guest", **said):
    before = segment.guard.counters().dropped(side, reason)
    segment.far.frames()
    if not segment.card.send(frame, **said):
        return
    assert seen(segment) is None
    segment.guard.wait_counters(lambda c: c.dropped(side, reason) == before + 1)


def test_a_checksum_is_written_where_it_belongs(card):
    frame = rawguest.udp(MAC, GATEWAY_MAC, GUEST, GATEWAY, 4000, 5000, b"an honest datagram")
    arrived = arrives(card, frame, flags=NEEDS_CHECKSUM, start=34, offset=6)
    assert arrived and arrived[:40] == frame[:40] and arrived[40:42] != b"\0\0"
    # Behind the headers nobody has judged anything.
    assert arrives(card, frame, flags=NEEDS_CHECKSUM, start=34, offset=8)


@pytest.mark.parametrize("start, offset", [(14, 12), (14, 14), (14, 9), (34, 0), (34, 2), (34, 4), (22, 4)])
def test_a_checksum_cannot_be_written_over_what_was_judged(card, start, offset):
    frame = rawguest.udp(MAC, GATEWAY_MAC, GUEST, GATEWAY, 4000, 5000, b"eighteen octets...")
    refused(card, "l4-malformed", frame, flags=NEEDS_CHECKSUM, start=start, offset=offset)


def test_a_checksum_cannot_be_written_into_arp(card):
    frame = rawguest.arp(MAC, 1, GUEST, GATEWAY)
    assert arrives(card, frame)
    refused(card, "l4-malformed", frame, flags=NEEDS_CHECKSUM, start=14, offset=14)


def tcp(payload):
    return rawguest.ipv4(MAC, GATEWAY_MAC, GUEST, GATEWAY, 6, struct.pack("!HHIIBBHHH", 4000, 80, 1, 0, 5 << 4, 16, 1000, 0, 0) + payload)


def test_long_frames_are_measured_by_their_parts(card):
    said = {"flags": NEEDS_CHECKSUM, "cut_as": CUT_AS_TCP4, "headers": 54, "start": 34, "offset": 16}
    assert arrives(card, tcp(bytes(30000)), part=1446, **said)
    assert arrives(card, tcp(bytes(30000)), part=1460, **said)
    refused(card, "frame-oversize", tcp(bytes(30000)), part=1461, **said)
    refused(card, "frame-oversize", tcp(bytes(1461)))


def tagged(frame, number=5):
    return frame[:12] + struct.pack("!HH", 0x8100, number) + frame[12:]


def test_a_tag_beside_the_frame_is_a_tag(card):
    frame = rawguest.udp(MAC, GATEWAY_MAC, GUEST, GATEWAY, 4000, 5000, b"in another network")
    refused(card, "ethertype-vlan", tagged(frame))
    refused(card, "ethertype-vlan", tagged(frame, 0))
    refused(card, "ethertype-vlan", tagged(tagged(frame)))
    before = card.guard.counters().dropped("uplink", "ethertype-vlan")
    card.far.send(tagged(rawguest.udp(GATEWAY_MAC, MAC, GATEWAY, GUEST, 5000, 4000, b"from another network")))
    card.guard.wait_counters(lambda c: c.dropped("uplink", "ethertype-vlan") == before + 1)


def test_frames_for_others_that_a_bridge_floods(card):
    before = card.guard.counters().dropped("uplink", "l2-not-for-guest")
    card.far.send(rawguest.udp(GATEWAY_MAC, "52:54:00:00:00:77", GATEWAY, NEIGHBOR, 5000, 4000, b"for nobody here"))
    card.guard.wait_counters(lambda c: c.dropped("uplink", "l2-not-for-guest") == before + 1)


SILENCE_SECONDS = 4     # of a DHCP server that is asked twice: docs/filter.md


def test_a_question_whose_checksum_the_card_fills_in(loaded, segment, softnet):     # noqa: F811
    """A server hears it, for the guard fills it in; so one that leaves two of them unanswered is silent, and another may
    take its place. Many clients renew by a socket of their kernel, whose card does this work."""
    vm, second = segment.namespace("vm"), segment.namespace("second")
    guard = services.attach(segment, vm, MAC, "br0")
    segment.join(second, "eth0", "br0", "192.168.77.3/24", mac="52:54:00:00:00:03")
    services.udhcpc(segment, vm).stop()
    address, far, near = services.address_of(vm), second.wire("eth0"), vm.wire("eth0")
    segment.dhcp_server.stop()
    with vm.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    client.bind((address, 68))
    request = rawguest.dhcp(MAC, rawguest.REQUEST, rawguest.XID, b"\x3d\7\1" + rawguest.mac_bytes(MAC), address, 0)

    client.sendto(request, (GATEWAY, 67))
    time.sleep(SILENCE_SECONDS + 0.1)
    client.sendto(request, ("255.255.255.255", 67))
    asked = far.wait_frame(lambda frame: frame[34:38] == b"\0\x44\0\x43", what="the question to all")
    assert udp_checksum(asked) == 0
    granted = request[:1].replace(b"\1", b"\2") + request[1:16] + socket.inet_aton(address) + request[20:240] + \
        bytes([53, 1, rawguest.ACK, 54, 4, 192, 168, 77, 3, 51, 4, 0, 0, 1, 0, 1, 4, 255, 255, 255, 0, 255])
    far.send(rawguest.udp("52:54:00:00:00:03", MAC, "192.168.77.3", address, 67, 68, granted))
    guard.wait_line("DHCP server changed: 192.168.77.3 at 52:54:00:00:00:03 now")
    near.wait_frame(lambda frame: granted in frame, what="the answer of the other server")


def udp_checksum(frame):
    """0: it is right."""
    datagram = frame[34:14 + int.from_bytes(frame[16:18], "big")]
    return rawguest.checksum(frame[26:34] + struct.pack("!HH", 17, len(datagram)) + datagram + bytes(len(datagram) % 2))
