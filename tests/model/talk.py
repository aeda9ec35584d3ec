"""What the talk of both families has in common: chance, answers, and faults."""

from words import ICMP, ICMP6, TCP

ECHO_REPLIES = {ICMP: (8, b"\0"), ICMP6: (128, b"\x81")}


class Talk:
    """calls: (protocol, source, destination, payload) of what the guest said a moment ago."""

    def __init__(self, rng):
        self.rng, self.calls = rng, []

    def one_of(self, items):
        return items[int(self.rng.random() * len(items))]

    def chance(self, part):
        return self.rng.random() < part

    def note_call(self, *call):
        self.calls = [*self.calls, call][-12:]

    def answer(self):
        """Of the other side, or once more of the same, to something that was said a moment ago."""
        protocol, source, to, payload = self.one_of(self.calls)
        if self.chance(0.3):
            return self.packet(False, source, to, protocol, payload)
        if protocol in ECHO_REPLIES:
            request, reply = ECHO_REPLIES[protocol]
            back = reply + payload[1:] if payload[0] == request else payload
        else:
            back = payload[2:4] + payload[:2] + payload[4:]
            if protocol == TCP and len(back) >= 20:
                back = back[:13] + bytes([self.one_of([0x12, 0x10, 0x11, 4, 2, 0x18])]) + back[14:]
        return self.packet(True, to, source, protocol, back)


def spoil(rng, data):
    """A few octets changed, or some cut off or put behind it."""
    data = bytearray(data)
    r = rng.random()
    if r < 0.7:
        for _ in range(1 + int(rng.random() * 3)):
            at = int(rng.random() * min(len(data), 64 if rng.random() < 0.7 else 400))
            data[at] = data[at] ^ 1 << int(rng.random() * 8) if rng.random() < 0.5 else int(rng.random() * 256)
    elif r < 0.85:
        del data[int(rng.random() * len(data)):]
    else:
        data += bytes(int(rng.random() * 40))
    return bytes(data)


