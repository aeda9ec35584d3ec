/* Live control in a folder of the test's own, its turns, and clients that speak to it. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "softnet/control/control.h"

#include <cmocka.h>

#define PING   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n"
#define PONG   "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"pong\"}\n"
#define LISTEN "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"listen\"}\n"
#define LARGE  "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"large\"}\n"
#define LATER  "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"later\"}\n"

enum { LARGE_OCTETS = 100 * 1000 };

static struct control control;
static struct error error;
static char directory[64], path[96];
static uint64_t now_ms = 1000;
static int pings;
static bool is_ready;

static inline json_t *ping(struct rpc_call *call)
{
	pings++;
	return rpc_takes_nothing(call) ? json_string("pong") : NULL;
}

static inline json_t *subscribe(struct rpc_call *call)
{
	((struct client *)call->client)->is_subscribed = true;
	return json_true();
}

static inline json_t *large(struct rpc_call *call)
{
	static char text[LARGE_OCTETS + 1];
	(void)call;
	memset(text, 'x', LARGE_OCTETS);
	return json_string(text);
}

static inline json_t *later(struct rpc_call *call)
{
	call->is_later = !is_ready;
	return is_ready ? json_string("later") : NULL;
}

static const struct rpc_method methods[] = {
	{ "ping", false, ping },  { "listen", true, subscribe }, { "large", false, large },
	{ "later", true, later }, { NULL, false, NULL },
};

static inline int set_up(void **unused)
{
	(void)unused;
	pings = 0;
	is_ready = false;
	prepare_control(&control, methods, NULL);
	strcpy(directory, "/tmp/test_control.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/socket", directory);
	return 0;
}

static inline int tear_down(void **unused)
{
	(void)unused;
	close_control(&control);
	unlink(path);
	return rmdir(directory);
}

/* A turn of the relay; the poll does not wait. */
static inline int turn(void)
{
	struct pollfd fds[CONTROL_POLL_MAX];
	int count = watch_control(&control, fds);
	assert_in_range(count, 0, CONTROL_POLL_MAX);
	int awake = poll(fds, (nfds_t)count, 0);
	wake_control(&control, fds, count);
	serve_control(&control, ++now_ms);
	return awake;
}

static inline void turns(int n)
{
	while (n-- > 0)
		turn();
}

static inline void listen_here(void)
{
	if (!listen_control(&control, path, &error))
		fail_msg("%s", error.text);
}

static inline int connect_here(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static inline void say_octets(int fd, const char *octets, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, octets, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			turn();
			continue;
		}
		assert_true(sent > 0);
		octets += sent;
		n -= (size_t)sent;
	}
}

static inline void say(int fd, const char *text)
{
	say_octets(fd, text, strlen(text));
}

/* What the guard has sent so far. */
static inline const char *heard(int fd)
{
	static char text[1 << 20];
	size_t length = 0;
	ssize_t n;
	while (length < sizeof text - 1 && (n = recv(fd, text + length, sizeof text - 1 - length, 0)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	return text;
}

static inline bool is_closed(int fd)
{
	char octet;
	ssize_t n = recv(fd, &octet, 1, MSG_PEEK);
	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static inline int open_client_fds(void)
{
	int n = control.inherited.fd >= 0;
	for (int i = 0; i < OPERATORS_MAX; i++)
		n += control.operators[i].fd >= 0;
	return n;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
