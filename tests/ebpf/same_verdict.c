/*
 * The judge in the kernel and the judge in user space must agree: on the verdict, the bucket and the binding, for every
 * frame. Frames are the catalogue of attacks, what unit tests build, and seeded mutations of all of them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "core/judge/decision.h"
#include "core/guard.h"
#include "frames6.h"

#include <cmocka.h>

enum { SKIPPED = 77, MUTATIONS = 40, FRAME_MAX = 3000 }; /* a test run takes one page, less what XDP keeps for itself */

static struct bpf_object *object;
static int programs[DIRECTIONS], config_map, state_map, clock_map;
static uint32_t compared, refused, seen[VERDICTS];

static void load_state(const struct world *w)
{
	uint32_t zero = 0;
	assert_int_equal(bpf_map_update_elem(config_map, &zero, &w->config, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(state_map, &zero, &w->state, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(clock_map, &zero, &w->now_ms, BPF_ANY), 0);
}

static void compare(const struct world *w, enum direction direction, const uint8_t *bytes, uint32_t length)
{
	struct frame frame = { .bytes = bytes, .length = length };
	struct decision d = judge_frame(&w->config, &w->state, direction, &frame, w->now_ms);
	uint32_t wanted = number_of(d);
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = bytes, .data_size_in = length, .repeat = 1);
	if (length > FRAME_MAX || bpf_prog_test_run_opts(programs[direction], &run) != 0) {
		refused++; /* the kernel hands no frame under 14 octets to a program */
		assert_true(length < 14 || length > FRAME_MAX);
		return;
	}
	if (run.retval != wanted) {
		for (uint32_t i = 0; i < length; i++)
			fprintf(stderr, "%02x", bytes[i]);
		fail_msg(": user space says %s (%06x), the kernel %06x", verdict_name(d.verdict), wanted, run.retval);
	}
	compared++;
	seen[d.verdict]++;
}

/* The frame as it is, then with a few octets changed, or cut, or padded. */
static void compare_mutations(const struct world *w, enum direction direction, const uint8_t *bytes, uint32_t length)
{
	static uint8_t mutant[FRAME_MAX];
	compare(w, direction, bytes, length);
	if (length < 14 || length > FRAME_MAX)
		return;
	for (int i = 0; i < MUTATIONS; i++) {
		memcpy(mutant, bytes, length);
		for (uint32_t n = next_random() % 4; n > 0; n--) /* mostly in the headers, where verdicts are made */
			mutant[next_random() % (next_random() % 3 ? 64 : length) % length] = (uint8_t)next_random();
		compare(w, direction, mutant, next_random() % 4 ? length : 14 + next_random() % (length - 13));
	}
}

static void catalogue(struct world *w)
{
	static char line[50000], hex[40001], direction[8];
	static uint8_t bytes[20000];
	FILE *file = fopen(getenv("ATTACKS") ? getenv("ATTACKS") : "tests/unit/attacks.hex.tsv", "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		uint32_t length = 0;
		unsigned octet;
		if (sscanf(line, "%*s %*d %7s %*s %*s %40000s", direction, hex) != 2)
			continue;
		for (const char *at = hex; sscanf(at, "%2x", &octet) == 1; at += 2)
			bytes[length++] = (uint8_t)octet;
		compare_mutations(w, strcmp(direction, "g2n") == 0 ? FROM_GUEST : TO_GUEST, bytes, length);
	}
	fclose(file);
}

static uint32_t next_word(void)
{
	return next_random() << 16 ^ next_random();
}

/* Directions, protocols, ports and aliases at many prefixes, all three kinds of --inbound, and an exposed port. */
static void add_directional_rules(struct world *w, int number)
{
	static struct rule rules[200];
	for (uint32_t i = 0; i < 200; i++) {
		uint16_t first = (uint16_t)(1 + next_random() % 300), last = (uint16_t)(first + next_random() % 3 * 2000);
		bool ipv6 = next_random() % 2;
		rules[i] = (struct rule){
			.address = ipv6 ? (struct address){ 0x2a00000000000000ULL ^ (uint64_t)next_random() << 48,
							    next_random() }
					: address_of_ipv4(next_word()),
			.prefix_length = (uint8_t)(ipv6 ? next_random() % 65 : 96 + next_random() % 12),
			.class = next_random() % 2 ? CLASS_ALLOWED : CLASS_BLOCKED,
			.alias = next_random() % 16 == 0 ? (uint8_t)(next_random() % ALIASES) : ALIAS_NONE,
			.directions = (uint8_t)(1 + next_random() % 3),
			.only = { .has_protocol = next_random() % 2,
				  .protocol = next_random() % 2 ? 6 : 17,
				  .has_ports = next_random() % 2,
				  .first_port = first,
				  .last_port = last },
			.origin = (uint16_t)i,
		};
	}
	assert_true(compile_policy(&w->config.policy, rules, 200));
	w->config.stateful = 1;
	w->config.has_names = (uint8_t)(number % 2);
	w->config.inbound = (uint8_t)(number % 3);
	w->config.exposed.item[w->config.exposed.count++] = (struct exposed_port){ 80, 90, .protocol = 6 };
}

static void start_numbered_world4(struct world *w, int number)
{
	struct rule rules[] = { { address_of_ipv4(0x0a000000), 104, .class = CLASS_ALLOWED, .directions = OUTWARD },
				{ address_of_ipv4(0x01010100), 120, .class = CLASS_BLOCKED, .directions = OUTWARD },
				{ address_of_ipv4(VICTIM_IP), 128, .class = CLASS_ALLOWED, .directions = OUTWARD },
				{ .alias = ALIAS_HOST, .class = CLASS_BLOCKED, .directions = OUTWARD } };
	start_world(w, number != 3);
	w->config.dhcp_off = number == 4;
	if (number > 0 && number != 4)
		lease(w, GUEST_IP, 600);
	w->now_ms += number > 0 ? 20000 : 0;
	if (number == 0) {
		put_client_message(w, &(struct dhcp_spec){ .type = 1 });
		assert_int_equal(from_guest(w), PASS);
	}
	if (number == 3) /* as if the server stood elsewhere: the router's MAC is still to be learned */
		memset(w->state.learned.routers, 0, sizeof w->state.learned.routers);
	if (number == 2) {
		assert_true(compile_policy(&w->config.policy, rules, 4));
	}
	if (number > 4)
		add_directional_rules(w, number);
}

/* What the catalogue has none of: who claims what in ARP, sources and DHCP from the network, IGMP, long frames. */
static void built_frames4(struct world *w)
{
	static const uint32_t addresses[] = { GUEST_IP, GATEWAY_IP, VICTIM_IP, 0, 0x7f000001, GLOBAL_IP };
	for (uint32_t i = 0; i < 6 * 6 * 4; i++) {
		uint64_t neighbor = (i + i / 6) % 2 ? GATEWAY_MAC : VICTIM_MAC;
		bool outward = i / 36 < 2;
		put_ethernet(w, outward || i % 3 ? MAC_BROADCAST : GUEST_MAC, outward ? GUEST_MAC : neighbor, 0x0806);
		put_arp(w, (uint16_t)(1 + i / 36 % 2), outward ? GUEST_MAC : neighbor, addresses[i % 6],
			addresses[i / 6 % 6]);
		compare_mutations(w, outward ? FROM_GUEST : TO_GUEST, w->frame, w->length);
		put_ethernet(w, GUEST_MAC, neighbor, 0x0800);
		put_ipv4(w, addresses[i % 6], GUEST_IP, 17, 0, 8);
		put_udp(w, (uint16_t)(65 + i % 5), (uint16_t)(65 + i / 6 % 5), 0);
		compare_mutations(w, TO_GUEST, w->frame, w->length);
		put_zeros(w, 1514 - w->length + i % 3);
		compare(w, TO_GUEST, w->frame, w->length);
		put_ethernet(w, 0x01005e0000fbULL, GUEST_MAC, 0x0800);
		put_ipv4(w, addresses[i % 6], 0xe00000fb, 2, 0, 8);
		put_number(w, i, 1);
		put_zeros(w, 7);
		compare(w, FROM_GUEST, w->frame, w->length);
	}
	put_server_message(w, &(struct dhcp_spec){ .type = 2, .yiaddr = GUEST_IP, .server = GATEWAY_IP });
	compare_mutations(w, TO_GUEST, w->frame, w->length);
	put_client_message(w, &(struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = GATEWAY_IP });
	compare_mutations(w, FROM_GUEST, w->frame, w->length);
}

enum { WORLDS4 = 8 };

static void judges_agree_on_ipv4(void **state)
{
	(void)state;
	static struct world w;
	for (int number = 0; number < WORLDS4; number++) {
		start_numbered_world4(&w, number);
		load_state(&w);
		catalogue(&w);
		built_frames4(&w);
		for (uint32_t to = 0; to < 0xff000000; to += 0x00ffff3b) { /* destinations over the whole range */
			put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
			put_ipv4(&w, GUEST_IP, to, 17, 0, 8);
			put_udp(&w, 4000, 53, 0);
			compare(&w, FROM_GUEST, w.frame, w.length);
		}
	}
}

/* One in eight is changed, too, as those of the catalogue are. */
static void compare_built(struct world *w, enum direction direction)
{
	if (next_random() % 8 == 0)
		compare_mutations(w, direction, w->frame, w->length);
	else
		compare(w, direction, w->frame, w->length);
}

static void judges_agree_on_ipv6(void **state)
{
	(void)state;
	static struct world w;
	for (int number = 0; number < WORLDS6 + 3; number++) {
		start_numbered_world6(&w, number < WORLDS6 ? number : number - WORLDS6 + 2);
		if (number >= WORLDS6)
			add_directional_rules(&w, number);
		load_state(&w);
		catalogue(&w);
		show_all_frames6(&w, compare_built);
	}
}

/* The snooper's, which parses messages and binds; those of rates and of the relay; a runt, which the kernel refuses. */
static bool is_another_part(enum verdict v)
{
	static const enum verdict of_others[] = {
		DROP_FRAME_RUNT,
		DROP_DHCP4_CHADDR,
		DROP_DHCP4_RELAY_FIELDS,
		DROP_DHCP4_TYPE,
		DROP_DHCP4_ADDRESSING,
		DROP_DHCP4_CLIENT_ID_SPOOF,
		DROP_DHCP4_CLIENT_ID_LIMIT,
		DROP_DHCP4_SPENT_ID,
		DROP_DHCP_HOSTNAME,
		DROP_DHCP4_FORM,
		DROP_DHCP4_NOT_OWNER,
		DROP_DHCP4_BAD_LEASE,
		DROP_DHCP6_TYPE,
		DROP_DHCP6_CLIENT_ID_SPOOF,
		DROP_DHCP6_CLIENT_ID_LIMIT,
		DROP_DHCP6_IDENTITY_LIMIT,
		DROP_DHCP6_NOT_OWNER,
		DROP_DHCP6_BAD_LEASE,
		DROP_BINDING_LIMIT,
		DROP_BINDING_CLAIMED,
		DROP_BINDING_CHURN,
		DROP_RATE_DHCP,
		DROP_RATE_ARP,
		DROP_RATE_ND,
		DROP_RATE_MULTICAST,
		DROP_RATE_UPLINK,
		DROP_RATE_SLOW_PATH,
		DROP_FLOW_LIMIT,
		DROP_UNATTENDED,
		DROP_OVERRUN,
		DROP_QUEUE_FULL,
		DROP_WRITE_ERROR,
	};
	for (size_t i = 0; i < sizeof of_others / sizeof of_others[0]; i++)
		if (of_others[i] == v)
			return true;
	return v == HELD || is_reason_of_names(v); /* names are read in user space */
}

/* Agreement is worth as much as what was compared: everything that the judge can say. */
static void every_verdict_was_compared(void **state)
{
	(void)state;
	int different = 0;
	for (int v = 0; v < VERDICTS; v++) {
		different += seen[v] > 0;
		if (seen[v] == 0 && !is_another_part((enum verdict)v))
			fail_msg("no frame had the verdict %d, %s", v, verdict_name((enum verdict)v));
	}
	print_message("%u frames, %u refused by the kernel, %d different verdicts\n", compared, refused, different);
	assert_true(compared >= 1000000);
	assert_true(different >= 85);
}

static int load_programs(const char *path)
{
	object = bpf_object__open_file(path, NULL);
	if (!object || bpf_object__load(object) != 0)
		return -errno;
	programs[FROM_GUEST] = bpf_program__fd(bpf_object__find_program_by_name(object, "from_guest"));
	programs[TO_GUEST] = bpf_program__fd(bpf_object__find_program_by_name(object, "to_guest"));
	config_map = bpf_object__find_map_fd_by_name(object, "configs");
	state_map = bpf_object__find_map_fd_by_name(object, "states");
	clock_map = bpf_object__find_map_fd_by_name(object, "clocks");
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(judges_agree_on_ipv4),
					    cmocka_unit_test(judges_agree_on_ipv6),
					    cmocka_unit_test(every_verdict_was_compared) };
	int error = argc == 2 ? load_programs(argv[1]) : -EINVAL;
	if (error == -EPERM) {
		puts("SKIPPED: loading eBPF needs root here; the program was compiled all the same");
		return SKIPPED;
	}
	if (error != 0) {
		fprintf(stderr, "same_verdict: cannot load the program: %s\n", strerror(-error));
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
