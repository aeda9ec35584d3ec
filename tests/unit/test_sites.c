/* The sites of this host, in a network namespace of their own: as root, or in a user namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "own_network.h"
#include "softnet/setup/sites.h"

#include <cmocka.h>

enum { WAIT_MS = 5000 };

static struct site_watch watch;
static struct site_set set;

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("cannot run: %s", command);
}

static int set_up(void **unused)
{
	(void)unused;
	run("ip link add b0 type bridge && ip link set b0 up && ip link set lo up");
	open_sites(&watch, true);
	assert_true(watch.fd >= 0 && start_sites(&watch, &set));
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	if (watch.fd >= 0)
		close(watch.fd);
	run("ip link del b0");
	return 0;
}

static bool has_news(int patience_ms)
{
	struct pollfd p = { .fd = watch.fd, .events = POLLIN };
	return poll(&p, 1, patience_ms) == 1;
}

/* Runs the command, which changes addresses, and follows what it did. */
static void change(const char *command)
{
	run(command);
	assert_true(has_news(WAIT_MS));
	follow_sites(&watch);
	assert_false(has_news(0));
}

static bool is_local(uint64_t site)
{
	for (uint32_t i = 0; i < set.count; i++)
		if (set.item[i] == site)
			return true;
	return false;
}

#define SITE_A 0x20010db8000a0000ULL
#define SITE_B 0x20010db8000b0000ULL

static void addresses_come_and_go(void **unused)
{
	(void)unused;
	assert_int_equal(set.count, 0);
	change("ip addr add 2001:db8:b:7::1/64 dev b0");
	assert_true(set.count == 1 && is_local(SITE_B));
	change("ip addr add 2001:db8:a::1/128 dev b0");
	assert_true(set.count == 2 && is_local(SITE_A) && is_local(SITE_B));
	change("ip addr add 2001:db8:b:8::1/64 dev b0"); /* of a site that is known */
	assert_int_equal(set.count, 2);
	change("ip addr del 2001:db8:b:7::1/64 dev b0");
	assert_true(set.count == 2 && is_local(SITE_B));
	change("ip addr del 2001:db8:b:8::1/64 dev b0");
	assert_true(set.count == 1 && is_local(SITE_A) && set.item[1] == 0);
}

static void what_is_not_global_is_no_site(void **unused)
{
	(void)unused;
	change("ip addr add fd00::1/64 dev b0 && ip addr add fe80::1/64 dev b0 && ip addr add 4000::1/64 dev b0 && "
	       "ip addr add 2001:db8:a::1/128 dev lo");
	assert_int_equal(set.count, 0);
	run("ip addr del 2001:db8:a::1/128 dev lo");
}

static void the_first_reading_sees_what_is_there(void **unused)
{
	struct site_watch other;
	struct site_set there;
	(void)unused;
	run("ip addr add 2001:db8:a::1/64 dev b0");
	open_sites(&other, false); /* nobody tells, and it can be read all the same */
	assert_int_equal(other.fd, -1);
	assert_true(start_sites(&other, &there));
	assert_true(there.count == 1 && there.item[0] == SITE_A);
}

/* More changes at once than the socket holds: some are lost, the addresses are read all the same. */
static void a_feed_that_overflows(void **unused)
{
	int octets = 1;
	(void)unused;
	assert_int_equal(setsockopt(watch.fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets), 0);
	change(
	    "for i in $(seq 1 60); do for what in add del; do echo addr $what 2001:db8:a::$i/64 dev b0; done; done | "
	    "ip -batch - && ip addr add 2001:db8:b::1/64 dev b0");
	assert_true(set.count == 1 && is_local(SITE_B));
	change("ip addr del 2001:db8:b::1/64 dev b0");
	assert_int_equal(set.count, 0);
}

static void a_feed_that_fails_leaves_the_last_set(void **unused)
{
	int ends[2];
	(void)unused;
	change("ip addr add 2001:db8:a::1/64 dev b0");
	close(watch.fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	watch.fd = ends[0];
	close(ends[1]);
	follow_sites(&watch);
	assert_int_equal(watch.fd, -1);
	assert_true(watch.is_stale && set.count == 1 && is_local(SITE_A));
}

static void no_more_than_fit(void **unused)
{
	(void)unused;
	change("for i in $(seq 1 40); do echo addr add 2001:db8:$i::1/64 dev b0; done | ip -batch -");
	assert_int_equal(set.count, SITES_MAX);
	assert_true(watch.is_cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(addresses_come_and_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_global_is_no_site, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_first_reading_sees_what_is_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_feed_that_overflows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_feed_that_fails_leaves_the_last_set, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_more_than_fit, set_up, tear_down),
	};
	if (!enter_own_network() || system("ip link show lo >/dev/null") != 0) {
		fprintf(stderr, "no network namespace or no ip command: not tested\n");
		return 77; /* meson: skipped */
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
