/* What the slirp port says to its child processes, and they to it. */
#pragma once
#include <stdint.h>
#include "port/port.h"
#include "system/sandbox/sandbox.h"

/* The network that the guest sees: 10.0.2.0/24, and fd00:10:0:2::/64 where IPv6 is wanted. */
#define SLIRP_NETWORK   0x0a000200U
#define SLIRP_MASK      0xffffff00U
#define SLIRP_HOST      0x0a000202U
#define SLIRP_RESOLVER  0x0a000203U
#define SLIRP_FIRST     0x0a00020fU /* what DHCP gives to the first, and only, guest */
#define SLIRP_PREFIX6   0xfd00001000000002ULL
#define SLIRP_HOST6     2ULL
#define SLIRP_RESOLVER6 3ULL
/* libslirp makes MAC addresses out of addresses. */
#define SLIRP_HOST_MAC      (0x525500000000ULL | SLIRP_HOST)
#define SLIRP_RESOLVER_MAC  (0x525500000000ULL | SLIRP_RESOLVER)
#define SLIRP_HOST_MAC6     (0x525600000000ULL | SLIRP_HOST6)
#define SLIRP_RESOLVER_MAC6 (0x525600000000ULL | SLIRP_RESOLVER6)

/* All ports of all forwardings together; what a range stands for is opened port by port. */
enum { SLIRP_FORWARDS_MAX = 1024 };

/*
 * The worker writes a NUL to its standard error this often, which the keeper reads. One that is silent for so many times
 * hangs, or was stopped, and is replaced.
 */
enum { SLIRP_BEAT_MS = 1000, SLIRP_BEATS_MISSED = 10 };

enum slirp_word {
	SLIRP_HELLO = 1, /* child: a worker runs; `cause` says what became of the one before */
	SLIRP_ADD,       /* port: forward; the child answers with the same message and `error` filled */
	SLIRP_REMOVE,    /* port: no more; no answer */
	SLIRP_LEAVE_CUT, /* port: from now on each frame as it is on the wire; no answer */
	SLIRP_ENDED,     /* keeper: the worker has ended, and `cause` says why; another one is on its way */
};

/*
 * On the control socket. Each worker has a generation, and what was meant for an earlier one is not listened to: the
 * port repeats its forwardings after every hello.
 */
struct slirp_message {
	uint32_t word, generation;
	uint32_t number; /* of the forwarding: one that was removed and added again has another */
	int32_t error;   /* an errno */
	struct address guest;
	struct expose expose;
	uint16_t failed_port;
	char cause[160];
};

struct slirp_child {
	int frames, control;
	uint32_t mtu, longest; /* longest: octets of the longest frame that may come or go */
	bool cuts;             /* frames may be joined, and have notes in front of them */
	bool host_loopback, host_only, ipv6, sandbox_off;
	uint64_t guest_mac;
};

/* The child side; neither returns. */
_Noreturn void slirp_keep(const struct slirp_child *, int parent);
_Noreturn void slirp_work(const struct slirp_child *, int errors, uint32_t generation, const char *cause);
/* slirp_child.c: for either of them. */
void slirp_enter_sandbox(const struct slirp_child *, enum sandbox_purpose);
