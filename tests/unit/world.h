/* A small network for unit tests: one guard, the frames of its guest and of its segment, and a clock that tests move. */
#pragma once
#include "core/guard.h"

#include <stddef.h>

/* The addresses of attacks.hex.tsv. */
#define GUEST_MAC   0x52540000000aULL
#define VICTIM_MAC  0x52540000000bULL
#define GATEWAY_MAC 0x525400000001ULL
#define FOREIGN_MAC 0x020000000099ULL

enum {
	GUEST_IP = 0xc0a8400a,
	VICTIM_IP = 0xc0a8400b,
	GATEWAY_IP = 0xc0a84001,
	OTHER_IP = 0xc0a8404d,
	SUBNET_BROADCAST = 0xc0a840ff,
	GLOBAL_IP = 0x01010101,
	XID = 0x11223344
};

struct world {
	struct config config;
	struct state state;
	struct buckets buckets;
	struct guard guard;
	uint64_t now_ms;
	struct event last_event;
	int events;
	bool claim_refused;
	uint8_t frame[2048]; /* the last one built */
	uint32_t length;
};

/* anchored: host and gateway MAC are given, as a platform would. Then compile_policy() with no rules. */
void start_world(struct world *w, bool anchored);

/* Somebody has used it up a moment ago; of all machines where each has its own. */
void empty_bucket(struct world *w, enum rate_class class);

/* Frame builders: each fills w->frame and w->length, from the Ethernet header on. They append. */
void put_ethernet(struct world *w, uint64_t to, uint64_t from, uint16_t type);
void put_arp(struct world *w, uint16_t op, uint64_t sha, uint32_t spa, uint32_t tpa);
/* payload octets follow the header; flags_offset is the raw field. */
void put_ipv4(struct world *w, uint32_t from, uint32_t to, uint8_t protocol, uint16_t flags_offset, uint32_t payload);
void put_udp(struct world *w, uint16_t from, uint16_t to, uint32_t payload);
void put_zeros(struct world *w, uint32_t n);
void put_number(struct world *w, uint64_t value, uint32_t octets); /* in network order */
void put_bytes(struct world *w, const void *bytes, uint32_t n);

/* A whole DHCP message with its headers. Fields left 0 are 0 on the wire. */
struct dhcp_spec {
	uint8_t op, type; /* op 0: by direction; type 0: no option 53 */
	uint32_t xid;     /* 0: XID */
	uint32_t ciaddr, yiaddr, giaddr, requested, server;
	uint32_t lease_s;          /* 0: option 51 absent; UINT32_MAX: infinite */
	uint64_t chaddr;           /* 0: GUEST_MAC */
	uint32_t ip_from, ip_to;   /* to 0: broadcast */
	uint64_t mac_from, mac_to; /* 0: guest or gateway; broadcast */
	uint8_t hops;
	bool rapid_commit;
	uint32_t mask, router, resolver;
	const uint8_t *extra; /* further options, before END */
	uint32_t extra_octets;
};
void put_client_message(struct world *w, const struct dhcp_spec *spec);
void put_server_message(struct world *w, const struct dhcp_spec *spec);

/* The same numbers in every run. */
uint32_t next_random(void);

/* Judges what was built. */
enum verdict from_guest(struct world *w);
enum verdict to_guest(struct world *w);

/* Fails, and shows the frame, unless the verdict is the wanted one. What was seen is remembered for was_seen(). */
void expect_verdict(const struct world *w, enum verdict got, enum verdict wanted, const char *file, int line);
bool was_seen(enum verdict verdict);

/* The four messages of a lease, each of which must pass. */
void lease(struct world *w, uint32_t address, uint32_t seconds);

/* Reasons that only IPv6 frames earn: test_judge6.c and test_snoop6.c have their frames. */
bool is_ipv6_reason(enum verdict verdict);
/* Reasons of names: names/test_names_*.c have their frames. */
bool is_reason_of_names(enum verdict verdict);
