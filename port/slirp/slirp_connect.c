/* Both ends of the question whether a connection may be made. The answer is an errno, or 0. */
#include "port/slirp/slirp_connect.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "port/io.h"
#include "system/text.h"

/* The socket comes along, so what the keeper does to it is done to the worker's. */
struct question {
	struct sockaddr_storage to;
	uint32_t length;
};

union descriptor {
	char octets[CMSG_SPACE(sizeof(int))];
	struct cmsghdr aligned;
};

/* With room for one descriptor and, whatever the padding, for no second: the receiver would have to close it. */
static struct msghdr message_of(struct iovec *part, union descriptor *descriptor)
{
	return (struct msghdr){ .msg_iov = part,
				.msg_iovlen = 1,
				.msg_control = descriptor->octets,
				.msg_controllen = CMSG_LEN(sizeof(int)) };
}

bool open_questions(const struct slirp_child *child, int ends[2])
{
	ends[0] = ends[1] = -1;
	return child->sandbox_off || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
}

enum { RESOLVER_PORT = 53, RESOLVERS_TEXT = 8192, TRIES = 100, PAUSE_MS = 10 };

/* Whether to try again: a question without its answer would hang, or take that of the one before. */
static bool may_try_again(int *tries)
{
	if ((errno != EINTR && !means_full(errno)) || --*tries == 0)
		return false;
	poll(NULL, 0, PAUSE_MS);
	return true;
}

/* The worker */

static int keeper = -1;

void ask_keeper_to_connect(int fd)
{
	keeper = fd;
}

static int ask(int fd, const struct sockaddr *to, socklen_t length)
{
	struct question question = { .length = length };
	union descriptor descriptor = { { 0 } };
	struct iovec part = { &question, sizeof question };
	struct msghdr message = message_of(&part, &descriptor);
	int32_t error;
	int tries = TRIES;
	ssize_t got;
	if (length > sizeof question.to)
		return EINVAL;
	memcpy(&question.to, to, length);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	*header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd) };
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	if (sendmsg(keeper, &message, MSG_NOSIGNAL) != (ssize_t)sizeof question)
		return ECONNABORTED; /* the keeper has ended, and so will we */
	do
		got = recv(keeper, &error, sizeof error, 0);
	while (got < 0 && may_try_again(&tries));
	return got == (ssize_t)sizeof error ? error : ECONNABORTED;
}

/* libslirp knows it by this name, so it takes the place of libc's in all of the program. */
int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t length)
{
	if (keeper < 0)
		return (int)syscall(SYS_connect, fd, to.__sockaddr__, length);
	errno = ask(fd, to.__sockaddr__, length);
	return errno == 0 ? 0 : -1;
}

/* The keeper */

static bool is_loopback(struct address a)
{
	if (is_ipv4(a))
		return ipv4_of_address(a) >> 24 == 127 || ipv4_of_address(a) >> 24 == 0; /* 0: this host */
	return a.high == 0 && a.low <= 1;
}

/* Read for each question, because libslirp goes by what the file says now. */
static bool is_resolver(struct address a, const char *path)
{
	char text[RESOLVERS_TEXT], *rest = text;
	struct address server;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		const char *word = strsep(&line, " \t");
		char *value = line ? line + strspn(line, " \t") : NULL;
		if (!value || strcmp(word, "nameserver") != 0)
			continue;
		value[strcspn(value, " \t%#;")] = '\0';
		if (parse_address(value, &server) && same_address(server, a))
			return true;
	}
	return false;
}

static bool read_sockaddr(const struct sockaddr_storage *from, struct address *a, uint16_t *port)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;
	bool is_v4 = from->ss_family == AF_INET;
	if (!is_v4 && from->ss_family != AF_INET6)
		return false;
	*a = is_v4 ? address_of_ipv4(ntohl(in->sin_addr.s_addr)) : address_of_octets(in6->sin6_addr.s6_addr, 16);
	*port = ntohs(is_v4 ? in->sin_port : in6->sin6_port);
	return true;
}

bool may_connect(const struct slirp_child *child, const struct sockaddr_storage *to, const char *resolvers)
{
	struct address a;
	uint16_t port;
	if (!read_sockaddr(to, &a, &port) || child->host_only)
		return false;
	return child->host_loopback || !is_loopback(a) || (port == RESOLVER_PORT && is_resolver(a, resolvers));
}

/* The worker may have made it wait; nobody waits here. */
static int connect_quietly(int fd, const struct question *question)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return errno;
	return connect(fd, (const struct sockaddr *)&question->to, question->length) == 0 ? 0 : errno;
}

static bool answer(int worker, int32_t error)
{
	int tries = TRIES;
	ssize_t sent;
	do
		sent = send(worker, &error, sizeof error, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && may_try_again(&tries));
	return sent == (ssize_t)sizeof error;
}

bool answer_worker(int worker, const struct slirp_child *child)
{
	struct question question = { .length = 0 };
	union descriptor descriptor = { { 0 } };
	struct iovec part = { &question, sizeof question };
	struct msghdr message = message_of(&part, &descriptor);
	int fd;
	ssize_t got = recvmsg(worker, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return means_full(errno) || errno == EINTR;
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return false;
	memcpy(&fd, CMSG_DATA(header), sizeof fd);
	bool is_sound = got == (ssize_t)sizeof question && question.length <= sizeof question.to;
	int32_t error = EACCES;
	if (is_sound && may_connect(child, &question.to, "/etc/resolv.conf"))
		error = connect_quietly(fd, &question);
	close(fd);
	return is_sound && answer(worker, error);
}
