/* The table of flows, looked at from outside: what it holds, and that all of it fits together. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "test_flows.h"

#include <cmocka.h>

struct flows flows;

struct packet_facts packet(uint32_t n, uint8_t protocol, uint8_t tcp_flags)
{
	struct packet_facts f;
	memset(&f, 0, sizeof f);
	f.kind = PACKET_OF_FLOW;
	f.tcp_flags = tcp_flags;
	f.asks = true; /* who asks is part of the key; only ICMP echo looks at this */
	f.key.protocol = protocol;
	f.key.guest = n % 2 ? address_of_ipv4(GUEST_IP) : GUEST_PRIVACY;
	f.key.peer = n % 2 ? address_of_ipv4(0x01000000 + n / 7) : ADDRESS6(0x2606470000000000ULL + n / 5, n);
	f.key.guest_port = (uint16_t)(protocol == TCP || protocol == UDP ? 1024 + n % 7 : 0);
	f.key.peer_port = (uint16_t)(protocol == TCP || protocol == UDP ? 443 : 0);
	return f;
}

void forget_flows(void)
{
	static const uint64_t hash_key[2] = { 0x0123456789abcdefULL, 0xfedcba9876543210ULL };
	clear_flows(&flows, hash_key);
}

static bool same_key(const struct flow_key *a, const struct flow_key *b)
{
	return same_address(a->guest, b->guest) && same_address(a->peer, b->peer) && a->guest_port == b->guest_port &&
	       a->peer_port == b->peer_port && a->protocol == b->protocol;
}

enum flow_class class_of(const struct packet_facts *facts)
{
	for (int class = 0; class < FLOW_CLASSES_END; class ++) {
		uint16_t at = flows.oldest[class];
		for (uint32_t n = flows.count[class]; n > 0; n--, at = flows.flow[at].newer)
			if (same_key(&flows.flow[at].key, &facts->key))
				return (enum flow_class) class;
	}
	return FLOW_CLASSES_END;
}

static uint32_t check_class(int class, uint8_t *seen)
{
	uint16_t at = flows.oldest[class], last = at;
	for (uint32_t n = 0; n < flows.count[class]; n++, last = at, at = flows.flow[at].newer) {
		assert_true(at < FLOWS_MAX);
		assert_int_equal(seen[at]++, 0);
		assert_int_equal(flows.flow[at].class, class);
		if (n > 0) {
			assert_int_equal(flows.flow[at].older, last);
			assert_true(flows.flow[at].used_ms >= flows.flow[last].used_ms);
		}
	}
	if (flows.count[class] > 0)
		assert_int_equal(flows.newest[class], last);
	return flows.count[class];
}

void check_tables(void)
{
	static uint8_t seen[FLOWS_MAX], chained[FLOWS_MAX];
	uint32_t used = 0, in_chains = 0, unused = 0;
	memset(seen, 0, sizeof seen);
	memset(chained, 0, sizeof chained);
	for (int class = 0; class < FLOW_CLASSES_END; class ++)
		used += check_class(class, seen);
	for (uint32_t head = 0; head < FLOW_HEADS; head++)
		for (uint16_t at = flows.head[head].epoch == flows.epoch ? flows.head[head].first : FLOWS_MAX;
		     at < FLOWS_MAX; at = flows.flow[at].next, in_chains++) {
			assert_int_equal(chained[at]++, 0);
			assert_int_equal(seen[at], 1);
		}
	assert_int_equal(in_chains, used);
	for (uint16_t at = flows.free; at < FLOWS_MAX; at = flows.flow[at].next, unused++)
		assert_int_equal(seen[at]++, 0);
	for (uint32_t at = flows.fresh; at < FLOWS_MAX; at++, unused++)
		assert_int_equal(seen[at]++, 0);
	assert_int_equal(used + unused, FLOWS_MAX);
}
