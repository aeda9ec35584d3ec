/* Exposed UDP ports: datagrams of clients to frames for the guest, and its answers back through the same socket. */
#define __APPLE_USE_RFC_3542 /* else macOS has no IPV6_PKTINFO */
#include "port/checksum.h"
#include "port/slirp/slirp_octets.h"
#include "port/slirp/slirp_udp.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "port/io.h"

enum {
	ETHERNET = 14,
	IPV4 = 20,
	IPV6 = 40,
	UDP = 8,
	TTL = 64,
	DATAGRAMS_A_TURN = 16, /* of one socket, so that no client starves the others */
};

/* Addresses */

/* Who the client is to the guest: programs of this host, and neighbors by their link's own addresses, are the host. */
static struct address shown_as(const struct sockaddr_storage *peer, uint16_t *port)
{
	if (peer->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
		uint32_t a = ntohl(in->sin_addr.s_addr);
		*port = ntohs(in->sin_port);
		return address_of_ipv4(a >> 24 == 127 ? SLIRP_HOST : a);
	}
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;
	struct address a = address_of_octets(in6->sin6_addr.s6_addr, 16);
	*port = ntohs(in6->sin6_port);
	bool is_host = (a.high == 0 && a.low == 1) || is_link_local(a);
	return is_host ? (struct address){ SLIRP_PREFIX6, SLIRP_HOST6 } : a;
}

/* Forwardings */

bool udp_begin(struct udp_exposes *u, uint64_t guest_mac, uint32_t mtu)
{
	u->guest_mac = guest_mac;
	u->mtu = mtu;
	u->packet = malloc(ETHERNET + mtu);
	return u->packet != NULL;
}

static void note_ports(struct udp_exposes *u)
{
	memset(u->is_forwarded, 0, sizeof u->is_forwarded);
	for (uint32_t i = 0; i < u->count; i++) {
		uint16_t port = u->forwards[i].internal_port;
		u->is_forwarded[port / 8] |= (uint8_t)(1 << port % 8);
	}
}

static int open_socket(const struct udp_forward *forward)
{
	struct sockaddr_storage name;
	socklen_t length = fill_sockaddr(&name, forward->external, forward->external_port);
	const int on = 1;
	bool is_v4 = name.ss_family == AF_INET;
	int fd = socket(name.ss_family, SOCK_DGRAM, 0);
	if (fd >= 0 && make_quiet(fd) && (is_v4 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
	    setsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof on) == 0 &&
	    bind(fd, (struct sockaddr *)&name, length) == 0)
		return fd;
	return close_failed(fd);
}

int udp_add(struct udp_exposes *u, const struct udp_forward *forward)
{
	if (u->count >= UDP_FORWARDS_MAX)
		return ENOBUFS;
	int fd = open_socket(forward);
	if (fd < 0)
		return errno;
	u->forwards[u->count] = *forward;
	u->forwards[u->count++].fd = fd;
	note_ports(u);
	return 0;
}

/* The last one takes the place of the one that goes, and its clients with it. */
static void close_gap(struct udp_exposes *u, uint32_t gone)
{
	u->count--;
	for (uint32_t set = 0; set < UDP_CLIENT_SETS; set++)
		for (uint32_t way = 0; way < UDP_CLIENT_WAYS; way++) {
			struct udp_client *c = &u->clients[set][way];
			if (c->forward == gone)
				c->until_ms = 0;
			if (c->forward == u->count)
				c->forward = (uint16_t)gone;
		}
	u->forwards[gone] = u->forwards[u->count];
}

void udp_remove(struct udp_exposes *u, struct address external, uint16_t external_port)
{
	for (uint32_t i = 0; i < u->count; i++) {
		if (!same_address(u->forwards[i].external, external) || u->forwards[i].external_port != external_port)
			continue;
		close(u->forwards[i].fd);
		close_gap(u, i);
		note_ports(u);
		return;
	}
}

/* Clients */

static struct udp_client *set_of(struct udp_exposes *u, struct address shown, uint16_t port, uint16_t guest_port)
{
	uint64_t hash = shown.high * 0x9e3779b97f4a7c15ULL ^ shown.low;
	hash = (hash ^ (uint64_t)port << 16 ^ guest_port) * 0x9e3779b97f4a7c15ULL;
	return u->clients[hash >> 56];
}

_Static_assert(UDP_CLIENT_SETS == 256, "set_of() gives eight bits");

static struct udp_client *find_client(struct udp_exposes *u, const struct udp_client *like, uint64_t now_ms)
{
	struct udp_client *set = set_of(u, like->shown, like->port, like->guest_port);
	for (int i = 0; i < UDP_CLIENT_WAYS; i++)
		if (now_ms < set[i].until_ms && same_address(set[i].shown, like->shown) && set[i].port == like->port &&
		    same_address(set[i].guest, like->guest) && set[i].guest_port == like->guest_port)
			return &set[i];
	return NULL;
}

/* Two that look the same to the guest, such as one program that uses two forwardings to one port: the later one counts. */
static void remember_client(struct udp_exposes *u, const struct udp_client *client, uint64_t now_ms)
{
	struct udp_client *set = set_of(u, client->shown, client->port, client->guest_port);
	struct udp_client *place = find_client(u, client, now_ms), *oldest = &set[0];
	for (int i = 0; !place && i < UDP_CLIENT_WAYS; i++)
		if (set[i].until_ms < oldest->until_ms)
			oldest = &set[i]; /* free ones, too */
	if (!place)
		place = oldest;
	*place = *client;
	place->until_ms = now_ms + UDP_CLIENT_MS;
}

/* From the network */

/* The header, up to where UDP begins; the source MAC is that of the router. */
static uint8_t *put_headers(uint8_t *at, const struct udp_exposes *u, const struct udp_client *c, uint32_t udp_octets)
{
	at = put(at, u->guest_mac, 6);
	if (is_ipv4(c->guest)) {
		at = put(put(at, SLIRP_HOST_MAC, 6), 0x0800, 2);
		uint8_t *ip = at;
		at = put(at, 0x4500, 2);
		at = put(at, IPV4 + udp_octets, 2);
		at = put(at, 0x4000, 4); /* RFC 6864 4.1: with DF the identification means nothing */
		at = put(at, TTL << 8 | IPPROTO_UDP, 2);
		at = put(at, 0, 2);
		at = put(at, ipv4_of_address(c->shown), 4);
		at = put(at, ipv4_of_address(c->guest), 4);
		put(ip + 10, checksum_of(add_up(ip, IPV4, 0)), 2);
		return at;
	}
	at = put(put(at, SLIRP_HOST_MAC6, 6), 0x86dd, 2);
	at = put(at, 0x60000000, 4);
	at = put(at, udp_octets, 2);
	at = put(at, IPPROTO_UDP << 8 | TTL, 2);
	at = put(put(at, c->shown.high, 8), c->shown.low, 8);
	return put(put(at, c->guest.high, 8), c->guest.low, 8);
}

static uint32_t header_octets(struct address a)
{
	return ETHERNET + (is_ipv4(a) ? IPV4 : IPV6);
}

/* The sum over the pseudo header, RFC 768 and RFC 8200 8.1: the addresses stand right before UDP in both families. */
static uint32_t add_up_udp(const uint8_t *udp, uint32_t octets, bool is_v4)
{
	uint32_t addresses = is_v4 ? 8 : 32;
	return add_up(udp, octets, add_up(udp - addresses, addresses, IPPROTO_UDP + octets));
}

/* The data of the datagram are in their place in u->packet already. */
static void send_to_guest(struct udp_exposes *u, const struct udp_client *c, uint32_t octets)
{
	uint32_t length = UDP + octets;
	uint8_t *udp = put_headers(u->packet, u, c, length);
	put(put(put(put(udp, c->port, 2), c->guest_port, 2), length, 2), 0, 2);
	uint16_t sum = checksum_of(add_up_udp(udp, length, is_ipv4(c->guest)));
	put(udp + 6, sum == 0 ? 0xffff : sum, 2); /* RFC 768: 0 is none */
	u->send(u->context, u->packet, header_octets(c->guest) + length);
}

union control {
	struct cmsghdr align;
	char octets[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void read_local(struct msghdr *message, struct udp_client *c)
{
	for (struct cmsghdr *m = CMSG_FIRSTHDR(message); m; m = CMSG_NXTHDR(message, m)) {
		struct in_pktinfo in;
		struct in6_pktinfo in6;
		if (m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_PKTINFO) {
			memcpy(&in, CMSG_DATA(m), sizeof in);
			c->local = address_of_ipv4(ntohl(in.ipi_spec_dst.s_addr));
		} else if (m->cmsg_level == IPPROTO_IPV6 && m->cmsg_type == IPV6_PKTINFO) {
			memcpy(&in6, CMSG_DATA(m), sizeof in6);
			c->local = address_of_octets(in6.ipi6_addr.s6_addr, 16);
		}
	}
}

/* One datagram; false when there is none. One that is too long is lost, as on a link with this MTU. */
static bool receive_one(struct udp_exposes *u, uint32_t index, uint64_t now_ms)
{
	const struct udp_forward *f = &u->forwards[index];
	struct udp_client client = { .guest = f->guest, .guest_port = f->internal_port, .forward = (uint16_t)index };
	uint32_t headers = header_octets(f->guest) + UDP;
	union control control;
	struct iovec part = { u->packet + headers, ETHERNET + u->mtu - headers };
	struct msghdr message = { .msg_name = &client.peer,
				  .msg_namelen = sizeof client.peer,
				  .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof control };
	ssize_t n = recvmsg(f->fd, &message, MSG_DONTWAIT);
	if (n < 0)
		return false;
	if ((message.msg_flags & MSG_TRUNC) != 0)
		return true;
	client.shown = shown_as(&client.peer, &client.port);
	read_local(&message, &client);
	remember_client(u, &client, now_ms);
	send_to_guest(u, &client, (uint32_t)n);
	return true;
}

void udp_from_network(struct udp_exposes *u, uint32_t index, uint64_t now_ms)
{
	for (int i = 0; i < DATAGRAMS_A_TURN; i++)
		if (!receive_one(u, index, now_ms))
			return;
}

/* From the guest */

/* Reads a UDP packet without options, extension headers or fragments; *udp is where its header begins. */
static bool parse_packet(const uint8_t *frame, uint32_t length, struct udp_client *c, const uint8_t **udp)
{
	const uint8_t *ip = frame + ETHERNET;
	if (length >= ETHERNET + IPV4 + UDP && get(frame + 12, 2) == 0x0800) {
		if (ip[0] != 0x45 || (get(ip + 6, 2) & 0x3fff) != 0 || ip[9] != IPPROTO_UDP)
			return false;
		c->guest = address_of_ipv4((uint32_t)get(ip + 12, 4));
		c->shown = address_of_ipv4((uint32_t)get(ip + 16, 4));
		*udp = ip + IPV4;
	} else if (length >= ETHERNET + IPV6 + UDP && get(frame + 12, 2) == 0x86dd) {
		if (ip[0] >> 4 != 6 || ip[6] != IPPROTO_UDP)
			return false;
		c->guest = (struct address){ get(ip + 8, 8), get(ip + 16, 8) };
		c->shown = (struct address){ get(ip + 24, 8), get(ip + 32, 8) };
		*udp = ip + IPV6;
	} else {
		return false;
	}
	c->guest_port = (uint16_t)get(*udp, 2);
	c->port = (uint16_t)get(*udp + 2, 2);
	return true;
}

/* A wrong checksum must not become a right one on the way. */
static bool is_sound(const uint8_t *udp, uint32_t octets, bool is_v4)
{
	return (is_v4 && get(udp + 6, 2) == 0) || add_up_udp(udp, octets, is_v4) == 0xffff;
}

static void send_to_client(const struct udp_exposes *u, struct udp_client *c, const uint8_t *data, uint32_t octets)
{
	bool is_v4 = c->peer.ss_family == AF_INET;
	union control control;
	memset(&control, 0, sizeof control);
	struct iovec part = { (void *)(uintptr_t)data, octets };
	struct msghdr message = { .msg_name = &c->peer, .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control };
	message.msg_namelen = is_v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	size_t size = is_v4 ? sizeof(struct in_pktinfo) : sizeof(struct in6_pktinfo);
	message.msg_controllen = (__typeof__(message.msg_controllen))CMSG_SPACE(size);
	struct cmsghdr *m = CMSG_FIRSTHDR(&message);
	m->cmsg_level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
	m->cmsg_type = is_v4 ? IP_PKTINFO : IPV6_PKTINFO;
	m->cmsg_len = (__typeof__(m->cmsg_len))CMSG_LEN(size);
	struct in_pktinfo in = { .ipi_spec_dst.s_addr = htonl(ipv4_of_address(c->local)) };
	struct in6_pktinfo in6 = { .ipi6_ifindex = 0 };
	octets_of_address(c->local, in6.ipi6_addr.s6_addr);
	memcpy(CMSG_DATA(m), is_v4 ? (const void *)&in : (const void *)&in6, size);
	/* A full queue or a client that is gone loses the datagram, like any network. */
	(void)sendmsg(u->forwards[c->forward].fd, &message, MSG_DONTWAIT);
}

bool udp_from_guest(struct udp_exposes *u, const uint8_t *frame, uint32_t length, uint64_t now_ms)
{
	struct udp_client like = { 0 };
	const uint8_t *udp;
	if (u->count == 0 || !parse_packet(frame, length, &like, &udp) ||
	    (u->is_forwarded[like.guest_port / 8] >> like.guest_port % 8 & 1) == 0)
		return false;
	struct udp_client *client = find_client(u, &like, now_ms);
	uint32_t octets = (uint32_t)get(udp + 4, 2);
	if (!client)
		return false;
	if (octets < UDP || octets > length - (uint32_t)(udp - frame) || !is_sound(udp, octets, is_ipv4(like.guest)))
		return true; /* dropped */
	client->until_ms = now_ms + UDP_CLIENT_MS;
	send_to_client(u, client, udp + UDP, octets - UDP);
	return true;
}
