/* The IPv6 half of the small network: builders of its frames, and the steps that most tests begin with. */
#pragma once
#include "world.h"

#define ADDRESS6(high, low) ((struct address){ (high), (low) })

/* The addresses of attacks.hex.tsv. */
#define LOCAL_PREFIX  0xfd64000000000000ULL
#define GUEST_ID      0x505400fffe00000aULL /* made from GUEST_MAC */
#define UNSPECIFIED6  ADDRESS6(0, 0)
#define GUEST_LL      ADDRESS6(LINK_LOCAL_PREFIX, GUEST_ID)
#define VICTIM_LL     ADDRESS6(LINK_LOCAL_PREFIX, 0x505400fffe00000bULL)
#define ROUTER_LL     ADDRESS6(LINK_LOCAL_PREFIX, 0x505400fffe000001ULL)
#define GUEST_SLAAC   ADDRESS6(LOCAL_PREFIX, GUEST_ID)
#define GUEST_PRIVACY ADDRESS6(LOCAL_PREFIX, 0xa1b2c3d4e5f60789ULL)
#define GUEST_LEASED  ADDRESS6(LOCAL_PREFIX, 0x10a)
#define VICTIM_LEASED ADDRESS6(LOCAL_PREFIX, 0x10b)
#define GLOBAL_IP6    ADDRESS6(0x2606470047000000ULL, 0x1111)
#define NODES_GROUP   ADDRESS6(0xff02000000000000ULL, 1)
#define ROUTERS_GROUP ADDRESS6(0xff02000000000000ULL, 2)
#define MLD_REPORTS   ADDRESS6(0xff02000000000000ULL, 0x16)
#define MDNS_GROUP    ADDRESS6(0xff02000000000000ULL, 0xfb)
#define DHCP6_SERVERS ADDRESS6(0xff02000000000000ULL, 0x10002)

enum { RS = 133, RA = 134, NS = 135, NA = 136, REDIRECT = 137, ECHO = 128 };
enum { NA_ROUTER = 0x80, NA_SOLICITED = 0x40, NA_OVERRIDE = 0x20 };              /* RFC 4861 4.4, the first octet */
enum { PREFIX_ON_LINK = 0x80, PREFIX_AUTONOMOUS = 0x40, PREFIX_NEITHER = 0x01 }; /* 4.6.2; 1 is a reserved bit */

/* As start_world(), with the IPv6 guard on. anchored: the router's link-local address is the host's, too. */
void start_world6(struct world *w, bool anchored);

/* The MAC that the guest sends to: a group's own, else the router's. */
uint64_t mac_for6(struct address to);

/* These append. payload: octets behind the fixed header. */
void put_address6(struct world *w, struct address a);
void put_ipv6(struct world *w, struct address from, struct address to, uint8_t next, uint8_t hop_limit, uint32_t payload);

/* Whole frames of the guest, or to it from the router's MAC, with `payload` octets of a protocol, all of them zero. */
void put_packet6(struct world *w, struct address from, struct address to, uint8_t protocol, uint32_t payload);
void put_packet6_to_guest(struct world *w, uint64_t mac, struct address from, struct address to, uint8_t protocol,
			  uint32_t payload);
/* The same with a UDP header in front. payload: octets behind it. */
void put_udp6(struct world *w, struct address from, struct address to, uint16_t source, uint16_t port, uint32_t payload);
void put_udp6_to_guest(struct world *w, uint64_t mac, struct address from, struct address to, uint16_t source,
		       uint16_t port, uint32_t payload);
/* ICMPv6 with a body of zeros. */
void put_icmp6(struct world *w, struct address from, struct address to, uint8_t type, uint32_t octets);
void put_icmp6_to_guest(struct world *w, uint64_t mac, struct address from, struct address to, uint8_t type,
			uint32_t octets);

/*
 * Changes of the frame that was built last. insert_header() puts one behind the fixed header, in front of all others; its
 * first octet becomes the old next header.
 */
void set_hop_limit(struct world *w, uint8_t hop_limit);
void insert_header(struct world *w, uint8_t type, const uint8_t *header, uint32_t octets);
void insert_options(struct world *w, uint8_t type, uint32_t octets); /* Hop-by-Hop or Destination Options, PadN */
void insert_fragment(struct world *w, uint32_t offset, bool more);   /* offset in octets */
void insert_router_alert(struct world *w);

/* Neighbor Discovery. What is 0 is left at what a well-formed message has; an option with 0 is absent. */
struct nd_spec {
	uint8_t type, code, hop_limit;
	struct address from, to, target; /* to: unset is the solicited-node group, ff02::1 or ff02::2 */
	uint64_t mac_from, mac_to;       /* guest or router by direction; by destination */
	uint8_t flags;                   /* of an NA */
	uint64_t source_lla, target_lla;
	const uint8_t *extra; /* further options */
	uint32_t extra_octets;
};
/* Corrects the checksum of an ICMPv6 message that no extension header precedes. */
void put_checksum6(struct world *w);

void put_nd(struct world *w, const struct nd_spec *spec);
void put_nd_to_guest(struct world *w, const struct nd_spec *spec);

/* A router advertisement. Lifetimes in seconds; UINT32_MAX: without end. */
struct ra_spec {
	struct address from; /* ROUTER_LL */
	uint64_t mac;        /* GATEWAY_MAC */
	uint16_t router_s;
	struct address prefix;         /* unset: no Prefix Information */
	uint8_t prefix_length, flags;  /* 64; both flags */
	uint32_t valid_s, preferred_s; /* preferred 0: half of valid */
	struct address resolver;
	uint32_t resolver_s;
	struct address nat64; /* PREF64 */
	uint32_t nat64_bits, nat64_s;
	uint64_t source_lla;
	const uint8_t *extra; /* further options */
	uint32_t extra_octets;
};
void put_ra(struct world *w, const struct ra_spec *spec);

/* A plain report, done or query, behind its Hop-by-Hop header. */
void put_mld(struct world *w, uint8_t type, struct address from, struct address to, struct address group);

/* The router announces a /64 for a day and itself for half an hour; that must pass. */
void announce(struct world *w, uint64_t prefix);

/* The guest's DAD of the address; announce() its prefix before. */
enum verdict solicit_dad(struct world *w, struct address a);

/* The same, which must pass; then two seconds go by, in which nobody objects. */
void claim_address(struct world *w, struct address a);

/* The guest may send data from the address. */
bool sends_from6(struct world *w, struct address from);
