/* What slirp exposes, with the real library behind it: a guest made of frames, and clients on the host's loopback. */
#include "ports.h"
#include "slirp_host.h"

#define GUEST_MAC 0x525400123456ULL
#define GUEST_LOW 0x505400fffe123456ULL
#define PREFIX6   0xfd00001000000002ULL

static const struct port_settings plain = { .side = UPLINK_SIDE, .max_frame = 1514, .guest_mac = GUEST_MAC };
static const struct address guest6 = { PREFIX6, GUEST_LOW }, loopback6 = { 0, 1 };

static struct address guest_of(const struct expose *expose)
{
	return is_ipv4(expose->external) ? address_of_ipv4(GUEST) : guest6;
}

/* Adds the forwarding and gives its result. */
static struct expose_result add(struct port *port, const struct expose *expose)
{
	port->kind->expose(port, expose, guest_of(expose), true);
	return await_result(port, expose);
}

static void take_away(struct port *port, const struct expose *expose)
{
	port->kind->expose(port, expose, guest_of(expose), false);
}

static bool is_refused(uint16_t number)
{
	bool refused;
	close(knock(number, &refused));
	return refused;
}

/* Clients: UDP sockets of the loopback that are connected to one port, so they hear nobody else. */

static int udp_client(int family, uint16_t number, uint16_t *own)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(number),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(number), .sin6_addr = in6addr_loopback };
	bool is_v4 = family == AF_INET;
	socklen_t length = is_v4 ? sizeof in : sizeof in6;
	int fd = socket(family, SOCK_DGRAM, 0);
	assert_int_equal(connect(fd, is_v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6, length), 0);
	assert_int_equal(getsockname(fd, is_v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6, &length), 0);
	*own = ntohs(is_v4 ? in.sin_port : in6.sin6_port);
	return fd;
}

static void hears(int client, const char *text)
{
	char got[64] = "";
	assert_int_equal(poll(&(struct pollfd){ .fd = client, .events = POLLIN }, 1, WAIT_MS), 1);
	assert_int_equal(recv(client, got, sizeof got, 0), strlen(text));
	assert_string_equal(got, text);
}

static void hears_nothing(int client)
{
	char octet;
	assert_int_equal(recv(client, &octet, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Where UDP begins in a frame of the family. */
static uint32_t udp_at(const struct packet *p)
{
	return get(p->bytes + 12, 2) == 0x86dd ? 54 : 34;
}

static bool is_udp(const struct packet *p, uint32_t to)
{
	uint64_t type = get(p->bytes + 12, 2);
	bool is_ip = (type == 0x0800 && p->bytes[23] == IPPROTO_UDP) || (type == 0x86dd && p->bytes[20] == IPPROTO_UDP);
	return p->length >= 42 && is_ip && get(p->bytes + udp_at(p) + 2, 2) == to;
}

/* The frame that the client's datagram became, checked as the guest would check it. */
static void reaches_guest_by_udp(struct port *port, int client, uint16_t own, const char *text, uint16_t to)
{
	assert_int_equal(send(client, text, strlen(text), 0), strlen(text));
	struct packet p = await_frame(port, is_udp, to);
	uint32_t at = udp_at(&p), octets = (uint32_t)get(p.bytes + at + 4, 2), addresses = at == 34 ? 8 : 32;
	assert_true(get(p.bytes, 6) == GUEST_MAC);
	assert_true(get(p.bytes + 6, 6) == (at == 34 ? 0x52550a000202ULL : 0x525600000002ULL));
	assert_int_equal(octets, 8 + strlen(text));
	assert_int_equal(p.length, at + octets);
	assert_int_equal(get(p.bytes + at, 2), own);
	assert_memory_equal(p.bytes + at + 8, text, strlen(text));
	assert_int_equal(sum(p.bytes + at - addresses, addresses + octets, IPPROTO_UDP + octets), 0xffff);
	if (at == 34) {
		assert_int_equal(sum(p.bytes + 14, 20, 0), 0xffff);
		assert_int_equal(get(p.bytes + 16, 2), 20 + octets);
		assert_true(get(p.bytes + 26, 4) == HOST && get(p.bytes + 30, 4) == GUEST);
	} else {
		assert_int_equal(get(p.bytes + 18, 2), octets);
		assert_true(get(p.bytes + 22, 8) == PREFIX6 && get(p.bytes + 30, 8) == 2);
		assert_true(get(p.bytes + 38, 8) == PREFIX6 && get(p.bytes + 46, 8) == GUEST_LOW);
	}
}

static struct bytes udp_segment(uint16_t from, uint16_t to, const char *text)
{
	struct bytes udp = { .n = 0 };
	put(&udp, from, 2);
	put(&udp, to, 2);
	put(&udp, 8 + strlen(text), 2);
	put(&udp, 0, 2);
	put_bytes(&udp, text, (uint32_t)strlen(text));
	return udp;
}

static struct bytes udp6_frame(uint16_t from, uint16_t to, const char *text)
{
	struct bytes udp = udp_segment(from, to, text), b = { .n = 0 };
	put(&b, 0x525600000002ULL, 6);
	put_bytes(&b, guest_mac, 6);
	put(&b, 0x86dd60000000ULL, 6);
	put(&b, udp.n, 2);
	put(&b, IPPROTO_UDP << 8 | 64, 2);
	put(&b, PREFIX6, 8);
	put(&b, GUEST_LOW, 8);
	put(&b, PREFIX6, 8);
	put(&b, 2, 8);
	put_bytes(&b, udp.at, udp.n);
	set16(b.at + 60, ~sum(b.at + 54, udp.n, sum(b.at + 22, 32, IPPROTO_UDP + udp.n)));
	return b;
}

static void answer(struct port *port, int family, uint16_t from, uint16_t to, const char *text)
{
	struct bytes udp = udp_segment(from, to, text);
	struct bytes b = family == AF_INET ? ipv4_frame(GUEST, HOST, IPPROTO_UDP, &udp, 6) : udp6_frame(from, to, text);
	send_frame(port, &b);
}

/* The worker has dealt with all messages and frames before this one when the answer is here. */
static void await_worker(struct port *port)
{
	ask_mac(port, HOST);
}

/* Tests */

static void ports_are_exposed_and_closed(void **state)
{
	(void)state;
	uint16_t external = free_port();
	struct expose expose = exposing(external, 22);
	struct expose_result unused;
	struct port *port = open_port("slirp", &plain);
	assert_int_equal(add(port, &expose).error, 0);
	reaches_guest(port, external, 22);
	assert_false(port->kind->exposed(port, &unused)); /* once is enough */
	take_away(port, &expose);
	await_worker(port);
	assert_true(is_refused(external));
	assert_int_equal(add(port, &expose).error, 0); /* and once more */
	reaches_guest(port, external, 22);
	assert_string_equal(reports, "");
	port->kind->close(port);
}

static void a_port_that_is_taken_is_an_error(void **state)
{
	(void)state;
	int taken = loopback_listener(), udp = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in any = { .sin_family = AF_INET };
	assert_int_equal(bind(udp, (struct sockaddr *)&any, sizeof any), 0);
	struct port *port = open_port("slirp", &plain);
	for (int i = 0; i < 2; i++) {
		struct expose expose = exposing(port_of(i == 0 ? taken : udp), 22);
		expose.protocol = i == 0 ? IPPROTO_TCP : IPPROTO_UDP;
		expose.external = address_of_ipv4(0);
		struct expose_result r = add(port, &expose);
		assert_int_equal(r.error, EADDRINUSE);
		assert_int_equal(r.port, expose.external_port);
		close(i == 0 ? taken : udp);
		assert_int_equal(add(port, &expose).error, 0); /* it was forgotten, so it may come again */
	}
	struct expose elsewhere = exposing(free_port(), 22);
	elsewhere.external = address_of_ipv4(0xc0000201); /* TEST-NET-1: not ours */
	assert_int_equal(add(port, &elsewhere).error, EADDRNOTAVAIL);
	port->kind->close(port);
}

/* Six ports in a row that are free in TCP and UDP, of both families. */
static uint16_t free_range(void)
{
	for (uint16_t first = 20000; first < 30000; first = (uint16_t)(first + 6)) {
		int fds[12], ok = 0;
		for (int i = 0; i < 12; i++) {
			struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)(first + i / 2)) };
			fds[i] = socket(AF_INET6, i % 2 ? SOCK_DGRAM : SOCK_STREAM, 0);
			ok += bind(fds[i], (struct sockaddr *)&a, sizeof a) == 0;
		}
		for (int i = 0; i < 12; i++)
			close(fds[i]);
		if (ok == 12)
			return first;
	}
	fail_msg("no free ports");
	return 0;
}

static void a_range_is_in_place_or_it_is_not(void **state)
{
	(void)state;
	uint16_t first = free_range();
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(first + 3)) };
	struct port *port = open_port("slirp", &plain);
	for (int i = 0; i < 2; i++) {
		int taken = socket(AF_INET, i == 0 ? SOCK_STREAM : SOCK_DGRAM, 0);
		assert_int_equal(bind(taken, (struct sockaddr *)&a, sizeof a), 0);
		assert_true(i == 1 || listen(taken, 1) == 0);
		struct expose expose = exposing(first, 9000);
		expose.ports = 6;
		expose.protocol = i == 0 ? IPPROTO_TCP : IPPROTO_UDP;
		struct expose_result r = add(port, &expose);
		assert_int_equal(r.error, EADDRINUSE);
		assert_int_equal(r.port, first + 3);
		assert_true(i == 1 || is_refused(first)); /* nor the others */
		close(taken);
		assert_int_equal(add(port, &expose).error, 0);
	}
	reaches_guest(port, first, 9000);
	reaches_guest(port, (uint16_t)(first + 5), 9005);
	assert_true(is_refused((uint16_t)(first + 6)));
	uint16_t own;
	int client = udp_client(AF_INET, (uint16_t)(first + 5), &own);
	reaches_guest_by_udp(port, client, own, "hello", 9005);
	close(client);
	port->kind->close(port);
}

static void udp_goes_there_and_back(void **state)
{
	(void)state;
	struct port_settings settings = plain;
	settings.ipv6 = true;
	for (int host_only = 0; host_only < 2; host_only++) {
		settings.host_only = host_only;
		struct port *port = open_port("slirp", &settings);
		for (int i = 0; i < 2; i++) {
			int family = i == 0 ? AF_INET : AF_INET6;
			uint16_t external = free_range(), own;
			struct expose expose = exposing(external, 5353);
			expose.protocol = IPPROTO_UDP;
			expose.external = i == 0 ? address_of_ipv4(INADDR_LOOPBACK) : loopback6;
			assert_int_equal(add(port, &expose).error, 0);
			int client = udp_client(family, external, &own);
			reaches_guest_by_udp(port, client, own, "there", 5353);
			answer(port, family, 5353, own, "and back");
			hears(client, "and back");
			reaches_guest_by_udp(port, client, own, "", 5353); /* nothing in it is still a datagram */
			close(client);
		}
		port->kind->close(port);
	}
}

/* The guest gets no way to the host's loopback but to who has asked, from the port that was asked. */
static void only_answers_go_back(void **state)
{
	(void)state;
	uint16_t first = free_range(), own, other;
	struct expose expose = exposing(first, 5353);
	expose.protocol = IPPROTO_UDP;
	struct port *port = open_port("slirp", &plain);
	assert_int_equal(add(port, &expose).error, 0);
	int client = udp_client(AF_INET, first, &own), stranger = udp_client(AF_INET, first, &other);
	reaches_guest_by_udp(port, client, own, "there", 5353);
	answer(port, AF_INET, 5353, other, "unasked");
	answer(port, AF_INET, 5354, own, "from another port");
	struct bytes udp = udp_segment(5353, own, "spoilt"), b = ipv4_frame(GUEST, HOST, IPPROTO_UDP, &udp, 6);
	b.at[b.n - 1] ^= 1;
	send_frame(port, &b);
	await_worker(port);
	hears_nothing(client);
	hears_nothing(stranger);
	answer(port, AF_INET, 5353, own, "asked");
	hears(client, "asked");
	take_away(port, &expose);
	await_worker(port);
	answer(port, AF_INET, 5353, own, "too late");
	await_worker(port);
	hears_nothing(client);
	close(client);
	close(stranger);
	port->kind->close(port);
}

/* Two ways to one port of the guest: each client gets its answers from the port that it has asked. */
static void two_forwardings_to_one_port_keep_apart(void **state)
{
	(void)state;
	uint16_t first = free_range(), own[3];
	int client[3];
	struct port *port = open_port("slirp", &plain);
	for (uint16_t i = 0; i < 3; i++) {
		struct expose expose = exposing((uint16_t)(first + i), 5353);
		expose.protocol = IPPROTO_UDP;
		assert_int_equal(add(port, &expose).error, 0);
		client[i] = udp_client(AF_INET, expose.external_port, &own[i]);
		reaches_guest_by_udp(port, client[i], own[i], "there", 5353);
	}
	for (int i = 0; i < 3; i++) {
		answer(port, AF_INET, 5353, own[i], "back");
		hears(client[i], "back");
	}
	struct expose gone = exposing(first, 5353); /* the others stay what they are */
	gone.protocol = IPPROTO_UDP;
	take_away(port, &gone);
	for (int i = 1; i < 3; i++) {
		answer(port, AF_INET, 5353, own[i], "again");
		hears(client[i], "again");
	}
	for (int i = 0; i < 3; i++)
		close(client[i]);
	port->kind->close(port);
}

static void a_datagram_fits_into_a_frame_or_is_lost(void **state)
{
	(void)state;
	static char data[1473];
	uint16_t external = free_range(), own;
	struct expose expose = exposing(external, 5353);
	expose.protocol = IPPROTO_UDP;
	memset(data, 'x', sizeof data - 1);
	struct port *port = open_port("slirp", &plain);
	assert_int_equal(add(port, &expose).error, 0);
	int client = udp_client(AF_INET, external, &own);
	assert_int_equal(send(client, data, 1473, 0), 1473);
	reaches_guest_by_udp(port, client, own, data, 5353); /* of 1472 octets, and the first to come */
	close(client);
	port->kind->close(port);
}

static void many_clients_are_remembered(void **state)
{
	(void)state;
	enum { CLIENTS = 200 };
	static int client[CLIENTS];
	static uint16_t own[CLIENTS];
	uint16_t external = free_range();
	struct expose expose = exposing(external, 5353);
	expose.protocol = IPPROTO_UDP;
	struct port *port = open_port("slirp", &plain);
	assert_int_equal(add(port, &expose).error, 0);
	for (int i = 0; i < CLIENTS; i++) {
		client[i] = udp_client(AF_INET, external, &own[i]);
		reaches_guest_by_udp(port, client[i], own[i], "there", 5353);
	}
	for (int i = 0; i < CLIENTS; i++) {
		answer(port, AF_INET, 5353, own[i], "back");
		hears(client[i], "back");
		close(client[i]);
	}
	port->kind->close(port);
}

static bool asks_for_guest6(const struct packet *p, uint32_t unused)
{
	(void)unused;
	return p->length >= 78 && get(p->bytes + 12, 2) == 0x86dd && p->bytes[20] == IPPROTO_ICMPV6 &&
	       p->bytes[54] == 135 && get(p->bytes + 62, 8) == PREFIX6 && get(p->bytes + 70, 8) == GUEST_LOW;
}

/* :: is IPv6 alone, so the same port may be exposed in IPv4, whichever comes first. */
static void both_families_may_have_the_same_port(void **state)
{
	(void)state;
	uint16_t first = free_range();
	struct port_settings settings = plain;
	settings.ipv6 = true;
	struct port *port = open_port("slirp", &settings);
	for (uint16_t i = 0; i < 4; i++) {
		struct expose expose = exposing((uint16_t)(first + i / 2), 22);
		expose.protocol = i < 2 ? IPPROTO_TCP : IPPROTO_UDP;
		for (int j = 0; j < 2; j++) {
			expose.external = (i + j) % 2 ? address_of_ipv4(0) : (struct address){ 0, 0 };
			assert_int_equal(add(port, &expose).error, 0);
		}
		for (int j = 0; i % 2 == 0 && j < 2; j++) {
			expose.external = j ? address_of_ipv4(0) : (struct address){ 0, 0 };
			take_away(port, &expose);
		}
	}
	reaches_guest(port, first, 22);
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(first), .sin6_addr = in6addr_loopback };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	await_frame(port, asks_for_guest6, 0);
	close(fd);
	port->kind->close(port);
}

static void host_only_is_a_lease_and_exposed_ports(void **state)
{
	(void)state;
	struct anchors a;
	int listener = loopback_listener();
	uint16_t external = free_port();
	struct port_settings settings = plain;
	settings.host_only = true;
	settings.host_loopback = true;
	struct port *port = open_port("slirp", &settings);
	port->kind->anchors(port, &a);
	assert_int_equal(a.resolvers.count, 0);
	get_lease(port, false);
	ask_mac(port, HOST);
	struct bytes syn = tcp_frame(40000, HOST, port_of(listener), 0x02);
	send_frame(port, &syn);
	assert_int_equal(await_frame(port, is_tcp, 40000).bytes[47] & 0x04, 0x04); /* RST */
	struct expose expose = exposing(external, 22);
	assert_int_equal(add(port, &expose).error, 0);
	reaches_guest(port, external, 22);
	port->kind->close(port);
	close(listener);
}

/* The most that options allow: as many ports as there may be, and one more is an error and no end. */
static void there_is_room_for_all_ports(void **state)
{
	(void)state;
	struct expose expose = exposing(30000, 1000);
	expose.protocol = IPPROTO_UDP;
	expose.external = address_of_ipv4(0x7f010203); /* a corner of the loopback where nobody else is */
	struct port *port = open_port("slirp", &plain);
	for (int i = 0; i < 2; i++) {
		expose.ports = 512;
		assert_int_equal(add(port, &expose).error, 0);
		expose.protocol = IPPROTO_TCP;
	}
	struct expose more = exposing(free_port(), 22);
	assert_int_equal(add(port, &more).error, 0);
	reaches_guest(port, more.external_port, 22);
	port->kind->close(port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TIME(ports_are_exposed_and_closed),
		IN_TIME(a_port_that_is_taken_is_an_error),
		IN_TIME(a_range_is_in_place_or_it_is_not),
		IN_TIME(udp_goes_there_and_back),
		IN_TIME(only_answers_go_back),
		IN_TIME(two_forwardings_to_one_port_keep_apart),
		IN_TIME(a_datagram_fits_into_a_frame_or_is_lost),
		IN_TIME(many_clients_are_remembered),
		IN_TIME(both_families_may_have_the_same_port),
		IN_TIME(host_only_is_a_lease_and_exposed_ports),
		IN_TIME(there_is_room_for_all_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
