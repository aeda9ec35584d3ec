/* The embedded NAT: libslirp in a process of its own, frames to and fro as datagrams. This is the judge's end. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "io.h"
#include "slirp.h"

/*
 * How this works. libslirp parses what a hostile guest sends, and opens the sockets that the guest asks for. Neither
 * belongs in the process that judges, so opening this port forks:
 *
 *   judge ──┬── frames: datagrams, queued while a worker is away ──┬── worker: libslirp, may crash
 *           └── control: forwardings, results, hellos ─────────────┘      │ forked and replaced by
 *                                                                       keeper
 *
 * All of them end when the judge does. The keeper and the worker have the user and group ids that the judge had when
 * the port was opened, so privileges are to be dropped before.
 */
enum { EXPOSE_MAX = 64, HELLO_MS = 5000, CLOSE_MS = 1000 };

struct forwarding {
	bool used, told; /* told: the user has heard that it works */
	struct slirp_message message;
};

struct slirp {
	struct port port;
	int frames, control;
	pid_t keeper;
	struct batch batch;
	bool ipv6, host_only;

	uint32_t generation; /* of the worker that runs; 0 before the first hello */
	struct forwarding forwardings[EXPOSE_MAX];
	struct slirp_message inbox;
	size_t inbox_octets;
};

static struct slirp *slirp_of(struct port *port)
{
	return (struct slirp *)(void *)port;
}

/* Forwardings */

static void describe(const struct slirp_message *m, char *text, size_t size)
{
	char on[24] = "";
	if (m->external)
		snprintf(on, sizeof(on), " on %u.%u.%u.%u", m->external >> 24, m->external >> 16 & 255,
			 m->external >> 8 & 255, m->external & 255);
	snprintf(text, size, "%s port %u%s", m->protocol == IPPROTO_TCP ? "tcp" : "udp", m->external_port, on);
}

static struct forwarding *find_forwarding(struct slirp *s, const struct slirp_message *m)
{
	for (int i = 0; i < EXPOSE_MAX; i++) {
		struct forwarding *f = &s->forwardings[i];
		if (f->used && f->message.protocol == m->protocol && f->message.external == m->external &&
		    f->message.external_port == m->external_port)
			return f;
	}
	return NULL;
}

static struct forwarding *free_forwarding(struct slirp *s)
{
	for (int i = 0; i < EXPOSE_MAX; i++)
		if (!s->forwardings[i].used)
			return &s->forwardings[i];
	return NULL;
}

/* Without a worker nothing is sent: the next hello repeats what stands in the table. */
static bool send_message(struct slirp *s, const struct slirp_message *message)
{
	struct slirp_message m = *message;
	if (s->generation == 0)
		return true;
	m.generation = s->generation;
	struct iovec part = { &m, sizeof(m) };
	return stream_write(s->control, &part, 1) == (ssize_t)sizeof(m);
}

static void add_forwarding(struct slirp *s, const struct slirp_message *m, const char *what)
{
	struct forwarding *f = free_forwarding(s);
	if (find_forwarding(s, m))
		port_tell(&s->port, "cannot expose %s: it is exposed already", what);
	else if (!f)
		port_tell(&s->port, "cannot expose %s: %d ports are exposed, and that is the most", what, EXPOSE_MAX);
	else if (!send_message(s, m))
		port_tell(&s->port, "cannot expose %s: slirp does not answer", what);
	else
		*f = (struct forwarding){ .used = true, .message = *m };
}

static void remove_forwarding(struct slirp *s, const struct slirp_message *m, const char *what)
{
	struct forwarding *f = find_forwarding(s, m);
	if (!f) {
		port_tell(&s->port, "cannot close %s: it is not exposed", what);
		return;
	}
	f->used = false;
	if (!send_message(s, m))
		port_tell(&s->port, "cannot close %s: slirp does not answer", what);
}

static void slirp_expose(struct port *port, const struct expose *expose, struct address guest, bool add)
{
	struct slirp_message m = {
		.word = add ? SLIRP_ADD : SLIRP_REMOVE,
		.protocol = expose->protocol,
		.external_port = expose->external_port,
		.internal_port = expose->internal_port,
		.external = is_unset(expose->external) ? 0 : ipv4_of_address(expose->external),
		.guest = is_unset(guest) ? 0 : ipv4_of_address(guest),
	};
	char what[64];
	describe(&m, what, sizeof(what));
	if ((!is_unset(expose->external) && !is_ipv4(expose->external)) || (!is_unset(guest) && !is_ipv4(guest)))
		port_tell(port, "cannot expose %s: slirp forwards IPv4 only", what);
	else if (add)
		add_forwarding(slirp_of(port), &m, what);
	else
		remove_forwarding(slirp_of(port), &m, what);
}

/* Control */

static void take_hello(struct slirp *s, const struct slirp_message *m)
{
	s->generation = m->generation;
	if (m->generation > 1)
		port_tell(&s->port, "slirp ended (%.140s) and was started again; its connections are lost", m->cause);
	for (int i = 0; i < EXPOSE_MAX; i++)
		if (s->forwardings[i].used && !send_message(s, &s->forwardings[i].message))
			port_tell(&s->port, "cannot expose a port again: slirp does not answer");
}

static void take_result(struct slirp *s, const struct slirp_message *m)
{
	struct forwarding *f = find_forwarding(s, m);
	char what[64];
	describe(m, what, sizeof(what));
	if (m->generation != s->generation)
		return;
	if (m->word == SLIRP_REMOVE && m->error)
		port_tell(&s->port, "cannot close %s: %s", what, strerror(m->error));
	else if (m->word == SLIRP_REMOVE)
		port_tell(&s->port, "%s is closed", what);
	else if (m->error) {
		port_tell(&s->port, "cannot expose %s: %s", what, strerror(m->error));
		if (f)
			f->used = false;
	} else if (f && !f->told) {
		f->told = true;
		port_tell(&s->port, "%s is exposed as port %u of the guest", what, m->internal_port);
	}
}

static bool read_control(struct slirp *s)
{
	for (;;) {
		ssize_t n = read(s->control, (char *)&s->inbox + s->inbox_octets, sizeof(s->inbox) - s->inbox_octets);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && means_full(errno))
			return true;
		if (n <= 0)
			return port_gone(&s->port, "the processes of slirp are gone");
		s->inbox_octets += (size_t)n;
		if (s->inbox_octets < sizeof(s->inbox))
			continue;
		s->inbox_octets = 0;
		s->inbox.cause[sizeof(s->inbox.cause) - 1] = 0;
		if (s->inbox.word == SLIRP_HELLO)
			take_hello(s, &s->inbox);
		else
			take_result(s, &s->inbox);
	}
}

static bool slirp_service(struct port *port, uint64_t now_ms)
{
	(void)now_ms;
	return read_control(slirp_of(port));
}

static int slirp_watch(struct port *port, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = slirp_of(port)->frames, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = slirp_of(port)->control, .events = POLLIN };
	return 2;
}

/* Frames */

static bool slirp_receive(struct port *port, struct packet *packets, uint32_t max, uint32_t *got)
{
	struct slirp *s = slirp_of(port);
	int error = batch_receive(&s->batch, s->frames, packets, max, got);
	return error == 0 || port_gone(port, "the processes of slirp are gone: %s", strerror(error));
}

static bool slirp_send(struct port *port, const struct packet *packets, uint32_t n, struct send_result *result)
{
	*result = (struct send_result){ 0 };
	int error = batch_send(slirp_of(port)->frames, packets, n, NULL, 0, result);
	return error == 0 || port_gone(port, "the processes of slirp are gone: %s", strerror(error));
}

static void slirp_anchors(const struct port *port, struct anchors *anchors)
{
	const struct slirp *s = (const struct slirp *)(const void *)port;
	*anchors = (struct anchors){ 0 };
	set_add(&anchors->host, address_of_ipv4(SLIRP_HOST));
	set_add(&anchors->servers, address_of_ipv4(SLIRP_HOST));
	/* libslirp makes MAC addresses out of addresses: the resolver has one of its own, and guests send to it. */
	mac_set_add(&anchors->gateway_macs, 0x525500000000ULL | SLIRP_HOST);
	mac_set_add(&anchors->gateway_macs, 0x525500000000ULL | SLIRP_RESOLVER);
	if (!s->host_only)
		set_add(&anchors->resolvers, address_of_ipv4(SLIRP_RESOLVER));
	if (!s->ipv6)
		return;
	set_add(&anchors->host, (struct address){ SLIRP_PREFIX6, SLIRP_HOST6 });
	set_add(&anchors->host, (struct address){ 0xfe80000000000000ULL, SLIRP_HOST6 });
	set_add(&anchors->servers, (struct address){ SLIRP_PREFIX6, SLIRP_HOST6 }); /* it answers DHCPv6 from there */
	mac_set_add(&anchors->gateway_macs, 0x525600000000ULL | SLIRP_HOST6);
	mac_set_add(&anchors->gateway_macs, 0x525600000000ULL | SLIRP_RESOLVER6);
	if (!s->host_only)
		set_add(&anchors->resolvers, (struct address){ SLIRP_PREFIX6, SLIRP_RESOLVER6 });
}

/* Opening and closing */

/* The keeper sees the end of the control socket, ends the worker, then itself. */
static void await_keeper(pid_t keeper)
{
	for (int waited = 0; waited < CLOSE_MS; waited += 5) {
		if (waitpid(keeper, NULL, WNOHANG) != 0)
			return;
		poll(NULL, 0, 5);
	}
	kill(keeper, SIGKILL);
	while (waitpid(keeper, NULL, 0) < 0 && errno == EINTR)
		;
}

static void slirp_close(struct port *port)
{
	struct slirp *s = slirp_of(port);
	if (s->frames >= 0)
		close(s->frames);
	if (s->control >= 0)
		close(s->control);
	if (s->keeper > 0)
		await_keeper(s->keeper);
	batch_free(&s->batch);
	free(s);
}

static bool start_keeper(struct slirp *s, const struct port_settings *settings, struct port_error *error)
{
	int frames[2], control[2];
	if (!unix_pair(SOCK_DGRAM, frames))
		return resource_error(error, "cannot make a socketpair: %s", strerror(errno)) != NULL;
	if (!unix_pair(SOCK_STREAM, control)) {
		close(frames[0]);
		close(frames[1]);
		return resource_error(error, "cannot make a socketpair: %s", strerror(errno)) != NULL;
	}
	enlarge_buffers(frames[0]);
	enlarge_buffers(frames[1]);
	s->frames = frames[0];
	s->control = control[0];

	struct slirp_child child = {
		.frames = frames[1],
		.control = control[1],
		.mtu = settings->max_frame - 14,
		.host_loopback = settings->host_loopback,
		.host_only = settings->host_only,
		.ipv6 = settings->ipv6,
	};
	int parent = getpid();
	s->keeper = fork();
	if (s->keeper == 0)
		slirp_keep(&child, parent);
	int saved = errno;
	close(frames[1]);
	close(control[1]);
	if (s->keeper < 0)
		resource_error(error, "cannot start slirp: %s", strerror(saved));
	return s->keeper > 0;
}

static bool await_hello(struct slirp *s, struct port_error *error)
{
	for (int waited = 0; waited < HELLO_MS; waited += 100) {
		struct pollfd p = { .fd = s->control, .events = POLLIN };
		poll(&p, 1, 100);
		if (!read_control(s))
			break;
		if (s->generation)
			return true;
	}
	resource_error(error, "slirp does not start");
	return false;
}

static struct port *slirp_open(const char *argument, const struct port_settings *settings, struct port_error *error)
{
	if (argument[0])
		return usage_error(error, "\"slirp:%.60s\": slirp takes no argument", argument);
	if (settings->side != UPLINK_SIDE)
		return usage_error(error, "slirp is a network, not a guest");
	if (settings->max_frame < 14 + 576 || settings->max_frame > 14 + 65520)
		return usage_error(error, "slirp has no MTU of %u (576 to 65520)", settings->max_frame - 14);
	struct slirp *s = calloc(1, sizeof(*s));
	if (!s)
		return resource_error(error, "out of memory");
	*s = (struct slirp){ .port.kind = &slirp_port, .frames = -1, .control = -1,
			     .ipv6 = settings->ipv6, .host_only = settings->host_only };
	if (!batch_new(&s->batch, settings->max_frame, false))
		resource_error(error, "out of memory");
	else if (start_keeper(s, settings, error) && await_hello(s, error))
		return &s->port;
	slirp_close(&s->port);
	return NULL;
}

const struct port_kind slirp_port = {
	.name = "slirp",
	.form = "slirp",
	.open = slirp_open,
	.watch = slirp_watch,
	.service = slirp_service,
	.deadline_ms = no_deadline,
	.receive = slirp_receive,
	.send = slirp_send,
	.anchors = slirp_anchors,
	.expose = slirp_expose,
	.close = slirp_close,
};
