/* Packet sockets: one for each direction, opened with privileges and used without. */
#include "port/kernel/kernel_inject.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>
#include "port/io.h"

static int open_injector(const struct kernel_guard *guard, uint64_t *cookie)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = (int)guard->index };
	socklen_t octets = sizeof *cookie;
	int error,
	    fd = move_above_2(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); /* 0: it receives nothing */
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)(void *)&at, sizeof at) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &octets) < 0) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	octets = sizeof error;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &octets); /* a port that is down says so at once */
	return fd;
}

bool open_injectors(struct kernel_guard *guard, struct error *error)
{
	for (int direction = 0; direction < DIRECTIONS; direction++) {
		guard->socket[direction] = open_injector(guard, &guard->memory->injector[direction]);
		if (guard->socket[direction] < 0)
			return report_failure(error, "cannot open a packet socket on %s: %s", guard->interface,
					      strerror(errno));
	}
	return true;
}

bool is_port_gone(const struct kernel_guard *guard)
{
	struct sockaddr_ll at = { .sll_ifindex = 0 };
	socklen_t octets = sizeof at;
	return getsockname(guard->socket[TO_GUEST], (struct sockaddr *)(void *)&at, &octets) == 0 &&
	       at.sll_ifindex != (int)guard->index;
}

static uint64_t add_words(uint64_t sum, const uint8_t *at, uint32_t octets)
{
	for (uint32_t i = 0; i + 1 < octets; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	return octets % 2 ? sum + ((uint32_t)at[octets - 1] << 8) : sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* A field that holds the sum of the pseudo-header is one that a card was to fill in. A right one stays right. */
static void complete_at(uint8_t *upper, uint32_t octets, uint32_t field, uint64_t pseudo)
{
	if (field + 2 > octets || ((uint32_t)upper[field] << 8 | upper[field + 1]) != fold(pseudo))
		return;
	uint16_t sum = (uint16_t)~fold(add_words(0, upper, octets)); /* with the pseudo-header, whose sum is in the field */
	if (sum == 0)
		sum = 0xffff; /* RFC 768: 0 means that there is none */
	upper[field] = (uint8_t)(sum >> 8);
	upper[field + 1] = (uint8_t)sum;
}

void complete_checksum(uint8_t *bytes, uint32_t length)
{
	enum { UDP = 17, ICMP6 = 58, UDP_FIELD = 6, ICMP6_FIELD = 2, IPV4_AT = 14, IPV6_UPPER = 54 };
	uint32_t type = length >= IPV6_UPPER ? (uint32_t)bytes[12] << 8 | bytes[13] : 0;
	if (type == 0x0800) {
		uint32_t upper = IPV4_AT + (bytes[14] & 15) * 4u, end = IPV4_AT + ((uint32_t)bytes[16] << 8 | bytes[17]);
		if (bytes[23] == UDP && end <= length && upper + 8 <= end)
			complete_at(bytes + upper, end - upper, UDP_FIELD, add_words(UDP + (end - upper), bytes + 26, 8));
	} else if (type == 0x86dd) {
		uint32_t octets = (uint32_t)bytes[18] << 8 | bytes[19], protocol = bytes[20];
		if (octets <= length - IPV6_UPPER && (protocol == UDP || protocol == ICMP6))
			complete_at(bytes + IPV6_UPPER, octets, protocol == UDP ? UDP_FIELD : ICMP6_FIELD,
				    add_words(protocol + octets, bytes + 22, 32));
	}
}

int inject_frame(const struct kernel_guard *guard, enum direction direction, const uint8_t *bytes, uint32_t length)
{
	ssize_t sent;
	do
		sent = send(guard->socket[direction], bytes, length, 0);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? errno : 0;
}
