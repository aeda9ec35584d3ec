/* The other end of live control. The process there may be hostile: its words are bounded, and nobody waits long for it. */
#include "softnet/look/guard_client.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "port/io.h"
#include "system/clock.h"
#include "system/platform.h"
#include "softnet/control/rpc.h"

enum {
	LINE_FIRST = 16 << 10,
	RETRY_MS = 20,
	UNTIL_MAX = 2,
	OCTETS_OF_A_VALUE = 16 /* of what guards say, with the key; at least, on the average */
};

char *write_request(const char *method, json_t *params)
{
	json_t *request =
	    json_pack("{s:s, s:i, s:s, s:o*}", "jsonrpc", "2.0", "id", 1, "method", method, "params", params);
	char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	char *whole = line ? realloc(line, strlen(line) + 2) : NULL;
	if (!whole)
		free(line);
	else
		strcat(whole, "\n");
	return whole;
}

static void finish(struct guard_call *call, const char *why)
{
	call->why = why;
	if (call->fd >= 0)
		close(call->fd);
	call->fd = -1;
	free(call->line);
	call->line = NULL;
}

/* Where many connect at once there is no place for a moment. */
static void connect_call(struct guard_call *call)
{
	struct sockaddr_un address;
	struct error unused;
	if (!unix_address(&address, call->path, strlen(call->path), &unused))
		errno = ENAMETOOLONG;
	else if (connect(call->fd, (const struct sockaddr *)&address, sizeof address) == 0) {
		call->is_connected = platform_peer_user(call->fd, &call->user);
		if (!call->is_connected)
			finish(call, strerror(errno));
		else if (call->has_owner && call->user != call->owner)
			finish(call, "it belongs to another user than its folder");
		return;
	}
	call->is_dead = errno == ECONNREFUSED || errno == ENOENT;
	if (errno != EAGAIN && errno != EINTR)
		finish(call, strerror(errno));
}

static void begin(struct guard_call *call)
{
	call->answer = NULL;
	call->why = NULL;
	call->is_connected = call->is_dead = false;
	call->sent = call->length = call->size = 0;
	call->line = NULL;
	call->fd = unix_socket(SOCK_STREAM);
	if (call->fd < 0)
		finish(call, strerror(errno));
	else
		connect_call(call);
}

static void send_rest(struct guard_call *call, const char *request)
{
	struct iovec rest = { (void *)(uintptr_t)(request + call->sent), strlen(request + call->sent) };
	ssize_t n = stream_write(call->fd, &rest, 1);
	if (n > 0)
		call->sent += (size_t)n;
	else if (n < 0 && errno != EINTR && !means_full(errno) && errno != EPIPE)
		finish(call, strerror(errno));
	else if (n < 0 && errno == EPIPE)
		call->sent += rest.iov_len; /* it may have said why before it hung up */
}

static bool make_room(struct guard_call *call)
{
	if (call->length < call->size)
		return true;
	size_t size = call->size > 0 ? 2 * call->size : LINE_FIRST;
	if (size > call->answer_max)
		size = call->answer_max;
	char *line = size > call->length ? realloc(call->line, size) : NULL;
	if (!line)
		return false;
	call->line = line;
	call->size = size;
	return true;
}

static void read_more(struct guard_call *call)
{
	if (!make_room(call)) {
		finish(call, "its answer is too long");
		return;
	}
	ssize_t n = recv(call->fd, call->line + call->length, call->size - call->length, MSG_DONTWAIT);
	if (n == 0)
		finish(call, "it hung up; may you connect, and are there others?");
	else if (n < 0 && errno != EINTR && !means_full(errno))
		finish(call, strerror(errno));
	if (n <= 0)
		return;
	const char *newline = memchr(call->line + call->length, '\n', (size_t)n);
	call->length += (size_t)n;
	if (!newline)
		return;
	size_t octets = (size_t)(newline - call->line);
	if (!has_too_many_values(call->line, octets, call->answer_max / OCTETS_OF_A_VALUE))
		call->answer = json_loadb(call->line, octets, 0, NULL);
	finish(call, call->answer ? NULL : "that is no guard's answer");
}

static void step(struct guard_call *call, const char *request)
{
	if (!call->is_connected)
		connect_call(call);
	else if (request[call->sent] != '\0')
		send_rest(call, request);
	else
		read_more(call);
}

/* How many are under way. Those that are not connected yet cannot be polled for. */
static size_t watch_calls(const struct guard_call *calls, size_t count, const char *request, struct pollfd *fds,
			  int *wait_ms)
{
	size_t open = 0;
	for (size_t i = 0; i < count; i++) {
		bool sends = calls[i].fd >= 0 && request[calls[i].sent] != '\0';
		fds[i] = (struct pollfd){ .fd = calls[i].is_connected ? calls[i].fd : -1,
					  .events = sends ? POLLOUT : POLLIN };
		open += calls[i].fd >= 0;
		if (calls[i].fd >= 0 && !calls[i].is_connected && *wait_ms > RETRY_MS)
			*wait_ms = RETRY_MS;
	}
	return open;
}

static bool call_until(struct guard_call *calls, size_t count, const char *request, uint64_t deadline_ms,
		       const int *until, struct pollfd *fds)
{
	bool is_woken = false;
	for (uint64_t now_ms = clock_ms(); now_ms < deadline_ms && !is_woken; now_ms = clock_ms()) {
		int wait_ms = (int)(deadline_ms - now_ms);
		if (watch_calls(calls, count, request, fds, &wait_ms) == 0)
			return true;
		for (int i = 0; i < UNTIL_MAX; i++)
			fds[count + (size_t)i] = (struct pollfd){ .fd = until ? until[i] : -1, .events = POLLIN };
		if (poll(fds, (nfds_t)(count + UNTIL_MAX), wait_ms) < 0)
			continue;
		for (size_t i = 0; i < count; i++)
			if (calls[i].fd >= 0 && (fds[i].revents != 0 || !calls[i].is_connected))
				step(&calls[i], request);
		is_woken = fds[count].revents != 0 || fds[count + 1].revents != 0;
	}
	return !is_woken;
}

bool call_guards(struct guard_call *calls, size_t count, const char *request, int timeout_ms, const int *until)
{
	uint64_t deadline_ms = clock_ms() + (uint64_t)timeout_ms;
	struct pollfd *fds = calloc(count + UNTIL_MAX, sizeof *fds);
	for (size_t i = 0; i < count; i++)
		begin(&calls[i]);
	bool is_whole = !fds || !request || call_until(calls, count, request, deadline_ms, until, fds);
	for (size_t i = 0; i < count; i++)
		if (calls[i].fd >= 0)
			finish(&calls[i], fds && request ? "it does not answer in time" : strerror(ENOMEM));
	free(fds);
	return is_whole;
}

void forget_calls(struct guard_call *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		json_decref(calls[i].answer);
}
