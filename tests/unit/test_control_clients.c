/* Clients of live control, of every kind of bad manners. */
#include "control_here.h"

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

static void a_client_that_shuts_down_still_reads(void **unused)
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
static void a_client_that_never_reads(void **unused)
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

static void a_client_that_reads_slowly_gets_all(void **unused)
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

static void a_client_that_goes_in_the_middle(void **unused)
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
	const struct CMUnitTest tests[] = {
		TEST(a_crowd),
		TEST(another_user),
		TEST(an_octet_at_a_time),
		TEST(many_requests_at_once),
		TEST(a_client_that_shuts_down_still_reads),
		TEST(lines_that_are_too_long),
		TEST(a_client_that_never_reads),
		TEST(a_client_that_reads_slowly_gets_all),
		TEST(silence_costs_nothing),
		TEST(a_client_that_goes_in_the_middle),
		TEST(answers_that_come_later),
		TEST(subscribers_and_what_they_miss),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
