"""What a guest, its network and an attacker say in IPv6. The same seed says the same."""

import frames
from frames import a16, icmp6, ipv6, mac_for6, solicited_node, tcp, udp, udp6
from traffic4 import FOREIGN, GATEWAY, GUEST, MACS, NEIGHBOR
from talk import Talk
from words import ICMP6, SCTP, TCP, UDP, eui64, ip

LINK, PREFIX, PREFIX2 = ip("fe80::"), ip("2a02:aaaa:bbbb:1::"), ip("fd64::")
ROUTER, OTHER_ROUTER, NEAR = LINK | eui64(GATEWAY), LINK | 2, LINK | eui64(NEIGHBOR)
OWN = [LINK | eui64(GUEST), PREFIX | eui64(GUEST), PREFIX2 | eui64(GUEST), PREFIX | 0xA1B2C3D4E5F60789, PREFIX | 0x7777, LINK | 0x7777,
       LINK | 0x8888, LINK | 0x9999, PREFIX2 | 0x1234567]
CLAIMS = OWN[3:] + [PREFIX | eui64(NEIGHBOR), LINK | eui64(NEIGHBOR), PREFIX | 0x53, PREFIX, PREFIX | 0xFDFFFFFFFFFFFFFE, ip("fd70::5"), ROUTER]
RESOLVER, STATIC, PEER = PREFIX | 0x53, ip("fd70::5"), PREFIX | 0x99
TRANSLATED = [ip("64:ff9b::1.1.1.1"), ip("64:ff9b::10.0.0.5"), ip("2a0e:1234:a5::") | 0x01010101 << 24, ip("2a0e:1234:a5::") | 0x0A000005 << 24,
              ip("2a0f::") | 0x01010101 << 64, ip("64:ff9b::127.0.0.1"), ip("64:ff9b::224.0.0.1")]
ALL = OWN + [ROUTER, OTHER_ROUTER, NEAR, RESOLVER, STATIC, PEER, 0, 1, 5, ip("::ffff:10.0.0.1"), ip("ff02::1"), ip("ff02::2"), ip("ff02::16"),
             ip("ff02::fb"), ip("ff0e::181"), ip("ff02::12"), ip("2606:4700:4700::1111"), ip("2600::1"), ip("fd00::9"), ip("2001:db8::1"),
             ip("2001:1::1"), ip("3fff::1"), PREFIX + (1 << 64), *TRANSLATED]
GROUPS = [a for a in ALL if a >> 120 == 0xFF]
PORTS = [53, 80, 443, 22, 5353, 4000, 546, 547, 1, 65535]
SERVERS = ip("ff02::1:2")
HOP_BY_HOP = [b"\5\2\0\0\1\0", b"\1\4\0\0\0\0", b"\xc2\4\0\1\0\0", b"\0\0\0\0\0\0", b"\5\2\0\1\1\0"]


class Traffic6(Talk):
    def __init__(self, rng):
        super().__init__(rng)
        self.source = OWN[0]

    def next(self):
        r = self.rng.random()
        if r < 0.08:
            return True, self.advertisement()
        if r < 0.20:
            return False, self.claim(GUEST)
        if r < 0.25:
            return True, self.claim(self.one_of([NEIGHBOR, FOREIGN, GATEWAY]))
        if r < 0.45:
            return self.neighbor()
        if r < 0.52:
            return self.listener()
        if r < 0.57:
            return self.dhcp()
        return self.data()

    def advertisement(self):
        options = b""
        mac = self.one_of([GATEWAY, GATEWAY, GATEWAY, NEIGHBOR])
        if self.chance(0.6):
            options += b"\1\1" + (mac if self.chance(0.9) else NEIGHBOR).to_bytes(6, "big")
        for prefix in (PREFIX, PREFIX2):
            if self.chance(0.5):
                valid = self.one_of([86400, 86400, 3600, 60, 0, 0xFFFFFFFF, 7200])
                options += bytes([3, 4, 64 if self.chance(0.9) else 48, self.one_of([0xC0, 0xC0, 0x80, 0x40])]) + valid.to_bytes(4, "big") + \
                    min(valid, self.one_of([0, 60, 3600])).to_bytes(4, "big") + bytes(4) + a16(prefix)
        if self.chance(0.3):
            options += b"\x19\3\0\0" + self.one_of([600, 0, 0xFFFFFFFF]).to_bytes(4, "big") + a16(RESOLVER)
        if self.chance(0.2):
            options += b"\x26\2" + (self.one_of([600, 0, 64]) // 8 << 3 | 1).to_bytes(2, "big") + a16(TRANSLATED[2])[:12]
        if self.chance(0.05):
            options += self.one_of([b"\5\0", b"\1\2" + bytes(14), b"\5\1\0\0\0\0\5\xdc", b"\5\7"])
        lifetime = self.one_of([1800, 1800, 600, 0])
        payload = b"\x86\0\0\0\x40\0" + lifetime.to_bytes(2, "big") + bytes(8) + options
        source = self.one_of([ROUTER, ROUTER, ROUTER, OTHER_ROUTER, PREFIX | 1])
        return icmp6(0x333300000001, mac, source, ip("ff02::1"), payload, hop_limit=255 if self.chance(0.97) else 64)

    def claim(self, mac):
        target = self.one_of(CLAIMS if self.chance(0.9) else ALL)
        to = solicited_node(target)
        options = b"" if self.chance(0.93) else b"\x0e\1" + bytes(6) if self.chance(0.6) else b"\1\1" + mac.to_bytes(6, "big")
        frame = icmp6(mac_for6(to, GATEWAY), mac, 0, to, b"\x87\0\0\0\0\0\0\0" + a16(target) + options)
        return frame if self.chance(0.95) else frame[:56] + b"\0\1" + frame[58:]

    def neighbor(self):
        inward = self.chance(0.45)
        mac = self.one_of([GATEWAY, NEIGHBOR, FOREIGN]) if inward else GUEST
        kind = self.one_of([133, 135, 135, 136, 136])
        source = self.one_of([ROUTER, NEAR, PEER, *ALL] if inward else [*OWN, *OWN, *ALL])
        target = self.one_of([*OWN, ROUTER, PEER, RESOLVER, *ALL])
        if kind == 136 and self.chance(0.5):
            target = source
        to = self.one_of([solicited_node(target), solicited_node(target), target, ip("ff02::1"), ip("ff02::2")])
        if kind == 136:
            to = self.one_of([ip("ff02::1"), ip("ff02::2"), ROUTER, OWN[0], *ALL])
        if kind == 133 and self.chance(0.9):
            to = ip("ff02::2")
        payload = bytes([kind, 0 if self.chance(0.98) else 1, 0, 0, self.one_of([0, 0x20, 0x40, 0x60, 0xA0]) if kind == 136 else 0, 0, 0, 0])
        payload += a16(target) if kind != 133 else b""
        if self.chance(0.5):
            payload += bytes([1 if kind != 136 else 2, 1]) + (mac if self.chance(0.9) else self.one_of(MACS)).to_bytes(6, "big")
        if self.chance(0.04):
            payload += self.one_of([b"\1\1" + bytes(6), b"\x0e\1" + bytes(6), b"\5\0" + bytes(6), bytes(100), b"\1\2" + bytes(14)])
        to_mac = mac_for6(to, GUEST if inward else self.one_of([GATEWAY, NEIGHBOR]))
        if self.chance(0.03):
            to_mac = self.one_of(MACS)
        return inward, icmp6(to_mac, mac, source, to, payload, hop_limit=255 if self.chance(0.97) else 1)

    def listener(self):
        inward = self.chance(0.3)
        kind = self.one_of([130, 131, 132, 143, 143])
        group = self.one_of(GROUPS)
        to = {143: ip("ff02::16"), 132: ip("ff02::2"), 131: group, 130: ip("ff02::1")}[kind] if self.chance(0.9) else self.one_of(GROUPS)
        source = self.one_of([OWN[0], 0, OWN[5], ROUTER, NEAR] if self.chance(0.8) else ALL)
        payload = bytes([kind, 0, 0, 0, 0, 0, 0, 1]) + (a16(group) if kind != 143 or self.chance(0.5) else b"")
        header = bytes([ICMP6, 0]) + (HOP_BY_HOP[0] if self.chance(0.9) else self.one_of(HOP_BY_HOP))
        payload = frames.filled6(source, to, ICMP6, payload, 2)
        mac = self.one_of([GATEWAY, NEIGHBOR]) if inward else GUEST
        behind = header if self.chance(0.95) else b""
        return inward, ipv6(mac_for6(to, GUEST if inward else GATEWAY), mac, source, to, 0 if behind else ICMP6, behind + payload,
                            hop_limit=1 if self.chance(0.95) else 255)

    def dhcp(self):
        inward = self.chance(0.5)
        ports = self.one_of([(546, 547), (547, 546), (547, 547), (546, 546), (4000, 547), (546, 53), (547, 4000)])
        message = bytes([self.one_of([1, 3, 7, 11]), 1, 2, 3]) + bytes(int(self.rng.random() * 12))
        if inward:
            return True, udp6(GUEST, self.one_of([GATEWAY, NEIGHBOR]), self.one_of(ALL), OWN[0], ports, message)
        return False, udp6(0x333300010002, GUEST, self.one_of(OWN), SERVERS, ports, message)

    # --- data -----------------------------------------------------------------------------------------------------------

    def data(self):
        if self.calls and self.chance(0.3):
            return self.answer()
        inward = self.chance(0.45)
        if self.chance(0.1):
            self.source = self.one_of(OWN)
        own, peer = self.source if self.chance(0.9) else self.one_of(ALL), self.one_of(ALL)
        source, to = (peer, own) if inward else (own, peer)
        if inward and self.chance(0.1):
            to = self.one_of(GROUPS)
        upper, payload = self.payload(source, to)
        if not inward and upper in (TCP, UDP, ICMP6):
            self.note_call(upper, source, to, payload)
        return self.packet(inward, source, to, upper, payload)

    def packet(self, inward, source, to, upper, payload):
        mac = self.one_of([GATEWAY, GATEWAY, NEIGHBOR, FOREIGN]) if inward else GUEST
        to_mac = mac_for6(to, GUEST if inward else GATEWAY if self.chance(0.7) else NEIGHBOR)
        if self.chance(0.03):
            to_mac = self.one_of(MACS)
        if self.chance(0.25):
            upper, payload = self.headers(upper, payload)
        return inward, ipv6(to_mac, mac, source, to, upper, payload, hop_limit=64 if self.chance(0.98) else self.one_of([0, 1, 255]))

    def headers(self, upper, payload):
        """Some extension headers in front of it, the last one first."""
        for _ in range(1 if self.chance(0.7) else 1 + int(self.rng.random() * 7)):
            kind = self.one_of([0, 60, 60, 44, 44, 44, 51, 43, 135, 139, 59, 253])
            if kind == 44:
                word = self.one_of([0, 0, 1, 1, 8, 9, 24, 25, 32, 1480, 0xFFF8, 0xFFF9])
                header = bytes([upper, 0]) + word.to_bytes(2, "big") + self.one_of([1, 2, 3]).to_bytes(4, "big")
            elif kind == 51:
                header = bytes([upper, self.one_of([1, 2, 4, 0])]) + bytes(6)
                header += bytes(max(4 * (header[1] + 2) - 8, 0))
            else:
                octets = 8 if self.chance(0.85) else 16
                header = bytes([upper, octets // 8 - 1]) + (self.one_of(HOP_BY_HOP) + bytes(8))[:octets - 2]
            upper, payload = kind, header + payload
        return upper, payload

    def payload(self, source, to):
        r = self.rng.random()
        ports = self.one_of(PORTS), self.one_of(PORTS)
        if r < 0.35:
            return UDP, udp(*ports, bytes(8)) if self.chance(0.97) else udp(*ports)[:1 + int(self.rng.random() * 8)]
        if r < 0.65:
            return TCP, tcp(*ports, self.one_of([2, 2, 0x12, 0x10, 0x18, 0x11, 4, 1]))[:20 if self.chance(0.97) else 13]
        if r < 0.92:
            return ICMP6, self.icmp(source, to)
        if r < 0.95:
            return SCTP, ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big") + bytes(8)
        return self.one_of([0, 41, 43, 47, 50, 59, 89, 112, 135, 254, 255]), bytes(16)

    def icmp(self, source, to):
        kind = self.one_of([128, 128, 129, 1, 2, 3, 4, 5, 137, 139, 134, 148])
        if kind not in (1, 2, 3, 4) or self.chance(0.1):
            return bytes([kind, 0, 0, 0, 0, self.one_of([1, 2]), 0, 1]) + bytes(16)
        ends = (to, source) if self.chance(0.8) else (self.one_of(ALL), self.one_of(ALL))
        upper, quoted = UDP, udp(self.one_of(PORTS), self.one_of(PORTS))
        if self.calls and self.chance(0.7):
            upper, caller, called, quoted = self.one_of(self.calls)
            ends = (caller, called) if self.chance(0.8) else (called, caller)
        if self.chance(0.2):
            upper, quoted = self.headers(upper, quoted)
        inner = ipv6(0, 0, *ends, upper, quoted)[14:]
        return bytes([kind, 0, 0, 0, 0, 0, 0, 0]) + (inner if self.chance(0.95) else inner[:30])
