/*
 * --expose: the ports of this host that lead to the guest. What is forwarded to IPv4 follows the guest's IPv4 address, what
 * is forwarded to IPv6 its IPv6 address; the list can change while the guard runs.
 *
 * For live control: add_expose() puts one into the list, and follow_address() of the same turn asks the port for it. Its
 * state is then EXPOSE_WAITING where the guest has no address of the family, so nothing more will happen soon; or
 * EXPOSE_ASKED until a later turn, when it is EXPOSE_INSTALLED or EXPOSE_FAILED. To refuse what failed, answer with
 * describe_failure() and take it out of the list again with remove_expose().
 */
#pragma once
#include "core/judge/config.h"
#include "core/judge/state.h"
#include "softnet/rules/expose_text.h"

enum expose_family { EXPOSE_IPV4, EXPOSE_IPV6, EXPOSE_FAMILIES };

struct exposes {
	struct exposed items[EXPOSES_MAX]; /* to be listed: text, state, and describe_failure() */
	uint32_t count;
	struct port *uplink;
	void (*tell)(void *context, const char *failure); /* NULL: nobody is to know */
	void *context;
	bool ipv6_off;                         /* at the start, so for good */
	struct address guest[EXPOSE_FAMILIES]; /* where the forwardings lead to; unset: nowhere */
};

/* As written on the command line. Neither changes the list when it refuses. */
bool add_expose(struct exposes *, const char *text, struct error *);
bool remove_expose(struct exposes *, const char *text, struct error *);

/* The one that says the same as this text, NULL: none. Valid until the list changes. */
const struct exposed *find_expose(const struct exposes *, const char *text);

enum { FAILURE_TEXT = 160 };

/* Of one that failed: "tcp port 8080 on 127.0.0.1: Address already in use". Else empty. */
const char *describe_failure(const struct exposed *, char text[FAILURE_TEXT]);

/* Called after each turn: takes the results of the uplink, and follows the guest's addresses. */
void follow_address(struct exposes *, const struct config *, const struct state *, uint64_t now_ms);

/* As list_guest_ports(), for config.exposed. */
uint32_t exposed_ports(const struct exposes *, struct exposed_port *to, uint32_t room);
