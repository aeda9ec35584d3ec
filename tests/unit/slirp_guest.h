/* A guest of slirp made of frames: it asks for a lease, for MAC addresses, for connections. */
#pragma once
#include <netinet/in.h>
#include "ports.h"

static const uint8_t guest_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 };
#define GUEST 0x0a00020fU
#define HOST  0x0a000202U
#define DNS   0x0a000203U

/* Building frames */

struct bytes {
	uint8_t at[1600];
	uint32_t n;
};

static inline void put(struct bytes *b, uint64_t value, int octets)
{
	for (int i = octets - 1; i >= 0; i--)
		b->at[b->n++] = (uint8_t)(value >> (8 * i));
}

static inline void put_bytes(struct bytes *b, const void *from, uint32_t n)
{
	memcpy(b->at + b->n, from, n);
	b->n += n;
}

static inline uint32_t sum(const uint8_t *p, uint32_t n, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++)
		seed += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (seed >> 16)
		seed = (seed & 0xffff) + (seed >> 16);
	return seed;
}

static inline void set16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint64_t get(const uint8_t *at, int octets)
{
	uint64_t value = 0;
	for (int i = 0; i < octets; i++)
		value = value << 8 | at[i];
	return value;
}

/* Ethernet and IPv4 around a UDP or TCP segment, whose checksum stands at `checksum_at` in it. */
static inline struct bytes ipv4_frame(uint32_t from, uint32_t to, uint8_t protocol, const struct bytes *segment,
				      int checksum_at)
{
	struct bytes b = { .n = 0 };
	put_bytes(&b, everybody, 6);
	put_bytes(&b, guest_mac, 6);
	put(&b, 0x0800, 2);
	put(&b, 0x4500, 2);
	put(&b, 20 + segment->n, 2);
	put(&b, 0, 4);
	put(&b, 64, 1);
	put(&b, protocol, 1);
	put(&b, 0, 2);
	put(&b, from, 4);
	put(&b, to, 4);
	set16(b.at + 24, ~sum(b.at + 14, 20, 0));
	put_bytes(&b, segment->at, segment->n);
	set16(b.at + 34 + checksum_at, ~sum(b.at + 34, segment->n, sum(b.at + 26, 8, protocol + segment->n)));
	return b;
}

static inline struct bytes dhcp_frame(uint8_t type)
{
	struct bytes udp = { .n = 0 };
	put(&udp, 68, 2);
	put(&udp, 67, 2);
	put(&udp, 8 + 300, 2);
	put(&udp, 0, 2);
	put(&udp, 0x01010600, 4);
	put(&udp, 0xfeedbeef, 4);
	udp.n += 20;
	put_bytes(&udp, guest_mac, 6);
	udp.n += 10 + 64 + 128;
	put(&udp, 0x63825363, 4);
	put(&udp, 0x350100 | type, 3);
	if (type == 3)
		put(&udp, 0x320400000000ULL | GUEST, 6);
	put(&udp, 255, 1);
	udp.n = 8 + 300;
	return ipv4_frame(0, 0xffffffff, IPPROTO_UDP, &udp, 6);
}

static inline struct bytes tcp_frame(uint16_t from, uint32_t to_address, uint16_t to, uint8_t flags)
{
	struct bytes tcp = { .n = 0 };
	put(&tcp, from, 2);
	put(&tcp, to, 2);
	put(&tcp, 1000, 4);
	put(&tcp, 0, 4);
	put(&tcp, 0x5000 | flags, 2);
	put(&tcp, 65535, 2);
	put(&tcp, 0, 4);
	return ipv4_frame(GUEST, to_address, IPPROTO_TCP, &tcp, 16);
}

static inline struct bytes arp_frame(uint16_t operation, uint32_t target)
{
	struct bytes b = { .n = 0 };
	put_bytes(&b, everybody, 6);
	put_bytes(&b, guest_mac, 6);
	put(&b, 0x080600010800ULL, 6);
	put(&b, 0x0604, 2);
	put(&b, operation, 2);
	put_bytes(&b, guest_mac, 6);
	put(&b, GUEST, 4);
	put(&b, 0, 6);
	put(&b, target, 4);
	return b;
}

static inline void send_frame(struct port *port, const struct bytes *b)
{
	assert_int_equal(send_now(port, &(struct packet){ .bytes = b->at, .length = b->n }, 1, true).sent, 1);
}

/* Asking what came */

typedef bool (*question)(const struct packet *, uint32_t detail);

/* The next frame that the question is true of; fails when none comes. */
static inline struct packet await_frame(struct port *port, question is_it, uint32_t detail)
{
	uint64_t until = now_ms() + WAIT_MS;
	while (now_ms() < until) {
		struct packet packet;
		assert_true(turn(port));
		if (receive_now(port, &packet, 1) == 1 && is_it(&packet, detail))
			return packet;
	}
	fail_msg("no such frame came; reports:\n%s", reports);
	return (struct packet){ 0 };
}

static inline bool is_arp_reply(const struct packet *p, uint32_t from)
{
	return p->length >= 42 && get(p->bytes + 12, 2) == 0x0806 && get(p->bytes + 20, 2) == 2 &&
	       get(p->bytes + 28, 4) == from;
}

static const uint8_t *dhcp_option(const struct packet *p, uint8_t code)
{
	for (uint32_t at = 282; at + 2 < p->length && p->bytes[at] != 255; at += 2u + p->bytes[at + 1])
		if (p->bytes[at] == code)
			return p->bytes + at + 2;
	return NULL;
}

static inline bool is_dhcp(const struct packet *p, uint32_t type)
{
	return p->length > 290 && get(p->bytes + 12, 2) == 0x0800 && p->bytes[23] == IPPROTO_UDP &&
	       get(p->bytes + 34, 2) == 67 && dhcp_option(p, 53) && *dhcp_option(p, 53) == type;
}

/* TCP to this port of the guest with SYN and no ACK. */
static inline bool is_syn(const struct packet *p, uint32_t to)
{
	return p->length >= 54 && get(p->bytes + 12, 2) == 0x0800 && p->bytes[23] == IPPROTO_TCP &&
	       get(p->bytes + 30, 4) == GUEST && get(p->bytes + 36, 2) == to && (p->bytes[47] & 0x12) == 0x02;
}

/* Any answer over TCP to this port of the guest. */
static inline bool is_tcp(const struct packet *p, uint32_t to)
{
	return p->length >= 54 && p->bytes[23] == IPPROTO_TCP && get(p->bytes + 36, 2) == to;
}

/* That, or an ICMP message. */
static inline bool is_answer(const struct packet *p, uint32_t to)
{
	return is_tcp(p, to) || (p->length >= 42 && get(p->bytes + 12, 2) == 0x0800 && p->bytes[23] == IPPROTO_ICMP);
}

static inline uint64_t ask_mac(struct port *port, uint32_t address)
{
	struct bytes b = arp_frame(1, address);
	send_frame(port, &b);
	struct packet p = await_frame(port, is_arp_reply, address);
	assert_int_equal(get(p.bytes + 6, 6), get(p.bytes + 22, 6));
	return get(p.bytes + 22, 6);
}

static inline void get_lease(struct port *port, bool with_router)
{
	struct bytes discover = dhcp_frame(1), request = dhcp_frame(3);
	send_frame(port, &discover);
	struct packet p = await_frame(port, is_dhcp, 2);
	assert_int_equal(get(p.bytes + 58, 4), GUEST);
	send_frame(port, &request);
	p = await_frame(port, is_dhcp, 5);
	assert_int_equal(get(p.bytes + 58, 4), GUEST);
	assert_int_equal(get(p.bytes + 26, 4), HOST);
	assert_int_equal(get(p.bytes + 6, 6), 0x52550a000202ULL);
	const uint8_t *router = dhcp_option(&p, 3), *resolver = dhcp_option(&p, 6);
	assert_int_equal(router != NULL, with_router);
	assert_int_equal(resolver != NULL, with_router);
	if (with_router)
		assert_true(get(router, 4) == HOST && get(resolver, 4) == DNS);
}
