"""Frames that the kernel cuts behind softnet, between two taps: what their senders say of them, and who sends them.

    vm (eth0 is the guest's tap) -- softnet -- tap u-vm -- br0 -- gateway 192.168.77.1
"""

import errno
import socket
import struct

import pytest
import scapy.utils

import netns
import rawguest
import services
from netns import wait_for
from test_attach_offload import OCTETS, Sink

MAC, GATEWAY_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:01"
GUEST, GATEWAY, NEIGHBOR = "192.168.77.10", "192.168.77.1", "192.168.77.66"
SOL_PACKET, PACKET_VNET_HDR = 263, 15       # linux/if_packet.h
NEEDS_CHECKSUM, CUT_AS_TCP4, CUT_AS_TCP6, CUT_AS_UDP = 1, 1, 4, 5       # linux/virtio_net.h


class Card:
    """The guest's driver: a frame, and what it says of it."""

    def __init__(self, namespace):
        with namespace.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        with namespace.entered():
            self.socket.bind(("eth0", 0))

    def send(self, frame, flags=0, cut_as=0, headers=0, part=0, start=0, offset=0):
        """False: the guest's own kernel does not take it; it does not believe everything either."""
        try:
            return self.socket.send(struct.pack("<BBHHHH", flags, cut_as, headers, part, start, offset) + frame) > 0
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EMSGSIZE):
                raise
            return False


def guarded(segment, *options, own=(f"{GUEST}/24",)):
    vm = segment.namespace("vm")
    segment.guard = services.guard(segment, vm, MAC, "br0", "--vm-ip", ",".join(own), "--allow", f"{GATEWAY}/32,fd77::/64",
                                   "--gateway", f"{GATEWAY},fe80::5054:ff:fe00:1", "--gateway-mac", GATEWAY_MAC, *options)
    for address in own:
        vm.ip(f"address replace {address} dev eth0" + (" nodad" if ":" in address else ""))
    return vm


@pytest.fixture
def card(segment, softnet, state_file):
    segment.pcap = state_file.with_name("judged.pcapng")
    vm = guarded(segment, "--pcap", segment.pcap, "--frames", "all")
    segment.host.no_checksums("gateway-eth0")        # so that the bridge's port writes them, where it was told to
    segment.card, segment.far = Card(vm), segment.gateway.wire("eth0")
    segment.gateway.ip(f"neighbor replace {GUEST} lladdr {MAC} dev eth0")
    wait_for(lambda: arrives(segment, datagram(b"first")), 10, "the way")
    return segment


def datagram(payload, destination=GATEWAY, destination_mac=GATEWAY_MAC):
    return rawguest.udp(MAC, destination_mac, GUEST, destination, 4000, 5000, payload)


def tcp(payload):
    return rawguest.ipv4(MAC, GATEWAY_MAC, GUEST, GATEWAY, 6, struct.pack("!HHIIBBHHH", 4000, 80, 1, 0, 5 << 4, 16, 1000, 0, 0) + payload)


def own_frames(segment):
    """Not what its kernel says of groups of IPv6."""
    return [frame for frame in segment.far.frames() if frame[6:12] == rawguest.mac_bytes(MAC) and frame[:2] != b"33"]


def arrives(segment, frame, **said):
    segment.far.frames()
    return segment.card.send(frame, **said) and wait_or_none(segment)


def wait_or_none(segment):
    try:
        return segment.far.wait_frame(lambda f: f[6:12] == rawguest.mac_bytes(MAC) and f[:2] != b"33", 1)
    except netns.NetworkError:
        return None


def refused(segment, reason, frame, **said):
    before = segment.guard.counters().dropped("guest", reason)
    segment.far.frames()
    if not segment.card.send(frame, **said):
        return False
    segment.guard.wait_counters(lambda c: c.dropped("guest", reason) == before + 1)
    assert own_frames(segment) == []
    return True


def test_a_checksum_is_filled_in_before_anybody_judges(card):
    frame = datagram(b"an honest datagram")
    arrived = arrives(card, frame, flags=NEEDS_CHECKSUM, start=34, offset=6)
    assert arrived and arrived[:40] == frame[:40] and arrived[40:42] != b"\0\0"


@pytest.mark.parametrize("start, offset", [(14, 12), (14, 14), (14, 9), (34, 0), (34, 2), (34, 4), (22, 4), (0, 6)])
def test_what_leaves_is_what_was_judged(card, start, offset):
    """Wherever the guest has two octets written: it sees no more pass than if it had written them itself."""
    card.far.frames()
    card.card.send(datagram(b"eighteen octets..."), flags=NEEDS_CHECKSUM, start=start, offset=offset)
    left = left_before(card, datagram(b"behind it"))
    assert (start, offset) not in [(14, 12), (14, 14), (0, 6)] or left == []      # an address that is not its own
    card.guard.stop()
    judged = [bytes(frame) for frame in scapy.utils.rdpcap(str(card.pcap))]
    assert set(left) <= {frame for frame in judged if frame.startswith(rawguest.mac_bytes(GATEWAY_MAC))}
    assert all(frame.endswith(b"eighteen octets...") for frame in left)


def left_before(card, marker):
    """What left before this one, which is sent now."""
    found = []
    card.card.send(marker)

    def search():
        found.extend(own_frames(card))
        return marker in found
    wait_for(search, 10, "the frame behind it")
    return found[:found.index(marker)]


def test_long_frames_are_measured_by_their_parts(card):
    said = {"flags": NEEDS_CHECKSUM, "cut_as": CUT_AS_TCP4, "headers": 54, "start": 34, "offset": 16}
    for part in (1000, 1460):
        card.far.frames()
        assert card.card.send(tcp(bytes(30000)), part=part, **said)
        count = -(-30000 // part)
        parts = wait_for(lambda: gathered(card, count), 10, "all parts")
        assert max(map(len, parts)) == 54 + part
        for one in parts:
            assert one[:16] == tcp(b"")[:16] and one[26:38] == tcp(b"")[26:38] and one[46:48] == tcp(b"")[46:48]
    assert refused(card, "frame-oversize", tcp(bytes(30000)), part=1461, **said)


def gathered(card, count, parts=[]):     # pylint: disable=dangerous-default-value
    parts += own_frames(card)
    if len(parts) < count:
        return None
    found = parts[:]
    parts.clear()
    return found


@pytest.mark.parametrize("said", [
    {"start": 14, "offset": 12}, {"start": 34, "offset": 4}, {"start": 34, "offset": 0}, {"start": 38, "offset": 16},
    {"cut_as": CUT_AS_TCP6}, {"cut_as": CUT_AS_UDP}, {"cut_as": 3}, {"part": 0}], ids=str)
def test_a_header_that_does_not_fit_the_frame(card, said):
    honest = {"flags": NEEDS_CHECKSUM, "cut_as": CUT_AS_TCP4, "headers": 54, "start": 34, "offset": 16, "part": 1000}
    before = card.guard.counters().dropped("guest", "l4-malformed", "frame-oversize")
    card.far.frames()
    was_taken = card.card.send(tcp(bytes(3000)), **{**honest, **said})      # its own kernel may have refused it
    assert left_before(card, datagram(b"behind it")) == []
    after = card.guard.counters().dropped("guest", "l4-malformed", "frame-oversize")
    assert after == before or was_taken


def test_a_message_is_not_made_many(card):
    """DHCP is read as one message. A card would make several of it, which nobody has read."""
    message = rawguest.dhcp(MAC, rawguest.REQUEST, rawguest.XID) + bytes(600)
    frame = rawguest.udp(MAC, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67, message)
    said = {"flags": NEEDS_CHECKSUM, "cut_as": CUT_AS_UDP, "headers": 42, "start": 34, "offset": 6, "part": 400}
    refused(card, "l4-malformed", frame, **said)


def test_each_part_costs_a_token(card):
    """A group hears each part, so a guest may send no more of them than of frames: 150, then 50 a second (mcast)."""
    said = {"flags": NEEDS_CHECKSUM, "cut_as": CUT_AS_UDP, "headers": 42, "start": 34, "offset": 6, "part": 500}
    frame = rawguest.udp(MAC, "01:00:5e:00:00:fb", GUEST, "224.0.0.251", 5353, 5353, bytes(60000))
    before = card.guard.counters().dropped("guest", "rate-mcast")
    card.far.frames()
    if not card.card.send(frame, **said):
        pytest.skip("this kernel knows no such frames")     # before Linux 6.2
    for _ in range(9):
        assert card.card.send(frame, **said)
    card.guard.wait_counters(lambda c: c.dropped("guest", "rate-mcast") - before >= 8)
    assert 120 <= len(own_frames(card)) <= 240


# --- real senders -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("address", [GATEWAY, "fd77::1"])
@pytest.mark.parametrize("options", [(), ("--inbound", "established"), ("--offload", "off")], ids=str)
def test_kernels_let_softnet_pass_long_frames(segment, softnet, address, options):
    segment.gateway.ip("address add fd77::1/64 dev eth0 nodad")
    vm = guarded(segment, *options, own=(f"{GUEST}/24", "fd77::10/64", "fe80::5054:ff:fe00:a/64"))
    sent, delivered = transfer(segment, vm, address)
    assert (sent > 5 and delivered > 5) == ("off" not in options), (sent, delivered)
    if "off" in options:
        assert (sent, delivered) == (0, 0)
    assert segment.guard.counters().dropped("guest", "l4-malformed", "frame-oversize") == 0


def transfer(segment, vm, address):
    """A megabyte there and back; how many long frames came and went."""
    sink, wire = Sink(segment.gateway, address), vm.wire("eth0")
    segment.far = segment.host.wire("u-vm")
    try:
        with vm.entered(), socket.create_connection((address, 5000), 20) as client:
            client.sendall(bytes(OCTETS))
            received = 0
            while received < OCTETS and (data := client.recv(1 << 20)):
                received += len(data)
        assert (sink.received, received) == (OCTETS, OCTETS)
    finally:
        sink.close()
    lengths = [sum(length > 2000 for length in found) for found in
               ([len(f) for f in segment.far.frames() if f[6:12] == rawguest.mac_bytes(MAC)],
                [len(f) for f in wire.frames() if f[6:12] != rawguest.mac_bytes(MAC)])]
    return lengths


def test_rules_of_names_look_into_each_frame(segment, softnet):
    """A live change to such rules ends it: frames that wait are lost and come again."""
    control = segment.logs / "control"
    vm = guarded(segment, "--control", control)
    assert min(transfer(segment, vm, GATEWAY)) > 5
    netns.run(softnet, "policy", "set", "--control", control, "--allow", f"{GATEWAY}/32,example.com")
    assert transfer(segment, vm, GATEWAY) == [0, 0]
