/* What the operator and the platform say: fixed while the guard runs, swapped as a whole when it changes. */
#pragma once
#include "core/wire/address.h"
#include "core/wire/host_name.h"
#include "core/policy/policy.h"
#include "core/judge/rate.h"

/*
 * The sites whose global IPv6 addresses are local all the same: a LAN of IPv6 has no private addresses to be known by.
 * RFC 6177: a site has a /48 or less; the upper 48 bits of an address, the lower 16 zero.
 */
enum { SITES_MAX = 32 };
#define SITE_MASK 0xffffffffffff0000ULL

struct site_set {
	uint64_t item[SITES_MAX];
	uint32_t count, reserved;
};

/* What may come in that is no answer and that no rule decides: docs/policy.md, Directions. */
enum inbound { INBOUND_ANY, INBOUND_ESTABLISHED, INBOUND_NONE };

/* Ports of the guest that --expose opens, to callers of one family. protocol is TCP's or UDP's. */
enum { EXPOSED_MAX = 64 };

struct exposed_port {
	uint16_t first_port, last_port;
	uint8_t protocol, is_ipv6, reserved[2];
};

struct exposed_set {
	struct exposed_port item[EXPOSED_MAX];
	uint32_t count, reserved;
};

/*
 * Addresses that are open because another VM has them now (docs/policy.md, Other VMs by name). Somebody must follow who has them.
 * Where nobody does, nothing goes to them, and nothing comes from them: ebpf/followed.h.
 */
enum { FOLLOWED_MAX = 256 };

struct followed_set {
	struct address item[FOLLOWED_MAX];
	uint32_t count, reserved;
};

/* Zero it before filling: it is hashed and copied to the kernel as bytes. */
struct config {
	uint64_t vm_mac;
	uint32_t max_frame; /* octets: 14 + MTU */
	uint8_t dhcp_off;
	uint8_t isolation;          /* next hop must be a router; off with --allow=0.0.0.0/0 */
	uint8_t strict_anchors;     /* never learn a server or a gateway from traffic */
	uint8_t no_resync;          /* a renewal of an unknown lease is dropped */
	uint8_t arp_conflicts_pass; /* let later claims of the guest's address through to it */
	uint8_t strict_client_id;   /* DUID-LL/LLT in option 61 must name vm_mac too */
	uint8_t ipv6_off;
	uint8_t ipv6_eui64_only; /* no address but those made from vm_mac, leased or static ones */
	uint8_t stateful;        /* flows are tracked: docs/policy.md */
	uint8_t inbound;         /* enum inbound */
	uint8_t has_names;       /* rules name hosts: docs/names.md */
	uint8_t reserved[1];
	struct address_set host; /* the host's IPv4 addresses on the segment, where it is the router: named or the uplink's */
	struct address_set servers;   /* trusted DHCPv4 servers; empty: host; that empty too: learned */
	struct address_set resolvers; /* --dns, IPv4 */
	struct address_set host6;     /* each family has its own sets: what is known of one says nothing of the other */
	struct address_set servers6; /* trusted DHCPv6 servers, link-local; empty: learned, from a router if those are known */
	struct address_set resolvers6;
	struct address_set shared;    /* own, of both families, and others' as well: --shared-ip */
	struct nat64_set nat64;       /* --nat64; the well-known prefix (RFC 6052) needs no mention */
	struct host_names host_names; /* --dhcp-hostname */
	struct mac_set gateway_macs;  /* trusted next hops of both families; empty: learned */
	struct rate rates[RATE_CLASSES_END];
	struct policy policy;
	struct site_set sites; /* of this host. From here on what changes while the guard runs, whatever the options */
	struct address_set resident; /* the host's own addresses of both families where it is no router: @host, ... */
	uint64_t resident_mac;       /* ... and the MAC address that it has on the segment */
	struct exposed_set exposed;
	struct followed_set followed; /* the policy opens them, too */
};
