/* TCP connections that the worker of slirp asks its keeper for: a taken worker reaches no service of this host's loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "port/slirp/slirp_connect.h"

static struct sockaddr_storage at(const char *text, uint16_t port)
{
	struct sockaddr_storage s = { .ss_family = strchr(text, ':') ? AF_INET6 : AF_INET };
	struct sockaddr_in *in = (struct sockaddr_in *)&s;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&s;
	assert_int_equal(s.ss_family == AF_INET ? inet_pton(AF_INET, text, &in->sin_addr)
						: inet_pton(AF_INET6, text, &in6->sin6_addr),
			 1);
	in->sin_port = htons(port);
	return s;
}

static bool may(const struct slirp_child *child, const char *text, uint16_t port, const char *resolvers)
{
	struct sockaddr_storage to = at(text, port);
	return may_connect(child, &to, resolvers);
}

static void addresses_of_this_host_are_closed(void **state)
{
	static const char *const closed[] = { "127.0.0.1", "127.9.9.9", "0.0.0.0",          "0.1.2.3",
					      "::1",       "::",        "::ffff:127.0.0.1", "::ffff:0.0.0.0" };
	static const char *const open[] = { "192.0.2.1",   "128.0.0.1",        "10.0.0.1",
					    "2001:db8::1", "::ffff:192.0.2.1", "::2" };
	const struct slirp_child plain = { .mtu = 1500 }, with_loopback = { .host_loopback = true },
				 alone = { .host_only = true, .host_loopback = true };
	(void)state;
	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
		assert_false(may(&plain, closed[i], 80, "/dev/null"));
		assert_true(may(&with_loopback, closed[i], 80, "/dev/null"));
	}
	for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
		assert_true(may(&plain, open[i], 80, "/dev/null"));
		assert_false(may(&alone, open[i], 80, "/dev/null"));
	}
	struct sockaddr_storage other = { .ss_family = AF_UNIX }, none = { .ss_family = AF_UNSPEC };
	assert_false(may_connect(&with_loopback, &other, "/dev/null"));
	assert_false(may_connect(&with_loopback, &none, "/dev/null"));
}

/* libslirp hands the guest's questions to them, and many hosts have theirs on the loopback. */
static void a_resolver_there_answers(void **state)
{
	const struct slirp_child plain = { .mtu = 1500 };
	char path[] = "/tmp/softnet-resolvers-XXXXXX";
	static const char text[] = "# nameserver 127.0.0.2\n;nameserver 127.0.0.2\nnameservers 127.0.0.2\nnameserver\n"
				   "nameserver\t 127.0.0.53 # local\nsearch 127.0.0.2\nnameserver ::1\n"
				   "nameserver 192.0.2.1\nnameserver 127.0.0.4";
	int fd = mkstemp(path);
	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_true(may(&plain, "127.0.0.53", 53, path));
	assert_true(may(&plain, "::1", 53, path));
	assert_true(may(&plain, "127.0.0.4", 53, path));
	assert_false(may(&plain, "127.0.0.53", 54, path));
	assert_false(may(&plain, "127.0.0.2", 53, path));
	assert_false(may(&plain, "127.0.0.1", 53, path));
	unlink(path);
	assert_false(may(&plain, "127.0.0.53", 53, path));
}

static int listener(struct sockaddr_storage *name)
{
	socklen_t length = sizeof *name;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	*name = at("127.0.0.1", 0);
	assert_int_equal(bind(fd, (struct sockaddr *)name, sizeof(struct sockaddr_in)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)name, &length), 0);
	return fd;
}

/* The errno of a worker's connect(2); 0: none. 255: there is a connection all the same. */
static int outcome_of(const struct slirp_child *child, const struct sockaddr_storage *to, socklen_t length)
{
	int ends[2], status;
	assert_true(open_questions(child, ends));
	pid_t worker = fork();
	if (worker == 0) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		close(ends[0]);
		ask_keeper_to_connect(ends[1]);
		int error = connect(fd, (const struct sockaddr *)to, length) == 0 ? 0 : errno;
		struct sockaddr_storage peer;
		bool is_there = getpeername(fd, (struct sockaddr *)&peer, &(socklen_t){ sizeof peer }) == 0;
		_exit(is_there && error != 0 && error != EINPROGRESS ? 255 : error);
	}
	close(ends[1]);
	while (waitpid(worker, &status, WNOHANG) == 0)
		(void)answer_worker(ends[0], child);
	close(ends[0]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void the_keeper_connects_the_workers_socket(void **state)
{
	struct slirp_child child = { .mtu = 1500 };
	struct sockaddr_storage name;
	int fd = listener(&name);
	(void)state;
	assert_int_equal(outcome_of(&child, &name, sizeof(struct sockaddr_in)), EACCES);
	child.host_loopback = true;
	int made = outcome_of(&child, &name, sizeof(struct sockaddr_in));
	assert_true(made == 0 || made == EINPROGRESS);
	assert_int_equal(outcome_of(&child, &name, 3), EINVAL);
	assert_int_equal(outcome_of(&child, &name, sizeof name + 1), EINVAL);
	close(fd);
}

static void nonsense_is_not_answered(void **state)
{
	const struct slirp_child child = { .host_loopback = true };
	int ends[2];
	(void)state;
	assert_true(open_questions(&child, ends));
	assert_true(answer_worker(ends[0], &child)); /* nothing was asked */
	assert_int_equal(send(ends[1], "?", 1, 0), 1);
	assert_false(answer_worker(ends[0], &child));
	close(ends[1]);
	assert_false(answer_worker(ends[0], &child));
	close(ends[0]);
}

static int open_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* A worker that is not ours any more could fill the keeper's table, and those of all workers after it. */
static void a_second_descriptor_does_not_come_in(void **state)
{
	const struct slirp_child child = { .mtu = 1500 };
	union {
		char octets[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr aligned;
	} two = { { 0 } };
	char text[256] = { 0 };
	struct iovec part = { text, sizeof text };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = two.octets, .msg_controllen = CMSG_LEN(2 * sizeof(int))
	};
	int ends[2];
	(void)state;
	assert_true(open_questions(&child, ends));
	two.aligned =
	    (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(2 * sizeof(int)) };
	memcpy(CMSG_DATA(&two.aligned), ends, sizeof ends);
	int before = open_descriptors();
	assert_true(sendmsg(ends[1], &message, 0) > 0);
	(void)answer_worker(ends[0], &child);
	assert_int_equal(open_descriptors(), before);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_this_host_are_closed),      cmocka_unit_test(a_resolver_there_answers),
		cmocka_unit_test(the_keeper_connects_the_workers_socket), cmocka_unit_test(nonsense_is_not_answered),
		cmocka_unit_test(a_second_descriptor_does_not_come_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
