"""The catalogue of attacks, and thousands of frames that chance made of honest ones, through the real program. The unit
tests know what the judge says to each; here, whatever leaves on the real uplink is held against the oracle.

    raw guest (a socket) -- softnet -- tap u-raw -- br0 -- eth0 gateway (DHCP server, one lease to give)
"""

import os
import pathlib
import random
import signal

import pytest

import capture
import oracle
import rawguest
import services

MAC, OTHER_MAC, ROUTER_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:01"
ME, ROUTER, EXTERNAL = "192.168.64.10", "192.168.64.1", "1.1.1.1"
CATALOGUE = pathlib.Path(__file__).parents[1] / "unit" / "attacks.hex.tsv"
LIMITS = ("dhcp", "decline", "resync", "newid", "newlease", "arp", "mcast", "slowpath", "u-dhcp", "uplink-bum",
          "u-slowpath")
NO_LIMITS = [f"--rate={name}=1/0" for name in LIMITS]
INFAMOUS_OCTETS = 0, 1, 2, 4, 5, 0x45, 0x46, 64, 67, 68, 82, 0x81, 127, 224, 255
INFAMOUS_FIELDS = 0, 67, 68, 0x0800, 0x0806, 0x8100, 0x86DD, 0x2000, 0x1FFF, 0xFFFF
SPANS = (0, 14), (0, 46), (0, 60), (0, 340)         # where a mutant differs
SEED, MUTANTS, AT_ONCE = 20240607, 20000 if "SOFTNET_LONG" in os.environ else 8000, 500


def rows(direction="g2n"):
    """(name, frame) of every row in this direction."""
    found = [line.split("\t") for line in CATALOGUE.read_text().splitlines()[1:]]
    return [(f"{words[0]}/{words[1]}", bytes.fromhex(words[5])) for words in found if words[2] == direction]


@pytest.fixture
def guest(network, softnet):
    """A raw guest on a bridge of its own; when the test ends, the oracle must be content and the guard alive."""
    network.bridge("br0")
    gateway = network.namespace("gateway", ipv6=False)
    network.join(gateway, "eth0", "br0", f"{ROUTER}/24", mac=ROUTER_MAC)
    gateway.ip(f"address add {EXTERNAL}/32 dev lo")
    gateway.ip(f"neigh replace {ME} lladdr {MAC} dev eth0 nud permanent")       # a raw guest answers no ARP
    network.dhcp_server = services.dnsmasq(network, gateway, ME, ME, router=ROUTER)
    guest = rawguest.RawGuest(network, MAC, "--uplink", "tap:u-raw,bridge=br0", "--gateway", ROUTER, "--ipv6", "off",
                              *NO_LIMITS)
    seen = capture.Capture(network.host, "u-raw", oracle.LEFT, oracle.ARRIVED)
    yield guest
    assert guest.guard.running, guest.guard.output()[-10:]
    counters = guest.wait_counted()
    port = oracle.Port(mac=MAC, router=ROUTER, router_mac=ROUTER_MAC, host=True, rates=False)
    capture.check_captures(port, [seen], "the raw guest")
    left = sum(record.where == oracle.LEFT for record in seen.records)
    assert left == counters.passed["guest"] + counters.questions    # what it says that it sent is what was seen
    guest.guard.stop()
    assert guest.guard.popen.returncode == 0            # a sanitizer would say otherwise
    guest.close()


def test_catalogue_before_any_lease(guest):
    frames = rows()
    assert len(frames) > 150
    for name, frame in frames:
        if frame:
            guest.send(frame)
    # The catalogue is of attacks, but a few of its rows are what an honest client sends first.
    counters = guest.wait_counted()
    assert 1 <= counters.passed["guest"] <= 12, counters
    assert counters.dropped("guest", "ip4-no-lease", "arp-no-lease") > 20


def test_catalogue_with_a_lease(guest):
    def is_dhcp(frame):
        return frame[12:14] == b"\x08\x00" and b"\x63\x82\x53\x63" in frame
    assert guest.take_lease() == ME
    for number, (name, frame) in enumerate(rows()):
        if frame:
            guest.send(frame)
        if is_dhcp(frame):          # a release, say, which is honest here; or a request whose answer changes something
            guest.take_lease(0x5000 + number)
    # The catalogue has no honest message that a relay's option has been put into.
    guest.send(rawguest.udp(MAC, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67,
                            rawguest.dhcp(MAC, 1, 0x6000, b"\x52\x03\x01\x01a")))
    counters = guest.wait_counted()
    assert counters.dropped("guest", "dhcp4-relay-fields") == 2
    for reason in ("eth-src-spoof", "ethertype-vlan", "arp-spa-spoof", "arp-sha-spoof", "ip4-src-spoof", "ip4-options",
                   "ip4-fragment", "dhcp4-server-from-guest", "dhcp4-chaddr", "dst-private", "ip6-disabled"):
        assert counters.dropped("guest", reason) > 0, f"{reason}: {counters}"


def test_catalogue_of_the_network_does_not_harm_the_guard(guest, network):
    """The other direction: forged frames from a neighbor, whatever they do, neither end it nor bind anything."""
    outsider = network.namespace("outsider", ipv6=False)
    network.join(outsider, "eth0", "br0", mac="02:00:00:00:00:99")
    # Else the bridge believes the forged sources, and brings the rest back to the outsider.
    network.host.run("bridge", "link", "set", "dev", "outsider-eth0", "learning", "off")
    assert guest.take_lease() == ME
    wire = outsider.wire("eth0")
    for name, frame in rows("n2g"):
        if 14 <= len(frame) <= 1514:
            wire.send(frame)
    counters = guest.guard.wait_counters(lambda now: now.dropped("uplink") > 20, what="forged frames to be counted")
    assert counters.dropped("uplink", "dhcp4-rogue-server", "dhcp4-no-transaction") > 5, counters
    guest.drain()
    assert "lease 192.168.64.10" in "\n".join(guest.guard.output())
    for address in ("192.168.64.9", "192.168.64.11", "192.168.64.66", "192.168.64.77"):
        guest.send(rawguest.udp(MAC, ROUTER_MAC, address, EXTERNAL, 4000, 4001))
    guest.send(rawguest.udp(MAC, ROUTER_MAC, ME, EXTERNAL, 4000, 4001))
    assert guest.wait_counted().dropped("guest", "ip4-src-spoof") == 4


def test_release_overtakes_an_ack(guest, network):
    """The server answers a renewal, then frees the address; the guard reads that answer behind the RELEASE."""
    assert guest.take_lease() == ME
    network.dhcp_server.signal(signal.SIGSTOP)
    server = b"\x36\x04" + bytes([192, 168, 64, 1])
    renewal = rawguest.udp(MAC, ROUTER_MAC, ME, ROUTER, 68, 67, rawguest.dhcp(MAC, 3, 8, ciaddr=ME))
    release = rawguest.udp(MAC, ROUTER_MAC, ME, ROUTER, 68, 67, rawguest.dhcp(MAC, 7, 9, server, ciaddr=ME))
    guest.send(renewal, release, renewal)           # the last could make the late ACK look like its own answer
    assert guest.wait_counted().dropped("guest", "dhcp4-not-owner") == 1
    network.dhcp_server.signal(signal.SIGCONT)
    guest.guard.wait_counters(lambda now: now.dropped("uplink", "dhcp4-no-transaction") == 1, what="the late ACK")
    guest.send(rawguest.udp(MAC, ROUTER_MAC, ME, EXTERNAL, 4000, 4001))
    assert guest.wait_counted().dropped("guest", "ip4-no-lease") == 1


def honest_frames():
    """What mutants are made of: at least one frame of each sort that passes."""
    server = b"\x36\x04" + bytes([192, 168, 64, 1])
    wanted = b"\x32\x04" + bytes([192, 168, 64, 10])
    everybody = "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67
    tcp = (4000).to_bytes(2, "big") + (80).to_bytes(2, "big") + bytes(8) + b"\x50\x02\x20\x00" + bytes(4)
    return [
        rawguest.arp(MAC, 1, ME, ROUTER), rawguest.arp(MAC, 2, ME, ROUTER, ROUTER_MAC, ROUTER_MAC),
        rawguest.arp(MAC, 1, ME, ME), rawguest.arp(MAC, 1, "0.0.0.0", ME),
        rawguest.udp(MAC, ROUTER_MAC, ME, EXTERNAL, 4000, 4001, b"hello"),
        rawguest.udp(MAC, ROUTER_MAC, ME, ROUTER, 4000, 53, bytes(20)),
        rawguest.udp(MAC, "01:00:5e:00:00:fb", ME, "224.0.0.251", 5353, 5353, bytes(12)),
        rawguest.ipv4(MAC, ROUTER_MAC, ME, EXTERNAL, 6, tcp),
        rawguest.ipv4(MAC, ROUTER_MAC, ME, EXTERNAL, 1, b"\x08\x00\xf7\xff" + bytes(4)),
        rawguest.udp(MAC, *everybody, rawguest.dhcp(MAC, 1, 7)),
        rawguest.udp(MAC, *everybody, rawguest.dhcp(MAC, 3, 7, wanted + server)),
        rawguest.udp(MAC, ROUTER_MAC, ME, ROUTER, 68, 67, rawguest.dhcp(MAC, 3, 8, ciaddr=ME)),
        rawguest.udp(MAC, ROUTER_MAC, ME, ROUTER, 68, 67, rawguest.dhcp(MAC, 8, 9, ciaddr=ME)),
    ]


def mutant(random, frame, spans=SPANS, octets=INFAMOUS_OCTETS, fields=INFAMOUS_FIELDS):
    """One to three changes: a bit, an octet, a cut, octets put in, a 16-bit field of ill fame. Most are within the
    headers, for that is where a filter looks."""
    data = bytearray(frame)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        begin, end = random.choice(spans)
        at = min(begin, len(data) // 2) + random.randrange(max(min(len(data), end) - min(begin, len(data) // 2), 1))
        kind = random.randrange(8)
        if not data:
            break
        if kind < 2:
            data[at] ^= 1 << random.randrange(8)
        elif kind < 5:
            data[at] = random.choice((*octets, random.randrange(256)))
        elif kind == 5:
            del data[at:]
        elif kind == 6:
            data[at:at] = random.randbytes(random.choice((1, 2, 4, 8)))
        else:
            data[at:at + 2] = random.choice(fields).to_bytes(2, "big")
    return bytes(data)


@pytest.mark.parametrize("leased", [False, True], ids=["init", "bound"])
def test_mutants(guest, leased):
    chance = random.Random(SEED + leased)
    honest = honest_frames()
    for begin in range(0, MUTANTS, AT_ONCE):
        if leased:
            guest.drain()
            guest.take_lease(0x1000 + begin)        # a mutant may have released it
        guest.send(*(mutant(chance, chance.choice(honest)) for _ in range(AT_ONCE)))
    counters = guest.wait_counted()
    assert counters.dropped("guest") > MUTANTS // 2
    assert counters.passed["guest"] > (MUTANTS // 20 if leased else 100), counters
