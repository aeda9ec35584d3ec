/* The same as io_linux.c for every other system, macOS first: one datagram at a time, and SO_NOSIGPIPE. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "port/io.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* older macOS; there the socket has SO_NOSIGPIPE */
#endif

int datagrams_receive(struct batch *batch, int fd, struct packet *packets, uint32_t max)
{
	uint32_t n = 0;
	while (n < max) {
		struct iovec parts[DATAGRAM_PARTS];
		struct msghdr message = { .msg_iov = parts };
		message.msg_iovlen = (__typeof__(message.msg_iovlen))parts_to_fill(batch, n, parts);
		if (batch->sources) {
			message.msg_name = &batch->sources[n];
			message.msg_namelen = sizeof batch->sources[n];
		}
		ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);
		if (length < 0)
			break;
		packets[n] = filled_packet(batch, n, (uint32_t)length, (message.msg_flags & MSG_TRUNC) != 0);
		if (batch->sources)
			batch->source_lengths[n] = message.msg_namelen;
		n++;
	}
	return n ? (int)n : -1;
}

int datagrams_send(const struct datagram_target *target, const struct packet *packets, uint32_t n)
{
	uint32_t sent = 0;
	while (sent < n) {
		struct iovec parts[DATAGRAM_PARTS];
		struct cut_note note;
		struct msghdr message = {
			.msg_name = (void *)(uintptr_t)target->to,
			.msg_namelen = target->to_length,
			.msg_iov = parts,
		};
		size_t count = parts_to_send(target, &packets[sent], &note, parts);
		message.msg_iovlen = (__typeof__(message.msg_iovlen))count;
		if (sendmsg(target->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		sent++;
	}
	return sent ? (int)sent : -1;
}

ssize_t stream_write(int fd, struct iovec *parts, int count)
{
	struct msghdr message = { .msg_iov = parts };
	message.msg_iovlen = (__typeof__(message.msg_iovlen))count;
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool give_socket(const char *path, uid_t owner, gid_t group)
{
	return lchown(path, owner, group) == 0;
}

void no_sigpipe(int fd)
{
#ifdef SO_NOSIGPIPE
	setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){ 1 }, sizeof(int));
#else
	(void)fd;
#endif
}

void close_from(int lowest)
{
	struct rlimit limit = { .rlim_cur = 1 << 10 };
	getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = lowest; (rlim_t)fd < limit.rlim_cur && fd < 1 << 16; fd++)
		close(fd);
}

void end_with_parent(void)
{
	/* There is no such request here: the end of the control socket tells. */
}

void ask_to_end_with_parent(void)
{
	/* No such request here. */
}

void name_process(const char *name)
{
	(void)name;
}

void give_up_privileges_for_good(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}
