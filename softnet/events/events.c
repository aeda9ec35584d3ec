/* What the snooper and the ports tell, as lines. */
#include "softnet/events/events.h"
#include "core/judge/rate.h"
#include "core/judge/state.h"
#include <inttypes.h>
#include <stdio.h>
#include "system/clock.h"
#include "system/log.h"
#include "system/text.h"

enum { SPAN_TEXT = 32 };

static const char *format_span(uint64_t expires_ms, uint64_t now_ms, char text[SPAN_TEXT])
{
	if (expires_ms == NEVER_EXPIRES)
		return "for ever";
	snprintf(text, SPAN_TEXT, "for %" PRIu64 " s", expires_ms > now_ms ? (expires_ms - now_ms) / 1000 : 0);
	return text;
}

/* In IPv6 only some addresses are leases. */
static void tell_lease(const char *what, const struct event *event, uint64_t now_ms)
{
	char address[ADDRESS_TEXT], server[ADDRESS_TEXT], time[SPAN_TEXT];
	bool is_leased = is_ipv4(event->address) || !is_unset(event->server);
	format_address(event->address, address);
	if (is_leased)
		info("lease %s: %s %s from %s", what, address, format_span(event->expires_ms, now_ms, time),
		     format_address(event->server, server));
	else
		info("address %s: %s by %s %s", what, address, event->why ? event->why : "-",
		     format_span(event->expires_ms, now_ms, time));
}

/* Shown without -v too: it is right after a failover, and somebody's work where nothing was replaced. */
static void tell_change(const char *what, const struct event *event)
{
	char address[ADDRESS_TEXT], mac[MAC_TEXT], old_mac[MAC_TEXT];
	format_address(event->address, address);
	format_mac(event->mac, mac);
	if (event->old_mac == MAC_NONE)
		warning("%s changed: %s at %s now, for the one before does not answer", what, address, mac);
	else
		warning("%s changed: %s at %s now, was at %s", what, address, mac, format_mac(event->old_mac, old_mac));
}

void tell_event(const struct event *event, uint64_t now_ms)
{
	char address[ADDRESS_TEXT], mac[MAC_TEXT], time[SPAN_TEXT];
	format_address(event->address, address);
	switch (event->kind) {
	case EVENT_LEASE_NEW:
		tell_lease("new", event, now_ms);
		return;
	case EVENT_LEASE_RENEWED:
		tell_lease("renewed", event, now_ms);
		return;
	case EVENT_LEASE_GRACE:
		info("lease replaced: %s stays usable for a moment", address);
		return;
	case EVENT_LEASE_LOST:
		info("lease lost: %s, %s", address, event->why ? event->why : "no longer valid");
		return;
	case EVENT_SERVER_LEARNED:
		info("DHCP server learned: %s at %s", address, format_mac(event->mac, mac));
		return;
	case EVENT_GATEWAY_LEARNED:
		info("gateway learned: %s at %s", address, format_mac(event->mac, mac));
		return;
	case EVENT_SERVER_CHANGED:
		tell_change("DHCP server", event);
		return;
	case EVENT_GATEWAY_CHANGED:
		tell_change("gateway", event);
		return;
	case EVENT_PREFIX_LEARNED:
		info("prefix learned: %s/%u %s", address, event->prefix_length,
		     format_span(event->expires_ms, now_ms, time));
		return;
	}
}

/*
 * Shown without -v too: a port that reconnects or cannot forward is why a VM has no network. A flapping peer must not
 * fill the terminal, so after the first few only one in a while.
 */
void tell_port_report(const struct port *port, const char *sentence)
{
	enum { AT_ONCE = 8, ONE_PER_MS = 10000 };
	static const struct rate limit = { .refill = 1000 * 1000 / ONE_PER_MS, .burst = AT_ONCE };
	static struct bucket bucket = { .millitokens = AT_ONCE * 1000 };
	static unsigned long withheld;
	if (!is_verbose() && !take_token(&limit, &bucket, clock_ms())) {
		withheld++;
		return;
	}
	if (withheld > 0)
		warning("%s: %s (%lu earlier reports withheld)", port->name, sentence, withheld);
	else
		warning("%s: %s", port->name, sentence);
	withheld = 0;
}
