/* What was wrong with a DHCP message, and what lets the next one pass. */
#include "softnet/hints/hints.h"
#include <stdio.h>
#include <string.h>
#include "core/wire/dhcp.h"
#include "core/wire/ethernet.h"
#include "core/wire/ipv4.h"
#include "softnet/events/drop_events.h"
#include "system/text.h"

enum { UDP_HEADER = 8 };

/* A message that was dropped, as far as it can be read. */
struct message {
	bool is_read; /* all of it */
	bool has_ports;
	uint16_t source_port;
	uint64_t source_mac;
	struct ipv4 ip;
	struct dhcp dhcp; /* not is_read: `fault` may say at which option reading ended */
};

/* Of the whole frame where it was kept, else of the specimen's front. */
static void read_message(const struct counters *counters, enum direction direction, unsigned verdict, struct message *m)
{
	const struct specimen *last = &counters->last[direction][verdict];
	const struct whole_frame *whole = &counters->dhcp[direction];
	bool has_whole = whole->verdict == verdict && whole->dropped_ms == last->dropped_ms;
	struct frame frame = { .bytes = has_whole ? whole->bytes : last->bytes,
			       .length = has_whole ? whole->length : last->kept };
	*m = (struct message){ .source_mac = source_of_specimen(last) };
	(void)parse_ipv4(&frame, ETHERNET_HEADER, &m->ip); /* of a front, what is there */
	struct reader r = read_from(&frame, m->ip.payload, frame.length);
	m->source_port = read_be16(&r);
	m->has_ports = r.ok;
	m->is_read = has_whole && m->ip.end >= m->ip.payload + UDP_HEADER && m->ip.end <= frame.length &&
		     parse_dhcp(&frame, m->ip.payload + UDP_HEADER, m->ip.end, &m->dhcp);
}

/* --- what the VM asks --- */

static void explain_host_name(const struct trust *t, const struct message *m, char hint[HINT_TEXT])
{
	const struct host_names *allowed = &t->view.config->host_names;
	bool is_fqdn = may_have_host_name(allowed, &m->dhcp.host_name);
	struct host_name name;
	char others[HINT_TEXT] = "";
	size_t length = 0;
	for (uint32_t i = 0; i < allowed->count && length < sizeof others / 3; i++)
		length += (size_t)snprintf(others + length, sizeof others - length, "%.*s,",
					   (int)allowed->item[i].octets, (const char *)allowed->item[i].text);
	if (m->is_read && spell_name4(is_fqdn ? &m->dhcp.fqdn : &m->dhcp.host_name, is_fqdn, &name))
		say_hint(hint,
			 "the guard drops the VM's questions (dhcp-hostname): their host name (option %d) is "
			 "none of --dhcp-hostname: if the VM may have it, --dhcp-hostname %s%.*s",
			 is_fqdn ? 81 : 12, others, (int)name.octets, (const char *)name.text);
	else
		say_hint(hint,
			 "the guard drops the VM's questions (dhcp-hostname): their host name (option %d) is "
			 "no plain name: let the VM send another, or none",
			 is_fqdn ? 81 : 12);
}

/* What somebody can do about it; NULL: what the reason means says it all. */
static const char *advice_for(unsigned verdict)
{
	switch (verdict) {
	case DROP_DHCP4_CHADDR:
		return "they ask for another MAC address than that of --vm-mac-address, as a bridge or relay inside "
		       "the "
		       "VM does: only the VM's own card has a lease here";
	case DROP_DHCP4_DISABLED:
		return "they are not wanted (--no-dhcp): leave that option out";
	case DROP_DHCP4_CLIENT_ID_SPOOF:
		return "their client identifier (option 61) names another MAC address: give the VM one of its own, or "
		       "--dhcp-client-id any if it is a DUID";
	case DROP_DHCP4_CLIENT_ID_LIMIT:
		return "the VM has had too many client identifiers (option 61): give it one that stays; "
		       "--rate newid=1/32 lets more pass";
	case DROP_DHCP4_RELAY_FIELDS:
		return "they say what only a relay says (giaddr, or option 82, 118, 220 or 221): let the VM leave it "
		       "out";
	case DROP_RATE_DHCP:
		return "they are too many: --rate dhcp=20/100 lets more pass";
	case DROP_RATE_SLOW_PATH:
		return "they are too many: --rate slowpath=1000/2000 lets more pass";
	default:
		return NULL;
	}
}

static void explain_question(const struct trust *t, const struct message *m, unsigned verdict, char hint[HINT_TEXT])
{
	const char *advice = advice_for(verdict), *name = verdict_name(verdict);
	char mac[MAC_TEXT];
	if (verdict == DROP_ETH_SRC_SPOOF)
		say_hint(hint,
			 "the guard drops the VM's questions (%s): they come from another MAC address than "
			 "that of --vm-mac-address: give the VM's card that one, or --vm-mac-address %s",
			 name, format_mac(m->source_mac, mac));
	else if (verdict == DROP_DHCP_HOSTNAME)
		explain_host_name(t, m, hint);
	else if (verdict == DROP_DHCP4_MALFORMED && !m->is_read && m->dhcp.fault != 0)
		say_hint(hint,
			 "the guard drops the VM's questions (%s): option %u is cut, too long or too short, is "
			 "there twice, or stands where not every server looks",
			 name, m->dhcp.fault);
	else
		say_hint(hint, "the guard drops the VM's questions (%s): %s", name,
			 advice ? advice : verdict_meaning(verdict));
}

/* --- what is answered --- */

static void explain_lease(const struct trust *t, const struct dhcp *m, char hint[HINT_TEXT])
{
	static const char said[] = "a server answers, and the guard drops it (dhcp4-bad-lease):";
	char address[ADDRESS_TEXT], list[HINT_TEXT / 2], one[ADDRESS_TEXT];
	bool is_listed = false, has_list = false;
	size_t length = 0;
	format_address(m->yiaddr, address);
	for (uint32_t i = 0; i < t->options->static_count && length < sizeof list - ADDRESS_TEXT; i++) {
		const struct static_address *s = &t->options->statics[i];
		has_list = has_list || is_ipv4(s->address);
		is_listed = is_listed || same_address(s->address, m->yiaddr);
		length += (size_t)snprintf(list + length, sizeof list - length, "%s/%u,",
					   format_address(s->address, one), (unsigned)s->prefix_length);
	}
	if (has_list && !is_listed)
		say_hint(hint, "%s it leases %s, which is not in --vm-ip: if the VM may have it, --vm-ip %s%s", said,
			 address, list, address);
	else if (m->type == DHCPACK && (!m->has_lease || m->lease_s == 0))
		say_hint(hint, "%s it leases %s for no time (option 51)", said, address);
	else if (m->is_shared)
		say_hint(hint, "%s it leases %s to several, with some ports for each (option 159)", said, address);
	else
		say_hint(hint,
			 "%s it leases %s, which is the network's, a router's or a server's own, or no "
			 "machine's: take it out of the server's pool",
			 said, address);
}

static void explain_answer(const struct trust *t, const struct message *m, unsigned verdict, char hint[HINT_TEXT])
{
	char address[ADDRESS_TEXT];
	if (verdict == DROP_DHCP4_ROGUE_SERVER)
		explain_server(t, ipv4_of_address(m->ip.source), m->source_mac,
			       m->is_read ? ipv4_of_address(m->dhcp.server) : 0, hint);
	else if (verdict == DROP_DHCP4_BAD_LEASE && m->is_read)
		explain_lease(t, &m->dhcp, hint);
	else if (verdict == DROP_DHCP4_PORT_MISUSE && m->has_ports)
		say_hint(hint,
			 "a server answers, and the guard drops it (dhcp4-port-misuse): it comes from UDP port "
			 "%u to %s: let the server answer from port 67",
			 m->source_port, format_address(m->ip.destination, address));
	else if (verdict == DROP_DHCP4_MALFORMED && !m->is_read && m->dhcp.fault != 0)
		say_hint(hint,
			 "a server answers, and the guard drops it (dhcp4-malformed): option %u is cut, too "
			 "long or too short, or is there twice and says two things: let the server say it once",
			 m->dhcp.fault);
	else if (verdict == DROP_BINDING_CLAIMED)
		say_hint(hint, "a server leases what another VM of this host has (binding-claimed): give each VM a "
			       "DHCP client identifier of its own");
	else if (verdict == DROP_BINDING_CHURN)
		say_hint(hint, "a server answers, and the guard drops it (binding-churn): too many new addresses: "
			       "--rate newlease=1/32 lets more pass");
	else if (verdict == DROP_RATE_UPLINK)
		say_hint(hint, "a server answers, and the guard drops it (rate-uplink): too many answers: --rate "
			       "u-dhcp=200/400 lets more pass");
	else
		say_hint(hint, "a server answers, and the guard drops it (%s): %s", verdict_name(verdict),
			 verdict_meaning(verdict));
}

void explain_message(const struct trust *t, const struct counters *counters, enum direction direction, unsigned verdict,
		     char hint[HINT_TEXT])
{
	struct message m;
	read_message(counters, direction, verdict, &m);
	if (direction == FROM_GUEST)
		explain_question(t, &m, verdict, hint);
	else
		explain_answer(t, &m, verdict, hint);
}
