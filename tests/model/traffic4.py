"""What a guest, its network and an attacker say in IPv4. The same seed says the same."""


from frames import arp, dhcp4, dhcp4_frame, header4, icmp, ipv4, mac_for4, tcp, udp
from talk import Talk
from words import BROADCAST_MAC, ICMP, IGMP, SCTP, TCP, UDP, ip

GUEST, GATEWAY, NEIGHBOR, FOREIGN = 0x52540000000A, 0x525400000001, 0x52540000000B, 0x020000000099
NET = ip("192.168.64.0")
ROUTER, RESOLVER, OTHER_ROUTER, SERVER2 = NET | 1, NET | 53, NET | 2, NET | 3
LEASED, LEASED2, THIRD, PEER = NET | 10, NET | 11, NET | 12, NET | 77
MACS = [GUEST, GATEWAY, NEIGHBOR, FOREIGN, BROADCAST_MAC, 0, 0x01005E0000FB, 0x0180C2000003, 0x333300000001]
GLOBALS = [ip(text) for text in ("1.1.1.1", "8.8.8.8", "93.184.216.34", "192.0.0.9", "198.20.1.1")]
ODD = [ip(text) for text in ("0.0.0.0", "127.0.0.1", "255.255.255.255", "192.168.64.255", "192.168.64.0", "169.254.7.7", "10.0.0.5",
                             "172.16.3.4", "100.64.0.9", "192.0.2.1", "198.18.0.1", "240.0.0.1", "192.88.99.1", "10.1.2.255")]
GROUPS = [ip(text) for text in ("224.0.0.1", "224.0.0.2", "224.0.0.22", "224.0.0.251", "224.0.1.129", "239.1.2.3", "224.0.0.18")]
OWN = [LEASED, LEASED2, THIRD]
NEAR = [ROUTER, OTHER_ROUTER, RESOLVER, SERVER2, PEER]
ALL = GLOBALS + ODD + GROUPS + OWN + NEAR
PORTS = [53, 67, 68, 80, 443, 22, 5353, 4000, 1, 65535, 546, 547, 4011, 8080]
IDENTIFIERS = [b"", b"\1" + GUEST.to_bytes(6, "big"), b"\1" + NEIGHBOR.to_bytes(6, "big"), b"\0abc", b"\1" + GUEST.to_bytes(6, "big") + b"\0", b"\1ab", b"\xff\0\0\0\1\0\2\0\0\1\2",
               b"\xff\0\0\0\1\0\3\0\1" + NEIGHBOR.to_bytes(6, "big"), b"\xff\0\0\0\1\0\1\0\1abcd" + GUEST.to_bytes(6, "big")]
NAMES = [b"web1", b"WEB1", b"wpad", b"isatap.example", b"db", b"localhost", b""]


def a4(*addresses):
    return b"".join(a.to_bytes(4, "big") for a in addresses)


class Traffic4(Talk):
    """One conversation; what it remembers is what its own frames said."""

    def __init__(self, rng):
        super().__init__(rng)
        self.xid, self.address, self.server = 1, LEASED, ROUTER
        self.identifier, self.step = IDENTIFIERS[1], 0

    def next(self):
        """(comes from the network, octets)"""
        r = self.rng.random()
        if r < 0.22:
            return self.dialogue()
        if r < 0.30:
            return self.client_message() if self.chance(0.5) else self.server_message()
        if r < 0.48:
            return self.arp()
        return self.data()

    # --- ARP ------------------------------------------------------------------------------------------------------------

    def arp(self):
        inward = self.chance(0.5)
        mac = self.one_of([GATEWAY, GATEWAY, NEIGHBOR, FOREIGN]) if inward else GUEST
        operation = 1 if self.chance(0.6) else 2
        sender = self.one_of([ROUTER, ROUTER, PEER, *ALL] if inward else [self.address, self.address, 0, *OWN, PEER, ROUTER])
        target = self.one_of([self.address, ROUTER, RESOLVER, PEER, *ALL])
        if self.chance(0.1):
            target = sender
        to = (GUEST if inward else self.one_of([GATEWAY, NEIGHBOR])) if self.chance(0.5) else BROADCAST_MAC
        if self.chance(0.05):
            to = self.one_of(MACS)
        return inward, arp(to, mac, operation if self.chance(0.98) else 3, mac if self.chance(0.9) else self.one_of(MACS), sender,
                           target)

    # --- DHCP -----------------------------------------------------------------------------------------------------------

    def dialogue(self):
        """The next message of an exchange as it should be, most of the time."""
        self.step = (self.step + 1) % 7 if self.chance(0.9) else self.step
        if self.step == 1:
            self.xid = 0x1000 + int(self.rng.random() * 6)
            if self.chance(0.1):
                self.identifier = self.one_of(IDENTIFIERS)
            if self.chance(0.2):
                self.address = self.one_of(OWN)
            return self.from_client(1, [], rapid=self.chance(0.05))
        if self.step == 2:
            return self.from_server(2)
        if self.step == 3:
            return self.from_client(3, [(50, a4(self.address)), (54, a4(self.server))])
        if self.step == 4:
            return self.from_server(5 if self.chance(0.95) else 6)
        if self.step == 5 and self.chance(0.6):
            self.xid = 0x2000 + int(self.rng.random() * 6)
            return self.from_client(3, [], ciaddr=self.address, to=ROUTER if self.chance(0.6) else None)
        if self.step == 6 and self.chance(0.6):
            return self.from_server(5)
        kind = self.one_of([7, 8, 4, 8])
        if kind == 4:
            return self.from_client(4, [(50, a4(self.address)), (54, a4(self.server))])
        return self.from_client(kind, [], ciaddr=self.address, to=ROUTER if kind == 7 or self.chance(0.5) else None)

    def from_client(self, kind, options, *, ciaddr=0, to=None, rapid=False):
        listed = list(options) + ([(61, self.identifier)] if self.identifier else []) + ([(80, b"")] if rapid else [])
        if self.chance(0.1):
            listed.append((12, self.one_of(NAMES)))
        to_mac = BROADCAST_MAC if to is None else GATEWAY
        return False, dhcp4_frame(to_mac, GUEST, ciaddr, 0xFFFFFFFF if to is None else to, (68, 67),
                                  dhcp4(1, kind, self.xid, GUEST, ciaddr=ciaddr, options=listed))

    def from_server(self, kind, mac=GATEWAY, source=ROUTER):
        lease = self.one_of([3600, 600, 600, 120, 30, 0xFFFFFFFF])
        options = [(54, a4(self.server))]
        if kind != 6:
            options += [(51, lease.to_bytes(4, "big")), (1, a4(0xFFFFFF00)), (3, a4(ROUTER)), (6, a4(RESOLVER))]
        to = 0xFFFFFFFF if self.chance(0.5) else self.address
        return True, dhcp4_frame(BROADCAST_MAC if to == 0xFFFFFFFF else GUEST, mac, source, to, (67, 68),
                                 dhcp4(2, kind, self.xid, GUEST, yiaddr=0 if kind == 6 else self.address, options=options))

    def options(self, wanted):
        """Any of some options, with values that are good, odd or broken."""
        values = {50: [a4(a) for a in OWN + [PEER]], 54: [a4(ROUTER), a4(SERVER2), a4(PEER), a4(ROUTER, ROUTER), a4(0), a4(LEASED)],
                  61: IDENTIFIERS, 12: NAMES, 51: [b"\0\0\2\0", b"\0\0\0\0", b"\xff" * 4], 1: [a4(0xFFFFFF00), a4(0xFFFFFFFF), b"\1"],
                  3: [a4(ROUTER), a4(OTHER_ROUTER), a4(ROUTER, PEER), b"\1\2"], 6: [a4(RESOLVER), a4(GLOBALS[1])], 80: [b""],
                  82: [b"\1\1\1"], 118: [a4(NET)], 220: [b"\0"], 221: [b"\0\0"], 159: [b"\0\0\0\0"], 55: [b"\1\3\6"], 57: [b"\2\x40"],
                  52: [b"\1", b"\2", b"\3", b"\0\0"], 121: [b"\0" + a4(ROUTER), b"\x18\x0a\1\2" + a4(OTHER_ROUTER)],
                  81: [b"\0\0\0web1", b"\4\0\0\4web1\0", b"\4\0\0\4wpad\7example\0", b"\0", b"\4\0\0\x09web1"],
                  116: [b"\1"], 60: [b"MSFT"], 108: [b"\0\0\1\x2c"]}
        return [(code, self.one_of(values[code])) for code in wanted if self.chance(0.5)]

    def client_message(self):
        listed = self.options([50, 54, 61]) + (self.options([12, 55, 57, 60, 80, 81, 116]) if self.chance(0.3) else [])
        if self.chance(0.08):
            listed += self.options([82, 118, 220, 221, 52, 50, 54, 61, 12])
        ciaddr = self.one_of([0, 0, 0, self.address, *OWN])
        to = self.one_of([0xFFFFFFFF, 0xFFFFFFFF, ROUTER, SERVER2, PEER])
        to_mac = BROADCAST_MAC if (to == 0xFFFFFFFF) == self.chance(0.95) else self.one_of([GATEWAY, NEIGHBOR])
        message = dhcp4(1 if self.chance(0.98) else 2, self.one_of([1, 3, 3, 3, 4, 7, 8, 2, 5, 9, None]), self.xid + self.chance(0.3),
                        GUEST if self.chance(0.97) else NEIGHBOR, ciaddr=ciaddr, yiaddr=0 if self.chance(0.98) else PEER,
                        giaddr=0 if self.chance(0.98) else PEER, hops=0 if self.chance(0.98) else 1,
                        options=listed, hlen=6 if self.chance(0.98) else 5, end=b"\xff" if self.chance(0.9) else b"")
        ports = (68, 67) if self.chance(0.85) else self.one_of([(68, 4011), (67, 68), (68, 53), (4000, 67), (67, 67)])
        source = ciaddr if self.chance(0.9) else self.one_of([0, *OWN])
        return False, dhcp4_frame(to_mac, GUEST, source, to, ports, message)

    def server_message(self):
        listed = self.options([54, 51, 1, 3, 6, 54, 51]) + (self.options([80, 159, 121, 52, 1, 108]) if self.chance(0.2) else [])
        message = dhcp4(2 if self.chance(0.98) else 1, self.one_of([2, 2, 5, 5, 5, 6, 3, None]), self.xid + self.chance(0.2),
                        GUEST if self.chance(0.95) else NEIGHBOR,
                        yiaddr=self.one_of([self.address, self.address, 0, *OWN, PEER, ROUTER, NET, NET | 255, ip("169.254.1.1")]),
                        options=listed, hlen=6 if self.chance(0.97) else 16, end=b"\xff" if self.chance(0.9) else b"")
        to = self.one_of([0xFFFFFFFF, self.address, *OWN])
        ports = (67, 68) if self.chance(0.9) else self.one_of([(4011, 68), (4000, 68), (67, 67), (68, 67), (53, 68), (67, 4000)])
        return True, dhcp4_frame(self.one_of([BROADCAST_MAC, GUEST, GUEST, NEIGHBOR]), self.one_of([GATEWAY, GATEWAY, NEIGHBOR]),
                                 self.one_of([ROUTER, ROUTER, SERVER2, PEER]), to, ports, message)

    # --- data -----------------------------------------------------------------------------------------------------------

    def data(self):
        inward = self.chance(0.45)
        if self.calls and self.chance(0.35):
            return self.answer()
        own = self.address if self.chance(0.9) else self.one_of(ALL)
        peer = self.one_of(ALL)
        source, to = (peer, own) if inward else (own, peer)
        if inward and self.chance(0.1):
            to = self.one_of(GROUPS + [0xFFFFFFFF, NET | 255])
        protocol, payload = self.payload(source, to)
        if not inward and protocol in (TCP, UDP, ICMP):
            self.note_call(protocol, source, to, payload)
        return self.packet(inward, source, to, protocol, payload)

    def packet(self, inward, source, to, protocol, payload):
        mac = self.one_of([GATEWAY, GATEWAY, NEIGHBOR, FOREIGN]) if inward else GUEST
        to_mac = mac_for4(to, GUEST if inward else GATEWAY if self.chance(0.7) else NEIGHBOR)
        if to & 0xFF == 0xFF and self.chance(0.6):
            to_mac = BROADCAST_MAC
        if self.chance(0.04):
            to_mac = self.one_of(MACS)
        more = {}
        if self.chance(0.12):
            more["flags"] = self.one_of([0x2000, 0x2001, 1, 2, 0x2003, 0x1FFF, 0x3FFF, 0x4000, 0x8000, 185])
            more["identification"] = int(self.rng.random() * 4)
        if protocol == IGMP:
            more["ttl"] = 1 if self.chance(0.9) else 64
            more["options"] = b"\x94\4\0\0" if self.chance(0.5) else b""
        elif self.chance(0.02):
            more["options"] = self.one_of([b"\x94\4\0\0", b"\7\4\4\0", b"\1\1\1\0"])
        if self.chance(0.01):
            more["ttl"] = 0
        return inward, ipv4(to_mac, mac, source, to, protocol, payload, **more)

    def payload(self, source, to):
        r = self.rng.random()
        ports = self.one_of(PORTS), self.one_of(PORTS)
        if r < 0.35:
            return UDP, udp(*ports, bytes(8)) if self.chance(0.97) else udp(*ports)[:int(self.rng.random() * 9)]
        if r < 0.65:
            return TCP, tcp(*ports, self.one_of([2, 2, 0x12, 0x10, 0x18, 0x11, 4, 0x14, 1]))[:20 if self.chance(0.97) else 13]
        if r < 0.70:
            return IGMP, bytes([self.one_of([0x12, 0x16, 0x17, 0x22, 0x11]), 0, 0, 0]) + a4(self.one_of(GROUPS))
        if r < 0.90:
            return ICMP, self.icmp(source, to)
        if r < 0.93:
            return SCTP, ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big") + bytes(8)
        return self.one_of([0, 41, 43, 44, 47, 50, 51, 58, 59, 60, 89, 112, 255]), bytes(16)

    def icmp(self, source, to):
        kind = self.one_of([8, 8, 0, 3, 3, 4, 5, 9, 11, 12, 13, 17, 18])
        if kind not in (3, 4, 5, 11, 12) or self.chance(0.1):
            return icmp(kind, 0, bytes([0, self.one_of([1, 2]), 0, 1]), bytes(8))
        ends = (to, source) if self.chance(0.8) else (self.one_of(ALL), self.one_of(ALL))
        protocol, quoted = UDP, udp(self.one_of(PORTS), self.one_of(PORTS), b"")
        if self.calls and self.chance(0.7):
            protocol, caller, called, quoted = self.one_of(self.calls)
            ends = (caller, called) if self.chance(0.8) else (called, caller)
        inner = header4(*ends, protocol, quoted[:8])
        return icmp(kind, self.one_of([0, 1, 3, 4, 13]), bytes(4), inner if self.chance(0.95) else inner[:10])
