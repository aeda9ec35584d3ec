/* What a frame tells of its flow: the key, the flags, and whom an ICMP error quotes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/judge/flow_facts.h"
#include "amount.h"
#include "test_flows.h"

#include <cmocka.h>

static struct world w, quoted;

static bool facts_of(const struct world *of, bool to_guest, struct packet_facts *facts)
{
	struct frame frame = { .bytes = of->frame, .length = of->length };
	memset(facts, 0xa5, sizeof *facts);
	return read_facts(&frame, to_guest, facts);
}

static struct packet_facts facts_of_call(const struct call *c)
{
	struct packet_facts facts;
	put_call(&w, c);
	assert_true(facts_of(&w, c->to_guest, &facts));
	return facts;
}

static void check_key(const struct packet_facts *f, const struct call *c)
{
	bool has_ports = c->protocol == TCP || c->protocol == UDP || c->protocol == SCTP;
	assert_int_equal(f->kind, PACKET_OF_FLOW);
	assert_true(same_address(f->key.guest, guest_of(c->v6)));
	assert_true(same_address(f->key.peer, peer_of(c)));
	assert_int_equal(f->key.protocol, c->v6 && c->protocol == ICMP4 ? ICMP6 : c->protocol);
	if (has_ports) {
		assert_int_equal(f->key.guest_port, c->guest_port);
		assert_int_equal(f->key.peer_port, c->peer_port);
	} else if (c->protocol != ICMP4) {
		assert_int_equal(f->key.guest_port, 0);
		assert_int_equal(f->key.peer_port, 0);
	}
}

void both_directions_have_one_key(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP4, ESP, GRE, 103, 136 };
	for (uint32_t i = 0; i < 2 * sizeof protocols; i++)
		for (uint32_t flags = 0; flags < 64; flags++) {
			struct call c = { .v6 = i % 2,
					  .protocol = protocols[i / 2],
					  .guest_port = 40000,
					  .peer_port = 443,
					  .flags = (uint8_t)flags,
					  .to_guest = flags & 1 };
			struct call answer = answer_to(c), other = c;
			answer.flags = (uint8_t)flags;
			struct packet_facts a = facts_of_call(&c), b = facts_of_call(&answer);
			check_key(&a, &c);
			check_key(&b, &answer);
			assert_memory_equal(&a.key, &b.key, sizeof a.key);
			if (c.protocol == TCP)
				assert_int_equal(a.tcp_flags & (FIN | SYN | RST | ACK), flags & (FIN | SYN | RST | ACK));
			assert_int_equal(a.asks, c.protocol == ICMP4);
			assert_false(b.asks);
			other.guest_port++;
			b = facts_of_call(&other);
			bool same = memcmp(&a.key, &b.key, sizeof a.key) == 0;
			assert_int_equal(same, c.protocol == ESP || c.protocol == GRE || c.protocol == 103 ||
						   c.protocol == 136);
			other = c; /* the same identifier, asked by the other side, is another flow */
			other.to_guest = !c.to_guest;
			b = facts_of_call(&other);
			if (c.protocol == ICMP4)
				assert_memory_not_equal(&a.key, &b.key, sizeof a.key);
		}
	for (uint32_t type = 1; type < 256; type++)
		for (int v6 = 0; v6 < 2; v6++) {
			struct call c = { .v6 = v6, .protocol = ICMP4, .type = (uint8_t)type, .guest_port = 7 };
			bool echo = v6 ? type == 128 || type == 129 : type == 8;
			bool error = v6 ? type <= 4 : type == 3 || type == 4 || type == 11 || type == 12;
			struct packet_facts f = facts_of_call(&c);
			if (echo)
				assert_int_equal(f.kind, PACKET_OF_FLOW);
			else if (!error && type != 5) /* redirects do not come here */
				assert_int_equal(f.kind, PACKET_WITHOUT_FLOW);
		}
}

static bool quotes(const struct error_spec *e, const struct call *c)
{
	struct packet_facts f, wanted = facts_of_call(c);
	put_error(&w, e);
	if (!facts_of(&w, e->to_guest, &f) || f.kind != PACKET_OF_ERROR || !f.quotes_receiver)
		return false;
	assert_memory_equal(&f.key, &wanted.key, sizeof f.key);
	return true;
}

/* c: the packet that is quoted. Only its sender may be told, and towards the network only it. */
static void check_quotes(const struct call *c)
{
	struct address guest = guest_of(c->v6), peer = peer_of(c);
	struct address router = c->v6 ? ADDRESS6(0x2a00000000000000ULL, 1) : address_of_ipv4(0x09090909);
	put_call(&quoted, c);
	struct error_spec e = { .v6 = c->v6,
				.to_guest = !c->to_guest,
				.quoted = &quoted,
				.from = c->to_guest ? guest : peer,
				.to = c->to_guest ? peer : guest };
	assert_true(quotes(&e, c));
	e.octets = c->v6 ? 48 : 28; /* RFC 792: eight octets behind the header */
	assert_true(quotes(&e, c));
	for (e.octets = 1; e.octets < (c->v6 ? 44u : 24u); e.octets++)
		assert_false(quotes(&e, c));
	e.octets = 0;
	*(c->to_guest ? &e.to : &e.from) =
	    router; /* who only forwarded it may tell the guest; the guest tells the sender alone */
	assert_int_equal(quotes(&e, c), !c->to_guest);
	if (c->to_guest) { /* nor may another address of the guest speak for the one that was called */
		e.to = peer;
		e.from = c->v6 ? GUEST_SLAAC : address_of_ipv4(OTHER_IP);
		assert_false(quotes(&e, c));
	}
	e.to_guest = c->to_guest; /* not what its receiver has sent */
	e.from = c->to_guest ? peer : guest;
	e.to = c->to_guest ? guest : peer;
	assert_false(quotes(&e, c));
}

void facts_of_icmp_errors(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP4 };
	for (uint32_t i = 0; i < 16; i++) {
		struct call c = { .v6 = i % 2,
				  .to_guest = i / 2 % 2,
				  .protocol = protocols[i / 4],
				  .guest_port = 40000,
				  .peer_port = 443,
				  .flags = SYN };
		check_quotes(&c);
	}
	for (int v6 = 0; v6 < 2; v6++) {
		static const uint8_t types[2][4] = { { 3, 11, 12, 3 }, { 1, 2, 3, 4 } };
		struct call c = { .v6 = v6, .protocol = UDP, .guest_port = 40000, .peer_port = 443 };
		put_call(&quoted, &c);
		for (int i = 0; i < 4; i++)
			assert_true(quotes(&(struct error_spec){ .v6 = v6,
								 .to_guest = true,
								 .quoted = &quoted,
								 .from = peer_of(&c),
								 .to = guest_of(v6),
								 .type = types[v6][i],
								 .code = 1 },
					   &c));
		/* An error about an error, as any other ICMP, belongs to no flow. RFC 1122 3.2.2 */
		static struct world inner;
		inner = quoted;
		put_error(&quoted,
			  &(struct error_spec){ .v6 = v6, .quoted = &inner, .from = guest_of(v6), .to = peer_of(&c) });
		assert_false(quotes(
		    &(struct error_spec){
			.v6 = v6, .to_guest = true, .quoted = &quoted, .from = peer_of(&c), .to = guest_of(v6) },
		    &c));
	}
}

/* Of IPv6 with the headers that a guest may send; of a later fragment nothing is known. */
void what_errors_quote_may_be_in_pieces(void **state)
{
	(void)state;
	struct call c = { .protocol = UDP, .guest_port = 40000, .peer_port = 443, .data = 64 };
	put_call(&quoted, &c);
	set_fragment4(&quoted, 7, 64, true); /* no ports in there */
	assert_false(quotes(
	    &(struct error_spec){ .to_guest = true, .quoted = &quoted, .from = peer_of(&c), .to = guest_of(false) }, &c));
	put_call(&quoted, &c);
	set_fragment4(&quoted, 7, 0, true);
	assert_true(quotes(
	    &(struct error_spec){ .to_guest = true, .quoted = &quoted, .from = peer_of(&c), .to = guest_of(false) }, &c));
	c.v6 = true;
	for (int kind = 0; kind < 4; kind++) {
		put_call(&quoted, &c);
		if (kind == 1)
			insert_fragment(&quoted, 64, true);
		else
			insert_options(&quoted, 60, 8);
		if (kind == 2)
			insert_fragment(&quoted, 0, true);
		if (kind == 3)
			insert_options(&quoted, 0, 8);
		struct error_spec e = {
			.v6 = true, .to_guest = true, .quoted = &quoted, .from = ROUTER_LL, .to = guest_of(true)
		};
		assert_int_equal(quotes(&e, &c), kind != 1);
		for (e.octets = 40; e.octets < (kind < 2 ? 52u : 60u); e.octets++) /* up to the ports */
			assert_false(quotes(&e, &c));
	}
}

void extension_headers_are_walked(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP4 };
	for (uint32_t i = 0; i < 8; i++) {
		struct call c = { .v6 = true,
				  .to_guest = i % 2,
				  .protocol = protocols[i / 2],
				  .guest_port = 40000,
				  .peer_port = 443,
				  .flags = SYN,
				  .data = protocols[i / 2] == TCP || protocols[i / 2] == SCTP ? 36 : 32 };
		struct packet_facts plain = facts_of_call(&c), f;
		insert_options(&w, 60, 8);
		assert_true(facts_of(&w, c.to_guest, &f));
		assert_memory_equal(&f.key, &plain.key, sizeof f.key);
		insert_options(&w, 0, 8);
		assert_true(facts_of(&w, c.to_guest, &f));
		assert_memory_equal(&f.key, &plain.key, sizeof f.key);
		assert_int_equal(f.tcp_flags, plain.tcp_flags);
		put_call(&w, &c);
		insert_fragment(&w, 0, true);
		assert_true(facts_of(&w, c.to_guest, &f));
		assert_memory_equal(&f.key, &plain.key, sizeof f.key);
	}
}

/* A datagram is known by its addresses and identification, in IPv4 by its protocol too (RFC 791, RFC 8200 4.5). */
void what_has_no_flow(void **state)
{
	(void)state;
	struct packet_facts f, g;
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, GUEST_IP, GATEWAY_IP);
	assert_false(facts_of(&w, false, &f));
	struct call c = { .protocol = UDP, .guest_port = 40000, .peer_port = 443, .data = 64 };
	put_call(&w, &c);
	set_fragment4(&w, 77, 0, true);
	assert_true(facts_of(&w, false, &f));
	for (int other = 0; other < 5; other++) {
		put_call(&w, &c);
		set_fragment4(&w, other == 1 ? 78 : 77, 64, other == 2);
		w.frame[23] = other == 3 ? ESP : UDP;
		w.frame[33] = (uint8_t)(w.frame[33] + (other == 4));
		assert_true(facts_of(&w, false, &g));
		bool same = f.datagram_id == g.datagram_id && same_address(f.datagram[0], g.datagram[0]) &&
			    same_address(f.datagram[1], g.datagram[1]);
		assert_int_equal(same, other == 0 || other == 2);
	}
	assert_true(same_address(f.datagram[0], address_of_ipv4(GUEST_IP)));
	assert_true(same_address(f.datagram[1], address_of_ipv4(GLOBAL_IP)));
}

/* Whatever the octets are, nothing is read behind them, and the same octets say the same. */
void random_frames_have_facts_or_none(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP4, ESP };
	for (uint32_t i = 0; i < amount(200000); i++) {
		struct call c = { .v6 = i % 2,
				  .to_guest = next_random() & 1,
				  .protocol = protocols[next_random() % 5],
				  .guest_port = 1000,
				  .peer_port = 443,
				  .data = next_random() % 64 };
		put_call(&w, &c);
		if (i % 3 == 0) {
			quoted = w;
			put_error(&w, &(struct error_spec){ .v6 = c.v6,
							    .to_guest = !c.to_guest,
							    .quoted = &quoted,
							    .from = guest_of(c.v6),
							    .to = peer_of(&c) });
		}
		for (uint32_t n = next_random() % 6; n > 0; n--)
			w.frame[next_random() % w.length] = (uint8_t)next_random();
		uint32_t length = next_random() % 4 ? w.length : next_random() % (w.length + 1);
		uint8_t *exact = malloc(length + 1);
		assert_non_null(exact);
		memcpy(exact + 1, w.frame, length); /* an odd place, and an exact end */
		struct packet_facts f, g;
		struct frame frame = { .bytes = exact + 1, .length = length };
		memset(&f, 0, sizeof f);
		memset(&g, 0, sizeof g);
		bool a = read_facts(&frame, c.to_guest, &f), b = read_facts(&frame, c.to_guest, &g);
		assert_int_equal(a, b);
		if (a) {
			assert_true(f.kind <= PACKET_WITHOUT_FLOW);
			assert_memory_equal(&f.key, &g.key, sizeof f.key);
			assert_int_equal(f.key.reserved[0] | f.key.reserved[1] | f.key.reserved[2],
					 0); /* it is hashed as bytes */
		}
		free(exact);
	}
}
