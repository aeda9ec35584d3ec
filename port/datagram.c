/* Frames as AF_UNIX datagrams, one each: an inherited socket, a socketpair of our own, or a path. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "port/socket_rights.h"

struct datagram {
	struct port port;
	int fd;
	struct batch batch;
	char own_path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* to unlink; "" when there is none */

	/* The guest side of a path: who spoke first. peer_length is 0 while nobody did. */
	struct sockaddr_un peer;
	socklen_t peer_length;
	int probe; /* connects to the peer to ask whether it is still there */
	bool told_unnamed;
	int refusal; /* errno of the last frame that it could not be sent */

	/* The uplink side of a path. */
	bool lost;
	bool greets; /* gvproxy waits for four octets of its own before the first frame */
	struct backoff backoff;
};

static struct datagram *datagram_of(struct port *port)
{
	return (struct datagram *)(void *)port;
}

static void datagram_close(struct port *port)
{
	struct datagram *d = datagram_of(port);
	if (d->fd >= 0)
		close(d->fd);
	if (d->probe >= 0)
		close(d->probe);
	if (d->own_path[0])
		unlink(d->own_path);
	batch_free(&d->batch);
	free(d);
}

/* Takes the descriptor, also when it fails. */
static struct datagram *datagram_new(const struct port_kind *kind, int fd, const struct port_settings *settings,
				     enum batch_extras extras, struct error *error)
{
	struct datagram *d = calloc(1, sizeof *d);
	if (d)
		*d = (struct datagram){ .port.kind = kind, .fd = fd, .probe = -1 };
	if (!d || !batch_new(&d->batch, settings->max_frame, extras)) {
		close(fd);
		free(d);
		return resource_error(error, "out of memory");
	}
	enlarge_buffers(fd);
	return d;
}

static int datagram_watch(struct port *port, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = datagram_of(port)->fd, .events = POLLIN };
	return 1;
}

/*
 * fd:N. The peer is a hypervisor that holds the other end of a socketpair: when that is closed nobody can ever open it
 * again, so the port is gone. Linux tells it only to a sender.
 */

static bool fd_receive(struct port *port, struct packet *packets, uint32_t max, uint32_t *got)
{
	struct datagram *d = datagram_of(port);
	int error = batch_receive(&d->batch, d->fd, packets, max, got);
	return is_borne(&port->errors, error) ||
	       port_gone(port, "the other end of the socket is gone: %s", strerror(error));
}

static bool fd_send(struct port *port, const struct packet *packets, uint32_t n, struct send_result *result)
{
	*result = (struct send_result){ 0 };
	int error = batch_send(datagram_of(port)->fd, packets, n, NULL, 0, result);
	return !means_away(error) || port_gone(port, "the other end of the socket is gone: %s", strerror(error));
}

static bool parse_descriptor(const char *text, int *fd)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 6 || text[digits])
		return false;
	*fd = (int)strtol(text, NULL, 10);
	return true;
}

int connected_unix_socket(int fd, struct error *error)
{
	struct stat status;
	struct sockaddr_storage name = { 0 };
	socklen_t name_length = sizeof name, type_length = sizeof(int);
	int type = 0;

	if (fstat(fd, &status) < 0)
		report_failure(error, "fd %d is not open: %s", fd, strerror(errno));
	else if (!S_ISSOCK(status.st_mode))
		report_failure(error, "fd %d is not a socket", fd);
	else if (getsockname(fd, (struct sockaddr *)&name, &name_length) < 0 ||
		 (name_length > 0 && name.ss_family != AF_UNIX)) /* macOS says nothing of sockets without a name */
		report_failure(error, "fd %d is a socket, but not an AF_UNIX one", fd);
	else if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) < 0 ||
		 (type != SOCK_DGRAM && type != SOCK_STREAM))
		report_failure(error, "fd %d is neither a datagram nor a stream socket", fd);
	else if (getpeername(fd, (struct sockaddr *)&name, &(socklen_t){ sizeof name }) < 0)
		report_failure(error, "fd %d is a socket that is not connected", fd);
	else
		return type;
	return 0;
}

static struct port *fd_open(const char *argument, const struct port_settings *settings, struct error *error)
{
	int number;
	if (!parse_descriptor(argument, &number))
		return usage_error(error, "\"fd:%.60s\": a descriptor is a number, as in fd:3", argument);
	int type = connected_unix_socket(number, error);
	if (!type)
		return NULL;
	/* A standard descriptor stays open as well: the next file must not get its number. */
	int fd = number > 2 ? number : duplicate_above_2(number);
	if (fd < 0 || !make_quiet(fd))
		return resource_error(error, "fd %d: %s", number, strerror(errno));
	if (type == SOCK_STREAM)
		return stream_open_fd(fd, settings, error);
	struct datagram *d = datagram_new(&fd_port, fd, settings, FRAMES_ALONE, error);
	return d ? &d->port : NULL;
}

const struct port_kind fd_port = {
	.name = "fd",
	.opens = OPENS_AT_ONCE,
	.form = "fd:N",
	.open = fd_open,
	.watch = datagram_watch,
	.service = nothing_to_service,
	.deadline_ms = no_deadline,
	.receive = fd_receive,
	.send = fd_send,
	.close = datagram_close,
};

struct port *port_open_pair(const struct port_settings *settings, int *peer_fd, struct error *error)
{
	int pair[2];
	*error = (struct error){ 0 };
	if (!unix_pair(SOCK_DGRAM, pair))
		return resource_error(error, "cannot make a socketpair: %s", strerror(errno));
	enlarge_buffers(pair[1]);
	/* Hypervisors expect to block when they send faster than we read; and theirs survives their exec. */
	int flags = fcntl(pair[1], F_GETFL);
	if (flags < 0 || fcntl(pair[1], F_SETFL, flags & ~O_NONBLOCK) < 0 || fcntl(pair[1], F_SETFD, 0) < 0) {
		close(pair[0]);
		close(pair[1]);
		return resource_error(error, "cannot prepare the guest's end of the socketpair: %s", strerror(errno));
	}
	struct datagram *d = datagram_new(&fd_port, pair[0], settings, FRAMES_ALONE, error);
	if (!d) {
		close(pair[1]);
		return NULL;
	}
	*peer_fd = pair[1];
	snprintf(d->port.name, sizeof d->port.name, "pair");
	return &d->port;
}

/*
 * unixgram:PATH on the guest's side. We own PATH; the guest is the first sender, known by the path it sends from, until
 * that path is dead. Another local process that writes to PATH meanwhile is not heard.
 */

static bool same_peer(const struct datagram *d, const struct sockaddr_un *source, socklen_t length)
{
	return length == d->peer_length && memcmp(source, &d->peer, length) == 0;
}

static bool peer_is_dead(const struct datagram *d)
{
	const struct sockaddr *nobody = &(struct sockaddr){ .sa_family = AF_UNSPEC };
	if (d->probe < 0)
		return false;
	bool dead = connect(d->probe, (const struct sockaddr *)&d->peer, d->peer_length) < 0 &&
		    (errno == ECONNREFUSED || errno == ENOENT);
	(void)connect(d->probe, nobody, sizeof *nobody);
	return dead;
}

/* It is there; that it cannot be answered is known only when something is sent. */
static void hear_peer(struct datagram *d)
{
	if (!means_refused(d->refusal)) {
		d->refusal = 0;
		d->port.away[0] = '\0';
	}
}

/* What became of sending to it; 0: it takes frames. Told when it changes. */
static void note_refusal(struct datagram *d, int error)
{
	if (error == d->refusal)
		return;
	d->refusal = error;
	d->port.away[0] = '\0';
	if (means_refused(error))
		explain_refusal_of_path(d->peer.sun_path, error, d->port.away);
	else if (error != 0)
		snprintf(d->port.away, sizeof d->port.away, "nobody is at %.108s: %s; waiting for the guest",
			 d->peer.sun_path, strerror(error));
	if (error != 0)
		port_tell(&d->port, "%s", d->port.away);
}

/* Is this datagram from the guest? *asked bounds the question about the old peer to one for each batch. */
static bool from_our_guest(struct datagram *d, const struct sockaddr_un *source, socklen_t length, bool *asked)
{
	if (length <= offsetof(struct sockaddr_un, sun_path)) {
		if (!d->told_unnamed)
			port_tell(&d->port,
				  "frames from a socket without a name are ignored: it could not be answered");
		d->told_unnamed = true;
		return false;
	}
	if (same_peer(d, source, length)) {
		hear_peer(d);
		return true;
	}
	if (d->peer_length && (*asked || !peer_is_dead(d))) {
		*asked = true;
		return false;
	}
	d->peer = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(&d->peer, source, length);
	d->peer_length = length;
	hear_peer(d);
	return true;
}

static bool guest_receive(struct port *port, struct packet *packets, uint32_t max, uint32_t *got)
{
	struct datagram *d = datagram_of(port);
	uint32_t received, kept = 0;
	bool asked = false;

	*got = 0;
	int error = batch_receive(&d->batch, d->fd, packets, max, &received);
	if (!is_borne(&port->errors, error) && !means_away(error))
		return port_gone(port, "cannot receive: %s", strerror(error));
	for (uint32_t i = 0; i < received; i++)
		if (from_our_guest(d, &d->batch.sources[i], d->batch.source_lengths[i], &asked))
			packets[kept++] = packets[i];
	*got = kept;
	return true;
}

static bool guest_send(struct port *port, const struct packet *packets, uint32_t n, struct send_result *result)
{
	struct datagram *d = datagram_of(port);
	*result = (struct send_result){ 0 };
	if (d->peer_length)
		note_refusal(d, batch_send(d->fd, packets, n, &d->peer, d->peer_length, result));
	else
		result->full = n;
	return true;
}

static const struct port_kind unixgram_guest = {
	.name = "unixgram",
	.watch = datagram_watch,
	.service = nothing_to_service,
	.deadline_ms = no_deadline,
	.receive = guest_receive,
	.send = guest_send,
	.close = datagram_close,
};

static struct port *open_guest_path(const struct sockaddr_un *address, const struct socket_rights *rights,
				    const struct port_settings *settings, struct error *error)
{
	int fd = unix_socket(SOCK_DGRAM);
	if (fd < 0)
		return resource_error(error, "cannot make a socket: %s", strerror(errno));
	if (!bind_with_rights(fd, SOCK_DGRAM, address, rights, error)) {
		close(fd);
		return NULL;
	}
	struct datagram *d = datagram_new(&unixgram_guest, fd, settings, WITH_SOURCES, error);
	if (!d) {
		unlink(address->sun_path);
		return NULL;
	}
	copy_text(d->own_path, sizeof d->own_path, address->sun_path);
	d->probe = unix_socket(SOCK_DGRAM);
	snprintf(d->port.away, sizeof d->port.away, "nobody has sent to %.108s yet", d->own_path);
	return &d->port;
}

/*
 * unixgram:PATH on the uplink's side. PATH belongs to the network's program; ours is PATH.softnet-PID, because that
 * program answers to the path that a frame came from. Connected, so that the kernel lets nobody else send to us.
 */

static void greet(struct datagram *d)
{
	if (d->greets)
		(void)send(d->fd, "VFKT", 4, MSG_DONTWAIT);
}

static void uplink_lost(struct datagram *d, int error)
{
	snprintf(d->port.away, sizeof d->port.away, "nobody is at %.108s: %s; trying again", d->peer.sun_path,
		 strerror(error));
	if (!d->lost)
		port_tell(&d->port, "%s", d->port.away);
	d->lost = true;
}

static bool uplink_service(struct port *port, uint64_t now_ms)
{
	struct datagram *d = datagram_of(port);
	if (!d->lost || now_ms < d->backoff.next_ms)
		return true;
	if (!unix_connect(d->fd, &d->peer, 0)) {
		backoff_failed(&d->backoff, now_ms);
		return true;
	}
	d->lost = false;
	port->away[0] = '\0';
	d->backoff = (struct backoff){ 0 };
	port_tell(port, "connected to %s again", d->peer.sun_path);
	greet(d);
	return true;
}

static uint64_t uplink_deadline(const struct port *port)
{
	const struct datagram *d = (const struct datagram *)(const void *)port;
	return d->lost ? d->backoff.next_ms : UINT64_MAX;
}

static bool uplink_receive(struct port *port, struct packet *packets, uint32_t max, uint32_t *got)
{
	struct datagram *d = datagram_of(port);
	int error = batch_receive(&d->batch, d->fd, packets, max, got);
	if (!is_borne(&port->errors, error) && !means_away(error))
		return port_gone(port, "cannot receive: %s", strerror(error));
	if (means_away(error))
		uplink_lost(d, error);
	return true;
}

static bool uplink_send(struct port *port, const struct packet *packets, uint32_t n, struct send_result *result)
{
	struct datagram *d = datagram_of(port);
	*result = (struct send_result){ 0 };
	if (d->lost) {
		result->full = n;
		return true;
	}
	int error = batch_send(d->fd, packets, n, NULL, 0, result);
	if (means_away(error))
		uplink_lost(d, error);
	return true;
}

static const struct port_kind unixgram_uplink = {
	.name = "unixgram",
	.watch = datagram_watch,
	.service = uplink_service,
	.deadline_ms = uplink_deadline,
	.receive = uplink_receive,
	.send = uplink_send,
	.segment = path_segment,
	.close = datagram_close,
};

static struct port *open_uplink_path(const struct sockaddr_un *address, bool greets, const struct socket_rights *rights,
				     const struct port_settings *settings, struct error *error)
{
	char path[sizeof address->sun_path + 24];
	struct sockaddr_un own;
	int length = snprintf(path, sizeof path, "%s.softnet-%ld", address->sun_path, (long)getpid());
	if (!unix_address(&own, path, (size_t)length, error))
		return NULL;

	int fd = unix_socket(SOCK_DGRAM);
	if (fd < 0)
		return resource_error(error, "cannot make a socket: %s", strerror(errno));
	if (!bind_with_rights(fd, SOCK_DGRAM, &own, rights, error)) {
		close(fd);
		return NULL;
	}
	struct datagram *d = datagram_new(&unixgram_uplink, fd, settings, FRAMES_ALONE, error);
	if (!d) {
		unlink(own.sun_path);
		return NULL;
	}
	copy_text(d->own_path, sizeof d->own_path, own.sun_path);
	d->peer = *address;
	d->greets = greets;
	if (!unix_connect(fd, address, PATIENCE_MS)) {
		report_failure(error, "cannot connect to %s: %s", address->sun_path, strerror(errno));
		datagram_close(&d->port);
		return NULL;
	}
	greet(d);
	return &d->port;
}

/* PATH[,vfkit][,owner=USER][,group=GROUP][,mode=MODE] */
static bool parse_argument(const char *argument, enum port_side side, bool *greets, struct socket_rights *rights,
			   struct error *error)
{
	for (const char *rest = strchr(argument, ','); rest && *rest == ','; rest += strcspn(rest, ",")) {
		rest++;
		size_t length = strcspn(rest, ",");
		bool is_vfkit = length == 5 && strncmp(rest, "vfkit", length) == 0;
		*greets |= is_vfkit;
		if (is_vfkit && side == GUEST_SIDE)
			return refuse(error, "\"unixgram:%.120s\": \",vfkit\" is for the uplink's side", argument);
		if (!is_vfkit && !take_socket_right(rights, rest, length, error))
			return false;
	}
	return true;
}

static struct port *unixgram_open(const char *argument, const struct port_settings *settings, struct error *error)
{
	struct sockaddr_un address;
	struct socket_rights rights = { .has_owner = false };
	bool greets = false;
	if (!parse_argument(argument, settings->side, &greets, &rights, error) ||
	    !unix_address(&address, argument, strcspn(argument, ","), error))
		return NULL;
	return settings->side == GUEST_SIDE ? open_guest_path(&address, &rights, settings, error)
					    : open_uplink_path(&address, greets, &rights, settings, error);
}

const struct port_kind unixgram_port = {
	.name = "unixgram",
	.opens = OPENS_AS_PATH,
	.form = "unixgram:PATH[,vfkit][,owner=USER][,group=GROUP][,mode=MODE]",
	.open = unixgram_open,
	.segment = path_segment, /* of one that is yet to be opened; each side has its kind then */
};
