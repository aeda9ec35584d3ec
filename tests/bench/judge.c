/*
 * What it takes to decide about one frame of a guest, without ports: by protocol and family, with no rules and many, with flows and
 * without. The frames go to 64 peers in turn, which no rule names. A line for each: protocol, family, rules, whether flows are
 * kept, and ns of the processor; the least of several passes, one after the other. Run by judge.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/guard.h"

enum { PASSES = 15, FRAMES = 6400, PEERS = 64, LONGEST = 14 + 40 + 20, NOW_MS = 1000000 };
enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58 };

#define GUEST_MAC   0x52540000000aULL
#define GATEWAY_MAC 0x525400000001ULL
#define GUEST6_HIGH 0x2001047000010000ULL
#define PEER6_HIGH  0x2606470047000000ULL
#define RULE6_HIGH  0x2a00000000000000ULL

enum { GUEST_IP = 0xc0a8400a, PEER_IP = 0x01010101, RULE_IP = 0x0b000000 };

static const uint32_t rule_counts[] = { 0, 4, 100, 4096 };
static const struct kind {
	const char *name;
	int family;
	uint8_t protocol;
	uint32_t octets; /* above IP */
} kinds[] = {
	{ "TCP", 4, TCP, 20 }, { "UDP", 4, UDP, 18 }, { "ping", 4, ICMP, 16 },
	{ "TCP", 6, TCP, 20 }, { "UDP", 6, UDP, 18 }, { "ping", 6, ICMP6, 16 },
};
enum { COUNTS = sizeof rule_counts / sizeof *rule_counts, KINDS = sizeof kinds / sizeof *kinds };

static uint8_t frames[PEERS][LONGEST];

static void *get_memory(size_t size)
{
	void *memory = calloc(1, size);
	if (!memory)
		abort();
	return memory;
}

/* Half of the prefixes are of each family; none of them holds a peer. */
static void set_policy(struct policy *policy, uint32_t count)
{
	static struct rule rules[RULES_MAX];
	for (uint32_t i = 0; i < count; i++) {
		bool is_six = i % 2;
		rules[i] = (struct rule){ .class = CLASS_BLOCKED, .directions = OUTWARD };
		rules[i].address = is_six ? (struct address){ RULE6_HIGH | (uint64_t)i << 32, 0 }
					  : address_of_ipv4(RULE_IP + (i << 8));
		rules[i].prefix_length = is_six ? 32 : 96 + 24;
	}
	if (!compile_policy(policy, rules, count))
		abort();
}

static struct guard make_guard(uint32_t rules, bool has_flows)
{
	struct config *config = get_memory(sizeof *config);
	config->vm_mac = GUEST_MAC;
	config->max_frame = 1514;
	config->stateful = has_flows;
	config->inbound = has_flows ? INBOUND_ESTABLISHED : INBOUND_ANY;
	mac_set_add(&config->gateway_macs, GATEWAY_MAC);
	set_policy(&config->policy, rules);
	struct guard guard = { .config = config,
			       .state = get_memory(sizeof(struct state)),
			       .buckets = get_memory(sizeof(struct buckets)),
			       .flows = get_memory(sizeof(struct flows)) };
	guard.state->hash_key[0] = 1;
	start_guard(&guard, NOW_MS);
	if (!add_static_binding(guard.state, address_of_ipv4(GUEST_IP), 24, NOW_MS) ||
	    !add_static_binding(guard.state, (struct address){ GUEST6_HIGH, 10 }, 64, NOW_MS))
		abort();
	return guard;
}

static void put(uint8_t *at, uint64_t value, uint32_t octets)
{
	for (uint32_t i = octets; i > 0; i--, value >>= 8)
		at[i - 1] = (uint8_t)value;
}

static uint8_t *put_ip(uint8_t *at, const struct kind *kind, uint32_t peer)
{
	if (kind->family == 4) {
		put(at, 0x4500, 2);
		put(at + 2, 20 + kind->octets, 2);
		put(at + 8, 0x4000 | kind->protocol, 2);
		put(at + 12, GUEST_IP, 4);
		put(at + 16, PEER_IP + (peer << 8), 4);
		return at + 20;
	}
	put(at, 0x60000000, 4);
	put(at + 4, kind->octets, 2);
	put(at + 6, kind->protocol << 8 | 64u, 2);
	put(at + 8, GUEST6_HIGH, 8);
	put(at + 16, 10, 8);
	put(at + 24, PEER6_HIGH, 8);
	put(at + 32, 1 + peer, 8);
	return at + 40;
}

static void put_payload(uint8_t *at, const struct kind *kind, uint32_t peer)
{
	bool is_ping = kind->protocol == ICMP || kind->protocol == ICMP6;
	put(at, is_ping ? (kind->protocol == ICMP ? 8 : 128) << 8 : 4000 + peer, 2);
	put(at + 2, is_ping ? 0 : 443, 2);
	if (is_ping)
		put(at + 4, peer, 2);
	else if (kind->protocol == UDP)
		put(at + 4, kind->octets, 2);
	else
		put(at + 12, 0x5010, 2); /* ACK */
}

static uint32_t put_frames(const struct kind *kind)
{
	memset(frames, 0, sizeof frames);
	for (uint32_t i = 0; i < PEERS; i++) {
		put(frames[i], GATEWAY_MAC, 6);
		put(frames[i] + 6, GUEST_MAC, 6);
		put(frames[i] + 12, kind->family == 4 ? 0x0800 : 0x86dd, 2);
		put_payload(put_ip(frames[i] + 14, kind, i), kind, i);
	}
	return 14u + (kind->family == 4 ? 20u : 40u) + kind->octets;
}

/* Buckets fill by the clock, as they do for frames a microsecond apart. */
static double one_pass(struct guard *guard, uint32_t length)
{
	static uint64_t now_us = NOW_MS * 1000ULL;
	struct timespec began, ended;
	uint32_t passed = 0;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct frame frame = { .bytes = frames[i % PEERS], .length = length };
		passed += decide(guard, FROM_GUEST, &frame, now_us++ / 1000) == PASS;
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
	if (passed != FRAMES) {
		fprintf(stderr, "%u of %u passed\n", passed, FRAMES);
		exit(1);
	}
	return ((double)(ended.tv_sec - began.tv_sec) * 1e9 + (double)(ended.tv_nsec - began.tv_nsec)) / FRAMES;
}

int main(void)
{
	static struct guard guards[COUNTS][2];
	static double least[KINDS][COUNTS][2];
	for (int count = 0; count < COUNTS; count++)
		for (int flows = 0; flows < 2; flows++)
			guards[count][flows] = make_guard(rule_counts[count], flows);
	for (int pass = 0; pass < PASSES; pass++)
		for (int kind = 0; kind < KINDS; kind++) {
			uint32_t length = put_frames(&kinds[kind]);
			for (int i = 0; i < COUNTS * 2; i++) {
				double *best = &least[kind][i / 2][i % 2];
				double ns = one_pass(&guards[i / 2][i % 2], length);
				*best = pass == 0 || ns < *best ? ns : *best;
			}
		}
	for (int kind = 0; kind < KINDS; kind++)
		for (int i = 0; i < COUNTS * 2; i++)
			printf("%s IPv%d %u %d %.1f\n", kinds[kind].name, kinds[kind].family, rule_counts[i / 2], i % 2,
			       least[kind][i / 2][i % 2]);
	return 0;
}
