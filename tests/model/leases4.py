"""What the guard knows of IPv4 leases, servers and routers, by docs/filter.md: DHCP and Trust anchors."""

import dataclasses

from words import BROADCAST_MAC, NEVER, PASS

BINDINGS_MAX, MACS_MAX = 4, 4
QUESTIONS, QUESTIONS_MS, ANSWER_MS, FORGET_MS = 3, 2000, 3000, 120000      # Evidence: a router that is gone
GRACE_MS = 30000
LOCKED, SILENCE, SECRET = "locked", "silence", "secret"       # why a server is believed
SILENT_MS, REPEAT_MS, SERVED_MAX, TTL_MIN = 4000, 64000, 8, 16                # Evidence: a server that is gone


@dataclasses.dataclass
class Binding:
    address: int
    length: int
    since: int
    expires: float = NEVER
    is_static: bool = False
    in_grace: bool = False
    used: int = 0
    client_id: object = None
    server: int = 0
    server_mac: int = 0
    server_port: int = 0
    routers: tuple = ()
    resolvers: tuple = ()
    public_id: object = None


@dataclasses.dataclass
class Router:
    """A router that is learned, or still to be."""
    macs: list = dataclasses.field(default_factory=list)
    until: float = 0
    questions: list = dataclasses.field(default_factory=list)       # times, of those without an answer
    asked: float = -NEVER                                       # the last one


class Leases4:
    """A part of Guard (guard.py)."""

    def start_leases4(self):
        self.bindings4 = [Binding(a, length, self.now, is_static=True) for family, a, length in
                          self.settings.statics + self.settings.shared if family == 4]
        self.statics4 = {a for family, a, _ in self.settings.statics if family == 4}
        self.shared4 = {a for family, a, _ in self.settings.shared if family == 4}
        self.transactions4, self.learned_servers4, self.learned_routers4 = {}, {}, {}
        self.asked4, self.unicasts4, self.hears_no_unicast, self.served4 = [], 0, False, []
        self.start_dhcp4()

    # --- servers --------------------------------------------------------------------------------------------------------

    def named_servers4(self):
        return self.settings.servers4 or self.settings.hosts4

    def learned_server4(self, a):
        server = self.learned_servers4.get(a)
        return server if server and self.now < server.until else None

    def is_server4(self, a):
        named = self.named_servers4()
        return a in named if named else self.learned_server4(a) is not None

    def server_macs4(self):
        return set().union(*(s.macs for s in self.learned_servers4.values() if self.now < s.until))

    def is_trusted_server(self, a, mac):
        """A relay, or a server, proves itself by address and MAC. Where none is named, the first one is believed."""
        if not self.may_send_as4(a, mac):
            return False
        named, server = self.named_servers4(), self.learned_server4(a)
        has_good_mac = server is not None and mac in server.macs or self.is_router4(a) and mac in self.macs_of_router4(a)
        if a in named:
            return server is None or has_good_mac
        if not named and not self.settings.strict_anchors:
            if not any(self.now < s.until for s in self.learned_servers4.values()) or server and has_good_mac:
                return True
        return self.is_past_relay(a, mac)

    def may_succeed(self, a, mac):
        """Silence: the servers have left messages unanswered."""
        if self.settings.strict_anchors or not self.is_silent4():
            return False
        if not self.may_send_as4(a, mac) and (self.settings.gateway_macs or not self.learned_server4(a)):
            return False
        return not self.named_servers4() or a in self.named_servers4()

    def may_vouch(self, a, mac):
        """Secrecy: the server of a lease, from another MAC."""
        if self.settings.strict_anchors or self.settings.gateway_macs and not self.may_send_as4(a, mac):
            return False
        return self.is_server_of_lease(a)

    def is_server_of_lease(self, a):
        return any(b.server == a for b in self.live4() if b.server)

    def credit_of(self, a, mac, t, message):
        """Why it is believed; None: it is not."""
        if self.is_trusted_server(a, mac):
            return LOCKED
        if t.to_all and self.may_succeed(a, mac):
            return SILENCE
        return SECRET if t.is_secret and message.type == 5 and message.yiaddr == t.wanted and self.may_vouch(a, mac) else None

    def is_past_relay(self, a, mac):
        """Answers that come past the relay have the lease's server as source, and the MAC of a router or of a server."""
        return self.is_server_of_lease(a) and mac in self.server_macs4() | self.gateway_macs_now()

    def is_silent4(self):
        return len(self.asked4) >= 2 and self.now - self.asked4[0] >= SILENT_MS

    def is_served(self, identifier):
        return identifier in self.served4 or any(b.client_id == identifier for b in self.live4() if not b.is_static and not b.in_grace)

    def is_heard(self, packet, message):
        """Every server hears it, and has no reason to ignore it."""
        return packet.ttl >= TTL_MIN and packet.has_right_checksums() and not message.is_odd

    def is_sure_renewal(self, mac, packet, message, to_all):
        binding = self.binding4(message.ciaddr)
        if binding is None or not self.is_heard(packet, message) or to_all and message.server is not None or \
                binding.address in self.shared4:
            return False
        if not (binding.server and self.is_served(message.identifier) if binding.is_static else binding.client_id == message.identifier):
            return False
        return to_all or mac in self.server_macs4() | self.gateway_macs_now()

    def note_question(self, forgets):
        if not self.asked4 or forgets and self.now - self.asked4[-1] >= REPEAT_MS:
            self.asked4, self.unicasts4 = [], 0
        self.asked4.append(self.now)

    def ask_by_discover(self, packet, message):
        if self.is_heard(packet, message) and self.is_served(message.identifier):
            self.note_question(True)

    def ask_by_renewal(self, is_sure, is_new, t, xid, to_all):
        """is_new: no message had this id, or none that others have heard."""
        binding = self.binding4(t.wanted)
        t.is_secret = bool(is_sure and not to_all and is_new and binding.public_id is not None and
                           not any(b.public_id == xid for b in self.live4()))
        if is_sure and (to_all or not self.hears_no_unicast):
            self.note_question(False)
            self.unicasts4 += not to_all

    def hear_server(self, t):
        """One that is locked has answered."""
        if not t.to_all:
            self.hears_no_unicast = False
        elif self.unicasts4:
            self.hears_no_unicast = True
        self.asked4, self.unicasts4 = [], 0

    def learn_server4(self, mac, a, expires, credit):
        """By source and MAC of the first ACK that completes an exchange; and the MAC of a named one."""
        live = [server for server in self.learned_servers4.values() if self.now < server.until]
        for server in live:
            server.until = max(server.until, expires)
        named = self.named_servers4()
        if not (a in named or not named and not live or credit != LOCKED):
            return
        server = self.learned_server4(a)
        if server is None:
            server = self.learned_servers4[a] = Router()
        server.until = max(server.until, expires)
        if mac not in server.macs:
            server.macs = [*server.macs, mac][-MACS_MAX:]
        self.asked4, self.unicasts4 = [], 0

    def forget_mac4(self, a, mac):
        """The server itself has answered, too: the other one only knew the id."""
        for known in (self.learned_servers4, self.learned_routers4):
            if a in known:
                known[a].macs = [one for one in known[a].macs if one != mac]

    # --- routers --------------------------------------------------------------------------------------------------------

    def learned_router4(self, a):
        router = self.learned_routers4.get(a)
        return router if router and router.macs and self.now < router.until else None

    def macs_of_router4(self, a):
        if self.settings.gateway_macs:
            return set(self.settings.gateway_macs)
        router = self.learned_router4(a)
        return set(router.macs) if router else set()

    def gateway_macs_now(self):
        """gwmac, of IPv4."""
        if self.settings.gateway_macs:
            return set(self.settings.gateway_macs)
        return set().union(*(r.macs for r in self.learned_routers4.values() if self.now < r.until))

    def may_send_as4(self, source, mac):
        """W6."""
        if self.settings.gateway_macs:
            return not self.is_router4(source) or mac in self.settings.gateway_macs
        router = self.learned_router4(source)
        return router is None or not self.is_router4(source) or mac in router.macs or mac in self.server_macs4()

    def arp_of_router(self, source, sender_mac, sender, operation):
        """V4 to V6."""
        if self.settings.gateway_macs:
            is_others = self.is_router4(sender) and not {source, sender_mac} <= set(self.settings.gateway_macs)
            return "arp-gateway-spoof" if is_others else PASS                                           # V4a
        router = self.learned_routers4.get(sender)
        if router is None or not self.is_router4(sender) or self.settings.strict_anchors:
            return PASS
        is_recent = self.now < router.asked + ANSWER_MS
        if not router.macs or self.now >= router.until:
            if operation == 2 and is_recent:
                router.macs, router.until, router.questions = [sender_mac], self.lock_of_router(sender), []     # V5
            return PASS
        if sender_mac in router.macs:
            router.questions = []                                                                       # V5: it lives
            return PASS
        if not (len(router.questions) >= QUESTIONS and self.now - router.questions[0] >= QUESTIONS_MS and is_recent):
            return "arp-gateway-spoof"                                                                  # V4b
        router.macs, router.questions = [*router.macs, sender_mac][-MACS_MAX:], []
        return PASS

    def lock_of_router(self, a):
        return max((b.expires for b in self.live4() if a in b.routers or a in self.settings.hosts4), default=self.now)

    def learn_routers4(self, mac, source, credit):
        """Of an ACK: its sender may be the router."""
        if self.settings.gateway_macs:
            return
        for a, router in self.learned_routers4.items():
            if router.macs and self.now < router.until:
                router.until = max(router.until, self.lock_of_router(a))
        if not self.is_router4(source):
            return
        router = self.learned_routers4.setdefault(source, Router())
        if self.learned_router4(source) is None:
            router.macs, router.questions, router.until = [mac], [], self.lock_of_router(source)
        elif credit == SECRET and mac not in router.macs:
            router.macs, router.questions = [*router.macs, mac][-MACS_MAX:], []

    def has_to_do_with(self, binding, router):
        return self.on_subnet(binding, router) or router in binding.routers

    def note_router_question(self, to, binding, target):
        """A9."""
        if self.settings.gateway_macs or self.settings.strict_anchors or not self.is_router4(target):
            return
        router = self.learned_routers4.setdefault(target, Router())
        is_locked = self.learned_router4(target) is not None
        fits = self.has_to_do_with(binding, target) or not any(self.has_to_do_with(b, target) for b in self.live4())
        if is_locked and not (fits and (to == BROADCAST_MAC or router.macs == [to])):
            return
        if router.questions and self.now - router.asked >= FORGET_MS:
            router.questions = []
        router.questions.append(self.now)
        router.asked = self.now

    # --- bindings -------------------------------------------------------------------------------------------------------

    def note_use(self, binding):
        """A frame from it has passed. It ends the grace of what it has replaced."""
        if self.now >= binding.used + 1000:     # known to the second
            binding.used = self.now
        if not binding.is_static and not binding.in_grace:
            self.bindings4 = [b for b in self.bindings4 if not (b.in_grace and b.client_id == binding.client_id)]

    def make_room4(self):
        """An expired one goes, then one in grace, then the one used least recently, never a static one."""
        if len(self.bindings4) < BINDINGS_MAX:
            return True
        going = [b for b in self.bindings4 if b.in_grace] or [b for b in self.bindings4 if not b.is_static]
        if going:
            self.bindings4.remove(min(going, key=lambda b: b.used))
        return bool(going)
