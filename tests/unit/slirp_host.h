/* The host's side of what slirp exposes: who listens, who calls, and what the port says of it. */
#pragma once
#include <arpa/inet.h>
#include <sys/socket.h>
#include "slirp_guest.h"

static inline uint16_t port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t length = sizeof a;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &length), 0);
	return ntohs(a.sin_port);
}

static inline int loopback_listener(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static inline uint16_t free_port(void)
{
	int fd = loopback_listener();
	uint16_t number = port_of(fd);
	close(fd);
	return number;
}

/* A connection to the port; nobody answers it beyond the kernel, so it does not say anything. */
static inline int knock(uint16_t number, bool *refused)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(number),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int result = connect(fd, (struct sockaddr *)&a, sizeof a);
	assert_true(result == 0 || errno == ECONNREFUSED);
	*refused = result < 0;
	return fd;
}

static inline struct expose exposing(uint16_t external, uint16_t internal)
{
	return (struct expose){ .protocol = IPPROTO_TCP,
				.external_port = external,
				.internal_port = internal,
				.ports = 1,
				.external = address_of_ipv4(INADDR_LOOPBACK) };
}

/* The next result that the port tells, which must be about this one. */
static inline struct expose_result await_result(struct port *port, const struct expose *expose)
{
	struct expose_result r = { .error = -1 };
	AWAIT(port, port->kind->exposed(port, &r));
	assert_true(same_address(r.expose.external, expose->external));
	assert_int_equal(r.expose.protocol, expose->protocol);
	assert_int_equal(r.expose.external_port, expose->external_port);
	assert_int_equal(r.expose.ports, expose->ports);
	return r;
}

/* A connection from the host becomes a SYN to the guest. */
static inline void reaches_guest(struct port *port, uint16_t external, uint16_t internal)
{
	bool refused;
	ask_mac(port, HOST); /* so that slirp knows where the guest is */
	int fd = knock(external, &refused);
	assert_false(refused);
	await_frame(port, is_syn, internal);
	close(fd);
}
