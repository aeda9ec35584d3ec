/* The lines that users and other programs read: what was learned, and the answer to SIGUSR1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "softnet/counts/counters.h"
#include "softnet/events/events.h"
#include "system/log.h"
#include "softnet/setup/setup.h"

#include <cmocka.h>

enum { NOW = 1000000 };

#define LOCAL 0xfd00000000000000ULL

static const struct address ipv4 = { 0, MAPPED_IPV4 | 0x0a000005 }, server4 = { 0, MAPPED_IPV4 | 0x0a000001 };
static const struct address global = { 0x20010db800000000ULL, 5 }, local = { LINK_LOCAL_PREFIX, 5 };
static const struct address router = { LINK_LOCAL_PREFIX, 1 };

static char lines[4096];
static FILE *catcher;
static int real_stderr;

static void start_catching(void)
{
	catcher = tmpfile();
	assert_non_null(catcher);
	real_stderr = dup(STDERR_FILENO);
	dup2(fileno(catcher), STDERR_FILENO);
}

static const char *caught(void)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	rewind(catcher);
	lines[fread(lines, 1, sizeof lines - 1, catcher)] = '\0';
	fclose(catcher);
	return lines;
}

static void what_was_learned(void **unused)
{
	const struct {
		struct event event;
		const char *line;
	} cases[] = {
		{ { .kind = EVENT_LEASE_NEW, .address = ipv4, .server = server4, .expires_ms = NOW + 3600000 },
		  "softnet: lease new: 10.0.0.5 for 3600 s from 10.0.0.1\n" },
		{ { .kind = EVENT_LEASE_NEW, .address = global, .server = router, .expires_ms = NEVER_EXPIRES, .why = "dhcp" },
		  "softnet: lease new: 2001:db8::5 for ever from fe80::1\n" },
		{ { .kind = EVENT_LEASE_RENEWED, .address = global, .server = router, .expires_ms = NOW + 60999 },
		  "softnet: lease renewed: 2001:db8::5 for 60 s from fe80::1\n" },
		{ { .kind = EVENT_LEASE_NEW, .address = global, .expires_ms = NOW + 3600000, .why = "slaac" },
		  "softnet: address new: 2001:db8::5 by slaac for 3600 s\n" },
		{ { .kind = EVENT_LEASE_NEW, .address = local, .expires_ms = NEVER_EXPIRES, .why = "link-local" },
		  "softnet: address new: fe80::5 by link-local for ever\n" },
		{ { .kind = EVENT_LEASE_LOST, .address = global, .why = "claimed by another host" },
		  "softnet: lease lost: 2001:db8::5, claimed by another host\n" },
		{ { .kind = EVENT_PREFIX_LEARNED,
		    .address = { 0x20010db800000000ULL, 0 },
		    .prefix_length = 64,
		    .expires_ms = NOW + 1000 },
		  "softnet: prefix learned: 2001:db8::/64 for 1 s\n" },
		{ { .kind = EVENT_GATEWAY_LEARNED, .address = router, .mac = 0x525400000001 },
		  "softnet: gateway learned: fe80::1 at 52:54:00:00:00:01\n" },
		{ { .kind = EVENT_SERVER_LEARNED, .address = router, .mac = 0x525400000001 },
		  "softnet: DHCP server learned: fe80::1 at 52:54:00:00:00:01\n" },
	};
	(void)unused;
	set_verbosity(1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start_catching();
		tell_event(&cases[i].event, NOW);
		assert_string_equal(caught(), cases[i].line);
	}
}

static void the_answer_to_a_signal(void **unused)
{
	static struct state state;
	static struct counters counters;
	struct state6 *s = &state.ipv6;
	(void)unused;
	counters.verdicts[FROM_GUEST][DROP_IP6_SRC_UNBOUND] = 2;
	counters.verdicts[TO_GUEST][PASS] = 3;
	counters.octets[TO_GUEST] = 300;
	state.ipv4[0] =
	    (struct binding){ .address = ipv4, .server = server4, .expires_ms = NOW + 5000, .state = BINDING_BOUND };
	s->bindings[0] =
	    (struct binding6){ .address = global, .server = router, .expires_ms = NOW + 6000, .origin = ORIGIN_DHCP };
	s->bindings[1] = (struct binding6){ .address = local, .expires_ms = NEVER_EXPIRES, .valid_ms = NOW + 1 };
	s->bindings[2] = (struct binding6){ .address = { LOCAL, 2 }, .expires_ms = NOW + 7000, .origin = ORIGIN_SLAAC };
	s->bindings[3] =
	    (struct binding6){ .address = { LOCAL, 3 }, .expires_ms = NEVER_EXPIRES, .origin = ORIGIN_STATIC };
	s->bindings[4] = (struct binding6){ .address = { LOCAL, 4 }, .expires_ms = NOW, .origin = ORIGIN_DHCP };
	s->prefixes[0] = (struct prefix6){ .prefix = { LOCAL, 0 }, .length = 64, .expires_ms = NOW + 8000 };
	s->prefixes[1] =
	    (struct prefix6){ .prefix = { LOCAL + 1, 0 }, .length = 64, .expires_ms = NEVER_EXPIRES, .is_static = 1 };
	s->routers[0] = (struct router6){ .address = router,
					  .macs = { { 0x525400000001 }, .count = 1 },
					  .expires_ms = NOW + 9000,
					  .locked_ms = NOW + 9000 };
	s->routers[1] = (struct router6){
		.address = local, .macs = { { 0x525400000002 }, .count = 1 }, .expires_ms = NOW, .locked_ms = NOW + 9000
	}; /* locked, but no next hop */
	start_catching();
	print_summary(&counters, 4, &state, NOW);
	assert_string_equal(caught(), "drops guest ip6-src-unbound 2\n"
				      "passed guest 0 0\n"
				      "passed uplink 3 300\n"
				      "questions 4\n"
				      "leases 2\n"
				      "lease 10.0.0.5 remaining 5 server 10.0.0.1\n"
				      "lease 2001:db8::5 remaining 6 server fe80::1\n"
				      "address fe80::5 remaining forever origin link-local state tentative\n"
				      "address fd00::2 remaining 7 origin slaac state valid\n"
				      "address fd00::3 remaining forever origin static state valid\n"
				      "prefix fd00::/64 remaining 8\n"
				      "router fe80::1 52:54:00:00:00:01 remaining 9\n"
				      "end\n");
}

/* Told without -v, and only where it concerns somebody. */
static void directions_that_change_other_rules(void **unused)
{
	static const struct {
		const char *allow;
		bool inbound_given, is_told;
	} cases[] = {
		{ "in @host,10.0.0.0/8", false, true },   { "out @host,@dns:53", false, true },
		{ "in @host,10.0.0.0/8", true, false },   { "in @host,out 10.0.0.0/8", false, false },
		{ "10.0.0.0/8,@host:443", false, false },
	};
	static struct options options;
	struct error error;
	(void)unused;
	set_verbosity(0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		memset(&options, 0, sizeof options);
		options.inbound_given = cases[i].inbound_given;
		assert_true(add_rules(&options.rules, cases[i].allow, CLASS_ALLOWED, &error));
		start_catching();
		warn_of_rules(&options);
		assert_string_equal(
		    caught(), !cases[i].is_told
				  ? ""
				  : "softnet: as some rules say `in` or `out`, those without speak of both "
				    "directions; with --inbound any they would speak only of what the VM opens\n");
	}
}

/* Names only open what is closed, and have no address unless somebody may be asked. */
static void names_that_are_worth_nothing(void **unused)
{
	static const char
	    open[] =
		"softnet: the rules name hosts, but the VM may call every global address anyway; --block any closes "
		"them\n",
	    mute[] = "softnet: the rules name hosts, but the VM may ask no resolver for them; --allow @dns:53 lets it "
		     "ask\n";
	static const struct {
		const char *allow, *block, *told;
	} cases[] = {
		{ "a.org,@dns:53", NULL, open },
		{ "a.org", NULL, open },
		{ "a.org", "any", mute },
		{ "a.org,@host", "any", mute },
		{ "a.org,@dns:53", "any", "" },
		{ "a.org,@dns", "0.0.0.0/0", "" },
		{ "a.org,9.9.9.9:53", "@global", "" },
		{ "@dns:53", "any", "" },
	};
	static struct options options;
	struct error error;
	(void)unused;
	set_verbosity(0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		memset(&options, 0, sizeof options);
		assert_true(add_rules(&options.rules, cases[i].allow, CLASS_ALLOWED, &error));
		assert_true(!cases[i].block || add_rules(&options.rules, cases[i].block, CLASS_BLOCKED, &error));
		start_catching();
		warn_of_rules(&options);
		assert_string_equal(caught(), cases[i].told);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_learned),
		cmocka_unit_test(the_answer_to_a_signal),
		cmocka_unit_test(directions_that_change_other_rules),
		cmocka_unit_test(names_that_are_worth_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
