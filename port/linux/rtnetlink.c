/* Requests and answers of rtnetlink(7). */
#include "port/linux/rtnetlink.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The kernel answers at once, from its tables. A million routes of the Internet are not read to the end. */
enum { ANSWER_OCTETS = 32768, DATAGRAMS_MAX = 64, PATIENCE_S = 1 };

static int open_rtnetlink(void)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	int yes = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -1;
	/* Dumps of what was asked for alone. A kernel that is older than 4.20 gives all, and the readers look themselves. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &yes, sizeof yes);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

/* One datagram. -1: more will come; else 0 or an errno. */
static int read_answer(const char *answer, size_t length, rtnetlink_reader read, void *context)
{
	size_t left = length;
	for (const struct nlmsghdr *m = (const void *)answer; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
		if (m->nlmsg_type == NLMSG_ERROR)
			return -((const struct nlmsgerr *)NLMSG_DATA(m))->error;
		if (m->nlmsg_type == NLMSG_DONE || (read && !read(context, m)))
			return 0;
		if ((m->nlmsg_flags & NLM_F_MULTI) == 0)
			return 0;
	}
	return -1;
}

static int read_answers(int fd, rtnetlink_reader read, void *context)
{
	static _Alignas(struct nlmsghdr) char answer[ANSWER_OCTETS];
	int error = -1;
	for (int i = 0; i < DATAGRAMS_MAX && error < 0; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t length = sizeof from;
		ssize_t n = recvfrom(fd, answer, sizeof answer, 0, (struct sockaddr *)(void *)&from, &length);
		if (n < 0)
			return errno;
		if (from.nl_pid == 0) /* the kernel itself */
			error = read_answer(answer, (size_t)n, read, context);
	}
	return error < 0 ? EMSGSIZE : error;
}

int ask_kernel(struct rtnetlink_request *request, rtnetlink_reader read, void *context)
{
	int fd = open_rtnetlink();
	if (fd < 0)
		return errno;
	request->header.nlmsg_flags |= NLM_F_REQUEST;
	int error = send(fd, request, request->header.nlmsg_len, 0) < 0 ? errno : read_answers(fd, read, context);
	close(fd);
	return error;
}

struct rtattr *put_attribute(struct rtnetlink_request *request, unsigned short type, const void *data, size_t length)
{
	struct rtattr *attribute = (struct rtattr *)(void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(length);
	if (length > 0)
		memcpy(RTA_DATA(attribute), data, length);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + (uint32_t)RTA_SPACE(length);
	return attribute;
}

struct attributes attributes_of(const struct nlmsghdr *message, size_t header)
{
	const char *begin = (const char *)message, *end = begin + message->nlmsg_len;
	const char *first = begin + NLMSG_HDRLEN + NLMSG_ALIGN(header);
	return (struct attributes){ first < end ? first : end, end };
}

struct attributes attributes_in(const struct attribute *a)
{
	return (struct attributes){ a->data, (const char *)a->data + a->length };
}

bool next_attribute(struct attributes *list, struct attribute *a)
{
	struct rtattr header;
	if (list->end - list->at < (ptrdiff_t)sizeof header)
		return false;
	memcpy(&header, list->at, sizeof header);
	if (header.rta_len < sizeof header || header.rta_len > list->end - list->at)
		return false;
	a->type = (unsigned short)(header.rta_type & (unsigned)NLA_TYPE_MASK);
	a->length = header.rta_len - sizeof header;
	a->data = list->at + sizeof header;
	ptrdiff_t step = (ptrdiff_t)RTA_ALIGN(header.rta_len);
	list->at = step < list->end - list->at ? list->at + step : list->end;
	return true;
}

uint32_t number_in(const struct attribute *a)
{
	uint32_t number = 0;
	uint8_t octet = 0;
	if (a->length == sizeof number)
		memcpy(&number, a->data, sizeof number);
	else if (a->length == sizeof octet)
		memcpy(&octet, a->data, sizeof octet);
	return a->length == sizeof octet ? octet : number;
}
