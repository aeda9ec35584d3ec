/*
 * Why is an answer of the network refused, and what lets it in? A hint names what did not fit (address, MAC address,
 * option or port), what is trusted instead, and options that can be typed as they stand there: tests follow them
 * literally. So an option that is only spoken of has no space behind it.
 */
#pragma once
#include "core/judge/state.h"
#include "softnet/counts/counters.h"
#include "softnet/options/options.h"

enum { HINT_TEXT = 400 };

/* On what the guard decides. */
struct trust {
	struct view view;
	const struct options *options;
};

__attribute__((format(printf, 2, 3))) void say_hint(char hint[HINT_TEXT], const char *format, ...);

/* Is this a MAC that speaks for the router? */
bool is_mac_of(const struct trust *, struct address router, uint64_t mac);

/* Somebody at `mac` speaks or answers as `router`, and is not believed, for this reason. */
void explain_gateway(const struct trust *, struct address router, uint64_t mac, unsigned verdict, char hint[HINT_TEXT]);

/* A DHCP server's message that is not believed: `ipv4` and `mac` sent it, `identifier` is its option 54, 0: unknown. */
void explain_server(const struct trust *, uint32_t ipv4, uint64_t mac, uint32_t identifier, char hint[HINT_TEXT]);

/* hints_dhcp.c: a DHCP message of IPv4 that was dropped, the last one for this reason. */
void explain_message(const struct trust *, const struct counters *, enum direction, unsigned verdict,
		     char hint[HINT_TEXT]);
