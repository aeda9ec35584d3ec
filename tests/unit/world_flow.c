/* Frames and rules for tests of flows. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "world_flow.h"

#include <cmocka.h>

void start_flow_world(struct world *w, bool stateful, enum inbound inbound)
{
	start_world6(w, true);
	lease(w, GUEST_IP, 86400);
	announce(w, LOCAL_PREFIX);
	claim_address(w, GUEST_PRIVACY);
	w->now_ms += 20000;
	w->config.stateful = stateful;
	w->config.inbound = (uint8_t)inbound;
}

void set_rules(struct world *w, const struct rule *rules, uint32_t count)
{
	struct rule copy[64];
	assert_true(count <= 64);
	memcpy(copy, rules, count * sizeof *rules);
	assert_true(compile_policy(&w->config.policy, copy, count));
	clear_flows(w->guard.flows, w->state.hash_key);
}

struct rule rule_for(uint8_t class, uint8_t directions, struct address a, uint8_t length)
{
	return (struct rule){ .address = a, .prefix_length = length, .class = class, .directions = directions };
}

struct address guest_of(bool v6)
{
	return v6 ? GUEST_PRIVACY : address_of_ipv4(GUEST_IP);
}

struct address peer_of(const struct call *c)
{
	if (!is_unset(c->peer))
		return c->peer;
	return c->v6 ? GLOBAL_IP6 : address_of_ipv4(GLOBAL_IP);
}

static uint32_t header_octets(uint8_t protocol)
{
	return protocol == TCP ? 20 : protocol == SCTP ? 12 : 8;
}

static void put_headers(struct world *w, bool v6, bool to_guest, struct address from, struct address to,
			uint8_t protocol, uint32_t payload)
{
	put_ethernet(w, to_guest ? GUEST_MAC : GATEWAY_MAC, to_guest ? GATEWAY_MAC : GUEST_MAC, v6 ? 0x86dd : 0x0800);
	if (v6)
		put_ipv6(w, from, to, protocol, 64, payload);
	else
		put_ipv4(w, ipv4_of_address(from), ipv4_of_address(to), protocol, 0, payload);
}

static void put_icmp_echo(struct world *w, const struct call *c)
{
	uint8_t request = c->v6 ? 128 : 8, reply = c->v6 ? 129 : 0;
	put_number(w, c->type ? c->type : c->reply ? reply : request, 1);
	put_zeros(w, 3);
	put_number(w, c->guest_port, 2);
	put_number(w, 1, 2);
}

static void put_transport(struct world *w, const struct call *c)
{
	uint16_t source = c->to_guest ? c->peer_port : c->guest_port, port = c->to_guest ? c->guest_port : c->peer_port;
	switch (c->protocol) {
	case TCP:
		put_number(w, source, 2);
		put_number(w, port, 2);
		put_number(w, 0x1000000020000000ULL, 8);
		put_number(w, 0x5000u | c->flags, 2);
		put_number(w, 0x100000000000ULL, 6);
		break;
	case UDP:
		put_udp(w, source, port, c->data);
		break;
	case ICMP4:
		put_icmp_echo(w, c);
		break;
	default:
		put_number(w, source, 2); /* nothing that anybody looks at, except in SCTP */
		put_number(w, port, 2);
		put_zeros(w, header_octets(c->protocol) - 4);
	}
}

void put_call(struct world *w, const struct call *c)
{
	uint8_t protocol = c->v6 && c->protocol == ICMP4 ? ICMP6 : c->protocol;
	struct address guest = guest_of(c->v6), peer = peer_of(c);
	put_headers(w, c->v6, c->to_guest, c->to_guest ? peer : guest, c->to_guest ? guest : peer, protocol,
		    header_octets(c->protocol) + c->data);
	put_transport(w, c);
	put_zeros(w, c->data);
}

struct call answer_to(struct call c)
{
	c.to_guest = !c.to_guest;
	c.reply = true;
	if (c.protocol == TCP)
		c.flags = c.flags == SYN ? SYN | ACK : ACK;
	return c;
}

enum verdict make_call(struct world *w, const struct call *c)
{
	put_call(w, c);
	return c->to_guest ? to_guest(w) : from_guest(w);
}

void put_error(struct world *w, const struct error_spec *e)
{
	uint32_t octets = e->octets ? e->octets : e->quoted->length - 14;
	put_headers(w, e->v6, e->to_guest, e->from, e->to, e->v6 ? ICMP6 : ICMP4, 8 + octets);
	put_number(w, e->type ? e->type : e->v6 ? 1 : 3, 1);
	put_number(w, e->type ? e->code : e->v6 ? 4 : 3, 1);
	put_zeros(w, 6);
	put_bytes(w, e->quoted->frame + 14, octets);
}

void set_fragment4(struct world *w, uint16_t id, uint32_t offset, bool more)
{
	w->frame[18] = (uint8_t)(id >> 8);
	w->frame[19] = (uint8_t)id;
	w->frame[20] = (uint8_t)((more ? 0x20 : 0) | offset >> 11);
	w->frame[21] = (uint8_t)(offset >> 3);
}

void put_piece(struct world *w, const struct call *c, const struct piece *p)
{
	struct call whole = *c;
	whole.data = p->offset + p->octets + 8;
	put_call(w, &whole);
	uint32_t start = 14 + (c->v6 ? 40u : 20u), length = p->octets + (c->v6 ? 0 : 20);
	assert_true(start + p->offset + p->octets <= w->length);
	memmove(w->frame + start, w->frame + start + p->offset, p->octets);
	w->length = start + p->octets;
	w->frame[c->v6 ? 18 : 16] = (uint8_t)(length >> 8);
	w->frame[c->v6 ? 19 : 17] = (uint8_t)length;
	if (!c->v6) {
		set_fragment4(w, (uint16_t)p->id, p->offset, p->more);
		return;
	}
	insert_fragment(w, p->offset, p->more);
	for (int i = 0; i < 4; i++)
		w->frame[58 + i] = (uint8_t)(p->id >> (24 - 8 * i));
}

enum verdict send_piece(struct world *w, const struct call *c, const struct piece *p)
{
	put_piece(w, c, p);
	return c->to_guest ? to_guest(w) : from_guest(w);
}
