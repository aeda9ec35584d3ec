/* The tap is our own port for Linux, which knows how to be in a bridge. */
#include "wire.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "port/io.h"
#include "fake.h"

static bool open_tap(struct wire *wire, const char *argument, uint32_t max_octets, bool is_isolated)
{
	struct port_settings settings = { .side = UPLINK_SIDE, .max_frame = max_octets, .isolation = is_isolated };
	struct error error = { 0 };
	struct pollfd poll = { .fd = -1 };
	struct port *tap = tap_port.open(argument, &settings, &error);
	if (!tap)
		record("wire: %s", error.text);
	else
		tap_port.watch(tap, &poll);
	*wire = (struct wire){ .fd = poll.fd, .tap = tap };
	return tap != NULL;
}

/* The test answers to where an empty datagram came from. */
static bool open_socket(struct wire *wire, const char *path)
{
	struct sockaddr_un peer = { .sun_family = AF_UNIX }, own = { .sun_family = AF_UNIX };
	snprintf(peer.sun_path, sizeof peer.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	*wire = (struct wire){ .fd = fd };
	return fd >= 0 && bind(fd, (const struct sockaddr *)&own, sizeof(sa_family_t)) == 0 &&
	       connect(fd, (const struct sockaddr *)&peer, sizeof peer) == 0 && send(fd, "", 0, 0) == 0;
}

bool open_wire(struct wire *wire, uint32_t max_octets, bool is_isolated)
{
	if (strncmp(fake_wire, "tap:", 4) == 0)
		return open_tap(wire, fake_wire + 4, max_octets, is_isolated);
	return strncmp(fake_wire, "unix:", 5) == 0 && open_socket(wire, fake_wire + 5);
}

ssize_t read_wire(struct wire *wire, void *to, uint32_t octets)
{
	return wire->tap ? read(wire->fd, to, octets) : recv(wire->fd, to, octets, 0);
}

ssize_t write_wire(struct wire *wire, const void *from, uint32_t octets)
{
	return wire->tap ? write(wire->fd, from, octets) : send(wire->fd, from, octets, MSG_NOSIGNAL);
}

void close_wire(struct wire *wire)
{
	if (wire->tap)
		tap_port.close(wire->tap);
	else
		close(wire->fd);
}
