"""What the guard knows of IPv6 addresses, prefixes and routers, by docs/filter-ipv6.md."""

import dataclasses

from nd import lifetimes
from policy import ALLOWED, Contact
from words import (NEVER, PASS, eui64, in_prefix, is_delegated6, is_group6, is_link_local6, is_wide6, number)

TENTATIVE_MS, LISTENING_MS, MINUTE_MS = 500, 1000, 60000
LINK_LOCALS_MAX, BINDINGS_MAX, PREFIXES_MAX, RESOLVERS_MAX, TRANSLATORS_MAX = 2, 64, 8, 8, 2
TWO_HOURS_MS, CLOCKS_MS = 7200000, 1000
INFINITE = 0xFFFFFFFF
SILENT_MS, AGAIN_MS = 4000, 10000        # four questions, a second apart, and a second behind the last


@dataclasses.dataclass
class Binding6:
    since: int
    own_from: int
    conflict: int           # until then the guest listens whether others have it
    is_static: bool = False
    slot: int = 0           # of two that were used at the same time the first one goes
    used: int = 0


@dataclasses.dataclass
class Prefix6:
    until: float
    autonomous: bool
    on_link: bool


@dataclasses.dataclass
class Router6:
    macs: list
    until: float            # as a router
    locked: float
    routes: bool = False    # it had a lifetime
    asking: object = None   # since when the guard asks for it
    doubted: float = -NEVER


class Addresses6:
    """A part of Guard (guard.py)."""

    def start_addresses6(self):
        self.identifier = eui64(self.settings.vm_mac)
        listed = [(a, length) for family, a, length in self.settings.statics + self.settings.shared if family == 6]
        self.bindings6 = {a: Binding6(self.now, self.now, self.now, True, slot) for slot, (a, _) in enumerate(listed)}
        self.shared6 = {a for family, a, _ in self.settings.shared if family == 6}
        self.prefixes6 = {}
        self.static_prefixes6 = {(a >> 128 - length << 128 - length, length) for a, length in listed if length < 128}
        self.learned6, self.resolvers_learned6, self.translators_learned6 = {}, {}, {}
        self.claims6, self.lost6 = {}, {}

    # --- bindings -------------------------------------------------------------------------------------------------------

    def status6(self, a):
        """"own", "tentative" or None."""
        if a & (1 << 64) - 1 == self.identifier and (is_link_local6(a) or self.slaac_prefix(a)):
            return "own"
        b = self.bindings6.get(a)
        if b is None or not b.is_static and not is_link_local6(a) and not self.slaac_prefix(a):
            return None
        return "own" if self.now >= b.own_from else "tentative"

    def slaac_prefix(self, a):
        """Is it in a live prefix with the A flag?"""
        p = self.prefixes6.get((a >> 64 << 64, 64))
        return p is not None and p.autonomous and self.now < p.until

    def make_tentative(self, a):
        """False: there is no place. The one of its kind goes that was used least recently, when it is a minute old."""
        self.bindings6 = {one: b for one, b in self.bindings6.items() if self.status6(one)}
        taken = {b.slot for b in self.bindings6.values()}
        slot = next(n for n in range(BINDINGS_MAX + 1) if n not in taken)
        held = [one for one, b in self.bindings6.items() if is_link_local6(one) and not b.is_static]
        if is_link_local6(a) and len(held) >= LINK_LOCALS_MAX:
            going = [one for one in held if self.now >= self.bindings6[one].since + MINUTE_MS]
            if not going:
                return False
            slot = self.bindings6.pop(min(going, key=lambda one: (self.bindings6[one].used, self.bindings6[one].slot))).slot
        self.bindings6[a] = Binding6(self.now, self.now + TENTATIVE_MS, self.now + LISTENING_MS, False, slot, self.now)
        return True

    def note_use6(self, a):
        b = self.bindings6.get(a)
        if b and self.now >= b.used + 1000:     # known to the second
            b.used = self.now

    # --- routers --------------------------------------------------------------------------------------------------------

    def has_locked_router6(self):
        return any(self.now < r.locked for r in self.learned6.values())

    def is_router6(self, a):
        r = self.learned6.get(a)
        return a in self.settings.hosts6 or r is not None and self.now < r.until

    def knows_router6(self):
        return bool(self.settings.hosts6) or any(self.now < r.until for r in self.learned6.values())

    def needs_router6(self):
        return any(is_link_local6(a) for a in self.settings.hosts6)

    def router_macs6(self):
        """They stay after the lock, until another router is heard."""
        return set().union(*(r.macs for r in self.learned6.values()))

    def locked_router6(self, a):
        r = self.learned6.get(a)
        return r if r is not None and self.now < r.locked else None

    def may_send_as6(self, a, mac):
        """X6: nobody else sends from a host's address, or a locked router's."""
        if self.settings.gateway_macs and (a in self.settings.hosts6 or self.locked_router6(a)):
            r = self.locked_router6(a)
            return mac in self.settings.gateway_macs or a not in self.settings.hosts6 and mac in r.macs
        r = self.locked_router6(a)
        return r is None or mac in r.macs

    def is_trusted_router(self, a, mac):
        near = [one for one in self.settings.hosts6 if is_link_local6(one)]
        if near and a not in near or self.settings.gateway_macs and mac not in self.settings.gateway_macs:
            return False
        r = self.locked_router6(a)
        if r is not None:
            return mac in r.macs or bool(self.settings.gateway_macs)
        if self.settings.gateway_macs or near:
            return True
        return not self.settings.strict_anchors and not any(self.now < r.locked and r.routes for r in self.learned6.values())

    def may_name(self, a, source_mac, mac):
        """A link-layer address option of an advertisement."""
        if mac == source_mac or mac in self.settings.gateway_macs:
            return True
        r = self.locked_router6(a)
        if r is not None:
            return mac in r.macs
        return not self.settings.gateway_macs and mac != self.settings.vm_mac and not mac >> 40 & 1

    def learn_router6(self, mac, a, data, options, named):
        lifetime = number(data, 6, 2) * 1000
        prefixes = [value for code, value in options if code == 3 and is_sane_prefix(value)]
        r = self.locked_router6(a)
        locked = self.now + max([lifetime, *(min(lifetimes(value)[0] * 1000, TWO_HOURS_MS) for value in prefixes)])
        if r is not None or locked > self.now:
            macs = [mac] if r is None else [*r.macs, mac]
            new = Router6(list(dict.fromkeys([*macs, *(named if r is None else [])])), 0, max(locked, r.locked if r else 0))
            new.routes = lifetime > 0 or r is not None and r.routes
            new.until = self.now + lifetime if new.routes else 0
            new.doubted = self.now if r and r.asking is not None else r.doubted if r else -NEVER
            self.learned6 = {one: known for one, known in self.learned6.items() if self.now < known.locked and one != a}
            self.learned6[a] = new
            locked = new.locked
        if locked <= self.now:
            return
        for value in prefixes:
            self.learn_prefix6(value)
        self.learn_more6(options, NEVER if self.settings.gateway_macs else locked)

    # Routers that are replaced

    def worth_of_claim(self, routers):
        """"refused", "doubt" or "believed"."""
        if self.settings.gateway_macs or self.settings.strict_anchors or not routers:
            return "refused"
        if all(r.asking is not None and self.now >= r.asking + SILENT_MS for r in routers):
            return "believed"
        if all(r.asking is not None or self.now < r.doubted + AGAIN_MS for r in routers):
            return "refused"
        return "doubt"

    def begin_doubt(self, routers):
        for r in routers:
            if r.asking is None and self.now >= r.doubted + AGAIN_MS:
                r.asking = r.doubted = self.now

    def hear_rival(self, mac, source_mac, packet):
        """An advertisement of a router that is not trusted: it may claim the place of all that route. None: it is refused."""
        near = [one for one in self.settings.hosts6 if is_link_local6(one)]
        routers = [r for r in self.learned6.values() if self.now < r.locked and r.routes]
        worth = self.worth_of_claim(routers)
        if near and packet.source not in near or worth == "refused" or self.status6(packet.source) == "own" or \
                mac >> 40 & 1 and not is_group6(packet.to) or number(packet.payload, 6, 2) == 0 or not packet.has_right_checksum():
            return None
        if worth == "doubt":
            self.begin_doubt(routers)
            return None
        self.learned6 = {a: r for a, r in self.learned6.items() if not (self.now < r.locked and r.routes)}
        return self.take_advertisement(source_mac, packet)

    def hear_claim(self, source_mac, packet):
        """An NA for the address of a locked router, from another MAC."""
        r = self.locked_router6(packet.target)
        link = packet.link_layer[0] if packet.link_layer else source_mac
        worth = self.worth_of_claim([r] if r else [])
        if worth != "refused" and not packet.has_right_checksum():
            return "nd-malformed"
        if worth == "doubt":
            self.begin_doubt([r])
        elif worth == "believed" and link and link != self.settings.vm_mac and not link >> 40 & 1:
            r.macs, r.asking, r.doubted = list(dict.fromkeys([source_mac, link])), None, self.now
        return "nd-gateway-spoof"

    def learn_more6(self, options, most):
        """most: what a router that was only the first one heard says is believed no longer than that."""
        for code, value in options:
            if code == 25:
                seconds = number(value, 2, 4)
                until = NEVER if seconds == INFINITE else self.now + seconds * 1000
                for at in range(6, len(value) - 15, 16):
                    a = number(value, at, 16)
                    if not is_group6(a) and a >> 64:
                        self.take_place(self.resolvers_learned6, a, min(until, most), RESOLVERS_MAX)
            if code == 38 and len(value) == 14:
                length = {0: 96, 1: 64, 2: 56, 3: 48, 4: 40, 5: 32}.get(value[1] & 7)
                if length and is_sane(number(bytes(value[2:]) + bytes(4), 0, 16)):
                    prefix = number(bytes(value[2:]) + bytes(4), 0, 16) >> 128 - length << 128 - length
                    self.take_place(self.translators_learned6, (prefix, length),
                                    min(self.now + (number(value, 0, 2) >> 3) * 8000, most), TRANSLATORS_MAX)

    def take_place(self, table, what, until, most):
        """What finds no place is ignored."""
        if what not in table and len(table) >= most:
            dead = [one for one, end in table.items() if self.now >= end]
            if not dead:
                return
            del table[min(dead, key=table.get)]
        table[what] = until

    def learn_prefix6(self, value):
        """RFC 4862 5.5.3, RFC 4861 6.3.4. Each flag speaks only for itself."""
        length, on_link, autonomous = value[0], bool(value[1] & 0x80), bool(value[1] & 0x40) and value[0] == 64
        valid, _ = lifetimes(value)
        end = NEVER if valid == INFINITE else self.now + valid * 1000 + (CLOCKS_MS if valid else 0)
        prefix = number(value, 14, 16) >> 128 - length << 128 - length if length else 0
        p = self.prefixes6.get((prefix, length))
        if p is None or self.now >= p.until:
            live = [one for one in self.prefixes6.values() if self.now < one.until]
            if valid and len(live) + len(self.static_prefixes6) < PREFIXES_MAX:
                self.prefixes6[prefix, length] = Prefix6(end, autonomous, on_link)
                if autonomous:
                    self.forget_addresses6(prefix)
            return
        if on_link:
            p.on_link = valid > 0
        if not autonomous:
            p.until = p.until if p.autonomous else end
            return
        if not p.autonomous:
            self.forget_addresses6(prefix)
        two_hours = self.now + TWO_HOURS_MS + CLOCKS_MS
        if not p.autonomous or end > two_hours or end > p.until:
            p.until = end
        elif p.until > two_hours:
            p.until = two_hours
        p.autonomous = True

    def forget_addresses6(self, prefix):
        """Of an earlier life of the prefix."""
        for a in [a for a, b in self.bindings6.items() if a >> 64 == prefix >> 64 and not b.is_static]:
            del self.bindings6[a]

    # --- what else an address is ----------------------------------------------------------------------------------------

    def is_on_link(self, a):
        if any(in_prefix(a, prefix, length, 128) for prefix, length in self.static_prefixes6):
            return True
        return any(p.on_link and self.now < p.until and in_prefix(a, prefix, length, 128)
                   for (prefix, length), p in self.prefixes6.items())

    def is_resolver6(self, a):
        if self.settings.resolvers6:
            return a in self.settings.resolvers6
        return self.now < self.resolvers_learned6.get(a, 0)

    def is_reserved6(self, a):
        return self.is_router6(a) or self.locked_router6(a) is not None or self.is_resolver6(a) or a in self.settings.servers6

    def sites6(self):
        held = [a for a, b in self.bindings6.items() if is_delegated6(a)]
        return held + [prefix for prefix, _ in [*self.prefixes6, *self.static_prefixes6] if is_delegated6(prefix)]

    def could_reach6(self, a):
        """N16a: may the guest reach it by any protocol and port, or may it call the guest?"""
        if a >> 32 in (0, 0xFFFF):
            return False
        if not (self.status6(a) and a not in self.shared6) and self.may_have_business6(a, False):
            return True
        return self.rules.stateful and self.may_have_business6(a, True)

    def may_have_business6(self, a, inward):
        """By any protocol and port. Behind a translator both policies are asked, each for itself."""
        ruling = self.rules.possible(Contact(a, 6, inward, 0, 0), self.aliases6(a))
        if ruling:
            may = ruling.what == ALLOWED
            if not may or ruling.length >= 96:
                return may
        else:
            may = self.stranger() == PASS if inward else \
                self.is_resolver6(a) or self.default6(a, 0, 0, 0, 128) == PASS
        behind, only_closes = self.translated(a)
        if behind is None or not may and only_closes:
            return may
        if behind >> 28 >= 0xE or not inward and (behind >> 24 in (0, 127) or self.is_sole4(behind)):
            return False
        return self.may_have_business4(behind, inward)


def is_sane(a):
    return is_wide6(a) or a >> 96 == 0x0064FF9B


def is_sane_prefix(value):
    """RFC 4861 4.6.2; prefixes that are nobody's to give are ignored."""
    valid, preferred = lifetimes(value)
    prefix = number(value, 14, 16)
    return len(value) == 30 and value[0] <= 128 and preferred <= valid and is_wide6(prefix)
