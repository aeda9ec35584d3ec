"""DHCPv6, by the tables Q and Z of docs/filter-ipv6.md: which messages come to be read at all. The worlds have --no-dhcp where
there is IPv6, so no lease is made: tests/unit/test_explore_dhcp6.c has the dialogues."""


CLIENT, SERVER = 546, 547


class Dhcp6:
    """A part of Guard (guard.py)."""

    def dhcp6_from_guest(self, _, packet):
        if packet.source_port == SERVER or packet.port == CLIENT:
            return "dhcp6-server-from-guest"                                                            # Q1
        if packet.port != SERVER:
            return "dhcp6-port-misuse"                                                                  # Q2
        if any(kind == 44 for kind, _ in packet.chain):
            return "dhcp6-malformed"                                                                    # Q3
        return "dhcp6-disabled"                                                                         # Q4

    def dhcp6_to_guest(self, _, __, packet):
        if packet.port == SERVER:
            return "dhcp6-client-to-guest"                                                              # Z1
        if any(kind == 44 for kind, _ in packet.chain) or len(packet.payload) < 12:
            return "dhcp6-malformed"                                                                    # Z2
        return "dhcp6-disabled"                                                                         # Z3


