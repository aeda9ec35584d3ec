/* Calls between the guest and a peer in both families, for tests of rules and flows: a world with both leases, and frames. */
#pragma once
#include "protocols.h"
#include "world6.h"

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* One packet. Ports are the guest's and the peer's, in both directions; ICMP4 is ICMPv6 in IPv6. */
struct call {
	bool v6, to_guest;
	uint8_t protocol;
	uint8_t flags;                  /* of TCP */
	uint8_t type;                   /* of ICMP; 0: echo request */
	bool reply;                     /* ICMP echo reply */
	uint16_t guest_port, peer_port; /* ICMP echo: guest_port is the identifier */
	struct address peer;            /* unset: GLOBAL_IP, GLOBAL_IP6 */
	uint32_t data;                  /* octets behind the transport header */
};

/* Anchored, both families bound for a day, and 20 s later. `inbound` counts with `stateful`. */
void start_flow_world(struct world *w, bool stateful, enum inbound inbound);

/* Into the config, which forgets all flows, as a live change does. */
void set_rules(struct world *w, const struct rule *rules, uint32_t count);
struct rule rule_for(uint8_t class, uint8_t directions, struct address a, uint8_t length);

struct address guest_of(bool v6);
struct address peer_of(const struct call *c);
void put_call(struct world *w, const struct call *c);
/* The other side's packet of the same flow. */
struct call answer_to(struct call c);
enum verdict make_call(struct world *w, const struct call *c);

/* An ICMP error of the family; it quotes n octets of another world's frame, from the IP header on. */
struct error_spec {
	bool v6, to_guest;
	struct address from, to;
	uint8_t type, code; /* 0, 0: destination unreachable, port */
	const struct world *quoted;
	uint32_t octets; /* 0: all */
};
void put_error(struct world *w, const struct error_spec *e);

/* Of the frame that was built last. */
void set_fragment4(struct world *w, uint16_t id, uint32_t offset, bool more);

/* The octets [offset, offset + octets) of the packet's payload, its transport header the first of them, as a fragment. */
struct piece {
	uint32_t id, offset, octets;
	bool more;
};
void put_piece(struct world *w, const struct call *c, const struct piece *p);
enum verdict send_piece(struct world *w, const struct call *c, const struct piece *p);
