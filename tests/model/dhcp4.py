"""DHCPv4 in both directions, by the tables K, R and of messages in docs/filter.md."""

import dataclasses

from leases4 import GRACE_MS, LOCKED, SECRET, SERVED_MAX, Binding
from messages4 import read_message
from words import BROADCAST_MAC, NEVER, PASS, in_prefix, is_group_mac, number, u16

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
EVERYBODY = 0xFFFFFFFF
TRANSACTIONS_MAX, IDENTIFIERS_MAX = 4, 32
LIFE_MS, ANSWERED_MS, COPY_MS = 64000, 10000, 2000
EARLY_MS = 100              # a binding ends so much before its lease
HOUR_MS = 3600000
RELAY_OPTIONS = {82, 118, 220, 221}
DECIDES = {1, 12, 50, 51, 52, 53, 54, 61, 81} | RELAY_OPTIONS
SELECT, REBOOT, RENEW, ASK_BOOT = "select", "reboot", "renew", "boot"


@dataclasses.dataclass
class Transaction:
    kind: object
    client_id: object
    requested: object = None        # when: the lease counts from here
    deadline: int = 0
    wanted: int = 0
    server: int = 0
    offered: int = 0
    acked: int = 0
    rapid: bool = False
    done: bool = False
    to_all: bool = True
    is_secret: bool = False
    vouched: object = None


@dataclasses.dataclass
class SpentId:
    until: int
    unanswered: int = 0
    to_all: bool = False
    is_spent: bool = False


class Dhcp4:
    """A part of Guard (guard.py)."""

    def start_dhcp4(self):
        self.client_ids4, self.request_ids4 = {}, {}
        self.ran_out4, self.had_lease4 = None, False

    def live_transactions4(self):
        return [t for t in self.transactions4.values() if self.now < t.deadline]

    def transaction4(self, xid):
        t = self.transactions4.get(xid)
        return t if t and self.now < t.deadline else None

    def promised4(self):
        return {a for t in self.live_transactions4() for a in (t.offered, t.acked)} - {0}

    # --- from the guest -------------------------------------------------------------------------------------------------

    def dhcp4_from_guest(self, mac, packet):
        if packet.source_port == 67 or packet.port == 68:
            return "dhcp4-server-from-guest"                                                            # P1
        if packet.source_port != 68 or packet.port not in (67, 4011):
            return "dhcp4-port-misuse"                                                                  # P2
        if packet.is_fragment:
            return "dhcp4-malformed"                                                                    # P3
        if self.settings.no_dhcp:
            return "dhcp4-disabled"                                                                     # P4
        message = read_message(packet.payload[8:u16(packet.payload, 4)], False)
        if message is None or message.op != 1:
            return "dhcp4-malformed"                                                                    # K1
        if (message.htype, message.hlen) != (1, 6) or message.chaddr != self.settings.vm_mac:
            return "dhcp4-chaddr"                                                                       # K2
        if message.hops or message.giaddr or message.yiaddr or RELAY_OPTIONS & set(message.options):
            return "dhcp4-relay-fields"                                                                 # K3
        if message.type not in (DISCOVER, REQUEST, DECLINE, RELEASE, INFORM):
            return "dhcp4-type"                                                                         # K4
        to_all = packet.to == EVERYBODY
        if to_all != (mac == BROADCAST_MAC) or not to_all and (is_group_mac(mac) or packet.to >> 28 >= 0xE or not packet.to):
            return "dhcp4-addressing"                                                                   # K5
        if is_foreign_id(message.identifier, self.settings.vm_mac, self.settings.strict_ids):
            return "dhcp4-client-id-spoof"                                                              # K6
        if not may_have_names(self.settings.host_names, names_of(message.options)):
            return "dhcp-hostname"                                                                      # K6a
        self.client_ids4 = {one: until for one, until in self.client_ids4.items() if self.now < until}
        if message.identifier not in self.client_ids4 and len(self.client_ids4) >= IDENTIFIERS_MAX:
            return "dhcp4-client-id-limit"                                                              # K7
        verdict = self.judge_form(mac, packet, message, to_all)
        if verdict == PASS:
            self.client_ids4[message.identifier] = max(self.client_ids4.get(message.identifier, 0), self.now + HOUR_MS)
        return verdict

    def judge_form(self, mac, packet, message, to_all):
        """K8, K9, and what the message does."""
        if packet.port == 4011 and message.type != REQUEST:
            return "dhcp4-type"
        if message.type == DISCOVER:
            if packet.source or not to_all or message.ciaddr or message.server is not None:
                return "dhcp4-request-form"
            t = self.begin_transaction(message, DISCOVER, True)
            t.rapid = 80 in message.options and not self.is_spent(message.xid)
            if t.rapid:
                self.remember_request(message.xid, True)
            self.ask_by_discover(packet, message)
            return PASS
        if message.type == DECLINE:
            return self.judge_decline(packet, message, to_all)
        if message.type == RELEASE:
            return self.judge_release(packet, message, to_all)
        if message.type == INFORM:
            faults = self.faults_of(packet, message, to_all, message.server is None and message.wanted is None, True)
            if not faults:
                self.begin_transaction(message, INFORM, False)
            return verdict_of(faults)
        if packet.port == 67 and not message.ciaddr:
            return self.judge_first_request(packet, message, to_all)
        return self.judge_renewal(mac, packet, message, to_all)

    def is_server_known(self, a):
        """"A server": one of servers, the learned one, or the server identifier of a live lease."""
        return self.is_server4(a) or self.is_server_of_lease(a) or self.learned_server4(a) is not None

    def faults_of(self, packet, message, to_all, has_form, may_go_to_all):
        """What the row of a message that names an own address says; no order is documented."""
        faults = set()
        if not has_form:
            faults.add("dhcp4-request-form")
        if not may_go_to_all if to_all else not self.is_server_known(packet.to):
            faults.add("dhcp4-addressing")
        if not self.binding4(message.ciaddr) or packet.source != message.ciaddr:
            faults.add("dhcp4-not-owner")
        return faults

    def judge_first_request(self, packet, message, to_all):
        if packet.source or not to_all or message.wanted is None:
            return "dhcp4-request-form"
        return self.request(message, REBOOT if message.server is None else SELECT, message.wanted, to_all)

    def request(self, message, kind, wanted, to_all):
        if self.is_spent(message.xid):
            return "dhcp4-spent-id"                                                                     # K9
        self.remember_request(message.xid, to_all if kind == RENEW else kind == REBOOT)
        t = self.begin_transaction(message, kind, True if kind != RENEW else to_all)
        t.wanted, t.server = wanted, message.server or 0
        return PASS

    def judge_renewal(self, mac, packet, message, to_all):
        owns = self.binding4(message.ciaddr) is not None
        is_resync = not owns and packet.port == 67 and self.is_resync(message.ciaddr)
        source_fits = packet.source == message.ciaddr or to_all and packet.source == 0 and packet.port == 67
        faults = set()
        server_fits = message.server is None or (self.is_server_known(message.server) and (not to_all or owns))
        if message.wanted not in (None, message.ciaddr) or not server_fits:
            faults.add("dhcp4-request-form")
        if packet.port == 4011 and to_all:
            faults.add("dhcp4-addressing")
        if not owns and not is_resync or not source_fits:
            faults.add("dhcp4-not-owner")
        if not to_all and not self.is_server_known(packet.to) and not (is_resync and self.may_resync_to(mac, packet)):
            faults.add("dhcp4-addressing")
        if faults:
            return verdict_of(faults)
        if packet.port == 4011:
            self.begin_transaction(message, ASK_BOOT, False).wanted = message.ciaddr
            return PASS
        known = self.transaction4(message.xid)
        is_sure, is_new = self.is_sure_renewal(mac, packet, message, to_all), known is None or known.is_secret
        verdict = self.request(message, RENEW, message.ciaddr, to_all)
        if verdict == PASS:
            self.ask_by_renewal(is_sure, is_new, self.transactions4[message.xid], message.xid, to_all)
        return verdict

    def is_resync(self, a):
        if any(b.address not in self.shared4 for b in self.live4()) or self.settings.no_resync or not self.can_be_leased(a):
            return False
        return not self.had_lease4 or a == self.ran_out4

    def may_resync_to(self, mac, packet):
        if self.settings.strict_anchors or not (is_private(packet.source) and is_private(packet.to)):
            return False
        return not self.gateway_macs_now() or mac in self.gateway_macs_now() | self.server_macs4()

    def judge_decline(self, packet, message, to_all):
        a = message.wanted
        faults = set()
        if packet.source or not to_all or message.ciaddr or a is None or message.server is None:
            faults.add("dhcp4-request-form")
        binding = self.binding4(a) if a is not None else None
        acked = any(t.acked == a for t in self.live_transactions4())
        if a is not None and not acked and (binding is None or binding.is_static):
            faults.add("dhcp4-not-owner")
        if not faults:
            self.give_back(a)
        return verdict_of(faults)

    def judge_release(self, packet, message, to_all):
        faults = self.faults_of(packet, message, to_all, message.wanted is None, False)
        binding = self.binding4(message.ciaddr)
        if binding and binding.is_static:
            faults.add("dhcp4-not-owner")
        if not faults:
            self.give_back(message.ciaddr)
        return verdict_of(faults)

    def give_back(self, a):
        """The binding is gone, every open exchange ends, and the ids of REQUESTs are spent."""
        self.bindings4 = [b for b in self.bindings4 if b.address != a or b.is_static]
        for t in self.transactions4.values():
            if not t.done:
                t.deadline = 0
        self.ran_out4 = None
        for known in self.request_ids4.values():
            known.is_spent = True

    def begin_transaction(self, message, kind, to_all):
        """A new exchange of the same client identifier ends the older one, unless that is answered or an INFORM."""
        if kind not in (INFORM, ASK_BOOT):
            for xid, other in self.transactions4.items():
                if xid != message.xid and other.client_id == message.identifier and not other.done and \
                        other.kind not in (INFORM, ASK_BOOT):
                    other.deadline = 0
        old = self.transaction4(message.xid)
        t = Transaction(kind, message.identifier, self.now, self.now + LIFE_MS, to_all=to_all)
        if old:
            t.offered = old.offered
            is_first = old.done or old.kind == DISCOVER != kind
            t.requested = self.now if is_first else old.requested
        self.transactions4 = {xid: one for xid, one in self.transactions4.items() if self.now < one.deadline and xid != message.xid}
        if len(self.transactions4) >= TRANSACTIONS_MAX:
            del self.transactions4[min(self.transactions4, key=lambda xid: self.transactions4[xid].deadline)]
        self.transactions4[message.xid] = t
        return t

    def is_spent(self, xid):
        known = self.request_ids4.get(xid)
        return bool(known and known.is_spent and self.now < known.until)

    def remember_request(self, xid, to_all):
        known = self.request_ids4.get(xid)
        if known is None or self.now >= known.until:
            known = self.request_ids4[xid] = SpentId(0)
        known.unanswered, known.to_all, known.until = known.unanswered + 1, known.to_all or to_all, self.now + LIFE_MS

    # --- from the network -----------------------------------------------------------------------------------------------

    def dhcp4_to_guest(self, mac, source_mac, packet):
        if packet.source_port != 67 and packet.port != 68:
            return "dhcp4-client-to-guest"                                                              # R1
        if packet.is_fragment:
            return "dhcp4-malformed"                                                                    # R2
        if packet.port != 68:
            return "dhcp4-port-misuse"                                                                  # R3
        if self.settings.no_dhcp:
            return "dhcp4-disabled"                                                                     # R4
        if mac not in (self.settings.vm_mac, BROADCAST_MAC):
            return "l2-not-for-guest"                                                                   # R5
        octets = packet.payload[8:]
        if len(octets) < 34:
            return "dhcp4-malformed"                                                                    # R6
        t = self.transaction4(number(octets, 4, 4))
        source = packet.source
        if not (self.is_trusted_server(source, source_mac) or self.may_succeed(source, source_mac) or t and (
                t.is_secret and self.may_vouch(source, source_mac) or t.done and t.acked == number(octets, 16, 4))):
            return "dhcp4-rogue-server"                                                                 # R7
        if number(octets, 28, 6) != self.settings.vm_mac:
            return "dhcp4-not-for-guest"                                                                # R8
        if t is None:
            return "dhcp4-no-transaction"                                                               # R9
        udp = u16(packet.payload, 4)
        message = read_message(packet.payload[8:udp], True) if 8 <= udp <= len(packet.payload) else None
        if message is None or message.op != 2 or message.htype != 1 or message.hlen < 6:
            return "dhcp4-malformed"                                                                    # R11
        if message.type not in (OFFER, ACK, NAK):
            return "dhcp4-type"                                                                         # R12
        return self.judge_reply(source_mac, packet, message, t)

    def judge_reply(self, source_mac, packet, message, t):
        if t.done:
            return self.hear_again(source_mac, packet, message, t)                                      # R13
        credit = self.credit_of(packet.source, source_mac, t, message)
        if not credit:
            return "dhcp4-rogue-server"                                                                 # R7
        if credit == LOCKED:
            self.hear_server(t)
        if not answers(t, message):
            return "dhcp4-no-transaction"                                                               # R14
        server, yiaddr = message.server, message.yiaddr
        if server is None and t.kind not in (INFORM, ASK_BOOT) or server is not None and (
                server == 0 or server >> 24 in (0, 127) or server >> 29 == 7 or self.binding4(server)) or \
                t.kind == SELECT and server != t.server:
            return "dhcp4-rogue-server"                                                                 # R15a to R15d
        held = self.binding4(packet.to)
        fits = packet.source_port == held.server_port if held else packet.to in (EVERYBODY, yiaddr)
        if packet.source_port != 67 and t.kind != ASK_BOOT and not fits:
            return "dhcp4-port-misuse"                                                                  # R15e
        if t.kind == ASK_BOOT:
            return PASS if yiaddr in (0, t.wanted) else "dhcp4-bad-lease"                               # R15g, R15h
        if message.type == OFFER and not yiaddr:
            return PASS                                                                                 # R15f
        if message.type != OFFER and t.kind != INFORM:
            self.settle_request(message.xid)
        if message.type == NAK:
            self.hear_nak(t)
            return PASS                                                                                 # R16
        if t.kind == INFORM:
            return self.hear_inform(message, t)                                                         # R17
        if not self.is_good_lease(message):
            return "dhcp4-bad-lease"                                                                    # R18
        if message.type == OFFER:
            t.offered = yiaddr
            return PASS                                                                                 # R22a
        if not message.lease:
            return "dhcp4-bad-lease"                                                                    # R19
        self.bind(source_mac, packet, message, t, credit)
        return PASS                                                                                     # R22b

    def hear_again(self, source_mac, packet, message, t):
        is_same = message.type == ACK and message.yiaddr == t.acked and message.server == t.server
        if is_same:
            self.settle_request(message.xid)
        if not self.is_trusted_server(packet.source, source_mac):
            return "dhcp4-no-transaction" if is_same else "dhcp4-rogue-server"
        if not is_same:
            return "dhcp4-no-transaction"
        if t.vouched is not None and t.vouched != source_mac:
            self.forget_mac4(packet.source, t.vouched)
            t.vouched = None
            self.bind_lease(source_mac, message, t, packet.source_port)
        return PASS

    def settle_request(self, xid):
        """One of the REQUESTs of this id is answered."""
        known = self.request_ids4.get(xid)
        if known and known.unanswered:
            known.unanswered -= 1
            if not known.unanswered:
                known.until = self.now + (ANSWERED_MS if known.to_all else COPY_MS)

    def hear_nak(self, t):
        for b in [b for b in self.bindings4 if b.address == t.wanted and not b.is_static]:
            self.bindings4.remove(b)
            self.ran_out4 = self.ran_out4 if b.in_grace else b.address
        t.deadline = 0

    def hear_inform(self, message, t):
        if message.yiaddr:
            return "dhcp4-bad-lease"
        for b in self.live4():
            if message.server and b.server == message.server and message.resolvers:
                b.resolvers = tuple(message.resolvers)
        return PASS

    def can_be_leased(self, a):
        return a >> 24 not in (0, 127) and a >> 29 != 7 and a >> 16 != 0xA9FE and not self.is_router4(a) and \
            a not in self.settings.servers4 and self.learned_server4(a) is None

    def is_good_lease(self, message):
        a, length = message.yiaddr, message.length
        if not self.can_be_leased(a) or a in message.routers or a == message.server or 159 in message.options:
            return False
        host = a & (1 << 32 - length) - 1
        if length < 31 and host in (0, (1 << 32 - length) - 1):
            return False
        return not self.statics4 or a in self.statics4 | self.shared4

    def bind(self, source_mac, packet, message, t, credit):
        """An ACK."""
        t.done, t.deadline, t.acked, t.server = True, self.now + ANSWERED_MS, message.yiaddr, message.server
        t.vouched = source_mac if credit == SECRET else None
        b = self.bind_lease(source_mac, message, t, packet.source_port)
        if b is None:
            return
        self.served4 = [*(one for one in self.served4 if one != t.client_id), t.client_id][-SERVED_MAX:]
        if not self.settings.strict_anchors:
            self.learn_server4(source_mac, packet.source, b.expires, credit)
            self.learn_routers4(source_mac, packet.source, credit)
        if b.expires != NEVER:
            self.client_ids4[t.client_id] = max(self.client_ids4.get(t.client_id, 0), b.expires)

    def bind_lease(self, source_mac, message, t, port):
        """What it says of the address; one of --vm-ip stays what it is."""
        a = message.yiaddr
        b = self.binding4(a)
        if b is None:
            if not self.make_room4():
                return None
            b = Binding(a, 0, self.now)
            self.bindings4.append(b)
        if not b.is_static:
            b.expires = NEVER if message.lease == EVERYBODY else t.requested + message.lease * 1000 - EARLY_MS
            b.length, b.in_grace, b.client_id, b.used = message.length, False, t.client_id, self.now
        b.server, b.server_mac, b.server_port = message.server, source_mac, port
        b.routers, b.resolvers = tuple(message.routers), tuple(message.resolvers)
        if t.to_all:
            b.public_id = message.xid
        self.had_lease4, self.ran_out4 = True, None
        for other in self.live4():
            if other is not b and not other.is_static and not other.in_grace and other.client_id == t.client_id:
                other.in_grace, other.expires = True, min(other.expires, self.now + GRACE_MS)
        return b


def verdict_of(faults):
    """No fault: it passes. More than one: any of them may be the reason."""
    return PASS if not faults else faults.pop() if len(faults) == 1 else frozenset(faults)


def answers(t, message):
    """R14."""
    if message.type == OFFER:
        return t.kind in (DISCOVER, ASK_BOOT)
    if message.type == NAK:
        return t.kind in (SELECT, REBOOT, RENEW)
    if t.kind == DISCOVER:
        return t.rapid and 80 in message.options
    return True


def is_private(a):
    return any(in_prefix(a, prefix, length, 32) for prefix, length in
               ((0x0A000000, 8), (0xAC100000, 12), (0xC0A80000, 16), (0x64400000, 10)))


def is_foreign_id(identifier, mac, strict):
    """K6."""
    if identifier[:1] == b"\1":
        return identifier[1:] != mac.to_bytes(6, "big")
    if strict and identifier[:1] == b"\xff" and len(identifier) >= 9:
        return is_foreign_duid(identifier[5:], mac)
    return False


def is_foreign_duid(duid, mac):
    """A DUID-LLT or DUID-LL (RFC 8415 11) of another Ethernet MAC."""
    begin = {b"\0\1": 8, b"\0\3": 4}.get(bytes(duid[:2]))
    return begin is not None and duid[2:4] == b"\0\1" and duid[begin:] != mac.to_bytes(6, "big")


def names_of(options):
    """The names of options 12 and 81 in small letters: [(as it is meant, in the other spelling)]; each with whether it is whole."""
    plain = ascii_name(bytes(options.get(12, b"")))
    fqdn = bytes(options.get(81, b"\0"))
    both = ascii_name(fqdn[3:]), dns_name(fqdn[3:])
    return [(plain, plain), both[::-1] if fqdn[:1] and fqdn[0] & 4 else both]


def ascii_name(octets):
    text = octets.rstrip(b"\0").removesuffix(b".").lower()
    return text, b"\0" not in text


def dns_name(octets):
    """RFC 1035 3.1. Of a name that cannot be read what stands before the fault counts."""
    labels, is_whole = [], True
    while octets and octets[0]:
        if octets[0] > 63 or len(octets) <= octets[0]:
            return b".".join(labels).lower(), False
        label, octets = octets[1:1 + octets[0]], octets[1 + octets[0]:]
        is_whole = is_whole and not {0, 46} & set(label)
        labels.append(label)
    return b".".join(labels).lower(), is_whole and len(octets) <= 1


def may_have_names(own, names):
    """own: None: any but those of services, in either spelling; else a list, in which only a whole name is."""
    if own is None:
        return not any(text.split(b".")[0].split(b"\0")[0] in (b"wpad", b"isatap") for pair in names for text, _ in pair)
    return all(is_whole and text in [b"", *(one.encode() for one in own)] for (text, is_whole), _ in names)
