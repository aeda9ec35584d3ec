/*
 * Traffic for attach.py and taps.py, between two namespaces. Each run ends by itself and prints a number, and the processor's time that it
 * took, in ns: what the kernel does with a frame between namespaces it does in the sender's time.
 *
 *     traffic udp ADDRESS SECONDS     datagrams that make frames of 64 octets, as fast as it can: how many it sent
 *     traffic tcp ADDRESS SECONDS     one connection: octets that the other end took
 *     traffic down ADDRESS SECONDS    the same the other way: octets that it could read
 *     traffic ping ADDRESS SECONDS    a datagram, its answer, the next: the median round trip in ns
 *     traffic trips ADDRESS SECONDS   the same: instead of the processor's time what 99 of 100 took at most
 *     traffic serve                   what they talk to: discards (port 9), answers (port 7), speaks without end (port 19)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/sockios.h>

enum {
	ECHO = 7,
	DISCARD = 9,
	SOURCE = 19,
	PAYLOAD = 64 - 14 - 20 - 8,
	CHUNK = 1 << 17,
	ROUND_TRIPS_MAX = 200000,
	ANSWER_MS = 200
};

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static int open_socket(int type, const char *address, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, type, 0), one = 1;
	if (address)
		inet_pton(AF_INET, address, &to.sin_addr);
	struct timeval patience = { 0, ANSWER_MS * 1000 }; /* one that stalls ends in time, too */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if ((address ? connect : bind)(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
		perror("traffic");
		exit(1);
	}
	if (address) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	}
	return fd;
}

static uint64_t send_datagrams(int fd, uint64_t end_ns)
{
	char payload[PAYLOAD] = { 0 };
	uint64_t sent = 0;
	while (now_ns() < end_ns)
		for (int i = 0; i < 64; i++)
			sent += send(fd, payload, sizeof payload, 0) > 0;
	return sent;
}

static uint64_t send_stream(int fd, uint64_t end_ns)
{
	static char chunk[CHUNK];
	uint64_t sent = 0;
	while (now_ns() < end_ns) {
		ssize_t n = write(fd, chunk, sizeof chunk);
		if (n <= 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (uint64_t)n : 0;
	}
	int waiting = 0;
	return ioctl(fd, SIOCOUTQ, &waiting) == 0 ? sent - (uint64_t)waiting : sent;
}

static uint64_t read_stream(int fd, uint64_t end_ns)
{
	static char chunk[CHUNK];
	uint64_t got = 0;
	while (now_ns() < end_ns) {
		ssize_t n = recv(fd, chunk, sizeof chunk, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		got += n > 0 ? (uint64_t)n : 0;
	}
	return got;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Gives the median; what 99 of 100 took at most goes to *slow. */
static uint64_t round_trips(int fd, uint64_t end_ns, uint64_t *slow)
{
	static uint64_t trips[ROUND_TRIPS_MAX];
	char payload[PAYLOAD] = { 0 };
	size_t count = 0;
	while (now_ns() < end_ns && count < ROUND_TRIPS_MAX) {
		uint64_t begin = now_ns();
		struct pollfd answer = { .fd = fd, .events = POLLIN };
		if (send(fd, payload, sizeof payload, 0) > 0 && poll(&answer, 1, ANSWER_MS) > 0 &&
		    recv(fd, payload, sizeof payload, 0) > 0)
			trips[count++] = now_ns() - begin;
	}
	qsort(trips, count, sizeof *trips, compare);
	*slow = count > 0 ? trips[count * 99 / 100] : 0;
	return count > 0 ? trips[count / 2] : 0;
}

static void *discard(void *connection)
{
	static char unread[CHUNK];
	int fd = (int)(intptr_t)connection;
	while (recv(fd, unread, sizeof unread, 0) > 0)
		continue;
	close(fd);
	return NULL;
}

static void *speak(void *connection)
{
	int fd = (int)(intptr_t)connection;
	send_stream(fd, UINT64_MAX);
	close(fd);
	return NULL;
}

struct service {
	int listener;
	void *(*serve)(void *);
};

/* Each connection by itself: one that stands still must not slow the next. */
static void *accept_all(void *argument)
{
	const struct service *s = argument;
	pthread_t thread;
	for (;;) {
		int fd = accept(s->listener, NULL, NULL);
		if (fd >= 0 && pthread_create(&thread, NULL, s->serve, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
}

static int offer(const struct service *s)
{
	pthread_t thread;
	return listen(s->listener, 8) == 0 && pthread_create(&thread, NULL, accept_all, (void *)(uintptr_t)s) == 0;
}

static int serve(void)
{
	const struct service discarding = { open_socket(SOCK_STREAM, NULL, DISCARD), discard };
	const struct service speaking = { open_socket(SOCK_STREAM, NULL, SOURCE), speak };
	int echo = open_socket(SOCK_DGRAM, NULL, ECHO);
	char payload[2048];
	open_socket(SOCK_DGRAM, NULL, DISCARD); /* never read: else ICMP errors would be most of the work */
	signal(SIGPIPE, SIG_IGN);
	if (!offer(&discarding) || !offer(&speaking))
		return 1;
	puts("serving");
	fflush(stdout);
	for (;;) {
		struct sockaddr_in from;
		socklen_t length = sizeof from;
		ssize_t n = recvfrom(echo, payload, sizeof payload, 0, (struct sockaddr *)&from, &length);
		if (n >= 0)
			sendto(echo, payload, (size_t)n, 0, (const struct sockaddr *)&from, length);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "serve") == 0)
		return serve();
	if (argc != 4)
		return 2;
	uint64_t span_ns = (uint64_t)(atof(argv[3]) * 1e9), result, slow = 0;
	if (strcmp(argv[1], "udp") == 0)
		result = send_datagrams(open_socket(SOCK_DGRAM, argv[2], DISCARD), now_ns() + span_ns);
	else if (strcmp(argv[1], "tcp") == 0)
		result = send_stream(open_socket(SOCK_STREAM, argv[2], DISCARD), now_ns() + span_ns);
	else if (strcmp(argv[1], "down") == 0)
		result = read_stream(open_socket(SOCK_STREAM, argv[2], SOURCE), now_ns() + span_ns);
	else
		result = round_trips(open_socket(SOCK_DGRAM, argv[2], ECHO), now_ns() + span_ns, &slow);
	uint64_t beside = strcmp(argv[1], "trips") == 0 ? slow : read_clock(CLOCK_PROCESS_CPUTIME_ID);
	printf("%llu %llu\n", (unsigned long long)result, (unsigned long long)beside);
	return 0;
}
