/* What the operator and the platform say: fixed while the guard runs, swapped as a whole when it changes. */
#pragma once
#include "address.h"
#include "policy.h"
#include "rate.h"

/* Zero it before filling: it is hashed and copied to the kernel as bytes. */
struct config {
	uint64_t vm_mac;
	uint32_t max_frame;             /* octets: 14 + MTU */
	uint8_t dhcp_off;
	uint8_t isolation;              /* next hop must be a router; off with --allow=0.0.0.0/0 */
	uint8_t strict_anchors;         /* never learn a server or a gateway from traffic */
	uint8_t no_resync;              /* a renewal of an unknown lease is dropped */
	uint8_t arp_conflicts_pass;     /* let later claims of the guest's address through to it */
	uint8_t strict_client_id;       /* DUID-LL/LLT in option 61 must name vm_mac too */
	uint8_t reserved[6];
	struct address_set host;        /* the host's own addresses on the segment */
	struct address_set servers;     /* trusted DHCP servers; empty: host; that empty too: learned */
	struct address_set resolvers;   /* --dns */
	struct mac_set gateway_macs;    /* trusted next hops; empty: learned */
	struct rate rates[RATE_CLASSES_END];
	struct policy policy;
};
