/*
 * A port is one way to reach a guest or a network. It moves batches of whole Ethernet frames and never looks into them.
 *
 * Every kind of port is one file and one line in port.c. All of them are non-blocking: a full queue, a peer that is
 * away or a transient error is a number that the caller counts, never an end. Memory is allocated when a port opens,
 * and nothing after that.
 */
#pragma once
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/wire/address.h"
#include "core/wire/frame.h"
#include "system/error.h"

enum {
	BATCH_MAX = 64, /* frames in a batch, where each has a place of its own */
	RUN_MAX = 256,  /* of a stream, where they lie one behind the other */
	PORT_POLL_MAX = 4,
	FORWARDINGS_MAX = 64
};

/* A frame in a batch: octets from the destination MAC on, no length prefix, no frame check sequence. */
struct packet {
	const uint8_t *bytes;
	uint32_t length;
	bool truncated; /* the frame was longer than the port can take; length is what there is of it */
	struct cut cut; /* as its sender says: nobody has looked whether it is true */
};

/* Sets of kinds of frames that are to be cut. */
enum { CUTS_TCP4 = 1 << CUT_TCP4, CUTS_TCP6 = 1 << CUT_TCP6, CUTS_UDP = 1 << CUT_UDP };

enum port_side { GUEST_SIDE, UPLINK_SIDE };

struct port_settings {
	enum port_side side;
	uint32_t max_frame; /* octets, 14 + MTU */
	unsigned cuts; /* kinds of frames that are to be cut, which the other port takes; they may come from there, too. 0: none */
	bool isolation;     /* tap in a bridge: no traffic with other isolated ports */
	bool host_loopback; /* slirp: the guest may reach services on the host's loopback address */
	bool host_only;     /* slirp: no network at all but DHCP and exposed ports */
	bool ipv6;          /* slirp: router advertisements and IPv6 as well */
	bool sandbox_off;   /* slirp: its processes keep all system calls */
	uint64_t guest_mac; /* slirp: where exposed UDP ports lead to */
};

/* What a port knows of its network. Empty sets: it knows nothing, the guard learns or is told. */
struct anchors {
	struct address_set host;           /* the host's own addresses on the segment: @host */
	bool other_router4, other_router6; /* the host only lives there: the router of that family is another machine */
	struct address_set servers;        /* DHCP servers, where they are not the host */
	struct address_set resolvers;
	struct mac_set gateway_macs;
};

/* Where a tap stands, as it is now. */
enum { GROUND_TEXT = 128, INTERFACE_TEXT = 16 };

struct ground {
	char interface[INTERFACE_TEXT], bridge[INTERFACE_TEXT]; /* bridge: "" where it is in none, or none was named */
	unsigned bridge_index;
	uint32_t mtu;
	bool is_here; /* in this network namespace */
	bool is_up, has_carrier;
	bool is_bridge_up, is_forwarding, is_isolated;
	char away[GROUND_TEXT];    /* why no frame passes, and what cures it; "": they pass */
	char warning[GROUND_TEXT]; /* what else is not as it was set up */
};

/* Which network it is, so that guards of one host know whether they share it. */
enum { SEGMENT_TEXT = 64 };
struct segment_id {
	char text[SEGMENT_TEXT]; /* the same at all ports of one network; "": nobody else is on it, as far as can be known */
	uint32_t port;           /* the number that the kernel has for this port of it; 0: none */
};

/*
 * Ports of the host that are forwarded to the guest. external tells the family on both sides; its 0.0.0.0 is every IPv4
 * address of the host, :: every IPv6 address and no IPv4. Ports in host byte order.
 */
struct expose {
	struct address external; /* to listen on */
	uint16_t external_port, internal_port;
	uint16_t ports;   /* how many in a row, from these two on */
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
};

/* What became of a forwarding. It is in place with all of its ports, or with none. */
struct expose_result {
	struct expose expose; /* as it was given */
	int error;            /* 0: in place; else an errno, and the port will not try again by itself */
	uint16_t port;        /* error: the port of the host at which it failed */
};

/* What became of a batch that was sent. sent + full + failed == n. */
struct send_result {
	uint32_t sent;
	uint32_t full;   /* the receiver's queue was full, or nobody is connected now */
	uint32_t failed; /* the port refused the frame: too long for it, interface down, ... */
};

struct port;

/*
 * With which rights a kind is opened; softnet/start.c has the order. A kind must say it: a test refuses one that does not, and
 * until then it gets the fewest rights.
 */
enum port_opens {
	OPENS_UNSAID,
	OPENS_AT_ONCE,       /* it was inherited */
	OPENS_AS_INTERFACE,  /* as the caller, before privileges go */
	OPENS_AS_PATH,       /* as the user who may own the path */
	OPENS_BEHIND_FORK,   /* before privileges go; it has threads, which no fork(2) should meet */
	OPENS_WITHOUT_RIGHTS /* when privileges are gone; its processes keep the rights of that moment */
};

struct port_kind {
	const char *name; /* "tap" of "tap:NAME,bridge=BR" */
	enum port_opens opens;
	bool can_be_host_only; /* it can keep the guest from everything but the host: --vm-net-type host */
	bool wants_root;       /* an ordinary user may be refused it */
	bool listens_here;     /* what it exposes are sockets of this host's system, as any program's */
	unsigned cuts;         /* kinds of frames that are to be cut, which it takes; it has stop_offload then */
	bool names_resolvers;  /* it names this host's resolvers to the guest, by DHCP */
	const char *form;      /* the whole form, for --help and for errors */
	/* Whether bootpd of macOS leases the addresses of this network; NULL: no. The argument is as for open. */
	bool (*is_leased_by_bootpd)(const char *argument);
	/* argument is what follows "name:", or "" */
	struct port *(*open)(const char *argument, const struct port_settings *, struct error *);
	/* Fills at most PORT_POLL_MAX entries and gives their number. */
	int (*watch)(struct port *, struct pollfd *);
	/* Accepts, reconnects, reads control messages. Called after every poll. False: the port is gone for good. */
	bool (*service)(struct port *, uint64_t now_ms);
	/* When the caller must come back even if nothing happens: 0 is now, UINT64_MAX never. */
	uint64_t (*deadline_ms)(const struct port *);
	/*
	 * Gives 0..max frames, valid until the next receive on this port; more than BATCH_MAX only where they are a run. False:
	 * the peer is gone for good. After fewer than max frames, and than BATCH_MAX, poll() tells of more. After as many
	 * the port may hold more that poll() cannot see: receive again before sleeping (deadline_ms() then says 0).
	 */
	bool (*receive)(struct port *, struct packet *, uint32_t max, uint32_t *got);
	/* Sends n frames. False: the peer is gone for good (the result is filled all the same). */
	bool (*send)(struct port *, const struct packet *, uint32_t n, struct send_result *);
	/* How many more frames the kernel had no place for, in front of this port. NULL: there are none, or nobody knows. */
	uint64_t (*lost)(struct port *);
	/* From now on no frame comes that is to be cut, except those that wait already. NULL: none ever comes. */
	void (*stop_offload)(struct port *);
	/* NULL where the port knows nothing. */
	void (*anchors)(const struct port *, struct anchors *);
	/* NULL where no other guard can be on its network. May be another one later, where the port is moved. */
	void (*segment)(const struct port *, struct segment_id *);
	/* Whether the port with this number is on the same segment, and that user's; user NULL: anybody's. NULL: nobody knows. */
	bool (*is_port_of)(const struct port *, uint32_t number, const uid_t *user);
	/*
	 * In the place of anchors() where they may change: reads them, and where the port stands, anew. The first call, when
	 * root's rights are gone, opens what tells of changes: ground_fd() gives a descriptor that is readable then, or -1.
	 */
	void (*survey)(struct port *, struct ground *, struct anchors *);
	int (*ground_fd)(const struct port *);
	/*
	 * Adds or removes a forwarding to this address of the guest; NULL where the port cannot. What became of an added one
	 * is asked for with exposed(). FORWARDINGS_MAX at a time, none of them twice. A removed one accepts nobody any more,
	 * and nothing more is said of it; connections that it made go on.
	 */
	void (*expose)(struct port *, const struct expose *, struct address guest, bool add);
	/*
	 * Gives the next result, false when there is none now; asked after every poll. One comes for each forwarding that
	 * was added, at once or later, and another one whenever that changes: a port that was started again in itself makes
	 * its forwardings again, and may fail. NULL where expose is.
	 */
	bool (*exposed)(struct port *, struct expose_result *);
	/* Frees the port and takes away what it left in the file system. Its processes have ended on return. */
	void (*close)(struct port *);
};

struct port {
	const struct port_kind *kind;
	char name[224]; /* as the user wrote it */
	char gone[160]; /* why service/receive/send said false */
	char away[240]; /* why no frame can pass now, though they may again; "": nothing is known to stand in the way */
	unsigned errors; /* in a row, for is_borne() */
	pid_t child;     /* a process of its own, which it ends when it is closed; 0: none */
};

/*
 * text is "kind:argument". NULL on failure, with error filled. A tap wants privileges when it opens; slirp starts child
 * processes that keep the ids of the moment, so drop privileges in between.
 */
struct port *port_open(const char *text, const struct port_settings *, struct error *error);
/* A connected datagram socketpair: the port on one end; *peer_fd (inheritable, above 2) is for the hypervisor. */
struct port *port_open_pair(const struct port_settings *, int *peer_fd, struct error *error);
/* Whether there is such a kind; the error says which there are. */
const struct port_kind *port_kind_of(const char *text); /* NULL: there is none of that name here */
const char *port_argument_of(const char *text);         /* what follows "kind:", or "" */
unsigned port_cuts(const char *text); /* what its kind takes of frames that are to be cut; NULL and unknown ones: nothing */
bool port_is_known(const char *text, struct error *error);
/* One line per kind for --help, NULL behind the last. */
const struct port_kind *const *port_kinds(void);

/* Ports tell what happened (reconnected, slirp restarted) through this; the program sets it or NULL. */
extern void (*port_report)(const struct port *, const char *sentence);
