/* The worker: libslirp between the datagrams of the judge and the sockets of the host. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "port/checksum.h"
#include "port/io.h"
#include "port/slirp/slirp_join.h"
#include "port/slirp/slirp_library.h"
#include "port/slirp/slirp_udp.h"
#include "system/log.h"

enum {
	FRAMES,
	CONTROL,
	ERRORS,
	FIRST_SOCKET, /* places in the poll array */
	/* The limit of descriptors, so that there cannot be more: the guest's connections, and what is exposed. */
	SOCKETS_MAX = 1024 + SLIRP_FORWARDS_MAX,
	TIMERS_MAX = 4, /* libslirp has one: router advertisements */
};

struct timer {
	SlirpTimerCb call;
	void *argument;
	int64_t due_ms;
};

struct worker {
	const struct slirp_child *child;
	Slirp *slirp;
	struct batch batch, gathered;     /* from the judge, and to it */
	unsigned errors;                  /* in a row, of reading from it */
	struct packet packets[BATCH_MAX]; /* those that were gathered */
	uint32_t count_gathered;
	bool joins; /* segments of TCP, to fewer frames */
	uint32_t generation;
	struct pollfd fds[FIRST_SOCKET + SOCKETS_MAX];
	int count, first_udp; /* places in fds */
	struct udp_exposes udp;
	struct timer timers[TIMERS_MAX];
	uint64_t beat_ms;
	struct slirp_message inbox;
	size_t inbox_octets;
};

/* What libslirp asks of us */

/* A full queue loses frames, like any wire. Waiting would stop the other direction as well. */
static void send_gathered(struct worker *w)
{
	struct send_result unused = { 0 };
	if (w->count_gathered > 0 && w->child->cuts)
		(void)batch_send_noted(w->child->frames, w->packets, w->count_gathered, &unused);
	else if (w->count_gathered > 0)
		(void)batch_send(w->child->frames, w->packets, w->count_gathered, NULL, 0, &unused);
	w->count_gathered = 0;
}

static uint8_t *slot_of(const struct worker *w, uint32_t place)
{
	return w->gathered.bytes + (size_t)place * w->gathered.stride;
}

/* To the last one of its connection. */
static bool is_joined(struct worker *w, const uint8_t *frame, uint32_t length)
{
	for (uint32_t place = w->count_gathered; w->joins && place-- > 0;) {
		enum slirp_joined done = slirp_join(&w->packets[place], slot_of(w, place), frame, length);
		if (done != OTHER_CONNECTION)
			return done == JOINED;
	}
	return false;
}

/* Many go by one call of the kernel, before the next sleep. Of one that is too long so much that the judge sees it. */
static ssize_t send_to_judge(const void *frame, size_t length, void *opaque)
{
	struct worker *w = opaque;
	uint8_t *slot = slot_of(w, w->count_gathered);
	uint32_t octets = length > w->gathered.max_frame ? w->gathered.max_frame + 1 : (uint32_t)length;
	if (is_joined(w, frame, octets))
		return (ssize_t)length;
	memcpy(slot, frame, octets);
	w->packets[w->count_gathered++] = (struct packet){ .bytes = slot, .length = octets };
	if (w->count_gathered == BATCH_MAX)
		send_gathered(w);
	return (ssize_t)length;
}

static void guest_error(const char *message, void *opaque)
{
	(void)message; /* a guest could fill the log with these */
	(void)opaque;
}

static int64_t clock_ns(void *opaque)
{
	struct timespec t;
	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t now_ms(struct worker *w)
{
	return (uint64_t)clock_ns(w) / 1000000;
}

static void *timer_new(SlirpTimerCb call, void *argument, void *opaque)
{
	struct worker *w = opaque;
	for (int i = 0; i < TIMERS_MAX; i++)
		if (!w->timers[i].call) {
			w->timers[i] = (struct timer){ call, argument, INT64_MAX };
			return &w->timers[i];
		}
	abort();
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	*(struct timer *)timer = (struct timer){ 0 };
}

static void timer_mod(void *timer, int64_t due_ms, void *opaque)
{
	(void)opaque;
	((struct timer *)timer)->due_ms = due_ms;
}

/* All of its sockets come by again in every slirp_pollfds_fill(). */
static void socket_noted(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void send_datagram(void *opaque, const uint8_t *frame, uint32_t length)
{
	send_to_judge(frame, length, opaque);
}

static void kicked(void *opaque)
{
	(void)opaque;
}

static const SlirpCb callbacks = {
	.send_packet = send_to_judge,
	.guest_error = guest_error,
	.clock_get_ns = clock_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = socket_noted,
	.unregister_poll_fd = socket_noted,
	.notify = kicked,
};

static int add_socket(int fd, int events, void *opaque)
{
	struct worker *w = opaque;
	int wanted = (events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
		     (events & SLIRP_POLL_PRI ? POLLPRI : 0);
	if (w->count >= FIRST_SOCKET + SOCKETS_MAX)
		return -1;
	w->fds[w->count] = (struct pollfd){ .fd = fd, .events = (short)wanted };
	return w->count++;
}

static int socket_events(int place, void *opaque)
{
	const struct worker *w = opaque;
	if (place < 0 || place >= w->count)
		return 0;
	int seen = w->fds[place].revents;
	return (seen & POLLIN ? SLIRP_POLL_IN : 0) | (seen & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (seen & POLLPRI ? SLIRP_POLL_PRI : 0) | (seen & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (seen & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static Slirp *start_slirp(struct worker *w)
{
	struct in6_addr prefix, host, resolver;
	const struct slirp_child *c = w->child;
	inet_pton(AF_INET6, "fd00:10:0:2::", &prefix);
	inet_pton(AF_INET6, "fd00:10:0:2::2", &host);
	inet_pton(AF_INET6, "fd00:10:0:2::3", &resolver);
	const SlirpConfig config = {
		.version = 1,
		.restricted = c->host_only,
		.in_enabled = true,
		.vnetwork.s_addr = htonl(SLIRP_NETWORK),
		.vnetmask.s_addr = htonl(SLIRP_MASK),
		.vhost.s_addr = htonl(SLIRP_HOST),
		.in6_enabled = c->ipv6,
		.vprefix_addr6 = prefix,
		.vprefix_len = 64,
		.vhost6 = host,
		.vdhcp_start.s_addr = htonl(SLIRP_FIRST),
		.vnameserver.s_addr = htonl(SLIRP_RESOLVER),
		.vnameserver6 = resolver,
		.if_mtu = c->mtu,
		.if_mru = c->mtu,
		.disable_host_loopback = !c->host_loopback,
	};
	return libslirp.slirp_new(&config, &callbacks, w);
}

/* The judge */

/* The judge reads its control socket after every poll, so a full one means that it hangs. */
static bool reply(const struct worker *w, const struct slirp_message *message)
{
	ssize_t sent;
	do
		sent = send(w->child->control, message, sizeof *message, MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)sizeof *message;
}

/* The keeper hears it, and starts another worker. */
static _Noreturn void give_up(const char *why)
{
	print_line("%s", why);
	_exit(1);
}

/* 0 or an errno. For both families: a socket for :: takes no IPv4, so that 0.0.0.0 may have the same port. */
static int open_tcp(struct worker *w, const struct udp_forward *f)
{
	struct sockaddr_storage external, guest;
	socklen_t length = fill_sockaddr(&external, f->external, f->external_port);
	fill_sockaddr(&guest, f->guest, f->internal_port);
	errno = 0;
	int failed = libslirp.slirp_add_hostxfwd(w->slirp, (struct sockaddr *)&external, length,
						 (struct sockaddr *)&guest, length, SLIRP_HOSTFWD_V6ONLY);
	return !failed ? 0 : errno ? errno : EIO;
}

static void close_port(struct worker *w, const struct expose *e, uint16_t port)
{
	struct sockaddr_storage external;
	socklen_t length = fill_sockaddr(&external, e->external, port);
	if (e->protocol == IPPROTO_UDP)
		udp_remove(&w->udp, e->external, port);
	else
		libslirp.slirp_remove_hostxfwd(w->slirp, (struct sockaddr *)&external, length, SLIRP_HOSTFWD_V6ONLY);
}

static void close_ports(struct worker *w, const struct expose *e, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		close_port(w, e, (uint16_t)(e->external_port + i));
}

/* All ports of the range, or none. */
static void open_ports(struct worker *w, struct slirp_message *m)
{
	const struct expose *e = &m->expose;
	for (uint32_t i = 0; i < e->ports && m->error == 0; i++) {
		struct udp_forward f = {
			.external = e->external,
			.guest = m->guest,
			.external_port = (uint16_t)(e->external_port + i),
			.internal_port = (uint16_t)(e->internal_port + i),
		};
		m->error = e->protocol == IPPROTO_UDP ? udp_add(&w->udp, &f) : open_tcp(w, &f);
		m->failed_port = f.external_port;
		if (m->error)
			close_ports(w, e, i);
	}
}

static void obey(struct worker *w, struct slirp_message *m)
{
	if (m->generation != w->generation)
		return;
	if (m->word == SLIRP_LEAVE_CUT) {
		w->joins = false;
		return;
	}
	if (m->word == SLIRP_REMOVE) {
		close_ports(w, &m->expose, m->expose.ports);
		return;
	}
	open_ports(w, m);
	(void)reply(w, m); /* nobody to tell */
}

static void read_control(struct worker *w)
{
	ssize_t n = read(w->child->control, (char *)&w->inbox + w->inbox_octets, sizeof w->inbox - w->inbox_octets);
	if (n == 0)
		_exit(0); /* the judge has ended */
	if (n > 0)
		w->inbox_octets += (size_t)n;
	if (w->inbox_octets < sizeof w->inbox)
		return;
	w->inbox_octets = 0;
	obey(w, &w->inbox);
}

/* libslirp wants checksums, and does not mind how long a segment is. */
static bool is_complete(const struct worker *w, uint32_t place, const struct packet *packet)
{
	const struct cut *cut = &packet->cut;
	uint8_t *bytes = w->batch.bytes + (size_t)place * w->batch.stride;
	return !packet->truncated && (cut->kind == NOT_CUT ||
				      fill_in_checksum(bytes, packet->length, cut->checksum_start, cut->checksum_offset));
}

static void read_frames(struct worker *w)
{
	struct packet packets[BATCH_MAX];
	uint32_t got;
	if (!is_borne(&w->errors, batch_receive(&w->batch, w->child->frames, packets, BATCH_MAX, &got)))
		_exit(0);
	for (uint32_t i = 0; i < got; i++)
		if (is_complete(w, i, &packets[i]) &&
		    !udp_from_guest(&w->udp, packets[i].bytes, packets[i].length, now_ms(w)))
			libslirp.slirp_input(w->slirp, packets[i].bytes, (int)packets[i].length);
}

static int run_timers(struct worker *w, int wait_ms)
{
	int64_t now = clock_ns(w) / 1000000;
	for (int i = 0; i < TIMERS_MAX; i++) {
		struct timer *t = &w->timers[i];
		if (t->call && t->due_ms <= now) {
			t->due_ms = INT64_MAX;
			t->call(t->argument);
		}
		if (t->call && t->due_ms != INT64_MAX && t->due_ms - now < wait_ms)
			wait_ms = t->due_ms > now ? (int)(t->due_ms - now) : 0;
	}
	return wait_ms;
}

/* To the keeper, who takes silence for a worker that hangs. */
static void beat(struct worker *w)
{
	uint64_t now = now_ms(w);
	if (now - w->beat_ms < SLIRP_BEAT_MS)
		return;
	w->beat_ms = now;
	(void)!write(w->fds[ERRORS].fd, "", 1);
}

static void one_round(struct worker *w)
{
	uint32_t timeout = SLIRP_BEAT_MS;
	beat(w);
	w->fds[FRAMES] = (struct pollfd){ .fd = w->child->frames, .events = POLLIN };
	w->fds[CONTROL] = (struct pollfd){ .fd = w->child->control, .events = POLLIN };
	w->fds[ERRORS].events = 0; /* an error there: the keeper, who reads it, has ended */
	w->count = FIRST_SOCKET;
	libslirp.slirp_pollfds_fill(w->slirp, &timeout, add_socket, w);
	w->first_udp = w->count;
	for (uint32_t i = 0; i < w->udp.count; i++)
		add_socket(w->udp.forwards[i].fd, SLIRP_POLL_IN, w);
	int wait_ms = run_timers(w, (int)timeout);
	send_gathered(w);
	int n = poll(w->fds, (nfds_t)w->count, wait_ms);
	libslirp.slirp_pollfds_poll(w->slirp, n < 0, socket_events, w);
	if (n <= 0)
		return;
	if (w->fds[ERRORS].revents & POLLERR)
		_exit(0);
	for (int i = w->first_udp; i < w->count; i++)
		if (w->fds[i].revents)
			udp_from_network(&w->udp, (uint32_t)(i - w->first_udp), now_ms(w));
	if (w->fds[CONTROL].revents)
		read_control(w);
	if (w->fds[FRAMES].revents)
		read_frames(w);
}

/* Where the system allows less, exposed ports and the guest's connections share that. */
static void limit_sockets(void)
{
	struct rlimit limit = { SOCKETS_MAX, SOCKETS_MAX };
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max > SOCKETS_MAX)
		limit.rlim_max = SOCKETS_MAX;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void slirp_work(const struct slirp_child *child, int errors, uint32_t generation, const char *cause)
{
	static struct worker w;
	struct slirp_message hello = { .word = SLIRP_HELLO, .generation = generation };

	name_process("softnet-slirp");
	give_up_privileges_for_good();
	limit_sockets();
	unsetenv("SLIRP_DEBUG"); /* would write what the guest does to standard error */
	unsetenv("G_MESSAGES_DEBUG");

	w.child = child;
	w.generation = generation;
	w.fds[ERRORS].fd = errors;
	w.udp.send = send_datagram;
	w.udp.context = &w;
	w.joins = child->cuts;
	if (!batch_new(&w.batch, child->longest, child->cuts ? WITH_NOTES : FRAMES_ALONE) ||
	    !batch_new(&w.gathered, child->longest, FRAMES_ALONE) || !udp_begin(&w.udp, child->guest_mac, child->mtu))
		give_up("out of memory");
	w.slirp = start_slirp(&w);
	if (!w.slirp)
		give_up("libslirp has no network to give");
	slirp_enter_sandbox(child, FOR_SLIRP_WORKER);
	copy_text(hello.cause, sizeof hello.cause, cause);
	if (!reply(&w, &hello))
		give_up("the guard could not be told that it runs");
	for (;;)
		one_round(&w);
}
