/* The sockets of live control: one that was inherited, and those that operators connect. */
#include "softnet/control/control.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "port/io.h"
#include "system/log.h"
#include "system/platform.h"

enum { CLIENTS = 1 + OPERATORS_MAX, ACCEPT_PAUSE_MS = 1000, LATER_MS = 50, ASIDE_OCTETS = 1024 };

static struct client *client_at(struct control *control, uint32_t i)
{
	return i == 0 ? &control->inherited : &control->operators[i - 1];
}

static const char *name_of(const struct client *c)
{
	return c->is_operator ? "--control" : "--control-fd";
}

static void hang_up(struct client *c, const char *why)
{
	if (why)
		warning("%s: a client is cut off: %s", name_of(c), why);
	else if (!c->is_operator)
		info("--control-fd: the other end is closed; the rules stay as they are");
	close_client(c);
}

/* Root takes somebody else's place: else processes of the guard's user could keep root from looking. */
static struct client *find_place(struct control *control, bool is_root)
{
	struct client *place = NULL;
	for (int i = 0; i < OPERATORS_MAX; i++)
		if (control->operators[i].fd < 0)
			return &control->operators[i];
		else if (is_root && !control->operators[i].is_roots)
			place = &control->operators[i];
	if (place)
		hang_up(place, NULL);
	return place;
}

/* The mode of the file says almost the same; but it may have been changed. */
static bool may_connect(const struct control *control, int fd, uid_t *peer)
{
	return platform_peer_user(fd, peer) && (*peer == 0 || *peer == geteuid() || *peer == control->starter);
}

static void take_operator(struct control *control, int fd)
{
	uid_t peer;
	bool is_welcome = may_connect(control, fd, &peer);
	struct client *place = is_welcome ? find_place(control, peer == 0) : NULL;
	const char *why = !is_welcome ? "another user" : !place ? "too many are connected" : NULL;
	if (!why && make_quiet(fd)) {
		open_client(place, fd, true, control->context);
		place->is_roots = peer == 0;
		place->is_reader = control->is_for_readers && peer != 0;
		return;
	}
	info("--control: a client is turned away: %s", why ? why : "no descriptor");
	close(fd);
}

/* As many as there may be, so that a crowd is turned away at once, but no more in a turn. */
static void accept_operators(struct control *control)
{
	for (int i = 0; i < OPERATORS_MAX && control->listener >= 0 && control->now_ms >= control->accept_ms; i++) {
		int fd = move_above_2(accept(control->listener, NULL, NULL));
		if (fd >= 0)
			take_operator(control, fd);
		else if (means_full(errno) || errno == EINTR)
			return;
		else if (errno != ECONNABORTED)
			control->accept_ms = control->now_ms + ACCEPT_PAUSE_MS; /* poll(2) would wake at once */
	}
}

/* A long request, which would keep frames waiting for more than some hundredths of a millisecond. */
static const char *request_for_aside(const struct control *control, struct client *c, size_t *octets)
{
	const char *line = control->aside.fd >= 0 ? whole_request(c, octets) : NULL;
	return line && *octets > ASIDE_OCTETS ? line : NULL;
}

static bool has_turn(const struct control *control, struct client *c)
{
	size_t octets;
	return has_request(c) && !(control->is_aside_busy && request_for_aside(control, c, &octets));
}

static bool begin_aside(struct control *control, struct client *c)
{
	size_t octets;
	const char *line = request_for_aside(control, c, &octets);
	c->is_away = line && control->aside.begin(control->aside.context, c, line, octets);
	control->is_aside_busy |= c->is_away;
	return c->is_away;
}

/* The client may have gone meanwhile: what it asked for is done all the same. */
static void finish_aside(struct control *control)
{
	const char *why;
	if (!control->is_aside_busy || !control->aside.is_done(control->aside.context))
		return;
	const char *answer = control->aside.finish(control->aside.context);
	control->is_aside_busy = false;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct client *c = client_at(control, i);
		if (!c->is_away)
			continue;
		c->is_away = false;
		if (!(answer ? give_answer(c, answer, &why) : answer_request(c, control->methods, &why)))
			hang_up(c, why);
	}
}

/* One request in all: the next one's of those that have something to say. */
static void answer_one(struct control *control)
{
	const char *why;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		uint32_t at = (control->next + i) % CLIENTS;
		struct client *c = client_at(control, at);
		if (!has_turn(control, c))
			continue;
		control->next = (at + 1) % CLIENTS;
		if (!begin_aside(control, c) && !answer_request(c, control->methods, &why))
			hang_up(c, why);
		return;
	}
}

/* What was begun in an earlier turn, and waits for something else than this client. */
static void resume_all(struct control *control)
{
	const char *why;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct client *c = client_at(control, i);
		if (c->fd >= 0 && c->call.request && !answer_request(c, control->methods, &why))
			hang_up(c, why);
	}
}

void serve_control(struct control *control, uint64_t now_ms)
{
	control->now_ms = now_ms;
	if (control->is_awake) {
		control->is_awake = false;
		if (control->is_called)
			accept_operators(control);
		for (uint32_t i = 0; i < CLIENTS; i++) {
			struct client *c = client_at(control, i);
			if (c->fd >= 0 && !move_octets(c))
				hang_up(c, NULL);
		}
	}
	finish_aside(control);
	resume_all(control);
	answer_one(control);
	for (uint32_t i = 0; i < CLIENTS; i++) /* the last answer of one who had said all before */
		if (client_at(control, i)->fd >= 0 && client_at(control, i)->has_spoken_out &&
		    !move_octets(client_at(control, i)))
			hang_up(client_at(control, i), NULL);
}

int watch_control(struct control *control, struct pollfd fds[CONTROL_POLL_MAX])
{
	int n = 0;
	if (control->listener >= 0 && control->now_ms >= control->accept_ms)
		fds[n++] = (struct pollfd){ .fd = control->listener, .events = POLLIN };
	if (control->is_aside_busy)
		fds[n++] = (struct pollfd){ .fd = control->aside.fd, .events = POLLIN };
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct client *c = client_at(control, i);
		short events = c->fd >= 0 ? wanted_events(c) : 0;
		if (events != 0)
			fds[n++] = (struct pollfd){ .fd = c->fd, .events = events };
	}
	return n;
}

void wake_control(struct control *control, const struct pollfd *fds, int count)
{
	control->is_called = false;
	for (int i = 0; i < count; i++) {
		control->is_awake |= fds[i].revents != 0;
		control->is_called |= fds[i].fd == control->listener && fds[i].revents != 0;
	}
}

uint64_t control_deadline_ms(struct control *control)
{
	uint64_t deadline_ms = control->accept_ms > control->now_ms ? control->accept_ms : UINT64_MAX;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct client *c = client_at(control, i);
		if (has_turn(control, c))
			return 0;
		if (c->fd >= 0 && c->call.request && control->now_ms + LATER_MS < deadline_ms)
			deadline_ms = control->now_ms + LATER_MS;
	}
	return deadline_ms;
}

bool has_subscribers(const struct control *control)
{
	if (control->inherited.is_subscribed)
		return true;
	for (int i = 0; i < OPERATORS_MAX; i++)
		if (control->operators[i].is_subscribed)
			return true;
	return false;
}

void tell_subscribers(struct control *control, json_t *params)
{
	for (uint32_t i = 0; i < CLIENTS && params; i++) {
		struct client *c = client_at(control, i);
		if (!c->is_subscribed)
			continue;
		json_object_set_new(params, "missed", json_integer((json_int_t)c->missed));
		char *line = rpc_notification("guard.event", json_incref(params));
		if (line)
			queue_event(c, line);
		else
			c->missed++;
		free(line);
	}
	json_decref(params);
}

void close_listener(struct control *control)
{
	if (control->listener < 0)
		return;
	struct stat now;
	if (lstat(control->path, &now) == 0 && now.st_dev == control->place.st_dev && now.st_ino == control->place.st_ino)
		unlink(control->path); /* where that is not ours to do any more, the next guard replaces it */
	close(control->listener);
	control->listener = -1;
}

void close_control(struct control *control)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		if (client_at(control, i)->is_subscribed)
			move_octets(client_at(control, i)); /* the last events */
		close_client(client_at(control, i));
	}
	close_listener(control);
}
