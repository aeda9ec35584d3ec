/* One --expose: from its text to what a port takes. */
#pragma once
#include "core/judge/config.h"
#include "port/port.h"
#include "system/text.h"

enum {
	EXPOSE_TEXT = 96,
	EXPOSES_MAX = FORWARDINGS_MAX,
	EXPOSED_PORTS_MAX = 1024 /* all ranges together; slirp has a socket for each */
};

enum expose_state {
	EXPOSE_WAITING, /* for an address of the guest */
	EXPOSE_ASKED,   /* the port has not answered yet */
	EXPOSE_INSTALLED,
	EXPOSE_FAILED /* error says why; tried again when the address or another forwarding changes */
};

/* An expose as it was written, and what became of it. */
struct exposed {
	struct expose expose;
	char text[EXPOSE_TEXT];
	enum expose_state state;
	int error; /* EXPOSE_FAILED: an errno, and the port of the host that it is about */
	uint16_t failed_port;
	int told_error; /* what the user has read; 0: nothing, or that it is in place */
};

/* [tcp/|udp/][ADDR:]EXT[-EXT]:INT[-INT]; an IPv6 ADDR stands in brackets. */
bool parse_expose(const char *text, struct expose *, struct error *);

/* Appends one to the list; an error where another one has a port of it already, or where there is no room. */
bool append_expose(struct exposed items[EXPOSES_MAX], uint32_t *count, const char *text, struct error *);

bool same_expose(const struct expose *, const struct expose *);

_Static_assert((int)EXPOSES_MAX == (int)EXPOSED_MAX, "config.exposed holds them all");

/* Which ports of the guest they lead to, whether they are in place or not. At most `room`; gives their number. */
uint32_t list_guest_ports(const struct exposed *items, uint32_t count, struct exposed_port *to, uint32_t room);
