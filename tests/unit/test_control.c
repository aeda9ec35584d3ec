/* The sockets of live control: which descriptors and paths are taken, and clients of every kind of bad manners. */
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

static json_t *ping(struct rpc_call *call)
{
	pings++;
	return rpc_takes_nothing(call) ? json_string("pong") : NULL;
}

static json_t *subscribe(struct rpc_call *call)
{
	((struct client *)call->client)->is_subscribed = true;
	return json_true();
}

static json_t *large(struct rpc_call *call)
{
	static char text[LARGE_OCTETS + 1];
	(void)call;
	memset(text, 'x', LARGE_OCTETS);
	return json_string(text);
}

static json_t *later(struct rpc_call *call)
{
	call->is_later = !is_ready;
	return is_ready ? json_string("later") : NULL;
}

static const struct rpc_method methods[] = {
	{ "ping", false, ping },  { "listen", true, subscribe }, { "large", false, large },
	{ "later", true, later }, { NULL, false, NULL },
};

static int set_up(void **unused)
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

static int tear_down(void **unused)
{
	(void)unused;
	close_control(&control);
	unlink(path);
	return rmdir(directory);
}

/* A turn of the relay; the poll does not wait. */
static int turn(void)
{
	struct pollfd fds[CONTROL_POLL_MAX];
	int count = watch_control(&control, fds);
	assert_in_range(count, 0, CONTROL_POLL_MAX);
	int awake = poll(fds, (nfds_t)count, 0);
	wake_control(&control, fds, count);
	serve_control(&control, ++now_ms);
	return awake;
}

static void turns(int n)
{
	while (n-- > 0)
		turn();
}

static void listen_here(void)
{
	if (!listen_control(&control, path, &error))
		fail_msg("%s", error.text);
}

static int connect_here(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void say_octets(int fd, const char *octets, size_t n)
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

static void say(int fd, const char *text)
{
	say_octets(fd, text, strlen(text));
}

/* What the guard has sent so far. */
static const char *heard(int fd)
{
	static char text[1 << 20];
	size_t length = 0;
	ssize_t n;
	while (length < sizeof text - 1 && (n = recv(fd, text + length, sizeof text - 1 - length, 0)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	return text;
}

static bool is_closed(int fd)
{
	char octet;
	ssize_t n = recv(fd, &octet, 1, MSG_PEEK);
	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static int open_client_fds(void)
{
	int n = control.inherited.fd >= 0;
	for (int i = 0; i < OPERATORS_MAX; i++)
		n += control.operators[i].fd >= 0;
	return n;
}

/* --- descriptors ------------------------------------------------------------------------------------------------- */

static void expect_refused(int fd, const char *format)
{
	char wanted[200];
	snprintf(wanted, sizeof wanted, format, fd);
	assert_false(take_control_descriptor(&control, fd, &error));
	assert_string_equal(error.text, wanted);
	assert_int_equal(control.inherited.fd, -1);
}

static void descriptors_that_will_not_do(void **unused)
{
	int pair[2], file = open("/dev/null", O_RDWR), udp = socket(AF_INET, SOCK_DGRAM, 0);
	int alone = socket(AF_UNIX, SOCK_STREAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
	(void)unused;
	expect_refused(900, "--control-fd: fd %d is not open: Bad file descriptor");
	expect_refused(file, "--control-fd: fd %d is not a socket");
	expect_refused(udp, "--control-fd: fd %d is a socket, but not an AF_UNIX one");
	expect_refused(tcp, "--control-fd: fd %d is a socket, but not an AF_UNIX one");
	expect_refused(alone, "--control-fd: fd %d is a socket that is not connected");
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	expect_refused(pair[0], "--control-fd: fd %d is a socket, but not a stream socket");
	for (size_t i = 0; i < 2; i++)
		close(pair[i]);
	close(file);
	close(udp);
	close(tcp);
	close(alone);
}

static void the_descriptor_is_taken(void **unused)
{
	int pair[2];
	(void)unused;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	assert_true(take_control_descriptor(&control, pair[1], &error));
	assert_true(fcntl(pair[1], F_GETFD) < 0 || control.inherited.fd == pair[1]); /* no second way in remains */
	assert_true(control.inherited.fd > 2);
	assert_true(fcntl(control.inherited.fd, F_GETFD) & FD_CLOEXEC);
	say(pair[0], PING);
	turn();
	assert_string_equal(heard(pair[0]), PONG);
	say(pair[0], LISTEN); /* an operator's alone */
	turn();
	assert_non_null(strstr(heard(pair[0]), "-32601"));
	close(pair[0]);
	turns(2);
	assert_int_equal(control.inherited.fd, -1);
	assert_int_equal(turn(), 0);
}

/* In a child, whose standard descriptors may be played with. */
static void standard_descriptors_become_dev_null(void **unused)
{
	(void)unused;
	for (int fd = 0; fd <= 2; fd++) {
		pid_t pid = fork();
		if (pid == 0) {
			int pair[2];
			struct stat status, null;
			if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || dup2(pair[1], fd) != fd || close(pair[1]) < 0)
				_exit(1);
			if (!take_control_descriptor(&control, fd, &error) || control.inherited.fd <= 2)
				_exit(2);
			if (fstat(fd, &status) < 0 || stat("/dev/null", &null) < 0 || status.st_rdev != null.st_rdev)
				_exit(3);
			if (write(fd, "x", 1) != 1 || recv(pair[0], &null, 1, MSG_DONTWAIT) != -1)
				_exit(4);
			_exit(0);
		}
		int wait_status;
		assert_int_equal(waitpid(pid, &wait_status, 0), pid);
		assert_int_equal(wait_status, 0);
	}
}

/* --- paths ------------------------------------------------------------------------------------------------------- */

static void a_socket_of_mode_0600(void **unused)
{
	struct stat status;
	(void)unused;
	mode_t before = umask(0);
	listen_here();
	assert_int_equal(umask(before), 0); /* as it was */
	assert_int_equal(stat(path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0600);
	close_control(&control);
	assert_int_equal(stat(path, &status), -1);
}

static void expect_path_refused(const char *name, const char *format)
{
	char wanted[400];
	snprintf(wanted, sizeof wanted, format, name);
	assert_false(listen_control(&control, name, &error));
	assert_string_equal(error.text, wanted);
	assert_int_equal(control.listener, -1);
}

static void paths_that_will_not_do(void **unused)
{
	static char longer[200];
	(void)unused;
	memset(longer, 'x', sizeof longer - 1);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	expect_path_refused(path, "--control: cannot bind %s: a file that is not a socket stands there");
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 8);
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	expect_path_refused(path, "--control: cannot bind %s: a file that is not a socket stands there");
	unlink(path);
	expect_path_refused("/nowhere/at/all", "--control: cannot bind %s: No such file or directory");
	assert_false(listen_control(&control, longer, &error));
	assert_non_null(strstr(error.text, "is longer than 107 octets"));
}

static void a_dead_socket_is_replaced_and_a_live_one_is_not(void **unused)
{
	static struct control second;
	(void)unused;
	listen_here();
	prepare_control(&second, methods, NULL);
	assert_false(listen_control(&second, path, &error));
	assert_non_null(strstr(error.text, path));
	assert_non_null(strstr(error.text, "another process has it open"));
	close(control.listener); /* as if the guard had been killed */
	control.listener = -1;
	assert_true(listen_control(&second, path, &error));
	/* What another guard has made there since is not ours to remove. */
	struct stat status;
	second.place.st_ino++;
	close_control(&second);
	assert_int_equal(stat(path, &status), 0);
}

/* --- clients ----------------------------------------------------------------------------------------------------- */

static void a_crowd(void **unused)
{
	int fds[20];
	(void)unused;
	listen_here();
	for (int i = 0; i < 20; i++) { /* the queue of the listener is short */
		fds[i] = connect_here();
		turn();
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(is_closed(fds[i]), i >= OPERATORS_MAX);
	say(fds[OPERATORS_MAX - 1], PING);
	turns(2);
	assert_string_equal(heard(fds[OPERATORS_MAX - 1]), PONG);
	close(fds[3]); /* makes room */
	turns(2);
	int next = connect_here();
	say(next, PING);
	turns(3);
	assert_string_equal(heard(next), PONG);
	for (int i = 0; i < 20; i++)
		if (i != 3)
			close(fds[i]);
	close(next);
	turns(2);
	assert_int_equal(open_client_fds(), 0);
}

/* The mode keeps them out already: who comes through all the same is looked at. */
static void another_user(void **unused)
{
	(void)unused;
	if (geteuid() != 0)
		skip();
	listen_here();
	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(chmod(path, 0666), 0);
	control.starter = 4711;
	for (uid_t user = 4711; user <= 4712; user++) {
		int result[2];
		char octet;
		assert_int_equal(pipe(result), 0);
		pid_t pid = fork();
		if (pid == 0) {
			if (setuid(user) < 0)
				_exit(1);
			int fd = connect_here();
			octet = '+';
			if (write(result[1], &octet, 1) != 1)
				_exit(1);
			fcntl(fd, F_SETFL, 0);
			if (send(fd, PING, strlen(PING), MSG_NOSIGNAL) < 0)
				_exit(3);
			_exit(recv(fd, &octet, 1, 0) == 1 ? 0 : 3);
		}
		assert_int_equal(read(result[0], &octet, 1), 1);
		int wait_status;
		while (waitpid(pid, &wait_status, WNOHANG) == 0)
			turn();
		assert_int_equal(WEXITSTATUS(wait_status), user == 4711 ? 0 : 3);
		assert_int_equal(pings, 1);
		close(result[0]);
		close(result[1]);
	}
}

static void an_octet_at_a_time(void **unused)
{
	(void)unused;
	listen_here();
	int fd = connect_here();
	for (const char *at = PING; *at != '\0'; at++) {
		assert_string_equal(heard(fd), "");
		say_octets(fd, at, 1);
		turns(2);
	}
	assert_string_equal(heard(fd), PONG);
	close(fd);
}

/* One turn, one request: the others are not forgotten, and nobody is always first. */
static void many_requests_at_once(void **unused)
{
	(void)unused;
	listen_here();
	int first = connect_here(), second = connect_here();
	for (int i = 0; i < 10; i++) {
		say(first, PING);
		say(second, PING);
	}
	for (int i = 1; i <= 20; i++) {
		turn();
		assert_int_equal(pings, i);
		assert_int_equal(control_deadline_ms(&control), i < 20 ? 0 : UINT64_MAX);
		if (i == 10) {
			assert_int_equal(strlen(heard(first)), 5 * strlen(PONG));
			assert_int_equal(strlen(heard(second)), 5 * strlen(PONG));
		}
	}
	close(first);
	close(second);
}

static void whoever_shuts_down_still_reads(void **unused)
{
	(void)unused;
	listen_here();
	int fd = connect_here();
	say(fd, PING PING "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"); /* the last one is half a line */
	shutdown(fd, SHUT_WR);
	turns(6);
	assert_string_equal(heard(fd), PONG PONG);
	assert_int_equal(pings, 2);
	assert_true(is_closed(fd));
	assert_int_equal(open_client_fds(), 0);
	close(fd);
}

static void lines_that_are_too_long(void **unused)
{
	static char line[3 << 20];
	(void)unused;
	listen_here();
	int fd = connect_here();
	memset(line, ' ', sizeof line);
	memcpy(line + RPC_LINE_MAX - strlen(PING) + 1, PING, strlen(PING)); /* as long as it may be */
	say_octets(fd, line, RPC_LINE_MAX + 1);
	turns(40);
	assert_string_equal(heard(fd), PONG);
	memset(line, ' ', sizeof line);
	memcpy(line + RPC_LINE_MAX - strlen(PING) + 2, PING, strlen(PING)); /* an octet longer */
	say_octets(fd, line, RPC_LINE_MAX + 2);
	turns(40);
	assert_string_equal(heard(fd), "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,"
				       "\"message\":\"a line longer than 1 MiB\"}}\n");
	assert_int_equal(pings, 1);
	memset(line, '[', sizeof line); /* answered before it ends, and once */
	say_octets(fd, line, sizeof line);
	turns(40);
	const char *said = heard(fd);
	assert_non_null(strstr(said, "-32700"));
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	say(fd, "\n" PING);
	turns(2);
	assert_string_equal(heard(fd), PONG);
	assert_int_equal(pings, 2);
	close(fd);
}

/* It is answered until too much waits, and then cut off; nobody else is. */
static void whoever_never_reads(void **unused)
{
	(void)unused;
	listen_here();
	int deaf = connect_here(), other = connect_here();
	int most = 0;
	for (int i = 0; i < 60; i++) {
		if (send(deaf, LARGE, strlen(LARGE), MSG_NOSIGNAL) < 0)
			break;
		turns(2);
		for (int k = 0; k < OPERATORS_MAX; k++)
			if ((int)(control.operators[k].out.end - control.operators[k].out.begin) > most)
				most = (int)(control.operators[k].out.end - control.operators[k].out.begin);
	}
	assert_in_range(most, ANSWERS_MAX - 2 * LARGE_OCTETS, ANSWERS_MAX);
	assert_int_equal(open_client_fds(), 1);
	say(other, PING);
	turns(2);
	assert_string_equal(heard(other), PONG);
	close(deaf);
	close(other);
}

static void whoever_reads_slowly_gets_all(void **unused)
{
	char octets[4096];
	ssize_t n;
	long got = 0;
	(void)unused;
	listen_here();
	int fd = connect_here();
	for (int i = 0; i < 30; i++)
		say(fd, LARGE);
	shutdown(fd, SHUT_WR);
	do {
		turn();
		n = recv(fd, octets, sizeof octets, 0);
		got += n > 0 ? n : 0;
	} while (n != 0);
	assert_int_equal(got, 30 * (LARGE_OCTETS + (long)strlen("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\"}\n")));
	close(fd);
}

static void whoever_goes_in_the_middle(void **unused)
{
	static const char *const words[] = { PING, "{\"json", LARGE LARGE LARGE, "", LATER, LISTEN, "[[[[" };
	(void)unused;
	listen_here();
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		for (int wait = 0; wait < 4; wait++) {
			int fd = connect_here();
			say(fd, words[i]);
			turns(wait);
			close(fd);
			is_ready = true; /* nobody looks whether the client of a call that waits is still there */
			turns(8);
			is_ready = false;
			assert_int_equal(open_client_fds(), 0);
		}
}

static void answers_that_come_later(void **unused)
{
	(void)unused;
	listen_here();
	int waiting = connect_here(), other = connect_here();
	say(waiting, LATER PING);
	turns(5);
	assert_string_equal(heard(waiting), "");
	assert_in_range(control_deadline_ms(&control), now_ms + 1, now_ms + 1000);
	say(other, PING);
	turns(2);
	assert_string_equal(heard(other), PONG);
	is_ready = true;
	turns(3);
	assert_string_equal(heard(waiting), "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":\"later\"}\n" PONG);
	close(waiting);
	close(other);
}

static void subscribers_and_what_they_miss(void **unused)
{
	enum { EVENTS = 5000 };
	long told = 0, missed = 0;
	(void)unused;
	listen_here();
	int fd = connect_here(), other = connect_here();
	assert_false(has_subscribers(&control));
	say(fd, LISTEN);
	turns(2);
	assert_string_equal(heard(fd), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}\n");
	assert_true(has_subscribers(&control));
	tell_subscribers(&control, json_pack("{s:s}", "event", "x"));
	turns(2);
	assert_string_equal(heard(fd), "{\"jsonrpc\":\"2.0\",\"method\":\"guard.event\",\"params\":{\"event\":\"x\","
				       "\"missed\":0}}\n");
	assert_string_equal(heard(other), "");
	for (int i = 0; i < EVENTS; i++) {
		tell_subscribers(&control, json_pack("{s:s}", "event", "x"));
		if (i % 100 == 0)
			turn();
	}
	for (int i = 0; i < 100; i++) {
		turn();
		if (i == 99) /* the last one tells of those before */
			tell_subscribers(&control, json_pack("{s:s}", "event", "x"));
		turn();
		for (const char *at = heard(fd); (at = strstr(at, "\"missed\":")); told++) {
			at += strlen("\"missed\":");
			missed += strtol(at, NULL, 10);
		}
	}
	assert_true(missed > 0);
	assert_int_equal(told + missed, EVENTS + 1);
	assert_int_equal(open_client_fds(), 2); /* nobody is cut off for that */
	tell_subscribers(&control, json_pack("{s:s}", "event", "x"));
	turns(2);
	assert_non_null(strstr(heard(fd), "\"missed\":0}")); /* what was told is told once */
	close(fd);
	turns(2);
	assert_false(has_subscribers(&control));
	tell_subscribers(&control, json_pack("{s:s}", "event", "x"));
	tell_subscribers(&control, NULL);
	close(other);
}

/* When nothing is said, nothing is done: the loop must not spin. */
static void silence_costs_nothing(void **unused)
{
	(void)unused;
	listen_here();
	int silent = connect_here(), half = connect_here(), waits = connect_here(), deaf = connect_here();
	say(half, "{\"half");
	say(waits, LATER);
	say(deaf, LARGE LARGE LARGE LARGE LARGE);
	shutdown(deaf, SHUT_WR); /* and its answers wait */
	turns(20);
	assert_int_equal(open_client_fds(), 4);
	for (int i = 0; i < 10; i++)
		assert_int_equal(turn(), 0);
	close(silent);
	close(half);
	close(waits);
	close(deaf);
	for (int i = 0; i < 10; i++) /* the one with a call under way is gone, and that is no news until the answer */
		turn();
	assert_int_equal(turn(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(descriptors_that_will_not_do),
		TEST(the_descriptor_is_taken),
		TEST(standard_descriptors_become_dev_null),
		TEST(a_socket_of_mode_0600),
		TEST(paths_that_will_not_do),
		TEST(a_dead_socket_is_replaced_and_a_live_one_is_not),
		TEST(a_crowd),
		TEST(another_user),
		TEST(an_octet_at_a_time),
		TEST(many_requests_at_once),
		TEST(whoever_shuts_down_still_reads),
		TEST(lines_that_are_too_long),
		TEST(whoever_never_reads),
		TEST(whoever_reads_slowly_gets_all),
		TEST(silence_costs_nothing),
		TEST(whoever_goes_in_the_middle),
		TEST(answers_that_come_later),
		TEST(subscribers_and_what_they_miss),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
