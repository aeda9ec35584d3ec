"""Worlds: what the operator says, and who talks."""

import traffic6
from traffic4 import GATEWAY, LEASED, LEASED2, NET, PEER, RESOLVER, ROUTER, SERVER2, Traffic4
from traffic6 import Traffic6
from words import Settings, ip

TARGETS = ["any", "@host", "@gateway", "@dns", "@lan", "@global", (4, NET, 24), (4, PEER, 32), (4, ip("10.0.0.0"), 8), (4, ip("1.1.1.1"), 32),
           (4, 0, 0), (4, ip("1.0.0.0"), 8), (4, ip("224.0.0.0"), 4), (4, ip("224.0.1.129"), 32), (4, ip("0.0.0.0"), 1)]
QUALIFIERS = [("", None)] * 4 + [("tcp", None), ("udp", None), ("icmp", None), ("", (53, 53)), ("tcp", (443, 443)), ("udp", (1, 6000)),
                                 ("tcp", (1, 65535)), ("", (22, 443)), ("sctp", (80, 80)), ("gre", None), ("esp", None)]


def make_rules(rng, with_directions, inbound, targets):
    rules = []
    for _ in range(rng.randrange(1, 9)):
        direction = rng.choice(["", "in", "out"]) if with_directions else ""
        allows = rng.random() < 0.6
        if inbound == "none" and direction == "in":
            allows = False
        rules.append((allows, direction, rng.choice(targets), *rng.choice(QUALIFIERS)))
    return rules


def make_settings(rng):
    s = Settings(ipv6="off")
    s.mtu = rng.choice([1500, 1500, 1500, 576])
    anchors = rng.random()
    if anchors < 0.7:
        s.hosts4, s.gateway_macs = [ROUTER], [GATEWAY]
    elif anchors < 0.8:
        s.hosts4, s.gateway_macs, s.servers4 = [ROUTER], [GATEWAY], [ROUTER, SERVER2]
    if rng.random() < 0.3:
        s.statics = [(4, rng.choice([LEASED, LEASED2]), rng.choice([24, 24, 32]))]
        s.no_dhcp = rng.random() < 0.3
    if rng.random() < 0.15:
        s.shared = [(4, NET | 12, 24)]
    if rng.random() < 0.3:
        s.resolvers4 = [RESOLVER]
    if rng.random() < 0.5:
        s.inbound = rng.choice(["", "", "any", "established", "none"])
        s.rules = make_rules(rng, rng.random() < 0.4, s.inbound, TARGETS)
    s.isolation = rng.choice(["", "", "on", "off"])
    s.no_resync, s.strict_ids = rng.random() < 0.1, rng.random() < 0.1
    s.arp_conflicts_pass = rng.random() < 0.1
    s.host_names = rng.choice([None, None, None, ["web1"], []])
    return s


TARGETS6 = ["any", "@host", "@gateway", "@dns", "@lan", "@global", (6, traffic6.PREFIX, 64), (6, traffic6.PEER, 128), (6, ip("fd00::"), 8),
            (6, 0, 0), (6, ip("2600::"), 12), (6, ip("ff00::"), 8), (6, ip("ff0e::181"), 128), (6, ip("64:ff9b::10.0.0.0"), 104), (4, 0, 0),
            (4, ip("1.0.0.0"), 8)]


def make_settings6(rng):
    s = Settings()
    s.no_dhcp = True
    s.statics = [(4, LEASED, 24), (6, traffic6.STATIC, 64)]
    anchors = rng.random()
    if anchors < 0.4:
        s.gateway_macs = [GATEWAY]
    elif anchors < 0.7:
        s.gateway_macs, s.hosts6 = [GATEWAY], [traffic6.ROUTER]
    if anchors >= 0.7 and rng.random() < 0.5:
        s.hosts6 = [traffic6.PREFIX | 1]
    if rng.random() < 0.2:
        s.shared = [(6, traffic6.PREFIX | 0x7777, 64)]
    if rng.random() < 0.3:
        s.resolvers6 = [traffic6.RESOLVER]
    if rng.random() < 0.3:
        s.nat64 = [(ip("2a0f::"), 32)]
    if rng.random() < 0.6:
        s.inbound = rng.choice(["", "", "any", "established", "none"])
        s.rules = make_rules(rng, rng.random() < 0.4, s.inbound, TARGETS6)
    s.isolation, s.eui64_only = rng.choice(["", "", "on", "off"]), rng.random() < 0.1
    return s


def make_world(rng, number):
    """IPv4 and IPv6 take turns."""
    return (make_settings6(rng), Traffic6(rng)) if number % 2 else (make_settings(rng), Traffic4(rng))
