/* The embedded NAT: libslirp in a process of its own, frames to and fro as datagrams. This is the judge's end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "port/io.h"
#include "port/slirp/slirp.h"

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
enum { HELLO_MS = 5000, CLOSE_MS = 1000 };

struct forwarding {
	bool used, has_news; /* has_news: exposed() has not told the result yet */
	struct slirp_message message;
	struct expose_result result;
};

struct slirp {
	struct port port;
	int frames, control;
	pid_t keeper;
	struct batch batch;
	unsigned control_errors; /* in a row */
	bool ipv6, host_only, has_notes, leaves_cut;

	uint32_t generation;                                    /* of the worker that runs; 0 before the first hello */
	char cause[sizeof(((struct slirp_message *)0)->cause)]; /* why the last one ended */
	uint32_t last_number;                                   /* of a forwarding */
	struct forwarding forwardings[FORWARDINGS_MAX];
	struct slirp_message inbox;
	size_t inbox_octets;
};

static struct slirp *slirp_of(struct port *port)
{
	return (struct slirp *)(void *)port;
}

/* Forwardings */

static bool same_listener(const struct expose *a, const struct expose *b)
{
	return a->protocol == b->protocol && same_address(a->external, b->external) &&
	       a->external_port == b->external_port && a->ports == b->ports;
}

static struct forwarding *find_forwarding(struct slirp *s, const struct expose *expose)
{
	for (int i = 0; i < FORWARDINGS_MAX; i++)
		if (s->forwardings[i].used && same_listener(&s->forwardings[i].message.expose, expose))
			return &s->forwardings[i];
	return NULL;
}

static struct forwarding *find_number(struct slirp *s, uint32_t number)
{
	for (int i = 0; i < FORWARDINGS_MAX; i++)
		if (s->forwardings[i].used && s->forwardings[i].message.number == number)
			return &s->forwardings[i];
	return NULL;
}

static struct forwarding *free_forwarding(struct slirp *s)
{
	for (int i = 0; i < FORWARDINGS_MAX; i++)
		if (!s->forwardings[i].used)
			return &s->forwardings[i];
	return NULL;
}

/* Without a worker nothing is sent: the next hello repeats what stands in the table. */
static bool send_message(struct slirp *s, enum slirp_word word, const struct slirp_message *message)
{
	struct slirp_message m = *message;
	if (s->generation == 0)
		return true;
	m.word = word;
	m.generation = s->generation;
	struct iovec part = { &m, sizeof m };
	return stream_write(s->control, &part, 1) == (ssize_t)sizeof m;
}

static void note_result(struct forwarding *f, int error, uint16_t port)
{
	f->result = (struct expose_result){ f->message.expose, error, port };
	f->has_news = true;
}

/* A worker that reads no message hangs, and the port can only say that it does not get through. */
static void ask_for(struct slirp *s, struct forwarding *f)
{
	if (!send_message(s, SLIRP_ADD, &f->message))
		note_result(f, EIO, f->message.expose.external_port);
}

static void add_forwarding(struct slirp *s, const struct expose *expose, struct address guest)
{
	struct forwarding *f = free_forwarding(s);
	if (!f || find_forwarding(s, expose)) {
		port_tell(&s->port, "port %u cannot be exposed twice, nor more than %d", expose->external_port,
			  FORWARDINGS_MAX);
		return;
	}
	*f = (struct forwarding){ .used = true };
	f->message.number = ++s->last_number;
	f->message.expose = *expose;
	f->message.guest = guest;
	ask_for(s, f);
}

static void slirp_expose(struct port *port, const struct expose *expose, struct address guest, bool add)
{
	struct slirp *s = slirp_of(port);
	struct forwarding *f = find_forwarding(s, expose);
	if (add)
		add_forwarding(s, expose, guest);
	else if (f) {
		f->used = false;
		if (!send_message(s, SLIRP_REMOVE, &f->message))
			port_tell(port, "port %u stays exposed: slirp does not answer", expose->external_port);
	}
}

static bool slirp_exposed(struct port *port, struct expose_result *result)
{
	struct slirp *s = slirp_of(port);
	for (int i = 0; i < FORWARDINGS_MAX; i++) {
		struct forwarding *f = &s->forwardings[i];
		if (!f->used || !f->has_news)
			continue;
		*result = f->result;
		f->has_news = false;
		f->used = f->result.error == 0;
		return true;
	}
	return false;
}

/* Control */

/* A worker that reads no message hangs, and is replaced: the next hello says it again. */
static void leave_cut(struct slirp *s)
{
	static const struct slirp_message nothing_more;
	(void)send_message(s, SLIRP_LEAVE_CUT, &nothing_more);
}

static void slirp_stop_offload(struct port *port)
{
	struct slirp *s = slirp_of(port);
	s->leaves_cut = true;
	leave_cut(s);
}

static void take_hello(struct slirp *s, const struct slirp_message *m)
{
	s->generation = m->generation;
	s->port.away[0] = '\0';
	if (m->generation > 1)
		port_tell(&s->port, "slirp ended (%.140s) and was started again; its connections are lost", m->cause);
	if (s->leaves_cut)
		leave_cut(s);
	for (int i = 0; i < FORWARDINGS_MAX; i++)
		if (s->forwardings[i].used)
			ask_for(s, &s->forwardings[i]);
}

static void take_result(struct slirp *s, const struct slirp_message *m)
{
	struct forwarding *f = find_number(s, m->number);
	if (f && m->generation == s->generation)
		note_result(f, m->error, m->failed_port);
}

/* The hello of the next one tells it as news; until then the state is that nobody is there. */
static void take_end(struct slirp *s, const struct slirp_message *m)
{
	copy_text(s->cause, sizeof s->cause, m->cause);
	if (s->generation > 0)
		snprintf(s->port.away, sizeof s->port.away, "slirp ended (%.140s); it is being started again", m->cause);
}

static bool read_control(struct slirp *s)
{
	for (;;) {
		ssize_t n = read(s->control, (char *)&s->inbox + s->inbox_octets, sizeof s->inbox - s->inbox_octets);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || !is_borne(&s->control_errors, n > 0 || means_full(errno) ? 0 : errno))
			return port_gone(&s->port, "the processes of slirp are gone");
		if (n < 0)
			return true;
		s->inbox_octets += (size_t)n;
		if (s->inbox_octets < sizeof s->inbox)
			continue;
		s->inbox_octets = 0;
		s->inbox.cause[sizeof s->inbox.cause - 1] = 0;
		if (s->inbox.word == SLIRP_HELLO)
			take_hello(s, &s->inbox);
		else if (s->inbox.word == SLIRP_ENDED)
			take_end(s, &s->inbox);
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
	return is_borne(&port->errors, error) || port_gone(port, "the processes of slirp are gone: %s", strerror(error));
}

static bool slirp_send(struct port *port, const struct packet *packets, uint32_t n, struct send_result *result)
{
	const struct slirp *s = slirp_of(port);
	*result = (struct send_result){ 0 };
	int error = s->has_notes ? batch_send_noted(s->frames, packets, n, result)
				 : batch_send(s->frames, packets, n, NULL, 0, result);
	return !means_away(error) || port_gone(port, "the processes of slirp are gone: %s", strerror(error));
}

static void slirp_anchors(const struct port *port, struct anchors *anchors)
{
	const struct slirp *s = (const struct slirp *)(const void *)port;
	*anchors = (struct anchors){ 0 };
	set_add(&anchors->host, address_of_ipv4(SLIRP_HOST));
	set_add(&anchors->servers, address_of_ipv4(SLIRP_HOST));
	/* The resolver has a MAC address of its own, and guests send to it. */
	mac_set_add(&anchors->gateway_macs, SLIRP_HOST_MAC);
	mac_set_add(&anchors->gateway_macs, SLIRP_RESOLVER_MAC);
	if (!s->host_only)
		set_add(&anchors->resolvers, address_of_ipv4(SLIRP_RESOLVER));
	if (!s->ipv6)
		return;
	set_add(&anchors->host, (struct address){ SLIRP_PREFIX6, SLIRP_HOST6 });
	set_add(&anchors->host, (struct address){ 0xfe80000000000000ULL, SLIRP_HOST6 });
	set_add(&anchors->servers, (struct address){ SLIRP_PREFIX6, SLIRP_HOST6 }); /* it answers DHCPv6 from there */
	mac_set_add(&anchors->gateway_macs, SLIRP_HOST_MAC6);
	mac_set_add(&anchors->gateway_macs, SLIRP_RESOLVER_MAC6);
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

static bool start_keeper(struct slirp *s, const struct port_settings *settings, struct error *error)
{
	int frames[2], control[2];
	if (!unix_pair(SOCK_DGRAM, frames))
		return report_failure(error, "cannot make a socketpair: %s", strerror(errno));
	if (!unix_pair(SOCK_STREAM, control)) {
		close(frames[0]);
		close(frames[1]);
		return report_failure(error, "cannot make a socketpair: %s", strerror(errno));
	}
	enlarge_buffers(frames[0]);
	enlarge_buffers(frames[1]);
	s->frames = frames[0];
	s->control = control[0];

	struct slirp_child child = {
		.frames = frames[1],
		.control = control[1],
		.mtu = settings->max_frame - 14,
		.longest = longest_frame(settings),
		.cuts = settings->cuts != 0,
		.host_loopback = settings->host_loopback,
		.host_only = settings->host_only,
		.ipv6 = settings->ipv6,
		.sandbox_off = settings->sandbox_off,
		.guest_mac = settings->guest_mac,
	};
	int parent = getpid();
	s->keeper = settings->sandbox_off ? fork() : fork_apart();
	if (s->keeper == 0)
		slirp_keep(&child, parent);
	int saved = errno;
	s->port.child = s->keeper;
	close(frames[1]);
	close(control[1]);
	if (s->keeper < 0)
		report_failure(error, "cannot start slirp: %s", strerror(saved));
	return s->keeper > 0;
}

static bool await_hello(struct slirp *s, struct error *error)
{
	for (int waited = 0; waited < HELLO_MS; waited += 100) {
		struct pollfd p = { .fd = s->control, .events = POLLIN };
		poll(&p, 1, 100);
		if (!read_control(s))
			break;
		if (s->generation)
			return true;
	}
	if (s->cause[0] == '\0')
		copy_text(s->cause, sizeof s->cause, s->port.gone[0] != '\0' ? s->port.gone : "nobody answers for 5 s");
	report_failure(error, "slirp does not start: %.120s", s->cause);
	return false;
}

static struct port *slirp_open(const char *argument, const struct port_settings *settings, struct error *error)
{
	if (argument[0])
		return usage_error(error, "\"slirp:%.60s\": slirp takes no argument", argument);
	if (settings->side != UPLINK_SIDE)
		return usage_error(error, "slirp is a network, not a guest");
	if (settings->max_frame < 14 + 576 || settings->max_frame > 14 + 65520)
		return usage_error(error, "slirp has no MTU of %u (576 to 65520)", settings->max_frame - 14);
	struct slirp *s = calloc(1, sizeof *s);
	if (!s)
		return resource_error(error, "out of memory");
	*s = (struct slirp){ .port.kind = &slirp_port,
			     .frames = -1,
			     .control = -1,
			     .ipv6 = settings->ipv6,
			     .host_only = settings->host_only,
			     .has_notes = settings->cuts != 0 };
	copy_text(s->port.name, sizeof s->port.name, "slirp"); /* it may have something to tell before it is open */
	if (!batch_new(&s->batch, longest_frame(settings), settings->cuts ? WITH_NOTES : FRAMES_ALONE))
		report_failure(error, "out of memory");
	else if (start_keeper(s, settings, error) && await_hello(s, error))
		return &s->port;
	slirp_close(&s->port);
	return NULL;
}

const struct port_kind slirp_port = {
	.name = "slirp",
	.opens = OPENS_WITHOUT_RIGHTS,
	.can_be_host_only = true,
	.listens_here = true,
	.names_resolvers = true,
	.cuts = CUTS_TCP4, /* of IPv6 libslirp takes no packet that is longer than the MTU */
	.form = "slirp",
	.open = slirp_open,
	.watch = slirp_watch,
	.service = slirp_service,
	.deadline_ms = no_deadline,
	.receive = slirp_receive,
	.send = slirp_send,
	.stop_offload = slirp_stop_offload,
	.anchors = slirp_anchors,
	.expose = slirp_expose,
	.exposed = slirp_exposed,
	.close = slirp_close,
};
