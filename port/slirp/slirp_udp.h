/*
 * Exposed UDP ports, beside libslirp, whose own forwarding of UDP (4.7) loses answers: to clients on the loopback of the
 * host while the guest may not reach it, all of them without a network, and those of one of two forwardings to the same
 * port of the guest. A datagram must fit into one packet, in both directions.
 */
#pragma once
#include <sys/socket.h>
#include "port/slirp/slirp.h"

enum {
	UDP_FORWARDS_MAX = SLIRP_FORWARDS_MAX,
	UDP_CLIENT_SETS = 256,
	UDP_CLIENT_WAYS = 8,    /* 2048 clients; a set that is full forgets the one silent longest */
	UDP_CLIENT_MS = 300000, /* RFC 4787 REQ-5 */
};

struct udp_forward {
	int fd;
	struct address external, guest;
	uint16_t external_port, internal_port;
};

/* Who has sent through a forwarding. Only such a client gets answers through it. */
struct udp_client {
	uint64_t until_ms;           /* 0: free */
	struct address guest, shown; /* shown: who it is to the guest */
	uint16_t guest_port, port;
	uint16_t forward; /* index into forwards */
	struct sockaddr_storage peer;
	struct address local; /* which it has sent to, so it expects the answer from there */
};

struct udp_exposes {
	uint64_t guest_mac;
	uint32_t mtu, count;
	void (*send)(void *context, const uint8_t *frame, uint32_t length); /* to the guest */
	void *context;
	uint8_t *packet;                 /* room for one frame */
	uint8_t is_forwarded[65536 / 8]; /* ports of the guest, so that most frames are let by at once */
	struct udp_forward forwards[UDP_FORWARDS_MAX];
	struct udp_client clients[UDP_CLIENT_SETS][UDP_CLIENT_WAYS];
};

/* False: out of memory. */
bool udp_begin(struct udp_exposes *, uint64_t guest_mac, uint32_t mtu);
/* 0 or an errno. */
int udp_add(struct udp_exposes *, const struct udp_forward *);
void udp_remove(struct udp_exposes *, struct address external, uint16_t external_port);

/* Whom a datagram from this socket is for; called when poll(2) says that something is there. */
void udp_from_network(struct udp_exposes *, uint32_t index, uint64_t now_ms);
/* True: the frame was an answer to a client and is on its way; else it is libslirp's. */
bool udp_from_guest(struct udp_exposes *, const uint8_t *frame, uint32_t length, uint64_t now_ms);
