"""The guard in the kernel and the one that relays do the same: the same frames, in the same order, live through both ports.
What passes is compared octet by octet, what does not by its reason."""

import itertools
import os
import pathlib
import random
import struct
import subprocess
import time

import pytest

import netns
import rawguest
import test_attacks6_replayed as attacks6
import test_attacks_replayed as attacks
import test_oracle6 as build
from test_attach import why_not
from twins import OTHER, Different, Twins

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

MAC, ROUTER_MAC, ME, ROUTER = attacks.MAC, attacks.ROUTER_MAC, attacks.ME, attacks.ROUTER
FRAMES_ONCE, RUNS, TRIES = 6_300, 20 if "SOFTNET_LONG" in os.environ else 1, 3     # of each config: 50,000, or a million
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
ANCHORS = f"--gateway={ROUTER},{attacks6.ROUTER_LL}", f"--gateway-mac={ROUTER_MAC}", f"--dns={ROUTER},{build.RESOLVER}"
STATIC = f"--vm-ip={ME}/24,{attacks6.SLAAC}/64,{attacks6.LINK_LOCAL}/64", "--segment=none"
RULES = "--block=out 1.0.0.0/8:tcp/1-1023,9.9.9.0/24", "--allow=192.168.64.0/24:udp,fd64::/64,10.0.0.0/8"
SLOW_RATES = [f"--rate={name}=0.001/{burst}" for name, burst in (
    ("dhcp", 20), ("resync", 3), ("arp", 30), ("arp-gateway", 20), ("arp-claim", 25), ("nd", 30), ("nd-gateway", 20), ("nd-claim", 25),
    ("rs", 3), ("unbound6", 9), ("mcast", 40), ("mcast-report", 30), ("slowpath", 300), ("u-dhcp", 9), ("u-ra", 9), ("u-dad", 9),
    ("uplink-bum", 50), ("uplink-bum-gateway", 50), ("uplink-bum-ask", 10), ("uplink-bum-query", 5), ("u-slowpath", 100),
    ("arp-answer", 20), ("nd-answer", 20))]
NO_LIMITS = [*attacks6.NO_LIMITS6, *(f"--rate={name}=1/0" for name in (
    "newid6", "newlease6", "newia6", "arp-gateway", "arp-claim", "nd-gateway", "nd-claim", "unbound6", "mcast-report", "stream",
    "arp-answer", "nd-answer", "u-dad", "uplink-bum-gateway", "uplink-bum-ask", "uplink-bum-query"))]
EUI64 = "--ipv6-iid=eui64"      # no other addresses of its own: when one begins to count depends on the clock
TENTATIVE_SECONDS = 1.2         # RFC 4862 5.4: an address is tentative for 1 s after it was claimed
CONFIGS = {
    "nothing is known": [EUI64, *NO_LIMITS],
    "leases": [*ANCHORS, EUI64, *NO_LIMITS],
    "addresses of its own": [*ANCHORS, *STATIC, EUI64, *NO_LIMITS],
    "rules and flows": [*ANCHORS, *STATIC, *RULES, "--allow=in any:tcp/22", "--inbound=established", EUI64, *NO_LIMITS],
    "it only calls, and is told": [*ANCHORS, *STATIC, *RULES, "--inbound=none", "--reject", EUI64, *NO_LIMITS],
    "open": [*ANCHORS, *STATIC, "--allow=any", "--isolation=off", "--arp-conflicts=pass", EUI64, *NO_LIMITS],
    "without IPv6 and DHCP": [*ANCHORS, f"--vm-ip={ME}/24", "--ipv6=off", "--no-dhcp", "--segment=none", *NO_LIMITS],
    "limits": [*ANCHORS, *STATIC, EUI64, *SLOW_RATES],
    "any address of IPv6": [*ANCHORS, *STATIC, *NO_LIMITS],
}


# --- frames -----------------------------------------------------------------------------------------------------------

def seeds_of_the_fuzzer(folder, chance):
    """Runs of (side, frame): what makes a state, then an attack."""
    here = pathlib.Path(__file__).parents[2]
    subprocess.run([here / "tests/fuzz/corpus.py", *(folder / name for name in ("decide", "describe", "policy", "claims"))],
                   cwd=here, check=True)
    for path in chance.sample(sorted((folder / "decide").glob("*-0")), 20):
        data, at = path.read_bytes(), 2
        while at < len(data):
            head = int.from_bytes(data[at:at + 2], "big")
            yield ("guest", "uplink")[head >> 15], data[at + 2:at + 2 + (head & 0x1FFF)]
            at += 2 + (head & 0x1FFF)


def turned_round(frame):
    """What would answer it: addresses and ports the other way."""
    if frame[12:14] == b"\x08\x00" and len(frame) >= 38:
        ip, ports = frame[14:26] + frame[30:34] + frame[26:30], frame[36:38] + frame[34:36]
        return frame[6:12] + frame[:6] + frame[12:14] + ip + (ports if frame[23] in (6, 17) else b"\0" + frame[35:38]) + frame[38:]
    if frame[12:14] == b"\x86\xdd" and len(frame) >= 58:
        ports = frame[56:58] + frame[54:56] if frame[20] in (6, 17) else b"\x81" + frame[55:58]
        return frame[6:12] + frame[:6] + frame[12:22] + frame[38:54] + frame[22:38] + ports + frame[58:]
    return frame[6:12] + frame[:6] + frame[12:]


def segments(chance):
    """Of few connections, so that they are met again: to be opened, answered, closed, or none of these."""
    peer, port = chance.choice((attacks.EXTERNAL, "9.9.9.9", "8.8.8.8", ROUTER, "192.168.64.77", "10.1.2.3")), chance.choice((22, 80, 443, 5000))
    ports = struct.pack("!HH", chance.randrange(4000, 4030), port)
    flags = chance.choice((2, 2, 18, 16, 16, 17, 4, 20))
    above = chance.choice(((6, ports + bytes(8) + bytes([0x50, flags, 0x20, 0]) + bytes(4)), (17, ports + b"\0\x10\0\0" + bytes(8)),
                           (1, b"\x08\0\0\0" + ports)))
    if chance.random() < 0.5:
        return rawguest.ipv4(MAC, ROUTER_MAC, ME, peer, *above)
    six = chance.choice((attacks6.EXTERNAL, "2a00:1450::5", attacks6.RESOLVER, "2600::1"))
    number, octets = above if above[0] != 1 else (58, b"\x80" + above[1][1:])
    return rawguest.mac_bytes(ROUTER_MAC) + rawguest.mac_bytes(MAC) + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(octets), number, 64) + \
        attacks6.addresses(attacks6.SLAAC, six) + octets


def error_about(chance, frame):
    """ICMP, from its receiver or somebody else."""
    if frame[12:14] != b"\x08\x00":
        return frame
    source = frame[30:34] if chance.random() < 0.7 else bytes([9, 9, 9, 9])
    message = bytes([chance.choice((3, 11)), 1, 0, 0]) + bytes(4) + frame[14:14 + chance.choice((20, 28, 48))]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 1, 0, 64, 1, 0) + source + frame[26:30]
    return frame[6:12] + frame[:6] + b"\x08\x00" + header[:10] + struct.pack("!H", rawguest.checksum(header)) + header[12:] + message


def fragments(chance, frame):
    """Of a packet of IPv4: some in order, some not, some of another."""
    if frame[12:14] != b"\x08\x00":
        return attacks6.random_frames(chance, [frame])
    octets, number = frame[34:] + bytes(chance.choice((16, 64, 800))), chance.randrange(20)
    made = []
    for at, length in ((0, 16), (16, 16), (32, len(octets))):
        part, more = octets[at:at + length], 0x2000 if at < 32 else 0
        header = frame[14:16] + struct.pack("!HHH", 20 + len(part), number, more | at // 8) + frame[22:24] + b"\0\0" + frame[26:34]
        made.append(frame[:14] + header[:10] + struct.pack("!H", rawguest.checksum(header)) + header[12:] + part)
    return made if chance.random() < 0.7 else chance.sample(made, 2)


class Source:
    """Frames of one side, without end: honest ones, the catalogue, parts of packets, flows, and what chance makes of all these."""

    def __init__(self, chance):
        self.chance = chance
        self.honest = [*attacks.honest_frames(), *attacks6.honest_frames(), *build_all(build.HONEST), *build_all(build.FORBIDDEN)]
        self.rows = [frame for _, frame in attacks.rows("g2n")]
        self.network = [*attacks6.network_frames(), *build_all(build.TO_GUEST), *(frame for _, frame in attacks.rows("n2g"))]
        self.chains = itertools.islice(itertools.cycle(attacks6.all_chains()), chance.randrange(4000), None)

    def from_guest(self):
        kind = self.chance.random()
        if kind < 0.25:
            return [segments(self.chance)]
        if kind < 0.35:
            return fragments(self.chance, segments(self.chance))
        if kind < 0.45:
            return [next(self.chains)]
        if kind < 0.55:
            return attacks6.random_frames(self.chance, self.honest)
        return [self.chance.choice(self.honest if kind < 0.85 else self.rows)]

    def from_uplink(self):
        frame = segments(self.chance)
        kind = self.chance.random()
        if kind < 0.3:
            return [turned_round(frame)]
        if kind < 0.4:
            return fragments(self.chance, turned_round(frame))
        if kind < 0.5:
            return [error_about(self.chance, frame)]
        return [self.chance.choice(self.network) if kind < 0.9 else turned_round(self.chance.choice(self.honest))]

    def some(self, side, count):
        """Two in five of them changed."""
        frames = []
        while len(frames) < count:
            for frame in self.from_guest() if side == "guest" else self.from_uplink():
                if self.chance.random() < 0.4:
                    frame = attacks.mutant(self.chance, frame, (*attacks.SPANS, *attacks6.SPANS), attacks6.OCTETS, attacks6.FIELDS)
                frames.append(frame)
        return frames


def build_all(table):
    return [bytes(each[0] if isinstance(each, tuple) else each) for each in table.values()
            if not isinstance(each, (list, dict)) and len(bytes(each[0] if isinstance(each, tuple) else each)) > 17]


# --- tests ------------------------------------------------------------------------------------------------------------

def run_once(network, folder, name, number):
    """Two guards that begin with nothing, and thousands of frames."""
    chance = random.Random(f"{SEED} {name} {number}")
    source, twins = Source(chance), Twins(network, MAC, *CONFIGS[name])
    waits = EUI64 not in CONFIGS[name] and "--ipv6=off" not in CONFIGS[name]
    try:
        if name == "leases":
            for side, run in itertools.groupby(seeds_of_the_fuzzer(folder, chance), lambda each: each[0]):
                twins.offer(side, [frame for _, frame in run])
        for side in itertools.cycle(("guest", "uplink", "guest")):
            if twins.count >= (FRAMES_ONCE // 20 if waits else FRAMES_ONCE):
                break
            twins.offer(side, source.some(side, 100 if waits else 1000))
            time.sleep(TENTATIVE_SECONDS if waits else 0)
        assert twins.relay.guard.running and twins.kernel.guard.running
        return twins
    finally:
        twins.close()


def run_again(network, folder, name, number):
    """A few rules depend on the clock, which the two read at different moments; so a difference counts if it comes each time."""
    for tried in range(TRIES):
        try:
            return tried, run_once(network, folder, name, number)
        except Different as what:
            print(f"{name} {number}: {what}")
            last = what
    raise last


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same(loaded, network, softnet, tmp_path, name):
    print(f"SEED={SEED}")
    sent, again, reasons, passed = 0, 0, set(), dict.fromkeys(OTHER, 0)
    for number in range(RUNS):
        tried, twins = run_again(network, tmp_path, name, number)
        sent, again, reasons = sent + twins.count, again + tried, reasons | set(twins.drops)
        passed = {side: passed[side] + twins.out[side] for side in OTHER}
    print(f"{name}: {sent} frames, {len(reasons)} reasons, passed {passed}, {again} of {RUNS} runs again")
    assert min(passed.values()) > 10 and len(reasons) > 20, (passed, reasons)
    assert again <= 1 + RUNS // 4


def test_the_same_rejections(loaded, network, softnet):
    """Answers to the guest, in its peers' names."""
    print(f"SEED={SEED}")
    chance = random.Random(SEED)
    twins = Twins(network, MAC, *CONFIGS["it only calls, and is told"])
    both = twins.relay, twins.kernel
    try:
        for _ in range(6):
            twins.offer("guest", [segments(chance) for _ in range(30)])     # of these it answers no more than 200 at once

        def are_same():
            for twin in both:
                twin.collect("uplink")
            return sum(twins.relay.own["uplink"].values()) > 20 and twins.relay.own["uplink"] == twins.kernel.own["uplink"]
        netns.wait_for(are_same, 10, "the same answers")
        protocols = {frame[20] if frame[12:14] == b"\x86\xdd" else frame[23] for frame in twins.kernel.own["uplink"]}
        assert protocols == {1, 6, 58}, protocols       # ICMP of both families, and RST
    finally:
        twins.close()
