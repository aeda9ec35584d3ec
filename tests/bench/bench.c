/*
 * How much rules and flows cost: policies and tables of flows side by side, in one run, so that another machine, or a busy one,
 * says the same ratios. Beside them stands the time in ns, of this machine as it is. Each number is the fastest of several
 * rounds. Run by `make bench`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/guard.h"
#include "core/names/names.h"

enum { ROUNDS = 40, LOOKUPS = 20000, FRAMES = 20000, PEERS = 8192, FLOWS = 30000, NAMED = 1000 };
enum { TCP = 6, UDP = 17, GUEST_IP = 0xc0a8400a, BASE_IP = 0x0b000001, UDP_FRAME = 14 + 20 + 8 + 18 };

#define GUEST_MAC   0x52540000000aULL
#define GATEWAY_MAC 0x525400000001ULL

/* What the rules look like. */
enum shape { BARE, WITH_PORTS, ONE_PREFIX };

struct bench {
	const char *name;
	uint32_t rules;
	enum shape shape;
	bool frames; /* decide(), else the lookup alone */
	bool stateful;
	uint32_t flows;                                 /* that the frames belong to */
	enum { NO_NAMES, BESIDE_NAMES, BY_NAME } names; /* a rule names a host, and it lets the frames pass or not */
	struct guard guard;
	double best_ns;
};

static struct bench benches[] = {
	{ .name = "lookup: 1 rule", .rules = 1, .shape = BARE },
	{ .name = "lookup: 100 rules", .rules = 100, .shape = BARE },
	{ .name = "lookup: 4096 rules", .rules = 4096, .shape = BARE },
	{ .name = "lookup: 1 rule with a port", .rules = 1, .shape = WITH_PORTS },
	{ .name = "lookup: 100 rules with ports", .rules = 100, .shape = WITH_PORTS },
	{ .name = "lookup: 4096 rules with ports", .rules = 4096, .shape = WITH_PORTS },
	{ .name = "lookup: 100 ports on one prefix", .rules = 100, .shape = ONE_PREFIX },
	{ .name = "lookup: 4096 ports on one prefix", .rules = 4096, .shape = ONE_PREFIX },
	{ .name = "frame: no rule", .frames = true },
	{ .name = "frame: 1 rule", .rules = 1, .shape = BARE, .frames = true },
	{ .name = "frame: 100 rules with ports", .rules = 100, .shape = WITH_PORTS, .frames = true },
	{ .name = "frame: 4096 rules", .rules = 4096, .shape = BARE, .frames = true },
	{ .name = "frame: 4096 rules with ports", .rules = 4096, .shape = WITH_PORTS, .frames = true },
	{ .name = "frame: 4096 ports on one prefix", .rules = 4096, .shape = ONE_PREFIX, .frames = true },
	{ .name = "frame: no rule, stateful, 1 flow", .frames = true, .stateful = true, .flows = 1 },
	{ .name = "frame: no rule, stateful, 30000 flows", .frames = true, .stateful = true, .flows = FLOWS },
	{ .name = "frame: 4096 rules with ports, stateful, 30000 flows",
	  .rules = 4096,
	  .shape = WITH_PORTS,
	  .frames = true,
	  .stateful = true,
	  .flows = FLOWS },
	{ .name = "frame: no rule, 1000 peers", .frames = true, .flows = NAMED },
	{ .name = "frame: a rule names a host, other peers", .frames = true, .flows = NAMED, .names = BESIDE_NAMES },
	{ .name = "frame: a rule names a host, its 1000 flows", .frames = true, .flows = NAMED, .names = BY_NAME },
};

enum { BENCHES = sizeof benches / sizeof benches[0], FIRST_LOOKUP = 0, FIRST_FRAME = 8 };

static void *get_memory(size_t size)
{
	void *memory = calloc(1, size);
	if (!memory)
		abort();
	return memory;
}

/* Rules are about every second peer at most. */
static struct address peer_number(uint32_t n)
{
	return address_of_ipv4(BASE_IP + n % PEERS * 3);
}

static void set_policy(struct policy *policy, uint32_t count, enum shape shape)
{
	static struct rule rules[RULES_MAX];
	for (uint32_t i = 0; i < count; i++) {
		rules[i] = (struct rule){ .address = peer_number(2 * i),
					  .prefix_length = 128,
					  .class = CLASS_ALLOWED,
					  .directions = OUTWARD | INWARD };
		if (shape == WITH_PORTS)
			rules[i].only = (struct qualifier){
				.has_protocol = 1, .protocol = UDP, .has_ports = 1, .first_port = 443, .last_port = 443
			};
		if (shape == ONE_PREFIX) {
			uint16_t port = (uint16_t)(100 + 15 * i);
			rules[i].address = address_of_ipv4(BASE_IP);
			rules[i].prefix_length = 104;
			rules[i].only = (struct qualifier){ .has_ports = 1, .first_port = port, .last_port = port };
		}
	}
	if (!compile_policy(policy, rules, count))
		abort();
}

/* What is not named is blocked. */
static void set_names(struct bench *b, struct config *config)
{
	struct rule closed = {
		.address = address_of_ipv4(0), .prefix_length = 96, .class = CLASS_BLOCKED, .directions = OUTWARD
	};
	struct name_use use = { .naming = NAMED_BY_ADDRESS, .protocol = UDP, .first_port = 443, .last_port = 443 };
	const struct name name = { 9, "a.example" };
	struct name_rules *rules = get_memory(sizeof *rules);
	struct names *names = get_memory(sizeof *names);
	clear_name_rules(rules);
	add_name_use(rules, &name, false, &use);
	link_patterns(rules);
	names->config = config;
	names->state = b->guard.state;
	names->rules = rules;
	config->has_names = 1;
	if (b->names == BY_NAME && !compile_policy(&config->policy, &closed, 1))
		abort();
	b->guard.names = names;
}

static void prepare(struct bench *b)
{
	struct config *config = get_memory(sizeof *config);
	config->vm_mac = GUEST_MAC;
	config->max_frame = 1514;
	config->isolation = 1;
	config->stateful = b->stateful;
	config->inbound = b->stateful ? INBOUND_ESTABLISHED : INBOUND_ANY;
	mac_set_add(&config->gateway_macs, GATEWAY_MAC);
	set_policy(&config->policy, b->rules, b->shape);
	b->guard = (struct guard){ .config = config,
				   .state = get_memory(sizeof(struct state)),
				   .buckets = get_memory(sizeof(struct buckets)),
				   .flows = get_memory(sizeof(struct flows)) };
	b->guard.state->hash_key[0] = 1;
	if (b->names != NO_NAMES)
		set_names(b, config);
	start_guard(&b->guard, 1000000);
	for (uint32_t i = 0; b->guard.names && i < NAMED; i++)
		if (!bind_address(&b->guard.names->book, peer_number(i), 0, UINT64_MAX, 1000000))
			abort();
	if (!add_static_binding(b->guard.state, address_of_ipv4(GUEST_IP), 24, 1000000))
		abort();
	b->best_ns = 1e18;
}

static void put(uint8_t *at, uint64_t value, uint32_t octets)
{
	for (uint32_t i = octets; i > 0; i--, value >>= 8)
		at[i - 1] = (uint8_t)value;
}

static void build_frame(uint8_t *frame)
{
	memset(frame, 0, UDP_FRAME);
	put(frame, GATEWAY_MAC, 6);
	put(frame + 6, GUEST_MAC, 6);
	put(frame + 12, 0x0800, 2);
	put(frame + 14, 0x4500, 2);
	put(frame + 16, UDP_FRAME - 14, 2);
	put(frame + 22, 0x4011, 2);
	put(frame + 26, GUEST_IP, 4);
	put(frame + 36, 443, 2);
	put(frame + 38, UDP_FRAME - 34, 2);
}

/* The same work for all, whatever they need of it: another peer and another port in each step. */
static double run_frames(struct bench *b)
{
	struct timespec start, end;
	uint8_t bytes[UDP_FRAME];
	uint32_t flow = 0, passed = 0, flows = b->flows ? b->flows : FLOWS;
	build_frame(bytes);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct frame frame = { .bytes = bytes, .length = sizeof bytes };
		put(bytes + 30, ipv4_of_address(peer_number(flow)), 4);
		put(bytes + 34, 1024 + flow, 2);
		flow = (flow + 7919) % flows;
		passed += decide(&b->guard, FROM_GUEST, &frame, 1000000) == PASS;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (passed != FRAMES)
		abort();
	return (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
}

static double run_lookups(struct bench *b)
{
	static volatile uint32_t sink;
	struct timespec start, end;
	uint32_t n = 0, classes = 0;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint32_t i = 0; i < LOOKUPS; i++) {
		struct contact c = { .peer = peer_number(n), .protocol = UDP, .port = (uint16_t)(n % 3 ? 443 : n) };
		n += 7919;
		classes += rule_on(&b->guard.config->policy, &c, 1u << ALIAS_GLOBAL).class;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	sink = classes;
	(void)sink;
	return (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
}

static double compile_time(enum shape shape, uint32_t count)
{
	static struct policy policy;
	double best = 1e18;
	for (int round = 0; round < 5; round++) {
		struct timespec start, end;
		clock_gettime(CLOCK_MONOTONIC, &start);
		set_policy(&policy, count, shape);
		clock_gettime(CLOCK_MONOTONIC, &end);
		double ns = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
		best = ns < best ? ns : best;
	}
	return best;
}

int main(void)
{
	for (uint32_t i = 0; i < BENCHES; i++)
		prepare(&benches[i]);
	for (int round = 0; round < ROUNDS; round++)
		for (uint32_t i = 0; i < BENCHES; i++) {
			double ns = benches[i].frames ? run_frames(&benches[i]) : run_lookups(&benches[i]);
			if (ns < benches[i].best_ns)
				benches[i].best_ns = ns;
		}
	for (uint32_t i = 0; i < BENCHES; i++) {
		const struct bench *first = &benches[benches[i].frames ? FIRST_FRAME : FIRST_LOOKUP];
		if (&benches[i] == first)
			printf("%stimes of \"%s\":\n", i > 0 ? "\n" : "", first->name);
		printf("%8.2f %7.1f ns  %s\n", benches[i].best_ns / first->best_ns,
		       benches[i].best_ns / (benches[i].frames ? FRAMES : LOOKUPS), benches[i].name);
	}
	double one = compile_time(BARE, 100);
	printf("\ntimes of compiling 100 rules, which takes %.0f us:\n%8.2f  4096 rules\n%8.2f  4096 rules with "
	       "ports\n%8.2f  4096 ports on "
	       "one prefix\n",
	       one / 1e3, compile_time(BARE, 4096) / one, compile_time(WITH_PORTS, 4096) / one,
	       compile_time(ONE_PREFIX, 4096) / one);
	return 0;
}
