/* Where a tap stands: its bridge, the addresses and routes there, and what changes. */
#include "taps.h"
#include "port/linux/ground.h"
#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct ground ground;

static void survey(struct port *port, struct anchors *anchors)
{
	port->kind->survey(port, &ground, anchors);
}

static uint64_t mac_of(const char *interface)
{
	struct ifreq request = { 0 };
	uint64_t mac = 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
	assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &request), 0);
	close(fd);
	for (int i = 0; i < 6; i++)
		mac = mac << 8 | (uint8_t)request.ifr_hwaddr.sa_data[i];
	return mac;
}

static void a_bridge_tells_who_the_gateway_is(void **state)
{
	(void)state;
	struct anchors a;
	run("ip link add br7 type bridge && ip link set br7 up && ip addr add 192.0.2.1/24 dev br7 && "
	    "ip addr add 2001:db8::1/64 dev br7 nodad");
	struct port *port = open_port("tap:t0,bridge=br7", &uplink);
	assert_true(shell_says("bridge -d link show dev t0 | grep -q 'isolated on'"));
	survey(port, &a);
	assert_true(set_has(&a.host, address_of_ipv4(0xc0000201)));
	assert_true(set_has(&a.host, (struct address){ 0x20010db800000000ULL, 1 }));
	assert_int_equal(a.gateway_macs.count, 1);
	assert_true(a.gateway_macs.item[0] == mac_of("br7"));
	assert_int_equal(a.resolvers.count + a.servers.count, 0);

	/* Other ports come and go, with lower addresses too: the gateway's stays. */
	run("ip link add v0 address 02:00:00:00:00:01 type veth peer name v1 && ip link set v0 master br7");
	assert_true(a.gateway_macs.item[0] == mac_of("br7"));
	run("ip link del v0");
	assert_true(a.gateway_macs.item[0] == mac_of("br7"));
	port->kind->close(port);

	/* One that is in the bridge already, and isolated by somebody, who then does not want it. */
	run("ip tuntap add dev t2 mode tap && ip link set t2 master br7 && bridge link set dev t2 isolated on");
	struct port_settings open_hearted = uplink;
	open_hearted.isolation = false;
	port = open_port("tap:t2,bridge=br7", &open_hearted);
	uint64_t mac = mac_of("br7");
	run("ip link add v0 address 02:00:00:00:00:01 type veth peer name v1 && ip link set v0 master br7");
	assert_true(mac_of("br7") == mac);
	run("ip link del v0");
	assert_true(shell_says("bridge -d link show dev t2 | grep -q 'isolated off'"));
	port->kind->close(port);
	run("ip link add br8 type bridge");
	refuses("tap:t2,bridge=br8", &uplink, false, "br8");
	refuses("tap:t3,bridge=t2", &uplink, false, "t2 is not a bridge");
	refuses("tap:t3,bridge=none", &uplink, false, "none");
	run("ip link del br7 && ip link del br8 && ip link del t2");
}

/* The kernel gives every interface that is up a link-local address, so that one says nothing about routers. */
static void a_bridge_with_a_link_local_address_only_is_a_wire(void **state)
{
	(void)state;
	struct anchors a;
	const struct address link = { LINK_LOCAL_PREFIX, 0x77 };
	run("ip link add br9 type bridge && ip link set br9 up && ip addr add fe80::77/64 dev br9 nodad");
	struct port *port = open_port("tap:t5,bridge=br9", &uplink);
	survey(port, &a);
	assert_int_equal(a.host.count + a.gateway_macs.count, 0);
	port->kind->close(port);

	static const char *const others[] = { "192.0.2.1/24", "2001:db8::1/64", "fd00::1/64" };
	for (int i = 0; i < 3; i++) {
		char command[128];
		snprintf(command, sizeof command, "ip addr add %s dev br9", others[i]);
		run(command);
		port = open_port("tap:t5,bridge=br9", &uplink);
		survey(port, &a);
		assert_true(set_has(&a.host, link)); /* now it is the gateway's, with which it advertises itself */
		assert_true(a.host.count >= 2);
		assert_true(a.gateway_macs.count == 1 && a.gateway_macs.item[0] == mac_of("br9"));
		port->kind->close(port);
		snprintf(command, sizeof command, "ip addr del %s dev br9", others[i]);
		run(command);
	}
	run("ip link del br9");
}

/* Where the host's own way out is the bridge, the router is there; docs/filter.md, Trust anchors. */
static void a_default_route_tells_where_the_router_is(void **state)
{
	static const struct {
		const char *routes; /* one command */
		bool other4, other6;
	} cases[] = {
		{ "true", false, false },
		{ "ip route add default via 192.0.2.9", true, true }, /* IPv6, which has none, follows */
		{ "ip -6 route add default via 2001:db8::9", true, true },
		{ "ip route add default dev v0", false, false },
		{ "ip route add default via 192.0.2.9 && ip -6 route add default dev v0", true, false },
		{ "ip route add default dev v0 && ip -6 route add default via 2001:db8::9", false, true },
		{ "ip route add default dev v0 metric 9 && ip route add default via 192.0.2.9 metric 8", true, true },
		{ "ip route add default dev v0 metric 7 && ip route add default via 192.0.2.9 metric 8", false, false },
		{ "ip route add default nexthop via 192.0.2.9 nexthop dev v0", false, false },
		{ "ip route add default nexthop via 192.0.2.9 nexthop via 192.0.2.8", true, true },
		{ "ip route add default via 192.0.2.9 table 100", false, false },
		{ "ip route add blackhole default", false, false },
		{ "ip route add 0.0.0.0/1 via 192.0.2.9 && ip route add 128.0.0.0/1 via 192.0.2.9", false, false },
	};
	(void)state;
	run("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct anchors a;
		run("ip link add br7 type bridge && ip link set br7 up && ip addr add 192.0.2.1/24 dev br7 && "
		    "ip addr add 2001:db8::1/64 dev br7 nodad");
		run(cases[i].routes);
		struct port *port = open_port("tap:t0,bridge=br7", &uplink);
		survey(port, &a);
		if (a.other_router4 != cases[i].other4 || a.other_router6 != cases[i].other6)
			fail_msg("%s", cases[i].routes);
		assert_true(a.host.count >= 2 && a.gateway_macs.count == 1);
		port->kind->close(port);
		run("ip link del br7; ip route flush table 100; ip route flush table main; ip -6 route del default; "
		    "true");
	}
	run("ip link del v0");
}

/* Routers of the Internet have a million routes; the default ones are found all the same. */
static void many_routes_are_no_burden(void **state)
{
	struct anchors a;
	(void)state;
	run("ip link add br7 type bridge && ip link set br7 up && ip addr add 192.0.2.1/24 dev br7 && "
	    "awk 'BEGIN { for (i = 0; i < 36000; i++) print \"route add 10.\" int(i / 250) \".\" i % 250 \".0/24 dev "
	    "br7\" }' | "
	    "ip -batch - && ip route add default via 192.0.2.9");
	uint64_t begun_ms = now_ms();
	struct port *port = open_port("tap:t0,bridge=br7", &uplink);
	survey(port, &a);
	assert_true(a.other_router4);
	assert_true(now_ms() - begun_ms < WAIT_MS / 4);
	port->kind->close(port);
	run("ip link del br7");
}

/* Runs the command, which changes something, and reads what it did. */
static void change(struct port *port, struct anchors *a, const char *command)
{
	run(command);
	struct pollfd p = { .fd = port->kind->ground_fd(port), .events = POLLIN };
	if (poll(&p, 1, WAIT_MS) != 1)
		fail_msg("nobody tells: %s", command);
	survey(port, a);
}

static void nobody_is_told(struct port *port, const char *command)
{
	struct pollfd p = { .fd = port->kind->ground_fd(port), .events = POLLIN };
	struct anchors a;
	while (poll(&p, 1, 100) == 1) /* what comes a little later, as a carrier does */
		survey(port, &a);
	run(command);
	if (poll(&p, 1, 50) != 0)
		fail_msg("told: %s", command);
}

#define AWAY(text)  assert_string_equal(ground.away, text), assert_string_equal(port->away, text)
#define WARNS(text) assert_string_equal(ground.warning, text), AWAY("")

static void the_ground_moves(void **state)
{
	struct anchors a;
	(void)state;
	run("ip link add br7 type bridge && ip link set br7 address 02:00:00:00:00:77 up && ip addr add 192.0.2.1/24 "
	    "dev br7");
	struct port *port = open_port("tap:t0,bridge=br7", &uplink);
	assert_int_equal(port->kind->ground_fd(port), -1); /* not while there are rights */
	survey(port, &a);
	assert_true(ground.is_here && ground.is_up && ground.is_isolated && ground.is_forwarding && ground.mtu == 1500);
	WARNS("");
	change(port, &a, "ip link set t0 down");
	AWAY("t0 is down: ip link set t0 up");
	change(port, &a, "ip link set t0 up");
	WARNS("");
	change(port, &a, "ip link set br7 down");
	AWAY("br7 is down: ip link set br7 up");
	change(port, &a, "ip link set br7 up");
	change(port, &a, "bridge link set dev t0 isolated off");
	WARNS("t0 is not isolated from other ports of br7: bridge link set dev t0 isolated on");
	change(port, &a, "bridge link set dev t0 isolated on");
	WARNS("");
	change(port, &a, "ip link set t0 mtu 1400");
	assert_int_equal(ground.mtu, 1400);
	change(port, &a, "ip link set br7 address 02:00:00:00:00:78");
	assert_true(a.gateway_macs.count == 1 && a.gateway_macs.item[0] == 0x020000000078);
	change(port, &a, "ip addr add 192.0.2.2/24 dev br7");
	assert_true(set_has(&a.host, address_of_ipv4(0xc0000201)) && set_has(&a.host, address_of_ipv4(0xc0000202)));
	change(port, &a, "ip route add default via 192.0.2.9");
	assert_true(a.other_router4);
	change(port, &a, "ip route del default");
	assert_true(a.other_router4); /* as it was: it has no way out at all */
	change(port, &a, "ip link del br7");
	AWAY("t0 is in no bridge: ip link set t0 master br7");
	assert_int_equal(a.host.count + a.gateway_macs.count, 0);
	run("ip link add br8 type bridge && ip link set br8 address 02:00:00:00:00:88 up && ip addr add "
	    "198.51.100.1/24 dev br8");
	change(port, &a, "ip link set t0 master br8");
	WARNS("t0 is in br8, not in br7");
	assert_true(a.gateway_macs.item[0] == 0x020000000088 && !a.other_router4);
	change(port, &a, "ip addr del 198.51.100.1/24 dev br8"); /* of the bridge in which it is now */
	assert_int_equal(a.host.count, 0);
	nobody_is_told(
	    port, "ip link add v0 type veth peer name v1 && ip link set v0 up && ip addr add 10.0.0.1/24 dev v0 && "
		  "ip route add 10.1.0.0/16 dev v0 && ip link del v0");
	port->kind->close(port);
	run("ip link del br8");
}

/* More changes at once than the socket holds: some are lost, and what is true is read all the same. */
static void a_feed_that_overflows(void **state)
{
	struct anchors a;
	int octets = 1;
	(void)state;
	run("ip link add br7 type bridge && ip link set br7 up && ip addr add 192.0.2.1/24 dev br7");
	struct port *port = open_port("tap:t0,bridge=br7", &uplink);
	survey(port, &a);
	assert_int_equal(setsockopt(port->kind->ground_fd(port), SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets), 0);
	change(port, &a,
	       "for i in $(seq 2 60); do for what in add del; do echo addr $what 192.0.2.$i/24 dev br7; done; done | "
	       "ip -batch - && ip addr add 203.0.113.1/24 dev br7 && ip link set t0 nomaster");
	AWAY("t0 is in no bridge: ip link set t0 master br7");
	change(port, &a, "ip link set t0 master br7");
	assert_true(set_has(&a.host, address_of_ipv4(0xc0000201)) && set_has(&a.host, address_of_ipv4(0xcb007101)));
	port->kind->close(port);
	run("ip link del br7");
}

static void a_plain_tap_with_an_address_is_a_gateway_too(void **state)
{
	(void)state;
	struct anchors a;
	run("ip tuntap add dev t4 mode tap && ip addr add 198.51.100.1/24 dev t4");
	struct port *port = open_port("tap:t4", &uplink);
	survey(port, &a);
	assert_true(set_has(&a.host, address_of_ipv4(0xc6336401)));
	assert_true(a.gateway_macs.count == 1 && a.gateway_macs.item[0] == mac_of("t4"));
	port->kind->close(port);
	run("ip link del t4");

	run("ip tuntap add dev t4 mode tap && ip addr add fe80::4/64 dev t4 nodad");
	port = open_port("tap:t4", &uplink);
	survey(port, &a);
	assert_int_equal(a.host.count + a.gateway_macs.count, 0); /* a wire */
	port->kind->close(port);
	run("ip link del t4");
}

/* Between its opening and the first look, or before its number was read. */
static void a_tap_that_vanishes_is_not_here(void **state)
{
	(void)state;
	struct anchors a;
	struct ground_watch watch;
	struct link link;
	init_ground(&watch, "t6", "", false);
	survey_ground(&watch, &ground, &a);
	assert_false(ground.is_here);
	assert_string_equal(ground.interface, "t6");
	assert_int_equal(a.host.count + a.gateway_macs.count, 0);
	close_ground(&watch);
	assert_false(read_link(0, NULL, &link));
	assert_int_equal(errno, ENODEV);

	struct port *port = open_port("tap:t6", &uplink);
	run("ip link del t6");
	survey(port, &a);
	assert_false(ground.is_here);
	port->kind->close(port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TIME(a_bridge_tells_who_the_gateway_is),
		IN_TIME(a_bridge_with_a_link_local_address_only_is_a_wire),
		IN_TIME(a_default_route_tells_where_the_router_is),
		IN_TIME(many_routes_are_no_burden),
		IN_TIME(the_ground_moves),
		IN_TIME(a_feed_that_overflows),
		IN_TIME(a_plain_tap_with_an_address_is_a_gateway_too),
		IN_TIME(a_tap_that_vanishes_is_not_here),
	};
	if (!can_make_taps())
		return 77; /* meson: skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
