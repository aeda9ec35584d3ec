/*
 * Any octets, in any order, from both sides: the guard must neither read outside a frame nor leave its tables. The input is
 * two octets that choose the config, then a list of frames, each behind two octets: direction in the top bit, then two bits
 * that say how much time goes by after it, and the length. Run by `make fuzz`.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/guard.h"
#include "core/learn6/lease6.h"
#include "core/made/reject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
	ANCHORED = 1,
	STRICT = 2,
	EUI64_ONLY = 4,
	NO_DHCP = 8,
	NO_ISOLATION = 16,
	WITH_RULES = 32,
	IPV6_OFF = 64,
	WITH_STATIC = 128,
	STATEFUL = 256,
	ONLY_ESTABLISHED = 512,
	WITH_PORTS = 1024
};
enum { GUEST_FIXED_ID = 5 };

static const uint32_t waits_ms[] = { 0, 700, 61 * 1000, 2 * 3600 * 1000 };

static uint32_t list_rules(struct rule *rules, uint32_t mode)
{
	const struct rule prefixes[] = {
		{ { 0xfd00000000000000ULL, 0 }, 8, .class = CLASS_ALLOWED, .directions = OUTWARD },
		{ { 0x2600000000000000ULL, 0 }, 9, .class = CLASS_BLOCKED, .directions = OUTWARD | INWARD },
		{ address_of_ipv4(0x0a000000), 104, .class = CLASS_ALLOWED, .directions = OUTWARD },
	};
	const struct rule ports[] = {
		{ address_of_ipv4(0), 96, .class = CLASS_BLOCKED, .directions = OUTWARD | INWARD,
		  .only = { 0, 0, 1, 0, 1, 1023 } },
		{ address_of_ipv4(0), 96, .class = CLASS_ALLOWED, .directions = INWARD, .only = { 1, 6, 1, 0, 22, 22 } },
		{ { 0, 0 }, 0, .class = CLASS_BLOCKED, .directions = OUTWARD, .only = { 1, 17, 1, 0, 53, 53 } },
		{ { 0, 0 },
		  0,
		  .class = CLASS_ALLOWED,
		  .directions = INWARD,
		  .alias = ALIAS_GATEWAY,
		  .only = { 1, 1, 0, 0, 0, 0 } },
	};
	uint32_t count = 0;
	for (uint32_t i = 0; i < 3 && (mode & WITH_RULES); i++)
		rules[count++] = prefixes[i];
	for (uint32_t i = 0; i < 4 && (mode & WITH_PORTS); i++)
		rules[count++] = ports[i];
	return count;
}

/* No limits: every frame is to be looked at. */
static void set_config(struct config *config, uint32_t mode)
{
	struct rule rules[7];
	config->vm_mac = 0x52540000000aULL;
	config->max_frame = 1514;
	config->isolation = !(mode & NO_ISOLATION);
	config->strict_anchors = (mode & STRICT) != 0;
	config->ipv6_eui64_only = (mode & EUI64_ONLY) != 0;
	config->dhcp_off = (mode & NO_DHCP) != 0;
	config->ipv6_off = (mode & IPV6_OFF) != 0;
	config->stateful = (mode & STATEFUL) != 0;
	config->inbound = (mode & STATEFUL) && (mode & ONLY_ESTABLISHED) ? INBOUND_ESTABLISHED : INBOUND_ANY;
	config->gateway_macs.count = config->host.count = config->nat64.count = config->sites.count = 0;
	if (mode & ANCHORED) {
		mac_set_add(&config->gateway_macs, 0x525400000001ULL);
		set_add(&config->host, address_of_ipv4(0xc0a84001));
	}
	if (mode & WITH_RULES) {
		config->nat64.item[config->nat64.count++] = (struct nat64_prefix){ { 0x2a0e000000000000ULL, 0 }, 40, 0 };
		config->sites.item[config->sites.count++] = 0x2a02aaaabbbb0000ULL;
	}
	compile_policy(&config->policy, rules, list_rules(rules, mode));
}

static uint32_t count_bindings(const struct state *state, uint32_t origin, uint64_t now_ms)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++)
		n += now_ms < state->ipv6.bindings[i].expires_ms && state->ipv6.bindings[i].origin == origin;
	return n;
}

static bool is_twice(const struct state6 *state, uint32_t i, uint64_t now_ms)
{
	for (uint32_t k = 0; k < i; k++)
		if (now_ms < state->bindings[k].expires_ms && now_ms < state->bindings[i].expires_ms &&
		    same_address(state->bindings[k].address, state->bindings[i].address))
			return true;
	return false;
}

/* What must hold after every frame: shares of the tables, no address twice, and the operator's word stands. */
static void check_state(const struct config *config, const struct state *state, uint32_t statics, uint64_t now_ms)
{
	if (count_bindings(state, ORIGIN_LINK_LOCAL, now_ms) > LINK_LOCALS_MAX ||
	    count_bindings(state, ORIGIN_DHCP, now_ms) > LEASES6_MAX ||
	    count_bindings(state, ORIGIN_STATIC, now_ms) != statics)
		abort();
	if (config->ipv6_eui64_only && count_bindings(state, ORIGIN_SLAAC, now_ms) > 0)
		abort();
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++)
		if (is_twice(&state->ipv6, i, now_ms))
			abort();
	for (uint32_t i = 0; i < PREFIXES_MAX; i++)
		if (now_ms < state->ipv6.prefixes[i].expires_ms && state->ipv6.prefixes[i].length > 128)
			abort();
}

/* Every flow is in one list or free. Gives whether anything is remembered. */
static bool check_flows(const struct flows *flows)
{
	uint32_t used = 0;
	for (uint32_t list = 0; list < FLOW_CLASSES_END; list++) {
		uint16_t at = flows->oldest[list], last = at;
		for (uint32_t n = flows->count[list]; n > 0; n--, last = at, at = flows->flow[at].newer, used++)
			if (at >= FLOWS_MAX || flows->flow[at].class != list)
				abort();
		if (flows->count[list] > 0 && last != flows->newest[list])
			abort();
	}
	if (used > FLOWS_MAX)
		abort();
	return used > 0 || flows->free != 0 || flows->datagram[0][0].until_ms != 0 || flows->datagram[1][0].until_ms != 0;
}

static void reject_exactly(const struct frame *frame)
{
	uint8_t *room = malloc(REJECTION_MAX);
	if (make_rejection(frame, room) > REJECTION_MAX)
		abort();
	free(room);
}

static enum verdict decide_exactly(struct guard *guard, enum direction direction, const uint8_t *data, uint32_t length,
				   uint64_t now_ms)
{
	uint8_t *exact = malloc(length); /* so that the sanitizer sees a read behind the end */
	if (length > 0)
		memcpy(exact, data, length);
	struct frame frame = { .bytes = exact, .length = length };
	enum verdict verdict = decide(guard, direction, &frame, now_ms);
	if (direction == FROM_GUEST && is_rejected(verdict))
		reject_exactly(&frame);
	free(exact);
	return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct config config;
	static struct buckets buckets;
	static struct flows flows;
	static int last_mode = -1;
	static bool remembers = true;
	struct state state = { 0 };
	struct guard guard = { .config = &config, .state = &state, .buckets = &buckets, .flows = &flows };
	uint64_t now_ms = 1000000;
	if (n < 2)
		return 0;
	int mode = data[0] | data[1] << 8;
	if (remembers) /* it is too big to be cleared for nothing */
		clear_flows(&flows, state.hash_key);
	if (last_mode != mode)
		set_config(&config, (uint32_t)mode);
	last_mode = mode;
	uint32_t statics = last_mode & WITH_STATIC ? 1 : 0;
	if (statics > 0)
		add_static_binding(&state, (struct address){ 0xfd70000000000000ULL, GUEST_FIXED_ID }, 64, now_ms);
	for (data += 2, n -= 2; n >= 2;) {
		uint32_t length = (uint32_t)(data[0] & 0x1f) << 8 | data[1], wait_ms = waits_ms[data[0] >> 5 & 3];
		enum direction direction = data[0] & 0x80 ? TO_GUEST : FROM_GUEST;
		data += 2;
		n -= 2;
		if (length > n)
			length = (uint32_t)n;
		enum verdict verdict = decide_exactly(&guard, direction, data, length, now_ms);
		if ((verdict != PASS && (uint32_t)verdict < FIRST_DROP) || verdict >= VERDICTS)
			abort();
		check_state(&config, &state, statics, now_ms);
		data += length;
		n -= length;
		now_ms += wait_ms;
		if (wait_ms != 700) /* rights end by the clock, whether anybody tidies up or not */
			expire_bindings(&guard, now_ms);
	}
	remembers = check_flows(&flows);
	return 0;
}
