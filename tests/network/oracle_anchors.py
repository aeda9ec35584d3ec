"""Who is a router, a next hop, or a DHCP server in IPv4, where nobody was named: docs/filter.md, Trust anchors, stated a
second time. It is told of every frame that left, arrived or was delivered, in the order of time, and takes nothing from
core/.

    port = oracle.Port(mac=..., router=None, router_mac=None, anchors=oracle_anchors.Anchors())
"""

import dataclasses

from oracle_base import SLACK, mac_at, u16
from packet4 import ip_at

BROADCAST = "ff:ff:ff:ff:ff:ff"
ANSWER = 3          # s; only what answers a question of a moment ago teaches
FORGET = 120        # s; questions for a router that lie further apart are not of one attempt ...
REPEAT = 64         # ... and DISCOVERs; renewals of one lease may lie hours apart
MACS = 4


class Silence:
    """Questions without an answer: so many, the first of them so long ago."""

    def __init__(self, questions, seconds):
        self.questions, self.seconds = questions, seconds
        self.asked, self.last = [], float("-inf")

    def ask(self, now, forget=float("inf")):
        if self.asked and now - self.last > forget:
            self.asked.clear()
        self.asked.append(now)
        self.last = now

    def answer(self):
        self.asked.clear()

    def is_proved(self, now):
        return len(self.asked) >= self.questions and now - self.asked[0] >= self.seconds - SLACK


@dataclasses.dataclass
class Router:
    macs: list = dataclasses.field(default_factory=list)
    until: float = float("-inf")        # the last lease that names it
    silence: Silence = dataclasses.field(default_factory=lambda: Silence(3, 2))

    def is_locked(self, now):
        return self.macs and now < self.until

    def was_asked(self, now):
        return now - self.silence.last < ANSWER + SLACK

    def learn(self, now, mac):
        self.macs = [*(self.macs if self.is_locked(now) else ()), mac][-MACS:]
        self.silence.answer()


class Anchors:
    def __init__(self):
        self.routers = {}       # address: Router
        self.servers = {}       # address: MACs
        self.until = float("-inf")      # of the locks of all servers
        self.silence = Silence(2, 4)
        self.unicasts = 0               # renewals among the unanswered questions
        self.hears_no_unicast = False   # a firewall keeps it from the server

    # --- routers

    def next_hops(self, now):
        return {mac for router in self.routers.values() if now < router.until + SLACK for mac in router.macs}

    def asks_router(self, port, now, data):
        """The guest asks, or the guard in its name: for nothing that counts, unless the router has to answer."""
        if u16(data, 12) != 0x0806 or len(data) < 42 or u16(data, 20) != 1:
            return
        sender, target, to = ip_at(data, 28), ip_at(data, 38), mac_at(data, 0)
        router = self.routers.get(target)
        if router is None:
            return
        near = [lease.address for lease in port.live(now) if lease.reaches(target)]
        must_hear = to == BROADCAST or router.macs == [to]
        if not router.is_locked(now) or must_hear and (sender in near or not near):
            router.silence.ask(now, FORGET)

    def arrived(self, data):
        """Whatever the guard makes of it: the router lives."""
        if u16(data, 12) == 0x0806 and len(data) >= 42:
            router = self.routers.get(ip_at(data, 28))
            if router and mac_at(data, 22) in router.macs:
                router.silence.answer()

    def may_claim(self, now, address, mac, is_reply):
        """May the guest hear an ARP frame in this name from this MAC?"""
        router = self.routers.get(address)
        if router is None:
            return True
        if not router.is_locked(now):
            if is_reply and router.was_asked(now):
                router.learn(now, mac)
            return True
        if mac in router.macs:
            return True
        if not (router.silence.is_proved(now) and router.was_asked(now)):
            return False
        router.learn(now, mac)
        return True

    def may_send_as(self, now, address, mac):
        """As the source of a packet: who is trusted with leases may do this, too."""
        router = self.routers.get(address)
        return router is None or not router.is_locked(now) or mac in router.macs or mac in self.server_macs()

    # --- servers

    def server_macs(self):
        return {mac for macs in self.servers.values() for mac in macs}

    def is_server(self, address, leases):
        return address in self.servers or any(lease.server == address for lease in leases)

    def credit(self, port, now, address, mac, transaction, renews):
        """Why this machine may answer: None, or "lock", "silence", "secret"."""
        leases = port.live(now)
        if now >= self.until:
            self.servers.clear()
        serves = any(lease.server == address for lease in leases)
        is_its = mac in self.servers.get(address, ())
        if not self.may_send_as(now, address, mac) and not is_its:
            return "secret" if serves and transaction.is_secret and renews else None
        if not self.servers or is_its:
            return "lock"
        if serves and mac in self.server_macs() | self.next_hops(now):
            return "lock"
        if transaction.to_all and self.silence.is_proved(now):
            return "silence"
        return "secret" if serves and transaction.is_secret and renews else None

    def asks_server(self, port, now, is_discover, destination, leased):
        """A message to the servers left; `leased` is the address that it renews."""
        to_all = destination == BROADCAST
        if is_discover:
            self.silence.ask(now, REPEAT)
        elif port.owns(leased, now) and (to_all or destination in self.server_macs() | self.next_hops(now)) and \
                (to_all or not self.hears_no_unicast):
            self.silence.ask(now)
            self.unicasts += not to_all

    def answered(self, to_all):
        """By a server that is locked."""
        if not to_all:
            self.hears_no_unicast = False
        elif self.unicasts:
            self.hears_no_unicast = True
        self.unicasts = 0
        self.silence.answer()

    def acknowledged(self, now, address, mac, until, credit):
        """The ACK that made or renewed a lease."""
        self.until = max(self.until, until)
        if not self.servers or credit != "lock":
            macs = self.servers.setdefault(address, [])
            if mac not in macs:
                self.servers[address] = [*macs, mac][-MACS:]
        if credit != "lock":
            self.unicasts = 0
            self.silence.answer()
        router = self.routers.get(address)
        if router and (not router.is_locked(now) or credit == "secret" and mac not in router.macs):
            router.learn(now, mac)

    def lists(self, now, addresses, until):
        """A lease names these routers."""
        for address in addresses:
            router = self.routers.setdefault(address, Router())
            if not router.is_locked(now):
                router.macs = []
            router.until = max(router.until, until)

    def overheard(self, address, mac):
        """The server itself has answered, too: the other one only knew the id."""
        for macs in (self.servers.get(address, []), self.routers[address].macs if address in self.routers else []):
            if mac in macs:
                macs.remove(mac)
