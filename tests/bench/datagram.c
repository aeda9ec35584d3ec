/*
 * What stands around a relay of datagrams while it is measured, and two bare ones, beside which it stands. Sockets are
 * inherited, by number.
 *
 *     datagram one FD FD                 carries frames both ways, each by two calls of the kernel
 *     datagram many FD FD                ... up to 64 by two calls, as softnet does
 *     datagram sink FD                   reads until SIGTERM; prints how many frames
 *     datagram send FD OCTETS SECONDS    64 to a call
 *     datagram echo FD                   sends frames back, as answers
 *     datagram ping FD COUNT             one frame after the other: prints how many us half, and 99 of 100, took at most
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "frame.h"

enum { AT_ONCE = 64, LONGEST = 2048, PAUSE_US = 500, PATIENCE_MS = 1000 };

static uint8_t buffers[AT_ONCE][LONGEST];
static struct mmsghdr messages[AT_ONCE];
static struct iovec parts[AT_ONCE];

static void prepare(void)
{
	for (int i = 0; i < AT_ONCE; i++) {
		parts[i] = (struct iovec){ buffers[i], LONGEST };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
}

static int receive_many(int fd, int flags)
{
	for (int i = 0; i < AT_ONCE; i++)
		parts[i].iov_len = LONGEST;
	return recvmmsg(fd, messages, AT_ONCE, flags, NULL);
}

static void carry_many(int from, int to)
{
	int got = receive_many(from, MSG_DONTWAIT);
	for (int i = 0; i < got; i++)
		parts[i].iov_len = messages[i].msg_len;
	if (got > 0)
		(void)sendmmsg(to, messages, (unsigned)got, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void carry_one(int from, int to)
{
	ssize_t got = recv(from, buffers[0], LONGEST, MSG_DONTWAIT);
	if (got > 0)
		(void)send(to, buffers[0], (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int relay(int a, int b, void (*carry)(int, int))
{
	struct pollfd fds[] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
	while (poll(fds, 2, -1) > 0) {
		if ((fds[0].revents | fds[1].revents) & (POLLHUP | POLLERR))
			return 0;
		if (fds[0].revents)
			carry(a, b);
		if (fds[1].revents)
			carry(b, a);
	}
	return 0;
}

static volatile sig_atomic_t is_over;

static void end(int number)
{
	(void)number;
	is_over = 1;
}

static int sink(int fd)
{
	unsigned long long frames = 0;
	struct sigaction action = { .sa_handler = end };
	sigaction(SIGTERM, &action, NULL); /* interrupts what waits */
	while (!is_over) {
		int got = receive_many(fd, MSG_WAITFORONE);
		frames += got > 0 ? (unsigned)got : 0;
	}
	printf("%llu\n", frames);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int send_frames(int fd, uint32_t octets, double seconds)
{
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
	for (int i = 0; i < AT_ONCE; i++) {
		put_frame(buffers[i], octets);
		parts[i].iov_len = octets;
	}
	while (now_ns() < end)
		if (sendmmsg(fd, messages, AT_ONCE, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			return 1;
	return 0;
}

static int echo(int fd)
{
	for (ssize_t got; (got = recv(fd, buffers[0], LONGEST, 0)) > 0;) {
		turn_round(buffers[0]);
		if (send(fd, buffers[0], (size_t)got, MSG_NOSIGNAL) < 0)
			return 1;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;
	return *left < *right ? -1 : *left > *right;
}

static int ping(int fd, size_t count)
{
	uint64_t *took = calloc(count, sizeof *took);
	struct pollfd answer = { .fd = fd, .events = POLLIN };
	for (size_t i = 0; took && i < count; i++) {
		put_frame(buffers[0], 64);
		uint64_t began = now_ns();
		if (send(fd, buffers[0], 64, 0) != 64 || poll(&answer, 1, PATIENCE_MS) != 1 ||
		    recv(fd, buffers[1], LONGEST, 0) != 64)
			fail("no answer");
		took[i] = now_ns() - began;
		usleep(PAUSE_US);
	}
	if (!took)
		fail("calloc");
	qsort(took, count, sizeof *took, compare);
	printf("%.1f %.1f\n", (double)took[count / 2] / 1e3, (double)took[count * 99 / 100] / 1e3);
	free(took);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int fd = argc > 2 ? atoi(argv[2]) : -1;
	prepare();
	if (argc == 4 && strcmp(what, "one") == 0)
		return relay(fd, atoi(argv[3]), carry_one);
	if (argc == 4 && strcmp(what, "many") == 0)
		return relay(fd, atoi(argv[3]), carry_many);
	if (argc == 3 && strcmp(what, "sink") == 0)
		return sink(fd);
	if (argc == 5 && strcmp(what, "send") == 0)
		return send_frames(fd, (uint32_t)atoi(argv[3]), atof(argv[4]));
	if (argc == 3 && strcmp(what, "echo") == 0)
		return echo(fd);
	if (argc == 4 && strcmp(what, "ping") == 0)
		return ping(fd, (size_t)atoi(argv[3]));
	return 2;
}
