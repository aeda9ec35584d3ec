/*
 * Tries to have each port, as the forwarding will, and lets it go again. An address that this host does not have now may come
 * later, so that is left to the forwarding.
 */
#include "softnet/setup/free_ports.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "port/io.h"

enum { WAIT_MS = 1000, PAUSE_MS = 50 };

/* 0, or an errno. */
static int try_port(const struct expose *expose, uint16_t port)
{
	struct sockaddr_storage address;
	bool is_tcp = expose->protocol == IPPROTO_TCP;
	int on = 1, fd = socket(is_ipv4(expose->external) ? AF_INET : AF_INET6, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (fd < 0)
		return 0; /* it is the forwarding that will say why */
	if (is_tcp)       /* not for those of connections that have ended */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (!is_ipv4(expose->external))
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	socklen_t length = fill_sockaddr(&address, expose->external, port);
	int error = bind(fd, (struct sockaddr *)&address, length) == 0 ? 0 : errno;
	close(fd);
	return error == EADDRINUSE || error == EACCES ? error : 0;
}

static int try_all(const struct expose *expose, uint16_t *failed)
{
	for (uint32_t i = 0; i < expose->ports; i++) {
		*failed = (uint16_t)(expose->external_port + i);
		int error = try_port(expose, *failed);
		if (error != 0)
			return error;
	}
	return 0;
}

const char *find_taken(const struct exposed *items, uint32_t count, char text[TAKEN_TEXT])
{
	char address[ADDRESS_TEXT];
	int patience_ms = WAIT_MS;
	for (uint32_t i = 0; i < count; i++) {
		const struct expose *expose = &items[i].expose;
		uint16_t port;
		int error = try_all(expose, &port);
		for (; error == EADDRINUSE && patience_ms > 0; patience_ms -= PAUSE_MS) {
			poll(NULL, 0, PAUSE_MS);
			error = try_all(expose, &port);
		}
		if (error == 0)
			continue;
		snprintf(text, TAKEN_TEXT, "\"%s\": %s port %u on %s: %s%s", items[i].text,
			 expose->protocol == IPPROTO_UDP ? "udp" : "tcp", port, format_address(expose->external, address),
			 strerror(error), error == EACCES ? " (only root may have it)" : "");
		return text;
	}
	return NULL;
}
