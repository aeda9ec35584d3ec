/*
 * Every way a judged frame can end, in one table. From it come the enum, the log text, the counters, docs/reasons.md,
 * the list in the man page and the eBPF counter map. A new reason is one line here and one frame that earns it in
 * tests/unit/. Where an operator would do the same about two faults they share a reason; the frame's direction is
 * counted apart, so one name serves both (docs/filter.md holds the map from the specification's rows).
 */
#pragma once
#include <stdint.h>

/*        NAME                  name                      what it means to an operator */
// clang-format off
#define DROP_REASONS(X) \
	X(FRAME_RUNT,            "frame-runt",             "shorter than an Ethernet header") \
	X(FRAME_OVERSIZE,        "frame-oversize",         "longer than the MTU allows, or truncated on reading") \
	X(ETH_SRC_SPOOF,         "eth-src-spoof",          "guest sends from a MAC that is not its own") \
	X(ETH_SRC_INVALID,       "eth-src-invalid",        "group or zero source MAC from the network") \
	X(ETH_SRC_IS_GUEST,      "eth-src-is-guest",       "the guest's own MAC arrives from the network: a loop or an impostor") \
	X(ETH_DST_INVALID,       "eth-dst-invalid",        "destination MAC is zero or the guest itself") \
	X(ETH_DST_RESERVED,      "eth-dst-reserved",       "bridge control group 01:80:c2:00:00:00-2f (STP, PAUSE, LLDP, 802.1X, GVRP)") \
	X(ETHERTYPE_VLAN,        "ethertype-vlan",         "VLAN tag, priority tag included") \
	X(ETHERTYPE_UNKNOWN,     "ethertype-unknown",      "neither IPv4, ARP, IPv6 nor, from the guest, RARP (802.3/LLC included)") \
	X(L2_NOT_FOR_GUEST,      "l2-not-for-guest",       "unicast frame for another MAC") \
	X(L2_NEXT_HOP,           "l2-next-hop",            "IP sent to a MAC that is no router of this network") \
	X(L2L3_MISMATCH,         "l2l3-mismatch",          "MAC and IP destination disagree on group or unicast") \
	X(ARP_MALFORMED,         "arp-malformed",          "not a request or reply for IPv4 over Ethernet") \
	X(ARP_SHA_SPOOF,         "arp-sha-spoof",          "ARP sender MAC is not the frame's own") \
	X(ARP_NO_LEASE,          "arp-no-lease",           "ARP while the guest has no lease, or none any more") \
	X(ARP_SPA_SPOOF,         "arp-spa-spoof",          "ARP claims an address that was not leased to the guest") \
	X(ARP_PROBE_TARGET,      "arp-probe-target",       "ARP probe for an address that was not offered to the guest") \
	X(ARP_TARGET_DENIED,     "arp-target-denied",      "ARP asks for a host that the policy refuses anyway") \
	X(ARP_CLAIMS_GUEST,      "arp-claims-guest",       "an outsider claims the guest's address") \
	X(ARP_GATEWAY_SPOOF,     "arp-gateway-spoof",      "an outsider claims the gateway's address") \
	X(RARP_FORM,             "rarp-form",              "RARP other than the guest's announcement of its own MAC to all") \
	X(IP4_MALFORMED,         "ip4-malformed",          "IPv4 header is broken, or carries an IPv6 header type") \
	X(IP4_OPTIONS,           "ip4-options",            "IPv4 options (source routing and the like)") \
	X(IP4_FRAGMENT,          "ip4-fragment",           "fragment that is too small, overlaps the first header or runs past 65535") \
	X(L4_MALFORMED,          "l4-malformed",           "TCP, UDP or ICMP shorter than its header, or a bad UDP length") \
	X(IP4_NO_LEASE,          "ip4-no-lease",           "IPv4 while the guest has no lease, or none any more") \
	X(IP4_SRC_SPOOF,         "ip4-src-spoof",          "IPv4 source that was not leased to the guest") \
	X(IP4_SRC_IS_GUEST,      "ip4-src-is-guest",       "the guest's own IPv4 source arrives from the network") \
	X(IP4_SRC_INVALID,       "ip4-src-invalid",        "IPv4 source that no host has, from the network") \
	X(IP4_GATEWAY_SPOOF,     "ip4-gateway-spoof",      "the gateway's IPv4 source from another MAC") \
	X(IGMP_INVALID,          "igmp-invalid",           "IGMP other than a plain report or leave") \
	X(ICMP_CONTROL,          "icmp-control",           "ICMP redirect, router advertisement or mask reply") \
	X(ICMP_ERROR_QUOTE,      "icmp-error-quote",       "ICMP error about a packet that its receiver did not send to the guest, or that the guest did not send") \
	X(DHCP4_SERVER,          "dhcp4-server-from-guest", "guest speaks as a DHCP server") \
	X(DHCP4_PORT_MISUSE,     "dhcp4-port-misuse",      "ports 67/68 in another pairing than client to server") \
	X(DHCP4_DISABLED,        "dhcp4-disabled",         "DHCP is switched off") \
	X(DHCP4_MALFORMED,       "dhcp4-malformed",        "DHCP message that cannot be parsed, or a fragment of one") \
	X(DHCP4_CHADDR,          "dhcp4-chaddr",           "guest asks for a lease for another MAC") \
	X(DHCP4_RELAY_FIELDS,    "dhcp4-relay-fields",     "guest poses as a DHCP relay") \
	X(DHCP4_TYPE,            "dhcp4-type",             "DHCP message type that has no place in this direction") \
	X(DHCP4_ADDRESSING,      "dhcp4-addressing",       "DHCP message with the wrong Ethernet or IP addresses") \
	X(DHCP4_CLIENT_ID_SPOOF, "dhcp4-client-id-spoof",  "client identifier names another MAC") \
	X(DHCP4_CLIENT_ID_LIMIT, "dhcp4-client-id-limit",  "too many client identifiers from one guest") \
	X(DHCP4_SPENT_ID,        "dhcp4-spent-id",         "transaction id of a REQUEST that a RELEASE or DECLINE overtook: a late answer could not be told apart") \
	X(DHCP_HOSTNAME,         "dhcp-hostname",          "DHCP message with a host name that --dhcp-hostname does not allow, or that of a service: wpad, isatap") \
	X(DHCP4_FORM,            "dhcp4-request-form",     "field mix that RFC 2131 table 5 forbids") \
	X(DHCP4_NOT_OWNER,       "dhcp4-not-owner",        "renews, releases or declines an address that is not the guest's") \
	X(DHCP4_ROGUE_SERVER,    "dhcp4-rogue-server",     "reply from a server that is not trusted") \
	X(DHCP4_NOT_FOR_GUEST,   "dhcp4-not-for-guest",    "reply for another MAC") \
	X(DHCP4_NO_TRANSACTION,  "dhcp4-no-transaction",   "reply that the guest did not ask for") \
	X(DHCP4_BAD_LEASE,       "dhcp4-bad-lease",        "lease whose address or time cannot be used") \
	X(DHCP4_CLIENT,          "dhcp4-client-to-guest",  "another machine's client message") \
	X(IP6_DISABLED,          "ip6-disabled",           "IPv6 is switched off") \
	X(IP6_MALFORMED,         "ip6-malformed",          "IPv6 header or a header behind it is broken or cut") \
	X(IP6_EXT_HEADER,        "ip6-ext-header",         "extension header that is not allowed, misplaced, too long or one too many") \
	X(IP6_ROUTING_HEADER,    "ip6-routing-header",     "IPv6 routing header") \
	X(IP6_FRAGMENT,          "ip6-fragment",           "fragment that hides headers, overlaps, is too long, or stays on the link") \
	X(IP6_SRC_UNBOUND,       "ip6-src-unbound",        "IPv6 source that is not the guest's") \
	X(IP6_SRC_TENTATIVE,     "ip6-src-tentative",      "IPv6 source before its duplicate address detection is over") \
	X(IP6_SRC_SCOPE,         "ip6-src-scope",          "link-local source to a destination beyond the link") \
	X(IP6_SRC_IS_GUEST,      "ip6-src-is-guest",       "the guest's own IPv6 source arrives from the network") \
	X(IP6_SRC_INVALID,       "ip6-src-invalid",        "IPv6 source that no host has, from the network") \
	X(IP6_GATEWAY_SPOOF,     "ip6-gateway-spoof",      "a router's IPv6 source from another MAC") \
	X(ICMP6_TYPE,            "icmp6-type",             "ICMPv6 type that has no place in this direction") \
	X(RS_TO_GUEST,           "rs-to-guest",            "another machine asks for routers, and the guest is none: no trouble") \
	X(ICMP6_REDIRECT,        "icmp6-redirect",         "ICMPv6 redirect") \
	X(RA_FROM_GUEST,         "ra-from-guest",          "guest poses as an IPv6 router") \
	X(RA_UNTRUSTED,          "ra-untrusted",           "router advertisement from a router that is not trusted") \
	X(ND_MALFORMED,          "nd-malformed",           "neighbor discovery that cannot be parsed, or a code other than 0") \
	X(ND_HOP_LIMIT,          "nd-hop-limit",           "neighbor discovery with a hop limit other than 255: not from this link") \
	X(ND_EXT_HEADER,         "nd-ext-header",          "neighbor discovery behind an extension or fragment header") \
	X(ND_LLA_SPOOF,          "nd-lla-spoof",           "neighbor discovery with another MAC than the guest's own") \
	X(ND_FORM,               "nd-form",                "field mix that RFC 4861 or RFC 4862 forbids to a host") \
	X(ND_TARGET_RESERVED,    "nd-target-reserved",     "guest claims an address of the network's, one made from another MAC, or one that a neighbor is just claiming") \
	X(ND_PREFIX_UNKNOWN,     "nd-prefix-unknown",      "guest claims an address outside the prefixes that a router announced") \
	X(ND_TARGET_DENIED,      "nd-target-denied",       "neighbor solicitation for a host that the policy refuses anyway") \
	X(ND_TARGET_FOREIGN,     "nd-target-foreign",      "neighbor advertisement for an address that is not the guest's") \
	X(ND_CLAIMS_GUEST,       "nd-claims-guest",        "an outsider claims the guest's IPv6 address") \
	X(ND_GATEWAY_SPOOF,      "nd-gateway-spoof",       "an outsider claims a router's IPv6 address") \
	X(MLD_INVALID,           "mld-invalid",            "MLD other than a plain report or done") \
	X(DHCP6_SERVER,          "dhcp6-server-from-guest", "guest speaks as a DHCPv6 server or relay") \
	X(DHCP6_PORT_MISUSE,     "dhcp6-port-misuse",      "port 546 with another port than the server's") \
	X(DHCP6_DISABLED,        "dhcp6-disabled",         "DHCP is switched off") \
	X(DHCP6_MALFORMED,       "dhcp6-malformed",        "DHCPv6 message that cannot be parsed, or a fragment of one") \
	X(DHCP6_ADDRESSING,      "dhcp6-addressing",       "DHCPv6 message with the wrong Ethernet or IPv6 addresses") \
	X(DHCP6_TYPE,            "dhcp6-type",             "DHCPv6 message type that has no place in this direction") \
	X(DHCP6_CLIENT_ID_SPOOF, "dhcp6-client-id-spoof",  "client DUID names another MAC") \
	X(DHCP6_CLIENT_ID_LIMIT, "dhcp6-client-id-limit",  "too many client DUIDs from one guest") \
	X(DHCP6_IDENTITY_LIMIT,  "dhcp6-identity-limit",   "asks for more leases or prefixes than one guest may hold") \
	X(DHCP6_NOT_OWNER,       "dhcp6-not-owner",        "releases, declines or rebinds an address that was not leased to the guest") \
	X(DHCP6_ROGUE_SERVER,    "dhcp6-rogue-server",     "reply from a server that is not trusted") \
	X(DHCP6_NO_TRANSACTION,  "dhcp6-no-transaction",   "reply that the guest did not ask for") \
	X(DHCP6_BAD_LEASE,       "dhcp6-bad-lease",        "lease whose address cannot be used") \
	X(DHCP6_CLIENT,          "dhcp6-client-to-guest",  "another machine's client message") \
	X(BINDING_LIMIT,         "binding-limit",          "the guest holds as many addresses as it may") \
	X(BINDING_CLAIMED,       "binding-claimed",        "another guard on this host holds the address") \
	X(BINDING_CHURN,         "binding-churn",          "too many new addresses in a short time") \
	X(DST_INVALID,           "dst-invalid",            "destination that never belongs on the wire, or the guest itself") \
	X(DST_BLOCKED,           "dst-blocked",            "a --block rule refuses the destination") \
	X(DST_PRIVATE,           "dst-private",            "destination is not global and no rule allows it") \
	X(DST_LOCAL_NET,         "dst-local-net",          "global IPv6 address of the host's own site") \
	X(DST_NAT64_PRIVATE,     "dst-nat64-private",      "IPv6 destination that stands for an IPv4 address which the policy refuses") \
	X(SRC_BLOCKED,           "src-blocked",            "a --block rule does not let this peer open towards the guest") \
	X(UNSOLICITED,           "unsolicited",            "nobody may open towards the guest, and it is no answer") \
	X(PORTS_UNKNOWN,         "ports-unknown",          "later fragment, where ports decide, of a datagram whose first one has not passed") \
	X(FLOW_LIMIT,            "flow-limit",             "new flow, while the table is full of established connections") \
	X(DNS_NAME,              "dns-name",               "question for a name that no rule allows, or for something else than where a host is") \
	X(DNS_MALFORMED,         "dns-malformed",          "DNS message that cannot be parsed, where names decide") \
	X(DNS_REBIND,            "dns-rebind",             "DNS answer that gives an allowed name a private address") \
	X(DNS_ECH,               "dns-ech",                "DNS answer with the keys that hide a name in its hello") \
	X(NAMES_FULL,            "names-full",             "DNS answer with more addresses of names than are remembered") \
	X(NAME_UNBOUND,          "name-unbound",           "address that no allowed name has, or a connection that was not seen to begin") \
	X(NAME_DENIED,           "name-denied",            "TLS, QUIC or HTTP names no host that a rule allows at this address") \
	X(NAME_FRAGMENT,         "name-fragment",          "fragment, where names decide") \
	X(HELLO_MALFORMED,       "hello-malformed",        "a connection begins with something else than a hello or request that reads one way only") \
	X(HELLO_ECH,             "hello-ech",              "encrypted hello: the name may be another one") \
	X(HELLO_CONFLICT,        "hello-conflict",         "octets of a hello that come again as others") \
	X(HELLO_ORDER,           "hello-order",            "octets of a hello out of order, or again; the sender repeats them") \
	X(HELLO_LIMIT,           "hello-limit",            "hello that is too long, takes too long, or is one too many") \
	X(QUIC_VERSION,          "quic-version",           "QUIC other than version 1 and 2, where names decide") \
	X(QUIC_INITIAL,          "quic-initial",           "QUIC that does not begin with a hello, or a packet that cannot be opened") \
	X(DST_BROADCAST,         "dst-broadcast",          "IPv4 broadcast") \
	X(DST_MULTICAST,         "dst-multicast",          "multicast group that is not open to guests") \
	X(RATE_DHCP,             "rate-dhcp",              "too many DHCP messages") \
	X(RATE_ARP,              "rate-arp",               "too many ARP frames") \
	X(RATE_ND,               "rate-nd",                "too much neighbor discovery") \
	X(RATE_MULTICAST,        "rate-mcast",             "too much multicast or broadcast from the guest") \
	X(RATE_UPLINK,           "rate-uplink",            "too much broadcast, multicast, DHCP or router advertisement from the network") \
	X(RATE_SLOW_PATH,        "rate-slowpath",          "more messages than the snooper takes") \
	X(UNATTENDED,            "unattended",             "only the guard's process could decide, and there is none") \
	X(OVERRUN,               "overrun",                "the kernel's queue in front of softnet was full") \
	X(QUEUE_FULL,            "queue-full",             "the receiver's queue was full") \
	X(WRITE_ERROR,           "write-error",            "the port refused the frame")
// clang-format on

enum direction { FROM_GUEST, TO_GUEST, DIRECTIONS };

/*
 * PUNT: only the slow path (decide/snoop.c) may decide; it answers PASS or a DROP. HELD: the frame waits, and leaves when it is
 * known which host it is for (names/names.h).
 */
enum verdict {
	PASS,
	PUNT_DHCP4_CLIENT,
	PUNT_DHCP4_SERVER,
	PUNT_GATEWAY_ARP,  /* about a router, or in the name of one */
	PUNT_NEXT_HOP,     /* to a MAC that is no router's: the guard may ask which is */
	PUNT_DAD,          /* the guest claims a new IPv6 address */
	PUNT_UNBOUND,      /* the guest uses one that it has not claimed, as far as the guard has seen */
	PUNT_ND_CONFLICT,  /* a neighbor holds the same one, or wants one */
	PUNT_ROUTER,       /* router advertisement of a trusted router */
	PUNT_ROUTER_CLAIM, /* somebody claims the place of a learned router, or it answers the guard's question */
	PUNT_DHCP6_CLIENT,
	PUNT_DHCP6_SERVER,
	HELD,
#define X(name, text, meaning) DROP_##name,
	DROP_REASONS(X)
#undef X
	    VERDICTS
};

enum { FIRST_DROP = HELD + 1 };

/* What flows and datagrams have to do with it: docs/policy.md. Only the caller of the judge knows them. */
enum flow_part {
	FLOW_OPENS = 1,          /* its sender may open: the verdict is PASS, and there is room for the flow */
	FLOW_ANSWERS = 2,        /* the verdict is a DROP, but it passes as an answer in a known flow */
	FLOW_FIRST_FRAGMENT = 4, /* what passes here, later fragments may follow */
	FLOW_LATER_FRAGMENT = 8, /* the verdict is a DROP, but it passes when its first fragment has */
	FLOW_BY_NAME = 16        /* the verdict is a DROP, but a rule may name a host of this address */
};

/*
 * What the judge says. It is a value: the judge charges no bucket and stamps no entry, its caller does.
 * bucket: enum rate_class that a PASS or a PUNT costs a token of. binding: index of the source's binding, those of IPv6
 * behind those of IPv4, or NO_BINDING. flow: bits of enum flow_part.
 */
struct decision {
	uint8_t verdict;
	uint8_t bucket;
	uint8_t binding;
	uint8_t flow;
};

enum { NO_BINDING = 0xff };
