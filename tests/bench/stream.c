/*
 * What stands around a relay of streams while it is measured, and the barest relay that there can be, beside which it stands.
 *
 *     stream relay GUEST UPLINK          takes one client at GUEST, connects to UPLINK, carries whole frames there
 *     stream sink PATH                   takes one client and reads all it sends; prints how many octets, when it ends
 *     stream send PATH OCTETS SECONDS    frames of that length, 64 to a write
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "frame.h"

enum { BUFFER = 256 << 10, LONGEST = 65540, AT_ONCE = 64, PREFIX = 4, ROOM = 1 << 20, TRIES = 200, PAUSE_US = 10000 };

static uint8_t buffer[BUFFER + LONGEST];

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	return a;
}

/* As the ports of softnet have it. */
static int with_room(int fd)
{
	int octets = ROOM;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &octets, sizeof octets);
	return fd;
}

static int take_client(const char *path)
{
	struct sockaddr_un a = address_of(path);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	unlink(path);
	if (bind(listener, (const struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 1) != 0)
		fail(path);
	puts("listening");
	fflush(stdout);
	int fd = accept(listener, NULL, NULL);
	if (fd < 0)
		fail("accept");
	return with_room(fd);
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), left = TRIES;
	while (connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
		if (errno != ECONNREFUSED || left-- == 0) /* the path is there before anybody listens */
			fail(path);
		usleep(PAUSE_US);
	}
	return with_room(fd);
}

static int write_all(int fd, const uint8_t *octets, size_t n)
{
	while (n > 0) {
		ssize_t written = send(fd, octets, n, MSG_NOSIGNAL);
		if (written <= 0)
			return 0;
		octets += written;
		n -= (size_t)written;
	}
	return 1;
}

static uint32_t length_at(const uint8_t *prefix)
{
	uint32_t length;
	memcpy(&length, prefix, PREFIX);
	return ntohl(length);
}

static int relay(int from, int to)
{
	size_t have = 0, whole = 0;
	for (;;) {
		ssize_t got = read(from, buffer + have, BUFFER - have);
		if (got <= 0)
			return 0;
		have += (size_t)got;
		for (whole = 0; have - whole >= PREFIX && have - whole - PREFIX >= length_at(buffer + whole);)
			whole += PREFIX + length_at(buffer + whole);
		if (!write_all(to, buffer, whole))
			return 0;
		memmove(buffer, buffer + whole, have - whole);
		have -= whole;
	}
}

static int drain(int from)
{
	unsigned long long octets = 0;
	for (ssize_t got; (got = read(from, buffer, BUFFER)) > 0;)
		octets += (unsigned long long)got;
	printf("%llu\n", octets);
	return 0;
}

static int send_frames(int to, uint32_t octets, double seconds)
{
	struct timespec now, end;
	size_t n = 0;
	for (int i = 0; i < AT_ONCE; i++) {
		put(buffer + n, octets, PREFIX);
		put_frame(buffer + n + PREFIX, octets);
		n += PREFIX + octets;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)seconds;
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (!write_all(to, buffer, n))
			return 1;
	} while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "relay") == 0) {
		int uplink = connect_to(argv[3]);
		return relay(take_client(argv[2]), uplink);
	}
	if (argc == 3 && strcmp(argv[1], "sink") == 0)
		return drain(take_client(argv[2]));
	if (argc == 5 && strcmp(argv[1], "send") == 0)
		return send_frames(connect_to(argv[2]), (uint32_t)atoi(argv[3]), atof(argv[4]));
	return 2;
}
