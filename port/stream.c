/* Frames on an AF_UNIX stream, each behind its length in four octets, the highest first: QEMU, passt, socket_vmnet. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "port/socket_rights.h"
#include "port/stream_parcel.h"

/*
 * How this works. One connection at a time, or none (fd -1). What was read stands in `in` between in_begin and in_end;
 * packets point into it, so it is moved only when no frame of it is in the caller's hands. What the kernel took a part
 * of stands in `out` between out_begin and out_end and goes first; it is never more than the rest of one frame.
 *
 *   guest, path   listens; takes one client, then waits for the next
 *   uplink, path  connects; when that is lost, connects again
 *   fd            one connection; when that is lost, the port is gone
 */
enum {
	IN_SIZE = 256 << 10,
	LENGTH_MAX = 14 + 4 + 65535, /* a VLAN tag and the longest IP packet; more is not a length but garbage */
	ACCEPT_MAX = 8,              /* connections looked at in one service() */
	STABLE_MS = 2000,            /* a connection that lasted as long was a good one: no waiting before the next */
};

enum role { LISTENS, CONNECTS, INHERITED };

struct stream {
	struct port port;
	enum role role;
	int fd, listener;
	struct sockaddr_un address;
	uint32_t max_frame;

	uint8_t *in;
	uint32_t in_begin, in_end;
	uint32_t skip; /* octets to come of a frame that was too long and is already delivered as truncated */

	uint8_t *out;
	uint32_t out_begin, out_end;

	bool lost; /* CONNECTS: nothing was done about it yet */
	uint64_t connected_ms;
	struct backoff backoff;
};

static struct stream *stream_of(struct port *port)
{
	return (struct stream *)(void *)port;
}

static const char *other_side(const struct stream *s)
{
	return s->role == LISTENS ? "guest" : "uplink";
}

/* The connection is over. False when that is the end of the port. */
static bool hang_up(struct stream *s, const char *why)
{
	close(s->fd);
	s->fd = -1;
	s->in_begin = s->in_end = s->skip = 0;
	s->out_begin = s->out_end = 0;
	s->lost = s->role == CONNECTS;
	if (s->role == INHERITED)
		return port_gone(&s->port, "%s", why);
	snprintf(s->port.away, sizeof s->port.away, "%s; waiting for the %s", why, other_side(s));
	port_tell(&s->port, "%s", s->port.away);
	return true;
}

/* Receiving */

static bool is_length(uint32_t length)
{
	return length > 0 && length <= LENGTH_MAX;
}

static void skip_rest(struct stream *s)
{
	uint32_t have = s->in_end - s->in_begin, n = s->skip < have ? s->skip : have;
	s->skip -= n;
	s->in_begin += n;
}

/* How many octets of the frame that begins here are wanted, 0 when they are not all there. */
static uint32_t wanted_octets(const struct stream *s, uint32_t length)
{
	uint32_t wanted = length > s->max_frame ? s->max_frame + 1 : length;
	return s->in_end - s->in_begin - PREFIX >= wanted ? wanted : 0;
}

/* Takes whole frames. False when something stands there that cannot be a length. */
static bool take_frames(struct stream *s, struct packet *packets, uint32_t max, uint32_t *got)
{
	while (*got < max) {
		skip_rest(s);
		if (s->in_end - s->in_begin < PREFIX)
			return true;
		uint32_t length = length_at(s->in + s->in_begin);
		if (!is_length(length))
			return false;
		uint32_t wanted = wanted_octets(s, length);
		if (!wanted)
			return true;
		packets[(*got)++] = (struct packet){ .bytes = s->in + s->in_begin + PREFIX,
						     .length = wanted,
						     .truncated = length > s->max_frame };
		s->in_begin += PREFIX + wanted;
		s->skip = length - wanted;
	}
	return true;
}

/* Does the buffer hold what a receive would give without reading? */
static bool frame_is_buffered(const struct stream *s)
{
	if (s->skip >= s->in_end - s->in_begin)
		return false;
	if (s->skip)
		return true; /* a little too eager: the next receive finds out */
	if (s->in_end - s->in_begin < PREFIX)
		return false;
	uint32_t length = length_at(s->in + s->in_begin);
	return !is_length(length) || wanted_octets(s, length);
}

static void move_to_front(struct stream *s)
{
	if (s->in_begin)
		memmove(s->in, s->in + s->in_begin, s->in_end - s->in_begin);
	s->in_end -= s->in_begin;
	s->in_begin = 0;
}

/* True when something was read; *over says why when nothing will ever come again. */
static bool fill(struct stream *s, const char **over)
{
	ssize_t n;
	do
		n = read(s->fd, s->in + s->in_end, IN_SIZE - s->in_end);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		s->in_end += (uint32_t)n;
	if (n == 0)
		*over = "the other end closed the stream";
	else if (!is_borne(&s->port.errors, n > 0 || means_full(errno) ? 0 : errno))
		*over = strerror(errno);
	return n > 0;
}

static bool stream_receive(struct port *port, struct packet *packets, uint32_t max, uint32_t *got)
{
	struct stream *s = stream_of(port);
	const char *over = NULL;

	*got = 0;
	if (s->fd < 0)
		return s->role != INHERITED;
	bool intact = take_frames(s, packets, max, got);
	if (intact && *got == 0)
		move_to_front(s);
	/* Behind frames that the caller holds, read only where there is room for more than a scrap. */
	if (intact && *got < max && IN_SIZE - s->in_end >= IN_SIZE / 4 && fill(s, &over))
		intact = take_frames(s, packets, max, got);
	if (!intact)
		over = "the stream broke: no frame has such a length";
	else if (*got > 0)
		return true; /* these first: an end is still there at the next receive */
	return !over || hang_up(s, over) || *got > 0;
}

/* Sending */

/* True when nothing of an earlier frame is left. */
static bool flush_rest(struct stream *s, int *error)
{
	while (s->out_begin < s->out_end) {
		struct iovec rest = { s->out + s->out_begin, s->out_end - s->out_begin };
		ssize_t n = stream_write(s->fd, &rest, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*error = means_full(errno) ? 0 : errno;
			return false;
		}
		s->out_begin += (uint32_t)n;
	}
	s->out_begin = s->out_end = 0;
	return true;
}

/* What was not taken of a frame, `from` octets of it and its length in front. */
static void keep_rest(struct stream *s, const struct packet *packet, size_t from)
{
	uint8_t *whole = s->out;
	write_length(whole, packet->length);
	memcpy(whole + PREFIX, packet->bytes, packet->length);
	s->out_begin = (uint32_t)from;
	s->out_end = PREFIX + packet->length;
}

/* After a write of `written` octets: counts the frames that went, and keeps the rest of the one that was cut. */
static void account(struct stream *s, const struct parcel *parcel, size_t written, struct send_result *result)
{
	for (uint32_t i = 0; i < parcel->frame_count; i++) {
		size_t whole = PREFIX + parcel->frames[i]->length;
		if (written == 0) {
			result->full += parcel->frame_count - i;
			return;
		}
		result->sent++;
		if (written < whole)
			keep_rest(s, parcel->frames[i], written);
		written -= written < whole ? written : whole;
	}
}

/* Up to RUN_MAX frames in one call of the kernel. Gives 0 or the errno of a connection that is over. */
static int send_frames(struct stream *s, const struct packet *packets, uint32_t n, struct send_result *result)
{
	struct parcel parcel;
	parcel.part_count = 0;
	parcel.frame_count = 0;
	for (uint32_t i = 0; i < n; i++)
		if (packets[i].length == 0 || packets[i].length > s->max_frame)
			result->failed++;
		else
			add_frame(&parcel, &packets[i]);
	ssize_t written = 0;
	if (parcel.frame_count > 0)
		do
			written = stream_write(s->fd, parcel.parts, parcel.part_count);
		while (written < 0 && errno == EINTR);
	int error = written < 0 && !means_full(errno) ? errno : 0;
	account(s, &parcel, written < 0 ? 0 : (size_t)written, result);
	return error;
}

static bool stream_send(struct port *port, const struct packet *packets, uint32_t n, struct send_result *result)
{
	struct stream *s = stream_of(port);
	int error = 0;
	uint32_t at = 0;

	*result = (struct send_result){ 0 };
	while (at < n && s->fd >= 0 && flush_rest(s, &error)) {
		uint32_t some = n - at > RUN_MAX ? RUN_MAX : n - at;
		error = send_frames(s, packets + at, some, result);
		at += some;
		if (error)
			break;
	}
	result->full += n - at;
	if (error)
		return hang_up(s, strerror(error));
	return s->fd >= 0 || s->role != INHERITED;
}

/* Connecting */

/*
 * Whether somebody waits whom we may take: what a client left that has hung up is read first. Asked before accept(2), which makes a
 * socket before it finds that there is nobody.
 */
static bool may_accept(const struct stream *s)
{
	struct pollfd look[] = { { .fd = s->listener, .events = POLLIN },
				 { .fd = s->fd, .events = POLLHUP } }; /* macOS tells it only to a caller that asks */
	return poll(look, 2, 0) > 0 && (look[0].revents & POLLIN) && !(look[1].revents & (POLLHUP | POLLERR));
}

static void take_client(struct stream *s, int fd)
{
	if (s->fd >= 0 || !make_quiet(fd)) {
		close(fd);
		port_tell(&s->port, "a second connection was turned away");
		return;
	}
	enlarge_buffers(fd);
	s->fd = fd;
	s->port.away[0] = '\0';
	port_tell(&s->port, "the guest has connected");
}

/* Another guard that was given our path has asked whether anybody is there: it has come and gone without an octet. */
static bool was_a_question(int fd)
{
	char octet;
	return recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void accept_clients(struct stream *s)
{
	for (int i = 0; i < ACCEPT_MAX; i++) {
		if (!may_accept(s))
			return;
		int fd = move_above_2(accept(s->listener, NULL, NULL));
		if (fd < 0)
			return;
		if (was_a_question(fd))
			close(fd);
		else
			take_client(s, fd);
	}
}

static void connect_again(struct stream *s, uint64_t now_ms)
{
	if (s->lost) {
		s->lost = false;
		if (now_ms - s->connected_ms >= STABLE_MS)
			s->backoff = (struct backoff){ 0 };
		else
			backoff_failed(&s->backoff, now_ms);
	}
	if (now_ms < s->backoff.next_ms)
		return;
	int fd = unix_socket(SOCK_STREAM);
	if (fd < 0 || !unix_connect(fd, &s->address, 0)) {
		if (fd >= 0)
			close(fd);
		backoff_failed(&s->backoff, now_ms);
		return;
	}
	enlarge_buffers(fd);
	s->fd = fd;
	s->connected_ms = now_ms;
	s->port.away[0] = '\0';
	port_tell(&s->port, "connected to %s again", s->address.sun_path);
}

static bool stream_service(struct port *port, uint64_t now_ms)
{
	struct stream *s = stream_of(port);
	int error = 0;

	if (s->listener >= 0)
		accept_clients(s);
	if (s->role == CONNECTS && s->fd < 0)
		connect_again(s, now_ms);
	if (s->fd >= 0 && !flush_rest(s, &error) && error)
		return hang_up(s, strerror(error));
	return s->fd >= 0 || s->role != INHERITED;
}

static uint64_t stream_deadline(const struct port *port)
{
	const struct stream *s = (const struct stream *)(const void *)port;
	if (s->role == CONNECTS && s->fd < 0)
		return s->lost ? 0 : s->backoff.next_ms;
	if (s->fd < 0)
		return s->role == INHERITED ? 0 : UINT64_MAX;
	return frame_is_buffered(s) ? 0 : UINT64_MAX;
}

static int stream_watch(struct port *port, struct pollfd *fds)
{
	const struct stream *s = stream_of(port);
	int n = 0;
	if (s->listener >= 0)
		fds[n++] = (struct pollfd){ .fd = s->listener, .events = POLLIN };
	if (s->fd >= 0) {
		short out = s->out_begin < s->out_end ? POLLOUT : 0;
		fds[n++] = (struct pollfd){ .fd = s->fd, .events = (short)(POLLIN | out) };
	}
	return n;
}

static void stream_close(struct port *port)
{
	struct stream *s = stream_of(port);
	if (s->fd >= 0)
		close(s->fd);
	if (s->listener >= 0) {
		close(s->listener);
		unlink(s->address.sun_path);
	}
	free(s->in);
	free(s->out);
	free(s);
}

static const struct port_kind stream_fd_kind;

static struct stream *stream_new(enum role role, const struct port_settings *settings, struct error *error)
{
	struct stream *s = calloc(1, sizeof *s);
	if (!s)
		return resource_error(error, "out of memory");
	*s = (struct stream){ .port.kind = role == INHERITED ? &stream_fd_kind : &stream_port,
			      .role = role,
			      .fd = -1,
			      .listener = -1,
			      .max_frame = settings->max_frame };
	s->in = malloc(IN_SIZE);
	s->out = malloc(PREFIX + settings->max_frame);
	if (s->in && s->out)
		return s;
	stream_close(&s->port);
	return resource_error(error, "out of memory");
}

struct port *stream_open_fd(int fd, const struct port_settings *settings, struct error *error)
{
	struct stream *s = stream_new(INHERITED, settings, error);
	if (!s) {
		close(fd);
		return NULL;
	}
	enlarge_buffers(fd);
	s->fd = fd;
	return &s->port;
}

static bool start_listening(struct stream *s, const struct socket_rights *rights, struct error *error)
{
	int fd = unix_socket(SOCK_STREAM);
	if (fd < 0)
		return report_failure(error, "cannot make a socket: %s", strerror(errno));
	if (!bind_with_rights(fd, SOCK_STREAM, &s->address, rights, error)) {
		close(fd);
		return false;
	}
	s->listener = fd;
	snprintf(s->port.away, sizeof s->port.away, "nobody has connected to %s yet", s->address.sun_path);
	return listen(fd, ACCEPT_MAX) == 0 ||
	       report_failure(error, "cannot listen on %s: %s", s->address.sun_path, strerror(errno));
}

static bool start_connecting(struct stream *s, struct error *error)
{
	s->fd = unix_socket(SOCK_STREAM);
	if (s->fd < 0 || !unix_connect(s->fd, &s->address, PATIENCE_MS))
		return report_failure(error, "cannot connect to %s: %s", s->address.sun_path, strerror(errno));
	enlarge_buffers(s->fd);
	return true;
}

/* PATH[,owner=USER][,group=GROUP][,mode=MODE], the options where we listen. */
static bool parse_argument(struct stream *s, const char *argument, struct socket_rights *rights, struct error *error)
{
	size_t length = strcspn(argument, ",");
	if (argument[length] == ',' && s->role == CONNECTS)
		return refuse(error, "\"stream:%.120s\": nothing follows the path on the uplink's side, %s", argument,
			      "where the socket is the other program's");
	return unix_address(&s->address, argument, length, error) && take_socket_rights(rights, argument + length, error);
}

static struct port *stream_open(const char *argument, const struct port_settings *settings, struct error *error)
{
	struct socket_rights rights = { .has_owner = false };
	struct stream *s = stream_new(settings->side == GUEST_SIDE ? LISTENS : CONNECTS, settings, error);
	if (!s)
		return NULL;
	if (parse_argument(s, argument, &rights, error) &&
	    (s->role == LISTENS ? start_listening(s, &rights, error) : start_connecting(s, error)))
		return &s->port;
	stream_close(&s->port);
	return NULL;
}

#define STREAM_FUNCTIONS \
	.watch = stream_watch, .service = stream_service, .deadline_ms = stream_deadline, .receive = stream_receive, \
	.send = stream_send, .close = stream_close

const struct port_kind stream_port = {
	.name = "stream",
	.opens = OPENS_AS_PATH,
	.form = "stream:PATH[,owner=USER][,group=GROUP][,mode=MODE]",
	.open = stream_open,
	.segment = path_segment,
	STREAM_FUNCTIONS,
};

static const struct port_kind stream_fd_kind = {
	.name = "fd",
	.form = "fd:N",
	STREAM_FUNCTIONS,
};
