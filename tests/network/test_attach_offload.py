"""Frames that are not yet as they will be on the wire, at a tap with offloads as a hypervisor opens it: what their headers
say, and what the guest says beside them.

    the test, as a VM -- tap t-vm, guarded -- br0 -- gateway 192.168.77.1
"""

import errno
import fcntl
import os
import socket
import struct
import threading
import time

import pytest

import netns
import rawguest
import services
import vm
from netns import wait_for
from test_attach import GATEWAY, GATEWAY_MAC, MAC, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

GUEST, NEIGHBOR = "192.168.77.10", "192.168.77.66"
# linux/if_tun.h, linux/virtio_net.h
TUNSETIFF, TUNSETOFFLOAD, TAP_WITH_HEADER, ALL_OFFLOADS = 0x400454CA, 0x400454D0, 0x0002 | 0x1000 | 0x4000, 0x0F
NEEDS_CHECKSUM, CUT_AS_TCP4, CUT_AS_UDP, HEADER_OCTETS = 1, 1, 5, 10


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

    def received(self):
        """Frames since the last call."""
        frames = []
        while True:
            try:
                frames.append(os.read(self.fd, 65550)[HEADER_OCTETS:])
            except BlockingIOError:
                return frames

    def close(self):
        os.close(self.fd)


@pytest.fixture
def card(loaded, segment, softnet, request):
    card = Card("t-vm")
    segment.host.ip("link set t-vm master br0")
    segment.guard = segment.start([softnet, "attach", "t-vm", "--vm-mac-address", MAC, "--vm-ip", f"{GUEST}/24",
                                   "--allow", f"{GATEWAY}/32", "--gateway", GATEWAY, "--gateway-mac", GATEWAY_MAC,
                                   "--mtu", getattr(request, "param", 1500), "-v"],
                                  kind=services.Softnet)
    segment.guard.wait_line("gateway MAC addresses", 60)
    segment.guard.counters()
    segment.host.ip("link set t-vm up")
    segment.host.no_checksums("gateway-eth0")        # so that the bridge's port writes them, where it was told to
    segment.card, segment.far = card, segment.gateway.wire("eth0")
    wait_for(lambda: arrives(segment, rawguest.udp(MAC, GATEWAY_MAC, GUEST, GATEWAY, 4000, 5000, b"first")), 10, "the way")
    yield segment
    card.close()


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


def test_each_part_costs_a_token(card):
    """A group hears each part, so a guest may send no more of them than of frames: 150, then 50 a second (mcast)."""
    said = {"flags": NEEDS_CHECKSUM, "cut_as": CUT_AS_UDP, "headers": 42, "start": 34, "offset": 6, "part": 500}
    frame = rawguest.udp(MAC, "01:00:5e:00:00:fb", GUEST, "224.0.0.251", 5353, 5353, bytes(60000))
    before = card.guard.counters().dropped("guest", "rate-mcast")
    if not arrives(card, frame, **said):
        pytest.skip("this kernel knows no such frames")     # before Linux 6.2
    for _ in range(9):
        assert card.card.send(frame, **said)
    card.guard.wait_counters(lambda c: c.dropped("guest", "rate-mcast") - before >= 8)


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


@pytest.mark.parametrize("promiscuous", ["off", "on"])
def test_frames_for_others_that_a_bridge_floods(card, promiscuous):
    """A port that wants to hear everything makes no difference: the guest hears what is its own."""
    card.host.ip(f"link set t-vm promisc {promiscuous}")
    before = card.guard.counters().dropped("uplink", "l2-not-for-guest")
    card.card.received()
    own = rawguest.udp(GATEWAY_MAC, MAC, GATEWAY, GUEST, 5000, 4000, b"for the guest")
    card.far.send(rawguest.udp(GATEWAY_MAC, "52:54:00:00:00:77", GATEWAY, NEIGHBOR, 5000, 4000, b"for nobody here"), own)
    card.guard.wait_counters(lambda c: c.dropped("uplink", "l2-not-for-guest") == before + 1)
    assert wait_for(card.card.received, 10, "what is its own") == [own]


@pytest.mark.parametrize("card", [9000], indirect=True)
@pytest.mark.parametrize("linear", [14, 33, 41])
def test_frames_in_pieces_of_memory(card, linear):
    """The kernel keeps a long frame in pieces. Its headers may begin in one and end in another."""
    for command in "link set t-vm mtu 9000", "link set gateway-eth0 mtu 9000", "link set br0 mtu 9000":
        card.host.ip(command)
    card.gateway.ip("link set eth0 mtu 9000")
    frame = rawguest.udp(MAC, GATEWAY_MAC, GUEST, GATEWAY, 4000, 5000, bytes(range(256)) * 20)
    assert len(frame) > 4096 and arrives(card, frame, headers=linear) == frame
    refused(card, "ip4-src-spoof", frame[:26] + socket.inet_aton(NEIGHBOR) + frame[30:], headers=linear)
    refused(card, "dst-private", frame[:30] + socket.inet_aton(NEIGHBOR) + frame[34:], headers=linear)
    refused(card, "ip4-malformed", frame[:14] + b"\x44" + frame[15:], headers=linear)


SILENCE_SECONDS = 4     # of a DHCP server that is asked twice: docs/filter.md


def test_a_question_whose_checksum_the_card_fills_in(loaded, segment, softnet):
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


# --- real senders -----------------------------------------------------------------------------------------------------

OCTETS = 1 << 20


class Sink:
    """Counts what a connection brings, and sends as much back."""

    def __init__(self, namespace, address, port=5000):
        with namespace.entered():
            self.listener = socket.create_server((address, port), family=services.family_of(address))
        self.received = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        client, _ = self.listener.accept()
        with client:
            while self.received < OCTETS and (data := client.recv(1 << 20)):
                self.received += len(data)
            client.sendall(bytes(self.received))

    def close(self):
        self.listener.close()
        self.thread.join(10)


def long_frames(wire, port):
    """Longer than any on the wire: to be cut later. From the guest, and to it."""
    lengths = [(frame[6:12] == rawguest.mac_bytes(MAC), len(frame)) for frame in wire.frames(outgoing=True)]
    assert lengths, port
    return [sum(length > 2000 for is_own, length in lengths if is_own == own) for own in (True, False)]


def test_a_real_guest_lets_the_host_cut(loaded, segment, softnet, guest_image):
    """A VM with the virtio card that hypervisors give: its TCP segments are up to 64 KB long, and their checksums not filled in."""
    tap = segment.tap("t-vm", "br0")
    segment.host.ip(f"link set {tap} down")
    guard = segment.start([softnet, "attach", tap, "--vm-mac-address", MAC, "--allow", f"{GATEWAY}/32", "-v"], kind=services.Softnet)
    guard.wait_line("gateway MAC addresses", 120)
    guard.counters()
    segment.host.ip(f"link set {tap} up")
    guest = vm.VM(segment, "guest", guest_image, MAC, f"tap,id=n0,ifname={tap},script=no,downscript=no,vhost=off")
    guest.boot()
    guest.run("ip link set eth0 up; udhcpc -i eth0 -n -q -t 10 -T 1 -s /bin/udhcpc.sh", 60)
    sink, wire = Sink(segment.gateway, GATEWAY), segment.host.wire("gateway-eth0")
    try:
        said = guest.run(f"head -c {OCTETS} /dev/zero | nc {GATEWAY} 5000 | wc -c", 120)
        assert sink.received == OCTETS and str(OCTETS) in said
    finally:
        sink.close()
    sent, delivered = long_frames(wire, tap)
    assert sent > 5 and delivered > 5, (sent, delivered)
    assert guard.counters().dropped("guest", "l4-malformed", "frame-oversize", "ip4-malformed") == 0
    # Of another's address nothing is cut either.
    guest.run("ip address add 192.168.77.99/24 dev eth0")
    assert guest.try_run(f"ping -c 1 -W 1 -I 192.168.77.99 {GATEWAY}")[0] != 0
    guard.wait_counters(lambda c: c.dropped("guest", "ip4-src-spoof") >= 1)
    guest.power_off()


@pytest.mark.parametrize("address, own", [(GATEWAY, f"{GUEST}/24"), ("fd77::1", "fd77::10/64")])
def test_kernels_let_the_port_cut(loaded, segment, softnet, address, own):
    """A container's veth has the offloads of the host's kernel, in both families and directions."""
    vm_space = segment.namespace("vm")
    segment.gateway.ip("address add fd77::1/64 dev eth0 nodad")
    guard = services.attach(segment, vm_space, MAC, "br0", "--vm-ip", f"{own},fe80::5054:ff:fe00:a/64", "--allow", f"{GATEWAY}/32,fd77::/64",
                            "--gateway-mac", GATEWAY_MAC, "--gateway", f"{GATEWAY},fe80::5054:ff:fe00:1")
    vm_space.ip(f"address add {own} dev eth0" + (" nodad" if ":" in own else ""))
    sink, wire = Sink(segment.gateway, address), segment.host.wire("gateway-eth0")
    try:
        with vm_space.entered(), socket.create_connection((address, 5000), 20) as client:
            client.sendall(bytes(OCTETS))
            received = 0
            while received < OCTETS and (data := client.recv(1 << 20)):
                received += len(data)
        assert (sink.received, received) == (OCTETS, OCTETS)
    finally:
        sink.close()
    sent, delivered = long_frames(wire, "p-vm")
    assert sent > 5 and delivered > 5, (sent, delivered)
    assert guard.counters().dropped("guest", "l4-malformed", "frame-oversize") == 0


def udp_checksum(frame):
    """0: it is right."""
    datagram = frame[34:14 + int.from_bytes(frame[16:18], "big")]
    return rawguest.checksum(frame[26:34] + struct.pack("!HH", 17, len(datagram)) + datagram + bytes(len(datagram) % 2))
