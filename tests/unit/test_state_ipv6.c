/* --state: what comes back of IPv6 after a restart, and which lines are not believed. */
#include "saved_state.h"

static bool holds6(struct address a, uint64_t now_ms)
{
	return find_binding_of6(&loaded.ipv6, a.high, a.low, now_ms) < BINDINGS6_MAX;
}

static uint64_t end_of6(struct address a)
{
	uint32_t i = find_binding_of6(&loaded.ipv6, a.high, a.low, start.now_ms);
	return i < BINDINGS6_MAX ? loaded.ipv6.bindings[i].expires_ms : 0;
}

static void what_is_not_settled_stays_behind(void **unused)
{
	struct state6 *s = &state.ipv6;
	(void)unused;
	s->transactions[0] = (struct transaction6){ .id = 7, .deadline_ms = UINT64_MAX };
	s->request_ids[0] = (struct request_id){ 8, 1, UINT64_MAX };
	s->bindings[3] = binding6((struct address){ PREFIX, 3 }, ORIGIN_STATIC, 0, NEVER_EXPIRES);
	s->bindings[4] = binding6((struct address){ PREFIX, 4 }, ORIGIN_SLAAC, start.now_ms - DAD_MS + 1, 1600000);
	s->bindings[5] = binding6((struct address){ PREFIX, 5 }, ORIGIN_SLAAC, start.now_ms - DAD_MS, 1600000);
	s->prefixes[2] = (struct prefix6){ .prefix = { 0xfd00000000000000ULL, 5 },
					   .length = 64,
					   .on_link = 1,
					   .is_static = 1,
					   .expires_ms = NEVER_EXPIRES };
	save_state_file(&file, &state, start, true);
	assert_null(load());
	assert_int_equal(loaded.ipv6.transactions[0].deadline_ms + loaded.ipv6.request_ids[0].until_ms, 0);
	assert_false(holds6((struct address){ PREFIX, 3 }, start.now_ms)); /* comes from the command line */
	assert_false(holds6((struct address){ PREFIX, 4 }, start.now_ms)); /* somebody may still claim it */
	assert_true(holds6((struct address){ PREFIX, 5 }, start.now_ms));
	assert_int_equal(loaded.ipv6.prefixes[2].expires_ms, 0);
}

static void the_earlier_clock_ends_what_is_of_ipv6(void **unused)
{
	uint64_t later = start.now_ms + 100000;
	(void)unused;
	assert_null(load_at(later, start.wall_ms + 300000));
	assert_true(end_of6(leased6) == later + 400000);
	assert_true(end_of6(slaac6) == later + 300000);
	assert_true(loaded.ipv6.prefixes[0].expires_ms == later + 300000);
	assert_true(loaded.ipv6.routers[0].expires_ms == later + 500000);
	assert_true(loaded.ipv6.routers[0].locked_ms == later + 2700000);
	assert_int_equal(loaded.ipv6.resolvers[0].expires_ms + loaded.ipv6.translators[0].expires_ms, 0);
	assert_true(end_of6(link6) == NEVER_EXPIRES && loaded.ipv6.prefixes[1].expires_ms == NEVER_EXPIRES);
	assert_null(load_at(start.now_ms + 600000, start.wall_ms)); /* the wall clock was set back */
	assert_false(holds6(slaac6, start.now_ms + 600000));
	assert_true(holds6(leased6, start.now_ms + 600000) && loaded.ipv6.server.until_ms == 1700000);
	assert_int_equal(loaded.ipv6.routers[1].locked_ms, 0);
}

static void an_address_lives_no_longer_than_its_prefix(void **unused)
{
	(void)unused;
	state.ipv6.prefixes[0].expires_ms = 1100000;
	save_state_file(&file, &state, start, true);
	assert_null(load());
	assert_true(end_of6(slaac6) == 1100000 && end_of6(leased6) == 1700000);
	state.ipv6.prefixes[0].autonomous = 0;
	save_state_file(&file, &state, start, true);
	assert_null(load());
	assert_false(holds6(slaac6, start.now_ms));
	state.ipv6.prefixes[0].expires_ms = start.now_ms;
	save_state_file(&file, &state, start, true);
	assert_null(load());
	assert_false(holds6(slaac6, start.now_ms));
	assert_true(holds6(leased6, start.now_ms) && holds6(link6, start.now_ms));
}

static void addresses_of_ipv6_that_became_somebody_elses(void **unused)
{
	(void)unused;
	set_add(&config.host6, slaac6);
	set_add(&config.servers6, link6);
	set_add(&config.resolvers6, leased6);
	assert_null(load());
	assert_false(holds6(slaac6, start.now_ms) || holds6(link6, start.now_ms) || holds6(leased6, start.now_ms));
	memset(&config, 0, sizeof config);
	memset(&loaded, 0, sizeof loaded);
	assert_true(add_static_binding(&loaded, slaac6, 64, start.now_ms)); /* now by --vm-ip */
	assert_null(load_state_file(&file, &config, &loaded, start));
	assert_int_equal(loaded.ipv6.bindings[0].origin, ORIGIN_STATIC);
	assert_true(end_of6(slaac6) == NEVER_EXPIRES && end_of6(leased6) == 1700000);
}

/* The tables of a guest that has filled everything, through the file and back. */
static void full_tables_come_back(void **unused)
{
	struct state6 *s = &state.ipv6;
	(void)unused;
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++)
		s->bindings[i] = binding6((struct address){ PREFIX, 0x1000 + i }, ORIGIN_SLAAC, 900000, 1600000);
	for (uint32_t i = 0; i < PREFIXES_MAX; i++)
		s->prefixes[i] =
		    (struct prefix6){ .prefix = { PREFIX + i, 0 }, .length = 64, .expires_ms = 1600000, .autonomous = 1 };
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++)
		s->routers[i] = (struct router6){ .address = { LINK_LOCAL_PREFIX, i + 1 },
						  .macs = { { ROUTER_MAC + i }, .count = 1 },
						  .expires_ms = 1600000,
						  .locked_ms = 1700000 };
	for (uint32_t i = 0; i < RESOLVERS6_MAX; i++)
		s->resolvers[i] = (struct resolver6){ { PREFIX, 0x5300 + i }, 1600000 };
	for (uint32_t i = 0; i < CLIENT_IDS_MAX; i++)
		s->client_ids[i] = (struct client_id){ i + 1, 1600000 };
	for (uint32_t i = 0; i < LOST_MAX; i++)
		s->lost[i] = (struct known6){ { PREFIX, 0x2000 + i }, 1600000 };
	settle_bindings6(s);
	save_state_file(&file, &state, start, true);
	assert_null(load());
	assert_memory_equal(&loaded, &state, sizeof state);
}

/* libslirp's server answers from a unique local address. */
static void a_server_of_a_wider_address_comes_back(void **unused)
{
	(void)unused;
	state.ipv6.server =
	    (struct learned_server6){ .address = { 0xfd00001000000002ULL, 2 }, .mac = ROUTER_MAC, .until_ms = 1700000 };
	save_state_file(&file, &state, start, true);
	assert_null(load());
	assert_true(loaded.ipv6.server.address.high == 0xfd00001000000002ULL && loaded.ipv6.server.until_ms == 1700000);
}

/* The line as it should be, then what no line of that kind may say. */
static void every_word_of_ipv6_is_checked(void **unused)
{
	static const char *const lines[][8] = {
		{ "router6 fe80::1 2:0:0:0:0:1 2000000 1800000000000 never never",
		  "router6 2001:db8::1 2:0:0:0:0:1 2 2 3 3", "router6 fe80::1 0:0:0:0:0:0 2 2 3 3",
		  "router6 fe80::1 1:0:0:0:0:0 2 2 3 3", "router6 fe80::1 2:0:0:0:0:1 2 2 3",
		  "router6 - 2:0:0:0:0:1 2 2 3 3", "router6 fe80::1 2:0:0:0:0:1 never 2 3 3" },
		{ "server6 fe80::1 2:0:0:0:0:1 2 2", "server6 10.0.0.1 2:0:0:0:0:1 2 2",
		  "server6 fe80::1 2:0:0:0:0:1 2 x", "server6 fe80::1 2:0:0:0:0:1 2 2 2" },
		{ "resolver6 fd00::1 2 2", "resolver6 10.0.0.1 2 2", "resolver6 ff02::1 2 2", "resolver6 - 2 2",
		  "resolver6 fd00::1 2" },
		{ "translator6 64:ff9b:1:: 48 2 2", "translator6 64:ff9b:1:: 49 2 2",
		  "translator6 64:ff9b:1:: 4294967344 2 2", "translator6 10.0.0.0 32 2 2",
		  "translator6 64:ff9b:1:: 48 2" },
		{ "prefix6 2001:db8:: 64 slaac on-link 2 2", "prefix6 2001:db8:: 63 slaac on-link 2 2",
		  "prefix6 2001:db8:: 129 - on-link 2 2", "prefix6 fe80:: 64 slaac - 2 2",
		  "prefix6 10.0.0.0 24 - on-link 2 2", "prefix6 2001:db8:: 64 on-link slaac 2 2",
		  "prefix6 2001:db8:: 64 slaac on-link 2" },
		{ "address6 2001:db8::5 slaac 2000000 1800000000000 1", "address6 2001:db8::5 link-local 2 2 1",
		  "address6 fe80::5 slaac 2 2 1", "address6 10.0.0.5 slaac 2 2 1", "address6 2001:db8::5 dhcp 2 2 1",
		  "address6 2001:db8::5 slaac 2 2 1000001", "address6 2001:db8::5 slaac 2 2" },
		{ "lease6 2001:db8::5 2 2 1 f - ffffffff", "lease6 fe80::5 2 2 1 f - 1", "lease6 10.0.0.5 2 2 1 f - 1",
		  "lease6 2001:db8::5 2 2 1000001 f - 1", "lease6 2001:db8::5 2 2 1 g - 1",
		  "lease6 2001:db8::5 2 2 1 f x 1" },
		{ "wanted6 f 2001:db8::5 128 address leased 2000000 1800000000000 1", "wanted6 g - 0 address - 2 2 1",
		  "wanted6 f - 129 address - 2 2 1", "wanted6 f - 0 lease - 2 2 1", "wanted6 f - 0 address no 2 2 1",
		  "wanted6 f - 0 address - 2 2 1000001", "wanted6 f - 0 address - 2 2" },
		{ "lost6 2001:db8::5 2000000 1800000000000", "lost6 10.0.0.5 2 2", "lost6 - 2 2", "lost6 2001:db8::5 2" },
		{ "client6 f 2 2", "client6 g 2 2", "client6 f 2", "client6 f 2 2 2" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		for (int j = 0; j < 8 && lines[i][j]; j++) {
			char body[512];
			snprintf(body, sizeof body, OPENING "%s\n", lines[i][j]);
			const char *cause = load_sealed(body);
			if ((j == 0) != (!cause))
				fail_msg("%s: %s", lines[i][j], !cause ? "taken" : cause);
			assert_true(j == 0 || is_empty());
		}
}

/* More lines than any table holds: the first are kept, nothing is written beyond. */
static void more_lines_than_entries(void **unused)
{
	static const char *const forms[][2] = {
		/* a number stands between */
		{ "router6 fe80::", " 2:0:0:0:0:1 never never never never\n" },
		{ "resolver6 fd00::", " never never\n" },
		{ "translator6 2001:db8:", ":: 48 never never\n" },
		{ "prefix6 2001:db8:", ":: 64 slaac - never never\n" },
		{ "client6 ", " never never\n" },
		{ "address6 2001:db8:1::", " slaac never never 1\n" },
	};
	static char body[32768];
	(void)unused;
	size_t length = (size_t)snprintf(body, sizeof body, "softnet-state 2\n" OPENING);
	for (size_t form = 0; form < sizeof forms / sizeof *forms; form++)
		for (unsigned i = 1; i <= 80; i++)
			length += (size_t)snprintf(body + length, sizeof body - length, "%s%x%s", forms[form][0], i,
						   forms[form][1]);
	length += (size_t)snprintf(body + length, sizeof body - length, "sum %016llx\n",
				   (unsigned long long)hash_bytes(0, body, length));
	assert_null(load_text(body, length));
	assert_int_equal(loaded.ipv6.routers[ROUTERS6_MAX - 1].address.low, ROUTERS6_MAX);
	assert_true(loaded.ipv6.prefixes[PREFIXES_MAX - 1].expires_ms == NEVER_EXPIRES);
	assert_true(loaded.ipv6.client_ids[CLIENT_IDS_MAX - 1].until_ms == NEVER_EXPIRES);
	assert_true(loaded.ipv6.bindings[BINDINGS6_MAX - 1].expires_ms == NEVER_EXPIRES);
	assert_true(loaded.ipv6.transactions[0].deadline_ms == 0 && loaded.ipv6.server.until_ms == 0);
}

int main(void)
{
	make_directory();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_not_settled_stays_behind, set_up),
		cmocka_unit_test_setup(the_earlier_clock_ends_what_is_of_ipv6, set_up),
		cmocka_unit_test_setup(an_address_lives_no_longer_than_its_prefix, set_up),
		cmocka_unit_test_setup(addresses_of_ipv6_that_became_somebody_elses, set_up),
		cmocka_unit_test_setup(full_tables_come_back, set_up),
		cmocka_unit_test_setup(a_server_of_a_wider_address_comes_back, set_up),
		cmocka_unit_test_setup(every_word_of_ipv6_is_checked, set_up),
		cmocka_unit_test_setup(more_lines_than_entries, set_up),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	remove_directory();
	return failed;
}
