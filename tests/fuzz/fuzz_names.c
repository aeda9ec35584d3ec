/*
 * Any frames, in any order, from both sides, at a guard whose rules name hosts: nothing is read or written outside, tables
 * stay within their bounds, and while names are learned nothing waits or is refused. The input is an octet that chooses the
 * settings, then frames as in fuzz_decide.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/guard.h"
#include "core/names/names.h"
#include "softnet/names/quic_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { LEARNS = 1, ECH_PASSES = 2, ANY_QUESTION = 4 };

static const uint32_t waits_ms[] = { 0, 700, 11 * 1000, 3600 * 1000 };
static struct config config;
static struct state state;
static struct buckets buckets;
static struct flows flows;
static struct names names;
static struct name_rules name_rules, learned;

static void add(const char *text, bool is_zone, enum naming naming, uint8_t protocol, uint16_t port)
{
	struct name name = { .length = 0 };
	struct name_use use = { .naming = (uint8_t)naming, .protocol = protocol, .first_port = port, .last_port = port };
	for (; *text != '\0'; text++)
		add_to_name(&name, (uint8_t)*text);
	if (!add_name_use(&name_rules, &name, is_zone, &use))
		abort();
}

static void make_rules(void)
{
	struct rule rules[] = {
		{ { 0, 0 }, 0, .class = CLASS_BLOCKED, .directions = OUTWARD },
		{ address_of_ipv4(0), 96, .class = CLASS_BLOCKED, .directions = OUTWARD },
		{ .class = CLASS_ALLOWED, .directions = OUTWARD, .alias = ALIAS_DNS, .only = { 0, 0, 1, 0, 53, 53 } },
	};
	compile_policy(&config.policy, rules, 3);
	clear_name_rules(&name_rules);
	add("good.example", false, NAMED_IN_TLS, 6, 443);
	add("good.example", false, NAMED_IN_QUIC, 17, 443);
	add("good.example", false, NAMED_IN_HTTP, 6, 80);
	add("example.com", true, NAMED_IN_TLS, 6, 443);
	add("example.com", true, NAMED_BY_ADDRESS, 6, 22);
	link_patterns(&name_rules);
}

static void start(struct guard *guard, uint8_t mode, uint64_t now_ms)
{
	if (config.vm_mac == 0) {
		make_rules();
		config.vm_mac = 0x52540000000aULL;
		config.max_frame = 1514;
		config.has_names = 1;
		mac_set_add(&config.gateway_macs, 0x525400000001ULL);
		set_add(&config.resolvers, address_of_ipv4(0xc0a84001));
	}
	memset(&state, 0, sizeof state);
	memset(&names, 0, sizeof names);
	names.config = &config;
	names.state = &state;
	names.rules = &name_rules;
	names.open_initial = client_initial_opener();
	names.settings = (struct name_settings){ 300000, 86400000, (mode & ECH_PASSES) != 0, (mode & ANY_QUESTION) != 0 };
	if (mode & LEARNS) {
		clear_name_rules(&learned);
		names.learned = &learned;
	}
	*guard =
	    (struct guard){ .config = &config, .state = &state, .buckets = &buckets, .flows = &flows, .names = &names };
	add_static_binding(&state, address_of_ipv4(0xc0a8400a), 120, now_ms);
	add_static_binding(&state, (struct address){ 0xfd77000000000000ULL, 10 }, 64, now_ms);
	start_guard(guard, now_ms);
}

static void check_names(enum verdict verdict)
{
	struct frame left;
	enum verdict fate;
	uint32_t lists = 0;
	bool is_learned = names.learned != NULL;
	if (is_learned && (verdict == HELD || names.hold.queue_count > 0))
		abort();
	while (take_from_hold(&names, &left, &fate))
		if (left.length > config.max_frame || fate == HELD)
			abort();
	for (uint32_t i = 0; i < NAME_CLASSES_END; i++)
		lists += names.flows.count[i];
	if (lists > NAME_FLOWS_MAX || names.book.bound_count > BOUND_MAX ||
	    names.learned_count > LEARNED_ADDRESSES_MAX || names.flows.count[NAME_HOLDING] > NAMES_HOLDING_MAX)
		abort();
}

static enum verdict decide_exactly(struct guard *guard, enum direction direction, const uint8_t *data, uint32_t length,
				   uint64_t now_ms)
{
	uint8_t *exact = malloc(length); /* so that the sanitizer sees a read behind the end */
	if (length > 0)
		memcpy(exact, data, length);
	enum verdict verdict = decide(guard, direction, &(struct frame){ .bytes = exact, .length = length }, now_ms);
	free(exact);
	return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct guard guard;
	uint64_t now_ms = 1000000;
	if (n < 1)
		return 0;
	start(&guard, data[0], now_ms);
	for (data++, n--; n >= 2;) {
		uint32_t length = (uint32_t)(data[0] & 0x1f) << 8 | data[1], wait_ms = waits_ms[data[0] >> 5 & 3];
		enum direction direction = data[0] & 0x80 ? TO_GUEST : FROM_GUEST;
		data += 2;
		n -= 2;
		if (length > n)
			length = (uint32_t)n;
		check_names(decide_exactly(&guard, direction, data, length, now_ms));
		data += length;
		n -= length;
		now_ms += wait_ms;
		expire_names(&names, now_ms);
		check_names(PASS);
	}
	finish_learning(&names, now_ms);
	return 0;
}
