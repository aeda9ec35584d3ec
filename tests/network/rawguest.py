"""A guest that is nothing but a socket: it can send what no kernel would, and a peer of streams for the network's side.

    guest = RawGuest(network, mac, "--uplink", "tap:u-raw,bridge=br0")
    guest.send(frame)
    guest.take_lease()
"""

import contextlib
import select
import socket
import struct
import time

import netns
import services

BROADCAST = b"\xff" * 6
XID = 0x11223344
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
SEND_SECONDS = 10       # a guard that does not read for so long has stopped working


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source_mac, destination_mac, source, destination, protocol, payload, identification=1):
    """A frame with an IPv4 packet, its header's checksum right."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identification, 0, 64, protocol, 0) + \
        socket.inet_aton(source) + socket.inet_aton(destination)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return mac_bytes(destination_mac) + mac_bytes(source_mac) + b"\x08\x00" + header + payload


def udp(source_mac, destination_mac, source, destination, source_port, port, payload=b""):
    return ipv4(source_mac, destination_mac, source, destination, 17,
                struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload)


def arp(mac, operation, sender, target, destination="ff:ff:ff:ff:ff:ff", target_mac="00:00:00:00:00:00"):
    return mac_bytes(destination) + mac_bytes(mac) + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, operation) + \
        mac_bytes(mac) + socket.inet_aton(sender) + mac_bytes(target_mac) + socket.inet_aton(target)


def dhcp(mac, kind, xid, options=b"", ciaddr="0.0.0.0", flags=0x8000):
    return struct.pack("!BBBBIHH", 1, 1, 6, 0, xid, 0, flags) + socket.inet_aton(ciaddr) + bytes(12) + \
        mac_bytes(mac).ljust(16, b"\0") + bytes(192) + bytes.fromhex("63825363") + \
        bytes([53, 1, kind]) + options + b"\xff"


class RawGuest:
    """softnet with one end of a socketpair for a guest, as Tart would start it; this is the other end."""

    def __init__(self, network, mac, *options, program=None, name="softnet", kind=socket.SOCK_DGRAM):
        self.network, self.mac = network, mac
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.socket.settimeout(SEND_SECONDS)
        self.sent, self.address = 0, None
        with theirs:
            self.guard = network.start([program or services.softnet_path(), "--vm-fd", str(theirs.fileno()),
                                        "--vm-mac-address", mac, "-v", *options],
                                       name=name, kind=services.Softnet, pass_fds=[theirs.fileno()])
        self.guard.wait_line("gateway MAC addresses", 20)       # the last it says before the first frame

    def send(self, *frames):
        for frame in frames:
            self.socket.send(frame)
        self.sent += len(frames)

    def receive(self, timeout=5):
        """The next frame that the guard delivers; None if there is none in time."""
        if not select.select([self.socket], [], [], timeout)[0]:
            return None
        return self.socket.recv(65550)

    def drain(self):
        while self.receive(0) is not None:
            pass

    def wait_frame(self, predicate, timeout=10, what="a frame"):
        timeout = netns.patience(timeout)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            frame = self.receive(max(0.0, end - time.monotonic()))
            if frame is not None and predicate(frame):
                return frame
        raise netns.NetworkError(f"{what}: not in {timeout} s; softnet said: " + "; ".join(self.guard.output()[-5:]))

    def ask(self, kind, xid, options, wanted):
        """Send a DHCP message to everybody until the answer of this type comes; its options begin at octet 282."""
        request = udp(self.mac, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67,
                      dhcp(self.mac, kind, xid, options))

        def is_answer(frame):
            return len(frame) > 285 and frame[12:14] == b"\x08\x00" and frame[34:38] == b"\0\x43\0\x44" and \
                frame[46:50] == xid.to_bytes(4, "big") and frame[282:285] == bytes([53, 1, wanted])
        for _ in range(10):     # bootpd may have to be started first
            self.send(request)
            with contextlib.suppress(netns.NetworkError):
                return self.wait_frame(is_answer, 3)
        said = "; ".join(self.guard.output()[-5:])
        raise netns.NetworkError(f"no DHCP answer of type {wanted}; softnet said: {said}")

    def take_lease(self, xid=XID):
        offer = self.ask(DISCOVER, xid, b"", OFFER)
        self.address = socket.inet_ntoa(offer[58:62])
        server = b"\x36\x04" + offer[26:30]
        self.ask(REQUEST, xid, b"\x32\x04" + offer[58:62] + server, ACK)
        return self.address

    def wait_counted(self, timeout=20):
        """Wait until the guard has an account of every frame that was sent; returns its counters."""
        def is_complete(counters):
            return counters.passed["guest"] + counters.dropped("guest") >= self.sent
        counters = self.guard.wait_counters(is_complete, timeout, f"all of {self.sent} frames to be counted")
        assert counters.passed["guest"] + counters.dropped("guest") == self.sent, counters
        return counters

    def close(self):
        self.socket.close()
