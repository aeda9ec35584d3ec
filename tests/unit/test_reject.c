/* The frames that tell the guest no: docs/policy.md, --reject. Their sums are checked by adding up, as a receiver does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/made/reject.h"
#include "world_flow.h"

#include <cmocka.h>

enum { ETHERNET = 14, LONGEST = ETHERNET + 40 + 65535 };

static struct world w;
static uint8_t answer[REJECTION_MAX];
static uint32_t length;

static uint32_t number_at(const uint8_t *bytes, uint32_t at, uint32_t octets)
{
	uint32_t value = 0;
	for (uint32_t i = 0; i < octets; i++)
		value = value << 8 | bytes[at + i];
	return value;
}

/* RFC 1071: with the right sum in its place, everything adds up to ones. */
static uint32_t add_up(const uint8_t *bytes, uint32_t n, uint32_t start)
{
	uint32_t sum = start;
	for (uint32_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	if (n % 2)
		sum += (uint32_t)bytes[n - 1] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The headers and sums of whatever was answered to `frame`. Gives where the transport header stands. */
static uint32_t check_headers(const uint8_t *frame)
{
	bool v6 = number_at(frame, 12, 2) == 0x86dd;
	uint32_t start = ETHERNET + (v6 ? 40 : 20), octets = length - start;
	assert_true(length >= start + 8 && length <= REJECTION_MAX);
	assert_memory_equal(answer, frame + 6, 6);
	assert_memory_equal(answer + 6, frame, 6);
	assert_memory_equal(answer + 12, frame + 12, 2);
	uint32_t addresses = ETHERNET + (v6 ? 8 : 12), size = v6 ? 16 : 4;
	assert_memory_equal(answer + addresses, frame + addresses + size, size);
	assert_memory_equal(answer + addresses + size, frame + addresses, size);
	uint8_t protocol = answer[v6 ? ETHERNET + 6 : ETHERNET + 9];
	if (v6) {
		assert_int_equal(answer[ETHERNET] >> 4, 6);
		assert_int_equal(number_at(answer, ETHERNET + 4, 2), octets);
		assert_true(answer[ETHERNET + 7] > 1);
		assert_true(protocol == TCP || protocol == ICMP6);
		assert_int_equal(add_up(answer + start, octets, add_up(answer + addresses, 32, octets + protocol)),
				 0xffff);
		return start;
	}
	assert_int_equal(answer[ETHERNET], 0x45);
	assert_int_equal(number_at(answer, ETHERNET + 2, 2), length - ETHERNET);
	assert_int_equal(number_at(answer, ETHERNET + 6, 2) & 0xbfff, 0); /* no fragment */
	assert_true(answer[ETHERNET + 8] > 1);
	assert_int_equal(add_up(answer + ETHERNET, 20, 0), 0xffff);
	assert_true(protocol == TCP || protocol == ICMP4);
	uint32_t pseudo = protocol == TCP ? add_up(answer + addresses, 8, octets + protocol) : 0;
	assert_int_equal(add_up(answer + start, octets, pseudo), 0xffff);
	return start;
}

static void reject_octets(const uint8_t *bytes, uint32_t n)
{
	uint8_t *exact = malloc(n + 1), *room = malloc(REJECTION_MAX);
	assert_non_null(exact);
	assert_non_null(room);
	memcpy(exact + 1, bytes, n);
	memset(room, 0xa5, REJECTION_MAX);
	struct frame frame = { .bytes = exact + 1, .length = n };
	length = make_rejection(&frame, room);
	assert_true(length <= REJECTION_MAX);
	memcpy(answer, room, REJECTION_MAX);
	assert_memory_equal(exact + 1, bytes, n);
	free(exact);
	free(room);
}

static void reject(void)
{
	reject_octets(w.frame, w.length);
}

/* Nothing is ever said about the answer itself: two who refuse each other would never end. */
static void check_last_word(void)
{
	static uint8_t copy[REJECTION_MAX];
	uint32_t n = length;
	memcpy(copy, answer, n);
	reject_octets(copy, n);
	assert_int_equal(length, 0);
}

/* RFC 9293 3.10.7.1. The sequence number of the frame is 0x10000000, what it acknowledges 0x20000000. */
static void check_reset(uint8_t flags, uint32_t data)
{
	uint32_t start = check_headers(w.frame);
	bool has_ack = (flags & ACK) != 0;
	assert_int_equal(length, start + 20);
	assert_int_equal(number_at(answer, start, 2), 443);
	assert_int_equal(number_at(answer, start + 2, 2), 40000);
	uint32_t segment = data + ((flags & SYN) != 0) + ((flags & FIN) != 0);
	assert_int_equal(number_at(answer, start + 4, 4), has_ack ? 0x20000000 : 0);
	assert_int_equal(number_at(answer, start + 8, 4), has_ack ? 0 : 0x10000000 + segment);
	assert_int_equal(answer[start + 12] >> 4, 5);
	assert_int_equal(answer[start + 13], has_ack ? RST : RST | ACK);
	check_last_word();
}

static void segments_of_tcp(void **state)
{
	(void)state;
	static const uint32_t sizes[] = { 0, 1, 2, 7, 100, 1400 };
	for (uint32_t flags = 0; flags < 64; flags++)
		for (uint32_t i = 0; i < 12; i++)
			for (int extended = 0; extended < 3; extended++) {
				struct call c = { .v6 = i % 2,
						  .protocol = TCP,
						  .flags = (uint8_t)flags,
						  .guest_port = 40000,
						  .peer_port = 443,
						  .data = sizes[i / 2] };
				put_call(&w, &c);
				if (extended && c.v6)
					insert_options(&w, 60, 8);
				if (extended > 1 && c.v6)
					insert_options(&w, 0, 8);
				if (extended && !c.v6)
					put_zeros(&w, 7); /* padding is no data */
				reject();
				if (flags & RST)
					assert_int_equal(length, 0);
				else
					check_reset((uint8_t)flags, sizes[i / 2]);
			}
	struct call c = { .protocol = TCP, .flags = SYN, .guest_port = 40000, .peer_port = 443, .data = 40 };
	put_call(&w, &c);
	w.frame[46] = 0xf0; /* all that follows is options */
	reject();
	check_reset(SYN, 0);
	put_call(&w, &c);
	memset(w.frame + 38, 0xff, 4); /* the sequence number wraps */
	reject();
	assert_int_equal(number_at(answer, 42, 4), 40);
}

/* RFC 792, RFC 1812 5.2.7.1; RFC 4443 3.1. Both quote the packet from its IP header on. */
static void check_prohibited(const uint8_t *frame, uint32_t octets)
{
	uint32_t start = check_headers(frame);
	bool v6 = number_at(frame, 12, 2) == 0x86dd;
	uint32_t quoted = length - start - 8, packet = octets - ETHERNET;
	assert_int_equal(answer[start], v6 ? 1 : 3);
	assert_int_equal(answer[start + 1], v6 ? 1 : 13);
	assert_int_equal(number_at(answer, start + 4, 4), 0);
	assert_memory_equal(answer + start + 8, frame + ETHERNET, quoted);
	assert_true(length - ETHERNET <= (v6 ? 1280u : 576u)); /* RFC 4443 2.4 (c), RFC 1812 4.3.2.3 */
	assert_true(quoted == packet || length - ETHERNET >= (v6 ? 1280u : 576u) - 8);
	check_last_word();
}

static void everything_else(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { UDP, ICMP4, SCTP, ESP, GRE, 103 };
	for (uint32_t i = 0; i < 2 * sizeof protocols; i++)
		for (uint32_t data = 0; data < 1400; data += data < 40 ? 1 : 97) {
			struct call c = { .v6 = i % 2,
					  .protocol = protocols[i / 2],
					  .guest_port = 40000,
					  .peer_port = 443,
					  .data = data };
			put_call(&w, &c);
			reject();
			check_prohibited(w.frame, w.length);
			if (c.v6) {
				insert_options(&w, 60, 8);
				insert_options(&w, 0, 8);
				reject();
				check_prohibited(w.frame, w.length);
			}
			uint32_t before = w.length;
			put_zeros(&w, 11);
			reject();
			check_prohibited(w.frame, before);
		}
	/* Nothing behind the IP header at all, where the protocol asks for nothing. */
	put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&w, GUEST_IP, GLOBAL_IP, ESP, 0, 0);
	reject();
	check_prohibited(w.frame, w.length);
}

/* As long as a frame with a big MTU may be. */
static void long_packets(void **state)
{
	(void)state;
	static uint8_t big[LONGEST];
	for (uint32_t i = 0; i < 4; i++) {
		struct call c = {
			.v6 = i % 2, .protocol = i / 2 ? UDP : TCP, .flags = FIN, .guest_port = 40000, .peer_port = 443
		};
		uint32_t sizes[] = { 9000, 16383, 65535 - 20 }, header = c.v6 ? 40 : 20;
		for (int s = 0; s < 3; s++) {
			put_call(&w, &c);
			memcpy(big, w.frame, w.length);
			uint32_t total = c.v6 ? sizes[s] : sizes[s] + 20;
			big[c.v6 ? 18 : 16] = (uint8_t)(total >> 8);
			big[c.v6 ? 19 : 17] = (uint8_t)total;
			reject_octets(big, ETHERNET + header + sizes[s]);
			if (c.protocol == TCP)
				check_reset(FIN, sizes[s] - 20);
			else
				check_prohibited(big, ETHERNET + header + sizes[s]);
		}
	}
}

static void what_nothing_is_said_about(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP4, ESP };
	for (uint32_t i = 0; i < 10; i++) {
		struct call c = {
			.v6 = i % 2, .protocol = protocols[i / 2], .guest_port = 40000, .peer_port = 443, .flags = SYN
		};
		put_call(&w, &c);
		w.frame[0] |= 1; /* to a group */
		reject();
		assert_int_equal(length, 0);
		memset(w.frame, 0xff, 6);
		reject();
		assert_int_equal(length, 0);
		for (uint32_t offset = 24; offset < 1000; offset += 8) {
			put_piece(&w, &c, &(struct piece){ 7, offset, 16, offset % 16 == 0 });
			reject();
			assert_int_equal(length, 0);
		}
		put_piece(&w, &c, &(struct piece){ 7, 0, 64, true }); /* a first one is as good as a whole packet */
		reject();
		assert_true(length > 0);
		check_headers(w.frame);
	}
	for (uint32_t type = 1; type < 256; type++)
		for (int v6 = 0; v6 < 2; v6++) {
			struct call c = { .v6 = v6, .protocol = ICMP4, .type = (uint8_t)type, .guest_port = 7 };
			put_call(&w, &c);
			reject();
			assert_int_equal(length > 0, type == (v6 ? 128 : 8));
		}
	struct call reply = { .protocol = ICMP4, .reply = true, .guest_port = 7 };
	put_call(&w, &reply);
	reject();
	assert_int_equal(length, 0);
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, GUEST_IP, VICTIM_IP);
	reject();
	assert_int_equal(length, 0);
	put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, GUEST_IP, VICTIM_IP);
	reject();
	assert_int_equal(length, 0);
}

static void reasons_that_the_guest_is_told(void **state)
{
	(void)state;
	static const int told[] = { DROP_DST_BLOCKED, DROP_DST_PRIVATE,     DROP_DST_LOCAL_NET, DROP_DST_NAT64_PRIVATE,
				    DROP_DNS_NAME,    DROP_DNS_MALFORMED,   DROP_DNS_REBIND,    DROP_NAME_UNBOUND,
				    DROP_NAME_DENIED, DROP_HELLO_MALFORMED, DROP_HELLO_ECH,     DROP_HELLO_CONFLICT,
				    DROP_HELLO_LIMIT, DROP_QUIC_VERSION };
	for (int v = 0; v < VERDICTS; v++) {
		bool is_told = false;
		for (size_t i = 0; i < sizeof told / sizeof *told; i++)
			is_told |= told[i] == v;
		assert_int_equal(is_rejected((enum verdict)v), is_told);
	}
}

/* Whatever is handed in: no octet outside is read or written, and what comes out is right. */
static void random_octets(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP4, ESP };
	uint32_t answered = 0;
	for (uint32_t i = 0; i < 200000; i++) {
		struct call c = { .v6 = i % 2,
				  .protocol = protocols[next_random() % 5],
				  .guest_port = 40000,
				  .peer_port = 443,
				  .flags = (uint8_t)next_random(),
				  .data = next_random() % 64 };
		put_call(&w, &c);
		if (c.v6 && next_random() % 4 == 0)
			insert_options(&w, 60, 8);
		for (uint32_t n = next_random() % 5; n > 0; n--)
			w.frame[next_random() % w.length] = (uint8_t)next_random();
		if (next_random() % 4 == 0)
			w.length = next_random() % (w.length + 1);
		reject();
		if (length > 0 && number_at(w.frame, 12, 2) == (c.v6 ? 0x86ddu : 0x0800u)) {
			check_headers(w.frame);
			check_last_word();
			answered++;
		}
	}
	assert_true(answered > 20000);
}

/* Every frame of the guest that is refused for one of those reasons, and is not among the exceptions, has an answer. */
static void refused_calls_have_an_answer(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP4, ESP };
	for (int stateful = 0; stateful < 2; stateful++) {
		start_flow_world(&w, stateful, INBOUND_ANY);
		for (uint32_t i = 0; i < 10; i++) {
			struct call c = { .v6 = i % 2,
					  .protocol = protocols[i / 2],
					  .guest_port = 40000,
					  .peer_port = 443,
					  .flags = SYN };
			c.peer = c.v6 ? ADDRESS6(0xfd77000000000000ULL, 1) : address_of_ipv4(0x0a000001);
			enum verdict verdict = make_call(&w, &c);
			expect_verdict(&w, verdict, DROP_DST_PRIVATE, __FILE__, __LINE__);
			reject();
			assert_true(is_rejected(verdict) && length > 0);
			check_headers(w.frame);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_of_tcp),
		cmocka_unit_test(everything_else),
		cmocka_unit_test(long_packets),
		cmocka_unit_test(what_nothing_is_said_about),
		cmocka_unit_test(reasons_that_the_guest_is_told),
		cmocka_unit_test(random_octets),
		cmocka_unit_test(refused_calls_have_an_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
