"""What the captured wire tells of a guest's IPv6, for oracle6.py: routers, prefixes, addresses, DHCPv6 (RFC 4861, 4862,
8415). Nothing here judges; what a forbidden frame says is not learned."""

import dataclasses
import ipaddress
import struct

from oracle_base import require
from packet6 import eui64, ip6_at, is_global6, is_link_local

LINK_LOCAL = ipaddress.ip_network("fe80::/64")
NOBODY, SERVERS = ipaddress.ip_address("::"), ipaddress.ip_address("ff02::1:2")
RA, NS, NA = 134, 135, 136
DHCP_CLIENT, DHCP_SERVER = 546, 547
SOLICIT, REQUEST, RENEW, REBIND, REPLY, RELEASE, DECLINE, INFORMATION_REQUEST = 1, 3, 5, 6, 7, 8, 9, 11
CLIENT_ID, IA_NA, IA_TA, IA_ADDRESS, STATUS, RAPID_COMMIT, DNS_SERVERS, IA_PD, IA_PREFIX = 1, 3, 4, 5, 13, 14, 23, 25, 26
DAD_WAIT = 0.5          # s; RFC 6620 3.3.1
EARLY = 0.15            # s; by so much may the capture see a DAD NS later than the guard did
WANTED = 1.5            # s; so long an address is a neighbor's that did DAD for it
YOUNG, YOUNG_LEASE = 1.0, 10    # s; so long a guest hears who else has its address
TWO_HOURS = 7200        # s; RFC 4862 5.5.3 e
INFINITE, FOREVER, NEVER = 0xFFFFFFFF, float("inf"), float("-inf")
CLOCKS = 1              # s; the guard adds it to a prefix, so that it never ends one sooner than the guest


def nd_options(data):
    """(type, content) of every option (RFC 4861 4.6)."""
    options, at = [], 0
    while at < len(data):
        require(at + 2 <= len(data) and data[at + 1] > 0 and at + data[at + 1] * 8 <= len(data), "ND option's length")
        options.append((data[at], data[at + 2:at + data[at + 1] * 8]))
        at += data[at + 1] * 8
    return options


def lla_options(data, codes=(1, 2)):
    """The link-layer addresses, of source and target."""
    return [content.hex(":") for code, content in nd_options(data) if code in codes]


def target_of(packet):
    return ip6_at(packet.payload, 8)


def until(now, lifetime, infinite=INFINITE):
    return FOREVER if lifetime == infinite else now + lifetime


class Message:
    """A DHCPv6 message between a client and a server (RFC 8415 8)."""

    def __init__(self, data):
        require(len(data) >= 4, "DHCPv6 cut")
        self.type, self.transaction = data[0], data[1:4]
        self.options = dhcp_options(data[4:])
        self.client_id = self.option(CLIENT_ID)

    def option(self, code):
        return next((content for found, content in self.options if found == code), None)

    def associations(self):
        """((kind, IAID), addresses, refused) of every identity association; addresses are prefixes in an IA_PD."""
        found = []
        for code, content in self.options:
            begin = {IA_NA: 12, IA_TA: 4, IA_PD: 12}.get(code)
            if begin is None or len(content) < begin:
                continue
            inner = dhcp_options(content[begin:])
            places = [inside[9:25] + inside[8:9] if code == IA_PD else inside[:16] for kind, inside in inner
                      if kind == (IA_PREFIX if code == IA_PD else IA_ADDRESS)]
            refused = any(kind == STATUS and status[:2] != b"\0\0" for kind, status in inner)
            found.append(((code, content[:4]), places, refused))
        return found

    def may_lease(self):
        return self.type in (REQUEST, RENEW, REBIND) or self.type == SOLICIT and self.option(RAPID_COMMIT) is not None

    def addresses(self):
        """(address, valid lifetime) of each one in an identity association that was not refused."""
        found = []
        for code, content in self.options:
            begin = {IA_NA: 12, IA_TA: 4}.get(code)
            inner = dhcp_options(content[begin:]) if begin else []
            if not any(code == STATUS and status[:2] != b"\0\0" for code, status in inner):
                found += [(ip6_at(inside, 0), struct.unpack_from("!I", inside, 20)[0]) for code, inside in inner
                          if code == IA_ADDRESS and len(inside) >= 24]
        return found


def dhcp_options(data):
    options, at = [], 0
    while at + 4 <= len(data):          # fewer octets hold no option
        code, length = struct.unpack_from("!HH", data, at)
        require(at + 4 + length <= len(data), "DHCPv6 option cut")
        options.append((code, data[at + 4:at + 4 + length]))
        at += 4 + length
    return options


@dataclasses.dataclass
class Held:
    """An address that the guest claimed by DAD, or that was leased to it."""
    since: float
    leased: bool = False
    until: float = FOREVER


@dataclasses.dataclass
class Transaction:
    since: float
    type: int
    client_id: bytes
    rapid: bool
    closed: bool = False    # the guest gave an address back since


class Knowledge:
    def __init__(self, mac, router, router_mac, server, server_mac):
        self.mac, self.identifier = mac, eui64(mac)
        self.router, self.server = ipaddress.ip_address(router), ipaddress.ip_address(server)
        self.router_mac, self.server_mac = router_mac, server_mac
        self.router_until = self.locked_until = NEVER
        self.server_known = False
        self.slaac, self.on_link = {}, {}           # prefix: when it is over; for addresses, and for next hops
        self.resolvers, self.translators = {}, set()        # a translator (RFC 8781) stays one
        self.held, self.transactions, self.ever_leased = {}, {}, set()
        self.asked, self.delegated = {}, set()  # IAs that a server may have leased to; prefixes that one did
        self.wanted = {}        # what neighbors did DAD for, and when

    def slaac_prefixes(self, now, slack):
        return [network for network, end in self.slaac.items() if now < end + slack]

    def is_on_link(self, address, now, slack):
        return any(address in network and now < end + slack for network, end in self.on_link.items())

    def is_made_from_mac(self, address, now, slack):
        return address.packed[8:] == self.identifier and (
            is_link_local(address) or any(address in network for network in self.slaac_prefixes(now, slack)))

    def end_of(self, address):
        """When the guest must stop to use an address that it holds."""
        if self.held[address].leased or is_link_local(address):
            return self.held[address].until
        return max((end for network, end in self.slaac.items() if address in network), default=NEVER)

    def knows_router(self, now, slack):
        return now < self.router_until + slack

    def learned_sites(self):
        """The /48 around each global prefix of the router, also of those that are over: their machines stay; and around
        what was leased."""
        inside = [*(network.network_address for network in (*self.slaac, *self.on_link)), *self.ever_leased]
        return {ipaddress.ip_network((address, 48), strict=False) for address in inside if is_global6(address)}

    # --- from the guest -----------------------------------------------------------------------------------------------

    def learn_dad(self, now, target):
        """It asked whether anybody has the address."""
        if target not in self.held or now >= self.end_of(target):
            self.held[target] = Held(now)

    def learn_from_client(self, now, message):
        for association, _, _ in message.associations() if message.may_lease() else []:
            self.asked[message.client_id, *association] = message.transaction
        transaction = self.transactions.get(message.transaction)
        if message.type in (RELEASE, DECLINE):
            for address, _ in message.addresses():
                self.held.pop(address, None)
            for association, _, _ in message.associations():
                if (message.client_id, *association) in self.asked:
                    self.asked[message.client_id, *association] = message.transaction
            for other in self.transactions.values():
                other.closed = True
        if transaction is None or transaction.type != message.type or transaction.closed:
            closed = transaction is not None and transaction.closed
            self.transactions[message.transaction] = Transaction(
                now, message.type, message.client_id, message.option(RAPID_COMMIT) is not None, closed)

    # --- from the network, of those whom the guest may believe --------------------------------------------------------

    def learn_conflict(self, target):
        """Another has the address, and the guest heard so."""
        if target in self.held and not self.held[target].leased:
            del self.held[target]

    def learn_router(self, now, packet):
        options = nd_options(packet.payload[16:])
        self.router_until = now + int.from_bytes(packet.payload[6:8], "big")
        for code, content in options:
            if code == 3 and len(content) == 30:
                self.learn_prefix(now, content)
            elif code == 25 and len(content) >= 22:
                for at in range(6, len(content) - 15, 16):
                    self.resolvers[ip6_at(content, at)] = until(now, int.from_bytes(content[2:6], "big"))
            elif code == 38 and len(content) == 14:
                place = int.from_bytes(content[:2], "big")
                length = {0: 96, 1: 64, 2: 56, 3: 48, 4: 40, 5: 32}.get(place & 7)
                if length:
                    network = ipaddress.ip_network((content[2:] + bytes(4), length), strict=False)
                    self.translators.add(network)
        longest = max([*self.slaac.values(), *self.on_link.values()], default=now)
        self.locked_until = max(self.locked_until, self.router_until, min(longest, now + TWO_HOURS))

    def learn_prefix(self, now, content):
        length, flags, valid, preferred = struct.unpack_from("!BBII", content)
        if length > 128 or preferred > valid:       # RFC 4862 5.5.3 c
            return
        network = ipaddress.ip_network((ip6_at(content, 14), length), strict=False)
        if network.network_address in LINK_LOCAL or network.is_multicast:
            return
        end = until(now, valid) + CLOCKS
        if flags & 0x80:
            self.on_link[network] = end
        if flags & 0x40 and length == 64:
            old = self.slaac.get(network, NEVER)
            if now >= old:
                if valid == 0:
                    return
                for address in [each for each, held in self.held.items() if each in network and not held.leased]:
                    del self.held[address]      # of an earlier life of the prefix
            elif valid <= TWO_HOURS and end <= old:
                end = min(old, now + TWO_HOURS + CLOCKS)
            self.slaac[network] = end

    def learn_reply(self, now, message):
        granted = {(message.client_id, *association): places for association, places, refused in message.associations()
                   if places and not refused}
        self.delegated |= {(who, place) for who, places in granted.items() for place in places if who[1] == IA_PD}
        # Of what is given back nothing is granted, either.
        self.asked = {who: transaction for who, transaction in self.asked.items()
                      if transaction != message.transaction or message.type == REPLY and who in granted}
        if message.type != REPLY:
            return
        self.server_known = True
        transaction = self.transactions.get(message.transaction)
        servers = message.option(DNS_SERVERS) or b""
        for at in range(0, len(servers) - 15, 16):
            self.resolvers[ip6_at(servers, at)] = FOREVER
        if transaction is None or transaction.closed or transaction.client_id != message.client_id:
            return
        rapid = transaction.type == SOLICIT and transaction.rapid and message.option(RAPID_COMMIT) is not None
        if transaction.type not in (REQUEST, RENEW, REBIND) and not rapid:
            return
        for address, valid in message.addresses():
            self.ever_leased.add(address)
            old = self.held.get(address)
            since = old.since if old and old.leased and now < old.until else now
            self.held[address] = Held(since, True, until(transaction.since, valid))
