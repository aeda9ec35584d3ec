/*
 * Bare relays around a tap, beside which softnet stands: they look at nothing.
 *
 *     taps pair NAME NAME            between two taps, one frame a call
 *     taps whole NAME NAME           ... with frames that the kernel is to cut
 *     taps stream NAME PATH          between a tap and a stream with lengths in front of frames, as passt has it
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/if_tun.h>

enum { LONGEST = 70000, AT_ONCE = 64, PREFIX = 4, HEADER = 12 };
#define CUT_UDP 0x60u /* TUN_F_USO4 and TUN_F_USO6, which older headers do not have */

static uint8_t buffer[AT_ONCE * LONGEST];

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_tap(const char *name, int is_whole)
{
	struct ifreq wish = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (is_whole ? IFF_VNET_HDR : 0)) };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK), header = HEADER;
	unsigned offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	snprintf(wish.ifr_name, sizeof wish.ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &wish) < 0)
		fail(name);
	if (!is_whole)
		return fd;
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
	    (ioctl(fd, TUNSETOFFLOAD, offload | CUT_UDP) < 0 && ioctl(fd, TUNSETOFFLOAD, offload) < 0))
		fail(name);
	return fd;
}

static void ready(void)
{
	puts("ready");
	fflush(stdout);
}

static void carry(int from, int to)
{
	for (int i = 0; i < AT_ONCE; i++) {
		ssize_t got = read(from, buffer, LONGEST);
		if (got <= 0)
			return;
		(void)!write(to, buffer, (size_t)got);
	}
}

static int relay(int a, int b)
{
	struct pollfd fds[] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
	ready();
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents)
			carry(a, b);
		if (fds[1].revents)
			carry(b, a);
	}
	return 1;
}

static void write_all(int fd, const uint8_t *octets, size_t n)
{
	while (n > 0) {
		ssize_t written = send(fd, octets, n, MSG_NOSIGNAL);
		if (written <= 0)
			exit(0);
		octets += written;
		n -= (size_t)written;
	}
}

static void put_length(uint8_t *at, uint32_t length)
{
	length = htonl(length);
	memcpy(at, &length, PREFIX);
}

static uint32_t length_at(const uint8_t *at)
{
	uint32_t length;
	memcpy(&length, at, PREFIX);
	return ntohl(length);
}

static void to_stream(int tap, int stream)
{
	size_t have = 0;
	for (int i = 0; i < AT_ONCE; i++) {
		ssize_t got = read(tap, buffer + have + PREFIX, LONGEST);
		if (got <= 0)
			break;
		put_length(buffer + have, (uint32_t)got);
		have += PREFIX + (size_t)got;
	}
	write_all(stream, buffer, have);
}

static void to_tap(int stream, int tap)
{
	static uint8_t in[1 << 18];
	static size_t have;
	size_t at = 0;
	ssize_t got = recv(stream, in + have, sizeof in - have, MSG_DONTWAIT);
	if (got == 0)
		exit(0);
	have += got > 0 ? (size_t)got : 0;
	while (have - at >= PREFIX && have - at - PREFIX >= length_at(in + at)) {
		(void)!write(tap, in + at + PREFIX, length_at(in + at));
		at += PREFIX + length_at(in + at);
	}
	memmove(in, in + at, have - at);
	have -= at;
}

static int relay_stream(int tap, const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int stream = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	if (connect(stream, (const struct sockaddr *)&a, sizeof a) != 0)
		fail(path);
	struct pollfd fds[] = { { .fd = tap, .events = POLLIN }, { .fd = stream, .events = POLLIN } };
	ready();
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents)
			to_stream(tap, stream);
		if (fds[1].revents)
			to_tap(stream, tap);
	}
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int is_whole = strcmp(argv[1], "whole") == 0;
	if (strcmp(argv[1], "stream") == 0)
		return relay_stream(open_tap(argv[2], 0), argv[3]);
	return relay(open_tap(argv[2], is_whole), open_tap(argv[3], is_whole));
}
