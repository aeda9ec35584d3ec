/* What all answers to a refused packet have in common. */
#pragma once
#include "core/wire/ethernet.h"
#include "core/wire/ipv6.h"
#include "core/wire/writer.h"

/* What is needed of the refused packet, of either family. */
struct refused {
	const struct frame *frame;
	struct ethernet eth;
	struct address source, destination;
	uint32_t packet;  /* where the IP header starts ... */
	uint32_t payload; /* ... the transport header ... */
	uint32_t end;
	uint8_t protocol;
	bool is_later_fragment, is_ipv6;
};

/* False: no answer could be addressed. */
bool read_refused(const struct frame *, struct refused *);

/* The headers of the answer: everything turned round. payload: octets behind the IP header. */
void put_headers(struct writer *, const struct refused *, uint8_t protocol, uint32_t payload);

/*
 * RFC 9293 3.1, RFC 4443 2.3: addresses, length and protocol are part of the sum. The transport header is at `start`, its sum
 * goes to `at`.
 */
void put_transport_checksum(struct writer *, const struct refused *, uint32_t start, uint32_t at, uint8_t protocol);
