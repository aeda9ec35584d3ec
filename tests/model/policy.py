"""Rules, directions and flows, by docs/policy.md. Nothing here is clever: each rule is asked about each packet."""

import dataclasses

from words import ICMP, ICMP6, LAN4, LAN6, MDNS4, PASS, SCTP, TCP, UDP, in_prefix, is_global4

PROTOCOLS = {"tcp": (TCP,), "udp": (UDP,), "sctp": (SCTP,), "icmp": (ICMP, ICMP6), "esp": (50,), "gre": (47,)}
WITH_PORTS = TCP, UDP, SCTP
ALLOWED, BLOCKED, UNCERTAIN = "allowed", "blocked", "uncertain"


@dataclasses.dataclass
class Contact:
    """One side calls the other. port: that of the side that is called; None: a later fragment."""
    peer: int
    family: int
    inward: bool
    protocol: int
    port: object


@dataclasses.dataclass
class Ruling:
    what: str
    names: bool         # the rule names the peer: docs/policy.md, Isolation and rules
    length: float = 0


class Rules:
    def __init__(self, settings):
        self.rules = [Rule(*one) for one in settings.rules]
        has_direction = any(one.direction for one in self.rules)
        self.stateful = has_direction or settings.inbound in ("established", "none")
        both_ways = has_direction and not settings.inbound      # what a rule without a direction is about
        for one in self.rules:
            one.ways = {"in": (True,), "out": (False,)}.get(one.direction, (False, True) if both_ways else (False,))
        opens_link = any(r.allows and not r.direction and not r.protocols and r.target in ("any", (4, 0, 0)) for r in self.rules)
        self.isolates = settings.isolation == "on" or not settings.isolation and not opens_link
        self.memory = {}

    def decide(self, contact, aliases):
        """aliases: a set of those that hold the peer. None: no rule decides."""
        key = contact.peer, contact.family, contact.inward, contact.protocol, contact.port, aliases
        if key not in self.memory:
            if len(self.memory) > 20000:
                self.memory.clear()
            self.memory[key] = self.find(contact, aliases)
        return self.memory[key]

    def find(self, contact, aliases):
        best = []
        for rule in self.rules:
            length = rule.length_for(contact, aliases)
            if length is None or not rule.may_hold(contact):
                continue
            if best and length > best[0][0]:
                best = []
            if not best or length == best[0][0]:
                best.append((length, rule))
        if not best:
            return None
        length, names = best[0][0], best[0][0] >= 1
        if contact.port is None and contact.protocol in WITH_PORTS and any(rule.ports for _, rule in best):
            return Ruling(UNCERTAIN, names, length)
        rule = min((rule for _, rule in best), key=lambda r: (r.width(), r.allows))
        return Ruling(ALLOWED if rule.allows else BLOCKED, names, length)

    def possible(self, contact, aliases):
        """Is there any protocol and port that a rule allows? Prefix by prefix, the longest first: where one allows any, yes; where one
        blocks all, no. So a rule counts even if a longer one blocks just what it allows. Gives a ruling, or None."""
        nodes = {}
        for rule in self.rules:
            length = rule.length_for(contact, aliases)
            if length is not None and contact.inward in rule.ways:
                is_named = isinstance(rule.target, str) and rule.target not in ("any", "@lan")
                nodes.setdefault((length, rule.target if is_named else ""), []).append(rule)
        rulings = [(length, any_of(rules, contact)) for (length, _), rules in nodes.items()]
        rulings = [(length, what) for length, what in rulings if what]
        if not rulings:
            return None
        length = max(length for length, _ in rulings)
        found = {what for one, what in rulings if one == length}
        return Ruling(ALLOWED if ALLOWED in found else BLOCKED, length >= 1, length)


def any_of(rules, contact):
    """What the rules of one prefix say, if any protocol and port would do."""
    edges = {1, 65535} | {port for rule in rules if rule.ports for port in
                          (rule.ports[0], rule.ports[1], max(rule.ports[0] - 1, 1), min(rule.ports[1] + 1, 65535))}
    for protocol in (TCP, UDP, SCTP, ICMP, ICMP6, 50, 47, 99):
        for port in sorted(edges) if protocol in WITH_PORTS else (0,):
            one = Contact(contact.peer, contact.family, contact.inward, protocol, port)
            holding = [rule for rule in rules if rule.may_hold(one)]
            if holding and min(holding, key=lambda r: (r.width(), r.allows)).allows:
                return ALLOWED
    return BLOCKED if any(rule.protocols is None and not rule.ports for rule in rules) else None


class Rule:
    def __init__(self, allows, direction, target, protocol, ports):
        self.allows, self.direction, self.target, self.ports = allows, direction, target, ports
        self.protocols = PROTOCOLS[protocol] if protocol else (TCP, UDP) if ports else None
        self.ways = ()

    def width(self):
        """How many pairs of protocol and port it covers. `icmp` is one protocol in each family."""
        protocols = 256 if self.protocols is None else 1 if ICMP in self.protocols else len(self.protocols)
        return protocols * (self.ports[1] - self.ports[0] + 1 if self.ports else 65536)

    def may_hold(self, contact):
        """Of a packet without known ports: some port of its protocol."""
        if contact.inward not in self.ways or self.protocols is not None and contact.protocol not in self.protocols:
            return False
        return not self.ports or contact.port is None or self.ports[0] <= contact.port <= self.ports[1]

    def length_for(self, contact, aliases):
        """The length of its prefix that holds the peer; None: none does."""
        bits = 32 if contact.family == 4 else 128
        if isinstance(self.target, tuple):
            family, prefix, length = self.target
            return length if family == contact.family and in_prefix(contact.peer, prefix, length, bits) else None
        if self.target == "any":
            return 0
        if self.target == "@lan":
            lan = LAN4 if contact.family == 4 else LAN6
            return max((length for prefix, length in lan if in_prefix(contact.peer, prefix, length, bits)), default=None)
        if self.target in aliases:
            return 0.5 if self.target == "@global" else bits
        return None


# --- flows --------------------------------------------------------------------------------------------------------------

FIN, SYN, RST, ACK = 1, 2, 4, 16
HALF_OPEN, CLOSING, DATAGRAM, ESTABLISHED = 60000, 120000, 300000, 7440000         # ms; how long each may be idle


@dataclasses.dataclass
class Flow:
    inward: bool        # who opened
    used: int
    answered: bool = False
    life: int = HALF_OPEN
    closed: int = 0     # 1: FIN of the guest, 2: of the peer


@dataclasses.dataclass
class Packet:
    """What flows are known by, of one packet. Where there are no ports they are 0; of an echo they are its identifier, and who asks."""
    guest: int
    peer: int
    protocol: int
    guest_port: int
    peer_port: int
    flags: int = 0
    opens: bool = True          # an echo reply opens nothing
    is_error: bool = False      # it quotes this packet ...
    fits: bool = False          # ... which the receiver of the error has sent

    def key(self):
        return self.guest, self.peer, self.protocol, self.guest_port, self.peer_port

    def is_bare_syn(self):
        return self.protocol == TCP and self.flags & (SYN | ACK) == SYN


class Flows:
    def __init__(self):
        self.flows, self.fragments = {}, ({}, {})

    def find(self, key, now):
        flow = self.flows.get(key)
        return flow if flow and now < flow.used + flow.life else None

    def is_answer(self, packet, inward, now):
        """In a flow that the other side opened; then it refreshes it. Or an error about one."""
        flow = self.find(packet.key(), now)
        if flow is None or packet.is_bare_syn():
            return False
        if packet.is_error:
            return packet.fits
        if flow.inward == inward:
            return False
        self.follow(flow, packet, inward, now)
        return True

    def follow(self, flow, packet, inward, now):
        """docs/policy.md, Flows: the classes."""
        by_opener, flow.used = flow.inward == inward, now
        flow.answered |= not by_opener
        if packet.protocol != TCP:
            flow.life = DATAGRAM if flow.answered else HALF_OPEN
            return
        if packet.flags & FIN:
            flow.closed |= 2 if inward else 1
        if packet.flags & RST or flow.closed == 3:
            flow.life = CLOSING
        elif flow.life == HALF_OPEN and flow.answered and by_opener and not packet.flags & SYN:
            flow.life = ESTABLISHED

    def open(self, packet, inward, now):
        """Its sender may open. Who opened last is the opener, unless the flow is established."""
        if packet.is_error or not packet.opens:
            return
        flow = self.find(packet.key(), now)
        if flow is not None and flow.life == ESTABLISHED and flow.inward != inward:
            return
        if flow is None or flow.inward != inward or flow.life == CLOSING and packet.is_bare_syn():
            flow = self.flows[packet.key()] = Flow(inward, now)
        self.follow(flow, packet, inward, now)

    # Fragments: 64 datagrams in each direction, for 60 s.

    def remember(self, datagram, inward, now):
        known = self.fragments[inward]
        if datagram not in known and len(known) >= 64:
            del known[min(known, key=known.get)]
        known[datagram] = now + 60000

    def knows(self, datagram, inward, now):
        return now < self.fragments[inward].get(datagram, 0)


# --- destinations -------------------------------------------------------------------------------------------------------

def default4(who, a, protocol, source_port, port):
    """docs/filter.md, D4 to D9. who: what the guard knows of the address: {"host", "resolver", "broadcast"}."""
    if a >> 28 == 0xE:
        is_mdns = a == MDNS4 and protocol == UDP and (source_port, port) == (5353, 5353)
        return PASS if is_mdns else "dst-multicast"
    if "broadcast" in who:
        return "dst-broadcast"
    if "host" in who or is_global4(a):
        return PASS
    if "resolver" in who and protocol in (TCP, UDP):
        return UNCERTAIN if port is None else PASS if port == 53 else "dst-private"
    return "dst-private"
